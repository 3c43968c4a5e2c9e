"""The back-test by groups: losses beside naive forecasts, calibration, stock and fill at equal stock."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from spareplan.forecast.backtest_trials import FORECASTS, MEAN, MODEL, ZERO, Trials
from spareplan.forecast.calibration import count_places, pit_histogram
from spareplan.forecast.resampling import FEWEST, loss_ratios
from spareplan.forecast.scores import figures_of_sums, pinball_losses, score_terms

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BINS = np.linspace(0.0, 1.0, 11)
CALIBRATED = (MODEL, MEAN)
BETTER, WORSE, UNCLEAR, FEW = "better", "worse", "no clear difference", "too few series"


class Groups(NamedTuple):
    """Which trial belongs to which group of which cut.

    Parameters
    ----------
    names : DataFrame, g rows
        cut, group.
    member : sparse array, shape (g, n)
        1 where a trial belongs to a group.
    """

    names: pd.DataFrame
    member: sparse.csr_array


class CutScores(NamedTuple):
    """Tables of `score_cuts`."""

    table: pd.DataFrame
    coverage: pd.DataFrame
    pit: pd.DataFrame
    equal_stock: pd.DataFrame
    curve: pd.DataFrame


def group_trials(labels: pd.DataFrame) -> Groups:
    """Groups of trials by each column of labels, and all together.

    Parameters
    ----------
    labels : DataFrame, n rows
        A column per cut; NaN: in no group of it.

    Returns
    -------
    Groups
        "all" first, then the cuts in the order of the columns, their groups sorted.
    """
    names, rows, columns = [("all", "all")], [np.zeros(len(labels), np.int64)], [np.arange(len(labels))]
    for cut in labels.columns:
        codes, found = pd.factorize(labels[cut].astype(object), sort=True)
        known = np.flatnonzero(codes >= 0)
        rows.append(codes[known] + len(names))
        columns.append(known)
        names += [(str(cut), group) for group in found]
    row, column = np.concatenate(rows), np.concatenate(columns)
    member = sparse.csr_array((np.ones(len(row)), (row, column)), shape=(len(names), len(labels)))
    return Groups(pd.DataFrame(names, columns=["cut", "group"]), member)


def trial_losses(trials: Trials) -> FloatArray:
    """Pinball loss of every forecast and trial, mean over the published levels.

    Returns
    -------
    ndarray, shape (m, n)
        [pieces]
    """
    marks = trials.levels[trials.published]
    each = trials.quantiles[:, :, trials.published]
    return np.stack([pinball_losses(trials.came, rows, marks).mean(axis=1) for rows in each])


def score_cuts(
    trials: Trials, groups: Groups, losses: FloatArray, cluster: IntArray, resamples: int, seed: int
) -> CutScores:
    """Score every forecast in every group.

    Parameters
    ----------
    trials : Trials
    groups : Groups
    losses : ndarray, shape (m, n)
        As from `trial_losses`. [pieces]
    cluster : ndarray of int, shape (n,)
        Part of each trial: what the bootstrap draws.
    resamples, seed : int

    Returns
    -------
    CutScores
        As the tables of `Backtest`.
    """
    terms = len(trials.levels)
    sums = np.stack(
        [
            groups.member @ score_terms(trials.came, quantiles, mean, trials.levels)
            for quantiles, mean in zip(trials.quantiles, trials.mean)
        ]
    )
    whole, split = sums[:, :, :3], sums[:, :, 3:].reshape(*sums.shape[:2], 5, terms)
    published = np.concatenate([whole, split[:, :, :, trials.published].reshape(*sums.shape[:2], -1)], axis=2)
    table = _table(trials, groups, published, losses, cluster, resamples, seed)
    cells, demand = np.maximum(whole[0, :, 0], 1), whole[0, :, 1]
    total = np.where(demand > 0, demand, np.nan)[:, None]
    stock, fill = split[:, :, 3] / total, split[:, :, 4] / total
    return CutScores(
        table,
        _coverage(trials, groups, split, cells, cluster),
        _pit(trials, groups, cells),
        _equal_stock(trials, groups, stock, fill),
        _curve(trials, groups, stock, fill),
    )


def _table(
    trials: Trials,
    groups: Groups,
    sums: FloatArray,
    losses: FloatArray,
    cluster: IntArray,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Rows by group and forecast, in the order of FORECASTS."""
    base = FORECASTS.index(MEAN)
    low, high, clusters = loss_ratios(losses, cluster, groups.member, base, resamples, seed)
    total = (groups.member @ losses.T).T
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(total[base] > 0, total / total[base], np.nan)
    series = sparse.csr_array(
        (np.ones(len(trials.row)), (np.arange(len(trials.row)), trials.row)),
        shape=(len(trials.row), int(trials.row.max(initial=-1)) + 1),
    )
    count = np.diff((groups.member @ series).tocsr().indptr)
    frames = []
    for number, forecast in enumerate(FORECASTS):
        figures = figures_of_sums(sums[number], trials.levels[trials.published])
        frame = groups.names.assign(
            forecast=forecast,
            series=count,
            demand=sums[number, :, 1],
            to_mean=ratio[number],
            to_mean_low=low[:, number],
            to_mean_high=high[:, number],
            verdict=np.select(
                [number == base, clusters < FEWEST, high[:, number] < 1, low[:, number] > 1],
                ["", FEW, BETTER, WORSE],
                UNCLEAR,
            ),
        )
        frames.append(frame.assign(**figures))
    order = np.arange(len(groups.names) * len(FORECASTS)).reshape(len(FORECASTS), -1).T.ravel()
    return pd.concat(frames, ignore_index=True).iloc[order].reset_index(drop=True)


