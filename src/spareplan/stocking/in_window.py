"""What levels reach of the promise to serve a share of the demand within some days, such as 24 hours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking._forest import Forest
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import Priced
from spareplan.stocking.waiting import exact_shares, wait_shares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def served_in_window(
    forest: Forest,
    pipelines: Pipelines,
    state: Priced,
    window_days: FloatArray,
    exact: NDArray[np.bool_],
    method: str,
) -> FloatArray:
    """Share of the demand at each row that waits at most its window.

    Parameters
    ----------
    forest, pipelines : Forest, Pipelines
    state : Priced
        What the levels do.
    window_days : ndarray, shape (rows,)
        Window of each row of the pipelines; NaN: none. [days]
    exact : ndarray of bool, shape (rows,)
        Rows whose lateness the levels were priced with; the others are told row by row.
    method : str
        Evaluation.

    Returns
    -------
    ndarray, shape (rows,)
        In the order of the pipelines; NaN where no window is given or nothing is demanded.
    """
    asked = ~np.isnan(window_days) & (pipelines.demand > 0)
    out = np.where(asked, 1 - state.late, np.nan)
    rest = asked & ~exact
    if not rest.any():
        return out
    rows = pipelines.forest_rows
    most, quantity = np.empty(len(rows), np.int64), np.ones(len(rows), np.int64)
    most[rows] = state.levels
    quantity[rows[pipelines.starts[:-1]]] = pipelines.batch
    stocked = replace(forest, stock=most, least=most - quantity + 1, most=most)
    for time in np.unique(window_days[rest]).tolist():
        here = np.flatnonzero(rest & (window_days == time))
        wanted = np.zeros(len(rows), bool)
        wanted[rows[here]] = True
        plain = method == "exact" and not forest.overdispersed[rows[here]].any()
        tell = exact_shares(stocked, np.array([time]), wanted) if plain else None
        shares = wait_shares(stocked, np.array([time]), method) if tell is None else tell
        out[here] = np.clip(shares[rows[here], 0], 0.0, 1.0)
    return out
