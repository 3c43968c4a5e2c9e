"""Tables and kernels are two roads to the same prices; brute force over whole laws is a third."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import Worth, measure, price
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.tabulated import cells_of, measure_tables, price_tables, tabulate
from spareplan.stocking.windows import lay_windows
from tests.stocking.networks import brute_force, tables

TREES = {1: [-1], 2: [-1, 0, 0, 0], 3: [-1, 0, 1, 1, 0, 0, 5]}
FEW = settings(max_examples=60, deadline=None)
MEASURES = ("ebo", "miss", "late")
GAINS = ("over", "under", "at", "below", "late_at", "late_below")


def random_pipelines(
    seed: int, depth: int, method: str = "exact", busy: float = 1.0
) -> tuple[Pipelines, Worth]:
    """Three parts on a small tree, in lots or overdispersed, with windows, limits and worths of all kinds."""
    rng = np.random.default_rng(seed)
    parent = TREES[depth]
    names = [f"S{n}" for n in range(len(parent))]
    sites = pd.DataFrame(
        {
            "site_id": names,
            "parent_id": [None if p < 0 else names[p] for p in parent],
            "lead_time_days": np.r_[0.0, rng.uniform(0.5, 9.0, len(parent) - 1)],
        }
    )
    parts = pd.DataFrame(
        {
            "part_id": ["a", "b", "c"],
            "unit_cost": rng.lognormal(4, 1, 3),
            "lead_time_days": rng.uniform(5, 60, 3),
            "order_quantity": rng.choice([1, 1, 4], 3),
        }
    )
    asked = [s for s in names if rng.random() < 0.8] or [names[-1]]
    rates = pd.DataFrame(list(itertools.product(parts["part_id"], asked)), columns=["part_id", "site_id"])
    rates["demand_per_day"] = busy * (rng.gamma(0.7, 0.03, len(rates)) + 1e-6)
    wild = rates["part_id"].isin(parts["part_id"][rng.random(3) < 0.4])
    rates["vmr"] = np.where(wild, rng.uniform(1.0, 3.0, len(rates)), 1.0)
    rates["rate_cv2"] = np.where(wild, rng.uniform(0.0, 0.4, len(rates)), 0.0)
    forest, pipelines = read_pipelines(sites, parts, rates, method)
    rows = len(pipelines.stop)
    days = np.where(rng.random(rows) < 0.7, rng.choice([0.0, 0.3, 1.0, 5.0, 14.0], rows), np.nan)
    least = np.where(rng.random(rows) < 0.15, rng.integers(0, 30, rows), 0)
    least = np.maximum(pipelines.least, least)
    most = np.where(rng.random(rows) < 0.15, least + rng.integers(0, 4, rows), pipelines.most)
    windows = lay_windows(forest, pipelines, days)[0]
    pipelines = replace(pipelines, windows=windows, least=least, most=most)

    def worth() -> np.ndarray:
        return 10 ** rng.uniform(0, 5) * rng.random(rows) * (rng.random(rows) < 0.6)

    return pipelines, Worth(worth(), worth(), worth(), rng.uniform(1.0, 2.0, rows))


def compiled(pipelines: Pipelines) -> Pipelines:
    """The same pipelines, priced and measured by the kernels however few they are."""
    same = replace(pipelines)
    same.__dict__["tables"] = None
    return same


@FEW
@given(st.integers(0, 2**20), st.sampled_from([1, 2, 3]), st.sampled_from(["exact", "two_moment", "metric"]))
def test_tables_and_kernels_price_alike(seed, depth, method):
    pipelines, worth = random_pipelines(seed, depth, method)
    made = tabulate(pipelines, 10**8)
    looked_up, searched = price_tables(made, pipelines, worth), price(compiled(pipelines), worth)
    assert looked_up.value == pytest.approx(searched.value, rel=1e-9)
    assert (looked_up.levels >= pipelines.least).all() and (looked_up.levels <= pipelines.most).all()
    # Where two vectors of levels cost the same to the last digits, either is an answer.
    state = measure(compiled(pipelines), looked_up.levels)
    paid = pipelines.row_cost * worth.cost_factor * looked_up.levels
    paid += worth.backorder * state.ebo + worth.miss * state.miss + worth.late * state.late
    assert np.add.reduceat(paid, pipelines.starts[:-1]) == pytest.approx(searched.value, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_tables_and_kernels_price_fast_movers_alike(seed):
    pipelines, worth = random_pipelines(seed, 2, busy=60.0)
    made = tabulate(pipelines, 10**8)
    looked_up, searched = price_tables(made, pipelines, worth), price(compiled(pipelines), worth)
    assert looked_up.value == pytest.approx(searched.value, rel=1e-9)
    state = measure(compiled(pipelines), searched.levels)
    paid = pipelines.row_cost * worth.cost_factor * searched.levels
    paid += worth.backorder * state.ebo + worth.miss * state.miss + worth.late * state.late
    assert np.add.reduceat(paid, pipelines.starts[:-1]) == pytest.approx(searched.value, rel=1e-9)


@pytest.mark.parametrize("share", [0.2, 0.9, 0.9999])
def test_thousands_of_pieces_on_order_are_priced_at_their_least(share):
    frames = tables(
        [-1, 0, 0], [30.0, 3.0, 5.0], np.array([0.0, 100.0 * share, 100.0 * (1 - share)]), np.zeros(3)
    )
    forest, pipelines = read_pipelines(*frames[:3], "exact")
    pipelines = replace(pipelines, windows=lay_windows(forest, pipelines, np.array([np.nan, 1.0, 0.5]))[0])
    worth = Worth(*(np.array([0.0, value, value]) for value in (40.0, 300.0, 500.0)))
    best = price(pipelines, worth)
    value = float(best.value[0])

    def paid(levels):
        state = measure(pipelines, levels)
        return float(
            (pipelines.row_cost * levels).sum()
            + (worth.backorder * state.ebo + worth.miss * state.miss + worth.late * state.late).sum()
        )

    assert paid(best.levels) == pytest.approx(value, rel=1e-9)
    assert pipelines.mean[0] == pytest.approx(3_000)
    rng = np.random.default_rng(3)
    for _ in range(25):
        other = np.maximum(best.levels + rng.integers(-3, 4, 3) * rng.choice([1, 1, 20]), 0)
        assert paid(other) >= value * (1 - 1e-12)


@FEW
@given(st.integers(0, 2**20), st.sampled_from([1, 2, 3]), st.sampled_from(["exact", "two_moment", "metric"]))
def test_tables_and_kernels_measure_alike(seed, depth, method):
    pipelines, worth = random_pipelines(seed, depth, method)
    made = tabulate(pipelines, 10**8)
    step = np.random.default_rng(seed).integers(-1, 3, len(pipelines.stop))
    levels = np.maximum(price_tables(made, pipelines, worth).levels + step, pipelines.least)
    looked_up, measured = measure_tables(made, pipelines, levels), measure(compiled(pipelines), levels)
    for name in (*MEASURES, *GAINS):
        assert getattr(looked_up, name) == pytest.approx(getattr(measured, name), rel=1e-9, abs=1e-11), name


@pytest.mark.parametrize("seed", range(3))
def test_tables_hold_what_whole_laws_give(seed):
    rng = np.random.default_rng(seed)
    parent, lead = [-1, 0, 1, 0], [30.0, 4.0, 2.0, 5.0]
    demand = np.r_[0.0, rng.gamma(1.0, 0.03, 3)]
    forest, pipelines = read_pipelines(*tables(parent, lead, demand, np.zeros(4))[:3], "exact")
    made = tabulate(pipelines)
    site = forest.site_ids.str[1:].astype(int).to_numpy()[forest.site[pipelines.forest_rows]]
    for _ in range(6):
        stock = rng.integers(0, 4, 4)
        ebo, fill, _ = brute_force(parent, lead, demand, stock)
        found = measure_tables(made, pipelines, stock[site])
        assert found.ebo == pytest.approx(ebo[site], abs=1e-12)
        assert found.miss == pytest.approx(1 - fill[site], abs=1e-12)


def test_tables_end_where_one_more_piece_saves_nothing():
    pipelines, _ = random_pipelines(4, 2)
    made = tabulate(pipelines)
    last = made.first + made.paths * made.span - 1
    assert (made.ebo[last] < 1e-14).all() and (made.miss[last] < 1e-14).all() and (made.late[last] == 0).all()
    beyond = measure(compiled(pipelines), np.maximum(made.span, pipelines.least))
    assert (beyond.ebo < 1e-14).all() and (beyond.miss < 1e-14).all()


def test_problems_beyond_the_bound_are_left_to_the_kernels():
    pipelines, _ = random_pipelines(7, 3)
    assert tabulate(pipelines, int(cells_of(pipelines)) - 1) is None
    made = tabulate(pipelines, int(cells_of(pipelines)) + 1)
    assert made is not None and len(made.ebo) <= cells_of(pipelines)


def test_parts_laid_out_many_times_share_their_tables():
    pipelines, worth = random_pipelines(3, 2)
    parts = np.array([2, 0, 2, 1, 0])
    wide, rows = pipelines.take(parts), pipelines.rows_of(parts)
    assert wide.tables.ebo is pipelines.tables.ebo
    once, again = price(pipelines, worth), price(wide, worth.take(rows))
    assert (again.levels == once.levels[rows]).all() and again.value == pytest.approx(once.value[parts])
    moved = again.levels + np.arange(len(rows)) % 3
    assert measure(wide, moved).ebo == pytest.approx(measure(compiled(wide), moved).ebo, abs=1e-12)


def test_tables_need_no_compiler():
    code = (
        "import sys; from tests.stocking.test_tabulated import *;"
        "p, w = random_pipelines(1, 2); price_tables(tabulate(p), p, w); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
