"""Scores people can act on: quantile loss, calibration for counts, bias, stock and fill at equal level."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem

FloatArray = NDArray[np.float64]


def quantile_columns(frame: pd.DataFrame) -> list[tuple[float, str]]:
    """Find the columns of a frame that hold quantiles, by rising level.

    Parameters
    ----------
    frame : DataFrame
        Columns named q and the level, such as q0.95.

    Returns
    -------
    list of (level, column)
    """
    found = []
    for name in frame.columns:
        level = pd.to_numeric(str(name)[1:], errors="coerce") if str(name)[:1] == "q" else np.nan
        if 0 < level < 1:
            found.append((float(level), str(name)))
    return sorted(found)


def score_quantiles(actual: pd.DataFrame, forecast: pd.DataFrame, key: str = "part_id") -> pd.DataFrame:
    """Score a forecast of quantiles beside the forecast that expects nothing.

    Parameters
    ----------
    actual : DataFrame
        Key, quantity: what really was demanded. [pieces]
    forecast : DataFrame
        Key, mean (optional), q<level> columns, as `forecast_history` gives them. [pieces] Keys that are not
        in `actual` are left out.
    key : str
        Name of the key column; further columns that both frames share (an origin, say) belong to the key.

    Returns
    -------
    DataFrame
        Rows "model" and "zero" (index `forecast`), columns wql (mean over the levels), bias, and for each
        level wql_<level>, calerr_<level>, stock_<level>, fill_<level>. Where nothing was demanded at all,
        figures relative to demand are NaN.

    Raises
    ------
    DataError
        Missing columns, doubled keys, unknown actuals, an actual without a forecast, missing quantiles.

    Notes
    -----
    With the pinball loss rho_q(y, f) = max(q (y - f), (q - 1)(y - f)): wql_q = 2 sum rho_q / sum y; bias =
    sum (mean - y) / sum y; stock_q = sum f_q / sum y; fill_q = sum min(y, f_q) / sum y. Counts have no
    density, so calibration is the distance of q from the interval [P(y < f_q), P(y <= f_q)] [1]_.

    References
    ----------
    .. [1] Kolassa (2016), Evaluating predictive count data distributions in retail sales forecasting,
       International Journal of Forecasting 32, 788-803.

    Examples
    --------
    >>> actual = pd.DataFrame({"part_id": ["a", "b"], "quantity": [2, 0]})
    >>> forecast = pd.DataFrame({"part_id": ["a", "b"], "mean": [1.0, 1.0], "q0.5": [1, 1]})
    >>> score_quantiles(actual, forecast).loc["model", "wql"]
    np.float64(1.0)
    """
    levels = quantile_columns(forecast)
    has_mean = "mean" in forecast.columns
    columns = [name for _, name in levels] + (["mean"] if has_mean else [])
    shared = [
        name
        for name in actual.columns
        if name in forecast.columns and name not in [*columns, "quantity", key]
    ]
    names = [key, *shared]
    _check(actual, forecast, names, columns, key)
    merged = actual[[*names, "quantity"]].merge(forecast[names + columns], on=names, how="left")
    y = merged["quantity"].to_numpy(dtype=float)
    quantiles = merged[[name for _, name in levels]].to_numpy(dtype=float)
    mean = merged["mean"].to_numpy(dtype=float) if has_mean else np.full(len(y), np.nan)
    marks = np.array([level for level, _ in levels])
    rows = [
        quantile_figures(y, quantiles, mean, marks),
        quantile_figures(y, 0 * quantiles, np.zeros(len(y)), marks),
    ]
    return pd.DataFrame(rows, index=pd.Index(["model", "zero"], name="forecast"))


def pinball_losses(y: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Pinball loss of every row and level.

    Parameters
    ----------
    y : ndarray, shape (n,)
        What was demanded. [pieces]
    quantiles : ndarray, shape (n, k)
        [pieces]
    levels : ndarray, shape (k,)

    Returns
    -------
    ndarray, shape (n, k)
        max(q (y - f), (q - 1)(y - f)). [pieces]
    """
    off = y[:, None] - quantiles
    return np.maximum(levels * off, (levels - 1) * off)


