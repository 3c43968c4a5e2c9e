"""Sums and histograms that all parts of a product share, against every piece followed by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.forecast.clock import build_clock, records_begin
from spareplan.forecast.exposure import fleet_history
from spareplan.forecast.field_ages import FieldAges
from spareplan.forecast.group_sums import group_sums
from spareplan.forecast.life_sums import fitment_numbers, shared_sums, spell_sums, untouched_sums
from spareplan.forecast.lives import learn_lives
from spareplan.forecast.open_starts import weigh_open_starts
from spareplan.forecast.sparse import SHAPES
from spareplan.forecast.spells import touched_spells
from spareplan.forecast.unknown_ages import class_rows, open_sums
from tests.forecast.fleets import TODAY, make_fleet

LAWS = {f"P{i}": (2.0, 300.0 * 2**i) for i in range(6)}


@pytest.fixture(scope="module")
def fleet():
    data, _ = make_fleet(21, machines=150, parts=LAWS, first_sale="2019-03-01")
    gone = data.units["commissioned_on"] + pd.Timedelta(days=1500)
    units = data.units.assign(retired_on=gone.where((np.arange(150) % 7 == 0) & (gone < TODAY)))
    fitment = data.fitment.assign(quantity=np.arange(len(data.fitment)) % 3 + 1)
    late = units.set_index("unit_id")["retired_on"].reindex(data.replacements["unit_id"]).to_numpy()
    keep = ~(data.replacements["replaced_on"].to_numpy() > late)
    data = data.with_tables(units=units, fitment=fitment, replacements=data.replacements[keep])
    begin, _ = records_begin(data, TODAY)
    clock = build_clock(data, data.network, TODAY, 400.0, hours=False)
    return fleet_history(data, clock, begin, TODAY)


@pytest.fixture(scope="module")
def one_by_one(fleet):
    """Every piece on every machine as a row: pairs with a record, and all others at their machine's age."""
    listed = touched_spells(fleet, "days", np.ones(len(fleet.parts), dtype=bool))
    ages, machines = fleet.machines.ages["days"], fleet.machines.table
    rows = []
    known = set(zip(fleet.touched["part"], fleet.touched["machine"]))
    for part, lives, product in zip(fleet.fitted["part"], fleet.fitted["lives"], fleet.fitted["product_id"]):
        for machine in np.flatnonzero(machines["product_id"] == product):
            if (part, machine) not in known:
                start, stop = ages.start[machine], ages.stop[machine]
                rows.append((part, machine, start, stop, lives, start > 0, machines["in_service"][machine]))
    columns = ["part", "machine", "entry", "exit", "count", "open", "in_service"]
    other = pd.DataFrame(rows, columns=columns).assign(failed=False, planned=False)
    return listed, other


def test_there_are_untouched_pieces_of_both_kinds(one_by_one):
    assert one_by_one[1]["open"].any()
    assert (~one_by_one[1]["open"]).any()


def test_sums_over_machines_less_those_with_a_record_are_the_sums_over_pieces(fleet, one_by_one):
    fitment = fitment_numbers(fleet)
    shared = shared_sums(fleet.machines, fitment, "days")
    other = one_by_one[1]
    closed = other[~other["open"]]
    sums, brute = untouched_sums(fitment, shared), spell_sums(closed, len(fleet.parts), shared.unit)
    np.testing.assert_allclose(sums.powers, brute.powers, rtol=1e-8, atol=1e-9)
    whole = spell_sums(other, len(fleet.parts), shared.unit)
    np.testing.assert_allclose(sums.time, whole.time, rtol=1e-9)
    np.testing.assert_allclose(sums.alive, whole.alive)
    np.testing.assert_allclose(
        untouched_sums(fitment, shared, repaired=True).powers, whole.powers, rtol=1e-8, atol=1e-9
    )


