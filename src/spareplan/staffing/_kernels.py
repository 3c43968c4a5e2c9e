"""Event loop of a region: plain Python that numba compiles for long runs.

The same lines run both ways; small runs never wait for a compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

# Below this many orders the plain loop is faster than loading the compiled one.
SMALL_RUN = 3_000


@lru_cache(maxsize=1)
def compiled_dispatch() -> Callable[..., Any]:
    """`dispatch` compiled by numba, cached on disk."""
    import numba

    return numba.njit(cache=True, nogil=True)(dispatch)


@lru_cache(maxsize=1)
def compiled_chain() -> Callable[..., Any]:
    """`nearest_chain` compiled by numba, cached on disk."""
    import numba

    return numba.njit(cache=True, nogil=True)(nearest_chain)


def nearest_chain(posts: np.ndarray, calls: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distances driven when the nearest free engineer is always taken and one comes free elsewhere.

    Parameters
    ----------
    posts : ndarray, shape (F, 2)
        Where the free engineers are; changed in place. [km]
    calls, ends : ndarray, shape (steps, 2)
        Where each order is, and where the next engineer comes free. [km]

    Returns
    -------
    ndarray, shape (steps,)
        [km]
    """
    driven = np.empty(len(calls))
    for step in range(len(calls)):
        best, nearest = 0, np.inf
        for e in range(len(posts)):
            gap = (posts[e, 0] - calls[step, 0]) ** 2 + (posts[e, 1] - calls[step, 1]) ** 2
            if gap < nearest:
                best, nearest = e, gap
        driven[step] = np.sqrt(nearest)
        posts[best, 0], posts[best, 1] = ends[step, 0], ends[step, 1]
    return driven


