"""Search the numbers of a head count plan by simulation, where the formulas leave a doubt."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.staffing.plan_rows import PlanRows, attainment_frame
from spareplan.staffing.search import search_rows
from spareplan.staffing.sizing import ALL_DAY, NONE, Kept, Phases, Sized, promises_kept
from spareplan.staffing.visits import PRIORITIES

FloatArray = NDArray[np.float64]
# With few engineers one more or less is much, and chance is far from the mean.
FEW_ENGINEERS = 6
# The formulas are right within these shares, one engineer fewer and as many as they say.
_DOUBT_BELOW, _DOUBT_AT = 0.025, 0.015
# Months of a region whose loads differ by less share a search.
SAME_LOAD = 0.02
_NORMAL95 = 1.96


class PlanSearch(NamedTuple):
    """Result of `search_plan`.

    Parameters
    ----------
    servers : ndarray of int, shape (R * M,)
        Engineers on duty.
    table : DataFrame
        A row per region-month with orders: region_id, month, formula, searched (engineers on duty), looked_at
        (simulated itself, or the month of the region it was taken from), orders (simulated), reason.
    attained : DataFrame
        As of `simulate_plan`, for every region-month that was simulated, at the number that was found.
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
        Months of a region with equal number and nearly equal load (2 %) share the search of the fullest.
    """
    servers = sized.servers.copy()
    busy = np.flatnonzero(servers > 0)
    doubtful = busy if every_row else busy[_doubtful(plan, sized, phases, busy)]
    shared = _alike(plan, servers, doubtful)
    looked = np.unique(shared[doubtful]).astype(np.int64)
    jobs = _jobs(plan, sized, looked, seed)
    found = search_rows(jobs, threads)
    result = np.zeros(len(servers), dtype=np.int64)
    counted = np.zeros(len(servers), dtype=np.int64)
    broken = np.zeros(len(servers), dtype=bool)
    result[looked] = [one.servers for one in found]
    counted[looked] = [one.orders for one in found]
    broken[looked] = [not one.kept for one in found]
    # Where even the ceiling breaks a promise in simulation, the formula's number stands.
    result[looked] = np.where(broken[looked], servers[looked], result[looked])
    servers[doubtful] = result[shared[doubtful]]
    kept = promises_kept(plan.rows, np.maximum(servers, 1), plan.promises, plan.repairs, phases)
    shown = [
        (
            int(row),
            np.stack([one.respond, one.resolve], axis=1),
            _NORMAL95 * np.stack([one.respond_error, one.resolve_error], axis=1),
        )
        for row, one in zip(looked, found, strict=True)
        if one.kept
    ]
    attained = attainment_frame(plan, shown, (kept.respond, kept.resolve), PRIORITIES)
    return PlanSearch(servers, _table(plan, sized, servers, busy, shared, counted, broken), attained)


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


def _alike(plan: PlanRows, servers: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row whose search each row takes over: the fullest of a region's months with nearly the same load."""
    shared = np.arange(len(servers))
    total = plan.rows.rates.sum(axis=1)
    load = (plan.rows.rates * plan.rows.work).sum(axis=1)
    mix = plan.rows.rates / np.maximum(total, 1e-300)[:, None]
    region = np.arange(len(servers)) // len(plan.months)
    # Fullest first, so that the first of a group stands for the others.
    order = rows[np.lexsort((rows, -load[rows], servers[rows], region[rows]))]
    lead = -1
    for row in order:
        same = (
            lead >= 0
            and region[row] == region[lead]
            and servers[row] == servers[lead]
            and load[row] >= (1.0 - SAME_LOAD) * load[lead]
            and np.abs(mix[row] - mix[lead]).max() < SAME_LOAD
        )
        lead = lead if same else row
        shared[row] = lead
    return shared


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
    shared: NDArray[np.int64],
    counted: NDArray[np.int64],
    broken: NDArray[np.bool_],
) -> pd.DataFrame:
    periods = len(plan.months)
    months = plan.months.strftime("%Y-%m")
    lead = shared[busy]
    looked = counted[lead] > 0
    reason = np.where(looked, "searched by simulation", "formula: clear by more than its error")
    other = looked & (lead != busy)
    reason[other] = [f"as in {months[row % periods]}, nearly the same load" for row in lead[other]]
    reason = np.where(
        looked & broken[lead], "formula: no number of engineers keeps every promise in simulation", reason
    )
    return pd.DataFrame(
        {
            "region_id": plan.regions[busy // periods],
            "month": plan.months[busy % periods],
            "formula": sized.servers[busy],
            "searched": servers[busy],
            "looked_at": plan.months[lead % periods].where(looked),
            "orders": counted[lead],
            "reason": reason,
        }
    )
