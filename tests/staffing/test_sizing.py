from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan import staffing
from spareplan.errors import DataError
from spareplan.staffing.congestion import (
    RegionRows,
    congestion,
    free_to_reach,
    queue_tail,
    response_kept,
)
from spareplan.staffing.nearness import share_within
from spareplan.staffing.queues import servers_needed_rows
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.shifts import day_phases
from spareplan.staffing.sizing import Promises, promises_kept, size_rows
from spareplan.staffing.travel import QUANTILES, unit_square_table

P = ["P1", "P2", "P3", "P4"]


def without_travel(rates, work, scv=1.0):
    rates = np.atleast_2d(np.asarray(rates, float))
    return RegionRows(
        rates,
        np.full(rates.shape, float(work)),
        np.full(len(rates), scv),
        np.zeros(len(rates), int),
        np.zeros((1, 4)),
        np.zeros((1, 4, QUANTILES)),
    )


def promises(respond, resolve=None, target=0.95, arrival=False):
    count = len(respond)
    return Promises(
        np.array(respond, float),
        np.array(resolve if resolve else [np.nan] * count, float),
        np.full(count, target),
        np.full(count, arrival),
    )


def test_without_travel_the_chain_is_erlang_c():
    rows = without_travel([0.1, 0.2, 0.3], 4.0)
    for servers in (3, 5, 9):
        state = congestion(rows, np.array([servers]))
        assert state.waiting[0] == pytest.approx(float(staffing.erlang_c(2.4, servers)), rel=1e-12)
        assert state.utilisation[0] == pytest.approx(2.4 / servers, rel=1e-12)
        times = np.array([0.3, 1.0, 4.0])
        tail = state.waiting[0] * queue_tail(rows, state, np.array([servers]), times[None, :])[0]
        exact = np.diagonal(staffing.wait_tail([0.1, 0.2, 0.3], 0.25, servers, times))
        np.testing.assert_allclose(tail, exact, rtol=1e-9)


def test_without_travel_sizing_is_servers_needed():
    generator = np.random.default_rng(2)
    rates = generator.gamma(2.0, 0.15, size=(60, 4))
    limits = promises([0.5, 1.0, 8.0, 24.0])
    sized = size_rows(without_travel(rates, 5.0), limits)
    exact = servers_needed_rows(rates, np.full(60, 0.2), limits.respond, limits.target)
    assert sized.servers.tolist() == exact.tolist()
    empty = size_rows(without_travel(np.zeros((1, 4)), 5.0), limits)
    assert empty.servers.tolist() == [0]


def square(side=150.0, speed=50.0, most=30):
    table, pace = unit_square_table(most), 1.3 / speed
    return (table.mean * side * pace)[None], (table.quantiles * side * pace)[None]


def drawn(orders, servers, side=150.0, **columns):
    demand = pd.DataFrame({"priority": P, "orders_per_day": orders, "work_hours": 3.0} | columns)
    return staffing.simulate_region(demand, servers, area_km2=side**2, days=400_000 / sum(orders), seed=9)


@pytest.mark.parametrize(("servers", "load", "scv"), [(4, 0.6, 0.5), (8, 0.7, 1.0), (12, 0.75, 2.0)])
def test_waits_drives_and_load_agree_with_simulation(servers, load, scv):
    side = 150.0
    orders = np.array([0.1, 0.2, 0.3, 0.4]) * load * servers / 4.6 * 24
    run = drawn(orders, servers, side, work_scv=scv)
    travel, spread = square(side)
    moment = (9.0 * (1 + scv) + 6 * travel[0, 0] + (spread[0, 0] ** 2).mean()) / (3 + travel[0, 0]) ** 2 - 1
    rows = RegionRows(
        orders[None] / 24, np.full((1, 4), 3.0), np.array([moment]), np.zeros(1, int), travel, spread
    )
    state = congestion(rows, np.array([servers]))
    assert state.drive[0] == pytest.approx(run.drive_hours, rel=0.08)
    assert state.utilisation[0] == pytest.approx(run.utilisation, rel=0.03)
    limits = np.array([1.0, 2.0, 4.0, 12.0])
    for arrival in (False, True):
        kept = response_kept(rows, state, np.array([servers]), limits, np.full(4, arrival))[0]
        for k, name in enumerate(P):
            own = run.orders[run.orders["priority"] == name]
            answered = own["arrived" if arrival else "sent"] - own["opened"]
            assert kept[k] == pytest.approx((answered <= limits[k]).mean(), abs=0.025)


