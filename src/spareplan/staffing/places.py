"""Where the work of a region really is: hull, ellipse and clusters of its machines.

An administrative area says how far a border reaches, not how far an engineer drives: most machines stand in
a few towns. So machines with coordinates come first, sites that serve them second, the area last.

References
----------
.. [1] Larson, Odoni (1981), Urban Operations Research, ch. 3 (mean distances in a square, circuity).
.. [2] Ward (1963), Hierarchical grouping to optimize an objective function, JASA 58.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.staffing.travel import KM_PER_DEGREE, degrees_of, effective_area, flat_km, flat_origin

FloatArray = NDArray[np.float64]
# Machines of which only some have coordinates are judged by these only if they are so many.
LEAST_PLACED = 5
# Machines that need no queue to stay at each other's doorstep: engineers come from the site.
FEW_MACHINES = 2
MOST_CLUSTERS = 8
_LEAST_IN_CLUSTER = 5
_SAMPLE = 500
# Clusters must cover less than half of what one ellipse covers; evenly spread machines never do.
_SHRINK = 0.5
_AROUND_SITE = 400
# Golden angle: points of a sunflower cover a disc evenly.
_GOLDEN = np.pi * (3.0 - np.sqrt(5.0))


class Place(NamedTuple):
    """Where the orders of a region come from.

    Parameters
    ----------
    evidence : str
        "machines", "machines from site" (one or two machines: engineers come from the site), "sites", "area",
        "none".
    points : ndarray, shape (n, 2)
        Equally likely places of orders; empty for "area" and "none". [km]
    posts : ndarray, shape (m, 2)
        Where engineers come from; empty: from their last order. [km]
    stretch : float
        Distances grow by this, because a sample of the machines meets the same machine too often.
    """

    evidence: str
    points: FloatArray
    posts: FloatArray
    stretch: float


class Places(NamedTuple):
    """Where the work of all regions is.

    Parameters
    ----------
    table : DataFrame
        A row per region: region_id, evidence, units [machines], units_placed (with coordinates), hull_km2,
        ellipse_km2 (two standard deviations), effective_km2 (square in which evenly spread machines are as
        far apart), area_km2 (administrative), clusters, latitude, longitude (middle of the work) [degrees].
    clusters : DataFrame
        A row per region and cluster, largest first: region_id, cluster (from 1), units, latitude, longitude,
        hull_km2, ellipse_km2, effective_km2.
    by_region : dict of str to Place
    """

    table: pd.DataFrame
    clusters: pd.DataFrame
    by_region: dict[str, Place]


def hull_area(points: FloatArray) -> float:
    """Area of the convex hull of some points.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        [km]

    Returns
    -------
    float
        0 for fewer than three points or points on a line. [km²]
    """
    from scipy.spatial import ConvexHull, QhullError

    try:
        # In the plane what Qhull calls volume is the area.
        return float(ConvexHull(points).volume)
    except (QhullError, ValueError):
        return 0.0


def ellipse_area(points: FloatArray) -> float:
    """Area of the ellipse of two standard deviations around the middle of some points.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        [km]

    Returns
    -------
    float
        4 pi sqrt(det covariance); 0 for fewer than three points. Of an even disc it is the disc. [km²]
    """
    if len(points) < 3:
        return 0.0
    return float(4.0 * np.pi * np.sqrt(max(np.linalg.det(np.cov(points.T)), 0.0)))


def find_clusters(points: FloatArray, most: int = MOST_CLUSTERS) -> NDArray[np.int64]:
    """Split machines into few towns, if they stand in towns.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        [km]
    most : int
        Largest number of clusters.

    Returns
    -------
    ndarray of int, shape (n,)
        0, 1, ...; largest cluster first; all 0 where the machines are spread evenly.

    Notes
    -----
    Ward's tree [2]_ is cut where the ellipses of its parts, put together, cover less than half of the ellipse
    of all: parts of an even spread cover as much as the whole. The least number is taken whose ellipses cover
    no more than a quarter above the least. More than 500 points are thinned out evenly (by place).
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    label = np.zeros(len(points), dtype=np.int64)
    whole = ellipse_area(points)
    if len(points) < 2 * _LEAST_IN_CLUSTER or whole <= 0:
        return label
    order = np.lexsort(points.T)
    sample = points[order[np.linspace(0, len(points) - 1, min(len(points), _SAMPLE)).astype(int)]]
    tree = linkage(sample, "ward")
    cuts = {}
    for count in range(2, most + 1):
        found = fcluster(tree, count, "maxclust")
        if np.bincount(found)[1:].min() < _LEAST_IN_CLUSTER:
            break
        cuts[count] = found, sum(ellipse_area(sample[found == c]) for c in np.unique(found)) / whole
    good = {count: cut for count, cut in cuts.items() if cut[1] <= _SHRINK}
    if not good:
        return label
    least = min(share for _, share in good.values())
    chosen = next(found for found, share in good.values() if share <= 1.25 * least + 1e-12)
    middles = np.stack([sample[chosen == c].mean(axis=0) for c in np.unique(chosen)])
    label = ((points[:, None, :] - middles[None]) ** 2).sum(axis=2).argmin(axis=1)
    sizes = np.bincount(label, minlength=len(middles))
    rank = np.empty(len(middles), dtype=np.int64)
    rank[np.lexsort((middles[:, 1], middles[:, 0], -sizes))] = np.arange(len(middles))
    return rank[label]


