"""Days of commissioning that nobody wrote down: their law, their limits, and what they are worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.forecast.lifetimes import fit_lifetimes
from spareplan.forecast.reporting import learn_delay
from spareplan.tables.commissioning import impute_commissioning
from spareplan.tables.dataset import Dataset
from tests.tables.small_tables import edited, text_frames

TODAY = pd.Timestamp("2025-12-31")


def fleet(seed=0, machines=4000, missing=0.8):
    rng = np.random.default_rng(seed)
    built = TODAY - pd.to_timedelta(rng.integers(0, 1500, machines), unit="D")
    product = rng.choice(["A", "B"], machines)
    truth = built + pd.to_timedelta(rng.gamma(2, np.where(product == "A", 20, 60)).astype(int), unit="D")
    given = (rng.random(machines) > missing) & (truth <= TODAY)
    units = pd.DataFrame(
        {
            "unit_id": [f"U{number:05d}" for number in range(machines)],
            "product_id": product,
            "commissioned_on": pd.Series(truth).where(given),
            "built_on": built,
            "retired_on": pd.NaT,
        }
    )
    return units, pd.Series(truth)


def test_every_product_gets_its_own_delays_at_every_time() -> None:
    units, truth = fleet()
    filled, notes = impute_commissioning(units, TODAY)
    lost = units["commissioned_on"].isna()
    assert filled["commissioned_on"].notna().all()
    pd.testing.assert_series_equal(filled["commissioned_on"][~lost], units["commissioned_on"][~lost])
    drawn = (filled["commissioned_on"] - units["built_on"]).dt.days
    true = (truth - units["built_on"]).dt.days
    old = lost & (units["built_on"] < TODAY - pd.Timedelta(days=400))
    for product, mean in (("A", 40), ("B", 120)):
        for young in (False, True):
            some = old & (units["product_id"] == product)
            some &= (units["built_on"] > TODAY - pd.Timedelta(days=900)) == young
            assert drawn[some].mean() == pytest.approx(true[some].mean(), rel=0.1)
            assert drawn[some].mean() == pytest.approx(mean, rel=0.1)
            assert drawn[some].std() == pytest.approx(true[some].std(), rel=0.15)
    assert "commissioned_on is empty for" in notes[0][1]


def test_row_order_does_not_matter_and_the_input_stays() -> None:
    units, _ = fleet(1, 500)
    before = units.copy()
    one, _ = impute_commissioning(units, TODAY)
    two, _ = impute_commissioning(units.sample(frac=1, random_state=0), TODAY)
    pd.testing.assert_frame_equal(one, two.sort_index())
    pd.testing.assert_frame_equal(units, before)


def test_no_machine_starts_after_it_was_seen_at_work_or_retired() -> None:
    units, _ = fleet(2, 500)
    units["retired_on"] = (units["built_on"] + pd.Timedelta(days=30)).where(units.index % 3 == 0)
    seen = pd.Series(units["built_on"].to_numpy() + np.timedelta64(5, "D"), index=units["unit_id"])[::2]
    filled, _ = impute_commissioning(units, TODAY, seen)
    lost = units["commissioned_on"].isna()
    day = (filled["commissioned_on"] - units["built_on"]).dt.days[lost]
    assert (day >= 0).all()
    assert (day[lost & (units.index % 2 == 0)] <= 5).all()
    assert (day[lost & (units.index % 3 == 0)] <= 30).all()
    assert day.max() > 100


def test_no_machine_starts_before_it_was_built() -> None:
    units, _ = fleet(4, 100)
    seen = pd.Series(units["built_on"].to_numpy() - np.timedelta64(30, "D"), index=units["unit_id"])
    filled, _ = impute_commissioning(units, TODAY, seen)
    lost = units["commissioned_on"].isna()
    assert (filled["commissioned_on"] == filled["built_on"])[lost].all()


def test_without_known_delays_machines_start_when_they_were_built() -> None:
    units, _ = fleet(3, 50, missing=1.0)
    filled, notes = impute_commissioning(units, TODAY)
    assert (filled["commissioned_on"] == filled["built_on"]).all()
    assert "too few machines have both dates" in notes[0][1]


def test_a_dataset_fills_what_is_empty_and_says_so() -> None:
    data = Dataset.from_frames(edited("units", 2, "commissioned_on", ""))
    assert data.units["commissioned_on"].notna().all()
    assert data.units["commissioned_on"].min() == pd.Timestamp("2022-03-01")
    assert "commissioned_on is empty for 1 machines" in data.summary()
    again = data.with_tables(stock=data.stock)
    pd.testing.assert_frame_equal(again.units, data.units)
    assert "is empty for" not in Dataset.from_frames(text_frames()).summary()


def test_drawn_days_bring_the_vehicles_forecast_back_to_what_happened(test_data) -> None:
    cars = pd.read_parquet(test_data / "bench/reliability/weibulltools_field_data.parquet")
    day = {
        name: pd.to_datetime(cars[f"{name}_date"])
        for name in ("production", "registration", "repair", "report")
    }
    units = pd.DataFrame(
        {
            "unit_id": [f"{row:05d}" for row in range(len(cars))],
            "product_id": "CAR",
            "commissioned_on": day["registration"],
            "built_on": day["production"],
            "retired_on": pd.NaT,
        }
    )
    sums = np.zeros(3)
    for origin in pd.to_datetime(["2015-04-30", "2015-06-30", "2015-08-31"]):
        known = units.assign(
            commissioned_on=units["commissioned_on"].where(units["commissioned_on"] <= origin)
        )
        known = known[known["built_on"] <= origin]
        born = impute_commissioning(known, origin)[0]["commissioned_on"]
        delay = learn_delay(day["repair"].dropna(), day["report"].dropna(), origin)
        actual = ((day["repair"] > origin) & (day["repair"] <= origin + pd.Timedelta(days=90))).sum()
        sums += [
            expected_failures(start, day["repair"], day["report"], delay, origin)
            for start in (born, known["commissioned_on"].fillna(known["built_on"]))
        ] + [actual]
    drawn, as_built = sums[:2] / sums[2] - 1
    assert abs(drawn) < 0.08
    assert as_built < -0.15


def expected_failures(born, repair, report, delay, origin, ahead=90.0):
    """First failures of the cars in the next days, by one Weibull law fitted to what was reported."""
    start = born[born <= origin]
    failed = (report[start.index] <= origin).to_numpy()
    age = ((origin - start).dt.days + 1).to_numpy(float)
    life = (repair[start.index] - start).dt.days.to_numpy(float)
    ends = [np.where(failed, np.maximum(life, 0.5), age - late) for late in delay.quantiles(5)]
    spells = pd.DataFrame(
        {
            "part_id": "P",
            "entry": 0.0,
            "exit": np.concatenate(ends),
            "failed": np.tile(failed, 5),
            "count": 0.2,
        }
    )
    law = fit_lifetimes(spells[spells["exit"] > 0]).iloc[0]
    now = age[~failed]
    hazard = ((now + ahead) / law["scale"]) ** law["shape"] - (now / law["scale"]) ** law["shape"]
    return -np.expm1(-hazard).sum()
