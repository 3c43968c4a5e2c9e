from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.feedback import score_demand, score_plan, taken_from_shelves
from spareplan.maths.distributions import quantile
from spareplan.tables.dataset import Dataset
from tests.small_data import forecast

MONTHS = pd.date_range("2026-07-01", periods=6, freq="MS")
REGION = pd.Series({"S1": "east", "S2": "east", "S3": "west", "HQ": np.nan})


def planned(rows):
    table = pd.DataFrame(rows, columns=["part_id", "site_id", "month", "mean"])
    return table.assign(month=pd.to_datetime(table["month"]), vmr=1.0, rate_cv2=0.0)


def actual(rows):
    table = pd.DataFrame(rows, columns=["part_id", "site_id", "month", "quantity"])
    return table.assign(month=pd.to_datetime(table["month"]), quantity=table["quantity"].astype(float))


def of(score, group, **keys):
    table = score.table[score.table["group"] == group]
    for name, value in keys.items():
        table = table[table[name] == value]
    return table.iloc[0]


def test_errors_add_up_from_parts_and_regions_to_the_total():
    rng = np.random.default_rng(2)
    plan = planned(
        [
            (part, site, month, rng.uniform(0, 5))
            for part in "PQR"
            for site in REGION.index
            for month in MONTHS
        ]
    )
    seen = plan[["part_id", "site_id", "month"]].assign(quantity=rng.poisson(2.0, len(plan)).astype(float))
    score = score_demand(plan, seen.sample(60, random_state=1), REGION)
    total = of(score, "total")
    for group in ("region", "part", "region and part"):
        rows = score.table[score.table["group"] == group]
        assert rows["planned"].sum() == pytest.approx(total["planned"])
        assert rows["actual"].sum() == total["actual"]
        assert rows["error"].sum() == pytest.approx(total["error"])
    assert set(score.table.query("group == 'region'")["region_id"]) == {"east", "west", "HQ"}


def test_a_part_planned_too_high_each_month_is_seen_by_bias_and_tracking_signal():
    plan = planned(
        [("P", "S1", month, 8.0) for month in MONTHS] + [("Q", "S1", month, 4.0) for month in MONTHS]
    )
    seen = actual(
        [("P", "S1", month, 2) for month in MONTHS]
        + [("Q", "S1", month, 4 + (-1) ** k) for k, month in enumerate(MONTHS)]
    )
    score = score_demand(plan, seen, REGION)
    high, fair = of(score, "part", part_id="P"), of(score, "part", part_id="Q")
    assert high["bias"] == 3.0 and high["tracking_signal"] == 6.0
    assert high["surprise"] == pytest.approx(-36 / 48**0.5)
    assert "lower it" in high["reason"] and "within chance" in fair["reason"]
    assert fair["bias"] == 0 and fair["tracking_signal"] == 0 and fair["absolute_error"] == 6


def test_demand_where_nothing_was_planned_counts():
    score = score_demand(planned([("P", "S1", MONTHS[0], 1.0)]), actual([("Z", "S3", MONTHS[0], 5)]), REGION)
    assert of(score, "total")["actual"] == 5 and of(score, "part", part_id="Z")["planned"] == 0
    assert np.isnan(of(score, "part", part_id="P")["bias"])


def test_coverage_of_a_true_forecast_meets_its_levels():
    rng = np.random.default_rng(4)
    mean = rng.uniform(20, 60, 1500)
    plan = planned([(f"P{k:04}", "S1", MONTHS[0], value) for k, value in enumerate(mean)])
    for level in (0.5, 0.9):
        plan[f"q{level}"] = quantile(np.full(len(mean), level), mean)
    seen = actual([(f"P{k:04}", "S1", MONTHS[0], count) for k, count in enumerate(rng.poisson(mean))])
    score = score_demand(plan, seen)
    parts = score.table[score.table["group"] == "part"]
    assert of(score, "total")["within_q0.9"] == pytest.approx(0.915, abs=0.025)
    assert of(score, "total")["within_q0.5"] == pytest.approx(0.53, abs=0.04)
    assert (parts["surprise"].abs() > 2).mean() == pytest.approx(0.045, abs=0.02)


