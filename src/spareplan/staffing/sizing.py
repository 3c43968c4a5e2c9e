"""Least engineers on duty that keep every promise that engineers can keep.

A promise that repair, parts or distance alone breaks is named and left out of the search: no number of people
cures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.maths.units import HOURS_PER_DAY
from spareplan.staffing.causes import (
    NONE,
    REACH_ENGINEERS,
    STAFF,
    engineers_considered,
    largest_loss,
    resolve_causes,
    respond_causes,
)
from spareplan.staffing.congestion import IntArray, RegionRows, congestion, response_kept
from spareplan.staffing.nearness import share_within
from spareplan.staffing.resolution import Repairs, drive_grids, resolution_kept, visit_law

__all__ = [
    "ALL_DAY",
    "NONE",
    "STAFF",
    "Drives",
    "Kept",
    "Phases",
    "Promises",
    "Sized",
    "promises_kept",
    "size_rows",
]
FloatArray = NDArray[np.float64]
# Tables of drives grow by this factor when more engineers are looked at than they reach.
_WIDER = 1.5
# Most load of a region in which everybody waits and drives from afar, and the part of road in it from which
# such a crowd is feared.
FULL_LOAD, _MUCH_ROAD = 0.985, 0.1


@dataclass(frozen=True)
class Promises:
    """What is promised per class, NaN where nothing is.

    Parameters
    ----------
    respond, resolve : ndarray, shape (K,)
        Limits. [hours]
    target : ndarray, shape (K,)
        Share to be kept.
    arrival : ndarray of bool, shape (K,)
        Whether responding means being there, not being on the way.
    """

    respond: FloatArray
    resolve: FloatArray
    target: FloatArray
    arrival: NDArray[np.bool_]


class Phases(NamedTuple):
    """Times of the day.

    Parameters
    ----------
    share, factor, calls : ndarray, shape (P,)
        Share of the time, load against the mean, share of the calls.
    profile : ndarray, shape (24,)
        Calls per hour of the day against the mean.
    """

    share: FloatArray
    factor: FloatArray
    calls: FloatArray
    profile: FloatArray

    def ahead(self, limits: FloatArray) -> FloatArray:
        """Calls in the hours after each phase against the load of the phase, shape (P, K).

        An order of a long promise outlives the rush in which it came, so its queue grows by the calls of its
        whole limit, not by those of the rush.
        """
        count = len(self.share)
        ends = np.arange(2 * HOURS_PER_DAY + 1)
        sums = np.concatenate([[0.0], np.cumsum(np.tile(self.profile, 2))])
        start = np.arange(HOURS_PER_DAY) + 0.5
        # From a day on the window holds the mean; below a quarter of an hour, the hour itself.
        length = np.clip(np.nan_to_num(limits, nan=1.0), 0.25, HOURS_PER_DAY)
        window = np.interp(start[:, None] + length, ends, sums) - np.interp(start, ends, sums)[:, None]
        return (window / length).reshape(count, -1, len(limits)).mean(axis=1) / self.factor[:, None]


ALL_DAY = Phases(np.ones(1), np.ones(1), np.ones(1), np.ones(HOURS_PER_DAY))


class Kept(NamedTuple):
    """Shares kept per row and class (NaN without promise), and each row's state averaged over the day."""

    respond: FloatArray
    resolve: FloatArray
    waiting: FloatArray
    utilisation: FloatArray
    drive: FloatArray


class Sized(NamedTuple):
    """Result of `size_rows`.

    Parameters
    ----------
    servers : ndarray of int, shape (R,)
        Engineers on duty.
    kept : Kept
        What they keep.
    ceiling : ndarray of int, shape (R,)
        Most engineers that were considered.
    respond_cause, resolve_cause : ndarray of str, shape (R, K)
        "none", or what breaks the promise whatever the number of engineers: "parts", "repair", "reach".
    least : ndarray of int, shape (R,), optional
        Engineers that the load alone needs.
    """

    servers: IntArray
    kept: Kept
    ceiling: IntArray
    respond_cause: NDArray[np.str_]
    resolve_cause: NDArray[np.str_]
    least: IntArray | None = None


