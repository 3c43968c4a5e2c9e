"""Size the regions' engineers against the P1 to P4 promises; every function works on plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spareplan._lazy import attach

if TYPE_CHECKING:
    from spareplan.staffing.answers import desk_people
    from spareplan.staffing.benchmark import benchmark_regions, scale_signs
    from spareplan.staffing.day_chain import size_day
    from spareplan.staffing.desk import plan_desk
    from spareplan.staffing.headcount import size_headcount
    from spareplan.staffing.marginal import one_more_engineer
    from spareplan.staffing.means import mean_wait_fixed_service, mean_waits, mean_waits_any_service
    from spareplan.staffing.night import night_table
    from spareplan.staffing.people_words import region_words
    from spareplan.staffing.places import find_places
    from spareplan.staffing.queues import (
        erlang_a,
        erlang_b,
        erlang_c,
        positions_needed,
        servers_needed,
        wait_tail,
    )
    from spareplan.staffing.regional import size_regions
    from spareplan.staffing.scale import grow_market
    from spareplan.staffing.sharing import plan_people
    from spareplan.staffing.shifts import cover_shifts
    from spareplan.staffing.simulation import simulate_region
    from spareplan.staffing.travel import effective_area

_HOMES = {
    "benchmark_regions": "spareplan.staffing.benchmark",
    "cover_shifts": "spareplan.staffing.shifts",
    "desk_people": "spareplan.staffing.answers",
    "effective_area": "spareplan.staffing.travel",
    "erlang_a": "spareplan.staffing.queues",
    "erlang_b": "spareplan.staffing.queues",
    "erlang_c": "spareplan.staffing.queues",
    "find_places": "spareplan.staffing.places",
    "grow_market": "spareplan.staffing.scale",
    "mean_wait_fixed_service": "spareplan.staffing.means",
    "mean_waits": "spareplan.staffing.means",
    "mean_waits_any_service": "spareplan.staffing.means",
    "night_table": "spareplan.staffing.night",
    "one_more_engineer": "spareplan.staffing.marginal",
    "plan_desk": "spareplan.staffing.desk",
    "plan_people": "spareplan.staffing.sharing",
    "positions_needed": "spareplan.staffing.queues",
    "region_words": "spareplan.staffing.people_words",
    "scale_signs": "spareplan.staffing.benchmark",
    "servers_needed": "spareplan.staffing.queues",
    "simulate_region": "spareplan.staffing.simulation",
    "size_day": "spareplan.staffing.day_chain",
    "size_headcount": "spareplan.staffing.headcount",
    "size_regions": "spareplan.staffing.regional",
    "wait_tail": "spareplan.staffing.queues",
}
__getattr__, __dir__ = attach(__name__, _HOMES)

__all__ = [
    "benchmark_regions",
    "cover_shifts",
    "desk_people",
    "effective_area",
    "erlang_a",
    "erlang_b",
    "erlang_c",
    "find_places",
    "grow_market",
    "mean_wait_fixed_service",
    "mean_waits",
    "mean_waits_any_service",
    "night_table",
    "one_more_engineer",
    "plan_desk",
    "plan_people",
    "positions_needed",
    "region_words",
    "scale_signs",
    "servers_needed",
    "simulate_region",
    "size_day",
    "size_headcount",
    "size_regions",
    "wait_tail",
]
