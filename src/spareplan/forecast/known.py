"""What was known on a day: a dataset without anything that was learned later."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd

# Tables of what happened, and the day it happened.
HAPPENED = {
    "demand": "month",
    "meter_readings": "read_on",
    "usage": "month",
    "work_orders": "opened_at",
}


def known_at(data: Any, day: pd.Timestamp) -> Any:
    """Dataset as it stood at the end of a past day.

    Parameters
    ----------
    data : Dataset
    day : Timestamp
        Last day that was known.

    Returns
    -------
    Dataset
        Without machines commissioned later, replacements that came or were reported later, retirements, use,
        readings, demand and orders of later days. Of the plans of today (sales, overrides, reservations)
        nothing stays: what was planned then is not recorded.

    Notes
    -----
    Parts, products, fitment, sites and promises stay as they are. A month of use or demand is known when it
    has begun before the day: its table is filled while it runs.
    """
    tables = dict(data.tables)
    for name, column in HAPPENED.items():
        tables[name] = _until(tables[name], tables[name][column], day)
    units = _until(tables["units"], tables["units"]["commissioned_on"], day, unknown=True)
    tables["units"] = units.assign(retired_on=units["retired_on"].where(units["retired_on"] <= day))
    rows = _until(tables["replacements"], tables["replacements"]["replaced_on"], day)
    rows = _until(rows, rows["reported_on"], day, unknown=True)
    tables["replacements"] = rows[rows["unit_id"].isin(tables["units"]["unit_id"])].reset_index(drop=True)
    for name in ("sales_plan", "overrides", "reservations"):
        tables[name] = tables[name].iloc[:0]
    return dataclasses.replace(data, tables=tables)


def _until(rows: pd.DataFrame, date: pd.Series, day: pd.Timestamp, unknown: bool = False) -> pd.DataFrame:
    keep = date < day + pd.Timedelta(days=1)
    return rows[keep | date.isna() if unknown else keep].reset_index(drop=True)
