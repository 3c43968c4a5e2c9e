"""Made-up demand with known truth, by kind; nothing here was fitted to a real panel or to any forecast.

Each kind draws rates per part first, then demand from a simple law at those rates. The same law and rates
give the truth: sums drawn by somebody who knows both. Their loss is the least that can be reached in the long
run; nobody reaches it, as rates, and coming ones above all, are never known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Law = Callable[[np.random.Generator, FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Simulated:
    """Rates, law and clock of a made-up panel.

    Parameters
    ----------
    rate : ndarray, shape (n, c)
        What the law takes as rate in each period. [orders or pieces per period]
    size : ndarray, shape (n, 1)
        What the law takes as second parameter of each part.
    law : callable
        (rng, rate, size) -> demand, all of one shape. [pieces]
    lead : int
        [periods]
    origins : tuple of int
    start : ndarray of int, shape (n,), optional
        First period of each part.
    exposure : ndarray, shape (n, c), optional
        Machines in service.
    """

    rate: FloatArray
    size: FloatArray
    law: Law
    lead: int = 3
    origins: tuple[int, ...] = (33, 37, 41, 45)
    start: NDArray[np.int64] | None = None
    exposure: FloatArray | None = field(default=None)

    def demand(self, rng: np.random.Generator) -> FloatArray:
        """One history, NaN before the start. [pieces]"""
        drawn = self.law(rng, self.rate, np.broadcast_to(self.size, self.rate.shape))
        if self.start is not None:
            drawn = np.where(np.arange(drawn.shape[1]) < self.start[:, None], np.nan, drawn)
        return drawn

    def sums(self, origin: int, draws: int, rng: np.random.Generator) -> FloatArray:
        """Draw sums of the periods after the origin, shape (n, draws). [pieces]"""
        shape = (len(self.rate), draws)
        size = np.broadcast_to(self.size, shape)
        total = np.zeros(shape)
        for period in range(origin, origin + self.lead):
            total += self.law(rng, np.broadcast_to(self.rate[:, period, None], shape), size)
        return total


def geometric_orders(rng: np.random.Generator, rate: FloatArray, size: FloatArray) -> FloatArray:
    """Poisson orders of geometric size: `rate` orders per period, `size` pieces per order on average."""
    orders = rng.poisson(rate)
    more = np.zeros(rate.shape)
    some = (orders > 0) & (size > 1)
    more[some] = rng.negative_binomial(orders[some], 1 / size[some])
    return orders + more


def heavy_orders(rng: np.random.Generator, rate: FloatArray, size: FloatArray) -> FloatArray:
    """At most one order per period, with chance `rate`, of lognormal size: median `size`, log sd 1.3."""
    hit = rng.random(rate.shape) < rate
    return np.where(hit, np.ceil(size * np.exp(1.3 * rng.standard_normal(rate.shape))), 0.0)


def lots(rng: np.random.Generator, rate: FloatArray, size: FloatArray) -> FloatArray:
    """At most one order per period, with chance `rate`, of one or two lots of `size` pieces."""
    hit = rng.random(rate.shape) < rate
    return np.where(hit, size * (1 + (rng.random(rate.shape) < 0.25)), 0.0)


def amounts(rng: np.random.Generator, rate: FloatArray, size: FloatArray) -> FloatArray:
    """Poisson orders of gamma amounts (shape 2, mean `size`), to a tenth of a unit."""
    orders = rng.poisson(rate)
    return np.ceil(np.where(orders > 0, rng.gamma(2.0 * np.maximum(orders, 1)), 0.0) * size / 2 * 10) / 10


def noisy_counts(rng: np.random.Generator, rate: FloatArray, size: FloatArray) -> FloatArray:
    """Negative binomial with mean `rate` and gamma shape `size`."""
    return rng.poisson(rate * rng.gamma(size) / size).astype(float)


def fluids(parts: int, rng: np.random.Generator) -> Simulated:
    """Oils and cables in litres and metres, no whole numbers: most months some, a season of a fifth."""
    swing = 1 + 0.2 * np.cos(2 * np.pi * (np.arange(48.0) - 6) / 12)
    rate = np.exp(rng.uniform(np.log(0.1), np.log(3), (parts, 1))) * swing
    return Simulated(rate, np.exp(rng.normal(1, 1.5, (parts, 1))), amounts)


def slow_movers(parts: int, rng: np.random.Generator) -> Simulated:
    """Spares of constant need: gamma-mixed rates (shape 0.6, mean 0.12 a month), orders of one to few."""
    rate = rng.gamma(0.6, 0.2, (parts, 1)) * np.ones(48)
    return Simulated(rate, 1 + rng.exponential(0.6, (parts, 1)), geometric_orders)


def dying_fleet(parts: int, rng: np.random.Generator) -> Simulated:
    """Two parts in three decay from some month on, with half-lives of 2 to 12 months; the others go on."""
    month = np.arange(54.0)
    begin = np.where(rng.random((parts, 1)) < 2 / 3, rng.uniform(-6, 48, (parts, 1)), np.inf)
    half_life = np.exp(rng.uniform(np.log(2), np.log(12), (parts, 1)))
    alive = 0.5 ** (np.maximum(month - begin, 0) / half_life)
    rate = rng.gamma(1.0, 0.6, (parts, 1)) * alive
    return Simulated(rate, 1 + rng.exponential(0.8, (parts, 1)), geometric_orders, origins=(36, 41, 46, 51))


def launch(parts: int, rng: np.random.Generator) -> Simulated:
    """New products: parts start in months 0 to 40 and need half a year to a year and a half to full rate."""
    month = np.arange(48.0)
    start = rng.integers(0, 41, parts)
    ramp = rng.uniform(6, 18, (parts, 1))
    rate = rng.gamma(0.8, 0.7, (parts, 1)) * np.clip((month - start[:, None]) / ramp, 0, 1)
    return Simulated(rate, 1 + rng.exponential(1.0, (parts, 1)), geometric_orders, start=start)


def season(parts: int, rng: np.random.Generator) -> Simulated:
    """Construction: demand swings over the year by 30 to 90 %, highest about June; counts with noise."""
    month = np.arange(66.0)
    swing = rng.uniform(0.3, 0.9, (parts, 1))
    peak = rng.normal(5.5, 0.7, (parts, 1))
    level = np.exp(rng.normal(0.5, 1.2, (parts, 1)))
    rate = level * (1 + swing * np.cos(2 * np.pi * (month - peak) / 12))
    return Simulated(rate, np.full((parts, 1), 3.0), noisy_counts, origins=(50, 54, 58, 62))


def lumpy(parts: int, rng: np.random.Generator) -> Simulated:
    """An order in one month of two to thirty, with lognormal sizes of long tail around medians of 1 to 50."""
    rate = np.exp(rng.uniform(np.log(0.03), np.log(0.5), (parts, 1))) * np.ones(48)
    return Simulated(rate, np.exp(rng.uniform(0, np.log(50), (parts, 1))), heavy_orders)


def fast_movers(parts: int, rng: np.random.Generator) -> Simulated:
    """Consumables: tens to thousands a month, noise of a fifth, levels that wander by 4 % a month."""
    walk = np.cumsum(rng.normal(0, 0.04, (parts, 48)), axis=1)
    rate = np.exp(rng.normal(5, 1.2, (parts, 1)) + walk)
    return Simulated(rate, np.full((parts, 1), 25.0), noisy_counts)


def daily(parts: int, rng: np.random.Generator) -> Simulated:
    """Days: orders in one day of ten to two hundred, none at weekends; sums of 14 days."""
    day = np.arange(420)
    rate = np.exp(rng.uniform(np.log(0.005), np.log(0.1), (parts, 1))) * np.where(day % 7 < 5, 1.4, 0.0)
    size = 1 + rng.exponential(1.5, (parts, 1))
    return Simulated(rate, size, geometric_orders, lead=14, origins=(342, 364, 385, 406))


def weekly(parts: int, rng: np.random.Generator) -> Simulated:
    """Weeks: an order in one week of two to forty, in lots; sums of 8 weeks."""
    rate = np.exp(rng.uniform(np.log(0.025), np.log(0.5), (parts, 1))) * np.ones(156)
    size = rng.choice([1.0, 2.0, 5.0, 10.0, 25.0], (parts, 1))
    return Simulated(rate, size, lots, lead=8, origins=(120, 129, 138, 148))


def few_heavy(parts: int, rng: np.random.Generator) -> Simulated:
    """One part in twenty runs at 50 to 500 a month, regularly; the others see an order every year or two."""
    heavy = rng.random((parts, 1)) < 0.05
    rate = np.where(heavy, np.exp(rng.uniform(np.log(50), np.log(500), (parts, 1))), 0.0)
    rate = np.where(heavy, rate, rng.gamma(0.8, 0.08, (parts, 1))) * np.ones(48)
    return Simulated(rate, np.where(heavy, 12.0, 0.8), noisy_counts)


def projects(parts: int, rng: np.random.Generator) -> Simulated:
    """Slow movers of which every fourth had one project: a month at 20 to 100 times its mean rate."""
    rate = rng.gamma(1.0, 0.3, (parts, 1)) * np.ones(48)
    when = rng.integers(0, 48, parts)
    times = np.where(rng.random(parts) < 0.25, np.exp(rng.uniform(np.log(20), np.log(100), parts)), 1.0)
    rate[np.arange(parts), when] *= times
    return Simulated(rate, 1 + rng.exponential(0.4, (parts, 1)), geometric_orders)


def installed(parts: int, rng: np.random.Generator) -> Simulated:
    """Failures per machine: fleets of ten models grow or shrink by up to 5 % a month, and are known."""
    month = np.arange(48.0)
    model = rng.integers(0, 10, parts)
    growth = rng.uniform(-0.05, 0.05, 10)
    fleets = np.exp(rng.normal(4, 1, (10, 1)) + growth[:, None] * (month - 24))
    exposure = np.maximum(np.round(fleets), 1.0)[model]
    rate = rng.gamma(0.8, 0.008, (parts, 1)) * exposure
    return Simulated(rate, 1 + rng.exponential(0.3, (parts, 1)), geometric_orders, exposure=exposure)


def planned_work(parts: int, rng: np.random.Generator) -> Simulated:
    """Overhauls: a lot every 2 to 12 months by the calendar, missed one time in ten, little in between."""
    month = np.arange(60)
    every = rng.integers(2, 13, (parts, 1))
    due = (month + rng.integers(0, 12, (parts, 1))) % every == 0
    rate = np.where(due, 0.9, 0.02)
    return Simulated(
        rate, rng.choice([1.0, 2.0, 4.0, 10.0, 40.0], (parts, 1)), lots, origins=(45, 49, 53, 57)
    )


def level_shifts(parts: int, rng: np.random.Generator) -> Simulated:
    """Customers come and go: rates jump up or down two- to eightfold, once in 30 months on average."""
    jumps = (rng.random((parts, 48)) < 1 / 30) * rng.uniform(np.log(2), np.log(8), (parts, 48))
    walk = np.cumsum(jumps * rng.choice([-1.0, 1.0], (parts, 48)), axis=1)
    rate = rng.gamma(1.0, 1.0, (parts, 1)) * np.exp(np.clip(walk, -3, 3))
    return Simulated(rate, 1 + rng.exponential(0.5, (parts, 1)), geometric_orders)


def mixed(parts: int, rng: np.random.Generator) -> Simulated:
    """One warehouse: a sixth each of slow, lumpy, fast, shifting, new and project-struck parts."""
    kinds = (slow_movers, lumpy, fast_movers, level_shifts, launch, projects)
    each = [kind(len(rows), rng) for kind, rows in zip(kinds, np.array_split(np.arange(parts), len(kinds)))]
    ends = np.cumsum([len(one.rate) for one in each])

    def law(rng: np.random.Generator, rate: FloatArray, size: FloatArray) -> FloatArray:
        blocks = zip(each, np.split(rate, ends[:-1]), np.split(size, ends[:-1]))
        return np.concatenate([one.law(rng, block, sizes) for one, block, sizes in blocks])

    start = [np.zeros(len(one.rate), np.int64) if one.start is None else one.start for one in each]
    rate, size = (np.concatenate([getattr(one, name) for one in each]) for name in ("rate", "size"))
    return Simulated(rate, size, law, start=np.concatenate(start))


Kind = Callable[[int, np.random.Generator], Simulated]
KINDS: dict[str, Kind] = {
    kind.__name__.replace("_", " "): kind
    for kind in (
        slow_movers,
        dying_fleet,
        launch,
        season,
        lumpy,
        fast_movers,
        daily,
        weekly,
        few_heavy,
        projects,
        installed,
        planned_work,
        level_shifts,
        fluids,
        mixed,
    )
}
