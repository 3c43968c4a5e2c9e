"""Read the plain tables of stocking: sites as a tree, keys, numbers; every fault is collected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import Problem
from spareplan.stocking._faults import missing_columns, rows_problem, unknown_labels

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# Rows whose labels are looked up at once: enough to be quick, few enough to need little memory.
BLOCK_ROWS = 1 << 18
# Up to this many labels are looked up one by one: finding the distinct ones first would cost more.
FEW_ROWS = 2_000


@dataclass(frozen=True)
class SiteTree:
    """Sites with parents before children: labels, position of the parent (-1 at HQ), echelon, lead time.

    The lead time and its standard deviation are those from the parent. [days, days]
    """

    ids: pd.Index
    parent: IntArray
    depth: IntArray
    lead: FloatArray
    lead_sd: FloatArray


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
    problems += missing
    if not len(sites):
        problems.append(Problem("sites", 0, "", "", "is empty", "give at least the headquarters"))
    if missing or not len(sites):
        return None
    twice = doubled("sites", sites, ["site_id"])
    problems += twice
    ids = pd.Index(sites["site_id"])
    parents = sites["parent_id"].to_numpy(dtype=object)
    top = pd.isna(parents) | (parents == "")
    above = positions(sites["parent_id"], unique_ids(sites, "site_id") if twice else ids)
    above = np.where(top, -1, above)
    lead = numbers(sites, "lead_time_days", "sites", problems, default_rows=top)
    lead_sd = numbers(sites, "lead_time_sd_days", "sites", problems, default=0.0)
    before = len(problems)
    strays = ~top & (above < 0)
    problems += unknown_labels(
        "sites", sites, "parent_id", strays, ids, "is no site_id of sites", "add that site or mend the id"
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
    if twice:
        return None
    depth = np.where(top | strays, 0, -1)
    for level in range(1, len(ids) + 1):
        found = (depth < 0) & (depth[above] == level - 1)
        if not found.any():
            break
        depth[found] = level
    problems += rows_problem(
        "sites",
        sites,
        "parent_id",
        depth < 0,
        "leads round in a circle",
        "every site must lead up to the headquarters",
    )
    if len(problems) > before:
        return None
    # Within an echelon by label, so that the order of the rows of `sites` does not matter.
    labels = np.array([str(label) for label in ids.tolist()], dtype=object)
    order = np.lexsort((np.argsort(np.argsort(labels, kind="stable")), depth))
    position = np.empty(len(ids), dtype=np.int64)
    position[order] = np.arange(len(ids))
    parent = np.where(above[order] >= 0, position[above[order]], -1)
    return SiteTree(ids[order], parent, depth[order], np.nan_to_num(lead[order]), lead_sd[order])


def read_levels(
    levels: pd.DataFrame | None,
    part_ids: pd.Index | None,
    site_ids: pd.Index | None,
    tree: SiteTree | None,
    problems: list[Problem],
) -> Callable[[BoolArray, IntArray, int], tuple[IntArray, IntArray, IntArray]]:
    """Check levels; what comes back tells base stock, least and most position of every row of a forest.

    It asks which cells of parts x sites have a row, the row of each cell, and how many rows there are.
    """

    def nothing(marked: BoolArray, place: IntArray, count: int) -> tuple[IntArray, IntArray, IntArray]:
        none = np.broadcast_to(np.int64(0), count)
        return none, none, none

    if levels is None or not len(levels):
        return nothing
    part, site = places("levels", levels, part_ids, site_ids, problems)
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
        empty & ~batches & ("base_stock" in levels or "reorder_point" in levels),
        "is empty",
        "give whole pieces of at least 0, or reorder_point and order_quantity",
    )
    if "reorder_point" in levels or "order_quantity" in levels:
        # With S = R + 1 beside it a lone R says nothing more: one by one.
        problems += rows_problem(
            "levels",
            levels,
            "reorder_point",
            ~np.isnan(point) & np.isnan(quantity) & ~empty & (point + 1 != stock),
            "stands without order_quantity, and base_stock is not one piece above it",
            "give order_quantity, or leave reorder_point empty",
        )
        problems += rows_problem(
            "levels",
            levels,
            "order_quantity",
            (quantity > 1) & np.isnan(point) & ~empty,
            "stands without reorder_point",
            "give reorder_point, or leave order_quantity empty",
        )
    if problems or tree is None:
        return nothing
    # Below HQ the base stock rules where pieces are ordered one by one: R = S - 1 beside it says the same.
    batches &= (tree.depth[site] == 0) | empty | (quantity > 1)
    code = part * len(tree.ids) + site
    del part, site
    whole = np.where(empty, point + quantity, stock).astype(np.int64)
    columns = [whole]
    if batches.any():
        columns.append(np.where(batches, point + 1, whole).astype(np.int64))
        columns.append(np.where(batches, point + quantity, whole).astype(np.int64))

    def at_rows(marked: BoolArray, place: IntArray, count: int) -> tuple[IntArray, IntArray, IntArray]:
        known = marked.ravel()[code]
        rows = place.ravel()[code[known]]
        out = []
        for values in columns:
            spread = np.zeros(count, dtype=np.int64)
            spread[rows] = values[known]
            out.append(spread)
        # One by one, the position is the base stock: one array serves all three.
        return out[0], out[-2 % len(out)], out[-1]

    return at_rows


def _levels_column(levels: pd.DataFrame, column: str, low: float, problems: list[Problem]) -> FloatArray:
    if column not in levels:
        return np.broadcast_to(np.float64(np.nan), len(levels))
    values, empty = _as_numbers(levels[column])
    bad = ~empty & ~((values >= low) & np.isfinite(values) & (values == np.floor(values)))
    problems += rows_problem(
        "levels",
        levels,
        column,
        bad,
        f"is no whole number of at least {low:g}",
        f"give whole pieces, {low:g} or more",
    )
    # What is told as no number is not told as empty once more.
    return np.where(bad, low, values) if bad.any() else values


def _as_numbers(column: pd.Series) -> tuple[FloatArray, BoolArray]:
    """A column as numbers, NaN where it holds none, and where it is empty."""
    if column.dtype == np.float64 or column.dtype == np.int64:
        plain = column.to_numpy().astype(float)
        return plain, np.isnan(plain)
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return values, column.isna().to_numpy()


def doubled(table: str, frame: pd.DataFrame, keys: list[str]) -> list[Problem]:
    """A problem per row whose key stands twice or is empty."""
    if len(keys) == 1:
        labels = frame[keys[0]].to_numpy(dtype=object)
        if not pd.isna(labels).any() and len(set(labels.tolist())) == len(labels):
            return []
    bad = frame.duplicated(keys, keep="first").to_numpy() | frame[keys].isna().any(axis=1).to_numpy()
    values = frame[keys].to_numpy(dtype=object)[np.flatnonzero(bad)]
    shown = [" / ".join("" if pd.isna(value) else str(value) for value in row) for row in values]
    return [
        Problem(
            table,
            int(row) + 2,
            keys[0],
            text,
            "stands twice or is empty",
            f"give each {' x '.join(keys)} once",
        )
        for row, text in zip(np.flatnonzero(bad), shown)
    ]


def places(
    table: str,
    frame: pd.DataFrame,
    part_ids: pd.Index | None,
    site_ids: pd.Index | None,
    problems: list[Problem],
) -> tuple[IntArray, IntArray]:
    """Positions of the parts and sites of rows in unique ids (None: not known, nothing is looked up)."""
    if not {"part_id", "site_id"} <= set(frame.columns):
        return np.zeros(len(frame), dtype=np.int64), np.zeros(len(frame), dtype=np.int64)
    part, site = positions(frame["part_id"], part_ids), positions(frame["site_id"], site_ids)
    for column, place, ids in (("part_id", part, part_ids), ("site_id", site, site_ids)):
        where, one = column.replace("_id", "s"), column.removesuffix("_id")
        problems += unknown_labels(
            table, frame, column, place < 0, ids, f"is not in {where}", f"add the {one} or drop the row"
        )
    # Counting codes is much faster than comparing labels; the labels are compared where something is wrong.
    known = (part >= 0) & (site >= 0)
    every = bool(known.all())
    size = tuple(1 if ids is None else len(ids) for ids in (part_ids, site_ids))
    seen = np.zeros(size, dtype=bool)
    seen[part if every else part[known], site if every else site[known]] = True
    if not every or np.count_nonzero(seen) < len(part):
        problems += doubled(table, frame, ["part_id", "site_id"])
    return part, site


def unique_ids(frame: pd.DataFrame, column: str) -> pd.Index | None:
    """Labels of a faulty table, each once; None where it holds none."""
    ids = pd.Index(frame[column].dropna().unique() if column in frame else [])
    return ids if len(ids) else None


def positions(labels: pd.Series, ids: pd.Index | None) -> IntArray:
    """Positions of labels in unique `ids`; -1 where a label is unknown or empty; 0 where there are no ids.

    Labels are looked up once per block and value, so that millions of rows cost no Python object each.
    """
    if ids is None:
        return np.zeros(len(labels), dtype=np.int64)
    if isinstance(labels.dtype, pd.CategoricalDtype):
        known = np.r_[ids.get_indexer(labels.cat.categories), -1]
        return known[labels.cat.codes.to_numpy()]
    if len(labels) + len(ids) <= FEW_ROWS:
        wanted = labels.to_numpy(dtype=object)
        place = {label: n for n, label in enumerate(ids.tolist())}
        found = [place.get(label, -1) for label in wanted.tolist()]
        return np.where(pd.isna(wanted), -1, np.array(found, dtype=np.int64))
    out = np.empty(len(labels), dtype=np.int64)
    for begin in range(0, len(labels), BLOCK_ROWS):
        codes, unique = pd.factorize(labels.iloc[begin : begin + BLOCK_ROWS])
        out[begin : begin + BLOCK_ROWS] = np.r_[ids.get_indexer(unique), -1][codes]
    return out


def numbers(
    frame: pd.DataFrame,
    column: str,
    table: str,
    problems: list[Problem],
    default: float | None = None,
    high: float = np.inf,
    default_rows: BoolArray | None = None,
) -> FloatArray:
    """A column as numbers from 0 to `high`; empty ones become `default`, or a problem where there is none.

    A column that is absent takes no memory, and one without faults is not copied: read them, never write.
    """
    if column not in frame:
        return np.broadcast_to(np.float64(np.nan if default is None else default), len(frame))
    given = frame[column]
    if given.dtype == np.float64 and len(given):
        plain: FloatArray = given.to_numpy()
        # Comparisons with NaN are false, so an empty cell takes the long way.
        if plain.min() >= 0 and plain.max() <= min(high, np.finfo(float).max):
            return plain
    values, empty = _as_numbers(given)
    allowed = empty & (default is not None) | (empty & default_rows if default_rows is not None else False)
    bad = ~allowed & ~((values >= 0) & (values <= high) & np.isfinite(values))
    limit = f"from 0 to {high:g}" if np.isfinite(high) else "of at least 0"
    problems += rows_problem(
        table, frame, column, bad, f"is no finite number {limit}", f"give a number {limit}"
    )
    return np.where(empty, np.nan if default is None else default, values)
