"""Exact joins, full grids, and the way between frames and arrays. No silent wrong answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem

FIRST_ROW = 2
"""Line of the first data row of a file whose header is line 1."""


def require_columns(frame: pd.DataFrame, columns: Iterable[str], table: str) -> None:
    """Refuse a frame that lacks columns.

    Parameters
    ----------
    frame : DataFrame
    columns : iterable of str
        All that must be there.
    table : str
        Name shown in the message.

    Raises
    ------
    DataError
        One problem per missing column, row 0.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        there = ", ".join(map(str, frame.columns)) or "no columns"
        raise DataError(
            [
                Problem(table, 0, name, "", "is a required column", f"add the column (there are: {there})")
                for name in missing
            ]
        )


def check_keys(frame: pd.DataFrame, keys: Sequence[str], table: str) -> None:
    """Refuse missing and doubled keys.

    Parameters
    ----------
    frame : DataFrame
    keys : sequence of str
        Columns that together name a row.
    table : str
        Name shown in the message.

    Raises
    ------
    DataError
        Every row whose key is missing or stood before.
    """
    require_columns(frame, keys, table)
    problems = []
    for name in keys:
        for position in np.flatnonzero(frame[name].isna().to_numpy()):
            problems.append(
                Problem(
                    table,
                    FIRST_ROW + int(position),
                    name,
                    "",
                    "is part of the key and empty",
                    "fill it in or drop the row",
                )
            )
    doubled = frame.duplicated(list(keys)).to_numpy()
    if doubled.any():
        first = first_positions(frame[list(keys)])
        for position in np.flatnonzero(doubled):
            problems.append(
                Problem(
                    table,
                    FIRST_ROW + int(position),
                    ", ".join(keys),
                    key_text(frame[list(keys)].iloc[[int(position)]])[0],
                    f"stands already in row {FIRST_ROW + first[position]}",
                    "keep one of the two rows",
                )
            )
    if problems:
        raise DataError(problems)


def join_exact(
    left: pd.DataFrame,
    right: pd.DataFrame,
    on: str | Sequence[str],
    columns: Sequence[str] | None = None,
    left_name: str = "left",
    right_name: str = "right",
) -> pd.DataFrame:
    """Join many rows to one each, by label and without loss.

    Parameters
    ----------
    left : DataFrame
        Its rows, order and index stay.
    right : DataFrame
        One row per key.
    on : str or sequence of str
        Key columns in both frames.
    columns : sequence of str, optional
        Columns to bring over; None: all that are no keys.
    left_name, right_name : str
        Names shown in messages.

    Returns
    -------
    DataFrame
        `left` with the columns of `right`.

    Raises
    ------
    DataError
        Keys of `left` that `right` lacks, doubled keys in `right`, missing columns, or a column that stands
        in both.
    """
    keys = [on] if isinstance(on, str) else list(on)
    left_name, right_name = left_name or "left", right_name or "right"
    require_columns(left, keys, left_name)
    brought = [name for name in right.columns if name not in keys] if columns is None else list(columns)
    require_columns(right, [*keys, *brought], right_name)
    clash = [name for name in brought if name in left.columns]
    if clash:
        raise DataError(
            [
                Problem(
                    left_name, 0, name, "", f"stands in {right_name} too", "name the columns to bring over"
                )
                for name in clash
            ]
        )
    check_keys(right, keys, right_name)
    found = positions(left[keys], right[keys])
    missing = np.flatnonzero(found < 0)
    if len(missing):
        lost = left[keys].iloc[missing]
        texts = key_text(lost)
        raise DataError(
            [
                Problem(
                    left_name,
                    FIRST_ROW + int(at),
                    ", ".join(keys),
                    text,
                    f"not in {right_name}",
                    f"add it to {right_name} or drop the row",
                )
                for at, text in zip(missing, texts)
            ]
        )
    picked = right[brought].iloc[found]
    picked.index = left.index
    return pd.concat([left, picked], axis=1)


