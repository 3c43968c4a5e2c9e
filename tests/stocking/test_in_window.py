"""Shares served within a window: priced as promises of their own, exactly."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.stocking import evaluate_levels, solve_levels
from spareplan.stocking._forest import read_forest
from spareplan.stocking.pipelines import lay_out
from spareplan.stocking.pricing import measure
from spareplan.stocking.waiting import exact_shares, moment_shares
from spareplan.stocking.windows import lay_windows

SITES = pd.DataFrame(
    {
        "site_id": ["HQ", "D", "A", "B", "C"],
        "parent_id": [None, "HQ", "D", "D", "HQ"],
        "lead_time_days": [0.0, 5.0, 3.0, 1.0, 2.0],
    }
)
PARTS = pd.DataFrame({"part_id": ["p", "q"], "lead_time_days": [30.0, 12.0], "unit_cost": [90.0, 40.0]})
RATES = pd.DataFrame(
    [(part, site, rate) for part in "pq" for site, rate in zip("DABC", (0.02, 0.1, 0.05, 0.07))],
    columns=["part_id", "site_id", "demand_per_day"],
)
# Within, at and beyond the lead times of the sites, of the depot, of the supplier.
TIMES = (0.3, 1.0, 1.5, 3.0, 6.0, 8.5, 14.0, 31.0, 45.0)


def some_levels(seed: int) -> pd.DataFrame:
    """Levels drawn at every part x site."""
    rng = np.random.default_rng(seed)
    rows = [(p, s, rng.integers(0, 4)) for p in "pq" for s in SITES["site_id"]]
    return pd.DataFrame(rows, columns=["part_id", "site_id", "base_stock"])


@pytest.mark.parametrize("wild", [False, True])
def test_the_kernels_tell_the_share_within_a_window_as_the_laws_row_by_row(wild):
    rates = RATES.assign(vmr=1.6, rate_cv2=0.1) if wild else RATES
    for seed in range(4):
        forest = read_forest(SITES, PARTS, rates, some_levels(seed))
        pipelines = lay_out(forest, np.ones(2), "exact")
        rows = pipelines.forest_rows
        for time in TIMES:
            windows, exact = lay_windows(forest, pipelines, np.full(len(rows), time))
            assert exact.all()
            late = measure(replace(pipelines, windows=windows), forest.most[rows]).late
            every = np.ones(len(forest), bool)
            if wild:
                told = moment_shares(forest, np.array([time]))[:, 0]
            else:
                told = exact_shares(forest, np.array([time]), every)[:, 0]
            np.testing.assert_allclose(1 - late, np.clip(told[rows], 0, 1), atol=1e-12)


def test_where_pieces_overtake_each_other_the_kernels_promise_no_more_than_is_true():
    parts = PARTS.assign(repairable_share=0.6, repair_days=4.0)
    rates = RATES.assign(repair_share_site=[0.3, 0.5, 0.0, 0.2] * 2, repair_days_site=1.2)
    unclear = 0
    for seed in range(4):
        forest = read_forest(SITES, parts, rates, some_levels(seed))
        pipelines = lay_out(forest, np.ones(2), "exact")
        rows = pipelines.forest_rows
        for time in TIMES:
            windows, exact = lay_windows(forest, pipelines, np.full(len(rows), time))
            late = measure(replace(pipelines, windows=windows), forest.most[rows]).late
            told = exact_shares(forest, np.array([time]), np.ones(len(forest), bool))[rows, 0]
            assert (1 - late <= np.clip(told, 0, 1) + 1e-12).all()
            np.testing.assert_allclose((1 - late)[exact], told[exact], atol=1e-12)
            unclear += int((~exact).sum())
    assert unclear > 0


def test_levels_for_window_promises_are_the_cheapest_of_all():
    sites = SITES[SITES["site_id"].isin(["HQ", "C"])]
    parts = PARTS.iloc[1:]
    rates = RATES[(RATES["part_id"] == "q") & (RATES["site_id"] == "C")]
    for window, goal in ((0.5, 0.95), (2.0, 0.9), (5.0, 0.97), (20.0, 0.99)):
        targets = pd.DataFrame({"site_id": ["C"], "target_in_window": goal, "window_days": window})
        found = solve_levels(sites, parts, rates, targets)
        best = np.inf
        for pair in itertools.product(range(7), repeat=2):
            levels = pd.DataFrame({"part_id": "q", "site_id": ["HQ", "C"], "base_stock": pair})
            told = evaluate_levels(sites, parts, rates, levels, times=(window,))
            share = told.set_index("site_id").loc["C", f"wait_le_{window:g}"]
            if share >= goal * (1 - 1e-12):
                best = min(best, 40.0 * sum(pair))
        assert found.cost == pytest.approx(best)
        assert found.lower_bound <= best * (1 + 1e-12)
        assert found.service["reached"].iloc[0] >= goal - 1e-12
        assert found.service["window_days"].iloc[0] == window


def test_wider_windows_never_cost_more():
    money = []
    for window in (0.0, 0.5, 1.5, 2.5, 6.0, 9.0, 40.0):
        targets = pd.DataFrame({"site_id": ["A", "B", "C"], "target_in_window": 0.95, "window_days": window})
        found = solve_levels(SITES, PARTS, RATES, targets)
        assert found.service["kept"].all()
        money.append(found.cost)
    fill = solve_levels(
        SITES, PARTS, RATES, pd.DataFrame({"site_id": ["A", "B", "C"], "target_fill_rate": 0.95})
    )
    # Served within no days is served from the shelf.
    assert money[0] == pytest.approx(fill.cost)
    assert (np.diff(money) <= 1e-9).all()
    assert money[-1] == 0.0


def test_a_share_without_a_window_is_refused():
    targets = pd.DataFrame(
        {"site_id": ["A", "B"], "target_in_window": [0.9, 0.8], "window_days": [1.0, None]}
    )
    with pytest.raises(DataError) as caught:
        solve_levels(SITES, PARTS, RATES, targets)
    assert caught.value.problems["row"].tolist() == [3]
    assert caught.value.problems["column"].tolist() == ["window_days"]
