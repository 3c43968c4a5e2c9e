"""The calendar of inspection visits: which machines are due in which month, and why then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import ForecastOptions
from spareplan.errors import DataError, Problem
from spareplan.forecast.clock import records_begin, region_of_sites
from spareplan.forecast.exposure import successors
from spareplan.forecast.first_year import (
    bend_by_seen,
    failures_of_new_machines,
    hours_by_product,
    seen_in_first_months,
)
from spareplan.forecast.visit_demand import DEMAND_COLUMNS, visit_demand
from spareplan.forecast.visits import FIRST_VISIT, place_schedule, season_factors
from spareplan.forecast.wear import wear_parts
from spareplan.maths.units import month_start, months_after
from spareplan.tables.frames import FIRST_ROW, key_text, require_columns

IntArray = NDArray[np.int64]

SCHEDULE = (1, 3, 6, 12)
CALENDAR_KEYS = ["product_id", "region_id", "site_id", "month", "after_months"]


def plan_visits(
    units: pd.DataFrame,
    sales_plan: pd.DataFrame | None,
    months: int,
    as_of: pd.Timestamp,
    schedule: Sequence[int] | pd.DataFrame = SCHEDULE,
) -> pd.DataFrame:
    """Calendar of inspection visits per product, site and month.

    Parameters
    ----------
    units : DataFrame
        product_id, site_id, commissioned_on [, region_id, retired_on].
    sales_plan : DataFrame, optional
        product_id, site_id, month, units_sold [, region_id]: machines handed over later.
    months : int
        Horizon. [months]
    as_of : Timestamp
        Last day that was known; the months that follow are planned.
    schedule : sequence of int, or DataFrame
        Months after handover of the visits; or a frame with after_months, any of product_id, region_id,
        handover_month (calendar month, 1 to 12) to tell schedules apart, and a reason if there is one.

    Returns
    -------
    DataFrame
        product_id, region_id (if units have it), site_id, month, after_months, visits, reason, and other
        columns of the schedule (per visit); only rows with visits, sorted.

    Raises
    ------
    DataError
        A visit before handover, missing columns, or machines whose product, region and month of handover the
        schedule lacks.

    Notes
    -----
    Retired machines are left out from the month after they left. Machines handed over before follow the
    schedule from now on, whatever visits they had.

    Examples
    --------
    >>> units = pd.DataFrame(
    ...     {"product_id": ["M"], "site_id": ["S"], "commissioned_on": [pd.Timestamp("2025-12-20")]}
    ... )
    >>> plan_visits(units, None, 12, pd.Timestamp("2025-12-31"))["month"].dt.month.tolist()
    [1, 3, 6, 12]
    """
    require_columns(units, ["product_id", "site_id", "commissioned_on"], "units")
    plan = _checked_schedule(schedule)
    horizon = months_after(as_of, months)
    begin = horizon[0].year * 12 + horizon[0].month
    longest = int(plan["after_months"].max()) if len(plan) else 0
    rows = machine_cohorts(units, sales_plan, as_of, begin - longest)
    keys = [name for name in ("product_id", "region_id", "handover_month") if name in plan]
    facts = [name for name in plan if name not in (*keys, "after_months", "reason")]
    rows = rows.assign(handover_month=(rows["number"] - 1) % 12 + 1)
    if keys:
        require_columns(rows, keys, "units")
        due = rows.merge(plan, on=keys, how="left")
        lost = due.loc[due["after_months"].isna(), keys].drop_duplicates().sort_values(keys)
        if len(lost):
            raise DataError(
                [
                    Problem("schedule", 0, ", ".join(keys), text, "has machines, no visits", "add its rows")
                    for text in key_text(lost.astype(str))
                ]
            )
    else:
        due = rows.merge(plan, how="cross")
    number = due["number"].to_numpy() + due["after_months"].to_numpy(dtype=np.int64)
    at = number - begin
    gone = (due["retired"].to_numpy() < number) & (due["retired"].to_numpy() > 0)
    due = due.assign(month_at=at)[(at >= 0) & (at < months) & ~gone]
    due["month"] = horizon[due.pop("month_at").to_numpy()]
    due["after_months"] = due["after_months"].astype(np.int64)
    columns = [name for name in CALENDAR_KEYS if name in due]
    groups = due.groupby(columns, sort=True, dropna=False)
    out = groups["machines"].sum().rename("visits").reset_index()
    first = groups[["reason", *facts]].first().reset_index(drop=True)
    return pd.concat([out, first], axis=1)


def _checked_schedule(schedule: Sequence[int] | pd.DataFrame) -> pd.DataFrame:
    """Bring either form of a schedule into a frame with after_months and reason."""
    if not isinstance(schedule, pd.DataFrame):
        schedule = pd.DataFrame({"after_months": list(schedule)})
    require_columns(schedule, ["after_months"], "schedule")
    after = pd.to_numeric(schedule["after_months"], errors="coerce").to_numpy(dtype=float)
    wrong = ~((after >= 0) & (after == np.floor(after)))
    problems = [
        Problem(
            "schedule",
            FIRST_ROW + int(at),
            "after_months",
            str(schedule["after_months"].iloc[at]),
            "is no whole number of months after handover",
            "give whole months such as 1, 3, 6, 12",
        )
        for at in np.flatnonzero(wrong)
    ]
    if problems:
        raise DataError(problems)
    plan = schedule.assign(after_months=after.astype(np.int64)).reset_index(drop=True)
    if "region_id" in plan:
        plan["region_id"] = plan["region_id"].astype(object).fillna("").astype(str)
    if "reason" not in plan:
        plan["reason"] = [f"visit {step} months after handover" for step in plan["after_months"]]
    return plan


def machine_cohorts(
    units: pd.DataFrame, sales_plan: pd.DataFrame | None, as_of: pd.Timestamp, earliest: int
) -> pd.DataFrame:
    """Machines in service and to come, by where they stand and when they were handed over.

    Parameters
    ----------
    units, sales_plan, as_of
        As in `plan_visits`.
    earliest : int
        First month of handover that matters. [12 x year + month]

    Returns
    -------
    DataFrame
        product_id, region_id (if units have it), site_id, number (month of handover), retired (month of
        retirement, 0: none) [both 12 x year + month], machines; sorted.
    """
    names = [name for name in ("product_id", "region_id", "site_id") if name in units]
    handed = units[units["commissioned_on"] <= as_of]
    number = _month_number(handed["commissioned_on"])
    handed, number = handed[number >= earliest], number[number >= earliest]
    leaves = handed["retired_on"] if "retired_on" in handed else pd.Series(pd.NaT, index=handed.index)
    retired = np.where(leaves.notna(), _month_number(leaves.fillna(as_of)), 0)
    rows = handed[names].assign(number=number, retired=retired, machines=1.0)
    frames = [rows]
    if sales_plan is not None and len(sales_plan):
        require_columns(sales_plan, [*names, "month", "units_sold"], "sales_plan")
        later = sales_plan[(sales_plan["month"] > as_of) & (sales_plan["units_sold"].fillna(0) > 0)]
        sold = later[names].assign(
            number=_month_number(later["month"]), retired=0, machines=later["units_sold"].astype(float)
        )
        frames.append(sold)
    frames = [frame for frame in frames if len(frame)] or [rows]
    every = pd.concat(frames, ignore_index=True)
    if "region_id" in every:
        every["region_id"] = every["region_id"].astype(object).fillna("").astype(str)
    return every.groupby([*names, "number", "retired"], sort=True)["machines"].sum().reset_index()


def _month_number(dates: pd.Series) -> IntArray:
    when = month_start(dates)
    return (when.year * 12 + when.month).to_numpy(dtype=np.int64)


class VisitPlan(NamedTuple):
    """Visits ahead, what they rest on, and what they do to demand.

    Parameters
    ----------
    calendar : DataFrame
        product_id, region_id, site_id, month, after_months, visits, failures_ahead (expected of these
        machines until their next visit), prevented (of these, seen in time), pieces (wear parts), reason.
    schedule : DataFrame
        As from `place_schedule`.
    wear : DataFrame
        As from `wear_parts`.
    demand : DataFrame
        As from `visit_demand`.
    hazard : DataFrame
        Failures of a new machine by product and month after handover.
    notes : list of dict
        Assumption rows.
    """

    calendar: pd.DataFrame
    schedule: pd.DataFrame
    wear: pd.DataFrame
    demand: pd.DataFrame
    hazard: pd.DataFrame
    notes: list[dict[str, Any]]


def visit_calendar(
    data: Any, as_of: pd.Timestamp, months: int, lifetimes: pd.DataFrame, options: ForecastOptions
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Calendar of the visits ahead, and what it rests on (arguments and columns as in `plan_inspections`).

    Parameters
    ----------
    data, as_of, months, lifetimes, options
        As in `plan_inspections`.

    Returns
    -------
    tuple of DataFrame and list of dict
        `VisitPlan.calendar` and `.notes`.
    """
    plan = plan_inspections(data, as_of, months, lifetimes, options)
    return plan.calendar, plan.notes


