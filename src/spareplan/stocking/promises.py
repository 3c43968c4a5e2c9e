"""Service promises as rows of a linear programme: what groups may use, and what parts use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.stocking.pricing import Pipelines, Priced

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# A promise counts as kept within this share of what it allows: far below what can be measured.
KEPT_WITHIN = 1e-9


@dataclass(frozen=True)
class Promises:
    """Groups of part x site rows that share a promise.

    A wait promise uses sum of own/demand EBO <= target wait x own demand (Little's law); a fill promise uses
    sum of own P(miss) <= (1 - target) x own demand. Both fall as stock rises.

    Parameters
    ----------
    table : DataFrame
        A row per promise: group, site_id, measure ("mean_wait_days", "fill_rate", "in_window"), target, and
        the own demand it covers (demand_per_day). [days or share, pieces per day]
    allowed : ndarray, shape (promises,)
        What may be used. [pieces; pieces per day]
    wait_promise, miss_promise : ndarray of int, shape (rows,)
        Promise of each row of the pipelines; -1: none.
    wait_factor, miss_factor : ndarray, shape (rows,)
        Use per expected backorder, and per certainty to miss.
    """

    table: pd.DataFrame
    allowed: FloatArray
    wait_promise: IntArray
    miss_promise: IntArray
    wait_factor: FloatArray
    miss_factor: FloatArray

    def __len__(self) -> int:
        return len(self.allowed)

    def used(self, priced: Priced) -> FloatArray:
        """What levels use of each promise."""
        return self.used_by(priced.ebo, priced.miss)

    def used_by(self, ebo: FloatArray, miss: FloatArray) -> FloatArray:
        """What backorders and misses use of each promise."""
        out = np.zeros(len(self))
        for rows, promise, factor, measure in self._kinds(ebo, miss):
            out += np.bincount(promise, weights=factor * measure[rows], minlength=len(self))
        return out

    def used_by_part(self, priced: Priced, pipelines: Pipelines) -> tuple[IntArray, IntArray, FloatArray]:
        """What each part uses: part, promise and amount, one entry per part x promise (sorted, summed)."""
        part = pipelines.part
        keys, amounts = [], []
        for rows, promise, factor, measure in self._kinds(priced.ebo, priced.miss):
            keys.append(part[rows] * len(self) + promise)
            amounts.append(factor * measure[rows])
        key = np.concatenate(keys) if keys else np.empty(0, np.int64)
        unique, inverse = np.unique(key, return_inverse=True)
        amount = (
            np.bincount(inverse, weights=np.concatenate(amounts), minlength=len(unique))
            if keys
            else np.empty(0)
        )
        owner: IntArray = np.asarray(unique // len(self), dtype=np.int64)
        promises: IntArray = np.asarray(unique % len(self), dtype=np.int64)
        return owner, promises, np.asarray(amount, dtype=float)

    def worth(self, prices: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Worth of a backorder and of a miss at every row for given prices of the promises."""
        padded = np.r_[prices, 0.0]
        return padded[self.wait_promise] * self.wait_factor, padded[self.miss_promise] * self.miss_factor

    def reached(self, used: FloatArray) -> FloatArray:
        """Use of the promises in their own measure: mean wait in days, or share met."""
        with np.errstate(invalid="ignore", divide="ignore"):
            per_piece = used / self.table["demand_per_day"].to_numpy()
        return np.where(self.table["measure"] == "mean_wait_days", per_piece, 1 - per_piece)

    def kept(self, used: FloatArray) -> NDArray[np.bool_]:
        """Which promises are kept."""
        return used <= self.allowed * (1 + KEPT_WITHIN)

    def _kinds(self, ebo: FloatArray, miss: FloatArray):  # type: ignore[no-untyped-def]
        for promise, factor, measure in (
            (self.wait_promise, self.wait_factor, ebo),
            (self.miss_promise, self.miss_factor, miss),
        ):
            rows = np.flatnonzero(promise >= 0)
            if len(rows):
                yield rows, promise[rows], factor[rows], measure
