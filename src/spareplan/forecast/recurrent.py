"""Repairable assemblies that fail again and again: power law and mean cumulative function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.forecast.likelihood import Spells, fit_weibull


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
    events, windows = _checked(events, windows, keys, unit, age)
    laws, curves = [], []
    groups = windows.groupby(keys, sort=True) if keys else [((), windows)]
    by_key: dict[Any, pd.DataFrame] = dict(list(events.groupby(keys, sort=True))) if keys else {(): events}
    for key, items in groups:
        named: dict[str, Any] = dict(zip(keys, key if isinstance(key, tuple) else (key,)))
        own = by_key.get(key, events.iloc[:0])
        laws.append(named | _power_law(own[unit].to_numpy(), own[age].to_numpy(float), items, unit))
        curve = _mean_cumulative(own[unit].to_numpy(), own[age].to_numpy(float), items, unit)
        for name in reversed(keys):
            curve.insert(0, name, named[name])
        curves.append(curve)
    return RecurrentFit(pd.DataFrame(laws), pd.concat(curves, ignore_index=True))


def _checked(
    events: pd.DataFrame, windows: pd.DataFrame, keys: list[str], unit: str, age: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    problems = [
        Problem("events", 0, name, "", "is missing", "add the column")
        for name in [*keys, unit, age]
        if name not in events
    ]
    problems += [
        Problem("windows", 0, name, "", "is missing", "add the column")
        for name in [*keys, unit, "end"]
        if name not in windows
    ]
    if problems:
        raise DataError(problems)
    windows = windows.assign(start=windows["start"].astype(float) if "start" in windows else 0.0)
    doubled = windows.duplicated([*keys, unit]).to_numpy()
    start, end = windows["start"].to_numpy(float), windows["end"].to_numpy(float)
    problems += [
        Problem("windows", int(row) + 2, unit, str(windows[unit].iloc[row]), "stands twice", "keep one row")
        for row in np.flatnonzero(doubled)
    ]
    problems += [
        Problem(
            "windows", int(row) + 2, "end", str(end[row]), "is not above start (0 or more)", "mend the ages"
        )
        for row in np.flatnonzero(~((end > start) & (start >= 0) & np.isfinite(end)))
    ]
    if problems:
        raise DataError(problems)
    placed = events.reset_index(drop=True).merge(
        windows[[*keys, unit, "start", "end"]], on=[*keys, unit], how="left"
    )
    when = placed[age].to_numpy(float)
    unknown = placed["end"].isna().to_numpy()
    outside = ~unknown & ~((when > placed["start"].to_numpy()) & (when <= placed["end"].to_numpy()))
    problems += [
        Problem(
            "events",
            int(row) + 2,
            unit,
            str(placed[unit].iloc[row]),
            "is not in windows",
            "add its window or drop the row",
        )
        for row in np.flatnonzero(unknown)
    ]
    problems += [
        Problem(
            "events",
            int(row) + 2,
            age,
            str(when[row]),
            "lies outside the item's window",
            "mend the age or the window",
        )
        for row in np.flatnonzero(outside)
    ]
    if problems:
        raise DataError(problems)
    return placed, windows


def _power_law(item: np.ndarray, age: np.ndarray, items: pd.DataFrame, unit: str) -> dict[str, object]:
    """Weibull likelihood over the pieces between events: their powers telescope to the items' windows."""
    ids, start, end = items[unit].to_numpy(), items["start"].to_numpy(float), items["end"].to_numpy(float)
    position = pd.Index(ids).get_indexer(pd.Index(item))
    order = np.lexsort((age, position))
    position, age = position[order], age[order]
    first = np.diff(position, prepend=-1) != 0
    entry = np.where(first, start[position], np.roll(age, 1)) if len(age) else age
    last = start.copy()
    np.maximum.at(last, position, age)
    spells = Spells(
        np.array([0]),
        np.concatenate([entry, last]),
        np.concatenate([age, end]),
        np.concatenate([np.ones(len(age), bool), np.zeros(len(end), bool)]),
        np.ones(len(age) + len(end)),
    )
    fit = fit_weibull(spells)
    names = ("shape", "scale", "shape_se", "scale_se", "loglik")
    out: dict[str, object] = {name: float(values[0]) for name, values in zip(names, fit)}
    return out | {
        "n_events": len(age),
        "n_units": len(ids),
        "total_time": float((end - start).sum()),
        "method": "mle" if np.isfinite(fit.first[0]) else "none",
    }


def _mean_cumulative(item: np.ndarray, age: np.ndarray, items: pd.DataFrame, unit: str) -> pd.DataFrame:
    ids, start, end = items[unit].to_numpy(), items["start"].to_numpy(float), items["end"].to_numpy(float)
    position = pd.Index(ids).get_indexer(pd.Index(item))
    times, which = np.unique(age, return_inverse=True)
    happened = np.bincount(which, minlength=len(times)).astype(float)
    # At risk at t: started before it and not ended before it.
    at_risk = (
        np.searchsorted(np.sort(start), times, side="left")
        - np.searchsorted(np.sort(end), times, side="left")
    ).astype(float)
    mean = np.cumsum(happened / at_risk) if len(times) else np.empty(0)
    return pd.DataFrame(
        {
            "age": times,
            "at_risk": at_risk,
            "events": happened,
            "mean_cumulative": mean,
            "standard_error": _robust_error(position, which, times, happened, at_risk, start, end),
        }
    )


def _robust_error(
    position: np.ndarray,
    which: np.ndarray,
    times: np.ndarray,
    happened: np.ndarray,
    at_risk: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
) -> np.ndarray:
    """Square root of the sum over items of their squared cumulated residuals."""
    expected = np.cumsum(np.concatenate([[0.0], happened / at_risk**2]))
    total = np.zeros(len(times))
    for number in range(len(start)):
        own = np.bincount(which[position == number], minlength=len(times)) / np.maximum(at_risk, 1)
        low, high = (
            np.searchsorted(times, start[number], side="right"),
            np.searchsorted(times, end[number], side="right"),
        )
        seen = np.clip(np.arange(1, len(times) + 1), low, high)
        total += (np.cumsum(own) - (expected[seen] - expected[low])) ** 2
    return np.sqrt(total)
