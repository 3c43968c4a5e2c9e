"""One part at one site, against a published course table, published optima and properties."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spareplan.errors import DataError
from spareplan.stocking import expected_backorders
from spareplan.stocking.policy import base_stock_service, best_order_policy, order_quantity_cost


def test_backorders_of_one_number_come_back_as_one_number():
    assert isinstance(expected_backorders(stock=3, mean=1.7, variance=2.4), float)
    assert expected_backorders([3], 1.7, 2.4).shape == (1,)


@given(st.floats(0.001, 50), st.floats(1.0, 20), st.integers(0, 60))
def test_backorders_fall_convexly_in_stock(mean, ratio, stock):
    three = expected_backorders(np.arange(stock, stock + 3), mean, mean * ratio)
    first, second = -np.diff(three)
    assert first >= -1e-12
    assert first >= second - 1e-9


def test_without_stock_all_demand_waits():
    assert expected_backorders(0, 2.3) == pytest.approx(2.3)
    assert expected_backorders(0, 0) == 0


def test_a_variance_below_the_mean_counts_as_poisson():
    assert expected_backorders(4, 3.0, 1.0) == pytest.approx(expected_backorders(4, 3.0))
    assert expected_backorders(4, 3.0, 6.0) > expected_backorders(4, 3.0)


def test_negative_input_is_refused_all_at_once():
    with pytest.raises(DataError) as caught:
        expected_backorders([-1, 2], -3.0, -2.0)
    assert sorted(caught.value.problems["column"]) == ["mean", "stock", "variance"]
    with pytest.raises(DataError, match="whole"):
        expected_backorders(1.5, 2.0)
    with pytest.raises(DataError, match="mean"):
        expected_backorders(1, np.nan)


def test_shelf_and_backorders_differ_by_stock_less_pipeline():
    service = base_stock_service(np.arange(8), 2.5, 4.0)
    np.testing.assert_allclose(service.on_hand - service.ebo, np.arange(8) - 2.5)
    assert service.fill_rate[0] == 0
    np.testing.assert_allclose(service.fill_rate[1:], service.ready_rate[:-1])


def test_course_table_is_reproduced(test_data):
    case = json.loads((test_data / "stocking" / "kth_sf2863_2021_single_site.json").read_text())
    mean = np.array(case["lam_per_hour"]) * np.array(case["T_hours"])
    for point in case["published_marginal_allocation"] + case["published_dp"]:
        assert expected_backorders(point["s"], mean).sum() == pytest.approx(point["EBO"], abs=6e-5)


def test_published_order_quantity_is_the_cheapest(test_data):
    case = json.loads((test_data / "stocking" / "rq_poisson_example_5_8.json").read_text())
    best = best_order_policy(
        case["demand_mean"],
        case["lead_time"],
        case["holding_cost"],
        case["stockout_cost"],
        case["fixed_cost"],
    )
    assert (best.reorder_point, best.order_quantity) == (case["r"], case["Q"])
    assert best.cost == pytest.approx(case["cost"], rel=1e-9)
    for point in range(0, 8):
        for quantity in range(1, 12):
            cost = order_quantity_cost(point, quantity, 3.0, 1.5, 20, 150, 100)
            assert cost >= best.cost - 1e-9


def test_an_order_policy_without_holding_cost_is_refused():
    with pytest.raises(DataError, match="holding_cost"):
        best_order_policy(1.0, 2.0, 0.0, 10.0, 1.0)
