"""What is known of the months ahead: their edges, machines to be sold, machines to be retired."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.forecast.clock import CALENDAR, region_of_sites
from spareplan.forecast.exposure import FleetHistory


class Calendar(NamedTuple):
    """Edges in time: month starts and window ends together, as days after as_of and as dates."""

    days: np.ndarray
    dates: pd.DatetimeIndex
    month_at: np.ndarray
    window_at: np.ndarray


def find_edges(as_of: pd.Timestamp, horizon: pd.DatetimeIndex, days: list[int]) -> Calendar:
    """Put month starts and window ends on one line of days after `as_of`."""
    begin = as_of + pd.Timedelta(days=1)
    starts = horizon.append(pd.DatetimeIndex([horizon[-1] + pd.offsets.MonthBegin(1)]))
    month_days = np.maximum((starts.to_numpy() - begin.to_datetime64()) // np.timedelta64(1, "D"), 0)
    every = np.unique(np.concatenate([[0], month_days, np.asarray(days)]))
    dates = pd.DatetimeIndex(begin + pd.to_timedelta(every, unit="D"))
    month_at, window_at = (
        np.asarray(np.searchsorted(every, wanted)) for wanted in (month_days, np.asarray(days))
    )
    return Calendar(every, dates, month_at, window_at)


def sales_ahead(data: Any, as_of: pd.Timestamp, edges: Calendar) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Sales and retirements planned within the horizon, and what to say about them."""
    plan = data.sales_plan
    plan = plan[(plan["month"] > as_of) & (plan["month"] < edges.dates[-1])]
    retired = float(plan["units_retired"].fillna(0).sum())
    note = {
        "stage": "forecast",
        "name": "machines to be sold and retired",
        "value": f"{plan['units_sold'].fillna(0).sum():g} sold, {retired:g} retired",
        "unit": "machines",
        "origin": "data: sales_plan",
        "meaning": "sold ones start at age 0 in mid-month; retired ones are any of their product and site",
    }
    return plan, [note] if len(plan) else []


def sold_slots(
    plan: pd.DataFrame, data: Any, fleet: FleetHistory, lifetimes: pd.DataFrame, edges: Calendar
) -> pd.DataFrame:
    """List part, site, product and month of sale with curve, use until the sale, lives and pieces of each."""
    plan = plan[plan["units_sold"].fillna(0) > 0]
    rows = plan[["product_id", "site_id", "month", "units_sold"]].merge(fleet.fitted, on="product_id")
    place = rows["site_id"].map(region_of_sites(data.network)).fillna("").astype(str)
    clock = rows["part_id"].map(lifetimes.set_index("part_id")["clock"])
    curves = pd.Series(fleet.clock.lookup, dtype=np.int64)
    curve = np.full(len(rows), CALENDAR, dtype=np.int64)
    if len(curves) and len(rows):
        keys = pd.MultiIndex.from_arrays([rows["product_id"], place])
        known = curves.reindex(keys).fillna(CALENDAR).to_numpy(np.int64)
        curve = np.where((clock == "hours").to_numpy(), known, CALENDAR)
    rows = rows.assign(curve=curve, region=place)
    middle = rows["month"] + pd.Timedelta(days=15)
    now = fleet.clock.at(curve, pd.DatetimeIndex([edges.dates[0]] * len(rows)))
    rows["start"] = fleet.clock.at(curve, middle) - now
    rows["lives"] = rows["units_sold"] * rows["lives"]
    return rows.sort_values(["part_id", "site_id", "product_id", "month"], kind="stable", ignore_index=True)


def kept_share(data: Any, as_of: pd.Timestamp, edges: Calendar) -> pd.DataFrame:
    """Share of today's machines still there between the edges, by site and product."""
    middle = edges.dates[:-1] + (edges.dates[1:] - edges.dates[:-1]) / 2
    units = data.units
    now = units[(units["commissioned_on"] <= as_of) & ~(units["retired_on"] <= as_of)]
    present = now.groupby(["site_id", "product_id"]).size()
    gone = pd.DataFrame(0.0, index=present.index, columns=range(len(middle)))
    plan = data.sales_plan
    plan = plan[(plan["month"] > as_of) & (plan["units_retired"].fillna(0) > 0)]
    for row in plan.itertuples(index=False):
        key = (row.site_id, row.product_id)
        if key in gone.index:
            length = row.month.days_in_month
            elapsed = ((middle - row.month).days.to_numpy() + 0.5) / length
            gone.loc[key] += row.units_retired * np.clip(elapsed, 0.0, 1.0)
    for row in now[now["retired_on"].notna()].itertuples(index=False):
        gone.loc[(row.site_id, row.product_id)] += (middle > row.retired_on).astype(float)
    share = 1 - gone.div(present, axis=0)
    return share.clip(lower=0.0)
