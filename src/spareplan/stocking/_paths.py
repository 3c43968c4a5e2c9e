"""Sample paths of demand, orders and receipts through a forest: events, no formulas of stock theory.

First come first served fixes the path: with S pieces at the start, the k-th demand at a site is served by the
(k - S)-th receipt. So all parts and sites of one echelon are one sorted array of events; demands climb to HQ,
receipts come down. Nothing is assumed about distributions, independence or steady state.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking._draws import lead_times, phase, toss
from spareplan.stocking._forest import Forest
from spareplan.stocking._runs import Events, Runs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# What was ordered before a run began was ordered long ago. [days]
LONG_AGO = -1e6


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
        repaired = toss(forest, runs, row, forest.own_repaired, seed, depth) & (child < 0)
        echelons[depth] = Events(row, time, child, repaired)
        up = np.flatnonzero(~repaired)
        ordered = _order_times(forest, runs, echelons[depth], ~repaired, seed) if depth else time
        orders = Events(runs.parent[row[up]], ordered[up], up, repaired[up])
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
            returned = toss(forest, runs, events.row, forest.return_share, seed, -1) & ~events.repaired
            came = ~events.repaired & ~returned
            sent = _order_times(forest, runs, events, came, seed)
        else:
            # `arrival` holds the time at which the parent served each order that went up from here.
            came, sent = ~events.repaired, arrival
        received = events.time + np.where(
            events.repaired, forest.repair_days[source], forest.return_days[source]
        )
        travel = lead_times(forest, runs, events.row[came], sent[came], seed, depth)
        received[came] = sent[came] + travel
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
    forest: Forest, runs: Runs, events: Events, ordered: NDArray[np.bool_], seed: int
) -> FloatArray:
    """When the order that brings each piece is placed: at its demand, or when a whole lot is due."""
    quantity = (forest.most - forest.least + 1)[runs.source[events.row]]
    when = events.time.copy()
    lots = np.flatnonzero(ordered & (quantity > 1))
    if not len(lots):
        return when
    row, lot = events.row[lots], quantity[lots]
    first = _first_of_row(row)
    rank = np.arange(len(lots)) - first
    begun = np.zeros(len(runs.source), dtype=np.int64)
    for place in np.unique(first):
        begun[row[place]] = phase(forest, runs, int(row[place]), int(lot[place]), seed)
    # Pieces of one lot are ordered with the first of its demands, which brings the position down to R; those
    # of the lot that was under way when the run began were ordered long ago.
    since = rank - begun[row]
    trigger = np.arange(len(lots)) - since % lot
    when[lots] = np.where(since < 0, LONG_AGO, events.time[lots][np.maximum(trigger, 0)])
    return when


def _first_of_row(row: IntArray) -> IntArray:
    """Place of the first event of the same row, for each event; rows stand together."""
    if not len(row):
        return np.empty(0, dtype=np.int64)
    new = np.flatnonzero(np.r_[True, np.diff(row) != 0])
    return np.repeat(new, np.diff(np.r_[new, len(row)]))
