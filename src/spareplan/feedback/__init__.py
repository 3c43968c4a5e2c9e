"""Feed back what really happened: plan against actual, and what follows for the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spareplan._lazy import attach

if TYPE_CHECKING:
    from spareplan.feedback.corrections import Corrections, apply_corrections, corrections_from
    from spareplan.feedback.plan_score import PlanScore, score_demand, score_plan
    from spareplan.feedback.versions import VersionScore, score_versions
    from spareplan.tables.taken import taken_from_shelves

_HOMES = {
    "Corrections": "spareplan.feedback.corrections",
    "PlanScore": "spareplan.feedback.plan_score",
    "VersionScore": "spareplan.feedback.versions",
    "apply_corrections": "spareplan.feedback.corrections",
    "corrections_from": "spareplan.feedback.corrections",
    "score_demand": "spareplan.feedback.plan_score",
    "score_plan": "spareplan.feedback.plan_score",
    "score_versions": "spareplan.feedback.versions",
    "taken_from_shelves": "spareplan.tables.taken",
}
__getattr__, __dir__ = attach(__name__, _HOMES)

__all__ = [
    "Corrections",
    "PlanScore",
    "VersionScore",
    "apply_corrections",
    "corrections_from",
    "score_demand",
    "score_plan",
    "score_versions",
    "taken_from_shelves",
]
