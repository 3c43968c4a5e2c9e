"""Region-months as rows of the queue model: rates, work, travel and repairs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import DAYS_PER_WEEK, days_in_month
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.duty import Duty
from spareplan.staffing.night import on_duty, served_hours
from spareplan.staffing.places import find_places
from spareplan.staffing.region_travel import region_travel
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.teams import Teams
from spareplan.staffing.visits import KINDS, PRIORITIES, SKILLS
from spareplan.staffing.workload import Workload

FloatArray = NDArray[np.float64]


class RegionModel(NamedTuple):
    """Region-months as rows of the queue model; rows run region by region.

    Parameters
    ----------
    rows : RegionRows
    repairs : Repairs
    hours : dict of str to ndarray, shape (R * M,)
        visits; on_site, back, paid_hours, visit_hours [hours]; missing, again [shares].
    places : DataFrame
        A row per region: where its work is (`places.Places.table`) and mean_drive_hours, the drive out with
        the engineers on duty today, or as many as the work needs. [hours]
    clusters : DataFrame
        A row per region and town (`places.Places.clusters`).
    units : DataFrame
        Machines in service with region_id, latitude, longitude.
    notes : list of dict
        Rows of an assumptions table.
    """

    rows: RegionRows
    repairs: Repairs
    hours: dict[str, FloatArray]
    places: pd.DataFrame
    clusters: pd.DataFrame
    units: pd.DataFrame
    notes: list[dict[str, Any]]


def placed_units(data: Any) -> pd.DataFrame:
    """Machines with the region that serves them, in the order of their ids."""
    units = data.units.sort_values("unit_id")
    return units.assign(region_id=units["site_id"].map(data.sites.set_index("site_id")["region_id"]))


def region_rows(
    data: Any,
    load: Workload,
    teams: Teams,
    months: pd.DatetimeIndex,
    options: StaffingOptions,
    seed: int = 0,
    duty: Duty = Duty(),  # noqa: B008 - frozen
) -> RegionModel:
    """Region-months as rows of the queue model; hours that go with them."""
    count, periods, classes = len(teams.regions), len(months), len(PRIORITIES)
    cube = _cube(load.orders, teams.regions, months)
    orders = cube.sum(axis=2)
    safe = np.maximum(orders, 1e-12)
    hours = load.work_hours.reindex(index=list(KINDS), columns=list(PRIORITIES)).to_numpy()
    shares = load.visits.reindex(teams.regions)
    factor, again = shares["hours_factor"].to_numpy(), shares["again"].to_numpy()
    mean = hours.mean(axis=0)
    repair = np.where(orders > 0, np.einsum("rmkp,kp->rmp", cube, hours) / safe, mean)
    # Kinds differ in their means: the mixture varies more than each.
    square = np.where(orders > 0, np.einsum("rmkp,kp->rmp", cube, hours**2) / safe, mean**2) / repair**2
    scv = load.scv.reindex(index=teams.regions, columns=list(PRIORITIES)).to_numpy()[:, None, :]
    scv = (1.0 + scv) * square - 1.0
    repair = repair * factor[:, None, None]
    missing = cube[:, :, 0] / safe * shares["missing"].to_numpy()[:, None, None]
    known = missing * options.part_known_share
    missing = missing - known
    flat = (count * periods, classes)
    place = np.repeat(np.arange(count), periods)
    repairs = Repairs(
        repair.reshape(flat),
        scv.reshape(flat),
        options.diagnose_hours,
        missing.reshape(flat),
        known.reshape(flat),
        np.repeat(again[place, None], classes, axis=1),
        shares["parts_hours"].to_numpy()[place],
        shares["parts_scv"].to_numpy()[place],
    )
    visits, work = (part.reshape(orders.shape) for part in (repairs.visits, repairs.visit_work))
    on_site = visits * work
    cover = served_hours(days_in_month(months), duty, options)[None, :, None]
    rates = orders * visits / cover
    busy = rates.sum(axis=2).mean(axis=1)
    mean_work = (rates * work).sum(axis=(1, 2)) / np.maximum(rates.sum(axis=(1, 2)), 1e-12)
    present = (teams.heads * teams.efficiency).sum(axis=1)
    posts = np.maximum(np.floor(on_duty(present, duty, options)), 1).astype(int)
    units = placed_units(data)
    # Machines that left tell nothing about the work ahead.
    units = units[~(units["retired_on"] < months.min())] if len(months) else units
    places = find_places(teams.regions, units, data.sites, data.regions.set_index("region_id")["area_km2"])
    travel, spread, settled, back, drive, notes = region_travel(
        teams.regions,
        places,
        shares["travel_hours"].to_numpy(),
        busy,
        mean_work,
        posts,
        options,
        seed,
    )
    rows = RegionRows(
        rates.reshape(flat),
        work.reshape(flat) + back[place, None],
        _visit_scv(rates.reshape(flat), repairs, back[place], travel[place, 0], spread[place, 0]),
        place,
        travel,
        spread,
        repairs.follow,
        settled,
    )
    weeks = days_in_month(months) / DAYS_PER_WEEK
    paid = np.tile(weeks * options.paid_hours_per_week * (1.0 - options.absence_share), count)
    total = (orders * visits).sum(axis=2).reshape(-1)
    at_work = (orders * on_site).sum(axis=2).reshape(-1)
    figures = {
        "visits": total,
        "on_site": at_work,
        "back": back[place],
        "paid_hours": paid,
        "visit_hours": np.where(total > 0, at_work / np.maximum(total, 1e-12), mean.mean()) + 2 * back[place],
        "missing": (orders * missing).sum(axis=2).reshape(-1)
        / np.maximum(orders.sum(axis=2).reshape(-1), 1e-12),
        "again": again[place],
    }
    return RegionModel(
        rows, repairs, figures, places.table.assign(mean_drive_hours=drive), places.clusters, units, notes
    )


def _visit_scv(
    rates: FloatArray, repairs: Repairs, back: FloatArray, far: FloatArray, spread: FloatArray
) -> FloatArray:
    """Squared variation of a visit that had to wait: drive from anywhere, work, way back; shape (R,)."""
    share = rates / np.maximum(rates.sum(axis=1, keepdims=True), 1e-300)
    share = np.where(rates.sum(axis=1, keepdims=True) > 0, share, 1.0 / rates.shape[1])
    found_missing = repairs.missing / repairs.visits
    work = repairs.visit_work
    # Time until a part is found missing is exponential.
    square = (1.0 - found_missing) * repairs.work**2 * (1.0 + repairs.scv)
    square += found_missing * 2.0 * repairs.diagnose**2
    road = back + far
    road_square = back**2 + 2.0 * back * far + (spread**2).mean(axis=1)
    mean = (share * work).sum(axis=1) + road
    second = (share * (square + 2.0 * work * road[:, None])).sum(axis=1) + road_square
    scv: FloatArray = np.maximum(second / np.maximum(mean, 1e-12) ** 2 - 1.0, 0.0)
    return scv


def _cube(orders: pd.DataFrame, regions: pd.Index, months: pd.DatetimeIndex) -> FloatArray:
    """Turn orders into an array: region x month x kind x priority."""
    shape = (len(regions), len(months), len(KINDS), len(PRIORITIES))
    out = np.zeros(shape)
    place = (
        regions.get_indexer(pd.Index(orders["region_id"])),
        months.get_indexer(pd.DatetimeIndex(orders["month"])),
        pd.Index(KINDS).get_indexer(pd.Index(orders["kind"])),
        pd.Index(PRIORITIES).get_indexer(pd.Index(orders["priority"])),
    )
    np.add.at(out, place, orders["orders"].to_numpy(dtype=float))
    return out


def least_shares(load: Workload, teams: Teams) -> FloatArray:
    """Share of the work that needs each skill or a higher one."""
    table = load.skills.reindex(index=teams.regions, columns=list(SKILLS)).to_numpy()
    return np.cumsum(table[:, ::-1], axis=1)[:, ::-1]