def test_sums_by_group_add_up_to_those_of_the_parts(fleet, one_by_one):
    fitment = fitment_numbers(fleet)
    shared = shared_sums(fleet.machines, fitment, "days")
    listed, other = one_by_one
    seen = listed[~listed["open"].to_numpy(bool)]
    groups = group_sums(fitment, shared, seen, fleet.machines.group, len(fleet.machines.groups))
    everything = pd.concat([seen, other[~other["open"]]], ignore_index=True)
    brute = spell_sums(everything, len(fleet.parts), shared.unit)
    parts = len(fleet.parts)
    np.testing.assert_allclose(np.bincount(groups.part, groups.failures, parts), brute.failures)
    for node in range(len(SHAPES)):
        got = np.bincount(groups.part, groups.powers[:, node], parts)
        np.testing.assert_allclose(got, brute.powers[:, node], rtol=1e-8)


def test_pieces_of_unknown_age_are_weighed_as_rows_would_be(fleet, one_by_one):
    fitment = fitment_numbers(fleet)
    shared = shared_sums(fleet.machines, fitment, "days")
    rows = class_rows(fitment, shared.open)
    other = one_by_one[1]
    opened = other[other["open"]].reset_index(drop=True)
    assert rows.pieces.sum() == pytest.approx(opened["count"].sum())
    shape, scale = np.full(len(fleet.parts), 2.0), 300.0 * 2.0 ** np.arange(len(fleet.parts))
    sums, _ = open_sums(rows, shared.open, shared.unit, shape, scale, {})
    number = opened["part"].to_numpy()
    brute = spell_sums(weigh_open_starts(opened, shape[number], scale[number]), len(fleet.parts), shared.unit)
    np.testing.assert_allclose(sums, brute.powers, rtol=1e-8)


def test_every_piece_in_service_stands_once_in_the_histogram(fleet):
    parts = pd.DataFrame({"part_id": list(LAWS), "family": "F", "superseded_by": None})
    for name in ("supplier", "source", "expected_life_hours", "like_part", "unit_cost"):
        parts[name] = np.nan
    lives = learn_lives(fleet, parts, "calendar")
    field = FieldAges(fleet, lives, "days", 30.0)
    now = fleet.machines.table.loc[fleet.machines.table["in_service"].to_numpy(bool)]
    for number in range(len(fleet.parts)):
        cells, held, _ = field.of_part(number)
        own = fleet.fitted[fleet.fitted["part"] == number].iloc[0]
        by_site = pd.Series(held.sum(axis=1)).groupby(field.cells["site_id"].to_numpy()[cells]).sum()
        expected = now.groupby("site_id").size() * own["lives"]
        np.testing.assert_allclose(by_site, expected.reindex(by_site.index), rtol=1e-9)
        assert (held >= 0).all()


def test_late_reports_shorten_the_watch_and_not_the_age():
    data, _ = make_fleet(22, machines=40, parts={"P0": (2.0, 900.0)}, first_sale="2022-02-01")
    begin, _ = records_begin(data, TODAY)
    clock = build_clock(data, data.network, TODAY, 400.0, hours=False)
    fleets = [
        fleet_history(data, clock, begin, TODAY, late) for late in (np.zeros(1), np.array([10.0, 50.0]))
    ]
    times, ages = [], []
    for one in fleets:
        shared = shared_sums(one.machines, fitment_numbers(one), "days")
        spells = touched_spells(one, "days", np.ones(1, dtype=bool))
        times.append(
            spell_sums(spells, 1, shared.unit).time[0] + untouched_sums(fitment_numbers(one), shared).time[0]
        )
        alive = spells[spells["in_service"]]
        age = alive["age"] if "age" in alive else alive["exit"]
        ages.append((age * alive["count"]).sum())
    running = int(fleets[0].machines.table["in_service"].sum())
    # Thirty days less on average, where a piece was watched so long.
    assert times[0] - times[1] == pytest.approx(30 * running, rel=0.05)
    assert ages[0] == pytest.approx(ages[1])
