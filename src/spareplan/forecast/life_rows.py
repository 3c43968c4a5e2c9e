"""Lives as rows: weighted spells of pieces with a record, without one, and of unknown age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.life_sums import AHEAD, Fitment, SharedSums
from spareplan.forecast.open_starts import weigh_open_starts
from spareplan.forecast.sparse import SHAPES
from spareplan.forecast.unknown_ages import ClassRows, class_rows

FloatArray = NDArray[np.float64]
PlannedRates = dict[int, tuple[FloatArray, float]]


@dataclass(frozen=True)
class ClockSide:
    """Everything on one clock.

    Parameters
    ----------
    parts : ndarray of bool, shape (parts,)
        Which parts count their ages on this clock.
    shared : SharedSums
    spells : DataFrame
        Of pairs with a record; those that began before the records are spread over possible ages.
    open : ClassRows
        Pieces without a record on machines older than the records.
    """

    parts: NDArray[np.bool_]
    shared: SharedSums
    spells: pd.DataFrame
    open: ClassRows


def class_spells(fitment: Fitment, side: SharedSums, chosen: NDArray[np.bool_]) -> pd.DataFrame:
    """Pieces without a record that are watched from new, as weighted spells."""
    rows = chosen_rows(class_rows(fitment, side.closed), chosen)
    return pd.DataFrame(
        {
            "part": rows.part,
            "entry": 0.0,
            "exit": side.closed.seen[rows.row],
            "failed": False,
            "planned": False,
            "count": rows.pieces,
            "open": False,
        }
    )


def chosen_rows(rows: ClassRows, parts: NDArray[np.bool_]) -> ClassRows:
    """Rows of some parts."""
    keep = parts[rows.part]
    return ClassRows(rows.part[keep], rows.row[keep], rows.pieces[keep])


def with_planned(rows: pd.DataFrame) -> NDArray[np.int64]:
    """Numbers of the parts that have planned replacements."""
    return np.unique(rows["part"].to_numpy(np.int64)[rows["planned"].to_numpy(bool)])


def weigh_open(
    spells: pd.DataFrame, shape: FloatArray, scale: FloatArray, planned: PlannedRates
) -> pd.DataFrame:
    """Weigh the ages of pieces from before the records, part by part where planned work bounds them."""
    opened = spells["open"].to_numpy(bool)
    rows = spells[opened].reset_index(drop=True)
    number = rows["part"].to_numpy(np.int64)
    plain = ~np.isin(number, list(planned))
    out = [spells[~opened], weigh_open_starts(rows[plain], shape[number[plain]], scale[number[plain]])]
    for part in np.unique(number[~plain]):
        mine = number == part
        law = (np.full(mine.sum(), shape[part]), np.full(mine.sum(), scale[part]))
        out.append(weigh_open_starts(rows[mine], *law, *planned[int(part)]))
    return pd.concat([frame for frame in out if len(frame)] or out[:1], ignore_index=True)


def seen_rows(
    fitment: Fitment,
    shared: Mapping[str, SharedSums],
    raw: Mapping[str, pd.DataFrame],
    on: Mapping[str, NDArray[np.bool_]],
) -> pd.DataFrame:
    """Spells seen from new, as rows, of parts that have planned replacements."""
    rows = []
    for name, side in shared.items():
        spells = raw[name][~raw[name]["open"].to_numpy(bool)]
        work = np.zeros(len(fitment.parts), dtype=bool)
        work[with_planned(raw[name])] = True
        rows += [
            spells[work[spells["part"].to_numpy()]],
            class_spells(fitment, side, work & on[name]),
        ]
    return pd.concat(rows, ignore_index=True)


def spells_ahead(spells: pd.DataFrame, parts: int, unit: float) -> FloatArray:
    """Sums of powers over `AHEAD` more units of age of the pieces in service, shape (parts, nodes)."""
    alive = spells[spells["in_service"].to_numpy(bool)]
    row = alive["part"].to_numpy(np.int64)
    now, count = alive["exit"].to_numpy(float) / unit, alive["count"].to_numpy(float)
    return np.column_stack([np.bincount(row, count * ((now + AHEAD) ** b - now**b), parts) for b in SHAPES])
