"""DOOR grade_parts: lead time x value, ABC, regularity, product tier -> who plans a part, and its promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.config import Thresholds, option_rows
from spareplan.errors import problem_in_argument
from spareplan.maths.intermittency import demand_class
from spareplan.results import DemandForecast, PartGrades, assumptions_frame
from spareplan.tables.part_facts import annual_demand, history_patterns, part_tiers

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

COMPARED = ("planner", "lead_time_grade", "value_grade", "abc", "demand_class", "target_fill_rate")
_ROUNDING = 1e-9
_COLUMNS = [
    "part_id", "lead_time_grade", "value_grade", "abc", "demand_class", "tier", "criticality", "planner",
    "annual_value", "target_fill_rate", "target_wait_days", "window_days", "target_in_window", "adi", "cv2",
    "reason",
]  # fmt: skip


def grade_parts(data: Dataset, demand: DemandForecast, thresholds: Thresholds | None = None) -> PartGrades:
    """Grade every part: who plans it, and which service it is promised.

    A part is *long* above `long_lead_time_days`, *high* above the unit cost that splits the annual value:
    going up from the cheapest part, the split is the last unit cost at which the parts up to it still hold
    no more than 1 - `high_value_share` of all annual value, so parts of one price are never parted. Product
    strategy comes first: a part takes the best tier of the products it fits, and tier 1 never goes to a third
    party.

    Parameters
    ----------
    data : Dataset
        Uses parts, fitment, products, targets, and the history in replacements and demand.
    demand : DemandForecast
        Expected demand, for the annual value.
    thresholds : Thresholds, optional
        None: the defaults.

    Returns
    -------
    PartGrades
        A row per part, sorted by part_id; annual_value in money per year, adi in months.

    Raises
    ------
    DataError
        The forecast has parts that are not in `parts`.
    """
    limits = thresholds or Thresholds()
    rows: list[dict[str, Any]] = list(option_rows("grades", limits))
    table = data.parts[["part_id", "unit_cost", "lead_time_days", "criticality", "source"]]
    table = table.sort_values("part_id", kind="stable").reset_index(drop=True)

    annual = annual_demand(demand.table, table["part_id"])
    table["annual_value"] = annual.to_numpy() * table["unit_cost"].to_numpy(dtype=float)
    split, split_row = _value_split(table, limits)
    table["lead_time_grade"] = np.where(table["lead_time_days"] > limits.long_lead_time_days, "long", "short")
    table["value_grade"] = np.where(table["unit_cost"] > split, "high", "low")
    table["abc"] = abc_classes(table["annual_value"], limits.abc_a_share, limits.abc_b_share)

    last_day = demand.as_of if demand.as_of.year > 1970 else data.as_of()
    patterns = history_patterns(data, last_day).reindex(table["part_id"])
    table["adi"] = patterns["adi"].fillna(np.inf).to_numpy()
    table["cv2"] = patterns["cv2"].fillna(0.0).to_numpy()
    table["demand_class"] = demand_class(table["adi"], table["cv2"], limits.adi, limits.cv2)

    tier = part_tiers(data).reindex(table["part_id"]).to_numpy(dtype=float)
    table["tier"] = np.where(np.isnan(tier), limits.tier_unknown, tier).astype("int64")
    unsaid = table["criticality"].isna().to_numpy()
    table["criticality"] = table["criticality"].fillna(limits.criticality_unknown)
    table["planner"] = _planner(table, limits)
    table, promised = _with_targets(table, data.targets, limits)
    table["reason"] = _reasons(table, limits, split, np.isnan(tier))

    rows += [split_row, *promised, *_implied(table, np.isnan(tier), unsaid, limits)]
    rows.append(
        _row(
            "history_until",
            f"{last_day:%Y-%m-%d}",
            "",
            "data: replacements, demand",
            "last day of the history behind the demand classes",
        )
    )
    return PartGrades(table[_COLUMNS], assumptions_frame(rows), _lines(table, split))


def compare_grades(
    data: Dataset, demand: DemandForecast, scenarios: Mapping[str, Thresholds]
) -> pd.DataFrame:
    """What moves when a threshold moves.

    Parameters
    ----------
    data : Dataset
    demand : DemandForecast
    scenarios : mapping of name to Thresholds
        At least two; the first is what the others are compared with.

    Returns
    -------
    DataFrame
        A row per part and grade that differs: name, column (planner, lead_time_grade, ...), part_id, from,
        to, annual_value [money per year]; `count_moves` adds them up.

    Raises
    ------
    DataError
        Fewer than two scenarios.
    """
    if len(scenarios) < 2:
        raise problem_in_argument(
            "compare_grades",
            "scenarios",
            list(scenarios),
            "has one scenario or none",
            "give a first one to compare with, and another",
        )
    tables = {name: grade_parts(data, demand, limits).table for name, limits in scenarios.items()}
    first, *others = tables
    moves = [
        _moved(tables[first], tables[name], column).assign(name=name, column=column)
        for name in others
        for column in COMPARED
    ]
    wanted = ["name", "column", "part_id", "from", "to", "annual_value"]
    return pd.concat(moves, ignore_index=True)[wanted]


def count_moves(moves: pd.DataFrame) -> pd.DataFrame:
    """Add up the output of `compare_grades`.

    Parameters
    ----------
    moves : DataFrame
        name, column, part_id, from, to, annual_value.

    Returns
    -------
    DataFrame
        name, column, from, to, parts, annual_value [money per year]; most money first within a scenario.
    """
    groups = moves.groupby(["name", "column", "from", "to"], sort=True)
    counted = groups.agg(parts=("part_id", "size"), annual_value=("annual_value", "sum")).reset_index()
    order = counted.sort_values(["name", "annual_value"], ascending=[True, False], kind="stable")
    return order.reset_index(drop=True)


def abc_classes(value: pd.Series, a_share: float = 0.80, b_share: float = 0.95) -> np.ndarray:
    """Classes A, B, C by cumulative value, dearest first; equal values keep their order.

    The part that crosses a share still belongs to the class before it; parts without value are C.

    Parameters
    ----------
    value : Series, shape (n,)
        Annual value. [money per year]
    a_share, b_share : float
        Cumulative shares that close A and B.

    Returns
    -------
    ndarray of str, shape (n,)
    """
    money = value.to_numpy(dtype=float)
    order = np.argsort(-money, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(money[order])[:-1]]) if len(money) else money
    limit = money.sum() * (1 - _ROUNDING)
    classes = np.empty(len(money), dtype="<U1")
    classes[order] = np.select([before < a_share * limit, before < b_share * limit], ["A", "B"], default="C")
    return np.where(money > 0, classes, "C")


def _value_split(table: pd.DataFrame, limits: Thresholds) -> tuple[float, dict[str, Any]]:
    """Unit cost above which parts are high value, and the assumption that says so."""
    meaning = "unit cost above which a part is high value"
    if limits.high_unit_cost is not None:
        fixed = limits.high_unit_cost
        return fixed, _row("value_split", fixed, "money", "set by the user", meaning)
    weight, origin = table["annual_value"], "estimated from annual value"
    if not weight.sum() > 0:
        weight, origin = table["unit_cost"], "estimated from one piece of each part: no demand is expected"
    by_cost = weight.groupby(table["unit_cost"].astype(float)).sum().sort_index()
    cheap = by_cost.index[by_cost.cumsum() <= (1 - limits.high_value_share + _ROUNDING) * by_cost.sum()]
    split = float(cheap[-1]) if len(cheap) else 0.0
    return split, _row("value_split", split, "money", origin, meaning)


def _planner(table: pd.DataFrame, limits: Thresholds) -> np.ndarray:
    long, high = table["lead_time_grade"] == "long", table["value_grade"] == "high"
    outside = table["source"].isin(["buy", "import"])
    contracted = ~long & ~high & outside & (table["tier"] > 1) & limits.third_party
    return np.select(
        [long & high, high, contracted],
        ["hq", "hq_routine_region_emergency", "third_party"],
        default="region",
    )


def _with_targets(
    table: pd.DataFrame, targets: pd.DataFrame, limits: Thresholds
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Promise of each part's tier: from the targets table, else the fill rate of the thresholds."""
    wishes = ["target_fill_rate", "target_wait_days", "window_days", "target_in_window"]
    given = targets.set_index("tier")[wishes].dropna(how="all")
    given.index = given.index.astype("int64")
    own = given.reindex(table["tier"]).to_numpy(dtype=float)
    defaults = {tier: getattr(limits, f"fill_rate_tier_{tier}") for tier in (1, 2, 3)}
    unpromised = np.isnan(own[:, [0, 1, 3]]).all(axis=1)
    own[:, 0] = np.where(unpromised, table["tier"].map(defaults).to_numpy(dtype=float), own[:, 0])
    if limits.fill_rate_vital is not None:
        lifted = (table["criticality"] == "vital") & ~np.isnan(own[:, 0])
        own[:, 0] = np.where(lifted, np.maximum(own[:, 0], limits.fill_rate_vital), own[:, 0])
    table[wishes] = own
    rows = []
    for tier in sorted(table["tier"].unique()):
        used = (
            given.index.isin([tier]).any()
            and given.loc[tier, ["target_fill_rate", "target_wait_days", "target_in_window"]].notna().any()
        )
        said = (
            ", ".join(f"{name} {value:g}" for name, value in given.loc[tier].dropna().items())
            if used
            else f"target_fill_rate {defaults[tier]:g}"
        )
        origin = "data: targets" if used else f"default: thresholds.fill_rate_tier_{tier}"
        rows.append(_row(f"promise_tier_{tier}", said, "", origin, "service promised to parts of this tier"))
    return table, rows


