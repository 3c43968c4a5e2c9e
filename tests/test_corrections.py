"""Corrections for the next run: rare without bias, found where bias stays, never after a single month."""

from __future__ import annotations

import dataclasses
import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.feedback import Corrections, apply_corrections, corrections_from, score_plan
from spareplan.feedback.bias import Evidence, likelihood_gain, persistent_bias
from spareplan.feedback.reading import model_mean
from spareplan.maths.distributions import quantile
from spareplan.results import DemandForecast, assumptions_frame
from spareplan.store import PlanStore
from spareplan.tables.dataset import Dataset
from tests.plans import small_plan

REGIONS = ["华东", "华南", "新疆", "西南"]
PARTS = [f"P{k:02}" for k in range(12)]
FAMILY = {part: ("pump", "wear", "seal")[k % 3] for k, part in enumerate(PARTS)}
SITES = {f"S{k}": region for k, region in enumerate(REGIONS)}
BEGIN = pd.Timestamp("2025-01-01")


def dataset(taken: pd.DataFrame, sites: dict[str, str] = SITES, **parts: object) -> Dataset:
    """Sites of regions below HQ, and what was taken from them."""
    own = [{"site_id": "HQ", "name": "hq", "parent_id": None, "lead_time_days": 0, "region_id": None}]
    own += [
        {"site_id": site, "name": site, "parent_id": "HQ", "lead_time_days": 2, "region_id": region}
        for site, region in sites.items()
    ]
    table = pd.DataFrame(
        [{"part_id": part, "name": part, "unit_cost": 10.0, "lead_time_days": 30, "family": FAMILY[part]}
         for part in PARTS]
    )  # fmt: skip
    regions = sorted(set(sites.values()))
    return Dataset.from_frames(
        {
            "parts": table.assign(**parts),
            "regions": pd.DataFrame({"region_id": regions, "name": regions}),
            "sites": pd.DataFrame(own),
            "demand": taken,
        }
    )


def cells(months: int) -> pd.DataFrame:
    grid = pd.MultiIndex.from_product(
        [PARTS, SITES, pd.date_range(BEGIN, periods=months, freq="MS")], names=["part_id", "site_id", "month"]
    ).to_frame(index=False)
    grid["true"] = 3.0 + 4.0 * (grid["part_id"].str[1:].astype(int) % 5)
    return grid


def plan(as_of: pd.Timestamp, grid: pd.DataFrame) -> SimpleNamespace:
    """A stored plan that foresees the three months after a day."""
    ahead = grid[(grid["month"] > as_of) & (grid["month"] <= as_of + pd.DateOffset(months=3))]
    table = ahead[["part_id", "site_id", "month"]].assign(mean=ahead["true"], vmr=1.0, rate_cv2=0.04)
    demand = DemandForecast(table.reset_index(drop=True), assumptions_frame([]), as_of=as_of)
    return SimpleNamespace(demand=demand, inputs={}, as_of=as_of)


def history(months: int, factor: object = None, seed: int = 1) -> tuple[list[SimpleNamespace], Dataset]:
    """A plan at each month's end that is right but for `factor`, and what came."""
    grid = cells(months + 3)
    ends = pd.date_range(BEGIN, periods=months, freq="MS") - pd.Timedelta(days=1)
    over = grid[grid["month"] < BEGIN + pd.DateOffset(months=months)]
    mean = over["true"] * (1.0 if factor is None else factor(over))
    taken = over[["part_id", "site_id", "month"]].assign(quantity=np.random.default_rng(seed).poisson(mean))
    return [plan(end, grid) for end in ends], dataset(taken)


def in_region(size: float, region: str = "新疆", month: str | None = None):
    def factor(rows: pd.DataFrame) -> np.ndarray:
        hit = (rows["site_id"].map(SITES) == region).to_numpy()
        if month is not None:
            hit = hit & (rows["month"] == pd.Timestamp(month)).to_numpy()
        return np.where(hit, size, 1.0)

    return factor


def live(found: Corrections) -> pd.DataFrame:
    return found.table[found.table["applies"]]


