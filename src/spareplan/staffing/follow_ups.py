"""Whether second visits stand in the records as orders of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.staffing.visits import KINDS, note, visits_per_order

FloatArray = NDArray[np.float64]
WITHIN_DAYS = 30.0
_LEAST_FAILED = 20
# Standard errors by which failed visits must be followed more often than others.
_CLEAR = 3.0


def recorded_follow_ups(past: pd.DataFrame, notes: list[dict[str, Any]]) -> float:
    """Share of the further visits that stand in the records as orders of their own.

    Parameters
    ----------
    past : DataFrame
        unit_id, kind, opened_at, outcome.
    notes : list of dict
        Gets a row of an assumptions table.

    Returns
    -------
    float
        0: an order is a row, whatever visits it takes; 1: every visit is a row.

    Notes
    -----
    A visit that mended nothing is followed by another. If those visits are orders, such an order is followed
    within 30 days by one of the same machine and kind more often than one that was fixed is; what lies above
    chance is the share sought. It counts only where it is clear (three standard errors, 20 failed visits).
    """
    known = past[past["unit_id"].notna() & past["outcome"].notna()]
    rows = past[past["unit_id"].notna()].sort_values(["unit_id", "kind", "opened_at"], kind="stable")
    after = rows.groupby(["unit_id", "kind"])["opened_at"].shift(-1)
    soon = (after - rows["opened_at"]).dt.total_seconds() <= WITHIN_DAYS * 86_400.0
    soon = soon.reindex(known.index)
    failed = known["outcome"] != "fixed"
    count, others = int(failed.sum()), int((~failed).sum())
    share = 0.0
    if count >= _LEAST_FAILED and others:
        often, usual = float(soon[failed].mean()), float(soon[~failed].mean())
        error = np.sqrt(max(usual * (1.0 - usual), 1e-4) * (1.0 / count + 1.0 / others))
        if often - usual > _CLEAR * error:
            share = float(np.clip((often - usual) / (1.0 - usual), 0.0, 1.0))
    notes.append(
        note(
            "follow_ups_recorded",
            round(share, 2),
            "share",
            "estimated from work_orders.outcome" if share else "default",
            "further visits that are orders of their own in the records, so that they are not counted twice"
            if share
            else "a recorded order is one order, whatever visits it takes",
        )
    )
    return share


def rows_per_order(
    share: float, past: pd.DataFrame, regions: pd.Index, again: FloatArray
) -> dict[str, FloatArray]:
    """Recorded rows per order.

    Parameters
    ----------
    share : float
        Of `recorded_follow_ups`.
    past : DataFrame
        kind, outcome.
    regions : Index
        R region ids.
    again : ndarray, shape (R,)
        Share of the visits made with the part that do not mend.

    Returns
    -------
    dict of str to ndarray, shape (R,)
        By kind: 1 + share x (visits per order - 1).
    """
    ends = past[past["outcome"].notna()]
    out = {}
    for kind in KINDS:
        if kind == "inspection":
            # They are counted against those due.
            out[kind] = np.ones(len(regions))
            continue
        own = ends[ends["kind"] == kind]
        lost = float((own["outcome"] == "part_missing").mean()) if len(own) else 0.0
        out[kind] = 1.0 + share * (visits_per_order(share, lost, again) - 1.0)
    return out
