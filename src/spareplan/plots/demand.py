"""Pictures of machines, lives and the forecast demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.language import header, word
from spareplan.plots.style import (
    BLACK,
    RED,
    SKY,
    month_ticks,
    name_axes,
    need,
    new_axes,
    percent,
    stack_bars,
    thousands,
)
from spareplan.results import DemandForecast

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SOURCES = ("from_installed_base", "from_new_units", "from_history", "from_planned")


def plot_fleet_age(
    fleet: pd.DataFrame, products: pd.DataFrame, ax: Axes | None = None, language: str = "en"
) -> Axes:
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

    Raises
    ------
    DataError
        A column is missing, or there is no machine.
    """
    need(fleet, ("product_id", "age_years"), "plot_fleet_age", "fleet")
    need(products, ("product_id", "name"), "plot_fleet_age", "products", empty=True)
    ax = new_axes(ax)
    edges = np.arange(0, max(np.floor(fleet["age_years"].max()) + 1, 1) + 1)
    named = products.set_index("product_id")["name"]
    groups = fleet.groupby("product_id")["age_years"]
    counts = {
        f"{named.get(product, product)} ({len(ages):,})": np.histogram(ages, bins=edges)[0]
        for product, ages in groups
    }
    stack_bars(ax, edges[:-1] + 0.5, counts, width=0.9)
    ax.set_xticks(edges[:: max(1, len(edges) // 12)])
    age = f"{word('age', language)} [{word('years', language)}]"
    return name_axes(ax, word("fleet_age", language), age, word("machines", language))


def plot_life(
    demand: DemandForecast,
    part_id: str,
    seen: pd.DataFrame | None = None,
    ax: Axes | None = None,
    language: str = "en",
) -> Axes:
    """Share of pieces that survive an age: what was seen, beside the law the forecast uses.

    Parameters
    ----------
    demand : DemandForecast
        With `.lifetimes`.
    part_id : str
    seen : DataFrame, optional
        As from ``sp.forecast.survival_curve(demand.spells)``; None draws the law alone.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        The forecast knows no life of the part.
    """
    laws = demand.lifetimes
    law = laws[laws["part_id"] == part_id] if len(laws) else laws
    if law.empty:
        raise problem_in_argument(
            "plot_life", "part_id", part_id, "has no fitted life", "give a part of demand.lifetimes"
        )
    ax = new_axes(ax)
    shape, scale, failures = (float(law[name].iloc[0]) for name in ("shape", "scale", "n_failed"))
    # The age at which one piece in a hundred is left; beyond it too few are at risk to tell.
    end = scale * np.log(100) ** (1 / shape)
    curve = pd.DataFrame() if seen is None else seen[seen["part_id"] == part_id]
    if len(curve):
        ages, survival, low, high = (
            np.concatenate([[start], curve[name].to_numpy(float)])
            for name, start in (("age", 0), ("survival", 1), ("low", 1), ("high", 1))
        )
        ax.fill_between(ages, low, high, step="post", color=SKY, alpha=0.35, linewidth=0)
        ax.step(
            ages, survival, where="post", color=BLACK, linewidth=1.2, label=word("kaplan_meier", language)
        )
    grid = np.linspace(0, end, 200)
    label = f"{word('weibull_law', language)} (β = {shape:.2f}, η = {scale:,.0f})"
    ax.plot(grid, np.exp(-((grid / scale) ** shape)), color=RED, linestyle="--", linewidth=2, label=label)
    ax.set_xlim(0, end)
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(percent)
    ax.xaxis.set_major_formatter(thousands)
    clock = str(law["clock"].iloc[0]) if "clock" in law else "hours"
    title = f"{word('life_of_part', language)} · {part_id} ({failures:,.0f} {word('failures', language)})"
    return name_axes(
        ax, title, f"{word('age', language)} [{word(clock, language)}]", word("surviving", language)
    )


def plot_forecast(
    demand: DemandForecast,
    part_id: str,
    site_id: str | None = None,
    ax: Axes | None = None,
    language: str = "en",
) -> Axes:
    """Draw the expected demand per month with its quantiles.

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
        raise problem_in_argument(
            "plot_forecast", "part_id", f"{part_id}, {site_id}", "has no forecast",
            "give a part and site of demand.table",
        )  # fmt: skip
    ax = new_axes(ax)
    place = np.arange(len(rows))
    upper = [name for name in ("q0.95", "q0.8", "q0.5") if name in rows]
    for name, colour in zip(upper, ("#D6E9F5", "#9CCBE6", "#5BA8D3")):
        label = header("DemandForecast", name, language)
        ax.bar(place, rows[name].to_numpy(), width=0.85, color=colour, label=label)
    mean = rows["mean"].to_numpy()
    ax.plot(place, mean, color=BLACK, marker="o", linewidth=1.2, label=word("mean", language))
    month_ticks(ax, rows["month"])
    title = f"{word('forecast', language)} · {part_id} · {site_id}"
    name_axes(ax, title, word("month", language), f"{word('demand', language)} [{word('pieces', language)}]")
    ax.set_ylim(bottom=0)
    return ax


def plot_sources(demand: DemandForecast, ax: Axes | None = None, language: str = "en") -> Axes:
    """Where the demand of each month comes from, stacked."""
    ax = new_axes(ax)
    sums = demand.table.groupby("month")[list(SOURCES)].sum()
    shown = {word(name, language): sums[name].to_numpy() for name in SOURCES if sums[name].sum() > 0}
    stack_bars(ax, np.arange(len(sums)), shown, width=0.85)
    month_ticks(ax, sums.index)
    pieces = f"{word('demand', language)} [{word('pieces', language)}]"
    return name_axes(ax, word("sources_of_demand", language), word("month", language), pieces)
