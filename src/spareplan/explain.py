"""Why a number is what it is, and what a planner must look at, worst first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_MONTH
from spareplan.results import Attainment, DemandForecast, Headcount, Orders, Plan, StockLevels

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


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why a level is what it is.

    Parameters
    ----------
    table : DataFrame
        step, value, unit, meaning; the rows whose step starts with "+" add up to the row "= base stock".
    lines : tuple of str
        The same in sentences.
    """

    table: pd.DataFrame
    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        import html

        said = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines)
        return f"<ul>{said}</ul>{self.table.to_html(index=False, border=0)}"


def explain_level(plan: Plan, part_id: str, site_id: str) -> Explanation:
    """Say why one level, and the orders that follow from it, are what they are.

    Parameters
    ----------
    plan : Plan
    part_id, site_id : str

    Returns
    -------
    Explanation

    Raises
    ------
    DataError
        The plan has no level for this part and site; the sites that have one are named.
    """
    levels = plan.levels.table
    rows = levels[(levels["part_id"] == part_id) & (levels["site_id"] == site_id)]
    if rows.empty:
        known = ", ".join(levels.loc[levels["part_id"] == part_id, "site_id"].head(8))
        rule = f"has levels at {known}, not at {site_id}" if known else "is not in the plan"
        raise DataError(
            [Problem("levels", 0, "part_id", part_id, rule, "give a part and site of plan.levels.table")]
        )
    level = rows.iloc[0]
    part: Any = plan.inputs["parts"].set_index("part_id").loc[part_id]
    site: Any = plan.inputs["sites"].set_index("site_id").loc[site_id]
    parent = site["parent_id"]
    is_hq = pd.isna(parent)
    grade: Any = plan.grades.table.set_index("part_id").loc[part_id]
    lead = float(part["lead_time_days"] if is_hq else site["lead_time_days"])
    rate = float(level["demand_per_day"])
    on_the_way = rate * lead
    upstream = _wait_at(levels, part_id, parent) if not is_hq else 0.0
    waiting = rate * upstream
    stock = float(level["base_stock"])
    source = "the supplier" if is_hq else f"{parent}"
    demand = _forecast_of(plan, part_id, site_id, is_hq)
    steps: list[tuple[str, float, str, str]] = [
        *(
            (
                f"forecast {name.removeprefix('from_').replace('_', ' ')}",
                value,
                "pieces/month",
                "mean of the horizon",
            )
            for name, value in demand.items()
        ),
        (
            "demand at the site",
            rate,
            "pieces/day",
            "its own and what it hands down" if is_hq else "its own and its children's",
        ),
        ("lead time", lead, "days", f"from {source}"),
        ("wait for the parent", upstream, "days", "mean wait of an order at the parent"),
        ("+ on the way", on_the_way, "pieces", "demand x lead time"),
        ("+ waiting upstream", waiting, "pieces", "demand x wait for the parent"),
        ("+ safety", stock - on_the_way - waiting, "pieces", "kept for chance and for the promise"),
        ("= base stock", stock, "pieces", "as published"),
        ("value", float(level["value"]), "money", "base stock x unit cost"),
        ("target fill rate", float(grade["target_fill_rate"]), "share", f"promised to tier {grade['tier']}"),
        ("fill rate", float(level["fill_rate"]), "share", f"reached by this level ({level['evaluation']})"),
    ]
    lines = [
        f"{part_id} ({part['name']}) at {site_id}: base stock {stock:.0f}, worth {level['value']:,.0f}.",
        f"{rate * DAYS_PER_MONTH:.2f} pieces a month are asked for; {on_the_way:.2f} are used while an order "
        "is on its way "
        f"({lead:g} days from {source})"
        + (f", {waiting:.2f} more while the parent waits." if waiting > 0.005 else "."),
        f"The other {stock - on_the_way - waiting:.2f} are safety: the part serves tier {grade['tier']} and "
        f"is planned by {str(grade['planner']).replace('_', ' ')}; {level['fill_rate']:.1%} of demand is met "
        "from this shelf.",
        f"Level: {level['reason']}.",
    ]
    price = _shadow_price(plan, site_id, int(grade["tier"]))
    if price is not None:
        steps.append(("shadow price", price[0], price[1], "what one more unit of this group's promise costs"))
        lines.append(f"One more {price[1].split('/')[-1]} of this promise costs {price[0]:,.0f} here.")
    for order in _orders_of(plan, part_id, site_id).itertuples(index=False):
        lines.append(
            f"Order {order.quantity:g} in the week of {order.week:%Y-%m-%d} ({order.kind}): {order.reason}."
        )
    for row in _overrides_of(plan, part_id, site_id).itertuples(index=False):
        lines.append(
            f"Override: {row.table}.{row.column} = {row.value} by {row.who} on {row.when:%Y-%m-%d}, "
            f"because: {row.why}."
        )
    return Explanation(pd.DataFrame(steps, columns=["step", "value", "unit", "meaning"]), tuple(lines))


