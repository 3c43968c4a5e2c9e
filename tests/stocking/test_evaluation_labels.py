"""What `evaluation` says of a row, in evaluated levels and in found plans."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.stocking import evaluate_levels, simulate, solve_levels
from tests.stocking import networks

TREE = ([-1, 0, 1, 1, 0], [20.0, 5, 2, 2, 3], [0, 0.2, 0.1, 0.05, 0.1], [3, 4, 1, 0, 1])


def plan_and_check(repair=0.0, spread=0.0, quantity=1):
    sites, parts, rates, _ = networks.tables(*TREE)
    rates = rates.assign(
        repair_share_site=rates["site_id"].map({"S01": repair}).fillna(0.0), repair_days_site=20.0
    )
    parts = parts.assign(lead_time_sd_days=spread, order_quantity=quantity)
    targets = pd.DataFrame({"site_id": ["S01", "S02", "S03", "S04"], "target_wait_days": 0.8})
    plan = solve_levels(sites, parts, rates, targets).table
    given = (sites, parts, rates, plan[["part_id", "site_id", "reorder_point", "order_quantity"]])
    return plan.set_index("site_id"), given


@pytest.mark.parametrize(
    "wish, told",
    [
        ({}, ["exact"] * 5),
        ({"repair": 0.5}, ["exact", "exact", "near_exact", "near_exact", "exact"]),
        ({"spread": 8.0}, ["exact"] * 5),
        ({"quantity": 3}, ["exact"] * 5),
        ({"spread": 8.0, "quantity": 3}, ["fixed_times"] * 5),
    ],
)
def test_plans_and_evaluated_levels_say_the_same_of_every_row(wish, told):
    plan, given = plan_and_check(**wish)
    table = evaluate_levels(*given).set_index("site_id")
    assert list(plan.loc[sorted(plan.index), "evaluation"]) == told
    assert list(table.loc[sorted(plan.index), "evaluation"]) == told
    np.testing.assert_allclose(plan["ebo"], table["ebo"].reindex(plan.index), atol=1e-9)


def test_below_a_depot_that_repairs_a_plan_is_nearly_what_simulation_finds():
    plan, given = plan_and_check(repair=0.5)
    simulated = simulate(*given, years=2000, seed=5)
    wide = {
        column: simulated.pivot_table(index="site_id", columns="measure", values=column, dropna=False)
        for column in ("value", "half_width")
    }
    off = (plan["mean_wait_days"] - wide["value"]["mean_wait_days"]).abs()
    exact = plan.index[plan["evaluation"] == "exact"]
    assert (off <= 2 * wide["half_width"]["mean_wait_days"]).loc[exact].all()
    assert (off <= 0.09 * wide["value"]["mean_wait_days"] + 0.01).all()
