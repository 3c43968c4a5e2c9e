"""Dataset, grades and planners' levels as the plain tables that levels are solved from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StockingOptions
from spareplan.errors import DataError
from spareplan.maths.units import DAYS_PER_YEAR
from spareplan.stocking._forest import Forest, missing_columns, numbers, rows_problem
from spareplan.stocking.in_window import group_windows
from spareplan.stocking.pricing import Pipelines

FloatArray = NDArray[np.float64]
WISHES = ["target_fill_rate", "target_wait_days"]


@dataclass(frozen=True)
class PlanTables:
    """Plain tables of one plan.

    Parameters
    ----------
    sites, parts, rates, targets, limits : DataFrame
        As in `solve_levels`; parts carry group (the tier they are promised as) and order_quantity.
    windows : DataFrame
        Window promises per site x tier (`in_window.group_windows`); parts carry window_days.
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
    windows: pd.DataFrame
    implied: list[dict[str, Any]] = field(default_factory=list)


def plan_tables(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    catalogue: pd.DataFrame,
    grades: pd.DataFrame,
    fixed: pd.DataFrame | None,
    options: StockingOptions,
) -> PlanTables:
    """Turn dataset tables and grades into the plain tables of `solve_levels`.

    Parameters
    ----------
    sites, parts, rates : DataFrame
        From `network_tables` and `pipeline_rates`.
    catalogue : DataFrame
        The dataset's parts: min_order, pack_size.
    grades : DataFrame
        part_id, tier, target_fill_rate, target_wait_days.
    fixed : DataFrame or None
        part_id, site_id, base_stock that planners have set.
    options : StockingOptions

    Returns
    -------
    PlanTables

    Raises
    ------
    DataError
        `fixed` does not fit the dataset.
    """
    limits = _limits(fixed, parts, sites)
    rates = _with_fixed_rows(rates, limits)
    graded = grades.set_index("part_id").reindex(parts["part_id"])
    promised = (
        graded[[name for name in (*WISHES, "target_in_window") if name in graded]]
        .notna()
        .any(axis=1)
        .to_numpy()
    )
    window = (
        graded["window_days"].to_numpy(dtype=float)
        if "window_days" in graded
        else np.full(len(parts), np.nan)
    )
    tier = graded["tier"].to_numpy(dtype=float)
    named = promised & ~np.isnan(tier)
    group = np.full(len(parts), np.nan, dtype=object)
    group[named] = [f"tier {int(value)}" for value in tier[named]]
    quantity = order_quantities(parts, rates, catalogue, limits, options)
    ready = parts.assign(group=group, order_quantity=quantity, window_days=window)
    targets = group_targets(ready, rates, graded)
    windows = group_windows(ready, rates, graded)
    left = int((~named).sum())
    implied = (
        [
            {
                "stage": "stocking",
                "name": "parts_without_promise",
                "value": left,
                "unit": "parts",
                "origin": "data: grades",
                "meaning": "no tier or no target: stocked only where a planner fixed a level",
            }
        ]
        if left
        else []
    )
    implied.append(
        {
            "stage": "stocking",
            "name": "order_quantity_at_hq",
            "value": int((quantity > 1).sum()),
            "unit": "parts",
            "origin": "data: parts.min_order, parts.pack_size",
            "meaning": "bought in several pieces at a time; the levels keep their promises so",
        }
    )
    if len(limits):
        implied.append(
            {
                "stage": "stocking",
                "name": "fixed_levels",
                "value": len(limits),
                "unit": "rows",
                "origin": "data: overrides",
                "meaning": "base stock set by planners",
            }
        )
    tiers = {f"tier {int(value)}": int(value) for value in np.unique(tier[named])}
    return PlanTables(sites, ready, rates, targets, limits, tiers, windows, implied)


