"""Cut a plan by region and merge purchases; every row lands in exactly one cut, so totals are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from spareplan.errors import ExportError
from spareplan.export.contract import HQ_SHEETS, OPTIONAL_COLUMNS, REGION_SHEETS, SHEETS
from spareplan.export.engineers import PREFIX, cut_engineers, engineer_frames, region_lines
from spareplan.results import Plan

HQ = "HQ"


@dataclass(frozen=True)
class RegionalPlan:
    """What one region (or HQ) receives.

    Parameters
    ----------
    region_id, name : str
        "HQ" for headquarters, which holds the sites without a region.
    sheets : mapping of str to DataFrame
        Columns of the export contract.
    facts : list of (key, value)
        Head of the summary: keys are words of `language`, values numbers or text.
    lines : tuple of str
        What a colleague would say.
    """

    region_id: str
    name: str
    sheets: Mapping[str, pd.DataFrame]
    facts: list[tuple[str, Any]]
    lines: tuple[str, ...]


def region_names(plan: Plan) -> dict[str, str]:
    """Regions that have sites or engineers in the plan.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    dict
        region_id to name, sorted by id.
    """
    sites = plan.inputs["sites"]
    ids = set(sites["region_id"].dropna().astype(str))
    if plan.crew is not None:
        ids |= set(plan.crew.table["region_id"].dropna().astype(str))
    regions = plan.inputs.get("regions")
    names = (
        {} if regions is None else dict(zip(regions["region_id"].astype(str), regions["name"].astype(str)))
    )
    return {region: names.get(region, region) for region in sorted(ids)}


def find_region(plan: Plan, wanted: str) -> str:
    """Id of a region given by id or name.

    Parameters
    ----------
    plan : Plan
    wanted : str
        Id, name, or "HQ".

    Returns
    -------
    str

    Raises
    ------
    ExportError
        No region is called so; those that exist are named.
    """
    names = region_names(plan)
    if wanted in names or wanted == HQ:
        return wanted
    by_name = [region for region, name in names.items() if name == wanted]
    if len(by_name) == 1:
        return by_name[0]
    known = ", ".join(f"{region} ({name})" if region != name else region for region, name in names.items())
    raise ExportError(f"there is no region {wanted!r}; there are {known} and {HQ}")


def cut_plan(plan: Plan, region_id: str, whole: Mapping[str, pd.DataFrame] | None = None) -> RegionalPlan:
    """The part of a plan that belongs to one region.

    Parameters
    ----------
    plan : Plan
    region_id : str
        Id of a region, or "HQ" for the sites without one.
    whole : mapping of str to DataFrame, optional
        `full_sheets` of the plan, where several cuts share them.

    Returns
    -------
    RegionalPlan
    """
    whole = full_sheets(plan) if whole is None else whole
    region = _site_regions(plan)
    if region_id == HQ:
        sheets = {
            name: whole[name]
            for name in ("purchasing", "last_buys", "grades", "service", "assumptions", "left_out")
        } | {name: frame for name, frame in whole.items() if name.startswith(PREFIX)}
    else:
        sheets = {"assumptions": whole["assumptions"]} | cut_engineers(whole, region_id)
    for name, column in (("orders", "to_site_id"), ("levels", "site_id"), ("forecast", "site_id")):
        sheets[name] = _rows(whole[name], whole[name][column].map(region), region_id)
    moves = whole["orders"]
    leaves = (moves["from_site_id"].map(region) == region_id) & (moves["to_site_id"].map(region) != region_id)
    sheets["shipments"] = moves[leaves].reset_index(drop=True)
    place = whole["exceptions"]["region_id"].fillna(whole["exceptions"]["site_id"].map(region)).fillna(HQ)
    sheets["exceptions"] = _rows(whole["exceptions"], place, region_id)
    # Headquarters sees all regions' visits and engineers.
    for name, place in (
        ("visits", whole["visits"]["site_id"].map(region)),
        ("engineers", whole["engineers"]["region_id"]),
    ):
        sheets[name] = whole[name] if region_id == HQ else _rows(whole[name], place, region_id)
    sheets["overrides"] = _overrides_of(whole["overrides"], region, region_id)
    order = [
        name
        for name in (HQ_SHEETS if region_id == HQ else REGION_SHEETS)
        if name in sheets and (name != "overrides" or len(sheets[name]))
    ]
    name = HQ if region_id == HQ else region_names(plan)[region_id]
    lines = plan.lines if region_id == HQ else tuple(_regional_lines(sheets))
    return RegionalPlan(
        region_id,
        name,
        {key: sheets[key] for key in order},
        _facts(plan, whole if region_id == HQ else sheets),
        lines,
    )


def full_sheets(plan: Plan) -> dict[str, pd.DataFrame]:
    """All sheets of the export contract for the whole plan.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    dict of str to DataFrame
        Every sheet of `SHEETS` but "shipments", which only exists for a cut, and those about engineers that
        have no rows.
    """
    parts = plan.inputs["parts"].set_index("part_id")["name"]
    sites = plan.inputs["sites"].set_index("site_id")["name"]
    levels = plan.levels.table
    stock = plan.inputs.get("stock")
    if stock is not None and len(stock):
        levels = levels.merge(stock[["part_id", "site_id", "on_hand"]], on=["part_id", "site_id"], how="left")
        levels["on_hand"] = levels["on_hand"].fillna(0)
    tables = {
        "orders": plan.orders.table,
        "purchasing": merge_purchases(plan),
        "levels": levels,
        "exceptions": plan.exceptions,
        "forecast": plan.demand.table,
        "visits": plan.demand.visits,
        "last_buys": plan.last_buys,
        "engineers": pd.DataFrame() if plan.crew is None else plan.crew.table,
        "grades": plan.grades.table,
        "service": pd.DataFrame() if plan.check is None else plan.check.table,
        "assumptions": plan.assumptions,
        "left_out": plan.left_out,
        "overrides": plan.inputs.get("applied_overrides", pd.DataFrame()),
    } | engineer_frames(plan.crew)
    return {name: _shaped(name, frame, parts, sites) for name, frame in tables.items()}


def merge_purchases(plan: Plan) -> pd.DataFrame:
    """One purchasing list for HQ: the same part of the same supplier in the same week is one line.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    DataFrame
        Columns of the "purchasing" sheet; quantity and value sum to those of the purchase orders.
    """
    orders = plan.orders.table
    bought = orders[orders["kind"].eq("purchase")]
    parts = plan.inputs["parts"]
    lines = bought.groupby(["week", "part_id"], as_index=False, sort=True).agg(
        quantity=("quantity", "sum"), value=("value", "sum"), reason=("reason", "first")
    )
    facts = parts[["part_id", "supplier", "unit_cost", "lead_time_days"]]
    lines = lines.merge(facts, on="part_id", how="left", validate="many_to_one")
    fitment = plan.inputs.get("fitment")
    if fitment is not None and len(fitment):
        used = fitment.sort_values(["part_id", "product_id"]).groupby("part_id")["product_id"].agg(", ".join)
        lines["products"] = lines["part_id"].map(used)
    lines["arrives_on"] = lines["week"] + pd.to_timedelta(lines["lead_time_days"].fillna(0), unit="D")
    return lines.sort_values(["week", "supplier", "part_id"], na_position="last").reset_index(drop=True)


def _site_regions(plan: Plan) -> pd.Series:
    sites = plan.inputs["sites"]
    return sites.set_index("site_id")["region_id"].astype(object).fillna(HQ)


def _overrides_of(overrides: pd.DataFrame, region: pd.Series, region_id: str) -> pd.DataFrame:
    """Overrides that reach a region: its own, and those of all regions; headquarters sees every one."""
    if region_id == HQ or overrides.empty:
        return overrides
    place = (
        overrides["region_id"]
        .astype(object)
        .where(overrides["region_id"].notna(), overrides["site_id"].map(region))
    )
    own = (place == region_id) | (place.isna() & overrides["site_id"].isna())
    return overrides[own.to_numpy(dtype=bool)].reset_index(drop=True)


def _rows(frame: pd.DataFrame, place: pd.Series, region_id: str) -> pd.DataFrame:
    return frame[(place == region_id).to_numpy(dtype=bool)].reset_index(drop=True)


def _shaped(sheet: str, frame: pd.DataFrame, parts: pd.Series, sites: pd.Series) -> pd.DataFrame:
    """Add names beside ids and bring the columns into the order of the contract."""
    frame = frame.copy()
    if "part_id" in frame:
        frame["part_name"] = frame["part_id"].map(parts)
    for column in ("site_id", "from_site_id", "to_site_id"):
        if column in frame:
            frame[column.replace("_id", "_name")] = frame[column].map(sites)
    columns = [name for name in SHEETS[sheet] if name in frame or not _is_optional(name)]
    return frame.reindex(columns=columns)


def _is_optional(column: str) -> bool:
    return column.startswith(("q0.", "model_")) or column in OPTIONAL_COLUMNS


def _facts(plan: Plan, sheets: Mapping[str, pd.DataFrame]) -> list[tuple[str, Any]]:
    levels, orders, crew = sheets["levels"], sheets["orders"], sheets["engineers"]
    served = plan.levels.served_share(plan.demand.table, levels["site_id"].unique())
    money = _money_by_decision(levels)
    facts: list[tuple[str, Any]] = [
        ("as_of", plan.as_of),
        ("money_in_base_stock", money["decided"] + money["to_confirm"]),
        *((f"money_{name}", money[name]) for name in ("to_confirm", "third_party") if money[name] > 0),
        ("fill_rate", served),
        ("orders", len(orders)),
        ("value_of_orders", float(orders["value"].sum())),
        ("exceptions", len(sheets["exceptions"])),
    ]
    if len(crew):
        by_month = crew.groupby("month")[["required", "headcount"]].sum()
        facts += [
            ("engineers_required_most", float(by_month["required"].max())),
            ("engineers_present", float(by_month["headcount"].iloc[0])),
        ]
    return facts


def _money_by_decision(levels: pd.DataFrame) -> dict[str, float]:
    """Money in base stock by whose word the rows are. [money]."""
    given = levels["decision"] if "decision" in levels else pd.Series("decided", index=levels.index)
    sums = levels["value"].groupby(given.astype(object)).sum()
    return {name: float(sums.get(name, 0.0)) for name in ("decided", "to_confirm", "third_party")}


def _regional_lines(sheets: Mapping[str, pd.DataFrame]) -> list[str]:
    levels, orders, problems = sheets["levels"], sheets["orders"], sheets["exceptions"]
    money = _money_by_decision(levels)
    planned = money["decided"] + money["to_confirm"]
    lines = [
        f"{planned:,.0f} of stock is planned for {levels['part_id'].nunique():,} parts at "
        f"{levels['site_id'].nunique()} sites."
    ]
    if money["to_confirm"] > 0:
        lines.append(f"Of these {money['to_confirm']:,.0f} are the region's own plan, to be confirmed by it.")
    if money["third_party"] > 0:
        lines.append(f"Third parties hold {money['third_party']:,.0f} beside it, at their own cost.")
    if len(orders):
        first = orders[orders["week"] == orders["week"].min()]
        lines.append(
            f"{len(orders):,} orders worth {orders['value'].sum():,.0f} over the horizon, {len(first):,} of "
            f"them in the week of {orders['week'].min():%Y-%m-%d}."
        )
    urgent = orders[orders["kind"].eq("emergency")]
    if len(urgent):
        lines.append(f"{len(urgent):,} emergency orders, worth {urgent['value'].sum():,.0f}.")
    lines += region_lines(sheets)
    if len(problems):
        lines.append(f"{len(problems):,} exceptions; the worst: {problems['message'].iloc[0]}")
    return lines
