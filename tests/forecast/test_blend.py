"""Ages against the mean rate, weighed by back-test."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from spareplan.config import ForecastOptions
from spareplan.forecast.base_road import installed_base_demand
from spareplan.forecast.blend import (
    NO_BLEND,
    NODES,
    blended_spread,
    learn_blend,
    lengths_of_tests,
    prior_weight,
    weigh_families,
)
from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.site_factors import SITES_ALIKE, SiteFactors, learn_site_factors
from tests.forecast.fleets import TODAY, make_fleet

WEIGHTS = np.linspace(0.0, 1.0, 11)


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
    np.testing.assert_allclose(blend.table(["P0", "?"])["ages"], [blend.of("P0"), blend.default])


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


def test_thin_classes_stay_near_all_and_clear_ones_go_their_way():
    ages, rate = NODES[:, 0] * 30, NODES[:, 1] * 30
    by_class = np.stack([np.zeros(len(NODES)), ages - ages.max(), rate * 4 - rate.max() * 4])
    family = by_class.sum(axis=0, keepdims=True) / 10 + ages
    thin, old, clear = weigh_families(family, NODES, by_class)[0] @ NODES
    everyone = np.exp(2 * family[0] + prior_weight(NODES))
    np.testing.assert_allclose(thin, everyone @ NODES / everyone.sum(), atol=1e-9)
    assert old[0] > 0.8 and clear[1] > 0.8
    np.testing.assert_allclose((thin.sum(), old.sum(), clear.sum()), 1.0)


def test_the_own_record_gets_the_weight_where_it_told_right(fleet):
    data, seen = fleet
    right, wrong = seen.to_numpy(float), 2.0 * seen.to_numpy(float)
    begin = pd.Timestamp("2022-01-01")
    blend = learn_blend(data, TODAY, begin, 2, road_with(wrong, wrong, seen.index, by_history=right))
    assert min(blend.record.values()) > 0.8
    assert blend.words("P0") == "own record (own record won)"
    assert blend.reads_record
    np.testing.assert_allclose([sum(blend.three(part)) for part in seen.index], 1.0)
    assert blend.two("P0")[2] == 0.0 and sum(blend.two("P0")) == pytest.approx(1.0)
    table = blend.table(["P0", "a part nobody tested"])
    assert table["own_record"].tolist() == [blend.record["P0"], blend.default_record]


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


def with_a_calm_site(data):
    """Two of three replacements at S1 never happen: its machines stand under a roof."""
    at = data.replacements["unit_id"].map(data.units.set_index("unit_id")["site_id"])
    keep = (at != "S1") | (np.arange(len(at)) % 3 == 0)
    return data.with_tables(replacements=data.replacements[keep])


def test_a_site_that_takes_less_than_its_machines_gets_less_and_the_total_stays(fleet):
    data = with_a_calm_site(fleet[0])
    options = ForecastOptions(backtest_origins=4)
    told = forecast_demand(data, 3, TODAY, options)
    blend = NO_BLEND._replace(default=0.0)
    plain = installed_base_demand(data, TODAY, pd.DatetimeIndex(["2026-01-01"]), [91], options, blend)
    window = told.windows[told.windows["days"] == 90.0]
    share, by_machines = (
        rows[rows["site_id"] == "S1"]["mean"].sum() / rows["mean"].sum() for rows in (window, plain.windows)
    )
    rows = data.replacements.merge(data.units[["unit_id", "site_id"]], on="unit_id")
    truth = (rows["site_id"] == "S1").mean()
    assert truth < 0.6 * by_machines
    assert share == pytest.approx(truth, abs=0.45 * (by_machines - truth))
    row = told.assumptions.set_index("name").loc["demand of sites over what their machines let expect"]
    assert "S1 0." in row["meaning"]
    assert (
        told.table.loc[told.table["site_id"] == "S1", "reason"].str.contains("times what its machines").any()
    )


def test_factors_of_sites_move_places_not_totals(fleet):
    months, options = pd.DatetimeIndex(["2026-01-01", "2026-02-01"]), ForecastOptions()
    factors = SiteFactors({"S1": 0.5}, {"P2": {"S2": 3.0}})
    plain, moved = (
        installed_base_demand(fleet[0], TODAY, months, [59], options, NO_BLEND._replace(sites=sites))
        for sites in (SITES_ALIKE, factors)
    )
    for name in ("table", "windows"):
        one, two = (getattr(road, name).groupby("part_id")["mean"].sum() for road in (plain, moved))
        np.testing.assert_allclose(one, two)
    at = {
        name: road.windows.set_index(["part_id", "site_id"])["mean"]
        for name, road in (("plain", plain), ("moved", moved))
    }
    odds = {name: mean["P1", "S1"] / mean["P1", "S2"] for name, mean in at.items()}
    assert odds["moved"] == pytest.approx(0.5 * odds["plain"])
    odds = {name: mean["P2", "S1"] / mean["P2", "S2"] for name, mean in at.items()}
    assert odds["moved"] == pytest.approx(0.5 / 3.0 * odds["plain"])


def sites_of(truth, seed=7, parts=40):
    rng = np.random.default_rng(seed)
    names = np.array([f"S{i}" for i in range(len(truth))])
    mean = rng.gamma(2.0, 3.0, (parts, len(truth)))
    return pd.DataFrame(
        {
            "origin": TODAY,
            "part_id": np.repeat([f"P{i}" for i in range(parts)], len(truth)),
            "site_id": np.tile(names, parts),
            "mean": mean.ravel(),
            "actual": rng.poisson(mean * truth).ravel().astype(float),
        }
    )


def test_sites_alike_stay_alike_and_others_are_found():
    alike = learn_site_factors(sites_of(np.ones(8)), 1.0)
    assert max(abs(value - 1) for value in alike.sites.values()) < 0.08
    truth = np.array([0.4, 0.7, 1.0, 1.0, 1.2, 1.5, 1.0, 1.2])
    found = learn_site_factors(sites_of(truth), 1.0)
    np.testing.assert_allclose([found.sites[f"S{i}"] for i in range(8)], truth / truth.mean(), rtol=0.15)
    assert found.strength < alike.strength


def test_a_factor_is_the_mean_of_its_gamma_law_by_integration():
    rows = pd.DataFrame(
        {
            "origin": TODAY,
            "part_id": "P",
            "site_id": ["A", "B"],
            "mean": [5.0, 5.0],
            "actual": [9.0, 1.0],
        }
    )
    found = learn_site_factors(rows, 1.0)
    law = stats.gamma(found.strength, scale=1 / found.strength)
    moments = [
        integrate.quad(lambda f: law.pdf(f) * stats.poisson.pmf(9, 5 * f) * f**power, 0, 20)[0]  # noqa: B023
        for power in (0, 1)
    ]
    assert found.sites["A"] == pytest.approx(moments[1] / moments[0], rel=1e-6)


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
