"""Maximum likelihood of lognormal lives for many parts at once (spells as in `likelihood`).

References
----------
.. [1] Meeker & Escobar (1998), Statistical Methods for Reliability Data, ch. 8.
"""

from __future__ import annotations

import numpy as np

from spareplan.forecast.likelihood import NEWTON_STEPS, FloatArray, LifeFit, Spells, powers_segment


def fit_lognormal(spells: Spells) -> LifeFit:
    """Lognormal lives by damped Newton in (mu, ln sigma), all keys at once.

    Parameters
    ----------
    spells : Spells

    Returns
    -------
    LifeFit
        mu, sigma of ln t per key. NaN where Newton finds no finite interior maximum.

    Notes
    -----
    With z = (ln t - mu) / sigma a failure adds -z²/2 - ln sigma, a censored spell ln Phi(-z), and a late
    entry takes ln Phi(-z_entry) away; first and second derivatives are exact, so the standard errors come
    from the observed information [1]_.
    """
    k = spells.sums(spells.count * spells.failed)
    keys = len(k)
    centre = _log_mean(spells, k)
    mu, log_sigma = np.zeros(keys), np.zeros(keys)
    damping = np.ones(keys)
    active = k > 0
    solved = np.zeros(keys, dtype=bool)
    value, gradient, hessian = _normal_terms(spells, centre, mu, log_sigma)
    for _ in range(4 * NEWTON_STEPS):
        if not active.any():
            break
        step = _damped_step(gradient, hessian, damping * np.maximum(k, 1e-12))
        size = np.abs(step).max(axis=0)
        step = step * np.minimum(1.0, 1.0 / np.maximum(size, 1e-300))
        new = np.where(active, mu + step[0], mu), np.where(active, log_sigma + step[1], log_sigma)
        tried = _normal_terms(spells, centre, *new)
        better = active & (tried[0] >= value - 1e-12 * np.abs(value))
        mu, log_sigma = np.where(better, new[0], mu), np.where(better, new[1], log_sigma)
        value = np.where(better, tried[0], value)
        gradient = np.where(better, tried[1], gradient)
        hessian = np.where(better, tried[2], hessian)
        damping = np.where(better, damping / 10, damping * 8)
        damping = np.where(damping < 1e-12, 0.0, np.minimum(damping, 1e12))
        damping = np.where(~better & (damping == 0), 1e-6, damping)
        solved |= better & (size < 1e-9)
        # Beyond these no data of ours has a maximum: sigma -> 0 (one age only) or -> infinity.
        active &= ~solved & (np.abs(log_sigma) < 12) & (np.abs(mu) < 1e4) & (damping < 1e11)
    sigma = np.exp(log_sigma)
    determinant = hessian[0] * hessian[2] - hessian[1] ** 2
    flat = (np.abs(gradient).max(axis=0) < 1e-5 * np.maximum(k, 1e-12)) & (np.abs(log_sigma) < 9)
    rows = (k > 0) & (hessian[0] < 0) & (determinant > 0) & flat
    with np.errstate(divide="ignore", invalid="ignore"):
        mu_se = np.sqrt(-hessian[2] / determinant)
        sigma_se = sigma * np.sqrt(-hessian[0] / determinant)
    loglik = value - spells.sums(spells.count * spells.failed * np.log(spells.exit))
    found = (np.where(rows, column, np.nan) for column in (mu + centre, sigma, mu_se, sigma_se, loglik))
    return LifeFit(*found)


def _log_mean(spells: Spells, k: FloatArray) -> FloatArray:
    """Mean ln age at failure per key: the origin of mu, so that Newton starts near it in any unit."""
    total = spells.sums(spells.count * spells.failed * np.log(spells.exit))
    return np.where(k > 0, total / np.where(k > 0, k, 1.0), 0.0)


def _normal_terms(
    spells: Spells, centre: FloatArray, mu: FloatArray, log_sigma: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log-likelihood of ln t, its gradient (2, keys) and Hessian (mm, ms, ss) in (mu, ln sigma)."""
    from scipy.special import log_ndtr

    segment = powers_segment(spells)
    sigma = np.exp(log_sigma)
    z = (np.log(spells.exit) - (centre + mu)[segment]) / sigma[segment]
    log_survival = log_ndtr(-z)
    hazard = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_survival)
    value = np.where(spells.failed, -0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_sigma[segment], log_survival)
    first = np.where(spells.failed, -z, -hazard)
    second = np.where(spells.failed, -1.0, -hazard * (hazard - z))
    parts = [value, first, first * z, second, first + z * second, z * first + z**2 * second]
    parts = [part * spells.count for part in parts]
    late = np.flatnonzero(spells.entry > 0)
    if len(late):
        y = (np.log(spells.entry[late]) - (centre + mu)[segment[late]]) / sigma[segment[late]]
        log_survival = log_ndtr(-y)
        hazard = np.exp(-0.5 * y**2 - 0.5 * np.log(2 * np.pi) - log_survival)
        first, second = -hazard, -hazard * (hazard - y)
        for part, term in zip(
            parts, (log_survival, first, first * y, second, first + y * second, y * first + y**2 * second)
        ):
            part[late] -= term * spells.count[late]
    total, g1, g2, h1, h2, h3 = (spells.sums(part) for part in parts)
    k = spells.sums(spells.count * spells.failed)
    return total, np.array([-g1 / sigma, -g2 - k]), np.array([h1 / sigma**2, h2 / sigma, h3])


def _damped_step(gradient: FloatArray, hessian: FloatArray, damping: FloatArray) -> FloatArray:
    """Levenberg's step: (-H + damping) step = gradient, made positive definite where H is not."""
    a, b, c = -hessian[0], -hessian[1], -hessian[2]
    lowest = 0.5 * (a + c) - np.sqrt(0.25 * (a - c) ** 2 + b**2)
    shift = damping + np.maximum(0.0, 1e-9 - lowest)
    a, c = a + shift, c + shift
    determinant = a * c - b**2
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.array([c * gradient[0] - b * gradient[1], a * gradient[1] - b * gradient[0]]) / determinant
    return np.where(np.isfinite(step), step, 0.0)
