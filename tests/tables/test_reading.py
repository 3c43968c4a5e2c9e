"""The same dataset comes out of text files, Parquet, workbooks and databases, in English and in Chinese."""

from __future__ import annotations

import datetime as dt
import gzip

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spareplan.errors import DataError
from spareplan.tables.catalog import INPUT_TABLES
from spareplan.tables.dataset import Dataset
from spareplan.tables.io import check_dataset, read_dataset, write_folder
from tests.tables.small_tables import edited, text_frames, write_csvs


@pytest.fixture(scope="module")
def plain() -> Dataset:
    return Dataset.from_frames(text_frames())


def assert_same(one: Dataset, other: Dataset) -> None:
    assert one.given == other.given
    for name in INPUT_TABLES:
        pd.testing.assert_frame_equal(one.tables[name], other.tables[name], obj=name)


def in_chinese(frames: dict[str, pd.DataFrame], which: int = 0) -> dict[str, pd.DataFrame]:
    """Tables and headers under their Chinese names; `which` picks among several where there are."""

    def pick(words):
        return words[min(which, len(words) - 1)]

    return {
        pick(INPUT_TABLES[name].chinese): frame.rename(
            columns={column: pick(INPUT_TABLES[name][column].chinese) for column in frame.columns}
        )
        for name, frame in frames.items()
    }


def write_workbook(frames: dict[str, pd.DataFrame], path) -> None:
    with pd.ExcelWriter(
        path, engine="xlsxwriter", engine_kwargs={"options": {"strings_to_formulas": False}}
    ) as book:
        for name, frame in frames.items():
            frame.to_excel(book, sheet_name=name, index=False)


def test_checked_tables_have_every_column_with_its_dtype(plain: Dataset) -> None:
    for name, table in INPUT_TABLES.items():
        frame = plain.tables[name]
        assert frame.columns.tolist() == table.names
        for column in table.columns:
            assert frame[column.name].dtype == column.pandas_dtype, (name, column.name)


def test_defaults_stand_where_optional_cells_are_empty(plain: Dataset) -> None:
    assert plain.parts["min_order"].tolist() == [1, 4, 1]
    assert plain.parts["repairable_share"].tolist() == [0, 0, 0]
    assert plain.parts["unit"].tolist() == ["piece"] * 3
    assert plain.parts["repair_days"].isna().all()
    assert plain.promises["target"].tolist() == [0.95, 0.95]
    assert plain.replacements["planned"].tolist() == [False, True, False]
    assert plain.stock["reserved"].isna().tolist() == [False, True]


