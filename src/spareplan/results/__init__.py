"""What the stages hand on: frozen results with a table, the assumptions behind it, and a summary in words.

Results know tables only. Columns of every ``.table`` are in the catalog (`spareplan.tables.catalog`).
"""

from spareplan.results.base import (
    ASSUMPTION_COLUMNS,
    SHOWN_ROWS,
    Result,
    assumptions_frame,
    short_number,
)
from spareplan.results.demand import DemandForecast, PartGrades
from spareplan.results.headcount import Headcount
from spareplan.results.levels import Attainment, Orders, StockLevels
from spareplan.results.whole import Plan

__all__ = [
    "ASSUMPTION_COLUMNS",
    "SHOWN_ROWS",
    "Attainment",
    "DemandForecast",
    "Headcount",
    "Orders",
    "PartGrades",
    "Plan",
    "Result",
    "StockLevels",
    "assumptions_frame",
    "short_number",
]
