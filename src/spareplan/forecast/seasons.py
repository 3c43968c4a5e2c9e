"""Season and growth of use: what the months ahead are used against the year before them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.clock import Clock
from spareplan.forecast.outlook import Calendar

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