def evidence(months: int, factor: object, seed: int) -> Evidence:
    """The same worlds without the tables around them, to look at many."""
    grid = cells(months).sort_values(["part_id", "site_id", "month"])
    planned = grid["true"].to_numpy().reshape(-1, months)
    mean = planned * np.reshape(1.0 if factor is None else factor(grid), (-1, months) if factor else ())
    pairs = grid.drop_duplicates(["part_id", "site_id"])[["part_id", "site_id"]].reset_index(drop=True)
    pairs["region_id"], pairs["part_class"] = pairs["site_id"].map(SITES), pairs["part_id"].map(FAMILY)
    runs = tuple(pd.date_range(BEGIN, periods=months, freq="MS") - pd.Timedelta(days=1))
    taken = np.random.default_rng(seed).poisson(mean).astype(float)
    return Evidence(pairs, planned, taken, planned, runs, (1,) * months)


def regional(found: dict, region: str) -> float:
    bias = found["region"]
    at = (bias.keys["region_id"] == region).to_numpy()
    return float(np.where(bias.applies, np.exp(bias.centre), 1.0)[at][0])


def test_an_unbiased_forecast_is_hardly_ever_corrected_and_then_by_little():
    gain, applied, looked = 0.0, 0, 0
    for seed in range(40):
        world = evidence(8, None, seed)
        found, factors = persistent_bias(world, 3, 0.95, 2.0)
        applied += sum(bias.applies.sum() for bias in found.values())
        looked += sum(len(bias.applies) for bias in found.values())
        gain += likelihood_gain(world.planned, world.actual, factors).sum()
    assert applied / looked < 0.01
    # Of some 5,800 pieces a run, over 40 worlds and five runs that could be corrected.
    assert gain > -0.2 * 40
    found = corrections_from(*history(6))
    assert "corrects nothing" in found.summary() and (found.table["factor"] == 1).all()


@pytest.mark.parametrize("size", [1.25, 0.75])
def test_a_regional_bias_that_stays_is_found_within_half_a_year_and_more_than_halved(size: float):
    factors = [
        regional(persistent_bias(evidence(6, in_region(size), seed), 3, 0.95, 2.0)[0], "新疆")
        for seed in range(30)
    ]
    left = np.abs(np.log(size / np.array(factors))) / abs(np.log(size))
    assert np.mean(left) < 0.35 and np.mean(left < 0.5) >= 0.9
    found = corrections_from(*history(6, in_region(size)))
    pairs = pd.DataFrame({"part_id": PARTS[0], "site_id": list(SITES)})
    known = found.factors(pairs)["factor"].set_axis(list(SITES.values()))
    assert known["新疆"] == pytest.approx(size, abs=0.1) and (known.drop("新疆") == 1).all()
    row = live(found).query("scope == 'region'").iloc[0]
    assert row["region_id"] == "新疆" and row["low"] < row["factor"] < row["high"]
    assert (row["low"] - 1) * (row["high"] - 1) > 0
    assert "would have helped earlier runs" in row["reason"]


def test_a_bias_of_a_class_is_laid_on_the_class_and_not_on_the_regions():
    plans, data = history(6, lambda rows: np.where(rows["part_id"].map(FAMILY) == "wear", 1.4, 1.0))
    rows = live(corrections_from(plans, data))
    assert rows["scope"].tolist() == ["class"] and rows["part_class"].tolist() == ["wear"]
    assert rows["factor"].iloc[0] == pytest.approx(1.4, abs=0.1)


def test_classes_may_be_given():
    given = pd.Series({part: "A" if k < 4 else "B" for k, part in enumerate(PARTS)})
    plans, data = history(6, lambda rows: np.where(rows["part_id"].map(given) == "A", 1.4, 1.0))
    found = corrections_from(plans, data, part_class=given)
    assert live(found)[["scope", "part_class"]].values.tolist() == [["class", "A"]]


@pytest.mark.parametrize("month", ["2025-01-01", "2025-03-01", "2025-06-01"])
def test_a_single_wild_month_is_not_chased(month: str):
    worlds = [evidence(6, in_region(2.0, month=month), seed) for seed in range(20)]
    assert [regional(persistent_bias(world, 3, 0.95, 2.0)[0], "新疆") for world in worlds] == [1.0] * 20
    found = corrections_from(*history(6, in_region(2.0, month=month)))
    words = found.table.query("scope == 'region' and region_id == '新疆'")["reason"].iloc[0]
    assert "within chance" in words or "single month" in words or "unsteady" in words


def test_what_the_forecast_learns_by_itself_is_not_counted_twice():
    # The first run misses half of what is taken, each later one a third of what the one before missed.
    missed = 0.6 * 0.33 ** np.arange(8)

    def learning(rows: pd.DataFrame) -> np.ndarray:
        run = (rows["month"].dt.month - 1).to_numpy()
        return np.where(rows["site_id"].map(SITES) == "新疆", 1 + missed[run], 1.0)

    worlds = [evidence(8, learning, seed) for seed in range(20)]
    found = [regional(persistent_bias(world, 3, 0.95, 2.0)[0], "新疆") for world in worlds]
    assert np.abs(np.log(found)).mean() < 0.02


