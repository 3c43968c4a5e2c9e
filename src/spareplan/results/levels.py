"""Results about stock: levels, simulated service, weekly orders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from spareplan.results.base import Result


@dataclass(frozen=True, repr=False)
class StockLevels(Result):
    """Levels for every part and site, with the proof of how near to the optimum they are.

    Parameters
    ----------
    cost, lower_bound : float
        Money in base stock, and the least that any integer levels keeping the same promises could cost under
        the same evaluation. [money]
    service : DataFrame
        group, measure, target, reached, slack per service group.
    shadow_prices : DataFrame
        group, measure, price, unit: what one more unit of the promise costs here; one_point (what a point is
        there) and one_point_costs, what it costs to first order. [money per unit, money]
    least_budget : float, optional
        With a budget: the least that keeps every hard target. [money]
    wishes : tuple of str
        What else was asked and what it came to: steadiness, caps, ceilings, whose money it is.
    frontier : optional
        Draws money against service when it is asked for; None in a plan read from a store.
    """

    cost: float = 0.0
    lower_bound: float = 0.0
    service: pd.DataFrame = field(default_factory=pd.DataFrame)
    shadow_prices: pd.DataFrame = field(default_factory=pd.DataFrame)
    least_budget: float | None = None
    wishes: tuple[str, ...] = ()
    frontier: Any = None

    @property
    def gap(self) -> float:
        """Cost / lower_bound - 1; 0 where nothing needs to be stocked."""
        return (
            0.0
            if self.cost <= self.lower_bound
            else self.cost / self.lower_bound - 1
            if self.lower_bound
            else float("inf")
        )

    def served_share(self, demand: pd.DataFrame, site_ids: Iterable[str] | None = None) -> float:
        """Share of the customers' demand that is met from the shelf.

        Parameters
        ----------
        demand : DataFrame
            A forecast table: part_id, site_id, mean; its sums are the weights.
        site_ids : iterable of str, optional
            None: all sites.

        Returns
        -------
        float
            NaN where nothing is asked for.
        """
        asked = demand.groupby(["part_id", "site_id"], as_index=False)["mean"].sum()
        if site_ids is not None:
            asked = asked[asked["site_id"].isin(list(site_ids))]
        both = asked.merge(self.table[["part_id", "site_id", "fill_rate"]], on=["part_id", "site_id"])
        total = both["mean"].sum()
        return (
            float((both["fill_rate"].fillna(0.0) * both["mean"]).sum() / total) if total > 0 else float("nan")
        )

    def curve(
        self, by: str | None = None, points: int = 15, widest: float = 60.0, by_group: bool = False
    ) -> pd.DataFrame:
        """Money against service: the efficient plans, with this plan and today's stock as points beside them.

        Every point on the curve is a plan in whole pieces at this plan's shadow prices times a factor: no
        levels give less priced shortfall for less money.

        Parameters
        ----------
        by : {None, "tier", "site", "region"}, optional
            Draw a curve per tier, site or region as well, below the one of the whole network ("all"). A
            tier's curve is the money of its parts against the service of its demand. A site's or region's
            curve is the money of its own shelves against the service of its own demand, with all other stock
            held as in this plan. Plans from plain tables know "site" and, if targets have one, "group".
        points : int
            Points of each curve.
        widest : float
            Largest factor on the prices; the smallest is its inverse.
        by_group : bool
            A row per promise and point instead, of the whole network: group, measure, reached.

        Returns
        -------
        DataFrame
            money, service (fill rate), what ("curve", "this plan", "today"), mean_wait_days, in_window (share
            of the demand with a promised window), shortfall (what is missed, at the shadow prices), waiting
            (pieces owed on average), price_factor, pieces, demand_per_day; with `by` its column. Empty where
            the plan came from a store. [money, share, days, money, pieces]

        Raises
        ------
        DataError
            The plan is not known by `by`, or fewer than two points are asked for.
        """
        if self.frontier is not None:
            return self.frontier.curve(by=by, points=points, widest=widest, by_group=by_group)
        return pd.DataFrame(columns=["money", "service", "what"])

    def next_money(self, amount: float = 100_000.0, by: str | None = None) -> pd.DataFrame:
        """What the next amount of money buys: in the whole network, and at each tier, site or region alone.

        Parameters
        ----------
        amount : float
            More money in base stock than now; each row spends it once, alone. Caps of regions are left aside:
            there it says what a higher cap would buy. [money]
        by : {None, "tier", "site", "region"}, optional
            As in `curve`; best buys first.

        Returns
        -------
        DataFrame
            money (now), spent, pieces_more, service and service_then (fill rate), points_of_fill (0.01),
            mean_wait_days, mean_wait_days_then, days_of_wait_saved, points_in_window,
            machine_hours_saved_per_year (a machine waits for every piece owed), shortfall_saved (what is no
            longer missed, at the shadow prices: about `spent` to first order), reason. Empty where the plan
            came from a store.

        Raises
        ------
        DataError
            The amount is not above 0, or the plan is not known by `by`.
        """
        return pd.DataFrame() if self.frontier is None else self.frontier.next_money(amount, by)

    def point_costs(self, points: float = 1.0) -> pd.DataFrame:
        """What every promise costs when it is tightened, and frees when it is loosened, by so many points.

        Parameters
        ----------
        points : float
            A point is 0.01 of a share and 0.1 day of mean wait.

        Returns
        -------
        DataFrame
            group, measure, target, step, linear (at the shadow price), costs (tightened by the step: at least
            `linear`, more where the promise is steep; empty where the step ends at certainty), frees
            (loosened by it: at most `linear`). Empty where the plan came from a store. [money]

        Raises
        ------
        DataError
            `points` is not above 0.
        """
        return pd.DataFrame() if self.frontier is None else self.frontier.point_costs(points)


@dataclass(frozen=True, repr=False)
class Attainment(Result):
    """Promised against achieved service, by simulation, with intervals.

    Parameters
    ----------
    with_pools : DataFrame
        The promises again, where neighbours of a lateral pool help out: group, measure, promised, achieved,
        low, high, kept, and lateral_share, the share of the demand that a neighbour serves. Empty where the
        data has no pools.
    """

    with_pools: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def kept(self) -> bool:
        """Whether every promise is kept within its interval."""
        return bool(self.table["kept"].all())


@dataclass(frozen=True, repr=False)
class Orders(Result):
    """Weekly moves: purchases, replenishment, laterals, repairs, emergencies.

    Parameters
    ----------
    projection : DataFrame
        part_id, site_id, week, on_hand, on_order, backorders expected at the end of each week. [pieces]
    waiting : DataFrame
        What could not be sent in full: week and until (first and last it waits), part_id, from_site_id,
        to_site_id, pieces (most that wait), reason. [pieces]
    """

    projection: pd.DataFrame = field(default_factory=pd.DataFrame)
    waiting: pd.DataFrame = field(default_factory=pd.DataFrame)
