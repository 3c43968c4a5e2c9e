"""Why a number is what it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.explain.wishes import explain_wishes
from spareplan.maths.distributions import quantile
from spareplan.maths.units import DAYS_PER_MONTH
from spareplan.results import DemandForecast, Plan
from spareplan.tables.contributions import SOURCES, sources_in_order
from spareplan.tables.supersession import newest_parts
from spareplan.tables.windows import window_demand

COLUMNS = {
    "from_installed_base": "machines in use",
    "from_new_units": "machines to be sold",
    "from_history": "past demand",
    "from_planned": "planned replacements",
}


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why a number is what it is.

    Parameters
    ----------
    table : DataFrame
        step, value, unit, meaning; rows whose step starts with "+" add up to the one that starts with "=".
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
                f"forecast: {name}",
                value,
                "pieces/month",
                f"mean of the horizon; {SOURCES.get(name, 'a source of the forecast')}",
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
    more_steps, more_lines = explain_wishes(plan, level, site)
    steps += more_steps
    lines += more_lines
    price = _shadow_price(plan, site_id, level, int(grade["tier"]))
    if price is not None:
        steps.append(("shadow price", price[0], price[1], "what one more unit of this group's promise costs"))
        unit = price[1].removeprefix("money per ")
        lines.append(f"One more {unit} of this group's promise costs {price[0]:,.0f}.")
    for order in _orders_of(plan, part_id, site_id).itertuples(index=False):
        lines.append(
            f"Order {order.quantity:g} in the week of {order.week:%Y-%m-%d} ({order.kind}): {order.reason}."
        )
    if "model_base_stock" in level and level["model_base_stock"] != stock:
        steps.append(
            (
                "the model's own level",
                float(level["model_base_stock"]),
                "pieces",
                "at the shadow prices of this plan",
            )
        )
        lines.append(f"The model itself would hold {level['model_base_stock']:.0f}.")
    if "in_force_from" in level and level.get("issued_base_stock") not in (None, stock):
        issued, day = level["issued_base_stock"], level["in_force_from"]
        if not pd.isna(issued) and not pd.isna(day):
            steps.append(("issued base stock", float(issued), "pieces", f"in force until {day:%Y-%m-%d}"))
            lines.append(f"It is in force from {day:%Y-%m-%d}; {issued:.0f} were issued before.")
    for row in _overrides_of(plan, part_id, site_id).to_dict("records"):
        lines.append(_override_line(row))
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


def explain_demand(
    demand: DemandForecast, part_id: str, site_id: str, month: dt.date | str | pd.Timestamp | None = None
) -> Explanation:
    """Say what one number of the forecast is made of.

    Parameters
    ----------
    demand : DemandForecast
        With `.contributions`.
    part_id, site_id : str
    month : date, optional
        None: all months of the forecast together.

    Returns
    -------
    Explanation
        Its "+" rows are the sources; they add up to "= expected demand".

    Raises
    ------
    DataError
        The forecast has no such part, site and month (those it has are named), or no contributions.
    """
    rows = _rows_of(demand, part_id, site_id, month)
    sums = _source_sums(demand, rows)
    if sums.empty and rows["mean"].sum() > 0:
        raise problem_in_argument(
            "explain_demand", "demand", "0 rows", "has no contributions", "give a forecast of forecast_demand"
        )
    mean = float(rows["mean"].sum())
    spread = _spread_of(demand, rows, part_id, site_id)
    steps = [(f"+ {name}", value, "pieces", SOURCES.get(str(name), "")) for name, value in sums.items()]
    steps.append(("= expected demand", mean, "pieces", "as published"))
    steps.append(("standard deviation", float(np.sqrt(spread)), "pieces", "chance, and doubt about the rate"))
    steps += [
        (f"{level:.0%} quantile", float(quantile(level, mean, spread)), "pieces",
         f"enough in {level:.0%} of such {'months' if len(rows) == 1 else 'spans'}")
        for level in demand.levels
    ]  # fmt: skip
    when = f"{rows['month'].min():%Y-%m}"
    when += "" if len(rows) == 1 else f" to {rows['month'].max():%Y-%m}"
    parts = ", ".join(f"{name} {value:+.2f}" for name, value in sums.items() if abs(value) >= 0.005)
    lines = [
        f"{part_id} at {site_id}, {when}: {mean:,.2f} pieces expected.",
        f"Made up of: {parts or 'nothing'}.",
    ]
    lines += _against_the_month_before(demand, rows, sums) if len(rows) == 1 else []
    if "model_mean" in rows and (model := float(rows["model_mean"].sum())) != mean:
        steps.append(
            ("the model's own number", model, "pieces", "before frozen months and planners' overrides")
        )
        lines.append(f"The model itself expects {model:,.2f}.")
    if "reason" in rows and len(rows) == 1:
        lines.append(f"Why: {rows['reason'].iloc[0]}.")
    return Explanation(pd.DataFrame(steps, columns=["step", "value", "unit", "meaning"]), tuple(lines))


def _rows_of(
    demand: DemandForecast, part_id: str, site_id: str, month: dt.date | str | pd.Timestamp | None
) -> pd.DataFrame:
    """Rows of the forecast that are explained, or the names of those there are."""
    rows = demand.table[demand.table["part_id"] == part_id]
    known = ", ".join(rows["site_id"].drop_duplicates().head(8))
    rows = rows[rows["site_id"] == site_id].sort_values("month")
    if rows.empty:
        rule = f"has a forecast at {known}, not at {site_id}" if known else "is not in the forecast"
        raise problem_in_argument(
            "explain_demand", "part_id", part_id, rule, "give a part and site of demand.table"
        )
    if month is None:
        return rows
    try:
        wanted = pd.Timestamp(month).to_period("M").to_timestamp()
    except ValueError as error:
        raise problem_in_argument(
            "explain_demand", "month", month, "is no month", "write it as 2024-01"
        ) from error
    one = rows[rows["month"] == wanted]
    if one.empty:
        first, last = rows["month"].min(), rows["month"].max()
        raise problem_in_argument(
            "explain_demand", "month", f"{wanted:%Y-%m}", "is not in the forecast",
            f"give one from {first:%Y-%m} to {last:%Y-%m}",
        )  # fmt: skip
    return one


def _source_sums(demand: DemandForecast, rows: pd.DataFrame) -> pd.Series:
    """Pieces of each source in some rows of the forecast, in the fixed order."""
    told = demand.contributions
    if told.empty or rows.empty:
        return pd.Series(dtype=float)
    own = told[
        told["part_id"].isin(rows["part_id"].unique()) & told["site_id"].isin(rows["site_id"].unique())
    ]
    own = own[own["month"].isin(rows["month"].unique())]
    return own.groupby("source")["mean"].sum().reindex(sources_in_order(own))


def _spread_of(demand: DemandForecast, rows: pd.DataFrame, part_id: str, site_id: str) -> float:
    """Variance of the rows' sum: of several months that of the window they make up."""
    if len(rows) == 1 or demand.windows.empty:
        mean, root = rows["mean"], np.sqrt(rows["rate_cv2"]) * rows["mean"]
        return float((rows["vmr"] * mean).sum() + root.sum() ** 2)
    windows = demand.windows
    own = windows[(windows["part_id"] == part_id) & (windows["site_id"] == site_id)]
    days = (rows["month"].max() + pd.offsets.MonthEnd(0) - demand.as_of.normalize()).days
    pair = window_demand(own, float(days)).iloc[0]
    total = float(rows["mean"].sum())
    return float(pair["vmr"] * total + pair["rate_cv2"] * total**2)


