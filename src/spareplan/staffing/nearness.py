"""How near the nearest free engineer is: tables by the number free, read as the state of a region asks.

A table of drives knows engineers who stand at random, or who are left over where everybody else is busy.
Where hardly anybody is busy, who was sent comes free where he was sent before another is needed there, so
that each keeps to a patch of his own and all together are nearer than at random. A state is therefore read
from the table at the number of engineers that would be as near.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Patches hold until so large a part of the engineers is busy.
_BROKEN_UP = 0.5


def as_near_as(free: FloatArray, servers: IntArray, settled: FloatArray, idle: FloatArray) -> FloatArray:
    """Number of engineers of the table that are as near as those free.

    Parameters
    ----------
    free : ndarray, shape (R, N)
        Free engineers of each state, at least 1.
    servers : ndarray of int, shape (R,)
        On duty.
    settled : ndarray, shape (R,)
        As near as so many of the table are all of them where nobody is ever busy for long. [engineers]
    idle : ndarray, shape (R,)
        Free share of an engineer's time, about.

    Returns
    -------
    ndarray, shape (R, N)
        Not below `free`. [engineers]

    Notes
    -----
    Geometric between the two, with weight idle (1 - 2 b)+ where the part b of the engineers is busy. The
    weight was found on 14 simulated regions (even and in towns, 2 to 30 engineers, busy 4 to 75 %) and
    checked on 14 others: drives of regions busy less than 15 % were 12 % (even) and 22 % (towns) too long
    without it and are 0.3 % and 1.9 % with it.
    """
    crew = servers[:, None].astype(float)
    held = np.clip(1.0 - (crew - free) / crew / _BROKEN_UP, 0.0, 1.0)
    nearer: FloatArray = free * np.maximum(settled / servers, 1.0)[:, None] ** (idle[:, None] * held)
    return nearer


def drive_at(hours: FloatArray, near: FloatArray | IntArray) -> FloatArray:
    """Mean drives read off between whole numbers of engineers.

    Parameters
    ----------
    hours : ndarray, shape (R, F)
        Table of each row; beyond it distance falls with the root of the number. [hours]
    near : ndarray, shape (R, N)
        At least 1. [engineers]

    Returns
    -------
    ndarray, shape (R, N)
        [hours]
    """
    have = hours.shape[1]
    low, part = _between_whole(np.minimum(near, have), have)
    one = np.take_along_axis(hours, low, axis=1)
    other = np.take_along_axis(hours, np.minimum(low + 1, have - 1), axis=1)
    read: FloatArray = (one + part * (other - one)) * np.sqrt(have / np.maximum(near, have))
    return read


def spread_out(chance: FloatArray, near: FloatArray, most: int) -> FloatArray:
    """Add up the chances of states by how near their engineers are.

    Parameters
    ----------
    chance, near : ndarray, shape (R, N)
        Chance of each state; engineers of the table that are as near.
    most : int
        Nearer ones count as this many.

    Returns
    -------
    ndarray, shape (R, most)
    """
    low, part = _between_whole(np.minimum(near, most), most)
    first = np.arange(len(chance))[:, None] * most
    at = np.concatenate([(first + low).ravel(), (first + np.minimum(low + 1, most - 1)).ravel()])
    weight = np.concatenate([(chance * (1.0 - part)).ravel(), (chance * part).ravel()])
    summed = np.bincount(at, weight, minlength=len(chance) * most).astype(np.float64)
    return summed.reshape(len(chance), most)


def continued(settled: FloatArray, most: int) -> FloatArray:
    """Continue a table of settled engineers, shape (places, F), to `most`: the same part nearer."""
    have = settled.shape[1]
    if most <= have:
        return settled
    return np.concatenate([settled, settled[:, -1:] / have * np.arange(have + 1.0, most + 1.0)], axis=1)


def nearer_still(spread: FloatArray, near: FloatArray, limit: float, most: int) -> FloatArray:
    """Continue shares within a limit: beyond a table distance falls with the root of the number.

    Parameters
    ----------
    spread : ndarray, shape (places, F, Q)
        Quantiles of the table. [hours]
    near : ndarray, shape (places, G)
        Shares within the limit, G at least F.
    limit : float
        [hours]
    most : int

    Returns
    -------
    ndarray, shape (places, most)
    """
    known, have = near.shape[1], spread.shape[1]
    if most <= known:
        return near[:, :most]
    closer = np.sqrt(have / np.arange(known + 1.0, most + 1.0))
    more = share_within(spread[:, -1:] * closer[:, None], limit)
    return np.concatenate([near, more], axis=1)


def share_within(spread: FloatArray, limit: float) -> FloatArray:
    """Share of drives not above a limit, between the quantiles on a straight line.

    Parameters
    ----------
    spread : ndarray, shape (..., Q)
        Quantiles at (i + 0.5) / Q. [hours]
    limit : float
        [hours]

    Returns
    -------
    ndarray, shape (...)
    """
    size = spread.shape[-1]
    below = (spread <= limit).sum(axis=-1)
    low = np.take_along_axis(spread, np.clip(below - 1, 0, size - 1)[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(spread, np.clip(below, 0, size - 1)[..., None], axis=-1)[..., 0]
    gap = np.where(high > low, high - low, 1.0)
    part = np.where((below > 0) & (below < size) & (high > low), (limit - low) / gap, 0.5)
    return np.where(below == 0, 0.0, np.where(below == size, 1.0, (below - 0.5 + part) / size))


def _between_whole(near: FloatArray | IntArray, most: int) -> tuple[IntArray, FloatArray]:
    """Place of the whole number below, and the part above it."""
    low = np.clip(np.floor(near), 1, most).astype(np.int64)
    return low - 1, np.asarray(near, dtype=float) - low
