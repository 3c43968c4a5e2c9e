"""Breaking off after a first plan is there: its tables are written all the same, and it is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import spareplan as sp
from spareplan.stocking import levels, publish, solve_levels, steady, telling
from tests.stocking.test_interrupt import SMALL
from tests.stocking.test_optimize_levels import plan_input

__all__ = ["plan_input"]


class Once:
    """Break off in the first call of a function, as Ctrl-C there would."""

    def __init__(self, function) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *given, **more):
        self.calls += 1
        if self.calls == 1:
            raise KeyboardInterrupt
        return self.function(*given, **more)


@pytest.fixture(scope="module")
def full(plan_input):
    return sp.optimize_levels(*plan_input)


@pytest.fixture
def before(full):
    return full.table[["part_id", "site_id", "base_stock"]].assign(
        base_stock=lambda table: table["base_stock"] + (np.arange(len(table)) % 3 == 0)
    )


WHERE = [
    (levels, "level_table"),
    (publish, "reasons"),
    (levels, "service_table"),
    (levels, "shadow_price_table"),
    (levels, "level_lines"),
    (telling, "next_money"),
    (levels, "with_plan_columns"),
    (levels, "cap_lines"),
]


@pytest.mark.parametrize("module, name", WHERE, ids=[name for _, name in WHERE])
def test_a_plan_found_is_told_even_if_broken_off_while_tables_are_written(
    module, name, plan_input, full, monkeypatch
):
    once = Once(getattr(module, name))
    monkeypatch.setattr(module, name, once)
    broken = sp.optimize_levels(*plan_input)
    assert once.calls >= 1
    assert "broken off" in broken.lines[1] and "gap" in broken.lines[1]
    assert broken.cost == full.cost and broken.lower_bound == full.lower_bound
    assert broken.service["kept"].all()
    pd.testing.assert_frame_equal(broken.table, full.table)


def test_a_plan_of_plain_tables_is_told_even_if_broken_off_while_tables_are_written(monkeypatch):
    whole = solve_levels(*SMALL)
    monkeypatch.setattr(publish, "reasons", Once(publish.reasons))
    broken = solve_levels(*SMALL)
    assert "broken off" in broken.lines[1]
    assert broken.cost == whole.cost and broken.gap == whole.gap
    pd.testing.assert_frame_equal(broken.table, whole.table)


def test_an_interrupt_by_the_caller_of_progress_while_tables_are_written_keeps_the_plan(plan_input, full):
    stopped = []

    def told(step: str, done: int, total: int) -> None:
        if step == "tables" and not stopped:
            stopped.append(done)
            raise KeyboardInterrupt

    broken = sp.optimize_levels(*plan_input, progress=told)
    assert stopped and "broken off" in broken.lines[1] and broken.cost == full.cost


def test_steadiness_broken_off_leaves_the_levels_that_are_free_to_change(
    plan_input, full, before, monkeypatch
):
    once = Once(steady.measure)
    monkeypatch.setattr(steady, "measure", once)
    broken = sp.optimize_levels(*plan_input, previous=before)
    if not once.calls:
        pytest.fail("nothing was measured")
    assert "broken off" in broken.lines[1]
    assert (broken.table["base_stock"] == full.table["base_stock"]).all()
    assert broken.table["previous_base_stock"].notna().all()


def test_a_second_interrupt_while_tables_are_written_ends_at_once(plan_input, monkeypatch):
    def never(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "reasons", never)
    with pytest.raises(KeyboardInterrupt):
        sp.optimize_levels(*plan_input)


def test_progress_within_the_search_for_levels_reaches_the_plan(samples):
    told: list[tuple[str, int, int]] = []
    sp.make_plan(
        sp.read_dataset(samples / "delivery_pump"),
        sp.PlanConfig(months=3, years=1, weeks=2),
        progress=lambda *step: told.append(step),
    )
    done = [step[1] for step in told]
    assert len({step[2] for step in told}) == 1
    assert done == sorted(done) and done[-1] == told[-1][2]
    inside = [name for name, _, _ in told if name.startswith("stock levels: ")]
    assert {"stock levels: read", "stock levels: pieces", "stock levels: tables"} <= set(inside)
