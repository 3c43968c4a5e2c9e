"""Answers in time at a desk: share of the calls, least people of every hour."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY, MINUTES_PER_HOUR
from spareplan.staffing._arguments import Arguments
from spareplan.staffing.queues import erlang_a, erlang_b, servers_needed_rows
from spareplan.staffing.waits import delayed_tail

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def answered_share(
    rates: FloatArray, people: FloatArray, limits: FloatArray, minutes: float, patience: float = 0.0
) -> FloatArray:
    """Share of the calls answered within their limits, each hour in its own steady state.

    Parameters
    ----------
    rates : ndarray, shape (R, K)
        Calls per hour by class, most urgent first. [1/hour]
    people : ndarray, shape (R,)
        On duty; whole numbers. Nobody: nothing is answered.
    limits : ndarray, shape (K,)
        Promised waits; NaN: no promise. [hours]
    minutes : float
        Mean length of a call, exponential. [minutes]
    patience : float
        Mean time after which a waiting caller hangs up, exponential; 0: nobody does. [minutes]

    Returns
    -------
    ndarray, shape (R, K)
        NaN without a promise.

    Notes
    -----
    Without hang-ups: non-preemptive priorities, exact (`queues.wait_tail`). With hang-ups calls are answered
    in their order of arrival; the wait a patient caller would have given that he waits at all has the tail
    R(t) = g(t) M(c e^{-theta t}) / M(c), g(t) = exp(c (1 - e^{-theta t}) - n mu t), c = lambda / theta and M
    Kummer's 1F1(1; 1 + n mu / theta; .) [1]_, and who hangs up is not answered.

    References
    ----------
    .. [1] Baccelli, Hebuterne (1981), On queues with impatient customers, Performance '81.
    """
    count = np.maximum(people, 1.0)
    rate = rates.sum(axis=1)
    mu = MINUTES_PER_HOUR / minutes
    wanted = np.broadcast_to(np.nan_to_num(limits), rates.shape)
    if patience > 0:
        answered = _patient_share(rate, mu, MINUTES_PER_HOUR / patience, count, wanted)
    else:
        sigma = np.cumsum(rates, axis=1) / (mu * count)[:, None]
        above = np.concatenate([np.zeros((len(rates), 1)), sigma[:, :-1]], axis=1)
        full = sigma[:, -1] >= 1.0
        blocked = erlang_b(rate / mu, count)
        delay = np.where(full, 1.0, blocked / np.maximum(1.0 - sigma[:, -1] * (1.0 - blocked), 1e-300))
        answered = 1.0 - delay[:, None] * delayed_tail(above, sigma, (mu * count)[:, None], wanted)
    answered = np.where((people < 1)[:, None], 0.0, answered)
    return np.where(np.isnan(limits), np.nan, answered)


def _patient_share(
    rate: FloatArray, mu: float, theta: float, people: FloatArray, limits: FloatArray
) -> FloatArray:
    rate = np.maximum(rate, 1e-12)
    waits = erlang_a(rate, mu, theta, people).waiting[:, None]
    shape, load = (people * mu / theta)[:, None], (rate / theta)[:, None]
    left = np.exp(-theta * limits)
    reached = np.exp(load * (1.0 - left) - shape * theta * limits)
    whole = _log_kummer(shape, load)
    late = np.exp(load * (1.0 - left) - shape * theta * limits + _log_kummer(shape, load * left) - whole)
    ratio = shape / load
    answered = ratio * (1.0 - late) + ratio * (reached - 1.0) * np.exp(-whole)
    return np.clip(1.0 - waits + waits * answered, 0.0, 1.0)


def _log_kummer(a: FloatArray, x: FloatArray) -> FloatArray:
    """Logarithm of 1F1(1; a + 1; x) = a e^x x^-a gamma(a, x)."""
    from scipy import special

    large = np.maximum(x, 0.5 * a)
    with np.errstate(divide="ignore"):
        part = np.log(special.gammainc(a, large))
        logs = np.log(a) + large - a * np.log(large) + special.gammaln(a) + part
        series = np.log(special.hyp1f1(1.0, a + 1.0, np.minimum(x, 0.5 * a)))
    return np.where(x <= 0.5 * a, series, logs)


def hourly_people(
    rates: FloatArray, limits: FloatArray, targets: FloatArray, minutes: float, patience: float = 0.0
) -> IntArray:
    """Least people of each hour that answer every class in time.

    Parameters
    ----------
    rates, limits, minutes, patience
        As in `answered_share`.
    targets : ndarray, shape (K,)
        Share promised; NaN: no promise.

    Returns
    -------
    ndarray of int, shape (R,)
        0 without calls.
    """
    promised = ~np.isnan(limits) & ~np.isnan(targets)
    calls = rates.sum(axis=1) > 0
    if patience <= 0:
        mu = np.full(len(rates), MINUTES_PER_HOUR / minutes)
        return np.where(calls, servers_needed_rows(rates, mu, limits, targets), 0)
    people = np.where(calls, 1, 0).astype(np.int64)
    open_ = np.flatnonzero(calls)
    while len(open_):
        share = answered_share(rates[open_], people[open_].astype(float), limits, minutes, patience)
        short = (share < targets)[:, promised] & (rates[open_] > 0)[:, promised]
        open_ = open_[short.any(axis=1)]
        people[open_] += 1
    return people


def week_of_calls(function: str, profile: ArrayLike) -> FloatArray:
    """Check calls per hour of the day or week and spread them over the week.

    Parameters
    ----------
    function : str
        Named in the refusal.
    profile : array-like, shape (7, 24) or (24,)
        Any scale.

    Returns
    -------
    ndarray, shape (7, 24)
        Share of the calls of a week.

    Raises
    ------
    DataError
        Another shape, negative or unknown figures, or no calls at all.
    """
    shape = np.asarray(profile, dtype=float)
    shape = np.tile(shape, (DAYS_PER_WEEK, 1)) if shape.shape == (HOURS_PER_DAY,) else shape
    good = shape.shape == (DAYS_PER_WEEK, HOURS_PER_DAY) and np.isfinite(shape).all() and (shape >= 0).all()
    if not good or shape.sum() <= 0:
        raise problem_in_argument(
            function,
            "profile",
            f"shape {shape.shape}, sum {shape.sum():g}",
            "is 24 or 7 x 24 numbers of 0 or more, some above 0",
            "give calls per hour",
        )
    return shape / shape.sum()


def desk_people(
    calls_per_week: float,
    minutes: float,
    answer_minutes: float,
    target: float,
    profile: ArrayLike,
) -> NDArray[np.int64]:
    """People a desk needs in every hour of the week to answer in time.

    Parameters
    ----------
    calls_per_week : float
    minutes : float
        Mean length of a call. [minutes]
    answer_minutes : float
        Promised wait. [minutes]
    target : float
        Share answered within it, below 1.
    profile : array-like, shape (7, 24) or (24,)
        Calls per hour; any scale. Hours without calls need nobody.

    Returns
    -------
    ndarray of int, shape (7, 24)

    Raises
    ------
    DataError
        An argument out of its bounds, or a profile without calls.
    """
    given = Arguments("desk_people")
    calls = float(given.single("calls_per_week", given.not_negative("calls_per_week", calls_per_week)))
    length = float(given.single("minutes", given.positive("minutes", minutes)))
    limit = float(given.single("answer_minutes", given.not_negative("answer_minutes", answer_minutes)))
    share = float(given.single("target", given.shares("target", target)))
    given.refuse()
    rates = calls * week_of_calls("desk_people", profile)
    busy = rates.reshape(-1, 1)
    need = servers_needed_rows(
        busy,
        np.full(len(busy), MINUTES_PER_HOUR / length),
        np.array([limit / MINUTES_PER_HOUR]),
        np.array([share]),
    )
    return np.where(rates > 0, need.reshape(rates.shape), 0)
