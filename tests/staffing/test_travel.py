from __future__ import annotations

import numpy as np
import pytest

from spareplan.staffing._kernels import compiled_chain, nearest_chain
from spareplan.staffing.travel import (
    distance_table,
    effective_area,
    flat_km,
    mean_pair_distance,
    uniform_distance,
    unit_square_table,
)


def test_an_even_square_has_the_published_distances():
    table = unit_square_table(32)
    free = np.arange(1, 33)
    np.testing.assert_allclose(table.mean, uniform_distance(1.0, free), rtol=0.04)
    assert table.mean[0] == pytest.approx(0.5214, rel=0.03)


def test_more_free_engineers_are_nearer_and_quantiles_rise():
    generator = np.random.default_rng(4)
    centres = generator.uniform(0, 300, size=(5, 2))
    points = centres[generator.integers(5, size=400)] + generator.normal(0, 8, size=(400, 2))
    table = distance_table(points, 24)
    assert (np.diff(table.mean) <= 0).all()
    assert table.mean[23] < 0.4 * table.mean[0]
    assert (np.diff(table.quantiles, axis=1) >= 0).all()
    np.testing.assert_allclose(table.quantiles.mean(axis=1), table.mean, rtol=0.03)
    assert table.mean[0] == pytest.approx(mean_pair_distance(points), rel=0.05)


def test_the_badly_placed_stay():
    generator = np.random.default_rng(1)
    points = generator.random((2000, 2))
    calls, posts = (
        points[generator.integers(2000, size=20_000)],
        points[generator.integers(2000, size=(20_000, 8))],
    )
    nearest = np.hypot(*(posts - calls[:, None, :]).transpose(2, 0, 1)).min(axis=1).mean()
    assert nearest * 1.01 < distance_table(points, 8).mean[7] < nearest * 1.10


def test_clusters_shrink_the_effective_area():
    generator = np.random.default_rng(2)
    even = generator.uniform(0, 200, size=(500, 2))
    assert effective_area(even) == pytest.approx(40_000, rel=0.05)
    assert effective_area(even * 0.2) == pytest.approx(1_600, rel=0.05)


def test_degrees_become_kilometres_even_across_the_date_line():
    paris, london = (48.8566, 2.3522), (51.5074, -0.1278)
    points = flat_km([paris[0], london[0]], [paris[1], london[1]])
    assert np.hypot(*(points[0] - points[1])) == pytest.approx(343.6, rel=0.01)
    fiji = flat_km([-17.0, -17.0], [179.5, -179.5])
    assert np.hypot(*(fiji[0] - fiji[1])) == pytest.approx(106.3, rel=0.01)


def test_the_same_seed_gives_the_same_table():
    points = np.random.default_rng(0).random((50, 2))
    assert np.array_equal(
        distance_table(points, 6, seed=3).quantiles, distance_table(points, 6, seed=3).quantiles
    )


def test_compiled_and_plain_chains_agree():
    points = np.random.default_rng(7).random((300, 2))
    plain, fast = (distance_table(points, 20, compiled=flag) for flag in (False, True))
    np.testing.assert_allclose(fast.mean, plain.mean, rtol=0.05)
    np.testing.assert_allclose(fast.settled, plain.settled, rtol=0.15)
    generator = np.random.default_rng(1)
    arguments = [generator.random((6, 2)), generator.random((50, 2)), generator.random((50, 2))]
    arguments.append(generator.random(50) < 0.3)
    one, other = (run(arguments[0].copy(), *arguments[1:]) for run in (nearest_chain, compiled_chain()))
    assert np.array_equal(one, other)
