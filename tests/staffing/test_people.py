from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix

from spareplan.config import StaffingOptions
from spareplan.errors import DataError
from spareplan.maths.solver import Solution, WarmProgram
from spareplan.staffing import _blocks, people_search
from spareplan.staffing.people_checks import read_case
from spareplan.staffing.people_model import build_model
from spareplan.staffing.people_words import region_words
from spareplan.staffing.sharing import plan_people

MONTHS = pd.date_range("2026-01-01", periods=8, freq="MS")


def case(regions=4, seed=1):
    generator = np.random.default_rng(seed)
    heads = generator.integers(0, 4, (regions, 3)).astype(float)
    season = 1 + 0.04 * np.arange(8) + 0.2 * np.sin(np.arange(8) + generator.uniform(0, 6, (regions, 1, 1)))
    need = (heads[:, :, None] * season + generator.uniform(-0.5, 1, (regions, 3, 8))).clip(0)
    apart = np.abs(np.subtract.outer(np.arange(regions), np.arange(regions))) * 400.0
    due = generator.poisson(10, (regions, 8)).astype(float)
    work = need.sum(axis=1) * generator.uniform(0.8, 1.1, (regions, 8)) * 127.5
    return {
        "need": need,
        "heads": heads,
        "annual_cost": np.tile([95e3, 145e3, 220e3], (regions, 1)),
        "efficiency": np.tile([0.85, 1.0, 1.15], (regions, 1)),
        "distance_km": apart,
        "work_hours": np.maximum(work, due * 2.5),
        "paid_hours": np.full(8, 150.0),
        "inspections": due,
        "inspection_hours": 2.5,
        "regions": [f"R{r}" for r in range(regions)],
        "months": MONTHS,
    }


def planned(options=None, **changed):
    given = {"plan_gap": 2e-3, "plan_alternatives": False} | (options or {})
    return plan_people(**(case() | changed), options=StaffingOptions(**given))


@pytest.mark.parametrize("leavers", [0.0, 0.12])
def test_the_bound_of_the_large_road_is_below_the_optimum_and_its_plan_near(leavers, monkeypatch):
    options = {
        "leave_share_per_year": leavers,
        "train_cost_share": 0.05,
        "plan_gap": 0.0,
        "hire_lead_months": 1,
    }
    given = case(2, seed=3)
    best = planned(options, **given)
    monkeypatch.setattr(people_search, "WRITTEN_OUT", 0)
    near = planned(options | {"plan_gap": 0.05}, **given)
    assert near.bound <= best.cost * (1 + 1e-7)
    # The solver counts its gap from the cost.
    assert best.cost * (1 - 1e-7) <= near.cost <= near.bound / (1 - 0.05) * (1 + 1e-9)


def test_written_out_in_pulp_and_as_arrays_the_program_is_the_same():
    given = case(2)
    order = ("need", "heads", "annual_cost")
    rest = ("efficiency", "distance_km", "work_hours", "paid_hours", "inspections", "inspection_hours")
    checked, _ = read_case(
        *(given[n] for n in order), StaffingOptions(squad_people=1), *(given[n] for n in rest), *[None] * 4
    )
    blocks = build_model(checked).blocks
    named = blocks.solve(1e-4, 60.0, written_out=True)
    plain = blocks.solve(1e-4, 60.0, written_out=False)
    assert named.objective == pytest.approx(plain.objective, rel=2e-4)
    model = blocks.written_out()
    assert len(model.variables()) == blocks.width
    assert len(model.constraints) == blocks.height


def test_small_programs_are_written_out_and_large_ones_handed_over():
    given, one = case(4), np.ones((1, 1, 1))
    arguments = [given[n] for n in ("need", "heads", "annual_cost")]
    known = [given[n] for n in ("efficiency", "distance_km", "work_hours", "paid_hours", "inspections")]
    large, _ = read_case(*arguments, StaffingOptions(), *known, 2.5, *[None] * 4)
    small, _ = read_case(one, one[0], one[0], StaffingOptions(), *[None] * 5, 1.0, *[None] * 4)
    entries = [build_model(checked).blocks.entries for checked in (small, large)]
    assert entries[0] < _blocks.WRITTEN_OUT < entries[1]


