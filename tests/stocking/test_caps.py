"""Caps of regions: met by the cheapest levels, refused with what is provably needed."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError, InfeasibleError
from spareplan.stocking import solve_levels
from spareplan.stocking.asked import read_wishes
from spareplan.stocking.capped import find_within_caps
from spareplan.stocking.curve import Frontier, scopes_of
from spareplan.stocking.plenty import plenty_of
from spareplan.stocking.pricing import measure
from spareplan.stocking.regions import regions_of, stand_apart
from tests.stocking.tiny_trees import NAMES, least_money, tiny

# More parts than the integer programme over few parts takes, so that every solution is quick.
MANY = 175


def network(parts: int, seed: int = 0, window: bool = False):
    """Two regions with a depot and two stations each, one tier of parts."""
    rng = np.random.default_rng(seed)
    names = ["HQ", "D0", "D1", "S0", "S1", "S2", "S3"]
    sites = pd.DataFrame(
        {
            "site_id": names,
            "parent_id": [None, "HQ", "HQ", "D0", "D0", "D1", "D1"],
            "lead_time_days": [0.0, 3.0, 5.0, 1.0, 2.0, 1.0, 3.0],
            "region_id": [None, "East", "West", "East", "East", "West", "West"],
        }
    )
    ids = [f"P{i:03d}" for i in range(parts)]
    items = pd.DataFrame(
        {
            "part_id": ids,
            "unit_cost": rng.lognormal(4, 1, parts).round(0) + 1,
            "lead_time_days": rng.uniform(20, 90, parts),
            "window_days": 2.0,
        }
    )
    rates = pd.DataFrame(list(itertools.product(ids, names[3:])), columns=["part_id", "site_id"]).assign(
        demand_per_day=rng.gamma(1.0, 0.02, parts * 4) + 1e-4
    )
    targets = pd.DataFrame({"site_id": names[3:], "target_fill_rate": [0.9, 0.85, 0.92, 0.8]})
    if window:
        targets["target_in_window"] = [0.95, 0.92, np.nan, 0.9]
    return sites, items, rates, targets


def capped(amount: float, region: str = "East") -> pd.DataFrame:
    return pd.DataFrame({"region_id": [region], "cap": [amount]})


def money_in(levels, sites: pd.DataFrame, region: str) -> float:
    own = levels.table["site_id"].map(sites.set_index("site_id")["region_id"]) == region
    return float(levels.table.loc[own, "value"].sum())


@pytest.mark.parametrize("seed", range(6))
def test_no_levels_of_a_tiny_network_keep_a_cap_for_less(seed):
    case = tiny([[-1, 0, 0], [-1, 0, 1]][seed % 2], seed, 2)
    sites, parts, rates = case.tables()
    sites["region_id"] = NAMES
    measure_of = ["target_wait_days", "target_fill_rate", "target_in_window"][seed % 3]
    goal = {"target_wait_days": 1.2, "target_fill_rate": 0.8, "target_in_window": 0.85}[measure_of]
    targets = pd.DataFrame({"site_id": ["A", "B"], measure_of: goal})
    if measure_of == "target_in_window":
        targets["window_days"] = 3.0
    free = solve_levels(sites, parts, rates, targets)
    for share in (0.5, 0.9):
        cap = share * money_in(free, sites, "B")
        least = least_money(case, targets, measure_of, cap=([2], cap))
        try:
            found = solve_levels(sites, parts, rates, targets, caps=capped(cap, "B"))
        except InfeasibleError as error:
            assert not np.isfinite(least) and error.least > cap
            continue
        assert found.cost <= least * (1 + 1e-9) and found.lower_bound <= least * (1 + 1e-9)
        assert found.service["kept"].all() and money_in(found, sites, "B") <= cap * (1 + 1e-9)


@pytest.mark.parametrize(("parent", "seed"), [([-1, 0, 1], 0), ([-1, 0, 0], 0)])
def test_a_looser_cap_of_a_tiny_network_never_costs_more_than_all_levels_enumerated(parent, seed):
    case = tiny(parent, seed, 2)
    sites, parts, rates = case.tables()
    sites["region_id"] = NAMES
    targets = pd.DataFrame({"site_id": ["A", "B"], "target_fill_rate": 0.8})
    held = money_in(solve_levels(sites, parts, rates, targets), sites, "B")
    costs = []
    for share in (0.6, 0.7, 0.8, 0.9, 1.0):
        least = least_money(case, targets, "target_fill_rate", cap=([2], share * held))
        if np.isfinite(least):
            found = solve_levels(sites, parts, rates, targets, caps=capped(share * held, "B"))
            assert found.cost <= least * (1 + 1e-9)
            costs.append(found.cost)
    assert len(costs) >= 2 and costs == sorted(costs, reverse=True)


def test_a_looser_cap_of_a_small_network_never_costs_more():
    sites, items, rates, targets = network(5, seed=3)
    held = money_in(solve_levels(sites, items, rates, targets), sites, "East")
    caps = [share * held for share in (0.8, 0.99)]
    found = [solve_levels(sites, items, rates, targets, caps=capped(cap)) for cap in caps]
    costs = [one.cost for one in found]
    assert costs == sorted(costs, reverse=True) and costs[-1] < costs[0]
    # What keeps a cap keeps a looser one: bounds of the looser lie below.
    assert all(one.lower_bound <= costs[0] for one in found)
    for one, cap in zip(found, caps, strict=True):
        assert one.service["kept"].all() and money_in(one, sites, "East") <= cap * (1 + 1e-9)


def test_levels_that_are_fixed_are_named_where_they_alone_break_a_cap_and_nothing_is_promised_there():
    sites, items, rates, targets = network(5, seed=3)
    fixed = pd.DataFrame({"part_id": ["P001"], "site_id": ["S0"], "at_least": [4], "at_most": [4]})
    cost = float(items["unit_cost"].iloc[1]) * 4
    with pytest.raises(
        InfeasibleError, match=r"East: a cap of 10\.00 is too little for the levels"
    ) as caught:
        solve_levels(sites, items, rates, targets.iloc[2:], limits=fixed, caps=capped(10.0))
    assert caught.value.clashes["least"].item() == pytest.approx(cost)
    with pytest.raises(InfeasibleError, match=r"East: a cap of 10\.00 is too little for the levels"):
        solve_levels(sites, items, rates, targets.iloc[:0], limits=fixed, caps=capped(10.0))


@pytest.mark.parametrize("window", [False, True])
def test_a_cap_barely_above_what_is_provably_needed_is_met_and_one_below_is_refused(window):
    sites, items, rates, targets = network(15, window=window)
    with pytest.raises(InfeasibleError, match=r"East: a cap of 1\.00 is too little") as caught:
        solve_levels(sites, items, rates, targets, caps=capped(1.0))
    told = caught.value.clashes.iloc[0]
    assert told["proved"] <= told["least"] <= told["proved"] * 1.002
    assert told["promises"] and "West" not in told["promises"]
    tight = 1.002 * told["proved"]
    met = solve_levels(sites, items, rates, targets, caps=capped(tight))
    assert met.service["kept"].all() and money_in(met, sites, "East") <= tight * (1 + 1e-9)
    with pytest.raises(InfeasibleError):
        solve_levels(sites, items, rates, targets, caps=capped(0.999 * told["proved"]))


def test_the_looser_a_cap_the_cheaper_and_its_bound_never_lies_above_any_levels_that_keep_it():
    sites, items, rates, targets = network(MANY, seed=3)
    free = solve_levels(sites, items, rates, targets)
    held = money_in(free, sites, "East")
    found = [solve_levels(sites, items, rates, targets, caps=capped(share * held)) for share in (0.8, 0.95)]
    costs, bounds = [one.cost for one in found], [one.lower_bound for one in found]
    assert costs == sorted(costs, reverse=True) and costs[-1] >= free.lower_bound
    assert all(bound <= cost * (1 + 1e-12) for bound, cost in itertools.product(bounds[1:], costs[:1]))
    assert costs[0] <= bounds[0] * 1.02 and costs[1] <= bounds[1] * 1.01
    assert all(one.service["kept"].all() for one in found)


def test_two_caps_hold_together():
    sites, items, rates, targets = network(MANY, seed=5)
    free = solve_levels(sites, items, rates, targets)
    caps = pd.DataFrame(
        {
            "region_id": ["East", "West"],
            "cap": [0.9 * money_in(free, sites, name) for name in ("East", "West")],
        }
    )
    found = solve_levels(sites, items, rates, targets, caps=caps)
    assert found.service["kept"].all() and found.cost >= free.lower_bound
    again = solve_levels(sites, items, rates, targets, caps=caps.iloc[::-1])
    assert again.table["base_stock"].tolist() == found.table["base_stock"].tolist()


def test_regions_above_each_other_are_refused_together():
    sites, items, rates, targets = network(6)
    above = sites.assign(region_id=sites["region_id"].mask(sites["site_id"] == "HQ", "West"))
    caps = pd.DataFrame({"region_id": ["East", "West"], "cap": [100.0, 100.0]})
    with pytest.raises(
        InfeasibleError, match=r"East, West: caps of 100\.00, 100\.00 are together too little"
    ):
        solve_levels(above, items, rates, targets, caps=caps)


@pytest.mark.parametrize("full", [True, False])
def test_a_region_apart_does_what_it_does_in_the_whole_network(full):
    sites, items, rates, targets = network(12, seed=2, window=True)
    asked = read_wishes(sites, items, rates, targets, "exact", None, capped(1e6))
    rng = np.random.default_rng(1)
    pipelines = asked.pipelines
    levels = plenty_of(pipelines) if full else rng.integers(0, 6, len(pipelines.stop))
    apart = stand_apart(asked, regions_of(asked)[0].caps, levels)
    own = np.where(apart.capped, rng.integers(0, 4, len(apart.rows)), levels[apart.rows])
    levels[apart.rows] = own
    whole, alone = measure(pipelines, levels), measure(apart.pipelines, own)
    assert len(apart.pipelines.unit_cost) == 12 and len(apart.rows) == 12 * (3 if full else 4)
    for name in ("ebo", "miss", "late"):
        assert getattr(alone, name) == pytest.approx(getattr(whole, name)[apart.rows], abs=1e-12)
    used = asked.promises.used(whole)[apart.asked]
    assert apart.promises.used(alone) == pytest.approx(used, abs=1e-12)


def test_the_next_money_breaks_no_cap():
    sites, items, rates, targets = network(MANY, seed=4)
    free = solve_levels(sites, items, rates, targets)
    cap = 0.9 * money_in(free, sites, "East")
    asked = read_wishes(sites, items, rates, targets, "exact", None, capped(cap))
    found = find_within_caps(asked)
    scopes = scopes_of(asked.forest, asked.pipelines, region=sites.set_index("site_id")["region_id"])
    bought = Frontier(asked.pipelines, asked.promises, found, scopes).next_money(1_000.0, by="region")
    east = bought.set_index("region").loc["East"]
    assert east["money"] + east["spent"] <= cap * (1 + 1e-9)
    assert bought.set_index("region").loc["West", "spent"] > 500
    dear = bought.loc[bought["pieces_more"] <= 0, "reason"]
    assert dear.str.contains("the caps of the regions allow").all()


def test_a_ceiling_below_what_headquarters_orders_at_once_is_refused_by_name():
    sites, items, rates, targets = network(3)
    items["order_quantity"] = [1, 6, 1]
    limits = pd.DataFrame({"part_id": ["P001"], "site_id": ["HQ"], "at_most": [4]})
    with pytest.raises(DataError, match="order_quantity less one") as caught:
        solve_levels(sites, items, rates, targets, limits=limits)
    assert caught.value.problems["column"].tolist() == ["at_most"]
    levels = solve_levels(sites, items, rates, targets, limits=limits.assign(at_most=5))
    table = levels.table.set_index(["part_id", "site_id"])
    assert table.loc[("P001", "HQ"), "base_stock"] == 5
