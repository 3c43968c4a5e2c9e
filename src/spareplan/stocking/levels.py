"""DOOR: stock levels that keep every promise for the least money, and the proof of how near they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from spareplan.config import StockingOptions, option_rows
from spareplan.errors import InfeasibleError, problem_in_argument
from spareplan.results import PartGrades, StockLevels, assumptions_frame
from spareplan.stocking._forest import Forest
from spareplan.stocking.finding import Found, find_levels, floor_money, price_promises
from spareplan.stocking.in_window import (
    group_fill,
    lifted,
    needed_fill,
    shortened,
    window_service,
    window_shares,
)
from spareplan.stocking.leadtime import network_tables, pipeline_rates
from spareplan.stocking.marginal import best_for_budget, draw_curve
from spareplan.stocking.pricing import MODELS, Pipelines, price
from spareplan.stocking.promises import Promises
from spareplan.stocking.publish import level_lines, level_table, service_table, shadow_price_table
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets, refuse_unreachable
from spareplan.stocking.wishes import PlanTables, plan_tables, today_levels

if TYPE_CHECKING:
    from spareplan.results import DemandForecast
    from spareplan.tables.dataset import Dataset

Progress = Callable[[str, int, int], None]


def solve_levels(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    targets: pd.DataFrame | None = None,
    budget: float | None = None,
    method: Literal["exact", "two_moment", "metric"] = "exact",
    engine: str = "local",
    progress: Progress | None = None,
    limits: pd.DataFrame | None = None,
) -> StockLevels:
    """Stock levels that keep every target for the least money, on any tree of sites.

    Parameters
    ----------
    sites : DataFrame
        site_id, parent_id (empty at the one HQ), lead_time_days (from the parent). [days]
    parts : DataFrame
        part_id, unit_cost, lead_time_days (supplier to HQ); group if targets have one; optional
        repairable_share,
        repair_days, and order_quantity (at HQ: ordered in such quantities, default 1). [money, days, pieces]
    rates : DataFrame
        part_id, site_id, demand_per_day; optional vmr, rate_cv2, repair_share_site, repair_days_site.
    targets : DataFrame, optional
        site_id [, group], target_wait_days and/or target_fill_rate: over the site's own demand, weighted by
        it. Sites without a target are free. [days, share]
    budget : float, optional
        Most money. Without targets: the least demand x wait for the money. With targets: they stay hard.
        [money]
    method : {"exact", "two_moment", "metric"}
        Evaluation. Under "exact", parts with overdispersed demand are evaluated by two moments, as
        `evaluate_levels` does; cost, service and lower bound are those of that evaluation.
    engine : str
        Where the work runs ("local" uses the cores of this machine).
    progress : callable, optional
        Called with (step, done, all).
    limits : DataFrame, optional
        part_id, site_id, at_least and/or at_most (empty: none): floors and ceilings of base stock. [pieces]

    Returns
    -------
    StockLevels
        A row per part x every site from each demanding site up to HQ. `lower_bound` holds for all whole
        levels under the same evaluation.

    Raises
    ------
    DataError
        Faults of the tables, all at once.
    InfeasibleError
        Targets that no stock can keep, or a budget below the least (`least`).
    """
    if method not in MODELS:
        raise problem_in_argument(
            "solve_levels", "method", method, "is no evaluation", f"use {', '.join(MODELS)}"
        )
    if budget is not None and not (np.isfinite(budget) and budget >= 0):
        raise problem_in_argument(
            "solve_levels", "budget", budget, "is no amount of money", "give 0 or more, or None"
        )
    forest, pipelines = read_pipelines(sites, parts, rates, method, limits)
    promises = read_targets(targets, parts, forest, pipelines)
    refuse_unreachable(pipelines, promises)
    if len(promises) or budget is None:
        found = find_levels(pipelines, promises, progress=progress)
    else:
        refuse_floors(pipelines, budget)
        found = best_for_budget(pipelines, budget, progress)
    refuse_budget(found, promises, budget)
    return stock_levels(
        forest,
        pipelines,
        promises,
        found,
        assumptions_frame(_assumptions(method, pipelines, budget)),
        least_budget=found.cost if budget is not None and len(promises) else None,
        draw_curve=partial(draw_curve, pipelines, promises, found),
    )


def optimize_levels(
    data: Dataset,
    demand: DemandForecast,
    grades: PartGrades,
    budget: float | None = None,
    fixed: pd.DataFrame | None = None,
    options: StockingOptions | None = None,
    progress: Progress | None = None,
) -> StockLevels:
    """Stock levels of all parts at all sites that keep the promise of every site x tier for the least money.

    Parameters
    ----------
    data : Dataset
    demand : DemandForecast
        Its rates and their spread over each part's protection interval enter.
    grades : PartGrades
        Tier, planner and promised service of every part; the parts of a tier share their site's promise.
    budget : float, optional
        Most money in base stock. [money]
    fixed : DataFrame, optional
        part_id, site_id, base_stock: levels that planners have set; the others are planned around them.
        [pieces]
    options : StockingOptions, optional
        None: the defaults.
    progress : callable, optional
        Called with (step, done, all).

    Returns
    -------
    StockLevels
        With tier in `.table` (and model_base_stock, where levels are fixed: what the shadow prices of this
        plan let the model hold there), site_id and tier in `.service` and `.shadow_prices`; `.curve()` draws
        money against service through this plan, with today's settings as a point.

    Raises
    ------
    DataError
        `fixed` names unknown parts or sites, or levels that are no whole pieces.
    InfeasibleError
        The budget or the fixed levels cannot keep the promises.
    """
    options = options or StockingOptions()
    if budget is not None and not (np.isfinite(budget) and budget >= 0):
        raise problem_in_argument(
            "optimize_levels", "budget", budget, "is no amount of money", "give 0 or more"
        )
    sites, parts = network_tables(data)
    rates = pipeline_rates(data, demand)
    tables = plan_tables(sites, parts, rates, data.parts, grades.table, fixed, options)
    forest, pipelines = read_pipelines(
        tables.sites, tables.parts, tables.rates, options.method, tables.limits
    )
    promised = read_targets(tables.targets, tables.parts, forest, pipelines)
    refuse_unreachable(pipelines, promised)
    if not len(promised):
        refuse_floors(pipelines, budget)
    found, promises, in_window, windows = _with_windows(
        forest, pipelines, promised, tables, options.method, progress
    )
    refuse_budget(found, promises, budget)
    today = today_levels(data.stock, forest, pipelines)
    assumptions = [
        *option_rows("stocking", options),
        *_assumptions(options.method, pipelines, budget)[1:],
        *tables.implied,
    ]
    result = stock_levels(
        forest,
        pipelines,
        promises,
        found,
        assumptions_frame(assumptions),
        least_budget=None if budget is None else found.cost,
        draw_curve=partial(draw_curve, pipelines, promises, found, today=today),
    )
    if len(tables.limits):
        result.table["model_base_stock"] = _own_levels(forest, tables, promises, found, options.method)
    if len(tables.windows):
        result.table["in_window"] = in_window
        service = service_table(promised, found.state)
        result = replace(result, service=pd.concat([service, windows], ignore_index=True))
    return with_plan_columns(result, data, grades, tables, promises)


def _own_levels(
    forest: Forest, tables: PlanTables, promises: Promises, found: Found, method: str
) -> np.ndarray:
    """Base stocks as in the table, and where planners set one the model's own at the prices of this plan."""
    free = read_pipelines(tables.sites, tables.parts, tables.rates, method)[1]
    own = price(free, *promises.worth(found.prices), guess=found.levels).levels
    back = np.argsort(free.forest_rows, kind="stable")
    rows = pd.MultiIndex.from_arrays([forest.part_ids.take(forest.part), forest.site_ids.take(forest.site)])
    fixed = rows.isin(pd.MultiIndex.from_frame(tables.limits[["part_id", "site_id"]]))
    return np.where(fixed, own[back], found.levels[back])


