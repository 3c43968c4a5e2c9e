"""Shifts as moments at which crews come on and go off duty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY

FloatArray = NDArray[np.float64]
WEEK_HOURS = float(HOURS_PER_DAY * DAYS_PER_WEEK)


class Rotas(NamedTuple):
    """Result of `rotas`.

    Parameters
    ----------
    of : ndarray of int, shape (E,)
        Rota of each engineer, 0..G-1.
    starts_on : ndarray of bool, shape (G,)
        On duty just before time 0.
    change_at, change_rota : ndarray, shape (C,)
        Moments of a period at which a rota comes on or goes off, ascending. [hours]
    period : float
        [hours]
    share : ndarray, shape (G,)
        Part of the time on duty.
    unmanned : float
        Part of the time with nobody on duty.
    """

    of: NDArray[np.int64]
    starts_on: NDArray[np.bool_]
    change_at: FloatArray
    change_rota: NDArray[np.int64]
    period: float
    share: FloatArray
    unmanned: float


def rotas(start: FloatArray, end: FloatArray, days_a_week: NDArray[np.int64], cycle: float) -> Rotas:
    """Changes of shift of a crew over one period.

    Parameters
    ----------
    start, end : ndarray, shape (E,)
        Hours of the cycle; an end below the start runs into the next cycle; 0 to `cycle`: always. [hours]
    days_a_week : ndarray of int, shape (E,)
        Shifts begin on the first so many days of each week; 0: never on duty.
    cycle : float
        A day, or any length if shifts begin on every day. [hours]

    Returns
    -------
    Rotas
        A shift belongs to the day on which it begins, also after midnight.
    """
    wanted = np.column_stack([start, end, days_a_week]).astype(float)
    kinds, of = np.unique(wanted, axis=0, return_inverse=True)
    # A rota with free days repeats when its cycle and the week meet again.
    period = cycle
    if (kinds[:, 2] < DAYS_PER_WEEK).any():
        period = float(np.lcm(round(cycle), round(WEEK_HOURS)))
    begins = np.arange(round(period / cycle)) * cycle
    edges = [np.array([0.0, period])]
    states: list[tuple[FloatArray, NDArray[np.bool_]]] = []
    for begin, stop, days in kinds:
        length = stop - begin if stop > begin else stop - begin + cycle
        worked = begins + begin
        worked = worked[(worked // HOURS_PER_DAY) % DAYS_PER_WEEK < days]
        states.append(_states(worked, length, period))
        edges.append(states[-1][0])
    at, group = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for g, (moments, on) in enumerate(states):
        turns = on != np.roll(on, 1)
        at.append(moments[turns])
        group.append(np.full(int(turns.sum()), g))
    change_at, change_rota = np.concatenate(at), np.concatenate(group)
    order = np.argsort(change_at, kind="stable")
    grid = np.unique(np.concatenate(edges))
    length = np.diff(grid)
    on_duty = np.stack([on[np.searchsorted(moments, grid[:-1], side="right") - 1] for moments, on in states])
    return Rotas(
        of.reshape(-1).astype(np.int64),
        np.array([on[-1] for _, on in states]),
        change_at[order],
        change_rota[order],
        float(period),
        on_duty @ length / period,
        float(length[~on_duty.any(axis=0)].sum() / period),
    )


def _states(begins: FloatArray, length: float, period: float) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Moments of a period from 0 on, and whether somebody is on duty from each of them to the next."""
    if not len(begins):
        return np.zeros(1), np.zeros(1, dtype=bool)
    ends = begins + length
    moments, place = np.unique(np.concatenate([[0.0], begins % period, ends % period]), return_inverse=True)
    steps = np.zeros(len(moments))
    np.add.at(steps, place.reshape(-1)[1:], np.repeat([1.0, -1.0], len(begins)))
    # Shifts under way at time 0 began in the period before.
    under_way = float(np.floor(ends / period).sum())
    return moments, np.cumsum(steps) + under_way > 0
