"""Search the least number of engineers by simulation, from a start by formula."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spareplan.maths.units import HOURS_PER_DAY
from spareplan.staffing._kernels import compiled_dispatch
from spareplan.staffing.sizing import Promises

FloatArray = NDArray[np.float64]
FIRST_ORDERS, MOST_ORDERS = 30_000, 480_000
# A target counts as decided when it is this many standard errors away.
CLEAR = 2.5
BATCHES = 20


def search_row(
    start: int,
    orders: dict[str, FloatArray],
    limits: Promises,
    open_promises: list[NDArray[np.bool_]],
    place: Any,
    pace: float,
    diagnose_hours: float,
    max_utilisation: float,
    seed: int,
    floor: int = 1,
) -> int:
    """Least engineers on duty round the clock whose simulated orders keep every open promise.

    Parameters
    ----------
    start : int
        First guess.
    orders : dict of str to ndarray, shape (K,)
        orders_per_day, work_hours, work_scv, missing_share, parts_hours, again_share by class.
    limits : Promises
    open_promises : list of ndarray of bool, shape (K,)
        Which response and which solution promises people can keep.
    place : ndarray of shape (n, 2) or float
        Where orders come from, or the side of an even square. [km]
    pace : float
        [hours/km]
    diagnose_hours : float
    max_utilisation : float
    seed : int
    floor : int
        Fewest engineers that are looked at: below it a run from an idle start says nothing about the
        long run.

    Returns
    -------
    int

    Notes
    -----
    30,000 orders per look, four times as many until every target is clear by 2.5 standard errors, up to
    480,000; down from a pass, up from a fail.
    """
    known: dict[int, bool] = {}

    def passes(servers: int) -> bool:
        if servers not in known:
            known[servers] = servers > 0 and _keeps(
                servers, orders, limits, open_promises, place, pace, diagnose_hours, max_utilisation, seed
            )
        return known[servers]

    servers = start
    if passes(servers):
        while servers > max(floor, 1) and passes(servers - 1):
            servers -= 1
        return servers
    while not passes(servers):
        servers += 1
    return servers


def _keeps(
    servers: int,
    orders: dict[str, FloatArray],
    limits: Promises,
    open_promises: list[NDArray[np.bool_]],
    place: Any,
    pace: float,
    diagnose_hours: float,
    max_utilisation: float,
    seed: int,
) -> bool:
    visits = 1.0 + orders["missing_share"] + orders["again_share"]
    hours = orders["work_hours"] * (1 + orders["again_share"]) + orders["missing_share"] * diagnose_hours
    if (orders["orders_per_day"] * hours).sum() / HOURS_PER_DAY >= servers or visits.sum() <= 0:
        return False
    count = FIRST_ORDERS
    while True:
        opened, grade, sent, arrived, solved, busy = _run(
            servers, orders, place, pace, diagnose_hours, count, seed
        )
        warm = count // 20
        clear, kept = True, busy <= max_utilisation
        respond = np.where(limits.arrival[grade], arrived, sent) - opened
        for value, limit, wanted in (
            (respond, limits.respond, open_promises[0]),
            (solved - opened, limits.resolve, open_promises[1]),
        ):
            good = value <= limit[grade]
            for k in np.flatnonzero(wanted & ~np.isnan(limit)):
                own = good[warm:][grade[warm:] == k]
                if not len(own):
                    continue
                share = own.mean()
                parts = (
                    np.array([part.mean() for part in np.array_split(own, BATCHES)])
                    if len(own) >= BATCHES
                    else own
                )
                error = max(parts.std(ddof=1) / np.sqrt(len(parts)), np.sqrt(0.25 / len(own)) / 50)
                clear &= bool(abs(share - limits.target[k]) > CLEAR * error)
                kept &= bool(share >= limits.target[k])
                if share < limits.target[k] - CLEAR * error:
                    return False
        if clear or count >= MOST_ORDERS:
            return bool(kept)
        count *= 4


def _run(
    servers: int,
    orders: dict[str, FloatArray],
    place: Any,
    pace: float,
    diagnose_hours: float,
    count: int,
    seed: int,
) -> tuple[Any, ...]:
    # The same seed at every number of engineers: the comparison shares its chance.
    generator = np.random.default_rng(seed)
    rate = orders["orders_per_day"] / HOURS_PER_DAY
    opened = np.cumsum(generator.exponential(1.0 / rate.sum(), count))
    grade = generator.choice(len(rate), size=count, p=rate / rate.sum())
    if isinstance(place, float):
        points, homes = generator.random((count, 2)) * place, generator.random((servers, 2)) * place
    else:
        points = place[generator.integers(len(place), size=count)]
        homes = place[generator.integers(len(place), size=servers)]
    form = 1.0 / np.maximum(orders["work_scv"], 1e-6)[grade]
    work = generator.standard_gamma(np.broadcast_to(form, (2, count))) * orders["work_hours"][grade] / form
    chance = generator.random(count)
    missing = chance < orders["missing_share"][grade]
    again = ~missing & (chance < (orders["missing_share"] + orders["again_share"])[grade])
    parts = generator.exponential(size=count) * orders["parts_hours"][grade]
    first = np.where(missing, generator.exponential(size=count) * diagnose_hours, work[0])
    sent, arrived, solved, busy = compiled_dispatch()(
        opened,
        grade,
        np.zeros(count, np.int64),
        points[:, 0].copy(),
        points[:, 1].copy(),
        first,
        np.where(missing, parts, np.where(again, 0.0, -1.0)),
        work[1].copy(),
        np.zeros(servers, np.int64),
        np.ones(servers),
        homes[:, 0].copy(),
        homes[:, 1].copy(),
        np.zeros(servers),
        np.full(servers, 24.0),
        np.zeros(servers, np.bool_),
        np.full(servers, 7, np.int64),
        0,
        pace,
        len(rate),
        1,
        24.0,
    )
    return opened, grade, sent, arrived, solved, float(busy.sum() / (servers * opened[-1]))
