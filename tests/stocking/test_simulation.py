"""Simulated years against the formulas, an event-by-event twin, and properties."""

from __future__ import annotations

import heapq
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spareplan import read_dataset
from spareplan.errors import DataError
from spareplan.results import StockLevels
from spareplan.stocking import _draws, _paths, _runs, evaluate_levels, simulate
from spareplan.stocking._forest import read_forest
from spareplan.stocking.attainment import attainment_table
from spareplan.stocking.echelons import evaluate_forest
from spareplan.stocking.sampling import ratio_interval, run_forest
from spareplan.stocking.simulation import simulate_levels
from tests.stocking import networks

MEASURES = ["ebo", "fill_rate", "ready_rate", "mean_wait_days", "on_hand"]
TREE = ([-1, 0, 0, 1, 1], [30.0, 4, 2, 3, 1.0], [0.02, 0.05, 0.3, 0.2, 0.1], [18, 3, 2, 2, 0])


def wide(table, column="value"):
    return table.pivot_table(index=["part_id", "site_id"], columns="measure", values=column, dropna=False)


def misfits(given, years, seed=3, measures=MEASURES, **arguments):
    """Distance of simulation and formula in half-widths of the 95 % interval."""
    simulated = simulate(*given, years=years, seed=seed, **arguments)
    formula = evaluate_levels(*given, **arguments).set_index(["part_id", "site_id"])
    values, widths = wide(simulated), wide(simulated, "half_width")
    return ((values - formula)[measures] / np.maximum(widths[measures], 1e-6)).abs()


def test_simulation_and_formula_agree_within_the_interval():
    away = misfits(networks.tables(*TREE), years=2000)
    assert (away <= 2).all(axis=None)
    assert (away <= 1).mean(axis=None) > 0.8


def test_repair_at_sites_and_at_headquarters_agrees():
    sites, parts, rates, levels = networks.tables(*TREE)
    parts = parts.assign(repairable_share=0.4, repair_days=12.0)
    rates = rates.assign(
        repair_share_site=[0.0, 0.3, 0.5, 0.0, 0.2], repair_days_site=[0.0, 6.0, 9.0, 0.0, 1.0]
    )
    assert (misfits((sites, parts, rates, levels), years=2000) <= 2).all(axis=None)


@pytest.mark.parametrize(
    "hq, depot, lead, share, days", [(3, 4, 5.0, 0.5, 30.0), (1, 2, 15.0, 0.5, 2.0), (3, 0, 5.0, 0.9, 60.0)]
)
def test_a_depot_that_repairs_its_own_failures_agrees(hq, depot, lead, share, days):
    sites, parts, rates, levels = networks.tables(
        [-1, 0, 1, 1], [20.0, lead, 2, 2], [0, 0.2, 0.1, 0.05], [hq, depot, 1, 0]
    )
    rates = rates.assign(
        repair_share_site=rates["site_id"].map({"S01": share}).fillna(0.0), repair_days_site=days
    )
    simulated = simulate(sites, parts, rates, levels, years=2000, seed=5)
    values, widths = wide(simulated).loc["P1"], wide(simulated, "half_width").loc["P1"]
    formula = evaluate_levels(sites, parts, rates, levels).set_index("site_id")
    # The depot and all above it are exact, the sites below nearly so.
    top = ["S00", "S01"]
    away = (values - formula[values.columns])[["ebo", "on_hand"]] / widths[["ebo", "on_hand"]]
    assert not (away.loc[top].abs() > 2).any(axis=None)
    assert (formula.loc[top, "evaluation"] == "exact").all()
    below = formula.drop(top)
    assert (below["evaluation"] == "near_exact").all()
    np.testing.assert_allclose(below["mean_wait_days"], values["mean_wait_days"].drop(top), rtol=0.09)


