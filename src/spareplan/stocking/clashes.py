"""Wishes that cannot all be kept: which clash, and the least that would do.

More stock never serves anybody worse. So the fullest shelves that floors and ceilings allow tell for certain
what can be reached, a set of ceilings that clashes with a promise stays one when more ceilings join it, and
dropping one wish after the other while the rest still clash leaves a set of which none can be spared [1]_.

References
----------
.. [1] Chinneck (2008), Feasibility and Infeasibility in Optimization, ch. 6: the deletion filter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import InfeasibleError, SolverError
from spareplan.stocking._forest import Forest
from spareplan.stocking.finding import Found, find_levels, floor_money
from spareplan.stocking.pipelines import ANY_STOCK, Pipelines, weighted_sum
from spareplan.stocking.plenty import fullest, plenty_of
from spareplan.stocking.pricing import Priced, measure, price
from spareplan.stocking.promises import KEPT_WITHIN, Promises
from spareplan.stocking.publish import shadow_price_table

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
# Below this share of the demand a promise is a promise of certainty; no finite stock gives that.
CERTAINTY = 1e-12
SHOWN = 5
SHOWN_ROWS = 4
# For so many promises the ceilings that bind them are looked for; each takes a few dozen evaluations.
NAMED = 100


def refuse_clashes(forest: Forest, pipelines: Pipelines, promises: Promises) -> None:
    """Refuse promises that no stock within the ceilings can keep, all at once.

    Parameters
    ----------
    forest, pipelines : Forest, Pipelines
    promises : Promises

    Raises
    ------
    InfeasibleError
        `clashes`: a row per such promise: group, site_id, part_group, measure, target, reachable (best that
        can be asked for instead), change_needed (reachable against target), bound_by (ceilings of which none
        can be spared that already make it impossible), why. `ceilings`: part_id, site_id, at_most, least:
        to what ceilings must rise so that all of them can be kept, for the least money.
    """
    if not len(promises):
        return
    full = fullest(pipelines, promises)
    used = promises.used(full)
    demand = promises.table["demand_per_day"].to_numpy()
    endless = _endless(pipelines, promises)
    missed = used > promises.allowed * (1 + KEPT_WITHIN) + 1e-15 * demand
    missed &= ~promises.is_cap & (demand > 0)
    endless &= demand > 0
    bad = np.flatnonzero(endless | missed)
    if not len(bad):
        return
    clashes = promises.table.iloc[bad].drop(columns="demand_per_day").reset_index(drop=True)
    clashes["reachable"] = promises.reached(used)[bad]
    wait = (clashes["measure"] == "mean_wait_days").to_numpy()
    clashes["change_needed"] = (clashes["reachable"] - clashes["target"]).abs()
    named = set(np.flatnonzero(missed)[:NAMED].tolist())
    clashes["bound_by"] = [
        _rows_words(forest, pipelines, binding_ceilings(pipelines, promises, full, g)) if g in named else ""
        for g in bad.tolist()
    ]
    clashes["why"] = np.where(missed[bad], "the ceilings on stock allow no more", "demand has no upper bound")
    least, more = least_ceilings(forest, pipelines, promises, full, missed & ~endless)
    lines = [_told(row, bool(is_wait)) for row, is_wait in zip(clashes.to_dict("records"), wait)]
    message = "\n".join(lines[:SHOWN])
    if len(lines) > SHOWN:
        message += f"\n... and {len(lines) - SHOWN} more, all in .clashes"
    if len(least):
        shown = ", ".join(
            f"{row.part_id} at {row.site_id} rise from {row.at_most} to {row.least}"
            for row in least.head(SHOWN_ROWS).itertuples()
        )
        rest = f" and {len(least) - SHOWN_ROWS} more in .ceilings" if len(least) > SHOWN_ROWS else ""
        message += (
            f"\nLeast that would do: let {shown}{rest} ({more:,.2f} more money), or ask for what can be "
            "reached."
        )
    raise InfeasibleError(message, clashes=clashes, ceilings=least)


def _endless(pipelines: Pipelines, promises: Promises) -> BoolArray:
    """Promises of certainty, where pieces are ever on the way."""
    demand = promises.table["demand_per_day"].to_numpy()
    certain = (promises.allowed <= CERTAINTY * demand) & ~promises.is_cap
    out = np.zeros(len(promises), bool)
    if not certain.any():
        return out
    on_way = pipelines.mean > 0
    for row in np.flatnonzero(on_way & ~pipelines.is_leaf).tolist():
        on_way[row : pipelines.stop[row]] = True
    late = on_way if pipelines.windows is None else on_way & (pipelines.windows.up >= 0)
    for kind, ever in zip(promises.kinds[:3], (on_way, on_way, late), strict=True):
        if kind.promise is not None:
            out[np.unique(kind.promise[ever & (kind.promise >= 0)])] = True
    return out & certain


def irreducible(wishes: IntArray, still_clash: Callable[[IntArray], bool]) -> IntArray:
    """Wishes of which none can be spared without the clash going away.

    Parameters
    ----------
    wishes : ndarray of int
        That clash together; those to be dropped first stand first.
    still_clash : callable
        Whether some of them clash; more of them never clash less.

    Returns
    -------
    ndarray of int
        Sorted.
    """
    kept = set(wishes.tolist())
    spans = [wishes]
    while spans:
        span = spans.pop()
        rest = np.array(sorted(kept - set(span.tolist())), dtype=np.int64)
        if still_clash(rest):
            kept = set(rest.tolist())
        elif len(span) > 1:
            half = len(span) // 2
            spans += [span[half:], span[:half]]
    return np.array(sorted(kept), dtype=np.int64)


def binding_ceilings(pipelines: Pipelines, promises: Promises, full: Priced, promise: int) -> IntArray:
    """Rows whose ceilings already make a promise impossible, and none of which can be spared.

    Parameters
    ----------
    pipelines, promises
    full : Priced
        From `fullest`.
    promise : int
        One that the fullest shelves do not keep.

    Returns
    -------
    ndarray of int
        Rows of the pipelines.
    """
    use = _use_by_row(promises, full, promise)
    by_part = np.add.reduceat(use, pipelines.starts[:-1])
    allowed = float(promises.allowed[promise]) * (1 + KEPT_WITHIN)
    order = np.argsort(-by_part, kind="stable")
    enough = int(np.searchsorted(np.cumsum(by_part[order]), allowed, side="right")) + 1
    parts = np.sort(order[:enough])
    rows = pipelines.rows_of(parts)
    some, mine = pipelines.take(parts), promises.take(rows)
    bounded, plenty = np.flatnonzero(_touching(some, use[rows] > 0)), plenty_of(some)

    def still_clash(kept: IntArray) -> bool:
        levels = plenty.copy()
        levels[kept] = np.minimum(some.most[kept], plenty[kept])
        seen = measure(some, levels)
        return bool(_use_by_row(mine, seen, promise).sum() > allowed)

    # Headquarters first, then those that matter least: so the few that matter most remain.
    first = np.lexsort((use[rows][bounded], some.is_leaf[bounded]))
    return rows[irreducible(bounded[first], still_clash)]


def least_ceilings(
    forest: Forest, pipelines: Pipelines, promises: Promises, full: Priced, missed: BoolArray
) -> tuple[pd.DataFrame, float]:
    """To what ceilings must rise so that promises can be kept together, for the least money.

    Parameters
    ----------
    forest, pipelines, promises
    full : Priced
        From `fullest`.
    missed : ndarray of bool, shape (promises,)
        The promises.

    Returns
    -------
    tuple of DataFrame and float
        part_id, site_id, at_most, least of the ceilings that rise, and the money above the ceilings.
    """
    columns = ["part_id", "site_id", "at_most", "least"]
    asked = np.flatnonzero(missed)
    use = sum((_use_by_row(promises, full, g) for g in asked.tolist()), np.zeros(len(pipelines.stop)))
    parts = np.flatnonzero(np.add.reduceat(use, pipelines.starts[:-1]) > 0) if len(use) else asked
    if not len(asked) or not len(parts):
        return pd.DataFrame(columns=columns), 0.0
    rows = pipelines.rows_of(parts)
    some = pipelines.take(parts)
    rising, plenty = _touching(some, use[rows] > 0), plenty_of(some)
    there = np.where(rising, some.most, np.minimum(plenty, some.most))
    eased = replace(some, least=there, most=np.where(rising, ANY_STOCK, there))
    try:
        found = find_levels(eased, replace(promises.take(rows).only(asked), cap_promise=None))
    except SolverError:
        return pd.DataFrame(columns=columns), 0.0
    up = np.flatnonzero(found.levels > there)
    origin = pipelines.forest_rows[rows[up]]
    table = pd.DataFrame(
        {
            "part_id": forest.part_ids.take(forest.part[origin]),
            "site_id": forest.site_ids.take(forest.site[origin]),
            "at_most": there[up],
            "least": found.levels[up],
        }
    )
    return table, weighted_sum(some.row_cost[up], found.levels[up] - there[up])


def refuse_floors(forest: Forest, pipelines: Pipelines, budget: float | None) -> None:
    """Refuse a budget below what floors, fixed levels and order quantities tie up.

    Raises
    ------
    InfeasibleError
        With the least budget (`least`), and the dearest floors in `clashes`: part_id, site_id, at_least,
        money.
    """
    floor = floor_money(pipelines)
    if budget is None or floor <= budget * (1 + 1e-12):
        return
    held = pipelines.least * pipelines.row_cost
    rows = np.argsort(-held, kind="stable")[: min(100, int((held > 0).sum()))]
    origin = pipelines.forest_rows[rows]
    clashes = pd.DataFrame(
        {
            "part_id": forest.part_ids.take(forest.part[origin]),
            "site_id": forest.site_ids.take(forest.site[origin]),
            "at_least": pipelines.least[rows],
            "money": held[rows],
        }
    )
    dearest = ", ".join(
        f"{row.at_least} x {row.part_id} at {row.site_id} ({row.money:,.2f})"
        for row in clashes.head(SHOWN_ROWS).itertuples()
    )
    raise InfeasibleError(
        f"a budget of {budget:,.2f} does not pay for the fixed levels, floors and order quantities: "
        f"they need {floor:,.2f}. Dearest: {dearest}. Give {floor - budget:,.2f} more or lower these",
        clashes=clashes,
        least=floor,
    )


def refuse_budget(
    pipelines: Pipelines, promises: Promises, found: Found, budget: float | None, beside: float = 0.0
) -> None:
    """Refuse a budget below what the promises need, and name those that it cannot pay for.

    Parameters
    ----------
    pipelines, promises
    found : Found
        The cheapest plan that keeps all promises.
    budget : float or None
        [money]
    beside : float
        Money in the plan that others pay. [money]

    Raises
    ------
    InfeasibleError
        With the least budget (`least`), and in `clashes` a row per promise with a price: group, measure,
        target, price (money per unit), one_point_costs, needed (one of the promises that alone need more than
        the budget, none of which can be spared).
    """
    least = found.cost - beside
    if budget is None or least <= budget * (1 + 1e-12):
        return
    needed = clashing_promises(pipelines, promises, found, budget + beside)
    clashes = shadow_price_table(promises, found.prices)
    clashes.insert(2, "target", promises.table["target"].to_numpy())
    clashes["needed"] = np.isin(np.arange(len(clashes)), needed)
    clashes = clashes[(clashes["price"] > 0) | clashes["needed"]]
    clashes = clashes.sort_values("price", ascending=False, kind="stable", ignore_index=True)
    dearest = ", ".join(f"{row.group} ({row.measure} {row.target:g})" for row in clashes.head(3).itertuples())
    few = 0 < len(needed) < len(clashes)
    alone = (
        f" {len(needed)} of the {len(clashes)} promises with a price already need more than the budget, and "
        "none of them can be spared for that (needed in .clashes)."
        if few
        else ""
    )
    raise InfeasibleError(
        f"a budget of {budget:,.2f} cannot keep all targets: the least that does is {least:,.2f} "
        f"(no levels do it below {max(found.bound - beside, 0.0):,.2f}).{alone} Dearest: {dearest}. Give "
        f"{least - budget:,.2f} more, loosen these, or take the best service for the money "
        '(short_budget = "best_service")',
        clashes=clashes,
        least=least,
    )


def clashing_promises(pipelines: Pipelines, promises: Promises, found: Found, budget: float) -> IntArray:
    """Promises that need more than a budget by themselves, as the lower bound proves; none can be spared.

    Parameters
    ----------
    pipelines, promises, found
    budget : float
        [money]

    Returns
    -------
    ndarray of int
        Positions; empty where the bound proves no clash (the budget lies between bound and plan).
    """
    priced = np.flatnonzero(found.prices > 0)

    def still_clash(kept: IntArray) -> bool:
        prices = np.where(np.isin(np.arange(len(promises)), kept), found.prices, 0.0)
        least = price(pipelines, promises.worth(prices), guess=found.levels)
        return bool(least.value.sum() - weighted_sum(prices, promises.allowed) > budget * (1 + 1e-9))

    if not still_clash(priced):
        return np.empty(0, np.int64)
    weight = found.prices[priced] * promises.allowed[priced]
    return irreducible(priced[np.argsort(weight, kind="stable")], still_clash)


def _use_by_row(promises: Promises, state: Priced, promise: int) -> FloatArray:
    out = np.zeros(len(state.levels))
    for kind, seen in zip(promises.kinds[:3], (state.ebo, state.miss, state.late), strict=True):
        if kind.promise is not None and len(seen):
            out += np.where(kind.promise == promise, kind.factor * seen, 0.0)
    return out


def _touching(pipelines: Pipelines, short: BoolArray) -> BoolArray:
    """Bounded rows that are short of stock themselves, or stand above one that is."""
    before = np.r_[0, np.cumsum(short)]
    below = before[pipelines.stop] - before[:-1] > 0
    return below & (pipelines.most < ANY_STOCK)


def _told(row: dict[Any, Any], is_wait: bool) -> str:
    lead = f"{row['group']}: {row['measure']} {row['target']:g} cannot be kept ({row['why']}"
    if row["why"].startswith("the ceilings"):
        # Rounded to the side that can be kept.
        best = row["reachable"]
        shown = np.ceil(best * 1e4) / 1e4 if is_wait else np.floor(best * 1e4) / 1e4
        held = f", held down by {row['bound_by']}" if row["bound_by"] else ""
        return f"{lead}; {shown:g} can be reached{held})"
    ask = "a wait above 0" if is_wait else "a share below 1, such as 0.999"
    return f"{lead}, so no finite stock makes sure; ask for {ask})"


def _rows_words(forest: Forest, pipelines: Pipelines, rows: IntArray) -> str:
    origin = pipelines.forest_rows[rows]
    names = zip(forest.part_ids.take(forest.part[origin]), forest.site_ids.take(forest.site[origin]))
    fixed = pipelines.least[rows] == pipelines.most[rows]
    told = [
        f"{part} at {site} ({'fixed at' if held and most > 0 else 'at most'} {most})"
        for (part, site), held, most in zip(names, fixed.tolist(), pipelines.most[rows].tolist())
    ]
    rest = f" and {len(told) - SHOWN_ROWS} more" if len(told) > SHOWN_ROWS else ""
    return ", ".join(told[:SHOWN_ROWS]) + rest
