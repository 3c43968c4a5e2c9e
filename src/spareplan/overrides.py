"""Planners' numbers: laid over the model's at every stage, with who, when and why, and never instead of them.

A value holds for every row its scope reaches; an empty part, site, region or month means all of them. Where two
reach a row the one decided later holds. An override counts up to and including its last day: it is left out once
today is past it, and never reaches a month that begins after it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.maths.distributions import quantile
from spareplan.results import DemandForecast, Headcount, Orders, PartGrades, StockLevels, assumptions_frame

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

SCOPE = ("part_id", "site_id", "region_id", "month")
# What a planner may decide; everything else in the results follows from it.
OPEN_COLUMNS = {
    "parts": ("unit_cost", "lead_time_days", "lead_time_sd_days", "repairable_share", "repair_days", "min_order",
              "pack_size", "expected_life_hours", "criticality", "source"),
    "demand": ("mean", "vmr", "rate_cv2"),
    "grades": ("tier", "criticality", "planner", "target_fill_rate", "target_wait_days"),
    "levels": ("base_stock", "reorder_point", "order_quantity", "planner"),
    "orders": ("quantity", "priority"),
    "crew": ("required", "hire", "train", "transfer_in", "transfer_out"),
}  # fmt: skip
WORDS = ("criticality", "planner", "source")
OVERRIDE_SOURCE = "planner's override"
_WINDOW_NOTE = "vmr and rate_cv2 of the model are kept"


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
    return order.sort_values(["when", "narrow", "text", "by"], kind="stable").drop(columns=["narrow", "text", "by"])


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
    for row, (table, column, value) in enumerate(zip(*(overrides[name] for name in ("table", "column", "value")))):
        line = row + 2
        if table not in OPEN_COLUMNS:
            problems.append(Problem("overrides", line, "table", str(table), "cannot be overridden",
                                    f"use one of: {', '.join(OPEN_COLUMNS)}"))
        elif column not in OPEN_COLUMNS[table]:
            problems.append(Problem("overrides", line, "column", str(column), f"cannot be overridden in {table}",
                                    f"use one of: {', '.join(OPEN_COLUMNS[table])}"))
        elif column not in WORDS and not np.isfinite(_number(value)):
            problems.append(Problem("overrides", line, "value", str(value), "is no number", "write a number"))
        elif column not in WORDS and _number(value) < 0:
            problems.append(Problem("overrides", line, "value", str(value), "is negative", "write 0 or more"))
    if problems:
        raise DataError(problems)


def list_overrides(data: Dataset, as_of: pd.Timestamp, **results: Any) -> pd.DataFrame:
    """Every override with what became of it.

    Parameters
    ----------
    data : Dataset
        Uses overrides, and sites for regions.
    as_of : Timestamp
        Last known day.
    **results : frozen results by table name
        demand, grades, levels, orders, crew: to count the rows that were reached.

    Returns
    -------
    DataFrame
        The override's columns, status (applied, expired, unmatched) and rows (how many it reaches; NaN where the
        result was not given).

    Raises
    ------
    DataError
        An override that no stage could follow.
    """
    out = data.overrides.reset_index(drop=True).copy()
    live = active_overrides(out, as_of)
    reached = pd.Series(np.nan, index=out.index)
    for name in live["table"].unique():
        frame = data.parts if name == "parts" else getattr(results.get(name), "table", None)
        if frame is None:
            continue
        keyed = _keyed(frame, data)
        for at, rows in _reached(keyed, live[live["table"] == name]):
            reached[at] = len(rows)
    out["rows"] = reached
    out["status"] = np.where(out.index.isin(live.index), np.where(reached == 0, "unmatched", "applied"), "expired")
    return out


def apply_to_parts(data: Dataset, as_of: pd.Timestamp) -> Dataset:
    """Lay overrides of part parameters (lead time, unit cost, ...) over the parts.

    Parameters
    ----------
    data : Dataset
    as_of : Timestamp
        Last known day.

    Returns
    -------
    Dataset
        A checked copy; the same object where nothing is overridden.

    Raises
    ------
    DataError
        An override that cannot be followed, or a value the column cannot hold.
    """
    live = active_overrides(data.overrides, as_of, "parts")
    if live.empty:
        return data
    parts = data.parts.reset_index(drop=True)
    for at, rows in _reached(_keyed(parts, data), live):
        one = live.loc[at]
        parts[one["column"]] = _laid(parts[one["column"]], rows, one)
    return data.with_tables(parts=parts)


def apply_to_demand(demand: DemandForecast, data: Dataset, as_of: pd.Timestamp) -> DemandForecast:
    """Lay planners' demand over the forecast; the model's number stays beside it.

    Parameters
    ----------
    demand : DemandForecast
    data : Dataset
        Uses overrides, and sites for regions.
    as_of : Timestamp
        Last known day.

    Returns
    -------
    DemandForecast
        With the columns model_mean and from_override; variance and quantiles follow the new mean, windows move
        by the same pieces, contributions by a row of their own. A part at a site the model does not know gets
        rows where both are named.

    Raises
    ------
    DataError
        An override that cannot be followed.
    """
    live = active_overrides(data.overrides, as_of, "demand")
    table = demand.table.reset_index(drop=True).copy()
    table["model_mean"] = table["mean"]
    table["from_override"] = 0.0
    if live.empty:
        return dataclasses.replace(demand, table=_reason_last(table))
    table = _with_new_pairs(table, live, data)
    windows = _window_rows(demand.windows, table)
    touched = np.zeros(len(table), dtype=bool)
    said = pd.Series("", index=table.index, dtype=object)
    for at, rows in _reached(_keyed(table, data), live):
        if not len(rows):
            continue
        one = live.loc[at]
        value, touched[rows] = _number(one["value"]), True
        table.loc[rows, one["column"]] = value
        model = table["model_mean"].to_numpy()[rows]
        words = pd.Series(model, index=rows).map(" (model {:.3g})".format) if one["column"] == "mean" else ""
        said.iloc[rows] = f"; {one['column']} set to {value:g} by {one['who']}" + words + f": {one['why']}"
        if one["column"] != "mean" and len(windows):
            pairs = pd.MultiIndex.from_frame(table.loc[rows, ["part_id", "site_id"]].drop_duplicates())
            of_pair = pd.MultiIndex.from_frame(windows[["part_id", "site_id"]]).isin(pairs)
            windows.loc[of_pair, one["column"]] = value
    table["from_override"] = table["mean"] - table["model_mean"]
    table["reason"] = table["reason"].astype(object) + said
    table = _spread_again(table, touched, demand.levels)
    changed = table[table["from_override"] != 0]
    extra = changed[["part_id", "site_id", "month"]].assign(source=OVERRIDE_SOURCE, mean=changed["from_override"])
    noted = [{"stage": "overrides", "name": f"demand.{live.loc[at, 'column']}", "value": live.loc[at, "value"],
              "origin": f"set by {live.loc[at, 'who']} on {live.loc[at, 'when']:%Y-%m-%d}",
              "meaning": f"{_scope_words(live.loc[at])}: {live.loc[at, 'why']}; {_WINDOW_NOTE}"} for at in live.index]
    return dataclasses.replace(
        demand, table=_reason_last(table), windows=_moved_windows(windows, changed, demand.as_of),
        contributions=pd.concat([demand.contributions, extra], ignore_index=True),
        assumptions=pd.concat([demand.assumptions, assumptions_frame(noted)], ignore_index=True),
    )


def apply_to_grades(grades: PartGrades, data: Dataset, as_of: pd.Timestamp) -> PartGrades:
    """Lay planners' tiers, planners and targets over the grades (arguments and errors as in `apply_to_demand`)."""
    return _apply(grades, "grades", data, as_of)


