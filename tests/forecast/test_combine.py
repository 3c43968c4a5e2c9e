"""The door of the history road: what the contract promises for any panel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.combine import forecast_history

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
QUANTILES = [f"q{level:g}" for level in LEVELS]


def made_up(n=200, c=40, seed=0, size=3):
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.8, 3, n)
    sizes = 1 + rng.poisson(size, (n, c))
    quantity = np.where(rng.random((n, c)) < chance[:, None], sizes, 0)
    return long_table(quantity)


def long_table(quantity):
    n, c = quantity.shape
    ids = np.array([f"P{i:04d}" for i in range(n)])
    return pd.DataFrame(
        {"part_id": np.repeat(ids, c), "period": np.tile(np.arange(c), n), "quantity": quantity.ravel()}
    )


def assert_sane(out):
    values = out[["mean", "variance", *QUANTILES]].to_numpy()
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert (np.diff(out[QUANTILES].to_numpy(), axis=1) >= 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "rows",
    [
        [("a", 1, 5)],
        [("a", 1, 0)],
        [("a", 1, np.nan)],
        [("a", 1, 0), ("b", 9, 0)],
        [("a", 1, -3), ("b", 9, 2)],
        [("a", t, 0) for t in range(60)],
        [("a", t, 7) for t in range(60)],
        [("a", t, 1000.0 * (t == 30)) for t in range(60)] + [("b", 59, 1)],
        [("a", t, 0.25) for t in range(9)],
        [("a", t, t % 5) for t in range(300)],
    ],
)
def test_any_panel_gets_a_sane_forecast(rows):
    for periods in (1, 3, 24):
        for rounded in (True, False):
            out = forecast_history(
                pd.DataFrame(rows, columns=["part_id", "period", "quantity"]), periods, rounded=rounded
            )
            assert out["part_id"].tolist() == sorted({row[0] for row in rows})
            assert_sane(out)


def test_every_key_gets_a_row_in_sorted_order_with_the_promised_columns():
    history = made_up(30)
    out = forecast_history(history, 3, levels=(0.5, 0.999))
    assert out.columns.tolist() == ["part_id", "mean", "variance", "q0.5", "q0.999"]
    assert out["part_id"].tolist() == sorted(history["part_id"].unique())


def test_rows_absent_in_between_are_no_demand():
    history = made_up(40)
    first = ~history["part_id"].duplicated()
    last = history["period"] == history["period"].max()
    thin = history[(history["quantity"] != 0) | first | last]
    assert len(thin) < 0.6 * len(history)
    pd.testing.assert_frame_equal(forecast_history(history), forecast_history(thin))


def test_row_order_and_numbering_do_not_matter():
    history = made_up(60)
    base = forecast_history(history, 4)
    pd.testing.assert_frame_equal(base, forecast_history(history.sample(frac=1, random_state=1), 4))
    months = pd.period_range("2020-01", periods=40, freq="M").to_timestamp()
    dated = history.assign(period=months[history["period"]])
    pd.testing.assert_frame_equal(base, forecast_history(dated, 4))


def test_the_history_is_left_as_it_was():
    history = made_up(20)
    before = history.copy()
    forecast_history(history)
    pd.testing.assert_frame_equal(history, before)


def test_quantiles_are_whole_only_where_all_history_is():
    history = made_up(80)
    whole = forecast_history(history)[QUANTILES].to_numpy()
    assert (whole % 1 == 0).all()
    parts = forecast_history(history.assign(quantity=history["quantity"] * 0.37))[QUANTILES].to_numpy()
    assert (parts % 1 != 0).any()
    assert np.median(parts[whole > 3] / whole[whole > 3]) == pytest.approx(0.37, rel=0.15)


def test_what_is_asked_for_does_not_change_the_answer():
    history = made_up(80)
    few, many = (forecast_history(history, 3, levels) for levels in ((0.95,), (0.99, 0.3, 0.95, 0.5)))
    columns = ["part_id", "mean", "variance", "q0.95"]
    pd.testing.assert_frame_equal(few[columns], many[columns])


def test_periods_by_key_agree_with_the_same_number_for_all():
    history = made_up(150)
    ids = np.sort(history["part_id"].unique())
    mixed = forecast_history(history, pd.Series(np.where(np.arange(150) % 2, 6, 2), index=ids))
    for periods, rest in ((2, 0), (6, 1)):
        alone = forecast_history(history, periods)
        pick = np.arange(150) % 2 == rest
        pd.testing.assert_frame_equal(mixed[pick], alone[pick])


def test_days_and_weeks_tell_the_same_story():
    rng = np.random.default_rng(9)
    rate = rng.gamma(0.7, 0.1, (150, 1))
    days = rng.poisson(rate, (150, 728))
    weeks = days.reshape(150, 104, 7).sum(axis=2)
    by_day = forecast_history(long_table(days), 91)
    by_week = forecast_history(long_table(weeks), 13)
    assert_sane(by_day)
    truth = 91 * rate[:, 0]
    for out in (by_day, by_week):
        assert out["mean"].sum() == pytest.approx(truth.sum(), rel=0.1)
        assert np.corrcoef(out["mean"], truth)[0, 1] > 0.95
    assert by_day["q0.95"].sum() == pytest.approx(by_week["q0.95"].sum(), rel=0.1)


@pytest.mark.parametrize("lead", [1, 6, 12, 24])
def test_any_lead_time_is_calibrated_from_a_short_history(lead):
    rng = np.random.default_rng(lead)
    rate = rng.gamma(0.6, 1.0, (600, 1))
    demand = rng.poisson(rate, (600, 30 + lead))
    out = forecast_history(long_table(demand[:, :30]), lead)
    came = demand[:, 30:].sum(axis=1)
    assert out["mean"].sum() == pytest.approx(came.sum(), rel=0.1)
    for level in (0.8, 0.95):
        f = out[f"q{level:g}"]
        assert max(level - (came <= f).mean(), (came < f).mean() - level) < 0.05


def test_longer_sums_are_larger():
    history = made_up(100)
    means = [forecast_history(history, periods)["mean"].sum() for periods in (1, 3, 9, 18)]
    assert np.all(np.diff(means) > 0)
    assert means[2] / means[0] == pytest.approx(9, rel=0.25)


def test_a_stationary_panel_is_forecast_without_bias_and_calibrated():
    history = made_up(1500, 48, seed=3)
    known = history[history["period"] < 45]
    actual = history[history["period"] >= 45].groupby("part_id")["quantity"].sum().sort_index().to_numpy()
    out = forecast_history(known, 3)
    assert out["mean"].sum() == pytest.approx(actual.sum(), rel=0.08)
    for level in LEVELS:
        below, reached = (actual < out[f"q{level:g}"]).mean(), (actual <= out[f"q{level:g}"]).mean()
        assert max(level - reached, below - level) < 0.02


def test_a_series_that_doubles_its_machines_doubles_its_demand():
    history = made_up(120)
    flat = pd.DataFrame({"part_id": history["part_id"].unique(), "period": 0, "exposure": 10.0})
    grown = pd.concat([flat, flat.assign(period=40, exposure=20.0)])
    one = forecast_history(history, 3, exposure=flat)
    two = forecast_history(history, 3, exposure=grown)
    assert two["mean"].sum() == pytest.approx(2 * one["mean"].sum(), rel=0.02)
    assert_sane(two)


def test_parts_whose_machines_are_gone_need_nothing():
    history = made_up(60)
    exposure = pd.DataFrame(
        {
            "part_id": ["P0000"] * 3 + ["P0001"] * 3,
            "period": [0, 39, 40] * 2,
            "exposure": [5.0, 5, 0, 0, 0, 0],
        }
    )
    out = forecast_history(history, 3, exposure=exposure).set_index("part_id")
    assert_sane(out)
    assert out.loc[["P0000", "P0001"], ["mean", *QUANTILES]].to_numpy().sum() == 0


@pytest.mark.filterwarnings("error")
def test_a_growing_fleet_is_followed_through_its_exposure():
    rng = np.random.default_rng(8)
    growing = np.arange(400)[:, None] < 200
    machines = np.where(growing, np.linspace(5, 60, 43), np.linspace(60, 20, 43))
    rate = rng.gamma(0.5, 0.02, (400, 1))
    history = long_table(rng.poisson(rate * machines)[:, :40])
    exposure = long_table(machines).rename(columns={"quantity": "exposure"})
    truth = (rate * machines[:, 40:]).sum(axis=1)
    with_fleet = forecast_history(history, 3, exposure=exposure)
    assert_sane(with_fleet)
    mean, blind = with_fleet["mean"].to_numpy(), forecast_history(history, 3)["mean"].to_numpy()
    for half in (growing[:, 0], ~growing[:, 0]):
        assert mean[half].sum() == pytest.approx(truth[half].sum(), rel=0.15)
    assert np.abs(mean - truth).sum() < 0.9 * np.abs(blind - truth).sum()


def test_traits_that_tell_kin_apart_help_series_that_are_young():
    rng = np.random.default_rng(12)
    cheap, start = np.arange(900) % 2, rng.integers(0, 30, 900)
    rate = np.where(cheap, 2.0, 0.1)
    demand = rng.poisson(rate[:, None], (900, 33))
    history = long_table(demand[:, :30])
    history = history[history["period"] >= np.repeat(start, 30)]
    traits = pd.DataFrame({"part_id": [f"P{i:04d}" for i in range(900)], "unit_cost": 100.0 - 90 * cheap})
    off = {}
    for name, given in (("told", traits), ("blind", None)):
        out = forecast_history(history, 3, traits=given)
        off[name] = np.abs(out["mean"].to_numpy() - 3 * rate)[start >= 27].sum()
    assert off["told"] < 0.92 * off["blind"]
    shuffled = forecast_history(history, 3, traits=traits.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(shuffled, forecast_history(history, 3, traits=traits))


def test_traits_may_be_unknown_and_must_be_numbers():
    history = made_up(60)
    some = pd.DataFrame({"part_id": ["P0003", "P0004", "elsewhere"], "unit_cost": [3.0, np.nan, 7.0]})
    assert_sane(forecast_history(history, 3, traits=some))
    with pytest.raises(DataError, match="unit_cost"):
        forecast_history(history, 3, traits=some.assign(unit_cost=["3", "four", "7"]))
    with pytest.raises(DataError, match="doubled"):
        forecast_history(history, 3, traits=pd.concat([some, some]))


def test_several_key_columns_name_a_series():
    history = made_up(50)
    split = history.assign(site_id=np.where(history["part_id"] < "P0025", "n", "s"))
    out = forecast_history(split, 3, key=["part_id", "site_id"])
    pd.testing.assert_frame_equal(out.drop(columns="site_id"), forecast_history(history, 3))


def test_an_empty_history_gives_an_empty_forecast():
    out = forecast_history(made_up(1).head(0))
    assert out.empty
    assert out.columns.tolist() == ["part_id", "mean", "variance", *QUANTILES]


@pytest.mark.parametrize(
    "arguments",
    [
        {"levels": (0.5, 1.0)},
        {"levels": ()},
        {"levels": (0.5, 0.5)},
        {"periods": 0},
        {"periods": 1.5},
        {"key": "item"},
        {"exposure": pd.DataFrame({"part_id": ["P0000"]})},
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments):
    with pytest.raises(DataError):
        forecast_history(made_up(5), **arguments)
