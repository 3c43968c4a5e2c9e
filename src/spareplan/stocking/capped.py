"""Levels within the caps of regions: found, refused with the least that would do, and what caps cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from spareplan.config import StockingOptions
from spareplan.errors import InfeasibleError, SolverError
from spareplan.stocking.asked import Asked
from spareplan.stocking.finding import Found, find_levels
from spareplan.stocking.promises import Promises

Progress = Callable[[str, int, int], None]
# Above these rows the price alone tells what caps cost; a second search would take as long as the first.
SECOND_SEARCH_ROWS = 600_000


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
    try:
        return find_levels(asked.pipelines, asked.promises, progress=progress, eased=asked.eased)
    except SolverError as error:
        if asked.promises.cap_promise is None:
            raise
        clashes = least_caps(asked)
        short = clashes[clashes["least"] > clashes["target"] * (1 + 1e-9)]
        if short.empty:
            named = " or ".join(f"{row.group} ({row.least:,.0f} alone)" for row in clashes.itertuples())
            raise InfeasibleError(
                "the caps cannot be kept together with the promises, though each can with plenty elsewhere; "
                f"raise {named}",
                clashes=clashes,
            ) from error
        told = "\n".join(
            f"{row.group}: a cap of {row.target:,.2f} cannot keep the promises of its sites, however much "
            f"lies elsewhere; the least that does is {row.least:,.2f}"
            for row in short.itertuples()
        )
        raise InfeasibleError(told, clashes=short, least=float(short["least"].max())) from error


def least_caps(asked: Asked) -> pd.DataFrame:
    """Least money at the sites of each capped region when all other sites hold plenty.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    DataFrame
        group (region), measure, target (the cap), least. [money]
    """
    pipelines, promises = asked.pipelines, asked.promises
    assert promises.cap_promise is not None
    capped = promises.cap_promise >= 0
    plenty = np.maximum(np.minimum(pipelines.most, pipelines.room - 4), pipelines.least)
    full = replace(
        pipelines,
        least=np.where(capped, pipelines.least, plenty),
        most=np.where(capped, pipelines.most, plenty),
    )
    found = find_levels(full, without_caps(promises))
    rows = np.flatnonzero(capped)
    money = np.bincount(
        promises.cap_promise[rows],
        weights=pipelines.row_cost[rows] * found.levels[rows],
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
        binding |= price > 0
        name, cap = promises.table["group"].iloc[at], promises.allowed[at]
        told = f"; each 1,000 more there would save {1000 * price:,.0f} in all" if price > 0 else ""
        lines.append(f"region {name}: {used[at]:,.0f} of {cap:,.0f} used{told}")
    if binding and len(found.levels) <= SECOND_SEARCH_ROWS and not found.interrupted:
        uncapped = without_caps(promises)
        free = find_levels(asked.pipelines, uncapped, found.prices[: len(uncapped)])
        more = max(found.cost - free.cost, 0.0)
        lines.append(f"the caps cost {more:,.0f} elsewhere ({more / found.cost:.2%})")
    return lines
