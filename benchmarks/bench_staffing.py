"""Times and figures of the head count: `python benchmarks/bench_staffing.py`.

Prints 9,600 single and 2,400 joint sizings beside pyworkforce and a naive scan of the same rows, people saved
by joint sizing, sizing with travel, a region's year beside Ciw, simulated orders per second, the search of
2,400 region-months by simulation, and the head count plan. Seconds are CPU seconds unless said to be wall.

pyworkforce needs an environment of its own: the Python named by the environment variable
SPAREPLAN_STAFFING_PEERS_PYTHON, else `.venv-staffing-peers`, which is made here with pip where it is missing.
Where that cannot be done the reason is printed.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from bench_proof import PRIORITIES, Region

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
HERE = Path(__file__).parent
PEERS_ENV = HERE.parent / ".venv-staffing-peers"
PEER_ROWS = 960


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


def peers_python() -> str:
    """Find or make the Python that has pyworkforce."""
    named = os.environ.get("SPAREPLAN_STAFFING_PEERS_PYTHON")
    if named:
        return named
    python = PEERS_ENV / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        run = {"check": True, "capture_output": True, "text": True, "timeout": 600}
        subprocess.run([sys.executable, "-m", "venv", str(PEERS_ENV)], **run)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "pyworkforce==0.5.1"], **run)
    return str(python)


def beside_pyworkforce() -> None:
    rates, mu = months(2400)
    rows = np.column_stack(
        [rates.reshape(-1), np.repeat(1 / mu, 4), np.tile(LIMITS, 2400), np.full(9600, TARGET)]
    )
    servers = servers_needed_rows(rows[:, :1], 1 / rows[:, 1], rows[:, [2]], rows[:, [3]])
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.npz"
            np.savez(path, rows=rows[:PEER_ROWS])
            command = [peers_python(), str(HERE / "staffing_peers.py"), str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        print(f"pyworkforce skipped: {str(detail).strip().splitlines()[-1]}")
        return
    found = json.loads(done.stdout.strip().splitlines()[-1])
    gap = np.array(found["positions"]) - servers[:PEER_ROWS]
    print(
        f"9,600 single, pyworkforce   {found['seconds'] * 9600 / PEER_ROWS:7.2f} s   {found['version']}, "
        f"a tenth, times 10; equal {np.mean(gap == 0):.1%}, fewer {np.mean(gap < 0):.1%}, "
        f"more {np.mean(gap > 0):.1%}, errors {found['errors']}"
    )
    print("2,400 joint, with travel    pyworkforce has neither classes nor travel")


def beside_ciw() -> None:
    """Simulate a region's year of four priorities without travel, by Ciw and here."""
    import ciw

    crew, work = 8, 4.0
    rates = np.array([0.1, 0.2, 0.3, 0.4]) * 0.75 * crew / work
    network = ciw.create_network(
        arrival_distributions={f"P{k + 1}": [ciw.dists.Exponential(rate)] for k, rate in enumerate(rates)},
        service_distributions={f"P{k + 1}": [ciw.dists.Exponential(1 / work)] for k in range(4)},
        number_of_servers=[crew],
        priority_classes={f"P{k + 1}": k for k in range(4)},
    )

    def by_ciw():
        ciw.seed(6)
        run = ciw.Simulation(network)
        run.simulate_until_max_time(365 * 24.0)
        return run.get_all_records()

    records, theirs = timed(by_ciw)
    orders = pd.DataFrame(
        {"priority": [f"P{k + 1}" for k in range(4)], "orders_per_day": rates * 24, "work_hours": work}
    )
    arguments = {"days": 365, "warm_up_days": 0, "area_km2": 1e-6, "seed": 6}
    _, first = timed(lambda: staffing.simulate_region(orders, crew, **arguments))
    run, ours = timed(lambda: staffing.simulate_region(orders, crew, **arguments))
    exact = staffing.wait_tail(rates, 1 / work, crew, LIMITS)[0]
    waits = np.array([record.waiting_time for record in records if record.customer_class == "P1"])
    print(
        f"a region's year             {ours:7.3f} s   Ciw {ciw.__version__} {theirs:6.2f} s "
        f"({len(records)} and {len(run.orders)} orders; first call {first:.2f} s); P1 over 20 minutes: exact "
        f"{exact[0]:.3f}, here {run.late('P1', LIMITS[0]):.3f}, Ciw {(waits > LIMITS[0]).mean():.3f}"
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
        settled=np.tile(base.settled, (places, 1)),
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


def region_months(places: int, seed: int) -> dict[str, pd.DataFrame]:
    """Draw regions of 3 to 40 engineers (even or in towns) with twelve months of season and growth."""
    generator = np.random.default_rng(seed)
    regions, orders, units = [], [], []
    for number in range(places):
        region = Region(number, generator)
        name = f"R{number:03d}"
        regions.append({"region_id": name, "travel_speed": region.speed})
        points = pd.DataFrame(region.points, columns=["east", "north"])
        units.append(points.assign(region_id=name))
        months = pd.date_range("2027-01-01", periods=12, freq="MS")
        season = np.sin((np.arange(12) + generator.uniform(0, 12)) / 12 * 2 * np.pi)
        busy = 1.0 + 0.2 * season + generator.uniform(0, 0.02) * np.arange(12) + generator.normal(0, 0.03, 12)
        frame = pd.DataFrame({"region_id": name, "priority": PRIORITIES, **region.orders()})
        every = frame.merge(pd.DataFrame({"month": months, "busy": busy}), how="cross")
        orders.append(every.assign(orders_per_day=every["orders_per_day"] * every["busy"]))
    return {
        "regions": pd.DataFrame(regions),
        "orders": pd.concat(orders, ignore_index=True).drop(columns="busy"),
        "units": pd.concat(units, ignore_index=True),
    }


def searched(places: int = 200, seed: int = 27) -> None:
    """Search 2,400 region-months by simulation, as `size_regions` does for everybody."""
    for name, limits in (("strict", LIMITS), ("lenient", [2, 4, 24, 72])):
        tables = region_months(places // 2, seed)
        seed += 1
        promises = pd.DataFrame({"priority": PRIORITIES, "respond_hours": limits})
        staffing.size_regions(**region_months(1, 0), promises=promises, simulate=True)
        wall = time.perf_counter()
        formula, first = timed(lambda t=tables, p=promises: staffing.size_regions(**t, promises=p))
        middle = time.perf_counter()
        found, second = timed(
            lambda t=tables, p=promises: staffing.size_regions(**t, promises=p, simulate=True)
        )
        end = time.perf_counter()
        gap = (formula["required"] - found["required"]).value_counts().sort_index().to_dict()
        print(
            f"{places * 6:,} region-months, {name:8s} formula {first:6.2f} s, {middle - wall:6.2f} s wall; "
            f"with simulation search {second:6.2f} s, {end - middle:6.2f} s wall on "
            f"{os.cpu_count()} cores; formula - search {gap}, "
            f"{formula['required'].sum() / found['required'].sum():.4f}"
        )


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
    beside_pyworkforce()
    people_saved()
    with_travel()
    beside_ciw()
    simulated()
    searched()
    planned()
