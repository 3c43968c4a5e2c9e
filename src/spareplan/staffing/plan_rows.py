"""Rows of the queue model as regions to simulate."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import HOURS_PER_DAY
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.duty import Duty
from spareplan.staffing.looks import Skills
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.shift_cycle import from_shift_start
from spareplan.staffing.sizing import Promises
from spareplan.staffing.travel import SQUARE_PAIR, flat_km, mean_pair_distance

FloatArray = NDArray[np.float64]


class PlanRows(NamedTuple):
    """Region-months of a head count plan, and what a simulation of them needs.

    Parameters
    ----------
    regions : Index
        R region ids, sorted.
    months : DatetimeIndex
        M months; rows run region by region.
    rows : RegionRows
        The queue model, R * M rows of K classes.
    repairs : Repairs
    promises : Promises
    back : ndarray, shape (R * M,)
        Way back, part of the work of a visit. [hours]
    units : DataFrame
        region_id, latitude, longitude of the machines.
    profile : ndarray, shape (24,) or (7, 24)
        Calls per hour of the day, or of the week from Monday, against the mean.
    options : StaffingOptions
    duty : Duty
        When engineers are on shift.
    on_shift : ndarray of bool, shape (K,), optional
        Classes whose limits count the hours of the shift only; None: those that nobody is called out for.
    needs, mix, efficiency : ndarray, shape (R, S), optional
        By region and skill, lowest first: share of the orders that need it at least, share of the engineers,
        work done per standard hour; None: standard engineers who can do everything.
    """

    regions: pd.Index
    months: pd.DatetimeIndex
    rows: RegionRows
    repairs: Repairs
    promises: Promises
    back: FloatArray
    units: pd.DataFrame
    profile: FloatArray
    options: StaffingOptions
    duty: Duty = Duty()
    on_shift: NDArray[np.bool_] | None = None
    needs: FloatArray | None = None
    mix: FloatArray | None = None
    efficiency: FloatArray | None = None

    def skills(self, row: int, crew: FloatArray | None = None) -> Skills | None:
        """Skills of a row's orders and engineers, in the shares of `crew` if given, else of the region."""
        if self.needs is None or self.mix is None or self.efficiency is None:
            return None
        place = row // len(self.months)
        shares = self.mix[place] if crew is None else crew
        return Skills(self.needs[place], shares, self.efficiency[place])

    def orders_per_hour(self) -> FloatArray:
        """Orders, without their further visits, shape (R * M, K) [1/hour]."""
        return self.rows.rates / self.repairs.visits

    def keys(self, row: int) -> tuple[Any, Any]:
        """Region and month of a row."""
        return self.regions[row // len(self.months)], self.months[row % len(self.months)]

    def roads(self) -> list[tuple[FloatArray | float, float]]:
        """Where each region's orders come from [km], and the drive per straight km [hours/km]."""
        groups = dict(list(self.units.groupby("region_id")))
        none = self.units.iloc[:0]
        far = self.rows.travel[self.rows.place[:: len(self.months)], 0]
        return [
            _roads(groups.get(region, none), float(drive), self.options)
            for region, drive in zip(self.regions, far, strict=True)
        ]

    def job(self, row: int, road: tuple[FloatArray | float, float], seed: int) -> dict[str, Any]:
        """Arguments of `spareplan.staffing.search.attained` for a row, all but the engineers."""
        repairs, back = self.repairs, float(self.back[row])
        work, place = repairs.work[row], row // len(self.months)
        scv = repairs.scv if repairs.scv.ndim == 1 else repairs.scv[row]
        none = np.zeros(len(work))
        duty, profile = from_shift_start(self.duty, self.profile)
        return {
            "orders": {
                "orders_per_day": self.rows.rates[row] / repairs.visits[row] * HOURS_PER_DAY,
                "work_hours": work + back,
                # The way back is no chance: it widens the work without spreading it.
                "work_scv": scv * (work / np.maximum(work + back, 1e-12)) ** 2,
                "missing_share": repairs.missing[row],
                "known_share": repairs.known[row],
                "again_share": repairs.again[row],
                "parts_hours": none + repairs.parts[row],
                "parts_scv": none + (1.0 if repairs.parts_scv is None else repairs.parts_scv[row]),
            },
            # The order is solved before the way back.
            "limits": Promises(
                self.promises.respond,
                self.promises.resolve + back,
                self.promises.target,
                self.promises.arrival,
            ),
            "place": road[0],
            "pace": road[1],
            "diagnose_hours": repairs.diagnose + back,
            "duty": duty,
            "profile": None if np.ptp(self.profile) < 1e-9 else profile,
            "on_shift": self.on_shift,
            # The same chance in every month of a region: what differs is the load.
            "seed": seed + place,
        }


def attainment_frame(
    plan: PlanRows,
    found: list[tuple[int, FloatArray, FloatArray]],
    planned: tuple[FloatArray, FloatArray],
    names: tuple[str, ...],
) -> pd.DataFrame:
    """Shares kept by simulation beside those by formula.

    Parameters
    ----------
    plan : PlanRows
    found : list of (row, share, half width of the 95 % interval), the two shape (K, 2): respond, resolve
    planned : two ndarray, shape (R * M, K)
        Shares by formula: respond, resolve.
    names : tuple of str
        Priorities.

    Returns
    -------
    DataFrame
        region_id, month, priority, measure, promised, planned, achieved, low, high (95 %), kept; a row for
        each promise that was simulated.
    """
    if not found:
        return pd.DataFrame(columns=list(ATTAINMENT_COLUMNS))
    rows = np.array([row for row, _, _ in found], dtype=np.int64)
    # Row, measure, class: in the order of the table.
    share, half = (np.stack(part).transpose(0, 2, 1) for part in list(zip(*found, strict=True))[1:])
    told, measure, k = np.nonzero(~np.isnan(share))
    achieved, wide = share[told, measure, k], half[told, measure, k]
    region, month = np.divmod(rows[told], len(plan.months))
    target = plan.promises.target[k]
    return pd.DataFrame(
        {
            "region_id": plan.regions[region],
            "month": plan.months[month],
            "priority": np.array(names, dtype=object)[k],
            "measure": np.array(["respond", "resolve"], dtype=object)[measure],
            "promised": target,
            "planned": np.stack(planned)[measure, rows[told], k],
            "achieved": achieved,
            "low": np.maximum(achieved - wide, 0.0),
            "high": np.minimum(achieved + wide, 1.0),
            "kept": achieved + wide >= target,
        }
    ).astype({"region_id": plan.regions.dtype, "priority": "str", "measure": "str"})


ATTAINMENT_COLUMNS = (
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
)


def _roads(places: pd.DataFrame, far: float, options: StaffingOptions) -> tuple[FloatArray | float, float]:
    """Points or side of a square, and a pace, that give the mean drive between two orders."""
    known = places.dropna(subset=["latitude", "longitude"])
    points = flat_km(known["latitude"], known["longitude"])
    pair = mean_pair_distance(points)
    if pair > 0 and far > 0:
        return points, far / pair
    pace = options.circuity / options.travel_speed
    return far / pace / SQUARE_PAIR, pace
