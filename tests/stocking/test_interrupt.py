"""Breaking off a search for levels: what is known by then is kept; progress and engines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.stocking import finding, pricing, solve_levels
from spareplan.stocking.finding import find_levels
from spareplan.stocking.multipliers import relaxed_bound, search_prices
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets


def network(parts: int, stations: int = 20, depots: int = 0, seed: int = 3) -> tuple[pd.DataFrame, ...]:
    """Sites, parts, rates and targets of a made-up network."""
    rng = np.random.default_rng(seed)
    names = [f"S{j:02d}" for j in range(stations)]
    middle = [f"D{j}" for j in range(depots)]
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", *middle, *names],
            "parent_id": [
                None,
                *["HQ"] * depots,
                *(middle[j % depots] if depots else "HQ" for j in range(stations)),
            ],
            "lead_time_days": [0.0, *rng.uniform(3, 9, depots), *rng.uniform(2, 9, stations)],
        }
    )
    items = pd.DataFrame(
        {
            "part_id": [f"P{i:05d}" for i in range(parts)],
            "unit_cost": rng.lognormal(5, 1.4, parts),
            "lead_time_days": rng.uniform(30, 150, parts),
        }
    )
    rates = pd.DataFrame(
        {
            "part_id": np.repeat(items["part_id"].to_numpy(), stations),
            "site_id": np.tile(names, parts),
            "demand_per_day": rng.gamma(0.7, 0.01, parts * stations),
        }
    )
    targets = pd.DataFrame({"site_id": names, "target_wait_days": rng.uniform(0.2, 0.6, stations)})
    return sites, items, rates, targets


SMALL = network(30, 4)
LARGE = network(500)
DEEP = network(60, 50, 5)
# What sets millions of rows apart, from a few thousand on.
AS_IF_LARGE = {
    (finding, "SURROGATE_ROWS"): 1_000,
    (finding, "LP_ROWS"): 2_000,
    (finding, "SAMPLE_ROWS"): 8_000,
    (pricing, "CHUNK_ROWS"): 900,
    (pricing, "SENT_AT_ONCE"): 5,
}


@pytest.fixture(autouse=True, scope="module")
def as_if_large():
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in AS_IF_LARGE.items():
            patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="module")
def solved(as_if_large):
    return {"small": solve_levels(*SMALL), "large": solve_levels(*LARGE)}


class Stop:
    """Break off at the k-th call."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, step: str, done: int, total: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class StopIn:
    """Break off within a step, once."""

    def __init__(self, step: str, calls: int = 1) -> None:
        self.step, self.left = step, calls

    def __call__(self, step: str, done: int, total: int) -> None:
        if step == self.step:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def assert_a_plan_with_a_valid_bound(broken, full) -> None:
    assert broken.service["kept"].all()
    assert any("broken off" in line for line in broken.lines)
    assert broken.lower_bound <= full.cost * (1 + 1e-9)
    assert broken.cost >= full.lower_bound * (1 - 1e-9)
    assert broken.cost >= broken.lower_bound


@pytest.mark.parametrize("at", [3, 4, 6, 9, 12, 15])
def test_a_small_search_broken_off_at_any_step_keeps_every_promise(at, solved):
    stop = Stop(at)
    broken = solve_levels(*SMALL, progress=stop)
    if stop.left > 0:
        pytest.fail("the search took fewer steps than that")
    assert_a_plan_with_a_valid_bound(broken, solved["small"])


@pytest.mark.parametrize(
    "step, calls, widest",
    [("prices", 5, 10.0), ("prices", 20, 4.0), ("proof", 1, 3.0), ("proof", 3, 1.0), ("pieces", 1, 1e-3)],
)
def test_a_large_search_broken_off_in_any_step_keeps_every_promise(step, calls, widest, solved):
    stop = StopIn(step, calls)
    broken = solve_levels(*LARGE, progress=stop)
    assert stop.left <= 0
    assert_a_plan_with_a_valid_bound(broken, solved["large"])
    # Even without the proof the bound says something, and the more of it is done the more it says.
    assert broken.gap < widest


def test_an_interrupt_before_anything_is_priced_is_passed_on():
    for step in ("read", "some parts"):
        with pytest.raises(KeyboardInterrupt):
            solve_levels(*LARGE, progress=StopIn(step))


def test_a_second_interrupt_while_mending_ends_at_once():
    class Twice(StopIn):
        def __call__(self, step: str, done: int, total: int) -> None:
            if step == "mending":
                raise KeyboardInterrupt
            super().__call__(step, done, total)

    with pytest.raises(KeyboardInterrupt):
        solve_levels(*LARGE, progress=Twice("prices", 3))


