from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spareplan import staffing
from spareplan.errors import DataError
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.cures import (
    STOCK_COLUMNS,
    parts_needed,
    repair_cures,
    stock_cures,
    stock_of_regions,
)
from spareplan.staffing.extra_pieces import cheapest_pieces
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.sizing import Promises, size_rows
from spareplan.staffing.travel import unit_square_table
from spareplan.staffing.words import hours_instead, promised, share_against

P = ["P1", "P2"]


def model(work=(1.5, 3.0), missing=0.2, again=0.05, parts=60.0, side=60.0, limits=(10.0, 40.0), rate=0.15):
    """One region-month: engineers for the response, promises of solutions that parts may break."""
    table, pace = unit_square_table(30), 1.3 / 50.0
    shape = np.ones((1, 2))
    repairs = Repairs(
        np.array([work], float),
        np.full(2, 0.8),
        1.0,
        missing * shape,
        0 * shape,
        again * shape,
        np.array([parts]),
    )
    rows = RegionRows(
        np.full((1, 2), rate) * repairs.visits,
        repairs.visit_work,
        np.array([1.0]),
        np.zeros(1, int),
        (table.mean * side * pace)[None],
        (table.quantiles * side * pace)[None],
        repairs.follow,
    )
    promises = Promises(np.array([1.0, 8.0]), np.array(limits), np.full(2, 0.9), np.zeros(2, bool))
    return rows, promises, repairs, size_rows(rows, promises, repairs)


def levels(**columns):
    base = {
        "part_id": ["a", "b", "c"],
        "site_id": ["x", "x", "y"],
        "region_id": "r",
        "base_stock": [2, 0, 1],
        "demand_per_day": [0.05, 0.01, 0.02],
        "unit_cost": [100.0, 10.0, 900.0],
        "mean_wait_days": [5.0, 40.0, 12.0],
    }
    table = pd.DataFrame(base | columns)
    pipeline = table["demand_per_day"] * 40.0
    return table.assign(fill_rate=stats.poisson.cdf(table["base_stock"] - 1, pipeline))


def solved(missing: float, parts: float, servers: int = 30, work=(1.5, 3.0)) -> dict[str, float]:
    orders = pd.DataFrame(
        {
            "priority": P,
            "orders_per_day": 3.6,
            "work_hours": work,
            "work_scv": 0.8,
            "missing_share": missing,
            "again_share": 0.05,
            "parts_hours": parts,
            "resolve_hours": [10.0, 40.0],
        }
    )
    run = staffing.simulate_region(orders, servers, area_km2=3600.0, days=20_000, seed=4)
    return run.table[run.table["measure"] == "resolve"].set_index("priority")["achieved"].to_dict()


def test_the_share_of_missing_parts_that_would_do_is_what_simulation_needs():
    rows, promises, repairs, sized = model()
    need = parts_needed(rows, sized, promises, repairs)
    assert (sized.resolve_cause == "parts").all()
    assert (need.missing_needed < need.missing).all()
    for k, name in enumerate(P):
        fewer = solved(need.missing_needed[0, k], 60.0)[name]
        assert fewer == pytest.approx(0.9, abs=0.012)
        sooner = solved(0.2, need.hours_needed[0, k])[name]
        assert sooner == pytest.approx(0.9, abs=0.012)
        assert solved(0.2, 60.0)[name] == pytest.approx(need.resolve[0, k], abs=0.012)


def test_extra_pieces_are_the_cheapest_that_lift_the_promise():
    rows, promises, repairs, sized = model()
    stock = levels()
    table = stock_cures(["r"], P, rows, sized, promises, repairs, stock)
    assert list(table.columns) == STOCK_COLUMNS
    assert (table["resolve_then"] >= 0.9).all()
    assert (table["resolve_now"] < 0.9).all()
    unmet = stock["demand_per_day"] * (1 - stock["fill_rate"])
    for _, rest in table.groupby("priority"):
        goal = unmet.sum() * rest["missing_needed"].iloc[0] / rest["missing_now"].iloc[0]
        best = np.inf
        for pieces in map(np.array, itertools.product(range(9), repeat=3)):
            fill = stats.poisson.cdf(stock["base_stock"] + pieces - 1, stock["demand_per_day"] * 40.0)
            if (stock["demand_per_day"] * (1 - fill)).sum() <= goal:
                best = min(best, float((stock["unit_cost"] * pieces).sum()))
        assert best - 1e-9 <= rest["money"].sum() <= 1.05 * best + 1e-9


