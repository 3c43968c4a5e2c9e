"""Orders that were issued and stay: what they take from one shelf and bring to another, week by week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_WEEK
from spareplan.stocking._shelves import EMERGENCY, KINDS, REPAIR, SUPPLIER, Array, Ints, Routes, Shelves

if TYPE_CHECKING:
    from spareplan.stocking._setting import Setting

_PLACES = ("week", "kind", "part", "sender", "receiver", "day")


@dataclass(frozen=True)
class Kept:
    """Issued orders of some parts, and the shelves that order nothing else while they hold.

    Parameters
    ----------
    weeks : int
        Weeks from the first Monday in which issued orders stay.
    frozen : ndarray of bool, shape (parts, sites)
        Shelves that order nothing but emergencies in these weeks.
    week, kind, part, sender, receiver, pieces, day : ndarray, shape (n,)
        The orders; positions as in `Moves`, day of arrival from the first Monday. [pieces, days]
    """

    weeks: int
    frozen: NDArray[np.bool_]
    week: Ints
    kind: Ints
    part: Ints
    sender: Ints
    receiver: Ints
    pieces: Array
    day: Ints

    def closed(self, week: int) -> NDArray[np.bool_] | None:
        """Shelves that may not order in a week; None after the last frozen one."""
        return self.frozen if week < self.weeks else None

    def apply(
        self, week: int, kind: int, shelves: Shelves, routes: Routes, receivers: Ints | None = None
    ) -> None:
        """Take the pieces of a week's issued orders from their senders and put them on the way.

        Parameters
        ----------
        week, kind : int
        shelves : Shelves
            Changed in place.
        routes : Routes
        receivers : ndarray of int, optional
            Only orders to these sites; None: to all.
        """
        rows = np.flatnonzero((self.week == week) & (self.kind == kind))
        if receivers is not None:
            rows = rows[np.isin(self.receiver[rows], receivers)]
        self._send(rows, self.pieces, shelves, routes)

    def send_emergencies(
        self, week: int, receivers: Ints, found: list[dict[str, Any]], shelves: Shelves, routes: Routes
    ) -> None:
        """Let issued emergencies count for those just found; what they exceed them by is sent on top.

        Parameters
        ----------
        week : int
        receivers : ndarray of int
            Only emergencies to these sites.
        found : list of dict
            part, sender, receiver, pieces of emergencies already sent; pieces are left with what no issued
            emergency covers. [pieces]
        shelves, routes
            As in `apply`.
        """
        rows = np.flatnonzero(
            (self.week == week) & (self.kind == EMERGENCY) & np.isin(self.receiver, receivers)
        )
        if not len(rows):
            return
        ways = pd.MultiIndex.from_arrays([self.part[rows], self.sender[rows], self.receiver[rows]])
        beyond = pd.Series(self.pieces[rows], index=ways).groupby(level=[0, 1, 2]).sum()
        issued = beyond.copy()
        for one in found:
            way = pd.MultiIndex.from_arrays([one["part"], one["sender"], one["receiver"]])
            beyond = beyond.sub(pd.Series(one["pieces"], index=way).reindex(beyond.index).fillna(0.0))
            one["pieces"] = np.maximum(one["pieces"] - issued.reindex(way).fillna(0.0).to_numpy(), 0.0)
        rest = np.zeros(len(self.pieces))
        once = rows[~ways.duplicated()]
        left = beyond.reindex(ways[~ways.duplicated()]).to_numpy()
        rest[once] = np.maximum(left, 0.0)
        self._send(once[rest[once] > 0], rest, shelves, routes)

    def _send(self, rows: Ints, pieces: Array, shelves: Shelves, routes: Routes) -> None:
        if not len(rows):
            return
        part, sender, receiver = self.part[rows], self.sender[rows], self.receiver[rows]
        inside = sender != SUPPLIER
        np.add.at(shelves.net, (part[inside], sender[inside]), -pieces[rows][inside])
        shelves.receive_later(routes.arrival_week(self.day[rows], receiver), part, receiver, pieces[rows])


class IssuedOrders:
    """Orders issued before that stay, in the positions of a setting.

    Parameters
    ----------
    setting : Setting
    orders : DataFrame
        Rows of an order table: week, part_id, from_site_id, to_site_id, quantity, kind, due_on.
    weeks : int
        Weeks from the first Monday in which they stay; repairs, unknown ids and other weeks are left out.
    released : DataFrame, optional
        part_id, site_id: shelves that order in these weeks all the same.
    """

    def __init__(
        self, setting: Setting, orders: pd.DataFrame, weeks: int, released: pd.DataFrame | None = None
    ) -> None:
        self.weeks = weeks
        self.frozen = np.ones((len(setting.part_ids), len(setting.site_ids)), dtype=bool)
        if released is not None:
            part = setting.part_ids.get_indexer(pd.Index(released["part_id"]))
            site = setting.site_ids.get_indexer(pd.Index(released["site_id"]))
            there = (part >= 0) & (site >= 0)
            self.frozen[part[there], site[there]] = False
        at = _positions(orders, setting)
        known = (at["part"] >= 0) & (at["receiver"] >= 0) & (at["kind"] >= 0) & (at["kind"] != REPAIR)
        known &= orders["from_site_id"].isna() | (at["sender"] >= 0)
        inside = at["week"].between(0, weeks - 1) & (at["pieces"] > 0)
        self.rows = at[known & inside]
        self.orders = orders.loc[self.rows.index]

    def chunk(self, first: int, last: int) -> Kept:
        """Those of the parts first..last-1."""
        some = self.rows[(self.rows["part"] >= first) & (self.rows["part"] < last)]
        places = {name: some[name].to_numpy(dtype=np.int64) for name in _PLACES}
        places["part"] = places["part"] - first
        pieces = some["pieces"].to_numpy(dtype=float)
        return Kept(self.weeks, self.frozen[first:last], pieces=pieces, **places)

    def beside(self, planned: pd.DataFrame, setting: Setting) -> pd.DataFrame:
        """Put them among newly planned orders, most pressing first within a week.

        Parameters
        ----------
        planned : DataFrame
            Order table; emergencies in the frozen weeks say that they are new.
        setting : Setting

        Returns
        -------
        DataFrame
        """
        inside = planned["week"] < setting.mondays[self.weeks]
        added = (inside & (planned["kind"] != "repair")).to_numpy(dtype=bool)
        planned["reason"] = np.where(
            added, planned["reason"] + "; added inside the frozen weeks", planned["reason"]
        )
        if not len(self.orders):
            return planned
        more = self.orders.columns.difference(planned.columns, sort=False)
        columns = [*planned.columns, *more]
        both = pd.concat([planned, self.orders.reindex(columns=columns)], ignore_index=True)
        for name in planned:
            both[name] = both[name].astype(planned[name].dtype)
        at = _positions(both, setting)
        order = np.lexsort(
            (at["kind"], at["sender"], at["receiver"], at["part"], both["priority"], at["week"])
        )
        return both.iloc[order].reset_index(drop=True)


def _positions(orders: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Orders by the positions of a setting, in the columns of `Kept`; -1 where an id is unknown."""
    first = setting.mondays[0]
    return pd.DataFrame(
        {
            "week": (orders["week"] - first).dt.days // DAYS_PER_WEEK,
            "kind": pd.Index(KINDS).get_indexer(pd.Index(orders["kind"])),
            "part": setting.part_ids.get_indexer(pd.Index(orders["part_id"])),
            "sender": setting.site_ids.get_indexer(pd.Index(orders["from_site_id"])),
            "receiver": setting.site_ids.get_indexer(pd.Index(orders["to_site_id"])),
            "pieces": orders["quantity"].astype(float),
            "day": (orders["due_on"] - first).dt.days,
        },
        index=orders.index,
    )
