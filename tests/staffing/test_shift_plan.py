"""Day shifts of the field in a head count plan."""

import numpy as np
import pandas as pd
import pytest

import spareplan as sp
from spareplan.config import StaffingOptions
from spareplan.staffing.duty import Duty
from spareplan.staffing.night import duty_people, duty_words, on_duty
from spareplan.staffing.proof import simulated_shares
from spareplan.staffing.shift_cycle import from_shift_start
from spareplan.staffing.shift_plan import NIGHT, size_shifts
from spareplan.tables.dataset import Dataset
from tests.staffing.test_headcount import demand, frames
from tests.staffing.test_proof import plan, units

__all__ = ["units"]

OFFICE = {"shift_start": 8, "shift_end": 17, "work_days": 5}


def working_promises() -> dict[str, pd.DataFrame]:
    """P3 and P4 count working hours; P1 and P2 the calendar's, answered at the desk."""
    promises = frames()["promises"].assign(clock=["calendar", "calendar", "working", "working"])
    return {"promises": promises}


def size(changes: dict | None = None, **options):
    """Two months of the small plan."""
    data = Dataset.from_frames(frames() | (changes or {}))
    chosen = StaffingOptions(**options, plan_alternatives=False)
    return sp.size_headcount(data, demand(), None, months=2, options=chosen)


@pytest.fixture(scope="module")
def office():
    return size(working_promises(), **OFFICE)


@pytest.mark.parametrize(
    "duty", [Duty(), Duty(8, 17, 5), Duty(8, 17, 5, 3), Duty(22, 6, 7, 2, 1), Duty(6, 22, 7, None, 0)]
)
def test_people_on_duty_are_the_inverse_of_people_for_a_duty(duty):
    options = StaffingOptions()
    servers = np.arange(9.0)
    people = duty_people(servers, duty, options)
    assert (np.diff(people) >= 0).all()
    back = on_duty(people, duty, options)
    # Where nights bind, people that fill them also fill more of the shifts than asked for.
    assert (back >= servers - 1e-9).all()
    assert (duty_people(back, duty, options) <= people + 1e-9).all()


def test_a_shift_over_midnight_is_the_same_by_a_clock_that_starts_with_it():
    week = np.arange(168.0).reshape(7, 24)
    duty, calls = from_shift_start(Duty(22, 6, 5, 2, 1), week)
    assert duty == Duty(0, 8, 5, 2, 1)
    assert calls[0, 0] == week[0, 22]
    assert calls[0, 2] == week[1, 0]
    assert calls[6, 23] == week[0, 21]
    assert from_shift_start(Duty(8, 17), week)[1] is week


def test_words_say_when_engineers_are_on_duty():
    assert duty_words(Duty()) == "round the clock"
    assert duty_words(Duty(8.5, 17, 5)) == "from 8:30 to 17:00 5 days a week"


def test_a_plan_of_office_hours_keeps_what_it_requires_in_simulation(office):
    open_ = office.attained[office.attained["measure"] == "respond"]
    assert set(open_["priority"]) == {"P3", "P4"}
    assert (open_["high"] >= open_["promised"]).all()
    assert open_["planned"].isna().all()


def test_the_plan_puts_the_searched_engineers_on_duty_and_says_when(office):
    keys = ["region_id", "month"]
    workload = office.workload.set_index(keys)["on_duty"]
    searched = office.searched.set_index(keys)["searched"]
    assert (workload.reindex(searched.index) == searched).all()
    assert office.table["reason"].str.contains("from 8:00 to 17:00 5 days a week").any()
    assert "On duty from 8:00 to 17:00 5 days a week" in office.lines
    assert office.nights["priority"].tolist() == ["P1", "P2", "P3", "P4"]


def test_promises_in_working_hours_mean_office_hours_without_any_option():
    crew = size(working_promises(), search_by_simulation="none")
    assert "On duty from 9:00 to 17:00 5 days a week" in crew.lines
    assert crew.assumptions["name"].isin(["duty"]).any()
    assert crew.searched.empty


def test_no_engineer_on_the_shift_keeps_a_promise_that_the_weekend_breaks():
    crew = size(**OFFICE)
    late = crew.nights.set_index("priority").loc["P3"]
    assert late["best_share"] < late["target"]
    assert (crew.table["bound_p3"] == "staff").all()
    assert (crew.table["respond_p3"] <= late["best_share"] + 0.03).all()
    assert any(line.startswith("P3:") for line in crew.lines)


@pytest.mark.parametrize("duty", [Duty(8, 18, 7, None, 2), Duty(8, 17, 5, 2, 1), Duty(20, 6, 7, None, 1)])
def test_least_engineers_on_the_shift_by_simulation_with_another_seed(units, duty):
    shown = plan(units, duty=duty)._replace(on_shift=np.arange(4) >= duty.called_out)
    found = size_shifts(shown, seed=1)
    assert (found.sized.respond_cause == "none").all()
    target = shown.promises.target
    for fewer, good in ((0, True), (1, False)):
        posts = found.sized.servers - float(fewer)
        shares = simulated_shares(shown, posts, dict.fromkeys(range(6), 30_000), seed=11)
        worst = np.array([(share[:, 0] - target).min() for _, share, _ in shares])
        # Half a point to each side: two runs of 30,000 orders differ by chance.
        assert (worst > -0.008).all() if good else (worst < 0.008).all()


def test_what_a_crowd_on_the_shift_keeps_is_what_the_hours_of_the_night_leave(units):
    shown = plan(units, duty=Duty(8, 17, 5), respond=[1.0, 4.0, 8.0, 24.0])
    shown = shown._replace(on_shift=np.zeros(4, dtype=bool))
    found = size_shifts(shown, search=False, seed=1)
    assert (found.sized.respond_cause[:, :2] == "none").all()
    assert (found.sized.respond_cause[:, 2:] == NIGHT).all()
    shares = simulated_shares(shown, np.full(6, 40.0), {0: 60_000}, seed=2)
    best = found.nights["best_share"].to_numpy()
    np.testing.assert_allclose(shares[0][1][2:, 0], best[2:], atol=0.02)
