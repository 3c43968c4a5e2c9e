"""Mean waits: priorities with many servers, priorities with any service law, fixed service times.

The laws of the wait itself are in `spareplan.staffing.queues`; the means say quickly how crowded a team is.

References
----------
.. [1] Cobham (1954), Priority assignment in waiting line problems, Operations Research 2.
.. [2] Crommelin (1932), Delay probability formulae when the holding times are constant, Post Office
   Electrical Engineers' Journal 25.
.. [3] Spitzer (1956), A combinatorial lemma and its application to probability theory, Transactions of the
   American Mathematical Society 82.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.staffing._arguments import Arguments
from spareplan.staffing.queues import erlang_c

FloatArray = NDArray[np.float64]
# Terms of Spitzer's sum that are added one by one; the rest is smooth enough to be integrated.
_SINGLE_TERMS = 4_000
_REST_POINTS = 2_001


def mean_waits(arrival_rates: ArrayLike, service_rate: float, servers: int) -> FloatArray:
    """Mean wait of every class under non-preemptive priorities (M/M/c).

    Parameters
    ----------
    arrival_rates : array-like, shape (K,)
        Most urgent class first; 0 gives the wait a single order of the class would have. [1 / time]
    service_rate : float
        Of one server, the same for all classes. [1 / time]
    servers : int
        [servers]

    Returns
    -------
    ndarray, shape (K,)
        Infinite for classes that are not stable together with all above them. [time]

    Raises
    ------
    DataError
        If a rate is negative or not finite, the service rate is not positive, or there is no server.

    Notes
    -----
    E W_k = C / (c mu (1 - sigma_{k-1}) (1 - sigma_k)), sigma_k the load of classes 1..k per server [1]_.

    References
    ----------
    .. [1] Cobham (1954), Operations Research 2, 70-76.
    """
    given = Arguments("mean_waits")
    rates = given.straight("arrival_rates", given.not_negative("arrival_rates", arrival_rates))
    mu = given.single("service_rate", given.positive("service_rate", service_rate))
    count = given.single("servers", given.whole("servers", servers, least=1))
    given.refuse()
    capacity = float(mu * count)
    delay = float(erlang_c(rates.sum() / mu, count))
    return delay / capacity * _priority_factor(np.cumsum(rates) / capacity)


def mean_waits_any_service(
    arrival_rates: ArrayLike, service_times: ArrayLike, service_scv: ArrayLike
) -> FloatArray:
    """Mean wait of every class at one server under non-preemptive priorities, any service law (M/G/1).

    Parameters
    ----------
    arrival_rates : array-like, shape (K,)
        Most urgent class first. [1 / time]
    service_times, service_scv : array-like, broadcast to shape (K,)
        Mean [time] and squared coefficient of variation of the service of each class.

    Returns
    -------
    ndarray, shape (K,)
        Infinite for classes that are not stable together with all above them. [time]

    Raises
    ------
    DataError
        If a rate or scv is negative or not finite, or a service time is not positive.

    Notes
    -----
    E W_k = W_0 / ((1 - sigma_{k-1}) (1 - sigma_k)) with the mean rest of the service under way
    W_0 = sum of lambda_i E[S_i^2] / 2 [1]_. In overload the first class that is not stable takes all the time
    the classes above it leave, so the rest under way is a share of its services.

    References
    ----------
    .. [1] Cobham (1954), Operations Research 2, 70-76.
    """
    given = Arguments("mean_waits_any_service")
    rates = given.straight("arrival_rates", given.not_negative("arrival_rates", arrival_rates))
    times = given.positive("service_times", service_times)
    scv = given.not_negative("service_scv", service_scv)
    rates, times, scv = given.together(arrival_rates=rates, service_times=times, service_scv=scv)
    given.refuse()
    sigma = np.cumsum(rates * times)
    above = np.concatenate([[0.0], sigma[:-1]])
    served = np.clip(1.0 - above, 0.0, rates * times)
    rest = float((served * times * (1.0 + scv)).sum() / 2.0)
    return rest * _priority_factor(sigma)


def mean_wait_fixed_service(arrival_rate: float, service_time: float, servers: int) -> float:
    """Mean wait where every service takes the same time (M/D/c).

    Parameters
    ----------
    arrival_rate : float
        [1 / time]
    service_time : float
        [time]
    servers : int
        [servers]

    Returns
    -------
    float
        Infinite where the load is not below the servers. [time]

    Raises
    ------
    DataError
        If the rate is negative, the time not positive or there is no server.

    Notes
    -----
    Seen every service time D, orders beyond the servers follow q' = max(q + A - c, 0), A ~ Poisson(lambda D)
    [1]_, so their mean is the sum over n of E max(A_1 + .. + A_n - n c, 0) / n [2]_.

    References
    ----------
    .. [1] Crommelin (1932), Post Office Electrical Engineers' Journal 25.
    .. [2] Spitzer (1956), Transactions of the American Mathematical Society 82.
    """
    given = Arguments("mean_wait_fixed_service")
    rate = float(given.single("arrival_rate", given.not_negative("arrival_rate", arrival_rate)))
    time = float(given.single("service_time", given.positive("service_time", service_time)))
    count = float(given.single("servers", given.whole("servers", servers, least=1)))
    given.refuse()
    load = rate * time
    if load >= count:
        return np.inf
    if load <= 0:
        return 0.0
    steps = np.arange(1.0, _SINGLE_TERMS + 1)
    queue = float(_surplus(steps, load, count).sum())
    # Later terms fall as exp(-n c (rho - 1 - log rho)); the midpoint rule turns their sum into an integral.
    start = _SINGLE_TERMS + 0.5
    empty = 1.0 - load / count
    fall = -count * (np.log1p(-empty) + empty)
    end = max(start * 1.001, start + 50.0 / fall)
    logs = np.linspace(np.log(start), np.log(end), _REST_POINTS)
    rest = np.exp(logs)
    simpson = np.full(_REST_POINTS, 2.0)
    simpson[1::2], simpson[[0, -1]] = 4.0, 1.0
    queue += float(simpson @ (_surplus(rest, load, count) * rest)) * (logs[1] - logs[0]) / 3.0
    return queue / rate


def _surplus(steps: FloatArray, load: float, servers: float) -> FloatArray:
    """E max(Poisson(n a) - n c, 0) / n."""
    from scipy import special

    mean, level = steps * load, steps * servers
    # Stirling's series keeps the digits that level log(mean) - mean - log(level!) loses at large levels.
    empty = 1.0 - load / servers
    stirling = np.log(2.0 * np.pi * level) / 2.0 + 1.0 / (12.0 * level) - 1.0 / (360.0 * level**3)
    large = level * (np.log1p(-empty) + empty) - stirling
    small = level * np.log(mean) - mean - special.gammaln(level + 1.0)
    at_level = np.exp(np.maximum(np.where(level > 200.0, large, small), -745.0))
    above = special.gammainc(level + 1.0, mean)
    return np.maximum(mean * at_level - (level - mean) * above, 0.0) / steps


def _priority_factor(sigma: FloatArray) -> FloatArray:
    above = np.concatenate([[0.0], sigma[:-1]])
    room = np.maximum(1.0 - above, 0.0) * np.maximum(1.0 - sigma, 0.0)
    return np.where(room > 0, 1.0 / np.where(room > 0, room, 1.0), np.inf)
