"""The worked example: concrete pumps and road machines in eleven Chinese regions, four years of records."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.maths.units import MONTHS_PER_YEAR
from spareplan.tables import samples_facts as facts
from spareplan.tables.samples_engine import Clock, compound_sales, renew_fleet, stream, sum_equal_rows, to_day
from spareplan.tables.samples_facts import Sample
from spareplan.tables.samples_pump_fleet import (
    FIRST_MONTH,
    LAST_DAY,
    RUN_OUT,
    pump_sales_plan,
    pump_sites,
    pump_units,
    pump_usage,
    use_groups,
)
from spareplan.tables.samples_pump_future import next_year
from spareplan.tables.samples_pump_parts import fitted_parts, parts_master, site_repairs
from spareplan.tables.samples_service import engineers_for, service_orders
from spareplan.tables.samples_stock import month_end_stock

RECORDS_FROM = pd.Timestamp("2022-01-01")
LATE_RECORDS = {"新疆": pd.Timestamp("2022-07-01")}


def delivery_pump(seed: int) -> Sample:
    """Make the delivery-pump sample.

    Parameters
    ----------
    seed : int
        Not negative.

    Returns
    -------
    Sample
    """
    regions, sites, products = _regions(), pump_sites(), _products()
    usage = pump_usage(seed)
    units = pump_units(seed, sites).merge(sites[["site_id", "region_id"]], on="site_id", how="left")
    known, fits = fitted_parts(seed)
    clock = Clock.from_monthly(
        pd.date_range(FIRST_MONTH, RUN_OUT, freq="MS"),
        usage.pivot_table(index=["product_id", "region_id"], columns="month", values="hours_per_unit")
        .reindex(use_groups())
        .to_numpy(dtype=float),
    )
    pieces = _pieces(units, known, fits)
    renewals = renew_fleet(stream(seed, "replacements"), clock, pieces)
    events = _recorded(pieces, renewals)
    orders, events = service_orders(seed, events, units, known, LAST_DAY, facts.REGIONS)
    in_records = events["replaced_on"].le(LAST_DAY)
    replacements = events[in_records].drop(columns=["site_id", "region_id"]).reset_index(drop=True)
    counter, counter_truth = _counter_sales(seed, sites, units)
    parts = parts_master(known)
    taken = pd.concat(
        [
            events.loc[in_records, ["part_id", "site_id", "replaced_on", "quantity"]],
            counter.rename(columns={"month": "replaced_on"}),
        ]
    )
    stock, open_orders = month_end_stock(seed, parts, sites, taken, LAST_DAY)
    tables = {
        "products": products,
        "parts": parts,
        "fitment": fits[["product_id", "part_id", "quantity"]],
        "regions": regions,
        "sites": sites,
        "units": units.drop(columns=["latent_end", "region_id"]),
        "site_repairs": site_repairs(parts),
        "usage": usage[usage["month"].le(LAST_DAY)],
        "replacements": replacements,
        "demand": counter,
        "stock": stock,
        "open_orders": open_orders,
        "reservations": _reservations(),
        "sales_plan": pump_sales_plan(seed, sites),
        "work_orders": orders,
        "engineers": engineers_for(orders, facts.REGIONS),
        "promises": pd.DataFrame(
            facts.PROMISES,
            columns=["priority", "respond_hours", "resolve_hours", "target", "response_mode", "clock"],
        ),
        "targets": pd.DataFrame(
            facts.TARGETS,
            columns=["tier", "target_fill_rate", "target_wait_days", "window_days", "target_in_window"],
        ),
        "calendar": _calendar(),
        "overrides": _overrides(),
    }
    # What nobody knows on the last day stands in the truth: lives, rates, and the year that followed.
    lives = known[["part_id", "shape", "scale_hours", "planned_age_hours", "as_set", "position_known"]]
    lives = lives.assign(planned_age_hours=lives["planned_age_hours"].replace(0, np.nan))
    actual = next_year(seed, clock, pieces, renewals, tables["sales_plan"], counter_truth)
    return Sample(tables, {"lives": lives, "counter_rates": counter_truth, "next_year": actual})


def _regions() -> pd.DataFrame:
    frame = pd.DataFrame(
        [row[:4] for row in facts.REGIONS], columns=["region_id", "name", "area_km2", "market_stage"]
    )
    frame["records_from"] = frame["region_id"].map(LATE_RECORDS).fillna(RECORDS_FROM)
    return frame


def _products() -> pd.DataFrame:
    return pd.DataFrame(
        [row[:4] for row in facts.PRODUCTS], columns=["product_id", "name", "tier", "downtime_cost_per_day"]
    )


def _pieces(units: pd.DataFrame, known: pd.DataFrame, fits: pd.DataFrame) -> pd.DataFrame:
    """Every part in every machine with its truth; rail customers have some replaced at a planned age."""
    truth = known[["part_id", "shape", "scale_hours", "planned_age_hours", "as_set", "position_known"]]
    pieces = units.merge(fits, on="product_id").merge(truth, on="part_id")
    pieces = pieces.sort_values(["unit_id", "part_id"], ignore_index=True)
    serviced = pieces["customer_segment"].eq(facts.PLANNED_SEGMENT) & pieces["planned_age_hours"].gt(0)
    return pieces.assign(
        group=use_groups().get_indexer(pd.MultiIndex.from_frame(pieces[["product_id", "region_id"]])),
        start_day=to_day(pieces["commissioned_on"]).astype(float),
        end_day=np.minimum(pieces["latent_end"].to_numpy(), to_day([RUN_OUT])[0]).astype(float),
        planned_age_hours=pieces["planned_age_hours"].where(serviced, np.inf),
        use=1.0,
    )


def _recorded(pieces: pd.DataFrame, renewals: pd.DataFrame) -> pd.DataFrame:
    """Keep renewals since the records of the region began, up to the unseen month after the last day."""
    hit = pieces.iloc[renewals["piece"].to_numpy()].reset_index(drop=True)
    events = renewals.drop(columns="piece")
    several = hit["position_known"] & hit["quantity"].gt(1) & ~hit["as_set"]
    events["position"] = events["position"].astype(str).where(several)
    events = hit[["unit_id", "part_id"]].join(events).join(hit[["site_id", "region_id"]])
    known_from = events["region_id"].map(LATE_RECORDS).fillna(RECORDS_FROM)
    events = events[events["replaced_on"] >= known_from]
    return sum_equal_rows(events).sort_values(
        ["replaced_on", "unit_id", "part_id", "position"], ignore_index=True
    )


def _counter_sales(seed: int, sites: pd.DataFrame, units: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Consumables sold over the counter, more where more machines stand."""
    rng = stream(seed, "demand")
    months = pd.date_range(RECORDS_FROM, LAST_DAY, freq="MS")
    goods = pd.DataFrame(facts.COUNTER_PARTS, columns=["part_id", "name", "unit_cost", "per_machine_year"])
    goods["mean_order_size"] = (1 + 3 * rng.random(len(goods))).round(2)
    machines = units["site_id"].value_counts().rename("machines")
    rates = goods.merge(sites[["site_id"]].join(machines, on="site_id", how="inner"), how="cross")
    popularity = np.exp(rng.normal(0, 0.4, len(rates)))
    yearly = rates["machines"] * rates["per_machine_year"] / rates["mean_order_size"] * popularity
    rates["orders_per_month"] = (yearly / MONTHS_PER_YEAR).round(4)
    size = rates["mean_order_size"].to_numpy()
    row, month, quantity = compound_sales(rng, rates["orders_per_month"].to_numpy(), size, len(months))
    sales = rates[["part_id", "site_id"]].iloc[row].reset_index(drop=True)
    truth = rates[["part_id", "site_id", "orders_per_month", "mean_order_size"]]
    return sales.assign(month=months[month], quantity=quantity), truth


