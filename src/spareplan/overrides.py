"""Planners' numbers: laid over the model's at every stage, with who, when and why, and never instead of them.

A value holds for every row its scope reaches; an empty part, site, region or month means all of them. Where
two reach a row the one decided later holds. An override counts up to and including its last day: it is left
out once today is past it, and never reaches a month that begins after it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.maths.distributions import quantile
from spareplan.results import DemandForecast, Headcount, Orders, PartGrades, StockLevels, assumptions_frame
from spareplan.tables.schema import TEXT
from spareplan.tables.scopes import SCOPE, active_overrides, keyed, laid, number, reached, scope_words

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

OVERRIDE_SOURCE = "planner's override"
_WINDOW_NOTE = "vmr and rate_cv2 of the model are kept"


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
        The override's columns, status (applied, expired, unmatched) and rows (how many it reaches; NaN where
        the result was not given).

    Raises
    ------
    DataError
        An override that no stage could follow.
    """
    out = data.overrides.reset_index(drop=True).copy()
    live = active_overrides(out, as_of)
    count = pd.Series(np.nan, index=out.index)
    for name in live["table"].unique():
        frame = data.parts if name == "parts" else getattr(results.get(name), "table", None)
        if frame is None:
            continue
        for at, rows in reached(keyed(frame, data), live[live["table"] == name]):
            count[at] = len(rows)
    out["rows"] = count
    out["status"] = np.where(
        out.index.isin(live.index), np.where(count == 0, "unmatched", "applied"), "expired"
    )
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
    for at, rows in reached(keyed(parts, data), live):
        one = live.loc[at]
        parts[one["column"]] = laid(parts[one["column"]], rows, one)
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
        With the columns model_mean and from_override; variance and quantiles follow the new mean, windows
        move by the same pieces, contributions by a row of their own. A part at a site the model does not know
        gets rows where both are named.

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
    for at, rows in reached(keyed(table, data), live):
        if not len(rows):
            continue
        one = live.loc[at]
        value, touched[rows] = number(one["value"]), True
        table.loc[rows, one["column"]] = value
        model = table["model_mean"].to_numpy()[rows]
        words = pd.Series(model, index=rows).map(" (model {:.3g})".format) if one["column"] == "mean" else ""
        said.iloc[rows] = f"; {one['column']} set to {value:g} by {one['who']}" + words + f": {one['why']}"
        if one["column"] != "mean" and len(windows):
            pairs = pd.MultiIndex.from_frame(table.loc[rows, ["part_id", "site_id"]].drop_duplicates())
            of_pair = pd.MultiIndex.from_frame(windows[["part_id", "site_id"]]).isin(pairs)
            windows.loc[of_pair, one["column"]] = value
    table["from_override"] = table["mean"] - table["model_mean"]
    table["reason"] = (table["reason"].astype(object) + said).astype(TEXT)
    table = _spread_again(table, touched, demand.levels)
    changed = table[table["from_override"] != 0]
    extra = changed[["part_id", "site_id", "month"]].assign(
        source=OVERRIDE_SOURCE, mean=changed["from_override"]
    )
    noted = [
        {
            "stage": "overrides",
            "name": f"demand.{live.loc[at, 'column']}",
            "value": live.loc[at, "value"],
            "origin": f"set by {live.loc[at, 'who']} on {live.loc[at, 'when']:%Y-%m-%d}",
            "meaning": f"{scope_words(live.loc[at])}: {live.loc[at, 'why']}; {_WINDOW_NOTE}",
        }
        for at in live.index
    ]
    return dataclasses.replace(
        demand,
        table=_reason_last(table),
        windows=_moved_windows(windows, changed, demand.as_of),
        contributions=pd.concat([demand.contributions, extra], ignore_index=True),
        assumptions=pd.concat([demand.assumptions, assumptions_frame(noted)], ignore_index=True),
    )


def apply_to_grades(grades: PartGrades, data: Dataset, as_of: pd.Timestamp) -> PartGrades:
    """Lay planners' tiers, planners and targets over the grades.

    Arguments and errors as in `apply_to_demand`; each changed column keeps the model's as model_<column>.
    """
    return _apply(grades, "grades", data, as_of)


def apply_to_levels(levels: StockLevels, data: Dataset, as_of: pd.Timestamp) -> StockLevels:
    """Say who set a base stock, and lay reorder points and order quantities over the levels.

    Base stock itself enters the optimisation through `fixed_levels`, so that the rest is planned around it.
    (Arguments and errors as in `apply_to_grades`.)
    """
    return _apply(levels, "levels", data, as_of)


