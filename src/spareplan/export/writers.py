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

import pandas as pd

from spareplan.errors import ExportError
from spareplan.export.contract import CONTRACT_VERSION
from spareplan.export.regional import HQ, RegionalPlan, cut_plan, find_region, full_sheets, region_names
from spareplan.export.workbook import Workbook, spoken
from spareplan.results import Plan

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


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
    with Workbook(buffer, created, language) as book:
        for name, frame in sheets.items():
            book.add_table(name, frame)
    return buffer.getvalue()


def _write_workbook(cut: RegionalPlan, plan: Plan, stem: Path, language: str) -> list[Path]:
    path = stem.with_name(stem.name + ".xlsx")

    def fill(target: Path) -> None:
        with Workbook(target, plan.as_of, language) as book:
            book.add_summary(cut, plan)
            for name, frame in cut.sheets.items():
                book.add_table(name, _months_across(frame) if name == "forecast" else frame)

    return [_whole(path, fill)]


def _write_csv(cut: RegionalPlan, plan: Plan, stem: Path, language: str) -> list[Path]:
    stem.mkdir(parents=True, exist_ok=True)

    contents = {name: csv_bytes(spoken(name, frame, language)) for name, frame in cut.sheets.items()}
    return [_whole(stem / f"{name}.csv", partial(_put, content=text)) for name, text in contents.items()]


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
