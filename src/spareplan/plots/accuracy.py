"""Pictures of the accuracy of the forecast: the back-test on one page."""

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
    ORANGE,
    PURPLE,
    RED,
    SKY,
    name_axes,
    need,
    new_axes,
    percent,
    said,
    thousands,
    use_house_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Name, colour, marker, line and word of each forecast of a back-test.
LOOKS = {
    "model": (BLUE, "o", "-", "model"),
    "mean": (ORANGE, "s", "--", "mean_forecast"),
    "sba": (GREEN, "^", ":", "SBA"),
    "tsb": (PURPLE, "D", "-.", "TSB"),
    "imapa": (SKY, "v", (0, (1, 1)), "IMAPA"),
    "zero": (BLACK, "X", "-", "expecting_nothing"),
}
COMPARED = ("model", "sba", "tsb", "imapa")
STOCKED = ("model", "mean", "sba", "zero")
# Relative losses beyond these are drawn at the edge, with their number.
EDGES = (0.5, 2.0)
MOST_LOSERS = 8
# Below the axes, under the ticks and the label. [inches]
LEGEND_DEPTH = 0.55
# The right part of the calibration, for the histogram; its left edge leaves room for numbers.
HISTOGRAM = (0.74, 0.0, 0.26, 1.0)
LEAST_SHARE, MOST_SHARE, LEAST_HEIGHT = 0.02, 1 - 5e-4, 1e-3
SURPRISING = 2.0


def plot_accuracy(report: Any, language: str = "en") -> Figure:
    """Draw a back-test on one page: losses, calibration, stock against fill, and the worst losers.

    Parameters
    ----------
    report : Backtest
        As from ``sp.backtest_demand(...)``.
    language : {"en", "zh"}

    Returns
    -------
    Figure
        Of four panels; each can be had alone by its own function.

    Raises
    ------
    DataError
        A table of the report lacks a column or has no row.
    """
    import matplotlib.pyplot as plt

    _check(report)
    use_house_style()
    figure = plt.figure(figsize=(14, 9.5), layout="constrained")
    # Two halves, so that long names of one row do not move the panels of the other.
    halves = np.ravel(np.asarray(figure.subfigures(2, 1)))
    first, second, third, fourth = (ax for half in halves for ax in half.subplots(1, 2))
    plot_losses(report, ax=first, language=language)
    plot_calibration(report, ax=second, language=language)
    plot_stock_and_fill(report, ax=third, language=language)
    plot_losers(report, ax=fourth, language=language)
    return figure