def _coverage(
    trials: Trials, groups: Groups, split: FloatArray, cells: FloatArray, cluster: IntArray
) -> pd.DataFrame:
    """Share of sums below and not above each quantile, and how sure the second one is."""
    parts = sparse.csr_array(
        (np.ones(len(cluster)), (np.arange(len(cluster)), cluster)),
        shape=(len(cluster), int(cluster.max(initial=-1)) + 1),
    )
    size = (groups.member @ parts).tocsr()
    frames = []
    for forecast in CALIBRATED:
        number = FORECASTS.index(forecast)
        _, reached, below, _, _ = split[number].transpose(1, 0, 2) / cells[:, None]
        for place in np.flatnonzero(trials.published):
            hit = (trials.came <= trials.quantiles[number, :, place]).astype(float)
            off = (
                groups.member @ sparse.diags_array(hit) @ parts - size.multiply(reached[:, [place]])
            ).tocsr()
            noise = np.sqrt(off.multiply(off).sum(axis=1)) / cells
            level = trials.levels[place]
            gap = np.maximum(np.maximum(level - reached[:, place], below[:, place] - level), 0.0)
            frames.append(
                groups.names.assign(
                    forecast=forecast,
                    level=level,
                    below=below[:, place],
                    reached=reached[:, place],
                    calerr=gap,
                    noise=np.asarray(noise).ravel(),
                    group_row=np.arange(len(groups.names)),
                )
            )
    return _in_group_order(frames)


def _pit(trials: Trials, groups: Groups, cells: FloatArray) -> pd.DataFrame:
    """Histogram of the places of the counts in their forecast distributions."""
    frames = []
    for forecast in CALIBRATED:
        quantiles = trials.quantiles[FORECASTS.index(forecast)]
        shares = pit_histogram(*count_places(trials.came, quantiles, trials.levels), BINS)
        shares = (groups.member @ shares) / cells[:, None]
        for low, high, share in zip(BINS[:-1], BINS[1:], shares.T):
            frames.append(
                groups.names.assign(
                    forecast=forecast,
                    low=low,
                    high=high,
                    share=share,
                    group_row=np.arange(len(groups.names)),
                )
            )
    return _in_group_order(frames)


def _in_group_order(frames: list[pd.DataFrame]) -> pd.DataFrame:
    every = pd.concat(frames, ignore_index=True)
    return every.sort_values("group_row", kind="stable", ignore_index=True).drop(columns="group_row")


def _curve(trials: Trials, groups: Groups, stock: FloatArray, fill: FloatArray) -> pd.DataFrame:
    """What stocking to each quantile holds and fills."""
    frames = [
        groups.names.assign(
            forecast=forecast,
            level=level,
            stock=stock[number, :, place],
            fill=fill[number, :, place],
            group_row=np.arange(len(groups.names)),
        )
        for number, forecast in enumerate(FORECASTS)
        for place, level in enumerate(trials.levels)
    ]
    return _in_group_order(frames)


def _equal_stock(trials: Trials, groups: Groups, stock: FloatArray, fill: FloatArray) -> pd.DataFrame:
    """What every forecast fills with the stock of the model, and the stock it needs to fill as much."""
    nothing = np.zeros((*stock.shape[:2], 1))
    stock, fill = np.concatenate([nothing, stock], axis=2), np.concatenate([nothing, fill], axis=2)
    rows = []
    model = FORECASTS.index(MODEL)
    for place in np.flatnonzero(trials.published):
        held, met = stock[model, :, place + 1], fill[model, :, place + 1]
        for number, forecast in enumerate(FORECASTS):
            if forecast == ZERO:
                continue
            fills = np.array([_inside(h, s, f) for h, s, f in zip(held, stock[number], fill[number])])
            needs = np.array([_inside(m, f, s) for m, f, s in zip(met, fill[number], stock[number])])
            rows.append(
                groups.names.assign(
                    level=trials.levels[place],
                    forecast=forecast,
                    stock=held,
                    fill=fills,
                    more_fill=met - fills,
                    stock_needed=needs,
                    more_stock=needs / np.where(held > 0, held, np.nan) - 1,
                    group_row=np.arange(len(groups.names)),
                )
            )
    return _in_group_order(rows)


def _inside(at: float, x: FloatArray, y: FloatArray) -> float:
    """Read a rising curve at a place; NaN where it does not reach."""
    if not x[-1] >= at:
        return np.nan
    return float(np.interp(at, x, y))
