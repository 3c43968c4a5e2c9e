"""Pictures of grades, promises, orders and engineers."""

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
    stack_bars,
    thousands,
)
from spareplan.results import Attainment, Headcount, Orders, PartGrades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("purchase", "replenish", "lateral", "repair", "emergency")


def plot_grades(
    grades: PartGrades, parts: pd.DataFrame, ax: Axes | None = None, language: str = "en"
) -> Axes:
    """Parts by lead time and unit cost, coloured and shaped by who plans them; dashed: the thresholds.

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

    Raises
    ------
    DataError
        `parts` lacks a column.
    """
    need(parts, ("part_id", "lead_time_days", "unit_cost"), "plot_grades", "parts")
    ax = new_axes(ax)
    joined = grades.table.merge(parts[["part_id", "lead_time_days", "unit_cost"]], on="part_id")
    size = 14 + 130 * np.sqrt(joined["annual_value"] / max(joined["annual_value"].max(), 1e-9))
    for (planner, rows), colour, marker in zip(joined.groupby("planner"), COLOURS, MARKERS):
        label = f"{word(str(planner), language)} ({len(rows):,})"
        ax.scatter(rows["lead_time_days"], rows["unit_cost"], s=size[rows.index], color=colour, marker=marker,
                   alpha=0.7, linewidth=0, label=label)  # fmt: skip
    assumed = grades.assumptions.drop_duplicates("name").set_index("name")["value"]
    limits = pd.to_numeric(assumed.reindex(["long_lead_time_days", "value_split"]), errors="coerce")
    for limit, line in zip(limits, (ax.axvline, ax.axhline)):
        if np.isfinite(limit):
            line(limit, color="#555555", linestyle="--", linewidth=1)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(thousands)
    days = f"{word('lead_time', language)} [{word('days', language)}]"
    name_axes(ax, word("lead_time_against_value", language), days,
           f"{word('unit_cost', language)} [{word('money', language)}]")  # fmt: skip
    return legend_beside(ax, f"{word('planner', language)}\n({word('area_annual_value', language)})")


def plot_attainment(
    check: Attainment,
    measure: str | None = None,
    most: int = 25,
    ax: Axes | None = None,
    language: str = "en",
) -> Axes:
    """Promised against simulated service per group, furthest below its promise first, with 95 % intervals.

    Parameters
    ----------
    check : Attainment
    measure : str, optional
        One of its measures; None: the one with most rows. Waits and shares never share an axis.
    most : int
        Groups shown at most.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Nothing was promised in this measure.
    """
    measures = check.table["measure"].value_counts()
    chosen = measure or (str(measures.index[0]) if len(measures) else "")
    table = check.table[check.table["measure"] == chosen].dropna(subset=["promised", "achieved"])
    if table.empty:
        raise problem_in_argument(
            "plot_attainment", "measure", chosen, "is no measure of check.table",
            f"use {', '.join(measures.index) or 'a plan with promises'}",
        )  # fmt: skip
    days = chosen == "mean_wait_days"
    slack = (table["promised"] - table["achieved"]) * (1 if days else -1)
    shown = table.iloc[np.argsort(slack.to_numpy(), kind="stable")[:most][::-1]]
    ax = new_axes(ax, height=1.2 + 0.24 * len(shown))
    y = np.arange(len(shown))
    kept = shown["kept"].to_numpy(bool)
    for rows, colour, marker, key in ((kept, BLUE, "o", "kept"), (~kept, RED, "X", "broken_promise")):
        own = shown[rows]
        error = np.vstack([own["achieved"] - own["low"], own["high"] - own["achieved"]]).clip(0)
        ax.errorbar(own["achieved"], y[rows], xerr=error, fmt=marker, color=colour, capsize=2,
                    label=f"{word(key, language)} ({len(own)})")  # fmt: skip
    ax.scatter(
        shown["promised"], y, marker="|", s=150, color=BLACK, label=word("promised", language), zorder=3
    )
    ax.set_yticks(y, shown["group"].astype(str))
    ax.set_ylim(-0.7, len(shown) - 0.3)
    if not days:
        ax.xaxis.set_major_formatter(percent)
    name_axes(ax, word("promised_and_achieved", language), said(chosen, language), "")
    return legend_beside(ax, f"{len(shown)} / {len(table)} {word('worst_first', language)}")


def plot_orders(orders: Orders, ax: Axes | None = None, language: str = "en") -> Axes:
    """Value of the orders of each week by kind, stacked."""
    need(orders.table, ("week", "kind", "value"), "plot_orders", "orders")
    ax = new_axes(ax)
    sums = orders.table.pivot_table(
        index="week", columns="kind", values="value", aggfunc="sum", fill_value=0.0
    )
    # Weeks without any order, such as holidays, stay visible as gaps.
    weeks = pd.date_range(sums.index.min(), sums.index.max(), freq="7D")
    sums = sums.reindex(weeks, fill_value=0.0)
    shown = {word(kind, language): sums[kind].to_numpy() / 1e6 for kind in KINDS if kind in sums}
    stack_bars(ax, np.arange(len(sums)), shown, width=0.85)
    ax.set_xticks(np.arange(len(sums)), [f"{week:%m-%d}" for week in sums.index])
    value = f"{word('value_of_orders', language)} [{word('millions', language)}]"
    return name_axes(ax, f"{word('orders', language)} · {sums.index[0]:%Y}", word("week", language), value)


def plot_headcount(
    crew: Headcount, month: pd.Timestamp | None = None, ax: Axes | None = None, language: str = "en"
) -> Axes:
    """Engineers required and present per region in one month.

    Parameters
    ----------
    crew : Headcount
    month : Timestamp, optional
        None: the month that needs most engineers in all.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        The head count has no such month.
    """
    need(crew.table, ("region_id", "month", "required", "headcount"), "plot_headcount", "crew")
    when = crew.table.groupby("month")["required"].sum().idxmax() if month is None else pd.Timestamp(month)
    rows = crew.table[crew.table["month"] == when]
    if rows.empty:
        raise problem_in_argument(
            "plot_headcount", "month", f"{when:%Y-%m-%d}", "is not in the plan", "give a month of crew.table"
        )
    sums = rows.groupby("region_id")[["required", "headcount"]].sum().sort_values("required", kind="stable")
    ax = new_axes(ax, height=1.2 + 0.36 * len(sums))
    y = np.arange(len(sums))
    bars = (
        ("required", 0.2, BLUE, "", "engineers_required"),
        ("headcount", -0.2, ORANGE, "//", "engineers_present"),
    )
    for name, shift, colour, hatch, key in bars:
        label = f"{word(key, language)} ({sums[name].sum():,.0f})"
        drawn = ax.barh(
            y + shift, sums[name], height=0.38, color=colour, hatch=hatch, edgecolor="white", label=label
        )
        ax.bar_label(drawn, fmt="{:,.0f}", padding=2, fontsize=8)
    ax.set_yticks(y, sums.index.astype(str))
    name_axes(ax, f"{word('engineers', language)} · {when:%Y-%m}", word("people", language), "")
    ax.legend(loc="lower right")
    return ax
