"""A workbook in the house's looks: frozen headers, filters, widths that fit, what planners changed marked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from spareplan.errors import ExportError
from spareplan.export.contract import CODED_COLUMNS, CODED_ON_SHEET, CONTRACT_VERSION, LISTED_CODES
from spareplan.export.regional import HQ, RegionalPlan
from spareplan.language import SHEET_TABLES, UnknownWordError, code_word, header, word
from spareplan.results import Plan
from spareplan.tables.catalog import INPUT_TABLES, OUTPUT_TABLES

SHEET_ROWS = 1_048_575
WIDEST = 60
SHOWN_EXCEPTIONS = 10
NUMBERS = {
    "money": "#,##0",
    "share": "0.0%",
    "count": "#,##0",
    "tenths": "#,##0.0",
    "hundredths": "#,##0.00",
    "number": "#,##0.000",
}
# Units of which nobody reads a thousandth.
DECIMALS = dict.fromkeys(("hours", "orders", "orders/year", "machines", "visits"), "tenths")
DECIMALS |= dict.fromkeys(("people", "person-months"), "hundredths") | {"km²": "count"}
LETTERS_PER_DIGIT = 1.4
SHORT_TITLE = 10
PLACES = {"tenths": 1, "hundredths": 2}
BLUE, GREY, LIGHT, MARKED = "#1F4E79", "#595959", "#EAF1F8", "#FFF2CC"


def spoken(sheet: str, frame: pd.DataFrame, language: str) -> pd.DataFrame:
    """Headers and coded values in the reader's language."""
    out = frame.copy()
    for column in out.columns.intersection(list(CODED_COLUMNS)):
        codes = out[column].dropna().unique()
        out[column] = out[column].map({code: word(str(code), language) for code in codes})
    for column in out.columns.intersection(list(CODED_ON_SHEET.get(sheet, ()))):
        codes = out[column].dropna().unique()
        out[column] = out[column].map({code: code_word(sheet, column, str(code), language) for code in codes})
    for column in out.columns.intersection(list(LISTED_CODES.get(sheet, ()))) if language != "en" else ():
        out[column] = out[column].map(lambda text: _each_word(text, language), na_action="ignore")
    months = set(out.columns[out.columns.str.fullmatch(r"\d{4}-\d{2}")])
    spoken = {column: header(sheet, column, language) for column in out.columns if column not in months}
    return out.rename(columns=spoken)


def _each_word(text: str, language: str) -> str:
    """A list of codes, each in the reader's language; what is no code (P1) stays."""

    def said(found: re.Match[str]) -> str:
        try:
            return word(found[0], language)
        except UnknownWordError:
            return found[0]

    return re.sub(r"\b[A-Za-z]+\b", said, text)


