"""Working days of the regions: Monday to Friday, with the exceptions of the calendar table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_WEEK, month_start

WORKING_WEEKDAYS = 5
ONE_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class WorkCalendar:
    """Working days of some regions over a stretch of days.

    Parameters
    ----------
    start : Timestamp
        Day 0.
    region_ids : list
        Regions with rows of their own.
    working : ndarray of bool, shape (regions + 1, days)
        Whether work is done; the last row, for sites without region, is Monday to Friday except days on which
        all regions have holiday.
    """

    start: pd.Timestamp
    region_ids: list[str]
    working: NDArray[np.bool_]

    def rows(self, regions: Sequence[object] | pd.Series) -> NDArray[np.int64]:
        """Row of `working` for each region; without or with an unknown region the plain week."""
        found = pd.Index(self.region_ids, dtype=object).get_indexer(pd.Index(list(regions), dtype=object))
        return np.where(found < 0, len(self.region_ids), found).astype(np.int64)

    @property
    def next_open(self) -> NDArray[np.int64]:
        """First working day at or after each day, shape (regions + 1, days); the last day if none follows."""
        days = self.working.shape[1]
        ahead = np.where(self.working, np.arange(days), days - 1)
        return np.minimum.accumulate(ahead[:, ::-1], axis=1)[:, ::-1]


def work_calendar(
    calendar: pd.DataFrame, region_ids: Sequence[str], start: pd.Timestamp, days: int
) -> WorkCalendar:
    """Lay the exceptions of the calendar over the plain week.

    Parameters
    ----------
    calendar : DataFrame
        region_id, date, kind (holiday, working): exceptions from Monday to Friday.
    region_ids : sequence of str
        Regions wanted.
    start : Timestamp
        First day.
    days : int
        How many days.

    Returns
    -------
    WorkCalendar

    Raises
    ------
    DataError
        A kind other than holiday and working.
    """
    strange = calendar.loc[~calendar["kind"].isin(["holiday", "working"])]
    if len(strange):
        kinds = sorted(set(strange["kind"].astype(str)))
        raise DataError(
            [
                Problem(
                    "calendar", None, "kind", kind, "is neither holiday nor working", "write one of the two"
                )
                for kind in kinds
            ]
        )
    names = list(region_ids)
    first = pd.Timestamp(start).normalize()
    weekday = (first.weekday() + np.arange(days)) % DAYS_PER_WEEK
    working = np.tile(weekday < WORKING_WEEKDAYS, (len(names) + 1, 1))
    region = pd.Index(names, dtype=object).get_indexer(pd.Index(calendar["region_id"], dtype=object))
    day = day_numbers(calendar["date"], first)
    inside = (region >= 0) & (day >= 0) & (day < days)
    working[region[inside], day[inside]] = (calendar["kind"] == "working").to_numpy()[inside]
    if names:
        working[-1] &= working[:-1].any(axis=0)
    return WorkCalendar(first, names, working)


def working_days(
    calendar: pd.DataFrame, region_ids: Sequence[str], start: pd.Timestamp, end: pd.Timestamp
) -> pd.DataFrame:
    """Every day of every region, and whether it is a working day.

    Parameters
    ----------
    calendar : DataFrame
        region_id, date, kind (holiday, working).
    region_ids : sequence of str
        Regions wanted.
    start, end : Timestamp
        First and last day, both included.

    Returns
    -------
    DataFrame
        region_id, date, working (bool); sorted as the regions were given, then by date.
    """
    days = int((pd.Timestamp(end).normalize() - pd.Timestamp(start).normalize()) / ONE_DAY) + 1
    laid = work_calendar(calendar, region_ids, start, max(days, 0))
    dates = pd.date_range(laid.start, periods=laid.working.shape[1])
    return pd.DataFrame(
        {
            "region_id": np.repeat(np.array(laid.region_ids, dtype=object), len(dates)),
            "date": np.tile(dates.to_numpy(), len(laid.region_ids)),
            "working": laid.working[:-1].ravel(),
        }
    )


def working_days_per_month(
    calendar: pd.DataFrame, region_ids: Sequence[str], months: ArrayLike | pd.DatetimeIndex
) -> pd.DataFrame:
    """Count working days of calendar months.

    Parameters
    ----------
    calendar : DataFrame
        region_id, date, kind (holiday, working).
    region_ids : sequence of str
        Regions wanted.
    months : array-like of datetime
        Month starts.

    Returns
    -------
    DataFrame
        region_id, month, working_days [days].
    """
    wanted = pd.DatetimeIndex(months).unique().sort_values()  # type: ignore[arg-type]
    end = wanted.max() + pd.offsets.MonthEnd(0)
    days = working_days(calendar, region_ids, wanted.min(), end)
    days["month"] = month_start(days["date"])
    kept = days[days["month"].isin(wanted)]
    total = kept.groupby(["region_id", "month"], sort=True)["working"].sum()
    counted = total.reset_index(name="working_days")
    return counted.astype({"working_days": float})


def shipping_days(
    laid: WorkCalendar, senders: ArrayLike, receivers: ArrayLike, weekdays: ArrayLike, weeks: int
) -> NDArray[np.int64]:
    """Day on which each route ships in each week.

    A route ships on its weekday, or on the next day of the same week on which both ends work; a week without
    such a day is closed.

    Parameters
    ----------
    laid : WorkCalendar
        Day 0 is the Monday of week 0.
    senders, receivers : array-like of int, shape (n,)
        Rows of `laid.working` at both ends.
    weekdays : array-like, shape (n,)
        1 Monday to 7 Sunday; NaN: any day of the week.
    weeks : int
        How many weeks.

    Returns
    -------
    ndarray of int, shape (weeks, n)
        Day number; -1 where the week is closed.
    """
    both = laid.working[np.asarray(senders)] & laid.working[np.asarray(receivers)]
    chosen = np.asarray(weekdays, dtype=float)
    earliest = np.where(np.isnan(chosen), 1.0, chosen).astype(np.int64) - 1
    by_week = both[:, : weeks * DAYS_PER_WEEK].reshape(len(both), weeks, DAYS_PER_WEEK)
    # A regular weekend dispatch ships although the offices are closed; only a holiday on it stops it.
    weekend = earliest >= WORKING_WEEKDAYS
    open_days = by_week & (np.arange(DAYS_PER_WEEK) >= earliest[:, None])[:, None, :]
    dispatch = np.arange(DAYS_PER_WEEK) == earliest[weekend, None]
    open_days[weekend] = by_week[weekend].any(axis=2)[:, :, None] & dispatch[:, None, :]
    day = np.where(open_days.any(axis=2), open_days.argmax(axis=2), -1).T
    return np.where(day >= 0, day + DAYS_PER_WEEK * np.arange(weeks)[:, None], -1)


def shipping_weeks(
    calendar: pd.DataFrame, regions: pd.Series, weekdays: pd.Series, monday: pd.Timestamp, weeks: int
) -> pd.DataFrame:
    """Whether the sites of some regions can be shipped to, week by week.

    Parameters
    ----------
    calendar : DataFrame
        region_id, date, kind (holiday, working).
    regions : Series, indexed by site_id
        Region of each site; NaN: the plain week.
    weekdays : Series, indexed by site_id
        Shipping weekday, 1 Monday to 7 Sunday; NaN: any.
    monday : Timestamp
        First week.
    weeks : int
        How many weeks.

    Returns
    -------
    DataFrame
        site_id, week (Monday), ships_on (NaT: closed by holidays).
    """
    laid = work_calendar(calendar, sorted(set(regions.dropna())), monday, weeks * DAYS_PER_WEEK)
    rows = laid.rows(regions)
    day = shipping_days(laid, rows, rows, weekdays.reindex(regions.index), weeks)
    mondays = pd.date_range(laid.start, periods=weeks, freq="7D")
    ships_on = laid.start + pd.to_timedelta(np.where(day < 0, 0, day).T.ravel(), unit="D")
    return pd.DataFrame(
        {
            "site_id": np.repeat(regions.index.to_numpy(), weeks),
            "week": np.tile(mondays.to_numpy(), len(regions)),
            "ships_on": pd.Series(ships_on).where(day.T.ravel() >= 0),
        }
    )


def day_numbers(dates: pd.Series, start: pd.Timestamp) -> NDArray[np.int64]:
    """Whole days from `start` to each date; dates without value lie far before it.

    Parameters
    ----------
    dates : Series of datetime, shape (n,)
    start : Timestamp
        Day 0.

    Returns
    -------
    ndarray of int, shape (n,)
        [days]
    """
    moments = pd.DatetimeIndex(dates).to_numpy().astype("datetime64[D]")
    gone = (moments - np.datetime64(pd.Timestamp(start), "D")).astype("timedelta64[D]")
    return np.where(np.isnat(moments), -(10**6), gone.astype(np.int64))
