"""Every picture can be drawn in English and in Chinese, and refuses what it cannot draw."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from spareplan import plots
from spareplan.errors import DataError
from spareplan.forecast.survival import survival_curve
from spareplan.results import DemandForecast, Plan
from tests.plans import small_plan

mpl.use("Agg")


@cache
def plan() -> Plan:
    return small_plan()


def lives() -> DemandForecast:
    rng = np.random.default_rng(3)
    ages = pd.DataFrame(
        {"part_id": "主油缸", "entry": 0.0, "exit": 900 * rng.weibull(2.0, 60), "failed": True}
    )
    law = pd.DataFrame(
        {"part_id": ["主油缸"], "shape": [2.0], "scale": [900.0], "n_failed": [60.0], "clock": ["hours"]}
    )
    return DemandForecast(plan().demand.table, plan().demand.assumptions, spells=ages, lifetimes=law)


def machines() -> pd.DataFrame:
    return pd.DataFrame({"product_id": ["DP", "DP", "RR"], "age_years": [0.0, 3.2, 11.0]})


def products() -> pd.DataFrame:
    return pd.DataFrame({"product_id": ["DP", "RR"], "name": ["输送泵", "压路机"]})


def curve() -> pd.DataFrame:
    return pd.DataFrame({"money": [1e5, 5e5, 5e5, 7e5], "service": [0.6, 0.95, 0.94, 0.8],
                         "what": ["curve", "curve", "this plan", "today"]})  # fmt: skip


PICTURES: dict[str, Callable[[str], mpl.axes.Axes]] = {
    "fleet age": lambda said: plots.plot_fleet_age(machines(), products(), language=said),
    "life": lambda said: plots.plot_life(lives(), "主油缸", survival_curve(lives().spells), language=said),
    "forecast": lambda said: plots.plot_forecast(plan().demand, "主油缸", language=said),
    "sources": lambda said: plots.plot_sources(plan().demand, language=said),
    "grades": lambda said: plots.plot_grades(plan().grades, plan().inputs["parts"], language=said),
    "curve": lambda said: plots.plot_curve(plan().levels, curve(), language=said),
    "attainment": lambda said: plots.plot_attainment(plan().check, language=said),
    "orders": lambda said: plots.plot_orders(plan().orders, language=said),
    "head count": lambda said: plots.plot_headcount(plan().crew, language=said),
}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    mpl.pyplot.close("all")


def words_of(ax: mpl.axes.Axes) -> str:
    legend = ax.get_legend()
    said = [ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()]
    return " ".join(said + ([text.get_text() for text in legend.get_texts()] if legend else []))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", PICTURES)
def test_every_character_of_a_picture_has_a_glyph(name: str, language: str) -> None:
    if not set(plots.CHINESE_FONTS) & set(plots.use_house_style()):
        pytest.skip("no Chinese font is installed (Debian: fonts-wqy-microhei)")
    ax = PICTURES[name](language)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        ax.figure.canvas.draw()
    chinese = any("一" <= letter <= "鿿" for letter in ax.get_title(loc="left"))
    assert ax.get_title(loc="left") and (chinese or language == "en" or name == "forecast")


@pytest.mark.parametrize("name", PICTURES)
def test_legends_stand_where_they_hide_no_data(name: str) -> None:
    ax = PICTURES[name]("en")
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    beside = legend.x0 >= ax.get_window_extent().x1
    corner = name in ("curve", "head count")
    assert beside or corner
    assert legend.x1 <= ax.figure.bbox.x1 + 1, "the legend runs out of the picture"


def test_axes_name_their_units() -> None:
    assert "[pieces]" in words_of(PICTURES["forecast"]("en")) and "[件]" in words_of(
        PICTURES["forecast"]("zh")
    )
    assert "[days]" in words_of(PICTURES["grades"]("en")) and "[hours]" in words_of(PICTURES["life"]("en"))
    assert "[millions]" in words_of(PICTURES["curve"]("en")) and "[years]" in words_of(
        PICTURES["fleet age"]("en")
    )


def test_bars_carry_the_numbers_of_the_table() -> None:
    ax = PICTURES["sources"]("en")
    heights = sum(bar.get_height() for bars in ax.containers for bar in bars)
    assert heights == pytest.approx(plan().demand.table["mean"].sum())
    ax = PICTURES["fleet age"]("en")
    assert sum(bar.get_height() for bars in ax.containers for bar in bars) == 3
    assert "输送泵 (2)" in words_of(ax)
    ax = PICTURES["orders"]("en")
    assert sum(bar.get_height() for bars in ax.containers for bar in bars) == pytest.approx(0.20005)


def test_a_broken_promise_looks_different_from_a_kept_one() -> None:
    check = plan().check
    low = check.table.assign(achieved=0.5, low=0.4, high=0.6, kept=False, group="北京 · 1")
    both = type(check)(pd.concat([check.table, low]), check.assumptions)
    ax = plots.plot_attainment(both)
    assert "Kept (1)" in words_of(ax) and "Broken (1)" in words_of(ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["上海 · 1", "北京 · 1"]


def test_waits_and_shares_never_share_an_axis() -> None:
    check = plan().check
    wait = check.table.assign(measure="mean_wait_days", promised=2.0, achieved=1.5, low=1.4, high=1.6)
    both = type(check)(pd.concat([check.table, wait, wait]), check.assumptions)
    assert len(plots.plot_attainment(both).get_yticks()) == 2
    assert len(plots.plot_attainment(both, measure="fill_rate").get_yticks()) == 1


def test_a_given_axes_is_drawn_on() -> None:
    figure, (left, right) = mpl.pyplot.subplots(1, 2)
    assert plots.plot_sources(plan().demand, ax=right) is right and not left.patches
    assert figure.axes == [left, right]


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: plots.plot_forecast(plan().demand, "no such part"), "no such part"),
        (lambda: plots.plot_forecast(plan().demand, "00123", "no such site"), "no such site"),
        (lambda: plots.plot_life(plan().demand, "00123"), "has no fitted life"),
        (lambda: plots.plot_fleet_age(machines().drop(columns="age_years"), products()), "age_years"),
        (lambda: plots.plot_fleet_age(machines().iloc[:0], products()), "nothing to draw"),
        (lambda: plots.plot_grades(plan().grades, products()), "unit_cost"),
        (lambda: plots.plot_curve(plan().levels), "nothing to draw"),
        (lambda: plots.plot_curve(plan().levels, curve().drop(columns="what")), "what"),
        (lambda: plots.plot_attainment(plan().check, measure="patience"), "patience"),
        (lambda: plots.plot_headcount(plan().crew, month=pd.Timestamp("1999-01-01")), "1999-01-01"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_named(draw: Callable[[], object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        draw()
    assert not mpl.pyplot.get_fignums(), "an empty picture is left behind"
