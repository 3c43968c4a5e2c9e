"""Sample paths of demand, orders and receipts through a forest: events, no formulas of stock theory.

First come first served fixes the path: with S pieces at the start, the k-th demand at a site is served by the
(k - S)-th receipt. So all parts and sites of one echelon are one sorted array of events; demands climb to HQ,
receipts come down. Nothing is assumed about distributions, independence or steady state.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from spareplan.maths.units import DAYS_PER_YEAR
from spareplan.stocking._forest import Forest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BATCHES = 20
# Runs of a part whose rate is unknown: each lives in a world of its own.
WORLDS = 60
# Waits are sums and differences of times in days; below this they are rounding.
INSTANT = 1e-7
# A renewal stream steadier than this is a clock.
STEADIEST = 1e-3


@dataclass(frozen=True)
class Runs:
    """A forest copied into independent runs, and the time axis of each row.

    Parameters
    ----------
    source : ndarray of int, shape (m,)
        Row of the forest that each row copies.
    parent, depth : ndarray of int, shape (m,)
        As in the forest, among the copies.
    warm, length : ndarray, shape (m,)
        Days until every order of the empty past is in, and days that are measured. [days]
    run : ndarray of int, shape (m,)
        Number of the run among those of its part.
    first_batch, batches : ndarray of int, shape (m,)
        Batches that the measured time of this row fills, out of BATCHES.
    """

    source: IntArray
    parent: IntArray
    depth: IntArray
    warm: FloatArray
    length: FloatArray
    run: IntArray
    first_batch: IntArray
    batches: IntArray


class Events(NamedTuple):
    """Arrivals at the rows of one echelon, sorted by row and time.

    Parameters
    ----------
    row : ndarray of int, shape (k,)
        Row of the runs.
    time : ndarray, shape (k,)
        [days]
    child : ndarray of int, shape (k,)
        Place of the order among the events of the echelon below; -1 for the site's own demand.
    repaired : ndarray of bool, shape (k,)
        The failed piece is repaired at the site, no order goes up.
    """

    row: IntArray
    time: FloatArray
    child: IntArray
    repaired: NDArray[np.bool_]


def part_stream(seed: int, part_id: object) -> np.random.Generator:
    """Random numbers of one part: the same whatever other parts there are, and in whatever order."""
    digest = hashlib.blake2b(str(part_id).encode(), digest_size=8).digest()
    return np.random.default_rng(np.random.SeedSequence([seed, int.from_bytes(digest, "big")]))


def lay_runs(forest: Forest, rows: IntArray, years: float) -> Runs:
    """Copy the rows of some parts into runs: one long run, or WORLDS short ones where the rate is unknown.

    Parameters
    ----------
    forest : Forest
    rows : ndarray of int
        Whole parts.
    years : float
        Time to measure per part, over all its runs. [years]

    Returns
    -------
    Runs
        A rate that is unknown (rate_cv2) is drawn anew in every run and holds throughout it.
    """
    copies = np.where(_part_any(forest, forest.spread > 0)[rows], WORLDS, 1)
    source = np.repeat(rows, copies)
    run = np.arange(len(source)) - np.repeat(np.cumsum(copies) - copies, copies)
    order = np.lexsort((source, run, forest.part[source]))
    source, run = source[order], run[order]
    above = forest.parent[source]
    key = source * WORLDS + run
    by_key = np.argsort(key)
    found = np.searchsorted(key[by_key], np.maximum(above, 0) * WORLDS + run)
    parent = np.where(above >= 0, by_key[np.minimum(found, len(key) - 1)], -1)
    days = np.maximum(forest.lead, np.where(forest.return_share > 0, forest.return_days, 0.0))
    days = np.maximum(days, np.where(forest.repair_share > 0, forest.repair_days, 0.0))
    longest = days.copy()
    for depth in range(1, int(forest.depth.max(initial=0)) + 1):
        at = forest.rows_at(depth)
        longest[at] += longest[forest.parent[at]]
    warm = np.zeros(len(forest.part_ids))
    np.maximum.at(warm, forest.part, longest)
    many = np.repeat(copies, copies)[order]
    return Runs(
        source=source, parent=parent, depth=forest.depth[source], warm=warm[forest.part[source]],
        length=years * DAYS_PER_YEAR / many, run=run,
        first_batch=run * BATCHES // WORLDS, batches=np.where(many > 1, 1, BATCHES),
    )  # fmt: skip


def draw_demand(forest: Forest, runs: Runs, seed: int) -> Events:
    """Own demand of every row: Poisson; in order sizes (vmr > 1); steadier (vmr < 1); with an unknown rate.

    Parameters
    ----------
    forest : Forest
    runs : Runs
    seed : int

    Returns
    -------
    Events
        Of all echelons, unsorted. Order sizes are logarithmic, which makes the demand of any window negative
        binomial of that vmr; a steadier stream is a gamma renewal process whose long windows have that vmr;
        an unknown rate is gamma, high or low at all sites of the part together, and holds for a run.
    """
    rows, times = [], []
    starts = np.flatnonzero(np.r_[True, np.diff(forest.part[runs.source]) != 0])
    stops = np.r_[starts[1:], len(runs.source)]
    own, own_vmr, cv2 = (values[runs.source] for values in (forest.own, forest.vmr, forest.rate_cv2))
    horizon = 2 * runs.warm + runs.length
    for start, stop in zip(starts, stops):
        chance = part_stream(seed, forest.part_ids[forest.part[runs.source[start]]])
        span = slice(start, stop)
        rate = own[span].copy()
        if (cv2[span] > 0).any():
            # One draw per world, stratified so that few worlds show the whole law of the rate.
            level = (chance.permutation(WORLDS) + chance.random(WORLDS)) / WORLDS
            vague = cv2[span] > 0
            shape = 1 / cv2[span][vague]
            rate[vague] *= special.gammaincinv(shape, level[runs.run[span][vague]]) / shape
        lumpy, steady = own_vmr[span] > 1 + 1e-9, own_vmr[span] < 1 - 1e-9
        share = np.where(lumpy, 1 - 1 / np.maximum(own_vmr[span], 1), 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.where(lumpy, -share / ((1 - share) * np.log1p(-share)), 1.0)
        count = chance.poisson(np.where(steady, 0.0, rate / size * horizon[span]))
        at = np.repeat(np.arange(start, stop), count)
        when = chance.random(len(at)) * horizon[at]
        if lumpy.any():
            pieces = np.ones(len(at), dtype=np.int64)
            big = lumpy[at - start]
            pieces[big] = chance.logseries(share[at[big] - start])
            at, when = np.repeat(at, pieces), np.repeat(when, pieces)
        rows.append(at)
        times.append(when)
        clocks = np.flatnonzero(steady & (rate > 0))
        if len(clocks):
            at, when = _renewals(rate[clocks], own_vmr[span][clocks], horizon[span][clocks], chance)
            rows.append(start + clocks[at])
            times.append(when)
    row = np.concatenate(rows) if rows else np.empty(0, np.int64)
    time = np.concatenate(times) if times else np.empty(0)
    return Events(row, time, np.full(len(row), -1), np.zeros(len(row), dtype=bool))


def _renewals(
    rate: FloatArray, vmr: FloatArray, horizon: FloatArray, chance: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Gamma renewal streams in equilibrium: position of the stream and time of each event. [days]."""
    shape = 1 / np.maximum(vmr, STEADIEST)
    mean = rate * horizon
    many = (mean + 8 * np.sqrt(mean) + 12).astype(np.int64)
    at = np.repeat(np.arange(len(rate)), many)
    first = np.cumsum(many) - many
    gap = chance.gamma(shape[at]) / (shape * rate)[at]
    # Time zero falls into a gap, into long ones rather: what is left of it is a uniform share of a long gap.
    gap[first] = chance.random(len(rate)) * chance.gamma(shape + 1) / (shape * rate)
    total = np.cumsum(gap)
    when = total - np.repeat(total[first] - gap[first], many)
    live = when < horizon[at]
    return at[live], when[live]


