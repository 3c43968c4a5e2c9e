"""The promise that a share of the demand is served within some days, such as 24 hours.

Whoever is served from the shelf is served at once, so a fill rate of the same height always keeps such a
promise.
Levels are found for that, then once more with the part of it that the first answer shows to be needless.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.stocking._forest import Forest
from spareplan.stocking.finding import Found
from spareplan.stocking.pricing import Pipelines
from spareplan.stocking.waiting import wait_shares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
WINDOW = ["window_days", "target_in_window"]
# Share of the needless misses that the second answer may use, so that it seldom overshoots.
USED = 0.97


def group_windows(parts: pd.DataFrame, rates: pd.DataFrame, graded: pd.DataFrame) -> pd.DataFrame:
    """Window promises per site x tier.

    Parameters
    ----------
    parts : DataFrame
        part_id, group.
    rates : DataFrame
        part_id, site_id, demand_per_day.
    graded : DataFrame
        Indexed by part_id: window_days, target_in_window; may lack them.

    Returns
    -------
    DataFrame
        site_id, group, window_days (the shortest), target_in_window (weighted by demand), demand_per_day.
    """
    columns = ["site_id", "group", *WINDOW, "demand_per_day"]
    if not set(WINDOW) <= set(graded.columns):
        return pd.DataFrame(columns=columns)
    rows = rates[["part_id", "site_id", "demand_per_day"]].merge(parts[["part_id", "group"]], on="part_id")
    rows = rows.merge(graded[WINDOW], left_on="part_id", right_index=True)
    rows = rows[rows["group"].notna() & (rows["demand_per_day"] > 0) & rows[WINDOW].notna().all(axis=1)]
    rows["weighted"] = rows["target_in_window"] * rows["demand_per_day"]
    groups = rows.groupby(["site_id", "group"])
    out = groups[["weighted", "demand_per_day"]].sum()
    out["window_days"] = groups["window_days"].min()
    out["target_in_window"] = out["weighted"] / out["demand_per_day"]
    return out.reset_index()[columns]


def lifted(targets: pd.DataFrame, windows: pd.DataFrame, fill: FloatArray) -> pd.DataFrame:
    """Targets with the fill rate of each window group at least `fill`."""
    keys = ["site_id", "group"]
    both = targets.merge(windows[keys].assign(lift=fill), on=keys, how="outer")
    both["target_fill_rate"] = both[["target_fill_rate", "lift"]].max(axis=1)
    return both.drop(columns="lift")


def shortened(
    sites: pd.DataFrame, targets: pd.DataFrame, windows: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sites and targets whose fill rates stand for shares within the windows, for a lower bound.

    Whoever is served within t days, t shorter than the site's lead time L, would be served from the shelf if
    the way were L - t. So no levels keep the windows that do not keep these fill rates on the shortened ways;
    where a window reaches the whole lead time only the plain fill rate is asked for.

    Parameters
    ----------
    sites : DataFrame
        site_id, parent_id, lead_time_days.
    targets : DataFrame
        site_id, group, target_fill_rate, target_wait_days.
    windows : DataFrame
        From `group_windows`.

    Returns
    -------
    sites, targets : DataFrame
    """
    widest = sites["site_id"].map(windows.groupby("site_id")["window_days"].max())
    lead = sites["lead_time_days"].astype(float)
    inside = sites["parent_id"].notna() & (widest < lead)
    shorter = sites.assign(lead_time_days=lead.where(~inside, lead - widest))
    kept = windows[windows["site_id"].isin(sites.loc[inside, "site_id"])]
    asked = lifted(targets, kept, kept["target_in_window"].to_numpy(dtype=float))
    # Mean waits are left to the bound on the true ways.
    return shorter, asked[asked["target_fill_rate"].notna()].assign(target_wait_days=np.nan)


def window_shares(
    forest: Forest, pipelines: Pipelines, levels: IntArray, window_days: FloatArray, method: str
) -> FloatArray:
    """Share of the demand at each row of the forest that waits at most its window.

    Parameters
    ----------
    forest, pipelines : Forest, Pipelines
    levels : ndarray of int, shape (rows,)
        Rows of the pipelines. [pieces]
    window_days : ndarray, shape (rows,)
        Window of each row of the forest; NaN: none. [days]
    method : str
        Evaluation.

    Returns
    -------
    ndarray, shape (rows,)
        NaN where no window is given or nothing is demanded.
    """
    most = np.empty(len(levels), dtype=np.int64)
    most[pipelines.forest_rows] = levels
    quantity = np.ones(len(levels), dtype=np.int64)
    quantity[pipelines.forest_rows[pipelines.starts[:-1]]] = pipelines.batch
    stocked = replace(forest, stock=most, least=most - quantity + 1, most=most)
    out = np.full(len(levels), np.nan)
    times = np.unique(window_days[~np.isnan(window_days)])
    if not len(times):
        return out
    shares = wait_shares(stocked, times, method)
    given = ~np.isnan(window_days)
    out[given] = shares[given, np.searchsorted(times, window_days[given])]
    return out


def window_service(
    forest: Forest, shares: FloatArray, groups: pd.Series, windows: pd.DataFrame
) -> pd.DataFrame:
    """Reached share per window promise, weighted by the site's own demand.

    Parameters
    ----------
    forest : Forest
    shares : ndarray, shape (rows,)
        From `window_shares`.
    groups : Series
        Group of each part, in the order of `forest.part_ids`.
    windows : DataFrame
        From `group_windows`.

    Returns
    -------
    DataFrame
        Rows for `StockLevels.service`, with window_days.
    """
    rows = pd.DataFrame(
        {
            "site_id": forest.site_ids.take(forest.site),
            "group": groups.to_numpy()[forest.part],
            "own": forest.own,
            "served": forest.own * np.nan_to_num(shares),
        }
    )
    sums = rows[rows["own"] > 0].groupby(["site_id", "group"])[["served", "own"]].sum().reset_index()
    out = windows.merge(sums, on=["site_id", "group"], how="left")
    reached = out["served"] / out["own"]
    return pd.DataFrame(
        {
            "group": out["site_id"].astype(str) + " / " + out["group"].astype(str),
            "site_id": out["site_id"],
            "part_group": out["group"],
            "measure": "in_window",
            "target": out["target_in_window"],
            "reached": reached,
            "slack": reached - out["target_in_window"],
            "demand_per_day": out["demand_per_day"],
            "kept": reached >= out["target_in_window"] - 1e-9,
            "window_days": out["window_days"],
        }
    )


def needed_fill(found_fill: FloatArray, service: pd.DataFrame) -> FloatArray:
    """Fill rate that should just keep each window promise, judged by how the first answer fell out."""
    missed, late = 1 - found_fill, 1 - service["reached"].to_numpy(dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        room = (
            USED * (1 - service["target"].to_numpy(dtype=float)) * np.where(late > 1e-12, missed / late, 50.0)
        )
    return np.clip(1 - room, 0.0, service["target"].to_numpy(dtype=float))


def group_fill(
    forest: Forest, pipelines: Pipelines, found: Found, groups: pd.Series, windows: pd.DataFrame
) -> FloatArray:
    """Fill rate that levels reach in each window group."""
    miss = np.empty(len(found.levels))
    miss[pipelines.forest_rows] = found.state.miss
    return window_service(forest, 1 - miss, groups, windows)["reached"].to_numpy(dtype=float)
