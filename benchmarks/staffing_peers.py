"""Least positions by pyworkforce, row by row; run by the interpreter of its own environment.

pyworkforce brings its own solvers and pins, so `bench_staffing.py` writes the rows to a file, starts this
script with another Python, and reads back what it prints: seconds of CPU and positions as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import numpy as np


def main(path: str) -> None:
    """Size every row of the file and print the outcome."""
    from pyworkforce.queuing import ErlangC

    rows = np.load(path)["rows"]
    out, errors = [], {}
    cpu = time.process_time()
    for rate, hours, limit, target in rows.tolist():
        try:
            # Minutes; an hour is the interval in which the transactions come.
            queue = ErlangC(transactions=rate, aht=hours * 60, interval=60, asa=limit * 60, shrinkage=0.0)
            out.append(int(queue.required_positions(service_level=target, max_occupancy=1.0)["positions"]))
        except Exception as error:  # a peer that fails is a figure of the benchmark
            errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
            out.append(-1)
    cpu = time.process_time() - cpu
    print(json.dumps({"version": version("pyworkforce"), "seconds": cpu, "positions": out, "errors": errors}))


if __name__ == "__main__":
    main(sys.argv[1])
