"""How far a forecast was off, what of it is chance, and what follows for the next one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

FloatArray = NDArray[np.float64]


def tracking_signal(errors: ArrayLike) -> FloatArray:
    """Sum of the errors over their mean absolute size.

    Parameters
    ----------
    errors : array-like, shape (n, periods)
        Planned - actual. [pieces]

    Returns
    -------
    ndarray, shape (n,)
        Between -periods and periods; 0 where all errors are 0. What chance allows: `tracking_limit`.

    References
    ----------
    .. [1] Brown (1962), Smoothing, Forecasting and Prediction of Discrete Time Series.
    """
    signed = np.asarray(errors, dtype=float)
    size = np.abs(signed).mean(axis=1)
    return np.divide(signed.sum(axis=1), size, out=np.zeros(len(signed)), where=size > 0)


def smoothed_signal(errors: ArrayLike, smoothing: float = 0.2) -> FloatArray:
    """Trigg's tracking signal: smoothed error over smoothed absolute error.

    Parameters
    ----------
    errors : array-like, shape (n, periods)
        Planned - actual, oldest first. [pieces]
    smoothing : float
        Weight of the newest error, in (0, 1]; both sums start at 0.

    Returns
    -------
    ndarray, shape (n,)
        Between -1 and 1; 0 where all errors are 0. What chance allows: `smoothed_limit`.

    References
    ----------
    .. [1] Trigg (1964), Monitoring a forecasting system, Operational Research Quarterly 15.
    """
    signed = np.asarray(errors, dtype=float)
    weight = _newest_first(signed.shape[1], smoothing)
    size = np.abs(signed) @ weight
    return np.divide(signed @ weight, size, out=np.zeros(len(signed)), where=size > 0)


def tracking_limit(errors: ArrayLike, confidence: float = 0.95) -> FloatArray:
    """Size that the tracking signal of these errors exceeds by chance with probability 1 - confidence.

    Parameters
    ----------
    errors : array-like, shape (n, periods)
        Planned - actual. [pieces]
    confidence : float
        In (0, 1).

    Returns
    -------
    ndarray, shape (n,)
        Infinite for a single period and where all errors are 0: then nothing can be said.

    Notes
    -----
    Errors that are independent and normal around 0 have a sum whose ratio z to the root of their squares is
    Student's t in disguise: t = z sqrt((n - 1) / (n - z²)). The usual limit of 4 suits four periods; over
    twelve, every third sound forecast exceeds it.

    References
    ----------
    .. [1] Efron (1969), Student's t-test under symmetry conditions, JASA 64.
    """
    signed = np.asarray(errors, dtype=float)
    return signed.shape[1] * _signal_limit(signed, np.ones(signed.shape[1]), confidence)


def smoothed_limit(errors: ArrayLike, smoothing: float = 0.2, confidence: float = 0.95) -> FloatArray:
    """Size that Trigg's signal of these errors exceeds by chance with probability 1 - confidence.

    Parameters
    ----------
    errors, smoothing
        As in `smoothed_signal`.
    confidence : float
        In (0, 1).

    Returns
    -------
    ndarray, shape (n,)
        As `tracking_limit`, the weights of the smoothing counting as so many periods as they are worth.
    """
    signed = np.asarray(errors, dtype=float)
    return _signal_limit(signed, _newest_first(signed.shape[1], smoothing), confidence)


def clustered_error(values: ArrayLike, cluster: ArrayLike) -> float:
    """Standard error of a mean whose values hang together within clusters.

    Parameters
    ----------
    values : array-like, shape (n,)
    cluster : array-like of int, shape (n,)
        From 0 up.

    Returns
    -------
    float
        NaN for fewer than two clusters.

    References
    ----------
    .. [1] Liang & Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika 73.
    """
    value, code = np.asarray(values, dtype=float), np.asarray(cluster)
    sums = np.bincount(code, value - value.mean()) if len(value) else np.zeros(0)
    count = np.count_nonzero(np.bincount(code)) if len(value) else 0
    if count < 2:
        return float("nan")
    return float(np.sqrt((sums**2).sum() * count / (count - 1)) / len(value))


def rate_correction(planned: ArrayLike, actual: ArrayLike, vmr: ArrayLike, rate_cv2: ArrayLike) -> FloatArray:
    """What new months say about the rate behind a forecast.

    The true rate is the forecast's times a gamma factor of mean 1 and variance `rate_cv2`; the factor's
    posterior mean after the new months: exact for Poisson counts, by the variance ratio above them; more
    regular demand counts as Poisson, which corrects less.

    Parameters
    ----------
    planned, actual : array-like, shape (n,)
        Sums over the new months. [pieces]
    vmr, rate_cv2 : array-like, shape (n,)
        Variance-to-mean ratio given the rate; squared coefficient of variation of the rate.

    Returns
    -------
    ndarray, shape (n,)
        Factor; 1 where the forecast was sure of its rate.

    References
    ----------
    .. [1] Gelman et al. (2013), Bayesian Data Analysis, ch. 2.6: gamma-Poisson.
    """
    ratio, spread = np.maximum(np.asarray(vmr, dtype=float), 1.0), np.asarray(rate_cv2, dtype=float)
    seen, foreseen = np.maximum(np.asarray(actual, dtype=float), 0.0) / ratio, np.asarray(planned) / ratio
    return (1.0 + spread * seen) / (1.0 + spread * foreseen)


def log_ratio(planned: ArrayLike, actual: ArrayLike, vmr: ArrayLike) -> tuple[FloatArray, ...]:
    """Log of actual over planned for several runs together, with the least and the seen variance of it.

    Parameters
    ----------
    planned, actual : array-like, shape (n, runs)
        Sums over what each run foresaw. [pieces]
    vmr : array-like, shape (n,)
        Variance-to-mean ratio of the counts given their rates; less than 1 counts as 1.

    Returns
    -------
    ratio, least, seen : ndarray, shape (n,)
        Half a piece stands on both sides, so that nothing taken stays finite. `least`: variance were the
        counts alone uncertain; `seen`: variance by how the runs scatter around their common ratio, runs
        as clusters; NaN for a single run.

    References
    ----------
    .. [1] Cochran (1977), Sampling Techniques, ch. 6: variance of a ratio.
    """
    foreseen, came = np.asarray(planned, dtype=float), np.asarray(actual, dtype=float)
    runs = foreseen.shape[1]
    all_planned, all_actual = foreseen.sum(axis=1), np.maximum(came.sum(axis=1), 0.0)
    ratio = np.log((all_actual + 0.5) / (all_planned + 0.5))
    least = np.maximum(np.asarray(vmr, dtype=float), 1.0) / (all_actual + 0.5)
    common = np.divide(all_actual, all_planned, out=np.ones(len(ratio)), where=all_planned > 0)
    scatter = ((came - common[:, None] * foreseen) ** 2).sum(axis=1)
    seen = np.full(len(ratio), np.nan)
    if runs > 1:
        seen = scatter * runs / (runs - 1) / (all_actual + 0.5) ** 2
    return ratio, least, seen


def normal_spread(values: ArrayLike, variance: ArrayLike) -> float:
    """Variance of true values around 0, behind values that are known with the variances given.

    Parameters
    ----------
    values, variance : array-like, shape (n,)
        Each value is normal around its true one; the true ones are normal around 0.

    Returns
    -------
    float
        The tau² at which sum(values² / (tau² + variance)) equals n; 0 where noise explains all.

    References
    ----------
    .. [1] Paule & Mandel (1982), Consensus values and weighting factors, J. Res. NBS 87; mean known to be 0.
    """
    square, noise = np.asarray(values, dtype=float) ** 2, np.asarray(variance, dtype=float)
    if not len(square) or (square / noise).sum() <= len(square):
        return 0.0
    low, high = 0.0, float(square.max()) * len(square)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if (square / (middle + noise)).sum() > len(square):
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def persistence(proposed: ArrayLike, planned: ArrayLike, actual: ArrayLike) -> FloatArray:
    """Share of the corrections proposed to earlier runs that would have served them best.

    Parameters
    ----------
    proposed : array-like, shape (n, runs)
        Log of the factor that was known before each run. [log ratio]
    planned, actual : array-like, shape (n, runs)
        What the run foresaw without it, and what came. [pieces]

    Returns
    -------
    ndarray, shape (n,)
        The share of 0, 0.05, ..., 1 with the highest Poisson likelihood of what came: 1 for a bias that
        stays, 0 for one that the forecast learns by itself or that never came back.
    """
    step, foreseen, came = (np.asarray(each, dtype=float) for each in (proposed, planned, actual))
    linear = (came * step).sum(axis=1)
    best, share = np.zeros(len(step)), np.zeros(len(step))
    for candidate in np.linspace(0.05, 1.0, 20):
        gain = candidate * linear - (foreseen * np.expm1(candidate * step)).sum(axis=1)
        better = gain > best + 1e-12
        best, share = np.where(better, gain, best), np.where(better, candidate, share)
    return share


def _newest_first(periods: int, smoothing: float) -> FloatArray:
    """Weights of exponential smoothing from 0, oldest period first."""
    return smoothing * (1.0 - smoothing) ** np.arange(periods - 1, -1, -1.0)


def _signal_limit(errors: FloatArray, weight: FloatArray, confidence: float) -> FloatArray:
    """Limit of |sum(w e)| / sum(w |e|) for errors around 0."""
    out = np.full(len(errors), np.inf)
    worth = weight.sum() ** 2 / (weight**2).sum() if len(weight) else 0.0
    if worth <= 1.0 + 1e-9:
        return out
    student = special.stdtrit(worth - 1.0, 0.5 + 0.5 * confidence)
    most = student * np.sqrt(worth / (worth - 1.0 + student**2))
    size, root = np.abs(errors) @ weight, np.sqrt(errors**2 @ weight**2)
    return np.divide(most * root, size, out=out, where=size > 0)
