"""The only conversion factors: a year has 365.25 days, a month is a twelfth of it.

Sums by calendar month use the real days of the month (`days_in_month`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

DAYS_PER_YEAR = 365.25
MONTHS_PER_YEAR = 12
DAYS_PER_MONTH = DAYS_PER_YEAR / MONTHS_PER_YEAR
DAYS_PER_WEEK = 7
HOURS_PER_DAY = 24
MINUTES_PER_HOUR = 60


def days_in_month(months: Any) -> np.ndarray:
    """Real length of calendar months.

    Parameters
    ----------
    months : array-like of datetime, shape (n,)
        Any moment inside each month.

    Returns
    -------
    ndarray of float, shape (n,)
        28 to 31. [days]
    """
    return pd.DatetimeIndex(months).days_in_month.to_numpy(dtype=float)


def month_start(dates: Any) -> pd.DatetimeIndex:
    """First day of the month of each date, at midnight.

    Parameters
    ----------
    dates : array-like of datetime, shape (n,)

    Returns
    -------
    DatetimeIndex, shape (n,)
    """
    return pd.DatetimeIndex(dates).to_period("M").to_timestamp()


def months_after(as_of: pd.Timestamp, months: int) -> pd.DatetimeIndex:
    """The month starts that follow a date.

    Parameters
    ----------
    as_of : Timestamp
        Last day that is known.
    months : int
        How many months. [months]

    Returns
    -------
    DatetimeIndex, shape (months,)
    """
    first = pd.Timestamp(as_of).to_period("M") + 1
    return pd.period_range(first, periods=months, freq="M").to_timestamp()
