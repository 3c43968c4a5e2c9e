"""Repairable assemblies that fail again and again: power law and mean cumulative function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast.clock_choice import spell_evidence
from spareplan.forecast.likelihood import Spells, fit_weibull
from spareplan.tables.frames import check_keys, positions, require_columns

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class RecurrentFit(NamedTuple):
    """Recurrent failures of every key.

    Parameters
    ----------
    power_law : DataFrame
        A row per key: [by], shape (beta), scale (eta), shape_se, scale_se, loglik, n_events, n_units,
        total_time, method. Expected events of one unit by age t are (t / scale)^shape.
    mean_cumulative : DataFrame
        A row per key and event age: [by], age, at_risk, events, mean_cumulative, standard_error.
    """

    power_law: pd.DataFrame
    mean_cumulative: pd.DataFrame


def fit_recurrent(
    events: pd.DataFrame,
    windows: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    unit: str = "unit_id",
    age: str = "age",
) -> RecurrentFit:
    """Fit failures that do not renew the item: it is repaired to the state it was in.

    Parameters
    ----------
    events : DataFrame
        [by], `unit`, `age`: a row per failure. [age in one unit]
    windows : DataFrame
        [by], `unit`, end [, start]: ages between which each item was watched (start 0); items without any
        failure belong here too.
    by : str or sequence of str, optional
        Key columns; None: all items are alike and the result has no key column.
    unit, age : str
        Names of the item's and the age column.

    Returns
    -------
    RecurrentFit

    Raises
    ------
    DataError
        Missing columns, doubled items, events of unknown items or outside their window.

    Notes
    -----
    Power law: the intensity is (beta / eta)(t / eta)^(beta - 1) and an item's windows add (end / eta)^beta -
    (start / eta)^beta, so the likelihood is the Weibull's with the pieces between two events as late entries.
    Mean cumulative function: events over items at risk, summed over the ages; its standard error is robust to
    differences between items [1]_.

    References
    ----------
    .. [1] Nelson (2003), Recurrent Events Data Analysis, ch. 4.
    .. [2] Crow (1974), in Proschan & Serfling (eds), Reliability and Biometry, 379-410.
    """
    keys = [] if by is None else [by] if isinstance(by, str) else list(by)
    watch = _watched(events, windows, keys, unit, age)
    return RecurrentFit(_power_laws(watch), _mean_cumulative(watch))


def expected_repairs(
    shape: ArrayLike, scale: ArrayLike, age: ArrayLike, horizon: float, step: float
) -> FloatArray:
    """Expected failures of repaired assemblies per step ahead, by the power law of the machine's age.

    Parameters
    ----------
    shape, scale, age : array-like, broadcast to (n,)
        Power law and the assembly's age today, failures since then not subtracted: repair leaves the age.
        [age and scale in one unit]
    horizon, step : float
        How far ahead, and in steps of what length. [the unit of the ages]

    Returns
    -------
    ndarray, shape (n, ceil(horizon / step))
        ((age + t2) / scale)^shape - ((age + t1) / scale)^shape; the last step may be shorter. Counts are
        Poisson given the law.

    Raises
    ------
    DataError
        Shape, scale, horizon or step that are not above 0, negative ages.
    """
    for name, value, least in (
        ("shape", shape, "above 0"),
        ("scale", scale, "above 0"),
        ("horizon", horizon, "above 0"),
        ("step", step, "above 0"),
        ("age", age, "0 or more"),
    ):
        number = np.asarray(value, dtype=float)
        fine = number >= 0 if name == "age" else number > 0
        if not (fine & np.isfinite(number)).all():
            raise problem_in_argument("expected_repairs", name, value, f"is not {least}", "mend it")
    shapes, scales, ages = np.broadcast_arrays(*(np.atleast_1d(each) for each in (shape, scale, age)))
    edges = np.minimum(np.arange(int(np.ceil(horizon / step - 1e-9)) + 1) * step, horizon)
    until = ((ages[:, None] + edges) / scales[:, None]) ** shapes[:, None]
    return np.asarray(np.diff(until, axis=1), dtype=float)


def recurrence_evidence(
    events: pd.DataFrame,
    windows: pd.DataFrame,
    by: str | Sequence[str] = "part_id",
    unit: str = "unit_id",
    age: str = "age",
) -> pd.DataFrame:
    """Log evidence of every key under renewal and under repair that leaves the age.

    Parameters
    ----------
    events, windows, by, unit, age
        As in `fit_recurrent`. An assembly that was replaced by a new one is a new item from then on.

    Returns
    -------
    DataFrame
        A row per key, sorted: `by`, failures (that are compared), repeats (those after a failure of the same
        item: only they can tell the two apart), renewed, repaired, gain_nats = renewed - repaired.

    Raises
    ------
    DataError
        As `fit_recurrent`.

    Notes
    -----
    Renewed: the next failure depends on the time since the last one. Repaired: on the age of the item, as if
    the last one had not been. Of an item watched from an age above 0 the last failure before is not known,
    so both models start at its first failure. Failures at one age of one item count once. Both laws are
    Weibull with the same prior; at shape 1 they are one and the same, and no data tell them apart. Several
    alike pieces in one item whose position is unknown look repaired whatever they are: judge single ones.

    References
    ----------
    .. [1] Ascher & Feingold (1984), Repairable Systems Reliability, ch. 1: "bad as old", "good as new".
    """
    keys = [by] if isinstance(by, str) else list(by)
    watch = _watched(events, windows, keys, unit, age)
    once = np.ones(len(watch.age), dtype=bool)
    once[1:] = (np.diff(watch.item) != 0) | (np.diff(watch.age) > 0)
    item, when = watch.item[once], watch.age[once]
    first = np.diff(item, prepend=-1) != 0
    late = watch.start > 0
    before = np.where(first, watch.start[item], np.roll(when, 1)) if len(when) else when
    compared = ~(first & late[item])
    last = watch.start.copy()
    np.maximum.at(last, item, when)
    tail = (last < watch.end) & ~(late & (last == watch.start))
    begin = np.concatenate([before[compared], last[tail]])
    end = np.concatenate([when[compared], watch.end[tail]])
    failed = np.concatenate([np.ones(compared.sum(), bool), np.zeros(tail.sum(), bool)])
    key = np.concatenate([watch.key[item][compared], watch.key[tail]])
    order = np.argsort(key, kind="stable")
    begin, end, failed, key = begin[order], end[order], failed[order], key[order]
    there = np.unique(key)
    starts = np.searchsorted(key, there)
    size = len(watch.names)
    found = {}
    for name, entry, exit_ in (("renewed", np.zeros(len(end)), end - begin), ("repaired", begin, end)):
        found[name] = np.zeros(size)
        found[name][there] = spell_evidence(Spells(starts, entry, exit_, failed, np.ones(len(end))))
    out = watch.names.copy()
    out["failures"] = np.bincount(key, failed, minlength=size)
    out["repeats"] = np.bincount(watch.key[item], ~first, minlength=size)
    out["renewed"], out["repaired"] = found["renewed"], found["repaired"]
    out["gain_nats"] = out["renewed"] - out["repaired"]
    return out


class _Watched(NamedTuple):
    """Items sorted by key, their windows, and their failures sorted by item and age."""

    names: pd.DataFrame
    key: NDArray[Any]
    start: FloatArray
    end: FloatArray
    item: NDArray[Any]
    age: FloatArray


def _watched(events: pd.DataFrame, windows: pd.DataFrame, keys: list[str], unit: str, age: str) -> _Watched:
    """Check both tables, naming every fault, and turn them into arrays."""
    require_columns(events, [*keys, unit, age], "events")
    require_columns(windows, [*keys, unit, "end"], "windows")
    check_keys(windows, [*keys, unit], "windows")
    problems: list[Problem] = []
    if not len(windows):
        problems.append(
            Problem("windows", 0, "", "", "has no row", "give the ages between which items were seen")
        )
    end = _numbers(windows["end"])
    start = _numbers(windows["start"]) if "start" in windows else np.zeros(len(windows))
    wrong = ~((end > start) & (start >= 0) & np.isfinite(end))
    problems += _named(
        "windows", "end", windows["end"], wrong, "is not above start (0 or more)", "mend the ages"
    )
    item = positions(events[[*keys, unit]], windows[[*keys, unit]])
    unknown = item < 0
    problems += _named(
        "events", unit, events[unit], unknown, "is not in windows", "add its window or drop the row"
    )
    when = _numbers(events[age])
    if len(windows):
        outside = ~unknown & ~((when > start[item]) & (when <= end[item]))
        problems += _named(
            "events",
            age,
            events[age],
            outside,
            "lies outside the item's window",
            "mend the age or the window",
        )
    if problems:
        raise DataError(problems)
    if keys:
        groups = windows.groupby(keys, sort=True)
        key = groups.ngroup().to_numpy(dtype=np.int64)
        names = groups.size().reset_index()[keys]
    else:
        key, names = (
            np.zeros(len(windows), dtype=np.int64),
            pd.DataFrame(index=range(1)),
        )
    place = np.argsort(key, kind="stable")
    rank = np.empty(len(place), dtype=np.int64)
    rank[place] = np.arange(len(place))
    item = rank[item]
    order = np.lexsort((when, item))
    return _Watched(names, key[place], start[place], end[place], item[order], when[order])


def _numbers(values: pd.Series) -> FloatArray:
    return np.asarray(pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan))


def _named(
    table: str, column: str, values: pd.Series, wrong: NDArray[np.bool_], rule: str, remedy: str
) -> list[Problem]:
    return [
        Problem(table, int(row) + 2, column, str(values.iloc[row]), rule, remedy)
        for row in np.flatnonzero(wrong)
    ]


def _power_laws(watch: _Watched) -> pd.DataFrame:
    """Weibull likelihood over the pieces between events: their powers telescope to the items' windows."""
    item, age = watch.item, watch.age
    first = np.diff(item, prepend=-1) != 0
    entry = np.where(first, watch.start[item], np.roll(age, 1)) if len(age) else age
    last = watch.start.copy()
    np.maximum.at(last, item, age)
    key = np.concatenate([watch.key[item], watch.key])
    order = np.argsort(key, kind="stable")
    spells = Spells(
        np.searchsorted(key[order], np.arange(len(watch.names))),
        np.concatenate([entry, last])[order],
        np.concatenate([age, watch.end])[order],
        np.concatenate([np.ones(len(age), bool), np.zeros(len(last), bool)])[order],
        np.ones(len(key)),
    )
    size = len(watch.names)
    columns: dict[Any, Any] = {name: watch.names[name].array for name in watch.names}
    columns |= zip(("shape", "scale", "shape_se", "scale_se", "loglik"), fit_weibull(spells))
    columns["n_events"] = np.bincount(watch.key[item], minlength=size).astype(np.int64)
    columns["n_units"] = np.bincount(watch.key, minlength=size).astype(np.int64)
    columns["total_time"] = np.bincount(watch.key, watch.end - watch.start, minlength=size).astype(float)
    columns["method"] = np.where(np.isfinite(columns["shape"]), "mle", "none")
    return pd.DataFrame(columns)


