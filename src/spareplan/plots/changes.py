"""Pictures of why the forecast moves, and of what nobody expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.language import word
from spareplan.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    RED,
    SKY,
    legend_beside,
    name_axes,
    need,
    new_axes,
    said,
    thousands,
)
from spareplan.results import DemandForecast

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Where all changes together are a smaller share of the level than this, the axis does not start at 0.
LEAST_SHOWN = 0.35


def plot_waterfall(
    demand: DemandForecast | pd.DataFrame,
    part_id: str | None = None,
    site_id: str | None = None,
    from_month: Any = None,
    to_month: Any = None,
    months: int = 1,
    ax: Axes | None = None,
    language: str = "en",
) -> Axes:
    """Lead from one month's (or year's) demand to another's, a bar per source.

    Parameters
    ----------
    demand : DemandForecast, or DataFrame
        A forecast; or the steps themselves, as from ``demand.waterfall(...)``.
    part_id, site_id, from_month, to_month, months
        As in `sp.forecast.waterfall`; for a forecast only.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        As `sp.forecast.waterfall`, or the steps lack a column.
    """
    steps = (
        demand
        if isinstance(demand, pd.DataFrame)
        else demand.waterfall(part_id, site_id, from_month, to_month, months)
    )
    need(steps, ("step", "source", "change", "level"), "plot_waterfall", "demand")
    level, change = (steps[name].to_numpy(dtype=float) for name in ("level", "change"))
    ends = steps["source"].isna().to_numpy()
    if not (ends[0] and ends[-1] and ends.sum() == 2):
        raise problem_in_argument(
            "plot_waterfall", "demand", f"{ends.sum()} ends", "are no steps from one level to another",
            "give those of one waterfall",
        )  # fmt: skip
    ax = new_axes(ax, height=1.4 + 0.36 * len(steps))
    y = np.arange(len(steps))
    was = np.where(ends, 0.0, np.concatenate([[0.0], level[:-1]]))
    floor = _floor(level)
    span = level.max(initial=0.0) - floor or 1.0
    looks = (
        (ends, BLUE, "", None),
        (~ends & (change > 0), GREEN, "//", "more"),
        (~ends & (change < 0), RED, "xx", "less"),
    )
    for rows, colour, hatch, key in looks:
        if not rows.any():
            continue
        begin = np.where(ends[rows], floor, was[rows])
        ax.barh(y[rows], level[rows] - begin, left=begin, height=0.62, color=colour, hatch=hatch,
                edgecolor="white", label=word(key, language) if key else None)  # fmt: skip
    ax.vlines(level[:-1], y[:-1] - 0.31, y[1:] + 0.31, color="#555555", linewidth=0.8)
    for place, (is_end, at, before, size) in enumerate(zip(ends, level, was, change)):
        text = _number(at) if is_end else _signed(size)
        ax.text(max(at, before) + 0.012 * span, place, text, va="center", fontsize=9)
    ax.set_yticks(
        y, [_step_words(step, source, language) for step, source in zip(steps["step"], steps["source"])]
    )
    ax.set_ylim(len(steps) - 0.4, -0.6)
    ax.set_xlim(floor, floor + 1.13 * span)
    ax.xaxis.set_major_formatter(thousands)
    ax.grid(axis="y", visible=False)
    scope = [part_id or word("all_parts", language), site_id or word("all_sites", language)]
    title = " · ".join(
        [word("why_it_changes", language), *([] if isinstance(demand, pd.DataFrame) else scope)]
    )
    pieces = f"{word('demand', language)} [{word('pieces', language)}]"
    if floor > 0:
        pieces += f" · {word('axis_from', language)} {_number(floor)}"
    return name_axes(ax, title, pieces, "")


def plot_surprises(
    surprises: pd.DataFrame, most: int = 15, ax: Axes | None = None, language: str = "en"
) -> Axes:
    """What was taken beside what was expected and the 95 % quantile, the least likely first.

    Parameters
    ----------
    surprises : DataFrame
        As from ``sp.forecast.surprises(...)``: part_id [, site_id or region_id], expected, q0.95, actual,
        probability.
    most : int
        Rows shown at most.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        A column is missing, or there is no row.
    """
    need(surprises, ("part_id", "expected", "q0.95", "actual", "probability"), "plot_surprises", "surprises")
    if not isinstance(most, (int, np.integer)) or most < 1:
        raise problem_in_argument("plot_surprises", "most", most, "is no number of rows", "give 1 or more")
    shown = surprises.head(most)
    ax = new_axes(ax, height=1.4 + 0.3 * len(shown))
    y = np.arange(len(shown))
    mean, top, actual, chance = (
        shown[name].to_numpy(dtype=float) for name in ("expected", "q0.95", "actual", "probability")
    )
    ax.barh(y, np.maximum(top, 0.0), height=0.62, color=SKY, alpha=0.45, label=word("up_to_q95", language))
    ax.scatter(mean, y, marker="|", s=150, color=BLACK, zorder=3, label=word("expected", language))
    more = actual > mean
    for rows, colour, marker, key in ((more, RED, ">", "more_taken"), (~more, BLUE, "<", "less_taken")):
        if rows.any():
            ax.scatter(actual[rows], y[rows], marker=marker, s=60, color=colour, edgecolor="white", zorder=4,
                       label=word(key, language))  # fmt: skip
    edge = max(np.concatenate([top, actual]).max(initial=0.0), 1.0)
    for place, (at, share) in enumerate(zip(np.maximum(top, actual), chance)):
        ax.text(at + 0.025 * edge, place, _odds(share, language), va="center", fontsize=8, color="#444444")
    ax.set_yticks(y, _row_names(shown))
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(min(float(actual.min()), 0.0) - 0.02 * edge, 1.16 * edge)
    ax.locator_params(axis="x", integer=True)
    ax.xaxis.set_major_formatter(thousands)
    ax.grid(axis="y", visible=False)
    title = word("worst_surprises", language)
    if {"from_month", "to_month"} <= set(shown):
        first, last = (f"{shown[name].iloc[0]:%Y-%m}" for name in ("from_month", "to_month"))
        title += f" · {first}" if first == last else f" · {first} – {last}"
    name_axes(ax, title, f"{word('demand', language)} [{word('pieces', language)}]", "")
    return legend_beside(ax, f"{len(shown):,} / {len(surprises):,} {word('worst_first', language)}")


def _floor(level: np.ndarray) -> float:
    """Where the axis starts: 0, unless the changes would be too small to see."""
    low, high = level.min(), level.max()
    if low <= 0 or high - low >= LEAST_SHOWN * high:
        return min(0.0, float(low))
    start = max(low - (high - low), 0.0)
    unit = 10.0 ** np.floor(np.log10(max(high - low, 1e-12)))
    return float(np.floor(start / unit) * unit)


def _step_words(step: str, source: str | None, language: str) -> str:
    return str(step) if source is None or pd.isna(source) else said(str(source), language)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _signed(value: float) -> str:
    return f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+,.1f}" if abs(value) >= 1 else f"{value:+.2g}"


def _odds(share: float, language: str) -> str:
    if share <= 0:
        return word("none_foreseen", language)
    count = f"{1 / share:,.0f}" if share > 1e-6 else f"> {1e6:,.0f}"
    return f"1 : {count}"


def _row_names(shown: pd.DataFrame) -> list[str]:
    where = next((name for name in ("site_id", "region_id") if name in shown), None)
    parts = shown["part_id"].astype(str)
    return parts.to_list() if where is None else (parts + " · " + shown[where].astype(str)).to_list()
