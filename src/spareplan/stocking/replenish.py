"""DOOR plan_replenishment: weekly orders from stock, open orders, levels and the forecast."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.config import ReplenishmentOptions, option_rows
from spareplan.errors import problem_in_argument
from spareplan.results import DemandForecast, Orders, PartGrades, StockLevels, assumptions_frame
from spareplan.stocking._kept import IssuedOrders
from spareplan.stocking._order_tables import build_setting
from spareplan.stocking._order_words import order_reasons
from spareplan.stocking._setting import Setting
from spareplan.stocking._shelves import EMERGENCY, KINDS, PURCHASE, REPLENISH, SUPPLIER
from spareplan.stocking._weekly import plan_weeks

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

MOST_WEEKS = 104
CHUNK_CELLS = 4_000_000
_COLUMNS = ["week", "part_id", "from_site_id", "to_site_id", "quantity", "kind", "value", "plan", "priority",
            "due_on", "asked", "position", "reorder_point", "base_stock", "reason"]  # fmt: skip


def plan_replenishment(
    data: Dataset,
    demand: DemandForecast,
    levels: StockLevels,
    weeks: int = 8,
    as_of: dt.date | pd.Timestamp | str | None = None,
    grades: PartGrades | None = None,
    options: ReplenishmentOptions | None = None,
    kept: pd.DataFrame | None = None,
    kept_weeks: int = 0,
    released: pd.DataFrame | None = None,
) -> Orders:
    """Plan the moves of the next weeks.

    Each Monday every shelf's inventory position (on hand + on order - owed, promised pieces taken off) is
    compared with its reorder point and brought back to base stock: by neighbours of its lateral pool that
    hold more than their base stock, by emergency where pieces would be owed before a routine arrival, by its
    parent, at headquarters by the supplier in packs. Weeks closed by holidays ship nothing; what they would
    order is ordered before. Where a parent has too little it serves waiting customers first, then refills,
    each by tier. Demand is taken as expected: the plan says what to do if the month goes as forecast.

    Parameters
    ----------
    data : Dataset
        Uses parts, sites, stock, open_orders, reservations, calendar, site_repairs; units, fitment, products
        for the tier of a part at a site.
    demand : DemandForecast
        Expected demand by month.
    levels : StockLevels
        base_stock, reorder_point, order_quantity per part and site.
    weeks : int
        1 to 104. [weeks]
    as_of : date, optional
        Last known day; None: that of the forecast. The first week starts on the Monday after it.
    grades : PartGrades, optional
        Tier and planner where the levels do not say.
    options : ReplenishmentOptions, optional
        None: the defaults.
    kept : DataFrame, optional
        Orders that were issued before, columns of `.table`: those of the first `kept_weeks` weeks stay as
        they are (repairs aside, which follow what failed), and nothing but emergencies is added to them.
    kept_weeks : int
        Weeks in which issued orders stay. [weeks]
    released : DataFrame, optional
        part_id, site_id: shelves that order in these weeks all the same, beside what was issued.

    Returns
    -------
    Orders
        `.table` a row per move, most pressing first within a week; `.projection` expected stock by week;
        `.waiting` what could not be sent.

    Raises
    ------
    DataError
        weeks out of range; levels, forecast or stock with unknown parts or sites, or doubled keys.
    """
    chosen = options or ReplenishmentOptions()
    if not 1 <= int(weeks) <= MOST_WEEKS or int(weeks) != weeks:
        raise problem_in_argument(
            "plan_replenishment",
            "weeks",
            weeks,
            f"is not a whole number from 1 to {MOST_WEEKS}",
            "give the weeks to plan",
        )
    today = _today(data, demand, as_of)
    setting = build_setting(data, demand, levels, grades, today, int(weeks))
    found, waits, shelves = [], [], []
    size = max(1, CHUNK_CELLS // (len(setting.site_ids) * setting.seen))
    stays = None if kept is None else IssuedOrders(setting, kept, kept_weeks, released)
    for first in range(0, len(setting.part_ids), size):
        last = min(first + size, len(setting.part_ids))
        moves, projection = _plan_chunk(setting, first, last, chosen, stays)
        found.append(moves[moves["pieces"] > 0])
        waits.append(_waiting(moves, setting))
        shelves.append(projection)
    orders = _in_order(pd.concat(found, ignore_index=True), setting)
    if stays is not None:
        orders = stays.beside(orders, setting)
    more = [name for name in orders if name == "issued_on" or str(name).startswith("model_")]
    orders = orders[[*_COLUMNS[:-1], *more, "reason"]]
    waiting = pd.concat(waits, ignore_index=True)
    rows = [*option_rows("replenishment", chosen), *setting.assumptions]
    return Orders(
        orders,
        assumptions_frame(rows),
        _lines(orders, waiting, int(weeks)),
        pd.concat(shelves, ignore_index=True),
        waiting,
    )


def _today(data: Dataset, demand: DemandForecast, as_of: Any) -> pd.Timestamp:
    if as_of is not None:
        return pd.Timestamp(as_of).normalize()
    known = demand.as_of if demand.as_of.year > 1970 else data.as_of()
    return pd.Timestamp(known).normalize()


def _plan_chunk(
    setting: Setting, first: int, last: int, options: ReplenishmentOptions, stays: IssuedOrders | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Plan some parts, and put their moves and projected stock into frames."""
    shelves, policy, buying, moves = setting.chunk(first, last, options)
    kept = None if stays is None else stays.chunk(first, last)
    nets, pipes = plan_weeks(setting.routes, buying, policy, shelves, moves, setting.weeks, kept)
    frame = pd.DataFrame(moves.columns())
    part, receiver = frame["part"].astype("int64"), frame["receiver"].astype("int64")
    frame["planner"] = setting.planners(first, last)[part, receiver]
    touched = np.zeros(nets.shape[1:], dtype=bool)
    if options.projection == "all":
        touched[:] = True
    elif options.projection == "moved":
        touched = nets.min(axis=0) < -1 + 1e-6
        touched[part, receiver] = True
        if kept is not None:
            touched[kept.part, kept.receiver] = True
    frame["part"] = part + first
    return frame, _projection(setting, touched, nets, pipes, first)


