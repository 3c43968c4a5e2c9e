"""Figures of forecasts on a panel: loss, bias, calibration, stock, fill, and which differences are real."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from history_methods import COLUMNS, LEVELS, Forecast, Method
from history_panels import DemandPanel, FloatArray


@dataclass(frozen=True)
class Scored:
    """What one method did on one panel.

    Parameters
    ----------
    loss : ndarray, shape (n,)
        Twice the quantile loss of each part, mean over levels, sum over origins. [pieces]
    came : float
        Demand of all windows. [pieces]
    figures : dict
        wql, bias, calerr_<level>, stock_0.95, fill_0.95.
    seconds : float
        CPU time of the forecasts; NaN where unknown.
    """

    loss: FloatArray
    came: float
    figures: dict[str, float]
    seconds: float

    @property
    def wql(self) -> float:
        """Weighted quantile loss, mean over the levels."""
        return float(self.loss.sum() / self.came)


def losses(came: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Twice the quantile loss of each part, mean over the levels."""
    off = came[:, None] - quantiles
    return np.asarray((2 * np.maximum(LEVELS * off, (LEVELS - 1) * off)).mean(axis=1))


def score_method(panel: DemandPanel, method: Method) -> Scored:
    """Forecast at every origin and score."""
    start = time.process_time()
    forecasts = [method(window) for window in panel.windows()]
    return score_forecasts(panel, forecasts, time.process_time() - start)


def score_forecasts(panel: DemandPanel, forecasts: list[Forecast], seconds: float = np.nan) -> Scored:
    """Score forecasts made at the origins of the panel."""
    loss = np.zeros(len(panel.demand))
    parts = []
    for window, (mean, quantiles) in zip(panel.windows(), forecasts, strict=True):
        loss[window.rows] += losses(window.came, quantiles)
        parts.append((window.came, mean, quantiles))
    came, mean, quantiles = (np.concatenate(column) for column in zip(*parts))
    total = max(came.sum(), 1e-12)
    below, most = (came[:, None] < quantiles).mean(axis=0), (came[:, None] <= quantiles).mean(axis=0)
    errors = np.maximum(0.0, np.maximum(LEVELS - most, below - LEVELS))
    at = COLUMNS.index("q0.95")
    figures = {"wql": loss.sum() / total, "bias": (mean.sum() - came.sum()) / total}
    figures |= {f"calerr_{level:g}": error for level, error in zip(LEVELS, errors)}
    figures["stock_0.95"] = quantiles[:, at].sum() / total
    figures["fill_0.95"] = np.minimum(came[:, None], quantiles)[:, at].sum() / total
    return Scored(loss, float(came.sum()), {name: float(value) for name, value in figures.items()}, seconds)


def truth(panel: DemandPanel, draws: int = 400) -> Scored:
    """Score of somebody who knows the law and the rates of a simulated panel."""
    if panel.truth is None:
        raise ValueError(f"{panel.name} has no known truth")
    forecasts = []
    for window in panel.windows():
        sums = panel.truth(window.origin, draws, np.random.default_rng(window.origin))[window.rows]
        quantiles = np.quantile(sums, LEVELS, axis=1, method="inverted_cdf").T
        forecasts.append((sums.mean(axis=1), quantiles))
    return score_forecasts(panel, forecasts)


def paired_interval(loss: FloatArray, base: FloatArray, draws: int = 2000) -> tuple[float, float]:
    """95 % interval of loss / base - 1 when the parts are drawn anew, the same for both."""
    weights = np.random.default_rng(0).multinomial(len(loss), np.full(len(loss), 1 / len(loss)), draws)
    ratio = weights @ loss / np.maximum(weights @ base, 1e-12) - 1
    low, high = np.quantile(ratio, [0.025, 0.975])
    return float(low), float(high)


def verdict(low: float, high: float) -> str:
    """Whether a difference to spareplan is more than the draw of the parts."""
    if low > 0:
        return "worse, real"
    return "better, real" if high < 0 else "within noise"


def method_table(panel: DemandPanel, scored: Mapping[str, Scored], base: str = "spareplan") -> pd.DataFrame:
    """A row per method with its figures and its loss relative to the base."""
    rows = []
    for label, score in scored.items():
        low, high = paired_interval(score.loss, scored[base].loss)
        row = {"panel": panel.name, "method": label, **score.figures, "seconds": score.seconds}
        row |= {"to_base": score.wql / scored[base].wql - 1, "low": low, "high": high}
        row["difference"] = "" if label == base else verdict(low, high)
        rows.append(row)
    return pd.DataFrame(rows)
