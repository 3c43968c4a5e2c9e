"""The same plan whatever the order of the rows, the number of workers, or how positions are kept."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from spareplan.stocking import _forest, branching, finding, pricing, publish, sampled, solve_levels
from tests.stocking.test_interrupt import network

MIDDLE = network(200, 12)
# What sets millions of rows apart, from a few thousand on.
AS_IF_LARGE = {
    (finding, "SURROGATE_ROWS"): 500,
    (finding, "LP_ROWS"): 1_000,
    (branching, "LP_ROWS"): 1_000,
    (finding, "SAMPLE_ROWS"): 1_500,
    (pricing, "CHUNK_ROWS"): 700,
}


def with_shares(case):
    """The same network with shares off the shelf promised instead of waits."""
    share = np.linspace(0.8, 0.95, len(case[3]))
    return (*case[:3], case[3][["site_id"]].assign(target_fill_rate=share))


@pytest.fixture
def large(monkeypatch):
    for (module, name), value in AS_IF_LARGE.items():
        monkeypatch.setattr(module, name, value)


SOLVED: dict = {}


@pytest.fixture
def whole(large):
    if not SOLVED:
        SOLVED["large"] = solve_levels(*MIDDLE)
    return SOLVED["large"]


def assert_same(one, two) -> None:
    assert one.cost == two.cost and one.lower_bound == two.lower_bound
    keys = ["part_id", "site_id"]
    a, b = (plan.table.sort_values(keys, ignore_index=True) for plan in (one, two))
    pd.testing.assert_frame_equal(a, b, check_dtype=False, check_categorical=False, check_exact=True)
    assert one.shadow_prices["price"].tolist() == two.shadow_prices["price"].tolist()


def shuffled(case):
    rng = np.random.default_rng(9)
    moved = [frame.iloc[rng.permutation(len(frame))].reset_index(drop=True) for frame in case]
    # Parts stand in the order they are given; with theirs kept the plan is the same to the last bit.
    moved[1] = case[1]
    return moved


def test_shuffled_rows_change_nothing_by_the_linear_programme():
    assert_same(solve_levels(*MIDDLE), solve_levels(*shuffled(MIDDLE)))


def test_shuffled_rows_change_nothing_by_prices_alone(whole):
    assert_same(whole, solve_levels(*shuffled(MIDDLE)))


def test_promised_shares_leave_a_small_gap_and_shuffled_rows_change_nothing(large):
    case = with_shares(MIDDLE)
    found = solve_levels(*case)
    assert found.service["kept"].all() and found.gap < 0.02
    assert_same(found, solve_levels(*shuffled(case)))


def test_one_worker_and_other_chunks_change_nothing(whole, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(pricing, "CHUNK_ROWS", 350)
    assert_same(whole, solve_levels(*MIDDLE))


def test_positions_in_half_the_memory_change_nothing(whole, monkeypatch):
    monkeypatch.setattr(_forest, "NARROW_ROWS", 0)
    assert_same(whole, solve_levels(*MIDDLE))


def test_sentences_made_in_blocks_are_the_same(whole, monkeypatch):
    monkeypatch.setattr(publish, "BLOCK_ROWS", 97)
    assert_same(whole, solve_levels(*MIDDLE))


def test_fewer_sampled_parts_move_only_the_start(whole, monkeypatch):
    monkeypatch.setattr(sampled, "MOST_MORE", 15)
    other = solve_levels(*MIDDLE)
    assert other.service["kept"].all()
    assert other.cost == pytest.approx(whole.cost, rel=0.01)
    assert other.lower_bound <= whole.cost and whole.lower_bound <= other.cost
