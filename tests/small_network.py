"""A network small enough to plan in a moment: headquarters, two regions, four parts, two years of demand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import spareplan as sp

LAST = pd.Timestamp("2026-05-31")
CONFIG = sp.PlanConfig(months=4, years=1, weeks=10, seed=3)


def frames(last: pd.Timestamp = LAST) -> dict[str, pd.DataFrame]:
    """Tables of the dataset, records until a last day."""
    random = np.random.default_rng(11)
    months = pd.date_range("2024-01-01", "2026-08-01", freq="MS")
    rows = [
        (part, site, month, float(random.poisson(mean)))
        for part, site, mean in (
            ("A-1", "东站", 3.0), ("A-1", "西站", 1.5), ("B-2", "东站", 0.6), ("B-2", "西站", 2.0),
            ("C-3", "东站", 5.0), ("C-3", "西站", 0.3),
        )
        for month in months
    ]  # fmt: skip
    demand = pd.DataFrame(rows, columns=["part_id", "site_id", "month", "quantity"])
    return {
        "parts": pd.DataFrame(
            {
                "part_id": ["A-1", "B-2", "C-3", "C-0"],
                "name": ["主油缸", "泵", "filter", "old filter"],
                "unit_cost": [900.0, 400.0, 20.0, 20.0],
                "lead_time_days": [45.0, 20.0, 10.0, 10.0],
                "superseded_by": [None, None, None, "C-3"],
                "criticality": ["vital", "essential", "desirable", "desirable"],
            }
        ),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "东站", "西站"],
                "name": ["总部", "东站", "西站"],
                "region_id": [None, "华东", "西南"],
                "parent_id": [None, "HQ", "HQ"],
                "lead_time_days": [0.0, 2.0, 5.0],
                "emergency_days": [np.nan, 1.0, 1.0],
            }
        ),
        "regions": pd.DataFrame({"region_id": ["华东", "西南"], "name": ["East", "Southwest"]}),
        "demand": demand[demand["month"] <= last].reset_index(drop=True),
        "stock": pd.DataFrame(
            {
                "part_id": ["A-1", "A-1", "B-2", "C-3"],
                "site_id": ["HQ", "东站", "西站", "东站"],
                "on_hand": [4, 1, 2, 3],
            }
        ),
    }


def network(last: pd.Timestamp = LAST, **tables: pd.DataFrame) -> sp.Dataset:
    """The dataset, some tables exchanged or added."""
    return sp.Dataset.from_frames(frames(last) | tables)


def override(table: str = "demand", column: str = "mean", value: object = 9, **more: Any) -> dict[str, Any]:
    """One override of the planner 李敏."""
    return {
        "table": table,
        "column": column,
        "value": str(value),
        "who": "李敏",
        "when": "2026-05-20",
        "why": "隧道开工",
    } | more
