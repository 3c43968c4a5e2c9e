"""Small problems: how far plans lie above the bound, and above the proven optimum.

python benchmarks/bench_small.py                    # 30 random networks of each of five sizes
python benchmarks/bench_small.py --cases 5 --optimum 0
python benchmarks/bench_small.py --size 20 5 2 0 --first 7 --cases 1

Each site promises a mean wait, a fill rate or a share within a window, drawn by chance, for each group of
parts. The optimum is looked for apart from the plan: HiGHS chooses among every stock that a cheaper plan
could use (`spareplan.stocking.proving`), for so many seconds per network; where it comes to an end the
optimum is known. Seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from bench_levels import make_case

from spareplan.results import StockLevels
from spareplan.stocking import solve_levels
from spareplan.stocking.pipelines import weighted_sum
from spareplan.stocking.proving import PROVED, choose, collect, excesses, separate
from spareplan.stocking.tabulated import price_cells, tabulate

# Parts, stations, groups, depots.
SIZES = [(5, 3, 1, 0), (10, 4, 1, 0), (20, 5, 2, 0), (40, 6, 3, 0), (60, 4, 3, 2)]
# A node of the search takes about so many seconds per choice.
NODE_SECONDS, MOST_CHOICES = 1e-5, 20_000
WIDE = 0.005


class Optimum(NamedTuple):
    """Money of the cheapest plan that was found, and the least that any plan costs."""

    cost: float
    bound: float


def grouped_case(
    parts: int, stations: int, groups: int, depots: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Sites, parts, rates and targets: one promise per site and group of parts."""
    sites, items, rates, _ = make_case(parts, stations, depots, seed)
    rng = np.random.default_rng(seed + 99)
    items["group"] = [f"t{k}" for k in rng.integers(0, groups, parts)]
    asked = pd.MultiIndex.from_product([sorted(rates["site_id"].unique()), sorted(items["group"].unique())])
    targets = asked.to_frame(index=False, name=["site_id", "group"])
    kind = rng.integers(0, 3, len(targets))
    targets["target_wait_days"] = np.where(kind == 0, rng.uniform(0.15, 1.0, len(targets)), np.nan)
    targets["target_fill_rate"] = np.where(kind == 1, rng.uniform(0.8, 0.98, len(targets)), np.nan)
    targets["target_in_window"] = np.where(kind == 2, rng.uniform(0.8, 0.98, len(targets)), np.nan)
    targets["window_days"] = rng.choice([1.0, 3.0, 8.0], len(targets))
    return sites, items, rates, targets


def find_optimum(found: StockLevels, seconds: float) -> Optimum:
    """Better a plan and its bound for some time, over all cells that a cheaper plan could use."""
    pipelines, promises, plan = found.frontier.pipelines, found.frontier.promises, found.frontier.found
    cost = bound = 0.0
    groups = list(separate(pipelines, promises))
    for group in groups:
        levels = plan.levels[group.rows]
        money = weighted_sum(group.pipelines.row_cost, levels)
        prices = plan.prices[group.kept]
        tables = tabulate(group.pipelines)
        cost += money
        if tables is None or not len(group.kept):
            bound += 0.0 if len(group.kept) else money
            continue
        priced = price_cells(tables, group.pipelines, group.promises.worth(prices))
        lower = float(priced[0].best.sum()) - weighted_sum(prices, group.promises.allowed)
        excess = excesses(priced)
        choices = collect(tables, priced, excess, money - lower)
        if len(choices) > MOST_CHOICES:
            bound += lower
            continue
        nodes = max(int(seconds / len(groups) / NODE_SECONDS / max(len(choices), 1)), 1)
        chosen = choose(group.pipelines, group.promises, tables, choices, levels, nodes, money)
        if chosen is None:
            bound += lower
            continue
        solution, better = chosen
        if better is not None:
            cost += weighted_sum(group.pipelines.row_cost, better) - money
            money = weighted_sum(group.pipelines.row_cost, better)
        bound += min(max(solution.bound, lower), money)
    return Optimum(cost, max(bound, found.lower_bound))


def figures(size: tuple[int, int, int, int], seed: int, seconds: float) -> dict[str, Any]:
    """Gap, distance to the optimum where it is known, and time of one network."""
    tables = grouped_case(*size, seed)
    begin = time.process_time()
    found = solve_levels(*tables)
    taken = time.process_time() - begin
    # What is proved by the plan itself needs no second search.
    best = Optimum(found.cost, found.lower_bound)
    if seconds and found.gap > PROVED:
        best = find_optimum(found, seconds)
    known = best.cost <= best.bound * (1 + 2 * PROVED)
    return {
        "size": f"{size[0]} x ({size[3]}, {size[1]}), {size[2]} groups",
        "seed": seed,
        "cost": found.cost,
        "gap": found.gap,
        "proved": found.gap <= PROVED,
        "known": known,
        "above optimum": found.cost / best.cost - 1 if known else np.nan,
        "above best": found.cost / best.cost - 1,
        "best gap": best.cost / best.bound - 1,
        "seconds": taken,
        "optimum seconds": time.process_time() - begin - taken,
    }


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per size: gaps in percent."""

    def line(own: pd.DataFrame) -> pd.Series:
        gap, known = 100 * own["gap"], own[own["known"]]
        over = 100 * known["above optimum"]
        return pd.Series(
            {
                "cases": len(own),
                "proved": int(own["proved"].sum()),
                "gap: median": f"{gap.median():.3f}",
                "nine of ten": f"{gap.quantile(0.9):.3f}",
                "largest": f"{gap.max():.2f}",
                "above 0.5": int((gap > 100 * WIDE).sum()),
                "optimum known": len(known),
                "above it: mean": f"{over.mean():.4f}",
                "largest above it": f"{over.max():.3f}",
                "seconds: median": f"{own['seconds'].median():.2f}",
                "most": f"{own['seconds'].max():.2f}",
            }
        )

    return rows.groupby("size", sort=False)[list(rows.columns)].apply(line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=30, help="networks of each size")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--size", type=int, nargs=4, metavar=("PARTS", "STATIONS", "GROUPS", "DEPOTS"))
    parser.add_argument("--optimum", type=float, default=3.0, help="seconds per network for the optimum")
    parser.add_argument("--raw", help="csv file for the figures of every network")
    given = parser.parse_args()
    solve_levels(*make_case(20, 3))
    sizes = [tuple(given.size)] if given.size else SIZES
    rows: list[dict[str, Any]] = []
    for size, seed in itertools.product(sizes, range(given.first, given.first + given.cases)):
        row = figures(size, seed, given.optimum)
        rows.append(row)
        if given.raw:
            pd.DataFrame(rows).to_csv(given.raw, index=False)
        if row["gap"] > WIDE:
            print("{size}, seed {seed}: gap {gap:.2%}, {seconds:.1f} s".format(**row), flush=True)
    print(f"\n{summary(pd.DataFrame(rows)).to_string()}")


if __name__ == "__main__":
    main()
