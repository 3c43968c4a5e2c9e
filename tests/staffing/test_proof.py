from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.config import StaffingOptions
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.duty import Duty
from spareplan.staffing.plan_rows import ATTAINMENT_COLUMNS, PlanRows
from spareplan.staffing.plan_search import search_plan
from spareplan.staffing.proof import simulate_plan
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.sizing import Promises, promises_kept, size_rows
from spareplan.staffing.travel import distance_table

MONTHS = pd.date_range("2026-01-01", periods=3, freq="MS")
REGIONS = pd.Index(["A", "B"])
NONE = np.zeros(4, dtype=bool)


@pytest.fixture(scope="module")
def units():
    generator = np.random.default_rng(4)
    places = generator.uniform(0, 0.5, (120, 2))
    return pd.DataFrame(
        {
            "region_id": np.repeat(["A", "B"], 60),
            "latitude": 30.0 + places[:, 0] * np.repeat([1.0, 3.0], 60),
            "longitude": 110.0 + places[:, 1],
        }
    )


def plan(units, load=(1.0, 1.02, 1.5, 0.6, 1.2, 1.21), lost=0.0, duty=Duty(), **promised):  # noqa: B008
    from spareplan.staffing.travel import flat_km

    tables = []
    for region in REGIONS:
        own = units[units["region_id"] == region]
        tables.append(distance_table(flat_km(own["latitude"], own["longitude"]), 16))
    pace = 1.3 / 50
    work = np.full((6, 4), 3.0)
    missing, again = np.full((6, 4), lost), np.full((6, 4), lost / 2)
    repairs = Repairs(work, np.full(4, 0.8), 1.0, missing, missing / 2, again, np.full(6, 24.0))
    orders = np.array([0.1, 0.15, 0.2, 0.3])[None, :] * np.array(load)[:, None]
    rows = RegionRows(
        orders * repairs.visits,
        repairs.visit_work,
        np.full(6, 0.9),
        np.repeat([0, 1], 3),
        np.stack([table.mean * pace for table in tables]),
        np.stack([table.quantiles * pace for table in tables]),
    )
    respond = promised.get("respond", np.array([1.0, 2.0, 8.0, 24.0]))
    promises = Promises(
        np.array(respond), np.array(promised.get("resolve", [np.nan] * 4)), np.full(4, 0.95), NONE
    )
    options = StaffingOptions(**promised.get("options", {}))
    return PlanRows(REGIONS, MONTHS, rows, repairs, promises, np.zeros(6), units, np.ones(24), options, duty)


def test_every_region_is_simulated_in_its_fullest_month_beside_the_formula(units):
    shown = plan(units, lost=0.1, resolve=[12.0, 48.0, 72.0, 96.0])
    sized = size_rows(shown.rows, shown.promises, shown.repairs)
    table = simulate_plan(shown, sized.servers.astype(float), sized.kept, orders=60_000)
    assert tuple(table.columns) == ATTAINMENT_COLUMNS
    months = table.groupby("region_id")["month"].unique()
    fullest = sized.kept.utilisation.reshape(2, 3).argmax(axis=1)
    assert [months["A"].tolist(), months["B"].tolist()] == [[MONTHS[m]] for m in fullest]
    assert len(table) == 2 * 8
    np.testing.assert_allclose(table["achieved"], table["planned"], atol=0.025)
    assert (table["low"] <= table["achieved"]).all()
    assert (table["kept"] == (table["high"] >= table["promised"])).all()


def test_a_part_of_an_engineer_lies_between_one_fewer_and_one_more(units):
    shown = plan(units)
    low, high = (np.full(6, float(n)) for n in (4, 5))
    kept = promises_kept(shown.rows, np.full(6, 4), shown.promises, shown.repairs)
    shares = [
        simulate_plan(shown, posts, kept)["achieved"].to_numpy() for posts in (low, (low + high) / 2, high)
    ]
    assert (shares[0] < shares[2]).all()
    assert ((shares[1] > shares[0]) & (shares[1] < shares[2])).all()


def test_nobody_on_duty_keeps_nothing_and_regions_without_orders_are_left_out(units):
    shown = plan(units, load=(0.0, 0.0, 0.0, 1.0, 1.0, 1.0))
    kept = promises_kept(shown.rows, np.full(6, 1), shown.promises, shown.repairs)
    table = simulate_plan(shown, np.zeros(6), kept)
    assert set(table["region_id"]) == {"B"}
    assert (table["achieved"] == 0).all()
    assert not table["kept"].any()


