"""Odd demand histories and successors through the whole forecast and the plan, on small datasets."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spareplan.classify import grade_parts
from spareplan.config import PlanConfig
from spareplan.errors import DataError
from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.last_buy import last_buys
from spareplan.plan import make_plan
from spareplan.results import DemandForecast
from spareplan.tables.dataset import Dataset
from tests.forecast.panels_made import lumpy

MONTHS = pd.date_range("2022-01-01", periods=48, freq="MS")
STEADY = [2.0, 0.0, 1.0, 3.0] * 12
NUMBERS = ["mean", "variance", "vmr", "rate_cv2", "q0.5", "q0.8", "q0.9", "q0.95", "q0.99", "from_history"]


def dataset(
    series: dict[Any, Any], others: int = 20, after: dict[str, str] | None = None, **tables: Any
) -> Dataset:
    """Series by part, or by part and site, that all begin in 2022; NaN leaves a row out."""
    rows = [
        (*(name if isinstance(name, tuple) else (name, "HQ")), month, pieces)
        for name, line in series.items()
        for month, pieces in zip(MONTHS, line)
        if np.isfinite(pieces)
    ]
    kin = lumpy(others, 48, 1)
    rows += [
        (f"K{at:02d}", "HQ", month, pieces) for at in range(others) for month, pieces in zip(MONTHS, kin[at])
    ]
    demand = pd.DataFrame(rows, columns=["part_id", "site_id", "month", "quantity"])
    after = after or {}
    names = sorted({*demand["part_id"], *after, *after.values()})
    parts = pd.DataFrame({"part_id": names, "name": names, "unit_cost": 50.0, "lead_time_days": 30.0})
    parts["superseded_by"] = [after.get(name) for name in names]
    sites = pd.DataFrame(
        {
            "site_id": ["HQ", "上海", "010"],
            "name": ["hq", "上海库", "beijing"],
            "region_id": [None, "华东", "华北"],
            "parent_id": [None, "HQ", "HQ"],
            "lead_time_days": [0.0, 3.0, 3.0],
        }
    )
    regions = pd.DataFrame({"region_id": ["华东", "华北"], "name": ["East", "North"]})
    given = {"parts": parts, "sites": sites, "regions": regions, "demand": demand} | tables
    return Dataset.from_frames(given)


def checked(data: Dataset, **arguments: Any) -> DemandForecast:
    """Forecast, with what holds for every forecast asserted."""
    out = forecast_demand(data, **arguments)
    values = out.table[NUMBERS].to_numpy(float)
    assert np.isfinite(values).all() and (values >= 0).all()
    assert (np.diff(out.table[NUMBERS[4:9]].to_numpy(float), axis=1) >= 0).all()
    assert out.table["reason"].str.len().gt(10).all()
    pairs = out.table[["part_id", "site_id"]].drop_duplicates()
    assert len(out.table) == len(pairs) * arguments.get("months", 12)
    lead = out.lead_time_demand(90.0)
    assert np.isfinite(lead[["mean", "variance"]].to_numpy(float)).all()
    return out


def yearly(out: DemandForecast, part: str, site: str = "HQ") -> float:
    rows = (out.table["part_id"] == part) & (out.table["site_id"] == site)
    return float(out.table.loc[rows, "mean"].sum())


# odd histories


ODD: dict[str, list[float]] = {
    "nothing": [0.0] * 48,
    "one month": [np.nan] * 47 + [3.0],
    "one month, nothing": [np.nan] * 47 + [0.0],
    "two months": [np.nan] * 46 + [3.0, 1.0],
    "only returns": [-2.0] * 48,
    "more returns than demand": [1.0, -3.0] * 24,
    "once, long ago": [4.0] + [0.0] * 47,
    "huge": [1e7] * 48,
    "fractions": [0.25, 1.5] * 24,
    "stopped": STEADY[:24] + [0.0] * 24,
    "project": [*STEADY[:40], 900.0, *STEADY[41:]],
    "gaps": [value if at % 5 else np.nan for at, value in enumerate(STEADY)],
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("others", [0, 15])
def test_an_odd_history_gets_a_finite_forecast_alone_and_among_others(name: str, others: int) -> None:
    out = checked(dataset({"A": ODD[name]}, others))
    assert yearly(out, "A") <= 12 * max(np.nanmax(ODD[name]), 5.0)


def test_all_odd_histories_at_once_are_described_and_forecast() -> None:
    out = checked(dataset({f"A{at:02d}": line for at, line in enumerate(ODD.values())}))
    series = out.series.set_index("part_id")
    state = dict(zip(ODD, series.loc[[f"A{at:02d}" for at in range(len(ODD))], "state"]))
    assert state["nothing"] == state["only returns"] == state["one month, nothing"] == "never"
    assert state["one month"] == state["two months"] == "new"
    assert state["stopped"] == "dead" and state["gaps"] == "steady"
    assert series.loc["A10", "outliers"] == 1 and series["outliers"].sum() <= 2
    assert len(series) == out.table[["part_id", "site_id"]].drop_duplicates().shape[0]


def test_what_a_series_does_stands_in_the_reason_and_the_assumptions() -> None:
    out = checked(dataset({"A": ODD["stopped"], "B": ODD["project"], "C": ODD["two months"], "D": STEADY}))
    reason = out.table.groupby("part_id")["reason"].first()
    assert "(dead: silent for 24)" in reason["A"]
    assert "900 in 2025-05 look like a one-off project" in reason["B"]
    assert "(new)" in reason["C"]
    assert reason["D"].startswith("72 pieces in 48 months of history, ")
    said = out.assumptions.set_index("name")["value"]
    states = out.series["state"].value_counts()
    assert said["states of the series"].startswith("1 new, ")
    assert f"{states['dead']} dead" in said["states of the series"]
    assert said["demands that look like one-off projects"].startswith("1 of 900")


def test_a_flagged_project_stays_in_the_forecast_until_the_planner_names_it() -> None:
    data = dataset({"A": ODD["project"], "B": STEADY})
    flagged = checked(data)
    one_off = np.where(data.demand["quantity"] == 900.0, 898.0, 0.0)
    named = checked(data.with_tables(demand=data.demand.assign(one_off=one_off)))
    assert yearly(flagged, "A") > 2 * yearly(named, "A")
    assert yearly(named, "A") == pytest.approx(yearly(named, "B"), rel=0.15)
    assert named.series.set_index("part_id").loc["A", "outliers"] == 0


def test_no_one_off_pieces_are_as_no_such_column() -> None:
    data = dataset({"A": STEADY})
    zero = data.with_tables(demand=data.demand.assign(one_off=0.0))
    pd.testing.assert_frame_equal(checked(data).table, checked(zero).table)


def test_a_history_of_only_unknown_months_is_refused_or_forecast() -> None:
    with pytest.raises(DataError, match="quantity"):
        data = dataset({"A": STEADY})
        data.with_tables(demand=data.demand.assign(quantity=np.nan))


def test_months_in_any_row_order_and_with_gaps_give_the_same_forecast() -> None:
    data = dataset({("A", "上海"): STEADY, ("A", "010"): STEADY[::-1], ("00123", "010"): ODD["gaps"]})
    mixed = data.with_tables(demand=data.demand.sample(frac=1.0, random_state=1))
    pd.testing.assert_frame_equal(checked(data).table, checked(mixed).table)
    zero = data.demand[data.demand["quantity"] != 0]
    first = data.demand.sort_values("month").drop_duplicates(["part_id", "site_id"])
    last = data.demand[data.demand["month"] == MONTHS[-1]]
    thin = pd.concat([zero, first, last]).drop_duplicates(["part_id", "site_id", "month"])
    pd.testing.assert_frame_equal(checked(data).table, checked(data.with_tables(demand=thin)).table)


def test_chinese_sites_and_numbers_with_zeros_stay_apart() -> None:
    out = checked(
        dataset({("00123", "上海"): STEADY, ("123", "上海"): [0.0] * 48, ("主油缸", "010"): STEADY})
    )
    assert {"00123", "123", "主油缸"} <= set(out.table["part_id"])
    assert yearly(out, "00123", "上海") > 5 * yearly(out, "123", "上海")


@pytest.mark.parametrize("months", [1, 3, 24, 60])
def test_every_horizon_is_forecast(months: int) -> None:
    out = checked(dataset({"A": STEADY}), months=months)
    assert out.table["month"].nunique() == months
    assert out.table["month"].min() == pd.Timestamp("2026-01-01")
    assert yearly(out, "A") == pytest.approx(1.5 * months, rel=0.35)


@pytest.mark.parametrize("as_of", ["2023-12-31", "2022-02-28", "2024-01-15"])
def test_later_months_are_not_looked_at(as_of: str) -> None:
    data = dataset({"A": STEADY})
    seen = data.demand[data.demand["month"] + pd.offsets.MonthEnd(0) <= pd.Timestamp(as_of)]
    later, never = checked(data, as_of=as_of), checked(data.with_tables(demand=seen), as_of=as_of)
    columns = ["part_id", "site_id", "month", "mean", "variance", "reason"]
    pd.testing.assert_frame_equal(later.table[columns], never.table[columns])


def test_half_a_month_does_not_pass_for_a_weak_one() -> None:
    data = dataset({"A": [30.0] * 48})
    half = data.demand.assign(
        quantity=np.where(data.demand["month"] == MONTHS[-1], 0.0, data.demand["quantity"])
    )
    out = checked(data.with_tables(demand=half), as_of="2025-12-03")
    assert yearly(out, "A") == pytest.approx(360, rel=0.1)


def test_a_day_before_the_first_month_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        forecast_demand(dataset({"A": STEADY}), as_of="2020-01-31")
    assert "no demand is known" in str(caught.value) and "as_of" in str(caught.value)


# successors


def test_a_successor_without_history_gets_the_forecast_of_its_predecessor() -> None:
    alone = checked(dataset({"old": STEADY}))
    moved = checked(dataset({"old": STEADY}, after={"old": "new"}))
    assert "old" not in set(moved.table["part_id"]) and "old" not in set(moved.series["part_id"])
    columns = [*NUMBERS, "reason"]
    pd.testing.assert_frame_equal(
        moved.table.query("part_id == 'new'")[columns].reset_index(drop=True),
        alone.table.query("part_id == 'old'")[columns].reset_index(drop=True),
    )


@pytest.mark.parametrize("length", [2, 3, 6])
def test_a_chain_hands_its_whole_history_to_its_end(length: int) -> None:
    names = [f"v{at}" for at in range(length)]
    cuts = np.linspace(0, 48, length + 1).astype(int)
    pieces = {
        name: [STEADY[at] if low <= at < high else np.nan for at in range(48)]
        for name, low, high in zip(names, cuts, cuts[1:])
    }
    after = dict(itertools.pairwise(names))
    chained = checked(dataset(pieces, after=after))
    whole = checked(dataset({names[-1]: STEADY}))
    pd.testing.assert_frame_equal(chained.table, whole.table)


def test_numbers_that_ran_side_by_side_add_up_at_every_site() -> None:
    half = [value / 2 for value in STEADY]
    series = {(name, site): half for name in ("old", "new") for site in ("上海", "010")}
    both = checked(dataset(series, after={"old": "new"}))
    whole = checked(dataset({("new", site): STEADY for site in ("上海", "010")}))
    np.testing.assert_allclose(both.table["mean"], whole.table["mean"], rtol=1e-9)


def test_two_old_numbers_may_lead_to_one() -> None:
    half = [value / 2 for value in STEADY]
    out = checked(dataset({"a": half, "b": half}, after={"a": "new", "b": "new"}))
    assert yearly(out, "new") == pytest.approx(yearly(checked(dataset({"new": STEADY})), "new"), rel=1e-9)


def test_the_assumptions_and_grades_follow_the_successor() -> None:
    data = dataset({"old": STEADY}, after={"old": "new"})
    demand = checked(data)
    grades = grade_parts(data, demand).table.set_index("part_id")
    plain = dataset({"old": STEADY})
    before = grade_parts(plain, checked(plain)).table.set_index("part_id")
    assert grades.loc["new", "demand_class"] == before.loc["old", "demand_class"] != "none"
    assert grades.loc["old", "demand_class"] == "none" and grades.loc["old", "annual_value"] == 0


def test_a_last_buy_of_a_successor_counts_the_history_of_its_predecessor() -> None:
    data = dataset({"old": STEADY}, after={"old": "new"})
    day = pd.Timestamp("2026-06-30")
    parts = data.parts.assign(last_buy_on=np.where(data.parts["part_id"] == "new", day, pd.NaT))
    parts["last_buy_on"] = pd.to_datetime(parts["last_buy_on"])
    table = last_buys(data.with_tables(parts=parts), checked(data)).table
    assert table["part_id"].tolist() == ["new"]
    assert table["mean"].iloc[0] > 18 and table["quantity"].iloc[0] > 18


def test_a_plan_stocks_the_successor_and_uses_up_the_old_number() -> None:
    stock = pd.DataFrame({"part_id": ["old", "new"], "site_id": "HQ", "on_hand": [25.0, 1.0]})
    orders = pd.DataFrame(
        {
            "order_id": ["7"],
            "part_id": ["old"],
            "to_site_id": ["HQ"],
            "quantity": [10.0],
            "due_on": pd.Timestamp("2026-02-01"),
        }
    )
    data = dataset(
        {"old": STEADY, "dead": ODD["stopped"]}, 8, {"old": "new"}, stock=stock, open_orders=orders
    )
    plan = make_plan(data, PlanConfig(years=2, weeks=4))
    levels = plan.levels.table.set_index("part_id")
    assert levels.loc["new", "base_stock"] > 0
    assert "old" not in levels.index or levels.loc["old", "base_stock"] == 0
    assert "old" not in set(plan.orders.table.query("kind == 'purchase'")["part_id"])
    told = plan.exceptions.query("part_id == 'old'")
    assert told["kind"].tolist() == ["excess"] and told["money"].iloc[0] == pytest.approx(35 * 50.0)
    assert "before buying new" in told["action"].iloc[0]
    assert plan.demand.series.set_index("part_id").loc["dead", "state"] == "dead"


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("demand", {"quantity": "many"}, ("demand", "quantity", "many")),
        ("demand", {"month": "2024-13"}, ("demand", "month", "2024-13")),
        ("demand", {"part_id": "ghost"}, ("demand", "part_id", "ghost")),
        ("demand", {"site_id": "nowhere"}, ("demand", "site_id", "nowhere")),
        ("demand", {"one_off": 5000.0}, ("demand", "one_off", "5000")),
        ("demand", {"one_off": "yes"}, ("demand", "one_off", "yes")),
        ("parts", {"superseded_by": "ghost"}, ("parts", "superseded_by", "ghost")),
    ],
)
def test_a_wrong_cell_is_named_with_table_row_column_value_and_remedy(
    table: str, change: dict, words: tuple[str, ...]
) -> None:
    data = dataset({"A": STEADY}, 3)
    frames = {name: data.tables[name].copy() for name in data.given}
    frame = frames[table].astype(object)
    column, value = next(iter(change.items()))
    frame.loc[frame.index[2], column] = value
    with pytest.raises(DataError) as caught:
        Dataset.from_frames({**frames, table: frame})
    problem = caught.value.problems.query("column == @column").iloc[0]
    assert problem["table"] == words[0] and problem["row"] == 4
    assert words[2] in problem["value"] and len(problem["rule"]) > 3 and len(problem["remedy"]) > 3
