"""Lives known only between two inspections: counts per interval in, life distributions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast.likelihood import FloatArray

LAWS = ("weibull", "lognormal", "exponential")


def fit_interval_lifetimes(
    counts: pd.DataFrame, by: str | Sequence[str] | None = None, distribution: str = "weibull"
) -> pd.DataFrame:
    """Fit life distributions to failures found at inspections.

    Parameters
    ----------
    counts : DataFrame
        Columns lower, upper: the failure fell between these ages (0 below: found at the first inspection;
        upper empty or infinite: still alive at `lower`; both equal: the exact age) [one unit]. Optional:
        count, pieces in the row (1); event, where "left" means found at the first inspection and "right"
        still alive, whatever stands in the other column.
    by : str or sequence of str, optional
        Key columns; None: all rows are one key and the result has no key column.
    distribution : {"weibull", "lognormal", "exponential"}

    Returns
    -------
    DataFrame
        A row per key as in `fit_lifetimes`: [by], distribution, shape, scale, shape_se, scale_se, loglik,
        n_failed, n_censored, method; a lognormal holds mu and sigma in shape and scale and in columns mu,
        sigma, mu_se, sigma_se. Grouped rows add ln P(lower < T <= upper), exact ones the density.

    Raises
    ------
    DataError
        Missing columns, negative ages, upper < lower, negative counts.

    References
    ----------
    .. [1] Meeker & Escobar (1998), Statistical Methods for Reliability Data, ch. 7 and 8.
    """
    if distribution not in LAWS:
        raise problem_in_argument(
            "fit_interval_lifetimes",
            "distribution",
            distribution,
            "is no known distribution",
            f"use one of {', '.join(LAWS)}",
        )
    keys = [] if by is None else [by] if isinstance(by, str) else list(by)
    frame = _checked(counts, keys)
    groups = list(frame.groupby(keys, sort=True)) if keys else [((), frame)]
    rows = []
    for key, group in groups:
        lower, upper, count = (group[name].to_numpy(dtype=float) for name in ("lower", "upper", "count"))
        named = dict(zip(keys, key if isinstance(key, tuple) else (key,)))
        rows.append(named | _fit_one(lower, upper, count, distribution))
    return pd.DataFrame(rows)


def _checked(counts: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    problems = [
        Problem("counts", 0, name, "", "is missing", "add the column")
        for name in [*keys, "lower", "upper"]
        if name not in counts
    ]
    if problems:
        raise DataError(problems)
    frame = counts[[*keys, "lower", "upper"]].copy()
    frame["upper"] = frame["upper"].astype(float).fillna(np.inf)
    if "event" in counts:
        frame["lower"] = frame["lower"].astype(float).mask(counts["event"] == "left", 0.0)
        frame["upper"] = frame["upper"].mask(counts["event"] == "right", np.inf)
    frame["count"] = counts["count"].astype(float) if "count" in counts else 1.0
    lower, upper, count = (frame[name].to_numpy(dtype=float) for name in ("lower", "upper", "count"))
    faults = [
        ("lower", ~(lower >= 0) | ~np.isfinite(lower), "is no age", "give an age of 0 or more"),
        ("upper", ~(upper >= lower) | (upper <= 0), "is below lower, or 0", "swap the ages or mend them"),
        ("count", ~(count >= 0) | ~np.isfinite(count), "is no number of pieces", "give 0 or more"),
    ]
    for name, wrong, rule, remedy in faults:
        problems += [
            Problem("counts", int(row) + 2, name, str(frame[name].iloc[row]), rule, remedy)
            for row in np.flatnonzero(wrong)
        ]
    if problems:
        raise DataError(problems)
    return frame[frame["count"] > 0]


def _fit_one(lower: FloatArray, upper: FloatArray, count: FloatArray, law: str) -> dict[str, Any]:
    from scipy.optimize import minimize

    dead = np.isfinite(upper)
    failed, alive = float(count[dead].sum()), float(count[~dead].sum())
    names = ("shape", "scale", "shape_se", "scale_se", "loglik")
    nothing: dict[str, Any] = {"distribution": law} | dict.fromkeys(names, np.nan)
    nothing |= {"n_failed": failed, "n_censored": alive, "method": "none"}
    if failed == 0:
        return nothing
    free = 1 if law == "exponential" else 2
    middle = np.where(dead, 0.5 * (lower + np.where(dead, upper, 0.0)), lower)
    start = np.array([np.log(np.average(middle, weights=count) * (failed + alive) / failed), 0.0])[:free]

    def cost(at: FloatArray) -> float:
        return -_loglik(at, lower, upper, count, law) / count.sum()

    found = minimize(
        cost, start, method="Nelder-Mead", options={"xatol": 1e-11, "fatol": 1e-15, "maxiter": 4000}
    )
    at = found.x
    information = -_curvature(at, lower, upper, count, law)
    definite = np.all(np.linalg.eigvalsh(information) > 1e-8 * count.sum())
    if not definite or np.abs(at[1:]).max(initial=0.0) > 9:
        return nothing
    se = np.sqrt(np.diag(np.linalg.inv(information)))
    mu, log_sigma, log_sigma_se = at[0], (at[1] if free == 2 else 0.0), (se[1] if free == 2 else 0.0)
    sigma, loglik = float(np.exp(log_sigma)), _loglik(at, lower, upper, count, law)
    if law == "lognormal":
        values = (mu, sigma, se[0], sigma * log_sigma_se, loglik)
    else:
        values = (1 / sigma, float(np.exp(mu)), log_sigma_se / sigma, float(np.exp(mu)) * se[0], loglik)
    out = nothing | dict(zip(names, values)) | {"method": "mle"}
    if law == "lognormal":
        out |= dict(zip(("mu", "sigma", "mu_se", "sigma_se"), values))
    return out


def _loglik(at: FloatArray, lower: FloatArray, upper: FloatArray, count: FloatArray, law: str) -> float:
    """Log-likelihood at (mu, ln sigma) of ln age; the exponential has sigma 1."""
    from scipy.special import log_ndtr

    mu, sigma = at[0], np.exp(at[1]) if len(at) > 1 else 1.0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        low, high = (np.log(lower) - mu) / sigma, (np.log(upper) - mu) / sigma
        if law == "lognormal":
            alive_low, alive_high = log_ndtr(-low), log_ndtr(-high)
            density = -0.5 * high**2 - 0.5 * np.log(2 * np.pi)
        else:
            alive_low, alive_high = -np.exp(low), -np.exp(high)
            density = high - np.exp(high)
        # ln(S(lower) - S(upper)) without cancellation.
        grouped = alive_low + np.log(-np.expm1(np.minimum(alive_high - alive_low, 0.0)))
        exact = density - np.log(sigma * upper)
        terms = np.where(~np.isfinite(upper), alive_low, np.where(lower == upper, exact, grouped))
    total = float((count * terms).sum())
    return total if np.isfinite(total) else -1e300


def _curvature(
    at: FloatArray, lower: FloatArray, upper: FloatArray, count: FloatArray, law: str
) -> FloatArray:
    """Hessian of the log-likelihood by fourth-order differences."""
    size, h = len(at), 2e-3
    steps, weights = np.array([-2, -1, 1, 2]) * h, np.array([1, -8, 8, -1]) / (12 * h)
    out = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            total = 0.0
            for a, wa in zip(steps, weights):
                for b, wb in zip(steps, weights):
                    moved = at.copy()
                    moved[i] += a
                    moved[j] += b
                    total += wa * wb * _loglik(moved, lower, upper, count, law)
            out[i, j] = total
    return 0.5 * (out + out.T)