@pytest.mark.parametrize("point, quantity", [(12, 6), (-1, 3), (0, 25)])
def test_order_quantities_at_headquarters_agree(point, quantity):
    sites, parts, rates, levels = networks.tables(*TREE)
    levels = levels.assign(reorder_point=[point, *[np.nan] * 4], order_quantity=[quantity, *[np.nan] * 4])
    assert (misfits((sites, parts, rates, levels), years=2000) <= 2).all(axis=None)


def test_order_sizes_at_one_site_agree_with_the_negative_binomial():
    sites, parts, rates, levels = networks.tables([-1], [20.0], [0.2], [6])
    rates = rates.assign(vmr=3.0)
    away = misfits((sites, parts, rates, levels), years=4000, measures=["ebo", "ready_rate", "on_hand"])
    assert (away <= 2).all(axis=None)


def test_an_unknown_rate_at_one_site_agrees_with_the_negative_binomial():
    sites, parts, rates, levels = networks.tables([-1], [20.0], [0.2], [6])
    many = [f"P{n}" for n in range(300)]
    parts = pd.concat([parts.assign(part_id=p) for p in many])
    rates = pd.concat([rates.assign(part_id=p, rate_cv2=0.5) for p in many])
    levels = pd.concat([levels.assign(part_id=p) for p in many])
    simulated = wide(simulate(sites, parts, rates, levels, years=60, seed=1))
    formula = evaluate_levels(sites, parts.head(1), rates.head(1), levels.head(1)).iloc[0]
    for measure in ("ebo", "ready_rate", "on_hand"):
        error = simulated[measure].std() / np.sqrt(len(many))
        assert abs(simulated[measure].mean() - formula[measure]) < 3 * error


@pytest.mark.parametrize(
    "vmr, cv2, hq, station",
    [(2.0, 0.0, 18, 2), (4.0, 0.0, 18, 2), (1.0, 0.3, 20, 2), (1.0, 1.0, 20, 2), (1.2, 0.2, 14, 1)],
)
def test_overdispersed_demand_is_served_nearly_as_two_moments_say(vmr, cv2, hq, station):
    sites, part, rates, levels = networks.tables([-1, 0, 0, 0, 0], [60.0, 3, 3, 3, 3], [0, *[0.05] * 4],
                                                 [hq, *[station] * 4])  # fmt: skip
    many = [f"P{n}" for n in range(120)]
    parts = pd.concat([part.assign(part_id=p) for p in many])
    rates = pd.concat([rates.assign(part_id=p, vmr=vmr, rate_cv2=cv2) for p in many])
    levels = pd.concat([levels.assign(part_id=p) for p in many])
    forest = read_forest(sites, parts, rates, levels)
    batched = run_forest(forest, 40, 1, np.array([]))
    formula, exact = evaluate_forest(forest)
    assert not exact.any()
    for depth in (0, 1):
        rows = forest.depth == depth
        fill = batched.filled[rows].sum() / batched.demands[rows].sum()
        ebo = batched.late[rows].sum() / batched.days[rows].sum()
        assert formula.fill_rate[rows].mean() == pytest.approx(fill, abs=0.04)
        assert formula.ebo[rows].mean() == pytest.approx(ebo, rel=0.12)


def test_a_steady_stream_has_the_asked_variance():
    forest = read_forest(*networks.tables([-1], [20.0], [2.0], [6])[:3])
    forest = SimpleNamespace(**{**vars(forest), "vmr": np.array([0.25])})
    runs = SimpleNamespace(
        source=np.array([0]),
        parent=np.array([-1]),
        warm=np.array([0.0]),
        length=np.array([200_000.0]),
        first_batch=np.array([0]),
    )
    events = _draws.draw_demand(forest, runs, seed=5)
    counts = np.histogram(events.time, bins=np.arange(0, 200_001, 50))[0]
    assert counts.mean() == pytest.approx(100, rel=0.01)
    assert counts.var() / counts.mean() == pytest.approx(0.25, rel=0.1)