def _against_the_month_before(demand: DemandForecast, rows: pd.DataFrame, sums: pd.Series) -> list[str]:
    """What moved against the month before; nothing for the first month."""
    here = rows.iloc[0]
    table = demand.table
    before = table[
        (table["part_id"] == here["part_id"])
        & (table["site_id"] == here["site_id"])
        & (table["month"] == here["month"] - pd.DateOffset(months=1))
    ]
    if before.empty:
        return []
    moved = sums.sub(_source_sums(demand, before), fill_value=0.0)
    moved = moved.reindex(moved.abs().sort_values(ascending=False, kind="stable").index)
    said = ", ".join(f"{name} {change:+.2f}" for name, change in moved.items() if abs(change) >= 0.005)
    change = float(here["mean"]) - float(before["mean"].iloc[0])
    return [f"Against the month before {change:+,.2f}" + (f": {said}." if said else ".")]


def _forecast_of(plan: Plan, part_id: str, site_id: str, is_hq: bool) -> dict[str, float]:
    """Pieces a month of each source; by the table's columns where the plan keeps no finer ones."""
    table = plan.demand.table
    rows = table[(table["part_id"] == part_id) & ((table["site_id"] == site_id) | is_hq)]
    months = max(rows["month"].nunique(), 1)
    sums = _source_sums(plan.demand, rows)
    if sums.empty:
        sums = pd.Series({words: rows[name].sum() for name, words in COLUMNS.items() if name in rows})
    return {str(name): float(value) / months for name, value in sums.items() if value != 0}


