"""Busy engineers and waiting orders of one region through day and night, and the waits they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.staffing._day_kernels import compiled, night_law, shift_law, tagged_law
from spareplan.staffing.congestion import RegionRows, queue_tail
from spareplan.staffing.duty import Duty
from spareplan.staffing.nearness import share_within
from spareplan.staffing.shift_cycle import Shift, at_edges, shift_cycle, shift_hours
from spareplan.staffing.sizing import Promises

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_MOST_CYCLES, _SETTLED = 60, 1e-7
# Where so much of the law still moves, or lies at its end, the shift cannot carry the orders.
_MOVING = 1e-3
# Moments of a night at which an order may come, as parts of it.
_NIGHT_PARTS = (np.arange(4) + 0.5) / 4
# Drives of queued orders are looked at at so many quantiles.
_DRIVES = 8
# So much of the common rhythm of jobs begun together is seen, where they vary less than the exponential law
# and where they vary more (chosen on twelve regions).
_TOGETHER, _TOGETHER_WILD = 0.5, 0.2
# Cells in which renewals are counted.
_GRID = 300


class _Laws(NamedTuple):
    """Of each shift: its course, what the night makes of it, how far jobs keep the rhythm of the morning."""

    xs: list[FloatArray]
    ys: list[FloatArray]
    table: list[FloatArray]
    free: list[FloatArray]
    rhythm: list[float]
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
        self.cycle = shift_cycle(duty, self.length, profile)
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
        calls = max(self._off_calls(part) for part in self.cycle)
        self.gathered = float(self.weight[self.called :].sum()) * calls
        self.size = int(2 * n + 30 + 1.5 * self.gathered + 8 * np.sqrt(self.gathered + 1.0))
        # The morning's orders are near: of many, each goes to the nearest of those still free.
        first = self.mean_work + float(drive[:n].mean())
        self.renewals = _renewals(first, self.service, float(rows.scv[0]), 2.0 * self.length)
        self.laws = self._settle()

    def _settle(self) -> _Laws:
        nights = [self._night(part) for part in self.cycle]
        x, y = np.zeros(self.n), np.zeros((len(self.levels), self.size))
        x[0] = 1.0
        law = self.compile(shift_law)
        change = 0.0
        xs: list[FloatArray] = []
        ys: list[FloatArray] = []
        rhythm = [0.0] * len(self.cycle)
        for turn in range(_MOST_CYCLES):
            before = x, y
            xs, ys = [], []
            for d, (part, (table, _)) in enumerate(zip(self.cycle, nights, strict=True)):
                pace = self._pace(rhythm[d], self.step)[:-1]
                births, levels = self.rate.sum() * part.calls, np.outer(part.calls, self.levels)
                course = law(x, y, births, levels, self.below, self.capacity, pace, self.step)
                xs.append(course[0])
                ys.append(course[1])
                x, y = self._morning(course[0][-1], course[1][-1], table, part)
                under_way = np.append(course[0][-1], course[1][-1, -1].sum()) @ table
                seen = _TOGETHER_WILD
                if self.rows.scv[0] < 1.0:
                    # Who is never idle keeps the rhythm of the morning.
                    seen = max(_TOGETHER, float(course[1][:, -1].sum(axis=1).mean()))
                rhythm[(d + 1) % len(self.cycle)] = seen * _begun(x, under_way)
            change = float(np.abs(x - before[0]).sum() + np.abs(y[-1] - before[1][-1]).sum())
            if turn and change < _SETTLED:
                break
        full = float(y[-1][-max(self.size // 10, 1) :].sum())
        tables, free = [table for table, _ in nights], [idle for _, idle in nights]
        return _Laws(xs, ys, tables, free, rhythm, change < _MOVING and full < _MOVING)

    def _pace(self, rhythm: float, window: float) -> FloatArray:
        """Ends of service in a window after each edge of the slots, against the mean."""
        edges = np.arange(len(self.cycle[0].calls) + 1) * self.step
        early = np.interp(edges, *self.renewals)
        late = np.interp(edges + window, *self.renewals)
        return 1.0 + rhythm * ((late - early) / window * self.service - 1.0)

    def _night(self, part: Shift) -> tuple[FloatArray, FloatArray]:
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

    def _gathers(self, k: int, part: Shift, share: float = 1.0, own: bool = True) -> float:
        """Orders overnight of the classes that wait up to k, of k itself a share."""
        calls = self._off_calls(part)
        above = float(self.weight[self.called : k].sum())
        return calls * (above + (share * float(self.weight[k]) if own else 0.0))

    @staticmethod
    def _off_calls(part: Shift) -> float:
        """Calls of the time off, in hours of mean calls."""
        return float(part.off_calls.mean() * part.off)

    def _evening(self, x: FloatArray, y: FloatArray, table: FloatArray) -> FloatArray:
        """Jobs under way in the morning and orders of a level left over, before those of the night."""
        idle = x @ table[:-1]
        out = np.convolve(y, table[-1])
        out[: len(idle)] += idle
        return out

    def _morning(
        self, x: FloatArray, y: FloatArray, table: FloatArray, part: Shift
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
        whole = sum(
            float(at_edges(p.calls, self.step).sum() + p.off_calls.mean() * p.off) for p in self.cycle
        )
        out = np.full(classes, np.nan)
        for k in np.flatnonzero(~np.isnan(promises.respond)).tolist():
            limit = float(promises.respond[k])
            there = bool(promises.arrival[k])
            near = share_within(spread, limit) if there else np.ones(len(spread))
            left = limit - far if there else np.array([limit])
            good = sum(
                float(at_edges(part.calls, self.step) @ (xs @ near[self.n - 1 :: -1][: self.n]))
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
        window = float(np.clip(left.max(), 0.1, self.length))
        rates = np.where(np.arange(len(self.rate)) < self.called, self.rate, 0.0)[None, :]
        late_off = self._queue_late(replace(self.rows, rates=rates), self.crew, k, left, np.ones(1))[0]
        good = 0.0
        closest = near[self.crew - 1 :: -1][: self.crew]
        laws = self.laws
        for part, xs, ys, free, rhythm in zip(
            self.cycle, laws.xs, laws.ys, laws.free, laws.rhythm, strict=True
        ):
            late = self._queue_late(self.rows, self.n, k, left, self._pace(rhythm, window))
            good += float((at_edges(part.calls, self.step) * ys[:, -1].sum(axis=1)) @ (1.0 - late))
            idle = np.append(xs[-1], ys[-1, -1].sum()) @ free
            waits = self._off_calls(part) - float(idle.sum())
            good += float(idle @ closest) + waits * (1.0 - late_off)
        return good

    def _queue_late(
        self, rows: RegionRows, servers: int, k: int, left: FloatArray, pace: FloatArray
    ) -> FloatArray:
        """Chance to wait longer if all are busy, shape of `pace`; mean over the drives."""
        same = np.zeros(len(pace), dtype=np.int64)
        state = _Service(self.service / np.maximum(pace, 1e-3))
        times = np.broadcast_to(left, (len(pace), len(self.rate), len(left)))
        tail = queue_tail(rows.pick(same), state, same + servers, times)  # type: ignore[arg-type]
        return tail[:, k].mean(axis=1)

    def _waiting(self, k: int, left: FloatArray, on_shift: bool) -> float:
        """Orders of a class that waits for the shift and did not find an engineer free at once."""
        slots, level = len(self.cycle[0].calls), k - self.called
        begin, first, day, share, moment = [], [], [], [], []
        for d, part in enumerate(self.cycle):
            xs, ys = self.laws.xs[d], self.laws.ys[d]
            begin += list(ys[:, level])
            first += list(range(slots + 1))
            share += list(at_edges(part.calls, self.step))
            moment += list(np.arange(slots + 1) * self.step)
            evening = self._evening(xs[-1], ys[-1, level], self.laws.table[d])
            parts = _NIGHT_PARTS if on_shift else _middles(part.off, self.step)
            for u in parts:
                law = np.convolve(evening, _poisson(self._gathers(k, part, float(u))))
                start = np.zeros(self.size)
                last = min(len(law) - self.n, self.size)
                start[:last] = law[self.n : self.n + last]
                begin.append(start)
                first.append(0)
                share.append(self._off_calls(part) / len(parts))
                moment.append(self.length + float(u) * part.off)
            day += [d] * (slots + 1) + [(d + 1) % len(self.cycle)] * len(parts)
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
            np.stack([self._pace(rhythm, self.step)[:-1] for rhythm in self.laws.rhythm]) * self.capacity,
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


def _renewals(first: float, service: float, scv: float, length: float) -> tuple[FloatArray, FloatArray]:
    """Jobs one engineer ends after a fresh start, one job after the other (gamma law): hours, jobs."""
    from scipy import special

    hours = np.linspace(0.0, length, _GRID + 1)
    shape = 1.0 / max(scv, 0.05)
    ends = np.diff(special.gammainc(shape, hours * shape / service))
    begin = np.diff(special.gammainc(shape, hours * shape / first))
    jobs = np.zeros(_GRID)
    for cell in range(_GRID):
        # Who ended in an earlier cell is on a new job since its middle.
        jobs[cell] = begin[cell] + jobs[:cell] @ ends[:cell][::-1]
    return hours, np.append(0.0, np.cumsum(jobs))


def _begun(x: FloatArray, under_way: FloatArray) -> float:
    """Share of the morning's jobs that begin with the shift."""
    n = len(x)
    busy = float(x @ np.arange(n)) + n * (1.0 - float(x.sum()))
    old = float(under_way @ np.minimum(np.arange(len(under_way)), n))
    return min(max(1.0 - old / busy, 0.0), 1.0) if busy > 0 else 0.0


def _middles(off: float, step: float) -> FloatArray:
    count = max(round(off / step), 1)
    return (np.arange(count) + 0.5) / count


def _poisson(mean: float) -> FloatArray:
    size = int(mean + 8.0 * np.sqrt(mean + 1.0)) + 2
    steps = np.concatenate([[0.0], np.log(max(mean, 1e-300)) - np.log(np.arange(1.0, size))])
    law = np.exp(np.cumsum(steps) - mean)
    return law / law.sum()


def _binomial(count: int, share: float, size: int) -> FloatArray:
    out = np.zeros(size)
    out[: count + 1] = [comb(count, i) * share**i * (1.0 - share) ** (count - i) for i in range(count + 1)]
    return out