def test_fewer_than_three_runs_correct_nothing_and_say_so():
    plans, data = history(2, in_region(1.5))
    found = corrections_from(plans, data)
    assert not found.table["applies"].any()
    assert "2 stored runs can be held against records, 3 are needed" in found.summary()
    assert corrections_from([], data).table.empty
    assert list(corrections_from([], data).table.columns) == list(found.table.columns)


def test_many_months_of_one_forecast_count_as_one_run():
    plans, data = history(6, in_region(1.5))
    grid = cells(9)
    far = grid[grid["month"] > plans[0].as_of]
    table = far[["part_id", "site_id", "month"]].assign(mean=far["true"], vmr=1.0, rate_cv2=0.04)
    whole = SimpleNamespace(demand=dataclasses.replace(plans[0].demand, table=table), inputs={})
    found = corrections_from([whole], data)
    assert found.table.empty and "1 stored runs can be held" in found.summary()


def test_each_month_is_held_against_the_last_forecast_before_it():
    plans, data = history(6)
    stale = plan(plans[1].as_of - pd.Timedelta(days=3), cells(9))
    stale.demand.table["mean"] = 1e6
    found = corrections_from([stale, *plans], data)
    region = found.table.query("scope == 'region'")
    assert region["planned"].max() < 1e5


def test_neither_order_of_plans_nor_later_records_matter():
    plans, data = history(7, in_region(1.3))
    one = corrections_from(plans, data, as_of="2025-06-30")
    other = corrections_from(plans[::-1], dataset(data.demand.sample(frac=1, random_state=3)), "2025-06-30")
    pd.testing.assert_frame_equal(one.table, other.table)
    early = dataset(data.demand[data.demand["month"] < "2025-07-01"])
    pd.testing.assert_frame_equal(one.table, corrections_from(plans[:6], early).table)


def test_the_rolling_check_uses_only_what_was_known_before_each_run():
    plans, data = history(8, in_region(1.4))
    checks = corrections_from(plans, data).checks
    assert checks["as_of"].tolist() == [each.as_of for each in plans]
    assert (checks["corrected"] == checks["planned"])[:3].all()
    for k in (4, 6):
        known = corrections_from(plans[:k], data, as_of=plans[k].as_of)
        own = plans[k].demand.table.query("month <= @plans[@k + 1].as_of")
        corrected = (own["mean"] * known.factors(own)["factor"]).sum()
        assert checks["corrected"].iloc[k] == pytest.approx(corrected)
    late = checks.iloc[5:]
    assert (late["error_corrected"] < late["error"]).all() and (late["gain"] > 0).all()


def test_an_earlier_correction_and_an_override_are_taken_out_before_the_bias_is_learned():
    plans, data = history(6, in_region(1.3))
    plain = corrections_from(plans, data)
    for each in plans:
        table = each.demand.table
        table["from_correction"] = 0.25 * table["mean"]
        table["model_mean"] = 1.25 * table["mean"]
        table["mean"] = 99.0
    pd.testing.assert_frame_equal(corrections_from(plans, data).table, plain.table)
    assert model_mean(table).to_numpy() == pytest.approx(table["model_mean"] / 1.25)


def test_reasons_and_assumptions_name_each_correction():
    plans, data = history(6, in_region(1.3))
    found = corrections_from(plans, data)
    named = found.assumptions.set_index("name")
    assert float(named.loc["region 新疆", "value"]) == pytest.approx(live(found)["factor"].iloc[0], rel=1e-4)
    assert named.loc["runs", "value"] == "6" and named.loc["part_class", "value"] == "family"
    assert "region" in found.summary() and "新疆" in found.summary()


def test_the_note_tells_what_the_next_run_will_correct() -> None:
    plans, data = history(6, in_region(1.4))
    score = score_plan(plans[3], data)
    few, none, some = (corrections_from(*given) for given in ((plans[:2], data), history(6), (plans, data)))
    assert "2 stored runs can be held against records, 3 are needed" in score.note("en", few)
    assert "over 6 runs no bias stayed" in score.note("en", none)
    assert "applies 1 corrections learned from 6 runs" in score.note("en", some)
    chinese = score.note("zh", some)
    assert "来自6次历史计划" in chinese and "新疆:×1." in chinese
    assert "至少需要3次" in score.note("zh", few)


