"""One table of the renewal function for all parts: ages and use in units of the scale, one page per shape.

A Weibull life has no unit but its scale, and empirical Bayes uses a few shapes only. What a piece of any age
will need over any stretch of use is therefore looked up, and the cost of a forecast depends neither on the
number of machines nor on how often their pieces will be renewed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma

FloatArray = NDArray[np.float64]
STEPS_PER_SCALE, LONGEST = 48, 16.0
# Ages in scales: fine where hazards change, a few beyond.
AGES = np.concatenate(
    [[0.0], np.geomspace(1e-3, 1 / 16, 9)[:-1], np.arange(1, 41) / 16, np.geomspace(2.5, 128.0, 49)[1:]]
)
# Coarser than this the table is read by straight lines; renewals between two cells are smooth.
FINE_CELLS = 2


class Curves(NamedTuple):
    """Expected events of one piece of a part by its age now and the use to come.

    Parameters
    ----------
    failures, planned, once : ndarray, shape (laws, ages, times)
        Expected failures and planned replacements, renewals included, and chance of a first failure at all.
    variance : ndarray, shape (laws, ages, times)
        Variance of all its events, given the law.
    """

    failures: FloatArray
    planned: FloatArray
    once: FloatArray
    variance: FloatArray


def renewing_curves(shape: FloatArray, scale: FloatArray, age: FloatArray, use: FloatArray) -> Curves:
    """Events of pieces that are replaced by new ones when they fail.

    Parameters
    ----------
    shape, scale : ndarray, shape (laws,)
        Weibull laws; every shape that is new costs a page of the table. [-, hours or days]
    age : ndarray, shape (ages,)
        [hours or days]
    use : ndarray, shape (times,)
        Use to come, rising. [hours or days]

    Returns
    -------
    Curves

    Notes
    -----
    The first failure is exact; later ones, R(a, u) = int f(s | a) M(u - s) ds, and the second factorial
    moment 2 int M(u - s) dM(s | a) [1]_ are read from the table by straight lines. Beyond the table renewals
    go on at its last rate, and their variance grows by sigma² / mu³.

    References
    ----------
    .. [1] Cox (1962), Renewal Theory, ch. 4.
    """
    size = (len(scale), len(age), len(use))
    failures, once, variance = np.empty(size), np.empty(size), np.empty(size)
    for law, (b, eta) in enumerate(zip(shape, scale)):
        later, pairs = _page(float(b))
        a, u = age / eta, use / eta
        first = -np.expm1(a[:, None] ** b - (a[:, None] + u) ** b)
        inside = np.minimum(u, LONGEST)
        again = _read(later, a, inside)
        count = first + again
        # Beyond the table.
        over = u - inside
        moment = _read(pairs, a, inside)
        at_end = -np.expm1(a[:, None] ** b - (a[:, None] + inside) ** b) + again
        spread = np.maximum(moment + at_end - at_end**2, 0.0)
        if over.any():
            mean = gamma(1 + 1 / b)
            rate = _by_age((later[:, -1] - later[:, -1 - STEPS_PER_SCALE])[:, None], a)
            count = count + over * rate
            spread = spread + over * (gamma(1 + 2 / b) / mean**2 - 1) / mean
        failures[law], once[law], variance[law] = count, first, spread
    return Curves(failures, np.zeros(size), once, variance)


def repaired_curves(shape: FloatArray, scale: FloatArray, age: FloatArray, use: FloatArray) -> Curves:
    """Events of assemblies that a repair leaves as old as they were (power law, minimal repair).

    Parameters and result as in `renewing_curves`; counts are Poisson.

    References
    ----------
    .. [1] Crow (1974), in Proschan & Serfling (eds), Reliability and Biometry, 379-410.
    """
    b, eta = shape[:, None, None], scale[:, None, None]
    old = age[None, :, None]
    count = ((old + use) / eta) ** b - (old / eta) ** b
    return Curves(count, np.zeros_like(count), -np.expm1(-count), count)


def _read(table: FloatArray, age: FloatArray, use: FloatArray) -> FloatArray:
    """Values at (ages, times), by straight lines."""
    place = use * STEPS_PER_SCALE
    low = np.minimum(place.astype(np.int64), table.shape[1] - 2)
    part = place - low
    return _by_age(table[:, low] * (1 - part) + table[:, low + 1] * part, age)


def _by_age(rows: FloatArray, age: FloatArray) -> FloatArray:
    low = np.clip(np.searchsorted(AGES, age, side="right") - 1, 0, len(AGES) - 2)
    part = np.clip((age - AGES[low]) / (AGES[low + 1] - AGES[low]), 0.0, 1.0)[:, None]
    return np.asarray(rows[low] * (1 - part) + rows[low + 1] * part)


@lru_cache(maxsize=64)
def _page(shape: float) -> tuple[FloatArray, FloatArray]:
    """Later failures and second factorial moment, shape (ages, steps + 1), of one shape."""
    from scipy.fft import irfft, next_fast_len, rfft

    from spareplan.forecast.renewal import expected_renewals

    width = 1 / STEPS_PER_SCALE / FINE_CELLS
    cells = int(LONGEST * STEPS_PER_SCALE * FINE_CELLS)
    new = expected_renewals(shape, 1.0, 0.0, LONGEST, width)[0][:cells]
    total = np.concatenate([[0.0], np.cumsum(new)])
    # Events fall evenly within their cell: mean of the renewal function over the cells that follow.
    middle = 0.5 * (total[1:] + total[:-1])
    time = np.arange(cells + 1) * width
    first = np.diff(-np.expm1(AGES[:, None] ** shape - (AGES[:, None] + time) ** shape), axis=1)
    size = next_fast_len(2 * cells, real=True)
    spectrum = rfft(middle, size)

    def convolved(steps: FloatArray) -> FloatArray:
        return np.asarray(irfft(rfft(steps, size) * spectrum, size)[:, :cells])

    # Old pieces fail as soon as they may: earlier in the first cell than evenly.
    inside = np.linspace(0.0, width, 17)
    early = -np.expm1(AGES[:, None] ** shape - (AGES[:, None] + inside) ** shape)
    place = 1 - 0.5 * (early[:, 1:] + early[:, :-1]).mean(axis=1) / np.maximum(first[:, 0], 1e-300)
    sooner = first[:, :1] * np.clip(0.5 - place, -0.5, 0.5)[:, None] * np.diff(total)
    later = np.maximum.accumulate(np.maximum(convolved(first) + sooner, 0.0), axis=1)
    # An item of age 0 is known better: its first cell is curved.
    later[0] = np.maximum(total[1:] - np.cumsum(first[0]), 0.0)
    steps = np.diff(later, axis=1, prepend=0.0) + first
    pairs = 2 * np.maximum(convolved(steps), 0.0)
    start = np.zeros((len(AGES), 1))
    keep = slice(None, None, FINE_CELLS)
    return np.hstack([start, later])[:, keep].copy(), np.hstack([start, pairs])[:, keep].copy()
