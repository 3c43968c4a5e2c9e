"""The history road where histories are short, odd or broken: the plain function and the whole forecast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spareplan.errors import DataError
from spareplan.forecast.combine import forecast_history
from tests.forecast.panels_made import compound, lumpy

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
NAMES = [f"q{level:g}" for level in LEVELS]


def history(series: dict[Any, Any] | np.ndarray, periods: Any = None, key: str = "part_id") -> pd.DataFrame:
    """Rows of some series that all begin in the first period; None leaves a row out."""
    if isinstance(series, np.ndarray):
        series = {f"P{row:04d}": list(line) for row, line in enumerate(series)}
    rows = [
        (name, at if periods is None else periods[at], quantity)
        for name, line in series.items()
        for at, quantity in enumerate(line)
        if quantity is not None
    ]
    return pd.DataFrame(rows, columns=[key, "period", "quantity"])


def beside(series: dict[Any, Any], length: int = 36, count: int = 60, seed: int = 0) -> pd.DataFrame:
    """The series among ordinary lumpy ones."""
    others = lumpy(count, length, seed)
    return history(series | {f"Z{row:03d}": list(line) for row, line in enumerate(others)})


def checked(frame: pd.DataFrame, **arguments: Any) -> pd.DataFrame:
    """Forecast, with what holds for every forecast asserted."""
    keys = arguments.get("key", "part_id")
    keys = [keys] if isinstance(keys, str) else list(keys)
    out = forecast_history(frame, **arguments)
    assert len(out) == len(frame[keys].drop_duplicates())
    values = out.drop(columns=keys).to_numpy(float)
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    marks = sorted(arguments.get("levels", LEVELS))
    quantiles = out[[f"q{level:g}" for level in marks]].to_numpy(float)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    if arguments.get("rounded", True) and (frame["quantity"].dropna().astype(float) % 1 == 0).all():
        assert (quantiles % 1 == 0).all()
    pd.testing.assert_frame_equal(forecast_history(frame, **arguments), out)
    return out


def one(out: pd.DataFrame, part: Any) -> pd.Series:
    return out.set_index("part_id").loc[part]


# values of the history


@pytest.mark.parametrize("length", [1, 2, 3, 12, 48])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_panels_without_any_demand_expect_hardly_any(length: int, count: int) -> None:
    out = checked(history(np.zeros((count, length))))
    assert (out[NAMES].max(axis=1) <= 3).all() and (out["q0.5"] == 0).all()
    if length * count > 400:
        assert (out[NAMES] == 0).all(axis=None) and (out["mean"] < 0.05).all()


@pytest.mark.parametrize("quantity", [0.0, 1.0, 7.0, 1e6, np.nan])
def test_one_row_is_a_history(quantity: float) -> None:
    out = checked(history({"A": [quantity]}))
    assert out["q0.99"].iloc[0] <= 30 * max(np.nan_to_num(quantity), 1.0)


def test_a_series_without_demand_among_others_is_forecast_below_them() -> None:
    out = checked(beside({"A": [0.0] * 36}))
    assert one(out, "A")["mean"] < 0.3 * out["mean"].median()
    assert one(out, "A")["q0.8"] == 0


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_series_that_starts_at_the_end_is_forecast_like_its_kin(length: int) -> None:
    out = checked(beside({"A": [None] * (36 - length) + [2.0] * length}))
    assert 0.1 * out["mean"].mean() < one(out, "A")["mean"] < 10 * out["mean"].mean()


def test_unknown_periods_are_no_periods_without_demand() -> None:
    steady = [3.0, 2.0, 4.0] * 12
    unknown = [value if at < 18 or at > 30 else np.nan for at, value in enumerate(steady)]
    none = [value if at < 18 or at > 30 else 0.0 for at, value in enumerate(steady)]
    out = checked(beside({"A": steady, "B": unknown, "C": none}))
    full, gap, zero = (one(out, part)["mean"] for part in "ABC")
    assert abs(gap - full) < 0.4 * abs(zero - full) + 0.5
    assert zero < gap


@pytest.mark.parametrize("count", [1, 30])
def test_histories_of_nothing_but_unknown_quantities_are_forecast(count: int) -> None:
    checked(history(np.full((count, 20), np.nan)))


def test_an_unknown_series_is_forecast_like_its_kin() -> None:
    out = checked(beside({"A": [np.nan] * 36}))
    assert one(out, "A")["mean"] > 0 and one(out, "A")["mean"] < 5 * out["mean"].mean()


def test_returns_beyond_the_demand_leave_a_forecast_of_zero_or_more() -> None:
    out = checked(beside({"A": [1.0, -5.0] * 18, "B": [-3.0] * 36, "C": [5.0] + [0.0] * 34 + [-5.0]}))
    for part in "ABC":
        assert one(out, part)["mean"] < out["mean"].median()


def test_returned_pieces_were_never_demanded() -> None:
    taken = [4.0, 0.0, 0.0, 2.0] * 9
    back = [5.0, -1.0, 0.0, 2.0] * 9
    pd.testing.assert_frame_equal(
        checked(beside({"A": taken})).iloc[:1], checked(beside({"A": back})).iloc[:1]
    )


@pytest.mark.parametrize("size", [1e5, 1e9, 1e12])
def test_huge_quantities_do_not_break_the_others(size: float) -> None:
    usual = checked(beside({}))
    out = checked(beside({"A": [size] * 36}))
    assert one(out, "A")["mean"] == pytest.approx(3 * size, rel=0.5)
    both = out[out["part_id"] != "A"]["mean"].to_numpy()
    assert np.median(np.abs(both / usual["mean"].to_numpy() - 1)) < 0.25


def test_fractions_are_forecast_and_not_rounded() -> None:
    demand = lumpy(60, 36, 1) * 0.37
    out = checked(history(demand))
    assert (out["q0.95"] % 1 != 0).any()


def test_one_fraction_anywhere_keeps_all_quantiles_unrounded() -> None:
    out = checked(beside({"A": [0.5] + [1.0] * 35}))
    assert (out[NAMES].to_numpy() % 1 != 0).any()


@pytest.mark.parametrize("pieces", [1.0, 4.0, 250.0])
def test_a_constant_demand_is_forecast_as_it_was(pieces: float) -> None:
    out = checked(beside({"A": [pieces] * 36}))
    assert one(out, "A")["q0.5"] == pytest.approx(3 * pieces, rel=0.35)
    assert one(out, "A")["mean"] == pytest.approx(3 * pieces, rel=0.35)


def test_what_died_long_ago_is_forecast_far_below_what_it_was() -> None:
    alive = [3.0, 2.0, 0.0] * 12
    out = checked(beside({"A": alive, "B": alive[:12] + [0.0] * 24}))
    assert one(out, "B")["mean"] < 0.25 * one(out, "A")["mean"]
    assert one(out, "B")["q0.5"] == 0


def test_two_periods_of_history_are_enough() -> None:
    out = checked(history(lumpy(50, 2, 2)))
    assert out["mean"].sum() > 0


def test_three_hundred_periods_of_history_are_read_whole() -> None:
    out = checked(history(lumpy(20, 300, 3)))
    assert out["mean"].sum() == pytest.approx(3 * lumpy(20, 300, 3).sum() / 300, rel=0.3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_series_are_forecast_by_their_own_record(count: int) -> None:
    # In a random order: of a pattern that repeats, the next three are known better than by their mean.
    demand = np.random.default_rng(count).permuted(np.tile([2.0, 0.0, 1.0, 3.0], (count, 12)), axis=1)
    out = checked(history(demand))
    assert out["mean"].to_numpy() == pytest.approx(np.full(count, 4.5), rel=0.25)


def test_a_series_with_one_demand_beside_busy_ones_is_no_outcast() -> None:
    out = checked(beside({"A": [0.0] * 20 + [4.0] + [0.0] * 15}))
    assert 0 < one(out, "A")["mean"] < out["mean"].median()


# keys, calendars, rows


CALENDARS = {
    "dates": pd.date_range("2022-01-01", periods=36, freq="MS"),
    "periods": pd.period_range("2022-01", periods=36, freq="M"),
    "text": pd.date_range("2022-01-01", periods=36, freq="MS").strftime("%Y-%m"),
    "days in text": pd.date_range("2022-01-01", periods=36, freq="MS").strftime("%Y-%m-%d"),
    "weeks": range(202401, 202437),
    "floats": np.arange(36) * 1.0,
    "below zero": range(-36, 0),
    "numbers in text": [str(at) for at in range(36)],
    "objects": [pd.Timestamp("2022-01-01") + pd.DateOffset(months=at) for at in range(36)],
}


@pytest.mark.parametrize("name", CALENDARS)
def test_every_calendar_gives_the_same_forecast(name: str) -> None:
    demand = lumpy(30, 36, 4)
    pd.testing.assert_frame_equal(
        checked(history(demand, list(CALENDARS[name]))), checked(history(demand)), check_dtype=False
    )


@pytest.mark.parametrize("dtype", ["datetime64[s]", "datetime64[ms]", "datetime64[us]"])
def test_dates_of_any_resolution_are_read(dtype: str) -> None:
    frame = history(lumpy(10, 36, 4), list(CALENDARS["dates"]))
    frame["period"] = frame["period"].astype(dtype)
    checked(frame)


def test_months_without_rows_had_no_demand() -> None:
    demand = lumpy(30, 36, 5)
    demand[:, 0] = demand[:, -1] = 1.0
    frame = history(demand)
    pd.testing.assert_frame_equal(checked(frame[frame["quantity"] > 0]), checked(frame))


def test_the_order_of_rows_does_not_matter() -> None:
    frame = history(compound(80, 30, 6))
    pd.testing.assert_frame_equal(
        checked(frame.sample(frac=1.0, random_state=3).reset_index(drop=True)), checked(frame)
    )


def test_odd_row_labels_do_not_matter() -> None:
    frame = history(lumpy(20, 24, 7))
    for labels in (np.zeros(len(frame), int), frame["part_id"].to_list(), range(len(frame), 0, -1)):
        pd.testing.assert_frame_equal(checked(frame.set_index(pd.Index(labels))), checked(frame))


def test_an_index_named_like_the_key_does_not_matter() -> None:
    frame = history(lumpy(20, 24, 7))
    pd.testing.assert_frame_equal(
        forecast_history(frame.set_index("part_id", drop=False)), forecast_history(frame)
    )


def test_other_columns_are_left_alone_and_the_table_is_not_changed() -> None:
    frame = history(lumpy(20, 24, 7)).assign(who="张伟", mean=-1.0)
    before = frame.copy()
    out = forecast_history(frame)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(out, forecast_history(frame[["part_id", "period", "quantity"]]))


@pytest.mark.parametrize(
    "names",
    [
        ["主油缸", "输送泵 A", "轴承-6205", "水泵"],
        ["00123", "123", "0123", " 123"],
        ["a", "A", "á", "α"],
        [1, 2, 3, 4],
        ["=1+1", "-", "'x'", "#N/A"],
    ],
)
def test_keys_stay_as_they_were_given(names: list[Any]) -> None:
    frame = history(dict(zip(names, lumpy(4, 24, 8).tolist())))
    out = checked(frame)
    assert sorted(map(str, out["part_id"])) == sorted(map(str, names))
    assert out["part_id"].tolist() == sorted(names)


def test_keys_of_categories_are_read() -> None:
    frame = history(lumpy(6, 24, 8))
    wide = frame.assign(
        part_id=pd.Categorical(frame["part_id"], categories=["unused", *frame["part_id"].unique()])
    )
    out = forecast_history(wide)
    assert out["part_id"].astype(str).tolist() == forecast_history(frame)["part_id"].tolist()


def test_two_key_columns_make_a_series_each() -> None:
    demand = lumpy(12, 30, 9)
    single = history(demand)
    number = single["part_id"].str[1:].astype(int)
    double = single.assign(part_id="件" + (number // 4).astype(str), site_id="0" + (number % 4).astype(str))
    out = checked(double, key=["part_id", "site_id"])
    assert list(out.columns[:2]) == ["part_id", "site_id"]
    np.testing.assert_allclose(out[["mean", *NAMES]], checked(single)[["mean", *NAMES]])


# what is asked for


def test_levels_may_come_in_any_order() -> None:
    frame = history(lumpy(30, 30, 10))
    out, mixed = checked(frame), checked(frame, levels=(0.99, 0.5, 0.9, 0.8, 0.95))
    assert list(mixed.columns[3:]) == ["q0.99", "q0.5", "q0.9", "q0.8", "q0.95"]
    pd.testing.assert_frame_equal(mixed[out.columns], out)


@pytest.mark.parametrize("level", [0.001, 0.01, 0.25, 0.999, 0.9999])
def test_far_levels_are_forecast(level: float) -> None:
    frame = history(lumpy(60, 36, 11))
    alone = checked(frame, levels=(level,))
    usual = checked(frame)
    name = f"q{level:g}"
    if level < 0.5:
        assert (alone[name] <= usual["q0.5"] + 1).all()
    else:
        assert (alone[name] + 1 >= usual["q0.99"]).all()


@pytest.mark.parametrize("periods", [1, 2, 6, 12, 24])
def test_longer_sums_expect_more(periods: int) -> None:
    frame = history(lumpy(60, 36, 12))
    short, long = checked(frame, periods=periods), checked(frame, periods=2 * periods)
    assert (long["mean"] >= short["mean"]).mean() > 0.97
    assert (long["variance"] >= short["variance"]).mean() > 0.97
    assert (long["q0.95"] >= short["q0.95"]).mean() > 0.97
    assert long["mean"].sum() == pytest.approx(2 * short["mean"].sum(), rel=0.35)


def test_periods_longer_than_the_history_are_forecast() -> None:
    out = checked(history(lumpy(40, 8, 13)), periods=24)
    assert out["mean"].sum() == pytest.approx(3 * lumpy(40, 8, 13).sum(), rel=0.35)


def test_each_series_may_have_its_own_number_of_periods() -> None:
    frame = history(lumpy(30, 36, 14))
    names = sorted(frame["part_id"].unique())
    own = pd.Series([1, 3, 12] * 10, index=names)
    out = checked(frame, periods=own.sample(frac=1.0, random_state=0))
    for periods in (1, 3, 12):
        some = own.index[own == periods]
        alone = checked(frame, periods=periods)
        pd.testing.assert_frame_equal(
            out[out["part_id"].isin(some)], alone[alone["part_id"].isin(some)], rtol=1e-6
        )


# exposure


def exposure_of(frame: pd.DataFrame, values: Any) -> pd.DataFrame:
    names = sorted(frame["part_id"].unique())
    return pd.DataFrame({"part_id": names, "exposure": np.broadcast_to(values, len(names))})


@pytest.mark.parametrize("value", [7.0, 1e-9, 1e12])
def test_an_exposure_that_never_changes_changes_little(value: float) -> None:
    frame = history(lumpy(40, 36, 15))
    usual, given = checked(frame), checked(frame, exposure=exposure_of(frame, value))
    assert given["mean"].sum() == pytest.approx(usual["mean"].sum(), rel=0.1)
    assert np.median(np.abs(given["mean"] / usual["mean"] - 1)) < 0.1


def test_an_unknown_exposure_changes_nothing() -> None:
    frame = history(lumpy(40, 36, 15))
    usual, given = checked(frame), checked(frame, exposure=exposure_of(frame, np.nan))
    np.testing.assert_allclose(given["mean"], usual["mean"], rtol=1e-6)


def test_where_nothing_is_exposed_nothing_is_needed() -> None:
    frame = history(lumpy(40, 36, 15))
    assert checked(frame, exposure=exposure_of(frame, 0.0))["mean"].sum() == 0


def test_exposure_of_some_series_leaves_the_others_as_they_are_or_near() -> None:
    frame = history(lumpy(60, 36, 16))
    some = exposure_of(frame, 5.0).iloc[:20]
    usual, given = checked(frame), checked(frame, exposure=some)
    assert given["mean"].sum() == pytest.approx(usual["mean"].sum(), rel=0.1)
    assert np.median(np.abs(given["mean"] / usual["mean"] - 1)) < 0.15


def growing(frame: pd.DataFrame, now: float, ahead: float) -> pd.DataFrame:
    rows = [
        (name, period, now if period < 36 else ahead)
        for name in sorted(frame["part_id"].unique())
        for period in range(40)
    ]
    return pd.DataFrame(rows, columns=["part_id", "period", "exposure"])


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_demand_ahead_follows_the_exposure_ahead(factor: float) -> None:
    frame = history(lumpy(40, 36, 17))
    usual = checked(frame, exposure=growing(frame, 10.0, 10.0))
    given = checked(frame, exposure=growing(frame, 10.0, 10.0 * factor))
    np.testing.assert_allclose(given["mean"], factor * usual["mean"], rtol=1e-6, atol=1e-9)
    if factor == 0:
        assert (given[NAMES] == 0).all(axis=None)


def test_machines_that_left_take_their_demand_along() -> None:
    demand = lumpy(40, 36, 18)
    frame = history(demand)
    left = growing(frame, 10.0, 10.0)
    left.loc[left["period"] >= 30, "exposure"] = 0.0
    out = checked(frame, exposure=left)
    assert out["mean"].sum() < 0.4 * checked(frame)["mean"].sum()


# properties


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.just(0.0),
                st.integers(-5, 40).map(float),
                st.just(float("nan")),
                st.none(),
                st.floats(1e-3, 1e4),
            ),
            min_size=1,
            max_size=30,
        ).filter(lambda line: any(value is not None for value in line)),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 30),
)
def test_whatever_is_written_down_gets_a_sound_forecast(lines: list[list[Any]], periods: int) -> None:
    frame = history({f"S{at}": line for at, line in enumerate(lines)})
    checked(frame, periods=periods)
    shuffled = frame.sample(frac=1.0, random_state=1)
    pd.testing.assert_frame_equal(
        forecast_history(shuffled, periods=periods), forecast_history(frame, periods=periods)
    )


@pytest.mark.parametrize("factor", [12.0, 1000.0])
def test_units_of_pieces_do_not_matter(factor: float) -> None:
    demand = compound(150, 36, 19)
    usual = checked(history(demand), rounded=False)
    scaled = checked(history(demand * factor), rounded=False)
    np.testing.assert_allclose(scaled["mean"], factor * usual["mean"], rtol=0.05, atol=0.05 * factor)
    np.testing.assert_allclose(scaled[NAMES].sum(), factor * usual[NAMES].sum(), rtol=0.05)


def test_the_same_panel_twice_gives_nearly_the_same_forecast() -> None:
    demand = lumpy(150, 36, 20)
    usual = checked(history(demand), rounded=False)
    twice = checked(history(np.vstack([demand, demand])), rounded=False)
    np.testing.assert_allclose(twice["mean"][:150].sum(), usual["mean"].sum(), rtol=0.05)
    np.testing.assert_allclose(twice["mean"][150:], twice["mean"][:150], rtol=1e-6)


def test_equal_series_get_equal_forecasts() -> None:
    demand = np.vstack([lumpy(40, 36, 21), lumpy(40, 36, 21)])
    out = checked(history(demand))
    pd.testing.assert_frame_equal(
        out.iloc[:40].drop(columns="part_id").reset_index(drop=True),
        out.iloc[40:].drop(columns="part_id").reset_index(drop=True),
    )


def test_names_of_series_do_not_matter() -> None:
    demand = lumpy(60, 36, 22)
    usual = checked(history(demand), rounded=False)
    renamed = checked(
        history({f"N{59 - row:03d}": list(line) for row, line in enumerate(demand)}), rounded=False
    )
    np.testing.assert_allclose(renamed["mean"][::-1], usual["mean"], rtol=0.01)


def test_three_times_the_demand_is_answered_by_a_higher_forecast() -> None:
    demand = lumpy(100, 36, 23)
    more = demand.copy()
    more[:20] *= 3.0
    before, after = checked(history(demand)), checked(history(more))
    ratio = after["mean"][:20] / before["mean"][:20]
    assert ratio.min() > 1.0 and ratio.median() > 2.0


def test_the_sum_over_all_series_is_near_what_came_before() -> None:
    for make in (lumpy, compound):
        demand = make(300, 48, 24)
        out = checked(history(demand))
        assert out["mean"].sum() == pytest.approx(demand[:, -24:].sum() / 8, rel=0.15)


def test_quantiles_of_made_up_panels_cover_what_comes() -> None:
    demand = compound(600, 51, 25)
    out = checked(history(demand[:, :48]))
    came = demand[:, 48:].sum(axis=1)
    for level, name in zip(LEVELS, NAMES):
        below, at_most = (came < out[name]).mean(), (came <= out[name]).mean()
        assert below - 0.05 < level < at_most + 0.05


# bad input


BAD = [
    ({"quantity": [1.0, np.inf]}, "quantity", 3),
    ({"quantity": [1.0, "viele"]}, "quantity", 3),
    ({"period": [1, 1.5]}, "period", 3),
    ({"period": [1, None]}, "period", 3),
    ({"period": [2, 2]}, "period", 3),
    ({"period": ["2024-01", "soon"]}, "period", 3),
    ({"period": pd.to_datetime(["2024-01-01", "2024-01-15"])}, "period", 3),
    ({"part_id": ["A", None]}, "part_id", 3),
]


@pytest.mark.parametrize(("changes", "column", "row"), BAD)
def test_a_wrong_cell_is_named_with_its_row_and_a_remedy(changes: dict, column: str, row: int) -> None:
    frame = pd.DataFrame({"part_id": ["A", "A"], "period": [1, 2], "quantity": [1.0, 2.0]}).assign(**changes)
    with pytest.raises(DataError) as caught:
        forecast_history(frame)
    problem = caught.value.problems.query("column == @column").iloc[-1]
    assert problem["table"] == "history" and problem["row"] == row and problem["rule"] and problem["remedy"]


def test_doubled_rows_are_all_named() -> None:
    frame = history(lumpy(5, 12, 0))
    with pytest.raises(DataError) as caught:
        forecast_history(pd.concat([frame, frame.iloc[:7]]))
    assert len(caught.value.problems) == 7
    assert set(caught.value.problems["remedy"]) == {"add the quantities up, or drop one row"}


@pytest.mark.parametrize("column", ["part_id", "period", "quantity"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(DataError, match=column):
        forecast_history(history(lumpy(3, 12, 0)).drop(columns=column))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("periods", 0),
        ("periods", 1.5),
        ("periods", "three"),
        ("periods", None),
        ("periods", float("nan")),
        ("levels", ()),
        ("levels", (0.5, 0.5)),
        ("levels", (0.0, 0.5)),
        ("levels", (95,)),
        ("levels", "high"),
        ("levels", 0.5),
    ],
)
def test_a_wrong_argument_is_named(argument: str, value: Any) -> None:
    with pytest.raises(DataError, match=argument):
        forecast_history(history(lumpy(3, 12, 0)), **{argument: value})


@pytest.mark.parametrize("frame", [None, [1, 2], pd.Series([1.0])])
def test_what_is_no_table_is_refused(frame: Any) -> None:
    with pytest.raises(DataError, match="DataFrame"):
        forecast_history(frame)


def test_no_rows_give_no_forecast() -> None:
    out = forecast_history(pd.DataFrame({"part_id": [], "period": [], "quantity": []}))
    assert len(out) == 0 and list(out.columns) == ["part_id", "mean", "variance", *NAMES]