class Workbook:
    """An xlsx file in the house's looks: frozen headers, filters, widths that fit, numbers by unit."""

    def __init__(self, target: Any, created: pd.Timestamp, language: str) -> None:
        import xlsxwriter

        self.language = language
        options = {
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "nan_inf_to_errors": False,
            "default_date_format": "yyyy-mm-dd",
            "remove_timezone": True,
        }
        self._book = xlsxwriter.Workbook(target, options)
        self._book.set_properties({"title": "spareplan", "created": created.to_pydatetime()})
        add = self._book.add_format
        font = {"font_name": "Arial", "font_size": 10, "valign": "top"}
        self._head = add(
            font
            | {
                "bold": True,
                "font_color": "white",
                "bg_color": BLUE,
                "text_wrap": True,
                "valign": "vcenter",
                "border": 1,
                "border_color": "#FFFFFF",
            }
        )
        # Without "left" an indent beside "top" would be one from above.
        self._text = add(font | {"align": "left", "indent": 1})
        self._wrapped = add(font | {"text_wrap": True})
        self._title = add(font | {"bold": True, "font_size": 16, "font_color": BLUE})
        self._grey = add(font | {"font_color": GREY})
        self._fact = add(font | {"bold": True, "bg_color": LIGHT})
        self._formats = {
            "date": add(font | {"num_format": "yyyy-mm-dd", "align": "center"}),
            "month": add(font | {"num_format": "yyyy-mm", "align": "center"}),
            **{kind: add(font | {"num_format": shown}) for kind, shown in NUMBERS.items()},
            "text": self._text,
        }
        marked = font | {"bg_color": MARKED}
        self._marked = {
            **{kind: add(marked | {"num_format": shown}) for kind, shown in NUMBERS.items()},
            "text": add(marked | {"align": "left", "indent": 1}),
        }
        self._used: set[str] = set()

    def __enter__(self) -> Workbook:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None:
            self._book.close()

    def add_summary(self, cut: RegionalPlan, plan: Plan) -> None:
        """Write the first sheet: facts, what a colleague would say, what to look at first.

        Parameters
        ----------
        cut : RegionalPlan
        plan : Plan
        """
        say = lambda key: word(key, self.language)  # noqa: E731
        sheet = self._book.add_worksheet(self._sheet_name(say("summary")))
        sheet.hide_gridlines(2)
        _print_on_one_width(sheet)
        sheet.set_column(0, 0, 30)
        sheet.set_column(1, 1, 34)
        sheet.set_column(2, 2, 80)
        sheet.set_row(0, 26)
        name = say("hq") if cut.region_id == HQ else cut.name
        sheet.write_string(0, 0, f"{say('plan_title')} · {name}", self._title)
        sheet.write_string(1, 0, f"{say('contract_version')} {CONTRACT_VERSION}", self._grey)
        row = 3
        for key, value in cut.facts:
            sheet.write_string(row, 0, say(key), self._fact)
            kind = "share" if key == "fill_rate" else "count"
            if not pd.isna(value):
                self._write_cell_of(sheet)(row, 1, value, self._formats[kind])
            row += 1
        row += 1
        for line in cut.lines:
            sheet.merge_range(row, 0, row, 2, "", self._wrapped)
            sheet.write_string(row, 0, line, self._wrapped)
            sheet.set_row(row, 15 * _lines(line, 144))
            row += 1
        worst = cut.sheets["exceptions"].head(SHOWN_EXCEPTIONS)
        if len(worst):
            row += 1
            sheet.write_string(row, 0, say("look_first_at"), self._head)
            sheet.write_string(row, 1, header("exceptions", "action", self.language), self._head)
            sheet.write_string(row, 2, header("exceptions", "message", self.language), self._head)
            for kind, message, action in zip(worst["kind"], worst["message"], worst["action"]):
                row += 1
                sheet.write_string(row, 0, _title(kind, self.language), self._wrapped)
                sheet.write_string(row, 1, action, self._wrapped)
                sheet.write_string(row, 2, message, self._wrapped)
                sheet.set_row(row, 15 * max(_lines(action, 34), _lines(message, 80)))

    def add_table(self, name: str, frame: pd.DataFrame) -> None:
        """Write one table as a sheet; cells that a planner changed are shaded.

        Parameters
        ----------
        name : str
            Sheet of the export contract, or any title.
        frame : DataFrame

        Raises
        ------
        ExportError
            More rows than a workbook takes.
        """
        if len(frame) > SHEET_ROWS:
            raise ExportError(
                f"sheet {name!r} has {len(frame):,} rows, a workbook takes {SHEET_ROWS:,}; "
                "export csv or parquet, or one region at a time"
            )
        sheet = self._book.add_worksheet(self._sheet_name(_title(name, self.language)))
        shown = spoken(name, frame, self.language)
        for column, (key, title) in enumerate(zip(frame.columns, shown.columns)):
            sheet.write_string(0, column, str(title), self._head)
            values = shown[title]
            kind = _kind(name, key, values)
            style = self._formats[kind]
            width = min(
                WIDEST,
                max([_title_width(str(title)), *(_width(_as_shown(v, kind)) + 2 for v in values.head(500))]),
            )
            sheet.set_column(column, column, width, style)
            self._write_column(sheet, column, values, kind)
            if f"model_{key}" in frame:
                self._mark_overridden(sheet, column, frame, key, kind)
        sheet.set_row(0, 32)
        _print_on_one_width(sheet)
        sheet.repeat_rows(0)
        sheet.freeze_panes(1, min(2, len(frame.columns)))
        if len(frame.columns):
            sheet.autofilter(0, 0, max(len(frame), 1), len(frame.columns) - 1)

    def _write_column(self, sheet: Any, column: int, values: pd.Series, kind: str) -> None:
        """One writer per column instead of one decision per cell: a workbook has a million cells."""
        known = values.notna().to_numpy()
        rows = (np.flatnonzero(known) + 1).tolist()
        style = self._formats[kind]
        if kind in ("date", "month"):
            write, cells = sheet.write_datetime, values[known].dt.to_pydatetime()
        elif kind != "text":
            write, cells = sheet.write_number, values[known].to_numpy(dtype=float).tolist()
            if not np.isfinite(cells).all():
                write = self._write_cell_of(sheet)
        else:
            cells = values[known].tolist()
            every_text = all(isinstance(value, str) for value in cells)
            write = sheet.write_string if every_text else self._write_cell_of(sheet)
        for row, value in zip(rows, cells):
            write(row, column, value, style)

    def _mark_overridden(self, sheet: Any, column: int, frame: pd.DataFrame, key: str, kind: str) -> None:
        """Shade the cells that a planner changed, with the model's number and the reason as a comment."""
        mine, model = frame[key], frame[f"model_{key}"]
        changed = (mine != model) & (mine.notna() | model.notna())
        style = self._marked["text" if kind == "text" else kind]
        write = self._write_cell_of(sheet)
        for row in np.flatnonzero(changed.to_numpy()).tolist():
            write(row + 1, column, mine.iloc[row], style)
            said = f"{word('model', self.language)}: {_as_shown(model.iloc[row], kind)}"
            if "reason" in frame:
                said += f"\n{frame['reason'].iloc[row]}"
            sheet.write_comment(row + 1, column, said, {"x_scale": 2.5, "y_scale": 1.5})

    def _write_cell_of(self, sheet: Any) -> Callable[[int, int, Any, Any], None]:
        def write(row: int, column: int, value: Any, style: Any) -> None:
            if isinstance(value, pd.Timestamp):
                sheet.write_datetime(row, column, value.to_pydatetime(), self._formats["date"])
            elif isinstance(value, (bool, np.bool_)):
                sheet.write_boolean(row, column, bool(value), self._text)
            elif isinstance(value, str):
                sheet.write_string(row, column, value, style)
            elif np.isinf(value):
                sheet.write_string(row, column, "∞" if value > 0 else "-∞", self._text)
            else:
                sheet.write_number(row, column, float(value), style)

        return write

    def _sheet_name(self, wanted: str) -> str:
        base = re.sub(r"[\[\]:*?/\\]", " ", wanted).strip("' ")[:31] or "Sheet"
        name, number = base, 2
        while name.lower() in self._used:
            suffix = f" ({number})"
            name, number = base[: 31 - len(suffix)] + suffix, number + 1
        self._used.add(name.lower())
        return name