def test_solutions_agree_with_simulation():
    servers, side = 6, 120.0
    orders = np.array([1.0, 2.0, 6.0, 9.0])
    columns = {
        "work_scv": 0.7,
        "missing_share": 0.12,
        "parts_hours": 30.0,
        "again_share": 0.05,
        "diagnose_hours": 1.0,
    }
    run = drawn(orders, servers, side, **columns)
    travel, spread = square(side)
    visits = 1.17
    work = (3.0 * 1.05 + 0.12) / visits
    rows = RegionRows(
        orders[None] / 24 * visits, np.full((1, 4), work), np.array([0.7]), np.zeros(1, int), travel, spread
    )
    shape = (1, 4)
    repairs = Repairs(
        np.full(shape, 3.0),
        np.full(4, 0.7),
        1.0,
        np.full(shape, 0.12),
        np.zeros(shape),
        np.full(shape, 0.05),
        np.full(1, 30.0),
    )
    limits = np.array([8.0, 24.0, 48.0, 72.0])
    kept = promises_kept(rows, np.array([servers]), promises([np.nan] * 4, list(limits)), repairs).resolve[0]
    for k, name in enumerate(P):
        own = run.orders[run.orders["priority"] == name]
        assert kept[k] == pytest.approx((own["solved"] - own["opened"] <= limits[k]).mean(), abs=0.02)


def region_frames(seed, count=6):
    generator = np.random.default_rng(seed)
    regions, units, orders = [], [], []
    for i in range(count):
        side, name = generator.uniform(50, 400), f"R{i}"
        places = generator.uniform(0, side, (150, 2))
        if i % 2:
            centres = generator.uniform(0, side, (4, 2))
            places = centres[generator.integers(4, size=150)] + generator.normal(0, side / 25, (150, 2))
        units.append(pd.DataFrame({"region_id": name, "east": places[:, 0], "north": places[:, 1]}))
        regions.append((name, generator.uniform(45, 70)))
        repair, mix = generator.uniform(2, 8), generator.dirichlet([2, 3, 5, 6])
        rate = generator.integers(3, 16) * generator.uniform(0.4, 0.75) / (repair + 0.008 * side) * 24
        orders += [(name, P[k], rate * mix[k], repair, generator.uniform(0.3, 2.0)) for k in range(4)]
    return (
        pd.DataFrame(regions, columns=["region_id", "travel_speed"]),
        pd.DataFrame(orders, columns=["region_id", "priority", "orders_per_day", "work_hours", "work_scv"]),
        pd.concat(units, ignore_index=True),
    )


@pytest.mark.parametrize(("limits", "mode"), [([1 / 3, 1, 8, 24], "dispatch"), ([2, 4, 24, 72], "dispatch")])
def test_analytic_sizing_is_what_simulation_finds(limits, mode):
    regions, orders, units = region_frames(1)
    asked = pd.DataFrame({"priority": P, "respond_hours": limits, "response_mode": mode})
    formula = staffing.size_regions(regions, orders, asked, units)
    found = staffing.size_regions(regions, orders, asked, units, simulate=True)
    gap = formula["required"] - found["required"]
    assert gap.abs().max() <= 1
    assert (gap == 0).mean() >= 0.6


def test_one_engineer_fewer_breaks_a_promise():
    regions, orders, units = region_frames(3)
    asked = pd.DataFrame({"priority": P, "respond_hours": [0.5, 1.0, 8.0, 24.0]})
    table = staffing.size_regions(regions, orders, asked, units)
    assert (table[[f"respond_{p.lower()}" for p in P]] >= 0.95).all(axis=None)
    for _, row in table.iterrows():
        own = orders[orders["region_id"] == row["region_id"]]
        places = units.loc[units["region_id"] == row["region_id"], ["east", "north"]].to_numpy()
        speed = regions.set_index("region_id").loc[row["region_id"], "travel_speed"]
        fewer = staffing.simulate_region(
            own.assign(respond_hours=[0.5, 1.0, 8.0, 24.0]),
            int(row["required"]) - 1,
            points=places,
            travel_speed=speed,
            days=40_000 / own["orders_per_day"].sum(),
            seed=1,
        )
        assert (fewer.table["achieved"] < 0.965).any()