def test_the_bound_of_parts_not_yet_certain_is_below_the_proof():
    for case in (LARGE, DEEP):
        forest, pipelines = read_pipelines(*case[:3], "exact")
        promises = read_targets(case[3], case[1], forest, pipelines)
        search = search_prices(pipelines, promises, None, 3, quick=True)
        certain = pricing.price(pipelines, promises.worth(search.prices), search.priced.levels)
        proof = float(certain.value.sum() - search.prices @ promises.allowed)
        relaxed = relaxed_bound(pipelines, promises, search)
        assert 0 < relaxed < proof
        search.certain = np.where(np.arange(len(certain.value)) % 2 == 0, certain.value, np.nan)
        half = relaxed_bound(pipelines, promises, search)
        assert relaxed < half < proof
        search.certain = certain.value
        assert relaxed_bound(pipelines, promises, search) == pytest.approx(proof, rel=1e-12)


def test_progress_never_goes_back_and_ends_at_the_end(solved):
    told: list[tuple[str, int, int]] = []
    found = solve_levels(*LARGE, progress=lambda *step: told.append(step))
    assert found.cost == solved["large"].cost
    done = [step[1] for step in told]
    assert {step[2] for step in told} == {1000}
    assert done == sorted(done) and done[-1] == 1000
    # Within the long steps it is told chunk by chunk.
    assert len(told) > 30 and len(set(done)) > 20


@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_every_engine_finds_the_same_levels_to_the_last_bit(engine, solved):
    if engine == "dask":
        distributed = pytest.importorskip("distributed")
        with distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp"
        ) as cluster:
            found = solve_levels(*LARGE, engine=cluster.scheduler_address)
    else:
        found = solve_levels(*LARGE, engine=engine)
    assert found.cost == solved["large"].cost and found.lower_bound == solved["large"].lower_bound
    assert (found.table["base_stock"] == solved["large"].table["base_stock"]).all()
    assert (found.table["ebo"].to_numpy() == solved["large"].table["ebo"].to_numpy()).all()


def test_the_number_of_threads_and_the_size_of_chunks_change_nothing(solved, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(pricing, "CHUNK_ROWS", 1_700)
    found = solve_levels(*LARGE)
    assert found.cost == solved["large"].cost and found.lower_bound == solved["large"].lower_bound


def test_an_unknown_engine_is_refused_by_name():
    with pytest.raises(DataError, match=r"engine.*is no engine.*processes"):
        solve_levels(*SMALL, engine="cloud")


@pytest.mark.parametrize("step", ["prices", "proof", "pieces"])
def test_a_real_signal_ends_the_search_with_a_plan(step):
    code = textwrap.dedent(
        """
        from tests.stocking.test_interrupt import AS_IF_LARGE, LARGE
        from spareplan.stocking import solve_levels

        for (module, name), value in AS_IF_LARGE.items():
            setattr(module, name, value)

        def told(name, done, total):
            print(name, flush=True)

        found = solve_levels(*LARGE, progress=told)
        sure = found.service["kept"].all() and found.cost >= found.lower_bound > 0
        print("plan", sure, found.lines[1], flush=True)
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stdout is not None
    try:
        for line in child.stdout:
            if line.strip() == step:
                child.send_signal(signal.SIGINT)
                break
        rest = child.stdout.read()
        assert child.wait(timeout=60) == 0, rest
    finally:
        child.kill()
    assert "plan True" in rest and "broken off" in rest


def test_after_an_interrupt_no_chunk_is_begun_any_more():
    forest, pipelines = read_pipelines(*LARGE[:3], "exact")
    promises = read_targets(LARGE[3], LARGE[1], forest, pipelines)
    worth = promises.worth(np.full(len(promises), 500.0))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    values = np.full(len(pipelines.unit_cost), np.nan)
    with pytest.raises(KeyboardInterrupt):
        pricing.price(pipelines, worth, progress=stop, values=values)
    assert 0 < np.isfinite(values).sum() < len(values)


def test_a_search_by_promises_alone_can_be_broken_off_too():
    forest, pipelines = read_pipelines(*DEEP[:3], "exact")
    promises = read_targets(DEEP[3], DEEP[1], forest, pipelines)
    full = find_levels(pipelines, promises)
    broken = find_levels(pipelines, promises, progress=StopIn("prices", 2))
    assert broken.interrupted and promises.kept(promises.used(broken.state)).all()
    assert 0 < broken.bound <= full.cost and broken.cost >= full.bound
