"""What breaks a promise whatever the number of engineers: repair, parts or distance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spareplan.staffing.congestion import Congestion, IntArray, RegionRows, free_to_reach, response_kept
from spareplan.staffing.nearness import spread_out
from spareplan.staffing.resolution import CELLS, Repairs, free_drive_law, resolution_kept

if TYPE_CHECKING:
    from spareplan.staffing.sizing import Promises

FloatArray = NDArray[np.float64]
NONE, STAFF, PARTS, REPAIR, REACH = "none", "staff", "parts", "repair", "reach"
# A promise counts as beyond people if twice those for the load and this many engineers more do not keep it.
SPARE_ENGINEERS = 10
# Most engineers posted in a region for the sake of distance alone.
REACH_ENGINEERS = 50
# What alone keeps a share this near below the target does not break the promise clearly.
CLEARLY = 0.005


def engineers_considered(
    rows: RegionRows, least: IntArray, promises: Promises, reach_engineers: int
) -> IntArray:
    """Most engineers of each row that are looked at before a promise is called beyond people.

    Parameters
    ----------
    rows : RegionRows
    least : ndarray of int, shape (R,)
        Engineers the load needs.
    promises : Promises
    reach_engineers : int
        Most engineers posted for the sake of distance alone; a promise of arrival that needs more free ones
        (`free_to_reach`) is reach-bound.

    Returns
    -------
    ndarray of int, shape (R,)
    """
    usual = 2 * least + SPARE_ENGINEERS
    out = usual.copy()
    for k in np.flatnonzero(promises.arrival & ~np.isnan(promises.respond)):
        floor = free_to_reach(rows, float(promises.respond[k]), float(promises.target[k]))[rows.place]
        worth = floor <= reach_engineers
        wanted = np.where(worth, floor, 0).astype(np.int64) + least + SPARE_ENGINEERS
        out = np.maximum(out, np.where(worth, wanted, 0))
    return out


def respond_causes(rows: RegionRows, ceiling: IntArray, promises: Promises) -> NDArray[np.str_]:
    """Reach-bound: even the ceiling of engineers, all free, would arrive too late.

    Parameters
    ----------
    rows : RegionRows
    ceiling : ndarray of int, shape (R,)
    promises : Promises

    Returns
    -------
    ndarray of str, shape (R, K)
        "reach" or "none".
    """
    count = len(rows.rates)
    near = rows.all_free(ceiling)[:, None]
    most = max(rows.spread.shape[1], int(np.ceil(near.max(initial=1.0))))
    free = spread_out(np.ones((count, 1)), near, most)
    idle = Congestion(free, np.zeros(count), np.ones(count), np.zeros(count), np.zeros(count))
    share = response_kept(rows, idle, ceiling, promises.respond, promises.arrival, decide=promises.target)
    return np.where(share < promises.target, REACH, NONE)


def resolve_causes(
    rows: RegionRows, ceiling: IntArray, promises: Promises, repairs: Repairs
) -> NDArray[np.str_]:
    """Promises that stay broken if nobody ever waits for an engineer, by what breaks them.

    Parameters
    ----------
    rows : RegionRows
    ceiling : ndarray of int, shape (R,)
        Engineers that are always free.
    promises : Promises
    repairs : Repairs

    Returns
    -------
    ndarray of str, shape (R, K)
        "none", "parts", "repair" or "reach".
    """
    broken = resolve_at_best(rows, ceiling, promises, repairs) < promises.target
    if not broken.any():
        return np.full(broken.shape, NONE)
    return np.where(broken, largest_loss(rows, ceiling, promises, repairs), NONE)


def resolve_at_best(rows: RegionRows, ceiling: IntArray, promises: Promises, repairs: Repairs) -> FloatArray:
    """Share solved in time if nobody ever waits for an engineer, NaN without a promise.

    Parameters
    ----------
    rows : RegionRows
    ceiling : ndarray of int, shape (R,)
        Engineers that are always free.
    promises : Promises
    repairs : Repairs

    Returns
    -------
    ndarray, shape (R, K)
    """
    limits = np.nan_to_num(promises.resolve, nan=1.0)
    return resolution_kept(free_drive_law(rows, ceiling, limits), repairs, promises.resolve)


def largest_loss(
    rows: RegionRows, ceiling: IntArray, promises: Promises, repairs: Repairs
) -> NDArray[np.str_]:
    """Which of repair, parts and distance breaks the promise of a solution most.

    Parameters
    ----------
    rows : RegionRows
    ceiling : ndarray of int, shape (R,)
    promises : Promises
    repairs : Repairs

    Returns
    -------
    ndarray of str, shape (R, K)
        Of those that break it clearly alone, the two others away, the one that leaves the smallest share in
        time: to mend another one of them would not do. Where none does, parts or distance, whichever mends
        more by being away; repairs a hair too long only where both cost less than that hair.
    """
    nothing = np.zeros_like(repairs.missing)
    stocked = replace(repairs, missing=nothing, known=nothing)
    no_work = np.zeros_like(repairs.work)
    at_once = np.zeros((*rows.rates.shape, CELLS + 1))
    at_once[..., 0] = 1.0
    alone = {
        REPAIR: resolution_kept(at_once, stocked, promises.resolve),
        PARTS: resolution_kept(at_once, replace(repairs, work=no_work), promises.resolve),
        REACH: resolve_at_best(rows, ceiling, promises, replace(stocked, work=no_work)),
    }
    shares = np.stack(list(alone.values()))
    worst = np.array(list(alone))[np.argmin(np.nan_to_num(shares, nan=1.0), axis=0)]
    without_drive = resolution_kept(at_once, repairs, promises.resolve)
    without_parts = resolve_at_best(rows, ceiling, promises, stocked)
    kept = resolve_at_best(rows, ceiling, promises, repairs)
    short = promises.target - alone[REPAIR]
    # Repairs a hair too long are the cause only where parts and drives cost even less.
    hair = (short > 0) & (np.maximum(without_parts, without_drive) - kept <= short)
    enough = (without_drive >= promises.target) | (short > 0)
    distance = enough & (without_drive >= without_parts)
    breaks = (shares < promises.target - CLEARLY).any(axis=0)
    return np.where(breaks, worst, np.where(hair, REPAIR, np.where(distance, REACH, PARTS)))