class Drives(NamedTuple):
    """What all numbers of engineers share: drives within the limits, and on the grids of the solutions.

    Parameters
    ----------
    rows : RegionRows
        With tables that reach far enough.
    within : dict of int to ndarray, shape (places, at least F)
        Share of drives within the response limit, of the classes that promise arrival.
    grids : list of ndarray, shape (places, F, CELLS + 1)
        A grid per class; empty where solutions are not looked at.
    """

    rows: RegionRows
    within: dict[int, FloatArray]
    grids: list[FloatArray]

    @classmethod
    def of(cls, rows: RegionRows, promises: Promises, solutions: bool, most: int = 1) -> Drives:
        """Tabulate the drives of rows for up to `most` engineers."""
        # Who keep to patches of their own are as near as more of the table.
        near = rows.reaching(most if rows.settled is None else int(_WIDER * most))
        within = {
            int(k): share_within(near.spread, float(promises.respond[k]))
            for k in np.flatnonzero(promises.arrival & ~np.isnan(promises.respond))
        }
        rows = rows.reaching(most)
        limits = np.maximum(np.nan_to_num(promises.resolve, nan=1.0), 1e-9)
        return cls(rows, within, drive_grids(rows, limits) if solutions else [])

    def enough(self, promises: Promises, most: int) -> Drives:
        """Give tables for `most` engineers: these, or wider ones."""
        if most <= self.rows.spread.shape[1]:
            return self
        return Drives.of(self.rows, promises, bool(self.grids), int(_WIDER * most))


def promises_kept(
    rows: RegionRows,
    servers: IntArray,
    promises: Promises,
    repairs: Repairs | None = None,
    phases: Phases = ALL_DAY,
    drives: Drives | None = None,
    decide: bool = False,
) -> Kept:
    """Shares of orders that keep their promises with given engineers.

    Parameters
    ----------
    rows : RegionRows
    servers : ndarray of int, shape (R,)
        Engineers on duty; 0 keeps nothing where there are orders.
    promises : Promises
    repairs : Repairs, optional
        None: resolution is not looked at.
    phases : Phases
        Each phase is taken in its own steady state, its load smoothed by the length of the work
        (`spareplan.staffing.shifts.day_phases`).
    drives : Drives, optional
        Of the places of `rows`, where it is known.
    decide : bool
        With a single phase, tell response shares only as above or below their targets (quick).

    Returns
    -------
    Kept
    """
    staffed = np.maximum(servers, 1)
    count, classes = rows.rates.shape
    sums: dict[str, FloatArray] = {}
    limits = np.maximum(np.nan_to_num(promises.resolve, nan=1.0), 1e-9)
    most = int(staffed.max(initial=1))
    if drives is None:
        drives = Drives.of(rows, promises, repairs is not None, most)
    drives = drives.enough(promises, most)
    wanted = promises.target if decide and len(phases.share) == 1 else None
    respond_ahead, resolve_ahead = phases.ahead(promises.respond), phases.ahead(promises.resolve)
    for phase, (share, factor, calls) in enumerate(
        zip(phases.share, phases.factor, phases.calls, strict=True)
    ):
        now = rows.times(float(factor))
        state = congestion(now, staffed)
        ahead = respond_ahead[phase]
        part = {
            "respond": response_kept(
                now, state, staffed, promises.respond, promises.arrival, drives.within, ahead, wanted
            ),
            "waiting": state.waiting,
            "drive": state.drive,
        }
        if repairs is not None:
            part["visits"] = visit_law(now, state, staffed, limits, resolve_ahead[phase], drives.grids)
        for name, value in part.items():
            sums[name] = sums.get(name, 0.0) + calls * value
        sums["utilisation"] = sums.get("utilisation", 0.0) + share * state.utilisation
    resolve = np.full((count, classes), np.nan)
    if repairs is not None:
        resolve = resolution_kept(sums["visits"][0], repairs, promises.resolve, sums["visits"][1])
    nobody = (servers < 1)[:, None]
    return Kept(
        np.where(nobody, 0.0 * sums["respond"], sums["respond"]),
        np.where(nobody, 0.0 * resolve, resolve),
        sums["waiting"],
        sums["utilisation"],
        sums["drive"],
    )


