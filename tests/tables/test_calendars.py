from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.tables.calendars import (
    day_numbers,
    shipping_days,
    shipping_weeks,
    work_calendar,
    working_days,
    working_days_per_month,
)

MONDAY = pd.Timestamp("2026-02-09")
SPRING = pd.DataFrame(
    {
        "region_id": "华东",
        "date": [*pd.date_range("2026-02-16", "2026-02-23"), pd.Timestamp("2026-02-28")],
        "kind": ["holiday"] * 8 + ["working"],
    }
)


def test_exceptions_replace_the_plain_week_of_their_region_only():
    days = working_days(SPRING, ["华东", "华北"], MONDAY, pd.Timestamp("2026-03-01"))
    days = days.set_index(["region_id", "date"])
    assert days.loc["华东", "working"].sum() == 5 + 0 + 4 + 1
    assert days.loc["华北", "working"].sum() == 15
    assert days.loc[("华东", "2026-02-28"), "working"]


def test_working_days_of_a_year_match_numpys_business_days():
    count = working_days_per_month(SPRING.head(0), ["a"], pd.date_range("2026-01-01", periods=12, freq="MS"))
    assert count["working_days"].sum() == np.busday_count("2026-01-01", "2027-01-01")
    assert count["working_days"].iloc[1] == np.busday_count("2026-02", "2026-03")


def test_months_between_the_wanted_ones_are_left_out():
    count = working_days_per_month(SPRING, ["华东"], pd.to_datetime(["2026-01-01", "2026-03-01"]))
    assert count["month"].dt.month.tolist() == [1, 3]


def test_next_open_skips_the_holiday():
    laid = work_calendar(SPRING, ["华东", "华北"], MONDAY, 28)
    assert laid.next_open[0, 5] == 15
    assert laid.next_open[1, 5] == 7
    assert (np.diff(laid.next_open, axis=1) >= 0).all()


def test_a_holiday_week_is_closed_and_a_weekday_moves_to_the_next_working_day():
    laid = work_calendar(SPRING, ["华东", "华北"], MONDAY, 28)
    days = shipping_days(laid, [1, 0, 0, 1], [0, 0, 0, 1], [1, np.nan, 5, 3], 3)
    assert days[:, 0].tolist() == [0, -1, 15]
    assert days[:, 1].tolist() == [0, -1, 15]
    assert days[:, 2].tolist() == [4, -1, 18]
    assert days[:, 3].tolist() == [2, 9, 16]


def test_a_weekend_dispatch_ships_unless_its_week_is_a_holiday():
    laid = work_calendar(SPRING, ["华东"], MONDAY, 21)
    assert shipping_days(laid, [0], [0], [6], 3).ravel().tolist() == [5, -1, 19]


def test_shipping_weeks_name_the_day():
    sites, weekdays = pd.Series({"上海": "华东", "北京": "华北", "HQ": np.nan}), pd.Series({"上海": 2.0})
    table = shipping_weeks(SPRING, sites, weekdays, MONDAY, 3).set_index(["site_id", "week"])["ships_on"]
    assert table["上海"].isna().tolist() == [False, True, False]
    assert table[("上海", MONDAY)] == pd.Timestamp("2026-02-10")
    assert table[("HQ", pd.Timestamp("2026-02-16"))] == pd.Timestamp("2026-02-16")


def test_unknown_kinds_are_refused_by_name():
    with pytest.raises(DataError, match="'half day': is neither holiday nor working"):
        half = pd.DataFrame({"region_id": ["a"], "date": [MONDAY], "kind": ["half day"]})
        work_calendar(half, ["a"], MONDAY, 7)


def test_dates_without_value_lie_before_everything():
    numbers = day_numbers(pd.Series(pd.to_datetime(["2026-02-10", None])), MONDAY)
    assert numbers[0] == 1 and numbers[1] < -(10**5)


def test_a_site_without_region_rests_when_all_regions_do():
    everywhere = pd.concat([SPRING, SPRING.assign(region_id="华北")])
    laid = work_calendar(everywhere, ["华东", "华北"], MONDAY, 21)
    assert not laid.working[-1, 7:14].any() and laid.working[-1, 1]
    assert work_calendar(SPRING, ["华东", "华北"], MONDAY, 21).working[-1, 7]
