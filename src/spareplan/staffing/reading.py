"""Plain tables of regions, orders, promises and machines: checked by name and laid out as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.staffing._arguments import Arguments

FloatArray = NDArray[np.float64]
# What a class of orders has where the table does not say.
PLAIN = {
    "work_scv": 1.0,
    "missing_share": 0.0,
    "known_share": 0.0,
    "again_share": 0.0,
    "parts_hours": 0.0,
    "parts_scv": 1.0,
}
DEFAULT_TARGET = 0.95
# An engineer cannot be told to serve more; beyond it a rate is a slip of the unit.
MOST_PER_DAY = 1e6


@dataclass
class Tables:
    """Frames as given; faults are gathered with the line they would have in a file.

    Parameters
    ----------
    problems : list of Problem
    """

    problems: list[Problem] = field(default_factory=list)

    def columns(self, name: str, frame: pd.DataFrame, needed: list[str]) -> None:
        """Note missing columns, and a table without rows."""
        for column in needed:
            if column not in frame:
                self.problems.append(Problem(name, 0, column, "", "is missing", "add the column"))
        if not len(frame):
            self.problems.append(Problem(name, 0, "", "", "has no row", "give at least one"))

    def rows(self, name: str, bad: Any, column: str, frame: pd.DataFrame, rule: str, remedy: str) -> None:
        """Note the rows where `bad` holds."""
        for row in np.flatnonzero(np.asarray(bad, dtype=bool)):
            value = str(frame[column].iloc[row])
            self.problems.append(Problem(name, int(row) + 2, column, value, rule, remedy))

    def number(
        self,
        name: str,
        frame: pd.DataFrame,
        column: str,
        rule: str,
        remedy: str = "give such a value",
        low: float = 0.0,
        high: float = np.inf,
        above: bool = False,
        below: bool = False,
        unknown: bool = True,
    ) -> None:
        """Note what is no finite number of low..high (`above`, `below`: the end itself excluded)."""
        if column not in frame:
            return
        value = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
        absent = frame[column].isna().to_numpy()
        with np.errstate(invalid="ignore"):
            good = (value > low if above else value >= low) & (value < high if below else value <= high)
        good &= np.isfinite(value)
        self.rows(name, ~good & ~(absent & unknown), column, frame, rule, remedy)

    def key(self, name: str, frame: pd.DataFrame, column: str) -> None:
        """Note rows without a key."""
        if column in frame:
            self.rows(name, frame[column].isna(), column, frame, "is known", "name it, or drop the row")

    def refuse(self) -> None:
        """Raise what was found.

        Raises
        ------
        DataError
            If there was any fault.
        """
        if self.problems:
            raise DataError(self.problems)


def check_tables(
    regions: pd.DataFrame,
    orders: pd.DataFrame,
    promises: pd.DataFrame,
    units: pd.DataFrame | None,
    scalars: dict[str, Any],
) -> None:
    """Refuse what `size_regions` cannot use, all at once.

    Parameters
    ----------
    regions, orders, promises, units : DataFrame
        As in `size_regions`.
    scalars : dict of str to float
        max_utilisation, travel_speed, circuity, diagnose_hours, least_gain, seed, reach_engineers.

    Raises
    ------
    DataError
        Naming table, row, column, value, rule and remedy of every fault.
    """
    found = Tables(_scalar_problems(scalars))
    found.columns("regions", regions, ["region_id"])
    found.columns("orders", orders, ["region_id", "priority", "orders_per_day", "work_hours"])
    found.columns("promises", promises, ["priority", "respond_hours"])
    if units is not None:
        found.columns("units", units, ["region_id", *place_columns(units)])
    found.refuse()
    keyed = [("regions", regions, ["region_id"]), ("promises", promises, ["priority"])]
    keyed.append(("orders", orders, order_keys(orders)))
    keyed += [] if units is None else [("units", units, ["region_id"])]
    for name, frame, columns in keyed:
        for column in columns:
            found.key(name, frame, column)
        if name != "units":
            rule = "stands once" + (f" per {', '.join(columns[:-1])}" if len(columns) > 1 else "")
            remedy = "add the rows up" if name == "orders" else "drop the double"
            known = frame[columns].notna().all(axis=1)
            found.rows(name, frame[columns].duplicated() & known, columns[-1], frame, rule, remedy)
    _check_regions(found, regions)
    _check_orders(found, orders, regions, promises)
    _check_promises(found, promises)
    if units is not None:
        _check_units(found, units, regions)
    placed = set() if units is None else set(units["region_id"])
    busy = set(orders.loc[pd.to_numeric(orders["orders_per_day"], errors="coerce") > 0, "region_id"])
    area = regions["area_km2"] if "area_km2" in regions else pd.Series(np.nan, index=regions.index)
    lost = regions["region_id"].isin(busy - placed) & area.isna()
    rule, remedy = "has neither machines nor an area", "give units with places, or area_km2"
    found.rows("regions", lost, "region_id", regions, rule, remedy)
    found.refuse()


def order_keys(orders: pd.DataFrame) -> list[str]:
    """Keys of an order row: region, month where there is one, priority."""
    return ["region_id", "month", "priority"] if "month" in orders else ["region_id", "priority"]


def place_columns(units: pd.DataFrame) -> list[str]:
    """Columns that place machines: on a plane where there is one, else on the globe."""
    return ["east", "north"] if "east" in units or "north" in units else ["latitude", "longitude"]


def order_arrays(
    table: pd.DataFrame, groups: pd.DataFrame, keys: list[str], names: list[str]
) -> dict[str, FloatArray]:
    """Lay orders out as arrays, a row per group and a column per priority.

    Parameters
    ----------
    table : DataFrame
        Orders, checked.
    groups : DataFrame, columns `keys`
    keys : list of str
    names : list of str
        Priorities, most urgent first.

    Returns
    -------
    dict of str to ndarray, shape (groups, priorities)
        orders_per_day, work_hours, work_scv, missing_share, known_share, again_share, parts_hours,
        parts_scv.
    """
    index = pd.MultiIndex.from_frame(groups) if len(keys) > 1 else pd.Index(groups[keys[0]])
    wanted = pd.MultiIndex.from_frame(table[keys]) if len(keys) > 1 else pd.Index(table[keys[0]])
    row = index.get_indexer(wanted)
    column = pd.Index(names).get_indexer(pd.Index(table["priority"].astype(str)))
    out = {}
    for name in ("orders_per_day", "work_hours", *PLAIN):
        cube = np.zeros((len(groups), len(names)))
        fill = PLAIN.get(name, np.nan)
        cube[row, column] = pd.to_numeric(table[name]).fillna(fill).to_numpy(float) if name in table else fill
        out[name] = cube
    # A class without orders has the work of the others; it matters only for the order that might come.
    none = out["orders_per_day"] <= 0
    weight = out["orders_per_day"].sum(axis=1)
    mean = (out["orders_per_day"] * out["work_hours"]).sum(axis=1) / np.maximum(weight, 1e-300)
    out["work_hours"] = np.where(none & (out["work_hours"] <= 0), mean[:, None], out["work_hours"])
    return out


def _scalar_problems(scalars: dict[str, Any]) -> list[Problem]:
    given = Arguments("size_regions")
    for name, value in scalars.items():
        number = given.single(name, given.numbers(name, value))
        if name == "max_utilisation":
            good, rule = 0 < number <= 1, "lies above 0 and at most 1"
        elif name == "circuity":
            good, rule = 1 <= number < np.inf, "is 1 or more: roads are no shorter than the straight line"
        elif name in ("travel_speed", "diagnose_hours"):
            good, rule = 0 < number < np.inf, "is above 0"
        else:
            good, rule = 0 <= number < np.inf, "is 0 or more"
        if not good and not np.isnan(number):
            given.add(name, value, rule, "give such a value")
    return given.problems


def _check_regions(found: Tables, regions: pd.DataFrame) -> None:
    found.number("regions", regions, "area_km2", "is 0 or more", "give the area the machines stand on")
    found.number("regions", regions, "travel_speed", "is above 0", "give km/hour", above=True)
    rule = "is 1 or more: roads are no shorter than the straight line"
    found.number("regions", regions, "circuity", rule, low=1.0)


def _check_orders(found: Tables, orders: pd.DataFrame, regions: pd.DataFrame, promises: pd.DataFrame) -> None:
    known = orders["region_id"].isin(regions["region_id"]) | orders["region_id"].isna()
    found.rows("orders", ~known, "region_id", orders, "not in regions", "add the region or drop the row")
    known = orders["priority"].isin(promises["priority"]) | orders["priority"].isna()
    remedy = "add the priority with empty limits if nothing is promised"
    found.rows("orders", ~known, "priority", orders, "has no row in promises", remedy)
    rule, remedy = "is 0 or more and at most a million", "give the rate"
    found.number("orders", orders, "orders_per_day", rule, remedy, high=MOST_PER_DAY, unknown=False)
    remedy = "give the mean time at the machine"
    found.number("orders", orders, "work_hours", "is above 0", remedy, above=True, unknown=False)
    for column in ("work_scv", "parts_hours", "parts_scv"):
        found.number("orders", orders, column, "is 0 or more")
    for column in ("missing_share", "known_share"):
        found.number("orders", orders, column, "lies from 0 to 1", "give a share of orders", high=1.0)
    if {"missing_share", "known_share"} <= set(orders):
        both = sum(
            pd.to_numeric(orders[c], errors="coerce").fillna(0.0) for c in ("missing_share", "known_share")
        )
        found.rows(
            "orders", both > 1, "known_share", orders, "is with missing_share at most 1", "give shares"
        )
    rule, remedy = "lies from 0 to below 1", "give the share of visits that do not mend the machine"
    found.number("orders", orders, "again_share", rule, remedy, high=1.0, below=True)


def _check_promises(found: Tables, promises: pd.DataFrame) -> None:
    for column in ("respond_hours", "resolve_hours"):
        found.number("promises", promises, column, "is 0 or more", "give the limit, empty if there is none")
    remedy = "no count of engineers keeps a share of 1"
    found.number("promises", promises, "target", "lies from 0 to below 1", remedy, high=1.0, below=True)
    if "response_mode" in promises:
        known = promises["response_mode"].isin(["dispatch", "arrival"])
        rule, remedy = "is dispatch or arrival", "size the desk apart from the field"
        found.rows("promises", ~known, "response_mode", promises, rule, remedy)


def _check_units(found: Tables, units: pd.DataFrame, regions: pd.DataFrame) -> None:
    known = units["region_id"].isin(regions["region_id"]) | units["region_id"].isna()
    found.rows("units", ~known, "region_id", units, "not in regions", "add the region or drop the machine")
    ends = {"latitude": 90.0, "longitude": 180.0}
    for column in place_columns(units):
        end = ends.get(column, 1e5)
        rule = f"lies from {-end:g} to {end:g}"
        found.number("units", units, column, rule, "drop machines without a place", -end, end, unknown=False)
