"""Planners' numbers: gathered from where they were typed, laid over the model's, and listed for ever."""

from __future__ import annotations

from spareplan.overrides.gathering import add_override, gather_overrides
from spareplan.overrides.laying import (
    OVERRIDE_SOURCE,
    apply_to_crew,
    apply_to_demand,
    apply_to_grades,
    apply_to_levels,
    apply_to_orders,
    apply_to_parts,
    beside_given,
    fixed_levels,
    level_bounds,
)
from spareplan.overrides.listing import list_overrides, override_exceptions

__all__ = [
    "OVERRIDE_SOURCE",
    "add_override",
    "apply_to_crew",
    "apply_to_demand",
    "apply_to_grades",
    "apply_to_levels",
    "apply_to_orders",
    "apply_to_parts",
    "beside_given",
    "fixed_levels",
    "gather_overrides",
    "level_bounds",
    "list_overrides",
    "override_exceptions",
]
