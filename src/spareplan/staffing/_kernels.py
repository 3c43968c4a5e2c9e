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


def dispatch_for(count: int) -> Callable[..., Any]:
    """`dispatch` for so many orders: plain if few, unless the compiled one is at hand anyway."""
    ready = compiled_dispatch.cache_info().currsize > 0
    return compiled_dispatch() if ready or count >= SMALL_RUN else dispatch


def nearest_chain(posts: np.ndarray, calls: np.ndarray, ends: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Distances driven when the nearest free engineer is always taken and one comes free where a job ends.

    Parameters
    ----------
    posts : ndarray, shape (F, 2)
        Where the free engineers are; changed in place. [km]
    calls, ends : ndarray, shape (steps, 2)
        Where each order is, and where the next engineer comes free. [km]
    away : ndarray of bool, shape (steps,)
        Whether who was taken last is not free yet; one engineer alone always is.

    Returns
    -------
    ndarray, shape (steps,)
        [km]
    """
    driven = np.empty(len(calls))
    last = -1
    for step in range(len(calls)):
        best, nearest = 0, np.inf
        absent = last if away[step] and len(posts) > 1 else -1
        for e in range(len(posts)):
            if e == absent:
                continue
            gap = (posts[e, 0] - calls[step, 0]) ** 2 + (posts[e, 1] - calls[step, 1]) ** 2
            if gap < nearest:
                best, nearest = e, gap
        driven[step] = np.sqrt(nearest)
        posts[best, 0], posts[best, 1] = ends[step, 0], ends[step, 1]
        last = best
    return driven


def dispatch(
    opened: np.ndarray,
    grade: np.ndarray,
    need: np.ndarray,
    east: np.ndarray,
    north: np.ndarray,
    first: np.ndarray,
    hours: np.ndarray,
    wait: np.ndarray,
    skill: np.ndarray,
    speed: np.ndarray,
    home_east: np.ndarray,
    home_north: np.ndarray,
    rota: np.ndarray,
    on_call: np.ndarray,
    starts_on: np.ndarray,
    change_at: np.ndarray,
    change_rota: np.ndarray,
    period: float,
    urgent: int,
    pace: float,
    classes: int,
    skills: int,
    depot: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Send engineers to orders, event by event.

    Parameters
    ----------
    opened, grade, need, east, north : ndarray, shape (N,)
        Orders by time: moment [hours], class (0 most urgent), least skill, place [km].
    first : ndarray of int, shape (N + 1,)
        Visits of order i are `first[i]` to `first[i + 1] - 1`, at least one.
    hours, wait : ndarray, shape (visits,)
        Time of a standard engineer at the machine; wait before the visit can be made, from the call or from
        the end of the visit before. [hours]
    skill, speed, home_east, home_north : ndarray, shape (E,)
        Engineers: skill, work done per hour of a standard engineer, where they start [km].
    rota : ndarray of int, shape (E,)
        Which of the G rotas an engineer works.
    on_call : ndarray of bool, shape (E,)
        Whether he can be called out off duty to the `urgent` most urgent classes.
    starts_on : ndarray of bool, shape (G,)
        Whether a rota is on duty just before time 0.
    change_at, change_rota : ndarray, shape (C,)
        Moments of a period, ascending, at which a rota comes on or goes off duty; repeated every period.
    period : float
        [hours]
    urgent : int
    pace : float
        Drive per straight km. [hours/km]
    classes, skills : int
    depot : bool
        Whether an engineer drives home after every visit before he is free.

    Returns
    -------
    sent, arrived, solved : ndarray, shape (N,)
        Moments; of the first visit the first two, of the last visit the third. NaN: never. [hours]
    busy : ndarray, shape (E, 2)
        Hours driving and working.

    Notes
    -----
    The nearest free engineer with the skill is sent at once (of equally near ones the first); else the order
    waits, most urgent class first, first come first served within it; nobody is called off a job; who is at
    work when his shift ends finishes it. When a shift begins, the most urgent orders that wait get the
    nearest of those who come on duty.

    Only free engineers are scanned for the nearest, only busy ones for the next to end, and one clock holds
    the next change of any shift.
    """
    count, crew = len(opened), len(skill)
    sent, arrived, solved = np.full(count, np.nan), np.full(count, np.nan), np.full(count, np.nan)
    busy = np.zeros((crew, 2))
    at_east, at_north = home_east.copy(), home_north.copy()
    on = starts_on.copy()
    present = np.empty(crew, np.bool_)
    for e in range(crew):
        present[e] = on[rota[e]]
    # The first `spare` of `idle` are free; the first `working` of `end_who` are busy until `end_at`.
    idle, spare = np.arange(crew), crew
    end_at, end_who, working = np.empty(crew), np.empty(crew, np.int64), 0
    next_end, next_spot = np.inf, -1
    # A waiting line per class and skill; `after` chains the orders.
    head = np.full((classes, skills), -1, np.int64)
    tail = np.full((classes, skills), -1, np.int64)
    after, joined = np.empty(count, np.int64), np.empty(count)
    waiting = np.zeros(classes, np.int64)
    blocked = np.zeros(skills, np.bool_)
    lined = 0
    step = first[:count].copy()
    # Visits that are still to come, a heap by time.
    heap_time, heap_order, pending = np.empty(count), np.empty(count, np.int64), 0
    changes = len(change_at)
    turn, rounds = 0, 0.0
    next_change = change_at[0] if changes > 0 else np.inf
    arrival, stalled = 0, 0
    now = 0.0
    mustering = False
    while True:
        order, who, place = -1, -1, -1
        if mustering:
            for k in range(classes):
                if waiting[k] == 0:
                    continue
                blocked[:] = False
                while who < 0:
                    line = -1
                    for s in range(skills):
                        if blocked[s] or head[k, s] < 0:
                            continue
                        if line < 0 or joined[head[k, s]] < joined[head[k, line]]:
                            line = s
                    if line < 0:
                        break
                    order, nearest = head[k, line], np.inf
                    for i in range(spare):
                        e = idle[i]
                        if skill[e] < line or not (present[e] or (on_call[e] and k < urgent)):
                            continue
                        gap = (at_east[e] - east[order]) ** 2 + (at_north[e] - north[order]) ** 2
                        if gap < nearest or (gap == nearest and e < who):
                            who, nearest, place = e, gap, i
                    if who < 0:
                        blocked[line] = True
                    else:
                        head[k, line] = after[order]
                        if head[k, line] < 0:
                            tail[k, line] = -1
                        waiting[k] -= 1
                        lined -= 1
                if who >= 0:
                    break
            if who < 0:
                mustering = False
                continue
        else:
            then, kind = np.inf, -1
            if arrival < count:
                then, kind = opened[arrival], 0
            if pending > 0 and heap_time[0] < then:
                then, kind = heap_time[0], 1
            if next_end < then:
                then, kind = next_end, 2
            if kind < 0 and (lined == 0 or stalled > changes):
                # Orders may be left for which nobody has the skill.
                break
            if next_change < then:
                then, kind = next_change, 3
            if kind < 0:
                break
            now = then
            if kind == 3:
                while next_change <= now:
                    group = change_rota[turn]
                    on[group] = not on[group]
                    for e in range(crew):
                        if rota[e] == group:
                            present[e] = on[group]
                    turn += 1
                    stalled += 1
                    if turn == changes:
                        turn = 0
                        rounds += 1.0
                    next_change = rounds * period + change_at[turn]
                mustering = lined > 0
                continue
            if kind == 2:
                who = end_who[next_spot]
                working -= 1
                end_at[next_spot], end_who[next_spot] = end_at[working], end_who[working]
                next_end, next_spot = np.inf, -1
                for i in range(working):
                    if end_at[i] < next_end:
                        next_end, next_spot = end_at[i], i
                if lined > 0:
                    reach = classes if present[who] else (urgent if on_call[who] else 0)
                    for k in range(min(reach, classes)):
                        if waiting[k] == 0:
                            continue
                        line = -1
                        for s in range(min(skill[who], skills - 1) + 1):
                            if head[k, s] < 0:
                                continue
                            if line < 0 or joined[head[k, s]] < joined[head[k, line]]:
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
                    idle[spare] = who
                    spare += 1
                    continue
            else:
                if kind == 0:
                    order = arrival
                    arrival += 1
                    later = opened[order] + wait[first[order]]
                    if later > now:
                        spot = pending
                        pending += 1
                        while spot > 0 and heap_time[(spot - 1) // 2] > later:
                            heap_time[spot] = heap_time[(spot - 1) // 2]
                            heap_order[spot] = heap_order[(spot - 1) // 2]
                            spot = (spot - 1) // 2
                        heap_time[spot], heap_order[spot] = later, order
                        continue
                else:
                    order = heap_order[0]
                    pending -= 1
                    last_time, last_order, spot = heap_time[pending], heap_order[pending], 0
                    while 2 * spot + 1 < pending:
                        child = 2 * spot + 1
                        if child + 1 < pending and heap_time[child + 1] < heap_time[child]:
                            child += 1
                        if heap_time[child] >= last_time:
                            break
                        heap_time[spot], heap_order[spot] = heap_time[child], heap_order[child]
                        spot = child
                    heap_time[spot], heap_order[spot] = last_time, last_order
                k, s, x, y = grade[order], need[order], east[order], north[order]
                nearest, called = np.inf, grade[order] < urgent
                for i in range(spare):
                    e = idle[i]
                    if skill[e] < s or not (present[e] or (called and on_call[e])):
                        continue
                    gap = (at_east[e] - x) ** 2 + (at_north[e] - y) ** 2
                    if gap < nearest or (gap == nearest and e < who):
                        who, nearest, place = e, gap, i
                if who < 0:
                    if tail[k, s] < 0:
                        head[k, s] = order
                    else:
                        after[tail[k, s]] = order
                    tail[k, s] = order
                    after[order] = -1
                    joined[order] = now
                    waiting[k] += 1
                    lined += 1
                    continue
        if place >= 0:
            spare -= 1
            idle[place] = idle[spare]
        stalled = 0
        visit = step[order]
        step[order] = visit + 1
        drive = pace * np.sqrt((at_east[who] - east[order]) ** 2 + (at_north[who] - north[order]) ** 2)
        work = hours[visit] / speed[who]
        done = now + drive + work
        if visit == first[order]:
            sent[order], arrived[order] = now, now + drive
        if visit + 1 < first[order + 1]:
            later = done + wait[visit + 1]
            spot = pending
            pending += 1
            while spot > 0 and heap_time[(spot - 1) // 2] > later:
                heap_time[spot], heap_order[spot] = heap_time[(spot - 1) // 2], heap_order[(spot - 1) // 2]
                spot = (spot - 1) // 2
            heap_time[spot], heap_order[spot] = later, order
        else:
            solved[order] = done
        if depot:
            at_east[who], at_north[who] = home_east[who], home_north[who]
            back = pace * np.sqrt((at_east[who] - east[order]) ** 2 + (at_north[who] - north[order]) ** 2)
            drive += back
            done += back
        else:
            at_east[who], at_north[who] = east[order], north[order]
        busy[who, 0] += drive
        busy[who, 1] += work
        end_at[working], end_who[working] = done, who
        if done < next_end:
            next_end, next_spot = done, working
        working += 1
    return sent, arrived, solved, busy
