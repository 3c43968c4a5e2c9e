"""Lives of all fitted parts: spells of the fleet in, posterior laws and planned-replacement rates out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spareplan.forecast.exposure import FleetHistory
from spareplan.forecast.installed import PartLaw
from spareplan.forecast.lifetimes import kin_of_keys, sort_spells
from spareplan.forecast.likelihood import Spells
from spareplan.forecast.open_starts import weigh_open_starts
from spareplan.forecast.sparse import SHAPES, PooledLives, pool_lifetimes

# Fewest and most age bins of planned replacements; the events that the rate of all ages counts as in each.
PLANNED_BINS = (40, 120)
PLANNED_PRIOR = 0.02
SUREST = 0.995


@dataclass(frozen=True)
class PartLives:
    """What is known of the lives of every fitted part.

    Parameters
    ----------
    lifetimes : DataFrame
        A row per part as in `fit_lifetimes`, with `family` and `clock`.
    spells : DataFrame
        The spells that were used; those that began before the records are spread over possible ages.
    posterior : PooledLives
        Rows as in `lifetimes`.
    planned : dict
        part_id to (rates per age bin, bin width).
    mean_rates : ndarray, shape (parts, 3)
        Failures and planned replacements per piece and use, and the squared variation of that rate.
    scales : ndarray, shape (parts, nodes)
        Scale at each node of the shape. [hours or days]
    notes : list of dict
        Assumption rows.
    """

    lifetimes: pd.DataFrame
    spells: pd.DataFrame
    posterior: PooledLives
    planned: dict[str, tuple[np.ndarray, float]]
    mean_rates: np.ndarray
    scales: np.ndarray
    notes: list[dict[str, Any]]

    def law(self, number: int) -> PartLaw:
        """Posterior of one part, by its row."""
        rates, width = self.planned.get(self.lifetimes["part_id"].iloc[number], (np.zeros(1), 1.0))
        return PartLaw(
            self.posterior.weight[number],
            SHAPES,
            self.scales[number],
            self.posterior.failures[number],
            rates,
            width,
            *self.mean_rates[number],
        )


def learn_lives(fleet: FleetHistory, parts: pd.DataFrame) -> PartLives:
    """Fit the lives of all parts by empirical Bayes across families.

    Parameters
    ----------
    fleet : FleetHistory
    parts : DataFrame
        part_id, family, supplier, source, expected_life_hours.

    Returns
    -------
    PartLives

    Notes
    -----
    First the spells whose beginning was seen are fitted (and all spells of parts that have no other); under
    that law the others are spread over the ages they may have had, and everything is fitted again.
    """
    spells = fleet.spells
    kin = _kin(parts, fleet.clock_of_part)
    facts = kin.loc[spells["part_id"]]
    spells = spells.assign(family=facts["family"].to_numpy(), expected_life=facts["expected_life"].to_numpy())
    closed = ~spells["open"].to_numpy(bool)
    some = pd.Series(closed, index=spells["part_id"]).groupby(level=0).any()
    first = closed | ~spells["part_id"].map(some).to_numpy(bool)
    index, lifetimes, posterior = _fit(spells[first])
    rough = posterior.point_fit(lifetimes)
    row = pd.Index(index["part_id"]).get_indexer(pd.Index(spells["part_id"]))
    opened = ~closed
    known = _planned_rates(spells[closed])
    spread = _spread_open(
        spells[opened].reset_index(drop=True), rough.first[row[opened]], rough.second[row[opened]], known
    )
    spells = pd.concat([spells[closed], spread], ignore_index=True)
    spells = spells.sort_values(["part_id", "unit_id", "entry", "exit"], kind="stable", ignore_index=True)
    index, arrays, posterior = _fit(spells)
    fit = posterior.point_fit(arrays)
    table = index.assign(
        distribution="weibull",
        shape=fit.first,
        scale=fit.second,
        shape_se=fit.first_se,
        scale_se=fit.second_se,
        loglik=fit.loglik,
        n_failed=arrays.sums(arrays.count * arrays.failed),
        n_censored=arrays.sums(arrays.count * ~arrays.failed),
        method="pooled",
        family=kin.loc[index["part_id"], "label"].to_numpy(),
        clock=fleet.clock_of_part[index["part_id"]].to_numpy(),
    )
    rates = _mean_rates(arrays, spells, table["family"] + table["clock"])
    planned = _planned_rates(spells) | known
    return PartLives(
        table, spells, posterior, planned, rates, posterior.scales(), _notes(table, posterior, parts)
    )


def _spread_open(
    spells: pd.DataFrame, shape: np.ndarray, scale: np.ndarray, planned: dict[str, tuple[np.ndarray, float]]
) -> pd.DataFrame:
    """Weigh the ages of pieces from before the records, part by part where planned work bounds them."""
    plain = ~spells["part_id"].isin(list(planned)).to_numpy(bool)
    out = [weigh_open_starts(spells[plain], shape[plain], scale[plain])]
    for part, rows in spells[~plain].groupby("part_id", sort=True).indices.items():
        at = np.flatnonzero(~plain)[rows]
        out.append(weigh_open_starts(spells.iloc[at], shape[at], scale[at], *planned[str(part)]))
    return pd.concat(out, ignore_index=True)


def _kin(parts: pd.DataFrame, clock_of_part: pd.Series) -> pd.DataFrame:
    """Family label, family key and expected life of each part on its own clock."""
    known = parts.set_index("part_id").reindex(clock_of_part.index)
    label = known["family"]
    for name in ("supplier", "source"):
        label = label.where(label.notna(), known[name])
    label = label.fillna("all parts").astype(str)
    hours = clock_of_part == "hours"
    life = known["expected_life_hours"].where(hours & (known["expected_life_hours"] > 0))
    return pd.DataFrame(
        {"label": label, "family": label + np.where(hours, "", " (days)"), "expected_life": life}
    )


def _fit(spells: pd.DataFrame) -> tuple[pd.DataFrame, Any, PooledLives]:
    index, arrays = sort_spells(spells, ["part_id"])
    family, life = kin_of_keys(spells, ["part_id"], index)
    return index, arrays, pool_lifetimes(arrays, family, life)


def _mean_rates(arrays: Spells, spells: pd.DataFrame, family: pd.Series) -> np.ndarray:
    """Events per piece and use of each part; a failure's worth of the family's rate is mixed in."""
    failures = arrays.sums(arrays.count * arrays.failed)
    planned = arrays.sums(arrays.count * spells["planned"].to_numpy(float))
    watched = arrays.sums(arrays.count * (arrays.exit - arrays.entry))
    code = pd.factorize(family, sort=True)[0]
    of_family = (np.bincount(code, failures) + 0.5)[code] / np.bincount(code, watched)[code]
    rate = (failures + 1.0) / (watched + 1.0 / of_family)
    return np.column_stack([rate, planned / watched, 1.0 / (failures + planned + 1.0)])


def _planned_rates(spells: pd.DataFrame) -> dict[str, tuple[np.ndarray, float]]:
    """Planned replacements per unit of use, by age, for parts that have any."""
    planned = spells[spells["planned"].to_numpy(bool)]
    out: dict[str, tuple[np.ndarray, float]] = {}
    for part, own in spells[spells["part_id"].isin(planned["part_id"].unique())].groupby(
        "part_id", sort=True
    ):
        seen_from_new = own[~own["open"].to_numpy(bool)]
        # Ages of pieces fitted before the records are guesses: they speak only where nothing else does.
        own = seen_from_new if seen_from_new["planned"].any() else own
        mine = own[own["planned"].to_numpy(bool)]
        age, weight = mine["exit"].to_numpy(float), mine["count"].to_numpy(float)
        bins = int(np.clip(4 * np.sqrt(weight.sum()), *PLANNED_BINS))
        width = float(age.max()) * 1.001 / (bins - 1)
        low = np.arange(bins) * width
        high = np.append(low[1:], np.inf)
        entry, exit_, count = (own[name].to_numpy(float)[:, None] for name in ("entry", "exit", "count"))
        watched = (count * np.maximum(np.minimum(exit_, high) - np.maximum(entry, low), 0.0)).sum(axis=0)
        place = np.minimum((age / width).astype(int), bins - 1)
        seen = np.bincount(place, weights=weight, minlength=bins)
        overall = seen.sum() / watched.sum()
        # Life table: planned work comes at sharp ages, where events over time watched would fall short.
        within = (exit_ > low) & (entry < high)
        cut = within & ((entry > low) | ((exit_ <= high) & ~own["planned"].to_numpy(bool)[:, None]))
        risk = (count * (within - 0.5 * cut)).sum(axis=0)
        chance = np.minimum((seen + PLANNED_PRIOR) / (risk + PLANNED_PRIOR / (overall * width)), SUREST)
        rate = -np.log1p(-chance) / width
        # Beyond the oldest planned replacement little is known: pieces that were passed over may stay.
        rate[-1] = (seen[-1] + 1.0) / (watched[-1] + 1.0 / overall)
        out[str(part)] = (rate, width)
    return out


def _notes(table: pd.DataFrame, posterior: PooledLives, parts: pd.DataFrame) -> list[dict[str, Any]]:
    def note(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
        return {
            "stage": "forecast",
            "name": name,
            "value": value,
            "unit": unit,
            "origin": origin,
            "meaning": meaning,
        }

    few = int((table["n_failed"] < 3).sum())
    families = table["family"].nunique()
    out = [
        note(
            "parts with lives pooled across kin",
            len(table),
            "parts",
            "estimated from replacements",
            f"{families} families (family, else supplier, else source); {few} parts with under 3 failures",
        )
    ]
    if np.isfinite(posterior.bias):
        out.append(
            note(
                "engineers' expected lives are too long by",
                float(np.exp(posterior.bias)),
                "times",
                "estimated from replacements",
                f"spread {posterior.expert_spread:g} in ln life; they inform parts with few failures",
            )
        )
    return out
