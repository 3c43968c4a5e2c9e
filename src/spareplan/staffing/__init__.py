"""Size the regions' engineers against the P1 to P4 promises; every function works on plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spareplan._lazy import attach

if TYPE_CHECKING:
    from spareplan.staffing.benchmark import benchmark_regions
    from spareplan.staffing.answers import desk_people
    from spareplan.staffing.headcount import size_headcount
    from spareplan.staffing.queues import erlang_a, erlang_b, erlang_c, servers_needed, wait_tail
    from spareplan.staffing.regional import size_regions
    from spareplan.staffing.shifts import cover_shifts
    from spareplan.staffing.simulation import simulate_region

_HOMES = {
    "benchmark_regions": "spareplan.staffing.benchmark",
    "cover_shifts": "spareplan.staffing.shifts",
    "desk_people": "spareplan.staffing.answers",
    "erlang_a": "spareplan.staffing.queues",
    "erlang_b": "spareplan.staffing.queues",
    "erlang_c": "spareplan.staffing.queues",
    "wait_tail": "spareplan.staffing.queues",
    "servers_needed": "spareplan.staffing.queues",
    "size_regions": "spareplan.staffing.regional",
    "size_headcount": "spareplan.staffing.headcount",
    "simulate_region": "spareplan.staffing.simulation",
}
__getattr__, __dir__ = attach(__name__, _HOMES)

__all__ = [
    "benchmark_regions",
    "cover_shifts",
    "desk_people",
    "erlang_a",
    "erlang_b",
    "erlang_c",
    "servers_needed",
    "simulate_region",
    "size_headcount",
    "size_regions",
    "wait_tail",
]
