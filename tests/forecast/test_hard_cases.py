"""Odd, empty and impossible fleets: each handled with finite numbers, or refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import spareplan as sp
from spareplan.config import ForecastOptions
from spareplan.errors import DataError
from tests.forecast.fleets import TODAY, make_fleet

MONTHS = pd.date_range("2018-01-01", "2025-12-01", freq="MS")
NUMBERS = ["mean", "variance", "vmr", "rate_cv2", "q0.5", "q0.8", "q0.9", "q0.95", "q0.99"]


@pytest.fixture(scope="module")
def fleet():
    return make_fleet(1, machines=20)[0]


def forecast(data, **changed):
    result = sp.forecast_demand(data, **{"as_of": TODAY, "months": 12, **changed})
    values = result.table[NUMBERS].to_numpy(dtype=float)
    assert np.isfinite(values).all() and (values >= 0).all()
    assert result.table["reason"].str.len().gt(0).all()
    return result


def total(result):
    return float(result.table["mean"].sum())


def refused(call, *words):
    with pytest.raises(DataError) as caught:
        call()
    text = str(caught.value)
    for word in words:
        assert word in text, text
    assert caught.value.problems["remedy"].str.len().gt(3).all()


def handled_or_refused(call, word):
    try:
        assert total(call()) > 0
    except DataError as error:
        assert word in str(error), error


def usage(hours):
    return pd.DataFrame({"product_id": "M", "region_id": "R", "month": MONTHS, "hours_per_unit": hours})


# no failures, or none that count


def test_no_failure_at_all_gives_a_small_finite_demand(fleet):
    empty = forecast(fleet.with_tables(replacements=fleet.replacements.iloc[:0]))
    # About ninety machine years without a failure.
    assert 0 < total(empty) < 2
    assert empty.lifetimes["scale"].gt(0).all()


def test_everything_censored_has_no_maximum_but_a_pooled_life():
    spells = pd.DataFrame({"part_id": ["A", "A", "B"], "entry": [0.0, 10, 0], "exit": [50.0, 60, 70]})
    spells = spells.assign(failed=False)
    alone = sp.forecast.fit_lifetimes(spells)
    assert (alone["method"] == "none").all()
    assert alone["shape"].isna().all()
    pooled = sp.forecast.fit_lifetimes(spells, prior="pooled")
    law = pooled[["shape", "scale"]].to_numpy()
    assert (pooled["method"] == "pooled").all()
    assert np.isfinite(sp.forecast.expected_renewals(law[:, 0], law[:, 1], 0.0, 100.0, 10.0)).all()


def test_when_every_replacement_was_planned_demand_is_planned(fleet):
    result = forecast(fleet.with_tables(replacements=fleet.replacements.assign(planned=True)))
    assert result.table["from_planned"].sum() > 0.8 * total(result)
    assert total(result) == pytest.approx(total(forecast(fleet)), rel=0.35)
    assert result.lifetimes["n_failed"].sum() == 0


def test_replacements_from_before_the_records_are_ages_and_no_failures(fleet):
    later = fleet.regions.assign(records_from=pd.Timestamp("2025-12-01"))
    result = forecast(fleet.with_tables(regions=later))
    before = fleet.replacements["replaced_on"] < "2025-12-01"
    assert result.lifetimes["n_failed"].sum() == pytest.approx((~before).sum())
    data, _ = make_fleet(2, machines=150, parts={"P1": (5.0, 1200.0)}, first_sale="2020-01-01")
    regions = data.regions.assign(records_from=pd.Timestamp("2025-01-01"))
    early = data.replacements["replaced_on"] < "2025-01-01"
    latest = data.replacements[early].drop_duplicates("unit_id", keep="last")
    known = data.with_tables(replacements=pd.concat([latest, data.replacements[~early]]), regions=regions)
    lost = data.with_tables(replacements=data.replacements[~early], regions=regions)
    everything = total(forecast(data))
    # The last replacement of each machine says how old its piece is: nearly all there is to know.
    assert total(forecast(known)) == pytest.approx(everything, rel=0.15)
    assert (
        abs(total(forecast(known)) - everything)
        <= abs(total(forecast(lost)) - everything) + 0.02 * everything
    )


@pytest.mark.parametrize("begin", ["2026-01-01", "2027-12-01", "2060-01-01"])
def test_records_that_have_not_begun_are_named_or_leave_the_prior(fleet, begin):
    late = fleet.regions.assign(records_from=pd.Timestamp(begin))
    for rows in (fleet.replacements, fleet.replacements.iloc[:0]):
        data = fleet.with_tables(regions=late, replacements=rows)
        handled_or_refused(lambda: forecast(data), "records")  # noqa: B023


def test_a_day_before_the_records_can_be_asked_or_is_refused_by_name(fleet):
    handled_or_refused(lambda: forecast(fleet, as_of="2020-03-15"), "records")


def test_a_region_whose_records_have_not_begun_follows_the_others(fleet):
    regions = pd.concat(
        [fleet.regions, fleet.regions.assign(region_id="R2", records_from=pd.Timestamp("2026-03-01"))]
    )
    moved = fleet.sites["region_id"].where(fleet.sites["site_id"] != "S2", "R2")
    result = forecast(fleet.with_tables(regions=regions, sites=fleet.sites.assign(region_id=moved)))
    by_site = result.table.groupby("site_id")["mean"].sum() / fleet.units.groupby("site_id").size()
    assert by_site["S2"] == pytest.approx(by_site["S1"], rel=0.5)


# lives of no length, and of more than there was


def test_lives_of_no_length_and_negative_ages_are_refused_by_row():
    spells = pd.DataFrame(
        {"part_id": "A", "entry": [0.0, 5.0, -1.0], "exit": [0.0, 5.0, 3.0], "failed": [True, False, True]}
    )
    refused(
        lambda: sp.forecast.fit_lifetimes(spells),
        "spells[row 2].exit = '0.0': is not above entry",
        "spells[row 3].exit = '5.0'",
        "spells[row 4].entry = '-1.0': is a negative age",
    )
    refused(lambda: sp.forecast.expected_renewals(2.0, 100.0, [3.0, -1.0], 10.0, 1.0), "age = '-1.0'")


def test_a_piece_replaced_on_the_day_of_commissioning_failed_at_once(fleet):
    born = fleet.units.set_index("unit_id")["commissioned_on"]
    some = born[born >= "2022-01-01"]
    first = pd.DataFrame({"unit_id": some.index, "part_id": "P1", "replaced_on": some.to_numpy()})
    result = forecast(fleet.with_tables(replacements=first))
    assert result.lifetimes["n_failed"].sum() == pytest.approx(len(some))
    assert result.lifetimes["shape"].iloc[0] < 1


@pytest.mark.parametrize("named", [True, False])
def test_two_replacements_on_one_day_are_two(fleet, named):
    rows = fleet.replacements if named else fleet.replacements.assign(position=None)
    twice = fleet.with_tables(replacements=pd.concat([rows, rows]))
    result = forecast(twice)
    assert result.lifetimes["n_failed"].sum() == pytest.approx(2 * len(rows))
    shuffled = fleet.with_tables(replacements=pd.concat([rows, rows]).sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(result.table, forecast(shuffled).table, rtol=1e-6)


def test_replacements_outside_the_life_of_their_machine_are_refused_at_once(fleet):
    rows = fleet.replacements.reset_index(drop=True)
    rows.loc[0, "replaced_on"] = pd.Timestamp("2010-01-01")
    ends = fleet.units.assign(
        retired_on=pd.Series(pd.Timestamp("2022-01-15"), index=fleet.units.index).where(
            fleet.units["unit_id"] == rows.loc[4, "unit_id"]
        )
    )
    refused(
        lambda: fleet.with_tables(replacements=rows, units=ends),
        "replacements[row 2].replaced_on = '2010-01-01': lies before the machine's commissioning",
        "lies after the machine's retirement on 2022-01-15",
    )


def test_machines_far_older_than_the_records_follow_the_rate_that_was_seen(fleet):
    ancient = fleet.units.assign(commissioned_on=pd.Timestamp("1900-01-01"))
    result = forecast(fleet.with_tables(units=ancient))
    recent = fleet.replacements["replaced_on"] >= "2022-01-01"
    assert total(result) == pytest.approx(recent.sum() / 4, rel=0.5)


# hardly anything there


def test_one_machine_and_one_failure_are_enough(fleet):
    unit = fleet.replacements["unit_id"].iloc[0]
    rows = fleet.replacements[fleet.replacements["unit_id"] == unit].iloc[:1]
    one = fleet.with_tables(units=fleet.units[fleet.units["unit_id"] == unit], replacements=rows)
    assert 0 < total(forecast(one)) < 5


def test_a_fleet_handed_over_today_is_not_expected_to_fail_every_week(fleet):
    fresh = fleet.with_tables(
        units=fleet.units.assign(commissioned_on=TODAY), replacements=fleet.replacements.iloc[:0]
    )
    assert 0 < total(forecast(fresh)) / len(fleet.units) < 4


def test_a_part_fitted_to_nothing_has_no_rows_and_is_named(fleet):
    parts = pd.concat([fleet.parts, fleet.parts.assign(part_id="PX")])
    data = fleet.with_tables(parts=parts)
    assert "PX" not in set(forecast(data).table["part_id"])
    assert "fit no product and have no demand: nothing is forecast for them (PX)" in data.summary()


def test_machines_that_carry_no_part_add_nothing(fleet):
    products = pd.concat([fleet.products, fleet.products.assign(product_id="N")])
    other = fleet.units.iloc[:3].assign(unit_id=["Z1", "Z2", "Z3"], product_id="N")
    data = fleet.with_tables(products=products, units=pd.concat([fleet.units, other]))
    pd.testing.assert_frame_equal(forecast(data).table, forecast(fleet).table, rtol=1e-6)
    only = fleet.with_tables(products=products, units=other, replacements=fleet.replacements.iloc[:0])
    refused(lambda: forecast(only), "carries a part", "2025-12-31")


def test_a_fleet_that_is_retired_is_refused_by_name_unless_history_remains(fleet):
    rows = fleet.replacements[fleet.replacements["replaced_on"] < "2025-12-01"]
    gone = {"units": fleet.units.assign(retired_on=pd.Timestamp("2025-12-01")), "replacements": rows}
    refused(lambda: forecast(fleet.with_tables(**gone)), "no machine in service", "2025-12-31")
    history = pd.DataFrame({"part_id": "P1", "site_id": "S1", "month": MONTHS, "quantity": 2})
    result = forecast(fleet.with_tables(**gone, demand=history))
    assert result.table["from_installed_base"].sum() == 0
    assert total(result) == pytest.approx(24, rel=0.2)


def test_a_fleet_that_is_retired_leaves_the_machines_to_be_sold(fleet):
    plan = pd.DataFrame(
        {"product_id": "M", "site_id": "S1", "month": [pd.Timestamp("2026-02-01")], "units_sold": [10]}
    )
    rows = fleet.replacements[fleet.replacements["replaced_on"] < "2025-12-01"]
    units = fleet.units.assign(retired_on=pd.Timestamp("2025-12-01"))
    result = forecast(fleet.with_tables(units=units, replacements=rows, sales_plan=plan))
    assert set(result.table["site_id"]) == {"S1"}
    assert result.table["from_new_units"].sum() == pytest.approx(total(result))


# quantities, use, reports, chains


def test_quantities_of_nothing_are_refused_and_too_large_ones_are_cut(fleet):
    refused(
        lambda: fleet.with_tables(fitment=fleet.fitment.assign(quantity=0)),
        "fitment[row 2].quantity = '0': is not above 0",
    )
    refused(
        lambda: fleet.with_tables(replacements=fleet.replacements.assign(quantity=0)),
        "replacements[row 2].quantity = '0': is not above 0",
    )
    large = forecast(fleet.with_tables(replacements=fleet.replacements.assign(quantity=5)))
    assert total(large) < 2 * total(forecast(fleet))


def test_no_hours_at_all_are_no_clock(fleet):
    still = forecast(fleet.with_tables(usage=usage(0.0)))
    assert total(still) == pytest.approx(total(forecast(fleet)), rel=0.25)


def test_months_without_hours_have_no_demand(fleet):
    seasonal = forecast(
        fleet.with_tables(usage=usage(np.where(MONTHS.month > 6, 150.0, 0.0))),
        options=ForecastOptions(clock="hours"),
    )
    table = seasonal.table.groupby(seasonal.table["month"].dt.month)["mean"].sum()
    assert table[:6].sum() < 0.02 * table[6:].sum()


def test_a_machine_type_without_hours_does_not_stop_the_others(fleet):
    products = pd.concat([fleet.products, fleet.products.assign(product_id="N")])
    parts = pd.concat([fleet.parts, fleet.parts.assign(part_id="P2")])
    fitment = pd.concat([fleet.fitment, fleet.fitment.assign(product_id="N", part_id="P2")])
    other = fleet.units.iloc[:3].assign(unit_id=["Z1", "Z2", "Z3"], product_id="N")
    rows = pd.concat([usage(120.0), usage(0.0).assign(product_id="N")])
    data = fleet.with_tables(
        products=products, parts=parts, fitment=fitment, units=pd.concat([fleet.units, other]), usage=rows
    )
    table = forecast(data).table.groupby("part_id")["mean"].sum()
    assert table["P1"] == pytest.approx(total(forecast(fleet.with_tables(usage=usage(120.0)))), rel=0.1)
    assert table["P2"] >= 0


def test_meters_that_run_backwards_or_before_the_machine_are_refused(fleet):
    unit = fleet.units["unit_id"].iloc[0]
    days = pd.to_datetime(["2025-01-31", "2025-06-30"])
    falling = pd.DataFrame({"unit_id": unit, "read_on": days, "hours": [500.0, 100.0]})
    refused(
        lambda: fleet.with_tables(meter_readings=falling),
        "meter_readings[row 3].hours = '100",
        "below the reading of 500 hours on 2025-01-31",
    )
    early = falling.assign(read_on=pd.to_datetime(["2000-01-01", "2000-02-01"]), hours=1.0)
    refused(lambda: fleet.with_tables(meter_readings=early), "before the machine was there")
    still = falling.assign(hours=0.0)
    assert total(forecast(fleet.with_tables(meter_readings=still))) > 0


def test_readings_between_building_and_handover_are_taken(fleet):
    built = fleet.units.assign(built_on=fleet.units["commissioned_on"].min() - pd.Timedelta(days=200))
    readings = pd.DataFrame(
        {"unit_id": built["unit_id"], "read_on": built["built_on"] + pd.Timedelta(days=20), "hours": 8.0}
    )
    result = forecast(fleet.with_tables(units=built, meter_readings=readings))
    assert total(result) == pytest.approx(total(forecast(fleet)), rel=0.3)


def test_a_report_before_its_replacement_is_refused(fleet):
    rows = fleet.replacements.assign(reported_on=fleet.replacements["replaced_on"] - pd.Timedelta(days=1))
    refused(
        lambda: fleet.with_tables(replacements=rows),
        "replacements[row 2].reported_on",
        "before the replacement",
    )


def late_fleet(seed=3, mean=60.0):
    data, every = make_fleet(seed, machines=400, parts={"P1": (1.2, 500.0)}, first_sale="2021-01-01")
    late = np.random.default_rng(seed).exponential(mean, len(data.replacements)).astype(int)
    rows = data.replacements.assign(
        reported_on=data.replacements["replaced_on"] + pd.to_timedelta(late, unit="D")
    )
    return data, rows, every


def test_rows_that_are_reported_later_are_not_known_yet():
    data, rows, _ = late_fleet()
    one = forecast(data.with_tables(replacements=rows), months=3)
    two = forecast(data.with_tables(replacements=rows[rows["reported_on"] <= TODAY]), months=3)
    pd.testing.assert_frame_equal(one.table, two.table, rtol=1e-6)


def test_what_is_not_yet_reported_is_completed_and_said():
    data, rows, every = late_fleet()
    result = forecast(data.with_tables(replacements=rows[rows["reported_on"] <= TODAY]))
    there = data.units.loc[data.units["commissioned_on"] <= TODAY, "unit_id"]
    year = (every["replaced_on"] > TODAY) & (every["replaced_on"] <= TODAY + pd.Timedelta(days=365))
    ahead = every[year & every["unit_id"].isin(there)]
    assert total(result) == pytest.approx(len(ahead), rel=0.1)
    assert total(result) == pytest.approx(total(forecast(data)), rel=0.04)
    words = result.assumptions.loc[result.assumptions["name"] == "reporting delay", "meaning"]
    assert words.str.contains("the last months are completed by the estimated delay").any()


def test_circles_of_superseded_parts_are_refused_and_chains_followed(fleet):
    two = pd.concat(
        [fleet.parts.assign(superseded_by="P2"), fleet.parts.assign(part_id="P2", superseded_by="P1")]
    )
    refused(lambda: fleet.with_tables(parts=two), "closes a circle: P1 -> P2 -> P1")
    refused(lambda: fleet.with_tables(parts=fleet.parts.assign(superseded_by="P1")), "P1 -> P1")
    chain = pd.concat(
        [
            fleet.parts,
            fleet.parts.assign(part_id="P0", superseded_by="P00"),
            fleet.parts.assign(part_id="P00", superseded_by="P1"),
        ]
    )
    old = np.where(np.arange(len(fleet.replacements)) % 2, "P0", "P1")
    data = fleet.with_tables(parts=chain, replacements=fleet.replacements.assign(part_id=old))
    result = forecast(data)
    assert set(result.table["part_id"]) == {"P1"}
    assert total(result) == pytest.approx(total(forecast(fleet)), rel=1e-6)


def test_machines_without_a_day_of_commissioning_are_drawn_from_the_others(fleet):
    data, _ = make_fleet(4, machines=200)
    built = data.units["commissioned_on"] - pd.to_timedelta(np.arange(200) * 37 % 91, unit="D")
    full = data.with_tables(units=data.units.assign(built_on=built))
    lost = data.units["commissioned_on"].where(np.arange(200) % 4 == 0)
    some = data.with_tables(units=data.units.assign(built_on=built, commissioned_on=lost))
    result = forecast(some)
    assert total(result) == pytest.approx(total(forecast(full)), rel=0.05)
    assert "machines without a day of commissioning" in set(result.assumptions["name"])
    assert "commissioned_on is empty for 150 machines" in some.summary()
    none = fleet.units.assign(commissioned_on=pd.NaT)
    refused(
        lambda: fleet.with_tables(units=none), "units[row 2].commissioned_on: is empty, and so is built_on"
    )


# horizons


@pytest.mark.parametrize("months", [1, 120])
def test_the_shortest_and_the_longest_horizon(fleet, months):
    result = forecast(fleet, months=months)
    assert result.table["month"].nunique() == months
    year = total(forecast(fleet))
    assert total(result) == pytest.approx(year * months / 12, rel=0.35)


@pytest.mark.parametrize("months", [0, 121, -3, 2.5, "12", True, None])
def test_other_horizons_are_refused(fleet, months):
    refused(lambda: sp.forecast_demand(fleet, months=months, as_of=TODAY), "forecast_demand.months")


def test_calendar_and_hours_survive_every_option(fleet):
    data = fleet.with_tables(usage=usage(100.0))
    for clock in ("auto", "hours", "calendar"):
        options = ForecastOptions(clock=clock, backtest_origins=0)
        assert total(forecast(data, options=options, months=3)) > 0
