"""What the plan before issued stays inside the frozen horizon, and nothing else changes by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import spareplan as sp
from spareplan.config import StockingOptions
from spareplan.results import Plan
from tests.small_network import CONFIG, LAST, frames, network, override

FROZEN = replace(CONFIG, frozen_weeks=5)
NEXT = pd.Timestamp("2026-06-30")
JULY = pd.Timestamp("2026-07-01")
CELL = ["part_id", "site_id", "month"]


def later(**tables: pd.DataFrame) -> sp.Dataset:
    """The dataset a month later: one month of records more, nothing received, a slower supplier."""
    parts = frames()["parts"].assign(lead_time_days=[45.0, 60.0, 10.0, 10.0])
    return network(NEXT, parts=parts, **tables)


@pytest.fixture(scope="module")
def before() -> Plan:
    return sp.make_plan(network(), FROZEN)


@pytest.fixture(scope="module")
def after(before: Plan) -> Plan:
    return sp.make_plan(later(), FROZEN, previous=before)


def same(plan: Plan, other: Plan, *left_out: str) -> None:
    for name, table in plan.tables().items():
        if name in ("assumptions", *left_out):
            continue
        columns = [column for column in table if column not in ("reason", "issued_on")]
        pd.testing.assert_frame_equal(other.tables()[name][columns], table[columns], obj=name)


def in_july(plan: Plan) -> pd.DataFrame:
    return plan.demand.table[plan.demand.table["month"] == JULY]


def frozen(plan: Plan, weeks: int = 5) -> pd.DataFrame:
    orders = plan.orders.table
    first = orders["week"].min()
    return orders[orders["week"] < first + pd.Timedelta(weeks=weeks)].reset_index(drop=True)


def test_a_run_that_follows_itself_with_nothing_new_changes_nothing(before: Plan) -> None:
    again = sp.make_plan(network(), FROZEN, previous=before)
    same(before, again)
    kept = frozen(again)
    assert kept["issued_on"].eq(LAST).all() and kept["reason"].str.contains("stays as issued").all()
    third = sp.make_plan(network(), FROZEN, previous=again)
    same(before, third)
    assert frozen(third)["reason"].tolist() == kept["reason"].tolist()


def test_the_plan_before_changes_nothing_where_no_week_is_frozen_and_any_change_pays(before: Plan) -> None:
    free = replace(CONFIG, stocking=StockingOptions(change_must_save=0.0))
    alone = sp.make_plan(later(), free)
    same(alone, sp.make_plan(later(), free, previous=before))


def test_levels_follow_the_plan_before_and_say_so(before: Plan) -> None:
    plan = sp.make_plan(later(), CONFIG, previous=before)
    table = plan.levels.table
    old = before.levels.table.set_index(["part_id", "site_id"])["base_stock"]
    keys = pd.MultiIndex.from_frame(table[["part_id", "site_id"]])
    assert table["previous_base_stock"].tolist() == old.reindex(keys).tolist()
    assert any("levels changed against the plan before" in line for line in plan.lines)
    row = table.iloc[0]
    told = plan.explain(row["part_id"], row["site_id"])
    assert told.table.set_index("step")["value"]["base stock before"] == row["previous_base_stock"]


def test_orders_of_the_frozen_weeks_are_identical_and_the_rest_is_planned_anew(
    before: Plan, after: Plan
) -> None:
    monday = pd.Timestamp("2026-07-06")
    until = monday + pd.Timedelta(weeks=5)
    columns = ["week", "part_id", "from_site_id", "to_site_id", "kind"]
    columns += ["quantity", "value", "due_on", "position"]
    issued, kept = before.orders.table, after.orders.table
    issued = issued[(issued["week"] >= monday) & (issued["week"] < until)][columns].reset_index(drop=True)
    kept = kept[kept["week"] < until]
    kept = kept[kept["kind"] != "emergency"][columns].reset_index(drop=True)
    assert len(issued) > 5
    order = ["week", "part_id", "to_site_id", "kind"]
    pd.testing.assert_frame_equal(
        kept.sort_values(order, ignore_index=True), issued.sort_values(order, ignore_index=True)
    )
    alone = sp.make_plan(later(), replace(CONFIG, frozen_weeks=0)).orders.table
    alone = alone.loc[alone["week"] < until, columns]
    assert not alone.equals(issued), "the model itself would order otherwise"
    assert (after.orders.table["week"] >= until).any()


def test_a_month_wholly_inside_keeps_the_published_number_beside_the_models(
    before: Plan, after: Plan
) -> None:
    published = in_july(before).set_index(CELL)["mean"]
    table = after.demand.table.set_index(CELL)
    assert len(published)
    pd.testing.assert_series_equal(in_july(after).set_index(CELL)["mean"], published)
    alone = sp.make_plan(later(), CONFIG).demand.table.set_index(CELL)["mean"]
    pd.testing.assert_series_equal(table["model_mean"], alone, check_names=False)
    ahead = table[table.index.get_level_values("month") > JULY]
    pd.testing.assert_series_equal(ahead["mean"], ahead["model_mean"], check_names=False)
    np.testing.assert_allclose(table["from_frozen"], table["mean"] - table["model_mean"])
    told = after.demand.contributions.groupby(CELL)["mean"].sum()
    pd.testing.assert_series_equal(told, table["mean"].sort_index(), check_names=False)
    moved = in_july(after).query("from_frozen != 0")["reason"]
    said = "kept as issued .plan as of 2026-05-31., the model now says"
    assert len(moved) and moved.str.contains(said).all()


def test_windows_and_spread_follow_the_published_months(after: Plan) -> None:
    days = after.demand.windows["days"].max()
    ahead = after.demand.lead_time_demand(float(days)).set_index(["part_id", "site_id"])["mean"]
    table = after.demand.table
    ends = (table["month"] + pd.offsets.MonthEnd(0) - after.as_of).dt.days
    total = table[ends <= days].groupby(["part_id", "site_id"])["mean"].sum()
    if (ends == days).any():
        pd.testing.assert_series_equal(ahead, total, check_names=False, rtol=1e-6)
    spread = table["vmr"] * table["mean"] + table["rate_cv2"] * table["mean"] ** 2
    np.testing.assert_allclose(table["variance"], spread, rtol=1e-9)


def test_a_changed_base_stock_comes_into_force_after_the_frozen_weeks(before: Plan, after: Plan) -> None:
    table = after.levels.table
    issued = before.levels.table.set_index(["part_id", "site_id"])["base_stock"]
    keys = pd.MultiIndex.from_frame(table[["part_id", "site_id"]])
    assert table["issued_base_stock"].tolist() == issued.reindex(keys).tolist()
    changed = table["base_stock"] != table["issued_base_stock"]
    assert changed.any() and not changed.all()
    assert table.loc[~changed, "in_force_from"].eq(pd.Timestamp("2026-07-06")).all()
    assert table.loc[changed, "in_force_from"].eq(pd.Timestamp("2026-08-10")).all()
    assert table.loc[changed, "reason"].str.contains("until then . as issued").all()


def test_orders_that_stand_in_open_orders_already_are_not_doubled(before: Plan) -> None:
    monday = pd.Timestamp("2026-07-06")
    issued = before.orders.table.query("week >= @monday and kind == 'purchase' and part_id == 'C-3'")
    issued = issued[issued["week"] < monday + pd.Timedelta(weeks=5)]
    running = before.orders.table.query("week < @monday and part_id == 'C-3' and kind == 'purchase'")
    running = running[running["due_on"] >= monday]
    pieces = running["quantity"].sum() + issued["quantity"].iloc[0]
    placed = pd.DataFrame(
        {
            "order_id": ["4711"],
            "part_id": ["C-3"],
            "from_site_id": [None],
            "to_site_id": ["HQ"],
            "quantity": [pieces],
            "due_on": ["2026-07-10"],
        }
    )
    plan = sp.make_plan(later(open_orders=placed), FROZEN, previous=before)
    kept = frozen(plan).query("part_id == 'C-3' and kind == 'purchase'")
    assert kept["quantity"].sum() == issued["quantity"].sum() - issued["quantity"].iloc[0]
    noted = plan.assumptions.query("stage == 'frozen horizon'").set_index("name")["value"]
    assert int(noted["orders placed already"]) >= 1
    # What the plan before knew to be open is none of its own orders.
    knew = sp.make_plan(network(open_orders=placed.assign(due_on="2026-07-10")), FROZEN)
    same_order = sp.make_plan(later(open_orders=placed), FROZEN, previous=knew)
    issued_then = knew.orders.table.query("week >= @monday and part_id == 'C-3' and kind == 'purchase'")
    issued_then = issued_then[issued_then["week"] < monday + pd.Timedelta(weeks=5)]["quantity"].sum()
    still = frozen(same_order).query("part_id == 'C-3' and kind == 'purchase'")["quantity"].sum()
    assert still == issued_then


def test_an_emergency_may_still_be_added_and_says_so(before: Plan) -> None:
    stock = pd.DataFrame(
        {
            "part_id": ["C-3", "C-3"],
            "site_id": ["HQ", "东站"],
            "on_hand": [40, 0],
            "backorders": [0, 6],
        }
    )
    plan = sp.make_plan(later(stock=stock), FROZEN, previous=before)
    added = frozen(plan).query("kind == 'emergency'")
    assert len(added) and added["issued_on"].isna().all()
    assert added["reason"].str.contains("added inside the frozen weeks").all()
    routine = frozen(plan).query("kind != 'emergency'")
    assert routine["issued_on"].notna().all()


def test_issued_emergencies_stay_and_are_not_given_twice() -> None:
    stock = pd.DataFrame({"part_id": ["C-3", "C-3"], "site_id": ["HQ", "东站"], "on_hand": [40, 0],
                          "backorders": [0, 6]})  # fmt: skip
    first = sp.make_plan(network(stock=stock), FROZEN)
    assert (first.orders.table["kind"] == "emergency").any()
    again = sp.make_plan(network(stock=stock), FROZEN, previous=first)
    same(first, again)
    assert frozen(again).query("kind == 'emergency'")["issued_on"].eq(LAST).all()


def test_an_old_decision_does_not_reach_into_the_frozen_months_and_a_new_one_does(before: Plan) -> None:
    month = {"part_id": "A-1", "site_id": "东站", "month": "2026-07-01"}
    late = later(overrides=pd.DataFrame([override(value=20, when="2026-05-31", **month)]))
    held = sp.make_plan(late, FROZEN, previous=before)
    cell = ("A-1", "东站", pd.Timestamp("2026-07-01"))
    published = before.demand.table.set_index(CELL)["mean"]
    assert held.demand.table.set_index(CELL)["mean"][cell] == published[cell]
    listed = held.inputs["applied_overrides"].iloc[0]
    assert listed["status"] == "held by the frozen horizon" and "decide it anew" in listed["note"]
    new = later(overrides=pd.DataFrame([override(value=20, when="2026-06-10", **month)]))
    plan = sp.make_plan(new, FROZEN, previous=before)
    row = plan.demand.table.set_index(CELL).loc[cell]
    assert row["mean"] == 20 and row["from_override"] == pytest.approx(20 - published[cell])
    assert row["model_mean"] + row["from_frozen"] + row["from_override"] == pytest.approx(20)
    assert plan.inputs["applied_overrides"]["status"].tolist() == ["inside the frozen horizon"]
    for told in (held, plan):
        found = told.exceptions.query("kind == 'override'")
        assert len(found) == 1 and "李敏" in found["message"].iloc[0]
    assert "approve" in plan.exceptions.query("kind == 'override'")["action"].iloc[0]
    # Approved with the plan it came with, it is no news in the next one.
    again = sp.make_plan(new, FROZEN, previous=plan)
    assert again.inputs["applied_overrides"]["status"].tolist() == ["applied"]
    assert again.exceptions.query("kind == 'override'").empty
    same(plan, again, "exceptions", "levels")


def test_a_level_set_after_the_plan_before_is_in_force_at_once_and_frees_its_shelf(before: Plan) -> None:
    decided = override("levels", "base_stock", 9, when="2026-06-15", part_id="B-2", site_id="东站")
    plan = sp.make_plan(later(overrides=pd.DataFrame([decided])), FROZEN, previous=before)
    level = plan.levels.table.set_index(["part_id", "site_id"]).loc[("B-2", "东站")]
    assert level["base_stock"] == 9 and level["in_force_from"] == pd.Timestamp("2026-07-06")
    moves = frozen(plan).query("part_id == 'B-2' and kind != 'emergency'")
    added = moves[moves["issued_on"].isna()]
    assert added["quantity"].sum() > 0, "the shelf, or who supplies it, orders what the planner added"
    assert moves["issued_on"].notna().any()
    others = frozen(plan).query("part_id != 'B-2' and kind != 'emergency'")
    assert others["issued_on"].notna().all()


def test_an_order_of_the_frozen_weeks_moves_only_by_a_new_decision(before: Plan) -> None:
    cell = {"part_id": "A-1", "site_id": "HQ", "month": "2026-07-01"}
    for when, moved in (("2026-05-20", False), ("2026-06-20", True)):
        decided = override("orders", "quantity", 7, when=when, **cell)
        plan = sp.make_plan(later(overrides=pd.DataFrame([decided])), FROZEN, previous=before)
        bought = frozen(plan).query("part_id == 'A-1' and to_site_id == 'HQ' and week < '2026-08-01'")
        assert len(bought) and bought["quantity"].eq(7).all() == moved
        if moved:
            assert bought["value"].eq(7 * 900).all() and bought["model_quantity"].lt(7).all()


def test_a_plan_of_a_later_day_cannot_be_followed(after: Plan) -> None:
    with pytest.raises(sp.DataError, match="is a plan of a later day than 2026-05-31"):
        sp.make_plan(network(), FROZEN, previous=after)


def test_orders_are_frozen_no_further_than_the_plan_before_reaches(before: Plan) -> None:
    plan = sp.make_plan(later(), replace(FROZEN, frozen_weeks=20), previous=before)
    last = before.orders.table["week"].min() + pd.Timedelta(weeks=CONFIG.weeks)
    orders = plan.orders.table
    routine = orders[(orders["week"] < last) & (orders["kind"] != "emergency")]
    assert routine["issued_on"].notna().all()
    assert orders.loc[orders["week"] >= last, "issued_on"].isna().all()
    months = sorted(plan.demand.table.loc[plan.demand.table["from_frozen"] != 0, "month"].dt.month.unique())
    assert months == [7, 8, 9]


def test_an_explanation_names_the_issued_number_and_adds_up(before: Plan, after: Plan) -> None:
    july = in_july(after).query("from_frozen != 0").iloc[0]
    why = after.demand.explain(july["part_id"], july["site_id"], july["month"])
    steps = why.table.set_index("step")["value"]
    assert steps["+ issued number kept"] == pytest.approx(july["from_frozen"])
    assert steps[steps.index.str.startswith("+")].sum() == pytest.approx(july["mean"])
    assert steps["the model's own number"] == pytest.approx(july["model_mean"])
    changed = after.levels.table.query("base_stock != issued_base_stock").iloc[0]
    level = after.explain(changed["part_id"], changed["site_id"])
    told = level.table.set_index("step")["value"]
    assert told["issued base stock"] == changed["issued_base_stock"]
    assert told[told.index.str.startswith("+")].sum() == pytest.approx(changed["base_stock"])
    assert any("in force from 2026-08-10" in line for line in level.lines)


def test_row_order_does_not_matter(before: Plan, after: Plan) -> None:
    mixed = {
        name: table.sample(frac=1, random_state=1)
        for name, table in later().tables.items()
        if name in later().given
    }
    again = sp.make_plan(sp.Dataset.from_frames(mixed), FROZEN, previous=before)
    same(after, again)
