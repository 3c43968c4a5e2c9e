"""Correction of a law by classes of ages."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nbinom

from spareplan.errors import DataError
from spareplan.forecast.age_classes import STRENGTHS, age_class_correction, age_class_counts

EDGES = np.arange(0.0, 210.0, 15.0)


def test_expected_counts_are_the_hazard_over_time_watched():
    # A spell from 10 to 40 under a law of shape 2: ((40/50)^2 - (10/50)^2) in all.
    seen, expected = age_class_counts([0.0, 20.0, 30.0], [10.0], [40.0], [True], [2.0], 2.0, 50.0)
    np.testing.assert_allclose(expected, 2 * np.array([0.4**2 - 0.2**2, 0.8**2 - 0.4**2]))
    assert seen.tolist() == [0.0, 2.0]


def test_a_pause_before_the_first_failures_is_found():
    rng = np.random.default_rng(0)
    life = 45 + rng.exponential(90, 20_000)
    end = np.minimum(life, 200.0)
    failed = life <= 200
    rate = failed.sum() / end.sum()
    seen, expected = age_class_counts(EDGES, np.zeros(20_000), end, failed, np.ones(20_000), 1.0, 1 / rate)
    factor, strength = age_class_correction(seen, expected)
    truth = np.where(EDGES[:-1] < 45, 0.0, 1 / 90 / rate)
    np.testing.assert_allclose(factor, truth, atol=0.15)
    assert strength < 10
    # Corrected, the law expects what was seen class by class.
    np.testing.assert_allclose(factor * expected, seen, rtol=0.02, atol=15)


def test_a_right_law_is_left_alone():
    rng = np.random.default_rng(1)
    life = 90 * rng.weibull(2.0, 2000)
    end = np.minimum(life, 120.0)
    seen, expected = age_class_counts(EDGES, np.zeros(2000), end, life <= 120, np.ones(2000), 2.0, 90.0)
    factor, strength = age_class_correction(seen, expected)
    assert strength > 50
    assert np.abs(factor[expected > 20] - 1).max() < 0.12


def test_the_average_over_strengths_is_that_of_negative_binomials():
    observed, expected = (
        np.array([[0.0, 3.0, 9.0], [1.0, 2.0, 2.0]]),
        np.array([[4.0, 3.0, 4.0], [1.0, 2.0, 3.0]]),
    )
    chance = np.array([nbinom.pmf(observed, c, c / (c + expected)).prod() for c in STRENGTHS])
    by_hand = sum(
        weight * (c + observed) / (c + expected) for weight, c in zip(chance / chance.sum(), STRENGTHS)
    )
    np.testing.assert_allclose(age_class_correction(observed, expected)[0], by_hand, rtol=1e-9)


def test_nothing_seen_and_nothing_expected_changes_nothing():
    factor, _ = age_class_correction(np.zeros(4), np.zeros(4))
    np.testing.assert_allclose(factor, 1.0)
    np.testing.assert_allclose(age_class_correction([3.0], [1.0], prior=2.0)[0], [5 / 3])


@pytest.mark.parametrize(
    ("observed", "expected", "prior", "words"),
    [([-1.0], [1.0], None, "observed"), ([1.0], [1.0, 2.0], None, "shaped"), ([1.0], [1.0], 0.0, "prior")],
)
def test_bad_counts_are_refused(observed, expected, prior, words):
    with pytest.raises(DataError, match=words):
        age_class_correction(observed, expected, prior)
    with pytest.raises(DataError, match="rise"):
        age_class_counts([0.0, 0.0], [0.0], [1.0], [True], [1.0], 1.0, 1.0)
