"""The frozen horizon in a run: what the plan before published for the coming weeks stays.

Orders of the frozen weeks and months that lie wholly within keep the issued numbers, with the model's new
ones beside them; new base stocks come into force after it. Emergencies may be added. Nothing else changes in
it unless a planner decides so after the plan before was made.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_WEEK
from spareplan.results import DemandForecast, Plan, StockLevels, assumptions_frame
from spareplan.tables.horizon import FrozenHorizon
from spareplan.tables.schema import STAMP, TEXT
from spareplan.tables.scopes import active_overrides, decision_keys, joined_text, keyed, may_enter, reached
from spareplan.tables.shifts import CELL, PAIR, reason_last, shifted, with_pairs
from spareplan.tables.supersession import newest_parts

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

FROZEN_SOURCE = "issued number kept"
LANE = ["part_id", "from_site_id", "to_site_id"]


def frozen_horizon(previous: Plan | None, as_of: pd.Timestamp, weeks: int, most: int) -> FrozenHorizon | None:
    """Weeks of a new run in which the plan before still rules.

    Parameters
    ----------
    previous : Plan, optional
    as_of : Timestamp
        Last known day of the new run.
    weeks : int
        Frozen weeks asked for. [weeks]
    most : int
        Weeks for which the new run plans orders. [weeks]

    Returns
    -------
    FrozenHorizon or None
        None where nothing is frozen. Orders are frozen only as far as the plan before has any.

    Raises
    ------
    DataError
        The plan before knows days that the new run does not.
    """
    if previous is None:
        return None
    if previous.as_of > as_of:
        raise problem_in_argument(
            "make_plan",
            "previous",
            f"{previous.as_of:%Y-%m-%d}",
            f"is a plan of a later day than {as_of:%Y-%m-%d}",
            "give an earlier plan or none, or newer data",
        )
    if weeks <= 0:
        return None
    first = _monday_after(as_of)
    planned = _monday_after(previous.as_of) + pd.Timedelta(days=DAYS_PER_WEEK * previous.config.weeks)
    ordered = max(min(weeks, most, (planned - first).days // DAYS_PER_WEEK), 0)
    told = previous.inputs.get("overrides", pd.DataFrame())
    known = frozenset(decision_keys(told)) if len(told) else frozenset()
    return FrozenHorizon(first, weeks, ordered, previous.as_of, previous.version, known)


def keep_months(
    demand: DemandForecast, previous: Plan, horizon: FrozenHorizon, data: Dataset, as_of: pd.Timestamp
) -> DemandForecast:
    """Keep the published means of months inside the horizon.

    Parameters
    ----------
    demand : DemandForecast
        The model's, corrections included.
    previous : Plan
    horizon : FrozenHorizon
    data : Dataset
        Uses overrides: what those of the plan before added is left to them while they count.
    as_of : Timestamp
        Last known day.

    Returns
    -------
    DemandForecast
        With model_mean (the model's number), issued_mean and from_frozen (issued less model); variance,
        quantiles, windows and contributions follow the issued means.
    """
    issued = previous.demand.table
    inside = horizon.holds_months(issued["month"]) & issued["month"].isin(demand.table["month"]).to_numpy()
    issued = issued[inside].reset_index(drop=True)
    live = active_overrides(data.overrides, as_of, "demand")
    live = live[decision_keys(live).isin(horizon.known)]
    again = [rows for _, rows in reached(keyed(issued, data), live, newest_parts(data.parts))]
    left = issued["mean"].copy()
    if again and "model_mean" in issued:
        rows = np.unique(np.concatenate(again))
        own = issued["model_mean"] if "issued_mean" not in issued else issued["issued_mean"]
        left.iloc[rows] = own.fillna(issued["model_mean"]).iloc[rows]
    issued = issued[CELL].assign(issued=left)
    if issued.empty:
        return demand
    asked = issued[issued["issued"] > 0]
    table = with_pairs(demand.table.reset_index(drop=True), pd.MultiIndex.from_frame(asked[PAIR]), "issued")
    table["model_mean"] = table["mean"]
    table = table.merge(issued, on=CELL, how="left", validate="1:1")
    kept = table["issued"].notna().to_numpy()
    table["mean"] = table["issued"].where(kept, table["mean"])
    table["from_frozen"] = table["mean"] - table["model_mean"]
    moved = kept & (table["from_frozen"].abs() > 1e-12).to_numpy()
    said = f"; kept as issued ({horizon.words}), the model now says " + table["model_mean"].map(
        "{:.3g}".format
    )
    said = said.where(moved, f"; as issued ({horizon.words})").where(kept, "")
    table["reason"] = (table["reason"].astype(object) + said).astype(TEXT)
    table = table.rename(columns={"issued": "issued_mean"})
    shift = shifted(demand, table, moved, table["from_frozen"], FROZEN_SOURCE)
    months_kept = sorted(table.loc[kept, "month"].unique())
    noted = {
        "stage": "frozen horizon",
        "name": "months kept",
        "value": ", ".join(f"{month:%Y-%m}" for month in months_kept),
        "origin": horizon.words,
        "meaning": f"published numbers stay until {horizon.until:%Y-%m-%d}; the model's stand in model_mean",
    }
    return dataclasses.replace(
        shift, assumptions=pd.concat([demand.assumptions, assumptions_frame([noted])], ignore_index=True)
    )


@dataclass(frozen=True)
class Held:
    """What the plan before holds fast in the frozen weeks.

    Parameters
    ----------
    orders : DataFrame
        Its orders that stay, with issued_on.
    at_once : DataFrame
        part_id, site_id: levels that planners decided since.
    released : DataFrame
        part_id, site_id: their shelves and those that supply them, which order anew.
    noted : list of dict
        Rows of an assumptions table.
    """

    orders: pd.DataFrame
    at_once: pd.DataFrame
    released: pd.DataFrame
    noted: list[dict[str, Any]]


def hold(previous: Plan, data: Dataset, horizon: FrozenHorizon, fixed: pd.DataFrame) -> Held:
    """Collect what stays in the frozen weeks.

    Parameters
    ----------
    previous : Plan
    data : Dataset
    horizon : FrozenHorizon
    fixed : DataFrame
        part_id, site_id, override (its place among the data's): base stocks, floors and ceilings that
        planners have set.

    Returns
    -------
    Held
    """
    orders, noted = orders_to_keep(previous, data, horizon)
    told = data.overrides.reset_index(drop=True)
    late = may_enter(told, horizon) & ~decision_keys(told).isin(horizon.known)
    at_once = fixed.loc[fixed["override"].isin(told.index[late]), PAIR].drop_duplicates()
    ways = {site: data.network.path_to_hq(site) for site in at_once["site_id"].unique()}
    released = at_once.assign(site_id=at_once["site_id"].map(ways)).explode("site_id").drop_duplicates()
    return Held(orders, at_once, released, noted)


def orders_to_keep(
    previous: Plan, data: Dataset, horizon: FrozenHorizon
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Issued orders of the frozen weeks that have not been placed yet.

    Pieces in open_orders that the plan before did not know count for its orders of the same way: first for
    those of weeks that are over and are not due yet, then for the frozen ones, the earliest first.

    Parameters
    ----------
    previous : Plan
    data : Dataset
        Uses open_orders, parts, sites.
    horizon : FrozenHorizon

    Returns
    -------
    orders : DataFrame
        Rows of the order table of the plan before, with issued_on: the last known day of the plan that issued
        them.
    noted : list of dict
        Rows of an assumptions table.
    """
    table = previous.orders.table
    orders = table[(table["kind"] != "repair") & (table["week"] <= horizon.orders_until)].copy()
    orders["from_site_id"] = orders["from_site_id"].astype(TEXT)
    if "issued_on" not in orders:
        orders["issued_on"] = pd.NaT
    fresh = orders["issued_on"].isna()
    orders["issued_on"] = orders["issued_on"].astype(STAMP).where(~fresh, horizon.issued_on)
    said = np.where(fresh, f"; stays as issued ({horizon.words})", "")
    orders["reason"] = (orders["reason"].astype(object) + said).astype(TEXT)
    frozen = orders["week"] >= horizon.first
    lane = orders[frozen | (orders["due_on"] >= horizon.first)]
    lane = lane.sort_values([*LANE, "week", "due_on", "kind"], kind="stable", na_position="first")
    placed = _placed_since(previous, data)
    way = _ways(lane)
    until = lane["quantity"].groupby(way).cumsum()
    left = np.clip(until - way.map(placed).fillna(0.0), 0.0, lane["quantity"].astype(float))
    inside = frozen[lane.index]
    kept = orders.loc[lane.index[(inside & (left > 0)).to_numpy(dtype=bool)]].sort_index()
    share = left[kept.index] / kept["quantity"]
    sites = data.sites["site_id"]
    known = kept["part_id"].isin(data.parts["part_id"]) & kept["to_site_id"].isin(sites)
    known &= kept["from_site_id"].isna() | kept["from_site_id"].isin(sites)
    out = kept.assign(quantity=left[kept.index], value=kept["value"] * share)[known]
    noted = [
        _noted("orders kept", len(out), "orders", horizon, f"stay until {horizon.orders_until:%Y-%m-%d}"),
        _noted(
            "orders placed already",
            int((inside & (left < lane["quantity"])).sum()),
            "orders",
            horizon,
            "stand in open_orders, whole or in part, and are not counted twice",
        ),
    ]
    if len(kept) > len(out):
        lost = len(kept) - len(out)
        noted.append(_noted("orders dropped", lost, "orders", horizon, "part or site is not in the data now"))
    if "open_orders" not in previous.inputs:
        words = "does not say what was open then: none of its orders counts as placed"
        noted.append(_noted("open orders before", "unknown", "", horizon, words))
    return out, noted


def _placed_since(previous: Plan, data: Dataset) -> pd.Series:
    """Pieces on order that the plan before did not know, by way."""
    rows, before = data.open_orders, previous.inputs.get("open_orders")
    rows = rows.iloc[:0] if before is None else rows[~rows["order_id"].isin(before["order_id"])]
    return rows["quantity"].astype(float).groupby(_ways(rows)).sum()


def _ways(orders: pd.DataFrame) -> pd.Series:
    """Part, sender and receiver as one text; no sender is the supplier."""
    words = [orders[name].astype(object).where(orders[name].notna(), "").astype(str) for name in LANE]
    return joined_text(words)


def levels_before(previous: Plan) -> pd.DataFrame:
    """Levels of the plan before, for `optimize_levels(previous=...)`.

    Parameters
    ----------
    previous : Plan

    Returns
    -------
    DataFrame
        part_id, site_id, base_stock, and model_base_stock where planners had set levels: once their word
        counts no more, the model's own level is the one to keep. [pieces]
    """
    table = previous.levels.table
    return table[[*PAIR, *(name for name in ("base_stock", "model_base_stock") if name in table)]]


def keep_levels(
    levels: StockLevels, previous: Plan, horizon: FrozenHorizon, at_once: pd.DataFrame
) -> StockLevels:
    """Say from when on each base stock is in force, and which one holds until then.

    Parameters
    ----------
    levels : StockLevels
    previous : Plan
    horizon : FrozenHorizon
    at_once : DataFrame
        part_id, site_id: levels that planners set after the plan before was made; in force at once.

    Returns
    -------
    StockLevels
        With issued_base_stock [pieces] and in_force_from: the Monday after the frozen weeks where the level
        changes.
    """
    issued = previous.levels.table[[*PAIR, "base_stock"]].rename(columns={"base_stock": "issued_base_stock"})
    table = levels.table.merge(issued, on=PAIR, how="left", validate="1:1")
    changes = table["issued_base_stock"].notna() & (table["issued_base_stock"] != table["base_stock"])
    soon = pd.MultiIndex.from_frame(table[PAIR]).isin(pd.MultiIndex.from_frame(at_once[PAIR]))
    waits = changes & ~soon
    after = horizon.orders_until + pd.Timedelta(days=1)
    table["in_force_from"] = pd.Series(horizon.first, index=table.index).where(~waits, after).astype(STAMP)
    words = "; in force from " + f"{after:%Y-%m-%d}, until then "
    said = (words + table["issued_base_stock"].map("{:g} as issued".format)).where(waits, "")
    table["reason"] = (table["reason"].astype(object) + said).astype(TEXT)
    noted = _noted("levels in force later", int(waits.sum()), "levels", horizon, f"from {after:%Y-%m-%d} on")
    assumed = pd.concat([levels.assumptions, assumptions_frame([noted])], ignore_index=True)
    return dataclasses.replace(levels, table=reason_last(table), assumptions=assumed)


def _monday_after(day: pd.Timestamp) -> pd.Timestamp:
    day = day.normalize()
    return day + pd.Timedelta(days=DAYS_PER_WEEK - day.weekday())


def _noted(name: str, value: object, unit: str, horizon: FrozenHorizon, meaning: str) -> dict[str, Any]:
    return {
        "stage": "frozen horizon",
        "name": name,
        "value": value,
        "unit": unit,
        "origin": horizon.words,
        "meaning": meaning,
    }
