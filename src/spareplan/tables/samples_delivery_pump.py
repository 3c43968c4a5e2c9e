"""The worked example: concrete pumps and road machines in eleven Chinese regions, four years of records."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import gamma

from spareplan.maths.units import DAYS_PER_YEAR, MONTHS_PER_YEAR
from spareplan.tables import samples_facts as facts
from spareplan.tables.samples_engine import Clock, simulate_renewals, stream, to_date, to_day
from spareplan.tables.samples_facts import Sample
from spareplan.tables.samples_service import engineers_for, service_orders
from spareplan.tables.samples_stock import month_end_stock

FIRST_MONTH = pd.Timestamp("2015-01-01")
RECORDS_FROM = pd.Timestamp("2022-01-01")
LATE_RECORDS = {"新疆": pd.Timestamp("2022-07-01")}
LAST_DAY = pd.Timestamp("2025-12-31")
# Orders still open on the last day end a little later, so the fleet runs on unseen.
RUN_OUT = pd.Timestamp("2026-02-01")
PLAN_MONTHS = pd.date_range("2026-01-01", periods=12, freq="MS")
PLANNED_FILTER_HOURS = 6_000.0
LIFE_SPREAD = 0.85
COST_SPREAD = 0.8


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
    regions, sites, products = _regions(), _sites(), _products()
    usage = _usage(seed)
    units = _units(seed, sites)
    known, fits = _fitted_parts(seed)
    clock = Clock.from_monthly(
        pd.date_range(FIRST_MONTH, RUN_OUT, freq="MS"),
        usage.pivot_table(index=["product_id", "region_id"], columns="month", values="hours_per_unit")
        .reindex(_groups())
        .to_numpy(dtype=float),
    )
    events = _replacements(seed, clock, units, known, fits)
    orders, events = service_orders(
        seed, events, units.merge(sites[["site_id", "region_id"]]), known, LAST_DAY, facts.REGIONS
    )
    in_records = events["replaced_on"].le(LAST_DAY)
    replacements = events[in_records].drop(columns=["site_id", "region_id"]).reset_index(drop=True)
    counter, counter_truth = _counter_sales(seed, sites, units)
    parts = _parts(known)
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
        "units": units.drop(columns="latent_end"),
        "site_repairs": _site_repairs(parts),
        "usage": usage[usage["month"].le(LAST_DAY)],
        "replacements": replacements,
        "demand": counter,
        "stock": stock,
        "open_orders": open_orders,
        "reservations": _reservations(),
        "sales_plan": _sales_plan(seed, sites),
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
    lives = known[["part_id", "shape", "scale_hours", "planned_age_hours", "as_set", "position_known"]]
    return Sample(tables, {"lives": lives, "counter_rates": counter_truth})


def _regions() -> pd.DataFrame:
    frame = pd.DataFrame(
        [row[:4] for row in facts.REGIONS], columns=["region_id", "name", "area_km2", "market_stage"]
    )
    frame["records_from"] = frame["region_id"].map(LATE_RECORDS).fillna(RECORDS_FROM)
    return frame


def _sites() -> pd.DataFrame:
    hq, hq_name, latitude, longitude = facts.HQ_SITE
    rows: list[dict[str, object]] = [
        {"site_id": hq, "name": hq_name, "lead_time_days": 0, "latitude": latitude, "longitude": longitude}
    ]
    for index, (region, depot, name, days, latitude, longitude, stations) in enumerate(facts.DEPOTS):
        pool = facts.DEPOT_POOLS.get(region)
        rows.append(
            {
                "site_id": depot,
                "name": name,
                "region_id": region,
                "parent_id": hq,
                "lead_time_days": days,
                "ship_weekday": 1 + index % 5,
                "lateral_pool": pool,
                "lateral_days": 1 if pool else None,
                "emergency_days": 1 if days < 4 else 2,
                "transport_cost": 12 + 6 * days,
                "lateral_cost": 90 if pool else None,
                "emergency_cost": 260 + 60 * days,
                "latitude": latitude,
                "longitude": longitude,
            }
        )
        shared = len(stations) > 1
        for site_id, station, extra, latitude, longitude in stations:
            rows.append(
                {
                    "site_id": site_id,
                    "name": station,
                    "region_id": region,
                    "parent_id": depot,
                    "lead_time_days": extra,
                    "ship_weekday": 1 + (index + 2) % 5,
                    "capacity": 1_500,
                    "lateral_pool": f"{region}站" if shared else None,
                    "lateral_days": 0.5 if shared else None,
                    "emergency_days": 1 if days < 4 else 2,
                    "transport_cost": 8 + 5 * extra,
                    "lateral_cost": 60 if shared else None,
                    "emergency_cost": 300 + 60 * days,
                    "latitude": latitude,
                    "longitude": longitude,
                }
            )
    columns = [
        "site_id",
        "name",
        "region_id",
        "parent_id",
        "lead_time_days",
        "ship_weekday",
        "capacity",
        "lateral_pool",
        "lateral_days",
        "emergency_days",
        "transport_cost",
        "lateral_cost",
        "emergency_cost",
        "latitude",
        "longitude",
    ]
    return pd.DataFrame(rows, columns=columns)


def _products() -> pd.DataFrame:
    return pd.DataFrame(
        [row[:4] for row in facts.PRODUCTS], columns=["product_id", "name", "tier", "downtime_cost_per_day"]
    )


def _groups() -> pd.MultiIndex:
    return pd.MultiIndex.from_product([[row[0] for row in facts.PRODUCTS], [row[0] for row in facts.REGIONS]])


def _usage(seed: int) -> pd.DataFrame:
    """Hours per product, region and month: building rests in winter and at Chinese New Year."""
    months = pd.date_range(FIRST_MONTH, RUN_OUT, freq="MS")
    rng = stream(seed, "usage")
    calm = np.array([0.80, 0.62, 1.02, 1.10, 1.12, 1.04, 0.98, 0.97, 1.08, 1.14, 1.10, 1.03])
    frost = np.array([0.20, 0.25, 0.70, 1.20, 1.45, 1.40, 1.30, 1.35, 1.45, 1.30, 0.85, 0.55])
    frames = []
    for product, _, _, _, _, hours, _ in facts.PRODUCTS:
        for region, _, _, _, _, level, winter in facts.REGIONS:
            season = ((1 - winter) * calm + winter * frost)[months.month - 1]
            noise = np.exp(rng.normal(0, 0.04, len(months)))
            frames.append(
                pd.DataFrame(
                    {
                        "product_id": product,
                        "region_id": region,
                        "month": months,
                        "hours_per_unit": np.round(hours * level * season * noise, 1),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _units(seed: int, sites: pd.DataFrame) -> pd.DataFrame:
    rng = stream(seed, "units")
    served = sites[sites["parent_id"].notna()]
    last = to_day([LAST_DAY])[0]
    frames = []
    for product, _, _, _, count, _, first_year in facts.PRODUCTS:
        region = rng.choice(len(facts.REGIONS), size=count, p=[row[4] for row in facts.REGIONS])
        years = np.arange(first_year, 2026)
        growth = np.array([facts.GROWTH[row[3]] for row in facts.REGIONS])[region]
        weights = (1 + growth[:, None]) ** (years - first_year)
        weights = weights / weights.sum(axis=1, keepdims=True)
        year = years[
            (rng.random(count)[:, None] > weights.cumsum(axis=1)).sum(axis=1).clip(max=len(years) - 1)
        ]
        # Machines are handed over from March to November more than in winter.
        day = np.clip(rng.triangular(0, 150, 365, size=count), 0, 364).astype(int)
        commissioned = to_day(pd.to_datetime(pd.Series(year).astype(str) + "-01-01")) + day
        life_years = 12.5 * rng.weibull(3.5, count)
        retired = commissioned + (life_years * DAYS_PER_YEAR).astype(int)
        frame = pd.DataFrame(
            {"product_id": product, "region": region, "day": commissioned, "retired": retired}
        )
        frame = frame.sort_values("day", kind="stable", ignore_index=True)
        frame["unit_id"] = [f"{product}{number:04d}" for number in range(1, count + 1)]
        frames.append(frame)
    units = pd.concat(frames, ignore_index=True)
    choices = [served.index[served["region_id"] == row[0]].to_numpy() for row in facts.REGIONS]
    pick = rng.random(len(units))
    # The depot serves the machines around it, about as many as two stations do.
    slots = [np.concatenate([choice[:1], choice]) for choice in choices]
    place = np.array(
        [slots[region][int(draw * len(slots[region]))] for region, draw in zip(units["region"], pick)]
    )
    scatter = rng.normal(0, 0.6, (len(units), 2))
    retired_now = units["retired"] <= last
    return pd.DataFrame(
        {
            "unit_id": units["unit_id"],
            "product_id": units["product_id"],
            "site_id": sites["site_id"].to_numpy()[place],
            "commissioned_on": to_date(units["day"]),
            "built_on": to_date(units["day"] - rng.integers(15, 200, len(units))),
            "retired_on": to_date(units["retired"]).where(retired_now),
            "customer_segment": rng.choice(
                [name for name, _ in facts.SEGMENTS],
                size=len(units),
                p=[share for _, share in facts.SEGMENTS],
            ),
            "latitude": np.round(sites["latitude"].to_numpy()[place] + scatter[:, 0], 2),
            "longitude": np.round(sites["longitude"].to_numpy()[place] + scatter[:, 1], 2),
            "latent_end": units["retired"],
        }
    )


def _fitted_parts(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Parts of known machines with the truth about their lives, and what they fit."""
    rng = stream(seed, "parts")
    key_columns = [
        "part_id",
        "name",
        "family",
        "supplier",
        "unit_cost",
        "lead_time_days",
        "lead_time_sd_days",
        "source",
        "repairable_share",
        "repair_days",
        "shape",
        "mean_life",
        "planned_age_hours",
        "as_set",
        "fits",
    ]
    key = pd.DataFrame(facts.KEY_PARTS, columns=key_columns)
    key["criticality"] = ["vital"] * 6 + ["essential", "essential", "desirable"]
    key["expected_life_hours"] = key["mean_life"].astype(float)
    rows = []
    number = 120
    products = [row[0] for row in facts.PRODUCTS]
    popular = np.array([row[4] for row in facts.PRODUCTS], dtype=float) ** 0.5
    for family, count, shape, life, cost, lead, origins, repairable, grades, suppliers in facts.FAMILIES:
        for _ in range(count):
            number += int(rng.integers(1, 7))
            mean_life = life * np.exp(rng.normal(0, LIFE_SPREAD))
            chosen = rng.choice(
                products, size=min(1 + rng.poisson(0.9), 5), replace=False, p=popular / popular.sum()
            )
            quantities = rng.choice([1, 2, 4], size=len(chosen), p=[0.72, 0.2, 0.08])
            source = str(rng.choice(["make", "buy", "import"], p=origins))
            days = float(
                np.clip(
                    round(lead * np.exp(rng.normal(0, 0.35)) * (1.6 if source == "import" else 1)), 7, 180
                )
            )
            prefix = "液压-" if family == "液压阀" and rng.random() < 0.3 else "00"
            rows.append(
                {
                    "part_id": f"{prefix}{number:03d}",
                    "name": f"{family} {number:03d}",
                    "family": family,
                    "supplier": str(rng.choice(suppliers)),
                    "lead_time_days": days,
                    "unit_cost": float(f"{cost * np.exp(rng.normal(0, COST_SPREAD)):.2g}"),
                    "lead_time_sd_days": round(0.2 * days),
                    "source": source,
                    "repairable_share": repairable,
                    "repair_days": 28.0 if repairable else np.nan,
                    "shape": round(float(np.clip(shape * np.exp(rng.normal(0, 0.15)), 0.7, 5)), 2),
                    "mean_life": mean_life,
                    "planned_age_hours": PLANNED_FILTER_HOURS
                    if family == "滤芯" and rng.random() < 0.4
                    else 0.0,
                    "as_set": False,
                    "fits": {name: int(q) for name, q in sorted(zip(chosen, quantities))},
                    "criticality": str(rng.choice(["vital", "essential", "desirable"], p=grades)),
                    "expected_life_hours": float(f"{1.2 * mean_life * np.exp(rng.normal(0, 0.4)):.2g}")
                    if rng.random() < 0.6
                    else np.nan,
                }
            )
    known = pd.concat([key, pd.DataFrame(rows)], ignore_index=True)
    known["scale_hours"] = (known["mean_life"] / gamma(1 + 1 / known["shape"])).round(1)
    known["position_known"] = rng.random(len(known)) < 0.6
    fits = pd.DataFrame(
        [
            (product, part, quantity)
            for part, row in zip(known["part_id"], known["fits"])
            for product, quantity in row.items()
        ],
        columns=["product_id", "part_id", "quantity"],
    ).sort_values(["product_id", "part_id"], ignore_index=True)
    return known.sort_values("part_id", ignore_index=True), fits


