"""From machines, failures and past orders to visits per region and month, and what a visit takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from spareplan.config import StaffingOptions
from spareplan.maths.units import DAYS_PER_MONTH, days_in_month, month_start
from spareplan.staffing.call_times import month_season, week_profiles
from spareplan.staffing.desk import fixed_at_desk
from spareplan.staffing.estimates import estimate_table, machine_months
from spareplan.staffing.follow_ups import recorded_follow_ups, rows_per_order
from spareplan.staffing.inspection_orders import inspection_orders
from spareplan.staffing.repair_hours import repair_hours
from spareplan.staffing.visits import KINDS, PRIORITIES, note, skill_shares, visit_shares


@dataclass(frozen=True)
class Workload:
    """Orders to come and what they take.

    Parameters
    ----------
    orders : DataFrame
        region_id, month, kind, priority, orders: expected orders of the month.
    months : DataFrame
        A row per region and month: units, failures (pieces), orders by kind and by priority, orders.
    visits : DataFrame
        A row per region: travel_hours (there and back; NaN where no order tells), hours_factor, missing,
        again, parts_hours, parts_scv (shares, hours).
    work_hours : DataFrame
        kind x priority: mean time at the machine of a standard engineer. [hours]
    scv : DataFrame
        region x priority: squared variation of that time for orders of one kind.
    skills : DataFrame
        region x skill: share of the standard hours of orders whose least skill this is.
    skill_orders : DataFrame
        region x skill: share of the orders whose least skill this is.
    skill_hours : Series
        By least skill: mean time at the machine of a standard engineer. [hours]
    profile : ndarray, shape (24,)
        Calls per hour of the day against the mean.
    week : ndarray, shape (7, 24)
        Calls per hour of the week from Monday against the mean, all regions.
    weeks : ndarray, shape (R, 7, 24)
        The same of each region, sorted by id.
    estimates : DataFrame
        What was estimated per region, with its 90 % interval (`estimates.estimate_table`).
    assumptions : list of dict
        What was estimated, from what.
    """

    orders: pd.DataFrame
    months: pd.DataFrame
    visits: pd.DataFrame
    work_hours: pd.DataFrame
    scv: pd.DataFrame
    skills: pd.DataFrame
    skill_orders: pd.DataFrame
    skill_hours: pd.Series
    profile: np.ndarray
    week: np.ndarray
    weeks: np.ndarray
    estimates: pd.DataFrame
    assumptions: list[dict[str, Any]] = field(default_factory=list)


def build_workload(
    data: Any,
    demand: pd.DataFrame,
    levels: pd.DataFrame | None,
    months: pd.DatetimeIndex,
    as_of: pd.Timestamp,
    options: StaffingOptions,
    visits: pd.DataFrame | None = None,
) -> Workload:
    """Expect the orders of every region and month.

    Parameters
    ----------
    data : Dataset
        With units and work_orders.
    demand : DataFrame
        `DemandForecast.table`.
    levels : DataFrame, optional
        `StockLevels.table`: fill rates say how often the part will be missing.
    months : DatetimeIndex
        Months to plan.
    as_of : Timestamp
        Last day that is known.
    options : StaffingOptions
    visits : DataFrame, optional
        `DemandForecast.visits`: inspections ahead by region_id and month; without them they are due
        `inspection_months` after the handover.

    Returns
    -------
    Workload

    Notes
    -----
    Failure orders = expected failed pieces x orders per failed piece of the past window; requests and
    projects = rate per machine x machines x season of the month; inspections = handovers n months ago x share
    made. Regions' own rates are mixed with those of all regions, weighing `kin_orders` orders.
    """
    regions = pd.Index(data.regions["region_id"].sort_values(), name="region_id")
    region_of = data.sites.set_index("site_id")["region_id"]
    past = _past_orders(data, as_of, options)
    # Records that begin within the window say when counting began.
    start = max(_window(as_of, options), data.work_orders["opened_at"].min().normalize())
    units = data.units.assign(region_id=data.units["site_id"].map(region_of))
    fleet = _machines(data, units, regions, region_of, months, as_of)
    notes = [
        note(
            "history",
            f"{start:%Y-%m-%d} to {as_of:%Y-%m-%d}",
            "",
            "data: work_orders",
            f"{len(past)} orders the rates come from",
        )
    ]
    records_from = data.regions.set_index("region_id")["records_from"]
    exposure = machine_months(units, regions, start, as_of, past, records_from)
    failed = _expected_failures(demand, region_of, regions, months)
    parts = [
        _failure_orders(data, units, past, failed, fleet, exposure, regions, start, as_of, options, notes),
        *[
            _orders_per_machine(kind, units, past, fleet, exposure, regions, start, as_of, options, notes)
            for kind in ("request", "project")
        ],
        inspection_orders(
            data, units, past, regions, region_of, months, start, as_of, options, notes, visits
        ),
    ]
    by_kind = pd.concat(
        [p.rename("orders").reset_index().assign(kind=k) for k, p in zip(KINDS, parts, strict=True)],
        ignore_index=True,
    )
    follow_ups = recorded_follow_ups(past, notes)
    shares = visit_shares(data, demand, levels, past, regions, options, notes, follow_ups)
    per_order = rows_per_order(follow_ups, past, regions, shares["again"].to_numpy())
    rows = np.stack([per_order[kind] for kind in KINDS])[
        pd.Index(KINDS).get_indexer(pd.Index(by_kind["kind"])),
        regions.get_indexer(pd.Index(by_kind["region_id"])),
    ]
    by_kind["orders"] /= rows
    orders = _split_by_priority(by_kind, past, regions, options, notes)
    # What the desk solves never reaches the field; no inspection is made by telephone.
    reach = pd.Series(1.0 - fixed_at_desk(options), index=list(PRIORITIES))
    orders["orders"] *= orders["priority"].map(reach).where(orders["kind"] != "inspection", 1.0)
    hours = repair_hours(past, regions, data.engineers, options, notes)
    skills, skill_orders = skill_shares(past, hours.of_orders, regions, options, notes)
    week, weeks = week_profiles(past, regions, as_of, options, notes)
    notes += _empty_regions(regions, past, fleet)
    estimates = estimate_table(past, exposure, regions, shares, hours, options)
    return Workload(
        orders,
        _summary(orders, fleet, failed),
        shares.assign(hours_factor=hours.factor),
        hours.grid,
        hours.scv,
        skills,
        skill_orders,
        hours.by_skill,
        week.mean(axis=0),
        week,
        weeks,
        estimates,
        notes,
    )


def _empty_regions(regions: pd.Index, past: pd.DataFrame, fleet: pd.DataFrame) -> list[dict[str, Any]]:
    """Name the regions whose own records cannot tell."""
    told = {
        "regions_without_orders": (
            ~regions.isin(past["region_id"].unique()),
            "data: work_orders",
            "no orders of their own: rates, hours and shares of all regions",
        ),
        "regions_without_machines": (
            (fleet.to_numpy() <= 0).all(axis=1),
            "data: units and sales_plan",
            "no machines in any month: no orders but those of forecast failures",
        ),
    }
    return [
        note(name, ", ".join(np.asarray(regions)[empty]), "", origin, meaning)
        for name, (empty, origin, meaning) in told.items()
        if empty.any()
    ]


def _past_orders(data: Any, as_of: pd.Timestamp, options: StaffingOptions) -> pd.DataFrame:
    orders = data.work_orders
    first = _window(as_of, options)
    inside = (orders["opened_at"] >= first) & (orders["opened_at"] < as_of.normalize() + pd.Timedelta(days=1))
    return orders[inside].sort_values(["opened_at", "order_id"], kind="stable")


def _window(as_of: pd.Timestamp, options: StaffingOptions) -> pd.Timestamp:
    """First day of the orders that count."""
    return as_of.normalize() + pd.Timedelta(days=1) - pd.DateOffset(months=options.history_months)


def _machines(
    data: Any,
    units: pd.DataFrame,
    regions: pd.Index,
    region_of: pd.Series,
    months: pd.DatetimeIndex,
    as_of: pd.Timestamp,
) -> pd.DataFrame:
    """Count machines in service per region (rows) and month (columns)."""
    alive = (units["commissioned_on"] <= as_of) & ~(units["retired_on"] <= as_of)
    now = units[alive].groupby("region_id").size().reindex(regions, fill_value=0)
    plan = data.sales_plan
    plan = plan.assign(region_id=plan["site_id"].map(region_of), month=month_start(plan["month"]))
    plan = plan[plan["month"] > as_of]
    net = plan["units_sold"].fillna(0.0) - plan["units_retired"].fillna(0.0)
    change = _wide(net.groupby([plan["region_id"], plan["month"]]).sum(), regions, months)
    return change.cumsum(axis=1).add(now, axis=0).clip(lower=0.0)


def _expected_failures(
    demand: pd.DataFrame, region_of: pd.Series, regions: pd.Index, months: pd.DatetimeIndex
) -> pd.DataFrame:
    """Sum failed pieces per region and month; planned replacements and other demand are no failures."""
    pieces = demand["from_installed_base"].fillna(0.0) + demand["from_new_units"].fillna(0.0)
    sums = pieces.groupby([demand["site_id"].map(region_of), month_start(demand["month"])]).sum()
    return _wide(sums, regions, months)


def _failure_orders(
    data: Any,
    units: pd.DataFrame,
    past: pd.DataFrame,
    failed: pd.DataFrame,
    fleet: pd.DataFrame,
    exposure: pd.Series,
    regions: pd.Index,
    start: pd.Timestamp,
    as_of: pd.Timestamp,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
) -> pd.Series:
    seen = past[past["kind"] == "failure"].groupby("region_id").size().reindex(regions, fill_value=0)
    done = data.replacements
    done = done[
        (done["replaced_on"] >= start) & (done["replaced_on"] <= as_of) & ~done["planned"].astype(bool)
    ]
    where = done["unit_id"].map(units.set_index("unit_id")["region_id"])
    pieces = done["quantity"].groupby(where).sum().reindex(regions, fill_value=0.0)
    if pieces.sum() <= 0 or failed.to_numpy().sum() <= 0:
        return _orders_per_machine(
            "failure", units, past, fleet, exposure, regions, start, as_of, options, notes
        )
    overall = seen.sum() / pieces.sum()
    own = (seen + options.kin_orders * overall) / (pieces + options.kin_orders)
    notes.append(
        note(
            "orders_per_failed_piece",
            round(float(overall), 3),
            "orders/piece",
            "estimated from work_orders and replacements",
            f"{seen.sum():.0f} failure orders for {pieces.sum():.0f} failed pieces, mixed per region",
        )
    )
    return _long(failed.mul(own, axis=0))


def _orders_per_machine(
    kind: str,
    units: pd.DataFrame,
    past: pd.DataFrame,
    fleet: pd.DataFrame,
    exposure: pd.Series,
    regions: pd.Index,
    start: pd.Timestamp,
    as_of: pd.Timestamp,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
) -> pd.Series:
    seen = past[past["kind"] == kind].groupby("region_id").size().reindex(regions, fill_value=0)
    overall = seen.sum() / max(exposure.sum(), 1e-9)
    # The kin count as so many orders at the common rate.
    weight = options.kin_orders / overall if overall > 0 else 0.0
    own = (seen + options.kin_orders * (overall > 0)) / (exposure + weight).clip(lower=1e-9)
    notes.append(
        note(
            f"{kind}s_per_machine_month",
            round(float(overall), 4),
            "orders/machine/month",
            "estimated from work_orders and units",
            f"{seen.sum()} orders of kind {kind}",
        )
    )
    opened = past.loc[past["kind"] == kind, "opened_at"]
    season = month_season(kind, opened, units, start, as_of, notes)[pd.DatetimeIndex(fleet.columns).month - 1]
    real = pd.Series(days_in_month(fleet.columns) / DAYS_PER_MONTH * season, index=fleet.columns)
    return _long(fleet.mul(own, axis=0).mul(real, axis=1))


def _split_by_priority(
    by_kind: pd.DataFrame,
    past: pd.DataFrame,
    regions: pd.Index,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
) -> pd.DataFrame:
    """Share the orders of each kind among the priorities as in the past, regions mixed with all."""
    grid = pd.MultiIndex.from_product([KINDS, regions], names=["kind", "region_id"])
    seen = past.pivot_table("order_id", ["kind", "region_id"], "priority", "count")
    seen = seen.reindex(index=grid, columns=list(PRIORITIES)).fillna(0.0)
    common = seen.groupby("kind").transform("sum")
    known = common.sum(axis=1)
    # A kind that never occurred counts as least urgent.
    common = common.div(known.where(known > 0, 1.0), axis=0)
    common.loc[known <= 0, "P4"] = 1.0
    never = [kind for kind in KINDS if not (past["kind"] == kind).any()]
    notes.append(
        note(
            "priority_shares",
            ", ".join(f"{p} {(past['priority'] == p).mean():.0%}" for p in PRIORITIES),
            "share of orders",
            "estimated from work_orders.priority",
            "by kind and region, mixed with all regions"
            + (f"; no {' or '.join(never)} was ever ordered: as P4" if never else ""),
        )
    )
    mix = (seen + options.kin_orders * common).div(seen.sum(axis=1) + options.kin_orders, axis=0)
    out = by_kind.merge(mix.reset_index(), on=["kind", "region_id"], how="left")
    out[list(PRIORITIES)] = out[list(PRIORITIES)].mul(out["orders"], axis=0)
    out = out.drop(columns="orders").melt(
        ["region_id", "month", "kind"], list(PRIORITIES), "priority", "orders"
    )
    return out.sort_values(["region_id", "month", "kind", "priority"], ignore_index=True)


def _summary(orders: pd.DataFrame, fleet: pd.DataFrame, failed: pd.DataFrame) -> pd.DataFrame:
    index = ["region_id", "month"]
    kinds = orders.pivot_table("orders", index, "kind", "sum").add_prefix("orders_")
    priorities = orders.pivot_table("orders", index, "priority", "sum").rename(
        columns=lambda p: f"orders_{p.lower()}"
    )
    out = kinds.join(priorities)
    out["orders"] = out[list(priorities.columns)].sum(axis=1)
    for name, frame in (("units", fleet), ("failed_pieces", failed)):
        out[name] = _long(frame).reindex(out.index)
    return out.reset_index()


def _wide(values: pd.Series, regions: pd.Index, months: pd.DatetimeIndex) -> pd.DataFrame:
    """Spread one long column over region (rows) and month (columns); 0 where there is none."""
    grid = pd.MultiIndex.from_product([regions, months])
    values.index.names = [None, None]
    filled = values.reindex(grid).fillna(0.0).to_numpy(dtype=float)
    return pd.DataFrame(filled.reshape(len(regions), len(months)), index=regions, columns=months)


def _long(frame: pd.DataFrame) -> pd.Series:
    """Stack region x month into one long column."""
    index = pd.MultiIndex.from_product([frame.index, frame.columns], names=["region_id", "month"])
    return pd.Series(frame.to_numpy(dtype=float).ravel(), index=index)
