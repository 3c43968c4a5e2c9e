"""Pieces that must be there while failed ones are repaired: the most that are ever missing at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
RUNS = 3000
SEED = 20
# Steps within one repair time, and steps at most; later steps hold less than this share of the demand.
STEPS_PER_LOOP = 15
MOST_STEPS = 2000
TAIL = 1e-3


def most_missing(
    mean: FloatArray, variance: FloatArray, days: FloatArray, share: FloatArray, repair_days: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the most pieces that are ever gone or in repair at a time.

    Parameters
    ----------
    mean, variance : ndarray, shape (parts, times)
        Demand from now to each time. [pieces, pieces²]
    days : ndarray, shape (times,)
        Rising, from 0. [days]
    share : ndarray, shape (parts,)
        Chance that a failed piece comes back repaired.
    repair_days : ndarray, shape (parts,)
        Until it is back on the shelf. [days]

    Returns
    -------
    mean, variance : ndarray, shape (parts,)
        [pieces, pieces²]

    Notes
    -----
    Without repairs it is the whole demand. Pieces that come back at once leave the lost ones, each piece
    with chance l = 1 - share: l E, share l E + l² Var. Else the worst moment of a path counts, and no law of
    a single moment tells it: failures are drawn as a Poisson stream whose rate varies as the whole demand
    does ((Var - E) / E²), RUNS times, always with the same seed.
    """
    lost = 1 - share
    whole, spread = mean[:, -1], variance[:, -1]
    out_mean = lost * whole
    out_variance = share * lost * whole + lost**2 * spread
    for row in np.flatnonzero((share > 0) & (repair_days > 0) & (whole > 0)):
        peak = _peaks(mean[row], spread[row], days, share[row], repair_days[row])
        out_mean[row], out_variance[row] = peak.mean(), peak.var()
    return out_mean, out_variance


def _peaks(mean: FloatArray, variance: float, days: FloatArray, share: float, loop: float) -> FloatArray:
    """Draw the most pieces ever missing, shape (RUNS,)."""
    rng = np.random.default_rng(SEED)
    until = float(np.interp((1 - TAIL) * mean[-1], mean, days)) + loop
    steps = int(np.clip(np.ceil(until / loop * STEPS_PER_LOOP), STEPS_PER_LOOP, MOST_STEPS))
    edges = np.linspace(0.0, until, steps + 1)
    expected = np.diff(np.interp(edges, days, mean))
    shared = max((variance - mean[-1]) / mean[-1] ** 2, 0.0)
    factor = rng.gamma(1 / shared, shared, RUNS) if shared > 0 else np.ones(RUNS)
    back = max(round(loop / until * steps), 1)
    gone = np.zeros(RUNS)
    in_loop = np.zeros((back, RUNS))
    waiting, most = np.zeros(RUNS), np.zeros(RUNS)
    for step, pieces in enumerate(expected):
        place = step % back
        waiting -= in_loop[place]
        in_loop[place] = rng.poisson(share * pieces * factor)
        waiting += in_loop[place]
        gone += rng.poisson((1 - share) * pieces * factor)
        np.maximum(most, gone + waiting, out=most)
    return most
