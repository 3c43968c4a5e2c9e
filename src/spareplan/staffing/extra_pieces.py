"""Cheapest extra pieces of stock that make fewer orders miss their part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# Most pieces that are added to one part at one site.
_MOST_PIECES = 60
# Last steps of the greedy choice that are tried to be replaced by a single cheaper one.
_LAST_STEPS = 40


def cheapest_pieces(
    base_stock: FloatArray,
    fill_rate: FloatArray,
    demand: FloatArray,
    cost: FloatArray,
    wanted: float,
    wait_demand: FloatArray | None = None,
) -> tuple[NDArray[np.int64], float]:
    """Extra pieces per part and site so that the demand not met falls to a share of today's, at least cost.

    Parameters
    ----------
    base_stock, fill_rate, demand, cost : ndarray, shape (n,)
        Pieces, share, pieces per day, money per piece.
    wanted : float
        Share of today's unmet demand that may stay, 0..1.
    wait_demand : ndarray, shape (n,), optional
        Mean pipeline where nothing is stocked (demand x mean wait). [pieces]

    Returns
    -------
    pieces : ndarray of int, shape (n,)
    left : float
        Share of today's unmet demand that stays, at most `wanted` unless 60 pieces everywhere are too few.
    """
    from scipy import special

    stock = np.round(base_stock)
    with np.errstate(invalid="ignore"):
        pipeline = special.gammainccinv(np.maximum(stock, 1.0), np.clip(fill_rate, 1e-12, 1.0 - 1e-12))
    unstocked = np.zeros(len(stock)) if wait_demand is None else wait_demand
    pipeline = np.where(stock > 0, pipeline, np.maximum(unstocked, 1e-9))
    more = np.arange(_MOST_PIECES)
    levels = stock[:, None] + more
    logs = levels * np.log(np.maximum(pipeline, 1e-300))[:, None] - pipeline[:, None]
    gain = demand[:, None] * np.exp(logs - special.gammaln(levels + 1.0))
    # Unknown demand at a site without stock counts as unmet; the fill rate of the rest is as given.
    unmet = float((demand * (1.0 - np.where(stock > 0, fill_rate, 0.0))).sum())
    if unmet <= 0 or wanted >= 1.0:
        return np.zeros(len(stock), dtype=np.int64), 1.0
    met = np.concatenate([np.zeros((len(stock), 1)), np.cumsum(gain, axis=1)], axis=1)
    pieces = _greedy(met, np.maximum(cost, 1e-9), unmet * (1.0 - wanted))
    return pieces, max(1.0 - float(met[np.arange(len(stock)), pieces].sum()) / unmet, 0.0)


def _greedy(met: FloatArray, cost: FloatArray, goal: float) -> NDArray[np.int64]:
    """Take pieces by gain per money until `met` (by item and pieces) sums to the goal."""
    count, most = len(met), met.shape[1] - 1
    every, item = np.arange(1, most + 1), np.arange(count)
    # Where the first pieces gain more and more they only count together.
    whole = np.argmax(met[:, 1:] / every, axis=1) + 1
    gain = np.where(every <= whole[:, None], (met[item, whole] / whole)[:, None], np.diff(met, axis=1))
    order = np.argsort(-(gain / cost[:, None]).reshape(-1), kind="stable")
    sums = np.cumsum(gain.reshape(-1)[order])
    goal = min(goal, float(met[:, -1].sum())) * (1.0 - 1e-12)
    last = min(int(np.searchsorted(sums, goal)), len(order) - 1)
    best, least = np.full(count, most, dtype=np.int64), np.inf
    for end in range(max(last + 1 - _LAST_STEPS, 0), last + 2):
        pieces = np.bincount(order[:end] // most, minlength=count)
        pieces = np.where(pieces < whole, 0, pieces)
        held = met[item, pieces]
        gap = goal - held.sum()
        if gap > 0:
            # One more step of a single part at a site closes the gap: the cheapest does.
            closes = met >= (held + gap)[:, None]
            more = np.where(closes.any(axis=1), closes.argmax(axis=1) - pieces, 2 * most)
            which = int(np.argmin(np.where(more < 2 * most, more * cost, np.inf)))
            if more[which] >= 2 * most:
                continue
            pieces[which] += more[which]
        pieces = _spared(met, cost, goal, pieces)
        money = float((pieces * cost).sum())
        if money < least:
            best, least = pieces, money
    return best


def _spared(met: FloatArray, cost: FloatArray, goal: float, pieces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave away pieces that the rest can spare, dearest first."""
    out = pieces.copy()
    spare = float(met[np.arange(len(met)), out].sum()) - goal
    for which in np.argsort(-cost, kind="stable"):
        if out[which] > 0:
            kept = int(np.argmax(met[which] >= met[which, out[which]] - spare))
            if kept < out[which]:
                spare -= float(met[which, out[which]] - met[which, kept])
                out[which] = kept
    return out
