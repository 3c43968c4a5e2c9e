"""New parts speak through their analogues: found, discounted, converted, refused; tried by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.analogues import (
    FOUND,
    FOUND_LEAST,
    NAMED,
    NAMED_FAILURES,
    borrowed_statistics,
    find_analogues,
    product_stand_ins,
    require_fitment,
)
from spareplan.forecast.sparse import SHAPES, pool_statistics
from spareplan.maths.distributions import cdf
from spareplan.tables.dataset import Dataset
from tests.forecast.fleets import make_fleet


def part_table(**columns):
    return pd.DataFrame(columns)


def everywhere(parts):
    return pd.DataFrame({"product_id": "M", "part_id": parts["part_id"], "quantity": 1.0})


def counts_of(parts, **columns):
    return pd.DataFrame({"part_id": parts["part_id"], **columns})


def find(parts, counts):
    return find_analogues(parts, everywhere(parts), counts).set_index("part_id")


def test_a_named_analogue_counts_for_a_few_failures_at_most():
    parts = part_table(part_id=["N", "O"], like_part=["O", None])
    row = find(parts, counts_of(parts, n_failed=[0, 200], shape=[np.nan, 1.5])).loc["N"]
    assert (row["like_part"], row["how"]) == ("O", NAMED)
    weight = NAMED_FAILURES / 1.5**2
    assert row["discount"] == pytest.approx(weight / (weight + 200))
    assert row["reason"] == "0 failures of its own; 200 of O (named by the user) count as 1.8"


def test_an_analogue_that_never_failed_hands_on_to_its_own():
    parts = part_table(part_id=["A", "B", "C"], like_part=["B", "C", None])
    found = find(parts, counts_of(parts, n_failed=[0, 0, 40]))
    assert found.loc["A", "like_part"] == "C"
    assert find(parts, counts_of(parts, n_failed=[0, 7, 40])).loc["A", "like_part"] == "B"
    nobody = find(parts, counts_of(parts, n_failed=[0, 0, 0]))
    assert (nobody["discount"] == 0).all()
    assert "never failed" in nobody.loc["A", "reason"]


def test_kin_nearest_in_price_and_life_is_found_within_family_and_source():
    parts = part_table(
        part_id=["N", "near", "cheap", "other", "young", "short"],
        family=["seal", "seal", "seal", "pump", "seal", "seal"],
        source=["buy", "buy", "buy", "buy", "make", "buy"],
        unit_cost=[100.0, 120.0, 30.0, 100.0, 100.0, 101.0],
        expected_life_hours=[1000.0, 1100.0, 1000.0, 1000.0, 1000.0, 200.0],
    )
    found = find(parts, counts_of(parts, n_failed=[0, 20, 20, 20, 20, 20]))
    assert found.index.tolist() == ["N"]
    assert (found.loc["N", "like_part"], found.loc["N", "how"]) == ("near", FOUND)
    few = find(parts, counts_of(parts, n_failed=[0, FOUND_LEAST - 1, 20, 20, 20, 20]))
    assert few.empty


def test_a_part_watched_long_without_failure_is_not_new():
    parts = part_table(part_id=["N", "O"], family="f", source="buy", unit_cost=10.0)
    long = find(parts, counts_of(parts, n_failed=[0, 20], watched=[5000.0, 9000.0], clock="days"))
    new = find(parts, counts_of(parts, n_failed=[0, 20], watched=[100.0, 9000.0], clock="days"))
    assert long.empty
    assert new.loc["N", "like_part"] == "O"


def test_parts_on_another_clock_are_converted_by_their_use_or_refused_by_name():
    parts = part_table(part_id=["N", "O"], like_part=["O", None])
    counts = counts_of(parts, n_failed=[0, 20], clock=["days", "hours"])
    row = find(parts, counts).loc["N"]
    assert row["discount"] == 0
    assert "hours against days" in row["reason"]
    converted = find(parts, counts.assign(hours_per_day=[8.0, np.nan])).loc["N"]
    assert converted["discount"] > 0
    assert converted["stretch"] == pytest.approx(1 / 8)


def test_parts_fitted_to_nothing_need_no_analogue():
    parts = part_table(part_id=["N", "O"], like_part=["O", None])
    found = find_analogues(parts, everywhere(parts).iloc[1:], counts_of(parts, n_failed=[0, 9]))
    assert found.empty


@pytest.mark.parametrize(
    ("like", "rule"), [(["X", None], "not in parts"), (["A", None], "circle"), (["B", "A"], "circle")]
)
def test_wrong_names_are_refused_by_row(like, rule):
    parts = part_table(part_id=["A", "B"], like_part=like)
    with pytest.raises(DataError) as error:
        find(parts, counts_of(parts, n_failed=[0, 0]))
    problem = error.value.problems.iloc[0]
    assert (problem["table"], problem["row"], problem["column"]) == ("parts", 2, "like_part")
    assert rule in problem["rule"]


@pytest.mark.parametrize(("like", "rule"), [("X", "not in parts"), ("P1", "circle")])
def test_a_dataset_refuses_wrong_names_too(like, rule):
    data, _ = make_fleet(0, machines=5)
    frames = {name: data.tables[name] for name in data.given}
    frames["parts"] = frames["parts"].assign(like_part=like)
    with pytest.raises(DataError) as error:
        Dataset.from_frames(frames)
    problem = error.value.problems.iloc[0]
    assert (problem["table"], problem["row"], problem["column"]) == ("parts", 2, "like_part")
    assert rule in problem["rule"]


def test_borrowed_statistics_are_those_of_the_stretched_ages_discounted():
    ages = np.array([120.0, 300.0, 410.0])
    unit, stretch = np.array([24.0, 200.0]), 1 / 8
    k, log_sum = np.array([0.0, 3.0]), np.array([0.0, np.log(ages / 200.0).sum()])
    sums = np.stack([np.zeros(9), ((ages[:, None] / 200.0) ** SHAPES).sum(axis=0)])
    told = pd.DataFrame({"part_id": ["N"], "like_part": ["O"], "discount": [0.4], "stretch": [stretch]})
    kb, lb, sb = borrowed_statistics(told, ["N", "O"], k, log_sum, sums, unit)
    assert kb.tolist() == pytest.approx([1.2, 0.0])
    assert lb[0] == pytest.approx(0.4 * np.log(ages * stretch / 24.0).sum())
    np.testing.assert_allclose(sb[0], 0.4 * ((ages[:, None] * stretch / 24.0) ** SHAPES).sum(axis=0))
    assert (sb[1] == 0).all()
    with pytest.raises(DataError, match="Q"):
        borrowed_statistics(told.assign(like_part="Q"), ["N", "O"], k, log_sum, sums, unit)


def fleet_statistics(rng, eta, shape, machines, watch, ahead):
    """k, sum of ln age, S of pieces renewed up to `watch`; their ages then, and who fails within `ahead`."""
    born = rng.uniform(0, watch, machines)
    life = eta * rng.weibull(shape, machines)
    failed = []
    while (over := born + life <= watch).any():
        failed.append(life[over])
        born[over] += life[over]
        life[over] = eta * rng.weibull(shape, over.sum())
    done = np.concatenate([*failed, np.empty(0)])
    alive = np.maximum(watch - born, 1e-6)
    sums = (np.concatenate([done, alive])[:, None] ** SHAPES).sum(axis=0)
    return len(done), np.log(done).sum(), sums, alive, int((born + life <= watch + ahead).sum())


@pytest.fixture(scope="module")
def held_out():
    """New parts whose ln eta differs from that of their analogue by .3 (sd): 4 shapes, 25 families each."""
    rng = np.random.default_rng(7)
    rows, unit, ahead = [], 24.0, 12.0
    for family in range(100):
        centre, log_shape = rng.normal(3.6, 0.5), rng.normal((0.26, 0.5, 0.7, 1.1)[family % 4], 0.15)
        for kin in range(20):
            eta, shape = np.exp(centre + rng.normal(0, 0.6)), np.exp(log_shape + rng.normal(0, 0.15))
            old = fleet_statistics(rng, eta, shape, 30, 48.0, ahead)
            rows.append((f"O{family:03d}{kin:02d}", None, family, shape, *old))
            if kin < 8:
                near = eta * np.exp(rng.normal(0, 0.3)), shape * np.exp(rng.normal(0, 0.1))
                young = fleet_statistics(rng, *near, 30, 3.0, ahead)
                rows.append((f"N{family:03d}{kin:02d}", rows[-1][0], family, np.nan, *young))
    names = ["part_id", "like_part", "family", "shape", "n_failed", "log_sum", "sums", "ages", "future"]
    table = pd.DataFrame(rows, columns=names)
    k = table["n_failed"].to_numpy(float)
    sums = np.stack(table["sums"]) / unit**SHAPES
    return table, k, table["log_sum"].to_numpy(float) - k * np.log(unit), sums, unit, ahead


def predict(held_out, borrowed, seed=0):
    """Randomised PIT of the next year's failing pieces of the new parts, log score, bias."""
    table, k, log_sum, sums, unit, ahead = held_out
    nothing = np.full(len(table), np.nan)
    family = table["family"].to_numpy(np.int64)
    post = pool_statistics(k, log_sum, sums, unit, family, nothing, borrowed=borrowed)
    new = np.flatnonzero(table["like_part"].notna())
    low, high, expected = np.zeros(len(new)), np.zeros(len(new)), np.zeros(len(new))
    for node, shape in enumerate(SHAPES):
        failures, rate = (values[new, node] for values in (post.failures, post.failures / post.exposure))
        for row, at in enumerate(new):
            x = table["ages"].iloc[at] / unit
            d = (x + ahead / unit) ** shape - x**shape
            chance = -np.expm1(-rate[row] * d)
            mean = chance.sum()
            follow = np.log(-np.expm1(-1.2 * rate[row] * d).sum() / mean) / np.log(1.2)
            variance = (chance * (1 - chance)).sum() + (mean * follow) ** 2 / failures[row]
            weight, seen = post.weight[at, node], table["future"].iloc[at]
            low[row] += weight * cdf(seen - 1, mean, variance)
            high[row] += weight * cdf(seen, mean, variance)
            expected[row] += weight * mean
    place = low + np.random.default_rng(seed).random(len(new)) * (high - low)
    score = np.log(np.maximum(high - low, 1e-12)).mean()
    return place, score, expected.sum() / table["future"].to_numpy()[new].sum() - 1


