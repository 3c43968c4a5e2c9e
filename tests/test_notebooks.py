"""Notebooks tell a story in short cells, are stored without outputs, and hold no program of their own."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_CELLS, MOST_LINES = 22, 14
LOOPS = (ast.For, ast.AsyncFor, ast.While)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def code_of(book: dict[str, Any]) -> list[str]:
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]


def test_the_six_notebooks_of_the_month_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01_monthly_forecast",
        "02_grading_thresholds",
        "03_stock_levels",
        "04_head_count",
        "05_regional_export",
        "06_accuracy",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_stored(path: Path) -> None:
    book = read(path)
    for cell in book["cells"]:
        assert set(cell) <= {"cell_type", "id", "metadata", "source", "execution_count", "outputs"}
        assert not cell.get("outputs") and cell.get("execution_count") is None and cell["metadata"] == {}
    assert [cell["id"] for cell in book["cells"]] == [f"cell-{k:02d}" for k in range(len(book["cells"]))]
    assert set(book["metadata"]) == {"kernelspec", "language_info"}
    assert book["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_short_story(path: Path) -> None:
    book = read(path)
    first = book["cells"][0]
    number, name = path.stem.split("_", 1)
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).lower().startswith(f"# {number} · ")
    assert name.split("_")[-1] in "".join(first["source"]).lower()
    assert len(book["cells"]) <= MOST_CELLS
    assert max(len(cell["source"]) for cell in book["cells"]) <= MOST_LINES
    assert sum(cell["cell_type"] == "markdown" for cell in book["cells"]) >= 4
    assert max(len(line.rstrip("\n")) for cell in book["cells"] for line in cell["source"]) <= 150


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_calls_the_package_and_holds_no_program(path: Path) -> None:
    for source in code_of(read(path)):
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, DEFINITIONS), f"{path.stem} defines something:\n{source}"
            assert not isinstance(node, LOOPS), f"{path.stem} loops:\n{source}"
        assert not re.search(r"iterrows|itertuples|\.apply\(", source), (
            f"{path.stem} walks over rows:\n{source}"
        )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_reads_only_the_samples_and_writes_to_a_place_of_its_own(path: Path) -> None:
    text = "\n".join(code_of(read(path)))
    assert set(re.findall(r'read_dataset\("([^"]+)"\)', text)) == {"../data/samples/delivery_pump"}
    assert not re.search(r'to_(csv|excel|parquet)\(|open\(|"/', text)
    assert "export_plan(plan, out" in text or "export_plan" not in text
