"""A region under load: the fuller it is, the farther the next engineer has to drive.

Orders that find many engineers free are served from near by, orders that had to queue are served from
wherever an engineer comes free. So the service rate depends on the state; a birth and death chain carries
that, where Erlang's formula with the mean travel is too hopeful just when it matters.

References
----------
.. [1] Larson (1974), A hypercube queuing model for facility location, Computers and Operations Research 1.
.. [2] Davis (1966), Operations Research 14: the wait under priorities (`spareplan.staffing.waits`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.staffing.nearness import (
    as_near_as,
    continued,
    drive_at,
    nearer_still,
    share_within,
    spread_out,
)
from spareplan.staffing.waits import delayed_tail

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Weight of the wait scaled for variable service at waits of half a service time; checked by simulation.
_SCALED_FROM = 0.5
# The arrival law needs the travel of queued orders only in steps of 4 %.
_QUEUED_STEPS = 25
_FOLLOW_STEPS = 4
# Engineers who are nearer than so many times their number at random count as that near.
_NEARER = 2
_TAIL_TIMES = np.array([0.0, 0.02, 0.06, 0.13, 0.23, 0.36, 0.52, 0.74, 1.0])


@dataclass(frozen=True)
class RegionRows:
    """Regions (or region-months) with their orders, one row each.

    Parameters
    ----------
    rates : ndarray, shape (R, K)
        Visits wanted per hour, most urgent class first. [1/hour]
    work : ndarray, shape (R, K)
        Mean time at the machine and on the way back. [hours]
    scv : ndarray, shape (R,)
        Squared coefficient of variation of work and travel together.
    place : ndarray of int, shape (R,)
        Row of `travel` and `spread` that holds the region.
    travel : ndarray, shape (places, F)
        Mean drive of the nearest of 1..F free engineers. [hours]
    spread : ndarray, shape (places, F, Q)
        Its quantiles at the shares (i + 0.5) / Q. [hours]
    follow : ndarray, shape (R, K), optional
        Share of the visits that follow a failed one at once (`Repairs.follow`); None: no visit does. Where
        nobody else is free and nobody as urgent waits, he who failed is sent again, without a drive.
    settled : ndarray, shape (places, F), optional
        Where hardly anybody is busy, 1..F engineers are as near as so many of the table
        (`spareplan.staffing.travel.DistanceTable`); None: as they are. [engineers]
    """

    rates: FloatArray
    work: FloatArray
    scv: FloatArray
    place: IntArray
    travel: FloatArray
    spread: FloatArray
    follow: FloatArray | None = None
    settled: FloatArray | None = None

    def pick(self, rows: IntArray) -> RegionRows:
        """Take some of the rows."""
        return replace(
            self,
            rates=self.rates[rows],
            work=self.work[rows],
            scv=self.scv[rows],
            place=self.place[rows],
            follow=None if self.follow is None else self.follow[rows],
        )

    def all_free(self, servers: IntArray) -> FloatArray:
        """Engineers of the table as near as `servers` who are always free, shape (R,)."""
        if self.settled is None:
            return servers.astype(float)
        return continued(self.settled, int(servers.max(initial=1)))[self.place, servers - 1]

    def times(self, factor: float) -> RegionRows:
        """Multiply all rates."""
        return replace(self, rates=self.rates * factor)

    def reaching(self, most: int) -> RegionRows:
        """Continue the tables of drives to `most` free engineers: distance falls with the root of them."""
        have = self.travel.shape[1]
        if most <= have:
            return self
        closer = np.sqrt(have / np.arange(have + 1.0, most + 1.0))
        return replace(
            self,
            travel=np.concatenate([self.travel, self.travel[:, -1:] * closer], axis=1),
            spread=np.concatenate([self.spread, self.spread[:, -1:] * closer[:, None]], axis=1),
            settled=None if self.settled is None else continued(self.settled, most),
        )


class Congestion(NamedTuple):
    """State of each row with its engineers.

    Parameters
    ----------
    free : ndarray, shape (R, F)
        Probability that an order finds the nearest free engineer as near as 1..F of the table are; F is the
        end of the table, or beyond it as many as are that near.
    waiting : ndarray, shape (R,)
        Probability that it finds none.
    service : ndarray, shape (R,)
        Mean drive and work of an order that waited. [hours]
    utilisation : ndarray, shape (R,)
        Busy share of an engineer; 1 where the load cannot be carried.
    drive : ndarray, shape (R,)
        Mean drive over all orders. [hours]
    """

    free: FloatArray
    waiting: FloatArray
    service: FloatArray
    utilisation: FloatArray
    drive: FloatArray


def congestion(rows: RegionRows, servers: IntArray) -> Congestion:
    """Solve the chain of busy engineers with state-dependent service.

    Parameters
    ----------
    rows : RegionRows
    servers : ndarray of int, shape (R,)
        Engineers on duty, at least 1.

    Returns
    -------
    Congestion

    Notes
    -----
    An order that finds n - j engineers free takes S_j = work + drive(n - j), so p_{j+1} = p_j lambda S_j /
    (j + 1); with S_q = work + drive(1) and rho_q = lambda S_q / n the waiting share is p_n / (1 - rho_q),
    normalised.
    """
    total = rows.rates.sum(axis=1)
    lam = np.maximum(total, 1e-300)
    work = np.where(total > 0, (rows.rates * rows.work).sum(axis=1) / lam, rows.work.mean(axis=1))
    widest = int(servers.max(initial=1))
    hours = rows.travel[rows.place]
    places = max(hours.shape[1], widest)
    busy = np.arange(widest)
    free = servers[:, None] - busy[None, :]
    exists = free >= 1
    near = np.maximum(free, 1).astype(float)
    if rows.settled is not None:
        idle = 1.0 - np.minimum(total * (work + drive_at(hours, servers[:, None])[:, 0]) / servers, 1.0)
        near = as_near_as(near, servers, rows.all_free(servers), idle)
    drive = drive_at(hours, near)
    # A visit that follows a failed one meets one free engineer fewer; the last is there already.
    again = 0.0 if rows.follow is None else ((rows.rates * rows.follow).sum(axis=1) / lam)[:, None]
    fewer = np.concatenate([drive[:, 1:], np.zeros((len(lam), 1))], axis=1)
    drive = drive + again * (np.where(free > 1, fewer, 0.0) - drive)
    service = work[:, None] + drive
    steps = np.where(exists, np.log(lam[:, None] * service / (busy + 1.0)), 0.0)
    logs = np.concatenate([np.zeros((len(lam), 1)), np.cumsum(steps, axis=1)], axis=1)
    last = np.take_along_axis(logs, servers[:, None], axis=1)[:, 0]
    shares = rows.rates / lam[:, None]
    far = np.where(total > 0, (shares * _queued_drive(rows, servers)).sum(axis=1), hours[:, 0])
    queued = work + far
    load = total * queued / servers
    stable = load < 1.0
    logs = np.where(exists, logs[:, :-1], -np.inf)
    top = np.maximum(logs.max(axis=1), last)
    chance = np.exp(logs - top[:, None])
    waits = np.exp(last - top) / np.where(stable, 1.0 - load, 1.0)
    whole = chance.sum(axis=1) + waits
    chance = np.where(stable[:, None], chance / whole[:, None], 0.0)
    waiting = np.where(stable, waits / whole, 1.0)
    nearest = min(int(np.ceil(near.max(initial=1.0))), _NEARER * widest)
    seen = spread_out(chance, near, max(places, nearest))
    mean_drive = (chance * np.where(exists, drive, 0.0)).sum(axis=1) + waiting * far
    utilisation = np.where(stable, total * (work + mean_drive) / servers, 1.0)
    return Congestion(seen, waiting, queued, utilisation, mean_drive)


def queue_tail(
    rows: RegionRows, state: Congestion, servers: IntArray, times: FloatArray, ahead: FloatArray | None = None
) -> FloatArray:
    """P(wait > t) of orders that have to wait, by class.

    Parameters
    ----------
    rows : RegionRows
    state : Congestion
    servers : ndarray of int, shape (R,)
    times : ndarray, shape (R, K) or (R, K, T)
        [hours]
    ahead : ndarray, shape (K,), optional
        Orders to come while an order of the class waits, against the rates of `rows`; None: as many.

    Returns
    -------
    ndarray, shape of `times`
        Exact for exponential service with equal means; classes of other means enter by their work, and the
        variability of service scales long waits only (short ones end with the next departure, whatever
        the law).
    """
    wide = times.ndim == 3
    own, above = load_shares(rows, servers, ahead)
    if wide:
        own, above = own[..., None], above[..., None]
    first = (slice(None), None, None) if wide else (slice(None), None)
    return _blended_tail(
        above, own, (servers / state.service)[first], rows.scv[first], state.service[first], times
    )


def response_kept(
    rows: RegionRows,
    state: Congestion,
    servers: IntArray,
    limits: FloatArray,
    arrival: NDArray[np.bool_],
    within: dict[int, FloatArray] | None = None,
    ahead: FloatArray | None = None,
    decide: FloatArray | None = None,
) -> FloatArray:
    """Share of orders answered within their limit.

    Parameters
    ----------
    rows : RegionRows
    state : Congestion
    servers : ndarray of int, shape (R,)
    limits : ndarray, shape (K,)
        NaN: no promise. [hours]
    arrival : ndarray of bool, shape (K,)
        True: the engineer must have arrived; False: he must have been sent.
    within : dict of int to ndarray, shape (places, F), optional
        `share_within` of the arrival classes, where it is already known.
    ahead : ndarray, shape (K,), optional
        As in `queue_tail`.
    decide : ndarray, shape (K,), optional
        Where it only matters whether a share is at least this, it is told by bounds that are quick; None:
        every share exact.

    Returns
    -------
    ndarray, shape (R, K)
        NaN without a promise.
    """
    wide = np.broadcast_to(limits, rows.rates.shape)
    kept = np.full(wide.shape, np.nan)
    sent = np.flatnonzero(~arrival & ~np.isnan(limits))
    own, above = load_shares(rows, servers, ahead)
    fixed = (servers / state.service)[:, None], rows.scv[:, None], state.service[:, None]
    tail = _blended_tail(above[:, sent], own[:, sent], *fixed, wide[:, sent])
    kept[:, sent] = 1.0 - state.waiting[:, None] * tail
    size = rows.spread.shape[2]
    middles = rows.spread[:, 0, (np.arange(_QUEUED_STEPS) * size + size // 2) // _QUEUED_STEPS]
    for k in np.flatnonzero(arrival & ~np.isnan(limits)):
        limit = float(limits[k])
        near = share_within(rows.spread, limit) if within is None else within[int(k)]
        near = nearer_still(rows.spread, near, limit, state.free.shape[1])
        left = (limit - middles)[rows.place]
        at_once = (state.free * near[rows.place]).sum(axis=1)
        best = at_once + state.waiting * (left >= 0).mean(axis=1)
        unsure = np.ones(len(best), bool)
        kept[:, k] = at_once
        if decide is not None:
            unsure = (at_once < decide[k]) & (best >= decide[k])
            kept[:, k] = np.where(at_once >= decide[k], at_once, best)
        some = np.flatnonzero(unsure)
        if not len(some):
            continue
        # The tail is smooth in time: computed at few times and read off between them.
        times = limit * _TAIL_TIMES
        tail = _blended_tail(
            above[some, k, None],
            own[some, k, None],
            fixed[0][some],
            fixed[1][some],
            fixed[2][some],
            np.broadcast_to(times, (len(some), len(times))),
        )
        weights = _between(times, np.maximum(limit - middles, 0.0))
        late = np.einsum("rt,rqt->rq", np.log(np.maximum(tail, 1e-300)), weights[rows.place[some]])
        late = np.where(left[some] < 0, 1.0, np.exp(late))
        kept[some, k] = at_once[some] + state.waiting[some] * (1.0 - late).mean(axis=1)
    return np.clip(kept, 0.0, 1.0)


def free_to_reach(rows: RegionRows, limit: float, share: float) -> FloatArray:
    """Least free engineers of whom the nearest arrives in time often enough.

    Parameters
    ----------
    rows : RegionRows
    limit : float
        [hours]
    share : float
        Wanted.

    Returns
    -------
    ndarray, shape (places,)
        Infinite for a limit of 0 where anybody has to drive. Where machines are spread evenly over an area A
        and nothing else matters it is -log(1 - share) A / (pi reach^2) [1]_; the table knows edges, clusters
        and where engineers are left over.

    References
    ----------
    .. [1] Larson, Odoni (1981), Urban Operations Research, ch. 3.
    """
    kept = share_within(rows.spread, limit) >= share
    have = rows.spread.shape[1]
    size = rows.spread.shape[2]
    last = rows.spread[:, -1]
    place = np.clip(share * size - 0.5, 0.0, size - 1.0)
    low = int(place)
    wanted = last[:, low] + (place - low) * (last[:, min(low + 1, size - 1)] - last[:, low])
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.where(wanted <= limit, have, np.ceil(have * (wanted / limit) ** 2))
    wanted = np.where(kept.any(axis=1), kept.argmax(axis=1) + 1.0, np.maximum(beyond, have))
    if rows.settled is None:
        return wanted
    # Fewer will do who are all free and keep to patches of their own.
    farther = np.ceil(wanted * have / rows.settled[:, -1])
    return np.where(rows.settled[:, -1] < wanted, farther, (rows.settled < wanted[:, None]).sum(axis=1) + 1.0)


def load_shares(
    rows: RegionRows, servers: IntArray, ahead: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Share the capacity among the classes while all are busy: own and higher ones, higher ones only."""
    per_order = rows.work + _queued_drive(rows, servers)
    own = np.cumsum(rows.rates * per_order, axis=1) / servers[:, None]
    above = np.concatenate([np.zeros((len(own), 1)), own[:, :-1]], axis=1)
    return (own, above) if ahead is None else (own * ahead, above * ahead)


