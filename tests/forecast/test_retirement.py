"""Machine life: simulated fleets with known lives, records that start late, fleets without retirements."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import gamma

from spareplan.errors import DataError
from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.retirement import (
    ASSUMED_SHAPE,
    conditional_survival,
    expected_retirements,
    learn_retirement,
    plan_retirements,
)
from tests.forecast.fleets import TODAY as FLEET_TODAY
from tests.forecast.fleets import make_fleet

TODAY = pd.Timestamp("2025-12-31")
YEAR = 365.25


def make_units(seed, machines, shape=3.0, years=12.0, sold_over=20.0, product="M", recorded=None):
    """Machines sold evenly over the years before TODAY; those gone before `recorded` are lost."""
    rng = np.random.default_rng(seed)
    born = TODAY - pd.to_timedelta(np.round(rng.uniform(1, sold_over * YEAR, machines)), unit="D")
    life = years * YEAR / gamma(1 + 1 / shape) * rng.weibull(shape, machines)
    end = born + pd.to_timedelta(np.ceil(life), unit="D")
    units = pd.DataFrame(
        {
            "unit_id": [f"{product}{i:05d}" for i in range(machines)],
            "product_id": product,
            "site_id": "S",
            "commissioned_on": born,
            "retired_on": pd.Series(end).where(end <= TODAY),
            "true_end": end,
        }
    )
    if recorded is not None:
        units = units[~(units["retired_on"] < pd.Timestamp(recorded))].reset_index(drop=True)
    return units


def products(*names, **columns):
    return pd.DataFrame({"product_id": list(names), **columns})


def test_law_of_a_well_recorded_fleet_is_found_again():
    law = learn_retirement(make_units(1, 3000), products("M"), TODAY)
    row = law.table.iloc[0]
    assert row["shape"] == pytest.approx(3.0, rel=0.08)
    assert row["mean_life_years"] == pytest.approx(12.0, rel=0.03)
    assert pd.isna(law.records_from)


@pytest.mark.parametrize("seed", range(3))
def test_machines_that_left_before_the_records_do_not_lengthen_the_life(seed):
    units = make_units(seed, 3000, recorded="2022-06-01")
    law = learn_retirement(units, products("M"), TODAY)
    assert law.records_from == pd.Timestamp("2022-06-01")
    assert law.table["mean_life_years"].iloc[0] == pytest.approx(12.0, rel=0.06)
    assert "retirements are recorded from" in {row["name"] for row in law.notes}
    naive = learn_retirement(
        units.assign(retired_on=units["retired_on"].where(units["retired_on"] > "2035-01-01")),
        products("M"),
        TODAY,
    )
    assert naive.table["origin"].eq("assumed").all()


def test_survival_matches_what_happened_to_the_machines():
    units = make_units(5, 6000)
    law = learn_retirement(units, products("M"), TODAY)
    alive = units[units["retired_on"].isna()]
    age = (TODAY - alive["commissioned_on"]).dt.days.to_numpy(float)
    left = (alive["true_end"] - TODAY).dt.days.to_numpy(float)
    ahead = np.array([1, 3, 5, 10]) * YEAR
    told = law.survival(alive["product_id"].to_numpy()[:, None], age[:, None], ahead)
    assert told.shape == (len(alive), 4)
    for column, days in enumerate(ahead):
        expected, seen = told[:, column].sum(), (left > days).sum()
        spread = np.sqrt((told[:, column] * (1 - told[:, column])).sum())
        assert abs(expected - seen) < 3 * spread + 0.03 * expected


def test_survival_is_certain_now_and_falls():
    law = learn_retirement(make_units(2, 300), products("M"), TODAY)
    path = law.survival(["M"], [4000.0], np.linspace(0, 20000, 50))
    assert path[0] == 1.0
    assert (np.diff(path) <= 0).all()
    assert path[-1] < 0.05
    weight, each = law.scenarios(["M"], [4000.0], np.linspace(0, 20000, 50))
    np.testing.assert_allclose(weight @ each, path, rtol=1e-12)


def test_conditional_survival_is_the_ratio_of_two_survivals():
    age, ahead, eta, b = 3.0, 2.0, 4.0, 2.5
    ratio = np.exp(-((5.0 / eta) ** b)) / np.exp(-((3.0 / eta) ** b))
    assert conditional_survival(b, eta, age, ahead) == pytest.approx(ratio)
    draws = eta * np.random.default_rng(0).weibull(b, 400_000)
    assert conditional_survival(b, eta, age, ahead) == pytest.approx(
        (draws > 5).sum() / (draws > 3).sum(), abs=0.01
    )


def test_without_any_retirement_the_assumed_life_holds_and_is_named():
    units = make_units(3, 200, years=500.0)
    law = learn_retirement(units, products("M"), TODAY, machine_life_years=8.0)
    assert law.table["mean_life_years"].iloc[0] == pytest.approx(8.0)
    assert law.table["shape"].iloc[0] == pytest.approx(ASSUMED_SHAPE)
    assert law.notes[0]["origin"] == "assumed: forecast.machine_life_years"
    fresh = law.survival(["M"], [0.0], [8 * YEAR])[0]
    assert 0.4 < fresh < 0.6


def test_products_without_retirements_lean_on_the_others_or_on_their_analogue():
    units = pd.concat(
        [
            make_units(6, 800, years=6.0, product="A"),
            make_units(7, 800, years=16.0, product="B"),
            make_units(8, 30, years=16.0, sold_over=2.0, product="C"),
        ]
    )
    known = products("A", "B", "C", "N", like_product=[None, None, None, "B"])
    law = learn_retirement(units, known, TODAY).table.set_index("product_id")
    assert law.loc["A", "mean_life_years"] == pytest.approx(6, rel=0.08)
    assert law.loc["B", "mean_life_years"] == pytest.approx(16, rel=0.1)
    assert np.isfinite(law["scale"]).all()
    assert law.loc["A", "mean_life_years"] < law.loc["C", "mean_life_years"] < 40
    assert law.loc["N", "scale"] == law.loc["B", "scale"]
    assert law.loc["N", "origin"] == "data: products.like_product"


def test_expected_retirements_match_the_machines_that_leave():
    units = make_units(9, 8000)
    law = learn_retirement(units, products("M"), TODAY)
    months = pd.date_range("2026-01-01", periods=24, freq="MS")
    told = expected_retirements(units, law, TODAY, months)
    alive = units[units["retired_on"].isna()]
    seen = (alive["true_end"] < "2028-01-01").sum()
    assert told["units_retired"].sum() == pytest.approx(seen, abs=3 * np.sqrt(seen) + 0.03 * seen)
    assert len(told) == 24 and (told["units_retired"] > 0).all()


def test_the_order_of_the_machines_does_not_matter():
    units = make_units(4, 400)
    one = learn_retirement(units, products("M"), TODAY).table
    other = learn_retirement(units.sample(frac=1, random_state=1), products("M"), TODAY).table
    pd.testing.assert_frame_equal(one, other)


def test_a_machine_retired_before_it_was_sold_is_refused_by_row():
    units = make_units(4, 5)
    units.loc[3, "retired_on"] = units.loc[3, "commissioned_on"] - pd.Timedelta(days=3)
    with pytest.raises(DataError) as error:
        learn_retirement(units, products("M"), TODAY)
    problem = error.value.problems.iloc[0]
    assert (problem["table"], problem["row"], problem["column"]) == ("units", 5, "retired_on")


def test_a_product_without_a_law_is_refused_by_name():
    law = learn_retirement(make_units(4, 50), products("M"), TODAY)
    with pytest.raises(DataError, match="X"):
        law.survival(["X"], [1.0], [1.0])


def test_expected_retirements_fill_a_sales_plan_that_says_nothing_of_them():
    data, _ = make_fleet(3, machines=200, first_sale="2016-01-01", parts={"P1": (1.5, 400.0)})
    law = learn_retirement(data.units, data.products, FLEET_TODAY, machine_life_years=6.0)
    months = pd.date_range("2026-01-01", periods=12, freq="MS")
    filled = plan_retirements(data, law, FLEET_TODAY, months)
    told = expected_retirements(data.units, law, FLEET_TODAY, months)
    assert filled["units_retired"].sum() == pytest.approx(told["units_retired"].sum())
    # The ordinary forecast takes them: fewer machines, fewer pieces.
    less, base = (
        forecast_demand(each, as_of=FLEET_TODAY).table["mean"].sum()
        for each in (dataclasses.replace(data, tables={**data.tables, "sales_plan": filled}), data)
    )
    share = 1 - told["units_retired"].sum() / 200
    assert 1 > less / base > share
    assert less / base == pytest.approx((1 + share) / 2, abs=0.03)


def test_a_sales_plan_that_retires_machines_is_left_as_it_is():
    plan = pd.DataFrame(
        {
            "product_id": "M",
            "site_id": "S1",
            "month": [pd.Timestamp("2026-02-01")],
            "units_sold": [4.0],
            "units_retired": [2.0],
        }
    )
    data, _ = make_fleet(3, machines=50, sales_plan=plan)
    law = learn_retirement(data.units, data.products, FLEET_TODAY)
    months = pd.date_range("2026-01-01", periods=3, freq="MS")
    filled = plan_retirements(data, law, FLEET_TODAY, months)
    pd.testing.assert_frame_equal(filled, data.sales_plan)
    silent = data.with_tables(sales_plan=plan.assign(units_retired=0.0))
    filled = plan_retirements(silent, law, FLEET_TODAY, months)
    assert filled["units_sold"].sum() == 4
    assert (filled["units_retired"] > 0).all()
