"""One pooled forecast of demand sums from history alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.forecast import pooling
from spareplan.forecast.panels import Panel, read_exposure, read_panel, read_periods
from spareplan.forecast.pooled_sums import forecast_sums

FloatArray = NDArray[np.float64]
DISCOUNT = 0.97


def forecast_history(
    history: pd.DataFrame,
    periods: int | pd.Series = 3,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
    key: str | Sequence[str] = "part_id",
    exposure: pd.DataFrame | None = None,
    rounded: bool = True,
) -> pd.DataFrame:
    """Forecast the sum of the next periods' demand from demand history, pooled over all series.

    Parameters
    ----------
    history : DataFrame
        Key, period (whole number, or month as date), quantity [pieces]. A key's first row starts its series,
        the latest period of all rows ends every series; no row in between is no demand, NaN is unknown, a
        negative quantity is a return and taken off the demand before it.
    periods : int, or Series indexed by the key
        How many periods after the latest one are summed. [periods]
    levels : sequence of float
        Quantile levels between 0 and 1.
    key : str or sequence of str
        Key column(s) of a series.
    exposure : DataFrame, optional
        Key [, period], exposure: what wears the part, e.g. machines in service; may run into the future.
    rounded : bool
        Round quantiles to whole pieces where all history is whole.

    Returns
    -------
    DataFrame
        A row per key, sorted: key, mean, variance [pieces, pieces²], q<level> [pieces], rising in the level.

    Raises
    ------
    DataError
        Everything that is wrong with the tables and arguments, at once per table.
    """
    marks = _read_levels(levels)
    panel = read_panel(history, key)
    ahead = read_periods(periods, panel, key)
    names = [f"q{level:g}" for level in marks]
    out = panel.keys.copy()
    if out.empty:
        return out.assign(**dict.fromkeys(["mean", "variance", *names], 0.0))
    demand, growth = _exposed_demand(panel, exposure, key, ahead)
    mean, variance, quantiles = _forecast(demand, ahead, marks, panel.whole)
    mean, variance, quantiles = mean * growth, variance * growth**2, quantiles * growth[:, None]
    quantiles = np.maximum.accumulate(quantiles[:, np.argsort(marks)], axis=1)[:, np.argsort(np.argsort(marks))]
    if rounded and panel.whole:
        quantiles = np.floor(quantiles + 0.5)
    out["mean"], out["variance"] = mean, variance
    for column, name in enumerate(names):
        out[name] = quantiles[:, column]
    return out


def _forecast(
    demand: FloatArray, ahead: NDArray[np.int64], levels: FloatArray, whole: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    rates = pooling.pool_rates(demand, DISCOUNT)
    mean, variance = pooling.sum_moments(rates, ahead)
    quantiles = pooling.sum_quantiles(rates, ahead, levels, whole)
    for lead in np.unique(ahead):
        rows = ahead == lead
        pooled = forecast_sums(demand, int(lead), levels)
        if pooled is None:
            continue
        share = 300 / (300 + pooled.evidence)
        mean[rows] = share * mean[rows] + (1 - share) * pooled.mean[rows]
        variance[rows] = share * variance[rows] + (1 - share) * pooled.variance[rows]
        quantiles[rows] = share * quantiles[rows] + (1 - share) * pooled.quantiles[rows]
    return mean, variance, quantiles


def _read_levels(levels: Sequence[float]) -> FloatArray:
    try:
        marks = np.asarray(list(levels), dtype=float)
    except (TypeError, ValueError):
        marks = np.array([np.nan])
    if marks.size == 0 or not np.all((marks > 0) & (marks < 1)) or len(np.unique(marks)) < marks.size:
        raise problem_in_argument("forecast_history", "levels", levels, "are no different numbers between 0 and 1",
                                  "give levels such as (0.5, 0.9, 0.95)")
    return marks


def _exposed_demand(
    panel: Panel, exposure: pd.DataFrame | None, key: str | Sequence[str], ahead: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Demand as it would have been under the latest exposure, and how the exposure grows over the sum."""
    if exposure is None:
        return panel.demand, np.ones(len(panel.keys))
    past, future = read_exposure(exposure, panel, key, int(ahead.max()))
    latest = past[:, -1]
    known = np.isfinite(latest)
    scale = np.where(known[:, None], latest[:, None] / past, 1.0)
    summed = np.where(np.arange(future.shape[1]) < ahead[:, None], future, 0.0).sum(axis=1)
    return panel.demand * scale, np.where(known, summed / (ahead * latest), 1.0)
