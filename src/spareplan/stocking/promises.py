"""Service promises as rows of a linear programme: what groups may use, and what parts use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.pricing import Priced, Worth, nothing

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# A promise counts as kept within this share of what it allows: far below what can be measured.
KEPT_WITHIN = 1e-9
# Rows that are summed at once, so that millions of them need no second copy.
BLOCK_ROWS = 1 << 20


class Kind(NamedTuple):
    """Promise of each row (-1: none; None: no such promises), and its use per unit of the measure."""

    promise: IntArray | None
    factor: FloatArray


@dataclass(frozen=True)
class Promises:
    """Groups of part x site rows that share a promise.

    All promises are of one kind to the linear programme: what is used may not exceed what is allowed. A wait
    promise uses own/demand EBO of every row, in all target wait x own demand (Little's law); a fill promise
    own P(miss), in all (1 - target) x own demand; a window promise own P(W > t) likewise. A cap uses the
    money of every piece at its sites. The first three fall as stock rises.

    Parameters
    ----------
    table : DataFrame
        A row per promise: group, site_id, part_group, measure ("mean_wait_days", "fill_rate", "in_window",
        "money"), target, and the own demand it covers (demand_per_day). [days, share or money, pieces per
        day]
    allowed : ndarray, shape (promises,)
        What may be used. [pieces; pieces per day; money]
    wait_promise, miss_promise, late_promise, cap_promise : ndarray of int, shape (rows,)
        Promise of each row of the pipelines; -1: none. None: no promise of this kind.
    wait_factor, miss_factor, late_factor, cap_factor : ndarray, shape (rows,)
        Use per expected backorder, per certainty to miss and to be late, and per piece.
    """

    table: pd.DataFrame
    allowed: FloatArray
    wait_promise: IntArray | None
    miss_promise: IntArray | None
    wait_factor: FloatArray
    miss_factor: FloatArray
    late_promise: IntArray | None = None
    late_factor: FloatArray = field(default_factory=nothing)
    cap_promise: IntArray | None = None
    cap_factor: FloatArray = field(default_factory=nothing)

    def __len__(self) -> int:
        return len(self.allowed)

    @property
    def is_cap(self) -> NDArray[np.bool_]:
        """Which promises are caps on money."""
        return (self.table["measure"] == "money").to_numpy(dtype=bool)

    def take(self, rows: IntArray) -> Promises:
        """Lay the same promises on some rows, in any order, also more than once."""
        laid = {
            name: None if values is None or not len(values) else values[rows]
            for name, values in (
                (f"{kind}_{what}", getattr(self, f"{kind}_{what}"))
                for kind in ("wait", "miss", "late", "cap")
                for what in ("promise", "factor")
            )
        }
        return replace(self, **{name: values for name, values in laid.items() if values is not None})

    def only(self, kept: IntArray) -> Promises:
        """Some of the promises, numbered anew; rows of the others promise nothing."""
        place = np.full(len(self) + 1, -1, np.int64)
        place[kept] = np.arange(len(kept))
        laid: dict[str, Any] = {
            name: place[values]
            for name in ("wait_promise", "miss_promise", "late_promise", "cap_promise")
            if (values := getattr(self, name)) is not None
        }
        table = self.table.iloc[kept].reset_index(drop=True)
        return replace(self, table=table, allowed=self.allowed[kept], **laid)

    def used(self, priced: Priced) -> FloatArray:
        """What levels use of each promise."""
        # Rows without a promise are counted in the first place, which is left out.
        out = np.zeros(len(self) + 1)
        for kind, measure in self._kinds(priced):
            for begin in range(0, len(measure), BLOCK_ROWS):
                here = slice(begin, begin + BLOCK_ROWS)
                used = kind.factor[here] * measure[here]
                out += np.bincount(kind.promise[here] + 1, weights=used, minlength=len(out))
        return out[1:]

    def used_by_part(self, priced: Priced, pipelines: Pipelines) -> tuple[IntArray, IntArray, FloatArray]:
        """What each part uses: part, promise and amount, one entry per part x promise (sorted, summed)."""
        part = pipelines.part
        keys, amounts = [np.empty(0, np.int64)], [np.empty(0)]
        for kind, amount in self._kinds(priced):
            rows = np.flatnonzero(kind.promise >= 0)
            keys.append(part[rows] * len(self) + kind.promise[rows])
            amounts.append(kind.factor[rows] * amount[rows])
        unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        amount = np.bincount(inverse, weights=np.concatenate(amounts), minlength=len(unique))
        owner: IntArray = np.asarray(unique // max(len(self), 1), dtype=np.int64)
        promises: IntArray = np.asarray(unique % max(len(self), 1), dtype=np.int64)
        return owner, promises, np.asarray(amount, dtype=float)

    def worth(self, prices: FloatArray) -> Worth:
        """Worth of a backorder, a miss and lateness at every row, and of a piece, for given prices."""
        padded = np.r_[prices, 0.0]
        wait, miss, late = (
            padded[kind.promise] * kind.factor if kind.promise is not None else None
            for kind in self.kinds[:3]
        )
        cap = None if self.cap_promise is None else 1.0 + padded[self.cap_promise]
        return Worth(wait, miss, late, cap)

    def reached(self, used: FloatArray) -> FloatArray:
        """Use of the promises in their own measure: mean wait in days, share met, money."""
        with np.errstate(invalid="ignore", divide="ignore"):
            per_piece = used / self.table["demand_per_day"].to_numpy()
        measure = self.table["measure"].to_numpy()
        return np.where(
            measure == "money",
            used,
            np.where(measure == "mean_wait_days", per_piece, np.maximum(1 - per_piece, 0.0)),
        )

    def kept(self, used: FloatArray) -> NDArray[np.bool_]:
        """Which promises are kept."""
        return used <= self.allowed * (1 + KEPT_WITHIN)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Wait, miss, late and cap: promise and factor of every row."""
        return (
            Kind(self.wait_promise, self.wait_factor),
            Kind(self.miss_promise, self.miss_factor),
            Kind(self.late_promise, self.late_factor),
            Kind(self.cap_promise, self.cap_factor),
        )

    def _kinds(self, priced: Priced) -> Iterator[tuple[Any, NDArray[Any]]]:
        measures = (priced.ebo, priced.miss, priced.late, priced.levels)
        for kind, measure in zip(self.kinds, measures):
            if kind.promise is not None:
                yield kind, measure
