"""Time, gap and memory of solve_levels over sizes, beside plain greedy and the same fill rate for every item.

python benchmarks/bench_levels.py            # 200 x 8 to 1,000 x 10, with the rivals
python benchmarks/bench_levels.py large      # up to 10,000 x 50, and three echelons
"""

from __future__ import annotations

import argparse
import heapq
import resource
import time

import numpy as np
import pandas as pd

from spareplan.stocking import solve_levels
from spareplan.stocking.pricing import Pipelines, measure
from spareplan.stocking.promises import Promises
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets
from spareplan.stocking.trim import money

SMALL = [(200, 8, 0), (500, 8, 0), (1_000, 10, 0), (1_000, 25, 5)]
LARGE = [(10_000, 50, 0), (1_000, 150, 10), (10_000, 150, 10)]
RIVALS_UP_TO = 4_000


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


def plain_greedy(pipelines: Pipelines, promises: Promises) -> float:
    """Money of adding, from nothing, the piece that mends most per money, one at a time."""
    parts = len(pipelines.unit_cost)
    levels = pipelines.least.copy()
    state = measure(pipelines, levels)
    used = promises.used(state)
    short = np.maximum(used - promises.allowed, 0)
    steps = [
        np.vstack([np.zeros((1, n), np.int64), np.eye(n, dtype=np.int64)]) for n in np.diff(pipelines.starts)
    ]

    def gains(part: int) -> tuple[float, int, np.ndarray]:
        rows = slice(pipelines.starts[part], pipelines.starts[part + 1])
        count = len(steps[part])
        some = pipelines.take(np.full(count, part))
        done = measure(some, (levels[rows] + steps[part]).ravel())
        use = promises.wait_factor[rows] * done.ebo.reshape(count, -1)
        saved = np.zeros((count, len(promises)))
        columns = promises.wait_promise[rows]
        kept = columns >= 0
        saved[:, columns[kept]] = (use[0] - use)[:, kept]
        useful = np.minimum(saved, short).sum(axis=1) / pipelines.unit_cost[part]
        best = int(useful[1:].argmax()) + 1
        return float(useful[best]), best - 1, saved[best]

    heap = [(-gains(i)[0], i) for i in range(parts)]
    heapq.heapify(heap)
    while (short > promises.allowed * 1e-9).any() and heap:
        _, part = heapq.heappop(heap)
        value, site, saved = gains(part)
        if heap and value < -heap[0][0] * (1 - 1e-12):
            heapq.heappush(heap, (-value, part))
            continue
        if value <= 0:
            break
        levels[pipelines.starts[part] + site] += 1
        short = np.maximum(short - saved, 0)
        heapq.heappush(heap, (-gains(part)[0], part))
    return money(pipelines, levels)


def item_approach(pipelines: Pipelines, promises: Promises) -> float:
    """Money of one fill rate for every part and site (HQ at the best of five), raised until all is kept."""

    def levels_at(fill: float, at_hq: float) -> np.ndarray:
        levels = np.zeros(len(pipelines.stop), np.int64)
        open_ = np.ones(len(levels), bool)
        for _ in range(400):
            done = measure(pipelines, levels)
            goal = np.where(pipelines.is_leaf, fill, at_hq)
            open_ &= (done.miss > 1 - goal) & (pipelines.demand > 0)
            if not open_.any():
                break
            levels = levels + open_
        return levels

    best = np.inf
    for at_hq in (0.5, 0.7, 0.8, 0.9, 0.95):
        low, high = 0.3, 0.9999
        for _ in range(12):
            middle = 1 - np.sqrt((1 - low) * (1 - high))
            levels = levels_at(middle, at_hq)
            if promises.kept(promises.used(measure(pipelines, levels))).all():
                high, best = middle, min(best, money(pipelines, levels))
            else:
                low = middle
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("size", nargs="?", default="small", choices=["small", "large"])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    solve_levels(*make_case(20, 3), method="exact")
    rows = []
    for parts, stations, depots in LARGE if given.size == "large" else SMALL:
        case = make_case(parts, stations, depots, given.seed)
        begin = time.perf_counter()
        found = solve_levels(*case)
        row = {
            "parts": parts,
            "depots": depots,
            "stations": stations,
            "seconds": time.perf_counter() - begin,
            "gap": f"{found.gap:.5%}",
            "kept": bool(found.service["kept"].all()),
            "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
        if parts * stations <= RIVALS_UP_TO and not depots:
            forest, pipelines = read_pipelines(*case[:3], "exact")
            promises = read_targets(case[3], case[1], forest, pipelines)
            row["greedy"] = f"{plain_greedy(pipelines, promises) / found.lower_bound - 1:.2%}"
            row["item"] = f"{item_approach(pipelines, promises) / found.lower_bound - 1:.1%}"
        rows.append(row)
        print(pd.DataFrame([row]).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
