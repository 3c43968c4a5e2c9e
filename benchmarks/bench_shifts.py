"""Day shifts by the daily chain against simulation: `python benchmarks/bench_shifts.py [regions] [seed]`.

Draws fresh regions (machines evenly spread or in clusters, work of scv 0.3 to 2.5, half of them with work
that differs by class, 3 to 40 engineers on a shift from 8 to 18), sizes each by `size_day` and looks with
`simulate_region` for the least number that keeps all four promises (20 min, 1 h, 8 h, 24 h; P1 and P2 called
out at any hour, P3 and P4 counted in hours of the shift). Then the same for other duties: office hours with
free weekends, calls by the hour of the day, twelve people on call, a night shift. Seconds are CPU
seconds of this process. At the end the first example: a desk that goes from two shifts to three.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

from spareplan import staffing
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.day_chain import day_kept, size_day
from spareplan.staffing.desk import first_example
from spareplan.staffing.duty import Duty
from spareplan.staffing.shift_cycle import shift_hours
from spareplan.staffing.sizing import Promises
from spareplan.staffing.travel import distance_table

LIMITS = np.array([1 / 3, 1.0, 8.0, 24.0])
PROMISES = Promises(LIMITS, np.full(4, np.nan), np.full(4, 0.95), np.zeros(4, dtype=bool))
OFFICE = np.array([3, 2, 2, 2, 2, 3, 5, 9, 14, 17, 18, 16, 13, 14, 15, 14, 12, 10, 8, 7, 6, 5, 4, 3], float)
MINIMUM, ORDERS = 0.95, 120_000
NEAR = 25


class Region:
    """One random region with orders for about `about` engineers on a day shift."""

    def __init__(self, number: int, generator: np.random.Generator, duty: Duty) -> None:
        self.side = np.sqrt(np.exp(generator.uniform(np.log(2e3), np.log(3e5))))
        self.clustered, self.unequal = bool(number % 2), bool(number // 2 % 2)
        if self.clustered:
            centres = generator.uniform(0, self.side, (generator.integers(3, 7), 2))
            around = generator.normal(0, self.side / 25, (300, 2))
            self.points = centres[generator.integers(len(centres), size=300)] + around
        else:
            self.points = generator.uniform(0, self.side, (300, 2))
        self.speed = generator.uniform(45, 70)
        factor = np.exp(generator.uniform(-0.55, 0.55, 4)) if self.unequal else np.ones(4)
        self.work = generator.uniform(2, 10) * factor
        self.scv = float(np.exp(generator.uniform(np.log(0.3), np.log(2.5))))
        mix = generator.dirichlet([2, 3, 5, 6])
        table = distance_table(self.points, 60, int(generator.integers(1 << 30)))
        pace = 1.3 / self.speed
        about = generator.integers(3, 41)
        service = (mix * self.work).sum() + 0.5 * table.mean[0] * pace
        carried = (shift_hours(duty) + min(service, 10.0)) * duty.days_a_week / (24 * 7)
        rates = mix * about * carried * generator.uniform(0.5, 0.85) / service
        self.rows = RegionRows(
            rates[None],
            self.work[None],
            np.array([self._scv(mix, table.quantiles[0] * pace)]),
            np.array([0]),
            table.mean[None] * pace,
            table.quantiles[None] * pace,
        )

    def _scv(self, mix: np.ndarray, drives: np.ndarray) -> float:
        mean = (mix * self.work).sum() + drives.mean()
        square = (mix * self.work**2).sum() * (1 + self.scv) + 2 * (mix * self.work).sum() * drives.mean()
        return float((square + (drives**2).mean()) / mean**2 - 1)

    def kept(self, servers: int, duty: Duty, profile: np.ndarray | None, seed: int = 5) -> np.ndarray:
        """Share answered in time in `ORDERS` simulated orders."""
        per_day = self.rows.rates[0] * 24
        crew = servers if duty.on_call is None else min(duty.on_call, servers)
        base = {"shift_start": duty.start, "shift_end": duty.end, "days_a_week": duty.days_a_week}
        engineers = pd.DataFrame(
            [
                {"count": count, "on_call": called, **base}
                for count, called in ((crew, True), (servers - crew, False))
                if count
            ]
        )
        orders = pd.DataFrame(
            {
                "priority": ["P1", "P2", "P3", "P4"],
                "orders_per_day": per_day,
                "work_hours": self.work,
                "work_scv": self.scv,
            }
        )
        run = staffing.simulate_region(
            orders, engineers, self.points, days=ORDERS / per_day.sum(), seed=seed,
            travel_speed=self.speed, urgent=duty.called_out, profile=profile,
        )  # fmt: skip
        told = run.orders
        opened, sent = told["opened"].to_numpy(), told["sent"].to_numpy()
        waited = np.where(
            told["priority"].isin(["P1", "P2"]), sent - opened, worked(sent, duty) - worked(opened, duty)
        )
        good = waited <= told["priority"].map(dict(zip(["P1", "P2", "P3", "P4"], LIMITS, strict=True)))
        return good.groupby(told["priority"]).mean().to_numpy()


def worked(moment: np.ndarray, duty: Duty) -> np.ndarray:
    """Hours of shifts until a moment."""
    length = shift_hours(duty)
    begun = np.floor((moment - duty.start) / 24)
    week = np.floor(begun / 7)
    weekday = begun - 7 * week
    into = np.clip(moment - duty.start - 24 * begun, 0, length)
    whole = length * (duty.days_a_week * week + np.minimum(weekday, duty.days_a_week))
    return np.nan_to_num(whole + np.where(weekday < duty.days_a_week, into, 0.0), nan=1e9)


def compare(count: int, seed: int, duty: Duty, profile: np.ndarray | None) -> pd.DataFrame:
    """Sizes by the chain and by simulation, a row per region."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        region = Region(number, generator, duty)
        began = time.process_time()
        sized = size_day(region.rows, PROMISES, duty, profile)
        cpu = time.process_time() - began
        chain = int(sized.servers[0])
        # The rule for chains that know no common rhythm: one engineer more for even repairs.
        ruled = chain + (region.scv < 0.9 and chain >= 6)
        least: dict[int, float] = {}

        def worst(n: int, region: Region = region, least: dict[int, float] = least) -> float:
            if n not in least:
                least[n] = float(region.kept(n, duty, profile).min())
            return least[n]

        star = chain
        while worst(star) < MINIMUM and star < chain + NEAR:
            star += 1
        while star > 1 and worst(star) >= MINIMUM and worst(star - 1) >= MINIMUM:
            star -= 1
        told = day_kept(region.rows, chain, PROMISES, duty, profile)
        real = region.kept(chain, duty, profile)
        rows.append(
            {
                "clustered": region.clustered,
                "unequal": region.unequal,
                "scv": region.scv,
                "chain": chain,
                "ruled": ruled,
                "least": star,
                "worst_chain": worst(chain),
                "worst_ruled": worst(ruled),
                "cpu": cpu,
                **{f"error_P{k + 1}": told[k] - real[k] for k in range(4)},
            }
        )
    return pd.DataFrame(rows)


