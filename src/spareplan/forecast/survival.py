"""Share of pieces that survive an age, without any law: Kaplan and Meier's estimate, late entries allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.lifetimes import check_spells, sort_spells

FloatArray = NDArray[np.float64]
NORMAL_95 = 1.959963984540054


class Survival(NamedTuple):
    """Steps of a survival curve, one per age at which something failed.

    Parameters
    ----------
    age : ndarray, shape (steps,)
        Rising. [unit of the spells]
    at_risk, failed : ndarray, shape (steps,)
        Pieces watched just before the age, and those that failed at it. [pieces]
    survival : ndarray, shape (steps,)
        Share that lives longer than the age.
    standard_error : ndarray, shape (steps,)
        Greenwood's; NaN once nothing is left.
    """

    age: FloatArray
    at_risk: FloatArray
    failed: FloatArray
    survival: FloatArray
    standard_error: FloatArray


def kaplan_meier(
    entry: FloatArray, exit: FloatArray, failed: NDArray[np.bool_], count: FloatArray
) -> Survival:
    """Survival curve of pieces watched from age `entry` to age `exit`.

    Parameters
    ----------
    entry, exit : ndarray, shape (n,)
        Ages between which a piece was watched, entry < exit. [one unit]
    failed : ndarray of bool, shape (n,)
        Whether it failed at `exit`; else it is censored there.
    count : ndarray, shape (n,)
        Weight of the row. [pieces]

    Returns
    -------
    Survival

    Notes
    -----
    S(t) = prod over failure ages u <= t of (1 - d(u) / n(u)), n(u) the pieces with entry < u <= exit [1]_.
    Where pieces enter late, few are at risk at low ages, and one early failure among them drags the whole
    curve down [2]_: read `at_risk` beside it.

    References
    ----------
    .. [1] Kaplan & Meier (1958), Journal of the American Statistical Association 53: 457-481.
    .. [2] Klein & Moeschberger (2003), Survival Analysis, sec. 4.2 and 4.6 (left truncation).
    """
    died = failed & (count > 0)
    age, which = np.unique(exit[died], return_inverse=True)
    deaths = np.bincount(which, weights=count[died], minlength=len(age)).astype(float)
    at_risk = _weight_below(entry, count, age) - _weight_below(exit, count, age)
    survival = np.asarray(np.cumprod(1 - deaths / at_risk), dtype=np.float64)
    left = at_risk - deaths
    with np.errstate(divide="ignore", invalid="ignore"):
        error = survival * np.sqrt(np.cumsum(deaths / (at_risk * left)))
    return Survival(age, at_risk, deaths, survival, np.where(survival > 0, error, np.nan))


def survival_curve(spells: pd.DataFrame, by: str | Sequence[str] = "part_id") -> pd.DataFrame:
    """Kaplan-Meier curve of every key, with 95 % intervals.

    Parameters
    ----------
    spells : DataFrame
        `by`, entry, exit, failed [, count], as in `fit_lifetimes`.
    by : str or sequence of str
        Column or columns of the key.

    Returns
    -------
    DataFrame
        `by`, age, at_risk, failed, survival, low, high: a row per key and age at which a piece failed; keys
        without a failure have none. The interval is symmetric in ln(-ln S); NaN where no pieces are left.

    Raises
    ------
    DataError
        As in `fit_lifetimes`.

    Examples
    --------
    >>> import pandas as pd
    >>> ages = pd.DataFrame({"part_id": "A", "entry": 0.0, "exit": [2.0, 3, 4, 5], "failed": [1, 1, 0, 1]})
    >>> survival_curve(ages)["survival"].tolist()
    [0.75, 0.5, 0.0]
    """
    keys = [by] if isinstance(by, str) else list(by)
    check_spells(spells, keys)
    index, arrays = sort_spells(spells, keys)
    ends = np.append(arrays.starts[1:], len(arrays.exit))
    curves = [
        kaplan_meier(
            arrays.entry[low:high], arrays.exit[low:high], arrays.failed[low:high], arrays.count[low:high]
        )
        for low, high in zip(arrays.starts, ends)
    ]
    steps = [len(curve.age) for curve in curves]
    out = index.loc[np.repeat(np.arange(len(index)), steps)].reset_index(drop=True)
    columns = [np.concatenate(column) for column in zip(*curves)] or [np.empty(0)] * len(Survival._fields)
    age, at_risk, failed, survival, error = columns
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.exp(NORMAL_95 * error / (survival * np.log(survival)))
        low, high = survival ** (1 / spread), survival**spread
    return out.assign(age=age, at_risk=at_risk, failed=failed, survival=survival, low=low, high=high)


def _weight_below(ages: FloatArray, count: FloatArray, limits: FloatArray) -> FloatArray:
    """Weight of the rows whose age is below each limit."""
    order = np.argsort(ages, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(count[order])])
    return sums[np.searchsorted(ages[order], limits, side="left")]
