"""Promises, covered hours and the national desk, from tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY, MINUTES_PER_HOUR
from spareplan.staffing.queues import erlang_b
from spareplan.staffing.sizing import Promises
from spareplan.staffing.visits import PRIORITIES, note
from spareplan.staffing.waits import delayed_tail

FloatArray = NDArray[np.float64]
# The promise where no table gives one: hours to respond and to resolve, share kept, what responds.
USUAL_PROMISES = pd.DataFrame(
    {
        "priority": list(PRIORITIES),
        "respond_hours": [20 / MINUTES_PER_HOUR, 1.0, 8.0, 24.0],
        "resolve_hours": [8.0, 48.0, 168.0, 336.0],
        "target": [0.95] * 4,
        "response_mode": ["desk", "desk", "dispatch", "dispatch"],
        "clock": ["calendar"] * 4,
    }
)


def read_promises(
    table: pd.DataFrame, options: StaffingOptions
) -> tuple[Promises, NDArray[np.bool_], FloatArray, list[dict[str, Any]]]:
    """Promises per class in hours of the covered clock.

    Parameters
    ----------
    table : DataFrame
        Columns of the input table promises; empty: the usual ones.
    options : StaffingOptions

    Returns
    -------
    promises : Promises
        Of the field, P1..P4; classes answered by the desk have no field response.
    desk : ndarray of bool, shape (4,)
        Classes whose response is an answer of the desk.
    desk_limits : ndarray, shape (4,)
        [hours]
    notes : list of dict
        What was assumed, a row of an assumptions table each.
    """
    notes = []
    given = table
    if table.empty:
        given = USUAL_PROMISES
        notes.append(
            note(
                "promises",
                "P1 to P4",
                "",
                "default",
                "no promises given: 20 min, 1 h, 8 h, 24 h to respond; 8 h, 48 h, 7 d, 14 d to resolve; 95 %",
            )
        )
    rows = given.set_index("priority").reindex(list(PRIORITIES))
    for priority in rows.index[rows["respond_hours"].isna()]:
        notes.append(
            note(
                f"promise_{priority}",
                "none",
                "",
                "data: promises",
                f"{priority} has no promise: its orders are work, but nothing is kept or broken",
            )
        )
    mode = rows["response_mode"] if "response_mode" in rows else pd.Series(np.nan, index=rows.index)
    unsaid = mode.isna() & rows["respond_hours"].notna()
    if unsaid.any():
        notes.append(
            note(
                "response_mode",
                "dispatch",
                "",
                "default",
                f"what counts as a response of {', '.join(rows.index[unsaid])} is not said",
            )
        )
    mode = mode.fillna("dispatch")
    target = rows["target"].fillna(0.95).to_numpy(dtype=float) if "target" in rows else np.full(4, 0.95)
    working = (rows["clock"] == "working").to_numpy() if "clock" in rows else np.zeros(4, dtype=bool)
    respond = _covered(rows["respond_hours"].to_numpy(dtype=float), working, options)
    resolve = _covered(rows["resolve_hours"].to_numpy(dtype=float), working, options)
    desk = (mode == "desk").to_numpy() & ~np.isnan(respond)
    promises = Promises(np.where(desk, np.nan, respond), resolve, target, (mode == "arrival").to_numpy())
    return promises, desk, rows["respond_hours"].to_numpy(dtype=float), notes


def coverage_hours(days: FloatArray, options: StaffingOptions) -> FloatArray:
    """Hours of a month in which orders are served [hours]."""
    return days * options.coverage_hours_per_week / DAYS_PER_WEEK


def duty_share(options: StaffingOptions) -> float:
    """Part of the covered hours that one engineer is on shift or on call."""
    reach = min(options.paid_hours_per_week + options.on_call_hours_per_week, options.coverage_hours_per_week)
    return reach * (1.0 - options.absence_share) / options.coverage_hours_per_week


def size_desk(
    rates: FloatArray,
    profile: FloatArray,
    limits: FloatArray,
    targets: FloatArray,
    desk: NDArray[np.bool_],
    options: StaffingOptions,
) -> tuple[int, FloatArray]:
    """Least people at the national desk round the clock that answer every desk class in time.

    Parameters
    ----------
    rates : ndarray, shape (M, K)
        Calls per hour and month, all regions. [1/hour]
    profile : ndarray, shape (24,)
        Calls per hour of the day against the mean.
    limits, targets : ndarray, shape (K,)
        [hours, share]
    desk : ndarray of bool, shape (K,)
        Classes with a desk response.
    options : StaffingOptions

    Returns
    -------
    people : int
        On duty at every hour; 0 without desk classes.
    kept : ndarray, shape (M, K)
        Share answered in time; NaN for classes without.
    """
    kept = np.full(rates.shape, np.nan)
    if not desk.any() or rates.sum() <= 0:
        return 0, kept
    # Calls last minutes, so every hour of the day is in its own steady state.
    hourly = rates[:, None, :] * profile[None, :, None]
    work = np.cumsum(hourly, axis=2) * options.desk_minutes / MINUTES_PER_HOUR
    weight = profile / profile.sum()
    people = int(np.floor(work[..., -1].max())) + 1
    while True:
        sigma = work / people
        above = np.concatenate([np.zeros_like(sigma[..., :1]), sigma[..., :-1]], axis=2)
        blocked = erlang_b(work[..., -1], people)
        delay = blocked / (1.0 - sigma[..., -1] * (1.0 - blocked))
        capacity = people * MINUTES_PER_HOUR / options.desk_minutes
        tail = delay[..., None] * delayed_tail(above, sigma, capacity, np.nan_to_num(limits))
        kept = 1.0 - np.einsum("mhk,h->mk", tail, weight)
        if (kept >= targets)[:, desk].all():
            return people, np.where(desk, kept, np.nan)
        people += 1


def _covered(limit: FloatArray, working: NDArray[np.bool_], options: StaffingOptions) -> FloatArray:
    """Turn limits of the calendar or the working clock into hours in which orders are served."""
    per_week = HOURS_PER_DAY * DAYS_PER_WEEK
    long = limit >= HOURS_PER_DAY
    calendar = np.where(long, limit * options.coverage_hours_per_week / per_week, limit)
    in_week = np.where(
        limit >= 8.0, limit * options.coverage_hours_per_week / options.paid_hours_per_week, limit
    )
    return np.where(working, in_week, calendar)