def test_costs_by_kind_add_up_to_the_cost_and_tables_to_the_arrays():
    plan = planned({"squad_people": 1, "overtime_share": 0.1})
    assert plan.costs["cost"].sum() == pytest.approx(plan.cost, rel=1e-9)
    assert plan.gap <= 2e-3
    assert plan.shortages["people"].sum() == pytest.approx(plan.short.sum(), abs=0.5)
    by_action = plan.moves.groupby("action")["people"].sum()
    assert by_action.get("hire", 0.0) == plan.hire.sum() > 0
    assert by_action["lend"] == pytest.approx(plan.lent_in.sum(), abs=0.1)
    assert by_action.get("move", 0.0) == plan.move_in.sum() == plan.move_out.sum()
    assert plan.squad.sum(axis=0).max() <= 1 + 1e-9
    assert plan.moves["reason"].str.len().gt(0).all()


def test_overtime_is_at_most_its_share_of_people_at_home():
    plan = planned()
    worth = case()["efficiency"][:, :, None]
    assert plan.overtime.sum() > 0
    assert (plan.overtime <= 0.1 * worth * plan.people + 1e-6).all()


def test_inspections_move_a_month_to_flatten_the_hours():
    need, work = np.zeros((1, 1, 3)), np.array([[100.0, 150.0, 100.0]])
    plan = plan_people(
        need,
        [[1.0]],
        [[120e3]],
        StaffingOptions(max_utilisation=0.8, overtime_share=0.0, hire_lead_months=3),
        work_hours=work,
        paid_hours=[150.0] * 3,
        inspections=[[0.0, 20.0, 0.0]],
        inspection_hours=2.0,
    )
    assert plan.short.sum() == pytest.approx(0.0, abs=1e-9)
    moved = plan.inspections.set_index("month")["planned"]
    assert moved[2] == pytest.approx(5.0)
    assert moved.sum() == pytest.approx(20.0)
    assert moved.get(1, 0.0) <= 10 + 1e-9


def test_shortage_goes_where_the_market_stage_weighs_least():
    need = np.full((2, 1, 2), 1.0)
    options = StaffingOptions(overtime_share=0.0, hire_lead_months=2, squad_people=1, squad_loss_share=0.0)
    plan = plan_people(need, [[0.0], [0.0]], [[1e5], [1e5]], options, stage_weight=[1.0, 3.0])
    assert plan.short[:, 0].tolist() == [[1, 1], [0, 0]]
    assert plan.shortages["region_id"].unique().tolist() == [1]
    assert plan.shortages["cost"].sum() == pytest.approx(2 * 3 * 1e5 / 12)


def test_the_nearer_region_lends_and_loses_less_time():
    need = np.zeros((3, 1, 2))
    need[0, 0] = 0.5
    options = StaffingOptions(hire_lead_months=2, move_lead_months=2)
    far = [[0, 2000, 500], [2000, 0, 0], [500, 0, 0]]
    plan = plan_people(need, [[0.0], [1.0], [1.0]], np.full((3, 1), 1e5), options, distance_km=far)
    assert set(plan.moves["other_region_id"]) == {3}
    assert plan.lent_out[2, 0] == pytest.approx(0.5 / (1 - 0.2 - 0.2 * 0.5))


def test_a_flying_squad_grows_where_it_saves():
    need = np.zeros((4, 1, 8))
    need[:, 0] = 0.3
    options = {"squad_most": 5, "squad_loss_share": 0.0, "lend_neighbours": 0, "overtime_share": 0.0}
    plan = plan_people(
        need, np.zeros((4, 1)), np.full((4, 1), 1e5), StaffingOptions(**options), distance_km=np.zeros((4, 4))
    )
    assert plan.squad_hire == 1
    assert plan.hire.sum() <= 1
    assert plan.squad[:, :3].sum() == 0


