"""Delays known only once they are over: their distribution, in spite of those that are not over yet."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def reverse_hazard(
    delay: ArrayLike, limit: ArrayLike, least_at_risk: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Distribution of delays that are seen only where they do not exceed a limit of their own.

    Parameters
    ----------
    delay : array-like, shape (n,)
        Seen delays, none negative. [days]
    limit : array-like, shape (n,)
        Longest delay that could have been seen in each case, at least `delay`. [days]
    least_at_risk : float
        Delays with fewer cases than this that could tell about them are left out, as too rare to tell.

    Returns
    -------
    at, share : ndarray, shape (m,)
        Distinct delays, rising [days], and the share of cases with a delay up to each, ending in 1.

    Notes
    -----
    A case with delay d is seen if d <= limit (right truncation). Going backwards, those at risk at z are the
    cases with delay <= z <= limit, and G(z-) = G(z) (1 - d(z) / n(z)). The law is conditional on the longest
    delay that is kept: what never arrives, or arrives later than that, cannot be known.

    References
    ----------
    .. [1] Lagakos, Barraj & De Gruttola (1988), Biometrika 75(3), 515-523.
    .. [2] Kalbfleisch & Lawless (1989), JASA 84(406), 360-372.

    Examples
    --------
    >>> at, share = reverse_hazard([0, 0, 1, 0], [0, 1, 1, 1])
    >>> at.tolist(), share.round(3).tolist()
    ([0.0, 1.0], [0.667, 1.0])
    """
    seen, last = np.asarray(delay, dtype=float), np.asarray(limit, dtype=float)
    at, ended = np.unique(seen, return_counts=True)
    # A case whose limit lies below z has its delay below z, too.
    at_risk = np.cumsum(ended) - np.searchsorted(np.sort(last), at, side="left")
    peak = int(at_risk.argmax()) if len(at) else 0
    if not len(at) or at_risk[peak] < least_at_risk:
        return np.empty(0), np.empty(0)
    # Long delays rest on the old cases alone: where those get few, one of them could empty everything below.
    few = np.flatnonzero(at_risk[peak:] < least_at_risk)
    top = peak + int(few[0]) if len(few) else len(at)
    at, chance = at[:top], ended[:top] / at_risk[:top]
    share = np.append(np.cumprod((1 - chance)[::-1])[::-1][1:], 1.0)
    return at, share


def slice_means(at: FloatArray, share: FloatArray, slices: int) -> FloatArray:
    """Means of the equally likely slices of a discrete law: n values with its own mean.

    Parameters
    ----------
    at : ndarray, shape (m,)
        Rising values.
    share : ndarray, shape (m,)
        Distribution function at them, ending in 1.
    slices : int

    Returns
    -------
    ndarray, shape (slices,)
        Rising.
    """
    edges = np.arange(slices + 1) / slices
    below = np.concatenate([[0.0], share])
    # Integral of the quantile function from 0 to p: a straight line between the values of the distribution.
    integral = np.concatenate([[0.0], np.cumsum(at * np.diff(below))])
    out: FloatArray = np.diff(np.interp(edges, below, integral)) * slices
    return out


def draw_at(at: FloatArray, share: FloatArray, place: ArrayLike, limit: ArrayLike = np.inf) -> FloatArray:
    """Quantiles of a discrete law, given that the value does not exceed a limit.

    Parameters
    ----------
    at, share : ndarray, shape (m,)
        Rising values, and the distribution function at them.
    place : array-like, shape (n,)
        Places between 0 and 1.
    limit : array-like, shape (n,)
        No value above it is given; where even the least one is above, the limit itself.

    Returns
    -------
    ndarray, shape (n,)
    """
    wanted, most = np.broadcast_arrays(np.asarray(place, dtype=float), np.asarray(limit, dtype=float))
    inside = np.searchsorted(at, most, side="right") - 1
    top = np.where(inside >= 0, share[np.maximum(inside, 0)], 0.0)
    picked = np.minimum(np.searchsorted(share, wanted * top, side="left"), np.maximum(inside, 0))
    out: FloatArray = np.minimum(at[picked], most)
    return out
