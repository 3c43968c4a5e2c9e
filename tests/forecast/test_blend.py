"""Ages against the mean rate, weighed by back-test."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spareplan.config import ForecastOptions
from spareplan.forecast.blend import WEIGHTS, blended_spread, learn_blend, lengths_of_tests, weigh_families
from spareplan.forecast.demand import forecast_demand
from tests.forecast.fleets import TODAY, make_fleet


def road_with(by_ages, by_rate, parts, by_history=np.nan):
    windows = pd.DataFrame(
        {
            "part_id": parts,
            "site_id": "S1",
            "days": 365.0,
            "mean": by_ages,
            "by_ages": by_ages,
            "by_rate": by_rate,
            "by_history": by_history,
            "cv2_history": 0.01,
            "vmr": 1.0,
            "rate_cv2": 0.01,
            "cv2_rate": 0.01,
        }
    )
    lifetimes = pd.DataFrame({"part_id": parts, "family": "f", "n_failed": 9.0})
    return lambda origin, months, days: SimpleNamespace(windows=windows, lifetimes=lifetimes)


QUARTER = pd.Timestamp("2025-09-30")


@pytest.fixture(scope="module")
def fleet():
    data, _ = make_fleet(1, machines=60, parts={f"P{i}": (1.0, 500.0) for i in range(6)})
    later = data.replacements[data.replacements["replaced_on"] > QUARTER]
    old = data.units.loc[data.units["commissioned_on"] <= QUARTER, "unit_id"]
    seen = later[later["unit_id"].isin(old)].groupby("part_id").size()
    return data, seen


def test_the_road_that_told_right_gets_the_weight(fleet):
    data, seen = fleet
    begin, parts = pd.Timestamp("2022-01-01"), seen.index
    right, wrong = seen.to_numpy(float), 2.0 * seen.to_numpy(float)
    ages = learn_blend(data, TODAY, begin, 1, road_with(right, wrong, parts))
    rate = learn_blend(data, TODAY, begin, 1, road_with(wrong, right, parts))
    assert min(ages.weight.values()) > 0.85
    assert max(rate.weight.values()) < 0.15
    assert ages.words("P0") == "ages (ages won)"
    assert rate.words("P0") == "mean rate (mean rate won)"
    assert rate.winner("P0") == "mean rate won"
    assert "0% by the mean rate" in rate.reason("P0")
    assert ages.doubt <= rate.doubt


def test_two_roads_that_agree_share_the_weight(fleet):
    data, seen = fleet
    mean = seen.to_numpy(float)
    blend = learn_blend(data, TODAY, pd.Timestamp("2022-01-01"), 2, road_with(mean, mean, seen.index))
    np.testing.assert_allclose(list(blend.weight.values()), 0.5, atol=0.1)
    assert blend.words("P0") == "ages and mean rate (a draw)"
    assert blend.of("a part nobody tested") == pytest.approx(blend.default)
    np.testing.assert_allclose(blend.weights(["P0", "?"]), [blend.of("P0"), blend.default])


def test_quarters_follow_one_another_and_see_only_their_past(fleet):
    data, _ = fleet
    asked = []

    def road(origin, months, days):
        asked.append((origin, days))
        return road_with([1.0], [1.0], ["P0"])(origin, months, days)

    learn_blend(data, TODAY, pd.Timestamp("2025-01-01"), 3, road)
    assert asked == [
        (pd.Timestamp("2025-09-30"), [92]),
        (pd.Timestamp("2025-06-30"), [92]),
        (pd.Timestamp("2025-03-31"), [91]),
    ]


def test_quarters_end_where_reports_are_nearly_complete(fleet):
    data, _ = fleet
    rows = data.replacements.assign(reported_on=data.replacements["replaced_on"] + pd.Timedelta(days=20))
    late = dataclasses.replace(data, tables={**data.tables, "replacements": rows})
    blend = learn_blend(late, TODAY, pd.Timestamp("2022-01-01"), 1, road_with([1.0], [1.0], ["P0"]))
    assert blend.tested["origin"].iloc[0] == pd.Timestamp("2025-09-11")


@pytest.mark.parametrize(
    ("months", "origins", "expected"),
    [
        (1.9, 2, (0, 0)),
        (3.0, 2, (1, 1)),
        (3.95, 2, (1, 2)),
        (5.95, 2, (2, 2)),
        (8.0, 2, (3, 2)),
        (48.0, 2, (3, 2)),
        (9.0, 8, (3, 2)),
        (48.0, 8, (3, 8)),
        (48.0, 0, (0, 0)),
        (7.0, 1, (3, 1)),
    ],
)
def test_short_records_are_tested_in_months(months, origins, expected):
    assert lengths_of_tests(months, origins) == expected


def test_families_lean_on_all_and_on_themselves():
    nodes = len(WEIGHTS)
    ages, rate, nothing = np.linspace(-20, 0, nodes), np.linspace(0, -20, nodes), np.zeros(nodes)
    mixed = weigh_families(np.stack([ages, rate, nothing])) @ WEIGHTS
    assert mixed[0] > 0.75 and mixed[1] < 0.25
    assert mixed[2] == pytest.approx(0.5, abs=0.02)
    led = weigh_families(np.stack([ages, ages, nothing])) @ WEIGHTS
    assert led[2] > 0.8


def test_records_too_short_to_test_trust_ages_on_machines_seen_from_new(fleet):
    data, _ = fleet
    road = road_with([1.0], [1.0], ["P0"])
    begin = TODAY - pd.Timedelta(days=60)
    short = learn_blend(data, TODAY, begin, 2, road)
    young = (data.units["commissioned_on"] >= begin).mean()
    assert short.of("P0") == pytest.approx(0.5 + 0.5 * young)
    assert "too short" in short.notes[0]["meaning"]
    assert short.reason("P0") == f"ages weigh {0.5 + 0.5 * young:.0%} against the mean rate"
    assert short.winner("P0") == ""
    new = data.with_tables(
        units=data.units.assign(commissioned_on=begin), replacements=data.replacements.iloc[:0]
    )
    assert learn_blend(new, TODAY, begin, 2, road).of("P0") == 1.0


def test_no_origins_means_ages_alone_and_says_so():
    data, _ = make_fleet(2)
    result = forecast_demand(data, as_of=TODAY, options=ForecastOptions(backtest_origins=0))
    assert result.table["method"].str.startswith("installed base: ages").all()
    row = result.assumptions.set_index("name").loc["weight of ages against the mean rate"]
    assert row["value"] == "1"


def test_a_row_says_which_road_won_and_by_how_much(fleet):
    table = forecast_demand(fleet[0], months=3, as_of=TODAY).table
    assert table["method"].str.contains(r"\((?:ages won|mean rate won|a draw)\)$").all()
    assert table["reason"].str.contains("off by ages, ").all()


def test_blended_spread_joins_both_ends():
    vmr, cv2 = blended_spread(([0.0, 1.0], [1.0, 0.0], [0.0, 0.0]), 0.6, 0.04, 0.01)
    assert vmr.tolist() == [1.0, 0.6]
    np.testing.assert_allclose(cv2, [0.01, 0.04])
