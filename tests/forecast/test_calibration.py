"""Places of counts in their distributions: by hand, against the exact law, and against random places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spareplan.forecast.calibration import count_places, pit_histogram

EDGES = np.linspace(0, 1, 11)


def test_a_step_is_shared_out_over_the_bins_it_covers():
    shares = pit_histogram([0.25, 0.0, 0.95], [0.45, 1.0, 1.0], EDGES)
    assert shares[0] == pytest.approx([0, 0, 0.25, 0.5, 0.25, 0, 0, 0, 0, 0])
    assert shares[1] == pytest.approx(np.full(10, 0.1))
    assert shares[2] == pytest.approx([0] * 9 + [1.0])


def test_a_step_without_width_lies_in_one_bin():
    assert pit_histogram([0.55, 1.0], [0.55, 1.0], EDGES).argmax(axis=1).tolist() == [5, 9]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_every_count_weighs_one(pairs):
    low, high = np.sort(np.array(pairs), axis=1).T
    assert pit_histogram(low, high, EDGES).sum(axis=1) == pytest.approx(np.ones(len(pairs)))


def test_a_true_law_is_flat_and_a_narrow_one_is_not():
    rng = np.random.default_rng(1)
    rate = rng.gamma(0.6, 3, 40_000)
    came = rng.poisson(rate)
    true = pit_histogram(stats.poisson.cdf(came - 1, rate), stats.poisson.cdf(came, rate), EDGES).mean(axis=0)
    assert np.abs(true - 0.1).max() < 0.006
    half = rate / 2
    low = pit_histogram(stats.poisson.cdf(came - 1, half), stats.poisson.cdf(came, half), EDGES).mean(axis=0)
    assert low[-1] > 0.15


def test_shares_are_what_random_places_give_in_the_mean():
    rng = np.random.default_rng(2)
    rate = rng.gamma(1.0, 2, 300)
    came = rng.poisson(rate)
    low, high = stats.poisson.cdf(came - 1, rate), stats.poisson.cdf(came, rate)
    random = low + rng.random((2_000, 300)) * (high - low)
    counted = np.histogram(random, EDGES)[0] / random.size
    assert pit_histogram(low, high, EDGES).mean(axis=0) == pytest.approx(counted, abs=0.002)


def test_quantiles_on_a_fine_grid_tell_the_exact_places():
    levels = np.arange(0.001, 1, 0.001)
    rate = np.array([0.1, 0.7, 2.0, 9.0])
    came = np.array([0, 2, 1, 14])
    below, reached = count_places(came, stats.poisson.ppf(levels, rate[:, None]), levels)
    assert below == pytest.approx(stats.poisson.cdf(came - 1, rate), abs=0.001)
    assert reached == pytest.approx(stats.poisson.cdf(came, rate), abs=0.001)
