"""Weights of forecasts: what they must do in cases that can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spareplan.forecast.weighing import CLASSES, QUIET_CLASS, class_weights, history_class, past_losses

PRIOR = np.array([0.5, 0.3, 0.2])


def test_equal_losses_leave_the_prior():
    losses = np.ones((40, 3))
    weights = class_weights(losses, np.arange(40) % 5, np.ones(40), PRIOR)
    np.testing.assert_allclose(weights, np.tile(PRIOR, (CLASSES, 1)))


def test_no_losses_at_all_leave_the_prior():
    weights = class_weights(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0), PRIOR)
    np.testing.assert_allclose(weights, np.tile(PRIOR, (CLASSES, 1)))


def test_what_lost_more_weighs_less_by_the_exponent_of_its_relative_loss():
    losses = np.tile([1.0, 1.01, 1.10], (1000, 1))
    weights = class_weights(losses, np.full(1000, 2), np.ones(1000), PRIOR)
    # 60 for endless evidence, half of it for 200 series with demand; here are 1,000.
    expected = PRIOR * np.exp(-50 * np.array([0.0, 0.01, 0.10]))
    np.testing.assert_allclose(weights[2], expected / expected.sum())


def test_a_class_without_evidence_follows_the_panel_and_one_with_much_goes_its_own_way():
    panel = np.tile([1.0, 1.1, 1.1], (4000, 1))
    other = np.tile([1.1, 1.0, 1.1], (2000, 1))
    classes = np.repeat([0, 3], [4000, 2000])
    weights = class_weights(np.concatenate([panel, other]), classes, np.ones(6000), PRIOR)
    assert weights[0].argmax() == 0
    assert weights[3].argmax() == 1
    # Nobody in class 4: the losses of all.
    together = np.concatenate([panel, other]).sum(axis=0)
    expected = PRIOR * np.exp(-60 * 6000 / 6200 * (together / together.min() - 1))
    np.testing.assert_allclose(weights[4], expected / expected.sum())


def test_losses_do_not_depend_on_the_unit_of_measure_but_for_one_factor():
    rng = np.random.default_rng(2)
    y, unit = rng.poisson(3, 50).astype(float), rng.gamma(2, 1, 50)
    quantiles = [rng.gamma(2, 1, (50, 2)), rng.gamma(2, 1, (50, 2))]
    levels = np.array([0.5, 0.9])
    one = past_losses(y, unit, quantiles, levels)
    ten = past_losses(10 * y, 10 * unit, [10 * q for q in quantiles], levels)
    np.testing.assert_allclose(ten, np.sqrt(10) * one)
    by_hand = np.maximum(0.5 * (y - quantiles[0][:, 0]), -0.5 * (y - quantiles[0][:, 0]))
    by_hand += np.maximum(0.9 * (y - quantiles[0][:, 1]), -0.1 * (y - quantiles[0][:, 1]))
    np.testing.assert_allclose(one[:, 0], by_hand / 2 / np.sqrt(unit))


def test_quiet_series_keep_the_prior_until_there_is_evidence_on_them():
    losses = np.tile([1.0, 1.2, 1.2], (500, 1))
    weights = class_weights(losses, np.full(500, 2), np.ones(500), PRIOR)
    assert weights[2, 0] > 0.99
    np.testing.assert_allclose(weights[QUIET_CLASS], PRIOR)


def test_classes_grow_with_what_is_known():
    demands = np.array([0, 1, 2, 3, 5, 6, 11, 12, 900.0])
    age, recency = np.where(demands > 0, 1000.0, -1), np.where(demands > 0, 1.0, 99)
    assert history_class(demands, age, recency).tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_gap_of_four_usual_intervals_is_quiet():
    # Five demands, the last eight periods after the first: every second period.
    for gap, quiet in ((1.0, False), (8.0, False), (9.0, True)):
        found = history_class(np.array([5.0]), np.array([8.0 + gap]), np.array([gap]))
        assert (found[0] == QUIET_CLASS) == quiet
    assert history_class(np.array([2.0]), np.array([90.0]), np.array([80.0]))[0] != QUIET_CLASS
    assert past_losses(np.zeros(1), np.ones(1), [np.zeros((1, 1))], np.array([0.5])) == pytest.approx(0)
