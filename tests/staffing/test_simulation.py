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
