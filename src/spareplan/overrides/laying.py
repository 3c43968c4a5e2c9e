"""Planners' numbers: laid over the model's at every stage, with who, when and why, and never instead of them.

A value holds for every row its scope reaches; an empty part, site, region or month means all of them. Where
two reach a row the one decided later holds. An override counts up to and including its last day: it is left
out once today is past it, and never reaches a month that begins after it. What was issued for the frozen
horizon moves only by what was decided after the issued plan was made.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.results import DemandForecast, Headcount, Orders, PartGrades, StockLevels, assumptions_frame
from spareplan.tables.horizon import FrozenHorizon
from spareplan.tables.schema import TEXT
from spareplan.tables.scopes import (
    OPEN_COLUMNS,
    active_overrides,
    keyed,
    laid,
    reached,
    scope_words,
    stand_in,
    value_of,
)
from spareplan.tables.shifts import PAIR, reason_last, shifted, window_rows, with_pairs
from spareplan.tables.supersession import newest_parts

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

OVERRIDE_SOURCE = "planner's override"
BOUNDS = ("base_stock_at_least", "base_stock_at_most")
_WINDOW_NOTE = "vmr and rate_cv2 of the model are kept"


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


def beside_given(parts: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """Parts with what was given as model_<column> beside every column that a planner changed.

    Parameters
    ----------
    parts : DataFrame
        As planned with.
    given : DataFrame
        As they were before overrides.

    Returns
    -------
    DataFrame
    """
    if parts is given:
        return parts
    before = given.set_index("part_id").reindex(parts["part_id"])
    out = parts.copy()
    for name in OPEN_COLUMNS["parts"]:
        if name in out and not out[name].equals(before[name].set_axis(out.index)):
            out[f"model_{name}"] = before[name].to_numpy()
    return out


def apply_to_demand(
    demand: DemandForecast, data: Dataset, as_of: pd.Timestamp, horizon: FrozenHorizon | None = None
) -> DemandForecast:
    """Lay planners' demand over the forecast; the model's number stays beside it.

    Parameters
    ----------
    demand : DemandForecast
    data : Dataset
        Uses overrides, parts for successors, and sites for regions.
    as_of : Timestamp
        Last known day.
    horizon : FrozenHorizon, optional
        Months inside it move only by what was decided after the issued plan.

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
    if "model_mean" not in table:
        table["model_mean"] = table["mean"]
    table["from_override"] = 0.0
    if live.empty:
        return dataclasses.replace(demand, table=reason_last(table))
    newest = newest_parts(data.parts)
    table = with_pairs(table, _named_pairs(live, table, newest, data), "override")
    windows = window_rows(demand.windows, table)
    before = table["mean"].copy()
    touched = np.zeros(len(table), dtype=bool)
    said = pd.Series("", index=table.index, dtype=object)
    for at, rows in reached(keyed(table, data), live, newest, horizon):
        if not len(rows):
            continue
        one = live.loc[at]
        value, touched[rows] = value_of("demand", one["column"], one["value"]), True
        table.loc[rows, one["column"]] = value
        model = table["model_mean"].to_numpy()[rows]
        words = pd.Series(model, index=rows).map(" (model {:.3g})".format) if one["column"] == "mean" else ""
        said.iloc[rows] = f"; {one['column']} set to {value:g} by {one['who']}" + words + f": {one['why']}"
        if one["column"] != "mean" and len(windows):
            pairs = pd.MultiIndex.from_frame(table.loc[rows, PAIR].drop_duplicates())
            of_pair = pd.MultiIndex.from_frame(windows[PAIR]).isin(pairs)
            windows.loc[of_pair, one["column"]] = value
    table["from_override"] = table["mean"] - before
    table["reason"] = (table["reason"].astype(object) + said).astype(TEXT)
    result = shifted(demand, table, touched, table["from_override"], OVERRIDE_SOURCE, windows)
    noted = _noted("demand", live, f"; {_WINDOW_NOTE}")
    return dataclasses.replace(
        result, assumptions=pd.concat([demand.assumptions, assumptions_frame(noted)], ignore_index=True)
    )


def apply_to_grades(grades: PartGrades, data: Dataset, as_of: pd.Timestamp) -> PartGrades:
    """Lay planners' tiers, planners and targets over the grades.

    Arguments and errors as in `apply_to_demand`; each changed column keeps the model's as model_<column>.
    """
    return _apply(grades, "grades", data, as_of)


