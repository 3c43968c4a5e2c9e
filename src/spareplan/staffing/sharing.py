"""Who to hire, train, move and lend, month by month: an integer program that always has an answer.

People missing are priced, not forbidden: hiring takes time, so the first months may have to be short, and the
plan says where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.config import StaffingOptions
from spareplan.staffing.people_checks import read_case
from spareplan.staffing.people_figures import read_figures
from spareplan.staffing.people_model import PeopleModel, build_model
from spareplan.staffing.people_search import Found, PeopleSearch
from spareplan.staffing.people_tables import (
    alternatives_table,
    inspections_table,
    moves_table,
    shortages_table,
)

FloatArray = NDArray[np.float64]

# Gap at which a plan that is shown for comparison only is good enough; its bound is shown beside it.
COMPARED_WITHIN = 0.03


@dataclass(frozen=True)
class PeoplePlan:
    """Plan of people; arrays of shape (regions, skills, months) unless said, lowest skill first.

    Parameters
    ----------
    people : ndarray
        Employed in the region; with leavers as a share, expected. [people]
    hire, train : ndarray
        First day, or first day in the new skill, in this month. [people]
    lent_in, lent_out : ndarray
        Lent by, or to, other regions; part of a month is possible. [person-months]
    short : ndarray
        Missing, whatever is done, at this skill. [standard engineers]
    release, move_in, move_out : ndarray
        Let go, come from and gone to other regions for good. [people]
    overtime : ndarray
        [standard engineers]
    output : ndarray
        Standard engineers at work without overtime and squad: people at home, those in training in part,
        those lent in without the time lost on the way.
    squad : ndarray, shape (R, M)
        People of the flying squad. [people]
    squad_hire : int
        People by which the squad grows, on the first day that hiring allows.
    cost, bound : float
        Of the horizon, and the least that any plan could cost. [money]
    status : str
        "optimal" (within the asked gap) or "limit" (stopped by time).
    moves : DataFrame
        region_id, month, skill, action, people, cost, other_region_id, reason: what is to be done. Actions:
        hire, train, release, move, lend, overtime, squad. `people`: people; person-months of lend (by the
        lending region), overtime (standard engineers) and squad. `region_id` is where people work afterwards.
    shortages : DataFrame
        region_id, month, skill, people [standard engineers], cost, reason: what stays missing, dearest first.
    alternatives : DataFrame
        name, cost, bound, short_person_months, hired, trained, status, reason: this plan and others.
    inspections : DataFrame
        region_id, month, due, planned, reason; only months in which inspections were moved.
    costs : DataFrame
        kind, cost: wages, hiring, ... , shortage; adds up to the cost.
    """

    people: FloatArray
    hire: FloatArray
    train: FloatArray
    lent_in: FloatArray
    lent_out: FloatArray
    short: FloatArray
    release: FloatArray
    move_in: FloatArray
    move_out: FloatArray
    overtime: FloatArray
    output: FloatArray
    squad: FloatArray
    squad_hire: int
    cost: float
    bound: float
    status: str
    moves: pd.DataFrame = field(default_factory=pd.DataFrame)
    shortages: pd.DataFrame = field(default_factory=pd.DataFrame)
    alternatives: pd.DataFrame = field(default_factory=pd.DataFrame)
    inspections: pd.DataFrame = field(default_factory=pd.DataFrame)
    costs: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def working(self) -> FloatArray:
        """People at work in the region [people]."""
        return self.people + self.lent_in - self.lent_out

    @property
    def gap(self) -> float:
        """Cost above the bound, as a share of the bound."""
        return Found(np.empty(0), self.cost, self.bound, self.status).gap


def plan_people(
    need: ArrayLike,
    heads: ArrayLike,
    annual_cost: ArrayLike,
    options: StaffingOptions,
    *,
    efficiency: ArrayLike | None = None,
    distance_km: ArrayLike | None = None,
    work_hours: ArrayLike | None = None,
    paid_hours: ArrayLike | None = None,
    inspections: ArrayLike | None = None,
    inspection_hours: ArrayLike = 1.0,
    stage_weight: ArrayLike | None = None,
    regions: Sequence[Any] | None = None,
    months: Sequence[Any] | None = None,
    skills: Sequence[str] | None = None,
) -> PeoplePlan:
    """Cheapest hiring, training, moving, lending and overtime that covers the need.

    Parameters
    ----------
    need : array, shape (R, S, M)
        Needed for the work of each skill (lowest first; a higher skill may do it). [standard engineers]
    heads : array, shape (R, S)
        People today. [people]
    annual_cost : array, shape (R, S)
        [money/year]
    options : StaffingOptions
    efficiency : array, shape (R, S), optional
        Standard engineers that one person counts for; None: 1.
    distance_km : array, shape (R, R), optional
        Between regions; None: all regions are alike near. [km]
    work_hours : array, shape (R, M), optional
        Work of standard engineers, inspections included; kept below the highest utilisation of the paid hours
        in a row of its own. None: `need` covers it. [hours]
    paid_hours : array, shape (M,) or (R, M), optional
        Of one engineer; wanted with `work_hours`. [hours]
    inspections : array, shape (R, M), optional
        Due, part of `work_hours`, that may be made a month earlier or later. [inspections]
    inspection_hours : array, shape (R,) or one number
        Of one inspection with its travel. [hours]
    stage_weight : array, shape (R,) or (R, M), optional
        Of people missing, by market stage; None: 1.
    regions, months, skills : sequence, optional
        Names in the tables, sorted or not; None: numbers from 1, and junior, senior, expert.

    Returns
    -------
    PeoplePlan

    Raises
    ------
    DataError
        Naming every argument of wrong shape, negative, or not a number.

    Notes
    -----
    A higher skill may do the work of a lower one: for each skill k, the standard engineers of skill k and
    above plus those missing are at least what is needed of k and above.

    Examples
    --------
    >>> import numpy as np
    >>> from spareplan.config import StaffingOptions
    >>> need, heads = np.full((1, 1, 6), 2.0), np.array([[1.0]])
    >>> plan = plan_people(need, heads, np.array([[120e3]]), StaffingOptions(), skills=["senior"])
    >>> plan.hire[0, 0].tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """
    case, names = read_case(
        need,
        heads,
        annual_cost,
        options,
        efficiency,
        distance_km,
        work_hours,
        paid_hours,
        inspections,
        inspection_hours,
        stage_weight,
        regions,
        months,
        skills,
    )
    model = build_model(case)
    search = PeopleSearch(model, options.plan_gap, options.plan_seconds)
    found = search.solve()
    others: dict[str, Found] = {}
    # The alternatives are told for comparison: they may take half as long together.
    search.seconds = options.plan_seconds / 4.0
    search.gap = max(options.plan_gap, COMPARED_WITHIN)
    if options.plan_alternatives:
        found, others = _alternatives(model, search, found)
    figures = read_figures(model, found.values)
    return PeoplePlan(
        figures.people,
        figures.hire,
        figures.train,
        figures.lent_in,
        figures.lent_out,
        figures.short,
        figures.release,
        figures.move_in,
        figures.move_out,
        figures.overtime,
        figures.output,
        figures.squad,
        figures.squad_hire,
        found.objective,
        min(found.bound, found.objective),
        found.status,
        moves_table(case, names, figures),
        shortages_table(case, names, figures),
        alternatives_table(
            found, {name: (o, read_figures(model, o.values)) for name, o in others.items()}, figures
        ),
        inspections_table(case, names, figures),
        figures.costs,
    )


def _alternatives(model: PeopleModel, search: PeopleSearch, found: Found) -> tuple[Found, dict[str, Found]]:
    """The plans without training and without hiring.

    A narrower plan that happens to be cheaper, within the gap, becomes the plan.
    """
    others: dict[str, Found] = {}
    for name, kinds in (("hire only", ("train",)), ("train only", ("hire", "squad_hire"))):
        if not found.values[model.forbid(*kinds)].any():
            others[name] = found
            continue
        other = search.solve(model.forbid(*kinds))
        others[name] = replace(other, bound=max(other.bound, found.bound))
        if other.objective < found.objective:
            found = replace(other, bound=found.bound, status=found.status)
    return found, others


def split_by_skill(total: FloatArray, mix: FloatArray, least_share: FloatArray) -> FloatArray:
    """Share whole people among skills as today, with enough of the higher ones.

    Parameters
    ----------
    total : ndarray, shape (R, M)
        Whole people required.
    mix : ndarray, shape (R, S)
        Shares of people by skill today, lowest first; rows sum to 1.
    least_share : ndarray, shape (R, S)
        Share of the work that needs this skill or a higher one.

    Returns
    -------
    ndarray, shape (R, S, M)
        Whole people; sums over skills are `total`.
    """
    above = np.cumsum(mix[:, ::-1], axis=1)[:, ::-1]
    # People of a skill and above: as many as today's mix says, or as the work needs if that is more.
    share = np.maximum(above, least_share)
    share[:, 0] = 1.0
    nested = np.rint(total[:, None, :] * share[:, :, None] + 1e-9)
    nested[:, 0] = total
    nested = np.minimum.accumulate(nested, axis=1)
    return nested - np.concatenate([nested[:, 1:], np.zeros_like(nested[:, :1])], axis=1)
