"""Assumptions and thresholds of every stage, each with unit, default, bounds and meaning.

One frozen class per stage; `spareplan.config` gathers them in a plan's configuration.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from spareplan.errors import DataError, Problem

STRICT = ConfigDict(extra="forbid")
Options = TypeVar("Options")
_RULES = {
    "greater_than_equal": "is {ge:g} or more",
    "greater_than": "is above {gt:g}",
    "less_than_equal": "is at most {le:g}",
    "less_than": "is below {lt:g}",
    "literal_error": "is {expected}",
    "unexpected_keyword_argument": "is no known option",
}


def option(default: Any, unit: str, meaning: str, **bounds: Any) -> Any:
    """A field with unit and meaning beside its default (bounds: ge, gt, le, lt)."""
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, **bounds)


def refused_by_name(kind: type[Options]) -> type[Options]:
    """Let a class of options refuse wrong values with a DataError that names each of them."""
    build = kind.__init__

    @functools.wraps(build)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            build(self, *args, **kwargs)
        except ValidationError as error:
            raise DataError([_problem(kind, fault) for fault in error.errors()]) from None

    kind.__init__ = checked  # type: ignore[method-assign]
    return kind


def _problem(kind: Any, fault: Any) -> Problem:
    """Say a fault that pydantic found in the words of all other problems."""
    context = fault.get("ctx", {})
    rule = _RULES.get(fault["type"], fault["msg"].replace("Input should be", "is")).format(**context)
    fields: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(kind)}
    name = str(fault["loc"][0])
    info: Any = fields.get(name)
    unit = (getattr(info, "json_schema_extra", None) or {}).get("unit", "")
    remedy = f"give such a value{f' [{unit}]' if unit else ''}"
    if name not in fields:
        near = difflib.get_close_matches(name, fields, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"known here: {', '.join(fields)}"
    elif hasattr(info, "default"):
        remedy += ", or leave it out" + ("" if info.default is None else f" for {info.default!r}")
    column = ".".join(str(part) for part in fault["loc"])
    return Problem(kind.__name__, 0, column, str(fault["input"]), rule, remedy)


@refused_by_name
@dataclass(frozen=True, config=STRICT)
class ForecastOptions:
    """Assumptions of the demand forecast."""

    clock: Literal["auto", "hours", "calendar"] = option(
        "auto", "", "age counted in operating hours or calendar days; auto: hours where use is known"
    )
    levels: tuple[float, ...] = option((0.5, 0.8, 0.9, 0.95, 0.99), "", "quantile levels that are published")
    backtest_origins: int = option(
        2,
        "",
        "earlier origins at which ages, mean rate and own record are weighed; 0: ages alone",
        ge=0,
        le=8,
    )
    own_record: bool = option(True, "", "weigh what was taken of each part so far as a forecast of its own")
    machine_life_years: float = option(
        10.0, "years", "mean life of a machine, where no machine was ever retired", gt=0, le=100
    )
    retire_by_law: bool = option(
        False, "", "machines of products whose retirements are not planned leave by the law of machine life"
    )
    inspections: Literal["placed", "fixed", "none"] = option(
        "placed",
        "",
        "visits after handover: placed by new machines' failures and the season, on fixed dates, or none",
    )
    inspection_dates: tuple[int, ...] = option(
        (1, 3, 6, 12), "months", "dates after handover of the visits made so far, and of fixed ones"
    )
    inspection_visits: int = option(4, "", "visits to a machine, the one after a month included", ge=1, le=12)
    inspection_span_months: int = option(
        12, "months", "months after handover within which visits are placed", ge=1, le=36
    )
    inspection_warning_months: float = option(
        2.0, "months", "mean time from the first sign a visit can see to the failure", gt=0, le=24
    )


@refused_by_name
@dataclass(frozen=True, config=STRICT)
class Thresholds:
    """Where the lines between the grades of parts are drawn; an analyst's to tune."""

    long_lead_time_days: float = option(60.0, "days", "lead time above which a part counts as long", ge=0)
    high_value_share: float = option(
        0.80,
        "share",
        "parts dearer than the unit cost that splits annual value here are high value",
        gt=0,
        lt=1,
    )
    high_unit_cost: float | None = option(
        None, "money", "fixed unit cost above which a part is high value, instead of the split", ge=0
    )
    abc_a_share: float = option(0.80, "share", "cumulative annual value that closes class A", gt=0, lt=1)
    abc_b_share: float = option(0.95, "share", "cumulative annual value that closes class B", gt=0, lt=1)
    adi: float = option(
        1.32, "months", "mean months between demands above which demand is intermittent", ge=1
    )
    cv2: float = option(
        0.49, "", "squared variation of non-zero demand sizes above which it is erratic", ge=0
    )
    third_party: bool = option(False, "", "short, low-value, bought-in parts may go to a third party")
    tier_unknown: Literal[1, 2, 3] = option(3, "", "tier of parts that fit no known product")
    criticality_unknown: Literal["vital", "essential", "desirable"] = option(
        "essential", "", "criticality of parts that give none"
    )
    fill_rate_tier_1: float = option(0.97, "share", "fill rate promised to products of tier 1", gt=0, lt=1)
    fill_rate_tier_2: float = option(0.95, "share", "fill rate promised to products of tier 2", gt=0, lt=1)
    fill_rate_tier_3: float = option(0.90, "share", "fill rate promised to products of tier 3", gt=0, lt=1)
    fill_rate_vital: float | None = option(
        None, "share", "least fill rate of vital parts whatever their tier; empty: the tier's", gt=0, lt=1
    )


