"""Right-truncated delays: by hand, and from a law that is known."""

from __future__ import annotations

import numpy as np
import pytest

from spareplan.maths.delays import draw_at, reverse_hazard, slice_means


def test_reverse_hazard_by_hand():
    # At 1 the cases with limit 1 or more are at risk: delays 0, 1, 0, one of which is 1.
    at, share = reverse_hazard([0, 0, 1, 0], [0, 1, 1, 1])
    assert at.tolist() == [0, 1]
    assert share.tolist() == pytest.approx([2 / 3, 1])


def test_a_known_law_is_recovered_from_truncated_delays():
    rng = np.random.default_rng(0)
    limit = rng.integers(0, 200, 200_000)
    delay = rng.geometric(0.05, 200_000) - 1
    seen = delay <= limit
    at, share = reverse_hazard(delay[seen], limit[seen], 10)
    truth = 1 - 0.95 ** (at + 1)
    assert np.abs(share - truth).max() < 0.01
    # Counting the seen delays as they are makes them too short.
    naive = np.searchsorted(np.sort(delay[seen]), 20, side="right") / seen.sum()
    assert naive > 1 - 0.95**21 + 0.02


def test_long_delays_of_a_few_old_cases_do_not_empty_the_rest():
    rng = np.random.default_rng(1)
    delay = np.append(rng.integers(0, 5, 100), [300])
    limit = np.append(rng.integers(5, 100, 100), [300])
    at, share = reverse_hazard(delay, limit, 10)
    assert at.max() < 5
    assert share[at == 0] > 0.1


def test_too_few_cases_give_nothing():
    at, share = reverse_hazard([1, 2], [5, 5], 10)
    assert len(at) == len(share) == 0
    assert len(reverse_hazard([], [])[0]) == 0


def test_slices_keep_the_mean_and_rise():
    rng = np.random.default_rng(2)
    at = np.cumsum(rng.random(30))
    chance = rng.dirichlet(np.ones(30))
    for slices in (1, 2, 5, 7):
        means = slice_means(at, np.cumsum(chance), slices)
        assert means.mean() == pytest.approx((at * chance).sum())
        assert (np.diff(means) >= 0).all()
    assert slice_means(np.array([0.0, 10.0]), np.array([0.5, 1.0]), 2).tolist() == [0, 10]


def test_draws_follow_the_law_below_their_limit():
    at, share = np.array([0.0, 5.0, 50.0]), np.array([0.2, 0.6, 1.0])
    place = (np.arange(1000) + 0.5) / 1000
    free = draw_at(at, share, place)
    assert [(free == value).mean() for value in at] == pytest.approx([0.2, 0.4, 0.4])
    short = draw_at(at, share, place, 20)
    assert short.max() == 5
    assert (short == 0).mean() == pytest.approx(1 / 3, abs=0.002)
    assert draw_at(np.array([3.0]), np.array([1.0]), 0.5, 2).item() == 2
