"""Looks, fonts, axes and legends that all pictures share."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.language import word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart with any colour vision.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK)
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "++")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "SimHei", "Arial Unicode MS",
)  # fmt: skip
LOOKS: dict[Any, Any] = {
    "axes.unicode_minus": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "grid.color": "#DDDDDD",
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


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
    from cycler import cycler

    families = _families(font)
    mpl.rcParams.update(LOOKS | {"font.family": families, "axes.prop_cycle": cycler(color=list(COLOURS))})
    return families


def new_axes(ax: Axes | None, height: float = 4.2) -> Axes:
    """Give the axes handed in, or those of a new figure 8 inches wide."""
    use_house_style()
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(8, height)).add_subplot()


def name_axes(ax: Axes, title: str, x: str, y: str) -> Axes:
    """Write the title and what the axes show; a legend goes beside."""
    ax.set_title(title)
    ax.set_xlabel(x[:1].upper() + x[1:])
    ax.set_ylabel(y[:1].upper() + y[1:])
    if ax.get_legend_handles_labels()[0]:
        legend_beside(ax)
    return ax


def legend_beside(ax: Axes, title: str | None = None) -> Axes:
    """Put the legend right of the axes, where it hides no data."""
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), title=title, alignment="left", markerscale=0.8)
    return ax


def stack_bars(ax: Axes, place: np.ndarray, heights: dict[str, np.ndarray], width: float) -> None:
    """Draw bars on top of each other, one colour and hatching per label."""
    base = np.zeros(len(place))
    for (label, height), colour, hatch in zip(heights.items(), COLOURS, HATCHES):
        ax.bar(
            place, height, bottom=base, width=width, color=colour, hatch=hatch, edgecolor="white", label=label
        )
        base = base + height
    ax.grid(axis="x", visible=False)
    ax.yaxis.set_major_formatter(thousands)


def month_ticks(ax: Axes, months: Iterable[Any]) -> None:
    """Months as numbers, which every language reads, with the year below its first month shown."""
    stamps = list(pd.DatetimeIndex(list(months)))
    step = max(1, -(-len(stamps) // 18))
    shown = range(0, len(stamps), step)
    years = [stamps[k].year for k in shown]
    # Of a year that shows one month only the number would run into the next one's.
    told = [year != before and (year == after or k > 0 or len(years) == 1)
            for k, (year, before, after) in enumerate(zip(years, [0, *years], [*years[1:], 0]))]  # fmt: skip
    labels = [
        f"{stamps[k]:%m}\n{year}" if said else f"{stamps[k]:%m}" for k, year, said in zip(shown, years, told)
    ]
    ax.set_xticks(list(shown), labels)


def percent(value: float, _: float = 0.0) -> str:
    """Say a share in percent on an axis."""
    return f"{100 * value:g} %"


def thousands(value: float, _: float = 0.0) -> str:
    """Say a number with separators on an axis."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:g}"


def said(key: str, language: str) -> str:
    """Give the word for a key of the data, or the key itself where the dictionary lacks it."""
    try:
        return word(key, language)
    except KeyError:
        return key


def need(
    frame: pd.DataFrame, columns: tuple[str, ...], function: str, argument: str, empty: bool = False
) -> None:
    """Refuse a frame without the columns a picture needs, or without rows.

    Raises
    ------
    DataError
    """
    missing = [name for name in columns if name not in frame]
    if missing:
        raise problem_in_argument(
            function, argument, ", ".join(missing), "is missing", f"give {', '.join(columns)}"
        )
    if frame.empty and not empty:
        raise problem_in_argument(
            function, argument, "0 rows", "has nothing to draw", "give at least one row"
        )


@functools.cache
def _families(font: str | None) -> Any:
    from matplotlib import font_manager

    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    chinese = [name for name in CHINESE_FONTS if name in installed]
    if not chinese:
        warnings.warn(
            "no Chinese font is installed, so Chinese labels show as boxes; install one, such as Noto Sans "
            "CJK or WenQuanYi Micro Hei (Debian: fonts-wqy-microhei)",
            stacklevel=3,
        )
    return [*([font] if font else []), "DejaVu Sans", *chinese]
