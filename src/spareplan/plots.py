"""Pictures that say what they show: units on the axes, Chinese labels, colours everyone can tell apart.

Every function draws finished numbers of a result on an Axes and gives it back; nothing is computed here. Colour
never stands alone: lines differ in style, points in shape.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.language import word
from spareplan.results import Attainment, DemandForecast, Headcount, PartGrades, StockLevels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart with any colour vision.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK)
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "++")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
CHINESE_FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Micro Hei",
                 "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "SimHei", "Arial Unicode MS")


def use_house_style(font: str | None = None) -> list[str]:
    """Set fonts and looks for all pictures; called by every function here.

    Parameters
    ----------
    font : str, optional
        A font family of your choice that stands before all others.

    Returns
    -------
    list of str
        The families in use, first choice first. Where no Chinese font is installed a warning says so, once.
    """
    import matplotlib as mpl

    families = _families(font)
    mpl.rcParams.update({
        "font.family": families, "axes.unicode_minus": False, "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "grid.color": "#DDDDDD", "axes.axisbelow": True, "figure.constrained_layout.use": True,
        "axes.prop_cycle": mpl.cycler(color=list(COLOURS)), "axes.titlelocation": "left",
    })
    return families


def plot_fleet_age(fleet: pd.DataFrame, products: pd.DataFrame, ax: Axes | None = None, language: str = "en") -> Axes:
    """Machines in service by age, stacked by product.

    Parameters
    ----------
    fleet : DataFrame
        product_id and age_years of each machine in service.
    products : DataFrame
        product_id and name.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    edges = np.arange(0, np.ceil(fleet["age_years"].max()) + 1)
    base = np.zeros(len(edges) - 1)
    named = products.set_index("product_id")["name"]
    for (product, rows), colour, hatch in zip(fleet.groupby("product_id"), COLOURS, HATCHES):
        count, _ = np.histogram(rows["age_years"], bins=edges)
        ax.bar(edges[:-1], count, bottom=base, width=0.9, align="edge", color=colour, hatch=hatch, edgecolor="white",
               label=f"{named.get(product, product)} ({len(rows)})")
        base = base + count
    _named(ax, word("fleet_age", language), f"{word('age', language)} [{word('years', language)}]", word("machines", language))
    ax.legend(frameon=False)
    return ax


def plot_forecast(demand: DemandForecast, part_id: str, site_id: str | None = None, ax: Axes | None = None,
                  language: str = "en") -> Axes:
    """Expected demand per month with its quantile bands.

    Parameters
    ----------
    demand : DemandForecast
    part_id : str
    site_id : str, optional
        None: the site with the largest demand for the part.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        The forecast has no such part or site.
    """
    rows = demand.table[demand.table["part_id"] == part_id]
    if site_id is None and len(rows):
        site_id = str(rows.groupby("site_id")["mean"].sum().idxmax())
    rows = rows[rows["site_id"] == site_id].sort_values("month")
    if rows.empty:
        raise problem_in_argument("plot_forecast", "part_id", f"{part_id}, {site_id}", "has no forecast",
                                  "give a part and site of demand.table")
    ax = _axes(ax)
    months = rows["month"].to_numpy()
    for low, high, shade in (("q0.5", "q0.95", 0.15), ("q0.5", "q0.8", 0.3)):
        if low in rows and high in rows:
            ax.fill_between(months, rows[low].to_numpy(), rows[high].to_numpy(), step="mid", color=BLUE, alpha=shade,
                            linewidth=0, label=f"{low[1:]} – {high[1:]}")
    ax.plot(months, rows["mean"].to_numpy(), color=BLUE, marker="o", label=word("mean", language))
    _named(ax, f"{part_id} · {site_id}", word("month", language), f"{word('demand', language)} [{word('pieces', language)}]")
    ax.legend(frameon=False)
    ax.set_ylim(bottom=0)
    return ax


def plot_sources(demand: DemandForecast, ax: Axes | None = None, language: str = "en") -> Axes:
    """Where the demand of each month comes from, stacked."""
    ax = _axes(ax)
    names = ["from_installed_base", "from_new_units", "from_history", "from_planned"]
    sums = demand.table.groupby("month")[names].sum()
    base = np.zeros(len(sums))
    for name, colour, hatch in zip(names, COLOURS, HATCHES):
        ax.bar(sums.index, sums[name], bottom=base, width=25, color=colour, hatch=hatch, edgecolor="white",
               label=word(name, language))
        base = base + sums[name].to_numpy()
    _named(ax, word("sources_of_demand", language), word("month", language),
           f"{word('demand', language)} [{word('pieces', language)}]")
    ax.legend(frameon=False)
    return ax


