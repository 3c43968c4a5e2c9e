"""Time and memory of evaluating given levels, and of simulating them, over sizes.

Run: python benchmarks/bench_evaluate.py [--big]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd

from spareplan.stocking import evaluate_levels, simulate
from spareplan.stocking._forest import read_forest
from spareplan.stocking.echelons import exact_service, kernel_service

SIZES = [(1_000, 10), (10_000, 50)]
BIG = (100_000, 150)
# What the small sizes also run.
SIMULATED_PARTS = 10_000


def made_up(
    parts: int, sites: int, seed: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Two echelons, every part at every station, slow and fast movers mixed, levels near the pipeline."""
    draw = np.random.default_rng(seed)
    names = [f"S{n:03d}" for n in range(sites)]
    table = pd.DataFrame(
        {
            "site_id": ["HQ", *names],
            "parent_id": [None] + ["HQ"] * sites,
            "lead_time_days": np.r_[0.0, draw.uniform(2, 10, sites)],
        }
    )
    lead = draw.uniform(30, 180, parts)
    frame = pd.DataFrame({"part_id": [f"P{n:06d}" for n in range(parts)], "lead_time_days": lead})
    rate = np.exp(draw.normal(-7, 2, parts))[:, None] * draw.gamma(1, 1, (parts, sites))
    rates = pd.DataFrame(
        {
            "part_id": np.repeat(frame["part_id"], sites),
            "site_id": np.tile(names, parts),
            "demand_per_day": np.clip(rate, 1e-5, 0.2).ravel(),
        }
    )
    rates = rates.reset_index(drop=True)
    total = np.clip(rate, 1e-5, 0.2).sum(axis=1)
    top = pd.DataFrame(
        {"part_id": frame["part_id"], "site_id": "HQ", "base_stock": draw.poisson(total * lead)}
    )
    stations = rates[["part_id", "site_id"]].assign(
        base_stock=draw.poisson(rates["demand_per_day"] * 8 + 0.3)
    )
    return table, frame, rates, pd.concat([top, stations], ignore_index=True)


def timed(task: Callable[..., object], *arguments: object, **options: object) -> str:
    """Wall and processor time of one call. [s]."""
    wall, work = time.perf_counter(), time.process_time()
    task(*arguments, **options)
    return f"{time.perf_counter() - wall:.2f} s ({time.process_time() - work:.2f} s of processor)"


def peak() -> float:
    """Most memory of this process so far. [GB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(parts: int, sites: int) -> None:
    """Print what one size costs; in a process of its own, so that the peak belongs to it."""
    kernel_service(read_forest(*made_up(300, 11)))
    given = made_up(parts, sites)
    rows = parts * (sites + 1)
    print(f"{parts:,} x {sites}: {rows:,} rows, {peak():.2f} GB with the tables alone")
    for method in ("exact", "two_moment"):
        print(f"  evaluate_levels {method}: {timed(evaluate_levels, *given, method=method)}, {peak():.2f} GB")
    print(f"  with wait_le_1: {timed(evaluate_levels, *given, times=[1.0])}, {peak():.2f} GB")
    if parts <= SIMULATED_PARTS:
        print(f"  simulate 5 years: {timed(simulate, *given, years=5, seed=1)}, {peak():.2f} GB")


def main() -> None:
    """Print a few lines per size."""
    options = argparse.ArgumentParser()
    options.add_argument("--big", action="store_true", help="also 100,000 x 150 (15 million pairs)")
    begin = time.perf_counter()
    small = made_up(20, 5)
    first = timed(evaluate_levels, *small, times=[1.0])
    compiler = "numba" in sys.modules
    print(f"100 pairs: {first}, compiler loaded: {compiler}, {time.perf_counter() - begin:.2f} s in all")
    forest = read_forest(*made_up(300, 10))
    plain, compiled = exact_service(forest, np.ones(len(forest), bool)), kernel_service(forest)
    print(f"kernel against plain: largest difference {abs(plain.ebo - compiled.ebo).max():.1e} pieces")
    for size in SIZES + ([BIG] if options.parse_args().big else []):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(measure, *size).result()


if __name__ == "__main__":
    main()
