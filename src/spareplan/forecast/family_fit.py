"""Find what the parts of each family have in common, and how families differ: empirical Bayes in passes.

References
----------
.. [1] Morris (1983), Parametric empirical Bayes inference. JASA 78, 47-55.
.. [2] Carlin & Louis (2000), Bayes and Empirical Bayes Methods for Data Analysis, ch. 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spareplan.forecast.family_law import (
    LOG_SHAPES,
    MIXTURE,
    ONE_POINT,
    SHAPES,
    Experts,
    FamilyPrior,
    Kin,
    Points,
    RateLaws,
    family_evidence,
    node_evidence,
    rate_laws,
)
from spareplan.forecast.likelihood import FloatArray

# What spare parts are like before any is seen: mean and spread over families of ln spread of ln eta in a
# family, of ln beta, and of its ln spread; the level has no mean of its own. Then the log of how far
# families differ in each, and its doubt.
LEVEL_SD = 2.0
CENTRES = (0.0, float(np.log(0.6)), float(np.log(1.5)), float(np.log(0.25)))
CENTRE_SDS = (LEVEL_SD, 0.4, 0.5, 0.35)
BETWEEN = tuple((float(np.log(spread)), 0.5) for spread in (0.6, 0.2, 0.2, 0.15))
# Newton steps of the first pass, and of those that follow once it is known how families differ.
ROUNDS, MORE_ROUNDS = 3, (2, 2)
# Step of differences, the longest move of each hyperparameter, and the least curvature a Newton step trusts.
DIFFERENCE = 0.05
LONGEST_STEP = np.array([1.0, 0.5, 0.5, 0.5])
LEAST_BEND = 0.1
# Engineers' expected lives: factor of bias (log) and spread (log) that are tried, with their prior.
BIASES = np.linspace(-0.6, 0.6, 7)
BIAS_SD = 0.4
EXPERT_SPREADS = np.array([0.2, 0.35, 0.6, 1.0])


class Hyperprior(NamedTuple):
    """Mean and spread, over families, of each entry of FamilyPrior."""

    centre: tuple[float, ...]
    sd: tuple[float, ...]


def fit_families(kin: Kin) -> tuple[FamilyPrior, Experts]:
    """Find the law of every family by its evidence, in three passes.

    Parameters
    ----------
    kin : Kin

    Returns
    -------
    tuple of FamilyPrior and Experts

    Notes
    -----
    Hyperparameters of all families rise together, by Newton steps on their evidence. Then all
    families say how families differ, and are fitted again under that law; the uncertainty of a family's level
    is added to its spread.
    """
    start = _start(kin)
    middle = float(np.median(start.level)) if kin.families else 0.0
    known = bool(kin.known.any())
    first = Hyperprior((middle, *CENTRES[1:]), CENTRE_SDS)
    over = first
    experts = _ask_experts(kin, start, BIASES, EXPERT_SPREADS) if known else Experts(np.nan, np.nan)
    fitted = _climb(kin, start, over, experts, ROUNDS, ONE_POINT)
    points = ONE_POINT
    for rounds in MORE_ROUNDS:
        if known:
            near = experts.bias + np.array([-0.1, 0.0, 0.1])
            experts = _ask_experts(kin, fitted, near, experts.spread * np.array([0.8, 1.0, 1.25]))
        if kin.families > 1:
            over = _between_families(kin, fitted, first, over, experts, points)
        points = MIXTURE
        fitted = _climb(kin, fitted, over, experts, rounds, points)
    sharp = _precision(kin, fitted, over, experts, points)[0]
    doubt = 1 / np.maximum(sharp, over.sd[0] ** -2.0)
    return fitted._replace(log_spread=0.5 * np.log(np.exp(2 * fitted.log_spread) + doubt)), experts


def _precision(
    kin: Kin, at: FamilyPrior, over: Hyperprior, experts: Experts, points: Points, axes: int = 1
) -> FloatArray:
    """Curvature of each family's objective along the first coordinates, its sign turned; (axes, families)."""
    step = 0.2
    rates = rate_laws(kin, at.log_spread, experts, points)
    nodes = node_evidence(kin, at, experts, rates)
    middle = _objective(kin, at, over, experts, points, nodes=nodes)
    out = np.empty((axes, kin.families))
    for axis in range(axes):
        handed = (rates, None) if axis == 0 else (None, None) if axis == 1 else (rates, nodes)
        sides = [
            _objective(kin, _moved(at, axis, move), over, experts, points, *handed) for move in (-step, step)
        ]
        out[axis] = (2 * middle - sides[0] - sides[1]) / step**2
    return out


