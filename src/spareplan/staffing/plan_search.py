"""Search the numbers of a head count plan by simulation, where the formulas leave a doubt."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.staffing.months import search_months
from spareplan.staffing.plan_rows import PlanRows, attainment_frame
from spareplan.staffing.sizing import ALL_DAY, NONE, Kept, Phases, Sized, promises_kept
from spareplan.staffing.visits import PRIORITIES

FloatArray = NDArray[np.float64]
# With few engineers one more or less is much, and chance is far from the mean.
FEW_ENGINEERS = 6
# The formulas are right within these shares, one engineer fewer and as many as they say.
_DOUBT_BELOW, _DOUBT_AT = 0.025, 0.015
_NORMAL95 = 1.96


class PlanSearch(NamedTuple):
    """Result of `search_plan`.

    Parameters
    ----------
    servers : ndarray of int, shape (R * M,)
        Engineers on duty.
    table : DataFrame
        A row per region-month with orders: region_id, month, formula, searched (engineers on duty), looked_at
        (the month of the region in which that number was seen to keep the promises), orders (simulated for
        the month itself), reason.
    attained : DataFrame
        As of `simulate_plan`, for every region-month whose number was itself simulated.
    """

    servers: NDArray[np.int64]
    table: pd.DataFrame
    attained: pd.DataFrame


def search_plan(
    plan: PlanRows,
    sized: Sized,
    phases: Phases = ALL_DAY,
    every_row: bool = False,
    seed: int = 0,
    threads: int | None = None,
) -> PlanSearch:
    """Least engineers on duty of every region-month, by simulation around the formulas.

    Parameters
    ----------
    plan : PlanRows
    sized : Sized
        The formulas' numbers, ceilings and the promises that people cannot keep.
    phases : Phases
        As in the sizing.
    every_row : bool
        Search all; else day shifts, up to five engineers, and where the formulas' share kept, or that of one
        engineer fewer, is within their error of the target.
    seed : int
    threads : int, optional
        None: as many as there are processors. The result is the same for any number.

    Returns
    -------
    PlanSearch
        A month takes over what fuller and quieter months of its region tell (`search_months`).
    """
    servers = sized.servers.copy()
    busy = np.flatnonzero(servers > 0)
    doubtful = busy if every_row else busy[_doubtful(plan, sized, phases, busy)]
    found = search_months(_jobs(plan, sized, doubtful, seed), doubtful // len(plan.months), threads)
    told_by = np.arange(len(servers))
    told_by[doubtful] = doubtful[found.told_by]
    looked = np.zeros(len(servers), dtype=bool)
    looked[doubtful] = True
    counted = np.zeros(len(servers), dtype=np.int64)
    counted[doubtful] = [one.orders for one in found.searched]
    # Where even the ceiling breaks a promise in simulation, the formula's number stands.
    broken = np.zeros(len(servers), dtype=bool)
    broken[doubtful] = [not one.kept for one in found.searched]
    settled = np.array([one.kept for one in found.searched], dtype=bool)
    servers[doubtful[settled]] = [one.servers for one in found.searched if one.kept]
    kept = promises_kept(plan.rows, np.maximum(servers, 1), plan.promises, plan.repairs, phases)
    shown = [
        (
            row,
            np.stack([one.respond, one.resolve], axis=1),
            _NORMAL95 * np.stack([one.respond_error, one.resolve_error], axis=1),
        )
        for row, one in zip(doubtful.tolist(), found.searched, strict=True)
        if one.kept and told_by[row] == row
    ]
    attained = attainment_frame(plan, shown, (kept.respond, kept.resolve), PRIORITIES)
    return PlanSearch(servers, _table(plan, sized, servers, busy, told_by, looked, counted, broken), attained)


def _doubtful(plan: PlanRows, sized: Sized, phases: Phases, busy: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows whose number the formulas do not settle."""
    if not plan.duty.round_the_clock:
        return np.ones(len(busy), dtype=bool)
    servers = sized.servers[busy]
    fewer = promises_kept(
        plan.rows.pick(busy),
        np.maximum(servers - 1, 1),
        plan.promises,
        plan.repairs.pick(busy),
        phases,
    )

    def least(kept: Kept | Any, rows: Any) -> FloatArray:
        margins = []
        for share, cause in ((kept.respond, sized.respond_cause), (kept.resolve, sized.resolve_cause)):
            open_ = (cause[busy] == NONE) & ~np.isnan(share[rows])
            margins.append(np.where(open_, share[rows] - plan.promises.target, np.inf).min(axis=1))
        return np.minimum(*margins)

    near = least(sized.kept, busy) < _DOUBT_AT
    near |= least(fewer, slice(None)) > -_DOUBT_BELOW
    return near | (servers < FEW_ENGINEERS)


def _jobs(plan: PlanRows, sized: Sized, looked: NDArray[np.int64], seed: int) -> list[dict[str, Any]]:
    roads = plan.roads()
    jobs = []
    for row in looked:
        start = int(sized.servers[row])
        jobs.append(
            {
                "start": start,
                "open_promises": [
                    sized.respond_cause[row] == NONE,
                    sized.resolve_cause[row] == NONE,
                ],
                "skills": plan.skills(int(row)),
                "far": float(plan.rows.travel[plan.rows.place[row], 0]),
                "ceiling": max(int(sized.ceiling[row]), start),
                **plan.job(int(row), roads[row // len(plan.months)], seed),
            }
        )
    return jobs


def _table(
    plan: PlanRows,
    sized: Sized,
    servers: NDArray[np.int64],
    busy: NDArray[np.int64],
    told_by: NDArray[np.int64],
    searched: NDArray[np.bool_],
    counted: NDArray[np.int64],
    broken: NDArray[np.bool_],
) -> pd.DataFrame:
    periods = len(plan.months)
    months = plan.months.strftime("%Y-%m")
    lead, looked, own = told_by[busy], searched[busy], counted[busy] > 0
    other = pd.Series(months[lead % periods], dtype=str)
    fewer = np.where(own, "one fewer breaks a promise here", "in a quieter month no fewer will do")
    reason: NDArray[np.object_] = ("kept in " + other + " with more orders; " + fewer).to_numpy(dtype=object)
    reason[lead == busy] = "searched by simulation"
    reason[broken[busy]] = "formula: no number of engineers keeps every promise in simulation"
    reason[~looked] = "formula: clear by more than its error"
    return pd.DataFrame(
        {
            "region_id": plan.regions[busy // periods],
            "month": plan.months[busy % periods],
            "formula": sized.servers[busy],
            "searched": servers[busy],
            "looked_at": plan.months[lead % periods].where(looked),
            "orders": counted[busy],
            "reason": pd.Series(reason, dtype=str),
        }
    )
