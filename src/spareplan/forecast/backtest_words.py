"""The back-test as a colleague would tell it: what to trust, what not, and at most three things to do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.forecast.backtest_report import BETTER, WORSE
from spareplan.forecast.backtest_trials import MEAN, MODEL, ZERO

# The level whose stock and calibration are told: what most shelves are set on.
TOLD_LEVEL = 0.95
CLEAR_BIAS = 0.05
SURE = 2.0
MOST_ACTIONS = 3
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
    model = whole.loc[MODEL]
    if not model["demand"] > 0:
        return ("Nothing was demanded in the tested periods: there is nothing to score.",)
    lines = [_verdict(whole), *_stock(equal_stock), _levels(coverage), _bias(model)]
    trusted, doubted = _groups(table)
    lines += [trusted, doubted] if trusted else [doubted]
    lines.append(_losses(losers, int(model["series"])))
    actions = _actions(table, model, coverage, losers, names)
    lines += [f"To do {number}: {action}" for number, action in enumerate(actions[:MOST_ACTIONS], 1)]
    return tuple(line for line in lines if line)


def _verdict(whole: pd.DataFrame) -> str:
    model = whole.loc[MODEL]
    others = whole.drop(index=MODEL)["wql"].sort_values(kind="stable")
    line = f"Weighted quantile loss {model['wql']:.3f} over {model['series']:,} series"
    if np.isfinite(model["to_mean"]):
        line += f": {_apart(model['to_mean'])} the mean forecast"
    if np.isfinite(model["to_mean_low"]):
        line += (
            f" (95 % interval {model['to_mean_low'] - 1:+.1%} to {model['to_mean_high'] - 1:+.1%}: "
            f"{_sure(model['verdict'])})"
        )
    best = str(others.index[0])
    if best not in (MEAN, ZERO):
        line += f", {_apart(model['wql'] / others.iloc[0])} the best of the others, {NAMES[best]}"
    return line + f"; expecting nothing scores {whole.loc[ZERO, 'wql']:.3f}."


def _apart(ratio: float) -> str:
    return f"{abs(ratio - 1):.1%} {'less than' if ratio <= 1 else 'more than'}"


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
    worst = off.loc[off["calerr"].idxmax()]
    low = worst["reached"] < worst["level"]
    share = worst["reached"] if low else worst["below"]
    kept = ", the others keep theirs" if len(off) < len(rows) else ""
    return (
        f"Its {worst['level']:.4g} quantile is too {'low' if low else 'high'}: {share:.1%} of the sums lay "
        f"{'at or below' if low else 'below'} it ({len(off)} of {len(rows)} levels are off{kept})."
    )


def _bias(model: pd.Series) -> str:
    side = "over" if model["bias"] > 0 else "under"
    return f"The mean is {abs(model['bias']):.1%} {side} what came."


def _groups(table: pd.DataFrame) -> tuple[str, str]:
    rows = table[(table["forecast"] == MODEL) & table["cut"].isin(BY_PLAN)]
    good, bad = rows[rows["verdict"] == BETTER], rows[rows["verdict"] == WORSE]
    trusted = ""
    if len(good):
        told = [
            f"{cut} {', '.join(map(str, some['group']))}" for cut, some in good.groupby("cut", sort=False)
        ]
        trusted = "Trust it in " + "; ".join(told) + "."
    if bad.empty:
        near = rows[(rows["to_mean"] > 1) & (rows["verdict"] != BETTER)]
        told = ", ".join(
            f"{row['cut']} {row['group']} ({row['to_mean'] - 1:+.1%})" for _, row in near.iterrows()
        )
        return trusted, (
            f"Nowhere the mean forecast is clearly better; by chance or not it was in {told}."
            if told
            else "In no class, region, family or tier the mean forecast did better."
        )
    told = ", ".join(
        f"{row['cut']} {row['group']} ({row['to_mean'] - 1:+.1%}, at least {row['to_mean_low'] - 1:+.1%})"
        for _, row in bad.iterrows()
    )
    return trusted, f"Do not trust it in {told}: the mean forecast loses less there."


def _losses(losers: pd.DataFrame, series: int) -> str:
    if losers.empty:
        return "No series would have done better with its mean or with nothing."
    half = int((losers["share"].sort_values(ascending=False).cumsum() < 0.5).sum()) + 1
    silent = int((losers["demand"] == 0).sum())
    line = (
        f"{len(losers):,} of {series:,} series would in hindsight have lost less with their mean or with nothing; "
        f"{silent:,} of them because nothing came; {half:,} make half of it"
    )
    if "money" in losers and losers["money"].notna().any():
        line += f", all of it weighs {losers['money'].sum():,.0f} of money"
    return line + "."


def _actions(
    table: pd.DataFrame, model: pd.Series, coverage: pd.DataFrame, losers: pd.DataFrame, names: list[str]
) -> list[str]:
    """What to do, the most telling first."""
    actions = []
    classes = table[(table["forecast"] == MODEL) & (table["cut"].isin(BY_PLAN)) & (table["verdict"] == WORSE)]
    if len(classes):
        row = classes.loc[(classes["demand"] * (classes["to_mean"] - 1)).idxmax()]
        actions.append(
            f"look at {row['cut']} {row['group']} ({row['series']:,} series, {row['demand']:,.0f} pieces) and set "
            f"its levels on the mean of its history until the forecast is better there."
        )
    if len(losers):
        top = losers.head(MOST_ACTIONS)
        told = ", ".join(
            f"{' at '.join(str(value) for value in row[names])} ({row['state']})" for _, row in top.iterrows()
        )
        actions.append(f"tell the forecast what you know of the worst series, by an override: {told}.")
    if abs(model["bias"]) > CLEAR_BIAS:
        actions.append(
            f"the mean is {'too high' if model['bias'] > 0 else 'too low'} by {abs(model['bias']):.0%} over all: ask "
            f"what {'left' if model['bias'] > 0 else 'entered'} the field in the tested months."
        )
    worst = coverage[(coverage["forecast"] == MODEL) & (coverage["cut"] == "class")]
    worst = worst[(worst["calerr"] > SURE * worst["noise"]) & (worst["level"] >= 0.8)]
    if len(worst):
        row = worst.loc[worst["calerr"].idxmax()]
        low = row["reached"] < row["level"]
        actions.append(
            f"set class {row['group']} on a {'higher' if low else 'lower'} quantile than {row['level']:.4g}: it "
            f"covered {row['reached'] if low else row['below']:.1%}."
        )
    return actions