def _replacements(
    seed: int, clock: Clock, units: pd.DataFrame, known: pd.DataFrame, fits: pd.DataFrame
) -> pd.DataFrame:
    """Every renewal since the records of the region began, up to the unseen month after the last day."""
    sites = _sites()[["site_id", "region_id"]]
    truth = known[["part_id", "shape", "scale_hours", "planned_age_hours", "as_set", "position_known"]]
    pieces = units.merge(sites).merge(fits, on="product_id").merge(truth, on="part_id")
    pieces = pieces.sort_values(["unit_id", "part_id"], ignore_index=True)
    positions = np.where(pieces["as_set"], 1, pieces["quantity"])
    row = np.repeat(np.arange(len(pieces)), positions)
    position = np.arange(len(row)) - np.repeat(np.cumsum(positions) - positions, positions) + 1
    slots = pieces.iloc[row]
    group = _groups().get_indexer(pd.MultiIndex.from_frame(slots[["product_id", "region_id"]]))
    serviced = slots["customer_segment"].eq(facts.PLANNED_SEGMENT) & slots["planned_age_hours"].gt(0)
    end = np.minimum(slots["latent_end"].to_numpy(), to_day([RUN_OUT])[0]).astype(float)
    found = simulate_renewals(
        stream(seed, "replacements"),
        clock,
        group,
        to_day(slots["commissioned_on"]).astype(float),
        end,
        slots["shape"].to_numpy(),
        slots["scale_hours"].to_numpy(),
        np.where(serviced, slots["planned_age_hours"], np.inf),
    )
    hit = slots.iloc[found.position]
    several = hit["position_known"].to_numpy() & (hit["quantity"].to_numpy() > 1) & ~hit["as_set"].to_numpy()
    events = pd.DataFrame(
        {
            "unit_id": hit["unit_id"].to_numpy(),
            "part_id": hit["part_id"].to_numpy(),
            "replaced_on": to_date(found.day),
            "quantity": np.where(hit["as_set"], hit["quantity"], 1),
            "position": np.where(several, position[found.position].astype(str), None),
            "planned": found.planned,
            "site_id": hit["site_id"].to_numpy(),
            "region_id": hit["region_id"].to_numpy(),
        }
    )
    known_from = events["region_id"].map(LATE_RECORDS).fillna(RECORDS_FROM)
    events = events[events["replaced_on"] >= known_from]
    return events.sort_values(["replaced_on", "unit_id", "part_id", "position"], ignore_index=True)


