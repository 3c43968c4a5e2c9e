"""A forecast whose means somebody moved: spread, windows and sources follow by the same pieces."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.distributions import quantile
from spareplan.results import DemandForecast
from spareplan.tables.schema import TEXT

PAIR = ["part_id", "site_id"]
CELL = [*PAIR, "month"]
_NO_NUMBERS = (*CELL, "region_id", "reason", "method")


def with_pairs(table: pd.DataFrame, pairs: pd.MultiIndex, method: str) -> pd.DataFrame:
    """Add rows that expect nothing for parts at sites the model does not know.

    Parameters
    ----------
    table : DataFrame
        Of a forecast.
    pairs : MultiIndex of (part_id, site_id)
        Those the table knows are left as they are.
    method : str
        Written into the column method.

    Returns
    -------
    DataFrame
    """
    new = pairs.unique().difference(pd.MultiIndex.from_frame(table[PAIR]))
    if not len(new) or table.empty:
        return table
    months = pd.Index(sorted(table["month"].unique()), name="month")
    rows = new.to_frame(index=False, name=PAIR).merge(months.to_frame(index=False), how="cross")
    numbers = [str(name) for name in table if name not in _NO_NUMBERS]
    rows[numbers] = 0.0
    rows["vmr"] = 1.0
    if "method" in table:
        rows["method"] = method
    rows["reason"] = "the model expects nothing here"
    return pd.concat([table, rows[list(table.columns)]], ignore_index=True)


def window_rows(windows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Windows of all pairs of the table; new pairs start from nothing.

    Parameters
    ----------
    windows : DataFrame
        part_id, site_id, days, mean, vmr, rate_cv2.
    table : DataFrame
        part_id, site_id.

    Returns
    -------
    DataFrame
        A copy.
    """
    if windows.empty:
        return windows
    have = pd.MultiIndex.from_frame(windows[PAIR])
    pairs = table[PAIR].drop_duplicates()
    new = pairs[~pd.MultiIndex.from_frame(pairs).isin(have)]
    if new.empty:
        return windows.copy()
    grid = pd.DataFrame({"days": np.sort(windows["days"].unique())})
    rows = new.merge(grid, how="cross").assign(mean=0.0, vmr=1.0, rate_cv2=0.0)
    return pd.concat([windows, rows[list(windows.columns)]], ignore_index=True)


def shifted(
    demand: DemandForecast,
    table: pd.DataFrame,
    touched: NDArray[np.bool_],
    added: pd.Series,
    source: str,
    windows: pd.DataFrame | None = None,
) -> DemandForecast:
    """Put a table with moved means into a forecast.

    Parameters
    ----------
    demand : DemandForecast
        As it was.
    table : DataFrame
        Its table, with new means (vmr, rate_cv2) in some rows.
    touched : ndarray of bool, shape (len(table),)
        Rows whose variance and quantiles are computed again.
    added : Series, index of `table`
        What was added to the mean of each row. [pieces]
    source : str
        Names it in the contributions, so that the sources of a row still add up to its mean.
    windows : DataFrame, optional
        None: those of the forecast.

    Returns
    -------
    DemandForecast
    """
    table = spread_again(table, touched, demand.levels)
    moved = table[CELL].assign(pieces=added)[added != 0]
    extra = moved[CELL].assign(source=source, mean=moved["pieces"])
    rows = window_rows(demand.windows, table) if windows is None else windows
    return dataclasses.replace(
        demand,
        table=reason_last(table.sort_values(CELL, kind="stable").reset_index(drop=True)),
        windows=moved_windows(rows, moved, demand.as_of),
        contributions=pd.concat([demand.contributions, extra], ignore_index=True),
    )


def spread_again(table: pd.DataFrame, touched: NDArray[np.bool_], levels: list[float]) -> pd.DataFrame:
    """Variance and quantiles of the rows that were changed.

    Parameters
    ----------
    table : DataFrame
        mean, vmr, rate_cv2.
    touched : ndarray of bool
    levels : list of float
        Quantile levels of the table.

    Returns
    -------
    DataFrame
        A copy.
    """
    table = table.copy()
    mean, vmr, cv2 = (table[name].to_numpy(dtype=float)[touched] for name in ("mean", "vmr", "rate_cv2"))
    variance = vmr * mean + cv2 * mean**2
    table.loc[touched, "variance"] = variance
    for level in levels:
        table.loc[touched, f"q{level:g}"] = quantile(np.full(len(mean), level), mean, variance)
    return table


def moved_windows(windows: pd.DataFrame, moved: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Windows moved by the pieces that are added in their days, spread evenly over each month.

    Parameters
    ----------
    windows : DataFrame
        part_id, site_id, days, mean.
    moved : DataFrame
        part_id, site_id, month, pieces.
    as_of : Timestamp
        Last known day; windows start after it.

    Returns
    -------
    DataFrame
    """
    if windows.empty or moved.empty:
        return windows
    begins = (moved["month"] - as_of.normalize()).dt.days.to_numpy(dtype=float) - 1
    length = moved["month"].dt.days_in_month.to_numpy(dtype=float)
    steps = moved[PAIR].assign(begins=begins, length=length, pieces=moved["pieces"])
    hit = windows.reset_index(drop=True).reset_index(names="place")[["place", *PAIR, "days"]]
    hit = hit.merge(steps, on=PAIR)
    # A forecast that starts inside a month has only the rest of it ahead.
    start = np.maximum(hit["begins"], 0.0)
    left = hit["length"] - (start - hit["begins"])
    share = np.clip((hit["days"] - start) / left, 0.0, 1.0)
    pieces = (hit["pieces"] * share).groupby(hit["place"]).sum()
    out = windows.reset_index(drop=True)
    out["mean"] = np.maximum(out["mean"].add(pieces, fill_value=0.0), 0.0)
    return out


def reason_last(table: pd.DataFrame) -> pd.DataFrame:
    """Columns in their order, the reason at the end."""
    return table[[name for name in table if name != "reason"] + ["reason"]] if "reason" in table else table


def say(table: pd.DataFrame, rows: NDArray[Any], words: pd.Series | str) -> None:
    """Add words to the reasons of some rows, in place.

    Parameters
    ----------
    table : DataFrame
        With a column reason.
    rows : ndarray
        Positions or a mask.
    words : Series (index of those rows) or str
    """
    said = table["reason"].astype(object)
    said.iloc[rows] = said.iloc[rows] + words
    table["reason"] = said.astype(TEXT)
