"""Regions, market stages and products that fail sooner or later than the mean: found, shrunk, explained.

A hazard ratio is a faster clock. In a Weibull law H(t) = (t / eta)^beta a hazard that is exp(g) times as high
at every age is the same as a clock that runs c = exp(g / beta) times as fast, since exp(g) (t / eta)^beta =
(c t / eta)^beta. Machines of a harsh region therefore need no law of their own: their use counts c times, and
one law per part serves all of them.

Effects are sought for all families together first, then for each family beside that. A covariate is kept
where the gain in log-likelihood could hardly be chance, and its levels are drawn towards 1 as far as the data
leave them in doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast.effect_search import Found, Search
from spareplan.forecast.proportional import Counts
from spareplan.tables.frames import require_columns

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

COVARIATES = ("region", "market_stage", "product_id")
ALL_FAMILIES = "*"
# Chance that a family without any effect keeps one.
FALSE_ALARM = 0.04
_SUMS = ("log_hazard_ratio", "se", "failures", "expected")
TABLE_COLUMNS = ("family", "covariate", "level", *_SUMS, "gain_nats", "needed", "kept", "verdict")
LEAST_FAILURES = 10.0
# Levels of one covariate that can have ratios of their own; the work grows with their square.
MOST_LEVELS, OTHER_LEVELS = 150, "(other levels)"


@dataclass(frozen=True)
class Effects:
    """Hazard ratios of groups of machines.

    Parameters
    ----------
    table : DataFrame
        A row per family ("*": all of them), covariate and level: family, covariate, level, log_hazard_ratio
        (0 where not kept), se, failures, expected (under what stands above it: the parts' baselines, for a
        family also the effects of all), gain_nats, kept, reason.
    covariates : tuple of str
        Columns that were looked at.
    """

    table: pd.DataFrame
    covariates: tuple[str, ...]

    def log_ratios(self, groups: pd.DataFrame) -> FloatArray:
        """Log hazard ratio of groups of machines.

        Parameters
        ----------
        groups : DataFrame
            family and the covariates; a level never seen counts as the mean.

        Returns
        -------
        ndarray, shape (len(groups),)
            Over the mean machine of the part.

        Raises
        ------
        DataError
            Missing columns.
        """
        require_columns(groups, ["family", *self.covariates], "groups")
        total = np.zeros(len(groups))
        kept = self.table[self.table["kept"]]
        if not len(kept) or not len(groups):
            return total
        family = _text(groups["family"])
        for covariate, rows in kept.groupby("covariate", sort=True):
            level = _text(groups[str(covariate)])
            known = pd.MultiIndex.from_frame(rows[["family", "level"]])
            ratio = np.append(rows["log_hazard_ratio"].to_numpy(), 0.0)
            for name in (pd.Series(ALL_FAMILIES, index=family.index), family):
                total += ratio[known.get_indexer(pd.MultiIndex.from_arrays([name, level]))]
        return total

    def factor(self, family: str, levels: Mapping[str, str]) -> float:
        """Hazard of one group of machines over that of the mean machine.

        Parameters
        ----------
        family : str
        levels : mapping
            Covariate to level; covariates left out count as the mean.

        Raises
        ------
        DataError
            A covariate that was never looked at.
        """
        strange = sorted(set(levels) - set(self.covariates))
        if strange:
            raise problem_in_argument(
                "factor", "levels", strange[0], "is no covariate", f"use {', '.join(self.covariates)}"
            )
        group = {name: levels.get(name, "\0") for name in self.covariates}
        row = pd.DataFrame([{"family": family, **group}])
        return float(np.exp(self.log_ratios(row)[0]))


def clock_factor(log_hazard_ratio: ArrayLike, shape: ArrayLike) -> FloatArray:
    """How many times as fast the clock of machines runs whose hazard is exp(log_hazard_ratio) times as high.

    Parameters
    ----------
    log_hazard_ratio : array-like
    shape : array-like
        Weibull shape beta of the part.

    Returns
    -------
    ndarray
        exp(log_hazard_ratio / beta).

    Raises
    ------
    DataError
        A shape of 0 or less.
    """
    beta = np.asarray(shape, dtype=float)
    if not (beta > 0).all():
        raise problem_in_argument("clock_factor", "shape", shape, "is not above 0", "give the Weibull shape")
    return np.exp(np.asarray(log_hazard_ratio, dtype=float) / beta)


def hazard_effects(
    table: pd.DataFrame,
    covariates: Sequence[str] | None = None,
    least_failures: float = LEAST_FAILURES,
    false_alarm: float = FALSE_ALARM,
) -> Effects:
    """Find what makes machines of one group fail sooner than those of another, per family and for all parts.

    Parameters
    ----------
    table : DataFrame
        A row per part and group of machines: part_id, family, the covariates, failures, expected. `expected`
        is what the part's own baseline expects of the group: lambda times the sum of exit^beta - entry^beta;
        a factor common to all groups of a part does not matter.
    covariates : sequence of str, optional
        Columns with levels; None: those of region, market_stage, product_id that are there.
    least_failures : float
        A family with fewer failures gets no effects of its own.
    false_alarm : float
        Chance that a family without any effect keeps one.

    Returns
    -------
    Effects

    Raises
    ------
    DataError
        Missing columns, negative or unreadable numbers, failures where none can be expected, a part in two
        families: all at once.

    Notes
    -----
    Forward selection by likelihood ratio: the covariate with the least p-value enters while p < false_alarm
    over the number of covariates that could. With three that is a penalty of 3.1 nats for one ratio and 10.4
    for nine: for a few hundred failures near BIC at few levels, and below it at many, where BIC sees nothing.
    Families that differ beyond chance, though none is sure alone, get ratios drawn towards those of all.
    Of a covariate with more than 150 levels, those with most failures are compared and the others taken
    together, which count as the mean.

    A shape fitted without the effects is too low, as a mixture of hardy and weak machines seems to age less,
    and ratios at too low a shape are too near 1 (a tenth at a shape of 1.68 instead of 1.93). Where something
    is kept, fit the shapes again on the faster clocks and call this a second time: two rounds come within a
    few per cent of the joint maximum, to which the rounds lead.
    """
    names = tuple(name for name in COVARIATES if name in table) if covariates is None else tuple(covariates)
    _check(table, names, least_failures, false_alarm)
    rows = table[(table["expected"] > 0).to_numpy()]
    family, level_names = _text(rows["family"]), {}
    failures, expected = rows["failures"].to_numpy(float), rows["expected"].to_numpy(float)
    codes = {}
    for name in names:
        codes[name], level_names[name] = _levels(rows[name], failures)
    part, parts = pd.factorize(_text(rows["part_id"]))
    family_code, families = pd.factorize(family, sort=True)
    failed = np.bincount(part, failures, minlength=len(parts)) > 0
    live = failed[part]
    search = Search(
        Counts(pd.factorize(part[live])[0], failures[live], expected[live]),
        family_code[live],
        len(families),
        {name: code[live] for name, code in codes.items()},
        {name: len(levels) for name, levels in level_names.items()},
        least_failures,
        false_alarm,
    )
    return Effects(_effects_table(search.run(), families, level_names), names)


def _levels(values: pd.Series, failures: FloatArray) -> tuple[IntArray, pd.Index]:
    """Number the levels by name; those beyond the ones with most failures share the last number."""
    code, names = pd.factorize(_text(values), sort=True)
    if len(names) <= MOST_LEVELS:
        return code, names
    seen = np.bincount(code, failures, minlength=len(names))
    told = np.sort(np.argsort(-seen, kind="stable")[: MOST_LEVELS - 1])
    number = np.full(len(names), MOST_LEVELS - 1)
    number[told] = np.arange(MOST_LEVELS - 1)
    return number[code], names[told].append(pd.Index([OTHER_LEVELS]))


def _effects_table(
    found: tuple[list[Found], list[Found]], families: pd.Index, names: dict[str, pd.Index]
) -> pd.DataFrame:
    columns: dict[str, list[np.ndarray]] = {name: [] for name in TABLE_COLUMNS}
    for items, labels in zip(found, (pd.Index([ALL_FAMILIES]), families)):
        for item in items:
            size = len(item.levels)
            values = (
                np.full(size, labels[item.stratum], dtype=object),
                np.full(size, item.covariate, dtype=object),
                np.asarray(names[item.covariate], dtype=object)[item.levels],
                *(item.ratio, item.error, item.failures, item.expected),
                *(np.full(size, value) for value in item.score),
            )
            for column, value in zip(columns.values(), values):
                column.append(value)
    table = pd.DataFrame(
        {name: np.concatenate(column) if column else np.empty(0) for name, column in columns.items()}
    )
    table["kept"] = table["kept"].astype(bool)
    table["reason"] = _reasons(table)
    return table.drop(columns=["needed", "verdict"])


def _reasons(table: pd.DataFrame) -> list[str]:
    out = []
    columns = ("log_hazard_ratio", "failures", "expected", "gain_nats", "needed", "verdict")
    for ratio, seen, awaited, gain, needed, verdict in zip(*(table[name] for name in columns)):
        if verdict == "few":
            out.append("too few failures to tell levels apart")
        elif verdict == "single":
            out.append("no part that failed stands in two levels: nothing to compare")
        elif verdict == "chance":
            out.append(f"levels differ no more than by chance: gain {gain:.1f} nats, {needed:.1f} needed")
        else:
            why = f"gain {gain:.1f} nats, {needed:.1f} needed"
            if verdict == "pooled":
                why = "families differ in this beyond chance, each drawn towards all"
            out.append(
                f"fails {np.exp(ratio):.2f} times as often as the mean machine: {seen:.4g} failures where "
                f"{awaited:.1f} were expected; {why}"
            )
    return out


def _text(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), "").astype(str)


def _check(
    table: pd.DataFrame, covariates: tuple[str, ...], least_failures: float, false_alarm: float
) -> None:
    if not 0 < false_alarm < 1:
        raise problem_in_argument(
            "hazard_effects", "false_alarm", false_alarm, "is no chance between 0 and 1", "use 0.05 or less"
        )
    if not least_failures > 0:
        raise problem_in_argument(
            "hazard_effects", "least_failures", least_failures, "is not above 0", "use 10"
        )
    require_columns(table, ["part_id", "family", *covariates, "failures", "expected"], "table")
    problems = []
    numbers = {
        name: pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        for name in ("failures", "expected")
    }
    faults = [
        (name, ~(np.isfinite(values) & (values >= 0)), "is no finite number of 0 or more", "mend it")
        for name, values in numbers.items()
    ]
    impossible = (numbers["failures"] > 0) & (numbers["expected"] == 0)
    faults += [
        ("expected", impossible, "is 0 where something failed", "give the time that was watched"),
        ("part_id", table["part_id"].isna().to_numpy(), "is empty", "name the part"),
    ]
    homes = table.assign(family=_text(table["family"])).groupby("part_id")["family"]
    split = (homes.transform("nunique") > 1).to_numpy()
    faults.append(("family", split, "differs between rows of one part", "give each part one family"))
    reserved = (_text(table["family"]) == ALL_FAMILIES).to_numpy()
    faults.append(("family", reserved, "stands for all families", "rename the family"))
    for name, wrong, rule, remedy in faults:
        problems += [
            Problem("table", int(row) + 2, name, str(table[name].iloc[row]), rule, remedy)
            for row in np.flatnonzero(wrong)
        ]
    if problems:
        raise DataError(problems)
