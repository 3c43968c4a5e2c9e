"""Last buys: the formula against simulated fleets, held-out fleets, stock and packs, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import gamma

from spareplan.config import ForecastOptions
from spareplan.errors import DataError
from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.last_buy import COLUMNS, last_buys
from spareplan.forecast.last_buy_result import last_buy_exceptions
from spareplan.forecast.remaining import leaving_demand
from spareplan.forecast.repair_loop import most_missing
from spareplan.forecast.retirement import conditional_survival
from spareplan.maths.distributions import cdf, quantile
from spareplan.tables.dataset import Dataset

TODAY, RECORDS = pd.Timestamp("2025-12-31"), pd.Timestamp("2020-01-01")
YEAR = 365.25


def make_ending(seed=0, machines=60, parts=4, years=10.0, level=6.8, shape=3.0, last="2026-06-30", **changes):
    """A fleet whose parts all end, and what each of them will be asked for until the last machine is gone."""
    rng = np.random.default_rng(seed)
    born = -np.round(rng.uniform(1, 12 * YEAR, machines))
    end = born + np.ceil(years * YEAR / gamma(1 + 1 / shape) * rng.weibull(shape, machines))
    rows, ahead = [], np.zeros(parts)
    for part in range(parts):
        eta, beta = np.exp(rng.normal(level, 0.5)), np.exp(rng.normal(0.6, 0.2))
        when, unit = born.copy(), np.arange(machines)
        while len(when):
            when = np.ceil(when + eta * rng.weibull(beta, len(when)))
            when, unit = when[when <= end[unit]], unit[when <= end[unit]]
            past = (when <= 0) & (when > (RECORDS - TODAY).days)
            rows += [(f"U{u:03d}", f"P{part:02d}", d) for u, d in zip(unit[past], when[past])]
            ahead[part] += (when > 0).sum()
    done = pd.DataFrame(rows, columns=["unit_id", "part_id", "day"])
    names = [f"P{part:02d}" for part in range(parts)]
    frames = {
        "products": pd.DataFrame({"product_id": ["M"], "name": ["Machine"], "tier": [2]}),
        "parts": pd.DataFrame(
            {
                "part_id": names,
                "name": names,
                "unit_cost": 10.0,
                "lead_time_days": 30.0,
                "family": "F",
                "last_buy_on": pd.Timestamp(last),
            }
        ),
        "fitment": pd.DataFrame({"product_id": "M", "part_id": names, "quantity": 1.0}),
        "regions": pd.DataFrame({"region_id": ["R"], "name": ["Region"], "records_from": [RECORDS]}),
        "sites": pd.DataFrame(
            {
                "site_id": ["HQ", "S1", "S2"],
                "name": ["hq", "one", "two"],
                "region_id": [None, "R", "R"],
                "parent_id": [None, "HQ", "HQ"],
                "lead_time_days": [0.0, 5.0, 5.0],
            }
        ),
        "units": pd.DataFrame(
            {
                "unit_id": [f"U{u:03d}" for u in range(machines)],
                "product_id": "M",
                "site_id": np.where(np.arange(machines) % 3 == 0, "S1", "S2"),
                "commissioned_on": TODAY + pd.to_timedelta(born, unit="D"),
                "retired_on": TODAY + pd.to_timedelta(pd.Series(end).where(end <= 0), unit="D"),
            }
        ),
        "replacements": done.assign(
            replaced_on=TODAY + pd.to_timedelta(done["day"], unit="D"), quantity=1.0
        ).drop(columns="day"),
    }
    frames["parts"] = frames["parts"].assign(**changes.pop("part", {}))
    return Dataset.from_frames(frames | changes), ahead


@pytest.fixture(scope="module")
def fleet():
    return make_ending()


@pytest.fixture(scope="module")
def result(fleet):
    return last_buys(fleet[0], as_of=TODAY)


def test_one_machine_with_exponential_life_asks_for_a_geometric_number():
    days = np.linspace(0, 60, 6001)
    survival = np.exp(-0.5 * days)[None, None]
    mean, variance, doubt = leaving_demand(
        np.array([0]),
        2.0 * days[None],
        np.ones(1),
        np.ones((1, 6001)),
        np.zeros((1, 6001)),
        np.ones(1),
        survival,
    )
    assert mean[0, -1] == pytest.approx(4.0, rel=1e-3)
    assert variance[0, -1] == pytest.approx(4.0 + 16.0, rel=1e-3)
    assert doubt[0] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_quantile_of_the_remaining_demand_leaves_the_risk_asked():
    """Drawn are the rate (cv 20 %) and the law of machine life, then machines and their failures."""
    rng = np.random.default_rng(0)
    days = np.arange(0, 60.0, 0.25)
    rate, cv2 = 0.8, 0.04
    shape, scales = 3.0, 12.0 * np.exp(np.array([-0.15, 0.0, 0.15]))
    ages, machines = np.array([1.0, 6.0, 11.0]), np.array([10.0, 20.0, 12.0])
    survival = np.stack([conditional_survival(shape, eta, ages[:, None], days) for eta in scales])
    weight = np.full(3, 1 / 3)
    pieces = machines[:, None] * rate * days
    row_part = np.zeros(3, dtype=np.int64)
    spread = np.ones((1, len(days))), np.full((1, len(days)), cv2)
    mean, variance, doubt = leaving_demand(row_part, pieces, machines, *spread, weight, survival)
    runs = 20_000
    drawn = rate * rng.gamma(1 / cv2, cv2, runs)
    eta = scales[rng.integers(0, 3, runs)][:, None]
    age = np.repeat(ages, machines.astype(int))
    life = eta * ((age / eta) ** shape + rng.exponential(size=(runs, len(age)))) ** (1 / shape) - age
    asked = rng.poisson(drawn * life.sum(axis=1))
    assert mean[0, -1] == pytest.approx(asked.mean(), rel=0.01)
    assert variance[0, -1] == pytest.approx(asked.var(), rel=0.05)
    assert doubt[0].sum() < variance[0, -1]
    for risk in (0.01, 0.05, 0.1, 0.2):
        enough = quantile(1 - risk, mean[0, -1], variance[0, -1])
        assert (asked > enough).mean() == pytest.approx(risk, abs=0.02)
    without = quantile(0.95, mean[0, -1], variance[0, -1] - doubt[0].sum())
    assert (asked > without).mean() > 0.1


def test_half_way_sums_are_right_too():
    rng = np.random.default_rng(1)
    days = np.arange(0, 20.0, 0.25)
    survival = conditional_survival(2.0, 8.0, 3.0, days)[None, None]
    ones = np.ones((1, len(days)))
    mean, variance, _ = leaving_demand(
        np.array([0]), 15 * 0.5 * days[None], np.array([15.0]), ones, 0 * ones, np.ones(1), survival
    )
    life = 8.0 * ((3.0 / 8.0) ** 2 + rng.exponential(size=(40_000, 15))) ** 0.5 - 3.0
    asked = rng.poisson(0.5 * np.minimum(life, 5.0).sum(axis=1))
    at = int(np.searchsorted(days, 5.0))
    assert mean[0, at] == pytest.approx(asked.mean(), rel=0.01)
    assert variance[0, at] == pytest.approx(asked.var(), rel=0.03)


@pytest.mark.parametrize(("share", "delay"), [(0.0, 30.0), (0.5, 60.0), (0.9, 90.0), (1.0, 120.0)])
def test_stock_net_of_repairs_leaves_the_risk_asked(share, delay):
    """Failures of a fleet that fades, rate drawn (cv 20 %): pieces come back after `delay` days or never."""
    rng = np.random.default_rng(2)
    days = np.arange(0, 12_000.0, 30.0)
    whole, fade, cv2 = 80.0, 1500.0, 0.04
    mean = whole * -np.expm1(-days / fade)[None]
    need, spread = most_missing(mean, mean + cv2 * mean**2, days, np.array([share]), np.array([delay]))
    stock = {risk: quantile(1 - risk, need, spread)[0] for risk in (0.05, 0.1)}
    short = dict.fromkeys(stock, 0)
    runs = 4000
    for _ in range(runs):
        failed = np.sort(rng.exponential(fade, rng.poisson(whole * rng.gamma(1 / cv2, cv2))))
        back = failed[rng.random(len(failed)) < share] + delay
        missing = np.arange(1, len(failed) + 1) - np.searchsorted(np.sort(back), failed, side="right")
        for risk, pieces in stock.items():
            short[risk] += missing.max(initial=0) > pieces
    for risk, count in short.items():
        # Whole pieces: where few are needed the risk kept may lie well below the one asked.
        least = 0.0 if stock[risk] < 20 else risk - 0.02
        assert least <= count / runs <= risk + (0.02 if share < 1 else 0.03)


def test_held_out_fleets_run_short_as_often_as_the_risk_says():
    short, places, told, seen = [], [], 0.0, 0.0
    for seed in range(12):
        data, ahead = make_ending(seed + 100, machines=80, parts=8)
        table = last_buys(data, risk=0.1, as_of=TODAY).table
        mean, variance = table["mean"].to_numpy(), table["variance"].to_numpy()
        low, high = cdf(ahead - 1, mean, variance), cdf(ahead, mean, variance)
        places.append(low + np.random.default_rng(seed).random(8) * (high - low))
        short.append((ahead > table["quantile"]).mean())
        told, seen = told + mean.sum(), seen + ahead.sum()
    # Machine life is drawn once per fleet, so that twelve fleets are far fewer than 96 parts.
    assert 0.02 <= np.mean(short) <= 0.2
    inside = np.abs(np.concatenate(places) - 0.5)
    assert 0.7 <= (inside < 0.4).mean() <= 0.9
    assert told == pytest.approx(seen, rel=0.12)


def test_columns_and_sentence_of_a_row(result):
    assert result.table.columns.tolist() == COLUMNS
    row = result.table.iloc[0]
    assert row["quantity"] >= row["quantile"] > row["mean"] > row["demand_until_last_buy"] > 0
    assert row["risk"] <= 0.05
    assert row["covers_until"] > pd.Timestamp("2032-01-01")
    assert f"{row['quantile']:,.0f} are enough with 95%" in row["reason"]
    assert "machine life" in set(result.assumptions["name"])
    assert "4 parts end" in result.summary()


def test_more_pieces_leave_less_risk_along_the_curve(result):
    row = result.table.iloc[1]
    curve = result.curve("P01")
    assert curve["risk"].is_monotonic_decreasing
    assert curve["expected_short"].is_monotonic_decreasing
    assert curve["risk"].iloc[-1] < 0.002
    assert result.risk_of("P01", row["quantity"]) == pytest.approx(row["risk"])
    assert result.risk_of("P01", row["quantity"] - 1) > 0.05
    assert result.risk_of("P01", 0) == pytest.approx(1.0)


def test_less_risk_asks_for_more(fleet, result):
    safe = last_buys(fleet[0], risk=0.01, as_of=TODAY).table
    assert (safe["quantity"] > result.table["quantity"]).all()
    np.testing.assert_allclose(safe["mean"], result.table["mean"])


def test_what_is_there_and_on_its_way_is_not_bought_again_and_packs_are_whole():
    stock = pd.DataFrame(
        {
            "part_id": "P00",
            "site_id": ["HQ", "S1"],
            "on_hand": [30.0, 5.0],
            "reserved": [3.0, 0.0],
            "backorders": [0.0, 2.0],
            "in_repair": [4.0, 0.0],
            "on_order": [6.0, 0.0],
        }
    )
    orders = pd.DataFrame(
        {
            "order_id": ["A"],
            "part_id": "P00",
            "from_site_id": [None],
            "to_site_id": "HQ",
            "quantity": [10.0],
            "due_on": [pd.Timestamp("2026-02-01")],
        }
    )
    part = {"pack_size": [25.0, 1.0, 1.0, 1.0], "min_order": [1.0, 5000.0, 1.0, 1.0]}
    data, _ = make_ending(stock=stock, open_orders=orders, part=part)
    table = last_buys(data, as_of=TODAY).table
    row = table.iloc[0]
    assert (row["on_hand"], row["on_order"]) == (30.0, 14.0)
    assert row["quantity"] % 25 == 0
    assert 0 <= row["quantity"] + 44 - row["quantile"] < 25
    assert row["value"] == row["quantity"] * 10
    assert table["quantity"].iloc[1] == 5000


def test_repaired_pieces_need_not_be_bought():
    plain, repaired = (
        last_buys(make_ending(part=part)[0], as_of=TODAY).table
        for part in ({}, {"repairable_share": 0.6, "repair_days": 60.0})
    )
    np.testing.assert_allclose(repaired["mean"], plain["mean"])
    np.testing.assert_allclose(repaired["repaired"], 0.6 * plain["mean"])
    ratio = (repaired["quantile"] / plain["quantile"]).to_numpy()
    assert ((ratio > 0.38) & (ratio < 0.5)).all()
    whole = last_buys(make_ending(part={"repairable_share": 1.0, "repair_days": 60.0})[0], as_of=TODAY).table
    # All come back: only what is in the repair loop at a time must be there.
    assert ((whole["quantile"] > 0) & (whole["quantile"] < 0.2 * plain["quantile"])).all()


def test_superseded_parts_need_none_and_their_successors_cover_them():
    part = {"superseded_by": ["P01", None, None, None], "last_buy_on": [TODAY, TODAY, None, None]}
    table = last_buys(make_ending(part=part)[0], as_of=TODAY).table
    assert table["quantity"].iloc[0] == 0
    assert table["reason"].iloc[0].startswith("P01 takes its place")
    assert table["quantity"].iloc[1] > 0
    assert "last day has passed" in table["reason"].iloc[1]


def test_parts_that_no_machine_carries_need_none_and_say_so(fleet):
    fitment, done = fleet[0].fitment, fleet[0].replacements
    bare = {"fitment": fitment.iloc[1:], "replacements": done[done["part_id"] != "P00"]}
    table = last_buys(fleet[0].with_tables(**bare), as_of=TODAY).table
    assert table["quantity"].iloc[0] == 0
    assert pd.isna(table["covers_until"].iloc[0])
    assert "no machine carries it" in table["reason"].iloc[0]


def test_shelf_life_shorter_than_the_cover_is_warned_of():
    table = last_buys(make_ending(part={"shelf_life_days": 700.0})[0], as_of=TODAY).table
    assert table["warning"].str.contains("shelf life of 700 days").all()
    long = last_buys(make_ending(part={"shelf_life_days": 30_000.0})[0], as_of=TODAY).table
    assert (long["warning"] == "").all()


def test_machines_with_a_known_last_day_ask_only_until_then():
    data, _ = make_ending()
    alive = data.units["retired_on"].isna()
    until = pd.Timestamp("2026-12-31")
    ending = data.units.assign(retired_on=data.units["retired_on"].where(~alive, until))
    short = last_buys(data.with_tables(units=ending), as_of=TODAY).table
    year = forecast_demand(data, months=12, as_of=TODAY, options=ForecastOptions(backtest_origins=0))
    one = year.table.groupby("part_id")["mean"].sum()
    np.testing.assert_allclose(short["mean"], one.to_numpy(), rtol=0.12)


def test_the_sales_plan_adds_machines_and_takes_them_away():
    base = last_buys(make_ending()[0], as_of=TODAY).table
    plan = pd.DataFrame(
        {
            "product_id": "M",
            "site_id": "S1",
            "month": pd.to_datetime(["2026-03-01", "2026-04-01"]),
            "units_sold": [40.0, 0.0],
            "units_retired": [0.0, 0.0],
        }
    )
    more = last_buys(make_ending(sales_plan=plan)[0], as_of=TODAY).table
    assert (more["mean"] > 1.3 * base["mean"]).all()
    assert (more["machines_now"] == base["machines_now"]).all()
    less = plan.assign(units_sold=0.0, units_retired=[0.0, 15.0])
    fewer = last_buys(make_ending(sales_plan=less)[0], as_of=TODAY).table
    assert (fewer["mean"] < 0.85 * base["mean"]).all()


def test_a_planners_forecast_sets_the_level(fleet, result):
    plan = forecast_demand(fleet[0], months=12, as_of=TODAY)
    own = last_buys(fleet[0], demand=plan, as_of=TODAY).table
    np.testing.assert_allclose(own["mean"], result.table["mean"], rtol=0.3)
    object.__setattr__(plan, "table", plan.table.assign(mean=2 * plan.table["mean"]))
    twice = last_buys(fleet[0], demand=plan, as_of=TODAY)
    np.testing.assert_allclose(twice.table["mean"], 2 * own["mean"], rtol=1e-6)
    assert "long forecast against the plan's" in set(twice.assumptions["name"])


def test_an_assumed_machine_life_decides_where_nothing_retires():
    data, _ = make_ending(years=200.0)
    few, many = (
        last_buys(data, as_of=TODAY, options=ForecastOptions(machine_life_years=years))
        for years in (8.0, 16.0)
    )
    assert (many.table["mean"] > 1.5 * few.table["mean"]).all()
    life = few.assumptions.set_index("name").loc["machine life"]
    assert life["origin"] == "assumed: forecast.machine_life_years"


def test_the_order_of_rows_does_not_matter(fleet, result):
    data = fleet[0]
    mixed = {name: data.tables[name].sample(frac=1, random_state=3) for name in data.given}
    again = last_buys(Dataset.from_frames(mixed), as_of=TODAY).table
    pd.testing.assert_frame_equal(again, result.table, rtol=1e-9)


def test_last_buys_within_the_horizon_become_exceptions_with_money_and_action(result):
    soon = last_buy_exceptions(result, months=12)
    assert len(soon) == 4
    np.testing.assert_allclose(soon["money"], result.table["value"])
    assert soon["action"].str.contains("order").all()
    assert last_buy_exceptions(result, months=3).empty
    late = last_buys(make_ending(last="2025-06-30")[0], as_of=TODAY)
    assert last_buy_exceptions(late)["action"].str.startswith("find").all()
    enough = result.table.assign(quantity=0.0, value=0.0)
    object.__setattr__(late, "table", enough)
    assert last_buy_exceptions(late)["action"].str.startswith("nothing to buy").all()


@pytest.mark.parametrize("risk", [0, 1, -0.1, 1.5, np.nan, "5%"])
def test_a_risk_that_is_no_chance_is_refused(fleet, risk):
    with pytest.raises(DataError, match="risk"):
        last_buys(fleet[0], risk=risk, as_of=TODAY)


def test_a_last_buy_before_the_first_machine_is_refused_by_row():
    data, _ = make_ending(part={"last_buy_on": pd.to_datetime([None, "1999-01-01", None, None])})
    with pytest.raises(DataError) as error:
        last_buys(data, as_of=TODAY)
    problem = error.value.problems.iloc[0]
    assert (problem["table"], problem["row"], problem["column"]) == ("parts", 3, "last_buy_on")


def test_unknown_parts_and_negative_quantities_are_refused(result):
    with pytest.raises(DataError, match="X9"):
        result.risk_of("X9", 3)
    with pytest.raises(DataError, match="quantity"):
        result.risk_of("P00", -1)


def test_without_ending_parts_the_table_is_empty_with_all_columns():
    data, _ = make_ending(part={"last_buy_on": pd.NaT})
    result = last_buys(data, as_of=TODAY)
    assert result.table.empty and result.table.columns.tolist() == COLUMNS
    assert last_buy_exceptions(result).empty


def monthly(rate, seed=5, part="P00"):
    months = pd.date_range("2022-01-01", "2025-12-01", freq="MS")
    taken = np.random.default_rng(seed).poisson(rate, len(months)).astype(float)
    return pd.DataFrame({"part_id": part, "site_id": "S1", "month": months, "quantity": taken})


def test_demand_of_unknown_machines_fades_as_a_fleet_of_all_ages():
    parts, _ = make_ending()
    frames = {name: parts.tables[name] for name in ("products", "parts", "regions", "sites")}
    data = Dataset.from_frames(frames | {"demand": monthly(5.0)})
    result = last_buys(data, as_of=TODAY)
    row = result.table.iloc[0]
    # Weibull lives of shape 3 and mean 10 years: a machine of a stationary fleet has E[T²] / 2 E[T] to go.
    years = 10.0 * gamma(1 + 2 / 3) / gamma(1 + 1 / 3) ** 2 / 2
    year = forecast_demand(data, months=12, as_of=TODAY).table["mean"].sum()
    assert row["mean"] == pytest.approx(year * years, rel=0.03)
    assert row["machines_now"] == 0
    assert row["reason"].startswith("machines that are not known ask for")
    assert (result.table["quantity"].iloc[1:] == 0).all()
    assert "parts with demand of unknown machines" in set(result.assumptions["name"])


def test_known_and_unknown_machines_add_up(fleet, result):
    both = last_buys(fleet[0].with_tables(demand=monthly(5.0)), as_of=TODAY).table
    more = both["mean"].iloc[0] - result.table["mean"].iloc[0]
    assert 200 < more < 600
    np.testing.assert_allclose(both["mean"].iloc[1:], result.table["mean"].iloc[1:])
    assert both["variance"].iloc[0] > result.table["variance"].iloc[0] + more
