"""Text files, Parquet and databases -> tables as given, not yet checked.

Encodings: UTF-8 (with or without BOM), UTF-16 with BOM (Excel's "Unicode text"), else GB18030, each decoded
strictly. Delimiters: comma, semicolon, tab, told from the header. Rows keep the line a person sees, the
header being line 1. Workbooks have their own page, `spareplan.tables.workbook`.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.tables.frames import FIRST_ROW
from spareplan.tables.parse import cells_of
from spareplan.tables.raw import RawTable, raw_from_frame, table_named

DELIMITERS = ",;\t"
CHUNK = 1 << 24


def read_csv(path: Path, name: str) -> RawTable:
    """Read one text file.

    Parameters
    ----------
    path : Path
        .csv, .tsv or .txt, also gzipped.
    name : str
        Table of the catalog.

    Returns
    -------
    RawTable

    Raises
    ------
    DataError
        The bytes are neither UTF-8 nor GB18030, or there is no header.
    """
    data, notes = _decoded(path, name)
    headers, delimiter, start = _header(data, path.name, name)
    columns, rows, problems = _cells(data, start, delimiter, headers, name)
    return RawTable(name, headers, columns, rows, problems=problems, notes=notes)


def read_parquet(path: Path, name: str) -> RawTable:
    """Read one Parquet file; rows are counted as in a text file.

    Parameters
    ----------
    path : Path
    name : str

    Returns
    -------
    RawTable

    Raises
    ------
    DataError
        The file is no Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        texts = [
            field.name
            for field in schema
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        frame = pq.read_table(path, read_dictionary=texts).to_pandas(ignore_metadata=True)
    except pa.ArrowException as error:
        raise DataError(
            [Problem(name, 0, "", path.name, f"is no readable Parquet file ({error})", "write it anew")]
        ) from error
    return raw_from_frame(name, frame)


def read_database(url: str) -> Iterator[tuple[str, RawTable | None]]:
    """Read the tables and views of a database.

    Parameters
    ----------
    url : str
        Of SQLAlchemy: sqlite:///plan.db, postgresql://user@host/name.

    Yields
    ------
    table : str
    raw : RawTable or None
        None for a table that is none of a dataset; rows have no number.

    Raises
    ------
    DataError
        The database cannot be reached.
    """
    import sqlalchemy as sa

    try:
        address = sa.make_url(url)
        if address.drivername in ("postgres", "postgresql"):
            address = address.set(drivername="postgresql+psycopg")
        file = address.database
        if address.get_backend_name() == "sqlite" and file and file != ":memory:" and not Path(file).exists():
            raise _unreachable(url, "there is no such file", "correct the path")
        engine = sa.create_engine(address)
    except sa.exc.ArgumentError as error:
        raise _unreachable(
            url, str(error), "write it as sqlite:///file.db or postgresql://user@host/name"
        ) from error
    except ModuleNotFoundError as error:
        raise _unreachable(url, f"needs the package {error.name}", "pip install 'spareplan[api]'") from error
    try:
        with engine.connect() as connection:
            inspector = sa.inspect(connection)
            for given in [*inspector.get_table_names(), *inspector.get_view_names()]:
                name = table_named(given)
                if name is None:
                    yield given, None
                    continue
                table = sa.Table(given, sa.MetaData(), autoload_with=connection)
                frame = pd.read_sql(sa.select(*(_plain(column) for column in table.columns)), connection)
                yield given, raw_from_frame(name, frame, numbered=False)
    except sa.exc.SQLAlchemyError as error:
        raise _unreachable(
            url, str(getattr(error, "orig", error)).strip().split("\n")[0], "check address, name and password"
        ) from error
    finally:
        engine.dispose()


def shown_url(url: str) -> str:
    """A database URL without its password.

    Parameters
    ----------
    url : str

    Returns
    -------
    str
    """
    return re.sub(r"(://[^:/@]+):[^@]*@", r"\1:***@", url)


def _plain(column: Any) -> Any:
    """A column as stored: SQLite's driver would stumble over odd text in a DATE column."""
    import sqlalchemy as sa

    return sa.type_coerce(column, sa.types.NullType()).label(column.name)


def _unreachable(url: str, why: str, remedy: str) -> DataError:
    return DataError([Problem("database", 0, "", shown_url(url), f"cannot be read: {why}", remedy)])


def _decoded(path: Path, name: str) -> tuple[bytes, list[str]]:
    """Bytes of the file in UTF-8 without BOM."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise DataError(
            [Problem(name, 0, "", path.name, f"cannot be read ({error})", "check the file")]
        ) from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        data = data.removeprefix(codecs.BOM_UTF8)
        encodings = ["utf-8", "gb18030"]
    for encoding in encodings:
        if not _decodes(data, encoding):
            continue
        if encoding != "utf-8":
            data = data.decode(encoding).encode()
        if data.count(b"\r") != data.count(b"\r\n"):  # old Macs end lines so
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data, [f"{path.name} was read as {encoding.upper()}"] if encoding != "utf-8" else []
    raise DataError([Problem(name, 0, "", path.name, "is neither UTF-8 nor GB18030", "save it as CSV UTF-8")])


def _decodes(data: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    try:
        for start in range(0, len(data), CHUNK):
            decoder.decode(data[start : start + CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _header(data: bytes, file: str, name: str) -> tuple[list[str], str, int]:
    """Headers, delimiter, and where the header starts in the bytes."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start:end].decode().strip()
        told = re.fullmatch(r'"?sep=(.)"?', line)
        if line.strip(DELIMITERS + '" ') and not told:
            bare = re.sub(r'"[^"]*"', "", line)
            delimiter = max(DELIMITERS, key=bare.count) if any(sign in bare for sign in DELIMITERS) else ","
            # a header may hold a line break between quotation marks; a few lines are enough to find its end
            text = data[start : start + (1 << 16)].decode(errors="ignore")
            try:
                return next(csv.reader(io.StringIO(text), delimiter=delimiter)), delimiter, start
            except csv.Error as error:
                raise DataError(
                    [Problem(name, 0, "", file, f"has no readable header ({error})", "mend line 1")]
                ) from error
        start = end + 1
    raise DataError(
        [Problem(name, 0, "", file, "is empty: there is no header", "write the column names into line 1")]
    )


def _cells(
    data: bytes, start: int, delimiter: str, headers: list[str], name: str
) -> tuple[list[pd.Series], np.ndarray, list[Problem]]:
    """Columns of text cells, the line of each row, and rows that have too many or too few cells."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    names = [str(at) for at in range(len(headers))]
    ragged: list[tuple[int, int, str]] = []

    def keep_aside(row: Any) -> str:
        ragged.append((row.number, row.actual_columns, row.text))
        return "skip"

    cell = pa.dictionary(pa.int32(), pa.string())
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, cell), strings_can_be_null=False, quoted_strings_can_be_null=False
    )

    def read(careful: bool) -> Any:
        parse = pa_csv.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=b'"' in data,
            ignore_empty_lines=False,
            invalid_row_handler=keep_aside if careful else None,
        )
        options = pa_csv.ReadOptions(column_names=names, skip_rows_after_names=1, use_threads=not careful)
        return pa_csv.read_csv(pa.BufferReader(pa.py_buffer(data).slice(start)), options, parse, convert)

    try:
        table = read(careful=False)
    except pa.ArrowInvalid:
        # only one thread knows the number of a ragged row
        try:
            table = read(careful=True)
        except pa.ArrowInvalid as error:
            raise DataError(
                [
                    Problem(
                        name,
                        0,
                        "",
                        "",
                        f"cannot be read as a table ({error})",
                        "look for a quotation mark that is not closed",
                    )
                ]
            ) from error
    columns = [column.unify_dictionaries().combine_chunks().to_pandas() for column in table.columns]
    bad = np.array([number for number, _, _ in ragged], dtype=np.int64)
    rows = np.arange(FIRST_ROW, FIRST_ROW + table.num_rows + len(bad))
    breaks = np.zeros(len(rows), dtype=np.int64)
    good = np.ones(len(rows), dtype=bool)
    good[bad - FIRST_ROW] = False
    breaks[good] = _breaks_inside(columns, table.num_rows)
    breaks[bad - FIRST_ROW] = [text.count("\n") for _, _, text in ragged]
    lines = rows + np.cumsum(breaks) - breaks
    problems = [
        Problem(
            name,
            int(lines[number - FIRST_ROW]),
            "",
            text[:80],
            f"has {actual} cells where the header has {len(headers)}",
            "look for a missing or extra delimiter, or an open quotation mark",
        )
        for number, actual, text in ragged
        if text.strip()
    ]
    return columns, lines[good], problems


def _breaks_inside(columns: list[pd.Series], count: int) -> np.ndarray:
    """Line breaks inside the cells of each row."""
    inside = np.zeros(count, dtype=np.int64)
    for column in columns:
        codes, cells = cells_of(column)
        breaks = np.array([cell.count("\n") for cell in cells] + [0])
        if breaks.any():
            inside += breaks[codes]
    return inside
