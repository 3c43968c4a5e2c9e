"""Hours of the day: load that follows the calls with a lag, and shifts that cover it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing._arguments import Arguments
from spareplan.staffing.sizing import ALL_DAY, Phases
from spareplan.tables.frames import require_columns

FloatArray = NDArray[np.float64]
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SATURDAY = 5
# What all different shifts together are worth: less than one person. [people]
# Distance to the bound, in people, that proves their number, and nodes of the search.
_PROVED, _MOST_NODES = 0.49, 2_000
_SHIFTS_WORTH = 0.5


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
    length: int | Sequence[int] = 8,
    days_on: int | Sequence[int] = 5,
    time_limit: float = 30.0,
    most_in_a_row: int | None = None,
    whole_weekends: bool = False,
    weekend_every: int = 1,
) -> ShiftPlan:
    """Least people whose shifts cover the people required in every hour of the week.

    Parameters
    ----------
    required : array-like of int, shape (7, 24) or (24,)
        People on duty per weekday (Monday first) and hour; one day stands for all.
    starts : sequence of int
        Hours of the day at which a shift may begin.
    length : int or sequence of int
        Of a shift, or the lengths to choose from; it may run over midnight. [hours]
    days_on : int or sequence of int
        Days that one works per week, for each length; the others are free.
    time_limit : float
        [s]
    most_in_a_row : int, optional
        Days worked may lie apart, at most so many in a row, over the end of the week as well; None: all in a
        row.
    whole_weekends : bool
        Who works on Saturday works on Sunday, and the other way round.
    weekend_every : int
        Nobody works more than one weekend in so many weeks: people of the same shift take turns in its
        working days. 1: no turns, everybody keeps his days.

    Returns
    -------
    ShiftPlan

    Raises
    ------
    DataError
        The requirement is negative or of another shape; hours, lengths or days out of bounds; an hour that
        needs people lies in no shift.

    Notes
    -----
    One whole number per shift and set of working days [1]_: everybody keeps his hours through the week. Among
    plans with the fewest people, the one with the fewest different shifts comes first. Where people take
    turns, the days in a row are those within a week of one set.

    References
    ----------
    .. [1] Dantzig (1954), A comment on Edie's traffic delays at toll booths, Operations Research 2.
    """
    import pulp

    from spareplan.maths.solver import solve_model

    need = np.asarray(required, dtype=float)
    need = np.tile(need, (DAYS_PER_WEEK, 1)) if need.shape == (HOURS_PER_DAY,) else need
    kinds = _check_cover(need, starts, length, days_on, most_in_a_row, weekend_every)
    patterns = [
        (start, hours, days)
        for start in dict.fromkeys(int(start) for start in starts)
        for hours, count in kinds
        for days in _day_sets(count, most_in_a_row, whole_weekends)
    ]
    covers = np.zeros((len(patterns), DAYS_PER_WEEK * HOURS_PER_DAY))
    for row, (start, hours, days) in enumerate(patterns):
        for day in days:
            covers[row, (day * HOURS_PER_DAY + start + np.arange(hours)) % covers.shape[1]] = 1.0
    flat = need.reshape(-1)
    empty = np.flatnonzero((flat > 0) & (covers.sum(axis=0) == 0))
    if len(empty):
        day, hour = divmod(int(empty[0]), HOURS_PER_DAY)
        raise problem_in_argument(
            "cover_shifts",
            "starts",
            list(starts),
            f"covers {WEEKDAYS[day]} {hour}:00, where {_required(flat[empty[0]])}",
            "allow a shift that covers it",
        )
    top = int(np.ceil(flat.max(initial=0.0)) * DAYS_PER_WEEK) * weekend_every
    model = pulp.LpProblem("shifts", pulp.LpMinimize)
    people = [pulp.LpVariable(f"people_{i}", 0, top, pulp.LpInteger) for i in range(len(patterns))]
    shifts_used = list(dict.fromkeys(pattern[:2] for pattern in patterns))
    used = {kind: pulp.LpVariable(f"used_{kind[0]}_{kind[1]}", 0, 1, pulp.LpInteger) for kind in shifts_used}
    # All different shifts together cost half a person, so people come first.
    model += pulp.lpSum(people) + pulp.lpSum(used.values()) * _SHIFTS_WORTH / len(used)
    # Equal rows would only slow the search: of hours covered alike, the one that needs most stays.
    _, alike = np.unique(covers.T, axis=0, return_inverse=True)
    for group in np.unique(alike):
        hours_alike = np.flatnonzero(alike.reshape(-1) == group)
        hour = hours_alike[flat[hours_alike].argmax()]
        if flat[hour] > 0:
            model += pulp.lpSum(people[i] for i in np.flatnonzero(covers[:, hour])) >= float(flat[hour])
    for kind, flag in used.items():
        own = [i for i, pattern in enumerate(patterns) if pattern[:2] == kind]
        model += pulp.lpSum(people[i] for i in own) <= max(top, 1) * DAYS_PER_WEEK * flag
        if weekend_every > 1:
            busy = [i for i in own if max(patterns[i][2]) >= _SATURDAY]
            model += weekend_every * pulp.lpSum(people[i] for i in busy) <= pulp.lpSum(people[i] for i in own)
    # Nearer than half a person to the bound people are proved the least; nodes end every search alike.
    solution = solve_model(model, time_limit, mip_abs_gap=_PROVED, mip_max_nodes=_MOST_NODES)
    count = np.array([round(variable.varValue or 0.0) for variable in people])
    rows = [
        (
            start,
            (start + hours) % HOURS_PER_DAY or HOURS_PER_DAY,
            " ".join(WEEKDAYS[day] for day in days),
            int(n),
        )
        for (start, hours, days), n in zip(patterns, count, strict=True)
        if n > 0
    ]
    hour_of_week = np.arange(covers.shape[1])
    cover = pd.DataFrame(
        {
            "weekday": hour_of_week // HOURS_PER_DAY,
            "hour": hour_of_week % HOURS_PER_DAY,
            "required": flat,
            "on_duty": count @ covers,
        }
    )
    shifts = pd.DataFrame(rows, columns=["start", "end", "work_days", "people"])
    bound = max(np.ceil(solution.bound - _SHIFTS_WORTH - 1e-6), 0.0)
    return ShiftPlan(shifts, cover, int(count.sum()), float(min(bound, count.sum())))


def on_duty(shifts: pd.DataFrame) -> FloatArray:
    """People on duty per weekday and hour.

    Parameters
    ----------
    shifts : DataFrame
        start, end [hour of the day; an end not after the start is on the next day], work_days (such as
        "Mon Tue"), people, as `ShiftPlan.shifts`.

    Returns
    -------
    ndarray, shape (7, 24)

    Raises
    ------
    DataError
        A column is missing; hours, days or people are none.
    """
    wanted = ["start", "end", "work_days", "people"]
    require_columns(shifts, wanted, "shifts")
    problems = []
    out = np.zeros(DAYS_PER_WEEK * HOURS_PER_DAY)
    for row, (start, end, days, people) in enumerate(shifts[wanted].itertuples(index=False), start=2):
        named = str(days).split()
        faults = [
            ("start", start, _whole(start, 0, HOURS_PER_DAY - 1), "is a whole hour from 0 to 23"),
            ("end", end, _whole(end, 1, HOURS_PER_DAY), "is a whole hour from 1 to 24"),
            ("work_days", days, bool(named) and set(named) <= set(WEEKDAYS), "names days such as Mon Tue"),
            ("people", people, _whole(people, 0, 1_000_000), "is a whole number of 0 or more"),
        ]
        wrong = [
            Problem("shifts", row, c, str(v), rule, "mend the row") for c, v, ok, rule in faults if not ok
        ]
        problems += wrong
        if not wrong:
            hours = np.arange((int(end) - int(start) - 1) % HOURS_PER_DAY + 1)
            for day in set(named):
                np.add.at(out, (WEEKDAYS.index(day) * HOURS_PER_DAY + int(start) + hours) % len(out), people)
    if problems:
        raise DataError(problems)
    return out.reshape(DAYS_PER_WEEK, HOURS_PER_DAY)


def _required(people: float) -> str:
    return "1 person is required" if people == 1 else f"{people:g} people are required"


def _whole(value: object, low: int, high: int) -> bool:
    number = pd.to_numeric(pd.Series([value]), errors="coerce").iloc[0]
    return bool(low <= number <= high and number == int(number))


def _day_sets(count: int, most_in_a_row: int | None, whole_weekends: bool) -> list[tuple[int, ...]]:
    """Sets of working days, as many as asked for, none with too many in a row."""
    if most_in_a_row is None:
        sets = {
            tuple(sorted((first + day) % DAYS_PER_WEEK for day in range(count))): first
            for first in reversed(range(DAYS_PER_WEEK))
        }
        found = [tuple((first + day) % DAYS_PER_WEEK for day in range(count)) for first in sets.values()]
    else:
        found = [
            days
            for days in itertools.combinations(range(DAYS_PER_WEEK), count)
            if _longest_run(days) <= most_in_a_row
        ]
    if whole_weekends:
        found = [days for days in found if (_SATURDAY in days) == (_SATURDAY + 1 in days)]
    return sorted(found)


def _longest_run(days: tuple[int, ...]) -> int:
    run = longest = 0
    # Twice round the week, so that a run over its end counts whole.
    for day in range(2 * DAYS_PER_WEEK):
        run = run + 1 if day % DAYS_PER_WEEK in days else 0
        longest = max(longest, run)
    return min(longest, len(days))


def _check_cover(
    need: FloatArray,
    starts: Sequence[int],
    length: int | Sequence[int],
    days_on: int | Sequence[int],
    most_in_a_row: int | None,
    weekend_every: int,
) -> list[tuple[int, int]]:
    """Refuse what is none, all at once; lengths with their working days a week."""
    given = Arguments("cover_shifts")
    remedy = "give people per weekday and hour"
    if need.shape != (DAYS_PER_WEEK, HOURS_PER_DAY):
        given.add("required", f"shape {need.shape}", "is 7 x 24 numbers of 0 or more", remedy)
    else:
        for day, hour in np.argwhere(~(np.isfinite(need) & (need >= 0)))[:1]:
            least = f"{need[day, hour]:g} on {WEEKDAYS[day]} {hour}:00"
            given.add("required", least, "is 0 or more in every hour", remedy)
    lengths = np.atleast_1d(np.asarray(length, dtype=object)).tolist()
    counts = np.atleast_1d(np.asarray(days_on, dtype=object)).tolist()
    counts = counts * len(lengths) if np.ndim(days_on) == 0 else counts
    for name, values, low, high, rule in (
        ("starts", list(starts), 0, HOURS_PER_DAY - 1, "is a whole hour from 0 to 23"),
        ("length", lengths, 1, HOURS_PER_DAY, "is a whole number of hours from 1 to 24"),
        ("days_on", counts, 1, DAYS_PER_WEEK, "is a whole number of days from 1 to 7"),
        ("weekend_every", [weekend_every], 1, 52, "is a whole number of weeks from 1 to 52"),
        (
            "most_in_a_row",
            [] if most_in_a_row is None else [most_in_a_row],
            1,
            DAYS_PER_WEEK,
            "is a whole number of days from 1 to 7",
        ),
    ):
        for value in values:
            if not _whole(value, low, high):
                given.add(name, value, rule, "give such a value")
    if not len(starts) or not lengths:
        given.add("starts", starts, "is not empty", "give hours at which a shift may begin")
    if len(counts) != len(lengths):
        given.add("days_on", counts, f"has an entry for each of {len(lengths)} lengths", "give as many")
    given.refuse()
    return [(int(hours), int(count)) for hours, count in zip(lengths, counts, strict=True)]
