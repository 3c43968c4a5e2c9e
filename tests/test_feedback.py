from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.feedback import score_demand, score_plan, score_versions, taken_from_shelves
from spareplan.maths.distributions import quantile
from spareplan.store import PlanStore
from spareplan.tables.dataset import Dataset
from tests.plans import small_plan
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


def grid(parts, months=MONTHS, sites=("S1",), mean=4.0):
    return planned([(part, site, month, mean) for part in parts for site in sites for month in months])


def taken_as(plan, quantity):
    return plan[["part_id", "site_id", "month"]].assign(quantity=np.asarray(quantity, dtype=float))


def test_months_and_regions_by_month_add_up_to_the_total():
    plan = grid("PQ", sites=("S1", "S3"))
    score = score_demand(plan, taken_as(plan, np.arange(len(plan)) % 5), REGION)
    total = of(score, "total")
    for group in ("month", "region and month"):
        rows = score.table[score.table["group"] == group]
        assert rows["planned"].sum() == total["planned"] and rows["actual"].sum() == total["actual"]
    one = of(score, "region and month", region_id="west", month=MONTHS[2])
    cells = score.cells.query("site_id == 'S3' and month == @MONTHS[2]")
    assert (one["months"], one["actual"]) == (1, cells["actual"].sum())


def test_a_limit_of_chance_stands_beside_each_tracking_signal():
    plan = grid("PQ", mean=8.0)
    seen = taken_as(plan, [6, 5, 6, 5, 6, 5, 12, 4, 12, 4, 11, 4])
    parts = score_demand(plan, seen, REGION).by("part").set_index("part_id")
    assert (parts["tracking_signal"].abs() > parts["tracking_limit"]).to_dict() == {"P": True, "Q": False}
    assert (parts["smoothed_signal"].abs() > parts["smoothed_limit"]).to_dict() == {"P": True, "Q": False}


def test_coverage_of_rare_counts_is_held_against_what_their_distribution_promises():
    rng = np.random.default_rng(8)
    mean = rng.uniform(0.05, 3.0, 4000)
    plan = planned([(f"P{k:04}", "S1", MONTHS[0], value) for k, value in enumerate(mean)])
    for level in (0.5, 0.9):
        plan[f"q{level}"] = quantile(np.full(len(mean), level), mean)
    fair = score_demand(plan, taken_as(plan, rng.poisson(mean))).coverage
    assert fair.query("region_id.isna()")["verdict"].eq("as promised").all()
    assert (fair["promised"] > fair["level"]).all()
    wild = rng.poisson(mean * rng.gamma(1.0, 1.0, len(mean)))
    narrow = score_demand(plan, taken_as(plan, wild)).coverage.query("region_id.isna()")
    assert narrow.set_index("level")["verdict"][0.9] == "too narrow"
    tame = score_demand(plan, taken_as(plan, np.rint(mean))).coverage.query("region_id.isna()")
    assert tame.set_index("level")["verdict"][0.9] == "too wide"
    assert "more often above than promised" in score_demand(plan, taken_as(plan, wild)).summary()


def test_chance_is_wider_where_a_part_is_counted_at_many_sites():
    rng = np.random.default_rng(9)
    sites = [f"S{k:02}" for k in range(40)]
    plan = grid([f"P{k}" for k in range(12)], MONTHS[:1], sites, mean=2.0).assign(rate_cv2=0.8)
    plan["q0.9"] = quantile(np.full(len(plan), 0.9), plan["mean"], plan["mean"] + 0.8 * plan["mean"] ** 2)
    rate = np.repeat(rng.gamma(1 / 0.8, 0.8, 12), 40)
    row = score_demand(plan, taken_as(plan, rng.poisson(2.0 * rate))).coverage.iloc[0]
    alone = 1.96 * (row["promised"] * (1 - row["promised"]) / len(plan)) ** 0.5
    assert row["high"] - row["promised"] > 1.5 * alone
    assert row["verdict"] == "as promised"


def history_of(parts, mean, rng, months=24):
    past = pd.date_range(end=MONTHS[0] - pd.Timedelta(days=1), periods=months, freq="MS")
    table = grid(parts, past, mean=1.0)
    return taken_as(table, rng.poisson(np.repeat(mean, months)))


