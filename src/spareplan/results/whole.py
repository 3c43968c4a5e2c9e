"""A whole monthly plan: the results of all stages together."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from spareplan.results.base import html_table
from spareplan.results.demand import DemandForecast, PartGrades
from spareplan.results.headcount import Headcount
from spareplan.results.levels import Attainment, Orders, StockLevels


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
        return f"<h4>Plan as of {self.as_of:%Y-%m-%d}</h4><ul>{said}</ul>{html_table(self.exceptions)}"
