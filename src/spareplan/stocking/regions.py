"""Capped regions apart from the rest: what their promises need at least, however much lies elsewhere.

More stock elsewhere never serves a region worse. So with all other shelves full, the least money at the
region's sites that keeps its promises is what a cap must allow at least, and the Lagrangian bound of that
money proves a smaller cap impossible. Only the region's own sites and those above them matter then, so this
takes a fraction of the time of a plan. Regions of which one lies above another are looked at together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import InfeasibleError
from spareplan.stocking.asked import Asked
from spareplan.stocking.branching import branch_on_stocks
from spareplan.stocking.clashes import clashing_promises
from spareplan.stocking.curve import parents
from spareplan.stocking.finding import Found, Standing, find_levels, price_promises
from spareplan.stocking.pipelines import Pipelines, Windows, weighted_sum
from spareplan.stocking.plenty import plenty_of
from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
SHOWN = 3
# Branching takes seconds per region; of more regions the least is told less sharply.
SHARPENED = 2
# A cap counts as too small beyond rounding.
WITHIN = 1e-9
# Whole levels cost no more than so many times the bound, unless parts are very few.
NEARLY = 1.15
# The kernels' arrays reach so far beyond the fullest stock.
SPARE_ROOM = 68


@dataclass(frozen=True)
class Region:
    """Capped sites with all others held; several caps where one region lies above another.

    Parameters
    ----------
    caps : ndarray of int
        Places of the caps among the promises.
    asked : ndarray of int
        Places of the promises that the capped sites can help.
    rows : ndarray of int
        Rows of the whole pipelines: the capped sites, and others that ceilings keep from being full.
    pipelines : Pipelines
        Those rows; what is not capped is held.
    promises : Promises
        Those of `asked`, and no caps.
    eased : Promises, optional
        Under which a bound holds, as in `find_levels`.
    capped : ndarray of bool, shape (rows,)
        Rows that caps count.
    held : float
        Money of the other rows. [money]
    allowed : float
        Sum of the caps. [money]
    """

    caps: IntArray
    asked: IntArray
    rows: IntArray
    pipelines: Pipelines
    promises: Promises
    eased: Promises | None
    capped: BoolArray
    held: float
    allowed: float

    @cached_property
    def proved(self) -> tuple[float, FloatArray]:
        """Money below which no levels at the capped sites keep their promises, and prices that prove it."""
        standing = Standing()
        price_promises(self.pipelines, self.eased or self.promises, None, None, standing)
        search = standing.searched
        return max(search.bound - self.held, 0.0), search.prices

    @cached_property
    def lean(self) -> Found:
        """Levels that keep the promises for little money at the capped sites."""
        return find_levels(self.pipelines, self.promises, self.proved[1], eased=self.eased)

    @cached_property
    def leanest(self) -> Found:
        """Levels that keep them for the least money, and a bound as near as branching brings it."""
        # Bounds under eased promises are no bounds for the ranges of these.
        if self.eased is not None:
            return self.lean
        return branch_on_stocks(self.pipelines, self.promises, self.lean)

    def exceeds(self, found: Found) -> bool:
        """Whether levels of the region cost more than the caps allow."""
        return found.cost - self.held > self.allowed * (1 + WITHIN)


def regions_of(asked: Asked) -> list[Region]:
    """Every capped region apart, with all other shelves full.

    Parameters
    ----------
    asked : Asked
        With caps.

    Returns
    -------
    list of Region
    """
    cap, pipelines = asked.promises.cap_promise, asked.pipelines
    assert cap is not None
    full = np.maximum(np.minimum(pipelines.most, plenty_of(pipelines)), pipelines.least)
    return [stand_apart(asked, caps, full) for caps in _clusters(cap, parents(pipelines))]


def refuse_short(asked: Asked, regions: list[Region]) -> None:
    """Refuse caps that are too little however much lies elsewhere, all at once.

    Parameters
    ----------
    asked : Asked
    regions : list of Region

    Raises
    ------
    InfeasibleError
        As `refusal` tells it.
    """
    near = [region for region in regions if region.proved[0] * NEARLY > region.allowed]
    # Where the bound leaves room, only branching tells whether the region can be so lean.
    short = [
        region
        for region in near
        if region.exceeds(region.lean)
        and (region.proved[0] > region.allowed * (1 + WITHIN) or region.exceeds(region.leanest))
    ]
    if short:
        raise refusal(asked, short)


def refusal(asked: Asked, short: list[Region]) -> InfeasibleError:
    """Name caps that are too small, the least that does, and the promises that clash with them.

    Parameters
    ----------
    asked : Asked
    short : list of Region
        Regions whose caps were exceeded.

    Returns
    -------
    InfeasibleError
        `clashes`: a row per cap: group, measure, target (the cap), least (found that does), proved (no levels
        do below; of all caps named together, where regions lie above each other), promises (of which none can
        be spared, that alone need more than the cap; "" where the bound lies below it). [money]
        `least`: the largest least.
    """
    frames, lines = [], []
    for region in short:
        lean = region.leanest if len(short) <= SHARPENED else region.lean
        money = np.bincount(
            asked.promises.cap_promise[region.rows[region.capped]],  # type: ignore[index]
            weights=(region.pipelines.row_cost * lean.levels)[region.capped],
            minlength=len(asked.promises),
        )[region.caps]
        proved = max(lean.bound - region.held, 0.0)
        told = region.promises if region.eased is None else region.eased
        needed = clashing_promises(region.pipelines, told, lean, region.allowed + region.held)
        names = region.promises.table.iloc[needed]
        words = [f"{row.group} ({row.measure} {row.target:g})" for row in names.itertuples()]
        frame = asked.promises.table.iloc[region.caps][["group", "measure", "target"]]
        frames.append(frame.assign(least=money, proved=proved, promises=", ".join(words)))
        lines.append(_line(frames[-1], float(money.sum()), proved, words, len(region.promises)))
    table = pd.concat(frames, ignore_index=True)
    return InfeasibleError("\n".join(lines), clashes=table, least=float(table["least"].max()))


def _line(caps: pd.DataFrame, least: float, proved: float, words: list[str], asked: int) -> str:
    given = ", ".join(f"{row.target:,.2f}" for row in caps.itertuples())
    names = ", ".join(caps["group"])
    what = f"a cap of {given} is" if len(caps) == 1 else f"caps of {given} are together"
    low, high = f"{proved:,.2f}", f"{least:,.2f}"
    between = (
        f"the least that does is {high}, proved"
        if low == high
        else f"the least that does lies between {low} (no levels do below) and {high} (found)"
    )
    needs = "promises of" if asked else "levels that are fixed at"
    line = f"{names}: {what} too little for the {needs} its sites, however much lies elsewhere; {between}"
    if words and len(words) < asked:
        more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
        shown = ", ".join(words[:SHOWN]) + more
        line += f". Already too much for it, and none of them can be spared: {shown}"
    return line


def _clusters(cap: IntArray, parent: IntArray) -> Iterator[IntArray]:
    """Caps whose sites stand above each other, together."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = int(cap.max(initial=-1)) + 1
    # The nearest capped site above each row; deeper rows come later.
    above = np.full(len(cap), -1)
    rows, up = np.flatnonzero(cap >= 0), parent[cap >= 0]
    while len(rows):
        here = (up >= 0) & (above[rows] < 0)
        rows, up = rows[here], up[here]
        above[rows] = cap[up]
        up = parent[up]
    tied = np.flatnonzero((above >= 0) & (above != cap))
    graph = coo_matrix((np.ones(len(tied)), (cap[tied], above[tied])), shape=(count, count))
    label = connected_components(graph, directed=False)[1]
    there = np.unique(cap[cap >= 0])
    for name in np.unique(label[there]).tolist():
        yield there[label[there] == name]


