"""The back-test: no month is seen before it is forecast, and what loses is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.backtest import backtest_demand
from spareplan.forecast.combine import forecast_history
from spareplan.forecast.scores import score_quantiles


def made_up(n=120, c=40, seed=0):
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.8, 3, n)
    quantity = np.where(rng.random((n, c)) < chance[:, None], 1 + rng.poisson(3, (n, c)), 0)
    ids = np.array([f"P{i:04d}" for i in range(n)])
    return pd.DataFrame(
        {"part_id": np.repeat(ids, c), "period": np.tile(np.arange(c), n), "quantity": quantity.ravel()}
    )


@pytest.fixture(scope="module")
def report():
    return backtest_demand(made_up(), periods=3, origins=3)


def test_every_forecast_is_reported_for_all_and_by_class(report):
    whole = report.table[report.table["cut"] == "all"]
    assert whole["forecast"].tolist() == ["model", "mean", "sba", "tsb", "imapa", "zero"]
    assert whole.set_index("forecast").loc["mean", "to_mean"] == 1
    classes = report.table[(report.table["cut"] == "class") & (report.table["forecast"] == "model")]
    assert classes["series"].sum() == 120
    assert classes["demand"].sum() == whole["demand"].iloc[0]


def test_the_model_row_is_what_forecast_history_says_at_each_origin(report):
    history = made_up()
    pieces = []
    for cut in (31, 34, 37):
        forecast = forecast_history(history[history["period"] < cut], 3).assign(origin=cut - 1)
        came = (
            history[history["period"].between(cut, cut + 2)]
            .groupby("part_id", as_index=False)["quantity"]
            .sum()
        )
        pieces.append((came.assign(origin=cut - 1), forecast))
    actual, forecast = (pd.concat(frames) for frames in zip(*pieces))
    expected = score_quantiles(actual, forecast).loc["model"]
    row = report.table.query("cut == 'all' and forecast == 'model'").iloc[0]
    for name in expected.index:
        assert row[name] == pytest.approx(expected[name]), name


def test_months_after_an_origin_do_not_change_its_forecast():
    history = made_up()
    late = history["period"] >= 37
    other = history.assign(quantity=np.where(late, 99, history["quantity"]))
    columns = ["origin", "part_id", "mean", "q0.95"]
    pd.testing.assert_frame_equal(
        backtest_demand(history).forecasts[columns], backtest_demand(other).forecasts[columns]
    )


def test_losers_are_the_series_where_a_naive_forecast_lost_less(report):
    losers = report.losers
    assert 0 < len(losers) < 120
    assert (losers["loss_model"] > losers[["loss_mean", "loss_zero"]].min(axis=1)).all()
    assert losers["excess"].is_monotonic_decreasing
    assert losers["reason"].str.contains("pieces were demanded").all()


def test_a_pooled_model_beats_the_mean_where_parts_die():
    history = made_up(400)
    dying = history["part_id"] < "P0200"
    history.loc[dying & (history["period"] > 15), "quantity"] = 0
    whole = backtest_demand(history).table.query("cut == 'all'").set_index("forecast")["wql"]
    assert whole["model"] < whole["mean"]
    assert whole["model"] < whole["sba"]


def test_groups_are_reported_beside_the_classes():
    history = made_up(60)
    groups = pd.Series("north", index=history["part_id"].unique()).where(lambda s: s.index < "P0020", "south")
    table = backtest_demand(history, groups=groups).table
    named = table[(table["cut"] == "group") & (table["forecast"] == "model")].set_index("group")
    assert named["series"].to_dict() == {"north": 20, "south": 40}


def test_a_dataset_is_tested_by_site_and_region(samples):
    import spareplan as sp

    if not (samples / "overseas_rail").exists():
        pytest.skip("the sample is not there")
    report = backtest_demand(sp.read_dataset(samples / "overseas_rail"), origins=2)
    assert {"part_id", "site_id"} <= set(report.forecasts.columns)
    assert {"class", "region", "family", "tier"} <= set(report.table["cut"])
    assert report.summary().startswith("Weighted quantile loss")


def test_months_without_any_row_before_an_origin_are_no_demand():
    months = pd.to_datetime(["2023-01-01", "2023-02-01", "2023-12-01", "2024-01-01"])
    history = pd.DataFrame({"part_id": "a", "period": months, "quantity": [1, 2, 1, 1]})
    report = backtest_demand(history, periods=2, origins=2)
    assert len(report.forecasts) == 2
    numbered = history.assign(period=[0, 1, 11, 12])
    columns = ["quantity", "mean", "q0.99"]
    pd.testing.assert_frame_equal(
        report.forecasts[columns], backtest_demand(numbered, periods=2, origins=2).forecasts[columns]
    )


def test_too_short_a_history_is_refused():
    with pytest.raises(DataError, match="leaves fewer"):
        backtest_demand(made_up(5, 8), periods=3)
    with pytest.raises(DataError):
        backtest_demand(made_up(5), periods=0)


def test_nothing_demanded_is_said_not_scored():
    history = made_up(5).assign(quantity=0)
    assert "nothing to score" in backtest_demand(history).summary()
