"""What the parts of a family have in common: mean and spread of ln eta and ln beta, by their evidence.

References
----------
.. [1] Soland (1969), IEEE Trans. Reliability 18(4): discrete shapes and conjugate gamma for the Weibull.
.. [2] Carlin & Louis (2000), Bayes and Empirical Bayes Methods for Data Analysis, ch. 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, polygamma

from spareplan.forecast.likelihood import FloatArray, IntArray

LOG_SHAPES = np.linspace(np.log(0.45), np.log(7.0), 9)
SHAPES = np.exp(LOG_SHAPES)
ROUNDS = 4
# What spare parts are like before any is seen: spread of ln eta in a family, ln beta, its spread.
SPREAD_CENTRE, SPREAD_SD = np.log(0.6), 0.4
SHAPE_CENTRE, SHAPE_SD = np.log(1.5), 0.5
SHAPE_SPREAD_CENTRE, SHAPE_SPREAD_SD = np.log(0.25), 0.35
LEVEL_SD = 2.0
FAILURES_TO_SPEAK = 8
# Engineers' expected lives: factor of bias (log) and spread (log) that are tried, with their prior.
BIASES = np.linspace(-0.6, 0.6, 7)
BIAS_SD = 0.4
EXPERT_SPREADS = np.array([0.2, 0.35, 0.6, 1.0])


class FamilyPrior(NamedTuple):
    """Per family: mean and spread of ln eta (in units), mean and spread of ln beta."""

    level: FloatArray
    log_spread: FloatArray
    shape: FloatArray
    log_shape_spread: FloatArray


class Kin(NamedTuple):
    """Sufficient statistics of all keys, and the grouping that saves special functions."""

    k: FloatArray
    log_sum: FloatArray
    log_s: FloatArray
    family: IntArray
    families: int
    log_life: FloatArray
    known: NDArray[np.bool_]
    pair: IntArray
    pair_cell: IntArray
    pair_k: FloatArray


class FittedFamilies(NamedTuple):
    """Law of every family; bias (log) and spread (log) of the engineers' lives, NaN without any."""

    prior: FamilyPrior
    bias: float
    spread: float


def group_kin(
    k: FloatArray, log_sum: FloatArray, sums: FloatArray, family: IntArray, life: FloatArray
) -> Kin:
    """Group what is known of all keys by family and number of failures.

    Parameters
    ----------
    k, log_sum : ndarray, shape (keys,)
        Failures, and the sum of ln age over them. [ages in units]
    sums : ndarray, shape (keys, nodes)
        S at every node, above 0. [units^beta]
    family : ndarray of int, shape (keys,)
    life : ndarray, shape (keys,)
        Engineer's expected mean life, NaN where there is none. [units]

    Returns
    -------
    Kin
    """
    known = np.isfinite(life) & (life > 0)
    log_life = np.log(np.where(known, life, 1.0))
    families = int(family.max()) + 1 if len(family) else 0
    cell = 2 * family + known
    pairs, pair = np.unique(np.column_stack([cell, k]), axis=0, return_inverse=True)
    return Kin(
        k,
        log_sum,
        np.log(sums),
        family,
        families,
        log_life,
        known,
        pair.ravel(),
        pairs[:, 0].astype(np.int64),
        pairs[:, 1],
    )


