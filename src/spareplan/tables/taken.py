"""What was taken from the shelves, month by month: what forecasts learn from and are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from spareplan.maths.units import month_start
from spareplan.tables.supersession import newest_parts

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

CELL = ["part_id", "site_id", "month"]


def taken_from_shelves(data: Dataset) -> pd.DataFrame:
    """Everything taken from the shelves, planned and failed, by part, site and month.

    Parameters
    ----------
    data : Dataset
        Uses replacements, units (the site that serves the machine), demand.

    Returns
    -------
    DataFrame
        part_id, site_id, month, quantity [pieces]; sorted.
    """
    fitted = data.replacements[["unit_id", "part_id", "replaced_on", "quantity"]]
    fitted = fitted.merge(data.units[["unit_id", "site_id"]], on="unit_id", how="left", validate="m:1")
    fitted = fitted.assign(month=month_start(fitted["replaced_on"]))
    every = pd.concat([fitted[[*CELL, "quantity"]], data.demand[[*CELL, "quantity"]]], ignore_index=True)
    every["quantity"] = every["quantity"].astype(float)
    return every.groupby(CELL, sort=True)[["quantity"]].sum().reset_index()


def demand_to_learn(data: Dataset, last_day: pd.Timestamp) -> pd.DataFrame:
    """Demand that a forecast learns from: under the newest part number, without one-off projects.

    Parameters
    ----------
    data : Dataset
        Uses demand, parts.superseded_by.
    last_day : Timestamp
        Months that are not over by then are not looked at: half a month would pass for a weak one.

    Returns
    -------
    DataFrame
        part_id, site_id, month, quantity [pieces; NaN where unknown], one_off [pieces left out]; sorted.
    """
    known = data.demand[data.demand["month"] + pd.offsets.MonthEnd(0) <= last_day]
    moved = newest_parts(data.parts)
    rows = known[CELL].assign(
        part_id=known["part_id"].map(moved).fillna(known["part_id"]) if moved else known["part_id"],
        quantity=known["quantity"].astype(float) - known["one_off"].fillna(0.0),
        one_off=known["one_off"].fillna(0.0),
    )
    return rows.groupby(CELL, sort=True)[["quantity", "one_off"]].sum(min_count=1).reset_index()


def by_forecast_part(taken: pd.DataFrame, parts: pd.DataFrame, forecast: pd.DataFrame) -> pd.DataFrame:
    """Count old numbers as their successor's where the forecast only knows that one.

    Parameters
    ----------
    taken : DataFrame
        As from `taken_from_shelves`.
    parts : DataFrame
        part_id, superseded_by.
    forecast : DataFrame
        part_id: a part that stands in it keeps its own number.

    Returns
    -------
    DataFrame
        As `taken`, summed again.
    """
    known = set(forecast["part_id"].unique())
    newest = {old: new for old, new in newest_parts(parts).items() if old not in known}
    if not newest or not taken["part_id"].isin(newest).any():
        return taken
    moved = taken.assign(part_id=taken["part_id"].map(lambda part: newest.get(part, part)))
    return moved.groupby(CELL, sort=True)[["quantity"]].sum().reset_index()
