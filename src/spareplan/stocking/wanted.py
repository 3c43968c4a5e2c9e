"""What the business asks of levels around the solver: steadiness, floors and ceilings, whose word it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StockingOptions
from spareplan.errors import DataError
from spareplan.results import StockLevels
from spareplan.stocking._faults import refuse_no_tables
from spareplan.stocking.asked import Asked
from spareplan.stocking.caps import cap_problems
from spareplan.stocking.ceilings import PLANNER, RULE_WORDS
from spareplan.stocking.finding import Found
from spareplan.stocking.limits import PLANNER as BY_PLANNER
from spareplan.stocking.limits import planner_problems
from spareplan.stocking.pipelines import ANY_STOCK, weighted_sum
from spareplan.stocking.pricing import price
from spareplan.stocking.promises import Promises
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.steady import Steady, keep_steady, previous_problems, read_before
from spareplan.stocking.wishes import PlanTables

FloatArray = NDArray[np.float64]
# Whose word a row is, by who plans the part.
DECISIONS = {
    "hq": "decided",
    "hq_routine_region_emergency": "decided",
    "region": "to_confirm",
    "third_party": "third_party",
}
THIRD_PARTY = "third_party"
# Shares of the fee that are tried until a budget holds.
EASINGS = (1.0, 0.5, 0.25, 0.1)


def refuse_faulty_wishes(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    fixed: pd.DataFrame | None,
    bounds: pd.DataFrame | None,
    caps: pd.DataFrame | None,
    previous: pd.DataFrame | None,
) -> None:
    """Refuse faults of all tables of wishes at once, before anything is searched.

    Parameters
    ----------
    sites, parts : DataFrame
        site_id, region_id; part_id.
    fixed, bounds, caps, previous : DataFrame or None
        As in `optimize_levels`.

    Raises
    ------
    DataError
    """
    given = {"fixed": fixed, "bounds": bounds, "caps": caps, "previous": previous}
    refuse_no_tables("optimize_levels", {}, **given)
    problems = planner_problems(fixed, bounds, parts, sites) + cap_problems(caps, sites)
    problems += previous_problems(previous)
    if problems:
        raise DataError(problems)


def hold_steady(
    asked: Asked,
    found: Found,
    previous: pd.DataFrame | None,
    must_save: float,
    budget: float | None = None,
) -> tuple[Steady | None, FloatArray | None]:
    """Keep levels of the plan before where a change would save less than it must.

    Parameters
    ----------
    asked : Asked
    found : Found
        Levels free to change.
    previous : DataFrame or None
        part_id, site_id, base_stock. [pieces]
    must_save : float
        What a changed level must save, in pieces of the part.
    budget : float, optional
        Steadiness never breaks it: less of it is asked until the money does. [money]

    Returns
    -------
    steady : Steady or None
        None where there is no plan before, changes cost nothing, or no money is left for steadiness.
    published : ndarray, shape (rows,), or None
        Base stock of the plan before. [pieces]

    Raises
    ------
    DataError
        `previous` is no table of levels.
    """
    if previous is None:
        return None, None
    before = read_before(previous, asked.forest, asked.pipelines, must_save)
    if must_save <= 0 or not len(found.levels):
        return None, before.published
    for share in EASINGS:
        steady = keep_steady(asked.pipelines, asked.promises, found, replace(before, fee=share * before.fee))
        if budget is None or steady.found.cost <= budget * (1 + 1e-12):
            return steady, before.published
    return None, before.published


def with_steadiness(
    table: pd.DataFrame,
    asked: Asked,
    found: Found,
    steady: Steady | None,
    published: FloatArray | None,
    options: StockingOptions,
) -> list[str]:
    """Set the plan before beside the levels, and say what was kept and why.

    Parameters
    ----------
    table : DataFrame
        Level table in the order of the forest; gets previous_base_stock, and reasons are added to.
    asked : Asked
    found : Found
        Levels free to change.
    steady : Steady or None
    published : ndarray, shape (rows,), or None
    options : StockingOptions

    Returns
    -------
    list of str
        Lines for the summary.
    """
    if published is None:
        return []
    back = np.argsort(asked.pipelines.forest_rows, kind="stable")
    old = published[back]
    table["previous_base_stock"] = old
    known = ~np.isnan(old)
    changed = known & (table["base_stock"].to_numpy() != old)
    free = known & (found.levels[back] != old)
    lines = [f"{int(changed.sum()):,} of {int(known.sum()):,} levels changed against the plan before"]
    if steady is None:
        return lines
    more = steady.found.cost - steady.free_cost
    lines[0] += (
        f" ({int(free.sum()):,} if every change counted); steadiness costs {more:,.0f} "
        f"({more / steady.free_cost if steady.free_cost else 0.0:.2%}) more than the least found"
    )
    kept = known & ~changed
    wished, saving = steady.wished[back], steady.saving[back]
    shelf = kept & asked.pipelines.is_leaf[back] & (wished != old) & (saving > 0)
    upstream = kept & ~asked.pipelines.is_leaf[back] & free
    if isinstance(table["reason"].dtype, pd.CategoricalDtype):
        return lines
    said = np.full(len(table), "", dtype=object)
    at = np.flatnonzero(shelf)
    yearly = saving[at] * options.holding_rate
    said[at] = [
        f"; kept from the plan before: {level} would save only {money:,.2f} of holding cost a year"
        for level, money in zip(wished[at].tolist(), yearly.tolist())
    ]
    at = np.flatnonzero(upstream)
    said[at] = [
        f"; kept from the plan before: free to change it would be {level}"
        for level in found.levels[back][at].tolist()
    ]
    at = np.flatnonzero(changed)
    said[at] = [f"; {level:.0f} in the plan before" for level in old[at].tolist()]
    table["reason"] = table["reason"].astype(object) + said
    return lines


def with_limit_columns(table: pd.DataFrame, asked: Asked, limits: pd.DataFrame, found: Found) -> list[str]:
    """Set floors and ceilings beside the levels, and say where a rule holds a level down.

    Parameters
    ----------
    table : DataFrame
        Level table in the order of the forest; gets base_stock_at_least and base_stock_at_most where there
        are any, and reasons are added to.
    asked : Asked
    limits : DataFrame
        at_least, at_most.
    found : Found

    Returns
    -------
    list of str
        Lines for the summary.
    """
    lines: list[str] = []
    if asked.ceilings is None and not len(limits):
        return lines
    back = np.argsort(asked.pipelines.forest_rows, kind="stable")
    if limits["at_least"].gt(0).any():
        least = asked.pipelines.least[back].astype(float)
        table["base_stock_at_least"] = np.where(least > 0, least, np.nan)
    most = asked.pipelines.most
    if asked.ceilings is None and not limits["at_most"].notna().any():
        return lines
    table["base_stock_at_most"] = np.where(most < ANY_STOCK, most, np.nan)[back]
    if asked.ceilings is None:
        return lines
    held = asked.ceilings.words(found.levels)[back]
    by_rule = pd.Series(held[(held != "") & (held != RULE_WORDS[PLANNER])]).value_counts().sort_index()
    lines += [f"{count:,} levels lie at their ceiling ({rule})" for rule, count in by_rule.items()]
    if not isinstance(table["reason"].dtype, pd.CategoricalDtype):
        why = np.where(asked.ceilings.lifted[back], "), raised to its floor or order quantity", ")")
        words = np.where(np.isin(held, ["", RULE_WORDS[PLANNER]]), "", "; at its ceiling (" + held + why)
        table["reason"] = table["reason"].astype(object) + words
    return lines


def with_plan_columns(
    result: StockLevels,
    region: pd.Series,
    grades: pd.DataFrame,
    tables: PlanTables,
    promises: Promises,
) -> StockLevels:
    """Add what only the dataset and the grades know: region, planner, tier, and whose word each row is.

    Parameters
    ----------
    result : StockLevels
    region : Series
        region_id by site_id.
    grades : DataFrame
        part_id, planner, tier.
    tables : PlanTables
    promises : Promises

    Returns
    -------
    StockLevels
    """
    table, graded = result.table, grades.set_index("part_id")
    table["region_id"] = table["site_id"].map(region)
    table["planner"] = table["part_id"].map(graded["planner"])
    table["decision"] = table["part_id"].map(graded["planner"].map(DECISIONS).fillna("decided"))
    table["tier"] = table["part_id"].map(graded["tier"])
    tier = tables.tier_of_group
    if any(name != f"tier {number}" for name, number in tier.items()):
        table["part_group"] = table["part_id"].map(tables.parts.set_index("part_id")["group"])
    service = result.service.assign(tier=result.service["part_group"].map(tier))
    prices = result.shadow_prices.assign(
        site_id=promises.table["site_id"].to_numpy(),
        part_group=promises.table["part_group"].to_numpy(),
        tier=promises.table["part_group"].map(tier).to_numpy(),
    )
    return replace(result, table=table, service=service, shadow_prices=prices)


def planner_lines(table: pd.DataFrame) -> list[str]:
    """Money by who decides, where it is not headquarters alone."""
    money = table.groupby("decision", observed=True)["value"].sum()
    if set(money.index) <= {"decided"}:
        return []
    words = {
        "decided": "{:,.0f} decided by headquarters",
        "to_confirm": "{:,.0f} for regions to confirm",
        "third_party": "{:,.0f} of third parties' own money, not in the cost",
    }
    told = [words[name].format(money[name]) for name in words if name in money.index]
    return ["whose money: " + ", ".join(told)]


def third_party_rows(asked: Asked, grades: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows of the pipelines whose part a third party supplies.

    Parameters
    ----------
    asked : Asked
    grades : DataFrame
        part_id, planner.

    Returns
    -------
    ndarray of bool, shape (rows,)
    """
    planner = grades.set_index("part_id")["planner"].reindex(asked.forest.part_ids)
    theirs = (planner == THIRD_PARTY).fillna(False).to_numpy(dtype=bool)
    return np.asarray(theirs[asked.forest.part[asked.pipelines.forest_rows]], dtype=bool)


