from __future__ import annotations

import itertools

import numpy as np
import pytest

from spareplan.errors import DataError
from spareplan.staffing.answers import desk_people
from spareplan.staffing.queues import wait_tail
from spareplan.staffing.shifts import cover_shifts, day_phases, on_duty, smoothed_load

DAYTIME = np.array([0] * 8 + [2, 4, 6, 6, 4, 4, 6, 5, 4, 3, 3, 2, 2, 1, 0, 0], float)


def test_load_lags_behind_the_calls_by_the_length_of_the_work():
    profile = DAYTIME / DAYTIME.mean()
    load = smoothed_load(profile, 5.0)
    assert load.mean() == pytest.approx(1.0)
    assert load.argmax() > profile.argmax()
    assert load.max() < profile.max()
    np.testing.assert_allclose(smoothed_load(profile, 1e-3), profile, atol=1e-9)
    # Simulated jobs in hand, nobody waiting.
    generator = np.random.default_rng(0)
    start = generator.choice(24, 400_000, p=profile / 24) + generator.integers(0, 400, 400_000) * 24
    end = start + 1 + np.floor(generator.exponential(5.0, len(start)))
    hours = np.arange(24 * 100, 24 * 300)
    begun, over = (
        np.searchsorted(np.sort(start), hours, "right"),
        np.searchsorted(np.sort(end), hours, "right"),
    )
    counted = (begun - over).reshape(-1, 24).mean(axis=0)
    np.testing.assert_allclose(load, counted / counted.mean(), atol=0.02)


def test_phases_keep_time_calls_and_load():
    profile = DAYTIME / DAYTIME.mean()
    phases = day_phases(profile, 4.0)
    assert phases.share.sum() == pytest.approx(1.0)
    assert phases.calls.sum() == pytest.approx(1.0)
    assert (phases.share * phases.factor).sum() == pytest.approx(1.0)
    assert len(day_phases(np.ones(24), 4.0).share) == 1


def test_shifts_cover_every_hour_with_the_fewest_people():
    need = np.zeros((7, 24))
    need[:, 8:22] = 1
    need[:5, 11:16] = 2
    plan = cover_shifts(need, starts=(8, 11, 14), length=8)
    assert (plan.cover["on_duty"] >= plan.cover["required"]).all()
    assert plan.people == plan.shifts["people"].sum()
    assert plan.bound == plan.people
    assert plan.people >= np.ceil(need.sum() / 40)


def test_no_smaller_crew_covers_a_small_week():
    need = np.zeros((7, 24))
    need[:, 9:17] = [[2], [1], [1], [1], [2], [1], [1]]
    plan = cover_shifts(need, starts=(9,), length=8)
    works = [{(first + d) % 7 for d in range(5)} for first in range(7)]
    wanted = need[:, 9]

    def enough(crew):
        return all(sum(day in works[first] for first in crew) >= wanted[day] for day in range(7))

    assert any(enough(crew) for crew in itertools.combinations_with_replacement(range(7), plan.people))
    assert not any(
        enough(crew) for crew in itertools.combinations_with_replacement(range(7), plan.people - 1)
    )


def test_a_desk_of_450_cases_a_month_needs_evening_and_weekend_shifts():
    calls = np.zeros((7, 24))
    calls[:5, 8:22] = DAYTIME[8:22]
    calls[5:, 8:22] = 0.4 * DAYTIME[8:22]
    calls[:, 21] = 0.5
    need = desk_people(450 * 7 / 30.4, minutes=20, answer_minutes=20, target=0.95, profile=calls)
    assert (need[:, 8:22] >= 1).all()
    assert (need[:, :8] == 0).all()
    for day, hour in ((0, 10), (5, 20)):
        rate = 450 * 7 / 30.4 * calls[day, hour] / calls.sum()
        assert wait_tail([rate], 3.0, int(need[day, hour]), [1 / 3])[0, 0] <= 0.05
    three = cover_shifts(need, starts=(8, 11, 14), length=8)
    assert (three.cover["on_duty"] >= three.cover["required"]).all()
    assert {8, 14} <= set(three.shifts["start"])
    with pytest.raises(DataError, match="Mon 19:00"):
        cover_shifts(need, starts=(8, 11), length=8)


def test_an_impossible_requirement_is_refused_by_name():
    with pytest.raises(DataError, match="required"):
        cover_shifts(np.ones((3, 24)))


@pytest.mark.parametrize(("people", "told"), [(1, "1 person is required"), (2, "2 people are required")])
def test_an_hour_without_a_shift_says_how_many_it_asks_for(people, told):
    with pytest.raises(DataError, match=f"covers Mon 0:00, where {told}"):
        cover_shifts(np.full(24, people), starts=[8], length=8)


def test_a_negative_requirement_is_told_with_its_hour():
    need = np.zeros((7, 24))
    need[2, 14] = -1
    with pytest.raises(DataError, match="-1 on Wed 14:00"):
        cover_shifts(need)


def test_shifts_of_several_lengths_need_no_more_people_than_one_length():
    need = np.zeros((7, 24))
    need[:, 8:20] = 1
    eight = cover_shifts(need, starts=(8, 12), length=8)
    mixed = cover_shifts(need, starts=(8, 12), length=(8, 12), days_on=(5, 3))
    assert (mixed.cover["on_duty"] >= mixed.cover["required"]).all()
    # Twelve hours on three days: seven days of one long shift need three people.
    assert mixed.people == mixed.bound == 3
    assert eight.people > mixed.people
    assert set((mixed.shifts["end"] - mixed.shifts["start"]) % 24) <= {8, 12}


def test_free_days_may_lie_apart_where_the_week_asks_for_it():
    need = np.zeros((7, 24))
    need[[0, 2, 4], 9:17] = 3
    together = cover_shifts(need, starts=(9,), days_on=3)
    apart = cover_shifts(need, starts=(9,), days_on=3, most_in_a_row=1)
    assert apart.people == apart.bound == 3
    assert together.people > 3
    assert set(apart.shifts["work_days"]) == {"Mon Wed Fri"}


def test_days_in_a_row_count_over_the_end_of_the_week():
    plan = cover_shifts(np.ones(24), starts=(0, 8, 16), days_on=5, most_in_a_row=3)
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    for days in plan.shifts["work_days"]:
        on = [name in days.split() for name in names] * 2
        runs = [len(list(group)) for works, group in itertools.groupby(on) if works]
        assert max(runs) <= 3
    assert (plan.cover["on_duty"] >= 1).all()


def test_weekends_are_whole_and_come_to_everybody_in_turn():
    need = np.zeros((7, 24))
    need[:5, 9:17] = 3
    need[5:, 9:17] = 1
    free = cover_shifts(need, starts=(9,))
    turns = cover_shifts(need, starts=(9,), whole_weekends=True, weekend_every=4)
    days = turns.shifts["work_days"].str
    assert (days.contains("Sat") == days.contains("Sun")).all()
    at_weekend = turns.shifts.loc[days.contains("Sat"), "people"].sum()
    assert 4 * at_weekend <= turns.people
    assert turns.people == turns.bound >= free.people


def test_a_night_shift_runs_into_the_next_morning():
    need = np.zeros((7, 24))
    need[:, 22:] = 1
    need[:, :6] = 1
    plan = cover_shifts(need, starts=(22,), length=8)
    assert (plan.cover["on_duty"] >= plan.cover["required"]).all()
    assert (plan.shifts["end"] == 6).all()

    assert plan.people == plan.bound
    np.testing.assert_array_equal(on_duty(plan.shifts).reshape(-1), plan.cover["on_duty"])
