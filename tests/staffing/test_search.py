from __future__ import annotations

import numpy as np
import pytest

from spareplan import staffing
from spareplan.errors import DataError
from spareplan.staffing._tally import compiled_tally, tally
from spareplan.staffing.duty import Duty
from spareplan.staffing.looks import Skills
from spareplan.staffing.rotas import rotas
from spareplan.staffing.search import attained, search_row, search_rows
from spareplan.staffing.sizing import Promises

LIMITS = np.array([1 / 3, 1.0, 8.0, 24.0])
NONE, EVERY = np.zeros(4, dtype=bool), np.ones(4, dtype=bool)


def promises(respond=LIMITS, resolve=np.nan, target=0.95):
    return Promises(np.broadcast_to(respond, 4).astype(float), np.full(4, resolve), np.full(4, target), NONE)


def row(per_day=(2.0, 4.0, 6.0, 8.0), **more):
    plain = {
        "start": 4,
        "orders": {"orders_per_day": np.array(per_day), "work_hours": np.full(4, 4.0)},
        "limits": promises(),
        "open_promises": [EVERY, NONE],
        "place": 0.0,
        "pace": 0.0,
    }
    return plain | more


@pytest.mark.parametrize("start", [1, 4, 6, 40])
def test_the_search_finds_the_least_number_of_the_exact_formula_from_any_start(start):
    rates = np.array([2.0, 4.0, 6.0, 8.0]) / 24
    exact = staffing.servers_needed(rates, 0.25, LIMITS, np.full(4, 0.95))
    found = search_row(**row(start=start, ceiling=60))
    assert found.servers == exact
    assert found.kept
    law = 1.0 - np.diagonal(staffing.wait_tail(rates, 0.25, exact, LIMITS))
    assert np.abs((found.respond - law) / found.respond_error).max() < 4.5


def test_the_result_is_the_same_for_any_number_of_threads():
    rows = [row(per_day=(1.0 + i, 2.0, 3.0, 4.0), seed=i, place=60.0, pace=0.03) for i in range(5)]
    one, other = search_rows(rows, 1), search_rows(rows, 3)
    for a, b in zip(one, other, strict=True):
        assert a.servers == b.servers
        np.testing.assert_array_equal(a.respond, b.respond)


def test_a_promise_that_no_number_keeps_ends_at_the_ceiling():
    found = search_row(**row(limits=promises(resolve=1.0), open_promises=[NONE, EVERY], ceiling=12))
    assert found.servers == 12
    assert not found.kept


def test_a_ceiling_and_a_floor_bound_the_search():
    assert search_row(**row(start=9, floor=8)).servers == 8
    assert search_row(**row(ceiling=5)).servers == 5
    assert not search_row(**row(ceiling=5)).kept


def test_longer_shifts_need_no_more_engineers():
    late = np.array([False, False, True, True])
    per_day = np.array([1.0, 2.0, 4.0, 6.0])
    found = [
        search_row(
            **row(per_day=per_day, duty=Duty(8.0, end), on_shift=late, limits=promises([2.0, 4.0, 8.0, 24.0]))
        )
        for end in (13.0, 16.0, 22.0)
    ]
    assert all(one.kept for one in found)
    numbers = [one.servers for one in found]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] > numbers[-1]


def test_a_crew_on_call_that_is_too_small_breaks_the_urgent_promise_at_night():
    late = np.array([False, False, True, True])
    plain = row(
        per_day=(3.0, 3.0, 2.0, 2.0),
        duty=Duty(8.0, 18.0),
        on_shift=late,
        limits=promises([2.0, 4.0, 8.0, 24.0]),
    )
    enough = search_row(**plain)
    plain["duty"] = Duty(8.0, 18.0, on_call=1)
    fewer = attained(enough.servers, count=60_000, **{k: v for k, v in plain.items() if k in ATTAINED})
    assert enough.kept
    assert fewer.respond[0] < 0.95 - 5 * fewer.respond_error[0]


ATTAINED = ("orders", "limits", "place", "pace", "duty", "on_shift", "seed")