def find_exceptions(
    data: Any,
    demand: DemandForecast,
    levels: StockLevels,
    check: Attainment | None,
    orders: Orders,
    crew: Headcount | None,
    as_of: pd.Timestamp,
) -> pd.DataFrame:
    """List what a planner must look at, worst first, each with the action to take.

    Parameters
    ----------
    data : Dataset
    demand, levels, check, orders, crew
        Results of the stages; check and crew may be None.
    as_of : Timestamp
        Last day that is known.

    Returns
    -------
    DataFrame
        EXCEPTION_COLUMNS. Machine-days are expected days of standing machines within the supply lead time;
        their cost (products' downtime cost where given) plus the money at stake gives the rank.
    """
    stand = _positions(data, demand, levels)
    found = [
        _shortages(stand),
        _excess(stand),
        _late_orders(data, as_of),
        _surprises(data, demand, as_of),
        _last_buys(data, as_of),
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
    table = table.sort_values(
        ["weight", "kind", "part_id", "site_id"],
        ascending=[False, True, True, True],
        kind="stable",
        na_position="last",
    )
    table["rank"] = np.arange(1, len(table) + 1)
    text = ["kind", "part_id", "site_id", "region_id", "message", "action"]
    table[text] = table[text].astype(object).where(table[text].notna(), None)
    return (
        table[EXCEPTION_COLUMNS]
        .astype(dict.fromkeys(("kind", "message", "action"), "str"))
        .reset_index(drop=True)
    )


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


def _shortages(stand: pd.DataFrame) -> pd.DataFrame:
    """Sites whose usable stock will not cover what is asked for until help can come."""
    from spareplan.maths.distributions import loss

    wanted = stand["demand_per_day"] * stand["lead"]
    usable = stand["on_hand"] - stand["reserved"] - stand["backorders"]
    short = loss(usable.clip(lower=0).to_numpy(), wanted.to_numpy()) + (-usable).clip(lower=0).to_numpy()
    frame = stand.assign(short=short, machine_days=short * stand["lead"] / 2, usable=usable)
    frame = frame[(frame["short"] >= 0.5) & (frame["usable"] < frame["base_stock"])]
    return pd.DataFrame(
        {
            "kind": "shortage",
            "part_id": frame["part_id"],
            "site_id": frame["site_id"],
            "region_id": None,
            "money": 0.0,
            "machine_days": frame["machine_days"],
            "message": [
                f"{p} at {s}: {u:g} usable against a level of {b:g}; {x:.1f} requests are expected to wait "
                f"within {d:g} days"
                for p, s, u, b, x, d in zip(
                    frame["part_id"],
                    frame["site_id"],
                    frame["usable"],
                    frame["base_stock"],
                    frame["short"],
                    frame["lead"],
                )
            ],
            "action": [
                "expedite what is on the way" if c > 0 else "order now or move a piece from a neighbour"
                for c in frame["coming"]
            ],
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


def _last_buys(data: Any, as_of: pd.Timestamp) -> pd.DataFrame:
    parts = data.parts[data.parts["last_buy_on"].notna()]
    parts = parts[(parts["last_buy_on"] > as_of) & (parts["last_buy_on"] <= as_of + pd.DateOffset(years=1))]
    return pd.DataFrame(
        {
            "kind": "last buy",
            "part_id": parts["part_id"],
            "site_id": None,
            "region_id": None,
            "money": parts["unit_cost"].astype(float),
            "machine_days": 0.0,
            "message": [
                f"{p}: the supplier takes the last order on {d:%Y-%m-%d}"
                for p, d in zip(parts["part_id"], parts["last_buy_on"])
            ],
            "action": "decide how many pieces the remaining machines will need",
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


def _wait_at(levels: pd.DataFrame, part_id: str, site_id: str) -> float:
    rows = levels[(levels["part_id"] == part_id) & (levels["site_id"] == site_id)]
    return (
        0.0
        if rows.empty or pd.isna(rows["mean_wait_days"].iloc[0])
        else float(rows["mean_wait_days"].iloc[0])
    )


def _forecast_of(plan: Plan, part_id: str, site_id: str, is_hq: bool) -> dict[str, float]:
    table = plan.demand.table
    rows = table[(table["part_id"] == part_id) & ((table["site_id"] == site_id) | is_hq)]
    months = max(rows["month"].nunique(), 1)
    names = ["from_installed_base", "from_new_units", "from_history", "from_planned"]
    return {name: float(rows[name].sum() / months) for name in names if rows[name].sum() != 0}


def _shadow_price(plan: Plan, site_id: str, tier: int) -> tuple[float, str] | None:
    prices = plan.levels.shadow_prices
    if prices.empty or "site_id" not in prices or "tier" not in prices:
        return None
    rows = prices[(prices["site_id"] == site_id) & (prices["tier"].astype(float) == tier)]
    if rows.empty:
        return None
    return float(rows["price"].iloc[0]), str(rows["unit"].iloc[0]) if "unit" in rows else "money/unit"


def _orders_of(plan: Plan, part_id: str, site_id: str) -> pd.DataFrame:
    table = plan.orders.table
    return table[(table["part_id"] == part_id) & (table["to_site_id"] == site_id)]


def _overrides_of(plan: Plan, part_id: str, site_id: str) -> pd.DataFrame:
    table = plan.inputs.get("overrides", pd.DataFrame())
    if table.empty:
        return table
    part = table["part_id"].isna() | (table["part_id"] == part_id)
    site = table["site_id"].isna() | (table["site_id"] == site_id)
    return table[part & site & (table["part_id"].notna() | table["site_id"].notna())]
