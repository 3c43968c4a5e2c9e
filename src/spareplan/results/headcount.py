"""Result about engineers."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from spareplan.results.base import Result


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
    searched, attained : DataFrame
        Engineers on duty of each region-month, by formula and as searched by simulation; the shares that
        these keep in simulation, with intervals (`staffing.plan_search.PlanSearch`).
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
    searched: pd.DataFrame = field(default_factory=pd.DataFrame)
    attained: pd.DataFrame = field(default_factory=pd.DataFrame)
