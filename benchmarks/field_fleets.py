"""Field data from outside the project as datasets, each with the origins at which it is tested.

Paths are relative to the folder that SPAREPLAN_TEST_DATA names; its README says where each file comes from.
Nothing of it is copied.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from spareplan.tables.dataset import Dataset

AZURE_RECORDS = pd.Timestamp("2020-01-01")
FREEZE = pd.Timestamp("2020-12-31")
SEATS_PER_ENGINE = 16
# How many grids a locomotive carries is not said; several of them fail in turn.
GRIDS_PER_LOCOMOTIVE = 4
# Unit of the logarithm of use of Product 2 is not said either; any number serves.
PRODUCT2_HOURS_PER_WEEK = 40.0


class FieldFleet(NamedTuple):
    """One fleet with the tests that suit its length.

    Parameters
    ----------
    data : Dataset
    origins : DatetimeIndex
        Last days that are known.
    days : int
        Length of each test. [days]
    what : str
        What the fleet is, and what had to be assumed.
    """

    data: Dataset
    origins: pd.DatetimeIndex
    days: int
    what: str


def data_folder() -> Path:
    """Folder of the outside data."""
    return Path(os.environ["SPAREPLAN_TEST_DATA"])


def _dataset(
    products: list[str],
    parts: pd.DataFrame,
    fitment: pd.DataFrame,
    units: pd.DataFrame,
    replacements: pd.DataFrame,
    records_from: pd.Timestamp,
    **more: pd.DataFrame,
) -> Dataset:
    """One region with one store; the rest as given."""
    frames = {
        "products": pd.DataFrame({"product_id": products, "name": products, "tier": 2}),
        "parts": parts.assign(name=parts["part_id"], unit_cost=1.0, lead_time_days=30.0),
        "fitment": fitment,
        "regions": pd.DataFrame({"region_id": ["R"], "name": ["R"]}),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "S"],
                "name": ["HQ", "S"],
                "region_id": [None, "R"],
                "parent_id": [None, "HQ"],
                "lead_time_days": [0.0, 1.0],
            }
        ),
        "units": units.assign(site_id="S"),
        "replacements": replacements,
        **more,
    }
    data = Dataset.from_frames(frames)
    # Set afterwards: a last replacement before the records begins an age, which the check takes for an error.
    regions = data.regions.assign(records_from=records_from)
    return dataclasses.replace(data, tables={**data.tables, "regions": regions})


def azure(folder: Path, by_model: bool = False) -> Dataset:
    """100 machines of 4 models with 4 components; failures are known from 2020 on.

    The 400 rows of 2019 are one last replacement per slot: ages start there. A replacement without a failure
    is planned. `by_model` makes a part of every pair of component and model, kin by component.
    """
    maint, failed, machines = (
        pd.read_csv(folder / "bench" / f"azure_pdm_{name}.csv.gz")
        for name in ("maint", "failures", "machines")
    )
    maint["datetime"] = pd.to_datetime(maint["datetime"])
    failed["datetime"] = pd.to_datetime(failed["datetime"])
    failed = failed.rename(columns={"failure": "comp"}).drop_duplicates().assign(failed=True)
    every = maint.merge(failed, how="outer").merge(machines, on="machineID")
    every["unit_id"] = every["machineID"].map("M{:03d}".format)
    every["part_id"] = every["comp"] + ("-" + every["model"] if by_model else "")
    every["replaced_on"] = every["datetime"].dt.normalize()
    every["planned"] = every["failed"].isna()
    every = every.sort_values(["unit_id", "part_id", "replaced_on", "planned"], ignore_index=True)
    rows = every.drop_duplicates(["unit_id", "part_id", "replaced_on"])
    born = AZURE_RECORDS - pd.to_timedelta(machines["age"] * 365.25 + 300, unit="D")
    units = pd.DataFrame(
        {
            "unit_id": machines["machineID"].map("M{:03d}".format),
            "product_id": machines["model"],
            "commissioned_on": born.dt.normalize(),
        }
    )
    pairs = every[["model", "comp"]].drop_duplicates().sort_values(["model", "comp"])
    pairs["part_id"] = pairs["comp"] + ("-" + pairs["model"] if by_model else "")
    parts = pairs.drop_duplicates("part_id").sort_values("part_id")
    return _dataset(
        sorted(machines["model"].unique()),
        pd.DataFrame({"part_id": parts["part_id"], "family": parts["comp"]}),
        pd.DataFrame({"product_id": pairs["model"], "part_id": pairs["part_id"], "quantity": 1}),
        units,
        rows[["unit_id", "part_id", "replaced_on", "planned"]],
        AZURE_RECORDS,
    )


def valve_seats(folder: Path) -> Dataset:
    """41 engines with 16 valve seats each, positions unknown; all seen from new to one common day."""
    rows = pd.read_csv(folder / "bench" / "reliability" / "valveseat.csv")
    end = rows[rows["event"] == "end"].set_index("engine")["days"]
    begin = FREEZE - pd.to_timedelta(end, unit="D")
    events = rows[rows["event"] == "replacement"]
    when = begin[events["engine"]].array + pd.to_timedelta(events["days"], unit="D").array
    events = events.assign(replaced_on=when).groupby(["engine", "replaced_on"], as_index=False).size()
    units = pd.DataFrame({"unit_id": begin.index, "product_id": "engine", "commissioned_on": begin.array})
    return _dataset(
        ["engine"],
        pd.DataFrame({"part_id": ["seat"]}),
        pd.DataFrame({"product_id": ["engine"], "part_id": ["seat"], "quantity": [SEATS_PER_ENGINE]}),
        units,
        events.rename(columns={"engine": "unit_id", "size": "quantity"}).assign(part_id="seat"),
        begin.min(),
    )


def braking_grids(folder: Path) -> Dataset:
    """33 locomotives with braking grids of two batches, a part each; seen from new to one common day."""
    rows = pd.read_csv(folder / "bench" / "reliability" / "rsurvival_braking.csv")
    rows["unit_id"] = "L" + rows["locomotive"].astype(str)
    rows["part_id"] = "grid-" + rows["batch"].astype(str)
    last = rows.groupby(["unit_id", "part_id"])["day2"].max().reset_index()
    begin = FREEZE - pd.to_timedelta(last["day2"], unit="D")
    units = last.assign(product_id="with " + last["part_id"], commissioned_on=begin.array)
    events = rows[rows["status"] == 1].merge(units[["unit_id", "commissioned_on"]], on="unit_id")
    events["replaced_on"] = events["commissioned_on"] + pd.to_timedelta(events["day2"], unit="D")
    products = units[["product_id", "part_id"]].drop_duplicates()
    events = events.groupby(["unit_id", "part_id", "replaced_on"], as_index=False).size()
    return _dataset(
        sorted(products["product_id"]),
        pd.DataFrame({"part_id": sorted(products["part_id"]), "family": "grids"}),
        products.assign(quantity=GRIDS_PER_LOCOMOTIVE),
        units[["unit_id", "product_id", "commissioned_on"]],
        events.rename(columns={"size": "quantity"}),
        begin.min(),
    )


def product2(folder: Path, seed: int = 0, metered: bool = True) -> Dataset:
    """1,800 units with 69 failures and the use of each unit by week, as meter readings.

    The file counts weeks from each unit's start. Survivors were all seen to one day, so their start follows;
    a failed unit gets the start of a random survivor that was in service for longer. A failed unit leaves.
    """
    units = pd.read_csv(folder / "bench" / "reliability" / "spreda_prod2_units.csv")
    units = units.rename(columns={"failure.time": "weeks"}).sort_values("id", ignore_index=True)
    failed = units["delta"] == 1
    spans = np.sort(units.loc[~failed, "weeks"].to_numpy())
    first = np.searchsorted(spans, units["weeks"].to_numpy())
    draw = first + (np.random.default_rng(seed).random(len(units)) * (len(spans) - first)).astype(int)
    span = np.where(failed, spans[np.minimum(draw, len(spans) - 1)], units["weeks"])
    begin = (FREEZE - pd.to_timedelta(span * 7, unit="D")).normalize()
    ended = begin + pd.to_timedelta(np.ceil(units["weeks"] * 7), unit="D")
    units = units.assign(unit_id=units["id"].map("U{:04d}".format), product_id="P2", commissioned_on=begin)
    units["retired_on"] = pd.Series(ended).where(failed)
    use = pd.read_parquet(folder / "bench" / "reliability" / "spreda_prod2_usage.parquet")
    use = use.sort_values(["id", "time"], ignore_index=True)
    use["hours"] = (PRODUCT2_HOURS_PER_WEEK * np.exp(use["x1"])).groupby(use["id"]).cumsum()
    use = use.merge(units[["id", "unit_id", "commissioned_on", "weeks"]], on="id")
    use = use[(use["time"] % 4 == 3) & (use["time"] + 1 <= use["weeks"])]
    use["read_on"] = use["commissioned_on"] + pd.to_timedelta((use["time"] + 1) * 7, unit="D")
    replaced = units[failed].assign(part_id="part", replaced_on=ended[failed])
    more = {"meter_readings": use[["unit_id", "read_on", "hours"]]} if metered else {}
    return _dataset(
        ["P2"],
        pd.DataFrame({"part_id": ["part"]}),
        pd.DataFrame({"product_id": ["P2"], "part_id": ["part"], "quantity": [1]}),
        units[["unit_id", "product_id", "commissioned_on", "retired_on"]],
        replaced[["unit_id", "part_id", "replaced_on"]],
        begin.min(),
        **more,
    )


def vehicles(folder: Path, impute: bool = True) -> Dataset:
    """10,684 vehicles with 54 engine types as parts; repairs are reported days to weeks late.

    The registration is known for 1,544 of them: all that failed, and some more. `impute` gives the others
    their production date and a delay drawn from the known ones; else they start on the production date.
    """
    rows = pd.read_parquet(folder / "bench" / "reliability" / "weibulltools_field_data.parquet")
    rows = rows.sort_values("vin", ignore_index=True)
    dates = {
        name: pd.to_datetime(rows[f"{name}_date"])
        for name in ("production", "registration", "repair", "report")
    }
    begin = dates["registration"].fillna(dates["production"])
    if impute:
        begin = _imputed(dates["production"], dates["registration"])
    # A machine drawn to start after the last day of the file is one that is still on its way.
    begin = begin.clip(upper=dates["report"].max())
    units = pd.DataFrame(
        {
            "unit_id": rows["vin"].map("V{:06.0f}".format),
            "product_id": rows["engine_type"],
            "built_on": dates["production"],
            "commissioned_on": begin,
        }
    )
    failed = (rows["status"] == 1).to_numpy()
    replaced = pd.DataFrame(
        {
            "unit_id": units["unit_id"][failed],
            "part_id": rows["engine_type"][failed],
            "replaced_on": dates["repair"][failed],
            "reported_on": dates["report"][failed],
        }
    )
    # An engine sits in cars of several brands; its kin are those of the brand that has most of it.
    engines = rows.groupby("engine_type")["brand"].agg(lambda names: names.mode().iloc[0]).sort_index()
    return _dataset(
        sorted(engines.index),
        pd.DataFrame({"part_id": engines.index, "family": engines.array}),
        pd.DataFrame({"product_id": engines.index, "part_id": engines.index, "quantity": 1}),
        units,
        replaced,
        dates["production"].min(),
    )


def _imputed(produced: pd.Series, registered: pd.Series, seed: int = 0) -> pd.Series:
    """Start of service: the registration, else the production plus a known delay drawn with a seed."""
    delay = (registered - produced).dt.days.dropna().to_numpy()
    drawn = np.random.default_rng(seed).choice(np.sort(delay), len(produced))
    return registered.fillna(produced + pd.to_timedelta(drawn, unit="D"))


def back(end: str | pd.Timestamp, number: int, days: int) -> pd.DatetimeIndex:
    """Origins `days` apart, the last one `days` before `end`; earliest first."""
    return pd.DatetimeIndex(
        [pd.Timestamp(end) - pd.Timedelta(days=days * step) for step in range(number, 0, -1)]
    )


def field_fleets(folder: Path) -> dict[str, FieldFleet]:
    """Every fleet with its tests.

    Parameters
    ----------
    folder : Path
        What SPAREPLAN_TEST_DATA names.

    Returns
    -------
    dict of str to FieldFleet
    """
    by_component, by_model = azure(folder), azure(folder, by_model=True)
    short, long = (
        pd.DatetimeIndex(pd.date_range(first, periods=number, freq=f"{days}D") - pd.Timedelta(days=1))
        for first, number, days in (("2020-05-01", 8, 30), ("2020-04-01", 3, 91))
    )
    return {
        "azure, 30 days": FieldFleet(by_component, short, 30, "4 components of 100 machines"),
        "azure, 91 days": FieldFleet(by_component, long, 91, "4 components of 100 machines"),
        "azure by model, 30 days": FieldFleet(by_model, short, 30, "4 components x 4 models"),
        "azure by model, 91 days": FieldFleet(by_model, long, 91, "4 components x 4 models"),
        "valve seats": FieldFleet(valve_seats(folder), back(FREEZE, 5, 100), 100, "16 seats, 41 engines"),
        "braking grids": FieldFleet(braking_grids(folder), back(FREEZE, 4, 100), 100, "grids of 2 batches"),
        "product 2": FieldFleet(product2(folder), back(FREEZE, 4, 60), 60, "1,800 units with own use"),
        "vehicles": FieldFleet(
            vehicles(folder), back("2015-12-31", 4, 90), 90, "54 engine types, late reports, start imputed"
        ),
    }