def plan_inspections(
    data: Any,
    as_of: pd.Timestamp,
    months: int,
    lifetimes: pd.DataFrame,
    options: ForecastOptions,
    wear: pd.DataFrame | None = None,
) -> VisitPlan:
    """Place the visits of all machines, and count the pieces they use and the failures they prevent.

    Parameters
    ----------
    data : Dataset
        units, fitment, parts, sites, sales_plan, usage, meter_readings, replacements are read.
    as_of : Timestamp
        Last day that was known; later records are not looked at.
    months : int
        Horizon. [months]
    lifetimes : DataFrame
        part_id (the last successor of superseded parts), shape, scale, clock.
    options : ForecastOptions
        The fields that begin with `inspection`.
    wear : DataFrame, optional
        As from `wear_parts`; None: found in the records.

    Returns
    -------
    VisitPlan

    Raises
    ------
    DataError
        Dates of visits that are no whole months.
    """
    if options.inspections == "none":
        return _no_visits()
    dates = sorted(set(options.inspection_dates))
    region = region_of_sites(data.network)
    units, sales = (
        table.assign(region_id=table["site_id"].map(region).fillna("").astype(str))
        for table in (data.units, data.sales_plan)
    )
    moved = successors(data.parts)
    fitment = data.fitment.assign(part_id=data.fitment["part_id"].replace(moved))
    fitment = fitment.groupby(["product_id", "part_id"], as_index=False, sort=True)["quantity"].max()
    records = data.replacements[data.replacements["replaced_on"] <= as_of]
    records = records.assign(part_id=records["part_id"].replace(moved))
    begin, _ = records_begin(data, as_of)
    if wear is None:
        wear = wear_parts(records, units, fitment, as_of, dates, records_from=begin)

    reach = max([options.inspection_span_months, *dates]) + int(np.ceil(options.inspection_warning_months))
    usage = hours_by_product(data, as_of)
    means = usage[usage["region_id"] == ""].set_index("product_id")["hours_per_month"]
    hazard = failures_of_new_machines(lifetimes, fitment, means, reach)
    seen, watched = seen_in_first_months(records, units, as_of, reach, begin)
    pairs = pd.concat([units[["product_id", "region_id"]], sales[["product_id", "region_id"]]])
    products = pd.Index(np.sort(pairs["product_id"].unique()), name="product_id")
    hazard = bend_by_seen(hazard.reindex(products).fillna(0.0), seen, watched)
    season = season_factors(data.usage, pairs)
    placed = place_schedule(
        hazard,
        season,
        options.inspection_visits,
        options.inspection_span_months,
        options.inspection_warning_months,
        dates if options.inspections == "fixed" else None,
    )
    calendar = plan_visits(units, sales, months, as_of, placed)
    first = months_after(as_of, 1)[0]
    longest = int(max([options.inspection_span_months, *dates]))
    cohorts = machine_cohorts(units, sales, as_of, first.year * 12 + first.month - longest)
    cohorts = cohorts[(cohorts["retired"] == 0) | (cohorts["retired"] >= first.year * 12 + first.month)]
    demand = visit_demand(wear, lifetimes, fitment, cohorts, placed, dates, usage, season, months, as_of)
    per_visit = wear.merge(fitment, on=["part_id", "product_id"])
    used = (per_visit["share_per_visit"] * per_visit["quantity"]).groupby(per_visit["product_id"]).sum()
    for name in ("failures_ahead", "prevented"):
        calendar[name] *= calendar["visits"]
    calendar["pieces"] = calendar["product_id"].map(used).fillna(0.0).astype(float) * calendar["visits"]
    calendar["reason"] = calendar.pop("reason")
    today = place_schedule(hazard, season, warning=options.inspection_warning_months, dates=dates)
    notes = [
        *_calendar_notes(calendar, placed, today, dates, options),
        *_origin_notes(wear, demand, season, seen, hazard),
    ]
    return VisitPlan(calendar, placed, wear, demand, hazard, notes)


