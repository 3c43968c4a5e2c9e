"""From machines, failures and past orders to visits per region and month, and what a visit takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from spareplan.config import StaffingOptions
from spareplan.maths.units import DAYS_PER_MONTH, HOURS_PER_DAY, days_in_month, month_start

PRIORITIES = ("P1", "P2", "P3", "P4")
KINDS = ("failure", "request", "project", "inspection")
SKILLS = ("junior", "senior", "expert")


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
        A row per region: travel_hours (there and back; NaN where no order tells), hours_factor, missing, again,
        parts_hours, part_orders (shares, hours).
    work_hours : DataFrame
        kind x priority: mean time at the machine. [hours]
    scv : dict of str to float
        Squared variation of the time at the machine per priority, and of the whole visit under "visit".
    skills : DataFrame
        region x skill: share of hours that need at least this skill, by orders.
    profile : ndarray, shape (24,)
        Calls per hour of the day against the mean.
    assumptions : list of dict
        What was estimated, from what.
    """

    orders: pd.DataFrame
    months: pd.DataFrame
    visits: pd.DataFrame
    work_hours: pd.DataFrame
    scv: dict[str, float]
    skills: pd.DataFrame
    profile: np.ndarray
    assumptions: list[dict[str, Any]] = field(default_factory=list)


