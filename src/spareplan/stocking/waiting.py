"""Exact law of the wait: the share of demand that is served within t days, in any tree.

Tag a demand at time 0 and ask t days later: of the pieces ordered before it, how many are still to come
(Y)? With tau = 1 while its own order is to come, first come first served gives W <= t exactly if
Y + tau <= S. At a site with lead time L below a parent with stock S':

- t < L: Y = Poisson(l (L - t)) + Binomial(B', p), and tau = 1;
- t >= L: the parent's own (Y', tau') at t - L decide. K = (Y' + tau' - S')+ orders are unserved there, the
  tagged one among them (tau = 1) unless K = 0, and Y = Binomial(K - 1, p).

Pieces may overtake each other where lead times are mixed (repaired at HQ or bought): there Y also falls by
the later orders that came first, and the law is exact, too. At a site that repairs part of its own failures
a later order may come before the tagged one's piece leaves the workshop: of the orders after the tagged one,
the parent has served A + min(C, B) by then, A those that are in, B those that are not, and
C = S' - Y' - tau' the pieces left over for them. Below HQ this is exact, below a depot nearly so.

References
----------
.. [1] Graves (1985), A multi-echelon inventory model for a repairable item with one-for-one replenishment.
.. [2] Kruse (1981), Waiting time in a continuous review (s, S) inventory system with constant lead times.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.maths import distributions
from spareplan.stocking._forest import Forest
from spareplan.stocking._wait_laws import INSTANT, WaitLaws
from spareplan.stocking.echelons import SMALL, STRETCH, TWO_MOMENT, evaluation_codes, shown
from spareplan.stocking.laws import positions, station_moments
from spareplan.stocking.lot_laws import lot_service
from spareplan.stocking.lots import lot_noise
from spareplan.stocking.moments import forest_moments, metric_service

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def wait_shares(forest: Forest, times: FloatArray, method: str = "exact") -> FloatArray:
    """Share of all demand arriving at each row that waits at most each time.

    Parameters
    ----------
    forest : Forest
    times : ndarray, shape (T,)
        [days]
    method : {"exact", "two_moment", "metric"}
        "exact" takes overdispersed parts by two moments.

    Returns
    -------
    ndarray, shape (n, T)
        NaN where nothing is demanded.
    """
    out = np.empty((len(forest), len(times)))
    compiled = len(forest) > SMALL
    for rows in shown(forest.stretches(STRETCH), len(forest), "wait laws"):
        out[rows] = _shares(forest.cut(rows), times, method, compiled)
    out[forest.demand <= 0] = np.nan
    return np.clip(out, 0.0, 1.0)


def _shares(forest: Forest, times: FloatArray, method: str, compiled: bool) -> FloatArray:
    exact = evaluation_codes(forest, method) < TWO_MOMENT
    out = np.full((len(forest), len(times)), np.nan)
    lots = forest.in_lots
    if lots.any() and not lots.all():
        for rows in (np.flatnonzero(lots), np.flatnonzero(~lots)):
            out[rows] = _shares(forest.cut(rows), times, method, compiled)
        return out
    if exact.any():
        if lots.any():
            shares = lot_service(forest, exact, times)[1]
        else:
            shares = (kernel_shares if compiled else exact_shares)(forest, times, exact)
        out[exact] = shares[exact]
    if not exact.all():
        out[~exact] = moment_shares(forest, times, method == "metric")[~exact]
    return out


def exact_shares(forest: Forest, times: FloatArray, wanted: BoolArray) -> FloatArray:
    """Share that waits at most each time, by whole laws (row by row, plain numpy).

    Parameters
    ----------
    forest : Forest
    times : ndarray, shape (T,)
        [days]
    wanted : ndarray of bool, shape (n,)
        Rows to compute; the others stay NaN.

    Returns
    -------
    ndarray, shape (n, T)
    """
    out = np.full((len(forest), len(times)), np.nan)
    below_repair = forest.below_repair
    part, laws = -1, WaitLaws(forest, below_repair)
    for row in np.flatnonzero(wanted):
        if forest.part[row] != part:
            part, laws = forest.part[row], WaitLaws(forest, below_repair)
        for column, time in enumerate(times):
            out[row, column] = laws.share(int(row), float(time))
    return out


def kernel_shares(forest: Forest, times: FloatArray, wanted: BoolArray) -> FloatArray:
    """Share that waits at most each time, by the compiled kernels as far as they reach: for large networks.

    Parameters
    ----------
    forest : Forest
    times : ndarray, shape (T,)
        [days]
    wanted : ndarray of bool, shape (n,)
        Rows to compute; the others stay NaN.

    Returns
    -------
    ndarray, shape (n, T)
        The numbers of `exact_shares`.

    Notes
    -----
    Where supplies of different length let pieces overtake each other, the plain road goes on.
    """
    from spareplan.stocking.pipelines import lay_out
    from spareplan.stocking.pricing import measure
    from spareplan.stocking.windows import lay_windows

    quantity = np.ones(len(forest.part_ids), dtype=np.int64)
    top = forest.rows_at(0)
    quantity[forest.part[top]] = (forest.most - forest.least + 1)[top]
    pipelines = lay_out(forest, np.ones(len(forest.part_ids)), "exact", quantity)
    rows = pipelines.forest_rows
    out = np.full((len(forest), len(times)), np.nan)
    for column, time in enumerate(times):
        windows, exact = lay_windows(forest, pipelines, np.full(len(rows), float(time)))
        late = measure(replace(pipelines, windows=windows), forest.most[rows]).late
        out[rows, column] = 1 - late
        rest = np.zeros(len(forest), bool)
        rest[rows] = ~exact
        rest &= forest.demand > 0
        out[rest, column] = exact_shares(forest, times[column : column + 1], rest)[rest, 0]
    return out


def moment_shares(forest: Forest, times: FloatArray, metric: bool = False) -> FloatArray:
    """Share that waits at most each time, pieces still to come taken as negative binomial.

    Parameters
    ----------
    forest : Forest
    times : ndarray, shape (T,)
        [days]
    metric : bool
        Every count as Poisson.

    Returns
    -------
    ndarray, shape (n, T)
        At time 0 the fill rate of `two_moment_service`.
    """
    rows = np.arange(len(forest))
    if metric:
        ebo = metric_service(forest).ebo
        steady = Steady(ebo, ebo, np.zeros(len(forest)), metric)
    else:
        moments = forest_moments(forest)
        steady = Steady(moments.backlog, moments.backlog_variance, moments.backlog_tie, metric)
    out = np.empty((len(forest), len(times)))
    for column, time in enumerate(times):
        out[:, column] = _moment_share(forest, rows, np.full(len(rows), time), steady)
    return out


class Steady(NamedTuple):
    """Backorders of every row at any time: mean, variance, covariance with the common rate; METRIC or not."""

    backlog: FloatArray
    variance: FloatArray
    tie: FloatArray
    metric: bool


def _moment_share(forest: Forest, rows: IntArray, time: FloatArray, steady: Steady) -> FloatArray:
    mean, variance, seen = _still_to_come(forest, rows, time, steady)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = seen * np.where(mean > 0, variance / mean, 1.0)
    out = np.zeros(len(rows))
    for stock, part, weight in positions(forest.least[rows], forest.most[rows]):
        out[part] += weight * distributions.cdf(stock - 1, seen[part], found[part])
    # Without stock the tagged piece itself must come.
    bare = np.flatnonzero(forest.least[rows] == 0)
    if not len(bare):
        return out
    at, when = rows[bare], time[bare]
    come = forest.repair_share[at] * (when >= forest.repair_days[at] - INSTANT)
    up = np.zeros(len(at))
    top = forest.parent[at] < 0
    back = forest.return_share[at]
    in_time = (when >= forest.lead[at] - INSTANT).astype(float)
    up[top] = ((1 - back) * in_time + back * (when >= forest.return_days[at] - INSTANT))[top]
    lower = np.flatnonzero(~top & (in_time > 0))
    if len(lower):
        later = np.maximum(when[lower] - forest.lead[at[lower]], 0.0)
        up[lower] = _moment_share(forest, forest.parent[at[lower]], later, steady)
    chance = come + (1 - forest.repair_share[at]) * up
    out[bare] += chance / (forest.most[at] - forest.least[at] + 1)
    return out


def _still_to_come(
    forest: Forest, rows: IntArray, time: FloatArray, steady: Steady
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Pieces ordered before a tagged demand and not in after `time`: mean, variance, mean it finds."""
    repaired, back = forest.repair_share[rows], forest.return_share[rows]
    lead_left = np.maximum(forest.lead[rows] - time, 0.0)
    days = repaired * np.maximum(forest.repair_days[rows] - time, 0.0) + (1 - repaired) * (
        (1 - back) * lead_left + back * np.maximum(forest.return_days[rows] - time, 0.0)
    )
    local = forest.demand[rows] * days
    beyond = np.maximum(forest.excess[rows], 0.0) * days + (forest.spread[rows] * days) ** 2
    direct = local + np.where(forest.overdispersed[rows], beyond, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        part_left = np.where(forest.pipeline[rows] > 0, local / forest.pipeline[rows], 0.0)
    own_tie = forest.rate_tie[rows] * part_left
    together = forest.seen_ahead[rows] - forest.rate_tie[rows]
    parent, share = forest.parent[rows], forest.share[rows]
    e, v, tie = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
    below = parent >= 0
    e[below], v[below], tie[below] = (values[parent[below]] for values in steady[:3])
    past = np.flatnonzero(below & (time >= forest.lead[rows] - INSTANT))
    if len(past):
        # What the tagged order finds at the parent stands before it here, too.
        e[past], v[past] = _found_backlog(forest, parent[past], time[past] - forest.lead[rows[past]], steady)
        tie[past], together[past] = 0.0, 0.0
    mean, variance = station_moments(
        local, direct, share, e, v, forest.parent_lump[rows], local * share * tie
    )
    if steady.metric:
        return mean, mean, mean
    in_lots = np.flatnonzero(forest.in_lots[rows] & (mean > 0))
    if len(in_lots):
        noise = lot_noise(forest, rows[in_lots], mean[in_lots] / forest.demand[rows[in_lots]])
        variance[in_lots] += noise.variance
        together[in_lots] += noise.ahead
    return mean, variance, mean + np.where(mean > 0, own_tie + together + share * tie, 0.0)


def _found_backlog(
    forest: Forest, rows: IntArray, time: FloatArray, steady: Steady
) -> tuple[FloatArray, FloatArray]:
    """Two moments of the orders unserved at a parent ahead of a tagged one, `time` days after it."""
    mean, variance, seen = _still_to_come(forest, rows, np.maximum(time, 0.0), steady)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = seen * np.where(mean > 0, variance / mean, 1.0)
    first, second = np.zeros(len(rows)), np.zeros(len(rows))
    for stock, part, weight in positions(forest.least[rows], forest.most[rows]):
        e, v = distributions.backlog(stock, seen[part], found[part])
        first[part] += weight * e
        second[part] += weight * (v + e**2)
    return first, np.maximum(second - first**2, 0.0)