def apply_to_orders(orders: Orders, data: Dataset, as_of: pd.Timestamp) -> Orders:
    """Lay planners' quantities and priorities over the orders to a site (as `apply_to_grades`).

    The site is the receiver, the month that of the week's Monday.
    """
    changed = _apply(orders, "orders", data, as_of)
    if changed is not orders and len(changed.table):
        price = changed.table["part_id"].map(data.parts.set_index("part_id")["unit_cost"])
        changed.table["value"] = changed.table["quantity"] * price
    return changed


def apply_to_crew(crew: Headcount, data: Dataset, as_of: pd.Timestamp) -> Headcount:
    """Lay planners' head counts over the requirement; the gap follows (as `apply_to_grades`)."""
    changed = _apply(crew, "crew", data, as_of)
    if changed is not crew:
        changed.table["gap"] = changed.table["required"] - changed.table["headcount"]
    return changed


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
        found.append(
            pairs.assign(
                base_stock=number(one["value"]),
                reason=f"base stock set to {one['value']} by {one['who']}: {one['why']}",
            )
        )
    if not found:
        return pd.DataFrame(
            {
                name: pd.Series(dtype=kind)
                for name, kind in (
                    ("part_id", object),
                    ("site_id", object),
                    ("base_stock", float),
                    ("reason", object),
                )
            }
        )
    every = pd.concat(found, ignore_index=True).drop_duplicates(["part_id", "site_id"], keep="last")
    return every.sort_values(["part_id", "site_id"]).reset_index(drop=True)


def _apply(result: Any, name: str, data: Dataset, as_of: pd.Timestamp) -> Any:
    """Lay the overrides of one table over a result; each changed column keeps the model's beside it."""
    live = active_overrides(data.overrides, as_of, name)
    if live.empty:
        return result
    table = result.table.reset_index(drop=True).copy()
    said = pd.Series("", index=table.index, dtype=object)
    for at, rows in reached(keyed(table, data), live):
        one = live.loc[at]
        column = one["column"]
        if f"model_{column}" not in table:
            table[f"model_{column}"] = table[column]
        table[column] = laid(table[column], rows, one)
        said.iloc[rows] = f"; {column} set to {one['value']} by {one['who']}: {one['why']}"
    table["reason"] = (table["reason"].astype(object) + said).astype(TEXT)
    noted = [
        {
            "stage": "overrides",
            "name": f"{name}.{live.loc[at, 'column']}",
            "value": live.loc[at, "value"],
            "origin": f"set by {live.loc[at, 'who']} on {live.loc[at, 'when']:%Y-%m-%d}",
            "meaning": f"{scope_words(live.loc[at])}: {live.loc[at, 'why']}",
        }
        for at in live.index
    ]
    assumed = pd.concat([result.assumptions, assumptions_frame(noted)], ignore_index=True)
    return dataclasses.replace(result, table=_reason_last(table), assumptions=assumed)


def _with_new_pairs(table: pd.DataFrame, live: pd.DataFrame, data: Dataset) -> pd.DataFrame:
    """Add rows for a part at a site, both named, that the model does not know."""
    named = live[(live["column"] == "mean") & live["part_id"].notna() & live["site_id"].notna()]
    asked = pd.MultiIndex.from_frame(named[["part_id", "site_id"]]).unique()
    new = asked.difference(pd.MultiIndex.from_frame(table[["part_id", "site_id"]]))
    known = new.get_level_values(0).isin(data.parts["part_id"]) & new.get_level_values(1).isin(
        data.network.site_ids
    )
    new = new[known]
    if not len(new) or table.empty:
        return table
    months = pd.Index(sorted(table["month"].unique()), name="month")
    rows = new.to_frame(index=False, name=["part_id", "site_id"]).merge(
        months.to_frame(index=False), how="cross"
    )
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
    return (
        pd.concat([windows, rows[list(windows.columns)]], ignore_index=True) if len(rows) else windows.copy()
    )


def _moved_windows(windows: pd.DataFrame, changed: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Windows moved by the pieces the overrides add in their days, spread evenly over each month."""
    if windows.empty or changed.empty:
        return windows
    begins = (changed["month"] - as_of.normalize()).dt.days.to_numpy(dtype=float) - 1
    length = changed["month"].dt.days_in_month.to_numpy(dtype=float)
    steps = changed[["part_id", "site_id"]].assign(
        begins=begins, length=length, pieces=changed["from_override"]
    )
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


def _reason_last(table: pd.DataFrame) -> pd.DataFrame:
    return table[[name for name in table if name != "reason"] + ["reason"]] if "reason" in table else table
