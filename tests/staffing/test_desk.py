from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.config import StaffingOptions
from spareplan.errors import DataError
from spareplan.staffing.answers import answered_share, desk_people, hourly_people, week_of_calls
from spareplan.staffing.desk import check_manned, desk_calls, first_example, plan_desk
from spareplan.staffing.queues import erlang_a, wait_tail
from spareplan.staffing.shifts import cover_shifts, on_duty

OFFICE = np.array([0] * 8 + [4, 6, 9, 9, 6, 6, 9, 8, 6, 5, 5, 4, 3, 2, 0, 0], float)
LIMITS = np.array([1 / 3, 1.0, np.nan, np.nan])
TARGETS = np.full(4, 0.95)
DESK = np.array([True, True, False, False])


def test_two_shifts_lose_every_case_after_seven_and_three_with_weekends_none():
    table = first_example(450).set_index("plan")
    assert table.loc["two shifts", "lost_after_19"] == 1.0
    assert 0 < table.loc["three shifts", "lost_after_19"] < 0.2
    assert table.loc["three shifts and weekend", "lost"] == 0.0
    assert table.loc["three shifts and weekend", "answered_in_time"] >= 0.95
    assert (table["people"] == table["bound"]).all()
    assert table.loc["two shifts", "people"] < table.loc["three shifts and weekend", "people"]
    assert table.loc["any shifts", "people"] <= table.loc["three shifts and weekend", "people"]


def test_hourly_shares_follow_the_exact_law_of_priorities():
    rates = np.array([[2.0, 3.0, 4.0, 1.0], [0.5, 0.5, 1.0, 0.2]])
    shares = answered_share(rates, np.array([3.0, 2.0]), LIMITS, minutes=12.0)
    for row, people in enumerate((3, 2)):
        tail = wait_tail(rates[row], 5.0, people, [1 / 3, 1.0])
        assert shares[row, 0] == pytest.approx(1 - tail[0, 0], abs=1e-12)
        assert shares[row, 1] == pytest.approx(1 - tail[1, 1], abs=1e-12)
    assert np.isnan(shares[:, 2:]).all()
    assert (answered_share(rates, np.zeros(2), LIMITS, 12.0)[:, :2] == 0).all()


def test_callers_who_hang_up_are_not_answered():
    # Long promise: all but those who hang up are answered; no wait allowed: those who find a person free.
    for rate, people in ((3.0, 1), (14.0, 2), (60.0, 10), (200.0, 60)):
        known = erlang_a(rate, 5.0, 6.0, people)
        ends = answered_share(
            np.full((1, 2), rate / 2), np.array([float(people)]), np.array([0.0, 50.0]), 12.0, 10.0
        )
        assert ends[0, 0] == pytest.approx(1 - float(known.waiting), abs=1e-9)
        assert ends[0, 1] == pytest.approx(1 - float(known.abandoning), abs=1e-8)


def test_share_answered_with_hang_ups_agrees_with_simulation():
    generator = np.random.default_rng(5)
    rate, mu, theta, people, limit = 14.0, 5.0, 6.0, 2, 0.1
    count = 60_000
    opened = np.cumsum(generator.exponential(1 / rate, count))
    length, patience = generator.exponential(1 / mu, count), generator.exponential(1 / theta, count)
    free = [0.0] * people
    good = 0
    for moment, work, wait in zip(opened, length, patience, strict=True):
        first = min(range(people), key=free.__getitem__)
        start = max(free[first], moment)
        if start - moment <= wait:
            free[first] = start + work
            good += start - moment <= limit
    share = answered_share(np.array([[rate]]), np.array([2.0]), np.array([limit]), 12.0, 10.0)[0, 0]
    assert share == pytest.approx(good / count, abs=4 * np.sqrt(0.25 / count) * 2)


def test_one_person_fewer_breaks_a_promise_in_every_hour():
    rates = np.outer(OFFICE[8:22], [0.1, 0.2, 0.3, 0.2])
    for patience in (0.0, 8.0):
        people = hourly_people(rates, LIMITS, TARGETS, 12.0, patience)
        kept = answered_share(rates, people.astype(float), LIMITS, 12.0, patience)[:, :2]
        assert (kept >= 0.95).all()
        more = people > 1
        fewer = answered_share(rates, people - 1.0, LIMITS, 12.0, patience)[:, :2]
        assert more.any()
        assert (fewer[more].min(axis=1) < 0.95).all()