def _with_windows(
    forest: Forest,
    pipelines: Pipelines,
    promised: Promises,
    tables: PlanTables,
    method: str,
    progress: Progress | None,
) -> tuple[Found, Promises, np.ndarray, pd.DataFrame]:
    """Levels that keep window promises as well: by fill rate first, then by no more than needed."""
    if not len(tables.windows):
        return find_levels(pipelines, promised, progress=progress), promised, np.empty(0), pd.DataFrame()
    window = tables.parts["window_days"].to_numpy(dtype=float)[forest.part]
    groups = tables.parts["group"]
    fill = tables.windows["target_in_window"].to_numpy(dtype=float)
    bound = max(price_promises(pipelines, promised)[0].bound, _window_bound(tables, method))
    best: tuple[Found, Promises, np.ndarray, pd.DataFrame] | None = None
    for _ in range(2):
        targets = lifted(tables.targets, tables.windows, fill)
        promises = read_targets(targets, tables.parts, forest, pipelines)
        refuse_unreachable(pipelines, promises)
        found = find_levels(pipelines, promises, progress=progress)
        shares = window_shares(forest, pipelines, found.levels, window, method)
        service = window_service(forest, shares, groups, tables.windows)
        if best is None or (service["kept"].all() and found.cost < best[0].cost):
            # Either bound leaves out promises or eases them, so both hold for all of them.
            best = replace(found, bound=min(bound, found.cost)), promises, shares, service
        if found.interrupted:
            break
        fill = needed_fill(group_fill(forest, pipelines, found, groups, tables.windows), service)
    assert best is not None
    return best


