"""Every picture can be drawn in English and in Chinese, and refuses what it cannot draw."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from spareplan import plots
from spareplan.errors import DataError
from spareplan.feedback import PlanScore, score_demand
from spareplan.forecast.backtest import Backtest, backtest_demand
from spareplan.forecast.lifetimes import fit_lifetimes
from spareplan.forecast.survival import survival_curve
from spareplan.maths.distributions import cdf, quantile
from spareplan.plots.style import month_ticks
from spareplan.results import DemandForecast, Plan
from spareplan.tables.dataset import Dataset
from tests.plans import small_plan
from tests.tables.small_tables import text_frames

mpl.use("Agg")


@cache
def plan() -> Plan:
    return small_plan()


def lives() -> DemandForecast:
    rng = np.random.default_rng(3)
    ages = pd.DataFrame(
        {"part_id": "主油缸", "entry": 0.0, "exit": 900 * rng.weibull(2.0, 60), "failed": True}
    )
    law = pd.DataFrame(
        {"part_id": ["主油缸"], "shape": [2.0], "scale": [900.0], "n_failed": [60.0], "clock": ["hours"]}
    )
    return DemandForecast(plan().demand.table, plan().demand.assumptions, spells=ages, lifetimes=law)


def machines() -> pd.DataFrame:
    return pd.DataFrame({"product_id": ["DP", "DP", "RR"], "age_years": [0.0, 3.2, 11.0]})


def products() -> pd.DataFrame:
    return pd.DataFrame({"product_id": ["DP", "RR"], "name": ["输送泵", "压路机"]})


@cache
def fleet() -> Dataset:
    return Dataset.from_frames(text_frames())


def moving() -> DemandForecast:
    """Two months of a part whose sources add up: 5 pieces, then 8."""
    rows = [("ageing", 0.0, 4.0), ("machines in use today", 5.0, 5.0), ("retirements", 0.0, -1.5),
            ("something new", 0.0, 0.5)]  # fmt: skip
    months = pd.to_datetime(["2026-01-01", "2026-02-01"])
    long = pd.DataFrame(
        [
            ("主油缸", "上海", month, name, mean[at])
            for name, *mean in rows
            for at, month in enumerate(months)
        ],
        columns=["part_id", "site_id", "month", "source", "mean"],
    )
    table = pd.DataFrame({"part_id": "主油缸", "site_id": "上海", "month": months, "mean": [5.0, 8.0],
                          "variance": [6.0, 10.0], "vmr": 1.0, "rate_cv2": 0.04})  # fmt: skip
    return DemandForecast(
        table, plan().demand.assumptions, as_of=pd.Timestamp("2025-12-31"), contributions=long
    )


def taken() -> pd.DataFrame:
    months = pd.date_range("2025-06-01", "2026-01-01", freq="MS")
    quantity = [3.0, 0.0, 5.0, 4.0, 6.0, 5.0, 2.0, 9.0]
    return pd.DataFrame({"part_id": "主油缸", "site_id": "上海", "month": months, "quantity": quantity})


def surprising() -> pd.DataFrame:
    rows = {"part_id": ["主油缸", "P-2", "P-3"], "expected": [2.0, 9.0, 0.0], "q0.95": [5.0, 14.0, 0.0],
            "actual": [11.0, 1.0, 1.0], "probability": [1e-5, 2e-3, 0.0]}  # fmt: skip
    month = pd.Timestamp("2025-12")
    return pd.DataFrame(rows).assign(site_id="上海", from_month=month, to_month=month)


def curve() -> pd.DataFrame:
    return pd.DataFrame({"money": [1e5, 5e5, 5e5, 7e5], "service": [0.6, 0.95, 0.94, 0.8],
                         "what": ["curve", "curve", "this plan", "today"]})  # fmt: skip


def curve_by_tier() -> pd.DataFrame:
    one = curve().assign(mean_wait_days=[9.0, 1.0, 1.1, 4.0])
    more = one.assign(money=one["money"] * 2)
    return pd.concat([one.assign(tier="all"), one.assign(tier=1), more.assign(tier=2)], ignore_index=True)


@cache
def past_scores() -> Backtest:
    rng = np.random.default_rng(5)
    chance = rng.beta(0.8, 2, 150)[:, None]
    quantity = np.where(rng.random((150, 40)) < chance, 1 + rng.poisson(3, (150, 40)), 0)
    ids = [f"主油缸-{i:03d}" for i in range(150)]
    history = pd.DataFrame(
        {"part_id": np.repeat(ids, 40), "period": np.tile(np.arange(40), 150), "quantity": quantity.ravel()}
    )
    return backtest_demand(history, origins=3, resamples=100)


@cache
def scored() -> PlanScore:
    rng = np.random.default_rng(6)
    keys = pd.MultiIndex.from_product(
        [["P-1", "P-2"], ["上海", "北京", "乌鲁木齐"], pd.date_range("2025-01-01", periods=6, freq="MS")],
        names=["part_id", "site_id", "month"],
    ).to_frame(index=False)
    planned = keys.assign(mean=8.0, vmr=1.5, rate_cv2=0.04)
    low = keys["site_id"] == "乌鲁木齐"
    actual = keys.assign(quantity=rng.poisson(np.where(low, 2.0, 8.0)))
    return score_demand(planned, actual)


PICTURES: dict[str, Callable[[str], mpl.axes.Axes]] = {
    "fleet age": lambda said: plots.plot_fleet_age(machines(), products(), language=said),
    "life": lambda said: plots.plot_life(lives(), "主油缸", survival_curve(lives().spells), language=said),
    "forecast": lambda said: plots.plot_forecast(moving(), "主油缸", past=taken(), language=said),
    "age pyramid": lambda said: plots.plot_age_pyramid(fleet(), language=said),
    "age pyramid by region": lambda said: plots.plot_age_pyramid(
        fleet(), "region_id", kinds="product_id", language=said
    ),
    "waterfall": lambda said: plots.plot_waterfall(moving(), "主油缸", language=said),
    "surprises": lambda said: plots.plot_surprises(surprising(), language=said),
    "sources": lambda said: plots.plot_sources(plan().demand, language=said),
    "losses": lambda said: plots.plot_losses(past_scores(), language=said),
    "calibration": lambda said: plots.plot_calibration(past_scores(), language=said),
    "stock and fill": lambda said: plots.plot_stock_and_fill(past_scores(), language=said),
    "losers": lambda said: plots.plot_losers(past_scores(), language=said),
    "grades": lambda said: plots.plot_grades(plan().grades, plan().inputs["parts"], language=said),
    "curve": lambda said: plots.plot_curve(plan().levels, curve(), language=said),
    "curve by tier": lambda said: plots.plot_curve(
        plan().levels, curve_by_tier(), language=said, by="tier", measure="mean_wait_days"
    ),
    "attainment": lambda said: plots.plot_attainment(plan().check, language=said),
    "orders": lambda said: plots.plot_orders(plan().orders, language=said),
    "head count": lambda said: plots.plot_headcount(plan().crew, language=said),
}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    mpl.pyplot.close("all")


def words_of(ax: mpl.axes.Axes) -> str:
    legend = ax.get_legend()
    said = [ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()]
    return " ".join(said + ([text.get_text() for text in legend.get_texts()] if legend else []))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", PICTURES)
def test_every_character_of_a_picture_has_a_glyph(name: str, language: str) -> None:
    if not set(plots.CHINESE_FONTS) & set(plots.use_house_style()):
        pytest.skip("no Chinese font is installed (Debian: fonts-wqy-microhei)")
    ax = PICTURES[name](language)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        ax.figure.canvas.draw()
    chinese = any("一" <= letter <= "鿿" for letter in ax.get_title(loc="left"))
    assert ax.get_title(loc="left") and (chinese or language == "en")


PAGES: dict[str, Callable[[str], mpl.figure.Figure]] = {
    "accuracy": lambda said: plots.plot_accuracy(past_scores(), language=said),
    "plan score": lambda said: plots.plot_plan_score(scored(), language=said),
}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", PAGES)
def test_every_character_of_a_page_has_a_glyph_and_no_panel_is_cut_off(name: str, language: str) -> None:
    if not set(plots.CHINESE_FONTS) & set(plots.use_house_style()):
        pytest.skip("no Chinese font is installed (Debian: fonts-wqy-microhei)")
    figure = PAGES[name](language)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        figure.canvas.draw()
    for ax in figure.get_axes():
        for axes in (ax, *ax.child_axes):
            box = axes.get_tightbbox()
            assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, axes.get_title(loc="left")
            assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, axes.get_title(loc="left")


def test_a_page_of_accuracy_carries_the_numbers_of_its_report() -> None:
    report = past_scores()
    losses, calibration, stock, losers = plots.plot_accuracy(report).get_axes()
    model = report.table[report.table["forecast"] == "model"]
    drawn = losses.containers[0].lines[0].get_xdata()
    assert drawn == pytest.approx(model["to_mean"].dropna().clip(0.5, 2))
    bars = {bars.get_label(): bars for bars in calibration.containers}
    rows = report.coverage.query("cut == 'all' and forecast == 'mean'")
    tops = [bar.get_y() + bar.get_height() for bar in bars["Mean forecast"]]
    assert tops == pytest.approx(rows["reached"].clip(upper=1 - 5e-4))
    at = report.curve.query("cut == 'all' and forecast == 'model' and level == 0.95").iloc[0]
    points = np.vstack(
        [line.get_xydata() for line in stock.lines if line.get_marker() == "o" and len(line.get_xdata())]
    )
    assert np.isclose(points, [at["stock"], at["fill"]]).all(axis=1).any()
    worst = pd.concat(
        [rows for _, rows in report.losers.groupby(~(report.losers["surprise"] > 2), sort=True)]
    ).head(8)
    came = next(bars for bars in losers.containers if getattr(bars, "get_label", str)() == "What came")
    assert [bar.get_width() for bar in came] == worst["demand"].tolist()


def test_a_report_without_losers_says_so() -> None:
    none = replace(past_scores(), losers=past_scores().losers.iloc[:0])
    assert "None" in [text.get_text() for text in plots.plot_losers(none).texts]


def test_losses_beyond_the_edge_are_told_in_numbers() -> None:
    table = past_scores().table.copy()
    table.loc[table["forecast"] == "sba", "to_mean"] = 7.3
    ax = plots.plot_losses(replace(past_scores(), table=table))
    assert "7.3 ▸" in [text.get_text() for text in ax.texts]
    assert ax.get_xlim()[1] < 3


def test_plan_and_actual_are_drawn_by_region_with_their_band() -> None:
    score = scored()
    figure = plots.plot_plan_score(score, most=2)
    shown = [ax for ax in figure.get_axes() if ax.get_visible()]
    regions = score.table.loc[score.table["group"] == "region", "region_id"].tolist()
    assert [ax.get_title(loc="left").split(" · ")[0] for ax in shown] == regions[:2]
    cells = score.cells[score.cells["region_id"] == regions[0]]
    by_month = cells.groupby("month")[["planned", "actual"]].sum()
    lines = {line.get_label(): line for line in shown[0].lines}
    assert lines["Planned"].get_ydata().tolist() == by_month["planned"].tolist()
    drawn = [*lines["Actual"].get_ydata(), *lines["Outside the band"].get_ydata()]
    assert sorted(drawn) == sorted(by_month["actual"])
    bar = shown[0].containers[0][0]
    variance = 2 * (1.5 * 8.0 + 0.04 * 64.0)
    assert bar.get_y() == quantile(0.1, 16.0, variance)
    assert bar.get_y() + bar.get_height() == quantile(0.9, 16.0, variance)
    signal = score.table.set_index("region_id").loc[regions[0], "tracking_signal"]
    assert f"tracking signal {float(np.ravel(signal)[0]):+.1f}" in shown[0].get_title(loc="left")


@pytest.mark.parametrize("name", PICTURES)
def test_legends_stand_where_they_hide_no_data(name: str) -> None:
    ax = PICTURES[name]("en")
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    beside = legend.x0 >= ax.get_window_extent().x1
    below = legend.y1 <= ax.get_window_extent().y0
    corner = name in ("curve", "head count")
    assert beside or below or corner
    assert legend.x1 <= ax.figure.bbox.x1 + 1, "the legend runs out of the picture"


def test_axes_name_their_units() -> None:
    assert "[pieces]" in words_of(PICTURES["forecast"]("en")) and "[件]" in words_of(
        PICTURES["forecast"]("zh")
    )
    assert "[days]" in words_of(PICTURES["grades"]("en")) and "[hours]" in words_of(PICTURES["life"]("en"))
    assert "[millions]" in words_of(PICTURES["curve"]("en")) and "[years]" in words_of(
        PICTURES["fleet age"]("en")
    )


def test_bars_carry_the_numbers_of_the_table() -> None:
    ax = PICTURES["sources"]("en")
    heights = sum(bar.get_height() for bars in ax.containers for bar in bars)
    assert heights == pytest.approx(plan().demand.table["mean"].sum())
    ax = PICTURES["fleet age"]("en")
    assert sum(bar.get_height() for bars in ax.containers for bar in bars) == 3
    assert "输送泵 (2)" in words_of(ax)
    ax = PICTURES["orders"]("en")
    assert sum(bar.get_height() for bars in ax.containers for bar in bars) == pytest.approx(0.20005)


def test_a_pyramid_counts_every_machine_once_on_its_side() -> None:
    ax = PICTURES["age pyramid"]("en")
    widths = [bar.get_width() for bars in ax.containers for bar in bars]
    assert (
        sum(width for width in widths if width < 0) == -1 and sum(width for width in widths if width > 0) == 2
    )
    said = " ".join(text.get_text() for text in ax.texts)
    assert "Retired\n1 machines, median age 1.2" in said and "In service\n2 machines" in said
    ax = PICTURES["age pyramid by region"]("en")
    widths = [bar.get_width() for bars in ax.containers for bar in bars]
    assert sum(widths) == -2 and "华东\n2 machines" in ax.texts[0].get_text()
    early = plots.plot_age_pyramid(fleet(), as_of="2023-12-31", product_id="PUMP", region_id="新疆")
    assert sum(bar.get_width() for bars in early.containers for bar in bars) == 1
    assert "输送泵 · 新疆 · 2023-12-31" in early.get_title(loc="left")


def test_bands_of_the_forecast_hold_their_share_of_the_counts() -> None:
    ax = PICTURES["forecast"]("en")
    bars = {bars.get_label(): bars for bars in ax.containers}
    for share in (0.95, 0.8, 0.5):
        for bar, mean, variance in zip(bars[f"{100 * share:.0f} % band"], (5.0, 8.0), (6.0, 10.56)):
            low, high = bar.get_y(), bar.get_y() + bar.get_height()
            assert cdf(high, mean, variance) - cdf(low - 1, mean, variance) >= share
            assert cdf(high - 1, mean, variance) - cdf(low, mean, variance) < share
    assert [bar.get_height() for bar in bars["Taken before"]] == [3, 0, 5, 4, 6, 5, 2]
    assert ax.collections[-1].get_offsets().tolist() == [[7.0, 9.0]]
    assert ax.lines[0].get_ydata().tolist() == [5.0, 8.0]


def test_sites_and_parts_drawn_together_add_up_with_a_rate_of_their_own() -> None:
    one = moving().table
    other = one.assign(site_id="北京")
    third = one.assign(part_id="P-2")
    both = DemandForecast(pd.concat([one, other, third]), plan().demand.assumptions, as_of=moving().as_of)
    ax = plots.plot_forecast(both)
    assert ax.lines[0].get_ydata().tolist() == [15.0, 24.0]
    wide = next(bars for bars in ax.containers if bars.get_label() == "95 % band")[0]
    variance = 15.0 + 0.04 * (10.0**2 + 5.0**2)
    assert wide.get_y() == quantile(0.025, 15.0, variance)
    assert "all parts · all sites" in ax.get_title(loc="left")


def test_a_waterfall_draws_each_source_from_where_the_last_one_ended() -> None:
    ax = PICTURES["waterfall"]("en")
    bars = sorted((bar for bars in ax.containers for bar in bars), key=lambda bar: bar.get_y())
    assert [bar.get_x() + bar.get_width() for bar in bars] == [5.0, 9.0, 7.5, 8.0, 8.0]
    assert [bar.get_x() for bar in bars[1:4]] == [5.0, 9.0, 7.5]
    words = [label.get_text() for label in ax.get_yticklabels()]
    assert words == ["2026-01", "Ageing", "Retirements", "something new", "2026-02"]
    assert [text.get_text() for text in ax.texts] == ["5", "+4.0", "-1.5", "+0.5", "8"]
    hatches = {bars.get_label(): bars[0].get_hatch() for bars in ax.containers}
    assert hatches["More"] != hatches["Less"]


def test_an_axis_that_does_not_start_at_zero_says_so() -> None:
    steps = pd.DataFrame({"step": ["2026-01", "season", "2026-02"], "source": [None, "season", None],
                          "change": [np.nan, 3.0, np.nan], "level": [1000.0, 1003.0, 1003.0]})  # fmt: skip
    ax = plots.plot_waterfall(steps)
    assert ax.get_xlim()[0] == 997.0 and "axis from 997" in ax.get_xlabel()
    assert "axis from" not in PICTURES["waterfall"]("en").get_xlabel()


def test_surprises_say_their_odds_and_which_side_they_are_on() -> None:
    ax = PICTURES["surprises"]("en")
    assert [text.get_text() for text in ax.texts] == ["1 : 100,000", "1 : 500", "none foreseen"]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "主油缸 · 上海",
        "P-2 · 上海",
        "P-3 · 上海",
    ]
    sides = {part.get_label(): part.get_offsets()[:, 0].tolist() for part in ax.collections}
    assert sides["More taken than expected"] == [11.0, 1.0] and sides["Less taken than expected"] == [1.0]
    assert len(plots.plot_surprises(surprising(), most=2).texts) == 2


def test_the_band_of_a_law_is_that_of_its_standard_errors() -> None:
    law = lives().lifetimes.assign(shape_se=0.2, scale_se=50.0)
    demand = DemandForecast(lives().table, lives().assumptions, lifetimes=law)
    ax = plots.plot_life(demand, "主油缸")
    edge = ax.collections[0].get_paths()[0].vertices
    at = edge[np.isclose(edge[:, 0], edge[np.argmin(np.abs(edge[:, 0] - 900.0)), 0])]
    age = at[0, 0]
    draws = np.random.default_rng(4).normal([2.0, 900.0], [0.2, 50.0], (200_000, 2))
    simulated = np.exp(-((age / draws[:, 1]) ** draws[:, 0]))
    assert sorted(at[:, 1]) == pytest.approx(np.quantile(simulated, [0.025, 0.975]), abs=0.01)
    assert not plots.plot_life(lives(), "主油缸").collections


def test_a_law_of_pieces_censored_young_is_known_well_where_they_are() -> None:
    rng = np.random.default_rng(8)
    age = 900 * rng.weibull(2.0, 400)
    spells = pd.DataFrame(
        {"part_id": "主油缸", "entry": 0.0, "exit": np.minimum(age, 250.0), "failed": age <= 250}
    )
    law = fit_lifetimes(spells).assign(clock="hours")
    shape, scale, failures = (float(law[name].iloc[0]) for name in ("shape", "scale", "n_failed"))
    demand = DemandForecast(lives().table, lives().assumptions, lifetimes=law)
    edge = plots.plot_life(demand, "主油缸").collections[0].get_paths()[0].vertices
    # The same band from the whole observed information, by differences of the log-likelihood.
    x, died = np.log(spells["exit"].to_numpy()), spells["failed"].to_numpy()

    def loglik(theta: np.ndarray) -> float:
        z = theta[0] * (x - theta[1])
        return float((np.log(theta[0]) + z - x)[died].sum() - np.exp(z).sum())

    best, step = np.array([shape, np.log(scale)]), np.diag([1e-3, 1e-3])
    information = -np.array([[(loglik(best + a + b) - loglik(best + a - b) - loglik(best - a + b)
                               + loglik(best - a - b)) / 4e-6 for b in step] for a in step])  # fmt: skip
    covariance = np.linalg.inv(information)
    for wanted in (150.0, 250.0, 500.0):
        at = edge[np.isclose(edge[:, 0], edge[np.argmin(np.abs(edge[:, 0] - wanted)), 0])]
        slope = np.array([np.log(at[0, 0] / scale), -shape])
        error = np.sqrt(slope @ covariance @ slope)
        middle = shape * np.log(at[0, 0] / scale)
        exact = np.exp(-np.exp(middle + 1.96 * error * np.array([1, -1])))
        assert np.ptp(at[:, 1]) == pytest.approx(np.ptp(exact), rel=0.25), wanted
    assert 10 < failures < 60


def test_months_name_their_year_once() -> None:
    ax = mpl.pyplot.figure().add_subplot()
    month_ticks(ax, pd.date_range("2023-12-01", periods=37, freq="MS"))
    said = [label.get_text() for label in ax.get_xticklabels()]
    assert said[:2] == ["12", "03\n2024"] and sum("\n" in text for text in said) == 3


def test_a_broken_promise_looks_different_from_a_kept_one() -> None:
    check = plan().check
    low = check.table.assign(achieved=0.5, low=0.4, high=0.6, kept=False, group="北京 · 1")
    both = type(check)(pd.concat([check.table, low]), check.assumptions)
    ax = plots.plot_attainment(both)
    assert "Kept (1)" in words_of(ax) and "Broken (1)" in words_of(ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["上海 · 1", "北京 · 1"]


def test_waits_and_shares_never_share_an_axis() -> None:
    check = plan().check
    wait = check.table.assign(measure="mean_wait_days", promised=2.0, achieved=1.5, low=1.4, high=1.6)
    both = type(check)(pd.concat([check.table, wait, wait]), check.assumptions)
    assert len(plots.plot_attainment(both).get_yticks()) == 2
    assert len(plots.plot_attainment(both, measure="fill_rate").get_yticks()) == 1


def test_a_given_axes_is_drawn_on() -> None:
    figure, (left, right) = mpl.pyplot.subplots(1, 2)
    assert plots.plot_sources(plan().demand, ax=right) is right and not left.patches
    assert figure.axes == [left, right]


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: plots.plot_forecast(plan().demand, "no such part"), "no such part"),
        (lambda: plots.plot_forecast(plan().demand, "00123", "no such site"), "no such site"),
        (lambda: plots.plot_forecast(moving(), past=taken().drop(columns="quantity")), "quantity"),
        (lambda: plots.plot_life(plan().demand, "00123"), "has no fitted life"),
        (lambda: plots.plot_age_pyramid(fleet(), "colour"), "colour"),
        (lambda: plots.plot_age_pyramid(fleet(), kinds="retired"), "retired.*tells no machines apart"),
        (lambda: plots.plot_age_pyramid(fleet(), "region_id", left="月球"), "月球"),
        (lambda: plots.plot_age_pyramid(fleet(), "customer_segment"), "is known of no machine"),
        (lambda: plots.plot_age_pyramid(fleet(), product_id="X"), "X.*has no machine"),
        (lambda: plots.plot_age_pyramid(fleet(), as_of="1999-01-01"), "no machine in the field"),
        (lambda: plots.plot_waterfall(moving(), "no such part"), "no such part"),
        (lambda: plots.plot_waterfall(plan().demand), "has no contributions"),
        (lambda: plots.plot_waterfall(surprising()), "step"),
        (lambda: plots.plot_waterfall(moving().waterfall().iloc[1:]), "no steps from one level"),
        (lambda: plots.plot_surprises(surprising().iloc[:0]), "nothing to draw"),
        (lambda: plots.plot_surprises(surprising(), most=0), "most"),
        (lambda: plots.plot_fleet_age(machines().drop(columns="age_years"), products()), "age_years"),
        (lambda: plots.plot_fleet_age(machines().iloc[:0], products()), "nothing to draw"),
        (lambda: plots.plot_losses(past_scores(), by="colour"), "colour"),
        (lambda: plots.plot_calibration(past_scores(), group="colour"), "colour"),
        (lambda: plots.plot_stock_and_fill(past_scores(), group="colour"), "colour"),
        (lambda: plots.plot_losers(past_scores(), most=0), "most"),
        (lambda: plots.plot_accuracy(plan().check), "report.table.*forecast"),
        (lambda: plots.plot_plan_score(scored(), most=0), "most"),
        (lambda: plots.plot_plan_score(replace(scored(), cells=scored().cells.iloc[:0])), "nothing to draw"),
        (lambda: plots.plot_grades(plan().grades, products()), "unit_cost"),
        (lambda: plots.plot_curve(plan().levels), "nothing to draw"),
        (lambda: plots.plot_curve(plan().levels, curve().drop(columns="what")), "what"),
        (lambda: plots.plot_curve(plan().levels, curve(), by="tier"), "tier"),
        (lambda: plots.plot_curve(plan().levels, curve(), measure="patience"), "patience"),
        (lambda: plots.plot_attainment(plan().check, measure="patience"), "patience"),
        (lambda: plots.plot_headcount(plan().crew, month=pd.Timestamp("1999-01-01")), "1999-01-01"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_named(draw: Callable[[], object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        draw()
    assert not mpl.pyplot.get_fignums(), "an empty picture is left behind"
