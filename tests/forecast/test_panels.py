"""Long histories become matrices: starts, gaps, unknowns, returns, months, exposure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.panel_arguments import read_exposure, read_periods
from spareplan.forecast.panels import net_of_returns, read_panel


def table(rows, columns=("part_id", "period", "quantity")):
    return pd.DataFrame(rows, columns=list(columns))


def test_a_series_starts_with_its_first_row_and_ends_with_the_table():
    panel = read_panel(table([("b", 3, 2), ("a", 1, 1), ("a", 3, np.nan)]))
    np.testing.assert_array_equal(panel.demand, [[1, 0, np.nan], [np.nan, np.nan, 2]])
    assert panel.keys["part_id"].tolist() == ["a", "b"]
    assert panel.start.tolist() == [0, 2]


@pytest.mark.parametrize(
    "months",
    [
        pd.to_datetime(["2023-11-01", "2024-02-01"]),
        ["2023-11", "2024-02"],
        ["2023-11-01", "2024-02-01"],
        pd.PeriodIndex(["2023-11", "2024-02"], freq="M"),
    ],
)
def test_months_are_read_across_the_year(months):
    panel = read_panel(pd.DataFrame({"part_id": ["a", "a"], "period": months, "quantity": [1, 2]}))
    np.testing.assert_array_equal(panel.demand, [[1, 0, 0, 2]])


def test_returns_come_off_the_latest_demand_before_them():
    demand = np.array([[5.0, 0, 3, -4, 1], [np.nan, -2, 3, np.nan, -1]])
    np.testing.assert_array_equal(net_of_returns(demand), [[4, 0, 0, 0, 1], [np.nan, 0, 2, np.nan, 0]])


def test_returns_keep_the_total_where_demand_covers_them():
    rng = np.random.default_rng(1)
    demand = rng.poisson(1.0, (50, 40)) * rng.choice([1.0, -0.5], (50, 40), p=[0.9, 0.1])
    demand[:, 0] = 100
    net = net_of_returns(demand)
    assert net.min() >= 0
    np.testing.assert_allclose(net.sum(axis=1), demand.sum(axis=1))


def test_only_whole_quantities_make_a_whole_panel():
    assert read_panel(table([("a", 1, 2.0), ("a", 2, np.nan)])).whole
    assert not read_panel(table([("a", 1, 2.5)])).whole


def test_every_fault_of_the_history_is_named_with_its_row():
    bad = table([("a", 1, 1), ("a", 1, 2), (None, 2, 1), ("b", 1.5, 1), ("b", 2, np.inf)])
    with pytest.raises(DataError) as caught:
        read_panel(bad)
    found = caught.value.problems
    assert set(zip(found["row"], found["column"])) == {
        (3, "period"),
        (4, "part_id"),
        (5, "period"),
        (6, "quantity"),
    }


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (table([("a", 1)], ("part_id", "period")), "missing column"),
        (table([("a", 1, "many")]), "no number"),
        (table([("a", "2024-01-15", 1)]), "no month start"),
        (table([("a", "soon", 1)]), "neither a whole number nor a month"),
        (table([("a", 202312, 1), ("a", 202401, 1)]), "year and month in one number"),
        (table([("a", 1, 1), ("a", 10**9, 1)]), "spans"),
    ],
)
def test_unreadable_histories_are_refused(history, said):
    with pytest.raises(DataError, match=said):
        read_panel(history)


def test_periods_may_differ_by_key_and_must_cover_every_key():
    panel = read_panel(table([("a", 1, 1), ("b", 1, 1)]))
    assert read_periods(pd.Series({"b": 2, "a": 7, "z": 1}), panel, "part_id").tolist() == [7, 2]
    with pytest.raises(DataError, match="no periods"):
        read_periods(pd.Series({"a": 7}), panel, "part_id")
    for bad in (0, 2.5, "3", None):
        with pytest.raises(DataError):
            read_periods(bad, panel, "part_id")
    with pytest.raises(DataError):
        read_periods(pd.Series({"a": 7, "b": 0}), panel, "part_id")


def test_exposure_holds_until_it_changes_and_reaches_into_the_future():
    panel = read_panel(table([("a", 1, 1), ("a", 4, 1), ("b", 1, 1), ("c", 1, 0)]))
    exposure = table(
        [("a", 2, 10), ("a", 4, 20), ("a", 6, 30), ("b", 1, 5)], ("part_id", "period", "exposure")
    )
    past, future = read_exposure(exposure, panel, "part_id", 3)
    np.testing.assert_array_equal(past, [[10, 10, 10, 20], [5] * 4, [np.nan] * 4])
    np.testing.assert_array_equal(future, [[20, 30, 30], [5] * 3, [np.nan] * 3])
    with pytest.raises(DataError, match="negative"):
        read_exposure(table([("a", -1)], ("part_id", "exposure")), panel, "part_id", 3)
