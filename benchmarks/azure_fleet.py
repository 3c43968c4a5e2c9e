"""Azure predictive-maintenance sample as a dataset, and the back-test of its four components.

Run with SPAREPLAN_TEST_DATA set: ``python benchmarks/azure_fleet.py``. Prints figures, asserts nothing.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd

from spareplan.forecast.demand import forecast_demand
from spareplan.maths.distributions import cdf
from spareplan.tables.dataset import Dataset

RECORDS = pd.Timestamp("2020-01-01")


def read_azure(folder: Path, by_model: bool = False) -> tuple[Dataset, pd.DataFrame]:
    """Dataset of 100 machines, and all replacements with a column `planned`."""
    maint, failed, machines = (
        pd.read_csv(folder / f"azure_pdm_{name}.csv.gz") for name in ("maint", "failures", "machines")
    )
    maint["datetime"], failed["datetime"] = (
        pd.to_datetime(maint["datetime"]),
        pd.to_datetime(failed["datetime"]),
    )
    failed = failed.rename(columns={"failure": "comp"})
    every = maint.merge(failed.drop_duplicates().assign(failed=True), how="outer")
    every["unit_id"] = every["machineID"].map("M{:03d}".format)
    every = every.merge(machines, on="machineID")
    part = every["comp"] + ("-" + every["model"] if by_model else "")
    replacements = pd.DataFrame(
        {
            "unit_id": every["unit_id"],
            "part_id": part,
            "replaced_on": every["datetime"].dt.normalize(),
            "planned": every["failed"].isna(),
        }
    )
    replacements = replacements.drop_duplicates(["unit_id", "part_id", "replaced_on"])
    born = RECORDS - pd.to_timedelta(machines["age"] * 365.25 + 300, unit="D")
    units = pd.DataFrame(
        {
            "unit_id": machines["machineID"].map("M{:03d}".format),
            "product_id": machines["model"],
            "site_id": "S",
            "commissioned_on": born.dt.normalize(),
        }
    )
    models = sorted(machines["model"].unique())
    names = sorted(part.unique())
    pairs = [(model, name) for model in models for name in names if not by_model or name.endswith(model)]
    frames = {
        "products": pd.DataFrame({"product_id": models, "name": models, "tier": 2}),
        "parts": pd.DataFrame(
            {
                "part_id": names,
                "name": names,
                "unit_cost": 1.0,
                "lead_time_days": 30.0,
                "family": [name[:5] for name in names],
            }
        ),
        "fitment": pd.DataFrame(pairs, columns=["product_id", "part_id"]).assign(quantity=1),
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
        "units": units,
        "replacements": replacements,
    }
    data = Dataset.from_frames(frames)
    # The rows of 2019 are one last replacement per slot, no records: ages start there, failures from 2020.
    regions = data.regions.assign(records_from=RECORDS)
    return dataclasses.replace(data, tables={**data.tables, "regions": regions}), replacements


def score(data: Dataset, replacements: pd.DataFrame, origin: str, days: int) -> pd.DataFrame:
    """Forecast and what happened in the `days` after `origin`, per part."""
    start = pd.Timestamp(origin)
    result = forecast_demand(data, months=int(np.ceil(days / 30)) + 1, as_of=start - pd.Timedelta(days=1))
    table = result.lead_time_demand(float(days)).set_index("part_id")
    months = result.table.groupby("part_id")[["from_installed_base", "from_planned"]].sum()
    share = months["from_installed_base"] / months.sum(axis=1)
    ahead = replacements[
        (replacements["replaced_on"] >= start)
        & (replacements["replaced_on"] < start + pd.Timedelta(days=days))
    ]
    past = replacements[(replacements["replaced_on"] >= RECORDS) & (replacements["replaced_on"] < start)]
    table["failures"] = table["mean"] * share
    table["actual_failures"] = (
        ahead[~ahead["planned"]].groupby("part_id").size().reindex(table.index).fillna(0)
    )
    table["actual"] = ahead.groupby("part_id").size().reindex(table.index).fillna(0)
    span = (start - RECORDS).days
    table["rate_failures"] = (
        past[~past["planned"]].groupby("part_id").size().reindex(table.index).fillna(0) * days / span
    )
    table["rate"] = past.groupby("part_id").size().reindex(table.index).fillna(0) * days / span
    return table


def off(table: pd.DataFrame, forecast: str, actual: str) -> float:
    """Absolute errors over what happened."""
    return float((table[forecast] - table[actual]).abs().sum() / table[actual].sum())


def main() -> None:
    folder = Path(os.environ["SPAREPLAN_TEST_DATA"]) / "bench"
    data, replacements = read_azure(folder)
    print("origin 2020-10-01, 92 days; failures were 39 72 28 41, all replacements of comp2 186")
    print(
        score(data, replacements, "2020-10-01", 92)[
            ["failures", "actual_failures", "rate_failures", "mean", "actual", "rate"]
        ]
        .round(1)
        .to_string()
    )
    pooled, by_model = read_azure(folder, by_model=True)
    random = np.random.default_rng(0)
    for name, (chosen, rows) in {
        "component": (data, replacements),
        "component x model": (pooled, by_model),
    }.items():
        for days, origins in (
            (30, pd.date_range("2020-05-01", periods=8, freq="30D")),
            (91, pd.date_range("2020-04-01", periods=3, freq="91D")),
        ):
            both = pd.concat([score(chosen, rows, str(origin.date()), days) for origin in origins])
            seen, mean, variance = (both[column].to_numpy() for column in ("actual", "mean", "variance"))
            low = cdf(seen - 1, mean, variance)
            place = low + random.random(len(seen)) * (cdf(seen, mean, variance) - low)
            inside = [((place > tail) & (place < 1 - tail)).mean() for tail in (0.1, 0.025)]
            print(
                f"{name}, {days} days, {len(both)} cells: "
                f"failures WAPE {off(both, 'failures', 'actual_failures'):.3f} "
                f"(rate {off(both, 'rate_failures', 'actual_failures'):.3f}), "
                f"all WAPE {off(both, 'mean', 'actual'):.3f} (rate {off(both, 'rate', 'actual'):.3f}), "
                f"bias {mean.sum() / seen.sum() - 1:+.3f}, c80 {inside[0]:.2f}, c95 {inside[1]:.2f}"
            )


if __name__ == "__main__":
    main()
