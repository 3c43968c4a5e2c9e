"""Money at equal promises: spareplan against greedy, the item approach, METRIC and rules of thumb.

python benchmarks/bench_money.py             # three seeds of six kinds of networks, and the sample
python benchmarks/bench_money.py --seeds 1 --kinds "3 echelons"

Money is told above the lower bound: no whole levels that keep the same promises cost less than that.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from bench_levels import make_case
from level_rivals import (
    by_kernels,
    greedy,
    greedy_in_rounds,
    item_approach,
    months_of_cover,
    remove_unneeded,
    safety_factor,
)

import spareplan as sp
from spareplan.stocking import solve_levels
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import measure
from spareplan.stocking.promises import Promises
from spareplan.stocking.trim import money

SAMPLE = Path(__file__).parents[1] / "data" / "samples" / "delivery_pump"
Rival = Callable[[Pipelines, Promises], np.ndarray]
RIVALS: dict[str, Rival] = {
    "greedy, then removal": greedy,
    "item: a fill rate per site": lambda p, u: item_approach(p, u, one_for_all=False),
    "item: one fill rate": lambda p, u: item_approach(p, u, one_for_all=True),
    "one fill rate, then removal": lambda p, u: remove_unneeded(p, u, item_approach(p, u, one_for_all=False)),
    "k sigma per site": lambda p, u: safety_factor(p, u, one_for_all=False),
    "k sigma": lambda p, u: safety_factor(p, u, one_for_all=True),
    "months of cover per site": lambda p, u: months_of_cover(p, u, one_for_all=False),
}
# Piece by piece over tens of sites takes the greedy many minutes.
LARGE_RIVALS = {
    "greedy, then removal": greedy_in_rounds,
    **{name: find for name, find in RIVALS.items() if "greedy" not in name},
}
KINDS = {
    "2 echelons, waits": (150, 6, 0),
    "2 echelons, fill rates": (150, 6, 0),
    "2 echelons, windows": (150, 6, 0),
    "2 echelons, three tiers": (150, 6, 0),
    "3 echelons": (80, 8, 2),
    "3 echelons, large": (400, 150, 10),
}


def make_kind(kind: str, seed: int) -> tuple[pd.DataFrame, ...]:
    """Sites, parts, rates and targets of one kind of network: parts, stations and depots as in `KINDS`.

    Tiers promise a window, a fill rate and a wait at every station; with three echelons each station promises
    one of the three.
    """
    rng = np.random.default_rng(1_000 + seed)
    sites, parts, rates, targets = make_case(*KINDS[kind], seed=seed)
    if kind == "2 echelons, waits":
        return sites, parts, rates, targets
    if kind == "2 echelons, three tiers":
        groups = pd.DataFrame({"group": ["1", "2", "3"]})
        parts = parts.assign(group=rng.choice(groups["group"], len(parts), p=[0.2, 0.3, 0.5]))
        targets = targets[["site_id"]].merge(groups, how="cross")
        share, wait = targets["group"].map({"1": 0.95, "2": 0.9}), 0.8
        asked = targets["group"].map({"1": "in_window", "2": "fill_rate", "3": "wait_days"})
    else:
        share = rng.uniform(0.88, 0.97, len(targets))
        wait = targets["target_wait_days"]
        mixed = rng.choice(["wait_days", "fill_rate", "in_window"], len(targets))
        only = {"2 echelons, fill rates": "fill_rate", "2 echelons, windows": "in_window"}
        asked = pd.Series(only.get(kind, mixed), index=targets.index)
    columns = {"fill_rate": share, "in_window": share, "wait_days": wait}
    goals = {f"target_{name}": np.where(asked == name, value, np.nan) for name, value in columns.items()}
    keys = targets[[name for name in ("site_id", "group") if name in targets]]
    return sites, parts, rates, keys.assign(**goals, window_days=1.0)


def compare(
    name: str, pipelines: Pipelines, promises: Promises, bound: float, rivals: dict[str, Rival]
) -> Iterator[dict[str, object]]:
    """Each rival's money above the bound, its broken promises, its time."""
    for rival, find in rivals.items():
        begin = time.process_time()
        levels = find(pipelines, promises)
        good = promises.kept(promises.used(measure(pipelines, levels)))
        yield {
            "network": name,
            "plan": rival,
            "money": money(pipelines, levels),
            "above bound": money(pipelines, levels) / bound - 1,
            "broken": int((~good).sum()),
            "promises": len(promises),
            "seconds": time.process_time() - begin,
        }


