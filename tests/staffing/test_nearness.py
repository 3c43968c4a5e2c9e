from __future__ import annotations

import numpy as np
import pytest

from spareplan.staffing._kernels import dispatch_for
from spareplan.staffing.congestion import RegionRows, congestion, free_to_reach
from spareplan.staffing.nearness import as_near_as, continued, drive_at, spread_out
from spareplan.staffing.rotas import rotas
from spareplan.staffing.travel import as_many_as, distance_table, unit_square_table

PACE = 0.026


def simulated_drive(points: np.ndarray, crew: int, load: float, count: int = 60_000, seed: int = 1) -> float:
    """Mean drive [hours] of one class of orders in a region, event by event."""
    generator = np.random.default_rng(seed)
    places = points[generator.integers(len(points), size=count)]
    homes = points[generator.integers(len(points), size=crew)]
    shifts = rotas(np.zeros(crew), np.full(crew, 24.0), np.full(crew, 7), 24.0)
    sent, arrived, _, _ = dispatch_for(count)(
        np.cumsum(generator.exponential(8.0 / load, count)), np.zeros(count, np.int64),
        np.zeros(count, np.int64), places[:, 0].copy(), places[:, 1].copy(), np.arange(count + 1),
        generator.exponential(8.0, count), np.zeros(count), np.zeros(crew, np.int64), np.ones(crew),
        homes[:, 0].copy(), homes[:, 1].copy(), shifts.of, np.zeros(crew, bool), shifts.starts_on,
        shifts.change_at, shifts.change_rota, shifts.period, 1, PACE, 1, 1, False,
    )  # fmt: skip
    return float((arrived - sent)[count // 10 :].mean())


def planned_drive(points: np.ndarray, crew: int, load: float, settled: bool = True) -> float:
    """Mean drive [hours] by the chain of busy engineers."""
    table = distance_table(points, 40, 3, compiled=True, left_over=0.0)
    rows = RegionRows(
        np.array([[load / 8.0]]), np.array([[8.0]]), np.ones(1), np.zeros(1, int), table.mean[None] * PACE,
        table.quantiles[None] * PACE, settled=table.settled[None] if settled else None,
    )  # fmt: skip
    return float(congestion(rows, np.array([crew])).drive[0])


def towns(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    centres = generator.uniform(0, 60, (5, 2))
    return centres[generator.integers(5, size=300)] + generator.normal(0, 2.5, (300, 2))


@pytest.mark.parametrize("crew", [2, 5, 12, 25])
def test_drives_of_a_region_that_is_seldom_busy_are_those_simulated_where_machines_are_even(crew):
    points = np.random.default_rng(crew).uniform(0, 60, (2000, 2))
    real = simulated_drive(points, crew, 0.1 * crew)
    assert planned_drive(points, crew, 0.1 * crew) == pytest.approx(real, rel=0.03)
    assert planned_drive(points, crew, 0.1 * crew, settled=False) > (1.02 if crew == 2 else 1.07) * real


@pytest.mark.parametrize(("crew", "seed"), [(6, 1), (14, 2)])
def test_in_towns_each_town_keeps_an_engineer_of_its_own_while_few_are_busy(crew, seed):
    points = towns(seed)
    real = simulated_drive(points, crew, 0.1 * crew)
    assert planned_drive(points, crew, 0.1 * crew) == pytest.approx(real, rel=0.12)
    assert planned_drive(points, crew, 0.1 * crew, settled=False) > 1.15 * real


def test_a_busy_region_drives_as_before():
    points = np.random.default_rng(0).uniform(0, 60, (2000, 2))
    busy, plain = (planned_drive(points, 10, 7.5, settled) for settled in (True, False))
    assert busy == pytest.approx(plain, rel=0.01)


def test_tables_of_an_even_square_follow_the_closed_forms_of_random_points():
    # Closed forms: mean distance of two points of a unit square, and the nearest of n points spread at random
    # over the square, the integral of P(distance > r)^n averaged over where the order comes from.
    root = np.sqrt(2.0)
    pair = (2.0 + root + 5.0 * np.log(1.0 + root)) / 15.0
    table = distance_table(np.random.default_rng(5).random((4000, 2)), 32, 6, compiled=True, left_over=0.0)
    assert table.mean[0] == pytest.approx(pair, rel=0.03)
    assert table.settled[0] == pytest.approx(1.0, abs=0.05)
    radius = np.linspace(0.0, 1.5, 600)
    middle = (np.arange(24) + 0.5) / 24
    fine = (np.arange(120) + 0.5) / 120
    east, north = (axis.ravel() for axis in np.meshgrid(fine, fine))
    for count in (8, 32):
        beyond = np.zeros(len(radius))
        for x in middle[:12]:
            for y in middle[:12]:
                gaps = np.sort(np.hypot(east - x, north - y))
                beyond += (1.0 - np.searchsorted(gaps, radius, side="right") / len(gaps)) ** count
        assert table.mean[count - 1] == pytest.approx(np.trapezoid(beyond / 144, radius), rel=0.03)


def test_settled_engineers_are_nearer_by_a_seventh_where_machines_are_even():
    # Between engineers at random (1) and the best a fixed grid of posts could do, the mean distance within a
    # square patch of one's own to its middle (0.3826 against 0.5).
    table = unit_square_table(32, 0.0)
    patches = drive_at(table.mean[None], table.settled[None])[0]
    assert (patches[9:] / table.mean[9:] > 0.3826 / 0.5).all()
    assert (patches[9:] / table.mean[9:] < 0.90).all()


def test_as_many_as_reads_a_table_backwards_and_beyond_its_end():
    table = 10.0 / np.sqrt(np.arange(1, 17))
    np.testing.assert_allclose(as_many_as(table, table), np.arange(1.0, 17.0))
    np.testing.assert_allclose(as_many_as(table, table * 0.8), np.arange(1, 17) / 0.64, rtol=0.02)
    np.testing.assert_array_equal(as_many_as(table, table * 1.3), np.arange(1.0, 17.0))
    np.testing.assert_array_equal(as_many_as(np.zeros(4), np.zeros(4)), np.arange(1.0, 5.0))


def test_states_count_as_settled_only_while_few_are_busy():
    free = np.arange(10.0, 0.0, -1.0)[None]
    near = as_near_as(free, np.array([10]), np.array([14.0]), np.array([1.0]))[0]
    assert near[0] == pytest.approx(14.0)
    np.testing.assert_allclose(near[5:], free[0, 5:])
    assert (np.diff(near) < 0).all()
    np.testing.assert_allclose(as_near_as(free, np.array([10]), np.array([14.0]), np.zeros(1)), free)


def test_chances_are_kept_when_spread_over_whole_numbers():
    generator = np.random.default_rng(3)
    near, chance = generator.uniform(1, 12, (5, 9)), generator.random((5, 9))
    out = spread_out(chance, near, 10)
    np.testing.assert_allclose(out.sum(axis=1), chance.sum(axis=1))
    clipped = np.minimum(near, 10.0)
    np.testing.assert_allclose(out @ np.arange(1.0, 11.0), (chance * clipped).sum(axis=1))


def test_tables_go_on_beyond_their_end():
    hours = np.array([[4.0, 2.0, 1.0]])
    np.testing.assert_allclose(drive_at(hours, np.array([[1.5, 3.0, 12.0]])), [[3.0, 1.0, 0.5]])
    np.testing.assert_allclose(continued(np.array([[1.0, 2.2, 3.6]]), 5), [[1.0, 2.2, 3.6, 4.8, 6.0]])


def test_fewer_engineers_reach_a_wide_region_where_they_keep_to_their_patches():
    table = unit_square_table(48, 0.0)
    blank = np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(1, int)
    drives = table.mean[None] * 200 * PACE, table.quantiles[None] * 200 * PACE
    for limit in (1.2, 0.9, 0.75):
        few, many = (
            float(free_to_reach(RegionRows(*blank, *drives, settled=one), limit, 0.95)[0])
            for one in (table.settled[None], None)
        )
        assert 0.6 * many < few < 0.9 * many
