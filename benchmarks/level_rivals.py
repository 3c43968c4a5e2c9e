"""Other ways to set stock levels, each made as good as it can be: greedy, the item approach, rules of thumb.

All of them are measured by the package's exact evaluation and must keep the same promises, so that money is
compared at equal service.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import measure
from spareplan.stocking.promises import Promises
from spareplan.stocking.trim import money

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CENTRAL_FILLS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
DAYS_PER_MONTH = 365.25 / 12
HALVINGS = 16


def kept(pipelines: Pipelines, promises: Promises, levels: IntArray) -> bool:
    """Whether levels keep every promise."""
    return bool(promises.kept(promises.used(measure(pipelines, levels))).all())


def greedy(pipelines: Pipelines, promises: Promises) -> IntArray:
    """Add the pieces that mend most per money until every promise is kept, then take away what is not needed.

    A step is one, two or four pieces at a site, or one at every site from there up to headquarters. It starts
    from nothing, with shortfalls as they are or relative to what is allowed, and from sites above that meet
    a half to nine tenths of their demand; the cheapest of the five plans is given.
    """
    relative = 1 / np.maximum(promises.allowed, 1e-12)
    starts = [(pipelines.least, np.ones(len(promises))), (pipelines.least, relative)]
    for fill in (0.5, 0.8, 0.9):
        upper = _upper_levels(pipelines, fill)
        starts.append((np.where(pipelines.is_leaf, pipelines.least, upper), relative))
    plans = [
        remove_unneeded(pipelines, promises, _add(pipelines, promises, levels, weight))
        for levels, weight in starts
    ]
    plans = [levels for levels in plans if kept(pipelines, promises, levels)]
    return min(plans, key=lambda levels: money(pipelines, levels))


def _add(pipelines: Pipelines, promises: Promises, start: IntArray, weight: FloatArray) -> IntArray:
    parts = len(pipelines.unit_cost)
    levels = np.array(start, dtype=np.int64)
    short = np.maximum(promises.used(measure(pipelines, levels)) - promises.allowed, 0)
    steps = [_steps(pipelines, part) for part in range(parts)]
    held: list[FloatArray] = [np.empty(0)] * parts

    def look(part: int) -> None:
        """Note what each step of a part saves of each promise."""
        rows = slice(pipelines.starts[part], pipelines.starts[part + 1])
        count = len(steps[part]) + 1
        copies = np.full(count, part)
        some = pipelines.take(copies)
        tried = np.vstack([levels[rows][None, :], levels[rows] + steps[part]])
        laid = promises.take(pipelines.rows_of(copies))
        owner, promise, amount = laid.used_by_part(measure(some, tried.ravel()), some)
        use = np.zeros((count, len(promises)))
        use[owner, promise] = amount
        held[part] = use[0] - use[1:]

    def best(part: int) -> tuple[float, int]:
        useful = (np.minimum(held[part], short) * weight).sum(axis=1)
        useful /= steps[part].sum(axis=1) * pipelines.unit_cost[part]
        place = int(useful.argmax())
        return float(useful[place]), place

    for part in range(parts):
        look(part)
    heap = [(-best(part)[0], part) for part in range(parts)]
    heapq.heapify(heap)
    while (short > promises.allowed * 1e-9).any() and heap:
        _, part = heapq.heappop(heap)
        value, place = best(part)
        if value <= 0:
            continue
        if heap and value < -heap[0][0] * (1 - 1e-12):
            heapq.heappush(heap, (-value, part))
            continue
        short = np.maximum(short - held[part][place], 0)
        levels[pipelines.starts[part] : pipelines.starts[part + 1]] += steps[part][place]
        look(part)
        heapq.heappush(heap, (-best(part)[0], part))
    return levels


def _steps(pipelines: Pipelines, part: int) -> IntArray:
    """Some pieces at each site, and one at each site and all above it."""
    begin, end = pipelines.starts[part], pipelines.starts[part + 1]
    stop = pipelines.stop[begin:end] - begin
    width = int(end - begin)
    here = np.arange(width)
    above = (here[None, :] <= here[:, None]) & (stop[None, :] > here[:, None])
    one = np.eye(width, dtype=np.int64)
    return np.unique(np.vstack([one, 2 * one, 4 * one, above.astype(np.int64)]), axis=0)


def remove_unneeded(pipelines: Pipelines, promises: Promises, levels: IntArray) -> IntArray:
    """Take away dear pieces first, one at a time, while every promise stays kept."""
    levels = levels.copy()
    used = promises.used(measure(pipelines, levels))
    part_of = pipelines.part
    tried = np.ones(len(levels), bool)
    while True:
        open_rows = np.flatnonzero(tried & (levels > pipelines.least))
        if not len(open_rows):
            return levels
        for row in open_rows[np.argsort(-pipelines.row_cost[open_rows], kind="stable")].tolist():
            part = int(part_of[row])
            copies = np.array([part, part])
            some = pipelines.take(copies)
            rows = slice(pipelines.starts[part], pipelines.starts[part + 1])
            less = levels[rows].copy()
            less[row - pipelines.starts[part]] -= 1
            laid = promises.take(pipelines.rows_of(copies))
            state = measure(some, np.r_[levels[rows], less])
            owner, promise, amount = laid.used_by_part(state, some)
            use = np.zeros((2, len(promises)))
            use[owner, promise] = amount
            if promises.kept(used + use[1] - use[0]).all():
                levels[rows] = less
                used = used + use[1] - use[0]
            else:
                # What cannot go now cannot go later: the others only get scarcer.
                tried[row] = False


def item_approach(pipelines: Pipelines, promises: Promises, one_for_all: bool) -> IntArray:
    """The same fill rate for every part, at every site or at each site its own.

    Depots and headquarters get one of their own, the cheapest of `CENTRAL_FILLS`.
    """
    best: IntArray | None = None
    for fill in CENTRAL_FILLS:
        upper = _upper_levels(pipelines, fill)
        misses = _misses(pipelines, upper)

        def levels_at(goal: FloatArray, upper: IntArray = upper, misses: FloatArray = misses) -> IntArray:
            fits = misses <= 1 - goal[:, None] + 1e-15
            stock = np.where(fits.any(axis=1), fits.argmax(axis=1), misses.shape[1] - 1)
            return np.where(pipelines.is_leaf, stock, upper)

        def fill_of(x: FloatArray) -> FloatArray:
            return 1 - np.exp(-x)

        best = _cheaper(
            pipelines, best, _raise(pipelines, promises, levels_at, fill_of, 0.0, 14.0, one_for_all)
        )
    assert best is not None
    return best


def safety_factor(pipelines: Pipelines, promises: Promises, one_for_all: bool) -> IntArray:
    """Lead-time demand plus the least k standard deviations that do, as if the site above never ran out."""
    mean = pipelines.mean
    deviation = np.sqrt(mean + pipelines.excess)
    best: IntArray | None = None
    for central in (0.0, 0.5, 1.0, 1.5, 2.0):
        upper = np.ceil(mean + central * deviation)

        def levels_at(k: FloatArray, upper: FloatArray = upper) -> IntArray:
            stock = np.ceil(mean + k * deviation - 1e-9)
            return np.where(pipelines.is_leaf, np.maximum(stock, 0), upper).astype(np.int64)

        best = _cheaper(
            pipelines, best, _raise(pipelines, promises, levels_at, lambda x: x, -3.0, 40.0, one_for_all)
        )
    assert best is not None
    return best


def months_of_cover(pipelines: Pipelines, promises: Promises, one_for_all: bool) -> IntArray:
    """So many months of demand at every site; above, the supply time's demand and some months more."""
    monthly = pipelines.demand * DAYS_PER_MONTH
    best: IntArray | None = None
    for central in (0.0, 0.5, 1.0, 2.0, 3.0):
        upper = np.ceil(pipelines.mean + central * monthly)

        def levels_at(months: FloatArray, upper: FloatArray = upper) -> IntArray:
            return np.where(pipelines.is_leaf, np.ceil(months * monthly - 1e-9), upper).astype(np.int64)

        best = _cheaper(
            pipelines, best, _raise(pipelines, promises, levels_at, lambda x: x, 0.0, 4_000.0, one_for_all)
        )
    assert best is not None
    return best


