"""Laws of a day shift in small steps of time: numpy lines that numba compiles.

Every step is a Taylor series of the linear equations of six terms; its rest is below 1e-4 of a step's change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np


@lru_cache(maxsize=3)
def compiled(law: Callable[..., Any]) -> Callable[..., Any]:
    """One of the laws compiled by numba, cached on disk."""
    import numba

    return numba.njit(cache=True, nogil=True)(law)


def shift_law(
    x: np.ndarray,
    y: np.ndarray,
    births: np.ndarray,
    levels: np.ndarray,
    below: np.ndarray,
    capacity: float,
    pace: np.ndarray,
    step: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Busy engineers and waiting orders through a shift.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Chance of 0..n-1 busy and nobody waiting at the start.
    y : ndarray, shape (L, Q)
        Chance that all are busy and 0..Q-1 orders of a level wait; the last level holds all orders.
    births : ndarray, shape (slots,)
        Orders while somebody is free. [1/hour]
    levels : ndarray, shape (slots, L)
        Orders of a level while all are busy. [1/hour]
    below : ndarray, shape (n,)
        Ends of service with 1..n busy. [1/hour]
    capacity : float
        Ends of service while all are busy. [1/hour]
    pace : ndarray, shape (slots,)
        Ends of service against the mean.
    step : float
        Length of a slot. [hours]

    Returns
    -------
    xs, ys : ndarray, shapes (slots + 1, n) and (slots + 1, L, Q)
    """
    slots, n = len(births), len(x)
    count, size = y.shape
    xs, ys = np.empty((slots + 1, n)), np.empty((slots + 1, count, size))
    xs[0], ys[0] = x, y
    now_x, now_y = x.copy(), y.copy()
    dx, dy = np.empty(n), np.empty((count, size))
    for slot in range(slots):
        birth = births[slot]
        ends, all_end = below * pace[slot], capacity * pace[slot]
        most = max(birth, levels[slot].max()) + all_end
        parts = int(np.ceil(most * step / 1.5)) + 1
        h = step / parts
        for _ in range(parts):
            tx, ty = now_x.copy(), now_y.copy()
            for order in range(1, 7):
                dx[:] = -birth * tx
                dx[1:] += birth * tx[:-1] - ends[:-1] * tx[1:]
                dx[:-1] += ends[:-1] * tx[1:]
                dx[n - 1] += all_end * ty[count - 1, 0]
                flow = birth * tx[n - 1] - all_end * ty[count - 1, 0]
                for level in range(count):
                    rate = levels[slot, level]
                    row = ty[level]
                    up = rate * row[:-1]
                    down = all_end * row[1:]
                    dy[level, 0] = flow
                    dy[level, 1:] = up - down
                    dy[level, :-1] += down - up
                scale = h / order
                tx, ty = dx * scale, dy * scale
                now_x, now_y = now_x + tx, now_y + ty
        xs[slot + 1], ys[slot + 1] = now_x, now_y
    return xs, ys


def night_law(
    crew: int, beyond: int, births: np.ndarray, weights: np.ndarray, deaths: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """People on call through the time off: busy with jobs under way and urgent orders.

    Parameters
    ----------
    crew, beyond : int
        People on call; urgent orders that may wait.
    births, weights : ndarray, shape (slots,)
        Urgent orders [1/hour]; calls against the mean.
    deaths : ndarray, shape (crew,)
        Ends of service with 1..crew busy. [1/hour]
    step : float
        [hours]

    Returns
    -------
    law : ndarray, shape (crew + 1, crew + beyond + 1)
        Chance of so many busy or waiting at the end, from each number busy at the start.
    free : ndarray, shape (crew + 1, crew)
        Time, weighed by the calls, with 0..crew-1 busy. [hours]
    """
    states = crew + beyond + 1
    down = np.zeros(states)
    down[1 : crew + 1] = deaths
    down[crew + 1 :] = deaths[crew - 1]
    law = np.zeros((crew + 1, states))
    for start in range(crew + 1):
        law[start, start] = 1.0
    free = np.zeros((crew + 1, crew))
    change = np.empty(law.shape)
    for slot in range(len(births)):
        parts = int(np.ceil((births[slot] + down[-1]) * step / 1.5)) + 1
        h = step / parts
        for _ in range(parts):
            half = 0.5 * h * weights[slot]
            free += half * law[:, :crew]
            term = law.copy()
            for order in range(1, 7):
                lost = down[1:] * term[:, 1:]
                gained = births[slot] * term[:, :-1]
                change[:, 0] = 0.0
                change[:, 1:] = gained - lost
                change[:, :-1] += lost - gained
                term = change * (h / order)
                law = law + term
            free += half * law[:, :crew]
    return law, free


def tagged_law(
    begin: np.ndarray,
    first: np.ndarray,
    day: np.ndarray,
    horizon: int,
    births: np.ndarray,
    capacity: np.ndarray,
    step: float,
    n: int,
    overnight: np.ndarray,
) -> np.ndarray:
    """Chance that an order still waits after so many slots of the shifts.

    Parameters
    ----------
    begin : ndarray, shape (G, Q)
        Chance of 0..Q-1 orders before it, all engineers busy, for orders of G moments.
    first, day : ndarray of int, shape (G,)
        Slot at whose start it comes, and of which shift of the cycle; as many slots as there are: the end.
    horizon : int
        [slots]
    births : ndarray, shape (D, slots)
        Orders that get before it. [1/hour]
    capacity : ndarray, shape (D, slots)
        Ends of service. [1/hour]
    step : float
        [hours]
    n : int
    overnight : ndarray, shape (D, J)
        Chance of 0..J-1 jobs under way in the morning and orders come overnight that get before it.

    Returns
    -------
    ndarray, shape (G, horizon + 1)
    """
    count, size = begin.shape
    slots = births.shape[1]
    gone = np.zeros((count, horizon + 1))
    for g in range(count):
        now, at, shift = begin[g].copy(), first[g], day[g]
        for passed in range(horizon + 1):
            if at == slots:
                morning = np.convolve(now, overnight[shift])
                now = np.zeros(size)
                last = min(len(morning) - n, size)
                now[:last] = morning[n : n + last]
                at, shift = 0, (shift + 1) % len(births)
            gone[g, passed] = now.sum()
            if gone[g, passed] < 1e-7 or passed == horizon:
                break
            rate, ends = births[shift, at], capacity[shift, at]
            parts = int(np.ceil((rate + ends) * step / 1.5)) + 1
            h = step / parts
            for _ in range(parts):
                term = now.copy()
                for order in range(1, 7):
                    change = -(rate + ends) * term
                    change[size - 1] += rate * term[size - 1]
                    change[1:] += rate * term[:-1]
                    change[:-1] += ends * term[1:]
                    term = change * (h / order)
                    now = now + term
            at += 1
    return gone
