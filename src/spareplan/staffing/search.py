"""Search the least number of engineers by simulation, from a start by formula."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing.duty import Duty
from spareplan.staffing.looks import (
    FIRST_ORDERS,
    MOST_ORDERS,
    Chances,
    RegionLooks,
    Searched,
    Skills,
)
from spareplan.staffing.sizing import FULL_LOAD, Promises

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# Above this load of a region in which everybody waits, a run from an idle start says little; there the start
# by formula is not undercut; at full load (`FULL_LOAD`) no run is long enough.
HEAVY_LOAD = 0.95
# Nobody is searched for beyond this many times the start, and some.
_CEILING, _SPARE = 3, 20
# Steps up from a start that fails before the ceiling is tried.
_NEAR = 4


def search_row(
    start: int,
    orders: Mapping[str, FloatArray],
    limits: Promises,
    open_promises: Sequence[BoolArray],
    place: FloatArray | float,
    pace: float,
    diagnose_hours: float = 1.0,
    max_utilisation: float = 1.0,
    seed: int = 0,
    floor: int = 1,
    ceiling: int | None = None,
    duty: Duty = Duty(),  # noqa: B008 - frozen
    profile: FloatArray | None = None,
    on_shift: BoolArray | None = None,
    depot: bool = False,
    most_orders: int = MOST_ORDERS,
    skills: Skills | None = None,
    far: float | None = None,
    enough: int | None = None,
    chances: Chances | None = None,
) -> Searched:
    """Least engineers whose simulated orders keep every open promise.

    Parameters
    ----------
    start : int
        First guess.
    orders : mapping of str to ndarray, shape (K,)
        orders_per_day, work_hours; optional work_scv, parts_scv (1), missing_share, known_share,
        parts_hours, again_share (0), by class, most urgent first.
    limits : Promises
    open_promises : sequence of two ndarray of bool, shape (K,)
        Which response and which solution promises people can keep.
    place : ndarray of shape (n, 2) or float
        Where orders come from, or the side of an even square. [km]
    pace : float
        Drive per straight km. [hours/km]
    diagnose_hours : float
        Mean time at the machine until a part is found missing. [hours]
    max_utilisation : float
        Highest busy share of the hours on shift; 1: any.
    seed : int
    floor : int
        Fewest engineers that are looked at; never fewer than would carry the load if every order had to
        wait, and next to that not fewer than the start.
    ceiling : int, optional
        Most engineers that are looked at; None: three times the start and 20.
    duty : Duty
        When they are on shift, who is called out beyond it.
    profile : ndarray, shape (24,) or (7, 24), optional
        Calls per hour of the day, or of the week from Monday, against the mean.
    on_shift : ndarray of bool, shape (K,), optional
        Classes whose limits count the hours of the shift only; None: those that nobody is called out for.
    depot : bool
        Engineers drive back to where they started after every visit.
    most_orders : int
        Orders of one look at most, in doublings of 30,000.
    skills : Skills, optional
        What orders need and the crew has; None: everybody can do everything.
    far : float, optional
        Mean drive between two orders; None: from the places. [hours]
    enough : int, optional
        Engineers known to keep every open promise, as in a fuller month: only fewer are looked at. Where it
        is the answer its shares are NaN.
    chances : Chances, optional
        Of the same region and seed, shared by its months; None: its own.

    Returns
    -------
    Searched

    Raises
    ------
    DataError
        No orders, rates, shares or hours out of bounds, a shift that never begins, places that are none.

    Notes
    -----
    Sequential: 30,000 orders, twice as many until every target is clear by 2.5 standard errors (batches of
    whole days), up to `most_orders`, then the estimate itself (less its standard error where that is more
    than half a point, as where queues last for months); down from a pass, up from a fail. Every number of
    engineers meets the same orders, so the comparison shares its chance. Depends on nothing but its
    arguments.
    """
    _check(
        start, orders, limits, place, pace, diagnose_hours, max_utilisation, duty, profile, ceiling, skills
    )
    row = RegionLooks(
        orders, limits, open_promises, place, pace, diagnose_hours, max_utilisation, seed, duty, profile,
        on_shift, depot, most_orders, skills, chances,
    )  # fmt: skip
    # A crowd drives farther and so stays one: a region may run well for years, until it once fills up.
    crowd = row.crowded(far)
    lowest = max(floor, 1, int(np.ceil(crowd / FULL_LOAD)), min(start, int(np.ceil(crowd / HEAVY_LOAD))))
    top = max(_CEILING * start + _SPARE if ceiling is None else ceiling, lowest)
    if enough is not None and enough <= top:
        lowest, top = min(lowest, enough), enough

    def keeps(number: int) -> bool:
        return number == enough or row.look(number).kept

    servers = min(max(start, lowest), top)
    if keeps(servers):
        while servers > lowest and keeps(servers - 1):
            servers -= 1
    else:
        near = min(servers + _NEAR, top)
        while servers < near and not keeps(servers):
            servers += 1
        if not keeps(servers) and keeps(top):
            # Far off: halve what lies between.
            fails, servers = servers, top
            while servers - fails > 1:
                middle = (fails + servers) // 2
                fails, servers = (fails, middle) if keeps(middle) else (middle, servers)
        elif not keeps(servers):
            servers = top
    return row.known(servers) if servers == enough else row.result(servers)


def attained(
    servers: int,
    orders: Mapping[str, FloatArray],
    limits: Promises,
    place: FloatArray | float,
    pace: float,
    diagnose_hours: float = 1.0,
    seed: int = 0,
    duty: Duty = Duty(),  # noqa: B008 - frozen
    profile: FloatArray | None = None,
    on_shift: BoolArray | None = None,
    depot: bool = False,
    count: int = FIRST_ORDERS,
    skills: Skills | None = None,
) -> Searched:
    """Shares that some engineers keep in `count` simulated orders; arguments as in `search_row`.

    Returns
    -------
    Searched
        `kept` says nothing.

    Raises
    ------
    DataError
        As `search_row`.
    """
    _check(servers, orders, limits, place, pace, diagnose_hours, 1.0, duty, profile, None, skills)
    nothing = np.zeros(len(limits.respond), dtype=bool)
    row = RegionLooks(
        orders, limits, [nothing, nothing], place, pace, diagnose_hours, 1.0, seed, duty, profile, on_shift,
        depot, count, skills,
    )  # fmt: skip
    row.stretch_orders = count
    return row.result(servers)


def search_rows(rows: Sequence[Mapping[str, Any]], threads: int | None = None) -> list[Searched]:
    """Search many rows (`search_row`), several at a time.

    Parameters
    ----------
    rows : sequence of mappings
        Arguments of `search_row`, a mapping per row.
    threads : int, optional
        None: as many as there are processors. The result is the same for any number.

    Returns
    -------
    list of Searched
    """
    return in_threads(search_row, rows, threads)


def in_threads(task: Any, jobs: Sequence[Mapping[str, Any]], threads: int | None = None) -> list[Any]:
    """Call a task with each mapping of arguments, in order; the event loop runs free of the interpreter."""
    workers = min(threads or os.cpu_count() or 1, max(len(jobs), 1))
    if workers < 2:
        return [task(**job) for job in jobs]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda job: task(**job), jobs))


def _check(
    start: int,
    orders: Mapping[str, FloatArray],
    limits: Promises,
    place: FloatArray | float,
    pace: float,
    diagnose_hours: float,
    max_utilisation: float,
    duty: Duty,
    profile: FloatArray | None,
    ceiling: int | None,
    skills: Skills | None,
) -> None:
    problems = []

    def say(name: str, value: Any, good: Any, rule: str, remedy: str) -> None:
        if not bool(good):
            problems.append(Problem("search_row", 0, name, str(value), rule, remedy))

    count = len(limits.respond)
    for name, least, most, needed in (
        ("orders_per_day", 0.0, np.inf, True),
        ("work_hours", 0.0, np.inf, True),
        ("work_scv", 0.0, np.inf, False),
        ("missing_share", 0.0, 1.0, False),
        ("known_share", 0.0, 1.0, False),
        ("parts_hours", 0.0, np.inf, False),
        ("parts_scv", 0.0, np.inf, False),
        ("again_share", 0.0, 1.0 - 1e-9, False),
    ):
        if name not in orders:
            say(name, "", not needed, "is missing", "give it by class")
            continue
        values = np.asarray(orders[name], dtype=float)
        rule = f"is {least:g} or more" if most == np.inf else "lies from 0 to 1 (again_share below 1)"
        good = values.shape == (count,) and (values >= least).all() and (values <= most).all()
        say(
            name, values.tolist(), good and np.isfinite(values).all(), f"{rule}, a value per class", "mend it"
        )
    if not problems:
        total = np.asarray(orders["orders_per_day"], dtype=float)
        say("orders_per_day", total.tolist(), total.sum() > 0, "is above 0 for some class", "give orders")
    say("start", start, start == int(start) and start >= 0, "is a whole number, 0 or more", "give people")
    say("ceiling", ceiling, ceiling is None or ceiling >= 1, "is 1 or more", "give people")
    say("pace", pace, 0 <= pace < np.inf, "is 0 or more", "give hours/km")
    say("diagnose_hours", diagnose_hours, 0 <= diagnose_hours < np.inf, "is 0 or more", "give hours")
    say("max_utilisation", max_utilisation, max_utilisation > 0, "is above 0", "1: any")
    if isinstance(place, np.ndarray):
        good = place.ndim == 2 and place.shape[1:] == (2,) and len(place) > 0 and np.isfinite(place).all()
        say("place", place.shape, good, "are some finite rows of east and north", "give km")
    else:
        say("place", place, 0 <= place < np.inf, "is 0 or more", "give the side of the square")
    say(
        "duty.start",
        duty.start,
        0 <= duty.start < duty.end <= HOURS_PER_DAY,
        "is before the end, both in a day",
        "give hours of the day",
    )
    say(
        "duty.days_a_week",
        duty.days_a_week,
        1 <= duty.days_a_week <= DAYS_PER_WEEK,
        "lies from 1 to 7",
        "give days",
    )
    say("duty.on_call", duty.on_call, duty.on_call is None or duty.on_call >= 0, "is 0 or more", "None: all")
    say("duty.called_out", duty.called_out, duty.called_out >= 0, "is 0 or more", "count urgent classes")
    size = 0 if skills is None else np.size(skills.needs)
    for name, values in ({} if skills is None else skills._asdict()).items():
        part = np.asarray(values, dtype=float)
        sound = part.ndim == 1 and np.isfinite(part).all() and (part >= 0).all() and part.sum() > 0
        sound = sound and len(part) == size and (name != "efficiency" or (part > 0).all())
        rule = "is 0 or more, not 0 for all (efficiency above 0), a value per skill"
        say(f"skills.{name}", part.tolist(), sound, rule, "mend it")
    if profile is not None:
        hours = np.asarray(profile, dtype=float)
        good = (
            hours.shape in ((HOURS_PER_DAY,), (DAYS_PER_WEEK, HOURS_PER_DAY))
            and np.isfinite(hours).all()
            and (hours >= 0).all()
        )
        say(
            "profile",
            hours.tolist(),
            good and hours.sum() > 0,
            "is 0 or more by hour of the day or week",
            "give calls per hour",
        )
    if problems:
        raise DataError(problems)
