"""The forecast door: known truth, sums that add up, bad and odd input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.config import ForecastOptions
from spareplan.errors import DataError
from spareplan.forecast.base_road import installed_base_demand
from spareplan.forecast.blend import NO_BLEND
from spareplan.forecast.demand import SOURCES, forecast_demand
from spareplan.forecast.renewal import expected_renewals
from spareplan.maths.distributions import cdf
from tests.forecast.fleets import START, TODAY, make_fleet

PAIR = ["part_id", "site_id"]


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(5)
    laws = {f"P{i:03d}": (np.exp(rng.normal(0.5, 0.2)), np.exp(rng.normal(6.8, 0.7))) for i in range(80)}
    return make_fleet(3, machines=50, parts=laws)


@pytest.fixture(scope="module")
def forecast(many):
    return forecast_demand(many[0], months=12, as_of=TODAY)


def actual(every, forecast, days=365):
    site = {unit: "S1" if int(unit[1:]) % 3 == 0 else "S2" for unit in every["unit_id"].unique()}
    rows = every[(every["replaced_on"] > TODAY) & (every["replaced_on"] <= TODAY + pd.Timedelta(days=days))]
    counts = rows.groupby(["part_id", rows["unit_id"].map(site)]).size()
    return counts.reindex(pd.MultiIndex.from_frame(forecast[PAIR])).fillna(0).to_numpy()


def test_a_years_demand_is_unbiased_and_its_intervals_cover(many, forecast):
    year = forecast.lead_time_demand(365)
    seen = actual(many[1], year)
    assert year["mean"].sum() == pytest.approx(seen.sum(), rel=0.06)
    mean, variance = year["mean"].to_numpy(), year["variance"].to_numpy()
    low = cdf(seen - 1, mean, variance)
    place = low + np.random.default_rng(0).random(len(seen)) * (cdf(seen, mean, variance) - low)
    assert ((place > 0.1) & (place < 0.9)).mean() == pytest.approx(0.8, abs=0.08)


def test_every_way_to_forecast_is_tested_and_none_outvotes_what_was_right(many, forecast):
    tested = forecast.tested
    assert tested[["by_ages", "by_rate", "by_history"]].gt(0).all(axis=None)
    total = tested[["by_ages", "by_rate", "by_history", "actual"]].sum()
    assert total["by_history"] == pytest.approx(total["actual"], rel=0.1)
    rows = forecast.assumptions.set_index("name")["value"]
    assert "weight of the own record" in rows
    year = forecast.lead_time_demand(365)
    seen = actual(many[1], year)
    parts = year.assign(seen=seen).groupby("part_id")[["mean", "seen"]].sum()
    off = (parts["mean"] - parts["seen"]).abs().sum()
    for weights in ({"default": 1.0}, {"default": 0.0}, {"default": 0.0, "default_record": 1.0}):
        alone = installed_base_demand(
            many[0],
            TODAY,
            pd.DatetimeIndex(["2026-01-01"]),
            [365],
            ForecastOptions(),
            NO_BLEND._replace(**weights),
        ).windows
        by_part = alone.groupby("part_id")["mean"].sum()
        assert off < 1.1 * (by_part - parts["seen"]).abs().sum()


def test_sources_add_up_to_the_mean_and_variance_follows_its_pair(forecast):
    table = forecast.table
    np.testing.assert_allclose(table[list(SOURCES)].sum(axis=1), table["mean"], atol=1e-9)
    np.testing.assert_allclose(
        table["variance"], table["vmr"] * table["mean"] + table["rate_cv2"] * table["mean"] ** 2
    )
    parts = forecast.contributions.groupby([*PAIR, "month"])["mean"].sum()
    whole = table.set_index([*PAIR, "month"])["mean"]
    np.testing.assert_allclose(parts.reindex(whole.index).fillna(0), whole, atol=1e-9)
    assert (table["q0.5"] <= table["q0.99"]).all()
    assert table["reason"].str.len().gt(20).all()


def test_windows_agree_with_the_months_they_cover(forecast):
    year = forecast.lead_time_demand(365).set_index(PAIR)["mean"]
    months = forecast.table.groupby(PAIR)["mean"].sum()
    np.testing.assert_allclose(year, months.reindex(year.index), rtol=1e-9)
    january = forecast.lead_time_demand(31).set_index(PAIR)["mean"]
    first = forecast.table[forecast.table["month"] == "2026-01-01"].set_index(PAIR)["mean"]
    np.testing.assert_allclose(january, first.reindex(january.index), rtol=0.02)


def test_old_machines_with_unknown_first_pieces_do_not_bend_the_law():
    data, every = make_fleet(1, machines=200, parts={"P1": (2.5, 400.0)}, first_sale="2014-01-01")
    result = forecast_demand(data, as_of=TODAY)
    law = result.lifetimes.iloc[0]
    assert law["shape"] == pytest.approx(2.5, rel=0.08)
    assert law["scale"] == pytest.approx(400, rel=0.04)
    year = result.lead_time_demand(365)
    assert year["mean"].sum() == pytest.approx(actual(every, year).sum(), rel=0.08)
    assert "machines older than the records" in set(result.assumptions["name"])


def test_long_lived_parts_of_old_machines_keep_their_age():
    data, every = make_fleet(2, machines=400, parts={"P1": (3.0, 4000.0)}, first_sale="2012-01-01")
    year = forecast_demand(data, as_of=TODAY).lead_time_demand(365)
    seen = actual(every, year).sum()
    assert year["mean"].sum() == pytest.approx(seen, abs=3.5 * np.sqrt(seen))


@pytest.mark.parametrize("named", [True, False])
def test_several_positions_are_followed_whether_named_or_not(named):
    data, every = make_fleet(
        4, machines=120, parts={"P1": (2.5, 600.0)}, quantity=4, first_sale="2019-06-01", named=named
    )
    result = forecast_demand(data, as_of=TODAY)
    assert result.lifetimes["shape"].iloc[0] == pytest.approx(2.5, rel=0.15)
    year = result.lead_time_demand(365)
    assert year["mean"].sum() == pytest.approx(actual(every, year).sum(), rel=0.08)


def test_planned_replacements_compete_and_take_parts_too():
    data, every = make_fleet(6, machines=200, parts={"P1": (2.5, 500.0)}, planned_age=365.0)
    result = forecast_demand(data, as_of=TODAY)
    year = result.lead_time_demand(365)
    ahead = every[(every["replaced_on"] > TODAY) & (every["replaced_on"] <= TODAY + pd.Timedelta(days=365))]
    assert year["mean"].sum() == pytest.approx(len(ahead), rel=0.07)
    assert result.table["from_planned"].sum() == pytest.approx(ahead["planned"].sum(), rel=0.12)
    assert result.lifetimes["scale"].iloc[0] == pytest.approx(500, rel=0.08)


def test_hours_move_demand_into_the_busy_months():
    months = pd.date_range("2018-01-01", "2025-12-01", freq="MS")
    busy = np.where(np.isin(months.month, [4, 5, 6, 7, 8, 9]), 300.0, 100.0)
    usage = pd.DataFrame({"product_id": "M", "region_id": "R", "month": months, "hours_per_unit": busy})
    data, _ = make_fleet(7, machines=60, parts={"P1": (1.0, 500.0)}, usage=usage)
    hours = forecast_demand(data, as_of=TODAY, options=ForecastOptions(clock="hours"))
    table = hours.table.groupby("month")["mean"].sum()
    assert table["2026-07-01"] / table["2026-01-01"] == pytest.approx(3, rel=0.1)
    # These pieces really age by the calendar, and their failures say so.
    flat = forecast_demand(data, as_of=TODAY)
    flat_table = flat.table.groupby("month")["mean"].sum()
    assert flat_table["2026-07-01"] / flat_table["2026-01-01"] == pytest.approx(1, rel=0.1)
    assert (flat.lifetimes["clock"] == "days").all()


def test_sold_machines_add_and_retired_ones_take_away():
    plan = pd.DataFrame(
        {
            "product_id": "M",
            "site_id": "S1",
            "month": pd.to_datetime(["2026-02-01", "2026-03-01"]),
            "units_sold": [30, 0],
            "units_retired": [0, 8],
        }
    )
    parts = {"P1": (1.0, 400.0)}
    base = forecast_demand(make_fleet(8, parts=parts)[0], as_of=TODAY)
    changed = forecast_demand(make_fleet(8, parts=parts, sales_plan=plan)[0], as_of=TODAY)
    law = base.lifetimes.iloc[0]
    life = expected_renewals(law["shape"], law["scale"], 0.0, 1e5, 1e5)[0, 0] / 1e5
    new = changed.table.loc[changed.table["site_id"] == "S1"].set_index("month")["from_new_units"]
    # Thirty machines, handed over in the middle of February.
    young = 30 * expected_renewals(law["shape"], law["scale"], 0.0, 106.0, 1.0)[0]
    assert new["2026-05-01"] == pytest.approx(young[75:].sum(), rel=0.05)
    assert new["2026-01-01"] == 0
    off = changed.contributions.query("source == 'retirements'").groupby("month")["mean"].sum()
    assert off["2026-06-01"] == pytest.approx(-8 * 30 * life, rel=0.15)
    assert (changed.table.query("site_id == 'S2'")["from_new_units"] == 0).all()


def test_superseded_parts_hand_their_machines_and_failures_on():
    parts = {"P1": (2.0, 500.0), "P2": (2.0, 500.0)}
    data, _ = make_fleet(9, parts=parts)
    frame = data.parts.assign(superseded_by=[None, "P1"])
    result = forecast_demand(
        data.with_tables(parts=frame[["part_id", "name", "unit_cost", "lead_time_days", "superseded_by"]]),
        as_of=TODAY,
    )
    assert set(result.table["part_id"]) == {"P1"}


def test_history_alone_is_enough_and_is_added_to_machines():
    data, _ = make_fleet(10)
    months = pd.date_range("2023-01-01", "2025-12-01", freq="MS")
    history = pd.DataFrame({"part_id": "P1", "site_id": "S1", "month": months, "quantity": 4})
    alone = {
        "parts": data.parts[["part_id", "name", "unit_cost", "lead_time_days"]],
        "demand": history,
        "sites": data.sites[["site_id", "name", "parent_id", "lead_time_days"]],
    }
    past = forecast_demand(type(data).from_frames(alone))
    assert past.table["from_history"].mean() == pytest.approx(4, rel=0.1)
    assert past.table["method"].eq("history").all()
    both = forecast_demand(data.with_tables(demand=history), as_of=TODAY)
    base = forecast_demand(data, as_of=TODAY)
    assert both.table["mean"].sum() == pytest.approx(
        base.table["mean"].sum() + past.table["mean"].sum(), rel=1e-6
    )


def test_row_order_does_not_matter_and_input_stays_unchanged(many):
    data = many[0]
    before = data.replacements.copy()
    shuffled = data.with_tables(
        replacements=data.replacements.sample(frac=1, random_state=0),
        units=data.units.sample(frac=1, random_state=0),
    )
    small = forecast_demand(shuffled, months=3, as_of=TODAY).table
    pd.testing.assert_frame_equal(small, forecast_demand(data, months=3, as_of=TODAY).table, rtol=1e-8)
    pd.testing.assert_frame_equal(before, data.replacements)


def test_later_records_are_not_looked_at():
    data, _ = make_fleet(11)
    early = pd.Timestamp("2024-06-30")
    cut = data.with_tables(
        replacements=data.replacements[data.replacements["replaced_on"] <= early],
        units=data.units[data.units["commissioned_on"] <= early],
    )
    one, two = forecast_demand(data, as_of=early), forecast_demand(cut, as_of=early)
    pd.testing.assert_frame_equal(one.table, two.table, rtol=1e-9)


def test_fleets_without_any_failure_get_small_finite_demand():
    data, _ = make_fleet(12, machines=5, parts={"P1": (3.0, 1e6)})
    result = forecast_demand(data, as_of=TODAY)
    assert np.isfinite(result.table[["mean", "variance", "q0.99"]].to_numpy()).all()
    assert 0 < result.table["mean"].sum() < 5
    assert "missing" in set(
        result.assumptions.loc[result.assumptions["name"] == "table replacements", "value"]
    )


def test_one_machine_is_a_fleet():
    data, _ = make_fleet(13, machines=1, parts={"P1": (2.0, 300.0)})
    result = forecast_demand(data, as_of=TODAY)
    assert np.isfinite(result.table["mean"]).all()


def test_nothing_to_go_by_and_impossible_horizons_are_refused():
    data, _ = make_fleet(15)
    with pytest.raises(DataError, match="months"):
        forecast_demand(data, months=0)
    with pytest.raises(DataError, match="later as_of"):
        forecast_demand(data, as_of="2001-01-31")


def test_metered_machines_are_forecast_by_their_own_use():
    data, _ = make_fleet(16, machines=40, parts={"P1": (1.0, 800.0)}, hours=10.0)
    units = data.units["unit_id"]
    born = data.units["commissioned_on"]
    days = (TODAY - born).dt.days
    meter = pd.DataFrame(
        {"unit_id": units, "read_on": TODAY, "hours": days * np.where(np.arange(40) % 3 == 0, 20.0, 10.0)}
    )
    metered = data.with_tables(meter_readings=meter[days > 0])
    result = forecast_demand(metered, as_of=TODAY, options=ForecastOptions(clock="hours"))
    site = result.table.groupby("site_id")["mean"].sum() / data.units.groupby("site_id").size()
    assert site["S1"] / site["S2"] == pytest.approx(2, rel=0.15)


def test_records_start_is_named_when_no_region_says_so():
    data, _ = make_fleet(17)
    bare = data.with_tables(regions=data.regions[["region_id", "name"]])
    names = set(forecast_demand(bare, as_of=TODAY).assumptions["name"])
    assert "records begin where no region says so" in names
    assert data.replacements["replaced_on"].min() >= START


def test_machines_leave_by_the_law_of_their_life_where_nobody_plans_it():
    data, _ = make_fleet(18, machines=80, parts={"P1": (1.0, 400.0)}, first_sale="2010-01-01")
    stay = forecast_demand(data, as_of=TODAY)
    law = ForecastOptions(retire_by_law=True, machine_life_years=10.0)
    leave = forecast_demand(data, as_of=TODAY, options=law)
    off = leave.contributions.query("source == 'retirements'")["mean"].sum()
    assert off < -0.02 * stay.table["mean"].sum()
    assert leave.table["mean"].sum() == pytest.approx(stay.table["mean"].sum() + off, rel=0.02)