def _no_visits() -> VisitPlan:
    calendar = pd.DataFrame(
        columns=[*CALENDAR_KEYS, "visits", "failures_ahead", "prevented", "pieces", "reason"]
    )
    notes = [
        _note(
            "visits ahead",
            0,
            "visits",
            "set by the user",
            "no inspections: no wear parts used, nothing prevented",
        )
    ]
    schedule = pd.DataFrame(columns=["product_id", "region_id", "handover_month", "after_months", "reason"])
    wear = pd.DataFrame(columns=["part_id", "product_id", "share_per_visit"])
    return VisitPlan(calendar, schedule, wear, pd.DataFrame(columns=DEMAND_COLUMNS), pd.DataFrame(), notes)


def _note(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
    return {
        "stage": "forecast",
        "name": name,
        "value": value,
        "unit": unit,
        "origin": origin,
        "meaning": meaning,
    }


def _calendar_notes(
    calendar: pd.DataFrame,
    placed: pd.DataFrame,
    today: pd.DataFrame,
    dates: Sequence[int],
    options: ForecastOptions,
) -> list[dict[str, Any]]:
    """How many visits there are, and what their dates are worth against today's."""
    ahead = float(calendar["failures_ahead"].sum())
    met = float(calendar["prevented"].sum())
    notes = [
        _note(
            "visits ahead",
            float(calendar["visits"].sum()),
            "visits",
            "estimated from units, sales_plan, lives and usage",
            f"{met:.1f} of {ahead:.1f} failures before the next visit show signs that the visit can see",
        )
    ]
    machines = calendar[calendar["after_months"] == FIRST_VISIT]
    weight = machines.groupby(["product_id", "region_id"])["visits"].sum()
    if options.inspections == "placed" and len(weight):
        per_machine = [
            frame.groupby(["product_id", "region_id"])["prevented"].sum() / 12 for frame in (placed, today)
        ]
        new, old = (float((weight * each.reindex(weight.index)).sum()) for each in per_machine)
        gain = f", {new / old - 1:+.0%}" if old > 0 else ""
        notes.append(
            _note(
                "failures of new machines seen in time",
                new,
                "failures",
                "estimated from lives and usage",
                f"by placed visits; on the dates {', '.join(map(str, dates))} they were {old:.1f}{gain}",
            )
        )
    return notes


def _origin_notes(
    wear: pd.DataFrame, demand: pd.DataFrame, season: pd.DataFrame, seen: pd.DataFrame, hazard: pd.DataFrame
) -> list[dict[str, Any]]:
    """What the visits rest on."""
    own = int((season["origin"] == "usage").sum())
    return [
        _note(
            "wear parts of inspection visits",
            int(wear["part_id"].nunique()),
            "parts",
            "estimated from replacements",
            f"use {demand['planned'].sum():.1f} pieces, prevent {demand['prevented'].sum():.1f} failures",
        ),
        _note(
            "season of visits",
            own,
            "products x regions",
            "data: usage",
            f"{len(season) - own} others take the season of their product, of all products, or none",
        ),
        _note(
            "failures of new machines",
            float(seen.to_numpy().sum()),
            "failures seen",
            "estimated from lives and replacements",
            f"in the first {hazard.shape[1]} months; they correct what the lives of the parts expect",
        ),
    ]
