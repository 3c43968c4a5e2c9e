"""The forecast from machines on field data from outside the project."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from benchmarks.field_fleets import (
    azure,
    back,
    braking_grids,
    product2,
    valve_seats,
    vehicles,
)

from spareplan.forecast.fleet_backtest import backtest_fleet
from spareplan.forecast.known import known_at

YEAR_END = "2020-12-31"


@pytest.fixture(scope="module")
def components(test_data):
    return azure(test_data)


@pytest.fixture(scope="module")
def last_quarter(components):
    return backtest_fleet(components, ["2020-09-30"], 92, until=YEAR_END)


@pytest.fixture(scope="module")
def quarters(components):
    return backtest_fleet(components, ["2020-03-31", "2020-06-30", "2020-09-30"], 91, until=YEAR_END)


def test_azure_has_the_failures_and_the_replacements_of_the_file(last_quarter):
    table = last_quarter.table.set_index("part_id")
    assert table["actual_failures"].to_dict() == {"comp1": 39, "comp2": 72, "comp3": 28, "comp4": 41}
    assert table.loc["comp2", "actual"] == 186


def test_azure_stays_within_its_own_band_per_component(last_quarter):
    table = last_quarter.table
    assert (table["actual"] >= table["low_95"]).all()
    assert (table["actual"] <= table["high_95"]).all()
    # Bands that hold everything would hold these, too.
    assert (table["high_95"] - table["low_95"] < 0.6 * table["published"]).all()
    # Failures alone, their own chance and the shared error of the rate.
    share = table["failures"] / table["published"]
    spread = np.sqrt(table["failures"] + (share * np.sqrt(table["published_variance"])) ** 2)
    assert ((table["failures"] - table["actual_failures"]).abs() < 2 * spread).all()


def test_azure_is_never_worse_than_the_mean_rate_by_more_than_noise(quarters):
    for what in ("pieces", "failures"):
        row = quarters.scores(what=what).set_index("forecast").loc["published"]
        assert row["to_rate"] <= 2 * row["noise"], what
    failures = quarters.scores(what="failures").set_index("forecast")["wape"]
    assert failures["published"] < failures["ages"]


def test_azure_gives_the_same_figures_again(components, last_quarter):
    again = backtest_fleet(components, ["2020-09-30"], 92, until=YEAR_END)
    pd.testing.assert_frame_equal(again.table, last_quarter.table)
    pd.testing.assert_frame_equal(again.scores(), last_quarter.scores())


@pytest.mark.parametrize(("read", "days"), [(valve_seats, 100), (braking_grids, 100), (product2, 60)])
def test_fleets_of_few_failures_are_no_worse_than_the_mean_rate_by_more_than_noise(test_data, read, days):
    report = backtest_fleet(read(test_data), back(YEAR_END, 3, days), days, until=YEAR_END)
    row = report.scores().set_index("forecast").loc["published"]
    assert row["to_rate"] <= 2 * row["noise"]
    assert row["c95"] >= 0.6


def test_the_tables_hold_what_the_files_hold(test_data):
    seats = valve_seats(test_data)
    assert seats.replacements["quantity"].sum() == 48 and len(seats.units) == 41
    grids = braking_grids(test_data)
    assert len(grids.units) == 33 and len(grids.parts) == 2
    units = product2(test_data)
    assert len(units.units) == 1800 and len(units.replacements) == 69
    assert units.meter_readings.groupby("unit_id")["hours"].is_monotonic_increasing.all()


def test_young_vehicles_follow_their_ages_and_late_reports_are_unknown(test_data):
    data = vehicles(test_data)
    assert len(data.units) == 10_684 and len(data.parts) == 54
    origin = pd.Timestamp("2015-07-04")
    then = known_at(data, origin)
    assert then.replacements["reported_on"].max() <= origin
    hidden = (data.replacements["replaced_on"] <= origin).sum() - len(then.replacements)
    assert hidden > 5
    scores = backtest_fleet(data, [origin], 90, until="2015-12-31").scores().set_index("forecast")
    # The fleet ages: the rate of the past is half of what comes.
    assert scores.loc["mean_rate", "bias"] < -0.3
    assert abs(scores.loc["published", "bias"]) < 0.2
    assert scores.loc["published", "to_rate"] < -0.2
