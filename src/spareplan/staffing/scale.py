"""Why machines per engineer rise, fall and rise again as a market grows.

Machines per engineer U = N / n grow with the busy share an engineer can reach at the same promise (pooling)
and shrink with the road per visit. A young market first pools, then spreads, then fills.

References
----------
.. [1] Kolesar, Blum (1973), Square root laws for fire engine response distances, Management Science 19.
.. [2] Larson, Odoni (1981), Urban Operations Research, ch. 3 (mean distances in a square).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_YEAR, HOURS_PER_DAY
from spareplan.staffing.benchmark import LEAST_REGIONS, scale_signs
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.queues import servers_needed_rows
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.sizing import ALL_DAY, Phases, Promises, size_rows
from spareplan.staffing.travel import effective_area, flat_km

FloatArray = NDArray[np.float64]
# Half to double the load: whole engineers make steps that a narrower look would take for the slope.
_FACTORS = np.geomspace(0.5, 2.0, 9)
_LEAST_PLACED = 5
_LEAST_GROWTH = np.log(1.3)
_LEAST_LOOKS = 3
_DEPOT = 2 * 0.3826


class AreaGrowth(NamedTuple):
    """Growth of the area served per growth of machines.

    Parameters
    ----------
    table : DataFrame
        A row per region: region_id, area_elasticity (NaN: unknown), area_error (standard error),
        area_evidence ("own growth", "all regions' growth", "regions side by side", "unknown"), looks
        (years seen).
    path : DataFrame
        region_id, on (date), units [machines with coordinates], effective_km2 [km²].
    """

    table: pd.DataFrame
    path: pd.DataFrame


def area_growth(regions: pd.Index, units: pd.DataFrame, until: pd.Timestamp) -> AreaGrowth:
    """Tell how the area of the machines in service grew with their number, region by region.

    Parameters
    ----------
    regions : Index
        R region ids.
    units : DataFrame
        region_id, latitude, longitude [degrees], commissioned_on; optional retired_on.
    until : Timestamp
        Last day that is known.

    Returns
    -------
    AreaGrowth

    Raises
    ------
    DataError
        A column is missing.

    Notes
    -----
    The elasticity is the slope of log effective area on log machines over the year ends. A region whose
    machines grew by less than 30 % since they were five, or that shows fewer than three years, takes the
    common slope within all regions; without any, the slope across regions where there are at least 20.
    """
    wanted = ("region_id", "latitude", "longitude", "commissioned_on")
    missing = [name for name in wanted if name not in units]
    if missing:
        raise DataError([Problem("units", 0, name, "", "is missing", "add the column") for name in missing])
    placed = units.dropna(subset=list(wanted))
    if "retired_on" not in placed:
        placed = placed.assign(retired_on=pd.Series(pd.NaT, index=placed.index))
    looks = []
    for region, own in placed.groupby("region_id", sort=True):
        points = flat_km(own["latitude"], own["longitude"])
        began, left = pd.DatetimeIndex(own["commissioned_on"]), pd.DatetimeIndex(own["retired_on"])
        ends = pd.date_range(began.min(), until, freq="YE").union(pd.DatetimeIndex([until]))
        for end in ends:
            there = np.asarray((began <= end) & ~(left <= end))
            area = effective_area(points[there]) if there.sum() >= _LEAST_PLACED else 0.0
            if area > 0:
                looks.append((region, end, int(there.sum()), area))
    path = pd.DataFrame(looks, columns=["region_id", "on", "units", "effective_km2"])
    return AreaGrowth(_area_table(regions, path), path)


def _area_table(regions: pd.Index, path: pd.DataFrame) -> pd.DataFrame:
    x, y = np.log(path["units"].to_numpy(float)), np.log(path["effective_km2"].to_numpy(float))
    groups = path.groupby("region_id").indices
    wide = {region: at for region, at in groups.items() if _grown(x[at])}
    common, common_error, kind = np.nan, np.nan, "unknown"
    if wide:
        parts = [(x[at] - x[at].mean(), y[at] - y[at].mean()) for at in wide.values()]
        common, common_error = _slope(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        kind = "all regions' growth"
    elif len(groups) >= LEAST_REGIONS:
        last = np.array([at[-1] for at in groups.values()])
        common, common_error = _slope(x[last] - x[last].mean(), y[last] - y[last].mean())
        kind = "regions side by side"
    rows = []
    for region in regions:
        at = groups.get(region, np.array([], dtype=int))
        if region in wide:
            slope, error = _slope(x[at] - x[at].mean(), y[at] - y[at].mean())
            rows.append((region, slope, error, "own growth", len(at)))
        else:
            rows.append((region, common, common_error, kind, len(at)))
    return pd.DataFrame(
        rows, columns=["region_id", "area_elasticity", "area_error", "area_evidence", "looks"]
    )


def _grown(logs: FloatArray) -> bool:
    return len(logs) >= _LEAST_LOOKS and bool(np.ptp(logs) >= _LEAST_GROWTH)


def _slope(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Slope through the origin and its standard error."""
    square = float((x * x).sum())
    slope = float((x * y).sum()) / square
    rest = float(((y - slope * x) ** 2).sum()) / max(len(x) - 2, 1)
    return slope, float(np.sqrt(rest / square))


