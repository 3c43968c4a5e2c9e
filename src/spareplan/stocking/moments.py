"""Evaluation by moments: two of the pieces on order at every site, or METRIC, which takes all as Poisson.

The road for demand that varies more than Poisson and for sites below headquarters that order in lots; there
simulation is the judge. The pieces a parent owes are those ordered since the moment up to which it has
served: at that moment the position of every site in lots is uniform again, so that its own pieces on order
are all that was asked of it since, one by one. Lots therefore add variance where they arrive, and what they
add to the parent's backorders is taken off again before these are split.

References
----------
.. [1] Sherbrooke (1968), METRIC: a multi-echelon technique for recoverable item control.
.. [2] Graves (1985), A multi-echelon inventory model for a repairable item with one-for-one replenishment.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.maths import distributions
from spareplan.stocking._forest import Forest
from spareplan.stocking.laws import Service, positions, station_moments
from spareplan.stocking.lots import lot_noise

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def metric_service(forest: Forest) -> Service:
    """Backorders with every count on order taken as Poisson [1]_; kept for comparison only.

    Parameters
    ----------
    forest : Forest

    Returns
    -------
    Service
    """
    out = Service(*(np.zeros(len(forest)) for _ in Service._fields))
    local = forest.pipeline
    for depth in range(int(forest.depth.max(initial=-1)) + 1):
        rows = forest.rows_at(depth)
        parent = np.maximum(forest.parent[rows], 0)
        mean = local[rows] + np.where(depth > 0, forest.share[rows] * out.ebo[parent], 0.0)
        out.pipeline[rows] = mean
        for stock, part, weight in positions(forest.least[rows], forest.most[rows]):
            at = rows[part]
            out.ebo[at] += weight * distributions.loss(stock, mean[part])
            out.fill_rate[at] += weight * distributions.cdf(stock - 1, mean[part])
            out.ready_rate[at] += weight * distributions.cdf(stock, mean[part])
    return out


class Moments(NamedTuple):
    """Two moments per row of a forest (arrays, shape (n,)).

    Parameters
    ----------
    mean, variance : ndarray
        Pieces on order. [pieces, pieces²]
    backlog, backlog_variance : ndarray
        Backorders; the variance without what lots of the sites below add. [pieces, pieces²]
    backlog_tie : ndarray
        Covariance of the backorders and the part's common rate, relative to its mean. [pieces]
    seen : ndarray
        Mean pieces on order that an arriving piece finds. [pieces]
    """

    mean: FloatArray
    variance: FloatArray
    backlog: FloatArray
    backlog_variance: FloatArray
    backlog_tie: FloatArray
    seen: FloatArray


def forest_moments(forest: Forest) -> Moments:
    """Two moments of orders and backorders down the forest, overdispersion included.

    Parameters
    ----------
    forest : Forest

    Returns
    -------
    Moments

    Notes
    -----
    A rate that is unknown but common to all sites ties a site's own pipeline to its parent's backlog: with G
    the relative rate, Cov(G, B) = Cov(G, N)/Var(N) E[B (N - E N)], exact at HQ for Poisson demand given a
    gamma rate. Arriving pieces find more on order than the mean, because high rates bring more of them and
    because they come together with others: the counts they find keep the ratio of variance to mean.
    Lots count over the time in which a site's orders come in, the mean wait at the parent included.
    """
    out = Moments(*(np.zeros(len(forest)) for _ in Moments._fields))
    local, direct = forest.pipeline, forest.pipeline_variance
    own_tie, ahead, lump = forest.rate_tie, forest.seen_ahead.copy(), forest.parent_lump
    lots = forest.in_lots
    for depth in range(int(forest.depth.max(initial=-1)) + 1):
        rows = forest.rows_at(depth)
        parent = np.maximum(forest.parent[rows], 0)
        share = np.where(depth > 0, forest.share[rows], 0.0)
        in_lots = np.flatnonzero(lots[rows])
        mean, variance = station_moments(
            local[rows], direct[rows], share, out.backlog[parent], out.backlog_variance[parent], lump[rows],
            local[rows] * share * out.backlog_tie[parent],
        )  # fmt: skip
        if len(in_lots):
            mixed = rows[in_lots]
            with np.errstate(invalid="ignore", divide="ignore"):
                days = np.where(forest.demand[mixed] > 0, mean[in_lots] / forest.demand[mixed], 0.0)
            noise = lot_noise(forest, mixed, days)
            variance[in_lots] += noise.variance
            ahead[mixed] += noise.ahead
        out.mean[rows], out.variance[rows] = mean, variance
        tied = own_tie[rows] + share * out.backlog_tie[parent]
        out.seen[rows] = mean + ahead[rows] + share * out.backlog_tie[parent]
        second, crossed = np.zeros(len(rows)), np.zeros(len(rows))
        for stock, part, weight in positions(forest.least[rows], forest.most[rows]):
            e, v = distributions.backlog(stock, mean[part], variance[part])
            out.backlog[rows[part]] += weight * e
            second[part] += weight * (v + e**2)
            crossed[part] += weight * (v + e**2 + (stock - mean[part]) * e)
        spread = np.maximum(second - out.backlog[rows] ** 2, 0.0)
        if len(in_lots):
            spread[in_lots] = _without_lots(forest, rows[in_lots], out, spread[in_lots])
        out.backlog_variance[rows] = spread
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = np.where(tied > 0, tied / variance, 0.0)
        out.backlog_tie[rows] = slope * crossed
    return out


def two_moment_service(forest: Forest) -> Service:
    """Backorders with pieces on order as a negative binomial of their mean and variance [2]_.

    Parameters
    ----------
    forest : Forest

    Returns
    -------
    Service
    """
    moments = forest_moments(forest)
    fill, ready = np.zeros(len(forest)), np.zeros(len(forest))
    for stock, part, weight in positions(forest.least, forest.most):
        seen = moments.seen[part]
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(moments.mean[part] > 0, moments.variance[part] / moments.mean[part], 1.0)
        fill[part] += weight * distributions.cdf(stock - 1, seen, seen * ratio)
        ready[part] += weight * distributions.cdf(stock, moments.mean[part], moments.variance[part])
    return Service(moments.backlog, moments.mean, fill, ready)


def _without_lots(forest: Forest, rows: IntArray, moments: Moments, spread: FloatArray) -> FloatArray:
    """Variance of the backorders if the sites below had ordered one by one in the time they stand for."""
    short = np.zeros(len(rows))
    for stock, part, weight in positions(forest.least[rows], forest.most[rows]):
        at = rows[part]
        short[part] += weight * (1 - distributions.cdf(stock, moments.mean[at], moments.variance[at]))
    backlog = moments.backlog[rows]
    with np.errstate(invalid="ignore", divide="ignore"):
        days = np.where(short > 1e-12, backlog / (forest.demand[rows] * short), 0.0)
    noise = short * lot_noise(forest, rows, days).variance
    return np.maximum(spread - noise, np.minimum(spread, backlog))
