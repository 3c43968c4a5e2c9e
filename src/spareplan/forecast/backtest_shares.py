"""The back-test by groups: calibration of the quantiles, and what they hold and fill at equal stock."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.backtest_report import Groups
from spareplan.forecast.backtest_trials import FORECASTS, MEAN, MODEL, ZERO, Trials
from spareplan.forecast.calibration import count_places, pit_histogram
from spareplan.forecast.resampling import ratio_noise

FloatArray = NDArray[np.float64]
BINS = np.linspace(0.0, 1.0, 11)
CALIBRATED = (MODEL, MEAN)


def coverage_table(trials: Trials, groups: Groups, sums: FloatArray) -> pd.DataFrame:
    """Share of sums below, and not above, each published quantile of the model and the mean forecast.

    Parameters
    ----------
    trials : Trials
    groups : Groups
    sums : ndarray, shape (m, g, 3 + 5 k)
        As from `score_sums`.

    Returns
    -------
    DataFrame
        As `Backtest.coverage`.
    """
    own = [FORECASTS.index(name) for name in CALIBRATED]
    cells = np.maximum(sums[0, :, 0], 1)[:, None, None]
    split = _by_kind(trials, sums)[own][:, :, :, trials.published].transpose(1, 0, 2, 3)
    reached, below = split[:, :, 1] / cells, split[:, :, 2] / cells
    levels = trials.levels[trials.published]
    one = np.ones(len(trials.came))
    noise = [
        [
            ratio_noise((trials.came <= quantile).astype(float), one, groups.member, groups.parts)
            for quantile in trials.quantiles[number][:, trials.published].T
        ]
        for number in own
    ]
    values = {
        "below": below,
        "reached": reached,
        "calerr": np.maximum(np.maximum(levels - reached, below - levels), 0.0),
        "noise": np.moveaxis(np.array(noise), 2, 0),
    }
    return groups.frame({"forecast": CALIBRATED, "level": levels}, values)


def pit_table(trials: Trials, groups: Groups) -> pd.DataFrame:
    """Histogram of where the counts lay in the distributions of the model and the mean forecast.

    Parameters
    ----------
    trials : Trials
    groups : Groups

    Returns
    -------
    DataFrame
        As `Backtest.pit`.
    """
    cells = np.maximum(groups.member.sum(axis=1), 1)[:, None]
    shares = [
        groups.member
        @ pit_histogram(
            *count_places(trials.came, trials.quantiles[FORECASTS.index(name)], trials.levels), BINS
        )
        / cells
        for name in CALIBRATED
    ]
    values = np.stack(shares, axis=1)
    out = groups.frame({"forecast": CALIBRATED, "low": BINS[:-1].round(12)}, {"share": values})
    out.insert(4, "high", np.tile(BINS[1:].round(12), len(out) // (len(BINS) - 1)))
    return out


def stock_curve(trials: Trials, groups: Groups, sums: FloatArray) -> pd.DataFrame:
    """What stocking to each quantile of each forecast holds and fills.

    Parameters
    ----------
    trials : Trials
    groups : Groups
    sums : ndarray, shape (m, g, 3 + 5 k)
        As from `score_sums`.

    Returns
    -------
    DataFrame
        As `Backtest.curve`.
    """
    stock, fill = _held_and_met(trials, sums)
    return groups.frame({"forecast": FORECASTS, "level": trials.levels}, {"stock": stock, "fill": fill})


def equal_stock_table(trials: Trials, groups: Groups, sums: FloatArray) -> pd.DataFrame:
    """What every forecast fills with the stock of the model, and the stock it needs to fill as much.

    Parameters
    ----------
    trials : Trials
    groups : Groups
    sums : ndarray, shape (m, g, 3 + 5 k)
        As from `score_sums`.

    Returns
    -------
    DataFrame
        As `Backtest.equal_stock`; each forecast's curve from nothing to its highest level is read between its
        levels.
    """
    stock, fill = _held_and_met(trials, sums)
    model = FORECASTS.index(MODEL)
    held, met = stock[:, model][:, trials.published], fill[:, model][:, trials.published]
    others = [name for name in FORECASTS if name != ZERO]
    levels = trials.levels[trials.published]
    fills, needs = np.full((2, len(groups.names), len(levels), len(others)), np.nan)
    for number, name in enumerate(others):
        own = FORECASTS.index(name)
        for group in range(len(groups.names)):
            x, y = (np.concatenate([[0.0], curve[group, own]]) for curve in (stock, fill))
            fills[group, :, number] = np.interp(held[group], x, y, right=np.nan)
            # Where more stock fills no more, the least of it counts.
            rising = np.diff(y, prepend=-1.0) > 0
            needs[group, :, number] = np.interp(met[group], y[rising], x[rising], right=np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        more = np.where(held[:, :, None] > 0, needs / held[:, :, None] - 1, np.nan)
    values = {
        "stock": np.broadcast_to(held[:, :, None], fills.shape),
        "fill": fills,
        "more_fill": met[:, :, None] - fills,
        "stock_needed": needs,
        "more_stock": more,
    }
    return groups.frame({"level": levels, "forecast": others}, values)


def _by_kind(trials: Trials, sums: FloatArray) -> FloatArray:
    """Loss, reached, below, stock and fill, shape (m, g, 5, k)."""
    return sums[:, :, 3:].reshape(*sums.shape[:2], 5, len(trials.levels))


def _held_and_met(trials: Trials, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Stock and fill in parts of the demand, shape (g, m, k)."""
    split = _by_kind(trials, sums)
    demand = sums[0, :, 1]
    total = np.where(demand > 0, demand, np.nan)[:, None, None]
    return split[:, :, 3].transpose(1, 0, 2) / total, split[:, :, 4].transpose(1, 0, 2) / total
