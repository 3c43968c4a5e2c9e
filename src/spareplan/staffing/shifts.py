"""Hours of the day: load that follows the calls with a lag."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spareplan.maths.units import HOURS_PER_DAY
from spareplan.staffing.sizing import Phases

FloatArray = NDArray[np.float64]


def smoothed_load(profile: FloatArray, mean_hours: float) -> FloatArray:
    """Work in hand per hour of the day against its mean, if nobody had to wait.

    Parameters
    ----------
    profile : ndarray, shape (24,)
        Calls per hour of the day against the mean.
    mean_hours : float
        Mean time of a visit, exponential. [hours]

    Returns
    -------
    ndarray, shape (24,)
        Mean 1.

    Notes
    -----
    m(t) = integral of lambda(t - u) P(S > u) du / E S, the infinite-server load [1]_; repeated every day.
    Visits take hours, so the busiest hour of the engineers comes hours after that of the telephone.

    References
    ----------
    .. [1] Eick, Massey, Whitt (1993), M_t/G/infinity queues with sinusoidal arrival rates, Management
       Science 39.
    """
    hours = np.arange(HOURS_PER_DAY)
    keep = np.exp(-1.0 / max(mean_hours, 1e-6))
    # Weight of calls h whole hours ago; days further back are summed as a geometric series.
    weight = (1.0 - keep) * keep**hours / (1.0 - keep**HOURS_PER_DAY)
    lag = (hours[:, None] - hours[None, :]) % HOURS_PER_DAY
    return weight[lag] @ np.asarray(profile, dtype=float)


def day_phases(profile: FloatArray, mean_hours: float, count: int = 6) -> Phases:
    """Cut the day into equal phases with their load and their share of the calls.

    Parameters
    ----------
    profile : ndarray, shape (24,)
        Calls per hour of the day against the mean.
    mean_hours : float
        Mean time of a visit. [hours]
    count : int
        A divisor of 24; a flat profile needs one.

    Returns
    -------
    Phases
    """
    if np.ptp(profile) < 1e-9:
        return Phases(np.ones(1), np.ones(1), np.ones(1))
    load = smoothed_load(profile, mean_hours).reshape(count, -1).mean(axis=1)
    calls = np.asarray(profile, dtype=float).reshape(count, -1).sum(axis=1)
    return Phases(np.full(count, 1.0 / count), load, calls / calls.sum())