def test_a_steady_stream_has_the_asked_rate_in_short_runs_too():
    chance = np.random.default_rng(1)
    at, when = _draws._renewals(np.full(40_000, 0.01), np.full(40_000, 0.7), np.full(40_000, 60.0), chance)
    assert len(when) / 40_000 == pytest.approx(0.6, rel=0.02)
    # In equilibrium no day is busier than another.
    halves = np.histogram(when, bins=[0, 30, 60])[0]
    assert halves[0] == pytest.approx(halves[1], rel=0.03)
    assert at.max() < 40_000


def event_by_event(forest, own_times, stock, lead, parent):
    """Plain event list: base stock, one for one, first come first served; returns the wait of each demand."""
    shelf, queues, waits = list(stock), [[] for _ in stock], {}
    calendar, order = [], 0
    for site, times in enumerate(own_times):
        for number, time in enumerate(times):
            heapq.heappush(calendar, (time, order, "demand", site, ("own", site, number, time)))
            order += 1
    while calendar:
        time, _, kind, site, claim = heapq.heappop(calendar)
        if kind == "demand":
            queues[site].append(claim)
            if parent[site] < 0:
                heapq.heappush(calendar, (time + lead[site], order, "receipt", site, None))
            else:
                heapq.heappush(calendar, (time, order, "demand", parent[site], ("child", site, 0, time)))
            order += 1
        else:
            shelf[site] += 1
        while shelf[site] and queues[site]:
            shelf[site] -= 1
            what, who, number, since = queues[site].pop(0)
            if what == "own":
                waits[(who, number)] = time - since
            else:
                heapq.heappush(calendar, (time + lead[who], order, "receipt", who, None))
                order += 1
    return waits


def test_sample_paths_equal_an_event_list():
    parent, lead, _, stock = TREE
    forest = read_forest(*networks.tables(*TREE))
    runs = _runs.lay_runs(forest, np.arange(len(forest)), years=3)
    own = _draws.draw_demand(forest, runs, seed=8)
    echelons = _paths.climb(forest, runs, own, seed=8)
    paths = _paths.descend(forest, runs, echelons, seed=8)
    names = [f"S{n:02d}" for n in range(5)]
    of_name = [names.index(forest.site_ids[forest.site[row]]) for row in range(5)]
    times = {of_name[row]: np.sort(own.time[own.row == row]) for row in range(5)}
    waits = event_by_event(forest, [times[n] for n in range(5)], stock, lead, parent)
    checked = 0
    for events, (served, _) in zip(echelons, paths):
        for row in np.unique(events.row):
            mine = (events.row == row) & (events.child < 0)
            ours = served[mine] - events.time[mine]
            theirs = [waits[(of_name[row], n)] for n in range(mine.sum())]
            np.testing.assert_allclose(ours, theirs, atol=1e-9)
            checked += len(ours)
    assert checked > 500


def test_a_part_does_not_care_for_its_neighbours_or_the_order_of_rows():
    first = networks.tables(*TREE, part="A")
    second = networks.tables(*TREE, part="B")
    together = [first[0], *(pd.concat([b, a])[::-1] for a, b in zip(first[1:], second[1:]))]
    alone = simulate(*first, years=5, seed=11)
    both = simulate(*together, years=5, seed=11)
    pd.testing.assert_frame_equal(alone, both[both["part_id"] == "A"].reset_index(drop=True))
    other = simulate(*second, years=5, seed=11)
    assert not np.allclose(other["value"].fillna(0), alone["value"].fillna(0))


def test_chunks_do_not_change_the_result(monkeypatch):
    first, second = networks.tables(*TREE, part="A"), networks.tables(*TREE, part="B")
    together = [first[0], *(pd.concat([a, b]) for a, b in zip(first[1:], second[1:]))]
    whole = simulate(*together, years=5, seed=11)
    monkeypatch.setattr("spareplan.stocking.sampling.CHUNK_EVENTS", 10)
    pd.testing.assert_frame_equal(whole, simulate(*together, years=5, seed=11))


