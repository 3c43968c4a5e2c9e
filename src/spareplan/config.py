"""Every assumption and threshold of a plan, with unit, default and meaning; read from plan.toml.

One frozen class per stage; `PlanConfig` holds them all. `dataclasses.replace` makes variants, unknown keys
are refused with the nearest known one, and every value reappears in the plan's assumptions.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from spareplan.errors import DataError, Problem
from spareplan.options import (
    STRICT,
    ForecastOptions,
    ReplenishmentOptions,
    StaffingOptions,
    StockingOptions,
    Thresholds,
    option,
    refused_by_name,
)

__all__ = [
    "ForecastOptions",
    "PlanConfig",
    "ReplenishmentOptions",
    "StaffingOptions",
    "StockingOptions",
    "Thresholds",
    "config_from",
    "config_text",
    "option_rows",
    "read_config",
]

_STAGES = {
    "forecast": ForecastOptions,
    "thresholds": Thresholds,
    "stocking": StockingOptions,
    "replenishment": ReplenishmentOptions,
    "staffing": StaffingOptions,
}


@refused_by_name
@dataclass(frozen=True, config=STRICT)
class PlanConfig:
    """Everything a plan needs beside the data.

    Parameters
    ----------
    months : int
        Forecast horizon. [months]
    as_of : date, optional
        Last day that is known; None is the last day of the month of the latest record.
    weeks : int
        Replenishment horizon. [weeks]
    budget : float, optional
        Most money in base stock; None: as much as the targets need. [money]
    seed : int
        Seed of every simulation.
    years : int
        Length of the simulation that checks the plan. [years]
    exception_share : float
        Exceptions worth less than this share of the money in base stock are not listed.
    last_buy_risk : float
        Chance of ever running short that is accepted when a part that ends is bought for the last time.
    frozen_weeks : int
        Coming weeks in which orders and whole months of the plan issued before stay; 0: none. [weeks]
    learn_from_last : bool
        Correct the forecast by how far the plans before were off, where a plan before is given.
    language : {"en", "zh"}
        Language of headers and summaries.
    engine : str
        "local", "processes" or the address of a Dask cluster.
    forecast, thresholds, stocking, replenishment, staffing
        Options of the stages.
    """

    months: int = option(12, "months", "forecast horizon", ge=1, le=120)
    as_of: dt.date | None = option(
        None, "", "last day that is known; empty: end of the month of the latest record"
    )
    weeks: int = option(8, "weeks", "replenishment horizon", ge=1, le=104)
    budget: float | None = option(
        None, "money", "most money in base stock; empty: what the targets need", gt=0
    )
    seed: int = option(0, "", "seed of every simulation", ge=0)
    years: int = option(10, "years", "length of the simulation that checks the plan", ge=1)
    exception_share: float = option(
        0.0005, "share", "exceptions worth less of the money in base stock are not listed", ge=0
    )
    last_buy_risk: float = option(
        0.05, "share", "chance of ever running short after the last buy of a part that ends", gt=0, lt=1
    )
    frozen_weeks: int = option(
        0, "weeks", "coming weeks in which the orders and whole months issued before stay", ge=0, le=52
    )
    learn_from_last: bool = option(
        True, "", "correct the forecast by how far the plans before were off, where one is given"
    )
    language: Literal["en", "zh"] = option("en", "", "language of headers and summaries")
    engine: str = option("local", "", "where per-part work runs: local, processes or a cluster address")
    forecast: ForecastOptions = dataclasses.field(default_factory=ForecastOptions)
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)
    stocking: StockingOptions = dataclasses.field(default_factory=StockingOptions)
    replenishment: ReplenishmentOptions = dataclasses.field(default_factory=ReplenishmentOptions)
    staffing: StaffingOptions = dataclasses.field(default_factory=StaffingOptions)


def option_rows(stage: str, options: Any) -> Iterator[dict[str, Any]]:
    """Rows of an assumptions table, one per option of a stage.

    Parameters
    ----------
    stage : str
        Name written into the rows.
    options : frozen options class of this module
        Nested stages are left to their own call.

    Yields
    ------
    dict
        stage, name, value, unit, origin ("default" or "set by the user"), meaning.
    """
    for field in dataclasses.fields(options):
        if field.name in _STAGES:
            continue
        info: Any = field.default
        value = getattr(options, field.name)
        yield {
            "stage": stage,
            "name": field.name,
            "value": value,
            "unit": (info.json_schema_extra or {}).get("unit", ""),
            "origin": "default" if value == info.default else "set by the user",
            "meaning": info.description,
        }


def read_config(path: str | Path) -> PlanConfig:
    """Read a plan.toml.

    Parameters
    ----------
    path : path
        A TOML file: keys of `PlanConfig` at the top, a section per stage.

    Returns
    -------
    PlanConfig

    Raises
    ------
    DataError
        Unknown keys (the nearest known one is suggested) and values of the wrong kind, all at once.
    """
    source = Path(path)
    try:
        given = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            [
                Problem(
                    source.name,
                    0,
                    "",
                    str(path),
                    f"cannot be read ({error.strerror})",
                    "give the path of a plan.toml",
                )
            ]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            [Problem(source.name, 0, "", "", f"is not TOML in UTF-8 ({error})", "mend the file")]
        ) from error
    return config_from(given, source.name)


def config_from(given: dict[str, Any], source: str = "config") -> PlanConfig:
    """Build a PlanConfig from nested plain values (arguments and errors as in `read_config`).

    Parameters
    ----------
    given : dict
        Keys of `PlanConfig`, a dict per stage.
    source : str
        Name shown in error messages.

    Returns
    -------
    PlanConfig
    """
    problems: list[Problem] = []
    stages: dict[str, Any] = {}
    top = {key: value for key, value in given.items() if key not in _STAGES}
    for name, kind in _STAGES.items():
        section = given.get(name, {})
        if not isinstance(section, dict):
            problems.append(
                Problem(source, 0, name, str(section), "is a section", f"write [{name}] above its keys")
            )
            continue
        stages[name] = _build(kind, section, name, source, problems)
    config = _build(PlanConfig, top, "", source, problems)
    if problems:
        raise DataError(problems)
    return dataclasses.replace(config, **stages)


def config_text(config: PlanConfig | None = None) -> str:
    """Write a config as plan.toml, every value with unit and meaning.

    Parameters
    ----------
    config : PlanConfig, optional
        None: all defaults.

    Returns
    -------
    str
        TOML; empty values stand as comments because TOML knows no empty.
    """
    config = config or PlanConfig()
    lines = ["# plan.toml: every assumption of a plan. Leave out what shall keep its default.", ""]
    lines += _section(config)
    for name in _STAGES:
        lines += ["", f"[{name}]", *_section(getattr(config, name))]
    return "\n".join(lines) + "\n"


def _section(options: Any) -> list[str]:
    lines = []
    for row in option_rows("", options):
        unit = f" [{row['unit']}]" if row["unit"] else ""
        lines.append(f"# {row['meaning']}{unit}")
        value = row["value"]
        lines.append(f"# {row['name']} =" if value is None else f"{row['name']} = {_toml(value)}")
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _build(kind: Any, given: dict[str, Any], section: str, source: str, problems: list[Problem]) -> Any:
    known = [field.name for field in dataclasses.fields(kind)]
    prefix = f"{section}." if section else ""
    fine = {}
    for key, value in given.items():
        if key in known:
            fine[key] = value
            continue
        every = known + (list(_STAGES) if not section else [])
        near = difflib.get_close_matches(key, every, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"known here: {', '.join(every)}"
        problems.append(Problem(source, 0, prefix + key, str(value), "is no known key", remedy))
    try:
        return kind(**fine)
    except DataError as error:
        told = error.problems.assign(table=source, row=0, column=prefix + error.problems["column"])
        problems += [Problem(*fault) for fault in told.to_numpy().tolist()]
        return kind()
