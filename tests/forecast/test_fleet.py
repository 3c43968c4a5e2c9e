"""Age histograms through renewals, against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.forecast.fleet import fleet_curves, planned_curves
from spareplan.forecast.installed import read_line
from spareplan.forecast.machines import age_grid, histogram
from spareplan.forecast.open_starts import planned_sum, weigh_open_starts
from spareplan.forecast.renewal import expected_renewals
from spareplan.forecast.renewal_table import renewing_curves, repaired_curves
from spareplan.forecast.sparse import SHAPES

LAWS = [(3.5, 3.0, 1.0), (2.5, 8.0, 5.0), (2.0, 30.0, 20.0), (0.8, 120.0, 60.0)]


NOTHING = np.zeros(1)


def read(values, times, age, use, grid):
    """One item's events by a use, from curves over an age grid."""
    held = histogram(np.zeros(1, int), np.array([age]), np.ones(1), 1, grid)
    return read_line(np.einsum("ca,lat->clt", held, values), np.asarray(use, float), times)[0, 0]


def planned_only(shape, scale, age, horizon, times, rate=NOTHING, width=1.0):
    grid = age_grid(age, horizon / 24)
    return grid, planned_curves(np.array([shape]), np.array([scale]), rate, width, grid, times)


@pytest.mark.parametrize(("shape", "scale", "age"), LAWS)
def test_sums_agree_with_exact_renewals_within_half_a_percent(shape, scale, age):
    edges = np.linspace(0, 24, 13)
    times = np.linspace(0, 24, 161)
    grid, curves = planned_only(shape, scale, age, 24.0, times)
    exact = np.cumsum(expected_renewals(shape, scale, age, 24.0, 2.0)[0])
    np.testing.assert_allclose(read(curves.failures, times, age, edges, grid)[1:], exact, rtol=5e-3)
    new = np.cumsum(expected_renewals(shape, scale, 0.0, 24.0, 2.0)[0])
    young = read_line(curves.failures[0, 0], edges[1:], times)
    np.testing.assert_allclose(young, new, atol=5e-3 * new[-1])


@pytest.mark.parametrize("node", range(len(SHAPES)))
@pytest.mark.parametrize("scale", [3.0, 8.0, 30.0, 120.0])
def test_the_table_of_renewals_is_exact_for_every_shape(node, scale):
    use, age = np.linspace(0, 24, 49), np.array([0, 0.1, 0.5, 1, 2, 5, 10, 30.0, 200.0])
    curves = renewing_curves(SHAPES[[node]], np.array([scale]), age, use)
    exact = np.cumsum(expected_renewals(SHAPES[node], scale, age, 24.0, 0.5), axis=1)
    np.testing.assert_allclose(curves.failures[0][:, -1], exact[:, -1], rtol=5e-3)
    # The first steps of long lives are read by straight lines.
    np.testing.assert_allclose(curves.failures[0][:, 4:], exact[:, 3:], rtol=2e-2)


def test_a_power_law_counts_failures_by_the_age_of_the_machine():
    curves = repaired_curves(SHAPES[[5]], np.array([10.0]), np.array([0.0, 20.0]), np.array([0.0, 5.0]))
    b = SHAPES[5]
    np.testing.assert_allclose(curves.failures[0, :, 1], [0.5**b, 2.5**b - 2**b])
    np.testing.assert_allclose(curves.variance, curves.failures)


@pytest.mark.parametrize("tabled", [True, False])
def test_variance_given_the_law_agrees_with_simulation(tabled):
    rng = np.random.default_rng(0)
    shape, scale, age, runs = float(SHAPES[6]), 6.0, 2.0, 40_000
    when = scale * ((age / scale) ** shape + rng.exponential(size=runs)) ** (1 / shape) - age
    count = np.zeros(runs)
    while (when < 12).any():
        count += when < 12
        when = when + scale * rng.weibull(shape, runs)
    times = np.linspace(0, 12, 161)
    grid, curves = planned_only(shape, scale, age, 12.0, times)
    if tabled:
        curves = renewing_curves(SHAPES[[6]], np.array([scale]), grid, times)
    assert read(curves.failures, times, age, [12.0], grid)[0] == pytest.approx(count.mean(), rel=0.01)
    assert read(curves.variance, times, age, [12.0], grid)[0] == pytest.approx(count.var(), rel=0.06)


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


