"""Simulated years of a tree whose sites help each other out, laid out and added up around the event loop."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from spareplan.errors import DataError, Problem
from spareplan.stocking import _draws, _pool_events, _runs
from spareplan.stocking._forest import Forest
from spareplan.stocking._reading import missing_columns, numbers, rows_problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Demands in play at a time, and up to how many the plain loop runs, so that nobody waits for a compiler.
STRETCH_DEMANDS = 1_000_000
PLAIN_DEMANDS = 100_000


class PoolBatched(NamedTuple):
    """Sums of each site's own demand per forest row and batch, shape (n, BATCHES).

    Parameters
    ----------
    days : measured time. [days]
    own, own_filled, lateral, emergency : all pieces asked for; from the shelf, a neighbour, outside.
    own_wait, own_late : summed wait of all, and of those that waited for the site's own supply. [days]
    own_waits_le : pieces that waited at most each of the times, shape (n, BATCHES, T).
    """

    days: FloatArray
    own: FloatArray
    own_filled: FloatArray
    lateral: FloatArray
    emergency: FloatArray
    own_wait: FloatArray
    own_late: FloatArray
    own_waits_le: FloatArray


def run_pools(
    forest: Forest, laterals: pd.DataFrame, years: float, seed: int, times: FloatArray
) -> PoolBatched:
    """Simulate every part of a forest with help among the sites of a pool.

    Parameters
    ----------
    forest, laterals, years, seed, times
        As in `spareplan.stocking.lateral.simulate_pools`.

    Returns
    -------
    PoolBatched

    Raises
    ------
    DataError
        Faults of `laterals`.

    Notes
    -----
    Demand is that of the simulation without pools. What a neighbour gave is made good by the neighbour's own
    order, or, where the asking site repairs the failed piece, by that piece.
    """
    asked, days, emergency = read_laterals(forest, laterals)
    size = (len(forest), _runs.BATCHES)
    sums = {name: np.zeros(size) for name in PoolBatched._fields if name != "own_waits_le"}
    out = PoolBatched(**sums, own_waits_le=np.zeros((*size, len(times))))
    worlds = np.where(_runs.in_worlds(forest), _runs.WORLDS, 1)
    demands = np.cumsum(forest.own * (years * 366 + 2 * worlds * forest.lead) + 1.0)
    first, last = forest.spans()
    group = (demands[last - 1] // STRETCH_DEMANDS).astype(np.int64) if len(first) else np.empty(0, int)
    for value in np.unique(group):
        mine = np.flatnonzero(group == value)
        rows = np.arange(first[mine[0]], last[mine[-1]])
        runs = _runs.lay_runs(forest, rows, years)
        own = _draws.draw_demand(forest, runs, seed)
        order = np.lexsort((own.time, own.row))
        row, time = own.row[order], own.time[order]
        mended = _draws.toss(forest, runs, row, forest.own_repaired, seed, 0)
        by_time = np.lexsort((row, time))
        row, time, mended = row[by_time], time[by_time], mended[by_time]
        wait, kind = _play(forest, runs, row, time, mended, asked, days, emergency, seed)
        _add_up(out, runs, row, time, wait, kind, times)
    return out


def _play(
    forest: Forest, runs: _runs.Runs, row: IntArray, time: FloatArray, mended: NDArray[np.bool_],
    asked: dict[int, list[int]], days: FloatArray, emergency: FloatArray, seed: int,
) -> tuple[FloatArray, IntArray]:  # fmt: skip
    """Wait of every demand, and by what it was served."""
    source = runs.source
    site = forest.site[source]
    lot = (forest.most - forest.least + 1)[source]
    phase = np.zeros(len(source), dtype=np.int64)
    for place in np.flatnonzero(lot > 1):
        phase[place] = _draws.phase(forest, runs, int(place), int(lot[place]), seed)
    shelf = _begun(forest, runs, lot, phase)
    begin, helper = _helpers(forest, runs, asked)
    law, days_drawn, back = _drawn(forest, runs, seed)
    given: list[Any] = [
        time, row, mended, runs.parent, shelf, shelf - forest.least[source] + 1, lot,
        forest.lead[source], law, days_drawn, back,
        forest.return_days[source], forest.repair_days[source], begin, helper, days[site], emergency[site],
    ]  # fmt: skip
    results: list[Any] = [np.zeros(len(row)), np.zeros(len(row), dtype=np.int64)]
    if len(row) > PLAIN_DEMANDS:
        from spareplan.stocking import _kernels

        given = [np.ascontiguousarray(values) for values in given]
        _kernels.play(*given, *results)
    else:
        results = [values.tolist() for values in results]
        _pool_events.play(*(values.tolist() for values in given), *results)
    return np.asarray(results[0], dtype=float), np.asarray(results[1], dtype=np.int64)


def _begun(forest: Forest, runs: _runs.Runs, lot: IntArray, phase: IntArray) -> IntArray:
    """Pieces on hand when a run begins: lots under way are in, and what they took above is made good."""
    shelf = forest.least[runs.source] + phase
    asked = np.zeros(len(shelf), dtype=np.int64)
    for depth in range(int(runs.depth.max(initial=0)), -1, -1):
        rows = np.flatnonzero(runs.depth == depth)
        taken = asked[rows] - phase[rows]
        refilled = -(-np.maximum(taken, 0) // lot[rows]) * lot[rows]
        shelf[rows] += refilled - asked[rows]
        if depth:
            np.add.at(asked, runs.parent[rows], phase[rows] + refilled)
    return shelf


def _helpers(forest: Forest, runs: _runs.Runs, asked: dict[int, list[int]]) -> tuple[IntArray, IntArray]:
    """Rows that each row asks, in order: sites of its pool that keep the same part in the same run."""
    width = len(forest.site_ids)
    tree = forest.part[runs.source] * _runs.WORLDS + runs.run
    key = tree * width + forest.site[runs.source]
    by_key = np.argsort(key)
    rank = np.full((width, max((len(ring) for ring in asked.values()), default=0)), -1)
    for place, ring in asked.items():
        rank[place, : len(ring)] = ring
    wanted = rank[forest.site[runs.source]]
    place = np.searchsorted(key[by_key], tree[:, None] * width + np.maximum(wanted, 0))
    found = by_key[np.minimum(place, len(key) - 1)]
    known = (wanted >= 0) & (key[found] == tree[:, None] * width + wanted)
    begin = np.r_[0, np.cumsum(known.sum(axis=1))]
    return begin.astype(np.int64), found[known].astype(np.int64)


def _drawn(forest: Forest, runs: _runs.Runs, seed: int) -> tuple[IntArray, FloatArray, NDArray[np.bool_]]:
    """Lead times and returns that rows use in turn: spread evenly over their law, in random order."""
    source, count = runs.source, _pool_events.DRAWS
    vague = (forest.lead_sd[source] > 0) & (forest.lead[source] > 0)
    lines = np.flatnonzero(vague | (forest.return_share[source] > 0))
    law = np.full(len(source), -1)
    law[lines] = np.arange(len(lines))
    # One line at least, so that the compiled loop knows the type.
    days, back = np.zeros((max(len(lines), 1), count)), np.zeros((max(len(lines), 1), count), dtype=bool)
    spread: dict[int, FloatArray] = {}
    for line, place in enumerate(lines):
        at = int(source[place])
        name = f"{forest.part_ids[forest.part[at]]}\0{forest.site_ids[forest.site[at]]}"
        draw = _draws.part_stream(seed + 32_452_843 * (int(runs.run[place]) + 1), name)
        days[line] = forest.lead[at]
        if vague[place]:
            if at not in spread:
                shape = (forest.lead[at] / forest.lead_sd[at]) ** 2
                even = special.gammaincinv(shape, (np.arange(count) + 0.5) / count)
                spread[at] = even / even.mean() * forest.lead[at]
            days[line] = draw.permutation(spread[at])
        level = (draw.permutation(count) + draw.random(count)) / count
        back[line] = level < forest.return_share[at]
    return law, days, back


def _add_up(
    out: PoolBatched, runs: _runs.Runs, row: IntArray, time: FloatArray, wait: FloatArray, kind: IntArray,
    times: FloatArray,
) -> None:  # fmt: skip
    step = runs.length / runs.batches
    long_run = runs.batches > 1
    np.add.at(out.days, (runs.source[~long_run], runs.first_batch[~long_run]), step[~long_run])
    out.days[runs.source[long_run]] = step[long_run, None]
    since = time - runs.warm[row]
    seen = (since >= 0) & (since < runs.length[row])
    row, since, wait, kind = row[seen], since[seen], wait[seen], kind[seen]
    batch = np.minimum(runs.first_batch[row] + (since // step[row]).astype(np.int64), _runs.BATCHES - 1)
    cell = runs.source[row] * _runs.BATCHES + batch

    def add(into: FloatArray, weight: FloatArray) -> None:
        into += np.bincount(cell, weight, minlength=into.size).reshape(into.shape)

    ones = np.ones(len(row))
    add(out.own, ones)
    for into, what in (
        (out.own_filled, _pool_events.SHELF), (out.lateral, _pool_events.LATERAL),
        (out.emergency, _pool_events.EMERGENCY),
    ):  # fmt: skip
        add(into, (kind == what).astype(float))
    add(out.own_wait, wait)
    add(out.own_late, np.where(kind == _pool_events.WAITED, wait, 0.0))
    for column, limit in enumerate(times):
        hits = np.zeros(out.own.shape)
        add(hits, (wait <= limit + _runs.INSTANT).astype(float))
        out.own_waits_le[:, :, column] += hits


def read_laterals(
    forest: Forest, laterals: pd.DataFrame
) -> tuple[dict[int, list[int]], FloatArray, FloatArray]:
    """Whom each site asks, the time of a transfer and of an emergency; by position of the site.

    Raises
    ------
    DataError
        Unknown or doubled sites, missing columns, negative times.
    """
    problems: list[Problem] = missing_columns(
        "laterals", laterals, ["site_id", "lateral_pool", "lateral_days"]
    )
    if problems:
        raise DataError(problems)
    site = forest.site_ids.get_indexer(pd.Index(laterals["site_id"]))
    pooled = laterals["lateral_pool"].notna().to_numpy()
    problems += rows_problem(
        "laterals", laterals, "site_id", site < 0, "is not in sites", "add the site or drop the row"
    )
    problems += rows_problem(
        "laterals",
        laterals,
        "site_id",
        laterals["site_id"].duplicated().to_numpy(),
        "stands twice",
        "give each site once",
    )
    lateral = numbers(laterals, "lateral_days", "laterals", problems, default_rows=~pooled)
    emergency = numbers(laterals, "emergency_days", "laterals", problems, default=np.nan)
    if problems:
        raise DataError(problems)
    days, urgent = np.zeros(len(forest.site_ids)), np.full(len(forest.site_ids), np.nan)
    days[site], urgent[site] = np.nan_to_num(lateral), emergency
    asked: dict[int, list[int]] = {}
    for _, members in laterals[pooled].groupby("lateral_pool", sort=True):
        names = sorted(members["site_id"], key=str)
        ring = forest.site_ids.get_indexer(pd.Index(names)).tolist()
        for k, place in enumerate(ring):
            asked[place] = ring[k + 1 :] + ring[:k]
    return asked, days, urgent