def _shadow_price(plan: Plan, site_id: str, level: Any, tier: int) -> tuple[float, str] | None:
    """Price of the dearest promise that the part shares at the site, and its unit."""
    prices = plan.levels.shadow_prices
    if prices.empty or "site_id" not in prices or "tier" not in prices:
        return None
    shared = prices["tier"].astype(float) == tier
    if "part_group" in prices and isinstance(level.get("part_group"), str):
        shared = prices["part_group"] == level["part_group"]
    rows = prices[(prices["site_id"] == site_id) & shared]
    if rows.empty:
        return None
    # Where several promises cover the part, those that hold by themselves cost nothing and explain nothing.
    dearest = int(rows["one_point_costs" if "one_point_costs" in rows else "price"].fillna(0.0).argmax())
    return float(rows["price"].iloc[dearest]), (
        str(rows["unit"].iloc[dearest]) if "unit" in rows else "money/unit"
    )


def _orders_of(plan: Plan, part_id: str, site_id: str) -> pd.DataFrame:
    table = plan.orders.table
    return table[(table["part_id"] == part_id) & (table["to_site_id"] == site_id)]


def _overrides_of(plan: Plan, part_id: str, site_id: str) -> pd.DataFrame:
    """Overrides that reach a part at a site, those that count no more too, the first decided first."""
    table = plan.inputs.get("applied_overrides", plan.inputs.get("overrides", pd.DataFrame()))
    if table.empty:
        return table
    sites = plan.inputs["sites"].set_index("site_id")
    parts = {part_id, *_predecessors(plan, part_id)}
    hit = table["part_id"].isna() | table["part_id"].isin(parts)
    hit &= table["site_id"].isna() | (table["site_id"] == site_id)
    hit &= table["region_id"].isna() | (table["region_id"] == sites["region_id"].get(site_id))
    hit &= table["table"] != "crew"
    return table[hit].sort_values("when", kind="stable")


def _predecessors(plan: Plan, part_id: str) -> set[str]:
    parts = plan.inputs["parts"]
    if "superseded_by" not in parts:
        return set()
    return {old for old, new in newest_parts(parts).items() if new == part_id}


def _override_line(row: dict[Hashable, Any]) -> str:
    """One override with its scope in time, the model's number, and what became of it."""
    when = "" if pd.isna(row["month"]) else f" for {row['month']:%Y-%m}"
    said = f"Override: {row['table']}.{row['column']} = {row['value']}{when} by {row['who']} on "
    said += f"{row['when']:%Y-%m-%d}, because: {row['why']}"
    if row.get("model"):
        said += f"; the model says {row['model']}"
    if not pd.isna(row["expires_on"]):
        said += f"; until {row['expires_on']:%Y-%m-%d}"
    status, note = row.get("status", "applied"), row.get("note", "")
    if status != "applied":
        said += f"; {status}" + (f" ({note})" if note else "")
    elif note:
        said += f"; {note}"
    return said + "."
