"""The monthly run from tables to plan: the only place that knows the order of the stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from spareplan import frozen
from spareplan import overrides as planners
from spareplan.classify import grade_parts
from spareplan.config import PlanConfig, option_rows
from spareplan.exceptions import find_exceptions
from spareplan.feedback import apply_corrections, corrections_from
from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.last_buy import last_buys
from spareplan.forecast.last_buy_result import last_buy_exceptions
from spareplan.plan_words import carried_lines, dropped_rows, plan_figures, run_rows, summary_lines
from spareplan.results import Plan, assumptions_frame
from spareplan.staffing.headcount import can_size, size_headcount
from spareplan.stocking.levels import optimize_levels
from spareplan.stocking.replenish import plan_replenishment
from spareplan.stocking.simulation import simulate_levels
from spareplan.store import PlanStore
from spareplan.tables.dataset import Dataset
from spareplan.tables.schema import TEXT

STEPS = ("forecast", "grades", "stock levels", "simulation", "replenishment", "head count", "exceptions")
# Each step is told in so many parts.
STEP_PARTS = 1000
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
    history: PlanStore | Mapping[Any, Plan] | Iterable[Plan] | None = None,
) -> Plan:
    """Run the whole month: forecast, grade, stock, simulate, replenish, size the crew.

    Parameters
    ----------
    data : Dataset
    config : PlanConfig, optional
        None: all defaults.
    progress : callable, optional
        Called with (name of the step, done, all) before each step, within the search for stock levels, and
        once at the end; all stays the same, so that done tells the time left. An interrupt within that search
        ends it with the best levels so far, as in `optimize_levels`.
    previous : Plan, optional
        The plan before, usually the version that was issued last. Its overrides live on until they expire or
        are withdrawn, together with those its store holds; within `config.frozen_weeks` what it issued stays.
    history : PlanStore, mapping or iterable of Plan, optional
        Plans of earlier months: the forecast is corrected by what they kept missing
        (`config.learn_from_last`). None: the plan before alone. A store also gives the overrides it holds.

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
    left_out = dropped_rows(data)
    before = None if previous is None else previous.inputs.get("overrides")
    data, lost = planners.gather_overrides(data, _typed(previous, history), before)
    left_out += lost
    given_parts = data.parts
    data = planners.apply_to_parts(data, as_of)

    say("forecast")
    demand = forecast_demand(data, months=config.months, as_of=as_of, options=config.forecast)
    corrections = None
    past: Any = [previous] if history is None and previous is not None else history
    if past is not None and config.learn_from_last:
        corrections = corrections_from(past, data, as_of=as_of)
        demand = apply_corrections(demand, corrections)
    if previous is not None and horizon is not None:
        demand = frozen.keep_months(demand, previous, horizon, data, as_of)
    demand = planners.apply_to_demand(demand, data, as_of, horizon)

    say("grades")
    grades = grade_parts(data, demand, thresholds=config.thresholds)
    grades = planners.apply_to_grades(grades, data, as_of)

    say("stock levels")
    fixed = planners.fixed_levels(data, as_of, demand.table["part_id"])
    bounds = planners.level_bounds(data, as_of, demand.table["part_id"])
    levels = optimize_levels(
        data,
        demand,
        grades,
        budget=config.budget,
        fixed=fixed,
        options=config.stocking,
        progress=_within("stock levels", progress),
        bounds=bounds,
        previous=None if previous is None else frozen.levels_before(previous),
    )
    levels = planners.apply_to_levels(levels, data, as_of)
    held = None
    if previous is not None and horizon is not None and horizon.order_weeks:
        decided = pd.concat([fixed, bounds], ignore_index=True)
        held = frozen.hold(previous, data, horizon, decided)
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
        released=None if held is None else held.released,
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
            data,
            demand,
            levels,
            as_of=as_of,
            months=config.months,
            options=config.staffing,
            seed=config.seed,
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
            *run_rows(data, as_of, config, previous),
            *([] if held is None else held.noted),
        ]
    )
    assumptions = pd.concat([general, *(stage.assumptions for stage in stages)], ignore_index=True)
    inputs = {name: data.tables[name] for name in KEPT_TABLES}
    inputs |= {"parts": planners.beside_given(data.parts, given_parts), "applied_overrides": applied}
    lines = summary_lines(demand, grades, levels, check, orders, crew, exceptions, as_of, config, left_out)
    lines += carried_lines(previous, horizon, None if held is None else len(held.orders), applied)
    if corrections is not None:
        inputs["corrections"] = corrections.table
        lines += corrections.lines[:2]
    if progress:
        progress("done", STEP_PARTS * len(STEPS), STEP_PARTS * len(STEPS))
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
    figures = pd.DataFrame({name: plan_figures(plan) for name, plan in plans.items()})
    return figures.rename_axis("figure")


def _typed(previous: Plan | None, history: Any) -> pd.DataFrame | None:
    """Overrides that the plan store holds, where there is one."""
    if isinstance(history, PlanStore):
        return history.overrides()
    return None if previous is None else previous.typed_overrides


def _steps(progress: Progress | None) -> Callable[[str], None]:
    def say(step: str) -> None:
        if progress:
            progress(step, STEP_PARTS * STEPS.index(step), STEP_PARTS * len(STEPS))

    return say


def _within(step: str, progress: Progress | None) -> Progress | None:
    """Progress inside one step of the plan, told as a part of the whole plan."""
    if progress is None:
        return None
    tell, before = progress, STEP_PARTS * STEPS.index(step)

    def inside(name: str, done: int, total: int) -> None:
        share = STEP_PARTS * done // max(total, 1)
        tell(f"{step}: {name}", before + share, STEP_PARTS * len(STEPS))

    return inside
