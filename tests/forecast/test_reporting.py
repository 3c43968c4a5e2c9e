"""Late reports: the law of the delay, completed counts, exposure without bias."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.config import ForecastOptions
from spareplan.errors import DataError
from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.reporting import ReportingDelay, complete_counts, learn_delay
from spareplan.tables.dataset import Dataset

DATES = ("production", "registration", "repair", "report")
TODAY = pd.Timestamp("2025-12-31")


def simulated(seed=0, per_day=5.0, days=800, mean=12.0):
    """Replacements at an even rate, reported after a geometric delay."""
    rng = np.random.default_rng(seed)
    count = rng.poisson(per_day * days)
    done = TODAY - pd.to_timedelta(rng.integers(0, days, count), unit="D")
    late = rng.geometric(1 / (mean + 1), count) - 1
    return pd.DataFrame({"done": done, "told": done + pd.to_timedelta(late, unit="D")})


def known(rows, as_of=TODAY):
    return rows[rows["told"] <= as_of]


def test_the_law_of_the_delay_is_recovered_though_the_last_reports_are_missing():
    rows = known(simulated())
    delay = learn_delay(rows["done"], rows["told"], TODAY)
    days = np.array([0, 5, 10, 20, 40])
    np.testing.assert_allclose(delay.share(days), 1 - (12 / 13) ** (days + 1), atol=0.02)
    assert delay.mean == pytest.approx(12, rel=0.05)
    assert delay.quantiles(5).mean() == pytest.approx(delay.mean)
    assert delay.known


def test_later_reports_and_undated_rows_change_nothing():
    rows = simulated(1)
    one = learn_delay(known(rows)["done"], known(rows)["told"], TODAY)
    two = learn_delay(rows["done"], rows["told"], TODAY)
    np.testing.assert_array_equal(one.cumulative, two.cumulative)
    some = rows.assign(told=rows["told"].where(np.arange(len(rows)) % 4 > 0))
    three = learn_delay(some["done"], some["told"], TODAY)
    assert three.mean == pytest.approx(one.mean, rel=0.05)
    assert "replacements without a report date" in {note["name"] for note in three.notes}


def test_earlier_days_are_asked_as_they_were_known_then():
    rows = simulated(2)
    then = TODAY - pd.Timedelta(days=200)
    early = learn_delay(rows["done"], rows["told"], then)
    cut = rows[rows["told"] <= then]
    np.testing.assert_array_equal(
        early.share([3, 9]), learn_delay(cut["done"], cut["told"], then).share([3, 9])
    )


def test_rows_entered_in_one_go_when_the_records_began_are_left_out():
    rows = known(simulated(3, days=500))
    load = pd.DataFrame({"done": TODAY - pd.to_timedelta(np.arange(501, 701), unit="D")})
    load["told"] = TODAY - pd.Timedelta(days=500)
    both = pd.concat([rows, load])
    begin = TODAY - pd.Timedelta(days=500)
    delay = learn_delay(both["done"], both["told"], TODAY, begin)
    assert delay.mean == pytest.approx(learn_delay(rows["done"], rows["told"], TODAY).mean)
    assert learn_delay(both["done"], both["told"], TODAY).mean > 1.5 * delay.mean
    per_row = np.full(len(both), begin.to_datetime64())
    assert learn_delay(both["done"], both["told"], TODAY, per_row).mean == delay.mean


def test_without_dates_everything_counts_as_reported():
    rows = known(simulated(4))
    delay = learn_delay(rows["done"], pd.Series(pd.NaT, index=rows.index), TODAY)
    assert not delay.known and delay.notes == []
    assert delay.share([0, 100, -1]).tolist() == [1, 1, 0]
    assert delay.quantiles(3).tolist() == [0, 0, 0]
    assert not learn_delay(rows["done"][:15], rows["told"][:15], TODAY).known
    rare = rows["told"].where(np.arange(len(rows)) % 5 == 0)
    assert not learn_delay(rows["done"], rare, TODAY).known
    assert not learn_delay([], [], TODAY).known


def test_the_watch_that_ends_earlier_makes_the_rate_unbiased():
    rng = np.random.default_rng(5)
    rows = simulated(5, per_day=20, days=120, mean=20)
    delay = learn_delay(known(rows)["done"], known(rows)["told"], TODAY)
    # Machines bought all the time: the youngest lose most of their watch.
    bought = rng.integers(0, 120, 4000)
    exposure = np.maximum(bought[:, None] + 1 - delay.quantiles(5), 0).mean()
    watched = np.cumsum(1 - (20 / 21) ** (np.arange(120) + 1))
    true = watched[bought].mean()
    assert exposure == pytest.approx(true, rel=0.03)
    assert (bought + 1).mean() / true > 1.3


def test_completed_counts_come_near_the_final_ones_where_reported_ones_fall_short():
    sums = np.zeros(3)
    for seed in range(10):
        rows = simulated(seed + 10, mean=12)
        delay = learn_delay(known(rows)["done"], known(rows)["told"], TODAY)
        weeks = complete_counts(known(rows)["done"], delay, "week").iloc[-4:]
        final = complete_counts(rows["done"], delay, "week").iloc[-4:]["reported"]
        sums += [weeks["reported"].sum(), weeks["completed"].sum(), final.sum()]
    assert sums[0] / sums[2] < 0.75
    assert sums[1] / sums[2] == pytest.approx(1, abs=0.04)


def test_old_periods_stay_as_they_are_and_a_day_without_reports_is_not_lost():
    rows = known(simulated(6))
    delay = learn_delay(rows["done"], rows["told"], TODAY)
    months = complete_counts(rows["done"], delay)
    np.testing.assert_allclose(months["completed"][:-6], months["reported"][:-6], rtol=0.01)
    assert months["reported"].sum() == len(rows)
    assert (months["period"].dt.day == 1).all()
    days = complete_counts(rows["done"][rows["done"] < TODAY], delay, "day")
    assert days["reported"].iloc[-1] == 0
    assert days["completed"].iloc[-1] == pytest.approx(5, rel=0.25)
    doubled = complete_counts(rows["done"], delay, weight=np.full(len(rows), 2.0))
    np.testing.assert_allclose(doubled["completed"], 2 * months["completed"])
    assert complete_counts([], delay).empty


def test_a_report_before_its_replacement_is_refused_by_row():
    done = pd.to_datetime(["2025-01-05", "2025-01-06"])
    with pytest.raises(DataError, match=r"replacements\[row 3\]\.reported_on = '2025-01-01'"):
        learn_delay(done, pd.to_datetime(["2025-01-05", "2025-01-01"]), TODAY)
    with pytest.raises(DataError, match="length"):
        learn_delay(done, done[:1], TODAY)
    with pytest.raises(DataError, match="use day, week or month"):
        complete_counts(done, ReportingDelay(TODAY, np.empty(0), np.empty(0)), "year")


def test_vehicles_of_the_last_two_weeks_are_completed(test_data):
    rows = pd.read_parquet(test_data / "bench/reliability/weibulltools_field_data.parquet")
    rows = rows[rows["repair_date"].notna()]
    done, told = pd.to_datetime(rows["repair_date"]), pd.to_datetime(rows["report_date"])
    sums = {days: np.zeros(3) for days in (14, 30)}
    for origin in pd.date_range("2015-02-28", "2015-11-28", freq="ME"):
        delay = learn_delay(done, told, origin)
        seen = done[told <= origin]
        counts = complete_counts(seen, delay, "day")
        for days, total in sums.items():
            final = ((done > origin - pd.Timedelta(days=days)) & (done <= origin)).sum()
            last = counts.iloc[-days:]
            total += [last["reported"].sum(), last["completed"].sum(), final]
    reported, completed = ({days: total[i] / total[2] for days, total in sums.items()} for i in (0, 1))
    # The missing tail of a month is a sixth; completed it is a fiftieth.
    assert reported[14] < 0.72 and reported[30] < 0.86
    assert completed[14] > 0.92 and completed[30] == pytest.approx(1, abs=0.04)


def vehicles(cars, origin, late=True):
    """What was known of the vehicles on a day, as a dataset: most have no day of registration."""
    day = {name: pd.to_datetime(cars[f"{name}_date"]) for name in DATES}
    units = pd.DataFrame(
        {
            "unit_id": [f"V{row:05d}" for row in range(len(cars))],
            "product_id": "CAR",
            "site_id": "S",
            "commissioned_on": day["registration"].where(day["registration"] <= origin),
            "built_on": day["production"],
        }
    )
    rows = pd.DataFrame(
        {
            "unit_id": units["unit_id"],
            "part_id": "ENGINE",
            "replaced_on": day["repair"],
            "reported_on": day["report"],
        }
    )
    if not late:
        rows = rows[rows["reported_on"] <= origin].drop(columns="reported_on")
        units["commissioned_on"] = units["commissioned_on"].fillna(units["built_on"])
    tables = {
        "products": pd.DataFrame({"product_id": ["CAR"], "name": ["car"], "tier": [2]}),
        "parts": pd.DataFrame(
            {"part_id": ["ENGINE"], "name": ["engine"], "unit_cost": [1.0], "lead_time_days": [30.0]}
        ),
        "fitment": pd.DataFrame({"product_id": ["CAR"], "part_id": ["ENGINE"], "quantity": [1]}),
        "regions": pd.DataFrame({"region_id": ["R"], "name": ["R"], "records_from": ["2014-01-01"]}),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "S"],
                "name": ["hq", "site"],
                "region_id": [None, "R"],
                "parent_id": [None, "HQ"],
                "lead_time_days": [0.0, 3.0],
            }
        ),
        "units": units[units["built_on"] <= origin],
        "replacements": rows[rows["replaced_on"] <= origin],
    }
    return Dataset.from_frames(tables)


def test_a_whole_forecast_of_the_vehicles_is_right_only_with_delay_and_drawn_handovers(test_data):
    cars = pd.read_parquet(test_data / "bench/reliability/weibulltools_field_data.parquet")
    repaired = pd.to_datetime(cars["repair_date"])
    alone = ForecastOptions(backtest_origins=0)
    sums = np.zeros(3)
    for origin in pd.to_datetime(["2015-03-31", "2015-08-31"]):
        sums += [
            forecast_demand(vehicles(cars, origin, late), months=3, as_of=origin, options=alone)
            .lead_time_demand(90)["mean"]
            .sum()
            for late in (True, False)
        ] + [((repaired > origin) & (repaired <= origin + pd.Timedelta(days=90))).sum()]
    assert sums[0] == pytest.approx(sums[2], rel=0.08)
    assert sums[1] < 0.85 * sums[2]