def test_the_stairs_lead_from_naive_over_the_model_to_the_planner():
    rng = np.random.default_rng(10)
    parts = [f"P{k:03}" for k in range(80)]
    true = rng.uniform(2, 12, 80)
    plan = grid(parts).assign(mean=np.repeat(true, len(MONTHS)))
    plan["model_mean"] = plan["mean"]
    plan.loc[plan["part_id"] < "P040", "mean"] *= 2.0
    seen = taken_as(plan, rng.poisson(np.repeat(true, len(MONTHS))))
    score = score_demand(plan, seen, history=history_of(parts, true, rng))
    stairs = score.stairs.query("region_id.isna()").set_index("step")
    assert stairs.index.tolist() == [
        "the same month last year", "mean of the last twelve months", "the model", "planners' overrides",
    ]  # fmt: skip
    assert stairs["verdict"].tolist()[1:] == ["helps", "helps", "hurts"]
    assert stairs["squared_error"].iloc[2] == stairs["squared_error"].min()
    errors = (score.cells["model"] - score.cells["actual"]).abs().sum()
    assert stairs.loc["the model", "absolute_error"] == pytest.approx(errors)
    assert of(score, "total")["naive_error"] > 0 and "last twelve months' mean: helps" in score.summary()


def test_expecting_nothing_is_no_value_added_although_its_absolute_error_is_small():
    rng = np.random.default_rng(11)
    parts = [f"P{k:03}" for k in range(300)]
    plan = grid(parts, mean=0.0).assign(model_mean=0.3)
    seen = taken_as(plan, rng.poisson(0.3, len(plan)))
    laid = pd.DataFrame([decision("Zhao", 0)])
    score = score_demand(plan, seen, overrides=laid)
    assert score.overrides["value_added"].iloc[0] > 0
    assert score.planners["verdict"].tolist() == ["within luck"]
    assert score.stairs.query('step == "planners\' overrides"')["verdict"].iloc[0] == "hurts"


def test_naive_forecasts_count_months_only_from_when_records_begin():
    plan = grid("P")
    past = actual([("P", "S1", month, 6) for month in pd.date_range("2026-04-01", periods=3, freq="MS")])
    cells = score_demand(plan, taken_as(plan, [4] * 6), history=past).cells
    assert cells["naive"].unique().tolist() == [6.0] == cells["naive_year"].unique().tolist()
    year = actual(
        [
            ("P", "S1", month, k)
            for k, month in enumerate(pd.date_range("2025-07-01", "2026-06-01", freq="MS"))
        ]
    )
    cells = score_demand(plan, taken_as(plan, [4] * 6), history=year).cells
    assert cells["naive_year"].tolist() == [0, 1, 2, 3, 4, 5] and cells["naive"].iloc[0] == 5.5


def decision(who, value, **scope):
    return {"table": "demand", "column": "mean", "part_id": None, "site_id": None, "region_id": None,
            "month": pd.NaT, "value": str(value), "who": who, "when": pd.Timestamp("2026-06-30"),
            "why": "w"} | scope  # fmt: skip


def test_one_lucky_month_is_no_praise_and_many_good_ones_are():
    parts = [f"P{k:02}" for k in range(12)]
    plan = grid(parts).assign(model_mean=9.0)
    seen = taken_as(plan, np.random.default_rng(12).poisson(4.0, len(plan)))
    laid = pd.DataFrame([decision("Li", 4, part_id=part) for part in parts[:6]])
    lucky = pd.DataFrame([decision("Wang", 4, part_id=part, month=MONTHS[0]) for part in parts[6:]])
    plan.loc[(plan["part_id"] >= "P06") & (plan["month"] != MONTHS[0]), "mean"] = 9.0
    score = score_demand(plan, seen, overrides=pd.concat([laid, lucky]))
    rows = score.planners.set_index("who")
    assert rows["verdict"].to_dict() == {"Li": "helps", "Wang": "too early"}
    assert rows["value_added"].sum() == pytest.approx(of(score, "total")["value_added"])
    assert rows.loc["Li", "low"] > 0 and rows["overrides"].to_dict() == {"Li": 6, "Wang": 6}


