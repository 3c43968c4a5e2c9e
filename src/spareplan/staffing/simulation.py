"""Simulate a region order by order: places, roads, priorities, skills, shifts, missing parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing._kernels import SMALL_RUN, compiled_dispatch, dispatch

FloatArray = NDArray[np.float64]
SKILLS = ("junior", "senior", "expert")
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
        Every order after the warm-up: priority, opened, sent, arrived, solved. [hours]
    utilisation : float
        Busy share of an engineer's duty.
    drive_hours : float
        Mean drive to an order. [hours]
    """

    table: pd.DataFrame
    orders: pd.DataFrame
    utilisation: float
    drive_hours: float

    def late(self, priority: str, hours: float) -> float:
        """Share of a priority's orders for which nobody has set out after `hours`."""
        rows = self.orders[self.orders["priority"] == priority]
        return float((rows["sent"] - rows["opened"] > hours).mean())


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
) -> RegionRun:
    """Send the nearest free engineer, most urgent order first, for as many days as asked.

    Parameters
    ----------
    orders : DataFrame
        A row per priority, most urgent first: priority, orders_per_day, work_hours; optional work_scv (1),
        respond_hours, resolve_hours, target (0.95), response_mode (dispatch, arrival), missing_share and
        parts_hours (part found missing, second visit after an exponential wait), diagnose_hours (1),
        again_share (second visit at once), junior, senior, expert (shares of the skill needed; all junior).
    engineers : int or DataFrame
        Round the clock; or a row per engineer (or group: `count`) with optional skill, efficiency (1),
        shift_start and shift_end [hour of the cycle], days_a_week (7), on_call (False), east, north [km].
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
    profile : ndarray, shape (24,), optional
        Calls per hour of the day against the mean.
    cycle_hours : float
        After which the shifts repeat: 24 daily, 168 a weekly rota. [hours]

    Returns
    -------
    RegionRun

    Raises
    ------
    DataError
        No engineers, unknown columns or skills, rates or hours out of bounds.
    """
    classes = _checked_orders(orders)
    crew = _checked_crew(engineers, travel_speed, days, cycle_hours)
    generator = np.random.default_rng(seed)
    span = (days + warm_up_days) * HOURS_PER_DAY
    rate = classes["orders_per_day"].to_numpy() / HOURS_PER_DAY
    count = int(generator.poisson(rate.sum() * span))
    opened = np.sort(_moments(generator, count, span, profile))
    grade = generator.choice(len(classes), size=count, p=rate / rate.sum())
    place = _places(generator, count, points, area_km2)
    scv = classes["work_scv"].to_numpy()[grade]
    mean = classes["work_hours"].to_numpy()[grade]
    work = _draw(generator, work_law, mean, scv)
    after, second = _second_visits(generator, classes, grade, work)
    need = _needs(generator, classes, grade)
    start = _places(generator, len(crew), points, area_km2)
    arguments = (
        opened,
        grade,
        need,
        place[:, 0].copy(),
        place[:, 1].copy(),
        work[0],
        after,
        second,
        crew["level"].to_numpy(np.int64),
        crew["efficiency"].to_numpy(float),
        np.where(crew["east"].isna(), start[:, 0], crew["east"].to_numpy(float)),
        np.where(crew["north"].isna(), start[:, 1], crew["north"].to_numpy(float)),
        crew["shift_start"].to_numpy(float),
        crew["shift_end"].to_numpy(float),
        crew["on_call"].to_numpy(bool),
        crew["days_a_week"].to_numpy(np.int64),
        int(urgent),
        float(circuity / travel_speed),
        len(classes),
        len(SKILLS),
        float(cycle_hours),
    )
    run = dispatch if count < SMALL_RUN else compiled_dispatch()
    sent, arrived, solved, busy = run(*arguments)
    names = classes["priority"].to_numpy()
    told = pd.DataFrame(
        {"priority": names[grade], "opened": opened, "sent": sent, "arrived": arrived, "solved": solved}
    )
    counted = told[told["opened"] >= warm_up_days * HOURS_PER_DAY].reset_index(drop=True)
    length = crew["shift_end"] - crew["shift_start"]
    duty = (
        np.where(length > 0, length, length + cycle_hours)
        * crew["days_a_week"]
        / (cycle_hours * DAYS_PER_WEEK)
    )
    drive = float((counted["arrived"] - counted["sent"]).mean()) if len(counted) else 0.0
    return RegionRun(_attainment(classes, counted), counted, float(busy.sum() / (duty.sum() * span)), drive)


def _checked_orders(orders: pd.DataFrame) -> pd.DataFrame:
    problems = []
    for column in ("priority", "orders_per_day", "work_hours"):
        if column not in orders:
            problems.append(Problem("orders", 0, column, "", "is missing", "add the column"))
    if problems:
        raise DataError(problems)
    out = orders.reset_index(drop=True).copy()
    defaults: dict[str, Any] = {
        "work_scv": 1.0,
        "respond_hours": np.nan,
        "resolve_hours": np.nan,
        "target": 0.95,
        "response_mode": "dispatch",
        "missing_share": 0.0,
        "parts_hours": 0.0,
        "diagnose_hours": 1.0,
        "again_share": 0.0,
        "junior": np.nan,
        "senior": np.nan,
        "expert": np.nan,
    }
    for column, value in defaults.items():
        out[column] = (
            out[column].fillna(value) if column in out and value == value else out.get(column, value)
        )
    for column, least in [
        ("orders_per_day", 0.0),
        ("work_hours", 0.0),
        ("work_scv", 0.0),
        ("missing_share", 0.0),
        ("again_share", 0.0),
        ("parts_hours", 0.0),
    ]:
        for row in np.flatnonzero(~(out[column].to_numpy(float) >= least)):
            problems.append(
                Problem(
                    "orders",
                    int(row) + 2,
                    column,
                    str(out[column].iloc[row]),
                    f"is {least:g} or more",
                    "give such a value",
                )
            )
    for row in np.flatnonzero(out["missing_share"] + out["again_share"] > 1):
        problems.append(
            Problem(
                "orders",
                int(row) + 2,
                "missing_share",
                str(out["missing_share"].iloc[row]),
                "is with again_share at most 1",
                "give shares of orders",
            )
        )
    if not problems and not out["orders_per_day"].sum() > 0:
        problems.append(
            Problem("orders", 0, "orders_per_day", "0", "is above 0 for some priority", "give orders")
        )
    if problems:
        raise DataError(problems)
    return out


