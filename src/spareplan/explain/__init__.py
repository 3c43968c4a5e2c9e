"""Why a number is what it is."""

from __future__ import annotations

from spareplan.explain.numbers import Explanation, explain_demand, explain_level

__all__ = ["Explanation", "explain_demand", "explain_level"]
