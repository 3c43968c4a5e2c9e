"""plan.toml: every value once, unknown keys refused with the nearest known one."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import pytest

from spareplan import (
    DataError,
    ForecastOptions,
    PlanConfig,
    ReplenishmentOptions,
    StaffingOptions,
    StockingOptions,
    Thresholds,
    read_config,
)
from spareplan.config import config_from, config_text, option_rows
from spareplan.results import assumptions_frame


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    config = PlanConfig(
        months=6, as_of=dt.date(2025, 12, 31), budget=2.5e6, thresholds=Thresholds(long_lead_time_days=45)
    )
    path = tmp_path / "plan.toml"
    path.write_text(config_text(config), encoding="utf-8")
    assert read_config(path) == config


def test_the_defaults_written_out_are_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(config_text(), encoding="utf-8")
    assert read_config(path) == PlanConfig()


def test_caps_of_regions_survive_plan_toml(tmp_path: Path) -> None:
    caps = {"华东": 1_250_000.0, 'north "1"': 0.0}
    config = PlanConfig(stocking=StockingOptions(region_caps=caps))
    path = tmp_path / "plan.toml"
    path.write_text(config_text(config), encoding="utf-8")
    assert read_config(path) == config
    section = '[stocking.region_caps]\n"华东" = 1250000\n'
    path.write_text(section, encoding="utf-8")
    assert read_config(path).stocking.region_caps == {"华东": 1_250_000.0}
    rows = {row["name"]: row for row in option_rows("stocking", config.stocking)}
    shown = assumptions_frame([rows["region_caps"]])["value"].iloc[0]
    assert shown == '华东: 1.25e+06, north "1": 0'


def test_a_cap_below_nothing_is_refused_with_its_region(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        config_from({"stocking": {"region_caps": {"华东": -1}}}, "plan.toml")
    assert caught.value.problems["column"].tolist() == ["stocking.region_caps.华东"]


def test_all_faults_of_a_config_are_told_at_once_with_the_nearest_known_key() -> None:
    with pytest.raises(DataError) as caught:
        config_from(
            {
                "month": 3,
                "weeks": 0,
                "thresholds": {"long_leadtime_days": 50, "abc_a_share": 2},
                "stocking": 7,
            },
            "plan.toml",
        )
    problems = caught.value.problems.set_index("column")
    assert set(problems.index) == {
        "month",
        "weeks",
        "thresholds.long_leadtime_days",
        "thresholds.abc_a_share",
        "stocking",
    }
    assert problems.loc["month", "remedy"] == "did you mean months?"
    assert problems.loc["thresholds.long_leadtime_days", "remedy"] == "did you mean long_lead_time_days?"


@pytest.mark.parametrize("text", ["months = ", "months = 3\nmonths = 4"])
def test_a_file_that_is_no_toml_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="is not TOML"):
        read_config(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def test_every_option_has_a_meaning_and_says_whether_it_was_set() -> None:
    config = PlanConfig(months=6)
    rows = [*option_rows("plan", config)]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            rows += option_rows(field.name, value)
    assert all(row["meaning"] for row in rows)
    assert {row["name"]: row["origin"] for row in rows}["months"] == "set by the user"
    assert {row["name"]: row["origin"] for row in rows}["weeks"] == "default"


def test_a_variant_leaves_its_origin_unchanged() -> None:
    base = PlanConfig(budget=2_500_000)
    lean = dataclasses.replace(base, budget=2_000_000)
    assert (base.budget, lean.budget) == (2_500_000, 2_000_000)
    with pytest.raises(dataclasses.FrozenInstanceError):
        base.budget = 1.0  # type: ignore[misc]


def test_wrong_options_are_refused_by_name_all_at_once() -> None:
    with pytest.raises(DataError) as caught:
        StaffingOptions(search_by_simulation="never", shift_start=-1, work_day=5, travel_speed="fast")  # type: ignore[call-arg, arg-type]
    problems = caught.value.problems.set_index("column")
    assert set(problems["table"]) == {"StaffingOptions"}
    assert problems.loc["search_by_simulation", ["value", "rule", "remedy"]].tolist() == [
        "never",
        "is 'doubtful', 'all' or 'none'",
        "give such a value, or leave it out for 'doubtful'",
    ]
    assert problems.loc["shift_start", "rule"] == "is 0 or more"
    assert problems.loc["work_day", "remedy"] == "did you mean work_days?"
    assert problems.loc["travel_speed", "remedy"] == "give such a value [km/hour], or leave it out for 50.0"


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (ForecastOptions, {"backtest_origins": 9}),
        (Thresholds, {"adi": 0.5}),
        (StockingOptions, {"vital_pieces": -1}),
        (ReplenishmentOptions, {"projection": "some"}),
        (StaffingOptions, {"stage_weights": ("dear",)}),
        (PlanConfig, {"months": 0}),
    ],
)
def test_every_class_of_options_names_what_it_refuses(kind: Any, wrong: dict[str, Any]) -> None:
    for build in (lambda: kind(**wrong), lambda: dataclasses.replace(kind(), **wrong)):
        with pytest.raises(DataError) as caught:
            build()
        assert caught.value.problems["column"].iloc[0].split(".")[0] == next(iter(wrong))


def test_good_options_pass_as_they_are() -> None:
    nested = PlanConfig(staffing=StaffingOptions(work_days=5))
    assert nested.staffing.work_days == 5
    assert pickle.loads(pickle.dumps(nested)) == nested
