"""Evaluate, optimise, simulate and replenish stock levels; every function works on plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spareplan._lazy import attach

if TYPE_CHECKING:
    from spareplan.stocking.echelons import evaluate_levels
    from spareplan.stocking.levels import optimize_levels, solve_levels
    from spareplan.stocking.policy import expected_backorders
    from spareplan.stocking.replenish import plan_replenishment
    from spareplan.stocking.simulation import simulate, simulate_levels

_HOMES = {
    "expected_backorders": "spareplan.stocking.policy",
    "evaluate_levels": "spareplan.stocking.echelons",
    "solve_levels": "spareplan.stocking.levels",
    "optimize_levels": "spareplan.stocking.levels",
    "simulate": "spareplan.stocking.simulation",
    "simulate_levels": "spareplan.stocking.simulation",
    "plan_replenishment": "spareplan.stocking.replenish",
}
__getattr__, __dir__ = attach(__name__, _HOMES)

__all__ = [
    "evaluate_levels",
    "expected_backorders",
    "optimize_levels",
    "plan_replenishment",
    "simulate",
    "simulate_levels",
    "solve_levels",
]
