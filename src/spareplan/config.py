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
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from spareplan.errors import DataError, Problem

_STRICT = ConfigDict(extra="forbid")


def _option(default: Any, unit: str, meaning: str, **bounds: Any) -> Any:
    """A field with unit and meaning beside its default (bounds: ge, gt, le, lt)."""
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, **bounds)


@dataclass(frozen=True, config=_STRICT)
class ForecastOptions:
    """Assumptions of the demand forecast."""

    clock: Literal["auto", "hours", "calendar"] = _option(
        "auto", "", "age counted in operating hours or calendar days; auto: hours where use is known"
    )
    levels: tuple[float, ...] = _option((0.5, 0.8, 0.9, 0.95, 0.99), "", "quantile levels that are published")
    backtest_origins: int = _option(
        2,
        "",
        "earlier origins at which ages, mean rate and own record are weighed; 0: ages alone",
        ge=0,
        le=8,
    )
    own_record: bool = _option(True, "", "weigh what was taken of each part so far as a forecast of its own")
    machine_life_years: float = _option(
        10.0, "years", "mean life of a machine, where no machine was ever retired", gt=0, le=100
    )
    retire_by_law: bool = _option(
        False, "", "machines of products whose retirements are not planned leave by the law of machine life"
    )
    inspections: Literal["placed", "fixed", "none"] = _option(
        "placed",
        "",
        "visits after handover: placed by new machines' failures and the season, on fixed dates, or none",
    )
    inspection_dates: tuple[int, ...] = _option(
        (1, 3, 6, 12), "months", "dates after handover of the visits made so far, and of fixed ones"
    )
    inspection_visits: int = _option(
        4, "", "visits to a machine, the one after a month included", ge=1, le=12
    )
    inspection_span_months: int = _option(
        12, "months", "months after handover within which visits are placed", ge=1, le=36
    )
    inspection_warning_months: float = _option(
        2.0, "months", "mean time from the first sign a visit can see to the failure", gt=0, le=24
    )


@dataclass(frozen=True, config=_STRICT)
class Thresholds:
    """Where the lines between the grades of parts are drawn; an analyst's to tune."""

    long_lead_time_days: float = _option(60.0, "days", "lead time above which a part counts as long", ge=0)
    high_value_share: float = _option(
        0.80,
        "share",
        "parts dearer than the unit cost that splits annual value here are high value",
        gt=0,
        lt=1,
    )
    high_unit_cost: float | None = _option(
        None, "money", "fixed unit cost above which a part is high value, instead of the split", ge=0
    )
    abc_a_share: float = _option(0.80, "share", "cumulative annual value that closes class A", gt=0, lt=1)
    abc_b_share: float = _option(0.95, "share", "cumulative annual value that closes class B", gt=0, lt=1)
    adi: float = _option(
        1.32, "months", "mean months between demands above which demand is intermittent", ge=1
    )
    cv2: float = _option(
        0.49, "", "squared variation of non-zero demand sizes above which it is erratic", ge=0
    )
    third_party: bool = _option(False, "", "short, low-value, bought-in parts may go to a third party")
    tier_unknown: Literal[1, 2, 3] = _option(3, "", "tier of parts that fit no known product")
    criticality_unknown: Literal["vital", "essential", "desirable"] = _option(
        "essential", "", "criticality of parts that give none"
    )
    fill_rate_tier_1: float = _option(0.97, "share", "fill rate promised to products of tier 1", gt=0, lt=1)
    fill_rate_tier_2: float = _option(0.95, "share", "fill rate promised to products of tier 2", gt=0, lt=1)
    fill_rate_tier_3: float = _option(0.90, "share", "fill rate promised to products of tier 3", gt=0, lt=1)
    fill_rate_vital: float | None = _option(
        None, "share", "least fill rate of vital parts whatever their tier; empty: the tier's", gt=0, lt=1
    )