def test_people_are_let_go_only_if_asked():
    need, heads, cost = np.full((1, 1, 12), 1.0), [[3.0]], [[1e5]]
    assert plan_people(need, heads, cost, StaffingOptions()).release.sum() == 0
    let = plan_people(need, heads, cost, StaffingOptions(release=True))
    assert let.release[0, 0, 0] == 2
    assert let.costs.set_index("kind")["cost"]["release"] == pytest.approx(0.4 * 2 * 1e5)


def test_train_or_hire_are_told_beside_the_plan_and_never_cheaper():
    need = np.zeros((1, 2, 12))
    need[0, 0], need[0, 1, 6:] = 2.0, 2.0
    options = StaffingOptions(plan_gap=0.0)
    plan = plan_people(need, [[4.0, 0.0]], [[1e5, 1.5e5]], options, skills=["junior", "senior"])
    table = plan.alternatives.set_index("name")
    assert list(table.index) == ["plan", "hire only", "train only"]
    assert plan.train.sum() == 2
    assert table.loc["hire only", "trained"] == 0 < table.loc["hire only", "hired"]
    assert table.loc["hire only", "cost"] > plan.cost
    assert (table["cost"] >= plan.cost - 1e-6).all()
    assert (table["bound"] <= table["cost"] + 1e-6).all()


def test_time_in_training_is_lost():
    need = np.zeros((1, 2, 3))
    need[0, 0, :2], need[0, 1, 2] = 1.0, 1.0
    options = {"train_months": 2, "overtime_share": 0.0, "hire_lead_months": 3}
    plan = plan_people(
        need, [[1.0, 0.0]], [[1e5, 1.5e5]], StaffingOptions(**options), skills=["junior", "senior"]
    )
    assert plan.train[0, 1].tolist() == [0, 0, 1]
    assert plan.short[0, 0].tolist() == pytest.approx([0.2, 0.2, 0.0])


def test_a_junior_becomes_an_expert_by_way_of_senior():
    need = np.zeros((1, 3, 6))
    need[0, 0, :2], need[0, 2, 4:] = 1.0, 1.0
    options = {"train_months": 2, "train_loss_share": 0.5, "train_cost_share": 0.05, "hire_lead_months": 6}
    wage = np.array([[1e5, 1.5e5, 2e5]])
    plan = plan_people(
        need, [[1.0, 0.0, 0.0]], wage, StaffingOptions(plan_gap=0.0, overtime_share=0.0, **options)
    )
    assert plan.train[0].tolist() == [[0] * 6, [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0]]
    assert plan.people[0].tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]]
    # A trainee of half the output leaves half a person missing.
    assert plan.short.sum() == pytest.approx(1.0)
    wages = 2 * wage.sum() / 12
    assert plan.cost == pytest.approx(wages + 0.05 * wage[0, 1:].sum() + 3 * wage[0, 0] / 12)


def test_figures_that_cannot_be_whole_together_are_held_in_turn():
    both = csc_matrix([[1.0, 1.0]])
    warm = WarmProgram(np.array([1.0, 2.0]), both, np.ones(1), np.ones(1), np.full(2, np.inf))
    relaxed = Solution(np.array([0.5, 0.5]), np.zeros(1), 1.5, 1.5, "optimal")
    all_of, none, free = np.ones(2, bool), np.zeros(2, bool), np.full(2, np.inf)
    found = people_search._hold_whole(warm, relaxed, both, all_of, free, np.arange(2), none, none)
    assert sorted(found.values.tolist()) == [0.0, 1.0]


def test_each_region_is_told_in_words_that_are_its_figures():
    plan = planned()
    words = region_words(plan, case()["need"], case()["regions"], MONTHS).set_index("region_id")["words"]
    assert list(words.index) == case()["regions"]
    for r, region in enumerate(case()["regions"]):
        assert (f"hires {plan.hire[r].sum():.0f}" in words[region]) == (plan.hire[r].sum() > 0)
        assert ("stay missing" in words[region]) == (plan.short[r].sum() > 0.05)
        assert "2026-" in words[region]


