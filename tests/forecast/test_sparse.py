"""Posterior lives from sufficient statistics: evidence, units, borrowed data, point laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import digamma, gammaln
from scipy.stats import binom, nbinom, norm

from spareplan.errors import DataError
from spareplan.forecast.family_law import MIXTURE, _inverse_trigamma
from spareplan.forecast.likelihood import Spells
from spareplan.forecast.sparse import (
    SHAPES,
    _ahead,
    between_nodes,
    pool_lifetimes,
    pool_statistics,
    sufficient_sums,
)


def fleet_spells(seed, parts=40, late=0.4):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 40, parts)
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    segment = np.repeat(np.arange(parts), size)
    scale = np.exp(rng.normal(4, 0.6, parts))[segment]
    shape = np.exp(rng.normal(0.5, 0.3, parts))[segment]
    entry = np.where(rng.random(len(segment)) < late, scale * rng.uniform(0.05, 0.6, len(segment)), 0.0)
    life = scale * ((entry / scale) ** shape + rng.exponential(size=len(segment))) ** (1 / shape)
    end = entry + rng.uniform(5, 60, len(segment))
    return Spells(starts, entry, np.minimum(life, end), life < end, np.ones(len(segment)))


def test_sums_are_those_of_the_spells_written_out():
    spells = fleet_spells(0, parts=5)
    k, log_sum, sums = sufficient_sums(spells, 10.0)
    ends = np.append(spells.starts[1:], len(spells.exit))
    for part, (low, high) in enumerate(zip(spells.starts, ends)):
        entry, exit_, failed = (values[low:high] for values in spells[1:4])
        assert k[part] == failed.sum()
        assert log_sum[part] == pytest.approx(np.log(exit_[failed] / 10).sum(), abs=1e-9)
        wanted = ((exit_ / 10)[:, None] ** SHAPES - (entry / 10)[:, None] ** SHAPES).sum(axis=0)
        np.testing.assert_allclose(sums[part], wanted, rtol=1e-9)


def test_statistics_give_the_posterior_of_the_spells():
    spells = fleet_spells(1)
    family, life = np.arange(40) % 3, np.full(40, np.nan)
    whole = pool_lifetimes(spells, family, life)
    again = pool_statistics(*sufficient_sums(spells, whole.unit), whole.unit, family, life)
    for name in ("weight", "failures", "exposure", "evidence"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(again, name))


@pytest.mark.parametrize(("law", "tolerance"), [("mixture", 1e-5), ("normal", 0.3)])
def test_evidence_is_the_integral_of_the_likelihood_over_the_family_law(law, tolerance):
    spells = fleet_spells(2, parts=6)
    unit = 20.0
    k, log_sum, sums = sufficient_sums(spells, unit)
    pooled = pool_statistics(k, log_sum, sums, unit, np.zeros(6, dtype=int), np.full(6, np.nan))
    level, spread, centre, width = (float(values[0]) for values in pooled.families)
    spread, width = np.exp(spread), np.exp(width)
    weight = np.exp(-0.5 * ((np.log(SHAPES) - centre) / width) ** 2)
    weight /= weight.sum()
    log_rate, step = np.linspace(-60, 30, 20_001, retstep=True)
    rate = np.exp(log_rate)
    ends = np.append(spells.starts[1:], len(spells.exit))
    for part, (low, high) in enumerate(zip(spells.starts, ends)):
        entry, exit_, failed = (values[low:high] for values in spells[1:4])
        total = 0.0
        for node, shape in enumerate(SHAPES):
            hazard = np.outer(rate, (exit_ / unit) ** shape - (entry / unit) ** shape).sum(axis=1)
            density = (np.log(shape) + (shape - 1) * np.log(exit_[failed] / unit) - np.log(unit)).sum()
            likelihood = np.exp(failed.sum() * log_rate + density - hazard)
            if law == "normal":
                prior = norm.pdf(log_rate, -shape * level, shape * spread)
            else:
                a = float(_inverse_trigamma(np.array([(1 - MIXTURE.share) * (shape * spread) ** 2]))[0])
                z = (
                    log_rate[:, None]
                    + shape * (level + np.sqrt(MIXTURE.share) * spread * MIXTURE.place)
                    + digamma(a)
                )
                prior = np.exp(a * z - np.exp(z) - gammaln(a)) @ np.exp(MIXTURE.log_weight)
            total += weight[node] * (likelihood * prior).sum() * step
        assert pooled.evidence[part] == pytest.approx(np.log(total), abs=tolerance)


def test_the_gamma_law_at_a_node_has_the_mean_and_variance_of_the_posterior():
    k, log_sum = np.array([0.0, 3.0]), np.array([0.0, -0.4])
    sums = np.vstack([4 * 0.7**SHAPES, 12 * 1.1**SHAPES])
    pooled = pool_statistics(k, log_sum, sums, 1.0, np.zeros(2, dtype=int), np.full(2, np.nan))
    level, spread = float(pooled.families.level[0]), float(np.exp(pooled.families.log_spread[0]))
    log_rate = np.linspace(-60, 30, 20_001)
    for node in (1, 4, 7):
        a = float(_inverse_trigamma(np.array([(1 - MIXTURE.share) * (SHAPES[node] * spread) ** 2]))[0])
        z = (
            log_rate[:, None]
            + SHAPES[node] * (level + np.sqrt(MIXTURE.share) * spread * MIXTURE.place)
            + digamma(a)
        )
        prior = np.exp(a * z - np.exp(z)) @ np.exp(MIXTURE.log_weight)
        for part in range(2):
            mass = prior * np.exp(k[part] * log_rate - sums[part, node] * np.exp(log_rate))
            mass /= mass.sum()
            mean = (mass * np.exp(log_rate)).sum()
            variance = (mass * np.exp(2 * log_rate)).sum() - mean**2
            shape, rate = pooled.failures[part, node], pooled.exposure[part, node]
            assert [shape / rate, shape / rate**2] == pytest.approx([mean, variance], rel=1e-4)


def test_the_unit_of_the_statistics_only_shifts_the_evidence_by_its_jacobian():
    spells = fleet_spells(3, parts=200)
    family, life = np.arange(200) % 4, np.full(200, np.nan)
    days = pool_lifetimes(spells, family, life)
    hours = pool_lifetimes(spells._replace(entry=spells.entry * 24, exit=spells.exit * 24), family, life)
    np.testing.assert_allclose(hours.weight, days.weight, atol=1e-9)
    np.testing.assert_allclose(hours.scales(), 24 * days.scales(), rtol=1e-8)
    failures = spells.sums(spells.count * spells.failed)
    np.testing.assert_allclose(hours.evidence, days.evidence - failures * np.log(24), atol=1e-7)
    mixed = np.where(np.arange(200) % 4 < 2, days.unit, 2 * days.unit)
    assert np.isfinite(pool_statistics(*sufficient_sums(spells, mixed), mixed, family, life).evidence).all()


def test_the_true_clock_has_the_higher_evidence():
    rng = np.random.default_rng(4)
    parts, pieces = 30, 60
    hours_per_day = np.exp(rng.normal(2, 0.8, parts * pieces))
    life = 3000 * rng.weibull(2, parts * pieces)
    end = 600 * hours_per_day
    failed, hours = life < end, np.minimum(life, end)
    starts = np.arange(parts) * pieces
    family, unknown = np.zeros(parts, dtype=int), np.full(parts, np.nan)
    meter = pool_lifetimes(Spells(starts, 0 * hours, hours, failed, np.ones(len(hours))), family, unknown)
    days = Spells(starts, 0 * hours, hours / hours_per_day, failed, np.ones(len(hours)))
    calendar = pool_lifetimes(days, family, unknown)
    # Densities per day: the hours of a failure bring their hours per day.
    jacobian = np.log(hours_per_day[failed]).sum()
    assert meter.evidence.sum() + jacobian > calendar.evidence.sum() + 20


def test_a_law_from_sums_is_near_the_law_from_spells():
    spells = fleet_spells(5, parts=300)
    family, life = np.arange(300) % 5, np.full(300, np.nan)
    pooled = pool_lifetimes(spells, family, life)
    k, log_sum, sums = sufficient_sums(spells, pooled.unit)
    ahead = sufficient_sums(_ahead(spells), pooled.unit)[2]
    exact, near = pooled.point_fit(spells), pooled.point_law(ahead, sums, k, log_sum)
    np.testing.assert_allclose(near.first, exact.first, rtol=1e-12)
    np.testing.assert_allclose(near.second, exact.second, rtol=3e-3)
    np.testing.assert_allclose(near.second_se / near.second, exact.second_se / exact.second, rtol=1e-12)
    np.testing.assert_allclose(near.loglik, exact.loglik, atol=2e-2)


def test_parts_with_nothing_ahead_or_nothing_watched_still_have_a_law():
    k, log_sum = np.array([0.0, 2.0, 0.0]), np.array([0.0, 0.3, 0.0])
    sums = np.vstack([np.zeros(9), 3 * 1.2**SHAPES, 5 * 0.8**SHAPES])
    pooled = pool_statistics(k, log_sum, sums, 100.0, np.zeros(3, dtype=int), np.full(3, np.nan))
    law = pooled.point_law(np.zeros((3, 9)), sums, k, log_sum)
    assert all(np.isfinite(values).all() for values in law)
    assert (law.second > 0).all()


def test_sums_between_the_nodes_are_interpolated_smoothly():
    rng = np.random.default_rng(6)
    worst = []
    for _ in range(200):
        ages = np.exp(rng.normal(0, 0.8)) * np.exp(rng.normal(0, 0.5, rng.integers(1, 60)))
        at = rng.uniform(np.log(0.6), np.log(5))
        near = between_nodes(np.log((ages[:, None] ** SHAPES).sum(axis=0))[None], np.array([at]))[0]
        worst.append(abs(near - np.log((ages ** np.exp(at)).sum())))
    assert np.median(worst) < 5e-4
    assert max(worst) < 1e-2


def test_borrowed_statistics_move_the_part_but_not_its_family():
    spells = fleet_spells(7, parts=60)
    family, life = np.zeros(60, dtype=int), np.full(60, np.nan)
    alone = pool_lifetimes(spells, family, life)
    k, log_sum, sums = sufficient_sums(spells, alone.unit)
    # A part that never failed borrows half of what 30 pieces that failed at a quarter of its scale would say.
    part = int(np.flatnonzero(k == 0)[0])
    quick = 0.25 * float(alone.scales()[part, 4]) / alone.unit
    lent = [np.zeros(60), np.zeros(60), np.zeros((60, 9))]
    lent[0][part], lent[1][part], lent[2][part] = 15.0, 15 * np.log(quick), 15 * quick**SHAPES
    helped = pool_statistics(k, log_sum, sums, alone.unit, family, life, tuple(lent))
    scale = [float(lives.scales()[part] @ lives.weight[part]) for lives in (helped, alone)]
    assert scale[0] < 0.6 * scale[1]
    others = np.arange(60) != part
    np.testing.assert_allclose(helped.weight[others], alone.weight[others], rtol=1e-12)
    np.testing.assert_array_equal(helped.evidence, alone.evidence)
    for mine, theirs in zip(helped.families, alone.families):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"k": np.array([-1.0, 0])}, "k"),
        ({"log_sum": np.array([np.nan, 0])}, "log_sum"),
        ({"sums": np.full((2, 9), -1.0)}, "sums"),
        ({"sums": np.ones((2, 4))}, "sums"),
        ({"unit": 0.0}, "unit"),
        ({"family": np.array([0])}, "family"),
    ],
)
def test_statistics_that_cannot_be_are_refused_by_name(change, column):
    given = {
        "k": np.zeros(2),
        "log_sum": np.zeros(2),
        "sums": np.ones((2, 9)),
        "unit": 1.0,
        "family": np.zeros(2, dtype=int),
        "expected_life": np.full(2, np.nan),
    }
    with pytest.raises(DataError) as caught:
        pool_statistics(**(given | change))
    assert column in set(caught.value.problems["column"])


def simulated_year(seed, parts=4000, families=40, spread=0.6, level=60.0):
    """First failures only: each piece is watched for four years from a known age, then for one more year."""
    rng = np.random.default_rng(seed)
    family = np.sort(rng.integers(0, families, parts))
    scale = np.exp(rng.normal(np.log(level), 0.5, families)[family] + spread * rng.normal(size=parts))
    shape = np.exp(rng.normal(0.55, 0.2, families)[family] + 0.25 * rng.normal(size=parts))
    size = np.clip(np.exp(rng.normal(2.3, 0.8, parts)), 2, 100).astype(int)
    part = np.repeat(np.arange(parts), size)
    entry = np.maximum(rng.uniform(-48, 40, len(part)), 0.0)
    s, b = scale[part], shape[part]
    life = s * ((entry / s) ** b + rng.exponential(size=len(part))) ** (1 / b)
    end = entry + rng.uniform(10, 48, len(part))
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    spells = Spells(starts, entry, np.minimum(life, end), life < end, np.ones(len(part)))
    alive = life >= end
    chance = -np.expm1((end[alive] / s[alive]) ** b[alive] - ((end[alive] + 6) / s[alive]) ** b[alive])
    mean = np.bincount(part[alive], weights=chance, minlength=parts)
    demand = np.bincount(part[alive & (life < end + 6)], minlength=parts)
    return spells, family, part[alive], end[alive], demand, mean


def count_law(pooled, part, age, parts):
    """Weights, means and variances of the counts of the next half year at every node."""
    mean, variance = np.zeros((2, parts, len(SHAPES)))
    for node, shape in enumerate(SHAPES):
        scale = pooled.scales()[part, node]
        more = (np.append(age, age + 6).reshape(2, -1) / scale) ** shape
        hazard = more[1] - more[0]
        chance = -np.expm1(-hazard)
        m = np.bincount(part, weights=chance, minlength=parts)
        slope = np.bincount(part, weights=hazard * np.exp(-hazard), minlength=parts)
        mean[:, node] = m
        unit_variance = np.bincount(part, weights=chance * (1 - chance), minlength=parts)
        variance[:, node] = unit_variance + slope**2 / pooled.failures[:, node]
    return mean, variance


def mixture_cdf(weight, mean, variance, count):
    mean = np.maximum(mean, 1e-12)
    over = variance > mean * (1 + 1e-9)
    wide = nbinom.cdf(
        count, mean**2 / np.where(over, variance - mean, 1.0), mean / np.where(over, variance, 2 * mean)
    )
    tries = np.clip(mean**2 / np.where(over, 1.0, np.maximum(mean - variance, 1e-9)), mean, 1e6)
    narrow = binom.cdf(count, np.ceil(tries), mean / np.ceil(tries))
    return (weight * np.where(over, wide, narrow)).sum(axis=1)


@pytest.mark.parametrize(("families", "level"), [(40, 60.0), (40, 25.0), (150, 90.0)])
def test_intervals_cover_and_means_are_unbiased_whatever_a_part_has_failed_before(families, level):
    counts = {name: np.zeros(4) for name in ("0", "1", "2", "3-5", "6+")}
    for seed in (11, 12):
        spells, family, part, age, demand, true_mean = simulated_year(seed, families=families, level=level)
        parts = len(demand)
        pooled = pool_lifetimes(spells, family, np.full(parts, np.nan))
        mean, variance = count_law(pooled, part, age, parts)
        above, below = (
            mixture_cdf(pooled.weight, mean, variance, count[:, None]) for count in (demand, demand - 1)
        )
        pit = below + np.random.default_rng(seed).random(parts) * (above - below)
        inside = (np.abs(pit - 0.5) < 0.4).astype(float)
        past = spells.sums(spells.failed.astype(float))
        for name, low, high in (("0", 0, 0), ("1", 1, 1), ("2", 2, 2), ("3-5", 3, 5), ("6+", 6, 999)):
            rows = (past >= low) & (past <= high) & (np.bincount(part, minlength=parts) > 0)
            own = (pooled.weight * mean).sum(axis=1)[rows].sum()
            counts[name] += [rows.sum(), inside[rows].sum(), own, true_mean[rows].sum()]
    for name, (size, covered, predicted, expected) in counts.items():
        noise = 2.5 * np.sqrt(0.16 / size)
        assert 0.77 - noise < covered / size < 0.83 + noise, name
        # Parts differ by more than half: their mean is known to 0.7 / sqrt(size).
        assert abs(predicted / expected - 1) < 0.05 + 2 * 0.7 / np.sqrt(size), name


def test_families_without_any_failure_are_finite_and_foretold():
    predicted = expected = 0.0
    for seed in range(21, 25):
        spells, family, part, age, demand, true_mean = simulated_year(seed, 1500, 300, level=200.0)
        pooled = pool_lifetimes(spells, family, np.full(len(demand), np.nan))
        for values in (pooled.weight, pooled.failures, pooled.exposure, pooled.evidence, pooled.scales()):
            assert np.isfinite(values).all()
        mean = (pooled.weight * count_law(pooled, part, age, len(demand))[0]).sum(axis=1)
        quiet = np.bincount(family, weights=spells.sums(spells.failed.astype(float)))[family] == 0
        assert quiet.sum() > 100
        predicted, expected = predicted + mean[quiet].sum(), expected + true_mean[quiet].sum()
    assert predicted / expected == pytest.approx(1, abs=0.2)