def _print_on_one_width(sheet: Any) -> None:
    a4 = 9
    sheet.set_landscape()
    sheet.set_paper(a4)
    sheet.fit_to_pages(1, 0)


def _title(name: str, language: str) -> str:
    try:
        return word(name, language)
    except KeyError:
        return name


def _kind(sheet: str, column: str, values: pd.Series) -> str:
    """How a column is shown: by its unit in the catalog, whole numbers without decimals."""
    own = OUTPUT_TABLES.get(SHEET_TABLES.get(sheet, sheet))
    if pd.api.types.is_datetime64_any_dtype(values):
        months = column == "month" or (
            own is not None and column in own.names and own[column].dtype == "month"
        )
        return "month" if months else "date"
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "text"
    unit = ""
    for table in (own, INPUT_TABLES["parts"], INPUT_TABLES["stock"]):
        if table is not None and column in table.names:
            unit = table[column].unit
            if unit.startswith("money"):
                return "money"
            if unit == "share":
                return "share"
            break
    known = values.dropna()
    return "count" if bool((known == known.round()).all()) else DECIMALS.get(unit, "number")


def _as_shown(value: Any, kind: str) -> str:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NaT or value != value:
        return ""
    wide = {"date": "2026-01-01", "month": "2026-01", "share": "100.0%"}
    return wide.get(kind) or f"{value:,.{PLACES.get(kind, 3)}f}"


def _lines(text: str, width: int) -> int:
    """Lines a text takes in a cell; letters are narrower than the digits that widths count."""
    return max(-(-_width(text) // int(LETTERS_PER_DIGIT * width)), 1)


def _title_width(title: str) -> int:
    """Width of a header on two lines, with room for the filter's arrow."""
    whole = _width(title)
    longest = max(map(_width, title.split(" "))) if title.isascii() else 0
    return (whole if whole <= SHORT_TITLE else max(longest, whole // 2 + 2)) + 3


def _width(text: str) -> int:
    """Width of a text in a cell; Chinese characters take two places."""
    return sum(2 if ord(letter) > 0x2E80 else 1 for letter in text)