def test_what_no_engineer_can_cure_is_named():
    regions = pd.DataFrame({"region_id": ["far", "slow", "empty"], "area_km2": [4e6, 100.0, 100.0]})
    base = {"orders_per_day": 1.0, "work_scv": 0.5}
    orders = pd.DataFrame(
        [
            {"region_id": "far", "priority": "P1", "work_hours": 1.0, **base},
            {"region_id": "slow", "priority": "P1", "work_hours": 20.0, **base},
            {
                "region_id": "empty",
                "priority": "P1",
                "work_hours": 1.0,
                "missing_share": 0.5,
                "parts_hours": 200.0,
                **base,
            },
        ]
    )
    asked = pd.DataFrame({"priority": ["P1"], "respond_hours": [4.0], "resolve_hours": [8.0]})
    table = staffing.size_regions(regions, orders, asked).set_index("region_id")
    assert table["bound_p1"].to_dict() == {"far": "reach", "slow": "repair", "empty": "parts"}
    assert table["required"].max() <= 5
    here = asked.assign(response_mode="arrival", resolve_hours=np.nan, respond_hours=1.0)
    reach = staffing.size_regions(regions.iloc[:1], orders.iloc[:1], here)
    assert reach["bound_p1"].tolist() == ["reach"]


def deciding(**changes):
    regions = pd.DataFrame({"region_id": ["r"], "area_km2": [20_000.0]})
    orders = pd.DataFrame(
        {"region_id": "r", "priority": ["P1", "P2"], "work_hours": 2.0, "orders_per_day": 4.0}
    )
    promises = pd.DataFrame({"priority": ["P1", "P2"], "respond_hours": [2.0, 4.0], "target": 0.95})
    orders = orders.assign(**changes.pop("orders", {}))
    return staffing.size_regions(
        regions, orders, promises.assign(**changes.pop("promises", {})), **changes
    ).iloc[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"promises": {"respond_hours": [2.0, 24.0]}}, "waits decide: response of P1 within 2 h needs"),
        ({"promises": {"respond_hours": [24.0, 1.0]}}, "waits decide: response of P2 within 1 h needs"),
        ({"promises": {"respond_hours": np.nan}}, "hours decide: "),
        ({"promises": {"respond_hours": 40.0}, "orders": {"orders_per_day": 0.05}}, "one engineer is enough"),
        (
            {"promises": {"respond_hours": [12.0, 24.0], "resolve_hours": [9.0, np.nan]}},
            "solutions decide: solution of P1 within 9 h needs",
        ),
        (
            {"promises": {"response_mode": "arrival"}, "orders": {"orders_per_day": 0.1}},
            "distance decides: arrival of P1 within 2 h needs",
        ),
    ],
)
def test_the_reason_names_what_decides_the_number(changes, told):
    assert f"; {told}" in deciding(**changes)["reason"]


def test_the_reason_names_the_share_that_one_engineer_fewer_would_keep():
    row = deciding(promises={"respond_hours": [2.0, 24.0], "response_mode": "arrival"})
    share = float(row["reason"].split("(")[1].split("%")[0]) / 100
    limits = {"respond_hours": [2.0, 24.0], "response_mode": "arrival", "target": [share - 0.006, 0.1]}
    assert deciding(promises=limits)["required"] == row["required"] - 1
    assert deciding(promises=limits | {"target": [share + 0.006, 0.1]})["required"] == row["required"]


def test_the_reason_names_what_is_left_out():
    row = deciding(promises={"respond_hours": [0.05, 1.5], "response_mode": "arrival"})
    assert row["bound_p1"] == "reach"
    assert "arrival of P2 within 1.5 h" in row["reason"]
    assert row["reason"].endswith("left out, as no engineer cures them: P1 reach-bound")


