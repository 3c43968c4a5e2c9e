"""Queues with many servers: Erlang B, C and A, and the exact wait of every class under priorities.

The law of the wait itself is in `spareplan.staffing.waits`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem
from spareplan.staffing._arguments import MOST_SERVERS, Arguments
from spareplan.staffing.waits import delayed_tail

FloatArray = NDArray[np.float64]


class AbandonedQueue(NamedTuple):
    """What `erlang_a` gives: share that waits, share that hangs up, mean queue [calls], mean wait [time]."""

    waiting: FloatArray
    abandoning: FloatArray
    queue: FloatArray
    mean_wait: FloatArray


def erlang_b(load: ArrayLike, servers: ArrayLike) -> FloatArray:
    """Share of arrivals lost when nobody can wait.

    Parameters
    ----------
    load : array-like, broadcast to shape (n,)
        Arrival rate x mean service time. [erlang]
    servers : array-like of int, broadcast to shape (n,)
        0 loses everybody. [servers]

    Returns
    -------
    ndarray, shape (n,)
        Share lost.

    Raises
    ------
    DataError
        If load or servers is negative or not finite, or servers is not whole.
    """
    erlang, count = _load_and_servers("erlang_b", load, servers)
    out = np.ones(np.shape(erlang))
    flat, a, n = out.reshape(-1), erlang.reshape(-1), count.reshape(-1)
    for step in range(1, int(n.max(initial=0)) + 1):
        open_ = n >= step
        blocked = a[open_] * flat[open_]
        flat[open_] = blocked / (step + blocked)
    return flat.reshape(out.shape)


def erlang_c(load: ArrayLike, servers: ArrayLike) -> FloatArray:
    """Share of arrivals that must wait when everybody waits (arguments as in `erlang_b`).

    Parameters
    ----------
    load : array-like, broadcast to shape (n,)
        [erlang]
    servers : array-like of int, broadcast to shape (n,)
        [servers]

    Returns
    -------
    ndarray, shape (n,)
        Share waiting; 1 where the load is not below the servers.

    Raises
    ------
    DataError
        As `erlang_b`.
    """
    erlang, count = _load_and_servers("erlang_c", load, servers)
    return _waiting_share(erlang, count, erlang_b(erlang, count))


def erlang_a(
    arrival_rate: ArrayLike, service_rate: ArrayLike, abandon_rate: ArrayLike, servers: ArrayLike
) -> AbandonedQueue:
    """Queue whose callers hang up after an exponential patience (M/M/n+M).

    For the desk only: orders in the field do not abandon.

    Parameters
    ----------
    arrival_rate, service_rate, abandon_rate : array-like, broadcast to shape (n,)
        Calls, services of one server, hang-ups of one waiting caller. [1 / time]
    servers : array-like of int, broadcast to shape (n,)
        [servers]

    Returns
    -------
    AbandonedQueue
        waiting, abandoning (shares), queue [calls], mean_wait [time], each of shape (n,).

    Raises
    ------
    DataError
        If a rate is not positive and finite, or servers is not a whole number of at least 1.

    References
    ----------
    .. [1] Palm (1957); Mandelbaum, Zeltyn (2007), Service engineering in action: the Palm/Erlang-A queue.
    """
    from scipy import special

    given = Arguments("erlang_a")
    rates = {
        "arrival_rate": given.positive("arrival_rate", arrival_rate),
        "service_rate": given.positive("service_rate", service_rate),
        "abandon_rate": given.positive("abandon_rate", abandon_rate),
    }
    lam, mu, theta, n = given.together(**rates, servers=given.whole("servers", servers, least=1))
    given.refuse()
    x, y = n * mu / theta, lam / theta
    # A(x, y) = x e^y y^-x gamma(x, y): by its series where the incomplete gamma may vanish, else by logs.
    series = special.hyp1f1(1.0, x + 1.0, np.minimum(y, 0.5 * x))
    part = special.gammainc(x, np.maximum(y, 0.5 * x))
    with np.errstate(divide="ignore"):
        logs = np.log(x) + y - x * np.log(y) + special.gammaln(x) + np.log(part)
    vanishing = special.hyp1f1(1.0, x + 1.0, np.minimum(y, x))
    ratio = np.where(part > 1e-250, np.exp(np.minimum(logs, 690.0)), vanishing)
    ratio = np.where(y <= 0.5 * x, series, ratio)
    blocked = erlang_b(lam / mu, n)
    waiting = ratio * blocked / (1.0 + (ratio - 1.0) * blocked)
    rho = lam / (n * mu)
    abandoning = waiting * np.maximum(1.0 / (rho * ratio) + 1.0 - 1.0 / rho, 0.0)
    return AbandonedQueue(waiting, abandoning, lam * abandoning / theta, abandoning / theta)


def wait_tail(arrival_rates: ArrayLike, service_rate: float, servers: int, times: ArrayLike) -> FloatArray:
    """Exact P(wait of class k > t) in a queue with non-preemptive priorities (M/M/c).

    Parameters
    ----------
    arrival_rates : array-like, shape (K,)
        One Poisson rate per class, most urgent first; 0 gives the wait a single order of the class would
        have. [1 / time]
    service_rate : float
        Of one server, the same for all classes. [1 / time]
    servers : int
        [servers]
    times : array-like, shape (T,)
        [time]

    Returns
    -------
    ndarray, shape (K, T)
        P(W_k > t); at t = 0 the probability of waiting. Where the total load is not below the servers, the
        classes that are stable together with all above them keep their exact law (every server is then always
        busy, so they surely wait), and the others have 1.0.

    Raises
    ------
    DataError
        If a rate or time is negative or not finite, the service rate is not positive, or there is no server.

    Notes
    -----
    With cap = c mu and sigma_k the load of classes 1..k per server, a delayed order of class k waits for
    N + 1 ends of service, N ~ geometric(sigma_k) orders of classes 1..k being before it, each end of service
    delayed by the busy period of the classes above (rate cap sigma_{k-1} against cap) [1]_.

    References
    ----------
    .. [1] Davis (1966), Operations Research 14, 133-136.
    """
    given = Arguments("wait_tail")
    rates = given.straight("arrival_rates", given.not_negative("arrival_rates", arrival_rates))
    moments = given.straight("times", given.not_negative("times", times))
    mu = given.single("service_rate", given.positive("service_rate", service_rate))
    count = given.single("servers", given.whole("servers", servers, least=1))
    given.refuse()
    capacity = float(mu) * float(count)
    delay = float(_waiting_share(rates.sum() / mu, count, erlang_b(rates.sum() / mu, count)))
    sigma = np.cumsum(rates) / capacity
    above = np.concatenate([[0.0], sigma[:-1]])
    return delay * delayed_tail(above[:, None], sigma[:, None], capacity, moments[None, :])


def servers_needed(
    arrival_rates: ArrayLike,
    service_rate: float,
    limits: ArrayLike,
    targets: ArrayLike,
    max_utilisation: float = 1.0,
) -> int:
    """Least number of servers that keeps the promise of every class at once.

    Parameters
    ----------
    arrival_rates : array-like, shape (K,)
        Most urgent class first. [1 / time]
    service_rate : float
        Of one server. [1 / time]
    limits : array-like, shape (K,)
        Longest promised wait. [time]
    targets : array-like, shape (K,)
        Share of orders promised within the limit, below 1; NaN in limits or targets: no promise.
    max_utilisation : float
        Highest load per server, at most 1.

    Returns
    -------
    int
        Least n >= 1 with P(W_k <= limits[k]) >= targets[k] for all k, load / n <= max_utilisation and
        load < n.

    Raises
    ------
    DataError
        If rates, limits or targets are out of their bounds or of different lengths, or the utilisation is not
        above 0 and at most 1.

    See Also
    --------
    wait_tail : the law behind it.
    servers_needed_rows : the same for many queues at once.
    """
    given = Arguments("servers_needed")
    rates = given.straight("arrival_rates", given.not_negative("arrival_rates", arrival_rates))
    mu = given.single("service_rate", given.positive("service_rate", service_rate))
    limit = given.straight("limits", given.not_negative("limits", limits, unknown=True, endless=True))
    target = given.straight("targets", given.shares("targets", targets, unknown=True))
    given.same_length(arrival_rates=rates, targets=target, limits=limit)
    ceiling = given.utilisation("max_utilisation", max_utilisation)
    load = float(rates.sum() / mu) if not given.problems else 0.0
    if load > ceiling * MOST_SERVERS:
        given.add(
            "arrival_rates", f"{load:g} erlang", "is work for at most a million servers", "check the rates"
        )
    given.refuse()
    return int(servers_needed_rows(rates[None], mu.reshape(1), limit[None], target[None], ceiling)[0])


def servers_needed_rows(
    arrival_rates: FloatArray,
    service_rate: FloatArray,
    limits: FloatArray,
    targets: FloatArray,
    max_utilisation: float = 1.0,
) -> NDArray[np.int64]:
    """`servers_needed` for many queues at once, all of K classes.

    Parameters
    ----------
    arrival_rates, limits, targets : ndarray, broadcast to shape (R, K)
        As in `servers_needed`; not checked. [1 / time, time, share]
    service_rate : ndarray, shape (R,)
        [1 / time]
    max_utilisation : float

    Returns
    -------
    ndarray of int, shape (R,)

    Raises
    ------
    DataError
        If a promise cannot be kept by a million servers.
    """
    rates = np.asarray(arrival_rates, dtype=float)
    limit, target = np.broadcast_to(limits, rates.shape), np.broadcast_to(targets, rates.shape)
    work = np.cumsum(rates, axis=1) / np.asarray(service_rate, dtype=float)[:, None]
    load = work[:, -1]
    least = np.maximum(np.floor(load) + 1, np.ceil(load / max_utilisation - 1e-12)).astype(np.int64)
    promised = ~(np.isnan(limit) | np.isnan(target))
    out = least.copy()
    open_ = np.flatnonzero(promised.any(axis=1))
    # One Erlang B recursion per row, carried along as servers are added.
    blocked = erlang_b(load[open_], least[open_])
    n = least[open_]
    while len(open_):
        delay = _waiting_share(load[open_], n, blocked)
        kept = _promises_kept(
            work[open_] / n[:, None],
            n * service_rate[open_],
            delay,
            limit[open_],
            target[open_],
            promised[open_],
        )
        out[open_] = n
        stay = ~kept
        open_, n, blocked = open_[stay], n[stay] + 1, blocked[stay]
        if len(n) and n.max() > MOST_SERVERS:
            raise DataError(
                [
                    Problem(
                        "servers_needed", 0, "targets", "", "can be kept by a million servers", "promise less"
                    )
                ]
            )
        rejected = load[open_] * blocked
        blocked = rejected / (n + rejected)
    return out


def positions_needed(servers: ArrayLike, absence_share: ArrayLike) -> NDArray[np.int64]:
    """People to employ per post so that leave, illness and courses still leave the servers asked for.

    Parameters
    ----------
    servers : array-like of int, broadcast to shape (n,)
        Wanted at work. [servers]
    absence_share : array-like, broadcast to shape (n,)
        Share of the paid time away, below 1.

    Returns
    -------
    ndarray of int, shape (n,)
        servers / (1 - absence_share), rounded up. [people]

    Raises
    ------
    DataError
        If servers is not a whole number of 0 or more, or the share is not from 0 to below 1.
    """
    given = Arguments("positions_needed")
    count = given.whole("servers", servers, least=0)
    away = given.shares("absence_share", absence_share)
    count, away = given.together(servers=count, absence_share=away)
    given.refuse()
    return np.ceil(count / (1.0 - away) - 1e-9).astype(np.int64)


def _promises_kept(
    sigma: FloatArray,
    capacity: FloatArray,
    delay: FloatArray,
    limit: FloatArray,
    target: FloatArray,
    promised: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    above = np.concatenate([np.zeros((len(sigma), 1)), sigma[:, :-1]], axis=1)
    # A promise is kept at once where few enough wait at all; only the others need the law of the wait.
    unsure = promised & (delay[:, None] > 1.0 - target)
    hopeless = (sigma >= 1.0) & promised
    rows, columns = np.nonzero(unsure & ~hopeless)
    tail = delay[rows] * delayed_tail(
        above[rows, columns], sigma[rows, columns], capacity[rows], limit[rows, columns]
    )
    broken: NDArray[np.bool_] = np.any(hopeless, axis=1)
    np.logical_or.at(broken, rows, 1.0 - tail < target[rows, columns])
    return np.logical_not(broken)


def _waiting_share(load: ArrayLike, servers: ArrayLike, blocked: FloatArray) -> FloatArray:
    a, n = np.asarray(load, dtype=float), np.asarray(servers, dtype=float)
    rho = np.minimum(a / np.maximum(n, 1.0), 1.0)
    return np.where(a < n, blocked / np.maximum(1.0 - rho * (1.0 - blocked), 1e-300), 1.0)


def _load_and_servers(function: str, load: ArrayLike, servers: ArrayLike) -> tuple[FloatArray, FloatArray]:
    given = Arguments(function)
    erlang, count = given.not_negative("load", load), given.whole("servers", servers, least=0)
    a, n = given.together(load=erlang, servers=count)
    given.refuse()
    return a, n
