from __future__ import annotations

import itertools

import numpy as np
import pytest

from spareplan.config import StaffingOptions
from spareplan.staffing.sharing import plan_people, split_by_skill

WAGES = np.array([[96e3, 144e3, 216e3]])


def plan(need, heads, **options):
    need, heads = np.asarray(need, float), np.asarray(heads, float)
    return plan_people(
        need, heads, np.tile(WAGES, (len(heads), 1)), StaffingOptions(**({"plan_gap": 0.0} | options))
    )


def test_nobody_is_hired_where_enough_are_there():
    result = plan(np.full((2, 3, 6), 1.0), np.full((2, 3), 1.0))
    assert result.hire.sum() == result.train.sum() == result.lent_in.sum() == result.short.sum() == 0
    assert result.cost == pytest.approx(2 * WAGES.sum() / 12 * 6)


def test_hiring_takes_its_lead_time_and_the_gap_until_then_is_priced():
    need = np.zeros((1, 3, 8))
    need[0, 1] = 2.0
    result = plan(need, [[0.0, 0.0, 0.0]], hire_lead_months=3)
    assert result.hire[0, 1].tolist() == [0, 0, 0, 2, 0, 0, 0, 0]
    assert result.short[0, 1].tolist() == [2, 2, 2, 0, 0, 0, 0, 0]


def test_balance_of_people_holds_with_leavers_and_training():
    need = np.ones((2, 3, 12)) * np.array([3.0, 2.0, 1.0])[None, :, None] * np.linspace(1, 1.6, 12)
    result = plan(need, [[4, 1, 1], [3, 2, 0]], leave_share_per_year=0.1, train_months=4, plan_gap=0.02)
    stay = 1 - 0.1 / 12
    before = np.concatenate([np.array([[4, 1, 1], [3, 2, 0]])[:, :, None], result.people[:, :, :-1]], axis=2)
    up = np.concatenate([result.train[:, 1:], np.zeros((2, 1, 12))], axis=1)
    np.testing.assert_allclose(result.people, stay * before + result.hire + result.train - up, atol=1e-6)
    np.testing.assert_allclose(result.lent_in.sum(axis=0), result.lent_out.sum(axis=0), atol=1e-6)
    assert (result.train[:, :, :4] == 0).all()
    assert result.bound <= result.cost + 1e-6


def test_a_neighbour_lends_before_anybody_is_hired_for_a_short_peak():
    need = np.ones((2, 3, 6)) * np.array([2.0, 0.0, 0.0])[None, :, None]
    need[0, 0, 4] = 3.0
    result = plan(need, [[2, 0, 0], [4, 0, 0]])
    assert result.hire.sum() == 0
    assert result.lent_in[0, 0, 4] == pytest.approx(1 / 0.8)
    assert result.short.sum() == 0


def test_higher_skills_do_lower_work():
    need = np.zeros((1, 3, 3))
    need[0, 0] = 2.0
    assert plan(need, [[0, 1, 1]]).short.sum() == 0
    need = np.zeros((1, 3, 3))
    need[0, 2] = 1.0
    assert plan(need, [[5, 0, 0]]).short.sum() > 0


def test_the_plan_is_as_cheap_as_trying_everything():
    need = np.zeros((1, 3, 4))
    need[0, 0], need[0, 1] = [1, 2, 2, 3], [0, 1, 1, 1]
    options = {"hire_lead_months": 1, "train_months": 2, "hire_cost_share": 0.4}
    result = plan(need, [[1, 0, 0]], **options)
    best = np.inf
    for hires in itertools.product(range(3), repeat=6):
        junior, senior = np.array([0, *hires[:3]]), np.array([0, *hires[3:]])
        for train in itertools.product(range(2), repeat=2):
            up = np.array([0, 0, *train])
            juniors, seniors = 1 + np.cumsum(junior - up), np.cumsum(senior + up)
            if (juniors < 0).any():
                continue
            short1 = np.maximum(need[0, 1] - seniors, 0)
            short0 = np.maximum(need[0, 0] + need[0, 1] - juniors - seniors, 0)
            wage = WAGES[0] / 12
            cost = (wage[0] * juniors + wage[1] * seniors + 3 * (wage[0] * short0 + wage[1] * short1)).sum()
            cost += 0.4 * (WAGES[0, 0] * junior.sum() + WAGES[0, 1] * senior.sum())
            cost += 0.15 * WAGES[0, 1] * up.sum()
            best = min(best, cost)
    assert result.cost == pytest.approx(best)


def test_people_are_split_as_today_with_enough_of_the_higher_skills():
    total = np.array([[10.0, 7.0], [3.0, 0.0]])
    mix = np.array([[0.6, 0.3, 0.1], [1.0, 0.0, 0.0]])
    least = np.array([[1.0, 0.3, 0.1], [1.0, 0.5, 0.3]])
    split = split_by_skill(total, mix, least)
    np.testing.assert_array_equal(split.sum(axis=1), total)
    assert split[0, :, 0].tolist() == [6, 3, 1]
    assert split[1, :, 0].tolist() == [1, 1, 1]
    assert (split >= 0).all()
