"""Pictures of lives and the forecast demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.language import word
from spareplan.maths.distributions import quantile
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

# Share of months inside, colour and width: told apart by width too.
BANDS = ((0.95, "#D6E9F5", 0.9), (0.8, "#9CCBE6", 0.66), (0.5, "#5BA8D3", 0.42))
PAST_MONTHS = 24
SHOWN_BEYOND = 2.5
NORMAL_95 = 1.959963984540054
SOURCES = ("from_installed_base", "from_new_units", "from_history", "from_planned")


def plot_life(
    demand: DemandForecast,
    part_id: str,
    seen: pd.DataFrame | None = None,
    ax: Axes | None = None,
    language: str = "en",
) -> Axes:
    """Share of pieces that survive an age: what was seen, beside the law the forecast uses; 95 % bands.

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

    Notes
    -----
    Band of the law: ln(-ln S) = beta (ln t - ln eta), by the delta method. Laws carry the standard errors of
    beta and eta alone; their correlation follows from the hazard being known, at the age where it is known
    best, as well as k failures tell: variance 1 / k. Where the law gives no errors there is no band.
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
    band_words = f"95 % {word('band', language)}"
    curve = pd.DataFrame() if seen is None else seen[seen["part_id"] == part_id]
    if len(curve):
        ages, survival, low, high = (
            np.concatenate([[start], curve[name].to_numpy(float)])
            for name, start in (("age", 0), ("survival", 1), ("low", 1), ("high", 1))
        )
        ax.fill_between(ages, low, high, step="post", color=SKY, alpha=0.35, linewidth=0, label=band_words)
        # Far beyond the ages that were seen the law is no more than a law.
        end = min(end, SHOWN_BEYOND * float(ages[-1]))
        ax.step(
            ages, survival, where="post", color=BLACK, linewidth=1.2, label=word("kaplan_meier", language)
        )
    grid = np.linspace(0, end, 200)
    band = _law_band(law.iloc[0], grid[1:])
    if band is not None:
        ax.fill_between(grid[1:], *band, color=RED, alpha=0.18, linewidth=0, hatch="..", edgecolor=RED,
                        label=band_words)  # fmt: skip
    label = f"{word('weibull_law', language)} (β = {shape:.2f}, η = {scale:,.0f})"
    ax.plot(grid, np.exp(-((grid / scale) ** shape)), color=RED, linestyle="--", linewidth=2, label=label)
    ax.set_xlim(0, end)
    low_end = float(np.exp(-((end / scale) ** shape)))
    if len(curve):
        low_end = min(low_end, float(survival[ages <= end].min()))
    # Lines, not bars: where nearly all pieces outlive the ages shown, the upper part tells more.
    ax.set_ylim(0.0 if low_end < 0.5 else np.floor(10 * (2 * low_end - 1)) / 10, 1.02)
    ax.yaxis.set_major_formatter(percent)
    ax.xaxis.set_major_formatter(thousands)
    ax.locator_params(axis="x", nbins=6)
    clock = str(law["clock"].iloc[0]) if "clock" in law else "hours"
    title = f"{word('life_of_part', language)} · {part_id} ({failures:,.0f} {word('failures', language)})"
    return name_axes(
        ax, title, f"{word('age', language)} [{word(clock, language)}]", word("surviving", language)
    )


