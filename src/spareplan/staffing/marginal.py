"""What one engineer more buys in each region."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.units import MONTHS_PER_YEAR
from spareplan.staffing.congestion import RegionRows
from spareplan.staffing.resolution import Repairs
from spareplan.staffing.sizing import ALL_DAY, Phases, Promises, promises_kept

FloatArray = NDArray[np.float64]


def one_more_engineer(
    regions: pd.Index,
    rows: RegionRows,
    promises: Promises,
    orders: FloatArray,
    present: FloatArray,
    annual_cost: FloatArray,
    repairs: Repairs | None = None,
    phases: Phases = ALL_DAY,
    duty: float = 1.0,
    names: tuple[str, ...] = ("P1", "P2", "P3", "P4"),
) -> pd.DataFrame:
    """Orders kept more per year by one standard engineer more, and what each of them costs.

    Parameters
    ----------
    regions : Index
        R region ids.
    rows : RegionRows
        R * M region-months, region by region.
    promises : Promises
    orders : ndarray, shape (R * M, K)
        Orders of each region-month. [orders]
    present : ndarray, shape (R,) or (R * M,)
        Standard engineers there now. [people]
    annual_cost : ndarray, shape (R,)
        Of one engineer. [money/year]
    repairs : Repairs, optional
        None: response only.
    phases : Phases
    duty : float
        Part of the covered hours that one engineer is on duty.
    names : tuple of str
        Of the K classes.

    Returns
    -------
    DataFrame
        A row per region, cheapest order first: region_id, engineers (present, mean over the months) [people],
        worst_priority (farthest below its target today), worst_now, worst_then (its share kept), kept_now,
        kept_then (share of all orders with a promise), orders_more_per_year, annual_cost, money_per_order
        [money/order; NaN where none is kept more], reason.

    Raises
    ------
    DataError
        Counts, orders or costs that are negative or missing, or of the wrong shape.

    Notes
    -----
    An order is kept if its response and its solution are; of the two shares the lower one counts, which is
    exact where who waits too long is also solved too late. A fraction on duty means that now and then there
    is one more.
    """
    count = len(regions)
    periods = len(rows.place) // max(count, 1)
    heads = np.asarray(present, dtype=float)
    heads = np.repeat(heads, periods) if heads.shape == (count,) and periods != 1 else heads
    wanted = {
        "present": (heads, (count * periods,)),
        "annual_cost": (np.asarray(annual_cost, dtype=float), (count,)),
        "orders": (np.asarray(orders, dtype=float), rows.rates.shape),
    }
    for name, (value, shape) in wanted.items():
        if value.shape != shape or not (np.isfinite(value) & (value >= 0)).all():
            raise problem_in_argument(
                "one_more_engineer", name, value.shape, f"holds {shape} numbers from 0 on", "correct them"
            )
    now = _kept(heads * duty, rows, promises, repairs, phases)
    then = _kept((heads + 1.0) * duty, rows, promises, repairs, phases)
    weights = np.where(np.isnan(now), 0.0, wanted["orders"][0]).reshape(count, periods, -1)
    by_class = weights.sum(axis=1)
    safe = np.maximum(by_class, 1e-300)
    shape = (count, periods, -1)
    own_now, own_then = (
        (weights * np.nan_to_num(part).reshape(shape)).sum(axis=1) / safe for part in (now, then)
    )
    below = np.where(by_class > 0, promises.target - own_now, -np.inf)
    worst = below.argmax(axis=1)
    each = np.arange(count)
    total = np.maximum(by_class.sum(axis=1), 1e-300)
    all_now, all_then = ((by_class * part).sum(axis=1) / total for part in (own_now, own_then))
    more = (by_class * (own_then - own_now)).sum(axis=1) * MONTHS_PER_YEAR / max(periods, 1)
    quiet = by_class.sum(axis=1) <= 0
    cost = wanted["annual_cost"][0]
    out = pd.DataFrame(
        {
            "region_id": regions,
            "engineers": heads.reshape(count, -1).mean(axis=1),
            "worst_priority": np.where(quiet, "", np.array(names, dtype=object)[worst]),
            "worst_now": np.where(quiet, np.nan, own_now[each, worst]),
            "worst_then": np.where(quiet, np.nan, own_then[each, worst]),
            "kept_now": np.where(quiet, np.nan, all_now),
            "kept_then": np.where(quiet, np.nan, all_then),
            "orders_more_per_year": more,
            "annual_cost": cost,
            # Less than one order in ten years is nothing that money buys.
            "money_per_order": np.where(more >= 0.1, cost / np.maximum(more, 1e-300), np.nan),
        }
    )
    out["reason"] = [_sentence(row) for row in out.to_dict("records")]
    return out.sort_values(["money_per_order", "region_id"], na_position="last", ignore_index=True)


def _kept(
    posts: FloatArray, rows: RegionRows, promises: Promises, repairs: Repairs | None, phases: Phases
) -> FloatArray:
    """Share of orders kept per row and class; NaN without any promise."""
    low = np.floor(posts + 1e-9).astype(np.int64)
    part = np.clip(posts - low, 0.0, 1.0)[:, None]
    shares = []
    for servers in (low, low + 1):
        kept = promises_kept(rows, servers, promises, repairs, phases)
        shares.append(np.fmin(kept.respond, kept.resolve))
    return np.asarray((1.0 - part) * shares[0] + part * shares[1])


def _sentence(row: dict[Any, Any]) -> str:
    if np.isnan(row["kept_now"]):
        return "no orders with a promise"
    text = (
        f"{row['kept_now']:.1%} of orders kept today, {row['kept_then']:.1%} with one more; "
        f"{row['worst_priority']} {row['worst_now']:.1%} to {row['worst_then']:.1%}"
    )
    if np.isnan(row["money_per_order"]):
        return text + "; no order more to be kept by people"
    return text + f"; {row['orders_more_per_year']:.0f} orders a year"
