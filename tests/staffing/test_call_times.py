"""When orders come: what is real in the unevenness of few orders, and what is chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from spareplan.config import StaffingOptions
from spareplan.staffing.call_times import machine_days, month_season, real_share, week_profiles

START, END = pd.Timestamp("2025-01-01"), pd.Timestamp("2025-12-31")
REGIONS = pd.Index(["big", "odd", "tiny"])
HOURS = np.r_[np.full(8, 0.2), np.full(10, 2.0), np.full(6, 0.4)]


def calls(seed: int, sizes: dict[str, int], weekend: float = 0.3, odd_shift: int = 5) -> pd.DataFrame:
    """Calls by day of the week and hour; region "odd" calls some hours later."""
    generator = np.random.default_rng(seed)
    days = pd.date_range(START, END)
    share = np.where(days.day_of_week < 5, 1.0, weekend)
    rows = []
    for region, size in sizes.items():
        law = np.roll(HOURS, odd_shift if region == "odd" else 0)
        day = generator.choice(len(days), size, p=share / share.sum())
        hour = generator.choice(24, size, p=law / law.sum()) + generator.random(size)
        rows.append(
            pd.DataFrame({"region_id": region, "opened_at": days[day] + pd.to_timedelta(hour, unit="h")})
        )
    return pd.concat(rows, ignore_index=True)


def truth(shift: int = 0, weekend: float = 0.3) -> np.ndarray:
    table = np.outer(np.r_[np.ones(5), np.full(2, weekend)], np.roll(HOURS, shift))
    return table / table.mean()


def profiles(past: pd.DataFrame, **options: Any) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    notes: list[dict[str, Any]] = []
    common, own = week_profiles(past, REGIONS, END, StaffingOptions(**options), notes)
    return common, own, notes


def test_hours_and_weekdays_are_found_and_regions_keep_what_is_their_own():
    common, own, notes = profiles(calls(1, {"big": 6000, "odd": 1500, "tiny": 15}))
    assert own.shape == (3, 7, 24)
    np.testing.assert_allclose(own.mean(axis=(1, 2)), 1.0)
    assert common.mean() == pytest.approx(1.0)
    assert np.abs(own[0] - truth()).mean() < 0.12
    # The odd region's own hours, not those of all; the tiny one leans on all.
    assert np.corrcoef(own[1].ravel(), truth(5).ravel())[0, 1] > 0.9
    assert np.corrcoef(own[2].ravel(), common.ravel())[0, 1] > 0.9
    assert {row["name"] for row in notes} == {"hour_profile", "week_profile"}


def test_what_is_mixed_is_nearer_the_truth_than_the_counts():
    gain = []
    for seed in range(12):
        past = calls(seed, {"big": 2000, "tiny": 150}, odd_shift=0)
        _, own, _ = profiles(past)
        tiny = pd.DatetimeIndex(past.loc[past["region_id"] == "tiny", "opened_at"])
        raw = np.zeros((7, 24))
        np.add.at(raw, (tiny.day_of_week, tiny.hour), 1.0)
        raw /= raw.mean()
        gain.append(((own[2] - truth()) ** 2).mean() / ((raw - truth()) ** 2).mean())
    assert np.mean(gain) < 0.2


def test_days_without_hours_and_no_orders_are_flat():
    dated = calls(2, {"big": 300}).assign(opened_at=lambda f: f["opened_at"].dt.normalize())
    for past, options in (
        (dated, {}),
        (dated.iloc[:0], {}),
        (calls(3, {"big": 50}), {"hour_profile": False}),
    ):
        common, own, notes = profiles(past, **options)
        assert (common == 1).all() and (own == 1).all()
        assert notes[0]["origin"] == "default"


def test_row_order_does_not_matter():
    past = calls(4, {"big": 400, "odd": 100})
    shuffled = past.sample(frac=1.0, random_state=1)
    for one, other in zip(profiles(past)[:2], profiles(shuffled)[:2], strict=True):
        np.testing.assert_allclose(one, other)


def fleet(count: int = 300) -> pd.DataFrame:
    return pd.DataFrame(
        {"commissioned_on": [pd.Timestamp("2020-01-01")] * count, "retired_on": [pd.NaT] * count}
    ).astype({"retired_on": "datetime64[ns]"})


def season(seed: int, size: int, swing: float, end: pd.Timestamp = END) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    days = pd.date_range(START, end)
    law = 1.0 + swing * np.sin(2 * np.pi * (np.arange(12) + 0.5) / 12)
    share = law[days.month - 1]
    opened = pd.Series(days[generator.choice(len(days), size, p=share / share.sum())])
    return month_season("request", opened, fleet(), START, end, []), law


def test_a_season_is_found_where_there_is_one_and_mostly_chance_is_left_out():
    found, law = season(1, 6000, 0.5)
    np.testing.assert_allclose(found, law, atol=0.09)
    errors = [(np.abs(season(seed, 120, 0.0)[0] - 1.0)).mean() for seed in range(60)]
    raw = np.sqrt(2 / np.pi / 10)
    assert np.mean(errors) < 0.35 * raw
    # Fewer than a year: July cannot be told from growth.
    assert (season(1, 500, 0.5, pd.Timestamp("2025-08-31"))[0] == 1).all()


def test_machines_count_by_the_days_they_were_there():
    units = pd.DataFrame(
        {
            "commissioned_on": pd.to_datetime(["2020-01-01", "2025-03-11"]),
            "retired_on": pd.to_datetime(["2025-02-01", None]),
        }
    )
    days = machine_days(units, START, END)
    assert days[0] == 31
    assert days[1] == 0
    assert days[2] == 21
    assert days.sum() == 31 + (END - pd.Timestamp("2025-03-11")).days


def test_pure_chance_counts_little_and_real_differences_count_in_full():
    generator = np.random.default_rng(5)
    even = np.full(24, 50.0)
    assert np.mean([real_share(generator.poisson(even).astype(float), even) for _ in range(200)]) < 0.15
    assert real_share(even * np.r_[np.full(12, 1.6), np.full(12, 0.4)], even) > 0.9
    assert real_share(even, even) == 0
