"""Targets as a table: checked and laid on the pipelines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.stocking._faults import missing_columns, rows_problem, unknown_labels
from spareplan.stocking._forest import Forest
from spareplan.stocking._reading import numbers, positions
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


def target_problems(
    targets: pd.DataFrame | None, parts: pd.DataFrame, site_ids: pd.Index | None
) -> list[Problem]:
    """Faults of targets and their windows, all at once.

    Parameters
    ----------
    targets, parts : DataFrame
        As in `read_targets`.
    site_ids : Index or None
        None: not known, nothing is looked up.

    Returns
    -------
    list of Problem
    """
    if targets is None:
        return []
    problems = missing_columns("targets", targets, ["site_id"])
    grouped = "group" in targets
    if grouped:
        problems += missing_columns("parts", parts, ["group"])
    shown = next((name for name in MEASURES if name in targets), None)
    if shown is None and len(targets):
        remedy = "add the column target_wait_days, target_fill_rate or target_in_window"
        problems.append(Problem("targets", 0, "", "", "has no target", remedy))
    if "site_id" in targets:
        problems += unknown_labels(
            "targets",
            targets,
            "site_id",
            positions(targets["site_id"], site_ids) < 0,
            site_ids,
            "is not in sites",
            "add the site or drop the row",
        )
        problems += rows_problem(
            "targets",
            targets,
            "site_id",
            targets.duplicated(["site_id", "group"] if grouped else ["site_id"]).to_numpy(),
            "stands twice",
            "give each site" + (" and group" if grouped else "") + " once",
        )
    if grouped and "group" in parts:
        problems += unknown_labels(
            "targets",
            targets,
            "group",
            _group_names(parts).get_indexer(pd.Index(targets["group"])) < 0,
            _group_names(parts),
            "is no group of parts",
            "name a group that stands in parts.group",
        )
    wishes = _wishes(targets, problems)
    # What is told as no number is not told as empty once more.
    empty = np.logical_and.reduce(
        [np.isnan(values) & _blank(targets, name) for name, values in wishes.items()]
    )
    if shown is not None:
        problems += rows_problem(
            "targets",
            targets,
            shown,
            empty,
            "gives no target",
            "give target_wait_days, target_fill_rate or target_in_window, or drop the row",
        )
    return problems + _window_problems(targets, parts)


def _window_problems(targets: pd.DataFrame, parts: pd.DataFrame) -> list[Problem]:
    asked = ~_blank(targets, "target_in_window")
    if not asked.any():
        return []
    problems: list[Problem] = []
    given = numbers(targets, "window_days", "targets", problems, default=np.nan)
    own = numbers(parts, "window_days", "parts", problems, default=np.nan)
    if np.isnan(own).any() or not len(own):
        column = "window_days" if "window_days" in targets else "target_in_window"
        none = np.isnan(given) & _blank(targets, "window_days")
        problems += rows_problem(
            "targets", targets, column, asked & none, "has no window", "give window_days"
        )
    return problems


def _wishes(targets: pd.DataFrame, problems: list[Problem]) -> dict[str, FloatArray]:
    """Targets by measure; NaN where none is given."""
    most = {"target_wait_days": np.inf, "target_fill_rate": 1.0, "target_in_window": 1.0}
    return {
        name: numbers(targets, name, "targets", problems, default=np.nan, high=high)
        for name, high in most.items()
    }


def _group_names(parts: pd.DataFrame) -> pd.Index:
    return pd.Index(sorted(parts["group"].dropna().unique(), key=str))


def _blank(frame: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    return frame[column].isna().to_numpy() if column in frame else np.ones(len(frame), dtype=bool)


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
    problems = target_problems(targets, parts, forest.site_ids)
    if problems:
        raise DataError(problems)
    frame = pd.DataFrame({"site_id": []}) if targets is None else targets
    grouped = "group" in frame.columns
    site = forest.site_ids.get_indexer(pd.Index(frame["site_id"]))
    names = _group_names(parts) if grouped else pd.Index([""])
    group = names.get_indexer(pd.Index(frame["group"])) if grouped else np.zeros(len(frame), dtype=np.int64)
    wishes = _wishes(frame, [])
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
    if problems := _window_problems(targets, parts):
        raise DataError(problems)
    given = numbers(targets, "window_days", "targets", [], default=np.nan)
    own = numbers(parts, "window_days", "parts", [], default=np.nan)
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
