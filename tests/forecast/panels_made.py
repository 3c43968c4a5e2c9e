"""Made-up lumpy panels, and real ones from outside, as matrices for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def lumpy(n: int, c: int, seed: int) -> np.ndarray:
    """Demand in random periods, of geometric sizes around a size per series."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(1, 1, (n, 1)))
    return np.where(_occurs(n, c, rng), rng.geometric(1 / (1 + size), (n, c)), 0).astype(float)


def lognormal(n: int, c: int, seed: int) -> np.ndarray:
    """As `lumpy`, with lognormal sizes rounded up."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(1, 1, (n, 1)) + rng.normal(0, 0.8, (n, c)))
    return np.where(_occurs(n, c, rng), np.ceil(size), 0)


def compound(n: int, c: int, seed: int) -> np.ndarray:
    """Sums of a Poisson number of orders whose sizes vary more than geometrically."""
    rng = np.random.default_rng(seed)
    orders = rng.poisson(np.broadcast_to(3 * rng.beta(1, 3, (n, 1)), (n, c)))
    size = np.exp(rng.normal(1, 1, (n, 1)))
    pieces = rng.negative_binomial(np.maximum(orders, 1) * 0.7, 0.7 / (0.7 + size)) + orders
    return np.where(orders > 0, pieces, 0).astype(float)


def _occurs(n: int, c: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((n, c)) < rng.beta(1, 3, (n, 1))


def real_panel(folder: Path, name: str) -> np.ndarray:
    """Monthly matrix of one of the panels described in the folder's README; NaN where unknown."""
    if name == "carparts":
        return pd.read_csv(folder / "bench" / "carparts.csv.gz", index_col=0).to_numpy(float)
    if name == "oil":
        frame = pd.read_csv(folder / "bench" / "oil_b_monthly.csv.gz")
        months = [column for column in frame if column[:2] in ("19", "20")]
        return frame[months].fillna(0.0).to_numpy(float)
    frame = pd.read_csv(folder / "bench" / "man_weekly.csv.gz")
    weeks = frame[[column for column in frame if "W" in column and column[:2] == "20"]].to_numpy(float)
    whole = weeks[:, weeks.shape[1] % 4 :]
    return whole.reshape(len(whole), -1, 4).sum(axis=2)
