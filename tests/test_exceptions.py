"""What a planner must look at because of what a demand history does."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spareplan.exceptions import EXCEPTION_COLUMNS, find_exceptions
from spareplan.forecast.demand import forecast_demand
from spareplan.language import word
from spareplan.results import DemandForecast, Headcount, Orders, StockLevels, assumptions_frame
from spareplan.tables.dataset import Dataset
from tests.small_data import levels

MONTHS = pd.date_range("2022-01-01", periods=48, freq="MS")
STEADY = [1.0, 2.0, 0.0, 1.0] * 12
PATTERNS = {
    "steady": STEADY,
    "dead": [*STEADY[:24], *[0.0] * 24],
    "project": [*STEADY[:44], 120.0, *STEADY[45:]],
    "new": [np.nan] * 45 + [2.0, 1.0, 2.0],
    "back": [2.0, -2.0, 3.0, -4.0] * 12,
}
KINDS = {"dead": "dead", "project": "one-off", "new": "new part", "back": "returned pieces"}


def dataset(patterns: dict[str, Any] = PATTERNS, **tables: Any) -> Dataset:
    rows = [
        (part, "HQ", month, pieces)
        for part, demand in patterns.items()
        for month, pieces in zip(MONTHS, demand)
        if np.isfinite(pieces)
    ]
    # Twenty others show what is usual.
    rng = np.random.default_rng(0)
    rows += [(f"K{k:02d}", "HQ", month, float(rng.poisson(1))) for k in range(20) for month in MONTHS]
    demand = pd.DataFrame(rows, columns=["part_id", "site_id", "month", "quantity"])
    names = sorted(demand["part_id"].unique())
    parts = pd.DataFrame({"part_id": names, "name": names, "unit_cost": 100.0, "lead_time_days": 30.0})
    sites = pd.DataFrame({"site_id": ["HQ"], "name": ["hq"], "parent_id": [None], "lead_time_days": [0.0]})
    return Dataset.from_frames({"parts": parts, "sites": sites, "demand": demand} | tables)


def level_of(parts: list[str], base_stock: float = 5.0) -> StockLevels:
    return levels(
        [
            {
                "part_id": part,
                "site_id": "HQ",
                "base_stock": base_stock,
                "demand_per_day": 0.03,
                "mean_wait_days": 1.0,
                "value": base_stock * 100,
            }
            for part in parts
        ]
    )


def stock_of(on_hand: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame({"part_id": list(on_hand), "site_id": "HQ", "on_hand": list(on_hand.values())})


def exceptions(data: Dataset, demand: DemandForecast, base_stock: float = 5.0) -> pd.DataFrame:
    orders = Orders(
        pd.DataFrame(),
        assumptions_frame([]),
        projection=pd.DataFrame(columns=["part_id", "site_id", "week", "backorders"]),
    )
    parts = data.parts["part_id"].tolist()
    return find_exceptions(data, demand, level_of(parts, base_stock), None, orders, None, demand.as_of)


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    data = dataset(stock=stock_of(dict.fromkeys(PATTERNS, 5.0)))
    return exceptions(data, forecast_demand(data))


@pytest.mark.parametrize(("part", "kind"), KINDS.items())
def test_each_odd_history_is_told_with_what_to_do(found: pd.DataFrame, part: str, kind: str) -> None:
    row = found[(found["kind"] == kind) & (found["part_id"] == part)]
    assert len(row) == 1
    assert row["message"].iloc[0].startswith(f"{part} at HQ: ")
    assert row["money"].iloc[0] > 0 and len(row["action"].iloc[0]) > 20


@pytest.mark.parametrize("kind", [*KINDS.values(), "dying"])
def test_each_kind_has_a_word_in_both_languages(kind: str) -> None:
    assert word(kind, "en") != word(kind, "zh")


def test_steady_histories_raise_nothing(found: pd.DataFrame) -> None:
    usual = found[found["part_id"].str.startswith("K") | (found["part_id"] == "steady")]
    assert usual[usual["kind"].isin([*KINDS.values(), "dying"])].empty


def test_exceptions_are_ranked_by_money(found: pd.DataFrame) -> None:
    assert found.columns.tolist() == EXCEPTION_COLUMNS
    assert found["rank"].tolist() == list(range(1, len(found) + 1))
    assert found["money"].is_monotonic_decreasing


def test_a_dead_part_is_told_once_and_costs_its_stock_or_its_level() -> None:
    for on_hand, base_stock, pieces in ((40.0, 5.0, 40.0), (0.0, 5.0, 5.0)):
        data = dataset(stock=stock_of({"dead": on_hand}))
        demand = forecast_demand(data)
        out = exceptions(data, demand, base_stock)
        rows = out[out["part_id"] == "dead"]
        assert rows["kind"].tolist().count("dead") == 1 and "excess" not in set(rows["kind"])
        left = demand.table.query("part_id == 'dead'")["mean"].sum()
        money = rows.loc[rows["kind"] == "dead", "money"].iloc[0]
        assert money == pytest.approx(100 * max(on_hand - left, base_stock if not on_hand else 0.0))
        assert pieces * 100 >= money > 0


def test_a_dying_part_with_more_stock_than_it_will_need_is_told() -> None:
    fading = [9.0, 8, 10, 9] * 9 + [2.0, 1, 2, 1] * 3
    data = dataset({"fading": fading}, stock=stock_of({"fading": 60.0}))
    demand = forecast_demand(data)
    out = exceptions(data, demand).query("part_id == 'fading'")
    left = demand.table.query("part_id == 'fading'")["mean"].sum()
    row = out[out["kind"] == "dying"]
    assert len(row) == 1 and "excess" not in set(out["kind"])
    assert row["money"].iloc[0] == pytest.approx(100 * (60 - left))
    assert "times as much as before" in row["message"].iloc[0] and "stop buying" in row["action"].iloc[0]
    none = exceptions(data.with_tables(stock=stock_of({"fading": 1.0})), demand)
    assert "dying" not in set(none["kind"])


def test_a_dead_part_without_level_and_stock_is_nobodys_worry() -> None:
    data = dataset()
    assert "dead" not in set(exceptions(data, forecast_demand(data), base_stock=0.0)["kind"])


def test_a_named_project_is_not_told_again_and_leaves_the_forecast() -> None:
    data = dataset()
    before = forecast_demand(data)
    named = data.demand.assign(one_off=np.where(data.demand["quantity"] == 120.0, 119.0, 0.0))
    told = data.with_tables(demand=named)
    after = forecast_demand(told)
    assert "one-off" not in set(exceptions(told, after)["kind"])

    def yearly(forecast: DemandForecast) -> float:
        return float(forecast.table.query("part_id == 'project'")["mean"].sum())

    steady = float(after.table.query("part_id == 'steady'")["mean"].sum())
    assert yearly(after) == pytest.approx(steady, rel=0.1)
    assert yearly(before) > 1.3 * yearly(after)
    assert (
        after.table.query("part_id == 'project'")["reason"].str.contains("119 one-off pieces left out").all()
    )
    note = after.assumptions.set_index("name").loc["one-off pieces left out"]
    assert note["value"] == "119" and note["origin"] == "data: demand.one_off"


def test_an_old_project_is_told_no_more() -> None:
    old = [*STEADY[:20], 120.0, *STEADY[21:]]
    data = dataset({"project": old})
    demand = forecast_demand(data)
    assert demand.series.set_index("part_id").loc["project", "outliers"] == 1
    assert "one-off" not in set(exceptions(data, demand)["kind"])


def test_stock_of_a_superseded_part_is_to_be_used_up_first() -> None:
    data = dataset({"old": STEADY}, stock=stock_of({"old": 30.0}))
    parts = data.parts.assign(superseded_by=np.where(data.parts["part_id"] == "old", "K00", None))
    data = data.with_tables(parts=parts[["part_id", "name", "unit_cost", "lead_time_days", "superseded_by"]])
    demand = forecast_demand(data)
    assert "old" not in set(demand.table["part_id"])
    out = exceptions(data, demand, base_stock=0.0).query("part_id == 'old'")
    assert out["kind"].tolist() == ["excess"] and "before buying K00" in out["action"].iloc[0]


def test_a_successor_is_no_surprise_when_its_predecessor_was_taken() -> None:
    busy = [12.0, 15.0, 9.0, 14.0] * 12
    data = dataset({"old": busy})
    parts = data.parts[["part_id", "name", "unit_cost", "lead_time_days"]]
    parts = pd.concat([parts, parts[parts["part_id"] == "old"].assign(part_id="fresh")], ignore_index=True)
    parts["superseded_by"] = np.where(parts["part_id"] == "old", "fresh", None)
    data = data.with_tables(parts=parts)
    demand = forecast_demand(data)
    assert demand.table.query("part_id == 'fresh'")["mean"].sum() > 100
    out = exceptions(data, demand)
    assert out[out["part_id"].isin(["old", "fresh"]) & (out["kind"] == "surprise")].empty


def test_histories_beside_many_machines_say_nothing_of_the_part() -> None:
    """A dying rest of unknown machines is no death where machines ask for the part."""
    data = dataset(stock=stock_of({"dead": 5.0}))
    demand = forecast_demand(data)
    table = demand.table.assign(mean=demand.table["mean"] + 10.0)
    assert "dead" not in set(exceptions(data, dataclasses.replace(demand, table=table))["kind"])


def short_crew(**frames: pd.DataFrame) -> Headcount:
    """Two people short in the East in March, one in January; the West has enough."""
    months = ["2026-01-01"] * 2 + ["2026-03-01"] * 4
    table = pd.DataFrame(
        {
            "region_id": ["East"] * 4 + ["West"] * 2,
            "month": pd.to_datetime(months),
            "skill": ["junior", "expert"] * 3,
            "required": [2.0, 2, 3, 2, 1, 1],
            "headcount": [2.0, 1, 2, 1, 1, 1],
            "hire": [0.0, 0, 1, 0, 0, 0],
            "train": 0.0,
            "transfer_in": [0.0, 0.4, 0, 0, 0, 0],
        }
    )
    return Headcount(table, assumptions_frame([]), **frames)


def told_of(crew: Headcount) -> pd.DataFrame:
    data = dataset({"steady": STEADY})
    demand = forecast_demand(data)
    orders = Orders(
        pd.DataFrame(),
        assumptions_frame([]),
        projection=pd.DataFrame(columns=["part_id", "site_id", "week", "backorders"]),
    )
    found = find_exceptions(data, demand, level_of(["steady"], 0.0), None, orders, crew, demand.as_of)
    return found[found["kind"] == "engineers"]


def test_missing_engineers_are_told_in_money_and_not_as_days_of_machines() -> None:
    missing = {"region_id": ["East", "West"], "people": [0.5, 0.1], "cost": [9_000.0, 50.0]}
    done = {"region_id": ["East", "East"], "people": [1.0, 0.4], "cost": [19_000.0, 700.0]}
    row = told_of(short_crew(shortages=pd.DataFrame(missing), moves=pd.DataFrame(done))).squeeze()
    assert row["region_id"] == "East"
    assert row["money"] == 9_000 + 19_000 + 700 and row["machine_days"] == 0.0
    assert "5 engineers are needed in 2026-03" in row["message"] and "3 are there" in row["message"]
    assert "0.5 person-months stay missing, priced at 9,000" in row["message"]
    assert row["action"] == "hire 1, borrow 0.4 person-months"


def test_engineers_without_priced_moves_are_told_all_the_same() -> None:
    row = told_of(short_crew()).squeeze()
    assert (row["region_id"], row["money"]) == ("East", 0.0)
    assert "stay missing" not in row["message"]