def test_promises_of_p1_to_p4_are_sorted_and_others_keep_their_order():
    regions = pd.DataFrame({"region_id": ["r"], "area_km2": [20_000.0]})
    names = [f"P{k}" for k in (1, 2, 3, 4)]
    orders = pd.DataFrame({"region_id": "r", "priority": names, "work_hours": 3.0, "orders_per_day": 3.0})
    asked = pd.DataFrame({"priority": names, "respond_hours": [1.0, 4.0, 8.0, 24.0]})
    expected = staffing.size_regions(regions, orders, asked)
    shuffled = staffing.size_regions(regions, orders, asked.iloc[[2, 0, 3, 1]])
    pd.testing.assert_frame_equal(shuffled, expected)
    renamed = dict(zip(names, ["red", "blue", "green", "grey"], strict=True))
    other = [frame.assign(priority=frame["priority"].map(renamed)) for frame in (orders, asked)]
    first = staffing.size_regions(regions, *other)
    assert first["required"].tolist() == expected["required"].tolist()
    assert first["respond_red"].tolist() == expected["respond_p1"].tolist()
    last = staffing.size_regions(regions, other[0], other[1].iloc[::-1])
    assert last["required"].iloc[0] > first["required"].iloc[0]
    crew = [staffing.simulate_region(orders.iloc[rows], 4, days=60) for rows in ([0, 1, 2, 3], [3, 1, 0, 2])]
    pd.testing.assert_frame_equal(crew[0].orders, crew[1].orders)


def test_months_are_sized_apart_and_regions_without_orders_need_nobody():
    regions = pd.DataFrame({"region_id": ["a", "b"], "area_km2": [1e4, np.nan]})
    months = pd.to_datetime(["2026-01-01", "2026-02-01"])
    orders = pd.DataFrame(
        {
            "region_id": ["a", "a", "b"],
            "month": [*months, months[0]],
            "priority": "P1",
            "orders_per_day": [1.0, 9.0, 0.0],
            "work_hours": 4.0,
        }
    )
    table = staffing.size_regions(
        regions.assign(area_km2=[1e4, 1.0]),
        orders,
        pd.DataFrame({"priority": ["P1"], "respond_hours": [1.0]}),
    )
    need = table.set_index(["region_id", "month"])["required"]
    assert need["a", months[0]] < need["a", months[1]]
    assert need["b", months[0]] == 0


def test_quantiles_give_shares_back():
    spread = np.sort(np.random.default_rng(0).gamma(2.0, 1.0, (3, 5, 400)), axis=2)
    for limit in (0.5, 2.0, 6.0):
        np.testing.assert_allclose(share_within(spread, limit), (spread <= limit).mean(axis=2), atol=0.004)


GOOD = {
    "regions": pd.DataFrame({"region_id": ["a"], "area_km2": [1e4]}),
    "orders": pd.DataFrame(
        {"region_id": ["a"], "priority": ["P1"], "orders_per_day": [1.0], "work_hours": [4.0]}
    ),
    "promises": pd.DataFrame({"priority": ["P1"], "respond_hours": [1.0]}),
}


@pytest.mark.parametrize(
    ("changes", "table", "column"),
    [
        ({"regions": GOOD["regions"].assign(area_km2=np.nan)}, "regions", "region_id"),
        ({"orders": GOOD["orders"].assign(region_id="x")}, "orders", "region_id"),
        ({"orders": GOOD["orders"].assign(priority="P9")}, "orders", "priority"),
        ({"orders": GOOD["orders"].assign(orders_per_day=-1.0)}, "orders", "orders_per_day"),
        ({"orders": GOOD["orders"].assign(orders_per_day=np.nan)}, "orders", "orders_per_day"),
        ({"orders": pd.concat([GOOD["orders"]] * 2)}, "orders", "priority"),
        ({"orders": GOOD["orders"].drop(columns="work_hours")}, "orders", "work_hours"),
        ({"promises": GOOD["promises"].assign(target=1.0)}, "promises", "target"),
        ({"max_utilisation": 1.2}, "size_regions", "max_utilisation"),
    ],
)
def test_impossible_tables_are_refused_by_name(changes, table, column):
    with pytest.raises(DataError) as caught:
        staffing.size_regions(**(GOOD | changes))
    assert (table, column) in set(
        caught.value.problems[["table", "column"]].itertuples(index=False, name=None)
    )


