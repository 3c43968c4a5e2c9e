"""A service network of any size for scale tests: parts, sites and machines as many as asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_YEAR, MONTHS_PER_YEAR
from spareplan.tables.samples_engine import (
    Clock,
    compound_sales,
    renew_products,
    stream,
    sum_equal_rows,
    to_date,
    to_day,
)
from spareplan.tables.samples_facts import PROMISES, TARGETS, Sample
from spareplan.tables.samples_parts import draw_fitment, draw_parts
from spareplan.tables.samples_service import engineers_for, service_orders
from spareplan.tables.samples_stock import month_end_stock

FIRST_MONTH = pd.Timestamp("2016-01-01")
RECORDS_FROM = pd.Timestamp("2023-01-01")
LAST_DAY = pd.Timestamp("2025-12-31")
RUN_OUT = pd.Timestamp("2026-02-01")
# Parts beyond these are known by sparse sales only: a part at a handful of sites.
MOST_FITTED_PARTS = 20_000
FITTED_SHARE = 0.9
PARTS_PER_PRODUCT = 120
MOST_PRODUCTS = 100
MOST_REGIONS = 25
MORE_SITES = 3.0
REPLACEMENTS_PER_MACHINE_YEAR = 3.0
STAGES = ("mature", "potential", "developing", "secondary")


def network(parts: int, sites: int, machines: int, seed: int) -> Sample:
    """Make a network of the size asked for.

    Parameters
    ----------
    parts : int
        At least 2. Nine in ten of the first 20,000 sit in known machines, the others have sales only.
    sites : int
        At least 2: headquarters, about the square root of them depots, the others stations.
    machines : int
        At least 1.
    seed : int
        Not negative.

    Returns
    -------
    Sample

    Raises
    ------
    DataError
        A size below its least.
    """
    _check_sizes(parts, sites, machines)
    places, regions = _sites(stream(seed, "sites"), sites)
    fitted = max(1, int(FITTED_SHARE * min(parts, MOST_FITTED_PARTS)))
    count = int(np.clip(round(fitted / PARTS_PER_PRODUCT), min(2, fitted), MOST_PRODUCTS))
    products = _products(stream(seed, "products"), count)
    units = _units(stream(seed, "units"), places, regions, products, machines)
    fits = draw_fitment(stream(seed, "fitment"), np.arange(fitted), count, 0.6, (1, 1, 1, 2))
    pieces = units["product"].map(fits.groupby("product")["quantity"].sum()).mean()
    master = _parts(
        stream(seed, "parts"), parts, float(np.nan_to_num(pieces, nan=1.0)), float(products["hours"].mean())
    )
    usage, clock = _usage(stream(seed, "usage"), products, regions)
    replacements = _replacements(seed, clock, units, fits, master, places)
    orders, replacements = service_orders(seed, replacements, units, master, LAST_DAY, _facts(regions))
    replacements = replacements[replacements["replaced_on"] <= LAST_DAY]
    sales, rates = _sales(stream(seed, "demand"), master["part_id"].to_numpy()[fitted:], places)
    taken = pd.concat(
        [
            replacements[["part_id", "site_id", "replaced_on", "quantity"]],
            sales.rename(columns={"month": "replaced_on"}),
        ]
    )
    stock, open_orders = month_end_stock(seed, master, places, taken, LAST_DAY)
    truth = ["shape", "scale_hours", "planned_age_hours"]
    tables = {
        "products": products.drop(columns="hours"),
        "parts": master.drop(columns=truth),
        "fitment": pd.DataFrame(
            {
                "product_id": products["product_id"].to_numpy()[fits["product"]],
                "part_id": master["part_id"].to_numpy()[fits["part"]],
                "quantity": fits["quantity"],
            }
        ),
        "regions": regions.drop(columns="share"),
        "sites": places,
        "units": units[["unit_id", "product_id", "site_id", "commissioned_on", "retired_on"]],
        "usage": usage,
        "replacements": replacements.drop(columns=["site_id", "region_id"]),
        "demand": sales,
        "stock": stock,
        "open_orders": open_orders,
        "sales_plan": _sales_plan(stream(seed, "sales_plan"), units),
        "work_orders": orders,
        "engineers": engineers_for(orders, _facts(regions)),
        "promises": pd.DataFrame(
            PROMISES,
            columns=["priority", "respond_hours", "resolve_hours", "target", "response_mode", "clock"],
        ),
        "targets": pd.DataFrame(
            TARGETS,
            columns=["tier", "target_fill_rate", "target_wait_days", "window_days", "target_in_window"],
        ),
    }
    return Sample(
        tables,
        {
            "lives": master.loc[: fitted - 1, ["part_id", *truth]].replace(np.inf, np.nan),
            "counter_rates": rates,
        },
    )


def _check_sizes(parts: int, sites: int, machines: int) -> None:
    least = {"parts": (parts, 2), "sites": (sites, 2), "machines": (machines, 1)}
    problems = [
        Problem("make_sample", 0, name, str(size), f"is below {bound}", f"ask for {bound} or more")
        for name, (size, bound) in least.items()
        if size < bound
    ]
    if problems:
        raise DataError(problems)


def _sites(rng: np.random.Generator, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Headquarters, a depot per region, stations below the depots; near ones help each other out."""
    depots = int(np.clip(round(np.sqrt(count)), 1, min(MOST_REGIONS, count - 1)))
    width = len(str(count))
    ids = np.array([f"S{number:0{width}d}" for number in range(count)])
    share = rng.dirichlet(np.full(depots, 2.0))
    regions = pd.DataFrame(
        {
            "region_id": [f"R{number:02d}" for number in range(1, depots + 1)],
            "name": [f"Region {number}" for number in range(1, depots + 1)],
            "area_km2": np.exp(rng.normal(12.5, 0.8, depots)).round(-2),
            "market_stage": rng.choice(STAGES, depots),
            "records_from": RECORDS_FROM,
            "share": share,
        }
    )
    stations = count - 1 - depots
    above = np.concatenate([np.arange(depots), rng.choice(depots, stations, p=share)])
    is_depot = np.arange(count - 1) < depots
    days = np.where(is_depot, rng.integers(1, 8, count - 1), rng.integers(1, 4, count - 1))
    below = pd.DataFrame(
        {
            "site_id": ids[1:],
            "name": np.where(is_depot, "Depot ", "Station ") + ids[1:].astype(object),
            "region_id": regions["region_id"].to_numpy()[above],
            "parent_id": np.where(is_depot, ids[0], ids[1:][above]),
            "lead_time_days": days,
            "ship_weekday": rng.integers(1, 6, count - 1),
            "lateral_pool": np.where(is_depot, "depots", regions["region_id"].to_numpy()[above]),
            "lateral_days": np.where(is_depot, 1.0, 0.5),
            "emergency_days": np.where(days < 4, 1, 2),
            "transport_cost": 10 + 5 * days,
            "lateral_cost": 70,
            "emergency_cost": 250 + 50 * days,
        }
    )
    hq = pd.DataFrame({"site_id": ids[:1], "name": "Headquarters", "lead_time_days": 0})
    sites = pd.concat([hq, below], ignore_index=True)
    return sites[below.columns], regions


