"""DOOR: stock levels that keep every promise for the least money, with the proof how near to the optimum they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, InfeasibleError, Problem, problem_in_argument
from spareplan.results import StockLevels, assumptions_frame
from spareplan.stocking._forest import Forest, numbers, read_forest
from spareplan.stocking.finding import Found, find_levels, floor_money
from spareplan.stocking.pricing import MODELS, Pipelines, lay_out
from spareplan.stocking.promises import Promises
from spareplan.stocking.publish import level_lines, level_table, service_table, shadow_price_table
from spareplan.stocking.targets import read_targets, refuse_unreachable

FloatArray = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
# A part that costs nothing is priced at this share of the mean part, so that its level stays finite.
LEAST_COST_SHARE = 1e-6


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
    """Stock levels that keep every target for the least money in base stock, on any tree of sites.

    Parameters
    ----------
    sites : DataFrame
        site_id, parent_id (empty at the one HQ), lead_time_days (from the parent). [days]
    parts : DataFrame
        part_id, unit_cost, lead_time_days (supplier to HQ); group if targets have one; optional repairable_share,
        repair_days, and order_quantity (at HQ: ordered in such quantities, default 1). [money, days, pieces]
    rates : DataFrame
        part_id, site_id, demand_per_day; optional vmr, rate_cv2, repair_share_site, repair_days_site.
    targets : DataFrame, optional
        site_id [, group], target_wait_days and/or target_fill_rate: over the site's own demand, weighted by it.
        Sites without a target are free. [days, share]
    budget : float, optional
        Most money. Without targets: the least demand x wait for the money. With targets: they stay hard. [money]
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
        A row per part x every site from each demanding site up to HQ. `lower_bound` holds for all whole levels under
        the same evaluation.

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
    refuse_floors(pipelines, budget)
    if len(promises) or budget is None:
        found = find_levels(pipelines, promises, progress=progress)
    else:
        from spareplan.stocking.marginal import best_for_budget

        found = best_for_budget(pipelines, budget, progress)
    refuse_budget(found, promises, budget)
    return stock_levels(
        forest,
        pipelines,
        promises,
        found,
        _assumptions(method, pipelines, budget),
        least_budget=found.cost if budget is not None and len(promises) else None,
    )


def read_pipelines(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    method: str,
    limits: pd.DataFrame | None = None,
) -> tuple[Forest, Pipelines]:
    """Check the plain tables of `solve_levels` and lay them out for the kernels.

    Parameters
    ----------
    sites, parts, rates, limits : DataFrame
        As in `solve_levels`.
    method : str
        Evaluation.

    Returns
    -------
    Forest, Pipelines

    Raises
    ------
    DataError
        All faults at once.
    """
    problems: list[Problem] = []
    cost = numbers(parts, "unit_cost", "parts", problems) if "unit_cost" in parts else np.empty(0)
    if "unit_cost" not in parts:
        problems.append(Problem("parts", 0, "unit_cost", "", "is missing", "add the column unit_cost"))
    quantity = numbers(parts, "order_quantity", "parts", problems, default=1.0)
    if len(quantity) and ((quantity < 1) | (quantity != np.floor(quantity))).any():
        problems.append(
            Problem("parts", 0, "order_quantity", "", "is no whole number of at least 1", "round it up")
        )
    try:
        forest = read_forest(sites, parts, rates)
    except DataError as error:
        raise DataError([*error.problems.itertuples(index=False), *problems]) from None
    if problems:
        raise DataError(problems)
    typical = cost[cost > 0].mean() if (cost > 0).any() else 1.0
    pipelines = lay_out(
        forest, np.maximum(cost, LEAST_COST_SHARE * typical), method, quantity.astype(np.int64)
    )
    if limits is not None and len(limits):
        _lay_limits(limits, forest, pipelines)
    return forest, pipelines


def stock_levels(
    forest: Forest,
    pipelines: Pipelines,
    promises: Promises,
    found: Found,
    assumptions: pd.DataFrame,
    **more: Any,
) -> StockLevels:
    """The result from levels that were found.

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
            f"a budget of {budget:,.2f} does not pay for the fixed levels and order quantities: they alone need "
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
        f"(no levels do it below {found.bound:,.2f}). Dearest: {dearest}. Give {found.cost - budget:,.2f} more or "
        "loosen these",
        clashes=clashes,
        least=found.cost,
    )


def _lay_limits(limits: pd.DataFrame, forest: Forest, pipelines: Pipelines) -> None:
    """Write floors and ceilings into the rows of the pipelines."""
    from spareplan.stocking._forest import missing_columns, rows_problem

    problems = missing_columns("limits", limits, ["part_id", "site_id"])
    if problems:
        raise DataError(problems)
    part = forest.part_ids.get_indexer(pd.Index(limits["part_id"]))
    site = forest.site_ids.get_indexer(pd.Index(limits["site_id"]))
    low = numbers(limits, "at_least", "limits", problems, default=0.0)
    high = numbers(limits, "at_most", "limits", problems, default=np.nan)
    problems += rows_problem(
        "limits", limits, "part_id", part < 0, "is not in parts", "add the part or drop the row"
    )
    problems += rows_problem(
        "limits", limits, "site_id", site < 0, "is not in sites", "add the site or drop the row"
    )
    problems += rows_problem(
        "limits",
        limits,
        "part_id",
        limits.duplicated(["part_id", "site_id"]).to_numpy(),
        "stands twice with its site",
        "give each part x site once",
    )
    problems += rows_problem("limits", limits, "at_least", low > high, "is above at_most", "mend one of them")
    if problems:
        raise DataError(problems)
    width = len(forest.site_ids)
    code = forest.part[pipelines.forest_rows] * width + forest.site[pipelines.forest_rows]
    order = np.argsort(code, kind="stable")
    wanted = part * width + site
    place = (
        order[np.minimum(np.searchsorted(code[order], wanted), max(len(code) - 1, 0))] if len(code) else part
    )
    known = code[place] == wanted if len(code) else np.zeros(len(wanted), bool)
    # Where nothing is demanded below there is no row, and no stock.
    rows = place[known]
    pipelines.least[rows] = np.maximum(pipelines.least[rows], np.ceil(low[known]).astype(np.int64))
    given = known & ~np.isnan(high)
    ceiling = np.floor(high[given]).astype(np.int64)
    pipelines.most[place[given]] = np.maximum(ceiling, pipelines.least[place[given]])


def _assumptions(method: str, pipelines: Pipelines, budget: float | None) -> pd.DataFrame:
    wild = int((pipelines.model == MODELS["two_moment"]).sum()) if method == "exact" else 0
    rows = [
        {
            "stage": "stocking",
            "name": "method",
            "value": method,
            "unit": "",
            "origin": "set by the user" if method != "exact" else "default",
            "meaning": "evaluation of stock levels; the lower bound holds for it",
        },
        {
            "stage": "stocking",
            "name": "parts by two moments",
            "value": wild,
            "unit": "parts",
            "origin": "data: rates.vmr, rates.rate_cv2",
            "meaning": "overdispersed demand, matched in mean and variance",
        },
        {
            "stage": "stocking",
            "name": "budget",
            "value": budget,
            "unit": "money",
            "origin": "default" if budget is None else "set by the user",
            "meaning": "most money in base stock",
        },
    ]
    return assumptions_frame(rows)