def _reservations() -> pd.DataFrame:
    rows = [
        ("00101", "010", "2026-01-19", 1, "计划大修 DP0027"),
        ("00103", "010", "2026-01-19", 2, "计划大修 DP0027"),
        ("00115", "040", "2026-02-09", 2, "客户订单 轨道交通"),
        ("00113", "041", "2026-01-26", 8, "节前保养"),
        ("00111", "060", "2026-03-02", 4, "春节后开工检修"),
        ("00112", "060", "2026-03-02", 4, "春节后开工检修"),
        ("00102", "050", "2026-04-13", 1, "计划大修 DP0108"),
    ]
    frame = pd.DataFrame(rows, columns=["part_id", "site_id", "due_on", "quantity", "why"])
    return frame.assign(due_on=pd.to_datetime(frame["due_on"]))


def _calendar() -> pd.DataFrame:
    days = [(day, kind) for first, last, kind in facts.CALENDAR for day in pd.date_range(first, last)]
    frame = pd.DataFrame(days, columns=["date", "kind"])
    return _regions()[["region_id"]].merge(frame, how="cross")


def _overrides() -> pd.DataFrame:
    rows = [
        (
            "demand",
            "mean",
            "00111",
            "060",
            "西南",
            "2026-03-01",
            24.0,
            "李敏",
            "2025-12-29",
            "重庆地铁项目春节后复工,三个月集中施工",
            "2026-06-30",
        ),
        (
            "levels",
            "base_stock",
            "00102",
            "070",
            "新疆",
            None,
            2.0,
            "王磊",
            "2025-12-30",
            "冬季封路,乌鲁木齐至少备两台",
            "2026-04-30",
        ),
    ]
    frame = pd.DataFrame(
        rows,
        columns=[
            "table",
            "column",
            "part_id",
            "site_id",
            "region_id",
            "month",
            "value",
            "who",
            "when",
            "why",
            "expires_on",
        ],
    )
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in ("month", "when", "expires_on")})
