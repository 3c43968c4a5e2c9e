"""Forecast of a fleet: CPU seconds and memory as parts, machines and months grow. Prints, asserts nothing.

Run: ``python benchmarks/bench_forecast.py [--large]``. Beside it, in the same run, stands the plain way:
every piece by itself, its chance to fail in each month by its age (no renewals, no fit).
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time

import numpy as np
import pandas as pd

import spareplan as sp
from spareplan.config import ForecastOptions
from spareplan.tables.dataset import Dataset

PER_PRODUCT, SITES, REGIONS = 200, 20, 5
RECORDS, TODAY = pd.Timestamp("2020-01-01"), pd.Timestamp("2025-12-31")
# parts, machines, months: each grows alone, then all.
SIZES = [
    (1_000, 5_000, 12),
    (1_000, 5_000, 24),
    (1_000, 20_000, 12),
    (4_000, 20_000, 12),
    (1_000, 80_000, 12),
]
LARGE = [(10_000, 100_000, 24)]


def made_up_fleet(parts: int, machines: int, seed: int = 0) -> tuple[Dataset, int]:
    """Products of 200 parts each; lives of years; a tenth of the parts also replaced by plan.

    Beside the dataset, what is replaced in the year after it.
    """
    rng = np.random.default_rng(seed)
    products = max(1, parts // PER_PRODUCT)
    part = np.array([f"P{i:06d}" for i in range(parts)])
    shape, scale = np.exp(rng.normal(0.6, 0.25, parts)), np.exp(rng.normal(9.8, 1.0, parts))
    planned = rng.random(parts) < 0.1
    owner = np.minimum(np.arange(parts) // PER_PRODUCT, products - 1)
    product = rng.integers(0, products, machines)
    born = pd.Timestamp("2014-01-01") + pd.to_timedelta(rng.integers(0, 4300, machines), unit="D")
    days = (TODAY - born).days.to_numpy().astype(float) + 365
    events = []
    for number in range(products):
        own, here = np.flatnonzero(owner == number), np.flatnonzero(product == number)
        age = np.zeros((len(here), len(own)))
        while True:
            life = scale[own] * rng.weibull(shape[own], age.shape)
            early = planned[own] & (life > 0.6 * scale[own])
            age += np.maximum(np.where(early, 0.6 * scale[own], life), 1.0)
            row, column = np.nonzero(age < days[here][:, None])
            if not len(row):
                break
            events.append((here[row], own[column], age[row, column], early[row, column]))
    unit, which, when, early = (np.concatenate(column) for column in zip(*events))
    names = np.array([f"U{i:06d}" for i in range(machines)])
    models = np.array([f"M{i:03d}" for i in range(products)])
    replaced = pd.DataFrame(
        {
            "unit_id": names[unit],
            "part_id": part[which],
            "replaced_on": born[unit] + pd.to_timedelta(np.floor(when), unit="D"),
            "planned": early,
        }
    )
    sites = [f"S{i:03d}" for i in range(SITES)]
    months = pd.date_range(RECORDS, TODAY, freq="MS")
    season = 150 * (1 + 0.4 * np.sin(months.month / 12 * 2 * np.pi))
    use = pd.MultiIndex.from_product([models, [f"R{i}" for i in range(REGIONS)], months])
    usage = use.to_frame(index=False, name=["product_id", "region_id", "month"])
    later = replaced["replaced_on"] > TODAY
    data = Dataset.from_frames(
        {
            "parts": pd.DataFrame(
                {
                    "part_id": part,
                    "name": part,
                    "unit_cost": rng.lognormal(5, 1, parts),
                    "lead_time_days": 30.0,
                    "family": [f"F{i % 60}" for i in range(parts)],
                }
            ),
            "products": pd.DataFrame({"product_id": models, "name": models, "tier": 2}),
            "fitment": pd.DataFrame({"product_id": models[owner], "part_id": part, "quantity": 1}),
            "units": pd.DataFrame(
                {
                    "unit_id": names,
                    "product_id": models[product],
                    "site_id": np.array(sites)[rng.integers(0, SITES, machines)],
                    "commissioned_on": born,
                }
            ),
            "replacements": replaced[(replaced["replaced_on"] >= RECORDS) & ~later],
            "sites": pd.DataFrame(
                {
                    "site_id": ["HQ", *sites],
                    "name": ["HQ", *sites],
                    "region_id": [None, *(f"R{i % REGIONS}" for i in range(SITES))],
                    "parent_id": [None, *["HQ"] * SITES],
                    "lead_time_days": [0.0, *[5.0] * SITES],
                }
            ),
            "regions": pd.DataFrame(
                {"region_id": [f"R{i}" for i in range(REGIONS)], "name": "r", "records_from": RECORDS}
            ),
            "usage": usage.assign(hours_per_unit=np.tile(season, len(models) * REGIONS)),
        }
    )
    return data, int(later.sum())


def one_by_one(data: Dataset, months: int, most: int = 2_000_000) -> float:
    """CPU seconds to count every piece by itself at a known law, scaled up from at most so many pieces."""
    age = (TODAY - data.units["commissioned_on"]).dt.days.to_numpy(float)
    parts = data.fitment.groupby("product_id").size().reindex(data.units["product_id"]).to_numpy()
    total = int(parts.sum())
    pieces = np.repeat(age, parts)[:most]
    started = time.process_time()
    for month in range(months):
        low, high = ((pieces + 30.4 * (month + step)) / 18_000 for step in (0, 1))
        np.bincount(np.arange(len(pieces)) % PER_PRODUCT, -np.expm1(low**1.8 - high**1.8))
    return (time.process_time() - started) * total / len(pieces)


def measured(parts: int, machines: int, months: int) -> None:
    data, came = made_up_fleet(parts, machines)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, cpu = time.perf_counter(), time.process_time()
    demand = sp.forecast_demand(data, months=months, as_of=TODAY, options=ForecastOptions(backtest_origins=0))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    year = demand.lead_time_demand(365)["mean"].sum()
    pairs = int(data.units.groupby("product_id").size().mul(data.fitment.groupby("product_id").size()).sum())
    print(
        f"{parts:7,} parts x {machines:7,} machines x {months} months: {cpu:6.1f} s CPU, {wall:6.1f} s, "
        f"peak {peak:6,.0f} MB (data alone {before:,.0f}); {pairs:,} pieces, "
        f"{len(data.replacements):,} records, {len(demand.table):,} rows; "
        f"{year:,.0f} expected in the next year, {came:,} came\n"
        f"        each piece by itself, counted once at a known law: {one_by_one(data, months):6.1f} s CPU"
    )


def main(large: bool) -> None:
    # A process each, so that the peak of one does not hide the next.
    context = multiprocessing.get_context("spawn")
    for size in SIZES + (LARGE if large else []):
        process = context.Process(target=measured, args=size)
        process.start()
        process.join()


if __name__ == "__main__":
    main("--large" in sys.argv)
