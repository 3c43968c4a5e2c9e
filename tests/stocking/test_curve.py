"""Money against service: the efficient frontier, what money buys and what points cost, on two roads each."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.stocking import curve as curve_module
from spareplan.stocking import evaluate_levels
from spareplan.stocking.curve import Frontier, priced_use, scopes_of
from spareplan.stocking.finding import find_levels
from spareplan.stocking.pricing import measure
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets


def network(parts: int, stations: int, depots: int, seed: int = 0):
    """Made-up tables: two tiers of parts, stations below depots (or HQ), two regions."""
    rng = np.random.default_rng(seed)
    below = [f"D{d}" for d in range(depots)]
    names = [f"S{j}" for j in range(stations)]
    above = [below[j % depots] if depots else "HQ" for j in range(stations)]
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", *below, *names],
            "parent_id": [None, *["HQ"] * depots, *above],
            "lead_time_days": [0.0, *rng.uniform(2, 6, depots), *rng.uniform(1, 6, stations)],
        }
    )
    ids = [f"P{i:03d}" for i in range(parts)]
    items = pd.DataFrame(
        {
            "part_id": ids,
            "unit_cost": rng.lognormal(4, 1, parts).round(1) + 1,
            "lead_time_days": rng.uniform(20, 90, parts),
            "group": np.where(np.arange(parts) % 2, "tier 1", "tier 2"),
        }
    )
    rates = pd.DataFrame(list(itertools.product(ids, names)), columns=["part_id", "site_id"]).assign(
        demand_per_day=rng.gamma(1.0, 0.02, parts * stations) + 1e-4
    )
    pairs = itertools.product(names, [("tier 1", 0.95), ("tier 2", 0.85)])
    targets = pd.DataFrame(
        [(name, group, fill) for name, (group, fill) in pairs],
        columns=["site_id", "group", "target_fill_rate"],
    )
    return sites, items, rates, targets


def frontier(sites, items, rates, targets, today=None) -> Frontier:
    forest, pipelines = read_pipelines(sites, items, rates, "exact")
    promises = read_targets(targets, items, forest, pipelines)
    found = find_levels(pipelines, promises)
    stations = [name for name in sites["site_id"] if name.startswith("S")]
    region = pd.Series({name: "East" if k % 2 else "West" for k, name in enumerate(stations)})
    scopes = scopes_of(forest, pipelines, items.set_index("part_id")["group"], "tier", region)
    return Frontier(pipelines, promises, found, scopes, today)


@pytest.fixture(scope="module")
def middle() -> Frontier:
    # More rows than the integer programme over few parts takes.
    return frontier(*network(155, 5, 2))


def falls_convexly(line: pd.DataFrame) -> bool:
    line = line.sort_values("money")
    use, paid = np.diff(line["shortfall"]), np.diff(line["money"])
    return bool((use <= 1e-6).all() and (np.diff(use[paid > 0] / paid[paid > 0]) >= -1e-9).all())


@pytest.mark.parametrize("by", ["tier", "site", "region"])
def test_what_is_missed_falls_convexly_in_money_for_the_whole_and_for_every_piece(middle, by):
    table = middle.curve(by=by, points=11)
    drawn = table[table["what"] == "curve"]
    assert set(drawn[by]) >= {"all"} and drawn[by].nunique() == {"tier": 3, "site": 6, "region": 3}[by]
    for _, line in drawn.groupby(by):
        assert len(line) == 11 and falls_convexly(line)
        assert line.sort_values("money")["service"].is_monotonic_increasing
    # Along a curve a unit of money saves 1/factor of priced shortfall, neither more nor less.
    whole = drawn[drawn[by] == "all"].sort_values("money")
    saved = -np.diff(whole["shortfall"]) / np.diff(whole["money"])
    assert (saved <= 1 / whole["price_factor"].to_numpy()[:-1] + 1e-9).all()
    assert (saved >= 1 / whole["price_factor"].to_numpy()[1:] - 1e-9).all()


def test_no_levels_of_a_tiny_network_beat_a_point_of_the_curve():
    tiny = frontier(*network(2, 2, 0, seed=4))
    pipelines, promises, found = tiny.pipelines, tiny.promises, tiny.found
    every = np.array(list(itertools.product(range(4), repeat=6)))
    wide = pipelines.take(np.tile(np.arange(2), len(every)))
    wide_promises = promises.take(pipelines.rows_of(np.tile(np.arange(2), len(every))))
    state = measure(wide, every.ravel())
    use = priced_use(wide_promises, found.prices, state).reshape(len(every), 6).sum(axis=1)
    paid = every @ pipelines.row_cost
    for point in tiny.curve(points=9).query("what == 'curve'").itertuples():
        cheaper = paid <= point.money + 1e-9
        assert use[cheaper].min() >= point.shortfall - 1e-9


def test_money_and_pieces_of_the_tiers_add_up_to_the_network(middle):
    table = middle.curve(by="tier", points=5)
    point, figures = ["what", "price_factor"], ["money", "pieces", "waiting"]
    split = table[table["tier"] != "all"].groupby(point)[figures].sum().sort_index()
    whole = table[table["tier"] == "all"].set_index(point)[figures].sort_index()
    pd.testing.assert_frame_equal(split, whole, check_dtype=False, check_exact=False)
    assert set(table["what"]) == {"curve", "this plan"}


def test_today_and_this_plan_stand_beside_the_curve_with_their_own_money_and_service():
    sites, items, rates, targets = network(4, 3, 0, seed=2)
    forest, pipelines = read_pipelines(sites, items, rates, "exact")
    today = np.full(len(pipelines.stop), 2)
    table = frontier(sites, items, rates, targets, today).curve(by="site", points=3)
    levels = pd.DataFrame(
        {
            "part_id": forest.part_ids.take(forest.part),
            "site_id": forest.site_ids.take(forest.site),
            "base_stock": 2,
        }
    )
    seen = evaluate_levels(sites, items, rates, levels).merge(rates, on=["part_id", "site_id"])
    seen["met"] = seen["fill_rate"] * seen["demand_per_day"]
    seen["lost"] = seen["mean_wait_days"] * seen["demand_per_day"]
    sums = seen.groupby("site_id")[["met", "lost", "demand_per_day"]].sum()
    now = table[table["what"] == "today"].set_index("site")
    assert now.loc["all", "money"] == pytest.approx(2 * items["unit_cost"].sum() * 4)
    for site in sums.index:
        assert now.loc[site, "money"] == pytest.approx(2 * items["unit_cost"].sum())
        assert now.loc[site, "service"] == pytest.approx(sums.eval("met / demand_per_day")[site])
        assert now.loc[site, "mean_wait_days"] == pytest.approx(sums.eval("lost / demand_per_day")[site])


def test_a_curve_by_tier_prices_the_network_once_per_point(middle, monkeypatch):
    calls = []
    plain = curve_module.price
    monkeypatch.setattr(curve_module, "price", lambda *a, **k: calls.append(1) or plain(*a, **k))
    middle.curve(by="tier", points=15)
    assert len(calls) == 15


def test_more_money_buys_more_and_ever_less_per_unit(middle):
    cost = middle.found.cost
    small, large = (middle.next_money(share * cost, by="tier") for share in (0.02, 0.2))
    for frame, amount in ((small, 0.02 * cost), (large, 0.2 * cost)):
        assert (frame["spent"] <= amount * (1 + 1e-9)).all() and (frame["spent"] > 0.8 * amount).all()
        assert (frame["shortfall_saved"] > 0).all() and (frame["machine_hours_saved_per_year"] > 0).all()
    both = small.merge(large, on="tier", suffixes=("", "_large"))
    assert (both["shortfall_saved_large"] > both["shortfall_saved"]).all()
    assert (both.eval("shortfall_saved_large / spent_large < shortfall_saved / spent")).all()
    assert "fill rate" in small["reason"].iloc[0] and small["tier"].iloc[0] == "all"


def test_a_unit_of_money_saves_a_unit_of_priced_shortfall_to_first_order():
    many = frontier(*network(400, 4, 0, seed=5))
    bought = many.next_money(0.004 * many.found.cost).iloc[0]
    # No levels lie below the bound's line, so nothing saves more than it costs but for the plan's own gap.
    assert bought["shortfall_saved"] <= bought["spent"] + many.found.cost - many.found.bound
    assert bought["shortfall_saved"] >= 0.95 * bought["spent"]


def test_money_spent_at_a_region_leaves_the_stock_elsewhere_alone(middle):
    table = middle.next_money(2_000.0, by="region").set_index("region")
    assert set(table.index) == {"all", "East", "West"}
    assert (table["spent"] <= 2_000).all() and (table["points_of_fill"] > 0).all()


def test_what_a_point_costs_lies_where_moved_targets_put_it():
    # More rows than the integer programme over few parts takes, whose bound is no longer convex.
    sites, items, rates, targets = network(400, 3, 0, seed=7)
    base = frontier(sites, items, rates, targets)
    told = base.point_costs().set_index("group")
    assert (told["frees"] <= told["linear"]).all() and (told["linear"] <= told["costs"]).all()
    for k in (0, 3):
        name = f"{targets['site_id'][k]} / {targets['group'][k]}"
        bounds = []
        for step in (0.01, -0.01):
            moved = targets.copy()
            moved.loc[k, "target_fill_rate"] += step
            bounds.append(frontier(sites, items, rates, moved).found.bound)
        tightened, loosened = bounds[0] - base.found.bound, base.found.bound - bounds[1]
        # The programme's money is convex in the target: the price bounds both from the right side.
        assert loosened <= told.loc[name, "linear"] <= tightened
        assert told.loc[name, "costs"] == pytest.approx(tightened, rel=0.05)
        assert told.loc[name, "frees"] == pytest.approx(loosened, rel=0.05)


def test_certainty_has_no_price_and_a_slack_promise_costs_nothing():
    sites, items, rates, targets = network(20, 3, 0)
    targets.loc[0, "target_fill_rate"] = 0.995
    targets.loc[1, "target_fill_rate"] = 0.0
    told = frontier(sites, items, rates, targets).point_costs()
    assert np.isnan(told["costs"][0]) and told["frees"][0] > 0
    assert (told.loc[told["target"] == 0.0, ["linear", "costs", "frees"]] == 0).all(axis=None)


@pytest.mark.parametrize(
    "ask",
    [
        lambda f: f.curve(by="colour"),
        lambda f: f.curve(points=1),
        lambda f: f.curve(widest=1.0),
        lambda f: f.next_money(0.0),
        lambda f: f.next_money(np.nan),
        lambda f: f.point_costs(-1.0),
    ],
)
def test_silly_questions_are_refused(middle, ask):
    with pytest.raises(DataError):
        ask(middle)
