"""DOOR: plan against actual: what was foreseen, what was taken from the shelves, what it says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.feedback.cells import compared_cells, plan_cells
from spareplan.feedback.note import note_lines, shown_rows
from spareplan.feedback.planners import overridden_cells, score_overrides, score_planners
from spareplan.feedback.reading import (
    StoredForecast,
    last_whole_day,
    months_over,
    stored_forecast,
    taken_until,
)
from spareplan.feedback.scores import score_coverage, score_groups, score_stairs
from spareplan.maths.accuracy import rate_correction
from spareplan.results import Plan, Result, assumptions_frame
from spareplan.tables.frames import check_keys, require_columns
from spareplan.tables.taken import CELL

if TYPE_CHECKING:
    from spareplan.feedback.corrections import Corrections
    from spareplan.tables.dataset import Dataset


@dataclass(frozen=True, repr=False)
class PlanScore(Result):
    """Plan against actual.

    Parameters
    ----------
    table : DataFrame
        As `score_demand` says.
    cells : DataFrame
        A row per part, site and month: planned, kept (before overrides), model, own (before corrections),
        naive, naive_year, actual, value_added, quantiles.
    overrides : DataFrame
        Per override: who, why, rows, model, planned, actual, value_added (pieces of absolute error saved;
        negative: it hurt), money, helped, reason.
    planners : DataFrame
        Per planner: overrides, helped, value_added, money, noise, low, high, verdict, reason.
    stairs : DataFrame
        Naive, model, feedback, overrides: the error after each step and what the step saved, for all and
        for each region.
    coverage : DataFrame
        Counts within the quantiles against what was promised, with what chance allows.
    corrections : DataFrame
        part_id, planned, actual, factor, reason: what the next forecast would be multiplied by, were nothing
        else known. What is really applied comes from `corrections_from`.
    """

    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    overrides: pd.DataFrame = field(default_factory=pd.DataFrame)
    planners: pd.DataFrame = field(default_factory=pd.DataFrame)
    stairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    coverage: pd.DataFrame = field(default_factory=pd.DataFrame)
    corrections: pd.DataFrame = field(default_factory=pd.DataFrame)

    def note(self, language: str = "en", corrections: Corrections | None = None) -> str:
        """The score as a colleague would tell it.

        Parameters
        ----------
        language : {"en", "zh"}
        corrections : Corrections, optional
            What the next run will apply.

        Returns
        -------
        str
            One sentence per line.
        """
        return "\n".join(note_lines(self, language, corrections))

    def shown(self, what: str = "region", language: str = "en") -> pd.DataFrame:
        """Rows of one cut for the screen, the columns a planner looks at first, in his language.

        Parameters
        ----------
        what : str
            As in `by`.
        language : {"en", "zh"}

        Returns
        -------
        DataFrame
            Worst money first.

        Raises
        ------
        DataError
            No such cut.
        """
        return shown_rows(self.by(what), language)

    def by(self, what: str) -> pd.DataFrame:
        """Rows of one cut.

        Parameters
        ----------
        what : {"total", "month", "region", "region and month", "part", "region and part", "who"}

        Returns
        -------
        DataFrame
            Without the columns that are empty in this cut.

        Raises
        ------
        DataError
            No such cut.
        """
        if what == "who":
            return self.planners
        rows = self.table[self.table["group"] == what]
        if rows.empty:
            known = [*self.table["group"].unique(), "who"]
            raise DataError(
                [Problem("accuracy", 0, "by", what, "is no cut", f"use one of: {', '.join(known)}")]
            )
        keys = ["region_id", "part_id", "month"]
        empty = [name for name in keys if rows[name].isna().all()]
        return rows.drop(columns=["group", *empty]).reset_index(drop=True)


def score_plan(plan: Plan, data: Dataset, as_of: Any = None) -> PlanScore:
    """Compare a stored plan with what really happened.

    Parameters
    ----------
    plan : Plan
    data : Dataset
        Later records: replacements and demand of whole months after the plan's last known day.
    as_of : date, optional
        Last day whose records are complete. None: the end of the last month that the records fill.

    Returns
    -------
    PlanScore
        `.table` as in `score_demand`; the months that are over. A month already begun on the plan's last
        known day is left out. Parts superseded since stand under their successor's number, sites closed since
        in the region they had.

    Raises
    ------
    DataError
        No whole month of the plan is over yet.
    """
    run = stored_forecast(plan)
    last = last_whole_day(data, as_of)
    over = months_over(run.table["month"], run.as_of, last)
    if not len(over):
        raise _nothing_over(run, last)
    cells = plan_cells(run, data, taken_until(data, last), over)
    unit_cost = data.parts.set_index("part_id")["unit_cost"]
    return _scored(cells, unit_cost, run.overrides, _odd_rows(run, data, cells, last, as_of))


def score_demand(
    planned: pd.DataFrame,
    actual: pd.DataFrame,
    region: pd.Series | None = None,
    unit_cost: pd.Series | None = None,
    overrides: pd.DataFrame | None = None,
    history: pd.DataFrame | None = None,
) -> PlanScore:
    """Score a demand forecast on plain tables.

    Parameters
    ----------
    planned : DataFrame
        part_id, site_id, month, mean, vmr, rate_cv2 [, model_mean, q<level>]. [pieces]
    actual : DataFrame
        part_id, site_id, month, quantity [pieces]; absent means none, negative a net return.
    region : Series, indexed by site_id, optional
        Region of each site; NaN: the site stands for itself.
    unit_cost : Series, indexed by part_id, optional
        Puts the parts whose error is worth most first. [money per piece]
    overrides : DataFrame, optional
        table, column, part_id, site_id, region_id, month, value, who, when, why: scored one by one.
    history : DataFrame, optional
        part_id, site_id, month, quantity before the plan: for the naive forecasts beside it.

    Returns
    -------
    PlanScore
        `.table`: a row for the total, each month, region, region and month, part, and part in a region:
        group, region_id, part_id, month, months, planned, actual, error (planned - actual), bias (error /
        actual), tracking_signal (sum of monthly errors over their mean absolute size) and smoothed_signal
        (Trigg's) each with the limit that chance keeps within, surprise (error in standard deviations of the
        forecast), absolute_error (by month) and naive_error (of the mean of the last twelve months),
        value_added (pieces of absolute error the overrides saved), within_q<level> (share of part x site x
        month at or below the quantile), money, finding, action, reason; worst money first within a group.

    Raises
    ------
    DataError
        Missing columns, doubled keys, or numbers that are none.

    References
    ----------
    .. [1] Brown (1962), Smoothing, Forecasting and Prediction of Discrete Time Series: the tracking signal.
    .. [2] Trigg (1964), Monitoring a forecasting system, Operational Research Quarterly 15.
    .. [3] Gilliland (2010), The Business Forecasting Deal: forecast value added.
    """
    require_columns(planned, [*CELL, "mean", "vmr", "rate_cv2"], "planned")
    require_columns(actual, [*CELL, "quantity"], "actual")
    check_keys(planned, CELL, "planned")
    check_keys(actual, CELL, "actual")
    _check_numbers(planned, ["mean", "vmr", "rate_cv2"], "planned", least=0.0)
    _check_numbers(actual, ["quantity"], "actual", least=-np.inf)
    if history is not None:
        require_columns(history, [*CELL, "quantity"], "history")
        check_keys(history, CELL, "history")
    return _scored(compared_cells(planned, actual, region, history), unit_cost, overrides, [])


def _scored(
    cells: pd.DataFrame,
    unit_cost: pd.Series | None,
    overrides: pd.DataFrame | None,
    odd: list[dict[str, Any]],
) -> PlanScore:
    touched, live = overridden_cells(cells, overrides, unit_cost)
    months = sorted(cells["month"].unique())
    assumed = assumptions_frame(
        [
            {
                "stage": "accuracy",
                "name": "months",
                "value": ", ".join(f"{month:%Y-%m}" for month in months),
                "origin": "data: plan and records",
                "meaning": "months of the plan that are over",
            },
            {
                "stage": "accuracy",
                "name": "absent",
                "value": 0,
                "unit": "pieces",
                "origin": "default",
                "meaning": "a part, site and month without record had no demand",
            },
            *odd,
        ]
    )
    score = PlanScore(
        score_groups(cells, unit_cost),
        assumed,
        (),
        cells,
        score_overrides(touched, live),
        score_planners(touched),
        score_stairs(cells),
        score_coverage(cells),
        _part_factors(cells),
    )
    return replace(score, lines=tuple(note_lines(score)))


def _odd_rows(
    run: StoredForecast, data: Dataset, cells: pd.DataFrame, last: pd.Timestamp, as_of: Any
) -> list[dict[str, Any]]:
    """What of the plan or the records is not as usual, as assumptions."""
    rows: list[dict[str, Any]] = []

    def note(name: str, value: Any, meaning: str, origin: str = "data: plan and records") -> None:
        rows.append({"stage": "accuracy", "name": name, "value": value, "origin": origin, "meaning": meaning})

    if last != data.as_of(as_of):
        note("month not over", f"{data.as_of():%Y-%m}", "left out: its records stop before its end")
    begun = run.table["month"] <= run.as_of
    if begun.any():
        note(
            "month begun",
            f"{run.table['month'].min():%Y-%m}",
            "left out: the plan foresaw only the rest of it",
        )
    closed = cells.loc[~cells["site_id"].isin(data.network.site_ids) & cells["in_plan"]]
    if len(closed):
        note(
            "closed sites",
            ", ".join(sorted(closed["site_id"].unique())),
            f"{closed['planned'].sum():,.1f} pieces planned there count in the region they had",
        )
    new = cells[~cells["in_plan"] & (cells["actual"] != 0)]
    if len(new):
        note(
            "not in the plan",
            new["part_id"].nunique(),
            f"parts with {new['actual'].sum():,.0f} pieces taken where nothing was planned: planned is 0",
        )
    back = cells[cells["actual"] < 0]
    if len(back):
        note(
            "returned",
            f"{-back['actual'].sum():g}",
            "pieces more came back than were taken; they count as negative",
        )
    return rows


def _part_factors(cells: pd.DataFrame) -> pd.DataFrame:
    """Factor per part from the model's own forecast, corrections and overrides left aside."""
    own = cells["own"]
    weighted = cells.assign(planned=own, chance=cells["vmr"] * own, rate=np.sqrt(cells["rate_cv2"]) * own)
    sums = weighted.groupby("part_id")[["planned", "actual", "chance", "rate"]].sum()
    known = sums["planned"] > 0
    vmr = (sums["chance"] / sums["planned"]).where(known, 1.0)
    spread = ((sums["rate"] / sums["planned"]) ** 2).where(known, 0.0)
    out = sums[["planned", "actual"]].reset_index()
    out["factor"] = rate_correction(sums["planned"], sums["actual"], vmr, spread)
    out["reason"] = (
        out["actual"].map("{:,.0f} taken where ".format)
        + out["planned"].map("{:,.2f} were expected".format)
        + spread.map(" by a rate known to +-{:.0%}".format).to_numpy()
        if len(out)
        else ""
    )
    return out


def _check_numbers(frame: pd.DataFrame, columns: Iterable[str], table: str, least: float) -> None:
    """Refuse numbers that are missing, infinite or too small."""
    problems = []
    for name in columns:
        value = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float)
        wrong = ~np.isfinite(value) | (value < least)
        rule = "is no finite number" if least == -np.inf else f"is no number of {least:g} or more"
        problems += [
            Problem(table, int(at) + 2, name, str(frame[name].iloc[at]), rule, "correct the row or drop it")
            for at in np.flatnonzero(wrong)
        ]
    if problems:
        raise DataError(problems)


def _nothing_over(run: StoredForecast, last: pd.Timestamp) -> DataError:
    months = run.table["month"]
    first = f"{months.min():%Y-%m}" if len(months) else "none"
    return DataError(
        [
            Problem(
                "data",
                0,
                "",
                f"{last:%Y-%m-%d}",
                f"no month of the plan (first: {first}) is over",
                "give data that reaches beyond the plan's first month",
            )
        ]
    )
