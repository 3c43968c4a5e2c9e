"""Where inspection visits belong in a machine's first year.

Month 1 is fixed. The others stand where a visit prevents most: before the months in which new machines fail
at the use their region's season brings, and not in the month of the peak, when no customer stops his machine.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.maths.units import MONTHS_PER_YEAR
from spareplan.tables.frames import positions, require_columns

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FIRST_VISIT = 1
WARNING_MONTHS = 2.0
# A season whose highest month is this close to the mean has no peak.
LEAST_PEAK = 1.05
NEAR_PEAK_MONTHS = 3


def visit_months(
    hazard: ArrayLike,
    season: ArrayLike,
    handover_month: ArrayLike,
    visits: int = 4,
    span: int = 12,
    warning: float = WARNING_MONTHS,
    avoid_peak: bool = True,
) -> IntArray:
    """Months after handover at which visits prevent most failures; the first visit stays at month 1.

    Parameters
    ----------
    hazard : array-like, shape (m,) or (n, m)
        Expected failures of a new machine in each month after handover at even use, m >= span. What falls
        after the last visit counts too, so give a few months more than `span`. [failures]
    season : array-like, shape (12,) or (n, 12)
        Use of each calendar month against the year's mean, January first.
    handover_month : array-like of int, shape () or (n,)
        Calendar month of the handover, 1 to 12.
    visits : int
        How many, the one after a month included.
    span : int
        Last month after handover at which a visit may stand. [months]
    warning : float
        Mean time from the first sign a visit can see to the failure. [months]
    avoid_peak : bool
        No visit in the month of highest use as long as other months are left, the fixed one aside.

    Returns
    -------
    ndarray of int, shape (visits,) or (n, visits)
        Rising; of equally good choices the one with the earlier last visits.

    Raises
    ------
    DataError
        Numbers below 0, a season that is not of twelve months, a month outside 1 to 12, more visits than
        months, or fewer months of failures than the span.

    Notes
    -----
    A failure at t shows signs from t - H on, H exponential with mean w (`warning`): the visit at v <= t sees
    them with chance exp(-(t - v) / w), and only the latest visit before t can [1]_. With l(m) the hazard
    times the season, visits v_1 < ... < v_K prevent sum over k and v_k <= m < v_(k+1) of l(m) R(m - v_k),
    R(k) the mean of exp(-t / w) over (k, k + 1]. The sum parts at the visits, so the best choice comes from
    dynamic programming, exactly.

    References
    ----------
    .. [1] Christer (1999), Developments in delay time analysis for modelling plant maintenance, Journal of
       the Operational Research Society 50(11), 1120-1137.

    Examples
    --------
    >>> visit_months([1.0] * 14, [1.0] * 12, handover_month=4).tolist()
    [1, 4, 7, 10]
    """
    load, use, single = _loads("visit_months", hazard, season, handover_month, warning)
    whole = all(isinstance(number, (int, np.integer)) for number in (visits, span))
    if not whole or not 1 <= visits <= span or load.shape[1] < span:
        raise problem_in_argument(
            "visit_months",
            "visits",
            f"{visits} visits in {span} months, failures of {load.shape[1]} months",
            "do not fit together",
            "give whole numbers with 1 <= visits <= span, and failures of at least `span` months",
        )
    load = np.where(load.sum(axis=1, keepdims=True) > 0, load, 1.0)
    gain = _stretch_gains(load, span, warning)
    shunned = np.zeros((len(load), span + 1))
    if avoid_peak:
        high = use.max(axis=1, keepdims=True)
        peak = (use >= high) & (high > LEAST_PEAK)
        at = (
            np.atleast_1d(np.asarray(handover_month, dtype=np.int64))[:, None] - 1 + np.arange(span + 1)
        ) % 12
        at = np.broadcast_to(at, shunned.shape)
        # More than all failures together: a peak month is chosen only where no other is left.
        shunned = np.take_along_axis(peak, at, axis=1) * (load.sum(axis=1, keepdims=True) * 2 + 1)
    best = np.full((len(load), span + 1), -np.inf)
    best[:, FIRST_VISIT] = 0.0
    came_from = []
    for _ in range(visits - 1):
        reach = best[:, :, None] + gain[:, :, : span + 1]
        came_from.append(reach.argmax(axis=1))
        best = reach.max(axis=1) - shunned
    last = (best + gain[:, :, -1]).argmax(axis=1)
    chosen = [last]
    for back in reversed(came_from):
        chosen.append(np.take_along_axis(back, chosen[-1][:, None], axis=1)[:, 0])
    out = np.stack(chosen[::-1], axis=1).astype(np.int64)
    return out[0] if single else out


def visit_value(
    hazard: ArrayLike,
    season: ArrayLike,
    handover_month: ArrayLike,
    after_months: ArrayLike,
    warning: float = WARNING_MONTHS,
) -> FloatArray:
    """Expected failures that the visits of a schedule prevent by seeing their signs in time.

    Parameters
    ----------
    hazard, season, handover_month, warning
        As in `visit_months`.
    after_months : array-like of int, shape (visits,) or (n, visits)
        Months after handover, rising.

    Returns
    -------
    ndarray, shape (visits,) or (n, visits)
        Prevented between each visit and the next, per machine. [failures]

    Raises
    ------
    DataError
        As `visit_months`; visits that do not rise or lie before handover.

    Examples
    --------
    >>> visit_value([1.0, 1.0, 1.0], [1.0] * 12, 1, [1], warning=1.0).round(4).tolist()
    [0.8647]
    """
    load, _, single = _loads("visit_value", hazard, season, handover_month, warning)
    given = np.asarray(after_months)
    at = np.atleast_2d(given)
    if at.dtype.kind not in "iu" or (at < 0).any() or (np.diff(at, axis=1) <= 0).any():
        raise problem_in_argument(
            "visit_value", "after_months", given.tolist(), "do not rise", "give whole months after handover"
        )
    size = max(len(load), len(at))
    load, at = np.broadcast_to(load, (size, load.shape[1])), np.broadcast_to(at, (size, at.shape[1]))
    since = np.arange(load.shape[1])[None, :, None] - at[:, None, :]
    latest = (since >= 0) & ~np.concatenate([since[:, :, 1:] >= 0, np.zeros((*since.shape[:2], 1), bool)], 2)
    out: FloatArray = np.einsum(
        "nm,nmv->nv", load, np.where(latest, _seen(np.maximum(since, 0), warning), 0.0)
    )
    return out[0] if single and given.ndim == 1 else out


def _loads(
    function: str, hazard: ArrayLike, season: ArrayLike, handover_month: ArrayLike, warning: float
) -> tuple[FloatArray, FloatArray, bool]:
    """Failures by month after handover at the season's use, shape (n, m), and the season, shape (n, 12)."""
    expected, use = np.asarray(hazard, dtype=float), np.asarray(season, dtype=float)
    month = np.asarray(handover_month)
    single = expected.ndim == 1 and use.ndim == 1 and month.ndim == 0
    faults = (
        ("hazard", expected, not (expected >= 0).all() or not np.isfinite(expected).all(), "0 or more"),
        ("season", use, use.shape[-1:] != (12,) or not (use >= 0).all(), "twelve factors of 0 or more"),
        ("handover_month", month, not np.isin(month, np.arange(1, 13)).all(), "1 to 12"),
        ("warning", warning, not warning > 0, "months above 0"),
    )
    problems = [
        Problem(function, 0, name, str(np.asarray(value).tolist())[:80], "is out of range", f"give {remedy}")
        for name, value, wrong, remedy in faults
        if wrong
    ]
    if problems:
        raise DataError(problems)
    expected, use, month = np.atleast_2d(expected), np.atleast_2d(use), np.atleast_1d(month).astype(np.int64)
    size = max(len(expected), len(use), len(month))
    use = np.broadcast_to(use, (size, 12))
    at = np.broadcast_to((month[:, None] - 1 + np.arange(expected.shape[1])) % 12, (size, expected.shape[1]))
    return expected * np.take_along_axis(use, at, axis=1), use, single