def apply_to_levels(levels: StockLevels, data: Dataset, as_of: pd.Timestamp) -> StockLevels:
    """Say who set a base stock, and lay reorder points and order quantities over the levels.

    Base stock itself enters the optimisation through `fixed_levels`, so that the rest is planned around it.
    (Arguments and errors as in `apply_to_demand`.)
    """
    return _apply(levels, "levels", data, as_of)


def apply_to_orders(orders: Orders, data: Dataset, as_of: pd.Timestamp) -> Orders:
    """Lay planners' quantities and priorities over the orders to a site (as `apply_to_demand`); month: of the week."""
    laid = _apply(orders, "orders", data, as_of)
    if laid is not orders and len(laid.table):
        price = laid.table["part_id"].map(data.parts.set_index("part_id")["unit_cost"])
        laid.table["value"] = laid.table["quantity"] * price
    return laid


def apply_to_crew(crew: Headcount, data: Dataset, as_of: pd.Timestamp) -> Headcount:
    """Lay planners' head counts over the requirement; the gap follows (as `apply_to_demand`)."""
    laid = _apply(crew, "crew", data, as_of)
    if laid is not crew:
        laid.table["gap"] = laid.table["required"] - laid.table["headcount"]
    return laid


def fixed_levels(data: Dataset, as_of: pd.Timestamp) -> pd.DataFrame:
    """Base stocks that planners have set, for `optimize_levels(fixed=...)`.

    Parameters
    ----------
    data : Dataset
        Uses overrides, parts and sites.
    as_of : Timestamp
        Last known day.

    Returns
    -------
    DataFrame
        part_id, site_id, base_stock [pieces], reason; a row per pair, sorted.

    Raises
    ------
    DataError
        An override that cannot be followed.
    """
    live = active_overrides(data.overrides, as_of, "levels")
    live = live[live["column"] == "base_stock"]
    parts, sites = data.parts["part_id"], pd.Index(data.network.site_ids)
    region = data.network.region
    found = []
    for one in live.to_dict("records"):
        of_part = parts if pd.isna(one["part_id"]) else parts[parts == one["part_id"]]
        at = sites if pd.isna(one["site_id"]) else sites[sites == one["site_id"]]
        if not pd.isna(one["region_id"]):
            at = at[(region[at] == one["region_id"]).fillna(False).to_numpy(dtype=bool)]
        pairs = pd.MultiIndex.from_product([of_part, at], names=["part_id", "site_id"]).to_frame(index=False)
        found.append(pairs.assign(base_stock=_number(one["value"]),
                                  reason=f"base stock set to {one['value']} by {one['who']}: {one['why']}"))
    if not found:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in
                             (("part_id", object), ("site_id", object), ("base_stock", float), ("reason", object))})
    every = pd.concat(found, ignore_index=True).drop_duplicates(["part_id", "site_id"], keep="last")
    return every.sort_values(["part_id", "site_id"]).reset_index(drop=True)