def climb(forest: Forest, runs: Runs, own: Events, seed: int) -> list[Events]:
    """Demands on their way up: own demand and the orders of the echelon below, merged in time.

    Parameters
    ----------
    forest : Forest
    runs : Runs
    own : Events
        From `draw_demand`.
    seed : int

    Returns
    -------
    list of Events
        By echelon, HQ first.
    """
    deepest = int(runs.depth.max(initial=0))
    echelons: list[Events] = [own] * (deepest + 1)
    orders = Events(own.row[:0], own.time[:0], own.child[:0], own.repaired[:0])
    for depth in range(deepest, -1, -1):
        mine = np.flatnonzero(runs.depth[own.row] == depth)
        row = np.concatenate([own.row[mine], orders.row])
        time = np.concatenate([own.time[mine], orders.time])
        child = np.concatenate([own.child[mine], orders.child])
        order = np.lexsort((time, row))
        row, time, child = row[order], time[order], child[order]
        # Only a piece that failed here can be repaired here; the orders of the echelon below bring none.
        repaired = _coins(forest, runs, row, forest.own_repaired, seed, depth) & (child < 0)
        echelons[depth] = Events(row, time, child, repaired)
        up = np.flatnonzero(~repaired)
        orders = Events(runs.parent[row[up]], time[up], up, repaired[up])
    return echelons


