"""The columns of an exported plan, with a version: others' macros and interfaces rely on them.

A column may be added (the minor number rises); renaming or dropping one raises the major number.
"""

from __future__ import annotations

CONTRACT_VERSION = "1.0"

_PART = ("part_id", "part_name")
_SITE = ("site_id", "site_name")
_MOVE = (
    "week",
    *_PART,
    "from_site_id",
    "from_site_name",
    "to_site_id",
    "to_site_name",
    "quantity",
    "kind",
    "value",
    "plan",
    "priority",
    "reason",
)

# Sheet (or file) to its columns, in order; "q0.9" and the like appear where the plan has them.
SHEETS: dict[str, tuple[str, ...]] = {
    "orders": _MOVE,
    "shipments": _MOVE,
    "purchasing": (
        "week",
        "supplier",
        *_PART,
        "quantity",
        "unit_cost",
        "value",
        "lead_time_days",
        "arrives_on",
        "products",
        "reason",
    ),
    "levels": (
        *_PART,
        *_SITE,
        "region_id",
        "base_stock",
        "reorder_point",
        "order_quantity",
        "on_hand",
        "demand_per_day",
        "ebo",
        "fill_rate",
        "mean_wait_days",
        "in_window",
        "value",
        "planner",
        "evaluation",
        "reason",
    ),
    "exceptions": ("rank", "kind", *_PART, *_SITE, "region_id", "money", "machine_days", "message", "action"),
    "forecast": (
        *_PART,
        *_SITE,
        "month",
        "mean",
        "q0.5",
        "q0.9",
        "q0.95",
        "from_installed_base",
        "from_new_units",
        "from_history",
        "from_planned",
        "method",
        "reason",
    ),
    "engineers": (
        "region_id",
        "month",
        "skill",
        "required",
        "headcount",
        "gap",
        "utilisation",
        "hire",
        "train",
        "transfer_in",
        "transfer_out",
        *(f"{what}_p{k}" for what in ("respond", "resolve", "bound") for k in range(1, 5)),
        "reason",
    ),
    "grades": (
        *_PART,
        "lead_time_grade",
        "value_grade",
        "abc",
        "demand_class",
        "tier",
        "criticality",
        "planner",
        "annual_value",
        "target_fill_rate",
        "target_wait_days",
        "reason",
    ),
    "service": ("group", "measure", "promised", "achieved", "low", "high", "kept"),
    "assumptions": ("stage", "name", "value", "unit", "origin", "meaning"),
    "left_out": ("what", "reason", "remedy"),
}
# What a region gets, in the order of its sheets; the summary stands before them.
REGION_SHEETS = ("orders", "shipments", "levels", "exceptions", "forecast", "engineers", "assumptions")
HQ_SHEETS = (
    "purchasing",
    "orders",
    "shipments",
    "levels",
    "exceptions",
    "forecast",
    "engineers",
    "grades",
    "service",
    "assumptions",
    "left_out",
)
# Columns whose values are words of our own; exports in Chinese translate them.
CODED_COLUMNS = (
    "kind",
    "plan",
    "planner",
    "skill",
    "lead_time_grade",
    "value_grade",
    "demand_class",
    "criticality",
    "measure",
    *(f"bound_p{k}" for k in range(1, 5)),
)
