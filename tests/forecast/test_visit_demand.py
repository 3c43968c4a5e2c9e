"""Pieces used and failures prevented by visits ahead, against a fleet followed event by event."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.forecast.inspections import machine_cohorts
from spareplan.forecast.seasons import season_factors
from spareplan.forecast.visit_demand import DEMAND_COLUMNS, add_visits, visit_demand
from spareplan.maths.units import DAYS_PER_MONTH

TODAY = pd.Timestamp("2025-12-31")
MADE = (1, 3, 6, 12)
HOURS = 120.0
SCALE = {"hours": 1000.0, "days": 250.0}
SEASON = np.array([0.2, 0.3, 0.7, 1.2, 1.4, 1.5, 1.3, 1.3, 1.4, 1.3, 0.8, 0.6])
SEASON = SEASON / SEASON.mean()


def inputs(clock, machines):
    """One machine type, handed over in three months; visits ahead at months 1, 4 and 9."""
    units = pd.DataFrame(
        {
            "product_id": "M",
            "region_id": "N",
            "site_id": ["A", "A", "B"],
            "commissioned_on": pd.to_datetime(["2025-10-15", "2025-06-15", "2025-12-15"]),
        }
    )
    sales = pd.DataFrame(
        {
            "product_id": ["M"],
            "region_id": ["N"],
            "site_id": ["B"],
            "month": [pd.Timestamp("2026-03-01")],
            "units_sold": [1.0],
        }
    )
    cohorts = machine_cohorts(units, sales, TODAY, 2024 * 12)
    cohorts["machines"] *= machines
    usage = pd.DataFrame(
        {
            "product_id": "M",
            "region_id": "N",
            "month": pd.date_range("2025-01-01", periods=12, freq="MS"),
            "hours_per_unit": HOURS * SEASON,
        }
    )
    return {
        "wear": pd.DataFrame({"part_id": ["P"], "product_id": ["M"], "share_per_visit": [0.6]}),
        "lifetimes": pd.DataFrame(
            {"part_id": ["P"], "shape": [3.0], "scale": [SCALE[clock]], "clock": [clock]}
        ),
        "fitment": pd.DataFrame({"product_id": ["M"], "part_id": ["P"], "quantity": [2]}),
        "cohorts": cohorts,
        "schedule": pd.DataFrame({"after_months": [1, 4, 9]}),
        "made": MADE,
        "hours": pd.DataFrame({"product_id": ["M"], "region_id": ["N"], "hours_per_month": [HOURS]}),
        "season": season_factors(usage),
        "months": 18,
        "as_of": TODAY,
    }


def use_at(age, number, clock):
    """Use of a machine handed over in mid-month `number`, month by month."""
    if clock == "days":
        return age * DAYS_PER_MONTH
    months = np.arange(number, number + 40)
    summed = np.concatenate([[0.0], np.cumsum(HOURS * SEASON[(months - 1) % 12])])
    return np.interp(age + 0.5, np.arange(41), summed) - np.interp(0.5, np.arange(41), summed)


def followed(number, clock, with_ahead, pieces, rng, begin, months):
    """Failures and planned pieces per slot and month of the horizon, life after life."""
    visits = [v for v in MADE if number + v < begin]
    visits += [v for v in (1, 4, 9) if begin <= number + v < begin + months] if with_ahead else []
    visits = sorted(visits)
    edges = np.maximum(begin + np.arange(months + 1) - number - 0.5, 0.0)
    ends = use_at(edges, number, clock)
    failed, planned = np.zeros(months), np.zeros(months)
    due = SCALE[clock] * rng.weibull(3.0, pieces)
    for stop, visit in [(use_at(v, number, clock), v) for v in visits] + [(ends[-1], None)]:
        while (hit := due < stop).any():
            failed += np.histogram(due[hit], ends)[0]
            due[hit] += SCALE[clock] * rng.weibull(3.0, hit.sum())
        if visit is not None:
            used = rng.random(pieces) < 0.6
            if number + visit >= begin:
                planned[number + visit - begin] += used.sum()
            due[used] = stop + SCALE[clock] * rng.weibull(3.0, used.sum())
    return failed / pieces, planned / pieces


@pytest.mark.parametrize("clock", ["hours", "days"])
def test_pieces_and_prevented_failures_agree_with_simulation(clock):
    given = inputs(clock, machines=1.0)
    out = visit_demand(**given)
    rng, pieces, begin, months = np.random.default_rng(5), 300_000, 2026 * 12 + 1, 18
    prevented, planned, without = np.zeros(months), np.zeros(months), np.zeros(months)
    for number in given["cohorts"]["number"]:
        none, _ = followed(number, clock, False, pieces, rng, begin, months)
        some, used = followed(number, clock, True, pieces, rng, begin, months)
        # Two slots per machine.
        prevented += 2 * (none - some)
        without += 2 * none
        planned += 2 * used
    assert out["planned"].sum() == pytest.approx(planned.sum(), rel=0.005)
    left = without.sum() - out["prevented"].sum()
    assert left == pytest.approx(without.sum() - prevented.sum(), rel=0.005)
    by_month = out.groupby("month")[["planned", "prevented"]].sum()
    by_month = by_month.reindex(pd.date_range("2026-01-01", periods=months, freq="MS"), fill_value=0.0)
    np.testing.assert_allclose(by_month["planned"], planned, atol=0.01)
    np.testing.assert_allclose(by_month["prevented"], prevented, atol=0.015)
    assert prevented.sum() > 0.3


def test_demand_is_in_proportion_to_machines_and_keeps_to_their_sites():
    one, many = visit_demand(**inputs("hours", 1.0)), visit_demand(**inputs("hours", 7.0))
    np.testing.assert_allclose(many["planned"], 7 * one["planned"])
    np.testing.assert_allclose(many["prevented"], 7 * one["prevented"])
    mine = one[one["site_id"] == "B"]
    # Handed over in December and, sold, in March: visits after 1, 4 and 9 months each.
    used = mine.loc[mine["planned"] > 0, "month"].dt.strftime("%Y-%m").tolist()
    assert used == ["2026-01", "2026-04", "2026-07", "2026-09", "2026-12"]
    assert one["reason"].str.contains("failures less by the visits ahead").all()


def test_no_wear_parts_no_demand():
    given = inputs("days", 1.0)
    out = visit_demand(**(given | {"wear": given["wear"].iloc[:0]}))
    assert out.empty and list(out) == DEMAND_COLUMNS


def forecast(days=(15.0, 31.0, 59.0, 90.0)):
    months = pd.date_range("2026-01-01", periods=18, freq="MS")
    table = pd.DataFrame(
        {"part_id": "P", "site_id": np.repeat(["A", "B", "C"], 18), "month": np.tile(months, 3)}
    )
    table = table.assign(mean=6.0, from_installed_base=4.0, from_new_units=1.0, from_planned=1.0)
    windows = pd.DataFrame(
        {"part_id": "P", "site_id": np.repeat(["A", "B", "C"], len(days)), "days": [*days] * 3}
    )
    return table, windows.assign(mean=windows["days"] * 0.2, by_rate=windows["days"] * 0.2)


def test_visits_added_to_a_forecast_keep_its_sums():
    demand = visit_demand(**inputs("hours", 1.0))
    table, windows = forecast()
    months, sums = add_visits(table, windows, demand, TODAY)
    parts = months[["from_installed_base", "from_new_units", "from_planned"]].sum(axis=1)
    np.testing.assert_allclose(months["mean"], parts)
    net = demand["planned"].sum() - demand["prevented"].sum()
    assert months["mean"].sum() - table["mean"].sum() == pytest.approx(net)
    np.testing.assert_allclose(months["inspections"], months["from_installed_base"] - 4.0)
    # A window that ends with a month holds the months' sum.
    for site in "AB":
        at = (months["site_id"] == site) & (months["month"] < pd.Timestamp("2026-03-01"))
        added = months.loc[at, "mean"].sum() - table.loc[at, "mean"].sum()
        two = (sums["site_id"] == site) & (sums["days"] == 59)
        assert (sums["mean"] - windows["mean"])[two].item() == pytest.approx(added)
    assert sums.loc[sums["site_id"] == "C", "mean"].equals(windows.loc[windows["site_id"] == "C", "mean"])
    half = ((sums["mean"] - windows["mean"])[sums["site_id"] == "B"]).to_numpy()
    assert half[0] == pytest.approx(half[1] * 15 / 31)


def test_more_failures_prevented_than_expected_leave_none():
    demand = visit_demand(**inputs("hours", 1000.0))
    table, windows = forecast()
    months, sums = add_visits(table, windows, demand, TODAY)
    assert (months[["from_installed_base", "from_new_units", "mean"]].to_numpy() >= 0).all()
    assert (sums["mean"] >= 0).all()
    same, also = add_visits(table, windows, demand.iloc[:0], TODAY)
    pd.testing.assert_frame_equal(same.drop(columns="inspections"), table)
    pd.testing.assert_frame_equal(also, windows)
