"""The back-test as a colleague would tell it: what to trust, what not, and at most three things to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spareplan.forecast.backtest_report import BETTER, FEW, UNCLEAR, WORSE
from spareplan.forecast.backtest_trials import MEAN, MODEL, ZERO

# The level whose stock and calibration are told: what most shelves are set on.
TOLD_LEVEL = 0.95
CLEAR_BIAS = 0.05
# Standard errors that tell a difference from chance; and among many groups or series.
SURE, SURPRISING = 2.0, 3.0
MOST_ACTIONS = 3
# What is less than this share of all losses is not worth an action, of all demand not worth a line.
TELLING_LOSS, TELLING_DEMAND = 0.01, 0.1
NAMES = {
    "mean": "the mean forecast",
    "zero": "expecting nothing",
    "sba": "SBA",
    "tsb": "TSB",
    "imapa": "IMAPA",
}
BY_PLAN = ("class", "region", "family", "tier")


def colleague_note(
    table: pd.DataFrame,
    coverage: pd.DataFrame,
    equal_stock: pd.DataFrame,
    losers: pd.DataFrame,
    names: list[str],
) -> tuple[str, ...]:
    """Sentences for `Backtest.summary()`.

    Parameters
    ----------
    table, coverage, equal_stock, losers : DataFrame
        As in `Backtest`.
    names : list of str
        Key columns of a series.

    Returns
    -------
    tuple of str
    """
    whole = table[table["cut"] == "all"].set_index("forecast")
    model: Any = whole.loc[MODEL]
    if not model["demand"] > 0:
        return ("Nothing was demanded in the tested periods: there is nothing to score.",)
    lines = [_verdict(whole), *_stock(equal_stock), _levels(coverage), _bias(model)]
    lines += _groups(table)
    lines.append(_losses(losers, int(model["series"])))
    actions = _actions(table, model, coverage, losers, names)
    lines += [f"To do {number}: {action}" for number, action in enumerate(actions[:MOST_ACTIONS], 1)]
    return tuple(line for line in lines if line)


def _verdict(whole: pd.DataFrame) -> str:
    model: Any = whole.loc[MODEL]
    others = whole.drop(index=MODEL)["wql"].sort_values(kind="stable")
    line = f"Weighted quantile loss {model['wql']:.3f} over {model['series']:,} series"
    if np.isfinite(model["to_mean"]):
        line += f", {_apart(model['to_mean'])} than the mean forecast's"
    if np.isfinite(model["to_mean_low"]):
        line += f" ({_between(model['to_mean_low'], model['to_mean_high'])}: {_sure(model['verdict'])})"
    best = str(others.index[0])
    if best not in (MEAN, ZERO):
        line += (
            f" and {_apart(model['wql'] / others.iloc[0])} than that of the best of the others, {NAMES[best]}"
        )
    return line + f"; expecting nothing scores {float(whole['wql'][ZERO]):.3f}."


def _apart(ratio: float) -> str:
    return f"{abs(ratio - 1):.1%} {'less' if ratio <= 1 else 'more'}"


def _between(low: float, high: float) -> str:
    """Say an interval of ratios; both ends on one side of 1 share their word."""
    if (low < 1) == (high < 1):
        near, far = sorted((abs(low - 1), abs(high - 1)))
        return f"{near:.1%} to {far:.1%} with 95 % confidence"
    return f"from {1 - low:.1%} less to {high - 1:.1%} more with 95 % confidence"


def _sure(verdict: str) -> str:
    return "a real gain" if verdict == BETTER else "a real loss" if verdict == WORSE else "may be chance"


def _stock(equal_stock: pd.DataFrame) -> list[str]:
    rows = equal_stock[(equal_stock["cut"] == "all") & (equal_stock["forecast"] == MEAN)]
    if rows.empty:
        return []
    row = rows.iloc[int((rows["level"] - TOLD_LEVEL).abs().to_numpy().argmin())]
    if not np.isfinite(row["more_fill"]):
        return []
    filled = row["fill"] + row["more_fill"]
    line = (
        f"Stocked to its {row['level']:.4g} quantile the model fills {filled:.1%} of the demand with "
        f"{row['stock']:.2f} times its pieces; for the same stock the mean forecast fills "
        f"{abs(row['more_fill']):.1%} {'less' if row['more_fill'] >= 0 else 'more'}"
    )
    if np.isfinite(row["more_stock"]):
        side = "more" if row["more_stock"] >= 0 else "less"
        line += f", and needs {abs(row['more_stock']):.1%} {side} stock to fill as much"
    return [line + "."]


def _levels(coverage: pd.DataFrame) -> str:
    rows = coverage[(coverage["cut"] == "all") & (coverage["forecast"] == MODEL)]
    off = rows[rows["calerr"] > SURE * rows["noise"]]
    if off.empty:
        return "All its quantiles keep what they say, within chance."
    worst = off.iloc[int(off["calerr"].to_numpy().argmax())]
    low = worst["reached"] < worst["level"]
    share = worst["reached"] if low else worst["below"]
    kept = ", the others keep theirs" if len(off) < len(rows) else ""
    return (
        f"Its {worst['level']:.4g} quantile is too {'low' if low else 'high'}: {share:.1%} of the sums lay "
        f"{'at or below' if low else 'below'} it ({len(off)} of {len(rows)} levels are off{kept})."
    )


def _bias(model: pd.Series) -> str:
    side = "over" if model["bias"] > 0 else "under"
    noise = model["bias_noise"]
    sure = "" if not np.isfinite(noise) else f" (standard error {noise:.1%})"
    return f"The mean is {abs(model['bias']):.1%} {side} what came{sure}."


def _groups(table: pd.DataFrame) -> list[str]:
    """Where the gain is real, where the mean forecast does better, where nobody can say."""
    rows = table[(table["forecast"] == MODEL) & table["cut"].isin(BY_PLAN)]
    good, bad = rows[rows["verdict"] == BETTER], rows[rows["verdict"] == WORSE]
    lines, told = [], []
    for cut, some in good.groupby("cut", sort=False):
        every = int((rows["cut"] == cut).sum())
        listed = ", ".join(map(str, some["group"]))
        told.append(f"every {cut}" if len(some) == every > 1 else f"{cut} {listed}")
    if told:
        lines.append(f"Trust it in {'; '.join(told)}: the gain on the mean forecast is real.")
    told = [
        f"{row['cut']} {row['group']} ({row['to_mean'] - 1:+.1%}, at least {row['to_mean_low'] - 1:+.1%}; "
        f"{row['demand']:,.0f} pieces)"
        for _, row in bad.iterrows()
    ]
    if told:
        lines.append(f"Do not trust it in {', '.join(told)}: the mean forecast loses less there.")
    near = rows[(rows["to_mean"] > 1) & (rows["verdict"] == UNCLEAR)]
    told = [f"{row['cut']} {row['group']} ({row['to_mean'] - 1:+.1%})" for _, row in near.iterrows()]
    if told:
        lines.append(f"The mean forecast did better, if only by chance, in {', '.join(told)}.")
    whole = float(table.loc[table["cut"] == "all", "demand"].iloc[0])
    few = rows[(rows["verdict"] == FEW) & (rows["demand"] >= TELLING_DEMAND * whole)]
    told = [
        f"{row['cut']} {row['group']} ({row['parts']:,} parts, {row['demand'] / whole:.0%} of the demand, "
        f"{row['to_mean'] - 1:+.1%} against the mean)"
        for _, row in few.iterrows()
    ]
    if told:
        lines.append(f"Too few parts to tell a gain from chance: {', '.join(told)}.")
    if not len(lines) and len(rows):
        lines.append(
            f"In no {_listed(list(dict.fromkeys(rows['cut'])))} is the difference to the mean clear."
        )
    return lines


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _losses(losers: pd.DataFrame, series: int) -> str:
    if losers.empty:
        return "No series would have done better with its mean or with nothing."
    silent = int((losers["demand"] == 0).sum())
    real = losers[losers["surprise"] > SURPRISING]
    line = (
        f"{len(losers):,} of {series:,} series would in hindsight have lost less with their mean or with "
        f"nothing, {silent:,} of them because nothing came; {len(real):,} lost more than chance explains"
    )
    if "money" in losers and real["money"].notna().any():
        line += f", worth {real['money'].sum():,.0f} at unit cost"
    return line + "."


def _actions(
    table: pd.DataFrame, model: pd.Series, coverage: pd.DataFrame, losers: pd.DataFrame, names: list[str]
) -> list[str]:
    """What to do, the most telling first."""
    actions = []
    least = TELLING_LOSS * model["wql"] * model["demand"]
    groups = table[(table["forecast"] == MODEL) & table["cut"].isin(BY_PLAN) & (table["verdict"] == WORSE)]
    lost = groups["wql"] * groups["demand"] * (1 - 1 / groups["to_mean"])
    if (lost > least).any():
        row = groups.iloc[int(lost.to_numpy().argmax())]
        actions.append(
            f"set the levels of {row['cut']} {row['group']} ({row['series']:,} series, {row['demand']:,.0f} "
            "pieces) by the mean of its history until the forecast is better there."
        )
    real = losers[losers["surprise"] > SURPRISING]
    if 2 * real["excess"].sum() > least:
        told = [
            f"{' at '.join(str(value) for value in row[names])} ({row['state']})"
            for _, row in real.head(MOST_ACTIONS).iterrows()
        ]
        actions.append(
            f"tell the forecast what you know of the worst series, by an override: {', '.join(told)}."
        )
    if abs(model["bias"]) > max(CLEAR_BIAS, SURE * np.nan_to_num(model["bias_noise"], nan=np.inf)):
        high = model["bias"] > 0
        actions.append(
            f"the mean is too {'high' if high else 'low'} by {abs(model['bias']):.0%} over all: ask what "
            f"{'left' if high else 'entered'} the field in the tested months."
        )
    worst = coverage[
        (coverage["forecast"] == MODEL) & (coverage["cut"] == "class") & (coverage["level"] >= 0.8)
    ]
    worst = worst[worst["calerr"] > SURPRISING * worst["noise"]]
    if len(worst):
        row = worst.iloc[int(worst["calerr"].to_numpy().argmax())]
        low = row["reached"] < row["level"]
        actions.append(
            f"set class {row['group']} on a {'higher' if low else 'lower'} quantile than "
            f"{row['level']:.4g}: it covered {row['reached'] if low else row['below']:.1%}."
        )
    return actions
