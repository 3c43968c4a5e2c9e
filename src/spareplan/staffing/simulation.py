"""Simulate a region order by order: places, roads, priorities, skills, shifts, missing parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import HOURS_PER_DAY
from spareplan.staffing._arguments import checked_together, most_urgent_first
from spareplan.staffing._kernels import dispatch_for
from spareplan.staffing.calls import VisitLaw, by_profile, draw_classes, draw_places, draw_visits
from spareplan.staffing.region_inputs import SKILLS, check_run, checked_crew, checked_orders
from spareplan.staffing.rotas import rotas

FloatArray = NDArray[np.float64]
BATCHES = 20
# Two-sided 95 % of Student's t with 19 degrees of freedom.
_T95 = 2.093


@dataclass(frozen=True)
class RegionRun:
    """What a simulated region achieved.

    Parameters
    ----------
    table : DataFrame
        A row per priority and measure (respond, resolve): limit_hours, promised and achieved share, low, high
        (95 %, from 20 runs of orders), kept.
    orders : DataFrame
        Every order after the warm-up: priority, opened, ready (when a visit could be made: the call, or the
        part known to be missing has come), sent, arrived, solved. [hours]
    utilisation : float
        Busy share of an engineer's duty; above 1 where more is worked beyond the shift than is free within.
    drive_hours : float
        Mean drive to an order. [hours]
    load : float
        Engineers that the orders keep busy, drives as simulated.
    notes : tuple of str
        What makes the figures less than they seem: load beyond the crew, hours without anybody on duty,
        orders nobody has the skill for.
    """

    table: pd.DataFrame
    orders: pd.DataFrame
    utilisation: float
    drive_hours: float
    load: float = 0.0
    notes: tuple[str, ...] = ()

    def late(self, priority: str, hours: float) -> float:
        """Share of a priority's orders for which nobody has set out after `hours`."""
        rows = self.orders[self.orders["priority"] == priority]
        return float(1.0 - (rows["sent"] - rows["ready"] <= hours).mean())


def simulate_region(
    orders: pd.DataFrame,
    engineers: int | pd.DataFrame,
    points: FloatArray | None = None,
    area_km2: float = 0.0,
    days: float = 365.0,
    warm_up_days: float = 30.0,
    seed: int = 0,
    travel_speed: float = 50.0,
    circuity: float = 1.3,
    work_law: str = "gamma",
    urgent: int = 2,
    profile: FloatArray | None = None,
    cycle_hours: float = 24.0,
    depot: bool = False,
) -> RegionRun:
    """Send the nearest free engineer, most urgent order first, for as many days as asked.

    Parameters
    ----------
    orders : DataFrame
        A row per priority, P1 the most urgent, then P2 and so on (where a priority has another name, the
        first row is): priority, orders_per_day, work_hours; optional work_scv (1),
        respond_hours, resolve_hours, target (0.95), response_mode (dispatch, arrival), missing_share (part
        found missing on site: second visit when it has come), known_share (part known to be missing at the
        call: the visit waits for it), parts_hours and parts_scv (1) of their wait, diagnose_hours (1),
        again_share (repairs that fail, each on its own: next visit at once), junior, senior, expert (shares
        of the skill needed; all junior).
    engineers : int or DataFrame
        Round the clock; or a row per engineer (or group: `count`) with optional skill, efficiency (1),
        shift_start and shift_end [hour of the cycle], days_a_week (7; 0 with on_call: only called out),
        on_call (False), east, north [km].
    points : ndarray, shape (n, 2), optional
        Where orders come from, drawn with equal chance. [km]
    area_km2 : float
        Without points: orders come from everywhere in a square of this area; 0: no travel.
    days, warm_up_days : float
        Length that counts, after a warm-up.
    seed : int
    travel_speed, circuity : float
        [km/hour], road distance against the straight line.
    work_law : {"gamma", "lognormal"}
        Law of the time at the machine; work_scv 1 and "gamma" is exponential.
    urgent : int
        How many of the most urgent classes call out engineers who are on call.
    profile : ndarray, shape (24,) or (7, 24), optional
        Calls per hour of the day, or of the week from Monday, against the mean.
    cycle_hours : float
        After which the shifts repeat: 24 daily, 168 a weekly rota. [hours]
    depot : bool
        Engineers drive back to where they started after every visit; else they go on from the last order.

    Returns
    -------
    RegionRun
        The response of an order whose part is known to be missing counts from when the part has come.

    Raises
    ------
    DataError
        No engineers, a shift that never begins, unknown columns or skills, rates, shares or hours out of
        bounds; all at once by table, row and column.
    """
    run = (
        points,
        area_km2,
        days,
        warm_up_days,
        travel_speed,
        circuity,
        work_law,
        urgent,
        profile,
        cycle_hours,
    )
    _, classes, crew = checked_together(
        lambda: check_run(*run),
        lambda: checked_orders(orders),
        lambda: checked_crew(engineers, cycle_hours),
    )
    classes = most_urgent_first(classes)
    generator = np.random.default_rng(seed)
    span = (days + warm_up_days) * HOURS_PER_DAY
    rate = classes["orders_per_day"].to_numpy() / HOURS_PER_DAY
    calls = None if profile is None else np.asarray(profile, dtype=float)
    count = int(generator.poisson(rate.sum() * span))
    opened = by_profile(np.sort(generator.random(count)) * span, 1.0, calls)
    grade = draw_classes(generator, count, rate)
    place = float(np.sqrt(area_km2)) if points is None else np.asarray(points, dtype=float)
    east, north = draw_places(generator, count, place)
    law = VisitLaw(*(classes[name].to_numpy() for name in VisitLaw._fields))
    first, hours, wait = draw_visits(generator, grade, law, work_law)
    need = _needs(generator, classes, grade)
    home_east, home_north = draw_places(generator, len(crew), place)
    shifts = rotas(
        crew["shift_start"].to_numpy(),
        crew["shift_end"].to_numpy(),
        crew["days_a_week"].to_numpy(),
        float(cycle_hours),
    )
    level = crew["level"].to_numpy(np.int64)
    sent, arrived, solved, busy = dispatch_for(count)(
        opened,
        grade,
        need,
        east,
        north,
        first,
        hours,
        wait,
        level,
        crew["efficiency"].to_numpy(),
        np.where(crew["east"].isna(), home_east, crew["east"]),
        np.where(crew["north"].isna(), home_north, crew["north"]),
        shifts.of,
        crew["on_call"].to_numpy(bool),
        shifts.starts_on,
        shifts.change_at,
        shifts.change_rota,
        shifts.period,
        int(urgent),
        float(circuity / travel_speed),
        len(classes),
        len(SKILLS),
        bool(depot),
    )
    told = pd.DataFrame(
        {
            "priority": classes["priority"].astype(str).to_numpy()[grade],
            "opened": opened,
            "ready": opened + wait[first[:-1]],
            "sent": sent,
            "arrived": arrived,
            "solved": solved,
        }
    )
    told = told.iloc[np.searchsorted(opened, warm_up_days * HOURS_PER_DAY) :].reset_index(drop=True)
    drive = float((told["arrived"] - told["sent"]).mean()) if len(told) else 0.0
    on_duty = float(shifts.share[shifts.of].sum())
    load = float(busy.sum() / span)
    # A crew that is only called out has no duty to be busy in.
    busy_share = load / (on_duty if on_duty > 0 else len(crew))
    notes = _notes(classes, crew, need, shifts.unmanned, load, urgent, _backlog(opened, sent, span))
    return RegionRun(_attainment(classes, told), told, busy_share, drive, load, notes)