def apply_to_levels(levels: StockLevels, data: Dataset, as_of: pd.Timestamp) -> StockLevels:
    """Say who set a base stock, and lay reorder points and order quantities over the levels.

    Parameters
    ----------
    levels : StockLevels
        Base stocks of planners are in it already: they enter the optimisation through `fixed_levels`, so that
        the rest is planned around them, and the model's own stand beside them as model_base_stock.
    data, as_of
        As in `apply_to_demand`.

    Returns
    -------
    StockLevels
        What planners' base stocks tie up beside the model's is said in the assumptions.

    Raises
    ------
    DataError
        An override that cannot be followed.
    """
    if "model_base_stock" not in levels.table:
        return _apply(levels, "levels", data, as_of)
    table = levels.table
    cost = table["part_id"].map(data.parts.set_index("part_id")["unit_cost"])
    more = ((table["base_stock"] - table["model_base_stock"]) * cost).sum()
    noted = assumptions_frame(
        [
            {
                "stage": "overrides",
                "name": "levels set by planners tie up",
                "value": round(float(more), 2),
                "unit": "money",
                "origin": "computed",
                "meaning": "more than what the model would hold there at the shadow prices of this plan",
            }
        ]
    )
    assumed = pd.concat([levels.assumptions, noted], ignore_index=True)
    return _apply(
        dataclasses.replace(levels, table=reason_last(table), assumptions=assumed), "levels", data, as_of
    )


def apply_to_orders(
    orders: Orders, data: Dataset, as_of: pd.Timestamp, horizon: FrozenHorizon | None = None
) -> Orders:
    """Lay planners' quantities and priorities over the orders to a site (as `apply_to_demand`).

    The site is the receiver, the month that of the week's Monday.
    """
    changed = _apply(orders, "orders", data, as_of, horizon)
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


def fixed_levels(data: Dataset, as_of: pd.Timestamp, known_parts: pd.Series | None = None) -> pd.DataFrame:
    """Base stocks that planners have set, for `optimize_levels(fixed=...)`.

    Parameters
    ----------
    data : Dataset
        Uses overrides, parts and sites.
    as_of : Timestamp
        Last known day.
    known_parts : Series, optional
        part_ids that are planned: a superseded part that is not gives its level to its successor.

    Returns
    -------
    DataFrame
        part_id, site_id, base_stock [pieces], reason, and override: which one it comes from; a row per pair,
        sorted.

    Raises
    ------
    DataError
        An override that cannot be followed.
    """
    return _wished(data, as_of, known_parts, "base_stock").rename(columns={"value": "base_stock"})


def level_bounds(data: Dataset, as_of: pd.Timestamp, known_parts: pd.Series | None = None) -> pd.DataFrame:
    """Floors and ceilings that planners have set, for `optimize_levels(bounds=...)`.

    Parameters
    ----------
    data, as_of, known_parts
        As in `fixed_levels`.

    Returns
    -------
    DataFrame
        part_id, site_id, at_least, at_most (empty: none) [pieces], and override: which one decided last; a
        row per pair, sorted.

    Raises
    ------
    DataError
        An override that cannot be followed, or a floor above a ceiling.
    """
    low = _wished(data, as_of, known_parts, "base_stock_at_least").set_index(PAIR)
    high = _wished(data, as_of, known_parts, "base_stock_at_most").set_index(PAIR)
    both = pd.concat(
        [low["value"].rename("at_least"), high["value"].rename("at_most")], axis=1, join="outer"
    ).astype(float)
    place = pd.concat([low["override"], high["override"]], axis=1).max(axis=1)
    out = both.assign(override=place.reindex(both.index)).reset_index()
    crossed = out[out["at_least"] > out["at_most"]]
    if len(crossed):
        raise DataError(
            [
                Problem(
                    "overrides",
                    int(row["override"]) + 2,
                    "value",
                    f"{row['at_least']:g}",
                    f"asks for at least {row['at_least']:g} of {row['part_id']} at {row['site_id']}, "
                    f"another for at most {row['at_most']:g}",
                    "withdraw one of the two",
                )
                for row in crossed.to_dict("records")
            ]
        )
    return out.sort_values(PAIR).reset_index(drop=True)


