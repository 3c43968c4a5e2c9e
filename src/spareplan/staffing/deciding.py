"""What decides the number of engineers: the load, distance, or which promise of which priority."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.staffing.causes import NONE
from spareplan.staffing.congestion import IntArray, RegionRows, free_to_reach
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.sizing import ALL_DAY, Phases, Promises, Sized, promises_kept
from spareplan.staffing.words import promised, share_against

FloatArray = NDArray[np.float64]
NOBODY, ONE, HOURS, RESPONSE, SOLUTION, DISTANCE = (
    "nobody",
    "one",
    "hours",
    "response",
    "solution",
    "distance",
)


class Decided(NamedTuple):
    """What decides the engineers of each row.

    Parameters
    ----------
    by : ndarray of str, shape (R,)
        "nobody" (no orders), "one" (fewer is nobody), "hours" (one fewer cannot carry the load), else the
        promise with the least slack with one fewer: its "response", its "solution", or the "distance" to it
        that even one fewer who are all free do not cover.
    priority : ndarray of int, shape (R,)
        Class of that promise; -1: of none.
    share : ndarray, shape (R,)
        Share of it that one fewer would keep; NaN: of none.
    """

    by: NDArray[np.str_]
    priority: IntArray
    share: FloatArray


def what_decides(
    rows: RegionRows,
    servers: IntArray,
    sized: Sized,
    promises: Promises,
    repairs: Repairs | None = None,
    phases: Phases = ALL_DAY,
) -> Decided:
    """Find for each row what one engineer fewer would break.

    Parameters
    ----------
    rows : RegionRows
    servers : ndarray of int, shape (R,)
        Engineers on duty.
    sized : Sized
        With `least`.
    promises, repairs, phases
        As sized.

    Returns
    -------
    Decided
        By the formulas: where a simulation asked for more engineers than they do, the share that one fewer
        keeps is not below the target.
    """
    count, classes = rows.rates.shape
    fewer = np.maximum(servers - 1, 1)
    kept = promises_kept(rows, fewer, promises, repairs, phases)
    open_ = [
        np.where(cause == NONE, share, np.nan)
        for share, cause in ((kept.respond, sized.respond_cause), (kept.resolve, sized.resolve_cause))
    ]
    shares = np.concatenate(open_, axis=1)
    slack = shares - np.tile(promises.target, 2)
    asked = ~np.isnan(slack)
    worst = np.argmin(np.where(asked, slack, np.inf), axis=1)
    each = np.arange(count)
    by = np.where(worst < classes, RESPONSE, SOLUTION)
    for k in np.flatnonzero(promises.arrival & ~np.isnan(promises.respond)):
        floor = free_to_reach(rows, float(promises.respond[k]), float(promises.target[k]))[rows.place]
        by = np.where((worst == k) & (fewer < floor), DISTANCE, by)
    least = servers if sized.least is None else sized.least
    load = (servers <= least) | ~asked.any(axis=1)
    by = np.where(load, HOURS, by)
    by = np.where(servers == 1, ONE, by)
    by = np.where(servers < 1, NOBODY, by)
    named = np.isin(by, (RESPONSE, SOLUTION, DISTANCE))
    return Decided(by, np.where(named, worst % classes, -1), np.where(named, shares[each, worst], np.nan))


def decided_words(
    decided: Decided, servers: IntArray, rows: RegionRows, promises: Promises, names: list[str]
) -> list[str]:
    """Say what decides the engineers of each row.

    Parameters
    ----------
    decided : Decided
    servers : ndarray of int, shape (R,)
    rows : RegionRows
    promises : Promises
    names : list of str, length K

    Returns
    -------
    list of str
    """
    far = rows.travel[rows.place, :1] * (1.0 if rows.follow is None else 1.0 - rows.follow)
    work = (rows.rates * (rows.work + far)).sum(axis=1)
    out = []
    for by, k, share, count, busy in zip(*decided, servers, work, strict=True):
        if by == NOBODY:
            out.append("nobody is needed")
        elif by == ONE:
            out.append("one engineer is enough")
        elif by == HOURS:
            out.append(f"hours decide: orders that queue are driven to from afar and keep {busy:.1f} busy")
        else:
            limit = float((promises.resolve if by == SOLUTION else promises.respond)[k])
            target = float(promises.target[k])
            what = {RESPONSE: "waits", SOLUTION: "solutions", DISTANCE: "distance"}[str(by)]
            kind = by if by == SOLUTION else "arrival" if promises.arrival[k] else "response"
            one = f"{what} decide" + ("s" if by == DISTANCE else "")
            fewer = f"{share_against(float(share), target)} with {count - 1}, {promised(target)} promised"
            if share >= target:
                fewer = f"{promised(target)} promised, by simulation"
            out.append(f"{one}: {kind} of {names[k]} within {limit:.3g} h needs {count} ({fewer})")
    return out


def decided_short(decided: Decided, promises: Promises, names: tuple[str, ...]) -> list[str]:
    """Name what decides the engineers of each row, such as "P1 response" or "the load"; empty: one does."""
    plain = {NOBODY: "", ONE: "", HOURS: "the load"}
    out = []
    for by, k in zip(decided.by.tolist(), decided.priority.tolist(), strict=True):
        kind = by
        if by == RESPONSE and promises.arrival[k]:
            kind = "arrival"
        out.append(plain[by] if by in plain else f"{names[k]} {kind}")
    return out
