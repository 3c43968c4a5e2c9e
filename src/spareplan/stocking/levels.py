"""DOOR: stock levels that keep every promise for the least money, and the proof of how near they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from spareplan.config import StockingOptions, option_rows
from spareplan.engine import check_engine
from spareplan.errors import problem_in_argument
from spareplan.results import PartGrades, StockLevels, assumptions_frame
from spareplan.stocking._faults import money_or_none, refuse_no_tables
from spareplan.stocking.asked import Asked, read_wishes
from spareplan.stocking.branching import branch_on_stocks
from spareplan.stocking.capped import cap_lines, caps_table, find_within_caps
from spareplan.stocking.caps import without_caps
from spareplan.stocking.ceilings import lay_ceilings
from spareplan.stocking.clashes import refuse_floors
from spareplan.stocking.curve import Frontier, Scope, scopes_of
from spareplan.stocking.finding import Found
from spareplan.stocking.in_window import served_in_window
from spareplan.stocking.leadtime import network_tables, pipeline_rates
from spareplan.stocking.limits import PLANNER
from spareplan.stocking.marginal import Bought, best_for_budget
from spareplan.stocking.pipelines import MODELS
from spareplan.stocking.publish import (
    level_table,
    run_assumptions,
    service_table,
    shadow_price_table,
    with_reached_windows,
)
from spareplan.stocking.shortage import Shortage, serve_or_refuse
from spareplan.stocking.steps import as_one
from spareplan.stocking.telling import level_lines
from spareplan.stocking.unpriced import at_true_prices
from spareplan.stocking.wanted import (
    hold_steady,
    own_levels,
    own_money,
    planner_lines,
    refuse_faulty_wishes,
    third_party_rows,
    with_limit_columns,
    with_plan_columns,
    with_steadiness,
    without_third_party_in_caps,
)
from spareplan.stocking.whole import FEW_ROWS
from spareplan.stocking.wishes import plan_tables, today_levels

if TYPE_CHECKING:
    from spareplan.results import DemandForecast
    from spareplan.tables.dataset import Dataset

Progress = Callable[[str, int, int], None]
SHORT_BUDGETS = ("refuse", "best_service")


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
    caps: pd.DataFrame | None = None,
    short_budget: Literal["refuse", "best_service"] = "refuse",
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
        site_id [, group], target_wait_days, target_fill_rate and/or target_in_window (the share served within
        window_days): over the site's own demand, weighted by it. Sites without a target are free. [days,
        share]
    budget : float, optional
        Most money. Without targets: the least demand x wait for the money. With targets: they stay hard.
        [money]
    method : {"exact", "two_moment", "metric"}
        Evaluation. Under "exact", parts with overdispersed demand are evaluated by two moments, as
        `evaluate_levels` does; cost, service and lower bound are those of that evaluation.
    engine : str
        Where parts are priced: "local" (threads on all cores), "processes", or the address of a Dask
        scheduler. The answer is the same to the last bit. Networks of less than 60,000 part x site rows stay
        in this process; every pass over larger ones sends about 150 bytes per row and back, so other machines
        pay only where they bring many more cores than this one has.
    progress : callable, optional
        Called with (step, done, all): all stays the same through all steps, so that done tells the time left.
        An interrupt (Ctrl-C, or KeyboardInterrupt raised in here) ends the search with the best plan so far
        and a bound that is valid for it, and what was left out is said; before all parts have been priced
        once there is no plan yet, and the interrupt is passed on, as is a second one.
    limits : DataFrame, optional
        part_id, site_id, at_least and/or at_most (empty: none): floors and ceilings of base stock, in whole
        pieces. A floor holds where nothing is demanded, too. [pieces]
    caps : DataFrame, optional
        region_id, cap: what the base stock of a region's sites may cost in all (sites carry region_id).
        [money]
    short_budget : {"refuse", "best_service"}
        With targets and a budget that does not pay for all: refuse it, or give the least shortfall, every
        target valued at the price it has in the plan that keeps them all.

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
    if short_budget not in SHORT_BUDGETS:
        raise problem_in_argument(
            "solve_levels", "short_budget", short_budget, "is unknown", f"use {' or '.join(SHORT_BUDGETS)}"
        )
    budget = money_or_none("solve_levels", budget)
    check_engine("solve_levels", engine)
    given = {"sites": sites, "parts": parts, "rates": rates}
    refuse_no_tables("solve_levels", given, targets=targets, limits=limits, caps=caps)
    told, bought = as_one(progress), None
    if told:
        told("read", 0, 1)
    asked = read_wishes(sites, parts, rates, targets, method, limits, caps)
    asked = replace(asked, pipelines=replace(asked.pipelines, engine=engine))
    if len(asked.promises) or budget is None:
        found = _find(asked, told)
    else:
        refuse_floors(asked.forest, asked.pipelines, budget)
        bought = best_for_budget(asked.pipelines, budget, told)
        found = bought.found
    least = found.cost if budget is not None and len(asked.promises) else None
    short = serve_or_refuse(asked, found, budget, short_budget, progress=told)
    found = found if short is None else short.found

    def tables(found: Found) -> StockLevels:
        if told:
            told("tables", 0, 1)
        return stock_levels(
            asked,
            found,
            assumptions_frame(run_assumptions(method, asked.pipelines, budget)),
            short,
            least_budget=least,
            frontier=Frontier(asked.pipelines, asked.promises, found, _scopes(asked, parts, sites)),
            bought=bought,
        )

    result = _published(tables, found)
    if told:
        told("tables", 1, 1)
    return result


def optimize_levels(
    data: Dataset,
    demand: DemandForecast,
    grades: PartGrades,
    budget: float | None = None,
    fixed: pd.DataFrame | None = None,
    options: StockingOptions | None = None,
    progress: Progress | None = None,
    caps: pd.DataFrame | None = None,
    bounds: pd.DataFrame | None = None,
    previous: pd.DataFrame | None = None,
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
        Called with (step, done, all); an interrupt ends the search, as in `solve_levels`.
    caps : DataFrame, optional
        region_id, cap: what the base stock of a region's sites may cost in all; None: those of the options.
        [money]
    bounds : DataFrame, optional
        part_id, site_id, at_least and/or at_most (empty: none): planners' floors and ceilings. [pieces]
    previous : DataFrame, optional
        part_id, site_id, base_stock: levels of the plan before. Each stays unless a change saves more than
        `options.change_must_save`. [pieces]

    Returns
    -------
    StockLevels
        With tier and decision (decided by HQ, to confirm by the region, a third party's) in `.table`, and
        where it applies previous_base_stock, base_stock_at_least and _at_most, part_group (as whom the part
        is promised) and model_base_stock (what the shadow prices of this plan let the model hold where
        planners set levels); site_id and tier in `.service` and `.shadow_prices`; `.curve()` draws money
        against service through this plan, with today's settings as a point. What third parties stock is no
        part of `.cost`. `.lower_bound` is that of levels free to change.

    Raises
    ------
    DataError
        `fixed`, `bounds`, `caps` or `previous` name unknown parts, sites or regions, or levels that are no
        whole pieces.
    InfeasibleError
        The budget, the caps, the ceilings or the fixed levels cannot keep the promises.
    """
    options = options or StockingOptions()
    budget = money_or_none("optimize_levels", budget)
    told = as_one(progress)
    if told:
        told("read", 0, 1)
    sites, parts = network_tables(data)
    region = data.sites.set_index("site_id")["region_id"]
    sites = sites.assign(region_id=sites["site_id"].map(region))
    caps = caps_table(None, options) if caps is None else caps
    refuse_faulty_wishes(sites, parts, fixed, bounds, caps, previous)
    rates = pipeline_rates(data, demand)
    tables = plan_tables(sites, parts, rates, data.parts, grades.table, fixed, options, bounds)
    asked = read_wishes(
        *(tables.sites, tables.parts, tables.rates, tables.targets),
        options.method,
        tables.limits,
        caps,
        lambda forest, laid: lay_ceilings(forest, laid, data.parts, tables.targets, options),
    )
    outside = third_party_rows(asked, grades.table)
    asked = without_third_party_in_caps(asked, outside)
    if not len(asked.promises):
        refuse_floors(asked.forest, asked.pipelines, budget)
    free = _find(asked, told)
    least = own_money(asked, free, outside).cost
    short = serve_or_refuse(asked, free, budget, options.short_budget, outside, told)
    free = free if short is None else short.found
    # Levels that break promises are no measure for what a change is worth.
    earlier = None if short is not None else previous
    try:
        steady, before = hold_steady(asked, free, earlier, options.change_must_save, budget)
    except KeyboardInterrupt:
        free = replace(free, interrupted=True)
        steady, before = hold_steady(asked, free, earlier, 0.0, budget)
    found = free if steady is None else steady.found
    today = today_levels(data.stock, asked.forest, asked.pipelines)
    assumptions = [
        *option_rows("stocking", options),
        *run_assumptions(options.method, asked.pipelines, budget)[1:],
        *tables.implied,
    ]

    def published(found: Found) -> StockLevels:
        if told:
            told("tables", 0, 1)
        own = own_money(asked, found, outside)
        result = stock_levels(
            asked,
            own,
            assumptions_frame(assumptions),
            short,
            least_budget=None if budget is None else least if short is not None else own.cost,
            frontier=Frontier(
                asked.pipelines,
                asked.promises,
                found,
                scopes_of(
                    asked.forest,
                    asked.pipelines,
                    tables.parts.set_index("part_id")["group"].map(tables.tier_of_group),
                    "tier",
                    region,
                ),
                today,
            ),
        )
        if (tables.limits["who"] == PLANNER).any():
            result.table["model_base_stock"] = own_levels(asked, tables, found, options.method)
        lines = with_limit_columns(result.table, asked, tables.limits, found)
        lines += with_steadiness(result.table, asked, free, steady, before, options)
        result = with_plan_columns(result, region, grades.table, tables, asked.promises)
        lines += cap_lines(asked, found) + planner_lines(result.table)
        return replace(result, lines=(*result.lines, *lines), wishes=tuple(lines))

    result = _published(published, found)
    if told:
        told("tables", 1, 1)
    return result


