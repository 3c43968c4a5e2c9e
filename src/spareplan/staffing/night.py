"""Nights and weekends: who is served beyond the shift, who waits for it, and what people that takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY, MINUTES_PER_HOUR
from spareplan.staffing.answers import week_of_calls
from spareplan.staffing.duty import Duty
from spareplan.staffing.field import USUAL_PROMISES, coverage_hours, duty_share
from spareplan.staffing.shift_cycle import check_duty, shift_hours
from spareplan.staffing.sizing import Promises
from spareplan.staffing.visits import PRIORITIES, note
from spareplan.staffing.words import promised, share_against

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
WEEK_HOURS = float(HOURS_PER_DAY * DAYS_PER_WEEK)
# Office hours begin at nine where only the promises speak of working hours.
_OFFICE_START, _OFFICE_DAYS = 9.0, 5
# Orders of an hour are looked at at so many moments.
_MOMENTS = 6
NIGHT_COLUMNS = [
    "priority",
    "served",
    "clock",
    "respond_hours",
    "off_shift_share",
    "mean_hours_to_shift",
    "longest_hours_to_shift",
    "best_share",
    "target",
    "reason",
]


def duty_of(
    options: StaffingOptions, promises: pd.DataFrame | None = None
) -> tuple[Duty, list[dict[str, Any]]]:
    """When engineers are on duty, and what was assumed.

    Parameters
    ----------
    options : StaffingOptions
        shift_start, shift_end, work_days, on_call_people, called_out.
    promises : DataFrame, optional
        Columns of the input table promises. Where the options leave the clock round but some promises count
        working hours, engineers work office hours: the paid hours over five days from nine, and all classes
        above the first of them are called out.

    Returns
    -------
    duty : Duty
    notes : list of dict
        Rows of an assumptions table.

    Raises
    ------
    DataError
        Hours or days are none.
    """
    crew = None if options.on_call_people < 0 else options.on_call_people
    duty = Duty(
        float(options.shift_start),
        float(options.shift_end),
        options.work_days,
        crew,
        options.called_out,
    )
    check_duty(duty, len(PRIORITIES))
    if not duty.round_the_clock or promises is None or "clock" not in promises:
        return duty, []
    clocks = promises.set_index("priority")["clock"].reindex(list(PRIORITIES))
    working = (clocks == "working").to_numpy()
    if not working.any():
        return duty, []
    length = min(options.paid_hours_per_week / _OFFICE_DAYS, HOURS_PER_DAY)
    called = int(working.argmax())
    end = _OFFICE_START + length
    end = end - HOURS_PER_DAY if end > HOURS_PER_DAY else end
    duty = Duty(_OFFICE_START, end, _OFFICE_DAYS, crew, called)
    out = f"{', '.join(PRIORITIES[:called])} called out beyond them" if called else "nobody called out beyond"
    told = note(
        "duty",
        f"{duty.start:g}:00 to {duty.end:g}:00, Monday to Friday",
        "",
        "data: promises.clock",
        f"promises of {', '.join(clocks.index[working])} count working hours: the paid hours, {out}",
    )
    return duty, [told]


def shift_promises(table: pd.DataFrame, promises: Promises, duty: Duty) -> tuple[Promises, BoolArray]:
    """Promises in the hours they are written in, and which of them count hours of the shift.

    Parameters
    ----------
    table : DataFrame
        Columns of the input table promises; empty: the usual ones.
    promises : Promises
        As of `field.read_promises`: desk classes have no field response.
    duty : Duty

    Returns
    -------
    promises : Promises
        Limits in hours of their own clock, not spread over covered hours.
    on_shift : ndarray of bool, shape (4,)
        Classes with the working clock.
    """
    given = USUAL_PROMISES if table.empty else table
    rows = given.set_index("priority").reindex(list(PRIORITIES))
    on_shift = np.zeros(len(PRIORITIES), dtype=bool)
    if "clock" in rows:
        on_shift = (rows["clock"] == "working").to_numpy()
    if duty.round_the_clock:
        on_shift = np.zeros_like(on_shift)
    respond = np.where(np.isnan(promises.respond), np.nan, rows["respond_hours"].to_numpy(dtype=float))
    resolve = promises.resolve
    if "resolve_hours" in rows:
        resolve = rows["resolve_hours"].to_numpy(dtype=float)
    return Promises(respond, resolve, promises.target, promises.arrival), on_shift


def people_for_duty(servers: ArrayLike, duty: Duty, options: StaffingOptions) -> FloatArray:
    """People whose hours fill a duty with so many engineers on shift at a time.

    Parameters
    ----------
    servers : array-like, shape (n,)
        On shift, or at every hour round the clock.
    duty : Duty
    options : StaffingOptions
        paid_hours_per_week, on_call_hours_per_week, absence_share.

    Returns
    -------
    ndarray, shape (n,)
        Shifts are filled by paid hours only; the time off by on-call hours of those who can be called out.
        The larger of both. Hours worked on call come on top of the paid ones.
    """
    count = np.asarray(servers, dtype=float)
    there = 1.0 - options.absence_share
    on_shift = shift_hours(duty) * duty.days_a_week
    paid = count * max(on_shift / options.paid_hours_per_week, 1.0) / there
    crew = count if duty.on_call is None else np.minimum(count, duty.on_call)
    off = crew * (WEEK_HOURS - on_shift) if duty.called_out else 0.0 * count
    spare = options.on_call_hours_per_week * there
    with np.errstate(divide="ignore", invalid="ignore"):
        called = np.where(off > 1e-9, off / spare if spare > 0 else np.inf, 0.0)
    return np.maximum(paid, called)


def shift_share(duty: Duty, options: StaffingOptions) -> float:
    """Engineers on shift at a time per person employed (inverse of `people_for_duty`)."""
    need = float(people_for_duty(np.ones(1), duty, options)[0])
    return 0.0 if np.isinf(need) else 1.0 / need


def served_hours(days: FloatArray, duty: Duty, options: StaffingOptions) -> FloatArray:
    """Hours of months to which the rates of orders refer: with shifts all of them, else the covered ones."""
    return days * HOURS_PER_DAY if not duty.round_the_clock else coverage_hours(days, options)


def duty_people(servers: ArrayLike, duty: Duty, options: StaffingOptions) -> FloatArray:
    """People behind so many engineers on duty: `people_for_duty`, round the clock with on-call hours."""
    if duty.round_the_clock:
        return np.asarray(servers, dtype=float) / duty_share(options)
    return people_for_duty(servers, duty, options)


def on_duty(people: ArrayLike, duty: Duty, options: StaffingOptions) -> FloatArray:
    """Engineers on duty at a time that so many people make: the inverse of `duty_people`.

    Parameters
    ----------
    people : array-like, shape (n,)
    duty : Duty
    options : StaffingOptions

    Returns
    -------
    ndarray, shape (n,)
        Parts of an engineer mean that now and then there is one more.
    """
    count = np.asarray(people, dtype=float)
    if duty.round_the_clock:
        return count * duty_share(options)
    if duty.on_call is None or not duty.called_out:
        return count * shift_share(duty, options)
    nobody = replace(duty, on_call=0)
    by_shift = count / people_for_duty(np.ones(1), nobody, options)[0]
    crew = people_for_duty(np.full(1, float(duty.on_call)), duty, options)[0]
    # Fewer than the crew that can be called out need share its nights.
    by_call = np.where(count >= crew, np.inf, count * duty.on_call / crew) if crew > 0 else np.inf
    return np.minimum(by_shift, by_call)


def duty_words(duty: Duty) -> str:
    """When engineers are on duty, for a sentence."""
    if duty.round_the_clock:
        return "round the clock"
    days = "every day" if duty.days_a_week == DAYS_PER_WEEK else f"{duty.days_a_week} days a week"
    return f"from {_clock(duty.start)} to {_clock(duty.end)} {days}"


def _clock(hour: float) -> str:
    minutes = round(hour * MINUTES_PER_HOUR)
    return f"{minutes // MINUTES_PER_HOUR}:{minutes % MINUTES_PER_HOUR:02d}"


def on_call_note(duty: Duty, options: StaffingOptions) -> list[dict[str, Any]]:
    """Say how far a plan round the clock leans on people who are only on call.

    Parameters
    ----------
    duty : Duty
    options : StaffingOptions

    Returns
    -------
    list of dict
        A row of an assumptions table; none with shifts, or without on-call hours.
    """
    paid, spare = options.paid_hours_per_week, options.on_call_hours_per_week
    counted = min(paid + spare, options.coverage_hours_per_week) - min(paid, options.coverage_hours_per_week)
    if not duty.round_the_clock or counted <= 0:
        return []
    called = ", ".join(PRIORITIES[: options.called_out])
    told = (
        f"part of an engineer's hours of service that is on call: all classes count as served in them; with "
        f"shift_start and shift_end only {called or 'no class'} would be"
    )
    return [note("on_call_service", f"{counted / (paid + counted):.0%}", "share", "default", told)]


def hours_to_shift(duty: Duty, moments: ArrayLike) -> FloatArray:
    """Hours from moments of the week until somebody is on shift.

    Parameters
    ----------
    duty : Duty
    moments : array-like, shape (n,)
        Hours since Monday 0:00.

    Returns
    -------
    ndarray, shape (n,)
        0 on shift.
    """
    at = np.asarray(moments, dtype=float) % WEEK_HOURS
    length = shift_hours(duty)
    begins = float(duty.start) + HOURS_PER_DAY * np.arange(duty.days_a_week)
    since = (at[:, None] - begins) % WEEK_HOURS
    until = ((begins - at[:, None]) % WEEK_HOURS).min(axis=1)
    return np.where((since < length).any(axis=1), 0.0, until)


def night_table(
    promises: Promises, on_shift: BoolArray, duty: Duty, profile: ArrayLike | None = None
) -> pd.DataFrame:
    """What nights and free days mean for each class, whatever the number of engineers.

    Parameters
    ----------
    promises : Promises
        As of `shift_promises`.
    on_shift : ndarray of bool, shape (4,)
    duty : Duty
    profile : array-like, shape (24,) or (7, 24), optional
        Calls per hour against the mean; None: even.

    Returns
    -------
    DataFrame
        A row per class: priority, served ("any hour", "on shift"), clock, respond_hours, off_shift_share (of
        its orders that come beyond the shift), mean_hours_to_shift (of those), longest_hours_to_shift,
        best_share (answered in time if a shift were never short of engineers), target, reason.

    Notes
    -----
    On the working clock an order of the night is answered in time if one of the morning is. On the calendar
    clock the hours until the shift count: an 8 h promise cannot be kept for who calls 9 h before it.
    """
    check_duty(duty, len(promises.respond))
    week = np.ones((DAYS_PER_WEEK, HOURS_PER_DAY)) if profile is None else np.asarray(profile, dtype=float)
    calls = np.repeat(week_of_calls("night_table", week).reshape(-1), _MOMENTS) / _MOMENTS
    moments = (np.arange(len(calls)) + 0.5) / _MOMENTS
    until = np.zeros(len(calls)) if duty.round_the_clock else hours_to_shift(duty, moments)
    off = until > 0
    share_off = float(calls[off].sum())
    mean = float(calls[off] @ until[off] / share_off) if share_off > 0 else 0.0
    rows = []
    somebody = duty.on_call is None or duty.on_call > 0
    for k, limit in enumerate(promises.respond):
        out = duty.round_the_clock or (k < duty.called_out and somebody)
        counts = bool(on_shift[k])
        best = 1.0 if out or counts else float(calls[until <= limit].sum())
        if np.isnan(limit):
            best = np.nan
        rows.append(
            (
                PRIORITIES[k],
                "any hour" if out else "on shift",
                "working" if counts else "calendar",
                limit,
                share_off,
                0.0 if out else mean,
                0.0 if out else float(until.max()),
                best,
                float(promises.target[k]),
                _night_reason(out, counts, limit, share_off, mean, best, float(promises.target[k])),
            )
        )
    return pd.DataFrame(rows, columns=NIGHT_COLUMNS)


def _night_reason(
    out: bool, counts: bool, limit: float, share_off: float, mean: float, best: float, target: float
) -> str:
    beyond = f"{share_off:.0%} of the orders come beyond the shift"
    if np.isnan(limit):
        return f"{beyond}; no promised response of the field"
    if out:
        return f"{beyond} and are served at once" if share_off > 0 else "served round the clock"
    wait = f"{beyond} and wait {mean:.1f} h for it"
    if counts:
        return f"{wait}, which does not count"
    if best < target:
        told = share_against(best, target, 1)
        most = f"at most {told} are answered within {limit:g} h, promised {promised(target)}"
        return f"{wait}: {most}; no engineer cures it without a longer shift"
    return f"{wait}; {best:.1%} can be answered within {limit:g} h"
