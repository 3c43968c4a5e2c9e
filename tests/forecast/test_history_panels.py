"""Panels on which the history forecast is measured."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import history_panels
from history_methods import LEVELS, SINGLE, spareplan
from history_panels import DemandPanel, halves, simulated_panels, subsets
from history_scores import paired_interval, score_forecasts, verdict
from history_simulated import KINDS, amounts, geometric_orders, heavy_orders, lots, noisy_counts


def kind(name, seed=0, parts=600):
    return next(simulated_panels([seed], [name], parts))


@pytest.mark.parametrize("name", list(KINDS))
def test_a_seed_gives_the_same_panel_and_another_seed_another(name):
    first, again, other = kind(name, 1, 50), kind(name, 1, 50), kind(name, 2, 50)
    np.testing.assert_array_equal(first.demand, again.demand)
    assert not np.array_equal(first.demand, other.demand, equal_nan=True)


@pytest.mark.parametrize("name", list(KINDS))
def test_demand_is_whole_and_starts_once(name):
    demand = kind(name, 3, 200).demand
    known = np.isfinite(demand)
    assert (demand[known] >= 0).all()
    assert (demand[known] % 1 == 0).all() or name == "fluids"
    assert (np.diff(known.astype(int), axis=1) >= 0).all()


@pytest.mark.parametrize("name", list(KINDS))
def test_truth_has_the_mean_and_the_chances_of_what_came(name):
    came, means, below = [], [], []
    for seed in range(3):
        panel = kind(name, seed, 1500)
        for window in panel.windows():
            sums = panel.truth(window.origin, 60, np.random.default_rng(seed))[window.rows]
            came.append(window.came.sum())
            means.append(sums.mean(axis=1).sum())
            # Chance of less plus half the chance of equal is one half on average, whatever the law.
            lower = (sums < window.came[:, None]).mean(axis=1) + (sums == window.came[:, None]).mean(
                axis=1
            ) / 2
            below.append(lower.mean())
    assert sum(means) == pytest.approx(sum(came), rel=0.1 if name == "lumpy" else 0.04)
    assert np.mean(below) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("law", "rate", "size", "mean", "variance"),
    [
        # Poisson sum of geometric sizes: rate z, rate (2 z² - z); lognormal: z exp(s²/2), before rounding up.
        (geometric_orders, 0.7, 3.0, 2.1, 0.7 * (2 * 9 - 3)),
        (geometric_orders, 0.7, 1.0, 0.7, 0.7),
        (lots, 0.4, 5.0, 0.4 * 5 * 1.25, 0.4 * 25 * 1.75 - 2.5**2),
        (noisy_counts, 8.0, 2.0, 8.0, 8 + 64 / 2),
        (amounts, 0.7, 300.0, 0.7 * 300, 0.7 * 300**2 * 1.5),
    ],
)
def test_laws_have_their_known_moments(law, rate, size, mean, variance):
    drawn = law(np.random.default_rng(0), np.full(400_000, rate), np.full(400_000, size))
    assert drawn.mean() == pytest.approx(mean, rel=0.01)
    assert drawn.var() == pytest.approx(variance, rel=0.02)


def test_heavy_orders_have_the_median_and_the_tail_of_a_lognormal():
    drawn = heavy_orders(np.random.default_rng(0), np.full(400_000, 0.5), np.full(400_000, 1000.0))
    sizes = drawn[drawn > 0]
    assert len(sizes) == pytest.approx(200_000, rel=0.01)
    assert np.median(sizes) == pytest.approx(1000, rel=0.02)
    assert np.quantile(sizes, 0.99) == pytest.approx(1000 * np.exp(1.3 * 2.3263), rel=0.03)


def test_season_peaks_in_summer_and_dying_parts_die():
    month = kind("season").demand.mean(axis=0)[:60].reshape(5, 12).mean(axis=0)
    assert month[5] > 2 * month[11]
    fleet = kind("dying fleet").demand.mean(axis=0)
    assert fleet[-12:].mean() < 0.75 * fleet[:12].mean()


def test_failures_per_machine_stay_while_fleets_change():
    panel = kind("installed", parts=3000)
    grown = panel.exposure[:, -1] > 2 * panel.exposure[:, 0]
    assert grown.any()
    per_machine = panel.demand[grown] / panel.exposure[grown]
    assert per_machine[:, -12:].mean() == pytest.approx(per_machine[:, :12].mean(), rel=0.15)
    assert panel.demand[grown, -12:].mean() > 1.5 * panel.demand[grown, :12].mean()


def test_windows_sum_each_parts_own_lead_and_leave_out_what_does_not_fit():
    demand = np.array([[np.nan, 1, 2, 3, 4, 5], [1, 1, 1, 1, 1, 1], [np.nan] * 4 + [7, 7]])
    panel = DemandPanel("few", demand, np.array([1, 3, 1]), origins=(3, 4), tuning=(2,))
    early, late = panel.windows()
    assert early.rows.tolist() == [0, 1]
    assert early.came.tolist() == [3.0, 3.0]
    assert early.demand.shape == (2, 3)
    assert late.rows.tolist() == [0]
    assert late.came.tolist() == [4.0]
    # The sum of the second part after two periods would reach into the scored ones.
    (tuning,) = panel.windows(panel.tuning)
    assert tuning.rows.tolist() == [0]
    assert tuning.came.tolist() == [2.0]


def test_windows_refuse_an_origin_that_nothing_fits():
    panel = DemandPanel("few", np.ones((2, 6)), 3, origins=(4,))
    with pytest.raises(ValueError, match="few: no part has a history and a whole sum at 4"):
        list(panel.windows())


def test_exposure_reaches_over_the_coming_periods():
    panel = kind("installed", parts=20)
    window = next(panel.windows())
    assert window.exposure.shape[1] == window.demand.shape[1] + panel.lead


def test_subsets_are_drawn_without_replacement_and_keep_what_belongs_to_a_part():
    panel = kind("installed", parts=100)
    first, second = subsets(panel, 30, 2)
    assert first.demand.shape == (30, 48)
    assert not np.array_equal(first.demand, second.demand)
    rows = [np.flatnonzero((panel.exposure == row).all(axis=1)) for row in first.exposure]
    assert all(len(found) for found in rows)
    again = next(subsets(panel, 30, 1))
    np.testing.assert_array_equal(first.demand, again.demand)
    drawn = first.truth(33, 500, np.random.default_rng(0))
    assert drawn.shape == (30, 500)


def test_halves_are_the_first_and_the_last_two_years():
    panel = DemandPanel("long", np.arange(44.0)[None], 3, origins=(32,))
    first, last = halves(panel)
    assert first.demand.tolist() == [list(np.arange(24.0))]
    assert last.demand.tolist() == [list(np.arange(20.0, 44.0))]
    # Only sums that end before period 32, the first scored one, may be looked at: 9 + 20 + 3.
    assert last.tuning == (9,)


def test_real_panels_have_what_the_readme_of_the_data_says(test_data):
    scorer = history_panels.load_scorer()
    panels = {panel.name: panel for panel in history_panels.real_panels(scorer)}
    assert {name: panel.demand.shape for name, panel in panels.items()} == {
        "carparts": (2674, 51),
        "oil": (7024, 44),
        "man": (3451, 37),
    }
    assert np.isfinite(panels["oil"].exposure[:, 0]).sum() == 5356
    for name, panel in panels.items():
        actual = scorer.actual_ltd(name)
        came = np.concatenate([window.came for window in panel.windows()])
        assert came.sum() == actual["y"].sum()
        assert max(panel.tuning) + panel.lead <= min(panel.origins)
    weeks, oil = history_panels.lead_time_panels(scorer)
    assert np.unique(weeks.lead).tolist() == [7, 16]
    assert (oil.lead.min(), oil.lead.max()) == (1, 16)
    # Four weeks make one of the scorer's buckets.
    np.testing.assert_array_equal(weeks.demand.reshape(3451, 37, 4).sum(axis=2), panels["man"].demand)


def test_new_parts_keep_only_their_last_periods():
    panel = kind("lumpy", parts=50)
    for at, rows in history_panels.new_parts(panel, 3):
        (window,) = at.windows()
        known = np.isfinite(window.demand).sum(axis=1)
        assert len(rows) == 10
        np.testing.assert_array_equal(known, np.where(np.isin(np.arange(50), rows), 3, window.origin))
        np.testing.assert_array_equal(
            window.demand[rows, -3:], panel.demand[rows][:, : window.origin][:, -3:]
        )
    assert np.isfinite(panel.demand).all()


def test_figures_are_those_of_the_definitions():
    demand = np.array([[1.0, 0, 2, 4], [0, 0, 0, 0], [3, 3, 3, 6]])
    panel = DemandPanel("few", demand, 2, origins=(2,))
    quantiles = np.array([[5.0, 6, 7, 8, 9], [0, 0, 1, 1, 2], [3, 4, 5, 6, 9]])
    mean = np.array([5.0, 0.5, 4.0])
    scored = score_forecasts(panel, [(mean, quantiles)])
    came = [6.0, 0.0, 9.0]
    loss = [
        sum(2 * (level * (y - q) if y > q else (1 - level) * (q - y)) for level, q in zip(LEVELS, row)) / 5
        for y, row in zip(came, quantiles)
    ]
    np.testing.assert_allclose(scored.loss, loss)
    assert scored.figures["wql"] == pytest.approx(sum(loss) / 15)
    assert scored.figures["bias"] == pytest.approx(9.5 / 15 - 1)
    # At .5: 0 of 3 below, 1 of 3 at or below; at .99: 2 of 3 below, all at or below.
    assert scored.figures["calerr_0.5"] == pytest.approx(0.5 - 1 / 3)
    assert scored.figures["calerr_0.99"] == 0
    assert scored.figures["stock_0.95"] == pytest.approx((8 + 1 + 6) / 15)
    assert scored.figures["fill_0.95"] == pytest.approx((6 + 0 + 6) / 15)


def test_chance_is_told_from_a_real_difference():
    rng = np.random.default_rng(0)
    base = rng.gamma(1.0, 1.0, 500)
    assert (
        verdict(*paired_interval(base * rng.lognormal(0, 0.3, 500) / np.exp(0.045), base)) == "within noise"
    )
    assert verdict(*paired_interval(base * 1.05, base)) == "worse, real"
    assert verdict(*paired_interval(base * 0.95, base)) == "better, real"
    low, high = paired_interval(base * 0.95, base)
    assert low == pytest.approx(-0.05)
    assert high == pytest.approx(-0.05)


def test_the_interval_covers_the_true_ratio_as_often_as_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        base = rng.gamma(2.0, 1.0, 300)
        low, high = paired_interval(base * rng.gamma(25.0, 1.1 / 25, 300), base, draws=400)
        inside += low <= 0.1 <= high
    assert 180 <= inside <= 199


@pytest.mark.parametrize("label", ["mean + NB", "iid bootstrap", "Willemain bootstrap", "spareplan"])
def test_methods_sum_over_each_parts_own_lead_time(label):
    method = {"spareplan": spareplan(), **SINGLE}[label]
    panel = kind("slow movers", parts=40)
    leads = np.where(np.arange(40) % 2 == 0, 2, 5)
    mixed = DemandPanel("leads", panel.demand, leads, origins=(30,))
    mean, quantiles = method(next(mixed.windows()))
    for lead in (2, 5):
        alone = DemandPanel("lead", panel.demand, lead, origins=(30,))
        one_mean, one_quantiles = method(next(alone.windows()))
        np.testing.assert_allclose(mean[leads == lead], one_mean[leads == lead])
        np.testing.assert_allclose(quantiles[leads == lead], one_quantiles[leads == lead])
