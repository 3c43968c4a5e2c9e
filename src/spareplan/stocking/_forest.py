"""Plain tables of sites, parts, rates and levels as one forest of rows: a tree per part, parents first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


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
    repair_share, repair_days : ndarray, shape (n,)
        Share of all demand arriving that is repaired at the site, and how long that takes. [share, days]
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


@dataclass(frozen=True)
class SiteTree:
    """Sites with parents before children: labels, position of the parent (-1 at HQ), echelon, lead time."""

    ids: pd.Index
    parent: IntArray
    depth: IntArray
    lead: FloatArray


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
    if problems or tree is None:
        raise DataError(problems)
    part_ids = pd.Index(parts["part_id"])
    problems += _doubled("parts", parts, ["part_id"])
    lead = numbers(parts, "lead_time_days", "parts", problems)
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
    part, site = _places("rates", rates, part_ids, tree.ids, problems)
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
    stocked = _read_levels(levels, part_ids, tree, problems)
    if problems:
        raise DataError(problems)

    width = len(tree.ids)
    code = part * width + site
    every = code
    for depth in range(int(tree.depth.max()), 0, -1):
        here = every[tree.depth[every % width] == depth]
        above = (here // width) * width + tree.parent[here % width]
        every = np.unique(np.concatenate([every, above]))
    every = np.unique(every)
    row_part, row_site = every // width, every % width
    parent_site = tree.parent[row_site]
    parent = np.where(
        parent_site >= 0, np.searchsorted(every, row_part * width + np.maximum(parent_site, 0)), -1
    )
    at = np.searchsorted(every, code)

    def spread_out(values: FloatArray, default: float) -> FloatArray:
        out = np.full(len(every), default)
        out[at] = values
        return out

    top = parent_site < 0
    own_rows = spread_out(own, 0.0)
    own_vmr, own_cv2 = spread_out(vmr, 1.0), spread_out(cv2, 0.0)
    share_site = spread_out(repaired, 0.0)
    demand, excess, spread = own_rows.copy(), own_rows * (own_vmr - 1), own_rows * np.sqrt(own_cv2)
    depth_rows = tree.depth[row_site]
    for depth in range(int(tree.depth.max()), 0, -1):
        rows = np.flatnonzero(depth_rows == depth)
        keep = 1 - share_site[rows]
        # Thinning a compound stream keeps the square of the share of its excess variance.
        np.add.at(demand, parent[rows], keep * demand[rows])
        np.add.at(excess, parent[rows], keep**2 * excess[rows])
        np.add.at(spread, parent[rows], keep * spread[rows])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(top | (demand[parent] <= 0), 0.0, (1 - share_site) * demand / demand[parent])
    wild_parts = np.zeros(len(part_ids), dtype=bool)
    wild_parts[part[(own > 0) & ((vmr > 1) | (cv2 > 0))]] = True
    stock, least, most = stocked(every)
    return Forest(
        part_ids=part_ids,
        site_ids=tree.ids,
        part=row_part,
        site=row_site,
        parent=parent,
        depth=depth_rows,
        own=own_rows,
        demand=demand,
        share=np.minimum(share, 1.0),
        lead=np.where(top, lead[row_part], tree.lead[row_site]),
        repair_share=share_site,
        repair_days=np.nan_to_num(spread_out(repaired_days, 0.0)),
        return_share=np.where(top, returned[row_part], 0.0),
        return_days=np.where(top, np.nan_to_num(returned_days[row_part]), 0.0),
        vmr=own_vmr,
        rate_cv2=own_cv2,
        excess=excess,
        spread=spread,
        overdispersed=wild_parts[row_part],
        stock=stock,
        least=least,
        most=most,
    )


def read_sites(sites: pd.DataFrame, problems: list[Problem]) -> SiteTree | None:
    """Order sites into a tree; faults are appended to `problems`, and None comes back where there is no tree.

    Parameters
    ----------
    sites : DataFrame
        site_id, parent_id (empty at HQ), lead_time_days.
    problems : list of Problem
        Grows by what is wrong.

    Returns
    -------
    SiteTree or None
    """
    missing = missing_columns("sites", sites, ["site_id", "parent_id", "lead_time_days"])
    if missing or not len(sites):
        problems += missing or [Problem("sites", 0, "", "", "is empty", "give at least the headquarters")]
        return None
    doubled = _doubled("sites", sites, ["site_id"])
    problems += doubled
    if doubled:
        return None
    ids = pd.Index(sites["site_id"])
    parents = sites["parent_id"].to_numpy(dtype=object)
    top = pd.isna(parents) | (parents == "")
    above = np.full(len(ids), -1)
    above[~top] = ids.get_indexer(pd.Index(parents[~top]))
    lead = numbers(sites, "lead_time_days", "sites", problems, default_rows=top)
    before = len(problems)
    problems += rows_problem(
        "sites",
        sites,
        "parent_id",
        ~top & (above < 0),
        "is no site_id of sites",
        "add that site or mend the id",
    )
    problems += rows_problem(
        "sites",
        sites,
        "lead_time_days",
        top & (lead > 0),
        "is above 0 at the headquarters",
        "put the supplier's lead time into parts.lead_time_days",
    )
    if top.sum() != 1:
        problems.append(
            Problem(
                "sites",
                0,
                "parent_id",
                str(int(top.sum())),
                "exactly one site has no parent",
                "leave parent_id empty at the headquarters only",
            )
        )
    if len(problems) > before:
        return None
    depth = np.where(top, 0, -1)
    for level in range(1, len(ids) + 1):
        found = (depth < 0) & (depth[above] == level - 1)
        if not found.any():
            break
        depth[found] = level
    circle = depth < 0
    if circle.any():
        problems += rows_problem(
            "sites",
            sites,
            "parent_id",
            circle,
            "leads round in a circle",
            "every site must lead up to the headquarters",
        )
        return None
    # Within an echelon by label, so that the order of the rows of `sites` does not matter.
    rank = np.argsort(np.argsort(ids.astype(str), kind="stable"))
    order = np.lexsort((rank, depth))
    position = np.empty(len(ids), dtype=np.int64)
    position[order] = np.arange(len(ids))
    parent = np.where(above[order] >= 0, position[above[order]], -1)
    return SiteTree(ids[order], parent, depth[order], np.nan_to_num(lead[order]))


def missing_columns(table: str, frame: pd.DataFrame, columns: list[str]) -> list[Problem]:
    """A problem per column that the table lacks."""
    return [
        Problem(table, 0, name, "", "is missing", f"add the column {name}")
        for name in columns
        if name not in frame.columns
    ]


def rows_problem(
    table: str, frame: pd.DataFrame, column: str, bad: BoolArray, rule: str, remedy: str
) -> list[Problem]:
    """A problem per faulty row; rows count as in a file with the header as line 1."""
    values = (
        frame[column].to_numpy(dtype=object) if column in frame else np.full(len(frame), "", dtype=object)
    )
    return [
        Problem(table, int(row) + 2, column, "" if pd.isna(values[row]) else str(values[row]), rule, remedy)
        for row in np.flatnonzero(bad)
    ]


def numbers(
    frame: pd.DataFrame,
    column: str,
    table: str,
    problems: list[Problem],
    default: float | None = None,
    high: float = np.inf,
    default_rows: BoolArray | None = None,
) -> FloatArray:
    """A column as numbers from 0 to `high`; empty ones become `default`, or a problem where there is none."""
    if column not in frame:
        return np.full(len(frame), np.nan if default is None else default)
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    empty = frame[column].isna().to_numpy()
    allowed = empty & (default is not None) | (empty & default_rows if default_rows is not None else False)
    bad = ~allowed & ~((values >= 0) & (values <= high) & np.isfinite(values))
    limit = f"from 0 to {high:g}" if np.isfinite(high) else "of at least 0"
    problems += rows_problem(
        table, frame, column, bad, f"is no finite number {limit}", f"give a number {limit}"
    )
    return np.where(empty, np.nan if default is None else default, values)


def _doubled(table: str, frame: pd.DataFrame, keys: list[str]) -> list[Problem]:
    bad = frame.duplicated(keys, keep="first").to_numpy() | frame[keys].isna().any(axis=1).to_numpy()
    values = frame[keys].astype(str).agg(" / ".join, axis=1) if bad.any() else frame[keys[0]]
    return [
        Problem(
            table,
            int(row) + 2,
            keys[0],
            str(values.iloc[row]),
            "stands twice or is empty",
            f"give each {' x '.join(keys)} once",
        )
        for row in np.flatnonzero(bad)
    ]


def _places(
    table: str, frame: pd.DataFrame, part_ids: pd.Index, site_ids: pd.Index, problems: list[Problem]
) -> tuple[IntArray, IntArray]:
    if not part_ids.is_unique:
        return np.zeros(len(frame), dtype=np.int64), np.zeros(len(frame), dtype=np.int64)
    part = part_ids.get_indexer(pd.Index(frame["part_id"]))
    site = site_ids.get_indexer(pd.Index(frame["site_id"]))
    problems += rows_problem(
        table, frame, "part_id", part < 0, "is not in parts", "add the part or drop the row"
    )
    problems += rows_problem(
        table, frame, "site_id", site < 0, "is not in sites", "add the site or drop the row"
    )
    problems += _doubled(table, frame, ["part_id", "site_id"])
    return part.astype(np.int64), site.astype(np.int64)


def _read_levels(
    levels: pd.DataFrame | None, part_ids: pd.Index, tree: SiteTree, problems: list[Problem]
) -> Callable[[IntArray], tuple[IntArray, IntArray, IntArray]]:
    if levels is None or not len(levels):
        return lambda every: tuple(np.zeros(len(every), dtype=np.int64) for _ in range(3))  # type: ignore[return-value]
    part, site = _places("levels", levels, part_ids, tree.ids, problems)
    point, quantity = (
        _levels_column(levels, name, low, problems)
        for name, low in (("reorder_point", -1.0), ("order_quantity", 1.0))
    )
    batches = ~np.isnan(quantity) & ~np.isnan(point)
    stock = _levels_column(levels, "base_stock", 0.0, problems)
    empty = np.isnan(stock)
    problems += rows_problem(
        "levels",
        levels,
        "base_stock",
        empty & ~batches,
        "is empty",
        "give whole pieces of at least 0, or reorder_point and order_quantity",
    )
    below = (site >= 0) & (tree.depth[site] > 0) & batches & (quantity > 1)
    problems += rows_problem(
        "levels",
        levels,
        "order_quantity",
        below,
        "is above 1 below the headquarters",
        "sites below the headquarters order one for one: give base_stock alone",
    )
    if problems:
        return lambda every: (every, every, every)
    # Below HQ the base stock rules; a reorder point of S - 1 beside it says the same.
    batches &= (tree.depth[site] == 0) | empty
    stock = np.where(empty, point + quantity, stock)
    least = np.where(batches, point + 1, stock).astype(np.int64)
    most = np.where(batches, point + quantity, stock).astype(np.int64)
    whole = stock.astype(np.int64)
    code = part * len(tree.ids) + site

    def at_rows(every: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        place = np.minimum(np.searchsorted(every, code), max(len(every) - 1, 0))
        known = every[place] == code if len(every) else np.zeros(len(code), dtype=bool)
        out = np.zeros((3, len(every)), dtype=np.int64)
        for row, values in zip(out, (whole, least, most)):
            row[place[known]] = values[known]
        return out[0], out[1], out[2]

    return at_rows


def _levels_column(levels: pd.DataFrame, column: str, low: float, problems: list[Problem]) -> FloatArray:
    if column not in levels:
        return np.full(len(levels), np.nan)
    values = pd.to_numeric(levels[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    empty = levels[column].isna().to_numpy()
    bad = ~empty & ~((values >= low) & np.isfinite(values) & (values == np.floor(values)))
    problems += rows_problem(
        "levels",
        levels,
        column,
        bad,
        f"is no whole number of at least {low:g}",
        f"give whole pieces, {low:g} or more",
    )
    return values
