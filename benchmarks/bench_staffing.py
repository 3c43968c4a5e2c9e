"""Times and figures of the head count: `python benchmarks/bench_staffing.py`.

Prints 9,600 single and 2,400 joint sizings beside a naive scan of the same rows, people saved by joint
sizing, sizing with travel, simulated orders per second, the search by simulation, and the head count plan.
Seconds are CPU seconds of this process.
"""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd

from spareplan import staffing
from spareplan.config import StaffingOptions
from spareplan.staffing._kernels import compiled_dispatch
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.queues import servers_needed_rows
from spareplan.staffing.sharing import plan_people
from spareplan.staffing.sizing import Promises, size_rows
from spareplan.staffing.travel import unit_square_table

LIMITS, TARGET = np.array([1 / 3, 1.0, 8.0, 24.0]), 0.95
FULL_TURN = 24.0


def timed(function):
    begin = time.process_time()
    out = function()
    return out, time.process_time() - begin


def months(count: int, seed: int = 0):
    generator = np.random.default_rng(seed)
    hours = generator.uniform(3, 9, count)
    total = generator.uniform(1, 20, count) / hours
    return total[:, None] * generator.dirichlet([2, 3, 5, 6], count), 1 / hours


def naive_single(rate: float, mu: float, limit: float, target: float) -> int:
    """Erlang C from its sum at every number of servers, as a spreadsheet does it."""
    load = rate / mu
    servers = int(load) + 1
    while True:
        terms = [math.exp(j * math.log(load) - math.lgamma(j + 1)) for j in range(servers + 1)]
        last = terms[-1] / (1 - load / servers)
        waiting = last / (sum(terms[:-1]) + last)
        if 1 - waiting * math.exp(-(servers * mu - rate) * limit) >= target:
            return servers
        servers += 1


def naive_joint(rates: np.ndarray, mu: float) -> int:
    servers = int(rates.sum() / mu) + 1
    while True:
        tail = staffing.wait_tail(rates, mu, servers, LIMITS)
        if (1 - np.diagonal(tail) >= TARGET).all():
            return servers
        servers += 1


def sizings() -> None:
    rates, mu = months(2400)
    single, every = rates.reshape(-1, 1), np.repeat(mu, 4)
    limits, goal = np.tile(LIMITS, 2400)[:, None], np.full((9600, 1), TARGET)
    fast, seconds = timed(lambda: servers_needed_rows(single, every, limits, goal))
    slow, naive = timed(
        lambda: [naive_single(single[i, 0], every[i], limits[i, 0], TARGET) for i in range(960)]
    )
    assert fast[:960].tolist() == slow
    print(
        f"9,600 single sizings        {seconds:7.3f} s   naive scan {naive * 10:7.2f} s (a tenth, times 10)"
    )
    joint, seconds = timed(lambda: servers_needed_rows(rates, mu, LIMITS, np.full(4, TARGET)))
    slow, naive = timed(lambda: [naive_joint(rates[i], mu[i]) for i in range(240)])
    assert joint[:240].tolist() == slow
    print(
        f"2,400 joint sizings         {seconds:7.3f} s   naive scan {naive * 10:7.2f} s (a tenth, times 10)"
    )


def people_saved() -> None:
    rates, mu = months(300, seed=1)
    goal = np.full(4, TARGET)
    joint = servers_needed_rows(rates, mu, LIMITS, goal).sum()
    first = servers_needed_rows(rates.sum(axis=1, keepdims=True), mu, LIMITS[:1], goal[:1]).sum()
    pools = sum(servers_needed_rows(rates[:, [k]], mu, LIMITS[[k]], goal[[k]]).sum() for k in range(4))
    print(
        f"300 region-months           joint {joint}, everybody at P1 {first} ({joint / first - 1:+.1%}), "
        f"separate pools {pools} ({joint / pools - 1:+.1%})"
    )


