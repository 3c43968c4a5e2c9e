"""Looks at a region with some engineers: the shares they keep in simulated orders, until they are clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_WEEK, HOURS_PER_DAY
from spareplan.staffing._kernels import compiled_dispatch
from spareplan.staffing._tally import compiled_tally
from spareplan.staffing.calls import VisitLaw, by_profile, classes_of, draw_places, draw_visits
from spareplan.staffing.duty import Duty
from spareplan.staffing.rotas import rotas
from spareplan.staffing.sizing import Promises
from spareplan.staffing.travel import SQUARE_PAIR, mean_pair_distance

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# Orders of one look, each stretch a run of its own: 30,000, in all 60,000, in all 120,000.
FIRST_ORDERS, MOST_ORDERS = 30_000, 120_000
# A target counts as decided when it is this many standard errors away.
CLEAR = 2.5
BATCH_ORDERS = 1_500
MERGED = 4
WARM_UP_SHARE = 0.05
# A run starts idle. Where the least urgent orders nearly never find somebody free it may drift for years;
# where they seldom do, it has not settled while waits of its second half are longer by so much.
LEAST_FREE, SELDOM_FREE, SETTLED_GROWTH = 0.02, 0.2, 1.2
# A share that the longest look leaves more uncertain than this has to be above its target by its error.
COARSE_ERROR = 0.005
# Queues that seldom empty remember long: their shares are looked at in so many times the orders.
CROWDED_FREE, CROWDED_TIMES = 0.1, 4


class Searched(NamedTuple):
    """What was found of a region (`spareplan.staffing.search.search_row`).

    Parameters
    ----------
    servers : int
        Least engineers that keep every open promise; the ceiling if none does.
    kept : bool
        Whether they do.
    respond, resolve : ndarray, shape (K,)
        Simulated share in time; NaN without a promise or without orders.
    respond_error, resolve_error : ndarray, shape (K,)
        Standard errors.
    utilisation : float
        Busy hours against hours of the shift.
    orders : int
        Simulated orders, all looks.
    """

    servers: int
    kept: bool
    respond: FloatArray
    resolve: FloatArray
    respond_error: FloatArray
    resolve_error: FloatArray
    utilisation: float
    orders: int


class Skills(NamedTuple):
    """Skills wanted and at hand, S of them, lowest first.

    Parameters
    ----------
    needs : ndarray, shape (S,)
        Share of the orders by the least skill that will do.
    crew : ndarray, shape (S,)
        Share of the engineers by skill.
    efficiency : ndarray, shape (S,)
        Work done per hour of a standard engineer.
    """

    needs: FloatArray
    crew: FloatArray
    efficiency: FloatArray

    def of(self, servers: int) -> NDArray[np.int64]:
        """Skill of each of some engineers, the highest first, in the shares of the crew."""
        exact = servers * self.crew / self.crew.sum()
        whole = np.floor(exact + 1e-9).astype(np.int64)
        # What is left goes to the largest remainders, of equal ones to the higher skill.
        order = np.lexsort((-np.arange(len(exact)), -np.round(exact - whole, 9)))
        whole[order[: servers - int(whole.sum())]] += 1
        return np.repeat(np.arange(len(exact))[::-1], whole[::-1])


ONE_SKILL = Skills(np.ones(1), np.ones(1), np.ones(1))


class Look(NamedTuple):
    """What some engineers keep: shares and standard errors, shape (K, 2): respond, resolve."""

    kept: bool
    share: FloatArray
    error: FloatArray
    utilisation: float


class Stretch(NamedTuple):
    """Orders of one run, the same for every number of engineers."""

    opened: FloatArray
    grade: NDArray[np.int64]
    need: NDArray[np.int64]
    east: FloatArray
    north: FloatArray
    first: NDArray[np.int64]
    hours: FloatArray
    wait: FloatArray


VisitDraw = tuple[NDArray[np.int64], FloatArray, FloatArray]


class Chances:
    """What chance gives the orders of a region, whatever the month; kept so that its months share it."""

    def __init__(self) -> None:
        self.calls: dict[int, tuple[FloatArray, FloatArray, FloatArray, FloatArray]] = {}
        self.visits: dict[int, tuple[NDArray[np.int64], VisitLaw, VisitDraw]] = {}


class RegionLooks:
    """One region with its orders, drawn as far as they are needed."""

    def __init__(
        self,
        orders: Mapping[str, FloatArray],
        limits: Promises,
        open_promises: Sequence[BoolArray],
        place: FloatArray | float,
        pace: float,
        diagnose_hours: float,
        max_utilisation: float,
        seed: int,
        duty: Duty,
        profile: FloatArray | None,
        on_shift: BoolArray | None,
        depot: bool,
        most_orders: int,
        skills: Skills | None = None,
        chances: Chances | None = None,
    ) -> None:
        self.rate = np.asarray(orders["orders_per_day"], dtype=float) / HOURS_PER_DAY
        none = np.zeros(len(self.rate))
        self.law = VisitLaw(
            np.asarray(orders["work_hours"], dtype=float),
            np.asarray(orders.get("work_scv", none + 1.0), dtype=float),
            np.asarray(orders.get("missing_share", none), dtype=float),
            np.asarray(orders.get("known_share", none), dtype=float),
            np.asarray(orders.get("parts_hours", none), dtype=float),
            np.asarray(orders.get("parts_scv", none + 1.0), dtype=float),
            none + diagnose_hours,
            np.asarray(orders.get("again_share", none), dtype=float),
        )
        self.limits, self.pace = limits, float(pace)
        self.place = place if isinstance(place, np.ndarray) else float(place)
        self.wanted = np.stack([np.asarray(part, dtype=bool) for part in open_promises], axis=1)
        self.wanted &= ~np.isnan(np.stack([limits.respond, limits.resolve], axis=1))
        self.max_utilisation, self.seed = max_utilisation, seed
        self.duty, self.profile, self.depot = duty, profile, depot
        waits = (np.arange(len(none)) >= duty.called_out) & (not duty.round_the_clock)
        self.on_shift = waits if on_shift is None else np.asarray(on_shift, dtype=bool)
        self.stretch_orders, self.most_orders = FIRST_ORDERS, most_orders
        self.skills = ONE_SKILL if skills is None else skills
        self.chances = Chances() if chances is None else chances
        # Everybody works the same shifts.
        self.shifts = rotas(
            np.array([float(duty.start)]),
            np.array([float(duty.end)]),
            np.array([duty.days_a_week]),
            HOURS_PER_DAY,
        )
        self.stretches: list[Stretch] = []
        self.looks: dict[int, Look] = {}
        self.simulated = 0

    def look(self, servers: int) -> Look:
        """Shares kept by `servers` engineers, as many orders as it takes to be clear."""
        if servers not in self.looks:
            self.looks[servers] = self._look(servers)
        return self.looks[servers]

    def crowded(self, far: float | None) -> float:
        """Engineers kept busy if every order had to wait, so that nobody sets out from near; 0 by shift."""
        if self.depot or not self.duty.round_the_clock:
            return 0.0
        if isinstance(self.place, np.ndarray):
            pair = mean_pair_distance(self.place) if far is None else 0.0
        else:
            pair = self.place * SQUARE_PAIR
        drive = pair * self.pace if far is None else far
        crew = np.asarray(self.skills.crew, dtype=float)
        output = float((crew * self.skills.efficiency).sum() / crew.sum())
        return float((self.rate * (self.law.hours + self.law.visits * drive)).sum()) / output

    def result(self, servers: int) -> Searched:
        """Tell what was found for `servers` engineers."""
        look = self.look(servers)
        promised = ~np.isnan(np.stack([self.limits.respond, self.limits.resolve], axis=1))
        share, error = np.where(promised, look.share, np.nan), np.where(promised, look.error, np.nan)
        return Searched(
            servers, look.kept, share[:, 0], share[:, 1], error[:, 0], error[:, 1], look.utilisation,
            self.simulated,
        )  # fmt: skip

    def known(self, servers: int) -> Searched:
        """Tell that `servers` engineers keep all, as is known without a look."""
        none = np.full(len(self.rate), np.nan)
        return Searched(servers, True, none, none, none, none, np.nan, self.simulated)

    def _look(self, servers: int) -> Look:
        never = np.zeros(self.wanted.shape)
        # Work alone is more than they can do: no run would settle.
        if servers < 1 or (self.wanted.any() and (self.rate * self.law.hours).sum() >= servers):
            return Look(False, never, never, np.inf)
        target = self.limits.target[:, None]
        batches: list[FloatArray] = []
        busy = hours = 0.0
        number = done = 0
        while True:
            counts, worked, span, settled, crowded = self._run(servers, number)
            batches.append(counts)
            busy, hours = busy + worked, hours + span
            done += len(self.stretches[number].opened)
            number += 1
            share, error = _shares(np.concatenate(batches), target)
            utilisation = busy / (servers * hours * _duty_share(self.duty))
            seen = self.wanted & ~np.isnan(share)
            surely = share - np.where(error > COARSE_ERROR, error, 0.0) >= target
            kept = bool(surely[seen].all()) and settled
            kept &= self.max_utilisation >= 1.0 or utilisation <= self.max_utilisation
            lost = bool((share < target - CLEAR * error)[seen].any())
            clear = settled and bool((np.abs(share - target) > CLEAR * error)[seen].all())
            most = self.most_orders * (CROWDED_TIMES if crowded and self.wanted.any() else 1)
            if lost or (clear and not crowded) or done >= most:
                return Look(kept, share, error, utilisation)

    def _run(self, servers: int, number: int) -> tuple[FloatArray, float, float, bool, bool]:
        if number == len(self.stretches):
            self.stretches.append(self._draw(number))
        orders = self.stretches[number]
        homes = draw_places(np.random.default_rng([self.seed, number, 1]), servers, self.place)
        duty, shifts, count = self.duty, self.shifts, len(orders.opened)
        level = self.skills.of(servers)
        called = servers if duty.on_call is None else min(duty.on_call, servers)
        sent, arrived, solved, busy = compiled_dispatch()(
            *orders,
            level,
            np.asarray(self.skills.efficiency, dtype=float)[level],
            *homes,
            np.zeros(servers, np.int64),
            np.arange(servers) < called,
            shifts.starts_on,
            shifts.change_at,
            shifts.change_rota,
            shifts.period,
            int(duty.called_out),
            self.pace,
            len(self.rate),
            len(self.skills.needs),
            self.depot,
        )
        self.simulated += count
        arrival = self.limits.arrival[orders.grade]
        responded = np.where(arrival, arrived, sent) if arrival.any() else sent
        ready = orders.opened
        if (self.law.known_share > 0).any():
            ready = orders.opened + orders.wait[orders.first[:-1]]
        counts = compiled_tally()(
            self._cuts(orders.opened),
            orders.grade,
            orders.opened,
            ready,
            sent,
            responded,
            solved,
            self.limits.respond,
            self.limits.resolve,
            self.on_shift,
            float(duty.start),
            float(duty.end),
            int(duty.days_a_week),
        )
        half = len(counts) // 2
        early, later = counts[:half].sum(axis=(0, 1)), counts[half:].sum(axis=(0, 1))
        grows = later[3] * early[0] > SETTLED_GROWTH * early[3] * later[0]
        last = counts[:, np.flatnonzero(self.rate > 0)[-1]].sum(axis=0)
        free = last[4] / max(last[0], 1.0)
        settled = free >= LEAST_FREE and not (grows and free < SELDOM_FREE)
        # At the brink no length of run would help.
        crowded = bool(LEAST_FREE / 2 <= free < CROWDED_FREE)
        return counts, float(busy.sum()), float(orders.opened[-1]), bool(settled), crowded

    def _draw(self, number: int) -> Stretch:
        """Draw one stretch: as many orders as all before it together."""
        count = self.stretch_orders * 2 ** max(number - 1, 0)
        known = self.chances
        if number not in known.calls:
            generator = np.random.default_rng([self.seed, number])
            calls = np.cumsum(generator.standard_exponential(count)), generator.random(count)
            known.calls[number] = *calls, *draw_places(generator, count, self.place)
        calls_expected, chance, east, north = known.calls[number]
        opened = by_profile(calls_expected, float(self.rate.sum()), self.profile)
        grade = classes_of(chance, self.rate)
        drawn = known.visits.get(number)
        same = drawn is not None and np.array_equal(drawn[0], grade) and np.array_equal(drawn[1], self.law)
        if drawn is None or not same:
            generator = np.random.default_rng([self.seed, number, 2])
            drawn = grade, self.law, draw_visits(generator, grade, self.law)
            known.visits[number] = drawn
        need = np.zeros(count, np.int64)
        if len(self.skills.needs) > 1:
            generator = np.random.default_rng([self.seed, number, 3])
            need = classes_of(generator.random(count), self.skills.needs)
        return Stretch(opened, grade, need, east, north, *drawn[2])

    def _cuts(self, opened: FloatArray) -> NDArray[np.int64]:
        """Where batches begin: whole days (weeks if some are free), as many as make 1,500 orders each."""
        count = len(opened)
        most = max(round(count / BATCH_ORDERS), 2)
        if self.duty.round_the_clock and self.profile is None:
            return np.linspace(WARM_UP_SHARE * count, count, most + 1).astype(np.int64)
        by_week = self.profile is not None and np.size(self.profile) > HOURS_PER_DAY
        weekly = self.duty.days_a_week < DAYS_PER_WEEK or by_week
        unit = float(HOURS_PER_DAY * (DAYS_PER_WEEK if weekly else 1))
        begin, end = np.ceil(WARM_UP_SHARE * opened[-1] / unit), np.floor(opened[-1] / unit)
        edges = np.unique(np.round(np.linspace(begin, end, most + 1)))
        return np.searchsorted(opened, edges * unit).astype(np.int64)


def _shares(counts: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shares in time and their standard errors from batches, shape (K, 2) each; NaN without orders."""
    orders, good = counts[:, :, 0].sum(axis=0)[:, None], counts[:, :, 1:3].sum(axis=0)
    safe = np.maximum(orders, 1.0)
    share = np.where(orders > 0, good / safe, np.nan)
    off = counts[:, :, 1:3] - share * counts[:, :, :1]
    error = np.zeros(share.shape)
    # Long batches too: queues that last longer than a batch make short ones look surer than they are.
    for together in (1, MERGED):
        size = len(counts) // together
        if size > 1:
            parts = off[: size * together].reshape(size, together, *off.shape[1:]).sum(axis=1)
            error = np.maximum(error, np.sqrt(size / (size - 1) * (parts**2).sum(axis=0)) / safe)
    # Quiet batches of a rare class look surer than they are: never less than the error of independent orders.
    return share, np.maximum(error, np.sqrt(target * (1.0 - target) / safe))


def _duty_share(duty: Duty) -> float:
    return (duty.end - duty.start) * duty.days_a_week / (HOURS_PER_DAY * DAYS_PER_WEEK)
