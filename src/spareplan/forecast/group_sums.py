"""Failures and sums of powers by part and group of machines: what hazard ratios are found from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.life_sums import Fitment, SharedSums
from spareplan.forecast.sparse import SHAPES

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class GroupSums(NamedTuple):
    """What was seen from new, by part and group of machines.

    Parameters
    ----------
    part, group : ndarray of int, shape (rows,)
        Sorted.
    failures : ndarray, shape (rows,)
    powers : ndarray, shape (rows, nodes)
    """

    part: IntArray
    group: IntArray
    failures: FloatArray
    powers: FloatArray


def group_sums(
    fitment: Fitment, shared: SharedSums, spells: pd.DataFrame, group: IntArray, groups: int
) -> GroupSums:
    """Sum failures and powers by part and group of machines, over what was seen from new.

    Parameters
    ----------
    fitment : Fitment
    shared : SharedSums
    spells : DataFrame
        part, machine, entry, exit, failed, count: of pairs with a record, seen from new.
    group : ndarray of int, shape (machines,)
    groups : int

    Returns
    -------
    GroupSums
    """
    product_of = np.zeros(groups, dtype=np.int64)
    product_of[group] = shared.product
    order = np.argsort(product_of, kind="stable")
    first = np.searchsorted(product_of[order], np.arange(len(fitment.products) + 1))
    size = np.diff(first)[fitment.product]
    row = np.repeat(np.arange(len(fitment.part)), size)
    at = order[first[fitment.product[row]] + np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)]
    own = spells["part"].to_numpy(np.int64), group[spells["machine"].to_numpy(np.int64)]
    key = np.concatenate(
        [
            fitment.part[row] * groups + at,
            fitment.touched_part * groups + group[fitment.touched_machine],
            own[0] * groups + own[1],
        ]
    )
    keys, place = np.unique(key, return_inverse=True)
    entry, exit_, count = (spells[name].to_numpy(float) for name in ("entry", "exit", "count"))
    powers = np.empty((len(keys), len(SHAPES)))
    for node, shape in enumerate(SHAPES):
        machine = shared.powers[:, node]
        values = np.concatenate(
            [
                fitment.lives[row] * np.bincount(group, machine, groups)[at],
                -fitment.touched_lives * machine[fitment.touched_machine],
                count * ((exit_ / shared.unit) ** shape - (entry / shared.unit) ** shape),
            ]
        )
        powers[:, node] = np.bincount(place, values, len(keys))
    failed = np.where(spells["failed"].to_numpy(bool), count, 0.0)
    failures = np.bincount(place[len(key) - len(spells) :], failed, len(keys)).astype(float)
    part, where = (column.astype(np.int64) for column in np.divmod(keys, groups))
    return GroupSums(part, where, failures, np.maximum(powers, 0.0))
