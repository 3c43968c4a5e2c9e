"""A plan in pieces: its frames as Parquet, its plain values as JSON, and what differs between two plans."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import pandas as pd

from spareplan import results
from spareplan.config import config_from
from spareplan.errors import StoreError
from spareplan.results import Plan, Result

ROWS_PER_PIECE = 1_000_000
STAGES: dict[str, type[Result]] = {
    "demand": results.DemandForecast,
    "grades": results.PartGrades,
    "levels": results.StockLevels,
    "check": results.Attainment,
    "orders": results.Orders,
    "crew": results.Headcount,
}
# What a difference is about: the columns a planner decides on, and what tells the rows apart.
COMPARED = {
    "demand": (["part_id", "site_id", "month"], ["mean"]),
    "levels": (["part_id", "site_id"], ["base_stock", "reorder_point", "order_quantity", "value"]),
    "orders": (["week", "part_id", "from_site_id", "to_site_id", "kind"], ["quantity", "value"]),
    "crew": (["region_id", "month", "skill"], ["required", "hire", "train"]),
    "grades": (["part_id"], ["planner", "tier", "target_fill_rate"]),
}
_DECISION = ["table", "column", "part_id", "site_id", "region_id", "month", "who", "when"]
_OF_OVERRIDES = ["value", "expires_on", "status"]


def take_apart(plan: Plan) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Split a plan into plain values and frames.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    content : dict
        What JSON can hold, and the names of the frames.
    frames : dict of str to DataFrame
        Named stage.field, such as "levels.table".

    Raises
    ------
    StoreError
        A result carries a value that is neither a frame nor plain.
    """
    frames: dict[str, pd.DataFrame] = {}
    stages: dict[str, dict[str, Any]] = {}
    for name in STAGES:
        result = getattr(plan, name)
        if result is not None:
            stages[name] = {}
            for field in dataclasses.fields(result):
                _sort(getattr(result, field.name), f"{name}.{field.name}", frames, stages[name], field.name)
    for name in ("exceptions", "assumptions", "left_out"):
        frames[name] = getattr(plan, name)
    if len(plan.last_buys.columns):
        frames["last_buys"] = plan.last_buys
    frames |= {f"inputs.{name}": frame for name, frame in plan.inputs.items()}
    content = {
        "stages": stages,
        "lines": list(plan.lines),
        "as_of": plan.as_of.isoformat(),
        "config": _config_values(plan.config),
        "frames": sorted(frames),
    }
    return content, frames


def _sort(value: Any, name: str, frames: dict[str, pd.DataFrame], plain: dict[str, Any], key: str) -> None:
    if isinstance(value, pd.DataFrame):
        # A frame without columns is one that was never given.
        if len(value.columns):
            frames[name] = value
    elif isinstance(value, pd.Timestamp):
        plain[key] = {"date": value.isoformat()}
    elif callable(value) or name == "levels.frontier":
        # What is computed when it is asked for needs the data again.
        return
    elif value is None or isinstance(value, (str, int, float, bool, tuple)):
        plain[key] = list(value) if isinstance(value, tuple) else value
    else:
        raise StoreError(
            f"{name} is a {type(value).__name__}, which the plan store cannot keep; store frames or numbers"
        )


