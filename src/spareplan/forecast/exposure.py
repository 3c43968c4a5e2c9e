"""Units, fitment and replacements in, censored ages out: what every fitted piece has lived through so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spareplan.forecast.clock import CALENDAR, Clock

# Two replacements on one day still are two: the second piece lived this long. [days]
SHORTEST_LIFE_DAYS = 0.5
SET_SHARE, POSITION_SHARE = 0.7, 0.8
# Hazard growth used to spread a failure over positions that nobody wrote down.
NOMINAL_SHAPE = 2.0


@dataclass(frozen=True)
class FleetHistory:
    """What is known about every fitted piece.

    Parameters
    ----------
    spells : DataFrame
        part_id, unit_id, site_id, curve, factor, entry, exit, failed, planned, count, pieces, in_service,
        open: ages in the part's clock [hours or days]; `pieces` leave the shelf when the spell ends; `open`
        began before the records, so its entry age holds only if the piece is the first one.
    clock_of_part : Series
        part_id to "hours" or "days".
    notes : list of dict
        Assumption rows.
    """

    spells: pd.DataFrame
    clock_of_part: pd.Series
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


def fleet_history(data: Any, clock: Clock, records_from: pd.Series, as_of: pd.Timestamp) -> FleetHistory:
    """Spells of every piece fitted to the machines.

    Parameters
    ----------
    data : Dataset
        units, fitment, replacements, parts.
    clock : Clock
    records_from : Series
        site_id to the day from which its failures are known.
    as_of : Timestamp
        Last day that was known; later rows are not looked at.

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
    units = data.units[data.units["commissioned_on"] <= as_of]
    fitted = data.fitment.assign(part_id=data.fitment["part_id"].replace(moved))
    fitted = fitted.groupby(["product_id", "part_id"], as_index=False, sort=True)["quantity"].max()
    events = data.replacements[data.replacements["replaced_on"] <= as_of]
    events = events.assign(part_id=events["part_id"].replace(moved))
    pairs = units[["unit_id", "product_id", "site_id", "commissioned_on", "retired_on"]].merge(
        fitted, on="product_id"
    )
    pairs = pairs.sort_values(["part_id", "unit_id"], kind="stable", ignore_index=True)
    number = pd.Series(np.arange(len(pairs)), index=pd.MultiIndex.from_frame(pairs[["unit_id", "part_id"]]))
    wanted = pd.MultiIndex.from_frame(events[["unit_id", "part_id"]])
    at = number.index.get_indexer(wanted) if len(pairs) else np.full(len(events), -1)
    events = events.assign(pair=at)[at >= 0]
    clock_of_part = _clock_of_parts(pairs, clock)
    pairs = _timed(pairs, clock, clock_of_part, records_from, as_of)
    events = _timed_events(events, pairs, clock)
    pairs["mode"] = pairs["part_id"].map(_position_modes(events, pairs)).fillna("one")
    single, shared = _slots(events, pairs)
    spells = pd.concat([_chain(*single), _spread(*shared)], ignore_index=True)
    notes = _notes(pairs, moved)
    columns = ["part_id", "unit_id", "site_id", "curve", "factor"]
    facts = pairs[columns].iloc[spells["pair"].to_numpy()].reset_index(drop=True)
    spells = pd.concat([facts, spells.drop(columns="pair")], axis=1)
    spells = spells.sort_values(["part_id", "unit_id", "entry", "exit"], kind="stable", ignore_index=True)
    return FleetHistory(spells, clock_of_part, notes)


def _clock_of_parts(pairs: pd.DataFrame, clock: Clock) -> pd.Series:
    """Hours where every machine that carries the part has known use."""
    known = pd.Series(clock.curve[pairs["unit_id"]].to_numpy() != CALENDAR, index=pairs.index)
    every = known.groupby(pairs["part_id"]).all()
    return pd.Series(np.where(every, "hours", "days"), index=every.index)


def _timed(
    pairs: pd.DataFrame, clock: Clock, clock_of_part: pd.Series, records_from: pd.Series, as_of: pd.Timestamp
) -> pd.DataFrame:
    """Clock readings of each pair: born, watched from, watched to."""
    hours = (pairs["part_id"].map(clock_of_part) == "hours").to_numpy()
    curve = np.where(hours, clock.curve[pairs["unit_id"]].to_numpy(), CALENDAR)
    factor = np.where(hours, clock.factor[pairs["unit_id"]].to_numpy(), 1.0)
    tomorrow = as_of + pd.Timedelta(days=1)
    end = pairs["retired_on"].where(pairs["retired_on"] <= as_of, tomorrow)
    begin = pairs["site_id"].map(records_from)
    begin = begin.where(begin > pairs["commissioned_on"], pairs["commissioned_on"])
    out = pairs.assign(curve=curve, factor=factor, in_service=(end == tomorrow).to_numpy())
    out["born"] = clock.at(curve, pairs["commissioned_on"]) * factor
    out["watched_from"] = clock.at(curve, begin) * factor
    out["watched_to"] = np.maximum(clock.at(curve, end) * factor, out["watched_from"])
    per_day = clock.at(curve, pd.DatetimeIndex([tomorrow] * len(pairs))) - clock.at(
        curve, pd.DatetimeIndex([as_of] * len(pairs))
    )
    out["shortest"] = SHORTEST_LIFE_DAYS * np.maximum(per_day, 1e-6) * factor
    return out