def tell(name: str, table: pd.DataFrame) -> None:
    """Print how near the numbers are."""
    for kind in ("chain", "ruled"):
        missed = (table[f"worst_{kind}"] < MINIMUM - 0.01).sum()
        gaps = (table[kind] - table["least"]).value_counts().sort_index().to_dict()
        worst, total = table[f"worst_{kind}"].min(), table[kind].sum() / table["least"].sum()
        print(
            f"{name:26s} {kind:6s} missed > 1 pt {missed}/{len(table)}, worst {worst:.4f}, "
            f"n - n* {gaps}, sum {total:.4f}"
        )
    errors = ", ".join(
        f"P{k} {100 * table[f'error_P{k}'].mean():+.2f} ({100 * table[f'error_P{k}'].std():.2f})"
        for k in (1, 2, 3, 4)
    )
    print(f"{'':34s} chain - simulation, points: {errors}; {table['cpu'].mean():.2f} CPU s a region")


def main() -> None:
    """Print all tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20_261_206
    day_kept(Region(0, np.random.default_rng(0), Duty(8, 18)).rows, 3, PROMISES, Duty(8, 18))
    tell("8-18, all on call", compare(count, seed, Duty(8, 18), None))
    others = max(count // 3, 4)
    week = np.tile(OFFICE / OFFICE.mean(), (7, 1))
    for number, (name, duty, profile) in enumerate(
        (
            ("8-17, Monday to Friday", Duty(8, 17, 5), None),
            ("8-18, calls by the hour", Duty(8, 18), week[0]),
            ("8-18, 12 on call", Duty(8, 18, 7, 12), None),
            ("20-6, all on call", Duty(20, 6), None),
        )
    ):
        tell(name, compare(others, seed + 1 + number, duty, profile))
    print("\nA desk of 450 cases a month:")
    print(first_example(450).to_string(index=False))


if __name__ == "__main__":
    main()
