"""Demand of parts whose machines are not known, until those machines are gone: history, fading away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincc

from spareplan.forecast.history_road import history_demand
from spareplan.forecast.remaining import Remaining, leaving_demand
from spareplan.forecast.retirement import RetirementLaw
from spareplan.maths.units import DAYS_PER_YEAR, months_after

FloatArray = NDArray[np.float64]
YEAR_DAYS = 365


def fading_survival(shape: FloatArray, scale: FloatArray, ahead: FloatArray) -> FloatArray:
    """Share of a fleet of all ages that is left later, when no machine follows.

    Parameters
    ----------
    shape, scale : ndarray, shape (laws,)
        Weibull laws of machine life. [-, days]
    ahead : ndarray, shape (times,)
        [days]

    Returns
    -------
    ndarray, shape (laws, times)

    Notes
    -----
    Where machines were replaced one for one for long, their remaining life has the survival
    int_t^inf S(u) du / E[life] [1]_: for a Weibull the upper incomplete gamma ratio Q(1/b, (t/eta)^b).

    References
    ----------
    .. [1] Cox (1962), Renewal Theory, sec. 5.2 (forward recurrence time).
    """
    return np.asarray(gammaincc(1 / shape[:, None], (ahead / scale[:, None]) ** shape[:, None]))


def history_until_gone(
    data: Any, part_ids: list[str], as_of: pd.Timestamp, law: RetirementLaw, days: FloatArray
) -> Remaining:
    """Demand that history foretells, from now until its unknown machines are gone.

    Parameters
    ----------
    data : Dataset
        demand.
    part_ids : list of str
        Parts wanted, sorted; those without history have no demand.
    as_of : Timestamp
    law : RetirementLaw
        The product with most machines stands for the unknown ones.
    days : ndarray, shape (times,)
        Rising, from 0. [days]

    Returns
    -------
    Remaining
        Machines are those that would ask for one piece a year each.
    """
    road = history_demand(data, as_of, months_after(as_of, 1), [YEAR_DAYS])
    rows = road.windows[road.windows["part_id"].isin(part_ids) & (road.windows["mean"] > 0)]
    part = pd.Index(part_ids).get_indexer(pd.Index(rows["part_id"]))
    mean, vmr, cv2 = (rows[name].to_numpy(float) for name in ("mean", "vmr", "rate_cv2"))

    def total(values: FloatArray) -> FloatArray:
        return np.bincount(part, values, len(part_ids)).astype(float)

    # The rate of a part is shared by its sites: their doubts add up, not their squares.
    year, doubt = total(mean), total(mean * np.sqrt(cv2))
    some = np.where(year > 0, year, 1.0)
    spread, wide = total(vmr * mean) / some, (doubt / some) ** 2
    usual = law.usual
    survival = fading_survival(law.shape[usual], law.scale[usual], days)
    number = np.arange(len(part_ids))
    machines = np.maximum(year, 1.0)
    told = leaving_demand(
        number,
        year[:, None] / DAYS_PER_YEAR * days,
        machines,
        np.where(year > 0, spread, 1.0)[:, None] * np.ones(len(days)),
        wide[:, None] * np.ones(len(days)),
        np.full(len(survival), 1 / len(survival)),
        np.broadcast_to(survival[:, None], (len(survival), len(part_ids), len(days))),
    )
    there = np.where(year > 0, machines, 0.0)[:, None] * survival.mean(axis=0)
    return Remaining(np.array(part_ids, dtype=object), days, *told, there)


def added(first: Remaining, second: Remaining) -> Remaining:
    """Sum of two independent demands of the same parts at the same times.

    Parameters
    ----------
    first, second : Remaining

    Returns
    -------
    Remaining
    """
    pairs = zip(first[2:], second[2:])
    return Remaining(first.part_ids, first.days, *(one + other for one, other in pairs))
