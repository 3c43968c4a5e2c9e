"""Hazard ratios of regions, stages and products: two roads, false alarms, field data."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.covariates import clock_factor, hazard_effects
from spareplan.forecast.lifetimes import fit_lifetimes
from spareplan.forecast.proportional import (
    Counts,
    difference_of_strata,
    fit_ratios,
    information,
    pooled_ratios,
    rank_of,
    shrink_ratios,
)


def made_up(parts, families, groups=10, mean=1.0, effect=None, seed=0):
    """Failures and expected failures of parts by region, market stage (a function of it) and product."""
    rng = np.random.default_rng(seed)
    part, group = np.repeat(np.arange(parts), groups), np.tile(np.arange(groups), parts)
    expected = rng.gamma(1.0, size=len(part)) * mean / groups * np.exp(rng.normal(0, 1, parts))[part]
    family, product = part % families, (group + part) % 4
    log_ratio = np.zeros(len(part)) if effect is None else effect(family, group, product)
    return pd.DataFrame(
        {
            "part_id": np.char.mod("P%d", part),
            "family": np.char.mod("F%d", family),
            "region": np.char.mod("R%d", group),
            "market_stage": np.char.mod("S%d", group % 3),
            "product_id": np.char.mod("M%d", product),
            "failures": rng.poisson(expected * np.exp(log_ratio)),
            # A wrong level of every part's baseline must not matter.
            "expected": 3 * expected,
        }
    )


def simulated_spells(parts, machines, shape, ratios, seed):
    rng = np.random.default_rng(seed)
    part = np.repeat(np.arange(parts), machines)
    region = rng.integers(0, len(ratios), len(part))
    eta = np.exp(rng.normal(4, 0.5, parts))[part]
    entry = np.where(rng.random(len(part)) < 0.4, rng.uniform(0, 0.8, len(part)) * eta, 0.0)
    hazard = np.exp(np.asarray(ratios)[region])
    life = eta * ((entry / eta) ** shape + rng.exponential(size=len(part)) / hazard) ** (1 / shape)
    end = entry + rng.uniform(0.1, 0.9, len(part)) * eta
    return pd.DataFrame(
        {"part": part, "region": region, "entry": entry, "exit": np.minimum(life, end), "failed": life < end}
    )


def counts_of(spells, shape):
    power = spells["exit"] ** shape - spells["entry"] ** shape
    rows = (
        spells.assign(expected=power)
        .groupby(["part", "region"], as_index=False)[["failed", "expected"]]
        .sum()
    )
    rows = rows[rows.groupby("part")["failed"].transform("sum") > 0]
    counts = Counts(
        pd.factorize(rows["part"])[0], rows["failed"].to_numpy(float), rows["expected"].to_numpy(float)
    )
    return counts, rows["region"].to_numpy()


def ratio_by_level(level, log_ratio):
    per_level = pd.Series(log_ratio).groupby(level).first().to_numpy()
    return per_level - per_level[0]


def test_ratios_are_those_of_a_poisson_regression_with_a_constant_per_part():
    from statsmodels.api import GLM, families

    rng = np.random.default_rng(1)
    part, first = np.repeat(np.arange(12), 6), np.tile(np.arange(6), 12)
    second = (part + first) % 3
    expected = rng.gamma(2.0, size=72)
    failures = rng.poisson(2 * expected * np.exp(0.3 * first - 0.5 * second)).astype(float)
    failures[first == 0] += 1
    counts = Counts(part, failures, expected)
    log_ratio = fit_ratios(counts, [first, second], 1e-10, 2000)
    design = np.column_stack([np.eye(12)[part], np.eye(6)[first][:, 1:], np.eye(3)[second][:, 1:]])
    other = GLM(failures, design, family=families.Poisson(), offset=np.log(expected)).fit(tol=1e-12)
    assert counts.rescaled(log_ratio) == pytest.approx(other.fittedvalues, rel=1e-5)
    null = GLM(failures, np.eye(12)[part], family=families.Poisson(), offset=np.log(expected)).fit()
    gain = counts.gain(log_ratio, np.zeros(72, dtype=int), 1)[0]
    assert gain == pytest.approx(other.llf - null.llf, rel=1e-6)
    whole = information(counts, [first, second], log_ratio)
    assert rank_of(whole, failures.sum()) == 7
    keep = [1, 2, 3, 4, 5, 7, 8]
    errors = np.sqrt(np.diag(np.linalg.inv(whole[np.ix_(keep, keep)])))
    assert errors == pytest.approx(other.bse[12:], rel=1e-4)


def test_ratios_are_those_of_cox_regression_on_the_spells():
    from statsmodels.api import PHReg

    true = np.array([0.0, 0.6, -0.4, 0.25])
    spells = simulated_spells(30, 250, 2.2, true, 3)
    counts, level = counts_of(spells, 2.2)
    ours = ratio_by_level(level, fit_ratios(counts, [level]))[1:]
    design = np.eye(4)[spells["region"]][:, 1:]
    cox = PHReg(
        spells["exit"].to_numpy(),
        design,
        status=spells["failed"].to_numpy(int),
        entry=spells["entry"].to_numpy(),
        strata=spells["part"].to_numpy(),
    ).fit()
    assert np.abs(ours - cox.params).max() < 0.4 * cox.bse.max()
    assert np.abs(ours - true[1:]).max() < 3 * cox.bse.max()


def weibull_regression(entry, exit_, failed, levels, rounds=12):
    """Log ratios of every row, and shapes: ratios at a shape, then the shape on clocks as fast as they say.

    A shape fitted without the ratios is too low, since what is left alive is the hardy part of a mixture.
    """
    faster, shapes = np.ones(len(exit_)), []
    for _ in range(rounds):
        ages = pd.DataFrame(
            {"part_id": "A", "entry": entry * faster, "exit": exit_ * faster, "failed": failed}
        )
        shapes.append(fit_lifetimes(ages)["shape"].iloc[0])
        expected = exit_ ** shapes[-1] - entry ** shapes[-1]
        counts = Counts(np.zeros(len(exit_), dtype=int), failed, expected)
        log_ratio = fit_ratios(counts, levels, 1e-9, 3000)
        faster = clock_factor(log_ratio, shapes[-1])
    return log_ratio, shapes


def test_pollution_of_insulators_gives_the_ratios_of_cox_regression(test_data):
    from statsmodels.api import PHReg

    frame = pd.read_csv(test_data / "bench" / "reliability" / "assetlife_insulator_string.csv")
    chemicals = ["pHCl", "pH2SO4", "HNO3"]
    entry, exit_, failed = (frame[name].to_numpy(float) for name in ("entry", "time", "event"))
    levels = [pd.qcut(frame[name], 3, labels=False).to_numpy() for name in chemicals]
    log_ratio, shapes = weibull_regression(entry, exit_, failed, levels)
    design = np.column_stack([np.eye(3)[level][:, 1:] for level in levels])
    cox = PHReg(exit_, design, status=failed, entry=entry, ties="breslow").fit()
    ours = np.linalg.lstsq(np.column_stack([np.ones(len(design)), design]), log_ratio, rcond=None)[0][1:]
    assert (np.abs(ours - cox.params) < 0.5 * cox.bse).all()
    assert shapes[0] == pytest.approx(1.678, abs=0.001) and shapes[-1] > shapes[0] + 0.1
    cells = pd.DataFrame(dict(zip(chemicals, levels))).assign(
        part_id="string", failures=failed, expected=exit_ ** shapes[-1] - entry ** shapes[-1]
    )
    found = hazard_effects(
        cells.groupby(["part_id", *chemicals], as_index=False).sum().assign(family="insulators"), chemicals
    )
    kept = found.table[found.table["kept"]].groupby("covariate")["log_hazard_ratio"]
    # Sulphuric acid tells nothing beside the other two, as in Cox regression on thirds (|z| < 1).
    assert sorted(kept.groups) == ["pHCl"]
    assert kept.max()["pHCl"] - kept.min()["pHCl"] == pytest.approx(1.37, abs=0.1)


def test_makers_of_transformers_differ_as_joint_regression_says(test_data):
    from scipy.optimize import minimize
    from statsmodels.api import PHReg

    frame = pd.read_csv(test_data / "bench" / "reliability" / "spreda_transformers.csv")
    entry = (frame["truncation.age"] * (frame["truncation"] == 1)).to_numpy()
    exit_, failed = frame["age"].to_numpy(), frame["failure"].to_numpy(float)
    level, makers = pd.factorize(frame["manufacturer"], sort=True)

    def cost(at):
        shape, log_rate = np.exp(at[0]), at[1] + np.append(0.0, at[2:])[level]
        density = np.log(shape) + (shape - 1) * np.log(exit_ / 50) + log_rate
        power = (exit_ / 50) ** shape - (entry / 50) ** shape
        return -(failed * density).sum() + (np.exp(log_rate) * power).sum()

    joint = minimize(cost, np.append([0.5, -2.0], np.zeros(5)), method="BFGS").x
    log_ratio, shapes = weibull_regression(entry, exit_, failed, [level], 30)
    ours = ratio_by_level(level, log_ratio)[1:]
    assert [shapes[0], shapes[-1]] == pytest.approx([1.4726, np.exp(joint[0])], rel=1e-4)
    assert ours == pytest.approx(joint[2:], abs=1e-4)
    dummies = np.eye(len(makers))[level][:, 1:]
    cox = PHReg(exit_, dummies, status=failed, entry=entry).fit(method="bfgs", disp=0)
    assert (np.abs(ours - cox.params) < cox.bse).all()
    rows = pd.DataFrame(
        {"maker": makers[level], "failures": failed, "expected": exit_ ** shapes[-1] - entry ** shapes[-1]}
    )
    rows = rows.groupby("maker", as_index=False).sum().assign(part_id="transformer", family="grid")
    effects = hazard_effects(rows, ["maker"])
    assert effects.table["kept"].any()
    assert effects.factor("grid", {"maker": "MA"}) > 2 and effects.factor("grid", {"maker": "Other"}) < 0.6


def test_data_without_effects_seldom_show_one():
    kept = families = 0
    for seed in range(2):
        effects = hazard_effects(made_up(6000, 300, seed=seed))
        own = effects.table[effects.table["family"] != "*"].groupby("family")["kept"].any()
        kept, families = kept + own.sum(), families + len(own)
        assert not effects.table.loc[effects.table["family"] == "*", "kept"].any()
    assert families == 600
    assert kept / families < 0.05 + 1.64 * np.sqrt(0.05 * 0.95 / families)


def test_an_effect_of_all_families_is_found_once_and_to_its_size():
    true = np.array([0.5, -0.5, 0.25, 0, 0, 0, 0, 0, 0, -0.25])
    effects = hazard_effects(made_up(4000, 40, effect=lambda f, region, p: true[region], seed=2))
    common = effects.table[(effects.table["family"] == "*") & effects.table["kept"]]
    assert set(common["covariate"]) == {"region"}
    off = common["log_hazard_ratio"].to_numpy() - true
    off -= np.average(off, weights=common["failures"])
    assert (np.abs(off) < 3.5 * common["se"]).all() and np.abs(off).max() < 0.12
    own = effects.table[effects.table["family"] != "*"].groupby("family")["kept"].any()
    assert own.mean() <= 0.1


def test_one_odd_family_gets_its_own_effect_and_bends_no_other():
    table = made_up(
        3000, 30, effect=lambda f, r, product: np.where((f == 3) & (product == 1), 1.2, 0.0), seed=5
    )
    effects = hazard_effects(table)
    kept = effects.table[effects.table["kept"] & (effects.table["family"] == "F3")]
    assert set(kept["covariate"]) == {"product_id"}
    hot = effects.factor("F3", {"product_id": "M1"}) / effects.factor("F3", {"product_id": "M2"})
    assert hot == pytest.approx(np.exp(1.2), rel=0.3)
    assert effects.factor("F4", {"product_id": "M1"}) == pytest.approx(1, abs=0.05)


def test_ratios_average_one_over_the_expected_failures():
    effects = hazard_effects(made_up(2000, 10, effect=lambda f, r, product: 0.8 * (product == 1), seed=7))
    common = effects.table[(effects.table["family"] == "*") & effects.table["kept"]]
    mean = np.average(np.exp(common["log_hazard_ratio"]), weights=common["expected"])
    assert mean == pytest.approx(1.0, rel=1e-6)
    assert common["reason"].str.contains("times as often as the mean machine").all()


def test_shrunk_ratios_lie_nearer_the_truth_than_the_likelihoods():
    rng = np.random.default_rng(4)
    squares = []
    for _ in range(15):
        true = rng.normal(0, 0.4, 10)
        part, level = np.repeat(np.arange(40), 10), np.tile(np.arange(10), 40)
        expected = rng.gamma(1.0, 0.15, 400)
        failures = rng.poisson(expected * np.exp(true[level])).astype(float)
        live = np.bincount(part, failures)[part] > 0
        counts = Counts(pd.factorize(part[live])[0], failures[live], expected[live])
        shrunk = shrink_ratios(counts, [level[live]]).ratios[0]
        likely = pd.Series(fit_ratios(counts, [level[live]])).groupby(level[live]).first().to_numpy()
        assert np.isfinite(shrunk).all() and np.abs(shrunk).max() < 2
        weight = np.bincount(level, expected * np.exp(true[level]))
        squares.append(
            [
                np.average((each - np.average(each - true, weights=weight) - true) ** 2, weights=weight)
                for each in (shrunk, np.maximum(likely, -3))
            ]
        )
    ours, raw = np.mean(squares, axis=0)
    assert ours < 0.8 * raw


def test_shrunk_ratios_are_the_posterior_mode_of_a_plain_optimiser():
    from scipy.optimize import minimize

    rng = np.random.default_rng(2)
    part, level = np.repeat(np.arange(15), 6), np.tile(np.arange(6), 15)
    expected = rng.gamma(1.0, 0.8, 90)
    failures = rng.poisson(expected * np.exp(rng.normal(0, 0.6, 6))[level]).astype(float)
    failures[level == 2] = 0
    failures[level == 4] += 1
    counts = Counts(part, failures, expected)
    fit = shrink_ratios(counts, [level])
    weight = 1 / fit.spreads[0] ** 2

    def cost(at):
        gain = counts.gain(at[level], np.zeros(90, dtype=int), 1)[0]
        return -gain - weight * (at - np.exp(at)).sum()

    best = minimize(cost, np.zeros(6), method="BFGS", options={"gtol": 1e-8}).x
    assert fit.ratios[0] - fit.ratios[0][0] == pytest.approx(best - best[0], abs=2e-3)
    side_by_side = pooled_ratios(counts, level, fit.spreads[0])
    assert side_by_side - side_by_side[0] == pytest.approx(best - best[0], abs=2e-3)


def test_the_score_of_differences_between_families_is_standard_where_there_are_none():
    scores = []
    for seed in range(80):
        table = made_up(120, 12, mean=2.0, seed=seed)
        table = table[table.groupby("part_id")["failures"].transform("sum") > 0]
        counts = Counts(
            pd.factorize(table["part_id"])[0], table["failures"].to_numpy(float), table["expected"].to_numpy()
        )
        level, family = (pd.factorize(table[name])[0] for name in ("product_id", "family"))
        scores.append(difference_of_strata(counts, level, family, 12)[0])
    assert abs(np.mean(scores)) < 0.3
    assert 0.7 < np.std(scores) < 1.2


def test_families_that_differ_each_get_near_their_own_ratio():
    def half(family, region, product):
        return np.log(2.5) * ((family % 2 == 1) & (product == 1))

    table = made_up(2000, 100, mean=4.0, effect=half, seed=1)
    effects = hazard_effects(table)
    told = pd.Series(effects.log_ratios(table))
    hot = (table["product_id"] == "M1").to_numpy()
    gap = told[hot].groupby(table["family"][hot]).mean() - told[~hot].groupby(table["family"][~hot]).mean()
    odd = gap.index.str[1:].astype(int) % 2 == 1
    assert np.exp(gap[odd].mean()) == pytest.approx(2.5, rel=0.15)
    assert np.exp(gap[~odd].mean()) == pytest.approx(1.0, abs=0.3)
    assert effects.table.loc[effects.table["kept"], "reason"].str.contains("families differ in this").any()


def test_errors_cover_the_truth():
    rng = np.random.default_rng(9)
    inside = []
    for _ in range(40):
        true = rng.normal(0, 0.3, 8)
        part, level = np.repeat(np.arange(30), 8), np.tile(np.arange(8), 30)
        expected = rng.gamma(1.0, 0.6, 240)
        failures = rng.poisson(expected * np.exp(true[level])).astype(float)
        live = np.bincount(part, failures)[part] > 0
        counts = Counts(pd.factorize(part[live])[0], failures[live], expected[live])
        fit = shrink_ratios(counts, [level[live]])
        weight = np.bincount(level, expected)
        centre = true - np.log(np.average(np.exp(true), weights=weight))
        inside.append(np.abs(fit.ratios[0] - centre) < 1.2816 * fit.errors[0])
    assert np.mean(inside) == pytest.approx(0.8, abs=0.07)


def test_where_nothing_can_be_told_nothing_is_kept_and_it_is_said():
    few = made_up(20, 4, mean=0.2, seed=1)
    few["family"] = "rare"
    effects = hazard_effects(few)
    assert not effects.table["kept"].any()
    assert effects.table["reason"].eq("too few failures to tell levels apart").all()
    same = made_up(200, 2, mean=2.0, seed=1).assign(region="R0")
    effects = hazard_effects(same, ["region"])
    assert effects.table["reason"].str.contains("nothing to compare").all()
    assert hazard_effects(same.iloc[:0]).table.empty
    # Each part stands in a region of its own: baseline and region cannot be told apart.
    apart = made_up(30, 1, groups=1, mean=9.0, seed=2)
    apart["region"] = apart["part_id"]
    assert not hazard_effects(apart, ["region"]).table["kept"].any()


def test_families_that_share_nothing_leave_no_effect_of_all():
    signs = np.array([1, -1, 1, -1, 1, -1])
    table = made_up(600, 6, mean=6.0, effect=lambda f, r, p: signs[f] * np.where(p == 0, 0.8, 0.0), seed=8)
    effects = hazard_effects(table)
    for family, sign in enumerate(signs):
        hot = effects.factor(f"F{family}", {"product_id": "M0"}) / effects.factor(
            f"F{family}", {"product_id": "M3"}
        )
        assert np.log(hot) == pytest.approx(0.8 * sign, abs=0.25)


def test_of_very_many_levels_those_with_most_failures_are_compared():
    rng = np.random.default_rng(3)
    part, product = np.repeat(np.arange(300), 20), rng.integers(0, 2000, 6000)
    product[::20] = np.arange(300) % 3
    expected = rng.gamma(1.0, 0.5, 6000)
    failures = rng.poisson(expected * np.where(product == 1, 3.0, 1.0))
    table = pd.DataFrame({"part_id": part.astype(str), "family": "F", "product_id": product.astype(str)})
    effects = hazard_effects(table.assign(failures=failures, expected=expected))
    assert len(effects.table[effects.table["family"] == "F"]) == 150
    assert effects.factor("F", {"product_id": "1"}) > 1.5
    assert effects.factor("F", {"product_id": "no such"}) == 1.0


def test_levels_never_seen_and_levels_without_failures_stay_finite():
    table = made_up(600, 3, effect=lambda f, r, p: np.where(r == 0, -30.0, 0.5 * (r == 1)), seed=3)
    effects = hazard_effects(table)
    assert effects.factor("F1", {"region": "R0"}) < 0.2
    assert np.isfinite(effects.table["log_hazard_ratio"]).all()
    assert effects.factor("F1", {"region": "nowhere"}) == 1.0
    assert effects.factor("no such family", {"region": "R1"}) > 1.2
    groups = pd.DataFrame(
        {"family": ["F1", np.nan], "region": ["R1", "R1"], "market_stage": "", "product_id": ""}
    )
    assert effects.log_ratios(groups) == pytest.approx(
        np.log(effects.factor("F1", {"region": "R1"})), abs=0.2
    )


def test_the_order_of_rows_does_not_matter():
    table = made_up(500, 5, effect=lambda f, r, p: 0.7 * (p == 0), seed=6)
    first = hazard_effects(table).table
    again = hazard_effects(table.sample(frac=1, random_state=0)).table
    pd.testing.assert_frame_equal(first, again, rtol=1e-6)


def test_a_higher_hazard_is_a_faster_clock():
    age, scale = np.array([10.0, 50.0, 90.0]), 60.0
    for shape in (0.8, 2.5):
        clock = clock_factor(np.log(1.7), shape)
        assert (clock * age / scale) ** shape == pytest.approx(1.7 * (age / scale) ** shape)
    with pytest.raises(DataError, match="shape"):
        clock_factor(0.1, [1.0, 0.0])


def test_statsmodels_is_not_loaded_where_no_covariate_matters():
    code = (
        "import sys, numpy as np, pandas as pd\n"
        "from spareplan.forecast.covariates import hazard_effects\n"
        "t = pd.DataFrame({'part_id': 'A', 'family': 'F', 'region': ['R', 'S'], 'failures': [12, 11]})\n"
        "t['expected'] = 1.0\n"
        "assert not hazard_effects(t).table['kept'].any()\n"
        "print('statsmodels' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_faulty_rows_are_refused_by_name():
    table = made_up(4, 2, seed=0).astype({"failures": float})
    table.loc[0, "failures"] = -1.0
    table.loc[1, "expected"] = np.nan
    table.loc[2, ["failures", "expected"]] = [2.0, 0.0]
    table.loc[3, "family"] = "other"
    with pytest.raises(DataError) as caught:
        hazard_effects(table)
    found = caught.value.problems[["row", "column"]].drop_duplicates().to_numpy().tolist()
    assert [2, "failures"] in found and [3, "expected"] in found and [4, "expected"] in found
    assert [5, "family"] in found
    with pytest.raises(DataError, match="required column"):
        hazard_effects(table.drop(columns="expected"))
    with pytest.raises(DataError, match="required column"):
        hazard_effects(made_up(4, 2), ["colour"])
    with pytest.raises(DataError, match="is no covariate"):
        hazard_effects(made_up(4, 2)).factor("F0", {"colour": "red"})
