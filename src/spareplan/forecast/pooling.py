"""Slow movers borrow from kin: empirical-Bayes compound demand, pooled over the series of a panel.

In each period a series has a demand with probability p, of a size with mean z. Both are shrunk towards the
panel: p by a beta prior, z by pseudo-demands of the panel's typical size, both fitted by moments. Older
periods count less, so that series that age out are forgotten.

References
----------
.. [1] Snyder, Ord & Beaumont (2012), Forecasting the intermittent demand for slow-moving inventories,
   International Journal of Forecasting 28, 485-496.
.. [2] Kleinman (1973), Proportions with extraneous variance, Journal of the American Statistical Association
   68, 46-54 (moments of the beta-binomial).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
Periods = FloatArray | NDArray[np.int64] | int
# Weight of the panel in the variation of sizes. [demands]
CV2_PSEUDO_DEMANDS = 3.0
LEAST_SIZE_STRENGTH, MOST_SIZE_STRENGTH = 0.1, 10.0
MOST_CHANCE = 0.999
# A panel of one series says nothing about how series differ: some spread is assumed until it says more.
PRIOR_SPREAD = 1 / 3
PRIOR_SERIES = 3.0


class CompoundRates(NamedTuple):
    """Occurrence and size of demand per series, with the uncertainty of both.

    Parameters
    ----------
    chance, chance_variance : ndarray, shape (n,)
        Probability of demand in one period, and the variance of what is known of it.
    size, size_variance : ndarray, shape (n,)
        Mean size of a demand, and the variance of what is known of it. [pieces, pieces²]
    size_cv2 : ndarray, shape (n,)
        Squared variation of single sizes around their mean.
    """

    chance: FloatArray
    chance_variance: FloatArray
    size: FloatArray
    size_variance: FloatArray
    size_cv2: FloatArray


def pool_rates(
    demand: FloatArray,
    discount: float = 0.95,
    exposure: FloatArray | None = None,
    ahead: FloatArray | None = None,
) -> CompoundRates:
    """Fit occurrence and size of demand, each series shrunk towards the panel.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Oldest period first; NaN where unknown or not started. [pieces]
    discount : float
        Weight of a period relative to the next one, above 0 up to 1.
    exposure : ndarray, shape (n, c), optional
        What wears the part, e.g. machines in service. Periods then count in periods at the exposure ahead,
        and the chance is the one there.
    ahead : ndarray, shape (n,), optional
        Exposure in the periods ahead; None: as in the last one.

    Returns
    -------
    CompoundRates

    Notes
    -----
    With discounted numbers of periods N and of demands K: p = (ab mu + K) / (ab + N), mu the chance over the
    panel and ab from the variance between series, whose sampling part mu (1 - mu) sum w² / N² is taken off.
    """
    periods = demand.shape[1]
    weight = discount ** np.arange(periods - 1, -1, -1.0)
    known = np.isfinite(demand)
    pieces = np.where(known, demand, 0.0)
    some = pieces > 0
    time = known.astype(float)
    if exposure is not None and periods:
        time = time * exposure / (exposure[:, -1] if ahead is None else ahead)[:, None]
    seen, demands, total = time @ weight, some @ weight, pieces @ weight
    squared = time**2 @ weight**2
    mu = (demands.sum() + 0.5) / (seen.sum() + 1.0)
    strength = _beta_strength(demands, seen, squared, mu)
    expected = (strength * mu + demands) / (strength + seen)
    chance = np.minimum(expected, MOST_CHANCE)
    chance_variance = chance * (1 - chance) / (strength + seen + 1)
    log_sizes = np.log(pieces, where=some, out=np.zeros_like(pieces))
    count = some.sum()
    typical = float(np.exp(log_sizes.sum() / count)) if count else 1.0
    plain_count = some.sum(axis=1)
    ballast = _size_strength(log_sizes, some, plain_count)
    size = (ballast * typical + total) / (ballast + demands)
    # More than one demand in a period, as after a growth of the exposure, makes it larger instead.
    size = size * expected / chance
    plain_size = pieces.sum(axis=1) / np.maximum(plain_count, 1)
    off = np.where(some, (pieces - plain_size[:, None]) ** 2, 0.0).sum(axis=1)
    cv2_weight = np.maximum(plain_count - 1.0, 0.0)
    own_cv2 = off / np.maximum(cv2_weight, 1.0) / np.where(plain_count > 0, plain_size, 1.0) ** 2
    panel_cv2 = (0.5 + (own_cv2 * cv2_weight).sum()) / (1.0 + cv2_weight.sum()) if count else 0.0
    size_cv2 = (CV2_PSEUDO_DEMANDS * panel_cv2 + cv2_weight * own_cv2) / (CV2_PSEUDO_DEMANDS + cv2_weight)
    size_variance = size**2 * size_cv2 / (ballast + demands)
    return CompoundRates(chance, chance_variance, size, size_variance, size_cv2)


def sum_moments(rates: CompoundRates, periods: Periods) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the demand over the next periods.

    Parameters
    ----------
    rates : CompoundRates
    periods : int or ndarray, shape (n,)

    Returns
    -------
    mean, variance : ndarray, shape (n,)
        [pieces, pieces²]

    Notes
    -----
    L independent periods given the rates, and rates that all periods share, both unsure and independent:
    L (p E[z²] (1 + cv2) - E[p²] E[z²]) + L² (E[p²] E[z²] - p² z²), with E[p²] = p² + var p and so for z.
    """
    p, z = rates.chance, rates.size
    mean = periods * p * z
    chance2, size2 = p**2 + rates.chance_variance, z**2 + rates.size_variance
    within = np.maximum(p * size2 * (1 + rates.size_cv2) - chance2 * size2, 0.0)
    shared = chance2 * size2 - (p * z) ** 2
    return mean, periods * within + np.square(periods) * shared


