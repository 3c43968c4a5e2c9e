"""Failures of new machines: laws of the parts, bent by what was seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.forecast.first_year import (
    bend_by_seen,
    early_renewals,
    failures_of_new_machines,
    hours_by_product,
    seen_in_first_months,
)
from spareplan.forecast.renewal import expected_renewals
from spareplan.maths.units import DAYS_PER_MONTH
from tests.forecast.fleets import TODAY, make_fleet


def test_failures_add_up_over_the_parts_of_a_product():
    lives = pd.DataFrame(
        {"part_id": ["P", "Q"], "shape": [2.0, 0.8], "scale": [900.0, 4000.0], "clock": ["hours", "days"]}
    )
    fitment = pd.DataFrame(
        {"product_id": ["A", "A", "B", "C"], "part_id": ["P", "Q", "P", "X"], "quantity": [4, 1, 1, 1]}
    )
    out = failures_of_new_machines(lives, fitment, pd.Series({"A": 100.0, "B": 200.0, "C": 1.0}), 14)
    own = expected_renewals(2.0, 9.0, 0.0, 14.0, 1.0)[0]
    other = expected_renewals(0.8, 4000.0 / DAYS_PER_MONTH, 0.0, 14.0, 1.0)[0]
    np.testing.assert_allclose(out.loc["A"], 4 * own + other, rtol=1e-4)
    np.testing.assert_allclose(out.loc["B"], expected_renewals(2.0, 4.5, 0.0, 14.0, 1.0)[0], rtol=1e-4)
    assert out.loc["C"].eq(0).all()


def test_power_series_of_renewals_agrees_with_the_integral_equation():
    shape = np.linspace(0.45, 7.0, 60)
    time = np.broadcast_to(np.arange(1, 11) / 10, (60, 10))
    exact = np.cumsum(expected_renewals(shape, 1.0, 0.0, 1.0, 0.1), axis=1)
    np.testing.assert_allclose(early_renewals(shape, time), exact, rtol=1e-5)
    # Exponential lives: as many failures as time in scales.
    np.testing.assert_allclose(early_renewals(np.ones(1), time[:1]), time[:1], rtol=1e-12)


def test_exponential_lives_fail_alike_in_every_month():
    data, _ = make_fleet(seed=2, machines=1500, parts={"P": (1.0, 150.0)}, first_sale="2022-06-01")
    begin = pd.Series({"S1": pd.Timestamp("2022-01-01"), "S2": pd.Timestamp("2022-01-01")})
    failed, watched = seen_in_first_months(data.replacements, data.units, TODAY, 12, begin)
    rate = failed.loc["M"].sum() / watched.loc["M"].sum()
    assert rate == pytest.approx(DAYS_PER_MONTH / 150.0, rel=0.05)
    single = failed.loc["M"] / watched.loc["M"]
    np.testing.assert_allclose(single, rate, atol=5 * np.sqrt(rate / watched.loc["M"].min()))
    assert watched.loc["M"].max() <= len(data.units)


def test_machines_handed_over_before_the_records_are_watched_from_then_on():
    data, _ = make_fleet(seed=2, machines=50, first_sale="2021-07-01", until="2024-01-01")
    begin = pd.Series({"S1": pd.Timestamp("2022-01-01"), "S2": pd.Timestamp("2022-01-01")})
    _, watched = seen_in_first_months(data.replacements, data.units, TODAY, 12, begin)
    old = data.units["commissioned_on"] < pd.Timestamp("2022-01-01")
    late = (pd.Timestamp("2022-01-01") - data.units.loc[old, "commissioned_on"]).dt.days / DAYS_PER_MONTH
    known = (data.units["commissioned_on"] + pd.Timedelta(days=400)) < TODAY
    lost = late.clip(upper=12).sum()
    gone = data.units.loc[~known, "commissioned_on"]
    missing = (12 - (TODAY + pd.Timedelta(days=1) - gone).dt.days.clip(lower=0) / DAYS_PER_MONTH).clip(
        lower=0
    )
    present = (data.units["commissioned_on"] <= TODAY).sum()
    away = missing[gone <= TODAY].sum()
    assert watched.loc["M"].sum() == pytest.approx(present * 12 - lost - away, abs=0.5)


def test_seen_failures_bend_the_laws_as_far_as_they_count():
    expected = pd.DataFrame([[0.1, 0.1, 0.1]], index=["A"])
    watched = pd.DataFrame([[1e6, 10.0, 0.0]], index=["A"])
    failed = pd.DataFrame([[3e5, 3.0, 0.0]], index=["A"])
    out = bend_by_seen(expected, failed, watched).loc["A"]
    assert out[0] == pytest.approx(0.3, rel=1e-3)
    assert 0.1 < out[1] < 0.15
    assert out[2] == 0.1
    pd.testing.assert_frame_equal(bend_by_seen(expected, failed.iloc[:0], watched.iloc[:0]), expected)


def test_hours_come_from_usage_else_from_meters():
    data, _ = make_fleet(seed=1, machines=20, hours=8.0)
    out = hours_by_product(data, TODAY).set_index("region_id")["hours_per_month"]
    assert out.tolist() == pytest.approx([8.0 * DAYS_PER_MONTH] * 2) and out.index.tolist() == ["", "R"]
    plain, _ = make_fleet(seed=1, machines=20)
    readings = pd.DataFrame({"unit_id": plain.units["unit_id"], "read_on": TODAY})
    days = (TODAY - plain.units["commissioned_on"]).dt.days
    metered = plain.with_tables(meter_readings=readings.assign(hours=5.0 * days))
    assert hours_by_product(metered, TODAY)["hours_per_month"].tolist() == pytest.approx([5 * DAYS_PER_MONTH])
    assert hours_by_product(plain, TODAY).empty
    idle = data.with_tables(usage=data.usage.assign(hours_per_unit=0.0))
    assert hours_by_product(idle, TODAY).empty