def test_a_planner_without_insight_is_rarely_called_helpful_or_harmful():
    verdicts = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        plan = grid([f"P{k}" for k in range(10)]).assign(model_mean=6.0)
        plan["mean"] = plan["model_mean"] + np.repeat(rng.choice([-2.0, 2.0], 10), len(MONTHS))
        laid = pd.DataFrame([decision("Li", 1)])
        seen = taken_as(plan, rng.poisson(6.0 + 0.5 * (plan["mean"] - 6.0)))
        verdicts.append(score_demand(plan, seen, overrides=laid).planners["verdict"].iloc[0])
    assert np.mean([verdict != "within luck" for verdict in verdicts]) < 0.12


def test_of_two_overrides_on_a_number_the_later_one_made_it():
    plan = grid("P", MONTHS[:1], mean=7.0).assign(model_mean=4.0)
    laid = pd.DataFrame(
        [decision("Li", 7), decision("Wang", 7, part_id="P", when=pd.Timestamp("2026-06-29"))]
    )
    score = score_demand(plan, taken_as(plan, [7]), overrides=laid)
    assert score.overrides["who"].tolist() == ["Li"] and score.planners["who"].tolist() == ["Li"]


def test_overrides_that_reach_no_month_compared_are_not_scored():
    sites = pd.DataFrame([{"site_id": "S1", "region_id": "east"}])
    later = pd.DataFrame([decision("Li", 7, part_id="P", month=pd.Timestamp("2027-01-01"))])
    plan = plan_of([("P", "S1", MONTHS[0], 2.0)], sites=sites, overrides=later)
    score = score_plan(plan, network(demand=actual([("P", "S1", MONTHS[0], 2)])))
    assert score.overrides.empty and score.planners.empty and "who" in score.planners


def test_a_correction_by_feedback_has_a_step_of_its_own_and_is_not_learned_from_again():
    plan = grid("P", mean=6.0).assign(from_correction=2.0)
    score = score_demand(plan, taken_as(plan, [6] * 6))
    assert score.cells["own"].tolist() == [4.0] * 6
    assert score.corrections["planned"].tolist() == [24.0]
    assert "corrected by feedback" in set(score.stairs["step"])


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [("planned", "mean", -1.0), ("planned", "vmr", np.nan), ("actual", "quantity", np.inf)],
)
def test_numbers_that_are_none_are_refused_by_name(table, column, value):
    plan = grid("P", MONTHS[:2])
    frames = {"planned": plan, "actual": taken_as(plan, [1, 2])}
    frames[table].loc[1, column] = value
    with pytest.raises(DataError) as refused:
        score_demand(**frames)
    problem = refused.value.problems.iloc[0]
    assert (problem["table"], problem["row"], problem["column"]) == (table, 3, column)


def test_an_unknown_cut_is_refused_with_the_known_ones():
    plan = grid("P", MONTHS[:2])
    score = score_demand(plan, taken_as(plan, [1, 2]), REGION)
    with pytest.raises(DataError, match="region and month"):
        score.by("moon")
    assert list(score.shown("region", "zh"))[:3] == ["大区", "计划", "实际领用"]


def test_the_note_is_the_same_in_chinese():
    plan = grid("PQ", mean=8.0).assign(model_mean=6.0)
    plan["q0.9"] = 12.0
    score = score_demand(
        plan, taken_as(plan, [1] * 12), REGION, overrides=pd.DataFrame([decision("李敏", 8)])
    )
    english, chinese = score.note(), score.note("zh")
    assert len(english.split("\n")) == len(chinese.split("\n"))
    assert score.summary() == english and "hold purchases" in english
    assert "6个月计划96件,实际领用12件" in chinese and "李敏" in chinese and "暂缓采购" in chinese


def network(**tables):
    base = {
        "parts": pd.DataFrame(
            [{"part_id": part, "name": part, "unit_cost": 10, "lead_time_days": 30} for part in ("P", "Q")]
        ),
        "regions": pd.DataFrame([{"region_id": "east", "name": "e"}, {"region_id": "west", "name": "w"}]),
        "sites": pd.DataFrame(
            [
                {"site_id": "HQ", "name": "hq", "parent_id": None, "lead_time_days": 0, "region_id": None},
                {"site_id": "S1", "name": "1", "parent_id": "HQ", "lead_time_days": 2, "region_id": "east"},
                {"site_id": "S3", "name": "3", "parent_id": "HQ", "lead_time_days": 2, "region_id": "west"},
            ]
        ),
    }
    return Dataset.from_frames(base | tables)