@dataclass(frozen=True, config=_STRICT)
class StockingOptions:
    """Assumptions of the stock levels."""

    method: Literal["exact", "two_moment", "metric"] = _option("exact", "", "evaluation of stock levels")
    order_cost: float = _option(
        0.0, "money", "cost of one purchase order; above 0 headquarters buys economic quantities", ge=0
    )
    holding_rate: float = _option(
        0.20, "share per year", "yearly cost of holding stock, as a share of its value", gt=0, le=1
    )
    short_budget: Literal["refuse", "best_service"] = _option(
        "refuse", "", "a budget below what the promises need: refuse it, or give the best service it buys"
    )
    change_must_save: float = _option(
        0.25,
        "pieces",
        "least saving of a changed level, in holding cost of so many pieces of the part; below it the level "
        "of the plan before stays",
        ge=0,
        le=10,
    )
    max_months_of_demand: float | None = _option(
        None,
        "months",
        "no level above the pieces on the way and so many months of demand, or one piece; empty: no ceiling",
        gt=0,
        le=1200,
    )
    keep_shelf_life: bool = _option(
        True, "", "no level above the pieces on the way and the demand of the part's shelf life, or one piece"
    )
    vital_pieces: int = _option(
        0, "pieces", "least level of vital parts wherever they are asked for", ge=0, le=1000
    )
    own_promise: bool = _option(
        True,
        "",
        "parts promised something else than their tier (vital parts, planners' targets) keep it among "
        "themselves; else it only weighs in the promise of the tier",
    )
    region_caps: dict[str, Annotated[float, Field(ge=0)]] | None = _option(
        None, "money", "most money in base stock at the sites of a region, by region_id; empty: no cap"
    )


@dataclass(frozen=True, config=_STRICT)
class ReplenishmentOptions:
    """Assumptions of the weekly replenishment."""

    laterals: bool = _option(
        True, "", "neighbours give what they hold above base stock before more is sent or bought"
    )
    emergencies: bool = _option(
        True, "", "emergency deliveries where pieces would be owed before a routine one"
    )
    emergency_gain_days: float = _option(1.0, "days", "least time an emergency delivery must save", ge=0)
    projection: Literal["moved", "all", "none"] = _option(
        "moved", "", "pairs whose projected stock is listed: with an order or a shortage, all, or none"
    )


