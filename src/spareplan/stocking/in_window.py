"""The promise that a share of the demand is served within some days, such as 24 hours, per site and tier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.stocking._forest import Forest
from spareplan.stocking.pricing import Pipelines, Priced
from spareplan.stocking.waiting import exact_shares, wait_shares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
WINDOW = ["window_days", "target_in_window"]


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


def with_windows(targets: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """Targets with the window promises of the same site x group beside them.

    Parameters
    ----------
    targets : DataFrame
        site_id, group, target_fill_rate, target_wait_days.
    windows : DataFrame
        From `group_windows`.

    Returns
    -------
    DataFrame
        A row per site x group with any promise.
    """
    if not len(windows):
        return targets
    return targets.merge(windows.drop(columns="demand_per_day"), on=["site_id", "group"], how="outer")


def served_in_window(
    forest: Forest,
    pipelines: Pipelines,
    state: Priced,
    window_days: FloatArray,
    exact: NDArray[np.bool_],
    method: str,
) -> FloatArray:
    """Share of the demand at each row that waits at most its window.

    Parameters
    ----------
    forest, pipelines : Forest, Pipelines
    state : Priced
        What the levels do.
    window_days : ndarray, shape (rows,)
        Window of each row of the pipelines; NaN: none. [days]
    exact : ndarray of bool, shape (rows,)
        Rows whose lateness the levels were priced with; the others are told row by row.
    method : str
        Evaluation.

    Returns
    -------
    ndarray, shape (rows,)
        In the order of the pipelines; NaN where no window is given or nothing is demanded.
    """
    asked = ~np.isnan(window_days) & (pipelines.demand > 0)
    out = np.where(asked, 1 - state.late, np.nan)
    rest = asked & ~exact
    if not rest.any():
        return out
    rows = pipelines.forest_rows
    most, quantity = np.empty(len(rows), np.int64), np.ones(len(rows), np.int64)
    most[rows] = state.levels
    quantity[rows[pipelines.starts[:-1]]] = pipelines.batch
    stocked = replace(forest, stock=most, least=most - quantity + 1, most=most)
    for time in np.unique(window_days[rest]).tolist():
        here = np.flatnonzero(rest & (window_days == time))
        wanted = np.zeros(len(rows), bool)
        wanted[rows[here]] = True
        plain = method == "exact" and not forest.overdispersed[rows[here]].any()
        tell = exact_shares(stocked, np.array([time]), wanted) if plain else None
        shares = wait_shares(stocked, np.array([time]), method) if tell is None else tell
        out[here] = np.clip(shares[rows[here], 0], 0.0, 1.0)
    return out