def _parts(known: pd.DataFrame) -> pd.DataFrame:
    """Make the parts master: fitted parts, counter sales, and two successors that fit nothing yet."""
    columns = [
        "part_id",
        "name",
        "family",
        "supplier",
        "unit_cost",
        "lead_time_days",
        "lead_time_sd_days",
        "source",
        "criticality",
        "repairable_share",
        "repair_days",
        "expected_life_hours",
    ]
    parts = known[columns].copy()
    parts["repair_days"] = parts["repair_days"].where(parts["repairable_share"] > 0)
    counter = pd.DataFrame([row[:3] for row in facts.COUNTER_PARTS], columns=["part_id", "name", "unit_cost"])
    counter = counter.assign(
        family="耗材",
        supplier="本地",
        lead_time_days=10.0,
        lead_time_sd_days=2,
        source="buy",
        criticality="desirable",
        repairable_share=0.0,
    )
    old = parts[parts["family"] == "电气件"].iloc[[2, 5]]
    new = old.assign(
        part_id=["00981", "00982"], name=old["name"] + " (新)", repairable_share=0.0, repair_days=np.nan
    )
    parts = pd.concat([parts, counter, new], ignore_index=True)
    small = parts["unit_cost"] < 200
    parts["min_order"] = np.where(small, 20, np.where(parts["unit_cost"] < 600, 5, 1))
    parts["pack_size"] = np.where(small, 10, 1)
    parts["unit"] = "件"
    parts["shelf_life_days"] = np.where(parts["family"] == "密封件", 1_460.0, np.nan)
    parts["superseded_by"] = parts["part_id"].map(dict(zip(old["part_id"], new["part_id"])))
    ending = parts.index[parts["family"] == "传感器"][4]
    parts["last_buy_on"] = pd.Series(pd.NaT, index=parts.index, dtype="datetime64[s]")
    parts.loc[ending, "last_buy_on"] = pd.Timestamp("2026-06-30")
    return parts.sort_values("part_id", ignore_index=True)