def full_grid(**axes: Iterable[object]) -> pd.DataFrame:
    """Every combination of the values of some axes.

    Parameters
    ----------
    **axes : iterable
        Column name to its values, without repetition; the last one runs fastest.

    Returns
    -------
    DataFrame
        One column per axis, one row per combination.

    Raises
    ------
    DataError
        A value stands twice on an axis.
    """
    values = {
        name: pd.Series(axis if isinstance(axis, (pd.Series, pd.Index)) else list(axis))
        for name, axis in axes.items()
    }
    for name, axis in values.items():
        if axis.duplicated().any():
            raise DataError(
                [
                    Problem(
                        "full_grid",
                        0,
                        name,
                        str(axis[axis.duplicated()].iloc[0]),
                        "stands twice on its axis",
                        "give each value once",
                    )
                ]
            )
    sizes = [len(axis) for axis in values.values()]
    total = int(np.prod(sizes, dtype=np.int64)) if sizes else 0
    columns = {}
    inner = total
    for name, axis in values.items():
        inner = inner // len(axis) if len(axis) else 0
        outer = total // (inner * len(axis)) if inner else 0
        at = np.tile(np.repeat(np.arange(len(axis)), inner), outer)
        columns[name] = axis.reset_index(drop=True).take(at).reset_index(drop=True)
    return pd.DataFrame(columns)


def to_array(
    frame: pd.DataFrame,
    rows: str,
    columns: str,
    value: str,
    row_ids: Sequence[object] | pd.Index,
    column_ids: Sequence[object] | pd.Index,
    fill: float = 0.0,
) -> np.ndarray:
    """Spread a long frame over a matrix.

    Parameters
    ----------
    frame : DataFrame
        At most one row per pair of labels.
    rows, columns, value : str
        Columns that name the matrix row and column, and the number.
    row_ids, column_ids : sequence
        Labels of the matrix, in order.
    fill : float
        Where the frame has no row.

    Returns
    -------
    ndarray of float, shape (len(row_ids), len(column_ids))

    Raises
    ------
    DataError
        A pair stands twice, or a label is in neither list.
    """
    require_columns(frame, [rows, columns, value], "frame")
    place = [
        pd.Index(ids).get_indexer(pd.Index(frame[name]))
        for name, ids in ((rows, row_ids), (columns, column_ids))
    ]
    problems = []
    for name, found in zip((rows, columns), place):
        for at in np.flatnonzero(found < 0):
            problems.append(
                Problem(
                    "frame",
                    FIRST_ROW + int(at),
                    name,
                    str(frame[name].iloc[at]),
                    "is not among the labels",
                    "add the label or drop the row",
                )
            )
    if problems:
        raise DataError(problems)
    if not len(frame):
        return np.full((len(row_ids), len(column_ids)), fill)
    flat = place[0].astype(np.int64) * len(column_ids) + place[1]
    if len(np.unique(flat)) < len(flat):
        check_keys(frame, [rows, columns], "frame")
    out = np.full((len(row_ids), len(column_ids)), fill)
    out[place[0], place[1]] = frame[value].to_numpy(dtype=float)
    return out


def positions(wanted: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """Position of each wanted key among known ones; -1 where it is not there.

    Parameters
    ----------
    wanted, known : DataFrame
        The same key columns; keys of `known` stand once.

    Returns
    -------
    ndarray of int, shape (len(wanted),)
    """
    code_wanted, code_known = _codes(wanted, known)
    return pd.Index(code_known).get_indexer(code_wanted)


def first_positions(keys: pd.DataFrame) -> np.ndarray:
    """Position of the first row with the same key as each row.

    Parameters
    ----------
    keys : DataFrame

    Returns
    -------
    ndarray of int, shape (len(keys),)
    """
    codes = _codes(keys, keys.iloc[:0])[0]
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first[inverse]


def key_text(keys: pd.DataFrame) -> list[str]:
    """Keys as short text: `P-1, 华东, 2024-01-01`.

    Parameters
    ----------
    keys : DataFrame

    Returns
    -------
    list of str
    """
    parts = [
        column.dt.strftime("%Y-%m-%d") if column.dtype.kind == "M" else column.astype(str)
        for _, column in keys.items()
    ]
    return [", ".join(map(str, row)) for row in zip(*parts)]


def _codes(wanted: pd.DataFrame, known: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """One integer per key, the same in both frames."""
    code = np.zeros(len(wanted) + len(known), dtype=np.int64)
    for name in wanted.columns:
        both = pd.concat([wanted[name], known[name]], ignore_index=True)
        own, labels = pd.factorize(both, use_na_sentinel=False)
        code = code * max(len(labels), 1) + own
        # ranks stay below the number of rows, so products of many columns cannot overflow
        if name != wanted.columns[0]:
            code = pd.factorize(code)[0]
    return code[: len(wanted)], code[len(wanted) :]