def _timed_events(events: pd.DataFrame, pairs: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    owner = pairs.iloc[events["pair"].to_numpy()]
    at = clock.at(owner["curve"].to_numpy(), events["replaced_on"]) * owner["factor"].to_numpy()
    out = events.assign(at=at, fitted=owner["quantity"].to_numpy(), part_id=owner["part_id"].to_numpy())
    inside = (at >= owner["watched_from"].to_numpy()) & (at <= owner["watched_to"].to_numpy())
    # Before the records began only a last replacement may be known: it starts the age, it is no failure seen.
    out["before"] = ~inside & (at < owner["watched_from"].to_numpy()) & (at >= owner["born"].to_numpy())
    return out[inside | out["before"]].sort_values(["pair", "at"], kind="stable", ignore_index=True)


def _position_modes(events: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """How the positions of each part can be followed: one, set, known, shared."""
    several = pairs.groupby("part_id")["quantity"].max() > 1
    groups = events.groupby("part_id")
    named = events["position"].notna().groupby(events["part_id"]).mean().reindex(several.index).fillna(0.0)
    whole = (events["quantity"] >= events["fitted"]).groupby(events["part_id"]).mean()
    whole = whole.reindex(several.index).fillna(0.0)
    # A part never replaced: one position at a time is the usual case.
    seen = groups.size().reindex(several.index).fillna(0) > 0
    mode = np.where(
        ~several,
        "one",
        np.where(named >= POSITION_SHARE, "known", np.where(seen & (whole >= SET_SHARE), "set", "shared")),
    )
    return pd.Series(mode, index=several.index)


Slots = tuple[pd.DataFrame, pd.DataFrame]


def _slots(events: pd.DataFrame, pairs: pd.DataFrame) -> tuple[Slots, Slots]:
    """Split into slots with one piece (or set) each, and pairs whose positions are unknown."""
    pairs = pairs.assign(pair=np.arange(len(pairs)))
    alone = pairs["mode"].isin(["one", "set"])
    single = pairs[alone].assign(
        slot=0, pieces=np.where(pairs["mode"][alone] == "set", pairs["quantity"][alone], 1.0)
    )
    known = pairs[pairs["mode"] == "known"]
    copies = known.loc[known.index.repeat(known["quantity"].astype(int))]
    copies = copies.assign(slot=copies.groupby("pair").cumcount(), pieces=1.0)
    mode = pairs["mode"].to_numpy()[events["pair"].to_numpy()]
    own = events[mode != "shared"].copy()
    # Position labels differ between companies: number them per part and fold them onto the slots there are.
    label = own["position"].fillna("").astype(str)
    rank = label.groupby(own["part_id"]).transform(lambda text: pd.factorize(text, sort=True)[0])
    slots = np.maximum(own["fitted"].to_numpy().astype(int), 1)
    own["slot"] = np.where(mode[mode != "shared"] == "known", rank.to_numpy(dtype=float) % slots, 0)
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
        }
    )
    body = pd.DataFrame(
        {
            "pair": events["pair"],
            "began": began,
            "ended": at,
            "failed": ~events["planned"].to_numpy(bool),
            "planned": events["planned"].to_numpy(bool),
            "row": row,
            "open": began_open,
            "in_service": False,
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
        planned = group["planned"].to_numpy(dtype=bool)[line]
        pieces.append(
            pd.DataFrame(
                {
                    "row": r[line],
                    "exit": age[line, column],
                    "column": column,
                    "failed": ~planned,
                    "planned": planned,
                    "in_service": False,
                    "count": share[line, column],
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


def _notes(pairs: pd.DataFrame, moved: dict[str, str]) -> list[dict[str, Any]]:
    def note(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
        return {
            "stage": "forecast",
            "name": name,
            "value": value,
            "unit": unit,
            "origin": origin,
            "meaning": meaning,
        }

    old = pairs["born"] < pairs["watched_from"]
    machines = pairs.loc[old, "unit_id"].nunique()
    modes = pairs.drop_duplicates("part_id")["mode"].value_counts()
    out = [
        note(
            "machines older than the records",
            machines,
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