def put_together(content: dict[str, Any], frames: dict[str, pd.DataFrame]) -> Plan:
    """Build the plan again that `take_apart` split.

    Parameters
    ----------
    content : dict
    frames : dict of str to DataFrame

    Returns
    -------
    Plan
    """
    stages: dict[str, Result | None] = dict.fromkeys(STAGES)
    for name, plain in content["stages"].items():
        values = {key: _plain(value) for key, value in plain.items()}
        prefix = f"{name}."
        values |= {key.removeprefix(prefix): frame for key, frame in frames.items() if key.startswith(prefix)}
        stages[name] = STAGES[name](**values)
    inputs = {
        key.removeprefix("inputs."): frame for key, frame in frames.items() if key.startswith("inputs.")
    }
    return Plan(
        **stages,  # type: ignore[arg-type]
        exceptions=frames["exceptions"],
        assumptions=frames["assumptions"],
        left_out=frames["left_out"],
        config=config_from(content["config"], "stored config"),
        as_of=pd.Timestamp(content["as_of"]),
        inputs=inputs,
        lines=tuple(content["lines"]),
        last_buys=frames.get("last_buys", pd.DataFrame()),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return pd.Timestamp(value["date"])
    return tuple(value) if isinstance(value, list) else value


def _config_values(config: Any) -> dict[str, Any]:
    from pydantic import TypeAdapter

    values = TypeAdapter(type(config)).dump_python(config, mode="json")
    return dict(values)


def parquet_pieces(frame: pd.DataFrame) -> Iterator[tuple[int, int, bytes]]:
    """Write a frame as Parquet, a million rows a piece.

    Parameters
    ----------
    frame : DataFrame

    Yields
    ------
    number, rows : int
    content : bytes
    """
    for number, start in enumerate(range(0, max(len(frame), 1), ROWS_PER_PIECE)):
        piece = frame.iloc[start : start + ROWS_PER_PIECE].reset_index(drop=True)
        buffer = io.BytesIO()
        piece.to_parquet(buffer, compression="zstd", index=False)
        yield number, len(piece), buffer.getvalue()


def differences(old: Plan, new: Plan) -> pd.DataFrame:
    """Say what changes from one plan to another.

    Parameters
    ----------
    old, new : Plan

    Returns
    -------
    DataFrame
        table, key (the row in words), column, before, after, change; the largest change first within a table
        and column. Rows that appear or vanish have an empty side.
    """
    # What planners decided stands before what follows from it.
    found = [_override_changes(old.inputs.get("applied_overrides"), new.inputs.get("applied_overrides"))]
    for name, (keys, columns) in COMPARED.items():
        before, after = getattr(old, name), getattr(new, name)
        if before is not None and after is not None:
            found.append(_changes(name, before.table, after.table, keys, columns))
    empty = pd.DataFrame(columns=["table", "key", "column", "before", "after", "change"])
    found = [frame for frame in found if len(frame)]
    return pd.concat(found, ignore_index=True) if found else empty


def _changes(
    name: str, before: pd.DataFrame, after: pd.DataFrame, keys: list[str], columns: list[str]
) -> pd.DataFrame:
    columns = [c for c in columns if c in before and c in after]
    both = before[keys + columns].merge(
        after[keys + columns], on=keys, how="outer", suffixes=(" before", " after")
    )
    words = pd.DataFrame({column: _words(both[column]) for column in keys})
    key = words[keys[0]].str.cat(words[keys[1:]], sep=" · ")
    parts = []
    for column in columns:
        old, new = both[f"{column} before"], both[f"{column} after"]
        same = (old == new) | (old.isna() & new.isna())
        if pd.api.types.is_numeric_dtype(old) and pd.api.types.is_numeric_dtype(new):
            change = new.fillna(0) - old.fillna(0)
            same |= (change.abs() <= 1e-9 * (1 + old.abs().fillna(0))) & (old.isna() == new.isna())
        else:
            change = pd.Series(float("nan"), index=both.index)
        part = pd.DataFrame(
            {
                "table": name,
                "key": key,
                "column": column,
                "before": old.astype(object),
                "after": new.astype(object),
                "change": change,
            }
        )[~same]
        parts.append(part.reindex(part["change"].abs().sort_values(ascending=False, kind="stable").index))
    return pd.concat(parts, ignore_index=True)


def _override_changes(before: pd.DataFrame | None, after: pd.DataFrame | None) -> pd.DataFrame:
    """Overrides that came, ended or were mended, the cell and the planner telling them apart."""
    sides = []
    for side in (before, after):
        frame = pd.DataFrame(columns=[*_DECISION, *_OF_OVERRIDES]) if side is None else side
        sides.append(frame.reindex(columns=[*_DECISION, *_OF_OVERRIDES]).drop_duplicates(_DECISION))
    if not len(sides[0]) and not len(sides[1]):
        return pd.DataFrame()
    for name in _DECISION:
        sides = [side.assign(**{name: _words(side[name])}) for side in sides]
    return _changes("overrides", sides[0], sides[1], _DECISION, _OF_OVERRIDES)


def _words(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.strftime("%Y-%m-%d").fillna("")
    return column.where(column.notna(), "").astype(str)
