"""The calendar of inspection visits: which machines are due in which month, and why then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.units import month_start, months_after
from spareplan.tables.frames import FIRST_ROW, key_text, require_columns

IntArray = NDArray[np.int64]

SCHEDULE = (1, 3, 6, 12)
CALENDAR_KEYS = ["product_id", "region_id", "site_id", "month", "after_months"]


def plan_visits(
    units: pd.DataFrame,
    sales_plan: pd.DataFrame | None,
    months: int,
    as_of: pd.Timestamp,
    schedule: Sequence[int] | pd.DataFrame = SCHEDULE,
) -> pd.DataFrame:
    """Calendar of inspection visits per product, site and month.

    Parameters
    ----------
    units : DataFrame
        product_id, site_id, commissioned_on [, region_id, retired_on].
    sales_plan : DataFrame, optional
        product_id, site_id, month, units_sold [, region_id]: machines handed over later.
    months : int
        Horizon. [months]
    as_of : Timestamp
        Last day that was known; the months that follow are planned.
    schedule : sequence of int, or DataFrame
        Months after handover of the visits; or a frame with after_months, any of product_id, region_id,
        handover_month (calendar month, 1 to 12) to tell schedules apart, and a reason if there is one.

    Returns
    -------
    DataFrame
        product_id, region_id (if units have it), site_id, month, after_months, visits, reason, and other
        columns of the schedule (per visit); only rows with visits, sorted.

    Raises
    ------
    DataError
        A visit before handover, missing columns, or machines whose product, region and month of handover the
        schedule lacks.

    Notes
    -----
    Retired machines are left out from the month after they left. Machines handed over before follow the
    schedule from now on, whatever visits they had.

    Examples
    --------
    >>> units = pd.DataFrame(
    ...     {"product_id": ["M"], "site_id": ["S"], "commissioned_on": [pd.Timestamp("2025-12-20")]}
    ... )
    >>> plan_visits(units, None, 12, pd.Timestamp("2025-12-31"))["month"].dt.month.tolist()
    [1, 3, 6, 12]
    """
    require_columns(units, ["product_id", "site_id", "commissioned_on"], "units")
    plan = _checked_schedule(schedule)
    horizon = months_after(as_of, months)
    begin = horizon[0].year * 12 + horizon[0].month
    longest = int(plan["after_months"].max()) if len(plan) else 0
    rows = machine_cohorts(units, sales_plan, as_of, begin - longest)
    keys = [name for name in ("product_id", "region_id", "handover_month") if name in plan]
    facts = [name for name in plan if name not in (*keys, "after_months", "reason")]
    rows = rows.assign(handover_month=(rows["number"] - 1) % 12 + 1)
    if keys:
        require_columns(rows, keys, "units")
        due = rows.merge(plan, on=keys, how="left")
        lost = due.loc[due["after_months"].isna(), keys].drop_duplicates().sort_values(keys)
        if len(lost):
            raise DataError(
                [
                    Problem("schedule", 0, ", ".join(keys), text, "has machines, no visits", "add its rows")
                    for text in key_text(lost.astype(str))
                ]
            )
    else:
        due = rows.merge(plan, how="cross")
    number = due["number"].to_numpy() + due["after_months"].to_numpy(dtype=np.int64)
    at = number - begin
    gone = (due["retired"].to_numpy() < number) & (due["retired"].to_numpy() > 0)
    due = due.assign(month_at=at)[(at >= 0) & (at < months) & ~gone]
    due["month"] = horizon[due.pop("month_at").to_numpy()]
    due["after_months"] = due["after_months"].astype(np.int64)
    columns = [name for name in CALENDAR_KEYS if name in due]
    groups = due.groupby(columns, sort=True, dropna=False)
    out = groups["machines"].sum().rename("visits").reset_index()
    first = groups[["reason", *facts]].first().reset_index(drop=True)
    return pd.concat([out, first], axis=1)


def _checked_schedule(schedule: Sequence[int] | pd.DataFrame) -> pd.DataFrame:
    """Bring either form of a schedule into a frame with after_months and reason."""
    if not isinstance(schedule, pd.DataFrame):
        schedule = pd.DataFrame({"after_months": list(schedule)})
    require_columns(schedule, ["after_months"], "schedule")
    after = pd.to_numeric(schedule["after_months"], errors="coerce").to_numpy(dtype=float)
    wrong = ~((after >= 0) & (after == np.floor(after)))
    problems = [
        Problem(
            "schedule",
            FIRST_ROW + int(at),
            "after_months",
            str(schedule["after_months"].iloc[at]),
            "is no whole number of months after handover",
            "give whole months such as 1, 3, 6, 12",
        )
        for at in np.flatnonzero(wrong)
    ]
    if problems:
        raise DataError(problems)
    plan = schedule.assign(after_months=after.astype(np.int64)).reset_index(drop=True)
    if "region_id" in plan:
        plan["region_id"] = plan["region_id"].astype(object).fillna("").astype(str)
    if "reason" not in plan:
        plan["reason"] = [f"visit {step} months after handover" for step in plan["after_months"]]
    return plan


def machine_cohorts(
    units: pd.DataFrame, sales_plan: pd.DataFrame | None, as_of: pd.Timestamp, earliest: int
) -> pd.DataFrame:
    """Machines in service and to come, by where they stand and when they were handed over.

    Parameters
    ----------
    units, sales_plan, as_of
        As in `plan_visits`.
    earliest : int
        First month of handover that matters. [12 x year + month]

    Returns
    -------
    DataFrame
        product_id, region_id (if units have it), site_id, number (month of handover), retired (month of
        retirement, 0: none) [both 12 x year + month], machines; sorted.
    """
    names = [name for name in ("product_id", "region_id", "site_id") if name in units]
    handed = units[units["commissioned_on"] <= as_of]
    number = _month_number(handed["commissioned_on"])
    handed, number = handed[number >= earliest], number[number >= earliest]
    leaves = handed["retired_on"] if "retired_on" in handed else pd.Series(pd.NaT, index=handed.index)
    retired = np.where(leaves.notna(), _month_number(leaves.fillna(as_of)), 0)
    rows = handed[names].assign(number=number, retired=retired, machines=1.0)
    frames = [rows]
    if sales_plan is not None and len(sales_plan):
        require_columns(sales_plan, [*names, "month", "units_sold"], "sales_plan")
        later = sales_plan[(sales_plan["month"] > as_of) & (sales_plan["units_sold"].fillna(0) > 0)]
        sold = later[names].assign(
            number=_month_number(later["month"]), retired=0, machines=later["units_sold"].astype(float)
        )
        frames.append(sold)
    frames = [frame for frame in frames if len(frame)] or [rows]
    every = pd.concat(frames, ignore_index=True)
    if "region_id" in every:
        every["region_id"] = every["region_id"].astype(object).fillna("").astype(str)
    return every.groupby([*names, "number", "retired"], sort=True)["machines"].sum().reset_index()


def _month_number(dates: pd.Series) -> IntArray:
    when = month_start(dates)
    return (when.year * 12 + when.month).to_numpy(dtype=np.int64)
