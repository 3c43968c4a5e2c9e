"""The national desk: calls by weekday and hour, people who answer them in time, shifts and heads for them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.config import StaffingOptions
from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_MONTH, DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing._arguments import Arguments
from spareplan.staffing.answers import answered_share, desk_people, hourly_people, week_of_calls
from spareplan.staffing.queues import positions_needed
from spareplan.staffing.shifts import WEEKDAYS, ShiftPlan, cover_shifts, on_duty

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# The desk of the first example answers calls from 8:00 to 22:00, on Saturday and Sunday 40 % of a weekday's.
_EXAMPLE_DAY = np.array([0] * 8 + [4, 6, 9, 9, 6, 6, 9, 8, 6, 5, 5, 4, 3, 2, 0, 0], dtype=float)
_EXAMPLE_WEEKEND = 0.4
_EXAMPLE_MINUTES = 20.0
_EXAMPLE_COLUMNS: list[str] = [
    "plan",
    "shifts",
    "days",
    "required",
    "people",
    "bound",
    "heads",
    "answered_in_time",
    "lost_after_19",
    "lost",
]
DESK_COLUMNS = ["weekday", "hour", "calls_per_hour", "required", "people", "answered_in_time"]
SHIFT_COLUMNS = ["place", "start", "end", "days", "people"]


class DeskPlan(NamedTuple):
    """Result of `plan_desk`.

    Parameters
    ----------
    desk : DataFrame
        A row per weekday (0 Monday) and hour of the fullest month: calls_per_hour [1/hour], required (people
        the promises need), people (on duty by the shifts), answered_in_time (share; NaN without calls).
    shifts : DataFrame
        place ("desk"), start, end [hour of the day], days (such as "Mon Tue"), people.
    kept : ndarray, shape (M, K)
        Share answered in time per month and class; NaN without a desk promise or calls.
    people : int
        Who work the shifts; 0 without desk classes.
    bound : float
        No plan of the allowed shifts needs fewer. [people]
    heads : int
        To employ, so that leave and illness still leave the people. [people]
    """

    desk: pd.DataFrame
    shifts: pd.DataFrame
    kept: FloatArray
    people: int
    bound: float
    heads: int


def desk_calls(orders: FloatArray, options: StaffingOptions) -> FloatArray:
    """Calls at the desk behind the orders of the field.

    Parameters
    ----------
    orders : ndarray, shape (..., 4)
        P1 to P4 that need a visit.
    options : StaffingOptions
        `desk_fix_by_priority`, else `desk_fix_share`: what the desk solves without a visit.

    Returns
    -------
    ndarray, shape (..., 4)
    """
    return orders / (1.0 - fixed_at_desk(options))


def fixed_at_desk(options: StaffingOptions) -> FloatArray:
    """Share of the orders of P1 to P4 that the desk solves without a visit, shape (4,).

    Raises
    ------
    DataError
        `desk_fix_by_priority` has another length, or a share is not from 0 to below 1.
    """
    given = options.desk_fix_by_priority
    if not len(given):
        return np.full(4, options.desk_fix_share)
    shares = np.asarray(given, dtype=float)
    if shares.shape != (4,) or not ((shares >= 0) & (shares < 1)).all():
        raise problem_in_argument(
            "StaffingOptions",
            "desk_fix_by_priority",
            given,
            "is empty, or four shares from 0 to below 1",
            "give P1 to P4",
        )
    return shares


def plan_desk(
    rates: FloatArray,
    profile: ArrayLike,
    limits: FloatArray,
    targets: FloatArray,
    desk: NDArray[np.bool_],
    options: StaffingOptions,
) -> DeskPlan:
    """People at the national desk by weekday and hour, their shifts, and heads to employ.

    Parameters
    ----------
    rates : ndarray, shape (M, K)
        Calls per hour and month, all regions, the mean of the week. [1/hour]
    profile : array-like, shape (7, 24) or (24,)
        Calls per hour of the week against the mean.
    limits, targets : ndarray, shape (K,)
        [hours, share]
    desk : ndarray of bool, shape (K,)
        Classes whose response is an answer of the desk; the others are answered too, after them if less
        urgent.
    options : StaffingOptions
        desk_minutes, desk_patience_minutes, desk_hours, desk_days_a_week, desk_shift_hours, desk_days_on,
        desk_shift_starts, absence_share.

    Returns
    -------
    DeskPlan
        Sized for the fullest month. Hours outside the desk's own need nobody, and their calls are not
        answered in time.

    Raises
    ------
    DataError
        Hours of the desk or of its shifts are none, or the profile has no calls.

    Notes
    -----
    Calls last minutes, so every hour is in its own steady state.
    """
    months, classes = rates.shape
    week = week_of_calls("plan_desk", profile) * DAYS_PER_WEEK * HOURS_PER_DAY
    limit = np.where(desk, limits, np.nan)
    if not desk.any() or rates.sum() <= 0:
        empty = np.full((months, classes), np.nan)
        return DeskPlan(
            pd.DataFrame(columns=DESK_COLUMNS), pd.DataFrame(columns=SHIFT_COLUMNS), empty, 0, 0.0, 0
        )
    open_ = desk_open(options)
    fullest = rates[int(rates.sum(axis=1).argmax())]
    flat = week.reshape(-1)
    hourly = fullest[None, :] * flat[:, None]
    how = (limit, options.desk_minutes, options.desk_patience_minutes)
    need = hourly_people(hourly, limit, targets, *how[1:])
    need = np.where(open_, need.reshape(week.shape), 0)
    starts = options.desk_shift_starts or tuple(range(HOURS_PER_DAY))
    cover = cover_shifts(need, starts, options.desk_shift_hours, options.desk_days_on)
    people = cover.cover["on_duty"].to_numpy()
    # Nobody answers while the desk is closed, also where a shift is longer than its hours.
    people = np.where(open_.reshape(-1), people, 0.0)
    share = answered_share(hourly, people, *how)
    table = desk_table(week, fullest, need, people, share, desk)
    kept = np.full((months, classes), np.nan)
    for month in range(months):
        part = answered_share(rates[month] * flat[:, None], people, *how)
        kept[month] = np.where(rates[month] > 0, flat @ part / flat.sum(), np.nan)
    heads = int(positions_needed(np.array(cover.people), options.absence_share))
    return DeskPlan(table, shift_rows("desk", cover), kept, cover.people, cover.bound, heads)


def desk_table(
    week: FloatArray,
    rates: FloatArray,
    need: NDArray[np.int64],
    people: FloatArray,
    share: FloatArray,
    desk: NDArray[np.bool_],
) -> pd.DataFrame:
    """Rows by weekday and hour (`DeskPlan.desk`)."""
    hours = np.arange(week.size)
    mine = np.where(desk, rates, 0.0)
    in_time = np.nan_to_num(share) @ mine / mine.sum()
    return pd.DataFrame(
        {
            "weekday": hours // HOURS_PER_DAY,
            "hour": hours % HOURS_PER_DAY,
            "calls_per_hour": rates.sum() * week.reshape(-1),
            "required": need.reshape(-1).astype(np.int64),
            "people": people.astype(np.int64),
            "answered_in_time": np.where(week.reshape(-1) > 0, in_time, np.nan),
        }
    )


def shift_rows(place: str, plan: ShiftPlan) -> pd.DataFrame:
    """Shifts of a place: place, start, end [hour of the day], days, people."""
    rows = plan.shifts.rename(columns={"work_days": "days"}).assign(place=place)
    return rows[SHIFT_COLUMNS].sort_values(["start", "end", "days"], ignore_index=True)


def desk_open(options: StaffingOptions) -> NDArray[np.bool_]:
    """Hours of the week in which the desk answers, shape (7, 24).

    Raises
    ------
    DataError
        `desk_hours` is not two hours of a day.
    """
    hours = options.desk_hours
    if len(hours) != 2 or not (0 <= hours[0] < HOURS_PER_DAY and 0 < hours[1] <= HOURS_PER_DAY):
        raise problem_in_argument(
            "StaffingOptions",
            "desk_hours",
            hours,
            "is a start from 0 to 23 and an end from 1 to 24",
            "give hours; an end before the start is on the next day",
        )
    length = int((hours[1] - hours[0] - 1) % HOURS_PER_DAY + 1)
    out = np.zeros(DAYS_PER_WEEK * HOURS_PER_DAY, dtype=bool)
    for day in range(options.desk_days_a_week):
        out[(day * HOURS_PER_DAY + hours[0] + np.arange(length)) % len(out)] = True
    return out.reshape(DAYS_PER_WEEK, HOURS_PER_DAY)


def check_manned(calls: ArrayLike, shifts: pd.DataFrame) -> FloatArray:
    """Refuse shifts that nobody works though calls come.

    Parameters
    ----------
    calls : array-like, shape (7, 24)
        Calls per hour.
    shifts : DataFrame
        start, end, work_days, people, as `ShiftPlan.shifts`.

    Returns
    -------
    ndarray, shape (7, 24)
        People on duty.

    Raises
    ------
    DataError
        A shift of zero people has calls that no other shift answers; rows that are none.
    """
    people = on_duty(shifts)
    rate = np.asarray(calls, dtype=float)
    problems = Arguments("shifts")
    for row, shift in enumerate(shifts.to_dict("records"), start=2):
        if shift["people"] > 0:
            continue
        lost = float(rate[(on_duty(pd.DataFrame([{**shift, "people": 1}])) > 0) & (people <= 0)].sum())
        if lost > 0:
            problems.add(
                f"people, row {row}",
                0,
                f"is above 0 where calls come: {lost:.3g} a week from {shift['start']} to {shift['end']}",
                "give the shift people, or leave it out",
            )
    problems.refuse()
    return people


def first_example(cases_per_month: float = 450.0, absence_share: float = 0.12) -> pd.DataFrame:
    """A desk that goes from two day shifts to three with weekend duty.

    Parameters
    ----------
    cases_per_month : float
    absence_share : float
        Share of the paid time away.

    Returns
    -------
    DataFrame
        plan, shifts, days, required (people hours a week that the calls need), people (least that cover what
        the plan can), bound, heads (with absence), answered_in_time (share of all cases),
        lost_after_19 (share of the cases after 19:00 that find nobody), lost (of all cases).

    Notes
    -----
    Cases last 20 minutes, come from 8:00 to 22:00 with peaks at 10 to 12 and 14 to 16, on Saturday and Sunday
    40 % of a weekday's, and are answered in 20 minutes for 95 %. Each plan has the least people that cover
    the hours it can cover at all.
    """
    day = np.outer([1.0] * 5 + [_EXAMPLE_WEEKEND] * 2, _EXAMPLE_DAY)
    per_week = cases_per_month / DAYS_PER_MONTH * DAYS_PER_WEEK
    calls = per_week * week_of_calls("first_example", day)
    need = desk_people(per_week, _EXAMPLE_MINUTES, 20.0, 0.95, day)
    late = np.arange(HOURS_PER_DAY) >= 19
    rows = []
    for name, starts, length, days in (
        ("two shifts", (9, 11), 8, 5),
        ("three shifts", (8, 11, 14), 8, 5),
        ("three shifts and weekend", (8, 11, 14), 8, 7),
        ("any shifts", tuple(range(6, 15)), 8, 7),
    ):
        covered = np.zeros(need.shape, dtype=bool)
        for start in starts:
            covered[:days, start : start + length] = True
        cover = cover_shifts(np.where(covered, need, 0), starts, length)
        people = np.where(covered, cover.cover["on_duty"].to_numpy().reshape(need.shape), 0.0)
        share = answered_share(
            calls.reshape(-1, 1), people.reshape(-1), np.array([1 / 3]), _EXAMPLE_MINUTES
        ).reshape(need.shape)
        nobody = np.where(people > 0, 0.0, calls)
        rows.append(
            (
                name,
                ", ".join(f"{start}-{start + length}" for start in starts),
                " ".join((WEEKDAYS[0], "to", WEEKDAYS[days - 1])),
                int(np.where(covered, need, 0).sum()),
                cover.people,
                cover.bound,
                int(positions_needed(np.array(cover.people), absence_share)),
                float((calls * share).sum() / calls.sum()),
                float(nobody[:, late].sum() / calls[:, late].sum()),
                float(nobody.sum() / calls.sum()),
            )
        )
    return pd.DataFrame(rows, columns=_EXAMPLE_COLUMNS)
