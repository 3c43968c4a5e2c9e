from __future__ import annotations

import numpy as np
import pytest

from spareplan.staffing.duty import Duty
from spareplan.staffing.months import search_months
from spareplan.staffing.search import search_row
from spareplan.staffing.sizing import Promises

LIMITS = np.array([1 / 3, 1.0, 8.0, 24.0])
NONE, EVERY = np.zeros(4, dtype=bool), np.ones(4, dtype=bool)
SEASON = 1.0 + 0.3 * np.sin(np.arange(12) * 2.4)


def months(region: int = 0, load: float = 18.0, **more):
    mix = np.array([0.1, 0.2, 0.3, 0.4])
    plain = {
        "limits": Promises(LIMITS, np.full(4, np.nan), np.full(4, 0.95), NONE),
        "open_promises": [EVERY, NONE],
        "place": 60.0,
        "pace": 0.026,
        "seed": region,
    }
    return [
        {
            "start": max(round(0.3 * load * factor), 1),
            "orders": {"orders_per_day": load * factor * mix, "work_hours": np.full(4, 4.0)},
            **plain,
            **more,
        }
        for factor in SEASON
    ]


@pytest.mark.parametrize("load", [3.0, 18.0, 60.0])
def test_months_searched_together_get_the_numbers_of_months_searched_alone(load):
    jobs = months(load=load)
    together = search_months(jobs, np.zeros(12))
    alone = [search_row(**job) for job in jobs]
    assert [one.servers for one in together.searched] == [one.servers for one in alone]
    assert sum(one.orders for one in together.searched) < 0.8 * sum(one.orders for one in alone)


def test_a_month_is_told_by_itself_or_by_a_fuller_month_with_its_number():
    found = search_months(months(), np.zeros(12))
    for month, lead in enumerate(found.told_by):
        assert SEASON[lead] >= SEASON[month]
        assert found.searched[lead].servers == found.searched[month].servers
        assert found.told_by[lead] == lead
        assert found.searched[month].kept
        np.testing.assert_array_equal(found.searched[month].respond, found.searched[lead].respond)
    assert (found.searched[int(SEASON.argmax())].respond >= 0.95).all()


def test_neither_threads_nor_the_order_of_the_months_matter():
    jobs, region = months(0) + months(1, load=30.0), np.repeat([7, 3], 12)
    one = search_months(jobs, region, threads=1)
    mixed = np.random.default_rng(0).permutation(24)
    other = search_months([jobs[i] for i in mixed], region[mixed], threads=3)
    assert [one.searched[i].servers for i in mixed] == [found.servers for found in other.searched]
    assert [one.searched[i].orders for i in mixed] == [found.orders for found in other.searched]


def test_months_of_another_mix_tell_nothing():
    jobs = months()
    urgent = np.array([0.7, 0.1, 0.1, 0.1])
    jobs[3]["orders"] = jobs[3]["orders"] | {"orders_per_day": urgent * 18.0}
    found = search_months(jobs, np.zeros(12))
    assert found.told_by[3] == 3
    assert found.searched[3].servers == search_row(**jobs[3]).servers
    assert (found.told_by != 3).sum() == 11


def test_months_in_which_no_number_keeps_the_promise_end_at_their_ceiling():
    impossible = Promises(np.full(4, np.nan), np.full(4, 0.5), np.full(4, 0.95), NONE)
    jobs = months(limits=impossible, open_promises=[NONE, EVERY], ceiling=9)
    found = search_months(jobs, np.zeros(12))
    assert not any(one.kept for one in found.searched)
    assert {one.servers for one in found.searched} == {9}


def test_months_of_a_day_shift_are_searched_together_too():
    jobs = months(load=8.0, duty=Duty(8.0, 18.0))
    found = search_months(jobs, np.zeros(12))
    assert [one.servers for one in found.searched] == [search_row(**job).servers for job in jobs]


def test_nothing_to_search_finds_nothing():
    found = search_months([], [])
    assert found.searched == []
    assert len(found.told_by) == 0
