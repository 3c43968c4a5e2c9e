"""Pieces on machines older than the records: in classes of machines, weighed over the ages they may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.forecast.life_sums import AHEAD, Fitment, MachineClasses
from spareplan.forecast.open_starts import possible_ages
from spareplan.forecast.sparse import SHAPES

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


CHUNK_ROWS = 100_000


class ClassRows(NamedTuple):
    """Pieces without a record, by part and class of machines.

    Parameters
    ----------
    part, row : ndarray of int, shape (n,)
        Part, and class of machines; sorted by part.
    pieces : ndarray, shape (n,)
        Pieces or sets.
    """

    part: IntArray
    row: IntArray
    pieces: FloatArray


def class_rows(fitment: Fitment, classes: MachineClasses) -> ClassRows:
    """Join parts with the classes of their products' machines, less the machines with a record."""
    first = np.searchsorted(classes.product, np.arange(len(fitment.products) + 1))
    size = np.diff(first)[fitment.product]
    offset = np.cumsum(size) - size
    line = np.repeat(np.arange(len(fitment.part)), size)
    row = first[fitment.product[line]] + np.arange(len(line)) - offset[line]
    count = fitment.lives[line] * classes.machines[row]
    key = fitment.part * len(fitment.products) + fitment.product
    of_class = classes.of_machine[fitment.touched_machine]
    here = of_class >= 0
    touched_key = (fitment.touched_part * len(fitment.products) + fitment.touched_product)[here]
    order = np.argsort(key, kind="stable")
    found = order[np.searchsorted(key[order], touched_key)]
    at = offset[found] + of_class[here] - first[fitment.touched_product[here]]
    np.subtract.at(count, at, fitment.touched_lives[here])
    keep = count > 1e-9
    return ClassRows(fitment.part[line][keep], row[keep], count[keep])


def open_sums(
    rows: ClassRows,
    classes: MachineClasses,
    unit: float,
    shape: FloatArray,
    scale: FloatArray,
    planned: dict[int, tuple[FloatArray, float]],
) -> tuple[FloatArray, FloatArray]:
    """Sums of powers over pieces of unknown age, weighed by the law of their part.

    Parameters
    ----------
    rows : ClassRows
    classes : MachineClasses
    unit : float
    shape, scale : ndarray, shape (parts,)
        [-, hours or days]
    planned : dict
        Number of a part to its planned replacements by age bin, and the bin's width.

    Returns
    -------
    tuple of ndarray, shape (parts, nodes)
        Over the time watched, and over `AHEAD` more units of age of those in service.
    """
    out, ahead = np.zeros((len(shape), len(SHAPES))), np.zeros((len(shape), len(SHAPES)))
    for part, at, before, after, weight in weighed_rows(rows, classes, shape, scale, planned):
        grown = np.minimum(classes.seen[at] / classes.ahead[at], 1.0)[:, None]
        ended = before + (after - before) * grown
        running = classes.in_service[at]
        with np.errstate(divide="ignore"):
            logs = [np.log(age / unit) for age in (before, ended, after, after + AHEAD * unit)]
        for node, b in enumerate(SHAPES):
            low, high, now, then = (np.exp(b * log) for log in logs)
            out[:, node] += np.bincount(part, (weight * (high - low)).sum(axis=1), len(shape))
            coming = (weight * (then - now)).sum(axis=1) * running
            ahead[:, node] += np.bincount(part, coming, len(shape))
    return out, ahead


def weighed_rows(
    rows: ClassRows,
    classes: MachineClasses,
    shape: FloatArray,
    scale: FloatArray,
    planned: dict[int, tuple[FloatArray, float]],
) -> Iterator[tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]]:
    """Yield part, class, ages before and after the watch and weights (pieces), in chunks of rows."""
    bounded = np.isin(rows.part, list(planned)) if planned else np.zeros(len(rows.part), dtype=bool)
    free = np.flatnonzero(~bounded)
    pieces: list[tuple[IntArray, tuple[FloatArray, float] | None]] = [
        (free[low : low + CHUNK_ROWS], None) for low in range(0, len(free), CHUNK_ROWS)
    ]
    held = np.flatnonzero(bounded)
    cuts = np.flatnonzero(np.diff(rows.part[held])) + 1
    pieces += [(some, planned[int(rows.part[some[0]])]) for some in np.split(held, cuts) if len(some)]
    for some, work in pieces:
        part, at = rows.part[some], rows.row[some]
        before, after, weight = possible_ages(
            classes.start[at], classes.ahead[at], shape[part], scale[part], *(work or ())
        )
        yield part, at, before, after, weight * rows.pieces[some][:, None]
