"""Add up sample paths: what happened at every site, by batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking._forest import Forest
from spareplan.stocking._runs import BATCHES, INSTANT, Events, Runs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Batched(NamedTuple):
    """Sums per forest row and batch, each of shape (n, BATCHES) but `waits_le` (n, BATCHES, T).

    Parameters
    ----------
    days : measured time. [days]
    demands, filled, wait : all pieces asked for at the site, those served at once, their summed wait. [days]
    own, own_filled, own_wait : the same of the site's own demand.
    late, shelf : time integrals of backorders and of pieces on the shelf. [piece days]
    short : days with a backorder. [days]
    waits_le, own_waits_le : pieces that waited at most each of the times.
    """

    days: FloatArray
    demands: FloatArray
    filled: FloatArray
    wait: FloatArray
    own: FloatArray
    own_filled: FloatArray
    own_wait: FloatArray
    late: FloatArray
    shelf: FloatArray
    short: FloatArray
    waits_le: FloatArray
    own_waits_le: FloatArray


def measure(
    forest: Forest, runs: Runs, echelons: list[Events], paths: list[tuple[FloatArray, FloatArray]],
    rows: IntArray, times: FloatArray,
) -> Batched:  # fmt: skip
    """Add up what happened, per forest row and batch.

    Parameters
    ----------
    forest : Forest
    runs : Runs
    echelons, paths : list
        From `climb` and `descend`.
    rows : ndarray of int, shape (n,)
        Forest rows in the order of the result.
    times : ndarray, shape (T,)
        Waits to count. [days]

    Returns
    -------
    Batched
    """
    place = np.full(len(forest), -1)
    place[rows] = np.arange(len(rows))
    size = (len(rows), BATCHES)
    step = runs.length / runs.batches
    days = np.zeros(size)
    sums = {
        name: np.zeros(size) for name in Batched._fields if name not in ("days", "waits_le", "own_waits_le")
    }
    counts = {name: np.zeros((*size, len(times))) for name in ("waits_le", "own_waits_le")}
    single = runs.batches == 1
    days[place[runs.source[~single]]] = step[~single, None]
    np.add.at(days, (place[runs.source[single]], runs.first_batch[single]), step[single])
    sums["shelf"] += forest.least[rows][:, None] * days
    for events, (served, received) in zip(echelons, paths):
        into = place[runs.source[events.row]]
        since = events.time - runs.warm[events.row]
        seen = (since >= 0) & (since < runs.length[events.row])
        batch = np.where(seen, runs.first_batch[events.row] + (since // step[events.row]).astype(np.int64), 0)
        batch = np.minimum(batch, BATCHES - 1)
        cell = into * BATCHES + batch
        wait = served - events.time
        own = events.child < 0
        # Without stock nothing comes from the shelf, however fast the supply.
        shelved = forest.most[runs.source[events.row]] > 0

        def add(name: str, weight: FloatArray, cell: IntArray = cell) -> None:
            sums[name] += np.bincount(cell, weight, minlength=size[0] * BATCHES).reshape(size)

        for prefix, which in (("", seen), ("own_", seen & own)):
            add("demands" if not prefix else "own", which.astype(float))
            add(prefix + "filled", (which & (wait <= INSTANT) & shelved).astype(float))
            add(prefix + "wait", np.where(which, wait, 0.0))
            for column, time in enumerate(times):
                hit = (which & (wait <= time + INSTANT)).astype(float)
                counts[prefix + "waits_le"][:, :, column] += np.bincount(
                    cell, hit, minlength=size[0] * BATCHES
                ).reshape(size)
        before = np.r_[-np.inf, served[:-1]]
        before[np.r_[True, np.diff(events.row) != 0]] = -np.inf
        begun = np.maximum(events.time, before)
        broken = served > begun + INSTANT
        always = np.ones(len(broken), dtype=bool)
        for name, moments, sign, which in (
            ("late", events.time, 1.0, always), ("late", served, -1.0, always),
            ("shelf", received, 1.0, always), ("shelf", served, -1.0, always),
            ("short", begun, 1.0, broken), ("short", served, -1.0, broken),
        ):  # fmt: skip
            sums[name] += sign * _time_integral(runs, events.row, moments, which, into, step, size)
    return Batched(days=days, **sums, **counts)


def _time_integral(
    runs: Runs, row: IntArray, moment: FloatArray, which: NDArray[np.bool_], into: IntArray,
    step: FloatArray, size: tuple[int, int],
) -> FloatArray:  # fmt: skip
    """Integral over each batch of the number of moments that lie before; per forest row and batch."""
    row, moment, into = row[which], moment[which], into[which]
    since = np.maximum(moment - runs.warm[row], 0.0)
    live = since < runs.length[row]
    row, since, into = row[live], since[live], into[live]
    local = np.minimum((since // step[row]).astype(np.int64), runs.batches[row] - 1)
    cell = into * BATCHES + runs.first_batch[row] + local
    rest = (local + 1) * step[row] - since
    partly = np.bincount(cell, rest, minlength=size[0] * size[1]).reshape(size)
    # Later batches of the same run hold the moment for their whole length.
    long_run = runs.batches[row] > 1
    started = np.bincount(cell[long_run], step[row[long_run]], minlength=size[0] * size[1]).reshape(size)
    return np.asarray(partly + np.cumsum(started, axis=1) - started, dtype=float)