def pooling_elasticity(
    rows: RegionRows,
    promises: Promises,
    repairs: Repairs | None = None,
    phases: Phases = ALL_DAY,
    people_for_hours: FloatArray | None = None,
    duty: float = 1.0,
    least_gain: float = 0.0,
) -> FloatArray:
    """Growth of the busy share per growth of the load, at the same promises and over the same area.

    Parameters
    ----------
    rows : RegionRows
        R rows, such as each region's fullest month.
    promises, repairs, phases
        As in `spareplan.staffing.sizing.size_rows`.
    people_for_hours : ndarray, shape (R,), optional
        People that the hours alone need today. [people]
    duty : float
        Part of the covered hours that one engineer is on duty.
    least_gain : float
        As in `size_rows`.

    Returns
    -------
    ndarray, shape (R,)
        Slope of log busy share on log load, from half to double the load; NaN without orders.
    """
    count = len(rows.place)
    total = rows.rates.sum(axis=1)
    work = (rows.rates * rows.work).sum(axis=1) / np.maximum(total, 1e-300)
    again = np.tile(np.arange(count), len(_FACTORS))
    factor = np.repeat(_FACTORS, count)
    many = rows.pick(again)
    many = replace(many, rates=many.rates * factor[:, None])
    sized = size_rows(
        many,
        promises,
        None if repairs is None else repairs.pick(again),
        phases=phases,
        least_gain=least_gain,
    )
    per_visit = work[again] + sized.kept.drive
    people = sized.servers / duty
    if people_for_hours is not None:
        now = per_visit.reshape(len(_FACTORS), count)[len(_FACTORS) // 2]
        people = np.maximum(people, people_for_hours[again] * factor * per_visit / now[again])
    busy = factor * total[again] * per_visit / np.maximum(np.ceil(people - 1e-9), 1.0)
    logs = np.log(np.maximum(busy, 1e-300)).reshape(len(_FACTORS), count)
    x = np.log(_FACTORS)
    slope: FloatArray = (x[:, None] * (logs - logs.mean(axis=0))).sum(axis=0) / (x * x).sum()
    return np.where(total > 0, slope, np.nan)


def scale_table(workload: pd.DataFrame, growth: pd.DataFrame, pooling: pd.Series) -> pd.DataFrame:
    """Tell region by region whether machines per engineer rise or fall with the next machines, and why.

    Parameters
    ----------
    workload : DataFrame
        A row per region and month, as `Headcount.workload`: region_id, month, units, visits, drive_hours,
        return_hours [hours per visit], hours [hours], people_for_waits, people_for_hours [people].
    growth : DataFrame
        `AreaGrowth.table`.
    pooling : Series
        region_id → pooling elasticity (`pooling_elasticity`).

    Returns
    -------
    DataFrame
        A row per region, sorted: region_id, units [machines], units_per_engineer (required, fullest month),
        travel_share, area_elasticity, area_evidence, pooling_elasticity, slope_from_base, slope_from_nearest
        (growth of machines per engineer per growth of machines, engineers sent from their base or nearest
        first), sign ("rises", "falls", "depends" on how engineers are sent, "unknown"), reason.

    Raises
    ------
    DataError
        A column is missing, or a region has no row in `growth` or `pooling`.
    """
    _check_workload(workload)
    work = workload.assign(
        road=workload["visits"] * (workload["drive_hours"] + workload["return_hours"]),
        people=np.maximum(workload["people_for_waits"], workload["people_for_hours"]),
    )
    sums = work.groupby("region_id", sort=True)[["road", "hours"]].sum()
    fullest = work.sort_values(["region_id", "people", "month"], ascending=[True, False, True], kind="stable")
    fullest = fullest.drop_duplicates("region_id").set_index("region_id")
    _check_known(sums.index, growth, pooling)
    area = growth.set_index("region_id").reindex(sums.index)
    share = (sums["road"] / sums["hours"].where(sums["hours"] > 0)).to_numpy(float)
    eta = area["area_elasticity"].to_numpy(float)
    pool = pooling.reindex(sums.index).to_numpy(float)
    base, sign_base = scale_signs(share, eta, pool)
    near, sign_near = scale_signs(share, eta, pool, nearest=True)
    sign = np.where(sign_base == sign_near, sign_base, "depends")
    sign = np.where(np.isnan(base), "unknown", sign)
    people = np.ceil(fullest["people"].to_numpy(float) - 1e-9)
    out = pd.DataFrame(
        {
            "region_id": sums.index,
            "units": fullest["units"].to_numpy(float),
            "units_per_engineer": fullest["units"].to_numpy(float) / np.where(people > 0, people, np.nan),
            "travel_share": share,
            "area_elasticity": eta,
            "area_evidence": area["area_evidence"].to_numpy(),
            "pooling_elasticity": pool,
            "slope_from_base": base,
            "slope_from_nearest": near,
            "sign": sign,
        }
    )
    out["reason"] = [_sentence(row) for row in out.to_dict("records")]
    return out


def _sentence(row: dict[Any, Any]) -> str:
    if row["sign"] == "unknown":
        what = "its orders" if np.isnan(row["pooling_elasticity"]) else "how its area grows"
        return f"{what} not known, so nothing is said"
    share, eta, pool = row["travel_share"], row["area_elasticity"], row["pooling_elasticity"]
    slope, near = 10 * row["slope_from_base"], 10 * row["slope_from_nearest"]
    # Rounded first: "-0.0 %" says nothing.
    lost, wider = (round(10 * value, 1) + 0.0 for value in (share * eta / 2, eta))
    verb = {"rises": "rise", "falls": "fall"}.get(row["sign"], "rise or fall")
    text = (
        f"machines per engineer {verb} with 10 % more machines ({slope:+.1f} % sent from base, {near:+.1f} % "
        f"nearest first): a fuller crew gains {10 * pool:+.1f} %, the area takes {lost:.1f} % "
        f"({share:.0%} of the work is road, area grows {wider:.1f} %)"
    )
    return text + ("" if row["area_evidence"] == "own growth" else f"; area by {row['area_evidence']}")


def grow_market(
    units: FloatArray,
    orders_per_unit: float = 10.5,
    work_hours: float = 5.2,
    full_area_km2: float = 290_000.0,
    half_units: float = 380.4,
    steepness: float = 2.922,
    travel_speed: float = 45.0,
    circuity: float = 1.3,
    within_hours: float = 4.0,
    target: float = 0.95,
    max_utilisation: float = 0.85,
    least_crew: int = 2,
) -> pd.DataFrame:
    """Follow a made-up market from its first machines until its area is full.

    Parameters
    ----------
    units : ndarray, shape (n,)
        Machines in service, rising. [machines]
    orders_per_unit : float
        [1/year]
    work_hours : float
        At the machine. [hours]
    full_area_km2, half_units, steepness : float
        Area served: full / (1 + (half / units)^steepness). [km², machines, 1]
    travel_speed, circuity : float
        [km/hour, 1]
    within_hours, target : float
        Promised wait and the share to keep. [hours, 1]
    max_utilisation : float
    least_crew : int
        [people on duty]

    Returns
    -------
    DataFrame
        units, area_km2, engineers (on duty, round the clock), units_per_engineer, utilisation, travel_share,
        area_elasticity.

    Notes
    -----
    Every visit starts and ends at a base in the middle: 2 × 0.3826 sqrt(area) [2]_. The parameters were
    chosen to show the shape; they show that the rule can bring it about, not that it explains anybody's data.
    """
    machines = np.asarray(units, dtype=float)
    filled = 1.0 / (1.0 + (half_units / machines) ** steepness)
    area = full_area_km2 * filled
    road = _DEPOT * np.sqrt(area) * circuity / travel_speed
    hours = work_hours + road
    rate = machines * orders_per_unit / (DAYS_PER_YEAR * HOURS_PER_DAY)
    goal = np.full((len(machines), 1), target)
    engineers = servers_needed_rows(
        rate[:, None], 1.0 / hours, np.full((len(machines), 1), within_hours), goal, max_utilisation
    )
    engineers = np.maximum(engineers, least_crew)
    return pd.DataFrame(
        {
            "units": machines,
            "area_km2": area,
            "engineers": engineers,
            "units_per_engineer": machines / engineers,
            "utilisation": rate * hours / engineers,
            "travel_share": road / hours,
            "area_elasticity": steepness * (1.0 - filled),
        }
    )


def _check_workload(workload: pd.DataFrame) -> None:
    wanted = (
        "region_id",
        "month",
        "units",
        "visits",
        "drive_hours",
        "return_hours",
        "hours",
        "people_for_waits",
        "people_for_hours",
    )
    missing = [name for name in wanted if name not in workload]
    if missing:
        raise DataError(
            [Problem("workload", 0, name, "", "is missing", "add the column") for name in missing]
        )


def _check_known(regions: pd.Index, growth: pd.DataFrame, pooling: pd.Series) -> None:
    problems = [
        Problem(table, 0, "region_id", str(region), "has no row", "add the region")
        for table, known in (("growth", growth["region_id"]), ("pooling", pooling.index))
        for region in regions.difference(pd.Index(known))
    ]
    if problems:
        raise DataError(problems)
