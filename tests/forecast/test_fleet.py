"""Age histograms through renewals, against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.forecast.fleet import age_histogram, at_use, fleet_curves, new_item
from spareplan.forecast.open_starts import planned_sum, weigh_open_starts
from spareplan.forecast.renewal import expected_renewals

LAWS = [(3.5, 3.0, 1.0), (2.5, 8.0, 5.0), (2.0, 30.0, 20.0), (0.8, 120.0, 60.0)]


def read(curves, values, age, use):
    histogram = age_histogram(np.zeros(1, int), np.array([age]), np.ones(1), 1, curves)
    return at_use(np.einsum("ca,lna->cln", histogram, values), np.asarray(use)[None], curves.width)[0, 0]


@pytest.mark.parametrize(("shape", "scale", "age"), LAWS)
def test_sums_agree_with_exact_renewals_within_half_a_percent(shape, scale, age):
    edges = np.linspace(0, 24, 13)
    curves = fleet_curves(np.array([shape]), np.array([scale]), np.zeros(1), 1.0, age, 24.0)
    exact = np.cumsum(expected_renewals(shape, scale, age, 24.0, 2.0)[0])
    np.testing.assert_allclose(read(curves, curves.failures, age, edges)[1:], exact, rtol=5e-3)
    new = np.cumsum(expected_renewals(shape, scale, 0.0, 24.0, 2.0)[0])
    first = -np.expm1(-((0.5 * curves.width / scale) ** shape)) * np.ones(1)
    young = new_item(curves.failures[:, :, 0], edges[None, 1:], curves.width, first)[0, 0]
    np.testing.assert_allclose(young, new, atol=5e-3 * new[-1])


def test_variance_given_the_law_agrees_with_simulation():
    rng = np.random.default_rng(0)
    shape, scale, age, runs = 3.0, 6.0, 2.0, 40_000
    when = scale * ((age / scale) ** shape + rng.exponential(size=runs)) ** (1 / shape) - age
    count = np.zeros(runs)
    while (when < 12).any():
        count += when < 12
        when = when + scale * rng.weibull(shape, runs)
    curves = fleet_curves(np.array([shape]), np.array([scale]), np.zeros(1), 1.0, age, 12.0)
    assert read(curves, curves.failures, age, [12.0])[0] == pytest.approx(count.mean(), rel=0.01)
    assert read(curves, curves.variance, age, [12.0])[0] == pytest.approx(count.var(), rel=0.06)


def test_planned_replacement_at_a_sharp_age_has_the_rate_of_its_cycle():
    rate = np.append(np.zeros(10), np.full(10, 2.0))
    curves = fleet_curves(np.array([2.5]), np.array([500.0]), rate, 36.5, 400.0, 3650.0)
    x = np.linspace(0, 365, 5001)
    alive = np.exp(-((x / 500) ** 2.5))
    cycle = alive[1:].mean() * 365
    span = curves.width * 40
    failures, planned = (
        np.diff(values[0, [-41, -1], 0])[0] / span for values in (curves.failures, curves.planned)
    )
    assert failures == pytest.approx((1 - alive[-1]) / cycle, rel=0.03)
    assert planned == pytest.approx(alive[-1] / cycle, rel=0.03)


def test_the_cost_of_a_fleet_does_not_grow_with_its_machines():
    curves = fleet_curves(np.array([2.0]), np.array([30.0]), np.zeros(1), 1.0, 50.0, 12.0)
    ages = np.random.default_rng(1).uniform(0, 50, 3000)
    together = age_histogram(np.zeros(3000, int), ages, np.ones(3000), 1, curves)
    assert together.shape[1] == curves.failures.shape[2]
    assert together.sum() == pytest.approx(3000)
    one_by_one = sum(read(curves, curves.failures, age, [12.0])[0] for age in ages[:200])
    some = age_histogram(np.zeros(200, int), ages[:200], np.ones(200), 1, curves)
    total = at_use(np.einsum("ca,lna->cln", some, curves.failures), np.array([[12.0]]), curves.width)[0, 0, 0]
    assert total == pytest.approx(one_by_one, rel=1e-9)


def test_open_starts_keep_their_weight_and_their_watched_time():
    rows = pd.DataFrame(
        {
            "entry": [900.0, 50.0, 3000.0],
            "exit": [1100.0, 350.0, 3400.0],
            "failed": [True, False, True],
            "planned": False,
            "count": [1.0, 2.0, 1.0],
            "key": [0, 1, 2],
        }
    )
    out = weigh_open_starts(rows, np.full(3, 2.5), np.full(3, 500.0))
    np.testing.assert_allclose(out.groupby("key")["count"].sum(), rows["count"])
    np.testing.assert_allclose(
        (out["exit"] - out["entry"]).groupby(out["key"]).agg(["min", "max"]).to_numpy().T,
        [[200.0, 300.0, 400.0]] * 2,
    )
    # A young machine still has its first piece; an old one has not.
    first = out[out["key"] == 1]
    assert first.loc[first["entry"] == 50.0, "count"].sum() > 1.8
    assert out.loc[out["key"] == 2, "entry"].max() < 1800


def test_planned_sums_go_on_beyond_the_last_bin():
    age = np.array([0.0, 5.0, 15.0, 40.0])
    np.testing.assert_allclose(planned_sum(np.array([0.1, 0.2]), 10.0, age), [0, 0.5, 2.0, 7.0])
