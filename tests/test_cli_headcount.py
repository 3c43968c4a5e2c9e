"""The command line of the head count: from data and from a stored version, all regions or one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import spareplan as sp
from spareplan.cli_headcount import app
from spareplan.errors import DataError, StoreError
from spareplan.results import Plan
from tests.export.test_engineers import manned_plan
from tests.plans import small_plan
from tests.staffing.test_headcount import frames

WIDE = {"COLUMNS": "200"}


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)], env=WIDE, catch_exceptions=True)


def stored(folder: Path, plan: Plan) -> str:
    url = f"sqlite:///{folder / 'plans.db'}"
    store = sp.PlanStore(url)
    store.save(plan, author="HQ")
    store.close()
    return url


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    plan = manned_plan()
    regions = pd.DataFrame({"region_id": ["华东", "华北", "华南"], "name": ["East", "North", "South"]})
    return stored(
        tmp_path_factory.mktemp("crew"), Plan(**{**vars(plan), "inputs": {**plan.inputs, "regions": regions}})
    )


def test_a_stored_version_tells_every_region_and_the_lasting_moves_first(url: str) -> None:
    done = run("--plan", 1, "--store", url)
    assert done.exit_code == 0, done.output
    assert "1 engineer missing" in done.output and "Engineers by region" in done.output
    assert done.output.index("Hire") < done.output.index("Take over") < done.output.index("Overtime")
    assert "19,000" in done.output and "e+04" not in done.output


def test_one_region_is_told_alone_and_in_chinese(url: str) -> None:
    done = run("--plan", 1, "--store", url, "--region", "North", "--language", "zh")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("华北: 2 engineers today, 3 required in 2026-01; hire 1, train 0")
    assert "工程师调配计划" in done.output and "借出" in done.output
    assert "secret" not in done.output and "19,000" not in done.output


def test_files_and_pictures_are_written_beside_each_other(url: str, tmp_path: Path) -> None:
    csv, picture = tmp_path / "crew.csv", tmp_path / "crew.png"
    done = run("--plan", 1, "--store", url, "--csv", csv, "--picture", picture)
    assert done.exit_code == 0, done.output
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"crew.csv", "crew_moves.csv", "crew_stock_cures.csv", "crew.png", "crew_map.png"}
    assert pd.read_csv(tmp_path / "crew_moves.csv", encoding="utf-8-sig")["action"].tolist() == [
        "hire",
        "lend",
        "overtime",
        "move",
    ]
    assert "not drawn: " in done.output and "crew_one_more.png" not in names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a dataset, or a stored version"),
        (["folder", "--plan", 1], "name a dataset, or a stored version"),
        (["--plan", 1, "--region", "Mars"], "there is no region 'Mars'; there are 华东 (East)"),
        (["--plan", 1, "--picture", "crew.doc"], "name a file that ends in .png"),
        (["--plan", 1, "--language", "fr"], "'fr' is none of en, zh"),
    ],
)
def test_wrong_usage_is_named(url: str, arguments: list[object], said: str) -> None:
    done = run(*arguments, "--store", url)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def test_a_version_without_head_count_and_data_without_orders_are_refused(tmp_path: Path) -> None:
    plan = small_plan()
    done = run("--plan", 1, "--store", stored(tmp_path, Plan(**{**vars(plan), "crew": None})))
    assert isinstance(done.exception, StoreError) and "no head count" in str(done.exception)
    folder = tmp_path / "data"
    write(frames() | {"work_orders": None}, folder)
    refused = run(folder)
    assert isinstance(refused.exception, DataError) and "work_orders" in str(refused.exception)


def write(tables: dict[str, Any], folder: Path) -> None:
    folder.mkdir()
    for name, table in tables.items():
        if table is not None:
            table.to_csv(folder / f"{name}.csv", index=False)


def test_a_dataset_is_sized_with_the_options_of_its_plan_toml(tmp_path: Path) -> None:
    write(frames(), tmp_path / "data")
    config = tmp_path / "plan.toml"
    config.write_text(
        'months = 3\nlanguage = "zh"\n[staffing]\nsimulate_orders = 0\nplan_alternatives = false\n'
        'search_by_simulation = "none"\n',
        encoding="utf-8",
    )
    csv = tmp_path / "crew.csv"
    done = run(tmp_path / "data", "--config", config, "--csv", csv)
    assert done.exit_code == 0, (done.output, done.exception)
    table = pd.read_csv(csv, encoding="utf-8-sig")
    assert set(table["region_id"]) == {"华东", "新疆"} and table["month"].nunique() == 3
    assert "各大区工程师" in done.output
    assert (tmp_path / "crew_regions.csv").exists() and not (tmp_path / "crew_simulated.csv").exists()
