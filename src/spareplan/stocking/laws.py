"""Laws of pieces on order and of backorders, one site at a time: what `echelons` walks the tree with.

References
----------
.. [1] Simon (1971), Stationary properties of a two-echelon inventory model for low demand items.
.. [2] Graves (1985), A multi-echelon inventory model for a repairable item with one-for-one replenishment.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Probability beyond which a count is cut; far below the 1e-8 that results promise.
TAIL = 1e-15


class Service(NamedTuple):
    """What every row of a forest gives (arrays, shape (n,)).

    Parameters
    ----------
    ebo, pipeline : ndarray
        Expected backorders, and mean pieces on order. [pieces]
    fill_rate, ready_rate : ndarray
        P(N < S) and P(N <= S).
    """

    ebo: FloatArray
    pipeline: FloatArray
    fill_rate: FloatArray
    ready_rate: FloatArray


def count_reach(mean: float) -> int:
    """Count that a Poisson of this mean passes with probability below `TAIL` [pieces]."""
    return int(mean + 9.0 * np.sqrt(mean) + 22.0)


def poisson_pmf(mean: float, reach: int) -> FloatArray:
    """Poisson probabilities of 0 .. reach pieces.

    Parameters
    ----------
    mean : float
        [pieces]
    reach : int
        Last count. [pieces]

    Returns
    -------
    ndarray, shape (reach + 1,)
    """
    count = np.arange(reach + 1)
    if mean <= 0:
        return (count == 0).astype(float)
    return np.exp(count * np.log(mean) - mean - special.gammaln(count + 1.0))


def backorder_pmf(on_order: FloatArray, least: int, most: int | None = None) -> FloatArray:
    """Law of the backorders (N - S)+ from the law of the pieces on order.

    Parameters
    ----------
    on_order : ndarray, shape (k,)
        P(N = 0 .. k - 1), the whole law up to `TAIL`.
    least, most : int
        Base stock S, or a position that is uniform on least .. most (ordering in quantities).

    Returns
    -------
    ndarray
        P(B = 0, 1, ...).
    """
    last = least if most is None else most
    out = np.zeros(max(len(on_order) - least, 1))
    for stock in range(least, last + 1):
        out[0] += on_order[: stock + 1].sum()
        beyond = on_order[stock + 1 :]
        out[1 : 1 + len(beyond)] += beyond
    return out / (last - least + 1)


def thin(backorders: FloatArray, share: float, reach: int) -> FloatArray:
    """Law of a binomial share of the backorders: those that one child waits for.

    Parameters
    ----------
    backorders : ndarray, shape (k,)
        P(B = 0 .. k - 1).
    share : float
        Share of the parent's demand that the child's orders are.
    reach : int
        Last count that is wanted. [pieces]

    Returns
    -------
    ndarray, shape (reach + 1,)
        P(Binomial(B, share) = 0 .. reach).

    Notes
    -----
    In logs: (1 - share)^b underflows for large backlogs, and would lose all mass.
    """
    out = np.zeros(reach + 1)
    if share <= 0:
        out[0] = backorders.sum()
        return out
    if share >= 1:
        keep = min(len(backorders), reach + 1)
        out[:keep] = backorders[:keep]
        return out
    size = np.flatnonzero(backorders > 0)
    if not len(size):
        return out
    top = min(reach, int(size[-1]))
    count = np.arange(top + 1)
    rest = size[:, None] - count
    log_factorial = special.gammaln(np.arange(size[-1] + 2) + 1.0)
    ways = log_factorial[size][:, None] - log_factorial[count] - log_factorial[np.maximum(rest, 0)]
    logs = ways + count * np.log(share) + rest * np.log1p(-share) + np.log(backorders[size])[:, None]
    out[: top + 1] = np.exp(np.where(rest >= 0, logs, -np.inf)).sum(axis=0)
    return out


def convolve_poisson(law: FloatArray, mean: float, reach: int) -> FloatArray:
    """Law of a count plus an independent Poisson.

    Parameters
    ----------
    law : ndarray
        P(count = 0, 1, ...).
    mean : float
        Mean of the Poisson. [pieces]
    reach : int
        Last count that is wanted. [pieces]

    Returns
    -------
    ndarray, shape (reach + 1,)
    """
    out = np.zeros(reach + 1)
    both = np.convolve(law[: reach + 1], poisson_pmf(mean, reach))[: reach + 1]
    out[: len(both)] = both
    return out


def station_moments(
    local: FloatArray,
    local_variance: FloatArray,
    share: FloatArray,
    backlog: FloatArray,
    backlog_variance: FloatArray,
    lump: FloatArray | float = 1.0,
    common: FloatArray | float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Two moments of the pieces on order at a site from those of its parent's backlog [2]_.

    Parameters
    ----------
    local, local_variance : ndarray, shape (n,)
        Pieces on the way from a parent that is in stock. [pieces, pieces²]
    share : ndarray, shape (n,)
        Share of the parent's demand that the site's orders are.
    backlog, backlog_variance : ndarray, shape (n,)
        Of the parent. [pieces, pieces²]
    lump : ndarray, shape (n,)
        Pieces that wait together, because orders are for more than one: their mean squared over their mean
        size. [pieces]
    common : ndarray, shape (n,)
        Covariance of the pieces on the way and the share of the backlog, by a common rate. [pieces²]

    Returns
    -------
    mean, variance : ndarray, shape (n,)
        [pieces, pieces²]
    """
    mean = local + share * backlog
    split = lump * share * (1 - share) * backlog + share**2 * backlog_variance
    return mean, local_variance + split + 2 * common


def positions(least: IntArray, most: IntArray) -> list[tuple[IntArray, IntArray, FloatArray]]:
    """List the stock positions to average over, one entry per step of an order quantity.

    Parameters
    ----------
    least, most : ndarray of int, shape (n,)
        The position is uniform on least .. most. [pieces]

    Returns
    -------
    list of (position, rows that have it, weight)
        Base-stock rows stand in the first entry alone, with weight 1.
    """
    steps = most - least
    out = []
    for step in range(int(steps.max(initial=0)) + 1):
        rows = np.flatnonzero(steps >= step)
        out.append((least[rows] + step, rows, 1.0 / (steps[rows] + 1)))
    return out
