"""Time and memory of evaluating given levels, and of simulating them, over sizes.

Run: python benchmarks/bench_evaluate.py [--big]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from spareplan.stocking import evaluate_levels, simulate
from spareplan.stocking._forest import read_forest
from spareplan.stocking.echelons import exact_service, kernel_service

SIZES = [(1_000, 10), (10_000, 50)]


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


def seconds(task: Callable[..., object], *arguments: object, **options: object) -> float:
    """Time of one call. [s]."""
    begin = time.perf_counter()
    task(*arguments, **options)
    return time.perf_counter() - begin


def main() -> None:
    """Print a line per size."""
    options = argparse.ArgumentParser()
    options.add_argument("--big", action="store_true", help="also 100,000 x 150 (15 million pairs)")
    small = made_up(300, 10)
    forest = read_forest(*small)
    kernel_service(forest)
    plain, compiled = exact_service(forest, np.ones(len(forest), bool)), kernel_service(forest)
    print(f"kernel against plain: largest difference {abs(plain.ebo - compiled.ebo).max():.1e} pieces")
    print(f"wait law, 3,300 pairs, one time: {seconds(evaluate_levels, *small, times=[1.0]):.2f} s")
    for parts, sites in SIZES + ([(100_000, 150)] if options.parse_args().big else []):
        given = made_up(parts, sites)
        line = f"{parts:,} x {sites}: "
        for method in ("exact", "two_moment"):
            line += f"{method} {seconds(evaluate_levels, *given, method=method):.2f} s, "
        if parts <= 10_000:
            line += f"exact with one time {seconds(evaluate_levels, *given, times=[1.0]):.2f} s, "
            line += f"simulate 5 years {seconds(simulate, *given, years=5, seed=1):.1f} s, "
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(line + f"peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
