"""Age histograms of a part's pieces in the field, made from those of the machines it is fitted to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.exposure import FleetHistory
from spareplan.forecast.life_sums import Fitment
from spareplan.forecast.lives import ClockSide, PartLives
from spareplan.forecast.machines import Ages, age_grid, cells_of, histogram
from spareplan.forecast.open_starts import possible_ages

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class FieldAges:
    """Machines in service on one clock, by cell and age, ready to be read part by part.

    Parameters
    ----------
    fleet : FleetHistory
    lives : PartLives
    clock : {"hours", "days"}
    month : float
        Use of a typical month. [hours or days]

    Attributes
    ----------
    cells : DataFrame
        product_id, site_id, region, curve, use_class of each cell.
    grid : ndarray, shape (ages,)
        [hours or days]
    """

    def __init__(self, fleet: FleetHistory, lives: PartLives, clock: str, month: float) -> None:
        self._fitment, self._lives, self._side = lives.fitment, lives, lives.sides[clock]
        ages = fleet.machines.ages[clock]
        running = fleet.machines.table["in_service"].to_numpy(bool)
        self.cells, cell = cells_of(fleet.machines, clock)
        oldest = float(ages.stop.max(initial=month))
        self.grid = age_grid(max(oldest, month), month)
        here = running & ~ages.open
        self._new = histogram(cell[here], ages.stop[here], np.ones(here.sum()), len(self.cells), self.grid)
        products = self._fitment.products
        of_cell = products.get_indexer(pd.Index(self.cells["product_id"]))
        self._cells_at = np.searchsorted(of_cell, np.arange(len(products) + 1))
        classes = self._side.shared.open
        self._class_at = np.searchsorted(classes.product, np.arange(len(products) + 1))
        old = np.flatnonzero(running & ages.open)
        self._old = [
            self._count(cell[rows], classes.of_machine[rows], product)
            for product, rows in enumerate(_split(self._side.shared.product[old], old, len(products)))
        ]
        self._touched = _Touched.of(self._fitment, ages, running, cell, classes.of_machine)
        self._rows = _Rows.of(self._side, self._fitment, cell)
        self._fitted_at = np.searchsorted(self._fitment.part, np.arange(len(self._fitment.parts) + 1))
        self._pieces = fleet.fitted["pieces"].to_numpy(float)

    def _count(self, cell: IntArray, row: IntArray, product: int) -> FloatArray:
        """Machines by cell and class of one product."""
        c, r = cell - self._cells_at[product], row - self._class_at[product]
        size = (
            self._cells_at[product + 1] - self._cells_at[product],
            self._class_at[product + 1] - self._class_at[product],
        )
        flat = np.bincount(c * size[1] + r, minlength=size[0] * size[1]).astype(float)
        return flat.reshape(size)

    def of_part(self, part: int) -> tuple[IntArray, FloatArray, FloatArray]:
        """Pieces of one part in service.

        Parameters
        ----------
        part : int
            Its number.

        Returns
        -------
        tuple of ndarray
            Cells, shape (cells,), histogram, shape (cells, ages) [pieces or sets], and pieces per renewal,
            shape (cells,).
        """
        fitted = range(self._fitted_at[part], self._fitted_at[part + 1])
        cells, out, pieces = [], [], []
        for row in fitted:
            product = int(self._fitment.product[row])
            low, high = self._cells_at[product], self._cells_at[product + 1]
            if low == high:
                continue
            cells.append(np.arange(low, high))
            out.append(self._of_product(part, product, float(self._fitment.lives[row])))
            pieces.append(np.full(high - low, self._pieces[row]))
        if not cells:
            return np.empty(0, np.int64), np.empty((0, len(self.grid))), np.empty(0)
        where, held = np.concatenate(cells), np.concatenate(out)
        own = self._rows.of_part(part)
        local = np.searchsorted(where, own[0]) if (np.diff(where) > 0).all() else _find(where, own[0])
        held += histogram(local, own[1], own[2], len(where), self.grid)
        return where, np.maximum(held, 0.0), np.concatenate(pieces)

    def _of_product(self, part: int, product: int, lives: float) -> FloatArray:
        """Pieces without a record on the machines of one product."""
        low = self._cells_at[product]
        size = self._cells_at[product + 1] - low
        out = lives * self._new[low : low + size]
        gone = self._touched.of_part(part, product)
        new = gone.row < 0
        if new.any():
            own = (gone.cell[new] - low, gone.age[new], gone.lives[new])
            out = out - histogram(*own, int(size), self.grid)
        repaired = self._lives.lifetimes["kind"].to_numpy()[part] == "repaired"
        count = lives * self._old[product]
        if not count.size:
            return out
        first = self._class_at[product]
        np.subtract.at(count, (gone.cell[~new] - low, gone.row[~new] - first), gone.lives[~new])
        classes = self._side.shared.open
        at = np.flatnonzero(count.sum(axis=0) > 1e-9)
        if not len(at):
            return out
        start, ahead = classes.start[first + at], classes.ahead[first + at]
        if repaired:
            after, weight = (start + ahead)[:, None], np.ones((len(at), 1))
        else:
            shape, scale = (np.full(len(at), values[part]) for values in self._lives.point)
            work = self._lives.planned.get(part, ())
            _, after, weight = possible_ages(start, ahead, shape, scale, *work)
        row = np.repeat(np.arange(len(at)), after.shape[1])
        spread = histogram(row, after.ravel(), weight.ravel(), len(at), self.grid)
        return out + np.maximum(count[:, at], 0.0) @ spread


class _Touched(NamedTuple):
    """Machines in service on which a part has a record, sorted by part and product."""

    key: IntArray
    products: int
    cell: IntArray
    age: FloatArray
    lives: FloatArray
    row: IntArray

    @classmethod
    def of(
        cls, fitment: Fitment, ages: Ages, running: NDArray[np.bool_], cell: IntArray, row: IntArray
    ) -> _Touched:
        machine = fitment.touched_machine
        products = len(fitment.products)
        key = fitment.touched_part * products + fitment.touched_product
        order = np.argsort(key, kind="stable")
        order = order[running[machine[order]]]
        at = machine[order]
        return cls(key[order], products, cell[at], ages.stop[at], fitment.touched_lives[order], row[at])

    def of_part(self, part: int, product: int) -> _Touched:
        wanted = part * self.products + product
        low, high = np.searchsorted(self.key, [wanted, wanted + 1])
        some = slice(low, high)
        return _Touched(
            self.key[some], self.products, self.cell[some], self.age[some], self.lives[some], self.row[some]
        )


class _Rows(NamedTuple):
    """Pieces with a record that are in service, sorted by part."""

    at: IntArray
    cell: IntArray
    age: FloatArray
    pieces: FloatArray

    @classmethod
    def of(cls, side: ClockSide, fitment: Fitment, cell: IntArray) -> _Rows:
        alive = side.spells[side.spells["in_service"].to_numpy(bool)]
        part = alive["part"].to_numpy(np.int64)
        order = np.argsort(part, kind="stable")
        age = alive["age"] if "age" in alive else alive["exit"]
        return cls(
            np.searchsorted(part[order], np.arange(len(fitment.parts) + 1)),
            cell[alive["machine"].to_numpy(np.int64)[order]],
            age.to_numpy(float)[order],
            alive["count"].to_numpy(float)[order],
        )

    def of_part(self, part: int) -> tuple[IntArray, FloatArray, FloatArray]:
        some = slice(self.at[part], self.at[part + 1])
        return self.cell[some], self.age[some], self.pieces[some]


def _split(product: IntArray, rows: IntArray, products: int) -> list[IntArray]:
    order = np.argsort(product, kind="stable")
    cuts = np.searchsorted(product[order], np.arange(1, products))
    return np.split(rows[order], cuts)


def _find(where: IntArray, cell: IntArray) -> IntArray:
    return np.asarray(pd.Index(where).get_indexer(pd.Index(cell)))
