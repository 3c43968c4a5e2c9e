from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.marginal import one_more_engineer
from spareplan.staffing.queues import wait_tail
from spareplan.staffing.sizing import Promises

REGIONS = pd.Index(["A", "B"])
LIMITS = np.array([0.5, 4.0])
PROMISES = Promises(LIMITS, np.full(2, np.nan), np.full(2, 0.95), np.zeros(2, bool))


def rows(rate=(0.6, 2.0)):
    """Without any drive: waits under priorities are exact."""
    none = np.zeros((2, 12))
    shares = np.array([0.3, 0.7])
    return RegionRows(
        np.array(rate)[:, None] * shares,
        np.full((2, 2), 2.0),
        np.ones(2),
        np.arange(2),
        none,
        np.zeros((2, 12, 50)),
    )


def test_orders_kept_more_are_those_of_the_exact_law():
    model = rows()
    orders = model.rates * 730.0
    table = one_more_engineer(
        REGIONS, model, PROMISES, orders, np.array([2.0, 5.0]), np.array([1e5, 2e5])
    ).set_index("region_id")
    for place, (region, servers) in enumerate((("A", 2), ("B", 5))):
        kept = [
            1 - np.diagonal(wait_tail(model.rates[place], 0.5, n, LIMITS)) for n in (servers, servers + 1)
        ]
        more = (orders[place] * (kept[1] - kept[0])).sum() * 12
        assert table.loc[region, "orders_more_per_year"] == pytest.approx(more, rel=1e-6)
        assert table.loc[region, "money_per_order"] == pytest.approx((place + 1) * 1e5 / more, rel=1e-6)
        assert table.loc[region, "worst_now"] == pytest.approx(kept[0].min())
        assert table.loc[region, "worst_then"] == pytest.approx(kept[1][kept[0].argmin()])


def test_the_next_engineer_buys_less_than_the_last():
    model = rows()
    gained = [
        one_more_engineer(REGIONS, model, PROMISES, model.rates, np.full(2, n), np.ones(2))
        .set_index("region_id")["orders_more_per_year"]
        .reindex(REGIONS)
        .to_numpy()
        for n in (5.0, 6.0, 7.0, 8.0)
    ]
    assert (np.diff(gained, axis=0) < 0).all()


def test_a_fraction_on_duty_lies_between_the_whole_numbers():
    model = rows()
    given = (REGIONS, model, PROMISES, model.rates * 730.0)
    half = one_more_engineer(*given, np.full(2, 5.0), np.ones(2), duty=0.5).set_index("region_id")
    two, three = (
        one_more_engineer(*given, np.full(2, n), np.ones(2)).set_index("region_id")["kept_now"]
        for n in (2.0, 3.0)
    )
    assert half.loc["A", "kept_now"] == pytest.approx((two["A"] + three["A"]) / 2)
    assert half.loc["A", "kept_then"] == pytest.approx(three["A"])


def test_a_region_without_orders_or_with_nothing_left_to_gain_buys_nothing():
    model = rows((0.0, 0.6))
    table = one_more_engineer(
        REGIONS, model, PROMISES, model.rates, np.full(2, 12.0), np.full(2, 1e5)
    ).set_index("region_id")
    assert table["money_per_order"].isna().all()
    assert table.loc["A", "reason"] == "no orders with a promise"
    assert "no order more" in table.loc["B", "reason"]


def test_wrong_counts_are_refused_by_name():
    model = rows()
    for change in ({"present": np.array([1.0, np.nan])}, {"annual_cost": np.array([-1.0, 1.0])}):
        given = {"present": np.ones(2), "annual_cost": np.ones(2)} | change
        with pytest.raises(DataError, match=next(iter(change))):
            one_more_engineer(REGIONS, model, PROMISES, model.rates, **given)
    with pytest.raises(DataError, match="orders"):
        one_more_engineer(REGIONS, model, PROMISES, model.rates[:1], np.ones(2), np.ones(2))
