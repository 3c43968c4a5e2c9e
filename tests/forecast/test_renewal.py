"""Expected renewals of one item: closed forms, a fine grid, simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gamma

from spareplan.errors import DataError
from spareplan.forecast.renewal import expected_renewals


@pytest.mark.parametrize("step", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("age", [0.0, 7.0])
def test_exponential_lives_fail_at_a_constant_rate(step, age):
    rows = expected_renewals(1.0, 8.0, age, 12.0, step)
    np.testing.assert_allclose(rows, step / 8.0, rtol=1e-6)


def test_early_renewals_follow_the_power_series():
    # M(t) = sum over k of (-1)^(k-1) A_k t^(k b) / Gamma(k b + 1), Smith & Leadbetter 1963.
    for shape in (0.6, 1.5, 2.5, 4.0):
        terms = 40
        g = gamma(np.arange(terms + 1) * shape + 1) / gamma(np.arange(terms + 1) + 1.0)
        a = np.zeros(terms + 1)
        for k in range(1, terms + 1):
            a[k] = g[k] - sum(g[j] * a[k - j] for j in range(1, k))
        t = np.linspace(0.1, 1.0, 10)
        k = np.arange(1, terms + 1)
        series = ((-1.0) ** (k - 1) * a[1:] * t[:, None] ** (k * shape) / gamma(k * shape + 1)).sum(axis=1)
        mine = np.cumsum(expected_renewals(shape, 1.0, 0.0, 1.0, 0.1)[0])
        np.testing.assert_allclose(mine, series, rtol=1e-5)


def test_the_width_of_the_step_does_not_change_the_sum():
    for shape in (0.5, 1.3, 3.0, 8.0):
        for age in (0.0, 5.0, 14.0):
            monthly = expected_renewals(shape, 10.0, age, 24.0, 1.0)[0]
            yearly = expected_renewals(shape, 10.0, age, 24.0, 12.0)[0]
            np.testing.assert_allclose(monthly.reshape(2, 12).sum(axis=1), yearly, rtol=1e-5)
            cut = expected_renewals(shape, 10.0, age, 24.0, 7.0)[0]
            assert len(cut) == 4
            assert cut.sum() == pytest.approx(monthly.sum(), rel=1e-5)


def test_rows_agree_with_simulation():
    rng = np.random.default_rng(1)
    shape, scale, age, runs = 2.3, 6.0, 4.0, 200_000
    first = scale * ((age / scale) ** shape + rng.exponential(size=runs)) ** (1 / shape) - age
    counts, when = np.zeros(12), first
    while (when < 12).any():
        counts += np.histogram(when, bins=np.arange(13))[0]
        when = when + scale * rng.weibull(shape, runs)
    mine = expected_renewals(shape, scale, age, 12.0, 1.0)[0]
    np.testing.assert_allclose(mine, counts / runs, atol=4 * np.sqrt(mine.max() / runs))


def test_the_rate_settles_at_one_per_mean_life():
    for shape in (0.7, 1.0, 2.0, 5.0):
        rate = expected_renewals(shape, 2.0, 1.0, 2000.0, 100.0)[0, -1] / 100
        assert rate == pytest.approx(1 / (2 * gamma(1 + 1 / shape)), rel=1e-4)


def test_arrays_broadcast_and_rows_do_not_influence_each_other():
    shapes, ages = np.array([0.8, 2.0, 3.5]), np.array([0.0, 20.0, 3.0])
    rows = expected_renewals(shapes, 12.0, ages, 6.0, 1.0)
    assert rows.shape == (3, 6)
    for row, (shape, age) in enumerate(zip(shapes, ages)):
        np.testing.assert_allclose(rows[row], expected_renewals(shape, 12.0, age, 6.0, 1.0)[0], rtol=1e-9)


def test_impossible_arguments_are_named():
    with pytest.raises(DataError) as caught:
        expected_renewals([2.0, -1.0], 10.0, [-3.0, 0.0], 12.0, 0.0)
    assert set(caught.value.problems["column"]) == {"shape", "age", "step"}