def test_limits_on_the_clock_of_the_shift_leave_the_nights_out():
    # Calls come round the clock, one crew far above the load: whoever calls at night waits for the morning.
    plain = row(per_day=(0.0, 0.0, 0.0, 2.0), duty=Duty(8.0, 20.0), limits=promises(0.5))
    kwargs = {k: v for k, v in plain.items() if k in ATTAINED}
    kwargs["orders"] = kwargs["orders"] | {"work_hours": np.full(4, 0.01)}
    calendar = attained(20, on_shift=NONE, **kwargs)
    shift = attained(20, **kwargs)
    # Half of the calls within the shift, and those of the last half hour before it.
    assert calendar.respond[3] == pytest.approx(12.5 / 24, abs=0.01)
    assert shift.respond[3] == 1.0
    assert np.isnan(shift.respond[0])


def test_calls_by_the_hour_change_what_a_night_without_shift_costs():
    profile = np.where(np.arange(24) < 12, 2.0, 0.0)
    plain = row(per_day=(0.0, 0.0, 0.0, 2.0), duty=Duty(12.0, 24.0), limits=promises(0.5))
    kwargs = {k: v for k, v in plain.items() if k in ATTAINED}
    kwargs["orders"] = kwargs["orders"] | {"work_hours": np.full(4, 0.01)}
    assert attained(20, profile=profile, on_shift=NONE, **kwargs).respond[3] == pytest.approx(
        0.5 / 12, abs=0.01
    )
    assert attained(20, profile=profile[::-1], on_shift=NONE, **kwargs).respond[3] == 1.0


def test_calls_by_weekday_leave_a_free_weekend_without_wait():
    week = np.repeat(np.where(np.arange(7) < 5, 1.0, 0.0)[:, None], 24, axis=1)
    plain = row(per_day=(0.0, 0.0, 0.0, 2.0), duty=Duty(0.0, 24.0, 5), limits=promises(0.5))
    kwargs = {k: v for k, v in plain.items() if k in ATTAINED}
    kwargs["orders"] = kwargs["orders"] | {"work_hours": np.full(4, 0.01)}
    even = attained(20, on_shift=NONE, **kwargs)
    assert even.respond[3] == pytest.approx(5 / 7, abs=0.01)
    assert attained(20, on_shift=NONE, profile=week, **kwargs).respond[3] == pytest.approx(1.0, abs=1e-3)


def test_a_load_that_only_just_fits_is_not_taken_for_settled():
    # Nearly no free time: kept for a while, broken in the long run.
    tight = row(per_day=(0.0, 0.0, 0.0, 5.99), limits=promises(500.0), start=1)
    assert search_row(**tight).servers == 2


def test_repeated_visits_and_missing_parts_count_as_work():
    lost = {"missing_share": np.full(4, 0.3), "parts_hours": np.full(4, 30.0), "again_share": np.full(4, 0.2)}
    plain = row()
    more = row(orders=plain["orders"] | lost)
    a, b = search_row(**plain), search_row(**more)
    assert b.servers > a.servers
    assert b.utilisation * b.servers == pytest.approx(20 / 24 * (4.0 / 0.8 + 0.3), rel=0.03)


def test_compiled_and_plain_tally_agree():
    generator = np.random.default_rng(2)
    count = 3000
    opened = np.sort(generator.uniform(0, 2000, count))
    ready = opened + np.where(generator.random(count) < 0.2, generator.exponential(30, count), 0.0)
    sent = ready + np.where(generator.random(count) < 0.5, 0.0, generator.exponential(5, count))
    sent[::97] = np.nan
    responded, solved = sent + 1.0, sent + generator.exponential(9, count)
    arguments = (
        np.array([0, 500, 1500, count]),
        generator.integers(0, 4, count),
        opened,
        ready,
        sent,
        responded,
        solved,
        np.array([1.0, 4.0, np.nan, 8.0]),
        np.array([9.0, np.nan, 20.0, 30.0]),
        np.array([False, True, False, True]),
        8.0,
        18.0,
        5,
    )
    plain = tally(*arguments)
    np.testing.assert_allclose(compiled_tally()(*arguments), plain)
    assert plain[:, :, 0].sum() == count
    late = (np.nan_to_num(responded - ready, nan=np.inf) <= 1.0) & (arguments[1] == 0)
    assert plain[:, 0, 1].sum() == late.sum()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"duty": Duty(8.0, 8.0)}, "duty.start"),
        ({"duty": Duty(8.0, 18.0, 0)}, "duty.days_a_week"),
        ({"duty": Duty(8.0, 18.0, on_call=-1)}, "duty.on_call"),
        ({"place": np.empty((0, 2))}, "place"),
        ({"place": -1.0}, "place"),
        ({"pace": np.inf}, "pace"),
        ({"profile": np.zeros(24)}, "profile"),
        ({"ceiling": 0}, "ceiling"),
        ({"start": -1}, "start"),
        ({"max_utilisation": 0.0}, "max_utilisation"),
        ({"orders": {"orders_per_day": np.zeros(4), "work_hours": np.ones(4)}}, "orders_per_day"),
        ({"orders": {"orders_per_day": np.ones(3), "work_hours": np.ones(4)}}, "orders_per_day"),
        ({"orders": {"orders_per_day": np.ones(4)}}, "work_hours"),
        (
            {"orders": {"orders_per_day": np.ones(4), "work_hours": np.ones(4), "again_share": np.ones(4)}},
            "again_share",
        ),
    ],
)
def test_impossible_searches_are_refused_by_name(change, named):
    with pytest.raises(DataError) as caught:
        search_row(**row(**change))
    assert named in caught.value.problems["column"].tolist()