def _backlog(opened: FloatArray, sent: FloatArray, span: float) -> tuple[int, int]:
    """Orders that wait for their first visit halfway through and at the end."""
    late = ~(sent <= span)
    half = opened <= span / 2
    return int((half & ~(sent <= span / 2)).sum()), int(late.sum())


def _notes(
    classes: pd.DataFrame,
    crew: pd.DataFrame,
    need: NDArray[np.int64],
    unmanned: float,
    load: float,
    urgent: int,
    backlog: tuple[int, int],
) -> tuple[str, ...]:
    notes = []
    half, whole = backlog
    if load > len(crew) or whole > max(1.5 * half, 3 * len(crew), 20):
        notes.append(
            f"{len(crew)} engineers cannot carry the load of {load:.2f} in their hours of duty: "
            f"waits grow as long as the run lasts, {whole} orders wait at its end"
        )
    if unmanned > 1e-9:
        called = classes["priority"].astype(str).tolist()[:urgent] if crew["on_call"].any() else []
        notes.append(
            f"nobody is on duty {unmanned:.0%} of the time: "
            + (f"only {', '.join(called)} are served then" if called else "every order waits for the shift")
        )
    above = int((need > crew["level"].max()).sum())
    if above:
        notes.append(f"{above} orders need a skill that nobody has: they are never served")
    return tuple(notes)


def _needs(
    generator: np.random.Generator, classes: pd.DataFrame, grade: NDArray[np.int64]
) -> NDArray[np.int64]:
    shares = classes[list(SKILLS)].fillna(0.0).to_numpy()
    shares[shares.sum(axis=1) <= 0, 0] = 1.0
    edges = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    return (generator.random(len(grade))[:, None] > edges[grade]).sum(axis=1).clip(max=len(SKILLS) - 1)


def _attainment(classes: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for promise in classes.to_dict("records"):
        own = orders[orders["priority"] == promise["priority"]]
        responded = own["arrived" if promise["response_mode"] == "arrival" else "sent"] - own["ready"]
        for measure, value in (("respond", responded), ("resolve", own["solved"] - own["opened"])):
            limit, target = float(promise[f"{measure}_hours"]), float(promise["target"])
            if np.isnan(limit) or own.empty:
                continue
            # An order that was never reached is late, however long the run.
            good = (value <= limit).to_numpy(dtype=float)
            batches = np.array([part.mean() for part in np.array_split(good, min(BATCHES, len(good)))])
            half = _T95 * batches.std(ddof=1) / np.sqrt(len(batches)) if len(batches) > 1 else 1.0
            # All or none in time is no certainty: the rule of three.
            half = max(half, 3.0 / len(good)) if good.min() == good.max() else half
            share = float(good.mean())
            rows.append(
                (
                    promise["priority"],
                    measure,
                    limit,
                    target,
                    share,
                    max(share - half, 0.0),
                    min(share + half, 1.0),
                    bool(share + half >= target),
                )
            )
    return pd.DataFrame(
        rows, columns=["priority", "measure", "limit_hours", "promised", "achieved", "low", "high", "kept"]
    )
