"""Pictures of the head count carry the numbers of its frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from spareplan import plots
from spareplan.errors import DataError

mpl.use("Agg")
MONTHS = pd.date_range("2026-11-01", periods=4, freq="MS")


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    mpl.pyplot.close("all")


def crew() -> Any:
    names = ["华东", "新疆", "福建"]
    return SimpleNamespace(
        table=pd.DataFrame(
            {
                "region_id": np.repeat(names, 4),
                "month": np.tile(MONTHS, 3),
                "required": [3.0, 4, 5, 5, 2, 2, 2, 2, 1, 1, 1, 1],
                "headcount": np.repeat([3.0, 2, 2], 4),
                "hire": [0, 0, 2.0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            }
        ),
        regions=pd.DataFrame({"region_id": names, "machines": [300.0, 60, 80], "gap": [2.0, 0.0, -1.0]}),
        places=pd.DataFrame(
            {"region_id": names, "latitude": [32.0, 43.0, np.nan], "longitude": [119.0, 84.0, np.nan]}
        ),
        marginal=pd.DataFrame(
            {
                "region_id": names,
                "orders_more_per_year": [80.0, 5.0, 0.0],
                "money_per_order": [2000.0, 32000.0, np.nan],
            }
        ),
        scale=pd.DataFrame(
            {
                "region_id": names,
                "travel_share": [0.5, 0.6, 0.4],
                "area_elasticity": [0.0, 1.4, np.nan],
                "pooling_elasticity": [0.1, 0.6, 0.5],
                "slope_from_base": [0.1, 0.18, np.nan],
            }
        ),
    )


PICTURES = {
    "map": plots.plot_regions_map,
    "months": plots.plot_month_plan,
    "one more": plots.plot_one_more,
    "scale": plots.plot_scale,
}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", PICTURES)
def test_every_character_has_a_glyph_and_the_legend_stands_beside(name: str, language: str) -> None:
    if not set(plots.CHINESE_FONTS) & set(plots.use_house_style()):
        pytest.skip("no Chinese font is installed (Debian: fonts-wqy-microhei)")
    ax = PICTURES[name](crew(), language=language)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert legend.x0 >= ax.get_window_extent().x1
    assert legend.x1 <= ax.figure.bbox.x1 + 1


def test_the_map_shows_every_region_whose_place_is_known_and_counts_the_others() -> None:
    ax = plots.plot_regions_map(crew())
    points = np.concatenate([group.get_offsets() for group in ax.collections])
    points = points[~np.ma.getmaskarray(points).any(axis=1)] if np.ma.isMaskedArray(points) else points
    assert sorted(map(tuple, points[~np.isnan(points).any(axis=1)].tolist())) == [(84.0, 43.0), (119.0, 32.0)]
    assert {text.get_text() for text in ax.texts} == {"华东 +2", "新疆 0"}
    assert "1 regions without" in ax.get_legend().get_title().get_text()


def test_gaps_differ_in_shape_and_not_in_colour_alone() -> None:
    labels = [text.get_text() for text in plots.plot_regions_map(crew()).get_legend().get_texts()]
    assert len(set(labels)) == 4


def test_hires_lift_the_line_from_their_first_day() -> None:
    ax = plots.plot_month_plan(crew())
    line = next(line for line in ax.lines if "hired" in str(line.get_label()))
    assert line.get_ydata().tolist() == [7.0, 7.0, 9.0, 9.0]
    assert [bar.get_height() for bar in ax.containers[0]] == [6.0, 7.0, 8.0, 8.0]
    assert [text.get_text() for text in ax.texts] == ["+2"]
    with pytest.raises(DataError, match="region_id"):
        plots.plot_month_plan(crew(), "火星")


def test_bars_of_one_engineer_more_carry_orders_and_prices() -> None:
    ax = plots.plot_one_more(crew())
    assert [bar.get_width() for bar in ax.containers[0]] == [0.0, 5.0, 80.0]
    assert [text.get_text() for text in ax.texts] == ["", "32,000", "2,000"]


def test_regions_whose_area_is_not_known_are_not_drawn() -> None:
    ax = plots.plot_scale(crew())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["华东", "新疆"]


def test_a_map_without_places_is_refused() -> None:
    given = crew()
    given.places = given.places.assign(latitude=np.nan)
    with pytest.raises(DataError, match="places"):
        plots.plot_regions_map(given)
