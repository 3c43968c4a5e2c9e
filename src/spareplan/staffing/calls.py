"""Draw the orders of a simulated region: when, of which class, where, and the visits each of them takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LAWS = ("gamma", "lognormal")


class VisitLaw(NamedTuple):
    """What a visit takes, by class.

    Parameters
    ----------
    work_hours, work_scv : ndarray, shape (K,)
        Time at the machine of a standard engineer: mean [hours], squared coefficient of variation.
    missing_share, known_share : ndarray, shape (K,)
        Orders whose part is found missing on site (a second visit when it has come), or known to be missing
        at the call (the visit waits for it).
    parts_hours, parts_scv : ndarray, shape (K,)
        Wait for a missing part, gamma: mean [hours], squared coefficient of variation (1: exponential).
    diagnose_hours : ndarray, shape (K,)
        Mean time at the machine until a part is found missing, exponential. [hours]
    again_share : ndarray, shape (K,)
        Repairs that fail, each on its own; the next visit is wanted at once.
    """

    work_hours: FloatArray
    work_scv: FloatArray
    missing_share: FloatArray
    known_share: FloatArray
    parts_hours: FloatArray
    parts_scv: FloatArray
    diagnose_hours: FloatArray
    again_share: FloatArray

    @property
    def visits(self) -> FloatArray:
        """Mean visits of an order, shape (K,)."""
        return self.missing_share + 1.0 / (1.0 - self.again_share)

    @property
    def hours(self) -> FloatArray:
        """Mean time at the machine of an order, all visits, shape (K,) [hours]."""
        return self.work_hours / (1.0 - self.again_share) + self.missing_share * self.diagnose_hours


def by_profile(operational: FloatArray, rate: float, profile: FloatArray | None) -> FloatArray:
    """Turn moments of a process of one call per hour into those of a day with busy and quiet hours.

    Parameters
    ----------
    operational : ndarray, shape (N,)
        Ascending. [calls expected until then]
    rate : float
        Mean calls per hour. [1/hour]
    profile : ndarray, shape (24,) or (7, 24), optional
        Calls per hour of the day, or of the week, against their mean; None: even.

    Returns
    -------
    ndarray, shape (N,)
        [hours]
    """
    even = operational / rate
    if profile is None or np.ptp(profile) < 1e-9:
        return even
    # Expected calls up to each full hour, turned round.
    hours = np.asarray(profile, dtype=float).reshape(-1)
    length = len(hours)
    passed = np.concatenate([[0.0], np.cumsum(hours)]) * (length / hours.sum())
    turn = np.floor(even / length) * length
    return turn + np.interp(even - turn, passed, np.arange(length + 1, dtype=float))


def draw_classes(generator: np.random.Generator, count: int, rate: FloatArray) -> IntArray:
    """Class of each order, shape (count,), with the chances of the rates."""
    return classes_of(generator.random(count), rate)


def classes_of(chance: FloatArray, rate: FloatArray) -> IntArray:
    """Class that even chances from 0 to 1 fall into, shape of `chance`, each as wide as its rate."""
    edges = np.cumsum(rate) / np.sum(rate)
    grade = np.zeros(len(chance), dtype=np.int64)
    for edge in edges[:-1]:
        grade += chance >= edge
    # A class without orders at the end of the list gets none by rounding either.
    return np.minimum(grade, int(np.flatnonzero(rate > 0)[-1]))


def draw_places(
    generator: np.random.Generator, count: int, place: FloatArray | float
) -> tuple[FloatArray, FloatArray]:
    """East and north of orders, drawn from points (shape (n, 2)) or from a square of that side [km]."""
    if isinstance(place, np.ndarray):
        chosen = generator.integers(len(place), size=count)
        return place[chosen, 0], place[chosen, 1]
    if place <= 0:
        return np.zeros(count), np.zeros(count)
    return generator.random(count) * place, generator.random(count) * place


def draw_hours(
    generator: np.random.Generator, grade: IntArray, mean: FloatArray, scv: FloatArray, law: str
) -> FloatArray:
    """Draw times at the machine, shape (N,), of orders with these classes [hours]."""
    count = len(grade)
    if np.ptp(scv) > 1e-12:
        each = scv[grade]
        if law == "lognormal":
            spread = np.sqrt(np.log1p(each))
            return mean[grade] * np.exp(spread * generator.standard_normal(count) - 0.5 * spread**2)
        form = 1.0 / np.maximum(each, 1e-9)
        drawn = generator.standard_gamma(form) / form
        return np.where(each > 0, drawn, 1.0) * mean[grade]
    one = float(scv[0])
    if one <= 0:
        return mean[grade]
    if law == "lognormal":
        spread = np.sqrt(np.log1p(one))
        return mean[grade] * np.exp(spread * generator.standard_normal(count) - 0.5 * spread**2)
    if one == 1.0:
        return generator.standard_exponential(count) * mean[grade]
    return generator.standard_gamma(1.0 / one, count) * (mean * one)[grade]


def draw_visits(
    generator: np.random.Generator, grade: IntArray, law: VisitLaw, work_law: str = "gamma"
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Draw the visits of each order.

    Parameters
    ----------
    generator : Generator
    grade : ndarray of int, shape (N,)
        Classes.
    law : VisitLaw
    work_law : {"gamma", "lognormal"}

    Returns
    -------
    first : ndarray of int, shape (N + 1,)
        Visits of order i are `first[i]` to `first[i + 1] - 1`.
    hours, wait : ndarray, shape (visits,)
        Time at the machine; wait before the visit can be made. [hours]
    """
    count = len(grade)
    visits = np.ones(count, dtype=np.int64)
    known = missing = None
    if (law.known_share > 0).any() or (law.missing_share > 0).any():
        chance = generator.random(count)
        known = chance < law.known_share[grade]
        missing = ~known & (chance < (law.known_share + law.missing_share)[grade])
        visits += missing
    if (law.again_share > 0).any():
        # Geometric: another visit as often as the repair fails.
        with np.errstate(divide="ignore"):
            step = 1.0 / np.log(np.maximum(law.again_share, 1e-300))
        visits += (np.log1p(-generator.random(count)) * step[grade]).astype(np.int64)
    first = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(visits)])
    which = grade if first[-1] == count else np.repeat(grade, visits)
    hours = draw_hours(generator, which, law.work_hours, law.work_scv, work_law)
    wait = np.zeros(len(hours))
    if known is not None and missing is not None:
        held, lost = np.flatnonzero(known), np.flatnonzero(missing)
        wait[first[held]] = draw_hours(generator, grade[held], law.parts_hours, law.parts_scv, "gamma")
        hours[first[lost]] = generator.standard_exponential(len(lost)) * law.diagnose_hours[grade[lost]]
        wait[first[lost] + 1] = draw_hours(generator, grade[lost], law.parts_hours, law.parts_scv, "gamma")
    return first, hours, wait
