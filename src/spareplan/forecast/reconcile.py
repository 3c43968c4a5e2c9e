"""Sites add up to the part: shares borrowed from the machines, totals and sites brought into one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Pieces that the prior share of a site may be worth, from sites that differ freely to sites alike.
STRENGTHS = 2.0 ** np.arange(-1, 12)
# Part of every prior share that is even: a site without a machine has demand, too.
EVEN = 0.05
# Weights of the sites' own forecasts against the part's.
WEIGHTS = np.linspace(0.0, 1.0, 11)
# A surprise speaks against a weight, but one site is not to drown all others.
LEAST_CHANCE = 1e-6
LEAST_VMR = 0.1


def prior_shares(weight: FloatArray, part: IntArray) -> FloatArray:
    """Share of each site in its part, before any demand is seen.

    Parameters
    ----------
    weight : ndarray, shape (pairs,)
        Machines (or pieces) at the site; 0 where there are none.
    part : ndarray of int, shape (pairs,)
        Number of each pair's part.

    Returns
    -------
    ndarray, shape (pairs,)
        Adds up to 1 within each part, always above 0.
    """
    count = np.bincount(part)[part]
    total = np.bincount(part, weight)[part]
    share = np.divide(weight, total, out=1.0 / count, where=total > 0)
    return np.asarray((1 - EVEN) * share + EVEN / count)


def pieces_per_demand(odd: FloatArray, every: FloatArray, part: IntArray) -> float:
    """Variance over that of single pieces with which sites share their part's demand.

    Parameters
    ----------
    odd, every : ndarray, shape (pairs,)
        Pieces in every second month, and in all. [pieces]
    part : ndarray of int, shape (pairs,)

    Returns
    -------
    float
        At least 1: Pearson's chi-square over its degrees of freedom [1]_, of how odd and even months share
        the demand of each site against how they share that of the part. What moves the whole part cancels.

    References
    ----------
    .. [1] McCullagh & Nelder (1989), Generalized Linear Models, section 4.5.
    """
    whole, some = np.bincount(part, every), np.bincount(part, odd)
    share = np.divide(some, whole, out=np.full(len(whole), 0.5), where=whole > 0)
    spread = every * (share * (1 - share))[part]
    use = spread > 0
    off = np.where(use, (odd - every * share[part]) ** 2 / np.where(use, spread, 1.0), 0.0).sum()
    freedom = int(use.sum()) - len(np.unique(part[use]))
    return float(max(off / freedom, 1.0)) if freedom > 0 else 1.0


def share_strength(taken: FloatArray, prior: FloatArray, part: IntArray) -> float:
    """Pieces that the prior share is worth, under which the sites' pieces are most likely.

    Parameters
    ----------
    taken : ndarray, shape (pairs,)
        Pieces in units of one demand.
    prior : ndarray, shape (pairs,)
        As from `prior_shares`.
    part : ndarray of int, shape (pairs,)

    Returns
    -------
    float
        One of STRENGTHS, the mean under the likelihood of a Dirichlet-multinomial law [1]_ over all parts.

    References
    ----------
    .. [1] Mosimann (1962), On the compound multinomial distribution, Biometrika 49, 65-82.
    """
    whole = np.bincount(part, taken)
    seen = whole > 0
    own = seen[part]
    log = np.array(
        [
            (special.gammaln(taken + k * prior) - special.gammaln(k * prior))[own].sum()
            + (special.gammaln(k) - special.gammaln(whole[seen] + k)).sum()
            for k in STRENGTHS
        ]
    )
    chance = np.exp(log - log.max())
    return float(np.exp(np.log(STRENGTHS) @ (chance / chance.sum())))


def site_shares(taken: FloatArray, prior: FloatArray, part: IntArray, strength: float) -> FloatArray:
    """Share of each site in its part: its own record, with the credibility it has.

    Parameters
    ----------
    taken, prior : ndarray, shape (pairs,)
    part : ndarray of int, shape (pairs,)
    strength : float
        As from `share_strength`.

    Returns
    -------
    ndarray, shape (pairs,)
        (strength x prior + taken) / (strength + taken of the part): the mean of the Dirichlet law after the
        pieces were seen. Adds up to 1 within each part.
    """
    whole = np.bincount(part, taken)[part]
    return np.asarray((strength * prior + taken) / (strength + whole))


def reconciled(
    bottom: FloatArray, top: FloatArray, share: FloatArray, part: IntArray, weight: float
) -> FloatArray:
    """Means of the sites that add up to one mean of the part.

    Parameters
    ----------
    bottom, share : ndarray, shape (pairs,)
        Forecast of each site alone [pieces], and its share.
    top : ndarray, shape (parts,)
        Forecast of each part's total. [pieces]
    part : ndarray of int, shape (pairs,)
    weight : float
        Of the sites' own forecasts, 0 to 1.

    Returns
    -------
    ndarray, shape (pairs,)
        weight x bottom + (1 - weight) x top x share; never negative. [pieces]

    Notes
    -----
    A convex combination of two coherent forecasts, bottom-up and top-down, is coherent [1]_; it stays at or
    above zero, which the least-squares way [2]_ reaches by a constraint only.

    References
    ----------
    .. [1] Hollyman, Petropoulos & Tipping (2021), Understanding forecast reconciliation, European Journal of
       Operational Research 294, 149-160.
    .. [2] Wickramasuriya, Turlach & Hyndman (2020), Optimal non-negative forecast reconciliation, Statistics
       and Computing 30, 1167-1182.
    """
    return np.asarray(weight * bottom + (1 - weight) * top[part] * share)


def weight_evidence(
    actual: FloatArray,
    bottom: FloatArray,
    top: FloatArray,
    share: FloatArray,
    part: IntArray,
    site_spread: tuple[FloatArray, FloatArray],
    part_spread: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Log likelihood of each weight of the sites' own forecasts, by what came after past ones.

    Parameters
    ----------
    actual, bottom, share : ndarray, shape (pairs,)
        [pieces, pieces, -]
    top : ndarray, shape (parts,)
        [pieces]
    part : ndarray of int, shape (pairs,)
    site_spread, part_spread : tuple of ndarray
        vmr and cv2 of the sites' and the parts' own forecasts.

    Returns
    -------
    ndarray, shape (len(WEIGHTS),)
        Half of the evidence from sites, half from totals: both are to be right, and neither is independent of
        the other.
    """
    whole = np.bincount(part, actual, len(top)).astype(float)
    log = np.zeros(len(WEIGHTS))
    for number, weight in enumerate(WEIGHTS):
        mean = reconciled(bottom, top, share, part, float(weight))
        total = np.bincount(part, mean, len(top)).astype(float)
        log[number] = (
            _log_chances(actual, mean, *site_spread).sum() + _log_chances(whole, total, *part_spread).sum()
        ) / 2
    return log


