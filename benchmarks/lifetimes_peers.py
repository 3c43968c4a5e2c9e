"""Weibull fits by lifelines and surpyval, part by part; run by the interpreter of their own environment.

Both packages want an older pandas than spareplan, so `bench_lifetimes.py` writes the spells to a file, starts
this script with another Python, and reads back what it prints: seconds of CPU and fitted laws as JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Law = tuple[float, float]


def fit_by_lifelines(entry: Any, exit_: Any, failed: Any) -> Law:
    """Shape and scale by lifelines."""
    from lifelines import WeibullFitter

    fitter = WeibullFitter().fit(exit_, failed, entry=entry if entry.any() else None)
    return float(fitter.rho_), float(fitter.lambda_)


def fit_by_surpyval(entry: Any, exit_: Any, failed: Any) -> Law:
    """Shape and scale by surpyval."""
    import surpyval

    model = surpyval.Weibull.fit(x=exit_, c=(~failed).astype(int), tl=entry)
    scale, shape = model.params
    return float(shape), float(scale)


PEERS: dict[str, Callable[[Any, Any, Any], Law]] = {
    "lifelines": fit_by_lifelines,
    "surpyval": fit_by_surpyval,
}


def main(path: str) -> None:
    """Fit every part in the file with every peer and print the outcome."""
    stored = np.load(path)
    starts, entry, exit_, failed = (stored[name] for name in ("starts", "entry", "exit", "failed"))
    ends = np.append(starts[1:], len(exit_))
    out: dict[str, Any] = {}
    for name, fit in PEERS.items():
        fit(entry[: ends[0]], exit_[: ends[0]], failed[: ends[0]])
        laws: list[Law] = []
        errors: dict[str, int] = {}
        cpu = time.process_time()
        for low, high in zip(starts, ends):
            try:
                laws.append(fit(entry[low:high], exit_[low:high], failed[low:high]))
            except Exception as error:  # a peer that fails is a figure of the benchmark
                errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
                laws.append((float("nan"), float("nan")))
        version = getattr(__import__(name), "__version__", "")
        cpu = time.process_time() - cpu
        out[name] = {"version": version, "seconds": cpu, "laws": laws, "errors": errors}
    print(json.dumps(out))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1])
