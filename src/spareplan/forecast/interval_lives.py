"""Lives known only between two inspections: counts per interval in, life distributions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast.lifetimes import checked_numbers, column_problems
from spareplan.forecast.likelihood import FloatArray

LAWS = ("weibull", "lognormal", "exponential")
NUMBERS = ("shape", "scale", "shape_se", "scale_se", "loglik")
EVENTS = ("", "left", "right", "censored", "interval", "exact")


def fit_interval_lifetimes(
    counts: pd.DataFrame, by: str | Sequence[str] | None = None, distribution: str = "weibull"
) -> pd.DataFrame:
    """Fit life distributions to failures found at inspections.

    Parameters
    ----------
    counts : DataFrame
        Columns lower, upper: the failure fell between these ages (0 below: found at the first inspection;
        upper empty or infinite: still alive at `lower`; both equal: the exact age) [one unit]. Optional:
        count, pieces in the row (1); event, where "left" means found at the first inspection and "right" or
        "censored" still alive, whatever stands in the other column ("interval", "exact" or nothing: as the
        ages say; capitals do not matter).
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
        Missing, doubled or misspelt columns, negative ages, upper < lower, negative counts, values that are
        no numbers, unknown events, empty keys: all at once. A key without failures is no error.

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
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*keys, *_nothing(distribution, 0.0, 0.0)])


def _checked(counts: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    ages = [*keys, "lower", "upper"]
    problems = column_problems("counts", counts, ages, [*ages, "count", "event"], others=True)
    if problems:
        raise DataError(problems)
    lower = checked_numbers("counts", counts, "lower", problems)
    # An infinite upper age is the same as an empty one: still alive.
    ends = counts.assign(upper=counts["upper"].replace([np.inf, "inf"], np.nan))
    upper = checked_numbers("counts", ends, "upper", problems, empty=True)
    upper = np.where(ends["upper"].isna().to_numpy(), np.inf, upper)
    count = (
        checked_numbers("counts", counts, "count", problems) if "count" in counts else np.ones(len(counts))
    )
    faults = [
        ("lower", lower < 0, "is a negative age", "give an age of 0 or more"),
        ("count", count < 0, "is negative", "give the number of pieces in the row"),
    ]
    if "event" in counts:
        event = counts["event"].astype(object).where(counts["event"].notna(), "").astype(str).str.lower()
        faults.append(
            (
                "event",
                ~event.isin(EVENTS).to_numpy(),
                "is no known event",
                f"use one of {', '.join(filter(None, EVENTS))}, or leave it empty",
            )
        )
        lower = np.where(event == "left", 0.0, lower)
        upper = np.where(event.isin(["right", "censored"]), np.inf, upper)
    faults.append(
        ("upper", (upper < lower) | (upper <= 0), "is below lower, or 0", "swap the ages or mend them")
    )
    for name in keys:
        faults.append((name, counts[name].isna().to_numpy(), "is empty", "name the key or drop the row"))
    for name, wrong, rule, remedy in faults:
        problems += [
            Problem("counts", int(row) + 2, name, str(counts[name].iloc[row]), rule, remedy)
            for row in np.flatnonzero(wrong)
        ]
    if problems:
        raise DataError(problems)
    return counts[keys].assign(lower=lower, upper=upper, count=count)


def _nothing(law: str, failed: float, alive: float) -> dict[str, Any]:
    """Row of a key whose likelihood has no finite interior maximum."""
    out: dict[str, Any] = {"distribution": law} | dict.fromkeys(NUMBERS, np.nan)
    return out | {"n_failed": failed, "n_censored": alive, "method": "none"}


def _fit_one(lower: FloatArray, upper: FloatArray, count: FloatArray, law: str) -> dict[str, Any]:
    from scipy.optimize import minimize

    some = count > 0
    lower, upper, count = lower[some], upper[some], count[some]
    dead = np.isfinite(upper)
    failed, alive = float(count[dead].sum()), float(count[~dead].sum())
    nothing = _nothing(law, failed, alive)
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
    out = nothing | dict(zip(NUMBERS, values)) | {"method": "mle"}
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
