"""Classic methods: worked examples, their published properties, and plain loops as the second road."""

from __future__ import annotations

import numpy as np
import pytest

from spareplan.errors import DataError
from spareplan.forecast.intermittent import croston, imapa, mean_demand, sba, ses, tsb

METHODS = (mean_demand, ses, croston, sba, tsb, imapa)


def plain_croston(series, alpha):
    size = interval = None
    waited = 1
    for y in series:
        if y > 0:
            size = y if size is None else size + alpha * (y - size)
            interval = waited if interval is None else interval + alpha * (waited - interval)
            waited = 1
        else:
            waited += 1
    return 0.0 if size is None else size / interval


def plain_tsb(series, alpha, beta):
    chance, size = np.mean(np.array(series[:12]) > 0), None
    for y in series:
        if y > 0:
            size = y if size is None else size + alpha * (y - size)
        chance += beta * ((y > 0) - chance)
    return chance * (size or 0.0)


@pytest.fixture
def demand():
    rng = np.random.default_rng(5)
    return np.where(rng.random((60, 48)) < rng.beta(1, 3, 60)[:, None], 1.0 + rng.poisson(4, (60, 48)), 0.0)


def test_croston_and_tsb_follow_their_recursions(demand):
    np.testing.assert_allclose(croston(demand, 0.2), [plain_croston(row, 0.2) for row in demand])
    np.testing.assert_allclose(tsb(demand, 0.2, 0.05), [plain_tsb(row, 0.2, 0.05) for row in demand])


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_series_is_forecast_by_its_constant(method):
    expected = 0.95 * 7 if method is sba else 7
    assert method(np.full((1, 30), 7.0))[0] == pytest.approx(expected)


@pytest.mark.parametrize("method", METHODS)
def test_no_demand_and_no_history_forecast_nothing(method):
    assert method(np.zeros((2, 20))).tolist() == [0, 0]
    assert method(np.full((1, 3), np.nan)).tolist() == [0]


@pytest.mark.parametrize("method", METHODS)
def test_periods_before_the_start_change_nothing(method, demand):
    later = np.concatenate([np.full((60, 24), np.nan), demand], axis=1)
    np.testing.assert_allclose(method(later), method(demand))


def test_croston_is_biased_upwards_and_sba_hardly():
    # Syntetos & Boylan (2005): with alpha 0.2 and an interval of 4 Croston is about 8 % too high.
    rng = np.random.default_rng(0)
    long = np.where(rng.random((4000, 300)) < 0.25, 4.0, 0.0)
    assert 1.06 < croston(long, 0.2).mean() < 1.11
    # (1 - a/2)(1 + a/(2 - a) (p - 1)/p) = 0.975 for a = 0.2, p = 4
    assert sba(long, 0.2).mean() == pytest.approx(0.975, abs=0.015)
    assert tsb(long, 0.2, 0.2).mean() == pytest.approx(1.0, abs=0.02)


def test_only_tsb_and_smoothing_forget_a_part_that_died(demand):
    dead = np.concatenate([demand, np.zeros((60, 60))], axis=1)
    np.testing.assert_allclose(croston(dead), croston(demand))
    assert tsb(dead).sum() < 0.01 * tsb(demand).sum()
    assert ses(dead).sum() < 0.01 * max(ses(demand).sum(), 1)


def test_imapa_is_the_mean_over_block_lengths():
    series = np.array([[0, 4.0, 0, 2, 0, 6]])
    by_hand = np.mean([ses(series, 0.3)[0], ses(np.array([[4.0, 2, 6]]), 0.3)[0] / 2])
    assert imapa(series, 0.3)[0] == pytest.approx(by_hand)


def test_wrong_arguments_are_refused():
    with pytest.raises(DataError):
        ses([[1.0]], alpha=0)
    with pytest.raises(DataError):
        croston([1.0, 2.0])
    with pytest.raises(DataError):
        tsb([[-1.0]])
