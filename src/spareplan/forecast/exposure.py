"""Units, fitment and replacements in, censored ages out: what every fitted piece has lived through so far.

Only pairs of machine and part with a record are listed. All other pieces of a product are as old as their
machine, so what they lived through is known from the machines alone (`life_sums`), for all its parts at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.clock import Clock
from spareplan.forecast.machines import Machines, machines_on_clocks
from spareplan.forecast.notes import note
from spareplan.tables.supersession import newest_parts

SET_SHARE, POSITION_SHARE = 0.7, 0.8


@dataclass(frozen=True)
class FleetHistory:
    """What is known about every fitted piece.

    Parameters
    ----------
    machines : Machines
    clock : Clock
    parts : Index
        Ids of all fitted parts, sorted; elsewhere `part` is a number in it.
    fitted : DataFrame
        part_id, part, product_id, quantity, mode, lives (pieces or sets followed on each machine), pieces
        (that leave the shelf when one of them ends); sorted, a row per part and product.
    touched : DataFrame
        part, product_id, machine, quantity, mode, lives, pieces: pairs with any record, sorted.
    events : DataFrame
        pair (row in `touched`), part, replaced_on, quantity, position (number of its label, -1 without),
        failed, planned (at an age, not at a visit); sorted.
    hours : ndarray of bool, shape (parts,)
        Whether the use of every machine that carries it, or will, is known.
    delays : ndarray, shape (n,)
        Equally likely delays of reports. [days]
    notes : list of dict
        Assumption rows.
    """

    machines: Machines
    clock: Clock
    parts: pd.Index
    fitted: pd.DataFrame
    touched: pd.DataFrame
    events: pd.DataFrame
    hours: NDArray[np.bool_]
    delays: np.ndarray
    notes: list[dict[str, Any]]


def fleet_history(
    data: Any,
    clock: Clock,
    records_from: pd.Series,
    as_of: pd.Timestamp,
    delays: np.ndarray | None = None,
    at_visits: NDArray[np.bool_] | None = None,
) -> FleetHistory:
    """Put machines, fitment and replacements together.

    Parameters
    ----------
    data : Dataset
        units, fitment, replacements, parts.
    clock : Clock
    records_from : Series
        site_id to the day from which its failures are known.
    as_of : Timestamp
        Last day that was known; later rows are not looked at.
    delays : ndarray, shape (n,), optional
        Equally likely delays of reports: so long before `as_of` watching ends. [days]
    at_visits : ndarray of bool, shape (replacements,), optional
        Planned replacements that inspection visits account for: they end a life at no age of their own.

    Returns
    -------
    FleetHistory

    Notes
    -----
    A planned replacement ends a spell without failure. Several positions of one part on a machine are
    followed one by one where replacements name the position, as one where they are always replaced together,
    and else each failure is spread over the pieces in proportion to their hazard at a nominal shape.
    """
    moved = newest_parts(data.parts)
    late = np.zeros(1) if delays is None else np.asarray(delays, dtype=float)
    fitted = data.fitment.assign(part_id=data.fitment["part_id"].replace(moved))
    fitted = fitted.groupby(["part_id", "product_id"], as_index=False, sort=True)["quantity"].max()
    fitted = fitted[fitted["quantity"] > 0].reset_index(drop=True)
    # Machines that carry no part say nothing about any.
    units = data.units[data.units["product_id"].isin(fitted["product_id"])]
    machines = machines_on_clocks(units, data.network, clock, records_from, as_of, late)
    parts = pd.Index(fitted["part_id"].drop_duplicates().astype(object))
    fitted.insert(1, "part", parts.get_indexer(pd.Index(fitted["part_id"])))
    events = data.replacements.assign(
        part_id=data.replacements["part_id"].replace(moved),
        failed=~data.replacements["planned"].to_numpy(bool),
        planned=data.replacements["planned"].to_numpy(bool) & ~(False if at_visits is None else at_visits),
    )
    # Known is what had happened, and had been reported, by then.
    happened = (events["replaced_on"] <= as_of) & ~(events["reported_on"] > as_of)
    events = events[happened].reset_index(drop=True)
    machine = pd.Index(machines.table["unit_id"]).get_indexer(pd.Index(events["unit_id"]))
    events = events.assign(machine=machine)[machine >= 0]
    events["product_id"] = machines.table["product_id"].to_numpy()[events["machine"].to_numpy()]
    keys = pd.MultiIndex.from_frame(fitted[["part_id", "product_id"]])
    row = keys.get_indexer(pd.MultiIndex.from_frame(events[["part_id", "product_id"]]))
    events = events.assign(fitted=row)[row >= 0]
    events["part"] = fitted["part"].to_numpy()[events["fitted"].to_numpy()]
    fitted["mode"] = _position_modes(events, fitted)[fitted["part"].to_numpy()]
    whole = fitted["mode"].isin(["one", "set"]).to_numpy()
    fitted["lives"] = np.where(whole, 1.0, fitted["quantity"])
    fitted["pieces"] = np.where(fitted["mode"] == "set", fitted["quantity"], 1.0)
    key = events["part"].to_numpy(np.int64) * max(len(machines), 1) + events["machine"].to_numpy(np.int64)
    _, first, events["pair"] = np.unique(key, return_index=True, return_inverse=True)
    pairs = events[["part", "machine", "fitted"]].iloc[first].reset_index(drop=True)
    facts = fitted[["product_id", "quantity", "mode", "lives", "pieces"]].iloc[pairs["fitted"].to_numpy()]
    touched = pd.concat([pairs.drop(columns="fitted"), facts.reset_index(drop=True)], axis=1)
    events["position"] = _position_numbers(events["position"])
    kept = events[["pair", "part", "replaced_on", "quantity", "position", "failed", "planned"]]
    # Once sorted by all facts, everything that follows is the same for any order of rows.
    order = ("position", "quantity", "planned", "failed", "replaced_on", "pair")
    kept = kept.iloc[np.lexsort([kept[name].to_numpy() for name in order])].reset_index(drop=True)
    notes = _notes(machines, fitted, moved)
    return FleetHistory(
        machines, clock, parts, fitted, touched, kept, _hours_known(machines, fitted, clock), late, notes
    )


def _position_numbers(position: pd.Series) -> NDArray[np.int64]:
    """Number of each label in their order, -1 without one."""
    return np.asarray(pd.factorize(position, sort=True)[0], dtype=np.int64)


def _hours_known(machines: Machines, fitted: pd.DataFrame, clock: Clock) -> NDArray[np.bool_]:
    """Whether the use of every machine that carries a part, or will, is known, by part."""
    unknown = set(machines.table["product_id"][~machines.metered])
    seen = {product for product, _ in clock.lookup} - unknown
    return fitted["product_id"].isin(seen).groupby(fitted["part"]).all().to_numpy(bool)


def _position_modes(events: pd.DataFrame, fitted: pd.DataFrame) -> NDArray[np.object_]:
    """How the positions of each part can be followed: one, set, known, shared."""
    several = fitted.groupby("part")["quantity"].max().to_numpy() > 1
    part, size = events["part"].to_numpy(), len(several)
    seen = np.bincount(part, minlength=size)
    on_machine = fitted["quantity"].to_numpy()[events["fitted"].to_numpy()]
    named, whole = (
        np.bincount(part, weights=hit, minlength=size) / np.maximum(seen, 1)
        for hit in (
            events["position"].notna().to_numpy(float),
            (events["quantity"] >= on_machine).to_numpy(float),
        )
    )
    # A part never replaced: one position at a time is the usual case.
    together = np.where((seen > 0) & (whole >= SET_SHARE), "set", "shared")
    return np.where(~several, "one", np.where(named >= POSITION_SHARE, "known", together)).astype(object)


def _notes(machines: Machines, fitted: pd.DataFrame, moved: dict[str, str]) -> list[dict[str, Any]]:
    modes = fitted.drop_duplicates("part")["mode"].value_counts()
    out = [
        note(
            "machines older than the records",
            int(machines.ages["days"].open.sum()),
            "machines",
            "data: regions.records_from, replacements",
            "left truncation: their first pieces count only from the age at which the records begin, and"
            " whether they still were the first ones is weighed by the life law",
        )
    ]
    words = {
        "set": "several pieces always replaced together: one life per set",
        "known": "positions named in the replacements: one life per position",
        "shared": "positions not named: each failure is shared out over the pieces by hazard",
    }
    out += [
        note(
            f"parts followed as '{mode}'",
            int(modes[mode]),
            "parts",
            "data: replacements.position, quantity",
            text,
        )
        for mode, text in words.items()
        if mode in modes
    ]
    if moved:
        out.append(
            note(
                "superseded parts",
                len(moved),
                "parts",
                "data: parts.superseded_by",
                "their machines, failures and demand belong to the successor",
            )
        )
    return out
