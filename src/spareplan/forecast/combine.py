"""One pooled forecast of demand sums from history alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.forecast import pooling
from spareplan.forecast.history_features import FEWEST_TICKS
from spareplan.forecast.panels import Panel, read_exposure, read_panel, read_periods
from spareplan.forecast.pooled_sums import PooledSums, forecast_sums, longest_lead

FloatArray = NDArray[np.float64]
# Chosen on origins before every month that is scored in the benchmarks: forgetting per period of the
# empirical-Bayes model, and how many effective windows of the pooled model it weighs as much as.
DISCOUNT = 0.95
EMPIRICAL_BAYES_WINDOWS = 60.0
LEAST_EXPOSURE = 0.01


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

    Notes
    -----
    Three models are averaged. What followed on past origins of all series is ranked by a log-linear index
    (`history_quantiles`) and sorted into the leaves of a quantile forest (`forest`); both learn the tail from
    kindred parts. Where few effective windows can teach, an empirical-Bayes compound law (`pooling`) takes
    over. Sums longer than a quarter of the history are stretched from shorter ones.

    References
    ----------
    .. [1] Snyder, Ord & Beaumont (2012), Int. J. Forecasting 28, 485-496.
    .. [2] Meinshausen (2006), Journal of Machine Learning Research 7, 983-999.

    Examples
    --------
    >>> history = pd.DataFrame({"part_id": "A", "period": range(24), "quantity": [0, 0, 0, 2] * 6})
    >>> forecast_history(history, periods=4, levels=(0.5, 0.9))["q0.9"].tolist()
    [5.0]
    """
    marks = _read_levels(levels)
    panel = read_panel(history, key)
    ahead = read_periods(periods, panel, key)
    names = [f"q{level:g}" for level in marks]
    out = panel.keys.copy()
    if out.empty:
        return out.assign(**dict.fromkeys(["mean", "variance", *names], 0.0))
    exposed, growth = _exposures(panel, exposure, key, ahead)
    mean, variance, quantiles = _forecast(panel.demand, ahead, marks, exposed)
    mean, variance, quantiles = mean * growth, variance * growth**2, quantiles * growth[:, None]
    quantiles = np.maximum.accumulate(quantiles[:, np.argsort(marks)], axis=1)[
        :, np.argsort(np.argsort(marks))
    ]
    if rounded and panel.whole:
        quantiles = np.floor(quantiles + 0.5)
    out["mean"], out["variance"] = mean, variance
    for column, name in enumerate(names):
        out[name] = quantiles[:, column]
    return out


def _forecast(
    demand: FloatArray, ahead: NDArray[np.int64], levels: FloatArray, exposure: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, variance and quantiles of the sums at the latest exposure."""
    discount = DISCOUNT ** (1 / max(demand.shape[1] / FEWEST_TICKS, 1.0))
    rates = pooling.pool_rates(demand, discount, exposure)
    mean, variance = pooling.sum_moments(rates, ahead)
    quantiles = pooling.sum_quantiles(rates, ahead, levels)
    none = pooling.no_demand_chance(rates, ahead)
    direct = np.minimum(ahead, longest_lead(demand.shape[1]))
    for lead in np.unique(direct):
        pooled = forecast_sums(demand, int(lead), levels, exposure)
        if pooled is None:
            continue
        rows = direct == lead
        if (ahead[rows] > lead).any():
            pooled = stretch_sums(pooled, rates, int(lead), ahead)
        share = EMPIRICAL_BAYES_WINDOWS / (EMPIRICAL_BAYES_WINDOWS + pooled.evidence)
        rows &= np.isfinite(demand).any(axis=1)
        mean[rows] = share * mean[rows] + (1 - share) * pooled.mean[rows]
        variance[rows] = share * variance[rows] + (1 - share) * pooled.variance[rows]
        quantiles[rows] = share * quantiles[rows] + (1 - share) * pooled.quantiles[rows]
        # Pieces come from few heavy parts, but every window says whether anything was demanded.
        share = EMPIRICAL_BAYES_WINDOWS / (EMPIRICAL_BAYES_WINDOWS + pooled.windows)
        none[rows] = share * none[rows] + (1 - share) * pooled.none[rows]
    return mean, variance, np.where(levels <= none[:, None], 0.0, quantiles)


def stretch_sums(
    pooled: PooledSums, rates: pooling.CompoundRates, lead: int, longer: NDArray[np.int64]
) -> PooledSums:
    """Carry the distribution of a sum over to longer sums.

    Parameters
    ----------
    pooled : PooledSums
        Distribution of the sum of `lead` periods.
    rates : CompoundRates
        Say how much of the variance all periods share.
    lead : int
        [periods]
    longer : ndarray of int, shape (n,)
        Wanted for each series. [periods]

    Returns
    -------
    PooledSums
        The mean grows with the periods, distances from it with the standard deviation, which the compound
        rates let grow between the root of the periods (independent) and the periods (shared).
    """
    growth = longer / lead
    _, short = pooling.sum_moments(rates, lead)
    _, long = pooling.sum_moments(rates, longer)
    spread = np.where(short > 0, long / np.where(short > 0, short, 1.0), growth)
    off = (pooled.quantiles - pooled.mean[:, None]) * np.sqrt(spread)[:, None]
    quantiles = np.maximum(growth[:, None] * pooled.mean[:, None] + off, 0.0)
    fewer = pooling.no_demand_chance(rates, longer) / np.maximum(pooling.no_demand_chance(rates, lead), 1e-12)
    none = pooled.none * np.minimum(fewer, 1.0)
    return PooledSums(
        growth * pooled.mean, spread * pooled.variance, quantiles, none, pooled.evidence, pooled.windows
    )


def _read_levels(levels: Sequence[float]) -> FloatArray:
    try:
        marks = np.asarray(list(levels), dtype=float)
    except (TypeError, ValueError):
        marks = np.array([np.nan])
    if marks.size == 0 or not np.all((marks > 0) & (marks < 1)) or len(np.unique(marks)) < marks.size:
        raise problem_in_argument(
            "forecast_history",
            "levels",
            levels,
            "are no different numbers between 0 and 1",
            "give levels such as (0.5, 0.9, 0.95)",
        )
    return marks


def _exposures(
    panel: Panel, exposure: pd.DataFrame | None, key: str | Sequence[str], ahead: NDArray[np.int64]
) -> tuple[FloatArray | None, FloatArray]:
    """Exposure in each period of the history, and the mean one over the sum relative to the latest."""
    if exposure is None:
        return None, np.ones(len(panel.keys))
    past, future = read_exposure(exposure, panel, key, int(ahead.max()))
    given = np.isfinite(past).all(axis=1)
    most = np.where(given, past.max(axis=1), np.nan)
    # Next to no machines still wear a part a little: rates per machine stay finite.
    past = np.maximum(past, np.where(most > 0, LEAST_EXPOSURE * most, 1.0)[:, None])
    summed = np.where(np.arange(future.shape[1]) < ahead[:, None], future, 0.0).sum(axis=1)
    return past, np.where(given, summed / (ahead * past[:, -1]), 1.0)
