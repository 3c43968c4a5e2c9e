"""spareplan: plan spare parts and the engineers who fit them.

>>> import spareplan as sp
>>> data = sp.read_dataset("data/samples/delivery_pump")  # doctest: +SKIP
>>> plan = sp.make_plan(data)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spareplan._lazy import attach
from spareplan.errors import (
    DataError,
    ExportError,
    FitError,
    InfeasibleError,
    SolverError,
    SpareplanError,
    StoreError,
)

if TYPE_CHECKING:
    from spareplan import forecast, staffing, stocking
    from spareplan.classify import grade_parts
    from spareplan.config import (
        ForecastOptions,
        PlanConfig,
        ReplenishmentOptions,
        StaffingOptions,
        StockingOptions,
        Thresholds,
        read_config,
    )
    from spareplan.export.writers import export_plan
    from spareplan.feedback import apply_corrections, corrections_from, score_plan, score_versions
    from spareplan.forecast.backtest import backtest_demand
    from spareplan.forecast.demand import forecast_demand
    from spareplan.overrides import add_override, list_overrides
    from spareplan.plan import compare_plans, make_plan
    from spareplan.staffing.headcount import size_headcount
    from spareplan.stocking.levels import optimize_levels
    from spareplan.stocking.replenish import plan_replenishment
    from spareplan.stocking.simulation import simulate_levels
    from spareplan.store import PlanStore
    from spareplan.tables.dataset import Dataset
    from spareplan.tables.io import read_dataset
    from spareplan.tables.samples import make_sample

__version__ = "0.1.0"

_HOMES = {
    "list_overrides": "spareplan.overrides",
    "add_override": "spareplan.overrides",
    "apply_corrections": "spareplan.feedback",
    "corrections_from": "spareplan.feedback",
    "score_versions": "spareplan.feedback",
    "forecast": "spareplan.forecast",
    "stocking": "spareplan.stocking",
    "staffing": "spareplan.staffing",
    "Dataset": "spareplan.tables.dataset",
    "read_dataset": "spareplan.tables.io",
    "make_sample": "spareplan.tables.samples",
    "forecast_demand": "spareplan.forecast.demand",
    "backtest_demand": "spareplan.forecast.backtest",
    "grade_parts": "spareplan.classify",
    "Thresholds": "spareplan.config",
    "ForecastOptions": "spareplan.config",
    "StockingOptions": "spareplan.config",
    "ReplenishmentOptions": "spareplan.config",
    "StaffingOptions": "spareplan.config",
    "PlanConfig": "spareplan.config",
    "read_config": "spareplan.config",
    "optimize_levels": "spareplan.stocking.levels",
    "simulate_levels": "spareplan.stocking.simulation",
    "plan_replenishment": "spareplan.stocking.replenish",
    "size_headcount": "spareplan.staffing.headcount",
    "make_plan": "spareplan.plan",
    "compare_plans": "spareplan.plan",
    "export_plan": "spareplan.export.writers",
    "PlanStore": "spareplan.store",
    "score_plan": "spareplan.feedback",
}
__getattr__, __dir__ = attach(__name__, _HOMES)

__all__ = [
    "DataError",
    "Dataset",
    "ExportError",
    "FitError",
    "ForecastOptions",
    "InfeasibleError",
    "PlanConfig",
    "PlanStore",
    "ReplenishmentOptions",
    "SolverError",
    "SpareplanError",
    "StaffingOptions",
    "StockingOptions",
    "StoreError",
    "Thresholds",
    "add_override",
    "apply_corrections",
    "backtest_demand",
    "compare_plans",
    "corrections_from",
    "export_plan",
    "forecast",
    "forecast_demand",
    "grade_parts",
    "list_overrides",
    "make_plan",
    "make_sample",
    "optimize_levels",
    "plan_replenishment",
    "read_config",
    "read_dataset",
    "score_plan",
    "score_versions",
    "simulate_levels",
    "size_headcount",
    "staffing",
    "stocking",
]
