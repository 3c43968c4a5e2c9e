"""Simulated fleets with known truth: do pooled lives foretell the next year, whatever a part's past?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, nbinom, norm

from spareplan.forecast.likelihood import Spells
from spareplan.forecast.sparse import SHAPES, PooledLives

Array = NDArray[np.float64]
CLASSES = ((0, 0), (1, 1), (2, 2), (3, 5), (6, 10**9))
FINEST, LONGEST = 0.01, 25.0


class Panel(NamedTuple):
    """Spells of the records, pieces in service at the origin, what came after it, and its mean."""

    spells: Spells
    family: NDArray[np.int64]
    part: NDArray[np.int64]
    age: Array
    demand: NDArray[np.int64]
    mean: Array
    horizon: float


@dataclass(frozen=True)
class Truth:
    """How the simulated parts live. Ages in months.

    Parameters
    ----------
    parts, families : int
    level, level_sd : float
        Of the families' ln eta.
    spread : float
        Of ln eta within a family.
    shape, shape_sd, shape_spread : float
        Of ln beta: centre, between and within families.
    tails : {"normal", "t3"}
        Law of ln eta within a family.
    life : {"weibull", "lognormal"}
    pieces, pieces_sd : float
        Median and log spread of the pieces per part.
    records, horizon : float
        [months]
    futures : int
        Futures that are simulated to know the mean demand.
    """

    parts: int = 5000
    families: int = 40
    level: float = 4.8
    level_sd: float = 0.6
    spread: float = 0.6
    shape: float = 0.55
    shape_sd: float = 0.2
    shape_spread: float = 0.25
    tails: str = "normal"
    life: str = "weibull"
    pieces: float = 18.0
    pieces_sd: float = 1.0
    records: float = 48.0
    horizon: float = 12.0
    futures: int = 8


def make_panel(truth: Truth, seed: int) -> Panel:
    """Simulate renewals from installation on, and keep what the records would show."""
    random = np.random.default_rng(seed)
    if truth.families < truth.parts:
        family = np.sort(random.integers(0, truth.families, truth.parts))
    else:
        family = np.arange(truth.parts)
    family = np.unique(family, return_inverse=True)[1].astype(np.int64)
    families = int(family.max()) + 1
    level = random.normal(truth.level, truth.level_sd, families)[family]
    # Lives of a part in ten thousand that lasts hours would take all the time of the simulation.
    off = np.clip(random.standard_t(3, truth.parts) / np.sqrt(3), -3.5, 8.0) if truth.tails == "t3" else None
    off = random.normal(size=truth.parts) if off is None else off
    scale = np.exp(level + truth.spread * off)
    shape = np.exp(
        random.normal(truth.shape, truth.shape_sd, families)[family]
        + truth.shape_spread * random.normal(size=truth.parts)
    )
    pieces = np.clip(np.exp(random.normal(np.log(truth.pieces), truth.pieces_sd, truth.parts)), 2, 400)
    part = np.repeat(np.arange(truth.parts), pieces.astype(int))

    def lives(of: NDArray[np.int64]) -> Array:
        if truth.life == "weibull":
            return np.asarray(scale[of] * random.weibull(shape[of]))
        return np.asarray(scale[of] * np.exp(random.normal(size=len(of)) / shape[of]))

    start = random.uniform(-60.0, 0.75 * truth.records, len(part))
    rows: list[tuple[Array, ...]] = []
    reached = np.zeros(len(part))
    now = np.arange(len(part))
    while len(now):
        born = start[now]
        end = born + np.maximum(lives(part[now]), 1e-3)
        seen = end > 0
        exit_ = np.minimum(end, truth.records) - born
        rows.append(
            tuple(column[seen] for column in (part[now], np.maximum(-born, 0.0), exit_, end <= truth.records))
        )
        over = end > truth.records
        reached[now[over]] = end[over]
        start[now] = np.where(over, born, end)
        now = now[~over]
    number, entry, exit_, failed = (np.concatenate(column) for column in zip(*rows))
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(truth.parts))
    spells = Spells(starts, entry[order], exit_[order], failed[order].astype(bool), np.ones(len(order)))
    futures = [_future(part, reached - truth.records, truth, lives)]
    for _ in range(truth.futures):
        futures.append(
            _future(part, _left(part, truth.records - start, scale, shape, truth, random), truth, lives)
        )
    mean = np.mean(futures[1:], axis=0)
    return Panel(spells, family, part, truth.records - start, futures[0], mean, truth.horizon)


def _left(
    part: NDArray[np.int64], age: Array, scale: Array, shape: Array, truth: Truth, random: np.random.Generator
) -> Array:
    """Draw what is left of the life of every piece, given its age."""
    uniform = 1.0 - random.random(len(part))
    if truth.life == "weibull":
        return np.asarray(
            scale[part] * ((age / scale[part]) ** shape[part] - np.log(uniform)) ** (1 / shape[part]) - age
        )
    z = shape[part] * np.log(np.maximum(age, 1e-9) / scale[part])
    return np.asarray(scale[part] * np.exp(norm.isf(uniform * norm.sf(z)) / shape[part]) - age)


def _future(
    part: NDArray[np.int64], first: Array, truth: Truth, lives: Callable[[NDArray[np.int64]], Array]
) -> NDArray[np.int64]:
    """Failures of each part within the horizon."""
    demand = np.zeros(truth.parts, dtype=np.int64)
    due, who = first, part
    while len(who):
        soon = due <= truth.horizon
        who, due = who[soon], due[soon]
        demand += np.bincount(who, minlength=truth.parts)
        due = due + lives(who)
    return demand


def renewal_tables() -> tuple[Array, Array, Array]:
    """Mean and second moment of the failures of a new piece up to u lives, per node; and u."""
    u = np.arange(0.0, LONGEST + FINEST / 2, FINEST)
    mean, square = np.zeros((2, len(SHAPES), len(u)))
    step = np.diff(-np.expm1(-(u ** SHAPES[:, None])), axis=1)
    middle = np.column_stack([np.zeros(len(SHAPES)), step])
    for t in range(1, len(u)):
        past = middle[:, 1 : t + 1]
        # The failure lies on average half a step before the end of its step.
        left = 0.5 * (mean[:, t - 1 :: -1][:, :t] + np.roll(mean[:, t::-1], 0, axis=1)[:, :t])
        twice = 0.5 * (square[:, t - 1 :: -1][:, :t] + square[:, t::-1][:, :t])
        own = 0.5 * past[:, 0]
        base = past.sum(axis=1)
        mean[:, t] = (base + (past * left).sum(axis=1)) / (1 - own)
        left[:, 0] += 0.5 * mean[:, t]
        square[:, t] = (base + 2 * (past * left).sum(axis=1) + (past * twice).sum(axis=1)) / (1 - own)
    return u, mean, square


_TABLES: list[tuple[Array, Array, Array]] = []


def count_moments(
    part: NDArray[np.int64], age: Array, horizon: float, parts: int, node: int, scale: Array
) -> tuple[Array, Array]:
    """Mean and variance of each part's failures until the horizon, at one node and a scale per part."""
    if not _TABLES:
        _TABLES.append(renewal_tables())
    u, mean, square = _TABLES[0]
    shape = SHAPES[node]
    x = age / scale[part]
    ahead = horizon / scale[part]
    hazard = (x + ahead) ** shape - x**shape
    points, weights = np.polynomial.legendre.leggauss(6)
    chance = -np.expm1(-hazard)
    first, second = chance.copy(), chance.copy()
    for point, weight in zip(0.5 * (points + 1), 0.5 * weights):
        # Time of the first failure at a quantile of its law within the horizon.
        when = (x**shape - np.log1p(-point * chance)) ** (1 / shape) - x
        left = np.clip(ahead - when, 0.0, LONGEST)
        m, q = np.interp(left, u, mean[node]), np.interp(left, u, square[node])
        first += weight * chance * m
        second += weight * chance * (2 * m + q)
    total = np.bincount(part, weights=first, minlength=parts)
    spread = np.bincount(part, weights=second - first**2, minlength=parts)
    return total, spread