def _products(rng: np.random.Generator, count: int) -> pd.DataFrame:
    tier = rng.integers(1, 4, count)
    return pd.DataFrame(
        {
            "product_id": [f"M{number:03d}" for number in range(1, count + 1)],
            "name": [f"Machine {number}" for number in range(1, count + 1)],
            "tier": tier,
            "downtime_cost_per_day": np.array([8_000, 4_000, 1_500])[tier - 1],
            "hours": rng.uniform(90, 250, count).round(),
        }
    )


def _parts(rng: np.random.Generator, count: int, pieces: float, hours: float) -> pd.DataFrame:
    """Parts in families; lives long enough that a machine needs a few pieces a year."""
    kinds = int(np.clip(count // 40, 1, 60))
    life = pieces * hours * MONTHS_PER_YEAR / REPLACEMENTS_PER_MACHINE_YEAR
    families = pd.DataFrame(
        {
            "family": [f"F{number:02d}" for number in range(1, kinds + 1)],
            "shape": np.exp(rng.normal(np.log(1.8), 0.3, kinds)),
            "mean_life": life * np.exp(rng.normal(0, 0.5, kinds)),
            "unit_cost": np.exp(rng.normal(6.5, 1.3, kinds)),
            "lead_time_days": np.exp(rng.normal(3.7, 0.5, kinds)),
            "repairable_share": rng.choice([0.0, 0.0, 0.0, 0.3, 0.6], kinds),
        }
    ).assign(least_days=5, most_days=240)
    width = len(str(count))
    ids = pd.DataFrame({"part_id": [f"P{number:0{width}d}" for number in range(1, count + 1)]})
    parts = ids.assign(name="Part " + ids["part_id"]).join(
        draw_parts(rng, families, rng.integers(0, kinds, count))
    )
    return parts.assign(planned_age_hours=np.inf)


def _units(
    rng: np.random.Generator, sites: pd.DataFrame, regions: pd.DataFrame, products: pd.DataFrame, count: int
) -> pd.DataFrame:
    popularity = 1 / np.arange(1, len(products) + 1) ** 0.5
    product = np.sort(rng.choice(len(products), count, p=popularity / popularity.sum()))
    served = sites.iloc[1:]
    share = served["region_id"].map(regions.set_index("region_id")["share"])
    weight = (share / served.groupby("region_id")["site_id"].transform("size")).to_numpy()
    site = rng.choice(len(served), count, p=weight / weight.sum())
    region = pd.Index(regions["region_id"]).get_indexer(pd.Index(served["region_id"].to_numpy()[site]))
    first, last = int(to_day([FIRST_MONTH])[0]), int(to_day([LAST_DAY])[0])
    start = first + ((last - 30 - first) * rng.beta(1.4, 1.0, count)).astype(np.int64)
    end = start + 1 + (14 * rng.weibull(3.0, count) * DAYS_PER_YEAR).astype(np.int64)
    run_out = int(to_day([RUN_OUT])[0])
    width = len(str(count))
    return pd.DataFrame(
        {
            "unit_id": [f"U{number:0{width}d}" for number in range(1, count + 1)],
            "product_id": products["product_id"].to_numpy()[product],
            "site_id": served["site_id"].to_numpy()[site],
            "region_id": served["region_id"].to_numpy()[site],
            "commissioned_on": to_date(start),
            "retired_on": to_date(end).where(end <= last),
            "product": product,
            "group": product * len(regions) + region,
            "start_day": start.astype(float),
            "end_day": np.minimum(end, run_out).astype(float),
            "latent_end": end,
            "use": 1.0,
        }
    )


def _usage(
    rng: np.random.Generator, products: pd.DataFrame, regions: pd.DataFrame
) -> tuple[pd.DataFrame, Clock]:
    months = pd.date_range(FIRST_MONTH, RUN_OUT, freq="MS")
    groups = products[["product_id", "hours"]].merge(regions[["region_id"]], how="cross")
    depth = rng.uniform(0.1, 0.6, len(regions))[np.tile(np.arange(len(regions)), len(products))]
    season = 1 - depth[:, None] * np.cos(2 * np.pi * (months.month.to_numpy() - 1) / MONTHS_PER_YEAR)
    hours = (groups["hours"].to_numpy()[:, None] * season).round(1)
    known = int((months <= LAST_DAY).sum())
    usage = pd.DataFrame(
        {
            "product_id": np.repeat(groups["product_id"].to_numpy(), known),
            "region_id": np.repeat(groups["region_id"].to_numpy(), known),
            "month": np.tile(months[:known], len(groups)),
            "hours_per_unit": hours[:, :known].ravel(),
        }
    )
    return usage, Clock.from_monthly(months, hours)


def _replacements(
    seed: int, clock: Clock, units: pd.DataFrame, fits: pd.DataFrame, parts: pd.DataFrame, sites: pd.DataFrame
) -> pd.DataFrame:
    events = renew_products(stream(seed, "replacements"), clock, units, fits, parts)
    events = sum_equal_rows(events[events["replaced_on"] >= RECORDS_FROM].drop(columns="position"))
    unit = events["unit"].to_numpy()
    return pd.DataFrame(
        {
            "unit_id": units["unit_id"].to_numpy()[unit],
            "part_id": parts["part_id"].to_numpy()[events["part"]],
            "replaced_on": events["replaced_on"].to_numpy(),
            "quantity": events["quantity"].to_numpy(),
            "planned": events["planned"].to_numpy(),
            "site_id": units["site_id"].to_numpy()[unit],
            "region_id": units["region_id"].to_numpy()[unit],
        }
    )


def _sales(
    rng: np.random.Generator, part_ids: np.ndarray, sites: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Parts sold at a handful of sites each, most of them rarely."""
    months = pd.date_range(RECORDS_FROM, LAST_DAY, freq="MS")
    places = np.minimum(1 + rng.poisson(MORE_SITES, len(part_ids)), len(sites) - 1)
    part = np.repeat(np.arange(len(part_ids)), places)
    rates = pd.DataFrame({"part": part, "site": rng.integers(1, len(sites), len(part))}).drop_duplicates()
    rates = rates.sort_values(["part", "site"], ignore_index=True)
    level = np.exp(rng.normal(np.log(0.06), 1.0, len(part_ids)))
    size = (1 + rng.gamma(1.0, 1.0, len(part_ids))).round(2)
    rates = pd.DataFrame(
        {
            "part_id": part_ids[rates["part"]],
            "site_id": sites["site_id"].to_numpy()[rates["site"]],
            "orders_per_month": (level[rates["part"]] * np.exp(rng.normal(0, 0.5, len(rates)))).round(4),
            "mean_order_size": size[rates["part"]],
        }
    )
    row, month, quantity = compound_sales(
        rng, rates["orders_per_month"].to_numpy(), rates["mean_order_size"].to_numpy(), len(months)
    )
    sales = rates[["part_id", "site_id"]].iloc[row].reset_index(drop=True)
    return sales.assign(month=months[month], quantity=quantity), rates


def _sales_plan(rng: np.random.Generator, units: pd.DataFrame) -> pd.DataFrame:
    """Next year about the sales of the last, spread at random over its months."""
    months = pd.date_range(RUN_OUT - pd.DateOffset(months=1), periods=MONTHS_PER_YEAR, freq="MS")
    last_year = units[units["commissioned_on"] > LAST_DAY - pd.DateOffset(years=1)]
    counts = last_year.groupby(["product_id", "site_id"]).size().rename("yearly").reset_index()
    sold = rng.poisson(counts["yearly"].to_numpy()[:, None] / MONTHS_PER_YEAR * np.ones(MONTHS_PER_YEAR))
    row, month = np.nonzero(sold)
    plan = counts[["product_id", "site_id"]].iloc[row].reset_index(drop=True)
    return plan.assign(month=months[month], units_sold=sold[row, month])


def _facts(regions: pd.DataFrame) -> list[tuple]:
    return list(regions[["region_id", "name", "area_km2", "market_stage"]].itertuples(index=False, name=None))
