"""Fits per second and likelihood gap of `fit_lifetimes` beside scipy part by part; asserts nothing."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from spareplan.forecast.lifetimes import fit_lifetimes

PARTS, SPELLS, NAIVE = 10_000, 200, 60


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


def main() -> None:
    spells = make_spells(PARTS, SPELLS)
    for prior in (None, "pooled"):
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
    gap = best - mle["loglik"].to_numpy()[:NAIVE]
    print(
        f"scipy part by part: {NAIVE / cpu:,.0f} parts/s of CPU; its log-likelihood less ours: "
        f"{gap.min():+.1e} to {gap.max():+.1e}"
    )


if __name__ == "__main__":
    main()
