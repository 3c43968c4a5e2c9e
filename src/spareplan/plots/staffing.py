"""Pictures of the head count: a map of points, the months, what one engineer more buys, why scale pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.language import word
from spareplan.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    RED,
    SKY,
    legend_beside,
    month_ticks,
    name_axes,
    need,
    new_axes,
)
from spareplan.results import Headcount

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Marker areas of the smallest and the largest region. [points²]
_SMALL, _LARGE = 40.0, 900.0
_GAPS = (
    ("engineers_too_many", SKY, "v", lambda gap: gap < 0),
    ("engineers_enough", GREEN, "o", lambda gap: gap == 0),
    ("engineers_short_some", ORANGE, "s", lambda gap: (gap > 0) & (gap < 2)),
    ("engineers_short_many", RED, "D", lambda gap: gap >= 2),
)


def plot_regions_map(crew: Headcount, ax: Axes | None = None, language: str = "en") -> Axes:
    """Regions as points where their machines are, sized by machines, coloured and shaped by the gap.

    Parameters
    ----------
    crew : Headcount
        With `regions` and `places` (region_id, latitude, longitude [degrees]).
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes
        Without borders. Regions whose place is not known are counted in the title of the legend.

    Raises
    ------
    DataError
        No region's place is known.
    """
    need(crew.regions, ("region_id", "machines", "gap"), "plot_regions_map", "crew.regions")
    need(crew.places, ("region_id", "latitude", "longitude"), "plot_regions_map", "crew.places")
    at = crew.places[["region_id", "latitude", "longitude"]]
    shown = crew.regions.merge(at, on="region_id", how="left").dropna(subset=["latitude", "longitude"])
    need(shown, ("gap",), "plot_regions_map", "crew.places")
    ax = new_axes(ax, height=5.2)
    size = _SMALL + (_LARGE - _SMALL) * shown["machines"] / max(shown["machines"].max(), 1.0)
    for key, colour, marker, holds in _GAPS:
        own = holds(shown["gap"])
        # Large regions first, so that no small one is hidden.
        rows = shown[own].sort_values("machines", ascending=False)
        ax.scatter(
            rows["longitude"],
            rows["latitude"],
            s=size[rows.index],
            c=colour,
            marker=marker,
            edgecolors=BLACK,
            linewidths=0.7,
            alpha=0.85,
            zorder=3,
        )
        ax.scatter([], [], c=colour, marker=marker, edgecolors=BLACK, s=60, label=word(key, language))
    said = [
        f"{region} {gap:+.0f}" if gap else f"{region} 0"
        for region, gap in shown[["region_id", "gap"]].to_numpy()
    ]
    for text, east, north, area in zip(said, shown["longitude"], shown["latitude"], size, strict=True):
        ax.annotate(
            text,
            (east, north),
            xytext=(0, -np.sqrt(area) / 2 - 4),
            textcoords="offset points",
            fontsize=8,
            ha="center",
            va="top",
            path_effects=_halo(),
            zorder=4,
        )
    ax.set_aspect(1.0 / np.cos(np.radians(float(shown["latitude"].mean()))))
    ax.margins(0.14)
    title = f"{word('engineers_map', language)} · {shown['machines'].sum():,.0f} {word('machines', language)}"
    name_axes(ax, title, word("longitude_degrees", language), word("latitude_degrees", language))
    lost = len(crew.regions) - len(shown)
    note = f"{lost} {word('regions_without_place', language)}" if lost else word("size_machines", language)
    return legend_beside(ax, note)


def plot_month_plan(
    crew: Headcount, region_id: str | None = None, ax: Axes | None = None, language: str = "en"
) -> Axes:
    """Engineers required and present month by month, with those to be hired.

    Parameters
    ----------
    crew : Headcount
    region_id : str, optional
        None: all regions together.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes
        The line counts people today and those hired since; hires count on their first day.

    Raises
    ------
    DataError
        The head count has no such region.
    """
    wanted = ("region_id", "month", "required", "headcount", "hire")
    need(crew.table, wanted, "plot_month_plan", "crew")
    rows = crew.table if region_id is None else crew.table[crew.table["region_id"] == region_id]
    need(rows, wanted, "plot_month_plan", f"region_id {region_id}")
    sums = rows.groupby("month")[["required", "headcount", "hire"]].sum()
    ax = new_axes(ax)
    place = np.arange(len(sums))
    there = sums["headcount"] + sums["hire"].cumsum()
    ax.bar(
        place, sums["required"], width=0.7, color=BLUE, edgecolor="white",
        label=word("engineers_required", language),
    )  # fmt: skip
    ax.step(
        place, there, where="mid", color=ORANGE, linewidth=2.2, marker="o",
        label=word("engineers_present_and_hired", language),
    )  # fmt: skip
    ax.axhline(
        sums["headcount"].iloc[0], color=BLACK, linestyle="--", linewidth=1.0,
        label=word("engineers_present", language),
    )  # fmt: skip
    highest = np.maximum(there, sums["required"])
    for x, hired, top in zip(place, sums["hire"], highest, strict=True):
        if hired > 0:
            ax.annotate(
                f"+{hired:.0f}",
                (x, top),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                path_effects=_halo(),
            )
    ax.set_ylim(0, max(float(there.max()), float(sums["required"].max())) * 1.15 + 0.5)
    month_ticks(ax, sums.index)
    where = word("all_regions", language) if region_id is None else region_id
    title = f"{word('engineers_by_month', language)} · {where}"
    return name_axes(ax, title, word("month", language), word("people", language))


def plot_one_more(crew: Headcount, ax: Axes | None = None, language: str = "en") -> Axes:
    """Orders kept more per year by one engineer more in each region, with the price of each order.

    Parameters
    ----------
    crew : Headcount
        With `marginal`.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        Nothing to draw.
    """
    wanted = ("region_id", "orders_more_per_year", "money_per_order")
    need(crew.marginal, wanted, "plot_one_more", "crew.marginal")
    rows = crew.marginal.sort_values(["orders_more_per_year", "region_id"])
    ax = new_axes(ax, height=1.4 + 0.34 * len(rows))
    bars = ax.barh(
        np.arange(len(rows)), rows["orders_more_per_year"], color=BLUE, edgecolor="white",
        label=word("money_per_order_beside", language),
    )  # fmt: skip
    ax.bar_label(bars, labels=_prices(rows["money_per_order"]), padding=3, fontsize=8)
    ax.set_yticks(np.arange(len(rows)), rows["region_id"].astype(str))
    ax.margins(x=0.16)
    ax.set_xlim(left=0)
    return name_axes(ax, word("one_engineer_more", language), word("orders_kept_more_per_year", language), "")


def plot_scale(crew: Headcount, ax: Axes | None = None, language: str = "en") -> Axes:
    """What a tenth more machines does to machines per engineer: a fuller crew against a wider area.

    Parameters
    ----------
    crew : Headcount
        With `scale`.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes
    """
    wanted = ("region_id", "travel_share", "area_elasticity", "pooling_elasticity", "slope_from_base")
    need(crew.scale, wanted, "plot_scale", "crew.scale")
    rows = crew.scale.dropna(subset=list(wanted)).sort_values(["slope_from_base", "region_id"])
    need(rows, wanted, "plot_scale", "crew.scale")
    ax = new_axes(ax, height=1.4 + 0.34 * len(rows))
    y = np.arange(len(rows))
    spread = -10 * rows["travel_share"] * rows["area_elasticity"] / 2
    ax.barh(
        y, 10 * rows["pooling_elasticity"], color=BLUE, edgecolor="white",
        label=word("scale_pooling", language),
    )  # fmt: skip
    ax.barh(
        y, spread, height=0.4, color=ORANGE, hatch="//", edgecolor="white", label=word("scale_area", language)
    )
    ax.scatter(
        10 * rows["slope_from_base"], y, color=BLACK, marker="D", s=28, zorder=3,
        label=word("scale_together", language),
    )  # fmt: skip
    ax.axvline(0.0, color=BLACK, linewidth=0.8)
    ax.set_yticks(y, rows["region_id"].astype(str))
    return name_axes(ax, word("scale_title", language), word("scale_axis", language), "")


def _halo() -> list[Any]:
    """White around letters, so that they are read on any colour."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="white")]


def _prices(money: Any) -> list[str]:
    return ["" if pd.isna(value) else f"{value:,.0f}" for value in money]
