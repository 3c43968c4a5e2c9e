"""Counts with a mean and a variance, against summed definitions and published loss values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spareplan.maths import distributions

MOMENTS = [(0.3, 0.3), (4.0, 4.0), (120.0, 120.0), (2.0, 5.0), (2.0, 60.0), (0.01, 0.02), (6.0, 3.0)]


def law(mean, variance):
    if variance > mean:
        keep = mean / variance
        return stats.nbinom(mean * keep / (1 - keep), keep)
    if variance < mean:
        trials = np.ceil(mean**2 / (mean - variance))
        return stats.binom(trials, mean / trials)
    return stats.poisson(mean)


@pytest.mark.parametrize("mean, variance", MOMENTS)
def test_cdf_pmf_and_survival_are_those_of_the_matched_law(mean, variance):
    counts = np.arange(0, 40)
    expected = law(mean, variance)
    np.testing.assert_allclose(
        distributions.cdf(counts, mean, variance), expected.cdf(counts), rtol=1e-9, atol=1e-14
    )
    np.testing.assert_allclose(
        distributions.pmf(counts, mean, variance), expected.pmf(counts), rtol=1e-9, atol=1e-14
    )
    np.testing.assert_allclose(
        distributions.sf(counts, mean, variance), expected.sf(counts), rtol=1e-8, atol=1e-300
    )


def test_nothing_lies_below_zero():
    assert distributions.cdf(-1, 2.0) == 0
    assert distributions.sf(-1, 2.0) == 1
    assert distributions.pmf(-1, 2.0) == 0


@pytest.mark.parametrize("mean, variance", MOMENTS)
def test_loss_is_the_summed_shortfall(mean, variance):
    counts = np.arange(0, 6000)
    chances = law(mean, variance).pmf(counts)
    stocks = np.arange(0, 200, 7)
    summed = np.array([(np.maximum(counts - s, 0) * chances).sum() for s in stocks])
    np.testing.assert_allclose(distributions.loss(stocks, mean, variance), summed, rtol=1e-7, atol=1e-13)


@pytest.mark.parametrize("mean, variance", [m for m in MOMENTS if m[1] >= m[0]])
def test_backlog_variance_is_the_summed_one(mean, variance):
    counts = np.arange(0, 6000)
    chances = law(mean, variance).pmf(counts)
    stocks = np.arange(0, 60, 3)
    first, spread = distributions.backlog(stocks, mean, variance)
    for s, e, v in zip(stocks, first, spread):
        short = np.maximum(counts - s, 0)
        assert e == pytest.approx((short * chances).sum(), rel=1e-7, abs=1e-12)
        assert v == pytest.approx((short**2 * chances).sum() - e**2, rel=1e-6, abs=1e-11)


def test_heavy_tails_are_not_cut_off():
    # Variance 1,000 times the mean: the tail falls by a thousandth per piece.
    chances = law(2.0, 2000.0).pmf(np.arange(60_000))
    summed = (np.maximum(np.arange(60_000) - 400, 0) * chances).sum()
    assert distributions.loss(400, 2.0, 2000.0)[0] == pytest.approx(summed, rel=1e-6)


def test_loss_is_linear_below_zero_and_between_whole_pieces():
    assert distributions.loss(-3, 2.0)[0] == pytest.approx(5.0)
    middle = distributions.loss([1, 1.5, 2], 2.0)
    assert middle[1] == pytest.approx((middle[0] + middle[2]) / 2)


@pytest.mark.parametrize("mean, variance", MOMENTS)
@pytest.mark.parametrize("level", [0.01, 0.5, 0.9, 0.999])
def test_quantile_is_the_least_count_that_reaches_the_level(mean, variance, level):
    q = float(distributions.quantile(level, mean, variance))
    assert distributions.cdf(q, mean, variance) >= level - 1e-12
    assert q == 0 or distributions.cdf(q - 1, mean, variance) < level


def test_no_demand_is_never_short():
    assert distributions.loss(0, 0.0)[0] == 0
    assert distributions.quantile(0.99, 0.0) == 0
    assert distributions.cdf(0, 0.0) == 1


def test_expected_backorders_agree_with_published_values(test_data):
    table = pd.read_csv(test_data / "stocking" / "ebo_grid_stockpyl.csv")
    ours = distributions.loss(table["stock"], table["mean"], table["variance"])
    np.testing.assert_allclose(ours, table["expected_backorders"], rtol=1e-8, atol=1e-8)


def test_quantiles_of_few_pieces_are_those_of_the_inverse_functions():
    rng = np.random.default_rng(2)
    mean = np.exp(rng.normal(-1, 1.8, 20_000)).clip(1e-6, 7.9)
    spread = np.where(rng.random(20_000) < 0.3, 1.0, np.exp(np.abs(rng.normal(0, 0.7, 20_000))) + 1e-6)
    variance = mean * spread
    keep = np.where(spread > 1, 1 / spread, 0.5)
    for level in (0.01, 0.5, 0.9, 0.99, 0.9999):
        exact = np.where(
            spread > 1,
            stats.nbinom.ppf(level, mean * keep / (1 - keep), keep),
            stats.poisson.ppf(level, mean),
        )
        np.testing.assert_array_equal(distributions.quantile(level, mean, variance), exact)


@pytest.mark.filterwarnings("error")
def test_next_to_no_demand_of_large_variance_is_none_at_every_level():
    quantiles = distributions.quantile(0.99, [1e-20, 1e-9, 0.0], [1.0, 5.0, 0.0])
    assert quantiles.tolist() == [0.0, 0.0, 0.0]
