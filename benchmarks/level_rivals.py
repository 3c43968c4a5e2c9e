"""Other ways to set stock levels, each made as good as it can be: greedy, the item approach, rules of thumb.

All of them are measured by the package's exact evaluation and must keep the same promises, so that money is
compared at equal service.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import Priced, measure
from spareplan.stocking.promises import KEPT_WITHIN, Promises
from spareplan.stocking.trim import money

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
CENTRAL_FILLS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
DAYS_PER_MONTH = 365.25 / 12
HALVINGS = 16
# Pieces worth this share of the best one go in the same round.
NEAR = 0.6


def by_kernels(pipelines: Pipelines) -> Pipelines:
    """The same, evaluated by the kernels: many small evaluations are quicker so than from tables."""
    plain = replace(pipelines)
    vars(plain)["tables"] = None
    return plain


def kept(pipelines: Pipelines, promises: Promises, levels: IntArray) -> bool:
    """Whether levels keep every promise."""
    return bool(promises.kept(promises.used(measure(pipelines, levels))).all())


def greedy(pipelines: Pipelines, promises: Promises) -> IntArray:
    """Add the pieces that mend most per money until every promise is kept, then take away what is not needed.

    A step is one, two or four pieces at a site, or one at every site from there up to headquarters. It starts
    from nothing, and from sites above that meet a half or eight tenths of their demand; the cheapest of the
    three plans is given.
    """
    starts = [pipelines.least]
    starts += [
        np.where(pipelines.is_leaf, pipelines.least, _upper_levels(pipelines, fill)) for fill in (0.5, 0.8)
    ]
    plans = [remove_unneeded(pipelines, promises, _add(pipelines, promises, levels)) for levels in starts]
    plans = [levels for levels in plans if kept(pipelines, promises, levels)]
    return min(plans, key=lambda levels: money(pipelines, levels))


def _add(pipelines: Pipelines, promises: Promises, start: IntArray) -> IntArray:
    parts = len(pipelines.unit_cost)
    levels = np.array(start, dtype=np.int64)
    weight = 1 / np.maximum(promises.allowed, 1e-12)
    short = np.maximum(promises.used(measure(pipelines, levels)) - promises.allowed, 0)
    steps = [_steps(pipelines, part) for part in range(parts)]
    laid = [promises.take(pipelines.rows_of(np.array([part]))) for part in range(parts)]
    held: list[FloatArray] = [np.empty(0)] * parts

    def look(part: int) -> None:
        """Note what each step of a part saves of each promise."""
        rows = slice(pipelines.starts[part], pipelines.starts[part + 1])
        step, own = steps[part], laid[part]
        tried = np.vstack([levels[rows][None, :], levels[rows] + step.tried])
        state = measure(by_kernels(pipelines.take(np.full(len(tried), part))), tried.ravel())
        saves = np.zeros((len(step.member), len(promises) + 1))
        for kind, values in zip(own.kinds, (state.ebo, state.miss, state.late)):
            if kind.promise is not None:
                use = kind.factor * values.reshape(tried.shape)
                # A part has one row of a promise at most; those without one are counted in the last place.
                saves[:, kind.promise] += (use[0] - use[1:])[step.place] * step.member
        held[part] = saves[:, :-1]

    def best(part: int) -> tuple[float, int]:
        useful = (np.minimum(held[part], short) * weight).sum(axis=1)
        useful /= steps[part].pieces.sum(axis=1) * pipelines.unit_cost[part]
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
        levels[pipelines.starts[part] : pipelines.starts[part + 1]] += steps[part].pieces[place]
        look(part)
        heapq.heappush(heap, (-best(part)[0], part))
    return levels


class Steps(NamedTuple):
    """What a part may get next: pieces of each step, who gains, and what to evaluate to know it.

    Sites of one echelon take nothing from each other, so pieces at all of them, tried at once, tell of each.
    """

    pieces: IntArray
    member: BoolArray
    tried: IntArray
    place: IntArray


def _steps(pipelines: Pipelines, part: int) -> Steps:
    """One, two or four pieces at each site, and one at each site and all above it."""
    begin, end = pipelines.starts[part], pipelines.starts[part + 1]
    stop = pipelines.stop[begin:end] - begin
    here = np.arange(int(end - begin))
    below = (here[None, :] >= here[:, None]) & (here[None, :] < stop[:, None])
    depth = below.sum(axis=0) - 1
    echelons = depth[None, :] == np.arange(depth.max() + 1)[:, None]
    paths = below.T[depth > 0].astype(np.int64)
    counts = (1, 2, 4)
    one = np.eye(len(here), dtype=np.int64)
    return Steps(
        np.vstack([*(count * one for count in counts), paths]),
        np.vstack([below] * len(counts) + [np.ones(paths.shape, bool)]),
        np.vstack([*(count * echelons for count in counts), paths]),
        np.r_[
            np.concatenate([depth + k * len(echelons) for k in range(len(counts))]),
            len(counts) * len(echelons) + np.arange(len(paths)),
        ],
    )


def greedy_in_rounds(pipelines: Pipelines, promises: Promises) -> IntArray:
    """The greedy for large networks: in one round all single pieces whose worth per money is near the best.

    It starts from sites above that meet eight tenths of their demand; what is not needed is taken away at the
    end.
    """
    stocked = np.where(pipelines.is_leaf, pipelines.least, _upper_levels(pipelines, 0.8))
    return remove_unneeded(pipelines, promises, _add_in_rounds(pipelines, promises, stocked))


def _add_in_rounds(pipelines: Pipelines, promises: Promises, start: IntArray) -> IntArray:
    levels = np.array(start, dtype=np.int64)
    depth, stop, leaf = _depth(pipelines), pipelines.stop, pipelines.is_leaf
    row_cost, part = pipelines.row_cost, pipelines.part
    weight = 1 / np.maximum(promises.allowed, 1e-12)
    near = np.inf
    while True:
        now = measure(pipelines, levels)
        short = np.maximum(promises.used(now) - promises.allowed, 0)
        if not (short > promises.allowed * 1e-9).any():
            return levels
        worth = np.zeros(len(levels))
        for echelon in range(pipelines.depth):
            # Sites of one echelon take nothing from each other: a piece at all of them tells of each.
            here = depth == echelon
            more = measure(pipelines, levels + here)
            saved = np.zeros(len(levels))
            for promise, less in _saved(promises, now, more):
                saved += np.minimum(less, np.r_[short, 0.0][promise]) * np.r_[weight, 0.0][promise]
            below = np.r_[0.0, np.cumsum(saved)]
            worth = np.where(here, (below[stop] - below[:-1]) / row_cost, worth)
        best = np.maximum.reduceat(worth, pipelines.starts[:-1])[part]
        if best.max() <= 0:
            return levels
        near = min(near, float(best.max()) * NEAR)
        upper = ~leaf & (worth == best) & (best >= near)
        has_upper = np.logical_or.reduceat(upper, pipelines.starts[:-1])[part]
        levels += upper | (leaf & ~has_upper & (worth >= near))


def _saved(promises: Promises, now: Priced, more: Priced) -> Iterator[tuple[IntArray, FloatArray]]:
    """Promise of each row and what it uses less of it, for each kind of promises."""
    kinds = zip(promises.kinds, (now.ebo, now.miss, now.late), (more.ebo, more.miss, more.late))
    for kind, before, after in kinds:
        if kind.promise is not None:
            yield kind.promise, kind.factor * (before - after)


def _depth(pipelines: Pipelines) -> IntArray:
    """Echelon of each row, 0 at headquarters."""
    ends = np.zeros(len(pipelines.stop) + 1, np.int64)
    np.add.at(ends, pipelines.stop, 1)
    rows = np.arange(len(pipelines.stop))
    return rows - np.cumsum(ends)[:-1]


def remove_unneeded(pipelines: Pipelines, promises: Promises, levels: IntArray) -> IntArray:
    """Take away pieces of dear parts first, one per site at a time, while every promise stays kept."""
    levels = levels.copy()
    slack = promises.allowed * (1 + KEPT_WITHIN) - promises.used(measure(pipelines, levels))
    tried, leaf = np.ones(len(levels), bool), pipelines.is_leaf
    while True:
        open_rows = tried & (levels > pipelines.least)
        if not open_rows.any():
            return levels
        order = np.argsort(-pipelines.unit_cost, kind="stable")
        for part in order[np.logical_or.reduceat(open_rows, pipelines.starts[:-1])[order]].tolist():
            begin, end = pipelines.starts[part], pipelines.starts[part + 1]
            mine = begin + np.flatnonzero(open_rows[begin:end])
            copies = np.array([part, part])
            some, laid = by_kernels(pipelines.take(copies)), promises.take(pipelines.rows_of(copies))
            for row in mine[~leaf[mine]].tolist():
                more = np.zeros(len(slack) + 1)
                for promise, use in _loses(some, laid, levels[begin:end], np.array([row - begin])):
                    np.add.at(more, promise, use)
                # What cannot go now cannot go later: the others only get scarcer.
                tried[row] = (more[:-1] <= slack).all()
                if tried[row]:
                    levels[row] -= 1
                    slack -= more[:-1]
            leaves = mine[leaf[mine]]
            if not len(leaves):
                continue
            # Leaves take nothing from each other.
            uses = _loses(some, laid, levels[begin:end], leaves - begin)
            for row in leaves.tolist():
                own = [(p[row - begin], u[row - begin]) for p, u in uses if p[row - begin] >= 0]
                tried[row] = all(use <= slack[promise] for promise, use in own)
                if tried[row]:
                    levels[row] -= 1
                    for promise, use in own:
                        slack[promise] -= use


def _loses(
    twice: Pipelines, laid: Promises, levels: IntArray, fewer: IntArray
) -> list[tuple[IntArray, FloatArray]]:
    """Promise and further use of each row of a part, laid out twice, with a piece less at some of them."""
    less = levels.copy()
    less[fewer] -= 1
    state, width = measure(twice, np.r_[levels, less]), len(levels)
    uses = [
        (kind.promise[:width], kind.factor * use)
        for kind, use in zip(laid.kinds, (state.ebo, state.miss, state.late))
        if kind.promise is not None
    ]
    return [(promise, use[width:] - use[:width]) for promise, use in uses]


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
    depth = _depth(pipelines)
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
