"""Placing visits: dynamic programming against every possible choice."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.seasons import season_factors
from spareplan.forecast.visits import place_schedule, season_edges, visit_months, visit_value

SEASON = np.array([0.2, 0.3, 0.7, 1.2, 1.4, 1.5, 1.3, 1.3, 1.4, 1.3, 0.8, 0.6])


def prevented(load, visits, warning):
    """Failures seen in time, by fine sums over the months."""
    total = 0.0
    for month, failures in enumerate(load):
        past = [visit for visit in visits if visit <= month]
        if past:
            since = month - past[-1] + (np.arange(4000) + 0.5) / 4000
            total += failures * np.exp(-since / warning).mean()
    return total


def equal_loads(load, visits):
    """Place visits before stretches of equal failures, the rule of thumb."""
    rest = np.cumsum(load[1:]) / load[1:].sum()
    cuts = np.searchsorted(rest, np.arange(1, visits) / visits)
    chosen = np.concatenate([[1], 1 + np.maximum.accumulate(cuts)])
    for i in range(1, len(chosen)):
        chosen[i] = max(chosen[i], chosen[i - 1] + 1)
    return np.minimum(chosen, len(load) - visits + 1 + np.arange(visits))


@pytest.mark.parametrize("seed", range(6))
def test_the_best_of_all_choices_is_found(seed):
    rng = np.random.default_rng(seed)
    hazard, season = rng.gamma(1.5, 0.1, 15), rng.gamma(3.0, 0.3, 12)
    handover, warning = int(rng.integers(1, 13)), float(rng.uniform(0.5, 4))
    load = hazard * season[(handover - 1 + np.arange(15)) % 12]
    every = [(1, *rest) for rest in itertools.combinations(range(2, 13), 3)]
    values = [prevented(load, choice, warning) for choice in every]
    months = visit_months(hazard, season, handover, warning=warning, around_season=False)
    assert tuple(months) == every[int(np.argmax(values))]
    value = visit_value(hazard, season, handover, months, warning)
    assert value.sum() == pytest.approx(max(values), rel=1e-6)


def test_the_optimum_beats_today_s_dates_and_equal_loads():
    rng = np.random.default_rng(3)
    gains = []
    for handover in range(1, 13):
        hazard = rng.gamma(2.0, 0.1, 15)
        best = visit_value(
            hazard, SEASON, handover, visit_months(hazard, SEASON, handover, around_season=False)
        )
        load = hazard[:12] * SEASON[(handover - 1 + np.arange(12)) % 12]
        others = [
            visit_value(hazard, SEASON, handover, other) for other in ([1, 3, 6, 12], equal_loads(load, 4))
        ]
        gains.append([best.sum() / other.sum() for other in others])
    assert (np.array(gains) >= 1 - 1e-12).all()
    assert np.mean(gains, axis=0)[0] > 1.05


def test_season_is_the_longest_run_of_high_use_around_the_year():
    before, after, edges = season_edges([SEASON, np.roll(SEASON, 7), np.ones(12)])
    assert edges.tolist() == [[4, 10], [11, 5], [0, 0]]
    assert np.flatnonzero(before[0]).tolist() == [1, 2] and np.flatnonzero(after[0]).tolist() == [10, 11]
    assert np.flatnonzero(before[1]).tolist() == [8, 9] and np.flatnonzero(after[1]).tolist() == [5, 6]
    assert not before[2].any() and not after[2].any()
    # One calm month between two seasons is before the one and after the other.
    before, after, edges = season_edges(np.where(np.arange(12) == 1, 0.4, 1.1))
    assert edges.tolist() == [[3, 1]]
    assert np.flatnonzero(before[0]).tolist() == np.flatnonzero(after[0]).tolist() == [1]


@pytest.mark.parametrize("handover", range(1, 13))
def test_one_visit_stands_before_the_season_and_one_after_it(handover):
    hazard = np.random.default_rng(handover).gamma(2.0, 0.1, 15)
    months = visit_months(hazard, SEASON, handover)
    calendar = (handover - 1 + months) % 12 + 1
    assert np.isin(calendar, [2, 3]).any() and np.isin(calendar, [11, 12]).any()
    every = []
    for rest in itertools.combinations(range(2, 13), 3):
        at = (handover - 1 + np.array([1, *rest])) % 12 + 1
        if np.isin(at, [2, 3]).any() and np.isin(at, [11, 12]).any():
            every.append(visit_value(hazard, SEASON, handover, [1, *rest]).sum())
    assert visit_value(hazard, SEASON, handover, months).sum() == pytest.approx(max(every))


def test_too_few_visits_for_both_sides_of_the_season_meet_one():
    months = visit_months(np.ones(14), SEASON, 5, visits=2)
    calendar = (5 - 1 + months) % 12 + 1
    assert np.isin(calendar, [2, 3, 11, 12]).any()
    assert len(visit_months(np.ones(14), SEASON, 5, visits=1)) == 1


def test_many_products_at_once_equal_one_at_a_time():
    rng = np.random.default_rng(1)
    hazard, season, handover = rng.random((20, 15)), rng.random((20, 12)) * 2, rng.integers(1, 13, 20)
    together = visit_months(hazard, season, handover)
    alone = [visit_months(h, s, int(m)) for h, s, m in zip(hazard, season, handover)]
    assert together.tolist() == [months.tolist() for months in alone]
    worth = visit_value(hazard, season, handover, together)
    np.testing.assert_allclose(worth[7], visit_value(hazard[7], season[7], int(handover[7]), together[7]))


def test_no_failures_at_all_still_give_a_calendar():
    assert (
        visit_months(np.zeros(15), np.ones(12), 1).tolist()
        == visit_months(np.ones(15), np.ones(12), 1).tolist()
    )
    assert visit_months(np.ones(12), np.ones(12), 1, visits=12).tolist() == list(range(1, 13))
    assert visit_months(np.ones(12), np.ones(12), 1, visits=1).tolist() == [1]


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(DataError) as error:
        visit_months([-1.0] * 15, np.ones(11), 13, warning=0)
    assert error.value.problems["column"].tolist() == ["hazard", "season", "handover_month", "warning"]
    with pytest.raises(DataError, match="visits"):
        visit_months(np.ones(12), np.ones(12), 1, visits=13)
    with pytest.raises(DataError, match="rise"):
        visit_value(np.ones(12), np.ones(12), 1, [3, 2])


def usage(rows):
    return pd.DataFrame(rows, columns=["product_id", "region_id", "month", "hours_per_unit"]).assign(
        month=lambda frame: pd.to_datetime(frame["month"])
    )


def test_season_has_mean_one_and_falls_back_in_steps():
    months = pd.date_range("2024-01-01", "2025-12-01", freq="MS")
    rows = [("A", "N", month, 100 * SEASON[month.month - 1]) for month in months]
    rows += [("B", "N", month, 50.0) for month in months]
    pairs = pd.DataFrame({"product_id": ["A", "A", "B", "C"], "region_id": ["N", "S", "N", "N"]})
    out = season_factors(usage(rows), pairs)
    factors = out.filter(like="factor_").to_numpy()
    assert out["origin"].tolist() == ["usage", "product", "usage", "all products"]
    np.testing.assert_allclose(factors.mean(axis=1), 1.0)
    np.testing.assert_allclose(factors[0], SEASON / SEASON.mean())
    np.testing.assert_allclose(factors[1], factors[0])
    np.testing.assert_allclose(factors[2], 1.0)
    assert season_factors(usage([]), pairs)["origin"].eq("even").all()
    np.testing.assert_allclose(season_factors(usage([]), pairs).filter(like="factor_"), 1.0)


def test_season_of_a_few_months_and_of_no_use_stays_finite():
    out = season_factors(usage([("A", "N", "2025-06-01", 80.0), ("B", "N", "2025-06-01", 0.0)]))
    assert np.isfinite(out.filter(like="factor_").to_numpy()).all()
    np.testing.assert_allclose(out.filter(like="factor_").mean(axis=1), 1.0)


def test_schedule_holds_every_month_of_handover_and_says_why():
    hazard = pd.DataFrame([np.linspace(0.1, 0.5, 15)], index=pd.Index(["A"], name="product_id"))
    rows = [("A", "N", f"2025-{month:02d}-01", SEASON[month - 1]) for month in range(1, 13)]
    out = place_schedule(hazard, season_factors(usage(rows)))
    assert len(out) == 12 * 4
    first = out[out["after_months"] == 1]
    assert first["handover_month"].tolist() == list(range(1, 13))
    assert first["reason"].str.startswith("month 1 is fixed").all()
    june = out[out["handover_month"] == 6]
    calendar = (6 - 1 + june["after_months"]) % 12 + 1
    before, after = june.loc[calendar.isin([2, 3]), "reason"], june.loc[calendar.isin([11, 12]), "reason"]
    assert len(before) and before.str.startswith("before the season, April to October; ").all()
    assert len(after) and after.str.startswith("after the season, April to October; ").all()
    january = out[out["handover_month"] == 1]
    assert (out["prevented"] <= out["failures_ahead"]).all()
    # The shares of a machine's visits and of the month before the first add up to all its failures.
    load = np.linspace(0.1, 0.5, 15) * (SEASON / SEASON.mean())[np.arange(15) % 12]
    assert january["failures_ahead"].sum() == pytest.approx(load[1:].sum())
