"""Lifetimes and ages in, expected failures out: failed pieces are replaced and fail again.

Two tools: `expected_renewals`, one Weibull item of known age to any accuracy, and `spareplan.forecast.fleet`,
whole age histograms with planned replacements.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem

FloatArray = NDArray[np.float64]

# Cells per scale of the finer of two grids; with the extrapolation below the error stays under 1e-5.
CELLS_PER_SCALE = 128
LEAST_CELLS_PER_STEP = 32
CELLS_PER_RESIDUAL = 8
MOST_CELLS = 2**21
# Residual exp(-14) of the transient is 1e-6.
TRANSIENT_DECADES = 14.0
# exp(-2 TILT) is the aliasing left by the circular convolution.
TILT = 12.0


def expected_renewals(
    shape: ArrayLike, scale: ArrayLike, age: ArrayLike, horizon: float, step: float
) -> FloatArray:
    """Count expected failures per step of items alive now, failed pieces replaced at once.

    Parameters
    ----------
    shape, scale : array-like, broadcast to shape (n,)
        Weibull law of the lives. [-, one unit]
    age : array-like, broadcast to shape (n,)
        Age now. [the same unit]
    horizon, step : float
        How far to look, and the width of a step; where the horizon is no multiple of the step the last step
        is cut at the horizon. [the same unit]

    Returns
    -------
    ndarray, shape (n, ceil(horizon / step))
        Expected failures per step, no retirement.

    Raises
    ------
    DataError
        Shape, scale, horizon or step is not positive and finite, or an age is negative.

    Notes
    -----
    With N the expected failures per cell of a fine grid, f the first failures and g the chance that a piece
    fitted (evenly) in one cell fails in a later one, N = f + N * g (a convolution). g is exact, by
    G(x) = int_0^x F = x - eta Gamma(1 + 1/b) P(1/b, (x/eta)^b). The equation is solved by Fourier
    transform on two grids and extrapolated to cells of no width; f is exact, so early steps keep their
    relative accuracy. After the transient the rate is one per mean life.

    References
    ----------
    .. [1] Cox (1962), Renewal Theory, ch. 4.
    .. [2] Xie (1989), Communications in Statistics - Simulation 18(1), 281-293.

    Examples
    --------
    >>> expected_renewals(1.0, 10.0, 3.0, horizon=2.0, step=1.0).round(6).tolist()
    [[0.1, 0.1]]
    """
    arrays = {"shape": shape, "scale": scale, "age": age}
    columns = _checked(arrays, horizon, step)
    steps = max(1, math.ceil(horizon / step - 1e-9))
    b, eta, a = columns
    out = np.empty((len(b), steps))
    width, age_scaled = step / eta, a / eta
    kept = np.minimum(steps, np.ceil(_transient(b, age_scaled) / width))
    density = np.maximum(
        CELLS_PER_SCALE * np.maximum(1.0, b / 3), CELLS_PER_RESIDUAL / _residual(b, age_scaled)
    )
    cells = np.maximum(density * width, LEAST_CELLS_PER_STEP)
    # Very small shapes over very many lives: coarser cells rather than no answer.
    cells = np.minimum(cells, np.maximum(MOST_CELLS / kept, LEAST_CELLS_PER_STEP))
    cells = 2.0 ** np.ceil(np.log2(cells))
    kept = np.minimum(steps, 2.0 ** np.ceil(np.log2(kept)))
    last = horizon / step - (steps - 1)
    for count, depth in sorted(set(zip(cells.astype(int), kept.astype(int)))):
        rows = np.flatnonzero((cells == count) & (kept == depth))
        batch = max(1, MOST_CELLS // (4 * count * depth))
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            out[some] = _rows(b[some], age_scaled[some], width[some], depth, count, steps, last)
    return out


def _checked(arrays: dict[str, ArrayLike], horizon: float, step: float) -> list[FloatArray]:
    problems = []
    for name, value in (("horizon", horizon), ("step", step)):
        if np.ndim(value) or not np.isfinite(value) or value <= 0:
            problems.append(
                Problem("expected_renewals", 0, name, str(value), "is no positive number", "give one")
            )
    columns = [np.atleast_1d(a).astype(float).ravel() for a in np.broadcast_arrays(*arrays.values())]
    for (name, _), column in zip(arrays.items(), columns):
        wrong = ~np.isfinite(column) | ((column < 0) if name == "age" else (column <= 0))
        rule = "is negative or no number" if name == "age" else "is not positive"
        problems += [
            Problem("expected_renewals", int(row) + 2, name, str(column[row]), rule, "give a finite value")
            for row in np.flatnonzero(wrong)
        ]
    if problems:
        raise DataError(problems)
    return columns


def _residual(shape: FloatArray, age: FloatArray) -> FloatArray:
    """Rough mean of what is left of a life at this age, at most 1 scale: cells must resolve it."""
    with np.errstate(divide="ignore", over="ignore"):
        hazard = shape * np.maximum(age, 1e-300) ** (shape - 1)
    return np.where(shape > 1, np.clip(1 / np.maximum(hazard, 1e-300), 1e-3, 1.0), 1.0)


def _transient(shape: FloatArray, age: FloatArray) -> FloatArray:
    """Find the time, in scales, after which the renewal rate is constant to 1e-6."""
    mean = _gamma(1 + 1 / shape)
    cv2 = np.maximum(_gamma(1 + 2 / shape) / mean**2 - 1, 1e-9)
    # Regular lives beat like a drum: each period damps by exp(-2 pi² cv²).
    regular = TRANSIENT_DECADES / (2 * np.pi**2 * cv2)
    new = TRANSIENT_DECADES ** (1 / shape)
    old = (TRANSIENT_DECADES + age**shape) ** (1 / shape) - age
    return 2 * np.maximum(new, old) + regular


def _rows(
    shape: FloatArray, age: FloatArray, width: FloatArray, depth: int, count: int, steps: int, last: float
) -> FloatArray:
    """Solve the rows that share `depth` transient steps of `count` cells."""
    cells = depth * count
    h = width / count
    laws, which = np.unique(np.column_stack([shape, h]), axis=0, return_inverse=True)
    which = which.ravel()
    grid = np.arange(cells + 2)
    integral = _integral_of_cdf(grid * laws[:, 1:], laws[:, :1])
    times = age[:, None] + grid[:-1] * h[:, None]
    first = np.diff(-np.expm1(age[:, None] ** shape[:, None] - times ** shape[:, None]), axis=1)
    fine = _solve(first, integral, laws[:, 1], which)
    coarse = _solve(first[:, ::2] + first[:, 1::2], integral[:, ::2], 2 * laws[:, 1], which)
    again = np.cumsum(fine - first, axis=1)
    again_coarse = np.cumsum(coarse - first[:, ::2] - first[:, 1::2], axis=1)
    order = 2.0 ** np.minimum(2.0, 1 + shape)[:, None]
    per_step = np.arange(1, depth + 1) * count
    edges = (order * again[:, per_step - 1] - again_coarse[:, per_step // 2 - 1]) / (order - 1)
    first_edges = -np.expm1(
        age[:, None] ** shape[:, None]
        - (age[:, None] + np.arange(1, depth + 1) * width[:, None]) ** shape[:, None]
    )
    if depth == steps and last < 1 - 1e-12:
        # The cut step: exact first failures, the renewals between two cells by a straight line.
        inside = last * count
        whole = min(int(inside), count - 1)
        at = again[:, (depth - 1) * count + whole]
        before = again[:, (depth - 1) * count + whole - 1] if depth > 1 or whole else np.zeros(len(shape))
        missing = again[:, -1] - (before + (inside - whole) * (at - before))
        edges[:, -1] -= missing
        end = age + (depth - 1 + last) * width
        first_edges[:, -1] = -np.expm1(age**shape - end**shape)
    # M <= F / (1 - F) bounds the renewals where they are smaller than the transform's rounding.
    ends = np.arange(1, depth + 1) * width[:, None]
    with np.errstate(over="ignore"):
        bound = first_edges * np.expm1(np.minimum(ends ** shape[:, None], 700.0))
    out = np.empty((len(shape), steps))
    out[:, :depth] = np.diff(np.clip(edges, 0, bound) + first_edges, axis=1, prepend=0.0)
    if steps > depth:
        out[:, depth:] = (width / _gamma(1 + 1 / shape))[:, None]
        out[:, -1] *= min(last, 1.0)
    return out


def _solve(first: FloatArray, integral: FloatArray, h: FloatArray, which: NDArray[np.intp]) -> FloatArray:
    """Solve N = first + N * g by tilted Fourier transform; g from the integral of the distribution."""
    from scipy.fft import irfft, next_fast_len, rfft

    cells = first.shape[1]
    again = np.empty((len(h), cells))
    again[:, 0] = integral[:, 1] / h
    again[:, 1:] = (integral[:, 2 : cells + 1] - 2 * integral[:, 1:cells] + integral[:, : cells - 1]) / h[
        :, None
    ]
    size = next_fast_len(2 * cells, real=True)
    tilt = np.exp(-np.arange(cells) * (TILT / cells))
    kernel = 1 - rfft(again * tilt, size)
    return irfft(rfft(first * tilt, size) / kernel[which], size)[:, :cells] / tilt


def _integral_of_cdf(x: FloatArray, shape: FloatArray) -> FloatArray:
    """Integral of the unit-scale Weibull distribution function from 0 to x."""
    from scipy.special import gammainc

    power = x**shape
    # For small x the two terms cancel: there the series of 1 - exp(-x^b), integrated, is exact.
    series = (
        x * power * (1 / (shape + 1) - power * (1 / (2 * (2 * shape + 1)) - power / (6 * (3 * shape + 1))))
    )
    return np.where(power < 1e-4, series, x - _gamma(1 + 1 / shape) * gammainc(1 / shape, power))


def _gamma(x: FloatArray) -> FloatArray:
    from scipy.special import gamma

    return np.asarray(gamma(x), dtype=float)
