"""Size regions from plain tables: engineers on duty for the promises, with travel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.units import HOURS_PER_DAY
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.search import search_row
from spareplan.staffing.sizing import NONE, Promises, size_rows
from spareplan.staffing.travel import (
    QUANTILES,
    DistanceTable,
    distance_table,
    flat_km,
    unit_square_table,
)

FloatArray = NDArray[np.float64]
HEAVY_LOAD = 0.93
_PLAIN = {"work_scv": 1.0, "missing_share": 0.0, "again_share": 0.0, "parts_hours": 0.0}


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
) -> pd.DataFrame:
    """Least engineers on duty, round the clock, that keep every promise people can keep.

    Parameters
    ----------
    regions : DataFrame
        region_id; optional area_km2 (machines evenly spread over a square of that area), travel_speed
        [km/hour], circuity.
    orders : DataFrame
        region_id, priority, orders_per_day, work_hours; optional month (a sizing each), work_scv (1),
        missing_share, parts_hours, again_share (second visits, as in `simulate_region`).
    promises : DataFrame
        A row per priority, most urgent first: priority, respond_hours; optional target (0.95), resolve_hours,
        response_mode ("dispatch": set out, "arrival": be there). NaN: no promise.
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

    Returns
    -------
    DataFrame
        A row per region (and month), sorted: required (engineers on duty), utilisation, waiting_share,
        drive_hours, and per priority p: respond_p, resolve_p (share kept), bound_p (none, parts, repair,
        reach), reason.

    Raises
    ------
    DataError
        Unknown regions or priorities, doubled rows, negative or missing rates, a region with orders that has
        neither machines nor an area, a utilisation outside 0..1.
    """
    _check(regions, orders, promises, units, max_utilisation)
    keys = ["region_id", "month"] if "month" in orders else ["region_id"]
    names = promises["priority"].astype(str).tolist()
    table = orders.sort_values(keys, kind="stable")
    groups = table[keys].drop_duplicates().reset_index(drop=True)
    values = _cubes(table, groups, keys, names)
    shown = sorted(groups["region_id"].unique())
    rough = values["orders_per_day"].sum(axis=1).max() / HOURS_PER_DAY * (values["work_hours"].max() + 4.0)
    most = int(np.clip(1.5 * rough + 8, 16, 64))
    travel, spread = _tables(regions.set_index("region_id"), units, shown, most, travel_speed, circuity, seed)
    place = np.searchsorted(np.array(shown, dtype=object), groups["region_id"].to_numpy(dtype=object))
    rows, repairs, limits = _model(values, promises, place, travel, spread, diagnose_hours)
    sized = size_rows(rows, limits, repairs, max_utilisation, least_gain=least_gain)
    servers = sized.servers.copy()
    if simulate:
        points = _places(regions.set_index("region_id"), units, shown)
        pace = _pace(regions.set_index("region_id"), shown, travel_speed, circuity)
        causes = (sized.respond_cause == NONE), (sized.resolve_cause == NONE)
        # Near full load the queue takes longer to settle than a run lasts; there the formula judges better.
        queued = (rows.rates * (rows.work + rows.travel[rows.place, 0][:, None])).sum(axis=1)
        floor = np.minimum(servers, np.ceil(queued / HEAVY_LOAD).astype(np.int64))
        for row in np.flatnonzero(servers > 0):
            found = {name: cube[row] for name, cube in values.items()}
            servers[row] = search_row(
                int(servers[row]),
                found,
                limits,
                [cause[row] for cause in causes],
                points[shown[place[row]]],
                float(pace[place[row]]),
                diagnose_hours,
                max_utilisation,
                seed + int(row),
                int(floor[row]),
            )
    return _result(groups, names, servers, rows, limits, repairs, sized)


def _model(
    values: dict[str, FloatArray],
    promises: pd.DataFrame,
    place: NDArray[np.int64],
    travel: FloatArray,
    spread: FloatArray,
    diagnose_hours: float,
) -> tuple[RegionRows, Repairs | None, Promises]:
    count = len(promises)
    target = promises["target"].to_numpy(float) if "target" in promises else np.full(count, 0.95)
    resolve = (
        promises["resolve_hours"].to_numpy(float) if "resolve_hours" in promises else np.full(count, np.nan)
    )
    mode = promises["response_mode"] if "response_mode" in promises else pd.Series(["dispatch"] * count)
    limits = Promises(
        promises["respond_hours"].to_numpy(float), resolve, target, (mode == "arrival").to_numpy()
    )
    missing, again, repair = values["missing_share"], values["again_share"], values["work_hours"]
    visits = 1.0 + missing + again
    work = (repair * (1.0 + again) + missing * diagnose_hours) / visits
    rates = values["orders_per_day"] / HOURS_PER_DAY * visits
    # Second moment of drive and work of an order that waited, over all classes.
    far, far2 = travel[place, 0][:, None], (spread[place, 0] ** 2).mean(axis=1)[:, None]
    share = rates / np.maximum(rates.sum(axis=1, keepdims=True), 1e-300)
    second = (share * (work**2 * (1.0 + values["work_scv"]) + 2 * work * far + far2)).sum(axis=1)
    mean = (share * (work + far)).sum(axis=1)
    scv = np.maximum(second / np.maximum(mean, 1e-12) ** 2 - 1.0, 0.0)
    rows = RegionRows(rates, work, scv, place, travel, spread)
    if np.isnan(resolve).all():
        return rows, None, limits
    weight = rates.sum(axis=0)
    kind = (values["work_scv"] * rates).sum(axis=0) / np.maximum(weight, 1e-300)
    parts = (values["parts_hours"] * missing * rates).sum(axis=1) / np.maximum(
        (missing * rates).sum(axis=1), 1e-300
    )
    repairs = Repairs(
        repair, np.where(weight > 0, kind, 1.0), diagnose_hours, missing, np.zeros_like(missing), again, parts
    )
    return rows, repairs, limits


def _result(
    groups: pd.DataFrame,
    names: list[str],
    servers: NDArray[np.int64],
    rows: RegionRows,
    limits: Promises,
    repairs: Repairs | None,
    sized: Any,
) -> pd.DataFrame:
    from spareplan.staffing.sizing import promises_kept

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
    load = (rows.rates.sum(axis=1)) * HOURS_PER_DAY
    out["reason"] = [
        "no orders"
        if n < 1
        else f"{visits:.1f} visits a day, {drive:.1f} h drive each, {busy:.0%} busy; "
        f"{waits:.0%} of orders find nobody free"
        for n, visits, drive, busy, waits in zip(
            servers, load, kept.drive, kept.utilisation, kept.waiting, strict=True
        )
    ]
    return out


def _cubes(
    table: pd.DataFrame, groups: pd.DataFrame, keys: list[str], names: list[str]
) -> dict[str, FloatArray]:
    index = pd.MultiIndex.from_frame(groups) if len(keys) > 1 else pd.Index(groups[keys[0]])
    wanted = pd.MultiIndex.from_frame(table[keys]) if len(keys) > 1 else pd.Index(table[keys[0]])
    row, column = (
        index.get_indexer(wanted),
        pd.Index(names).get_indexer(pd.Index(table["priority"].astype(str))),
    )
    out = {}
    for name in ("orders_per_day", "work_hours", *_PLAIN):
        cube = np.zeros((len(groups), len(names)))
        fill = _PLAIN.get(name, np.nan)
        cube[row, column] = table[name].fillna(fill).to_numpy(float) if name in table else fill
        out[name] = cube
    # A class without orders has the work of the others; it matters only for the order that might come.
    none = out["orders_per_day"] <= 0
    weight = out["orders_per_day"].sum(axis=1)
    mean = (out["orders_per_day"] * out["work_hours"]).sum(axis=1) / np.maximum(weight, 1e-300)
    out["work_hours"] = np.where(none & (out["work_hours"] <= 0), mean[:, None], out["work_hours"])
    return out


def _places(regions: pd.DataFrame, units: pd.DataFrame | None, shown: list[str]) -> dict[str, Any]:
    """Place each region: points [km], or the side of its square [km]."""
    out: dict[str, Any] = {}
    areas = regions["area_km2"] if "area_km2" in regions else pd.Series(dtype=float)
    groups = {} if units is None else dict(list(units.groupby("region_id")))
    for region in shown:
        own = groups.get(region)
        if own is not None and len(own):
            if "east" in own:
                out[region] = own[["east", "north"]].to_numpy(float)
            else:
                out[region] = flat_km(own["latitude"], own["longitude"])
        else:
            out[region] = float(np.sqrt(float(areas[region])))
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


def _tables(
    regions: pd.DataFrame,
    units: pd.DataFrame | None,
    shown: list[str],
    most: int,
    travel_speed: float,
    circuity: float,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    pace = _pace(regions, shown, travel_speed, circuity)
    means, spreads = np.empty((len(shown), most)), np.empty((len(shown), most, QUANTILES))
    for row, place in enumerate(_places(regions, units, shown).values()):
        if isinstance(place, float):
            square = unit_square_table(most)
            table = DistanceTable(square.mean * place, square.quantiles * place)
        else:
            table = distance_table(place, most, seed)
        means[row], spreads[row] = table.mean * pace[row], table.quantiles * pace[row]
    return means, spreads


def _check(
    regions: pd.DataFrame,
    orders: pd.DataFrame,
    promises: pd.DataFrame,
    units: pd.DataFrame | None,
    max_utilisation: float,
) -> None:
    problems = []
    needed = [
        ("regions", regions, ["region_id"]),
        ("orders", orders, ["region_id", "priority", "orders_per_day", "work_hours"]),
        ("promises", promises, ["priority", "respond_hours"]),
    ]
    if units is not None:
        flat = "east" in units or "north" in units
        needed.append(
            ("units", units, ["region_id", *(["east", "north"] if flat else ["latitude", "longitude"])])
        )
    for name, frame, columns in needed:
        problems += [
            Problem(name, 0, column, "", "is missing", "add the column")
            for column in columns
            if column not in frame
        ]
    if not 0 < max_utilisation <= 1:
        problems.append(
            Problem(
                "size_regions",
                0,
                "max_utilisation",
                str(max_utilisation),
                "lies above 0 and at most 1",
                "give the highest busy share",
            )
        )
    if problems:
        raise DataError(problems)

    def rows(name: str, bad: Any, column: str, frame: pd.DataFrame, rule: str, remedy: str) -> None:
        for row in np.flatnonzero(np.asarray(bad)):
            problems.append(Problem(name, int(row) + 2, column, str(frame[column].iloc[row]), rule, remedy))

    keys = ["region_id", "month", "priority"] if "month" in orders else ["region_id", "priority"]
    rows("regions", regions["region_id"].duplicated(), "region_id", regions, "stands once", "drop the double")
    rows(
        "promises", promises["priority"].duplicated(), "priority", promises, "stands once", "drop the double"
    )
    rows(
        "orders",
        orders[keys].duplicated(),
        "priority",
        orders,
        f"stands once per {', '.join(keys[:-1])}",
        "add the rows up",
    )
    rows(
        "orders",
        ~orders["region_id"].isin(regions["region_id"]),
        "region_id",
        orders,
        "not in regions",
        "add the region or drop the row",
    )
    rows(
        "orders",
        ~orders["priority"].isin(promises["priority"]),
        "priority",
        orders,
        "has no row in promises",
        "add the priority with empty limits if nothing is promised",
    )
    rows(
        "orders",
        ~(orders["orders_per_day"].between(0, np.inf, inclusive="left")),
        "orders_per_day",
        orders,
        "is 0 or more",
        "give the rate",
    )
    rows(
        "orders",
        ~(orders["work_hours"].between(0, np.inf, inclusive="neither")),
        "work_hours",
        orders,
        "is above 0",
        "give the mean time at the machine",
    )
    for column in _PLAIN:
        if column in orders:
            rows("orders", orders[column] < 0, column, orders, "is 0 or more", "give such a value")
    rows(
        "promises", promises["respond_hours"] < 0, "respond_hours", promises, "is 0 or more", "give the limit"
    )
    if "target" in promises:
        rows(
            "promises",
            ~promises["target"].between(0, 1, inclusive="left"),
            "target",
            promises,
            "lies from 0 to below 1",
            "no count of engineers keeps a share of 1",
        )
    if "response_mode" in promises:
        rows(
            "promises",
            ~promises["response_mode"].isin(["dispatch", "arrival"]),
            "response_mode",
            promises,
            "is dispatch or arrival",
            "size the desk apart from the field",
        )
    placed = set() if units is None else set(units["region_id"])
    area = regions["area_km2"] if "area_km2" in regions else pd.Series(np.nan, index=regions.index)
    busy = set(orders.loc[orders["orders_per_day"] > 0, "region_id"])
    lost = regions["region_id"].isin(busy) & ~regions["region_id"].isin(placed) & ~(area >= 0)
    rows(
        "regions",
        lost,
        "region_id",
        regions,
        "has neither machines nor an area",
        "give units with places, or area_km2",
    )
    if units is not None and "latitude" in units:
        rows(
            "units",
            units["latitude"].isna() | units["longitude"].isna(),
            "latitude",
            units,
            "is known",
            "drop machines without a place",
        )
    if problems:
        raise DataError(problems)