def test_a_histogram_of_machines_counts_as_the_machines_one_by_one():
    times = np.linspace(0, 12, 161)
    grid = age_grid(50.0, 1.0)
    curves = renewing_curves(SHAPES[[5]], np.array([30.0]), grid, times)
    ages = np.random.default_rng(1).uniform(0, 50, 3000)
    together = histogram(np.zeros(3000, int), ages, np.ones(3000), 1, grid)
    assert together.sum() == pytest.approx(3000)
    exact = expected_renewals(SHAPES[5], 30.0, ages, 12.0, 12.0).sum()
    total = (together @ curves.failures[0])[0, -1]
    assert total == pytest.approx(exact, rel=1e-3)


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


def test_old_pieces_with_long_lives_keep_their_age_in_short_windows():
    # Planned work at 6,000 hours, lives of 80,000, a quarter of 500 hours: classes must still reach the age.
    rate = np.where(np.arange(40) == 19, 5.0 / 308.0, 0.0)
    grid = age_grid(19_000.0, 20.0)
    times = np.linspace(0, 500, 21)
    curves = planned_curves(np.array([3.0]), np.array([80_000.0]), rate, 308.0, grid, times)
    chance = 1 - np.exp(-5.0)
    at = {age: np.interp(age, grid, curves.planned[0, :, -1]) for age in (5_000.0, 5_800.0, 7_000.0)}
    assert at[5_000.0] == pytest.approx(0.0, abs=1e-3)
    assert at[5_800.0] == pytest.approx(chance, abs=0.02)
    assert at[7_000.0] == pytest.approx(0.0, abs=1e-3)
    failing = np.interp(15_000.0, grid, curves.failures[0, :, -1])
    assert failing == pytest.approx((15_500 / 80_000) ** 3 - (15_000 / 80_000) ** 3, rel=0.02)


@pytest.mark.parametrize(
    ("shape", "scale", "age", "planned_age"), [(2.5, 12.0, 4.0, 9.0), (1.3, 8.0, 0.5, 6.0)]
)
def test_planned_replacement_as_competing_renewal_agrees_with_simulation(shape, scale, age, planned_age):
    # Planned work falls evenly between planned_age and a month later.
    rate_width, bins = 0.25, 80
    low = np.arange(bins) * rate_width
    rate = np.where((low >= planned_age) & (low < planned_age + 1), 3.0, 0.0)
    rng = np.random.default_rng(8)
    runs, horizon = 300_000, 24.0

    def life(old):
        fails = scale * ((old / scale) ** shape + rng.exponential(size=runs)) ** (1 / shape)
        grown = np.concatenate([[0.0], np.cumsum(rate * rate_width)])
        wanted = np.interp(old, np.append(low, low[-1] + rate_width), grown) + rng.exponential(size=runs)
        due = np.where(
            wanted < grown[-1], np.interp(wanted, grown, np.append(low, low[-1] + rate_width)), np.inf
        )
        return np.minimum(fails, due), due < fails

    end, planned = life(np.full(runs, age))
    when = end - age
    counts = np.zeros(2)
    while (when < horizon).any():
        inside = when < horizon
        counts += [(inside & ~planned).sum(), (inside & planned).sum()]
        new, planned = life(np.zeros(runs))
        when = when + new
    times = np.linspace(0, horizon, 161)
    grid, curves = planned_only(shape, scale, age, horizon, times, rate, rate_width)
    failures = read(curves.failures, times, age, [horizon], grid)[0]
    work = read(curves.planned, times, age, [horizon], grid)[0]
    assert failures == pytest.approx(counts[0] / runs, rel=7e-3)
    assert work == pytest.approx(counts[1] / runs, rel=7e-3)
    assert failures + work == pytest.approx(counts.sum() / runs, rel=5e-3)
