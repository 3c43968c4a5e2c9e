"""Classic methods: worked examples, their published properties, and plain loops as the second road."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spareplan.errors import DataError
from spareplan.forecast.intermittent import (
    HALF_LIVES,
    WEIGHTS,
    adida,
    best_half_lives,
    best_weights,
    croston,
    imapa,
    mean_demand,
    sba,
    ses,
    tsb,
)

ORACLES = Path(__file__).parents[1] / "oracles"
METHODS = (mean_demand, ses, croston, sba, tsb, imapa, adida)


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


def plain_ses(series, alpha):
    """Forecasts before each period from the second on, and the one after the last."""
    level, before = series[0], []
    for y in series[1:]:
        before.append(level)
        level += alpha * (y - level)
    return np.array(before), level


def plain_blocks(series, width):
    rest = len(series) % width
    return [sum(series[t : t + width]) for t in range(rest, len(series), width)]


def plain_best(series):
    """Weight of least squared error of simple smoothing; the smallest of equals."""
    errors = [((np.array(series[1:]) - plain_ses(series, alpha)[0]) ** 2).sum() for alpha in WEIGHTS]
    return WEIGHTS[int(np.argmin(errors))]


def plain_interval(series):
    hits = np.flatnonzero(np.array(series) > 0)
    return int(np.round((hits[-1] + 1) / len(hits))) if len(hits) else 1


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


def test_imapa_and_adida_choose_the_weight_of_each_block_length_alone(demand):
    def by_width(series, width):
        blocks = plain_blocks(series, width)
        return plain_ses(blocks, plain_best(blocks))[1] / width

    rows = [list(row) for row in demand if plain_interval(row) <= 24]
    expected = [np.mean([by_width(row, w + 1) for w in range(plain_interval(row))]) for row in rows]
    np.testing.assert_allclose(imapa(rows), expected)
    np.testing.assert_allclose(adida(rows), [by_width(row, plain_interval(row)) for row in rows])


def test_the_published_sales_of_a_lubricant_are_cut_into_sizes_and_intervals():
    printed = pd.read_csv(ORACLES / "croston_lubricant.csv", comment="#")
    series = np.concatenate([[*[0.0] * (row.interval - 1), row.demand] for row in printed.itertuples()])
    sizes, intervals = (plain_ses(list(printed[name]), 0.1)[1] for name in ("demand", "interval"))
    # Two months of nothing after the last sale, which Croston's method does not see.
    months = np.concatenate([series, [0.0, 0.0]])
    assert len(months) == 36
    assert croston([months])[0] == pytest.approx(sizes / intervals)
    assert sba([months])[0] == pytest.approx(0.95 * sizes / intervals)


def test_weights_may_differ_by_series(demand):
    weights = np.linspace(0.05, 0.6, len(demand))
    for method in (ses, croston, sba, tsb, imapa, adida):
        alone = [method(row[None, :], weight)[0] for row, weight in zip(demand, weights)]
        np.testing.assert_allclose(method(demand, weights), alone)


def test_forgetting_is_a_mean_with_weights_that_halve():
    assert mean_demand([[8.0, 0, 2]], half_life=1)[0] == pytest.approx((8 * 0.25 + 2) / 1.75)
    assert mean_demand([[8.0, np.nan, 2]], half_life=1)[0] == pytest.approx((8 * 0.25 + 2) / 1.25)
    long_silence = np.array([[4.0] + [np.nan] * 400])
    assert mean_demand(long_silence, half_life=0.3)[0] == pytest.approx(4.0)


def test_each_series_takes_the_weight_that_erred_least(demand):
    rows = [list(row) for row in demand]
    assert best_weights(rows, panel_periods=0).tolist() == [plain_best(row) for row in rows]


def test_a_panel_chooses_one_weight_for_all(demand):
    chosen = best_weights(demand, panel_periods=np.inf)
    assert len(set(chosen)) == 1
    relative = [
        sum(
            ((row[1:] - plain_ses(list(row), alpha)[0]) ** 2).sum() / (row**2).mean()
            for row in demand
            if row.any()
        )
        for alpha in WEIGHTS
    ]
    assert chosen[0] == WEIGHTS[int(np.argmin(relative))]


def test_what_changes_is_forgotten_fast_and_what_stays_is_not():
    rng = np.random.default_rng(4)
    steady = rng.poisson(3, (200, 48)).astype(float)
    steps = np.repeat(rng.gamma(1, 4, (200, 4)), 12, axis=1)
    changing = rng.poisson(steps).astype(float)
    assert best_half_lives(steady, panel_periods=np.inf)[0] >= 48
    assert best_half_lives(changing, panel_periods=np.inf)[0] <= 4.5
    mixed = best_half_lives(np.concatenate([steady, changing]), panel_periods=0)
    assert np.median(mixed[:200]) > 3 * np.median(mixed[200:])
    assert set(mixed) <= set(HALF_LIVES)


@pytest.mark.parametrize("method", ["ses", "croston", "sba", "tsb"])
def test_chosen_weights_err_less_than_any_fixed_one(method, demand):
    rng = np.random.default_rng(9)
    drift = rng.poisson(np.exp(rng.normal(0, 0.25, (80, 60)).cumsum(axis=1))).astype(float)
    chosen = best_weights(drift[:, :-1], method, among=(0.02, 0.1, 0.3, 0.6), panel_periods=np.inf)
    assert chosen[0] >= 0.3


def test_no_series_and_no_periods_give_no_forecasts():
    for method in METHODS:
        assert method(np.empty((0, 5))).shape == (0,)
        assert method(np.empty((3, 0))).tolist() == [0, 0, 0]
    assert best_weights(np.empty((0, 5))).shape == (0,)
    assert best_half_lives(np.empty((2, 0))).shape == (2,)


def test_wrong_choices_are_refused(demand):
    for call in (
        lambda: best_weights(demand, "naive"),
        lambda: best_weights(demand, among=()),
        lambda: best_weights(demand, among=(0.1, 2.0)),
        lambda: best_weights(demand, panel_periods=-1),
        lambda: best_half_lives(demand, among=(0.0,)),
        lambda: ses(demand, np.full(3, 0.1)),
        lambda: mean_demand(demand, half_life=-1),
    ):
        with pytest.raises(DataError):
            call()


def test_wrong_arguments_are_refused():
    with pytest.raises(DataError):
        ses([[1.0]], alpha=0)
    with pytest.raises(DataError):
        croston([1.0, 2.0])
    with pytest.raises(DataError):
        tsb([[-1.0]])


HISTORIES = arrays(
    float,
    st.tuples(st.integers(1, 6), st.integers(1, 14)),
    elements=st.one_of(st.just(0.0), st.integers(1, 40).map(float), st.just(np.nan)),
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(HISTORIES, st.sampled_from([1e-6, 0.3, 7.0, 1e12]), st.randoms())
def test_means_scale_with_the_unit_and_stay_within_what_was_seen(demand, unit, random):
    order = list(range(len(demand)))
    random.shuffle(order)
    most = np.where(np.isfinite(demand), demand, 0.0).max(axis=1)
    for method in METHODS:
        mean = method(demand)
        assert ((mean >= 0) & (mean <= most * (1 + 1e-12))).all()
        np.testing.assert_allclose(method(demand * unit), mean * unit, rtol=1e-9)
        np.testing.assert_allclose(method(demand[order]), mean[order], rtol=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(HISTORIES, st.sampled_from(["ses", "croston", "sba", "tsb"]), st.randoms())
def test_choices_do_not_depend_on_units_or_on_the_order_of_rows(demand, method, random):
    order = list(range(len(demand)))
    random.shuffle(order)
    # Powers of two scale without rounding, so that ties stay ties.
    assert (best_weights(demand * 1024, method) == best_weights(demand, method)).all()
    assert (best_half_lives(demand * 1024) == best_half_lives(demand)).all()
    alone = {"panel_periods": 0.0}
    assert (
        best_weights(demand[order], method, **alone) == best_weights(demand, method, **alone)[order]
    ).all()
    late = np.concatenate([np.full((len(demand), 4), np.nan), demand], axis=1)
    assert (best_half_lives(late) == best_half_lives(demand)).all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(HISTORIES, st.integers(1, 6))
def test_unknown_periods_in_between_are_skipped(demand, at):
    """Smoothing goes on after a gap as if it had not been."""
    place = min(at, demand.shape[1])
    gap = np.insert(demand, [place] * 3, np.nan, axis=1)
    for method in (mean_demand, ses, croston, sba, tsb):
        np.testing.assert_allclose(method(gap), method(demand), rtol=1e-12)
