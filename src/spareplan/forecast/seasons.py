"""Season and growth of use: what the months ahead are used against the year before them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.clock import Clock
from spareplan.forecast.outlook import Calendar
from spareplan.maths.units import MONTHS_PER_YEAR
from spareplan.tables.frames import positions, require_columns

FloatArray = NDArray[np.float64]


class MonthUse(NamedTuple):
    """Use by cell.

    Parameters
    ----------
    coming, year_before : ndarray, shape (cells, months)
        Use in each month of the horizon, and in the same month of the last known year. [hours or days]
    average : ndarray, shape (cells, 1)
        Mean month of the last known year. [hours or days]
    """

    coming: FloatArray
    year_before: FloatArray
    average: FloatArray


def month_use(clock: Clock, curve: NDArray[np.int64], edges: Calendar, as_of: pd.Timestamp) -> MonthUse:
    """Use of the months ahead, of the same months a year ago, and of an average month.

    Parameters
    ----------
    clock : Clock
    curve : ndarray of int, shape (cells,)
    edges : Calendar
    as_of : Timestamp
        Last day that was known.

    Returns
    -------
    MonthUse
        Where the clock does not reach back a year, the year ahead stands for the year before.
    """
    curves, row = np.unique(curve, return_inverse=True)
    dates = edges.dates[edges.month_at]
    months = len(dates) - 1
    start = dates[0].to_period("M").to_timestamp()
    back = pd.date_range(start - pd.DateOffset(years=1), periods=13, freq="MS")
    known = back[0] >= clock.months[0]
    out = [np.empty((len(curves), months)), np.empty((len(curves), months)), np.empty((len(curves), 1))]
    for number, one in enumerate(curves):
        coming = np.diff(clock.at(np.full(months + 1, one), dates))
        year = np.diff(clock.at(np.full(13, one), back)) if known else np.resize(coming[:12], 12)
        out[0][number], out[1][number] = coming, year[np.arange(months) % 12]
        out[2][number] = year.mean() if known else coming[:12].mean()
    return MonthUse(*(values[row] for values in out))


def season_factors(usage: pd.DataFrame, pairs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Use of each calendar month against the year's mean, per product and region.

    Parameters
    ----------
    usage : DataFrame
        product_id, region_id, month, hours_per_unit; may be empty.
    pairs : DataFrame, optional
        product_id, region_id to answer for; None: those of `usage`.

    Returns
    -------
    DataFrame
        product_id, region_id, factor_1 to factor_12 (mean 1), origin: "usage" of the pair, "product" (all
        regions of the product), "all products" or "even" where nothing is known. Sorted.

    Raises
    ------
    DataError
        Missing columns.

    Notes
    -----
    A calendar month without a row takes the mean of the known ones.
    """
    require_columns(usage, ["product_id", "region_id", "month", "hours_per_unit"], "usage")
    keys = ["product_id", "region_id"]
    wanted = usage[keys] if pairs is None else pairs[keys]
    wanted = wanted.drop_duplicates().sort_values(keys, ignore_index=True)
    known = usage[usage["hours_per_unit"].notna()]
    known = known.assign(calendar=pd.DatetimeIndex(known["month"]).month, every="")
    factors, origin = np.ones((len(wanted), MONTHS_PER_YEAR)), np.full(len(wanted), "even", dtype=object)
    for level, name in ((["every"], "all products"), (["product_id"], "product"), (keys, "usage")):
        table = known.pivot_table("hours_per_unit", level, "calendar", aggfunc="mean")
        mean = table.reindex(columns=range(1, MONTHS_PER_YEAR + 1)).to_numpy(dtype=float)
        year = np.nanmean(mean, axis=1, keepdims=True) if len(mean) else mean[:, :1]
        own = np.where(np.isnan(mean), year, mean) / np.where(year > 0, year, np.nan)
        at = positions(wanted.assign(every="")[level], table.index.to_frame(index=False))
        found = at >= 0
        found[found] = np.isfinite(own[at[found]]).all(axis=1)
        factors[found], origin[found] = own[at[found]], name
    columns = [f"factor_{month}" for month in range(1, MONTHS_PER_YEAR + 1)]
    return pd.concat([wanted, pd.DataFrame(factors, columns=columns)], axis=1).assign(origin=origin)