def test_a_desk_by_weekday_and_hour_keeps_its_promises_with_few_people():
    week = np.outer([1.2] * 5 + [0.5, 0.5], OFFICE)
    rates = np.array([[0.3, 0.6, 1.0, 0.4], [0.5, 0.9, 1.4, 0.6]])
    options = StaffingOptions(desk_hours=(8, 22), absence_share=0.12)
    plan = plan_desk(rates, week, LIMITS, TARGETS, DESK, options)
    assert plan.desk[["weekday", "hour"]].drop_duplicates().shape[0] == 168
    assert (plan.desk["people"] >= plan.desk["required"]).all()
    open_ = plan.desk["hour"].between(8, 21)
    assert (plan.desk.loc[~open_, "people"] == 0).all()
    assert plan.desk.loc[open_, "answered_in_time"].min() >= 0.95
    assert (plan.kept[:, :2] >= 0.95).all()
    assert np.isnan(plan.kept[:, 2:]).all()
    assert plan.shifts["people"].sum() == plan.people == plan.bound
    assert plan.heads == np.ceil(plan.people / 0.88)
    assert list(plan.shifts.columns) == ["place", "start", "end", "days", "people"]
    # The calls of the week add up to those of the fullest month's mean hour.
    assert plan.desk["calls_per_hour"].mean() == pytest.approx(rates[1].sum())


def test_calls_outside_the_hours_of_the_desk_are_not_answered():
    rates = np.array([[0.3, 0.6, 1.0, 0.4]])
    options = StaffingOptions(desk_hours=(9, 17), desk_days_a_week=5)
    plan = plan_desk(rates, OFFICE, LIMITS, TARGETS, DESK, options)
    inside = OFFICE[9:17].sum() / OFFICE.sum() * 5 / 7
    assert plan.kept[0, 0] == pytest.approx(inside, abs=0.03)
    assert plan.kept[0, 0] < inside


def test_what_the_desk_solves_counts_by_class():
    orders = np.full((2, 4), 10.0)
    np.testing.assert_allclose(desk_calls(orders, StaffingOptions(desk_fix_share=0.2)), 12.5)
    by_class = StaffingOptions(desk_fix_by_priority=(0.0, 0.2, 0.5, 0.6))
    np.testing.assert_allclose(desk_calls(orders, by_class)[0], [10, 12.5, 20, 25])
    with pytest.raises(DataError, match="desk_fix_by_priority"):
        desk_calls(orders, StaffingOptions(desk_fix_by_priority=(0.1, 0.2)))


def test_a_shift_of_nobody_with_calls_is_refused_by_row_and_hours():
    shifts = pd.DataFrame(
        {
            "start": [8, 14],
            "end": [16, 22],
            "work_days": ["Mon Tue Wed Thu Fri", "Mon Tue Wed Thu Fri"],
            "people": [2, 0],
        }
    )
    calls = np.zeros((7, 24))
    calls[:5] = OFFICE
    with pytest.raises(DataError, match=r"row 3.*from 14 to 22"):
        check_manned(calls, shifts)
    calls[:, 16:] = 0
    assert check_manned(calls, shifts).sum() == 2 * 8 * 5
    with pytest.raises(DataError, match="start"):
        on_duty(shifts.assign(start=[30, 2.5]))


@pytest.mark.parametrize(
    ("argument", "value"),
    [("minutes", 0), ("profile", np.zeros(24)), ("target", 1.0), ("answer_minutes", -1), ("profile", [1.0])],
)
def test_desk_people_names_what_it_cannot_use(argument, value):
    given = {"calls_per_week": 100, "minutes": 12, "answer_minutes": 20, "target": 0.9, "profile": OFFICE}
    with pytest.raises(DataError, match=argument):
        desk_people(**{**given, argument: value})


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("starts", [30]),
        ("starts", []),
        ("length", 0),
        ("days_on", 8),
        ("most_in_a_row", 0),
        ("weekend_every", 0),
    ],
)
def test_shifts_that_are_none_are_refused(argument, value):
    with pytest.raises(DataError, match=argument):
        cover_shifts(np.ones(24), **{argument: value})


def test_a_week_of_calls_adds_up_to_one():
    assert week_of_calls("desk", OFFICE).sum() == pytest.approx(1.0)
    with pytest.raises(DataError, match="profile"):
        week_of_calls("desk", np.full(24, np.nan))
