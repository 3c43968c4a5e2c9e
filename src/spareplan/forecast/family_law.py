"""Weibull lives of a family of parts: evidence and posterior at each shape, given what kin have in common.

Within a family ln eta is normal and ln beta is normal on a grid of shapes. At each shape the normal law of
ln eta is written as a mixture of a few log-gamma laws of lambda = eta^-beta, to which the Weibull likelihood
is conjugate: a single log-gamma law leans towards long lives and so foretells too little of parts that never
failed (by a fifth where the rest of their family failed often).

References
----------
.. [1] Soland (1969), IEEE Trans. Reliability 18(4): discrete shapes and conjugate gamma for the Weibull.
.. [2] Dalal & Hall (1983), Approximating priors by mixtures of natural conjugate priors. JRSS B 45, 278-286.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, polygamma

from spareplan.forecast.likelihood import FloatArray, IntArray

# Every second node is the square of a power that is there already: two exponentials per age give all nine.
LOG_SHAPES = np.log(0.45) + 0.5 * np.log(2.0) * np.arange(9)
SHAPES = np.exp(LOG_SHAPES)
LOG_MEAN_LIFE = gammaln(1 + 1 / SHAPES)
# Keys handled at a time, so that the working arrays stay in the processor's cache.
CHUNK_KEYS = 1024
# ln(r / S) beyond which one of the two is nothing beside the other.
FARTHEST = 640.0


class Points(NamedTuple):
    """Log-gamma laws that stand for a normal law of ln eta.

    Places and log weights of their means, and the share of the variance that is between them.
    """

    place: FloatArray
    log_weight: FloatArray
    share: float


def _hermite_points(number: int, share: float) -> Points:
    place, weight = np.polynomial.hermite_e.hermegauss(number)
    return Points(place, np.log(weight / weight.sum()), share)


# The first pass is content with one log-gamma law, at a quarter of the cost.
ONE_POINT, MIXTURE = _hermite_points(1, 0.0), _hermite_points(4, 0.7)


class FamilyPrior(NamedTuple):
    """Per family: mean and spread of ln eta (in units), mean and spread of ln beta."""

    level: FloatArray
    log_spread: FloatArray
    shape: FloatArray
    log_shape_spread: FloatArray


class Experts(NamedTuple):
    """Engineers' lives are exp(bias) times too long, with this spread of their logarithm; NaN without any."""

    bias: float
    spread: float


class Kin(NamedTuple):
    """Sufficient statistics of all keys, and the grouping that saves special functions.

    `fixed` is the part of the log evidence that no hyperparameter moves; `pair` numbers the distinct pairs of
    cell (family, engineer's life known or not) and failures.
    """

    k: FloatArray
    log_s: FloatArray
    fixed: FloatArray
    family: IntArray
    families: int
    log_life: FloatArray
    known: NDArray[np.bool_]
    pair: IntArray
    pair_cell: IntArray
    pair_k: FloatArray


class NodePosterior(NamedTuple):
    """Log evidence per key and node (family weights left out), and the gamma law of lambda there."""

    log_m: FloatArray
    log_expert: FloatArray
    failures: FloatArray
    exposure: FloatArray


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
    distinct, number = np.unique(k, return_inverse=True)
    code = (2 * family + known) * len(distinct) + number
    pairs, pair = np.unique(code, return_inverse=True)
    log_s = np.log(sums)
    fixed = k[:, None] * (LOG_SHAPES - log_s) + (SHAPES - 1) * log_sum[:, None]
    cell, which = np.divmod(pairs, max(len(distinct), 1))
    return Kin(k, log_s, fixed, family, families, log_life, known, pair, cell, distinct[which])


def log_node_weights(prior: FamilyPrior) -> FloatArray:
    """Log weight of each shape in each family, shape (families, nodes)."""
    out = -0.5 * ((LOG_SHAPES - prior.shape[:, None]) / np.exp(prior.log_shape_spread)[:, None]) ** 2
    return out - np.logaddexp.reduce(out, axis=1, keepdims=True)


def posterior_at_nodes(kin: Kin, prior: FamilyPrior, experts: Experts) -> NodePosterior:
    """Posterior of every key at each shape.

    Parameters
    ----------
    kin : Kin
    prior : FamilyPrior
    experts : Experts

    Returns
    -------
    NodePosterior
        Arrays of shape (keys, nodes). The mixture of gamma laws at a node is given as the one gamma law with
        its mean and variance.
    """
    rates = rate_laws(kin, prior.log_spread, experts, MIXTURE)
    log_m = np.empty_like(kin.log_s)
    log_expert, failures, exposure = (np.empty_like(log_m) for _ in range(3))
    for rows in _chunks(kin):
        terms, log_ratio, expert = _mixture_terms(kin, rows, prior, experts, rates)
        total = np.logaddexp.reduce(terms, axis=0)
        share = np.exp(terms - total)
        gamma_shape = rates.shape[rates.cell[rows]] + kin.k[rows, None]
        # 1 / (r + S) at each point, relative to the largest.
        log_inverse = -np.logaddexp(log_ratio, 0.0)
        largest = log_inverse.max(axis=0)
        inverse = np.exp(log_inverse - largest)
        mean = (share * inverse).sum(axis=0)
        square = (share * inverse**2).sum(axis=0)
        # Gamma law of the same mean and variance.
        relative = np.maximum(square / mean**2 - 1, 0.0)
        variance = relative + (1 + relative) / gamma_shape
        failures[rows] = 1 / variance
        exposure[rows] = np.exp(kin.log_s[rows] - largest - np.log(mean * gamma_shape * variance))
        log_expert[rows] = expert
        log_m[rows] = total + expert
    log_m += kin.fixed + rates.pair_part[kin.pair]
    return NodePosterior(log_m, log_expert, failures, exposure)


