"""Where a base would bring promises within reach that distance breaks.

References
----------
.. [1] Church, ReVelle (1974), The maximal covering location problem, Papers in Regional Science 32.
.. [2] Teitz, Bart (1968), Heuristic methods for estimating the generalized vertex median of a weighted graph,
   Operations Research 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.staffing.at_best import picked
from spareplan.staffing.causes import REACH
from spareplan.staffing.congestion import RegionRows, congestion, response_kept
from spareplan.staffing.queues import erlang_c
from spareplan.staffing.resolution import CELLS, Repairs, resolution_kept
from spareplan.staffing.sizing import Promises, Sized, promises_kept
from spareplan.staffing.travel import flat_km
from spareplan.staffing.words import promised, share_against

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BASE_COLUMNS = [
    "region_id",
    "priority",
    "base",
    "latitude",
    "longitude",
    "machines",
    "share_now",
    "share_then",
    "engineers",
    "reason",
]
MOST_BASES = 6
# Machines that stand for all of a region, and of them those that are tried as places of a base.
_MOST_POINTS, _MOST_PLACES = 1_500, 300
_MOST_SWAPS = 20
_MOST_POSTED = 60


class Bases(NamedTuple):
    """Bases chosen among machines.

    Parameters
    ----------
    chosen : ndarray of int, shape (B,)
        Which machines they stand at, best first.
    share : ndarray, shape (B,)
        Mean value of all machines with the first 1..B bases.
    nearest : ndarray of int, shape (n,)
        Which of the bases serves each machine.
    """

    chosen: IntArray
    share: FloatArray
    nearest: IntArray


def choose_bases(
    points: FloatArray,
    hours: FloatArray,
    values: FloatArray,
    pace: float,
    target: float,
    most: int = MOST_BASES,
    seed: int = 0,
) -> Bases:
    """Fewest bases, at machines, from which orders are worth the target on average.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        Machines. [km]
    hours, values : ndarray, shape (T,)
        Drives, ascending [hours], and the share of orders kept after such a drive, falling.
    pace : float
        Drive per straight km. [hours/km]
    target : float
        Share of orders.
    most : int
        Most bases.
    seed : int
        More than 300 machines are tried as places by a sample.

    Returns
    -------
    Bases

    Notes
    -----
    Bases are added where they gain most [1]_, then each is moved as long as that gains [2]_; one base is best
    of all places tried.
    """
    places = np.arange(len(points))
    if len(points) > _MOST_PLACES:
        places = np.sort(np.random.default_rng(seed).choice(len(points), _MOST_PLACES, replace=False))
    gaps = np.hypot(*(points[places][:, None, :] - points[None, :, :]).transpose(2, 0, 1))
    worth = np.interp(gaps * pace, hours, values)
    chosen: list[int] = []
    share: list[float] = []
    while len(chosen) < min(most, len(places)):
        now = worth[chosen].max(axis=0) if chosen else np.zeros(len(points))
        chosen.append(int(np.maximum(worth, now).mean(axis=1).argmax()))
        chosen = _moved(worth, chosen)
        share.append(float(worth[chosen].max(axis=0).mean()))
        if share[-1] >= target or (len(share) > 1 and share[-1] <= share[-2] + 1e-12):
            break
    order = _by_gain(worth, chosen)
    total = [float(worth[order[: i + 1]].max(axis=0).mean()) for i in range(len(order))]
    nearest = gaps[order].argmin(axis=0)
    return Bases(places[order], np.array(total), nearest)


def _moved(worth: FloatArray, chosen: list[int]) -> list[int]:
    """Move one base at a time to where it gains most, until none gains."""
    best, out = float(worth[chosen].max(axis=0).mean()), list(chosen)
    if len(out) < 2:
        return out
    for _ in range(_MOST_SWAPS):
        gained = False
        for i in range(len(out)):
            rest = worth[out[:i] + out[i + 1 :]].max(axis=0)
            found = np.maximum(worth, rest).mean(axis=1)
            where = int(found.argmax())
            if found[where] > best + 1e-12:
                out[i], best, gained = where, float(found[where]), True
        if not gained:
            break
    return out


def _by_gain(worth: FloatArray, chosen: list[int]) -> list[int]:
    left, out = list(chosen), []
    now = np.zeros(worth.shape[1])
    while left:
        place = max(left, key=lambda i: float(np.maximum(worth[i], now).mean()))
        left.remove(place)
        out.append(place)
        now = np.maximum(now, worth[place])
    return out


def base_cures(
    regions: Sequence[str],
    priorities: Sequence[str],
    rows: RegionRows,
    sized: Sized,
    promises: Promises,
    repairs: Repairs | None,
    units: pd.DataFrame,
    travel_speed: float = 50.0,
    circuity: float = 1.3,
    seed: int = 0,
) -> pd.DataFrame:
    """Bases that would let promises be kept which distance breaks.

    Parameters
    ----------
    regions : sequence of str, length R
        Region of each row; of its rows (months) the one with most orders counts.
    priorities : sequence of str, length K
    rows, sized, promises, repairs
        As sized.
    units : DataFrame
        Machines: region_id, latitude, longitude [degrees]; those without a place are left out.
    travel_speed, circuity : float
        [km/hour], road distance against the straight line.
    seed : int

    Returns
    -------
    DataFrame
        A row per region, priority and base (1, 2, .. the most useful first): latitude, longitude [degrees],
        machines it serves, share_now (share of orders kept with the engineers sized, who stay where their
        last order was), share_then (share of orders kept if somebody sets out from the nearest of the bases
        so far at once), engineers there (so many that few enough orders find the base empty, each driving
        out and back), reason. No row for a region without places of machines.
    """
    bound = (sized.respond_cause == REACH) | (sized.resolve_cause == REACH)
    names = np.asarray(regions, dtype=object)
    known = units.dropna(subset=["latitude", "longitude"]).sort_values(["latitude", "longitude"])
    groups = dict(list(known.groupby("region_id")))
    pace = circuity / travel_speed
    out = []
    for region in sorted(set(names[np.flatnonzero(bound.any(axis=1))])):
        if region not in groups:
            continue
        own = groups[region]
        if len(own) > _MOST_POINTS:
            own = own.sample(_MOST_POINTS, random_state=seed).sort_values(["latitude", "longitude"])
        points = flat_km(own["latitude"], own["longitude"])
        for k, priority in enumerate(priorities):
            mine = np.flatnonzero((names == region) & bound[:, k])
            if not len(mine):
                continue
            row = int(mine[np.argmax(rows.rates[mine].sum(axis=1))])
            responds = bool(sized.respond_cause[row, k] == REACH)
            hours, values = drive_values(rows, row, k, promises, repairs, responds)
            target = float(promises.target[k])
            found = choose_bases(points, hours, values, pace, target, seed=seed)
            now = _kept_now(rows, sized, promises, repairs, row, k, responds)
            drive = np.hypot(*(points[found.chosen[found.nearest]] - points).T) * pace
            people = _posted(rows, row, drive, found, target)
            out.append(_base_rows(region, priority, own, found, now, people, target))
    if not out:
        return pd.DataFrame(columns=BASE_COLUMNS)
    return pd.concat(out, ignore_index=True)[BASE_COLUMNS]


def drive_values(
    rows: RegionRows, row: int, k: int, promises: Promises, repairs: Repairs | None, responds: bool
) -> tuple[FloatArray, FloatArray]:
    """Share of orders of a class that keep their promise after a drive, if somebody sets out at once.

    Parameters
    ----------
    rows : RegionRows
    row, k : int
        Row and class.
    promises : Promises
    repairs : Repairs, optional
    responds : bool
        The promise of arrival; else that of the solution.

    Returns
    -------
    hours, values : ndarray, shape (T,)
        Drives, ascending, and shares, falling. [hours, share]
    """
    if responds or repairs is None:
        limit = float(promises.respond[k])
        return np.array([0.0, limit, limit * (1.0 + 1e-9) + 1e-12]), np.array([1.0, 1.0, 0.0])
    limit = float(promises.resolve[k])
    cells = np.arange(0, CELLS + 1, 4)
    one = repairs.pick(np.full(len(cells), row))
    law = np.zeros((len(cells), len(promises.resolve), CELLS + 1))
    law[np.arange(len(cells)), :, cells] = 1.0
    kept = resolution_kept(law, one, promises.resolve)[:, k]
    return limit * cells / CELLS, np.minimum.accumulate(kept)


def _kept_now(
    rows: RegionRows,
    sized: Sized,
    promises: Promises,
    repairs: Repairs | None,
    row: int,
    k: int,
    responds: bool,
) -> float:
    one = np.array([row])
    servers = np.maximum(picked(sized, one).servers, 1)
    less = rows.pick(one)
    if responds or repairs is None:
        state = congestion(less, servers)
        return float(response_kept(less, state, servers, promises.respond, promises.arrival)[0, k])
    return float(promises_kept(less, servers, promises, repairs.pick(one)).resolve[0, k])


def _posted(rows: RegionRows, row: int, drive: FloatArray, found: Bases, target: float) -> IntArray:
    """Least engineers per base so that no more find it empty than the promise has to spare."""
    rates = rows.rates[row]
    total = max(float(rates.sum()), 1e-12)
    work = float((rates * rows.work[row]).sum()) / total
    reached = float(found.share[-1])
    # What reach leaves over may wait; if nothing is left, as few as the promise itself lets off.
    spare = 1.0 - target / reached if reached > target else 0.0
    allowed = max(spare, 0.1 * (1.0 - target))
    out = np.ones(len(found.chosen), dtype=np.int64)
    for base in range(len(found.chosen)):
        mine = found.nearest == base
        if not mine.any():
            continue
        load = total * float(mine.mean()) * (work + 2.0 * float(drive[mine].mean()))
        crew = np.arange(int(load) + 1, int(load) + _MOST_POSTED)
        enough = erlang_c(load, crew) <= allowed
        out[base] = crew[int(np.argmax(enough))]
    return out


def _base_rows(
    region: str,
    priority: str,
    own: pd.DataFrame,
    found: Bases,
    now: float,
    people: IntArray,
    target: float,
) -> pd.DataFrame:
    machines = np.bincount(found.nearest, minlength=len(found.chosen))
    at = own.iloc[found.chosen]
    last = float(found.share[-1])
    verdict = "" if last >= target else f", not the {promised(target)} promised"
    reason = (
        f"{share_against(now, target)} of orders kept now; from {len(found.chosen)} "
        f"{'base' if len(found.chosen) == 1 else 'bases'} {share_against(last, target)} could be{verdict}"
    )
    return pd.DataFrame(
        {
            "region_id": region,
            "priority": priority,
            "base": np.arange(1, len(found.chosen) + 1),
            "latitude": at["latitude"].to_numpy(float),
            "longitude": at["longitude"].to_numpy(float),
            "machines": machines,
            "share_now": now,
            "share_then": found.share,
            "engineers": people,
            "reason": reason,
        }
    )
