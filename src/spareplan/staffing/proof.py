"""Simulate the planned head count: what every region keeps in its fullest month, with an interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import DAYS_PER_YEAR, HOURS_PER_DAY
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.simulation import simulate_region
from spareplan.staffing.sizing import Kept, Promises
from spareplan.staffing.travel import SQUARE_PAIR, flat_km, mean_pair_distance
from spareplan.staffing.visits import PRIORITIES

FloatArray = NDArray[np.float64]
WEEK_HOURS = 168.0


def simulate_plan(
    regions: pd.Index,
    months: pd.DatetimeIndex,
    posts: FloatArray,
    rows: RegionRows,
    repairs: Repairs,
    promises: Promises,
    kept: Kept,
    back: FloatArray,
    units: pd.DataFrame,
    profile: FloatArray,
    options: StaffingOptions,
    seed: int = 0,
) -> pd.DataFrame:
    """Simulate each region's fullest month as if it lasted for years.

    Parameters
    ----------
    regions : Index
        R region ids.
    months : DatetimeIndex
        M months; rows run region by region.
    posts : ndarray, shape (R * M,)
        Engineers on duty or on call at a time; a part of one is there for that part of the week.
    rows, repairs, promises
        The queue model.
    kept : Kept
        What the formulas say.
    back : ndarray, shape (R * M,)
        Way back, part of the work of a visit. [hours]
    units : DataFrame
        region_id, latitude, longitude.
    profile : ndarray, shape (24,)
        Calls per hour of the day against the mean.
    options : StaffingOptions
        `simulate_years` says how long.
    seed : int

    Returns
    -------
    DataFrame
        region_id, month, priority, measure, promised, planned (formula), achieved, low, high (95 %), kept.
    """
    frames = []
    groups = dict(list(units.groupby("region_id")))
    length = options.simulate_years * DAYS_PER_YEAR
    for place, region in enumerate(regions):
        own = np.arange(place * len(months), (place + 1) * len(months))
        row = int(own[np.argmax(kept.utilisation[own])])
        rate = rows.rates[row] / (1.0 + repairs.missing[row] + repairs.again[row])
        if rate.sum() <= 0 or posts[row] <= 0:
            continue
        orders = pd.DataFrame(
            {
                "priority": PRIORITIES,
                "orders_per_day": rate * HOURS_PER_DAY,
                "work_hours": repairs.work[row] + back[row],
                # The way back is no chance: it widens the work without spreading it.
                "work_scv": repairs.scv * (repairs.work[row] / (repairs.work[row] + back[row])) ** 2,
                "respond_hours": promises.respond,
                "resolve_hours": promises.resolve + back[row],
                "target": promises.target,
                "response_mode": np.where(promises.arrival, "arrival", "dispatch"),
                "missing_share": repairs.missing[row],
                "again_share": repairs.again[row],
                "parts_hours": repairs.parts[row],
                "diagnose_hours": repairs.diagnose + back[row],
            }
        )
        points, area, speed = _roads(
            groups.get(region, units.iloc[:0]), float(rows.travel[rows.place[row], 0]), options
        )
        run = simulate_region(
            orders,
            _crew(posts[row]),
            points=points,
            area_km2=area,
            days=length,
            warm_up_days=min(60.0, length / 4),
            seed=seed + place,
            travel_speed=speed,
            circuity=options.circuity,
            profile=None if np.ptp(profile) < 1e-9 else profile,
            cycle_hours=WEEK_HOURS,
        )
        column = pd.Index(PRIORITIES).get_indexer(pd.Index(run.table["priority"]))
        said = {"respond": kept.respond[row], "resolve": kept.resolve[row]}
        planned = [said[measure][k] for measure, k in zip(run.table["measure"], column, strict=True)]
        frames.append(run.table.assign(region_id=region, month=months[row - own[0]], planned=planned))
    columns = [
        "region_id",
        "month",
        "priority",
        "measure",
        "promised",
        "planned",
        "achieved",
        "low",
        "high",
        "kept",
    ]
    if not frames:
        return pd.DataFrame(columns=columns)
    return pd.concat(frames, ignore_index=True)[columns]


def _crew(posts: float) -> pd.DataFrame:
    whole = int(np.floor(posts + 1e-9))
    part = posts - whole
    crew = pd.DataFrame({"count": [whole], "shift_start": [0.0], "shift_end": [WEEK_HOURS]})
    if part > 1e-3:
        # One more for that part of the week, day and night.
        some = pd.DataFrame({"count": [1], "shift_start": [0.0], "shift_end": [part * WEEK_HOURS]})
        crew = pd.concat([crew, some], ignore_index=True)
    return crew[crew["count"] > 0]


def _roads(
    places: pd.DataFrame, far: float, options: StaffingOptions
) -> tuple[FloatArray | None, float, float]:
    """Points, area and speed that give the mean drive between two orders."""
    known = places.dropna(subset=["latitude", "longitude"])
    points = flat_km(known["latitude"], known["longitude"])
    pair = mean_pair_distance(points)
    if pair > 0 and far > 0:
        return points, 0.0, options.circuity * pair / far
    side = far * options.travel_speed / options.circuity / SQUARE_PAIR
    return None, side**2, options.travel_speed