@pytest.mark.parametrize(("servers", "load"), [(2, 0.35), (5, 0.6), (10, 0.7)])
def test_a_day_with_rush_hours_agrees_with_simulation(servers, load):
    profile = np.array(
        [1, 1, 1, 1, 1, 2, 4, 12, 30, 45, 60, 58, 30, 40, 62, 58, 42, 32, 22, 14, 9, 6, 4, 2.0]
    )
    profile /= profile.mean()
    side, limits = 150.0, np.array([1.0, 2.0, 8.0, 24.0])
    travel, spread = square(side)
    visit = 3.0 + 0.6 * travel[0, 0]
    rates = np.array([0.05, 0.15, 0.35, 0.45]) * servers * load / visit
    run = staffing.simulate_region(
        pd.DataFrame({"priority": P, "orders_per_day": rates * 24, "work_hours": 3.0, "work_scv": 0.6}),
        servers,
        area_km2=side**2,
        days=60_000 / (rates.sum() * 24),
        profile=profile,
        seed=3,
    )
    rows = RegionRows(rates[None], np.full((1, 4), 3.0), np.array([0.5]), np.zeros(1, int), travel, spread)
    kept = promises_kept(
        rows, np.array([servers]), promises(limits), None, day_phases(profile, visit)
    ).respond[0]
    flat = promises_kept(rows, np.array([servers]), promises(limits)).respond[0]
    real = np.array(
        [
            (own["sent"] - own["opened"] <= limits[P.index(name)]).mean()
            for name, own in run.orders.groupby("priority")
        ]
    )
    assert (kept <= real + 0.02).all()
    assert (kept >= real - [0.06, 0.06, 0.02, 0.02]).all()
    assert flat[0] > real[0] + 0.03


def fast(table, side, speed=50.0):
    pace = 1.3 / speed
    return (table.mean * side * pace)[None], (table.quantiles * side * pace)[None]


def test_tables_of_drives_continue_beyond_their_end():
    rates, side = np.array([[0.2, 0.4, 0.8, 1.0]]), 150.0
    short, long = fast(unit_square_table(12), side), fast(unit_square_table(48), side)
    limits, servers = np.array([0.6, 0.8, 1.0, 2.0]), np.array([30])
    found = []
    for travel, spread in (short, long):
        rows = RegionRows(rates, np.full((1, 4), 3.0), np.array([0.8]), np.zeros(1, int), travel, spread)
        state = congestion(rows, servers)
        kept = response_kept(rows, state, servers, limits, np.ones(4, bool))
        model = Repairs(
            np.full((1, 4), 3.0), np.ones(4), 1.0, *(np.zeros((1, 4)) for _ in range(3)), np.ones(1)
        )
        asked = promises([np.nan] * 4, [3.0, 4.0, 6.0, 9.0])
        found.append((state.drive, kept, promises_kept(rows, servers, asked, model).resolve))
    for less, more in zip(*found, strict=True):
        np.testing.assert_allclose(less, more, atol=0.02, rtol=0.02)


def test_free_engineers_to_reach_agree_with_a_longer_table_and_the_coverage_floor():
    side = 200.0
    short, long = fast(unit_square_table(12), side), fast(unit_square_table(96), side)
    blank = np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(1, int)
    for limit, share in ((1.2, 0.9), (0.9, 0.95), (0.75, 0.95), (3.0, 0.9)):
        few, many = (
            float(free_to_reach(RegionRows(*blank, *tables), limit, share)[0]) for tables in (short, long)
        )
        assert few == pytest.approx(many, rel=0.15)
        # Everywhere else alike; edges, and the badly placed who are left over, ask for more.
        reach = limit * 50.0 / 1.3
        floor = -np.log(1 - share) * side**2 / (np.pi * reach**2)
        if floor > 4:
            assert 0.95 < many / floor < 2.5
    at_once = free_to_reach(RegionRows(*blank, *long), 0.0, 0.9)
    assert np.isinf(at_once).all()


