"""Back-test the history forecast: rolling origins, beside what anybody could do, losers shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.forecast import intermittent
from spareplan.forecast.combine import forecast_history
from spareplan.forecast.panels import Panel, read_panel, whole_periods
from spareplan.forecast.scores import pinball_losses, quantile_figures
from spareplan.maths import distributions
from spareplan.maths.intermittency import demand_class, demand_intervals, size_variation
from spareplan.results import Result, assumptions_frame
from spareplan.tables.dataset import Dataset

FloatArray = NDArray[np.float64]
MODEL, MEAN, ZERO = "model", "mean", "zero"
POINT_METHODS = {
    MEAN: intermittent.mean_demand,
    "sba": intermittent.sba,
    "tsb": intermittent.tsb,
    "imapa": intermittent.imapa,
}
SHORTEST_HISTORY = 6


@dataclass(frozen=True, repr=False)
class Backtest(Result):
    """How the forecast did on months it had not seen.

    Parameters
    ----------
    table : DataFrame
        cut (all, class, group), group, forecast (model, mean, sba, tsb, imapa, zero), series, demand, and the
        figures of `score_quantiles`; `to_mean` is wql relative to that of the mean forecast.
    losers : DataFrame
        Series on which the mean or the zero forecast would have lost less, worst first: key, demand,
        loss_model, loss_mean, loss_zero, excess, reason. [pieces]
    forecasts : DataFrame
        origin, key, quantity (what came), mean, quantiles of the model.
    """

    losers: pd.DataFrame = field(default_factory=pd.DataFrame)
    forecasts: pd.DataFrame = field(default_factory=pd.DataFrame)


def backtest_demand(
    history: pd.DataFrame | Dataset,
    periods: int = 3,
    origins: int = 4,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
    key: str | Sequence[str] = "part_id",
    exposure: pd.DataFrame | None = None,
    groups: pd.Series | None = None,
) -> Backtest:
    """Forecast from several past origins and compare with what came.

    Parameters
    ----------
    history : DataFrame or Dataset
        As for `forecast_history`. A dataset is tested per part and site on its demand and replacements by
        month, grouped by region.
    periods : int
        Length of the sums. [periods]
    origins : int
        How many; they lie `periods` apart, the last one `periods` before the end.
    levels : sequence of float
        Quantile levels.
    key : str or sequence of str
        Key column(s) of a series; of a dataset part_id and site_id.
    exposure : DataFrame, optional
        As for `forecast_history`.
    groups : Series, optional
        Name of a group by first key (part); reported beside the demand classes.

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
    variance of its own history, and the forecast that expects nothing. Classes are those of the whole
    history.
    """
    by_site = isinstance(history, Dataset)
    if isinstance(history, Dataset):
        history, groups, key = *_history_of(history), ["part_id", "site_id"]
    names = [key] if isinstance(key, str) else list(key)
    panel = read_panel(history, names)
    cuts = _origins(panel, periods, origins)
    numbers = _clock(history, panel)
    pieces = []
    for cut in cuts:
        alive = np.flatnonzero(panel.start < cut)
        known = history[numbers < cut]
        # The latest period of the table ends every series, also when nobody demanded anything in it.
        known = _reach(known, panel, cut, names)
        model = forecast_history(known, periods, levels, names, exposure)
        past = read_panel(known, names).demand
        pieces.append(_one_origin(panel, cut, periods, alive, past, model, names, np.asarray(levels, float)))
    every = pd.concat(pieces, ignore_index=True)
    every["class"] = _classes(panel)[every["row"]]
    if groups is not None:
        place = names[-1] if by_site else names[0]
        every["group"] = every[place].map(groups).astype(object)
    marks = np.sort(np.asarray(levels, float))
    table = _table(every, marks, grouped=groups is not None)
    losers = _losers(every, marks, names)
    forecasts = every.loc[
        every["forecast"] == MODEL,
        ["origin", *names, "quantity", "mean", *[f"q{level:g}" for level in marks]],
    ]
    return Backtest(
        table,
        _assumptions(panel, periods, cuts),
        _lines(table, losers, len(panel.keys)),
        losers,
        forecasts.reset_index(drop=True),
    )


def _history_of(data: Dataset) -> tuple[pd.DataFrame, pd.Series]:
    """Monthly demand per part and site of a dataset, and the region of every site."""
    tables = []
    if len(data.demand):
        tables.append(
            data.demand.rename(columns={"month": "period"})[["part_id", "site_id", "period", "quantity"]]
        )
    if len(data.replacements):
        taken = data.replacements.merge(
            data.units[["unit_id", "site_id"]], on="unit_id", how="left", validate="many_to_one"
        )
        taken["period"] = taken["replaced_on"].dt.to_period("M").dt.to_timestamp()
        taken = taken[["part_id", "site_id", "period", "quantity"]]
        # Records begin for all parts at once: a part without an early failure was there nevertheless.
        begin = (
            taken[["part_id", "site_id"]].drop_duplicates().assign(period=taken["period"].min(), quantity=0)
        )
        tables += [taken, begin]
    if not tables:
        raise problem_in_argument(
            "backtest_demand",
            "history",
            data.source,
            "has neither demand nor replacements",
            "give one of these tables",
        )
    sums = pd.concat(tables).groupby(["part_id", "site_id", "period"])["quantity"].sum(min_count=1)
    return sums.reset_index(), data.sites.set_index("site_id")["region_id"]


def _origins(panel: Panel, periods: int, origins: int) -> list[int]:
    for name, value in (("periods", periods), ("origins", origins)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise problem_in_argument(
                "backtest_demand", name, value, "is no whole number from 1 up", "give one"
            )
    cuts = [panel.length - periods * back for back in range(origins, 0, -1)]
    cuts = [cut for cut in cuts if cut >= SHORTEST_HISTORY]
    if not cuts:
        raise problem_in_argument(
            "backtest_demand",
            "history",
            f"{panel.length} periods",
            f"leaves fewer than {SHORTEST_HISTORY} periods before the last {periods}",
            "give a longer history or test shorter sums",
        )
    return cuts


def _clock(history: pd.DataFrame, panel: Panel) -> NDArray[np.int64]:
    """Column of the panel of each row of the history."""
    return whole_periods(history["period"]).astype(np.int64) - panel.periods[0]


def _reach(known: pd.DataFrame, panel: Panel, cut: int, names: list[str]) -> pd.DataFrame:
    """Add a row without demand for the last known period where the table has none."""
    numbers = _clock(known, panel)
    if numbers.size and numbers.max() == cut - 1:
        return known
    first = known.iloc[[int(numbers.argmax())]].copy()
    gap = cut - 1 - int(numbers.max())
    period = cast(Any, first["period"].iloc[0])
    if isinstance(period, (int, float, np.number, pd.Period)):
        later = period + gap
    else:
        later = pd.Timestamp(period) + pd.DateOffset(months=gap)
    first["quantity"] = 0.0
    first["period"] = pd.Series([later], index=first.index).astype(known["period"].dtype)
    return pd.concat([known, first])


def _one_origin(
    panel: Panel,
    cut: int,
    periods: int,
    alive: NDArray[np.int64],
    past: FloatArray,
    model: pd.DataFrame,
    names: list[str],
    levels: FloatArray,
) -> pd.DataFrame:
    """Put every forecast made at one origin beside what came; a row per series and forecast."""
    future = panel.demand[alive, cut : cut + periods]
    complete = np.isfinite(future).all(axis=1)
    rows = alive[complete]
    base = (
        panel.keys.iloc[rows]
        .reset_index(drop=True)
        .assign(row=rows, origin=panel.periods[0] + cut - 1, quantity=future[complete].sum(axis=1))
    )
    # Netted of the returns known then, not of later ones.
    past = past[complete]
    known = np.isfinite(past)
    count = np.maximum(known.sum(axis=1), 1)
    centre = np.where(known, past, 0.0).sum(axis=1) / count
    spread = (np.where(known, past - centre[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(count - 1, 1)
    columns = [f"q{level:g}" for level in levels]
    merged = base.merge(model, on=names, how="left", validate="one_to_one")
    out = [merged.drop(columns="variance").assign(forecast=MODEL)]
    for name, method in POINT_METHODS.items():
        mean = periods * method(past)
        variance = np.maximum(periods * spread, mean)
        quantiles = distributions.quantile(levels, mean[:, None], variance[:, None])
        out.append(base.assign(mean=mean, forecast=name, **dict(zip(columns, quantiles.T))))
    out.append(base.assign(mean=0.0, forecast=ZERO, **dict.fromkeys(columns, 0.0)))
    return pd.concat(out, ignore_index=True)


def _classes(panel: Panel) -> NDArray[np.str_]:
    known = np.isfinite(panel.demand)
    pieces = np.where(known, panel.demand, 0.0)
    hits = (pieces > 0).sum(axis=1)
    return demand_class(
        demand_intervals(known.sum(axis=1), hits),
        size_variation(hits, pieces.sum(axis=1), (pieces**2).sum(axis=1)),
    )


def _table(every: pd.DataFrame, levels: FloatArray, grouped: bool) -> pd.DataFrame:
    columns = [f"q{level:g}" for level in levels]
    rows = []
    cuts = {"all": None, "class": "class"} | ({"group": "group"} if grouped else {})
    for cut, by in cuts.items():
        for name, part in [("all", every)] if by is None else every.groupby(by, sort=True):
            for forecast in (MODEL, *POINT_METHODS, ZERO):
                one = part[part["forecast"] == forecast]
                y = one["quantity"].to_numpy(float)
                figures = quantile_figures(
                    y, one[columns].to_numpy(float), one["mean"].to_numpy(float), levels
                )
                rows.append(
                    {
                        "cut": cut,
                        "group": name,
                        "forecast": forecast,
                        "series": one["row"].nunique(),
                        "demand": y.sum(),
                        **figures,
                    }
                )
    table = pd.DataFrame(rows)
    mean = table.loc[table["forecast"] == MEAN].set_index(["cut", "group"])["wql"]
    base = mean.reindex(pd.MultiIndex.from_frame(table[["cut", "group"]])).to_numpy()
    table.insert(5, "to_mean", table["wql"] / np.where(base > 0, base, np.nan))
    return table


def _losers(every: pd.DataFrame, levels: FloatArray, names: list[str]) -> pd.DataFrame:
    """Series on which doing nothing clever would have been better."""
    columns = [f"q{level:g}" for level in levels]
    some = every[every["forecast"].isin([MODEL, MEAN, ZERO])]
    losses = pinball_losses(some["quantity"].to_numpy(float), some[columns].to_numpy(float), levels).mean(
        axis=1
    )
    wide = some.assign(loss=losses).pivot_table(index=names, columns="forecast", values="loss", aggfunc="sum")
    wide = wide.rename(columns={name: f"loss_{name}" for name in (MODEL, MEAN, ZERO)}).reset_index()
    wide.columns.name = None
    came = some[some["forecast"] == MODEL].groupby(names)["quantity"].sum().rename("demand").reset_index()
    wide = wide.merge(came, on=names, validate="one_to_one")
    wide["excess"] = wide["loss_model"] - wide[["loss_mean", "loss_zero"]].min(axis=1)
    wide = wide[wide["excess"] > 1e-9].sort_values(
        ["excess", *names], ascending=[False, *[True] * len(names)]
    )
    better = np.where(wide["loss_mean"] <= wide["loss_zero"], "the mean of its history", "expecting nothing")
    wide["reason"] = [
        f"{name} would have lost {naive:.3g}, the model lost {model:.3g}; {demand:g} pieces were demanded"
        for name, naive, model, demand in zip(
            better, wide[["loss_mean", "loss_zero"]].min(axis=1), wide["loss_model"], wide["demand"]
        )
    ]
    order = [*names, "demand", "loss_model", "loss_mean", "loss_zero", "excess", "reason"]
    return wide[order].reset_index(drop=True)


def _assumptions(panel: Panel, periods: int, cuts: list[int]) -> pd.DataFrame:
    rows = [
        ("periods", periods, "periods", "set by the user", "length of the sums that were tested"),
        (
            "origins",
            [panel.periods[0] + cut - 1 for cut in cuts],
            "",
            "estimated from the length of the history",
            "last known period of each test",
        ),
        (
            "smoothing",
            intermittent.SMOOTHING,
            "",
            "default",
            "weight of the newest value in SBA, TSB and IMAPA",
        ),
    ]
    keys = ("name", "value", "unit", "origin", "meaning")
    return assumptions_frame([{"stage": "backtest", **dict(zip(keys, row))} for row in rows])


def _lines(table: pd.DataFrame, losers: pd.DataFrame, series: int) -> tuple[str, ...]:
    whole = table[table["cut"] == "all"].set_index("forecast")
    if not whole["demand"].iloc[0] > 0:
        return ("Nothing was demanded in the tested periods: there is nothing to score.",)
    others = whole.drop(index=MODEL)["wql"].sort_values()
    model = whole.loc[MODEL]
    verdict = "better" if model["wql"] <= others.iloc[0] else "worse"
    lines = [
        f"Weighted quantile loss {model['wql']:.3f}; the best of the others, {others.index[0]}, "
        f"{others.iloc[0]:.3f}: the model is {abs(model['wql'] / others.iloc[0] - 1):.1%} {verdict}.",
        f"Over- or under-forecast of the mean: {model['bias']:+.1%} of demand.",
        f"{len(losers):,} of {series:,} series would have done better with their mean or with nothing.",
    ]
    classes = table[(table["cut"] == "class") & (table["forecast"] == MODEL) & (table["to_mean"] > 1)]
    lines += [
        f"Class {name}: the mean forecast does better by {ratio - 1:.1%}."
        for name, ratio in zip(classes["group"], classes["to_mean"].to_numpy(float))
    ]
    return tuple(lines)
