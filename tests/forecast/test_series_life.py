"""What a demand series is doing, where the truth is known; one-off projects are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spareplan.errors import DataError
from spareplan.forecast.one_offs import find_one_offs
from spareplan.forecast.panels import net_of_returns
from spareplan.forecast.series_life import SERIES_COLUMNS, series_life
from spareplan.forecast.series_states import STATES, describe_series
from spareplan.maths.intermittency import demand_class, demand_intervals, size_variation
from tests.forecast.panels_made import compound, lognormal, lumpy, real_panel


def long(demand: np.ndarray, start: str = "2020-01-01") -> pd.DataFrame:
    """Matrix as a history, unknown and unstarted cells left out."""
    months = pd.date_range(start, periods=demand.shape[1], freq="MS")
    row, column = np.nonzero(np.isfinite(demand))
    return pd.DataFrame(
        {
            "part_id": np.char.add("P", row.astype(str)),
            "period": months[column],
            "quantity": demand[row, column],
        }
    )


def state_of(*demand: float, panel: int = 0) -> str:
    """State of one series, beside others that are demanded every other period."""
    series = np.array([demand], dtype=float)
    beside = np.tile(np.arange(series.shape[1]) % 2, (panel, 1)).astype(float)
    return str(describe_series(np.vstack([series, beside])).state[0])


# states


@pytest.mark.parametrize(
    ("demand", "state"),
    [
        ([0] * 24, "never"),
        ([np.nan] * 24, "never"),
        ([0] * 15 + [3] + [0] * 4, "single"),
        ([1, 2] * 12, "steady"),
        ([1, 2] * 12 + [0] * 24, "dead"),
        ([1, 0, 1, 0, 0] * 8, "steady"),
        ([np.nan] * 22 + [1, 2], "new"),
        ([np.nan] * 15 + [1, 2, 0, 1, 2, 1, 1, 2, 1], "starting"),
        ([0] * 24 + [1, 2, 1, 1, 2, 1, 1, 1, 2, 2, 1, 1], "starting"),
        ([1, 2, 1, 0] * 9 + [9, 8, 7, 9, 9, 8, 7, 9, 9, 8, 7, 9], "growing"),
        ([9, 8, 7, 9] * 9 + [1, 2, 0, 1, 1, 2, 0, 1, 1, 2, 0, 1], "dying"),
        ([5], "single"),
        ([0], "never"),
    ],
)
def test_a_series_is_in_the_state_that_a_planner_would_name(demand: list[float], state: str) -> None:
    assert state_of(*demand) == state


def test_a_silence_as_long_as_earlier_ones_is_no_death() -> None:
    season = [4.0, 5, 6] + [0.0] * 9
    assert state_of(*season * 5, panel=50) == "steady"


def test_a_part_asked_for_once_in_two_years_is_not_called_dead_after_a_normal_gap() -> None:
    rng = np.random.default_rng(0)
    slow = np.where(rng.random((1000, 60)) < 1 / 24, 1.0, 0.0)
    life = describe_series(slow)
    assert np.isin(life.state, ["dead"]).mean() <= 0.01
    assert life.since_last[life.demands > 0].max() > 36


@pytest.mark.parametrize(("a", "b", "c"), [(1.0, 3.0, 48), (0.6, 6.0, 60), (2.0, 2.0, 36)])
def test_silences_of_living_series_are_as_rare_as_they_are_called(a: float, b: float, c: int) -> None:
    rng = np.random.default_rng(1)
    chance = rng.beta(a, b, 4000)[:, None]
    life = describe_series(np.where(rng.random((4000, c)) < chance, rng.geometric(0.4, (4000, c)), 0.0))
    seen = life.gap_chance[life.demands > 0]
    for level in (0.01, 0.05, 0.2):
        assert (seen < level).mean() <= level
    assert (life.state == "dead").mean() <= 0.01
    assert (seen < 0.2).mean() > 0.05, "a chance that is never small tells nothing"


def test_the_chance_of_a_silence_is_the_beta_integral() -> None:
    """Brute force: (1 - p)^g averaged over the beta law of the rate, on a fine grid."""
    from spareplan.forecast.series_states import _beta_moments

    rng = np.random.default_rng(2)
    demand = np.where(rng.random((60, 30)) < rng.beta(1, 2, 60)[:, None], 1.0, 0.0)
    demand[:, 0] = 0.0
    life = describe_series(demand)
    mean, strength = _beta_moments((demand > 0).sum(axis=1), np.full(60, 30))
    rate = (np.arange(200_000) + 0.5) / 200_000
    for row in np.flatnonzero(life.demands > 1)[:10]:
        silent = int(life.since_last[row])
        tries, hits = 30 - silent - 1, life.demands[row] - 1
        law = (strength * mean + hits - 1) * np.log(rate)
        law += (strength * (1 - mean) + tries - hits - 1) * np.log1p(-rate)
        weight = np.exp(law - law.max())
        expected = (weight * (1 - rate) ** silent).sum() / weight.sum()
        assert life.gap_chance[row] == pytest.approx(expected, rel=1e-3)


def test_most_series_that_stopped_long_ago_are_called_dead_or_dying() -> None:
    rng = np.random.default_rng(3)
    chance = rng.beta(2, 4, 2000)[:, None]
    demand = np.where(rng.random((2000, 60)) < chance, 1.0, 0.0)
    stopped = np.arange(2000) < 300
    demand[:300, 36:] = 0.0
    life = describe_series(demand)
    often = stopped & (demand.sum(axis=1) >= 6)
    assert np.isin(life.state[often], ["dead", "dying"]).mean() > 0.8
    assert (life.state[~stopped] == "dead").mean() < 0.01


def test_threefold_demand_is_growth_and_steady_demand_hardly_ever() -> None:
    rng = np.random.default_rng(4)
    rate = rng.gamma(2.0, 1.0, (1000, 1))
    steady = rng.poisson(np.tile(rate, (1, 48))).astype(float)
    grown = steady.copy()
    grown[:, -12:] = rng.poisson(3 * np.tile(rate, (1, 12)))
    assert np.isin(describe_series(steady).state, ["growing", "dying"]).mean() < 0.03
    often = steady.sum(axis=1) > 30
    assert (describe_series(grown).state[often] == "growing").mean() > 0.8


def test_unknown_periods_are_no_silence() -> None:
    demand = np.array([[1.0, 2, 1, 1, 2, 1, 2, 1] + [np.nan] * 20 + [0.0]])
    life = describe_series(demand)
    assert life.unknown.tolist() == [20] and life.periods.tolist() == [9]
    assert life.gap_chance[0] > 0.04 and life.state[0] == "steady"
    assert describe_series(np.nan_to_num(demand)).gap_chance[0] < 0.001


def test_returns_come_off_before_the_series_is_described() -> None:
    life = describe_series(np.array([[5.0, 0, 3, -4, 1]]))
    assert life.pieces.tolist() == [5.0] and life.demands.tolist() == [2]


def test_panels_without_series_or_periods_are_described_too() -> None:
    assert len(describe_series(np.empty((0, 12))).state) == 0
    assert describe_series(np.empty((2, 0))).state.tolist() == ["never", "never"]


@settings(max_examples=150, deadline=None)
@given(
    arrays(
        float,
        st.tuples(st.integers(1, 6), st.integers(1, 30)),
        elements=st.one_of(st.just(0.0), st.integers(-9, 60).map(float), st.just(float("nan"))),
    )
)
def test_whatever_is_written_down_is_described(demand: np.ndarray) -> None:
    life = describe_series(demand)
    asked = life.demands > 0
    assert set(life.state.tolist()) <= set(STATES)
    assert ((life.state == "never") == ~asked).all()
    assert np.isfinite(life.since_last[asked]).all() and np.isnan(life.since_last[~asked]).all()
    assert ((life.gap_chance[asked] >= 0) & (life.gap_chance[asked] <= 1)).all()
    assert (life.periods + life.unknown <= demand.shape[1]).all() and (life.pieces >= 0).all()
    other = describe_series(demand[::-1] * 24.0)
    assert other.state[::-1].tolist() == life.state.tolist()
    np.testing.assert_allclose(other.gap_chance[::-1], life.gap_chance, rtol=1e-9)


# one-offs


@pytest.mark.parametrize("make", [lumpy, lognormal, compound])
@pytest.mark.parametrize("n", [3000, 100])
def test_ordinary_lumpy_series_are_rarely_flagged(make, n: int) -> None:
    share = [
        len(np.unique(find_one_offs(make(n, 48, seed)).row)) / n for seed in range(1 if n > 1000 else 15)
    ]
    assert np.mean(share) <= 0.0125


def test_injected_projects_are_found() -> None:
    found, demand = {}, lumpy(3000, 48, 0)
    rng = np.random.default_rng(5)
    often = np.flatnonzero((demand > 0).sum(axis=1) >= 4)
    rows = rng.choice(often, 100, replace=False)
    usual = np.array([np.median(demand[row][demand[row] > 0]) for row in rows])
    columns = rng.integers(0, 48, 100)
    for factor in (20, 50):
        changed = demand.copy()
        changed[rows, columns] += np.ceil(factor * usual)
        out = find_one_offs(changed)
        cells = set(zip(out.row.tolist(), out.column.tolist()))
        found[factor] = np.mean([cell in cells for cell in zip(rows.tolist(), columns.tolist())])
    assert found[20] > 0.5 and found[50] > 0.85


def test_a_project_in_a_lone_series_is_found() -> None:
    demand = np.array([[2.0, 0, 1, 3, 0, 2, 1, 0, 2, 2, 0, 90, 1, 0, 2, 1]])
    out = find_one_offs(demand)
    assert out.column.tolist() == [11] and out.pieces.tolist() == [90.0]
    assert out.usual[0] == pytest.approx(2.0, rel=0.3)


def test_two_projects_do_not_hide_each_other() -> None:
    demand = lumpy(500, 48, 1)
    row = int(np.argmax((demand > 0).sum(axis=1)))
    demand[row, [10, 30]] = 5000.0
    out = find_one_offs(demand)
    assert out.column[out.row == row].tolist() == [10, 30]


def test_a_project_of_three_periods_is_found_and_a_new_level_is_not() -> None:
    demand = lumpy(500, 48, 2)
    demand[0] = np.where(np.arange(48) % 2, 2.0, 1.0)
    project, level = demand.copy(), demand.copy()
    project[0, 20:23] = 400.0
    level[0, 40:] = 400.0
    out = find_one_offs(project)
    assert out.column[out.row == 0].tolist() == [20, 21, 22]
    out = find_one_offs(level)
    assert not (out.row == 0).any()


def test_large_demands_that_come_again_and_again_belong_to_the_series() -> None:
    demand = lumpy(500, 48, 3)
    demand[0] = np.where(np.arange(48) % 6 == 5, 300.0, np.where(np.arange(48) % 2, 2.0, 1.0))
    out = find_one_offs(demand)
    assert not (out.row == 0).any()


def test_bolts_that_go_by_the_hundred_are_no_projects_beside_pumps() -> None:
    demand = np.ones((300, 24)) * (np.arange(24) % 3 == 0)
    demand[0], demand[1] = 0.0, 0.0
    demand[0, 5], demand[1, [5, 9]] = 500.0, [140.0, 150.0]
    assert not len(find_one_offs(demand).row)
    demand[1, [12, 15]] = [145.0, 9000.0]
    out = find_one_offs(demand)
    assert out.row.tolist() == [1] and out.column.tolist() == [15]
    assert out.usual[0] == pytest.approx(145.0)


def test_less_than_three_times_the_usual_is_no_project() -> None:
    demand = np.ones((200, 24))
    demand[0, 5] = 2.9
    assert not len(find_one_offs(demand).row)
    demand[0, 5] = 9.0
    assert find_one_offs(demand).row.tolist() == [0]


def test_flags_do_not_depend_on_the_unit_or_the_order_of_series() -> None:
    demand = lumpy(800, 36, 4)
    demand[3, 7] = 900.0
    one, other = find_one_offs(demand), find_one_offs(demand[::-1] * 12.0)
    assert set(zip(one.row.tolist(), one.column.tolist())) == {
        (799 - row, column) for row, column in zip(other.row.tolist(), other.column.tolist())
    }
    np.testing.assert_allclose(np.sort(other.usual), np.sort(one.usual) * 12.0)


def test_nothing_to_flag_in_panels_without_demand() -> None:
    for empty in (np.zeros((4, 9)), np.full((2, 5), np.nan), np.empty((0, 4)), np.empty((3, 0))):
        assert not len(find_one_offs(empty).row)


@pytest.mark.parametrize("name", ["carparts", "oil", "man"])
def test_real_panels_are_not_flooded_with_flags(test_data, name: str) -> None:
    demand = net_of_returns(real_panel(test_data, name))
    out = find_one_offs(demand)
    assert 0.001 < len(np.unique(out.row)) / len(demand) < 0.01
    # What is flagged is far above all others of its series.
    others = demand.copy()
    others[out.row, out.column] = 0.0
    assert np.mean(out.pieces >= 2 * np.nan_to_num(others[out.row]).max(axis=1)) > 0.9


def test_dead_series_of_real_parts_seldom_wake_up(test_data) -> None:
    """Described a year before the end; dead and dying ones then took far less than others of their past."""
    demand = net_of_returns(real_panel(test_data, "carparts"))
    demand = demand[np.isfinite(demand).all(axis=1)]
    life = describe_series(demand[:, :-12])
    before, after = demand[:, :-12].sum(axis=1) / 39 * 12, demand[:, -12:].sum(axis=1)
    kept = {name: after[life.state == name].sum() / before[life.state == name].sum() for name in STATES[2:6]}
    assert kept["dead"] < 0.25 < 0.5 < kept["steady"] < kept["growing"]
    assert kept["dying"] < 0.5


# tables


def test_the_table_has_a_row_per_key_with_the_figures_of_the_panel() -> None:
    demand = lumpy(40, 36, 6)
    demand[0], demand[1, 20:25] = 0.0, np.nan
    frame = long(demand)
    table = series_life(frame.sample(frac=1.0, random_state=1))
    assert table.columns.tolist() == ["part_id", *SERIES_COLUMNS]
    assert table["part_id"].tolist() == sorted(frame["part_id"].unique())
    by_part = frame.groupby("part_id")["quantity"]
    np.testing.assert_allclose(table["pieces"], by_part.sum())
    np.testing.assert_allclose(table["demands"], by_part.apply(lambda q: (q > 0).sum()))
    np.testing.assert_allclose(table["adi"], demand_intervals(table["periods"], table["demands"]))
    squares = by_part.apply(lambda q: (q**2).sum())
    np.testing.assert_allclose(table["cv2"], size_variation(table["demands"], table["pieces"], squares))
    assert table["demand_class"].tolist() == demand_class(table["adi"], table["cv2"]).tolist()
    assert set(table["state"]) <= set(STATES)


def test_returned_pieces_and_unknown_periods_are_told() -> None:
    frame = pd.DataFrame({"part_id": "A", "period": range(8), "quantity": [4, 0, -3, np.nan, 2, 0, -9, 1]})
    row = series_life(frame).iloc[0]
    assert row["returned"] == 12.0 and row["unknown"] == 1
    assert "12 pieces came back" in row["reason"] and "1 periods unknown" in row["reason"]


def test_an_outlier_is_told_with_its_month_and_what_is_usual() -> None:
    demand = lumpy(60, 36, 7)
    demand[5] = np.arange(36) % 2 * 2.0
    demand[5, 33] = 250.0
    row = series_life(long(demand)).set_index("part_id").loc["P5"]
    assert row["outliers"] == 1 and row["outlier_pieces"] == 250.0 and row["outlier_since"] == 2
    assert row["outlier_periods"] == "2022-10" and row["outlier_usual"] == pytest.approx(2.0, rel=0.2)
    assert "250 pieces in 2022-10" in row["reason"]


def test_periods_are_named_as_the_history_names_them() -> None:
    quantity = [2.0, 0, 1, 3, 0, 2, 1, 0, 2, 2, 0, 90, 1, 0, 2, 1]
    months = pd.date_range("2024-01-01", periods=16, freq="MS")
    for periods, named in (
        (range(100, 116), "111"),
        (months, "2024-12"),
        (months.to_period("M"), "2024-12"),
        (months.strftime("%Y-%m"), "2024-12"),
    ):
        frame = pd.DataFrame({"part_id": "A", "period": periods, "quantity": quantity})
        assert series_life(frame)["outlier_periods"].tolist() == [named]


def test_a_table_without_rows_has_the_columns() -> None:
    empty = pd.DataFrame({"part_id": [], "period": [], "quantity": []})
    assert series_life(empty).columns.tolist() == ["part_id", *SERIES_COLUMNS]


def test_wrong_rows_are_named_as_everywhere() -> None:
    frame = pd.DataFrame({"part_id": ["A", "A"], "period": [1, 1], "quantity": [1, 2]})
    with pytest.raises(DataError) as caught:
        series_life(frame)
    problem = caught.value.problems.iloc[0]
    assert problem["rule"] == "is doubled for its key" and problem["remedy"]