def dispatch(
    opened: np.ndarray,
    grade: np.ndarray,
    need: np.ndarray,
    east: np.ndarray,
    north: np.ndarray,
    work: np.ndarray,
    back_after: np.ndarray,
    second_work: np.ndarray,
    skill: np.ndarray,
    speed: np.ndarray,
    home_east: np.ndarray,
    home_north: np.ndarray,
    shift_start: np.ndarray,
    shift_end: np.ndarray,
    on_call: np.ndarray,
    days_a_week: np.ndarray,
    urgent: int,
    pace: float,
    classes: int,
    skills: int,
    cycle: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Send engineers to orders, event by event.

    Parameters
    ----------
    opened, grade, need, east, north, work : ndarray, shape (N,)
        Orders by time: moment [hours], class (0 most urgent), least skill, place [km], time at the machine
        of a standard engineer [hours].
    back_after, second_work : ndarray, shape (N,)
        Wait before a second visit (below 0: none) and its work. [hours]
    skill, speed, home_east, home_north : ndarray, shape (E,)
        Engineers: skill, work done per hour of a standard engineer, where they start [km].
    shift_start, shift_end : ndarray, shape (E,)
        On duty within each cycle; an end below the start runs over its end, 0 to `cycle` is always. [hours]
    on_call : ndarray of bool, shape (E,)
        Whether he can be called out off duty to the `urgent` most urgent classes.
    days_a_week : ndarray, shape (E,)
        On duty on the first so many days of each week.
    urgent : int
    pace : float
        Drive per straight km. [hours/km]
    classes, skills : int
    cycle : float
        After which shifts repeat. [hours]

    Returns
    -------
    sent, arrived, solved : ndarray, shape (N,)
        Moments; of the first visit the first two, of the last visit the third. NaN: never. [hours]
    busy : ndarray, shape (E, 2)
        Hours driving and working.

    Notes
    -----
    The nearest free engineer with the skill is sent at once; else the order waits, most urgent class first,
    first come first served within it; nobody is called off a job; who is at work when his shift ends finishes
    it.
    """
    count, crew = len(opened), len(skill)
    sent, arrived, solved = np.full(count, np.nan), np.full(count, np.nan), np.full(count, np.nan)
    busy = np.zeros((crew, 2))
    at_east, at_north = home_east.copy(), home_north.copy()
    free_at = np.full(crew, np.inf)
    working = np.zeros(crew, np.bool_)
    begun = np.full(crew, -1.0)
    # A waiting line per class and skill; `after` chains the orders.
    head = np.full((classes, skills), -1, np.int64)
    tail = np.full((classes, skills), -1, np.int64)
    after = np.full(count, -1, np.int64)
    waiting = np.zeros(classes, np.int64)
    visit = np.zeros(count, np.int8)
    # Second visits to come, a heap by time.
    heap_time, heap_order, heap_size = np.empty(count), np.empty(count, np.int64), 0
    always = (shift_start == 0.0) & (shift_end == cycle) & (days_a_week >= 7)
    shifts = not always.all()
    lined = 0
    arrival = 0
    clock = -1.0
    while True:
        now = np.inf
        kind = -1
        if arrival < count:
            now, kind = opened[arrival], 0
        if heap_size > 0 and heap_time[0] < now:
            now, kind = heap_time[0], 1
        who = -1
        for e in range(crew):
            if free_at[e] < now:
                now, who, kind = free_at[e], e, 2
        if lined > 0 and shifts:
            # Waiting orders can also be taken up when a shift begins.
            for e in range(crew):
                if not working[e] and not always[e]:
                    begin = np.floor(clock / cycle) * cycle + shift_start[e]
                    while begin < clock or begin <= begun[e] or (begin // 24.0) % 7.0 >= days_a_week[e]:
                        begin += cycle
                    if begin < now:
                        now, who, kind = begin, e, 3
        if kind < 0:
            break
        clock = now
        hour, weekday = now % cycle, (now // 24.0) % 7.0
        order = -1
        if kind == 0:
            order = arrival
            arrival += 1
        elif kind == 1:
            order = heap_order[0]
            heap_size -= 1
            last_time, last_order, spot = heap_time[heap_size], heap_order[heap_size], 0
            while 2 * spot + 1 < heap_size:
                child = 2 * spot + 1
                if child + 1 < heap_size and heap_time[child + 1] < heap_time[child]:
                    child += 1
                if heap_time[child] >= last_time:
                    break
                heap_time[spot], heap_order[spot] = heap_time[child], heap_order[child]
                spot = child
            heap_time[spot], heap_order[spot] = last_time, last_order
        if order >= 0:
            best, nearest = -1, np.inf
            for e in range(crew):
                if working[e] or skill[e] < need[order]:
                    continue
                if not always[e]:
                    first, last = shift_start[e], shift_end[e]
                    duty = first <= hour < last if first < last else (hour >= first or hour < last)
                    duty = duty and weekday < days_a_week[e]
                    if not duty and not (on_call[e] and grade[order] < urgent):
                        continue
                gap = (at_east[e] - east[order]) ** 2 + (at_north[e] - north[order]) ** 2
                if gap < nearest:
                    best, nearest = e, gap
            if best < 0:
                k, s = grade[order], need[order]
                if tail[k, s] < 0:
                    head[k, s] = order
                else:
                    after[tail[k, s]] = order
                tail[k, s] = order
                after[order] = -1
                waiting[k] += 1
                lined += 1
                continue
            who = best
        else:
            working[who] = False
            free_at[who] = np.inf
            if kind == 3:
                begun[who] = now
            first, last = shift_start[who], shift_end[who]
            duty = first <= hour < last if first < last else (hour >= first or hour < last)
            duty = duty and weekday < days_a_week[who]
            reach = classes if duty else (urgent if on_call[who] else 0)
            for k in range(reach):
                if waiting[k] == 0:
                    continue
                line = -1
                for s in range(min(skill[who], skills - 1) + 1):
                    if head[k, s] >= 0 and (line < 0 or head[k, s] < head[k, line]):
                        line = s
                if line >= 0:
                    order = head[k, line]
                    head[k, line] = after[order]
                    if head[k, line] < 0:
                        tail[k, line] = -1
                    waiting[k] -= 1
                    lined -= 1
                    break
            if order < 0:
                continue
        drive = pace * np.sqrt((at_east[who] - east[order]) ** 2 + (at_north[who] - north[order]) ** 2)
        hours = (work[order] if visit[order] == 0 else second_work[order]) / speed[who]
        done = now + drive + hours
        busy[who, 0] += drive
        busy[who, 1] += hours
        at_east[who], at_north[who] = east[order], north[order]
        working[who], free_at[who] = True, done
        if visit[order] == 0:
            sent[order], arrived[order] = now, now + drive
        if visit[order] == 0 and back_after[order] >= 0.0:
            visit[order] = 1
            spot = heap_size
            heap_size += 1
            moment = done + back_after[order]
            while spot > 0 and heap_time[(spot - 1) // 2] > moment:
                heap_time[spot], heap_order[spot] = heap_time[(spot - 1) // 2], heap_order[(spot - 1) // 2]
                spot = (spot - 1) // 2
            heap_time[spot], heap_order[spot] = moment, order
        else:
            solved[order] = done
    return sent, arrived, solved, busy
