"""Forecast failures from the installed base and demand from history; every function works on plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spareplan._lazy import attach

if TYPE_CHECKING:
    from spareplan.forecast.analogues import find_analogues
    from spareplan.forecast.backtest import Backtest, backtest_demand
    from spareplan.forecast.bootstrap import block_sums, iid_sums, willemain_sums
    from spareplan.forecast.changes import forecast_revisions, month_changes, revision_waterfall, waterfall
    from spareplan.forecast.clock_choice import choose_by_evidence, clock_evidence
    from spareplan.forecast.combine import forecast_history
    from spareplan.forecast.compound_sums import compound_sums, forgetting_sums
    from spareplan.forecast.covariates import hazard_effects
    from spareplan.forecast.demand import forecast_demand
    from spareplan.forecast.fleet_backtest import backtest_fleet
    from spareplan.forecast.inspections import plan_visits
    from spareplan.forecast.intermittent import (
        adida,
        best_half_lives,
        best_weights,
        croston,
        imapa,
        mean_demand,
        sba,
        ses,
        tsb,
    )
    from spareplan.forecast.interval_lives import fit_interval_lifetimes
    from spareplan.forecast.last_buy import last_buys
    from spareplan.forecast.lifetimes import fit_lifetimes
    from spareplan.forecast.look_back import surprises
    from spareplan.forecast.one_offs import find_one_offs
    from spareplan.forecast.recurrent import expected_repairs, fit_recurrent, recurrence_evidence
    from spareplan.forecast.renewal import expected_renewals
    from spareplan.forecast.reporting import complete_counts, learn_delay
    from spareplan.forecast.retirement import learn_retirement
    from spareplan.forecast.returns import expected_returns
    from spareplan.forecast.scores import score_quantiles
    from spareplan.forecast.series_life import series_life
    from spareplan.forecast.series_states import describe_series
    from spareplan.forecast.survival import survival_curve
    from spareplan.forecast.use_effect import profile_use_effect
    from spareplan.forecast.visit_effect import prevented_failures
    from spareplan.forecast.visits import visit_months

_HOMES = {
    "Backtest": "spareplan.forecast.backtest",
    "adida": "spareplan.forecast.intermittent",
    "backtest_demand": "spareplan.forecast.backtest",
    "backtest_fleet": "spareplan.forecast.fleet_backtest",
    "best_half_lives": "spareplan.forecast.intermittent",
    "best_weights": "spareplan.forecast.intermittent",
    "block_sums": "spareplan.forecast.bootstrap",
    "choose_by_evidence": "spareplan.forecast.clock_choice",
    "clock_evidence": "spareplan.forecast.clock_choice",
    "complete_counts": "spareplan.forecast.reporting",
    "compound_sums": "spareplan.forecast.compound_sums",
    "croston": "spareplan.forecast.intermittent",
    "describe_series": "spareplan.forecast.series_states",
    "expected_renewals": "spareplan.forecast.renewal",
    "expected_repairs": "spareplan.forecast.recurrent",
    "expected_returns": "spareplan.forecast.returns",
    "find_analogues": "spareplan.forecast.analogues",
    "find_one_offs": "spareplan.forecast.one_offs",
    "fit_interval_lifetimes": "spareplan.forecast.interval_lives",
    "fit_lifetimes": "spareplan.forecast.lifetimes",
    "fit_recurrent": "spareplan.forecast.recurrent",
    "forecast_demand": "spareplan.forecast.demand",
    "forecast_history": "spareplan.forecast.combine",
    "forecast_revisions": "spareplan.forecast.changes",
    "forgetting_sums": "spareplan.forecast.compound_sums",
    "hazard_effects": "spareplan.forecast.covariates",
    "iid_sums": "spareplan.forecast.bootstrap",
    "imapa": "spareplan.forecast.intermittent",
    "last_buys": "spareplan.forecast.last_buy",
    "learn_delay": "spareplan.forecast.reporting",
    "learn_retirement": "spareplan.forecast.retirement",
    "mean_demand": "spareplan.forecast.intermittent",
    "month_changes": "spareplan.forecast.changes",
    "plan_visits": "spareplan.forecast.inspections",
    "prevented_failures": "spareplan.forecast.visit_effect",
    "profile_use_effect": "spareplan.forecast.use_effect",
    "recurrence_evidence": "spareplan.forecast.recurrent",
    "revision_waterfall": "spareplan.forecast.changes",
    "sba": "spareplan.forecast.intermittent",
    "score_quantiles": "spareplan.forecast.scores",
    "series_life": "spareplan.forecast.series_life",
    "ses": "spareplan.forecast.intermittent",
    "surprises": "spareplan.forecast.look_back",
    "survival_curve": "spareplan.forecast.survival",
    "tsb": "spareplan.forecast.intermittent",
    "visit_months": "spareplan.forecast.visits",
    "waterfall": "spareplan.forecast.changes",
    "willemain_sums": "spareplan.forecast.bootstrap",
}
__getattr__, __dir__ = attach(__name__, _HOMES)

__all__ = [
    "Backtest",
    "adida",
    "backtest_demand",
    "backtest_fleet",
    "best_half_lives",
    "best_weights",
    "block_sums",
    "choose_by_evidence",
    "clock_evidence",
    "complete_counts",
    "compound_sums",
    "croston",
    "describe_series",
    "expected_renewals",
    "expected_repairs",
    "expected_returns",
    "find_analogues",
    "find_one_offs",
    "fit_interval_lifetimes",
    "fit_lifetimes",
    "fit_recurrent",
    "forecast_demand",
    "forecast_history",
    "forecast_revisions",
    "forgetting_sums",
    "hazard_effects",
    "iid_sums",
    "imapa",
    "last_buys",
    "learn_delay",
    "learn_retirement",
    "mean_demand",
    "month_changes",
    "plan_visits",
    "prevented_failures",
    "profile_use_effect",
    "recurrence_evidence",
    "revision_waterfall",
    "sba",
    "score_quantiles",
    "series_life",
    "ses",
    "surprises",
    "survival_curve",
    "tsb",
    "visit_months",
    "waterfall",
    "willemain_sums",
]