@refused_by_name
@dataclass(frozen=True, config=STRICT)
class StockingOptions:
    """Assumptions of the stock levels."""

    method: Literal["exact", "two_moment", "metric"] = option("exact", "", "evaluation of stock levels")
    order_cost: float = option(
        0.0, "money", "cost of one purchase order; above 0 headquarters buys economic quantities", ge=0
    )
    holding_rate: float = option(
        0.20, "share per year", "yearly cost of holding stock, as a share of its value", gt=0, le=1
    )
    short_budget: Literal["refuse", "best_service"] = option(
        "refuse", "", "a budget below what the promises need: refuse it, or give the best service it buys"
    )
    change_must_save: float = option(
        0.25,
        "pieces",
        "least saving of a changed level, in holding cost of so many pieces of the part; below it the level "
        "of the plan before stays",
        ge=0,
        le=10,
    )
    max_months_of_demand: float | None = option(
        None,
        "months",
        "no level above the pieces on the way and so many months of demand, or one piece; empty: no ceiling",
        gt=0,
        le=1200,
    )
    keep_shelf_life: bool = option(
        True, "", "no level above the pieces on the way and the demand of the part's shelf life, or one piece"
    )
    vital_pieces: int = option(
        0, "pieces", "least level of vital parts wherever they are asked for", ge=0, le=1000
    )
    own_promise: bool = option(
        True,
        "",
        "parts promised something else than their tier (vital parts, planners' targets) keep it among "
        "themselves; else it only weighs in the promise of the tier",
    )
    region_caps: dict[str, Annotated[float, Field(ge=0)]] | None = option(
        None, "money", "most money in base stock at the sites of a region, by region_id; empty: no cap"
    )


@refused_by_name
@dataclass(frozen=True, config=STRICT)
class ReplenishmentOptions:
    """Assumptions of the weekly replenishment."""

    laterals: bool = option(
        True, "", "neighbours give what they hold above base stock before more is sent or bought"
    )
    emergencies: bool = option(
        True, "", "emergency deliveries where pieces would be owed before a routine one"
    )
    emergency_gain_days: float = option(1.0, "days", "least time an emergency delivery must save", ge=0)
    projection: Literal["moved", "all", "none"] = option(
        "moved", "", "pairs whose projected stock is listed: with an order or a shortage, all, or none"
    )