def test_intervals_of_new_parts_with_an_analogue_cover(held_out):
    table, k, log_sum, sums, unit, _ = held_out
    found = find_analogues(table[["part_id", "like_part"]], everywhere(table), table)
    borrowed = borrowed_statistics(found, table["part_id"].to_numpy(), k, log_sum, sums, unit)
    place, score, bias = predict(held_out, borrowed)
    assert len(place) == 800
    assert 0.77 <= ((place > 0.1) & (place < 0.9)).mean() <= 0.83
    assert ((place > 0.025) & (place < 0.975)).mean() == pytest.approx(0.95, abs=0.025)
    assert abs(bias) < 0.1
    assert score > predict(held_out, None)[1] + 0.15
    loud = found.assign(discount=1.0)
    everything = borrowed_statistics(loud, table["part_id"].to_numpy(), k, log_sum, sums, unit)
    assert ((np.abs(predict(held_out, everything)[0] - 0.5)) < 0.4).mean() < 0.72


def test_kin_found_within_the_family_do_not_narrow_the_intervals_too_much(held_out):
    table, k, log_sum, sums, unit, _ = held_out
    rng = np.random.default_rng(3)
    names = table["family"].astype(str)
    # Prices say nothing here: any kin may be found, and it differs as members of a family do.
    parts = pd.DataFrame(
        {
            "part_id": table["part_id"],
            "family": names,
            "source": "buy",
            "unit_cost": rng.uniform(10, 15, len(table)),
        }
    )
    counts = table[["part_id", "n_failed", "shape"]]
    found = find_analogues(parts, everywhere(parts), counts)
    assert found["how"].eq(FOUND).all() and len(found) > 200
    borrowed = borrowed_statistics(found, table["part_id"].to_numpy(), k, log_sum, sums, unit)
    lent = table.loc[table["like_part"].notna(), "part_id"].isin(found["part_id"]).to_numpy()
    place, score, _ = predict(held_out, borrowed)
    alone, alone_score, _ = predict(held_out, None)
    covered, before = (((values > 0.1) & (values < 0.9))[lent].mean() for values in (place, alone))
    assert covered > max(0.74, before - 0.05)
    assert score > alone_score - 0.01