def _raise(
    pipelines: Pipelines,
    promises: Promises,
    levels_at: Callable[[FloatArray], IntArray],
    scale: Callable[[FloatArray], FloatArray],
    least: float,
    most: float,
    one_for_all: bool,
) -> IntArray | None:
    """Levels at the least setting that keeps every promise, one for all or one per group; None: none does."""
    group = _group_of(promises, len(pipelines.stop))
    count = 1 if one_for_all else int(group.max(initial=0)) + 1
    member = np.zeros(len(group), np.int64) if one_for_all else np.maximum(group, 0)
    low, high = np.full(count, least), np.full(count, most)
    of_promise = np.zeros(len(promises), np.int64)
    for promise in (promises.wait_promise, promises.miss_promise, promises.late_promise):
        if promise is not None:
            rows = np.flatnonzero(promise >= 0)
            of_promise[promise[rows]] = member[rows]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        levels = np.maximum(levels_at(scale(middle[member])), pipelines.least)
        good = promises.kept(promises.used(measure(pipelines, levels)))
        broken = np.bincount(of_promise[~good], minlength=count) > 0
        low, high = np.where(broken, middle, low), np.where(broken, high, middle)
    levels = np.maximum(levels_at(scale(high[member])), pipelines.least)
    return levels if kept(pipelines, promises, levels) else None


