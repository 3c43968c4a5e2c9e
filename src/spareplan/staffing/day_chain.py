"""Engineers on a day shift: the chain of busy engineers and waiting orders through day and night.

On shift it is the chain of `congestion`; beyond it jobs under way are finished, urgent classes are called
out, and the other orders wait. From one day (or week) to the next the law repeats itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing._day_kernels import compiled, night_law, shift_law, tagged_law
from spareplan.staffing.answers import week_of_calls
from spareplan.staffing.congestion import IntArray, RegionRows, queue_tail, share_within
from spareplan.staffing.duty import Duty
from spareplan.staffing.sizing import Promises

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# Steps of the clock in which the rates stay as they are. [hours]
_SLOT = 0.5
_MOST_CYCLES, _SETTLED = 60, 1e-7
# Moments of a night at which an order may come, as parts of it.
_NIGHT_PARTS = np.array([0.125, 0.375, 0.625, 0.875])
# Drives of queued orders are looked at at so many quantiles.
_DRIVES = 8
# Where the time at a machine varies less than this, jobs begun together end together: one engineer more.
_EVEN_SCV, _EVEN_FROM = 0.9, 6
_CEILING, _SPARE = 3, 20


class DaySized(NamedTuple):
    """Result of `size_day`.

    Parameters
    ----------
    servers : ndarray of int, shape (R,)
        Engineers on the shift; 0 without orders.
    respond : ndarray, shape (R, K)
        Share answered in time by the chain, before the engineer more for even repairs; NaN without promise.
    added : ndarray of int, shape (R,)
        Engineers added because repairs vary little.
    """

    servers: IntArray
    respond: FloatArray
    added: IntArray


def shift_hours(duty: Duty) -> float:
    """Length of a shift [hours]; an end not after the start is on the next day."""
    length = float(duty.end - duty.start)
    return length if length > 0 else length + HOURS_PER_DAY


def check_duty(duty: Duty, classes: int) -> None:
    """Refuse hours, days or people on call that are none.

    Raises
    ------
    DataError
    """
    for name, value, good, rule in (
        ("start", duty.start, 0 <= duty.start < HOURS_PER_DAY, "lies from 0 to below 24"),
        ("end", duty.end, 0 < duty.end <= HOURS_PER_DAY, "lies above 0 and at most at 24"),
        ("days_a_week", duty.days_a_week, 1 <= duty.days_a_week <= DAYS_PER_WEEK, "lies from 1 to 7"),
        ("on_call", duty.on_call, duty.on_call is None or duty.on_call >= 0, "is 0 or more, or None: all"),
        ("called_out", duty.called_out, 0 <= duty.called_out <= classes, f"lies from 0 to {classes}"),
    ):
        if not good:
            raise problem_in_argument("Duty", name, value, rule, "give such a value")


def size_day(
    rows: RegionRows,
    promises: Promises,
    duty: Duty,
    profile: ArrayLike | None = None,
    on_shift: BoolArray | None = None,
    start: IntArray | None = None,
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

    Returns
    -------
    DaySized
        Where even three times the engineers of the load and 20 break a promise, that number.

    Raises
    ------
    DataError
        Hours, days or people on call out of bounds; a profile that is none.

    Notes
    -----
    The chain takes all times at work as exponential. Where they vary less (scv below 0.9), jobs begun
    together in the morning end together: from six engineers on one more is added. A search by simulation
    (`spareplan.staffing.search.search_row`) settles the number.
    """
    classes = rows.rates.shape[1]
    check_duty(duty, classes)
    count = len(rows.rates)
    servers = np.zeros(count, dtype=np.int64)
    added = np.zeros(count, dtype=np.int64)
    kept = np.full((count, classes), np.nan)
    for row in range(count):
        if rows.rates[row].sum() <= 0:
            continue
        one = rows.pick(np.array([row]))
        least = max(int(_shift_load(one, duty)), 1)
        ceiling = _CEILING * least + _SPARE
        n = min(max(least, 1 if start is None else int(start[row])), ceiling)
        shares = day_kept(one, n, promises, duty, profile, on_shift)
        up = _short(shares, promises)
        while up and n < ceiling and _short(shares, promises):
            n += 1
            shares = day_kept(one, n, promises, duty, profile, on_shift)
        while not up and n > 1:
            fewer = day_kept(one, n - 1, promises, duty, profile, on_shift)
            if _short(fewer, promises):
                break
            n, shares = n - 1, fewer
        even = one.scv[0] < _EVEN_SCV and n >= _EVEN_FROM
        servers[row], kept[row], added[row] = n + even, shares, even
    return DaySized(servers, kept, added)


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


