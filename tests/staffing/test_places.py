"""Where the work is: hulls, ellipses and towns of machines; sites and areas where machines do not tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from spareplan.errors import DataError
from spareplan.staffing.congestion import Congestion, RegionRows, congestion
from spareplan.staffing.places import Place, ellipse_area, find_clusters, find_places, hull_area
from spareplan.staffing.region_travel import place_table
from spareplan.staffing.simulation import simulate_region
from spareplan.staffing.travel import KM_PER_DEGREE, DistanceTable, distance_table, flat_km, left_over_share

REGION = pd.Index(["r"])


def machines(points: np.ndarray, site: object = "s", region: str = "r") -> pd.DataFrame:
    north = 30 + points[:, 1] / KM_PER_DEGREE
    east = 110 + points[:, 0] / (KM_PER_DEGREE * np.cos(np.radians(30)))
    names = [f"U{i:04d}" for i in range(len(points))]
    return pd.DataFrame(
        {"unit_id": names, "region_id": region, "site_id": site, "latitude": north, "longitude": east}
    )


def sites(points: np.ndarray, region: str = "r") -> pd.DataFrame:
    frame = machines(points, region=region)
    return frame.assign(site_id=[f"s{i}" for i in range(len(points))])[
        ["site_id", "region_id", "latitude", "longitude"]
    ]


NO_SITES = sites(np.zeros((0, 2)))
NO_AREA = pd.Series({"r": np.nan})


def test_hulls_and_ellipses_of_known_shapes():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10], [5, 5], [10, 5.0]])
    assert hull_area(square) == pytest.approx(100)
    assert hull_area(np.array([[0, 0], [1, 1], [2, 2.0]])) == 0
    assert hull_area(square[:2]) == 0
    step = np.arange(20_000)
    disc = 7 * np.sqrt((step + 0.5) / len(step))[:, None]
    disc = disc * np.column_stack([np.cos(2.39996 * step), np.sin(2.39996 * step)])
    # Two standard deviations of an even disc are its radius.
    assert ellipse_area(disc) == pytest.approx(np.pi * 49, rel=0.005)
    assert hull_area(disc) == pytest.approx(np.pi * 49, rel=0.01)


def test_the_hull_agrees_with_another_algorithm():
    from scipy.spatial import ConvexHull

    for seed, size in enumerate((3, 12, 40, 300, 5000)):
        generator = np.random.default_rng(seed)
        points = generator.normal(size=(size, 2)) if seed % 2 else generator.random((size, 2)).round(2)
        assert hull_area(points) == pytest.approx(ConvexHull(points).volume)


def test_towns_are_found_and_even_spreads_are_left_whole():
    generator = np.random.default_rng(3)
    centres = np.array([[0, 0], [300, 0], [0, 300], [250, 280.0]])
    which = generator.choice(4, size=300, p=[0.5, 0.25, 0.15, 0.1])
    points = centres[which] + generator.normal(0, 10, (300, 2))
    label = find_clusters(points)
    assert (pd.crosstab(label, which) > 0).to_numpy().sum() == 4
    assert (np.diff(np.bincount(label)) <= 0).all()
    shuffled = generator.permutation(300)
    assert np.array_equal(find_clusters(points[shuffled]), label[shuffled])
    split = [find_clusters(generator.random((size, 2))).max() > 0 for size in (12, 20, 50, 400) * 10]
    assert np.mean(split) <= 0.05
    assert find_clusters(np.zeros((0, 2))).size == 0


def test_machines_come_before_sites_and_sites_before_the_area():
    generator = np.random.default_rng(5)
    points = generator.uniform(0, 100, (40, 2))
    units, stores = machines(points, "s0"), sites(np.array([[50, 50], [150, 50.0]]))
    nowhere = units.assign(latitude=np.nan, longitude=np.nan)
    areas = pd.Series({"r": 50_000.0})
    found = [
        find_places(REGION, *inputs).table.iloc[0]
        for inputs in (
            (units, stores, areas),
            (nowhere, stores, areas),
            (nowhere, NO_SITES, areas),
            (nowhere, NO_SITES, NO_AREA),
        )
    ]
    assert [row["evidence"] for row in found] == ["machines", "sites", "area", "none"]
    assert found[0]["effective_km2"] == pytest.approx(10_000, rel=0.2)
    assert found[0]["hull_km2"] < 10_000 < found[0]["ellipse_km2"] * 1.2
    assert found[0]["units_placed"] == 40
    assert np.isnan(found[3]["latitude"])
    # Half way to the next site, 100 km off.
    assert found[1]["hull_km2"] == pytest.approx(np.pi * 50**2, rel=0.06)


def test_the_middle_and_the_towns_are_told_in_degrees():
    points = np.concatenate(
        [
            np.random.default_rng(1).normal(0, 3, (60, 2)),
            np.random.default_rng(2).random((30, 2)) + np.array([200, 0]),
        ]
    )
    found = find_places(REGION, machines(points), NO_SITES, NO_AREA)
    assert found.clusters["units"].tolist() == [60, 30]
    back = flat_km(
        [30, *found.clusters["latitude"], found.table["latitude"][0]],
        [110, *found.clusters["longitude"], found.table["longitude"][0]],
    )
    away = back[1:] - back[0]
    np.testing.assert_allclose(away[:, 0], [0, 200, 200 / 3], atol=2)
    np.testing.assert_allclose(away[:, 1], [0, 0, 0], atol=2)


def test_one_or_two_machines_are_served_from_their_site():
    stores = sites(np.array([[0, 0], [500, 500.0]]))
    areas = pd.Series({"r": 400_000.0})
    for points in (np.array([[30, 40.0]]), np.array([[30, 40], [-30, 40.0]])):
        found = find_places(REGION, machines(points, "s0"), stores, areas)
        assert found.table["evidence"][0] == "machines from site"
        table = place_table(found.by_region["r"], 400_000.0, 16)
        np.testing.assert_allclose(table.mean, 50, rtol=0.01)
        # Without the site they cannot tell; the area does.
        assert find_places(REGION, machines(points), NO_SITES, areas).table["evidence"][0] == "area"
    alone = find_places(REGION, machines(np.array([[30, 40], [-30, 40.0]])), NO_SITES, NO_AREA)
    assert alone.table["evidence"][0] == "machines"


def test_few_placed_machines_do_not_meet_themselves_too_often():
    generator = np.random.default_rng(9)
    means = []
    for _ in range(60):
        units = machines(generator.uniform(0, 100, (200, 2)))
        units.loc[6:, ["latitude", "longitude"]] = np.nan
        place = find_places(REGION, units, NO_SITES, NO_AREA).by_region["r"]
        means.append(place_table(place, np.nan, 4).mean[0])
    assert np.mean(means) == pytest.approx(52.14, rel=0.05)


def test_absurd_coordinates_and_areas_are_refused_by_name():
    units = machines(np.zeros((3, 2)))
    units["latitude"] = [30.0, np.inf, 400.0]
    with pytest.raises(DataError) as told:
        find_places(REGION, units, NO_SITES, pd.Series({"r": -5.0}))
    text = str(told.value)
    assert "U0001" in text and "U0002" in text and "area_km2" in text
    assert len(told.value.problems) == 3


def region(seed: int, towns: bool) -> tuple[np.ndarray, float]:
    generator = np.random.default_rng(seed)
    area = float(generator.uniform(5e3, 2e5))
    if not towns:
        return generator.uniform(0, np.sqrt(area), (150, 2)), area
    centres = generator.uniform(0, np.sqrt(area), (4, 2))
    return centres[generator.integers(4, size=150)] + generator.normal(
        0, 0.05 * np.sqrt(area), (150, 2)
    ), area


def state(table: DistanceTable, pace: float, rate: float, work: float, engineers: int) -> Congestion:
    rows = RegionRows(
        np.array([[rate]]),
        np.array([[work]]),
        np.array([0.8]),
        np.array([0]),
        pace * table.mean[None],
        pace * table.quantiles[None],
    )
    return congestion(rows, np.array([engineers]))


def test_machines_tell_travel_within_ten_per_cent_and_areas_do_not():
    errors: dict[str, list[tuple[float, float]]] = {}
    for seed in range(8):
        points, area = region(900 + seed, towns=seed % 2 == 1)
        engineers, work, pace, full = 4 + 2 * seed, 2.0 + 0.5 * seed, 1.3 / 55.0, 0.55 + 0.035 * seed
        found = find_places(REGION, machines(points), NO_SITES, pd.Series({"r": area}))
        row, place = found.table.iloc[0], found.by_region["r"]
        share = float(left_over_share(full * engineers, engineers))
        tables = {"machines": place_table(place, area, 48, left_over=share)}
        even = {"hull": row["hull_km2"], "ellipse": row["ellipse_km2"], "administrative area": area}
        for name, size in even.items():
            tables[name] = place_table(Place("area", place.points, place.posts, 1.0), size, 48)
        rate = brentq(
            lambda r, t=tables["machines"], p=pace, w=work, n=engineers, f=full: (
                state(t, p, r, w, n).utilisation[0] - f
            ),
            1e-6,
            engineers / work,
        )
        orders = pd.DataFrame(
            {"priority": ["P1"], "orders_per_day": [24 * rate], "work_hours": [work], "work_scv": [0.8]}
        )
        run = simulate_region(
            orders, engineers, points=points, days=60_000 / (24 * rate), seed=seed, travel_speed=55.0
        )
        for name, table in tables.items():
            told = state(table, pace, rate, work, engineers)
            errors.setdefault(name, []).append(
                (told.drive[0] / run.drive_hours - 1, told.utilisation[0] / run.utilisation - 1)
            )
    worst = {name: np.abs(values).max(axis=0) for name, values in errors.items()}
    assert worst["machines"][0] < 0.10
    assert worst["machines"][1] < 0.03
    # What an area tells instead: borders over-state travel to towns, a hull is no better a guess.
    assert np.mean([drive for drive, _ in errors["administrative area"][1::2]]) > 0.3
    assert worst["hull"][0] > 2 * worst["machines"][0]
    assert worst["ellipse"][0] > 2 * worst["machines"][0]


def test_distances_are_those_of_the_machines_where_all_have_coordinates():
    points = np.random.default_rng(2).random((80, 2)) * 50
    place = find_places(REGION, machines(points), NO_SITES, NO_AREA).by_region["r"]
    np.testing.assert_allclose(
        place_table(place, np.nan, 12, seed=3).mean, distance_table(place.points, 12, seed=3).mean
    )
