"""Plain tables of sites, parts, rates and levels as one forest of rows: a tree per part, parents first."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.stocking._reading import (
    doubled,
    missing_columns,
    numbers,
    places,
    read_levels,
    read_sites,
    rows_problem,
    unique_ids,
)

__all__ = ["Forest", "missing_columns", "numbers", "read_forest", "rows_problem"]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# Beyond this many rows positions are kept in half the memory, as far as they fit.
NARROW_ROWS = 1 << 20


@dataclass(frozen=True)
class Forest:
    """A row per part x site from each demanding site up to HQ, sorted by part, parents before children.

    Parameters
    ----------
    part_ids, site_ids : Index
        Labels; sites with parents before children, HQ first.
    part, site : ndarray of int, shape (n,)
        Positions in `part_ids` and `site_ids`.
    parent : ndarray of int, shape (n,)
        Row of the part at the parent site; -1 at HQ.
    depth : ndarray of int, shape (n,)
        Echelon; 0 is HQ.
    own, demand : ndarray, shape (n,)
        Demand of the site itself, and all that arrives there. [pieces per day]
    share : ndarray, shape (n,)
        Share of the parent's demand that this site's orders are.
    lead : ndarray, shape (n,)
        Parent (at HQ: supplier) to site. [days]
    lead_sd : ndarray, shape (n,)
        Standard deviation of the same; only the simulation draws from it. [days]
    own_repaired : ndarray, shape (n,)
        Share of the site's own failed pieces that is repaired there. [share]
    repair_share, repair_days : ndarray, shape (n,)
        The same as a share of all demand arriving, and how long a repair takes: orders of the sites below
        bring no failed piece, so none of them is repaired here. [share, days]
    return_share, return_days : ndarray, shape (n,)
        At HQ: share of the rest that comes back as a repaired piece instead of a bought one. [share, days]
    vmr : ndarray, shape (n,)
        Variance to mean of the site's own demand, given its rate.
    rate_cv2 : ndarray, shape (n,)
        Squared coefficient of variation of the rate of the site's own demand.
    excess : ndarray, shape (n,)
        Variance of the demand per day beyond Poisson, given the rate. [pieces² per day]
    spread : ndarray, shape (n,)
        Standard deviation of the rate, common to all sites of the part. [pieces per day]
    overdispersed : ndarray of bool, shape (n,)
        The part has demand that varies more than Poisson at some site.
    stock : ndarray of int, shape (n,)
        Base stock as given. [pieces]
    least, most : ndarray of int, shape (n,)
        The inventory position is uniform on least .. most: stock itself, or R+1 .. R+Q. [pieces]
    """

    part_ids: pd.Index
    site_ids: pd.Index
    part: IntArray
    site: IntArray
    parent: IntArray
    depth: IntArray
    own: FloatArray
    demand: FloatArray
    share: FloatArray
    lead: FloatArray
    lead_sd: FloatArray
    own_repaired: FloatArray
    repair_share: FloatArray
    repair_days: FloatArray
    return_share: FloatArray
    return_days: FloatArray
    vmr: FloatArray
    rate_cv2: FloatArray
    excess: FloatArray
    spread: FloatArray
    overdispersed: BoolArray
    stock: IntArray
    least: IntArray
    most: IntArray

    def __len__(self) -> int:
        return len(self.part)

    @property
    def supply_days(self) -> FloatArray:
        """Mean time from an order that is not repaired at the site to its receipt, parent in stock [days]."""
        return (1 - self.return_share) * self.lead + self.return_share * self.return_days

    @property
    def mean_days(self) -> FloatArray:
        """Mean time from demand to receipt, parent in stock [days]."""
        return self.repair_share * self.repair_days + (1 - self.repair_share) * self.supply_days

    @property
    def pipeline(self) -> FloatArray:
        """Mean pieces on the way to the site, without the parent's backlog [pieces]."""
        return self.demand * self.mean_days

    @property
    def pipeline_variance(self) -> FloatArray:
        """Variance of the pieces on the way; Poisson for parts that are not overdispersed. [pieces²]."""
        days = self.mean_days
        beyond = np.maximum(self.excess, 0.0) * days + (self.spread * days) ** 2
        return self.pipeline + np.where(self.overdispersed, beyond, 0.0)

    @property
    def rate_tie(self) -> FloatArray:
        """Covariance of the pieces on the way and the part's common rate, relative to its mean. [pieces]."""
        return np.where(self.overdispersed, self._wobble * self.pipeline, 0.0)

    @property
    def seen_ahead(self) -> FloatArray:
        """Pieces on the way that an arriving piece finds beyond their mean. [pieces].

        High rates bring more of the arrivals, and a piece comes with others of its own order: of these half
        of the mean squared size over the mean size, less one, stand before it.
        """
        return np.where(self.overdispersed, self.rate_tie + (self._lump - 1) / 2, 0.0)

    @property
    def parent_lump(self) -> FloatArray:
        """Mean squared over mean order size at the parent: pieces that wait there together. [pieces]."""
        lump = np.where(self.overdispersed, self._lump, 1.0)
        return np.where(self.parent >= 0, lump[self.parent], 1.0)

    @property
    def _wobble(self) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.demand > 0, (self.spread / self.demand) ** 2, 0.0)

    @property
    def _lump(self) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.demand > 0, 1 + np.maximum(self.excess, 0.0) / self.demand, 1.0)

    @property
    def below_repair(self) -> BoolArray:
        """Rows below a site that repairs failures of its own: what such a site owes is of mixed age.

        Its repairs take another time than its orders, so that the kinds of the demands that wait there are no
        independent tosses any more, and the binomial split of its backorders is nearly, not fully, exact.
        """
        out = np.zeros(len(self), dtype=bool)
        if (self.repair_share > 0).any():
            for depth in range(1, int(self.depth.max(initial=0)) + 1):
                rows = self.rows_at(depth)
                above = self.parent[rows]
                out[rows] = out[above] | (self.repair_share[above] > 0)
        return out

    @property
    def in_lots(self) -> BoolArray:
        """Rows of parts that a site below HQ orders in quantities: no part of their tree is exact."""
        out = np.zeros(len(self.part_ids), dtype=bool)
        out[self.part[(self.most > self.least) & (self.depth > 0)]] = True
        return out[self.part]

    def cut(self, rows: IntArray | slice) -> Forest:
        """Keep some rows, ascending and of whole parts; `part` still points into all `part_ids`."""
        arrays = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name not in ("part_ids", "site_ids", "parent")
        }
        above = self.parent[rows]
        if isinstance(rows, slice):
            parent = above - rows.start
        else:
            place = np.empty(len(self), dtype=np.int64)
            place[rows] = np.arange(len(rows))
            parent = place[above]
        return replace(self, parent=np.where(above >= 0, parent, -1), **arrays)

    def stretches(self, size: int) -> list[slice]:
        """Rows of whole parts, about `size` at a time, so that work on them needs bounded memory."""
        first, last = self.spans()
        if not len(first):
            return []
        start = first[np.unique(first // size, return_index=True)[1]]
        return [slice(int(a), int(b)) for a, b in zip(start, np.r_[start[1:], last[-1]])]

    @property
    def has_children(self) -> BoolArray:
        """Rows that supply another row."""
        out = np.zeros(len(self), dtype=bool)
        out[self.parent[self.parent >= 0]] = True
        return out

    def rows_at(self, depth: int) -> IntArray:
        """Rows of one echelon."""
        return np.flatnonzero(self.depth == depth)

    def spans(self) -> tuple[IntArray, IntArray]:
        """First row of each part, and one past its last."""
        first = (
            np.flatnonzero(np.r_[True, self.part[1:] != self.part[:-1]]) if len(self) else np.empty(0, int)
        )
        return first, np.r_[first[1:], len(self)] if len(self) else first


def narrowed(positions: IntArray, rows: int, largest: int) -> IntArray:
    """Positions of `rows` rows as they are kept: four bytes each where there are many and all codes fit.

    Parameters
    ----------
    positions : ndarray of int
    rows : int
        Rows of the table.
    largest : int
        Largest code that is made of them, as part x site.

    Returns
    -------
    ndarray of int
    """
    small: Any = np.int32 if largest <= np.iinfo(np.int32).max else np.int64
    return positions.astype(small) if rows > NARROW_ROWS else positions


def read_forest(
    sites: pd.DataFrame, parts: pd.DataFrame, rates: pd.DataFrame, levels: pd.DataFrame | None = None
) -> Forest:
    """Check plain tables and lay them out as a forest.

    Parameters
    ----------
    sites, parts, rates, levels : DataFrame
        As in `spareplan.stocking.evaluate_levels`; levels None means no stock anywhere.

    Returns
    -------
    Forest

    Raises
    ------
    DataError
        Every fault of the four tables at once.
    """
    problems: list[Problem] = []
    tree = read_sites(sites, problems)
    wanted = {
        "parts": (parts, ["part_id", "lead_time_days"]),
        "rates": (rates, ["part_id", "site_id", "demand_per_day"]),
        "levels": (levels, ["part_id", "site_id"]),
    }
    for table, (frame, columns) in wanted.items():
        if frame is not None:
            problems += missing_columns(table, frame, columns)
    if levels is not None and "base_stock" not in levels and "reorder_point" not in levels:
        problems += missing_columns("levels", levels, ["base_stock"])
    # Whatever is missing, the rest is checked against what there is: all faults at once.
    site_ids = tree.ids if tree is not None else unique_ids(sites, "site_id")
    part_ids = pd.Index(parts["part_id"]) if "part_id" in parts else None
    known_parts = part_ids
    if part_ids is not None and (twice := doubled("parts", parts, ["part_id"])):
        problems += twice
        known_parts = unique_ids(parts, "part_id")
    lead = numbers(parts, "lead_time_days", "parts", problems)
    lead_sd = numbers(parts, "lead_time_sd_days", "parts", problems, default=0.0)
    returned = numbers(parts, "repairable_share", "parts", problems, default=0.0, high=1.0)
    returned_days = numbers(parts, "repair_days", "parts", problems, default=np.nan)
    unclear = (returned > 0) & np.isnan(returned_days)
    problems += rows_problem(
        "parts",
        parts,
        "repair_days",
        unclear,
        "is empty although repairable_share is above 0",
        "give the days a repair takes, or repairable_share 0",
    )
    part, site = places("rates", rates, known_parts, site_ids, problems)
    own = numbers(rates, "demand_per_day", "rates", problems)
    vmr = numbers(rates, "vmr", "rates", problems, default=1.0)
    cv2 = numbers(rates, "rate_cv2", "rates", problems, default=0.0)
    repaired = numbers(rates, "repair_share_site", "rates", problems, default=0.0, high=1.0)
    repaired_days = numbers(rates, "repair_days_site", "rates", problems, default=np.nan)
    problems += rows_problem(
        "rates",
        rates,
        "repair_days_site",
        (repaired > 0) & np.isnan(repaired_days),
        "is empty although repair_share_site is above 0",
        "give the days a repair takes, or repair_share_site 0",
    )
    stocked = read_levels(levels, known_parts, site_ids, tree, problems)
    if problems or tree is None or part_ids is None:
        raise DataError(problems)

    marked = np.zeros((len(part_ids), len(tree.ids)), dtype=bool)
    marked[part, site] = True
    for child in range(len(tree.ids) - 1, 0, -1):
        # Children stand behind their parents, so that marks climb to HQ in one pass.
        marked[:, tree.parent[child]] |= marked[:, child]
    row_part, row_site = np.nonzero(marked)
    count = len(row_part)
    place = np.cumsum(marked)
    place -= 1
    place = place.reshape(marked.shape)
    at = place[part, site]
    del part, site
    stock, least, most = stocked(marked, place, count)
    del stocked, marked
    parent_site = tree.parent[row_site]
    top = parent_site < 0
    parent = place[row_part, parent_site]
    parent[top] = -1
    del place, parent_site
    codes = len(part_ids) * len(tree.ids)
    row_part, row_site, parent = (narrowed(one, count, codes) for one in (row_part, row_site, parent))

    def spread_out(values: FloatArray, default: float) -> FloatArray:
        if (values == default).all():
            # A view of one number: tables of millions of rows seldom give every column.
            return np.broadcast_to(np.float64(default), count)
        out = np.full(count, default)
        out[at] = values
        return out

    nothing = np.broadcast_to(np.float64(0.0), count)
    own_rows = spread_out(own, 0.0)
    own_vmr, own_cv2 = spread_out(vmr, 1.0), spread_out(cv2, 0.0)
    own_repaired = spread_out(repaired, 0.0)
    repairs, lumps, wobbles = ((values > 0).any() for values in (repaired, abs(vmr - 1), cv2))
    demand = own_rows.copy()
    excess = own_rows * (own_vmr - 1) if lumps else nothing
    spread = own_rows * np.sqrt(own_cv2) if wobbles else nothing
    # A failed piece is repaired where it failed; what the site keeps of its own stream never goes up.
    # Thinning a compound stream keeps the square of the share of its excess variance.
    kept = (own_repaired * demand, (1 - (1 - own_repaired) ** 2) * excess, own_repaired * spread)
    depth_rows = narrowed(tree.depth, count, len(tree.ids))[row_site]
    for depth in range(int(tree.depth.max()), 0, -1):
        rows = np.flatnonzero(depth_rows == depth)
        for stream, stays in zip((demand, excess, spread), kept):
            if stream is not nothing:
                np.add.at(stream, parent[rows], stream[rows] - stays[rows])
    del kept
    share = demand[parent]
    with np.errstate(invalid="ignore", divide="ignore"):
        repair_share = np.where(demand > 0, own_repaired * own_rows / demand, 0.0) if repairs else nothing
        share = np.where(top | (share <= 0), 0.0, (1 - repair_share) * demand / share)
    wild = (own > 0) & ((vmr > 1) | (cv2 > 0))
    overdispersed = np.broadcast_to(np.bool_(False), count)
    if wild.any():
        wild_parts = np.zeros(len(part_ids), dtype=bool)
        wild_parts[row_part[at[wild]]] = True
        overdispersed = wild_parts[row_part]
    back, vague = bool((returned > 0).any()), bool((lead_sd > 0).any() or (tree.lead_sd > 0).any())
    return Forest(
        part_ids=part_ids,
        site_ids=tree.ids,
        part=row_part,
        site=row_site,
        parent=parent,
        depth=depth_rows,
        own=own_rows,
        demand=demand,
        share=np.minimum(share, 1.0, out=share),
        lead=np.where(top, lead[row_part], tree.lead[row_site]),
        lead_sd=np.where(top, lead_sd[row_part], tree.lead_sd[row_site]) if vague else nothing,
        own_repaired=own_repaired,
        repair_share=repair_share,
        repair_days=spread_out(np.nan_to_num(repaired_days), 0.0),
        return_share=np.where(top, returned[row_part], 0.0) if back else nothing,
        return_days=np.where(top, np.nan_to_num(returned_days[row_part]), 0.0) if back else nothing,
        vmr=own_vmr,
        rate_cv2=own_cv2,
        excess=excess,
        spread=spread,
        overdispersed=overdispersed,
        stock=stock,
        least=least,
        most=most,
    )
