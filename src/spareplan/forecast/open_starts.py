"""How old the pieces were that had been fitted before the records began.

A machine older than the records may still have carried its first piece then, or a later one. Under a life law
the age of the piece in place is known as a distribution, and what happened afterwards sharpens it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.likelihood import FloatArray

# Edges of the age classes of a later piece. [scales]
AGE_EDGES = np.array([0.0, 0.1, 0.25, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.2, 3.5])
SMALLEST_WEIGHT = 0.02
_SHAPE_GRID = np.exp(np.linspace(np.log(0.4), np.log(8.0), 25))
_TABLE_STEP, _TABLE_END = 0.05, 20.0


def possible_ages(
    start: FloatArray,
    ahead: FloatArray,
    shape: FloatArray,
    scale: FloatArray,
    planned_rate: FloatArray | None = None,
    planned_width: float = 1.0,
    failed: NDArray[np.bool_] | None = None,
    planned: NDArray[np.bool_] | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weigh the ages that pieces may have had when the records began.

    Parameters
    ----------
    start : ndarray, shape (rows,)
        Age of the machine then. [hours or days]
    ahead : ndarray, shape (rows,)
        How long the piece was watched since. [hours or days]
    shape, scale : ndarray, shape (rows,)
        Weibull law of each row's part. [-, hours or days]
    planned_rate : ndarray, shape (bins,), optional
        Planned replacements by age bin of `planned_width`: few pieces grow older than they allow.
        [1 / (hours or days)]
    planned_width : float
        [hours or days]
    failed, planned : ndarray of bool, shape (rows,), optional
        How the watch ended; None: all pieces are still there.

    Returns
    -------
    tuple of ndarray, shapes (rows, ages)
        Age then, age at the end of the watch, weight; weights of a row add up to 1.

    Notes
    -----
    With x0 the machine's age then, the piece is the first one with weight S(x0), or was fitted a ago with
    weight m(x0 - a) S(a) da (m the renewal density); both times the likelihood of what followed [1]_.

    References
    ----------
    .. [1] Cox (1962), Renewal Theory, ch. 5: backward recurrence time.
    """
    x0, watched = start / scale, ahead / scale
    span = np.ones(len(scale))
    if planned_rate is not None:
        span = np.minimum(1.0, planned_width * len(planned_rate) / scale)
    low = np.minimum(AGE_EDGES[:-1] * span[:, None], x0[:, None])
    high = np.minimum(AGE_EDGES[1:] * span[:, None], x0[:, None])
    age = np.column_stack([0.5 * (low + high), x0])
    b = shape[:, None]
    density = _renewal_density(shape, x0[:, None] - age[:, :-1])
    if planned_rate is not None:
        # A machine older than the planned age may have seen planned replacements, at any time of its cycle.
        chance = -np.expm1(-planned_sum(planned_rate, planned_width, span * scale))[:, None]
        density = density + chance * (x0[:, None] - age[:, :-1] >= span[:, None]) / span[:, None]
    with np.errstate(divide="ignore", under="ignore"):
        log_weight = np.log(density * (high - low)) - age[:, :-1] ** b
        log_weight = np.column_stack([log_weight, -(x0**shape)])
        after = age + watched[:, None]
        log_weight += age**b - after**b
        if failed is not None:
            log_weight += np.where(failed[:, None], (b - 1) * np.log(after), 0.0)
        if planned_rate is not None:
            ended = after * scale[:, None]
            log_weight -= planned_sum(planned_rate, planned_width, ended)
            if planned is not None:
                now = np.minimum((ended / planned_width).astype(int), len(planned_rate) - 1)
                log_weight += np.where(planned[:, None], np.log(np.maximum(planned_rate[now], 1e-300)), 0.0)
    top = log_weight.max(axis=1, keepdims=True)
    weight = np.exp(log_weight - np.where(np.isfinite(top), top, 0.0))
    weight[~np.isfinite(top[:, 0])] = np.append(np.zeros(age.shape[1] - 1), 1.0)
    weight /= weight.sum(axis=1, keepdims=True)
    weight[weight < SMALLEST_WEIGHT] = 0.0
    weight /= weight.sum(axis=1, keepdims=True)
    return age * scale[:, None], after * scale[:, None], weight


def weigh_open_starts(
    spells: pd.DataFrame,
    shape: FloatArray,
    scale: FloatArray,
    planned_rate: FloatArray | None = None,
    planned_width: float = 1.0,
) -> pd.DataFrame:
    """Replace each spell that began before the records by weighted spells of possible ages.

    Parameters
    ----------
    spells : DataFrame
        Rows with entry (age at the start of the records if the piece is the machine's first), exit, failed,
        planned, count [, age: today, where reports end before].
    shape, scale, planned_rate, planned_width
        As in `possible_ages`.

    Returns
    -------
    DataFrame
        The same columns; ages and count changed, counts of a row adding up to its old count.
    """
    if not len(spells):
        return spells
    entry, exit_ = spells["entry"].to_numpy(float), spells["exit"].to_numpy(float)
    before, after, weight = possible_ages(
        entry,
        exit_ - entry,
        shape,
        scale,
        planned_rate,
        planned_width,
        spells["failed"].to_numpy(bool),
        spells["planned"].to_numpy(bool),
    )
    row, column = np.nonzero(weight)
    out = spells.iloc[row].reset_index(drop=True)
    if "age" in out:
        out["age"] = out["age"] - out["exit"] + after[row, column]
    out["entry"], out["exit"] = before[row, column], after[row, column]
    out["count"] = out["count"] * weight[row, column]
    return out


def planned_sum(rate: FloatArray, width: float, age: FloatArray) -> FloatArray:
    """Add up planned replacements expected by an age.

    Parameters
    ----------
    rate : ndarray, shape (bins,)
        Per age bin; the last one goes on. [1 / unit of the ages]
    width : float
        Of a bin. [unit of the ages]
    age : ndarray
        [the same unit]

    Returns
    -------
    ndarray
        The cumulative rate, shaped like `age`.
    """
    edges = np.arange(len(rate) + 1) * width
    rising = np.concatenate([[0.0], np.cumsum(rate * width)])
    beyond = np.maximum(age - edges[-1], 0.0) * rate[-1]
    return np.asarray(np.interp(age, edges, rising) + beyond, dtype=float)


def _renewal_density(shape: FloatArray, time: FloatArray) -> FloatArray:
    """Renewals per unit-scale time at `time` after a new start, by the nearest shape of a table."""
    table = _density_table()
    nearest = np.clip(
        np.rint((np.log(shape) - np.log(_SHAPE_GRID[0])) / np.log(_SHAPE_GRID[1] / _SHAPE_GRID[0])),
        0,
        len(_SHAPE_GRID) - 1,
    ).astype(int)
    cell = np.clip((time / _TABLE_STEP).astype(int), 0, table.shape[1] - 1)
    return table[nearest[:, None], cell]


@lru_cache(maxsize=1)
def _density_table() -> FloatArray:
    from spareplan.forecast.renewal import expected_renewals

    return expected_renewals(_SHAPE_GRID, 1.0, 0.0, _TABLE_END, _TABLE_STEP) / _TABLE_STEP
