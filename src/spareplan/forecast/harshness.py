"""Machines that wear their parts faster than others: regions, stages and products, as hazard ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.covariates import Effects, hazard_effects
from spareplan.forecast.group_sums import GroupSums
from spareplan.forecast.sparse import PooledLives

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Harshness:
    """Hazard of each group of machines over that of the mean machine.

    Parameters
    ----------
    effects : Effects or None
        None: nothing was looked for.
    groups : MultiIndex
        product_id and region of each group.
    family : ndarray of int, shape (parts,)
        Row of `ratios` for each part.
    ratios : ndarray, shape (families, groups + 1)
        The last column, 1, is for groups without machines yet.
    notes : list of dict
        Assumption rows.
    """

    effects: Effects | None
    groups: pd.MultiIndex
    family: NDArray[np.int64]
    ratios: FloatArray
    notes: list[dict[str, Any]]

    @property
    def any(self) -> bool:
        """Whether any group differs."""
        return bool((self.ratios != 1).any())

    def columns(self, product: Any, region: Any) -> NDArray[np.int64]:
        """Columns of `ratios` for machines of given products and regions."""
        pairs = pd.MultiIndex.from_arrays([product, region])
        at = np.asarray(self.groups.get_indexer(pairs), dtype=np.int64)
        return np.where(at < 0, len(self.groups), at)

    def of(self, part: int, columns: NDArray[np.int64]) -> FloatArray:
        """Hazard ratios of one part in given columns."""
        return np.asarray(self.ratios[self.family[part], columns])

    def scaled(self, sums: GroupSums, powers: FloatArray) -> FloatArray:
        """Sums of powers as the mean machine would have lived them, shape (parts, nodes).

        `sums` is what was seen by group; what `powers` hold beyond (pieces of unknown age) counts by the mean
        ratio of the part.
        """
        ratio = self.ratios[self.family[sums.part], sums.group][:, None]
        parts = len(powers)
        columns = [
            np.column_stack([np.bincount(sums.part, v[:, n], parts) for n in range(powers.shape[1])])
            for v in (sums.powers, sums.powers * ratio)
        ]
        mean = np.where(columns[0] > 0, columns[1] / np.maximum(columns[0], 1e-300), 1.0)
        return np.asarray(powers * mean)


def no_harshness(groups: pd.DataFrame, parts: int) -> Harshness:
    """All machines alike."""
    return Harshness(
        None,
        pd.MultiIndex.from_frame(groups),
        np.zeros(parts, dtype=np.int64),
        np.ones((1, len(groups) + 1)),
        [],
    )


def find_harshness(
    sums: GroupSums,
    posterior: PooledLives,
    label: NDArray[np.object_],
    groups: pd.DataFrame,
    stage: pd.Series,
    before: Harshness,
) -> Harshness:
    """Compare failures with what each part's own law expects of every group of machines.

    Parameters
    ----------
    sums : GroupSums
    posterior : PooledLives
        Of all parts.
    label : ndarray, shape (parts,)
        Families.
    groups : DataFrame
        product_id, region.
    stage : Series
        region to market stage.
    before : Harshness
        What `posterior` was fitted under.

    Returns
    -------
    Harshness
    """
    rate = posterior.weight * posterior.failures / posterior.exposure
    family, names = pd.factorize(label, sort=True)
    expected = (rate[sums.part] * sums.powers).sum(axis=1)
    known = groups["region"].map(stage).astype(object)
    facts = groups.assign(market_stage=known.where(known.notna(), "").astype(str))
    where = facts.iloc[sums.group].reset_index(drop=True)
    # Covariates with one level tell nothing.
    covariates = [name for name in ("region", "market_stage", "product_id") if len(set(facts[name])) > 1]
    if not covariates or sums.failures.sum() == 0:
        return before
    table = where[covariates].assign(
        part_id=sums.part, family=label[sums.part], failures=sums.failures, expected=expected
    )
    effects = hazard_effects(table, covariates)
    kept = effects.table[effects.table["kept"]]
    if not len(kept):
        return before
    cross = pd.DataFrame(
        {"family": np.repeat(names, len(facts))}
        | {name: np.tile(facts[name].to_numpy(object), len(names)) for name in covariates}
    )
    ratios = np.exp(effects.log_ratios(cross)).reshape(len(names), len(facts))
    ratios = np.column_stack([ratios, np.ones(len(names))])
    worst = kept.iloc[int(np.abs(kept["log_hazard_ratio"].to_numpy(float)).argmax())]
    note = {
        "stage": "forecast",
        "name": "groups of machines that wear faster or slower",
        "value": len(kept),
        "unit": "levels",
        "origin": "estimated from replacements",
        "meaning": f"by {', '.join(sorted(set(kept['covariate'])))}; furthest from 1: {worst['covariate']} "
        f"{worst['level']} at {np.exp(worst['log_hazard_ratio']):.2f} times the hazard"
        + ("" if worst["family"] == "*" else f" in {worst['family']}"),
    }
    return Harshness(effects, before.groups, family.astype(np.int64), ratios, [note])
