"""Forecasts of past months beside what came: every series at every origin, by the model and by others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.forecast import intermittent
from spareplan.forecast.combine import forecast_history
from spareplan.forecast.panels import Panel, read_panel, whole_periods
from spareplan.maths import distributions
from spareplan.maths.intermittency import demand_class, demand_intervals, size_variation

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MODEL, MEAN, ZERO = "model", "mean", "zero"
POINT_METHODS = {
    MEAN: intermittent.mean_demand,
    "sba": intermittent.sba,
    "tsb": intermittent.tsb,
    "imapa": intermittent.imapa,
}
FORECASTS = (MODEL, *POINT_METHODS, ZERO)
SHORTEST_HISTORY = 6
# Asked for beside the published levels: they draw the distribution that calibration and stock are read from.
GRID = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999)


class Trials(NamedTuple):
    """Every tested sum, a series at an origin, under every forecast.

    Parameters
    ----------
    row : ndarray of int, shape (n,)
        Series of each trial, a row of the panel.
    cut : ndarray of int, shape (n,)
        Column of the panel in which the tested sum begins.
    ahead : ndarray of int, shape (n,)
        Length of the sum. [periods]
    came : ndarray, shape (n,)
        What was demanded. [pieces]
    mean : ndarray, shape (m, n)
        Expected by each of FORECASTS. [pieces]
    quantiles : ndarray, shape (m, n, k)
        [pieces]
    levels : ndarray, shape (k,)
        Rising: the published levels and those of GRID.
    published : ndarray of bool, shape (k,)
        Which of them are published.
    """

    row: IntArray
    cut: IntArray
    ahead: IntArray
    came: FloatArray
    mean: FloatArray
    quantiles: FloatArray
    levels: FloatArray
    published: NDArray[np.bool_]

    def at(self, level: float) -> int:
        """Place of a level."""
        return int(np.flatnonzero(np.isclose(self.levels, level))[0])


def run_trials(
    history: pd.DataFrame,
    panel: Panel,
    names: list[str],
    ahead: IntArray,
    cuts: Sequence[int],
    marks: FloatArray,
    exposure: pd.DataFrame | None,
) -> Trials:
    """Forecast from every origin with what was known there.

    Parameters
    ----------
    history : DataFrame
        As for `forecast_history`.
    panel : Panel
        The same history.
    names : list of str
        Key columns.
    ahead : ndarray of int, shape (series,)
        Length of each series' sum. [periods]
    cuts : sequence of int
        Columns of the panel in which the tested sums begin.
    marks : ndarray
        Published levels.
    exposure : DataFrame, optional

    Returns
    -------
    Trials
        Sums that end after the records or hold an unknown period are left out.
    """
    levels = np.unique(np.round(np.concatenate([marks, GRID]), 12))
    numbers = whole_periods(history["period"]).astype(np.int64) - panel.periods[0]
    came_back = bool((pd.to_numeric(history["quantity"]) < 0).any())
    pieces = [
        _one_origin(
            _known(history, numbers, panel, cut), panel, names, ahead, cut, levels, exposure, came_back
        )
        for cut in cuts
    ]
    row, cut, own, came = (np.concatenate(each) for each in zip(*(piece[:4] for piece in pieces)))
    mean = np.concatenate([piece[4] for piece in pieces], axis=1)
    quantiles = np.concatenate([piece[5] for piece in pieces], axis=1)
    published = np.isclose(levels[:, None], marks).any(axis=1)
    return Trials(row, cut, own, came, mean, quantiles, levels, published)


def choose_origins(panel: Panel, step: int, origins: int, shortest: int) -> list[int]:
    """Columns in which the tested sums begin: `step` apart, the last one `step` before the end.

    Parameters
    ----------
    panel : Panel
    step, origins, shortest : int
        Distance of the origins; how many; shortest sum to be tested. [periods, , periods]

    Returns
    -------
    list of int

    Raises
    ------
    DataError
        The history is too short for one origin.
    """
    cuts = [panel.length - step * back for back in range(origins, 0, -1)]
    cuts = [cut for cut in cuts if SHORTEST_HISTORY <= cut <= panel.length - shortest]
    if not cuts:
        raise problem_in_argument(
            "backtest_demand",
            "history",
            f"{panel.length} periods",
            f"leaves fewer than {SHORTEST_HISTORY} periods before the last {step}",
            "give a longer history or test shorter sums",
        )
    return cuts


def classes_before(panel: Panel, cut: int) -> NDArray[np.str_]:
    """Demand class of every series by what was known before a column of the panel."""
    past = panel.demand[:, :cut]
    known = np.isfinite(past)
    pieces = np.where(known, past, 0.0)
    hits = (pieces > 0).sum(axis=1)
    return demand_class(
        demand_intervals(known.sum(axis=1), hits),
        size_variation(hits, pieces.sum(axis=1), (pieces**2).sum(axis=1)),
    )


def _known(history: pd.DataFrame, numbers: IntArray, panel: Panel, cut: int) -> pd.DataFrame:
    """What was known at an origin, with a row in the last period before it.

    The latest period of the table ends every series, also when nobody demanded anything in it.
    """
    early = numbers < cut
    known, seen = history[early], numbers[early]
    last = int(seen.argmax())
    gap = cut - 1 - int(seen[last])
    if gap == 0:
        return known
    row = known.iloc[[last]].copy()
    period = cast(Any, row["period"].iloc[0])
    if isinstance(period, (int, float, np.number, pd.Period)):
        later = period + gap
    else:
        later = pd.Timestamp(period) + pd.DateOffset(months=gap)
    row["quantity"] = 0.0
    row["period"] = pd.Series([later], index=row.index).astype(known["period"].dtype)
    return pd.concat([known, row])


def _one_origin(
    known: pd.DataFrame,
    panel: Panel,
    names: list[str],
    ahead: IntArray,
    cut: int,
    levels: FloatArray,
    exposure: pd.DataFrame | None,
    came_back: bool,
) -> tuple[Any, ...]:
    """Row, cut, ahead, what came, means and quantiles of the series that can be tested from one origin."""
    alive = np.flatnonzero(panel.start < cut)
    own = ahead[alive]
    future = panel.demand[alive, cut : cut + int(own.max())]
    inside = np.arange(future.shape[1]) < own[:, None]
    complete = (np.isfinite(future) | ~inside).all(axis=1) & (cut + own <= panel.length)
    rows, own = alive[complete], own[complete]
    came = np.where(inside, np.nan_to_num(future), 0.0)[complete].sum(axis=1)
    index = pd.Index(panel.keys[names[0]]) if len(names) == 1 else pd.MultiIndex.from_frame(panel.keys)
    model = forecast_history(known, pd.Series(ahead, index=index), tuple(levels), names, exposure)
    past = panel.demand[alive, :cut]
    if came_back:
        # Netted of the returns known then, not of later ones.
        past = read_panel(known, names).demand
    past = past[complete]
    count = np.maximum(np.isfinite(past).sum(axis=1), 1)
    centre = np.nansum(past, axis=1) / count
    spread = np.nansum((past - centre[:, None]) ** 2, axis=1) / np.maximum(count - 1, 1)
    columns = [f"q{level:g}" for level in levels]
    means = [model["mean"].to_numpy()[complete]]
    quantiles = [model[columns].to_numpy()[complete]]
    for method in POINT_METHODS.values():
        mean = own * method(past)
        variance = np.maximum(own * spread, mean)
        means.append(mean)
        quantiles.append(distributions.quantile(levels, mean[:, None], variance[:, None]))
    means.append(np.zeros(len(rows)))
    quantiles.append(np.zeros((len(rows), len(levels))))
    return rows, np.full(len(rows), cut), own, came, np.stack(means), np.stack(quantiles)