def _apply(result: Any, name: str, data: Dataset, as_of: pd.Timestamp) -> Any:
    """Lay the overrides of one table over a result; each changed column keeps the model's beside it."""
    live = active_overrides(data.overrides, as_of, name)
    if live.empty:
        return result
    table = result.table.reset_index(drop=True).copy()
    said = pd.Series("", index=table.index, dtype=object)
    for at, rows in _reached(_keyed(table, data), live):
        one = live.loc[at]
        column = one["column"]
        if f"model_{column}" not in table:
            table[f"model_{column}"] = table[column]
        table[column] = _laid(table[column], rows, one)
        said.iloc[rows] = f"; {column} set to {one['value']} by {one['who']}: {one['why']}"
    table["reason"] = table["reason"].astype(object) + said
    noted = [{"stage": "overrides", "name": f"{name}.{live.loc[at, 'column']}", "value": live.loc[at, "value"],
              "origin": f"set by {live.loc[at, 'who']} on {live.loc[at, 'when']:%Y-%m-%d}",
              "meaning": f"{_scope_words(live.loc[at])}: {live.loc[at, 'why']}"} for at in live.index]
    assumed = pd.concat([result.assumptions, assumptions_frame(noted)], ignore_index=True)
    return dataclasses.replace(result, table=_reason_last(table), assumptions=assumed)


def _keyed(table: pd.DataFrame, data: Dataset) -> pd.DataFrame:
    """The scope columns of a table: site of an order is the receiver, month of a week that of its Monday."""
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


def _reached(keys: pd.DataFrame, live: pd.DataFrame) -> Iterator[tuple[Any, np.ndarray]]:
    """For each override the positions of the rows in its scope."""
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
                problems.append(Problem("overrides", int(str(at)) + 2, name, str(one[name]),
                                        f"{one['table']} knows no {name}", "leave it empty"))
                continue
            rows = rows[(keys[name].iloc[rows] == one[name]).fillna(False).to_numpy(dtype=bool)]
        if "month" in keys and not pd.isna(one["expires_on"]):
            rows = rows[(keys["month"].iloc[rows] <= one["expires_on"]).to_numpy()]
        yield at, rows
    if problems:
        raise DataError(problems)