def _projection(
    setting: Setting, touched: np.ndarray, nets: np.ndarray, pipes: np.ndarray, first: int
) -> pd.DataFrame:
    part, site = np.nonzero(touched)
    weeks = len(nets)
    net = nets[:, part, site].T.ravel()
    return pd.DataFrame(
        {
            "part_id": setting.part_ids.take(np.repeat(part + first, weeks)),
            "site_id": setting.site_ids.take(np.repeat(site, weeks)),
            "week": np.tile(setting.mondays[:weeks].to_numpy(), len(part)),
            "on_hand": np.maximum(net, 0.0).round(6),
            "on_order": pipes[:, part, site].T.ravel().round(6),
            "backorders": np.maximum(-net, 0.0).round(6),
        }
    )


def _in_order(moves: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Moves with names instead of positions, most pressing first."""
    code = moves["kind"].astype("int64").to_numpy()
    part, receiver = moves["part"].astype("int64").to_numpy(), moves["receiver"].astype("int64").to_numpy()
    sender = moves["sender"].astype("int64").to_numpy()
    named = pd.DataFrame(
        {
            "week": setting.mondays.take(moves["week"].to_numpy(dtype=np.int64)),
            "part_id": setting.part_ids.take(part),
            "from_site_id": _site_names(setting, sender),
            "to_site_id": setting.site_ids.take(receiver),
            "quantity": moves["pieces"],
            "kind": np.array(KINDS, dtype=object)[code],
            "value": moves["pieces"] * setting.unit_cost[part],
            "plan": np.where(
                code == EMERGENCY,
                "emergency",
                np.where(moves["planner"].str.startswith("hq"), "core", "non_core"),
            ),
            "priority": moves["rank"].astype("int64"),
            "due_on": setting.mondays[0] + pd.to_timedelta(moves["day"], unit="D"),
            "asked": moves["asked"],
            "position": moves["position"].round(2),
            "reorder_point": moves["reorder"],
            "base_stock": moves["base"],
        }
    )
    named["reason"] = order_reasons(moves, named, setting)
    order = np.lexsort((code, sender, receiver, part, named["priority"], moves["week"]))
    return named.iloc[order].reset_index(drop=True)


def _site_names(setting: Setting, sites: np.ndarray) -> pd.Series:
    names = pd.Series(setting.site_ids)
    return names.reindex(sites).reset_index(drop=True)


def _waiting(every: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """What could not be sent in full, a row per part and receiver: from which week to which, and how much."""
    short = every[(every["pieces"] < every["asked"]) & every["kind"].isin([PURCHASE, REPLENISH])]
    short = short.assign(missing=short["asked"] - short["pieces"])
    groups = short.groupby(["part", "receiver", "sender"], sort=True)
    found = groups.agg(week=("week", "min"), until=("week", "max"), pieces=("missing", "max")).reset_index()
    sender = found["sender"].to_numpy(dtype=np.int64)
    unsold = sender == SUPPLIER
    return pd.DataFrame(
        {
            "week": setting.mondays.take(found["week"].to_numpy(dtype=np.int64)),
            "until": setting.mondays.take(found["until"].to_numpy(dtype=np.int64)),
            "part_id": setting.part_ids.take(found["part"].to_numpy(dtype=np.int64)),
            "from_site_id": _site_names(setting, sender),
            "to_site_id": setting.site_ids.take(found["receiver"].to_numpy(dtype=np.int64)),
            "pieces": found["pieces"],
            "reason": np.where(
                unsold, "the supplier no longer takes orders", "the supplying site has too few on its shelf"
            ),
        }
    )


def _lines(orders: pd.DataFrame, waiting: pd.DataFrame, weeks: int) -> tuple[str, ...]:
    lines = [
        f"{len(orders)} orders in {weeks} weeks, "
        f"{(orders['week'] == orders['week'].min()).sum()} in the first with any"
    ]
    by_kind = orders.groupby("kind", sort=False)
    for kind, count, pieces, money in zip(
        by_kind.size().index, by_kind.size(), by_kind["quantity"].sum(), by_kind["value"].sum()
    ):
        lines.append(f"{kind}: {count} orders, {pieces:,.0f} pieces worth {money:,.0f}")
    unsold = waiting[waiting["from_site_id"].isna()]
    if len(unsold):
        lines.append(f"{unsold['part_id'].nunique()} parts are needed that the supplier no longer sells")
    short = waiting[waiting["from_site_id"].notna() & (waiting["until"] == waiting["until"].max())]
    if len(short):
        pieces = short["pieces"].sum()
        lines.append(
            f"{pieces:,.0f} pieces still wait at their supplying site in the week of "
            f"{short['until'].max():%Y-%m-%d}"
        )
    return tuple(lines)