@refused_by_name
@dataclass(frozen=True, config=STRICT)
class StaffingOptions:
    """Assumptions of the head count."""

    max_utilisation: float = option(0.85, "share", "highest planned utilisation of an engineer", gt=0, lt=1)
    least_gain: float = option(
        0.005,
        "share",
        "least gain of a broken solution promise that is worth one engineer more on duty",
        ge=0,
        lt=1,
    )
    coverage_hours_per_week: float = option(
        168.0, "hours/week", "hours in which orders are served, on shift or on call", gt=0, le=168
    )
    paid_hours_per_week: float = option(40.0, "hours/week", "paid working time of an engineer", gt=0, le=168)
    on_call_hours_per_week: float = option(
        44.0, "hours/week", "time beyond the paid hours in which an engineer can be called out", ge=0, le=128
    )
    absence_share: float = option(0.12, "share", "leave, illness, courses and meetings", ge=0, lt=1)
    travel_speed: float = option(50.0, "km/hour", "mean speed on the road", gt=0)
    circuity: float = option(1.3, "ratio", "road distance against the straight line", ge=1)
    return_share: float = option(
        0.5, "share", "part of the recorded travel hours that is the way back", ge=0, lt=1
    )
    default_travel_hours: float = option(
        2.0, "hours", "travel there and back where neither orders nor machines nor an area tell", gt=0
    )
    default_work_hours: float = option(3.0, "hours", "time at the machine where no order tells", gt=0)
    default_work_scv: float = option(
        0.8, "ratio", "squared variation of the time at the machine where no order tells", gt=0
    )
    diagnose_hours: float = option(1.0, "hours", "time at the machine until a part is found missing", gt=0)
    part_order_share: float = option(
        0.6, "share", "failure orders that need a part, where no replacement names its order", ge=0, le=1
    )
    part_missing_share: float = option(
        0.1, "share", "failure orders missing their part, where neither levels nor outcomes tell", ge=0, le=1
    )
    part_known_share: float = option(
        0.0, "share", "missing parts that are known at the call, so that the visit waits for them", ge=0, le=1
    )
    parts_wait_hours: float = option(
        72.0, "hours", "wait for a missing part, where no stock levels tell", gt=0
    )
    emergency_parts: bool = option(
        True, "", "a part missing at a machine comes by emergency delivery where the sites have one"
    )
    not_fixed_share: float = option(
        0.05, "share", "visits after which the machine still fails, where no outcomes tell", ge=0, lt=1
    )
    inspection_months: tuple[int, ...] = option(
        (1, 3, 6, 12), "months", "months after handover in which a machine is inspected"
    )
    inspections_made: float = option(
        0.9, "share", "due inspections that are made, where no work orders tell", ge=0, le=1
    )
    history_months: int = option(24, "months", "latest months of work orders that rates come from", ge=1)
    kin_orders: float = option(50.0, "orders", "weight of all regions' rates beside a region's own", gt=0)
    desk_minutes: float = option(12.0, "minutes", "mean length of a call at the desk", gt=0)
    desk_fix_share: float = option(0.0, "share", "orders the desk solves without a visit", ge=0, lt=1)
    hour_profile: bool = option(True, "", "calls follow the hours of the day of the work orders")
    hire_lead_months: int = option(3, "months", "from the decision to hire to the first day", ge=0)
    hire_cost_share: float = option(
        0.2, "share of annual cost", "cost of finding and starting one engineer", ge=0
    )
    train_months: int = option(6, "months", "time to train for the next skill, on the job", ge=0)
    train_cost_share: float = option(
        0.15, "share of annual cost", "cost of training for the next skill", ge=0
    )
    lend_loss_share: float = option(0.2, "share", "time of a lent engineer lost on the way", ge=0, lt=1)
    lend_cost_share: float = option(
        0.3, "share of wage", "extra cost of a month lent to another region", ge=0
    )
    leave_share_per_year: float = option(0.0, "share/year", "engineers who leave", ge=0, lt=1)
    shortage_cost_share: float = option(
        3.0, "share of wage", "price of a missing engineer: above it promises are broken knowingly", gt=0
    )
    simulate_years: int = option(
        0, "years", "length of the simulation that checks each region's fullest month; 0: none", ge=0, le=1000
    )
    plan_gap: float = option(
        0.01, "share", "cost above the optimum at which the head count search may stop", ge=0
    )
    plan_seconds: float = option(60.0, "s", "longest head count search", gt=0)
    train_loss_share: float = option(
        0.2, "share", "working time lost while an engineer trains for the next skill", ge=0, le=1
    )
    release: bool = option(False, "", "engineers may be let go where that saves")
    release_cost_share: float = option(
        0.4, "share of annual cost", "cost of letting an engineer go: severance and notice", ge=0
    )
    move_lead_months: int = option(
        1, "months", "from the decision to a move to another region for good", ge=0
    )
    move_cost_share: float = option(
        0.15, "share of annual cost", "cost of moving an engineer to another region for good", ge=0
    )
    lend_loss_per_1000_km: float = option(
        0.2,
        "share per 1000 km",
        "further time of a lent engineer lost by distance, where places are known",
        ge=0,
    )
    lend_neighbours: int = option(
        6, "regions", "nearest regions that may lend to a region, where places are known", ge=0
    )
    overtime_share: float = option(
        0.1, "share", "most overtime beside the paid hours of engineers at work in their region", ge=0, le=1
    )
    overtime_cost_share: float = option(1.5, "share of wage", "price of overtime", ge=0)
    squad_people: int = option(0, "people", "flying squad at headquarters' disposal today", ge=0)
    squad_most: int = option(0, "people", "people that the flying squad may grow to where that saves", ge=0)
    squad_loss_share: float = option(0.25, "share", "time of the flying squad lost on the way", ge=0, lt=1)
    squad_cost_share: float = option(
        0.3, "share of wage", "extra cost of the flying squad, paid like the highest skill", ge=0
    )
    inspection_shift: bool = option(
        True, "", "inspections may be made a month earlier or later where that saves people"
    )
    inspection_shift_cost_share: float = option(
        0.05, "share of wage", "price of moving an inspection, as a share of the wage of its hours", ge=0
    )
    plan_alternatives: bool = option(
        True, "", "tell what the head count plan would cost without hiring and without training"
    )
    simulate_orders: int = option(
        30_000,
        "orders",
        "simulated orders of each region's fullest month, where simulate_years is 0; 0: no simulation",
        ge=0,
        le=2_000_000,
    )
    search_by_simulation: Literal["doubtful", "all", "none"] = option(
        "doubtful",
        "",
        "region-months whose number of engineers is searched by simulation; doubtful: day shifts, few "
        "engineers, and where the formulas are within their error of a promise",
    )
    recorded_hours: Literal["clock", "standard"] = option(
        "clock",
        "",
        "work_orders.work_hours are those of the clock, so that a slow engineer's count for less work, or "
        "are already those of a standard engineer",
    )
    desk_fix_by_priority: tuple[float, ...] = option(
        (), "share", "orders of P1 to P4 that the desk solves without a visit; empty: desk_fix_share for all"
    )
    desk_patience_minutes: float = option(
        0.0, "minutes", "mean time after which a waiting caller hangs up; 0: nobody does", ge=0
    )
    desk_hours: tuple[int, ...] = option((0, 24), "hour of the day", "start and end of the desk's day")
    desk_days_a_week: int = option(7, "days", "days on which the desk answers, from Monday", ge=1, le=7)
    desk_shift_hours: tuple[int, ...] = option((8,), "hours", "lengths of a shift at the desk")
    desk_shift_starts: tuple[int, ...] = option(
        (), "hour of the day", "hours at which a shift at the desk may begin; empty: any"
    )
    desk_days_on: int = option(5, "days/week", "working days of a person at the desk", ge=1, le=7)
    shift_start: int = option(0, "hour of the day", "start of the engineers' shift", ge=0, le=23)
    shift_end: int = option(
        24, "hour of the day", "end of the shift; not after the start: on the next day", ge=1, le=24
    )
    work_days: int = option(7, "days/week", "days with a shift, from Monday", ge=1, le=7)
    on_call_people: int = option(
        -1, "people", "engineers of a region who can be called out beyond the shift; -1: all", ge=-1
    )
    called_out: int = option(
        2, "classes", "urgent classes, from P1, that are served beyond the shift", ge=0, le=4
    )
    reach_engineers: int = option(
        50, "people", "most engineers on duty in a region for the sake of distance alone", ge=1
    )
    stage_weights: tuple[float, ...] = option(
        (1.0, 1.0, 1.0, 1.0),
        "ratio",
        "price of missing engineers by market stage: mature, potential, developing, secondary",
    )
