from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan import staffing
from spareplan.errors import DataError
from spareplan.staffing._kernels import compiled_dispatch, dispatch
from spareplan.staffing.rotas import rotas

P = ["P1", "P2", "P3", "P4"]


def orders(**columns):
    return pd.DataFrame({"priority": P[: len(next(iter(columns.values())))], **columns})


def test_waits_agree_with_a_simulation_by_ciw(test_data):
    table = pd.read_csv(test_data / "staffing" / "priority_mgc_ciw.csv")
    scores = []
    for case, rows in table.groupby("case"):
        law = "lognormal" if rows["service_dist"].iloc[0].startswith("lognorm") else "gamma"
        digits = rows["service_dist"].iloc[0].lstrip("abcdefghijklmnopqrstuvwxyz")
        crew: int | pd.DataFrame = int(rows["servers"].iloc[0])
        if case == "day_shift":
            # Ciw brings fresh servers to every shift: two crews that take turns.
            crew = pd.DataFrame(
                {
                    "count": [4, 1, 4, 1],
                    "shift_start": [0.0, 8.0, 24.0, 32.0],
                    "shift_end": [8.0, 24.0, 32.0, 48.0],
                }
            )
        demand = orders(
            orders_per_day=rows["lam"].to_numpy() * 24,
            work_hours=rows["mean_service"].to_numpy(),
            work_scv=np.full(len(rows), float(digits or 1)),
        )
        length = 600_000 / demand["orders_per_day"].sum()
        run = staffing.simulate_region(
            demand, crew, days=length, warm_up_days=0.05 * length, work_law=law, seed=11, cycle_hours=48.0
        )
        for _, row in rows.iterrows():
            own = run.orders[run.orders["priority"] == P[int(row["cls"])]]
            waits = (own["sent"] - own["opened"]).to_numpy()
            batches = np.array([part.mean() for part in np.array_split(waits, 20)])
            error = np.hypot(row["wait_mean_hw95"] / 2.093, batches.std(ddof=1) / np.sqrt(20))
            scores.append((waits.mean() - row["wait_mean"]) / error)
            for name in ("0", "t1", "t2", "t3"):
                limit = 0.0 if name == "0" else row[name]
                late = (waits > limit + 1e-12).astype(float)
                batches = np.array([part.mean() for part in np.array_split(late, 20)])
                error = np.hypot(row[f"p_gt_{name}_hw95"] / 2.093, batches.std(ddof=1) / np.sqrt(20))
                scores.append((late.mean() - row[f"p_gt_{name}"]) / max(error, 1e-5))
    assert len(scores) == 5 * len(table)
    assert np.abs(scores).max() < 4.5


def random_region(seed, count=400, crew=5):
    generator = np.random.default_rng(seed)
    visits = 1 + (generator.random(count) < 0.3) + (generator.random(count) < 0.1)
    first = np.concatenate([[0], np.cumsum(visits)])
    wait = np.zeros(first[-1])
    again = np.setdiff1d(np.arange(first[-1]), first[:-1])
    wait[again] = generator.exponential(5.0, len(again))
    held = first[:-1][generator.random(count) < 0.1]
    wait[held] = generator.exponential(20.0, len(held))
    shifts = rotas(
        np.array([0.0, 8.0, 8.0, 20.0, 9.0]),
        np.array([24.0, 16.0, 18.0, 4.0, 17.0]),
        np.array([7, 5, 7, 6, 5]),
        24.0,
    )
    return (
        np.sort(generator.uniform(0, 300, count)),
        generator.integers(0, 4, count),
        generator.integers(0, 3, count),
        generator.uniform(0, 90, count),
        generator.uniform(0, 90, count),
        first,
        generator.exponential(2.5, first[-1]),
        wait,
        np.array([0, 1, 2, 2, 0]),
        np.array([0.8, 1.0, 1.2, 1.0, 0.9]),
        generator.uniform(0, 90, crew),
        generator.uniform(0, 90, crew),
        shifts.of,
        np.array([False, True, False, True, True]),
        shifts.starts_on,
        shifts.change_at,
        shifts.change_rota,
        shifts.period,
        2,
        0.02,
        4,
        3,
        bool(seed % 2),
    )


