"""What was taken of a part so far, as a forecast of its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from spareplan.config import ForecastOptions
from spareplan.forecast.base_road import installed_base_demand
from spareplan.forecast.blend import NO_BLEND
from spareplan.forecast.clock import build_clock, records_begin
from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.exposure import fleet_history
from spareplan.forecast.own_record import _exposure, _taken, forecast_own_record
from spareplan.maths.units import DAYS_PER_MONTH
from tests.forecast.fleets import START, TODAY, make_fleet

OWN = NO_BLEND._replace(default=0.0, default_record=1.0)
MONTHS = pd.DatetimeIndex(["2026-01-01"])


def history_of(data, as_of=TODAY, delays=None, hours=True):
    clock = build_clock(data, data.network, as_of, 90.0, hours)
    begin, _ = records_begin(data, as_of)
    return fleet_history(data, clock, begin, as_of, delays)


def record_of(data, as_of=TODAY, delays=None, hours=False):
    fleet = history_of(data, as_of, delays, hours)
    return (
        forecast_own_record(fleet, np.full(len(fleet.parts), hours), np.zeros(len(fleet.parts), int), as_of),
        fleet,
    )


@pytest.fixture(scope="module")
def steady():
    """Chance alone: 12 parts on 80 machines, so every rate is known."""
    return make_fleet(21, machines=80, parts={f"P{i:02d}": (1.0, 300.0 + 50 * i) for i in range(12)})[0]


def test_pieces_watched_and_taken_are_those_counted_one_by_one():
    data, _ = make_fleet(22, machines=9, parts={"P1": (1.5, 200.0), "P2": (1.0, 300.0)}, quantity=2)
    gone = data.units["commissioned_on"] + pd.Timedelta(days=900)
    last = data.replacements.groupby("unit_id")["replaced_on"].max()
    keep = gone > data.units["unit_id"].map(last).fillna(START)
    data = data.with_tables(units=data.units.assign(retired_on=gone.where(keep & (gone <= TODAY))))
    fleet = history_of(data)
    now = float(fleet.clock.at(0, [TODAY + pd.Timedelta(days=1)])[0])
    edges = now - DAYS_PER_MONTH * np.arange(24, -1, -1.0)
    ages = fleet.machines.ages["days"]
    watched = _exposure(fleet, np.zeros(2, dtype=bool), TODAY + pd.Timedelta(days=1), edges)
    taken = _taken(fleet, ages.born + ages.start, edges)
    origin = TODAY + pd.Timedelta(days=1)
    for month in range(24):
        low, high = (origin - pd.Timedelta(days=DAYS_PER_MONTH * (24 - month - step)) for step in (0, 1))
        days = 0.0
        for unit in data.units.itertuples():
            begin = max(unit.commissioned_on, START, low)
            end = min(high, unit.retired_on if pd.notna(unit.retired_on) else origin)
            days += max((end - begin) / pd.Timedelta(days=1), 0.0)
        np.testing.assert_allclose(watched[:, month], 2 * days, rtol=1e-9)
        noon = data.replacements["replaced_on"] + pd.Timedelta(hours=12)
        inside = (noon >= low) & (noon < high)
        for number, part in enumerate(["P1", "P2"]):
            assert taken[number, month] == (inside & (data.replacements["part_id"] == part)).sum()


def test_a_constant_rate_is_found(steady):
    record, fleet = record_of(steady)
    truth = 1 / (300.0 + 50 * np.arange(12))
    assert record.months == 48
    assert np.corrcoef(record.rate, truth)[0, 1] > 0.9
    assert record.rate.sum() == pytest.approx(truth.sum(), rel=0.08)
    off = (record.rate - truth) / truth
    # Its own doubt must cover what it is off.
    spread = np.sqrt(record.cv2 + 1 / (record.rate * len(fleet.machines) * 91))
    assert (np.abs(off) < 2 * spread).mean() > 0.9


def test_hours_of_use_take_the_place_of_days():
    data, _ = make_fleet(23, machines=40, parts={"P1": (1.0, 2000.0), "P2": (1.0, 4000.0)}, hours=10.0)
    record, _ = record_of(data, hours=True)
    np.testing.assert_allclose(record.rate, [1 / 2000, 1 / 4000], rtol=0.25)


def test_late_reports_do_not_lower_the_rate(steady):
    rng = np.random.default_rng(0)
    rows = steady.replacements
    late = rows.assign(
        reported_on=rows["replaced_on"] + pd.to_timedelta(rng.integers(20, 60, len(rows)), "D")
    )
    delayed = dataclasses.replace(steady, tables={**steady.tables, "replacements": late})
    told, _ = record_of(delayed, delays=np.array([24.0, 32.0, 40.0, 48.0, 56.0]))
    whole, _ = record_of(steady)
    blind, _ = record_of(delayed)
    assert told.rate.sum() == pytest.approx(whole.rate.sum(), rel=0.03)
    assert blind.rate.sum() < 0.97 * told.rate.sum()


def test_a_changed_level_is_followed(steady):
    """A third of the failures of the last year go missing, as when machines stand still."""
    rows = steady.replacements
    recent = rows["replaced_on"] > TODAY - pd.Timedelta(days=365)
    fewer = rows[~recent | (np.arange(len(rows)) % 2 == 0)]
    record, fleet = record_of(steady.with_tables(replacements=fewer))
    years = (fewer["replaced_on"] > TODAY - pd.Timedelta(days=365)).sum()
    ages = fleet.machines.ages["days"]
    flat = len(fewer) / (ages.stop - ages.start).sum()
    now = years / (len(fleet.machines) * 365 * len(fleet.parts)) * len(fleet.parts)
    # Nearer to the last year's level than to that of all years.
    assert record.rate.sum() < (flat + now) / 2 * 1.03


def test_old_numbers_count_for_their_successor(steady):
    rows = steady.replacements
    old = (rows["part_id"] == "P00") & (rows["replaced_on"] < "2024-01-01")
    parts = pd.concat([steady.parts, steady.parts[steady.parts["part_id"] == "P00"].assign(part_id="OLD")])
    parts["superseded_by"] = np.where(parts["part_id"] == "OLD", "P00", None)
    renamed = steady.with_tables(
        parts=parts, replacements=rows.assign(part_id=rows["part_id"].where(~old, "OLD"))
    )
    np.testing.assert_allclose(record_of(renamed)[0].rate, record_of(steady)[0].rate)


def test_records_of_a_few_months_say_nothing(steady):
    young = dataclasses.replace(
        steady,
        tables={
            **steady.tables,
            "regions": steady.regions.assign(records_from=TODAY - pd.Timedelta(days=120)),
        },
    )
    record, _ = record_of(young)
    assert record.months == 0 and not record.known(0)


def test_the_total_is_the_records_and_sites_share_it_as_the_machines_do(steady):
    road = installed_base_demand(steady, TODAY, MONTHS, [91], ForecastOptions(), OWN)
    record, _ = record_of(steady)
    by_part = road.windows.groupby("part_id")[["mean", "by_history"]].sum()
    np.testing.assert_allclose(by_part["mean"], by_part["by_history"])
    np.testing.assert_allclose(by_part["mean"], record.rate * len(steady.units) * 91, rtol=1e-6)
    share = road.windows["by_history"] / road.windows.groupby("part_id")["by_history"].transform("sum")
    base = road.windows["by_rate"] / road.windows.groupby("part_id")["by_rate"].transform("sum")
    np.testing.assert_allclose(share, base)


def test_the_option_leaves_the_record_out(steady):
    without = forecast_demand(steady, 3, TODAY, ForecastOptions(own_record=False))
    assert without.tested["by_history"].isna().all()
    assert not without.table["reason"].str.contains("own record").any()
    assert "weight of the own record" not in set(without.assumptions["name"])
