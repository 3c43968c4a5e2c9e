"""What anybody could do in place of `forecast_history`: a method turns a window into means and quantiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from history_panels import FloatArray, Window
from numpy.typing import NDArray

from spareplan.forecast import bootstrap, compound_sums, forecast_history, intermittent, pooling
from spareplan.maths import distributions

LEVELS = np.array([0.5, 0.8, 0.9, 0.95, 0.99])
COLUMNS = [f"q{level:g}" for level in LEVELS]
DRAWS = 500
Forecast = tuple[FloatArray, FloatArray]
Method = Callable[[Window], Forecast]


def part_ids(parts: int) -> NDArray[np.str_]:
    """Names that sort like the rows."""
    return np.char.mod("%07d", np.arange(parts))


def long_table(demand: FloatArray) -> pd.DataFrame:
    """A row per part and known period, the input of `forecast_history`."""
    rows, periods = np.nonzero(np.isfinite(demand))
    ids = part_ids(len(demand))
    return pd.DataFrame({"part_id": ids[rows], "period": periods, "quantity": demand[rows, periods]})


def spareplan(rounded: bool = True, exposed: bool = False) -> Method:
    """`forecast_history`, told the machines in service and the price, or not."""

    def forecast(window: Window) -> Forecast:
        ids = part_ids(len(window.demand))
        periods = window.lead if isinstance(window.lead, int) else pd.Series(window.lead, index=ids)
        exposure = traits = None
        if exposed and window.price is not None:
            traits = pd.DataFrame({"part_id": ids, "price": window.price})
        if exposed and window.exposure is not None:
            rows, at = np.nonzero(np.isfinite(window.exposure))
            exposure = pd.DataFrame(
                {"part_id": ids[rows], "period": at, "exposure": window.exposure[rows, at]}
            )
        out = forecast_history(
            long_table(window.demand),
            periods,
            tuple(LEVELS),
            exposure=exposure,
            rounded=rounded,
            traits=traits,
        )
        return out["mean"].to_numpy(), out[COLUMNS].to_numpy()

    return forecast


def empirical_bayes(discount: float) -> Method:
    """Compound demand pooled over the panel, older periods forgotten at one rate."""

    def forecast(window: Window) -> Forecast:
        rates = pooling.pool_rates(window.demand, discount)
        mean = pooling.sum_moments(rates, window.lead)[0]
        return mean, pooling.sum_quantiles(rates, window.lead, LEVELS)

    return forecast


def own_variance(window: Window, mean: FloatArray) -> FloatArray:
    """Variance of the sum as if periods were independent, not below the mean."""
    own = np.maximum(window.lead * _variance(window.demand), mean)
    return np.where(mean > 0, own, 0.0)


def negative_binomial(rate: Callable[[FloatArray], FloatArray]) -> Method:
    """A rate per period made a negative binomial law of the sum with the part's own variance."""

    def forecast(window: Window) -> Forecast:
        return negative_binomial_sums(window, rate(window.demand))

    return forecast


def negative_binomial_sums(window: Window, rate: FloatArray) -> Forecast:
    """Negative binomial quantiles of the sum at a given rate per period."""
    mean = window.lead * rate
    return mean, distributions.quantile(LEVELS, mean[:, None], own_variance(window, mean)[:, None])


def textbook(window: Window) -> Forecast:
    """Croston in the form of Syntetos and Boylan with a normal law."""
    return normal_sums(window, intermittent.sba(window.demand))


def normal_sums(window: Window, rate: FloatArray) -> Forecast:
    """Normal quantiles of the sum at a given rate per period, not below zero."""
    from scipy.special import ndtri

    mean = window.lead * rate
    deviation = np.sqrt(window.lead * _variance(window.demand))
    return mean, np.maximum(mean[:, None] + deviation[:, None] * ndtri(LEVELS), 0.0)


def last_year(demand: FloatArray) -> FloatArray:
    """Mean of the last twelve periods."""
    return intermittent.mean_demand(demand[:, -12:])


def iid_bootstrap(window: Window) -> Forecast:
    """Sums of periods drawn from the part's own past, independently."""
    sums = bootstrap.iid_sums(window.demand, window.lead, LEVELS)
    return sums.mean, sums.quantiles


def forgetting_mean(window: Window) -> Forecast:
    """A mean that forgets as fast as past errors say, made a compound law."""
    sums = compound_sums.forgetting_sums(window.demand, window.lead, LEVELS)
    return sums.mean, sums.quantiles


def forgetting_bootstrap(window: Window) -> Forecast:
    """As the independent bootstrap, older periods drawn as seldom as past errors say."""
    half_life = intermittent.best_half_lives(window.demand)
    sums = bootstrap.iid_sums(window.demand, window.lead, LEVELS, half_life)
    return sums.mean, sums.quantiles


def block_bootstrap(window: Window) -> Forecast:
    """Sums of neighbouring periods of the part's own past."""
    return _by_lead(window, lambda demand, lead: bootstrap.block_sums(demand, lead, LEVELS))


def willemain_bootstrap(window: Window) -> Forecast:
    """Sums of periods with demand in runs, of sizes around those seen."""
    return _by_lead(window, lambda demand, lead: bootstrap.willemain_sums(demand, lead, LEVELS, DRAWS))


def nothing(window: Window) -> Forecast:
    """Zero, the forecast that no other may lose against."""
    return np.zeros(len(window.demand)), np.zeros((len(window.demand), len(LEVELS)))


def _by_lead(window: Window, sums: Callable[[FloatArray, int], bootstrap.DemandSums]) -> Forecast:
    lead = np.broadcast_to(window.lead, len(window.demand))
    mean, quantiles = np.zeros(len(lead)), np.zeros((len(lead), len(LEVELS)))
    for length in np.unique(lead):
        found = sums(window.demand[lead == length], int(length))
        mean[lead == length], quantiles[lead == length] = found.mean, found.quantiles
    return mean, quantiles


def _variance(demand: FloatArray) -> FloatArray:
    known = np.isfinite(demand)
    count = known.sum(axis=1)
    mean = np.where(known, demand, 0.0).sum(axis=1) / np.maximum(count, 1)
    off = np.where(known, demand - mean[:, None], 0.0)
    return (off**2).sum(axis=1) / np.maximum(count - 1, 1)


SINGLE: dict[str, Method] = {
    "empirical Bayes .95": empirical_bayes(0.95),
    "empirical Bayes .98": empirical_bayes(0.98),
    "mean + NB": negative_binomial(intermittent.mean_demand),
    "mean of 12 + NB": negative_binomial(last_year),
    "SES + NB": negative_binomial(intermittent.ses),
    "SBA + NB": negative_binomial(intermittent.sba),
    "TSB + NB": negative_binomial(intermittent.tsb),
    "IMAPA + NB": negative_binomial(intermittent.imapa),
    "SBA + normal": textbook,
    "forgetting mean": forgetting_mean,
    "forgetting bootstrap": forgetting_bootstrap,
    "iid bootstrap": iid_bootstrap,
    "block bootstrap": block_bootstrap,
    "Willemain bootstrap": willemain_bootstrap,
    "zero": nothing,
}