def _window_bound(tables: PlanTables, method: str) -> float:
    """Least money for the windows, told by fill rates over ways shortened by the windows."""
    sites, targets = shortened(tables.sites, tables.targets, tables.windows)
    forest, pipelines = read_pipelines(sites, tables.parts, tables.rates, method, tables.limits)
    promises = read_targets(targets, tables.parts, forest, pipelines)
    return price_promises(pipelines, promises)[0].bound


def with_plan_columns(
    result: StockLevels, data: Dataset, grades: PartGrades, tables: PlanTables, promises: Promises
) -> StockLevels:
    """Add what only the dataset and the grades know: region, planner and tier of every row."""
    table = result.table
    graded = grades.table.set_index("part_id")
    table["region_id"] = table["site_id"].map(data.sites.set_index("site_id")["region_id"])
    table["planner"] = table["part_id"].map(graded["planner"])
    table["tier"] = table["part_id"].map(graded["tier"])
    tier = tables.tier_of_group
    service = result.service.assign(tier=result.service["part_group"].map(tier))
    prices = result.shadow_prices.assign(
        site_id=promises.table["site_id"].to_numpy(), tier=promises.table["part_group"].map(tier).to_numpy()
    )
    return replace(result, table=table, service=service, shadow_prices=prices)


def stock_levels(
    forest: Forest,
    pipelines: Pipelines,
    promises: Promises,
    found: Found,
    assumptions: pd.DataFrame,
    **more: Any,
) -> StockLevels:
    """Assemble the result from levels that were found.

    Parameters
    ----------
    forest, pipelines, promises, found
        As they came.
    assumptions : DataFrame
        Of the result.
    **more
        Further fields of the result.

    Returns
    -------
    StockLevels
    """
    table = level_table(forest, pipelines, promises, found)
    service = service_table(promises, found.state)
    prices = shadow_price_table(promises, found.prices)
    lines = level_lines(table, service, found)
    return StockLevels(
        table=table,
        assumptions=assumptions,
        lines=lines,
        cost=found.cost,
        lower_bound=found.bound,
        service=service,
        shadow_prices=prices,
        **more,
    )


def refuse_floors(pipelines: Pipelines, budget: float | None) -> None:
    """Refuse a budget below what floors and order quantities tie up.

    Raises
    ------
    InfeasibleError
        With the least budget.
    """
    floor = floor_money(pipelines)
    if budget is not None and floor > budget * (1 + 1e-12):
        raise InfeasibleError(
            f"a budget of {budget:,.2f} does not pay for the fixed levels and order quantities: they need "
            f"{floor:,.2f}",
            least=floor,
        )


def refuse_budget(found: Found, promises: Promises, budget: float | None) -> None:
    """Refuse a budget below what the targets need.

    Raises
    ------
    InfeasibleError
        With the least budget and the promises that cost most.
    """
    if budget is None or found.cost <= budget * (1 + 1e-12):
        return
    clashes = shadow_price_table(promises, found.prices).merge(
        promises.table[["group", "measure", "target"]], on=["group", "measure"]
    )
    clashes = clashes[clashes["price"] > 0].sort_values(
        "price", ascending=False, kind="stable", ignore_index=True
    )
    dearest = ", ".join(f"{row.group} ({row.measure} {row.target:g})" for row in clashes.head(3).itertuples())
    raise InfeasibleError(
        f"a budget of {budget:,.2f} cannot keep all targets: the least that does is {found.cost:,.2f} "
        f"(no levels do it below {found.bound:,.2f}). Dearest: {dearest}. Give "
        f"{found.cost - budget:,.2f} more or "
        "loosen these",
        clashes=clashes,
        least=found.cost,
    )


def _assumptions(method: str, pipelines: Pipelines, budget: float | None) -> list[dict[str, Any]]:
    wild = int((pipelines.model == MODELS["two_moment"]).sum()) if method == "exact" else 0
    return [
        {
            "stage": "stocking",
            "name": "method",
            "value": method,
            "origin": "default" if method == "exact" else "set by the user",
            "meaning": "evaluation of stock levels; cost, service and lower bound hold for it",
        },
        {
            "stage": "stocking",
            "name": "parts_by_two_moments",
            "value": wild,
            "unit": "parts",
            "origin": "data: rates.vmr, rates.rate_cv2",
            "meaning": "demand varies more than Poisson: matched in mean and variance",
        },
        {
            "stage": "stocking",
            "name": "budget",
            "value": budget,
            "unit": "money",
            "origin": "default" if budget is None else "set by the user",
            "meaning": "most money in base stock; empty: what the promises need",
        },
    ]