@pytest.mark.parametrize("seed", range(3))
def test_compiled_and_plain_loop_agree(seed):
    plain, fast = dispatch(*random_region(seed)), compiled_dispatch()(*random_region(seed))
    for one, other in zip(plain, fast, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(4))
def test_every_order_is_served_once_by_a_free_engineer_with_the_skill(seed):
    arguments = random_region(seed)
    sent, arrived, solved, busy = dispatch(*arguments)
    assert np.isfinite(sent).all()
    assert np.isfinite(solved).all()
    first, hours, wait = arguments[5:8]
    assert (sent >= arguments[0] + wait[first[:-1]]).all()
    assert (arrived >= sent).all()
    assert (solved > arrived).all()
    once = np.diff(first) == 1
    speeds = arguments[9]
    own = hours[first[:-1]][once]
    fastest, slowest = own / speeds.max(), own / speeds.min()
    spent = (solved - arrived)[once]
    assert ((spent >= fastest - 1e-9) & (spent <= slowest + 1e-9)).all()
    assert busy.min() >= 0


def test_nobody_serves_without_anybody_on_duty_except_urgent_calls():
    crew = pd.DataFrame({"count": [3], "shift_start": [8.0], "shift_end": [18.0], "on_call": [True]})
    run = staffing.simulate_region(
        orders(orders_per_day=[1.0, 1.0, 1.0, 1.0], work_hours=[1.0] * 4), crew, days=200
    )
    hour = run.orders["sent"] % 24
    night = (hour < 8 - 1e-9) | (hour >= 18 + 24 * 0)
    urgent = run.orders["priority"].isin(["P1", "P2"])
    assert night[urgent].any()
    late = run.orders[night & ~urgent]
    # P3 and P4 start at night only where the last job of the day ends late: never, because nobody is on duty.
    assert late.empty