def no_demand_chance(rates: CompoundRates, periods: Periods) -> FloatArray:
    """Probability that nothing is demanded over the next periods.

    Parameters
    ----------
    rates : CompoundRates
    periods : int or ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        E[(1 - p)^L] under the beta law of p.
    """
    spread = np.maximum(
        rates.chance * (1 - rates.chance) / np.maximum(rates.chance_variance, 1e-300), 1.0 + 1e-9
    )
    strength = spread - 1
    misses = strength * (1 - rates.chance)
    log = (
        special.gammaln(misses + periods)
        - special.gammaln(misses)
        + special.gammaln(strength)
        - special.gammaln(strength + periods)
    )
    return np.exp(np.minimum(log, 0.0))


def sum_quantiles(rates: CompoundRates, periods: Periods, levels: FloatArray) -> FloatArray:
    """Quantiles of the demand over the next periods.

    Parameters
    ----------
    rates : CompoundRates
    periods : int or ndarray, shape (n,)
    levels : ndarray, shape (k,)
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (n, k)
        Not rounded. [pieces]

    Notes
    -----
    Nothing is demanded with its own chance; what is demanded follows a gamma law with the moments of the sum.
    """
    mean, variance = sum_moments(rates, periods)
    none = no_demand_chance(rates, periods)
    some = np.maximum(1 - none, 1e-12)
    given_mean = mean / some
    given_variance = np.maximum(variance / some + mean**2 / some - given_mean**2, 1e-12 * given_mean**2)
    shape = np.where(mean > 0, given_mean**2 / np.maximum(given_variance, 1e-300), 1.0)
    inside = np.clip((levels - none[:, None]) / some[:, None], 0.0, 1.0)
    scale = np.where(mean > 0, given_mean / shape, 0.0)
    return np.asarray(special.gammaincinv(shape[:, None], inside) * scale[:, None], dtype=float)


def _size_strength(log_sizes: FloatArray, some: NDArray[np.bool_], count: NDArray[np.int64]) -> float:
    """Number of typical demands given to every series: variance of log sizes within over between them."""
    has = count > 0
    demands, series = float(count.sum()), float(has.sum())
    if demands < 2:
        return 1.0
    means = log_sizes[has].sum(axis=1) / count[has]
    grand = (count[has] * means).sum() / demands
    within = float((np.where(some[has], log_sizes[has] - means[:, None], 0.0) ** 2).sum())
    spread = float((count[has] * (means - grand) ** 2).sum())
    # Until the panel says more, as much variance lies within series as between them.
    doubt = (within + spread) / demands / 2 * PRIOR_SERIES
    if doubt <= 0:
        return 1.0
    inside = (within + doubt) / (demands - series + PRIOR_SERIES)
    effective = demands - float((count[has].astype(float) ** 2).sum()) / demands
    between = (max(spread - (series - 1) * inside, 0.0) + doubt) / (effective + PRIOR_SERIES)
    return float(np.clip(inside / between, LEAST_SIZE_STRENGTH, MOST_SIZE_STRENGTH))


def _beta_strength(demands: FloatArray, seen: FloatArray, squared: FloatArray, mu: float) -> float:
    """Prior number of periods a + b of the beta law of the chance of demand."""
    has = seen > 0
    share = demands[has] / seen[has]
    noise = squared[has] / seen[has] ** 2
    binomial = mu * (1 - mu)
    # A series of one period has noise 1 and says nothing; long ones count nearly fully.
    information = float((1 - noise).sum())
    between = float(((share - mu) ** 2 - binomial * noise).sum())
    between = (max(between, 0.0) + PRIOR_SERIES * PRIOR_SPREAD * binomial) / (information + PRIOR_SERIES)
    return float(np.clip(binomial / max(between, 1e-12) - 1.0, 0.1, 1e4))
