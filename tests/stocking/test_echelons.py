"""Evaluation of levels, against computed and published answers, brute force and properties."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from spareplan.errors import DataError
from spareplan.maths import distributions
from spareplan.stocking import echelons, evaluate_levels, expected_backorders, waiting
from spareplan.stocking._forest import read_forest
from spareplan.stocking.echelons import evaluate_forest, kernel_service
from tests.stocking import networks

CLOSE = {"rtol": 1e-8, "atol": 1e-8}


def test_two_echelons_agree_with_an_independent_evaluator(test_data):
    for given, case in networks.two_echelon_cases(test_data):
        exact = evaluate_levels(*given)
        assert set(exact["evaluation"]) == {"exact"}
        np.testing.assert_allclose(exact["ebo"][0], case["EBO0"], **CLOSE)
        np.testing.assert_allclose(exact["fill_rate"][0], case["fill0"], **CLOSE)
        np.testing.assert_allclose(exact["ebo"][1:], case["EBO"], **CLOSE)
        np.testing.assert_allclose(exact["fill_rate"][1:], case["fill"], **CLOSE)
        np.testing.assert_allclose(exact["mean_wait_days"][1:], case["wait"], **CLOSE)
        np.testing.assert_allclose(
            evaluate_levels(*given, method="metric")["ebo"][1:], case["EBO_metric"], **CLOSE
        )
        moments = evaluate_levels(*given, method="two_moment")
        np.testing.assert_allclose(moments["ebo"][1:], case["EBO_varimetric"], **CLOSE)


def test_three_echelons_agree_with_an_independent_evaluator(test_data):
    for given, case in networks.three_echelon_cases(test_data):
        exact = evaluate_levels(*given).set_index("site_id").sort_index()
        for ours, theirs in [("ebo", "EBO"), ("fill_rate", "fill"), ("mean_wait_days", "wait")]:
            np.testing.assert_allclose(exact[ours], case[theirs], **CLOSE)


def test_sherbrookes_five_bases(test_data):
    case = json.loads((test_data / "stocking" / "sherbrooke_metric_5bases.json").read_text())
    given = case["inputs"]
    days = 365.25
    bases = [f"B{n}" for n in range(given["bases"])]
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", *bases],
            "parent_id": [None] + ["HQ"] * len(bases),
            "lead_time_days": [0.0] + [given["order_and_ship_time"] * days] * len(bases),
        }
    )
    parts = pd.DataFrame({"part_id": ["A"], "lead_time_days": [given["depot_repair_time"] * days]})
    rates = pd.DataFrame(
        {
            "part_id": "A",
            "site_id": bases,
            "demand_per_day": given["demand_per_year"] / days,
            "repair_share_site": given["prob_base_repair"],
            "repair_days_site": given["base_repair_time"] * days,
        }
    )
    for method, key in [("exact", "exact"), ("two_moment", "varimetric"), ("metric", "metric")]:
        for row in case["rows"]:
            answer = row[key]
            levels = pd.DataFrame(
                {"part_id": "A", "site_id": ["HQ", *bases], "base_stock": [answer["s0"], *answer["S"]]}
            )
            table = evaluate_levels(sites, parts, rates, levels, method=method)
            assert table["ebo"][1:].sum() == pytest.approx(answer["EBO"], abs=1e-8)
            assert table["pipeline"][0] == pytest.approx(case["depot_pipeline"])


def random_tree(seed):
    draw = np.random.default_rng(seed)
    size = int(draw.integers(2, 9))
    parent = [-1] + [int(draw.integers(0, n)) for n in range(1, size)]
    lead = draw.choice([0.0, 0.5, 2.0, 7.0], size) + draw.random(size)
    lead[draw.random(size) < 0.2] = 0.0
    demand = draw.choice([0.0, 0.05, 0.4], size) * draw.random(size)
    demand[-1] = 0.3
    stock = draw.integers(0, 4, size)
    return parent, lead, demand, stock


@pytest.mark.parametrize("seed", range(12))
def test_any_tree_with_demand_anywhere_equals_brute_force(seed):
    parent, lead, demand, stock = random_tree(seed)
    ebo, fill, total = networks.brute_force(parent, lead, demand, stock)
    table = evaluate_levels(*networks.tables(parent, lead, demand, stock)).set_index("site_id")
    assert len(table) == (total > 0).sum()
    for n in np.flatnonzero(total > 0):
        row = table.loc[f"S{n:02d}"]
        assert row["ebo"] == pytest.approx(ebo[n], abs=1e-9)
        assert row["fill_rate"] == pytest.approx(fill[n], abs=1e-9)
        assert row["mean_wait_days"] == pytest.approx(ebo[n] / total[n], abs=1e-7)
        assert row["on_hand"] - row["ebo"] == pytest.approx(stock[n] - row["pipeline"], abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_repair_where_a_piece_failed_equals_brute_force(seed):
    parent, lead, demand, stock = random_tree(seed)
    draw = np.random.default_rng(100 + seed)
    share, days = draw.choice([0.0, 0.3, 1.0], len(parent)), draw.uniform(0, 12, len(parent))
    share[-1] = 0.4
    ebo, fill, total = networks.brute_force(parent, lead, demand, stock, repaired=share, repair_days=days)
    sites, parts, rates, levels = networks.tables(parent, lead, demand, stock)
    names = [f"S{n:02d}" for n in range(len(parent))]
    repairs = pd.DataFrame({"site_id": names, "repair_share_site": share, "repair_days_site": days})
    table = evaluate_levels(sites, parts, rates.merge(repairs, on="site_id"), levels).set_index("site_id")
    for n in np.flatnonzero((total > 0) & (np.isin(names, table.index))):
        row = table.loc[names[n]]
        assert row["ebo"] == pytest.approx(ebo[n], abs=1e-9)
        assert row["fill_rate"] == pytest.approx(fill[n], abs=1e-9)
        above, near = parent[n], False
        while above >= 0:
            near |= share[above] * demand[above] > 0
            above = parent[above]
        assert row["evaluation"] == ("near_exact" if near else "exact")


def test_an_order_from_below_is_never_repaired_on_its_way():
    sites, parts, rates, levels = networks.tables([-1, 0, 1], [30.0, 4, 2], [0, 0.0, 0.3], [3, 2, 1])
    shop = pd.DataFrame({"part_id": ["P1"], "site_id": ["S01"], "demand_per_day": [0.0]})
    repairing = pd.concat([rates, shop]).assign(repair_share_site=[0.0, 0.9], repair_days_site=1.0)
    pd.testing.assert_frame_equal(
        evaluate_levels(sites, parts, repairing, levels), evaluate_levels(sites, parts, rates, levels)
    )


@pytest.mark.parametrize("method", ["exact", "two_moment", "metric"])
def test_one_site_is_the_single_site_policy(method):
    given = networks.tables([-1], [12.0], [0.2], [4])
    row = evaluate_levels(*given, method=method).iloc[0]
    assert row["ebo"] == pytest.approx(expected_backorders(4, 2.4), abs=1e-12)
    assert row["fill_rate"] == pytest.approx(distributions.cdf(3, 2.4))
    assert row["ready_rate"] == pytest.approx(distributions.cdf(4, 2.4))


def test_fast_movers_with_a_huge_central_pipeline_lose_no_mass():
    # (1 - p)^b underflows here: 1,000 pieces short at HQ, nine tenths of them for one station.
    given = networks.tables([-1, 0, 0], [60.0, 2.0, 3.0], [0, 45.0, 5.0], [2000, 60, 300])
    table = evaluate_levels(*given)
    assert table["ebo"][0] == pytest.approx(1000, abs=1e-6)
    assert table["ebo"][1] == pytest.approx(0.9 * 1000 + 90 - 60, abs=1e-6)
    assert table["ebo"][2] == pytest.approx(expected_backorders(300, 115.0, 115 + 0.01 * 3000), abs=1e-6)


def test_a_single_child_is_a_copy_of_its_parent():
    chain = evaluate_levels(*networks.tables([-1, 0, 1], [20.0, 0.0, 0.0], [0, 0, 0.4], [3, 2, 4]))
    one = evaluate_levels(*networks.tables([-1], [20.0], [0.4], [9]))
    assert chain["ebo"].iloc[-1] == pytest.approx(one["ebo"].iloc[0], abs=1e-10)


def test_no_stock_and_no_lead_time_mean_no_wait_but_no_shelf():
    table = evaluate_levels(*networks.tables([-1, 0], [0.0, 0.0], [0.1, 0.3], [0, 0]))
    assert (table["ebo"] == 0).all()
    assert (table["fill_rate"] == 0).all()
    assert (table["ready_rate"] == 1).all()


def test_sites_without_demand_have_no_fill_rate_and_no_wait():
    sites, parts, _, levels = networks.tables([-1, 0, 0], [9.0, 1.0, 1.0], [0, 0.2, 0.1], [1, 1, 1])
    rates = pd.DataFrame({"part_id": "P1", "site_id": ["S01", "S02"], "demand_per_day": [0.2, 0.0]})
    table = evaluate_levels(sites, parts, rates, levels).set_index("site_id")
    assert np.isnan(table.loc["S02", "fill_rate"]) and np.isnan(table.loc["S02", "mean_wait_days"])
    assert table.loc["S02", "ebo"] == 0
    assert table.loc["S02", "on_hand"] == 1


def test_missing_levels_are_zero_and_row_order_does_not_matter():
    sites, parts, rates, levels = networks.tables(
        [-1, 0, 0, 1], [30.0, 4, 2, 3], [0.01, 0.02, 0.1, 0.2], [3, 0, 1, 2]
    )
    whole = evaluate_levels(sites, parts, rates, levels)
    cut = evaluate_levels(
        sites[::-1], parts, rates.sample(frac=1, random_state=3), levels[levels["base_stock"] > 0][::-1]
    )
    pd.testing.assert_frame_equal(whole, cut)


def test_parts_do_not_touch_each_other():
    first = networks.tables([-1, 0, 0], [30.0, 4, 2], [0.0, 0.02, 0.1], [3, 0, 1], part="A")
    second = networks.tables([-1, 0, 0], [80.0, 4, 2], [0.3, 0.0, 0.1], [20, 5, 1], part="B")
    together = [first[0], *(pd.concat([a, b]) for a, b in zip(second[1:], first[1:]))]
    table = evaluate_levels(*together)
    assert list(table["part_id"].unique()) == ["B", "A"]
    for alone in (first, second):
        part = alone[1]["part_id"].iloc[0]
        mine = table[table["part_id"] == part].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, evaluate_levels(*alone))


def test_pieces_that_come_back_shorten_the_supply():
    sites, parts, rates, levels = networks.tables([-1, 0], [60.0, 3.0], [0.0, 0.1], [2, 1])
    parts = parts.assign(repairable_share=0.4, repair_days=10.0)
    table = evaluate_levels(sites, parts, rates, levels)
    assert table["pipeline"][0] == pytest.approx(0.1 * (0.6 * 60 + 0.4 * 10))


def test_order_quantities_average_over_the_positions():
    sites, parts, rates, levels = networks.tables([-1, 0, 0], [30.0, 4, 2], [0.01, 0.02, 0.1], [0, 1, 1])
    for method in ("exact", "metric"):
        averages = []
        for stock in (3, 4, 5, 6):
            levels.loc[0, "base_stock"] = stock
            averages.append(evaluate_levels(sites, parts, rates, levels, method=method))
        batch = levels.assign(reorder_point=[2, np.nan, np.nan], order_quantity=[4, np.nan, np.nan])
        table = evaluate_levels(sites, parts, rates, batch, method=method)
        if method == "exact":
            for column in ("ebo", "fill_rate", "ready_rate", "on_hand"):
                np.testing.assert_allclose(table[column], sum(a[column] for a in averages) / 4, atol=1e-10)
        else:
            assert table["ebo"][0] == pytest.approx(sum(a["ebo"][0] for a in averages) / 4)


def test_the_published_order_quantity_costs_what_is_published(test_data):
    case = json.loads((test_data / "stocking" / "rq_poisson_example_5_8.json").read_text())
    rate = case["demand_mean"]
    sites, parts, rates, levels = networks.tables([-1], [case["lead_time"]], [rate], [0])
    batch = levels.assign(reorder_point=case["r"], order_quantity=case["Q"])
    row = evaluate_levels(sites, parts, rates, batch).iloc[0]
    assert row["evaluation"] == "exact"
    cost = case["holding_cost"] * row["on_hand"] + case["stockout_cost"] * row["ebo"]
    cost += case["fixed_cost"] * rate / case["Q"]
    assert cost == pytest.approx(case["cost"], abs=1e-8)


def test_overdispersed_parts_are_taken_by_two_moments_and_say_so():
    sites, parts, rates, levels = networks.tables([-1, 0, 0], [30.0, 4, 2], [0.01, 0.05, 0.1], [4, 1, 1])
    parts = pd.concat([parts, parts.assign(part_id="Q")])
    rates = pd.concat([rates, rates.assign(part_id="Q", vmr=[1.0, 1.0, 2.0], rate_cv2=0.3)])
    levels = pd.concat([levels, levels.assign(part_id="Q")])
    table = evaluate_levels(sites, parts, rates, levels).set_index(["part_id", "site_id"])
    assert set(table.loc["P1", "evaluation"]) == {"exact"}
    assert set(table.loc["Q", "evaluation"]) == {"two_moment"}
    mean = 0.16 * 30
    variance = mean + 0.1 * 30 + 0.3 * mean**2
    assert table.loc[("Q", "S00"), "ebo"] == pytest.approx(expected_backorders(4, mean, variance))
    assert (table.loc["Q", "ebo"] > table.loc["P1", "ebo"]).all()


def test_a_small_variance_counts_as_poisson():
    sites, parts, rates, levels = networks.tables([-1, 0], [30.0, 4], [0.01, 0.05], [4, 1])
    plain = evaluate_levels(sites, parts, rates, levels)
    renewal = evaluate_levels(sites, parts, rates.assign(vmr=0.5), levels)
    pd.testing.assert_frame_equal(plain, renewal)


TREES = st.integers(0, 10_000).map(random_tree)


def evaluated(tree, **changes):
    parent, lead, demand, stock = tree
    given = {"parent": parent, "lead": lead, "demand": demand, "stock": stock} | changes
    return evaluate_levels(*networks.tables(**given), times=[1.0]).set_index("site_id")


@settings(max_examples=25, deadline=None)
@drawn(tree=TREES, place=st.integers(0, 7))
def test_one_piece_more_anywhere_helps_there_and_below_and_hurts_nobody(tree, place):
    stock = np.array(tree[3])
    place %= len(stock)
    more = stock + (np.arange(len(stock)) == place)
    before, after = evaluated(tree), evaluated(tree, stock=more)
    assert (after["ebo"] <= before["ebo"] + 1e-10).all()
    assert (after["mean_wait_days"] <= before["mean_wait_days"] + 1e-9).all()
    assert (after["fill_rate"] >= before["fill_rate"] - 1e-10).all()
    assert (after["wait_le_1"] >= before["wait_le_1"] - 1e-10).all()


@settings(max_examples=15, deadline=None)
@drawn(tree=TREES, seed=st.integers(0, 1000))
def test_names_of_sites_and_parts_and_the_order_of_rows_do_not_matter(tree, seed):
    draw = np.random.default_rng(seed)
    sites, parts, rates, levels = networks.tables(*tree)
    plain = evaluate_levels(sites, parts, rates, levels, times=[1.0])
    names = dict(zip(sites["site_id"], draw.permutation([f"站点{k}" for k in range(len(sites))])))
    other = [
        frame.replace({"site_id": names, "parent_id": names, "part_id": {"P1": "主油缸"}}).sample(
            frac=1, random_state=seed
        )
        for frame in (sites, parts, rates, levels)
    ]
    found = evaluate_levels(*other, times=[1.0]).set_index("site_id")
    expected = plain.assign(part_id="主油缸", site_id=plain["site_id"].map(names)).set_index("site_id")
    pd.testing.assert_frame_equal(found.sort_index(), expected.sort_index())


@settings(max_examples=15, deadline=None)
@drawn(
    rate=st.floats(0.01, 1.0),
    leads=st.lists(st.floats(0, 15), min_size=2, max_size=4),
    seed=st.integers(0, 99),
)
def test_a_chain_without_stock_between_is_one_site_with_the_way_in_one(rate, leads, seed):
    stock = int(np.random.default_rng(seed).integers(0, 6))
    count = len(leads)
    chain = networks.tables(
        [-1, *range(count - 1)], leads, [*[0.0] * (count - 1), rate], [*[0] * (count - 1), stock]
    )
    one = networks.tables([-1], [sum(leads)], [rate], [stock])
    last, alone = evaluate_levels(*chain).iloc[-1], evaluate_levels(*one).iloc[0]
    for column in ("ebo", "fill_rate", "ready_rate", "mean_wait_days", "on_hand", "pipeline"):
        assert last[column] == pytest.approx(alone[column], abs=1e-9)


def wild_forest(seed):
    """Parts on a tree three echelons deep, some with repair, order quantities, returns and wild demand."""
    draw = np.random.default_rng(seed)
    parent = [-1, 0, 0, 1, 1, 2, 2, 3]
    sites, _, _, _ = networks.tables(parent, [0.0, 4, 2, 0, 1, 3, 7, 1], np.ones(8), np.ones(8))
    names = sites["site_id"].tolist()
    parts = pd.DataFrame({"part_id": [f"P{n}" for n in range(60)], "lead_time_days": draw.uniform(0, 90, 60)})
    parts["repairable_share"] = draw.choice([0.0, 0.3], 60)
    parts["repair_days"] = 20.0
    grid = parts[["part_id"]].merge(pd.DataFrame({"site_id": names}), how="cross")
    rates = grid.assign(demand_per_day=draw.gamma(0.5, 0.3, len(grid)) * (draw.random(len(grid)) < 0.7))
    rates["vmr"] = np.repeat(draw.choice([1.0, 2.0], 60), 8)
    rates["rate_cv2"] = np.repeat(draw.choice([0.0, 0.0, 0.4], 60), 8)
    rates["repair_share_site"] = draw.choice([0.0, 0.0, 0.4], len(grid))
    rates["repair_days_site"] = 3.0
    levels = grid.assign(base_stock=draw.poisson(np.where(grid["site_id"] == "S00", 25, 3)))
    top = levels["site_id"] == "S00"
    levels["reorder_point"] = levels["base_stock"].where(top) - 1
    levels["order_quantity"] = np.where(top, draw.integers(1, 9, len(grid)), np.nan)
    return read_forest(sites, parts, rates, levels)


@pytest.mark.parametrize("method", ["exact", "two_moment", "metric"])
def test_compiled_kernels_give_the_numbers_of_the_plain_road(method):
    forest = wild_forest(4)
    plain, exact = evaluate_forest(forest, method)
    assert exact.any() == (method == "exact") and not exact.all()
    compiled = kernel_service(forest, method)
    for name in plain._fields:
        # A negative binomial next to Poisson loses digits in its gamma functions.
        close = {"rtol": 1e-9, "atol": 1e-10} if method != "two_moment" else {"rtol": 1e-6, "atol": 1e-7}
        np.testing.assert_allclose(getattr(compiled, name), getattr(plain, name), **close)


@pytest.mark.parametrize("small", [0, 10_000])
def test_working_through_stretches_of_parts_changes_nothing(monkeypatch, small):
    forest = wild_forest(4)
    forest = dataclasses.replace(forest, least=np.maximum(forest.least - (forest.part % 3 == 0), 0))
    assert forest.in_lots.any() and not forest.in_lots.all()
    monkeypatch.setattr(echelons, "SMALL", small)
    monkeypatch.setattr(waiting, "SMALL", small)
    whole, times = evaluate_forest(forest), np.array([0.5, 3.0])
    shares = waiting.wait_shares(forest, times)
    assert len(forest.stretches(50)) > 5
    monkeypatch.setattr(echelons, "STRETCH", 50)
    monkeypatch.setattr(waiting, "STRETCH", 50)
    pieces = evaluate_forest(forest)
    for ours, theirs in zip(pieces[0], whole[0]):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(pieces[1], whole[1])
    np.testing.assert_allclose(waiting.wait_shares(forest, times), shares, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("wild", [0.0, 0.1])
@pytest.mark.parametrize("quantity", [2, 20, 90])
def test_compiled_kernels_average_wide_order_quantities(quantity, wild):
    sites, parts, rates, levels = networks.tables([-1, 0, 0], [30.0, 4, 2], [0.0, 0.01, 0.02], [0, 1, 1])
    batch = levels.assign(reorder_point=[0, np.nan, np.nan], order_quantity=[quantity, np.nan, np.nan])
    forest = read_forest(sites, parts, rates.assign(rate_cv2=wild), batch)
    plain, _ = evaluate_forest(forest)
    for ours, theirs in zip(kernel_service(forest), plain):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_compiled_kernels_bear_a_huge_central_pipeline():
    forest = read_forest(*networks.tables([-1, 0, 0], [60.0, 2.0, 3.0], [0, 45.0, 5.0], [2000, 60, 300]))
    plain, _ = evaluate_forest(forest)
    np.testing.assert_allclose(kernel_service(forest).ebo, plain.ebo, rtol=1e-9, atol=1e-9)


def test_all_faults_are_named_at_once():
    sites, parts, rates, levels = networks.tables([-1, 0], [30.0, 4], [0.01, 0.05], [4, 1])
    rates = pd.concat([rates, rates.assign(site_id="nowhere").head(1), rates.head(1)])
    levels = pd.concat([levels, pd.DataFrame({"part_id": ["X"], "site_id": ["S00"], "base_stock": [-2]})])
    rates["demand_per_day"] = [0.1, -1.0, np.nan, 0.2]
    with pytest.raises(DataError) as caught:
        evaluate_levels(sites, parts, rates, levels)
    faults = set(
        zip(caught.value.problems["table"], caught.value.problems["row"], caught.value.problems["column"])
    )
    assert faults == {
        ("rates", 4, "site_id"),
        ("rates", 3, "demand_per_day"),
        ("rates", 4, "demand_per_day"),
        ("rates", 5, "part_id"),
        ("levels", 4, "part_id"),
        ("levels", 4, "base_stock"),
    }


@pytest.mark.parametrize(
    "parents, rule",
    [
        ([None, None], "exactly one"),
        (["B", "A"], "exactly one"),
        ([None, "C"], "no site_id"),
    ],
)
def test_a_network_that_is_no_tree_is_refused(parents, rule):
    _, parts, rates, levels = networks.tables([-1, 0], [30.0, 4], [0.01, 0.05], [4, 1])
    sites = pd.DataFrame({"site_id": ["A", "B"], "parent_id": parents, "lead_time_days": 0.0})
    with pytest.raises(DataError, match=rule):
        evaluate_levels(sites, parts, rates, levels)


def test_a_circle_of_sites_is_refused():
    _, parts, rates, levels = networks.tables([-1, 0], [30.0, 4], [0.01, 0.05], [4, 1])
    sites = pd.DataFrame({"site_id": ["HQ", "A", "B"], "parent_id": [None, "B", "A"], "lead_time_days": 1.0})
    sites.loc[0, "lead_time_days"] = 0.0
    with pytest.raises(DataError, match="circle"):
        evaluate_levels(sites, parts, rates, levels)


def test_an_unknown_method_and_missing_columns_are_named():
    given = networks.tables([-1, 0], [30.0, 4], [0.01, 0.05], [4, 1])
    with pytest.raises(DataError, match="two_moment"):
        evaluate_levels(*given, method="exakt")
    with pytest.raises(DataError, match="demand_per_day"):
        evaluate_levels(given[0], given[1], given[2].drop(columns="demand_per_day"), given[3])
