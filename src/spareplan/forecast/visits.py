"""Where inspection visits belong in a machine's first year.

Month 1 is fixed. The others stand where a visit prevents most: before the months in which new machines fail
at the use their region's season brings, one of them just before the building season and one just after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.maths.units import MONTHS_PER_YEAR

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FIRST_VISIT = 1
WARNING_MONTHS = 2.0
# Use that stays this close to its mean has no season.
LEAST_PEAK = 1.05
NEAR_SEASON_MONTHS = 2
MONTH_NAMES = (
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def visit_months(
    hazard: ArrayLike,
    season: ArrayLike,
    handover_month: ArrayLike,
    visits: int = 4,
    span: int = 12,
    warning: float = WARNING_MONTHS,
    around_season: bool = True,
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
    around_season : bool
        One visit in the two months before the season and one in the two months after it, where the span
        holds such months and there are visits enough. The season is the longest run of months with use above
        the middle between the least and the greatest; a visit between two seasons may be both.

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
    dynamic programming over (visits so far, latest visit, wishes of the season met), exactly.

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
    wishes = np.zeros((len(load), span + 1), dtype=np.int64)
    if around_season:
        handover = np.atleast_1d(np.asarray(handover_month, dtype=np.int64))[:, None]
        at = np.broadcast_to((handover - 1 + np.arange(span + 1)) % 12, wishes.shape)
        before, after, _ = season_edges(use)
        wishes = np.take_along_axis(before + 2 * after, at, axis=1)
    out = _best_choice(gain, wishes, visits, float(load.sum(axis=1).max()) + 1)
    return out[0] if single else out


def _best_choice(gain: FloatArray, wishes: IntArray, visits: int, bonus: float) -> IntArray:
    """Dynamic programme over the visits: as many wishes as can be met, then the greatest gain.

    gain as from `_stretch_gains`; wishes, shape (n, span + 1): bits of what a visit there would meet. The
    result has shape (n, visits).
    """
    size, span = wishes.shape
    row = np.arange(size)
    best = np.full((size, 4, span), -np.inf)
    best[row, wishes[:, FIRST_VISIT], FIRST_VISIT] = 0.0
    steps = []
    for _ in range(visits - 1):
        reach = best[:, :, :, None] + gain[:, None, :, :span]
        came, value = reach.argmax(axis=2), reach.max(axis=2)
        best = np.full_like(best, -np.inf)
        state, before = np.zeros(best.shape, np.int64), np.zeros(best.shape, np.int64)
        for so_far in range(4):
            to = so_far | wishes
            now = np.take_along_axis(best, to[:, None, :], axis=1)[:, 0]
            at = np.nonzero(value[:, so_far] > now)
            where = (at[0], to[at], at[1])
            best[where], state[where], before[where] = value[:, so_far][at], so_far, came[:, so_far][at]
        steps.append((state, before))
    met_wishes = np.array([0, 1, 1, 2])[:, None]
    final = (best + gain[:, None, :, -1] + bonus * met_wishes).reshape(size, -1)
    met, last = np.divmod(final.argmax(axis=1), span)
    chosen = [last]
    for state, before in reversed(steps):
        met, last = state[row, met, last], before[row, met, last]
        chosen.append(last)
    return np.stack(chosen[::-1], axis=1).astype(np.int64)


def season_edges(season: ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    """Find the months just before and just after the season.

    Parameters
    ----------
    season : array-like, shape (n, 12)
        Use of each calendar month against the year's mean, January first.

    Returns
    -------
    tuple of ndarray
        1 in the at most two months of low use before the season, the same after it, shape (n, 12) each;
        first and last month of the season, 1 to 12, 0 where there is none, shape (n, 2).
    """
    use = np.atleast_2d(np.asarray(season, dtype=float))
    high = use > 0.5 * (use.min(axis=1, keepdims=True) + use.max(axis=1, keepdims=True))
    exists = use.max(axis=1) > LEAST_PEAK
    follow = (np.arange(12)[:, None] + np.arange(12)) % 12
    run = np.cumprod(high[:, follow], axis=2).sum(axis=2)
    first = run.argmax(axis=1)
    last = (first + run.max(axis=1) - 1) % 12
    before, after = np.zeros(use.shape, np.int64), np.zeros(use.shape, np.int64)
    row = np.arange(len(use))
    early, late = exists.copy(), exists.copy()
    for distance in range(1, NEAR_SEASON_MONTHS + 1):
        month, other = (first - distance) % 12, (last + distance) % 12
        early, late = early & ~high[row, month], late & ~high[row, other]
        before[row, month] |= early
        after[row, other] |= late
    return before, after, np.where(exists[:, None], np.column_stack([first, last]) + 1, 0)


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


def place_schedule(
    hazard: pd.DataFrame,
    season: pd.DataFrame,
    visits: int = 4,
    span: int = 12,
    warning: float = WARNING_MONTHS,
    dates: Sequence[int] | None = None,
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
    dates : sequence of int, optional
        Months after handover for all machines alike, instead of placed ones. [months]

    Returns
    -------
    DataFrame
        product_id, region_id, handover_month, after_months, failures_ahead (expected until the next visit,
        for the last to the end of `hazard`), prevented (of these, seen in time), reason; sorted.
    """
    known = season[season["product_id"].isin(hazard.index)].reset_index(drop=True)
    visits = visits if dates is None else len(dates)
    rows = known.loc[known.index.repeat(MONTHS_PER_YEAR * visits), ["product_id", "region_id"]]
    out = rows.reset_index(drop=True)
    if not len(known):
        return out.assign(handover_month=0, after_months=0, failures_ahead=0.0, prevented=0.0, reason="")
    factors = known[[f"factor_{month}" for month in range(1, 13)]].to_numpy(dtype=float)
    factors = np.repeat(factors, MONTHS_PER_YEAR, axis=0)
    handover = np.tile(np.arange(1, 13), len(known))
    expected = np.repeat(hazard.loc[known["product_id"]].to_numpy(dtype=float), MONTHS_PER_YEAR, axis=0)
    if dates is None:
        chosen = visit_months(expected, factors, handover, visits, span, warning)
    else:
        chosen = np.broadcast_to(np.sort(np.asarray(dates, dtype=np.int64)), (len(handover), visits))
    worth = visit_value(expected, factors, handover, chosen, warning)
    at = (handover[:, None] - 1 + np.arange(expected.shape[1])) % 12
    summed = np.cumsum(expected * np.take_along_axis(factors, at, axis=1), axis=1)
    summed = np.concatenate([np.zeros((len(summed), 1)), summed], axis=1)
    ends = np.full((len(summed), 1), expected.shape[1])
    begin, end = np.minimum(chosen, ends), np.minimum(np.concatenate([chosen[:, 1:], ends], axis=1), ends)
    ahead = np.take_along_axis(summed, end, axis=1) - np.take_along_axis(summed, begin, axis=1)
    return out.assign(
        handover_month=np.repeat(handover, visits),
        after_months=chosen.ravel(),
        failures_ahead=ahead.ravel(),
        prevented=worth.ravel(),
        reason=_reasons(
            chosen,
            handover,
            factors,
            ahead / np.where(summed[:, -1:] > 0, summed[:, -1:], np.nan),
            expected.shape[1],
        ),
    )


