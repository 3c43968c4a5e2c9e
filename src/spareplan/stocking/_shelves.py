"""State of the weekly plan: routes, ways of buying, policy, shelves, orders found, one Monday's look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_WEEK
from spareplan.stocking.allocation import FLUID_EPSILON, whole_pieces

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

PURCHASE, REPLENISH, LATERAL, REPAIR, EMERGENCY = range(5)
KINDS = ("purchase", "replenish", "lateral", "repair", "emergency")
MOVE_COLUMNS = (
    "week", "kind", "part", "sender", "receiver", "pieces", "asked", "position", "reorder", "base", "urgent",
    "gap_days", "day", "rank",
)  # fmt: skip
SUPPLIER = -1
REFILL_RANK = 3


@dataclass(frozen=True)
class Routes:
    """Sites and when they can be reached; days count from the Monday of week 0.

    Parameters
    ----------
    parent : ndarray of int, shape (sites,)
        SUPPLIER for headquarters; parents stand before their children.
    ships : ndarray of bool, shape (weeks, sites)
        Whether the parent ships to the site in the week; at headquarters, whether orders are placed.
    works : ndarray of bool, shape (weeks, sites)
        Whether anybody works at the site in the week.
    order_day, arrives, next_arrival : ndarray of int, shape (weeks, sites)
        Day a shipment leaves, the day it arrives, and the arrival day of the next chance after it. [days]
    emergency_days, lateral_days, lateral_cost : ndarray, shape (sites,)
        NaN: no such delivery. [days, days, money per piece]
    pools : list of ndarray of int
        Sites that help each other out.
    next_open : ndarray of int, shape (sites, days)
        First working day at or after each day.
    """

    parent: Ints
    ships: NDArray[np.bool_]
    works: NDArray[np.bool_]
    order_day: Ints
    arrives: Ints
    next_arrival: Ints
    emergency_days: Array
    lateral_days: Array
    lateral_cost: Array
    pools: list[Ints]
    next_open: Ints

    def suppliers(self) -> Iterator[tuple[int, Ints]]:
        """Every site that supplies others, with its children; the farthest from headquarters first."""
        for site in range(len(self.parent) - 1, -1, -1):
            children = np.flatnonzero(self.parent == site)
            if len(children):
                yield site, children

    def arrival_week(self, day: Ints, site: Ints | int) -> Ints:
        """Week in which a delivery of a day is taken in, on the next working day of the site."""
        inside = np.clip(day, 0, self.next_open.shape[1] - 1)
        return self.next_open[site, inside] // DAYS_PER_WEEK


@dataclass(frozen=True)
class Purchasing:
    """How each part is bought and repaired.

    Parameters
    ----------
    arrives, next_arrival : ndarray of int, shape (weeks, parts)
        Day on which an order of the week arrives, and one of the next chance. [days]
    sold : ndarray of bool, shape (weeks, parts)
        Whether the supplier still takes orders.
    min_order, pack_size, unit_cost : ndarray, shape (parts,)
        [pieces, pieces, money]
    repair_share : ndarray, shape (parts, sites)
        Share of failed pieces that are repaired for headquarters' stock.
    repair_days : ndarray, shape (parts,)
        [days]
    site_repair_share, site_repair_days : ndarray, shape (parts, sites), or None
        Share repaired at the site itself, and its time.
    """

    arrives: Ints
    next_arrival: Ints
    sold: NDArray[np.bool_]
    min_order: Array
    pack_size: Array
    unit_cost: Array
    repair_share: Array
    repair_days: Array
    site_repair_share: Array | None = None
    site_repair_days: Array | None = None


@dataclass
class Shelves:
    """State of all shelves; `plan_weeks` moves it forward.

    Parameters
    ----------
    net : ndarray, shape (parts, sites)
        On hand less promised and owed pieces. [pieces]
    pipe : ndarray, shape (parts, sites)
        Ordered or in repair, not yet received. [pieces]
    due : ndarray, shape (weeks seen, parts, sites)
        The pieces of `pipe` by the week they arrive. [pieces]
    """

    net: Array
    pipe: Array
    due: Array

    def receive_later(self, week: Ints, part: Ints, site: Ints, pieces: Array) -> None:
        """Put pieces on the way."""
        np.add.at(self.pipe, (part, site), pieces)
        seen = week < len(self.due)
        np.add.at(self.due, (week[seen], part[seen], site[seen]), pieces[seen])


@dataclass
class Moves:
    """Orders as they are found: one array per column and piece of work.

    Columns: week, kind, part, sender (SUPPLIER: the supplier), receiver, pieces, asked, position, reorder,
    base, urgent (1: somebody waits), gap_days, day (of arrival), rank (1 goes first).
    """

    found: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def add(self, week: int, kind: int, part: Ints, **columns: Any) -> None:
        """Note orders of one kind and week; columns are broadcast to the parts."""
        if len(part):
            for name, value in {"week": week, "kind": kind, "part": part, **columns}.items():
                self.found.setdefault(name, []).append(np.broadcast_to(value, part.shape).astype(float))

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """All orders, one array per column."""
        return {name: np.concatenate(self.found.get(name, [np.zeros(0)])) for name in MOVE_COLUMNS}


@dataclass(frozen=True)
class Policy:
    """What steers the orders.

    Parameters
    ----------
    base, reorder, batch : ndarray, shape (parts, sites)
        Base stock, reorder point, order quantity. [pieces]
    demand : ndarray, shape (weeks seen, parts, sites)
        Expected demand of the site itself, promised pieces included. [pieces]
    below : ndarray, shape (weeks seen, parts, sites)
        Expected demand of the site and all below it. [pieces]
    ahead, held : ndarray, shape (weeks, parts, sites), or None
        Promised pieces that must be ordered now to be there in time; those of them due at the site itself.
    tier : ndarray of int, shape (parts, sites)
        1 goes first when parts are scarce.
    laterals, emergencies : bool
        Whether such moves are made.
    emergency_gain_days : float
        Days an emergency delivery must save. [days]
    """

    base: Array
    reorder: Array
    batch: Array
    demand: Array
    below: Array
    ahead: Array | None
    held: Array | None
    tier: Ints
    laterals: bool = True
    emergencies: bool = True
    emergency_gain_days: float = 1.0


class Look:
    """One Monday: what is known when the orders of the week are decided."""

    def __init__(
        self,
        week: int,
        routes: Routes,
        buying: Purchasing,
        policy: Policy,
        shelves: Shelves,
        closed: NDArray[np.bool_] | None = None,
    ) -> None:
        self.week, self.routes, self.buying, self.policy, self.shelves = week, routes, buying, policy, shelves
        self.closed = closed
        gap = np.maximum(routes.next_arrival[week] - routes.arrives[week] - DAYS_PER_WEEK, 0)
        self.gap = np.broadcast_to(gap, shelves.net.shape).astype(float)
        self.gap[:, 0] = np.maximum(buying.next_arrival[week] - buying.arrives[week] - DAYS_PER_WEEK, 0)
        ahead = 0.0 if policy.ahead is None else policy.ahead[week]
        # Demand of closed weeks is ordered now, as if it had happened already; sites below that are closed in
        # the same weeks order ahead themselves, and their orders must not count twice.
        closed = policy.below[week] * self.gap
        shut = ~routes.ships[week + 1 :]
        still = np.cumprod(shut, axis=0, dtype=np.int64)
        for supplier, children in routes.suppliers():
            together = DAYS_PER_WEEK * (still[:, [supplier]] * shut[:, children]).sum(axis=0)
            shared = np.minimum(self.gap[:, [supplier]], together)
            closed[:, supplier] -= (policy.below[week][:, children] * shared).sum(axis=1)
        self.spoken_for = ahead + closed / DAYS_PER_WEEK
        self.held = 0.0 if policy.held is None else policy.held[week]
        self.unmet = np.zeros(shelves.net.shape)
        self.unmet_urgent = np.zeros(shelves.net.shape)

    def position(self, sites: Ints | slice) -> Array:
        shelf = self.shelves
        return (shelf.net + shelf.pipe - self.spoken_for - self.unmet)[:, sites]

    def wanted(self, position: Array, sites: Ints | slice) -> Array:
        """Pieces that bring a position at or below its reorder point back to base stock."""
        low = position <= self.policy.reorder[:, sites] + FLUID_EPSILON
        if self.closed is not None:
            low &= ~self.closed[:, sites]
        return np.where(low, whole_pieces(self.policy.base[:, sites] - position), 0.0)

    def free(self, sites: Ints | slice) -> Array:
        """Whole pieces a site can give away."""
        return whole_pieces((self.shelves.net - self.held)[:, sites])

    def shortage(self, sites: Ints, last_week: Ints) -> Array:
        """Whole pieces owed at the worst moment from now to each site's `last_week`."""
        level = self.shelves.net[:, sites].copy()
        worst = np.zeros(level.shape)
        final = min(int(last_week.max()), len(self.shelves.due) - 1)
        for week in range(self.week, final + 1):
            level += self.shelves.due[week][:, sites]
            worst = np.where(week <= last_week, np.maximum(worst, -level), worst)
            level -= self.policy.demand[week][:, sites]
        return whole_pieces(worst)