def test_surprise_shares_the_rate_of_a_part_over_its_sites():
    plan = planned([("P", site, MONTHS[0], 10.0) for site in ("S1", "S2")]).assign(rate_cv2=0.25)
    score = score_demand(plan, actual([("P", "S1", MONTHS[0], 40)]), REGION)
    assert of(score, "part", part_id="P")["surprise"] == pytest.approx(20 / (20 + 0.25 * 400) ** 0.5)


def test_an_override_is_worth_the_error_it_saved():
    plan = planned([("P", "S1", MONTHS[0], 10.0), ("Q", "S1", MONTHS[0], 1.0)]).assign(model_mean=[4.0, 3.0])
    laid = pd.DataFrame(
        [
            {
                "table": "demand",
                "column": "mean",
                "part_id": part,
                "site_id": None,
                "region_id": None,
                "month": pd.NaT,
                "value": value,
                "who": who,
                "when": MONTHS[0],
                "why": "tunnel",
            }
            for part, value, who in (("P", "10", "Li"), ("Q", "1", "Wang"))
        ]
    )
    score = score_demand(
        plan, actual([("P", "S1", MONTHS[0], 9), ("Q", "S1", MONTHS[0], 3)]), REGION, overrides=laid
    )
    rows = score.overrides.set_index("who")
    assert rows["value_added"].to_dict() == {"Li": 4.0, "Wang": -2.0}
    assert rows["helped"].to_dict() == {"Li": True, "Wang": False}
    assert of(score, "total")["value_added"] == 2.0
    assert "1 of 2 overrides were nearer than the model" in score.summary()


def test_corrections_follow_the_model_and_not_the_override():
    plan = planned([("P", "S1", MONTHS[0], 99.0)]).assign(model_mean=10.0, rate_cv2=0.5)
    score = score_demand(plan, actual([("P", "S1", MONTHS[0], 10)]), REGION)
    assert score.corrections["factor"].tolist() == [1.0]


def test_the_dearest_error_stands_first():
    plan = planned([("P", "S1", MONTHS[0], 5.0), ("Q", "S1", MONTHS[0], 5.0)])
    seen = actual([("P", "S1", MONTHS[0], 9), ("Q", "S1", MONTHS[0], 6)])
    score = score_demand(plan, seen, REGION, unit_cost=pd.Series({"P": 1.0, "Q": 100.0}))
    parts = score.table[score.table["group"] == "part"]
    assert parts["part_id"].tolist() == ["Q", "P"] and parts["money"].tolist() == [100.0, 4.0]


def small_data(last):
    days = pd.date_range("2026-05-15", last, freq="MS")
    return Dataset.from_frames(
        {
            "parts": pd.DataFrame([{"part_id": "P", "name": "p", "unit_cost": 10, "lead_time_days": 30}]),
            "sites": pd.DataFrame([{"site_id": "S1", "name": "s", "parent_id": None, "lead_time_days": 0}]),
            "products": pd.DataFrame([{"product_id": "A", "name": "a", "tier": 1}]),
            "fitment": pd.DataFrame([{"product_id": "A", "part_id": "P", "quantity": 1}]),
            "units": pd.DataFrame(
                [{"unit_id": "1", "product_id": "A", "site_id": "S1", "commissioned_on": "2024-01-01"}]
            ),
            "replacements": pd.DataFrame(
                [{"unit_id": "1", "part_id": "P", "replaced_on": day, "quantity": 2} for day in days]
            ),
            "demand": pd.DataFrame(
                [{"part_id": "P", "site_id": "S1", "month": day, "quantity": 1} for day in days]
            ),
        }
    )


def test_a_plan_is_compared_with_the_months_that_are_over():
    plan = SimpleNamespace(demand=forecast([("P", "S1", month, 2.5) for month in MONTHS]), inputs={})
    score = score_plan(plan, small_data("2026-08-20"))
    total = of(score, "total")
    assert (total["months"], total["planned"], total["actual"]) == (2, 5.0, 6.0)
    with pytest.raises(DataError, match="no month of the plan"):
        score_plan(plan, small_data("2026-06-20"))


def test_everything_taken_counts_whether_failed_or_planned():
    taken = taken_from_shelves(small_data("2026-07-20"))
    assert taken["quantity"].tolist() == [3.0, 3.0]


def test_doubled_rows_are_refused():
    twice = planned([("P", "S1", MONTHS[0], 1.0)] * 2)
    with pytest.raises(DataError):
        score_demand(twice, actual([("P", "S1", MONTHS[0], 1)]))
