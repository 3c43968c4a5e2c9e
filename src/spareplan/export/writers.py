"""Write a plan for its readers: workbooks, CSV, Parquet, JSON (door `export_plan`).

Files appear whole or not at all. Text is written as text and never becomes a formula; the same plan gives the
same bytes.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spareplan.errors import ExportError
from spareplan.export.contract import CODED_COLUMNS, CONTRACT_VERSION
from spareplan.export.regional import HQ, RegionalPlan, cut_plan, find_region, full_sheets, region_names
from spareplan.language import SHEET_TABLES, header, word
from spareplan.results import Plan
from spareplan.tables.catalog import INPUT_TABLES, OUTPUT_TABLES

SHEET_ROWS = 1_048_575
WIDEST = 60
SHOWN_EXCEPTIONS = 10
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
BLUE, GREY, LIGHT = "#1F4E79", "#595959", "#EAF1F8"


def export_plan(
    plan: Plan,
    folder: str | Path,
    region: str | None = None,
    format: str = "xlsx",
    language: str | None = None,
) -> list[Path]:
    """Write a plan, one file (or folder) per region.

    Parameters
    ----------
    plan : Plan
    folder : path
        Made when missing.
    region : str, optional
        Id or name of a region, or "HQ"; None: every region and HQ.
    format : {"xlsx", "csv", "parquet", "json"}
        csv and parquet make a folder per region with a file per table.
    language : {"en", "zh"}, optional
        Language of headers; None: that of the plan. Parquet and JSON keep the English column names.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ExportError
        Unknown region or format, too many rows for a workbook, or the folder cannot be written; no
        half-written file is left behind.
    """
    writers = {"xlsx": _write_workbook, "csv": _write_csv, "parquet": _write_parquet, "json": _write_json}
    if format not in writers:
        raise ExportError(f"format {format!r} is not known; use {', '.join(writers)}")
    language = language or plan.config.language
    wanted = [*region_names(plan), HQ] if region is None else [find_region(plan, region)]
    folder = Path(folder)
    written: list[Path] = []
    whole = full_sheets(plan)
    stems = _stems(plan)
    for region_id in wanted:
        cut = cut_plan(plan, region_id, whole)
        stem = folder / f"plan_{plan.as_of:%Y-%m}_{stems[region_id]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written += writers[format](cut, plan, stem, language)
        except OSError as error:
            raise ExportError(
                f"{stem} cannot be written ({error.strerror}); close the file if it is open, or choose "
                "another folder"
            ) from error
    return written


def workbook_bytes(sheets: Mapping[str, pd.DataFrame], created: pd.Timestamp, language: str = "en") -> bytes:
    """A workbook with one sheet per frame, in the house's looks.

    Parameters
    ----------
    sheets : mapping of str to DataFrame
        Sheet key of the export contract (or any title) to its rows.
    created : Timestamp
        Written as the creation date, so that the same plan gives the same bytes.
    language : {"en", "zh"}

    Returns
    -------
    bytes
    """
    import io

    buffer = io.BytesIO()
    with _Workbook(buffer, created, language) as book:
        for name, frame in sheets.items():
            book.add_table(name, frame)
    return buffer.getvalue()


def _write_workbook(cut: RegionalPlan, plan: Plan, stem: Path, language: str) -> list[Path]:
    path = stem.with_name(stem.name + ".xlsx")

    def fill(target: Path) -> None:
        with _Workbook(target, plan.as_of, language) as book:
            book.add_summary(cut, plan)
            for name, frame in cut.sheets.items():
                book.add_table(name, _months_across(frame) if name == "forecast" else frame)

    return [_whole(path, fill)]


def _write_csv(cut: RegionalPlan, plan: Plan, stem: Path, language: str) -> list[Path]:
    stem.mkdir(parents=True, exist_ok=True)

    spoken = {name: csv_bytes(_spoken(name, frame, language)) for name, frame in cut.sheets.items()}
    return [_whole(stem / f"{name}.csv", partial(_put, content=content)) for name, content in spoken.items()]


def _write_parquet(cut: RegionalPlan, plan: Plan, stem: Path, language: str) -> list[Path]:
    stem.mkdir(parents=True, exist_ok=True)
    return [
        _whole(stem / f"{name}.parquet", partial(frame.to_parquet, index=False))
        for name, frame in cut.sheets.items()
    ]


def _write_json(cut: RegionalPlan, plan: Plan, stem: Path, language: str) -> list[Path]:
    body = {
        "contract": CONTRACT_VERSION,
        "as_of": f"{plan.as_of:%Y-%m-%d}",
        "region_id": cut.region_id,
        "region_name": cut.name,
        "summary": list(cut.lines),
        "tables": {name: records(frame) for name, frame in cut.sheets.items()},
    }
    text = json.dumps(body, ensure_ascii=False, indent=1, allow_nan=False)
    path = stem.with_name(stem.name + ".json")
    return [_whole(path, partial(_put, content=text.encode()))]


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A CSV that Excel opens right: UTF-8 with its mark, ISO dates, and no text that Excel would compute.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    bytes
        Text that starts like a formula stands behind an apostrophe, which `read_dataset` takes off again.
    """
    safe = frame.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]) and not pd.api.types.is_datetime64_any_dtype(
            safe[column]
        ):
            text = safe[column].astype(object)
            risky = text.map(lambda value: isinstance(value, str) and value.startswith(FORMULA_STARTS))
            safe[column] = text.where(~risky.astype(bool), "'" + text.astype(str))
    return safe.to_csv(index=False, lineterminator="\r\n", date_format="%Y-%m-%d").encode("utf-8-sig")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain JSON values: dates (and times, where there are any) as ISO text, missing as null.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    list of dict
    """
    plain = frame.copy()
    for column in plain.columns:
        if pd.api.types.is_datetime64_any_dtype(plain[column]):
            known = plain[column].dropna()
            whole_days = bool((known == known.dt.normalize()).all())
            plain[column] = plain[column].dt.strftime("%Y-%m-%d" if whole_days else "%Y-%m-%dT%H:%M:%S%z")
    plain = plain.astype(object).where(plain.notna(), None)
    return [dict(zip(plain.columns, row)) for row in plain.itertuples(index=False, name=None)]


def _months_across(forecast: pd.DataFrame) -> pd.DataFrame:
    """The forecast as people read it: a row per part and site, a column per month, the sum, and why."""
    keys = ["part_id", "site_id"]
    means = forecast.pivot_table(index=keys, columns="month", values="mean", aggfunc="sum")
    means.columns = pd.DatetimeIndex(means.columns).strftime("%Y-%m")
    sources = [name for name in map(str, forecast) if name.startswith("from_")]
    sums = forecast.groupby(keys)[sources].sum()
    words = forecast.drop_duplicates(keys)[[*keys, "part_name", "site_name", "method", "reason"]]
    wide = words.merge(means.assign(total=means.sum(axis=1)).join(sums).reset_index(), on=keys)
    front = ["part_id", "part_name", "site_id", "site_name"]
    return wide[[*front, *means.columns, "total", *sources, "method", "reason"]]


def _spoken(sheet: str, frame: pd.DataFrame, language: str) -> pd.DataFrame:
    """Headers and coded values in the reader's language."""
    out = frame.copy()
    for column in out.columns.intersection(list(CODED_COLUMNS)):
        codes = out[column].dropna().unique()
        out[column] = out[column].map({code: word(str(code), language) for code in codes})
    months = set(out.columns[out.columns.str.fullmatch(r"\d{4}-\d{2}")])
    spoken = {column: header(sheet, column, language) for column in out.columns if column not in months}
    return out.rename(columns=spoken)