def fit_families(kin: Kin, sums: FloatArray) -> FittedFamilies:
    """Find the law of every family by its evidence, in two passes.

    Parameters
    ----------
    kin : Kin
    sums : ndarray, shape (keys, nodes)
        As for `group_kin`.

    Returns
    -------
    FittedFamilies

    Notes
    -----
    Hyperparameters of all families rise together, by parabola steps along one coordinate at a time. Families
    with enough failures then say how families differ, and the others are fitted again under that law; the
    uncertainty of a family's level is added to its spread.
    """
    start = _start(kin, sums)
    bias = spread = np.nan
    level_sd = np.full(kin.families, LEVEL_SD)
    centre = FamilyPrior(np.full(kin.families, np.median(start.level)), *start[1:])
    shape_law = (np.full(kin.families, SHAPE_CENTRE), np.full(kin.families, SHAPE_SD))
    if kin.known.any():
        bias, spread = _expert(kin, start)
    fitted = _climb(kin, start, centre.level, level_sd, shape_law, bias, spread)
    failures = np.bincount(kin.family, weights=kin.k, minlength=kin.families)
    speak = failures >= FAILURES_TO_SPEAK
    if speak.sum() >= 2:
        level_sd = np.full(kin.families, max(0.15, float(fitted.level[speak].std(ddof=1))))
        centre = centre._replace(level=np.full(kin.families, fitted.level[speak].mean()))
        shape_law = (
            np.full(kin.families, fitted.shape[speak].mean()),
            np.full(kin.families, max(0.1, float(fitted.shape[speak].std(ddof=1)))),
        )
        fitted = _climb(kin, fitted, centre.level, level_sd, shape_law, bias, spread)
    if kin.known.any():
        bias, spread = _expert(kin, fitted)
        fitted = _climb(kin, fitted, centre.level, level_sd, shape_law, bias, spread)
    width = 0.2
    around = [
        _objective(
            kin, fitted._replace(level=fitted.level + move), centre.level, level_sd, shape_law, bias, spread
        )
        for move in (-width, 0.0, width)
    ]
    bend = (around[0] - 2 * around[1] + around[2]) / width**2
    doubt = np.where(bend < 0, np.minimum(-1 / np.minimum(bend, -1e-12), level_sd**2), level_sd**2)
    wide = fitted._replace(log_spread=0.5 * np.log(np.exp(2 * fitted.log_spread) + doubt))
    return FittedFamilies(wide, bias, spread)


def _start(kin: Kin, sums: FloatArray) -> FamilyPrior:
    """Pooled profile of each family over the nodes, as if half a failure more had been seen."""

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(kin.family, weights=values, minlength=kin.families), dtype=float)

    k, log_sum = total(kin.k)[:, None], total(kin.log_sum)[:, None]
    s = np.column_stack([total(sums[:, node]) for node in range(len(SHAPES))])
    log_rate = np.log((k + 0.5) / s)
    profile = (
        k * LOG_SHAPES
        + (SHAPES - 1) * log_sum
        + k * log_rate
        - 0.5 * ((LOG_SHAPES - SHAPE_CENTRE) / SHAPE_SD) ** 2
    )
    best = profile.argmax(axis=1)
    level = -log_rate[np.arange(kin.families), best] / SHAPES[best]

    def flat(value: float) -> FloatArray:
        return np.full(kin.families, value)

    return FamilyPrior(level, flat(SPREAD_CENTRE), LOG_SHAPES[best].copy(), flat(SHAPE_SPREAD_CENTRE))