def _laid(column: pd.Series, rows: np.ndarray, one: pd.Series) -> pd.Series:
    """A column with the override's value in some rows."""
    words = one["column"] in WORDS
    laid = column.astype(object if words else float)
    laid.iloc[rows] = str(one["value"]) if words else _number(one["value"])
    whole = not words and column.dtype.kind == "i" and (laid == laid.round()).all()
    return laid.astype(column.dtype) if words or whole else laid


def _with_new_pairs(table: pd.DataFrame, live: pd.DataFrame, data: Dataset) -> pd.DataFrame:
    """Add rows for a part at a site, both named, that the model does not know."""
    named = live[(live["column"] == "mean") & live["part_id"].notna() & live["site_id"].notna()]
    asked = pd.MultiIndex.from_frame(named[["part_id", "site_id"]]).unique()
    new = asked.difference(pd.MultiIndex.from_frame(table[["part_id", "site_id"]]))
    known = new.get_level_values(0).isin(data.parts["part_id"]) & new.get_level_values(1).isin(data.network.site_ids)
    new = new[known]
    if not len(new) or table.empty:
        return table
    months = pd.Index(sorted(table["month"].unique()), name="month")
    rows = new.to_frame(index=False, name=["part_id", "site_id"]).merge(months.to_frame(index=False), how="cross")
    numbers = [str(name) for name in table if name not in (*SCOPE, "reason", "method")]
    rows[numbers] = 0.0
    rows["vmr"] = 1.0
    if "method" in table:
        rows["method"] = "override"
    rows["reason"] = "the model expects nothing here"
    return pd.concat([table, rows[list(table.columns)]], ignore_index=True)


def _spread_again(table: pd.DataFrame, touched: np.ndarray, levels: list[float]) -> pd.DataFrame:
    """Variance and quantiles of the rows that were changed."""
    mean, vmr, cv2 = (table[name].to_numpy(dtype=float)[touched] for name in ("mean", "vmr", "rate_cv2"))
    variance = vmr * mean + cv2 * mean**2
    table.loc[touched, "variance"] = variance
    for level in levels:
        table.loc[touched, f"q{level:g}"] = quantile(np.full(len(mean), level), mean, variance)
    return table.sort_values(["part_id", "site_id", "month"], kind="stable").reset_index(drop=True)


def _window_rows(windows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Windows of all pairs of the table; new pairs start from nothing."""
    if windows.empty:
        return windows
    have = pd.MultiIndex.from_frame(windows[["part_id", "site_id"]])
    pairs = table[["part_id", "site_id"]].drop_duplicates()
    new = pairs[~pd.MultiIndex.from_frame(pairs).isin(have)]
    grid = pd.DataFrame({"days": np.sort(windows["days"].unique())})
    rows = new.merge(grid, how="cross").assign(mean=0.0, vmr=1.0, rate_cv2=0.0)
    return pd.concat([windows, rows[list(windows.columns)]], ignore_index=True) if len(rows) else windows.copy()


def _moved_windows(windows: pd.DataFrame, changed: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Windows moved by the pieces the overrides add in their days, spread evenly over each month."""
    if windows.empty or changed.empty:
        return windows
    begins = (changed["month"] - as_of.normalize()).dt.days.to_numpy(dtype=float) - 1
    length = changed["month"].dt.days_in_month.to_numpy(dtype=float)
    steps = changed[["part_id", "site_id"]].assign(begins=begins, length=length, pieces=changed["from_override"])
    keys = ["part_id", "site_id"]
    hit = windows.reset_index(names="place")[["place", *keys, "days"]].merge(steps, on=keys)
    # A forecast that starts inside a month has only the rest of it ahead.
    start = np.maximum(hit["begins"], 0.0)
    left = hit["length"] - (start - hit["begins"])
    share = np.clip((hit["days"] - start) / left, 0.0, 1.0)
    moved = (hit["pieces"] * share).groupby(hit["place"]).sum()
    out = windows.reset_index(drop=True)
    out["mean"] = np.maximum(out["mean"].add(moved, fill_value=0.0), 0.0)
    return out


def _scope_words(one: pd.Series) -> str:
    given = [str(one[name].date() if name == "month" else one[name]) for name in SCOPE if not pd.isna(one[name])]
    return ", ".join(given) or "everywhere"


def _reason_last(table: pd.DataFrame) -> pd.DataFrame:
    return table[[name for name in table if name != "reason"] + ["reason"]] if "reason" in table else table


def _number(value: Any) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")
