"""Demand of any number of days, read from a grid of windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.distributions import quantile

FloatArray = NDArray[np.float64]
PAIR = ["part_id", "site_id"]


def window_demand(
    windows: pd.DataFrame, days: float | pd.Series | pd.DataFrame, levels: Sequence[float] = ()
) -> pd.DataFrame:
    """Distribution of the demand in the next `days` days.

    Parameters
    ----------
    windows : DataFrame
        part_id, site_id, days, mean, vmr, rate_cv2: the pair for the sum over the first `days` days, several
        windows per part and site.
    days : float, Series or DataFrame
        One window for all rows; a Series indexed by part_id, or by part_id and site_id; or a frame with
        part_id[, site_id] and days. [days]
    levels : sequence of float
        Quantile levels to add.

    Returns
    -------
    DataFrame
        part_id, site_id, days, mean, variance, vmr, rate_cv2, q<level>; a row per part and site of `windows`.

    Raises
    ------
    DataError
        A part (and site) has no window; a number of days is negative or missing.

    Notes
    -----
    Means are straight lines between the windows of the grid, from 0 at no days, and go on at the last slope
    beyond it; vmr and rate_cv2 are straight lines too and stay constant outside the grid.
    """
    ordered = windows.sort_values([*PAIR, "days"], kind="stable", ignore_index=True)
    starts = np.flatnonzero(~ordered.duplicated(PAIR).to_numpy())
    out = ordered.loc[starts, PAIR].reset_index(drop=True)
    out["days"] = _wanted_days(out, days)
    mean, vmr, cv2 = _interpolate(ordered, starts, out["days"].to_numpy(dtype=float))
    out["mean"], out["variance"] = mean, vmr * mean + cv2 * mean**2
    out["vmr"], out["rate_cv2"] = vmr, cv2
    for level in levels:
        out[f"q{level:g}"] = quantile(np.full(len(out), level), mean, out["variance"].to_numpy())
    return out


def _wanted_days(pairs: pd.DataFrame, days: float | pd.Series | pd.DataFrame) -> FloatArray:
    """Days of each part and site, refused where they are missing."""
    if isinstance(days, pd.DataFrame):
        keys = [name for name in PAIR if name in days]
        if "part_id" not in keys or "days" not in days:
            raise DataError(
                [
                    Problem(
                        "days", 0, "part_id, days", "", "are not both there", "give part_id[, site_id], days"
                    )
                ]
            )
        days = days.set_index(keys)["days"]
    if isinstance(days, pd.Series):
        if days.index.has_duplicates:
            doubled = days.index[days.index.duplicated()][0]
            raise DataError([Problem("days", None, "part_id", str(doubled), "stands twice", "keep one row")])
        if days.index.nlevels == 2:
            values = days.reindex(pd.MultiIndex.from_frame(pairs)).to_numpy(dtype=float)
        else:
            values = pairs["part_id"].map(days).to_numpy(dtype=float)
    else:
        values = np.full(len(pairs), float(days))
    wrong = ~np.isfinite(values) | (values < 0)
    if wrong.any():
        raise DataError(
            [
                Problem(
                    "days",
                    None,
                    "days",
                    f"{pairs['part_id'].iloc[row]}, {pairs['site_id'].iloc[row]}",
                    "has no number of days of 0 or more",
                    "give a window for every part and site of the forecast",
                )
                for row in np.flatnonzero(wrong)
            ]
        )
    return values


def _interpolate(ordered: pd.DataFrame, starts: NDArray[np.intp], days: FloatArray) -> tuple[FloatArray, ...]:
    grid = ordered["days"].to_numpy(dtype=float)
    mean, vmr, cv2 = (ordered[name].to_numpy(dtype=float) for name in ("mean", "vmr", "rate_cv2"))
    ends = np.append(starts[1:], len(grid)) - 1
    pair = np.repeat(np.arange(len(starts)), ends - starts + 1)
    # One search in all grids: pairs lie behind each other.
    span = max(float(grid.max(initial=1.0)), float(days.max(initial=1.0))) + 1.0
    high = np.searchsorted(pair * span + grid, np.arange(len(starts)) * span + days, side="left")
    high = np.clip(high, starts, ends)
    low = np.maximum(high - 1, starts)
    first = high == starts
    beyond = days > grid[high]
    # Outside the grid: from nothing up to the first window, and on at the last slope.
    day_low = np.where(first, 0.0, grid[low])
    mean_low = np.where(first, 0.0, mean[low])
    slope = (mean[high] - mean_low) / np.maximum(grid[high] - day_low, 1e-12)
    total = mean_low + slope * (days - day_low)
    part = np.where(first | beyond, 1.0, (days - day_low) / np.maximum(grid[high] - day_low, 1e-12))
    return (
        np.maximum(total, 0.0),
        vmr[low] + part * (vmr[high] - vmr[low]),
        cv2[low] + part * (cv2[high] - cv2[low]),
    )
