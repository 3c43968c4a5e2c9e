"""Inspections ahead: due after the handover, or in the forecast's calendar; as many made as in the past."""

from __future__ import annotations

from typing import Any

import pandas as pd

from spareplan.config import StaffingOptions
from spareplan.maths.units import month_start
from spareplan.staffing.visits import note


def inspection_orders(
    data: Any,
    units: pd.DataFrame,
    past: pd.DataFrame,
    regions: pd.Index,
    region_of: pd.Series,
    months: pd.DatetimeIndex,
    start: pd.Timestamp,
    as_of: pd.Timestamp,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
    calendar: pd.DataFrame | None,
) -> pd.Series:
    """Expect the inspections of every region and month.

    Parameters
    ----------
    data : Dataset
    units : DataFrame
        With region_id.
    past : DataFrame
        Past orders: how many of the due ones were made.
    regions : Index
    region_of : Series
        Region by site_id.
    months : DatetimeIndex
        Months to plan.
    start, as_of : Timestamp
        First and last day of the past orders.
    options : StaffingOptions
        `inspection_months`, `inspections_made`.
    notes : list of dict
        Gets rows of an assumptions table.
    calendar : DataFrame, optional
        `DemandForecast.visits`; None: due `inspection_months` after the handover.

    Returns
    -------
    Series
        By region_id and month.
    """
    plan = data.sales_plan
    plan = plan[pd.DatetimeIndex(plan["month"]) > as_of]
    handed = pd.concat(
        [
            units.assign(month=month_start(units["commissioned_on"]), count=1.0)[
                ["region_id", "month", "count", "retired_on"]
            ],
            pd.DataFrame(
                {
                    "region_id": plan["site_id"].map(region_of),
                    "month": month_start(plan["month"]),
                    "count": plan["units_sold"].fillna(0.0),
                    "retired_on": pd.NaT,
                }
            ),
        ],
        ignore_index=True,
    )
    due = pd.concat(
        [
            handed.assign(month=handed["month"] + pd.DateOffset(months=int(n)))
            for n in options.inspection_months
        ],
        ignore_index=True,
    )
    due = due[~(due["retired_on"] < due["month"])]
    counts = due.groupby(["region_id", "month"])["count"].sum()
    window = pd.date_range(month_start([start])[0], month_start([as_of])[0], freq="MS")
    known = counts.reindex(pd.MultiIndex.from_product([regions, window]), fill_value=0.0).sum()
    seen = int((past["kind"] == "inspection").sum())
    if seen and known > 0:
        made, origin = min(seen / known, 1.0), "estimated from work_orders and units"
    else:
        made, origin = options.inspections_made, "default"
    notes.append(
        note(
            "inspections_made",
            round(float(made), 3),
            "share",
            origin,
            f"{seen} inspections for {known:.0f} due",
        )
    )
    grid = pd.MultiIndex.from_product([regions, months], names=["region_id", "month"])
    if calendar is not None and len(calendar):
        # Dates of the past said how many of the due visits are made; those ahead stand in the calendar.
        counts = calendar.groupby(["region_id", "month"])["visits"].sum()
        notes.append(
            note(
                "inspections ahead",
                float(counts.reindex(grid, fill_value=0.0).sum()),
                "visits",
                "forecast: visit calendar",
                "placed by failures of new machines and season; forecast.inspections sets how",
            )
        )
    return made * counts.reindex(grid, fill_value=0.0)
