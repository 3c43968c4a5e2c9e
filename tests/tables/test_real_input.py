"""Flat files of others become datasets by the lines that the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from spareplan.tables.dataset import Dataset

PAGE = Path(__file__).parents[2] / "docs" / "real_input.md"


@pytest.fixture(scope="module")
def made(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """Names that the snippets of the page leave behind."""
    folder = tmp_path_factory.mktemp("real")
    for name in ("oil_b_monthly.csv.gz", "carparts.csv.gz"):
        (folder / name).symlink_to(test_data / "bench" / name)
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S):
            exec(compile(code, PAGE.name, "exec"), names)
    return names


@pytest.mark.bench_data
def test_the_refinery_becomes_a_dataset(made: dict[str, Dataset]) -> None:
    oil = made["oil"]
    assert len(oil.parts) == len(oil.stock) == 7024
    assert len(oil.demand) == 7024 * 56
    # facts of the source file, counted on its cells
    assert oil.demand["quantity"].sum() == 130_631
    assert (oil.demand["quantity"] < 0).sum() == 2032
    assert oil.demand["month"].min() == pd.Timestamp("1997-01-01")
    assert oil.as_of() == pd.Timestamp("2001-08-31")
    assert oil.network.site_ids == ["HQ"]
    assert "installed_total" in oil.notes["note"].iloc[0]
    assert oil.parts["unit_cost"].mean() == pytest.approx(524.808, abs=0.001)


@pytest.mark.bench_data
def test_the_car_parts_become_a_dataset_whose_inventions_are_told(made: dict[str, Dataset]) -> None:
    cars = made["cars"]
    assert len(cars.parts) == 2674
    assert len(cars.demand) == 130_252
    assert cars.demand["quantity"].sum() == 66_194
    assert cars.as_of() == pd.Timestamp("2002-03-31")
    assert set(cars.assumed) == {"parts.unit_cost", "parts.lead_time_days"}
    pd.testing.assert_frame_equal(made["again"].demand, cars.demand)
