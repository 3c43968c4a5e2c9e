from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan import staffing
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.resolution import CELLS, Repairs, resolution_kept
from spareplan.staffing.sizing import Promises, promises_kept, size_rows
from spareplan.staffing.travel import distance_table

P = ["P1", "P2", "P3", "P4"]
LIMITS = np.array([8.0, 48.0, 168.0, 336.0])


def at_once(count: int, classes: int) -> np.ndarray:
    law = np.zeros((count, classes, CELLS + 1))
    law[..., 0] = 1.0
    return law


def repairs(work=3.0, scv=1.0, missing=0.0, known=0.0, again=0.0, parts=24.0, classes=2, **more):
    full = np.full((1, classes), 1.0)
    return Repairs(
        work * full,
        np.full(classes, scv),
        1.0,
        missing * full,
        known * full,
        again * full,
        np.array([parts]),
        **more,
    )


def test_visits_until_mended_are_a_geometric_sum_of_repairs():
    # Exponential repairs that fail with chance a: the time to the last is exponential, 1 / (1 - a) longer.
    limits = np.array([6.0, 30.0])
    for again in (0.0, 0.1, 0.4, 0.8):
        found = resolution_kept(at_once(1, 2), repairs(again=again), limits)[0]
        np.testing.assert_allclose(found, 1 - np.exp(-limits * (1 - again) / 3.0), atol=2e-4)


def test_missing_parts_agree_with_drawn_times():
    generator = np.random.default_rng(2)
    limits, count = np.array([12.0, 60.0]), 400_000
    model = repairs(2.0, 0.6, 0.2, 0.1, 0.15, 30.0, parts_scv=np.array([0.5]))
    found = resolution_kept(at_once(1, 2), model, limits)[0]
    chance = generator.random(count)
    late = generator.gamma(2.0, 15.0, count) * (chance < 0.3)
    diagnose = generator.exponential(1.0, count) * (chance < 0.2)
    visits = generator.geometric(0.85, count)
    work = generator.gamma(visits / 0.6) * 2.0 * 0.6
    total = late + diagnose + work
    for k in (0, 1):
        assert found[k] == pytest.approx((total <= limits[k]).mean(), abs=0.003)
    plain = resolution_kept(at_once(1, 2), repairs(parts=30.0, missing=0.3), limits)
    given = resolution_kept(at_once(1, 2), repairs(parts=30.0, missing=0.3, parts_scv=np.ones(1)), limits)
    np.testing.assert_allclose(plain, given, atol=1e-9)


def test_each_row_may_have_its_own_variability():
    shared = resolution_kept(at_once(1, 2), repairs(scv=0.4), np.array([4.0, 9.0]))
    rowwise = repairs()
    rowwise = Repairs(
        rowwise.work, np.full((1, 2), 0.4), 1.0, rowwise.missing, rowwise.known, rowwise.again, rowwise.parts
    )
    np.testing.assert_allclose(shared, resolution_kept(at_once(1, 2), rowwise, np.array([4.0, 9.0])))


def test_visits_and_work_of_an_order_count_every_visit():
    model = repairs(work=3.0, missing=0.2, again=0.25)
    assert model.visits[0, 0] == pytest.approx(0.2 + 1 / 0.75)
    assert model.visits[0, 0] * model.visit_work[0, 0] == pytest.approx(3.0 / 0.75 + 0.2)


def region(seed: int):
    """A region at random, evenly spread or clustered, as in the checks of the sizing rule."""
    generator = np.random.default_rng(seed)
    side = np.sqrt(np.exp(generator.uniform(np.log(2e3), np.log(3e5))))
    if seed % 2:
        centres = generator.random((generator.integers(3, 8), 2)) * side
        points = centres[generator.integers(len(centres), size=300)] + generator.normal(
            0, side / 25, (300, 2)
        )
    else:
        points = generator.random((300, 2)) * side
    repair, scv = generator.uniform(2, 10), generator.uniform(0.3, 2.5)
    factor = generator.uniform(1, 3, 4) if seed % 4 > 1 else np.ones(4)
    mix, size = generator.dirichlet([2, 3, 5, 6]), generator.uniform(3, 25)
    known, missing = generator.uniform(0, 0.25), generator.uniform(0, 0.2)
    again, parts = generator.uniform(0, 0.15), generator.uniform(12, 72)
    speed = generator.uniform(45, 70)
    work = repair * factor / (mix * factor).sum()
    rate = size / (repair + 0.3 * side * 1.3 / speed) * mix
    return points, speed, work, scv, rate, known, missing, again, parts


