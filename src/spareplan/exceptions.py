"""What a planner must look at, worst first, each with the action to take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spareplan.maths.units import DAYS_PER_WEEK
from spareplan.results import Attainment, DemandForecast, Headcount, Orders, StockLevels
from spareplan.tables.schema import TEXT

EXCEPTION_COLUMNS = [
    "rank",
    "kind",
    "part_id",
    "site_id",
    "region_id",
    "money",
    "machine_days",
    "message",
    "action",
]
# A forecast this many times above or below the last year's demand is worth a look ...
SURPRISE_RATIO = 2.5
# ... where it moves at least this many pieces a year.
SURPRISE_PIECES = 3.0


def find_exceptions(
    data: Any,
    demand: DemandForecast,
    levels: StockLevels,
    check: Attainment | None,
    orders: Orders,
    crew: Headcount | None,
    as_of: pd.Timestamp,
    least: float = 0.0,
    more: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """List what a planner must look at, worst first, each with the action to take.

    Parameters
    ----------
    data : Dataset
    demand, levels, check, orders, crew
        Results of the stages; check and crew may be None.
    as_of : Timestamp
        Last day that is known.
    least : float
        What is worth less is left out. [money]
    more : DataFrame, optional
        Exceptions that a stage found itself, such as last buys: kind, part_id, site_id, region_id, money,
        machine_days, message, action.

    Returns
    -------
    DataFrame
        EXCEPTION_COLUMNS. Machine-days are expected days of standing machines within the supply lead time;
        their cost (products' downtime cost where given) plus the money at stake gives the rank.
    """
    stand = _positions(data, demand, levels)
    found = [
        _shortages(stand, orders),
        _excess(stand),
        _late_orders(data, as_of),
        _surprises(data, demand, as_of),
        pd.DataFrame() if more is None else more,
        _broken_promises(check),
        _missing_engineers(crew),
    ]
    found = [frame for frame in found if len(frame)]
    if not found:
        return pd.DataFrame(columns=EXCEPTION_COLUMNS)
    table = pd.concat([frame.astype(object) for frame in found], ignore_index=True)
    downtime = _downtime_cost(data)
    region = data.sites.set_index("site_id")["region_id"]
    table["region_id"] = table["region_id"].where(table["region_id"].notna(), table["site_id"].map(region))
    for column in ("money", "machine_days"):
        table[column] = table[column].astype(float).fillna(0.0)
    per_day = table["part_id"].map(downtime).astype(float).fillna(downtime.median() if len(downtime) else 0.0)
    table["weight"] = table["money"] + table["machine_days"] * per_day
    by_part = table["part_id"].notna()
    table = table[~by_part | (table["weight"] >= least)]
    table = table.sort_values(
        ["weight", "kind", "part_id", "site_id"],
        ascending=[False, True, True, True],
        kind="stable",
        na_position="last",
    )
    table["rank"] = np.arange(1, len(table) + 1)
    text = ["kind", "part_id", "site_id", "region_id", "message", "action"]
    table[text] = table[text].astype(object).where(table[text].notna(), None).astype(TEXT)
    return table[EXCEPTION_COLUMNS].reset_index(drop=True)


def _positions(data: Any, demand: DemandForecast, levels: StockLevels) -> pd.DataFrame:
    """Levels beside stock on hand, on order, and what is asked for within the supply lead time."""
    keys = ["part_id", "site_id"]
    table = levels.table[[*keys, "base_stock", "demand_per_day", "mean_wait_days", "value"]]
    stock = data.stock[[*keys, "on_hand", "reserved", "on_order", "backorders"]].fillna(
        {"reserved": 0, "on_order": 0, "backorders": 0}
    )
    coming = (
        data.open_orders.rename(columns={"to_site_id": "site_id"})
        .groupby(keys, as_index=False)["quantity"]
        .sum()
    )
    stand = table.merge(stock, on=keys, how="outer").merge(coming, on=keys, how="left")
    numbers = ["base_stock", "demand_per_day", "on_hand", "reserved", "on_order", "backorders", "quantity"]
    stand[numbers] = stand[numbers].astype(float).fillna(0.0)
    # open_orders list what stock.on_order sums up; where both are given the larger one is the truth.
    stand["coming"] = np.maximum(stand["on_order"], stand["quantity"])
    parts = data.parts.set_index("part_id")
    stand["unit_cost"] = stand["part_id"].map(parts["unit_cost"]).astype(float)
    lead = data.sites.set_index("site_id")
    from_parent = lead["lead_time_days"].where(lead["parent_id"].notna())
    stand["lead"] = (
        stand["site_id"]
        .map(from_parent)
        .astype(float)
        .fillna(stand["part_id"].map(parts["lead_time_days"]).astype(float))
    )
    horizon = demand.table.groupby(keys)["mean"].sum().rename("horizon").reset_index()
    return stand.merge(horizon, on=keys, how="left").fillna({"horizon": 0.0})


def _shortages(stand: pd.DataFrame, orders: Orders) -> pd.DataFrame:
    """Parts that will be owed in spite of the planned orders: expected backorders of the coming weeks."""
    ahead = orders.projection
    if ahead.empty:
        return pd.DataFrame(columns=EXCEPTION_COLUMNS)
    owed = ahead[ahead["backorders"] > 0]
    frame = owed.groupby(["part_id", "site_id"], as_index=False).agg(
        machine_days=("backorders", "sum"), most=("backorders", "max"), first=("week", "min")
    )
    frame["machine_days"] *= DAYS_PER_WEEK
    frame = frame[frame["machine_days"] >= 1].merge(stand, on=["part_id", "site_id"], how="left")
    return pd.DataFrame(
        {
            "kind": "shortage",
            "part_id": frame["part_id"],
            "site_id": frame["site_id"],
            "region_id": None,
            "money": 0.0,
            "machine_days": frame["machine_days"],
            "message": [
                f"{p} at {s}: up to {m:.1f} pieces will be owed from the week of {w:%Y-%m-%d} on; "
                f"{h:g} on hand against a level of {b:g}, {c:g} on the way"
                for p, s, m, w, h, b, c in zip(
                    frame["part_id"],
                    frame["site_id"],
                    frame["most"],
                    frame["first"],
                    frame["on_hand"],
                    frame["base_stock"],
                    frame["coming"],
                )
            ],
            "action": np.where(
                frame["coming"] > 0, "expedite what is on the way", "borrow from a neighbour or buy faster"
            ),
        }
    )


def _excess(stand: pd.DataFrame) -> pd.DataFrame:
    over = stand["on_hand"] + stand["coming"] - stand["base_stock"] - stand["horizon"]
    frame = stand.assign(over=over, money=over * stand["unit_cost"])[over >= 1]
    return pd.DataFrame(
        {
            "kind": "excess",
            "part_id": frame["part_id"],
            "site_id": frame["site_id"],
            "region_id": None,
            "money": frame["money"],
            "machine_days": 0.0,
            "message": [
                f"{p} at {s}: {o:.0f} pieces more than the level and the whole horizon's demand, "
                f"worth {m:,.0f}"
                for p, s, o, m in zip(frame["part_id"], frame["site_id"], frame["over"], frame["money"])
            ],
            "action": "redeploy before buying; stop what is on order",
        }
    )


def _late_orders(data: Any, as_of: pd.Timestamp) -> pd.DataFrame:
    late = data.open_orders[data.open_orders["due_on"] <= as_of]
    cost = late["part_id"].map(data.parts.set_index("part_id")["unit_cost"]).astype(float)
    days = (as_of - late["due_on"]).dt.days
    return pd.DataFrame(
        {
            "kind": "late order",
            "part_id": late["part_id"],
            "site_id": late["to_site_id"],
            "region_id": None,
            "money": cost * late["quantity"],
            "machine_days": 0.0,
            "message": [
                f"order {o}: {q:g} x {p} for {s} was due {d} days ago"
                for o, q, p, s, d in zip(
                    late["order_id"], late["quantity"], late["part_id"], late["to_site_id"], days
                )
            ],
            "action": "ask the sender for a new date",
        }
    )


def _surprises(data: Any, demand: DemandForecast, as_of: pd.Timestamp) -> pd.DataFrame:
    """Parts whose forecast differs much from what the last twelve months asked for."""
    start = as_of - pd.DateOffset(years=1)
    taken = data.replacements[data.replacements["replaced_on"] > start].groupby("part_id")["quantity"].sum()
    sold = data.demand[data.demand["month"] > start].groupby("part_id")["quantity"].sum()
    past = taken.add(sold, fill_value=0.0)
    months = demand.table["month"].nunique()
    ahead = demand.table.groupby("part_id")["mean"].sum() * 12 / max(months, 1)
    both = pd.DataFrame({"past": past, "ahead": ahead}).fillna(0.0)
    ratio = (both["ahead"] + 0.5) / (both["past"] + 0.5)
    odd = both[
        ((ratio > SURPRISE_RATIO) | (ratio < 1 / SURPRISE_RATIO))
        & ((both["ahead"] - both["past"]).abs() > SURPRISE_PIECES)
    ]
    cost = odd.index.map(data.parts.set_index("part_id")["unit_cost"]).to_numpy(dtype=float)
    return pd.DataFrame(
        {
            "kind": "surprise",
            "part_id": odd.index,
            "site_id": None,
            "region_id": None,
            "money": (odd["ahead"] - odd["past"]).abs().to_numpy() * cost,
            "machine_days": 0.0,
            "message": [
                f"{p}: {a:.0f} a year are forecast, {b:.0f} were taken in the last twelve months"
                for p, a, b in zip(odd.index, odd["ahead"], odd["past"])
            ],
            "action": "look at the machines behind it; override with a reason if you know better",
        }
    )


def _broken_promises(check: Attainment | None) -> pd.DataFrame:
    if check is None:
        return pd.DataFrame(columns=EXCEPTION_COLUMNS)
    broken = check.table[~check.table["kept"].astype(bool)]
    return pd.DataFrame(
        {
            "kind": "promise",
            "part_id": None,
            "site_id": None,
            "region_id": None,
            "money": 0.0,
            "machine_days": 1.0,
            "message": [
                f"{g}: {m} {a:.3g} simulated against {p:.3g} promised"
                for g, m, a, p in zip(
                    broken["group"], broken["measure"], broken["achieved"], broken["promised"]
                )
            ],
            "action": "raise the levels of this group or lower its promise",
        }
    )


def _missing_engineers(crew: Headcount | None) -> pd.DataFrame:
    if crew is None or crew.table.empty:
        return pd.DataFrame(columns=EXCEPTION_COLUMNS)
    first = crew.table[crew.table["month"] == crew.table["month"].min()]
    by_region = first.groupby("region_id", as_index=False)[["required", "headcount"]].sum()
    short = by_region[by_region["required"] - by_region["headcount"] >= 1]
    return pd.DataFrame(
        {
            "kind": "engineers",
            "part_id": None,
            "site_id": None,
            "region_id": short["region_id"],
            "money": 0.0,
            "machine_days": (short["required"] - short["headcount"]),
            "message": [
                f"{r}: {q:.0f} engineers are needed to keep P1 to P4, {h:.0f} are there"
                for r, q, h in zip(short["region_id"], short["required"], short["headcount"])
            ],
            "action": "lend, hire or train as the head-count plan says",
        }
    )


def _downtime_cost(data: Any) -> pd.Series:
    """Cost of a standing machine per day, by part: that of the dearest product it fits."""
    fits = data.fitment.merge(
        data.products[["product_id", "downtime_cost_per_day"]], on="product_id", how="left"
    )
    return fits.groupby("part_id")["downtime_cost_per_day"].max().dropna()
