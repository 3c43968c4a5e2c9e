"""What visits do to failures: exact formula against a fleet simulated event by event."""

from __future__ import annotations

import numpy as np
import pytest

from spareplan.errors import DataError
from spareplan.forecast.renewal import expected_renewals
from spareplan.forecast.visit_effect import (
    prevented_failures,
    renewal_curve,
    visited_renewals,
)

VISITS = np.array([1.0, 3.0, 6.0, 12.0])


def simulate(shape, scale, share, visits, horizon, pieces, seed=0, age=0.0):
    """Failures and planned pieces per month of `pieces` slots, each event in turn."""
    rng = np.random.default_rng(seed)
    months = int(horizon)
    failed, planned = np.zeros(months), np.zeros(months)
    # The first life is conditioned on the age reached.
    ends = scale * ((age / scale) ** shape + rng.exponential(size=pieces)) ** (1 / shape) - age
    for visit in [*visits, horizon]:
        while (due := ends < visit).any():
            failed += np.bincount(ends[due].astype(int), minlength=months)[:months]
            ends[due] += scale * rng.weibull(shape, due.sum())
        if visit < horizon:
            used = rng.random(pieces) < share
            planned[int(visit)] += used.sum()
            ends[used] = visit + scale * rng.weibull(shape, used.sum())
    return failed / pieces, planned / pieces


@pytest.mark.parametrize(
    ("shape", "scale", "share", "age"),
    [(3.0, 8.0, 0.4, 0.0), (2.0, 4.0, 0.8, 0.0), (0.8, 10.0, 0.3, 0.0), (3.0, 8.0, 0.5, 6.0)],
)
def test_visited_fleet_agrees_with_simulation_in_the_sum_and_by_month(shape, scale, share, age):
    edges = np.arange(25.0)
    new = renewal_curve(shape, scale, 24.0)
    now = renewal_curve(shape, scale, 24.0, age)
    effect = visited_renewals(now, new, edges, VISITS, share)
    pieces = 400_000
    failed, planned = simulate(shape, scale, share, VISITS, 24.0, pieces, age=age)
    assert effect.failures.sum() == pytest.approx(failed.sum(), rel=0.005)
    assert effect.planned.sum() == pytest.approx(planned.sum(), rel=0.005)
    noise = 4.5 * np.sqrt(failed / pieces)
    assert (np.abs(effect.failures[0] - failed) < noise + 1e-4).all()
    assert effect.planned[0] == pytest.approx(planned, abs=4.5 * np.sqrt(0.25 / pieces))


def test_without_visits_or_without_wear_the_renewals_stay():
    edges = np.arange(13.0)
    new = renewal_curve(2.0, 5.0, 12.0)
    plain = expected_renewals(2.0, 5.0, 0.0, 12.0, 1.0)
    for visits, share in ((np.array([np.nan, np.nan]), 0.5), (VISITS, 0.0), (np.array([-3.0, -1.0]), 0.5)):
        effect = visited_renewals(new, new, edges, visits, share)
        np.testing.assert_allclose(effect.failures, plain, rtol=1e-3)
        assert effect.planned.sum() == 0


def test_replacing_every_piece_starts_the_fleet_anew():
    edges = np.arange(13.0)
    new = renewal_curve(3.0, 6.0, 12.0)
    effect = visited_renewals(new, new, edges, np.array([4.0]), 1.0)
    plain = expected_renewals(3.0, 6.0, 0.0, 12.0, 1.0)[0]
    np.testing.assert_allclose(effect.failures[0, :4], plain[:4], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(effect.failures[0, 4:], plain[:8], rtol=1e-3, atol=1e-5)


def test_visits_made_anyway_stand_on_both_sides():
    edges = np.arange(25.0)
    new = renewal_curve(3.0, 8.0, 24.0)
    first_two = visited_renewals(new, new, edges, VISITS[:2], 0.4)
    every = visited_renewals(new, new, edges, VISITS, 0.4, made=2)
    np.testing.assert_allclose(every.unvisited, first_two.failures, atol=1e-12)
    all_made = visited_renewals(new, new, edges, VISITS, 0.4, made=4)
    np.testing.assert_allclose(all_made.unvisited, all_made.failures)
    np.testing.assert_allclose(all_made.failures, every.failures)


def test_rows_do_not_disturb_each_other():
    shape, scale, share = np.array([2.0, 0.9, 3.0]), np.array([5.0, 20.0, 9.0]), np.array([0.2, 0.7, 0.0])
    at = np.array([[1.0, 5.0], [2.0, np.nan], [-1.0, 3.0]])
    edges = np.arange(13.0)
    new = renewal_curve(shape, scale, 12.0)
    together = visited_renewals(new, new, edges, at, share)
    for row in range(3):
        own = renewal_curve(shape[row], scale[row], 12.0)
        alone = visited_renewals(own, own, edges, at[row], share[row])
        for whole, single in zip(together, alone):
            np.testing.assert_allclose(whole[row], single[0], atol=1e-12)


def test_visits_prevent_wear_failures_and_provoke_early_ones():
    out = prevented_failures([3.0, 1.0, 0.7], [8.0, 8.0, 8.0], VISITS, 0.5, 24.0)
    assert out["prevented"].iloc[0] > 0.3
    assert out["prevented"].iloc[1] == pytest.approx(0.0, abs=1e-4)
    assert out["prevented"].iloc[2] < 0
    assert out["pieces"].tolist() == [2.0, 2.0, 2.0]
    np.testing.assert_allclose(out["unvisited"] - out["failures"], out["prevented"])


def test_arguments_out_of_range_are_refused_by_name():
    new = renewal_curve(2.0, 5.0, 12.0)
    with pytest.raises(DataError, match="share"):
        visited_renewals(new, new, np.arange(3.0), VISITS, 1.2)
    with pytest.raises(DataError, match="fall"):
        visited_renewals(new, new, np.array([0.0, 2.0, 1.0]), VISITS, 0.5)