def by_approximation(
    name: str, tables: tuple[pd.DataFrame, ...], pipelines: Pipelines, promises: Promises, bound: float
) -> Iterator[dict[str, object]]:
    """Plans of METRIC and of two moments, measured exactly."""
    for method in ("metric", "two_moment"):
        begin = time.process_time()
        other = solve_levels(*tables, method=method).table.set_index(["part_id", "site_id"])["base_stock"]
        seconds = time.process_time() - begin
        levels = other.reindex(_rows(tables, pipelines)).to_numpy(dtype=np.int64)
        used = promises.used(measure(pipelines, levels))
        good = promises.kept(used)
        yield {
            "network": name,
            "plan": f"{method}, evaluated exactly",
            "money": money(pipelines, levels),
            "above bound": money(pipelines, levels) / bound - 1,
            "broken": int((~good).sum()),
            "promises": len(promises),
            "worst": float((used / promises.allowed).max() - 1),
            "seconds": seconds,
        }


def _rows(tables: tuple[pd.DataFrame, ...], pipelines: Pipelines) -> pd.MultiIndex:
    """Part and site of each row of the pipelines."""
    from spareplan.stocking.reading import read_pipelines

    forest, _ = read_pipelines(*tables[:3], "exact")
    part, site = forest.part[pipelines.forest_rows], forest.site[pipelines.forest_rows]
    return pd.MultiIndex.from_arrays(
        [forest.part_ids.take(part), forest.site_ids.take(site)], names=["part_id", "site_id"]
    )


def network_rows(kind: str, seed: int, rivals: dict[str, Rival]) -> Iterator[dict[str, object]]:
    """Spareplan and all others on one network."""
    tables = make_kind(kind, seed)
    begin = time.process_time()
    found = solve_levels(*tables)
    seconds = time.process_time() - begin
    name = f"{kind} {seed}"
    yield {
        "network": name,
        "plan": "spareplan",
        "money": found.cost,
        "above bound": found.gap,
        "broken": int((~found.service["kept"]).sum()),
        "promises": len(found.service),
        "seconds": seconds,
    }
    pipelines, promises = by_kernels(found.frontier.pipelines), found.frontier.promises
    yield from by_approximation(name, tables, pipelines, promises, found.lower_bound)
    yield from compare(name, pipelines, promises, found.lower_bound, rivals)


def sample_rows(rivals: dict[str, Rival]) -> Iterator[dict[str, object]]:
    """The sample dataset through the whole chain."""
    data = sp.read_dataset(SAMPLE)
    demand = sp.forecast_demand(data, months=12)
    grades = sp.grade_parts(data, demand)
    begin = time.process_time()
    found = sp.optimize_levels(data, demand, grades)
    yield {
        "network": "sample",
        "plan": "spareplan",
        "money": found.cost,
        "above bound": found.gap,
        "broken": int((~found.service["kept"]).sum()),
        "promises": len(found.service),
        "seconds": time.process_time() - begin,
    }
    frontier = found.frontier
    yield from compare("sample", by_kernels(frontier.pipelines), frontier.promises, found.lower_bound, rivals)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--kinds", nargs="*", default=[*KINDS, "sample"])
    options.add_argument("--raw", help="csv file for the figures of every network")
    given = options.parse_args()
    # What is compiled or read from the cache of the compiler once is not counted.
    solve_levels(*make_case(400, 10))
    rows: list[dict[str, object]] = []
    for kind in given.kinds:
        rivals = LARGE_RIVALS if kind in ("sample", "3 echelons, large") else RIVALS
        runs = [sample_rows(rivals)] if kind == "sample" else []
        runs += [network_rows(kind, seed, rivals) for seed in range(given.seeds) if kind != "sample"]
        for run in runs:
            for row in run:
                rows.append(row | {"kind": kind})
                if given.raw:
                    pd.DataFrame(rows).to_csv(given.raw, index=False)
                print(pd.DataFrame([row]).to_string(index=False, header=False), flush=True)
    print(f"\n{money_table(pd.DataFrame(rows)).to_string()}")


def money_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Money above the bound in percent, least to most over the seeds: plans by kinds of networks."""
    grouped = rows.groupby(["plan", "kind"], sort=False)
    least, most = 100 * grouped["above bound"].min(), 100 * grouped["above bound"].max()
    broken, promised = grouped["broken"].sum(), grouped["promises"].sum()
    text = [
        f"{a:.3g}-{b:.3g}" + (f" ({c} of {d} broken)" if c else "")
        for a, b, c, d in zip(least, most, broken, promised)
    ]
    table = least.reset_index()[["plan", "kind"]].assign(money=text)
    return table.pivot_table("money", "plan", "kind", aggfunc="first", sort=False)


if __name__ == "__main__":
    main()
