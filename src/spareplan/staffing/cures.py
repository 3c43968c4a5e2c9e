"""What would cure a promise that no engineer keeps: parts to stock, shorter waits for parts, shorter repairs.

Where distance breaks it, `spareplan.staffing.bases` looks for places of bases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError
from spareplan.staffing.at_best import best_laws, largest_share, picked
from spareplan.staffing.causes import PARTS, REPAIR
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.extra_pieces import cheapest_pieces
from spareplan.staffing.parts_wait import level_rows
from spareplan.staffing.reading import Tables
from spareplan.staffing.resolution import Repairs, resolution_kept
from spareplan.staffing.sizing import ALL_DAY, Phases, Promises, Sized
from spareplan.staffing.words import repair_reason, stock_reason

FloatArray = NDArray[np.float64]
STOCK_COLUMNS = [
    "region_id",
    "priority",
    "missing_now",
    "missing_needed",
    "parts_hours_now",
    "parts_hours_needed",
    "part_id",
    "site_id",
    "pieces",
    "money",
    "resolve_now",
    "resolve_then",
    "reason",
]
REPAIR_COLUMNS = [
    "region_id",
    "priority",
    "limit_hours",
    "target",
    "repair_hours_now",
    "repair_hours_needed",
    "repair_hours_with_parts",
    "in_time_now",
    "resolve_now",
    "resolve_then",
    "reason",
]


class PartsNeed(NamedTuple):
    """What parts would have to do, per row and class; NaN where they are not what breaks the promise.

    Parameters
    ----------
    resolve : ndarray, shape (R, K)
        Share solved in time at best (`best_laws`).
    missing, missing_needed : ndarray, shape (R, K)
        Share of orders whose part is missing, now and at most for the target; NaN needed: not even none.
    hours, hours_needed : ndarray, shape (R, K)
        Mean wait for a missing part, now and at most for the target with as many missing. [hours]
    """

    resolve: FloatArray
    missing: FloatArray
    missing_needed: FloatArray
    hours: FloatArray
    hours_needed: FloatArray


def parts_needed(
    rows: RegionRows,
    sized: Sized,
    promises: Promises,
    repairs: Repairs,
    phases: Phases = ALL_DAY,
) -> PartsNeed:
    """Least the parts would have to improve where they break the promise of a solution.

    Parameters
    ----------
    rows, sized, promises, repairs, phases
        As sized.

    Returns
    -------
    PartsNeed
    """
    bound = sized.resolve_cause == PARTS
    out = [np.full(bound.shape, np.nan) for _ in PartsNeed._fields]
    some = np.flatnonzero(bound.any(axis=1))
    if not len(some):
        return PartsNeed(*out)
    now = repairs.pick(some)
    laws = best_laws(rows.pick(some), picked(sized, some), promises, now, phases)

    def fewer(share: FloatArray) -> FloatArray:
        changed = replace(now, missing=now.missing * share, known=now.known * share)
        return laws.kept(promises, changed)

    def sooner(share: FloatArray) -> FloatArray:
        # Classes of a row share the wait for parts, so each is asked apart.
        kept = np.zeros_like(share)
        for k in np.flatnonzero(bound.any(axis=0)):
            changed = replace(now, parts=now.parts * share[:, k])
            kept[:, k] = laws.kept(promises, changed)[:, k]
        return kept

    missing = now.missing + now.known
    hours = np.repeat(now.parts[:, None], bound.shape[1], axis=1)
    found = (
        fewer(np.ones(missing.shape)),
        missing,
        missing * largest_share(fewer, promises.target, missing.shape),
        hours,
        hours * largest_share(sooner, promises.target, missing.shape),
    )
    for whole, part in zip(out, found, strict=True):
        whole[some] = np.where(bound[some], part, np.nan)
    return PartsNeed(*out)


def stock_cures(
    regions: Sequence[str],
    priorities: Sequence[str],
    rows: RegionRows,
    sized: Sized,
    promises: Promises,
    repairs: Repairs,
    levels: pd.DataFrame,
    phases: Phases = ALL_DAY,
) -> pd.DataFrame:
    """Cheapest extra pieces that let promises be kept which missing parts break.

    Parameters
    ----------
    regions : sequence of str, length R
        Region of each row; of its rows (months) the one that asks for most counts.
    priorities : sequence of str, length K
    rows, sized, promises, repairs, phases
        As sized.
    levels : DataFrame
        Stock that serves the regions, a row per part and site: part_id, site_id, region_id, base_stock
        [pieces], fill_rate [share], demand_per_day [pieces/day], unit_cost [money/piece]; optional
        mean_wait_days [days] (tells the pipeline where nothing is stocked), weight (how much the part's
        failures count against those of others; the demand); `stock_of_regions` makes one.

    Returns
    -------
    DataFrame
        A row per region, priority, part and site to stock more of: missing_now and missing_needed (share of
        orders whose part is missing), parts_hours_now and parts_hours_needed (mean wait for a missing part
        that would do instead) [hours], pieces, money, resolve_now and resolve_then (share solved in time at
        best; then: with all pieces of the region and priority), reason. A row
        without a part where no stock cures it; then: with all parts at hand.

    Raises
    ------
    DataError
        Columns are missing, a part and site stand twice, numbers are negative or not known.

    Notes
    -----
    The share of the region's demand that finds no part falls by demand x P(pipeline = S) with piece S + 1,
    the pipeline Poisson with the mean that gives today's fill rate. Pieces are taken by gain per money until
    the share is low enough; of the last steps it is tried whether a single other one is cheaper.
    """
    _check_levels(levels)
    need = parts_needed(rows, sized, promises, repairs, phases)
    shelves = dict(list(levels.groupby("region_id", sort=True)))
    names = np.asarray(regions, dtype=object)
    out = []
    for region in sorted(set(names[np.flatnonzero((sized.resolve_cause == PARTS).any(axis=1))])):
        for k, priority in enumerate(priorities):
            mine = np.flatnonzero((names == region) & (sized.resolve_cause[:, k] == PARTS))
            if not len(mine):
                continue
            share = need.missing_needed[mine, k] / np.maximum(need.missing[mine, k], 1e-300)
            row = mine[int(np.argmin(np.where(np.isnan(share), -1.0, share)))]
            wanted = float(need.missing_needed[row, k] / max(need.missing[row, k], 1e-300))
            head = {
                "region_id": region,
                "priority": priority,
                "missing_now": float(need.missing[row, k]),
                "missing_needed": float(need.missing_needed[row, k]),
                "parts_hours_now": float(need.hours[row, k]),
                "parts_hours_needed": float(need.hours_needed[row, k]),
                "resolve_now": float(need.resolve[row, k]),
            }
            chosen, left = _pieces(shelves.get(region), wanted)
            then, work = _at_hand(rows, sized, promises, repairs, phases, int(row), left, k)
            target = float(promises.target[k])
            out.append(_stock_rows(head, chosen, then, target, region in shelves, work))
    if not out:
        return pd.DataFrame(columns=STOCK_COLUMNS)
    return pd.concat(out, ignore_index=True)[STOCK_COLUMNS]


def stock_of_regions(
    levels: pd.DataFrame, demand: pd.DataFrame, parts: pd.DataFrame, sites: pd.DataFrame, regions: pd.Index
) -> pd.DataFrame:
    """Stock that serves regions as `stock_cures` reads it.

    Parameters
    ----------
    levels : DataFrame
        `StockLevels.table`.
    demand : DataFrame
        `DemandForecast.table`: parts weigh by their failures, as in the share of orders that miss their part.
    parts, sites : DataFrame
        part_id, unit_cost [money/piece]; site_id, region_id, lead_time_days.
    regions : Index
        Region ids.

    Returns
    -------
    DataFrame
        part_id, site_id, region_id, base_stock, fill_rate, demand_per_day, unit_cost, mean_wait_days, weight;
        parts without a price are left out.
    """
    region = levels["site_id"].map(sites.set_index("site_id")["region_id"])
    cost = levels["part_id"].map(parts.set_index("part_id")["unit_cost"])
    used = levels["fill_rate"].notna() & (levels["demand_per_day"] > 0) & region.isin(regions) & cost.notna()
    rows = levels.loc[
        used, ["part_id", "site_id", "base_stock", "fill_rate", "demand_per_day", "mean_wait_days"]
    ]
    weight = level_rows(rows, demand, sites, regions)["weight"].to_numpy()
    return rows.assign(region_id=region[used], unit_cost=cost[used], weight=weight).reset_index(drop=True)


def repair_cures(
    regions: Sequence[str],
    priorities: Sequence[str],
    rows: RegionRows,
    sized: Sized,
    promises: Promises,
    repairs: Repairs,
    phases: Phases = ALL_DAY,
) -> pd.DataFrame:
    """Repair times that would let promises be kept which the repair itself breaks.

    Parameters
    ----------
    regions : sequence of str, length R
        Region of each row; of its rows (months) the worst counts.
    priorities : sequence of str, length K
    rows, sized, promises, repairs, phases
        As sized.

    Returns
    -------
    DataFrame
        A row per region and priority: limit_hours and target of the promise, repair_hours_now and
        repair_hours_needed (mean of one visit, with the same relative spread), repair_hours_with_parts (the
        same if all parts were at hand) [hours], in_time_now (share of
        orders whose repairs alone, visits repeated, end within the limit), resolve_now and resolve_then
        (share solved in time at best), reason. NaN needed: drive or parts break the
        promise too.
    """
    bound = sized.resolve_cause == REPAIR
    some = np.flatnonzero(bound.any(axis=1))
    if not len(some):
        return pd.DataFrame(columns=REPAIR_COLUMNS)
    now = repairs.pick(some)
    laws = best_laws(rows.pick(some), picked(sized, some), promises, now, phases)

    def shorter(share: FloatArray) -> FloatArray:
        return laws.kept(promises, replace(now, work=now.work * share))

    def shorter_with_parts(share: FloatArray) -> FloatArray:
        return laws.kept(promises, replace(now, work=now.work * share, missing=nothing, known=nothing))

    nothing = np.zeros_like(now.missing)
    share = largest_share(shorter, promises.target, bound[some].shape)
    stocked = largest_share(shorter_with_parts, promises.target, bound[some].shape)
    at_once = np.zeros_like(laws.visits)
    at_once[..., 0] = 1.0
    alone = resolution_kept(at_once, replace(now, missing=nothing, known=nothing), promises.resolve)
    best, then = shorter(np.ones(share.shape)), shorter(np.nan_to_num(share))
    row, k = np.nonzero(bound[some])
    table = pd.DataFrame(
        {
            "region_id": np.asarray(regions, dtype=object)[some[row]],
            "priority": np.asarray(priorities, dtype=object)[k],
            "limit_hours": promises.resolve[k],
            "target": promises.target[k],
            "repair_hours_now": now.work[row, k],
            "repair_hours_needed": (now.work * share)[row, k],
            "repair_hours_with_parts": (now.work * stocked)[row, k],
            "in_time_now": alone[row, k],
            "resolve_now": best[row, k],
            "resolve_then": np.where(np.isnan(share), np.nan, then)[row, k],
            "place": k,
        }
    )
    worst = table.sort_values(["region_id", "place", "resolve_now"], kind="stable")
    table = worst.drop_duplicates(["region_id", "place"]).reset_index(drop=True)
    table["reason"] = [repair_reason(one) for one in table.to_dict("records")]
    return table[REPAIR_COLUMNS]


def _pieces(shelf: pd.DataFrame | None, wanted: float) -> tuple[pd.DataFrame, float]:
    """Parts and sites with extra pieces and their money, and the share of unmet demand that stays."""
    if shelf is None or np.isnan(wanted):
        # Where no share is low enough, tell what all parts at hand would do.
        left = 0.0 if np.isnan(wanted) else 1.0
        return pd.DataFrame(columns=["part_id", "site_id", "pieces", "money"]), left
    shelf = shelf.sort_values(["part_id", "site_id"])
    waits = shelf["mean_wait_days"].fillna(0.0) if "mean_wait_days" in shelf else pd.Series(0.0, shelf.index)
    demand, cost = shelf["demand_per_day"].to_numpy(float), shelf["unit_cost"].to_numpy(float)
    weight = shelf["weight"].to_numpy(float) if "weight" in shelf else demand
    pieces, left = cheapest_pieces(
        shelf["base_stock"].to_numpy(float),
        shelf["fill_rate"].to_numpy(float),
        weight,
        cost,
        wanted,
        demand * waits.to_numpy(float),
    )
    told = shelf[["part_id", "site_id"]].assign(pieces=pieces, money=pieces * cost)
    return told[pieces > 0].sort_values("money", ascending=False, kind="stable"), left


def _at_hand(
    rows: RegionRows,
    sized: Sized,
    promises: Promises,
    repairs: Repairs,
    phases: Phases,
    row: int,
    left: float,
    k: int,
) -> tuple[float, tuple[float, float]]:
    """Share solved in time with fewer parts missing; repairs [hours] now and, if all are at hand, needed."""
    one = np.array([row])
    now = repairs.pick(one)
    laws = best_laws(rows.pick(one), picked(sized, one), promises, now, phases)
    then = replace(now, missing=now.missing * left, known=now.known * left)
    solved = float(laws.kept(promises, then)[0, k])
    if left > 0:
        return solved, (float(now.work[0, k]), np.nan)
    share = largest_share(
        lambda part: laws.kept(promises, replace(then, work=now.work * part)), promises.target, now.work.shape
    )
    return solved, (float(now.work[0, k]), float((now.work * share)[0, k]))


def _stock_rows(
    head: dict[str, Any],
    chosen: pd.DataFrame,
    then: float,
    target: float,
    listed: bool,
    work: tuple[float, float],
) -> pd.DataFrame:
    total, money = int(chosen["pieces"].sum()), float(chosen["money"].sum())
    reason = stock_reason(head, total, money, then, target, listed, work)
    if chosen.empty:
        blank = {"part_id": [np.nan], "site_id": [np.nan], "pieces": [0], "money": [0.0]}
        chosen = pd.DataFrame(blank).astype({"part_id": object, "site_id": object})
    return chosen.assign(**head, resolve_then=then, reason=reason)


def _check_levels(levels: pd.DataFrame) -> None:
    found = Tables()
    names = ["part_id", "site_id", "region_id"]
    numbers = ["base_stock", "fill_rate", "demand_per_day", "unit_cost"]
    for column in [*names, *numbers]:
        if column not in levels:
            found.columns("levels", levels.assign(_=0) if levels.empty else levels, [column])
    found.refuse()
    for column in names[:2]:
        found.key("levels", levels, column)
    rule, remedy = "stands once per part", "drop the double"
    found.rows("levels", levels[["part_id", "site_id"]].duplicated(), "site_id", levels, rule, remedy)
    for column in numbers:
        high = 1.0 if column == "fill_rate" else np.inf
        rule = "lies from 0 to 1" if column == "fill_rate" else "is 0 or more"
        found.number("levels", levels, column, rule, high=high, unknown=False)
    for column in ("mean_wait_days", "weight"):
        found.number("levels", levels, column, "is 0 or more", unknown=column == "mean_wait_days")
    if found.problems:
        raise DataError(found.problems)
