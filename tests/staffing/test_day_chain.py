from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.staffing import simulate_region
from spareplan.staffing.congestion import RegionRows, congestion, response_kept
from spareplan.staffing.day_chain import day_kept, size_day
from spareplan.staffing.duty import Duty
from spareplan.staffing.shift_cycle import check_duty, shift_hours
from spareplan.staffing.sizing import Promises
from spareplan.staffing.travel import distance_table

LIMITS = np.array([1 / 3, 1.0, 8.0, 24.0])
OFFICE = np.array([1] * 7 + [4, 8, 9, 8, 6, 6, 8, 8, 6, 4, 3, 2, 2, 1, 1, 1, 1], float)


def promises(limits=LIMITS, target=0.95, arrival=False):
    return Promises(np.asarray(limits, float), np.full(4, np.nan), np.full(4, target), np.full(4, arrival))


def region(scv=1.0, load=1.0, work=4.0, regions=1):
    travel = 0.6 / np.sqrt(np.arange(1, 31))
    middle = (np.arange(50) + 0.5) / 50
    return RegionRows(
        np.tile(load * np.array([0.06, 0.1, 0.2, 0.2]), (regions, 1)),
        np.full((regions, 4), work),
        np.full(regions, scv),
        np.zeros(regions, dtype=np.int64),
        travel[None],
        travel[None, :, None] * 2 * middle,
    )


@pytest.mark.parametrize(("servers", "arrival"), [(3, False), (4, False), (4, True)])
def test_a_shift_round_the_clock_is_the_stationary_chain_of_priorities(servers, arrival):
    rows = region()
    limits = np.array([0.5, 2.0, 8.0, 24.0]) + arrival
    state = congestion(rows, np.array([servers]))
    exact = response_kept(rows, state, np.array([servers]), limits, np.full(4, arrival))[0]
    # Nobody is called out, so that every class goes through the chain of waiting orders.
    duty = Duty(0, 24, 7, None, 0)
    kept = day_kept(rows, servers, promises(limits, arrival=arrival), duty, None, None, quick=False)
    np.testing.assert_allclose(kept, exact, atol=0.012 if arrival else 2e-3)


def test_the_chain_agrees_with_simulated_days():
    generator = np.random.default_rng(3)
    points = generator.uniform(0, 80, (200, 2))
    table = distance_table(points, 20, 1, compiled=False)
    pace = 1.3 / 50
    rates, work = np.array([0.06, 0.1, 0.2, 0.2]), np.full(4, 4.0)
    rows = RegionRows(
        rates[None],
        work[None],
        np.ones(1),
        np.zeros(1, int),
        table.mean[None] * pace,
        table.quantiles[None] * pace,
    )
    duty = Duty(8, 18, 7, 3)
    kept = day_kept(rows, 8, promises(), duty, OFFICE, None, quick=False)
    orders = pd.DataFrame(
        {
            "priority": ["P1", "P2", "P3", "P4"],
            "orders_per_day": rates * 24,
            "work_hours": work,
            "work_scv": 1.0,
        }
    )
    crew = pd.DataFrame({"count": [3, 5], "shift_start": 8.0, "shift_end": 18.0, "on_call": [True, False]})
    run = simulate_region(orders, crew, points, days=2_500, seed=4, profile=OFFICE).orders
    opened, sent = run["opened"].to_numpy(), run["sent"].to_numpy()

    def worked(moment):
        day = np.floor(moment / 24)
        return 10 * day + np.clip(moment - 24 * day - 8, 0, 10)

    for k, priority in enumerate(("P1", "P2", "P3", "P4")):
        own = (run["priority"] == priority).to_numpy()
        waited = (sent - opened if k < 2 else worked(sent) - worked(opened))[own]
        assert kept[k] == pytest.approx((waited <= LIMITS[k]).mean(), abs=0.025)


def test_a_night_shift_is_a_day_shift_at_another_hour():
    rows = region()
    day = day_kept(rows, 7, promises(), Duty(8, 18), None, None, quick=False)
    night = day_kept(rows, 7, promises(), Duty(22, 8), None, None, quick=False)
    np.testing.assert_allclose(night, day, atol=1e-9)
    assert shift_hours(Duty(22, 8)) == 10
    moved = day_kept(rows, 7, promises(), Duty(22, 8), np.roll(OFFICE, 14), None, quick=False)
    same = day_kept(rows, 7, promises(), Duty(8, 18), OFFICE, None, quick=False)
    np.testing.assert_allclose(moved, same, atol=1e-9)


