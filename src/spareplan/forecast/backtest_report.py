"""The back-test by groups: losses beside naive forecasts, and which differences are real."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from spareplan.forecast.backtest_trials import FORECASTS, MEAN, Trials
from spareplan.forecast.resampling import FEWEST, loss_ratios, ratio_noise
from spareplan.forecast.scores import figures_of_sums, pinball_losses, score_terms

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BETTER, WORSE, UNCLEAR, FEW = "better", "worse", "no clear difference", "too few parts"


class Groups(NamedTuple):
    """Which trial belongs to which group of which cut.

    Parameters
    ----------
    names : DataFrame, g rows
        cut, group.
    member : sparse array, shape (g, n)
        1 where a trial belongs to a group.
    parts : sparse array, shape (n, p)
        1 where a trial is one of a part's: what is drawn together when chance is judged.
    """

    names: pd.DataFrame
    member: sparse.csr_array
    parts: sparse.csr_array

    def frame(self, axes: dict[str, Any], values: dict[str, Any]) -> pd.DataFrame:
        """Write arrays by group and further axes as a long frame.

        Parameters
        ----------
        axes : dict of str to sequence
            Names and labels of the axes after the first.
        values : dict of str to ndarray, shape (g, *axes)
        """
        size = int(np.prod([len(labels) for labels in axes.values()]))
        out = {name: np.repeat(self.names[name].to_numpy(object), size) for name in self.names}
        grids = np.meshgrid(*(np.arange(len(labels)) for labels in axes.values()), indexing="ij")
        for (name, labels), grid in zip(axes.items(), grids):
            out[name] = np.tile(np.asarray(labels)[grid.ravel()], len(self.names))
        return pd.DataFrame(out | {name: np.asarray(each).reshape(-1) for name, each in values.items()})


def group_trials(labels: pd.DataFrame, part: IntArray) -> Groups:
    """Groups of trials by each column of labels, and all together.

    Parameters
    ----------
    labels : DataFrame, n rows
        A column per cut; NaN: in no group of it.
    part : ndarray of int, shape (n,)
        Part of each trial, numbered from 0.

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
        names += [(str(cut), str(group)) for group in found]
    row, column = np.concatenate(rows), np.concatenate(columns)
    return Groups(
        pd.DataFrame(names, columns=["cut", "group"]),
        _ones(row, column, (len(names), len(labels))),
        _ones(np.arange(len(part)), part, (len(part), int(part.max(initial=-1)) + 1)),
    )


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


def score_sums(trials: Trials, groups: Groups) -> FloatArray:
    """Sums by group that all scores are made of.

    Returns
    -------
    ndarray, shape (m, g, 3 + 5 k)
        Of `score_terms` at all levels of the trials.
    """
    return np.stack(
        [
            groups.member @ score_terms(trials.came, quantiles, mean, trials.levels)
            for quantiles, mean in zip(trials.quantiles, trials.mean)
        ]
    )


def score_table(
    trials: Trials, groups: Groups, sums: FloatArray, losses: FloatArray, resamples: int, seed: int
) -> pd.DataFrame:
    """Score every forecast in every group.

    Parameters
    ----------
    trials : Trials
    groups : Groups
    sums : ndarray, shape (m, g, 3 + 5 k)
        As from `score_sums`.
    losses : ndarray, shape (m, n)
        As from `trial_losses`. [pieces]
    resamples, seed : int
        Of the paired bootstrap over parts.

    Returns
    -------
    DataFrame
        As `Backtest.table`: rows by group and forecast, in the order of FORECASTS.
    """
    base = FORECASTS.index(MEAN)
    low, high = loss_ratios(losses, groups.member, groups.parts, base, resamples, seed)
    total = groups.member @ losses.T
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(total[:, [base]] > 0, total / total[:, [base]], np.nan)
    clusters = np.diff((groups.member @ groups.parts).tocsr().indptr)
    series = _ones(
        np.arange(len(trials.row)), trials.row, (len(trials.row), int(trials.row.max(initial=-1)) + 1)
    )
    count = np.diff((groups.member @ series).tocsr().indptr)
    shape = (len(groups.names), len(FORECASTS))
    is_base = np.broadcast_to(np.arange(len(FORECASTS)) == base, shape)
    few = np.broadcast_to(clusters[:, None] < FEWEST, shape)
    values = {
        "series": np.broadcast_to(count[:, None], shape),
        "parts": np.broadcast_to(clusters[:, None], shape),
        "demand": sums[:, :, 1].T,
        "to_mean": ratio,
        "to_mean_low": low,
        "to_mean_high": high,
        "verdict": np.select([is_base, few, high < 1, low > 1], ["", FEW, BETTER, WORSE], UNCLEAR),
    }
    levels = len(trials.levels)
    split = sums[:, :, 3:].reshape(*sums.shape[:2], 5, levels)[:, :, :, trials.published]
    flat = np.concatenate([sums[:, :, :3], split.reshape(*sums.shape[:2], -1)], axis=2)
    figures = figures_of_sums(
        flat.transpose(1, 0, 2).reshape(-1, flat.shape[2]), trials.levels[trials.published]
    )
    noise = [
        ratio_noise(mean - trials.came, trials.came, groups.member, groups.parts) for mean in trials.mean
    ]
    table = groups.frame({"forecast": FORECASTS}, values | figures)
    table.insert(table.columns.tolist().index("bias") + 1, "bias_noise", np.column_stack(noise).ravel())
    return table


def _ones(row: IntArray, column: IntArray, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=shape)
