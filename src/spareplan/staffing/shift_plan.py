"""Regions whose engineers work in shifts: least people on the shift, and what nights and free days break."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing.causes import NONE, SPARE_ENGINEERS, resolve_causes, respond_causes
from spareplan.staffing.day_chain import size_day
from spareplan.staffing.night import night_table
from spareplan.staffing.plan_rows import PlanRows, attainment_frame
from spareplan.staffing.plan_search import search_plan
from spareplan.staffing.proof import QUICK_ORDERS, simulated_shares
from spareplan.staffing.shift_cycle import shift_hours
from spareplan.staffing.sizing import Kept, Phases, Promises, Sized, promises_kept
from spareplan.staffing.visits import PRIORITIES

FloatArray = NDArray[np.float64]
# Broken for the hours without a shift: people cure it, but not more of them on the same shift.
NIGHT = "night"
# A share below its target by so many half widths of its interval is broken, not unlucky.
_CLEARLY = 1.25


class ShiftPlan(NamedTuple):
    """Result of `size_shifts`.

    Parameters
    ----------
    sized : Sized
        Engineers on the shift; causes may be `NIGHT` beside the usual ones.
    phases : Phases
        The hours on shift, as if they carried all work that waits for them.
    nights : DataFrame
        As of `spareplan.staffing.night.night_table`.
    searched, attained : DataFrame
        As of `spareplan.staffing.plan_search.PlanSearch`; empty without a search.
    """

    sized: Sized
    phases: Phases
    nights: pd.DataFrame
    searched: pd.DataFrame
    attained: pd.DataFrame


def size_shifts(plan: PlanRows, search: bool = True, seed: int = 0) -> ShiftPlan:
    """Least engineers on the shift of every region-month: daily chain, then simulation.

    Parameters
    ----------
    plan : PlanRows
        With `duty` and `on_shift`; promises in hours of their own clock
        (`spareplan.staffing.night.shift_promises`).
    search : bool
        Settle the numbers by simulation; else the chain's stand, which knows of responses only.
    seed : int

    Returns
    -------
    ShiftPlan

    Notes
    -----
    What even twice the engineers and ten more on the shift do not keep, in simulation, nobody on that shift
    cures: repair, parts or distance if they break it round the clock too, else the night.
    """
    rows, promises, duty = plan.rows, plan.promises, plan.duty
    on_shift = np.zeros(len(PRIORITIES), dtype=bool) if plan.on_shift is None else plan.on_shift
    phases = _shift_phase(plan)
    day = size_day(rows, promises, duty, plan.profile, on_shift)
    ceiling = np.where(day.servers > 0, 2 * day.servers + SPARE_ENGINEERS, 1)
    # Hours of the shift are spread over the week: by the calendar there are more of them.
    calendar = np.where(on_shift, promises.resolve * _week_against(plan), promises.resolve)
    apart = Promises(promises.respond, calendar, promises.target, promises.arrival)
    causes = [respond_causes(rows, ceiling, promises), resolve_causes(rows, ceiling, apart, plan.repairs)]
    broken = _broken_at_best(plan, ceiling, day.servers, seed)
    causes = [
        np.where((cause == NONE) & broken[..., which], NIGHT, cause) for which, cause in enumerate(causes)
    ]
    kept = promises_kept(rows, np.maximum(day.servers, 1), promises, plan.repairs, phases)
    sized = Sized(day.servers, kept._replace(respond=day.respond), ceiling, causes[0], causes[1])
    searched = attained = pd.DataFrame()
    if search:
        found = search_plan(plan, sized, phases, True, seed)
        kept = promises_kept(rows, np.maximum(found.servers, 1), promises, plan.repairs, phases)
        sized = sized._replace(servers=found.servers, kept=kept)
        # The formulas round the clock have nothing to say beside the simulated shares.
        searched, attained = found.table, found.attained.assign(planned=np.nan)
    nights = night_table(promises, on_shift, duty, plan.profile)
    return ShiftPlan(sized, phases, nights, searched, attained)


def shift_kept(plan: PlanRows, posts: FloatArray, phases: Phases, seed: int = 0) -> tuple[Kept, pd.DataFrame]:
    """Shares kept by engineers on the shift, simulated for every region-month.

    Parameters
    ----------
    plan : PlanRows
    posts : ndarray, shape (R * M,)
        Engineers on the shift; with a part of one there is now and then one more.
    phases : Phases
        As of `size_shifts`.
    seed : int

    Returns
    -------
    kept : Kept
        Waiting, utilisation and drive are those of the formulas on shift.
    simulated : DataFrame
        As of `spareplan.staffing.proof.simulate_plan`, of each region's fullest month.
    """
    rows, periods = plan.rows, len(plan.months)
    whole = np.maximum(np.rint(posts), 1).astype(np.int64)
    state = promises_kept(rows, whole, plan.promises, None, phases)
    busy = np.flatnonzero(rows.rates.sum(axis=1) > 0)
    found = simulated_shares(plan, posts, dict.fromkeys(busy.tolist(), QUICK_ORDERS), seed)
    shares = np.full((*rows.rates.shape, 2), np.nan)
    for row, share, _ in found:
        shares[row] = share
    kept = state._replace(respond=shares[..., 0], resolve=shares[..., 1])
    fullest = _fullest(rows.rates * rows.work, periods)
    shown = [one for one in found if one[0] in fullest]
    frame = attainment_frame(plan, shown, (kept.respond, kept.resolve), PRIORITIES)
    return kept, frame.assign(planned=np.nan)


def _fullest(work: FloatArray, periods: int) -> set[int]:
    """Row of each region's fullest month."""
    total = work.sum(axis=1).reshape(-1, periods)
    return set((np.arange(len(total)) * periods + total.argmax(axis=1)).tolist())


def _broken_at_best(
    plan: PlanRows, ceiling: NDArray[np.int64], servers: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    """Promises that a crowd on the shift does not keep in the region's fullest month, shape (R * M, K, 2)."""
    periods = len(plan.months)
    rows = sorted(row for row in _fullest(plan.rows.rates * plan.rows.work, periods) if servers[row] > 0)
    found = simulated_shares(plan, ceiling.astype(float), dict.fromkeys(rows, QUICK_ORDERS), seed)
    broken = np.zeros((len(plan.regions), periods, len(PRIORITIES), 2), dtype=bool)
    for row, share, half in found:
        # Shares of what is not promised, or of classes without orders, are NaN and never broken.
        broken[row // periods] = share + _CLEARLY * half < plan.promises.target[:, None]
    return broken.reshape(-1, len(PRIORITIES), 2)


def _week_against(plan: PlanRows) -> float:
    """Hours of the week against those on shift."""
    return HOURS_PER_DAY * DAYS_PER_WEEK / (shift_hours(plan.duty) * plan.duty.days_a_week)


def _shift_phase(plan: PlanRows) -> Phases:
    """The hours on shift as one phase, with all work that is not called out."""
    work = (plan.rows.rates * plan.rows.work).sum(axis=0)
    somebody = plan.duty.on_call is None or plan.duty.on_call > 0
    waits = np.arange(len(work)) >= (plan.duty.called_out if somebody else 0)
    share = float(work[waits].sum() / max(work.sum(), 1e-300))
    factor = 1.0 + share * (_week_against(plan) - 1.0)
    return Phases(np.ones(1), np.full(1, factor), np.ones(1), np.ones(HOURS_PER_DAY))