def _implied(
    table: pd.DataFrame, no_product: np.ndarray, no_criticality: np.ndarray, limits: Thresholds
) -> list[dict[str, Any]]:
    """What missing tables and columns came to mean."""
    rows = []
    if no_product.any():
        rows.append(
            _row(
                "parts_without_product",
                int(no_product.sum()),
                "parts",
                "data: fitment, products",
                f"fit no known product: planned as tier {limits.tier_unknown}",
            )
        )
    if no_criticality.any():
        rows.append(
            _row(
                "parts_without_criticality",
                int(no_criticality.sum()),
                "parts",
                "data: parts.criticality",
                f"not given: {limits.criticality_unknown}",
            )
        )
    unsourced = int(table["source"].isna().sum())
    if unsourced and limits.third_party:
        rows.append(
            _row(
                "parts_without_source",
                unsourced,
                "parts",
                "data: parts.source",
                "not given: never handed to a third party",
            )
        )
    return rows


def _reasons(table: pd.DataFrame, limits: Thresholds, split: float, no_product: np.ndarray) -> pd.Series:
    """One sentence per part, from its own numbers."""
    lead = table["lead_time_days"].map("{:g} d".format)
    cost = table["unit_cost"].map("{:g}".format)
    long, high = table["lead_time_grade"] == "long", table["value_grade"] == "high"
    tier: pd.Series = table["tier"].astype(str) + np.where(no_product, " (fits no known product)", "")
    spoken = {
        "hq": "HQ plans centrally",
        "hq_routine_region_emergency": "HQ plans routine supply, the region emergencies",
        "region": "the region plans",
        "third_party": "bought outside: a third party may supply",
    }
    compared: pd.Series = lead + np.where(long, " > ", " <= ")
    compared += f"{limits.long_lead_time_days:g} d; unit cost "
    compared += cost + np.where(high, " > ", " <= ") + f"{split:g}"
    return "lead time " + compared + "; tier " + tier + ": " + table["planner"].map(spoken)


def _moved(first: pd.DataFrame, other: pd.DataFrame, column: str) -> pd.DataFrame:
    before, after = first[column], other[column]
    differs = (before != after) & ~(before.isna() & after.isna())
    return pd.DataFrame(
        {
            "part_id": first.loc[differs, "part_id"],
            "from": before[differs].astype(str),
            "to": after[differs].astype(str),
            "annual_value": other.loc[differs, "annual_value"],
        }
    )


def _lines(table: pd.DataFrame, split: float) -> tuple[str, ...]:
    total = table["annual_value"].sum()
    by_planner = table.groupby("planner")["annual_value"].agg(["size", "sum"])
    said = [
        f"{name}: {count} parts, {money:,.0f} a year"
        for name, count, money in by_planner.itertuples(name=None)
    ]
    classes = table["demand_class"].value_counts().sort_index()
    return (
        f"{len(table)} parts worth {total:,.0f} a year; high value above {split:,.0f} a piece",
        "; ".join(said),
        "demand: " + ", ".join(f"{count} {name}" for name, count in classes.items()),
    )


def _row(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
    return {
        "stage": "grades",
        "name": name,
        "value": value,
        "unit": unit,
        "origin": origin,
        "meaning": meaning,
    }
