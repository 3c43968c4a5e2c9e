"""solve_levels against proven optima, brute force, its own evaluation and silly wishes."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError, InfeasibleError
from spareplan.stocking import evaluate_levels, solve_levels

SITES = pd.DataFrame(
    {"site_id": ["HQ", "A", "B"], "parent_id": [None, "HQ", "HQ"], "lead_time_days": [0.0, 4.0, 7.0]}
)
PARTS = pd.DataFrame(
    {
        "part_id": ["p1", "p2", "p3"],
        "unit_cost": [100.0, 40.0, 250.0],
        "lead_time_days": [45.0, 90.0, 30.0],
        "group": ["x", "y", "x"],
    }
)
RATES = pd.DataFrame(
    {
        "part_id": ["p1", "p1", "p2", "p2", "p3"],
        "site_id": ["A", "B", "A", "B", "A"],
        "demand_per_day": [0.02, 0.01, 0.03, 0.004, 0.006],
    }
)
WAITS = pd.DataFrame({"site_id": ["A", "B"], "target_wait_days": [0.5, 0.9]})


def tiny(case: dict) -> tuple[pd.DataFrame, ...]:
    count, stations = np.shape(case["lam"])
    names = [f"S{j}" for j in range(stations)]
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", *names],
            "parent_id": [None] + ["HQ"] * stations,
            "lead_time_days": [0.0, *case["Lj"]],
        }
    )
    parts = pd.DataFrame(
        {"part_id": [f"p{i}" for i in range(count)], "unit_cost": case["h"], "lead_time_days": case["L0"]}
    )
    rates = pd.DataFrame(
        [(f"p{i}", names[j], case["lam"][i][j]) for i in range(count) for j in range(stations)],
        columns=["part_id", "site_id", "demand_per_day"],
    )
    return sites, parts, rates, pd.DataFrame({"site_id": names, "target_wait_days": case["W"]})


def reached(table: pd.DataFrame, rates: pd.DataFrame, measure: str) -> pd.Series:
    own = table.merge(rates, on=["part_id", "site_id"], suffixes=("_all", ""))
    weight = own["demand_per_day"]
    return (own[measure] * weight).groupby(own["site_id"]).sum() / weight.groupby(own["site_id"]).sum()


def cheapest_by_enumeration(sites, parts, rates, kept, top) -> float:
    """Least money over all levels up to `top`, part by part tables evaluated by evaluate_levels."""
    options = []
    for part in parts["part_id"]:
        mine = rates[rates["part_id"] == part]
        stocked = ["HQ", *mine["site_id"]]
        vectors = list(itertools.product(range(top + 1), repeat=len(stocked)))
        copies = pd.concat([parts[parts["part_id"] == part].assign(part_id=k) for k in range(len(vectors))])
        wide = pd.concat([mine.assign(part_id=k) for k in range(len(vectors))])
        levels = pd.DataFrame(
            [(k, s, x) for k, v in enumerate(vectors) for s, x in zip(stocked, v)],
            columns=["part_id", "site_id", "base_stock"],
        )
        done = evaluate_levels(sites, copies, wide, levels)
        cost = done.groupby("part_id")["base_stock"].sum() * parts.set_index("part_id").loc[part, "unit_cost"]
        options.append((cost.to_numpy(), kept(part, done)))
    best = np.inf
    for choice in itertools.product(*[range(len(cost)) for cost, _ in options]):
        cost = sum(options[i][0][k] for i, k in enumerate(choice))
        if cost < best and (sum(options[i][1][k] for i, k in enumerate(choice)) <= 1e-12).all():
            best = cost
    return best


def test_tiny_cases_reach_their_proven_optimum(test_data):
    cases = json.loads((test_data / "stocking" / "tiny_optima.json").read_text())["instances"]
    over = []
    for case in cases:
        found = solve_levels(*tiny(case))
        assert found.lower_bound <= case["optimal_cost"] * (1 + 1e-12)
        assert found.service["kept"].all()
        over.append(found.cost / case["optimal_cost"] - 1)
    assert max(over) <= 0.01 and np.mean(over) <= 0.003
    assert min(over) >= -1e-12


def test_five_hundred_parts_lie_within_a_twentieth_percent_of_the_exact_bound(test_data):
    folder = test_data / "stocking" / "levels_500x8"
    sites, parts, rates, targets = (
        pd.read_csv(folder / f"{name}.csv") for name in ("sites", "parts", "rates", "targets")
    )
    known = json.loads((folder / "bounds.json").read_text())
    found = solve_levels(sites, parts, rates, targets)
    assert found.cost <= known["exact_lower_bound"] * 1.0005
    assert found.cost <= known["exact_feasible_cost"]
    # Our bound may be sharper than the published one, but never above a plan that exists.
    assert known["exact_lower_bound"] * (1 - 1e-6) <= found.lower_bound <= known["exact_feasible_cost"]
    checked = evaluate_levels(sites, parts, rates, found.table[["part_id", "site_id", "base_stock"]])
    waits = reached(checked, rates, "mean_wait_days")
    assert (waits <= targets.set_index("site_id")["target_wait_days"].reindex(waits.index) * (1 + 1e-8)).all()


@pytest.mark.parametrize("seed", range(4))
def test_small_fill_rate_plans_cost_what_enumeration_finds(seed):
    rng = np.random.default_rng(seed)
    parts = PARTS.iloc[:2].assign(unit_cost=rng.integers(20, 200, 2).astype(float))
    rates = RATES.iloc[:4].assign(demand_per_day=rng.gamma(1.0, 0.01, 4))
    target = pd.DataFrame({"site_id": ["A", "B"], "target_fill_rate": rng.uniform(0.6, 0.85, 2)})
    limit = target.set_index("site_id")["target_fill_rate"]

    def short(part, done):
        own = done.merge(rates[rates["part_id"] == part].drop(columns="part_id"), on="site_id")
        own["short"] = own["demand_per_day"] * (own["site_id"].map(limit) - own["fill_rate"])
        return own.pivot_table(index="part_id", columns="site_id", values="short").to_numpy()

    best = cheapest_by_enumeration(SITES, parts, rates, short, 5)
    found = solve_levels(SITES, parts, rates, target)
    assert found.table["base_stock"].max() <= 5
    assert found.lower_bound <= best * (1 + 1e-12)
    assert found.cost == pytest.approx(best, rel=0.01)


def test_published_figures_are_those_of_the_evaluation():
    found = solve_levels(SITES, PARTS, RATES, WAITS)
    checked = evaluate_levels(SITES, PARTS, RATES, found.table)
    both = found.table.merge(checked, on=["part_id", "site_id"], suffixes=("", "_checked"))
    assert len(both) == len(found.table) == len(checked)
    for column in ("ebo", "fill_rate", "mean_wait_days"):
        assert both[column].to_numpy() == pytest.approx(both[f"{column}_checked"].to_numpy(), abs=1e-10)
    assert found.cost == pytest.approx(found.table["value"].sum())
    assert reached(checked, RATES, "mean_wait_days")["A"] <= 0.5


def test_overdispersed_parts_are_planned_under_the_evaluation_that_is_published():
    rates = RATES.assign(vmr=[1.0, 1.0, 2.5, 2.5, 1.0], rate_cv2=[0.0, 0.0, 0.2, 0.2, 0.0])
    found = solve_levels(SITES, PARTS, rates, WAITS)
    checked = evaluate_levels(SITES, PARTS, rates, found.table)
    both = found.table.merge(checked, on=["part_id", "site_id"], suffixes=("", "_checked"))
    assert (both["evaluation"] == both["evaluation_checked"]).all()
    assert set(both.loc[both["part_id"] == "p2", "evaluation"]) == {"two_moment"}
    assert both["ebo"].to_numpy() == pytest.approx(both["ebo_checked"].to_numpy(), abs=1e-9)
    assert found.cost >= solve_levels(SITES, PARTS, RATES, WAITS).cost


def test_order_quantities_at_hq_are_part_of_the_promise():
    parts = PARTS.assign(order_quantity=[4, 1, 3])
    found = solve_levels(SITES, parts, RATES, WAITS)
    at_hq = found.table[found.table["site_id"] == "HQ"].set_index("part_id")
    assert (at_hq["base_stock"] - at_hq["reorder_point"] == at_hq["order_quantity"]).all()
    assert at_hq["order_quantity"].to_dict() == {"p1": 4, "p2": 1, "p3": 3}
    checked = evaluate_levels(SITES, parts, RATES, found.table)
    both = found.table.merge(checked, on=["part_id", "site_id"], suffixes=("", "_checked"))
    assert both["ebo"].to_numpy() == pytest.approx(both["ebo_checked"].to_numpy(), abs=1e-10)
    assert found.service["kept"].all()
    assert found.cost > solve_levels(SITES, PARTS, RATES, WAITS).cost


def test_groups_at_one_site_keep_their_own_promises():
    targets = pd.DataFrame(
        {
            "site_id": ["A", "A", "B"],
            "group": ["x", "y", "x"],
            "target_fill_rate": [0.97, 0.7, np.nan],
            "target_wait_days": [np.nan, 2.0, 1.0],
        }
    )
    found = solve_levels(SITES, PARTS, RATES, targets)
    service = found.service.set_index(["group", "measure"])
    assert set(found.service["group"]) == {"A / x", "A / y", "B / x"}
    assert service["kept"].all() and len(service) == 4
    table = found.table.merge(PARTS[["part_id", "group"]]).merge(
        RATES, on=["part_id", "site_id"], suffixes=("_all", "")
    )
    here = table[(table["site_id"] == "A") & (table["group"] == "x")]
    assert np.average(here["fill_rate"], weights=here["demand_per_day"]) >= 0.97
    # p2 at B belongs to no promise, so it needs nothing there.
    assert found.table.query("part_id == 'p2' and site_id == 'B'")["base_stock"].item() == 0


def test_three_echelons_with_demand_everywhere_keep_their_promises():
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", "D", "E", "D1", "D2", "E1"],
            "parent_id": [None, "HQ", "HQ", "D", "D", "E"],
            "lead_time_days": [0.0, 6.0, 9.0, 2.0, 3.0, 2.5],
        }
    )
    rng = np.random.default_rng(5)
    parts = pd.DataFrame(
        {
            "part_id": [f"p{i:02d}" for i in range(20)],
            "unit_cost": rng.lognormal(4, 1, 20).round(2),
            "lead_time_days": rng.uniform(20, 120, 20).round(1),
        }
    )
    rates = pd.DataFrame(
        [(p, s, rng.gamma(0.7, 0.01)) for p in parts["part_id"] for s in sites["site_id"]],
        columns=["part_id", "site_id", "demand_per_day"],
    )
    targets = sites[["site_id"]].assign(target_wait_days=[2.0, 1.0, 1.5, 0.4, 0.5, 0.6])
    found = solve_levels(sites, parts, rates, targets)
    checked = evaluate_levels(sites, parts, rates, found.table)
    waits = reached(checked, rates, "mean_wait_days")
    assert (waits <= targets.set_index("site_id")["target_wait_days"].reindex(waits.index) * (1 + 1e-8)).all()
    assert 0 <= found.gap < 0.05


def test_the_order_of_rows_does_not_matter():
    first = solve_levels(SITES, PARTS, RATES, WAITS)
    turned = solve_levels(
        SITES.iloc[::-1], PARTS.iloc[::-1], RATES.sample(frac=1, random_state=1), WAITS.iloc[::-1]
    )
    keys = ["part_id", "site_id"]
    one, two = (r.table.sort_values(keys, ignore_index=True) for r in (first, turned))
    pd.testing.assert_frame_equal(one, two)
    assert first.cost == turned.cost and first.lower_bound == pytest.approx(turned.lower_bound, rel=1e-12)


def test_a_budget_buys_the_least_waiting_and_more_money_never_buys_more():
    waits = []
    for budget in (200.0, 600.0, 1200.0):
        found = solve_levels(SITES, PARTS, RATES, budget=budget)
        assert found.cost <= budget and found.lower_bound <= found.cost
        waits.append(
            found.table.merge(RATES, on=["part_id", "site_id"], suffixes=("_all", ""))
            .eval("demand_per_day * mean_wait_days")
            .sum()
        )
    assert waits[0] > waits[1] > waits[2]


def test_with_targets_a_budget_is_a_ceiling_and_the_least_is_named():
    least = solve_levels(SITES, PARTS, RATES, WAITS)
    enough = solve_levels(SITES, PARTS, RATES, WAITS, budget=least.cost)
    assert enough.cost == least.cost and enough.least_budget == least.cost
    with pytest.raises(InfeasibleError, match="least that does") as caught:
        solve_levels(SITES, PARTS, RATES, WAITS, budget=least.cost * 0.9)
    assert caught.value.least == pytest.approx(least.cost)
    assert set(caught.value.clashes["group"]) <= {"A", "B"} and len(caught.value.clashes)


def test_floors_and_ceilings_hold_and_impossible_ones_are_named():
    limits = pd.DataFrame(
        {"part_id": ["p1", "p2"], "site_id": ["A", "HQ"], "at_least": [5, 0], "at_most": [np.nan, 0]}
    )
    table = solve_levels(SITES, PARTS, RATES, WAITS, limits=limits).table.set_index(["part_id", "site_id"])
    assert table.loc[("p1", "A"), "base_stock"] >= 5 and table.loc[("p2", "HQ"), "base_stock"] == 0
    closed = RATES[["part_id", "site_id"]].assign(at_most=0)
    with pytest.raises(InfeasibleError, match="can be reached") as caught:
        solve_levels(SITES, PARTS, RATES, WAITS, limits=closed)
    assert (caught.value.clashes["reachable"] > caught.value.clashes["target"]).all()


@pytest.mark.parametrize(
    "targets",
    [
        pd.DataFrame({"site_id": ["A"], "target_fill_rate": [1.0]}),
        pd.DataFrame({"site_id": ["B"], "target_wait_days": [0.0]}),
    ],
)
def test_certainty_is_refused_with_what_can_be_asked_instead(targets):
    with pytest.raises(InfeasibleError, match=r"no upper bound.*ask for") as caught:
        solve_levels(SITES, PARTS, RATES, targets)
    assert list(caught.value.clashes["site_id"]) == list(targets["site_id"])


def test_certainty_is_kept_where_nothing_is_ever_on_the_way():
    sites, parts = SITES.assign(lead_time_days=0.0), PARTS.assign(lead_time_days=0.0)
    targets = pd.DataFrame({"site_id": ["A"], "target_fill_rate": [1.0]})
    found = solve_levels(sites, parts, RATES, targets)
    assert found.service["kept"].all() and found.cost == 100 + 40 + 250


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lambda t: t.assign(site_id=["A", "nowhere"]), "site_id"),
        (lambda t: t.assign(target_wait_days=[0.5, np.nan]), "target_wait_days"),
        (lambda t: t.assign(target_wait_days=[0.5, -1.0]), "target_wait_days"),
        (lambda t: t.assign(target_fill_rate=[0.9, 95.0]), "target_fill_rate"),
        (lambda t: t.assign(site_id=["A", "A"]), "site_id"),
        (lambda t: t.assign(group=["x", "unheard of"]), "group"),
        (lambda t: t.drop(columns="target_wait_days"), ""),
        (lambda t: t.drop(columns="site_id"), "site_id"),
    ],
)
def test_faulty_targets_are_refused_by_name(change, column):
    with pytest.raises(DataError) as caught:
        solve_levels(SITES, PARTS, RATES, change(WAITS))
    assert "targets" in set(caught.value.problems["table"])
    assert column in set(caught.value.problems["column"])


def test_all_faults_of_the_tables_come_at_once():
    with pytest.raises(DataError) as caught:
        solve_levels(
            SITES, PARTS.assign(unit_cost=[1.0, -2.0, np.nan]), RATES.assign(demand_per_day=-1.0), WAITS
        )
    assert set(caught.value.problems["table"]) == {"parts", "rates"}
    for argument in ({"budget": -5.0}, {"method": "guess"}):
        with pytest.raises(DataError):
            solve_levels(SITES, PARTS, RATES, WAITS, **argument)


def test_no_targets_and_no_budget_need_no_stock():
    found = solve_levels(SITES, PARTS, RATES)
    assert found.cost == 0 and found.gap == 0 and (found.table["base_stock"] == 0).all()