def _group_of(promises: Promises, rows: int) -> IntArray:
    """Site and group of each row; -1 where nothing is promised."""
    names = promises.table["site_id"].astype(str) + "/" + promises.table["part_group"].astype(str)
    label = np.r_[names.factorize()[0], -1]
    group = np.full(rows, -1)
    for promise in (promises.wait_promise, promises.miss_promise, promises.late_promise):
        if promise is not None:
            group = np.where(group < 0, label[promise], group)
    return group


def _upper_levels(pipelines: Pipelines, fill: float) -> IntArray:
    """Stock of the sites with children at which they meet a share of their demand, from headquarters down."""
    levels = np.zeros(len(pipelines.stop), np.int64)
    rows = ~pipelines.is_leaf
    depth = np.zeros(len(levels), np.int64)
    for row in np.flatnonzero(rows).tolist():
        depth[row + 1 : pipelines.stop[row]] += 1
    for level in range(int(depth[rows].max(initial=0)) + 1):
        here = rows & (depth == level)
        if level == 0:
            levels[here] = stats.poisson.ppf(fill, pipelines.mean[here]) + 1
            continue
        open_ = here.copy()
        while open_.any():
            open_ &= measure(pipelines, levels).miss > 1 - fill
            levels[open_] += 1
    return np.maximum(levels, pipelines.least)


def _misses(pipelines: Pipelines, upper: IntArray, certain: float = 1e-6) -> FloatArray:
    """P(N >= S) of the sites without children, for S = 0, 1, ... until nearly nothing is missed."""
    columns: list[FloatArray] = []
    leaf = pipelines.is_leaf & (pipelines.demand > 0)
    while not columns or (columns[-1][leaf].max(initial=0.0) > certain and len(columns) < 400):
        levels = np.where(pipelines.is_leaf, len(columns), upper)
        columns.append(measure(pipelines, levels).miss)
    return np.stack(columns, axis=1)


def _cheaper(pipelines: Pipelines, one: IntArray | None, other: IntArray | None) -> IntArray | None:
    if one is None or other is None:
        return other if one is None else one
    return one if money(pipelines, one) <= money(pipelines, other) else other
