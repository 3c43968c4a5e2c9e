"""The back-test of machines: nothing learned later is used, and the naive forecasts stand beside."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.fleet_backtest import backtest_fleet
from spareplan.forecast.fleet_scores import paired_noise, randomised_places
from spareplan.forecast.known import known_at
from tests.forecast.fleets import TODAY, make_fleet

ORIGIN = pd.Timestamp("2025-06-30")
LIVES = {"P1": (2.5, 500.0), "P2": (1.5, 900.0), "P3": (3.0, 4000.0)}


@pytest.fixture(scope="module")
def fleet():
    return make_fleet(5, machines=80, parts=LIVES)[0]


@pytest.fixture(scope="module")
def report(fleet):
    return backtest_fleet(fleet, origins=3, days=91)


def test_a_dataset_of_a_past_day_holds_nothing_learned_later(fleet):
    rows = fleet.replacements.assign(reported_on=fleet.replacements["replaced_on"] + pd.Timedelta(days=30))
    units = fleet.units.assign(retired_on=fleet.units["commissioned_on"] + pd.Timedelta(days=2000))
    data = dataclasses.replace(fleet, tables={**fleet.tables, "replacements": rows, "units": units})
    then = known_at(data, ORIGIN)
    assert then.replacements["reported_on"].max() <= ORIGIN
    assert len(then.replacements) == (rows["reported_on"] <= ORIGIN).sum()
    assert then.units["commissioned_on"].max() <= ORIGIN
    assert then.units["retired_on"].max() <= ORIGIN
    assert len(then.parts) == len(data.parts)


def test_rows_after_an_origin_change_no_forecast(fleet):
    late = fleet.replacements["replaced_on"] > ORIGIN
    some = fleet.replacements[~late | (np.arange(len(late)) % 3 == 0)]
    other = dataclasses.replace(fleet, tables={**fleet.tables, "replacements": some})
    columns = ["part_id", "published", "published_variance", "ages", "mean_rate", "weight"]
    one, two = (backtest_fleet(data, [ORIGIN], 91, until=TODAY) for data in (fleet, other))
    pd.testing.assert_frame_equal(one.table[columns], two.table[columns])
    assert two.table["actual"].sum() < one.table["actual"].sum()


def test_what_came_is_counted_on_the_machines_of_the_origin(fleet, report):
    row = report.table[(report.table["part_id"] == "P1")].iloc[-1]
    old = fleet.units.loc[fleet.units["commissioned_on"] <= row["origin"], "unit_id"]
    seen = fleet.replacements
    seen = seen[(seen["part_id"] == "P1") & seen["unit_id"].isin(old)]
    until = row["origin"] + pd.Timedelta(days=91)
    assert row["actual"] == ((seen["replaced_on"] > row["origin"]) & (seen["replaced_on"] <= until)).sum()


def test_scores_are_what_they_say(report):
    table = report.table
    scores = report.scores().set_index("forecast")
    error = (table["published"] - table["actual"]).abs().sum() / table["actual"].sum()
    assert scores.loc["published", "wape"] == pytest.approx(error)
    assert scores.loc["mean_rate", "to_rate"] == 0
    assert scores.loc["ages", "bias"] == pytest.approx(table["ages"].sum() / table["actual"].sum() - 1)
    assert scores["won"].sum() >= 1
    classes = report.scores("part_class")
    assert classes[classes["forecast"] == "published"]["cells"].sum() == len(table)


def test_the_same_seed_gives_the_same_scores_whatever_the_order_of_rows(fleet, report):
    mixed = fleet.replacements.sample(frac=1.0, random_state=3).reset_index(drop=True)
    other = dataclasses.replace(fleet, tables={**fleet.tables, "replacements": mixed})
    pd.testing.assert_frame_equal(backtest_fleet(other, 3, 91).scores(), report.scores())


def test_the_summary_names_the_losers(report):
    text = report.summary()
    assert "the mean rate" in text and "ages alone" in text
    assert "in the 95 % band" in text


def test_sites_add_up_to_parts(fleet, report):
    by_site = backtest_fleet(fleet, 3, 91, by_site=True).table
    sums = by_site.groupby(["origin", "part_id"])[["published", "actual", "mean_rate"]].sum().reset_index()
    pd.testing.assert_frame_equal(
        sums, report.table[sums.columns].reset_index(drop=True), check_exact=False, rtol=1e-9
    )


def test_places_of_a_right_forecast_are_uniform():
    rng = np.random.default_rng(1)
    mean = rng.uniform(0.2, 8, 20_000)
    places = randomised_places(rng.poisson(mean), mean, mean)
    deciles = np.histogram(places, np.linspace(0, 1, 11))[0] / len(mean)
    np.testing.assert_allclose(deciles, 0.1, atol=0.01)


def test_noise_of_a_comparison_falls_with_the_cells():
    rng = np.random.default_rng(2)
    gain, actual = rng.normal(0, 2, 400), np.full(400, 5.0)
    # Standard error of the mean of 400 gains over 5 pieces a cell.
    assert paired_noise(gain, actual) == pytest.approx(2 / 5 / 20, rel=0.15)
    assert np.isnan(paired_noise(gain[:1], actual[:1]))
    # Where most draws take nothing the others still tell.
    assert paired_noise(np.array([1.0, -1.0, 1.0]), np.array([4.0, 0.0, 0.0])) < 1


def test_impossible_tests_are_refused_by_name(fleet):
    for arguments, words in (
        ({"days": 0}, "days"),
        ({"origins": 0}, "origins"),
        ({"origins": ["2025-12-01"], "days": 91}, "too few days"),
        ({"origins": ["1999-12-01"]}, "before all replacements"),
    ):
        with pytest.raises(DataError, match=words):
            backtest_fleet(fleet, **arguments)
    empty = fleet.with_tables(replacements=fleet.replacements.iloc[:0])
    with pytest.raises(DataError, match="no machines"):
        backtest_fleet(empty)