def with_travel() -> None:
    generator = np.random.default_rng(2)
    places, most = 200, 48
    base, seconds = timed(lambda: unit_square_table(most))
    scale = np.sqrt(generator.uniform(2e3, 3e5, places)) * 1.3 / generator.uniform(45, 70, places)
    place = np.repeat(np.arange(places), 12)
    work = generator.uniform(2, 10, (places, 1))[place] * np.ones((1, 4))
    rate = generator.uniform(1, 20, 2400) / (work[:, 0] + 0.3 * scale[place])
    rows = RegionRows(
        rate[:, None] * generator.dirichlet([2, 3, 5, 6], 2400),
        work,
        generator.uniform(0.3, 2.5, 2400),
        place,
        base.mean * scale[:, None],
        base.quantiles * scale[:, None, None],
    )
    none = np.full(4, np.nan)
    for mode, limits in (("sent", LIMITS), ("arrived", np.array([2.0, 4.0, 24.0, 72.0]))):
        promises = Promises(limits, none, np.full(4, TARGET), np.full(4, mode == "arrived"))
        sized, seconds = timed(lambda promises=promises: size_rows(rows, promises))
        print(f"2,400 with travel, {mode:8s} {seconds:7.3f} s   {sized.servers.sum()} engineers on duty")


def simulated() -> None:
    run, generator = compiled_dispatch(), np.random.default_rng(3)
    for crew in (5, 10, 20, 40):
        for count in (1_000, 400_000):
            opened = np.sort(generator.random(count)) * count / (0.75 * crew / 4.0)
            places, homes = generator.random((count, 2)) * 60, generator.random((crew, 2)) * 60
            arguments = (
                opened,
                generator.integers(0, 4, count),
                np.zeros(count, np.int64),
                places[:, 0].copy(),
                places[:, 1].copy(),
                np.arange(count + 1),
                generator.exponential(3.0, count),
                np.zeros(count),
                np.full(crew, 2, np.int64),
                np.ones(crew),
                homes[:, 0].copy(),
                homes[:, 1].copy(),
                np.zeros(crew, np.int64),
                np.zeros(crew, bool),
                np.ones(1, bool),
                np.zeros(0),
                np.zeros(0, np.int64),
                FULL_TURN,
                2,
                0.026,
                4,
                3,
                False,
            )
            _, seconds = timed(lambda arguments=arguments: run(*arguments))
        print(f"simulation, {crew:2d} engineers    {count / seconds / 1e6:7.2f} M orders/s on one core")


def searched() -> None:
    generator = np.random.default_rng(4)
    count = 12
    regions = pd.DataFrame(
        {"region_id": [f"R{i:02d}" for i in range(count)], "area_km2": generator.uniform(2e3, 3e5, count)}
    )
    orders = pd.DataFrame(
        [
            {
                "region_id": region,
                "priority": f"P{k + 1}",
                "orders_per_day": share * generator.uniform(8, 40),
                "work_hours": 4.0,
                "work_scv": 0.8,
            }
            for region in regions["region_id"]
            for k, share in enumerate((0.1, 0.2, 0.3, 0.4))
        ]
    )
    promises = pd.DataFrame({"priority": ["P1", "P2", "P3", "P4"], "respond_hours": LIMITS})
    formula, first = timed(lambda: staffing.size_regions(regions, orders, promises))
    found, second = timed(lambda: staffing.size_regions(regions, orders, promises, simulate=True))
    gap = (formula["required"] - found["required"]).value_counts().sort_index().to_dict()
    print(f"{count} regions searched         {second - first:7.2f} s   formula - search: {gap}")


def planned() -> None:
    for count in (20, 60):
        generator = np.random.default_rng(5)
        heads = generator.integers(0, 6, (count, 3)).astype(float)
        growth = 1 + 0.02 * np.arange(12) + 0.15 * np.sin(np.arange(12) / 12 * 2 * np.pi)
        need = np.ceil(heads[:, :, None] * growth + generator.integers(-1, 2, (count, 3, 12))).clip(0)
        cost = np.tile([95e3, 145e3, 220e3], (count, 1))
        plan, seconds = timed(
            lambda need=need, heads=heads, cost=cost: plan_people(need, heads, cost, StaffingOptions())
        )
        gap = plan.cost / plan.bound - 1
        print(f"head count, {count} x 12 months  {seconds:7.2f} s   gap {gap:.2%} ({plan.status})")


if __name__ == "__main__":
    sizings()
    people_saved()
    with_travel()
    simulated()
    searched()
    planned()