def modelled(seed: int, limits: np.ndarray):
    """Engineers for waits of 2, 4, 24 and 72 hours, and the share of orders solved within the limits."""
    points, speed, work, scv, rate, known, missing, again, parts = region(seed)
    table = distance_table(points, 64, seed)
    pace = 1.3 / speed
    shape = np.ones((1, 4))
    model = Repairs(
        work * shape, np.full(4, scv), 1.0, missing * shape, known * shape, again * shape, np.array([parts])
    )
    travel, spread = table.mean[None] * pace, table.quantiles[None] * pace
    visit, rates = model.visit_work, rate * model.visits
    work2 = (work**2 * (1 + scv) / (1 - again) + 2 * missing) / model.visits
    share = rates / rates.sum()
    far, far2 = travel[0, 0], (spread[0, 0] ** 2).mean()
    second = (share * (work2 + 2 * visit * far + far2)).sum()
    moment = second / (share * (visit + far)).sum() ** 2 - 1
    rows = RegionRows(rates, visit, np.array([moment]), np.zeros(1, int), travel, spread, model.follow)
    none = np.full(4, np.nan)
    lenient = Promises(np.array([2.0, 4.0, 24.0, 72.0]), none, np.full(4, 0.95), np.zeros(4, bool))
    servers = size_rows(rows, lenient).servers
    asked = Promises(none, limits, np.full(4, 0.95), np.zeros(4, bool))
    return servers, promises_kept(rows, servers, asked, model).resolve[0]


def simulated(seed: int, servers: int, orders: int) -> pd.DataFrame:
    points, speed, work, scv, rate, known, missing, again, parts = region(seed)
    table = pd.DataFrame(
        {
            "priority": P,
            "orders_per_day": rate * 24,
            "work_hours": work,
            "work_scv": scv,
            "known_share": known,
            "missing_share": missing,
            "again_share": again,
            "parts_hours": parts,
        }
    )
    days = orders / (rate.sum() * 24)
    run = staffing.simulate_region(table, servers, points, days=days, seed=seed, travel_speed=speed)
    return run.orders


def errors(seeds, orders: int) -> np.ndarray:
    """Modelled less simulated share solved, in points, shape (regions, 2 limits, 4 classes)."""
    out = []
    for seed in seeds:
        servers, whole = modelled(seed, LIMITS)
        half = modelled(seed, LIMITS / 2)[1]
        told = simulated(seed, int(servers[0]), orders)
        took = (told["solved"] - told["opened"]).groupby(told["priority"])
        real = [
            [(took.get_group(p) <= f * z).mean() for p, z in zip(P, LIMITS, strict=True)] for f in (1, 0.5)
        ]
        out.append(100 * (np.array([whole, half]) - real))
    return np.array(out)


def test_solutions_of_27_regions_agree_with_simulation():
    found = errors(range(27), 400_000)
    assert abs(found.mean()) <= 0.2
    assert np.abs(found.mean(axis=0)).max() <= 0.3
    assert np.abs(found).max() <= 2.0


def test_who_failed_goes_on_where_nobody_else_is_free():
    # Alone with little to do and a long way, an engineer who failed stays and tries again at once.
    far, rate, again = 3.0, 1e-6, 0.5
    shape = np.ones((1, 1))
    model = Repairs(shape, np.ones(1), 1.0, 0 * shape, 0 * shape, again * shape, np.ones(1))
    rows = RegionRows(
        rate * model.visits,
        model.visit_work,
        np.ones(1),
        np.zeros(1, int),
        np.full((1, 4), far),
        np.full((1, 4, 200), far),
        model.follow,
    )
    limits = np.array([6.0])
    asked = Promises(np.array([np.nan]), limits, np.array([0.95]), np.zeros(1, bool))
    one = promises_kept(rows, np.array([1]), asked, model)
    # One drive, then exponential tries until mended: rate (1 - again).
    assert one.resolve[0, 0] == pytest.approx(1 - np.exp(-(6.0 - far) * (1 - again)), abs=2e-3)
    assert one.drive[0] == pytest.approx(far / 2, rel=1e-3)
    # With more engineers about, another one is sent and has to drive.
    more = promises_kept(rows, np.array([3]), asked, model)
    at_first = (1 - again) * (1 - np.exp(-3.0))
    assert more.resolve[0, 0] == pytest.approx(at_first, abs=5e-3)
