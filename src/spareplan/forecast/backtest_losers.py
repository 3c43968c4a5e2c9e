"""Part by part: what the forecast lost, what naive forecasts would have lost, why, and the money behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.backtest_trials import FORECASTS, MEAN, MODEL, ZERO, Trials
from spareplan.forecast.panels import Panel

FloatArray = NDArray[np.float64]
COVERED = 0.95
NEW_PERIODS = 12
# Share of all that came in one tested sum that makes the sum stand alone.
ALONE = 0.6
MUCH = 1.5
LEAST_EXCESS = 1e-9


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
        Key, demand, expected, loss_model, loss_mean, loss_zero, excess, share (of all excess) [, money],
        better (mean or zero), state, reason.
    """
    place = pd.Series(trials.row)
    kinds = [FORECASTS.index(name) for name in (MODEL, MEAN, ZERO)]
    columns = ["loss_model", "loss_mean", "loss_zero"]
    facts = pd.DataFrame(losses[kinds].T, columns=columns).assign(
        demand=trials.came, expected=trials.mean[FORECASTS.index(MODEL)]
    )
    sums = facts.groupby(place, sort=True).sum()
    sums["largest"] = facts.groupby(place, sort=True)["demand"].max()
    sums["sums"] = facts.groupby(place, sort=True).size()
    sums["first_cut"] = pd.Series(trials.cut).groupby(place).min()
    sums["excess"] = sums["loss_model"] - sums[["loss_mean", "loss_zero"]].min(axis=1)
    lost = sums[sums["excess"] > LEAST_EXCESS]
    rows = lost.index.to_numpy(np.int64)
    out = panel.keys.iloc[rows].reset_index(drop=True)
    for name in ("demand", "expected", *columns, "excess"):
        out[name] = lost[name].to_numpy()
    out["share"] = out["excess"] / out["excess"].sum() if len(out) else 0.0
    worth = "excess"
    if unit_cost is not None:
        out["money"] = out["excess"] * out[names[0]].map(unit_cost).to_numpy(float)
        worth = "money"
    mean_better = lost["loss_mean"].to_numpy() <= lost["loss_zero"].to_numpy()
    out["better"] = np.where(mean_better, MEAN, ZERO)
    out["state"], why = _states(panel, lost, rows)
    naive = np.where(mean_better, "the mean of its history", "expecting nothing")
    out["reason"] = [
        f"{name} would have lost {least:.3g}, the model lost {model:.3g}; {demand:g} pieces were demanded; {said}"
        for name, least, model, demand, said in zip(
            naive, out[["loss_mean", "loss_zero"]].min(axis=1), out["loss_model"], out["demand"], why
        )
    ]
    return out.sort_values(
        [worth, *names], ascending=[False, *[True] * len(names)], kind="stable", ignore_index=True
    )


def _states(panel: Panel, lost: pd.DataFrame, rows: NDArray[np.int64]) -> tuple[NDArray[np.str_], list[str]]:
    """What happened to each series that lost, as a word and in words."""
    cut = lost["first_cut"].to_numpy(np.int64)
    past = np.where(np.arange(panel.length) < cut[:, None], panel.demand[rows], np.nan)
    age = cut - panel.start[rows]
    hits = np.nan_to_num(past) > 0
    last = panel.length - 1 - np.argmax(hits[:, ::-1], axis=1)
    silent = np.where(hits.any(axis=1), cut - 1 - last, age)
    came, expected = lost["demand"].to_numpy(), lost["expected"].to_numpy()
    tested, largest = lost["sums"].to_numpy(), lost["largest"].to_numpy()
    usual = expected / np.maximum(tested, 1)
    states = np.select(
        [
            age < NEW_PERIODS,
            came == 0,
            (largest >= ALONE * came) & (tested > 1) & (largest > MUCH * usual) & (largest > 1),
            came >= MUCH * expected,
            came * MUCH <= expected,
        ],
        ["new", "stopped", "outlier", "risen", "fallen"],
        default="scattered",
    )
    words = {
        "new": "its history was only {age} periods long",
        "stopped": "none came where {expected:.3g} were expected, after {silent} periods without",
        "outlier": "one sum of {largest:g} stands alone where {usual:.3g} were usual",
        "risen": "more came than the {expected:.3g} expected",
        "fallen": "fewer came than the {expected:.3g} expected",
        "scattered": "about as much as the {expected:.3g} expected, unevenly over the sums",
    }
    said = [
        words[state].format(age=a, expected=e, silent=s, largest=g, usual=u)
        for state, a, e, s, g, u in zip(states, age, expected, silent, largest, usual)
    ]
    return states, said
