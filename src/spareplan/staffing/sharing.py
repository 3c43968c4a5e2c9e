"""Who to hire, train and lend, month by month: an integer program that always has an answer.

People missing are priced, not forbidden: hiring takes time, so the first months may have to be short, and the
plan says where.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.solver import solve_model
from spareplan.maths.units import MONTHS_PER_YEAR

FloatArray = NDArray[np.float64]


class PeoplePlan(NamedTuple):
    """Plan of people; arrays of shape (regions, skills, months), lowest skill first.

    Parameters
    ----------
    people : ndarray
        Employed in the region. [people]
    hire, train : ndarray
        First day, or first day in the new skill, in this month. [people]
    lent_in, lent_out : ndarray
        Lent by, or to, other regions; part of a month is possible. [person-months]
    short : ndarray
        People missing at this skill or above, whatever is done. [people]
    cost, bound : float
        Of the horizon, and the least that any plan could cost. [money]
    status : str
        "optimal" or "limit" (stopped by time).
    """

    people: FloatArray
    hire: FloatArray
    train: FloatArray
    lent_in: FloatArray
    lent_out: FloatArray
    short: FloatArray
    cost: float
    bound: float
    status: str

    @property
    def working(self) -> FloatArray:
        """People at work in the region [people]."""
        return self.people + self.lent_in - self.lent_out


def plan_people(
    need: FloatArray, heads: FloatArray, annual_cost: FloatArray, options: StaffingOptions
) -> PeoplePlan:
    """Cheapest hiring, training and lending that covers the need.

    Parameters
    ----------
    need : ndarray, shape (R, S, M)
        People required per region, skill (lowest first) and month. [people]
    heads : ndarray, shape (R, S)
        People today. [people]
    annual_cost : ndarray, shape (R, S)
        [money/year]
    options : StaffingOptions

    Returns
    -------
    PeoplePlan

    Notes
    -----
    A higher skill may do the work of a lower one: for each skill k, the people of skill k and above plus
    those missing are at least what is required of k and above.
    """
    import pulp

    regions, skills, months = need.shape
    wage = annual_cost / MONTHS_PER_YEAR
    keys = [(r, s, m) for r in range(regions) for s in range(skills) for m in range(months)]
    model = pulp.LpProblem("head_count", pulp.LpMinimize)
    top = float(np.ceil(need.sum(axis=1).max(initial=0.0) + heads.sum(axis=1).max(initial=0.0)))

    def variables(name: str, whole: bool, keep: list[tuple[int, int, int]]) -> dict:
        kind = pulp.LpInteger if whole else pulp.LpContinuous
        return {
            k: pulp.LpVariable(f"{name}_{k[0]}_{k[1]}_{k[2]}", 0, top if whole else None, kind) for k in keep
        }

    people, short = variables("people", False, keys), variables("short", False, keys)
    hire = variables("hire", True, [k for k in keys if k[2] >= options.hire_lead_months])
    train = variables("train", True, [k for k in keys if k[1] > 0 and k[2] >= options.train_months])
    lend_keys = keys if regions > 1 else []
    lent_in, lent_out = variables("in", False, lend_keys), variables("out", False, lend_keys)
    stay = 1.0 - options.leave_share_per_year / MONTHS_PER_YEAR
    terms = []
    for key in keys:
        r, s, m = key
        terms += [wage[r, s] * people[key], options.shortage_cost_share * wage[r, s] * short[key]]
        if key in hire:
            terms.append(options.hire_cost_share * annual_cost[r, s] * hire[key])
        if key in train:
            terms.append(options.train_cost_share * annual_cost[r, s] * train[key])
        if key in lent_in:
            terms.append(options.lend_cost_share * wage[r, s] * lent_in[key])
    model += pulp.lpSum(terms)
    for key in keys:
        r, s, m = key
        before = heads[r, s] if m == 0 else people[r, s, m - 1]
        model += people[key] == stay * before + hire.get(key, 0) + train.get(key, 0) - train.get(
            (r, s + 1, m), 0
        )
        if key in lent_out:
            model += lent_out[key] <= people[key]
    for r in range(regions):
        for m in range(months):
            for level in range(skills):
                required = float(need[r, level:, m].sum())
                if required <= heads[r, level:].sum() * stay ** (m + 1) and regions == 1:
                    continue
                there = [
                    people[r, s, m]
                    + (1.0 - options.lend_loss_share) * lent_in.get((r, s, m), 0)
                    - lent_out.get((r, s, m), 0)
                    for s in range(level, skills)
                ]
                model += pulp.lpSum(there) + short[r, level, m] >= required
    if lend_keys:
        for s in range(skills):
            for m in range(months):
                model += pulp.lpSum(lent_in[r, s, m] for r in range(regions)) == pulp.lpSum(
                    lent_out[r, s, m] for r in range(regions)
                )
    solution = solve_model(model, time_limit=options.plan_seconds, gap=options.plan_gap)

    def values(of: dict) -> FloatArray:
        out = np.zeros((regions, skills, months))
        for key, variable in of.items():
            out[key] = variable.varValue or 0.0
        return np.where(np.abs(out - np.rint(out)) < 1e-6, np.rint(out), out)

    return PeoplePlan(
        values(people),
        values(hire),
        values(train),
        values(lent_in),
        values(lent_out),
        values(short),
        solution.objective,
        solution.bound,
        solution.status,
    )


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
