"""Scores of fleet forecasts: error, bias, coverage, likelihood, and how sure the comparison is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.distributions import cdf, pmf

FloatArray = NDArray[np.float64]
FORECASTS = ("published", "ages", "mean_rate", "own_record", "once")
WORDS = {
    "published": "the published forecast",
    "ages": "ages alone",
    "mean_rate": "the mean rate",
    "own_record": "the own record",
    "once": "counting each piece once",
}
FAILURES = {
    "published": "failures",
    "ages": "failures_ages",
    "mean_rate": "failures_rate",
    "own_record": "failures_record",
    "once": "failures_once",
}
RESAMPLES = 400
LEAST_CHANCE = 1e-12


def randomised_places(
    actual: FloatArray, mean: FloatArray, variance: FloatArray, seed: int = 0
) -> FloatArray:
    """Place of each count in its forecast distribution, at random within its step.

    Parameters
    ----------
    actual, mean, variance : ndarray, shape (n,)
        [pieces, pieces, pieces²]
    seed : int

    Returns
    -------
    ndarray, shape (n,)
        P(N < y) + u P(N = y): uniform if the forecast is right.

    References
    ----------
    .. [1] Czado, Gneiting & Held (2009), Predictive model assessment for count data, Biometrics 65.
    """
    count = np.round(actual)
    low = cdf(count - 1, mean, variance)
    step = cdf(count, mean, variance) - low
    return np.asarray(low + np.random.default_rng(seed).random(len(count)) * step)


def log_chances(actual: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Log probability of each count; a count the forecast excludes costs ln(1e-12).

    Parameters
    ----------
    actual, mean, variance : ndarray, shape (n,)
        [pieces, pieces, pieces²]

    Returns
    -------
    ndarray, shape (n,)
    """
    return np.asarray(np.log(np.maximum(pmf(np.round(actual), mean, variance), LEAST_CHANCE)))


def paired_noise(gain: FloatArray, actual: FloatArray, seed: int = 0) -> float:
    """Find the standard error of sum(gain) / sum(actual) by drawing cells again.

    Parameters
    ----------
    gain : ndarray, shape (n,)
        Absolute error less that of the forecast compared with, per cell. [pieces]
    actual : ndarray, shape (n,)
        [pieces]
    seed : int

    Returns
    -------
    float
        NaN for fewer than two cells.

    References
    ----------
    .. [1] Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 8.
    """
    if len(gain) < 2 or not actual.sum() > 0:
        return float("nan")
    drawn = np.random.default_rng(seed).multinomial(
        len(gain), np.full(len(gain), 1 / len(gain)), size=RESAMPLES
    )
    # Draws in which nothing was taken have no ratio.
    some = drawn @ actual > 0
    return float(((drawn @ gain)[some] / (drawn @ actual)[some]).std(ddof=1))


def score_fleet(table: pd.DataFrame, by: str | None, what: str, seed: int) -> pd.DataFrame:
    """Score every forecast of a back-test table (columns as in `FleetBacktest.scores`).

    Parameters
    ----------
    table : DataFrame
        As `FleetBacktest.table`.
    by : str or None
        Column of the groups.
    what : {"pieces", "failures"}
    seed : int

    Returns
    -------
    DataFrame
    """
    places = {}
    if what == "pieces":
        for number, name in enumerate(FORECASTS):
            mean, variance = (table[column].to_numpy(float) for column in (name, f"{name}_variance"))
            known = np.isfinite(mean)
            at, chance = np.full(len(table), np.nan), np.full(len(table), np.nan)
            actual = table["actual"].to_numpy(float)[known]
            at[known] = randomised_places(actual, mean[known], variance[known], seed + number)
            chance[known] = log_chances(actual, mean[known], variance[known])
            places[name] = (at, chance)
    groups: dict[Any, Any] = {"all": np.arange(len(table))}
    if by is not None:
        groups = dict(table.groupby(by, sort=True).indices)
    out = []
    for label, rows in groups.items():
        scored = [
            {(by or "group"): label, **row} for row in _one_group(table.iloc[rows], rows, places, what, seed)
        ]
        best = min((row["wape"] for row in scored), default=np.nan)
        out += [{**row, "won": bool(row["wape"] == best)} for row in scored]
    frame = pd.DataFrame(out)
    return frame.drop(columns="group") if by is None else frame


