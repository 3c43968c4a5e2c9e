"""Part by part: what the forecast lost, what naive ones would have lost, why, and the money behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.backtest_trials import FORECASTS, MEAN, MODEL, ZERO, Trials
from spareplan.forecast.panels import Panel
from spareplan.forecast.scores import pinball_losses
from spareplan.forecast.series_states import describe_series

FloatArray = NDArray[np.float64]
COVERED = 0.95
# One-off demands that long before the tests still weigh on the forecast. [periods]
LATELY = 12
MUCH = 1.5
LEAST_EXCESS = 1e-9
# Losses nearer to each other than this are the same. [pieces]
LEAST_SPREAD = 0.1


def part_table(
    trials: Trials, losses: FloatArray, panel: Panel, part: str, unit_cost: pd.Series | None
) -> pd.DataFrame:
    """One row per part, all its sites and origins together.

    Parameters
    ----------
    trials : Trials
    losses : ndarray, shape (m, n)
        [pieces]
    panel : Panel
    part : str
        Name of the part's key column.
    unit_cost : Series, indexed by part, optional
        [money per piece]

    Returns
    -------
    DataFrame
        part, series, sums, demand, expected, bias, loss_<forecast>, to_mean, within_0.95, excess [, money],
        reason; worst first.
    """
    frame = pd.DataFrame(
        {
            part: panel.keys[part].to_numpy()[trials.row],
            "row": trials.row,
            "demand": trials.came,
            "expected": trials.mean[FORECASTS.index(MODEL)],
            "within": trials.came <= trials.quantiles[FORECASTS.index(MODEL), :, trials.at(COVERED)],
        }
    )
    names = [f"loss_{name}" for name in FORECASTS]
    frame[names] = losses.T
    grouped = frame.groupby(part, sort=True)
    out = grouped[["demand", "expected", *names]].sum()
    out.insert(0, "series", grouped["row"].nunique())
    out.insert(1, "sums", grouped.size())
    out.insert(4, "bias", (out["expected"] - out["demand"]) / out["demand"].where(out["demand"] > 0))
    out["to_mean"] = out["loss_model"] / out["loss_mean"].where(out["loss_mean"] > 0)
    out[f"within_{COVERED:g}"] = grouped["within"].mean()
    out["excess"] = out["loss_model"] - out[["loss_mean", "loss_zero"]].min(axis=1)
    out = out.reset_index()
    worth = "excess"
    if unit_cost is not None:
        out["money"] = out["excess"] * out[part].map(unit_cost).to_numpy(float)
        worth = "money"
    out["reason"] = [
        f"{came:g} pieces came in {sums:,} tested sums where {expected:.3g} were expected; "
        f"{'lost' if excess > 0 else 'saved'} {abs(excess):.3g} against the better of mean and nothing"
        for came, sums, expected, excess in zip(out["demand"], out["sums"], out["expected"], out["excess"])
    ]
    return out.sort_values([worth, part], ascending=[False, True], kind="stable", ignore_index=True)


def loser_table(
    trials: Trials, losses: FloatArray, panel: Panel, names: list[str], unit_cost: pd.Series | None
) -> pd.DataFrame:
    """Series on which doing nothing clever would have been better, worst first, with the reason.

    Parameters
    ----------
    trials : Trials
    losses : ndarray, shape (m, n)
        [pieces]
    panel : Panel
    names : list of str
        Key columns.
    unit_cost : Series, indexed by the first key column, optional
        [money per piece]

    Returns
    -------
    DataFrame
        As `Backtest.losers`.
    """
    kinds = [FORECASTS.index(name) for name in (MODEL, MEAN, ZERO)]
    frame = pd.DataFrame(losses[kinds].T, columns=["loss_model", "loss_mean", "loss_zero"])
    frame = frame.assign(row=trials.row, demand=trials.came)
    frame["expected"], frame["expected_mean"] = trials.mean[kinds[0]], trials.mean[kinds[1]]
    for name in (MEAN, ZERO):
        frame[f"awaited_{name}"], frame[f"spread_{name}"] = awaited_excess(trials, name)
    sums = frame.groupby("row", sort=True).sum()
    sums["first_cut"] = pd.Series(trials.cut).groupby(trials.row).min()
    by_mean = sums["loss_mean"] <= sums["loss_zero"]
    sums["better"] = np.where(by_mean, MEAN, ZERO)
    for name in ("loss", "awaited", "spread"):
        sums[name] = sums[f"{name}_mean"].where(by_mean, sums[f"{name}_zero"])
    sums["excess"] = sums["loss_model"] - sums["loss"]
    sums["surprise"] = (sums["excess"] - sums["awaited"]) / np.sqrt(sums["spread"] + LEAST_SPREAD**2)
    lost = sums[sums["excess"] > LEAST_EXCESS]
    rows = lost.index.to_numpy(np.int64)
    out = panel.keys.iloc[rows].reset_index(drop=True)
    for name in ("demand", "expected", "expected_mean", "loss_model", "loss_mean", "loss_zero", "excess"):
        out[name] = lost[name].to_numpy()
    out["share"] = out["excess"] / out["excess"].sum() if len(out) else 0.0
    worth = "excess"
    if unit_cost is not None:
        out["money"] = out["excess"] * out[names[0]].map(unit_cost).to_numpy(float)
        worth = "money"
    out["better"], out["surprise"] = lost["better"].to_numpy(), lost["surprise"].to_numpy()
    out["state"], why = _states(panel, lost, rows)
    naive = np.where(out["better"] == MEAN, "the mean of its history", "expecting nothing")
    out["reason"] = [
        f"{name} would have lost {least:.3g}, the model lost {model:.3g}; {demand:g} pieces were demanded "
        f"where {expected:.3g} were expected; {said}"
        for name, least, model, demand, expected, said in zip(
            naive, lost["loss"], out["loss_model"], out["demand"], out["expected"], why
        )
    ]
    return out.sort_values(
        [worth, *names], ascending=[False, *[True] * len(names)], kind="stable", ignore_index=True
    )


def awaited_excess(trials: Trials, name: str) -> tuple[FloatArray, FloatArray]:
    """What the model would lose more than another forecast if its own distribution were true.

    Parameters
    ----------
    trials : Trials
    name : str
        The other forecast.

    Returns
    -------
    mean, variance : ndarray, shape (n,)
        Of the difference of the losses; the mean is hardly ever above 0. [pieces, pieces²]

    Notes
    -----
    The distribution is taken as its quantiles at the levels of the trials, each with the probability nearest
    to its level.
    """
    middle = (trials.levels[1:] + trials.levels[:-1]) / 2
    weights = np.diff(np.concatenate([[0.0], middle, [1.0]]))
    marks = trials.levels[trials.published]
    own, other = (trials.quantiles[FORECASTS.index(each)][:, trials.published] for each in (MODEL, name))
    outcomes = trials.quantiles[FORECASTS.index(MODEL)].copy()
    # Nothing is certain: even where all quantiles are 0 a piece may be asked for.
    outcomes[:, -1] = np.maximum(outcomes[:, -1], 1.0)
    first, second = np.zeros((2, len(trials.came)))
    for weight, came in zip(weights, outcomes.T):
        apart = (pinball_losses(came, own, marks) - pinball_losses(came, other, marks)).mean(axis=1)
        first += weight * apart
        second += weight * apart**2
    return first, np.maximum(second - first**2, 0.0)


def _states(panel: Panel, lost: pd.DataFrame, rows: NDArray[np.int64]) -> tuple[list[str], list[str]]:
    """What each series that lost is doing, as a word and in words."""
    life = describe_series(panel.demand, panel.start)
    cut = np.full(len(panel.keys), panel.length)
    cut[rows] = lost["first_cut"].to_numpy(np.int64)
    # The first of a series' one-off demands that the tests, or the year before them, held.
    found = life.one_offs
    late = np.flatnonzero(found.column >= cut[found.row] - LATELY)
    odd = {
        row: (size, usual) for row, size, usual in zip(found.row[late], found.pieces[late], found.usual[late])
    }
    states, words = [], []
    came, expected = lost["demand"].to_numpy(), lost["expected"].to_numpy()
    for at, row in enumerate(rows):
        state = "outlier" if row in odd else str(life.state[row])
        states.append(state)
        if state == "outlier":
            words.append("a demand of {:g} stands out where {:.3g} are usual".format(*odd[row]))
        elif state in ("dying", "dead") and life.gap_chance[row] < 0.05:
            words.append(f"no demand for {life.since_last[row]:g} periods")
        elif state in ("growing", "dying"):
            words.append(f"lately {life.trend[row]:.2g} times as much as before")
        elif state in ("new", "starting"):
            words.append(f"at the first origin it was {cut[row] - panel.start[row]} periods old")
        elif state == "single":
            words.append("it had one demand in all")
        elif came[at] > MUCH * expected[at] or came[at] < expected[at] / MUCH:
            words.append("more came than before" if came[at] > expected[at] else "less came than before")
        else:
            words.append("it came unevenly over the tested sums")
    return states, words