class _Shift(NamedTuple):
    """One shift and the time off after it: calls per slot against the mean."""

    calls: FloatArray
    off_calls: FloatArray
    off: float


class _Laws(NamedTuple):
    """Of each shift: its course, its end and what the night makes of it."""

    xs: list[FloatArray]
    ys: list[FloatArray]
    table: list[FloatArray]
    free: list[FloatArray]
    settled: bool


class DayChain:
    """One region with some engineers on a day shift.

    Parameters
    ----------
    rows : RegionRows
        One row.
    servers : int
    duty : Duty
    profile : array-like, shape (24,) or (7, 24), optional
    quick : bool
        Compiled; else plain numpy, the same lines.
    """

    def __init__(
        self, rows: RegionRows, servers: int, duty: Duty, profile: ArrayLike | None, quick: bool
    ) -> None:
        self.n = n = int(servers)
        self.rows = rows = rows.reaching(n)
        self.compile: Callable[..., Any] = compiled if quick else _plain
        self.length = shift_hours(duty)
        self.cycle = _cycle(duty, self.length, profile)
        self.step = self.length / len(self.cycle[0].calls)
        classes = rows.rates.shape[1]
        on_call = n if duty.on_call is None else min(int(duty.on_call), n)
        self.called = min(int(duty.called_out), classes) if on_call else 0
        self.crew = on_call if self.called else 0
        drive = rows.travel[rows.place[0]]
        self.rate, work = rows.rates[0], rows.work[0]
        self.mean_work = float(self.rate @ work / self.rate.sum())
        self.service = self.mean_work + float(drive[0])
        # Classes of other work count by their work while all are busy.
        self.weight = self.rate * (work + drive[0]) / self.service
        self.drive = drive
        self.capacity = n / self.service
        busy = np.arange(1, n + 1)
        self.below = busy / (self.mean_work + drive[n - busy])
        waiting = range(self.called, classes)
        sums = np.cumsum(self.weight)
        self.levels = sums[list(waiting)] if len(waiting) else sums[-1:]
        # Most that gathers in the longest time off, and as much again for what is left of the day before.
        calls = max(float(part.off_calls.mean() * part.off) for part in self.cycle)
        self.gathered = float(self.weight[self.called :].sum()) * calls
        self.size = int(2 * n + 30 + 1.5 * self.gathered + 8 * np.sqrt(self.gathered + 1.0))
        self.laws = self._settle()

    def _settle(self) -> _Laws:
        nights = [self._night(part) for part in self.cycle]
        x, y = np.zeros(self.n), np.zeros((len(self.levels), self.size))
        x[0] = 1.0
        law = self.compile(shift_law)
        settled = False
        xs: list[FloatArray] = []
        ys: list[FloatArray] = []
        for turn in range(_MOST_CYCLES):
            before = x, y
            xs, ys = [], []
            for part, (table, _) in zip(self.cycle, nights, strict=True):
                births, levels = self.rate.sum() * part.calls, np.outer(part.calls, self.levels)
                course = law(x, y, births, levels, self.below, self.capacity, self.step)
                xs.append(course[0])
                ys.append(course[1])
                x, y = self._morning(course[0][-1], course[1][-1], table, part)
            if turn and np.abs(x - before[0]).sum() + np.abs(y[-1] - before[1][-1]).sum() < _SETTLED:
                settled = True
                break
        full = float(y[-1][-max(self.size // 10, 1) :].sum())
        return _Laws(xs, ys, [t for t, _ in nights], [f for _, f in nights], settled or full < 1e-3)

    def _night(self, part: _Shift) -> tuple[FloatArray, FloatArray]:
        """Jobs under way and urgent orders in the morning, by 0..n busy in the evening; free time on call."""
        n, crew = self.n, self.crew
        left = float(np.exp(-part.off / self.service))
        if crew == 0:
            return np.stack([_binomial(busy, left, n + 1) for busy in range(n + 1)]), np.zeros((n + 1, 0))
        urgent = float(self.weight[: self.called].sum())
        beyond = int(10 + 4 * urgent * self.service)
        deaths = np.arange(1, crew + 1) / (self.mean_work + self.drive[crew - np.arange(1, crew + 1)])
        law, free = self.compile(night_law)(
            crew, beyond, urgent * part.off_calls, part.off_calls, deaths, part.off / len(part.off_calls)
        )
        if crew == n:
            return law, free
        # Who is on call is busy in the evening as often as the others; the others only finish.
        table, idle = np.zeros((n + 1, n + beyond + 1)), np.zeros((n + 1, crew))
        for busy in range(n + 1):
            for own in range(max(busy - (n - crew), 0), min(busy, crew) + 1):
                chance = comb(crew, own) * comb(n - crew, busy - own) / comb(n, busy)
                both = np.convolve(law[own], _binomial(busy - own, left, n - crew + 1))
                table[busy, : len(both)] += chance * both[: table.shape[1]]
                idle[busy] += chance * free[own]
        return table, idle

    def _gathers(self, k: int, part: _Shift, share: float = 1.0, own: bool = True) -> float:
        """Orders overnight of the classes that wait up to k, of k itself a share."""
        calls = float(part.off_calls.mean() * part.off)
        above = float(self.weight[self.called : k].sum())
        return calls * (above + (share * float(self.weight[k]) if own else 0.0))

    def _evening(self, x: FloatArray, y: FloatArray, table: FloatArray) -> FloatArray:
        """Jobs under way in the morning and orders of a level left over, before those of the night."""
        idle = x @ table[:-1]
        out = np.convolve(y, table[-1])
        out[: len(idle)] += idle
        return out

    def _morning(
        self, x: FloatArray, y: FloatArray, table: FloatArray, part: _Shift
    ) -> tuple[FloatArray, FloatArray]:
        out = np.zeros((len(self.levels), self.size))
        first = np.zeros(self.n)
        for level in range(len(self.levels) - 1, -1, -1):
            law = self._evening(x, y[level], table)
            if self.called < len(self.weight):
                law = np.convolve(law, _poisson(self._gathers(self.called + level, part)))
            last = min(len(law) - self.n, self.size)
            out[level, :last] = law[self.n : self.n + last]
            out[level, -1] += law[self.n + last :].sum()
            if level == len(self.levels) - 1:
                first = law[: self.n] / law.sum()
                out[level] /= law.sum()
            # All busy with nobody of this level waiting: whatever else waits.
            out[level, 0] += out[-1].sum() - out[level].sum()
        return first, out

    def kept(self, promises: Promises, counted: BoolArray | None) -> FloatArray:
        """Share answered in time by class (`day_kept`)."""
        if not self.laws.settled:
            return np.where(np.isnan(promises.respond), np.nan, 0.0)
        classes = len(self.rate)
        on_shift = np.arange(classes) >= self.called if counted is None else np.asarray(counted, dtype=bool)
        spread = self.rows.spread[self.rows.place[0]]
        far = spread[0][(np.arange(_DRIVES) * len(spread[0]) + len(spread[0]) // 2) // _DRIVES]
        whole = sum(float(_edges(p.calls, self.step).sum() + p.off_calls.mean() * p.off) for p in self.cycle)
        out = np.full(classes, np.nan)
        for k in np.flatnonzero(~np.isnan(promises.respond)):
            limit = float(promises.respond[k])
            there = bool(promises.arrival[k])
            near = share_within(spread, limit) if there else np.ones(len(spread))
            left = limit - far if there else np.array([limit])
            good = sum(
                float(_edges(part.calls, self.step) @ (xs @ near[self.n - 1 :: -1][: self.n]))
                for part, xs in zip(self.cycle, self.laws.xs, strict=True)
            )
            if k < self.called:
                good += self._urgent(k, left, near)
            else:
                good += self._waiting(k, left, bool(on_shift[k]))
            out[k] = min(max(good / whole, 0.0), 1.0)
        return out

    def _urgent(self, k: int, left: FloatArray, near: FloatArray) -> float:
        """Orders of a class that is called out for: those that find all busy, and those of the night."""
        late = self._queue_late(self.rows, self.n, k, left)
        rates = np.where(np.arange(len(self.rate)) < self.called, self.rate, 0.0)[None, :]
        late_off = self._queue_late(replace(self.rows, rates=rates), self.crew, k, left)
        good = 0.0
        closest = near[self.crew - 1 :: -1][: self.crew]
        for part, xs, ys, free in zip(self.cycle, self.laws.xs, self.laws.ys, self.laws.free, strict=True):
            good += float(_edges(part.calls, self.step) @ ys[:, -1].sum(axis=1)) * (1.0 - late)
            idle = np.append(xs[-1], ys[-1, -1].sum()) @ free
            waits = float(part.off_calls.mean() * part.off) - float(idle.sum())
            good += float(idle @ closest) + waits * (1.0 - late_off)
        return good

    def _queue_late(self, rows: RegionRows, servers: int, k: int, left: FloatArray) -> float:
        state = _Service(np.array([self.service]))
        times = np.broadcast_to(left, (1, len(self.rate), len(left)))
        tail = queue_tail(rows, state, np.array([servers]), times)  # type: ignore[arg-type]
        return float(np.where(left > 0, tail[0, k], np.where(left < 0, 1.0, tail[0, k])).mean())

    def _waiting(self, k: int, left: FloatArray, on_shift: bool) -> float:
        """Orders of a class that waits for the shift and did not find an engineer free at once."""
        slots, level = len(self.cycle[0].calls), k - self.called
        begin, first, day, share, moment = [], [], [], [], []
        for d, part in enumerate(self.cycle):
            xs, ys = self.laws.xs[d], self.laws.ys[d]
            begin += list(ys[:, level])
            first += list(range(slots + 1))
            share += list(_edges(part.calls, self.step))
            moment += list(np.arange(slots + 1) * self.step)
            evening = self._evening(xs[-1], ys[-1, level], self.laws.table[d])
            for u in _NIGHT_PARTS:
                law = np.convolve(evening, _poisson(self._gathers(k, part, float(u))))
                start = np.zeros(self.size)
                last = min(len(law) - self.n, self.size)
                start[:last] = law[self.n : self.n + last]
                begin.append(start)
                first.append(0)
                share.append(float(part.off_calls.mean() * part.off) / len(_NIGHT_PARTS))
                moment.append(self.length + float(u) * part.off)
            day += [d] * (slots + 1) + [(d + 1) % len(self.cycle)] * len(_NIGHT_PARTS)
        laws = [
            np.convolve(table[-1], _poisson(self._gathers(k, part, own=False)))
            for table, part in zip(self.laws.table, self.cycle, strict=True)
        ]
        overnight = np.zeros((len(laws), max(len(law) for law in laws)))
        for row, law in zip(overnight, laws, strict=True):
            row[: len(law)] = law
        horizon = int(np.ceil(max(left.max(), 0.0) / self.step)) + 1
        above = float(self.weight[:k].sum())
        gone = self.compile(tagged_law)(
            np.array(begin),
            np.array(first),
            np.array(day),
            horizon,
            np.stack([part.calls for part in self.cycle]) * above,
            self.capacity,
            self.step,
            self.n,
            overnight,
        )
        grid = self.step * np.arange(horizon + 1)
        good = 0.0
        for g, (portion, when) in enumerate(zip(share, moment, strict=True)):
            night = when > self.length
            d = (day[g] - 1) % len(self.cycle) if night else day[g]
            within = left if on_shift else self._worked(d, when, left)
            # Whoever waits on shift is in `begin`; of the night's orders all wait.
            all_of = 1.0 if night else float(np.sum(begin[g]))
            late = np.where(within >= 0, np.interp(within, grid, gone[g]), all_of)
            good += portion * float((all_of - late).mean())
        return good

    def _worked(self, d: int, when: float, left: FloatArray) -> FloatArray:
        """Hours of shifts in the hours after a moment; -1 where the shift has not begun or none is left."""
        out = np.zeros(len(left))
        rest = left.copy()
        at = when
        begun = np.full(len(left), when <= self.length)
        while (rest > 0).any():
            here = np.clip(np.minimum(rest, self.length - at), 0.0, None)
            out += here
            end = self.length + self.cycle[d].off
            passed = end - at
            begun |= rest >= passed
            rest = rest - passed
            at, d = 0.0, (d + 1) % len(self.cycle)
        return np.where(begun & (left > 0), out, -1.0)


class _Service(NamedTuple):
    """What `queue_tail` asks of a state."""

    service: FloatArray


def _plain(law: Callable[..., Any]) -> Callable[..., Any]:
    return law


def _shift_load(rows: RegionRows, duty: Duty) -> float:
    """Engineers whose shifts, and the last job of each, hold the mean load."""
    service = rows.work[0] + rows.travel[rows.place[0], min(3, rows.travel.shape[1] - 1)]
    load = float(rows.rates[0] @ service)
    hours = shift_hours(duty)
    last = min(float(service.mean()), HOURS_PER_DAY - hours)
    return load * HOURS_PER_DAY * DAYS_PER_WEEK / ((hours + last) * duty.days_a_week)


def _short(shares: FloatArray, promises: Promises) -> bool:
    return bool((shares < promises.target)[~np.isnan(shares)].any())


def _cycle(duty: Duty, length: float, profile: ArrayLike | None) -> list[_Shift]:
    """Shifts until the law repeats itself: one if every day is alike, else those of a week."""
    week = np.ones((DAYS_PER_WEEK, HOURS_PER_DAY))
    if profile is not None:
        shares = week_of_calls("size_day", profile) * week.size
        week = shares
    alike = duty.days_a_week == DAYS_PER_WEEK and np.ptp(week, axis=0).max() < 1e-9
    starts = [float(duty.start) + HOURS_PER_DAY * day for day in range(duty.days_a_week)]
    following = [*starts[1:], float(duty.start) + HOURS_PER_DAY * DAYS_PER_WEEK]
    if alike:
        starts, following = starts[:1], following[:1]
    slots = max(round(length / _SLOT), 1)
    out = []
    for start, after in zip(starts, following, strict=True):
        off = after - start - length
        parts = max(round(off / 1.0), 1)
        out.append(
            _Shift(
                _calls_at(week, start + (np.arange(slots) + 0.5) * length / slots),
                _calls_at(week, start + length + (np.arange(parts) + 0.5) * off / parts),
                off,
            )
        )
    return out


def _calls_at(week: FloatArray, moments: FloatArray) -> FloatArray:
    return week.reshape(-1)[np.floor(moments).astype(int) % week.size]


def _edges(calls: FloatArray, step: float) -> FloatArray:
    """Calls of the slots, half at each end of a slot, shape (slots + 1,)."""
    half = 0.5 * step * np.asarray(calls)
    return np.append(half, 0.0) + np.append(0.0, half)


def _poisson(mean: float) -> FloatArray:
    size = int(mean + 8.0 * np.sqrt(mean + 1.0)) + 2
    steps = np.concatenate([[0.0], np.log(max(mean, 1e-300)) - np.log(np.arange(1.0, size))])
    law = np.exp(np.cumsum(steps) - mean)
    return law / law.sum()


def _binomial(count: int, share: float, size: int) -> FloatArray:
    out = np.zeros(size)
    out[: count + 1] = [comb(count, i) * share**i * (1.0 - share) ** (count - i) for i in range(count + 1)]
    return out
