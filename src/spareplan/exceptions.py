"""What a planner must look at, worst first, each with the action to take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spareplan.maths.units import DAYS_PER_WEEK
from spareplan.results import Attainment, DemandForecast, Headcount, Orders, StockLevels
from spareplan.tables.schema import TEXT
from spareplan.tables.supersession import newest_parts
from spareplan.tables.taken import demand_to_learn

EXCEPTION_COLUMNS = [
    "rank",
    "kind",
    "part_id",
    "site_id",
    "region_id",
    "money",
    "machine_days",
    "message",
    "action",
]
# A forecast this many times above or below the last year's demand is worth a look ...
SURPRISE_RATIO = 2.5
# ... where it moves at least this many pieces a year.
SURPRISE_PIECES = 3.0
# One-off projects older than this hardly drive the stock. [months]
RECENT_MONTHS = 12
# Share of a part's demand that must come from its history before that speaks for the part.
HISTORY_SHARE = 0.5
# Less of a person or a person-month is no step.
LEAST_PEOPLE = 0.05


def find_exceptions(
    data: Any,
    demand: DemandForecast,
    levels: StockLevels,
    check: Attainment | None,
    orders: Orders,
    crew: Headcount | None,
    as_of: pd.Timestamp,
    least: float = 0.0,
    more: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """List what a planner must look at, worst first, each with the action to take.

    Parameters
    ----------
    data : Dataset
    demand, levels, check, orders, crew
        Results of the stages; check and crew may be None.
    as_of : Timestamp
        Last day that is known.
    least : float
        What is worth less is left out. [money]
    more : DataFrame, optional
        Exceptions that a stage found itself, such as last buys: kind, part_id, site_id, region_id, money,
        machine_days, message, action.

    Returns
    -------
    DataFrame
        EXCEPTION_COLUMNS. Machine-days are expected days of standing machines within the supply lead time;
        their cost (products' downtime cost where given) plus the money at stake gives the rank.
    """
    stand = _positions(data, demand, levels)
    series = _series(stand, demand)
    ending = _ending(series)
    found = [
        _shortages(stand, orders),
        _excess(stand, ending, newest_parts(data.parts)),
        ending,
        _one_offs(series),
        _starting(series),
        _returned(series),
        _late_orders(data, as_of),
        _surprises(data, demand, as_of),
        pd.DataFrame() if more is None else more,
        _broken_promises(check),
        _missing_engineers(crew),
    ]
    found = [frame for frame in found if len(frame)]
    if not found:
        return pd.DataFrame(columns=EXCEPTION_COLUMNS)
    table = pd.concat([frame.astype(object) for frame in found], ignore_index=True)
    downtime = _downtime_cost(data)
    region = data.sites.set_index("site_id")["region_id"]
    table["region_id"] = table["region_id"].where(table["region_id"].notna(), table["site_id"].map(region))
    for column in ("money", "machine_days"):
        table[column] = table[column].astype(float).fillna(0.0)
    per_day = table["part_id"].map(downtime).astype(float).fillna(downtime.median() if len(downtime) else 0.0)
    table["weight"] = table["money"] + table["machine_days"] * per_day
    by_part = table["part_id"].notna()
    # Headquarters decides on overrides however little they are worth.
    table = table[~by_part | (table["weight"] >= least) | (table["kind"] == "override")]
    table = table.sort_values(
        ["weight", "kind", "part_id", "site_id"],
        ascending=[False, True, True, True],
        kind="stable",
        na_position="last",
    )
    table["rank"] = np.arange(1, len(table) + 1)
    text = ["kind", "part_id", "site_id", "region_id", "message", "action"]
    table[text] = table[text].astype(object).where(table[text].notna(), None).astype(TEXT)
    return table[EXCEPTION_COLUMNS].reset_index(drop=True)


def _positions(data: Any, demand: DemandForecast, levels: StockLevels) -> pd.DataFrame:
    """Levels beside stock on hand, on order, and what is asked for within the supply lead time."""
    keys = ["part_id", "site_id"]
    table = levels.table[[*keys, "base_stock", "demand_per_day", "mean_wait_days", "value"]]
    stock = data.stock[[*keys, "on_hand", "reserved", "on_order", "backorders"]].fillna(
        {"reserved": 0, "on_order": 0, "backorders": 0}
    )
    coming = (
        data.open_orders.rename(columns={"to_site_id": "site_id"})
        .groupby(keys, as_index=False)["quantity"]
        .sum()
    )
    stand = table.merge(stock, on=keys, how="outer").merge(coming, on=keys, how="left")
    numbers = ["base_stock", "demand_per_day", "on_hand", "reserved", "on_order", "backorders", "quantity"]
    stand[numbers] = stand[numbers].astype(float).fillna(0.0)
    # open_orders list what stock.on_order sums up; where both are given the larger one is the truth.
    stand["coming"] = np.maximum(stand["on_order"], stand["quantity"])
    parts = data.parts.set_index("part_id")
    stand["unit_cost"] = stand["part_id"].map(parts["unit_cost"]).astype(float)
    lead = data.sites.set_index("site_id")
    from_parent = lead["lead_time_days"].where(lead["parent_id"].notna())
    stand["lead"] = (
        stand["site_id"]
        .map(from_parent)
        .astype(float)
        .fillna(stand["part_id"].map(parts["lead_time_days"]).astype(float))
    )
    horizon = demand.table.groupby(keys)["mean"].sum().rename("horizon").reset_index()
    return stand.merge(horizon, on=keys, how="left").fillna({"horizon": 0.0})


def _shortages(stand: pd.DataFrame, orders: Orders) -> pd.DataFrame:
    """Parts that will be owed in spite of the planned orders: expected backorders of the coming weeks."""
    ahead = orders.projection
    if ahead.empty:
        return pd.DataFrame(columns=EXCEPTION_COLUMNS)
    owed = ahead[ahead["backorders"] > 0]
    frame = owed.groupby(["part_id", "site_id"], as_index=False).agg(
        machine_days=("backorders", "sum"), most=("backorders", "max"), first=("week", "min")
    )
    frame["machine_days"] *= DAYS_PER_WEEK
    frame = frame[frame["machine_days"] >= 1].merge(stand, on=["part_id", "site_id"], how="left")
    columns = ("most", "first", "on_hand", "base_stock", "coming")
    told = _told(
        frame,
        "shortage",
        0.0,
        [
            f"up to {m:.1f} pieces will be owed from the week of {w:%Y-%m-%d} on; "
            f"{h:g} on hand against a level of {b:g}, {c:g} on the way"
            for m, w, h, b, c in zip(*(frame[name] for name in columns))
        ],
        np.where(frame["coming"] > 0, "expedite what is on the way", "borrow from a neighbour or buy faster"),
    )
    return told.assign(machine_days=frame["machine_days"])


def _excess(stand: pd.DataFrame, ending: pd.DataFrame, newest: dict[str, str]) -> pd.DataFrame:
    over = stand["on_hand"] + stand["coming"] - stand["base_stock"] - stand["horizon"]
    keys = ["part_id", "site_id"]
    told = pd.MultiIndex.from_frame(stand[keys]).isin(pd.MultiIndex.from_frame(ending[keys]))
    frame = stand.assign(over=over, money=over * stand["unit_cost"])[(over >= 1) & ~told]
    return _told(
        frame,
        "excess",
        frame["money"],
        [
            f"{o:.0f} pieces more than the level and the whole horizon's demand, worth {m:,.0f}"
            for o, m in zip(frame["over"], frame["money"])
        ],
        [
            f"use up before buying {newest[p]}, which takes its place"
            if p in newest
            else "redeploy before buying; stop what is on order"
            for p in frame["part_id"]
        ],
    )


def _series(stand: pd.DataFrame, demand: DemandForecast) -> pd.DataFrame:
    """What demand histories do, beside levels and stock; only where history is most of the demand."""
    keys = ["part_id", "site_id"]
    if demand.series.empty:
        more = ["state", "periods", "outliers", "outlier_since", "outlier_pieces", "outlier_usual"]
        more += ["outlier_periods", "issued", "returned", "reason"]
        return stand.iloc[:0].reindex(columns=[*stand.columns, *more])
    share = demand.table.groupby(keys)[["from_history", "mean"]].sum().reset_index()
    share = share[share["from_history"] >= HISTORY_SHARE * share["mean"]]
    return demand.series.merge(share[keys], on=keys).merge(stand, on=keys)


def _ending(series: pd.DataFrame) -> pd.DataFrame:
    """Series that die with pieces in stock, and dead ones that still have a level."""
    dead = (series["state"] == "dead").to_numpy(bool)
    idle = (series["on_hand"] + series["coming"] - series["horizon"]).to_numpy(float)
    idle = np.maximum(idle, np.where(dead, series["base_stock"], 0.0))
    use = (dead | (series["state"] == "dying").to_numpy(bool)) & (idle >= 1)
    frame, idle, dead = series[use], idle[use], dead[use]
    columns = ("reason", "on_hand", "coming", "base_stock", "horizon")
    return _told(
        frame,
        np.where(dead, "dead", "dying"),
        idle * frame["unit_cost"],
        [
            f"{r}; {h:g} on hand and {c:g} coming against a level of {b:g}, {d:.1f} expected in the horizon"
            for r, h, c, b, d in zip(*(frame[name] for name in columns))
        ],
        np.where(
            dead,
            "set the level to 0 unless a machine still needs it; offer the stock elsewhere",
            "stop buying; let the stock run down or send it where it is still asked for",
        ),
    )


def _one_offs(series: pd.DataFrame) -> pd.DataFrame:
    """Demands that look like a project, where they stand behind a level."""
    frame = series[(series["outliers"] > 0) & (series["base_stock"] >= 1)]
    frame = frame[frame["outlier_since"] < RECENT_MONTHS]
    more = frame["outlier_pieces"] - frame["outliers"] * frame["outlier_usual"]
    columns = ("outlier_pieces", "outlier_periods", "outlier_usual", "base_stock")
    return _told(
        frame,
        "one-off",
        np.minimum(more, frame["base_stock"]) * frame["unit_cost"],
        [
            f"{n:g} pieces in {w}, usual is {u:.3g}; the level of {b:g} counts on it"
            for n, w, u, b in zip(*(frame[name] for name in columns))
        ],
        "if it was a project that will not come again, write its pieces into demand.one_off",
    )


def _starting(series: pd.DataFrame) -> pd.DataFrame:
    """Series too young to speak for themselves."""
    frame = series[(series["state"] == "new") & (series["base_stock"] >= 1)]
    return _told(
        frame,
        "new part",
        frame["base_stock"] * frame["unit_cost"],
        [
            f"only {n:.0f} months of history; the level of {b:g} rests on other parts"
            for n, b in zip(frame["periods"], frame["base_stock"])
        ],
        "name the part it takes over from (superseded_by), or override the demand by the launch plan",
    )


def _returned(series: pd.DataFrame) -> pd.DataFrame:
    frame = series[(series["returned"] > 0) & (series["returned"] >= series["issued"])]
    return _told(
        frame,
        "returned pieces",
        frame["returned"] * frame["unit_cost"],
        [f"{r:g} pieces came back, {q:g} were taken" for r, q in zip(frame["returned"], frame["issued"])],
        "check that returns are booked to the part and site that the pieces left from",
    )


def _told(frame: pd.DataFrame, kind: Any, money: Any, said: list[str], action: Any) -> pd.DataFrame:
    """Exceptions of parts at sites, the message led by both."""
    places = [f"{part} at {site}: " for part, site in zip(frame["part_id"], frame["site_id"])]
    said = [place + text for place, text in zip(places, said)]
    return _listed(kind, said, action, money, part_id=frame["part_id"], site_id=frame["site_id"])


def _listed(
    kind: Any, said: list[str], action: Any, money: Any = 0.0, machine_days: float = 0.0, **ids: Any
) -> pd.DataFrame:
    """Exceptions as rows; of part_id, site_id and region_id those that are given."""
    place: dict[str, Any] = {"part_id": None, "site_id": None, "region_id": None}
    worth = {"money": money, "machine_days": machine_days}
    return pd.DataFrame({"kind": kind, **place, **ids, **worth, "message": said, "action": action})


def _late_orders(data: Any, as_of: pd.Timestamp) -> pd.DataFrame:
    late = data.open_orders[data.open_orders["due_on"] <= as_of]
    cost = late["part_id"].map(data.parts.set_index("part_id")["unit_cost"]).astype(float)
    days = (as_of - late["due_on"]).dt.days
    said = [
        f"order {o}: {q:g} x {p} for {s} was due {d} days ago"
        for o, q, p, s, d in zip(
            late["order_id"], late["quantity"], late["part_id"], late["to_site_id"], days
        )
    ]
    return _listed(
        "late order",
        said,
        "ask the sender for a new date",
        cost * late["quantity"],
        part_id=late["part_id"],
        site_id=late["to_site_id"],
    )


def _surprises(data: Any, demand: DemandForecast, as_of: pd.Timestamp) -> pd.DataFrame:
    """Parts whose forecast differs much from what the last twelve months asked for."""
    start = as_of - pd.DateOffset(years=1)
    taken = data.replacements[data.replacements["replaced_on"] > start]
    sold = demand_to_learn(data, as_of)
    past = taken.groupby(taken["part_id"].replace(newest_parts(data.parts)))["quantity"].sum()
    past = past.add(sold[sold["month"] > start].groupby("part_id")["quantity"].sum(), fill_value=0.0)
    months = demand.table["month"].nunique()
    ahead = demand.table.groupby("part_id")["mean"].sum() * 12 / max(months, 1)
    both = pd.DataFrame({"past": past, "ahead": ahead}).fillna(0.0)
    ratio = (both["ahead"] + 0.5) / (both["past"] + 0.5)
    odd = both[
        ((ratio > SURPRISE_RATIO) | (ratio < 1 / SURPRISE_RATIO))
        & ((both["ahead"] - both["past"]).abs() > SURPRISE_PIECES)
    ]
    cost = odd.index.map(data.parts.set_index("part_id")["unit_cost"]).to_numpy(dtype=float)
    return _listed(
        "surprise",
        [
            f"{p}: {a:.0f} a year are forecast, {b:.0f} were taken in the last twelve months"
            for p, a, b in zip(odd.index, odd["ahead"], odd["past"])
        ],
        "look at the machines behind it; override with a reason if you know better",
        (odd["ahead"] - odd["past"]).abs().to_numpy() * cost,
        part_id=odd.index,
    )


def _broken_promises(check: Attainment | None) -> pd.DataFrame:
    if check is None:
        return pd.DataFrame(columns=EXCEPTION_COLUMNS)
    broken = check.table[~check.table["kept"].astype(bool)]
    columns = ("group", "measure", "achieved", "promised")
    return _listed(
        "promise",
        [
            f"{g}: {m} {a:.3g} simulated against {p:.3g} promised"
            for g, m, a, p in zip(*(broken[name] for name in columns))
        ],
        "raise the levels of this group or lower its promise",
        machine_days=1.0,
    )


def _missing_engineers(crew: Headcount | None) -> pd.DataFrame:
    """Regions short of engineers in their fullest month; money: what the plan spends and leaves missing."""
    if crew is None or crew.table.empty:
        return pd.DataFrame(columns=EXCEPTION_COLUMNS)
    keys = ["region_id", "month"]
    sums = crew.table.groupby(keys, as_index=False)[["required", "headcount"]].sum()
    sums = sums.sort_values(["required", *keys], ascending=[False, True, True], kind="stable")
    fullest = sums.drop_duplicates("region_id").set_index("region_id").sort_index()
    short = fullest[fullest["required"] - fullest["headcount"] >= 1]
    missing, spent = (_by_region(frame, short.index) for frame in (crew.shortages, crew.moves))
    done = crew.table.groupby("region_id")[["hire", "train", "transfer_in"]].sum().loc[short.index]
    return _listed(
        "engineers",
        [
            f"{r}: {q:.0f} engineers are needed in {m:%Y-%m} to keep P1 to P4, {h:.0f} are there"
            + (f"; {left:.1f} person-months stay missing, priced at {price:,.0f}" if left else "")
            for r, m, q, h, left, price in zip(
                short.index, short["month"], short["required"], short["headcount"], *missing.T
            )
        ],
        [_steps(*row) for row in done.to_numpy().tolist()],
        missing[:, 1] + spent[:, 1],
        region_id=short.index,
    )


def _steps(hire: float, train: float, borrow: float) -> str:
    said = (
        (f"hire {hire:.0f}", hire),
        (f"train {train:.0f}", train),
        (f"borrow {borrow:.1f} person-months", borrow),
    )
    steps = [text for text, people in said if people >= LEAST_PEOPLE]
    return ", ".join(steps) or "nobody can come in time: ask for overtime or move inspections"


def _by_region(frame: pd.DataFrame, regions: pd.Index) -> np.ndarray:
    """People and cost by region; none where the frame is empty."""
    if frame.empty:
        return np.zeros((len(regions), 2))
    return frame.groupby("region_id")[["people", "cost"]].sum().reindex(regions, fill_value=0.0).to_numpy()


def _downtime_cost(data: Any) -> pd.Series:
    """Cost of a standing machine per day, by part: that of the dearest product it fits."""
    fits = data.fitment.merge(
        data.products[["product_id", "downtime_cost_per_day"]], on="product_id", how="left"
    )
    return fits.groupby("part_id")["downtime_cost_per_day"].max().dropna()
