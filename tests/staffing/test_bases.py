from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from spareplan import staffing
from spareplan.staffing.bases import BASE_COLUMNS, base_cures, choose_bases, drive_values
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.sizing import Promises, size_rows
from spareplan.staffing.travel import KM_PER_DEGREE, distance_table, flat_km

PACE = 1.3 / 50.0


def best_of_all(points, hours, values, count):
    gaps = np.hypot(*(points[:, None, :] - points[None, :, :]).transpose(2, 0, 1))
    worth = np.interp(gaps * PACE, hours, values)
    return max(
        float(worth[list(some)].max(axis=0).mean())
        for some in itertools.combinations(range(len(points)), count)
    )


@pytest.mark.parametrize("count", [1, 2, 3])
def test_bases_reach_what_the_best_of_all_choices_reach(count):
    found, best = [], []
    for seed in range(8):
        points = np.random.default_rng(seed).random((24, 2)) * 200
        for hours, values in (
            (np.array([0.0, 1.0, 1.0 + 1e-9]), np.array([1.0, 1.0, 0.0])),
            (np.array([0.0, 4.0]), np.array([0.95, 0.0])),
        ):
            chosen = choose_bases(points, hours, values, PACE, 1.0, count)
            found.append(chosen.share[-1])
            best.append(best_of_all(points, hours, values, len(chosen.chosen)))
            assert (np.diff(chosen.share) >= -1e-12).all()
    ratio = np.array(found) / np.array(best)
    assert ratio.max() <= 1 + 1e-12
    assert ratio.min() > 0.93
    assert (ratio > 1 - 1e-12).mean() >= (1.0 if count == 1 else 0.7)


def towns(seed: int = 3, spread: float = 12.0) -> pd.DataFrame:
    """Machines of a region in three towns far from each other."""
    generator = np.random.default_rng(seed)
    middle = np.array([[0.0, 0.0], [260.0, 40.0], [90.0, 280.0]])
    at = np.repeat(middle, [60, 40, 30], axis=0) + generator.normal(0, spread, (130, 2))
    return pd.DataFrame(
        {
            "region_id": "r",
            "latitude": 30.0 + at[:, 1] / KM_PER_DEGREE,
            "longitude": 110.0 + at[:, 0] / (KM_PER_DEGREE * np.cos(np.radians(30.0))),
        }
    )


def bound_by_reach(units: pd.DataFrame, resolve: bool):
    points = flat_km(units["latitude"], units["longitude"])
    table = distance_table(points, 30)
    ones = np.ones((1, 2))
    repairs = Repairs(2.0 * ones, np.ones(2), 1.0, 0 * ones, 0 * ones, 0 * ones, np.ones(1))
    rows = RegionRows(
        np.array([[0.02, 0.05]]),
        2.0 * ones,
        np.ones(1),
        np.zeros(1, int),
        table.mean[None] * PACE,
        table.quantiles[None] * PACE,
    )
    none = [np.nan, np.nan]
    promises = Promises(
        np.array([np.nan if resolve else 1.2, 24.0]),
        np.array([9.0, np.nan] if resolve else none),
        np.array([0.95, 0.9]),
        np.array([not resolve, False]),
    )
    sized = size_rows(rows, promises, repairs, reach_engineers=8)
    return rows, promises, repairs, sized, points


def test_bases_in_the_towns_keep_the_promise_in_simulation():
    units = towns()
    rows, promises, repairs, sized, _ = bound_by_reach(units, resolve=False)
    assert (sized.respond_cause[0] == "reach").tolist() == [True, False]
    table = base_cures(["r"], ["P1", "P2"], rows, sized, promises, repairs, units)
    assert list(table.columns) == BASE_COLUMNS
    assert table["base"].tolist() == [1, 2, 3]
    assert table["machines"].tolist() == [60, 40, 30]
    assert table["share_then"].iloc[-1] >= 0.95 > table["share_then"].iloc[1]
    assert table["share_now"].iloc[0] < 0.9
    at = flat_km(
        pd.concat([units["latitude"], table["latitude"]]), pd.concat([units["longitude"], table["longitude"]])
    )
    crew = pd.DataFrame(
        {"count": table["engineers"], "east": at[len(units) :, 0], "north": at[len(units) :, 1]}
    )
    orders = pd.DataFrame(
        {
            "priority": ["P1", "P2"],
            "orders_per_day": [0.48, 1.2],
            "work_hours": 2.0,
            "respond_hours": [1.2, 24.0],
            "response_mode": ["arrival", "dispatch"],
        }
    )
    run = staffing.simulate_region(orders, crew, at[: len(units)], days=20_000, seed=1, depot=True)
    kept = run.table.set_index("priority")["achieved"]
    assert kept["P1"] >= 0.94
    roaming = staffing.simulate_region(orders, int(sized.servers[0]), at[: len(units)], days=20_000, seed=1)
    assert roaming.table.set_index("priority")["achieved"]["P1"] < 0.9


def test_bases_for_solutions_are_worth_what_the_drive_leaves():
    units = towns(spread=5.0)
    rows, promises, repairs, sized, _ = bound_by_reach(units, resolve=True)
    hours, values = drive_values(rows, 0, 0, promises, repairs, False)
    # After a drive d a repair of mean 2 h, exponential, has 9 - d hours left.
    np.testing.assert_allclose(values, 1 - np.exp(-(9.0 - hours) / 2.0), atol=0.012)
    sized = sized._replace(resolve_cause=np.array([["reach", "none"]]))
    table = base_cures(["r"], ["P1", "P2"], rows, sized, promises, repairs, units)
    assert table["share_then"].iloc[-1] > table["share_now"].iloc[0]
    assert table["share_then"].iloc[-1] >= 0.95


def test_no_base_is_named_without_need_or_without_places():
    units = towns()
    rows, promises, repairs, sized, _ = bound_by_reach(units, resolve=False)
    lost = units.assign(latitude=np.nan)
    assert base_cures(["r"], ["P1", "P2"], rows, sized, promises, repairs, lost).empty
    easy = promises.__class__(np.array([24.0, 24.0]), promises.resolve, promises.target, promises.arrival)
    fine = size_rows(rows, easy, repairs)
    assert base_cures(["r"], ["P1", "P2"], rows, fine, easy, repairs, units).empty


def test_the_order_of_machines_does_not_matter():
    units = towns()
    rows, promises, repairs, sized, _ = bound_by_reach(units, resolve=False)
    table = base_cures(["r"], ["P1", "P2"], rows, sized, promises, repairs, units)
    turned = units.sample(frac=1, random_state=2)
    again = base_cures(["r"], ["P1", "P2"], rows, sized, promises, repairs, turned)
    pd.testing.assert_frame_equal(table, again)
