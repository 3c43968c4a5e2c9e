"""What the parts of a family have in common: mean and spread of ln eta and ln beta, by their evidence.

Within a family ln eta is normal and ln beta is normal on a grid of shapes. At each shape the normal law of
ln eta is written as a mixture of a few log-gamma laws of lambda = eta^-beta, to which the Weibull likelihood
is conjugate: a single log-gamma law leans towards long lives and so foretells too little of parts that never
failed (by a fifth where the rest of their family failed often).

References
----------
.. [1] Soland (1969), IEEE Trans. Reliability 18(4): discrete shapes and conjugate gamma for the Weibull.
.. [2] Carlin & Louis (2000), Bayes and Empirical Bayes Methods for Data Analysis, ch. 3.
.. [3] Dalal & Hall (1983), Approximating priors by mixtures of natural conjugate priors. JRSS B 45, 278-286.
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
# Gauss-Hermite points hold this share of the variance of ln eta, the log-gamma laws around them the rest.
POINT_SHARE = 0.6
POINTS, _POINT_WEIGHT = np.polynomial.hermite_e.hermegauss(4)
LOG_POINT_WEIGHT = np.log(_POINT_WEIGHT / _POINT_WEIGHT.sum())
# What spare parts are like before any is seen: spread of ln eta in a family, ln beta, its spread.
SPREAD_CENTRE, SPREAD_SD = np.log(0.6), 0.4
SHAPE_CENTRE, SHAPE_SD = np.log(1.5), 0.5
SHAPE_SPREAD_CENTRE, SHAPE_SPREAD_SD = np.log(0.25), 0.35
LEVEL_SD = 2.0
FAILURES_TO_SPEAK = 8
ROUNDS, MORE_ROUNDS = 4, 3
# Engineers' expected lives: factor of bias (log) and spread (log) that are tried, with their prior.
BIASES = np.linspace(-0.6, 0.6, 7)
BIAS_SD = 0.4
EXPERT_SPREADS = np.array([0.2, 0.35, 0.6, 1.0])
# Keys handled at a time, so that the working arrays stay in the processor's cache.
CHUNK_KEYS = 1024
# ln(r / S) beyond which one of the two is nothing beside the other.
FARTHEST = 700.0


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


class Hyperprior(NamedTuple):
    """Centre and spread, over families, of the level and of ln beta."""

    level: float
    level_sd: float
    shape: float
    shape_sd: float


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


def fit_families(kin: Kin) -> tuple[FamilyPrior, Experts]:
    """Find the law of every family by its evidence, in two passes.

    Parameters
    ----------
    kin : Kin

    Returns
    -------
    tuple of FamilyPrior and Experts

    Notes
    -----
    Hyperparameters of all families rise together, by parabola steps along one coordinate at a time. Families
    with enough failures then say how families differ, and the others are fitted again under that law; the
    uncertainty of a family's level is added to its spread.
    """
    start = _start(kin)
    over = Hyperprior(
        float(np.median(start.level)) if kin.families else 0.0, LEVEL_SD, SHAPE_CENTRE, SHAPE_SD
    )
    experts = _ask_experts(kin, start, BIASES, EXPERT_SPREADS)
    fitted, value = _climb(kin, start, over, experts, ROUNDS)
    failures = np.bincount(kin.family, weights=kin.k, minlength=kin.families)
    speak = failures >= FAILURES_TO_SPEAK
    if speak.sum() >= 2:
        over = Hyperprior(
            float(fitted.level[speak].mean()),
            max(0.15, float(fitted.level[speak].std(ddof=1))),
            float(fitted.shape[speak].mean()),
            max(0.1, float(fitted.shape[speak].std(ddof=1))),
        )
    if kin.known.any():
        near = experts.bias + np.array([-0.1, 0.0, 0.1])
        experts = _ask_experts(kin, fitted, near, experts.spread * np.array([0.8, 1.0, 1.25]))
    if speak.sum() >= 2 or kin.known.any():
        fitted, value = _climb(kin, fitted, over, experts, MORE_ROUNDS)
    step = 0.2
    around = [
        _objective(kin, fitted._replace(level=fitted.level + move), over, experts) for move in (-step, step)
    ]
    bend = (around[0] - 2 * value + around[1]) / step**2
    doubt = np.where(bend < 0, np.minimum(-1 / np.minimum(bend, -1e-12), over.level_sd**2), over.level_sd**2)
    wide = fitted._replace(log_spread=0.5 * np.log(np.exp(2 * fitted.log_spread) + doubt))
    return wide, experts


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
    rates = _rate_laws(kin, prior.log_spread, experts)
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


class _RateLaws(NamedTuple):
    """Gamma laws of lambda around each point: per cell, and lgamma(a + k) - lgamma(a) per pair."""

    cell: IntArray
    shape: FloatArray
    log_rate: FloatArray
    pair_part: FloatArray
    spread: FloatArray
    trust: FloatArray


def _rate_laws(kin: Kin, log_spread: FloatArray, experts: Experts) -> _RateLaws:
    spread2 = np.repeat(np.exp(2 * log_spread), 2)
    trust = np.zeros(2 * kin.families)
    if kin.known.any():
        trust[1::2] = spread2[1::2] / (spread2[1::2] + experts.spread**2)
    spread2 = spread2 * (1 - trust)
    shape = _inverse_trigamma(SHAPES**2 * (1 - POINT_SHARE) * spread2[:, None])
    at = shape[kin.pair_cell]
    pair_part = gammaln(at + kin.pair_k[:, None]) - gammaln(at)
    cell = 2 * kin.family + kin.known
    return _RateLaws(cell, shape, digamma(shape), pair_part, np.sqrt(POINT_SHARE * spread2), trust)


def _mixture_terms(
    kin: Kin, rows: slice, prior: FamilyPrior, experts: Experts, rates: _RateLaws
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
    middle = rates.log_rate[cell] + SHAPES * level - kin.log_s[rows]
    step = rates.spread[cell][:, None] * SHAPES
    log_ratio = np.clip(middle + POINTS[:, None, None] * step, -FARTHEST, FARTHEST)
    a = rates.shape[cell]
    terms = a * log_ratio - (a + kin.k[rows, None]) * np.log1p(np.exp(log_ratio))
    return terms + LOG_POINT_WEIGHT[:, None, None], log_ratio, expert


def _node_evidence(
    kin: Kin, prior: FamilyPrior, experts: Experts, rates: _RateLaws
) -> tuple[FloatArray, FloatArray]:
    """Evidence at each node over its maximum, and the log of that maximum, per key."""
    relative, top = np.empty_like(kin.log_s), np.empty(len(kin.k))
    for rows in _chunks(kin):
        terms, _, expert = _mixture_terms(kin, rows, prior, experts, rates)
        highest = terms.max(axis=0)
        log_m = highest + np.log(np.exp(terms - highest).sum(axis=0))
        log_m += kin.fixed[rows] + rates.pair_part[kin.pair[rows]] + expert
        top[rows] = log_m.max(axis=1)
        relative[rows] = np.exp(log_m - top[rows][:, None])
    return relative, top


def _family_evidence(kin: Kin, prior: FamilyPrior, relative: FloatArray, top: FloatArray) -> FloatArray:
    weight = np.exp(log_node_weights(prior))
    evidence = top + np.log(np.maximum((relative * weight[kin.family]).sum(axis=1), 1e-300))
    return np.asarray(np.bincount(kin.family, weights=evidence, minlength=kin.families), dtype=float)


def _log_hyperprior(prior: FamilyPrior, over: Hyperprior) -> FloatArray:
    return np.asarray(
        -0.5
        * (
            ((prior.log_spread - SPREAD_CENTRE) / SPREAD_SD) ** 2
            + ((prior.shape - over.shape) / over.shape_sd) ** 2
            + ((prior.log_shape_spread - SHAPE_SPREAD_CENTRE) / SHAPE_SPREAD_SD) ** 2
            + ((prior.level - over.level) / over.level_sd) ** 2
        )
    )


def _objective(
    kin: Kin,
    prior: FamilyPrior,
    over: Hyperprior,
    experts: Experts,
    rates: _RateLaws | None = None,
    nodes: tuple[FloatArray, FloatArray] | None = None,
) -> FloatArray:
    """Evidence plus log prior of the hyperparameters, per family; what is known of it may be handed in."""
    if nodes is None:
        rates = _rate_laws(kin, prior.log_spread, experts) if rates is None else rates
        nodes = _node_evidence(kin, prior, experts, rates)
    return _family_evidence(kin, prior, *nodes) + _log_hyperprior(prior, over)


def _climb(
    kin: Kin, start: FamilyPrior, over: Hyperprior, experts: Experts, rounds: int
) -> tuple[FamilyPrior, FloatArray]:
    """Maximise the objective by parabola steps along each coordinate, all families at once."""
    here, value = start, _objective(kin, start, over, experts)
    width = [np.full(kin.families, size) for size in (0.5, 0.3, 0.3, 0.3)]
    columns = np.arange(kin.families)
    for _ in range(rounds):
        for axis, name in enumerate(FamilyPrior._fields):
            h = width[axis]
            rates = _rate_laws(kin, here.log_spread, experts) if axis != 1 else None
            # The law of the shape only weighs the nodes: their evidence stays.
            nodes = _node_evidence(kin, here, experts, rates) if rates is not None and axis > 1 else None

            def moved(move: FloatArray, prior: FamilyPrior = here, name: str = name) -> FamilyPrior:
                return prior._replace(**{name: getattr(prior, name) + move})

            sides = [_objective(kin, moved(move), over, experts, rates, nodes) for move in (h, -h)]
            bend = sides[0] - 2 * value + sides[1]
            with np.errstate(divide="ignore", invalid="ignore"):
                move = 0.5 * h * (sides[1] - sides[0]) / bend
            uphill = np.where(sides[0] > sides[1], 2.5 * h, -2.5 * h)
            move = np.where((bend < 0) & np.isfinite(move), np.clip(move, -2.5 * h, 2.5 * h), uphill)
            vertex = _objective(kin, moved(move), over, experts, rates, nodes)
            moves = np.array([np.zeros_like(h), h, -h, move])
            values = np.array([value, *sides, vertex])
            best = np.where(np.isfinite(values), values, -np.inf).argmax(axis=0)
            taken = moves[best, columns]
            here, value = moved(taken), values[best, columns]
            width[axis] = np.maximum(np.where(taken == 0, 0.4 * h, 0.7 * np.abs(taken)), 0.02)
    return here, value


def _ask_experts(kin: Kin, prior: FamilyPrior, biases: FloatArray, spreads: FloatArray) -> Experts:
    """Bias and spread of the engineers' lives that the failures make most likely."""
    if not kin.known.any():
        return Experts(np.nan, np.nan)
    best = (-np.inf, 0.0, 0.35)
    for spread in spreads:
        rates = _rate_laws(kin, prior.log_spread, Experts(0.0, float(spread)))
        for bias in biases:
            nodes = _node_evidence(kin, prior, Experts(float(bias), float(spread)), rates)
            value = _family_evidence(kin, prior, *nodes).sum() - 0.5 * (bias / BIAS_SD) ** 2
            best = max(best, (float(value), float(bias), float(spread)))
    return Experts(best[1], best[2])