def _seen(months: ArrayLike, warning: float) -> FloatArray:
    """Mean chance that a visit saw signs of a failure in the month that begins so many months after it."""
    begin = np.asarray(months, dtype=float)
    return warning * np.exp(-begin / warning) * -np.expm1(-1 / warning)


def _stretch_gains(load: FloatArray, span: int, warning: float) -> FloatArray:
    """Failures prevented by a visit at i when the next is at j; column -1: when none follows.

    Shape (n, span + 1, span + 2); -inf where j <= i.
    """
    months = load.shape[1]
    since = np.arange(months)[None, :] - np.arange(span + 1)[:, None]
    each = load[:, None, :] * np.where(since >= 0, _seen(np.maximum(since, 0), warning), 0.0)
    summed = np.concatenate([np.zeros((*each.shape[:2], 1)), np.cumsum(each, axis=2)], axis=2)
    gain = np.concatenate([summed[:, :, : span + 1], summed[:, :, -1:]], axis=2)
    gain[:, :, : span + 1][:, np.tri(span + 1, dtype=bool)] = -np.inf
    return gain


def season_factors(usage: pd.DataFrame, pairs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Use of each calendar month against the year's mean, per product and region.

    Parameters
    ----------
    usage : DataFrame
        product_id, region_id, month, hours_per_unit; may be empty.
    pairs : DataFrame, optional
        product_id, region_id to answer for; None: those of `usage`.

    Returns
    -------
    DataFrame
        product_id, region_id, factor_1 to factor_12 (mean 1), origin: "usage" of the pair, "product" (all
        regions of the product), "all products" or "even" where nothing is known. Sorted.

    Raises
    ------
    DataError
        Missing columns.

    Notes
    -----
    A calendar month without a row takes the mean of the known ones.
    """
    require_columns(usage, ["product_id", "region_id", "month", "hours_per_unit"], "usage")
    keys = ["product_id", "region_id"]
    wanted = usage[keys] if pairs is None else pairs[keys]
    wanted = wanted.drop_duplicates().sort_values(keys, ignore_index=True)
    known = usage[usage["hours_per_unit"].notna()]
    known = known.assign(calendar=pd.DatetimeIndex(known["month"]).month, every="")
    factors, origin = np.ones((len(wanted), MONTHS_PER_YEAR)), np.full(len(wanted), "even", dtype=object)
    for level, name in ((["every"], "all products"), (["product_id"], "product"), (keys, "usage")):
        table = known.pivot_table("hours_per_unit", level, "calendar", aggfunc="mean")
        mean = table.reindex(columns=range(1, MONTHS_PER_YEAR + 1)).to_numpy(dtype=float)
        year = np.nanmean(mean, axis=1, keepdims=True) if len(mean) else mean[:, :1]
        own = np.where(np.isnan(mean), year, mean) / np.where(year > 0, year, np.nan)
        at = positions(wanted.assign(every="")[level], table.index.to_frame(index=False))
        found = at >= 0
        found[found] = np.isfinite(own[at[found]]).all(axis=1)
        factors[found], origin[found] = own[at[found]], name
    columns = [f"factor_{month}" for month in range(1, MONTHS_PER_YEAR + 1)]
    return pd.concat([wanted, pd.DataFrame(factors, columns=columns)], axis=1).assign(origin=origin)


def place_schedule(
    hazard: pd.DataFrame,
    season: pd.DataFrame,
    visits: int = 4,
    span: int = 12,
    warning: float = WARNING_MONTHS,
) -> pd.DataFrame:
    """Place the visits of every product, region and calendar month of handover.

    Parameters
    ----------
    hazard : DataFrame
        Index product_id; columns 0, 1, ...: failures of a new machine in each month at even use. [failures]
    season : DataFrame
        As from `season_factors`; products without hazard are left out.
    visits, span, warning
        As in `visit_months`.

    Returns
    -------
    DataFrame
        product_id, region_id, handover_month, after_months, failures_ahead (expected until the next visit, at
        most `span` months after handover for the last), prevented (of these, seen in time), reason; sorted.
    """
    known = season[season["product_id"].isin(hazard.index)].reset_index(drop=True)
    factors = known[[f"factor_{month}" for month in range(1, 13)]].to_numpy(dtype=float)
    size = len(known) * MONTHS_PER_YEAR
    handover = np.tile(np.arange(1, 13), len(known))
    factors = np.repeat(factors, MONTHS_PER_YEAR, axis=0)
    expected = np.repeat(hazard.loc[known["product_id"]].to_numpy(dtype=float), MONTHS_PER_YEAR, axis=0)
    if not size:
        chosen, worth = np.empty((0, visits), np.int64), np.empty((0, visits))
    else:
        chosen = visit_months(expected, factors, handover, visits, span, warning)
        worth = visit_value(expected, factors, handover, chosen, warning)
    at = (handover[:, None] - 1 + np.arange(expected.shape[1])) % 12
    load = expected * np.take_along_axis(factors, at, axis=1) if size else expected
    summed = np.concatenate([np.zeros((size, 1)), np.cumsum(load, axis=1)], axis=1)
    following = np.concatenate([chosen[:, 1:], np.full((size, 1), load.shape[1])], axis=1)
    ahead = np.take_along_axis(summed, following, axis=1) - np.take_along_axis(summed, chosen, axis=1)
    share = ahead / np.where(summed[:, -1:] > 0, summed[:, -1:], 1.0)
    calendar = (handover[:, None] - 1 + chosen) % 12 + 1
    peak = (
        np.where(factors.max(axis=1, initial=0) > LEAST_PEAK, factors.argmax(axis=1) + 1, 0)
        if size
        else handover
    )
    rows = known.loc[known.index.repeat(MONTHS_PER_YEAR * visits), ["product_id", "region_id"]]
    out = rows.reset_index(drop=True).assign(
        handover_month=np.repeat(handover, visits),
        after_months=chosen.ravel(),
        failures_ahead=ahead.ravel(),
        prevented=worth.ravel(),
    )
    out["reason"] = _reasons(
        out["after_months"].to_numpy(),
        calendar.ravel(),
        np.repeat(peak, visits),
        share.ravel(),
        load.shape[1],
    )
    return out


def _reasons(
    after: IntArray, calendar: IntArray, peak: IntArray, share: FloatArray, months: int
) -> list[str]:
    """Say why each visit stands where it does."""
    until, since = (peak - calendar) % 12, (calendar - peak) % 12
    words = {
        "month 1 is fixed": after == FIRST_VISIT,
        "the season is even": peak == 0,
        "in the season's peak": until == 0,
        "before the season's peak in ": until <= NEAR_PEAK_MONTHS,
        "after the season's peak in ": since <= NEAR_PEAK_MONTHS,
    }
    place = np.select(list(words.values()), list(words), "away from the season's peak in ")
    named = np.where((after != FIRST_VISIT) & (peak > 0) & (until > 0), peak.astype(str), "")
    return [
        f"{words}{month}; {part:.0%} of the failures of the first {months} months fall before the next visit"
        for words, month, part in zip(place, named, share)
    ]