def _moved(prior: FamilyPrior, axis: int, move: FloatArray | float) -> FamilyPrior:
    return FamilyPrior._make(value + move if number == axis else value for number, value in enumerate(prior))


def _between_families(
    kin: Kin, fitted: FamilyPrior, first: Hyperprior, over: Hyperprior, experts: Experts, points: Points
) -> Hyperprior:
    """Learn how families differ from all of them, each weighing as much as its own data say.

    Families that failed often are those of short lives: to listen to them alone would be to select.
    """
    sharp = _precision(kin, fitted, over, experts, points, axes=4)
    laws = [
        _normal_law(
            fitted[axis],
            sharp[axis],
            over.centre[axis],
            over.sd[axis],
            BETWEEN[axis],
            (first.centre[axis], first.sd[axis]),
        )
        for axis in range(4)
    ]
    return Hyperprior(tuple(law[0] for law in laws), tuple(law[1] for law in laws))


def _normal_law(
    mode: FloatArray,
    sharp: FloatArray,
    centre: float,
    sd: float,
    spread_prior: tuple[float, float],
    centre_prior: tuple[float, float],
) -> tuple[float, float]:
    """Mean and spread behind values known by modes and precisions that hold the prior N(centre, sd²)."""
    own = np.maximum(sharp - sd**-2.0, 1e-6)
    # What the data alone say: the prior is taken out of the mode.
    said = np.clip(mode + (mode - centre) / (sd**2 * own), mode - 3 * sd, mode + 3 * sd)
    spreads = np.exp(np.linspace(np.log(0.05), np.log(3.0), 80))[:, None]
    weight = 1 / (spreads**2 + 1 / own)
    about = centre_prior[1] ** -2.0
    total = weight.sum(axis=1) + about
    mean = ((weight * said).sum(axis=1) + about * centre_prior[0]) / total
    value = 0.5 * (np.log(weight) - weight * (said - mean[:, None]) ** 2).sum(axis=1) - 0.5 * np.log(total)
    value -= 0.5 * ((np.log(spreads[:, 0]) - spread_prior[0]) / spread_prior[1]) ** 2
    best = int(value.argmax())
    return float(mean[best]), float(spreads[best, 0])


def _objective(
    kin: Kin,
    prior: FamilyPrior,
    over: Hyperprior,
    experts: Experts,
    points: Points,
    rates: RateLaws | None = None,
    nodes: tuple[FloatArray, FloatArray] | None = None,
) -> FloatArray:
    """Evidence plus log prior of the hyperparameters, per family; what is known of it may be handed in."""
    if nodes is None:
        rates = rate_laws(kin, prior.log_spread, experts, points) if rates is None else rates
        nodes = node_evidence(kin, prior, experts, rates)
    value = family_evidence(kin, prior, *nodes)
    for own, centre, sd in zip(prior, *over):
        value = value - 0.5 * ((own - centre) / sd) ** 2
    return value


def _climb(
    kin: Kin, start: FamilyPrior, over: Hyperprior, experts: Experts, rounds: int, points: Points
) -> FamilyPrior:
    """Maximise the objective by Newton steps within a radius, all families at once.

    Level and spread rise together along a ridge where few parts failed: steps along one coordinate at a time
    would stay far from the top.
    """
    here = start
    radius = np.ones(kin.families)
    for _ in range(rounds):
        value, gradient, hessian = _expand(kin, here, over, experts, points)
        bend, axes = np.linalg.eigh(hessian)
        along = np.einsum("fij,fi->fj", axes, gradient) / np.maximum(np.abs(bend), LEAST_BEND)
        step = np.einsum("fij,fj->fi", axes, along)
        length = np.abs(step / LONGEST_STEP).max(axis=1)
        step *= np.minimum(1.0, radius / np.maximum(length, 1e-12))[:, None]
        shares = np.array([1.0, 0.4, 0.0])
        tried = [
            _objective(kin, _shifted(here, share * step), over, experts, points) for share in shares[:-1]
        ]
        values = np.array([*tried, value])
        best = np.where(np.isfinite(values), values, -np.inf).argmax(axis=0)
        here = _shifted(here, shares[best][:, None] * step)
        radius = np.where(best == 0, np.minimum(2 * radius, 1.0), np.where(best == 1, 0.5, 0.2) * radius)
    return here