def test_the_proof_is_the_same_for_any_number_of_threads_and_follows_its_seed(units):
    shown = plan(units)
    kept = promises_kept(shown.rows, np.full(6, 5), shown.promises, shown.repairs)
    one, other, third = (
        simulate_plan(shown, np.full(6, 5.0), kept, seed=seed, threads=threads)
        for seed, threads in ((1, 1), (1, 3), (2, 1))
    )
    pd.testing.assert_frame_equal(one, other)
    assert (one["achieved"] != third["achieved"]).any()


def test_the_searched_numbers_keep_the_promises_and_one_engineer_fewer_does_not(units):
    shown = plan(units)
    sized = size_rows(shown.rows, shown.promises, shown.repairs)
    found = search_plan(shown, sized, every_row=True)
    assert np.abs(found.servers - sized.servers).max() <= 1
    assert len(found.table) == 6
    assert found.attained["kept"].all()
    enough = simulate_plan(shown, found.servers.astype(float), sized.kept, seed=9, orders=200_000)
    assert (enough["achieved"] > 0.945).all()
    fewer = simulate_plan(shown, found.servers - 1.0, sized.kept, seed=9, orders=200_000)
    assert (fewer.groupby("region_id")["achieved"].min() < 0.955).all()


def test_months_between_two_of_equal_number_take_it_over(units):
    loads = (1.04, 1.0, 1.02, 0.6, 1.2, 1.21)
    shown = plan(units, load=loads)
    sized = size_rows(shown.rows, shown.promises, shown.repairs)
    found = search_plan(shown, sized, every_row=True)
    first = found.table[found.table["region_id"] == "A"].set_index("month")
    assert first.loc[MONTHS[2], "looked_at"] == MONTHS[0]
    assert "2026-01" in first.loc[MONTHS[2], "reason"]
    assert "quieter month" in first.loc[MONTHS[2], "reason"]
    assert first.loc[MONTHS[2], "orders"] == 0
    # The quietest month keeps what the fullest keeps; only one fewer is simulated for it.
    assert first.loc[MONTHS[1], "looked_at"] == MONTHS[0]
    assert first.loc[MONTHS[1], "orders"] > 0
    assert "one fewer" in first.loc[MONTHS[1], "reason"]
    # Looked at by itself the month in between gets the same number.
    alone = plan(units, load=(0.0, 0.0, 1.02, 0.6, 1.2, 1.21))
    other = search_plan(alone, size_rows(alone.rows, alone.promises, alone.repairs), every_row=True)
    assert other.servers[2] == found.servers[2]


def test_numbers_that_are_clear_by_formula_are_not_simulated(units):
    shown = plan(units, load=(9.0, 9.5, 10.0, 10.4, 10.8, 11.4), respond=[4.0, 8.0, 24.0, 72.0])
    sized = size_rows(shown.rows, shown.promises, shown.repairs)
    assert sized.servers.min() >= 6
    generous = sized._replace(kept=sized.kept._replace(respond=np.full((6, 4), 0.99)))
    some = search_plan(shown, generous)
    every = search_plan(shown, generous, every_row=True)
    assert (some.table["orders"] > 0).sum() < (every.table["orders"] > 0).sum()
    assert some.table.loc[some.table["orders"] == 0, "reason"].str.contains("clear").all()


def test_day_shifts_are_always_searched(units):
    shown = plan(units, duty=Duty(8.0, 18.0), respond=[4.0, 8.0, 24.0, 72.0])
    sized = size_rows(shown.rows, shown.promises, shown.repairs)
    found = search_plan(shown, sized)
    assert (found.table["orders"] > 0).all()
    assert found.attained["kept"].all()


def test_a_promise_that_no_number_keeps_leaves_the_formulas_number(units):
    shown = plan(units, duty=Duty(8.0, 9.0), respond=[np.nan, np.nan, 0.1, 0.1])._replace(on_shift=NONE)
    sized = size_rows(shown.rows, shown.promises, shown.repairs)
    found = search_plan(shown, sized)
    np.testing.assert_array_equal(found.servers, sized.servers)
    assert found.table["reason"].str.contains("no number of engineers").all()