def likeliest_weight(evidence: FloatArray) -> float:
    """Mean of WEIGHTS under their log likelihood; one half where nothing is known."""
    chance = np.exp(evidence - evidence.max())
    return float(WEIGHTS @ (chance / chance.sum()))


def _log_chances(count: FloatArray, mean: FloatArray, vmr: FloatArray, cv2: FloatArray) -> FloatArray:
    """Log probability of counts under a negative binomial law, or nearly a Poisson one."""
    mean = np.maximum(mean, 1e-6)
    over = np.maximum(vmr - 1 + cv2 * mean, 1e-6)
    size = mean / over
    log = (
        special.gammaln(size + count)
        - special.gammaln(size)
        - special.gammaln(count + 1)
        - size * np.log1p(over)
        + count * (np.log(over) - np.log1p(over))
    )
    return np.asarray(np.maximum(log, np.log(LEAST_CHANCE)))


def shared_spread(
    mean: FloatArray, variance: FloatArray, part: IntArray, total_variance: FloatArray, most: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Part each site's variance into chance of its own and doubt about the rate that all sites share.

    Parameters
    ----------
    mean, variance : ndarray, shape (pairs,)
        Of each site. [pieces, pieces²]
    part : ndarray of int, shape (pairs,)
    total_variance : ndarray, shape (parts,)
        Of the part. [pieces²]
    most : ndarray, shape (parts,)
        Doubt about the part's rate: no more of it can be shared.

    Returns
    -------
    vmr : ndarray, shape (pairs,)
    cv2 : ndarray, shape (parts,)
        variance = vmr x mean + cv2 x mean² at each site, and sum(vmr x mean) + cv2 x (sum mean)² =
        total_variance wherever that is possible with 0 <= cv2 <= most. Sites that differ by chance alone give
        0, sites that rise and fall together the whole doubt of the part.
    """
    size = len(total_variance)
    whole = np.bincount(part, mean, size)
    squares = np.bincount(part, mean**2, size)
    own = np.bincount(part, variance, size)
    apart = whole**2 - squares
    cv2 = np.divide(total_variance - own, apart, out=most.copy(), where=apart > 1e-9 * whole**2)
    cv2 = np.clip(cv2, 0.0, most)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = variance / mean
    ratio = np.where(mean > 0, ratio, 1.0)
    # What a site varies less than its share of the doubt would ask for, no site of the part can share.
    room = np.divide(ratio - LEAST_VMR, mean, out=np.full(len(mean), np.inf), where=mean > 0)
    least = np.full(size, np.inf)
    np.minimum.at(least, part, np.maximum(room, 0.0))
    cv2 = np.minimum(cv2, least)
    return np.asarray(np.maximum(ratio - cv2[part] * mean, LEAST_VMR)), cv2