def quantile_figures(
    y: FloatArray, quantiles: FloatArray, mean: FloatArray, levels: FloatArray
) -> dict[str, float]:
    """All figures of `score_quantiles` for one forecast.

    Parameters
    ----------
    y, mean : ndarray, shape (n,)
        What was demanded, and what was expected. [pieces]
    quantiles : ndarray, shape (n, k)
        [pieces]
    levels : ndarray, shape (k,)
        Rising.

    Returns
    -------
    dict of str to float
    """
    total = float(y.sum()) if y.sum() > 0 else np.nan
    loss = 2 * pinball_losses(y, quantiles, levels).sum(axis=0) / total
    reached, below = (y[:, None] <= quantiles).mean(axis=0), (y[:, None] < quantiles).mean(axis=0)
    distance = np.maximum(np.maximum(levels - reached, below - levels), 0.0)
    out = {"wql": float(loss.mean())}
    out |= {f"wql_{level:g}": float(value) for level, value in zip(levels, loss)}
    out["bias"] = float((mean - y).sum() / total)
    out |= {f"calerr_{level:g}": float(value) for level, value in zip(levels, distance)}
    out |= {f"stock_{level:g}": float(value) for level, value in zip(levels, quantiles.sum(axis=0) / total)}
    fill = np.minimum(y[:, None], quantiles).sum(axis=0) / total
    return out | {f"fill_{level:g}": float(value) for level, value in zip(levels, fill)}


def _check(
    actual: pd.DataFrame, forecast: pd.DataFrame, names: list[str], columns: list[str], key: str
) -> None:
    problems = [
        Problem("actual", 0, name, "", "is a missing column", "add it")
        for name in (key, "quantity")
        if name not in actual.columns
    ]
    if key not in forecast.columns:
        problems.append(Problem("forecast", 0, key, "", "is a missing column", "add it"))
    if not [name for name in columns if name != "mean"]:
        problems.append(
            Problem("forecast", 0, "q0.5", "", "no quantile column", "give columns such as q0.95")
        )
    if not problems and actual.empty:
        problems.append(Problem("actual", 0, "", "", "is empty", "give what really was demanded"))
    if problems:
        raise DataError(problems)
    for table, frame in (("actual", actual), ("forecast", forecast)):
        problems += _flagged(
            frame.duplicated(names), frame[key], table, key, "is doubled", "give each key once"
        )
    quantity = pd.to_numeric(actual["quantity"], errors="coerce")
    problems += _flagged(
        ~np.isfinite(quantity.to_numpy(dtype=float, na_value=np.nan)),
        actual["quantity"],
        "actual",
        "quantity",
        "is no known number",
        "give the demand, or leave the key out",
    )
    wanted = pd.MultiIndex.from_frame(actual[names])
    place = pd.MultiIndex.from_frame(forecast[names])
    absent = ~wanted.isin(place)
    problems += _flagged(
        absent, actual[key], "actual", key, "has no forecast", "forecast it, or leave it out"
    )
    used = place.isin(wanted)
    for name in columns:
        values = pd.to_numeric(forecast[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        problems += _flagged(
            used & ~np.isfinite(values),
            forecast[name],
            "forecast",
            name,
            "is no known number",
            "give the forecast",
        )
    if problems:
        raise DataError(problems)


def _flagged(
    bad: np.ndarray | pd.Series, values: pd.Series, table: str, column: str, rule: str, remedy: str
) -> list[Problem]:
    return [
        Problem(table, int(row) + 2, column, str(values.iloc[row]), rule, remedy)
        for row in np.flatnonzero(np.asarray(bad, dtype=bool))
    ]
