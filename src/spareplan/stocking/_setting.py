"""Table step of the replenishment: checked frames -> routes, calendars and, part by part, arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import ReplenishmentOptions
from spareplan.stocking._promised import promised_ahead
from spareplan.stocking._shelves import (
    REFILL_RANK,
    REPAIR,
    Array,
    Ints,
    Moves,
    Policy,
    Purchasing,
    Routes,
    Shelves,
)

if TYPE_CHECKING:
    pass

NO_TIER = 9
TIER_UNKNOWN = 3


@dataclass(frozen=True)
class Spread:
    """A long table sorted by part, ready to be laid over parts x sites a stretch of parts at a time.

    Parameters
    ----------
    part, site : ndarray of int, shape (n,)
        Positions; part ascending.
    values : dict of ndarray, shape (n,)
    """

    part: Ints
    site: Ints
    values: dict[str, np.ndarray]

    def rows(self, first: int, last: int) -> slice:
        """Rows of the parts first..last-1."""
        return slice(*np.searchsorted(self.part, [first, last]))

    def lay(self, name: str, first: int, last: int, sites: int, fill: float = 0.0) -> Array:
        """One value per part and site, shape (last - first, sites)."""
        rows, out = self.rows(first, last), np.full((last - first, sites), fill)
        out[self.part[rows] - first, self.site[rows]] = self.values[name][rows]
        return out


@dataclass(frozen=True)
class Setting:
    """Everything `plan_weeks` needs, for all parts; `chunk` cuts a stretch of parts out of it."""

    part_ids: pd.Index
    site_ids: pd.Index
    mondays: pd.DatetimeIndex
    weeks: int
    seen: int
    routes: Routes
    unit_cost: Array
    lead_time_days: Array
    parts: dict[str, Array]
    purchase_day: tuple[Ints, Ints]
    sold: NDArray[np.bool_]
    day_share: Array
    below: NDArray[np.bool_]
    tables: dict[str, Spread]
    promises: pd.DataFrame
    carried: tuple[NDArray[np.bool_], NDArray[np.bool_], Ints]
    part_tier: Ints
    planner_names: list[str]
    part_planner: Ints
    assumptions: list[dict[str, Any]]

    def chunk(
        self, first: int, last: int, options: ReplenishmentOptions
    ) -> tuple[Shelves, Policy, Purchasing, Moves]:
        """State, policy and purchasing of the parts first..last-1, and the repairs already under way."""
        sites, seen, some = len(self.site_ids), self.seen, slice(first, last)

        def lay(table: str, name: str, fill: float = 0.0) -> Array:
            return self.tables[table].lay(name, first, last, sites, fill)

        monthly = np.zeros((self.day_share.shape[1], last - first, sites))
        forecast = self.tables["demand"]
        rows = forecast.rows(first, last)
        monthly[forecast.values["month"][rows], forecast.part[rows] - first, forecast.site[rows]] = (
            forecast.values["mean"][rows]
        )
        expected = np.tensordot(self.day_share, monthly, axes=1)
        before, expected = expected[0], expected[1:]
        below = expected @ self.below.T.astype(float)

        net = lay("stock", "net") - before
        shelves = Shelves(net, np.zeros(net.shape), np.zeros((seen, last - first, sites)))
        moves = Moves()
        self._receive(shelves, "open_orders", first, last)
        self._receive(shelves, "on_order", first, last)
        self._receive(shelves, "in_repair", first, last)
        rows = self.tables["in_repair"].rows(first, last)
        started = self.tables["in_repair"]
        part, pieces = started.part[rows] - first, started.values["quantity"][rows]
        moves.add(
            0,
            REPAIR,
            part,
            sender=started.site[rows],
            receiver=started.site[rows],
            pieces=pieces,
            asked=pieces,
            position=np.nan,
            reorder=np.nan,
            base=np.nan,
            urgent=0.0,
            gap_days=0.0,
            day=started.values["day"][rows],
            rank=self.part_tier[some][part] + REFILL_RANK,
        )

        ahead, held = None, None
        promised = self.promises[(self.promises["part"] >= first) & (self.promises["part"] < last)]
        if len(promised):
            promised = promised.assign(part=promised["part"] - first)
            inside = promised[promised["week"] < seen]
            np.add.at(expected, (inside["week"], inside["part"], inside["site"]), inside["pieces"])
            horizon = np.repeat(self.routes.next_arrival[: self.weeks, None, :], last - first, axis=1)
            horizon[:, :, 0] = self.purchase_day[1][: self.weeks, some]
            ahead, held = promised_ahead(promised, horizon, self.routes, net.shape)

        base = lay("levels", "base_stock")
        policy = Policy(
            base,
            lay("levels", "reorder_point", -1.0),
            lay("levels", "order_quantity", 1.0),
            expected,
            below,
            ahead,
            held,
            self._tiers(first, last),
            options.laterals and len(self.routes.pools) > 0,
            options.emergencies,
            options.emergency_gain_days,
        )
        local, local_days = None, None
        share = np.repeat(self.parts["repairable_share"][some, None], sites, axis=1)
        if len(self.tables["site_repairs"].part):
            local, local_days = lay("site_repairs", "share"), lay("site_repairs", "days")
            share = share * (1 - local)
        buying = Purchasing(
            self.purchase_day[0][: self.weeks, some],
            self.purchase_day[1][: self.weeks, some],
            self.sold[:, some],
            self.parts["min_order"][some],
            self.parts["pack_size"][some],
            self.unit_cost[some],
            share,
            self.parts["repair_days"][some],
            local,
            local_days,
        )
        return shelves, policy, buying, moves

    def planners(self, first: int, last: int) -> np.ndarray:
        """Who plans each part x site: the levels' word, else the grade's."""
        code = self.tables["levels"].lay("planner", first, last, len(self.site_ids), -1.0).astype("int64")
        code = np.where(code < 0, self.part_planner[first:last, None], code)
        return np.array(self.planner_names, dtype=object)[code]

    def _receive(self, shelves: Shelves, table: str, first: int, last: int) -> None:
        spread = self.tables[table]
        rows = spread.rows(first, last)
        part, site, pieces = spread.part[rows] - first, spread.site[rows], spread.values["quantity"][rows]
        week = spread.values["week"][rows]
        np.add.at(shelves.net, (part[week < 0], site[week < 0]), pieces[week < 0])
        later = week >= 0
        shelves.receive_later(week[later], part[later], site[later], pieces[later])

    def _tiers(self, first: int, last: int) -> Ints:
        """Best tier of the products with machines at or below a site that carry the part, else the part's."""
        fits, served, tiers = self.carried
        best = np.full((last - first, len(self.site_ids)), NO_TIER, dtype=np.int64)
        for tier in (3, 2, 1):
            of_tier = tiers == tier
            reached = fits[first:last][:, of_tier].astype(np.float32) @ served[of_tier].astype(np.float32)
            best[reached > 0] = tier
        return np.where(best == NO_TIER, self.part_tier[first:last, None], best)
