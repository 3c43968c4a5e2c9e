"""Targets as a table: checked and laid on the pipelines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.stocking._forest import Forest, missing_columns, numbers, rows_problem
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.promises import Promises
from spareplan.stocking.windows import lay_windows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MEASURES = {
    "target_wait_days": "mean_wait_days",
    "target_fill_rate": "fill_rate",
    "target_in_window": "in_window",
}


def read_targets(
    targets: pd.DataFrame | None, parts: pd.DataFrame, forest: Forest, pipelines: Pipelines
) -> Promises:
    """Check targets and lay them on the rows of the pipelines.

    Parameters
    ----------
    targets : DataFrame or None
        site_id [, group], target_wait_days, target_fill_rate and/or target_in_window (empty: none). None: no
        targets.
    parts : DataFrame
        part_id and, if targets have one, group.
    forest, pipelines : Forest, Pipelines

    Returns
    -------
    Promises
        A promise per row and measure of `targets`, sorted by site, group and measure.

    Raises
    ------
    DataError
        Unknown sites or groups, doubled rows, targets out of range or missing, all at once.
    """
    frame = pd.DataFrame({"site_id": []}) if targets is None else targets
    problems = missing_columns("targets", frame, ["site_id"])
    grouped = "group" in frame.columns
    if grouped:
        problems += missing_columns("parts", parts, ["group"])
    if not len(frame):
        frame = frame.assign(target_wait_days=np.empty(0))
    if not problems and not set(MEASURES) & set(frame.columns):
        problems.append(
            Problem(
                "targets",
                0,
                "",
                "",
                "has no target",
                "add the column target_wait_days, target_fill_rate or target_in_window",
            )
        )
    if problems:
        raise DataError(problems)
    keys = ["site_id", "group"] if grouped else ["site_id"]
    site = forest.site_ids.get_indexer(pd.Index(frame["site_id"]))
    problems += rows_problem(
        "targets", frame, "site_id", site < 0, "is not in sites", "add the site or drop the row"
    )
    problems += rows_problem(
        "targets",
        frame,
        "site_id",
        frame.duplicated(keys).to_numpy(),
        "stands twice",
        "give each site" + (" and group" if grouped else "") + " once",
    )
    names = pd.Index(sorted(parts["group"].dropna().unique(), key=str)) if grouped else pd.Index([""])
    group = names.get_indexer(pd.Index(frame["group"])) if grouped else np.zeros(len(frame), dtype=np.int64)
    if grouped:
        problems += rows_problem(
            "targets",
            frame,
            "group",
            group < 0,
            "is no group of parts",
            "name a group that stands in parts.group",
        )
    wishes = {
        "target_wait_days": numbers(frame, "target_wait_days", "targets", problems, default=np.nan),
        "target_fill_rate": numbers(frame, "target_fill_rate", "targets", problems, default=np.nan, high=1.0),
        "target_in_window": numbers(frame, "target_in_window", "targets", problems, default=np.nan, high=1.0),
    }
    empty: NDArray[np.bool_] = np.logical_and.reduce([np.isnan(values) for values in wishes.values()])
    if not problems:
        shown = next(name for name in wishes if name in frame)
        problems += rows_problem(
            "targets",
            frame,
            shown,
            empty,
            "gives no target",
            "give target_wait_days, target_fill_rate or target_in_window, or drop the row",
        )
    if problems:
        raise DataError(problems)
    part_group = (
        names.get_indexer(pd.Index(parts["group"])) if grouped else np.zeros(len(parts), dtype=np.int64)
    )
    rows = pipelines.forest_rows
    cell = np.where(
        part_group[forest.part[rows]] >= 0, forest.site[rows] * len(names) + part_group[forest.part[rows]], -1
    )
    covered = pipelines.own > 0
    pieces: list[pd.DataFrame] = []
    for wish, values in wishes.items():
        given = np.flatnonzero(~np.isnan(values))
        pieces.append(
            pd.DataFrame(
                {
                    "cell": site[given] * len(names) + group[given],
                    "measure": MEASURES[wish],
                    "target": values[given],
                    "site_id": frame["site_id"].to_numpy()[given],
                    "part_group": frame["group"].to_numpy()[given] if grouped else "",
                }
            )
        )
    table = pd.concat(pieces, ignore_index=True)
    table = table.sort_values(["cell", "measure"], kind="stable", ignore_index=True)
    own = np.bincount(
        cell[covered & (cell >= 0)],
        weights=pipelines.own[covered & (cell >= 0)],
        minlength=len(forest.site_ids) * len(names),
    )
    table["demand_per_day"] = own[table["cell"].to_numpy(dtype=np.int64)]
    label = table["site_id"].astype(str)
    table["group"] = label + " / " + table["part_group"].astype(str) if grouped else label
    measure = table["measure"].to_numpy()
    is_wait = measure == "mean_wait_days"
    wait, miss, late = (
        _promise_of(cell, covered, table["cell"].to_numpy(), np.flatnonzero(measure == name), len(own))
        for name in MEASURES.values()
    )
    target = table["target"].to_numpy(dtype=float)
    allowed = np.where(is_wait, target, 1 - target) * table["demand_per_day"].to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(covered, pipelines.own / pipelines.demand, 0.0)
    columns = ["group", "site_id", "part_group", "measure", "target", "demand_per_day"]
    return Promises(
        table[columns],
        allowed,
        wait,
        miss,
        _factor_of(wait, factor),
        _factor_of(miss, pipelines.own),
        None if pipelines.windows is None else late,
        _factor_of(late, pipelines.own),
    )


def _factor_of(promise: IntArray | None, factor: FloatArray) -> FloatArray:
    if promise is None:
        return np.empty(0)
    return factor if (promise >= 0).all() else np.where(promise >= 0, factor, 0.0)


def read_windows(
    targets: pd.DataFrame | None, parts: pd.DataFrame, forest: Forest, pipelines: Pipelines
) -> tuple[Pipelines, FloatArray, NDArray[np.bool_]]:
    """Lay the windows of the targets on the pipelines, before `read_targets` lays the targets.

    Parameters
    ----------
    targets : DataFrame or None
        site_id [, group], target_in_window, window_days.
    parts : DataFrame
        part_id [, group]; window_days, where given, goes before the window of the target. [days]
    forest, pipelines : Forest, Pipelines

    Returns
    -------
    pipelines : Pipelines
        With windows, if any share within a window is asked for.
    window_days : ndarray, shape (rows,)
        Window of each row of the pipelines; NaN: none. [days]
    exact : ndarray of bool, shape (rows,)
        From `lay_windows`: rows whose share is told exactly, not only on the safe side.

    Raises
    ------
    DataError
        A window is missing or negative.
    """
    rows = len(pipelines.stop)
    none = np.broadcast_to(np.nan, rows), np.broadcast_to(np.bool_(True), rows)
    if targets is None or "target_in_window" not in targets:
        return pipelines, *none
    asked = targets["target_in_window"].notna().to_numpy()
    if not asked.any():
        return pipelines, *none
    problems: list[Problem] = []
    given = numbers(targets, "window_days", "targets", problems, default=np.nan)
    own = numbers(parts, "window_days", "parts", problems, default=np.nan)
    if not problems and np.isnan(own).any():
        column = "window_days" if "window_days" in targets else "target_in_window"
        problems += rows_problem(
            "targets", targets, column, asked & np.isnan(given), "has no window", "give window_days"
        )
    if problems:
        raise DataError(problems)
    place = pipelines.forest_rows
    part = forest.part[place]
    keys = [pd.Series(forest.site_ids.take(forest.site[place]))]
    names = ["site_id"]
    if "group" in targets:
        keys.append(pd.Series(parts["group"].to_numpy()[part]))
        names.append("group")
    wanted = targets.loc[asked, names].assign(window=given[asked])
    wanted = wanted.drop_duplicates(names)
    here = pd.concat(keys, axis=1, keys=names).merge(wanted, on=names, how="left", indicator=True)
    covered = (here["_merge"] == "both").to_numpy() & (pipelines.own > 0)
    days = np.where(np.isnan(own[part]), here["window"].to_numpy(dtype=float), own[part])
    days = np.where(covered, days, np.nan)
    windows, exact = lay_windows(forest, pipelines, days)
    return replace(pipelines, windows=windows), days, exact


def _promise_of(
    cell: IntArray, covered: NDArray[np.bool_], cells: IntArray, promises: IntArray, count: int
) -> IntArray | None:
    if not len(promises):
        return None
    of_cell = np.full(count + 1, -1, dtype=np.int32)
    of_cell[cells[promises].astype(np.int64)] = promises
    return np.where(covered, of_cell[cell], -1)
