"""Machines of the delivery-pump sample: where they stand, how they are used, what will be sold."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.maths.units import DAYS_PER_YEAR, MONTHS_PER_YEAR
from spareplan.tables import samples_facts as facts
from spareplan.tables.samples_engine import stream, to_date, to_day

FIRST_MONTH = pd.Timestamp("2015-01-01")
LAST_DAY = pd.Timestamp("2025-12-31")
# Orders still open on the last day end a little later, so the fleet runs on unseen.
RUN_OUT = pd.Timestamp("2026-02-01")
USAGE_NOISE = 0.04
PLAN_MONTHS = pd.date_range("2026-01-01", periods=12, freq="MS")


def pump_sites() -> pd.DataFrame:
    """Make the table sites: headquarters, a depot per region, service stations below most depots.

    Returns
    -------
    DataFrame
    """
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


def pump_usage(seed: int) -> pd.DataFrame:
    """Make the table usage: building rests in winter and at Chinese New Year.

    Parameters
    ----------
    seed : int

    Returns
    -------
    DataFrame
        Up to the month after the last day.
    """
    months = pd.date_range(FIRST_MONTH, RUN_OUT, freq="MS")
    hours = usual_hours(months)
    hours = np.round(hours * np.exp(stream(seed, "usage").normal(0, USAGE_NOISE, hours.shape)), 1)
    groups = use_groups().repeat(len(months))
    return pd.DataFrame(
        {
            "product_id": groups.get_level_values(0),
            "region_id": groups.get_level_values(1),
            "month": np.tile(months, len(hours)),
            "hours_per_unit": hours.ravel(),
        }
    )


def use_groups() -> pd.MultiIndex:
    """Products x regions: machines of one pair are used alike.

    Returns
    -------
    MultiIndex
    """
    return pd.MultiIndex.from_product([[row[0] for row in facts.PRODUCTS], [row[0] for row in facts.REGIONS]])


def usual_hours(months: pd.DatetimeIndex) -> np.ndarray:
    """Hours of use to be expected, without the chance of single months.

    Parameters
    ----------
    months : DatetimeIndex, shape (m,)

    Returns
    -------
    ndarray, shape (g, m)
        A row per pair of `use_groups`. [hours]
    """
    calm = np.array([0.80, 0.62, 1.02, 1.10, 1.12, 1.04, 0.98, 0.97, 1.08, 1.14, 1.10, 1.03])
    frost = np.array([0.20, 0.25, 0.70, 1.20, 1.45, 1.40, 1.30, 1.35, 1.45, 1.30, 0.85, 0.55])
    winter = np.array([row[6] for row in facts.REGIONS])[:, None]
    level = np.array([row[5] for row in facts.REGIONS])[:, None]
    hours = np.array([row[5] for row in facts.PRODUCTS], dtype=float)[:, None, None]
    season = ((1 - winter) * calm + winter * frost)[:, months.month - 1]
    return (hours * level * season).reshape(-1, len(months))


def pump_units(seed: int, sites: pd.DataFrame) -> pd.DataFrame:
    """Make the table units, sold more every year where the market grows.

    Parameters
    ----------
    seed : int
    sites : DataFrame
        Input table sites.

    Returns
    -------
    DataFrame
        And latent_end, the day each machine leaves service, known or not. [days since 1970-01-01]
    """
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


def pump_sales_plan(seed: int, sites: pd.DataFrame) -> pd.DataFrame:
    """Make the table sales_plan: about last year's sales, most of them in spring.

    Parameters
    ----------
    seed : int
    sites : DataFrame
        Input table sites.

    Returns
    -------
    DataFrame
    """
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
