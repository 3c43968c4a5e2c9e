"""DOOR: several stored plans against the same records: how far ahead they see, and whether they improve."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.feedback.cells import plan_cells
from spareplan.feedback.planners import (
    OVERRIDE_COLUMNS,
    PLANNER_COLUMNS,
    overridden_cells,
    score_overrides,
    score_planners,
)
from spareplan.feedback.reading import last_whole_day, months_over, stored_forecasts, taken_until
from spareplan.maths.accuracy import smoothed_limit, smoothed_signal
from spareplan.results import Result, assumptions_frame

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

SUMS = ["planned", "actual", "absolute_error", "squared_error", "beside_naive", "naive_squared", "cells",
        "value_added"]  # fmt: skip
RATIOS = ["bias", "share", "root_mean_square", "gain"]


@dataclass(frozen=True, repr=False)
class VersionScore(Result):
    """Several stored plans against what came.

    Parameters
    ----------
    table : DataFrame
        A row per version and month: version, as_of, month, lead (1: the month after as_of), planned, actual,
        error [pieces], bias (of actual), share (absolute error over part, site and month, of actual),
        root_mean_square (per part, site and month) [pieces], gain (share of the squared error of the last
        twelve months' mean that is taken off), within_q<level>, value_added (of overrides) [pieces], reason.
    leads : DataFrame
        The same by lead over all versions, with their number.
    trend : DataFrame
        A row per version, each month by the last version before it: the same, with smoothed_signal and
        smoothed_limit over the versions so far, reason.
    overrides : DataFrame
        The same override through the versions that held it: version and what `PlanScore.overrides` says.
    planners : DataFrame
        As `PlanScore.planners`, each month by the last version before it.
    """

    leads: pd.DataFrame = field(default_factory=pd.DataFrame)
    trend: pd.DataFrame = field(default_factory=pd.DataFrame)
    overrides: pd.DataFrame = field(default_factory=pd.DataFrame)
    planners: pd.DataFrame = field(default_factory=pd.DataFrame)


def score_versions(previous: Any, data: Dataset, as_of: Any = None) -> VersionScore:
    """Compare stored plans with what happened, by how far ahead they looked and from version to version.

    Parameters
    ----------
    previous : PlanStore, mapping of name to Plan, or iterable of Plan
        Of several with the same last known day the issued one counts, else the approved, else the last.
    data : Dataset
        Later records.
    as_of : date, optional
        Last day whose records are complete. None: the end of the last month that the records fill.

    Returns
    -------
    VersionScore

    Raises
    ------
    DataError
        No month of any plan is over, or something that holds no plans.
    """
    last = last_whole_day(data, as_of)
    runs = stored_forecasts(previous)
    taken = taken_until(data, last)
    unit_cost = data.parts.set_index("part_id")["unit_cost"]
    ends = [*(run.as_of for run in runs[1:]), last]
    sums, laid, newest = [], [], []
    for run, end in zip(runs, ends):
        over = months_over(run.table["month"], run.as_of, last)
        if not len(over):
            continue
        cells = plan_cells(run, data, taken, over)
        whole = _sums(cells).assign(version=run.version, as_of=run.as_of)
        whole = whole.reset_index()
        whole["next"] = whole["month"] + pd.offsets.MonthEnd(0) <= end
        sums.append(whole)
        touched, live = overridden_cells(cells, run.overrides, unit_cost)
        laid.append(score_overrides(touched, live).assign(version=run.version))
        newest.append(touched[touched["month"] + pd.offsets.MonthEnd(0) <= end])
    if not sums:
        raise DataError(
            [
                Problem(
                    "data",
                    0,
                    "",
                    f"{last:%Y-%m-%d}",
                    f"no month of {len(runs)} stored plans is over",
                    "give data that reaches beyond a plan's first month",
                )
            ]
        )
    every = pd.concat(sums, ignore_index=True)
    begin = every["as_of"].dt.to_period("M")
    every["lead"] = (every["month"].dt.to_period("M") - begin).map(lambda months: months.n).astype(int)
    levels = [str(name) for name in every if str(name).startswith("within_")]
    table = _figures(every, levels)
    table["reason"] = "version " + table["version"].astype(str) + ", " + _said(table)
    leads = _together(every, ["lead"], levels)
    ahead = leads["lead"].map(lambda lead: f"{lead} month{'s' if lead > 1 else ''} ahead, ")
    leads["reason"] = ahead + _said(leads)
    trend = _trend(every[every["next"]], levels)
    overrides = _stacked(laid, ["version", *OVERRIDE_COLUMNS])
    changed = _stacked(newest, list(newest[0].columns))
    planners = score_planners(changed) if len(changed) else pd.DataFrame(columns=PLANNER_COLUMNS)
    names = ["version", "as_of", "month", "lead", "planned", "actual", "error", *RATIOS, *levels,
             "value_added", "reason"]  # fmt: skip
    return VersionScore(
        table[names],
        _assumptions(every),
        _lines(leads, trend),
        leads,
        trend,
        overrides,
        planners,
    )


def _stacked(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    held = [frame for frame in frames if len(frame)]
    return pd.concat(held, ignore_index=True)[columns] if held else pd.DataFrame(columns=columns)


def _sums(cells: pd.DataFrame) -> pd.DataFrame:
    """Sums of a version's cells by month, and how many lie within the quantiles."""
    off, naive = cells["planned"] - cells["actual"], cells["naive"] - cells["actual"]
    own = cells[["month", "planned", "actual", "value_added"]].assign(
        absolute_error=off.abs(),
        squared_error=off**2,
        beside_naive=(off**2).where(naive.notna()),
        naive_squared=naive**2,
        cells=1,
    )
    levels = [str(name) for name in cells if str(name).startswith("q0.")]
    for name in levels:
        own[f"within_{name}"] = (cells["actual"] <= cells[name].fillna(0.0)).astype(float)
    return own.groupby("month").sum(min_count=1)


def _together(every: pd.DataFrame, by: list[str], levels: list[str]) -> pd.DataFrame:
    own = every.groupby(by, sort=True)
    out = own[[*SUMS, *levels]].sum(min_count=1)
    out.insert(0, "versions", own["version"].nunique())
    out = _figures(out.reset_index(), levels)
    return out[[*by, "versions", "planned", "actual", "error", *RATIOS, *levels, "value_added"]]


def _figures(rows: pd.DataFrame, levels: list[str]) -> pd.DataFrame:
    """Ratios of the sums."""
    out = rows.copy()
    actual = out["actual"].where(out["actual"] > 0)
    out["error"] = out["planned"] - out["actual"]
    out["bias"], out["share"] = out["error"] / actual, out["absolute_error"] / actual
    out["root_mean_square"] = np.sqrt(out["squared_error"] / out["cells"])
    out["gain"] = 1.0 - out["beside_naive"] / out["naive_squared"].where(out["naive_squared"] > 0)
    out[levels] = out[levels].div(out["cells"], axis=0)
    return out


def _trend(newest: pd.DataFrame, levels: list[str]) -> pd.DataFrame:
    """Versions in their order, with the smoothed tracking signal of their errors so far."""
    out = _together(newest, ["as_of"], levels)
    name = newest.drop_duplicates("as_of").set_index("as_of")["version"]
    out.insert(0, "version", out["as_of"].map(name))
    out["versions"] = np.arange(1, len(out) + 1)
    error = out["error"].to_numpy(float)
    so_far = [error[None, : k + 1] for k in range(len(error))]
    out["smoothed_signal"] = [float(smoothed_signal(each)[0]) for each in so_far]
    out["smoothed_limit"] = [float(smoothed_limit(each)[0]) for each in so_far]
    off = out["smoothed_signal"].abs() > out["smoothed_limit"]
    out["reason"] = _said(out) + np.where(off, "; one version after the other to the same side", "")
    return out


def _said(rows: pd.DataFrame) -> pd.Series:
    return (
        rows["planned"].map("{:,.0f} planned, ".format)
        + rows["actual"].map("{:,.0f} taken".format)
        + rows["bias"].map(lambda share: "" if pd.isna(share) else f" ({share:+.0%})")
    )


def _assumptions(every: pd.DataFrame) -> pd.DataFrame:
    return assumptions_frame(
        [
            {
                "stage": "accuracy",
                "name": "versions",
                "value": ", ".join(str(version) for version in every["version"].unique()),
                "origin": "plan store",
                "meaning": "stored plans with months that are over, one per last known day",
            },
            {
                "stage": "accuracy",
                "name": "absent",
                "value": 0,
                "unit": "pieces",
                "origin": "default",
                "meaning": "a part, site and month without record had no demand",
            },
        ]
    )


def _lines(leads: pd.DataFrame, trend: pd.DataFrame) -> tuple[str, ...]:
    near, far = leads.iloc[0], leads.iloc[-1]
    lines = [
        f"{len(trend)} versions: {near['reason']}; root mean square {near['root_mean_square']:.2f} pieces "
        "per part, site and month"
    ]
    if len(leads) > 1:
        lines.append(f"{far['reason']}; root mean square {far['root_mean_square']:.2f} pieces")
    late = trend.iloc[-1]
    if abs(late["smoothed_signal"]) > late["smoothed_limit"]:
        lines.append("One version after the other was off to the same side")
    return tuple(lines)
