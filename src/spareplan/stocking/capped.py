"""Levels within the caps of regions: found, refused with the least that would do, and what caps cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from spareplan.config import StockingOptions
from spareplan.errors import SolverError
from spareplan.stocking.asked import Asked
from spareplan.stocking.caps import without_caps
from spareplan.stocking.finding import LP_ROWS, Found, find_levels
from spareplan.stocking.regions import refusal, refuse_short, regions_of
from spareplan.stocking.tight import tighten

Progress = Callable[[str, int, int], None]
# Above these rows the price alone tells what caps cost; a second search would take as long as the first.
SECOND_SEARCH_ROWS = 600_000
# So few are proved with the caps at once; the integer programme over more columns takes long under a cap.
TINY_ROWS = 60
# A cap that is used so far counts as binding, whatever its price says of whole pieces.
NEARLY = 0.98


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
        A region cannot keep its promises with its cap: `clashes` and `least` as `regions.refusal` tells them.
    KeyboardInterrupt
        The user broke off before there was a plan that keeps the caps.
    """
    promises, eased = asked.promises, asked.eased
    if promises.cap_promise is None:
        return find_levels(asked.pipelines, promises, progress=progress, eased=eased)
    # In small networks the proof takes a fraction of a plan; in large ones most caps need none.
    early = len(asked.pipelines.stop) <= LP_ROWS
    regions = regions_of(asked) if early else []
    refuse_short(asked, regions)
    # Where the caps do not bind, levels that know of none are the answer.
    easy = None if eased is None else without_caps(eased)
    free = find_levels(asked.pipelines, without_caps(promises), progress=progress, eased=easy)
    kept = promises.kept(promises.used(free.state))
    if kept.all():
        return replace(free, prices=np.r_[free.prices, np.zeros(len(promises) - len(free.prices))])
    if free.interrupted:
        # No plan that keeps the caps was found before the user broke off.
        raise KeyboardInterrupt
    if not early:
        regions = [one for one in regions_of(asked) if not kept[one.caps].all()]
        refuse_short(asked, regions)
    found = tighten(asked, free, regions, progress)
    if len(asked.pipelines.stop) <= TINY_ROWS:
        found = _cheaper(found, _straight(asked, progress))
    if found is None:
        raise refusal(asked, regions)
    return found


def _straight(asked: Asked, progress: Progress | None) -> Found | None:
    """Levels found with the caps from the first; None where one piece at a time leads to none."""
    try:
        return find_levels(asked.pipelines, asked.promises, progress=progress, eased=asked.eased)
    except SolverError:
        return None


def _cheaper(one: Found | None, other: Found | None) -> Found | None:
    """The cheaper of two plans, with the higher of their bounds and the prices that prove it."""
    if one is None or other is None:
        return one or other
    cheaper, sharper = (
        min(one, other, key=lambda found: found.cost),
        max(one, other, key=lambda found: found.bound),
    )
    bound = min(sharper.bound, cheaper.cost)
    interrupted = one.interrupted or other.interrupted
    return replace(cheaper, bound=bound, prices=sharper.prices, interrupted=interrupted)


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
        if not free.interrupted:
            more = max(found.cost - free.cost, 0.0)
            lines.append(f"the caps cost {more:,.0f} elsewhere ({more / found.cost:.2%})")
    return lines