def _published(publish: Callable[[Found], StockLevels], found: Found) -> StockLevels:
    """Tables of a plan that is there; broken off, once more, with what takes long left out and that said."""
    try:
        return publish(found)
    except KeyboardInterrupt:
        return publish(replace(found, interrupted=True))


def _scopes(asked: Asked, parts: pd.DataFrame, sites: pd.DataFrame) -> dict[str, Scope]:
    """Ways to cut a network of plain tables: by site, and by group and region where the tables know them."""
    group = parts.set_index("part_id")["group"] if "group" in parts else None
    region = sites.set_index("site_id")["region_id"] if "region_id" in sites else None
    return scopes_of(asked.forest, asked.pipelines, group, region=region)


def _find(asked: Asked, told: Callable[[str, int, int], None] | None) -> Found:
    found, promises = find_within_caps(asked, told), asked.promises
    # Bounds under eased promises are no bounds for the ranges of these.
    if asked.eased is not None:
        return found
    # A cap that binds ties all stocks of a region together: with many of them ranges take long.
    few = len(asked.pipelines.stop) <= FEW_ROWS
    binds = (found.prices[promises.is_cap] > 0).any()
    if not binds:
        better = branch_on_stocks(asked.pipelines, without_caps(promises), found, told)
        if promises.kept(promises.used(better.state)).all():
            return better
        found = replace(found, bound=better.bound, interrupted=better.interrupted)
    return branch_on_stocks(asked.pipelines, promises, found, told) if few else found


