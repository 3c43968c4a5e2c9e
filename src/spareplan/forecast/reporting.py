"""Replacements that reach the records late: how late, and what the last months still lack."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.delays import reverse_hazard, slice_means

FloatArray = NDArray[np.float64]
LOOK_BACK_DAYS = 730
LEAST_REPORTS, LEAST_AT_RISK, LEAST_DATED = 20, 10, 0.5
# The rate of all days counts as this many fully reported days beside a period's own reports.
OWN_RATE_DAYS = 14.0
PERIODS = {"day": "D", "week": "W-MON", "month": "MS"}


@dataclass(frozen=True)
class ReportingDelay:
    """How long replacements take to reach the records.

    Parameters
    ----------
    as_of : Timestamp
        Last day that was known.
    days : ndarray, shape (m,)
        Delays that occur, rising. [days]
    cumulative : ndarray, shape (m,)
        Share of replacements reported within them, ending in 1.
    reports : int
        Dated reports the law rests on.
    notes : list of dict
        Assumption rows.
    """

    as_of: pd.Timestamp
    days: FloatArray
    cumulative: FloatArray
    reports: int = 0
    notes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """Whether the records told a delay; if not, everything counts as reported at once."""
        return len(self.days) > 0

    @property
    def mean(self) -> float:
        """Mean delay in days."""
        return float(self.quantiles(1)[0])

    def share(self, days: ArrayLike) -> FloatArray:
        """Share of the replacements this many days ago that are reported by now.

        Parameters
        ----------
        days : array-like
            Days from the replacement to `as_of`; below 0 nothing can be reported. [days]

        Returns
        -------
        ndarray
            Shaped like `days`.
        """
        old = np.asarray(days, dtype=float)
        if not self.known:
            return np.where(old >= 0, 1.0, 0.0)
        place = np.searchsorted(self.days, old, side="right")
        return np.concatenate([[0.0], self.cumulative])[place]

    def quantiles(self, n: int) -> FloatArray:
        """Equally likely delays: the mean of each of n slices of the distribution.

        Parameters
        ----------
        n : int

        Returns
        -------
        ndarray, shape (n,)
            Rising and finite; their mean is the mean delay, so exposure that ends n times, with weight 1/n at
            ``as_of`` less each of them, is what reported events are worth. [days]
        """
        return slice_means(self.days, self.cumulative, n) if self.known else np.zeros(n)


def learn_delay(
    replaced_on: ArrayLike,
    reported_on: ArrayLike,
    as_of: Any,
    records_from: Any = None,
) -> ReportingDelay:
    """Learn the delay from replacement to report, from reports up to `as_of`.

    Parameters
    ----------
    replaced_on, reported_on : array-like of datetime, shape (n,)
        Rows without a report date, and those reported after `as_of`, teach nothing.
    as_of : date
        Last day that is known.
    records_from : date or array-like of datetime, shape (n,), optional
        Replacements before it are left out: they were entered when the records began.

    Returns
    -------
    ReportingDelay
        Not `known` where fewer than 20 reports, or fewer than half of the rows, of the last two years have a
        date.

    Raises
    ------
    DataError
        Arrays of different length, or a report before its replacement.

    Notes
    -----
    A delay is seen only if the report came by `as_of`: right truncation, undone by the reverse hazard. Only
    replacements of the last two years are used, because older rows often were entered in one go.

    References
    ----------
    .. [1] Kalbfleisch & Lawless (1989), JASA 84(406), 360-372.

    Examples
    --------
    >>> done = pd.date_range("2025-01-01", "2025-12-31")
    >>> delay = learn_delay(done, done + pd.Timedelta(days=10), "2025-12-31")
    >>> delay.share([5, 10]).tolist(), delay.quantiles(2).tolist()
    ([0.0, 1.0], [10.0, 10.0])
    """
    today = pd.Timestamp(as_of).normalize()
    done, told = (
        pd.DatetimeIndex(np.asarray(replaced_on, dtype="datetime64[us]")),
        pd.DatetimeIndex(np.asarray(reported_on, dtype="datetime64[us]")),
    )
    _check(done, told)
    age = _days(today - done.normalize())
    delay = _days(told.normalize() - done.normalize())
    recent = (age >= 0) & (age <= LOOK_BACK_DAYS)
    if records_from is not None:
        begin = pd.DatetimeIndex(np.broadcast_to(np.asarray(pd.to_datetime(records_from)), len(done)))
        recent &= ~np.asarray(done < begin)
    dated = recent & (delay <= age)
    undated = recent & np.isnan(delay)
    few = dated.sum() < LEAST_REPORTS or dated.sum() < LEAST_DATED * (dated.sum() + undated.sum())
    at, share = (np.empty(0), np.empty(0)) if few else reverse_hazard(delay[dated], age[dated], LEAST_AT_RISK)
    found = ReportingDelay(today, at, share, int(dated.sum()))
    return replace(found, notes=_notes(found, int(undated.sum())))


def complete_counts(
    replaced_on: ArrayLike, delay: ReportingDelay, period: str = "month", weight: ArrayLike | None = None
) -> pd.DataFrame:
    """Count reported replacements per period, and complete those that are still to be reported.

    Parameters
    ----------
    replaced_on : array-like of datetime, shape (n,)
        Of replacements known at ``delay.as_of``.
    delay : ReportingDelay
    period : {"day", "week", "month"}
        Weeks begin on Mondays.
    weight : array-like, shape (n,), optional
        Pieces of each replacement. [pieces]

    Returns
    -------
    DataFrame
        period (its first day), reported, share (of the period's replacements that are reported by now),
        completed; without gaps from the first replacement to `as_of`.

    Notes
    -----
    completed = reported + D (1 - s) r, with D days of the period so far, s their mean share, and
    r = (14 r0 + reported) / (14 + D s) the rate per day; r0 is the rate of the last 90 days, corrected the
    same way. For a long or old period this is reported / s; a period of a few days, whose share is too small
    to divide by, leans on r0 [1]_.

    References
    ----------
    .. [1] Bornhuetter & Ferguson (1972), Proc. Casualty Actuarial Society 59, 181-195.
    """
    if period not in PERIODS:
        raise DataError(
            [Problem("complete_counts", 0, "period", str(period), "is no period", "use day, week or month")]
        )
    done = pd.DatetimeIndex(np.asarray(replaced_on, dtype="datetime64[us]")).normalize()
    size = np.ones(len(done)) if weight is None else np.asarray(weight, dtype=float)
    fine = np.asarray(done <= delay.as_of)
    done, size = done[fine], size[fine]
    if not len(done):
        return pd.DataFrame(
            {
                "period": pd.DatetimeIndex([]),
                **{name: np.empty(0) for name in ("reported", "share", "completed")},
            }
        )
    first = done.min()
    start = (
        first
        if period == "day"
        else (first + pd.Timedelta(days=1)) - pd.tseries.frequencies.to_offset(PERIODS[period])
    )
    every = pd.date_range(start, delay.as_of, freq="D")
    daily = np.bincount(_days(done - start).astype(int), weights=size, minlength=len(every))
    share = delay.share(_days(delay.as_of - every))
    recent = slice(max(len(every) - 90, 0), None)
    rate = daily[recent].sum() / max(share[recent].sum(), 1e-9)
    starts = pd.date_range(start, delay.as_of, freq=PERIODS[period])
    edges = _days(starts - start).astype(int)
    reported, seen = np.add.reduceat(daily, edges), np.add.reduceat(share, edges)
    days = np.diff(np.append(edges, len(every)))
    own = (OWN_RATE_DAYS * rate + reported) / (OWN_RATE_DAYS + seen)
    return pd.DataFrame(
        {
            "period": starts,
            "reported": reported,
            "share": seen / days,
            "completed": reported + (days - seen) * own,
        }
    )


def _days(span: Any) -> FloatArray:
    return np.asarray(pd.TimedeltaIndex(span) / pd.Timedelta(days=1), dtype=float)


def _check(done: pd.DatetimeIndex, told: pd.DatetimeIndex) -> None:
    if len(done) != len(told):
        raise DataError(
            [
                Problem(
                    "learn_delay",
                    0,
                    "reported_on",
                    str(len(told)),
                    f"has not the length of replaced_on, {len(done)}",
                    "give a date, or an empty one, for every replacement",
                )
            ]
        )
    early = np.flatnonzero(told.normalize() < done.normalize())
    if len(early):
        raise DataError(
            [
                Problem(
                    "replacements",
                    int(row) + 2,
                    "reported_on",
                    f"{after:%Y-%m-%d}",
                    f"lies before the replacement on {before:%Y-%m-%d}",
                    "correct one of the two dates",
                )
                for row, before, after in zip(early, done[early], told[early])
            ]
        )


def _notes(delay: ReportingDelay, undated: int) -> list[dict[str, Any]]:
    if not delay.known:
        return []

    def note(name: str, value: Any, unit: str, meaning: str) -> dict[str, Any]:
        return {
            "stage": "forecast",
            "name": name,
            "value": value,
            "unit": unit,
            "origin": f"estimated from {delay.reports:,} dated reports of replacements",
            "meaning": meaning,
        }

    last = delay.share(np.arange(30.0)).mean()
    out = [
        note(
            "reporting delay",
            round(delay.mean, 1),
            "days",
            "mean time from replacement to report; the last months are completed by the estimated delay",
        ),
        note(
            "replacements of the last 30 days reported by now",
            round(float(last), 3),
            "share",
            "the watch of every machine ends earlier by the delay: what is not yet reported is no survival",
        ),
    ]
    if undated:
        out.append(
            note(
                "replacements without a report date", undated, "rows", "taken as reported with the same delay"
            )
        )
    return out
