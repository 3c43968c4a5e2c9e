"""The same failures told in two ways: as renewals of the piece, or as instants in the life of its machine."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def comparable_spells(
    renewed: pd.DataFrame, repaired: pd.DataFrame, single: NDArray[np.bool_]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut both tellings to what both can explain, on machines older than the records too.

    Parameters
    ----------
    renewed, repaired : DataFrame
        part, machine, entry, exit, failed, open [, ...]: spells of pieces; and of machines, where every
        failure is an instant that ends at the machine's age. No planned replacement among them.
    single : ndarray of bool, shape (parts,)
        Parts of which every machine carries one.

    Returns
    -------
    tuple of DataFrame
        Rows of both that remain, those of `repaired` with a later entry where needed.

    Notes
    -----
    The age of the piece that a machine carries when the records begin is not known. From its first failure on
    it is, under either telling, and given that failure both are complete. So such a pair of part and machine
    is followed from its first failure; a pair without one is left out, and so is one with several pieces,
    since the first failure tells the age of one of them only.
    """
    pair = {
        name: pd.MultiIndex.from_frame(frame[["part", "machine"]])
        for name, frame in (("renewed", renewed), ("repaired", repaired))
    }
    unknown = renewed["open"].to_numpy(bool)
    cut = {name: keys.isin(pair["renewed"][unknown].unique()) for name, keys in pair.items()}
    alone = single[repaired["part"].to_numpy()]
    # Age of the machine at the first failure of each pair; NaN where it has none.
    failed = repaired["failed"].to_numpy(bool)
    first = repaired["exit"].where(failed).groupby([repaired["part"], repaired["machine"]]).transform("min")
    begin = first.to_numpy(float)
    later = np.where(failed, repaired["exit"].to_numpy(float) > begin, True)
    kept = ~cut["repaired"] | (alone & ~np.isnan(begin) & later)
    entry = repaired["entry"].to_numpy(float)
    entry = np.where(cut["repaired"] & ~failed, np.fmax(entry, begin), entry)
    kept &= entry < repaired["exit"].to_numpy(float)
    known = ~unknown & (~cut["renewed"] | single[renewed["part"].to_numpy()])
    return renewed[known], repaired.assign(entry=entry)[kept]
