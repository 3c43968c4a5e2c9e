"""The shifts of a week, the time off between them, and the calls in both."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing.answers import week_of_calls
from spareplan.staffing.duty import Duty

FloatArray = NDArray[np.float64]
# Steps of the clock in which calls stay as they are, on shift and off. [hours]
_SLOT, _OFF_SLOT = 0.5, 1.0


class Shift(NamedTuple):
    """One shift and the time off after it: calls per slot against the mean."""

    calls: FloatArray
    off_calls: FloatArray
    off: float


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


def from_shift_start(duty: Duty, profile: FloatArray | None) -> tuple[Duty, FloatArray | None]:
    """Set the clock to 0 where a shift begins that ends on the next day, so that it lies within one day.

    Parameters
    ----------
    duty : Duty
        Its start a whole hour.
    profile : ndarray, shape (24,) or (7, 24), optional

    Returns
    -------
    duty : Duty
    profile : ndarray or None
        By the new clock; as given where the shift ends on the day it began.
    """
    if duty.end > duty.start:
        return duty, profile
    moved = None if profile is None else np.roll(profile.reshape(-1), -int(duty.start)).reshape(profile.shape)
    return replace(duty, start=0.0, end=shift_hours(duty)), moved


def shift_cycle(duty: Duty, length: float, profile: ArrayLike | None) -> list[Shift]:
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
        parts = max(round(off / _OFF_SLOT), 1)
        out.append(
            Shift(
                _calls_at(week, start + (np.arange(slots) + 0.5) * length / slots),
                _calls_at(week, start + length + (np.arange(parts) + 0.5) * off / parts),
                off,
            )
        )
    return out


def at_edges(calls: FloatArray, step: float) -> FloatArray:
    """Calls of the slots, half at each end of a slot, shape (slots + 1,)."""
    half = 0.5 * step * np.asarray(calls)
    return np.append(half, 0.0) + np.append(0.0, half)


def _calls_at(week: FloatArray, moments: FloatArray) -> FloatArray:
    return week.reshape(-1)[np.floor(moments).astype(int) % week.size]