def _wished(data: Dataset, as_of: pd.Timestamp, known_parts: pd.Series | None, column: str) -> pd.DataFrame:
    """What planners wish in one column of the levels, a row per pair; the latest decision holds."""
    live = active_overrides(data.overrides, as_of, "levels")
    live = live[live["column"] == column]
    newest = newest_parts(data.parts)
    planned = set(data.parts["part_id"] if known_parts is None else known_parts)
    parts, sites = data.parts["part_id"], pd.Index(data.network.site_ids)
    region = data.network.region
    found = [pd.DataFrame({name: [] for name in (*PAIR, "value", "reason", "override")})]
    for at, one in live.iterrows():
        part = one["part_id"]
        of_part = parts if pd.isna(part) else parts[parts == stand_in(part, planned, newest)]
        sites_there = sites if pd.isna(one["site_id"]) else sites[sites == one["site_id"]]
        if not pd.isna(one["region_id"]):
            own = (region[sites_there] == one["region_id"]).fillna(False).to_numpy(dtype=bool)
            sites_there = sites_there[own]
        pairs = pd.MultiIndex.from_product([of_part, sites_there], names=PAIR).to_frame(index=False)
        why = f"{column.replace('_', ' ')} set to {one['value']} by {one['who']}: {one['why']}"
        value = value_of("levels", column, one["value"])
        found.append(pairs.assign(value=value, reason=why, override=pd.Series(at, index=pairs.index)))
    every = pd.concat(found[1:] or found, ignore_index=True).drop_duplicates(PAIR, keep="last")
    return every.sort_values(PAIR).reset_index(drop=True)


def _apply(
    result: Any, name: str, data: Dataset, as_of: pd.Timestamp, horizon: FrozenHorizon | None = None
) -> Any:
    """Lay the overrides of one table over a result; each changed column keeps the model's beside it."""
    live = active_overrides(data.overrides, as_of, name)
    if live.empty:
        return result
    table = result.table.reset_index(drop=True).copy()
    said = pd.Series("", index=table.index, dtype=object)
    for at, rows in reached(keyed(table, data), live, newest_parts(data.parts), horizon):
        one = live.loc[at]
        column = one["column"]
        # The model has no floors and ceilings of its own; they stand against its own base stock.
        own = "model_base_stock" if column in BOUNDS else f"model_{column}"
        if own not in table:
            table[own] = table[own.removeprefix("model_")]
        if not len(rows):
            continue
        if column in BOUNDS and column not in table:
            table[column] = np.nan
        table[column] = laid(table[column], rows, one)
        model = table[own].iloc[rows].map(_shown).astype(object)
        said.iloc[rows] = (
            f"; {column} set to {one['value']} by {one['who']} (model " + model + f"): {one['why']}"
        )
    table["reason"] = (table["reason"].astype(object) + said).astype(TEXT)
    assumed = pd.concat([result.assumptions, assumptions_frame(_noted(name, live))], ignore_index=True)
    return dataclasses.replace(result, table=reason_last(table), assumptions=assumed)


def _noted(name: str, live: pd.DataFrame, more: str = "") -> list[dict[str, Any]]:
    """Rows of an assumptions table for the overrides of one table."""
    return [
        {
            "stage": "overrides",
            "name": f"{name}.{one['column']}",
            "value": one["value"],
            "origin": f"set by {one['who']} on {one['when']:%Y-%m-%d}",
            "meaning": f"{scope_words(one)}: {one['why']}{more}",
        }
        for _, one in live.iterrows()
    ]


def _named_pairs(
    live: pd.DataFrame, table: pd.DataFrame, newest: dict[str, str], data: Dataset
) -> pd.MultiIndex:
    """Parts at sites that overrides of the mean name both; successors stand in."""
    named = live[(live["column"] == "mean") & live["part_id"].notna() & live["site_id"].notna()]
    planned = set(table["part_id"].unique())
    part = [stand_in(one, planned, newest) for one in named["part_id"]]
    pairs = pd.DataFrame({"part_id": part, "site_id": named["site_id"].to_numpy()})
    known = pairs["part_id"].isin(data.parts["part_id"]) & pairs["site_id"].isin(data.network.site_ids)
    return pd.MultiIndex.from_frame(pairs[known])


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float, np.number)) else str(value)
