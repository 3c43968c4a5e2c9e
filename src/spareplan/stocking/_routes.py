"""Table step of the replenishment: sites and calendar -> when each site can be reached, each part bought."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_WEEK
from spareplan.stocking._shelves import Array, Ints, Routes
from spareplan.tables.calendars import shipping_days, work_calendar

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

SPARE_WEEKS = 10
SPARE_DAYS = 60


def build_routes(
    data: Dataset,
    site_ids: pd.Index,
    monday: pd.Timestamp,
    weeks: int,
    supplier_days: Array,
    assume: Callable[..., None],
) -> tuple[Routes, tuple[Ints, Ints]]:
    """When each site can be reached, and when each part can be bought.

    Parameters
    ----------
    data : Dataset
        Uses sites, calendar and the network.
    site_ids : Index
        Parents before children.
    monday : Timestamp
        First week.
    weeks : int
        Weeks to plan.
    supplier_days : ndarray, shape (parts,)
        Supplier to headquarters. [days]
    assume : callable
        Notes an assumption: name, value, unit, origin, meaning.

    Returns
    -------
    routes : Routes
    bought : pair of ndarray of int, shape (weeks, parts)
        Arrival day at headquarters of an order of the week, and of one at the next chance. [days]
    """
    network, count = data.network, weeks + SPARE_WEEKS
    sites = data.sites.set_index("site_id").reindex(site_ids)
    parent = site_ids.get_indexer(pd.Index(network.parent.reindex(site_ids))).astype(np.int64)
    lead = np.ceil(network.lead_time_days.reindex(site_ids).to_numpy(dtype=float))
    longest = max(lead.max(initial=0), np.ceil(supplier_days.max(initial=0)))
    days = int(DAYS_PER_WEEK * count + longest + SPARE_DAYS)
    regions = network.region.reindex(site_ids)
    laid = work_calendar(data.calendar, sorted(set(regions.dropna())), monday, days)
    own = laid.rows(regions)
    sender = np.where(parent < 0, own, own[parent])
    weekday = sites["ship_weekday"].to_numpy(dtype=float)
    day = shipping_days(laid, sender, own, np.where(parent < 0, np.nan, weekday), count)
    works = shipping_days(laid, own, own, np.full(len(site_ids), np.nan), count) >= 0
    next_open = laid.next_open[own]
    this, following = _chances(day)
    column = np.arange(len(site_ids))
    most = days - 1
    arrives = next_open[column, np.minimum(this + lead.astype(np.int64), most)]
    later = next_open[column, np.minimum(following + lead.astype(np.int64), most)]
    supply = np.ceil(supplier_days).astype(np.int64)
    bought = (
        next_open[0, np.minimum(this[:, [0]] + supply, most)],
        next_open[0, np.minimum(following[:, [0]] + supply, most)],
    )

    pool = sites["lateral_pool"]
    members = pd.Series(column).groupby(pool.to_numpy(dtype=object), sort=True)
    pools = [np.array(group) for _, group in members if len(group) > 1]
    lateral = sites["lateral_days"].to_numpy(dtype=float)
    unsaid = pool.notna().to_numpy() & np.isnan(lateral)
    if unsaid.any():
        assume(
            "sites_without_lateral_days",
            int(unsaid.sum()),
            "sites",
            "data: sites.lateral_days",
            "not given: a neighbour delivers as fast as the supplying site",
        )
    emergency = np.where(parent < 0, np.nan, sites["emergency_days"].to_numpy(dtype=float))
    if np.isnan(emergency[parent >= 0]).any():
        assume(
            "sites_without_emergency_days",
            int(np.isnan(emergency[parent >= 0]).sum()),
            "sites",
            "data: sites.emergency_days",
            "not given: no emergency deliveries there",
        )
    cost = np.nan_to_num(sites["lateral_cost"].to_numpy(dtype=float))
    return Routes(
        parent,
        day >= 0,
        works,
        this,
        arrives,
        later,
        emergency,
        np.where(np.isnan(lateral), lead, lateral),
        cost,
        pools,
        next_open,
    ), bought


def _chances(day: Ints) -> tuple[Ints, Ints]:
    """Day of the first shipment in or after each week, and of the one after that."""
    weeks = len(day)
    this, following = np.empty_like(day), np.empty_like(day)
    ahead = np.full(day.shape[1], DAYS_PER_WEEK * weeks)
    after = ahead + DAYS_PER_WEEK
    for week in range(weeks - 1, -1, -1):
        ships = day[week] >= 0
        after = np.where(ships, ahead, after)
        ahead = np.where(ships, day[week], ahead)
        this[week], following[week] = ahead, after
    return this, following


def sites_below(parent: Ints) -> NDArray[np.bool_]:
    """below[i, j]: whether site j is i itself or supplied through it."""
    below = np.eye(len(parent), dtype=bool)
    for site in range(len(parent) - 1, 0, -1):
        below[parent[site]] |= below[site]
    return below
