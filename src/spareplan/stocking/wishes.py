"""Dataset, grades and planners' levels as the plain tables that levels are solved from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StockingOptions
from spareplan.stocking._forest import Forest
from spareplan.stocking.groups import group_targets, part_groups
from spareplan.stocking.limits import (
    GRADE,
    PLANNER,
    order_quantities,
    read_limits,
    with_limited_rows,
    with_vital_floors,
)
from spareplan.stocking.pipelines import Pipelines

__all__ = ["PlanTables", "group_targets", "order_quantities", "plan_tables", "today_levels"]

NAMED = 5


@dataclass(frozen=True)
class PlanTables:
    """Plain tables of one plan.

    Parameters
    ----------
    sites, parts, rates, targets, limits : DataFrame
        As in `solve_levels`; parts carry group (as whom they are promised), window_days and order_quantity,
        limits who set them.
    tier_of_group : dict
        Tier of each name in `parts.group`.
    implied : list of dict
        Assumption rows that follow from the data.
    """

    sites: pd.DataFrame
    parts: pd.DataFrame
    rates: pd.DataFrame
    targets: pd.DataFrame
    limits: pd.DataFrame
    tier_of_group: dict[str, int]
    implied: list[dict[str, Any]] = field(default_factory=list)


def plan_tables(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    catalogue: pd.DataFrame,
    grades: pd.DataFrame,
    fixed: pd.DataFrame | None,
    options: StockingOptions,
    bounds: pd.DataFrame | None = None,
) -> PlanTables:
    """Turn dataset tables and grades into the plain tables of `solve_levels`.

    Parameters
    ----------
    sites, parts, rates : DataFrame
        From `network_tables` and `pipeline_rates`.
    catalogue : DataFrame
        The dataset's parts: min_order, pack_size.
    grades : DataFrame
        part_id, tier, target_fill_rate, target_wait_days; optional target_in_window, window_days,
        criticality, planner.
    fixed : DataFrame or None
        part_id, site_id, base_stock that planners have set.
    options : StockingOptions
    bounds : DataFrame, optional
        part_id, site_id, at_least and/or at_most: planners' floors and ceilings. [pieces]

    Returns
    -------
    PlanTables

    Raises
    ------
    DataError
        `fixed` or `bounds` do not fit the dataset.
    """
    graded = grades.set_index("part_id").reindex(parts["part_id"])
    limits = read_limits(fixed, bounds, parts, sites)
    limits = with_vital_floors(limits, rates, graded, sites, options.vital_pieces)
    rates = with_limited_rows(rates, limits)
    group, tiers = part_groups(graded, options.own_promise)
    window = (
        graded["window_days"].to_numpy(dtype=float)
        if "window_days" in graded
        else np.full(len(parts), np.nan)
    )
    quantity = order_quantities(parts, rates, catalogue, limits, options)
    ready = parts.assign(group=group, order_quantity=quantity, window_days=window)
    targets = group_targets(ready, rates, graded)
    whole = order_quantities(parts, rates, catalogue, limits.iloc[:0], options)
    implied = _implied(ready, limits, tiers, quantity, whole)
    return PlanTables(sites, ready, rates, targets, limits, tiers, implied)


def _implied(
    parts: pd.DataFrame,
    limits: pd.DataFrame,
    tiers: dict[str, int],
    quantity: NDArray[np.int64],
    whole: NDArray[np.int64],
) -> list[dict[str, Any]]:
    """Assumption rows that follow from the data; `whole` are the quantities without planners' ceilings."""
    rows = []
    if left := int(parts["group"].isna().sum()):
        meaning = "no tier or no target: stocked only where a planner fixed a level"
        rows.append(_row("parts_without_promise", left, "parts", "data: grades", meaning))
    counts = parts["group"].value_counts()
    for name in tiers:
        if name != f"tier {tiers[name]}":
            meaning = f"promised apart from tier {tiers[name]}: no other part's stock stands in for theirs"
            rows.append(
                _row(f"promise of {name}", int(counts.get(name, 0)), "parts", "data: grades", meaning)
            )
    meaning = "bought in several pieces at a time; the levels keep their promises so"
    origin = "data: parts.min_order, parts.pack_size"
    rows.append(_row("order_quantity_at_hq", int((quantity > 1).sum()), "parts", origin, meaning))
    cut = np.flatnonzero(whole > quantity)
    if len(cut):
        told = [
            f"{parts['part_id'].iloc[k]} by {quantity[k]} instead of {whole[k]}" for k in cut[:NAMED].tolist()
        ]
        more = f" and {len(cut) - NAMED} more" if len(cut) > NAMED else ""
        meaning = (
            "bought in fewer pieces than packs, least orders or economy ask, to stay under a planner's level "
            f"at headquarters: {', '.join(told)}{more}"
        )
        rows.append(_row("order_quantity_cut_at_hq", len(cut), "parts", "data: overrides", meaning))
    own = limits[limits["who"] == PLANNER]
    both = (own["at_least"] == own["at_most"]).to_numpy(dtype=bool)
    for name, count, who, meaning in (
        ("fixed_levels", both.sum(), "data: overrides", "base stock set by planners"),
        ("bounded_levels", (~both).sum(), "data: overrides", "floors and ceilings set by planners"),
        ("vital_floors", (limits["who"] == GRADE).sum(), "data: grades", "vital parts where asked for"),
    ):
        if count:
            rows.append(_row(name, int(count), "rows", who, meaning))
    return rows


def _row(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
    return {
        "stage": "stocking",
        "name": name,
        "value": value,
        "unit": unit,
        "origin": origin,
        "meaning": meaning,
    }


def today_levels(stock: pd.DataFrame, forest: Forest, pipelines: Pipelines) -> NDArray[np.int64] | None:
    """Today's settings as base stock per row of the pipelines: max_stock, reorder point or what is there.

    Parameters
    ----------
    stock : DataFrame
        part_id, site_id, on_hand, on_order, reorder_point, max_stock.
    forest, pipelines : Forest, Pipelines

    Returns
    -------
    ndarray of int, shape (rows,), or None where nothing is known
        [pieces]
    """
    if not len(stock):
        return None
    there = stock["on_hand"].fillna(0.0) + stock["on_order"].fillna(0.0) - stock["backorders"].fillna(0.0)
    level = stock["max_stock"].fillna(stock["reorder_point"] + 1).fillna(there).clip(lower=0)
    keyed = pd.Series(
        np.round(level.to_numpy(dtype=float)), index=pd.MultiIndex.from_frame(stock[["part_id", "site_id"]])
    )
    rows = pipelines.forest_rows
    wanted = pd.MultiIndex.from_arrays(
        [forest.part_ids.take(forest.part[rows]), forest.site_ids.take(forest.site[rows])]
    )
    found = keyed.groupby(level=[0, 1]).sum().reindex(wanted).fillna(0.0)
    return np.asarray(found.to_numpy(), dtype=np.int64)
