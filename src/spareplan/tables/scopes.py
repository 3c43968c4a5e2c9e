"""Which rows of which table an override reaches, and which overrides still count."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.tables.catalog import INPUT_TABLES, PLAN_TABLES
from spareplan.tables.cells import Fault
from spareplan.tables.horizon import FrozenHorizon
from spareplan.tables.parse import parse_column

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

SCOPE = ("part_id", "site_id", "region_id", "month")
DECISION = ("table", "column", *SCOPE, "who", "when")
# What a planner may decide; everything else in the results follows from it.
OPEN_COLUMNS = {
    "parts": (
        "unit_cost", "lead_time_days", "lead_time_sd_days", "repairable_share", "repair_days", "min_order",
        "pack_size", "expected_life_hours", "criticality", "source",
    ),
    "demand": ("mean", "vmr", "rate_cv2"),
    "grades": ("tier", "criticality", "planner", "target_fill_rate", "target_wait_days"),
    "levels": (
        "base_stock", "base_stock_at_least", "base_stock_at_most", "reorder_point", "order_quantity",
        "planner",
    ),
    "orders": ("quantity", "priority"),
    "crew": ("required", "hire", "train", "transfer_in", "transfer_out"),
}  # fmt: skip
WORDS = ("criticality", "planner", "source")


def active_overrides(overrides: pd.DataFrame, as_of: pd.Timestamp, table: str | None = None) -> pd.DataFrame:
    """Overrides that still count, the one decided last at the end.

    Parameters
    ----------
    overrides : DataFrame
        table, column, part_id, site_id, region_id, month, value, who, when, why, expires_on [, withdrawn_on].
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
    kept = kept[~is_withdrawn(kept)]
    if table is not None:
        kept = kept[kept["table"] == table]
    narrow = kept[list(SCOPE)].notna().sum(axis=1)
    order = kept.assign(narrow=narrow, text=kept["value"].astype(str), by=kept["who"].astype(str))
    return order.sort_values(["when", "narrow", "text", "by"], kind="stable").drop(
        columns=["narrow", "text", "by"]
    )


def is_withdrawn(overrides: pd.DataFrame) -> pd.Series:
    """Whether each override was taken back."""
    if "withdrawn_on" not in overrides:
        return pd.Series(False, index=overrides.index)
    return overrides["withdrawn_on"].notna()


def decision_keys(overrides: pd.DataFrame) -> pd.Series:
    """One text per override that names the decision: cell, who, when; its value and reason may be mended.

    Parameters
    ----------
    overrides : DataFrame

    Returns
    -------
    Series of str, index of `overrides`
    """
    words = [
        overrides[name].dt.strftime("%Y-%m-%d").fillna("")
        if name in ("month", "when")
        else overrides[name].astype(object).where(overrides[name].notna(), "").astype(str)
        for name in DECISION
    ]
    return joined_text(words)


def joined_text(columns: list[pd.Series]) -> pd.Series:
    """One text per row of several columns of text."""
    return columns[0].str.cat(pd.concat(columns[1:], axis=1), sep="\x1f")


def may_enter(overrides: pd.DataFrame, horizon: FrozenHorizon) -> pd.Series:
    """Whether each override reaches into the frozen horizon.

    Parameters
    ----------
    overrides : DataFrame
    horizon : FrozenHorizon

    Returns
    -------
    Series of bool
        Decided after the last day the issued plan knew, or held by that plan already.
    """
    late = overrides["when"] > horizon.issued_on
    return late | decision_keys(overrides).isin(horizon.known)


def check_overrides(overrides: pd.DataFrame) -> None:
    """Refuse overrides that no stage could follow.

    Parameters
    ----------
    overrides : DataFrame

    Raises
    ------
    DataError
        Every unknown table or column, and every value its column cannot hold.
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
        elif isinstance(read := value_of(table, column, value), Fault):
            problems.append(Problem("overrides", line, "value", str(value), read.rule, read.remedy))
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
        Those of SCOPE that the table knows, and its week; rows as in the table.
    """
    keys = pd.DataFrame(index=table.index)
    for name in (*SCOPE, "week"):
        if name in table:
            keys[name] = table[name]
    if "to_site_id" in table:
        keys["site_id"] = table["to_site_id"]
    if "week" in table and "month" not in keys:
        keys["month"] = table["week"].dt.to_period("M").dt.to_timestamp()
    if "site_id" in keys and "region_id" not in keys:
        keys["region_id"] = keys["site_id"].map(data.network.region)
    return keys.reset_index(drop=True)


def reached(
    keys: pd.DataFrame,
    live: pd.DataFrame,
    newest: Mapping[str, str] | None = None,
    horizon: FrozenHorizon | None = None,
) -> Iterator[tuple[Any, NDArray[np.int64]]]:
    """For each override its index and the positions of the rows in its scope.

    Parameters
    ----------
    keys : DataFrame
        From `keyed`.
    live : DataFrame
        From `active_overrides`.
    newest : mapping of str to str, optional
        Last successor of superseded parts: it stands in where the table knows the part no more.
    horizon : FrozenHorizon, optional
        Its rows are left out for overrides that may not enter it.

    Yields
    ------
    index label, ndarray of int

    Raises
    ------
    DataError
        A scope names a column the table does not know.
    """
    by_part: dict[Any, Any] = keys.groupby("part_id", sort=False).indices if "part_id" in keys else {}
    held = None if horizon is None else horizon.holds(keys)
    enters = {} if horizon is None else may_enter(live, horizon).to_dict()
    problems = []
    for at, one in live.iterrows():
        rows = np.arange(len(keys))
        if "part_id" in keys and not pd.isna(one["part_id"]):
            part = stand_in(one["part_id"], by_part, newest)
            rows = np.asarray(by_part.get(part, np.zeros(0)), dtype=np.int64)
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
        if held is not None and not enters[at]:
            rows = rows[~held[rows]]
        yield at, rows
    if problems:
        raise DataError(problems)


def stand_in(part: str, known: Container[str], newest: Mapping[str, str] | None) -> str:
    """The part, or its last successor where only that one is known."""
    return newest[part] if newest and part not in known and newest.get(part) in known else part


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
    column_name = str(one["column"])
    words = column_name in WORDS
    laid = column.astype(object if words else float)
    laid.iloc[rows] = value_of(one["table"], column_name, one["value"])
    whole = not words and column.dtype.kind == "i" and (laid == laid.round()).all()
    return laid.astype(column.dtype) if words or whole else laid


def value_of(table: str, column: str, value: Any) -> Any:
    """Value of an override as its column holds it.

    Parameters
    ----------
    table, column : str
        An open column.
    value : any
        As given: digits of any width, a code, or another word of the catalog for it (Chinese among them).

    Returns
    -------
    float, str or Fault
        A number or a code; why it cannot be read.
    """
    home = (PLAN_TABLES.get(table) or INPUT_TABLES[table])[column]
    read = parse_column(pd.Series([str(value)]), home)
    if read.faults:
        return read.faults[0]
    found = read.values.iloc[0]
    if pd.isna(found):
        return Fault("is empty", "write a value")
    if column in WORDS:
        return str(found)
    if not home.allows(float(found)):
        return Fault(f"is not {home.bounds}", f"write a value {home.bounds}")
    return float(found)


def scope_words(one: pd.Series) -> str:
    """Scope of an override in words; "everywhere" for an empty one."""
    given = [
        str(one[name].date() if name == "month" else one[name]) for name in SCOPE if not pd.isna(one[name])
    ]
    return ", ".join(given) or "everywhere"
