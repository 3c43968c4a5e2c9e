"""How often an order misses its part, and how long it waits for it, from the stock levels.

References
----------
.. [1] Sherbrooke (2004), Optimal Inventory Modeling of Systems, ch. 2 (fill rate and backorders).
.. [2] Kruse (1981), Waiting time in an S-1, S inventory system with arbitrarily distributed lead times.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import HOURS_PER_DAY

FloatArray = NDArray[np.float64]
_POINTS = 96


class PartsWait(NamedTuple):
    """What orders of a region meet at the shelf.

    Parameters
    ----------
    missing : ndarray, shape (R,)
        Share of orders with parts that miss at least one; NaN where no level tells.
    hours : ndarray, shape (R,)
        Mean wait of these for the last part; NaN where none is ever missing. [hours]
    scv : ndarray, shape (R,)
        Its squared coefficient of variation.
    """

    missing: FloatArray
    hours: FloatArray
    scv: FloatArray


def still_waiting(times: FloatArray, mean: FloatArray, lead: FloatArray) -> FloatArray:
    """P(a missing part is not there after a time).

    Parameters
    ----------
    times : ndarray, shape (n,)
        [hours]
    mean : ndarray, shape (n,)
        Mean wait of demands that wait. [hours]
    lead : ndarray, shape (n,)
        Lead time of the site. [hours]

    Returns
    -------
    ndarray, shape (n,)

    Notes
    -----
    Up to the lead time (1 - t / lead)^b with the right mean: without stock every demand waits the whole lead
    time (b = 0), one piece and little demand make the wait uniform (b = 1), deep stock lets it fade like an
    exponential one (b large) [2]_. A mean beyond the lead time says that the supplying site is short, too:
    the lead time and an exponential delay.
    """
    excess = mean - lead
    shape = np.maximum(lead / np.maximum(mean, 1e-12) - 1.0, 0.0)
    own = np.maximum(1.0 - times / np.maximum(lead, 1e-12), 0.0) ** shape
    both = np.exp(-np.maximum(times - lead, 0.0) / np.maximum(excess, 1e-12))
    out: FloatArray = np.where(excess > 0, both, own)
    return out


def parts_wait(
    region: NDArray[np.int64],
    count: int,
    weight: FloatArray,
    fill: FloatArray,
    wait: FloatArray,
    lead: FloatArray,
    rush: FloatArray,
    parts: FloatArray,
) -> PartsWait:
    """Miss and wait of orders, from fill rates and mean waits of the parts that fail.

    Parameters
    ----------
    region : ndarray of int, shape (n,)
        Region of each part and site, 0..count-1.
    count : int
    weight : ndarray, shape (n,)
        Expected failures. [pieces]
    fill : ndarray, shape (n,)
        Share of demand met from the shelf.
    wait : ndarray, shape (n,)
        Mean wait over all demands. [hours]
    lead : ndarray, shape (n,)
        Lead time of the site. [hours]
    rush : ndarray, shape (count,)
        Time of an emergency delivery, that ends every longer wait; infinite: none. [hours]
    parts : ndarray, shape (P,)
        Share of the orders with parts that need 1, 2, ..., P of them.

    Returns
    -------
    PartsWait

    Notes
    -----
    An order misses with 1 - E[fill^k]; it waits for the last of its missing parts. The law of each part is
    that of `still_waiting`, cut at the emergency delivery; the region's is their mixture, weighed by the
    failures that find an empty shelf.
    """
    total = np.bincount(region, weight, count)
    short = np.clip(1.0 - fill, 0.0, 1.0)
    miss = np.bincount(region, weight * short, count) / np.maximum(total, 1e-300)
    given = wait / np.maximum(short, 1e-12)
    used = (weight > 0) & (short > 1e-12) & (given > 0)
    # Nine times the delay of the supplying site leaves 1 in 8,000.
    reach = lead + 9.0 * np.maximum(given - lead, 0.0)
    top = np.zeros(count)
    np.maximum.at(top, region[used], reach[used])
    top = np.minimum(top, rush)
    # Points lie closer at short times, where the laws of rushed parts end.
    steps = np.linspace(0.0, 1.0, _POINTS) ** 2
    late = np.zeros((count, _POINTS))
    where, unmet = region[used], (weight * short)[used]
    for point, step in enumerate(steps):
        left = still_waiting(step * top[where], given[used], lead[used])
        late[:, point] = np.bincount(where, unmet * left, count)
    late /= np.maximum(total, 1e-300)[:, None]
    each = np.arange(1, len(parts) + 1)
    share = parts / max(float(parts.sum()), 1e-300)
    waiting = 1.0 - ((1.0 - late)[..., None] ** each * share).sum(axis=2)
    missing = 1.0 - ((1.0 - miss)[:, None] ** each * share).sum(axis=1)
    times = steps * top[:, None]
    safe = np.maximum(missing, 1e-300)
    mean = np.trapezoid(waiting, times, axis=1) / safe
    second = np.trapezoid(2.0 * times * waiting, times, axis=1) / safe
    known = (total > 0) & (missing > 1e-12) & (mean > 0)
    return PartsWait(
        np.where(total > 0, missing, np.nan),
        np.where(known, mean, np.nan),
        np.where(known, np.maximum(second / np.where(known, mean, 1.0) ** 2 - 1.0, 0.0), np.nan),
    )


def parts_per_order(replacements: pd.DataFrame, most: int = 8) -> FloatArray:
    """Share of orders with parts that need 1, 2, ... different ones.

    Parameters
    ----------
    replacements : DataFrame
        order_id, part_id.
    most : int
        More count as so many.

    Returns
    -------
    ndarray, shape (P,)
        (1,) where no replacement names its order.
    """
    linked = replacements.dropna(subset=["order_id"])
    if linked.empty:
        return np.ones(1)
    kinds = linked.groupby("order_id")["part_id"].nunique().clip(upper=most)
    counts = np.bincount(kinds.to_numpy(dtype=np.int64))[1:].astype(float)
    share: FloatArray = counts / counts.sum()
    return share


def level_rows(
    levels: pd.DataFrame, demand: pd.DataFrame, sites: pd.DataFrame, regions: pd.Index
) -> pd.DataFrame:
    """Parts and sites whose failures find the levels, one row each.

    Parameters
    ----------
    levels : DataFrame
        part_id, site_id, demand_per_day, fill_rate, mean_wait_days.
    demand : DataFrame
        part_id, site_id, from_installed_base, from_new_units: expected failures; without any all demand
        weighs.
    sites : DataFrame
        site_id, region_id, lead_time_days.
    regions : Index

    Returns
    -------
    DataFrame
        region (position in `regions`), weight [pieces], fill, wait, lead [hours].
    """
    rows = levels[levels["fill_rate"].notna() & (levels["demand_per_day"] > 0)]
    by_site = sites.set_index("site_id")
    region = regions.get_indexer(pd.Index(rows["site_id"].map(by_site["region_id"])))
    failures = demand["from_installed_base"].fillna(0.0) + demand["from_new_units"].fillna(0.0)
    keys = ["part_id", "site_id"]
    weight = rows["demand_per_day"].to_numpy(dtype=float)
    if failures.sum() > 0 and set(keys) <= set(demand):
        sums = failures.groupby([demand[key] for key in keys]).sum()
        found = sums.reindex(pd.MultiIndex.from_frame(rows[keys])).to_numpy(dtype=float)
        failed = np.nan_to_num(found)
        # Regions whose failing parts have no levels are judged by all their demand.
        covered = np.bincount(region[region >= 0], failed[region >= 0], len(regions)) > 0
        weight = np.where(covered[region], failed, weight)
    lead = rows["site_id"].map(by_site["lead_time_days"]).to_numpy(dtype=float)
    out = pd.DataFrame(
        {
            "region": region,
            "weight": weight,
            "fill": rows["fill_rate"].to_numpy(dtype=float),
            "wait": rows["mean_wait_days"].fillna(0.0).to_numpy(dtype=float) * HOURS_PER_DAY,
            "lead": np.nan_to_num(lead) * HOURS_PER_DAY,
        }
    )
    return out[out["region"] >= 0].reset_index(drop=True)
