"""Joins, grids and arrays give the right answer or none."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spareplan.errors import DataError
from spareplan.tables.frames import (
    check_keys,
    first_positions,
    full_grid,
    join_exact,
    positions,
    require_columns,
    to_array,
)

LEFT = pd.DataFrame({"part_id": ["b", "a", "b"], "n": [1, 2, 3]}, index=[7, 5, 9])
RIGHT = pd.DataFrame({"part_id": ["a", "b", "c"], "cost": [10.0, 20.0, 30.0], "name": ["A", "B", "C"]})


def test_a_join_keeps_rows_order_and_index() -> None:
    joined = join_exact(LEFT, RIGHT, "part_id", ["cost"])
    assert joined["cost"].tolist() == [20, 10, 20]
    assert joined.index.tolist() == [7, 5, 9]
    assert joined.columns.tolist() == ["part_id", "n", "cost"]
    assert LEFT.columns.tolist() == ["part_id", "n"]


def test_a_join_over_several_keys_agrees_with_a_merge() -> None:
    rng = np.random.default_rng(1)
    right = full_grid(
        part_id=[f"p{k}" for k in range(7)],
        site_id=["x", "y"],
        month=pd.date_range("2024", periods=3, freq="MS"),
    )
    right["value"] = rng.random(len(right))
    left = right.drop(columns="value").iloc[rng.integers(0, len(right), 60)].reset_index(drop=True)
    keys = ["part_id", "site_id", "month"]
    pd.testing.assert_frame_equal(join_exact(left, right, keys), left.merge(right, on=keys, how="left"))


def test_a_missing_key_is_refused_with_its_row() -> None:
    with pytest.raises(DataError) as caught:
        join_exact(LEFT, RIGHT.iloc[:1], "part_id", left_name="demand", right_name="parts")
    assert caught.value.problems[["table", "row", "value", "rule"]].values.tolist() == [
        ["demand", 2, "b", "not in parts"],
        ["demand", 4, "b", "not in parts"],
    ]


def test_a_doubled_key_is_refused_with_both_rows() -> None:
    with pytest.raises(DataError, match=r"parts\[row 5\].part_id = 'a': stands already in row 2"):
        join_exact(LEFT, pd.concat([RIGHT, RIGHT.iloc[:1]]), "part_id", right_name="parts")


def test_a_join_refuses_to_overwrite_a_column() -> None:
    with pytest.raises(DataError, match="stands in right too"):
        join_exact(LEFT, RIGHT.rename(columns={"cost": "n"}), "part_id")


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(DataError, match="part of the key and empty"):
        check_keys(pd.DataFrame({"part_id": ["a", None]}), ["part_id"], "parts")


def test_missing_columns_are_named_all_at_once() -> None:
    with pytest.raises(DataError) as caught:
        require_columns(LEFT, ["part_id", "x", "y"], "demand")
    assert caught.value.problems["column"].tolist() == ["x", "y"]


def test_a_grid_holds_every_combination_once() -> None:
    grid = full_grid(a=["x", "y", "z"], b=[1, 2], c=[True, False])
    assert list(grid.itertuples(index=False, name=None)) == list(
        itertools.product(["x", "y", "z"], [1, 2], [True, False])
    )


def test_a_grid_with_an_empty_axis_has_no_rows() -> None:
    assert full_grid(a=["x"], b=[]).shape == (0, 2)


def test_a_grid_refuses_doubled_values() -> None:
    with pytest.raises(DataError, match="twice"):
        full_grid(a=["x", "x"])


def test_a_frame_becomes_an_array() -> None:
    frame = pd.DataFrame({"p": ["b", "a"], "s": ["y", "x"], "v": [2.0, 1.0]})
    assert to_array(frame, "p", "s", "v", ["a", "b"], ["x", "y"], fill=-1).tolist() == [[1, -1], [-1, 2]]
    assert to_array(frame.iloc[:0], "p", "s", "v", ["a", "b"], ["x"]).tolist() == [[0], [0]]


def test_an_array_refuses_doubled_pairs_and_unknown_labels() -> None:
    frame = pd.DataFrame({"p": ["a", "a"], "s": ["x", "x"], "v": [1.0, 2.0]})
    with pytest.raises(DataError, match="stands already in row 2"):
        to_array(frame, "p", "s", "v", ["a"], ["x"])
    with pytest.raises(DataError, match="not among the labels"):
        to_array(frame.iloc[:1], "p", "s", "v", ["b"], ["x"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30))
def test_positions_agree_with_a_dictionary(rows: list[tuple[str, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["k", "n"]).astype({"k": "object", "n": "int64"})
    known = frame.drop_duplicates(ignore_index=True).iloc[::2].reset_index(drop=True)
    place = {key: at for at, key in enumerate(known.itertuples(index=False, name=None))}
    assert positions(frame, known).tolist() == [place.get(row, -1) for row in rows]
    assert first_positions(frame).tolist() == [rows.index(row) for row in rows]
