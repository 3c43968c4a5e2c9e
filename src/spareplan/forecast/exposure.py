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

SET_SHARE, POSITION_SHARE = 0.7, 0.8
# Hazard growth used to spread a failure over positions that nobody wrote down.
NOMINAL_SHAPE = 2.0
# A spell that ends as it begins, in ages: the event alone counts.
INSTANT = 1e-9


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


def successors(parts: pd.DataFrame) -> dict[str, str]:
    """Last successor of every superseded part.

    Parameters
    ----------
    parts : DataFrame
        part_id, superseded_by.

    Returns
    -------
    dict of str to str
        Only parts that have a successor; circles stop where they close.
    """
    after = parts.loc[parts["superseded_by"].notna(), ["part_id", "superseded_by"]]
    step = dict(zip(after["part_id"], after["superseded_by"]))
    out = {}
    for part in step:
        seen, here = {part}, step[part]
        while here in step and here not in seen:
            seen.add(here)
            here = step[here]
        out[part] = here
    return out


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
    moved = successors(data.parts)
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


def touched_spells(
    fleet: FleetHistory, clock: str, parts: NDArray[np.bool_], repaired: bool = False
) -> pd.DataFrame:
    """Spells of all pairs with a record, on one clock.

    Parameters
    ----------
    fleet : FleetHistory
    clock : {"hours", "days"}
    parts : ndarray of bool, shape (parts,)
        Which are wanted.
    repaired : bool
        A failure leaves the piece as old as its machine (minimal repair).

    Returns
    -------
    DataFrame
        part, machine, entry, exit, failed, planned, count, pieces, in_service, open, per_day: ages
        [hours or days]; `pieces` leave the shelf when the spell ends; `open` began before the records, so its
        entry age holds only if the piece is the first one; `per_day` is the machine's use on the day of the
        event [hours or days per day].
    """
    wanted = parts[fleet.touched["part"].to_numpy()]
    pairs = fleet.touched.assign(pair=np.arange(len(fleet.touched)))[wanted].reset_index(drop=True)
    ages, at = fleet.machines.ages[clock], pairs["machine"].to_numpy()
    pairs["born"] = ages.born[at]
    pairs["watched_from"], pairs["watched_to"] = ages.born[at] + ages.start[at], ages.born[at] + ages.stop[at]
    pairs["shortest"] = ages.shortest[at]
    pairs["in_service"] = fleet.machines.table["in_service"].to_numpy()[at]
    number = np.full(len(fleet.touched), -1)
    number[pairs["pair"]] = np.arange(len(pairs))
    pairs["pair"] = np.arange(len(pairs))
    events = fleet.events.assign(pair=number[fleet.events["pair"].to_numpy()])
    events = _timed_events(events[events["pair"] >= 0], pairs, ages, fleet.clock)
    if repaired:
        spells = _repaired(events, pairs)
    else:
        single, shared = _slots(events, pairs)
        spells = pd.concat([_chain(*single), _spread(*shared)], ignore_index=True)
    late = ages.stop - ages.watched.T if len(fleet.delays) > 1 else None
    owner = pairs.iloc[spells["pair"].to_numpy()]
    spells.insert(0, "machine", owner["machine"].to_numpy())
    spells.insert(0, "part", owner["part"].to_numpy())
    spells = spells.drop(columns="pair")
    if late is not None:
        spells = _end_early(spells, late)
    return spells


def _end_early(spells: pd.DataFrame, late: np.ndarray) -> pd.DataFrame:
    """Cut the last spell of each slot at every possible end of the reports, in equal shares.

    `late` is the use between the end of reports and today, shape (delays, machines). Rows keep what is in
    service today apart (`age`), as reports end but pieces go on ageing.
    """
    alive = spells["per_day"].isna().to_numpy()
    tail = spells[alive]
    copies = tail.loc[tail.index.repeat(len(late))].reset_index(drop=True)
    number = np.tile(np.arange(len(late)), len(tail))
    lost = late[number, copies["machine"].to_numpy()]
    room = copies["exit"] - copies["entry"]
    copies["exit"] = copies["entry"] + np.maximum(room - lost, INSTANT * copies["exit"])
    copies["count"] = copies["count"] / len(late)
    copies["age"] = copies["exit"] + np.minimum(lost, room * (1 - INSTANT))
    return pd.concat([spells[~alive].assign(age=spells["exit"][~alive]), copies], ignore_index=True)


