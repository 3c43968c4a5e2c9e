"""Draw the pictures of the documentation anew from the sample: all of them, or those that are named.

``python docs/pictures/draw.py [pyramid life forecast sources waterfall surprises accuracy plan_and_actual
grades curve curve_by_tier curve_by_region headcount regions_map month_plan one_more scale]``
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd

import spareplan as sp
from spareplan import plots
from spareplan.feedback import score_demand
from spareplan.forecast.look_back import surprises
from spareplan.tables.taken import taken_from_shelves

mpl.use("Agg")
FOLDER = Path(__file__).parent
DATA = sp.read_dataset(str(FOLDER.parents[1] / "data" / "samples" / "delivery_pump"))
PART = "00101"


@cache
def demand(months_ago: int = 0) -> Any:
    """Forecast of the sample's next year, or the one that could be made some months earlier."""
    return sp.forecast_demand(DATA, months=12, as_of=DATA.as_of() - pd.offsets.MonthEnd(months_ago))


@cache
def levels() -> Any:
    """Stock levels of the sample."""
    return sp.optimize_levels(DATA, demand(), sp.grade_parts(DATA, demand()))


@cache
def crew() -> Any:
    """Head count of the sample."""
    return sp.size_headcount(DATA, demand(), levels())


def plan_score() -> Any:
    """Hold the forecast of half a year ago against what was taken since."""
    planned = demand(6).table
    planned = planned[planned["month"] <= DATA.as_of()]
    taken = taken_from_shelves(DATA)
    cost = DATA.parts.set_index("part_id")["unit_cost"]
    return score_demand(planned, taken[taken["month"].isin(planned["month"])], DATA.network.region, cost)


PICTURES = {
    "pyramid": lambda: plots.plot_age_pyramid(DATA),
    "life": lambda: plots.plot_life(demand(), PART, sp.forecast.survival_curve(demand().spells)),
    "forecast": lambda: plots.plot_forecast(demand(), PART, past=taken_from_shelves(DATA)),
    "sources": lambda: plots.plot_sources(demand()),
    "waterfall": lambda: plots.plot_waterfall(demand()),
    "surprises": lambda: plots.plot_surprises(surprises(demand(1), DATA, by="region"), most=12),
    "accuracy": lambda: plots.plot_accuracy(sp.backtest_demand(DATA)),
    "plan_and_actual": lambda: plots.plot_plan_score(plan_score()),
    "grades": lambda: plots.plot_grades(sp.grade_parts(DATA, demand()), DATA.parts),
    "curve": lambda: plots.plot_curve(levels()),
    "curve_by_tier": lambda: plots.plot_curve(levels(), by="tier", language="zh"),
    "curve_by_region": lambda: plots.plot_curve(levels(), by="region", measure="mean_wait_days"),
    "headcount": lambda: plots.plot_headcount(crew()),
    "regions_map": lambda: plots.plot_regions_map(crew(), language="zh"),
    "month_plan": lambda: plots.plot_month_plan(crew()),
    "one_more": lambda: plots.plot_one_more(crew()),
    "scale": lambda: plots.plot_scale(crew()),
}


if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]().figure.savefig(FOLDER / f"{name}.png", dpi=90)
        print(FOLDER / f"{name}.png")
