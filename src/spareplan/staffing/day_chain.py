"""Engineers on a day shift: the chain of busy engineers and waiting orders through day and night.

On shift it is the chain of `congestion`; beyond it jobs under way are finished, urgent classes are called
out, and the other orders wait. From one day (or week) to the next the law repeats itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing.congestion import IntArray, RegionRows
from spareplan.staffing.day_laws import DayChain
from spareplan.staffing.duty import Duty
from spareplan.staffing.shift_cycle import check_duty, shift_cycle, shift_hours
from spareplan.staffing.sizing import Promises

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_CEILING, _SPARE = 3, 20
# Part of the share that may be late by which the chain must do better: half a point at 95 %, its error.
_ERROR = 0.1
# Load of all rows up to which plain numpy is quick enough. [engineers]
_PLAIN_LOAD = 10.0


class DaySized(NamedTuple):
    """Result of `size_day`.

    Parameters
    ----------
    servers : ndarray of int, shape (R,)
        Engineers on the shift; 0 without orders.
    respond : ndarray, shape (R, K)
        Share answered in time; NaN without promise.
    """

    servers: IntArray
    respond: FloatArray


def size_day(
    rows: RegionRows,
    promises: Promises,
    duty: Duty,
    profile: ArrayLike | None = None,
    on_shift: BoolArray | None = None,
    start: IntArray | None = None,
    quick: bool | None = None,
) -> DaySized:
    """Least engineers on a day shift that keep every promised response.

    Parameters
    ----------
    rows : RegionRows
        Rates are means over all hours, day and night.
    promises : Promises
        Responses; solutions are left to the simulation.
    duty : Duty
    profile : array-like, shape (24,) or (7, 24), optional
        Calls per hour of the day or week against the mean; None: even.
    on_shift : ndarray of bool, shape (K,), optional
        Classes whose limits count hours of the shift only; None: those that nobody is called out for.
    start : ndarray of int, shape (R,), optional
        First guess.
    quick : bool, optional
        Compiled; None: where the plain lines would take longer than to load the compiled ones.

    Returns
    -------
    DaySized
        Promises that three times the engineers of the load and 20 break for the hours of the night or the
        way there are left out of the search.

    Raises
    ------
    DataError
        Hours, days or people on call out of bounds; a target of 1; a profile that is none.

    Notes
    -----
    Jobs begun together in the morning end together where they vary little: ends of service follow the
    renewals of a gamma law from the start of the shift on, half of the way, and all of it while nobody is
    ever idle. Rows of the same place that follow each other start from each other's number. A search by
    simulation (`spareplan.staffing.search.search_row`) settles it.
    """
    classes = rows.rates.shape[1]
    check_duty(duty, classes)
    wanted = promises.target[~np.isnan(promises.respond)]
    if not ((wanted >= 0) & (wanted < 1)).all():
        raise problem_in_argument(
            "size_day", "target", wanted.tolist(), "lies from 0 to below 1", "no count keeps a share of 1"
        )
    count = len(rows.rates)
    if quick is None:
        # A week of different days takes as many times as long as a day that repeats itself.
        shifts = len(shift_cycle(duty, shift_hours(duty), profile))
        quick = shifts * float((rows.rates * rows.work).sum()) > _PLAIN_LOAD
    servers = np.zeros(count, dtype=np.int64)
    kept = np.full((count, classes), np.nan)
    every = promises
    # A night on the calendar clock, or the way there, may be too long whatever the number of engineers.
    waits = np.arange(classes) >= (duty.called_out if duty.on_call != 0 else 0)
    off_clock = np.zeros(classes, dtype=bool) if on_shift is None else ~np.asarray(on_shift, dtype=bool)
    beyond = (waits & off_clock) | every.arrival
    for row in range(count):
        if rows.rates[row].sum() <= 0:
            continue
        one = rows.pick(np.array([row]))
        least = max(int(_shift_load(one, duty)), 1)
        ceiling = _CEILING * least + _SPARE
        if start is not None:
            first = int(start[row])
        elif row and rows.place[row] == rows.place[row - 1] and servers[row - 1] > 0:
            first = int(servers[row - 1])
        else:
            first = least
        n = min(max(first, 1), ceiling)
        promises = every
        if beyond.any():
            best = day_kept(one, ceiling, every, duty, profile, on_shift, quick)
            cured = ~(beyond & (best < every.target))
            promises = replace(every, respond=np.where(cured, every.respond, np.nan))
        shares = day_kept(one, n, promises, duty, profile, on_shift, quick)
        up = _short(shares, promises)
        while up and n < ceiling and _short(shares, promises):
            n += 1
            shares = day_kept(one, n, promises, duty, profile, on_shift, quick)
        while not up and n > 1:
            fewer = day_kept(one, n - 1, promises, duty, profile, on_shift, quick)
            if _short(fewer, promises):
                break
            n, shares = n - 1, fewer
        if promises is not every:
            shares = day_kept(one, n, every, duty, profile, on_shift, quick)
        servers[row], kept[row] = n, shares
    return DaySized(servers, kept)


def day_kept(
    rows: RegionRows,
    servers: int,
    promises: Promises,
    duty: Duty,
    profile: ArrayLike | None = None,
    on_shift: BoolArray | None = None,
    quick: bool = True,
) -> FloatArray:
    """Share of the orders of one row answered in time by engineers on a day shift.

    Parameters
    ----------
    rows : RegionRows
        One row.
    servers : int
        Engineers on the shift, at least 1.
    promises, duty, profile, on_shift
        As in `size_day`.
    quick : bool
        Compiled; else plain numpy, the same lines.

    Returns
    -------
    ndarray, shape (K,)
        NaN without a promise; 0 where the shift cannot carry the orders.

    Notes
    -----
    N(t), engineers busy and orders waiting, moves like the chain of `congestion` on shift. Of the orders
    waiting while all are busy those of classes 1..k follow their own chain: what comes in from N = n - 1 and
    leaves to it is known from N. After the shift jobs under way end one by one, urgent orders take who is on
    call, the others gather; N of the morning is what is left of both. An order that waits has those of its
    own and higher classes before it; higher ones that come join them, ends of service take one away, and
    every morning takes as many as are free. Urgent orders that find all busy wait as in `queue_tail`.
    """
    check_duty(duty, rows.rates.shape[1])
    if servers < 1:
        return np.where(np.isnan(promises.respond), np.nan, 0.0)
    return DayChain(rows, servers, duty, profile, quick).kept(promises, on_shift)


def _shift_load(rows: RegionRows, duty: Duty) -> float:
    """Engineers whose shifts, and the last job of each, hold the mean load."""
    service = rows.work[0] + rows.travel[rows.place[0], min(3, rows.travel.shape[1] - 1)]
    load = float(rows.rates[0] @ service)
    hours = shift_hours(duty)
    last = min(float(service.mean()), HOURS_PER_DAY - hours)
    return load * HOURS_PER_DAY * DAYS_PER_WEEK / ((hours + last) * duty.days_a_week)


def _short(shares: FloatArray, promises: Promises) -> bool:
    wanted = promises.target + _ERROR * (1.0 - promises.target)
    return bool((shares < wanted)[~np.isnan(shares)].any())
