"""Pairs of machine and part with a record, as spells: from each replacement to the next, and to the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.clock import Clock
from spareplan.forecast.exposure import FleetHistory

# Hazard growth used to spread a failure over positions that nobody wrote down.
NOMINAL_SHAPE = 2.0


# A spell that ends as it begins, in ages: the event alone counts.
INSTANT = 1e-9


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
