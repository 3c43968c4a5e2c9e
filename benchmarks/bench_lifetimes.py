"""Fits per second and log-likelihood gap of `fit_lifetimes` beside scipy, lifelines and surpyval.

lifelines and surpyval need an older pandas and so an environment of their own: the Python named by the
environment variable SPAREPLAN_PEERS_PYTHON, else `.venv-peers`, which is made here with pip where it is
missing (once, some minutes). Where that cannot be done the reason is printed. Then the coverage of pooled
lives on simulated fleets. Asserts nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sparse_panels import SCENARIOS, print_scenario

from spareplan.forecast.lifetimes import fit_lifetimes

PARTS, SPELLS, NAIVE, PEER_PARTS = 10_000, 200, 60, 200
HERE = Path(__file__).parent
PEERS_ENV = HERE.parent / ".venv-peers"


def make_spells(parts: int, spells: int, seed: int = 0) -> pd.DataFrame:
    """Censored and left-truncated Weibull spells, a part after the other."""
    random = np.random.default_rng(seed)
    shape = np.exp(random.normal(0.4, 0.4, parts))[:, None]
    scale = np.exp(random.normal(3, 0.7, parts))[:, None]
    entry = np.where(
        random.random((parts, spells)) < 0.3, scale * random.uniform(0.05, 0.5, (parts, spells)), 0.0
    )
    life = scale * ((entry / scale) ** shape + random.exponential(size=(parts, spells))) ** (1 / shape)
    end = entry + scale * random.uniform(0.1, 1.5, (parts, spells))
    names = np.char.mod("P%05d", np.arange(parts))
    return pd.DataFrame(
        {
            "part_id": np.repeat(names, spells),
            "entry": entry.ravel(),
            "exit": np.minimum(life, end).ravel(),
            "failed": (life < end).ravel(),
        }
    )


def fit_naive(group: pd.DataFrame) -> float:
    """Best log-likelihood found by a general optimiser on one part."""
    entry, exit_, failed = (group[name].to_numpy() for name in ("entry", "exit", "failed"))

    def cost(at: np.ndarray) -> float:
        shape, scale = np.exp(at)
        density = np.log(shape / scale) + (shape - 1) * np.log(exit_ / scale)
        return -float((failed * density).sum() - ((exit_ / scale) ** shape - (entry / scale) ** shape).sum())

    start = np.array([0.0, np.log(exit_.mean() * 2)])
    return -float(minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-10}).fun)


def peers_python() -> str:
    """Find or make the Python that has lifelines and surpyval."""
    named = os.environ.get("SPAREPLAN_PEERS_PYTHON")
    if named:
        return named
    python = PEERS_ENV / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        run = {"check": True, "capture_output": True, "text": True, "timeout": 600}
        subprocess.run([sys.executable, "-m", "venv", str(PEERS_ENV)], **run)  # type: ignore[call-overload]
        install = [str(python), "-m", "pip", "install", "-q", "lifelines", "surpyval"]
        subprocess.run(install, **run)  # type: ignore[call-overload]
    return str(python)


def weibull_loglik(spells: pd.DataFrame, shape: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Log-likelihood of each part's spells at a law per part; every part has SPELLS rows."""
    entry, exit_, failed = (
        spells[name].to_numpy(float).reshape(-1, SPELLS) for name in ("entry", "exit", "failed")
    )
    b, s = shape[:, None], scale[:, None]
    density = np.log(b / s) + (b - 1) * np.log(exit_ / s)
    return np.asarray((failed * density - (exit_ / s) ** b + (entry / s) ** b).sum(axis=1))


def compare_peers(spells: pd.DataFrame, ours: pd.DataFrame) -> None:
    """Print speed of the peers and how far their log-likelihood is below ours."""
    some = spells.iloc[: PEER_PARTS * SPELLS]
    try:
        python = peers_python()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spells.npz"
            columns = {name: some[name].to_numpy() for name in ("entry", "exit", "failed")}
            np.savez(path, starts=np.arange(PEER_PARTS) * SPELLS, **columns)
            command = [python, str(HERE / "lifetimes_peers.py"), str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        print(f"lifelines and surpyval skipped: {str(detail).strip().splitlines()[-1]}")
        return
    best = ours["loglik"].to_numpy()[:PEER_PARTS]
    for name, found in json.loads(done.stdout).items():
        shape, scale = np.array(found["laws"]).T
        gap = best - weibull_loglik(some, shape, scale)
        print(
            f"{name} {found['version']}: {PEER_PARTS / found['seconds']:,.0f} parts/s of CPU; our "
            f"log-likelihood less its: median {np.nanmedian(gap):+.1e}, {np.nanmin(gap):+.1e} to "
            f"{np.nanmax(gap):+.1e}; {int(np.isnan(gap).sum())} parts not fitted {found['errors'] or ''}"
        )


def main() -> None:
    spells = make_spells(PARTS, SPELLS)
    for prior in (None, "pooled"):
        fit_lifetimes(spells.iloc[: 20 * SPELLS], prior=prior)
        wall, cpu = time.perf_counter(), time.process_time()
        fits = fit_lifetimes(spells, prior=prior)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"{PARTS:,} parts x {SPELLS} spells, prior {prior}: {PARTS / cpu:,.0f} parts/s of CPU, "
            f"{PARTS / wall:,.0f} of wall; {int(fits['shape'].isna().sum())} without a maximum"
        )
        if prior is None:
            mle = fits.set_index("part_id")
    few = make_spells(PARTS, 20, seed=1)
    for prior in (None, "pooled"):
        cpu = time.process_time()
        fits = fit_lifetimes(few, prior=prior)
        print(
            f"{PARTS:,} parts x 20 spells, prior {prior}: "
            f"{PARTS / (time.process_time() - cpu):,.0f} parts/s of CPU"
        )
    groups = [group for _, group in spells.iloc[: NAIVE * SPELLS].groupby("part_id")]
    cpu = time.process_time()
    best = np.array([fit_naive(group) for group in groups])
    cpu = time.process_time() - cpu
    gap = mle["loglik"].to_numpy()[:NAIVE] - best
    print(
        f"scipy part by part: {NAIVE / cpu:,.0f} parts/s of CPU; our log-likelihood less its: "
        f"median {np.median(gap):+.1e}, {gap.min():+.1e} to {gap.max():+.1e}"
    )
    compare_peers(spells, mle)
    print("Pooled lives on simulated fleets: the next 12 months by past failures of a part")
    for name, truth in SCENARIOS.items():
        print_scenario(name, truth, seeds=range(700, 703))


if __name__ == "__main__":
    main()