def _one_group(
    part: pd.DataFrame,
    rows: NDArray[np.int64],
    places: dict[str, tuple[FloatArray, FloatArray]],
    what: str,
    seed: int,
) -> list[dict[str, Any]]:
    columns = {name: name for name in FORECASTS} if what == "pieces" else FAILURES
    y = part["actual" if what == "pieces" else "actual_failures"].to_numpy(float)
    rate_error = np.abs(part[columns["mean_rate"]].to_numpy(float) - y)
    total = y.sum() if y.sum() > 0 else np.nan
    out: list[dict[str, Any]] = []
    for name, column in columns.items():
        mean = part[column].to_numpy(float)
        if not np.isfinite(mean).all():
            continue
        error = np.abs(mean - y)
        row: dict[str, Any] = {
            "forecast": name,
            "cells": len(y),
            "actual": y.sum(),
            "expected": mean.sum(),
            "wape": error.sum() / total,
            "bias": mean.sum() / total - 1,
        }
        if places:
            at, chance = (values[rows] for values in places[name])
            row |= {
                "c80": float(((at > 0.1) & (at < 0.9)).mean()),
                "c95": float(((at > 0.025) & (at < 0.975)).mean()),
                "log_score": float(chance.mean()),
            }
        row["to_rate"] = (error - rate_error).sum() / total
        row["noise"] = paired_noise(error - rate_error, y, seed) if name != "mean_rate" else 0.0
        out.append(row)
    return out


def verdicts(table: pd.DataFrame, whole: pd.DataFrame, classes: pd.DataFrame) -> tuple[str, ...]:
    """Say what the back-test found, losers included.

    Parameters
    ----------
    table : DataFrame
        As `FleetBacktest.table`.
    whole, classes : DataFrame
        Scores of all cells, and by part class.

    Returns
    -------
    tuple of str
    """
    if not table["actual"].sum() > 0:
        return ("Nothing was replaced in the tested days: there is nothing to score.",)
    by = whole.set_index("forecast")
    own, rate = by.loc["published"], by.loc["mean_rate"]
    first, last = table["origin"].min(), table["origin"].max()
    lines = [
        f"{table['days'].iloc[0]:g} days from {table['origin'].nunique()} origins, {first:%Y-%m-%d} to "
        f"{last:%Y-%m-%d}: {own['actual']:,.0f} pieces were taken, {own['expected']:,.0f} expected "
        f"({own['bias']:+.1%}); per part and origin {own['wape']:.1%} off.",
        f"Bands: {own['c80']:.0%} of the cells in the 80 % band, {own['c95']:.0%} in the 95 % band.",
    ]
    others = [
        f"{WORDS[str(name)]} {row['wape']:.1%} off ({row['bias']:+.1%})"
        for name, row in by.drop(index="published").iterrows()
    ]
    lines.append("Beside it: " + ", ".join(others) + ".")
    gap, noise = own["to_rate"], np.nan_to_num(own["noise"])
    if abs(gap) <= 2 * noise:
        lines.append(f"Against the mean rate it is a draw: {gap:+.1%} of demand, give or take {noise:.1%}.")
    else:
        word = "better" if gap < 0 else "worse"
        lines.append(f"It is {word} than the mean rate by {abs(gap):.1%} of demand (noise {noise:.1%}).")
    worse = classes[(classes["forecast"] == "published") & (classes["to_rate"] > 0)]
    lines += [
        f"Parts with {name}: the mean rate does better, by {gap:.1%} of demand (noise {noise:.1%})."
        for name, gap, noise in zip(
            worse["part_class"], worse["to_rate"].to_numpy(float), worse["noise"].to_numpy(float)
        )
    ]
    rate_off = (table["mean_rate"] - table["actual"]).abs()
    lost = (table["published"] - table["actual"]).abs() - rate_off
    sums = lost.groupby(table["part_id"]).sum()
    clear = sums[sums > 0.05].sort_values(ascending=False, kind="stable")
    if len(clear) and len(sums) > 1:
        named = ", ".join(f"{part} ({value:.1f} pieces)" for part, value in clear.head(3).items())
        lines.append(
            f"{len(clear):,} of {len(sums):,} parts were nearer to their mean rate, most so {named}."
        )
    if np.isclose(rate["wape"], own["wape"]):
        lines.append("Both are the same here: the published forecast follows the mean rate.")
    return tuple(lines)
