from __future__ import annotations

import numpy as np

from spareplan.maths.accuracy import (
    clustered_error,
    log_ratio,
    normal_spread,
    persistence,
    rate_correction,
    smoothed_limit,
    smoothed_signal,
    tracking_limit,
    tracking_signal,
)


def test_tracking_signal_counts_periods_of_one_sided_error():
    errors = [[1.0, 1.0, 1.0, 1.0], [2.0, -2.0, 2.0, -2.0], [0.0, 0.0, 0.0, 0.0], [-3.0, -3.0, -3.0, -3.0]]
    assert tracking_signal(errors).tolist() == [4.0, 0.0, 0.0, -4.0]


def test_a_forecast_sure_of_its_rate_is_not_corrected():
    assert rate_correction([5.0], [50.0], [1.0], [0.0]).tolist() == [1.0]


def test_correction_is_the_posterior_mean_of_a_gamma_poisson_rate():
    # Two roads: the formula, and simulation of rates whose counts came out as observed.
    rng = np.random.default_rng(11)
    spread, planned, seen = 0.4, 6.0, 9
    factors = rng.gamma(1 / spread, spread, size=2_000_000)
    kept = factors[rng.poisson(planned * factors) == seen]
    assert (
        abs(rate_correction([planned], [seen], [1.0], [spread])[0] - kept.mean())
        < 4 * kept.std() / len(kept) ** 0.5
    )


def test_returns_count_as_no_demand():
    assert rate_correction([2.0], [-3.0], [1.0], [1.0])[0] == rate_correction([2.0], [0.0], [1.0], [1.0])[0]


def test_regular_demand_is_corrected_no_more_than_poisson_and_uneven_demand_less():
    factors = [rate_correction([2.0], [8.0], [ratio], [0.3])[0] for ratio in (0.01, 1.0, 4.0)]
    assert factors[0] == factors[1] > factors[2] > 1


def test_trigg_signal_of_a_worked_example():
    # By hand: E and MAD from 0, smoothing 0.2, errors 10, -5, 5.
    smooth = 0.2 * 10
    smooth = 0.2 * -5 + 0.8 * smooth
    smooth = 0.2 * 5 + 0.8 * smooth
    size = 0.2 * 5 + 0.8 * (0.2 * 5 + 0.8 * 0.2 * 10)
    assert np.isclose(smoothed_signal([[10.0, -5.0, 5.0]])[0], smooth / size)
    assert smoothed_signal([[3.0, 3.0, 3.0], [0.0, 0.0, 0.0]]).tolist() == [1.0, 0.0]


def test_limits_are_exceeded_as_often_by_chance_as_they_say():
    rng = np.random.default_rng(3)
    for periods in (3, 6, 12, 24):
        errors = rng.normal(0, 2, (40_000, periods))
        plain = np.abs(tracking_signal(errors)) > tracking_limit(errors)
        assert abs(plain.mean() - 0.05) < 0.006
        smooth = np.abs(smoothed_signal(errors)) > smoothed_limit(errors)
        # Weights that differ make the effective number of periods an approximation.
        assert 0.01 < smooth.mean() < 0.065
    # The fixed limit of the books cries wolf over a year.
    assert 0.3 < (np.abs(tracking_signal(rng.normal(0, 1, (20_000, 12)))) > 4).mean() < 0.4


def test_one_month_and_no_error_say_nothing():
    assert np.isinf(tracking_limit([[5.0]])[0]) and np.isinf(smoothed_limit([[5.0]])[0])
    assert np.isinf(tracking_limit([[0.0, 0.0, 0.0]])[0])


def test_clustered_error_of_single_values_is_the_textbook_one():
    values = np.random.default_rng(1).normal(size=50)
    assert np.isclose(clustered_error(values, np.arange(50)), values.std(ddof=1) / 50**0.5)
    assert np.isnan(clustered_error(values, np.zeros(50, dtype=int)))


def test_clustered_error_sees_that_values_hang_together():
    rng = np.random.default_rng(2)
    means = []
    for _ in range(3000):
        means.append(np.repeat(rng.normal(size=20), 10).mean())
    values = np.repeat(rng.normal(size=20), 10)
    estimates = [
        clustered_error(np.repeat(rng.normal(size=20), 10), np.repeat(np.arange(20), 10)) for _ in range(300)
    ]
    assert np.isclose(np.mean(estimates), np.std(means), rtol=0.05)
    assert clustered_error(values, np.arange(200)) < np.mean(estimates) / 2


def test_the_variance_of_a_log_ratio_meets_simulation():
    rng = np.random.default_rng(4)
    planned = np.full((20_000, 6), 30.0)
    ratio, least, seen = log_ratio(planned, rng.poisson(1.2 * planned), np.ones(20_000))
    assert np.isclose(ratio.mean(), np.log(1.2), atol=0.003)
    assert np.isclose(least.mean(), ratio.var(), rtol=0.05)
    assert np.isclose(seen.mean(), ratio.var(), rtol=0.05)
    months = np.exp(rng.normal(0, 0.2, planned.shape))
    ratio, least, seen = log_ratio(planned, rng.poisson(planned * months), np.ones(20_000))
    assert np.isclose(seen.mean(), ratio.var(), rtol=0.1) and least.mean() < 0.6 * ratio.var()


def test_nothing_taken_stays_finite_and_one_run_has_no_scatter():
    ratio, least, seen = log_ratio([[4.0]], [[0.0]], [1.0])
    assert np.isfinite(ratio[0]) and np.isfinite(least[0]) and np.isnan(seen[0])


def test_the_spread_of_true_values_is_found_again_and_is_none_for_noise():
    rng = np.random.default_rng(5)
    variance = rng.uniform(0.01, 0.09, 4000)
    values = rng.normal(0, np.sqrt(0.04 + variance))
    assert np.isclose(normal_spread(values, variance), 0.04, rtol=0.1)
    assert normal_spread(0.5 * rng.normal(0, np.sqrt(variance)), variance) == 0.0
    # The same equation solved by hand for a single value.
    assert np.isclose(normal_spread([0.3], [0.02]), 0.09 - 0.02)
    assert normal_spread([], []) == 0.0


def test_persistence_is_the_share_that_would_have_served_best():
    planned = np.full((1, 3), 100.0)
    step = np.full((1, 3), np.log(1.5))
    assert persistence(step, planned, 1.5 * planned)[0] == 1.0
    assert persistence(step, planned, planned)[0] == 0.0
    assert persistence(step, planned, 0.7 * planned)[0] == 0.0
    assert np.isclose(persistence(step, planned, 1.5**0.5 * planned)[0], 0.5)
    assert persistence(np.zeros((2, 0)), np.zeros((2, 0)), np.zeros((2, 0))).tolist() == [0.0, 0.0]