def find_places(regions: pd.Index, units: pd.DataFrame, sites: pd.DataFrame, areas: pd.Series) -> Places:
    """Find where the work of every region is.

    Parameters
    ----------
    regions : Index
        R region ids.
    units : DataFrame
        Machines in service: region_id, site_id, latitude, longitude [degrees].
    sites : DataFrame
        site_id, region_id, latitude, longitude.
    areas : Series
        By region_id; NaN unknown. [km²]

    Returns
    -------
    Places

    Raises
    ------
    DataError
        Coordinates that are infinite or off the globe, areas that are not above 0 and finite.

    Notes
    -----
    Order of evidence: machines with coordinates (all of them, or at least five); the sites that serve them,
    machines spread round each as far as half way to the next site, but not beyond the region's area; the
    area, evenly covered, which over-states travel where machines stand in towns.
    """
    _check(units, sites, areas)
    units = units.sort_values(["region_id", *(["unit_id"] if "unit_id" in units else [])], kind="stable")
    groups = dict(list(units.groupby("region_id")))
    placed_sites = sites.dropna(subset=["latitude", "longitude"]).sort_values("site_id", kind="stable")
    rows, parts, by_region = [], [], {}
    for region in regions:
        own = groups.get(region, units.iloc[:0])
        area = float(areas.get(region, np.nan))
        place, where = _place(own, placed_sites, region, area)
        by_region[region] = place
        label = find_clusters(place.points)
        origin = flat_origin(where["latitude"], where["longitude"])
        middle = degrees_of(place.points.mean(axis=0) if len(place.points) else (0.0, 0.0), origin)
        rows.append(
            (
                region,
                place.evidence,
                len(own),
                int(own[["latitude", "longitude"]].notna().all(axis=1).sum()),
                *_areas(place),
                area,
                int(label.max(initial=-1)) + 1,
                *(middle if len(where) else (np.nan, np.nan)),
            )
        )
        for cluster in range(int(label.max(initial=-1)) + 1):
            inside = label == cluster
            inner = place._replace(points=place.points[inside])
            size = round(float(inside.mean()) * len(own), 6)
            town = degrees_of(place.points[inside].mean(axis=0), origin)
            parts.append((region, cluster + 1, size, *town, *_areas(inner)))
    shapes = ["hull_km2", "ellipse_km2", "effective_km2"]
    names = ["region_id", "evidence", "units", "units_placed", *shapes, "area_km2", "clusters"]
    table = pd.DataFrame(rows, columns=[*names, "latitude", "longitude"])
    clusters = pd.DataFrame(
        parts, columns=["region_id", "cluster", "units", "latitude", "longitude", *shapes]
    )
    return Places(table, clusters, by_region)