def test_regions_in_another_order_cost_the_same():
    given = case(3)
    order = [2, 0, 1]
    turned = {
        key: np.asarray(value)[order]
        if key not in ("paid_hours", "inspection_hours", "months", "distance_km")
        else value
        for key, value in given.items()
    }
    turned["distance_km"] = given["distance_km"][np.ix_(order, order)]
    first, second = planned({"plan_gap": 1e-3}, **given), planned({"plan_gap": 1e-3}, **turned)
    assert first.cost == pytest.approx(second.cost, rel=2e-3)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"heads": -np.ones((4, 3))}, "heads[0, 0]"),
        ({"annual_cost": np.full((4, 3), np.nan)}, "annual_cost[0, 0]"),
        ({"need": np.zeros((4, 3, 0))}, "need"),
        ({"need": np.zeros((4, 3))}, "need"),
        ({"need": np.full((4, 3, 8), np.inf)}, "need[0, 0, 0]"),
        ({"heads": np.zeros((4, 2))}, "heads"),
        ({"heads": "many"}, "heads"),
        ({"efficiency": np.zeros((4, 3))}, "efficiency[0, 0]"),
        ({"distance_km": np.zeros((4, 3))}, "distance_km"),
        ({"distance_km": np.full((4, 4), -1.0)}, "distance_km[0, 0]"),
        ({"paid_hours": None}, "paid_hours"),
        ({"paid_hours": np.zeros(8)}, "paid_hours[0]"),
        ({"work_hours": None}, "work_hours"),
        ({"inspections": np.full((4, 8), 1e6)}, "inspections[0, 0]"),
        ({"stage_weight": np.ones(8)}, "stage_weight"),
        ({"regions": ["R1", "R1", "R2", "R3"]}, "regions"),
        ({"months": MONTHS[:3]}, "months"),
        ({"regions": 4}, "regions"),
        ({"skills": ["junior", "junior", "expert"]}, "skills"),
        ({"inspection_hours": -1.0}, "inspection_hours"),
    ],
)
def test_bad_input_is_refused_by_name(changed, named):
    with pytest.raises(DataError) as caught:
        planned(**changed)
    assert caught.value.problems["column"].tolist() == [named]


def test_options_of_another_kind_are_refused_by_name():
    with pytest.raises(DataError) as caught:
        plan_people([[[1.0]]], [[1.0]], [[1e5]], {"plan_gap": 0.0})
    assert caught.value.problems["column"].tolist() == ["options"]


@pytest.mark.parametrize(
    "wrong", [{"leave_share_per_year": -0.1}, {"hire_lead_months": -1}, {"overtime_share": 1.5}]
)
def test_options_beyond_their_bounds_are_refused_by_name(wrong):
    with pytest.raises(DataError, match=next(iter(wrong))):
        StaffingOptions(**wrong)


def test_a_region_without_engineers_is_short_until_hires_can_start():
    need = np.full((2, 1, 6), 1.0)
    options = StaffingOptions(lend_neighbours=0, move_lead_months=6, overtime_share=0.0)
    plan = plan_people(
        need, [[1.0], [0.0]], [[1e5], [1e5]], options, distance_km=np.zeros((2, 2)), regions=["full", "empty"]
    )
    assert plan.hire.sum(axis=1).tolist() == [[0] * 6, [0, 0, 0, 1, 0, 0]]
    assert plan.shortages["region_id"].tolist() == ["empty"] * 3
    assert plan.shortages["reason"].str.contains("no hire can start before month 4").all()


def test_where_nobody_is_there_and_no_hire_comes_in_time_all_stays_missing():
    need = np.ones((2, 3, 6))
    plan = plan_people(need, np.zeros((2, 3)), np.full((2, 3), 1e5), StaffingOptions(hire_lead_months=9))
    assert plan.hire.sum() == 0
    np.testing.assert_allclose(plan.short, need)
    assert plan.cost == pytest.approx(36 * 3 * 1e5 / 12) == plan.bound
    assert plan.shortages["reason"].str.contains("no hire can start within these months").all()


def test_all_bad_arguments_are_told_at_once():
    with pytest.raises(DataError) as caught:
        planned(heads=-np.ones((4, 3)), annual_cost=np.full((4, 3), np.nan))
    assert len(caught.value.problems) == 2