def test_ids_stay_as_they_are_and_keep_their_zeros(plain: Dataset) -> None:
    assert plain.parts["part_id"].tolist() == ["00123", "P-2", "P-3"]
    assert plain.sites["name"].tolist() == ["总部", "Shanghai", "Urumqi"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_text_files_are_read_in_every_encoding_and_with_every_delimiter(
    plain: Dataset, tmp_path, encoding: str, delimiter: str
) -> None:
    write_csvs(text_frames(), tmp_path, encoding, delimiter)
    data = read_dataset(tmp_path)
    assert_same(data, plain)
    told = data.notes["note"].str.contains("was read as").any()
    assert told == (encoding in ("gb18030", "utf-16"))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_chinese_tables_and_headers_are_understood(plain: Dataset, tmp_path, which: int) -> None:
    write_csvs(in_chinese(text_frames(), which), tmp_path, "gb18030")
    assert_same(read_dataset(tmp_path), plain)


def test_headers_may_differ_in_case_width_spacing_and_unit(plain: Dataset) -> None:
    frames = text_frames()
    frames["parts"] = frames["parts"].rename(
        columns={
            "part_id": " Part ID ",
            "unit_cost": "ＵＮＩＴ＿ＣＯＳＴ",
            "lead_time_days": "供应提前期（天）",
            "name": "Part name",
        }
    )
    assert_same(Dataset.from_frames(frames), plain)


def test_a_frame_index_does_not_matter(plain: Dataset) -> None:
    frames = {name: frame.set_axis(range(100, 100 + len(frame))) for name, frame in text_frames().items()}
    assert_same(Dataset.from_frames(frames), plain)


def test_unknown_columns_are_listed_and_left_alone(plain: Dataset) -> None:
    frames = text_frames()
    frames["parts"]["颜色"] = "red"
    data = Dataset.from_frames(frames)
    assert_same(data, plain)
    assert data.notes.values.tolist() == [["parts", "columns that are not used: 颜色"]]


def test_spaces_around_ids_are_taken_off_and_told() -> None:
    data = Dataset.from_frames(edited("stock", 2, "part_id", "\u3000'00123 "))
    assert data.stock["part_id"].iloc[0] == "00123"
    assert "taken off 1 cells" in data.notes["note"].iloc[0]


def test_empty_rows_are_passed_over(plain: Dataset, tmp_path) -> None:
    write_csvs(text_frames(), tmp_path)
    parts = (tmp_path / "parts.csv").read_text(encoding="utf-8")
    (tmp_path / "parts.csv").write_text(parts + "\n,,,,,,,,\n \n\n", encoding="utf-8")
    assert_same(read_dataset(tmp_path), plain)


def test_a_quoted_line_break_does_not_shift_the_rows(tmp_path) -> None:
    write_csvs(text_frames(), tmp_path)
    (tmp_path / "stock.csv").write_text(
        'part_id,site_id,on_hand,bin\r\n00123,HQ,1,"two\r\nlines"\r\nP-2,上海,-1,\r\n',
        encoding="utf-8",
        newline="",
    )
    assert check_dataset(tmp_path).problems["row"].tolist() == [4]


def test_gzipped_and_parquet_files_mix(plain: Dataset, tmp_path) -> None:
    frames = text_frames()
    typed = {name: plain.tables[name] for name in ("parts", "demand", "units", "work_orders", "replacements")}
    write_csvs({name: frame for name, frame in frames.items() if name not in typed}, tmp_path)
    for name, frame in typed.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
    sites = tmp_path / "sites.csv"
    (tmp_path / "sites.csv.gz").write_bytes(gzip.compress(sites.read_bytes()))
    sites.unlink()
    assert_same(read_dataset(tmp_path), plain)


def test_files_that_are_no_tables_are_noted(plain: Dataset, tmp_path) -> None:
    write_csvs(text_frames(), tmp_path)
    (tmp_path / "shopping.csv").write_text("a\n1\n")
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "truth").mkdir()
    data = read_dataset(tmp_path)
    assert_same(data, plain)
    assert data.notes["table"].tolist() == ["shopping.csv"]


def test_a_written_folder_reads_back_the_same(plain: Dataset, tmp_path) -> None:
    write_folder({name: plain.tables[name] for name in plain.given}, tmp_path)
    assert_same(read_dataset(tmp_path), plain)
    text = (tmp_path / "demand.csv").read_text(encoding="utf-8")
    # The last column: no piece was a one-off.
    assert text.splitlines()[1] == "P-3,上海,2024-01-01,5,0"
    assert (tmp_path / "replacements.csv").read_text().splitlines()[2] == "U2,P-2,2024-02-11,2,,true,,"
    assert (tmp_path / "work_orders.csv").read_text(encoding="utf-8").splitlines()[1].count(
        "2024-05-02 08:30:00"
    ) == 1


def test_a_workbook_reads_the_same(plain: Dataset, tmp_path) -> None:
    write_workbook(text_frames(), tmp_path / "plan.xlsx")
    assert_same(read_dataset(tmp_path / "plan.xlsx"), plain)
    write_workbook(in_chinese(text_frames()), tmp_path / "计划.xlsx")
    assert_same(read_dataset(tmp_path / "计划.xlsx"), plain)


