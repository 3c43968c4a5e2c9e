"""Table reference in Markdown: ``python -m spareplan.tables.reference docs/tables.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from spareplan.tables.catalog import INPUT_TABLES, OUTPUT_TABLES
from spareplan.tables.schema import Column, Table

HEAD = """# Tables

Made from the catalog; do not edit. **Bold** columns are the key of a table. *Required* columns must be there
and filled in every row; for others the default stands in an empty cell, or nothing. Every header below is
understood in input, whatever its case, width or spacing; an export writes the first of its language.
"""


def table_reference() -> str:
    """Write the reference of all tables.

    Returns
    -------
    str
        Markdown: a section per table, a line per column with dtype, unit, bounds, default and headers.
    """
    return "\n".join(
        [
            HEAD,
            "## Input tables\n",
            *_sections(INPUT_TABLES.values()),
            "## Result tables\n",
            *_sections(OUTPUT_TABLES.values()),
        ]
    )


def _sections(tables: Iterable[Table]) -> list[str]:
    lines = []
    for table in tables:
        lines += [
            f"### {table.name} · {table.chinese[0]}\n",
            f"{table.meaning[0].upper()}{table.meaning[1:]}.\n",
        ]
        if len(table.chinese) > 1:
            lines += [f"Also read as: {', '.join(table.chinese[1:])}.\n"]
        lines += [
            "| column | type | unit | allowed | default | meaning | headers |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_line(column) for column in table.columns]
        lines += [""]
    return lines


def _line(column: Column) -> str:
    name = f"**{column.name}**" if column.key else column.name
    default = (
        "*required*"
        if column.required
        else "*column required*"
        if column.required_column
        else _default(column)
    )
    headers = ", ".join([column.english, *column.chinese])
    cells = [name, column.dtype, column.unit, _allowed(column), default, column.meaning, headers]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _allowed(column: Column) -> str:
    if column.values:
        return ", ".join(column.values)
    if column.references:
        return f"an id of {column.references[0]}"
    return column.bounds


def _default(column: Column) -> str:
    if column.default is None:
        return ""
    return f"{column.default:g}" if isinstance(column.default, float) else str(column.default).lower()


def main(arguments: list[str]) -> None:
    """Write the reference to the file that is named, or to the screen.

    Parameters
    ----------
    arguments : list of str
        At most one path.
    """
    if arguments:
        Path(arguments[0]).write_text(table_reference(), encoding="utf-8")
    else:
        print(table_reference())


if __name__ == "__main__":
    main(sys.argv[1:])
