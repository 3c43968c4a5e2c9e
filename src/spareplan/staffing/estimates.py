"""What past orders say about each region, and how sure that is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import DAYS_PER_MONTH
from spareplan.staffing.repair_hours import RepairHours

FloatArray = NDArray[np.float64]
LOW, HIGH = 0.05, 0.95
_LEAST_DRIVES = 2


class _Rows(NamedTuple):
    quantity: str
    unit: str
    value: FloatArray
    low: FloatArray
    high: FloatArray
    orders: FloatArray


def machine_months(
    units: pd.DataFrame,
    regions: pd.Index,
    start: pd.Timestamp,
    as_of: pd.Timestamp,
    past: pd.DataFrame,
    records_from: pd.Series,
) -> pd.Series:
    """Count machine-months in service per region while its orders were recorded.

    Parameters
    ----------
    units : DataFrame
        region_id, commissioned_on, retired_on.
    regions : Index
    start, as_of : Timestamp
        First and last day.
    past : DataFrame
        Past orders; machines of regions that have none are not counted: they tell nothing.
    records_from : Series
        First day of its records by region_id; NaT: as early as the others.

    Returns
    -------
    Series
        By region_id. [months]
    """
    day = np.timedelta64(1, "D")
    begin = np.maximum((units["commissioned_on"] - start).to_numpy() / day, 0.0)
    known = pd.to_datetime(units["region_id"].map(records_from))
    begin = np.fmax(begin, (known - start).to_numpy() / day)
    # The last day counts in full.
    length = (as_of.normalize() - start) / day + 1.0
    end = np.minimum(np.nan_to_num((units["retired_on"] - start).to_numpy() / day, nan=np.inf), length)
    stay = pd.Series(np.maximum(end - begin, 0.0), index=units.index)
    months = stay.groupby(units["region_id"]).sum().reindex(regions, fill_value=0.0) / DAYS_PER_MONTH
    return months.where(regions.isin(past["region_id"].unique()), 0.0)


def estimate_table(
    past: pd.DataFrame,
    exposure: pd.Series,
    regions: pd.Index,
    shares: pd.DataFrame,
    hours: RepairHours,
    options: StaffingOptions,
) -> pd.DataFrame:
    """Lay out what was estimated per region, with its interval.

    Parameters
    ----------
    past : DataFrame
        Past orders.
    exposure : Series
        Machine-months by region.
    regions : Index
    shares : DataFrame
        Of `visit_shares`.
    hours : RepairHours
    options : StaffingOptions
        `kin_orders`.

    Returns
    -------
    DataFrame
        region_id, quantity, unit, value, low, high (90 %), orders (own ones behind it), own_share (weight of
        the region's own orders against those of all).

    Notes
    -----
    Gamma intervals of rates, beta intervals of shares, normal ones of means, with the orders of all regions
    as prior knowledge worth `kin_orders` orders; less where few regions make up their mean.
    """
    kin = options.kin_orders
    frames = [_rate(kind, past, exposure, regions, kin) for kind in ("request", "project")]
    ends = past[past["outcome"].notna()]
    made = ends[ends["outcome"] != "part_missing"]
    frames.append(_share("not fixed", shares["again"], _count(made, regions), kin))
    done = past[past["work_hours"] > 0]
    count = _count(done, regions)
    if len(done):
        value = float(hours.grid.to_numpy()[_place(done, hours.grid)].mean()) * hours.factor.to_numpy()
        spread = value * np.sqrt(hours.scv.mean(axis=1).to_numpy() / _worth(count, kin))
        frames.append(_mean("time at the machine", value, spread, count))
    drives = past["travel_hours"].dropna().groupby(past["region_id"]).agg(["mean", "std", "size"])
    drives = drives.reindex(regions)
    size = drives["size"].fillna(0.0).to_numpy()
    spread = (drives["std"] / np.sqrt(drives["size"].clip(lower=_LEAST_DRIVES))).to_numpy()
    frames.append(_mean("travel there and back", drives["mean"].to_numpy(), spread, size))
    parts = [
        pd.DataFrame(
            {
                "region_id": regions,
                "quantity": rows.quantity,
                "unit": rows.unit,
                "value": rows.value,
                "low": rows.low,
                "high": rows.high,
                "orders": rows.orders,
                "own_share": 1.0
                if rows.quantity == "travel there and back"
                else rows.orders / (rows.orders + kin),
            }
        )
        for rows in frames
    ]
    out = pd.concat(parts, ignore_index=True).dropna(subset=["value"])
    return out.sort_values(["region_id", "quantity"], ignore_index=True)


def _count(orders: pd.DataFrame, regions: pd.Index) -> FloatArray:
    sizes = orders.groupby("region_id").size().reindex(regions, fill_value=0)
    return sizes.to_numpy().astype(np.float64)


def _worth(count: FloatArray, kin: float) -> FloatArray:
    """Orders that an estimate is worth: own ones and kin, less what all regions' mean owes to few of them."""
    size = count + kin
    lopsided = float(((count / max(float(count.sum()), 1e-9)) ** 2).sum())
    worth: FloatArray = size / (1.0 + kin * lopsided / size)
    return worth


def _place(done: pd.DataFrame, grid: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return (
        grid.index.get_indexer(pd.Index(done["kind"])),
        grid.columns.get_indexer(pd.Index(done["priority"])),
    )


def _rate(kind: str, past: pd.DataFrame, exposure: pd.Series, regions: pd.Index, kin: float) -> _Rows:
    from scipy import special

    seen = _count(past[past["kind"] == kind], regions)
    months = exposure.to_numpy(dtype=float)
    overall = seen.sum() / max(float(months.sum()), 1e-9)
    if overall <= 0:
        nothing = np.zeros(len(regions))
        return _Rows(f"{kind}s", "1/machine/month", nothing, nothing, nothing, nothing)
    value, shape = (seen + kin) / (months + kin / overall), _worth(seen, kin)
    low, high = (value * special.gammaincinv(shape, q) / shape for q in (LOW, HIGH))
    return _Rows(f"{kind}s", "1/machine/month", value, low, high, seen)


def _share(name: str, value: pd.Series, count: FloatArray, kin: float) -> _Rows:
    from scipy import special

    share = value.to_numpy(dtype=float)
    size = _worth(count, kin)
    low, high = (
        special.betaincinv(np.maximum(share * size, 1e-9), np.maximum((1.0 - share) * size, 1e-9), q)
        for q in (LOW, HIGH)
    )
    return _Rows(name, "share", share, low, high, count)


def _mean(name: str, value: FloatArray, spread: FloatArray, count: FloatArray) -> _Rows:
    from scipy import special

    half = float(special.ndtri(HIGH)) * spread
    return _Rows(name, "hours", value, np.maximum(value - half, 0.0), value + half, count)