def plan_of(rows, as_of="2026-06-30", **inputs):
    return SimpleNamespace(demand=forecast(rows, as_of), inputs=inputs)


def test_a_month_the_plan_began_in_is_left_out_and_named():
    plan = plan_of([("P", "S1", month, 2.0) for month in MONTHS[:3]], as_of="2026-07-10")
    score = score_plan(plan, network(demand=taken_as(grid("P", MONTHS[:3]), [9, 2, 2])))
    assert of(score, "total")["months"] == 2 and of(score, "total")["actual"] == 4
    assert "month begun" in set(score.assumptions["name"])


def busy(last):
    days = pd.date_range("2025-07-01", last, freq="D")
    return {
        "products": pd.DataFrame([{"product_id": "A", "name": "a", "tier": 1}]),
        "fitment": pd.DataFrame([{"product_id": "A", "part_id": "P", "quantity": 1}]),
        "units": pd.DataFrame(
            [{"unit_id": "1", "product_id": "A", "site_id": "S1", "commissioned_on": "2024-01-01"}]
        ),
        "replacements": pd.DataFrame(
            [{"unit_id": "1", "part_id": "P", "replaced_on": day, "quantity": 1} for day in days]
        ),
    }


def test_a_month_whose_records_stop_early_is_not_over():
    plan = plan_of([("P", "S1", month, 30.0) for month in MONTHS])
    early = score_plan(plan, network(**busy("2026-09-05")))
    assert of(early, "total")["months"] == 2 and "month not over" in set(early.assumptions["name"])
    assert of(score_plan(plan, network(**busy("2026-09-29"))), "total")["months"] == 3
    # Whoever knows better says so.
    assert of(score_plan(plan, network(**busy("2026-09-05")), "2026-09-30"), "total")["months"] == 3


def test_new_parts_stand_as_not_in_the_plan():
    plan = plan_of([("P", "S1", MONTHS[0], 2.0)])
    seen = actual([("P", "S1", MONTHS[0], 2), ("Q", "S3", MONTHS[0], 5)])
    score = score_plan(plan, network(demand=seen))
    row = of(score, "part", part_id="Q")
    assert row["finding"] == "unplanned" and "not in the plan" in row["reason"]
    assert "Q: 0.0 planned, 5 taken" in score.summary() and "add the part to the plan" in score.summary()
    assert score.assumptions.set_index("name").loc["not in the plan", "value"] == "1"


