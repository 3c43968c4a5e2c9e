"""Pictures of the machines in the field."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.language import word
from spareplan.maths.units import DAYS_PER_YEAR
from spareplan.plots.style import (
    COLOURS,
    HATCHES,
    name_axes,
    need,
    new_axes,
    said,
    stack_bars,
    thousands,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spareplan.tables.dataset import Dataset

# What machines can be told apart by, and the table that names the values.
SPLITS = {
    "retired": "",
    "product_id": "products",
    "tier": "",
    "region_id": "",
    "market_stage": "",
    "customer_segment": "",
}
TIERS = {"1": "exceed", "2": "above", "3": "meet"}
MOST_BARS = 25
MOST_KINDS = len(COLOURS)


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


def plot_age_pyramid(
    data: Dataset,
    split: str = "retired",
    left: str | int | None = None,
    kinds: str = "market_stage",
    product_id: str | None = None,
    region_id: str | None = None,
    as_of: dt.date | str | pd.Timestamp | None = None,
    ax: Axes | None = None,
    language: str = "en",
) -> Axes:
    """Age pyramid of the fleet: two groups of machines back to back, by years of age.

    Parameters
    ----------
    data : Dataset
        Uses units, sites, regions, products.
    split : {"retired", "product_id", "tier", "region_id", "market_stage", "customer_segment"}
        What the two sides are. "retired": retired machines by the age they reached on the left, those in
        service on the right. Else machines in service: one value on the left, all others on the right.
    left : optional
        The value on the left; None: the one with most machines.
    kinds : str
        Another of those names (not "retired"): the stacks within each side.
    product_id, region_id : str, optional
        Only machines of one product, or one region.
    as_of : date, optional
        None: the last known day of the data.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        An unknown split, kind, value, product or region, or no machine to draw.
    """
    for name, given in (("split", split), ("kinds", kinds)):
        if given not in SPLITS or (name == "kinds" and given == "retired"):
            raise problem_in_argument(
                "plot_age_pyramid", name, given, "tells no machines apart", f"use one of: {', '.join(SPLITS)}"
            )
    today = data.as_of(as_of)
    fleet = _fleet(data, today)
    for name, wanted in (("product_id", product_id), ("region_id", region_id)):
        if wanted is not None:
            fleet = fleet[(fleet[name] == wanted).fillna(False).to_numpy(dtype=bool)]
            if fleet.empty:
                raise problem_in_argument(
                    "plot_age_pyramid", name, wanted, "has no machine", f"give a {name} of the fleet"
                )
    if split != "retired":
        fleet = fleet[~fleet["retired"]]
    if fleet.empty:
        raise problem_in_argument(
            "plot_age_pyramid", "data", f"{today:%Y-%m-%d}", "has no machine in the field",
            "give units, or a later as_of",
        )  # fmt: skip
    sides, names = _sides(data, fleet, split, left, language)
    ax = new_axes(ax, height=4.6)
    step = max(1, int(np.ceil((np.floor(fleet["age_years"].max()) + 1) / MOST_BARS)))
    edges = np.arange(0, np.floor(fleet["age_years"].max()) + 1 + step, step)
    labels = _labels(data, fleet[kinds], kinds, language)
    order = labels.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable").index
    reach = []
    for side, sign in zip(sides, (-1.0, 1.0)):
        base = np.zeros(len(edges) - 1)
        for label, colour, hatch in zip(order, COLOURS, HATCHES):
            count = np.histogram(fleet.loc[side & (labels == label), "age_years"], bins=edges)[0]
            shown = None if sign < 0 else f"{label} ({int((labels == label).sum()):,})"
            ax.barh(edges[:-1] + step / 2, sign * count, left=sign * base, height=0.9 * step, color=colour,
                    hatch=hatch, edgecolor="white", label=shown)  # fmt: skip
            base = base + count
        reach.append(base.max())
    ax.vlines(0, 0, edges[-1], color="#333333", linewidth=1)
    # One scale for both sides, but the smaller one need not be as wide; its words must fit.
    ax.set_xlim(-1.08 * max(reach[0], 0.6 * reach[1]), 1.08 * max(reach[1], 0.6 * reach[0]))
    ax.set_ylim(0, edges[-1] * 1.14)
    ax.set_yticks(edges[:: max(1, len(edges) // 12)])
    ax.xaxis.set_major_formatter(lambda count, _: thousands(abs(count)))
    ax.grid(axis="y", visible=False)
    for side, name, place, edge in zip(sides, names, (0.02, 0.98), ("left", "right")):
        ages = fleet.loc[side, "age_years"]
        middle = f"{word('median_age', language)} {ages.median():.1f}" if len(ages) else ""
        text = f"{name}\n{len(ages):,} {word('machines', language)}{', ' if middle else ''}{middle}"
        ax.text(place, 0.985, text, transform=ax.transAxes, ha=edge, va="top", fontsize=9,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    scope = [_named(data, name, wanted) for name, wanted in
             (("product_id", product_id), ("region_id", region_id)) if wanted is not None]  # fmt: skip
    title = " · ".join([word("age_pyramid", language), *scope, f"{today:%Y-%m-%d}"])
    age = f"{word('age', language)} [{word('years', language)}]"
    number = f"{word('number', language)} [{word('machines', language)}]"
    return name_axes(ax, title, number, age)


def _fleet(data: Dataset, today: pd.Timestamp) -> pd.DataFrame:
    """Machines commissioned by a day, with their age then or when they retired, and what tells them apart."""
    units = data.units[data.units["commissioned_on"] <= today]
    retired = (units["retired_on"] <= today).to_numpy(dtype=bool)
    end = units["retired_on"].where(retired, today)
    region = units["site_id"].map(data.network.region)
    regions = data.regions.set_index("region_id")["market_stage"]
    tier = data.products.set_index("product_id")["tier"]
    return pd.DataFrame(
        {
            "age_years": ((end - units["commissioned_on"]).dt.days / DAYS_PER_YEAR).to_numpy(),
            "retired": retired,
            "product_id": units["product_id"].astype(object).to_numpy(),
            "tier": units["product_id"].map(tier).to_numpy(),
            "region_id": region.astype(object).to_numpy(),
            "market_stage": region.map(regions).astype(object).to_numpy(),
            "customer_segment": units["customer_segment"].astype(object).to_numpy(),
        }
    )


def _sides(
    data: Dataset, fleet: pd.DataFrame, split: str, left: str | int | None, language: str
) -> tuple[list[pd.Series], list[str]]:
    """Rows of both sides, and what they are called."""
    if split == "retired":
        away = fleet["retired"]
        return [away, ~away], [word("retired", language), word("in_service", language)]
    known = fleet[split].dropna()
    if known.empty:
        raise problem_in_argument(
            "plot_age_pyramid", "split", split, "is known of no machine", "choose another split"
        )
    value = known.value_counts().sort_index(kind="stable").idxmax() if left is None else left
    own = (fleet[split] == value).fillna(False).astype(bool)
    if not own.any():
        raise problem_in_argument(
            "plot_age_pyramid", "left", value, f"is no {split} of a machine in service",
            f"use one of: {', '.join(sorted(map(str, known.unique())))}",
        )  # fmt: skip
    return [own, ~own], [said(_named(data, split, value), language), word("all_others", language)]


def _labels(data: Dataset, values: pd.Series, column: str, language: str) -> pd.Series:
    """What each machine's stack is called; beyond what colours can tell apart, the smaller ones are one."""
    counts = values.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    kept = counts.index[: MOST_KINDS if len(counts) <= MOST_KINDS else MOST_KINDS - 1]
    names = {value: said(_named(data, column, value), language) for value in kept}
    unknown, others = word("unknown", language), word("all_others", language)
    return values.map(names).where(values.notna(), unknown).fillna(others)


def _named(data: Dataset, column: str, value: object) -> str:
    """Name of a product, key of a tier's words, or the value itself."""
    table = SPLITS[column]
    if column == "tier":
        return TIERS.get(str(value).removesuffix(".0"), str(value))
    if not table:
        return str(value)
    names = data.tables[table].set_index(column)["name"]
    name = names.get(value)
    return str(value) if name is None or pd.isna(name) else f"{name}"