def stand_apart(asked: Asked, caps: IntArray, levels: IntArray) -> Region:
    """Capped sites by themselves, with given stock at all others.

    Parameters
    ----------
    asked : Asked
    caps : ndarray of int
        Places of the caps.
    levels : ndarray of int, shape (rows,)
        Stock of the sites that are not capped. [pieces]

    Returns
    -------
    Region
    """
    pipelines, promises = asked.pipelines, asked.promises
    assert promises.cap_promise is not None
    parent = parents(pipelines)
    capped = np.isin(promises.cap_promise, caps)
    below = np.zeros(len(capped), bool)
    for row in np.flatnonzero(capped & ~pipelines.is_leaf).tolist():
        below[row : pipelines.stop[row]] = True
    # A full site hides all above it.
    full = ~capped & (levels >= plenty_of(pipelines))
    helped = capped | (below & ~full)
    kept, up = helped.copy(), parent[helped]
    while len(up):
        up = np.unique(up[up >= 0])
        up = up[~full[up]]
        kept[up] = True
        up = parent[up]
    some, rows = cut_out(pipelines, kept, parent)
    mine = capped[rows]
    held = levels[rows]
    some = replace(some, least=np.where(mine, some.least, held), most=np.where(mine, some.most, held))
    asked_of = np.zeros(len(promises) + 1, bool)
    for kind in promises.kinds[:3]:
        if kind.promise is not None:
            asked_of[kind.promise[helped]] = True
    asked_of[np.r_[promises.is_cap, True]] = False
    theirs = np.flatnonzero(asked_of)

    def own(of: Promises) -> Promises:
        return replace(of.take(rows).only(theirs), cap_promise=None, cap_factor=np.empty(0))

    return Region(
        caps,
        theirs,
        rows,
        some,
        own(promises),
        None if asked.eased is None else own(asked.eased),
        mine,
        weighted_sum(some.row_cost[~mine], held[~mine]),
        float(promises.allowed[caps].sum()),
    )