def test_nothing_asked_for_means_no_share():
    sites, parts, _, levels = networks.tables(*TREE)
    rates = pd.DataFrame({"part_id": ["P1"], "site_id": ["S01"], "demand_per_day": [0.0]})
    values = wide(simulate(sites, parts, rates, levels, years=1, seed=0))
    assert values["fill_rate"].isna().all() and values["mean_wait_days"].isna().all()
    assert (values["ebo"] == 0).all()
    assert values.loc[("P1", "S01"), "on_hand"] == 3


def test_a_share_without_a_miss_has_the_rule_of_three():
    value, width = ratio_interval(np.full((1, 20), 10.0), np.full((1, 20), 10.0), share=True)
    assert value[0] == 1 and width[0] == pytest.approx(3 / 200)


def test_where_nobody_waited_the_intervals_are_not_empty_and_hold_the_formula():
    given = networks.tables(TREE[0], TREE[1], TREE[2], [35, 4, 6, 5, 3])
    simulated = simulate(*given, years=5, seed=3)
    values, widths = wide(simulated).loc["P1"], wide(simulated, "half_width").loc["P1"]
    formula = evaluate_levels(*given).set_index("site_id")
    calm = values.index[values["mean_wait_days"] == 0]
    assert len(calm) >= 2 and (formula.loc[calm, "ebo"] > 0).all()
    for measure in ("ebo", "mean_wait_days", "ready_rate", "fill_rate"):
        assert (widths.loc[calm, measure] > 0).all()
        assert ((values - formula)[measure].abs() <= widths[measure]).loc[calm].all()
    # Three unseen waits of the longest kind: at headquarters the supplier's 30 days, for 0.67 pieces a day.
    assert "S00" in calm
    assert widths.loc["S00", "mean_wait_days"] == pytest.approx(3 * 30 / (5 * 365.25 * 0.67), rel=0.1)
    assert widths.loc["S00", "ebo"] == pytest.approx(3 * 30 / (5 * 365.25))


def test_a_promise_that_nobody_waited_for_has_an_upper_end():
    service = pd.DataFrame(
        {"group": "g", "site_id": ["S01"], "tier": 1, "measure": "mean_wait_days", "target": 1.0,
         "reached": 0.0, "slack": 0.0}
    )  # fmt: skip
    given, levels = planned(service)
    given[3]["base_stock"] = 60
    forest = read_forest(*given)
    row = attainment_table(forest, run_forest(forest, 20, 4, np.array([])), levels, np.array([])).iloc[0]
    assert row["achieved"] == 0 and row["low"] == 0 and row["kept"]
    assert 0.0 < row["high"] <= 3 * 34 / (20 * 365.25 * 0.05 * 0.8)


def test_intervals_cover_the_mean_of_a_known_law():
    draw = np.random.default_rng(2)
    bottom = draw.poisson(50, (400, 20)).astype(float)
    top = draw.binomial(bottom.astype(int), 0.8).astype(float)
    value, width = ratio_interval(top, bottom, share=True)
    assert 0.91 < (abs(value - 0.8) <= width).mean() < 0.98


@pytest.mark.parametrize("years, seed, word", [(0, 1, "years"), (np.nan, 1, "years"), (1, -1, "seed")])
def test_silly_arguments_are_refused(years, seed, word):
    with pytest.raises(DataError, match=word):
        simulate(*networks.tables(*TREE), years=years, seed=seed)


def planned(service):
    sites, parts, rates, levels = networks.tables(*TREE)
    table = levels.assign(reorder_point=levels["base_stock"] - 1, order_quantity=1, tier=1)
    return (sites, parts, rates, levels), StockLevels(
        table=table, assumptions=pd.DataFrame(), service=service
    )