def _checked_crew(
    engineers: int | pd.DataFrame, travel_speed: float, days: float, cycle: float
) -> pd.DataFrame:
    problems = []
    crew = (
        pd.DataFrame({"count": [engineers]}) if isinstance(engineers, (int, np.integer)) else engineers.copy()
    )
    defaults: dict[str, Any] = {
        "count": 1,
        "skill": "expert",
        "efficiency": 1.0,
        "shift_start": 0.0,
        "shift_end": cycle,
        "days_a_week": 7,
        "on_call": False,
        "east": np.nan,
        "north": np.nan,
    }
    for column in set(crew.columns) - set(defaults):
        problems.append(
            Problem(
                "engineers", 0, str(column), "", "is no column of a crew", f"known: {', '.join(defaults)}"
            )
        )
    for column, value in defaults.items():
        if column not in crew:
            crew[column] = value
    crew = crew.loc[crew.index.repeat(crew["count"].to_numpy().astype(int).clip(0))].reset_index(drop=True)
    if crew.empty:
        problems.append(
            Problem("engineers", 0, "count", "0", "is at least one engineer", "nobody serves the orders")
        )
    unknown = sorted(set(crew["skill"]) - set(SKILLS))
    problems += [
        Problem("engineers", 0, "skill", str(name), f"is one of {', '.join(SKILLS)}", "rename it")
        for name in unknown
    ]
    if not (crew["efficiency"] > 0).all():
        problems.append(
            Problem("engineers", 0, "efficiency", "", "is above 0", "give work done per standard hour")
        )
    if not travel_speed > 0:
        problems.append(
            Problem("simulate_region", 0, "travel_speed", str(travel_speed), "is above 0", "give km/hour")
        )
    if not days > 0:
        problems.append(Problem("simulate_region", 0, "days", str(days), "is above 0", "simulate some days"))
    if problems:
        raise DataError(problems)
    crew["level"] = [SKILLS.index(name) for name in crew["skill"]]
    return crew


def _moments(
    generator: np.random.Generator, count: int, span: float, profile: FloatArray | None
) -> FloatArray:
    if profile is None:
        return generator.random(count) * span
    day = generator.integers(0, max(int(span // HOURS_PER_DAY), 1), count)
    hour = generator.choice(HOURS_PER_DAY, size=count, p=np.asarray(profile) / np.sum(profile))
    return day * HOURS_PER_DAY + hour + generator.random(count)


def _places(generator: np.random.Generator, count: int, points: FloatArray | None, area: float) -> FloatArray:
    if points is None:
        return generator.random((count, 2)) * np.sqrt(area)
    return np.asarray(points, dtype=float)[generator.integers(len(points), size=count)]


def _draw(generator: np.random.Generator, law: str, mean: FloatArray, scv: FloatArray) -> FloatArray:
    """Draw times at the machine for the first and the second visit, shape (2, N)."""
    shape = (2, len(mean))
    if law == "lognormal":
        spread = np.sqrt(np.log1p(scv))
        return mean * np.exp(spread * generator.standard_normal(shape) - 0.5 * spread**2)
    form = 1.0 / np.maximum(scv, 1e-9)
    return np.where(scv > 0, generator.standard_gamma(np.broadcast_to(form, shape)) * mean / form, mean)


def _second_visits(
    generator: np.random.Generator, classes: pd.DataFrame, grade: NDArray[np.int64], work: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Draw the wait before a second visit (-1: none) and its work; a missing part cuts the first short."""
    chance = generator.random(len(grade))
    missing = chance < classes["missing_share"].to_numpy()[grade]
    again = ~missing & (chance < (classes["missing_share"] + classes["again_share"]).to_numpy()[grade])
    parts = generator.exponential(size=len(grade)) * classes["parts_hours"].to_numpy()[grade]
    after = np.where(missing, parts, np.where(again, 0.0, -1.0))
    second = work[1].copy()
    work[0] = np.where(
        missing, generator.exponential(size=len(grade)) * classes["diagnose_hours"].to_numpy()[grade], work[0]
    )
    return after, second


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
        responded = own["arrived" if promise["response_mode"] == "arrival" else "sent"] - own["opened"]
        for measure, value in (("respond", responded), ("resolve", own["solved"] - own["opened"])):
            limit, target = float(promise[f"{measure}_hours"]), float(promise["target"])
            if np.isnan(limit) or own.empty:
                continue
            # An order that was never reached is late, however long the run.
            good = (value <= limit).to_numpy(dtype=float)
            batches = np.array([part.mean() for part in np.array_split(good, min(BATCHES, len(good)))])
            half = _T95 * batches.std(ddof=1) / np.sqrt(len(batches)) if len(batches) > 1 else 1.0
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