def correction(**given: object) -> Corrections:
    row = {"scope": "region", "region_id": "新疆", "part_class": None, "part_id": None, "factor": 1.2,
           "doubt": 0.1, "applies": True}  # fmt: skip
    return Corrections(
        pd.DataFrame([row | given]),
        assumptions_frame([{"stage": "feedback", "name": "region 新疆", "value": 1.2}]),
        ("Feedback over 6 runs corrects 1 by region.",),
        regions=pd.DataFrame({"site_id": list(SITES), "region_id": REGIONS}),
        classes=pd.DataFrame({"part_id": PARTS, "part_class": [FAMILY[part] for part in PARTS]}),
    )


def full_forecast() -> DemandForecast:
    grid = cells(3)
    table = grid[["part_id", "site_id", "month"]].assign(mean=grid["true"], vmr=1.5, rate_cv2=0.2)
    table["variance"] = 1.5 * table["mean"] + 0.2 * table["mean"] ** 2
    table["q0.9"] = quantile(np.full(len(table), 0.9), table["mean"], table["variance"])
    table["reason"] = "12 machines"
    days = pd.DataFrame({"days": [30.0, 90.0]})
    windows = table[["part_id", "site_id"]].drop_duplicates().merge(days, how="cross")
    return DemandForecast(
        table,
        assumptions_frame([]),
        as_of=BEGIN - pd.Timedelta(days=1),
        windows=windows.assign(mean=windows["days"] / 10, vmr=1.5, rate_cv2=0.2),
        contributions=table[["part_id", "site_id", "month", "mean"]].assign(source="machines in use"),
        returns=table[["part_id", "site_id", "month"]].assign(returned=2.0, from_past=0.5, reason="r"),
    )


def test_a_correction_reaches_mean_spread_windows_returns_sources_and_words():
    before = full_forecast()
    kept = before.table.copy()
    after = apply_corrections(before, correction())
    pd.testing.assert_frame_equal(before.table, kept)
    own = after.table["site_id"] == "S2"
    table = after.table[own]
    cv2 = 1.2 * 1.01 - 1
    assert table["mean"].to_numpy() == pytest.approx(1.2 * kept.loc[own, "mean"])
    assert table["rate_cv2"].to_numpy() == pytest.approx(cv2)
    assert table["variance"].to_numpy() == pytest.approx(1.5 * table["mean"] + cv2 * table["mean"] ** 2)
    assert (table["q0.9"] == quantile(np.full(len(table), 0.9), table["mean"], table["variance"])).all()
    assert (table["mean"] - table["from_correction"]).to_numpy() == pytest.approx(kept.loc[own, "mean"])
    assert table["reason"].unique().tolist() == ["12 machines; corrected by feedback: 新疆 x1.20"]
    pd.testing.assert_frame_equal(after.table.loc[~own, kept.columns], kept[~own])
    windows = after.windows.set_index("site_id")["mean"]
    assert windows["S2"].tolist() == pytest.approx(1.2 * windows["S1"])
    assert after.returns.query("site_id == 'S2'")["returned"].unique() == pytest.approx([0.5 + 1.5 * 1.2])
    keys = ["part_id", "site_id", "month"]
    sums = after.contributions.groupby(keys)["mean"].sum()
    pd.testing.assert_series_equal(sums, after.table.set_index(keys)["mean"].sort_index())
    assert "correction by feedback" in set(after.contributions["source"])
    assert "region 新疆" in set(after.assumptions["name"])
    assert list(after.table)[-1] == "reason" and "corrects 1 by region" in after.summary()


def test_without_corrections_the_numbers_stay_and_the_column_is_there():
    plans, data = history(3)
    before = full_forecast()
    after = apply_corrections(before, corrections_from(plans[:1], data))
    assert (after.table["from_correction"] == 0).all()
    pd.testing.assert_frame_equal(after.table[before.table.columns], before.table)
    assert len(after.contributions) == len(before.contributions)


def test_factors_multiply_over_the_scopes_and_are_capped():
    found = correction()
    part = {"scope": "part", "region_id": None, "part_id": "P01", "factor": 1.9}
    both = dataclasses.replace(found, table=pd.concat([found.table, correction(**part).table]))
    pairs = pd.DataFrame({"part_id": ["P01", "P01", "P02", "new"], "site_id": ["S2", "S1", "S2", "gone"]})
    known = both.factors(pairs)
    assert known["factor"].tolist() == pytest.approx([2.0, 1.9, 1.2, 1.0])
    assert known["reason"].tolist() == ["新疆 x1.20, P01 x1.90", "P01 x1.90", "新疆 x1.20", ""]
    assert known["doubt"].iloc[0] == pytest.approx(np.hypot(0.1, 0.1))