def plot_forecast(
    demand: DemandForecast,
    part_id: str | None = None,
    site_id: str | None = None,
    past: pd.DataFrame | None = None,
    ax: Axes | None = None,
    language: str = "en",
) -> Axes:
    """Draw the expected demand per month with its 50, 80 and 95 % bands, beside what was taken before.

    Parameters
    ----------
    demand : DemandForecast
    part_id, site_id : str, optional
        None: all parts, all sites together.
    past : DataFrame, optional
        part_id, site_id, month, quantity: what was taken from the shelves (as from
        ``spareplan.tables.taken.taken_from_shelves(data)``); absent means none. The last two years before the
        forecast are drawn as bars, months of the forecast itself as points.
    ax : Axes, optional
    language : {"en", "zh"}

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        The forecast has no such part and site, or `past` lacks a column.

    Notes
    -----
    Sites of a part share its rate, parts share nothing: Var = sum over parts of (sum vmr m +
    (sum sqrt(cv2) m)^2).
    """
    rows = demand.table
    for name, wanted in (("part_id", part_id), ("site_id", site_id)):
        rows = rows if wanted is None else rows[rows[name] == wanted]
    if rows.empty:
        raise problem_in_argument(
            "plot_forecast", "part_id", f"{part_id}, {site_id}", "has no forecast",
            "give a part and site of demand.table",
        )  # fmt: skip
    if past is not None:
        need(past, ("part_id", "site_id", "month", "quantity"), "plot_forecast", "past", empty=True)
    sums = _monthly(rows)
    months = pd.DatetimeIndex(sums.index)
    before = _taken_before(past, part_id, site_id, months, demand)
    ax = new_axes(ax)
    place = np.arange(len(before), len(before) + len(months))
    mean, variance = (sums[name].to_numpy() for name in ("mean", "variance"))
    for share, colour, width in BANDS:
        low, high = (quantile(np.full(len(mean), level), mean, variance) for level in
                     ((1 - share) / 2, (1 + share) / 2))  # fmt: skip
        label = f"{100 * share:.0f} % {word('band', language)}"
        # Where the band is one number, a line as thin as this still shows it.
        ax.bar(place, np.maximum(high - low, 0.004 * max(mean.max(), 1)), bottom=low, width=width,
               color=colour, label=label)  # fmt: skip
    ax.plot(place, mean, color=BLACK, marker="o", markersize=4, linewidth=1.2, label=word("mean", language))
    if len(before):
        label = word("taken", language)
        ax.bar(
            np.arange(len(before)),
            before,
            width=0.7,
            color="#AAAAAA",
            hatch="//",
            edgecolor="white",
            label=label,
        )
        ax.axvline(len(before) - 0.5, color="#555555", linestyle=":", linewidth=1)
    actual = _taken_since(past, part_id, site_id, months)
    if len(actual):
        at = place[months.get_indexer(pd.DatetimeIndex(actual.index))]
        ax.scatter(at, actual, color=RED, marker="D", s=44, zorder=4, edgecolor="white", clip_on=False,
                   label=word("taken_since", language))  # fmt: skip
    month_ticks(ax, pd.date_range(months[0] - pd.DateOffset(months=len(before)), months[-1], freq="MS"))
    ax.grid(axis="x", visible=False)
    scope = [part_id or word("all_parts", language), site_id or word("all_sites", language)]
    title = " · ".join([word("forecast", language), *scope])
    name_axes(ax, title, word("month", language), f"{word('demand', language)} [{word('pieces', language)}]")
    ax.yaxis.set_major_formatter(thousands)
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


def _monthly(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and variance of each month's sum over parts and sites."""
    own = rows[["part_id", "month", "mean"]].assign(
        chance=rows["vmr"] * rows["mean"], rate=np.sqrt(rows["rate_cv2"]) * rows["mean"]
    )
    parts = own.groupby(["part_id", "month"])[["mean", "chance", "rate"]].sum()
    parts["variance"] = parts["chance"] + parts["rate"] ** 2
    return parts.groupby("month")[["mean", "variance"]].sum().sort_index()


def _of_scope(past: pd.DataFrame, part_id: str | None, site_id: str | None) -> pd.Series:
    """Quantity per month of a part and site."""
    for name, wanted in (("part_id", part_id), ("site_id", site_id)):
        past = past if wanted is None else past[past[name] == wanted]
    return past.groupby("month")["quantity"].sum()


def _taken_before(
    past: pd.DataFrame | None,
    part_id: str | None,
    site_id: str | None,
    months: pd.DatetimeIndex,
    demand: DemandForecast,
) -> np.ndarray:
    """Quantity of the months before the forecast, from the first record of any part on."""
    known = pd.DataFrame() if past is None else past[past["month"] <= demand.as_of]
    if known.empty:
        return np.zeros(0)
    first = max(known["month"].min(), months[0] - pd.DateOffset(months=PAST_MONTHS))
    span = pd.date_range(first, months[0] - pd.Timedelta(days=1), freq="MS")
    return _of_scope(known, part_id, site_id).reindex(span, fill_value=0.0).to_numpy(dtype=float)


def _taken_since(
    past: pd.DataFrame | None, part_id: str | None, site_id: str | None, months: pd.DatetimeIndex
) -> pd.Series:
    """Quantity of the months of the forecast that have come, up to the last with a record of any part."""
    known = pd.DataFrame() if past is None else past[past["month"].isin(months)]
    if known.empty:
        return pd.Series(dtype=float)
    return _of_scope(known, part_id, site_id).reindex(months[months <= known["month"].max()], fill_value=0.0)


def _law_band(law: pd.Series, ages: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """95 % band of a Weibull law's survival; None where its parameters have no standard error."""
    shape, scale = float(law["shape"]), float(law["scale"])
    of_shape, of_scale = (float(law.get(name, np.nan)) for name in ("shape_se", "scale_se"))
    if not (np.isfinite(of_shape) and np.isfinite(of_scale)) or of_shape + of_scale <= 0:
        return None
    failures = float(law.get("n_failed", 0.0))
    of_log = shape * of_scale / scale
    # Pieces censored young tell the hazard at their ages, and so a line on which shape and scale can move.
    linked = -np.sqrt(max(0.0, 1 - 1 / (failures * of_log**2))) if failures * of_log**2 > 0 else 0.0
    by_shape = np.log(ages / scale) * of_shape
    error = np.sqrt(np.maximum(by_shape**2 + of_log**2 - 2 * linked * by_shape * of_log, 0.0))
    middle = shape * np.log(ages / scale)
    low, high = (np.exp(-np.exp(np.minimum(middle + side * NORMAL_95 * error, 50.0))) for side in (1, -1))
    return low, high