def test_one_engineer_fewer_breaks_a_promise():
    rows = region(regions=2)
    duty = Duty(8, 18)
    sized = size_day(rows, promises(), duty, OFFICE, start=np.array([8, 8]), quick=False)
    assert (sized.servers == sized.servers[0]).all()
    n = int(sized.servers[0])
    assert (sized.respond >= 0.95).all()
    fewer = day_kept(rows.pick(np.array([0])), n - 1, promises(), duty, OFFICE, None, quick=False)
    assert (fewer < 0.95).any()


def test_without_orders_nobody_is_needed_and_without_promises_nothing_is_kept():
    rows = region(load=0.0)
    assert size_day(rows, promises(), Duty(8, 18)).servers[0] == 0
    none = day_kept(region(), 6, promises([np.nan, 1.0, np.nan, 24.0]), Duty(8, 18), quick=False)
    np.testing.assert_array_equal(np.isnan(none), [True, False, True, False])
    assert (day_kept(region(), 0, promises(), Duty(8, 18)) == 0).all()


def test_fewer_on_call_serve_the_night_worse_and_leave_the_day_to_the_others():
    rows = region()
    kept = [
        day_kept(rows, 8, promises(), Duty(8, 18, 7, crew), None, None, quick=False) for crew in (1, 2, 8)
    ]
    assert kept[0][0] < kept[1][0] < kept[2][0]
    assert kept[0][1] < kept[2][1]


def test_an_order_of_the_night_is_late_on_the_calendar_clock_and_not_on_the_working_clock():
    rows = region()
    duty = Duty(8, 18)
    working = day_kept(rows, 9, promises(), duty, None, np.array([0, 0, 1, 1], bool), quick=False)
    calendar = day_kept(rows, 9, promises(), duty, None, np.zeros(4, bool), quick=False)
    # An even night: six of 24 hours lie more than eight hours before the shift.
    assert calendar[2] == pytest.approx(0.75, abs=0.03)
    assert calendar[2] <= 0.7501
    assert working[2] > 0.99
    assert calendar[3] <= working[3] + 1e-9
    np.testing.assert_allclose(calendar[:2], working[:2])


def test_free_weekends_cost_promises():
    rows = region(load=0.5)
    daily, weekly = (day_kept(rows, 4, promises(), Duty(8, 18, days), quick=False) for days in (7, 5))
    assert (weekly <= daily + 1e-6).all()
    assert weekly[0] < daily[0] - 0.01


def test_even_repairs_begun_together_keep_fewer_promises():
    kept = [day_kept(region(scv=v, load=2), 9, promises(), Duty(8, 18), quick=False)[0] for v in (0.2, 1.0)]
    assert kept[0] < kept[1]


def test_a_shift_that_cannot_carry_the_orders_keeps_nothing():
    kept = day_kept(region(load=4), 4, promises(), Duty(8, 16), quick=False)
    assert (kept == 0).all()


@pytest.mark.parametrize(
    ("duty", "name"),
    [
        (Duty(30, 38), "start"),
        (Duty(8, 30), "end"),
        (Duty(8, 18, 0), "days_a_week"),
        (Duty(8, 18, 7, -1), "on_call"),
        (Duty(8, 18, 7, None, 5), "called_out"),
    ],
)
def test_a_duty_that_is_none_is_refused(duty, name):
    with pytest.raises(DataError, match=name):
        check_duty(duty, 4)
    with pytest.raises(DataError, match=name):
        size_day(region(), promises(), duty)


def test_calls_that_never_come_and_promises_to_all_are_refused():
    with pytest.raises(DataError, match="profile"):
        size_day(region(), promises(), Duty(8, 18), np.zeros(24), quick=False)
    with pytest.raises(DataError, match="target"):
        size_day(region(), promises(target=1.0), Duty(8, 18))


def test_a_promise_that_the_night_breaks_adds_no_engineers():
    calendar = np.zeros(4, dtype=bool)
    duty = Duty(8, 18)
    told = size_day(region(), promises(), duty, None, calendar, np.array([8]), quick=False)
    assert told.respond[0, 2] < 0.8
    assert (told.respond[0, [0, 1, 3]] >= 0.95).all()
    without = size_day(region(), promises([1 / 3, 1.0, np.nan, 24.0]), duty, start=told.servers, quick=False)
    assert told.servers[0] == without.servers[0]
