"""Why a number is what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_MONTH
from spareplan.results import Plan


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
    lead, repaired, repair_days = _supply(plan, part, site, is_hq)
    rate = float(level["demand_per_day"])
    upstream = 0.0 if is_hq else _wait_at(levels, part_id, parent)
    on_the_way = rate * (1 - repaired) * lead
    in_repair = rate * repaired * repair_days
    waiting = rate * (1 - repaired) * upstream
    stock = float(level["base_stock"])
    safety = stock - on_the_way - in_repair - waiting
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
        ("+ on the way", on_the_way, "pieces", "demand x lead time, repaired pieces left out"),
        ("+ in repair", in_repair, "pieces", f"{repaired:.0%} of demand x {repair_days:g} days of repair"),
        ("+ waiting upstream", waiting, "pieces", "demand x wait for the parent"),
        ("+ safety", safety, "pieces", "kept for chance and for the promise"),
        ("= base stock", stock, "pieces", "as published"),
        ("value", float(level["value"]), "money", "base stock x unit cost"),
        ("target fill rate", float(grade["target_fill_rate"]), "share", f"promised to tier {grade['tier']}"),
        ("fill rate", float(level["fill_rate"]), "share", f"reached by this level ({level['evaluation']})"),
    ]
    spent = f"{on_the_way:.2f} are on their way ({lead:g} days from {source})"
    spent += f", {in_repair:.2f} in repair" if in_repair > 0.005 else ""
    spent += f", {waiting:.2f} wait for the parent" if waiting > 0.005 else ""
    planner = str(grade["planner"]).replace("_", " ")
    lines = [
        f"{part_id} ({part['name']}) at {site_id}: base stock {stock:.0f}, worth {level['value']:,.0f}.",
        f"{rate * DAYS_PER_MONTH:.2f} pieces a month are asked for; of these {spent}.",
        f"The other {safety:.2f} are safety: the part serves tier {grade['tier']} and is planned by "
        f"{planner}; {level['fill_rate']:.1%} of demand is met from this shelf.",
        f"Level: {level['reason']}.",
    ]
    price = _shadow_price(plan, site_id, int(grade["tier"]))
    if price is not None:
        steps.append(("shadow price", price[0], price[1], "what one more unit of this group's promise costs"))
        unit = price[1].removeprefix("money per ")
        lines.append(f"One more {unit} of this group's promise costs {price[0]:,.0f}.")
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


def _supply(plan: Plan, part: Any, site: Any, is_hq: bool) -> tuple[float, float, float]:
    """Lead time [days], share repaired instead of supplied, repair time [days] at one site."""
    if is_hq:
        repaired = float(part.get("repairable_share", 0.0))
        days = part.get("repair_days", float("nan"))
        return float(part["lead_time_days"]), repaired, 0.0 if pd.isna(days) else float(days)
    lead = float(site["lead_time_days"])
    repairs = plan.inputs.get("site_repairs", pd.DataFrame(columns=["part_id", "site_id"]))
    own = repairs[(repairs["part_id"] == part.name) & (repairs["site_id"] == site.name)]
    if own.empty:
        return lead, 0.0, 0.0
    return lead, float(own["repair_share_site"].iloc[0]), float(own["repair_days_site"].iloc[0])


def _wait_at(levels: pd.DataFrame, part_id: str, site_id: str) -> float:
    rows = levels[(levels["part_id"] == part_id) & (levels["site_id"] == site_id)]
    wait = rows["mean_wait_days"].iloc[0] if len(rows) else float("nan")
    return 0.0 if pd.isna(wait) else float(wait)


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
