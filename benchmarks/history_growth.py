"""Seconds and peak memory of one history forecast; started anew for every size by `bench_history.py`.

python benchmarks/history_growth.py spareplan 30000
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from history_methods import LEVELS, long_table
from history_panels import FloatArray, simulated_panels

LEAD, PERIODS = 3, 36
# Kinds of 48 months; a quarter of the series each.
KINDS = ("slow movers", "lumpy", "projects", "level shifts")
NAIVE_SERIES, NAIVE_DRAWS = 1_000, 1_000


def mixed_demand(series: int) -> FloatArray:
    """Made-up histories of 36 months, of four kinds."""
    panels = simulated_panels([9000], KINDS, -(-series // len(KINDS)))
    return np.concatenate([panel.demand[:, :PERIODS] for panel in panels])[:series]


def naive(history: pd.DataFrame) -> pd.DataFrame:
    """What one writes in an afternoon: a bootstrap, part by part."""
    rows = {}
    for part, group in history.groupby("part_id"):
        past = group.sort_values("period")["quantity"].to_numpy()
        draws = np.random.default_rng(0).choice(past, (NAIVE_DRAWS, LEAD)).sum(axis=1)
        rows[part] = np.quantile(draws, LEVELS)
    return pd.DataFrame.from_dict(rows, orient="index")


def peak_memory() -> int:
    """Most memory this process has held. [bytes]"""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would count what the process that started this one held.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(method: str, series: int) -> None:
    """Time one method on so many series and print the figures as JSON."""
    from spareplan.forecast import forecast_history

    forecast_history(long_table(mixed_demand(400)), LEAD)
    history = long_table(mixed_demand(series))
    before = peak_memory()
    start = time.process_time()
    naive(history) if method == "naive" else forecast_history(history, LEAD)
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "peak": peak_memory(), "before": before}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
