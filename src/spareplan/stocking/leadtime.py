"""Forecast and checked tables as the plain tables of stocking: pipeline demand, sites, parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spareplan.maths.units import DAYS_PER_WEEK

if TYPE_CHECKING:
    from spareplan.results import DemandForecast
    from spareplan.tables.dataset import Dataset

RATE_COLUMNS = [
    "part_id",
    "site_id",
    "demand_per_day",
    "vmr",
    "rate_cv2",
    "repair_share_site",
    "repair_days_site",
]
SHORTEST_WINDOW_DAYS = 1.0


def network_tables(data: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sites and parts as `evaluate_levels`, `solve_levels` and `simulate` take them.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    sites : DataFrame
        site_id, parent_id, lead_time_days, sorted by site.
    parts : DataFrame
        part_id, lead_time_days, lead_time_sd_days, unit_cost, repairable_share, repair_days, sorted by part.
        A part that comes back without a known repair time takes its supply lead time, which changes nothing.
    """
    sites = data.sites[["site_id", "parent_id", "lead_time_days"]].sort_values("site_id", ignore_index=True)
    top = sites["parent_id"].isna()
    sites["lead_time_days"] = sites["lead_time_days"].mask(top & sites["lead_time_days"].isna(), 0.0)
    columns = [
        "part_id", "lead_time_days", "lead_time_sd_days", "unit_cost", "repairable_share", "repair_days"
    ]  # fmt: skip
    parts = data.parts.reindex(columns=columns).sort_values("part_id", ignore_index=True)
    for optional in ("lead_time_sd_days", "repairable_share"):
        parts[optional] = parts[optional].fillna(0.0)
    parts["repair_days"] = parts["repair_days"].fillna(parts["lead_time_days"])
    return sites, parts


def protection_days(data: Dataset, pairs: pd.DataFrame, review_days: float = DAYS_PER_WEEK) -> pd.DataFrame:
    """Days that the stock of a part at a site must cover: supplier, way from HQ, and one review.

    Parameters
    ----------
    data : Dataset
    pairs : DataFrame
        part_id, site_id; all known.
    review_days : float
        Time between two looks at a stock. [days]

    Returns
    -------
    DataFrame
        part_id, site_id, days, a row per row of `pairs`. [days]
    """
    lead = data.sites.set_index("site_id")["lead_time_days"].fillna(0.0)
    way = pd.Series(
        {site: float(lead[data.network.path_to_hq(site)].sum()) for site in lead.index}, dtype=float
    )
    supplier = data.parts.set_index("part_id")["lead_time_days"].fillna(0.0)
    days = (
        supplier.reindex(pairs["part_id"]).to_numpy() + way.reindex(pairs["site_id"]).to_numpy() + review_days
    )
    return pairs[["part_id", "site_id"]].assign(days=np.maximum(days, SHORTEST_WINDOW_DAYS))


def pipeline_rates(data: Dataset, demand: DemandForecast, review_days: float = DAYS_PER_WEEK) -> pd.DataFrame:
    """Demand rates over each part's protection interval, as stocking takes them.

    Parameters
    ----------
    data : Dataset
        Uses parts, sites and site_repairs.
    demand : DemandForecast
        The window is the supplier's lead time, the way from HQ to the site and one review, because demand in
        that time is what the stock must bear.
    review_days : float
        Time between two looks at a stock. [days]

    Returns
    -------
    DataFrame
        part_id, site_id, demand_per_day, vmr, rate_cv2, repair_share_site, repair_days_site: a row per part x
        site of the forecast, and one with demand 0 per further site that repairs the part. Sorted.

    Raises
    ------
    DataError
        The forecast has no window for a part.
    """
    rows = demand.windows if len(demand.windows) else demand.table
    pairs = rows[["part_id", "site_id"]].drop_duplicates()
    pairs = pairs[pairs["part_id"].isin(data.parts["part_id"]) & pairs["site_id"].isin(data.sites["site_id"])]
    found = demand.lead_time_demand(protection_days(data, pairs, review_days))
    rates = found[["part_id", "site_id"]].copy()
    rates["demand_per_day"] = found["mean"].to_numpy(dtype=float) / found["days"].to_numpy(dtype=float)
    idle = rates["demand_per_day"].to_numpy() <= 0
    rates["vmr"] = np.where(idle, 1.0, found["vmr"].fillna(1.0).to_numpy(dtype=float))
    rates["rate_cv2"] = np.where(idle, 0.0, found["rate_cv2"].fillna(0.0).to_numpy(dtype=float))
    rates = _with_repairs(rates, data.site_repairs)
    return rates[RATE_COLUMNS].sort_values(["part_id", "site_id"], ignore_index=True)


def _with_repairs(rates: pd.DataFrame, site_repairs: pd.DataFrame) -> pd.DataFrame:
    columns = ["part_id", "site_id", "repair_share_site", "repair_days_site"]
    known = site_repairs[columns]
    known = known[known["part_id"].isin(rates["part_id"])]
    # Few parts are repaired at sites: only theirs are looked up, millions of other rows are not.
    theirs = rates["part_id"].isin(known["part_id"]).to_numpy()
    mended = rates[theirs].merge(known, on=["part_id", "site_id"], how="outer", validate="one_to_one")
    rest = rates[~theirs].assign(repair_share_site=0.0, repair_days_site=0.0)
    merged = pd.concat([rest, mended], ignore_index=True) if len(mended) else rest
    fill = {
        "demand_per_day": 0.0,
        "vmr": 1.0,
        "rate_cv2": 0.0,
        "repair_share_site": 0.0,
        "repair_days_site": 0.0,
    }
    return merged.fillna(fill)
