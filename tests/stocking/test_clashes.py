"""Wishes that clash: what is named is really in the way, and the least that would do really does."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import InfeasibleError
from spareplan.stocking import evaluate_levels, solve_levels
from spareplan.stocking.clashes import (
    binding_ceilings,
    clashing_promises,
    irreducible,
    refuse_clashes,
)
from spareplan.stocking.finding import find_levels
from spareplan.stocking.pipelines import ANY_STOCK
from spareplan.stocking.plenty import fullest
from spareplan.stocking.pricing import measure
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets

SITES = pd.DataFrame(
    {"site_id": ["HQ", "A", "B"], "parent_id": [None, "HQ", "HQ"], "lead_time_days": [0.0, 2.0, 4.0]}
)
PARTS = pd.DataFrame({"part_id": ["p1", "p2"], "unit_cost": [100.0, 40.0], "lead_time_days": [20.0, 35.0]})
RATES = pd.DataFrame(
    {
        "part_id": ["p1", "p1", "p2", "p2"],
        "site_id": ["A", "B", "A", "B"],
        "demand_per_day": [0.03, 0.02, 0.05, 0.01],
    }
)
FILLS = pd.DataFrame({"site_id": ["A", "B"], "target_fill_rate": [0.9, 0.8]})
WAITS = pd.DataFrame({"site_id": ["A", "B"], "target_wait_days": [0.3, 0.5]})
ROWS = list(itertools.product(["p1", "p2"], ["HQ", "A", "B"]))


def ceilings(*most: float) -> pd.DataFrame:
    """Ceilings of p1 and p2 at HQ, A and B; NaN: none."""
    return pd.DataFrame(ROWS, columns=["part_id", "site_id"]).assign(at_most=most)


def clash(targets: pd.DataFrame, limits: pd.DataFrame, rates: pd.DataFrame = RATES) -> InfeasibleError:
    forest, pipelines = read_pipelines(SITES, PARTS, rates, "exact", limits)
    promises = read_targets(targets, PARTS, forest, pipelines)
    with pytest.raises(InfeasibleError) as caught:
        refuse_clashes(forest, pipelines, promises)
    return caught.value


def feasible(targets: pd.DataFrame, limits: pd.DataFrame) -> bool:
    try:
        solve_levels(SITES, PARTS, RATES, targets, limits=limits)
    except InfeasibleError:
        return False
    return True


def keep(targets: pd.DataFrame, stocks: np.ndarray) -> np.ndarray:
    """Which stocks (a row each, in the order of ROWS) keep targets, by the public evaluation in one call.

    Parts do not touch each other, so every row becomes two parts of its own.
    """
    copies = np.repeat(np.arange(len(stocks)), len(ROWS)).astype(str)
    part, site = (np.tile([row[k] for row in ROWS], len(stocks)).astype(object) for k in (0, 1))
    levels = pd.DataFrame({"part_id": part + ":" + copies, "site_id": site, "base_stock": stocks.ravel()})
    number = np.arange(len(stocks)).astype(str)

    def copied(frame: pd.DataFrame) -> pd.DataFrame:
        many = frame.loc[np.tile(frame.index, len(stocks))].reset_index(drop=True)
        return many.assign(part_id=many["part_id"] + ":" + np.repeat(number, len(frame)))

    rates = copied(RATES)
    seen = evaluate_levels(SITES, copied(PARTS), rates, levels).merge(rates, on=["part_id", "site_id"])
    measure = "fill_rate" if "target_fill_rate" in targets else "mean_wait_days"
    seen["copy"] = seen["part_id"].str.split(":").str[1].astype(int)
    seen["weighted"] = seen[measure] * seen["demand_per_day"]
    sums = seen.pivot_table(
        index="copy", columns="site_id", values=["weighted", "demand_per_day"], aggfunc="sum"
    )
    sites = targets["site_id"].tolist()
    reached = (sums["weighted"] / sums["demand_per_day"])[sites].to_numpy()
    if measure == "fill_rate":
        return (reached >= targets["target_fill_rate"].to_numpy() - 1e-9).all(axis=1)
    return (reached <= targets["target_wait_days"].to_numpy() + 1e-9).all(axis=1)


@pytest.mark.parametrize("targets", [FILLS, WAITS])
def test_what_can_be_reached_can_be_reached_and_a_little_more_cannot(targets):
    low = ceilings(1, 1, 0, 2, 1, 1)
    error = clash(targets, low)
    assert list(error.clashes["site_id"]) == ["A", "B"]
    wish = targets.columns[1]
    best = targets.assign(**{wish: error.clashes["reachable"].to_numpy()})
    worse, better = (-1e-6, 1e-6) if wish == "target_fill_rate" else (1e-6, -1e-6)
    assert feasible(best.assign(**{wish: best[wish] + worse}), low)
    for k in range(2):
        more = best.copy()
        more.loc[k, wish] += better
        assert not feasible(more, low)
    change = (error.clashes["reachable"] - error.clashes["target"]).abs()
    assert error.clashes["change_needed"].to_numpy() == pytest.approx(change.to_numpy())


@pytest.mark.parametrize(
    ("targets", "most"),
    [
        (FILLS, (1, 1, 0, 2, 1, 1)),
        (WAITS, (0, 1, 1, 0, 2, np.nan)),
        (FILLS, (np.nan, 1, np.nan, 0, 0, 1)),
        (WAITS, (0, 0, 0, 0, 0, 0)),
    ],
)
def test_ceilings_need_rise_no_further_than_named_and_no_cheaper_rise_does(targets, most):
    low = ceilings(*most)
    error = clash(targets, low)
    raised = low.set_index(["part_id", "site_id"])["at_most"]
    named = error.ceilings.set_index(["part_id", "site_id"])["least"]
    assert (named > raised.reindex(named.index)).all()
    raised.update(named.astype(float))
    assert feasible(targets, raised.reset_index())
    for row in named.index:
        assert not feasible(targets, raised.where(raised.index != row, raised - 1).reset_index())
    # Every way to raise them that costs less, one by one.
    cost = PARTS.set_index("part_id")["unit_cost"].reindex(low["part_id"]).to_numpy()
    start = low["at_most"].to_numpy()
    paid = float(np.nansum(cost * (raised.to_numpy() - start)))
    extra = np.array(list(itertools.product(range(5), repeat=6)))
    cheaper = (extra @ cost < paid - 1e-9) & ~(np.isnan(start) & (extra > 0)).any(axis=1)
    stocks = np.where(np.isnan(start), 25, np.nan_to_num(start) + extra[cheaper]).astype(np.int64)
    assert not keep(targets, stocks).any()
    assert keep(targets, np.where(np.isnan(start), 25, raised.to_numpy())[None, :].astype(np.int64)).all()


def test_of_the_ceilings_named_none_can_be_spared_and_together_they_suffice():
    for most in [(0, 1, 1, 0, 2, 1), (np.nan, 1, 0, 3, 0, 2), (0, 3, 0, 0, 3, 0)]:
        forest, pipelines = read_pipelines(SITES, PARTS, RATES, "exact", ceilings(*most))
        promises = read_targets(FILLS, PARTS, forest, pipelines)
        full = fullest(pipelines, promises)
        for promise in np.flatnonzero(~promises.kept(promises.used(full))).tolist():
            named = binding_ceilings(pipelines, promises, full, promise)
            assert (pipelines.most[named] < ANY_STOCK).all() and len(named)

            def reached(rows, promise=promise, pipelines=pipelines, promises=promises):
                levels = np.full(len(pipelines.stop), 40)
                levels[rows] = pipelines.most[rows]
                return bool(promises.kept(promises.used(measure(pipelines, levels)))[promise])

            assert not reached(named)
            assert all(reached(np.setdiff1d(named, [row])) for row in named)


def test_all_clashes_come_at_once_in_words_with_the_way_out():
    targets = pd.DataFrame({"site_id": ["A", "B"], "target_fill_rate": [1.0, 0.9]})
    error = clash(targets, ceilings(np.nan, np.nan, 0, np.nan, np.nan, 1))
    said = str(error)
    assert "A: fill_rate 1 cannot be kept" in said and "ask for a share below 1" in said
    assert "B: fill_rate 0.9 cannot be kept" in said and "held down by p1 at B (at most 0)" in said
    assert "Least that would do: let p1 at B rise from 0 to" in said
    assert list(error.clashes["site_id"]) == ["A", "B"]


def test_a_level_fixed_by_a_planner_is_called_so():
    fixed = ceilings(np.nan, np.nan, 1, np.nan, np.nan, np.nan).assign(
        at_least=[np.nan, np.nan, 1, np.nan, np.nan, np.nan]
    )
    assert "p1 at B (fixed at 1)" in str(clash(FILLS.assign(target_fill_rate=0.99), fixed))


def test_the_promises_named_need_more_than_the_budget_and_none_of_them_can_be_spared():
    rng = np.random.default_rng(1)
    names = list("ABCDE")
    sites = pd.DataFrame(
        {"site_id": ["HQ", *names], "parent_id": [None, *["HQ"] * 5], "lead_time_days": [0.0, *[3] * 5]}
    )
    parts = pd.DataFrame(
        {"part_id": [f"p{i}" for i in range(8)], "unit_cost": rng.lognormal(4, 1, 8), "lead_time_days": 30.0}
    )
    rates = pd.DataFrame(
        [(p, s, rng.gamma(1, 0.02)) for p in parts["part_id"] for s in names],
        columns=["part_id", "site_id", "demand_per_day"],
    )
    targets = pd.DataFrame({"site_id": names, "target_fill_rate": [0.9, 0.95, 0.8, 0.85, 0.92]})
    forest, pipelines = read_pipelines(sites, parts, rates, "exact")
    promises = read_targets(targets, parts, forest, pipelines)
    found = find_levels(pipelines, promises)
    budget = 0.55 * found.cost
    needed = clashing_promises(pipelines, promises, found, budget)
    assert 0 < len(needed) < 5
    with pytest.raises(InfeasibleError, match="best_service") as caught:
        solve_levels(sites, parts, rates, targets.iloc[needed], budget=budget)
    assert caught.value.least > budget
    for one in needed:
        prices = np.where(np.isin(np.arange(5), np.setdiff1d(needed, [one])), found.prices, 0.0)
        from spareplan.stocking.multipliers import bound_at
        from spareplan.stocking.pricing import price

        assert bound_at(promises, prices, price(pipelines, promises.worth(prices))) <= budget


def test_floors_beyond_a_budget_are_named_with_the_least_that_pays_for_them():
    floors = pd.DataFrame({"part_id": ["p1", "p2"], "site_id": ["A", "B"], "at_least": [5, 2]})
    with pytest.raises(InfeasibleError, match=r"5 x p1 at A \(500.00\), 2 x p2 at B") as caught:
        solve_levels(SITES, PARTS, RATES, budget=579.0, limits=floors)
    assert caught.value.least == 580
    assert solve_levels(SITES, PARTS, RATES, budget=580.0, limits=floors).cost == 580


def test_the_deletion_filter_leaves_a_clash_of_which_none_can_be_spared():
    weight = np.array([1, 5, 2, 7, 3, 3, 1])

    def clashes(kept):
        return weight[kept].sum() >= 10

    left = irreducible(np.argsort(weight), clashes)
    assert clashes(left) and not any(clashes(np.setdiff1d(left, [one])) for one in left)
    assert weight[left].tolist() == [5, 7]
