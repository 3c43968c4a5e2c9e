"""The tree of sites: headquarters at its root, every other site supplied by its parent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from spareplan.errors import DataError, Problem

PATH_SHOWN = 8


@dataclass(frozen=True)
class Network:
    """Who supplies whom.

    Parameters
    ----------
    hq : str
        The one site without a parent.
    site_ids : list of str
        Parents before children; sorted within an echelon.
    parent : Series
        Site to the site that supplies it; NaN for headquarters.
    echelon : Series of int
        Site to its distance from headquarters; headquarters 0.
    lead_time_days : Series of float
        Site to the time from its parent; headquarters 0. [days]
    region : Series
        Site to region_id; NaN where a site serves no region.
    """

    hq: str
    site_ids: list[str]
    parent: pd.Series
    echelon: pd.Series
    lead_time_days: pd.Series
    region: pd.Series

    def children(self, site: str) -> list[str]:
        """Sites supplied directly by a site, sorted."""
        self._known(site)
        return list(self.parent.index[(self.parent == site).to_numpy()])

    def path_to_hq(self, site: str) -> list[str]:
        """The site, its parent, and so on up to headquarters."""
        self._known(site)
        path = [site]
        while path[-1] != self.hq:
            path.append(self.parent[path[-1]])
        return path

    @property
    def leaves(self) -> list[str]:
        """Sites that supply no other site."""
        supplying = set(self.parent.dropna())
        return [site for site in self.site_ids if site not in supplying]

    def _known(self, site: str) -> None:
        if site not in self.echelon.index:
            raise DataError(
                [
                    Problem(
                        "sites",
                        None,
                        "site_id",
                        str(site),
                        "not in sites",
                        "add the site or use one of the network",
                    )
                ]
            )


def build_network(sites: pd.DataFrame) -> Network:
    """Order sites into their tree.

    Parameters
    ----------
    sites : DataFrame
        Columns site_id, parent_id (missing for headquarters), lead_time_days; region_id if there are regions.

    Returns
    -------
    Network

    Raises
    ------
    DataError
        Doubled sites, no headquarters or two, unknown parents, circles; each named with its row.
    """
    problems = network_problems(sites)
    if problems:
        raise DataError(problems)
    ordered = sites.sort_values("site_id", kind="stable")
    parent = pd.Series(
        ordered["parent_id"].to_numpy(dtype=object), index=ordered["site_id"], name="parent_id"
    )
    depth = echelons(dict(parent))
    echelon = pd.Series(depth, name="echelon", dtype="int64")[parent.index].sort_values(kind="stable")
    order = list(echelon.index)
    return Network(
        hq=order[0],
        site_ids=order,
        parent=parent[order].astype(sites["site_id"].dtype),
        echelon=echelon.rename_axis("site_id"),
        lead_time_days=_by_site(ordered, "lead_time_days", order).fillna(0.0),
        region=_by_site(ordered, "region_id", order)
        if "region_id" in sites
        else pd.Series(index=order, dtype=object),
    )


def echelons(parents: Mapping[str, Any]) -> dict[str, int]:
    """Distance of every site from its root; sites in a circle, or hanging on none, are left out.

    Parameters
    ----------
    parents : mapping
        Site to parent; a missing parent makes a root.

    Returns
    -------
    dict of str to int
    """
    children: dict[Any, list[str]] = {}
    for site, parent in parents.items():
        children.setdefault(None if pd.isna(parent) else parent, []).append(site)
    depth: dict[str, int] = {}
    level, reached = 0, children.get(None, [])
    while reached:
        depth.update(dict.fromkeys(reached, level))
        reached = [child for site in reached for child in children.get(site, [])]
        level += 1
    return depth


def network_problems(sites: pd.DataFrame, rows: pd.Series | None = None) -> list[Problem]:
    """What keeps sites from being one tree.

    Parameters
    ----------
    sites : DataFrame
        Columns site_id, parent_id.
    rows : Series, optional
        Row number of each site in its file; None: position, header as line 1.

    Returns
    -------
    list of Problem
    """
    number = [int(row) for row in (range(2, len(sites) + 2) if rows is None else rows)]
    row_of: dict[str, int] = {}
    parents: dict[str, Any] = {}
    problems = []
    for row, site, parent in zip(number, sites["site_id"], sites["parent_id"]):
        if site in row_of:
            problems.append(
                Problem(
                    "sites",
                    row,
                    "site_id",
                    str(site),
                    f"stands already in row {row_of[site]}",
                    "keep one of the two rows",
                )
            )
            continue
        row_of[site], parents[site] = row, parent
    roots = [site for site, parent in parents.items() if pd.isna(parent)]
    if not roots:
        problems.append(
            Problem(
                "sites",
                0,
                "parent_id",
                "",
                "has no headquarters: every site has a parent",
                "leave parent_id empty in the row of headquarters",
            )
        )
    for extra in roots[1:]:
        problems.append(
            Problem(
                "sites",
                row_of[extra],
                "parent_id",
                "",
                f"is a second headquarters: {extra} has no parent, and neither has {roots[0]} "
                f"(row {row_of[roots[0]]})",
                f"name the site that supplies {extra}",
            )
        )
    for site, parent in parents.items():
        if not pd.isna(parent) and parent not in parents:
            problems.append(
                Problem(
                    "sites",
                    row_of[site],
                    "parent_id",
                    str(parent),
                    "not in sites",
                    "add the site or correct the parent",
                )
            )
    return problems + [
        Problem(
            "sites",
            row_of[site],
            "parent_id",
            str(parents[site]),
            f"closes a circle: {' <- '.join(shown)}",
            "let one of them hang on headquarters",
        )
        for site, shown in circles(parents)
    ]


def circles(parents: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Circles in a mapping from each item to the one above it.

    Parameters
    ----------
    parents : mapping
        Item to the item above; missing or unknown ends the chain.

    Returns
    -------
    list of (item, path)
        The first item of each circle as the mapping stands, and the way round from it.
    """
    done: set[Any] = set()
    found = []
    for start in parents:
        path: dict[Any, None] = {}
        item: Any = start
        while item in parents and item not in done and item not in path:
            path[item] = None
            item = parents[item]
        if item in path:
            ring = list(path)[list(path).index(item) :]
            first = min(range(len(ring)), key=lambda at: str(ring[at]))
            ring = ring[first:] + ring[:first]
            shown = [str(name) for name in ring[:PATH_SHOWN]] + (["..."] if len(ring) > PATH_SHOWN else [])
            found.append((str(ring[0]), [*shown, str(ring[0])]))
        done.update(path)
    return found


def _by_site(sites: pd.DataFrame, column: str, order: list[str]) -> pd.Series:
    values = pd.Series(sites[column].array, index=sites["site_id"], name=column)
    return values[order].rename_axis("site_id")