def test_a_workbook_with_typed_cells_reads_the_same(plain: Dataset, tmp_path) -> None:
    write_workbook({name: plain.tables[name] for name in plain.given}, tmp_path / "typed.xlsx")
    assert_same(read_dataset(tmp_path / "typed.xlsx"), plain)


@pytest.mark.parametrize("system", [1900, 1904])
def test_excel_dates_ids_merged_cells_and_errors(tmp_path, system: int) -> None:
    import openpyxl
    from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, to_excel

    epoch = CALENDAR_MAC_1904 if system == 1904 else CALENDAR_WINDOWS_1900
    path = tmp_path / "plan.xlsx"
    write_workbook(text_frames(), path)
    book = openpyxl.load_workbook(path)
    book.epoch = epoch
    sheet = book["units"]
    # row 2: a real date; row 3: the bare serial number; row 4: text; a numeric id
    sheet["D2"] = dt.date(2022, 5, 10)
    sheet["D3"] = int(to_excel(dt.datetime(2023, 2, 1), epoch))
    sheet["D3"].number_format = "General"
    sheet["D4"] = "2023年8月15日"
    sheet["A4"] = 3003
    book["replacements"]["A4"] = 3003.0
    book["work_orders"]["D2"] = dt.datetime(2024, 5, 2, 8, 30)
    stock = book["stock"]
    stock["A3"] = None
    stock.merge_cells("A2:A3")
    stock["C2"] = 1
    calendar = book["calendar"]
    calendar.insert_rows(1, 2)
    calendar["A1"] = None
    book.save(path)
    data = read_dataset(path)
    assert data.units["commissioned_on"].tolist() == [
        pd.Timestamp("2022-05-10"),
        pd.Timestamp("2023-02-01"),
        pd.Timestamp("2023-08-15"),
    ]
    assert data.units["unit_id"].tolist() == ["U1", "U2", "3003"]
    assert data.stock["part_id"].tolist() == ["00123", "00123"]
    assert data.work_orders["opened_at"].iloc[0] == pd.Timestamp("2024-05-02 08:30")
    assert data.notes.values.tolist() == [["calendar", "the header stands in row 3"]]
    stock["C3"] = "#N/A"
    calendar["B5"] = "someday"
    book.save(path)
    problems = check_dataset(path).problems
    assert problems[["table", "row", "column", "value"]].values.tolist() == [
        ["calendar", 5, "date", "someday"],
        ["stock", 3, "on_hand", "#N/A"],
    ]


def test_an_empty_sheet_and_another_sheet_are_named(tmp_path) -> None:
    frames = {**text_frames(), "Tabelle1": pd.DataFrame({"a": [1]})}
    path = tmp_path / "plan.xlsx"
    write_workbook(frames, path)
    assert read_dataset(path).notes["table"].tolist() == ["Tabelle1"]
    import openpyxl

    book = openpyxl.load_workbook(path)
    book["stock"].delete_rows(1, 10)
    book.save(path)
    assert check_dataset(path).problems[["table", "row"]].values.tolist() == [["stock", 0]]


def test_a_broken_workbook_is_named(tmp_path) -> None:
    path = tmp_path / "plan.xlsx"
    path.write_bytes(b"PK no workbook")
    with pytest.raises(DataError, match="no readable workbook"):
        read_dataset(path)


def test_an_integer_id_of_a_database_is_text_again(tmp_path) -> None:
    frames = text_frames()
    for name in ("parts", "fitment", "site_repairs", "replacements", "stock", "open_orders", "overrides"):
        frames[name]["part_id"] = frames[name]["part_id"].replace("00123", "123")
    url = f"sqlite:///{tmp_path / 'plan.db'}"
    engine = sa.create_engine(url)
    for name, frame in frames.items():
        frame.to_sql(name, engine, index=False)
    assert read_dataset(tmp_path / "plan.db").parts["part_id"].iloc[0] == "123"
    assert_same(read_dataset(url), Dataset.from_frames(frames))


