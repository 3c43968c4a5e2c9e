"""Weibull lives of machines, product by product, from few retirements: a grid of shapes, conjugate at each.

Machines wear out and are sold on or scrapped: shapes lie around 3, where spare parts lie around 1.5. Given
the shape beta, lambda = eta^-beta has a gamma posterior, truncation and censoring included; what the products
have in common is a normal law of ln eta, whose mean and spread are found by their evidence.

References
----------
.. [1] Soland (1969), IEEE Trans. Reliability 18(4): discrete shapes and conjugate gamma for the Weibull.
.. [2] Carlin & Louis (2000), Bayes and Empirical Bayes Methods for Data Analysis, ch. 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gamma, gammaincinv, gammaln, polygamma

FloatArray = NDArray[np.float64]
LOG_SHAPES = np.linspace(np.log(0.9), np.log(9.0), 27)
SHAPES = np.exp(LOG_SHAPES)
# What machines are like before any is seen: ln beta, ln mean life about the assumed one, and how far the
# lives of products differ (with the weight of each).
SHAPE_CENTRE, SHAPE_SD = np.log(3.0), 0.4
LIFE_SD = 0.5
SPREADS = np.array([0.05, 0.15, 0.3, 0.5, 0.8])
SPREAD_WEIGHTS = np.array([0.1, 0.25, 0.3, 0.25, 0.1])
LEVELS = np.linspace(-2.5, 2.5, 51)
# Laws that stand for the doubt about each product's life, and the points of the posterior they come from.
LAWS = 9
POINTS = 15


class LifeSums(NamedTuple):
    """What the likelihood of each product needs.

    Parameters
    ----------
    k, log_sum : ndarray, shape (products,)
        Retirements, and the sum of ln age over them. [-, ln days]
    sums : ndarray, shape (products, nodes)
        S = sum(exit^beta - entry^beta) at every shape, ages in units of `unit`.
    unit : float
        [days]
    """

    k: FloatArray
    log_sum: FloatArray
    sums: FloatArray
    unit: float

    @classmethod
    def of(
        cls,
        product: NDArray[np.intp],
        entry: FloatArray,
        exit: FloatArray,
        failed: FloatArray,
        count: FloatArray,
        products: int,
    ) -> LifeSums:
        """Sum up watched machines, a row of ages each (or `count` of them)."""
        unit = float(exit.mean()) if len(exit) else 1.0

        def total(values: FloatArray) -> FloatArray:
            return np.asarray(np.bincount(product, values, products), dtype=np.float64)

        start, end = entry / unit, exit / unit
        k, log_sum = total(count * failed), total(count * failed * np.log(end))
        sums = np.column_stack([total(count * (end**shape - start**shape)) for shape in SHAPES])
        return cls(k, log_sum, sums, unit)


class LifePosterior(NamedTuple):
    """Weight of each shape, and the gamma law of lambda given it: shape and rate [unit^beta], per product."""

    weight: FloatArray
    failures: FloatArray
    exposure: FloatArray
    unit: float


def posterior_lives(sums: LifeSums, life: float) -> LifePosterior:
    """Posterior of the life of every product, borrowing strength between them.

    Parameters
    ----------
    sums : LifeSums
    life : float
        Mean life that is assumed before any is seen. [days]

    Returns
    -------
    LifePosterior
        Arrays of shape (products, nodes).

    Notes
    -----
    ln eta of the products is normal about a common mean; the evidence of all products is taken on a grid of
    that mean and of the spread between products, and each product gets the prior that their posterior means
    give it.
    """
    assumed = np.log(life / gamma(1 + np.exp(-SHAPE_CENTRE)) / sums.unit)
    levels = assumed + LEVELS
    log_chance = np.log(SPREAD_WEIGHTS)[:, None] - 0.5 * (LEVELS / LIFE_SD) ** 2
    for at, spread in enumerate(SPREADS):
        log_m = _node_terms(sums, levels[:, None, None], spread)[0]
        log_chance[at] += np.logaddexp.reduce(log_m, axis=2).sum(axis=1)
    chance = np.exp(log_chance - log_chance.max())
    chance /= chance.sum()
    level = float((chance.sum(axis=0) * levels).sum())
    doubt = float((chance.sum(axis=0) * (levels - level) ** 2).sum())
    spread2 = float((chance.sum(axis=1) * SPREADS**2).sum())
    log_m, a, rate = _node_terms(sums, level, np.sqrt(spread2 + doubt))
    weight = np.exp(log_m - log_m.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    return LifePosterior(weight, a + sums.k[:, None], rate + sums.sums, sums.unit)


def laws_of(posterior: LifePosterior) -> tuple[FloatArray, FloatArray]:
    """Equally likely laws that stand for the posterior of each product.

    Parameters
    ----------
    posterior : LifePosterior

    Returns
    -------
    shape, scale : ndarray, shape (products, LAWS)
        From the shortest mean life to the longest. [-, days]

    Notes
    -----
    Points of the posterior, sorted by mean life, are cut into groups of equal weight; a law is the mean of
    its group in ln beta and ln eta.
    """
    level = (np.arange(POINTS) + 0.5) / POINTS
    rate = gammaincinv(posterior.failures[..., None], level) / posterior.exposure[..., None]
    log_scale = np.log(posterior.unit) - np.log(np.maximum(rate, 1e-300)) / SHAPES[:, None]
    log_shape = np.broadcast_to(LOG_SHAPES[:, None], log_scale.shape[1:])
    log_life = log_scale + gammaln(1 + np.exp(-log_shape))
    products = len(log_scale)
    order = np.argsort(log_life.reshape(products, -1), axis=1, kind="stable")
    weight = np.repeat(posterior.weight[..., None] / POINTS, POINTS, axis=2).reshape(products, -1)
    weight = np.take_along_axis(weight, order, axis=1)
    until = np.cumsum(weight, axis=1)
    edges = np.arange(LAWS + 1) / LAWS
    out = []
    for values in (np.broadcast_to(log_shape, log_scale.shape), log_scale):
        ordered = np.take_along_axis(values.reshape(products, -1), order, axis=1)
        running = np.concatenate([np.zeros((products, 1)), np.cumsum(ordered * weight, axis=1)], axis=1)
        place = np.concatenate([np.zeros((products, 1)), until / until[:, -1:]], axis=1)
        cut = np.stack([np.interp(edges, where, sums) for where, sums in zip(place, running)])
        out.append(np.exp(np.diff(cut, axis=1) * LAWS))
    return out[0], out[1]


def _node_terms(
    sums: LifeSums, level: FloatArray | float, spread: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log of weight times evidence per product and node, prior gamma shape and rate per node."""
    a = _inverse_trigamma((SHAPES * spread) ** 2)
    log_r = digamma(a) + SHAPES * level
    weight = -0.5 * ((LOG_SHAPES - SHAPE_CENTRE) / SHAPE_SD) ** 2
    weight -= np.logaddexp.reduce(weight)
    k = sums.k[:, None]
    own = weight + k * LOG_SHAPES + (SHAPES - 1) * sums.log_sum[:, None] + gammaln(a + k) - gammaln(a)
    log_s = np.log(np.maximum(sums.sums, 1e-300))
    return own + a * log_r - (a + k) * np.logaddexp(log_r, log_s), a, np.exp(log_r)


_GRID = np.exp(np.linspace(np.log(1e-4), np.log(1e6), 2000))
_LOG_TRIGAMMA = np.log(polygamma(1, _GRID))


def _inverse_trigamma(value: FloatArray) -> FloatArray:
    """Argument whose trigamma is `value`, by a log-log table."""
    return np.exp(np.interp(np.log(value), _LOG_TRIGAMMA[::-1], np.log(_GRID)[::-1]))