class Forecast(NamedTuple):
    """Mixture of counts: weights, means and variances, shape (parts, components)."""

    weight: Array
    mean: Array
    variance: Array


def forecast_panel(panel: Panel, lives: PooledLives, nudge: float = 1.1) -> Forecast:
    """Foretell the failures of every part: a count law per node, with the doubt about its rate."""
    parts = len(panel.demand)
    mean, variance = np.zeros((2, parts, len(SHAPES)))
    for node in range(len(SHAPES)):
        needed = lives.weight[:, node] > 1e-4
        rows = np.flatnonzero(needed[panel.part])
        code = panel.part[rows]
        scale = lives.scales()[:, node]
        m, v = count_moments(code, panel.age[rows], panel.horizon, parts, node, scale)
        moved = count_moments(
            code, panel.age[rows], panel.horizon, parts, node, scale * nudge ** (-1 / SHAPES[node])
        )[0]
        follow = np.log(np.maximum(moved, 1e-300) / np.maximum(m, 1e-300)) / np.log(nudge)
        mean[:, node] = m
        variance[:, node] = v + (m * np.clip(follow, 0, 1)) ** 2 / lives.failures[:, node]
    return Forecast(np.where(lives.weight > 1e-4, lives.weight, 0.0), mean, variance)


def mixture_cdf(forecast: Forecast, count: NDArray[np.int64]) -> Array:
    """P(demand <= count); negative binomial where a node is over-dispersed, binomial where under."""
    mean, variance = np.maximum(forecast.mean, 1e-12), forecast.variance
    over = variance > mean * (1 + 1e-9)
    size = mean**2 / np.where(over, variance - mean, 1.0)
    wide = nbinom.cdf(count[:, None], size, np.where(over, mean / np.maximum(variance, 1e-300), 0.5))
    tries = np.ceil(np.where(over, 1.0, mean**2 / np.maximum(mean - variance, 1e-9)))
    tries = np.maximum(np.minimum(tries, 1e6), np.ceil(mean))
    narrow = binom.cdf(count[:, None], tries, np.minimum(mean / tries, 1.0))
    weight = forecast.weight / forecast.weight.sum(axis=1, keepdims=True)
    return (weight * np.where(over, wide, narrow)).sum(axis=1)


