"""Every change of the forecast has sources that add up to it, and surprises are as rare as they say."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.changes import (
    forecast_revisions,
    month_changes,
    revision_waterfall,
    waterfall,
)
from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.look_back import surprises
from spareplan.maths.distributions import pmf
from spareplan.results import DemandForecast, assumptions_frame
from spareplan.tables.contributions import SOURCES
from spareplan.tables.taken import by_forecast_part
from tests.forecast.fleets import make_fleet

CELL = ["part_id", "site_id", "month"]
USED = ("machines in use today", "ageing", "season", "retirements", "past demand", "something new")


def forecast(
    seed: int = 1, parts: int = 4, sites: int = 3, months: int = 6, start: str = "2026-01", shift: float = 0.0
) -> DemandForecast:
    """A made-up forecast whose sources add up; a source is often absent, retirements are negative."""
    rng = np.random.default_rng(seed)
    cells = pd.MultiIndex.from_product(
        [
            [f"零件-{k}" for k in range(parts)],
            [f"S{k}" for k in range(sites)],
            pd.period_range(start, periods=months, freq="M").to_timestamp(),
        ],
        names=CELL,
    ).to_frame(index=False)
    long = cells.merge(pd.DataFrame({"source": USED}), how="cross")
    long["mean"] = rng.gamma(1.0, 1.0, len(long)) + shift
    long.loc[long["source"] == "retirements", "mean"] *= -0.1
    long = long[rng.random(len(long)) < 0.7].sample(frac=1.0, random_state=seed)
    mean = long.groupby(CELL)["mean"].sum()
    table = cells.assign(mean=mean.reindex(pd.MultiIndex.from_frame(cells)).fillna(0.0).to_numpy())
    table["vmr"], table["rate_cv2"] = 1.2, 0.05
    table["variance"] = table["vmr"] * table["mean"] + table["rate_cv2"] * table["mean"] ** 2
    as_of = cells["month"].min() - pd.Timedelta(days=1)
    return DemandForecast(table, assumptions_frame([]), as_of=as_of, contributions=long)


def counted(means: list[float], vmr: float = 1.0, cv2: float = 0.0, months: int = 1) -> DemandForecast:
    """A forecast of one part at many sites, with nothing but its numbers."""
    stamps = pd.period_range("2026-01", periods=months, freq="M").to_timestamp()
    table = pd.DataFrame({"part_id": "P", "site_id": [f"S{k:05d}" for k in range(len(means))], "mean": means})
    table = table.merge(pd.DataFrame({"month": stamps}), how="cross").assign(vmr=vmr, rate_cv2=cv2)
    table["variance"] = vmr * table["mean"] + cv2 * table["mean"] ** 2
    return DemandForecast(table, assumptions_frame([]), as_of=pd.Timestamp("2025-12-31"))


def taken(quantities: list[float], month: str = "2026-01-01") -> pd.DataFrame:
    return pd.DataFrame({"part_id": "P", "site_id": [f"S{k:05d}" for k in range(len(quantities))],
                         "month": pd.Timestamp(month), "quantity": quantities})  # fmt: skip


def test_changes_of_the_sources_add_up_to_the_change_of_the_mean() -> None:
    demand = forecast()
    summed = month_changes(demand).groupby(CELL)["change"].sum()
    moved = demand.table.set_index(CELL)["mean"].groupby(level=[0, 1]).diff().dropna()
    assert np.allclose(summed.reindex(moved.index).fillna(0.0), moved)
    assert len(moved) and set(summed.index) <= set(moved.index)


def test_changes_agree_with_a_walk_over_the_rows() -> None:
    demand = forecast(parts=2, sites=2, months=4)
    level = demand.contributions.set_index([*CELL, "source"])["mean"].to_dict()
    months = sorted(demand.table["month"].unique())
    expected = {}
    for part, site, source in {(key[0], key[1], key[3]) for key in level}:
        for before, month in pairwise(months):
            change = level.get((part, site, month, source), 0.0) - level.get(
                (part, site, before, source), 0.0
            )
            if change:
                expected[part, site, month, source] = change
    got = month_changes(demand).set_index([*CELL, "source"])["change"]
    assert got.to_dict() == pytest.approx(expected) and len(expected) > 20


def test_row_order_does_not_matter() -> None:
    demand = forecast()
    other = DemandForecast(
        demand.table.iloc[::-1],
        demand.assumptions,
        as_of=demand.as_of,
        contributions=demand.contributions.iloc[::-1],
    )
    pd.testing.assert_frame_equal(month_changes(demand), month_changes(other))
    pd.testing.assert_frame_equal(waterfall(demand), waterfall(other))
    later = forecast(2, start="2026-02")
    pd.testing.assert_frame_equal(forecast_revisions(demand, later), forecast_revisions(other, later))


@pytest.mark.parametrize(
    "scope", [{}, {"part_id": "零件-2"}, {"site_id": "S1"}, {"part_id": "零件-0", "site_id": "S2"}]
)
@pytest.mark.parametrize("months", [1, 3])
def test_a_waterfall_leads_from_one_span_to_the_other(scope: dict[str, str], months: int) -> None:
    demand = forecast()
    table = demand.table
    for name, wanted in scope.items():
        table = table[table[name] == wanted]
    sums = table.groupby("month")["mean"].sum().to_numpy()
    steps = waterfall(demand, months=months, **scope)
    assert steps["level"].iloc[0] == pytest.approx(sums[:months].sum())
    assert steps["level"].iloc[-1] == pytest.approx(sums[-months:].sum())
    change = steps["change"].iloc[1:-1].to_numpy()
    assert np.allclose(steps["level"].iloc[0] + np.cumsum(change), steps["level"].iloc[1:-1])
    assert steps["level"].iloc[-2] == pytest.approx(steps["level"].iloc[-1])


def test_a_forecast_has_its_own_waterfall() -> None:
    demand = forecast()
    pd.testing.assert_frame_equal(demand.waterfall("零件-1", months=2), waterfall(demand, "零件-1", months=2))


def test_sources_stand_in_their_fixed_order_and_unknown_ones_last() -> None:
    steps = waterfall(forecast())["source"].iloc[1:-1].tolist()
    assert steps == [name for name in SOURCES if name in USED] + ["something new"]


def test_a_waterfall_names_its_spans_and_says_what_each_source_does() -> None:
    steps = waterfall(forecast(months=24), from_month="2026-01", to_month="2027-01-15", months=12)
    assert steps["step"].iloc[[0, -1]].tolist() == ["2026-01 – 2026-12", "2027-01 – 2027-12"]
    ageing = steps[steps["source"] == "ageing"].iloc[0]
    assert ageing["reason"].startswith(f"ageing {ageing['change']:+,.1f}: ")
    assert ageing["reason"].endswith(f" to {ageing['level']:,.1f} pieces")


def test_revisions_add_up_and_stand_worst_first() -> None:
    earlier, later = forecast(1), forecast(2, start="2026-02", shift=0.5)
    got = forecast_revisions(earlier, later)
    before, after = (run.table.set_index(CELL)["mean"] for run in (earlier, later))
    keys = pd.MultiIndex.from_frame(got[CELL])
    assert got["month"].min() == pd.Timestamp("2026-02") and got["month"].max() == pd.Timestamp("2026-06")
    assert np.allclose(got["earlier"], before[keys]) and np.allclose(got["later"], after[keys])
    sources = [name for name in got if name not in (*CELL, "earlier", "later", "change", "money", "reason")]
    assert np.allclose(got[sources].sum(axis=1), got["change"])
    assert got["change"].abs().is_monotonic_decreasing
    first = got.iloc[0]
    assert f"{first['earlier']:,.2f} to {first['later']:,.2f} pieces" in first["reason"]


def test_a_waterfall_between_runs_sums_the_revisions() -> None:
    earlier, later = forecast(1), forecast(2, start="2026-02", shift=0.5)
    for scope in ({}, {"part_id": "零件-1"}, {"part_id": "零件-1", "site_id": "S2"}):
        steps = revision_waterfall(earlier, later, **scope)
        rows = forecast_revisions(earlier, later)
        for name, wanted in scope.items():
            rows = rows[rows[name] == wanted]
        assert steps["step"].iloc[[0, -1]].tolist() == ["2025-12-31", "2026-01-31"]
        assert steps["level"].iloc[[0, -1]].tolist() == pytest.approx(
            [rows["earlier"].sum(), rows["later"].sum()]
        )
        for name, change in zip(steps["source"].iloc[1:-1], steps["change"].iloc[1:-1]):
            assert change == pytest.approx(rows[name].sum())
        assert "for 2026-02 – 2026-06 by what was known on 2025-12-31" in steps["reason"].iloc[0]


def test_what_was_ageing_to_come_a_month_ago_is_no_revision() -> None:
    demand = forecast(1)
    aged = demand.contributions.assign(
        source=demand.contributions["source"].replace({"ageing": "machines in use today"})
    )
    aged = aged.groupby([*CELL, "source"], as_index=False)["mean"].sum()
    same = DemandForecast(
        demand.table, demand.assumptions, as_of=demand.as_of + pd.offsets.MonthEnd(), contributions=aged
    )
    assert forecast_revisions(demand, same).empty


def test_revisions_in_money_put_dear_parts_first() -> None:
    cost = pd.Series({"零件-0": 1.0, "零件-1": 1.0, "零件-2": 1000.0, "零件-3": 1.0})
    got = forecast_revisions(forecast(1), forecast(2), by=["part_id"], unit_cost=cost)
    assert got["part_id"].iloc[0] == "零件-2" and len(got) == 4
    assert np.allclose(got["money"], got["change"] * got["part_id"].map(cost))
    assert got["money"].abs().is_monotonic_decreasing


def test_the_probability_of_a_surprise_is_that_of_the_counts_beyond_it() -> None:
    got = surprises(counted([2.0, 2.0, 7.0], vmr=1.5, cv2=0.1), taken([6.0, 0.0, 7.0])).set_index("site_id")
    variance = 1.5 * 2 + 0.1 * 4
    chance = pmf(np.arange(200), np.full(200, 2.0), np.full(200, variance))
    assert got.loc["S00000", "probability"] == pytest.approx(chance[6:].sum())
    assert got.loc["S00001", "probability"] == pytest.approx(chance[0])
    assert got.loc["S00002", "probability"] > 0.3 and "within chance" in got.loc["S00002", "reason"]
    often = f"{1 / chance[6:].sum():,.0f}"
    assert (
        got.loc["S00000", "reason"]
        == f"6 taken in 2026-01, 2 expected; so many or more once in {often} such months"
    )


def test_as_many_rows_are_surprising_as_chance_puts_there() -> None:
    rng = np.random.default_rng(5)
    means = rng.gamma(0.5, 4.0, 20_000)
    got = surprises(counted(list(means)), taken(list(rng.poisson(means).astype(float))))
    for limit in (0.05, 0.01, 0.001):
        seen = got[got["probability"] <= limit]
        bound = seen["by_chance"].iloc[-1]
        assert 0.3 * bound < len(seen) < bound + 3 * np.sqrt(bound), limit
    assert got["probability"].is_monotonic_increasing


def test_sites_of_a_part_share_its_rate() -> None:
    demand = counted([2.0, 3.0], vmr=1.2, cv2=0.3)
    got = surprises(demand, taken([9.0, 9.0]), by="part").iloc[0]
    variance = 1.2 * 5 + 0.3 * 25
    beyond = pmf(np.arange(18, 500), np.full(482, 5.0), np.full(482, variance)).sum()
    assert got["probability"] == pytest.approx(beyond) and got["expected"] == 5.0 and got["actual"] == 18.0


def test_regions_sum_their_sites_and_a_site_without_one_stands_for_itself() -> None:
    region = pd.Series({"S00000": "华东", "S00001": "华东", "S00002": None})
    got = surprises(counted([1.0, 2.0, 4.0]), taken([1.0, 2.0, 4.0]), by="region", region=region)
    sums = got.set_index("region_id")[["expected", "actual"]]
    assert sums.loc["华东"].tolist() == [3.0, 3.0] and sums.loc["S00002"].tolist() == [4.0, 4.0]


def test_several_months_are_judged_by_the_window_they_make_up() -> None:
    base = counted([3.0], vmr=1.0, months=4)
    windows = pd.DataFrame({"part_id": "P", "site_id": "S00000", "days": [31.0, 59.0, 90.0],
                            "mean": [3.0, 6.0, 9.0], "vmr": [1.0, 0.7, 0.4], "rate_cv2": 0.0})  # fmt: skip
    demand = DemandForecast(base.table, base.assumptions, as_of=base.as_of, windows=windows)
    actual = pd.concat([taken([5.0]), taken([4.0], "2026-02-01")])
    got = surprises(demand, actual).iloc[0]
    assert (got["from_month"], got["to_month"]) == (pd.Timestamp("2026-01"), pd.Timestamp("2026-02"))
    assert got["expected"] == 6.0 and got["actual"] == 9.0
    beyond = pmf(np.arange(9, 21), np.full(12, 6.0), np.full(12, 0.7 * 6)).sum()
    assert got["probability"] == pytest.approx(beyond)
    assert "in 2026-01 to 2026-02" in got["reason"]
    assert surprises(demand, actual, until="2026-01").iloc[0]["actual"] == 5.0


def test_what_nobody_foresaw_stands_first_and_silence_is_no_row() -> None:
    demand = counted([2.0, 0.0])
    actual = pd.concat([taken([9.0]), taken([1.0]).assign(part_id="Q"), taken([1.0]).assign(part_id="R")])
    cost = pd.Series({"P": 1.0, "Q": 5.0, "R": 50.0})
    got = surprises(demand, actual, unit_cost=cost)
    assert got["part_id"].tolist() == ["R", "Q", "P"]
    assert got["reason"].iloc[0] == "1 taken in 2026-01, none was foreseen"
    assert got["money"].tolist() == [50.0, 5.0, 7.0]


def test_more_came_back_than_was_taken_is_as_likely_as_nothing_taken() -> None:
    got = surprises(counted([2.0, 2.0]), taken([-1.0, 0.0])).set_index("site_id")
    assert got["probability"].to_list() == pytest.approx([np.exp(-2)] * 2)
    assert got.loc["S00000", "actual"] == -1.0


def test_records_of_a_dataset_are_counted_by_site_and_region_in_money() -> None:
    data, every = make_fleet(machines=40)
    demand = forecast_demand(data, months=3, as_of="2025-10-31")
    got = surprises(demand, data, by="region")
    late = every[(every["replaced_on"] >= "2025-11-01") & (every["replaced_on"] <= "2025-12-31")]
    assert got["region_id"].to_list() == ["R"] and got["to_month"].to_list() == [pd.Timestamp("2025-12")]
    assert got["actual"].sum() == late["quantity"].sum() > 0
    assert got["expected"].sum() == pytest.approx(demand.table.query("month < '2026'")["mean"].sum())
    assert np.allclose(got["money"], 10.0 * (got["actual"] - got["expected"]))
    assert len(surprises(demand, data, until="2025-11")) == 2


def test_an_old_number_counts_as_its_successors_where_the_forecast_knows_only_that() -> None:
    rows = taken([4.0, 1.0]).assign(part_id=["OLD", "P"], site_id="S00000")
    parts = pd.DataFrame({"part_id": ["OLDER", "OLD", "P"], "superseded_by": ["OLD", "P", None]})
    moved = by_forecast_part(rows, parts, counted([1.0]).table)
    assert moved[["part_id", "quantity"]].to_numpy().tolist() == [["P", 5.0]]
    older = by_forecast_part(rows.assign(part_id=["OLDER", "P"]), parts, counted([1.0]).table)
    assert older["quantity"].tolist() == [5.0]
    own = by_forecast_part(rows, parts, pd.DataFrame({"part_id": ["OLD", "P"]}))
    assert own["part_id"].tolist() == ["OLD", "P"]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: month_changes(counted([1.0])), "has no contributions"),
        (lambda: waterfall(forecast(), part_id="missing"), "missing.*is not in the forecast"),
        (lambda: waterfall(forecast(), site_id="nowhere"), "nowhere.*is not in the forecast"),
        (lambda: waterfall(forecast(), from_month="2031-01"), "2031-01.*not within the forecast"),
        (lambda: waterfall(forecast(), to_month="soon"), "soon.*is no month"),
        (lambda: waterfall(forecast(), months=4), "no whole number from 1 to 3"),
        (lambda: waterfall(forecast(), from_month="2026-04", to_month="2026-02"), "is not after"),
        (lambda: waterfall(forecast(months=1)), "no two months"),
        (lambda: forecast_revisions(forecast(), forecast(start="2030-01")), "foresees no month"),
        (lambda: forecast_revisions(forecast(start="2026-02"), forecast()), "was made after"),
        (lambda: revision_waterfall(forecast(start="2026-02"), forecast()), "was made after"),
        (lambda: revision_waterfall(forecast(), forecast(), "missing"), "missing.*is not in the forecast"),
        (lambda: forecast_revisions(forecast(), forecast(), by=["colour"]), "colour"),
        (lambda: surprises(counted([1.0]), taken([1.0], "2025-06-01")), "no month of the forecast.*is over"),
        (lambda: surprises(counted([1.0]), taken([np.nan])), r"actual\[row 2\].quantity"),
        (lambda: surprises(counted([1.0]), pd.concat([taken([1.0])] * 2)), "stands already in row 2"),
        (lambda: surprises(counted([1.0]), taken([1.0]).drop(columns="quantity")), "quantity"),
        (lambda: surprises(counted([1.0]), taken([1.0]).iloc[:0]), "holds no record"),
        (lambda: surprises(counted([1.0]), taken([1.0]), by="moon"), "moon"),
        (lambda: surprises(counted([1.0]), taken([1.0]), by="region"), "is needed to sum by region"),
        (lambda: surprises(counted([1.0]), taken([1.0]), until="2027-05"), "2027-05"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_named(ask: Callable[[], object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        ask()
