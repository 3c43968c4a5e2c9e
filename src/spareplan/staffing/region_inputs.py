"""Check the orders and the crew of a simulated region; every fault is named at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing._arguments import plain_number
from spareplan.staffing.calls import LAWS

SKILLS = ("junior", "senior", "expert")
_CREW = "give the engineers on duty; size_regions tells how many the promises ask for"
MODES = ("dispatch", "arrival")
ORDER_COLUMNS: dict[str, Any] = {
    "work_scv": 1.0,
    "respond_hours": np.nan,
    "resolve_hours": np.nan,
    "target": 0.95,
    "response_mode": "dispatch",
    "missing_share": 0.0,
    "known_share": 0.0,
    "parts_hours": 0.0,
    "parts_scv": 1.0,
    "diagnose_hours": 1.0,
    "again_share": 0.0,
    "junior": np.nan,
    "senior": np.nan,
    "expert": np.nan,
}
CREW_COLUMNS: dict[str, Any] = {
    "count": 1,
    "skill": "expert",
    "efficiency": 1.0,
    "shift_start": 0.0,
    "shift_end": np.nan,
    "days_a_week": DAYS_PER_WEEK,
    "on_call": False,
    "east": np.nan,
    "north": np.nan,
}
# Column, least, largest, whether the largest itself is refused, may be unknown.
_BOUNDS = (
    ("orders_per_day", 0.0, np.inf, True, False),
    ("work_hours", 0.0, np.inf, True, False),
    ("work_scv", 0.0, np.inf, True, False),
    ("respond_hours", 0.0, np.inf, False, True),
    ("resolve_hours", 0.0, np.inf, False, True),
    ("target", 0.0, 1.0, False, False),
    ("missing_share", 0.0, 1.0, False, False),
    ("known_share", 0.0, 1.0, False, False),
    ("again_share", 0.0, 1.0, True, False),
    ("parts_hours", 0.0, np.inf, True, False),
    ("parts_scv", 0.0, np.inf, True, False),
    ("diagnose_hours", 0.0, np.inf, True, False),
    ("junior", 0.0, 1.0, False, True),
    ("senior", 0.0, 1.0, False, True),
    ("expert", 0.0, 1.0, False, True),
)


def checked_orders(orders: pd.DataFrame) -> pd.DataFrame:
    """Fill in what is not said about a region's orders.

    Parameters
    ----------
    orders : DataFrame
        As in `spareplan.staffing.simulate_region`.

    Returns
    -------
    DataFrame

    Raises
    ------
    DataError
        Every fault, by table, row, column and value.
    """
    problems = [
        Problem("orders", 0, column, "", "is missing", "add the column")
        for column in ("priority", "orders_per_day", "work_hours")
        if column not in orders
    ]
    # Tables of many regions bring their keys along.
    known = {"region_id", "month", "priority", "orders_per_day", "work_hours", *ORDER_COLUMNS}
    problems += [
        Problem("orders", 0, str(column), "", "is no column of orders", f"known: {', '.join(sorted(known))}")
        for column in orders.columns
        if column not in known
    ]
    if not problems and orders.empty:
        problems.append(Problem("orders", 0, "priority", "", "has no row", "give a row per priority"))
    if problems:
        raise DataError(problems)
    out = orders.reset_index(drop=True).copy()
    for column, value in ORDER_COLUMNS.items():
        if column not in out:
            out[column] = value
        elif value == value:
            out[column] = out[column].fillna(value)
    _refuse(
        problems,
        out,
        "priority",
        out["priority"].isna() | out["priority"].duplicated(),
        "stands once, most urgent first",
        "give every priority one row",
    )
    numbers = {}
    for column, least, largest, open_end, unknown in _BOUNDS:
        values = pd.to_numeric(out[column], errors="coerce").to_numpy(float)
        text = pd.isna(values) & out[column].notna().to_numpy()
        good = (values >= least) & ((values < largest) if open_end else (values <= largest))
        good |= unknown & np.isnan(values) & ~text
        rule = f"is {least:g} or more" if largest == np.inf else f"lies from {least:g} to {largest:g}"
        if open_end and largest < np.inf:
            rule = f"lies from {least:g} to below {largest:g}"
        _refuse(problems, out, column, ~good, rule, "give such a value")
        numbers[column] = values
    lost = numbers["missing_share"] + numbers["known_share"]
    _refuse(
        problems,
        out,
        "missing_share",
        lost > 1.0 + 1e-9,
        "is with known_share at most 1",
        "give shares of orders",
    )
    _refuse(
        problems,
        out,
        "response_mode",
        ~out["response_mode"].isin(MODES),
        f"is one of {', '.join(MODES)}",
        "answer desk promises at the desk",
    )
    if not problems and not numbers["orders_per_day"].sum() > 0:
        problems.append(
            Problem("orders", 0, "orders_per_day", "0", "is above 0 for some priority", "give orders")
        )
    if not problems and not (numbers["orders_per_day"] * numbers["work_hours"]).sum() > 0:
        problems.append(
            Problem(
                "orders", 0, "work_hours", "0", "is above 0 for some order", "give the time at the machine"
            )
        )
    if problems:
        raise DataError(problems)
    return out.assign(**numbers)


def checked_crew(engineers: int | pd.DataFrame, cycle: float) -> pd.DataFrame:
    """Lay out a crew, a row per engineer.

    Parameters
    ----------
    engineers : int or DataFrame
        As in `spareplan.staffing.simulate_region`.
    cycle : float
        After which the shifts repeat. [hours]

    Returns
    -------
    DataFrame
        With `level` beside `skill`: 0 junior, 1 senior, 2 expert.

    Raises
    ------
    DataError
        Every fault, by table, row, column and value.
    """
    problems: list[Problem] = []
    # A faulty cycle is told of its own; the shifts are then read as those of a day.
    cycle = float(cycle) if 0 < plain_number(cycle) < np.inf else float(HOURS_PER_DAY)
    if not np.isnan(plain_number(engineers)):
        crew = pd.DataFrame({"count": [engineers]})
    elif isinstance(engineers, pd.DataFrame):
        crew = engineers.reset_index(drop=True).copy()
    else:
        raise DataError(
            [Problem("engineers", 0, "", str(engineers), "is a number or a table", "give the crew")]
        )
    for column in [name for name in crew.columns if name not in CREW_COLUMNS]:
        problems.append(
            Problem(
                "engineers", 0, str(column), "", "is no column of a crew", f"known: {', '.join(CREW_COLUMNS)}"
            )
        )
    for column, value in CREW_COLUMNS.items():
        if column not in crew:
            crew[column] = value
        elif value == value:
            crew[column] = crew[column].fillna(value)
    crew["shift_end"] = crew["shift_end"].fillna(cycle)
    given = {"east", "north"}
    numbers = {
        column: pd.to_numeric(crew[column], errors="coerce").to_numpy(float)
        for column in CREW_COLUMNS
        if column not in ("skill", "on_call")
    }
    for column, values in numbers.items():
        text = np.isnan(values) & crew[column].notna().to_numpy()
        bad = text | (np.isinf(values) if column in given else ~np.isfinite(values))
        _refuse(problems, crew, column, bad, "is a number", "give such a value", "engineers")
    count, days = numbers["count"], numbers["days_a_week"]
    start, end = numbers["shift_start"], numbers["shift_end"]
    _refuse(
        problems,
        crew,
        "count",
        (count < 0) | (count != np.round(count)),
        "is a whole number, 0 or more",
        "give people; a part of one works on fewer days",
        "engineers",
    )
    if not problems and count.sum() < 1:
        problems.append(
            Problem("engineers", 0, "count", "0", "is at least 1: else nobody serves the orders", _CREW)
        )
    _refuse(
        problems,
        crew,
        "skill",
        ~crew["skill"].isin(SKILLS),
        f"is one of {', '.join(SKILLS)}",
        "rename it",
        "engineers",
    )
    _refuse(
        problems,
        crew,
        "efficiency",
        numbers["efficiency"] <= 0,
        "is above 0",
        "give work done per standard hour",
        "engineers",
    )
    on_call = crew["on_call"].isin([True, 1]).to_numpy()
    _refuse(
        problems, crew, "on_call", ~crew["on_call"].isin([True, False]), "is true or false", "say which",
        "engineers",
    )  # fmt: skip
    inside = f"lies within the cycle of {cycle:g} hours"
    _refuse(
        problems, crew, "shift_start", (start < 0) | (start >= cycle), inside, "give the hour", "engineers"
    )
    _refuse(problems, crew, "shift_end", (end < 0) | (end > cycle), inside, "give the hour", "engineers")
    _refuse(
        problems,
        crew,
        "shift_end",
        start == end,
        "is not the start",
        "round the clock is from 0 to the end of the cycle; for nobody drop the row",
        "engineers",
    )
    _refuse(
        problems,
        crew,
        "days_a_week",
        (days < 0) | (days > DAYS_PER_WEEK) | (days != np.round(days)),
        f"is a whole number from 0 to {DAYS_PER_WEEK}",
        "give the days with a shift",
        "engineers",
    )
    _refuse(
        problems,
        crew,
        "days_a_week",
        (days == 0) & ~on_call,
        "is above 0 for who is not on call",
        "a shift without engineers is no row; on_call says who comes without a shift",
        "engineers",
    )
    part = (days > 0) & (days < DAYS_PER_WEEK)
    length = np.where(end > start, end - start, end - start + cycle)
    _refuse(
        problems,
        crew,
        "days_a_week",
        part & ((cycle % HOURS_PER_DAY != 0) | (length > HOURS_PER_DAY)),
        "is 7 for shifts longer than a day or cycles that are no whole days",
        "give each day's shift a row of its own",
        "engineers",
    )
    first_day = (start // HOURS_PER_DAY) % DAYS_PER_WEEK
    weekly = cycle % (HOURS_PER_DAY * DAYS_PER_WEEK) == 0
    _refuse(
        problems,
        crew,
        "shift_start",
        part & weekly & (first_day >= days),
        "lies on a working day",
        "with days_a_week free the shift would never begin: move it or raise days_a_week",
        "engineers",
    )
    if problems:
        raise DataError(problems)
    crew = crew.assign(**numbers, on_call=on_call)
    crew["level"] = pd.Index(SKILLS).get_indexer(pd.Index(crew["skill"]))
    crew["days_a_week"] = crew["days_a_week"].astype(np.int64)
    return crew.loc[crew.index.repeat(count.astype(int))].reset_index(drop=True)


def check_run(
    points: Any,
    area_km2: float,
    days: float,
    warm_up_days: float,
    travel_speed: float,
    circuity: float,
    work_law: str,
    urgent: int,
    profile: Any,
    cycle_hours: float,
) -> None:
    """Check the plain arguments of `spareplan.staffing.simulate_region`.

    Raises
    ------
    DataError
        Every fault, by argument and value.
    """
    problems = []

    def say(name: str, value: Any, good: bool, rule: str, remedy: str) -> None:
        if not good:
            problems.append(Problem("simulate_region", 0, name, str(value), rule, remedy))

    def above(name: str, value: Any, remedy: str) -> None:
        say(name, value, 0 < plain_number(value) < np.inf, "is above 0", remedy)

    above("travel_speed", travel_speed, "give km/hour")
    above("circuity", circuity, "1.3 is usual")
    above("days", days, "simulate some days")
    above("cycle_hours", cycle_hours, "24 a day, 168 a week")
    say("warm_up_days", warm_up_days, 0 <= plain_number(warm_up_days) < np.inf, "is 0 or more", "give days")
    say("area_km2", area_km2, 0 <= plain_number(area_km2) < np.inf, "is 0 or more", "give the area")
    whole = plain_number(urgent) >= 0 and plain_number(urgent) % 1 == 0
    say("urgent", urgent, whole, "is a whole number, 0 or more", "count classes")
    say("work_law", work_law, work_law in LAWS, f"is one of {', '.join(LAWS)}", "rename it")
    if points is not None:
        places = np.asarray(points)
        shaped = places.ndim == 2 and places.shape[1:] == (2,) and len(places) > 0
        say("points", places.shape, shaped, "are some rows of east and north", "give km, or area_km2")
        if shaped:
            say(
                "points",
                "",
                places.dtype.kind in "fiu" and bool(np.isfinite(places.astype(float)).all()),
                "are finite",
                "drop orders without a place",
            )
    if profile is not None:
        hours = np.asarray(profile)
        shapes = ((HOURS_PER_DAY,), (DAYS_PER_WEEK, HOURS_PER_DAY))
        good = hours.shape in shapes and hours.dtype.kind in "fiu"
        say("profile", hours.shape, good, "has 24 hours, or 7 days of them", "give calls per hour")
        if good:
            fine = bool(np.isfinite(hours).all() and (hours >= 0).all() and hours.sum() > 0)
            say("profile", hours.tolist(), fine, "is 0 or more, and not 0 all day", "give calls per hour")
    if problems:
        raise DataError(problems)


def _refuse(
    problems: list[Problem],
    frame: pd.DataFrame,
    column: str,
    bad: Any,
    rule: str,
    remedy: str,
    table: str = "orders",
) -> None:
    for row in np.flatnonzero(np.asarray(bad)):
        problems.append(Problem(table, int(row) + 2, column, str(frame[column].iloc[row]), rule, remedy))
