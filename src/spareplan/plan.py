"""The monthly run from tables to plan: the only place that knows the order of the stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from spareplan import frozen
from spareplan import overrides as planners
from spareplan.classify import grade_parts
from spareplan.config import PlanConfig, option_rows
from spareplan.exceptions import find_exceptions
from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.last_buy import last_buys
from spareplan.forecast.last_buy_result import last_buy_exceptions
from spareplan.results import (
    Attainment,
    DemandForecast,
    Headcount,
    Orders,
    PartGrades,
    Plan,
    StockLevels,
    assumptions_frame,
)
from spareplan.staffing.headcount import can_size, size_headcount
from spareplan.stocking.levels import optimize_levels
from spareplan.stocking.replenish import plan_replenishment
from spareplan.stocking.simulation import simulate_levels
from spareplan.tables.dataset import Dataset
from spareplan.tables.horizon import FrozenHorizon
from spareplan.tables.schema import TEXT

STEPS = ("forecast", "grades", "stock levels", "simulation", "replenishment", "head count", "exceptions")
# Tables that explanations and exports need again beside the results.
KEPT_TABLES = (
    "products", "fitment", "regions", "sites", "site_repairs", "stock", "open_orders", "overrides",
)  # fmt: skip
Progress = Callable[[str, int, int], None]


def make_plan(
    data: Dataset,
    config: PlanConfig | None = None,
    progress: Progress | None = None,
    previous: Plan | None = None,
) -> Plan:
    """Run the whole month: forecast, grade, stock, simulate, replenish, size the crew.

    Parameters
    ----------
    data : Dataset
    config : PlanConfig, optional
        None: all defaults.
    progress : callable, optional
        Called with (name of the step, steps done, all steps) before each step and once at the end.
    previous : Plan, optional
        The plan before, usually the version that was issued last. Its overrides live on until they expire or
        are withdrawn, together with those its store holds; within `config.frozen_weeks` what it issued stays.

    Returns
    -------
    Plan

    Raises
    ------
    DataError
        The data cannot carry a plan, or the plan before is of a later day.
    InfeasibleError
        The budget cannot keep the promises; `least` names the least that would.
    """
    config = config or PlanConfig()
    say = _steps(progress)
    as_of = data.as_of(config.as_of)
    horizon = frozen.frozen_horizon(previous, as_of, config.frozen_weeks, config.weeks)
    left_out = _dropped_rows(data)
    if previous is not None:
        data, lost = planners.gather_overrides(
            data, previous.typed_overrides, previous.inputs.get("overrides")
        )
        left_out += lost
    given_parts = data.parts
    data = planners.apply_to_parts(data, as_of)

    say("forecast")
    demand = forecast_demand(data, months=config.months, as_of=as_of, options=config.forecast)
    if previous is not None and horizon is not None:
        demand = frozen.keep_months(demand, previous, horizon)
    demand = planners.apply_to_demand(demand, data, as_of, horizon)

    say("grades")
    grades = grade_parts(data, demand, thresholds=config.thresholds)
    grades = planners.apply_to_grades(grades, data, as_of)

    say("stock levels")
    fixed = planners.fixed_levels(data, as_of, demand.table["part_id"])
    levels = optimize_levels(data, demand, grades, budget=config.budget, fixed=fixed, options=config.stocking)
    levels = planners.apply_to_levels(levels, data, as_of)
    held = None
    if previous is not None and horizon is not None and horizon.order_weeks:
        held = frozen.hold(previous, data, horizon, fixed)
        levels = frozen.keep_levels(levels, previous, horizon, held.at_once)

    say("simulation")
    check = simulate_levels(data, demand, levels, years=config.years, seed=config.seed)

    say("replenishment")
    orders = plan_replenishment(
        data,
        demand,
        levels,
        weeks=config.weeks,
        as_of=as_of,
        grades=grades,
        options=config.replenishment,
        kept=None if held is None else held.orders,
        kept_weeks=0 if horizon is None else horizon.order_weeks,
        released=None if held is None else held.at_once,
    )
    orders = planners.apply_to_orders(orders, data, as_of, horizon)

    say("head count")
    crew = None
    if missing := can_size(data):
        left_out.append(
            {"what": "head count", "reason": missing, "remedy": "give the tables named and run again"}
        )
    else:
        crew = size_headcount(
            data, demand, levels, as_of=as_of, months=config.months, options=config.staffing
        )
        crew = planners.apply_to_crew(crew, data, as_of)

    say("exceptions")
    least = config.exception_share * levels.cost
    ends = None
    if data.parts["last_buy_on"].notna().any():
        ends = last_buys(data, demand, risk=config.last_buy_risk, as_of=as_of, options=config.forecast)
    applied = planners.list_overrides(
        data,
        as_of,
        horizon,
        parts=given_parts,
        demand=demand,
        grades=grades,
        levels=levels,
        orders=orders,
        crew=crew,
    )
    own = planners.override_exceptions(applied, data.parts.set_index("part_id")["unit_cost"])
    urgent = own if ends is None else pd.concat([last_buy_exceptions(ends, config.months), own])
    exceptions = find_exceptions(data, demand, levels, check, orders, crew, as_of, least, urgent)
    stages = [stage for stage in (demand, grades, levels, check, orders, crew, ends) if stage is not None]
    general = assumptions_frame(
        [
            *option_rows("plan", config),
            {
                "stage": "plan",
                "name": "as_of used",
                "value": f"{as_of:%Y-%m-%d}",
                "origin": "set by the user" if config.as_of else "end of the month of the latest record",
                "meaning": "last day known",
            },
            *_before(previous),
            *([] if held is None else held.noted),
            *_missing_tables(data),
            *(
                {
                    "stage": "data",
                    "name": str(row.table),
                    "value": str(row.note),
                    "origin": "data: notes",
                    "meaning": "noticed while reading",
                }
                for row in data.notes.itertuples(index=False)
            ),
            *(
                {
                    "stage": "data",
                    "name": name,
                    "value": words,
                    "origin": "assumed by the user",
                    "meaning": "stands in for what the data lacks",
                }
                for name, words in sorted(data.assumed.items())
            ),
        ]
    )
    assumptions = pd.concat([general, *(stage.assumptions for stage in stages)], ignore_index=True)
    inputs = {name: data.tables[name] for name in KEPT_TABLES}
    inputs |= {"parts": planners.beside_given(data.parts, given_parts), "applied_overrides": applied}
    lines = _summary(demand, grades, levels, check, orders, crew, exceptions, as_of, config, left_out)
    lines += _carried(previous, horizon, held, applied)
    if progress:
        progress("done", len(STEPS), len(STEPS))
    return Plan(
        demand,
        grades,
        levels,
        check,
        orders,
        crew,
        exceptions,
        assumptions,
        pd.DataFrame(left_out, columns=["what", "reason", "remedy"], dtype=TEXT),
        config,
        as_of,
        inputs,
        lines,
        pd.DataFrame() if ends is None else ends.table,
    )


def compare_plans(plans: Mapping[str, Plan]) -> pd.DataFrame:
    """Plans side by side.

    Parameters
    ----------
    plans : mapping of str to Plan

    Returns
    -------
    DataFrame
        Index "figure" (with its unit), a column per plan.
    """
    figures = pd.DataFrame({name: _figures(plan) for name, plan in plans.items()})
    return figures.rename_axis("figure")


def _before(previous: Plan | None) -> list[dict[str, str]]:
    """The plan before among the assumptions."""
    if previous is None:
        return []
    number = "" if previous.version is None else f"version {previous.version}, "
    return [
        {
            "stage": "plan",
            "name": "plan before",
            "value": f"{number}as of {previous.as_of:%Y-%m-%d}",
            "origin": "set by the user",
            "meaning": "its overrides live on; what it issued for the frozen weeks stays",
        }
    ]


def _carried(
    previous: Plan | None,
    horizon: FrozenHorizon | None,
    held: frozen.Held | None,
    applied: pd.DataFrame,
) -> tuple[str, ...]:
    """What the plan before and the planners left in this one, in words."""
    lines = []
    if previous is not None:
        number = "" if previous.version is None else f"version {previous.version}, "
        line = f"Follows {number}the plan as of {previous.as_of:%Y-%m-%d}"
        if horizon is not None and held is not None:
            line += f": {len(held.orders):,} orders it issued stay until {horizon.orders_until:%Y-%m-%d}"
        lines.append(line + ".")
    if len(applied):
        counts = applied["status"].value_counts().sort_index()
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        lines.append(f"{len(applied)} overrides: {told}.")
    return tuple(lines)


def _steps(progress: Progress | None) -> Callable[[str], None]:
    def say(step: str) -> None:
        if progress:
            progress(step, STEPS.index(step), len(STEPS))

    return say


def _dropped_rows(data: Dataset) -> list[dict[str, str]]:
    return [
        {
            "what": f"{row.table} row {row.row}: {row.column} = {row.value}",
            "reason": str(row.rule),
            "remedy": str(row.remedy),
        }
        for row in data.dropped.itertuples(index=False)
    ]


MISSING_MEANS = {
    "stock": "nothing is on hand",
    "open_orders": "nothing is on order beside stock.on_order",
    "reservations": "nothing is reserved",
    "sales_plan": "no machines are sold or retired beyond today's fleet",
    "targets": "the fill rates of the thresholds are promised",
    "promises": "the default P1 to P4 promises hold",
    "usage": "age counts in calendar days",
    "calendar": "every Monday to Friday is a working day",
    "engineers": "no engineers are present",
    "work_orders": "nothing is known of visits, travel and outcomes",
    "site_repairs": "nothing is repaired at the sites",
    "overrides": "no planner changed a number",
}


def _missing_tables(data: Dataset) -> list[dict[str, str]]:
    return [
        {"stage": "data", "name": table, "value": "not given", "origin": "missing table", "meaning": implied}
        for table, implied in MISSING_MEANS.items()
        if table not in data.given
    ]


def _summary(
    demand: DemandForecast,
    grades: PartGrades,
    levels: StockLevels,
    check: Attainment,
    orders: Orders,
    crew: Headcount | None,
    exceptions: pd.DataFrame,
    as_of: pd.Timestamp,
    config: PlanConfig,
    left_out: list[dict[str, str]],
) -> tuple[str, ...]:
    table, moves = levels.table, orders.table
    kept = check.table["kept"]
    lines = [
        f"Plan as of {as_of:%Y-%m-%d}: {table['part_id'].nunique():,} parts at "
        f"{table['site_id'].nunique():,} sites, "
        f"{config.months} months ahead.",
        f"Money in base stock {levels.cost:,.0f}; no plan that keeps the same promises can cost less than "
        f"{levels.lower_bound:,.0f} (gap {levels.gap:.2%}).",
        f"Service: {levels.served_share(demand.table):.1%} of demand is met from the shelf; simulation of "
        f"{config.years} years keeps "
        f"{int(kept.sum())} of {len(kept)} promises.",
        "Who plans: "
        + ", ".join(
            f"{count:,} parts {str(planner).replace('_', ' ')}"
            for planner, count in grades.table["planner"].value_counts().sort_index().items()
        )
        + ".",
    ]
    if len(moves):
        bought = moves[moves["kind"] == "purchase"]
        urgent = moves[moves["kind"] == "emergency"]
        lines.append(
            f"Orders for {config.weeks} weeks: {len(moves):,} worth {moves['value'].sum():,.0f}, of these "
            f"{len(bought):,} purchases worth {bought['value'].sum():,.0f} and {len(urgent):,} emergencies."
        )
    else:
        lines.append(f"No orders are needed in the next {config.weeks} weeks.")
    if crew is not None and len(crew.table):
        lines += list(crew.lines[:2])
    if len(exceptions):
        worst = exceptions.iloc[0]
        lines.append(f"{len(exceptions):,} exceptions; the worst: {worst['message']} -> {worst['action']}")
    lines += [f"Left out: {row['what']} ({row['reason']})" for row in left_out[:3]]
    return tuple(lines)


def _figures(plan: Plan) -> dict[str, float]:
    levels, orders = plan.levels, plan.orders.table
    figures = {
        "money in base stock [money]": levels.cost,
        "lower bound [money]": levels.lower_bound,
        "gap to the bound [share]": levels.gap,
        "demand met from the shelf [share]": levels.served_share(plan.demand.table),
        "expected backorders at the sites [pieces]": float(
            levels.table.loc[levels.table["region_id"].notna(), "ebo"].sum()
        ),
        "pieces in base stock [pieces]": float(levels.table["base_stock"].sum()),
        "expected demand in the horizon [pieces]": float(plan.demand.table["mean"].sum()),
        "orders [count]": float(len(orders)),
        "value of orders [money]": float(orders["value"].sum()),
        "value of purchases [money]": float(orders.loc[orders["kind"] == "purchase", "value"].sum()),
        "emergency orders [count]": float((orders["kind"] == "emergency").sum()),
        "exceptions [count]": float(len(plan.exceptions)),
    }
    if plan.check is not None:
        figures["promises kept in simulation [share]"] = float(plan.check.table["kept"].mean())
    if plan.crew is not None and len(plan.crew.table):
        by_month = plan.crew.table.groupby("month")[["required", "headcount"]].sum()
        figures["engineers required, busiest month [people]"] = float(by_month["required"].max())
        figures["engineers present, first month [people]"] = float(by_month["headcount"].iloc[0])
    return figures
