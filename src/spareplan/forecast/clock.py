"""Operating hours or calendar days: how much a machine has been used at any date, past and to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.analogues import product_stand_ins
from spareplan.maths.units import days_in_month, month_start
from spareplan.tables.network import Network

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CALENDAR = 0
# A meter speaks for the machine as far as it covers more than about this much use. [hours]
METER_TRUST_HOURS = 300.0


@dataclass(frozen=True)
class Clock:
    """Cumulative use per curve and month, linear within a month.

    Parameters
    ----------
    months : DatetimeIndex, shape (m,)
        Month starts covered.
    cumulative : ndarray, shape (curves, m + 1)
        Use since the first month; curve 0 counts calendar days, the others hours. [days or hours]
    curve : Series
        unit_id to the hours curve of its product and region; 0 where its use is unknown.
    factor : Series
        unit_id to its own use over that curve (1 without meter readings).
    names : list of str
        What each curve stands for.
    lookup : dict
        (product_id, region) to its curve.
    notes : list of dict
        Assumption rows: what was known and what was filled.
    """

    months: pd.DatetimeIndex
    cumulative: FloatArray
    curve: pd.Series
    factor: pd.Series
    names: list[str]
    lookup: dict[tuple[str, str], int]
    notes: list[dict[str, Any]]

    def at(self, curve: Any, dates: Any) -> FloatArray:
        """Cumulative use at the start of days.

        Parameters
        ----------
        curve : array-like of int, shape (n,), or int
        dates : array-like of datetime, shape (n,)

        Returns
        -------
        ndarray, shape (n,)
            [days or hours]
        """
        when = pd.DatetimeIndex(dates)
        first = self.months[0]
        month = np.asarray((when.year - first.year) * 12 + (when.month - first.month))
        if len(month) and (month.min() < 0 or month.max() >= len(self.months)):
            raise ValueError("a date lies outside the months of the clock")
        within = (when - self.months[month]).total_seconds().to_numpy() / 86400 / days_in_month(when)
        low = self.cumulative[curve, month]
        return low + within * (self.cumulative[curve, month + 1] - low)


def build_clock(data: Any, network: Network, as_of: pd.Timestamp, days_ahead: float, hours: bool) -> Clock:
    """Cumulative use of every product in every region, extended backwards and forwards by its season.

    Parameters
    ----------
    data : Dataset
        units, usage, meter_readings are read.
    network : Network
        Gives the region of each site.
    as_of : Timestamp
        Last day that was known.
    days_ahead : float
        How far the clock must reach. [days]
    hours : bool
        False: calendar days only.

    Returns
    -------
    Clock

    Notes
    -----
    A month without a usage row takes the mean of its calendar month in the same product and region, else in
    the product. Usage rows after `as_of` that the data's own last day has not reached are a plan and are
    used; rows between the two are left aside, as they were not known.
    """
    units = data.units
    first = [units["commissioned_on"].min(), data.meter_readings["read_on"].min()]
    begin = min([as_of, *(day for day in first if not pd.isna(day))])
    end = as_of + pd.Timedelta(days=days_ahead + 62)
    months = pd.date_range(month_start([begin])[0], month_start([end])[0], freq="MS")
    length = days_in_month(months)
    rows, names = [length], ["calendar days"]
    region = region_of_sites(network)
    unit_region = units["site_id"].map(region).fillna("").astype(str)
    curve = pd.Series(CALENDAR, index=pd.Index(units["unit_id"]), dtype=np.int64)
    notes: list[dict[str, Any]] = []
    lookup: dict[tuple[str, str], int] = {}
    known = _known_usage(data, as_of) if hours else data.usage.iloc[:0]
    use = {
        key: _fill_season(group, months)
        for key, group in known.groupby(["product_id", "region_id"], sort=True)
    }
    mean_use: dict[Any, FloatArray] = {
        key: _fill_season(group.groupby("month", as_index=False)["hours_per_unit"].mean(), months)
        for key, group in known.groupby("product_id", sort=True)
    }
    stand_ins: dict[str, str] = {}
    if hours:
        mean_use |= _metered_products(data, mean_use, as_of, months)
        # Products that are only to be sold are used like the one that stands in for them.
        named = product_stand_ins(data.products, known)
        stand_ins = {new: old for new, old in named.items() if new not in set(units["product_id"])}
    sold = data.sales_plan["site_id"].map(region).fillna("").astype(str)
    for product, place in sorted(
        {*zip(units["product_id"], unit_region), *zip(data.sales_plan["product_id"], sold)}
    ):
        like = product if product in mean_use else stand_ins.get(product, product)
        monthly = use.get((like, place), mean_use.get(like))
        if monthly is None:
            continue
        if (product, place) not in use:
            notes.append(
                {
                    "stage": "forecast",
                    "name": f"usage of {product} in {place or 'no region'}",
                    "value": "mean of the product" if like == product else f"as {like}",
                    "origin": "estimated from usage or meter_readings",
                    "meaning": "this product and region has no rows in usage",
                }
            )
        names.append(f"{product} in {place}")
        rows.append(monthly)
        lookup[product, place] = len(rows) - 1
    if lookup and len(units):
        keys = pd.MultiIndex.from_tuples(list(lookup))
        at = keys.get_indexer(pd.MultiIndex.from_arrays([units["product_id"].astype(object), unit_region]))
        curve[:] = np.where(at >= 0, np.append(np.array(list(lookup.values())), CALENDAR)[at], CALENDAR)
    cumulative = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)], axis=1)
    factor = pd.Series(1.0, index=curve.index)
    clock = Clock(months, cumulative, curve, factor, names, lookup, notes)
    return _with_meters(clock, data, as_of) if hours and len(data.meter_readings) else clock


def region_of_sites(network: Network) -> pd.Series:
    """Region of each site; a site without one takes that of the nearest site above it."""
    region = network.region.astype(object).where(network.region.notna(), None)
    for site in network.site_ids:
        parent = network.parent[site]
        if region[site] is None and parent in region.index:
            region[site] = region[parent]
    return region


def records_begin(data: Any, as_of: pd.Timestamp) -> tuple[pd.Series, list[dict[str, Any]]]:
    """Day from which failures are known, per site.

    Parameters
    ----------
    data : Dataset
    as_of : Timestamp

    Returns
    -------
    tuple of Series (site_id to Timestamp) and list of dict
        The second says where the days come from.
    """
    region = region_of_sites(data.network)
    first = data.replacements["replaced_on"].min()
    fallback = as_of if pd.isna(first) else first.to_period("M").to_timestamp()
    given = dict(zip(data.regions["region_id"], data.regions["records_from"]))
    begin = pd.Series(
        [given.get(place, pd.NaT) for place in region], index=region.index, dtype="datetime64[ns]"
    )
    missing = begin.isna() & begin.index.isin(data.units["site_id"].unique())
    begin = pd.to_datetime(begin.fillna(fallback))
    notes = []
    if data.regions["records_from"].notna().any():
        notes.append(
            {
                "stage": "forecast",
                "name": "records begin",
                "value": f"{data.regions['records_from'].min():%Y-%m-%d}",
                "origin": "data: regions.records_from",
                "meaning": "failures are known from then on",
            }
        )
    if missing.any():
        notes.append(
            {
                "stage": "forecast",
                "name": "records begin where no region says so",
                "value": f"{fallback:%Y-%m-%d}",
                "origin": "estimated from the first replacement",
                "meaning": f"{int(missing.sum())} sites; set regions.records_from where it is known",
            }
        )
    return begin, notes


def _known_usage(data: Any, as_of: pd.Timestamp) -> pd.DataFrame:
    usage = data.usage
    records = [
        data.replacements["replaced_on"].max(),
        data.demand["month"].max(),
        data.work_orders["opened_at"].max(),
    ]
    last_known = max([as_of, *(moment for moment in records if not pd.isna(moment))])
    keep = (usage["month"] <= as_of) | (usage["month"] > last_known)
    return usage[keep & usage["hours_per_unit"].notna()]


def _fill_season(group: Any, months: pd.DatetimeIndex) -> FloatArray:
    """Hours per month: given ones, else the mean of the calendar month, else of all."""
    given = group.groupby("month")["hours_per_unit"].mean()
    season = (
        given.groupby(pd.DatetimeIndex(given.index).month).mean().reindex(range(1, 13)).fillna(given.mean())
    )
    out = given.reindex(months).to_numpy(dtype=float, copy=True)
    missing = np.isnan(out)
    out[missing] = season.to_numpy()[months.month[missing] - 1]
    return np.maximum(out, 1e-3)


def _metered_products(
    data: Any, known: dict[Any, FloatArray], as_of: pd.Timestamp, months: pd.DatetimeIndex
) -> dict[Any, FloatArray]:
    """Even use of products that have meter readings but no usage rows."""
    readings = data.meter_readings
    readings = readings[readings["read_on"] <= as_of]
    if not len(readings):
        return {}
    last = readings.sort_values("read_on").groupby("unit_id").last()
    units = data.units.set_index("unit_id").loc[last.index]
    days = (last["read_on"] - units["commissioned_on"]).dt.days
    fine = (days > 0) & (last["hours"] > 0)
    rate = (last["hours"] / days)[fine].groupby(units["product_id"][fine]).median()
    return {product: value * days_in_month(months) for product, value in rate.items() if product not in known}


def _with_meters(clock: Clock, data: Any, as_of: pd.Timestamp) -> Clock:
    """Scale each metered machine's curve to meet its last reading, shrunk when the meter saw little."""
    readings = data.meter_readings
    last = readings[readings["read_on"] <= as_of].sort_values("read_on").groupby("unit_id").last()
    units = data.units.set_index("unit_id").loc[last.index]
    curve = clock.curve[last.index].to_numpy()
    expected = clock.at(curve, last["read_on"]) - clock.at(curve, units["commissioned_on"])
    fine = (curve != CALENDAR) & (expected > 0)
    trust = expected / (expected + METER_TRUST_HOURS)
    ratio = trust * last["hours"].to_numpy() / np.where(fine, expected, 1.0) + (1 - trust)
    factor = clock.factor.copy()
    factor.loc[last.index[fine]] = np.clip(ratio[fine], 0.05, 20.0)
    note = {
        "stage": "forecast",
        "name": "machines with meter readings",
        "value": int(fine.sum()),
        "unit": "machines",
        "origin": "data: meter_readings",
        "meaning": "their own use replaces the mean of product and region",
    }
    return Clock(
        clock.months, clock.cumulative, clock.curve, factor, clock.names, clock.lookup, [*clock.notes, note]
    )
