"""Sheets of a workbook -> tables as given, not yet checked; rows keep Excel's own number."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.tables.cells import fold
from spareplan.tables.raw import RawTable, header_words, table_named, unreadable

TITLE_ROWS = 10
_ERROR_CELL = re.compile(rb'<c\b([^>]*\bt="e"[^>]*)>.*?<v>([^<]*)</v>', re.S)
_CELL_NAME = re.compile(rb'\br="([A-Z]+)(\d+)"')


def read_workbook(path: Path) -> Iterator[tuple[str, RawTable | None]]:
    """Read the sheets of a workbook.

    Parameters
    ----------
    path : Path
        .xlsx, .xlsm or .xls.

    Yields
    ------
    sheet : str
    table : RawTable or None
        None for a sheet that is no table of a dataset.

    Raises
    ------
    DataError
        The file is no workbook, or a sheet has no header.
    """
    import python_calamine

    try:
        workbook = python_calamine.load_workbook(str(path))
    except (python_calamine.CalamineError, OSError) as error:
        raise DataError(
            [
                Problem(
                    path.name,
                    0,
                    "",
                    str(path),
                    f"is no readable workbook ({error})",
                    "save it as .xlsx, without a password",
                )
            ]
        ) from error
    package = _WorkbookPackage(path)
    for sheet_name in workbook.sheet_names:
        name = table_named(sheet_name)
        if name is None:
            yield sheet_name, None
            continue
        sheet = workbook.get_sheet_by_name(sheet_name)
        cells = sheet.to_python(skip_empty_area=False)
        _fill_merged(cells, getattr(sheet, "merged_cell_ranges", None) or [])
        for row, column, text in package.errors(sheet_name):
            if row < len(cells) and column < len(cells[row]):
                cells[row][column] = text
        try:
            yield sheet_name, _sheet_table(cells, name, package.date_system)
        except DataError as error:
            yield sheet_name, unreadable(name, error)


def _sheet_table(cells: list[list[Any]], name: str, date_system: int) -> RawTable:
    filled = [at for at, row in enumerate(cells) if any(str(cell).strip() for cell in row)]
    if not filled:
        raise DataError(
            [
                Problem(
                    name,
                    0,
                    "",
                    "",
                    "is an empty sheet: there is no header",
                    "write the column names into row 1",
                )
            ]
        )
    top = _header_row(cells, filled, name)
    headers = [str(cell) for cell in cells[top]]
    body = cells[top + 1 : filled[-1] + 1]
    columns = [
        pd.Series([None if row[at] == "" else row[at] for row in body], dtype=object)
        for at in range(len(headers))
    ]
    notes = [f"the header stands in row {top + 1}"] if top else []
    return RawTable(name, headers, columns, np.arange(top + 2, top + 2 + len(body)), date_system, notes=notes)


def _header_row(cells: list[list[Any]], filled: list[int], name: str) -> int:
    """Row that holds the most headers of the table; titles may stand above it."""
    known = header_words(name)
    return max(filled[:TITLE_ROWS], key=lambda at: sum(fold(str(cell)) in known for cell in cells[at]))


def _fill_merged(cells: list[list[Any]], ranges: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """A merged cell means its value for all rows and columns it covers."""
    for (top, left), (bottom, right) in ranges:
        if top < len(cells) and left < len(cells[top]):
            value = cells[top][left]
            for row in cells[top : bottom + 1]:
                for column in range(left, min(right + 1, len(row))):
                    row[column] = value


class _WorkbookPackage:
    """What a workbook file says beside its values: its date system, and cells that show an error."""

    def __init__(self, path: Path) -> None:
        self.date_system = 1900
        self._parts: dict[str, str] = {}
        self._path = path
        if not zipfile.is_zipfile(path):
            return  # .xls of old: no package to look into
        with zipfile.ZipFile(path) as package:
            if "xl/workbook.xml" not in package.namelist():
                return
            root = ElementTree.fromstring(package.read("xl/workbook.xml"))
            links = ElementTree.fromstring(package.read("xl/_rels/workbook.xml.rels"))
        targets = {link.get("Id"): link.get("Target", "") for link in links}
        for element in root.iter():
            tag = element.tag.rsplit("}", 1)[-1]
            if tag == "workbookPr" and element.get("date1904") in ("1", "true"):
                self.date_system = 1904
            if tag == "sheet":
                link = next((value for key, value in element.attrib.items() if key.endswith("}id")), None)
                target = targets.get(link, "").lstrip("/")
                self._parts[element.get("name", "")] = target if target.startswith("xl/") else f"xl/{target}"

    def errors(self, sheet: str) -> list[tuple[int, int, str]]:
        """Row, column (from 0) and text of cells such as #N/A, which the reader gives as empty."""
        part = self._parts.get(sheet)
        if part is None:
            return []
        with zipfile.ZipFile(self._path) as package:
            found = _ERROR_CELL.findall(package.read(part)) if part in package.namelist() else []
        places = [(_CELL_NAME.search(cell), text) for cell, text in found]
        return [
            (int(place[2]) - 1, _column_number(place[1].decode()), text.decode())
            for place, text in places
            if place is not None
        ]


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