def test_demand_that_the_plan_did_not_know_corrects_nothing():
    plans, data = history(6)
    for each in plans:
        each.demand = dataclasses.replace(each.demand, table=each.demand.table.query("site_id != 'S0'"))
    assert set(corrections_from(plans, data).table["region_id"].dropna()) == set(REGIONS[1:])


def test_a_successor_counts_for_the_part_that_was_planned():
    plans, data = history(6)
    parts = data.parts.copy()
    new = parts.iloc[[0]].assign(part_id="P00-2", name="better", superseded_by=None)
    parts.loc[0, "superseded_by"] = "P00-2"
    taken = data.demand.copy()
    taken.loc[taken["part_id"] == "P00", "part_id"] = "P00-2"
    later = data.with_tables(parts=pd.concat([parts, new]), demand=taken)
    before, after = (corrections_from(plans, each).checks for each in (data, later))
    pd.testing.assert_frame_equal(after[["planned", "actual"]], before[["planned", "actual"]])


def test_returned_pieces_are_taken_off():
    plans, data = history(6)
    taken = data.demand.copy()
    taken.loc[taken["site_id"] == "S2", "quantity"] *= -1
    found = corrections_from(plans, data.with_tables(demand=taken))
    assert np.isfinite(found.table[["planned", "actual", "factor", "low", "high"]]).all().all()


def test_of_several_versions_of_a_day_the_issued_one_counts(tmp_path):
    url = f"sqlite:///{tmp_path / 'plans.db'}"
    store = PlanStore(url, now=lambda: dt.datetime(2025, 7, 1, tzinfo=dt.UTC))
    check_store(store)


def test_corrections_come_from_postgresql_as_well(postgres_url):
    check_store(PlanStore(postgres_url))


def check_store(store: PlanStore) -> None:
    plans, data = history(5, in_region(1.4))
    whole = small_plan()
    for each in plans:
        kept = dataclasses.replace(whole, demand=each.demand, as_of=each.as_of, inputs={"sites": data.sites})
        wrong = dataclasses.replace(
            kept, demand=dataclasses.replace(kept.demand, table=kept.demand.table.assign(mean=1e6))
        )
        good = store.save(kept, "Li")
        store.approve(good, "Wang")
        store.issue(good, "Wang")
        store.save(wrong, "Li", "a later draft of the same month")
    pd.testing.assert_frame_equal(corrections_from(store, data).table, corrections_from(plans, data).table)
    store.close()


@pytest.mark.parametrize("given", [{"least_runs": 2}, {"confidence": 1.0}, {"most": 1.0}])
def test_options_out_of_range_are_refused_by_name(given: dict[str, float]):
    plans, data = history(3)
    with pytest.raises(DataError, match=next(iter(given))):
        corrections_from(plans, data, **given)


def test_what_is_no_plan_is_refused():
    with pytest.raises(DataError, match="holds no plan"):
        corrections_from(["2025-01"], history(3)[1])


def test_likelihood_gain_does_not_depend_on_how_counts_are_divided():
    planned, actual = np.array([2.0, 3.0]), np.array([4.0, 1.0])
    whole = likelihood_gain(planned.sum(), actual.sum(), np.array(1.3))
    assert likelihood_gain(planned, actual, np.array(1.3)).sum() == pytest.approx(float(whole))


def test_a_hundred_thousand_pairs_take_seconds():
    rng = np.random.default_rng(5)
    pairs = pd.MultiIndex.from_product([range(10_000), range(11)], names=["part_id", "region_id"])
    frame = pairs.to_frame(index=False).astype(str)
    frame["part_class"] = "class " + frame["part_id"].str[-1]
    mean = rng.gamma(0.3, 1.0, (len(frame), 1)) * np.ones(6)
    runs = tuple(pd.date_range("2025-01-31", periods=6, freq="ME"))
    evidence = Evidence(frame, mean, rng.poisson(mean).astype(float), mean, runs, (1,) * 6)
    found, factors = persistent_bias(evidence, 3, 0.95, 2.0)
    assert found["part"].applies.mean() < 0.001
    assert likelihood_gain(evidence.planned, evidence.actual, factors).sum() > -10
