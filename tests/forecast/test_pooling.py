"""Empirical-Bayes compound demand: limits, moments and quantiles against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from spareplan.forecast.pooling import (
    CompoundRates,
    no_demand_chance,
    pool_rates,
    sum_moments,
    sum_quantiles,
)


def simulated_panel(n=4000, c=40, seed=0, a=1.5, b=6.0):
    rng = np.random.default_rng(seed)
    chance = rng.beta(a, b, n)
    sizes = 1.0 + rng.poisson(2, (n, c))
    return chance, np.where(rng.random((n, c)) < chance[:, None], sizes, 0.0)


def test_chances_shrink_to_the_truth_of_a_beta_panel():
    chance, demand = simulated_panel()
    fitted = pool_rates(demand, discount=1.0).chance
    own = (demand > 0).mean(axis=1)
    assert np.mean((fitted - chance) ** 2) < 0.95 * np.mean((own - chance) ** 2)
    # posterior mean of the true beta law
    best = (1.5 + (demand > 0).sum(axis=1)) / (7.5 + 40)
    np.testing.assert_allclose(fitted, best, atol=0.01)


def test_stated_uncertainty_of_the_chance_is_that_of_its_errors():
    chance, demand = simulated_panel()
    rates = pool_rates(demand, discount=1.0)
    assert np.mean((rates.chance - chance) ** 2) == pytest.approx(rates.chance_variance.mean(), rel=0.1)


def test_a_series_without_periods_takes_the_panel():
    _, demand = simulated_panel(200)
    demand = np.vstack([demand, np.full((1, 40), np.nan)])
    rates = pool_rates(demand, discount=1.0)
    assert rates.chance[-1] == pytest.approx((demand[:-1] > 0).mean(), rel=0.02)
    assert 2 < rates.size[-1] < 3.2


def test_recent_periods_weigh_more_when_older_ones_are_discounted():
    demand = np.zeros((50, 40))
    demand[:25, :20] = 1
    demand[25:, 20:] = 1
    chance = pool_rates(demand, discount=0.9).chance
    assert chance[:25].max() < 0.25 < 0.75 < chance[25:].min()


def test_moments_and_no_demand_chance_are_those_of_simulated_sums():
    rng = np.random.default_rng(2)
    chance, cv2, size = 0.3, 0.5, 4.0
    strength = 9.0
    rates = CompoundRates(
        np.array([chance]),
        np.array([chance * (1 - chance) / (strength + 1)]),
        np.array([size]),
        np.array([0.4]),
        np.array([cv2]),
    )
    draws = 200_000
    p = rng.beta(strength * chance, strength * (1 - chance), draws)
    z = rng.normal(size, np.sqrt(0.4), draws)
    hits = rng.binomial(6, p)
    shape = 1 / cv2
    total = rng.gamma(np.maximum(hits, 1e-12) * shape, z / shape) * (hits > 0)
    mean, variance = sum_moments(rates, 6)
    assert mean[0] == pytest.approx(total.mean(), rel=0.01)
    assert variance[0] == pytest.approx(total.var(), rel=0.04)
    assert no_demand_chance(rates, 6)[0] == pytest.approx((hits == 0).mean(), rel=0.02)
    quantiles = sum_quantiles(rates, 6, np.array([0.5, 0.9, 0.95, 0.99]))[0]
    np.testing.assert_allclose(quantiles, np.quantile(total, [0.5, 0.9, 0.95, 0.99]), rtol=0.06)


def test_doubt_about_chance_and_size_adds_up_as_in_simulation():
    rng = np.random.default_rng(8)
    draws, periods, p, z = 400_000, 4, 0.3, 5.0
    chance = rng.beta(3, 7, draws)
    size = rng.gamma(4, z / 4, draws)
    hits = rng.binomial(periods, chance)
    cv2 = 0.5
    total = np.where(hits > 0, size * rng.gamma(np.maximum(hits, 1) / cv2, cv2), 0.0)
    one = (np.array([value]) for value in (p, p * (1 - p) / 11, z, z**2 / 4, cv2))
    mean, variance = sum_moments(CompoundRates(*one), periods)
    assert mean[0] == pytest.approx(total.mean(), rel=0.01)
    assert variance[0] == pytest.approx(total.var(), rel=0.02)


def test_fractions_of_a_unit_scale_the_forecast():
    _, demand = simulated_panel(100)
    levels = np.array([0.5, 0.9, 0.99])
    one, tenth = (sum_quantiles(pool_rates(d), 3, levels) for d in (demand, demand / 10))
    np.testing.assert_allclose(tenth, one / 10, rtol=1e-6, atol=1e-12)


def test_twice_the_machines_in_the_past_halve_the_rate_of_today():
    _, demand = simulated_panel(300)
    exposure = np.ones((300, 40))
    plain = pool_rates(demand, 1.0, exposure).chance
    shrunk = exposure.copy()
    shrunk[:, -1] = 0.5
    assert pool_rates(demand, 1.0, shrunk).chance.mean() == pytest.approx(plain.mean() / 2, rel=0.05)


def test_sizes_shrink_as_far_as_parts_are_alike():
    rng = np.random.default_rng(6)
    hit = rng.random((400, 24)) < 0.15
    alike = np.where(hit, rng.lognormal(2, 0.8, (400, 24)), 0.0)
    unlike = np.where(hit, np.exp(rng.normal(2, 2, (400, 1)) + rng.normal(0, 0.2, (400, 24))), 0.0)
    once = hit.sum(axis=1) == 1
    for demand, high in ((alike, 0.35), (unlike, 1.05)):
        own = demand[once].max(axis=1)
        slope = np.polyfit(np.log(own), np.log(pool_rates(demand, 1.0).size[once]), 1)[0]
        assert high - 0.3 < slope < high


def test_a_heavy_part_that_sold_once_keeps_most_of_its_size():
    demand = np.zeros((100, 24))
    demand[:, 3] = np.geomspace(1, 1e5, 100)
    demand[:99, 9] = np.geomspace(1, 1e5, 100)[:99]
    assert pool_rates(demand, 1.0).size[-1] > 0.7e5
