"""Seasons of a panel: found where they are, not found where they are not, followed by the forecast."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.forecast.combine import forecast_history
from spareplan.forecast.history_season import seasonal_index


def yearly(c, amplitude, cycle=12, phase=0.0):
    return 1 + amplitude * np.sin(2 * np.pi * (np.arange(c) + phase) / cycle)


def panel_of(index, n=500, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    shock = np.exp(rng.normal(0, noise, len(index)) - noise**2 / 2)
    return rng.poisson(rng.gamma(0.8, 0.5, (n, 1)) * index * shock).astype(float)


@pytest.mark.parametrize("cycle", [12, 13, 52])
def test_a_season_is_found_and_carried_on(cycle):
    truth = yearly(3 * cycle + 9, 0.6, cycle)
    found = seasonal_index(panel_of(truth[: 3 * cycle], 1500), 9)
    assert found.shape == (3 * cycle + 9,)
    assert found[:cycle].mean() == pytest.approx(1)
    assert np.abs(found - truth).max() < 0.12


def test_a_trend_is_no_season():
    falling = np.exp(-np.arange(48) / 20)
    assert seasonal_index(panel_of(falling), 3) is None


def test_seasons_are_rarely_seen_where_there_are_none():
    seen = [
        seasonal_index(panel_of(np.ones(40), 200, seed, noise=0.15), 3) is not None for seed in range(200)
    ]
    assert np.mean(seen) < 0.02


def test_a_year_and_a_half_says_nothing_of_seasons():
    assert seasonal_index(panel_of(yearly(18, 0.8)), 3) is None
    assert seasonal_index(np.zeros((4, 60)), 3) is None
    assert seasonal_index(np.full((2, 60), np.nan), 3) is None


def test_the_forecast_follows_the_season():
    index = yearly(51, 0.6)
    rng = np.random.default_rng(4)
    rate = rng.gamma(0.8, 0.8, (800, 1))
    demand = rng.poisson(rate * index)
    ids = np.array([f"P{i:03d}" for i in range(800)])
    for end in (39, 45):
        history = pd.DataFrame(
            {
                "part_id": np.repeat(ids, end),
                "period": np.tile(np.arange(end), 800),
                "quantity": demand[:, :end].ravel(),
            }
        )
        truth = (rate * index[end : end + 3]).sum()
        out = forecast_history(history, 3)
        assert out["mean"].sum() == pytest.approx(truth, rel=0.06)
        came = demand[:, end : end + 3].sum(axis=1)
        for level in (0.8, 0.95):
            f = out[f"q{level:g}"]
            assert max(level - (came <= f).mean(), (came < f).mean() - level) < 0.02