def test_promises_are_judged_by_the_demand_of_their_own_site():
    service = pd.DataFrame({
        "group": ["S02|1", "S02|1", "S02|1"], "site_id": "S02", "tier": 1, "slack": 0.0, "reached": 0.0,
        "measure": ["fill_rate", "mean_wait_days", "in_window"], "target": [0.0, 1000.0, 0.999999],
        "window_days": [np.nan, np.nan, 0.5],
    })  # fmt: skip
    given, levels = planned(service)
    forest = read_forest(*given)
    times = np.array([0.5])
    table = attainment_table(forest, run_forest(forest, 200, 4, times), levels, times)
    formula = evaluate_levels(*given, times=[0.5]).set_index("site_id").loc["S02"]
    assert list(table["kept"]) == [True, True, False]
    for achieved, low, high, expected in zip(
        table["achieved"],
        table["low"],
        table["high"],
        [formula["fill_rate"], formula["mean_wait_days"], formula["wait_le_0.5"]],
    ):
        assert low <= achieved <= high
        assert achieved == pytest.approx(expected, abs=2 * (high - low))


def test_the_door_compares_promised_and_achieved():
    service = pd.DataFrame(
        {
            "group": ["S02|1"],
            "site_id": ["S02"],
            "tier": [1],
            "measure": ["fill_rate"],
            "target": [0.2],
            "reached": [0.2],
            "slack": [0.0],
        }
    )
    (sites, parts, rates, _), levels = planned(service)
    data = SimpleNamespace(
        sites=sites, parts=parts.assign(repairable_share=0.0, repair_days=np.nan),
        site_repairs=pd.DataFrame(columns=["part_id", "site_id", "repair_share_site", "repair_days_site"]),
        network=SimpleNamespace(path_to_hq=lambda site: [site]),
    )  # fmt: skip
    demand = SimpleNamespace(
        windows=rates,
        lead_time_demand=lambda asked: asked.merge(rates).assign(
            mean=lambda t: t["demand_per_day"] * t["days"], vmr=1.0, rate_cv2=0.0
        ),
    )
    check = simulate_levels(data, demand, levels, years=50, seed=2)
    assert list(check.table.columns) == ["group", "measure", "promised", "achieved", "low", "high", "kept"]
    assert check.kept == bool(check.table["kept"].all())
    assert "promises kept" in check.summary()
    assert {"years", "seed"} <= set(check.assumptions["name"])


def test_the_door_shows_what_pools_add_beside_the_promise(samples):
    data = read_dataset(samples / "delivery_pump")
    few = data.parts["part_id"].sort_values().head(4)
    stations = data.sites.loc[data.sites["lateral_pool"].notna(), "site_id"]
    rates = pd.DataFrame(
        [(part, site, 0.03) for part in few for site in stations],
        columns=["part_id", "site_id", "demand_per_day"],
    )
    windows = rates.assign(days=1.0)
    demand = SimpleNamespace(
        windows=windows,
        lead_time_demand=lambda asked: asked.merge(rates).assign(
            mean=lambda t: t["demand_per_day"] * t["days"], vmr=1.0, rate_cv2=0.0
        ),
    )
    table = pd.DataFrame(
        [(p, s, 1) for p in few for s in data.sites["site_id"]], columns=["part_id", "site_id", "base_stock"]
    )
    service = pd.DataFrame(
        {"group": stations, "site_id": stations, "measure": "mean_wait_days", "target": 1.0}
    )
    levels = StockLevels(table=table, assumptions=pd.DataFrame(), service=service)
    check = simulate_levels(data, demand, levels, years=5, seed=2)
    assert len(check.with_pools) == len(check.table) == len(stations)
    assert check.with_pools["lateral_share"].mean() > 0.02
    assert check.with_pools["achieved"].mean() < check.table["achieved"].mean()
    assert "neighbours" in check.summary()
    assert "sites_in_pools" in set(check.assumptions["name"])
