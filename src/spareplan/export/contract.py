"""The columns of an exported plan, with a version: others' macros and interfaces rely on them.

A column may be added (the minor number rises); renaming or dropping one raises the major number.
"""

from __future__ import annotations

from spareplan.language import SHEET_TABLES
from spareplan.tables.catalog import OUTPUT_TABLES

CONTRACT_VERSION = "1.4"

_PART = ("part_id", "part_name")
_SITE = ("site_id", "site_name")
_NAMED = {"part_id": _PART, "site_id": _SITE}
_MOVE = (
    "week",
    *_PART,
    "from_site_id",
    "from_site_name",
    "to_site_id",
    "to_site_name",
    "quantity",
    "model_quantity",
    "kind",
    "value",
    "plan",
    "priority",
    "issued_on",
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
        "model_base_stock",
        "previous_base_stock",
        "issued_base_stock",
        "in_force_from",
        "base_stock_at_least",
        "base_stock_at_most",
        "reorder_point",
        "model_reorder_point",
        "order_quantity",
        "model_order_quantity",
        "on_hand",
        "demand_per_day",
        "ebo",
        "fill_rate",
        "mean_wait_days",
        "in_window",
        "value",
        "planner",
        "decision",
        "part_group",
        "evaluation",
        "reason",
    ),
    "exceptions": ("rank", "kind", *_PART, *_SITE, "region_id", "money", "machine_days", "message", "action"),
    "forecast": (
        *_PART,
        *_SITE,
        "month",
        "mean",
        "model_mean",
        "q0.5",
        "q0.9",
        "q0.95",
        "from_installed_base",
        "from_new_units",
        "from_history",
        "from_planned",
        "from_correction",
        "from_frozen",
        "from_override",
        "method",
        "reason",
    ),
    "engineers": (
        "region_id",
        "month",
        "skill",
        "required",
        "model_required",
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
    "visits": (
        "product_id",
        *_SITE,
        "region_id",
        "month",
        "after_months",
        "visits",
        "failures_ahead",
        "prevented",
        "pieces",
        "reason",
    ),
    "last_buys": (
        *_PART,
        "last_buy_on",
        "covers_until",
        "machines_now",
        "mean",
        "quantile",
        "on_hand",
        "on_order",
        "repaired",
        "quantity",
        "value",
        "risk",
        "warning",
        "reason",
    ),
    "grades": (
        *_PART,
        "lead_time_grade",
        "value_grade",
        "abc",
        "demand_class",
        "tier",
        "model_tier",
        "criticality",
        "model_criticality",
        "planner",
        "model_planner",
        "annual_value",
        "target_fill_rate",
        "model_target_fill_rate",
        "target_wait_days",
        "model_target_wait_days",
        "reason",
    ),
    "overrides": (
        "table",
        "column",
        *_PART,
        *_SITE,
        "region_id",
        "month",
        "model",
        "value",
        "who",
        "when",
        "why",
        "expires_on",
        "status",
        "rows",
        "note",
        "withdrawn_on",
        "withdrawn_by",
    ),
    "service": ("group", "measure", "promised", "achieved", "low", "high", "kept"),
    "assumptions": ("stage", "name", "value", "unit", "origin", "meaning"),
    "left_out": ("what", "reason", "remedy"),
} | {
    # Frames of the head count beside its table, such as engineers_moves.
    sheet: tuple(each for name in OUTPUT_TABLES[table].names for each in _NAMED.get(name, (name,)))
    for sheet, table in SHEET_TABLES.items()
    if table.startswith("Headcount.")
}
# Columns that stand only where the plan has them, as those that begin with model_ do.
OPTIONAL_COLUMNS = frozenset(
    {
        "on_hand",
        "products",
        "issued_on",
        "previous_base_stock",
        "issued_base_stock",
        "in_force_from",
        "base_stock_at_least",
        "base_stock_at_most",
        "decision",
        "part_group",
        "from_correction",
        "from_frozen",
        "from_override",
    }
)
# Sheets about engineers of which a region gets its own rows; they stand only where they have rows.
ENGINEER_SHEETS = (
    "engineers_regions",
    "engineers_moves",
    "engineers_shortages",
    "engineers_inspections",
    "engineers_stock_cures",
    "engineers_repair_cures",
    "engineers_base_cures",
    "engineers_nights",
    "engineers_simulated",
    "engineers_searched",
    "engineers_attained",
    "engineers_towns",
)
# Sheets about engineers that compare regions or concern the national desk.
HQ_ENGINEER_SHEETS = (
    "engineers_alternatives",
    "engineers_marginal",
    "engineers_benchmark",
    "engineers_scale",
    "engineers_shifts",
    "engineers_desk",
)
# What a region gets, in the order of its sheets; the summary stands before them.
REGION_SHEETS = (
    "orders",
    "shipments",
    "levels",
    "exceptions",
    "overrides",
    "forecast",
    "visits",
    "engineers",
    *ENGINEER_SHEETS,
    "assumptions",
)
HQ_SHEETS = (
    "purchasing",
    "orders",
    "shipments",
    "levels",
    "exceptions",
    "overrides",
    "forecast",
    "visits",
    "last_buys",
    "engineers",
    *ENGINEER_SHEETS,
    *HQ_ENGINEER_SHEETS,
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
    "decision",
    "model_planner",
    "model_criticality",
    "skill",
    "lead_time_grade",
    "value_grade",
    "demand_class",
    "criticality",
    "measure",
    *(f"bound_p{k}" for k in range(1, 5)),
)
# The same for columns whose name means something else on other sheets.
CODED_ON_SHEET = {
    "engineers_regions": ("decides",),
    "engineers_moves": ("action",),
    "engineers_nights": ("served", "clock"),
    "engineers_alternatives": ("name",),
    "engineers_shifts": ("place",),
    "engineers_benchmark": ("flag",),
    "engineers_scale": ("sign",),
}
# Columns of several words of our own: "P1 repair, P2 parts", "Mon Tue".
LISTED_CODES = {"engineers_regions": ("cause",), "engineers_shifts": ("days",)}