def plot_grades(grades: PartGrades, parts: pd.DataFrame, ax: Axes | None = None, language: str = "en") -> Axes:
    """Parts by lead time and unit cost, coloured and shaped by who plans them.

    Parameters
    ----------
    grades : PartGrades
    parts : DataFrame
        part_id, lead_time_days, unit_cost.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    joined = grades.table.merge(parts[["part_id", "lead_time_days", "unit_cost"]], on="part_id")
    for (planner, rows), colour, marker in zip(joined.groupby("planner"), COLOURS, MARKERS):
        ax.scatter(rows["lead_time_days"], rows["unit_cost"], s=14 + 60 * np.sqrt(rows["annual_value"] / joined["annual_value"].max()),
                   color=colour, marker=marker, alpha=0.75, linewidth=0, label=f"{word(str(planner), language)} ({len(rows)})")
    ax.set_yscale("log")
    _named(ax, word("grades", language), f"{word('lead_time', language)} [{word('days', language)}]",
           f"{word('unit_cost', language)} [{word('money', language)}]")
    ax.legend(frameon=False, title=word("planner", language))
    return ax


def plot_curve(levels: StockLevels, curve: pd.DataFrame | None = None, ax: Axes | None = None, language: str = "en") -> Axes:
    """Money against service, with this plan and today's stock as points on it.

    Parameters
    ----------
    levels : StockLevels
    curve : DataFrame, optional
        As from ``levels.curve()``; drawn anew when None.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    table = levels.curve() if curve is None else curve
    points = table[table["what"] != "curve"]
    line = table[table["what"] == "curve"].sort_values("money")
    ax.plot(line["money"], line["service"], color=BLUE, label=word("least_money_for_the_service", language))
    for (what, rows), colour, marker in zip(points.groupby("what"), COLOURS[1:], MARKERS):
        ax.scatter(rows["money"], rows["service"], color=colour, marker=marker, s=70, zorder=3, label=_said(str(what), language))
    _named(ax, word("money_against_service", language), f"{word('money_in_base_stock', language)} [{word('money', language)}]",
           f"{word('fill_rate', language)} [–]")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.tick_params(axis="x", labelrotation=20)
    ax.legend(frameon=False, loc="lower right")
    return ax


def plot_attainment(check: Attainment, ax: Axes | None = None, language: str = "en", most: int = 25) -> Axes:
    """Promised against simulated service per group, worst first, with intervals."""
    ax = _axes(ax)
    table = check.table.assign(slack=lambda t: t["achieved"] - t["promised"]).sort_values("slack").head(most).iloc[::-1]
    y = np.arange(len(table))
    error = np.abs(np.vstack([table["achieved"] - table["low"], table["high"] - table["achieved"]]))
    ax.errorbar(table["achieved"], y, xerr=error, fmt="o", color=BLUE, capsize=2, label=word("achieved", language))
    ax.scatter(table["promised"], y, marker="|", s=160, color=RED, label=word("promised", language))
    ax.set_yticks(y, table["group"].astype(str))
    _named(ax, word("promised_and_achieved", language), word("service", language), "")
    ax.legend(frameon=False)
    return ax


def plot_headcount(crew: Headcount, ax: Axes | None = None, language: str = "en") -> Axes:
    """Engineers required and present per region, in the first month."""
    ax = _axes(ax)
    first = crew.table[crew.table["month"] == crew.table["month"].min()]
    sums = first.groupby("region_id")[["required", "headcount"]].sum().sort_values("required")
    y = np.arange(len(sums))
    ax.barh(y + 0.2, sums["required"], height=0.38, color=BLUE, label=word("engineers_required", language))
    ax.barh(y - 0.2, sums["headcount"], height=0.38, color=ORANGE, hatch="//", edgecolor="white",
            label=word("engineers_present", language))
    ax.set_yticks(y, sums.index.astype(str))
    _named(ax, f"{word('engineers', language)} · {first['month'].iloc[0]:%Y-%m}", word("people", language), "")
    ax.legend(frameon=False)
    return ax


def _axes(ax: Axes | None) -> Axes:
    use_house_style()
    if ax is not None:
        return ax
    from matplotlib.figure import Figure
    import matplotlib.pyplot as plt

    figure: Figure = plt.figure(figsize=(8, 4.5))
    return figure.add_subplot()


def _named(ax: Axes, title: str, x: str, y: str) -> None:
    ax.set_title(title)
    ax.set_xlabel(x)
    ax.set_ylabel(y)


def _said(key: str, language: str) -> str:
    try:
        return word(key, language)
    except KeyError:
        return key


@functools.cache
def _families(font: str | None) -> Any:
    from matplotlib import font_manager

    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    chinese = [name for name in CHINESE_FONTS if name in installed]
    if not chinese:
        warnings.warn("no Chinese font is installed, so Chinese labels show as boxes; install one, such as Noto Sans CJK "
                      "or WenQuanYi Micro Hei (Debian: fonts-wqy-microhei)", stacklevel=3)
    return [name for name in ([font] if font else []) + ["DejaVu Sans"] + chinese]
