"""Scores of quantile forecasts: by hand, against the independent scorer, and on counts of a known law."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spareplan.errors import DataError
from spareplan.forecast.scores import figures_of_sums, score_quantiles, score_terms

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


def random_case(seed=0, n=400):
    rng = np.random.default_rng(seed)
    ids = [f"P{i:03d}" for i in range(n)]
    rate = rng.gamma(0.5, 3, n)
    actual = pd.DataFrame({"part_id": ids, "quantity": rng.poisson(rate)})
    forecast = pd.DataFrame({"part_id": ids, "mean": rate})
    for level in LEVELS:
        forecast[f"q{level:g}"] = stats.poisson.ppf(level, np.maximum(rate, 1e-9))
    return actual, forecast


def test_scores_follow_their_definition_on_two_parts():
    actual = pd.DataFrame({"part_id": ["a", "b"], "quantity": [4, 0]})
    forecast = pd.DataFrame({"part_id": ["a", "b"], "mean": [3.0, 2.0], "q0.9": [2, 1]})
    row = score_quantiles(actual, forecast).loc["model"]
    assert row["wql"] == pytest.approx(2 * (0.9 * 2 + 0.1 * 1) / 4)
    assert row["bias"] == pytest.approx(1 / 4)
    assert row["stock_0.9"] == pytest.approx(3 / 4)
    assert row["fill_0.9"] == pytest.approx(2 / 4)
    # P(y <= f) = 1/2 is 0.4 below the level
    assert row["calerr_0.9"] == pytest.approx(0.4)


def test_expecting_nothing_loses_twice_the_level():
    actual, forecast = random_case()
    zero = score_quantiles(actual, forecast).loc["zero"]
    for level in LEVELS:
        assert zero[f"wql_{level:g}"] == pytest.approx(2 * level)
        assert zero[f"stock_{level:g}"] == 0
    assert zero["bias"] == -1


def test_the_true_law_is_calibrated_and_beats_a_shifted_one():
    actual, forecast = random_case(n=20_000)
    shifted = forecast.assign(**{f"q{level:g}": forecast[f"q{level:g}"] + 1 for level in LEVELS})
    true, off = (score_quantiles(actual, f).loc["model"] for f in (forecast, shifted))
    assert true["wql"] < off["wql"]
    assert max(true[f"calerr_{level:g}"] for level in LEVELS) < 0.005


def test_row_order_and_keys_without_actuals_do_not_matter():
    actual, forecast = random_case()
    more = pd.concat([forecast, forecast.head(1).assign(part_id="extra")])
    pd.testing.assert_frame_equal(
        score_quantiles(actual, forecast),
        score_quantiles(actual.sample(frac=1, random_state=1), more.sample(frac=1, random_state=2)),
    )


def test_further_shared_columns_belong_to_the_key():
    actual, forecast = random_case(n=50)
    two = [pd.concat([f.assign(origin=1), f.assign(origin=2)]) for f in (actual, forecast)]
    one, both = score_quantiles(actual, forecast), score_quantiles(*two)
    pd.testing.assert_frame_equal(one, both)


@pytest.fixture(scope="session")
def scorer(test_data):
    path = test_data / ".." / "checks" / "score_forecast.py"
    if not path.exists():
        pytest.skip("the independent scorer is not there")
    spec = importlib.util.spec_from_file_location("score_forecast", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_agrees(scorer, actual, forecast, theirs_key, key="part_id"):
    """Ours beside the independent scorer's, which wants one id, a cutoff and a step."""
    theirs, _ = scorer.score(
        forecast.assign(**theirs_key(forecast)), actual.assign(**theirs_key(actual), y=actual["quantity"])
    )
    ours = score_quantiles(actual, forecast, key).loc["model"]
    assert ours["wql"] == pytest.approx(theirs["wql_ops"], rel=1e-12)
    for name in ours.index.drop("wql"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-12, abs=1e-15), name


@pytest.mark.bench_data
def test_figures_are_those_of_the_independent_scorer(scorer):
    actual, forecast = random_case(3)
    assert_agrees(scorer, actual, forecast, lambda f: {"unique_id": f["part_id"], "step": 3})


@pytest.mark.bench_data
@pytest.mark.parametrize("seed", range(6))
def test_ties_origins_and_several_keys_are_scored_as_by_the_independent_scorer(scorer, seed):
    rng = np.random.default_rng(seed)
    n = 300
    # Small whole numbers on both sides: most counts equal some quantile, and many series are all zero.
    steps = rng.poisson(rng.gamma(0.5, 1.0, (n, 1)), (n, len(LEVELS)))
    forecast = pd.DataFrame(
        {
            "part_id": [f"P{i % 60:02d}" for i in range(n)],
            "site_id": [f"S{i // 60}" for i in range(n)],
            "origin": rng.permutation(np.arange(n) % 4),
            "mean": rng.gamma(0.5, 2.0, n),
        }
    )
    forecast[[f"q{level:g}" for level in LEVELS]] = np.cumsum(steps, axis=1)
    actual = forecast[["part_id", "site_id", "origin"]].assign(quantity=rng.poisson(1.0, n))
    actual = actual.sample(frac=1, random_state=seed)
    assert_agrees(
        scorer,
        actual,
        forecast,
        lambda f: {"unique_id": f["part_id"] + "|" + f["site_id"], "cutoff": f["origin"], "step": 3},
        key=["part_id", "site_id"],
    )


def test_what_cannot_be_scored_is_refused_with_its_row():
    actual, forecast = random_case(n=5)
    with pytest.raises(DataError) as caught:
        score_quantiles(actual, forecast.drop(index=3))
    assert caught.value.problems[["table", "row", "value"]].to_numpy().tolist() == [["actual", 5, "P003"]]
    with pytest.raises(DataError, match="no quantile column"):
        score_quantiles(actual, forecast[["part_id", "mean"]])
    with pytest.raises(DataError, match="doubled"):
        score_quantiles(pd.concat([actual, actual]), forecast)
    with pytest.raises(DataError, match="no known number"):
        score_quantiles(actual, forecast.assign(**{"q0.5": np.nan}))


def test_an_empty_key_is_refused():
    actual, forecast = random_case(n=4)
    with pytest.raises(DataError, match="is empty"):
        score_quantiles(actual.assign(part_id=["P000", None, "P002", "P003"]), forecast)


def test_sums_of_groups_give_the_scores_of_groups():
    actual, forecast = random_case(5)
    y, mean = actual["quantity"].to_numpy(float), forecast["mean"].to_numpy(float)
    quantiles = forecast[[f"q{level:g}" for level in LEVELS]].to_numpy(float)
    first = np.arange(len(y)) < 150
    terms = score_terms(y, quantiles, mean, np.array(LEVELS))
    both = figures_of_sums(np.stack([terms[first].sum(axis=0), terms.sum(axis=0)]), np.array(LEVELS))
    alone = score_quantiles(actual[first], forecast[first]).loc["model"]
    for name, value in alone.items():
        assert both[name][0] == pytest.approx(value, rel=1e-12), name