def test_kin_count_for_more_where_price_has_proved_to_tell_their_lives():
    rng = np.random.default_rng(4)
    size = 120
    cost = np.exp(rng.uniform(0, 3, size))
    failed = np.where(np.arange(size) < 10, 0, 40)
    parts = part_table(part_id=[f"P{i:03d}" for i in range(size)], family="f", source="buy", unit_cost=cost)
    counts = counts_of(parts, n_failed=failed, shape=2.0)
    told = np.exp(6 + 0.6 * (np.log(cost) - 1.5) + rng.normal(0, 0.1, size))
    silent = np.exp(6 + rng.normal(0, 0.6, size))
    with_price = find(parts, counts.assign(scale=told))["discount"]
    without = find(parts, counts.assign(scale=silent))["discount"]
    unknown = find(parts, counts)["discount"]
    assert len(with_price) == 10
    assert (with_price > 5 * without).all()
    assert (without == unknown).all()
    assert (with_price <= NAMED_FAILURES / 4 / (NAMED_FAILURES / 4 + 40) + 1e-12).all()


def test_products_without_use_take_that_of_the_one_they_name_or_of_their_tier():
    products = pd.DataFrame(
        {
            "product_id": ["A", "B", "C", "D", "E", "F"],
            "tier": [1, 1, 1, 2, 3, 1],
            "like_product": [None, None, None, "C", None, "D"],
        }
    )
    usage = pd.DataFrame({"product_id": ["A"] * 3 + ["B"] * 5})
    assert product_stand_ins(products, usage) == {"C": "B", "F": "B"}
    named = products.assign(like_product=[None, None, "A", "C", None, "D"])
    assert product_stand_ins(named, usage) == {"C": "A", "D": "A", "F": "A"}
    with pytest.raises(DataError, match="circle"):
        product_stand_ins(products.assign(like_product=["B", "A", None, None, None, None]), usage)


def test_a_new_product_without_fitment_is_refused_with_the_way_out():
    products = pd.DataFrame({"product_id": ["A", "N"], "like_product": [None, "A"]})
    fitment = pd.DataFrame({"product_id": ["A"]})
    require_fitment(products, fitment, pd.DataFrame({"product_id": ["A"]}))
    with pytest.raises(DataError, match="copy the rows of A in fitment") as error:
        require_fitment(products, fitment, pd.DataFrame({"product_id": ["N"]}))
    assert error.value.problems["row"].iloc[0] == 3