def test_pieces_are_the_cheapest_of_all_where_each_is_small():
    generator = np.random.default_rng(6)
    excess = []
    for _ in range(30):
        stock = generator.integers(0, 3, 3)
        pipeline = generator.uniform(0.2, 3.0, 3)
        demand, cost = generator.uniform(0.01, 0.1, 3), generator.uniform(10, 200, 3)
        fill = stats.poisson.cdf(stock - 1, pipeline)
        wanted = generator.uniform(0.05, 0.8)
        pieces, left = cheapest_pieces(stock, fill, demand, cost, wanted, pipeline)
        unmet = (demand * (1 - fill)).sum()
        after = (demand * (1 - stats.poisson.cdf(stock + pieces - 1, pipeline))).sum()
        assert left == pytest.approx(after / unmet, abs=1e-6)
        assert left <= wanted + 1e-9
        best = min(
            float((np.array(more) * cost).sum())
            for more in itertools.product(range(10), repeat=3)
            if (demand * (1 - stats.poisson.cdf(stock + more - 1, pipeline))).sum() <= wanted * unmet + 1e-12
        )
        excess.append((pieces * cost).sum() / best)
    assert min(excess) >= 1 - 1e-9
    assert np.mean(excess) < 1.02
    assert max(excess) < 1.2


def test_nothing_is_bought_where_the_stock_is_not_to_blame():
    rows, promises, repairs, sized = model(missing=0.0, limits=(1.0, 40.0))
    assert (sized.resolve_cause != "parts").all()
    assert stock_cures(["r"], P, rows, sized, promises, repairs, levels()).empty
    rows, promises, repairs, sized = model()
    elsewhere = stock_cures(["r"], P, rows, sized, promises, repairs, levels(region_id="other"))
    assert elsewhere["pieces"].tolist() == [0, 0]
    assert elsewhere["reason"].str.contains("no stock of the region").all()
    assert (elsewhere["resolve_then"] == elsewhere["resolve_now"]).all()


def test_the_month_that_asks_for_most_counts():
    rows, promises, repairs, _ = model()
    later = model(missing=0.35)
    both = RegionRows(
        np.vstack([rows.rates, later[0].rates]),
        np.vstack([rows.work, later[0].work]),
        np.ones(2),
        np.zeros(2, int),
        rows.travel,
        rows.spread,
        np.vstack([rows.follow, later[0].follow]),
    )
    joined = Repairs(
        np.vstack([repairs.work] * 2),
        repairs.scv,
        1.0,
        np.vstack([repairs.missing, later[2].missing]),
        np.vstack([repairs.known] * 2),
        np.vstack([repairs.again] * 2),
        np.repeat(repairs.parts, 2),
    )
    table = stock_cures(["r", "r"], P, both, size_rows(both, promises, joined), promises, joined, levels())
    assert set(table["missing_now"].round(9)) == {0.35}


def test_repairs_that_would_do_are_what_simulation_needs():
    rows, promises, repairs, sized = model(work=(6.0, 3.0), missing=0.02, limits=(10.0, 96.0))
    table = repair_cures(["r"], P, rows, sized, promises, repairs)
    assert table["priority"].tolist() == ["P1"]
    row = table.iloc[0]
    assert row["repair_hours_needed"] < row["repair_hours_now"] == 6.0
    assert row["resolve_now"] < row["in_time_now"] < 0.9 <= row["resolve_then"] + 1e-6
    assert solved(0.02, 60.0, work=(row["repair_hours_needed"], 3.0))["P1"] == pytest.approx(0.9, abs=0.012)
    assert row["repair_hours_needed"] < row["repair_hours_with_parts"] < 6.0
    stocked = solved(0.0, 60.0, work=(row["repair_hours_with_parts"], 3.0))["P1"]
    assert stocked == pytest.approx(0.9, abs=0.012)
    assert row["reason"].startswith("repairs alone end within 10 h")
    rows, promises, repairs, sized = model(missing=0.0)
    assert repair_cures(["r"], P, rows, sized, promises, repairs).empty


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"unit_cost": [1.0, -1.0, 1.0]}, "unit_cost"),
        ({"demand_per_day": [np.nan, 1.0, 1.0]}, "demand_per_day"),
        ({"site_id": ["x", None, "y"]}, "site_id"),
        ({"part_id": ["a", "a", "c"]}, "site_id"),
        ({"mean_wait_days": [1.0, -2.0, 1.0]}, "mean_wait_days"),
    ],
)
def test_impossible_levels_are_refused_by_name(changes, column):
    rows, promises, repairs, sized = model()
    table = levels().assign(**changes)
    with pytest.raises(DataError) as caught:
        stock_cures(["r"], P, rows, sized, promises, repairs, table)
    assert column in caught.value.problems["column"].tolist()
    with pytest.raises(DataError):
        stock_cures(["r"], P, rows, sized, promises, repairs, levels().drop(columns="fill_rate"))


