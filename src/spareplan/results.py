"""What the stages hand on: frozen results with a table, the assumptions behind it, and a summary in words.

Results know tables only. Columns of every ``.table`` are in the catalog (`spareplan.tables.catalog`).
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

SHOWN_ROWS = 6
ASSUMPTION_COLUMNS = ["stage", "name", "value", "unit", "origin", "meaning"]


def assumptions_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Collect assumptions into their table.

    Parameters
    ----------
    rows : iterable of mapping
        Keys stage, name, value, unit, origin, meaning; a missing one is empty. `origin` says where the value
        came from: "default", "set by the user", "data: parts.lead_time_days", "estimated from ...".

    Returns
    -------
    DataFrame
        Columns of ASSUMPTION_COLUMNS, values as text.
    """
    frame = pd.DataFrame(list(rows), columns=ASSUMPTION_COLUMNS)
    frame["value"] = [_text(value) for value in frame["value"]]
    return frame.astype(object).fillna("").astype(str)


@dataclass(frozen=True, repr=False)
class Result:
    """Base of all results.

    Parameters
    ----------
    table : DataFrame
        Tidy rows, columns as in the catalog.
    assumptions : DataFrame
        Every parameter that went in, and where it came from (ASSUMPTION_COLUMNS).
    lines : tuple of str
        What a colleague would say about it, most important first.
    """

    table: pd.DataFrame
    assumptions: pd.DataFrame
    lines: tuple[str, ...] = ()

    def summary(self) -> str:
        """The result in a few sentences, one per line."""
        return "\n".join(self.lines)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.table)} rows>\n{self.summary()}"

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines)
        count = f"<p>{len(self.table):,} rows in .table</p>"
        return f"<h4>{type(self).__name__}</h4><ul>{said}</ul>{_html_table(self.table)}{count}"


@dataclass(frozen=True, repr=False)
class DemandForecast(Result):
    """Demand per part x site x month, as a distribution.

    Parameters
    ----------
    as_of : Timestamp
        Last day that was known; the first forecast month follows it.
    windows : DataFrame
        Columns part_id, site_id, days, mean, vmr, rate_cv2: the pair for sums over the first `days` days, on
        a grid of windows; `lead_time_demand` interpolates in it. A monthly vmr must never be summed.
    contributions : DataFrame
        Why: part_id, site_id, month, source, mean; the sources of a row add up to its mean.
    spells, lifetimes : DataFrame, optional
        The censored ages that were used and the laws fitted to them.
    visits : DataFrame, optional
        Calendar of inspection visits: product_id, region_id, site_id, month, after_months, visits,
        failures_ahead, prevented, pieces, reason.
    returns : DataFrame, optional
        Good pieces that come back from repair: part_id, site_id, month, returned, from_past, reason. Demand
        stays gross: they reduce what is bought.
    tested : DataFrame, optional
        Back-test behind the weights of ages, mean rate and own record (by_ages, by_rate, by_history).
    series : DataFrame, optional
        What each demand history is doing: part_id, site_id, state, demands that stand out, and more, as from
        `sp.forecast.series_life`.
    """

    as_of: pd.Timestamp = field(default_factory=lambda: pd.Timestamp("1970-01-01"))
    windows: pd.DataFrame = field(default_factory=pd.DataFrame)
    contributions: pd.DataFrame = field(default_factory=pd.DataFrame)
    spells: pd.DataFrame = field(default_factory=pd.DataFrame)
    lifetimes: pd.DataFrame = field(default_factory=pd.DataFrame)
    visits: pd.DataFrame = field(default_factory=pd.DataFrame)
    returns: pd.DataFrame = field(default_factory=pd.DataFrame)
    tested: pd.DataFrame = field(default_factory=pd.DataFrame)
    series: pd.DataFrame = field(default_factory=pd.DataFrame)

    def lead_time_demand(self, days: float | pd.Series | pd.DataFrame) -> pd.DataFrame:
        """Distribution of the demand in the next `days` days.

        Parameters
        ----------
        days : float, Series or DataFrame
            One window for all rows; or a Series indexed by part_id, or by part_id and site_id; or a frame
            with part_id[, site_id] and days. [days]

        Returns
        -------
        DataFrame
            part_id, site_id, days, mean, variance, vmr, rate_cv2, q0.5 ... q0.99 of the sum.

        Raises
        ------
        DataError
            A part (and site) of the forecast has no window.
        """
        from spareplan.tables.windows import window_demand

        return window_demand(self.windows, days, self.levels)

    def waterfall(self, *scope: Any, **spans: Any) -> pd.DataFrame:
        """Lead from one month's (or year's) demand to another's, source by source.

        Arguments, answer and errors as of `sp.forecast.waterfall` without its first argument.
        """
        from spareplan.forecast.changes import waterfall

        return waterfall(self, *scope, **spans)

    def explain(self, part_id: str, site_id: str, month: Any = None) -> Any:
        """Say what one number of the forecast is made of; answer and errors as of `explain_demand`."""
        from spareplan.explain import explain_demand

        return explain_demand(self, part_id, site_id, month)

    @property
    def levels(self) -> list[float]:
        """Published quantile levels."""
        return [float(name[1:]) for name in self.table.columns if name.startswith("q0.")]


