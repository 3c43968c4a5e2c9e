"""Levels within the caps of regions: found, refused with the least that would do, and what caps cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from spareplan.config import StockingOptions
from spareplan.errors import InfeasibleError, SolverError
from spareplan.stocking.asked import Asked
from spareplan.stocking.finding import Found, Standing, find_levels, price_promises
from spareplan.stocking.pipelines import Pipelines, weighted_sum
from spareplan.stocking.pricing import measure
from spareplan.stocking.promises import Promises
from spareplan.stocking.spending import spend
from spareplan.stocking.trim import money, trim

Progress = Callable[[str, int, int], None]
# Above these rows the price alone tells what caps cost; a second search would take as long as the first.
SECOND_SEARCH_ROWS = 600_000
# A cap that is used so far counts as binding, whatever its price says of whole pieces.
NEARLY = 0.98
FILLINGS = 14


def caps_table(caps: pd.DataFrame | None, options: StockingOptions) -> pd.DataFrame | None:
    """Caps as given, else those of the options; None where there are none.

    Parameters
    ----------
    caps : DataFrame or None
        region_id, cap. [money]
    options : StockingOptions

    Returns
    -------
    DataFrame or None
    """
    if caps is not None:
        return caps if len(caps) else None
    if not options.region_caps:
        return None
    named = sorted(options.region_caps.items())
    return pd.DataFrame({"region_id": [name for name, _ in named], "cap": [cap for _, cap in named]})


def find_within_caps(asked: Asked, progress: Progress | None = None) -> Found:
    """Cheapest levels; caps that cannot hold are refused by name.

    Parameters
    ----------
    asked : Asked
    progress : callable, optional

    Returns
    -------
    Found

    Raises
    ------
    InfeasibleError
        A region cannot keep its promises with its cap; `clashes` holds the least cap of each that would do.
    """
    promises, eased = asked.promises, asked.eased
    if promises.cap_promise is None:
        return find_levels(asked.pipelines, promises, progress=progress, eased=eased)
    # Where the caps do not bind, levels that know of none are the answer.
    easy = None if eased is None else without_caps(eased)
    free = find_levels(asked.pipelines, without_caps(promises), progress=progress, eased=easy)
    if promises.kept(promises.used(free.state)).all():
        return replace(free, prices=np.r_[free.prices, np.zeros(len(promises) - len(free.prices))])
    try:
        return find_levels(asked.pipelines, promises, progress=progress, eased=eased)
    except SolverError as error:
        full, lean = _lean_regions(asked)
        clashes = _least_caps(asked, lean)
        short = clashes[clashes["least"] > clashes["target"] * (1 + 1e-9)]
        if short.empty:
            return _around_regions(asked, full, lean)
        held = weighted_sum(full.row_cost, np.where(full.least == full.most, lean.levels, 0))
        proved = f" (no levels do below {lean.bound - held:,.2f})" if len(clashes) == 1 else ""
        told = "\n".join(
            f"{row.group}: a cap of {row.target:,.2f} is too little for the promises of its sites, however "
            f"much lies elsewhere; the least found that does is {row.least:,.2f}{proved}"
            for row in short.itertuples()
        )
        raise InfeasibleError(told, clashes=short, least=float(short["least"].max())) from error


def _lean_regions(asked: Asked) -> tuple[Pipelines, Found]:
    """Least money at the capped sites when all others hold plenty: the rows so held, and what was found."""
    pipelines, promises = asked.pipelines, asked.promises
    assert promises.cap_promise is not None
    capped = promises.cap_promise >= 0
    plenty = np.maximum(np.minimum(pipelines.most, pipelines.room - 4), pipelines.least)
    full = replace(
        pipelines,
        least=np.where(capped, pipelines.least, plenty),
        most=np.where(capped, pipelines.most, plenty),
    )
    return full, find_levels(full, without_caps(promises))


def _around_regions(asked: Asked, full: Pipelines, lean: Found) -> Found:
    """Levels where the caps are tight: the regions spend them, and the rest is planned around that.

    Parameters
    ----------
    asked : Asked
    full, lean
        From `_lean_regions`.

    Returns
    -------
    Found
        Its bound is that of the caps' own prices.
    """
    pipelines, promises = asked.pipelines, asked.promises
    assert promises.cap_promise is not None
    uncapped, capped = without_caps(promises), promises.cap_promise >= 0
    free = find_levels(pipelines, uncapped, lean.prices)
    standing = Standing()
    price_promises(pipelines, promises, None, None, standing)
    code = np.where(capped, promises.cap_promise - len(uncapped), -1)
    caps = promises.allowed[promises.is_cap]
    spent = spend(full, uncapped, free.prices, code, lean.levels, caps)
    found = []
    for levels in (spent, lean.levels):
        held = replace(
            pipelines,
            least=np.where(capped, levels, pipelines.least),
            most=np.where(capped, levels, pipelines.most),
        )
        try:
            found.append(find_levels(held, uncapped, free.prices))
        except SolverError:
            # Near the least cap only much more at the sites above keeps the promises.
            found.append(_filled_up(held, full, uncapped, free))
    best = min(found, key=lambda one: one.cost)
    bound = min(max(free.bound, standing.searched.bound if asked.eased is None else 0.0), best.cost)
    return replace(best, bound=bound, prices=standing.searched.prices)


def _filled_up(held: Pipelines, full: Pipelines, promises: Promises, free: Found) -> Found:
    """From free levels towards plenty, no further than all promises need; then trimmed."""
    plenty = np.where(full.least == full.most, full.least, held.least)
    low, high, start = 0.0, 1.0, np.clip(free.levels, held.least, held.most)
    kept = plenty
    for _ in range(FILLINGS):
        share = (low + high) / 2
        levels = np.clip(np.ceil(start + share * (plenty - start)).astype(np.int64), held.least, held.most)
        if promises.kept(promises.used(measure(held, levels))).all():
            high, kept = share, levels
        else:
            low = share
    done = trim(held, promises, kept, free.prices)
    levels, state = (kept, measure(held, kept)) if done is None else done
    return replace(free, levels=levels, state=state, cost=money(held, levels))


def _least_caps(asked: Asked, lean: Found) -> pd.DataFrame:
    """Least cap of each region that could hold: group, measure, target (the cap), least. [money]."""
    pipelines, promises = asked.pipelines, asked.promises
    assert promises.cap_promise is not None
    rows = np.flatnonzero(promises.cap_promise >= 0)
    money = np.bincount(
        promises.cap_promise[rows],
        weights=pipelines.row_cost[rows] * lean.levels[rows],
        minlength=len(promises),
    )
    table = promises.table.loc[promises.is_cap, ["group", "measure", "target"]]
    return table.assign(least=money[promises.is_cap]).reset_index(drop=True)


def without_caps(promises: Promises) -> Promises:
    """The same promises without caps, which stand last."""
    kept = int((~promises.is_cap).sum())
    return replace(
        promises,
        table=promises.table.iloc[:kept],
        allowed=promises.allowed[:kept],
        cap_promise=None,
        cap_factor=np.empty(0),
    )


def cap_lines(asked: Asked, found: Found) -> list[str]:
    """What each cap uses and what all of them cost, in words."""
    promises = asked.promises
    if promises.cap_promise is None:
        return []
    used = promises.used(found.state)
    lines, binding = [], False
    for at in np.flatnonzero(promises.is_cap).tolist():
        price = float(found.prices[at])
        binding |= price > 0 or used[at] > NEARLY * promises.allowed[at]
        name, cap = promises.table["group"].iloc[at], promises.allowed[at]
        told = f"; each 1,000 more there would save {1000 * price:,.0f} in all" if price > 0 else ""
        lines.append(f"region {name}: {used[at]:,.0f} of {cap:,.0f} used{told}")
    if binding and len(found.levels) <= SECOND_SEARCH_ROWS and not found.interrupted:
        uncapped = without_caps(promises)
        free = find_levels(asked.pipelines, uncapped, found.prices[: len(uncapped)])
        more = max(found.cost - free.cost, 0.0)
        lines.append(f"the caps cost {more:,.0f} elsewhere ({more / found.cost:.2%})")
    return lines
