"""Pieces that come back: the formula against single pieces followed one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.returns import expected_returns, returns_ahead
from spareplan.tables.dataset import Dataset

LENGTHS = np.array([31.0, 28.0, 31.0, 30.0, 31.0, 30.0])
TODAY = pd.Timestamp("2025-12-31")


@pytest.mark.parametrize(("days", "way"), [(0.0, 0.0), (12.0, 3.0), (45.0, 0.0), (70.0, 20.0)])
def test_returns_agree_with_pieces_followed_one_by_one(days, way):
    rng = np.random.default_rng(1)
    mean, share = np.array([3.0, 0.0, 5.0, 1.0, 4.0, 2.0]), 0.35
    edges = np.concatenate([[0.0], np.cumsum(LENGTHS)])
    runs, back = 200_000, np.zeros(6)
    for month, pieces in enumerate(rng.poisson(mean * runs)):
        failed_at = edges[month] + LENGTHS[month] * rng.random(pieces)
        good = rng.random(pieces) < share
        back += np.histogram(failed_at[good] + days + way, edges)[0]
    formula = expected_returns(mean, share, days, LENGTHS, way)
    assert formula.sum() == pytest.approx(back.sum() / runs, rel=0.005)
    np.testing.assert_allclose(formula, back / runs, atol=5 * np.sqrt(5 * share / runs))


def test_every_piece_comes_back_once():
    failures = np.zeros((2, 24))
    failures[:, :12] = np.random.default_rng(0).random((2, 12))
    out = expected_returns(failures, [0.5, 1.0], [40.0, 300.0], np.full(24, 30.0))
    np.testing.assert_allclose(out.sum(axis=1), failures.sum(axis=1) * [0.5, 1.0])
    one = expected_returns(failures[1], 1.0, 300.0, np.full(24, 30.0))
    np.testing.assert_allclose(out[1], one)


def test_faults_are_all_named_at_once():
    with pytest.raises(DataError) as error:
        expected_returns([-1.0], 1.5, -2.0, [31.0, 28.0], np.nan)
    assert error.value.problems["column"].tolist() == [
        "failures",
        "repairable_share",
        "repair_days",
        "return_days",
        "month_lengths",
    ]


def dataset(replaced=(), **tables):
    frames = {
        "products": pd.DataFrame({"product_id": ["M"], "name": ["Machine"], "tier": [2]}),
        "parts": pd.DataFrame(
            {
                "part_id": ["P", "Q"],
                "name": ["pump", "seal"],
                "unit_cost": 10.0,
                "lead_time_days": 30.0,
                "repairable_share": [0.5, 0.0],
                "repair_days": [40.0, np.nan],
            }
        ),
        "fitment": pd.DataFrame({"product_id": "M", "part_id": ["P", "Q"], "quantity": 1}),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "A", "B"],
                "name": ["hq", "a", "b"],
                "parent_id": [None, "HQ", "HQ"],
                "lead_time_days": [0.0, 5.0, 5.0],
            }
        ),
        "units": pd.DataFrame(
            {
                "unit_id": ["U1", "U2"],
                "product_id": "M",
                "site_id": ["A", "B"],
                "commissioned_on": pd.Timestamp("2020-01-01"),
            }
        ),
        "replacements": pd.DataFrame(
            list(replaced) or [("U1", "Q", pd.Timestamp("2024-01-01"))],
            columns=["unit_id", "part_id", "replaced_on"],
        ),
    }
    return Dataset.from_frames(frames | tables)


def forecast(**means):
    months = pd.date_range("2026-01-01", periods=6, freq="MS")
    rows = [
        (*key.split("_"), month, mean) for key, values in means.items() for month, mean in zip(months, values)
    ]
    return pd.DataFrame(rows, columns=["part_id", "site_id", "month", "mean"])


def test_pieces_of_all_sites_come_back_to_headquarters():
    table = forecast(P_A=[2.0] * 6, P_B=[1.0] * 6, Q_A=[5.0] * 6)
    out = returns_ahead(dataset(), table, TODAY)
    assert set(out["part_id"]) == {"P"} and set(out["site_id"]) == {"HQ"}
    np.testing.assert_allclose(out["returned"], expected_returns([3.0] * 6, 0.5, 40.0, LENGTHS))
    assert out["from_past"].eq(0).all()
    assert out["reason"].iloc[-1] == (
        "1.47 of pieces taken from now on, 0.00 in repair on 2025-12-31 (none known); repair takes 40 days"
    )
    assert set(table.columns) == {"part_id", "site_id", "month", "mean"}


def test_a_site_that_repairs_keeps_its_share_and_the_rest_goes_on():
    repairs = pd.DataFrame(
        {"part_id": ["P"], "site_id": ["A"], "repair_share_site": [0.4], "repair_days_site": [10.0]}
    )
    out = returns_ahead(dataset(site_repairs=repairs), forecast(P_A=[2.0] * 6, P_B=[1.0] * 6), TODAY)
    by = {site: rows["returned"].to_numpy() for site, rows in out.groupby("site_id")}
    np.testing.assert_allclose(by["A"], expected_returns([2.0] * 6, 0.4, 10.0, LENGTHS))
    np.testing.assert_allclose(by["HQ"], expected_returns([2.0 * 0.6 + 1.0] * 6, 0.5, 40.0, LENGTHS))


def test_pieces_taken_before_are_still_in_repair():
    records = [
        ("U1", "P", pd.Timestamp("2025-12-20")),
        ("U2", "P", pd.Timestamp("2025-12-31")),
        ("U1", "P", pd.Timestamp("2025-11-10")),
    ]
    out = returns_ahead(dataset(records), forecast(P_A=[0.0] * 6), TODAY)
    # 20 December + 40 days is 29 January, 31 December + 40 days 9 February; November's is back already.
    assert out["returned"].tolist() == [0.5, 0.5, 0, 0, 0, 0]
    counted = pd.DataFrame({"part_id": ["P"], "site_id": ["HQ"], "on_hand": [0], "in_repair": [3]})
    out = returns_ahead(dataset(records, stock=counted), forecast(P_A=[0.0] * 6), TODAY)
    assert out["returned"].tolist() == [1.5, 1.5, 0, 0, 0, 0]
    assert out["reason"].iloc[0].startswith("0.00 of pieces taken from now on, 1.50 in repair on 2025-12-31")


def test_counted_pieces_without_records_come_back_over_a_repair_time():
    counted = pd.DataFrame({"part_id": ["P"], "site_id": ["B"], "on_hand": [0], "in_repair": [4]})
    out = returns_ahead(dataset(stock=counted), forecast(P_A=[0.0] * 6), TODAY)
    here = out[out["site_id"] == "B"]["returned"]
    np.testing.assert_allclose(here, [4 * 31 / 40, 4 * 9 / 40, 0, 0, 0, 0])


def test_history_without_machines_comes_back_too():
    past = pd.DataFrame(
        {
            "part_id": "P",
            "site_id": "A",
            "month": pd.to_datetime(["2025-11-01", "2025-12-01"]),
            "quantity": 6.0,
        }
    )
    out = returns_ahead(dataset(demand=past), forecast(P_A=[0.0] * 6), TODAY)
    whole = expected_returns([6.0, 6.0, *[0.0] * 6], 0.5, 40.0, np.concatenate([[30.0, 31.0], LENGTHS]))
    np.testing.assert_allclose(out["returned"], whole[2:])


def test_row_order_does_not_matter_and_unknown_ids_are_refused():
    table = forecast(P_A=[2.0, 0.1, 3.0, 1.0, 0.5, 2.0], P_B=[1.0] * 6)
    data = dataset()
    mixed = returns_ahead(data, table.sample(frac=1, random_state=0), TODAY)
    pd.testing.assert_frame_equal(mixed, returns_ahead(data, table, TODAY))
    assert returns_ahead(data, table.iloc[:0], TODAY).empty
    with pytest.raises(DataError, match="not in parts"):
        returns_ahead(data, table.assign(part_id="X"), TODAY)
    with pytest.raises(DataError, match="mean"):
        returns_ahead(data, table.drop(columns="mean"), TODAY)
