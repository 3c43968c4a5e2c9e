"""Hours against days: evidence in one unit, proved on field data with dynamic use and by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from spareplan.errors import DataError, FitError
from spareplan.forecast.clock_choice import (
    choose_by_evidence,
    clock_evidence,
    log_evidence,
    spell_evidence,
    use_jacobian,
)
from spareplan.forecast.likelihood import Spells, fit_weibull
from spareplan.forecast.sparse import SHAPES
from spareplan.forecast.use_effect import profile_use_effect


@pytest.fixture(scope="module")
def product_2(test_data):
    """Spells and use of the 1,800 machines of Hong & Meeker (2013)."""
    folder = test_data / "bench" / "reliability"
    units = pd.read_csv(folder / "spreda_prod2_units.csv")
    usage = pd.read_parquet(folder / "spreda_prod2_usage.parquet")
    spells = units.rename(columns={"id": "unit_id", "failure.time": "exit", "delta": "failed"})
    usage = usage.rename(columns={"id": "unit_id", "x1": "x"}).drop_duplicates(
        ["unit_id", "time"], keep="last"
    )
    return spells[["unit_id", "exit", "failed"]], usage


def simulate_fleets(fleets, machines, failures, shape, variation, hours_true, seed):
    """Spells on both clocks of many fleets: machines with own use rates, watched for random times."""
    rng = np.random.default_rng(seed)
    spread = np.sqrt(np.log1p(variation**2))
    rate = np.exp(rng.normal(-(spread**2) / 2, spread, (fleets, machines)))
    watched = rng.uniform(0.3, 1.0, (fleets, machines))
    age = watched * rate if hours_true else watched
    scale = (np.mean(age**shape) * machines / failures) ** (1 / shape)
    life = scale * rng.exponential(size=(fleets, machines)) ** (1 / shape)
    life = life / rate if hours_true else life
    days = 1000 * np.minimum(life, watched)
    return pd.DataFrame(
        {
            "part_id": np.repeat(np.arange(fleets), machines),
            "entry_days": 0.0,
            "exit_days": days.ravel(),
            "entry_hours": 0.0,
            "exit_hours": (8 * days * rate).ravel(),
            "failed": (life <= watched).ravel(),
            "hours_per_day": (8 * rate).ravel(),
        }
    )


def share_right(hours_true, **settings):
    spells = simulate_fleets(hours_true=hours_true, **settings)
    gain = clock_evidence(spells)["gain_nats"].to_numpy()
    return np.mean(gain > 0 if hours_true else gain < 0)


@pytest.mark.parametrize("rows", [4, 60])
def test_evidence_is_the_likelihood_averaged_over_shape_and_scale(rows):
    rng = np.random.default_rng(3)
    exit_ = rng.weibull(2.2, rows) * 40 + 0.1
    entry = np.where(rng.random(rows) < 0.3, 0.4 * exit_, 0.0)
    failed = rng.random(rows) < 0.5
    failed[0] = True
    spells = Spells(np.array([0]), entry, exit_, failed, np.ones(rows))

    def likelihood(log_eta, log_beta):
        beta, eta = np.exp(log_beta), np.exp(log_eta)
        log_hazard = log_beta - log_eta + (beta - 1) * (np.log(exit_) - log_eta)
        total = (failed * log_hazard - (exit_ / eta) ** beta + (entry / eta) ** beta).sum()
        return np.exp(total + 100 + 3.5 * (rows - 4)) * np.exp(-0.5 * ((log_beta - np.log(1.5)) / 0.6) ** 2)

    low, high = np.log(SHAPES[0]), np.log(SHAPES[-1])
    whole = integrate.dblquad(likelihood, low, high, 2.0, 9.0, epsabs=0)[0]
    grid = np.linspace(low, high, 4001)
    weight = integrate.trapezoid(np.exp(-0.5 * ((grid - np.log(1.5)) / 0.6) ** 2), grid)
    expected = np.log(whole / weight) - 100 - 3.5 * (rows - 4)
    assert spell_evidence(spells)[0] == pytest.approx(expected, abs=0.06)


def test_evidence_of_a_part_changes_with_the_unit_by_its_failures_only():
    rng = np.random.default_rng(0)
    exit_, failed = rng.uniform(10, 90, 30), rng.random(30) < 0.4
    spells = Spells(np.array([0, 10, 20]), np.zeros(30), exit_, failed, np.ones(30))
    hours = spells._replace(exit=24 * exit_)
    change = spell_evidence(hours) - spell_evidence(spells)
    assert change == pytest.approx(-spells.sums(failed.astype(float)) * np.log(24))
    assert log_evidence(np.zeros(1), np.zeros(1), np.ones((1, 9))) == [0.0]


def test_same_use_everywhere_cannot_tell_the_clocks_apart():
    spells = simulate_fleets(5, 40, 10, 2.0, 1e-9, True, 1)
    found = clock_evidence(spells)
    assert found["gain_nats"].to_numpy() == pytest.approx(np.zeros(5), abs=1e-6)
    chosen = choose_by_evidence(found["hours"], found["days"], ["F"] * 5)
    assert chosen["chosen"].tolist() == ["first"] and not chosen["sure"].any()
    assert chosen["chance_first"].iloc[0] == pytest.approx(0.5)


def test_weeks_or_use_on_product_2_gives_the_measured_gains(product_2):
    spells, usage = product_2
    profile = profile_use_effect(spells, usage, effects=[0, 0.5, 1, 1.25, 1.5, 2])
    table = profile.table.set_index("effect")
    assert table.loc[0, "loglik"] == pytest.approx(-555.15, abs=0.005)
    assert table.loc[0, "shape"] == pytest.approx(1.11, abs=0.005)
    assert table["gain_nats"].to_numpy() == pytest.approx([0, 32.8, 48.3, 51.5, 52.9, 52.9], abs=0.06)
    assert table.loc[[1.5, 2], "shape"].tolist() == pytest.approx([1.0, 0.8], abs=0.03)


def test_the_effect_of_use_on_product_2_is_not_one(product_2):
    profile = profile_use_effect(*product_2)
    assert profile.best == pytest.approx(1.74, abs=0.02)
    assert profile.low > 1.1 and profile.high < 2.6
    assert profile.gain_nats == pytest.approx(53.26, abs=0.02)


def test_without_the_jacobian_weeks_would_win_on_product_2(product_2):
    spells, usage = product_2
    path = _product_2_clocks(spells, usage, 1.5)
    one = np.array([0])
    laws = [
        fit_weibull(
            Spells(one, np.zeros(len(path)), path[f"exit_{clock}"].to_numpy(), failed, np.ones(len(path)))
        )
        for clock in ("hours", "days")
        for failed in [path["failed"].to_numpy() > 0]
    ]
    assert laws[0].loglik[0] - laws[1].loglik[0] == pytest.approx(-59, abs=1.0)
    assert clock_evidence(path)["gain_nats"].iloc[0] > 45


def test_mean_use_per_machine_tells_less_than_its_path(product_2):
    path = _product_2_clocks(*product_2, 1.25)
    path["hours_per_day"] = path["exit_hours"] / path["exit_days"]
    mean_only = clock_evidence(path)["gain_nats"].iloc[0]
    assert mean_only == pytest.approx(36.3, abs=1.5)


@pytest.mark.parametrize(("share", "least"), [(0.08, 0.80), (0.16, 0.93), (0.31, 0.99), (0.5, 0.999)])
def test_a_few_failures_of_product_2_choose_use(product_2, share, least):
    path = _product_2_clocks(*product_2, 1.25)
    rng = np.random.default_rng(5)
    draws = [
        path[rng.random(len(path)) < share].assign(part_id=number)
        for number in range(200 if share < 0.2 else 60)
    ]
    found = clock_evidence(pd.concat(draws))
    assert (found["gain_nats"] > 0).mean() >= least


def _product_2_clocks(spells, usage, effect):
    """Both clocks of each machine at its end: weeks, and sum exp(effect x) with its rate there."""
    usage = usage.merge(spells, on="unit_id")
    following = usage.groupby("unit_id")["time"].shift(-1).fillna(usage["exit"])
    begin = usage["time"].where(usage["unit_id"].duplicated(), 0)
    speed = np.exp(effect * usage["x"])
    path = pd.DataFrame({"unit_id": usage["unit_id"], "run": speed * (following - begin), "speed": speed})
    grouped = path.groupby("unit_id")
    return spells.assign(
        part_id="P2",
        entry_days=0.0,
        exit_days=spells["exit"],
        entry_hours=0.0,
        exit_hours=spells["unit_id"].map(grouped["run"].sum()),
        hours_per_day=spells["unit_id"].map(grouped["speed"].last()),
    )


@pytest.mark.parametrize(
    ("shape", "variation", "failures", "hours", "days"),
    [
        (1.0, 0.5, 8, 0.73, 0.72),
        (1.0, 0.5, 70, 0.99, 0.96),
        (2.0, 0.2, 18, 0.80, 0.81),
        (2.0, 0.5, 8, 0.90, 0.89),
        (3.5, 0.5, 18, 1.00, 0.96),
    ],
)
def test_simulated_fleets_choose_right_as_often_as_was_measured(shape, variation, failures, hours, days):
    settings = {"failures": failures, "shape": shape, "variation": variation}
    settings |= {"fleets": 300, "machines": 250, "seed": 11}
    assert share_right(True, **settings) == pytest.approx(hours, abs=0.09)
    assert share_right(False, **settings) == pytest.approx(days, abs=0.09)


def test_a_family_of_sparse_parts_decides_together():
    spells = simulate_fleets(60, 60, 3, 2.5, 0.6, True, 4)
    found = clock_evidence(spells)
    chosen = choose_by_evidence(
        found["hours"], found["days"], np.repeat(["F1", "F2"], 30), names=("hours", "days")
    )
    assert chosen["chosen"].tolist() == ["first", "first"] and chosen["sure"].all()
    assert chosen["gain_nats"].to_numpy() == pytest.approx(
        found["gain_nats"].to_numpy().reshape(2, 30).sum(axis=1)
    )
    assert chosen["reason"].str.contains("hours .* nats likelier than days").all()


def test_the_first_is_kept_below_the_least_gain_and_the_order_of_parts_does_not_matter():
    first, second = np.array([-10.0, -5, -7, -20]), np.array([-9.0, -4.5, -2, -15])
    family = np.array(["b", "b", "a", "a"])
    chosen = choose_by_evidence(first, second, family)
    assert chosen["family"].tolist() == ["a", "b"]
    assert chosen["chosen"].tolist() == ["second", "first"]
    assert chosen["sure"].tolist() == [True, False]
    assert chosen["chance_first"].to_numpy() == pytest.approx(1 / (1 + np.exp([10, 1.5])))
    again = choose_by_evidence(first[::-1], second[::-1], family[::-1])
    pd.testing.assert_frame_equal(chosen, again)
    assert choose_by_evidence(first, second, family, least_nats=0)["chosen"].tolist() == ["second"] * 2


def test_one_failure_in_an_idle_month_does_not_decide_alone():
    spells = simulate_fleets(1, 200, 30, 2.0, 0.6, True, 2)
    assert clock_evidence(spells)["gain_nats"].iloc[0] > 3
    spells.loc[spells["failed"].idxmax(), "hours_per_day"] = 0.0
    assert np.isfinite(clock_evidence(spells)["gain_nats"].iloc[0])
    assert clock_evidence(spells)["gain_nats"].iloc[0] > 3


def test_the_jacobian_is_the_log_use_rate_of_failures_with_a_floor():
    rows = use_jacobian([True, True, False], [6.0, 1e-5, np.nan], 8.0, least_share=0.1)
    assert rows == pytest.approx([np.log(6), np.log(0.8), 0.0])


def test_the_true_effect_of_use_is_found_where_it_is_simulated():
    rng = np.random.default_rng(8)
    machines, periods, effect = 800, 40, 0.7
    x = rng.normal(size=(machines, 1)) * 0.8 + rng.normal(size=(machines, periods)) * 0.5
    age = np.cumsum(np.exp(effect * x), axis=1)
    target = 45 * rng.exponential(size=machines) ** (1 / 1.8)
    failed = target < age[:, -1]
    before = np.concatenate([np.zeros((machines, 1)), age[:, :-1]], axis=1)
    row = np.minimum((age < target[:, None]).sum(axis=1), periods - 1)
    at = np.arange(machines)
    exit_ = np.where(failed, row + (target - before[at, row]) / np.exp(effect * x[at, row]), periods)
    spells = pd.DataFrame({"unit_id": at, "exit": exit_, "failed": failed})
    usage = pd.DataFrame(
        {"unit_id": np.repeat(at, periods), "time": np.tile(np.arange(periods), machines), "x": x.ravel()}
    )
    profile = profile_use_effect(spells, usage)
    assert profile.low < effect < profile.high
    assert profile.best == pytest.approx(effect, abs=0.15)
    shuffled = profile_use_effect(spells.sample(frac=1, random_state=1), usage.sample(frac=1, random_state=2))
    assert shuffled.best == pytest.approx(profile.best, rel=1e-6)


def test_faulty_input_is_refused_by_name():
    spells = pd.DataFrame({"unit_id": ["a", "b"], "exit": [5.0, -1.0], "failed": [1, 0]})
    usage = pd.DataFrame({"unit_id": ["a", "a"], "time": [1.0, 2.0], "x": [0.3, np.nan]})
    with pytest.raises(DataError) as caught:
        profile_use_effect(spells, usage)
    found = caught.value.problems[["table", "row", "column"]].to_numpy().tolist()
    assert found == [["spells", 3, "exit"], ["spells", 3, "unit_id"], ["usage", 3, "x"]]
    fine = pd.DataFrame({"unit_id": ["a"], "exit": [5.0], "failed": [0]})
    with pytest.raises(FitError, match="censored"):
        profile_use_effect(fine, usage.iloc[:1])
    with pytest.raises(DataError, match="is no finite number"):
        choose_by_evidence([np.nan], [0.0], ["f"])
    with pytest.raises(DataError, match="not as long"):
        choose_by_evidence([0.0, 1.0], [0.0], ["f"])
    with pytest.raises(DataError, match="prior"):
        choose_by_evidence([0.0], [0.0], ["f"], prior=1.0)
    both = simulate_fleets(1, 3, 1, 2.0, 0.5, True, 0)
    both.loc[1, "exit_hours"] = 0.0
    both["failed"] = True
    both.loc[2, "hours_per_day"] = np.nan
    with pytest.raises(DataError) as caught:
        clock_evidence(both)
    assert caught.value.problems[["row", "column"]].to_numpy().tolist() == [
        [3, "exit_hours"],
        [4, "hours_per_day"],
    ]
    both = simulate_fleets(1, 3, 1, 2.0, 0.5, True, 0).astype({"part_id": object, "failed": object})
    both.loc[0, "part_id"] = None
    both.loc[1, "failed"] = "perhaps"
    both["exit_days"] = ["soon", 5.0, 5.0]
    with pytest.raises(DataError) as caught:
        clock_evidence(both)
    found = caught.value.problems[["row", "column", "value"]].to_numpy().tolist()
    assert sorted(found) == [[2, "exit_days", "soon"], [2, "part_id", "None"], [3, "failed", "perhaps"]]