@dataclass(frozen=True, config=_STRICT)
class StaffingOptions:
    """Assumptions of the head count."""

    max_utilisation: float = _option(0.85, "share", "highest planned utilisation of an engineer", gt=0, lt=1)
    least_gain: float = _option(
        0.005,
        "share",
        "least gain of a broken solution promise that is worth one engineer more on duty",
        ge=0,
        lt=1,
    )
    coverage_hours_per_week: float = _option(
        168.0, "hours/week", "hours in which orders are served, on shift or on call", gt=0, le=168
    )
    paid_hours_per_week: float = _option(40.0, "hours/week", "paid working time of an engineer", gt=0, le=168)
    on_call_hours_per_week: float = _option(
        44.0, "hours/week", "time beyond the paid hours in which an engineer can be called out", ge=0, le=128
    )
    absence_share: float = _option(0.12, "share", "leave, illness, courses and meetings", ge=0, lt=1)
    travel_speed: float = _option(50.0, "km/hour", "mean speed on the road", gt=0)
    circuity: float = _option(1.3, "ratio", "road distance against the straight line", ge=1)
    return_share: float = _option(
        0.5, "share", "part of the recorded travel hours that is the way back", ge=0, lt=1
    )
    default_travel_hours: float = _option(
        2.0, "hours", "travel there and back where neither orders nor machines nor an area tell", gt=0
    )
    default_work_hours: float = _option(3.0, "hours", "time at the machine where no order tells", gt=0)
    default_work_scv: float = _option(
        0.8, "ratio", "squared variation of the time at the machine where no order tells", gt=0
    )
    diagnose_hours: float = _option(1.0, "hours", "time at the machine until a part is found missing", gt=0)
    part_order_share: float = _option(
        0.6, "share", "failure orders that need a part, where no replacement names its order", ge=0, le=1
    )
    part_missing_share: float = _option(
        0.1, "share", "failure orders missing their part, where neither levels nor outcomes tell", ge=0, le=1
    )
    part_known_share: float = _option(
        0.0, "share", "missing parts that are known at the call, so that the visit waits for them", ge=0, le=1
    )
    parts_wait_hours: float = _option(
        72.0, "hours", "wait for a missing part, where no stock levels tell", gt=0
    )
    emergency_parts: bool = _option(
        True, "", "a part missing at a machine comes by emergency delivery where the sites have one"
    )
    not_fixed_share: float = _option(
        0.05, "share", "visits after which the machine still fails, where no outcomes tell", ge=0, lt=1
    )
    inspection_months: tuple[int, ...] = _option(
        (1, 3, 6, 12), "months", "months after handover in which a machine is inspected"
    )
    inspections_made: float = _option(
        0.9, "share", "due inspections that are made, where no work orders tell", ge=0, le=1
    )
    history_months: int = _option(24, "months", "latest months of work orders that rates come from", ge=1)
    kin_orders: float = _option(50.0, "orders", "weight of all regions' rates beside a region's own", gt=0)
    desk_minutes: float = _option(12.0, "minutes", "mean length of a call at the desk", gt=0)
    desk_fix_share: float = _option(0.0, "share", "orders the desk solves without a visit", ge=0, lt=1)
    hour_profile: bool = _option(True, "", "calls follow the hours of the day of the work orders")
    hire_lead_months: int = _option(3, "months", "from the decision to hire to the first day", ge=0)
    hire_cost_share: float = _option(
        0.2, "share of annual cost", "cost of finding and starting one engineer", ge=0
    )
    train_months: int = _option(6, "months", "time to train for the next skill, on the job", ge=0)
    train_cost_share: float = _option(
        0.15, "share of annual cost", "cost of training for the next skill", ge=0
    )
    lend_loss_share: float = _option(0.2, "share", "time of a lent engineer lost on the way", ge=0, lt=1)
    lend_cost_share: float = _option(
        0.3, "share of wage", "extra cost of a month lent to another region", ge=0
    )
    leave_share_per_year: float = _option(0.0, "share/year", "engineers who leave", ge=0, lt=1)
    shortage_cost_share: float = _option(
        3.0, "share of wage", "price of a missing engineer: above it promises are broken knowingly", gt=0
    )
    simulate_years: int = _option(
        0, "years", "length of the simulation that checks each region's fullest month; 0: none", ge=0, le=1000
    )
    plan_gap: float = _option(
        0.01, "share", "cost above the optimum at which the head count search may stop", ge=0
    )
    plan_seconds: float = _option(60.0, "s", "longest head count search", gt=0)


_STAGES = {
    "forecast": ForecastOptions,
    "thresholds": Thresholds,
    "stocking": StockingOptions,
    "replenishment": ReplenishmentOptions,
    "staffing": StaffingOptions,
}


@dataclass(frozen=True, config=_STRICT)
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

    months: int = _option(12, "months", "forecast horizon", ge=1, le=120)
    as_of: dt.date | None = _option(
        None, "", "last day that is known; empty: end of the month of the latest record"
    )
    weeks: int = _option(8, "weeks", "replenishment horizon", ge=1, le=104)
    budget: float | None = _option(
        None, "money", "most money in base stock; empty: what the targets need", gt=0
    )
    seed: int = _option(0, "", "seed of every simulation", ge=0)
    years: int = _option(10, "years", "length of the simulation that checks the plan", ge=1)
    exception_share: float = _option(
        0.0005, "share", "exceptions worth less of the money in base stock are not listed", ge=0
    )
    last_buy_risk: float = _option(
        0.05, "share", "chance of ever running short after the last buy of a part that ends", gt=0, lt=1
    )
    frozen_weeks: int = _option(
        0, "weeks", "coming weeks in which the orders and whole months issued before stay", ge=0, le=52
    )
    learn_from_last: bool = _option(
        True, "", "correct the forecast by how far the plans before were off, where one is given"
    )
    language: Literal["en", "zh"] = _option("en", "", "language of headers and summaries")
    engine: str = _option("local", "", "where per-part work runs: local, processes or a cluster address")
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
    except ValidationError as error:
        for fault in error.errors():
            column = prefix + ".".join(str(part) for part in fault["loc"])
            problems.append(
                Problem(source, 0, column, str(fault["input"]), fault["msg"].lower(), "give such a value")
            )
        return kind()