def _shifted(prior: FamilyPrior, step: FloatArray) -> FamilyPrior:
    return FamilyPrior._make(value + step[:, axis] for axis, value in enumerate(prior))


def _expand(
    kin: Kin, at: FamilyPrior, over: Hyperprior, experts: Experts, points: Points
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Objective per family, its gradient and Hessian, by differences.

    The law of the shape only weighs the nodes: one evidence of the nodes serves all its moves.
    """
    h = DIFFERENCE
    unit = h * np.eye(4)

    def nodes_at(prior: FamilyPrior) -> tuple[FloatArray, FloatArray]:
        return node_evidence(kin, prior, experts, rate_laws(kin, prior.log_spread, experts, points))

    def moved(move: FloatArray) -> FamilyPrior:
        return _shifted(at, np.broadcast_to(move, (kin.families, 4)))

    def value(move: FloatArray, nodes: tuple[FloatArray, FloatArray]) -> FloatArray:
        return _objective(kin, moved(move), over, experts, points, nodes=nodes)

    nodes: dict[tuple[int, ...], tuple[FloatArray, FloatArray]] = {(): nodes_at(at)}
    nodes |= {(axis,): nodes_at(moved(unit[axis])) for axis in (0, 1)}
    nodes[(0, 1)] = nodes_at(moved(unit[0] + unit[1]))
    middle = value(0 * unit[0], nodes[()])
    high = [value(unit[axis], nodes.get((axis,), nodes[()])) for axis in range(4)]
    low = [value(-unit[axis], nodes_at(moved(-unit[axis])) if axis < 2 else nodes[()]) for axis in range(4)]
    gradient = np.column_stack([(up - down) / (2 * h) for up, down in zip(high, low)])
    hessian = np.empty((kin.families, 4, 4))
    for one in range(4):
        hessian[:, one, one] = (high[one] - 2 * middle + low[one]) / h**2
        for other in range(one):
            both = value(unit[one] + unit[other], nodes[tuple(axis for axis in (other, one) if axis < 2)])
            mixed = (both - high[one] - high[other] + middle) / h**2
            hessian[:, one, other] = hessian[:, other, one] = mixed
    return middle, gradient, hessian


def _ask_experts(kin: Kin, prior: FamilyPrior, biases: FloatArray, spreads: FloatArray) -> Experts:
    """Bias and spread of the engineers' lives that the failures make most likely."""
    best = (-np.inf, 0.0, 0.35)
    for spread in spreads:
        rates = rate_laws(kin, prior.log_spread, Experts(0.0, float(spread)), ONE_POINT)
        for bias in biases:
            nodes = node_evidence(kin, prior, Experts(float(bias), float(spread)), rates)
            value = family_evidence(kin, prior, *nodes).sum() - 0.5 * (bias / BIAS_SD) ** 2
            best = max(best, (float(value), float(bias), float(spread)))
    return Experts(best[1], best[2])


def _start(kin: Kin) -> FamilyPrior:
    """Pooled profile of each family over the nodes, as if half a failure in one unit more had been seen."""

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(kin.family, weights=values, minlength=kin.families), dtype=float)

    k = total(kin.k)[:, None]
    fixed = kin.fixed + kin.k[:, None] * kin.log_s
    log_rate = np.log(k + 0.5) - np.log1p(np.column_stack([total(np.exp(column)) for column in kin.log_s.T]))
    profile = np.column_stack([total(column) for column in fixed.T]) + k * log_rate
    profile -= 0.5 * ((LOG_SHAPES - CENTRES[2]) / CENTRE_SDS[2]) ** 2
    best = profile.argmax(axis=1)
    level = -log_rate[np.arange(kin.families), best] / SHAPES[best]

    def flat(value: float) -> FloatArray:
        return np.full(kin.families, value)

    return FamilyPrior(level, flat(CENTRES[1]), LOG_SHAPES[best].copy(), flat(CENTRES[3]))