def _queued_drive(rows: RegionRows, servers: IntArray) -> FloatArray:
    """Mean drive of a visit that finds nobody free, shape (R, K)."""
    far = np.repeat(rows.travel[rows.place, :1], rows.rates.shape[1], axis=1)
    if rows.follow is None:
        return far
    drive = far
    # Where nobody as urgent waits, who failed goes on; that chance needs the drive again.
    for _ in range(_FOLLOW_STEPS):
        own = np.cumsum(rows.rates * (rows.work + drive), axis=1) / servers[:, None]
        drive = far * (1.0 - rows.follow * (1.0 - np.clip(own, 0.0, 1.0)))
    return drive


def _blended_tail(
    above: FloatArray,
    own: FloatArray,
    capacity: FloatArray,
    scv: FloatArray,
    service: FloatArray,
    times: FloatArray,
) -> FloatArray:
    plain = delayed_tail(above, own, capacity, times)
    scaled = delayed_tail(above, own, capacity, times * 2.0 / (1.0 + scv))
    ratio = np.maximum(times, 0.0) / service
    weight = ratio / (ratio + _SCALED_FROM)
    with np.errstate(divide="ignore"):
        return np.exp((1.0 - weight) * np.log(plain) + weight * np.log(scaled))


def _between(knots: FloatArray, wanted: FloatArray) -> FloatArray:
    """Weights that read values off between knots on straight lines, shape (*wanted.shape, knots)."""
    place = np.clip(np.searchsorted(knots, wanted, side="right") - 1, 0, len(knots) - 2)
    part = np.clip((wanted - knots[place]) / np.maximum(knots[place + 1] - knots[place], 1e-300), 0.0, 1.0)
    out = np.zeros((*wanted.shape, len(knots)))
    np.put_along_axis(out, place[..., None], (1.0 - part)[..., None], axis=-1)
    np.put_along_axis(out, place[..., None] + 1, part[..., None], axis=-1)
    return out
