"""Search the numbers of a head count plan by simulation, where the formulas leave a doubt."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.staffing.looks import Searched
from spareplan.staffing.plan_rows import PlanRows, attainment_frame
from spareplan.staffing.search import search_rows
from spareplan.staffing.sizing import ALL_DAY, NONE, Kept, Phases, Sized, promises_kept
from spareplan.staffing.visits import PRIORITIES

FloatArray = NDArray[np.float64]
# With few engineers one more or less is much, and chance is far from the mean.
FEW_ENGINEERS = 6
# The formulas are right within these shares, one engineer fewer and as many as they say.
_DOUBT_BELOW, _DOUBT_AT = 0.025, 0.015
# Months of a region are compared by their load if the shares of the classes differ by less.
SAME_MIX = 0.05
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
        A month whose load lies between those of two months of its region for which the same number was found
        takes it over.
    """
    servers = sized.servers.copy()
    busy = np.flatnonzero(servers > 0)
    doubtful = busy if every_row else busy[_doubtful(plan, sized, phases, busy)]
    found: dict[int, Searched] = {}
    shared = np.arange(len(servers))
    # Between two months of a region for which the same number was found there is nothing to look for.
    between = [(chain, 0, len(chain) - 1) for chain in _chains(plan, sized, doubtful)]
    while between:
        wanted = {int(chain[place]) for chain, *ends in between for place in ends} - found.keys()
        looked = np.array(sorted(wanted), dtype=np.int64)
        found |= zip(looked.tolist(), search_rows(_jobs(plan, sized, looked, seed), threads), strict=True)
        further = []
        for chain, fullest, emptiest in between:
            full, empty = found[int(chain[fullest])], found[int(chain[emptiest])]
            if (full.servers, full.kept) == (empty.servers, empty.kept):
                shared[chain[fullest + 1 : emptiest]] = chain[fullest]
            elif emptiest - fullest > 1:
                middle = (fullest + emptiest) // 2
                further += [(chain, fullest, middle), (chain, middle, emptiest)]
        between = further
    counted = np.zeros(len(servers), dtype=np.int64)
    broken = np.zeros(len(servers), dtype=bool)
    for row, one in found.items():
        counted[row], broken[row] = one.orders, not one.kept
    # Where even the ceiling breaks a promise in simulation, the formula's number stands.
    settled = doubtful[~broken[shared[doubtful]]]
    servers[settled] = [found[int(row)].servers for row in shared[settled]]
    kept = promises_kept(plan.rows, np.maximum(servers, 1), plan.promises, plan.repairs, phases)
    shown = [
        (
            row,
            np.stack([one.respond, one.resolve], axis=1),
            _NORMAL95 * np.stack([one.respond_error, one.resolve_error], axis=1),
        )
        for row, one in sorted(found.items())
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


def _chains(plan: PlanRows, sized: Sized, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Months of a region that differ by their load alone, the fullest first."""
    total = plan.rows.rates.sum(axis=1)
    load = (plan.rows.rates * plan.rows.work).sum(axis=1)
    mix = plan.rows.rates / np.maximum(total, 1e-300)[:, None]
    region = np.arange(len(total)) // len(plan.months)
    open_ = np.concatenate([sized.respond_cause == NONE, sized.resolve_cause == NONE], axis=1)
    kind = np.unique(open_, axis=0, return_inverse=True)[1].reshape(-1)
    chains: list[list[int]] = []
    for row in rows[np.lexsort((rows, -load[rows], kind[rows], region[rows]))]:
        head = chains[-1][0] if chains else -1
        alike = head >= 0 and region[row] == region[head] and kind[row] == kind[head]
        if alike and np.abs(mix[row] - mix[head]).max() < SAME_MIX:
            chains[-1].append(int(row))
        else:
            chains.append([int(row)])
    return [np.array(chain, dtype=np.int64) for chain in chains]


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
    reason[other] = [f"as in {months[row % periods]} and in a quieter month" for row in lead[other]]
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