def test_sqlite_reads_the_same_and_names_rows_by_key(plain: Dataset, tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'plan.db'}"
    engine = sa.create_engine(url)
    for name in plain.given:
        plain.tables[name].to_sql(name, engine, index=False)
    assert_same(read_dataset(url), plain)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE stock SET on_hand = -2 WHERE part_id = 'P-2'"))
    problem = check_dataset(url).problems.iloc[0]
    assert pd.isna(problem["row"])
    assert problem["value"] == "-2 (part_id=P-2, site_id=上海)"


def test_postgresql_reads_the_same(plain: Dataset, postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    for name in plain.given:
        exact = {
            column.name: sa.Numeric(12, 2)
            for column in INPUT_TABLES[name].columns
            if column.unit.startswith("money") and plain.tables[name][column.name].notna().any()
        }
        plain.tables[name].to_sql(name, engine, index=False, dtype=exact or None)
    with engine.begin() as connection:
        connection.execute(sa.text('CREATE TABLE "other" (a int)'))
        connection.execute(sa.text("ALTER TABLE units ALTER COLUMN commissioned_on TYPE date"))
        connection.execute(sa.text('ALTER TABLE units RENAME TO "设备"'))
    data = read_dataset(postgres_url)
    assert_same(data, plain)
    assert data.notes["table"].tolist() == ["other"]
    short = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    assert_same(read_dataset(short), plain)
    engine.dispose()


def test_a_single_row_of_each_required_table_is_a_dataset() -> None:
    data = Dataset.from_frames(
        {
            "parts": pd.DataFrame(
                {"part_id": ["7"], "name": ["seal"], "unit_cost": [1], "lead_time_days": [0]}
            ),
            "sites": pd.DataFrame(
                {"site_id": ["HQ"], "name": ["HQ"], "parent_id": [None], "lead_time_days": [np.nan]}
            ),
            "demand": pd.DataFrame(
                {"part_id": [7], "site_id": ["HQ"], "month": ["2024-01"], "quantity": [0]}
            ),
        }
    )
    assert data.network.site_ids == ["HQ"]
    assert data.demand["part_id"].tolist() == ["7"]
    assert data.network.lead_time_days["HQ"] == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(plain: Dataset, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = Dataset.from_frames(
        {name: frame.iloc[rng.permutation(len(frame))] for name, frame in text_frames().items()}
    )
    assert data.network.site_ids == plain.network.site_ids
    for name, frame in plain.tables.items():
        keys = INPUT_TABLES[name].keys or INPUT_TABLES[name].names
        pd.testing.assert_frame_equal(
            data.tables[name].sort_values(keys, ignore_index=True), frame.sort_values(keys, ignore_index=True)
        )


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=8
)
ids = names.filter(
    lambda text: (
        text.strip("\ufeff\u200b '") == text and not text.startswith("#") and "e+" not in text.lower()
    )
)


@settings(max_examples=30, deadline=None)
@given(
    part_ids=st.lists(ids, min_size=1, max_size=5, unique=True),
    cost=st.floats(0, 1e12, allow_nan=False),
    quantity=st.floats(-1e9, 1e9, allow_nan=False),
)
def test_any_ids_and_numbers_survive_a_folder(tmp_path_factory, part_ids, cost, quantity) -> None:
    data = Dataset.from_frames(
        {
            "parts": pd.DataFrame(
                {"part_id": part_ids, "name": part_ids, "unit_cost": cost, "lead_time_days": 3}
            ),
            "sites": text_frames()["sites"].drop(columns="region_id"),
            "demand": pd.DataFrame(
                {
                    "part_id": part_ids,
                    "site_id": "HQ",
                    "month": pd.Timestamp("2024-02-01"),
                    "quantity": quantity,
                }
            ),
        }
    )
    assert data.parts["part_id"].tolist() == part_ids
    folder = tmp_path_factory.mktemp("round")
    write_folder({name: data.tables[name] for name in data.given}, folder)
    assert_same(read_dataset(folder), data)
