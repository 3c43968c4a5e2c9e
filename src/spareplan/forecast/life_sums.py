"""What all pieces of all parts lived through, as sums: what empirical Bayes needs to know, and no row more.

A piece without a record is as old as its machine, so the sums over such pieces are the machines' own, taken
once per product and region, less the machines on which the part has a record. The work grows with machines,
records and fitted parts, not with their product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.exposure import FleetHistory
from spareplan.forecast.machines import SHORTEST_LIFE_DAYS, Ages, Machines
from spareplan.forecast.sparse import SHAPES
from spareplan.maths.units import DAYS_PER_YEAR

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# More machines of a product than this are put into classes this wide (in ln age).
MOST_ROWS, CLASS_WIDTH = 128, 0.04
LEAST_UNIT_YEARS = 4.0
# A law for tables expects as many failures as the whole posterior over so many units ahead.
AHEAD = 0.3


class LifeSums(NamedTuple):
    """Sums of each part.

    Parameters
    ----------
    failures, planned : ndarray, shape (parts,)
        Lives that ended so. [pieces or sets]
    log_age : ndarray, shape (parts,)
        Sum of ln(age / unit) over the failures.
    powers : ndarray, shape (parts, nodes)
        Sum of (exit^beta - entry^beta) / unit^beta at every shape of `sparse.SHAPES`.
    time : ndarray, shape (parts,)
        Use that was watched. [hours or days]
    alive : ndarray, shape (parts,)
        Lives that had not ended in a failure. [pieces or sets]
    """

    failures: FloatArray
    planned: FloatArray
    log_age: FloatArray
    powers: FloatArray
    time: FloatArray
    alive: FloatArray

    def plus(self, other: LifeSums) -> LifeSums:
        """Add two disjoint sets of lives."""
        return LifeSums(*(one + two for one, two in zip(self, other)))


class MachineClasses(NamedTuple):
    """Machines of a product that look alike: either all watched from new, or all older than the records.

    Parameters
    ----------
    product : ndarray of int, shape (classes,)
        Sorted numbers of the products.
    start, ahead, seen : ndarray, shape (classes,)
        Age of the machine when the records begin, how long it has been watched since, and for how long its
        failures are reported. [hours or days]
    in_service : ndarray of bool, shape (classes,)
    machines : ndarray, shape (classes,)
        How many.
    of_machine : ndarray of int, shape (machines,)
        Class of each machine, -1 where it is of the other kind.
    """

    product: IntArray
    start: FloatArray
    ahead: FloatArray
    seen: FloatArray
    in_service: NDArray[np.bool_]
    machines: FloatArray
    of_machine: IntArray


class SharedSums(NamedTuple):
    """Sums over machines on one clock that all parts of a product share.

    Parameters
    ----------
    unit : float
        Age that counts as 1 in powers. [hours or days]
    product : ndarray of int, shape (machines,)
    powers : ndarray, shape (machines, nodes)
        Of machines watched from new; 0 for the others.
    whole : ndarray, shape (machines, nodes)
        Of all machines, as if they carried their first pieces: for assemblies that are repaired.
    time : ndarray, shape (machines,)
        [hours or days]
    closed, open : MachineClasses
        Machines watched from new, and those older than the records.
    """

    unit: float
    product: IntArray
    powers: FloatArray
    whole: FloatArray
    time: FloatArray
    closed: MachineClasses
    open: MachineClasses


class Fitment(NamedTuple):
    """Which part is on which product, in numbers.

    Parameters
    ----------
    parts, products : Index
    part, product : ndarray of int, shape (rows,)
        A row per fitted part and product, sorted by part.
    lives : ndarray, shape (rows,)
        Pieces or sets that are followed on each machine.
    touched_part, touched_product, touched_machine, touched_lives : ndarray, shape (pairs,)
        Pairs of part and machine with a record of their own.
    """

    parts: pd.Index
    products: pd.Index
    part: IntArray
    product: IntArray
    lives: FloatArray
    touched_part: IntArray
    touched_product: IntArray
    touched_machine: IntArray
    touched_lives: FloatArray


def fitment_numbers(fleet: FleetHistory) -> Fitment:
    """Number parts and products of a fleet."""
    fitted, touched = fleet.fitted, fleet.touched
    parts = fleet.parts
    every = np.concatenate([fitted["product_id"].to_numpy(object), fleet.machines.table["product_id"]])
    products = pd.Index(np.unique(every.astype(object)))
    return Fitment(
        parts,
        products,
        fitted["part"].to_numpy(np.int64),
        products.get_indexer(pd.Index(fitted["product_id"])),
        fitted["lives"].to_numpy(float),
        touched["part"].to_numpy(np.int64),
        products.get_indexer(pd.Index(touched["product_id"])),
        touched["machine"].to_numpy(np.int64),
        touched["lives"].to_numpy(float),
    )


def shared_sums(machines: Machines, fitment: Fitment, clock: str) -> SharedSums:
    """Sum powers of the machines' ages on one clock.

    Parameters
    ----------
    machines : Machines
    fitment : Fitment
    clock : {"hours", "days"}

    Returns
    -------
    SharedSums
    """
    ages = machines.ages[clock]
    end = ages.watched.mean(axis=1)
    # A typical age, of some years at least: where next to nothing was seen lives of a day are no first guess.
    unit = 1.0
    if len(machines):
        per_day = float(np.median(ages.shortest)) / SHORTEST_LIFE_DAYS
        typical = float(np.exp(np.log(np.maximum(end, ages.shortest)).mean()))
        unit = max(typical, LEAST_UNIT_YEARS * DAYS_PER_YEAR * per_day)
    whole = np.zeros((len(machines), len(SHAPES)))
    with np.errstate(divide="ignore"):
        log_end, log_start = np.log(ages.watched / unit), np.log(ages.start / unit)
    for node, shape in enumerate(SHAPES):
        whole[:, node] = np.exp(shape * log_end).mean(axis=1) - np.exp(shape * log_start)
    product = fitment.products.get_indexer(pd.Index(machines.table["product_id"]))
    closed, running = ~ages.open, machines.table["in_service"].to_numpy(bool)
    return SharedSums(
        unit,
        product,
        np.where(closed[:, None], whole, 0.0),
        np.maximum(whole, 0.0),
        end - ages.start,
        _classes(ages, product, running, closed),
        _classes(ages, product, running, ~closed),
    )


def _classes(
    ages: Ages, product: IntArray, in_service: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> MachineClasses:
    at = np.flatnonzero(chosen)
    start, ahead = ages.start[at], np.maximum(ages.stop[at] - ages.start[at], ages.shortest[at])
    seen = np.maximum(ages.watched[at].mean(axis=1) - ages.start[at], 1e-9 * ahead)
    many = np.bincount(product[at], minlength=int(product.max(initial=0)) + 1)[product[at]] > MOST_ROWS
    keys = np.column_stack(
        [
            product[at].astype(float),
            in_service[at],
            np.where(many, np.round(np.log(np.maximum(start, 1e-9)) / CLASS_WIDTH), start),
            np.where(many, np.round(np.log(ahead) / CLASS_WIDTH), ahead),
        ]
    )
    classes, number = np.unique(keys, axis=0, return_inverse=True)
    number = number.ravel()
    count = np.bincount(number, minlength=len(classes)).astype(float)

    def mean(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(number, values, len(classes)) / np.maximum(count, 1.0))

    of_machine = np.full(len(product), -1, dtype=np.int64)
    of_machine[at] = number
    return MachineClasses(
        classes[:, 0].astype(np.int64),
        mean(start),
        mean(ahead),
        mean(seen),
        classes[:, 1] > 0,
        count,
        of_machine,
    )


def untouched(fitment: Fitment, shared: SharedSums, columns: FloatArray) -> FloatArray:
    """Sum machine values over the pieces of each part that have no record.

    Parameters
    ----------
    fitment : Fitment
    shared : SharedSums
    columns : ndarray, shape (machines, columns)
        One piece's values on each machine, none negative.

    Returns
    -------
    ndarray, shape (parts, columns)
    """
    parts, products = len(fitment.parts), len(fitment.products)
    out = np.zeros((parts, columns.shape[1]))
    for number in range(columns.shape[1]):
        of_product = np.bincount(shared.product, columns[:, number], products)
        total = np.bincount(fitment.part, fitment.lives * of_product[fitment.product], parts)
        own = np.bincount(
            fitment.touched_part, fitment.touched_lives * columns[fitment.touched_machine, number], parts
        )
        # What is left when all machines are taken off is rounding.
        out[:, number] = np.where(total - own > 1e-9 * total, total - own, 0.0)
    return out


def untouched_sums(fitment: Fitment, shared: SharedSums, repaired: bool = False) -> LifeSums:
    """Sums over pieces without a record: those watched from new, or all where assemblies are repaired.

    Parameters
    ----------
    fitment : Fitment
    shared : SharedSums
    repaired : bool

    Returns
    -------
    LifeSums
        `time` and `alive` are of all pieces without a record, whether watched from new or not.
    """
    source = shared.whole if repaired else shared.powers
    out = untouched(fitment, shared, np.column_stack([source, shared.time, np.ones(len(shared.time))]))
    nothing = np.zeros(len(out))
    return LifeSums(nothing, nothing, nothing, out[:, :-2], out[:, -2], out[:, -1])


def ahead_sums(fitment: Fitment, shared: SharedSums, ages: Ages, running: NDArray[np.bool_]) -> FloatArray:
    """Sums of powers over `AHEAD` more units of age, of pieces without a record watched from new.

    Parameters
    ----------
    fitment : Fitment
    shared : SharedSums
    ages : Ages
    running : ndarray of bool, shape (machines,)
        In service.

    Returns
    -------
    ndarray, shape (parts, nodes)
    """
    now = np.where(running & ~ages.open, ages.stop / shared.unit, np.nan)
    columns = np.column_stack([(now + AHEAD) ** b - now**b for b in SHAPES])
    return untouched(fitment, shared, np.nan_to_num(columns))


def spell_sums(spells: pd.DataFrame, parts: int, unit: float) -> LifeSums:
    """Sums over listed spells.

    Parameters
    ----------
    spells : DataFrame
        part, entry, exit, failed, planned, count.
    parts : int
        How many.
    unit : float
        [hours or days]

    Returns
    -------
    LifeSums
    """
    row = spells["part"].to_numpy(np.int64)
    entry, exit_, count = (spells[name].to_numpy(float) for name in ("entry", "exit", "count"))
    failed, planned = (spells[name].to_numpy(bool) for name in ("failed", "planned"))

    def total(values: FloatArray) -> FloatArray:
        return np.bincount(row, values, parts).astype(float)

    with np.errstate(divide="ignore"):
        log_exit, log_entry = np.log(exit_ / unit), np.log(entry / unit)
    powers = np.column_stack(
        [total(count * (np.exp(shape * log_exit) - np.exp(shape * log_entry))) for shape in SHAPES]
    )
    return LifeSums(
        total(count * failed),
        total(count * planned),
        total(np.where(failed, count * log_exit, 0.0)),
        powers,
        total(count * (exit_ - entry)),
        total(count * ~failed),
    )
