"""Small datasets for tests: plain frames with the columns of the input tables, checked or not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from spareplan.results import DemandForecast, StockLevels, assumptions_frame

DATES = [
    "month",
    "replaced_on",
    "commissioned_on",
    "retired_on",
    "records_from",
    "due_on",
    "date",
    "expires_on",
    "withdrawn_on",
    "when",
    "last_buy_on",
]
TEXT = [
    "name",
    "family",
    "supplier",
    "source",
    "criticality",
    "superseded_by",
    "market_stage",
    "region_id",
    "parent_id",
    "lateral_pool",
    "from_site_id",
    "to_site_id",
    "site_id",
    "part_id",
    "who",
    "why",
    "kind",
    "table",
    "column",
    "value",
    "unit_id",
    "product_id",
    "order_id",
]
COLUMNS = {
    "parts": "part_id name unit_cost lead_time_days lead_time_sd_days family supplier source criticality "
    "repairable_share repair_days min_order pack_size superseded_by last_buy_on",
    "products": "product_id name tier",
    "fitment": "product_id part_id quantity",
    "regions": "region_id name market_stage records_from",
    "sites": "site_id name region_id parent_id lead_time_days ship_weekday capacity lateral_pool "
    "lateral_days emergency_days transport_cost lateral_cost emergency_cost",
    "units": "unit_id product_id site_id commissioned_on retired_on",
    "replacements": "unit_id part_id replaced_on quantity planned",
    "demand": "part_id site_id month quantity one_off",
    "stock": "part_id site_id on_hand reserved in_repair on_order backorders reorder_point max_stock",
    "open_orders": "order_id part_id from_site_id to_site_id quantity due_on",
    "reservations": "part_id site_id due_on quantity why",
    "targets": "tier target_fill_rate target_wait_days window_days target_in_window",
    "calendar": "region_id date kind",
    "overrides": "table column part_id site_id region_id month value who when why expires_on withdrawn_on "
    "withdrawn_by withdrawn_why",
}
DEFAULTS = {"parts": {"repairable_share": 0.0, "lead_time_sd_days": 0.0, "min_order": 1.0, "pack_size": 1.0}}


def frame(table: str, rows: Any) -> pd.DataFrame:
    """Rows as the checked table would hold them."""
    out = pd.DataFrame(rows)
    for name in COLUMNS[table].split():
        if name not in out:
            out[name] = DEFAULTS.get(table, {}).get(name, np.nan)
        if name in TEXT:
            out[name] = out[name].astype(object)
        if name in DATES:
            out[name] = pd.to_datetime(out[name])
    return out[COLUMNS[table].split()]


def raw_data(**tables: Any) -> SimpleNamespace:
    """Unchecked stand-in for a Dataset: all tables, those not given empty."""
    frames = {name: frame(name, tables.get(name, [])) for name in COLUMNS}
    return SimpleNamespace(
        **frames, tables=frames, given=frozenset(tables), as_of=lambda: pd.Timestamp("2026-06-30")
    )


def forecast(rows: Any, as_of: str = "2026-06-30") -> DemandForecast:
    """A forecast with Poisson months from part_id, site_id, month, mean."""
    table = pd.DataFrame(rows, columns=["part_id", "site_id", "month", "mean"])
    table["month"] = pd.to_datetime(table["month"])
    table["variance"] = table["mean"]
    table["vmr"], table["rate_cv2"] = 1.0, 0.0
    return DemandForecast(table, assumptions_frame([]), as_of=pd.Timestamp(as_of))


def levels(rows: Any) -> StockLevels:
    """Stock levels from part_id, site_id, base_stock and what else is given."""
    table = pd.DataFrame(rows)
    if "reorder_point" not in table:
        table["reorder_point"] = table["base_stock"] - 1
    if "order_quantity" not in table:
        table["order_quantity"] = 1
    if "planner" not in table:
        table["planner"] = "hq"
    return StockLevels(table, assumptions_frame([]))