def order_quantities(
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    catalogue: pd.DataFrame,
    limits: pd.DataFrame,
    options: StockingOptions,
) -> NDArray[np.int64]:
    """Quantity in which HQ buys each part: least order, whole packs, economic quantity.

    Parameters
    ----------
    parts, rates, catalogue, limits : DataFrame
    options : StockingOptions
        order_cost and holding_rate.

    Returns
    -------
    ndarray of int, shape (parts,)
        At least 1. [pieces]

    References
    ----------
    .. [1] Harris (1913), How many parts to make at once: Q = sqrt(2 D K / (h c)).
    """
    known = catalogue.set_index("part_id").reindex(parts["part_id"])
    pack = np.maximum(known["pack_size"].fillna(1.0).to_numpy(dtype=float), 1.0)
    least = np.maximum(known["min_order"].fillna(1.0).to_numpy(dtype=float), 1.0)
    if options.order_cost > 0:
        yearly = (
            rates.groupby("part_id")["demand_per_day"].sum().reindex(parts["part_id"]).fillna(0.0)
            * DAYS_PER_YEAR
        )
        holding = options.holding_rate * np.maximum(parts["unit_cost"].to_numpy(dtype=float), 1e-9)
        least = np.maximum(least, np.round(np.sqrt(2 * yearly.to_numpy() * options.order_cost / holding)))
    quantity = np.ceil(least / pack - 1e-9) * np.ceil(pack)
    # A level that a planner fixed at HQ stays as it is, so the quantity must fit under it.
    fixed = limits.merge(rates[["part_id", "site_id"]], how="left") if len(limits) else limits
    if len(fixed):
        at_hq = (
            limits[limits["at_hq"]]
            .set_index("part_id")["at_most"]
            .reindex(parts["part_id"])
            .to_numpy(dtype=float)
        )
        quantity = np.where(np.isnan(at_hq), quantity, np.minimum(quantity, at_hq + 1))
    return np.maximum(quantity, 1).astype(np.int64)


def group_targets(parts: pd.DataFrame, rates: pd.DataFrame, graded: pd.DataFrame) -> pd.DataFrame:
    """Targets per site x tier: those of the parts, weighted by the demand of the site.

    Parameters
    ----------
    parts : DataFrame
        part_id, group.
    rates : DataFrame
        part_id, site_id, demand_per_day.
    graded : DataFrame
        Indexed by part_id: target_fill_rate, target_wait_days.

    Returns
    -------
    DataFrame
        site_id, group, target_fill_rate, target_wait_days; a row per site x tier with demand.
    """
    rows = rates[["part_id", "site_id", "demand_per_day"]].merge(parts[["part_id", "group"]], on="part_id")
    rows = rows[rows["group"].notna() & (rows["demand_per_day"] > 0)]
    rows = rows.merge(graded[WISHES], left_on="part_id", right_index=True)
    out = []
    for wish in WISHES:
        given = rows[rows[wish].notna()]
        weighted = (given[wish] * given["demand_per_day"]).groupby([given["site_id"], given["group"]]).sum()
        out.append((weighted / given.groupby(["site_id", "group"])["demand_per_day"].sum()).rename(wish))
    # Parts of one tier may differ in kind of promise; then each kind covers the demand of the whole group.
    return pd.concat(out, axis=1).dropna(how="all").reset_index()


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


def _limits(fixed: pd.DataFrame | None, parts: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    columns = ["part_id", "site_id", "at_least", "at_most", "at_hq"]
    if fixed is None or not len(fixed):
        return pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    problems = missing_columns("fixed", fixed, ["part_id", "site_id", "base_stock"])
    if problems:
        raise DataError(problems)
    level = numbers(fixed, "base_stock", "fixed", problems)
    problems += rows_problem(
        "fixed",
        fixed,
        "base_stock",
        (level != np.floor(level)) & (level >= 0),
        "is no whole number",
        "give whole pieces",
    )
    problems += rows_problem(
        "fixed",
        fixed,
        "part_id",
        ~fixed["part_id"].isin(parts["part_id"]).to_numpy(),
        "is not in parts",
        "add the part or drop the row",
    )
    problems += rows_problem(
        "fixed",
        fixed,
        "site_id",
        ~fixed["site_id"].isin(sites["site_id"]).to_numpy(),
        "is not in sites",
        "add the site or drop the row",
    )
    if problems:
        raise DataError(problems)
    top = sites.loc[sites["parent_id"].isna(), "site_id"]
    return pd.DataFrame(
        {
            "part_id": fixed["part_id"].to_numpy(),
            "site_id": fixed["site_id"].to_numpy(),
            "at_least": level,
            "at_most": level,
            "at_hq": fixed["site_id"].isin(top).to_numpy(),
        }
    )


def _with_fixed_rows(rates: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """Rates with a row without demand for every fixed level that has none, so that the level is published."""
    if not len(limits):
        return rates
    keys = ["part_id", "site_id"]
    merged = limits[keys].merge(rates[keys], how="left", indicator=True)
    lone = merged.loc[merged["_merge"] == "left_only", keys]
    if not len(lone):
        return rates
    empty = lone.assign(
        demand_per_day=0.0, vmr=1.0, rate_cv2=0.0, repair_share_site=0.0, repair_days_site=0.0
    )
    return pd.concat([rates, empty[rates.columns]], ignore_index=True)
