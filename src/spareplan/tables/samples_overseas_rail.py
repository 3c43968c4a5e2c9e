"""Locomotives in six countries: three echelons, long lead times, hour meters, no service orders."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.maths.units import DAYS_PER_YEAR, MONTHS_PER_YEAR
from spareplan.tables.samples_engine import Clock, compound_sales, renew_products, stream, to_date, to_day
from spareplan.tables.samples_facts import Sample
from spareplan.tables.samples_parts import draw_fitment, draw_parts
from spareplan.tables.samples_stock import month_end_stock

FIRST_MONTH = pd.Timestamp("2009-01-01")
RECORDS_FROM = pd.Timestamp("2021-01-01")
LATE_RECORDS = {"AR": pd.Timestamp("2022-07-01")}
LAST_DAY = pd.Timestamp("2025-12-31")
USE_SPREAD = 0.25
READING_MADE = 0.95
REPORT_DAYS = 9.0

# region_id, name, area_km2, market_stage, share of the fleet, days from HQ, warehouse,
# depots: (site_id, name, days from the warehouse, latitude, longitude)
COUNTRIES = (
    (
        "KZ",
        "哈萨克斯坦 Kazakhstan",
        2_724_900,
        "mature",
        0.24,
        30,
        ("KZ-0", "Алматы Almaty", 43.24, 76.89),
        (("KZ-1", "Астана Astana", 4, 51.17, 71.43), ("KZ-2", "Ақтөбе Aktobe", 6, 50.28, 57.21)),
    ),
    (
        "UZ",
        "乌兹别克斯坦 Uzbekistan",
        447_400,
        "potential",
        0.12,
        32,
        ("UZ-0", "Toshkent", 41.30, 69.24),
        (("UZ-1", "Buxoro", 4, 39.77, 64.43),),
    ),
    (
        "ZA",
        "南非 South Africa",
        1_219_100,
        "mature",
        0.28,
        55,
        ("ZA-0", "Durban", -29.86, 31.03),
        (
            ("ZA-1", "Johannesburg", 3, -26.20, 28.05),
            ("ZA-2", "Saldanha", 6, -33.01, 17.94),
            ("ZA-3", "Kimberley", 5, -28.73, 24.76),
        ),
    ),
    (
        "ET",
        "埃塞俄比亚 Ethiopia",
        1_104_300,
        "developing",
        0.10,
        60,
        ("ET-0", "Addis Ababa", 8.98, 38.76),
        (("ET-1", "Dire Dawa", 5, 9.59, 41.87),),
    ),
    (
        "AR",
        "阿根廷 Argentina",
        2_780_400,
        "developing",
        0.14,
        75,
        ("AR-0", "Buenos Aires", -34.60, -58.38),
        (("AR-1", "Córdoba", 4, -31.42, -64.18), ("AR-2", "Tucumán", 7, -26.81, -65.22)),
    ),
    (
        "MY",
        "马来西亚 Malaysia",
        330_800,
        "potential",
        0.12,
        28,
        ("MY-0", "Port Klang", 3.00, 101.39),
        (("MY-1", "Ipoh", 2, 4.60, 101.08), ("MY-2", "Gemas", 2, 2.58, 102.61)),
    ),
)

# product_id, name, tier, downtime_cost_per_day, machines, hours per month
PRODUCTS = (
    ("HXD", "电力机车 electric locomotive", 1, 45_000, 110, 420),
    ("SDD", "内燃机车 diesel locomotive", 2, 32_000, 90, 360),
    ("SHU", "调车机车 shunter", 3, 9_000, 40, 190),
)

# family, prefix, parts, shape, mean life [h], unit_cost, lead_time_days, repairable_share
FAMILIES = (
    ("牵引电机 traction motor", "TM", 5, 2.4, 150_000, 110_000, 120, 0.7),
    ("轮对 wheelset", "WS", 4, 3.2, 80_000, 62_000, 100, 0.5),
    ("制动 brake", "BR", 12, 2.6, 30_000, 2_400, 60, 0.1),
    ("变流器 converter", "CV", 8, 1.2, 110_000, 38_000, 110, 0.4),
    ("轴承 bearing", "BG", 9, 2.2, 60_000, 3_200, 75, 0.0),
    ("受电弓 pantograph", "PG", 6, 1.8, 40_000, 5_400, 70, 0.2),
    ("柴油机 engine", "EN", 8, 2.0, 50_000, 9_000, 90, 0.3),
    ("电气 electric", "EL", 10, 1.1, 80_000, 1_600, 45, 0.0),
)
PLANNED_FAMILY, PLANNED_HOURS = "轮对 wheelset", 50_000.0
# Parts known only by what left the shelf: depots, countries and yards order them, machines unnamed.
COUNTER_FAMILY = ("耗材 consumable", "CO", 20, 1.0, 1.0, 350, 40, 0.0)


def overseas_rail(seed: int) -> Sample:
    """Make the overseas-rail sample.

    Parameters
    ----------
    seed : int
        Not negative.

    Returns
    -------
    Sample
    """
    sites, products = _sites(), pd.DataFrame(PRODUCTS).iloc[:, :4]
    products.columns = ["product_id", "name", "tier", "downtime_cost_per_day"]
    parts = _parts(stream(seed, "parts"))
    counter = parts["family"].eq(COUNTER_FAMILY[0]).to_numpy()
    fits = _fitment(stream(seed, "fitment"), parts, np.flatnonzero(~counter))
    units = _units(stream(seed, "units"), sites)
    clock = _clock(stream(seed, "usage"))
    events = renew_products(stream(seed, "replacements"), clock, units, fits, parts)
    replacements = _records(stream(seed, "reports"), events, units, parts)
    sales, rates = _counter_sales(stream(seed, "demand"), parts.loc[counter, "part_id"], sites)
    taken = pd.concat(
        [
            replacements[["part_id", "replaced_on", "quantity", "unit_id"]].merge(
                units[["unit_id", "site_id"]]
            ),
            sales.rename(columns={"month": "replaced_on"}),
        ]
    )
    stock, open_orders = month_end_stock(seed, parts, sites, taken, LAST_DAY)
    regions = pd.DataFrame(COUNTRIES).iloc[:, :4]
    regions.columns = ["region_id", "name", "area_km2", "market_stage"]
    truth = ["shape", "scale_hours", "planned_age_hours"]
    tables = {
        "products": products,
        "parts": parts.drop(columns=truth),
        "fitment": pd.DataFrame(
            {
                "product_id": products["product_id"].to_numpy()[fits["product"]],
                "part_id": parts["part_id"].to_numpy()[fits["part"]],
                "quantity": fits["quantity"],
            }
        ),
        "regions": regions.assign(records_from=regions["region_id"].map(LATE_RECORDS).fillna(RECORDS_FROM)),
        "sites": sites,
        "units": units[["unit_id", "product_id", "site_id", "commissioned_on", "retired_on"]],
        "meter_readings": _readings(stream(seed, "meter_readings"), clock, units),
        "replacements": replacements,
        "demand": sales,
        "stock": stock,
        "open_orders": open_orders,
        "sales_plan": _sales_plan(),
    }
    lives = parts.loc[~counter, ["part_id", *truth]].replace(np.inf, np.nan)
    return Sample(tables, {"lives": lives, "counter_rates": rates, "use": units[["unit_id", "use"]]})


def _sites() -> pd.DataFrame:
    rows: list[dict[str, object]] = [
        {"site_id": "HQ", "name": "株洲总部", "lead_time_days": 0, "latitude": 27.83, "longitude": 113.13}
    ]
    for region, _, _, _, _, days, (warehouse, name, latitude, longitude), depots in COUNTRIES:
        rows.append(
            {
                "site_id": warehouse,
                "name": name,
                "region_id": region,
                "parent_id": "HQ",
                "lead_time_days": days,
                "ship_weekday": 5,
                "emergency_days": 7,
                "transport_cost": 20 + 2 * days,
                "emergency_cost": 1_500,
                "latitude": latitude,
                "longitude": longitude,
            }
        )
        for site_id, depot, extra, place_latitude, place_longitude in depots:
            pooled = len(depots) > 1
            rows.append(
                {
                    "site_id": site_id,
                    "name": depot,
                    "region_id": region,
                    "parent_id": warehouse,
                    "lead_time_days": extra,
                    "ship_weekday": 3,
                    "lateral_pool": region if pooled else None,
                    "lateral_days": 2 if pooled else None,
                    "lateral_cost": 180 if pooled else None,
                    "emergency_days": 8,
                    "transport_cost": 15 + 4 * extra,
                    "emergency_cost": 1_800,
                    "latitude": place_latitude,
                    "longitude": place_longitude,
                }
            )
    frame = pd.DataFrame(rows)
    first = ["site_id", "name", "region_id", "parent_id", "lead_time_days", "ship_weekday"]
    return frame[first + [name for name in frame.columns if name not in first]]


def _parts(rng: np.random.Generator) -> pd.DataFrame:
    families = pd.DataFrame(
        [*FAMILIES, COUNTER_FAMILY],
        columns=[
            "family",
            "prefix",
            "parts",
            "shape",
            "mean_life",
            "unit_cost",
            "lead_time_days",
            "repairable_share",
        ],
    ).assign(least_days=30, most_days=240)
    member = np.repeat(np.arange(len(families)), families["parts"])
    number = np.arange(len(member)) - np.repeat(
        families["parts"].cumsum() - families["parts"], families["parts"]
    )
    drawn = draw_parts(rng, families, member)
    code = pd.Series(1 + number.to_numpy()).astype(str).str.zfill(3)
    parts = pd.DataFrame(
        {
            "part_id": families["prefix"].to_numpy()[member] + code,
            "name": drawn["family"] + " " + code,
        }
    ).join(drawn)
    planned = parts["family"].eq(PLANNED_FAMILY)
    parts["planned_age_hours"] = np.where(planned, PLANNED_HOURS, np.inf)
    counter = parts["family"].eq(COUNTER_FAMILY[0])
    return parts.assign(expected_life_hours=parts["expected_life_hours"].mask(counter))


def _fitment(rng: np.random.Generator, parts: pd.DataFrame, fitted: np.ndarray) -> pd.DataFrame:
    """Fit parts: pantographs go to electric, engines to diesel locomotives; six axles everywhere."""
    fits = draw_fitment(rng, fitted, len(PRODUCTS), 0.8, (1, 1, 2, 4))
    family = parts["family"].to_numpy()[fits["part"]]
    fits.loc[np.char.startswith(family.astype(str), "受电弓"), "product"] = 0
    engine = np.char.startswith(family.astype(str), "柴油机") & fits["product"].eq(0).to_numpy()
    fits.loc[engine, "product"] = 1
    axles = np.isin(family, [FAMILIES[0][0], FAMILIES[1][0]])
    fits.loc[axles, "quantity"] = 6
    return fits.drop_duplicates(["product", "part"]).sort_values(["product", "part"], ignore_index=True)


def _units(rng: np.random.Generator, sites: pd.DataFrame) -> pd.DataFrame:
    product = np.repeat(np.arange(len(PRODUCTS)), [row[4] for row in PRODUCTS])
    count = len(product)
    region = rng.choice([row[0] for row in COUNTRIES], count, p=[row[4] for row in COUNTRIES])
    # Locomotives come in orders: a country takes its machines of a product in one to three batches.
    batch = np.array(
        [
            ["2010-05-01", "2015-09-01", "2021-04-01"],
            ["2012-03-01", "2018-06-01", "2023-02-01"],
            ["2011-08-01", "2017-01-01", "2024-03-01"],
        ]
    )
    chosen = batch[product, rng.integers(0, 3, count)]
    start = to_day(pd.to_datetime(chosen)) + rng.integers(0, 330, count)
    end = start + (22 * rng.weibull(4, count) * DAYS_PER_YEAR).astype(np.int64)
    last = int(to_day([LAST_DAY])[0])
    depots = sites[sites["parent_id"].notna() & sites["parent_id"].ne("HQ")]
    site = np.array(
        [rng.choice(depots.loc[depots["region_id"] == name, "site_id"].to_numpy()) for name in region]
    )
    units = pd.DataFrame(
        {
            "product": product,
            "group": product,
            "product_id": [PRODUCTS[code][0] for code in product],
            "region_id": region,
            "site_id": site,
            "commissioned_on": to_date(start),
            "retired_on": to_date(end).where(end <= last),
            "start_day": start.astype(float),
            "end_day": np.minimum(end, last + 1).astype(float),
            "use": np.exp(rng.normal(0, USE_SPREAD, count)).round(3),
        }
    ).sort_values(["product", "start_day", "site_id", "use"], kind="stable", ignore_index=True)
    number = units.groupby("product").cumcount() + 1
    return units.assign(unit_id=units["product_id"] + "-" + number.astype(str).str.zfill(4))


def _clock(rng: np.random.Generator) -> Clock:
    months = pd.date_range(FIRST_MONTH, LAST_DAY, freq="MS")
    season = 1 + 0.12 * np.cos(2 * np.pi * (months.month.to_numpy() - 10) / MONTHS_PER_YEAR)
    hours = np.array([row[5] for row in PRODUCTS], dtype=float)[:, None] * season
    return Clock.from_monthly(months, hours * np.exp(rng.normal(0, 0.03, hours.shape)))


def _records(
    rng: np.random.Generator, events: pd.DataFrame, units: pd.DataFrame, parts: pd.DataFrame
) -> pd.DataFrame:
    """Keep what the records hold on the last day: reports come late, and some have not come yet."""
    region = units["region_id"].to_numpy()[events["unit"]]
    known_from = pd.Series(region).map(LATE_RECORDS).fillna(RECORDS_FROM)
    several = events["position"].gt(1) | events["part"].isin(events.loc[events["position"].gt(1), "part"])
    records = pd.DataFrame(
        {
            "unit_id": units["unit_id"].to_numpy()[events["unit"]],
            "part_id": parts["part_id"].to_numpy()[events["part"]],
            "replaced_on": events["replaced_on"],
            "quantity": events["quantity"],
            "position": events["position"].astype(str).where(several),
            "planned": events["planned"],
            "reported_on": events["replaced_on"]
            + pd.to_timedelta(1 + np.floor(rng.exponential(REPORT_DAYS, len(events))), unit="D"),
        }
    )
    known = (records["replaced_on"] >= known_from) & (records["reported_on"] <= LAST_DAY)
    return records[known].reset_index(drop=True)


def _readings(rng: np.random.Generator, clock: Clock, units: pd.DataFrame) -> pd.DataFrame:
    """Read meters in the last week of each quarter, a few of them forgotten."""
    quarters = to_day(pd.date_range(RECORDS_FROM, LAST_DAY, freq="QE"))
    grid = np.tile(quarters, (len(units), 1)) - rng.integers(0, 7, (len(units), len(quarters)))
    made = (rng.random(grid.shape) < READING_MADE) & (grid > units["start_day"].to_numpy()[:, None])
    made &= grid < units["end_day"].to_numpy()[:, None]
    unit, quarter = np.nonzero(made)
    day = grid[unit, quarter].astype(float)
    group, start = units["group"].to_numpy()[unit], units["start_day"].to_numpy()[unit]
    hours = (clock.hours_at(group, day) - clock.hours_at(group, start)) * units["use"].to_numpy()[unit]
    return pd.DataFrame(
        {"unit_id": units["unit_id"].to_numpy()[unit], "read_on": to_date(day), "hours": hours.round()}
    )


def _counter_sales(
    rng: np.random.Generator, part_ids: pd.Series, sites: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    months = pd.date_range(RECORDS_FROM, LAST_DAY, freq="MS")
    depots = sites.loc[sites["parent_id"].notna(), ["site_id"]]
    rates = part_ids.to_frame().merge(depots, how="cross")
    level = np.repeat(np.exp(rng.normal(np.log(0.12), 1.0, len(part_ids))), len(depots))
    rates["orders_per_month"] = (level * np.exp(rng.normal(0, 0.5, len(rates)))).round(4)
    rates["mean_order_size"] = np.repeat((1 + rng.gamma(1.5, 1.0, len(part_ids))).round(2), len(depots))
    row, month, quantity = compound_sales(
        rng, rates["orders_per_month"].to_numpy(), rates["mean_order_size"].to_numpy(), len(months)
    )
    sales = rates[["part_id", "site_id"]].iloc[row].reset_index(drop=True)
    return sales.assign(month=months[month], quantity=quantity), rates


def _sales_plan() -> pd.DataFrame:
    rows = [
        ("HXD", "ZA-1", "2026-04-01", 4, 0),
        ("HXD", "KZ-1", "2026-07-01", 3, 1),
        ("SDD", "AR-1", "2026-05-01", 2, 0),
        ("SDD", "ET-1", "2026-09-01", 3, 0),
        ("SHU", "MY-1", "2026-06-01", 2, 1),
        ("HXD", "UZ-1", "2026-10-01", 2, 0),
    ]
    frame = pd.DataFrame(rows, columns=["product_id", "site_id", "month", "units_sold", "units_retired"])
    return frame.assign(month=pd.to_datetime(frame["month"])).sort_values(
        ["product_id", "site_id"], ignore_index=True
    )
