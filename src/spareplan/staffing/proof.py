"""Simulate the planned head count: what every region keeps in its fullest month, with an interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_YEAR, HOURS_PER_DAY
from spareplan.staffing.plan_rows import PlanRows, attainment_frame
from spareplan.staffing.search import attained, in_threads
from spareplan.staffing.sizing import Kept
from spareplan.staffing.visits import PRIORITIES

FloatArray = NDArray[np.float64]
# Enough for the 95 % interval of a class with a tenth of the orders to be about a point wide to each side.
QUICK_ORDERS = 30_000
_MOST_ORDERS = 2_000_000
# Two-sided 95 % of Student's t with 19 degrees of freedom: 20 batches.
_T95 = 2.093


def simulate_plan(
    plan: PlanRows,
    posts: FloatArray,
    kept: Kept,
    seed: int = 0,
    orders: int = QUICK_ORDERS,
    threads: int | None = None,
    crews: FloatArray | None = None,
) -> pd.DataFrame:
    """Simulate each region's fullest month as if it lasted for years.

    Parameters
    ----------
    plan : PlanRows
    posts : ndarray, shape (R * M,)
        Engineers on duty or on call at a time; with a part of one there is now and then one more.
    kept : Kept
        What the formulas say.
    seed : int
    orders : int
        Simulated orders of each region; with `simulate_years` in the options as many as come in those years.
    threads : int, optional
        None: as many as there are processors. The result is the same for any number.
    crews : ndarray, shape (R * M, S), optional
        Engineers on duty by skill, where the plan tells what orders need; None: in the region's shares.

    Returns
    -------
    DataFrame
        region_id, month, priority, measure (respond, resolve), promised, planned (formula), achieved, low,
        high (95 %), kept (the interval reaches what is promised); regions without orders are left out.
    """
    rate = plan.orders_per_hour().sum(axis=1)
    periods = len(plan.months)
    years = plan.options.simulate_years
    lengths: dict[int, int] = {}
    for place in range(len(plan.regions)):
        own = np.arange(place * periods, (place + 1) * periods)
        row = int(own[np.argmax(np.where(rate[own] > 0, kept.utilisation[own], -1.0))])
        if rate[row] > 0:
            count = int(np.clip(rate[row] * years * DAYS_PER_YEAR * HOURS_PER_DAY, 2_000, _MOST_ORDERS))
            lengths[row] = count if years else orders
    found = simulated_shares(plan, posts, lengths, seed, threads, crews)
    return attainment_frame(plan, found, (kept.respond, kept.resolve), PRIORITIES)


def simulated_shares(
    plan: PlanRows,
    posts: FloatArray,
    lengths: Mapping[int, int],
    seed: int = 0,
    threads: int | None = None,
    crews: FloatArray | None = None,
) -> list[tuple[int, FloatArray, FloatArray]]:
    """Shares kept in simulated region-months.

    Parameters
    ----------
    plan, posts, seed, threads, crews
        As of `simulate_plan`.
    lengths : mapping of int to int
        Orders to simulate, by row of the plan.

    Returns
    -------
    list of (row, share, half width of the 95 % interval)
        The two of shape (K, 2): respond, resolve.
    """
    roads = plan.roads()
    jobs: list[dict[str, Any]] = []
    told: list[tuple[int, float]] = []
    for row, count in lengths.items():
        low = int(np.floor(posts[row] + 1e-9))
        part = float(np.clip(posts[row] - low, 0.0, 1.0))
        for servers, share in ((low, 1.0 - part), (low + 1, part)):
            if share > 1e-3:
                length = max(round(share * count), 1_000)
                skills = plan.skills(row, None if crews is None else crews[row])
                job = plan.job(row, roads[row // len(plan.months)], seed)
                jobs.append({"servers": servers, "count": length, "skills": skills, **job})
                told.append((row, share))
    found: dict[int, list[FloatArray]] = {}
    for (row, share), run in zip(told, in_threads(attained, jobs, threads), strict=True):
        achieved = np.stack([run.respond, run.resolve], axis=1)
        error = np.stack([run.respond_error, run.resolve_error], axis=1)
        sums = found.setdefault(row, [np.zeros(achieved.shape), np.zeros(achieved.shape)])
        sums[0] += share * achieved
        sums[1] += (share * error) ** 2
    return [(row, share, _T95 * np.sqrt(square)) for row, (share, square) in found.items()]
