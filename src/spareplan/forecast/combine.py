"""One robust forecast of demand sums from history alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.forecast.combined_sums import JUDGED, combined_sums, direct_leads
from spareplan.forecast.history_features import Exposure
from spareplan.forecast.history_season import CYCLES, MONTHS, seasonal_index
from spareplan.forecast.panel_arguments import read_exposure, read_periods, read_traits
from spareplan.forecast.panels import Panel, read_panel

FloatArray = NDArray[np.float64]
LEAST_EXPOSURE = 0.01


def forecast_history(
    history: pd.DataFrame,
    periods: int | pd.Series = 3,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
    key: str | Sequence[str] = "part_id",
    exposure: pd.DataFrame | None = None,
    rounded: bool = True,
    traits: pd.DataFrame | None = None,
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
    traits : DataFrame, optional
        Key, and columns of numbers that tell kindred parts, such as unit cost or lead time; NaN is unknown,
        keys without a row are unknown.

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
    Quantiles of five members are averaged. What followed on past origins of all series is ranked by a
    log-linear index (`history_quantiles`) and sorted into the leaves of a quantile forest (`forest`, which
    sees traits and exposure, too); together they are one member, which learns the tail from kindred parts.
    Three are empirical-Bayes compound laws of different memory (`pooling`), one the series' own past
    (`compound_sums.forgetting_sums`). Weights come from a back-test inside, class of series by class
    (`combined_sums`, `weighing`). A season of the whole panel counts as exposure (`history_season`).
    Exposure that grows more than it ever did stretches the sum, as more periods would. Sums longer than a
    quarter of the history, and where many lengths are wanted those between the rungs of a ladder, are
    stretched from shorter ones. Means add up to what the panel was demanded: the largest orders, which no
    quantile follows, are in them.

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
    worn, given = _exposures(panel, exposure, key, int(ahead.max()))
    known = np.concatenate([given, read_traits(traits, panel, key)], axis=1)
    # Members are weighed by their loss at the same levels whichever are asked for.
    every = np.unique([*marks, *JUDGED])
    mean, variance, quantiles = _forecast(panel.demand, ahead, every, worn, _filled(known))
    quantiles = np.maximum.accumulate(quantiles, axis=1)[:, np.searchsorted(every, marks)]
    if rounded and panel.whole:
        quantiles = np.floor(quantiles + 0.5)
    out["mean"], out["variance"] = mean, variance
    for column, name in enumerate(names):
        out[name] = quantiles[:, column]
    return out


def _forecast(
    demand: FloatArray,
    ahead: NDArray[np.int64],
    levels: FloatArray,
    exposure: Exposure | None,
    traits: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, variance and quantiles of the sums at the latest exposure."""
    n, c = demand.shape
    mean, variance, quantiles = np.zeros(n), np.zeros(n), np.zeros((n, len(levels)))
    direct = direct_leads(ahead, c)
    leads = np.unique(direct)
    for lead in leads:
        rows = np.flatnonzero(direct == lead)
        out = combined_sums(demand, int(lead), rows, ahead[rows], levels, exposure, traits, len(leads))
        mean[rows], variance[rows], quantiles[rows] = out.mean, out.variance, out.quantiles
    return mean, variance, quantiles


def _filled(traits: FloatArray) -> FloatArray:
    """Unknown traits lie below all known ones, so that a cut can part them; columns without contrast go."""
    filled = np.where(np.isfinite(traits), traits, np.nanmin(traits, axis=0, initial=0.0) - 1.0)
    return filled[:, (filled != filled[:1]).any(axis=0)]


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
    panel: Panel, exposure: pd.DataFrame | None, key: str | Sequence[str], longest: int
) -> tuple[Exposure | None, FloatArray]:
    """What wears each series in the past and ahead, seasons included, and what is given now (a column)."""
    n, c = panel.demand.shape
    season = seasonal_index(panel.demand, longest, MONTHS if panel.monthly else CYCLES)
    if exposure is None and season is None:
        return None, np.zeros((n, 0))
    past, future, given = np.ones((n, c)), np.ones((n, longest)), np.zeros((n, 0))
    if exposure is not None:
        past, future = read_exposure(exposure, panel, key, longest)
        most = np.nan_to_num(past.max(axis=1, initial=0.0))
        known = np.asarray(np.isfinite(past).all(axis=1), dtype=bool)
        # Next to no machines still wear a part a little: rates per machine stay finite.
        past = np.maximum(past, np.where(most > 0, LEAST_EXPOSURE * most, 1.0)[:, None])
        given = np.where(known, past[:, -1], np.nan)[:, None]
        past, future = np.where(known[:, None], past, 1.0), np.where(known[:, None], future, 1.0)
    if season is not None:
        past, future = past * season[:c], future * season[c:]
    return Exposure(past, future), given