def plot_losses(report: Any, by: str = "class", ax: Axes | None = None, language: str = "en") -> Axes:
    """Loss of each forecast relative to that of the mean forecast, with 95 % intervals.

    Parameters
    ----------
    report : Backtest
    by : str
        A cut of the report, such as class or region.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes
        Without an interval where too few parts tell one.

    Raises
    ------
    DataError
        The report has no such cut.
    """
    table = report.table
    need(
        table, ("cut", "group", "forecast", "to_mean", "to_mean_low", "to_mean_high"), "plot_losses", "report"
    )
    rows = table[table["cut"].isin(["all", by])]
    if not (rows["cut"] == by).any():
        raise problem_in_argument("plot_losses", "by", by, "is no cut of the report", "give one of its table")
    names = list(dict.fromkeys(zip(rows["cut"], rows["group"])))
    ax = new_axes(ax, height=1.6 + 0.55 * len(names))
    place = {name: at for at, name in enumerate(names)}
    at = np.array([place[name] for name in zip(rows["cut"], rows["group"])], dtype=float)
    for number, forecast in enumerate(COMPARED):
        colour, marker, _, key = LOOKS[forecast]
        own = (rows["forecast"] == forecast).to_numpy() & rows["to_mean"].notna().to_numpy()
        value, low, high = (
            rows.loc[own, name].to_numpy(float) for name in ("to_mean", "to_mean_low", "to_mean_high")
        )
        y = at[own] + 0.18 * (number - 1.5)
        shown = np.clip(value, *EDGES)
        error = np.nan_to_num(np.vstack([shown - np.clip(low, *EDGES), np.clip(high, *EDGES) - shown])).clip(
            0
        )
        ax.errorbar(shown, y, xerr=error, fmt=marker, color=colour, capsize=2, markersize=6 if number else 8,
                    linewidth=1.2, label=said(key, language))  # fmt: skip
        for x, where in zip(value[value > EDGES[1]], y[value > EDGES[1]]):
            ax.text(EDGES[1] * 1.02, where, f"{x:.1f} ▸", va="center", fontsize=7, color=colour)
    colour, _, line, key = LOOKS["mean"]
    ax.axvline(1.0, color=colour, linestyle=line, linewidth=1.5, label=said(key, language))
    ax.set_xscale("log")
    ax.set_xlim(EDGES[0], EDGES[1] * 1.15)
    ticks = [0.5, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    counts = rows.drop_duplicates(["cut", "group"])["series"].to_numpy()
    known = {"all": "all_classes", "none": "none_before"}
    words = [said(known.get(str(group), str(group)), language) for _, group in names]
    ax.set_yticks(range(len(names)), [f"{text} ({count:,})" for text, count in zip(words, counts)])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    name_axes(ax, word("loss_to_mean", language), word("mean_forecast_is_1", language), "")
    _legend_below(ax, 5)
    return ax


def plot_calibration(report: Any, group: str = "all", ax: Axes | None = None, language: str = "en") -> Axes:
    """Share of the tested sums below, and up to, each quantile: a true level lies within the bar.

    Parameters
    ----------
    report : Backtest
    group : str
        A group of the report, such as lumpy; "all": all series.
    ax : Axes, optional
        Its right part takes the histogram of the places of the counts in their distributions, flat where the
        forecast says the truth.
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        The report has no such group.
    """
    need(report.coverage, ("group", "forecast", "level", "below", "reached"), "plot_calibration", "report")
    rows, bins = _of_group(report.coverage, group), _of_group(report.pit, group)
    if rows.empty:
        raise problem_in_argument(
            "plot_calibration", "group", group, "is no group of the report", "give one of its table"
        )
    ax = new_axes(ax)
    levels = np.sort(rows["level"].unique())
    place = np.arange(len(levels))
    for forecast, shift in (("model", -0.16), ("mean", 0.16)):
        colour, _, _, key = LOOKS[forecast]
        own = rows[rows["forecast"] == forecast].sort_values("level")
        low, high = (own[name].to_numpy(float).clip(LEAST_SHARE, MOST_SHARE) for name in ("below", "reached"))
        ax.bar(place + shift, high - low, bottom=low, width=0.26, color=colour, alpha=0.75, edgecolor="white",
               hatch="" if forecast == "model" else "//", label=said(key, language))  # fmt: skip
        flat = high - low < LEAST_HEIGHT
        ax.hlines(
            high[flat], place[flat] + shift - 0.13, place[flat] + shift + 0.13, color=colour, linewidth=4
        )
    ax.hlines(
        levels, place - 0.38, place + 0.38, color=BLACK, linewidth=2, label=word("level_promised", language)
    )
    ax.set_yscale("logit")
    ax.set_ylim(LEAST_SHARE, MOST_SHARE)
    ticks = [0.02, 0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999]
    ax.set_yticks(ticks, [percent(tick) for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.set_xticks(place, [percent(level) for level in levels])
    ax.set_xlim(-0.6, -0.6 + (len(levels) + 0.2) / (HISTOGRAM[0] - 0.07))
    ax.grid(axis="x", visible=False)
    name_axes(
        ax,
        word("do_the_quantiles_hold", language),
        word("nominal_level", language),
        word("share_of_sums", language),
    )
    _legend_below(ax, 3)
    _draw_places(ax, bins, language)
    return ax


def plot_stock_and_fill(
    report: Any, group: str = "all", ax: Axes | None = None, language: str = "en"
) -> Axes:
    """What stocking to the quantiles of each forecast holds and fills; marked: the published levels.

    Parameters
    ----------
    report : Backtest
    group : str
        A group of the report; "all": all series.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        The report has no such group.
    """
    need(report.curve, ("group", "forecast", "level", "stock", "fill"), "plot_stock_and_fill", "report")
    rows = _of_group(report.curve, group).dropna(subset="stock")
    if rows.empty:
        raise problem_in_argument(
            "plot_stock_and_fill", "group", group, "is no group of the report with demand",
            "give one of its table",
        )  # fmt: skip
    ax = new_axes(ax)
    marked = report.coverage["level"].unique()
    top = 0.0
    for forecast in STOCKED:
        colour, marker, line, key = LOOKS[forecast]
        own = rows[rows["forecast"] == forecast].sort_values("level")
        told = own["level"].isin(marked).to_numpy()
        stock, fill = own["stock"].to_numpy(float), own["fill"].to_numpy(float)
        ax.plot(np.concatenate([[0.0], stock]), np.concatenate([[0.0], fill]), color=colour, linestyle=line,
                linewidth=1.6)  # fmt: skip
        ax.plot(stock[told], fill[told], color=colour, marker=marker, linestyle="none", markersize=7,
                markeredgecolor="white", clip_on=False, zorder=4)  # fmt: skip
        ax.plot([], [], color=colour, linestyle=line, marker=marker, label=said(key, language))
        if forecast == "model":
            for level, x, y in zip(own["level"][told], stock[told], fill[told]):
                ax.annotate(percent(level), (x, y), textcoords="offset points", xytext=(-6, 7), ha="right",
                            fontsize=8, color=colour)  # fmt: skip
        if told.any():
            top = max(top, float(stock[told].max()))
    ax.set_xlim(0, 1.08 * max(top, 0.1))
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(percent)
    name_axes(
        ax,
        word("stock_and_fill", language),
        word("stock_per_demand", language),
        word("demand_met_from_the_shelf", language),
    )
    _legend_below(ax, 4)
    return ax


def plot_losers(report: Any, most: int = MOST_LOSERS, ax: Axes | None = None, language: str = "en") -> Axes:
    """What came for the worst losers, beside what the model and the better naive forecast expected.

    Parameters
    ----------
    report : Backtest
    most : int
        Series shown at most.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes
        Says so where nothing lost.

    Raises
    ------
    DataError
        `most` is no number of rows.
    """
    if not isinstance(most, (int, np.integer)) or most < 1:
        raise problem_in_argument("plot_losers", "most", most, "is no number of rows", "give 1 or more")
    ax = new_axes(ax, height=1.6 + 0.4 * min(most, max(len(report.losers), 1)))
    # In hindsight something always does better; what chance hardly explains comes first.
    chance = ~(report.losers["surprise"] > SURPRISING)
    shown = report.losers.iloc[np.argsort(chance.to_numpy(), kind="stable")].head(most)
    bars = (
        ("demand", -0.27, RED, "xx", "what_came"),
        ("expected", 0.0, BLUE, "", "expected_by_model"),
        ("expected_mean", 0.27, ORANGE, "//", "mean_of_history"),
    )
    y = np.arange(len(shown))
    for name, shift, colour, hatch, key in bars:
        drawn = ax.barh(y + shift, shown[name].to_numpy(float), height=0.25, color=colour, hatch=hatch,
                        edgecolor="white", label=word(key, language))  # fmt: skip
        ax.bar_label(drawn, labels=[_short(value) for value in shown[name]], padding=2, fontsize=7)
    keys = list(shown.columns[: shown.columns.get_loc("demand")]) if len(shown) else []
    names = [" · ".join(str(value) for value in row) for row in shown[keys].to_numpy()]
    ax.set_yticks(
        y, [f"{name}\n{said(str(state), language)}" for name, state in zip(names, shown.get("state", []))]
    )
    ax.tick_params(axis="y", labelsize=8)
    ax.set_ylim(max(len(shown), 1) - 0.4, -0.6)
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter(thousands)
    ax.grid(axis="y", visible=False)
    title = f"{word('worst_losers', language)} · {len(shown):,} / {len(report.losers):,}"
    sums = report.forecasts["origin"].nunique()
    pieces = (
        f"{word('demand', language)} [{word('pieces', language)}] · {sums} {word('tested_sums', language)}"
    )
    name_axes(ax, title, pieces, "")
    if len(shown):
        _legend_below(ax, 3)
    else:
        ax.text(0.5, 0.5, word("none", language), transform=ax.transAxes, ha="center")
    return ax


def _of_group(table: pd.DataFrame, group: str) -> pd.DataFrame:
    """Rows of a group, of the first cut that has one of this name."""
    rows = table[table["group"] == group]
    return rows[rows["cut"] == rows["cut"].iloc[0]] if len(rows) else rows


def _draw_places(ax: Axes, bins: pd.DataFrame, language: str) -> None:
    """Histogram of the places of the counts in their distributions, in the right part of the axes."""
    inset = ax.inset_axes(HISTOGRAM)
    for forecast in ("mean", "model"):
        colour, _, line, _ = LOOKS[forecast]
        own = bins[bins["forecast"] == forecast].sort_values("low")
        low, high = (own[name].to_numpy(float) for name in ("low", "high"))
        density = own["share"].to_numpy(float) / (high - low)
        if forecast == "model":
            inset.stairs(density, [*low, high[-1]], color=colour, fill=True, alpha=0.45)
        inset.stairs(density, [*low, high[-1]], color=colour, linestyle=line, linewidth=1.5)
    inset.axhline(1.0, color=BLACK, linewidth=1)
    inset.set_xlim(0, 1)
    inset.set_ylim(bottom=0)
    inset.set_xticks([0, 0.5, 1.0], ["0", "0.5", "1"])
    inset.tick_params(labelsize=8)
    inset.set_title(word("place_in_distribution", language), fontsize=10, loc="left")
    inset.set_xlabel(word("flat_is_true", language), fontsize=8)


def _legend_below(ax: Axes, columns: int) -> None:
    """Put the legend under the axes, where it hides no data and panels stay wide."""
    from matplotlib.transforms import ScaledTranslation

    below = ax.transAxes + ScaledTranslation(0, -LEGEND_DEPTH, ax.figure.dpi_scale_trans)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), bbox_transform=below, ncols=columns, fontsize=9,
              borderaxespad=0)  # fmt: skip


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.2g}"


def _check(report: Any) -> None:
    for name in ("table", "coverage", "curve"):
        need(getattr(report, name, pd.DataFrame()), ("group", "forecast"), "plot_accuracy", f"report.{name}")
