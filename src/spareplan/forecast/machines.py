"""Machines and their ages on every clock, their cells, and histograms over an age grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.clock import CALENDAR, Clock, region_of_sites

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Two replacements on one day still are two: the second piece lived this long. [days]
SHORTEST_LIFE_DAYS = 0.5
# Machines that are used differently stand in classes this far apart in ln use.
USE_CLASS = 0.25


class Ages(NamedTuple):
    """Every machine on one clock.

    Parameters
    ----------
    curve : ndarray of int, shape (machines,)
        Row of the clock's cumulative use.
    factor, use_class : ndarray, shape (machines,)
        Own use over the curve's, and the middle of its class.
    born : ndarray, shape (machines,)
        Reading of the clock at the handover. [hours or days]
    start, stop : ndarray, shape (machines,)
        Age when watching begins and when it ends. [hours or days]
    shortest : ndarray, shape (machines,)
        Use in half a day. [hours or days]
    watched : ndarray, shape (machines, delays)
        Age by which its failures are reported, for equally likely delays of the reports. [hours or days]
    """

    curve: IntArray
    factor: FloatArray
    use_class: FloatArray
    born: FloatArray
    start: FloatArray
    stop: FloatArray
    shortest: FloatArray
    watched: FloatArray

    @property
    def open(self) -> NDArray[np.bool_]:
        """Whether the machine is older than the records: its pieces may not be the first ones."""
        return np.asarray(self.start > 0)


@dataclass(frozen=True)
class Machines:
    """Machines handed over by `as_of`, in the order of their ids.

    Parameters
    ----------
    table : DataFrame
        unit_id, product_id, site_id, region, in_service.
    group, groups : ndarray of int, DataFrame
        Number of each machine's product and region; product_id, region of each number.
    ages : mapping of str to Ages
        "days", and "hours" where any machine's use is known.
    metered : ndarray of bool
        Whether the machine's hours are known.
    """

    table: pd.DataFrame
    group: IntArray
    groups: pd.DataFrame
    ages: Mapping[str, Ages]
    metered: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.table)


def machines_on_clocks(
    units: pd.DataFrame,
    network: Any,
    clock: Clock,
    records_from: pd.Series,
    as_of: pd.Timestamp,
    delays: FloatArray,
) -> Machines:
    """Read the clock for every machine: at its handover, when records begin, when they end.

    Parameters
    ----------
    units : DataFrame
        unit_id, product_id, site_id, commissioned_on, retired_on.
    network : Network
    clock : Clock
    records_from : Series
        site_id to the day from which its failures are known.
    as_of : Timestamp
        Last day that was known.
    delays : ndarray, shape (n,)
        Equally likely delays of reports; 0 where they come at once. [days]

    Returns
    -------
    Machines
        Machines that were retired before their records began are left out: nothing was seen of them.
    """
    tomorrow = as_of + pd.Timedelta(days=1)
    known = units[units["commissioned_on"] <= as_of]
    begin = pd.to_datetime(known["site_id"].map(records_from))
    known = known.assign(
        retired=known["retired_on"] <= as_of,
        begin=begin.where(begin > known["commissioned_on"], known["commissioned_on"]),
        end=known["retired_on"].where(known["retired_on"] <= as_of, tomorrow),
    )
    # Where records have not begun, a machine in service is known by its age alone.
    known["begin"] = known["begin"].where(known["begin"] < known["end"], known["end"])
    seen = (known["end"] > known["begin"]) | ~known["retired"]
    known = known[seen].sort_values("unit_id", ignore_index=True)
    begin, end, retired = known["begin"], known["end"], known["retired"]
    hours_curve = clock.curve.reindex(known["unit_id"]).to_numpy(dtype=np.int64)
    own_factor = clock.factor.reindex(known["unit_id"]).to_numpy(dtype=float)
    calendar = np.full(len(known), CALENDAR, dtype=np.int64)
    reported = [
        end.to_numpy().clip(max=np.datetime64(tomorrow - pd.Timedelta(days=float(delay)))) for delay in delays
    ]
    dates = (
        known["commissioned_on"],
        begin,
        end,
        *(np.maximum(when, begin.to_numpy()) for when in reported),
    )
    ages = {"days": _ages(clock, calendar, np.ones(len(known)), dates, as_of)}
    if (hours_curve != CALENDAR).any():
        ages["hours"] = _ages(clock, hours_curve, own_factor, dates, as_of)
    table = known[["unit_id", "product_id", "site_id"]].assign(
        region=known["site_id"].map(region_of_sites(network)).fillna("").astype(str),
        in_service=~retired.to_numpy(),
    )
    keys = table.groupby(["product_id", "region"], sort=True)
    groups = keys.size().index.to_frame(index=False)
    return Machines(table, keys.ngroup().to_numpy().astype(np.int64), groups, ages, hours_curve != CALENDAR)


def _ages(
    clock: Clock, curve: IntArray, factor: FloatArray, dates: tuple[Any, ...], as_of: pd.Timestamp
) -> Ages:
    born, begin, end, *reported = (clock.at(curve, when) * factor for when in dates)
    tomorrow = as_of + pd.Timedelta(days=1)
    per_day = (
        clock.at(curve, pd.DatetimeIndex([tomorrow] * len(curve)))
        - clock.at(curve, pd.DatetimeIndex([as_of] * len(curve)))
    ) * factor
    shortest = SHORTEST_LIFE_DAYS * np.maximum(per_day, 1e-6)
    start = np.maximum(begin - born, 0.0)
    return Ages(
        curve,
        factor,
        np.exp(np.round(np.log(factor) / USE_CLASS) * USE_CLASS),
        born,
        start,
        np.maximum(end - born, start + shortest),
        shortest,
        np.maximum(np.column_stack(reported) - born[:, None], start[:, None]),
    )


class Cells(NamedTuple):
    """Cells in which pieces of a product are alike for the months ahead, on one clock.

    Parameters
    ----------
    table : DataFrame
        A row per cell: product_id, site_id, region, curve, use_class; sorted.
    of_machine : ndarray of int, shape (machines,)
    """

    table: pd.DataFrame
    of_machine: IntArray


def cells_of(machines: Machines, clock: str) -> Cells:
    """Put machines of one product, site, use curve and class of use into one cell.

    Parameters
    ----------
    machines : Machines
    clock : {"hours", "days"}

    Returns
    -------
    Cells
    """
    ages = machines.ages[clock]
    frame = machines.table[["product_id", "site_id", "region"]].assign(
        curve=ages.curve, use_class=ages.use_class
    )
    keys = frame.groupby(list(frame.columns), sort=True)
    return Cells(keys.size().index.to_frame(index=False), keys.ngroup().to_numpy().astype(np.int64))


def age_grid(oldest: float, month: float) -> FloatArray:
    """Nodes between which ages are shared: fine when new, a month wide for two years, then 3 % wider each.

    Parameters
    ----------
    oldest : float
        Highest age. [hours or days]
    month : float
        Use of a month. [hours or days]

    Returns
    -------
    ndarray, shape (nodes,)
        [hours or days]
    """
    young = np.concatenate([[0.0, 0.05, 0.12, 0.25, 0.4, 0.6, 0.8], np.arange(1.0, 2.0, 0.25)])
    regular = np.arange(2.0, 34.0)
    most = max(oldest / month, 2.0)
    grown = 34.0 * 1.03 ** np.arange(max(0, int(np.ceil(np.log(most / 34.0) / np.log(1.03))) + 1))
    every = np.concatenate([young, regular, grown]) * month
    return np.asarray(every[: int(np.searchsorted(every, oldest)) + 1])


def share_ages(age: FloatArray, grid: FloatArray) -> tuple[IntArray, FloatArray]:
    """Find where ages stand on the grid: lower node, and the share that belongs to the next one.

    Parameters
    ----------
    age : ndarray
        [hours or days]
    grid : ndarray, shape (nodes,)
        [hours or days]

    Returns
    -------
    tuple of ndarray
        Node numbers and shares, shaped like `age`.
    """
    low = np.clip(np.searchsorted(grid, age, side="right") - 1, 0, max(len(grid) - 2, 0))
    if len(grid) < 2:
        return low, np.zeros(np.shape(age))
    return low, np.clip((age - grid[low]) / (grid[low + 1] - grid[low]), 0.0, 1.0)


def histogram(row: IntArray, age: FloatArray, weight: FloatArray, rows: int, grid: FloatArray) -> FloatArray:
    """Weights by row and age node, each shared between its two nearest nodes.

    Parameters
    ----------
    row : ndarray of int, shape (n,)
    age, weight : ndarray, shape (n,)
        [hours or days, pieces]
    rows : int
    grid : ndarray, shape (nodes,)

    Returns
    -------
    ndarray, shape (rows, nodes)
    """
    low, part = share_ages(age, grid)
    nodes = len(grid)
    flat = np.bincount(row * nodes + low, weights=weight * (1 - part), minlength=rows * nodes).astype(float)
    if nodes > 1:
        flat += np.bincount(row * nodes + low + 1, weights=weight * part, minlength=rows * nodes)
    return flat.reshape(rows, nodes)
