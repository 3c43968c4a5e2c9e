"""How much of what harms a promise may stay, judged where no engineer more would help."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.staffing.congestion import IntArray, RegionRows, congestion
from spareplan.staffing.resolution import Repairs, free_drive_law, resolution_kept, visit_law
from spareplan.staffing.sizing import ALL_DAY, Phases, Promises, Sized

FloatArray = NDArray[np.float64]
_HALVINGS = 14


class Laws(NamedTuple):
    """Wait and drive at which a cure is judged, shape (R, K, CELLS + 1) each.

    Parameters
    ----------
    visits, returns : ndarray
        Of first visits and of those that follow a failed one at once.
    """

    visits: FloatArray
    returns: FloatArray

    def kept(self, promises: Promises, repairs: Repairs) -> FloatArray:
        """Share solved in time with these repairs, shape (R, K)."""
        return resolution_kept(self.visits, repairs, promises.resolve, self.returns)


def best_laws(
    rows: RegionRows, sized: Sized, promises: Promises, repairs: Repairs, phases: Phases = ALL_DAY
) -> Laws:
    """Wait and drive that no number of people betters, or worth their money betters.

    Parameters
    ----------
    rows, sized, promises, repairs, phases
        As sized.

    Returns
    -------
    Laws
        As if nobody ever waited for an engineer; where that alone would keep the promise, so that only the
        gain per engineer was too small, with the engineers sized.
    """
    limits = np.maximum(np.nan_to_num(promises.resolve, nan=1.0), 1e-9)
    best = free_drive_law(rows, sized.ceiling, limits)
    servers = np.maximum(sized.servers, 1)
    sized_law = np.zeros((2, *best.shape))
    for factor, calls, ahead in zip(phases.factor, phases.calls, phases.ahead(promises.resolve), strict=True):
        now = rows.times(float(factor))
        sized_law += calls * visit_law(now, congestion(now, servers), servers, limits, ahead)
    enough = (resolution_kept(best, repairs, promises.resolve) >= promises.target)[..., None]
    return Laws(np.where(enough, sized_law[0], best), np.where(enough, sized_law[1], best))


def largest_share(
    kept: Callable[[FloatArray], FloatArray], target: FloatArray, shape: tuple[int, ...]
) -> FloatArray:
    """Find the largest share of 0..1 of something harmful at which a target is still kept, by halving.

    Parameters
    ----------
    kept : callable
        Share kept for shares of the harm; falls as they grow.
    target : ndarray, shape (K,)
    shape : tuple
        (R, K)

    Returns
    -------
    ndarray, shape (R, K)
        NaN where not even without it.
    """
    low, high = np.zeros(shape), np.ones(shape)
    hopeless = ~(kept(low) >= target)
    low = np.where(kept(high) >= target, 1.0, low)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        good = kept(middle) >= target
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return np.where(hopeless, np.nan, low)


def picked(sized: Sized, some: IntArray) -> Sized:
    """Take engineers and ceilings of some of the rows."""
    return sized._replace(servers=sized.servers[some], ceiling=sized.ceiling[some])
