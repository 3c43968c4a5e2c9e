"""Parts x sites as the kernels want them: rows by part, a site before all below it, one array per figure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking._columns import EXACT, METRIC, TWO_MOMENT
from spareplan.stocking._forest import Forest, narrowed

if TYPE_CHECKING:
    from spareplan.stocking.tabulated import Tables

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MODELS = {"exact": EXACT, "two_moment": TWO_MOMENT, "metric": METRIC}
ANY_STOCK = 1 << 40


def weighted_sum(weights: FloatArray, values: NDArray[Any]) -> float:
    """Sum of products, to the last digit the same wherever the arrays lie in memory: BLAS is not."""
    return float((weights * values).sum())


class Windows(NamedTuple):
    """How far each row's window reaches, as the kernels ask it (arrays of shape (rows,)).

    Parameters
    ----------
    up : ndarray of int
        Steps up to the site in whose lead time the window ends; 0: the site's own, -1: nothing is ever late.
    mean, excess, tied : ndarray
        Pieces ordered there before a tagged one and still on the way when the window closes: mean, variance
        beyond it, and covariance with the common rate. [pieces, pieces², pieces]
    """

    up: IntArray
    mean: FloatArray
    excess: FloatArray
    tied: FloatArray


@dataclass(frozen=True)
class Pipelines:
    """What the kernels need to know of every part x site: rows by part, within a part in preorder.

    Parameters
    ----------
    starts : ndarray of int, shape (parts + 1,)
        First row of each part.
    unit_cost : ndarray, shape (parts,)
        Money per piece, above 0. [money]
    model, batch : ndarray of int, shape (parts,)
        Evaluation (`MODELS`), and order quantity at HQ. [pieces]
    stop : ndarray of int, shape (rows,)
        Row after the last descendant.
    mean, excess : ndarray, shape (rows,)
        Pieces on the way without the parent's backlog, and their variance beyond Poisson. [pieces, pieces²]
    share : ndarray, shape (rows,)
        Share of the parent's demand that this site orders.
    wild : ndarray, shape (rows, 3)
        What overdispersed demand adds: covariance of `mean` and the common rate [pieces], pieces on order
        that an
        arriving piece finds beyond the mean [pieces], pieces of one order that wait together at the parent.
    least, most : ndarray of int, shape (rows,)
        Floor and ceiling of the base stock. [pieces]
    own, demand : ndarray, shape (rows,)
        Demand of the site itself, and all that arrives. [pieces per day]
    forest_rows : ndarray of int, shape (rows,)
        Row of the forest each row came from.
    windows : Windows, optional
        Of the promises to serve within some days.
    engine : str
        Where the kernels run: "local" (threads), "processes" or the address of a Dask scheduler.
    """

    starts: IntArray
    unit_cost: FloatArray
    model: IntArray
    batch: IntArray
    stop: IntArray
    mean: FloatArray
    excess: FloatArray
    share: FloatArray
    wild: FloatArray
    least: IntArray
    most: IntArray
    own: FloatArray
    demand: FloatArray
    forest_rows: IntArray
    depth: int
    room: int
    windows: Windows | None = None
    engine: str = "local"

    @cached_property
    def tables(self) -> Tables | None:
        """Every stock of a small problem tabulated, so that it waits for no compiler; None: too many."""
        from spareplan.stocking.tabulated import few_tables

        return few_tables(self)

    @property
    def part(self) -> IntArray:
        """Part of each row."""
        return np.repeat(np.arange(len(self.unit_cost)), np.diff(self.starts))

    @property
    def row_cost(self) -> FloatArray:
        """Unit cost of each row."""
        return np.repeat(self.unit_cost, np.diff(self.starts))

    def between(self, least: IntArray, most: IntArray) -> Pipelines:
        """Lay out the same with narrower floors and ceilings; tables hold for all of them."""
        out = replace(self, least=least, most=most)
        out.__dict__["tables"] = self.tables
        return out

    def take(self, parts: IntArray) -> Pipelines:
        """Lay out some parts, in any order, also more than once."""
        counts = np.diff(self.starts)[parts]
        starts = np.r_[0, np.cumsum(counts)].astype(np.int64)
        shift = np.repeat(self.starts[parts] - starts[:-1], counts)
        rows = np.arange(starts[-1]) + shift
        changed: dict[str, Any] = {
            name: getattr(self, name)[rows]
            for name in (
                "mean",
                "excess",
                "share",
                "wild",
                "least",
                "most",
                "own",
                "demand",
                "forest_rows",
            )
        }
        changed |= {name: getattr(self, name)[parts] for name in ("unit_cost", "model", "batch")}
        if self.windows is not None:
            changed["windows"] = Windows(*(values[rows] for values in self.windows))
        taken = replace(self, starts=starts, stop=self.stop[rows] - shift, **changed)
        if self.tables is not None:
            taken.__dict__["tables"] = self.tables.take(rows)
        return taken

    def rows_of(self, parts: IntArray) -> IntArray:
        """Rows of some parts, as `take` lays them out."""
        counts = np.diff(self.starts)[parts]
        ends = np.cumsum(counts)
        return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(
            self.starts[parts] - (ends - counts), counts
        )

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Rows without children."""
        return self.stop == np.arange(len(self.stop)) + 1