def judge(panel: Panel, forecast: Forecast, seed: int = 0) -> dict[str, dict[str, float]]:
    """Coverage of 80 and 95 % intervals by randomised PIT, and bias, per class of past failures."""
    random = np.random.default_rng(seed)
    above, below = mixture_cdf(forecast, panel.demand), mixture_cdf(forecast, panel.demand - 1)
    pit = below + random.random(len(above)) * (above - below)
    weight = forecast.weight / forecast.weight.sum(axis=1, keepdims=True)
    mean = (weight * forecast.mean).sum(axis=1)
    failures = panel.spells.sums(panel.spells.failed.astype(float))
    out = {}
    for low, high in (*CLASSES, (0, 10**9)):
        rows = (failures >= low) & (failures <= high)
        if not rows.any():
            continue
        name = "all" if (low, high) == (0, 10**9) else str(low) if low == high else f"{low}-{high}"
        out[name.replace("-1000000000", "+")] = {
            "parts": float(rows.sum()),
            "c80": float((np.abs(pit[rows] - 0.5) < 0.4).mean()),
            "c95": float((np.abs(pit[rows] - 0.5) < 0.475).mean()),
            "low": float((pit[rows] < 0.1).mean()),
            "high": float((pit[rows] > 0.9).mean()),
            "predicted": float(mean[rows].sum()),
            "actual": float(panel.demand[rows].sum()),
            "expected": float(panel.mean[rows].sum()),
            "squares": float(((mean - panel.mean)[rows] ** 2).sum()),
            "ls": float(np.log(np.maximum(above - below, 1e-12))[rows].mean()),
        }
    return out


# Failures are rare, as in the field; common; or very rare. Then small families, and truths of other kinds.
SCENARIOS = {
    "usual": Truth(),
    "rich in failures": Truth(level=3.2),
    "poor in failures": Truth(level=6.0),
    "170 small families": Truth(families=170),
    "lognormal lives": Truth(life="lognormal", shape=0.45, level=4.6),
    "t tails of ln eta": Truth(tails="t3"),
}


def run_scenario(truth: Truth, seeds: Iterable[int]) -> dict[str, dict[str, float]]:
    """Judge pooled lives on fleets of several seeds together."""
    from spareplan.forecast.sparse import pool_lifetimes

    sums = ("parts", "predicted", "actual", "expected", "squares")
    out: dict[str, dict[str, float]] = {}
    for seed in seeds:
        panel = make_panel(truth, seed)
        lives = pool_lifetimes(panel.spells, panel.family, np.full(len(panel.demand), np.nan))
        for name, row in judge(panel, forecast_panel(panel, lives), seed).items():
            total = out.setdefault(name, dict.fromkeys(row, 0.0))
            for key, value in row.items():
                total[key] += value if key in sums else value * row["parts"]
    for row in out.values():
        row |= {key: value / row["parts"] for key, value in row.items() if key not in sums}
        row["bias"] = row["predicted"] / row["expected"] - 1
        # What the chance of which parts stand in the class does to the bias, as if parts were independent.
        row["noise"] = row["squares"] ** 0.5 / row["expected"]
    return out


def print_scenario(name: str, truth: Truth, seeds: Iterable[int]) -> None:
    """Print a row per class of past failures."""
    print(
        f"{name}: {'failures':>9} {'parts':>6} {'c80':>6} {'c95':>6} {'bias':>7} {'+-':>5} {'log score':>9}"
    )
    for label, row in run_scenario(truth, seeds).items():
        print(
            f"{'':{len(name)}}  {label:>9} {row['parts']:6.0f} {row['c80']:6.3f} {row['c95']:6.3f} "
            f"{row['bias']:+7.3f} {row['noise']:5.3f} {row['ls']:9.4f}"
        )
