"""The made-up fleets are reproducible, pass the checks, and obey the lives they were made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import spareplan as sp
from spareplan.errors import DataError
from spareplan.tables.samples import make_sample, sample_tables
from spareplan.tables.samples_engine import (
    Clock,
    compound_sales,
    renew_fleet,
    renew_products,
    simulate_renewals,
    stream,
    sum_equal_rows,
    to_date,
    to_day,
)
from spareplan.tables.samples_pump_fleet import use_groups, usual_hours

SHIPPED = Path(__file__).parents[2] / "data" / "samples"
LAST_DAY = pd.Timestamp("2025-12-31")
KINDS = ("delivery_pump", "overseas_rail")


@pytest.fixture(scope="module")
def pump():
    return sample_tables("delivery_pump")


@pytest.fixture(scope="module")
def rail():
    return sample_tables("overseas_rail")


def day_clock(hours_per_month=300.0, months=60, groups=1):
    starts = pd.date_range("2020-01-01", periods=months, freq="MS")
    return Clock.from_monthly(starts, np.full((groups, months), hours_per_month))


# -- the shipped files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_files_come_out_again_byte_for_byte(kind, tmp_path):
    made = make_sample(tmp_path / kind, kind=kind)
    names = sorted(path.relative_to(made) for path in made.rglob("*.csv"))
    assert names == sorted(path.relative_to(SHIPPED / kind) for path in (SHIPPED / kind).rglob("*.csv"))
    different = [
        str(name) for name in names if (made / name).read_bytes() != (SHIPPED / kind / name).read_bytes()
    ]
    assert different == []


def test_shipped_files_stay_small():
    size = {kind: sum(path.stat().st_size for path in (SHIPPED / kind).rglob("*.csv")) for kind in KINDS}
    assert size["delivery_pump"] < 3_000_000
    assert size["overseas_rail"] < 1_500_000


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_files_are_plain_utf8_with_unix_lines(kind):
    for path in (SHIPPED / kind).rglob("*.csv"):
        raw = path.read_bytes()
        assert not raw.startswith(b"\xef\xbb\xbf") and b"\r" not in raw, path.name
        raw.decode("utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_files_pass_every_check(kind):
    data = sp.read_dataset(SHIPPED / kind)
    assert data.dropped.empty
    assert data.as_of() == LAST_DAY


def test_another_seed_gives_another_fleet_of_the_same_kind():
    one, two = (sample_tables("overseas_rail", seed=seed).tables for seed in (1, 2))
    assert one.keys() == two.keys()
    assert not one["replacements"].equals(two["replacements"])


# -- the worked example ------------------------------------------------------------------------------------


def test_key_parts_have_the_prices_and_lives_of_the_worked_example(pump):
    parts = pump.tables["parts"].set_index("part_id").loc[["00101", "00102", "00103"]]
    assert parts["unit_cost"].tolist() == [100_000, 60_000, 50_000]
    assert parts["source"].tolist() == ["buy", "buy", "make"]
    from scipy.special import gamma

    lives = pump.truth["lives"].set_index("part_id").loc[parts.index]
    months = lives["scale_hours"] * gamma(1 + 1 / lives["shape"]) / 170
    np.testing.assert_allclose(months, [12, 18, 10], rtol=1e-4)
    np.testing.assert_allclose(parts["expected_life_hours"] / 170, [12, 18, 10])


def test_eleven_regions_in_four_stages_over_three_echelons(pump):
    regions, sites = pump.tables["regions"], pump.tables["sites"]
    assert regions["market_stage"].value_counts().to_dict() == {
        "potential": 5,
        "developing": 4,
        "mature": 1,
        "secondary": 1,
    }
    parent = sites.set_index("site_id")["parent_id"]
    depth = parent.map(parent).notna().sum(), parent.notna().sum(), parent.isna().sum()
    assert depth == (20, 31, 1)
    assert set(pump.tables["products"]["tier"]) == {1, 2, 3}
    assert len(pump.tables["units"]) == 2_000


def test_records_begin_when_the_region_says_and_end_with_the_machine(pump):
    tables = pump.tables
    units = (
        tables["units"]
        .merge(tables["sites"][["site_id", "region_id"]])
        .merge(tables["regions"][["region_id", "records_from"]])
    )
    events = tables["replacements"].merge(units, on="unit_id", validate="m:1")
    assert (events["replaced_on"] >= events["records_from"]).all()
    assert (events["replaced_on"] > events["commissioned_on"]).all()
    assert (events["replaced_on"] <= events["retired_on"].fillna(LAST_DAY)).all()
    fits = tables["fitment"].set_index(["product_id", "part_id"]).index
    assert pd.MultiIndex.from_frame(events[["product_id", "part_id"]]).isin(fits).all()
    assert 15_000 < len(events) < 25_000


def test_orders_follow_their_clock_and_fit_their_replacements(pump):
    orders, events = pump.tables["work_orders"], pump.tables["replacements"]
    assert orders["opened_at"].between("2025-01-01", "2026-01-01").all()
    answered, done = orders.dropna(subset=["responded_at"]), orders.dropna(subset=["resolved_at"])
    assert (answered["responded_at"] >= answered["opened_at"]).all()
    assert (done["resolved_at"] >= done["responded_at"]).all()
    assert (done["resolved_at"] <= "2026-01-01").all()
    assert (done["outcome"].notna()).all() and len(done) < len(orders)
    linked = events.dropna(subset=["order_id"]).merge(orders, on=["order_id", "unit_id"], validate="m:1")
    assert len(linked) == events["order_id"].notna().sum()
    assert (linked["resolved_at"].dt.normalize() == linked["replaced_on"]).all()
    # A failure from mid-January on began in the window, so its order must be there.
    late = events[(events["replaced_on"] >= "2025-02-15") & ~events["planned"]]
    assert late["order_id"].notna().all()


def test_today_holds_too_much_of_the_slow_and_too_little_of_the_fast(pump):
    tables = pump.tables
    units = tables["units"][["unit_id", "site_id"]]
    used = tables["replacements"].merge(units)
    used = (
        used[used["replaced_on"] > "2024-12-31"]
        .groupby(["part_id", "site_id"])["quantity"]
        .sum()
        .rename("used")
    )
    stock = tables["stock"].merge(used.reset_index(), how="left").fillna({"used": 0})
    stock = stock[stock["site_id"] != "000"]
    months = stock["on_hand"] / stock["used"].replace(0, np.nan) * 12
    assert months[stock["used"] >= 12].median() < 2
    assert months[stock["used"].between(1, 2)].median() >= 6
    assert stock["backorders"].sum() > 20
    on_order = tables["open_orders"].groupby(["part_id", "to_site_id"])["quantity"].sum()
    assert on_order.sum() == tables["stock"]["on_order"].sum()


# -- the truth is found again ------------------------------------------------------------------------------


def spells_of(tables, part_id, records_from="2022-01-01", newest=200):
    """Spells [hours] between recorded renewals, and first pieces of machines handed over late enough."""
    usage = tables["usage"].pivot_table(
        index=["product_id", "region_id"], columns="month", values="hours_per_unit"
    )
    edges = to_day(usage.columns.append(pd.DatetimeIndex(["2026-01-01"])))
    total = np.hstack([np.zeros((len(usage), 1)), usage.to_numpy().cumsum(axis=1)])
    units = tables["units"].merge(tables["sites"][["site_id", "region_id"]])
    units = units[units["product_id"].isin(tables["fitment"].query("part_id == @part_id")["product_id"])]
    units = units[units["region_id"] != "新疆"]
    events = tables["replacements"].query("part_id == @part_id").copy()
    events["position"] = events["position"].fillna("1")
    quantity = tables["fitment"].query("part_id == @part_id").set_index("product_id")["quantity"]
    history = dict(iter(events.groupby(["unit_id", "position"])))
    origin = to_day([records_from])[0]
    found = []
    for unit in units.itertuples():
        row = usage.index.get_loc((unit.product_id, unit.region_id))
        end = min(unit.retired_on, LAST_DAY) if pd.notna(unit.retired_on) else LAST_DAY
        start, stop = to_day([unit.commissioned_on])[0], to_day([end])[0]
        if stop <= origin:
            continue
        for position in range(1, int(quantity[unit.product_id]) + 1):
            group = history.get((unit.unit_id, str(position)))
            days = to_day(group["replaced_on"]) if group is not None else np.zeros(0, dtype=int)
            planned = group["planned"].to_numpy() if group is not None else np.zeros(0, dtype=bool)
            marks = np.interp(np.r_[start, max(origin, start), days, stop], edges, total[row])
            births, ends = np.r_[marks[0], marks[2:-1]], marks[2:]
            failed = np.r_[~planned, False]
            entry = np.zeros(len(births))
            entry[0] = marks[1] - marks[0]
            keep = np.ones(len(births), dtype=bool)
            keep[0] = start >= origin - newest
            found.append(np.c_[entry, ends - births, failed][keep])
    spells = np.concatenate(found)
    return spells[spells[:, 1] > spells[:, 0]].T


def weibull_fit(entry, exit_, failed):
    """Maximum likelihood with left truncation, written out; standard errors from the curvature."""

    def minus_loglik(theta):
        shape, scale = np.exp(theta)
        hazard = np.log(shape / scale) + (shape - 1) * np.log(exit_ / scale)
        return -(failed * hazard - (exit_ / scale) ** shape + (entry / scale) ** shape).sum()

    best = minimize(
        minus_loglik,
        [0.5, np.log(exit_.mean())],
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-6, "maxiter": 2000},
    )
    step = 1e-3
    hessian = np.empty((2, 2))
    for i in range(2):
        for j in range(2):
            moves = [
                (a * step * np.eye(2)[i] + b * step * np.eye(2)[j], a * b) for a in (1, -1) for b in (1, -1)
            ]
            hessian[i, j] = sum(sign * minus_loglik(best.x + move) for move, sign in moves) / (4 * step**2)
    return np.exp(best.x), np.sqrt(np.diag(np.linalg.inv(hessian)))


@pytest.mark.parametrize("part_id", ["00101", "00103", "00111", "00112", "00113"])
def test_lives_of_busy_parts_are_found_again_by_a_truncated_likelihood(pump, part_id):
    entry, exit_, failed = spells_of(pump.tables, part_id)
    assert failed.sum() > 500
    (shape, scale), (shape_error, scale_error) = weibull_fit(entry, exit_, failed)
    truth = pump.truth["lives"].set_index("part_id").loc[part_id]
    assert abs(np.log(shape / truth["shape"])) < 4 * shape_error < 0.25
    assert abs(np.log(scale / truth["scale_hours"])) < 4 * scale_error < 0.1


def test_replacements_per_year_agree_with_lives_drawn_one_by_one(pump):
    tables = pump.tables
    lives = pump.truth["lives"].set_index("part_id").loc["00112"]
    usage = tables["usage"].pivot_table(
        index=["product_id", "region_id"], columns="month", values="hours_per_unit"
    )
    edges = to_day(usage.columns.append(pd.DatetimeIndex(["2026-01-01"])))
    units = (
        tables["units"].merge(tables["sites"][["site_id", "region_id"]]).query("product_id in ['DP', 'PT']")
    )
    units = units[units["region_id"] != "新疆"]
    rng = np.random.default_rng(4)
    copies, years = 6, np.zeros(11)
    for unit in units.itertuples():
        clock = np.r_[0, usage.loc[(unit.product_id, unit.region_id)].cumsum()]
        end = min(unit.retired_on, LAST_DAY) if pd.notna(unit.retired_on) else LAST_DAY
        first, last = np.interp(to_day([unit.commissioned_on, end]), edges, clock)
        for _ in range(copies):
            reached = first + lives["scale_hours"] * rng.weibull(lives["shape"])
            while reached < last:
                years[pd.Timestamp(np.interp(reached, clock, edges), unit="D").year - 2015] += 1
                reached += lives["scale_hours"] * rng.weibull(lives["shape"])
    expected = years[7:] / copies
    events = tables["replacements"].query("part_id == '00112'").merge(units[["unit_id"]])
    actual = events["replaced_on"].dt.year.value_counts().sort_index().to_numpy()
    # Renewals of shape above 1 vary less than Poisson counts, so Poisson errors are on the safe side.
    error = np.sqrt(expected + expected / copies)
    assert (np.abs(actual - expected) < 3.5 * error).all(), (actual, expected)


def test_the_year_that_followed_continues_the_ages_of_the_last_day(pump):
    tables = pump.tables
    lives = pump.truth["lives"].set_index("part_id").loc["00112"]
    past = tables["usage"].pivot_table(
        index=["product_id", "region_id"], columns="month", values="hours_per_unit"
    )
    edges = to_day(past.columns.append(pd.DatetimeIndex(["2026-01-01"])))
    months = pd.date_range("2026-01-01", periods=12, freq="MS")
    ahead = pd.DataFrame(usual_hours(months), index=use_groups()).sum(axis=1)
    sites = tables["sites"][["site_id", "region_id"]]
    units = tables["units"].merge(sites).query("product_id in ['DP', 'PT'] and retired_on.isna()")
    last = tables["replacements"].query("part_id == '00112'").groupby("unit_id")["replaced_on"].max()
    born = units["unit_id"].map(last).fillna(units["commissioned_on"])
    rng, copies, count = np.random.default_rng(11), 10, 0
    shape, scale = lives["shape"], lives["scale_hours"]
    for unit, birth in zip(units.itertuples(), born):
        key = (unit.product_id, unit.region_id)
        clock = np.r_[0, past.loc[key].cumsum()]
        age = clock[-1] - np.interp(to_day([birth])[0], edges, clock)
        for _ in range(copies):
            reached = -age
            while reached <= 0:
                # Rejection: draw whole lives until one outlives the age reached.
                reached = -age + scale * rng.weibull(shape)
            while reached < ahead[key]:
                count += 1
                reached += scale * rng.weibull(shape)
    old = count / copies
    sold = tables["sales_plan"].query("product_id in ['DP', 'PT']")["units_sold"].sum()
    actual = pump.truth["next_year"].query("part_id == '00112'")["quantity"].sum()
    # Machines sold in the year add less than one piece each, scrapped ones (a few in a hundred) take some
    assert 0.9 * old - 4 * np.sqrt(old) < actual < old + sold + 4 * np.sqrt(old)
    assert abs(actual / old - 1) < 0.2


def test_counter_sales_agree_with_their_rates(pump):
    rates = pump.truth["counter_rates"]
    expected = (rates["orders_per_month"] * rates["mean_order_size"] * 48).groupby(rates["part_id"]).sum()
    actual = pump.tables["demand"].groupby("part_id")["quantity"].sum().reindex(expected.index).fillna(0)
    # Variance of a compound Poisson sum: orders x E(size squared), sizes geometric.
    second = rates["mean_order_size"] * (2 * rates["mean_order_size"] - 1)
    variance = (rates["orders_per_month"] * 48 * second).groupby(rates["part_id"]).sum()
    assert (np.abs(actual - expected) < 4 * np.sqrt(variance)).all()


def test_meters_of_locomotives_rise_and_follow_their_own_use(rail):
    readings = rail.tables["meter_readings"].sort_values(["unit_id", "read_on"])
    steps = readings.groupby("unit_id")["hours"].diff().dropna()
    assert (steps > 0).all()
    span = readings.groupby("unit_id").agg(
        first=("read_on", "min"), last=("read_on", "max"), low=("hours", "min"), high=("hours", "max")
    )
    per_month = (span["high"] - span["low"]) / ((span["last"] - span["first"]).dt.days / 30.4375)
    joined = (
        rail.truth["use"]
        .merge(rail.tables["units"])
        .set_index("unit_id")
        .join(per_month.rename("rate"))
        .dropna(subset=["rate"])
    )
    base = joined["product_id"].map({"HXD": 420, "SDD": 360, "SHU": 190})
    np.testing.assert_allclose(joined["rate"] / base / joined["use"], 1, atol=0.15)


def test_what_was_not_reported_in_time_is_not_known(rail):
    events = rail.tables["replacements"]
    assert (events["reported_on"] > events["replaced_on"]).all()
    assert (events["reported_on"] <= LAST_DAY).all()
    assert "work_orders" not in rail.tables and "promises" not in rail.tables


# -- the engine against known numbers ----------------------------------------------------------------------


def test_exponential_lives_fail_at_their_rate_whatever_the_age():
    count, hours = 4_000, 300.0 * 36
    clock = day_clock(months=37)
    start, end = (np.full(count, float(to_day([date])[0])) for date in ("2020-01-01", "2023-01-01"))
    found = simulate_renewals(
        np.random.default_rng(0),
        clock,
        np.zeros(count, dtype=int),
        start,
        end,
        np.ones(count),
        np.full(count, 20_000.0),
    )
    expected = count * hours / 20_000
    assert abs(len(found.day) - expected) < 4 * np.sqrt(expected)


def test_renewals_agree_with_the_renewal_equation():
    shape, scale, months, count = 2.5, 1_200.0, 24, 20_000
    clock = day_clock(hours_per_month=100.0, months=months + 1)
    start, end = (np.full(count, float(to_day([date])[0])) for date in ("2020-01-01", "2022-01-01"))
    found = simulate_renewals(
        np.random.default_rng(1),
        clock,
        np.zeros(count, dtype=int),
        start,
        end,
        np.full(count, shape),
        np.full(count, scale),
    )
    # M(t) = F(t) + integral of M(t - x) dF(x), solved on a fine grid of hours.
    grid = np.arange(0, 2_401.0, 4.0)
    law = 1 - np.exp(-((grid / scale) ** shape))
    renewal = np.zeros(len(grid))
    for step in range(1, len(grid)):
        middle = (renewal[step - 1 :: -1] + renewal[step:0:-1]) / 2
        renewal[step] = law[step] + (np.diff(law[: step + 1]) * middle[:step]).sum()
    by_year = [np.interp(hours, grid, renewal) for hours in (1_200, 2_400)]
    counted = [(to_date(found.day) < date).sum() / count for date in ("2021-01-01", "2022-01-01")]
    np.testing.assert_allclose(counted, by_year, rtol=0.02)


def test_an_aged_piece_fails_by_its_conditional_law():
    count, shape, scale, age = 20_000, 3.0, 1_000.0, 800.0
    clock = day_clock(hours_per_month=100.0, months=5)
    start, end = (np.full(count, float(to_day([date])[0])) for date in ("2020-01-01", "2020-05-01"))
    found = simulate_renewals(
        np.random.default_rng(9),
        clock,
        np.zeros(count, dtype=int),
        start,
        end,
        np.full(count, shape),
        np.full(count, scale),
        age=age,
    )
    failed = len(np.unique(found.position)) / count
    expected = 1 - np.exp((age / scale) ** shape - ((age + 400) / scale) ** shape)
    assert abs(failed - expected) < 4 * np.sqrt(expected * (1 - expected) / count)


def test_planned_ages_replace_survivors_and_nothing_else():
    count = 2_000
    clock = day_clock(hours_per_month=100.0, months=61)
    start, end = (np.full(count, float(to_day([date])[0])) for date in ("2020-01-01", "2025-01-01"))
    found = simulate_renewals(
        np.random.default_rng(2),
        clock,
        np.zeros(count, dtype=int),
        start,
        end,
        np.full(count, 2.0),
        np.full(count, 1_000.0),
        planned_age=1_000.0,
    )
    first = np.unique(found.position, return_index=True)[1]
    assert len(first) == count
    assert abs(found.planned[first].mean() - np.exp(-1)) < 4 * np.sqrt(np.exp(-1) / count)


def test_clock_runs_back_to_the_day_it_came_from():
    rng = np.random.default_rng(3)
    months = pd.date_range("2020-01-01", periods=48, freq="MS")
    clock = Clock.from_monthly(months, rng.uniform(10, 300, (5, 48)))
    group = rng.integers(0, 5, 500)
    day = rng.uniform(clock.edges[0], clock.edges[-1], 500)
    np.testing.assert_allclose(clock.day_at(group, clock.hours_at(group, day)), day, atol=1e-4)


def test_no_position_is_renewed_twice_on_a_day():
    pieces = pd.DataFrame(
        {
            "quantity": [4] * 50,
            "as_set": False,
            "group": 0,
            "start_day": float(to_day(["2020-01-01"])[0]),
            "end_day": float(to_day(["2024-12-01"])[0]),
            "shape": 0.7,
            "scale_hours": 300.0,
            "planned_age_hours": np.inf,
            "use": 1.0,
        }
    )
    events = renew_fleet(np.random.default_rng(5), day_clock(hours_per_month=600.0), pieces)
    assert len(events) > 1_000
    assert not events.duplicated(["piece", "position", "replaced_on"]).any()


def test_a_set_is_renewed_whole():
    pieces = pd.DataFrame(
        {
            "quantity": [4, 4],
            "as_set": [True, False],
            "group": 0,
            "start_day": float(to_day(["2020-01-01"])[0]),
            "end_day": float(to_day(["2024-12-01"])[0]),
            "shape": 2.0,
            "scale_hours": 1_000.0,
            "planned_age_hours": np.inf,
            "use": 1.0,
        }
    )
    events = renew_fleet(np.random.default_rng(6), day_clock(), pieces)
    assert set(events.loc[events["piece"] == 0, "quantity"]) == {4}
    assert set(events.loc[events["piece"] == 1, "position"]) == {1, 2, 3, 4}


def test_product_by_product_gives_the_counts_of_the_whole():
    units = pd.DataFrame(
        {
            "product": [0, 1, 0, 1] * 200,
            "group": 0,
            "start_day": float(to_day(["2020-01-01"])[0]),
            "end_day": float(to_day(["2024-12-01"])[0]),
            "use": 1.0,
        }
    )
    fits = pd.DataFrame({"product": [0, 1, 1], "part": [0, 0, 1], "quantity": [1, 2, 1]})
    lives = pd.DataFrame(
        {"shape": [1.0, 1.0], "scale_hours": [9_000.0, 30_000.0], "planned_age_hours": np.inf}
    )
    events = renew_products(np.random.default_rng(7), day_clock(), units, fits, lives)
    expected = np.array([400 * 1 + 400 * 2, 400]) * 300 * 59 / np.array([9_000, 30_000])
    actual = events["part"].value_counts().sort_index().to_numpy()
    assert (np.abs(actual - expected) < 4 * np.sqrt(expected)).all()
    assert events["replaced_on"].is_monotonic_increasing


def test_compound_sales_have_the_moments_of_their_law():
    rate, size, months = np.full(400, 0.4), np.full(400, 2.5), 50
    row, month, quantity = compound_sales(np.random.default_rng(8), rate, size, months)
    table = np.zeros((400, months))
    table[row, month] = quantity
    assert quantity.min() >= 1
    assert table.mean() == pytest.approx(0.4 * 2.5, rel=0.05)
    assert table.var() == pytest.approx(0.4 * 2.5 * (2 * 2.5 - 1), rel=0.1)


def test_streams_of_one_seed_do_not_disturb_each_other():
    first = stream(3, "units").random(4)
    stream(3, "parts").random(100)
    np.testing.assert_array_equal(first, stream(3, "units").random(4))
    assert not np.array_equal(first, stream(3, "parts").random(4))


# -- networks of any size ----------------------------------------------------------------------------------


def test_a_network_has_the_size_asked_for_and_passes_every_check(tmp_path):
    folder = make_sample(tmp_path / "net", parts=300, sites=12, machines=150, seed=5)
    data = sp.read_dataset(folder)
    assert (len(data.parts), len(data.sites), len(data.units)) == (300, 12, 150)
    assert data.dropped.empty
    yearly = len(data.replacements) / 150 / 3
    assert 0.5 < yearly < 6


@pytest.mark.parametrize("sizes", [(2, 2, 1), (3, 2, 40), (40, 3, 1), (25, 40, 10)])
def test_tiny_and_lopsided_networks_are_whole(sizes):
    parts, sites, machines = sizes
    tables = sample_tables(parts=parts, sites=sites, machines=machines, seed=0).tables
    assert (len(tables["parts"]), len(tables["sites"]), len(tables["units"])) == sizes
    sp.Dataset.from_frames(tables)


def test_large_networks_are_written_as_parquet_and_read_back(tmp_path):
    folder = make_sample(tmp_path / "big", parts=2_000, sites=30, machines=30_000, seed=1)
    assert not list(folder.glob("*.csv")) and (folder / "parts.parquet").exists()
    data = sp.read_dataset(folder)
    assert len(data.units) == 30_000 and data.dropped.empty


def test_same_seed_same_network():
    one, two = (sample_tables(parts=60, sites=6, machines=30, seed=9).tables for _ in range(2))
    for name in one:
        pd.testing.assert_frame_equal(one[name], two[name])


@pytest.mark.parametrize(
    ("arguments", "column"),
    [
        ({"kind": "submarine"}, "kind"),
        ({"seed": -1}, "seed"),
        ({"kind": "delivery_pump", "parts": 10}, "parts"),
        ({"parts": 1, "sites": 5, "machines": 5}, "parts"),
        ({"sites": 1}, "sites"),
        ({"machines": 0}, "machines"),
    ],
)
def test_wrong_wishes_are_refused_by_name(arguments, column, tmp_path):
    with pytest.raises(DataError) as caught:
        make_sample(tmp_path / "none", **arguments)
    assert caught.value.problems["column"].tolist() == [column]
    assert not (tmp_path / "none").exists()


def test_a_folder_with_another_dataset_is_left_alone(tmp_path):
    (tmp_path / "work_orders.csv").write_text("order_id\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        make_sample(tmp_path, kind="overseas_rail")
    assert "work_orders.csv" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["work_orders.csv"]


def test_a_sample_can_be_written_over_itself(tmp_path):
    first = make_sample(tmp_path, parts=20, sites=3, machines=5, seed=1)
    assert make_sample(first, parts=20, sites=3, machines=5, seed=2) == first


def test_no_row_of_replacements_stands_twice(pump, rail):
    tables = [pump.tables, rail.tables, sample_tables(parts=200, sites=5, machines=400, seed=3).tables]
    assert not any(each["replacements"].duplicated().any() for each in tables)


def test_pieces_without_position_replaced_together_are_summed():
    pieces = pd.DataFrame(
        {"unit": [1, 1, 1, 2], "position": [None, None, "2", None], "quantity": [1, 1, 1, 3]}
    )
    summed = sum_equal_rows(pieces)
    assert summed["quantity"].tolist() == [2, 1, 3]
    assert summed["unit"].tolist() == [1, 1, 2]
