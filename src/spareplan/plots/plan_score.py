"""Picture of plan against actual, month by month and region by region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.language import word
from spareplan.maths.distributions import quantile
from spareplan.plots.style import BLACK, BLUE, RED, month_ticks, need, thousands, use_house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_REGIONS = 6
PLAN_BAND = 0.8


def plot_plan_score(score: Any, most: int = MOST_REGIONS, language: str = "en") -> Figure:
    """Plan against actual by month, a panel per region, with the plan's 80 % band and the tracking signal.

    Parameters
    ----------
    score : PlanScore
        As from ``sp.score_plan(...)``.
    most : int
        Regions shown at most: those whose error is worth most.
    language : {"en", "zh"}

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        The score has no cells, or lacks a column; `most` is no number of panels.

    Notes
    -----
    Sites of a part share its rate, parts share nothing: Var = sum over parts of (sum vmr m +
    (sum sqrt(cv2) m)^2).
    """
    import matplotlib.pyplot as plt

    columns = ("part_id", "month", "region_id", "planned", "actual", "vmr", "rate_cv2")
    need(score.cells, columns, "plot_plan_score", "score")
    if not isinstance(most, (int, np.integer)) or most < 1:
        raise problem_in_argument("plot_plan_score", "most", most, "is no number of panels", "give 1 or more")
    months = _by_region_and_month(score.cells)
    facts = score.table[score.table["group"] == "region"]
    regions = [region for region in facts["region_id"] if region in set(months["region_id"])][:most]
    use_house_style()
    wide = min(len(regions), 3)
    figure, axes = plt.subplots(
        -(-len(regions) // wide),
        wide,
        figsize=(1 + 4.2 * wide, 1.2 + 2.9 * -(-len(regions) // wide)),
        squeeze=False,
    )
    for ax in axes.ravel()[len(regions) :]:
        ax.set_visible(False)
    for ax, region in zip(axes.ravel(), regions):
        own = months[months["region_id"] == region].sort_values("month")
        fact = facts[facts["region_id"] == region].iloc[0]
        _draw_region(ax, own, fact, language)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    title = (
        f"{word('plan_and_actual', language)} · {len(regions)} / {len(facts)} {word('worst_first', language)}"
    )
    figure.suptitle(title, x=0.01, ha="left")
    figure.supylabel(f"{word('demand', language)} [{word('pieces', language)}]", fontsize=10)
    return figure


def _by_region_and_month(cells: pd.DataFrame) -> pd.DataFrame:
    """Planned with its 80 % band, and actual, per region and month."""
    own = cells.assign(
        chance=cells["vmr"] * cells["planned"], rate=np.sqrt(cells["rate_cv2"]) * cells["planned"]
    )
    keys = ["region_id", "month"]
    parts = own.groupby([*keys, "part_id"])[["planned", "actual", "chance", "rate"]].sum()
    parts["variance"] = parts["chance"] + parts["rate"] ** 2
    sums = parts.groupby(level=keys)[["planned", "actual", "variance"]].sum().reset_index()
    mean, variance = sums["planned"].to_numpy(float), sums["variance"].to_numpy(float)
    for name, level in (("low", (1 - PLAN_BAND) / 2), ("high", (1 + PLAN_BAND) / 2)):
        sums[name] = quantile(np.full(len(sums), level), mean, variance)
    return sums


def _draw_region(ax: Axes, months: pd.DataFrame, fact: pd.Series, language: str) -> None:
    place = np.arange(len(months))
    planned, actual, low, high = (
        months[name].to_numpy(float) for name in ("planned", "actual", "low", "high")
    )
    ax.bar(place, np.maximum(high - low, 0.004 * max(high.max(), 1)), bottom=low, width=0.8, color="#9CCBE6",
           label=f"{100 * PLAN_BAND:.0f} % {word('band', language)}")  # fmt: skip
    ax.plot(place, planned, color=BLUE, marker="_", markersize=16, linestyle="none", markeredgewidth=2,
            label=word("planned_demand", language))  # fmt: skip
    inside = (actual >= low) & (actual <= high)
    for rows, colour, marker, key in (
        (inside, BLACK, "D", "actual_demand"),
        (~inside, RED, "X", "outside_the_band"),
    ):
        ax.plot(place[rows], actual[rows], color=colour, marker=marker, linestyle="none", markersize=7,
                markeredgecolor="white", label=word(key, language))  # fmt: skip
    signal = float(fact["tracking_signal"])
    text = f"{fact['region_id']} · {word('tracking_signal', language)} {signal:+.1f}"
    ax.set_title(text, fontsize=10, color=RED if abs(signal) > float(fact["tracking_limit"]) else BLACK)
    month_ticks(ax, months["month"])
    ax.set_xlim(-0.6, len(months) - 0.4)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(thousands)
    ax.grid(axis="x", visible=False)
