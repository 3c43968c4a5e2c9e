"""Drives of every region by the number of free engineers, from where the work is and from recorded travel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.staffing.congestion import RegionRows, congestion
from spareplan.staffing.places import Place, Places
from spareplan.staffing.travel import (
    QUANTILES,
    DistanceTable,
    distance_table,
    left_over_share,
    unit_square_table,
)
from spareplan.staffing.visits import note

FloatArray = NDArray[np.float64]
_FIXED_POINT_STEPS = 5
_WORDS = {
    "machines from site": (
        "travel_from_site",
        "data: units and sites",
        "one or two machines: engineers come from the site that serves them",
    ),
    "sites": (
        "travel_round_sites",
        "data: sites.latitude, sites.longitude",
        "machines have no coordinates: spread round their sites as far as half way to the next site",
    ),
    "area": (
        "travel_from_area",
        "data: regions.area_km2",
        "machines and sites have no coordinates: evenly spread over the area, which over-states travel where "
        "machines stand in towns",
    ),
}


def region_travel(
    regions: pd.Index,
    places: Places,
    recorded: FloatArray,
    busy: FloatArray,
    work: FloatArray,
    posts: NDArray[np.int64],
    options: StaffingOptions,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, list[dict[str, Any]]]:
    """Drives per region by the number of free engineers, matched to the recorded travel where there is some.

    Parameters
    ----------
    regions : Index
        R region ids.
    places : Places
        Where the work is.
    recorded : ndarray, shape (R,)
        Mean recorded travel there and back; NaN unknown. [hours]
    busy : ndarray, shape (R,)
        Visits per hour. [1/hour]
    work : ndarray, shape (R,)
        Mean work of a visit. [hours]
    posts : ndarray of int, shape (R,)
        Engineers on duty today.
    options : StaffingOptions
    seed : int

    Returns
    -------
    travel : ndarray, shape (R, F)
        Mean drive out of the nearest of 1..F free engineers. [hours]
    spread : ndarray, shape (R, F, Q)
        Its quantiles. [hours]
    settled : ndarray, shape (R, F)
        As of `DistanceTable`. [engineers]
    back : ndarray, shape (R,)
        Mean way back. [hours]
    drive : ndarray, shape (R,)
        Mean drive out with the engineers on duty today, or as many as the work needs. [hours]
    notes : list of dict
    """
    most = int(np.clip(2 * posts.max(initial=1) + 10, 16, 48))
    pace = options.circuity / options.travel_speed
    means, spreads = np.empty((len(regions), most)), np.empty((len(regions), most, QUANTILES))
    settled = np.empty((len(regions), most))
    areas = places.table.set_index("region_id")["area_km2"]
    alone = options.default_travel_hours * (1.0 - options.return_share)
    left_over = left_over_share(
        busy * (work + np.where(recorded > 0, recorded, options.default_travel_hours))
    )
    for row, region in enumerate(regions):
        place = places.by_region[region]
        table = place_table(place, float(areas[region]), most, seed, float(left_over[row]))
        if table is None:
            square = unit_square_table(most, float(left_over[row]))
            side = alone / pace / square.mean[0]
            table = square.scaled(side)
        means[row], spreads[row], settled[row] = table.mean * pace, table.quantiles * pace, table.settled
    out = recorded * (1.0 - options.return_share)
    factor = np.ones(len(regions))
    told = np.isfinite(out) & (out > 0)
    ratio = options.return_share / (1.0 - options.return_share)
    # As many as carry the work: recorded drives say how far they drive, elsewhere a queue drives from afar.
    far = np.where(told, 2.0 * np.nan_to_num(out), (1.0 + ratio) * means[:, 0])
    posts = np.maximum(posts, np.floor(busy * (work + far)).astype(np.int64) + 1)
    drive = np.zeros(len(regions))
    placed = np.array([places.by_region[region].evidence != "none" for region in regions], dtype=bool)
    for _ in range(_FIXED_POINT_STEPS):
        there = work + ratio * np.where(told, out, drive)
        drive = _mean_drive(means * factor[:, None], settled, busy, there, posts)
        factor = np.where(told, factor * out / np.maximum(drive, 1e-9), factor)
        # Roads and speeds of regions with records tell something of those without.
        factor = np.where(placed & ~told, _kin_factor(factor[placed & told]), factor)
    drive = np.where(told, out, drive)
    return (
        means * factor[:, None],
        spreads * factor[:, None, None],
        settled,
        ratio * drive,
        drive,
        _notes(regions, places, told, factor),
    )


def place_table(
    place: Place, area_km2: float, most: int, seed: int = 0, left_over: float = 0.5
) -> DistanceTable | None:
    """Tabulate the distance to the nearest free engineer of one region.

    Parameters
    ----------
    place : Place
    area_km2 : float
        Administrative area, used where nothing else tells.
    most : int
        Largest number of free engineers in the table.
    seed : int
    left_over : float
        As in `distance_table`.

    Returns
    -------
    DistanceTable or None
        None where neither places nor an area are known.
    """
    if place.evidence == "area":
        square = unit_square_table(most, left_over)
        side = float(np.sqrt(area_km2))
        return square.scaled(side)
    if not len(place.points):
        return None
    if len(place.posts):
        # Every engineer starts from the site, so more of them are not nearer.
        gaps = np.hypot(*(place.points[:, None, :] - place.posts[None, :, :]).transpose(2, 0, 1)).ravel()
        shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
        quantiles = np.quantile(gaps, shares)
        return DistanceTable(
            np.full(most, gaps.mean()), np.tile(quantiles, (most, 1)), np.arange(1.0, most + 1.0)
        )
    table = distance_table(place.points, most, seed, left_over=left_over)
    return table.scaled(place.stretch)


def _kin_factor(factors: FloatArray) -> float:
    """Middle of the factors of other regions; few of them count less."""
    if not len(factors):
        return 1.0
    return float(np.exp(np.median(np.log(np.maximum(factors, 1e-9))) * len(factors) / (len(factors) + 1.0)))


def _notes(
    regions: pd.Index, places: Places, told: NDArray[np.bool_], factor: FloatArray
) -> list[dict[str, Any]]:
    found = places.table.set_index("region_id")["evidence"].reindex(regions)
    notes = [
        note(
            "travel_from_machines",
            f"{int((found == 'machines').sum())} of {len(regions)} regions",
            "",
            "data: units.latitude, units.longitude",
            "distances drawn from where the machines are",
        )
    ]
    others = (found != "none").to_numpy() & ~told
    if told.any() and others.any():
        notes.append(
            note(
                "travel_factor",
                round(float(factor[others][0]), 2),
                "ratio",
                "estimated from work_orders.travel_hours",
                f"recorded drives against those reckoned from places, {int(told.sum())} regions; scales the "
                f"drives of {', '.join(regions[others])}",
            )
        )
    for evidence, (name, origin, meaning) in _WORDS.items():
        names = found.index[found == evidence]
        if len(names):
            notes.append(note(name, ", ".join(names), "", origin, meaning))
    untold = found.index[(found == "none").to_numpy() & ~told]
    if len(untold):
        notes.append(
            note(
                "travel_unknown",
                ", ".join(untold),
                "",
                "default",
                "neither coordinates, nor area, nor recorded travel: default_travel_hours",
            )
        )
    return notes


def _mean_drive(
    travel: FloatArray,
    settled: FloatArray,
    busy: FloatArray,
    work: FloatArray,
    posts: NDArray[np.int64],
) -> FloatArray:
    rows = RegionRows(
        busy[:, None],
        work[:, None],
        np.ones(len(busy)),
        np.arange(len(busy)),
        travel,
        np.zeros((len(busy), 1, 1)),
        settled=settled,
    )
    return congestion(rows, posts).drive
