"""Hours of the day: load that follows the calls with a lag, and shifts that cover it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY, MINUTES_PER_HOUR
from spareplan.staffing.queues import servers_needed_rows
from spareplan.staffing.sizing import ALL_DAY, Phases

FloatArray = NDArray[np.float64]
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def smoothed_load(profile: FloatArray, mean_hours: float) -> FloatArray:
    """Work in hand per hour of the day against its mean, if nobody had to wait.

    Parameters
    ----------
    profile : ndarray, shape (24,)
        Calls per hour of the day against the mean.
    mean_hours : float
        Mean time of a visit, exponential. [hours]

    Returns
    -------
    ndarray, shape (24,)
        Mean 1.

    Notes
    -----
    m(t) = integral of lambda(t - u) P(S > u) du / E S, the infinite-server load [1]_; repeated every day.
    Visits take hours, so the busiest hour of the engineers comes hours after that of the telephone.

    References
    ----------
    .. [1] Eick, Massey, Whitt (1993), M_t/G/infinity queues with sinusoidal arrival rates, Management
       Science 39.
    """
    hours = np.arange(HOURS_PER_DAY)
    keep = np.exp(-1.0 / max(mean_hours, 1e-6))
    # Weight of calls h whole hours ago; days further back are summed as a geometric series.
    weight = (1.0 - keep) * keep**hours / (1.0 - keep**HOURS_PER_DAY)
    lag = (hours[:, None] - hours[None, :]) % HOURS_PER_DAY
    return weight[lag] @ np.asarray(profile, dtype=float)


def day_phases(profile: FloatArray, mean_hours: float, count: int = 4) -> Phases:
    """Cut the day into equal phases with their load and their share of the calls.

    Parameters
    ----------
    profile : ndarray, shape (24,)
        Calls per hour of the day against the mean.
    mean_hours : float
        Mean time of a visit. [hours]
    count : int
        A divisor of 24; a flat profile needs one.

    Returns
    -------
    Phases

    Notes
    -----
    Four phases are long enough to settle: against simulation the share kept was 0 to 5 points low for limits
    of an hour or two, within 1 point for those of 8 h and more; the mean of the day is up to 10 points high.
    """
    if np.ptp(profile) < 1e-9:
        return ALL_DAY
    load = smoothed_load(profile, mean_hours).reshape(count, -1).mean(axis=1)
    calls = np.asarray(profile, dtype=float).reshape(count, -1).sum(axis=1)
    return Phases(np.full(count, 1.0 / count), load, calls / calls.sum(), np.asarray(profile, dtype=float))


class ShiftPlan(NamedTuple):
    """Result of `cover_shifts`.

    Parameters
    ----------
    shifts : DataFrame
        start, end [hour of the day], work_days (such as "Mon Tue Wed Thu Fri"), people.
    cover : DataFrame
        weekday (0 Monday), hour, required, on_duty.
    people : int
        Least people in all.
    bound : float
        No plan of these shifts needs fewer. [people]
    """

    shifts: pd.DataFrame
    cover: pd.DataFrame
    people: int
    bound: float


def cover_shifts(
    required: ArrayLike,
    starts: Sequence[int] = tuple(range(24)),
    length: int = 8,
    days_on: int = 5,
    time_limit: float = 30.0,
) -> ShiftPlan:
    """Least people whose shifts cover the people required in every hour of the week.

    Parameters
    ----------
    required : array-like of int, shape (7, 24) or (24,)
        People on duty per weekday (Monday first) and hour; one day stands for all.
    starts : sequence of int
        Hours of the day at which a shift may begin.
    length : int
        Of a shift; it may run over midnight. [hours]
    days_on : int
        Days in a row that one works per week; the others are free.
    time_limit : float
        [s]

    Returns
    -------
    ShiftPlan

    Raises
    ------
    DataError
        The requirement is negative or of another shape, or an hour that needs people lies in no shift.

    Notes
    -----
    One whole number per shift start and first working day: everybody keeps his hours through the week. Among
    plans with the fewest people, the one with the fewest different shifts comes first.

    References
    ----------
    .. [1] Dantzig (1954), A comment on Edie's traffic delays at toll booths, Operations Research 2.
    """
    import pulp

    from spareplan.maths.solver import solve_model

    need = np.asarray(required, dtype=float)
    need = np.tile(need, (DAYS_PER_WEEK, 1)) if need.shape == (HOURS_PER_DAY,) else need
    if need.shape != (DAYS_PER_WEEK, HOURS_PER_DAY) or not (np.isfinite(need) & (need >= 0)).all():
        raise problem_in_argument(
            "cover_shifts",
            "required",
            np.shape(required),
            "is 7 x 24 numbers of 0 or more",
            "give people per weekday and hour",
        )
    patterns = [(int(start), first) for start in starts for first in range(DAYS_PER_WEEK)]
    if days_on >= DAYS_PER_WEEK:
        patterns = [(int(start), 0) for start in starts]
    covers = np.zeros((len(patterns), DAYS_PER_WEEK * HOURS_PER_DAY))
    for row, (start, first) in enumerate(patterns):
        for day in range(min(days_on, DAYS_PER_WEEK)):
            begin = ((first + day) % DAYS_PER_WEEK) * HOURS_PER_DAY + start
            covers[row, (begin + np.arange(length)) % covers.shape[1]] = 1.0
    flat = need.reshape(-1)
    empty = np.flatnonzero((flat > 0) & (covers.sum(axis=0) == 0))
    if len(empty):
        day, hour = divmod(int(empty[0]), HOURS_PER_DAY)
        raise problem_in_argument(
            "cover_shifts",
            "starts",
            list(starts),
            f"covers {WEEKDAYS[day]} {hour}:00, where {flat[empty[0]]:g} people are required",
            "allow a shift that covers it",
        )
    top = int(np.ceil(flat.max(initial=0.0)) * DAYS_PER_WEEK)
    model = pulp.LpProblem("shifts", pulp.LpMinimize)
    people = [pulp.LpVariable(f"people_{i}", 0, top, pulp.LpInteger) for i in range(len(patterns))]
    used = {start: pulp.LpVariable(f"used_{start}", 0, 1, pulp.LpInteger) for start, _ in patterns}
    # A different start costs less than a person, so people come first.
    model += pulp.lpSum(people) + pulp.lpSum(used.values()) / (2.0 * HOURS_PER_DAY)
    for hour in range(covers.shape[1]):
        if flat[hour] > 0:
            model += pulp.lpSum(people[i] for i in np.flatnonzero(covers[:, hour])) >= float(flat[hour])
    for start, flag in used.items():
        own = pulp.lpSum(people[i] for i, pattern in enumerate(patterns) if pattern[0] == start)
        model += own <= max(top, 1) * len(patterns) * flag
    solution = solve_model(model, time_limit=time_limit)
    count = np.array([round(variable.varValue or 0.0) for variable in people])
    rows = [
        (
            start,
            (start + length) % HOURS_PER_DAY or HOURS_PER_DAY,
            " ".join(WEEKDAYS[(first + day) % DAYS_PER_WEEK] for day in range(min(days_on, DAYS_PER_WEEK))),
            int(n),
        )
        for (start, first), n in zip(patterns, count, strict=True)
        if n > 0
    ]
    hours = np.arange(covers.shape[1])
    cover = pd.DataFrame(
        {
            "weekday": hours // HOURS_PER_DAY,
            "hour": hours % HOURS_PER_DAY,
            "required": flat,
            "on_duty": count @ covers,
        }
    )
    shifts = pd.DataFrame(rows, columns=["start", "end", "work_days", "people"])
    shares = len(set(shifts["start"])) / (2.0 * HOURS_PER_DAY)
    bound = max(np.ceil(solution.bound - shares - 1e-6), 0.0)
    return ShiftPlan(shifts, cover, int(count.sum()), float(min(bound, count.sum())))


def desk_people(
    calls_per_week: float,
    minutes: float,
    answer_minutes: float,
    target: float,
    profile: ArrayLike,
) -> NDArray[np.int64]:
    """People a desk needs in every hour of the week to answer in time.

    Parameters
    ----------
    calls_per_week : float
    minutes : float
        Mean length of a call. [minutes]
    answer_minutes : float
        Promised wait. [minutes]
    target : float
        Share answered within it.
    profile : array-like, shape (7, 24) or (24,)
        Calls per hour; any scale. Hours without calls need nobody.

    Returns
    -------
    ndarray of int, shape (7, 24)
    """
    shape = np.asarray(profile, dtype=float)
    shape = np.tile(shape, (DAYS_PER_WEEK, 1)) if shape.shape == (HOURS_PER_DAY,) else shape
    rates = calls_per_week * shape / shape.sum()
    busy = rates.reshape(-1, 1)
    need = servers_needed_rows(
        busy,
        np.full(len(busy), MINUTES_PER_HOUR / minutes),
        np.array([answer_minutes / MINUTES_PER_HOUR]),
        np.array([target]),
    )
    return np.where(rates > 0, need.reshape(rates.shape), 0)
