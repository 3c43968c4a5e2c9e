"""Small problems: gap and time before and after the proof, beside the plain integer programme.

python benchmarks/bench_small.py             # 5 x 3 to 30 x 6, three seeds each
python benchmarks/bench_small.py --seeds 10

"before" is the plan rounded from the linear programme, with exchanges of one or two parts; "after" the same
plan bettered and proved over the cells that a better plan could use. The plain road gives HiGHS every vector
of levels up to one piece above the plan as a column, with the same gap to reach; beyond a hundred thousand
columns it is left out. Seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
import pandas as pd
from bench_levels import make_case
from scipy import sparse

from spareplan.errors import SolverError
from spareplan.maths.solver import solve_arrays
from spareplan.stocking import finding
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import measure
from spareplan.stocking.promises import Promises
from spareplan.stocking.proving import PROVED, prove
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.tabulated import tabulate
from spareplan.stocking.targets import read_targets
from spareplan.stocking.trim import money
from spareplan.stocking.whole import search_whole

# Parts, stations, groups, depots.
SIZES = [(5, 3, 1, 0), (10, 3, 1, 0), (10, 6, 2, 0), (30, 3, 3, 0), (30, 6, 3, 0)]
PLAIN_COLUMNS, PLAIN_NODES = 100_000, 200


def grouped_case(
    parts: int, stations: int, groups: int, depots: int, seed: int
) -> tuple[Pipelines, Promises]:
    """The network of `bench_levels` with a wait or fill promise per site and group of parts."""
    sites, items, rates, _ = make_case(parts, stations, depots, seed)
    rng = np.random.default_rng(seed + 99)
    items["group"] = [f"t{k}" for k in rng.integers(0, groups, parts)]
    asked = itertools.product(sorted(rates["site_id"].unique()), sorted(items["group"].unique()))
    targets = pd.DataFrame(asked, columns=["site_id", "group"])
    fill = rng.random(len(targets)) < 0.5
    targets["target_fill_rate"] = np.where(fill, rng.uniform(0.8, 0.98, len(targets)), np.nan)
    targets["target_wait_days"] = np.where(fill, np.nan, rng.uniform(0.15, 1.0, len(targets)))
    forest, pipelines = read_pipelines(sites, items, rates, "exact")
    return pipelines, read_targets(targets, items, forest, pipelines)


def plain_road(pipelines: Pipelines, promises: Promises, levels: np.ndarray) -> tuple[float, float, str]:
    """Money, bound and how it went of an integer programme over all vectors up to a piece above the plan."""
    starts = pipelines.starts
    tops = [levels[starts[i] : starts[i + 1]] + 2 for i in range(len(starts) - 1)]
    if sum(float(np.prod(top)) for top in tops) > PLAIN_COLUMNS:
        return np.nan, np.nan, "too many columns"
    boxes = [np.indices(top).reshape(len(top), -1).T for top in tops]
    owner = np.repeat(np.arange(len(boxes)), [len(box) for box in boxes])
    flat = np.concatenate([box.ravel() for box in boxes])
    wide, rows = pipelines.take(owner), pipelines.rows_of(owner)
    column, promise, amount = promises.take(rows).used_by_part(measure(wide, flat), wide)
    use = sparse.csr_matrix(
        (amount / promises.allowed[promise], (promise, column)), shape=(len(promises), len(owner))
    )
    pick = sparse.csr_matrix((np.ones(len(owner)), (owner, np.arange(len(owner)))))
    limits = np.r_[np.full(len(promises), -np.inf), np.ones(len(boxes))]
    cost = np.add.reduceat(flat, wide.starts[:-1]) * wide.unit_cost
    try:
        found = solve_arrays(
            cost, sparse.vstack([use, pick]), limits, np.ones(len(limits)), 0.0, 1.0,
            np.ones(len(owner), bool),
            gap=PROVED, mip_max_nodes=PLAIN_NODES,
        )  # fmt: skip
    except SolverError:
        return np.nan, np.nan, "no plan found"
    return found.objective, found.bound, f"{len(owner):,} columns, {found.status}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    for size, seed in itertools.product(SIZES, range(given.seeds)):
        pipelines, promises = grouped_case(*size, seed)
        begin = time.process_time()
        standing = finding.Standing()
        starts = finding.price_promises(pipelines, promises, None, None, standing)
        finding._trim_all(pipelines, promises, standing, starts, lambda *told: None)
        cost, levels, _ = standing.feasible
        search = standing.searched
        levels = search_whole(
            pipelines, promises, levels, cost, search.prices, search.bound, exchange_only=True
        )
        cost, middle = money(pipelines, levels), time.process_time()
        proof = prove(pipelines, promises, levels, search.prices)
        after, end = money(pipelines, proof.levels), time.process_time()
        plain, plain_bound, how = plain_road(pipelines, promises, proof.levels)
        tables = tabulate(pipelines)
        row = {
            "parts x sites x groups": "{} x {} x {}".format(*size[:3]),
            "cells": 0 if tables is None else tables.cells,
            "gap before": f"{cost / search.bound - 1:.3%}",
            "s before": middle - begin,
            "gap after": f"{after / max(proof.bound, 1e-12) - 1:.4%}",
            "s proof": end - middle,
            "cost": f"{after / cost - 1:+.3%}",
            "bound": f"{proof.bound / search.bound - 1:+.3%}",
            "plain: cost": f"{plain / after - 1:+.3%}",
            "gap": f"{plain / plain_bound - 1:.3%}",
            "s": time.process_time() - end,
            "how": how,
        }
        print(pd.DataFrame([row]).to_string(index=False, float_format="{:.2f}".format), flush=True)


if __name__ == "__main__":
    main()
