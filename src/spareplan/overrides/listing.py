"""What became of every override: who overruled whom, what the model says, what headquarters must approve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.overrides.laying import BOUNDS
from spareplan.tables.horizon import FrozenHorizon
from spareplan.tables.scopes import (
    WORDS,
    active_overrides,
    decision_keys,
    is_withdrawn,
    keyed,
    may_enter,
    reached,
    scope_words,
)
from spareplan.tables.supersession import newest_parts

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

APPLIED, EXPIRED, WITHDRAWN, UNMATCHED = "applied", "expired", "withdrawn", "unmatched"
OVERRULED, HELD, INSIDE = "overruled", "held by the frozen horizon", "inside the frozen horizon"
# Tables whose issued numbers stay inside the frozen horizon.
FROZEN_TABLES = ("demand", "orders", "levels")


def list_overrides(
    data: Dataset, as_of: pd.Timestamp, horizon: FrozenHorizon | None = None, **results: Any
) -> pd.DataFrame:
    """List every override with what became of it.

    Parameters
    ----------
    data : Dataset
        Uses overrides, parts, and sites for regions.
    as_of : Timestamp
        Last known day.
    horizon : FrozenHorizon, optional
        Weeks in which the plan issued before stays.
    **results : frozen results by table name
        demand, grades, levels, orders, crew: to count the rows that were reached; parts: the table as it was
        before overrides.

    Returns
    -------
    DataFrame
        The override's columns; status (applied; overruled: a later decision holds on all its rows; inside
        the frozen horizon: applied there, to be approved; held by the frozen horizon: not applied; unmatched,
        expired, withdrawn), rows (how many it reaches; NaN where the result was not given), model (its number
        there, the mean of several rows, or its words) and note.

    Raises
    ------
    DataError
        An override that no stage could follow.
    """
    out = data.overrides.reset_index(drop=True).copy()
    live = active_overrides(out, as_of)
    status = pd.Series(np.where(is_withdrawn(out), WITHDRAWN, EXPIRED), index=out.index, dtype=object)
    status[live.index] = APPLIED
    rows = pd.Series(np.nan, index=out.index)
    model, note = pd.Series("", index=out.index, dtype=object), _ends(out, status)
    newest = newest_parts(data.parts)
    for name in live["table"].unique():
        table = results.get(name) if name == "parts" else getattr(results.get(name), "table", None)
        if name == "parts" and table is None:
            table = data.parts
        if table is None:
            continue
        keys, mine = keyed(table.reset_index(drop=True), data), live[live["table"] == name]
        hits = dict(reached(keys, mine, newest))
        held = horizon.holds(keys) if horizon is not None and name in FROZEN_TABLES else None
        enters = may_enter(mine, horizon) if horizon is not None else pd.Series(True, index=mine.index)
        fresh = ~decision_keys(mine).isin(horizon.known if horizon is not None else [])
        laid = {at: _allowed(hit, held, bool(enters[at]), name) for at, hit in hits.items()}
        rivals = _rivals(laid, mine, len(keys))
        for at, hit in hits.items():
            rows[at] = len(hit)
            model[at] = _models(table, mine.loc[at], hit)
            inside = held is not None and bool(held[hit].any())
            if not len(hit):
                status[at] = UNMATCHED
            elif at in rivals:
                status[at], note[at] = OVERRULED, rivals[at]
            elif inside and not enters[at]:
                note[at] = "not decided after the plan that was issued; decide it anew to change that"
                status[at] = APPLIED if len(laid[at]) and name != "levels" else HELD
            elif inside and fresh[at]:
                status[at] = INSIDE
                note[at] = "what it changes was issued already"
            part = mine.loc[at, "part_id"]
            if len(hit) and not pd.isna(part) and not (keys["part_id"].iloc[hit] == part).all():
                note[at] = "; ".join(filter(None, [note[at], f"{newest[part]} took the place of {part}"]))
    return out.assign(rows=rows, status=status.astype(str), model=model, note=note)


def _allowed(
    hit: NDArray[np.int64], held: NDArray[np.bool_] | None, enters: bool, name: str
) -> NDArray[np.int64]:
    """Rows where it was laid: levels change all the same, only later."""
    return hit if held is None or enters or name == "levels" else hit[~held[hit]]


def _ends(out: pd.DataFrame, status: pd.Series) -> pd.Series:
    """Why those that count no more do so."""
    until = "counted until " + out["expires_on"].dt.strftime("%Y-%m-%d").fillna("")
    note = pd.Series(np.where(status == EXPIRED, until, ""), index=out.index, dtype=object)
    if "withdrawn_on" in out:
        back = out["withdrawn_on"].dt.strftime("%Y-%m-%d").fillna("")
        by = out["withdrawn_by"].astype(object).where(out["withdrawn_by"].notna(), "")
        why = out["withdrawn_why"].astype(object).where(out["withdrawn_why"].notna(), "")
        words = "taken back on " + back + " by " + by + (": " + why).where(why != "", "")
        note = note.where(status != WITHDRAWN, words)
    return note


def _models(table: pd.DataFrame, one: pd.Series, hit: NDArray[np.int64]) -> str:
    """What the model says in the rows an override reaches."""
    own = "base_stock" if one["column"] in BOUNDS else one["column"]
    column = f"model_{own}" if f"model_{own}" in table else own
    values = table[column].iloc[hit].dropna()
    if values.empty:
        return ""
    if one["column"] in WORDS:
        return ", ".join(sorted(values.astype(str).unique()))
    return f"{values.astype(float).mean():.4g}"


def _rivals(laid: dict[Any, NDArray[np.int64]], live: pd.DataFrame, rows: int) -> dict[Any, str]:
    """Overrides that hold on no row of theirs any more, and the later decisions that do."""
    found = {}
    for _, same in live.groupby("column", sort=False):
        holds = np.full(rows, -1)
        order = list(same.index)
        for place, at in enumerate(order):
            holds[laid[at]] = place
        for place, at in enumerate(order):
            by = np.unique(holds[laid[at]])
            if len(by) and place not in by:
                later = same.loc[[order[one] for one in by]]
                said = later["who"].astype(str) + " on " + later["when"].dt.strftime("%Y-%m-%d")
                found[at] = "overruled by " + ", ".join(said + " (" + later["value"].astype(str) + ")")
    return found


def override_exceptions(listed: pd.DataFrame, unit_cost: pd.Series) -> pd.DataFrame:
    """What headquarters must look at among the overrides.

    Parameters
    ----------
    listed : DataFrame
        From `list_overrides`.
    unit_cost : Series, indexed by part_id
        [money per piece]

    Returns
    -------
    DataFrame
        kind "override", part_id, site_id, region_id, money, machine_days, message, action: those inside the
        frozen horizon, those it holds, those that reach nothing, and cells where two planners disagree.
    """
    told = listed[listed["status"].isin([INSIDE, HELD, UNMATCHED, OVERRULED])]
    told = told[(told["status"] != OVERRULED) | _by_another(told)]
    words = told.apply(scope_words, axis=1) if len(told) else pd.Series(dtype=object)
    action = {
        INSIDE: "approve it, or withdraw it: the weeks it reaches were issued already",
        HELD: "decide it anew with today's date if it must change what was issued",
        UNMATCHED: "correct its part, site or month, or withdraw it",
        OVERRULED: "let the two planners agree on one number",
    }
    value = pd.to_numeric(told["value"], errors="coerce")
    change = (value - pd.to_numeric(told["model"], errors="coerce")).abs() * told["rows"].fillna(0)
    pieces = told["column"].isin(["mean", "base_stock", "quantity"])
    cost = told["part_id"].map(unit_cost).astype(float)
    return pd.DataFrame(
        {
            "kind": "override",
            "part_id": told["part_id"],
            "site_id": told["site_id"],
            "region_id": told["region_id"],
            "money": (change * cost).where(pieces, 0.0).fillna(0.0),
            "machine_days": 0.0,
            "message": [
                f"{table}.{column} = {value} by {who} for {where}: {status}"
                + (f" ({note})" if note else "")
                + (f", the model says {model}" if model else "")
                for table, column, value, who, where, status, note, model in zip(
                    told["table"], told["column"], told["value"], told["who"], words, told["status"],
                    told["note"], told["model"],
                )
            ],
            "action": told["status"].map(action),
        }
    )  # fmt: skip


def _by_another(told: pd.DataFrame) -> pd.Series:
    """Whether an overruled decision was another planner's, not the same one's second thought."""
    return pd.Series(
        [f"overruled by {who} on" not in str(note) for who, note in zip(told["who"], told["note"])],
        index=told.index,
        dtype=bool,
    )
