"""Simulated fleets with known lives, as datasets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.tables.dataset import Dataset

START, TODAY = pd.Timestamp("2022-01-01"), pd.Timestamp("2025-12-31")


def make_fleet(
    seed=0,
    machines=60,
    parts=None,
    quantity=1,
    records_from=START,
    first_sale="2018-01-01",
    until="2027-01-01",
    named=True,
    planned_age=None,
    hours=None,
    **tables,
):
    """Machines with parts of known (shape, scale in days or hours), replaced until `until`.

    Returns the dataset and all replacements, those after TODAY included.
    """
    rng = np.random.default_rng(seed)
    parts = parts or {"P1": (2.5, 500.0)}
    sold = pd.to_datetime(first_sale) + pd.to_timedelta(rng.integers(0, 2500, machines), unit="D")
    units = pd.DataFrame(
        {
            "unit_id": [f"U{i:04d}" for i in range(machines)],
            "product_id": "M",
            "site_id": np.where(np.arange(machines) % 3 == 0, "S1", "S2"),
            "commissioned_on": sold,
        }
    )
    per_day = (hours or 24.0) / 24.0 if hours is None else hours
    rows = []
    end = pd.Timestamp(until)
    for part, (shape, scale) in parts.items():
        for unit, born in zip(units["unit_id"], units["commissioned_on"]):
            for position in range(quantity):
                when = born
                while True:
                    life = min(scale * rng.weibull(shape) / (per_day if hours else 1.0), 1e5)
                    planned = planned_age is not None and life > planned_age
                    when = when + pd.Timedelta(days=min(max(1.0, planned_age if planned else life), 36_500.0))
                    if when >= end:
                        break
                    rows.append(
                        (unit, part, when.normalize(), 1, str(position + 1) if named else None, planned)
                    )
    columns = ["unit_id", "part_id", "replaced_on", "quantity", "position", "planned"]
    every = pd.DataFrame(rows, columns=columns)
    known = every[(every["replaced_on"] >= records_from) & (every["replaced_on"] <= TODAY)]
    frames = {
        "products": pd.DataFrame({"product_id": ["M"], "name": ["Machine"], "tier": [2]}),
        "parts": pd.DataFrame(
            {"part_id": list(parts), "name": list(parts), "unit_cost": 10.0, "lead_time_days": 30.0}
        ),
        "fitment": pd.DataFrame({"product_id": "M", "part_id": list(parts), "quantity": quantity}),
        "regions": pd.DataFrame({"region_id": ["R"], "name": ["Region"], "records_from": [records_from]}),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "S1", "S2"],
                "name": ["hq", "one", "two"],
                "region_id": [None, "R", "R"],
                "parent_id": [None, "HQ", "HQ"],
                "lead_time_days": [0.0, 5.0, 5.0],
            }
        ),
        "units": units,
        "replacements": known,
    }
    if hours:
        months = pd.date_range("2018-01-01", "2025-12-01", freq="MS")
        frames["usage"] = pd.DataFrame(
            {
                "product_id": "M",
                "region_id": "R",
                "month": months,
                "hours_per_unit": hours * months.days_in_month,
            }
        )
    frames |= tables
    return Dataset.from_frames({name: table for name, table in frames.items() if table is not None}), every
