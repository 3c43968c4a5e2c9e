"""optimize_levels on a small checked dataset: promises per site and tier, overrides, budget, curve."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import spareplan as sp
from spareplan.config import StockingOptions
from spareplan.errors import DataError, InfeasibleError
from spareplan.results import DemandForecast, PartGrades, assumptions_frame
from spareplan.stocking.leadtime import network_tables, pipeline_rates

SITES = ["010", "020", "011", "012"]


@pytest.fixture(scope="module")
def plan_input():
    rng = np.random.default_rng(11)
    parts = pd.DataFrame(
        {
            "part_id": [f"P{i:02d}" for i in range(12)],
            "name": "part",
            "unit_cost": rng.lognormal(5, 1, 12).round(0),
            "lead_time_days": rng.uniform(20, 90, 12).round(0),
            "min_order": [1.0] * 10 + [5.0, 4.0],
            "pack_size": [1.0] * 10 + [1.0, 3.0],
        }
    )
    sites = pd.DataFrame(
        {
            "site_id": ["000", *SITES],
            "name": "site",
            "region_id": [None, "华东", "北京", "华东", "华东"],
            "parent_id": [None, "000", "000", "010", "010"],
            "lead_time_days": [0.0, 3.0, 5.0, 1.0, 2.0],
        }
    )
    regions = pd.DataFrame({"region_id": ["华东", "北京"], "name": ["East", "Beijing"]})
    history = pd.DataFrame(
        [(p, s, "2025-12-01", 1.0) for p in parts["part_id"] for s in SITES],
        columns=["part_id", "site_id", "month", "quantity"],
    )
    stock = pd.DataFrame(
        [(p, s, 2.0, 1.0, 5.0) for p in parts["part_id"] for s in ["000", *SITES]],
        columns=["part_id", "site_id", "on_hand", "reorder_point", "max_stock"],
    )
    data = sp.Dataset.from_frames(
        {"parts": parts, "sites": sites, "regions": regions, "demand": history, "stock": stock}
    )
    windows = pd.DataFrame(
        [
            (p, s, d, d * rate, 1.0, 0.0)
            for p in parts["part_id"]
            for s in SITES
            for rate in [rng.gamma(1.0, 0.01)]
            for d in (1.0, 400.0)
        ],
        columns=["part_id", "site_id", "days", "mean", "vmr", "rate_cv2"],
    )
    table = windows[["part_id", "site_id"]].drop_duplicates().assign(**{"q0.5": 0.0, "q0.9": 1.0})
    nothing = assumptions_frame([])
    demand = DemandForecast(table=table, assumptions=nothing, windows=windows)
    tier = np.repeat([1, 2, 3], 4)
    grades = PartGrades(
        assumptions=nothing,
        table=pd.DataFrame(
            {
                "part_id": parts["part_id"],
                "tier": tier,
                "planner": "hq",
                "target_fill_rate": np.array([0.95, 0.9, 0.8])[tier - 1],
                "target_wait_days": np.nan,
            }
        ),
    )
    return data, demand, grades


def evaluated(data, demand, levels) -> pd.DataFrame:
    sites, parts = network_tables(data)
    given = levels.table[["part_id", "site_id", "base_stock", "reorder_point", "order_quantity"]]
    given = given.assign(order_quantity=given["order_quantity"].where(given["site_id"] == "000"))
    return sp.stocking.evaluate_levels(sites, parts, pipeline_rates(data, demand), given)


def test_every_site_and_tier_keeps_its_promise_under_the_policy_that_will_run(plan_input):
    data, demand, grades = plan_input
    levels = sp.optimize_levels(data, demand, grades)
    rates = pipeline_rates(data, demand)
    table = (
        evaluated(data, demand, levels)
        .merge(rates, on=["part_id", "site_id"])
        .merge(grades.table, on="part_id")
    )
    table["met"] = table["fill_rate"] * table["demand_per_day"]
    groups = table.groupby(["site_id", "tier"])
    reached = groups["met"].sum() / groups["demand_per_day"].sum()
    promised = groups["target_fill_rate"].first()
    assert (reached >= promised - 1e-9).all()
    assert len(levels.service) == len(reached) == 12 and levels.service["kept"].all()
    stated = levels.service.set_index(["site_id", "tier"])["reached"].sort_index()
    assert stated.to_numpy() == pytest.approx(reached.to_numpy(), abs=1e-10)
    assert levels.lower_bound <= levels.cost == pytest.approx(levels.table["value"].sum())


def test_rows_carry_region_planner_quantity_and_a_reason(plan_input):
    data, demand, grades = plan_input
    levels = sp.optimize_levels(data, demand, grades)
    table = levels.table.set_index(["part_id", "site_id"])
    assert table.loc[("P00", "011"), "region_id"] == "华东" and pd.isna(
        table.loc[("P00", "000"), "region_id"]
    )
    assert (table["planner"] == "hq").all() and table["reason"].str.contains("expects").all()
    at_hq = table.xs("000", level="site_id")
    assert at_hq["order_quantity"].to_dict()["P10"] == 5 and at_hq["order_quantity"].to_dict()["P11"] == 6
    assert (at_hq["reorder_point"] == at_hq["base_stock"] - at_hq["order_quantity"]).all()
    assert levels.shadow_prices[["site_id", "tier"]].notna().all().all()
    assert {"method", "order_quantity_at_hq"} <= set(levels.assumptions["name"])


def test_a_planners_level_stays_and_the_rest_is_planned_around_it(plan_input):
    data, demand, grades = plan_input
    free = sp.optimize_levels(data, demand, grades)
    fixed = pd.DataFrame(
        {"part_id": ["P00", "P01", "P10"], "site_id": ["010", "011", "000"], "base_stock": [7, 4, 2]}
    )
    held = sp.optimize_levels(data, demand, grades, fixed=fixed)
    table = held.table.set_index(["part_id", "site_id"])["base_stock"]
    assert [table[key] for key in zip(fixed["part_id"], fixed["site_id"])] == [7, 4, 2]
    assert held.service["kept"].all() and held.cost > free.lower_bound
    assert "fixed by hand" in held.table.query("part_id == 'P00' and site_id == '010'")["reason"].item()
    with pytest.raises(DataError) as caught:
        sp.optimize_levels(data, demand, grades, fixed=fixed.assign(part_id="none", base_stock=1.5))
    assert set(caught.value.problems["column"]) == {"part_id", "base_stock"}


def test_the_models_own_level_stands_beside_a_planners(plan_input):
    data, demand, grades = plan_input
    free = sp.optimize_levels(data, demand, grades)
    assert "model_base_stock" not in free.table
    pair = ["part_id", "site_id"]
    much = free.table.query("base_stock > 0").drop_duplicates("part_id")[[*pair, "base_stock"]].head(6)
    held = sp.optimize_levels(data, demand, grades, fixed=much.assign(base_stock=much["base_stock"] + 6))
    both = held.table.merge(much.rename(columns={"base_stock": "unfixed"}), on=pair, how="left")
    touched = both["unfixed"].notna()
    assert (both.loc[~touched, "model_base_stock"] == both.loc[~touched, "base_stock"]).all()
    # What planners hold too much of leaves the prices of the others nearly where they were.
    own = both.loc[touched]
    assert (own["model_base_stock"] < own["base_stock"]).all()
    assert (own["model_base_stock"] - own["unfixed"]).abs().max() <= 2


def test_a_budget_below_the_least_names_the_least(plan_input):
    data, demand, grades = plan_input
    levels = sp.optimize_levels(data, demand, grades)
    with pytest.raises(InfeasibleError) as caught:
        sp.optimize_levels(data, demand, grades, budget=levels.cost / 2)
    assert caught.value.least == pytest.approx(levels.cost)
    assert sp.optimize_levels(data, demand, grades, budget=levels.cost * 1.1).cost == levels.cost


def test_the_curve_rises_and_holds_this_plan_and_today(plan_input):
    levels = sp.optimize_levels(*plan_input)
    curve = levels.curve()
    line = curve[curve["what"] == "curve"].sort_values("money")
    assert line["service"].is_monotonic_increasing and len(line) == 15
    assert curve.query("what == 'this plan'")["money"].item() == pytest.approx(levels.cost)
    today = curve.query("what == 'today'")
    costs = plan_input[0].parts["unit_cost"]
    assert today["money"].item() == pytest.approx(5 * costs.sum() * 5)
    by_group = levels.curve(by_group=True)
    assert set(by_group["group"]) == set(levels.service["group"])


def test_dear_orders_are_bought_in_economic_quantities(plan_input):
    data, demand, grades = plan_input
    levels = sp.optimize_levels(data, demand, grades, options=StockingOptions(order_cost=50.0))
    at_hq = levels.table[levels.table["site_id"] == "000"].set_index("part_id")
    yearly = at_hq["demand_per_day"] * 365.25
    cost = data.parts.set_index("part_id")["unit_cost"].reindex(yearly.index)
    economic = np.round(np.sqrt(2 * yearly * 50.0 / (0.2 * cost)))
    assert (at_hq["order_quantity"] >= economic).all() and (at_hq["order_quantity"] > 1).any()
    assert levels.service["kept"].all()


def test_a_promise_within_a_window_is_kept_and_published(plan_input):
    data, demand, grades = plan_input
    plain = sp.optimize_levels(data, demand, grades)
    urgent = grades.table.assign(
        window_days=1.0, target_in_window=np.where(grades.table["tier"] == 1, 0.98, np.nan)
    )
    levels = sp.optimize_levels(data, demand, PartGrades(table=urgent, assumptions=grades.assumptions))
    sites, parts = network_tables(data)
    given = levels.table[["part_id", "site_id", "base_stock", "reorder_point", "order_quantity"]]
    given = given.assign(order_quantity=given["order_quantity"].where(given["site_id"] == "000"))
    rates = pipeline_rates(data, demand)
    waits = sp.stocking.evaluate_levels(sites, parts, rates, given, times=(1.0,)).merge(
        rates, on=["part_id", "site_id"]
    )
    tier_1 = waits[waits["part_id"].isin(urgent.loc[urgent["tier"] == 1, "part_id"])]
    in_window = levels.service[levels.service["measure"] == "in_window"].set_index("site_id")["reached"]
    for site, rows in tier_1.groupby("site_id"):
        reached = np.average(rows["wait_le_1"], weights=rows["demand_per_day"])
        stated = in_window.loc[site]
        assert reached >= 0.98 - 1e-9 and stated == pytest.approx(reached, abs=1e-9)
    assert levels.service["kept"].all() and levels.cost >= plain.cost
    assert plain.lower_bound * (1 - 1e-6) <= levels.lower_bound <= levels.cost


def test_the_plan_knows_its_curves_by_tier_site_and_region(plan_input):
    levels = sp.optimize_levels(*plan_input)
    for by, pieces in {"tier": [1, 2, 3], "site": SITES, "region": ["北京", "华东"]}.items():
        table = levels.curve(by=by, points=3)
        assert set(table[by]) == {"all", *pieces} and set(table["what"]) == {"curve", "this plan", "today"}
    bought = levels.next_money(500.0, by="tier")
    assert bought["tier"].iloc[0] == "all" and set(bought["tier"].iloc[1:]) == {1, 2, 3}
    assert bought["reason"].str.contains("in the whole network|for tier [123]").all()
    assert set(levels.point_costs()["group"]) == set(levels.service["group"])


def test_a_short_budget_buys_the_best_service_and_says_what_is_missed(plan_input):
    data, demand, grades = plan_input
    full = sp.optimize_levels(data, demand, grades)
    options = StockingOptions(short_budget="best_service")
    short = sp.optimize_levels(data, demand, grades, budget=0.7 * full.cost, options=options)
    assert short.cost <= 0.7 * full.cost and short.least_budget == pytest.approx(full.cost)
    assert 0 < short.lower_bound <= short.cost and not short.service["kept"].all()
    assert (short.service.loc[~short.service["kept"], "slack"] < 0).all()
    assert "Furthest behind" in short.summary() and "no levels for this money miss less" in short.summary()
    # Enough money: nothing changes.
    assert sp.optimize_levels(data, demand, grades, budget=full.cost, options=options).cost == full.cost


def test_the_summary_says_what_is_dear_and_what_more_money_buys(plan_input):
    levels = sp.optimize_levels(*plan_input)
    said = levels.summary()
    assert "no whole levels keep the same promises below" in said and "promises kept" in said
    assert "dearest promises" in said and "machine-hours of waiting a year less" in said
    prices = levels.shadow_prices
    assert (prices["one_point_costs"] == prices["price"]).all()
    assert prices["one_point"].eq("0.01 of fill rate more").all()
