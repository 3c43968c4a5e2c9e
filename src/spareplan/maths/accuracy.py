"""How far a forecast was off: tracking signal, and what new counts say about the rate behind it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def tracking_signal(errors: ArrayLike) -> NDArray[np.float64]:
    """Sum of the errors over their mean absolute size.

    Parameters
    ----------
    errors : array-like, shape (n, periods)
        Planned - actual. [pieces]

    Returns
    -------
    ndarray, shape (n,)
        Between -periods and periods; 0 where all errors are 0. Beyond about 4 a forecast is off to one side.
    """
    signed = np.asarray(errors, dtype=float)
    size = np.abs(signed).mean(axis=1)
    return np.divide(signed.sum(axis=1), size, out=np.zeros(len(signed)), where=size > 0)


def rate_correction(
    planned: ArrayLike, actual: ArrayLike, vmr: ArrayLike, rate_cv2: ArrayLike
) -> NDArray[np.float64]:
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