def node_terms(
    kin: Kin, prior: FamilyPrior, bias: float, expert: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log of weight times evidence, prior gamma shape a and ln rate r, per key and node."""
    spread2 = np.exp(2 * prior.log_spread)
    cell_spread2 = np.repeat(spread2, 2)
    level = prior.level[kin.family]
    if kin.known.any():
        trust = spread2 / (spread2 + expert**2)
        cell_spread2[1::2] = spread2 * (1 - trust)
        wish = _expert_level(kin, prior, bias)
        level = np.where(kin.known, level + trust[kin.family] * (wish - level), level)
    a_cell = _inverse_trigamma(SHAPES**2 * cell_spread2[:, None])
    log_weight = -0.5 * ((LOG_SHAPES - prior.shape[:, None]) / np.exp(prior.log_shape_spread)[:, None]) ** 2
    log_weight -= np.log(np.exp(log_weight).sum(axis=1, keepdims=True))
    pair_a = a_cell[kin.pair_cell]
    pair_part = gammaln(pair_a + kin.pair_k[:, None]) - gammaln(pair_a)
    cell = 2 * kin.family + kin.known
    a = a_cell[cell]
    log_r = digamma(a_cell)[cell] + SHAPES * level[:, None]
    k = kin.k[:, None]
    log_m = (
        log_weight[kin.family] + k * LOG_SHAPES + (SHAPES - 1) * kin.log_sum[:, None] + pair_part[kin.pair]
    )
    log_m += a * log_r - (a + k) * np.logaddexp(log_r, kin.log_s)
    return log_m, a, log_r


def _expert_level(kin: Kin, prior: FamilyPrior, bias: float) -> FloatArray:
    """Log eta that the engineer's mean life says, at the family's shape."""
    return kin.log_life - gammaln(1 + np.exp(-prior.shape))[kin.family] - bias


def _key_evidence(kin: Kin, prior: FamilyPrior, bias: float, expert: float) -> FloatArray:
    log_m = node_terms(kin, prior, bias, expert)[0]
    top = log_m.max(axis=1)
    evidence = top + np.log(np.exp(log_m - top[:, None]).sum(axis=1))
    if kin.known.any():
        variance = (np.exp(2 * prior.log_spread) + expert**2)[kin.family]
        off = _expert_level(kin, prior, bias) - prior.level[kin.family]
        evidence += np.where(kin.known, -0.5 * (off**2 / variance + np.log(variance)), 0.0)
    return evidence


def _objective(
    kin: Kin,
    prior: FamilyPrior,
    centre: FloatArray,
    level_sd: FloatArray,
    shape_law: tuple[FloatArray, FloatArray],
    bias: float,
    expert: float,
) -> FloatArray:
    """Evidence plus log prior of the hyperparameters, per family."""
    evidence = _key_evidence(kin, prior, bias, expert)
    total = np.bincount(kin.family, weights=evidence, minlength=kin.families)
    penalty = (
        ((prior.log_spread - SPREAD_CENTRE) / SPREAD_SD) ** 2
        + ((prior.shape - shape_law[0]) / shape_law[1]) ** 2
        + ((prior.log_shape_spread - SHAPE_SPREAD_CENTRE) / SHAPE_SPREAD_SD) ** 2
        + ((prior.level - centre) / level_sd) ** 2
    )
    return total - 0.5 * penalty


def _climb(
    kin: Kin,
    start: FamilyPrior,
    centre: FloatArray,
    level_sd: FloatArray,
    shape_law: tuple[FloatArray, FloatArray],
    bias: float,
    expert: float,
) -> FamilyPrior:
    """Maximise the objective by parabola steps along each coordinate, all families at once."""
    law = (centre, level_sd, shape_law, bias, expert)
    here = list(start)
    value = _objective(kin, start, *law)
    width = [np.full(kin.families, size) for size in (0.5, 0.3, 0.3, 0.3)]
    for _ in range(ROUNDS):
        for axis in range(4):
            h = width[axis]
            sides = []
            for sign in (1.0, -1.0):
                moved = [*here[:axis], here[axis] + sign * h, *here[axis + 1 :]]
                sides.append(_objective(kin, FamilyPrior(*moved), *law))
            bend = sides[0] - 2 * value + sides[1]
            with np.errstate(divide="ignore", invalid="ignore"):
                move = 0.5 * h * (sides[1] - sides[0]) / bend
            uphill = np.where(sides[0] > sides[1], 2.5 * h, -2.5 * h)
            move = np.where((bend < 0) & np.isfinite(move), np.clip(move, -2.5 * h, 2.5 * h), uphill)
            moved = [*here[:axis], here[axis] + move, *here[axis + 1 :]]
            vertex = _objective(kin, FamilyPrior(*moved), *law)
            moves = np.array([np.zeros_like(h), h, -h, move])
            values = np.array([value, *sides, vertex])
            best = np.where(np.isfinite(values), values, -np.inf).argmax(axis=0)
            columns = np.arange(kin.families)
            taken = moves[best, columns]
            here[axis] = here[axis] + taken
            value = values[best, columns]
            width[axis] = np.maximum(np.where(taken == 0, 0.4 * h, 0.7 * np.abs(taken)), 0.02)
    return FamilyPrior(*here)


def _expert(kin: Kin, prior: FamilyPrior) -> tuple[float, float]:
    """Bias and spread of the engineers' lives that the failures make most likely."""
    best = (-np.inf, 0.0, 0.35)
    for spread in EXPERT_SPREADS:
        for bias in BIASES:
            value = _key_evidence(kin, prior, float(bias), float(spread)).sum() - 0.5 * (bias / BIAS_SD) ** 2
            best = max(best, (float(value), float(bias), float(spread)))
    return best[1], best[2]


_TRIGAMMA_GRID = np.exp(np.linspace(np.log(1e-6), np.log(1e8), 4000))
_TRIGAMMA_LOG = np.log(polygamma(1, _TRIGAMMA_GRID))


def _inverse_trigamma(value: FloatArray) -> FloatArray:
    """Argument whose trigamma is `value`, by a log-log table (relative error below 1e-5)."""
    return np.exp(np.interp(np.log(value), _TRIGAMMA_LOG[::-1], np.log(_TRIGAMMA_GRID)[::-1]))
