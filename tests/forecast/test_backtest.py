"""The back-test: no month is seen before it is forecast, and what loses is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.backtest import backtest_demand
from spareplan.forecast.backtest_losers import awaited_excess
from spareplan.forecast.backtest_trials import run_trials
from spareplan.forecast.backtest_words import colleague_note
from spareplan.forecast.combine import forecast_history
from spareplan.forecast.panels import read_panel
from spareplan.forecast.scores import pinball_losses, score_quantiles


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
    with pytest.raises(DataError, match="between 0 and 1"):
        backtest_demand(made_up(5), levels=(0.5, 1.5))
    with pytest.raises(DataError, match="origins"):
        backtest_demand(made_up(5), origins=0)


def test_nothing_demanded_is_said_not_scored():
    history = made_up(5).assign(quantity=0)
    assert "nothing to score" in backtest_demand(history).summary()


def test_a_series_is_scored_on_its_own_lead_time():
    history = made_up(60)
    ids = history["part_id"].unique()
    periods = pd.Series(np.where(np.arange(60) < 30, 2, 6), index=ids)
    report = backtest_demand(history, periods=periods, origins=3)
    rows = report.forecasts
    assert rows.groupby("periods")["part_id"].nunique().to_dict() == {2: 30, 6: 30}
    # Origins lie four periods apart; six periods still fit after all but the last of them.
    assert rows.groupby("periods")["origin"].unique().map(list).to_dict() == {2: [27, 31, 35], 6: [27, 31]}
    one = rows[(rows["part_id"] == ids[45]) & (rows["origin"] == 31)].iloc[0]
    own = history[(history["part_id"] == ids[45]) & history["period"].between(32, 37)]
    assert one["quantity"] == own["quantity"].sum()
    expected = forecast_history(history[history["period"] <= 31], periods).set_index("part_id").loc[ids[45]]
    assert one["q0.95"] == expected["q0.95"] and one["mean"] == pytest.approx(expected["mean"])


def test_parts_whose_lead_time_leaves_no_sum_are_counted_as_left_out():
    history = made_up(30)
    periods = pd.Series(3, index=history["part_id"].unique())
    periods.iloc[0] = 200
    report = backtest_demand(history, periods=periods)
    assert report.forecasts["part_id"].nunique() == 29
    assert report.assumptions.set_index("name").loc["series left out", "value"] == "1"


def test_classes_know_nothing_of_the_tested_months():
    history = made_up(80)
    late = history["period"] >= 28
    other = history.assign(quantity=np.where(late, 50, history["quantity"]))
    columns = ["part_id", "class"]
    one, two = (
        backtest_demand(frame).forecasts[columns].drop_duplicates().set_index("part_id")["class"]
        for frame in (history, other)
    )
    pd.testing.assert_series_equal(one, two)


def test_the_tables_do_not_depend_on_the_order_of_the_rows(report):
    other = backtest_demand(made_up().sample(frac=1, random_state=4), periods=3, origins=3)
    for name in ("table", "losers", "parts", "coverage", "pit", "equal_stock", "curve", "forecasts"):
        pd.testing.assert_frame_equal(getattr(report, name), getattr(other, name), obj=name)
    assert report.summary() == other.summary()


def test_losses_of_the_parts_add_up_to_those_of_the_table(report):
    whole = report.table[report.table["cut"] == "all"].set_index("forecast")
    for name in ("model", "mean", "sba", "tsb", "imapa", "zero"):
        lost = 2 * report.parts[f"loss_{name}"].sum() / report.parts["demand"].sum()
        assert lost == pytest.approx(whole.loc[name, "wql"]), name
    assert report.parts["demand"].sum() == whole.loc["model", "demand"]
    rows = report.forecasts
    covered = (rows["quantity"] <= rows["q0.95"]).groupby(rows["part_id"]).mean()
    assert report.parts.set_index("part_id")["within_0.95"].sort_index().tolist() == covered.tolist()


def test_at_equal_stock_every_forecast_is_read_off_its_own_curve(report):
    rows = report.equal_stock[report.equal_stock["cut"] == "all"]
    curve = report.curve[report.curve["cut"] == "all"]
    own = curve[curve["forecast"] == "mean"]
    model = curve[(curve["forecast"] == "model") & (curve["level"] == 0.95)].iloc[0]
    row = rows[(rows["forecast"] == "mean") & (rows["level"] == 0.95)].iloc[0]
    x, y = ([0, *own[name]] for name in ("stock", "fill"))
    assert row["stock"] == model["stock"]
    assert row["fill"] == pytest.approx(np.interp(model["stock"], x, y))
    assert row["more_fill"] == pytest.approx(model["fill"] - row["fill"])
    assert row["more_stock"] == pytest.approx(np.interp(model["fill"], y, x) / model["stock"] - 1)
    same = rows[rows["forecast"] == "model"]
    assert same["more_fill"].abs().max() < 1e-12 and same["more_stock"].abs().max() < 1e-12


def test_a_curve_that_ends_early_is_not_stretched():
    history = made_up(40)
    history["quantity"] = np.where(history["period"] >= 34, 40 * history["quantity"], history["quantity"])
    rows = backtest_demand(history).equal_stock.query("cut == 'all' and forecast == 'sba' and level == 0.99")
    assert rows["fill"].isna().all() or (rows["stock_needed"] >= 0).all()
    assert not (rows["fill"] > 1).any()


def test_coverage_and_places_are_shares_of_the_tested_sums(report):
    rows, coverage = report.forecasts, report.coverage
    one = coverage.query("cut == 'all' and forecast == 'model' and level == 0.9").iloc[0]
    assert one["reached"] == pytest.approx((rows["quantity"] <= rows["q0.9"]).mean())
    assert one["below"] == pytest.approx((rows["quantity"] < rows["q0.9"]).mean())
    assert one["calerr"] == pytest.approx(report.table["calerr_0.9"].iloc[0])
    sums = report.pit.groupby(["cut", "group", "forecast"])["share"].sum()
    assert np.allclose(sums, 1.0)
    assert (report.pit["high"] > report.pit["low"]).all()


def test_a_gain_is_called_real_only_where_the_interval_says_so():
    history = made_up(300)
    dying = history["part_id"] < "P0150"
    history.loc[dying & (history["period"] > 15), "quantity"] = 0
    report = backtest_demand(history, groups=pd.Series({f"P{i:04d}": "few" for i in range(4)}))
    rows = report.table[report.table["forecast"] == "model"].set_index(["cut", "group"])
    whole = rows.loc[("all", "all")]
    assert whole["verdict"] == "better" and whole["to_mean_high"] < 1
    assert whole["to_mean_low"] < whole["to_mean"] < whole["to_mean_high"]
    few = rows.loc[("group", "few")]
    assert few["verdict"] == "too few parts" and np.isnan(few["to_mean_low"])
    clear = rows[rows["verdict"].isin(["better", "worse"])]
    assert ((clear["to_mean_high"] < 1) | (clear["to_mean_low"] > 1)).all()


def test_losers_name_what_the_series_is_doing_and_what_it_costs():
    history = made_up(200, 60)
    stopped = history["part_id"] == "P0007"
    history.loc[stopped, "quantity"] = np.where(history.loc[stopped, "period"] < 46, 4, 0)
    project = history["part_id"] == "P0011"
    history.loc[project, "quantity"] = np.where(history.loc[project, "period"] == 57, 300, 1)
    cost = pd.Series(1.0, index=history["part_id"].unique())
    cost["P0011"] = 1e6
    losers = backtest_demand(history, unit_cost=cost).losers.set_index("part_id")
    assert (
        losers.loc["P0007", "state"] == "dead" and "no demand for 14 periods" in losers.loc["P0007", "reason"]
    )
    assert losers.index[0] == "P0011" and losers.loc["P0011", "state"] == "outlier"
    assert "a demand of 300 stands out" in losers.loc["P0011", "reason"]
    assert losers["money"].is_monotonic_decreasing
    assert losers.loc["P0011", "money"] == pytest.approx(1e6 * losers.loc["P0011", "excess"])
    assert losers["share"].sum() == pytest.approx(1)
    assert losers.loc["P0007", "surprise"] > 3


def test_what_the_own_distribution_allows_is_what_drawing_from_it_gives():
    history = made_up(50)
    panel = read_panel(history, ["part_id"])
    marks = np.array([0.5, 0.8, 0.9, 0.95, 0.99])
    trials = run_trials(history, panel, ["part_id"], np.full(50, 3), [37], marks, None)
    mean, variance = awaited_excess(trials, "mean")
    draws = 20_000
    # Each probability counts as the level it is nearest to.
    drawn = np.random.default_rng(3).random(draws)
    nearest = np.abs(drawn[:, None] - trials.levels).argmin(axis=1)
    for place in range(len(mean)):
        own, other = (trials.quantiles[number, place][trials.published] for number in (0, 1))
        outcomes = trials.quantiles[0, place].copy()
        outcomes[-1] = max(outcomes[-1], 1)
        came = outcomes[nearest]
        apart = [pinball_losses(came, np.tile(row, (draws, 1)), marks).mean(axis=1) for row in (own, other)]
        gain = apart[0] - apart[1]
        assert mean[place] == pytest.approx(gain.mean(), abs=5 * np.sqrt(variance[place] / draws) + 1e-9)
        assert variance[place] == pytest.approx(gain.var(), rel=0.35, abs=1e-4)
    assert mean.mean() < 0


def test_groups_may_be_several_columns_by_part_or_site():
    history = pd.concat([made_up(40).assign(site_id=site) for site in ("N", "S")])
    groups = pd.DataFrame({"part_id": history["part_id"].unique()})
    groups["abc"] = np.where(groups.index < 10, "A", "B")
    groups["planner"] = "hq"
    report = backtest_demand(history, key=["part_id", "site_id"], groups=groups)
    rows = report.table[report.table["forecast"] == "model"].set_index(["cut", "group"])["series"]
    assert rows["abc"].to_dict() == {"A": 20, "B": 60} and rows["planner"].to_dict() == {"hq": 80}
    assert report.scores("abc")["group"].unique().tolist() == ["A", "B"]
    assert len(report.scores("part")) == 40
    for wrong in (groups.rename(columns={"part_id": "part"}), pd.concat([groups, groups])):
        with pytest.raises(DataError, match="groups"):
            backtest_demand(history, key=["part_id", "site_id"], groups=wrong)
    with pytest.raises(DataError, match=r"colour.*use one of all, class, abc, planner, part"):
        report.scores("colour")


def test_a_dataset_may_be_tested_on_its_lead_times(samples):
    import spareplan as sp

    data = sp.read_dataset(samples / "overseas_rail")
    report = backtest_demand(data, periods="lead_time", origins=2)
    days = data.parts.set_index("part_id")["lead_time_days"]
    tested = report.forecasts.groupby("part_id")["periods"].first()
    assert (tested == np.ceil(days.reindex(tested.index) / (365.25 / 12))).all()
    assert "money" in report.losers and report.losers["money"].is_monotonic_decreasing
    with pytest.raises(DataError, match="lead_time"):
        backtest_demand(data, periods="soon")
    with pytest.raises(DataError, match="of a dataset only"):
        backtest_demand(made_up(5), periods="lead_time")


def test_machines_that_never_asked_for_a_part_are_tested_too(samples):
    import spareplan as sp

    data = sp.read_dataset(samples / "overseas_rail")
    report = backtest_demand(data, origins=2)
    carried = data.units.merge(data.fitment, on="product_id")[["part_id", "site_id"]].drop_duplicates()
    tested = report.forecasts[["part_id", "site_id"]].drop_duplicates()
    both = carried.merge(tested, on=["part_id", "site_id"])
    assert len(both) == len(carried)
    came = report.forecasts.groupby(["part_id", "site_id"])["quantity"].sum()
    assert (came == 0).sum() > 100


def test_the_summary_is_a_note_with_three_actions_at_most(report):
    lines = report.summary().splitlines()
    assert lines[0].startswith("Weighted quantile loss") and "expecting nothing scores 1.656" in lines[0]
    assert sum(line.startswith("To do") for line in lines) <= 3
    assert any("same stock" in line for line in lines)
    assert any("hindsight" in line for line in lines)
    assert "<li>Weighted quantile loss" in report._repr_html_()


def test_a_class_that_loses_to_the_mean_is_an_action():
    table = pd.DataFrame(
        {
            "cut": ["all"] * 3 + ["class"],
            "group": ["all"] * 3 + ["smooth"],
            "forecast": ["model", "mean", "zero", "model"],
            "series": [400, 400, 400, 90],
            "parts": [400, 400, 400, 90],
            "demand": 1000.0,
            "wql": [0.45, 0.5, 1.656, 0.44],
            "to_mean": [0.9, 1.0, 3.3, 1.2],
            "to_mean_low": [0.85, 1.0, 3.0, 1.1],
            "to_mean_high": [0.95, 1.0, 3.6, 1.3],
            "verdict": ["better", "", "worse", "worse"],
            "bias": [0.2, 0.0, -1.0, 0.1],
            "bias_noise": 0.02,
        }
    )
    coverage = pd.DataFrame({"cut": ["all", "class"], "group": ["all", "lumpy"], "forecast": "model",
                             "level": 0.9, "below": 0.7, "reached": [0.91, 0.82], "calerr": [0.0, 0.08],
                             "noise": 0.01})  # fmt: skip
    equal = pd.DataFrame({"cut": "all", "forecast": ["mean"], "level": 0.95, "stock": 2.0, "fill": 0.9,
                          "more_fill": 0.031, "more_stock": 0.2})  # fmt: skip
    losers = pd.DataFrame({"part_id": ["A", "B"], "demand": [0.0, 9.0], "excess": [30.0, 1.0],
                           "surprise": [5.0, 1.0], "state": ["dead", "steady"]})  # fmt: skip
    note = colleague_note(table, coverage, equal, losers, ["part_id"])
    said = "\n".join(note)
    assert "10.0% less than the mean forecast's (5.0% to 15.0% with 95 % confidence: a real gain)" in said
    assert "for the same stock the mean forecast fills 3.1% less, and needs 20.0% more stock" in said
    assert "Do not trust it in class smooth (+20.0%, at least +10.0%; 1,000 pieces)" in said
    assert [line for line in note if line.startswith("To do")] == [
        "To do 1: set the levels of class smooth (90 series, 1,000 pieces) by the mean of its history until "
        "the forecast is better there.",
        "To do 2: tell the forecast what you know of the worst series, by an override: A (dead).",
        "To do 3: the mean is too high by 20% over all: ask what left the field in the tested months.",
    ]


def test_unknown_months_everywhere_leave_nothing_to_test():
    history = made_up(6).assign(quantity=lambda h: h["quantity"].astype(float))
    history.loc[history["period"] >= 25, "quantity"] = np.nan
    with pytest.raises(DataError, match="no series with a known past and a whole known sum"):
        backtest_demand(history)


def test_sums_with_an_unknown_month_are_left_out():
    history = made_up(20).assign(quantity=lambda h: h["quantity"].astype(float))
    history.loc[(history["part_id"] == "P0003") & (history["period"] == 38), "quantity"] = np.nan
    rows = backtest_demand(history, origins=2).forecasts
    assert rows.groupby("part_id").size().to_dict()["P0003"] == 1
    assert rows.loc[rows["part_id"] == "P0003", "origin"].tolist() == [33]


def test_months_of_a_dated_history_name_the_origins():
    history = made_up(20)
    months = pd.date_range("2022-01-01", periods=40, freq="MS")
    dated = history.assign(period=months[history["period"]])
    text = history.assign(period=months.strftime("%Y-%m").to_numpy()[history["period"]])
    one, two, three = (
        backtest_demand(frame, origins=2)
        for frame in (dated, text, history.assign(period=months.to_period("M")[history["period"]]))
    )
    assert one.forecasts["origin"].unique().tolist() == [
        pd.Timestamp("2024-10-01"),
        pd.Timestamp("2025-01-01"),
    ]
    pd.testing.assert_frame_equal(one.forecasts, two.forecasts)
    pd.testing.assert_frame_equal(one.forecasts, three.forecasts)
    assert one.assumptions.set_index("name").loc["origins", "value"] == "2024-10, 2025-01"
