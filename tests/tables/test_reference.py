"""The table reference in the documentation is what the catalog says today."""

from __future__ import annotations

from pathlib import Path

from spareplan.tables.catalog import INPUT_TABLES, OUTPUT_TABLES
from spareplan.tables.reference import table_reference

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def test_the_page_in_the_documentation_is_up_to_date() -> None:
    stored = PAGE.read_text(encoding="utf-8")
    assert stored.strip() == table_reference().strip(), (
        "run python -m spareplan.tables.reference docs/tables.md"
    )


def test_every_column_has_its_line_with_both_headers() -> None:
    cells = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in table_reference().splitlines()]
    lines = {(cell[0], *cell[-1].split(", ")[:2]) for cell in cells if len(cell) == 7}
    for table in (*INPUT_TABLES.values(), *OUTPUT_TABLES.values()):
        for column in table.columns:
            assert (column.name, column.english, column.chinese[0]) in lines, f"{table.name}.{column.name}"
