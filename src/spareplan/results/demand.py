"""Results of the forecast and of the grading."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from spareplan.results.base import Result


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