def _mean_cumulative(watch: _Watched) -> pd.DataFrame:
    """Events over items at risk, summed over the ages of each key.

    The robust variance is the sum over items of their squared cumulated residuals r_i, which at each age all
    fall by a = events / at_risk² and rise by m = own events / at_risk. Its steps need only the sum of r_i
    over the items at risk and r_i of those that fail, so the cost is that of sorting.
    """
    values, rank = np.unique(np.concatenate([watch.start, watch.end, watch.age]), return_inverse=True)
    width, items = max(len(values), 1), len(watch.key)
    begin, finish = watch.key * width + rank[:items], watch.key * width + rank[items : 2 * items]
    times, which = np.unique(watch.key[watch.item] * width + rank[2 * items :], return_inverse=True)
    key = times // width
    opening = np.searchsorted(times, key * width)
    by_start, by_end = np.sort(begin), np.argsort(finish, kind="stable")
    ends = finish[by_end]
    started = np.searchsorted(by_start, times) - np.searchsorted(by_start, key * width)
    ended = _slice(ends, times, key * width)
    at_risk = (started - (ended[1] - ended[0])).astype(float)
    happened = np.bincount(which, minlength=len(times)).astype(float)
    rise = happened / at_risk
    fall = happened / at_risk**2
    before = _before(rise, opening)
    fallen = _before(fall, opening)
    # Own events per item and age, and what each item had cumulated before.
    cell, count = np.unique(watch.item * max(len(times), 1) + which, return_counts=True)
    owner, at = cell // max(len(times), 1), cell % max(len(times), 1)
    own = count / at_risk[at]
    first = np.searchsorted(owner, owner)
    total = np.bincount(owner, own, minlength=items)
    through = np.append(fallen, 0.0)
    place = np.searchsorted(times, begin, side="right")
    inside = place < len(times)
    inside[inside] = key[place[inside]] == watch.key[inside]
    closing = np.bincount(key, fall, minlength=len(watch.names)) if len(key) else np.zeros(len(watch.names))
    at_start = np.where(inside, through[np.minimum(place, len(times))], closing[watch.key])
    residual = _before(own, first) - (fallen[at] - at_start[owner])
    # Sum over the items at risk: their own rises, less the falls since they started.
    left = _sums(total[by_end], *ended)
    open_starts = np.argsort(begin, kind="stable")
    entered = _slice(begin[open_starts], times, key * width)
    falls = _sums(at_start[open_starts], *entered) - _sums(at_start[by_end], *ended)
    together = before - left - at_risk * fallen + falls
    step = -2 * fall * together + at_risk * fall**2
    step += np.bincount(at, 2 * (residual - fall[at]) * own + own**2, minlength=len(times))
    variance = _before(step, opening) + step
    columns: dict[Any, Any] = {name: watch.names[name].take(key).array for name in watch.names}
    columns |= {"age": values[times % width], "at_risk": at_risk, "events": happened}
    columns |= {"mean_cumulative": before + rise, "standard_error": np.sqrt(np.maximum(variance, 0.0))}
    return pd.DataFrame(columns)


def _slice(ordered: IntArray, until: IntArray, since: IntArray) -> tuple[IntArray, IntArray]:
    """First and last place of the codes in [since, until) among ordered ones."""
    return np.searchsorted(ordered, since), np.searchsorted(ordered, until)


def _sums(values: NDArray[Any], low: IntArray, high: IntArray) -> FloatArray:
    """Sums of values[low:high]."""
    run = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(run[high] - run[low])


def _before(values: FloatArray, opening: IntArray) -> FloatArray:
    """Sum of the values before each one, from the opening of its own run."""
    run = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(run[:-1] - run[opening])
