"""The error family: all problems at once, sorted, with the way out."""

from __future__ import annotations

import spareplan as sp
from spareplan.errors import Problem


def test_problems_are_sorted_by_table_and_row_and_told_in_one_message() -> None:
    error = sp.DataError(
        [
            Problem("units", 9, "site_id", "X", "is not in sites", "add the site or mend the row"),
            Problem("demand", 9, "part_id", "P-77", "not in parts", "add the part or drop the row"),
            Problem("demand", 0, "month", "", "is missing", "add the column"),
        ]
    )
    assert list(error.problems.columns) == ["table", "row", "column", "value", "rule", "remedy"]
    assert error.problems[["table", "row"]].values.tolist() == [["demand", 0], ["demand", 9], ["units", 9]]
    assert "demand[row 9].part_id = 'P-77': not in parts; add the part or drop the row" in str(error)


def test_a_long_list_is_shortened_in_the_message_but_not_in_the_frame() -> None:
    error = sp.DataError(
        [Problem("demand", row, "quantity", "x", "is no number", "mend it") for row in range(2, 40)]
    )
    assert len(error.problems) == 38
    assert "and 30 more problems" in str(error)


def test_rows_of_a_database_may_be_unknown() -> None:
    error = sp.DataError([Problem("demand", None, "part_id", "P1", "is doubled", "drop one")])
    assert error.problems["row"].isna().all()
    assert str(error).startswith("demand.part_id = 'P1'")


def test_the_family_has_one_ancestor() -> None:
    for child in (
        sp.DataError,
        sp.FitError,
        sp.InfeasibleError,
        sp.SolverError,
        sp.StoreError,
        sp.ExportError,
    ):
        assert issubclass(child, sp.SpareplanError)
