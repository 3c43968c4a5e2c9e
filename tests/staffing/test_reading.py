from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan import staffing
from spareplan.errors import DataError

INF, NAN = float("inf"), float("nan")
REGIONS = pd.DataFrame({"region_id": ["a"], "area_km2": [1e4]})
ORDERS = pd.DataFrame({"region_id": ["a"], "priority": ["P1"], "orders_per_day": [1.0], "work_hours": [4.0]})
PROMISES = pd.DataFrame({"priority": ["P1"], "respond_hours": [1.0]})
UNITS = pd.DataFrame({"region_id": ["a", "a"], "latitude": [30.0, 30.5], "longitude": [110.0, 111.0]})
GOOD = {"regions": REGIONS, "orders": ORDERS, "promises": PROMISES, "units": UNITS}


def refused(**changes) -> set[tuple[str, str]]:
    with pytest.raises(DataError) as caught:
        staffing.size_regions(**(GOOD | changes))
    return set(caught.value.problems[["table", "column"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("orders_per_day", [-1.0, NAN, INF, 1e9, "many"]),
        ("work_hours", [0.0, NAN, INF, "long"]),
        ("work_scv", [-0.5, INF]),
        ("missing_share", [-0.1, 1.1, INF]),
        ("again_share", [-0.1, 1.0, 1.5]),
        ("parts_hours", [-1.0, INF]),
        ("parts_scv", [-1.0, INF]),
        ("known_share", [-0.1, 1.1]),
        ("priority", [None, "P9"]),
        ("region_id", [None, "elsewhere"]),
    ],
)
def test_impossible_orders_are_refused_by_name(column, values):
    for value in values:
        assert ("orders", column) in refused(orders=ORDERS.assign(**{column: [value]}))


@pytest.mark.parametrize(
    ("column", "values"),
    [("area_km2", [-1.0, INF]), ("travel_speed", [0.0, -5.0, INF]), ("circuity", [0.0, -1.3, 0.5, INF])],
)
def test_impossible_regions_are_refused_by_name(column, values):
    for value in values:
        assert ("regions", column) in refused(regions=REGIONS.assign(**{column: [value]}))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("respond_hours", [-1.0, INF, "soon"]),
        ("resolve_hours", [-1.0, INF]),
        ("target", [1.0, -0.1, 2.0]),
        ("response_mode", ["desk", None]),
        ("priority", [None]),
    ],
)
def test_impossible_promises_are_refused_by_name(column, values):
    for value in values:
        assert ("promises", column) in refused(promises=PROMISES.assign(**{column: [value]}))


@pytest.mark.parametrize(
    ("column", "values"),
    [("latitude", [INF, NAN, 400.0]), ("longitude", [-INF, NAN, 700.0]), ("region_id", [None, "elsewhere"])],
)
def test_impossible_machines_are_refused_by_name(column, values):
    for value in values:
        assert ("units", column) in refused(units=UNITS.assign(**{column: [value, UNITS[column][1]]}))
    flat = pd.DataFrame({"region_id": ["a", "a"], "east": [0.0, INF], "north": [NAN, 1.0]})
    assert refused(units=flat) == {("units", "east"), ("units", "north")}
    assert refused(units=flat.drop(columns="north")) == {("units", "north")}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("travel_speed", [0.0, -50.0, NAN, INF, "fast", [50.0, 60.0]]),
        ("circuity", [0.0, -1.0, NAN, INF]),
        ("diagnose_hours", [0.0, -1.0, NAN, INF]),
        ("max_utilisation", [0.0, 1.2, NAN, "full"]),
        ("least_gain", [-0.1, NAN]),
        ("seed", [-1, "x"]),
    ],
)
def test_impossible_arguments_are_refused_by_name(name, values):
    for value in values:
        assert refused(**{name: value}) == {("size_regions", name)}


def test_empty_and_doubled_tables_are_refused_by_name():
    empty = {"regions": REGIONS[:0], "orders": ORDERS[:0], "promises": PROMISES[:0]}
    assert refused(**empty) == {("regions", ""), ("orders", ""), ("promises", "")}
    double = {name: pd.concat([GOOD[name]] * 2) for name in ("regions", "orders", "promises")}
    assert refused(**double) == {("regions", "region_id"), ("orders", "priority"), ("promises", "priority")}
    monthly = ORDERS.assign(month=pd.NaT)
    assert refused(orders=monthly) == {("orders", "month")}


def test_all_faults_are_told_at_once():
    found = refused(
        regions=REGIONS.assign(area_km2=-1.0),
        orders=ORDERS.assign(missing_share=2.0, work_hours=-1.0),
        promises=PROMISES.assign(resolve_hours=-3.0),
        units=UNITS.assign(latitude=[INF, 30.0]),
    )
    assert found == {
        ("regions", "area_km2"),
        ("orders", "missing_share"),
        ("orders", "work_hours"),
        ("promises", "resolve_hours"),
        ("units", "latitude"),
    }


def test_work_for_an_army_is_refused_instead_of_searched():
    assert refused(travel_speed=1e-7) == {("orders", "orders_per_day")}
    assert refused(orders=ORDERS.assign(orders_per_day=9e5)) == {("orders", "orders_per_day")}


def test_an_empty_target_is_the_usual_one_and_the_order_of_rows_does_not_matter():
    orders = pd.DataFrame(
        {"region_id": ["a", "b"], "priority": "P1", "orders_per_day": [3.0, 9.0], "work_hours": 4.0}
    )
    generator = np.random.default_rng(0)
    units = pd.DataFrame(
        {"region_id": ["a", "b"] * 20, "east": generator.random(40) * 90, "north": generator.random(40) * 90}
    )
    regions = pd.DataFrame({"region_id": ["a", "b"]})
    usual = staffing.size_regions(regions, orders, PROMISES.assign(target=NAN), units)
    pd.testing.assert_frame_equal(usual, staffing.size_regions(regions, orders, PROMISES, units))
    turned = staffing.size_regions(
        regions[::-1], orders[::-1], PROMISES, units.sample(frac=1, random_state=1)
    )
    pd.testing.assert_frame_equal(usual, turned)


def test_a_region_without_orders_needs_neither_machines_nor_area():
    regions = pd.DataFrame({"region_id": ["a"]})
    table = staffing.size_regions(regions, ORDERS.assign(orders_per_day=0.0), PROMISES)
    assert table["required"].tolist() == [0]
    assert table["reason"].tolist() == ["no orders"]


def test_waits_for_parts_of_a_known_length_are_sized_apart_from_random_ones():
    asked = PROMISES.assign(resolve_hours=36.0)
    late = ORDERS.assign(missing_share=0.3, parts_hours=20.0)
    random = staffing.size_regions(REGIONS, late, asked)
    certain = staffing.size_regions(REGIONS, late.assign(parts_scv=0.0), asked)
    assert random["bound_p1"].tolist() == ["parts"]
    assert certain["bound_p1"].tolist() == ["none"]
    assert certain["resolve_p1"][0] >= 0.95 > random["resolve_p1"][0]
