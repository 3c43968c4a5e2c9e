"""How strongly recorded use wears a part: the clock of sum exp(g x), with g found by likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, FitError, Problem
from spareplan.forecast.likelihood import Spells, fit_weibull
from spareplan.tables.frames import check_keys, require_columns

FloatArray = NDArray[np.float64]

# Effects tried, in standard deviations of x; the grid grows where the best stands at its edge.
GRID = np.linspace(-1.0, 3.0, 17)
WIDENINGS = 3
# Half the 95 % quantile of chi-squared with one degree of freedom.
INTERVAL_NATS = 1.9207


class UseEffect(NamedTuple):
    """Profile of the effect g of a use covariate.

    Parameters
    ----------
    table : DataFrame
        A row per effect tried, rising: effect, shape, scale, loglik (per unit of calendar time), gain_nats
        over effect 0, the calendar.
    best : float
        Effect of the highest likelihood. [1 / unit of x]
    low, high : float
        Likelihood interval of 95 %; the edge of the table where the profile stays inside.
    gain_nats : float
        Gain of the best over the calendar. One more parameter is worth 1.9 nats by chance in 1 of 20 sets.
    """

    table: pd.DataFrame
    best: float
    low: float
    high: float
    gain_nats: float


def profile_use_effect(
    spells: pd.DataFrame,
    usage: pd.DataFrame,
    effects: Sequence[float] | None = None,
    unit: str = "unit_id",
) -> UseEffect:
    """Profile likelihood of a clock that runs as fast as exp(g x), x a use recorded period by period.

    Parameters
    ----------
    spells : DataFrame
        `unit`, exit, failed [, entry (0)] [, count (1)]: calendar ages of one part. [one unit of time]
    usage : DataFrame
        `unit`, time, x: a reading holds from its time to the next one, the first also before it and the last
        also after it. [time as the ages]
    effects : sequence of float, optional
        Values of g tried; None: from -1 to 3 standard deviations of x, wider where the best is at the edge.
    unit : str
        Column that names the machine.

    Returns
    -------
    UseEffect

    Raises
    ------
    DataError
        Missing columns, machines without readings, doubled or unreadable readings, ages that do not rise.
    FitError
        Nothing failed, or no effect has a likelihood with a maximum.

    Notes
    -----
    Age is u = integral of exp(g x); the log-likelihood of u gets g x(at failure) for each failure, so that
    all effects are compared per unit of calendar time [1]_. g = 0 is the calendar. The effect is not 1 even
    where x is a log use rate: half of the wear may come with the days.

    References
    ----------
    .. [1] Hong & Meeker (2013), Technometrics 55(2), 135-149.
    """
    spells, usage = _checked(spells, usage, unit)
    paths = _Paths(spells, usage, unit)
    if not paths.failed.any():
        raise FitError("no use effect without a failure: all spells are censored")
    spread = float(usage["x"].std(ddof=0)) or 1.0
    grid = GRID / spread if effects is None else np.unique(np.asarray(list(effects), dtype=float))
    table = paths.fit(np.union1d(grid, [0.0]))
    if effects is None:
        for _ in range(WIDENINGS):
            at = int(table["loglik"].fillna(-np.inf).argmax())
            if 0 < at < len(table) - 1:
                break
            step = 0.5 / spread * np.arange(1, 9)
            more = table["effect"].iloc[-1] + step if at else table["effect"].iloc[0] - step
            table = _joined(table, paths.fit(more))
        for _ in range(3):
            table = _joined(table, paths.fit(_around(table)))
    known = table["loglik"].notna()
    if not known.any():
        raise FitError("no effect of use has a likelihood with a maximum; more failures are needed")
    calendar = float(table.loc[table["effect"] == 0, "loglik"].iloc[0])
    table["gain_nats"] = table["loglik"] - calendar
    top = int(table["loglik"].fillna(-np.inf).argmax())
    loglik, effect = table["loglik"].to_numpy(float), table["effect"].to_numpy(float)
    low, high = _interval(table[known], loglik[top] - INTERVAL_NATS)
    return UseEffect(table, float(effect[top]), low, high, float(loglik[top] - calendar))


class _Paths:
    """Use of every machine as a step function, and the spells upon it."""

    def __init__(self, spells: pd.DataFrame, usage: pd.DataFrame, unit: str) -> None:
        usage = usage.sort_values([unit, "time"], kind="stable")
        code, names = pd.factorize(usage[unit])
        first = np.diff(code, prepend=-1) != 0
        self.begin = np.where(first, 0.0, usage["time"].to_numpy(float))
        # Centred, so that exp(g x) stays in range; a constant factor of the clock changes no comparison.
        x = usage["x"].to_numpy(float)
        self.x = x - x.mean()
        self.starts = np.flatnonzero(first)
        self.machine = code
        machine = pd.Index(names).get_indexer(pd.Index(spells[unit]))
        self.exit, self.entry = spells["exit"].to_numpy(float), spells["entry"].to_numpy(float)
        self.failed, self.count = spells["failed"].to_numpy(bool), spells["count"].to_numpy(float)
        self.row_exit, self.row_entry = (self._row(machine, age) for age in (self.exit, self.entry))

    def _row(self, machine: NDArray[np.int64], age: FloatArray) -> NDArray[np.int64]:
        """Reading that holds just before an age."""
        span = max(float(self.begin.max()), float(age.max())) + 1.0
        keys = self.machine * span + self.begin
        row = np.searchsorted(keys, machine * span + age, side="left") - 1
        return np.maximum(row, self.starts[machine])

    def fit(self, effects: FloatArray) -> pd.DataFrame:
        """Weibull fits at some effects, all at once."""
        effects = np.atleast_1d(effects)
        held = np.append(self.begin[1:], 0.0) - self.begin
        held[np.append(self.starts[1:] - 1, len(held) - 1)] = 0.0
        ages = {"entry": [], "exit": []}  # type: dict[str, list[FloatArray]]
        jacobian = np.empty(len(effects))
        for number, effect in enumerate(effects):
            speed = np.exp(effect * self.x)
            run = np.cumsum(speed * held)
            before = np.concatenate([[0.0], run[:-1]])
            before -= before[self.starts[self.machine]]
            for name, age, row in (("entry", self.entry, self.row_entry), ("exit", self.exit, self.row_exit)):
                ages[name].append(before[row] + speed[row] * (age - self.begin[row]))
            jacobian[number] = effect * (self.x[self.row_exit] * self.failed * self.count).sum()
        rows = len(self.exit)
        spells = Spells(
            np.arange(len(effects)) * rows,
            np.concatenate(ages["entry"]),
            np.concatenate(ages["exit"]),
            np.tile(self.failed, len(effects)),
            np.tile(self.count, len(effects)),
        )
        fit = fit_weibull(spells)
        return pd.DataFrame(
            {"effect": effects, "shape": fit.first, "scale": fit.second, "loglik": fit.loglik + jacobian}
        )


def _joined(table: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    both = pd.concat([table, more], ignore_index=True).drop_duplicates("effect")
    return both.sort_values("effect", ignore_index=True)


def _around(table: pd.DataFrame) -> FloatArray:
    """Effects between the best one and its neighbours, and where the interval should end."""
    effect, loglik = table["effect"].to_numpy(), table["loglik"].fillna(-np.inf).to_numpy()
    at = int(loglik.argmax())
    low, high = max(at - 1, 0), min(at + 1, len(effect) - 1)
    near = np.linspace(effect[low], effect[high], 9)[1:-1]
    inside = loglik >= loglik[at] - INTERVAL_NATS
    edges = np.flatnonzero(np.diff(inside.astype(int)) != 0)
    between = [np.linspace(effect[edge], effect[edge + 1], 5)[1:-1] for edge in edges]
    return np.setdiff1d(np.concatenate([near, *between]), effect)


def _interval(table: pd.DataFrame, level: float) -> tuple[float, float]:
    """Ends of the run of effects above a level, by straight lines between the effects tried."""
    effect, loglik = table["effect"].to_numpy(), table["loglik"].to_numpy()
    at = int(loglik.argmax())
    below = loglik < level
    ends = []
    for side, step in ((np.flatnonzero(below[:at])[::-1], 1), (np.flatnonzero(below[at:]) + at, -1)):
        if not len(side):
            ends.append(float(effect[0] if step == 1 else effect[-1]))
            continue
        out, inner = int(side[0]), int(side[0]) + step
        share = (level - loglik[out]) / (loglik[inner] - loglik[out])
        ends.append(float(effect[out] + share * (effect[inner] - effect[out])))
    return ends[0], ends[1]


def _checked(spells: pd.DataFrame, usage: pd.DataFrame, unit: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    require_columns(spells, [unit, "exit", "failed"], "spells")
    require_columns(usage, [unit, "time", "x"], "usage")
    check_keys(usage, [unit, "time"], "usage")
    spells = spells.assign(entry=spells.get("entry", 0.0), count=spells.get("count", 1.0))
    problems = []
    numbers = {
        (table, name): pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        for table, frame, names in (
            ("spells", spells, ("entry", "exit", "failed", "count")),
            ("usage", usage, ("time", "x")),
        )
        for name in names
    }
    entry, exit_ = numbers["spells", "entry"], numbers["spells", "exit"]
    failed, count = numbers["spells", "failed"], numbers["spells", "count"]
    faults = [
        (
            "spells",
            "exit",
            ~((entry >= 0) & (exit_ > entry) & np.isfinite(exit_)),
            "is not above entry",
            "mend it",
        ),
        ("spells", "failed", ~np.isin(failed, (0, 1)), "is neither true nor false", "write 1 or 0"),
        ("spells", "count", ~(np.isfinite(count) & (count >= 0)), "is no number of 0 or more", "mend it"),
        ("usage", "time", ~(numbers["usage", "time"] >= 0), "is no age of 0 or more", "mend it"),
        ("usage", "x", ~np.isfinite(numbers["usage", "x"]), "is no finite number", "drop the reading"),
    ]
    given = {"spells": spells, "usage": usage}
    for table, name, wrong, rule, remedy in faults:
        problems += [
            Problem(table, int(row) + 2, name, str(given[table][name].iloc[row]), rule, remedy)
            for row in np.flatnonzero(wrong)
        ]
    unknown = ~spells[unit].isin(usage[unit]).to_numpy()
    problems += [
        Problem(
            "spells",
            int(row) + 2,
            unit,
            str(spells[unit].iloc[row]),
            "has no reading in usage",
            "add its use or drop the row",
        )
        for row in np.flatnonzero(unknown)
    ]
    if not len(spells):
        problems.append(Problem("spells", 0, "", "", "has no row", "give at least one machine"))
    if problems:
        raise DataError(problems)
    read = {name: numbers["spells", name] for name in ("entry", "exit", "count")}
    spells = spells.assign(**read, failed=failed > 0)
    return spells, usage.assign(time=numbers["usage", "time"], x=numbers["usage", "x"])
