"""The whole month on the sample data: it adds up, explains itself, and repeats itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

import spareplan as sp
from spareplan.overrides import fixed_levels
from spareplan.results import ASSUMPTION_COLUMNS, Plan

CONFIG = sp.PlanConfig(months=6, years=3, weeks=6, seed=5)


@pytest.fixture(scope="module")
def data(samples: Path) -> sp.Dataset:
    return sp.read_dataset(samples / "delivery_pump")


@pytest.fixture(scope="module")
def plan(data: sp.Dataset) -> Plan:
    return sp.make_plan(data, CONFIG)


def test_every_stage_fills_the_columns_of_the_contract(plan: Plan) -> None:
    from spareplan.tables.catalog import PLAN_TABLES

    tables = plan.tables()
    assert set(tables) >= {
        "demand",
        "grades",
        "levels",
        "check",
        "orders",
        "crew",
        "exceptions",
        "assumptions",
    }
    for name, table in tables.items():
        wanted = [column.name for column in PLAN_TABLES[name].columns if column.required]
        assert [column for column in wanted if column not in table] == [], name
        if "reason" in table:
            assert table["reason"].astype(str).str.len().gt(3).all(), name


def test_the_forecast_adds_up_to_its_sources(plan: Plan) -> None:
    table = plan.demand.table
    sources = ["from_installed_base", "from_new_units", "from_history", "from_planned"]
    total = table[sources].sum(axis=1) + table.get("from_override", 0.0)
    np.testing.assert_allclose(total, table["mean"], rtol=1e-6, atol=1e-9)
    levels = sorted(column for column in table if column.startswith("q0."))
    assert (table[levels].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_the_money_of_the_plan_is_the_money_in_its_table(plan: Plan) -> None:
    cost = plan.inputs["parts"].set_index("part_id")["unit_cost"]
    table = plan.levels.table
    assert plan.levels.cost == pytest.approx((table["base_stock"] * table["part_id"].map(cost)).sum())
    assert plan.levels.cost == pytest.approx(table["value"].sum())
    assert 0 < plan.levels.lower_bound <= plan.levels.cost
    assert plan.levels.gap == pytest.approx(plan.levels.cost / plan.levels.lower_bound - 1)


def test_every_promise_is_kept_by_the_levels(plan: Plan) -> None:
    service = plan.levels.service
    fill = service[service["measure"] == "fill_rate"]
    assert (fill["reached"] >= fill["target"] - 1e-9).all()


def test_orders_are_whole_go_along_the_network_and_respect_packs(plan: Plan, data: sp.Dataset) -> None:
    orders = plan.orders.table
    assert len(orders) and (orders["quantity"] > 0).all() and (orders["quantity"] % 1 == 0).all()
    assert orders["week"].nunique() <= CONFIG.weeks and (orders["week"].dt.day_of_week == 0).all()
    bought = orders[orders["kind"] == "purchase"].merge(data.parts, on="part_id")
    assert bought["from_site_id"].isna().all() and (bought["to_site_id"] == data.network.hq).all()
    assert (bought["quantity"] >= bought["min_order"]).all()
    assert (bought["quantity"] % bought["pack_size"] == 0).all()
    routine = orders[orders["kind"] == "replenish"]
    assert (routine["to_site_id"].map(data.network.parent) == routine["from_site_id"]).all()


def test_an_explanation_adds_up_to_the_published_level(plan: Plan) -> None:
    table = plan.levels.table
    rows = pd.concat([table.nlargest(10, "value"), table.sample(20, random_state=1)])
    for row in rows.itertuples(index=False):
        why = plan.explain(row.part_id, row.site_id)
        steps = why.table.set_index("step")["value"]
        assert steps[steps.index.str.startswith("+")].sum() == pytest.approx(row.base_stock)
        assert steps["= base stock"] == row.base_stock
        assert row.part_id in why.lines[0] and row.site_id in why.lines[0]


def test_an_override_shows_in_the_plan_with_who_and_why(plan: Plan) -> None:
    table = plan.levels.table
    level = table[(table["part_id"] == "00102") & (table["site_id"] == "070")]
    assert level["base_stock"].tolist() == [2]
    assert any("王磊" in line for line in plan.explain("00102", "070").lines)
    applied = plan.inputs["applied_overrides"]
    assert applied["status"].tolist() == ["applied", "applied"]


def test_an_unknown_level_is_refused_with_the_sites_that_have_one(plan: Plan) -> None:
    with pytest.raises(sp.DataError, match="is not in the plan"):
        plan.explain("no such part", "010")
    with pytest.raises(sp.DataError, match="has levels at"):
        plan.explain("00101", "no such site")


def test_exceptions_are_ranked_and_each_names_an_action(plan: Plan) -> None:
    table = plan.exceptions
    assert len(table) and table["rank"].tolist() == list(range(1, len(table) + 1))
    assert table["message"].str.len().gt(10).all() and table["action"].str.len().gt(5).all()
    assert set(table["kind"]) >= {"shortage", "excess"}


def test_assumptions_name_their_origin_for_every_stage(plan: Plan) -> None:
    table = plan.assumptions
    assert list(table.columns) == ASSUMPTION_COLUMNS
    assert {"plan", "forecast", "grades", "stocking", "simulation", "replenishment", "staffing"} <= set(
        table["stage"]
    )
    assert (table["origin"] != "").all()
    months = table[(table["stage"] == "plan") & (table["name"] == "months")]
    assert months[["value", "origin"]].values.tolist() == [["6", "set by the user"]]


def test_the_same_data_config_and_seed_give_the_same_plan_whatever_the_row_order(
    data: sp.Dataset, plan: Plan
) -> None:
    shuffled = {name: data.tables[name].sample(frac=1, random_state=3) for name in data.given}
    again = sp.make_plan(sp.Dataset.from_frames(shuffled), CONFIG)
    for name, table in plan.tables().items():
        if name not in ("assumptions",):
            pd.testing.assert_frame_equal(again.tables()[name], table, obj=name, rtol=1e-9)


def test_plans_stand_side_by_side(data: sp.Dataset, plan: Plan) -> None:
    lean = replace(plan, levels=replace(plan.levels, cost=plan.levels.cost / 2))
    figures = sp.compare_plans({"base": plan, "lean": lean})
    assert list(figures.columns) == ["base", "lean"]
    assert figures.loc["money in base stock [money]"].tolist() == [plan.levels.cost, plan.levels.cost / 2]


def test_a_whole_plan_survives_the_store_and_the_export(plan: Plan, tmp_path: Path) -> None:
    store = sp.PlanStore(f"sqlite:///{tmp_path / 'plans.db'}")
    again = store.get(store.save(plan, "planner"))
    for name, table in plan.tables().items():
        pd.testing.assert_frame_equal(again.tables()[name], table, obj=name)
    paths = sp.export_plan(again, tmp_path / "out")
    assert len(paths) == 12
    book = openpyxl.load_workbook(next(path for path in paths if "East" in path.name), read_only=True)
    rows = sum(1 for _ in book["Stock levels"].rows) - 1
    region = plan.levels.table["region_id"].eq("华东").sum()
    assert rows == region
    store.close()


def test_a_plan_without_staffing_names_what_was_left_out(samples: Path) -> None:
    plan = sp.make_plan(sp.read_dataset(samples / "overseas_rail"), sp.PlanConfig(months=3, years=1, weeks=2))
    assert plan.crew is None
    assert plan.left_out["what"].tolist() == ["head count"]
    assert plan.demand.table["from_history"].sum() > 0 and plan.demand.table["from_installed_base"].sum() > 0
    assert plan.levels.table["site_id"].nunique() > 3


def test_a_budget_too_small_for_the_promises_names_the_least_that_would_do(
    data: sp.Dataset, plan: Plan
) -> None:
    # The same problem as the plan's, a planner's fixed level included.
    fixed = fixed_levels(data, plan.as_of)
    with pytest.raises(sp.InfeasibleError) as caught:
        sp.optimize_levels(data, plan.demand, plan.grades, budget=1000.0, fixed=fixed)
    assert caught.value.least is not None and 1000 < caught.value.least <= plan.levels.cost * 1.01
