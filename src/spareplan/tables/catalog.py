"""The catalog: every input and output table with key, dtype, unit, bounds, meaning and headers.

The facts stand in `catalog_tables.csv`, `catalog_inputs.csv` and `catalog_outputs.csv` beside this module: a
row per table or column, so that a new column is a new line there.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib import resources

from spareplan.tables.schema import Column, Table, column_from, table_from


def _read(name: str) -> list[dict[str, str]]:
    text = resources.files("spareplan.tables").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _tables(kind: str) -> dict[str, Table]:
    columns: dict[str, list[Column]] = {}
    for row in _read(f"catalog_{kind}s.csv"):
        columns.setdefault(row["table"], []).append(column_from(row))
    return {
        row["table"]: table_from(row, columns[row["table"]])
        for row in _read("catalog_tables.csv")
        if row["kind"] == kind
    }


INPUT_TABLES: Mapping[str, Table] = _tables("input")
OUTPUT_TABLES: Mapping[str, Table] = _tables("output")
PLAN_TABLES: Mapping[str, Table] = {table.plan_name: table for table in OUTPUT_TABLES.values()}

FLEET_TABLES = ("units", "fitment", "products", "replacements")
RECORDS = (
    ("replacements", "replaced_on"),
    ("demand", "month"),
    ("work_orders", "opened_at"),
    ("meter_readings", "read_on"),
)
"""What tells when the records end; `Dataset.as_of` takes the month of the latest."""
