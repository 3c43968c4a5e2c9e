"""Laws of the pieces that lots bring in windows of time, tabulated: a row per window, a column per count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def lots_of(law: FloatArray, quantity: int, fresh: bool = False) -> FloatArray:
    """Laws of Q floor((U + X) / Q), U uniform; fresh: U = 0, counted back from an order."""
    size = law.shape[1] - quantity
    if quantity == 1:
        return law[:, :size]
    lots = -(-law.shape[1] // quantity)
    table = np.zeros((len(law), lots, quantity))
    table.reshape(len(law), -1)[:, : law.shape[1]] = law
    out = np.zeros((len(law), lots * quantity))
    rest = np.zeros(quantity) if fresh else np.arange(quantity) / quantity
    out[:, ::quantity] = table @ (1 - rest)
    out[:, quantity::quantity] += (table @ rest)[:, :-1]
    return out[:, :size]


def both(one: FloatArray, other: FloatArray, size: int) -> FloatArray:
    """Laws of sums, cut at `size`, which the laws before it alone decide."""
    if one.shape[1] == 1:
        return other[:, :size]
    width = 2 * size
    waves = np.fft.rfft(one, width) * np.fft.rfft(other, width)
    return np.maximum(np.fft.irfft(waves, width)[:, :size], 0.0)


def all_of(laws: list[FloatArray]) -> FloatArray:
    """Laws of the sum of several counts."""
    out = laws[0]
    for law in laws[1:]:
        out = both(out, law, laws[0].shape[1])
    return out


def poisson_laws(means: FloatArray, size: int) -> FloatArray:
    """P(Poisson = 0 .. size - 1), a row per mean."""
    return np.asarray(pmf(np.arange(size)[None, :], means[:, None]), dtype=float)


def pmf(count: IntArray, mean: FloatArray) -> FloatArray:
    """P(Poisson = count); 0 below 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        law = np.exp(special.xlogy(count, mean) - mean - special.gammaln(np.maximum(count, 0) + 1.0))
    return np.where(count >= 0, law, 0.0)


def at_least(count: IntArray, mean: FloatArray) -> FloatArray:
    """P(Poisson >= count)."""
    return np.where(count > 0, special.gammainc(np.maximum(count, 1), mean), 1.0)


def integral(days: FloatArray, values: FloatArray) -> FloatArray:
    """Simpson's rule over the last axis."""
    weight = np.full(len(days), 2.0)
    weight[1::2] = 4.0
    weight[[0, -1]] = 1.0
    return np.asarray(values @ weight * (days[-1] - days[0]) / (3 * (len(days) - 1)), dtype=float)


def at_times(days: FloatArray, values: FloatArray, wanted: FloatArray, smooth: bool) -> FloatArray:
    """Tabulated values at other times, one table per row."""
    if smooth and days[-1] > 0:
        from scipy.interpolate import CubicSpline

        return np.asarray(CubicSpline(days, values, axis=1)(wanted), dtype=float)
    return np.stack([np.interp(wanted, days, row) for row in values])
