"""Sums around a given mean: beside simulation, beside the exact compound law, and where they must end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import fft, stats

from spareplan.errors import DataError
from spareplan.forecast.compound_sums import compound_sums, forgetting_sums, own_sizes
from spareplan.forecast.intermittent import mean_demand, tsb
from spareplan.maths import distributions

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


def exact_quantiles(chance, memory, size, size_cv2, periods, levels, points=2048):
    """Least sums of a compound law: beta-binomial demands, shifted negative binomial sizes, by transform."""
    turn = np.exp(-2j * np.pi * np.arange(points // 2 + 1) / points)
    keep = (size - 1) / (size**2 * size_cv2)
    one = turn * (keep / (1 - (1 - keep) * turn)) ** ((size - 1) * keep / (1 - keep))
    demands = stats.betabinom(periods, chance * memory, (1 - chance) * memory)
    law = sum(demands.pmf(k) * one**k for k in range(periods + 1))
    below = np.cumsum(fft.irfft(law, points))
    return np.array([np.argmax(below >= level - 1e-9) for level in levels])


@pytest.fixture
def demand():
    rng = np.random.default_rng(6)
    chance, size = rng.beta(1, 3, 300)[:, None], rng.gamma(2, 4, 300)[:, None]
    return np.where(
        rng.random((300, 60)) < chance, 1.0 + rng.negative_binomial(1.5, 1.5 / (1.5 + size), (300, 60)), 0.0
    )


def test_moments_and_the_chance_of_nothing_are_those_of_a_simulation(demand):
    rng = np.random.default_rng(7)
    mean = mean_demand(demand)
    sums = compound_sums(mean, demand, 4, LEVELS, memory=60.0)
    size, size_cv2, demands = own_sizes(demand)
    # Products of two doubts are left out of the variance, so parts with a dozen demands and more.
    for row in np.argsort(demands)[[180, 220, 260, 290]]:
        chance = rng.beta(60 * mean[row] / size[row], 60 * (1 - mean[row] / size[row]), 200_000)
        # The doubt about the mean size is shared by all periods of a future.
        sure = min(demands[row], max(60 * mean[row] / size[row], 1))
        centre = size[row] * rng.gamma(sure / size_cv2[row], size_cv2[row] / sure, 200_000)
        hits = rng.binomial(4, chance)
        shape = np.where(hits > 0, hits / size_cv2[row], 1.0)
        total = np.where(hits > 0, rng.gamma(shape) * centre * size_cv2[row], 0.0)
        assert sums.none[row] == pytest.approx((total == 0).mean(), abs=0.004)
        assert sums.mean[row] == pytest.approx(total.mean(), rel=0.02)
        assert sums.variance[row] == pytest.approx(total.var(), rel=0.08)
        np.testing.assert_allclose(
            sums.quantiles[row], np.quantile(total, LEVELS), rtol=0.13, atol=0.15 * size[row]
        )


def test_quantiles_cost_hardly_more_than_those_of_the_exact_compound_law():
    # What matters is the loss on what follows, not the distance of the quantiles.
    rng = np.random.default_rng(8)
    periods, memory = 3, 19.0
    levels = np.array(LEVELS)
    loss = np.zeros(3)
    for chance, size, cv2 in [
        (0.1, 2.0, 0.4),
        (0.3, 5.0, 0.6),
        (0.6, 3.0, 0.5),
        (0.05, 12.0, 1.0),
        (0.8, 20.0, 0.3),
    ]:
        hits = rng.binomial(periods, rng.beta(chance * memory, (1 - chance) * memory, 20_000))
        inflation = size**2 * cv2 / (size - 1)
        count = hits * (size - 1) / (inflation - 1)
        extra = np.where(hits > 0, rng.negative_binomial(np.where(hits > 0, count, 1), 1 / inflation), 0)
        total = hits + extra
        # A history whose sizes have these very moments, and so many demands that their mean is sure.
        low, high = size * (1 - np.sqrt(cv2)), size * (1 + np.sqrt(cv2))
        history = np.array([[low, high] * 4000])
        sums = compound_sums([chance * size], history, periods, LEVELS, memory)
        rounded = np.floor(sums.quantiles[0] + 0.5)
        moments = distributions.quantile(levels, sums.mean[0], max(sums.variance[0], sums.mean[0]))
        exact = exact_quantiles(chance, memory, size, cv2, periods, LEVELS)
        for column, quantiles in enumerate((exact, rounded, moments)):
            off = total[:, None] - quantiles
            loss[column] += np.maximum(levels * off, (levels - 1) * off).mean() / total.mean()
    assert loss[1] < 1.02 * loss[0]
    assert loss[2] < 1.02 * loss[0]


def test_doubt_about_the_mean_widens_the_sums(demand):
    mean = tsb(demand)
    some = mean > 0.1
    short, long = (compound_sums(mean, demand, 6, LEVELS, memory) for memory in (5.0, 500.0))
    assert (short.variance[some] > long.variance[some]).all()
    assert (short.none[some] >= long.none[some]).all()
    np.testing.assert_array_equal(short.mean, long.mean)


def test_quantiles_rise_with_level_and_mean(demand):
    low, high = (compound_sums(np.full(300, mean), demand, 3, LEVELS) for mean in (0.3, 0.6))
    assert (np.diff(low.quantiles, axis=1) >= 0).all()
    assert (high.quantiles >= low.quantiles - 1e-9).all()
    assert (high.none < low.none).all()


def test_nothing_expected_is_nothing_for_sure(demand):
    sums = compound_sums(np.zeros(300), demand, 3, LEVELS)
    assert not sums.mean.any() and not sums.variance.any() and not sums.quantiles.any()
    assert (sums.none == 1).all()


def test_more_than_a_demand_per_period_means_larger_ones():
    history = np.array([[2.0, 2, 2, 2, 3, 2, 2, 2]])
    sums = compound_sums([6.0], history, 2, LEVELS)
    assert sums.mean[0] == 12
    assert sums.none[0] < 0.01
    assert sums.quantiles[0, 0] == pytest.approx(12, rel=0.1)


def test_sums_scale_with_the_unit(demand):
    mean = tsb(demand)
    plain, large = (compound_sums(mean * unit, demand * unit, 3, LEVELS) for unit in (1.0, 250.0))
    np.testing.assert_allclose(large.quantiles, 250 * plain.quantiles, rtol=1e-9)
    np.testing.assert_allclose(large.none, plain.none)


def test_each_series_may_have_its_own_periods_and_memory(demand):
    mean, ahead, memory = tsb(demand), 1 + np.arange(300) % 5, 5.0 + np.arange(300)
    together = compound_sums(mean, demand, ahead, LEVELS, memory)
    # Sizes lean on the panel: so does a row that is asked again within it.
    for row in (3, 104, 200):
        alone = compound_sums(mean, demand, int(ahead[row]), LEVELS, float(memory[row]))
        np.testing.assert_allclose(together.quantiles[row], alone.quantiles[row])


def test_sizes_are_those_of_the_demands_alone():
    size, cv2, demands = own_sizes([[0, 2.0, np.nan, 4], [0, 0, 0, 0], [5, 0, 5, 0]], panel_demands=0)
    assert size.tolist() == [3, 1, 5]
    assert demands.tolist() == [2, 0, 2]
    np.testing.assert_allclose(cv2, [2 / 9, 0, 0])


def test_the_mean_forgets_what_the_past_says_should_be_forgotten():
    rng = np.random.default_rng(12)
    rising = rng.poisson(np.linspace(0.2, 6, 48), (100, 48)).astype(float)
    sums = forgetting_sums(rising, 3, LEVELS)
    assert sums.mean.mean() > 3 * 4.5
    assert 3 * rising.mean() < 3 * 3.3
    steady = rng.poisson(1.5, (100, 48)).astype(float)
    kept = forgetting_sums(steady, 3, LEVELS)
    np.testing.assert_allclose(kept.mean, 3 * steady.mean(axis=1), rtol=0.35)
    covered = [(rng.poisson(4.5, 100) <= kept.quantiles[:, column]).mean() for column in range(5)]
    assert covered[1] > 0.72 and covered[4] > 0.95


@pytest.mark.parametrize("series", [[0.0] * 6, [np.nan] * 6, []])
def test_a_part_never_asked_for_is_not_expected(series):
    sums = forgetting_sums([series], 3, LEVELS)
    assert (sums.mean[0], sums.variance[0], sums.none[0]) == (0, 0, 1)


def test_wrong_arguments_are_refused(demand):
    mean = tsb(demand)
    for arguments in (
        (mean[:3], demand, 3, LEVELS),
        (-mean - 1, demand, 3, LEVELS),
        (mean * np.nan, demand, 3, LEVELS),
        (mean, demand, 0, LEVELS),
        (mean, demand, 3, (0.0,)),
        (mean, demand, 3, LEVELS, 0.0),
        (mean, -demand - 1, 3, LEVELS),
    ):
        with pytest.raises(DataError):
            compound_sums(*arguments)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    arrays(
        float,
        st.tuples(st.integers(1, 6), st.integers(1, 14)),
        elements=st.one_of(st.just(0.0), st.integers(1, 40).map(float), st.just(np.nan)),
    ),
    st.integers(1, 24),
    st.sampled_from([1e-6, 7.0, 1e12]),
    st.randoms(),
)
def test_sums_are_distributions_whatever_the_history(demand, periods, unit, random):
    order = list(range(len(demand)))
    random.shuffle(order)
    sums = forgetting_sums(demand, periods, LEVELS)
    assert np.isfinite(sums.quantiles).all() and (np.diff(sums.quantiles, axis=1) >= 0).all()
    assert (sums.variance >= 0).all() and ((sums.none >= 0) & (sums.none <= 1)).all()
    assert (sums.quantiles[np.array(LEVELS) <= sums.none[:, None]] == 0).all()
    late = np.concatenate([np.full((len(demand), 5), np.nan), demand], axis=1)
    for a, b, c, d in zip(
        sums,
        forgetting_sums(late, periods, LEVELS),
        forgetting_sums(demand[order], periods, LEVELS),
        forgetting_sums(demand * unit, periods, LEVELS),
    ):
        np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(c, a[order], rtol=1e-7, atol=1e-12)
        assert d.shape == a.shape and np.isfinite(d).all()