def without_third_party_in_caps(asked: Asked, theirs: NDArray[np.bool_]) -> Asked:
    """Caps of regions count no money of third parties."""
    caps = asked.promises.cap_promise
    if caps is None or not theirs.any():
        return asked
    return replace(asked, promises=replace(asked.promises, cap_promise=np.where(theirs, -1, caps)))


def own_money(asked: Asked, found: Found, theirs: NDArray[np.bool_]) -> Found:
    """Cost and bound without what third parties stock of their own money.

    Their parts share no promise with others, so the rest costs no less than the bound of all less what theirs
    cost here.

    Parameters
    ----------
    asked : Asked
    found : Found
    theirs : ndarray of bool, shape (rows,)
        From `third_party_rows`.

    Returns
    -------
    Found
    """
    if not theirs.any():
        return found
    money = weighted_sum(asked.pipelines.row_cost[theirs], found.levels[theirs])
    return replace(found, cost=found.cost - money, bound=max(found.bound - money, 0.0))


def own_levels(asked: Asked, tables: PlanTables, found: Found, method: str) -> NDArray[np.int64]:
    """Base stocks as in the table, and where planners set one the model's own at the prices of this plan.

    Parameters
    ----------
    asked, tables, found
        Of the plan.
    method : str
        Evaluation.

    Returns
    -------
    ndarray of int, shape (rows,)
        In the order of the forest. [pieces]
    """
    planned = tables.limits["who"] == BY_PLANNER
    free = read_pipelines(tables.sites, tables.parts, tables.rates, method, tables.limits[~planned])[1]
    free = replace(free, windows=asked.pipelines.windows)
    own = price(free, asked.promises.worth(found.prices), guess=found.levels).levels
    forest = asked.forest
    back = np.argsort(free.forest_rows, kind="stable")
    rows = pd.MultiIndex.from_arrays([forest.part_ids.take(forest.part), forest.site_ids.take(forest.site)])
    fixed = rows.isin(pd.MultiIndex.from_frame(tables.limits.loc[planned, ["part_id", "site_id"]]))
    return np.where(fixed, own[back], found.levels[back])
