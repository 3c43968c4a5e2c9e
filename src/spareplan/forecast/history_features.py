"""What a demand history says at an origin: the features that all series of a panel share.

Everything is measured in the unit of the part (its own mean order size) and, for long sums, on a clock that
is stretched with the sum, so that days, weeks and months look alike to the models that pool them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Four speeds of forgetting. [ticks of the stretched clock]
HALF_LIVES = (1.5, 4.0, 12.0, np.inf)
RECENT = (1, 3, 6, 12)
YEAR = 12
NEVER = 99.0
LOG_FLOOR = 0.02
HIGH_SUM = 0.8
# A sum of three periods is the measure of the clock; no history is cut into more than this many ticks.
TICKS_PER_SUM = 3.0
FEWEST_TICKS = 48


@dataclass(frozen=True)
class Snapshot:
    """Features of the series alive at one origin.

    Parameters
    ----------
    rows : ndarray of int, shape (m,)
        Positions of the series in the panel.
    unit : ndarray, shape (m,)
        Unit of each part: its mean order size, shrunk to the panel's. [pieces]
    features : ndarray, shape (m, 22 or 23)
        In the order of `assemble`.
    """

    rows: IntArray
    unit: FloatArray
    features: FloatArray


def tick_length(periods: int, length: int) -> float:
    """Periods in one tick of the clock on which features are measured.

    Parameters
    ----------
    periods : int
        Length of the sum that is forecast. [periods]
    length : int
        Length of the history. [periods]

    Returns
    -------
    float
        1 for sums of up to three periods, longer for long sums of long histories. [periods]
    """
    return float(np.clip(periods / TICKS_PER_SUM, 1.0, max(length / FEWEST_TICKS, 1.0)))


class History:
    """A panel prepared for snapshots: running sums along time, computed once.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Oldest period first, NaN where unknown or not started. [pieces]
    tick : float
        Length of a tick. [periods]
    exposure : ndarray, shape (n, c), optional
        What wears the part in each period, e.g. machines in service; NaN rows where unknown. Rates are then
        per exposure at the origin.
    """

    def __init__(self, demand: FloatArray, tick: float = 1.0, exposure: FloatArray | None = None) -> None:
        self.known = np.isfinite(demand)
        self.pieces = np.where(self.known, demand, 0.0)
        self.tick = tick
        self.exposure = exposure
        self.exposed = None if exposure is None else _running(np.where(np.isfinite(exposure), exposure, 1.0))
        self.sums = _running(self.pieces)
        started = self.known.any(axis=1)
        self.start = np.where(started, self.known.argmax(axis=1), demand.shape[1])
        some = self.pieces > 0
        self.log_size = _running(np.log(self.pieces, where=some, out=np.zeros_like(self.pieces)).sum(axis=0))
        self.demands = _running(some.sum(axis=0).astype(float))

    def typical_size(self, t: int) -> float:
        """Average the sizes of all demands of the panel before t geometrically; 1 where there were none."""
        return float(np.exp(self.log_size[t] / max(self.demands[t], 1.0)))

    def snapshots(self, origins: list[int], lead: int) -> list[Snapshot]:
        """Take the features at rising origins in one pass through time.

        Parameters
        ----------
        origins : list of int
            Numbers of periods that are known, rising.
        lead : int
            Length of the sum that is forecast. [periods]

        Returns
        -------
        list of Snapshot
        """
        n = len(self.pieces)
        decay = np.array([0.5 ** (1 / (life * self.tick)) for life in HALF_LIVES])[:, None]
        weight, amount, often = (np.zeros((len(HALF_LIVES), n)) for _ in range(3))
        count, squares = np.zeros(n), np.zeros(n)
        first, last = np.full(n, -1), np.full(n, -1)
        wanted, taken = set(origins), []
        for t in range(max(origins) + 1):
            if t in wanted:
                state = (weight, amount, often, count, squares, first, last)
                taken.append(self._assemble(t, lead, *state))
            if t == self.pieces.shape[1]:
                break
            y, some = self.pieces[:, t], self.pieces[:, t] > 0
            weight = weight * decay + self.known[:, t] * self.exposure_in(t, np.arange(n))
            amount = amount * decay + y
            often = often * decay + some
            count, squares = count + some, squares + y * y
            first = np.where(some & (first < 0), t, first)
            last = np.where(some, t, last)
        return taken

    def _assemble(
        self,
        t: int,
        lead: int,
        weight: FloatArray,
        amount: FloatArray,
        often: FloatArray,
        count: FloatArray,
        squares: FloatArray,
        first: IntArray,
        last: IntArray,
    ) -> Snapshot:
        rows = np.flatnonzero(self.start < t)
        weight, amount, often = weight[:, rows], amount[:, rows], often[:, rows]
        count, squares, first, last = count[rows], squares[rows], first[rows], last[rows]
        sums, tick = self.sums[rows], self.tick
        total = sums[:, t]
        unit = (self.typical_size(t) + total) / (1.0 + count)
        # Time counts in periods at the exposure of the origin.
        here = self.exposure_in(t - 1, rows)
        heavy = np.maximum(weight / here, 1e-9)
        columns = [np.log(unit), *(tick * amount / heavy / unit), *(tick * often / heavy)]
        for k in RECENT:
            back = max(0, t - _ticks(k, tick))
            columns.append((total - sums[:, back]) / unit * here / self._mean_exposure(back, t, rows))
        year = sums[:, max(0, t - _ticks(YEAR, tick)) : t + 1]
        span = _ticks(1, tick)
        columns.append(_sums_back(year, span).max(axis=1) / unit)
        leads = -np.sort(-_sums_back(sums[:, : t + 1], lead), axis=1)
        # Sums that lie before the start of a series are zeros at the far end of the order.
        own = np.clip((t - self.start[rows]) // lead, 1, leads.shape[1])
        high = leads[np.arange(len(rows)), own - np.ceil(HIGH_SUM * own).astype(np.int64)]
        columns += [leads[:, 0] / unit, high / unit]
        never = count == 0
        recency = np.where(never, NEVER, (t - last) / tick)
        columns += [recency, np.where(never, -1.0, (t - first) / tick)]
        length = weight[-1] / here / tick
        columns.append(np.where(never, NEVER, length / np.maximum(count, 1)))
        mean_size = total / np.maximum(count, 1)
        variance = np.maximum(squares / np.maximum(count, 1) - mean_size**2, 0.0)
        cv2 = variance / np.where(never, 1.0, mean_size) ** 2
        columns += [np.where(count > 1, cv2, -1.0), count, recency * (tick * often[-1] / heavy[-1])]
        back = max(0, t - _ticks(YEAR, tick))
        columns.append((sums[:, min(t, back + lead)] - sums[:, back]) / unit)
        if self.exposure is not None:
            given = self.exposure[rows, t - 1]
            columns.append(np.where(np.isfinite(given), np.log1p(np.nan_to_num(given)), -1.0))
        return Snapshot(rows, unit, np.column_stack(columns))

    def outcomes(self, t: int, lead: int, rows: IntArray) -> FloatArray:
        """Sum over the periods t .. t + lead - 1 at the exposure of the origin; NaN where one is unknown.

        Parameters
        ----------
        t, lead : int
            [periods]
        rows : ndarray of int, shape (m,)

        Returns
        -------
        ndarray, shape (m,)
            [pieces]
        """
        complete = self.known[rows, t : t + lead].all(axis=1)
        grown = self._mean_exposure(t, t + lead, rows) / self.exposure_in(t - 1, rows)
        return np.where(complete, self.sums[rows, t + lead] - self.sums[rows, t], np.nan) / grown

    def exposure_in(self, t: int, rows: IntArray) -> FloatArray:
        """Exposure of some series in one period; 1 where it is unknown."""
        return self._mean_exposure(t, t + 1, rows)

    def _mean_exposure(self, first: int, end: int, rows: IntArray) -> FloatArray:
        if self.exposed is None:
            return np.ones(len(rows))
        return (self.exposed[rows, end] - self.exposed[rows, first]) / max(end - first, 1)


def glm_design(features: FloatArray) -> FloatArray:
    """Columns of the log-linear index: logs of what is skewed, flags of what is missing.

    Parameters
    ----------
    features : ndarray, shape (m, 22 or 23)

    Returns
    -------
    ndarray, shape (m, 21 or 23)
    """
    recency, age, adi, cv2, count = (
        features[:, 16],
        features[:, 17],
        features[:, 18],
        features[:, 19],
        features[:, 20],
    )
    columns = [
        features[:, 0],
        *np.log(features[:, 1:9].T + LOG_FLOOR),
        *np.log1p(features[:, 9:15].T),
        *np.log1p(np.stack([recency, adi, count])),
        np.log1p(np.maximum(age, 0.0)),
        (age < 0).astype(float),
        (cv2 < 0).astype(float),
    ]
    if features.shape[1] > 23:
        exposed = features[:, 23]
        columns += [np.maximum(exposed, 0.0), (exposed < 0).astype(float)]
    return np.column_stack(columns)


def _running(values: FloatArray) -> FloatArray:
    shape = (*values.shape[:-1], 1)
    return np.concatenate([np.zeros(shape), np.cumsum(values, axis=-1)], axis=-1)


def _ticks(count: float, tick: float) -> int:
    return max(1, round(count * tick))


def _sums_back(running: FloatArray, span: int) -> FloatArray:
    """Add up over spans that do not overlap, counted back from the end; at least one, shorter if need be."""
    edges = running[:, ::-1][:, ::span]
    return -np.diff(edges, axis=1) if edges.shape[1] > 1 else edges - running[:, :1]