@dataclass(frozen=True, repr=False)
class PartGrades(Result):
    """Who plans each part, and the service it is promised."""


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


@dataclass(frozen=True, repr=False)
class Headcount(Result):
    """Engineers per region, month and skill, with what binds each promise.

    Parameters
    ----------
    workload : DataFrame
        Orders and hours per region and month behind the requirement.
    simulated : DataFrame
        Promised, planned and simulated shares of each region's fullest month; empty unless asked for.
    regions : DataFrame
        A row per region in its fullest month, most short first: machines, work, required, present, gap, what
        decides the number and what breaks which promise.
    moves, shortages, alternatives, inspections : DataFrame
        What is to be done month by month; what stays missing, with its price; this plan beside training only
        and hiring only; inspections made a month earlier or later (`staffing.sharing.PeoplePlan`).
    stock_cures, repair_cures, base_cures : DataFrame
        What would cure promises that no number of people keeps: pieces to stock, shorter repairs, bases.
    desk, shifts, nights : DataFrame
        The desk by weekday and hour, its shifts, and what each priority finds outside the field's shifts.
    places, towns : DataFrame
        Where each region's work is, and its towns.
    estimates : DataFrame
        What was estimated from work orders, with 90 % intervals.
    marginal : DataFrame
        What one engineer more buys in each region.
    benchmark, scale : DataFrame
        Units per engineer beside other regions, and why they rise or fall.
    """

    workload: pd.DataFrame = field(default_factory=pd.DataFrame)
    simulated: pd.DataFrame = field(default_factory=pd.DataFrame)
    regions: pd.DataFrame = field(default_factory=pd.DataFrame)
    moves: pd.DataFrame = field(default_factory=pd.DataFrame)
    shortages: pd.DataFrame = field(default_factory=pd.DataFrame)
    alternatives: pd.DataFrame = field(default_factory=pd.DataFrame)
    inspections: pd.DataFrame = field(default_factory=pd.DataFrame)
    stock_cures: pd.DataFrame = field(default_factory=pd.DataFrame)
    repair_cures: pd.DataFrame = field(default_factory=pd.DataFrame)
    base_cures: pd.DataFrame = field(default_factory=pd.DataFrame)
    desk: pd.DataFrame = field(default_factory=pd.DataFrame)
    shifts: pd.DataFrame = field(default_factory=pd.DataFrame)
    nights: pd.DataFrame = field(default_factory=pd.DataFrame)
    places: pd.DataFrame = field(default_factory=pd.DataFrame)
    towns: pd.DataFrame = field(default_factory=pd.DataFrame)
    estimates: pd.DataFrame = field(default_factory=pd.DataFrame)
    marginal: pd.DataFrame = field(default_factory=pd.DataFrame)
    benchmark: pd.DataFrame = field(default_factory=pd.DataFrame)
    scale: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, repr=False)
