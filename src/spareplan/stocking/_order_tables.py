"""Table step of the replenishment: frames checked against each other -> arrays of a `Setting`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_WEEK
from spareplan.results import DemandForecast, PartGrades, StockLevels
from spareplan.stocking._promised import uncovered
from spareplan.stocking._routes import build_routes, sites_below
from spareplan.stocking._setting import Setting, Spread
from spareplan.stocking._shelves import Array, Ints, Routes
from spareplan.tables.calendars import day_numbers
from spareplan.tables.frames import check_keys, require_columns
from spareplan.tables.part_facts import part_tiers

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

TIER_UNKNOWN = 3


def build_setting(
    data: Dataset,
    demand: DemandForecast,
    levels: StockLevels,
    grades: PartGrades | None,
    today: pd.Timestamp,
    weeks: int,
) -> Setting:
    """Check the frames against each other and turn them into arrays.

    Parameters
    ----------
    data, demand, levels, grades
        As in `plan_replenishment`.
    today : Timestamp
        Last known day.
    weeks : int
        Weeks to plan.

    Returns
    -------
    Setting

    Raises
    ------
    DataError
        Unknown parts or sites, doubled keys, missing columns.
    """
    said: list[dict[str, Any]] = []

    def assume(name: str, value: object, unit: str, origin: str, meaning: str) -> None:
        said.append(
            {
                "stage": "replenishment",
                "name": name,
                "value": value,
                "unit": unit,
                "origin": origin,
                "meaning": meaning,
            }
        )

    parts = data.parts.sort_values("part_id", kind="stable")
    part_ids, site_ids = pd.Index(parts["part_id"]), pd.Index(data.network.site_ids)
    monday = today + pd.Timedelta(days=DAYS_PER_WEEK - today.weekday())
    assume(
        "first_week", f"{monday:%Y-%m-%d}", "", f"data: last known day {today:%Y-%m-%d}", "Monday after it"
    )

    lead = parts["lead_time_days"].to_numpy(dtype=float)
    routes, purchase_day = build_routes(data, site_ids, monday, weeks, lead, assume)
    late = np.concatenate([routes.arrives[:weeks].max(axis=1) // DAYS_PER_WEEK - np.arange(weeks), [1]])
    urgent = np.nanmax(np.append(routes.emergency_days, 0.0)) // DAYS_PER_WEEK + 1
    seen = int(weeks + max(late.max(), urgent) + 2)
    mondays = pd.date_range(monday, periods=seen, freq="7D")

    _known(demand.table, "demand forecast", part_ids, site_ids)
    months = pd.DatetimeIndex(sorted(demand.table["month"].unique()))
    day_share = _day_share(months, today, monday, seen)
    tables = {
        "demand": _spread(
            demand.table,
            part_ids,
            site_ids,
            mean=demand.table["mean"],
            month=months.get_indexer(pd.DatetimeIndex(demand.table["month"])),
        )
    }
    tables["levels"], planner_names = _levels(levels.table, part_ids, site_ids)
    repair_days = parts["repair_days"].to_numpy(dtype=float)
    unsaid = np.isnan(repair_days)
    concerned = unsaid & (parts["repairable_share"].to_numpy(dtype=float) > 0)
    if concerned.any():
        assume(
            "parts_without_repair_days",
            int(concerned.sum()),
            "parts",
            "data: parts.repair_days",
            "not given: repaired in the supplier's lead time",
        )
    repair_days = np.where(unsaid, lead, repair_days)
    _stock_tables(data, tables, part_ids, site_ids, routes, monday, today, lead, repair_days, assume)

    tier, planner = _from_grades(data, grades, part_ids, planner_names, assume)
    for name, meaning in (
        ("stock", "nothing on hand, nothing owed"),
        ("open_orders", "nothing on the way"),
        ("reservations", "no promised pieces"),
        ("calendar", "Monday to Friday, no holidays"),
    ):
        if name not in data.given:
            assume(name, "missing", "", "data: table not given", meaning)
    last_buy = day_numbers(parts["last_buy_on"], monday)
    ends = parts["last_buy_on"].notna().to_numpy()
    sold = ~(ends & (last_buy < DAYS_PER_WEEK * np.arange(weeks)[:, None]))
    if data.sites["capacity"].notna().any():
        assume(
            "capacity", "not applied", "", "data: sites.capacity", "room at the sites does not limit orders"
        )
    return Setting(
        part_ids,
        site_ids,
        mondays,
        weeks,
        seen,
        routes,
        parts["unit_cost"].to_numpy(dtype=float),
        lead,
        {name: parts[name].to_numpy(dtype=float) for name in ("min_order", "pack_size", "repairable_share")}
        | {"repair_days": repair_days},
        purchase_day,
        sold,
        day_share,
        sites_below(routes.parent),
        tables,
        uncovered(data.reservations, data.stock, part_ids, site_ids, monday),
        _carried(data, part_ids, site_ids, routes.parent),
        tier,
        planner_names,
        planner,
        said,
    )


def _day_share(months: pd.DatetimeIndex, today: pd.Timestamp, monday: pd.Timestamp, seen: int) -> Array:
    """Share of each month's demand in each stretch, shape (1 + weeks seen, months).

    Row 0 is the days between today and the first Monday. Days before or after the forecast take the daily
    rate of its first or last month.
    """
    if not len(months):
        return np.zeros((seen + 1, 0))
    dates = pd.date_range(today + pd.Timedelta(days=1), monday + pd.Timedelta(days=DAYS_PER_WEEK * seen - 1))
    stretch = np.maximum((dates - monday).days // DAYS_PER_WEEK + 1, 0)
    month = np.clip(months.searchsorted(dates, side="right") - 1, 0, len(months) - 1)
    share = np.zeros((seen + 1, len(months)))
    np.add.at(share, (stretch, month), 1.0 / months.days_in_month.to_numpy(dtype=float)[month])
    return share


def _levels(table: pd.DataFrame, part_ids: pd.Index, site_ids: pd.Index) -> tuple[Spread, list[str]]:
    require_columns(table, ["part_id", "site_id", "base_stock"], "levels")
    check_keys(table, ["part_id", "site_id"], "levels")
    _known(table, "levels", part_ids, site_ids)
    base = table["base_stock"].to_numpy(dtype=float)
    full = table.reindex(columns=["reorder_point", "order_quantity"])
    reorder, batch = full["reorder_point"].to_numpy(dtype=float), full["order_quantity"].to_numpy(dtype=float)
    reorder = np.minimum(np.where(np.isnan(reorder), base - 1, reorder), base - 1)
    names = ["hq", "hq_routine_region_emergency", "region", "third_party"]
    code = (
        pd.Index(names).get_indexer(pd.Index(table["planner"]))
        if "planner" in table
        else np.full(len(table), -1)
    )
    spread = _spread(
        table,
        part_ids,
        site_ids,
        base_stock=base,
        reorder_point=reorder,
        order_quantity=np.where(np.isnan(batch), 1.0, np.maximum(batch, 1.0)),
        planner=code,
    )
    return spread, names


def _stock_tables(
    data: Dataset,
    tables: dict[str, Spread],
    part_ids: pd.Index,
    site_ids: pd.Index,
    routes: Routes,
    monday: pd.Timestamp,
    today: pd.Timestamp,
    lead: Array,
    repair_days: Array,
    assume: Callable[..., None],
) -> None:
    """Stock, pieces on the way, and repairs, as `Spread`s with the week they arrive."""
    stock = data.stock
    _known(stock, "stock", part_ids, site_ids)
    number = {
        name: stock[name].fillna(0.0).to_numpy(dtype=float)
        for name in ("on_hand", "reserved", "backorders", "in_repair", "on_order")
    }
    tables["stock"] = _spread(
        stock, part_ids, site_ids, net=number["on_hand"] - number["reserved"] - number["backorders"]
    )
    part = part_ids.get_indexer(pd.Index(stock["part_id"]))
    site = site_ids.get_indexer(pd.Index(stock["site_id"]))

    orders = data.open_orders.sort_values(["part_id", "to_site_id", "due_on", "order_id"], kind="stable")
    orders = orders.rename(columns={"to_site_id": "site_id"})
    overdue = (orders["due_on"] <= today).to_numpy()
    if overdue.any():
        assume(
            "orders_overdue",
            int(overdue.sum()),
            "orders",
            "data: open_orders.due_on",
            "taken to arrive in the first week",
        )
    week = np.where(overdue, 0, np.floor_divide(day_numbers(orders["due_on"], monday), DAYS_PER_WEEK))
    coming = orders["quantity"].to_numpy(dtype=float)
    tables["open_orders"] = _spread(orders, part_ids, site_ids, quantity=coming, week=week)
    listed = orders.groupby(["part_id", "site_id"])["quantity"].sum()
    on_the_way = (
        listed.reindex(pd.MultiIndex.from_frame(stock[["part_id", "site_id"]])).fillna(0.0).to_numpy()
    )
    rest = np.maximum(number["on_order"] - on_the_way, 0.0)
    if (rest > 0).any():
        assume(
            "on_order_without_order",
            float(rest.sum()),
            "pieces",
            "data: stock.on_order, open_orders",
            "on the way without a date: they arrive after the full lead time",
        )
    path = np.where(site == 0, lead[part], (routes.arrives[0] - routes.order_day[0])[site])
    start = (today - monday).days
    arrives = np.floor_divide(start + np.ceil(path), DAYS_PER_WEEK).astype(np.int64)
    tables["on_order"] = _spread(
        stock[rest > 0], part_ids, site_ids, quantity=rest[rest > 0], week=arrives[rest > 0]
    )

    mending = data.site_repairs
    _known(mending, "site_repairs", part_ids, site_ids)
    tables["site_repairs"] = _spread(
        mending,
        part_ids,
        site_ids,
        share=mending["repair_share_site"].to_numpy(dtype=float),
        days=mending["repair_days_site"].to_numpy(dtype=float),
    )
    own = mending.set_index(["part_id", "site_id"])["repair_days_site"]
    days = own.reindex(pd.MultiIndex.from_frame(stock[["part_id", "site_id"]])).to_numpy(dtype=float)
    days = np.where(np.isnan(days), repair_days[part], days)
    pieces = np.floor(number["in_repair"])
    back = np.maximum(start + np.ceil(days), 0).astype(np.int64)
    kept = pieces > 0
    if kept.any():
        assume(
            "in_repair",
            float(pieces.sum()),
            "pieces",
            "data: stock.in_repair",
            "all come back good, a full repair time after the last known day",
        )
    tables["in_repair"] = _spread(
        stock[kept],
        part_ids,
        site_ids,
        quantity=pieces[kept],
        day=back[kept],
        week=back[kept] // DAYS_PER_WEEK,
    )


def _from_grades(
    data: Dataset,
    grades: PartGrades | None,
    part_ids: pd.Index,
    names: list[str],
    assume: Callable[..., None],
) -> tuple[Ints, Ints]:
    """Tier and planner of each part, where its sites do not say."""
    if grades is not None:
        table = grades.table.set_index("part_id").reindex(part_ids)
        tier = table["tier"].fillna(TIER_UNKNOWN).to_numpy(dtype=np.int64)
        return tier, np.maximum(pd.Index(names).get_indexer(pd.Index(table["planner"])), 0).astype(np.int64)
    best = part_tiers(data).reindex(part_ids)
    if best.isna().any():
        assume(
            "tier_unknown",
            TIER_UNKNOWN,
            "",
            "data: fitment, products",
            f"{int(best.isna().sum())} parts fit no known product",
        )
    return best.fillna(TIER_UNKNOWN).to_numpy(dtype=np.int64), np.zeros(len(part_ids), dtype=np.int64)


def _carried(
    data: Dataset, part_ids: pd.Index, site_ids: pd.Index, parent: Ints
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Ints]:
    """Which part fits which product, which product has machines at or below which site, and the tiers."""
    products = data.products.sort_values("product_id")
    names = pd.Index(products["product_id"])
    fits = np.zeros((len(part_ids), len(names)), dtype=bool)
    fits[
        part_ids.get_indexer(pd.Index(data.fitment["part_id"])),
        names.get_indexer(pd.Index(data.fitment["product_id"])),
    ] = True
    served = np.zeros((len(names), len(site_ids)), dtype=bool)
    running = data.units[data.units["retired_on"].isna()]
    served[
        names.get_indexer(pd.Index(running["product_id"])), site_ids.get_indexer(pd.Index(running["site_id"]))
    ] = True
    for site in range(len(parent) - 1, 0, -1):
        served[:, parent[site]] |= served[:, site]
    return fits, served, products["tier"].to_numpy(dtype=np.int64)


def _spread(frame: pd.DataFrame, part_ids: pd.Index, site_ids: pd.Index, **values: Any) -> Spread:
    part = part_ids.get_indexer(pd.Index(frame["part_id"])).astype(np.int64)
    site = site_ids.get_indexer(pd.Index(frame["site_id"])).astype(np.int64)
    order = np.lexsort((site, part))
    return Spread(
        part[order], site[order], {name: np.asarray(value)[order] for name, value in values.items()}
    )


def _known(frame: pd.DataFrame, table: str, part_ids: pd.Index, site_ids: pd.Index) -> None:
    """Refuse rows whose part or site is unknown."""
    problems = []
    for name, known in (("part_id", part_ids), ("site_id", site_ids)):
        strange = sorted(set(frame[name].unique()) - set(known))
        problems += [
            Problem(
                table,
                None,
                name,
                str(value),
                f"not in {name.removesuffix('_id')}s",
                "add it there or drop its rows",
            )
            for value in strange
        ]
    if problems:
        raise DataError(problems)