def lay_out(forest: Forest, unit_cost: FloatArray, method: str, batch: IntArray | None = None) -> Pipelines:
    """Arrange a forest for the kernels.

    Parameters
    ----------
    forest : Forest
        From `read_forest`.
    unit_cost : ndarray, shape (parts,)
        Of `forest.part_ids`. [money]
    method : {"exact", "two_moment", "metric"}
        Evaluation; overdispersed parts are evaluated by two moments where "exact" is asked for.
    batch : ndarray of int, shape (parts,), optional
        Order quantity at HQ; None: one for one. [pieces]

    Returns
    -------
    Pipelines
        Only the parts that have rows, in the order of the forest.
    """
    count = len(forest)
    rank = _preorder(forest)[forest.site]
    # Two echelons stand in preorder already: then nothing is copied.
    ordered = bool(((rank[1:] > rank[:-1]) | (forest.part[1:] != forest.part[:-1])).all())
    order = np.arange(count) if ordered else np.lexsort((rank, forest.part))
    order = narrowed(order, count, count)
    del rank

    def arranged(values: NDArray[Any]) -> NDArray[Any]:
        return values if ordered or values.strides == (0,) else values[order]

    part = arranged(forest.part)
    starts = np.flatnonzero(np.r_[True, part[1:] != part[:-1]]) if count else np.empty(0, np.int64)
    kept = part[starts]
    parent = forest.parent
    if not ordered:
        place = np.empty(count, dtype=np.int64)
        place[order] = np.arange(count)
        parent = np.where(parent[order] >= 0, place[parent[order]], -1)
        del place
    depth = arranged(forest.depth)
    echelons = [np.flatnonzero(depth == d) for d in range(1, int(forest.depth.max(initial=0)) + 1)]
    stop = narrowed(np.arange(1, count + 1), count, count)
    for rows in echelons[::-1]:
        np.maximum.at(stop, parent[rows], stop[rows])
    days = arranged(forest.mean_days)
    mean = arranged(forest.demand) * days
    nothing_more = np.broadcast_to(np.float64(0.0), count)
    wild = forest.overdispersed.any()
    varies = arranged(forest.overdispersed)[starts]
    model = np.where(varies & (method == "exact"), MODELS["two_moment"], MODELS[method])
    excess, tied = nothing_more, np.broadcast_to(np.array([0.0, 0.0, 1.0]), (count, 3))
    if wild and method != "metric":
        beyond = np.maximum(forest.excess, 0.0) * forest.mean_days
        beyond += (forest.spread * forest.mean_days) ** 2
        excess = arranged(np.where(forest.overdispersed, beyond, 0.0))
    if wild:
        tied = np.stack([forest.rate_tie, forest.seen_ahead, forest.parent_lump], axis=1)[order]
    share = arranged(forest.share)
    most_mean, most_variance = mean.copy(), mean + excess
    for rows in echelons:
        up, p = parent[rows], share[rows]
        most_mean[rows] += p * most_mean[up]
        most_variance[rows] += p * (1 - p) * most_mean[up] + p**2 * most_variance[up]
    size = (
        most_mean
        + 12 * np.sqrt(most_variance)
        + 40 * np.maximum(1, most_variance / np.maximum(most_mean, 1e-12))
    ).max(initial=0.0)
    del most_mean, most_variance, echelons
    quantity = np.ones(len(starts), np.int64) if batch is None else np.asarray(batch, np.int64)[kept]
    least = np.broadcast_to(np.int64(0), count)
    if (quantity > 1).any():
        least = np.zeros(count, np.int64)
        least[starts] = quantity - 1
    starts = np.r_[starts, count].astype(np.int64)
    return Pipelines(
        starts=starts,
        unit_cost=np.asarray(unit_cost, float)[kept],
        model=model.astype(np.int64),
        batch=quantity,
        stop=stop,
        mean=mean,
        excess=excess,
        share=share,
        wild=tied,
        least=least,
        most=np.broadcast_to(np.int64(ANY_STOCK), count),
        own=arranged(forest.own),
        demand=arranged(forest.demand),
        forest_rows=order,
        depth=int(forest.depth.max(initial=0)) + 1,
        room=int(size) + 64 + int(quantity.max(initial=1)),
    )


def _preorder(forest: Forest) -> IntArray:
    """Rank of every site in preorder: a site, then its first child with all below it, and so on."""
    count = len(forest.site_ids)
    above = np.full(count, -1)
    below = forest.parent >= 0
    above[forest.site[below]] = forest.site[forest.parent[below]]
    size = np.ones(count, np.int64)
    for site in range(count - 1, 0, -1):
        if above[site] >= 0:
            size[above[site]] += size[site]
    rank = np.zeros(count, np.int64)
    used = np.zeros(count, np.int64)
    for site in range(1, count):
        if above[site] >= 0:
            rank[site] = rank[above[site]] + 1 + used[above[site]]
            used[above[site]] += size[site]
    return rank
