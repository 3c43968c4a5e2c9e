"""Week by week on arrays: who orders what from whom, given stock, levels, expected demand and routes.

Every shelf is looked at on Monday. Its inventory position is on hand + on order - owed; where it has fallen
to the reorder point it is brought back to base stock: first from neighbours with excess, in need by
emergency, then by the parent, at headquarters by the supplier. Pieces move whole; expected demand may be
fractions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spareplan.maths.units import DAYS_PER_WEEK
from spareplan.stocking._kept import Kept
from spareplan.stocking._shelves import (
    EMERGENCY,
    LATERAL,
    PURCHASE,
    REFILL_RANK,
    REPAIR,
    REPLENISH,
    SUPPLIER,
    Array,
    Ints,
    Look,
    Moves,
    Policy,
    Purchasing,
    Routes,
    Shelves,
)
from spareplan.stocking.allocation import FLUID_EPSILON, match_excess, order_size, share_scarce, whole_pieces


def plan_weeks(
    routes: Routes,
    buying: Purchasing,
    policy: Policy,
    shelves: Shelves,
    moves: Moves,
    weeks: int,
    kept: Kept | None = None,
) -> tuple[Array, Array]:
    """Find the orders of some weeks.

    Parameters
    ----------
    routes : Routes
    buying : Purchasing
    policy : Policy
    shelves : Shelves
        State on the first Monday; left in the state after the last week.
    moves : Moves
        Orders noted so far; those of the weeks are added.
    weeks : int
    kept : Kept, optional
        Orders issued before: they are followed, and not noted again.

    Returns
    -------
    net, pipe : ndarray, shape (weeks, parts, sites)
        Projected stock (negative: owed) and pieces on the way at the end of each week. [pieces]
    """
    nets, pipes = np.empty((weeks, *shelves.net.shape)), np.empty((weeks, *shelves.net.shape))
    repairs = _Repairs(routes, buying, policy)
    for week in range(weeks):
        look = Look(week, routes, buying, policy, shelves, None if kept is None else kept.closed(week))
        repairs.start(week, shelves, moves)
        if kept is not None:
            kept.apply(week, LATERAL, shelves, routes)
        if policy.laterals:
            _help_neighbours(look, moves)
        for supplier, children in routes.suppliers():
            # Found as it was when the issued orders were found: the same data give the same moves.
            _send_emergencies(look, children, moves, kept)
            if kept is not None:
                kept.apply(week, REPLENISH, shelves, routes, children)
            _replenish(look, supplier, children, moves)
        if kept is not None:
            kept.apply(week, PURCHASE, shelves, routes)
        _purchase(look, moves)
        shelves.net += shelves.due[week] - policy.demand[week]
        shelves.pipe -= shelves.due[week]
        nets[week], pipes[week] = shelves.net, shelves.pipe
    return nets, pipes


class _Repairs:
    """Failed pieces on their way back: they are sent off when whole pieces have come together."""

    def __init__(self, routes: Routes, buying: Purchasing, policy: Policy) -> None:
        self.routes, self.buying, self.policy = routes, buying, policy
        self.central = np.zeros((len(buying.unit_cost), 1))
        self.local = np.zeros(policy.base.shape)

    def start(self, week: int, shelves: Shelves, moves: Moves) -> None:
        if week == 0:
            return
        failed = self.policy.demand[week - 1]
        buying = self.buying
        if buying.repair_share.any():
            self.central[:, 0] += (failed * buying.repair_share).sum(axis=1)
            self._send(week, self.central, buying.repair_days[:, None], shelves, moves)
        if buying.site_repair_share is not None and buying.site_repair_days is not None:
            self.local += failed * buying.site_repair_share
            self._send(week, self.local, buying.site_repair_days, shelves, moves)

    def _send(self, week: int, gathered: Array, days: Array, shelves: Shelves, moves: Moves) -> None:
        pieces = whole_pieces(gathered) * self.routes.works[week, : gathered.shape[1]]
        part, site = np.nonzero(pieces)
        gathered -= pieces
        sent = pieces[part, site]
        day = DAYS_PER_WEEK * week + np.ceil(days[part, site]).astype(np.int64)
        shelves.receive_later(self.routes.arrival_week(day, site), part, site, sent)
        moves.add(
            week,
            REPAIR,
            part,
            sender=site,
            receiver=site,
            pieces=sent,
            asked=sent,
            position=np.nan,
            reorder=np.nan,
            base=np.nan,
            urgent=0.0,
            gap_days=0.0,
            day=day,
            rank=self.policy.tier[part, site] + REFILL_RANK,
        )


def _help_neighbours(look: Look, moves: Moves) -> None:
    routes, policy, shelves = look.routes, look.policy, look.shelves
    for pool in routes.pools:
        position = look.position(pool)
        wanted = look.wanted(position, pool) * routes.works[look.week, pool]
        wanted *= routes.lateral_cost[pool] < look.buying.unit_cost[:, None]
        excess = np.minimum(
            look.free(pool), whole_pieces((shelves.net - look.spoken_for - policy.base)[:, pool])
        )
        excess = np.where(wanted > 0, 0.0, excess) * routes.works[look.week, pool]
        rows = np.flatnonzero((wanted.sum(axis=1) > 0) & (excess.sum(axis=1) > 0))
        if not len(rows):
            continue
        rank = policy.tier[rows][:, pool]
        taken = share_scarce(excess[rows].sum(axis=1), wanted[rows], rank)
        flow = match_excess(excess[rows], taken)
        row, giver, taker = np.nonzero(flow)
        part, sent = rows[row], flow[row, giver, taker]
        day = DAYS_PER_WEEK * look.week + np.ceil(routes.lateral_days[pool[taker]]).astype(np.int64)
        np.add.at(shelves.net, (part, pool[giver]), -sent)
        shelves.receive_later(routes.arrival_week(day, pool[taker]), part, pool[taker], sent)
        urgent = (shelves.net[part, pool[taker]] <= FLUID_EPSILON - 1).astype(float)
        moves.add(
            look.week,
            LATERAL,
            part,
            sender=pool[giver],
            receiver=pool[taker],
            pieces=sent,
            asked=wanted[part, taker],
            position=position[part, taker],
            urgent=urgent,
            reorder=policy.reorder[part, pool[taker]],
            base=policy.base[part, pool[taker]],
            day=day,
            gap_days=look.gap[part, pool[taker]],
            rank=rank[row, taker] + REFILL_RANK * (1 - urgent),
        )


def _send_emergencies(look: Look, children: Ints, moves: Moves, kept: Kept | None) -> None:
    found = list(_emergencies(look, children)) if look.policy.emergencies else []
    if kept is not None:
        kept.send_emergencies(look.week, children, found, look.shelves, look.routes)
    for one in found:
        moves.add(look.week, EMERGENCY, **one)


def _emergencies(look: Look, children: Ints) -> Iterator[dict[str, Any]]:
    """Send what would be owed before a routine delivery; gives the columns of the moves, source by source."""
    routes, policy, shelves, week = look.routes, look.policy, look.shelves, look.week
    offered = ~np.isnan(routes.emergency_days[children]) & routes.works[week, children]
    sites = children[offered]
    if not len(sites):
        return
    start = routes.next_open[sites, DAYS_PER_WEEK * week]
    day = start + np.ceil(routes.emergency_days[sites]).astype(np.int64)
    # A parent with nothing to send cannot serve this week's route: the next one is what there is to beat.
    empty = look.free(np.array([routes.parent[sites[0]]])) < 1
    normal = np.where(empty, routes.next_arrival[week, sites], routes.arrives[week, sites])
    faster = day + policy.emergency_gain_days <= normal
    arrival = routes.arrival_week(day, sites)
    short = look.shortage(sites, np.maximum(arrival, week)) * faster
    rows = np.flatnonzero(short.any(axis=1))
    source = routes.parent[sites[0]]
    while source != SUPPLIER and len(rows):
        rank = policy.tier[rows][:, sites]
        given = share_scarce(look.free(np.array([source]))[rows, 0], short[rows], rank)
        row, taker = np.nonzero(given)
        part, sent = rows[row], given[row, taker]
        shelves.net[rows, source] -= given.sum(axis=1)
        shelves.receive_later(arrival[taker], part, sites[taker], sent)
        yield {
            "part": part,
            "sender": np.full(len(part), source),
            "receiver": sites[taker],
            "pieces": sent,
            "asked": short[part, taker],
            "position": shelves.net[part, sites[taker]],
            "urgent": 1.0,
            "reorder": policy.reorder[part, sites[taker]],
            "base": policy.base[part, sites[taker]],
            "gap_days": normal[part, taker] - DAYS_PER_WEEK * week,
            "day": day[taker],
            "rank": rank[row, taker],
        }
        short[rows] -= given
        source = routes.parent[source]


def _replenish(look: Look, supplier: int, children: Ints, moves: Moves) -> None:
    routes, policy, shelves, week = look.routes, look.policy, look.shelves, look.week
    position = look.position(children)
    wanted = look.wanted(position, children) * routes.ships[week, children]
    rows = np.flatnonzero(wanted.any(axis=1))
    if not len(rows):
        return
    want, rank = wanted[rows], policy.tier[rows][:, children]
    arrival = routes.arrival_week(routes.arrives[week, children], children)
    waiting = look.shortage(children, arrival)[rows] + look.unmet_urgent[rows][:, children]
    urgent = np.minimum(want, waiting)
    both = share_scarce(
        look.free(np.array([supplier]))[rows, 0],
        np.hstack([urgent, want - urgent]),
        np.hstack([rank, rank + REFILL_RANK]),
    )
    first, later = np.hsplit(both, 2)
    given = first + later
    shelves.net[rows, supplier] -= given.sum(axis=1)
    look.unmet[rows, supplier] += (want - given).sum(axis=1)
    look.unmet_urgent[rows, supplier] += (urgent - first).sum(axis=1)
    row, taker = np.nonzero(want)
    part, sent, site = rows[row], given[row, taker], children[taker]
    shelves.receive_later(arrival[taker], part, site, sent)
    waits = (urgent[row, taker] > 0).astype(float)
    moves.add(
        week,
        REPLENISH,
        part,
        sender=supplier,
        receiver=site,
        pieces=sent,
        asked=want[row, taker],
        position=position[part, taker],
        reorder=policy.reorder[part, site],
        base=policy.base[part, site],
        urgent=waits,
        gap_days=look.gap[part, site],
        day=routes.arrives[week, site],
        rank=rank[row, taker] + REFILL_RANK * (1 - waits),
    )


def _purchase(look: Look, moves: Moves) -> None:
    policy, shelves, buying, week = look.policy, look.shelves, look.buying, look.week
    hq = np.array([0])
    position = look.position(hq)
    wanted = look.wanted(position, hq)[:, 0] * look.routes.ships[week, 0]
    part = np.flatnonzero(wanted)
    if not len(part):
        return
    pieces = order_size(wanted[part], buying.min_order[part], buying.pack_size[part], policy.batch[part, 0])
    pieces *= buying.sold[week, part]
    day = buying.arrives[week, part]
    site = np.zeros(len(part), dtype=np.int64)
    arrival = look.routes.arrival_week(day, site)
    shelves.receive_later(arrival, part, site, pieces)
    waits = (look.unmet_urgent[part, 0] + whole_pieces(-shelves.net[part, 0]) > 0).astype(float)
    moves.add(
        week,
        PURCHASE,
        part,
        sender=float(SUPPLIER),
        receiver=0.0,
        pieces=pieces,
        asked=wanted[part],
        position=position[part, 0],
        reorder=policy.reorder[part, 0],
        base=policy.base[part, 0],
        urgent=waits,
        gap_days=look.gap[part, 0],
        day=day,
        rank=policy.tier[part, 0] + REFILL_RANK * (1 - waits),
    )