def build_workload(
    data: Any, demand: pd.DataFrame, levels: pd.DataFrame | None, months: pd.DatetimeIndex, as_of: pd.Timestamp,
    options: StaffingOptions,
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

    Returns
    -------
    Workload

    Notes
    -----
    Failure orders = expected failed pieces x orders per failed piece of the past window; requests and projects
    = rate per machine x machines; inspections = handovers n months ago x share made. Regions' own rates are
    mixed with those of all regions, weighing `kin_orders` orders.
    """
    regions = pd.Index(data.regions["region_id"].sort_values(), name="region_id")
    region_of = data.sites.set_index("site_id")["region_id"]
    past = _past_orders(data, as_of, options)
    start, days = past["opened_at"].min().normalize(), 1.0
    days = max((as_of.normalize() - start).days + 1.0, 1.0)
    units = data.units.assign(region_id=data.units["site_id"].map(region_of))
    fleet = _machines(data, units, regions, region_of, months, as_of)
    notes = [_note("history", f"{start:%Y-%m-%d} to {as_of:%Y-%m-%d}", "", "data: work_orders",
                   f"{len(past)} orders the rates come from")]
    failed = _expected_failures(demand, region_of, regions, months)
    parts = [
        _failure_orders(data, units, past, failed, fleet, regions, start, as_of, days, options, notes),
        *[_orders_per_machine(kind, units, past, fleet, regions, start, as_of, days, options, notes)
          for kind in ("request", "project")],
        _inspections(data, units, past, regions, region_of, months, start, as_of, options, notes),
    ]
    by_kind = pd.concat([p.rename("orders").reset_index().assign(kind=k) for k, p in zip(KINDS, parts, strict=True)],
                        ignore_index=True)
    by_kind["orders"] *= 1.0 - options.desk_fix_share
    orders = _split_by_priority(by_kind, past, regions, options)
    hours, factor, scv = _work_hours(past, regions, options, notes)
    visits = _visits(data, levels, past, regions, region_of, options, notes).join(factor)
    summary = _summary(orders, fleet, failed)
    return Workload(orders, summary, visits, hours, scv, _skills(past, regions, options),
                    _profile(past, options, notes), notes)


def _past_orders(data: Any, as_of: pd.Timestamp, options: StaffingOptions) -> pd.DataFrame:
    orders = data.work_orders
    first = as_of.normalize() + pd.Timedelta(days=1) - pd.DateOffset(months=options.history_months)
    inside = (orders["opened_at"] >= first) & (orders["opened_at"] < as_of.normalize() + pd.Timedelta(days=1))
    return orders[inside].sort_values(["opened_at", "order_id"], kind="stable")


def _machines(
    data: Any, units: pd.DataFrame, regions: pd.Index, region_of: pd.Series, months: pd.DatetimeIndex,
    as_of: pd.Timestamp,
) -> pd.DataFrame:
    """Machines in service per region (rows) and month (columns)."""
    alive = (units["commissioned_on"] <= as_of) & ~(units["retired_on"] <= as_of)
    now = units[alive].groupby("region_id").size().reindex(regions, fill_value=0)
    plan = data.sales_plan
    plan = plan.assign(region_id=plan["site_id"].map(region_of), month=month_start(plan["month"]))
    plan = plan[plan["month"] > as_of]
    net = plan["units_sold"].fillna(0.0) - plan["units_retired"].fillna(0.0)
    change = net.groupby([plan["region_id"], plan["month"]]).sum().unstack(fill_value=0.0)
    change = change.reindex(index=regions, columns=months, fill_value=0.0).astype(float)
    return change.cumsum(axis=1).add(now, axis=0).clip(lower=0.0)


def _expected_failures(
    demand: pd.DataFrame, region_of: pd.Series, regions: pd.Index, months: pd.DatetimeIndex
) -> pd.DataFrame:
    """Failed pieces per region and month; planned replacements and parts without machines are no failures."""
    pieces = demand["from_installed_base"].fillna(0.0) + demand["from_new_units"].fillna(0.0)
    sums = pieces.groupby([demand["site_id"].map(region_of), month_start(demand["month"])]).sum()
    sums.index.names = ["region_id", "month"]
    return sums.unstack(fill_value=0.0).reindex(index=regions, columns=months, fill_value=0.0).astype(float)


def _failure_orders(
    data: Any, units: pd.DataFrame, past: pd.DataFrame, failed: pd.DataFrame, fleet: pd.DataFrame, regions: pd.Index,
    start: pd.Timestamp, as_of: pd.Timestamp, days: float, options: StaffingOptions, notes: list[dict[str, Any]],
) -> pd.Series:
    seen = past[past["kind"] == "failure"].groupby("region_id").size().reindex(regions, fill_value=0)
    done = data.replacements
    done = done[(done["replaced_on"] >= start) & (done["replaced_on"] <= as_of) & ~done["planned"].astype(bool)]
    where = done["unit_id"].map(units.set_index("unit_id")["region_id"])
    pieces = done["quantity"].groupby(where).sum().reindex(regions, fill_value=0.0)
    if pieces.sum() <= 0 or failed.to_numpy().sum() <= 0:
        return _orders_per_machine("failure", units, past, fleet, regions, start, as_of, days, options, notes)
    overall = seen.sum() / pieces.sum()
    own = (seen + options.kin_orders * overall) / (pieces + options.kin_orders)
    notes.append(_note("orders_per_failed_piece", round(float(overall), 3), "orders/piece",
                       "estimated from work_orders and replacements",
                       f"{seen.sum():.0f} failure orders for {pieces.sum():.0f} failed pieces, mixed per region"))
    return _long(failed.mul(own, axis=0))


def _orders_per_machine(
    kind: str, units: pd.DataFrame, past: pd.DataFrame, fleet: pd.DataFrame, regions: pd.Index, start: pd.Timestamp,
    as_of: pd.Timestamp, days: float, options: StaffingOptions, notes: list[dict[str, Any]],
) -> pd.Series:
    seen = past[past["kind"] == kind].groupby("region_id").size().reindex(regions, fill_value=0)
    end = units["retired_on"].fillna(as_of).clip(upper=as_of)
    stay = (end - units["commissioned_on"].clip(lower=start)).dt.total_seconds() / (3600.0 * HOURS_PER_DAY)
    months = stay.clip(lower=0.0).groupby(units["region_id"]).sum().reindex(regions, fill_value=0.0) / DAYS_PER_MONTH
    overall = seen.sum() / max(months.sum(), 1e-9)
    # The kin count as so many orders at the common rate.
    weight = options.kin_orders / overall if overall > 0 else 0.0
    own = (seen + options.kin_orders * (overall > 0)) / (months + weight).clip(lower=1e-9)
    notes.append(_note(f"{kind}s_per_machine_month", round(float(overall), 4), "orders/machine/month",
                       "estimated from work_orders and units", f"{seen.sum()} orders of kind {kind}"))
    real = pd.Series(days_in_month(fleet.columns) / DAYS_PER_MONTH, index=fleet.columns)
    return _long(fleet.mul(own, axis=0).mul(real, axis=1))


def _inspections(
    data: Any, units: pd.DataFrame, past: pd.DataFrame, regions: pd.Index, region_of: pd.Series,
    months: pd.DatetimeIndex, start: pd.Timestamp, as_of: pd.Timestamp, options: StaffingOptions,
    notes: list[dict[str, Any]],
) -> pd.Series:
    plan = data.sales_plan
    plan = plan[pd.DatetimeIndex(plan["month"]) > as_of]
    handed = pd.concat([
        units.assign(month=month_start(units["commissioned_on"]), count=1.0)[
            ["region_id", "month", "count", "retired_on"]],
        pd.DataFrame({"region_id": plan["site_id"].map(region_of), "month": month_start(plan["month"]),
                      "count": plan["units_sold"].fillna(0.0), "retired_on": pd.NaT}),
    ], ignore_index=True)
    due = pd.concat([handed.assign(month=handed["month"] + pd.DateOffset(months=int(n)))
                     for n in options.inspection_months], ignore_index=True)
    due = due[~(due["retired_on"] < due["month"])]
    counts = due.groupby(["region_id", "month"])["count"].sum()
    window = pd.date_range(month_start([start])[0], month_start([as_of])[0], freq="MS")
    known = counts.reindex(pd.MultiIndex.from_product([regions, window]), fill_value=0.0).sum()
    seen = int((past["kind"] == "inspection").sum())
    if seen and known > 0:
        made, origin = min(seen / known, 1.0), "estimated from work_orders and units"
    else:
        made, origin = options.inspections_made, "default"
    notes.append(_note("inspections_made", round(float(made), 3), "share", origin,
                       f"{seen} inspections for {known:.0f} due"))
    grid = pd.MultiIndex.from_product([regions, months], names=["region_id", "month"])
    return made * counts.reindex(grid, fill_value=0.0)


def _split_by_priority(
    by_kind: pd.DataFrame, past: pd.DataFrame, regions: pd.Index, options: StaffingOptions
) -> pd.DataFrame:
    """Share the orders of each kind among the priorities as in the past, regions mixed with all."""
    seen = past.groupby(["kind", "region_id", "priority"]).size().unstack(fill_value=0)
    seen = seen.reindex(columns=list(PRIORITIES), fill_value=0)
    grid = pd.MultiIndex.from_product([KINDS, regions], names=["kind", "region_id"])
    seen = seen.reindex(grid, fill_value=0).astype(float)
    common = seen.groupby("kind").transform("sum")
    known = common.sum(axis=1)
    # A kind that never occurred counts as least urgent.
    common = common.div(known.where(known > 0, 1.0), axis=0)
    common.loc[known <= 0, "P4"] = 1.0
    mix = (seen + options.kin_orders * common).div(seen.sum(axis=1) + options.kin_orders, axis=0)
    out = by_kind.merge(mix.reset_index(), on=["kind", "region_id"], how="left")
    out[list(PRIORITIES)] = out[list(PRIORITIES)].mul(out["orders"], axis=0)
    out = out.drop(columns="orders").melt(["region_id", "month", "kind"], list(PRIORITIES), "priority", "orders")
    return out.sort_values(["region_id", "month", "kind", "priority"], ignore_index=True)


def _work_hours(
    past: pd.DataFrame, regions: pd.Index, options: StaffingOptions, notes: list[dict[str, Any]]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Mean time at the machine per kind and priority, a region's factor on it, and squared variations."""
    done = past[past["work_hours"] > 0]
    grid = pd.DataFrame(options.default_work_hours, index=list(KINDS), columns=list(PRIORITIES))
    factor = pd.DataFrame({"hours_factor": 1.0}, index=regions)
    scv = dict.fromkeys((*PRIORITIES, "visit"), options.default_work_scv)
    if done.empty:
        notes.append(_note("work_hours", options.default_work_hours, "hours", "default",
                           "work_orders.work_hours is empty"))
        return grid, factor, scv
    few = options.kin_orders
    of_kind = done.groupby("kind")["work_hours"].mean().reindex(list(KINDS)).fillna(done["work_hours"].mean())
    cell = done.groupby(["kind", "priority"])["work_hours"].agg(["sum", "size"])
    for kind in KINDS:
        for priority in PRIORITIES:
            total, size = cell.loc[(kind, priority)] if (kind, priority) in cell.index else (0.0, 0)
            grid.loc[kind, priority] = (total + few * of_kind[kind]) / (size + few)
    usual = _long(grid).reindex(pd.MultiIndex.from_frame(done[["kind", "priority"]])).to_numpy()
    mean = float(done["work_hours"].mean())
    sums = pd.DataFrame({"region_id": done["region_id"].to_numpy(), "real": done["work_hours"].to_numpy(),
                         "usual": usual}).groupby("region_id").sum().reindex(regions, fill_value=0.0)
    factor["hours_factor"] = (sums["real"] + few * mean) / (sums["usual"] + few * mean)
    for priority in PRIORITIES:
        own = done.loc[done["priority"] == priority, "work_hours"]
        whole = done["work_hours"]
        sample = own if len(own) >= few else whole
        scv[priority] = float(np.clip(sample.var() / sample.mean() ** 2, 0.05, 4.0)) if len(sample) > 1 else scv[priority]
    visit = (done["work_hours"] + done["travel_hours"].fillna(0.0)) if len(done) > 1 else done["work_hours"]
    if len(visit) > 1:
        scv["visit"] = float(np.clip(visit.var() / visit.mean() ** 2, 0.05, 4.0))
    notes.append(_note("work_hours", round(mean, 2), "hours", "estimated from work_orders.work_hours",
                       f"mean time at the machine of {len(done)} orders; squared variation {scv['visit']:.2f}"))
    return grid, factor, scv


def _visits(
    data: Any, levels: pd.DataFrame | None, past: pd.DataFrame, regions: pd.Index, region_of: pd.Series,
    options: StaffingOptions, notes: list[dict[str, Any]],
) -> pd.DataFrame:
    """What a visit meets per region: travel, missing parts, work that has to be repeated."""
    few = options.kin_orders
    drives = past.loc[past["travel_hours"].notna()].groupby("region_id")["travel_hours"].agg(["mean", "size"])
    out = pd.DataFrame(index=regions)
    out["travel_hours"] = drives["mean"].where(drives["size"] >= 10).reindex(regions)
    told = int(out["travel_hours"].notna().sum())
    notes.append(_note("travel_hours", f"{told} of {len(regions)} regions", "", "estimated from work_orders.travel_hours",
                       "mean of the recorded hours there and back; other regions from where their machines are"))
    ends = past[past["outcome"].notna()]
    failures = ends[ends["kind"] == "failure"]
    out["again"], out["missing"], out["parts_hours"] = options.not_fixed_share, options.part_missing_share, np.nan
    if len(ends):
        bad = (ends["outcome"] == "not_fixed").groupby(ends["region_id"]).agg(["sum", "size"])
        bad = bad.reindex(regions, fill_value=0)
        common = float((ends["outcome"] == "not_fixed").mean())
        out["again"] = (bad["sum"] + few * common) / (bad["size"] + few)
        notes.append(_note("not_fixed_share", round(common, 3), "share", "estimated from work_orders.outcome",
                           f"{len(ends)} finished orders"))
    linked = data.replacements["order_id"].dropna().unique()
    share = options.part_order_share
    origin = "default"
    if len(linked) and len(failures):
        share = float(failures["order_id"].isin(linked).mean())
        origin = "estimated from replacements.order_id"
    notes.append(_note("part_order_share", round(share, 3), "share", origin, "failure orders that need a part"))
    fill = _regional_fill(levels, region_of, regions)
    if fill is not None:
        out["missing"] = share * (1.0 - fill["fill_rate"])
        out["parts_hours"] = fill["parts_hours"]
        notes.append(_note("part_missing_share", round(float(out["missing"].mean()), 3), "share",
                           "stock levels: fill_rate", "failure orders whose part will be missing, mean over regions"))
    elif len(failures):
        lost = (failures["outcome"] == "part_missing").groupby(failures["region_id"]).agg(["sum", "size"])
        lost = lost.reindex(regions, fill_value=0)
        common = float((failures["outcome"] == "part_missing").mean())
        out["missing"] = (lost["sum"] + few * common) / (lost["size"] + few)
        notes.append(_note("part_missing_share", round(common, 3), "share", "estimated from work_orders.outcome",
                           "failure orders that missed their part"))
    out["parts_hours"] = out["parts_hours"].fillna(options.parts_wait_hours)
    out["missing"] = out["missing"].fillna(options.part_missing_share).clip(0.0, 1.0)
    return out


def _regional_fill(levels: pd.DataFrame | None, region_of: pd.Series, regions: pd.Index) -> pd.DataFrame | None:
    """Fill rate and wait of a missing part per region, weighted by demand."""
    if levels is None or levels.empty:
        return None
    rows = levels[(levels["demand_per_day"] > 0) & levels["fill_rate"].notna()]
    rows = rows.assign(region_id=rows["site_id"].map(region_of)).dropna(subset=["region_id"])
    if rows.empty:
        return None
    weight = rows["demand_per_day"]
    sums = pd.DataFrame({
        "region_id": rows["region_id"], "weight": weight, "filled": weight * rows["fill_rate"],
        "waited": weight * rows["mean_wait_days"].fillna(0.0) * HOURS_PER_DAY,
    }).groupby("region_id").sum()
    missed = (sums["weight"] - sums["filled"]).clip(lower=1e-12)
    out = pd.DataFrame({"fill_rate": sums["filled"] / sums["weight"], "parts_hours": sums["waited"] / missed})
    return out.reindex(regions)


def _skills(past: pd.DataFrame, regions: pd.Index, options: StaffingOptions) -> pd.DataFrame:
    """Share of hours per least skill, regions mixed with all; an order without skill needs a junior."""
    hours = past["work_hours"].fillna(options.default_work_hours) + past["travel_hours"].fillna(0.0)
    skill = past["skill"].where(past["skill"].isin(SKILLS), "junior")
    table = hours.groupby([past["region_id"], skill]).sum().unstack(fill_value=0.0)
    table = table.reindex(index=regions, columns=list(SKILLS), fill_value=0.0)
    common = table.sum() / table.to_numpy().sum()
    kin = options.kin_orders * float(hours.mean())
    return (table + kin * common).div(table.sum(axis=1) + kin, axis=0)


def _profile(past: pd.DataFrame, options: StaffingOptions, notes: list[dict[str, Any]]) -> np.ndarray:
    """Calls per hour of the day against the mean; flat where the hours are not recorded."""
    hours = past["opened_at"].dt.hour.to_numpy()
    counts = np.bincount(hours, minlength=24).astype(float)
    if not options.hour_profile or counts.max() >= 0.9 * counts.sum():
        notes.append(_note("hour_profile", "flat", "", "default", "calls come evenly over the day"))
        return np.ones(24)
    notes.append(_note("hour_profile", f"{int(counts.argmax())}:00", "", "estimated from work_orders.opened_at",
                       f"busiest hour, {counts.max() / counts.mean():.1f} times the mean"))
    return (counts + 1.0) / (counts + 1.0).mean()


def _summary(orders: pd.DataFrame, fleet: pd.DataFrame, failed: pd.DataFrame) -> pd.DataFrame:
    index = ["region_id", "month"]
    kinds = orders.pivot_table("orders", index, "kind", "sum").add_prefix("orders_")
    priorities = orders.pivot_table("orders", index, "priority", "sum").rename(columns=lambda p: f"orders_{p.lower()}")
    out = kinds.join(priorities)
    out["orders"] = out[list(priorities.columns)].sum(axis=1)
    for name, frame in (("units", fleet), ("failed_pieces", failed)):
        out[name] = _long(frame).reindex(out.index)
    return out.reset_index()


def _long(frame: pd.DataFrame) -> pd.Series:
    """Region x month as one long column."""
    index = pd.MultiIndex.from_product([frame.index, frame.columns], names=["region_id", "month"])
    return pd.Series(frame.to_numpy(dtype=float).ravel(), index=index)


def _note(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
    return {"stage": "staffing", "name": name, "value": value, "unit": unit, "origin": origin, "meaning": meaning}
