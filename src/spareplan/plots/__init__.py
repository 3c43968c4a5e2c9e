"""Pictures that say what they show: units on the axes, Chinese labels, colours everyone can tell apart.

Every function draws finished numbers of a result on an Axes and gives it back; nothing is planned here.
Colour never stands alone: lines differ in style, points in shape, areas in hatching. `language` is
"en" or "zh".
"""

from spareplan.plots.accuracy import (
    plot_accuracy,
    plot_calibration,
    plot_losers,
    plot_losses,
    plot_stock_and_fill,
)
from spareplan.plots.changes import plot_surprises, plot_waterfall
from spareplan.plots.demand import plot_forecast, plot_life, plot_sources
from spareplan.plots.fleet import plot_age_pyramid, plot_fleet_age
from spareplan.plots.plan_score import plot_plan_score
from spareplan.plots.staffing import plot_month_plan, plot_one_more, plot_regions_map, plot_scale
from spareplan.plots.stock import plot_curve
from spareplan.plots.style import CHINESE_FONTS, use_house_style
from spareplan.plots.supply import plot_attainment, plot_grades, plot_headcount, plot_orders

__all__ = [
    "CHINESE_FONTS",
    "plot_accuracy",
    "plot_age_pyramid",
    "plot_attainment",
    "plot_calibration",
    "plot_curve",
    "plot_fleet_age",
    "plot_forecast",
    "plot_grades",
    "plot_headcount",
    "plot_life",
    "plot_losers",
    "plot_losses",
    "plot_month_plan",
    "plot_one_more",
    "plot_orders",
    "plot_plan_score",
    "plot_regions_map",
    "plot_scale",
    "plot_sources",
    "plot_stock_and_fill",
    "plot_surprises",
    "plot_waterfall",
    "use_house_style",
]
