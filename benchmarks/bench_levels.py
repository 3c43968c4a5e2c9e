"""Gap, time and memory of solve_levels over sizes, each in a process of its own, and their growth.

python benchmarks/bench_levels.py            # 200 x 8 to 1,000 x 10
python benchmarks/bench_levels.py large      # 10,000 x 50, three echelons, optimize_levels over a dataset
python benchmarks/bench_levels.py huge       # 10,000 x (10, 150) and 100,000 x 150: 15 million pairs
python benchmarks/bench_levels.py growth     # the same network from 500 to 50,000 parts

Seconds are of the clock and of the processor (all threads): where two cores are free, the clock shows about
half of the processor's. Peak memory is that of the whole process, tables that were handed in included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import spareplan as sp
from spareplan.results import DemandForecast, PartGrades, assumptions_frame
from spareplan.stocking import solve_levels

# parts, stations, depots; "dataset": through optimize_levels.
SIZES: dict[str, list[tuple[str, int, int, int]]] = {
    "small": [("plain", *size) for size in ((200, 8, 0), (500, 8, 0), (1_000, 10, 0), (1_000, 25, 5))],
    "large": [
        ("plain", 1_000, 10, 0),
        ("plain", 10_000, 50, 0),
        ("plain", 1_000, 150, 10),
        ("dataset", 10_000, 50, 0),
    ],
    "huge": [("plain", 10_000, 150, 10), ("plain", 100_000, 150, 0)],
    "growth": [("plain", parts, 50, 0) for parts in (500, 1_600, 5_000, 16_000, 50_000)],
}


def make_case(parts: int, stations: int, depots: int = 0, seed: int = 0) -> tuple[pd.DataFrame, ...]:
    """Made-up network: lognormal costs 5..100k, 0.001-5 pieces a month per site, 30-180 days of supply."""
    rng = np.random.default_rng(seed)
    names = [f"S{j:03d}" for j in range(stations)]
    depot_names = [f"D{d:02d}" for d in range(depots)]
    above = [depot_names[j % depots] for j in range(stations)] if depots else ["HQ"] * stations
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", *depot_names, *names],
            "parent_id": [None, *["HQ"] * depots, *above],
            "lead_time_days": [0.0, *rng.uniform(3, 10, depots), *rng.uniform(2, 10, stations)],
        }
    )
    part_ids = np.array([f"P{i:06d}" for i in range(parts)])
    items = pd.DataFrame(
        {
            "part_id": part_ids,
            "unit_cost": np.clip(rng.lognormal(5, 1.6, parts), 5, 100_000).round(2),
            "lead_time_days": rng.uniform(30, 180, parts),
        }
    )
    level = np.exp(rng.uniform(np.log(0.001), np.log(2.0), parts)) / 30.4375
    rate = np.minimum(level[:, None] * rng.gamma(1.0, 1.0, (parts, stations)) + 1e-7, 5 / 30.4375)
    rates = pd.DataFrame(
        {
            "part_id": np.repeat(part_ids, stations),
            "site_id": np.tile(names, parts),
            "demand_per_day": rate.ravel(),
        }
    )
    targets = pd.DataFrame({"site_id": names, "target_wait_days": rng.uniform(0.15, 0.6, stations)})
    return sites, items, rates, targets


def make_dataset(parts: int, stations: int, seed: int = 0) -> tuple[sp.Dataset, DemandForecast, PartGrades]:
    """The same network as a checked dataset, with a forecast and three tiers of parts."""
    sites, items, rates, _ = make_case(parts, stations, 0, seed)
    sites = sites.assign(name="site", region_id=np.where(sites["parent_id"].isna(), None, "R"))
    history = rates[["part_id", "site_id"]].head(1_000).assign(month="2025-12-01", quantity=1.0)
    data = sp.Dataset.from_frames(
        {
            "parts": items.assign(name="part"),
            "sites": sites,
            "regions": pd.DataFrame({"region_id": ["R"], "name": ["all"]}),
            "demand": history,
        }
    )
    windows = pd.concat(
        [
            rates[["part_id", "site_id"]].assign(
                days=days, mean=days * rates["demand_per_day"], vmr=1.0, rate_cv2=0.0
            )
            for days in (1.0, 400.0)
        ],
        ignore_index=True,
    )
    nothing = assumptions_frame([])
    table = rates[["part_id", "site_id"]].assign(**{"q0.5": 0.0, "q0.9": 1.0})
    tier = np.arange(parts) % 3 + 1
    grades = pd.DataFrame(
        {
            "part_id": items["part_id"],
            "tier": tier,
            "planner": "hq",
            "target_fill_rate": np.array([0.95, 0.9, 0.8])[tier - 1],
            "target_wait_days": np.nan,
        }
    )
    return (
        data,
        DemandForecast(table=table, assumptions=nothing, windows=windows),
        PartGrades(grades, nothing),
    )


def gigabytes() -> float:
    """Peak of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def timed(run: Callable[..., Any], note: Callable[[str], None]) -> tuple[Any, float, float]:
    """Result, seconds of the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run(progress=lambda step, done, total: note(step))
    return result, time.perf_counter() - wall, time.process_time() - cpu


def one_size(kind: str, parts: int, stations: int, depots: int, seed: int) -> dict[str, Any]:
    """Figures of one size; called in a process of its own."""
    # What is compiled or read from the cache of the compiler once is not counted.
    solve_levels(*make_case(400, 10))
    marks: list[tuple[float, str]] = []

    def note(step: str) -> None:
        marks.append((time.process_time(), step))

    case: Any
    if kind == "dataset":
        case = make_dataset(parts, stations, seed)
        given = gigabytes()
        begin = time.process_time()
        found, wall, cpu = timed(lambda **more: sp.optimize_levels(*case, **more), note)
    else:
        case = make_case(parts, stations, depots, seed)
        given = gigabytes()
        begin = time.process_time()
        found, wall, cpu = timed(lambda **more: solve_levels(*case, **more), note)
    steps: dict[str, float] = {}
    for before, after in zip([(begin, "read"), *marks], [*marks, (begin + cpu, "publish")], strict=True):
        steps[after[1]] = steps.get(after[1], 0.0) + after[0] - before[0]
    row: dict[str, Any] = {
        "parts": parts,
        "depots": depots,
        "stations": stations,
        "pairs": parts * stations,
        "through": "optimize_levels" if kind == "dataset" else "solve_levels",
        "seconds": wall,
        "cpu_seconds": cpu,
        "gap": found.gap,
        "kept": bool(found.service["kept"].all()),
        "gigabytes": gigabytes(),
        "given_gigabytes": given,
        "steps": ", ".join(f"{step} {spent:.1f}" for step, spent in steps.items()),
    }
    return row


def growth(rows: pd.DataFrame, column: str) -> float:
    """Exponent of the growth of a column with the pairs, by least squares over logarithms."""
    return float(np.polyfit(np.log(rows["pairs"]), np.log(rows[column]), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("size", nargs="?", default="small", choices=list(SIZES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", nargs=4, metavar=("KIND", "PARTS", "STATIONS", "DEPOTS"))
    given = parser.parse_args()
    if given.one:
        kind, *numbers = given.one
        print(json.dumps(one_size(kind, *(int(number) for number in numbers), given.seed)))
        return
    rows = []
    for size in SIZES[given.size]:
        command = [sys.executable, __file__, "--seed", str(given.seed), "--one", *map(str, size)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row = json.loads(told.splitlines()[-1])
        rows.append(row)
        steps = row.pop("steps")
        for share in ("gap",):
            row[share] = f"{row[share]:.5%}"
        print(
            pd.DataFrame([row]).to_string(index=False), f"CPU seconds by step: {steps}", sep="\n", flush=True
        )
    table = pd.DataFrame(rows)
    plain = table[table["through"] == "solve_levels"]
    if plain["pairs"].nunique() > 2:
        told = {name: growth(plain, name) for name in ("seconds", "cpu_seconds", "gigabytes")}
        print("grows with pairs to the power", {name: round(power, 2) for name, power in told.items()})


if __name__ == "__main__":
    main()
