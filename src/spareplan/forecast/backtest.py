"""DOOR: back-test of the history forecast: rolling origins, beside what anybody could do, losers shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast import intermittent
from spareplan.forecast.backtest_data import PAIR, cuts_of, history_of, periods_of
from spareplan.forecast.backtest_losers import loser_table, part_table
from spareplan.forecast.backtest_report import group_trials, score_sums, score_table, trial_losses
from spareplan.forecast.backtest_shares import coverage_table, equal_stock_table, pit_table, stock_curve
from spareplan.forecast.backtest_trials import (
    FORECASTS,
    MEAN,
    MODEL,
    ZERO,
    Trials,
    choose_origins,
    classes_before,
    run_trials,
)
from spareplan.forecast.backtest_words import SURE, colleague_note
from spareplan.forecast.panel_arguments import read_periods
from spareplan.forecast.panels import Panel, read_panel
from spareplan.forecast.resampling import RESAMPLES
from spareplan.results import Result, assumptions_frame
from spareplan.tables.dataset import Dataset


@dataclass(frozen=True, repr=False)
class Backtest(Result):
    """How the forecast did on months it had not seen.

    Parameters
    ----------
    table : DataFrame
        cut (all, class, region, family, tier, criticality, or those of `groups`), group, forecast (model,
        mean, sba, tsb, imapa, zero), series, parts, demand, the figures of `score_quantiles`, bias_noise
        (standard error of the bias); to_mean is the loss relative to that of the mean forecast, to_mean_low
        and to_mean_high its 95 % interval, verdict says whether the difference is real (better, worse, no
        clear difference, too few parts).
    losers : DataFrame
        Series on which the mean or the zero forecast would have lost less, worst first: key, demand,
        expected (by the model), expected_mean (by the mean of its history), loss_model, loss_mean, loss_zero,
        excess, share (of all excess), money (excess x unit cost, where known), better (mean or zero),
        surprise (excess in standard deviations of what the model's own distribution allows; above 3 chance
        hardly explains it), state (outlier, or as `series_life` says), reason. [pieces]
    forecasts : DataFrame
        origin (last known period), key, periods, class, quantity (what came), mean, quantiles of the model.
    parts : DataFrame
        A row per part: series, sums, demand, expected, bias, loss_<forecast>, to_mean, within_0.95 (share of
        sums at or below the .95 quantile), excess, money, reason; worst first. [pieces]
    coverage : DataFrame
        cut, group, forecast (model, mean), level, below and reached (share of sums below, and not above, the
        quantile: a calibrated level lies between them), calerr, noise (standard error of reached).
    pit : DataFrame
        cut, group, forecast, low, high, share: histogram of where the counts lay in their forecast
        distributions; the share of a calibrated forecast is high - low in each bin.
    equal_stock : DataFrame
        cut, group, level, forecast, stock (that of the model's quantile, in parts of demand), fill (what this
        forecast fills with as much), more_fill (what the model fills more), stock_needed (to fill as much as
        the model), more_stock (relative to the model's); NaN where the curve does not reach.
    curve : DataFrame
        cut, group, forecast, level, stock, fill: what stocking to the quantiles of each forecast holds and
        fills, in parts of demand.
    """

    losers: pd.DataFrame = field(default_factory=pd.DataFrame)
    forecasts: pd.DataFrame = field(default_factory=pd.DataFrame)
    parts: pd.DataFrame = field(default_factory=pd.DataFrame)
    coverage: pd.DataFrame = field(default_factory=pd.DataFrame)
    pit: pd.DataFrame = field(default_factory=pd.DataFrame)
    equal_stock: pd.DataFrame = field(default_factory=pd.DataFrame)
    curve: pd.DataFrame = field(default_factory=pd.DataFrame)

    def scores(self, by: str = "all") -> pd.DataFrame:
        """Rows of one cut, or of all parts.

        Parameters
        ----------
        by : str
            A cut of the table, such as class or region; or part.

        Returns
        -------
        DataFrame

        Raises
        ------
        DataError
            The back-test has no such cut.
        """
        if by == "part":
            return self.parts
        rows = self.table[self.table["cut"] == by]
        if rows.empty:
            known = ", ".join([*self.table["cut"].unique(), "part"])
            raise problem_in_argument(
                "scores", "by", by, "is no cut of this back-test", f"use one of {known}"
            )
        return rows.drop(columns="cut").reset_index(drop=True)

    def shown(self, by: str = "class") -> pd.DataFrame:
        """Few columns of a cut, or of the parts, that fit on a screen.

        Parameters
        ----------
        by : str
            As for `scores`.

        Returns
        -------
        DataFrame
            Of a cut all series first, then its groups: model, mean and zero forecast.

        Raises
        ------
        DataError
            The back-test has no such cut.
        """
        rows = self.scores(by)
        if by == "part":
            kept = [
                "demand",
                "expected",
                "bias",
                "loss_model",
                "loss_mean",
                "loss_zero",
                "within_0.95",
                "money",
            ]
            return rows[[rows.columns[0], *(name for name in kept if name in rows)]]
        every = pd.concat([self.scores("all"), rows]) if by != "all" else rows
        figures = [name for name in ("fill_0.95", "stock_0.95") if name in every]
        kept = ["group", "forecast", "series", "demand", "wql", "to_mean", "to_mean_low", "to_mean_high"]
        few = every[every["forecast"].isin([MODEL, MEAN, ZERO])]
        return few[[*kept, "verdict", "bias", *figures]].reset_index(drop=True)

    def worst(self, most: int = 10) -> pd.DataFrame:
        """Few columns of the worst losers, that fit on a screen; what chance hardly explains comes first.

        Parameters
        ----------
        most : int
            Series at most.

        Returns
        -------
        DataFrame
        """
        hidden = ["loss_model", "loss_mean", "loss_zero", "share", "reason"]
        chance = ~(self.losers["surprise"] > SURE)
        order = np.argsort(chance.to_numpy(), kind="stable")
        return self.losers.iloc[order].head(most).drop(columns=hidden)


def backtest_demand(
    history: pd.DataFrame | Dataset,
    periods: int | str | pd.Series = 3,
    origins: int = 4,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
    key: str | Sequence[str] = "part_id",
    exposure: pd.DataFrame | None = None,
    groups: pd.Series | pd.DataFrame | None = None,
    unit_cost: pd.Series | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Backtest:
    """Forecast from several past origins and compare with what came.

    Parameters
    ----------
    history : DataFrame or Dataset
        As for `forecast_history`. A dataset is tested per part and site on its demand and replacements by
        month, old part numbers counted as their successors'; cut by region, family, tier and criticality.
    periods : int, Series indexed by the key, or "lead_time"
        Length of the sums. [periods] Of a dataset also a Series by part_id, or "lead_time": the supplier's
        lead time of each part in months, rounded up.
    origins : int
        How many. They lie `periods` apart (the median of a Series), the last one as far before the end; a
        series is tested at the origins whose sum the records hold in full.
    levels : sequence of float
        Quantile levels.
    key : str or sequence of str
        Key column(s) of a series, the part's first; of a dataset part_id and site_id.
    exposure : DataFrame, optional
        As for `forecast_history`.
    groups : Series or DataFrame, optional
        Further cuts: names by part, reported as "group"; or a frame with some of the key columns and a column
        per cut, such as ``grades.table[["part_id", "abc", "planner"]]``.
    unit_cost : Series, indexed by part, optional
        [money per piece] A dataset brings its own.
    resamples, seed : int
        Of the paired bootstrap over parts that says which difference to the mean forecast is real.

    Returns
    -------
    Backtest

    Raises
    ------
    DataError
        The tables cannot be read, or the history is too short for one origin.

    Notes
    -----
    The comparisons are a negative binomial around the mean, SBA, TSB and IMAPA of each series with the
    variance of its own history, and the forecast that expects nothing. Classes are those of the history
    before the first origin at which a series is tested.
    """
    for name, value in (("origins", origins), ("resamples", resamples)):
        _whole(name, value)
    cuts_given: list[pd.DataFrame] = [] if groups is None else [_cut_frame(groups)]
    if isinstance(history, Dataset):
        data, key = history, PAIR
        history = history_of(data)
        cuts_given = [*cuts_of(data), *cuts_given]
        unit_cost = data.parts.set_index("part_id")["unit_cost"] if unit_cost is None else unit_cost
        periods = periods_of(data, periods)
    names = [key] if isinstance(key, str) else list(key)
    panel = read_panel(history, names)
    ahead = _ahead(periods, panel, names)
    marks = np.sort(np.asarray(levels, float))
    if not marks.size or not ((marks > 0) & (marks < 1)).all():
        raise problem_in_argument(
            "backtest_demand",
            "levels",
            levels,
            "are no numbers between 0 and 1",
            "give some such as (0.5, 0.95)",
        )
    step = int(np.median(ahead))
    cuts = choose_origins(panel, step, int(origins), int(ahead.min()))
    trials = run_trials(history, panel, names, ahead, cuts, marks, exposure)
    if not len(trials.row):
        raise problem_in_argument(
            "backtest_demand",
            "history",
            f"{len(panel.keys):,} series",
            "has no series with a known past and a whole known sum after it",
            "fill in unknown quantities, or test shorter sums",
        )
    labels = _labels(trials, panel, names, cuts_given)
    losses = trial_losses(trials)
    part = pd.factorize(panel.keys[names[0]].to_numpy()[trials.row], sort=True)[0].astype(np.int64)
    grouped = group_trials(labels, part)
    sums = score_sums(trials, grouped)
    table = score_table(trials, grouped, sums, losses, int(resamples), seed)
    coverage, equal = coverage_table(trials, grouped, sums), equal_stock_table(trials, grouped, sums)
    losers = loser_table(trials, losses, panel, names, unit_cost)
    dated = _dated(history["period"])
    return Backtest(
        table,
        _assumptions(panel, trials, ahead, cuts, dated),
        colleague_note(table, coverage, equal, losers, names),
        losers,
        _forecasts(trials, panel, labels["class"], dated),
        part_table(trials, losses, panel, names[0], unit_cost),
        coverage,
        pit_table(trials, grouped),
        equal,
        stock_curve(trials, grouped, sums),
    )


def _whole(name: str, value: Any) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise problem_in_argument("backtest_demand", name, value, "is no whole number from 1 up", "give one")


def _ahead(periods: int | str | pd.Series, panel: Panel, names: list[str]) -> NDArray[np.int64]:
    """How many periods the sum of each series is long."""
    if isinstance(periods, str):
        raise problem_in_argument(
            "backtest_demand",
            "periods",
            periods,
            "is known of a dataset only",
            "give a number, or a Series by key",
        )
    if not isinstance(periods, pd.Series):
        _whole("periods", periods)
    return read_periods(periods, panel, names)


def _cut_frame(groups: pd.Series | pd.DataFrame) -> pd.DataFrame:
    if isinstance(groups, pd.DataFrame):
        return groups
    return pd.DataFrame({"": groups.index, "group": groups.to_numpy()})


def _labels(trials: Trials, panel: Panel, names: list[str], cuts: list[pd.DataFrame]) -> pd.DataFrame:
    """Name of the group of each trial, a column per cut."""
    first = np.full(len(panel.keys), panel.length, dtype=np.int64)
    np.minimum.at(first, trials.row, trials.cut)
    classes = np.full(len(panel.keys), "none", dtype=object)
    for cut in np.unique(first[trials.row]):
        rows = first == cut
        classes[rows] = classes_before(panel, int(cut))[rows]
    labels = pd.DataFrame({"class": classes[trials.row]})
    keys = panel.keys
    for frame in cuts:
        frame = frame.rename(columns={"": names[0]})
        by = [name for name in names if name in frame.columns]
        if not by:
            raise problem_in_argument(
                "backtest_demand", "groups", ", ".join(map(str, frame.columns)), "has no key column",
                f"give one of {', '.join(names)}",
            )  # fmt: skip
        doubled = frame.duplicated(by)
        if doubled.any():
            row = int(np.flatnonzero(doubled)[0])
            value = ", ".join(str(item) for item in frame[by].iloc[row])
            raise DataError([Problem("groups", row + 2, by[0], value, "is doubled", "give each key once")])
        joined = keys[by].merge(frame, on=by, how="left")
        for name in frame.columns.difference(by, sort=False):
            labels[str(name)] = joined[name].astype(object).to_numpy()[trials.row]
    return labels


def _dated(period: pd.Series) -> bool:
    """Whether periods are months rather than numbers."""
    if period.dtype.kind == "M" or isinstance(period.dtype, pd.PeriodDtype):
        return str(period.dtype) == "period[M]" or period.dtype.kind == "M"
    return not pd.api.types.is_numeric_dtype(period) and bool(
        pd.to_numeric(period, errors="coerce").isna().any()
    )


def _origin_names(panel: Panel, cuts: NDArray[np.int64], dated: bool) -> Any:
    """Last known period of each origin, as a month where the history is dated."""
    numbers = panel.periods[0] + np.asarray(cuts) - 1
    return numbers.astype("datetime64[M]").astype("datetime64[ns]") if dated else numbers


def _forecasts(trials: Trials, panel: Panel, classes: pd.Series, dated: bool) -> pd.DataFrame:
    out = panel.keys.iloc[trials.row].reset_index(drop=True)
    out.insert(0, "origin", _origin_names(panel, trials.cut, dated))
    out = out.assign(periods=trials.ahead, quantity=trials.came, mean=trials.mean[FORECASTS.index(MODEL)])
    out["class"] = classes.to_numpy()
    for place in np.flatnonzero(trials.published):
        out[f"q{trials.levels[place]:g}"] = trials.quantiles[FORECASTS.index(MODEL), :, place]
    return out


def _assumptions(
    panel: Panel, trials: Trials, ahead: NDArray[np.int64], cuts: list[int], dated: bool
) -> pd.DataFrame:
    same = ahead.min() == ahead.max()
    length = int(ahead[0]) if same else f"{ahead.min()} to {ahead.max()}"
    names = pd.Series(_origin_names(panel, np.asarray(cuts), dated))
    said = names.dt.strftime("%Y-%m") if dated else names
    left_out = len(panel.keys) - len(np.unique(trials.row))
    rows = [
        ("periods", length, "periods", "set by the user", "length of the sums that were tested"),
        (
            "origins",
            said.tolist(),
            "",
            "estimated from the length of the history",
            "last known period of each test",
        ),
        (
            "series left out",
            left_out,
            "series",
            "estimated from the length of the history",
            "began after the last origin, or have no tested sum that the records hold in full",
        ),
        (
            "smoothing",
            intermittent.SMOOTHING,
            "",
            "default",
            "weight of the newest value in SBA and TSB; IMAPA takes what would have erred least before",
        ),
    ]
    keys = ("name", "value", "unit", "origin", "meaning")
    return assumptions_frame([{"stage": "backtest", **dict(zip(keys, row))} for row in rows])