def descend(
    forest: Forest, runs: Runs, echelons: list[Events], seed: int
) -> list[tuple[FloatArray, FloatArray]]:
    """Receipts on their way down: when each demand is served, and when each order is received.

    Parameters
    ----------
    forest : Forest
    runs : Runs
    echelons : list of Events
        From `climb`.
    seed : int

    Returns
    -------
    list of (served, received)
        Per echelon, in the order of its events; `received` sorted within each row. [days]
    """
    out = []
    arrival = np.empty(0)
    for depth, events in enumerate(echelons):
        source = runs.source[events.row]
        first = _first_of_row(events.row)
        if depth == 0:
            returned = _coins(forest, runs, events.row, forest.return_share, seed, -1) & ~events.repaired
            bought = ~events.repaired & ~returned
            ordered = _order_times(forest, runs, events, bought, seed)
            received = np.where(
                bought, ordered + forest.lead[source], events.time + forest.return_days[source]
            )
        else:
            # `arrival` holds the time at which the parent served each order that went up from here.
            received = arrival + forest.lead[source]
        received = np.where(events.repaired, events.time + forest.repair_days[source], received)
        received = received[np.lexsort((received, events.row))]
        stock = forest.least[source]
        rank = np.arange(len(first)) - first
        served = np.where(
            rank < stock, events.time, np.maximum(events.time, received[np.maximum(first + rank - stock, 0)])
        )
        out.append((served, received))
        if depth + 1 < len(echelons):
            arrival = np.full(len(echelons[depth + 1].row), np.nan)
            passed = events.child >= 0
            arrival[events.child[passed]] = served[passed]
    return out


def _order_times(
    forest: Forest, runs: Runs, events: Events, bought: NDArray[np.bool_], seed: int
) -> FloatArray:
    """When the order that brings each bought piece is placed: at its demand, or when a whole lot is due."""
    quantity = (forest.most - forest.least + 1)[runs.source[events.row]]
    ordered = events.time.copy()
    lots = np.flatnonzero(bought & (quantity > 1))
    if not len(lots):
        return ordered
    row, lot = events.row[lots], quantity[lots]
    rank = np.arange(len(lots)) - _first_of_row(row)
    phase = np.zeros(len(runs.source), dtype=np.int64)
    for k in np.unique(row):
        name = forest.part_ids[forest.part[runs.source[k]]]
        draw = part_stream(seed + 1_000_003 * (int(runs.run[k]) + 1), name)
        phase[k] = draw.integers(int(quantity[np.searchsorted(events.row, k)]))
    # Pieces of one lot are ordered with the first of its demands; those of the lot that was under way when
    # the run began are on the shelf already.
    lead_in = rank < phase[row]
    trigger = (rank - phase[row]) // lot * lot + phase[row]
    when = np.where(lead_in, -1e9, events.time[lots][np.maximum(np.arange(len(lots)) - (rank - trigger), 0)])
    ordered[lots] = when
    return ordered


def _first_of_row(row: IntArray) -> IntArray:
    """Place of the first event of the same row, for each event; rows stand together."""
    if not len(row):
        return np.empty(0, dtype=np.int64)
    new = np.flatnonzero(np.r_[True, np.diff(row) != 0])
    return np.repeat(new, np.diff(np.r_[new, len(row)]))


def _coins(
    forest: Forest, runs: Runs, row: IntArray, share: FloatArray, seed: int, salt: int
) -> NDArray[np.bool_]:
    """Toss for every event, from the random numbers of its part: the events of a part stand together."""
    out = np.zeros(len(row), dtype=bool)
    chances = share[runs.source[row]]
    if not (chances > 0).any():
        return out
    part = forest.part[runs.source[row]]
    starts = np.flatnonzero(np.r_[True, np.diff(part) != 0])
    for start, stop in zip(starts, np.r_[starts[1:], len(row)]):
        if (chances[start:stop] > 0).any():
            draw = part_stream(seed + 7_919 * (salt + 2), forest.part_ids[part[start]])
            out[start:stop] = draw.random(stop - start) < chances[start:stop]
    return out


def _part_any(forest: Forest, flag: NDArray[np.bool_]) -> NDArray[np.bool_]:
    hit = np.zeros(len(forest.part_ids), dtype=bool)
    hit[forest.part[flag]] = True
    return hit[forest.part]
