"""The whole monthly run: seconds per step, memory, growth with size. Prints figures, asserts nothing.

Run: ``python benchmarks/bench_plan.py [--large]``
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import spareplan as sp

ROOT = Path(__file__).parents[1]
SIZES = [(100, 10, 500), (300, 20, 1_500), (1_000, 30, 5_000)]
LARGE = [(3_000, 50, 15_000)]


def timed_plan(name: str, folder: Path, config: sp.PlanConfig) -> float:
    wall, cpu = time.perf_counter(), time.process_time()
    marks: list[tuple[str, float]] = [("read", time.process_time())]
    data = sp.read_dataset(folder)

    def note(step: str, done: int, total: int) -> None:
        marks.append((step, time.process_time()))

    plan = sp.make_plan(data, config, progress=note)
    spent = time.process_time() - cpu
    steps = ", ".join(f"{step} {after - before:.1f}" for (step, before), (_, after) in pairwise(marks))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pairs = len(plan.levels.table)
    print(f"{name}: {time.perf_counter() - wall:.1f} s, {spent:.1f} s CPU, peak {peak:,.0f} MB")
    print(f"   {pairs:,} levels, gap {plan.levels.gap:.2%}")
    print(f"   CPU s by step: {steps}")
    return spent


def main(large: bool) -> None:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "spareplan", "--help"], check=True, capture_output=True)
    print(f"spareplan --help: {time.perf_counter() - started:.2f} s")
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import pandas, scipy.stats"], check=True)
    print(f"   beside it, importing pandas and scipy.stats alone: {time.perf_counter() - started:.2f} s")
    for attempt in ("first run (compiles where nothing is cached)", "second run"):
        timed_plan(f"delivery_pump, {attempt}", ROOT / "data/samples/delivery_pump", sp.PlanConfig())
    timed_plan("overseas_rail", ROOT / "data/samples/overseas_rail", sp.PlanConfig())
    with tempfile.TemporaryDirectory() as folder:
        for parts, sites, machines in SIZES + (LARGE if large else []):
            target = Path(folder) / f"{parts}x{sites}"
            sp.make_sample(target, kind="network", parts=parts, sites=sites, machines=machines, seed=1)
            timed_plan(f"network {parts:,} parts x {sites} sites x {machines:,} machines", target,
                       sp.PlanConfig(months=6, years=2))  # fmt: skip


if __name__ == "__main__":
    main("--large" in sys.argv)
