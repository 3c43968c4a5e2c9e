"""Whole pieces: sharing a scarce stock, matching excess with shortage, rounding to packs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLUID_EPSILON = 1e-6


def whole_pieces(amount: ArrayLike) -> NDArray[np.float64]:
    """Whole pieces in an expected amount: never negative, and rounding errors do not cost a piece.

    Parameters
    ----------
    amount : array-like
        Expected pieces, any sign. [pieces]

    Returns
    -------
    ndarray
        [pieces]
    """
    return np.maximum(np.floor(np.asarray(amount, dtype=float) + FLUID_EPSILON), 0.0)


def share_scarce(available: ArrayLike, wanted: ArrayLike, rank: ArrayLike) -> NDArray[np.float64]:
    """Share whole pieces: rank by rank, and within a rank in proportion to what is wanted.

    Pieces that the proportion would cut go to the largest fractions, the first column first.

    Parameters
    ----------
    available : array-like, shape (n,)
        Whole pieces to give. [pieces]
    wanted : array-like, shape (n, m)
        Whole pieces wanted by each of m receivers. [pieces]
    rank : array-like of int, shape (n, m)
        1 is served first.

    Returns
    -------
    ndarray, shape (n, m)
        Never more than wanted; rows add up to the lesser of what is there and what is wanted. [pieces]
    """
    left = np.array(available, dtype=float)
    want, order = np.asarray(wanted, dtype=float), np.asarray(rank)
    given = np.zeros(want.shape)
    for group in np.unique(order[want > 0]):
        part = _in_proportion(left, np.where(order == group, want, 0.0))
        given += part
        left -= part.sum(axis=1)
    return given


def match_excess(excess: ArrayLike, taken: ArrayLike) -> NDArray[np.float64]:
    """Which giver serves which receiver: both are laid end to end, overlaps are the moves.

    Parameters
    ----------
    excess : array-like, shape (n, givers)
        Pieces each can give. [pieces]
    taken : array-like, shape (n, receivers)
        Pieces each receives; a row adds up to no more than its excess. [pieces]

    Returns
    -------
    ndarray, shape (n, givers, receivers)
        Rows add up to `taken`; no giver gives more than its excess. [pieces]
    """
    give_end, take_end = np.cumsum(excess, axis=1), np.cumsum(taken, axis=1)
    give_start, take_start = give_end - excess, take_end - taken
    ends = np.minimum(give_end[:, :, None], take_end[:, None, :])
    starts = np.maximum(give_start[:, :, None], take_start[:, None, :])
    return np.maximum(ends - starts, 0.0)


def order_size(
    needed: ArrayLike, least: ArrayLike, pack: ArrayLike, batch: ArrayLike | float = 1.0
) -> NDArray[np.float64]:
    """Round a need up to what a supplier delivers.

    Parameters
    ----------
    needed : array-like, shape (n,)
        Pieces that bring the position back to base stock. [pieces]
    least, pack : array-like, shape (n,)
        Minimum order and pack size. [pieces]
    batch : array-like, shape (n,)
        Order quantity of the policy. [pieces]

    Returns
    -------
    ndarray, shape (n,)
        0 where nothing is needed, else the least multiple of the pack that covers all three. [pieces]
    """
    need, packs = np.asarray(needed, dtype=float), np.asarray(pack, dtype=float)
    amount = np.maximum(np.maximum(need, least), batch)
    return np.where(need > 0, np.ceil(amount / packs - FLUID_EPSILON) * packs, 0.0)


def _in_proportion(available: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    total = wanted.sum(axis=1)
    short = total > available
    given = wanted.copy()
    if short.any():
        asked, there = wanted[short], np.maximum(available[short], 0.0)
        exact = asked * (there / total[short])[:, None]
        floor = np.floor(exact + FLUID_EPSILON)
        rest = np.rint(there - floor.sum(axis=1))
        order = np.argsort(-np.round(exact - floor, 9), axis=1, kind="stable")
        place = np.empty(order.shape)
        np.put_along_axis(
            place, order, np.broadcast_to(np.arange(order.shape[1], dtype=float), order.shape), axis=1
        )
        given[short] = floor + (place < rest[:, None])
    return given