def _timed_events(events: pd.DataFrame, pairs: pd.DataFrame, ages: Any, clock: Clock) -> pd.DataFrame:
    owner = pairs.iloc[events["pair"].to_numpy()]
    machine = owner["machine"].to_numpy()
    curve, factor = ages.curve[machine], ages.factor[machine]
    at = clock.at(curve, events["replaced_on"]) * factor
    later = clock.at(curve, events["replaced_on"] + pd.Timedelta(days=1)) * factor
    out = events.assign(at=at, per_day=later - at, fitted=owner["quantity"].to_numpy())
    inside = (at >= owner["watched_from"].to_numpy()) & (at <= owner["watched_to"].to_numpy())
    # Before the records began only a last replacement may be known: it starts the age, it is no failure seen.
    out["before"] = ~inside & (at < owner["watched_from"].to_numpy()) & (at >= owner["born"].to_numpy())
    return out[inside | out["before"]].reset_index(drop=True)


def _repaired(events: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Whole watch of each pair as time at risk, and every event as an instant of it."""
    seen = events[~events["before"].to_numpy(bool)]
    owner = pairs.iloc[seen["pair"].to_numpy()]
    age = np.maximum(seen["at"].to_numpy(float) - owner["born"].to_numpy(), owner["shortest"].to_numpy())
    instants = pd.DataFrame(
        {
            "pair": seen["pair"].to_numpy(),
            "entry": age * (1 - INSTANT),
            "exit": age,
            "failed": seen["failed"].to_numpy(bool),
            "planned": seen["planned"].to_numpy(bool),
            "count": np.minimum(seen["quantity"].to_numpy(float), owner["lives"].to_numpy()),
            "in_service": False,
            "per_day": seen["per_day"].to_numpy(),
        }
    )
    start = (pairs["watched_from"] - pairs["born"]).to_numpy()
    watch = pd.DataFrame(
        {
            "pair": pairs["pair"],
            "entry": start,
            "exit": np.maximum((pairs["watched_to"] - pairs["born"]).to_numpy(), start + pairs["shortest"]),
            "failed": False,
            "planned": False,
            "count": pairs["lives"],
            "in_service": pairs["in_service"],
            "per_day": np.nan,
        }
    )
    out = pd.concat([watch, instants], ignore_index=True)
    return out.assign(open=False, pieces=pairs["pieces"].to_numpy(float)[out["pair"].to_numpy()])


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


Slots = tuple[pd.DataFrame, pd.DataFrame]


def _slots(events: pd.DataFrame, pairs: pd.DataFrame) -> tuple[Slots, Slots]:
    """Split into slots with one piece (or set) each, and pairs whose positions are unknown."""
    single = pairs[pairs["mode"].isin(["one", "set"])].assign(slot=0)
    known = pairs[pairs["mode"] == "known"]
    copies = known.loc[known.index.repeat(known["quantity"].astype(int))]
    copies = copies.assign(slot=copies.groupby("pair").cumcount())
    mode = pairs["mode"].to_numpy()[events["pair"].to_numpy()]
    own = events[mode != "shared"].copy()
    # Position labels differ between companies: number them per part and fold them onto the slots there are.
    rank = own["position"].groupby(own["part"]).rank(method="dense").to_numpy(dtype=float) - 1
    slots = np.maximum(own["fitted"].to_numpy().astype(int), 1)
    own["slot"] = np.where(mode[mode != "shared"] == "known", rank % slots, 0)
    shared = pairs[pairs["mode"] == "shared"]
    return (own, pd.concat([single, copies])), (events[mode == "shared"], shared)


def _chain(events: pd.DataFrame, slots: pd.DataFrame) -> pd.DataFrame:
    """Spells of slots that hold one piece: from each replacement to the next, and to the end."""
    slots = slots.sort_values(["pair", "slot"], kind="stable", ignore_index=True)
    key = pd.MultiIndex.from_frame(slots[["pair", "slot"]].astype(np.int64))
    position = key.get_indexer(pd.MultiIndex.from_frame(events[["pair", "slot"]].astype(np.int64)))
    events = events.assign(row=position).sort_values(["row", "at"], kind="stable", ignore_index=True)
    row, at = events["row"].to_numpy(), events["at"].to_numpy(dtype=float)
    born, watched = slots["born"].to_numpy(), slots["watched_from"].to_numpy()
    first = np.diff(row, prepend=-1) != 0
    began = np.where(first, born[row], np.roll(at, 1)) if len(row) else at
    ended = np.diff(row, append=-1) != 0
    last = born.copy()
    last[row[ended]] = at[ended]
    known_before = np.zeros(len(slots), dtype=bool)
    known_before[row[ended]] = True
    before = events["before"].to_numpy(dtype=bool)
    began_open = first & (born[row] < watched[row])
    tail = pd.DataFrame(
        {
            "pair": slots["pair"],
            "began": last,
            "ended": slots["watched_to"],
            "failed": False,
            "planned": False,
            "row": np.arange(len(slots)),
            "open": ~known_before & (born < watched),
            "in_service": slots["in_service"],
            "per_day": np.nan,
        }
    )
    body = pd.DataFrame(
        {
            "pair": events["pair"],
            "began": began,
            "ended": at,
            "failed": events["failed"].to_numpy(bool),
            "planned": events["planned"].to_numpy(bool),
            "row": row,
            "open": began_open,
            "in_service": False,
            "per_day": events["per_day"],
        }
    )[~before]
    out = pd.concat([body, tail], ignore_index=True)
    taken = out.pop("row").to_numpy()
    out["entry"] = np.maximum(watched[taken] - out["began"], 0.0)
    shortest = slots["shortest"].to_numpy()[taken]
    out["exit"] = np.maximum(out["ended"] - out["began"], out["entry"] + shortest)
    out["count"], out["pieces"] = 1.0, slots["pieces"].to_numpy(dtype=float)[taken]
    return out.drop(columns=["began", "ended"])


def _spread(events: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Spells of pairs whose positions are unknown: each failure is shared out by hazard.

    All pairs take their first event together, then their second, and so on; every pair keeps its age classes
    (birth, weight).
    """
    pairs = pairs.reset_index(drop=True)
    row = (
        pd.Index(pairs["pair"]).get_indexer(pd.Index(events["pair"])) if len(pairs) else np.empty(0, np.int64)
    )
    events = events.assign(row=row, rank=events.groupby("pair").cumcount())
    most = int(events["rank"].max()) + 1 if len(events) else 0
    birth = np.zeros((len(pairs), most + 1))
    weight = np.zeros((len(pairs), most + 1))
    if len(pairs):
        birth[:, 0], weight[:, 0] = pairs["born"], pairs["quantity"]
    watched, shortest = pairs["watched_from"].to_numpy(dtype=float), pairs["shortest"].to_numpy(dtype=float)
    pieces = []
    for place, group in events.groupby("rank", sort=True):
        rank = int(str(place))
        r, at = group["row"].to_numpy(), group["at"].to_numpy(dtype=float)
        held = weight[r, : rank + 1]
        age = np.maximum(at[:, None] - birth[r, : rank + 1], shortest[r][:, None])
        quantity = np.minimum(group["quantity"].to_numpy(dtype=float), held.sum(axis=1))
        share = _share_out(held, age ** (NOMINAL_SHAPE - 1), quantity)
        weight[r, : rank + 1] = held - share
        birth[r, rank + 1], weight[r, rank + 1] = at, quantity
        line, column = np.nonzero((share > 1e-9) & ~group["before"].to_numpy(dtype=bool)[:, None])
        pieces.append(
            pd.DataFrame(
                {
                    "row": r[line],
                    "exit": age[line, column],
                    "column": column,
                    "failed": group["failed"].to_numpy(dtype=bool)[line],
                    "planned": group["planned"].to_numpy(dtype=bool)[line],
                    "in_service": False,
                    "count": share[line, column],
                    "per_day": group["per_day"].to_numpy(dtype=float)[line],
                }
            )
        )
    line, column = np.nonzero(weight > 1e-9)
    end = pairs["watched_to"].to_numpy(dtype=float)
    pieces.append(
        pd.DataFrame(
            {
                "row": line,
                "exit": end[line] - birth[line, column],
                "column": column,
                "failed": False,
                "planned": False,
                "in_service": pairs["in_service"].to_numpy(dtype=bool)[line],
                "count": weight[line, column],
                "per_day": np.nan,
            }
        )
    )
    out = pd.concat(pieces, ignore_index=True)
    r, column = out.pop("row").to_numpy(), out.pop("column").to_numpy()
    began = birth[r, column]
    out["entry"] = np.maximum(watched[r] - began, 0.0)
    out["exit"] = np.maximum(out["exit"], out["entry"] + shortest[r])
    out["open"] = (column == 0) & (began < watched[r])
    out["pair"] = pairs["pair"].to_numpy(dtype=np.int64)[r]
    out["pieces"] = 1.0
    return out


def _share_out(held: np.ndarray, hazard: np.ndarray, quantity: np.ndarray) -> np.ndarray:
    """Shares proportional to held x hazard, none above what is held, summing to `quantity`."""
    share = np.zeros_like(held)
    for _ in range(4):
        room = held - share
        missing = quantity - share.sum(axis=1)
        pull = room * hazard
        total = pull.sum(axis=1)
        add = pull * (missing / np.where(total > 0, total, 1.0))[:, None]
        share += np.minimum(add, room)
    return share


def _notes(machines: Machines, fitted: pd.DataFrame, moved: dict[str, str]) -> list[dict[str, Any]]:
    def note(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
        return {
            "stage": "forecast",
            "name": name,
            "value": value,
            "unit": unit,
            "origin": origin,
            "meaning": meaning,
        }

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
