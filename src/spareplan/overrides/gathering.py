"""Overrides of all places in one list: the data's own, those of the plan store, those of the plan before."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pandas as pd

from spareplan.tables.scopes import decision_keys, is_withdrawn
from spareplan.tables.typed import OVERRIDE_COLUMNS, read_overrides, shaped_overrides

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

BACK = ["withdrawn_on", "withdrawn_by", "withdrawn_why"]


def add_override(
    data: Dataset, table: str, column: str, value: Any, who: str, why: str, **scope: Any
) -> Dataset:
    """Copy of a dataset with one override more.

    Parameters
    ----------
    data : Dataset
    table, column : str
        What it changes: "demand", "mean".
    value : number or str
    who, why : str
    **scope : part_id, site_id, region_id, month, when, expires_on
        An empty one means all; `when` is the last known day of the data if left out.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        It cannot be followed: unknown id, table, column or month, or a value the column cannot hold.
    """
    row = {"table": table, "column": column, "value": str(value), "who": who, "why": why, **scope}
    if row.get("when") is None:
        row["when"] = data.as_of()
    new = read_overrides(pd.DataFrame([row]), data.tables)
    own = data.overrides[list(OVERRIDE_COLUMNS)]
    # Typed again on the same day for the same cell, it is the same decision, mended.
    own = own[~decision_keys(own).isin(decision_keys(new))]
    return _with_overrides(data, pd.concat([own, new], ignore_index=True))


def gather_overrides(
    data: Dataset, typed: pd.DataFrame | None = None, before: pd.DataFrame | None = None
) -> tuple[Dataset, list[dict[str, str]]]:
    """Put the overrides of all places into a dataset.

    Parameters
    ----------
    data : Dataset
        Its own overrides are the planners' latest word where a decision stands in several places.
    typed : DataFrame, optional
        Kept by a plan store, those taken back too: what was taken back there counts nowhere.
    before : DataFrame, optional
        Of the plan before: they live on until they expire or are taken back.

    Returns
    -------
    Dataset
        With all of them; the same object where there are no others.
    left_out : list of dict
        what, reason, remedy: overrides of parts, sites or regions that the data knows no more.
    """
    others = [shaped_overrides(frame) for frame in (before, typed) if frame is not None and len(frame)]
    if not others:
        return data, []
    own = data.overrides[list(OVERRIDE_COLUMNS)]
    every = own
    for older in reversed(others):
        every = pd.concat([older[~decision_keys(older).isin(decision_keys(every))], every], ignore_index=True)
    back = pd.concat([frame[is_withdrawn(frame)] for frame in others], ignore_index=True)
    if len(back):
        # Taken back is one value of one decision; another value of the same day is a new one.
        names = decision_keys(every) + "\x1f" + every["value"].astype(str)
        last = back.set_index(decision_keys(back) + "\x1f" + back["value"].astype(str))[BACK]
        last = last[~last.index.duplicated(keep="last")]
        hit = names.isin(last.index) & every["withdrawn_on"].isna()
        for name in BACK:
            every[name] = every[name].where(~hit, names.map(last[name]))
    known, left_out = _still_known(every, data)
    return _with_overrides(data, every[known]), left_out


def _with_overrides(data: Dataset, rows: pd.DataFrame) -> Dataset:
    tables = dict(data.tables) | {"overrides": shaped_overrides(rows)}
    return dataclasses.replace(data, tables=tables, given=data.given | {"overrides"})


def _still_known(every: pd.DataFrame, data: Dataset) -> tuple[pd.Series, list[dict[str, str]]]:
    known = pd.Series(True, index=every.index)
    left_out = []
    for column, home in (("part_id", "parts"), ("site_id", "sites"), ("region_id", "regions")):
        if home not in data.given:
            continue
        lost = every[column].notna() & ~every[column].isin(data.tables[home][column])
        for row in every[lost & known].itertuples(index=False):
            left_out.append(
                {
                    "what": f"override {row.table}.{row.column} = {row.value} by {row.who}",
                    "reason": f"{getattr(row, column)} is not in {home}",
                    "remedy": f"withdraw it, or add {getattr(row, column)} to {home}",
                }
            )
        known &= ~lost
    return known, left_out