def chain(**superseded):
    rows = [
        {"part_id": part, "name": part, "unit_cost": 10, "lead_time_days": 30,
         "superseded_by": superseded.get(part)}
        for part in ("P", "Q", "N")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_part_superseded_since_counts_under_its_successor_on_both_sides():
    plan = plan_of([("P", "S1", month, 3.0) for month in MONTHS[:2]], parts=chain())
    seen = actual([("P", "S1", MONTHS[0], 3), ("N", "S1", MONTHS[1], 4)])
    score = score_plan(plan, network(parts=chain(P="N"), demand=seen))
    parts = score.by("part")
    assert parts[["part_id", "planned", "actual"]].values.tolist() == [["N", 6.0, 7.0]]


def test_two_parts_that_became_one_add_their_distributions():
    plan = plan_of([("P", "S1", MONTHS[0], 3.0), ("Q", "S1", MONTHS[0], 5.0)], parts=chain())
    plan.demand.table["q0.9"] = quantile(np.full(2, 0.9), plan.demand.table["mean"])
    seen = actual([("N", "S1", MONTHS[0], 9)])
    score = score_plan(plan, network(parts=chain(P="N", Q="N"), demand=seen))
    row = score.cells.iloc[0]
    assert (len(score.cells), row["planned"], row["actual"]) == (1, 8.0, 9.0)
    assert row["vmr"] == pytest.approx(1.0) and row["q0.9"] == quantile([0.9], [8.0])[0]


def test_a_site_closed_since_keeps_its_region():
    sites = pd.DataFrame([{"site_id": "S1", "region_id": "east"}, {"site_id": "S9", "region_id": "west"}])
    plan = plan_of([("P", "S1", MONTHS[0], 2.0), ("P", "S9", MONTHS[0], 3.0)], sites=sites)
    score = score_plan(plan, network(demand=actual([("P", "S1", MONTHS[0], 2), ("P", "S3", MONTHS[0], 3)])))
    assert score.by("region").set_index("region_id")["error"].to_dict() == {"east": 0.0, "west": 0.0}
    assert score.assumptions.set_index("name").loc["closed sites", "value"] == "S9"


def test_more_returned_than_taken_counts_as_negative():
    plan = plan_of([("P", "S1", month, 2.0) for month in MONTHS[:2]])
    score = score_plan(plan, network(demand=actual([("P", "S1", MONTHS[0], -3), ("P", "S1", MONTHS[1], 4)])))
    assert of(score, "total")["actual"] == 1 and of(score, "total")["absolute_error"] == 5 + 2
    assert score.assumptions.set_index("name").loc["returned", "value"] == "3"


def two_versions():
    month = [("P", site, MONTHS[k], 4.0 + k) for k in range(4) for site in ("S1", "S3")]
    first, second = plan_of(month[:6]), plan_of(month[2:], as_of="2026-07-31")
    for each in (first, second):
        table = each.demand.table
        table["model_mean"], table["from_override"] = table["mean"], 0.0
        hit = (table["site_id"] == "S1") & (table["month"] == MONTHS[1])
        table.loc[hit, ["mean", "from_override"]] = [9.0, 4.0]
        each.inputs["overrides"] = pd.DataFrame([decision("Li", 9, site_id="S1", month=MONTHS[1])])
    seen = actual([("P", site, MONTHS[k], 5) for k in range(4) for site in ("S1", "S3")])
    return {"july": first, "august": second}, network(demand=seen)


def test_versions_are_scored_by_how_far_they_looked_ahead():
    plans, data = two_versions()
    score = score_versions(plans, data)
    assert score.table[["version", "lead", "planned"]].values.tolist() == [
        ["july", 1, 8.0], ["july", 2, 14.0], ["july", 3, 12.0],
        ["august", 1, 14.0], ["august", 2, 12.0], ["august", 3, 14.0],
    ]  # fmt: skip
    leads = score.leads.set_index("lead")
    assert leads["versions"].to_dict() == {1: 2, 2: 2, 3: 2}
    assert leads.loc[1, "bias"] == pytest.approx((8 + 14) / 20 - 1)
    assert leads.loc[1, "root_mean_square"] == pytest.approx(((1 + 1 + 16 + 0) / 4) ** 0.5)


def test_the_trend_takes_each_month_from_the_last_version_before_it():
    score = score_versions(*two_versions())
    assert score.trend["version"].tolist() == ["july", "august"]
    assert score.trend["planned"].tolist() == [8.0, 14.0 + 12.0 + 14.0]


def test_the_same_override_is_seen_through_the_versions_and_judged_once():
    score = score_versions(*two_versions())
    assert score.overrides["version"].tolist() == ["july", "august"]
    assert score.overrides["value_added"].tolist() == [-4.0, -4.0]
    planner = score.planners.iloc[0]
    assert (planner["overrides"], planner["rows"], planner["value_added"]) == (1, 1, -4.0)


def test_versions_read_from_a_store_say_the_same(tmp_path):
    check_versions(PlanStore(f"sqlite:///{tmp_path / 'plans.db'}"))


def test_versions_read_from_postgresql_say_the_same(postgres_url):
    check_versions(PlanStore(postgres_url))


def check_versions(store):
    plans, data = two_versions()
    whole = small_plan()
    named = {}
    for each in plans.values():
        kept = dataclasses.replace(
            whole, demand=each.demand, as_of=each.demand.as_of, inputs={"overrides": each.inputs["overrides"]}
        )
        named[store.save(kept, "Li")] = each
    stored, given = score_versions(store, data), score_versions(named, data)
    pd.testing.assert_frame_equal(stored.table, given.table)
    pd.testing.assert_frame_equal(stored.planners, given.planners)
    pd.testing.assert_frame_equal(stored.overrides, given.overrides, check_dtype=False)
    store.close()


def test_versions_of_the_future_are_refused():
    plans, data = two_versions()
    ahead = {name: plan for name, plan in plans.items() if name == "august"}
    with pytest.raises(DataError, match="no month of 1 stored plans is over"):
        score_versions(ahead, data, as_of="2026-07-31")