def size_rows(
    rows: RegionRows,
    promises: Promises,
    repairs: Repairs | None = None,
    max_utilisation: float = 1.0,
    phases: Phases = ALL_DAY,
    least_gain: float = 0.0,
    reach_engineers: int = REACH_ENGINEERS,
) -> Sized:
    """Least engineers on duty per row that keep every promise people can keep.

    Parameters
    ----------
    rows : RegionRows
    promises : Promises
    repairs : Repairs, optional
        None: response only.
    max_utilisation : float
        Highest busy share of an engineer.
    phases : Phases
    least_gain : float
        An engineer more must raise a broken share of solutions in time by this much; else what breaks it is
        named and no engineer added.
    reach_engineers : int
        Most engineers on duty for the sake of distance alone.

    Returns
    -------
    Sized
        0 engineers where there are no orders.
    """
    count, classes = rows.rates.shape
    total = rows.rates.sum(axis=1)
    least = _least_for_load(rows, max_utilisation, phases)
    ceiling = engineers_considered(rows, least, promises, reach_engineers)
    respond_cause = respond_causes(rows, ceiling, promises)
    resolve_cause = np.full((count, classes), NONE)
    if repairs is not None:
        resolve_cause = resolve_causes(rows, ceiling, promises, repairs)
    servers = least.copy()
    drives = Drives.of(rows, promises, False, int(least.max(initial=1)) + 1)
    open_ = np.flatnonzero(total > 0)
    while len(open_):
        drives = drives.enough(promises, int(servers[open_].max()))
        some = rows.pick(open_)
        kept = promises_kept(some, servers[open_], promises, None, phases, drives, decide=True)
        short = (kept.respond < promises.target) & (respond_cause[open_] == NONE)
        open_ = open_[short.any(axis=1) & (servers[open_] < ceiling[open_])]
        servers[open_] += 1
    servers = np.where(total > 0, servers, 0)
    drives = Drives.of(rows, promises, repairs is not None, int(servers.max(initial=1)) + 1)
    kept = promises_kept(rows, np.maximum(servers, 1), promises, repairs, phases, drives)
    if repairs is not None:
        kept = _add_for_resolution(
            rows, servers, kept, ceiling, resolve_cause, promises, repairs, phases, least_gain, drives
        )
    return Sized(servers, kept, ceiling, respond_cause, resolve_cause, least)


def _add_for_resolution(
    rows: RegionRows,
    servers: IntArray,
    kept: Kept,
    ceiling: IntArray,
    cause: NDArray[np.str_],
    promises: Promises,
    repairs: Repairs,
    phases: Phases,
    least_gain: float,
    drives: Drives,
) -> Kept:
    """Add engineers (in place) while they mend a broken solution promise by at least `least_gain` each."""
    best = Kept(*(np.array(part) for part in kept))
    open_ = np.flatnonzero(servers > 0)
    largest: NDArray[np.str_] | None = None
    while len(open_):
        short = (best.resolve[open_] < promises.target) & (cause[open_] == NONE)
        open_ = open_[short.any(axis=1) & (servers[open_] < ceiling[open_])]
        if not len(open_):
            break
        drives = drives.enough(promises, int(servers[open_].max()) + 1)
        some = rows.pick(open_), servers[open_] + 1, promises, repairs.pick(open_), phases
        more = promises_kept(*some, drives)
        short = (best.resolve[open_] < promises.target) & (cause[open_] == NONE)
        gain = np.where(short, np.nan_to_num(more.resolve - best.resolve[open_]), 0.0)
        tiny = short & (gain < least_gain)
        if tiny.any():
            if largest is None:
                largest = largest_loss(rows, ceiling, promises, repairs)
            cause[open_] = np.where(tiny, largest[open_], cause[open_])
        go = (short & ~tiny).any(axis=1)
        open_ = open_[go]
        servers[open_] += 1
        for name, part in zip(Kept._fields, best, strict=True):
            part[open_] = getattr(more, name)[go]
    return best


def _least_for_load(rows: RegionRows, max_utilisation: float, phases: Phases) -> IntArray:
    rate = rows.rates.sum(axis=1)
    # While all are busy, every order is driven to from anywhere: fewer cannot carry the mean load.
    far = rows.travel[rows.place, :1] * (1.0 if rows.follow is None else 1.0 - rows.follow)
    queued = (rows.rates * (rows.work + far)).sum(axis=1)
    at_work = (rows.rates * rows.work).sum(axis=1) / max_utilisation
    # Where the road is much of that, a crowd that only just works itself off stays for months.
    road = queued - (rows.rates * rows.work).sum(axis=1)
    crowd = np.where(road > _MUCH_ROAD * queued, np.ceil(queued / FULL_LOAD), np.floor(queued) + 1.0)
    servers = np.maximum(crowd, np.floor(at_work) + 1.0).astype(np.int64)
    open_ = np.flatnonzero(rate > 0)
    while len(open_):
        some = rows.pick(open_)
        busy = sum(
            share * congestion(some.times(float(factor)), servers[open_]).utilisation
            for share, factor in zip(phases.share, phases.factor, strict=True)
        )
        full = congestion(some, servers[open_]).utilisation >= 1.0
        open_ = open_[(busy > max_utilisation) | full]
        servers[open_] += 1
    return servers
