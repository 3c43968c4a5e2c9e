"""Pictures of stock levels: money against service, for the whole network and by tier, site or region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.language import word
from spareplan.plots.style import (
    BLACK,
    BLUE,
    COLOURS,
    MARKERS,
    ORANGE,
    RED,
    legend_beside,
    name_axes,
    need,
    new_axes,
    percent,
    said,
    thousands,
)
from spareplan.results import StockLevels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ("-", "--", ":", "-.")
MEASURES = {
    "service": "demand_met_from_the_shelf",
    "mean_wait_days": "mean_wait_days",
    "in_window": "in_window",
}
WHOLE = "all"
# More curves than this in one picture cannot be told apart.
MOST_CURVES = 6


def plot_curve(
    levels: StockLevels,
    curve: pd.DataFrame | None = None,
    ax: Axes | None = None,
    language: str = "en",
    by: str | None = None,
    measure: str = "service",
) -> Axes:
    """Money against service, with this plan (diamond) and today's settings (square) beside the curve.

    Parameters
    ----------
    levels : StockLevels
    curve : DataFrame, optional
        As from ``levels.curve(by=by)`` (money, service, what); drawn anew when None.
    ax : Axes, optional
    language : {"en", "zh"}
    by : {None, "tier", "site", "region"}, optional
        A curve per tier, site or region, those with most money first, six at most; money on a logarithmic
        scale. None: one curve of the whole network.
    measure : {"service", "mean_wait_days", "in_window"}
        Fill rate, mean wait, or share served within the promised window.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        There is no curve, a column is missing, or the measure is unknown.
    """
    if measure not in MEASURES:
        raise problem_in_argument(
            "plot_curve", "measure", measure, "is no measure of a curve", f"use {', '.join(MEASURES)}"
        )
    table = levels.curve(by=by) if curve is None else curve
    need(table, ("money", measure, "what", *([by] if by else [])), "plot_curve", "curve")
    table = table.dropna(subset=["money", measure])
    need(table, ("money",), "plot_curve", "curve")
    ax = new_axes(ax)
    if by is None:
        _one(ax, table, measure, language)
    else:
        _several(ax, table, by, measure, language)
    title = word("money_against_service", language)
    money = f"{word('money_in_base_stock', language)} [{word('millions', language)}]"
    if by is not None:
        title = f"{title} · {said(by, language)}"
    handles = ax.get_legend_handles_labels()
    name_axes(ax, title, money, word(MEASURES[measure], language))
    if measure == "mean_wait_days":
        ax.set_ylim(bottom=0)
    else:
        ax.yaxis.set_major_formatter(percent)
    if by is None:
        ax.set_xlim(left=0)
        ax.legend(*handles, loc="upper right" if measure == "mean_wait_days" else "lower right")
    else:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(thousands)
        legend_beside(ax, said(by, language))
    return ax


def _one(ax: Axes, table: pd.DataFrame, measure: str, language: str) -> None:
    line = table[table["what"] == "curve"].sort_values("money")
    label = word("least_money_for_the_service", language)
    ax.plot(line["money"] / 1e6, line[measure], color=BLUE, marker=".", label=label)
    points = table[table["what"] != "curve"]
    for (what, rows), colour, marker in zip(points.groupby("what"), (RED, ORANGE), ("D", "s")):
        ax.scatter(rows["money"] / 1e6, rows[measure], color=colour, marker=marker, s=80, zorder=3,
                   edgecolor="white", label=said(str(what), language))  # fmt: skip


def _several(ax: Axes, table: pd.DataFrame, by: str, measure: str, language: str) -> None:
    own = table[(table[by] != WHOLE) & (table["money"] > 0)]
    plan = own[own["what"] == "this plan"].set_index(by)["money"]
    shown = plan.nlargest(MOST_CURVES).index
    order = [name for name in own[by].drop_duplicates() if name in set(shown)]
    for k, name in enumerate(order):
        rows = own[own[by] == name]
        colour = COLOURS[k % len(COLOURS)]
        line = rows[rows["what"] == "curve"].sort_values("money")
        ax.plot(line["money"] / 1e6, line[measure], color=colour, linestyle=LINES[k % len(LINES)],
                marker=MARKERS[k % len(MARKERS)], markersize=4, label=str(name))  # fmt: skip
        for what, marker in (("this plan", "D"), ("today", "s")):
            point = rows[rows["what"] == what]
            ax.scatter(point["money"] / 1e6, point[measure], color=colour, marker=marker, s=90, zorder=3,
                       edgecolor=BLACK, linewidth=1.4)  # fmt: skip
    for what, marker in (("this plan", "D"), ("today", "s")):
        if (own["what"] == what).any():
            ax.scatter([], [], color="white", marker=marker, s=90, edgecolor=BLACK, linewidth=1.4,
                       label=said(what, language))  # fmt: skip
    if len(plan) > len(order):
        ax.scatter([], [], alpha=0, label=f"({len(order)} / {len(np.unique(plan.index.astype(str)))})")
