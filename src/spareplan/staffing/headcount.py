"""Head count per region, month and skill that keeps the P1 to P4 promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions, option_rows
from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.maths.units import HOURS_PER_DAY, days_in_month, months_after
from spareplan.results import Headcount, assumptions_frame
from spareplan.staffing.advice import cure_lines, find_cures
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.deciding import decided_short, what_decides
from spareplan.staffing.desk import DeskPlan, desk_calls, plan_desk
from spareplan.staffing.field import read_promises
from spareplan.staffing.headquarters import headquarters_view
from spareplan.staffing.model import region_rows
from spareplan.staffing.month_plan import moved_hours, people_needed, plan_months
from spareplan.staffing.night import duty_of, on_call_note, on_duty, shift_promises
from spareplan.staffing.plan_rows import PlanRows
from spareplan.staffing.plan_search import search_plan
from spareplan.staffing.proof import simulate_plan
from spareplan.staffing.report import (
    headcount_table,
    night_lines,
    region_table,
    summary_lines,
    workload_table,
)
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.shift_plan import NIGHT, ShiftPlan, shift_kept, size_shifts
from spareplan.staffing.shifts import day_phases
from spareplan.staffing.sizing import NONE, STAFF, Kept, Phases, Promises, Sized, promises_kept, size_rows
from spareplan.staffing.teams import Teams
from spareplan.staffing.visits import PRIORITIES
from spareplan.staffing.workload import Workload, build_workload

if TYPE_CHECKING:
    from spareplan.results import DemandForecast, StockLevels

FloatArray = NDArray[np.float64]


def can_size(data: Any) -> str:
    """Why the head count cannot be sized.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    str
        The reason, naming what is missing; empty if it can.
    """
    missing = [name for name in ("units", "work_orders") if data.tables[name].empty]
    if data.regions.empty:
        missing.append("regions")
    return f"head count needs {' and '.join(missing)}" if missing else ""


def size_headcount(
    data: Any,
    demand: DemandForecast,
    levels: StockLevels | None = None,
    as_of: Any = None,
    months: int | None = None,
    options: StaffingOptions = StaffingOptions(),  # noqa: B008 - frozen
    seed: int = 0,
) -> Headcount:
    """Engineers per region, month and skill; whom to hire, train and lend; what breaks each promise.

    Parameters
    ----------
    data : Dataset
        With units, work_orders and regions; engineers, promises and sales_plan where there are some.
    demand : DemandForecast
        Expected failures.
    levels : StockLevels, optional
        Their fill rates say how often the part will be missing; None: as often as in the past.
    as_of : date, optional
        Last day that is known; None: that of the forecast.
    months : int, optional
        Months to plan; None: those of the forecast.
    options : StaffingOptions
    seed : int
        Of the places that travel is drawn from, and of every simulation.

    Returns
    -------
    Headcount
        `required` is what the promises need that people can keep; `headcount` people today; `hire` and
        `train` count on their first day. Shares kept and `bound_` columns are those of the planned staffing
        (people today, hired, trained and lent); a bound of parts, repair or reach holds whatever the number
        of people.

    Raises
    ------
    DataError
        Units, work orders or regions are missing, or the forecast is shorter than the months asked for.
    """
    reason = can_size(data)
    if reason:
        absent = [name for name in ("units", "work_orders", "regions") if data.tables[name].empty]
        raise DataError(
            [
                Problem(name, 0, "", "", reason, "give the table, or leave the head count out")
                for name in absent
            ]
        )
    known = pd.Timestamp(as_of) if as_of is not None else pd.Timestamp(demand.as_of)
    ahead = pd.DatetimeIndex(np.sort(pd.DatetimeIndex(demand.table["month"]).unique()))
    if months is not None:
        asked = months_after(known, months)
        if not asked.isin(ahead).all():
            last = f"{ahead.max():%Y-%m}" if len(ahead) else "no month"
            raise problem_in_argument(
                "size_headcount",
                "months",
                months,
                f"lies within the forecast, which ends with {last}",
                "forecast more months, or size fewer",
            )
        ahead = asked
    stock = None if levels is None else levels.table
    load = build_workload(data, demand.table, stock, ahead, known, options, getattr(demand, "visits", None))
    promises, desk, desk_limits, promise_notes = read_promises(data.promises, options)
    duty, duty_notes = duty_of(options, data.promises)
    teams = Teams(data.engineers, pd.Index(sorted(data.regions["region_id"])))
    model = region_rows(data, load, teams, ahead, options, seed, duty)
    rows, repairs, hours = model.rows, model.repairs, model.hours
    shown = PlanRows(
        teams.regions,
        ahead,
        rows,
        repairs,
        promises,
        hours["back"],
        model.units,
        load.profile,
        options,
        duty,
    )
    if not duty.round_the_clock:
        promises, on_shift = shift_promises(data.promises, promises, duty)
        shown = shown._replace(promises=promises, on_shift=on_shift, profile=load.week)
    sized, phases, nights, searched, attained = _size(shown, load, hours, options, seed)
    count = len(teams.regions)
    needed = people_needed(sized, model, load, teams, options, duty)
    by_skill = needed.by_skill
    stages = data.regions.set_index("region_id")["market_stage"]
    plan = plan_months(needed, teams, model, stages, ahead, options)
    at_work = (plan.output + plan.overtime).sum(axis=1) + (1.0 - options.squad_loss_share) * plan.squad
    effective = at_work.reshape(-1)
    posts = on_duty(effective, duty, options)
    if duty.round_the_clock:
        kept = _kept_by(posts, rows, promises, repairs, phases)
    else:
        # Another seed than that of the search, which chose the luckiest number.
        kept, simulated = shift_kept(shown, posts, phases, seed + 1)
    answered = _desk(load, ahead, desk, desk_limits, promises.target, options)
    respond = np.where(desk, np.tile(answered.kept, (count, 1)), kept.respond)
    bound = _bounds(kept, sized, promises)
    worked = hours["hours"] + moved_hours(plan, needed, teams, ahead).reshape(-1)
    used = worked / np.maximum(effective * hours["paid_hours"], 1e-9)
    decided = None
    if duty.round_the_clock:
        of = what_decides(rows, sized.servers, sized, promises, repairs, phases)
        decided = decided_short(of, promises, PRIORITIES)
    table = headcount_table(
        teams, ahead, load, plan, by_skill, used, respond, kept.resolve, bound, sized, hours, duty, decided
    )
    notes = [
        *option_rows("staffing", options),
        *load.assumptions,
        *promise_notes,
        *duty_notes,
        *on_call_note(duty, options),
        *model.notes,
        *teams.notes,
        {
            "stage": "staffing",
            "name": "desk_people",
            "value": answered.people,
            "unit": "people",
            "origin": f"solver: at least {answered.bound:.3g}",
            "meaning": f"work the shifts of the national desk; {answered.heads} to employ, with absence",
        },
        {
            "stage": "staffing",
            "name": "head_count_gap",
            "unit": "share",
            "origin": f"solver: {plan.status}",
            "value": f"{max(plan.cost - plan.bound, 0) / max(plan.bound, 1e-9):.4f}",
            "meaning": "cost of hiring, training and lending above the least possible",
        },
    ]
    workload = workload_table(load, sized, hours, kept)
    regions = region_table(table, workload)
    view = headquarters_view(table, workload, regions, shown, model, teams, phases, known, seed)
    cures = find_cures(data, demand, levels, teams.regions, model, sized, promises, phases, options, seed)
    lines = summary_lines(table, plan, bound, answered, teams, ahead) + tuple(
        cure_lines(cures, bound, levels is not None)
    )
    lines += tuple(night_lines(nights, duty))
    if duty.round_the_clock:
        simulated = pd.DataFrame()
    if duty.round_the_clock and (options.simulate_years or options.simulate_orders):
        simulated = simulate_plan(shown, posts, kept, seed, options.simulate_orders)
        how = f"{options.simulate_years} years" if options.simulate_years else "each region's fullest month"
        lines += (f"Simulated {how}: {simulated['kept'].sum()} of {len(simulated)} promises kept",)
    return Headcount(
        table,
        assumptions_frame(notes),
        lines,
        workload,
        simulated,
        regions,
        desk=answered.desk,
        shifts=answered.shifts,
        nights=nights,
        searched=searched,
        attained=attained,
        places=model.places,
        towns=model.clusters,
        estimates=load.estimates,
        marginal=view.marginal,
        benchmark=view.benchmark,
        scale=view.scale,
        moves=plan.moves,
        shortages=plan.shortages,
        alternatives=plan.alternatives,
        inspections=plan.inspections,
        **cures,
    )


def _size(
    plan: PlanRows, load: Workload, hours: dict[str, FloatArray], options: StaffingOptions, seed: int
) -> ShiftPlan:
    """Engineers on duty: by formula round the clock or by shift, then by simulation."""
    search = options.search_by_simulation != "none"
    if not plan.duty.round_the_clock:
        return size_shifts(plan, search, seed)
    rows, promises, repairs = plan.rows, plan.promises, plan.repairs
    phases = day_phases(load.profile, float(np.average(hours["visit_hours"], weights=hours["visits"] + 1e-9)))
    sized = size_rows(
        rows,
        promises,
        repairs,
        phases=phases,
        least_gain=options.least_gain,
        reach_engineers=options.reach_engineers,
    )
    if not search:
        return ShiftPlan(sized, phases, pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    found = search_plan(plan, sized, phases, options.search_by_simulation == "all", seed)
    kept = promises_kept(rows, np.maximum(found.servers, 1), promises, repairs, phases)
    sized = sized._replace(servers=found.servers, kept=kept)
    return ShiftPlan(sized, phases, pd.DataFrame(), found.table, found.attained)


def _kept_by(
    posts: FloatArray,
    rows: RegionRows,
    promises: Promises,
    repairs: Repairs,
    phases: Phases,
) -> Kept:
    """Share kept by engineers on duty; a fraction means that now and then there is one more."""
    low = np.floor(posts + 1e-9).astype(np.int64)
    part = np.clip(posts - low, 0.0, 1.0)
    below = promises_kept(rows, low, promises, repairs, phases)
    above = promises_kept(rows, low + 1, promises, repairs, phases)
    mixed = [
        (1.0 - part.reshape(-1, *[1] * (b.ndim - 1))) * b + part.reshape(-1, *[1] * (b.ndim - 1)) * a
        for b, a in zip(below, above, strict=True)
    ]
    return Kept(*mixed)


def _desk(
    load: Workload,
    months: pd.DatetimeIndex,
    desk: NDArray[np.bool_],
    limits: FloatArray,
    targets: FloatArray,
    options: StaffingOptions,
) -> DeskPlan:
    """Plan the national desk, which hears of all but inspections."""
    calls = load.orders[load.orders["kind"] != "inspection"]
    table = calls.pivot_table("orders", "month", "priority", "sum").reindex(
        index=months, columns=list(PRIORITIES)
    )
    hours = days_in_month(months)[:, None] * HOURS_PER_DAY
    rates = desk_calls(table.fillna(0.0).to_numpy() / hours, options)
    return plan_desk(rates, load.week, limits, targets, desk, options)


def _bounds(kept: Kept, sized: Sized, promises: Promises) -> NDArray[np.str_]:
    """Name what keeps each promise from being kept by the planned staffing."""
    bound = np.full(sized.respond_cause.shape, NONE)
    for share, cause in ((kept.resolve, sized.resolve_cause), (kept.respond, sized.respond_cause)):
        broken = share < promises.target - 1e-9
        # People cure a night without a shift, if not more of them by day.
        named = np.where((cause == NONE) | (cause == NIGHT), STAFF, cause)
        bound = np.where(broken, named, bound)
    return bound
