"""From engineers on duty to people in every month: needs by skill, inspections that may move, the plan."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.errors import problem_in_argument
from spareplan.staffing.duty import Duty
from spareplan.staffing.model import RegionModel, least_shares
from spareplan.staffing.night import duty_people
from spareplan.staffing.places import kilometres
from spareplan.staffing.sharing import PeoplePlan, plan_people, split_by_skill
from spareplan.staffing.sizing import Sized
from spareplan.staffing.teams import Teams
from spareplan.staffing.visits import PRIORITIES, SKILLS
from spareplan.staffing.workload import Workload

FloatArray = NDArray[np.float64]
STAGES = ("mature", "potential", "developing", "secondary")


class Needed(NamedTuple):
    """People that the promises and the work require, region by region.

    Parameters
    ----------
    by_skill : ndarray, shape (R, S, M)
        Whole people of today's efficiency, each month's inspections made when they are due.
    fixed : ndarray, shape (R, S, M)
        The same without the hours of inspections that may be made a month earlier or later.
    hours : ndarray, shape (R, M)
        Of work and road, inspections included. [hours of a standard engineer]
    inspections : ndarray, shape (R, M)
        Due.
    inspection_hours : ndarray, shape (R,)
        Of one, with its road. [hours]
    """

    by_skill: FloatArray
    fixed: FloatArray
    hours: FloatArray
    inspections: FloatArray
    inspection_hours: FloatArray


def people_needed(
    sized: Sized, model: RegionModel, load: Workload, teams: Teams, options: StaffingOptions, duty: Duty
) -> Needed:
    """Whole people per region, skill and month: on duty for the promises, in paid hours for the work.

    Parameters
    ----------
    sized : Sized
    model : RegionModel
        Its `hours` get drive and hours [hours], by_waits and by_hours [standard engineers].
    load : Workload
    teams : Teams
    options : StaffingOptions
    duty : Duty

    Returns
    -------
    Needed
    """
    rows, hours, count = model.rows, model.hours, len(teams.regions)
    hours["drive"] = sized.kept.drive
    hours["hours"] = hours["on_site"] + hours["visits"] * (sized.kept.drive + hours["back"])
    useful = hours["paid_hours"] * options.max_utilisation
    hours["by_waits"] = duty_people(sized.servers, duty, options)
    hours["by_hours"] = hours["hours"] / useful
    due, each = _inspections(load, teams, hours)
    still = np.maximum(hours["hours"] - (due * each[:, None]).reshape(-1), 0.0) / useful
    output = (teams.mix * teams.efficiency).sum(axis=1)[rows.place]
    least = least_shares(load, teams)

    def people(by_hours: FloatArray) -> FloatArray:
        wanted = np.ceil(np.maximum(hours["by_waits"], by_hours) / output - 1e-9)
        whole = np.where(sized.servers > 0, wanted, 0.0).reshape(count, -1)
        return split_by_skill(whole, teams.mix, least)

    every = people(hours["by_hours"])
    fixed = people(still) if options.inspection_shift else every
    return Needed(every, fixed, hours["hours"].reshape(count, -1), due, each)


def _inspections(load: Workload, teams: Teams, hours: dict[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Inspections due, shape (R, M), and the hours of one with its road, shape (R,)."""
    table = load.orders[load.orders["kind"] == "inspection"]
    months = np.sort(load.months["month"].unique())
    by_class = table.pivot_table("orders", ["region_id", "month"], "priority", "sum").reindex(
        index=pd.MultiIndex.from_product([teams.regions, months]), columns=list(PRIORITIES), fill_value=0.0
    )
    shape = (len(teams.regions), len(months))
    orders = by_class.fillna(0.0).to_numpy().reshape(*shape, -1)
    due = orders.sum(axis=2)
    shares = load.visits.reindex(teams.regions)
    work = load.work_hours.reindex(index=["inspection"], columns=list(PRIORITIES)).to_numpy()[0]
    total = np.maximum(due.sum(axis=1), 1e-300)
    at_work = (orders * work).sum(axis=(1, 2)) / total * shares["hours_factor"].to_numpy()
    visits = 1.0 / (1.0 - shares["again"].to_numpy())
    road = (hours["drive"] + hours["back"]).reshape(shape)
    each = visits * (at_work + (due * road).sum(axis=1) / total)
    # Never more than the work they are a part of.
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.where(due > 0, hours["hours"].reshape(shape) / due, np.inf).min(axis=1)
    return due, np.minimum(each, np.where(np.isfinite(most), most, 0.0))


def plan_months(
    needed: Needed,
    teams: Teams,
    model: RegionModel,
    stages: pd.Series,
    months: pd.DatetimeIndex,
    options: StaffingOptions,
) -> PeoplePlan:
    """Whom to hire, train, move and lend in every month.

    Parameters
    ----------
    needed : Needed
    teams : Teams
    model : RegionModel
    stages : Series
        market_stage by region_id; missing: weight 1.
    months : DatetimeIndex
    options : StaffingOptions

    Returns
    -------
    PeoplePlan

    Raises
    ------
    DataError
        `stage_weights` are not four numbers above 0.
    """
    weights = np.asarray(options.stage_weights, dtype=float)
    if weights.shape != (len(STAGES),) or not (np.isfinite(weights) & (weights > 0)).all():
        raise problem_in_argument(
            "StaffingOptions",
            "stage_weights",
            options.stage_weights,
            "is four numbers above 0",
            f"give {', '.join(STAGES)}",
        )
    by_stage = pd.Series(weights, index=list(STAGES))
    weight = stages.reindex(teams.regions).map(by_stage).fillna(1.0).to_numpy(dtype=float)
    centres = model.places.set_index("region_id").reindex(teams.regions)
    apart = kilometres(centres, centres)
    shape = (len(teams.regions), len(months))
    moving: dict[str, Any] = {}
    if options.inspection_shift:
        moving = {
            "work_hours": needed.hours,
            "paid_hours": model.hours["paid_hours"].reshape(shape),
            "inspections": needed.inspections,
            "inspection_hours": needed.inspection_hours,
        }
    return plan_people(
        # People of today's efficiency are required; the plan counts standard engineers.
        needed.fixed * teams.efficiency[:, :, None],
        teams.heads,
        teams.cost,
        options,
        efficiency=teams.efficiency,
        distance_km=None if np.isnan(apart).any() else apart,
        stage_weight=weight,
        regions=teams.regions.tolist(),
        months=list(months),
        skills=list(SKILLS),
        **moving,
    )


def moved_hours(plan: PeoplePlan, needed: Needed, teams: Teams, months: pd.DatetimeIndex) -> FloatArray:
    """Hours that moved inspections bring to a month, or take from it, shape (R, M)."""
    table = plan.inspections
    out = np.zeros(needed.inspections.shape)
    place = teams.regions.get_indexer(pd.Index(table["region_id"]))
    more = (table["planned"] - table["due"]).to_numpy(dtype=float)
    np.add.at(out, (place, months.get_indexer(pd.DatetimeIndex(table["month"]))), more)
    return out * needed.inspection_hours[:, None]