def _start(kin: Kin) -> FamilyPrior:
    """Pooled profile of each family over the nodes, as if half a failure more had been seen."""

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(kin.family, weights=values, minlength=kin.families), dtype=float)

    k = total(kin.k)[:, None]
    fixed = kin.fixed + kin.k[:, None] * kin.log_s
    log_rate = np.log(k + 0.5) - np.log(np.column_stack([total(np.exp(column)) for column in kin.log_s.T]))
    profile = np.column_stack([total(column) for column in fixed.T]) + k * log_rate
    profile -= 0.5 * ((LOG_SHAPES - SHAPE_CENTRE) / SHAPE_SD) ** 2
    best = profile.argmax(axis=1)
    level = -log_rate[np.arange(kin.families), best] / SHAPES[best]

    def flat(value: float) -> FloatArray:
        return np.full(kin.families, value)

    return FamilyPrior(level, flat(SPREAD_CENTRE), LOG_SHAPES[best].copy(), flat(SHAPE_SPREAD_CENTRE))


def _chunks(kin: Kin) -> list[slice]:
    return [slice(low, low + CHUNK_KEYS) for low in range(0, len(kin.k), CHUNK_KEYS)]


_TRIGAMMA_GRID = np.exp(np.linspace(np.log(1e-6), np.log(1e8), 4000))
_TRIGAMMA_LOG = np.log(polygamma(1, _TRIGAMMA_GRID))


def _inverse_trigamma(value: FloatArray) -> FloatArray:
    """Argument whose trigamma is `value`, by a log-log table (relative error below 1e-5)."""
    return np.exp(np.interp(np.log(value), _TRIGAMMA_LOG[::-1], np.log(_TRIGAMMA_GRID)[::-1]))
