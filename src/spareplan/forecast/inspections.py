"""Inspection visits after handover: when machines are due, and which months suit them best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.maths.units import month_start, months_after

FloatArray = NDArray[np.float64]
SCHEDULE = (1, 3, 6, 12)


def inspection_visits(
    units: pd.DataFrame,
    sales_plan: pd.DataFrame | None,
    months: int,
    as_of: pd.Timestamp,
    schedule: Sequence[int] = SCHEDULE,
) -> pd.DataFrame:
    """Calendar of inspection visits per site and month.

    Parameters
    ----------
    units : DataFrame
        site_id, commissioned_on [, retired_on].
    sales_plan : DataFrame, optional
        site_id, month, units_sold: machines handed over later; those of a month count as handed over in it.
    months : int
        Horizon. [months]
    as_of : Timestamp
        Last day that was known; the months that follow are planned.
    schedule : sequence of int
        Months after handover at which a machine is visited. [months]

    Returns
    -------
    DataFrame
        site_id, month, after_months (which visit of the schedule), visits; only rows with visits, sorted.

    Raises
    ------
    DataError
        A visit before handover, or missing columns.

    Examples
    --------
    >>> units = pd.DataFrame({"site_id": ["S"], "commissioned_on": [pd.Timestamp("2025-12-20")]})
    >>> inspection_visits(units, None, 12, pd.Timestamp("2025-12-31"))["month"].dt.month.tolist()
    [1, 3, 6, 12]
    """
    if not len(schedule) or any(int(step) != step or step < 0 for step in schedule):
        raise problem_in_argument(
            "inspection_visits",
            "schedule",
            schedule,
            "holds no months after handover",
            "give whole months such as (1, 3, 6, 12)",
        )
    problems = [
        Problem("units", 0, name, "", "is missing", "add the column")
        for name in ("site_id", "commissioned_on")
        if name not in units
    ]
    if problems:
        raise DataError(problems)
    horizon = months_after(as_of, months)
    handed = units[units["commissioned_on"] <= as_of]
    rows = pd.DataFrame(
        {
            "site_id": handed["site_id"],
            "month": month_start(handed["commissioned_on"]),
            "machines": 1.0,
            "retired_on": handed.get("retired_on", pd.NaT),
        }
    )
    if sales_plan is not None and len(sales_plan):
        later = sales_plan[(sales_plan["month"] > as_of) & (sales_plan["units_sold"].fillna(0) > 0)]
        sold = pd.DataFrame(
            {
                "site_id": later["site_id"],
                "month": month_start(later["month"]),
                "machines": later["units_sold"].astype(float),
                "retired_on": pd.NaT,
            }
        )
        rows = (
            pd.concat([frame for frame in (rows, sold) if len(frame)], ignore_index=True)
            if len(sold)
            else rows
        )
    number = rows["month"].dt.year * 12 + rows["month"].dt.month
    begin = horizon[0].year * 12 + horizon[0].month
    due = []
    for step in schedule:
        at = (number + int(step) - begin).to_numpy()
        inside = (at >= 0) & (at < months)
        visit = rows[inside].assign(month=horizon[at[inside]], after_months=int(step))
        due.append(visit[~(visit["retired_on"] < visit["month"])])
    calendar = pd.concat(due, ignore_index=True)
    out = calendar.groupby(["site_id", "month", "after_months"], as_index=False, sort=True)["machines"].sum()
    return out.rename(columns={"machines": "visits"})


def place_visits(
    failures: ArrayLike, season: ArrayLike, handover_month: int, visits: int = 4
) -> NDArray[np.int64]:
    """Months after handover at which visits meet most of the coming failures.

    Parameters
    ----------
    failures : array-like, shape (months,)
        Expected failures of a new machine in each month after handover, at even use. [pieces]
    season : array-like, shape (12,)
        Use of each calendar month against the year's mean, January first.
    handover_month : int
        Calendar month of the handover, 1 to 12.
    visits : int
        How many, the fixed one after a month included.

    Returns
    -------
    ndarray of int, shape (visits,)
        Months after handover; the first is 1, the others stand just before the stretches of equal expected
        failures, so that a peak season is preceded by a visit.

    Raises
    ------
    DataError
        Fewer months than visits, or negative numbers.
    """
    expected, use = np.asarray(failures, dtype=float), np.asarray(season, dtype=float)
    if len(use) != 12 or len(expected) < visits + 1 or visits < 1 or (expected < 0).any() or (use < 0).any():
        raise problem_in_argument(
            "place_visits",
            "failures",
            expected.tolist(),
            "cannot carry the visits",
            "give a number of 0 or more for more months than visits, and twelve season factors",
        )
    month = (handover_month - 1 + np.arange(len(expected))) % 12
    load = expected * use[month]
    load = load if load.sum() > 0 else np.ones_like(load)
    # After the fixed visit at month 1 the rest of the year is cut into parts of equal load.
    rest = np.cumsum(load[1:]) / load[1:].sum()
    cuts = np.searchsorted(rest, np.arange(1, visits) / visits)
    chosen = np.concatenate([[1], 1 + np.maximum.accumulate(cuts)])
    for i in range(1, len(chosen)):
        chosen[i] = max(chosen[i], chosen[i - 1] + 1)
    return np.minimum(chosen, len(expected) - visits + 1 + np.arange(visits)).astype(np.int64)
