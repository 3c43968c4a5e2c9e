"""Whatever is handed in, the answer is a dataset or a list of problems, never a traceback."""

from __future__ import annotations

import datetime as dt
import decimal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spareplan.errors import DataError
from spareplan.tables.dataset import Dataset
from spareplan.tables.io import check_dataset, read_dataset
from tests.tables.small_tables import text_frames, write_csvs

SMALL = {
    name: frame for name, frame in text_frames().items() if name in ("parts", "sites", "demand", "stock")
}
SMALL["sites"] = SMALL["sites"].drop(columns="region_id")

odd_cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=6),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.just(b"bytes"),
    st.just([1]),
)
QUIET = [HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_csvs(SMALL, folder)
    return folder


@settings(max_examples=25, deadline=None)
@given(
    table=st.sampled_from(sorted(SMALL)),
    column=st.integers(0, 8),
    row=st.integers(0, 2),
    cell=odd_cells,
    drop=st.booleans(),
)
def test_an_odd_cell_of_a_frame_is_read_or_named(
    table: str, column: int, row: int, cell: object, drop: bool
) -> None:
    frames = {name: frame.copy() for name, frame in SMALL.items()}
    frame = frames[table]
    frame.iloc[row % len(frame), column % frame.shape[1]] = cell
    try:
        data = Dataset.from_frames(frames, on_bad_rows="drop" if drop else "raise")
    except DataError as error:
        assert len(error.problems)
        assert (error.problems["remedy"].str.len() > 3).all()
    else:
        assert data.network.hq in data.sites["site_id"].tolist()


@settings(max_examples=25, deadline=None, suppress_health_check=QUIET)
@given(
    table=st.sampled_from(sorted(SMALL)),
    at=st.floats(0, 1),
    cut=st.integers(0, 12),
    junk=st.one_of(
        st.binary(max_size=6),
        st.sampled_from([b'"', b"\r", b"\x00", b",", b"\n\n", b"\xef\xbb\xbf", b"\xff"]),
    ),
)
def test_a_file_with_damaged_bytes_is_read_or_named(
    files: Path, table: str, at: float, cut: int, junk: bytes
) -> None:
    path = files / f"{table}.csv"
    whole = path.read_bytes()
    place = int(at * len(whole))
    try:
        path.write_bytes(whole[:place] + junk + whole[place + cut :])
        check = check_dataset(files)
        assert check.summary
        assert (check.problems["remedy"].str.len() > 3).all()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "cell", [dt.time(8), dt.timedelta(1), decimal.Decimal("2.5"), np.float32(2.5), np.int8(3), 2 + 1j]
)
def test_odd_types_of_numbers_are_read_right_or_refused(cell: object) -> None:
    frames = {name: frame.copy() for name, frame in SMALL.items()}
    frames["parts"].iloc[0, frames["parts"].columns.get_loc("unit_cost")] = cell
    if isinstance(cell, (decimal.Decimal, np.floating, np.integer)):
        assert Dataset.from_frames(frames).parts["unit_cost"].iloc[0] == float(cell)
    else:
        with pytest.raises(DataError, match=r"parts\[row 2\].unit_cost"):
            Dataset.from_frames(frames)


def test_files_of_old_macs_are_read(files: Path, tmp_path: Path) -> None:
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes().replace(b"\n", b"\r"))
    assert len(read_dataset(tmp_path).demand) == 3


def test_a_separator_line_of_excel_is_passed_over(files: Path, tmp_path: Path) -> None:
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(b"sep=,\r\n" + path.read_bytes())
    assert len(read_dataset(tmp_path).demand) == 3


def test_a_title_above_the_header_of_a_sheet_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "plan.xlsx"
    with pd.ExcelWriter(path, engine="xlsxwriter") as book:
        for name, frame in SMALL.items():
            frame.to_excel(book, sheet_name=name, index=False, startrow=3)
            book.sheets[name].write_string(0, 0, "2024年备件计划")
            book.sheets[name].write_string(1, 1, "第一版")
    data = read_dataset(path)
    assert len(data.parts) == 3
    assert (data.notes["note"] == "the header stands in row 4").sum() == len(SMALL)


def test_a_table_of_bad_rows_is_named_in_linear_time() -> None:
    def spent(rows: int) -> float:
        frame = pd.DataFrame(
            {
                "part_id": [f"X{k}" for k in range(rows)],
                "site_id": "HQ",
                "month": "2024-01",
                "quantity": "many",
            }
        )
        doubled = pd.concat([frame, frame])
        start = time.perf_counter()
        with pytest.raises(DataError) as caught:
            Dataset.from_frames({**SMALL, "demand": doubled})
        # part unknown and quantity unreadable in each row, and half of the keys stood before
        assert len(caught.value.problems) == 5 * rows
        return time.perf_counter() - start

    spent(100)
    small, large = spent(2_000), spent(20_000)
    assert large < 30 * small
    assert large < 20


def test_a_parquet_file_written_with_an_index_keeps_it_as_a_column(tmp_path: Path) -> None:
    write_csvs(SMALL, tmp_path)
    (tmp_path / "parts.csv").unlink()
    SMALL["parts"].set_index("part_id").to_parquet(tmp_path / "parts.parquet")
    assert read_dataset(tmp_path).parts["part_id"].tolist() == ["00123", "P-2", "P-3"]


def test_a_decimal_point_on_an_id_is_recognised() -> None:
    frames = {**SMALL, "stock": SMALL["stock"].assign(part_id=["123.0", "P-2"])}
    with pytest.raises(DataError, match="is it '00123'"):
        Dataset.from_frames(frames)


def test_a_name_where_the_id_belongs_is_recognised() -> None:
    frames = {**SMALL, "stock": SMALL["stock"].assign(part_id=["主油缸", "P-2"])}
    with pytest.raises(DataError, match="is it '00123'"):
        Dataset.from_frames(frames)
