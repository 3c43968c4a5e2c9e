"""What follows from a sizing: what would cure the promises that people cannot keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.staffing.bases import base_cures
from spareplan.staffing.causes import PARTS
from spareplan.staffing.cures import STOCK_COLUMNS, repair_cures, stock_cures, stock_of_regions
from spareplan.staffing.model import RegionModel
from spareplan.staffing.sizing import Phases, Promises, Sized
from spareplan.staffing.visits import PRIORITIES

if TYPE_CHECKING:
    from spareplan.results import DemandForecast, StockLevels

NAMED = 3


def find_cures(
    data: Any,
    demand: DemandForecast,
    levels: StockLevels | None,
    regions: pd.Index,
    model: RegionModel,
    sized: Sized,
    promises: Promises,
    phases: Phases,
    options: StaffingOptions,
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Stock, repair times and bases that would let promises be kept which no number of people keeps.

    Parameters
    ----------
    data : Dataset
    demand : DemandForecast
    levels : StockLevels or None
        None: no stock can be named.
    regions : Index
        R region ids.
    model, sized, promises, phases
        As sized.
    options : StaffingOptions
    seed : int

    Returns
    -------
    dict of str to DataFrame
        stock_cures, repair_cures, base_cures: as `cures.stock_cures`, `cures.repair_cures` and
        `bases.base_cures` give them.
    """
    names = regions.to_numpy()[model.rows.place].tolist()
    judged = (names, PRIORITIES, model.rows, sized, promises, model.repairs)
    stock = pd.DataFrame(columns=STOCK_COLUMNS)
    if levels is not None:
        shelves = stock_of_regions(levels.table, demand.table, data.parts, data.sites, regions)
        stock = stock_cures(*judged, shelves, phases)
    return {
        "stock_cures": stock,
        "repair_cures": repair_cures(*judged, phases),
        "base_cures": base_cures(*judged, model.units, options.travel_speed, options.circuity, seed),
    }


def cure_lines(cures: dict[str, pd.DataFrame], bound: NDArray[np.str_], levels: bool) -> list[str]:
    """Say what would cure the promises, cheapest first.

    Parameters
    ----------
    cures : dict of str to DataFrame
        As of `find_cures`.
    bound : ndarray of str, shape (R * M, K)
        What keeps each promise from being kept.
    levels : bool
        Whether stock levels were given.

    Returns
    -------
    list of str
    """
    lines = []
    if not levels and (bound == PARTS).any():
        lines.append(
            "Which pieces of stock would cure parts-bound promises is told where stock levels are given"
        )
    stock = cures["stock_cures"]
    if len(stock):
        named = stock[stock["part_id"].notna()]
        money = named.groupby(["region_id", "priority"])["money"].sum().sort_values()
        names = [" ".join(key) for key in money.index.tolist()]
        told = [f"{name} for {cost:,.0f}" for name, cost in zip(names, money.tolist(), strict=True)]
        if told:
            more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
            lines.append(f"More stock would cure: {', '.join(told[:NAMED])}{more}")
        lost = stock.loc[stock["missing_needed"].isna(), ["region_id", "priority"]].drop_duplicates()
        if len(lost):
            names = [f"{region} {priority}" for region, priority in lost.to_numpy().tolist()]
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            lines.append(f"All parts at hand alone would not cure: {', '.join(names[:NAMED])}{more}")
    bases = cures["base_cures"]
    if len(bases):
        first = bases.drop_duplicates(["region_id", "priority"], keep="last")
        columns = ["region_id", "priority", "base", "share_now", "share_then"]
        told = [
            f"{region} {priority} with {base} base{'s' if base > 1 else ''} ({now:.0%} to {then:.0%})"
            for region, priority, base, now, then in first[columns].to_numpy().tolist()
        ]
        lines.append(f"Bases would bring: {', '.join(told[:NAMED])}")
    return lines