def test_stock_is_read_with_prices_and_weighed_by_failures():
    table = levels().drop(columns=["region_id", "unit_cost"])
    table.loc[3] = ["d", "hq", 5, 0.1, 3.0, 0.9]
    demand = pd.DataFrame(
        {
            "part_id": ["a", "b", "c", "c"],
            "site_id": ["x", "x", "y", "y"],
            "from_installed_base": [1.0, 2.0, 0.0, 3.0],
            "from_new_units": [0.5, np.nan, 0.0, 1.0],
        }
    )
    parts = pd.DataFrame({"part_id": list("abcd"), "unit_cost": [100.0, np.nan, 900.0, 5.0]})
    sites = pd.DataFrame(
        {"site_id": ["x", "y", "hq"], "region_id": ["r", "r", None], "lead_time_days": [5.0, 9.0, 20.0]}
    )
    found = stock_of_regions(table, demand, parts, sites, pd.Index(["r"]))
    assert found[["part_id", "site_id"]].to_numpy().tolist() == [["a", "x"], ["c", "y"]]
    assert found["weight"].tolist() == [1.5, 4.0]
    assert found["unit_cost"].tolist() == [100.0, 900.0]
    rows, promises, repairs, sized = model()
    # Only parts that fail in the field count: a part of weight 0 is never bought.
    cures = stock_cures(["r"], P, rows, sized, promises, repairs, found.assign(weight=[0.0, 1.0]))
    assert set(cures["part_id"]) == {"c"}


def test_what_all_parts_at_hand_would_do_is_told_where_that_is_not_enough():
    rows, promises, repairs, sized = model()
    strict = promises.__class__(promises.respond, promises.resolve, np.full(2, 0.99999), promises.arrival)
    sized = sized._replace(resolve_cause=np.full((1, 2), "parts"))
    table = stock_cures(["r"], P, rows, sized, strict, repairs, levels())
    table = table[table["priority"] == "P1"]
    assert table["missing_needed"].isna().all()
    assert (table["resolve_then"] > table["resolve_now"]).all()
    assert (table["resolve_then"] < 0.99999).all()
    assert table["pieces"].tolist() == [0]


def test_parts_are_the_cause_where_they_cost_more_than_repairs_a_little_too_long():
    rows, promises, repairs, sized = model(work=(4.5, 3.0), missing=0.2, limits=(10.0, 96.0))
    alone = solved_alone(repairs, promises)
    # Repairs alone miss the promise by a hair, missing parts alone by far.
    assert 0.88 < alone < 0.9 and 1 - 0.2 * np.exp(-10 / 60) < 0.9
    assert sized.resolve_cause[0].tolist() == ["parts", "none"]
    assert repair_cures(["r"], P, rows, sized, promises, repairs).empty
    row = stock_cures(["r"], P, rows, sized, promises, repairs, levels()).iloc[0]
    assert np.isnan(row["missing_needed"]) and row["resolve_now"] < row["resolve_then"] < 0.9
    besides = float(
        row["reason"].split("a mean repair of ")[1].split(" h instead of 4.5 h would do besides")[0]
    )
    assert solved(0.0, 60.0, work=(besides, 3.0))["P1"] == pytest.approx(0.9, abs=0.012)
    # Repairs that miss it by more than the parts do are the cause.
    longer = model(work=(9.0, 3.0), missing=0.12, limits=(10.0, 96.0))[3]
    assert longer.resolve_cause[0, 0] == "repair"


def test_repairs_a_hair_too_long_are_the_cause_only_where_parts_cost_less():
    # Missing parts alone keep 92 %, so they break nothing alone; repairs alone keep a little below 90 %.
    some = model(work=(4.36, 3.0), missing=0.09, limits=(10.0, 96.0), side=0.5)
    assert 0.895 < solved_alone(some[2], some[1]) < 0.9
    assert some[3].resolve_cause[0, 0] == "parts"
    none = model(work=(4.36, 3.0), missing=0.0, limits=(10.0, 96.0), side=0.5)
    assert none[3].resolve_cause[0, 0] == "repair"


def solved_alone(repairs, promises):
    """Share of repairs of the first class, again and again until mended, that end within its limit."""
    generator = np.random.default_rng(3)
    shape = 1 / 0.8
    total = np.zeros(400_000)
    open_ = np.ones(len(total), bool)
    while open_.any():
        total[open_] += generator.gamma(shape, repairs.work[0, 0] / shape, open_.sum())
        open_[open_] = generator.random(open_.sum()) < 0.05
    return (total <= promises.resolve[0]).mean()


def test_percents_are_written_apart_from_what_was_promised():
    assert (share_against(0.9495, 0.95), share_against(0.94996, 0.95, 1)) == ("94.95%", "94.996%")
    assert (share_against(0.8, 0.95), share_against(0.95, 0.95), promised(0.995)) == ("80%", "95%", "99.5%")
    assert hours_instead(3.08, 3.12) == "3.08 h instead of 3.12 h"
