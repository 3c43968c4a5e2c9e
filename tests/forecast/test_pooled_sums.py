"""The pooled model: features by hand, the fit against an optimiser, leaves against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from spareplan.forecast.forest import grow_forest
from spareplan.forecast.history_features import History, glm_design, tick_length
from spareplan.forecast.history_quantiles import (
    fit_log_linear,
    group_tables,
    largest_ratio,
    rank_windows,
    weighted_quantile,
)
from spareplan.forecast.pooled_sums import (
    draw_series,
    effective_number,
    gather_windows,
    learn_sums,
    training_origins,
)

LEVELS = np.array([0.5, 0.8, 0.9, 0.95, 0.99])


@pytest.fixture
def windows():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(3000, 5))
    ratio = rng.poisson(np.exp(0.3 + 0.6 * features[:, 0] - 0.4 * features[:, 1])).astype(float)
    return features, ratio, rng.gamma(2, 3, 3000)


def test_features_of_one_series_are_those_by_hand():
    demand = np.array([[np.nan, 0, 2, 0, 0, 4, 0, 0]])
    [shot] = History(demand).snapshots([8], lead=3)
    f = shot.features[0]
    unit = (np.sqrt(8) + 6) / 3
    assert shot.unit[0] == pytest.approx(unit)
    assert f[0] == pytest.approx(np.log(unit))
    assert f[4] == pytest.approx(6 / 7 / unit)
    assert f[8] == pytest.approx(2 / 7)
    weights = 0.5 ** (np.arange(6, -1, -1) / 4)
    assert f[2] == pytest.approx((weights @ demand[0, 1:]) / weights.sum() / unit)
    np.testing.assert_allclose(f[9:15] * unit, [0, 4, 6, 6, 4, 4])
    # 3 periods ago, first demand 6 ago, 7 periods over 2 demands, sizes 2 and 4
    np.testing.assert_allclose(f[16:22], [3, 6, 3.5, 1 / 9, 2, 3 * 2 / 7])


def test_features_use_only_what_lies_before_the_origin():
    rng = np.random.default_rng(1)
    demand = rng.poisson(0.5, (30, 40)).astype(float)
    early = History(demand[:, :20]).snapshots([20], 3)[0]
    inside = History(demand).snapshots([12, 20, 33], 3)[1]
    np.testing.assert_allclose(early.features, inside.features)


def test_periods_before_the_start_leave_features_alone():
    rng = np.random.default_rng(1)
    demand = rng.poisson(0.5, (30, 40)).astype(float)
    padded = np.concatenate([np.full((30, 10), np.nan), demand], axis=1)
    np.testing.assert_allclose(
        History(demand).snapshots([40], 3)[0].features, History(padded).snapshots([50], 3)[0].features
    )


def test_the_clock_stretches_only_for_long_sums_of_long_histories():
    assert tick_length(3, 51) == 1
    assert tick_length(12, 48) == 1
    assert tick_length(13, 150) == pytest.approx(150 / 48)
    assert tick_length(90, 2000) == 30


def test_the_design_is_finite_for_series_that_never_sold():
    shots = History(np.array([[0.0] * 12, [1.0] * 12])).snapshots([12], 3)
    assert np.isfinite(glm_design(shots[0].features)).all()


def test_the_log_linear_fit_is_the_optimum_of_its_likelihood(windows):
    features, ratio, weight = windows
    line = fit_log_linear(features, ratio, weight)
    y = np.minimum(ratio, largest_ratio(ratio, weight))
    x = np.column_stack([np.ones(len(y)), (features - line.centre) / line.spread])
    w = weight / weight.mean()

    def minus_likelihood(beta):
        eta = x @ beta
        return -(w * (y * eta - np.exp(eta))).sum() + 0.5e-4 * len(y) * (beta[1:] ** 2).sum()

    best = optimize.minimize(minus_likelihood, np.zeros(6), method="BFGS")
    np.testing.assert_allclose(line.weights, best.x, atol=2e-4)


def test_group_tables_match_a_loop_over_groups(windows):
    _, ratio, unit = windows
    group = np.random.default_rng(0).integers(0, 7, len(ratio))
    got = group_tables(group, 7, ratio, unit, LEVELS, 3.0)
    for g in range(7):
        of = group == g
        np.testing.assert_allclose(got[g, :5], weighted_quantile(ratio[of], np.sqrt(unit[of]), LEVELS))
        tame = np.minimum(ratio[of], 3.0)
        mean = np.average(tame, weights=unit[of])
        np.testing.assert_allclose(got[g, 5], np.average(ratio[of] == 0, weights=np.sqrt(unit[of])))
        np.testing.assert_allclose(got[g, 6:], [mean, np.average((tame - mean) ** 2, weights=unit[of])])


def test_equal_weights_give_the_least_value_that_reaches_the_level():
    values = np.arange(1.0, 101)
    assert weighted_quantile(values, np.ones(100), LEVELS).tolist() == [50, 80, 90, 95, 99]


def test_ranked_windows_give_back_the_quantiles_of_a_known_law():
    rng = np.random.default_rng(0)
    index = rng.gamma(2, 1, 60_000)
    ratio = index * rng.exponential(1, 60_000)
    ranked = rank_windows(index, ratio, np.ones(60_000), LEVELS)
    got = ranked.predict(np.array([1.0, 3.0]))
    np.testing.assert_allclose(got[:, :4], np.array([[1.0], [3.0]]) * -np.log(1 - LEVELS[:4]), rtol=0.12)


def test_the_forest_finds_what_drives_the_outcome(windows):
    features, ratio, _ = windows
    out = grow_forest(features, ratio, np.ones(len(ratio)), LEVELS).predict(
        np.array([[2.0, -1, 0, 0, 0], [-2.0, 1, 0, 0, 0]])
    )
    assert out[0, 1] > 3 * max(out[1, 1], 1)
    assert np.isfinite(out).all()
    assert (np.diff(out[:, :5], axis=1) >= 0).all()


def test_a_forest_is_the_same_for_the_same_seed(windows):
    features, ratio, unit = windows
    one, two = (grow_forest(features, ratio, unit, LEVELS, seed=3).predict(features[:50]) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_few_heavy_windows_count_as_few():
    assert effective_number(np.ones(50)) == 50
    assert effective_number(np.array([100.0] + [1.0] * 50)) < 3
    assert effective_number(np.array([])) == 0


def learned(demand, lead=3, before=None):
    """The pooled model of a panel, and its forecast at the end."""
    n, c = demand.shape
    history, traits = History(demand, tick_length(lead, c)), np.zeros((n, 0))
    origins = training_origins(n, c, lead)
    shots = history.snapshots(origins, lead) if origins else []
    windows = gather_windows(history, shots, origins, lead, traits)
    model = None if windows is None else learn_sums(windows, lead, LEVELS, before)
    return model, None if model is None else model.predict(history.snapshots([c], lead)[0], traits)


def test_pooled_sums_are_calibrated_on_a_gamma_poisson_panel():
    rng = np.random.default_rng(3)
    rate = rng.gamma(0.5, 2, (3000, 1))
    demand = rng.poisson(rate, (3000, 39)).astype(float)
    _, pooled = learned(demand[:, :36])
    came = demand[:, 36:].sum(axis=1)
    assert pooled[:, -2].sum() == pytest.approx(came.sum(), rel=0.03)
    for level, f in zip(LEVELS, np.floor(pooled[:, :-3].T + 0.5)):
        assert max(level - (came <= f).mean(), (came < f).mean() - level) < 0.012


def test_too_short_a_panel_teaches_nothing():
    assert learned(np.ones((50, 8)))[0] is None
    assert learned(np.ones((1, 14)))[0] is None


def test_what_is_tested_was_not_taught():
    rng = np.random.default_rng(5)
    demand = rng.poisson(0.7, (900, 36)).astype(float)
    changed = demand.copy()
    changed[:, 30:] *= 40
    for panel in (demand, changed):
        model, _ = learned(panel, before=30)
        known = learned(panel[:, :30])[0]
        assert model.evidence == pytest.approx(known.evidence, rel=0.1)
    same = [learned(panel, before=30)[0].line.weights for panel in (demand, changed)]
    np.testing.assert_allclose(*same)


def test_large_orders_are_cut_for_the_ranks_but_not_for_the_total():
    rng = np.random.default_rng(6)
    chance = rng.beta(1, 4, (2000, 1))
    demand = (rng.random((2000, 40)) < chance) * rng.lognormal(1.0, 1.8, (2000, 40))
    model, table = learned(demand[:, :37])
    assert model.excess > 1.02
    past = np.add.reduceat(demand[:, :36], np.arange(0, 36, 3), axis=1).sum() / 12
    assert table[:, -2].sum() == pytest.approx(past, rel=0.15)


def test_a_panel_of_many_series_is_taught_by_some_of_them():
    assert len(draw_series(500, 10)) == 500
    some = draw_series(300_000, 10)
    assert 5_000 < len(some) < 20_000
    assert (np.diff(some) > 0).all()
    np.testing.assert_array_equal(some, draw_series(300_000, 10))
