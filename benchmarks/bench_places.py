"""How far off travel is by what tells where the work is: `python benchmarks/bench_places.py [regions]`.

Draws fresh regions (machines evenly spread or in towns, 3 to 25 engineers, busy half to five sixths of the
time), simulates each and compares drives and utilisation with the formulas: distances drawn from the
machines, an even spread over their hull, over their ellipse of two standard deviations, over the square in
which machines were as far apart, over the administrative area, and machines spread round the sites that serve
them. Regions whose drive grows by more than 3 % with each per cent of work are told apart: there any error is
multiplied.
Seconds are CPU seconds of this process.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from spareplan.staffing import simulate_region
from spareplan.staffing.congestion import Congestion, RegionRows, congestion
from spareplan.staffing.places import Place, find_places
from spareplan.staffing.region_travel import place_table
from spareplan.staffing.travel import KM_PER_DEGREE, DistanceTable, left_over_share

SEED, ORDERS, NORTH, EAST = 20_606, 60_000, 30.0, 110.0
GROWTH = 3.0


def region(generator: np.random.Generator, towns: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Machines, sites, the site of each machine, and the area of the square they lie in [km, km²]."""
    area = float(np.exp(generator.uniform(np.log(3e3), np.log(2.5e5))))
    side, count = np.sqrt(area), int(generator.integers(30, 400))
    sites = generator.uniform(0, side, (int(generator.integers(2, 7)), 2))
    if towns:
        which = generator.integers(len(sites), size=count)
        wide = side * generator.uniform(0.02, 0.08)
        return sites[which] + generator.normal(0, wide, (count, 2)), sites, which, area
    points = generator.uniform(0, side, (count, 2))
    return points, sites, ((points[:, None] - sites[None]) ** 2).sum(axis=2).argmin(axis=1), area


def placed(points: np.ndarray, names: list[str], key: str) -> pd.DataFrame:
    """Table of places in degrees."""
    return pd.DataFrame(
        {
            key: names,
            "region_id": "r",
            "latitude": NORTH + points[:, 1] / KM_PER_DEGREE,
            "longitude": EAST + points[:, 0] / (KM_PER_DEGREE * np.cos(np.radians(NORTH))),
        }
    )


def tables(generator: np.random.Generator, towns: bool, most: int, share: float) -> tuple[dict, np.ndarray]:
    """Distance tables by what tells the places, and the machines."""
    points, stores, which, area = region(generator, towns)
    sites = placed(stores, [f"s{i}" for i in range(len(stores))], "site_id")
    units = placed(points, [f"u{i}" for i in range(len(points))], "unit_id")
    units = units.assign(site_id=[f"s{i}" for i in which])
    names, areas = pd.Index(["r"]), pd.Series({"r": area})
    found = find_places(names, units, sites, areas)
    row, place = found.table.iloc[0], found.by_region["r"]
    blind = units.assign(latitude=np.nan, longitude=np.nan)
    out = {"machines": place_table(place, area, most, left_over=share)}
    even = {
        "hull": row["hull_km2"],
        "ellipse": row["ellipse_km2"],
        "as far apart": row["effective_km2"],
        "administrative area": area,
    }
    for name, size in even.items():
        out[name] = place_table(Place("area", place.points, place.posts, 1.0), size, most, left_over=share)
    out["sites"] = place_table(
        find_places(names, blind, sites, areas).by_region["r"], area, most, left_over=share
    )
    return out, place.points


def state(table: DistanceTable, pace: float, rate: float, work: float, engineers: int) -> Congestion:
    """Solve the chain of one region."""
    rows = RegionRows(
        np.array([[rate]]),
        np.array([[work]]),
        np.ones(1),
        np.zeros(1, np.int64),
        pace * table.mean[None],
        pace * table.quantiles[None],
    )
    return congestion(rows, np.array([engineers]))


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    begin, rows = time.process_time(), []
    for number in range(count):
        generator = np.random.default_rng([SEED, number])
        towns = number % 2 == 1
        engineers, work = int(generator.integers(3, 26)), float(generator.uniform(2, 8))
        speed, scv = float(generator.uniform(45, 70)), float(generator.uniform(0.3, 2))
        full, pace = float(generator.uniform(0.5, 0.83)), 1.3 / speed
        share = float(left_over_share(full * engineers, engineers))
        told, points = tables(generator, towns, max(2 * engineers, 16), share)
        best = told["machines"]

        def over(rate: float, best=best, pace=pace, work=work, engineers=engineers, full=full) -> float:
            return float(state(best, pace, rate, work, engineers).utilisation[0]) - full

        rate = float(brentq(over, 1e-9, engineers / work))
        longer, shorter = (state(best, pace, rate * f, work, engineers).drive[0] for f in (1.02, 1 / 1.02))
        orders = pd.DataFrame(
            {"priority": ["P1"], "orders_per_day": [24 * rate], "work_hours": [work], "work_scv": [scv]}
        )
        days = ORDERS / (24 * rate)
        run = simulate_region(
            orders,
            engineers,
            points=points,
            days=days,
            warm_up_days=days / 10,
            seed=number,
            travel_speed=speed,
        )
        calm = np.log(longer / shorter) / (2 * np.log(1.02)) < GROWTH
        for name, table in told.items():
            found = state(table, pace, rate, work, engineers)
            errors = found.drive[0] / run.drive_hours - 1, found.utilisation[0] / run.utilisation - 1
            rows.append(("towns" if towns else "even", calm, name, *errors))
    table = pd.DataFrame(rows, columns=["machines lie", "calm", "told by", "drive", "busy"])
    for calm, part in table.groupby("calm", sort=False):
        print("drives settled" if calm else f"drives grow by more than {GROWTH:g} % per 1 % of work")
        for (lie, name), errors in part.groupby(["machines lie", "told by"], sort=False):
            drive, busy = errors["drive"], errors["busy"]
            print(
                f"  {lie:6s}{name:20s} {len(errors):3d} regions: drive {drive.mean():+6.1%} "
                f"(worst {drive.abs().max():6.1%}), utilisation {busy.mean():+6.1%} "
                f"(worst {busy.abs().max():6.1%})"
            )
    print(f"{time.process_time() - begin:.0f} s CPU")


if __name__ == "__main__":
    main()
