"""Money at equal promises: spareplan against greedy, the item approach, METRIC and rules of thumb.

python benchmarks/bench_money.py             # three seeds of four kinds of networks, and the sample
python benchmarks/bench_money.py --seeds 1 --kinds fill

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
from level_rivals import greedy, item_approach, months_of_cover, remove_unneeded, safety_factor

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
KINDS = ("wait", "fill", "three echelons", "tiers and windows")


def make_kind(kind: str, seed: int) -> tuple[pd.DataFrame, ...]:
    """Sites, parts, rates and targets of one kind of network."""
    rng = np.random.default_rng(1_000 + seed)
    if kind == "wait":
        return make_case(300, 6, seed=seed)
    if kind == "fill":
        sites, parts, rates, targets = make_case(500, 8, seed=seed)
        fill = rng.uniform(0.88, 0.97, len(targets))
        return sites, parts, rates, targets[["site_id"]].assign(target_fill_rate=fill)
    if kind == "three echelons":
        return make_case(300, 12, 3, seed=seed)
    sites, parts, rates, targets = make_case(300, 6, seed=seed)
    parts = parts.assign(group=rng.choice(["1", "2", "3"], len(parts), p=[0.2, 0.3, 0.5]))
    cells = targets[["site_id"]].merge(pd.DataFrame({"group": ["1", "2", "3"]}), how="cross")
    first, second = cells["group"] == "1", cells["group"] == "2"
    cells["target_in_window"] = np.where(first, 0.95, np.nan)
    cells["window_days"] = 1.0
    cells["target_fill_rate"] = np.where(second, 0.9, np.nan)
    cells["target_wait_days"] = np.where(first | second, np.nan, 0.8)
    return sites, parts, rates, cells


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
        "above bound": found.gap,
        "broken": int((~found.service["kept"]).sum()),
        "promises": len(found.service),
        "seconds": seconds,
    }
    pipelines, promises = found.frontier.pipelines, found.frontier.promises
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
        "above bound": found.gap,
        "broken": int((~found.service["kept"]).sum()),
        "promises": len(found.service),
        "seconds": time.process_time() - begin,
    }
    frontier = found.frontier
    # Piece by piece over 33 sites and 155 promises takes the greedy many minutes.
    quick = {name: find for name, find in rivals.items() if "greedy" not in name}
    yield from compare("sample", frontier.pipelines, frontier.promises, found.lower_bound, quick)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--kinds", nargs="*", default=[*KINDS, "sample"])
    given = options.parse_args()
    solve_levels(*make_case(20, 3))
    rows: list[dict[str, object]] = []
    for kind in given.kinds:
        runs = [sample_rows(RIVALS)] if kind == "sample" else []
        runs += [network_rows(kind, seed, RIVALS) for seed in range(given.seeds) if kind != "sample"]
        for run in runs:
            for row in run:
                rows.append(row | {"kind": kind})
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
