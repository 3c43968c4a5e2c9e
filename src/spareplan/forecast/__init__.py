"""Forecast failures from the installed base and demand from history; every function works on plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spareplan._lazy import attach

if TYPE_CHECKING:
    from spareplan.forecast.backtest import backtest_demand
    from spareplan.forecast.combine import forecast_history
    from spareplan.forecast.demand import forecast_demand
    from spareplan.forecast.interval_lives import fit_interval_lifetimes
    from spareplan.forecast.lifetimes import fit_lifetimes
    from spareplan.forecast.recurrent import fit_recurrent
    from spareplan.forecast.renewal import expected_renewals
    from spareplan.forecast.scores import score_quantiles
    from spareplan.forecast.survival import survival_curve

_HOMES = {
    "fit_lifetimes": "spareplan.forecast.lifetimes",
    "fit_interval_lifetimes": "spareplan.forecast.interval_lives",
    "fit_recurrent": "spareplan.forecast.recurrent",
    "expected_renewals": "spareplan.forecast.renewal",
    "forecast_history": "spareplan.forecast.combine",
    "score_quantiles": "spareplan.forecast.scores",
    "survival_curve": "spareplan.forecast.survival",
    "backtest_demand": "spareplan.forecast.backtest",
    "forecast_demand": "spareplan.forecast.demand",
}
__getattr__, __dir__ = attach(__name__, _HOMES)

__all__ = [
    "backtest_demand",
    "expected_renewals",
    "fit_interval_lifetimes",
    "fit_lifetimes",
    "fit_recurrent",
    "forecast_demand",
    "forecast_history",
    "score_quantiles",
    "survival_curve",
]