def stock_levels(
    asked: Asked,
    found: Found,
    assumptions: pd.DataFrame,
    short: Shortage | None = None,
    bought: Bought | None = None,
    **more: Any,
) -> StockLevels:
    """Assemble the result from levels that were found.

    Parameters
    ----------
    asked, found
        As they came.
    assumptions : DataFrame
        Of the result.
    short : Shortage, optional
        Where a budget does not pay for all promises.
    bought : Bought, optional
        Where a budget was spent and nothing was promised.
    **more
        Further fields of the result.

    Returns
    -------
    StockLevels
    """
    table = level_table(asked.forest, asked.pipelines, asked.promises, found)
    service = service_table(asked.promises, found.state)
    if asked.pipelines.windows is not None:
        shares = served_in_window(
            asked.forest, asked.pipelines, found.state, asked.window_days, asked.exact, asked.method
        )
        back = np.argsort(asked.pipelines.forest_rows, kind="stable")
        table["in_window"] = shares[back]
        own, window_days = asked.pipelines.own, asked.window_days
        service = with_reached_windows(service, asked.promises, shares, own, window_days)
    prices = shadow_price_table(asked.promises, found.prices)
    found, assumptions = at_true_prices(asked, table, assumptions, found)
    least = more.get("least_budget")
    return StockLevels(
        table=table,
        assumptions=assumptions,
        lines=level_lines(
            table, service, prices, asked.pipelines, asked.promises, found, short, least, bought
        ),
        cost=found.cost,
        lower_bound=found.bound,
        service=service,
        shadow_prices=prices,
        **more,
    )
