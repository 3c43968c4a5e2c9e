"""What was taken from the shelves, month by month: the one count that forecasts are held against."""

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