def test_weekends_are_free():
    crew = pd.DataFrame({"count": [2], "shift_start": [0.0], "shift_end": [24.0], "days_a_week": [5]})
    run = staffing.simulate_region(
        orders(orders_per_day=[2.0], work_hours=[2.0]), crew, days=100, warm_up_days=0
    )
    assert ((run.orders["sent"] // 24) % 7 < 5).all()


def test_missing_parts_delay_the_solution_by_their_wait():
    plain = orders(orders_per_day=[1.0], work_hours=[2.0], resolve_hours=[24.0])
    missing = plain.assign(missing_share=1.0, parts_hours=100.0, diagnose_hours=0.5)
    a = staffing.simulate_region(plain, 20, days=800, seed=2).orders
    b = staffing.simulate_region(missing, 20, days=800, seed=2).orders
    gain = (b["solved"] - b["opened"]).mean() - (a["solved"] - a["opened"]).mean()
    assert gain == pytest.approx(100.5, rel=0.1)


def test_the_same_seed_gives_the_same_run():
    demand = orders(orders_per_day=[2.0, 4.0], work_hours=[2.0, 3.0], respond_hours=[1.0, 8.0])
    one, other = (staffing.simulate_region(demand, 2, area_km2=5000, days=60, seed=5) for _ in range(2))
    pd.testing.assert_frame_equal(one.table, other.table)


def test_fixed_services_wait_as_long_as_crommelin_says(test_data):
    for row in pd.read_csv(test_data / "staffing" / "mdc_mean_wait.csv").itertuples():
        demand = orders(
            orders_per_day=[24.0 * row.rho * row.c / row.service], work_hours=[row.service], work_scv=[0.0]
        )
        length = 400_000 / demand["orders_per_day"].sum()
        run = staffing.simulate_region(demand, int(row.c), days=length, warm_up_days=0.02 * length, seed=4)
        waits = (run.orders["sent"] - run.orders["opened"]).to_numpy()
        batches = np.array([part.mean() for part in np.array_split(waits, 20)])
        assert abs(waits.mean() - row.wq) < 4.5 * np.hypot(batches.std(ddof=1) / np.sqrt(20), 1e-3 * row.wq)


def test_a_shift_without_engineers_serves_nobody_and_says_so():
    crew = pd.DataFrame({"count": [2, 0], "shift_start": [6.0, 18.0], "shift_end": [18.0, 6.0]})
    run = staffing.simulate_region(orders(orders_per_day=[3.0], work_hours=[1.0]), crew, days=100)
    hour = run.orders["sent"] % 24
    assert ((hour >= 6 - 1e-9) & (hour < 18)).all()
    assert any("nobody is on duty 50% of the time" in note for note in run.notes)


def test_who_is_at_work_at_the_end_of_the_shift_finishes_but_takes_no_further_order():
    crew = pd.DataFrame({"count": [1], "shift_start": [8.0], "shift_end": [16.0]})
    demand = orders(orders_per_day=[1.5], work_hours=[5.0], work_scv=[0.0])
    run = staffing.simulate_region(demand, crew, days=300).orders
    over = run[(run["sent"] % 24 > 11) & (run["sent"] % 24 < 16)]
    assert len(over) > 50
    np.testing.assert_allclose(over["solved"] - over["sent"], 5.0)
    # The job that runs over is the last of its day.
    nights = (over["solved"].to_numpy() // 24)[:, None] * 24 + np.array([16.0, 32.0])
    begun = run["sent"].to_numpy()[:, None]
    assert not ((begun > nights[:, 0]) & (begun < nights[:, 1] - 1e-9)).any()


def test_only_who_is_on_call_is_called_out_and_only_for_urgent_classes():
    crew = pd.DataFrame(
        {"count": [3, 1], "shift_start": [8.0, 8.0], "shift_end": [18.0, 18.0], "on_call": [False, True]}
    )
    demand = orders(orders_per_day=[4.0, 4.0], work_hours=[3.0, 3.0], work_scv=[0.0, 0.0])
    run = staffing.simulate_region(demand, crew, days=400, urgent=1).orders
    night = run[(run["sent"] % 24 < 8 - 1e-9) | (run["sent"] % 24 >= 18)]
    assert set(night["priority"]) == {"P1"}
    # One on call: two night calls never overlap.
    begun = np.sort(night["sent"].to_numpy())
    assert np.diff(begun).min() >= 3.0 - 1e-9


def test_a_crew_that_only_comes_when_called_is_a_plain_queue_of_urgent_orders():
    crew = pd.DataFrame({"count": [3], "days_a_week": [0], "on_call": [True]})
    plain = orders(orders_per_day=[12.0], work_hours=[4.0])
    called = staffing.simulate_region(plain, crew, days=4000, urgent=1, seed=3)
    free = staffing.simulate_region(plain, 3, days=4000, seed=3)
    pd.testing.assert_frame_equal(called.orders, free.orders)
    late = staffing.wait_tail([0.5], 0.25, 3, [1.0])[0, 0]
    assert free.late("P1", 1.0) == pytest.approx(late, abs=0.015)


def test_a_weekly_rota_has_its_hours_and_a_shift_over_midnight_belongs_to_its_first_day():
    crew = pd.DataFrame({"count": [2], "shift_start": [20.0], "shift_end": [4.0], "days_a_week": [5]})
    run = staffing.simulate_region(orders(orders_per_day=[2.0], work_hours=[0.5]), crew, days=200).orders
    of_week = run["sent"].to_numpy() % 168
    assert of_week.min() >= 20 - 1e-9
    assert of_week.max() < 4 * 24 + 28
    assert ((of_week % 24 >= 20 - 1e-9) | (of_week % 24 < 4)).all()


def test_parts_known_to_be_missing_hold_the_visit_not_the_engineer():
    plain = orders(orders_per_day=[2.0], work_hours=[2.0], respond_hours=[1.0])
    held = staffing.simulate_region(
        plain.assign(known_share=1.0, parts_hours=50.0), 8, days=3000, seed=5, warm_up_days=60
    ).orders
    waits = (held["ready"] - held["opened"]).to_numpy()
    assert waits.mean() == pytest.approx(50.0, rel=0.05)
    assert waits.std() == pytest.approx(50.0, rel=0.05)
    assert (held["sent"] >= held["ready"] - 1e-9).all()
    assert (held["sent"] - held["ready"]).mean() < 0.01


def test_repairs_fail_each_on_its_own_until_one_holds():
    demand = orders(orders_per_day=[6.0], work_hours=[3.0], work_scv=[0.0]).assign(again_share=0.4)
    run = staffing.simulate_region(demand, 30, days=3000, seed=8)
    visits = np.rint((run.orders["solved"] - run.orders["opened"]) / 3.0)
    counts = visits.value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(counts.loc[1:4], 0.6 * 0.4 ** np.arange(4), atol=0.015)
    assert run.load == pytest.approx(6.0 / 24 * 3.0 / 0.6, rel=0.03)


def test_engineers_who_return_home_drive_twice_and_start_from_there():
    demand = orders(orders_per_day=[0.5], work_hours=[1.0], work_scv=[0.0])
    crew = pd.DataFrame({"count": [1], "east": [50.0], "north": [50.0]})
    run = staffing.simulate_region(demand, crew, area_km2=1e4, days=20_000, depot=True, seed=6)
    # Mean distance from the middle of a square: .3826 of its side.
    drive = 0.3826 * 100 * 1.3 / 50
    assert run.drive_hours == pytest.approx(drive, rel=0.02)
    assert run.load == pytest.approx(0.5 / 24 * (1.0 + 2 * drive), rel=0.03)


def test_a_load_nobody_can_carry_is_told():
    run = staffing.simulate_region(orders(orders_per_day=[30.0], work_hours=[4.0]), 2, days=60)
    assert run.load > 2
    assert any("cannot carry the load" in note for note in run.notes)
    assert staffing.simulate_region(orders(orders_per_day=[3.0], work_hours=[4.0]), 2, days=60).notes == ()


def test_orders_that_need_a_skill_nobody_has_are_late_and_told():
    demand = orders(orders_per_day=[4.0], work_hours=[1.0], respond_hours=[100.0]).assign(
        junior=0.5, expert=0.5
    )
    run = staffing.simulate_region(demand, pd.DataFrame({"count": [5], "skill": ["junior"]}), days=100)
    assert run.table["achieved"].iloc[0] == pytest.approx(0.5, abs=0.1)
    assert any("need a skill that nobody has" in note for note in run.notes)


def test_skills_and_shifts_do_not_hang_where_orders_are_left_over():
    crew = pd.DataFrame(
        {"count": [2], "skill": ["junior"], "shift_start": [8.0], "shift_end": [16.0], "days_a_week": [5]}
    )
    demand = orders(orders_per_day=[2.0], work_hours=[1.0]).assign(expert=1.0)
    assert staffing.simulate_region(demand, crew, days=50).orders["sent"].isna().all()


def test_calls_follow_the_hours_of_the_day_and_of_the_week():
    day = np.where((np.arange(24) >= 8) & (np.arange(24) < 16), 3.0, 0.0)
    week = np.vstack([np.tile(day, (5, 1)), np.zeros((2, 24))])
    demand = orders(orders_per_day=[20.0], work_hours=[0.5])
    for profile in (day, week):
        opened = staffing.simulate_region(demand, 5, days=364, warm_up_days=0, profile=profile).orders[
            "opened"
        ]
        assert len(opened) == pytest.approx(20 * 364, rel=0.05)
        assert ((opened % 24 >= 8) & (opened % 24 < 16)).all()
    assert ((opened // 24) % 7 < 5).all()
    spread = np.histogram(opened % 24, bins=np.arange(8, 17))[0]
    assert spread.min() > 0.85 * spread.mean()


ONE = {"orders_per_day": [1.0], "work_hours": [1.0]}
WEEKLY = {"cycle_hours": 168.0}


@pytest.mark.parametrize(
    ("crew", "more", "named"),
    [
        ({"days_a_week": [0]}, {}, "days_a_week"),
        ({"days_a_week": [8]}, {}, "days_a_week"),
        ({"days_a_week": [2.5]}, {}, "days_a_week"),
        ({"shift_start": [130.0], "shift_end": [140.0], "days_a_week": [5]}, WEEKLY, "shift_start"),
        ({"shift_start": [0.0], "shift_end": [100.0], "days_a_week": [5]}, WEEKLY, "days_a_week"),
        ({"shift_start": [9.0], "shift_end": [9.0]}, {}, "shift_end"),
        ({"shift_start": [-1.0], "shift_end": [9.0]}, {}, "shift_start"),
        ({"shift_start": [8.0], "shift_end": [30.0]}, {}, "shift_end"),
        ({"count": [1.5]}, {}, "count"),
        ({"count": [-1]}, {}, "count"),
        ({"count": ["two"]}, {}, "count"),
        ({"efficiency": [0.0]}, {}, "efficiency"),
        ({"efficiency": [np.inf]}, {}, "efficiency"),
        ({"on_call": ["perhaps"]}, {}, "on_call"),
    ],
)  # fmt: skip
def test_impossible_crews_are_refused_by_name(crew, more, named):
    with pytest.raises(DataError) as caught:
        staffing.simulate_region(orders(**ONE), pd.DataFrame(crew), **more)
    assert named in caught.value.problems["column"].tolist()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("work_scv", -1.0),
        ("target", 2.0),
        ("missing_share", 1.2),
        ("again_share", 1.0),
        ("known_share", -0.1),
        ("diagnose_hours", -1.0),
        ("parts_hours", np.inf),
        ("respond_hours", -1.0),
        ("orders_per_day", np.inf),
        ("work_hours", "long"),
        ("response_mode", "desk"),
        ("expert", 3.0),
        ("misspelt", 1.0),
    ],
)
def test_impossible_orders_are_refused_by_name(column, value):
    with pytest.raises(DataError) as caught:
        staffing.simulate_region(orders(**ONE).assign(**{column: value}), 2)
    assert column in caught.value.problems["column"].tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("work_law", "weibull"),
        ("profile", np.ones(12)),
        ("profile", np.zeros(24)),
        ("profile", np.full(24, np.nan)),
        ("points", np.empty((0, 2))),
        ("points", np.array([[np.nan, 1.0]])),
        ("points", np.ones(3)),
        ("area_km2", -1.0),
        ("area_km2", np.nan),
        ("travel_speed", 0.0),
        ("circuity", -1.0),
        ("days", np.nan),
        ("warm_up_days", -1.0),
        ("cycle_hours", 0.0),
        ("urgent", -1),
    ],
)
def test_impossible_arguments_are_refused_by_name(name, value):
    with pytest.raises(DataError) as caught:
        staffing.simulate_region(orders(**ONE), 2, **{name: value})
    assert name in caught.value.problems["column"].tolist()


def test_faults_of_orders_crew_and_arguments_are_told_together():
    demand = pd.DataFrame({"priority": ["P1"], "orders_per_day": [3.0], "work_hours": [-1.0]})
    with pytest.raises(DataError) as caught:
        staffing.simulate_region(demand, 0, travel_speed=0.0, days="long", cycle_hours=-5.0)
    problems = caught.value.problems
    assert set(problems["column"]) == {"travel_speed", "days", "cycle_hours", "work_hours", "count"}
    nobody = problems.set_index("column").loc["count"]
    assert nobody["rule"] == "is at least 1: else nobody serves the orders"
    assert nobody["remedy"].startswith("give the engineers on duty")


def test_doubled_priorities_and_empty_tables_are_refused():
    double = orders(orders_per_day=[1.0, 1.0], work_hours=[1.0, 1.0]).assign(priority="P1")
    for demand, crew in ((double, 2), (double.iloc[:0], 2), (orders(**ONE), "two")):
        with pytest.raises(DataError):
            staffing.simulate_region(demand, crew)


@pytest.mark.parametrize(
    ("demand", "crew", "named"),
    [
        (orders(orders_per_day=[1.0], work_hours=[1.0]), 0, "count"),
        (orders(orders_per_day=[-1.0], work_hours=[1.0]), 2, "orders_per_day"),
        (orders(orders_per_day=[0.0], work_hours=[1.0]), 2, "orders_per_day"),
        (orders(orders_per_day=[1.0]), 2, "work_hours"),
        (orders(orders_per_day=[1.0], work_hours=[1.0]), pd.DataFrame({"skill": ["wizard"]}), "skill"),
        (orders(orders_per_day=[1.0], work_hours=[1.0]), pd.DataFrame({"shfit": [1]}), "shfit"),
    ],
)
def test_impossible_regions_are_refused_by_name(demand, crew, named):
    with pytest.raises(DataError) as caught:
        staffing.simulate_region(demand, crew)
    assert named in caught.value.problems["column"].tolist()
