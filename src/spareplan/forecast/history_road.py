"""History road of the forecast: parts without known machines, one pooled compound model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.forecast.combine import forecast_history
from spareplan.forecast.series_life import SERIES_COLUMNS, series_life, series_notes, series_words
from spareplan.maths.units import DAYS_PER_MONTH, days_in_month
from spareplan.tables.taken import demand_to_learn

PAIR = ["part_id", "site_id"]
LONG_SUM = 12


class HistoryRoad(NamedTuple):
    """Demand from history.

    Parameters
    ----------
    table : DataFrame
        part_id, site_id, month, mean, vmr, rate_cv2, from_history, method.
    windows : DataFrame
        part_id, site_id, days, mean, vmr, rate_cv2, method.
    facts : Series
        By part_id and site_id: what the series looks like, in words.
    notes : list of dict
        Assumption rows.
    series : DataFrame
        What each series is doing, as from `series_life`.
    """

    table: pd.DataFrame
    windows: pd.DataFrame
    facts: pd.Series
    notes: list[dict[str, Any]]
    series: pd.DataFrame


def history_demand(data: Any, as_of: pd.Timestamp, horizon: pd.DatetimeIndex, days: list[int]) -> HistoryRoad:
    """Forecast every part and site with a demand history.

    Parameters
    ----------
    data : Dataset
        demand, parts.
    as_of : Timestamp
    horizon : DatetimeIndex
        Month starts to forecast.
    days : list of int
        Windows. [days]

    Returns
    -------
    HistoryRoad

    Notes
    -----
    The model gives mean and variance of sums. From the sums of one and of twelve months follow the pair that
    reproduces both: Var/mean = vmr + rate_cv2 x mean.
    """
    history = demand_to_learn(data, as_of)
    empty = pd.DataFrame(columns=[*PAIR, "mean", "vmr", "rate_cv2", "method"])
    if history.empty:
        nothing = pd.Series(dtype=object, index=pd.MultiIndex.from_arrays([[], []], names=PAIR))
        return HistoryRoad(
            empty.assign(month=pd.Series(dtype="datetime64[ns]")),
            empty.assign(days=0.0),
            nothing,
            [],
            pd.DataFrame(columns=[*PAIR, *SERIES_COLUMNS]),
        )
    history = history.rename(columns={"month": "period"})
    series = series_life(history, PAIR)
    one = forecast_history(history, periods=1, levels=(0.5,), key=PAIR)
    many = forecast_history(history, periods=LONG_SUM, levels=(0.5,), key=PAIR)
    rate = np.maximum(many["mean"].to_numpy() / LONG_SUM, 0.0)
    vmr, cv2 = _pair(
        one["mean"].to_numpy(),
        one["variance"].to_numpy(),
        many["mean"].to_numpy(),
        many["variance"].to_numpy(),
    )
    keys = many[PAIR]
    table = _repeat(keys, rate, vmr, cv2, "month", horizon, days_in_month(horizon) / DAYS_PER_MONTH)
    table["from_history"] = table["mean"]
    windows = _repeat(
        keys, rate, vmr, cv2, "days", np.asarray(days, float), np.asarray(days) / DAYS_PER_MONTH
    )
    last = history["period"].max()
    notes: list[dict[str, Any]] = [
        {
            "stage": "forecast",
            "name": "series forecast from history",
            "value": len(keys),
            "unit": "part x site",
            "origin": "data: demand",
            "meaning": "one compound model pooled over all series; months without a row had no demand",
        },
        {
            "stage": "forecast",
            "name": "history ends",
            "value": f"{last:%Y-%m}",
            "origin": "data: demand",
            "meaning": "latest month with demand; it ends every series",
        },
    ]
    notes += series_notes(history, series)
    return HistoryRoad(table, windows, _facts(history, series, rate), notes, series)


def _pair(
    mean_1: np.ndarray, variance_1: np.ndarray, mean_n: np.ndarray, variance_n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find (vmr, cv2) with Var = vmr mean + cv2 mean² at a short and a long window."""
    with np.errstate(divide="ignore", invalid="ignore"):
        short, long = variance_1 / mean_1, variance_n / mean_n
        cv2 = (long - short) / (mean_n - mean_1)
    cv2 = np.where(np.isfinite(cv2), np.maximum(cv2, 0.0), 0.0)
    # Where both cannot be met the long window rules: stock is set on sums.
    vmr = np.where(np.isfinite(long), long - cv2 * mean_n, 1.0)
    return np.maximum(vmr, 0.1), cv2


def _repeat(
    keys: pd.DataFrame,
    rate: np.ndarray,
    vmr: np.ndarray,
    cv2: np.ndarray,
    axis: str,
    values: Any,
    lengths: np.ndarray,
) -> pd.DataFrame:
    """Write a row per key and value; the mean grows with the length in months."""
    size = len(values)
    out = keys.loc[keys.index.repeat(size)].reset_index(drop=True)
    out[axis] = np.tile(np.asarray(values), len(keys))
    out["mean"] = np.outer(rate, lengths).ravel()
    out["vmr"], out["rate_cv2"] = np.repeat(vmr, size), np.repeat(cv2, size)
    out["method"] = "history"
    return out


def _facts(history: pd.DataFrame, series: pd.DataFrame, rate: np.ndarray) -> pd.Series:
    left_out = history.groupby(PAIR, sort=True)["one_off"].sum().to_numpy()
    length = (series["periods"] + series["unknown"]).to_numpy()
    text = [
        f"{pieces:g} pieces in {months:d} months of history{more}, {now:.2f} a month expected now"
        for pieces, months, more, now in zip(series["pieces"], length, series_words(series, left_out), rate)
    ]
    return pd.Series(text, index=pd.MultiIndex.from_frame(series[PAIR]))
