"""Scores people can act on: quantile loss, calibration for counts, bias, stock and fill at equal level."""

from __future__ import annotations

from collections.abc import Sequence

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


def score_quantiles(
    actual: pd.DataFrame, forecast: pd.DataFrame, key: str | Sequence[str] = "part_id"
) -> pd.DataFrame:
    """Score a forecast of quantiles beside the forecast that expects nothing.

    Parameters
    ----------
    actual : DataFrame
        Key, quantity: what really was demanded. [pieces]
    forecast : DataFrame
        Key, mean (optional), q<level> columns, as `forecast_history` gives them. [pieces] Keys that are not
        in `actual` are left out.
    key : str or sequence of str
        Name of the key column(s); further columns that both frames share (an origin, say) belong to the key.

    Returns
    -------
    DataFrame
        Rows "model" and "zero" (index `forecast`), columns wql (mean over the levels), bias, and for each
        level wql_<level>, calerr_<level>, stock_<level>, fill_<level>. Where nothing was demanded at all,
        figures relative to demand are NaN.

    Raises
    ------
    DataError
        Missing columns, empty or doubled keys, unknown actuals, an actual without a forecast, missing
        quantiles.

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
    own = [key] if isinstance(key, str) else list(key)
    shared = [
        name
        for name in actual.columns
        if name in forecast.columns and name not in [*columns, "quantity", *own]
    ]
    y, numbers = _read(actual, forecast, own, shared, columns)
    quantiles = numbers[:, : len(levels)]
    mean = numbers[:, -1] if has_mean else np.full(len(y), np.nan)
    marks = np.array([level for level, _ in levels])
    rows = [
        quantile_figures(y, quantiles, mean, marks),
        quantile_figures(y, np.zeros((len(y), 1)), np.zeros(len(y)), marks),
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


def score_terms(y: FloatArray, quantiles: FloatArray, mean: FloatArray, levels: FloatArray) -> FloatArray:
    """What each row adds to the sums that scores are made of.

    Parameters
    ----------
    y, mean : ndarray, shape (n,)
        What was demanded, and what was expected. [pieces]
    quantiles : ndarray, shape (n, k)
        [pieces]
    levels : ndarray, shape (k,)

    Returns
    -------
    ndarray, shape (n, 3 + 5 k)
        1, y, mean - y; then for all levels the pinball loss, 1{y <= f}, 1{y < f}, f, min(y, f).
    """
    demanded = y[:, None]
    whole = np.column_stack([np.ones(len(y)), y, mean - y])
    losses = pinball_losses(y, quantiles, levels)
    wide = np.broadcast_to(quantiles, losses.shape)
    each = (losses, demanded <= wide, demanded < wide, wide, np.minimum(demanded, wide))
    return np.concatenate([whole, *each], axis=1)


def figures_of_sums(sums: FloatArray, levels: FloatArray) -> dict[str, FloatArray]:
    """Scores of groups from their sums.

    Parameters
    ----------
    sums : ndarray, shape (g, 3 + 5 k)
        Of the rows of `score_terms`, per group.
    levels : ndarray, shape (k,)
        Rising.

    Returns
    -------
    dict of str to ndarray, shape (g,)
        Columns of `score_quantiles`.
    """
    count = len(levels)
    cells, demand, error = sums[:, :3].T
    loss, reached, below, stock, fill = sums[:, 3:].reshape(-1, 5, count).transpose(1, 2, 0)
    total = np.where(demand > 0, demand, np.nan)
    cells = np.maximum(cells, 1)
    marks = levels[:, None]
    off = np.maximum(np.maximum(marks - reached / cells, below / cells - marks), 0.0)
    names = [f"{level:g}" for level in levels]
    out = {"wql": 2 * loss.mean(axis=0) / total}
    out |= {f"wql_{name}": 2 * row / total for name, row in zip(names, loss)}
    out["bias"] = error / total
    for word, rows in (("calerr", off), ("stock", stock / total), ("fill", fill / total)):
        out |= {f"{word}_{name}": row for name, row in zip(names, rows)}
    return out


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
    sums = score_terms(y, quantiles, mean, levels).sum(axis=0)
    return {name: float(value[0]) for name, value in figures_of_sums(sums[None, :], levels).items()}


def _read(
    actual: pd.DataFrame, forecast: pd.DataFrame, own: list[str], shared: list[str], columns: list[str]
) -> tuple[FloatArray, FloatArray]:
    """What was demanded, and the numbers of its forecast, row by row."""
    problems = [
        Problem("actual", 0, name, "", "is a missing column", "add it")
        for name in (*own, "quantity")
        if name not in actual.columns
    ]
    problems += [
        Problem("forecast", 0, name, "", "is a missing column", "add it")
        for name in own
        if name not in forecast.columns
    ]
    if not [name for name in columns if name != "mean"]:
        problems.append(
            Problem("forecast", 0, "q0.5", "", "no quantile column", "give columns such as q0.95")
        )
    if not problems and actual.empty:
        problems.append(Problem("actual", 0, "", "", "is empty", "give what really was demanded"))
    if problems:
        raise DataError(problems)
    wanted, given = _index(actual, own + shared), _index(forecast, own + shared)
    for table, frame, index in (("actual", actual, wanted), ("forecast", forecast, given)):
        for name in own:
            problems += _flagged(frame[name].isna(), frame[name], table, name, "is empty", "give the key")
        if not index.is_unique:
            problems += _flagged(
                index.duplicated(), frame[own[0]], table, own[0], "is doubled", "give each key once"
            )
    quantity = _numbers(actual["quantity"])
    problems += _flagged(
        ~np.isfinite(quantity),
        actual["quantity"],
        "actual",
        "quantity",
        "is no known number",
        "give the demand, or leave the key out",
    )
    if not given.is_unique:
        raise DataError(problems)
    place = given.get_indexer(wanted)
    problems += _flagged(
        place < 0, actual[own[0]], "actual", own[0], "has no forecast", "forecast it, or leave it out"
    )
    used = np.zeros(len(forecast), dtype=bool)
    used[place[place >= 0]] = True
    numbers = np.column_stack([_numbers(forecast[name]) for name in columns])
    for name, values in zip(columns, numbers.T):
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
    return quantity, numbers[place]


def _index(frame: pd.DataFrame, names: list[str]) -> pd.Index:
    return pd.Index(frame[names[0]]) if len(names) == 1 else pd.MultiIndex.from_frame(frame[names])


def _numbers(values: pd.Series) -> FloatArray:
    if values.dtype.kind not in "biuf":
        values = pd.to_numeric(values, errors="coerce")
    return np.asarray(values.to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)


def _flagged(
    bad: np.ndarray | pd.Series, values: pd.Series, table: str, column: str, rule: str, remedy: str
) -> list[Problem]:
    return [
        Problem(table, int(row) + 2, column, str(values.iloc[row]), rule, remedy)
        for row in np.flatnonzero(np.asarray(bad, dtype=bool))
    ]
