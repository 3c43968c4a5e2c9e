"""What a plan says of itself: its summary, the figures that plans are compared by, what it had to imply."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from spareplan.config import PlanConfig
from spareplan.results import (
    Attainment,
    DemandForecast,
    Headcount,
    Orders,
    PartGrades,
    Plan,
    StockLevels,
)
from spareplan.tables.dataset import Dataset
from spareplan.tables.horizon import FrozenHorizon


def dropped_rows(data: Dataset) -> list[dict[str, str]]:
    """Rows of the data that were left out: what, reason, remedy."""
    return [
        {
            "what": f"{row.table} row {row.row}: {row.column} = {row.value}",
            "reason": str(row.rule),
            "remedy": str(row.remedy),
        }
        for row in data.dropped.itertuples(index=False)
    ]


MISSING_MEANS = {
    "stock": "nothing is on hand",
    "open_orders": "nothing is on order beside stock.on_order",
    "reservations": "nothing is reserved",
    "sales_plan": "no machines are sold or retired beyond today's fleet",
    "targets": "the fill rates of the thresholds are promised",
    "promises": "the default P1 to P4 promises hold",
    "usage": "age counts in calendar days",
    "calendar": "every Monday to Friday is a working day",
    "engineers": "no engineers are present",
    "work_orders": "nothing is known of visits, travel and outcomes",
    "site_repairs": "nothing is repaired at the sites",
    "overrides": "no planner changed a number",
}


def _missing_tables(data: Dataset) -> list[dict[str, str]]:
    return [
        {"stage": "data", "name": table, "value": "not given", "origin": "missing table", "meaning": implied}
        for table, implied in MISSING_MEANS.items()
        if table not in data.given
    ]


def summary_lines(
    demand: DemandForecast,
    grades: PartGrades,
    levels: StockLevels,
    check: Attainment,
    orders: Orders,
    crew: Headcount | None,
    exceptions: pd.DataFrame,
    as_of: pd.Timestamp,
    config: PlanConfig,
    left_out: list[dict[str, str]],
) -> tuple[str, ...]:
    """The plan in a dozen lines, from its results as `make_plan` has them."""
    table, moves = levels.table, orders.table
    kept = check.table["kept"]
    lines = [
        f"Plan as of {as_of:%Y-%m-%d}: {table['part_id'].nunique():,} parts at "
        f"{table['site_id'].nunique():,} sites, "
        f"{config.months} months ahead.",
        f"Money in base stock {levels.cost:,.0f}; no plan that keeps the same promises can cost less than "
        f"{levels.lower_bound:,.0f} (gap {levels.gap:.2%}).",
        *(line[0].upper() + line[1:] + "." for line in levels.wishes),
        f"Service: {levels.served_share(demand.table):.1%} of demand is met from the shelf; simulation of "
        f"{config.years} years keeps "
        f"{int(kept.sum())} of {len(kept)} promises.",
        "Who plans: "
        + ", ".join(
            f"{count:,} parts {str(planner).replace('_', ' ')}"
            for planner, count in grades.table["planner"].value_counts().sort_index().items()
        )
        + ".",
    ]
    if len(moves):
        bought = moves[moves["kind"] == "purchase"]
        urgent = moves[moves["kind"] == "emergency"]
        lines.append(
            f"Orders for {config.weeks} weeks: {len(moves):,} worth {moves['value'].sum():,.0f}, of these "
            f"{len(bought):,} purchases worth {bought['value'].sum():,.0f} and {len(urgent):,} emergencies."
        )
    else:
        lines.append(f"No orders are needed in the next {config.weeks} weeks.")
    if crew is not None and len(crew.table):
        lines += list(crew.lines[:2])
    if len(exceptions):
        worst = exceptions.iloc[0]
        lines.append(f"{len(exceptions):,} exceptions; the worst: {worst['message']} -> {worst['action']}")
    lines += [f"Left out: {row['what']} ({row['reason']})" for row in left_out[:3]]
    return tuple(lines)


def plan_figures(plan: Plan) -> dict[str, float]:
    """Figures by which plans are compared, each with its unit."""
    levels, orders = plan.levels, plan.orders.table
    figures = {
        "money in base stock [money]": levels.cost,
        "lower bound [money]": levels.lower_bound,
        "gap to the bound [share]": levels.gap,
        "demand met from the shelf [share]": levels.served_share(plan.demand.table),
        "expected backorders at the sites [pieces]": float(
            levels.table.loc[levels.table["region_id"].notna(), "ebo"].sum()
        ),
        "pieces in base stock [pieces]": float(levels.table["base_stock"].sum()),
        "expected demand in the horizon [pieces]": float(plan.demand.table["mean"].sum()),
        "orders [count]": float(len(orders)),
        "value of orders [money]": float(orders["value"].sum()),
        "value of purchases [money]": float(orders.loc[orders["kind"] == "purchase", "value"].sum()),
        "emergency orders [count]": float((orders["kind"] == "emergency").sum()),
        "exceptions [count]": float(len(plan.exceptions)),
    }
    if "previous_base_stock" in levels.table:
        before = levels.table["previous_base_stock"]
        moved = before.notna() & (before != levels.table["base_stock"])
        figures["levels changed against the plan before [count]"] = float(moved.sum())
    if plan.check is not None:
        figures["promises kept in simulation [share]"] = float(plan.check.table["kept"].mean())
    if plan.crew is not None and len(plan.crew.table):
        by_month = plan.crew.table.groupby("month")[["required", "headcount"]].sum()
        figures["engineers required, busiest month [people]"] = float(by_month["required"].max())
        figures["engineers present, first month [people]"] = float(by_month["headcount"].iloc[0])
    return figures


def run_rows(
    data: Dataset, as_of: pd.Timestamp, config: PlanConfig, previous: Plan | None
) -> Iterator[dict[str, str]]:
    """Assumptions of a run as a whole: last known day, plan before, missing tables, notes, made-up values.

    Parameters
    ----------
    data : Dataset
    as_of : Timestamp
    config : PlanConfig
    previous : Plan, optional

    Yields
    ------
    dict
        stage, name, value, origin, meaning.
    """
    yield {
        "stage": "plan",
        "name": "as_of used",
        "value": f"{as_of:%Y-%m-%d}",
        "origin": "set by the user" if config.as_of else "end of the month of the latest record",
        "meaning": "last day known",
    }
    yield from _before(previous)
    yield from _missing_tables(data)
    for row in data.notes.itertuples(index=False):
        yield {
            "stage": "data",
            "name": str(row.table),
            "value": str(row.note),
            "origin": "data: notes",
            "meaning": "noticed while reading",
        }
    for name, words in sorted(data.assumed.items()):
        yield {
            "stage": "data",
            "name": name,
            "value": words,
            "origin": "assumed by the user",
            "meaning": "stands in for what the data lacks",
        }


def _before(previous: Plan | None) -> list[dict[str, str]]:
    """The plan before among the assumptions."""
    if previous is None:
        return []
    number = "" if previous.version is None else f"version {previous.version}, "
    return [
        {
            "stage": "plan",
            "name": "plan before",
            "value": f"{number}as of {previous.as_of:%Y-%m-%d}",
            "origin": "set by the user",
            "meaning": "its overrides live on; what it issued for the frozen weeks stays",
        }
    ]


def carried_lines(
    previous: Plan | None, horizon: FrozenHorizon | None, kept: int | None, applied: pd.DataFrame
) -> tuple[str, ...]:
    """What the plan before and the planners left in this one, in words.

    Parameters
    ----------
    previous : Plan, optional
    horizon : FrozenHorizon, optional
    kept : int, optional
        Issued orders that stay.
    applied : DataFrame
        From `list_overrides`.

    Returns
    -------
    tuple of str
    """
    lines = []
    if previous is not None:
        number = "" if previous.version is None else f"version {previous.version}, "
        line = f"Follows {number}the plan as of {previous.as_of:%Y-%m-%d}"
        if horizon is not None and kept is not None:
            line += f": {kept:,} orders it issued stay until {horizon.orders_until:%Y-%m-%d}"
        lines.append(line + ".")
    if len(applied):
        counts = applied["status"].value_counts().sort_index()
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        lines.append(f"{len(applied)} overrides: {told}.")
    return tuple(lines)
