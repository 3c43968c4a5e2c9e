"""What inspection visits do to wear parts: pieces they use, failures they prevent.

A visit replaces a piece with a certain chance whatever its age; from then on the piece is new. What that does
to failures follows exactly from renewals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import problem_in_argument

FloatArray = NDArray[np.float64]
Renewals = Callable[[FloatArray], FloatArray]
GRID_CELLS = 600


class VisitEffect(NamedTuple):
    """Events of pieces on machines that are visited, between consecutive edges.

    Parameters
    ----------
    unvisited, failures : ndarray, shape (n, edges - 1)
        Expected failures without the visits (those made anyway aside), and with all. [failures]
    planned : ndarray, shape (n, edges - 1)
        Expected preventive replacements. [pieces]
    """

    unvisited: FloatArray
    failures: FloatArray
    planned: FloatArray


def visited_renewals(
    from_now: Renewals,
    from_new: Renewals,
    edges: FloatArray,
    visit_at: FloatArray,
    share: ArrayLike,
    made: ArrayLike = 0,
) -> VisitEffect:
    """Failures and preventive replacements of pieces that visits replace with a given chance.

    Parameters
    ----------
    from_now, from_new : callable
        Expected failures by an elapsed use, of the piece in place now and of a new one, without any visit:
        array of shape (n, k) in, the same out; 0 at 0. [hours or days -> failures]
    edges : ndarray, shape (n, e) or (e,)
        Use from now to each edge, rising. [hours or days]
    visit_at : ndarray, shape (n, v) or (v,)
        Use from now to each visit, rising; those before now or NaN are left out. [hours or days]
    share : array-like, shape (n,) or ()
        Chance that a visit replaces a piece.
    made : array-like of int, shape (n,) or ()
        How many of the first visits are made anyway: `unvisited` holds their effect too.

    Returns
    -------
    VisitEffect

    Raises
    ------
    DataError
        A share outside 0 to 1, edges or visits that fall.

    Notes
    -----
    Whether a visit replaces a piece does not depend on its age, so what follows a visit at v is a mixture:
    with W the failures by time t as they would be without it and M those of a new piece,
    W(t) <- W(v) + (1 - p) (W(t) - W(v)) + p M(t - v) for t > v, visit after visit. Exact for any law of lives
    and any age now [1]_.

    References
    ----------
    .. [1] Cox (1962), Renewal Theory, ch. 4.
    """
    p = np.atleast_1d(np.asarray(share, dtype=float))
    ends, at = np.atleast_2d(np.asarray(edges, dtype=float)), np.atleast_2d(np.asarray(visit_at, dtype=float))
    if not ((p >= 0) & (p <= 1)).all():
        raise problem_in_argument("visited_renewals", "share", share, "is no chance", "give 0 to 1")
    if (np.diff(ends, axis=1) < 0).any() or (np.diff(at, axis=1) < 0).any():
        raise problem_in_argument("visited_renewals", "edges, visit_at", "", "fall", "sort them")
    size = max(len(p), len(ends), len(at))
    p = np.broadcast_to(p, (size,))[:, None]
    ends = np.broadcast_to(ends, (size, ends.shape[1]))
    at = np.broadcast_to(np.sort(np.where(at >= 0, at, np.inf), axis=1), (size, at.shape[1]))
    never = ~np.isfinite(at)
    points = np.concatenate([ends, np.where(never, 0.0, at)], axis=1)
    total = from_now(points)
    first = np.broadcast_to(np.atleast_1d(np.asarray(made, dtype=np.int64)), (size,))[:, None]
    unvisited = total
    for visit in range(at.shape[1]):
        unvisited = np.where(visit <= first, total, unvisited)
        when = np.where(never[:, visit, None], np.inf, at[:, visit : visit + 1])
        reached = total[:, ends.shape[1] + visit, None]
        after = points > when
        new = from_new(np.where(after, points - np.where(never[:, visit, None], 0.0, when), 0.0))
        total = np.where(after, reached + (1 - p) * (total - reached) + p * new, total)
    unvisited = np.where(at.shape[1] <= first, total, unvisited)
    unvisited, total = unvisited[:, : ends.shape[1]], total[:, : ends.shape[1]]
    due = (at[:, None, :] < ends[:, 1:, None]) & (at[:, None, :] >= ends[:, :-1, None])
    return VisitEffect(np.diff(unvisited, axis=1), np.diff(total, axis=1), due.sum(axis=2) * p)


def renewal_curve(shape: ArrayLike, scale: ArrayLike, longest: ArrayLike, age: ArrayLike = 0.0) -> Renewals:
    """Expected failures of pieces by elapsed use, as a function for `visited_renewals`.

    Parameters
    ----------
    shape, scale, age : array-like, broadcast to shape (n,)
        Weibull law and age now. [-, hours or days, hours or days]
    longest : array-like, shape (n,) or ()
        Use up to which the function answers; beyond, the last value holds. [hours or days]

    Returns
    -------
    callable
        Array of shape (n, k) in, the same out; straight lines between fine steps.
    """
    from spareplan.forecast.renewal import expected_renewals

    b, eta, now, far = np.broadcast_arrays(*np.atleast_1d(shape, scale, age, longest))
    counts = expected_renewals(b, eta / far, now / far, 1.0, 1.0 / GRID_CELLS)
    curve = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    slope = np.diff(curve, axis=1)
    step = (far / GRID_CELLS)[:, None]
    row = np.arange(len(curve))[:, None] * GRID_CELLS

    def by_use(use: FloatArray) -> FloatArray:
        place = np.clip(use / step, 0.0, GRID_CELLS)
        low = np.minimum(place.astype(np.int64), GRID_CELLS - 1)
        # A row of the curve is one value longer than a row of its slopes.
        before = curve.ravel().take(low + row + row // GRID_CELLS)
        return before + (place - low) * slope.ravel().take(low + row)

    return by_use


def prevented_failures(
    shape: ArrayLike,
    scale: ArrayLike,
    visit_at: ArrayLike,
    share: ArrayLike,
    horizon: float,
    age: ArrayLike = 0.0,
) -> pd.DataFrame:
    """Failures with and without visits over a horizon, per part.

    Parameters
    ----------
    shape, scale : array-like, shape (n,)
        Weibull law of each part's lives. [-, hours, days or months]
    visit_at : array-like, shape (v,) or (n, v)
        Use from now to each visit. [the unit of the scale]
    share : array-like, shape (n,) or ()
        Chance that a visit replaces a piece.
    horizon : float
        [the unit of the scale]
    age : array-like, shape (n,) or ()
        Of the pieces now. [the unit of the scale]

    Returns
    -------
    DataFrame, a row per part in the given order
        unvisited (failures without visits), failures (with them), prevented (negative for parts that fail
        early: new pieces do worse), pieces (used by the visits); per piece fitted.

    Raises
    ------
    DataError
        As `visited_renewals` and `expected_renewals`.
    """
    b, eta, a = np.broadcast_arrays(np.atleast_1d(np.asarray(shape, float)), scale, age)
    from_new = renewal_curve(b, eta, horizon)
    from_now = renewal_curve(b, eta, horizon, a) if np.any(a > 0) else from_new
    edges = np.broadcast_to([0.0, horizon], (len(b), 2))
    effect = visited_renewals(from_now, from_new, edges, np.asarray(visit_at, dtype=float), share)
    without, with_visits, pieces = (values[:, 0] for values in effect)
    return pd.DataFrame(
        {
            "unvisited": without,
            "failures": with_visits,
            "prevented": without - with_visits,
            "pieces": np.broadcast_to(pieces, without.shape),
        }
    )
