"""When orders come: hour of the day, day of the week, month of the year; from past orders.

Counts of few orders are mostly chance. How much of their unevenness is real says the chi-square statistic: of
pure chance it is as large as its degrees of freedom, and only what lies above counts (James and Stein).

References
----------
.. [1] Efron, Morris (1973), Stein's estimation rule and its competitors, JASA 68.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY, MONTHS_PER_YEAR, days_in_month
from spareplan.staffing.visits import note

FloatArray = NDArray[np.float64]
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def real_share(counts: FloatArray, expected: FloatArray) -> float:
    """Share of the unevenness of counts that is not chance.

    Parameters
    ----------
    counts : ndarray, shape (n,)
        Poisson counts.
    expected : ndarray, shape (n,)
        What they would be if they were even, with the same sum.

    Returns
    -------
    float
        max(0, 1 - degrees of freedom / chi-square) [1]_, 0..1.
    """
    possible = expected > 0
    free = int(possible.sum()) - 1
    if free < 1:
        return 0.0
    chi = float(((counts[possible] - expected[possible]) ** 2 / expected[possible]).sum())
    return max(0.0, 1.0 - free / chi) if chi > 0 else 0.0


def week_profiles(
    past: pd.DataFrame,
    regions: pd.Index,
    as_of: pd.Timestamp,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
) -> tuple[FloatArray, FloatArray]:
    """Orders per hour of the week against the mean, of all regions and of each.

    Parameters
    ----------
    past : DataFrame
        region_id, opened_at.
    regions : Index
        R region ids.
    as_of : Timestamp
        Last day of the orders.
    options : StaffingOptions
    notes : list of dict
        Gets rows of an assumptions table.

    Returns
    -------
    common : ndarray, shape (7, 24)
        From Monday; mean 1.
    own : ndarray, shape (R, 7, 24)
        Of each region: the common one but for what its own orders tell beyond chance.
    """
    flat = np.ones((DAYS_PER_WEEK, HOURS_PER_DAY))
    opened = pd.DatetimeIndex(past["opened_at"])
    hours = np.bincount(opened.hour.to_numpy(), minlength=HOURS_PER_DAY).astype(float)
    dated = len(past) > 0 and hours.max() >= 0.9 * hours.sum()
    if not options.hour_profile or past.empty or dated:
        words = "only the day of the call is recorded" if dated else "calls come evenly"
        notes.append(note("hour_profile", "flat", "", "default", f"{words}: evenly over the week"))
        return flat, np.broadcast_to(flat, (len(regions), *flat.shape)).copy()
    day, hour = opened.day_of_week.to_numpy(), opened.hour.to_numpy()
    days = pd.date_range(opened.min().normalize(), as_of.normalize(), freq="D").day_of_week
    length = np.maximum(np.bincount(days, minlength=DAYS_PER_WEEK), 1)
    cells = np.bincount(day * HOURS_PER_DAY + hour, minlength=flat.size).reshape(flat.shape).astype(float)
    # Hours and days apart take 29 figures, together 168: those only as far as the orders tell them.
    by_day = cells.sum(axis=1) / length
    by_hour = hours + 1.0
    apart = length[:, None] * np.outer(by_day, by_hour)
    apart *= cells.sum() / apart.sum()
    joint = apart + real_share(cells.ravel(), apart.ravel()) * (cells - apart)
    row = regions.get_indexer(pd.Index(past["region_id"]))
    known = row >= 0
    place = (row[known] * flat.size) + day[known] * HOURS_PER_DAY + hour[known]
    counts = np.bincount(place, minlength=len(regions) * flat.size).reshape(len(regions), -1).astype(float)
    usual = joint.ravel() / joint.sum()
    expected = counts.sum(axis=1, keepdims=True) * usual
    shares = np.array([real_share(c, e) for c, e in zip(counts, expected, strict=True)])
    own = expected + shares[:, None] * (counts - expected)
    own = np.where(counts.sum(axis=1, keepdims=True) > 0, own, usual).reshape(-1, *flat.shape)
    own, common = (rate / length[:, None] for rate in (own, joint))
    own /= own.mean(axis=(1, 2), keepdims=True)
    common /= common.mean()
    day_law = common.mean(axis=0)
    top = np.unravel_index(int(common.argmax()), common.shape)
    origin = "estimated from work_orders.opened_at"
    notes += [
        note(
            "hour_profile",
            f"{int(day_law.argmax())}:00",
            "",
            origin,
            f"busiest hour, {day_law.max():.1f} times the mean",
        ),
        note(
            "week_profile",
            f"{WEEKDAYS[int(top[0])]} {int(top[1])}:00",
            "",
            origin,
            f"busiest hour of the week, {common.max():.1f} times the mean; regions keep on average "
            f"{shares.mean():.0%} of what sets their orders apart",
        ),
    ]
    return common, own


def month_season(
    kind: str,
    opened: pd.Series,
    units: pd.DataFrame,
    start: pd.Timestamp,
    as_of: pd.Timestamp,
    notes: list[dict[str, Any]],
) -> FloatArray:
    """Orders of a kind per machine and month of the year against the mean.

    Parameters
    ----------
    kind : str
    opened : Series
        When its orders were opened.
    units : DataFrame
        commissioned_on, retired_on.
    start, as_of : Timestamp
        First and last day of the orders.
    notes : list of dict
        Gets a row of an assumptions table.

    Returns
    -------
    ndarray, shape (12,)
        From January; 1 where a year of orders is not known.
    """
    flat = np.ones(MONTHS_PER_YEAR)
    exposure = machine_days(units, start, as_of)
    counts = np.bincount(pd.DatetimeIndex(opened).month.to_numpy() - 1, minlength=MONTHS_PER_YEAR)
    # A month known in part tells little; a year must be there.
    whole = bool((exposure > 0).all()) and (as_of - start).days >= 364
    if not whole or counts.sum() == 0:
        reason = "no year of orders is known" if counts.sum() else "no orders are known"
        notes.append(note(f"{kind}_season", "none", "", "default", f"{reason}: even over the year"))
        return flat
    expected = counts.sum() * exposure / exposure.sum()
    share = real_share(counts.astype(float), expected)
    season = 1.0 + share * (counts / expected - 1.0)
    peak = int(season.argmax())
    notes.append(
        note(
            f"{kind}_season",
            f"{season[peak]:.2f} in month {peak + 1}",
            "ratio",
            "estimated from work_orders.opened_at and units",
            f"{counts.sum()} orders of kind {kind}; {share:.0%} of their season is no chance",
        )
    )
    return season


def machine_days(units: pd.DataFrame, start: pd.Timestamp, as_of: pd.Timestamp) -> FloatArray:
    """Count machine-days of service per month of the year.

    Parameters
    ----------
    units : DataFrame
        commissioned_on, retired_on.
    start, as_of : Timestamp

    Returns
    -------
    ndarray, shape (12,)
        From January. [days]
    """
    months = pd.date_range(start.normalize().replace(day=1), as_of, freq="MS")
    out = np.zeros(MONTHS_PER_YEAR)
    day = np.timedelta64(1, "D")
    begin = np.maximum((units["commissioned_on"] - start).to_numpy() / day, 0.0)
    end = np.minimum((units["retired_on"].fillna(as_of) - start).to_numpy() / day, (as_of - start) / day)
    for month, length in zip(months, days_in_month(months), strict=True):
        first = (month - start) / day
        stay = np.minimum(end, first + length) - np.maximum(begin, first)
        out[month.month - 1] += np.maximum(stay, 0.0).sum()
    return out