class _Workbook:
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
        self._text = add(font | {"indent": 1})
        self._wrapped = add(font | {"text_wrap": True})
        self._title = add(font | {"bold": True, "font_size": 16, "font_color": BLUE})
        self._grey = add(font | {"font_color": GREY})
        self._fact = add(font | {"bold": True, "bg_color": LIGHT})
        self._formats = {
            "date": add(font | {"num_format": "yyyy-mm-dd", "align": "center"}),
            "month": add(font | {"num_format": "yyyy-mm", "align": "center"}),
            "money": add(font | {"num_format": "#,##0"}),
            "share": add(font | {"num_format": "0.0%"}),
            "count": add(font | {"num_format": "#,##0"}),
            "number": add(font | {"num_format": "#,##0.000"}),
            "text": self._text,
        }
        self._used: set[str] = set()

    def __enter__(self) -> _Workbook:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None:
            self._book.close()

    def add_summary(self, cut: RegionalPlan, plan: Plan) -> None:
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
            sheet.set_row(row, 15 * (1 + _width(line) // 120))
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

    def add_table(self, name: str, frame: pd.DataFrame) -> None:
        if len(frame) > SHEET_ROWS:
            raise ExportError(
                f"sheet {name!r} has {len(frame):,} rows, a workbook takes {SHEET_ROWS:,}; "
                "export csv or parquet, or one region at a time"
            )
        sheet = self._book.add_worksheet(self._sheet_name(_title(name, self.language)))
        shown = _spoken(name, frame, self.language)
        for column, (key, title) in enumerate(zip(frame.columns, shown.columns)):
            sheet.write_string(0, column, str(title), self._head)
            values = shown[title]
            kind = _kind(name, key, values)
            style = self._formats[kind]
            width = min(
                WIDEST,
                max([_width(str(title)) + 3, *(_width(_as_shown(v, kind)) + 2 for v in values.head(500))]),
            )
            sheet.set_column(column, column, width, style)
            self._write_column(sheet, column, values, kind)
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

    def _write_cell_of(self, sheet: Any) -> Callable[[int, int, Any, Any], None]:
        def write(row: int, column: int, value: Any, style: Any) -> None:
            if isinstance(value, pd.Timestamp):
                sheet.write_datetime(row, column, value.to_pydatetime(), self._formats["date"])
            elif isinstance(value, (bool, np.bool_)):
                sheet.write_boolean(row, column, bool(value), self._text)
            elif isinstance(value, str):
                sheet.write_string(row, column, value, self._text)
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
    if pd.api.types.is_datetime64_any_dtype(values):
        return "month" if column == "month" else "date"
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "text"
    for table in (
        OUTPUT_TABLES.get(SHEET_TABLES.get(sheet, sheet)),
        INPUT_TABLES["parts"],
        INPUT_TABLES["stock"],
    ):
        if table is not None and column in table.names:
            unit = table[column].unit
            if unit.startswith("money"):
                return "money"
            if unit == "share":
                return "share"
            break
    known = values.dropna()
    return "count" if bool((known == known.round()).all()) else "number"


def _as_shown(value: Any, kind: str) -> str:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NaT or value != value:
        return ""
    return {"date": "2026-01-01", "month": "2026-01", "share": "100.0%"}.get(kind) or f"{value:,.3f}"


def _width(text: str) -> int:
    """Width of a text in a cell; Chinese characters take two places."""
    return sum(2 if ord(letter) > 0x2E80 else 1 for letter in text)


def _whole(path: Path, fill: Callable[[Path], object]) -> Path:
    """Write beside the target and move it into place, so that no half file is ever seen."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        fill(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _put(target: Path, content: bytes) -> None:
    target.write_bytes(content)


def _stems(plan: Plan) -> dict[str, str]:
    """File names of the regions: their names, with the id where two would be the same file."""
    names = {region: _file_name(name) for region, name in region_names(plan).items()} | {HQ: HQ}
    # File systems of Windows and macOS hold EAST and East for the same name.
    taken = Counter(name.lower() for name in names.values())
    return {
        region: name if taken[name.lower()] == 1 or region == HQ else _file_name(f"{name}_{region}")
        for region, name in names.items()
    }


def _file_name(name: str) -> str:
    return re.sub(r'[\\/:*?"<>|\s]+', "_", name).strip("._") or "region"