def _site_repairs(parts: pd.DataFrame) -> pd.DataFrame:
    repairable = parts.loc[parts["repairable_share"] >= 0.3, "part_id"].head(8)
    frame = pd.merge(repairable, pd.Series(["010", "040"], name="site_id"), how="cross")
    return frame.assign(repair_share_site=0.2, repair_days_site=12)


def _counter_sales(seed: int, sites: pd.DataFrame, units: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Consumables sold over the counter: orders come at random, sizes are geometric."""
    rng = stream(seed, "demand")
    months = pd.date_range(RECORDS_FROM, LAST_DAY, freq="MS")
    machines = units["site_id"].value_counts().reindex(sites["site_id"]).fillna(0).to_numpy()
    rows, truth = [], []
    for part, _, _, rate in facts.COUNTER_PARTS:
        size = float(np.round(1 + 3 * rng.random(), 2))
        popularity = np.exp(rng.normal(0, 0.4, len(sites)))
        per_month = machines * rate * popularity / MONTHS_PER_YEAR / size
        orders = rng.poisson(per_month[:, None], (len(sites), len(months)))
        extra = rng.negative_binomial(np.maximum(orders, 1), 1 / size)
        quantity = np.where(orders > 0, orders + extra, 0)
        site, month = np.nonzero(quantity)
        rows.append(
            pd.DataFrame(
                {
                    "part_id": part,
                    "site_id": sites["site_id"].to_numpy()[site],
                    "month": months[month],
                    "quantity": quantity[site, month],
                }
            )
        )
        truth.append(
            pd.DataFrame(
                {
                    "part_id": part,
                    "site_id": sites["site_id"],
                    "orders_per_month": per_month.round(4),
                    "mean_order_size": size,
                }
            )
        )
    return pd.concat(rows, ignore_index=True), pd.concat(truth, ignore_index=True)


def _reservations() -> pd.DataFrame:
    rows = [
        ("00101", "010", "2026-01-19", 1, "计划大修 DP0012"),
        ("00103", "010", "2026-01-19", 2, "计划大修 DP0012"),
        ("00115", "040", "2026-02-09", 2, "客户订单 轨道交通"),
        ("00113", "041", "2026-01-26", 8, "节前保养"),
        ("00111", "060", "2026-03-02", 4, "春节后开工检修"),
        ("00112", "060", "2026-03-02", 4, "春节后开工检修"),
        ("00102", "050", "2026-04-13", 1, "计划大修 DP0108"),
    ]
    frame = pd.DataFrame(rows, columns=["part_id", "site_id", "due_on", "quantity", "why"])
    return frame.assign(due_on=pd.to_datetime(frame["due_on"]))


def _sales_plan(seed: int, sites: pd.DataFrame) -> pd.DataFrame:
    rng = stream(seed, "sales_plan")
    shares = {row[0]: row[4] for row in facts.REGIONS}
    growth = {row[0]: facts.GROWTH[row[3]] for row in facts.REGIONS}
    served = sites[sites["parent_id"].notna()]
    per_site = served["region_id"].map(shares) / served.groupby("region_id")["site_id"].transform("size")
    season = np.array([0.4, 0.4, 1.3, 1.4, 1.4, 1.2, 1.0, 1.0, 1.2, 1.2, 0.9, 0.6])
    frames = []
    for product, _, _, _, count, _, first_year in facts.PRODUCTS:
        yearly = count / (2026 - first_year) * 1.3 * per_site * (1 + served["region_id"].map(growth))
        sold = rng.poisson(yearly.to_numpy()[:, None] * season / MONTHS_PER_YEAR)
        retired = rng.poisson(0.3 * yearly.to_numpy()[:, None] / MONTHS_PER_YEAR * np.ones(MONTHS_PER_YEAR))
        site, month = np.nonzero(sold + retired)
        frames.append(
            pd.DataFrame(
                {
                    "product_id": product,
                    "site_id": served["site_id"].to_numpy()[site],
                    "month": PLAN_MONTHS[month],
                    "units_sold": sold[site, month],
                    "units_retired": retired[site, month],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _calendar() -> pd.DataFrame:
    days = [(day, kind) for first, last, kind in facts.CALENDAR for day in pd.date_range(first, last)]
    frame = pd.DataFrame(days, columns=["date", "kind"])
    regions = pd.Series([row[0] for row in facts.REGIONS], name="region_id")
    return pd.merge(regions, frame, how="cross")


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