class RateLaws(NamedTuple):
    """Gamma laws of lambda around each point: per cell, and lgamma(a + k) - lgamma(a) per pair."""

    cell: IntArray
    shape: FloatArray
    log_rate: FloatArray
    pair_part: FloatArray
    spread: FloatArray
    trust: FloatArray
    points: Points


def rate_laws(kin: Kin, log_spread: FloatArray, experts: Experts, points: Points) -> RateLaws:
    """Match gamma laws of lambda to the normal laws of ln eta, per family with and without experts."""
    spread2 = np.repeat(np.exp(2 * log_spread), 2)
    trust = np.zeros(2 * kin.families)
    if kin.known.any():
        trust[1::2] = spread2[1::2] / (spread2[1::2] + experts.spread**2)
    spread2 = spread2 * (1 - trust)
    shape = _inverse_trigamma(SHAPES**2 * (1 - points.share) * spread2[:, None])
    at = shape[kin.pair_cell]
    pair_part = gammaln(at + kin.pair_k[:, None]) - gammaln(at)
    cell = 2 * kin.family + kin.known
    return RateLaws(cell, shape, digamma(shape), pair_part, np.sqrt(points.share * spread2), trust, points)


def _mixture_terms(
    kin: Kin, rows: slice, prior: FamilyPrior, experts: Experts, rates: RateLaws
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log evidence at every point, log(r / S) there, and the engineers' log density."""
    cell, family = rates.cell[rows], kin.family[rows]
    level = prior.level[family][:, None]
    expert = np.zeros((1, 1))
    if kin.known[rows].any():
        known = kin.known[rows][:, None]
        variance = (np.exp(2 * prior.log_spread) + experts.spread**2)[family][:, None]
        off = kin.log_life[rows][:, None] - LOG_MEAN_LIFE - experts.bias - level
        level = level + np.where(known, rates.trust[cell][:, None] * off, 0.0)
        expert = np.where(known, -0.5 * (off**2 / variance + np.log(2 * np.pi * variance)), 0.0)
    middle = np.clip(rates.log_rate[cell] + SHAPES * level - kin.log_s[rows], -FARTHEST, FARTHEST)
    step = rates.spread[cell][:, None] * SHAPES
    log_ratio = middle + rates.points.place[:, None, None] * step
    a = rates.shape[cell]
    terms = np.exp(log_ratio)
    np.log1p(terms, out=terms)
    terms *= -(a + kin.k[rows, None])
    terms += a * log_ratio
    terms += rates.points.log_weight[:, None, None]
    return terms, log_ratio, expert


def node_evidence(
    kin: Kin, prior: FamilyPrior, experts: Experts, rates: RateLaws
) -> tuple[FloatArray, FloatArray]:
    """Evidence at each node over its maximum, and the log of that maximum, per key."""
    relative, top = np.empty_like(kin.log_s), np.empty(len(kin.k))
    for rows in _chunks(kin):
        terms, _, expert = _mixture_terms(kin, rows, prior, experts, rates)
        highest = terms.max(axis=0)
        terms -= highest
        log_m = highest + np.log(np.exp(terms, out=terms).sum(axis=0))
        log_m += kin.fixed[rows] + rates.pair_part[kin.pair[rows]] + expert
        top[rows] = log_m.max(axis=1)
        relative[rows] = np.exp(log_m - top[rows][:, None])
    return relative, top


def family_evidence(kin: Kin, prior: FamilyPrior, relative: FloatArray, top: FloatArray) -> FloatArray:
    """Log evidence per family, from that at the nodes as `node_evidence` gives it."""
    weight = np.exp(log_node_weights(prior))
    evidence = top + np.log(np.maximum((relative * weight[kin.family]).sum(axis=1), 1e-300))
    return np.asarray(np.bincount(kin.family, weights=evidence, minlength=kin.families), dtype=float)


def _chunks(kin: Kin) -> list[slice]:
    return [slice(low, low + CHUNK_KEYS) for low in range(0, len(kin.k), CHUNK_KEYS)]


_TRIGAMMA_GRID = np.exp(np.linspace(np.log(1e-6), np.log(1e8), 4000))
_TRIGAMMA_LOG = np.log(polygamma(1, _TRIGAMMA_GRID))


def _inverse_trigamma(value: FloatArray) -> FloatArray:
    """Argument whose trigamma is `value`, by a log-log table (relative error below 1e-5)."""
    return np.exp(np.interp(np.log(value), _TRIGAMMA_LOG[::-1], np.log(_TRIGAMMA_GRID)[::-1]))
