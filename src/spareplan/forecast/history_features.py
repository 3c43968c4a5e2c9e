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
    features : ndarray, shape (m, 23)
        In the order of `assemble`.
    """

    rows: IntArray
    unit: FloatArray
    features: FloatArray

    def record(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Demands so far, and ticks since the first and since the last of them."""
        return self.features[:, 20], self.features[:, 17], self.features[:, 16]


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


@dataclass(frozen=True)
class Exposure:
    """What wears the parts of a panel: machines in service, seasons.

    Parameters
    ----------
    wear : ndarray, shape (n, c)
        In each period of the history, above 0; any unit that is the same for all periods of a series.
    ahead : ndarray, shape (n, a)
        In the periods after it.
    """

    wear: FloatArray
    ahead: FloatArray

    def of(self, rows: IntArray) -> Exposure:
        """Take that of some series."""
        return Exposure(self.wear[rows], self.ahead[rows])


class History:
    """A panel prepared for snapshots: running sums along time, computed once.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Oldest period first, NaN where unknown or not started. [pieces]
    tick : float
        Length of a tick. [periods]
    exposure : Exposure, optional
        What wears the parts in each period. Rates are then those at the exposure ahead of the origin.
    """

    def __init__(self, demand: FloatArray, tick: float = 1.0, exposure: Exposure | None = None) -> None:
        self.known = np.isfinite(demand)
        self.pieces = np.where(self.known, demand, 0.0)
        self.tick = tick
        self.exposure = exposure
        self.exposed = None if exposure is None else _running(exposure.wear)
        self.sums = _running(self.pieces)
        started = self.known.any(axis=1)
        self.start = np.where(started, self.known.argmax(axis=1), demand.shape[1])
        some = self.pieces > 0
        self.log_size = _running(np.log(self.pieces, where=some, out=np.zeros_like(self.pieces)).sum(axis=0))
        self.demands = _running(some.sum(axis=0).astype(float))

    def typical_size(self, t: int) -> float:
        """Average the sizes of all demands of the panel before t geometrically; 1 where there were none."""
        return float(np.exp(self.log_size[t] / max(self.demands[t], 1.0)))

    def snapshots(self, origins: list[int], lead: int, ahead: FloatArray | None = None) -> list[Snapshot]:
        """Take the features at rising origins in one pass through time.

        Parameters
        ----------
        origins : list of int
            Numbers of periods that are known, rising.
        lead : int
            Length of the sum that is forecast. [periods]
        ahead : ndarray, shape (n,), optional
            Exposure after the end of the history, for an origin there; None: as in the last period.

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
                taken.append(self._assemble(t, lead, self._exposure_ahead(t, lead, ahead), *state))
            if t == self.pieces.shape[1]:
                break
            y, some = self.pieces[:, t], self.pieces[:, t] > 0
            worn = 1.0 if self.exposure is None else self.exposure.wear[:, t]
            weight = weight * decay + self.known[:, t] * worn
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
        here: FloatArray,
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
        # Time counts in periods at the exposure ahead.
        here = here[rows]
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
        return Snapshot(rows, unit, np.column_stack(columns))

    def outcomes(self, t: int, lead: int, rows: IntArray) -> FloatArray:
        """Sum over the periods t .. t + lead - 1; NaN where one is unknown.

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
        return np.where(complete, self.sums[rows, t + lead] - self.sums[rows, t], np.nan)

    def growth(self, origins: list[int], lead: int) -> FloatArray:
        """Exposure ahead of each origin over that of the year before it, shape (origins, n)."""
        rows = np.arange(len(self.pieces))
        year = _ticks(YEAR, self.tick)
        return np.stack(
            [
                self._mean_exposure(t, t + lead, rows) / self._mean_exposure(max(0, t - year), t, rows)
                for t in origins
            ]
        )

    def last_year(self) -> FloatArray:
        """Mean exposure in the last year of the history, shape (n,)."""
        end = self.pieces.shape[1]
        rows = np.arange(len(self.pieces))
        return self._mean_exposure(max(0, end - _ticks(YEAR, self.tick)), end, rows)

    def _exposure_ahead(self, t: int, lead: int, ahead: FloatArray | None) -> FloatArray:
        rows, end = np.arange(len(self.pieces)), self.pieces.shape[1]
        if t < end:
            return self._mean_exposure(t, min(t + lead, end), rows)
        return self._mean_exposure(end - 1, end, rows) if ahead is None else ahead

    def _mean_exposure(self, first: int, end: int, rows: IntArray) -> FloatArray:
        if self.exposed is None:
            return np.ones(len(rows))
        return (self.exposed[rows, end] - self.exposed[rows, first]) / max(end - first, 1)


def glm_design(features: FloatArray) -> FloatArray:
    """Columns of the log-linear index: logs of what is skewed, flags of what is missing.

    Parameters
    ----------
    features : ndarray, shape (m, 23)

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
