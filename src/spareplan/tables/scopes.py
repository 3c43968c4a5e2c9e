"""Which rows of which table an override reaches, and which overrides still count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

SCOPE = ("part_id", "site_id", "region_id", "month")
# What a planner may decide; everything else in the results follows from it.
OPEN_COLUMNS = {
    "parts": (
        "unit_cost", "lead_time_days", "lead_time_sd_days", "repairable_share", "repair_days", "min_order",
        "pack_size", "expected_life_hours", "criticality", "source",
    ),
    "demand": ("mean", "vmr", "rate_cv2"),
    "grades": ("tier", "criticality", "planner", "target_fill_rate", "target_wait_days"),
    "levels": ("base_stock", "reorder_point", "order_quantity", "planner"),
    "orders": ("quantity", "priority"),
    "crew": ("required", "hire", "train", "transfer_in", "transfer_out"),
}  # fmt: skip
WORDS = ("criticality", "planner", "source")


def active_overrides(overrides: pd.DataFrame, as_of: pd.Timestamp, table: str | None = None) -> pd.DataFrame:
    """Overrides that still count, the one decided last at the end.

    Parameters
    ----------
    overrides : DataFrame
        table, column, part_id, site_id, region_id, month, value, who, when, why, expires_on.
    as_of : Timestamp
        Last known day.
    table : str, optional
        Only those of one table.

    Returns
    -------
    DataFrame
        Sorted by when; values as given. Index: position among all overrides.

    Raises
    ------
    DataError
        A table or column that cannot be overridden, or a value that is no number where one is needed.
    """
    check_overrides(overrides)
    kept = overrides.reset_index(drop=True)
    kept = kept[kept["expires_on"].isna() | (kept["expires_on"] >= pd.Timestamp(as_of).normalize())]
    if table is not None:
        kept = kept[kept["table"] == table]
    narrow = kept[list(SCOPE)].notna().sum(axis=1)
    order = kept.assign(narrow=narrow, text=kept["value"].astype(str), by=kept["who"].astype(str))
    return order.sort_values(["when", "narrow", "text", "by"], kind="stable").drop(
        columns=["narrow", "text", "by"]
    )


def check_overrides(overrides: pd.DataFrame) -> None:
    """Refuse overrides that no stage could follow.

    Parameters
    ----------
    overrides : DataFrame

    Raises
    ------
    DataError
        Every unknown table or column, and every value that is no finite number where one is needed.
    """
    problems = []
    for row, (table, column, value) in enumerate(
        zip(*(overrides[name] for name in ("table", "column", "value")))
    ):
        line = row + 2
        if table not in OPEN_COLUMNS:
            problems.append(
                Problem(
                    "overrides",
                    line,
                    "table",
                    str(table),
                    "cannot be overridden",
                    f"use one of: {', '.join(OPEN_COLUMNS)}",
                )
            )
        elif column not in OPEN_COLUMNS[table]:
            problems.append(
                Problem(
                    "overrides",
                    line,
                    "column",
                    str(column),
                    f"cannot be overridden in {table}",
                    f"use one of: {', '.join(OPEN_COLUMNS[table])}",
                )
            )
        elif column not in WORDS and not np.isfinite(number(value)):
            problems.append(Problem("overrides", line, "value", str(value), "is no number", "write a number"))
        elif column not in WORDS and number(value) < 0:
            problems.append(Problem("overrides", line, "value", str(value), "is negative", "write 0 or more"))
    if problems:
        raise DataError(problems)


def keyed(table: pd.DataFrame, data: Dataset) -> pd.DataFrame:
    """Scope columns of a table: the site of an order is the receiver, the month of a week that of its Monday.

    Parameters
    ----------
    table : DataFrame
        Some of part_id, site_id or to_site_id, region_id, month or week.
    data : Dataset
        For the region of each site.

    Returns
    -------
    DataFrame
        Those of SCOPE that the table knows; rows as in the table.
    """
    keys = pd.DataFrame(index=table.index)
    for name in ("part_id", "site_id", "region_id", "month"):
        if name in table:
            keys[name] = table[name]
    if "to_site_id" in table:
        keys["site_id"] = table["to_site_id"]
    if "week" in table and "month" not in keys:
        keys["month"] = table["week"].dt.to_period("M").dt.to_timestamp()
    if "site_id" in keys and "region_id" not in keys:
        keys["region_id"] = keys["site_id"].map(data.network.region)
    return keys.reset_index(drop=True)


def reached(keys: pd.DataFrame, live: pd.DataFrame) -> Iterator[tuple[Any, np.ndarray]]:
    """For each override its index and the positions of the rows in its scope.

    Parameters
    ----------
    keys : DataFrame
        From `keyed`.
    live : DataFrame
        From `active_overrides`.

    Yields
    ------
    index label, ndarray of int

    Raises
    ------
    DataError
        A scope names a column the table does not know.
    """
    by_part = keys.groupby("part_id", sort=False).indices if "part_id" in keys else {}
    problems = []
    for at, one in live.iterrows():
        rows = np.arange(len(keys))
        if "part_id" in keys and not pd.isna(one["part_id"]):
            rows = np.asarray(by_part.get(one["part_id"], np.zeros(0)), dtype=np.int64)
        for name in SCOPE:
            if pd.isna(one[name]) or (name == "part_id" and name in keys):
                continue
            if name not in keys:
                problems.append(
                    Problem(
                        "overrides",
                        int(str(at)) + 2,
                        name,
                        str(one[name]),
                        f"{one['table']} knows no {name}",
                        "leave it empty",
                    )
                )
                continue
            rows = rows[(keys[name].iloc[rows] == one[name]).fillna(False).to_numpy(dtype=bool)]
        if "month" in keys and not pd.isna(one["expires_on"]):
            rows = rows[(keys["month"].iloc[rows] <= one["expires_on"]).to_numpy()]
        yield at, rows
    if problems:
        raise DataError(problems)


def laid(column: pd.Series, rows: np.ndarray, one: pd.Series) -> pd.Series:
    """Lay an override's value over some rows of a column.

    Parameters
    ----------
    column : Series
    rows : ndarray of int
        Positions.
    one : Series
        The override.

    Returns
    -------
    Series
        A copy; whole numbers stay whole.
    """
    words = one["column"] in WORDS
    laid = column.astype(object if words else float)
    laid.iloc[rows] = str(one["value"]) if words else number(one["value"])
    whole = not words and column.dtype.kind == "i" and (laid == laid.round()).all()
    return laid.astype(column.dtype) if words or whole else laid


def number(value: Any) -> float:
    """Value of an override as a number; NaN where it is none."""
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def scope_words(one: pd.Series) -> str:
    """Scope of an override in words; "everywhere" for an empty one."""
    given = [
        str(one[name].date() if name == "month" else one[name]) for name in SCOPE if not pd.isna(one[name])
    ]
    return ", ".join(given) or "everywhere"
