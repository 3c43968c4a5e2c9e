"""Promises and covered hours, from tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY, MINUTES_PER_HOUR
from spareplan.staffing.sizing import Promises
from spareplan.staffing.visits import PRIORITIES, note

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
    """Part of the covered hours that one engineer is on shift or on call.

    Round the clock on-call hours count like paid ones, for all classes (`night.on_call_note` says how much
    that is); with shifts, `night.shift_share` fills them by paid hours only.
    """
    reach = min(options.paid_hours_per_week + options.on_call_hours_per_week, options.coverage_hours_per_week)
    return reach * (1.0 - options.absence_share) / options.coverage_hours_per_week


def _covered(limit: FloatArray, working: NDArray[np.bool_], options: StaffingOptions) -> FloatArray:
    """Turn limits of the calendar or the working clock into hours in which orders are served."""
    per_week = HOURS_PER_DAY * DAYS_PER_WEEK
    long = limit >= HOURS_PER_DAY
    calendar = np.where(long, limit * options.coverage_hours_per_week / per_week, limit)
    in_week = np.where(
        limit >= 8.0, limit * options.coverage_hours_per_week / options.paid_hours_per_week, limit
    )
    return np.where(working, in_week, calendar)