def _place(own: pd.DataFrame, sites: pd.DataFrame, region: str, area: float) -> tuple[Place, pd.DataFrame]:
    """Choose the best evidence of a region; rows that `flat_km` laid flat."""
    none = np.zeros((0, 2))
    placed = own.dropna(subset=["latitude", "longitude"])
    served = sites[sites["site_id"].isin(own["site_id"].unique())] if "site_id" in own else sites.iloc[:0]
    near = served if len(served) else sites[sites["region_id"] == region]
    points = flat_km(placed["latitude"], placed["longitude"])
    spots = len(np.unique(points, axis=0))
    if len(placed) and len(placed) == len(own) and spots <= FEW_MACHINES and len(served):
        both = pd.concat([placed[["latitude", "longitude"]], served[["latitude", "longitude"]]])
        every = flat_km(both["latitude"], both["longitude"])
        return Place("machines from site", every[: len(placed)], every[len(placed) :], 1.0), both
    enough = len(placed) == len(own) or len(placed) >= LEAST_PLACED
    if enough and (spots > FEW_MACHINES or (spots > 1 and not area > 0)):
        again = 1.0 - 1.0 / len(placed)
        return Place("machines", points, none, (1.0 - 1.0 / len(own)) / again), placed
    if len(near):
        around = _round_sites(own, near, sites, area)
        if len(around):
            return Place("sites", around, none, 1.0), near
    return Place("area" if area > 0 else "none", none, none, 1.0), placed if len(placed) else near


def _round_sites(own: pd.DataFrame, near: pd.DataFrame, sites: pd.DataFrame, area: float) -> FloatArray:
    """Spread machines round the sites that serve them, as far as half way to the next site."""
    gaps = kilometres(near, sites)
    # Two stores of one town are one place.
    gaps[gaps < 1.0] = np.inf
    reach = 0.5 * gaps.min(axis=1, initial=np.inf)
    if area > 0:
        reach = np.minimum(reach, np.sqrt(area / (np.pi * len(near))))
    if not np.isfinite(reach).all():
        return np.zeros((0, 2))
    counts = own["site_id"].value_counts() if "site_id" in own else pd.Series(dtype=float)
    weight = counts.reindex(near["site_id"]).fillna(0.0).to_numpy(dtype=float)
    weight = weight if weight.sum() > 0 else np.ones(len(near))
    sizes = np.ceil(_AROUND_SITE * weight / weight.sum()).astype(int)
    middles = flat_km(near["latitude"], near["longitude"])
    discs = []
    for middle, radius, size in zip(middles, reach, sizes, strict=True):
        step = np.arange(size)
        far = radius * np.sqrt((step + 0.5) / max(size, 1))
        discs.append(
            middle + far[:, None] * np.column_stack([np.cos(_GOLDEN * step), np.sin(_GOLDEN * step)])
        )
    return np.concatenate(discs)


def _areas(place: Place) -> tuple[float, float, float]:
    if len(place.points) < 2:
        return np.nan, np.nan, np.nan
    return (
        hull_area(place.points),
        ellipse_area(place.points),
        effective_area(place.points) * place.stretch**2,
    )


def kilometres(one: pd.DataFrame, other: pd.DataFrame) -> FloatArray:
    """Distances over the globe (haversine), shape (len(one), len(other)); NaN without a place. [km]."""
    north, east = (np.radians(one[name].to_numpy(dtype=float))[:, None] for name in ("latitude", "longitude"))
    to_n, to_e = (np.radians(other[name].to_numpy(dtype=float)) for name in ("latitude", "longitude"))
    half = np.sin((to_n - north) / 2) ** 2 + np.cos(north) * np.cos(to_n) * np.sin((to_e - east) / 2) ** 2
    return np.degrees(2.0 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))) * KM_PER_DEGREE


def _check(units: pd.DataFrame, sites: pd.DataFrame, areas: pd.Series) -> None:
    problems = []
    for table, frame, key in (("units", units, "unit_id"), ("sites", sites, "site_id")):
        for column, most in (("latitude", 90.0), ("longitude", 180.0)):
            value = frame[column].to_numpy(dtype=float)
            for row in np.flatnonzero(~np.isnan(value) & ~(np.abs(value) <= most)):
                name = f" of {frame[key].iloc[row]}" if key in frame else ""
                rule = f"lies{name} within -{most:g} and {most:g} degrees"
                problems.append(
                    Problem(
                        table, int(row) + 2, column, str(value[row]), rule, "correct it or leave it empty"
                    )
                )
    value = areas.to_numpy(dtype=float)
    for row in np.flatnonzero(~np.isnan(value) & ~((value > 0) & np.isfinite(value))):
        rule = f"of {list(areas.index)[row]} is above 0 and finite"
        problems.append(
            Problem(
                "regions", int(row) + 2, "area_km2", str(value[row]), rule, "correct it or leave it empty"
            )
        )
    if problems:
        raise DataError(problems)
