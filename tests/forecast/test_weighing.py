"""Weights of forecasts: what they must do in cases that can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spareplan.forecast.weighing import CLASS_EDGES, class_weights, history_class, past_losses

PRIOR = np.array([0.5, 0.3, 0.2])


def test_equal_losses_leave_the_prior():
    losses = np.ones((40, 3))
    weights = class_weights(losses, np.arange(40) % 5, np.ones(40), PRIOR)
    np.testing.assert_allclose(weights, np.tile(PRIOR, (5, 1)))


def test_no_losses_at_all_leave_the_prior():
    weights = class_weights(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0), PRIOR)
    np.testing.assert_allclose(weights, np.tile(PRIOR, (5, 1)))


def test_what_lost_more_weighs_less_by_the_exponent_of_its_relative_loss():
    losses = np.tile([1.0, 1.01, 1.10], (1000, 1))
    weights = class_weights(losses, np.full(1000, 2), np.ones(1000), PRIOR)
    expected = PRIOR * np.exp(-60 * np.array([0.0, 0.01, 0.10]))
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
    expected = PRIOR * np.exp(-60 * (together / together.min() - 1))
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


def test_classes_grow_with_what_is_known():
    assert history_class(np.array([0, 1, 2, 3, 5, 6, 11, 12, 900])).tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert history_class(np.array([900]))[0] == len(CLASS_EDGES)
    assert past_losses(np.zeros(1), np.ones(1), [np.zeros((1, 1))], np.array([0.5])) == pytest.approx(0)