def cut_out(pipelines: Pipelines, kept: BoolArray, parent: IntArray) -> tuple[Pipelines, IntArray]:
    """Some sites by themselves: those whose parent is left out wait for nothing above and are cut from it.

    Parameters
    ----------
    pipelines : Pipelines
    kept : ndarray of bool, shape (rows,)
        What is left out has stock for every demand.
    parent : ndarray of int, shape (rows,)
        From `curve.parents`.

    Returns
    -------
    pipelines : Pipelines
        Every tree that is left counts as a part.
    rows : ndarray of int
        Where its rows stood.
    """
    rows = np.flatnonzero(kept)
    above = parent[rows]
    rooted = (above < 0) | ~kept[above]
    tree, depth = np.full(len(kept), -1), np.zeros(len(kept), np.int64)
    tree[rows[rooted]] = rows[rooted]
    below = rows[~rooted]
    while len(below):
        ready = tree[parent[below]] >= 0
        here = below[ready]
        tree[here], depth[here] = tree[parent[here]], depth[parent[here]] + 1
        below = below[~ready]
    rows = rows[np.lexsort((rows, tree[rows]))]
    place = np.full(len(kept) + 1, -1)
    place[rows] = np.arange(len(rows))
    stop = np.arange(1, len(rows) + 1)
    for echelon in range(int(depth.max(initial=0)), 0, -1):
        here = np.flatnonzero(depth[rows] == echelon)
        np.maximum.at(stop, place[parent[rows[here]]], stop[here])
    root = np.flatnonzero(tree[rows] == rows)
    part, top = pipelines.part[rows[root]], parent[rows[root]] < 0
    changed: dict[str, Any] = {
        name: getattr(pipelines, name)[rows]
        for name in ("mean", "excess", "share", "wild", "least", "most", "own", "demand", "forest_rows")
    }
    if pipelines.windows is not None:
        reach = pipelines.windows
        laid = Windows(reach.up[rows], reach.mean[rows], reach.excess[rows], reach.tied[rows])
        # A window that ends above the cut is never missed.
        changed["windows"] = laid._replace(up=np.where(laid.up > depth[rows], -1, laid.up))
    out = replace(
        pipelines,
        starts=np.r_[root, len(rows)].astype(np.int64),
        unit_cost=pipelines.unit_cost[part],
        model=pipelines.model[part],
        batch=np.where(top, pipelines.batch[part], 1),
        stop=stop,
        depth=int(depth.max(initial=0)) + 1,
        **changed,
    )
    size = int(plenty_of(out).max(initial=0)) + SPARE_ROOM + int(out.batch.max(initial=1))
    return replace(out, room=min(pipelines.room, size)), rows