def _reasons(
    chosen: IntArray, handover: IntArray, factors: FloatArray, share: FloatArray, months: int
) -> list[str]:
    """Say why each visit stands where it does, shapes (n, visits), (n,), (n, 12), (n, visits)."""
    before, after, edges = season_edges(factors)
    at = (handover[:, None] - 1 + chosen) % 12
    names = np.array(MONTH_NAMES)
    season = np.char.add(np.char.add(names[edges[:, :1]], " to "), names[edges[:, 1:]])
    season = np.broadcast_to(season, chosen.shape)
    since = (at + 1 - edges[:, :1]) % 12 <= (edges[:, 1:] - edges[:, :1]) % 12
    near = [np.take_along_axis(values, at, axis=1) > 0 for values in (before, after)]
    words = {
        "month 1 is fixed": chosen == FIRST_VISIT,
        "use is even over the year": np.broadcast_to(edges[:, :1] == 0, chosen.shape),
        "between two seasons, ": near[0] & near[1],
        "before the season, ": near[0],
        "after the season, ": near[1],
        "in the season, ": since,
    }
    place = np.select(list(words.values()), list(words), "out of the season, ").ravel()
    named = np.where(np.char.endswith(place, ", "), season.ravel(), "")
    texts = [
        f"; {part:.0%} of a machine's failures in {months} months fall before the next visit"
        if part == part
        else "; no failures of new machines are known"
        for part in share.ravel()
    ]
    return [f"{word}{month}{text}" for word, month, text in zip(place, named, texts)]
