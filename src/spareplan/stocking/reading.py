"""Plain tables of parts, rates and limits as pipelines for the kernels, checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.stocking._faults import missing_columns, rows_problem
from spareplan.stocking._forest import Forest, read_forest
from spareplan.stocking._reading import numbers, places, unique_ids
from spareplan.stocking.limits import PAIR, whole_pieces, with_limited_rows
from spareplan.stocking.pipelines import Pipelines, lay_out

# A part that costs nothing is priced at this share of the mean part, so that its level stays finite.
LEAST_COST_SHARE = 1e-6
# Laws of so many pieces take minutes: time grows with their square.
MOST_ON_ORDER = 10_000.0


def read_pipelines(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    method: str,
    limits: pd.DataFrame | None = None,
    further: Iterable[Problem] = (),
) -> tuple[Forest, Pipelines]:
    """Check the plain tables of `solve_levels` and lay them out for the kernels.

    Parameters
    ----------
    sites, parts, rates, limits : DataFrame
        As in `solve_levels`.
    method : str
        Evaluation.
    further : iterable of Problem
        Faults of other tables of the same call, to be told together.

    Returns
    -------
    Forest, Pipelines
        With a row for every floor, whether anything is asked for there or not.

    Raises
    ------
    DataError
        All faults at once.
    """
    problems = [*further]
    unsound = limit_problems(limits, parts, sites)
    problems += unsound
    if limits is not None and not unsound and {"part_id", "site_id", "demand_per_day"} <= set(rates):
        rates = with_limited_rows(rates, limits)
    cost = numbers(parts, "unit_cost", "parts", problems) if "unit_cost" in parts else np.empty(0)
    if "unit_cost" not in parts:
        problems.append(Problem("parts", 0, "unit_cost", "", "is missing", "add the column unit_cost"))
    quantity = numbers(parts, "order_quantity", "parts", problems, default=1.0)
    problems += rows_problem(
        "parts",
        parts,
        "order_quantity",
        (quantity < 1) | (quantity != np.floor(quantity)),
        "is no whole number of at least 1",
        "round it up",
    )
    try:
        forest = read_forest(sites, parts, rates)
    except DataError as error:
        raise DataError(
            [*(Problem(*row) for row in error.problems.itertuples(index=False)), *problems]
        ) from None
    if problems:
        raise DataError(problems)
    typical = cost[cost > 0].mean() if (cost > 0).any() else 1.0
    pipelines = lay_out(
        forest, np.maximum(cost, LEAST_COST_SHARE * typical), method, quantity.astype(np.int64)
    )
    _refuse_too_many(rates, forest, pipelines)
    if limits is not None and len(limits):
        pipelines = _lay_limits(limits, forest, pipelines)
    return forest, pipelines


def _refuse_too_many(rates: pd.DataFrame, forest: Forest, pipelines: Pipelines) -> None:
    """Refuse parts with more pieces on order than laws are laid out for: mostly a wrong unit."""
    most = np.maximum.reduceat(pipelines.mean, pipelines.starts[:-1])
    ids = forest.part_ids.take(forest.part[pipelines.forest_rows[pipelines.starts[:-1]]])
    on_order = pd.Series(most, index=ids)
    on_order = on_order[on_order > MOST_ON_ORDER]
    if on_order.empty:
        return
    per_day = rates["demand_per_day"].to_numpy(dtype=float)
    problems = []
    for part, pieces in zip(on_order.index.tolist(), on_order.tolist(), strict=True):
        own = np.flatnonzero(rates["part_id"].to_numpy(dtype=object) == part)
        row = int(own[per_day[own].argmax()])
        problems.append(
            Problem(
                "rates",
                row + 2,
                "demand_per_day",
                f"{per_day[row]:g}",
                f"brings {pieces:,.0f} pieces of {part} on order at a time; levels are found up to "
                f"{MOST_ON_ORDER:,.0f}",
                "check that it is pieces per day and the lead time days, or count the part in packs",
            )
        )
    raise DataError(problems)


def limit_problems(limits: pd.DataFrame | None, parts: pd.DataFrame, sites: pd.DataFrame) -> list[Problem]:
    """Faults of floors and ceilings, all at once.

    Parameters
    ----------
    limits, parts, sites : DataFrame
        As in `solve_levels`.

    Returns
    -------
    list of Problem
    """
    if limits is None or not len(limits):
        return []
    problems = missing_columns("limits", limits, PAIR)
    if "at_least" not in limits and "at_most" not in limits:
        remedy = "add the column at_least or at_most"
        problems.append(Problem("limits", 0, "", "", "has neither floors nor ceilings", remedy))
    low = whole_pieces(limits, "at_least", "limits", problems, 0.0)
    high = whole_pieces(limits, "at_most", "limits", problems, np.nan)
    problems += rows_problem("limits", limits, "at_least", low > high, "is above at_most", "mend one of them")
    places("limits", limits, unique_ids(parts, "part_id"), unique_ids(sites, "site_id"), problems)
    return problems


def _lay_limits(limits: pd.DataFrame, forest: Forest, pipelines: Pipelines) -> Pipelines:
    """Write floors and ceilings into the rows of the pipelines."""
    problems: list[Problem] = []
    part = forest.part_ids.get_indexer(pd.Index(limits["part_id"]))
    site = forest.site_ids.get_indexer(pd.Index(limits["site_id"]))
    low = numbers(limits, "at_least", "limits", problems, default=0.0)
    high = numbers(limits, "at_most", "limits", problems, default=np.nan)
    width = len(forest.site_ids)
    code = forest.part[pipelines.forest_rows] * width + forest.site[pipelines.forest_rows]
    order = np.argsort(code, kind="stable")
    wanted = part * width + site
    place = (
        order[np.minimum(np.searchsorted(code[order], wanted), max(len(code) - 1, 0))] if len(code) else part
    )
    known = code[place] == wanted if len(code) else np.zeros(len(wanted), bool)
    # A ceiling where nothing is demanded below holds by itself: there is no row, and no stock.
    rows = place[known]
    least, most = pipelines.least.copy(), pipelines.most.copy()
    batch = np.where(known, least[np.where(known, place, 0)], 0) if len(code) else np.zeros(len(wanted))
    # An order lifts HQ's shelf to its quantity less one at least.
    problems += rows_problem(
        "limits",
        limits,
        "at_most",
        known & (high < batch),
        "is below parts.order_quantity less one, to which every order lifts this shelf",
        "raise the ceiling, or lower the order quantity of the part",
    )
    if problems:
        raise DataError(problems)
    least[rows] = np.maximum(least[rows], low[known].astype(np.int64))
    given = known & ~np.isnan(high)
    ceiling = high[given].astype(np.int64)
    most[place[given]] = np.maximum(ceiling, least[place[given]])
    return replace(pipelines, least=least, most=most)
