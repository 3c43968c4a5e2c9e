"""Size regions from plain tables: engineers on duty for the promises, with travel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.units import HOURS_PER_DAY
from spareplan.staffing._arguments import most_urgent_first
from spareplan.staffing.causes import NONE, REACH_ENGINEERS
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.deciding import decided_words, what_decides
from spareplan.staffing.months import search_months
from spareplan.staffing.reading import DEFAULT_TARGET, check_tables, order_arrays, place_columns
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.sizing import Kept, Promises, Sized, promises_kept, size_rows
from spareplan.staffing.travel import (
    QUANTILES,
    distance_table,
    flat_km,
    left_over_share,
    unit_square_table,
)

FloatArray = NDArray[np.float64]
HEAVY_LOAD = 0.93
MOST_ON_DUTY = 5_000
# Mean drive to the nearest of a few engineers against the spread of the machines.
_TYPICAL_DRIVE = 0.75


def size_regions(
    regions: pd.DataFrame,
    orders: pd.DataFrame,
    promises: pd.DataFrame,
    units: pd.DataFrame | None = None,
    max_utilisation: float = 1.0,
    travel_speed: float = 50.0,
    circuity: float = 1.3,
    diagnose_hours: float = 1.0,
    least_gain: float = 0.0,
    simulate: bool = False,
    seed: int = 0,
    reach_engineers: int = REACH_ENGINEERS,
) -> pd.DataFrame:
    """Least engineers on duty, round the clock, that keep every promise people can keep.

    Parameters
    ----------
    regions : DataFrame
        region_id; optional area_km2 (machines evenly spread over a square of that area), travel_speed
        [km/hour], circuity.
    orders : DataFrame
        region_id, priority, orders_per_day, work_hours; optional month (a sizing each), work_scv (1),
        missing_share (part found missing on site: one more visit after parts_hours), known_share (known
        missing at the call: the visit waits for it), again_share (of the visits made with the part, each
        anew, that do not mend the machine), parts_scv (1).
    promises : DataFrame
        A row per priority: priority, respond_hours; optional target (0.95), resolve_hours, response_mode
        ("dispatch": set out, "arrival": be there). NaN: no promise. P1 is the most urgent, then P2 and so on;
        where a priority has another name, the first row is.
    units : DataFrame, optional
        Where orders come from: region_id, and latitude and longitude [degrees] or east and north [km].
    max_utilisation : float
        Highest busy share of an engineer on duty, at most 1.
    travel_speed, circuity : float
        For regions that have none of their own.
    diagnose_hours : float
        Time at the machine until a part is found missing. [hours]
    least_gain : float
        An engineer more must raise a broken share of solutions by this much.
    simulate : bool
        Search the number by simulation around the formula (slower, nearer).
    seed : int
        Of distance tables and simulation.
    reach_engineers : int
        Most engineers on duty in a region for the sake of distance alone; a promise of arrival that needs
        more of them is reach-bound.

    Returns
    -------
    DataFrame
        A row per region (and month), sorted: required (engineers on duty), utilisation, waiting_share,
        drive_hours, and per priority p: respond_p, resolve_p (share kept), bound_p (none, parts, repair,
        reach), reason (with what decides the number: hours, waits, solutions or distance of which priority).

    Raises
    ------
    DataError
        Unknown regions or priorities, doubled rows, negative or missing rates, a region with orders that has
        neither machines nor an area, a utilisation outside 0..1.
    """
    scalars = {
        "max_utilisation": max_utilisation,
        "travel_speed": travel_speed,
        "circuity": circuity,
        "diagnose_hours": diagnose_hours,
        "least_gain": least_gain,
        "seed": seed,
        "reach_engineers": reach_engineers,
    }
    check_tables(regions, orders, promises, units, scalars)
    promises = most_urgent_first(promises)
    keys = ["region_id", "month"] if "month" in orders else ["region_id"]
    names = promises["priority"].astype(str).tolist()
    table = orders.sort_values(keys, kind="stable")
    groups = table[keys].drop_duplicates().reset_index(drop=True)
    values = order_arrays(table, groups, keys, names)
    shown = sorted(groups["region_id"].unique())
    rough = values["orders_per_day"].sum(axis=1).max() / HOURS_PER_DAY * (values["work_hours"].max() + 4.0)
    most = int(np.clip(1.5 * rough + 8, 16, 64))
    place = np.searchsorted(np.array(shown, dtype=object), groups["region_id"].to_numpy(dtype=object))
    points = _places(regions.set_index("region_id"), units, shown)
    pace = _pace(regions.set_index("region_id"), shown, travel_speed, circuity)
    tables = _tables(points, pace, _loads(values, place, points, pace), most, seed)
    rows, repairs, limits = _model(values, promises, place, tables, diagnose_hours)
    _refuse_hopeless(groups, rows)
    sized = size_rows(
        rows, limits, repairs, max_utilisation, least_gain=least_gain, reach_engineers=int(reach_engineers)
    )
    servers = sized.servers.copy()
    if simulate:
        causes = (sized.respond_cause == NONE), (sized.resolve_cause == NONE)
        # Near full load the queue takes longer to settle than a run lasts; there the formula judges better.
        queued = (rows.rates * (rows.work + rows.travel[rows.place, 0][:, None])).sum(axis=1)
        floor = np.minimum(servers, np.ceil(queued / HEAVY_LOAD).astype(np.int64))
        asked = np.flatnonzero(servers > 0)
        found = search_months(
            [
                {
                    "start": int(servers[row]),
                    "orders": {name: cube[row] for name, cube in values.items()},
                    "limits": limits,
                    "open_promises": [cause[row] for cause in causes],
                    "place": points[shown[place[row]]],
                    "pace": float(pace[place[row]]),
                    "diagnose_hours": diagnose_hours,
                    "max_utilisation": max_utilisation,
                    "seed": seed + int(place[row]),
                    "floor": int(floor[row]),
                    "far": float(rows.travel[rows.place[row], 0]),
                }
                for row in asked
            ],
            place[asked],
        )
        servers[asked] = [one.servers for one in found.searched]
    return _result(groups, names, servers, rows, limits, repairs, sized)


def _model(
    values: dict[str, FloatArray],
    promises: pd.DataFrame,
    place: NDArray[np.int64],
    tables: tuple[FloatArray, FloatArray, FloatArray],
    diagnose_hours: float,
) -> tuple[RegionRows, Repairs | None, Promises]:
    count = len(promises)
    target = np.full(count, DEFAULT_TARGET)
    if "target" in promises:
        target = promises["target"].fillna(DEFAULT_TARGET).to_numpy(float)
    resolve = (
        promises["resolve_hours"].to_numpy(float) if "resolve_hours" in promises else np.full(count, np.nan)
    )
    mode = promises["response_mode"] if "response_mode" in promises else pd.Series(["dispatch"] * count)
    limits = Promises(
        promises["respond_hours"].to_numpy(float), resolve, target, (mode == "arrival").to_numpy()
    )
    orders, scv = values["orders_per_day"], values["work_scv"]
    late = orders * (values["missing_share"] + values["known_share"])
    # Classes of a row share one law of the wait for parts: mean and second moment over all that wait.
    weight = late / np.maximum(late.sum(axis=1, keepdims=True), 1e-300)
    parts = (weight * values["parts_hours"]).sum(axis=1)
    second = (weight * values["parts_hours"] ** 2 * (1.0 + values["parts_scv"])).sum(axis=1)
    parts_scv = np.where(parts > 0, np.maximum(second / np.maximum(parts, 1e-9) ** 2 - 1.0, 0.0), 1.0)
    repairs = Repairs(
        values["work_hours"],
        scv,
        diagnose_hours,
        values["missing_share"],
        values["known_share"],
        values["again_share"],
        parts,
        parts_scv,
    )
    travel, spread, settled = tables
    work, visits = repairs.visit_work, repairs.visits
    rates = orders / HOURS_PER_DAY * visits
    # Second moments of work, and of drive and work of an order that waited, over all classes.
    mended = repairs.work**2 * (1.0 + scv) / (1.0 - repairs.again)
    work2 = (mended + 2.0 * repairs.missing * diagnose_hours**2) / visits
    far, far2 = travel[place, 0][:, None], (spread[place, 0] ** 2).mean(axis=1)[:, None]
    share = rates / np.maximum(rates.sum(axis=1, keepdims=True), 1e-300)
    second = (share * (work2 + 2 * work * far + far2)).sum(axis=1)
    mean = (share * (work + far)).sum(axis=1)
    moment = np.maximum(second / np.maximum(mean, 1e-12) ** 2 - 1.0, 0.0)
    rows = RegionRows(rates, work, moment, place, travel, spread, repairs.follow, settled)
    if np.isnan(resolve).all():
        return rows, None, limits
    return rows, repairs, limits


def _refuse_hopeless(groups: pd.DataFrame, rows: RegionRows) -> None:
    """Rates or drives that would need an army are a slip of a unit, not a region."""
    needed = (rows.rates * (rows.work + rows.travel[rows.place, 0][:, None])).sum(axis=1)
    rule = f"is work and drive for at most {MOST_ON_DUTY:,} engineers at a time"
    remedy = "check orders_per_day, work_hours, travel_speed and the places for their units"
    problems = [
        Problem("orders", 0, "orders_per_day", f"{region}: {load:.3g} engineers", rule, remedy)
        for region, load in zip(groups["region_id"], needed, strict=True)
        if load > MOST_ON_DUTY
    ]
    if problems:
        raise DataError(problems)


def _result(
    groups: pd.DataFrame,
    names: list[str],
    servers: NDArray[np.int64],
    rows: RegionRows,
    limits: Promises,
    repairs: Repairs | None,
    sized: Sized,
) -> pd.DataFrame:
    kept = sized.kept
    if (servers != sized.servers).any():
        kept = promises_kept(rows, np.maximum(servers, 1), limits, repairs)
    nobody = servers < 1
    out = groups.assign(
        required=servers,
        utilisation=np.where(nobody, 0.0, kept.utilisation),
        waiting_share=np.where(nobody, np.nan, kept.waiting),
        drive_hours=np.where(nobody, np.nan, kept.drive),
    )
    for k, name in enumerate(names):
        column = name.lower()
        out[f"respond_{column}"] = np.where(nobody, np.nan, kept.respond[:, k])
        out[f"resolve_{column}"] = np.where(nobody, np.nan, kept.resolve[:, k])
        cause = np.where(sized.resolve_cause[:, k] != NONE, sized.resolve_cause[:, k], NONE)
        out[f"bound_{column}"] = np.where(sized.respond_cause[:, k] != NONE, sized.respond_cause[:, k], cause)
    out["reason"] = _reasons(names, servers, rows, limits, repairs, sized, kept)
    return out


def _reasons(
    names: list[str],
    servers: NDArray[np.int64],
    rows: RegionRows,
    limits: Promises,
    repairs: Repairs | None,
    sized: Sized,
    kept: Kept,
) -> list[str]:
    """Say how busy the engineers are, what decides their number, and which promises were left out of it."""
    visits = rows.rates.sum(axis=1) * HOURS_PER_DAY
    decided = what_decides(rows, servers, sized, limits, repairs)
    told = decided_words(decided, servers, rows, limits, names)
    out = []
    for i, why in enumerate(told):
        if servers[i] < 1:
            out.append("no orders")
            continue
        left = [
            f"{name} {cause}-bound"
            for k, name in enumerate(names)
            for cause in dict.fromkeys((sized.respond_cause[i, k], sized.resolve_cause[i, k]))
            if cause != NONE
        ]
        out.append(
            f"{visits[i]:.1f} visits a day, {kept.drive[i]:.1f} h drive each, "
            f"{kept.utilisation[i]:.0%} busy, {kept.waiting[i]:.0%} of orders find nobody free; {why}"
            + (f"; left out, as no engineer cures them: {', '.join(left)}" if left else "")
        )
    return out


def _places(regions: pd.DataFrame, units: pd.DataFrame | None, shown: list[str]) -> dict[str, Any]:
    """Place each region: points [km], or the side of its square [km]."""
    out: dict[str, Any] = {}
    areas = regions["area_km2"] if "area_km2" in regions else pd.Series(0.0, index=regions.index)
    groups = {} if units is None else dict(list(units.groupby("region_id")))
    for region in shown:
        own = groups.get(region)
        if own is not None and len(own):
            columns = place_columns(own)
            # Points are drawn by their number, which the order of the rows must not change.
            at = own.sort_values(columns)[columns].to_numpy(float)
            out[region] = at if columns[0] == "east" else flat_km(at[:, 0], at[:, 1])
        else:
            # Without orders a region may lack both machines and area: nobody drives there.
            out[region] = float(np.sqrt(np.nan_to_num(float(areas[region]))))
    return out


def _pace(regions: pd.DataFrame, shown: list[str], travel_speed: float, circuity: float) -> FloatArray:
    own = regions.reindex(shown)
    speed = (
        own["travel_speed"].fillna(travel_speed)
        if "travel_speed" in own
        else pd.Series(travel_speed, own.index)
    )
    detour = own["circuity"].fillna(circuity) if "circuity" in own else pd.Series(circuity, own.index)
    return (detour / speed).to_numpy(float)


def _loads(
    values: dict[str, FloatArray], place: NDArray[np.int64], points: dict[str, Any], pace: FloatArray
) -> FloatArray:
    """Visits under way at a time in each place, roughly, mean over its months. [erlang]."""
    wide = [
        at / np.sqrt(6) if isinstance(at, float) else np.sqrt(at.var(axis=0).sum()) for at in points.values()
    ]
    drive = _TYPICAL_DRIVE * np.array(wide) * pace
    work = values["work_hours"] / (1.0 - values["again_share"])
    erlang = (values["orders_per_day"] / HOURS_PER_DAY * (work + drive[place, None])).sum(axis=1)
    counts = np.maximum(np.bincount(place, minlength=len(pace)), 1)
    found: FloatArray = np.bincount(place, erlang, minlength=len(pace)) / counts
    return found


def _tables(
    points: dict[str, Any], pace: FloatArray, loads: FloatArray, most: int, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    means, spreads = np.empty((len(pace), most)), np.empty((len(pace), most, QUANTILES))
    settled = np.empty((len(pace), most))
    left_over = left_over_share(loads)
    for row, place in enumerate(points.values()):
        if isinstance(place, float):
            square = unit_square_table(most, float(left_over[row]))
            table = square.scaled(place)
        else:
            table = distance_table(place, most, seed, left_over=float(left_over[row]))
        means[row], spreads[row] = table.mean * pace[row], table.quantiles * pace[row]
        settled[row] = table.settled
    return means, spreads, settled
