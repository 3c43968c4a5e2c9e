"""What the business asks of levels: caps, ceilings, floors, criticality, third parties, whole packs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import spareplan as sp
from spareplan.config import StockingOptions
from spareplan.errors import DataError, InfeasibleError
from spareplan.results import DemandForecast, PartGrades, assumptions_frame

STATIONS = ["E1", "E2", "W1"]
# More parts than the integer programme over few parts takes, so that every solution is quick.
COUNT = 320
PARTS = [f"P{i:02d}" for i in range(COUNT)]
MONTH = 30.4375


@pytest.fixture(scope="module")
def given():
    """Parts of two tiers at headquarters and three stations of two regions."""
    random = np.random.default_rng(3)
    parts = pd.DataFrame(
        {
            "part_id": PARTS,
            "name": "part",
            "unit_cost": random.lognormal(5, 1, COUNT).round(0),
            "lead_time_days": random.uniform(20, 90, COUNT).round(0),
            "pack_size": [4.0, 6.0] + [1.0] * (COUNT - 2),
            "min_order": [1.0, 8.0] + [1.0] * (COUNT - 2),
        }
    )
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", *STATIONS],
            "name": "site",
            "region_id": [None, "华东", "华东", "西南"],
            "parent_id": [None, "HQ", "HQ", "HQ"],
            "lead_time_days": [0.0, 2.0, 4.0, 7.0],
        }
    )
    frames = {
        "parts": parts,
        "sites": sites,
        "regions": pd.DataFrame({"region_id": ["华东", "西南"], "name": ["East", "Southwest"]}),
        "demand": pd.DataFrame(
            [(part, site, "2025-12-01", 1.0) for part in PARTS for site in STATIONS],
            columns=["part_id", "site_id", "month", "quantity"],
        ),
    }
    rate = random.gamma(1.0, 0.02, (COUNT, 3)) + 0.001
    return sp.Dataset.from_frames(frames), forecast(rate), grades()


def forecast(rate):
    windows = pd.DataFrame(
        [
            (part, site, days, days * rate[i, j], 1.0, 0.0)
            for i, part in enumerate(PARTS)
            for j, site in enumerate(STATIONS)
            for days in (1.0, 400.0)
        ],
        columns=["part_id", "site_id", "days", "mean", "vmr", "rate_cv2"],
    )
    table = windows[["part_id", "site_id"]].drop_duplicates().assign(**{"q0.5": 0.0, "q0.9": 1.0})
    return DemandForecast(table=table, assumptions=assumptions_frame([]), windows=windows)


def grades(**columns):
    tier = np.repeat([1, 2], COUNT // 2)
    table = pd.DataFrame(
        {
            "part_id": PARTS,
            "tier": tier,
            "planner": "hq",
            "criticality": "essential",
            "target_fill_rate": np.array([0.95, 0.9])[tier - 1],
            "target_wait_days": np.nan,
        }
        | columns
    )
    return PartGrades(table=table, assumptions=assumptions_frame([]))


def solve(given, **arguments):
    options = arguments.pop("options", StockingOptions())
    graded = arguments.pop("grades", given[2])
    return sp.optimize_levels(given[0], given[1], graded, options=options, **arguments)


@pytest.fixture(scope="module")
def free(given):
    """Levels that nothing but the promises holds."""
    return solve(given)


def money_in(levels, region):
    return levels.table.loc[levels.table["region_id"] == region, "value"].sum()


def test_a_cap_is_kept_with_every_promise_and_the_rest_of_the_network_pays(given, free):
    cap = 0.9 * money_in(free, "西南")
    capped = solve(given, caps=pd.DataFrame({"region_id": ["西南"], "cap": [cap]}))
    assert money_in(capped, "西南") <= cap * (1 + 1e-9)
    assert capped.service["kept"].all()
    assert capped.cost >= free.lower_bound
    row = capped.service[capped.service["measure"] == "money"].iloc[0]
    assert row["group"] == "西南" and row["target"] == cap
    assert row["reached"] == pytest.approx(money_in(capped, "西南"))
    assert any(line.startswith("region 西南: ") for line in capped.lines)


def test_caps_of_the_options_count_where_none_are_given(given, free):
    cap = 0.95 * money_in(free, "华东")
    by_option = solve(given, options=StockingOptions(region_caps={"华东": cap}))
    by_table = solve(given, caps=pd.DataFrame({"region_id": ["华东"], "cap": [cap]}))
    assert by_option.table["base_stock"].tolist() == by_table.table["base_stock"].tolist()


def test_a_cap_that_no_stock_elsewhere_makes_possible_names_the_region_and_the_least_that_does(given):
    with pytest.raises(InfeasibleError) as caught:
        solve(given, options=StockingOptions(region_caps={"西南": 1.0}))
    least = caught.value.least
    assert "西南" in str(caught.value) and least > 1.0
    enough = solve(given, options=StockingOptions(region_caps={"西南": 1.02 * least}))
    assert money_in(enough, "西南") <= 1.02 * least * (1 + 1e-9)


def test_a_cap_of_an_unknown_region_is_refused_by_name(given):
    with pytest.raises(DataError, match="华北"):
        solve(given, options=StockingOptions(region_caps={"华北": 1e6}))


def test_no_level_exceeds_the_months_of_demand_it_may_hold_and_the_rows_say_so(given, free):
    held = solve(given, options=StockingOptions(max_months_of_demand=2))
    lead = given[0].parts.set_index("part_id")["lead_time_days"]
    way = given[0].sites.set_index("site_id")["lead_time_days"]
    table = held.table
    at_hq = table["site_id"] == "HQ"
    days = table["part_id"].map(lead).where(at_hq, table["site_id"].map(way))
    most = np.maximum(np.ceil(table["demand_per_day"] * (days + 2 * MONTH) - 1e-9), 1)
    most = np.maximum(most, table["order_quantity"] - 1)
    assert (table["base_stock"] <= most).all()
    assert (table["base_stock_at_most"] == most).all()
    assert (free.table["base_stock"] > most).any()
    assert held.service["kept"].all()
    assert held.cost >= free.lower_bound
    at_ceiling = table["base_stock"] == most
    assert table.loc[~at_ceiling, "reason"].str.contains("at its ceiling").sum() == 0


def test_ceilings_that_break_a_promise_are_named_with_what_can_be_reached(given):
    table = given[2].table.assign(target_fill_rate=0.99999)
    strict = PartGrades(table=table, assumptions=assumptions_frame([]))
    with pytest.raises(InfeasibleError) as caught:
        solve(given, grades=strict, options=StockingOptions(max_months_of_demand=0.1))
    assert "months of demand" in str(caught.value)
    assert caught.value.clashes["ceilings"].str.contains("months of demand").all()
    assert (caught.value.clashes["reachable"] < 0.99999).all()


def test_a_part_that_perishes_lies_no_longer_than_its_shelf_life(given):
    data, demand, _ = given
    life = data.parts.assign(shelf_life_days=np.where(data.parts["part_id"] == "P03", 45.0, np.nan))
    perishing = (data.with_tables(parts=life), demand, given[2])
    held = solve(perishing).table.set_index(["part_id", "site_id"])
    free = solve(perishing, options=StockingOptions(keep_shelf_life=False)).table
    assert "base_stock_at_most" not in free
    own = held.loc["P03"]
    lead = data.parts.set_index("part_id").loc["P03", "lead_time_days"]
    days = pd.Series({"HQ": lead, "E1": 2.0, "E2": 4.0, "W1": 7.0})
    most = np.maximum(np.ceil(own["demand_per_day"] * (days + 45) - 1e-9), 1)
    assert (own["base_stock_at_most"] == most).all() and (own["base_stock"] <= most).all()
    assert held.drop(index="P03", level=0)["base_stock_at_most"].isna().all()


def test_a_part_without_a_price_is_stocked_like_a_cheap_one_and_not_for_ever(given):
    data, demand, graded = given
    cost = np.where(data.parts["part_id"] == "P02", 0.0, data.parts["unit_cost"])
    parts = data.parts.assign(unit_cost=cost)
    levels = solve((data.with_tables(parts=parts), demand, graded))
    own = levels.table[levels.table["part_id"] == "P02"].set_index("site_id")
    lead = data.parts.set_index("part_id").loc["P02", "lead_time_days"]
    assert (own["fill_rate"].drop("HQ") > 0.95).all()
    cover = own["base_stock"] - own["demand_per_day"] * (lead + 7.0)
    spread = np.sqrt(own["demand_per_day"] * (lead + 7.0))
    assert (cover <= 5 * spread + 4).all()
    assert levels.service["kept"].all()


def test_planners_floors_and_ceilings_hold_and_the_rest_is_planned_around_them(given, free):
    own = free.table.set_index(["part_id", "site_id"])["base_stock"]
    bounds = pd.DataFrame(
        {
            "part_id": ["P05", "P40"],
            "site_id": ["E1", "W1"],
            "at_least": [own["P05", "E1"] + 2, np.nan],
            "at_most": [np.nan, max(own["P40", "W1"] - 1, 0)],
        }
    )
    levels = solve(given, bounds=bounds)
    table = levels.table.set_index(["part_id", "site_id"])
    assert table.loc[("P05", "E1"), "base_stock"] >= own["P05", "E1"] + 2
    assert table.loc[("P40", "W1"), "base_stock"] <= max(own["P40", "W1"] - 1, 0)
    assert table.loc[("P05", "E1"), "base_stock_at_least"] == own["P05", "E1"] + 2
    assert levels.service["kept"].all()
    named = table["model_base_stock"] != table["base_stock"]
    assert set(named.index[named]) <= {("P05", "E1"), ("P40", "W1")}
    again = solve(given, bounds=bounds.iloc[::-1])
    assert again.table["base_stock"].tolist() == levels.table["base_stock"].tolist()


def test_a_fixed_level_goes_before_a_floor_of_the_same_shelf(given):
    bounds = pd.DataFrame({"part_id": ["P05"], "site_id": ["E1"], "at_least": [5]})
    fixed = pd.DataFrame({"part_id": ["P05"], "site_id": ["E1"], "base_stock": [1]})
    table = solve(given, bounds=bounds, fixed=fixed).table.set_index(["part_id", "site_id"])
    assert table.loc[("P05", "E1"), "base_stock"] == 1


def test_bad_floors_are_refused_all_at_once(given):
    bounds = pd.DataFrame(
        {
            "part_id": ["P00", "nobody", "P01", "P02"],
            "site_id": ["E1", "E1", "nowhere", "E2"],
            "at_least": [1.5, 1, 1, 4],
            "at_most": [np.nan, np.nan, np.nan, 2],
        }
    )
    with pytest.raises(DataError) as caught:
        solve(given, bounds=bounds)
    found = caught.value.problems
    assert sorted(found["row"].tolist()) == [2, 3, 4, 5]
    assert set(found["column"]) == {"at_least", "part_id", "site_id"}


def test_faults_of_all_tables_of_wishes_are_told_at_once_before_anything_is_searched(given):
    row = pd.DataFrame({"part_id": ["P00"], "site_id": ["E1"]})
    with pytest.raises(DataError) as caught:
        solve(
            given,
            bounds=row.assign(at_most=2.5),
            fixed=row.assign(part_id="P99999", base_stock=1),
            caps=pd.DataFrame({"region_id": ["nowhere"], "cap": [5.0]}),
            previous=row.assign(base_stock=-1),
        )
    found = caught.value.problems
    assert found[["table", "column"]].values.tolist() == [
        ["bounds", "at_most"],
        ["caps", "region_id"],
        ["fixed", "part_id"],
        ["previous", "base_stock"],
    ]
    with pytest.raises(DataError) as caught:
        solve(given, bounds=[1], previous="levels")
    assert caught.value.problems["column"].tolist() == ["bounds", "previous"]


def test_levels_of_planners_stand_where_nothing_is_asked_for(given):
    data, demand, graded = given
    there = (demand.windows["part_id"] != "P05") | (demand.windows["site_id"] != "W1")
    demand = dataclasses.replace(demand, windows=demand.windows[there])
    row = pd.DataFrame({"part_id": ["P05"], "site_id": ["W1"]})
    for wish in ({"bounds": row.assign(at_least=3)}, {"fixed": row.assign(base_stock=3)}):
        table = solve((data, demand, graded), **wish).table.set_index(["part_id", "site_id"])
        assert table.loc[("P05", "W1"), "base_stock"] == 3


def test_vital_parts_lie_wherever_they_are_asked_for(given):
    vital = grades(criticality=["vital"] * 3 + ["essential"] * (COUNT - 3))
    levels = solve(given, grades=vital, options=StockingOptions(vital_pieces=3))
    table = levels.table
    stations = table["part_id"].isin(PARTS[:3]) & table["site_id"].isin(STATIONS)
    assert (table.loc[stations, "base_stock"] >= 3).all()
    assert (table.loc[stations, "base_stock_at_least"] == 3).all()
    free = solve(given, grades=vital).table
    assert (free.loc[stations, "base_stock"] < 3).any()
    assert "model_base_stock" not in table


def test_vital_parts_with_their_own_target_reach_it_themselves(given):
    target = np.where(np.arange(COUNT) < 2, 0.99, np.repeat([0.95, 0.9], COUNT // 2))
    vital = grades(criticality=["vital"] * 2 + ["essential"] * (COUNT - 2), target_fill_rate=target)
    apart = solve(given, grades=vital)
    assert set(apart.service["part_group"]) == {"tier 1", "tier 1 vital", "tier 2"}
    own = apart.table[apart.table["part_id"].isin(PARTS[:2]) & apart.table["site_id"].isin(STATIONS)]
    reached = (own["fill_rate"] * own["demand_per_day"]).groupby(own["site_id"]).sum()
    assert (reached / own.groupby("site_id")["demand_per_day"].sum() >= 0.99 - 1e-9).all()
    together = solve(given, grades=vital, options=StockingOptions(own_promise=False))
    assert set(together.service["part_group"]) == {"tier 1", "tier 2"}
    assert together.lower_bound <= apart.cost
    check = sp.simulate_levels(given[0], given[1], apart, years=2, seed=1)
    assert len(check.table) == len(apart.service)


def test_what_a_third_party_supplies_costs_headquarters_nothing_and_helps_no_promise_of_its_own(given):
    outside = grades(planner=["third_party"] * 4 + ["hq"] * 20 + ["region"] * (COUNT - 24))
    levels = solve(given, grades=outside)
    table = levels.table
    theirs = table["planner"] == "third_party"
    assert levels.cost == pytest.approx(table.loc[~theirs, "value"].sum())
    assert 0 < levels.lower_bound <= levels.cost
    assert table["value"][theirs].sum() > 0
    said = table.groupby("planner")["decision"].unique().map(list).to_dict()
    assert said == {"hq": ["decided"], "region": ["to_confirm"], "third_party": ["third_party"]}
    assert "tier 1 third party" in set(levels.service["part_group"])
    rest = given[0].with_tables(
        parts=given[0].parts[given[0].parts["part_id"].isin(PARTS[4:])],
        demand=given[0].demand[given[0].demand["part_id"].isin(PARTS[4:])],
    )
    windows = given[1].windows
    own = dataclasses.replace(
        given[1],
        table=given[1].table[given[1].table["part_id"].isin(PARTS[4:])],
        windows=windows[windows["part_id"].isin(PARTS[4:])],
    )
    alone = sp.optimize_levels(rest, own, PartGrades(outside.table.iloc[4:], outside.assumptions))
    assert levels.lower_bound <= alone.cost * (1 + 1e-9)
    assert levels.cost <= alone.cost * 1.02
    assert any("third parties" in line and "regions to confirm" in line for line in levels.lines)


def test_a_cap_counts_no_money_of_third_parties(given):
    outside = grades(planner=["third_party"] * (COUNT // 2) + ["hq"] * (COUNT // 2))
    free = solve(given, grades=outside)
    own = free.table[(free.table["region_id"] == "华东") & (free.table["planner"] == "hq")]["value"].sum()
    capped = solve(given, grades=outside, options=StockingOptions(region_caps={"华东": 1.01 * own}))
    assert capped.cost <= free.cost * (1 + 1e-6)


def test_the_plan_before_stays_where_a_change_saves_too_little_and_the_rows_say_so(given, free):
    first = free
    data, demand, graded = given
    factor = np.tile(np.repeat([0.93, 1.08, 1.0], 2), COUNT)
    moved = demand.windows.assign(mean=demand.windows["mean"] * factor)
    later = (data, dataclasses.replace(demand, windows=moved), graded)
    previous = first.table[["part_id", "site_id", "base_stock"]]
    least = solve(later, previous=previous, options=StockingOptions(change_must_save=0.0))
    steady = solve(later, previous=previous)
    assert (steady.table["previous_base_stock"] == first.table["base_stock"]).all()

    def changes(levels):
        return int((levels.table["base_stock"] != levels.table["previous_base_stock"]).sum())

    assert changes(steady) <= changes(least)
    assert steady.service["kept"].all()
    assert steady.lower_bound == pytest.approx(least.lower_bound)
    assert any("levels changed against the plan before" in line for line in steady.lines)
    kept = steady.table["reason"].str.contains("kept from the plan before")
    assert (steady.table.loc[kept, "base_stock"] == steady.table.loc[kept, "previous_base_stock"]).all()
    shuffled = solve(later, previous=previous.sample(frac=1.0, random_state=3))
    assert shuffled.table["base_stock"].tolist() == steady.table["base_stock"].tolist()


def test_steadiness_never_breaks_a_budget(given, free):
    high = free.table[["part_id", "site_id", "base_stock"]].assign(base_stock=lambda f: f["base_stock"] + 1)
    budget = free.cost * 1.0001
    levels = solve(given, previous=high, budget=budget, options=StockingOptions(change_must_save=1.5))
    assert levels.cost <= budget
    assert levels.service["kept"].all()


def test_what_hq_orders_comes_in_whole_packs_and_least_orders(free):
    at_hq = free.table[free.table["site_id"] == "HQ"].set_index("part_id")
    assert at_hq.loc["P00", "order_quantity"] % 4 == 0
    assert at_hq.loc["P01", "order_quantity"] == 12
    assert (at_hq["base_stock"] - at_hq["reorder_point"] == at_hq["order_quantity"]).all()
    below = free.table[free.table["site_id"] != "HQ"]
    assert (below["order_quantity"] == 1).all()