def test_a_wide_region_with_few_orders_is_covered_before_it_is_called_out_of_reach():
    regions = pd.DataFrame({"region_id": ["wide", "wider"], "area_km2": [2e4, 1e5]})
    orders = pd.DataFrame(
        {"region_id": ["wide", "wider"], "priority": "P1", "orders_per_day": 0.5, "work_hours": 2.0}
    )
    asked = pd.DataFrame({"priority": ["P1"], "respond_hours": [0.75], "response_mode": "arrival"})
    table = staffing.size_regions(regions, orders, asked).set_index("region_id")
    assert table["bound_p1"].to_dict() == {"wide": "none", "wider": "reach"}
    assert table.loc["wide", "respond_p1"] >= 0.95
    assert 20 <= table.loc["wide", "required"] <= 50
    assert table.loc["wider", "required"] <= 3
    crew = int(table.loc["wide", "required"])
    # Hardly ever busy, engineers spread better than the table of drives knows: it errs to the safe side.
    for engineers, low, high in ((crew, 0.95, 1.0), (crew // 3, 0.5, 0.93)):
        run = staffing.simulate_region(
            orders[:1].assign(respond_hours=0.75, response_mode="arrival"),
            engineers,
            area_km2=2e4,
            days=8_000,
            seed=2,
        )
        assert low <= run.table["achieved"].iloc[0] <= high
    more = staffing.size_regions(regions, orders, asked, reach_engineers=200).set_index("region_id")
    assert more["bound_p1"].tolist() == ["none", "none"]
    assert more.loc["wider", "required"] > 80


def test_quick_decisions_find_the_numbers_of_exact_shares():
    generator = np.random.default_rng(8)
    rates = generator.gamma(2.0, 0.15, size=(40, 4))
    travel, spread = square(120.0, most=16)
    rows = RegionRows(rates, np.full((40, 4), 4.0), np.full(40, 1.4), np.zeros(40, int), travel, spread)
    for arrival in (False, True):
        asked = promises([1.5, 2.0, 8.0, 24.0], arrival=arrival)
        sized = size_rows(rows, asked)
        for less in (0, 1):
            kept = promises_kept(rows, np.maximum(sized.servers - less, 1), asked).respond
            short = ((kept < asked.target) & (sized.respond_cause == "none")).any(axis=1)
            load = congestion(rows, np.maximum(sized.servers - less, 1)).utilisation
            assert (short | (load >= 1) | (sized.servers == 1)).all() if less else not short.any()


@pytest.mark.parametrize(
    ("case", "scv", "low", "high"), [("mgc_gamma", 0.5, -0.003, 0.011), ("mgc_lognorm", 2.0, -0.017, 0.023)]
)
def test_the_rule_for_variable_repairs_is_near_a_simulation_by_ciw(test_data, case, scv, low, high):
    table = pd.read_csv(test_data / "staffing" / "priority_mgc_ciw.csv")
    table = table[table["case"] == case]
    rows = without_travel(table["lam"].to_numpy(), table["mean_service"].iloc[0], scv)
    servers = np.array([int(table["servers"].iloc[0])])
    state = congestion(rows, servers)
    for name in ("0", "t1", "t2", "t3"):
        times = np.zeros(len(table)) if name == "0" else table[name].to_numpy()
        late = state.waiting[0] * queue_tail(rows, state, servers, times[None])[0]
        error = late - table[f"p_gt_{name}"].to_numpy()
        assert ((error >= low) & (error <= high)).all()


def test_a_crowd_that_drives_from_afar_and_only_just_works_itself_off_is_not_planned_for():
    table, pace = unit_square_table(48), 0.026
    drives = table.mean[None] * 150 * pace, table.quantiles[None] * 150 * pace
    far = float(drives[0][0, 0])
    asked = Promises(np.full(1, 2e3), np.full(1, np.nan), np.full(1, 0.95), np.zeros(1, dtype=bool))
    for servers in (10, 20, 30):
        for load in (0.98, 0.995):
            rates = np.array([[load * servers / (4.0 + far)]])
            rows = RegionRows(rates, np.array([[4.0]]), np.ones(1), np.zeros(1, int), *drives)
            found = int(size_rows(rows, asked).servers[0])
            assert found == (servers if load < 0.985 else servers + 1)
            # Without a road there is no such crowd: the exact law stands.
            near = RegionRows(
                np.array([[0.995 * servers / 4.0]]),
                rows.work,
                rows.scv,
                rows.place,
                *(0.0 * part for part in drives),
            )
            exact = servers_needed_rows(near.rates, np.array([0.25]), asked.respond[None], asked.target[None])
            assert size_rows(near, asked).servers.tolist() == exact.tolist()
