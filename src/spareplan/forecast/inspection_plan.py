"""Inspections from a whole dataset: visits placed, wear parts found, pieces counted, failures prevented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import ForecastOptions
from spareplan.forecast.clock import records_begin, region_of_sites
from spareplan.forecast.first_year import (
    bend_by_seen,
    failures_of_new_machines,
    hours_by_product,
    seen_in_first_months,
)
from spareplan.forecast.inspections import CALENDAR_KEYS, machine_cohorts, plan_visits
from spareplan.forecast.notes import note
from spareplan.forecast.seasons import season_factors
from spareplan.forecast.visit_demand import DEMAND_COLUMNS, visit_demand
from spareplan.forecast.visits import FIRST_VISIT, place_schedule
from spareplan.forecast.wear import WEAR_COLUMNS, rows_at_visits, wear_parts
from spareplan.maths.units import months_after
from spareplan.tables.supersession import newest_parts


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


class SeenWear(NamedTuple):
    """Wear parts, and the rows of the records that visits account for.

    Parameters
    ----------
    parts : DataFrame
        As from `wear_parts`.
    at_visits : ndarray of bool, a value per row of `replacements`
        As from `rows_at_visits`.
    """

    parts: pd.DataFrame
    at_visits: NDArray[np.bool_]


def find_wear(data: Any, as_of: pd.Timestamp, options: ForecastOptions) -> SeenWear:
    """Wear parts of inspection visits in the records known by a day.

    Parameters
    ----------
    data : Dataset
        units, fitment, parts, sites, regions, replacements are read.
    as_of : Timestamp
        Last day that was known.
    options : ForecastOptions
        `inspection_dates`: visits made so far are no planned work of an age, even if none is to follow.

    Returns
    -------
    SeenWear
    """
    records = data.replacements
    if not records["planned"].to_numpy(bool).any():
        return SeenWear(pd.DataFrame(columns=WEAR_COLUMNS), np.zeros(len(records), dtype=bool))
    moved, fitment = _last_parts(data)
    records = records.assign(part_id=records["part_id"].replace(moved))
    dates = sorted(set(options.inspection_dates))
    begin, _ = records_begin(data, as_of)
    known = records[records["replaced_on"] <= as_of]
    parts = wear_parts(known, data.units, fitment, as_of, dates, records_from=begin)
    return SeenWear(parts, rows_at_visits(records, data.units, parts, dates))


def _last_parts(data: Any) -> tuple[dict[str, str], pd.DataFrame]:
    """Last successor of superseded parts, and the fitment by them."""
    moved = newest_parts(data.parts)
    fitment = data.fitment.assign(part_id=data.fitment["part_id"].replace(moved))
    return moved, fitment.groupby(["product_id", "part_id"], sort=True)["quantity"].max().reset_index()


def plan_inspections(
    data: Any,
    as_of: pd.Timestamp,
    months: int,
    lifetimes: pd.DataFrame,
    options: ForecastOptions,
    wear: pd.DataFrame | None = None,
    demand_months: int | None = None,
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
        As from `find_wear`; None: found in the records.
    demand_months : int, optional
        How far `demand` reaches where that is more than `months`. [months]

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
    moved, fitment = _last_parts(data)
    records = data.replacements[data.replacements["replaced_on"] <= as_of]
    records = records.assign(part_id=records["part_id"].replace(moved))
    begin, _ = records_begin(data, as_of)
    wear = find_wear(data, as_of, options).parts if wear is None else wear

    reach = max([options.inspection_span_months, *dates]) + int(np.ceil(options.inspection_warning_months))
    usage = hours_by_product(data, as_of)
    means = usage[usage["region_id"] == ""].set_index("product_id")["hours_per_month"]
    hazard = failures_of_new_machines(lifetimes, fitment, means, reach)
    seen, watched = seen_in_first_months(records, units, as_of, reach, begin)
    pairs = pd.concat([units[["product_id", "region_id"]], sales[["product_id", "region_id"]]])
    products = pd.Index(np.sort(pairs["product_id"].unique()), name="product_id")
    hazard = bend_by_seen(hazard.reindex(products).fillna(0.0), seen, watched)
    season = season_factors(data.usage[data.usage["month"] <= as_of], pairs)
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
    reach = max(months, demand_months or 0)
    demand = visit_demand(wear, lifetimes, fitment, cohorts, placed, dates, usage, season, reach, as_of)
    per_visit = wear.merge(fitment, on=["part_id", "product_id"])
    used = (per_visit["share_per_visit"] * per_visit["quantity"]).groupby(per_visit["product_id"]).sum()
    for name in ("failures_ahead", "prevented"):
        calendar[name] *= calendar["visits"]
    calendar["pieces"] = calendar["product_id"].map(used).fillna(0.0).astype(float) * calendar["visits"]
    calendar["reason"] = calendar.pop("reason")
    today = place_schedule(hazard, season, warning=options.inspection_warning_months, dates=dates)
    told = demand[demand["month"].isin(months_after(as_of, months))]
    notes = [
        *_calendar_notes(calendar, placed, today, dates, options),
        *_origin_notes(wear, told, season, seen, hazard),
        *_worth_notes(data.work_orders, told, calendar, as_of),
    ]
    return VisitPlan(calendar, placed, wear, demand, hazard, notes)


def _no_visits() -> VisitPlan:
    calendar = pd.DataFrame(
        columns=[*CALENDAR_KEYS, "visits", "failures_ahead", "prevented", "pieces", "reason"]
    )
    notes = [
        note(
            "visits ahead",
            0,
            "visits",
            "set by the user",
            "no inspections: no wear parts used, nothing prevented",
        )
    ]
    schedule = pd.DataFrame(columns=["product_id", "region_id", "handover_month", "after_months", "reason"])
    wear = pd.DataFrame(columns=WEAR_COLUMNS)
    return VisitPlan(calendar, schedule, wear, pd.DataFrame(columns=DEMAND_COLUMNS), pd.DataFrame(), notes)


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
        note(
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
            note(
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
        note(
            "wear parts of inspection visits",
            int(wear["part_id"].nunique()),
            "parts",
            "estimated from replacements",
            f"use {demand['planned'].sum():.1f} pieces, prevent {demand['prevented'].sum():.1f} failures",
        ),
        note(
            "season of visits",
            own,
            "products x regions",
            "data: usage",
            f"{len(season) - own} others take the season of their product, of all products, or none",
        ),
        note(
            "failures of new machines",
            float(seen.to_numpy().sum()),
            "failures seen",
            "estimated from lives and replacements",
            f"in the first {hazard.shape[1]} months; they correct what the lives of the parts expect",
        ),
    ]


def _worth_notes(
    orders: pd.DataFrame, demand: pd.DataFrame, calendar: pd.DataFrame, as_of: pd.Timestamp
) -> list[dict[str, Any]]:
    """What the pieces used at visits save in standing machines, where orders tell how long those stand."""
    known = orders[
        (orders["kind"] == "failure") & (orders["opened_at"] <= as_of) & orders["resolved_at"].notna()
    ]
    if not len(known) or not len(demand):
        return []
    days = float((known["resolved_at"] - known["opened_at"]).dt.total_seconds().mean()) / 86400
    saved, visits = float(demand["prevented"].sum()), float(calendar["visits"].sum())
    return [
        note(
            "machine-days saved by wear parts of visits",
            saved * days,
            "days",
            "estimated from work_orders, replacements and lives",
            f"{saved:.1f} failures of {days:.1f} days less, for {demand['planned'].sum():.1f} pieces "
            f"at {visits:.0f} visits",
        )
    ]