class Plan:
    """A whole monthly plan.

    Parameters
    ----------
    demand, grades, levels, check, orders, crew
        Results of the stages; None where a stage was left out.
    exceptions : DataFrame
        What a planner must look at, worst first: rank, kind, part_id, site_id, region_id, money,
        machine_days, message, action.
    assumptions : DataFrame
        All assumptions of all stages.
    left_out : DataFrame
        Stages and rows that were left out, and why: what, reason, remedy.
    config : PlanConfig
        What the plan was asked for.
    as_of : Timestamp
        Last day that was known.
    inputs : Mapping of str to DataFrame
        The tables that explanations and exports need again (parts, sites, regions, stock, overrides).
    last_buys : DataFrame
        What parts that end need until their machines are gone, as from `sp.forecast.last_buys`.
    version : int, optional
        Number in the plan store it was read from.
    typed_overrides : DataFrame
        Overrides kept by that store when it was read, those taken back too; the next run picks them up.
    """

    demand: DemandForecast
    grades: PartGrades
    levels: StockLevels
    check: Attainment | None
    orders: Orders
    crew: Headcount | None
    exceptions: pd.DataFrame
    assumptions: pd.DataFrame
    left_out: pd.DataFrame
    config: Any
    as_of: pd.Timestamp
    inputs: Mapping[str, pd.DataFrame]
    lines: tuple[str, ...] = ()
    last_buys: pd.DataFrame = field(default_factory=pd.DataFrame)
    version: int | None = None
    typed_overrides: pd.DataFrame = field(default_factory=pd.DataFrame)

    def explain(self, part_id: str, site_id: str) -> Any:
        """Say in words and numbers why a level and its orders are what they are.

        Parameters
        ----------
        part_id, site_id : str

        Returns
        -------
        Explanation
            A frame (step, value, unit, meaning) that adds up to the published level; prints as sentences.

        Raises
        ------
        DataError
            The plan has no such part or site.
        """
        from spareplan.explain import explain_level

        return explain_level(self, part_id, site_id)

    def summary(self) -> str:
        """The plan in a dozen lines."""
        return "\n".join(self.lines)

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables of the plan by name, as they are stored and exported."""
        stages = {
            "demand": self.demand,
            "grades": self.grades,
            "levels": self.levels,
            "check": self.check,
            "orders": self.orders,
            "crew": self.crew,
        }
        tables = {name: result.table for name, result in stages.items() if result is not None}
        return tables | {
            "visits": self.demand.visits,
            "returns": self.demand.returns,
            "last_buys": self.last_buys,
            "exceptions": self.exceptions,
            "assumptions": self.assumptions,
            "left_out": self.left_out,
        }

    def __repr__(self) -> str:
        return f"<Plan as of {self.as_of:%Y-%m-%d}>\n{self.summary()}"

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines)
        return f"<h4>Plan as of {self.as_of:%Y-%m-%d}</h4><ul>{said}</ul>{_html_table(self.exceptions)}"


def _html_table(frame: pd.DataFrame) -> str:
    """First rows for a notebook: a line each however long the reason, empty columns left out."""
    shown = frame.head(SHOWN_ROWS).dropna(axis=1, how="all")
    table = shown.to_html(index=False, border=0, na_rep="", float_format=short_number)
    # Jupyter's own style breaks lines in every cell; only a style on the cell outdoes it.
    table = table.replace("<td>", '<td style="white-space: nowrap; text-align: left">')
    return f'<div style="overflow-x: auto">{table}</div>'


def short_number(value: float) -> str:
    """Say a number in a few characters: whole where it is whole or large, else three figures.

    Examples
    --------
    >>> short_number(1234567.8), short_number(2.0), short_number(0.12345)
    ('1,234,568', '2', '0.123')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if dataclasses.is_dataclass(value):
        return type(value).__name__
    return str(value)
