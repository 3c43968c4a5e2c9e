"""A small finished plan for tests of the store and the exports; no stage has to run."""

from __future__ import annotations

import pandas as pd

from spareplan.config import PlanConfig
from spareplan.results import (
    Attainment,
    DemandForecast,
    Headcount,
    Orders,
    PartGrades,
    Plan,
    StockLevels,
    assumptions_frame,
)


def small_plan(base_stock: int = 3) -> Plan:
    """Two parts, a Chinese region, a name that looks like a formula."""
    assumed = assumptions_frame(
        [
            {
                "stage": "forecast",
                "name": "levels",
                "value": (0.5, 0.95),
                "unit": "",
                "origin": "default",
                "meaning": "quantile levels",
            }
        ]
    )
    month, week = pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-05")
    demand = pd.DataFrame(
        {
            "part_id": ["00123", "主油缸"],
            "site_id": ["上海", "上海"],
            "month": [month, month],
            "mean": [1.5, 0.25],
            "variance": [2.0, 0.3],
            "vmr": [1.2, 1.1],
            "rate_cv2": [0.05, 0.1],
            "q0.5": [1.0, 0.0],
            "q0.95": [4.0, 1.0],
            "from_installed_base": [1.5, 0.0],
            "from_new_units": [0.0, 0.0],
            "from_history": [0.0, 0.25],
            "from_planned": [0.0, 0.0],
            "method": ["weibull", "history"],
            "reason": ["12 machines", "4 demands"],
        }
    )
    grades = pd.DataFrame(
        {
            "part_id": ["00123", "主油缸"],
            "lead_time_grade": ["long", "short"],
            "value_grade": ["high", "low"],
            "abc": ["A", "C"],
            "demand_class": ["smooth", "lumpy"],
            "tier": [1, 3],
            "criticality": ["vital", "essential"],
            "planner": ["hq", "region"],
            "annual_value": [9e5, 100.0],
            "target_fill_rate": [0.97, 0.9],
            "target_wait_days": [float("nan")] * 2,
            "reason": ["long and dear", "short and cheap"],
        }
    )
    levels = pd.DataFrame(
        {
            "part_id": ["00123", "00123", "主油缸", "主油缸"],
            "site_id": ["HQ", "上海"] * 2,
            "region_id": [None, "华东"] * 2,
            "base_stock": [2, base_stock, 0, 1],
            "reorder_point": [1, base_stock - 1, -1, 0],
            "order_quantity": [1, 1, 1, 1],
            "demand_per_day": [0.05, 0.05, 0.01, 0.01],
            "ebo": [0.1, 0.02, 0.3, 0.01],
            "fill_rate": [0.8, 0.97, 0.0, 0.9],
            "mean_wait_days": [2.0, 0.4, 30.0, 1.0],
            "in_window": [float("nan")] * 4,
            "value": [2e5, base_stock * 1e5, 0.0, 50.0],
            "planner": ["hq", "hq", "region", "region"],
            "evaluation": ["exact"] * 4,
            "reason": ["=SUM(A1:A9)", "keeps 0.97", "nothing needed", "keeps 0.9"],
        }
    )
    orders = pd.DataFrame(
        {
            "week": [week, week],
            "part_id": ["00123", "主油缸"],
            "from_site_id": [None, "HQ"],
            "to_site_id": ["HQ", "上海"],
            "quantity": [2, 1],
            "kind": ["purchase", "replenish"],
            "value": [2e5, 50.0],
            "plan": ["core", "non_core"],
            "priority": [1, 2],
            "reason": ["position 0 <= reorder point 1", "position 0 <= reorder point 0"],
        }
    )
    check = pd.DataFrame(
        {
            "group": ["上海 · 1"],
            "measure": ["fill_rate"],
            "promised": [0.97],
            "achieved": [0.971],
            "low": [0.965],
            "high": [0.977],
            "kept": [True],
        }
    )
    crew = pd.DataFrame(
        {
            "region_id": ["华东"],
            "month": [month],
            "skill": ["senior"],
            "required": [3.0],
            "headcount": [2],
            "gap": [1.0],
            "utilisation": [0.8],
            "hire": [1],
            "train": [0],
            "transfer_in": [0],
            "transfer_out": [0],
            "reason": ["12 orders"],
        }
        | {f"{what}_p{k}": [0.95] for what in ("respond", "resolve") for k in range(1, 5)}
        | {f"bound_p{k}": ["none"] for k in range(1, 5)}
    )
    exceptions = pd.DataFrame(
        {
            "rank": [1],
            "kind": ["shortage"],
            "part_id": ["00123"],
            "site_id": ["上海"],
            "region_id": ["华东"],
            "money": [1e5],
            "machine_days": [12.0],
            "message": ["nothing on hand"],
            "action": ["expedite"],
        }
    )
    inputs = {
        "parts": pd.DataFrame(
            {
                "part_id": ["00123", "主油缸"],
                "name": ["泵", "=1+1"],
                "unit_cost": [1e5, 50.0],
                "supplier": ["S1", None],
                "lead_time_days": [60.0, 20.0],
                "min_order": [1, 1],
                "pack_size": [1, 1],
            }
        ),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "上海"],
                "name": ["总部", "上海站"],
                "region_id": [None, "华东"],
                "parent_id": [None, "HQ"],
                "lead_time_days": [0.0, 3.0],
            }
        ),
        "regions": pd.DataFrame({"region_id": ["华东"], "name": ["East China"]}),
        "stock": pd.DataFrame({"part_id": ["00123"], "site_id": ["上海"], "on_hand": [0]}),
    }
    return Plan(
        demand=DemandForecast(
            demand,
            assumed,
            ("1.75 pieces a month",),
            as_of=pd.Timestamp("2025-12-31"),
            windows=pd.DataFrame(
                {
                    "part_id": ["00123"],
                    "site_id": ["上海"],
                    "days": [30.0],
                    "mean": [1.5],
                    "vmr": [1.2],
                    "rate_cv2": [0.05],
                }
            ),
        ),
        grades=PartGrades(grades, assumed, ("1 part is HQ's",)),
        levels=StockLevels(levels, assumed, ("money 500,050",), cost=500050.0, lower_bound=499000.0),
        check=Attainment(check, assumed, ("kept",)),
        orders=Orders(orders, assumed, ("2 orders",)),
        crew=Headcount(crew, assumed, ("1 engineer missing",)),
        exceptions=exceptions,
        assumptions=assumed,
        left_out=pd.DataFrame(columns=["what", "reason", "remedy"]),
        config=PlanConfig(months=1),
        as_of=pd.Timestamp("2025-12-31"),
        inputs=inputs,
        lines=("Money in base stock: 500,050",),
    )
