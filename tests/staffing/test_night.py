from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.config import StaffingOptions
from spareplan.errors import DataError
from spareplan.staffing.day_chain import day_kept
from spareplan.staffing.duty import Duty
from spareplan.staffing.field import read_promises
from spareplan.staffing.night import (
    duty_of,
    hours_to_shift,
    night_table,
    on_call_note,
    people_for_duty,
    shift_promises,
    shift_share,
)
from spareplan.staffing.sizing import Promises

LIMITS = np.array([1 / 3, 1.0, 8.0, 24.0])
PROMISED = Promises(LIMITS, np.full(4, np.nan), np.full(4, 0.95), np.zeros(4, dtype=bool))
CALENDAR = np.zeros(4, dtype=bool)


def table(clock=("calendar",) * 4):
    return pd.DataFrame(
        {
            "priority": ["P1", "P2", "P3", "P4"],
            "respond_hours": [1 / 3, 1.0, 8.0, 24.0],
            "resolve_hours": [8.0, 48.0, 168.0, 336.0],
            "target": 0.95,
            "response_mode": ["desk", "dispatch", "dispatch", "dispatch"],
            "clock": list(clock),
        }
    )


def test_engineers_are_on_duty_round_the_clock_unless_somebody_says_otherwise():
    duty, notes = duty_of(StaffingOptions(), table())
    assert duty.round_the_clock
    assert not notes
    duty, _ = duty_of(StaffingOptions(shift_start=8, shift_end=18, work_days=6, on_call_people=2))
    assert duty == Duty(8, 18, 6, 2, 2)
    assert not duty.round_the_clock


def test_promises_in_working_hours_mean_office_hours():
    duty, notes = duty_of(StaffingOptions(), table(("calendar", "calendar", "working", "working")))
    assert duty == Duty(9, 17, 5, None, 2)
    assert "P3, P4" in notes[0]["meaning"]
    assert duty_of(StaffingOptions(), table(("working",) * 4))[0].called_out == 0
    longest, _ = duty_of(StaffingOptions(paid_hours_per_week=90.0), table(("working",) * 4))
    assert longest.end == 3


def test_hours_until_the_shift_count_nights_and_free_days():
    duty = Duty(8, 18, 5)
    friday = 4 * 24
    np.testing.assert_allclose(
        hours_to_shift(duty, [7.5, 8.0, 17.9, 18.0, friday + 19, friday + 72]), [0.5, 0, 0, 14, 61, 8]
    )
    night = Duty(22, 6)
    np.testing.assert_allclose(hours_to_shift(night, [5.0, 6.0, 21.0, 23.0]), [0, 16, 1, 0])


def test_no_engineer_keeps_a_short_promise_of_the_calendar_clock_by_night():
    rows = night_table(PROMISED, CALENDAR, Duty(8, 18)).set_index("priority")
    assert list(rows["served"]) == ["any hour", "any hour", "on shift", "on shift"]
    assert rows.loc["P3", "best_share"] == pytest.approx(18 / 24, abs=0.01)
    assert "no engineer cures it" in rows.loc["P3", "reason"]
    assert rows.loc["P4", "best_share"] == 1.0
    assert rows.loc["P3", "mean_hours_to_shift"] == pytest.approx(7.0)
    assert rows.loc["P3", "off_shift_share"] == pytest.approx(14 / 24)
    working = night_table(PROMISED, np.array([0, 0, 1, 1], bool), Duty(8, 18)).set_index("priority")
    assert (working["best_share"] == 1.0).all()
    nobody = night_table(PROMISED, CALENDAR, Duty(8, 18, 7, 0)).set_index("priority")
    assert nobody.loc["P1", "best_share"] == pytest.approx((10 + 1 / 3) / 24, abs=0.01)
    always = night_table(PROMISED, CALENDAR, Duty())
    assert (always["off_shift_share"] == 0).all()
    assert (always["best_share"] == 1).all()


def test_free_weekends_break_a_promise_of_a_day():
    rows = night_table(PROMISED, CALENDAR, Duty(8, 18, 5)).set_index("priority")
    # Friday 18:00 to Sunday 8:00 lies more than 24 hours before Monday 8:00.
    assert rows.loc["P4", "best_share"] == pytest.approx(1 - 38 / 168, abs=0.01)
    assert rows.loc["P4", "longest_hours_to_shift"] == pytest.approx(62, abs=0.2)


def test_the_best_share_is_what_many_engineers_keep():
    from tests.staffing.test_day_chain import region

    duty = Duty(8, 18)
    kept = day_kept(region(load=0.3), 12, PROMISED, duty, None, CALENDAR, quick=False)
    best = night_table(PROMISED, CALENDAR, duty)["best_share"].to_numpy()
    np.testing.assert_allclose(kept, best, atol=0.015)


def test_promises_keep_the_hours_they_are_written_in():
    options = StaffingOptions(coverage_hours_per_week=100.0)
    given = table(("calendar", "calendar", "working", "calendar"))
    spread, *_ = read_promises(given, options)
    told, on_shift = shift_promises(given, spread, Duty(8, 18))
    np.testing.assert_allclose(told.respond, [np.nan, 1.0, 8.0, 24.0])
    np.testing.assert_allclose(told.resolve, [8, 48, 168, 336])
    assert on_shift.tolist() == [False, False, True, False]
    assert not shift_promises(given, spread, Duty())[1].any()


def test_paid_hours_fill_shifts_and_on_call_hours_the_time_off():
    options = StaffingOptions(paid_hours_per_week=40, on_call_hours_per_week=44, absence_share=0.12)
    office = Duty(9, 17, 5, None, 0)
    assert people_for_duty([10], office, options)[0] == pytest.approx(10 / 0.88)
    # Seventy hours of shifts a week are filled by forty paid ones each.
    assert people_for_duty([10], Duty(8, 18, 7, 0), options)[0] == pytest.approx(10 * 70 / 40 / 0.88)
    one = people_for_duty([10], Duty(9, 17, 5, 4), options)[0]
    assert one == pytest.approx(max(10, 4 * 128 / 44) / 0.88)
    assert shift_share(office, options) == pytest.approx(0.88)
    never = StaffingOptions(on_call_hours_per_week=0)
    assert np.isinf(people_for_duty([1], Duty(9, 17, 5), never)[0])
    assert shift_share(Duty(9, 17, 5), never) == 0
    # Round the clock nobody is called out: shifts fill every hour.
    assert people_for_duty([1], Duty(), options)[0] == pytest.approx(168 / 40 / 0.88)


def test_hours_that_are_none_are_refused():
    with pytest.raises(DataError, match="start"):
        night_table(PROMISED, CALENDAR, Duty(24, 8))
    with pytest.raises(DataError, match="profile"):
        night_table(PROMISED, CALENDAR, Duty(8, 18), np.zeros(24))


def test_a_plan_round_the_clock_says_how_far_it_leans_on_call():
    options = StaffingOptions(paid_hours_per_week=40, on_call_hours_per_week=44)
    told = on_call_note(Duty(), options)[0]
    assert told["value"] == "52%"
    assert "P1, P2" in told["meaning"]
    assert not on_call_note(Duty(8, 18), options)
    assert not on_call_note(Duty(), StaffingOptions(on_call_hours_per_week=0))
