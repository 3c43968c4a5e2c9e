"""Sums from a part's own past: counted out by hand, by every combination, and by simulation."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spareplan.errors import DataError
from spareplan.forecast.bootstrap import block_sums, iid_sums, willemain_sums

LEVELS = (0.1, 0.5, 0.8, 0.95, 0.99)
METHODS = (iid_sums, block_sums, willemain_sums)


def every_combination(series, periods, levels, weights=None):
    """Mean, variance, least quantiles and chance of nothing over all c ** L ways to draw."""
    values = np.asarray(series, float)
    chance = np.ones(len(values)) if weights is None else np.asarray(weights, float)
    chance = chance[np.isfinite(values)] / chance[np.isfinite(values)].sum()
    values = values[np.isfinite(values)]
    sums = np.array([sum(pick) for pick in itertools.product(values, repeat=periods)])
    odds = np.array([np.prod(pick) for pick in itertools.product(chance, repeat=periods)])
    mean = sums @ odds
    order = np.argsort(sums)
    below = np.cumsum(odds[order])
    found = [sums[order][np.searchsorted(below, level - 1e-9)] for level in levels]
    return mean, (sums - mean) ** 2 @ odds, found, odds[sums == 0].sum()


@pytest.fixture
def demand():
    rng = np.random.default_rng(3)
    out = np.where(rng.random((40, 9)) < rng.beta(1, 2, 40)[:, None], 1.0 + rng.poisson(3, (40, 9)), 0.0)
    out[::4, :3] = np.nan
    out[1, 4] = np.nan
    return out


@pytest.mark.parametrize("unit", [1.0, 100.0, 0.37, 1e-4, 1e7])
def test_independent_sums_are_those_of_every_combination(demand, unit):
    sums = iid_sums(demand * unit, 3, LEVELS)
    for row, series in enumerate(demand * unit):
        mean, variance, quantiles, none = every_combination(series, 3, LEVELS)
        assert sums.mean[row] == pytest.approx(mean)
        assert sums.variance[row] == pytest.approx(variance)
        assert sums.none[row] == pytest.approx(none)
        np.testing.assert_allclose(sums.quantiles[row], quantiles, rtol=1e-9)


def test_forgetting_weighs_every_combination(demand):
    sums = iid_sums(demand, 3, LEVELS, half_life=4.0)
    weights = 0.5 ** (np.arange(8, -1, -1) / 4.0)
    for row, series in enumerate(demand):
        mean, variance, quantiles, none = every_combination(series, 3, LEVELS, weights)
        assert (sums.mean[row], sums.variance[row]) == (pytest.approx(mean), pytest.approx(variance))
        assert sums.none[row] == pytest.approx(none)
        np.testing.assert_allclose(sums.quantiles[row], quantiles)


def test_each_series_may_have_its_own_periods(demand):
    ahead = 1 + np.arange(len(demand)) % 4
    together = iid_sums(demand, ahead, LEVELS)
    for periods in range(1, 5):
        alone = iid_sums(demand, periods, LEVELS)
        for a, b in zip(together, alone):
            np.testing.assert_array_equal(a[ahead == periods], b[ahead == periods])


def test_sizes_without_a_common_step_are_off_by_a_few_thousandths_of_the_largest():
    rng = np.random.default_rng(1)
    demand = np.where(rng.random((30, 12)) < 0.5, rng.lognormal(3, 1.5, (30, 12)), 0.0)
    sums = iid_sums(demand, 3, LEVELS)
    expected = np.array([every_combination(series, 3, LEVELS)[2] for series in demand])
    off = np.abs(sums.quantiles - expected) / demand.max(axis=1, keepdims=True)
    assert off.max() < 0.0023
    assert off.mean() < 0.0005
    np.testing.assert_allclose(sums.mean, 3 * demand.mean(axis=1))


def test_sums_of_a_hundred_periods_follow_the_normal_law():
    rng = np.random.default_rng(2)
    demand = rng.poisson(30, (1, 60)).astype(float)
    sums = iid_sums(demand, 100, (0.1, 0.5, 0.9))
    z = np.array([-1.2815516, 0, 1.2815516])
    expected = 100 * demand.mean() + z * np.sqrt(100 * demand.var())
    np.testing.assert_allclose(sums.quantiles[0], expected, atol=2)


def test_past_stretches_are_counted_out_by_hand():
    sums = block_sums([[np.nan, 1, 0, 0, 4, 2]], 2, (0.25, 0.5, 0.75))
    # Stretches 1, 0, 4, 6 stand at 1/8, 3/8, 5/8, 7/8: sorted 0, 1, 4, 6; a quarter is never anything.
    assert sums.mean.tolist() == [2.75]
    assert sums.none.tolist() == [0.25]
    assert sums.variance[0] == pytest.approx(np.var([1, 0, 4, 6]))
    np.testing.assert_allclose(sums.quantiles[0], [0, 2.5, 5])


def test_past_stretches_keep_the_runs_that_single_draws_lose():
    run = np.tile(np.repeat([0.0, 2.0], 6), 10)[None, :]
    assert block_sums(run, 4, (0.5,)).variance[0] > 2 * iid_sums(run, 4, (0.5,)).variance[0]
    turns = np.tile([0.0, 2.0], 60)[None, :]
    assert block_sums(turns, 4, (0.5,)).variance[0] == pytest.approx(0)


def test_where_no_stretch_is_known_periods_are_drawn_anew(demand):
    holes = demand.copy()
    holes[5:9, ::2] = np.nan
    for weights in (None, 3.0, np.linspace(2, 9, len(demand))):
        sums, anew = (method(holes, 2, LEVELS, weights) for method in (block_sums, iid_sums))
        whole = block_sums(demand, 2, LEVELS, weights)
        for a, b, c in zip(sums, anew, whole):
            np.testing.assert_array_equal(a[5:9], b[5:9])
            np.testing.assert_allclose(np.delete(a, np.s_[5:9], 0), np.delete(c, np.s_[5:9], 0))
    assert block_sums([[5.0, 5.0]], 3, (0.5,)).mean.tolist() == [15]


def test_the_tail_beyond_the_worst_stretch_rises():
    sums = block_sums([[0, 0, 3.0, 0, 1, 0, 0, 5]], 2, (0.95, 0.99, 0.999))
    assert 5 <= sums.quantiles[0, 0] < sums.quantiles[0, 1] < sums.quantiles[0, 2] < 40


def chain(again, begin, start, periods):
    """Chance of no demand over the periods, and expected demands, of a Markov chain."""
    silent = (1 - (again if start else begin)) * (1 - begin) ** (periods - 1)
    state, expected = float(start), 0.0
    for _ in range(periods):
        state = state * again + (1 - state) * begin
        expected += state
    return silent, expected


def test_runs_of_demand_follow_the_markov_chain():
    series = np.array([0, 0, 5, 5, 5, 0, 0, 0, 5, 5, np.nan, 0, 5.0])
    # Between known neighbours: demand, then demand 3 and none 1; none, then demand 3 and none 3.
    again, begin = (3 + 1 / 6) / (4 + 1 / 3), (3 + 1 / 6) / (6 + 1 / 3)
    silent, expected = chain(again, begin, True, 3)
    sums = willemain_sums(series[None, :], 3, (0.5,), draws=200_000)
    assert sums.none[0] == pytest.approx(silent, abs=0.004)
    rng = np.random.default_rng(8)
    size = 1 + np.trunc(5 + rng.standard_normal(400_000) * np.sqrt(5))
    size = np.where(size > 0, size, 5).mean()
    assert sums.mean[0] == pytest.approx(expected * size, rel=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_a_series_does_not_depend_on_its_neighbours(method, demand):
    order = np.random.default_rng(1).permutation(len(demand))
    whole = method(demand, 2, LEVELS)
    for a, b in zip(method(demand[order], 2, LEVELS), whole):
        np.testing.assert_allclose(a, b[order], rtol=1e-12)
    for a, b in zip(method(demand[7:8], 2, LEVELS), whole):
        np.testing.assert_allclose(a, b[7:8], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_periods_before_the_start_change_nothing(method, demand):
    later = np.concatenate([np.full((len(demand), 11), np.nan), demand], axis=1)
    for a, b in zip(method(later, 3, LEVELS), method(demand, 3, LEVELS)):
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("series", [[0.0] * 6, [np.nan] * 6, []])
def test_no_demand_ever_means_none_is_expected(method, series):
    sums = method(np.array([series]), 3, LEVELS)
    assert (sums.mean[0], sums.variance[0], sums.none[0]) == (0, 0, 1)
    assert not sums.quantiles.any()


@pytest.mark.parametrize("method", METHODS)
def test_a_table_without_series_gives_none(method):
    sums = method(np.empty((0, 5)), 3, LEVELS)
    assert sums.mean.shape == (0,) and sums.quantiles.shape == (0, 5)


@pytest.mark.parametrize("method", METHODS)
def test_wrong_arguments_are_refused(method):
    for demand, periods, levels in [
        ([[1.0]], 0, (0.5,)),
        ([[1.0]], 1.5, (0.5,)),
        ([[1.0]], 1, (1.0,)),
        ([[-1.0]], 1, (0.5,)),
        ([1.0], 1, (0.5,)),
    ]:
        with pytest.raises(DataError):
            method(demand, periods, levels)


def test_a_half_life_of_nothing_is_refused():
    for method in (iid_sums, block_sums):
        with pytest.raises(DataError, match="half_life"):
            method([[1.0]], 1, (0.5,), half_life=0)
    with pytest.raises(DataError, match="draws"):
        willemain_sums([[1.0]], 1, (0.5,), draws=0)


HISTORIES = arrays(
    float,
    st.tuples(st.integers(1, 6), st.integers(1, 14)),
    elements=st.one_of(st.just(0.0), st.integers(1, 40).map(float), st.just(np.nan)),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(HISTORIES, st.integers(1, 5), st.sampled_from([1e-150, 1e-3, 0.7, 12.0, 1e9, 1e150]))
def test_independent_sums_scale_with_the_unit(demand, periods, unit):
    plain, scaled = iid_sums(demand, periods, LEVELS), iid_sums(demand * unit, periods, LEVELS)
    np.testing.assert_allclose(scaled.mean, plain.mean * unit, rtol=1e-9)
    np.testing.assert_allclose(scaled.none, plain.none)
    np.testing.assert_allclose(scaled.quantiles, plain.quantiles * unit, rtol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(HISTORIES, st.integers(1, 5), st.randoms())
def test_sums_are_distributions_whatever_the_history(demand, periods, random):
    order = list(range(len(demand)))
    random.shuffle(order)
    most = np.where(np.isfinite(demand), demand, 0.0).max(axis=1)
    for method in (iid_sums, block_sums):
        sums = method(demand, periods, LEVELS)
        assert (np.diff(sums.quantiles, axis=1) >= 0).all()
        assert (sums.variance >= 0).all() and ((sums.none >= 0) & (sums.none <= 1)).all()
        np.testing.assert_array_equal(sums.quantiles[sums.none >= 1], 0)
        for a, b in zip(method(demand[order], periods, LEVELS), sums):
            np.testing.assert_allclose(a, b[order], rtol=1e-12)
        late = np.concatenate([np.full((len(demand), 3), np.nan), demand], axis=1)
        for a, b in zip(method(late, periods, LEVELS), sums):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert (iid_sums(demand, periods, LEVELS).quantiles <= periods * most[:, None]).all()


def test_series_of_all_sizes_keep_their_place_in_memory():
    rng = np.random.default_rng(0)
    demand = np.where(rng.random((4_000, 24)) < 0.2, rng.lognormal(3, 2, (4_000, 24)), 0.0)
    tracemalloc.start()
    iid_sums(demand, 3, LEVELS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Working arrays of a few times the table; the grid alone, 4,096 points a series, would be 170 times it.
    assert peak < 12 * demand.nbytes
