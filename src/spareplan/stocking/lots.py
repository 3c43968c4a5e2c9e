"""Orders in lots below headquarters: what they add to the variance of the pieces that a parent is asked for.

A site that orders Q pieces whenever Q were asked of it passes on Q floor((U + X) / Q) pieces in a window,
with X the pieces asked for and U, its phase, uniform on 0 .. Q - 1. The mean is that of X. For given X = x
the phase alone makes the mean square x² + b (Q - b), b = x mod Q, so that the variance is larger by
E[b (Q - b)]: about m (Q - 1) for a short window, (Q² - 1) / 6 for a long one. Both this and the mean of b are
finite Fourier sums over the characteristic function of X.

References
----------
.. [1] Svoronos and Zipkin (1988), Estimating the performance of multi-level inventory systems.
.. [2] Axsäter (2015), Inventory Control, ch. 10: batch-ordering policies in multi-echelon systems.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking._forest import Forest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class LotNoise(NamedTuple):
    """What lots of the sites below add at some rows (arrays, shape (n,)).

    Parameters
    ----------
    variance : ndarray
        Of the pieces asked for in a window, beyond what single orders would have. [pieces²]
    ahead : ndarray
        Pieces of the window that an arriving piece finds beyond their mean. [pieces]
    """

    variance: FloatArray
    ahead: FloatArray


def lot_spread(mean: FloatArray, variance: FloatArray, quantity: IntArray) -> tuple[FloatArray, FloatArray]:
    """Variance that ordering in lots adds to a count, and the mean of the count modulo the lot.

    Parameters
    ----------
    mean, variance : ndarray, shape (n,)
        Of the count: Poisson, or negative binomial where the variance is larger. [pieces, pieces²]
    quantity : ndarray of int, shape (n,)
        Q, at least 1. [pieces]

    Returns
    -------
    added, rest : ndarray, shape (n,)
        E[b (Q - b)] and E[b], b = X mod Q. [pieces², pieces]
    """
    lot = quantity.astype(float)
    added, rest = (lot**2 - 1) / 6, (lot - 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        keep = np.where(variance > mean * (1 + 1e-9), mean / variance, 1.0)
        shape = mean * keep / (1 - keep)
    for step in range(1, int(quantity.max(initial=1)) // 2 + 1):
        rows = np.flatnonzero(quantity >= 2 * step)
        angle = 2 * np.pi * step / lot[rows]
        turn = np.exp(1j * angle)
        stays = keep[rows]
        log_law = mean[rows] * (turn - 1)
        wild = stays < 1
        log_law[wild] = shape[rows[wild]] * (np.log(stays[wild]) - np.log(1 - (1 - stays[wild]) * turn[wild]))
        law = np.exp(log_law)
        # Terms k and Q - k are conjugate; the middle one of an even Q stands alone.
        twice = np.where(quantity[rows] == 2 * step, 1.0, 2.0)
        added[rows] -= twice * law.real / (2 * np.sin(angle / 2) ** 2)
        rest[rows] += twice * (law / (np.conj(turn) - 1)).real
    return np.maximum(added, 0.0), np.clip(rest, 0.0, lot - 1)


def lot_noise(forest: Forest, rows: IntArray, days: FloatArray) -> LotNoise:
    """What the lots of all sites below add at each row over a window of its own.

    Parameters
    ----------
    forest : Forest
    rows : ndarray of int, shape (n,)
        Rows of the forest, in any order, also more than once.
    days : ndarray, shape (n,)
        Window of each. [days]

    Returns
    -------
    LotNoise
    """
    quantity = forest.most - forest.least + 1
    by_parent = np.argsort(forest.parent, kind="stable")
    above = forest.parent[by_parent]
    # A level of pairs (asked row, site below it) after the other, each knowing its pair one level up.
    levels = [(rows, np.arange(len(rows)), np.full(len(rows), -1))]
    while len(levels[-1][0]):
        at, asked, _ = levels[-1]
        first, last = np.searchsorted(above, at), np.searchsorted(above, at, side="right")
        count = last - first
        up = np.repeat(np.arange(len(at)), count)
        step = np.arange(len(up)) - np.repeat(np.cumsum(count) - count, count)
        levels.append((by_parent[first[up] + step], asked[up], up))
    below: FloatArray = np.zeros(0)
    ahead: FloatArray = np.zeros(len(rows))
    for depth in range(len(levels) - 1, 0, -1):
        at, asked, up = levels[depth]
        window = days[asked]
        mean = forest.share[at] * forest.demand[forest.parent[at]] * window
        beyond = np.maximum(forest.excess[at], 0.0) * window + (forest.spread[at] * window) ** 2
        variance = mean + np.where(forest.overdispersed[at], beyond, 0.0) + below
        added, rest = lot_spread(mean, variance, quantity[at])
        if depth == 1:
            # Mates of the own lot stand before a piece, but the lot before it is not far back.
            weight = forest.share[at] * ((quantity[at] - 1) / 2 - rest)
            ahead = np.bincount(up, weight, minlength=len(rows)).astype(float)
        below = np.bincount(up, below + added, minlength=len(levels[depth - 1][0])).astype(float)
    return LotNoise(below if len(below) else np.zeros(len(rows)), ahead)
