"""Found levels as the published tables: levels with reasons, service, shadow prices, summary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.stocking._forest import Forest
from spareplan.stocking.echelons import EVALUATIONS, evaluation_codes
from spareplan.stocking.finding import Found
from spareplan.stocking.pipelines import MODELS, Pipelines
from spareplan.stocking.pricing import Priced
from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Beyond this many rows the reason names the site's rule only: a sentence per row would fill the memory.
SENTENCE_ROWS = 3_000_000
# What "a point" of a promise is: a hundredth of a share, a tenth of a day; for a cap a unit of money.
WAIT_POINT = 0.1
POINT_WORDS = {
    "fill_rate": "0.01 of fill rate more",
    "in_window": "0.01 within the window more",
    "mean_wait_days": "0.1 day of mean wait less",
    "money": "1 of the cap less",
}
# Sentences that are made together.
BLOCK_ROWS = 1 << 16
KINDS_OF_REASON = [
    "no piece pays for itself here at the promised service",
    "the last piece pays for itself, one more would not",
    "the floor of this level",
    "fixed by hand",
]


def level_table(forest: Forest, pipelines: Pipelines, promises: Promises, found: Found) -> pd.DataFrame:
    """Levels of every part x site, as `StockLevels.table`.

    Parameters
    ----------
    forest, pipelines, promises, found
        Rows of `pipelines` and what was found for them.

    Returns
    -------
    DataFrame
        Sorted by part and site as in the forest. Beyond `SENTENCE_ROWS` rows, ids and words are categories
        of the same values, and the reasons are the rule without the numbers.
    """
    back = _forest_order(pipelines)
    state = found.state
    levels = found.levels[back]
    demand = pipelines.demand[back]
    quantity = np.ones(len(levels), dtype=np.int64)
    quantity[pipelines.starts[:-1]] = pipelines.batch
    quantity = quantity[back]
    names = {number: name for name, number in MODELS.items()}
    # Under "exact" some parts are evaluated by two moments; no other method mixes.
    method = names[int(pipelines.model.min(initial=max(names)))]
    codes = evaluation_codes(replace(forest, least=levels - quantity + 1, most=levels), method)
    nothing = np.zeros(len(levels), dtype=np.int8)
    with np.errstate(invalid="ignore", divide="ignore"):
        wait = np.where(demand > 0, state.ebo[back] / demand, np.nan)
    # Taken as they are: a frame that copies its columns would need twice the memory for a moment.
    return pd.DataFrame(
        {
            "part_id": _labels(forest.part, forest.part_ids),
            "site_id": _labels(forest.site, forest.site_ids),
            "region_id": _labels(nothing - 1, pd.Index([], dtype=object)),
            "base_stock": levels,
            "reorder_point": levels - quantity,
            "order_quantity": quantity,
            "demand_per_day": demand,
            "ebo": state.ebo[back],
            "fill_rate": np.where(demand > 0, np.maximum(1 - state.miss[back], 0.0), np.nan),
            "mean_wait_days": wait,
            "in_window": np.full(len(levels), np.nan),
            "value": levels * pipelines.row_cost[back],
            "planner": _labels(nothing, pd.Index([""])),
            "evaluation": _labels(codes, pd.Index(EVALUATIONS, dtype=object)),
            "reason": reasons(forest, pipelines, promises, found, back),
        },
        copy=False,
    )


def _forest_order(pipelines: Pipelines) -> Any:
    """What brings rows of the pipelines into the order of the forest; no copy where they stand in it."""
    rows = pipelines.forest_rows
    ordered = len(rows) == 0 or bool((rows == np.arange(len(rows))).all())
    return slice(None) if ordered else np.argsort(rows, kind="stable")


def _labels(codes: NDArray[Any], labels: pd.Index) -> Any:
    """Labels by their codes (-1: empty): plain for people, as categories where millions share them."""
    if len(codes) > SENTENCE_ROWS:
        return pd.Categorical.from_codes(codes, labels)
    if not len(labels):
        return pd.Series(np.nan, index=range(len(codes)), dtype=object)
    taken = labels.take(codes)
    # As an array, so that the table finds the type of its texts by itself.
    return taken.to_numpy() if taken.dtype == object else taken


def reasons(forest: Forest, pipelines: Pipelines, promises: Promises, found: Found, back: Any = None) -> Any:
    """A sentence per row, from the numbers of that row, in the order `back` (None: of the pipelines)."""
    levels, rows = found.levels, pipelines.forest_rows
    back = slice(None) if back is None else back
    if len(levels) > SENTENCE_ROWS:
        fixed = pipelines.least == pipelines.most
        floor = (levels == pipelines.least) & (levels > 0)
        return _labels(
            np.where(fixed, 3, np.where(floor, 2, (levels > 0).astype(np.int8)))[back],
            pd.Index(KINDS_OF_REASON, dtype=object),
        )
    days, forced = forest.mean_days, pipelines.least == pipelines.most
    told, padded = _promise_text(promises), np.r_[found.prices, 0.0]
    site = pd.Series(forest.site_ids.astype(str)).to_numpy(dtype=object)
    head, batch = np.zeros(len(levels), dtype=bool), np.ones(len(levels), dtype=np.int64)
    head[pipelines.starts[:-1]], batch[pipelines.starts[:-1]] = True, pipelines.batch
    below = pipelines.stop - np.arange(len(levels)) - 1
    out = np.empty(len(levels), dtype=object)
    for begin in range(0, len(levels), BLOCK_ROWS):
        # Half-made sentences of millions of rows would need several times the memory of the whole ones.
        here = slice(begin, begin + BLOCK_ROWS)
        held, at = levels[here], rows[here]
        expected = _figures(pipelines.mean[here], 2)
        fill = _shares(1 - found.state.miss[here])
        # Of several promises the one is named that costs most here: the others hold by themselves.
        kept, dearest = np.full(len(held), "", dtype=object), np.full(len(held), -1.0)
        for promise, factor in promises.kinds[:3]:
            if promise is not None:
                price = np.where(promise[here] >= 0, padded[promise[here]] * factor[here], -1.0)
                dearer = price > dearest
                kept, dearest = np.where(dearer, told[promise[here]], kept), np.where(dearer, price, dearest)
        length = _figures(days[at], 3)
        start = "expects " + expected + " pieces in " + length + np.where(length == "1", " day; ", " days; ")
        above = np.where(head[here], "supplier", "site above").astype(object)
        empty = "no stock, orders wait for the " + above
        pieces, lots = held.astype(str).astype(object), batch[here] > 1
        if lots.any():
            by = " on hand or on order, ordered by " + batch[here].astype(str).astype(object)
            pieces = np.where(lots, "up to " + pieces + by + ",", pieces + " on hand or on order")
        else:
            pieces += " on hand or on order"
        meets = " meets " + fill + " from the shelf at "
        stocked = pieces + meets + site[forest.site[at]]
        count = below[here]
        feeds = "; supplies " + count.astype(str).astype(object) + np.where(count == 1, " site", " sites")
        kept = np.where((kept == "") & (count > 0), feeds + " below", kept)
        floor = np.where((held == pipelines.least[here]) & (held > 0), ", the floor", "")
        ends = np.where(forced[here], ", fixed by hand", floor).astype(object)
        out[here] = start + np.where(held > 0, stocked, empty) + kept + ends
    return out[back]


def service_table(promises: Promises, state: Priced) -> pd.DataFrame:
    """Target and reached service per group, as `StockLevels.service`.

    Parameters
    ----------
    promises : Promises
    state : Priced
        What the levels do.

    Returns
    -------
    DataFrame
        group, site_id, part_group, measure, target, reached, slack (above 0: better than promised),
        demand_per_day, kept. [days or share]
    """
    table = promises.table.copy()
    used = promises.used(state)
    table["reached"] = promises.reached(used)
    better = table["target"] - table["reached"]
    table["slack"] = better.where(table["measure"].isin(["mean_wait_days", "money"]), -better)
    table["kept"] = promises.kept(used)
    return table[
        ["group", "site_id", "part_group", "measure", "target", "reached", "slack", "demand_per_day", "kept"]
    ]


def with_reached_windows(
    service: pd.DataFrame,
    promises: Promises,
    shares: FloatArray,
    own: FloatArray,
    window_days: FloatArray,
) -> pd.DataFrame:
    """Service with the reached shares within windows as told row by row, and the window of each promise.

    Parameters
    ----------
    service : DataFrame
        From `service_table`.
    promises : Promises
    shares, own, window_days : ndarray, shape (rows,)
        Share of the demand served within the window, own demand, window. [share, pieces per day, days]

    Returns
    -------
    DataFrame
        With window_days (the shortest of the group).
    """
    late = promises.late_promise
    if late is None:
        return service
    rows = np.flatnonzero((late >= 0) & (own > 0))
    served = np.bincount(late[rows], weights=own[rows] * shares[rows], minlength=len(promises))
    shortest = np.full(len(promises), np.inf)
    np.minimum.at(shortest, late[rows], window_days[rows])
    window = service["measure"] == "in_window"
    with np.errstate(invalid="ignore", divide="ignore"):
        reached = served / service["demand_per_day"].to_numpy()
    service["reached"] = np.where(window, reached, service["reached"])
    service["slack"] = np.where(window, service["reached"] - service["target"], service["slack"])
    service["window_days"] = np.where(window, shortest, np.nan)
    return service


def shadow_price_table(promises: Promises, prices: FloatArray) -> pd.DataFrame:
    """What one more unit of each promise costs, as `StockLevels.shadow_prices`.

    Parameters
    ----------
    promises : Promises
    prices : ndarray, shape (promises,)
        [money per unit of use]

    Returns
    -------
    DataFrame
        group, measure, price, unit: money per day of mean wait less, or per point (0.01) of share more;
        one_point, one_point_costs: what a point is there, and what one more costs (one less frees) to first
        order. [money]
    """
    table = promises.table[["group", "measure"]].copy()
    wait, cap = table["measure"] == "mean_wait_days", table["measure"] == "money"
    per_unit = prices * promises.table["demand_per_day"].to_numpy()
    table["price"] = np.where(cap, prices, np.where(wait, per_unit, per_unit / 100))
    table["unit"] = np.where(
        cap, "money per money of cap", np.where(wait, "money per day", "money per point (0.01)")
    )
    table["one_point"] = table["measure"].map(POINT_WORDS)
    table["one_point_costs"] = np.where(wait, table["price"] * WAIT_POINT, table["price"])
    return table.reset_index(drop=True)


def run_assumptions(method: str, pipelines: Pipelines, budget: float | None) -> list[dict[str, Any]]:
    """Assumption rows of every plan.

    Parameters
    ----------
    method : str
        Evaluation.
    pipelines : Pipelines
    budget : float or None
        [money]

    Returns
    -------
    list of dict
    """
    wild = int((pipelines.model == MODELS["two_moment"]).sum()) if method == "exact" else 0
    return [
        {
            "stage": "stocking",
            "name": "method",
            "value": method,
            "origin": "default" if method == "exact" else "set by the user",
            "meaning": "evaluation of stock levels; cost, service and lower bound hold for it",
        },
        {
            "stage": "stocking",
            "name": "parts_by_two_moments",
            "value": wild,
            "unit": "parts",
            "origin": "data: rates.vmr, rates.rate_cv2",
            "meaning": "demand varies more than Poisson: matched in mean and variance",
        },
        {
            "stage": "stocking",
            "name": "budget",
            "value": budget,
            "unit": "money",
            "origin": "default" if budget is None else "set by the user",
            "meaning": "most money in base stock; empty: what the promises need",
        },
    ]


def _promise_text(promises: Promises) -> NDArray[np.object_]:
    table = promises.table
    told = []
    for group, measure, target in zip(
        table["group"], table["measure"], table["target"].tolist(), strict=True
    ):
        if measure == "mean_wait_days":
            told.append(f"; counts in the mean wait of {target:.3g} days promised to {group}")
        elif measure == "fill_rate":
            told.append(f"; counts in the {100 * target:.3g} % promised to {group}")
        else:
            told.append(f"; counts in the {100 * target:.3g} % promised in time to {group}")
    return np.array([*told, ""], dtype=object)


def _figures(values: FloatArray, figures: int) -> NDArray[np.object_]:
    """Numbers as short text, the same text for the same number."""
    unique, inverse = np.unique(values, return_inverse=True)
    return np.array([f"{value:.{figures}g}" for value in unique], dtype=object)[inverse]


def _shares(values: FloatArray) -> NDArray[np.object_]:
    whole = np.clip(np.floor(values * 1000 + 1e-9), 0, 1000).astype(int)
    return np.array([f"{k / 10:.1f} %" for k in range(1001)], dtype=object)[whole]