def test_shifts_become_changes_of_one_period():
    day = rotas(np.array([8.0, 8.0, 0.0]), np.array([18.0, 18.0, 24.0]), np.array([7, 7, 7]), 24.0)
    assert day.period == 24.0
    assert day.of.tolist() == [1, 1, 0]
    assert day.change_at.tolist() == [8.0, 18.0]
    assert day.unmanned == 0.0
    night = rotas(np.array([22.0]), np.array([6.0]), np.array([5]), 24.0)
    assert night.period == 168.0
    assert night.change_at.tolist() == sorted(
        [d * 24 + 22.0 for d in range(5)] + [d * 24 + 30.0 for d in range(5)]
    )
    assert night.share.tolist() == pytest.approx([40 / 168])
    turns = rotas(np.array([0.0, 12.0]), np.array([12.0, 24.0]), np.array([7, 7]), 24.0)
    assert turns.unmanned == 0.0
    assert turns.share.tolist() == [0.5, 0.5]
    nobody = rotas(np.array([8.0]), np.array([18.0]), np.array([0]), 24.0)
    assert nobody.unmanned == 1.0
    assert len(nobody.change_at) == 0


def test_a_crew_is_split_by_its_shares_and_the_rest_goes_to_the_largest_remainders():
    skills = Skills(np.ones(3), np.array([0.5, 0.3, 0.2]), np.ones(3))
    assert np.bincount(skills.of(10), minlength=3).tolist() == [5, 3, 2]
    assert np.bincount(skills.of(4), minlength=3).tolist() == [2, 1, 1]
    assert len(skills.of(1)) == 1
    assert [len(skills.of(n)) for n in range(8)] == list(range(8))


def test_orders_that_need_experts_need_more_people_than_those_anybody_can_do():
    crew, standard = np.array([0.6, 0.2, 0.2]), np.ones(3)
    easy = search_row(**row(skills=Skills(np.array([1.0, 0.0, 0.0]), crew, standard)))
    hard = search_row(**row(skills=Skills(np.array([0.2, 0.2, 0.6]), crew, standard)))
    assert easy.servers == search_row(**row()).servers
    assert hard.servers > easy.servers


def test_engineers_who_work_at_half_speed_take_twice_as_long():
    plain = {k: v for k, v in row().items() if k in ATTAINED}
    slow = attained(20, skills=Skills(np.ones(1), np.ones(1), np.array([0.5])), **plain)
    assert slow.utilisation == pytest.approx(2 * attained(20, **plain).utilisation, rel=1e-6)


def test_skills_without_engineers_are_refused_by_name():
    with pytest.raises(DataError) as caught:
        search_row(**row(skills=Skills(np.ones(2), np.zeros(2), np.ones(3))))
    assert {"skills.crew", "skills.efficiency"} <= set(caught.value.problems["column"])


def test_a_region_that_runs_well_until_it_once_fills_up_is_not_searched_below_its_crowded_load():
    # Next to no work, but hours between orders: near ones while few wait, far ones once many do.
    orders = {"orders_per_day": np.array([0.0, 0.0, 0.0, 480.0]), "work_hours": np.full(4, 0.3)}
    wide = row(orders=orders, place=400.0, pace=1.3 / 60, limits=promises(np.full(4, 24.0)), start=60)
    found = search_row(**wide)
    crowded = 20.0 * (0.3 + 0.5214 * 400.0 * 1.3 / 60)
    assert found.servers >= crowded
    assert found.utilisation < 0.5
    assert search_row(**wide | {"far": 0.1}).servers < 0.8 * crowded
