"""Good pieces that come back: failed ones, repaired, return to stock and need not be bought.

Demand stays gross; what returns reduces purchases. The words mean what replenishment takes them to mean: a
site repairs its own share of its own demand, of the rest `repairable_share` comes back to headquarters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem
from spareplan.maths.units import days_in_month
from spareplan.tables.frames import FIRST_ROW, check_keys, positions, require_columns

FloatArray = NDArray[np.float64]
PAIR = ["part_id", "site_id"]
RETURN_COLUMNS = [*PAIR, "month", "returned", "from_past", "reason"]


def expected_returns(
    failures: ArrayLike,
    repairable_share: ArrayLike,
    repair_days: ArrayLike,
    month_lengths: ArrayLike,
    return_days: ArrayLike = 0.0,
) -> FloatArray:
    """Good pieces that come back per month.

    Parameters
    ----------
    failures : array-like, shape (n, m) or (m,)
        Expected pieces taken from the shelf in each month, evenly within it; earlier months may stand in
        front, so that what is still in repair is counted. [pieces]
    repairable_share : array-like, shape (n,) or ()
        Share of them that comes back good.
    repair_days, return_days : array-like, shape (n,) or ()
        Time in repair, and on the way there and back. [days]
    month_lengths : array-like, shape (m,)
        [days]

    Returns
    -------
    ndarray, shape (n, m) or (m,)
        Pieces back in each month; what comes back after the last month is left out.

    Raises
    ------
    DataError
        Negative numbers, shares above 1, or months that differ in number.

    Examples
    --------
    >>> expected_returns([3.0, 0.0], 0.5, 15.0, [30.0, 31.0]).tolist()
    [0.75, 0.75]
    """
    failed, share = np.asarray(failures, dtype=float), np.asarray(repairable_share, dtype=float)
    repair, way = np.asarray(repair_days, dtype=float), np.asarray(return_days, dtype=float)
    lengths = np.asarray(month_lengths, dtype=float)
    checks = (
        ("failures", failed, not (failed >= 0).all(), "0 or more pieces"),
        ("repairable_share", share, not ((share >= 0) & (share <= 1)).all(), "0 to 1"),
        ("repair_days", repair, not (repair >= 0).all(), "0 or more days"),
        ("return_days", way, not (way >= 0).all(), "0 or more days"),
        (
            "month_lengths",
            lengths,
            not (lengths > 0).all() or lengths.shape != failed.shape[-1:],
            f"the days of the {failed.shape[-1]} months",
        ),
    )
    problems = [
        Problem("expected_returns", 0, name, str(value.tolist())[:80], "is out of range", f"give {remedy}")
        for name, value, wrong, remedy in checks
        if wrong
    ]
    if problems:
        raise DataError(problems)
    rows = np.atleast_2d(failed)
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    gone = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)], axis=1)
    late = np.broadcast_to(np.atleast_1d(repair + way), (len(rows),))
    # Back by t is what had failed by t - late: the same straight lines, moved.
    when = np.clip(edges[None, :] - late[:, None], 0.0, None)
    month = np.clip(np.searchsorted(edges, when, side="right") - 1, 0, len(lengths) - 1)
    part = (when - edges[month]) / lengths[month]
    before = np.take_along_axis(gone, month, axis=1)
    back = before + part * (np.take_along_axis(gone, month + 1, axis=1) - before)
    out: FloatArray = np.diff(back, axis=1) * np.broadcast_to(np.atleast_1d(share), (len(rows),))[:, None]
    return out if failed.ndim == 2 else out[0]


def returns_ahead(data: Any, table: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Pieces that come back from repair in the months of a forecast, where they come back.

    Parameters
    ----------
    data : Dataset
        parts, sites, site_repairs, stock, units, replacements, demand are read.
    table : DataFrame
        part_id, site_id, month, mean: the demand forecast, gross.
    as_of : Timestamp
        Last day that was known.

    Returns
    -------
    DataFrame
        part_id, site_id (headquarters, or the site that repairs), month, returned, from_past (of these, in
        repair on `as_of`) [pieces], reason; rows only where pieces can come back, sorted.

    Raises
    ------
    DataError
        Columns missing, a key twice, or a part or site unknown.

    Notes
    -----
    A site's own repairs take repair_share_site of its own demand and give it back after repair_days_site; of
    the rest repairable_share comes back to headquarters after repair_days (the supplier's lead time where not
    given). In repair now: stock.in_repair where a part has it, all good, else the share of what was taken in
    the last repair time. Each piece comes back one repair time after it was taken; counted pieces without a
    record to date them come back evenly over a repair time.
    """
    require_columns(table, [*PAIR, "month", "mean"], "table")
    check_keys(table, [*PAIR, "month"], "table")
    _known(table, "part_id", data.parts["part_id"])
    _known(table, "site_id", data.sites["site_id"])
    if not len(table):
        return _frame(
            pd.DataFrame(columns=PAIR), pd.DatetimeIndex([]), np.zeros((0, 0)), np.zeros((0, 0)), []
        )
    months = pd.date_range(table["month"].min(), table["month"].max(), freq="MS")
    facts = _repair_facts(data)
    taken, monthly = _taken_lately(data, facts, as_of)
    pairs = pd.concat([table[PAIR], taken[PAIR], monthly[PAIR]]).drop_duplicates()
    routes = _routes(pairs.sort_values(PAIR, ignore_index=True), facts, data)
    counts = data.stock[data.stock["in_repair"].notna()]
    homes = pd.concat(
        [routes[["part_id", "home"]].set_axis(PAIR, axis=1), counts.loc[counts["in_repair"] > 0, PAIR]]
    )
    homes = homes.drop_duplicates().sort_values(PAIR, ignore_index=True)
    home = positions(routes[["part_id", "home"]].set_axis(PAIR, axis=1), homes)

    failed = _wide(table.rename(columns={"mean": "quantity"}), routes, months)
    share, days = routes["share"].to_numpy(dtype=float), routes["days"].to_numpy(dtype=float)
    later = _gather(expected_returns(failed, share, days, days_in_month(months)), home, len(homes))
    past = _in_repair(routes, home, len(homes), months, taken, monthly, as_of)
    past, words = _as_counted(past, counts, homes, _home_days(homes, facts), months)
    spent = np.bincount(home, days, len(homes)) / np.maximum(np.bincount(home, minlength=len(homes)), 1)
    spent = np.where(np.bincount(home, minlength=len(homes)) > 0, spent, _home_days(homes, facts))
    texts = [
        f"{new:.2f} of pieces taken from now on, {old:.2f} in repair on {as_of:%Y-%m-%d} ({word}); "
        f"repair takes {long:.0f} days"
        for now, before, word, long in zip(later, past[:, :-1], words, spent)
        for new, old in zip(now, before)
    ]
    return _frame(homes, months, later, past[:, :-1], texts)


def _frame(
    homes: pd.DataFrame, months: pd.DatetimeIndex, later: FloatArray, past: FloatArray, texts: list[str]
) -> pd.DataFrame:
    out = homes.loc[homes.index.repeat(len(months))].reset_index(drop=True)
    out["month"] = pd.DatetimeIndex(np.tile(months.to_numpy(), len(homes)))
    out["returned"], out["from_past"] = (later + past).ravel(), past.ravel()
    return out.assign(reason=pd.Series(texts, dtype="str" if texts else object))[RETURN_COLUMNS]


def _known(table: pd.DataFrame, column: str, ids: pd.Series) -> None:
    lost = np.flatnonzero(~table[column].isin(ids).to_numpy())
    if len(lost):
        where = column.removesuffix("_id") + "s"
        raise DataError(
            [
                Problem(
                    "table",
                    FIRST_ROW + int(at),
                    column,
                    str(table[column].iloc[at]),
                    f"not in {where}",
                    f"add it to {where} or drop the row",
                )
                for at in lost
            ]
        )


class _Facts(NamedTuple):
    """What is repaired where: parts by part_id (share, days), sites' own repairs by part_id and site_id."""

    parts: pd.DataFrame
    sites: pd.DataFrame


def _repair_facts(data: Any) -> _Facts:
    parts = data.parts.set_index("part_id")
    days = parts["repair_days"].fillna(parts["lead_time_days"])
    central = pd.DataFrame({"share": parts["repairable_share"].fillna(0.0), "days": days})
    own = data.site_repairs.set_index(PAIR)[["repair_share_site", "repair_days_site"]]
    return _Facts(central, own.set_axis(["share", "days"], axis=1))


def _routes(pairs: pd.DataFrame, facts: _Facts, data: Any) -> pd.DataFrame:
    """Ways of taken pieces back into stock: part_id, site_id, home, share, days."""
    local = facts.sites.reindex(pd.MultiIndex.from_frame(pairs)).reset_index(drop=True)
    own = pairs.assign(
        home=pairs["site_id"], share=local["share"].fillna(0.0), days=local["days"].fillna(0.0)
    )
    central = facts.parts.reindex(pairs["part_id"]).reset_index(drop=True)
    rest = central["share"] * (1 - own["share"])
    other = pairs.assign(home=data.network.hq, share=rest, days=central["days"])
    both = pd.concat([own, other], ignore_index=True)
    return both[both["share"] > 0].sort_values([*PAIR, "home", "days"], kind="stable", ignore_index=True)


def _taken_lately(data: Any, facts: _Facts, as_of: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pieces taken within the longest repair time: dated ones of machines, monthly ones of the history."""
    longest = float(max([0.0, *facts.parts["days"][facts.parts["share"] > 0], *facts.sites["days"]]))
    since = as_of - pd.Timedelta(days=int(np.ceil(longest)))
    rows = data.replacements[
        (data.replacements["replaced_on"] > since) & (data.replacements["replaced_on"] <= as_of)
    ]
    site = data.units.set_index("unit_id")["site_id"]
    taken = pd.DataFrame(
        {
            "part_id": rows["part_id"].to_numpy(),
            "site_id": site.reindex(rows["unit_id"]).to_numpy(),
            "on": rows["replaced_on"].to_numpy(),
            "quantity": rows["quantity"].fillna(1.0).to_numpy(float),
        }
    ).reset_index(drop=True)
    begin = since.to_period("M").to_timestamp()
    known = data.demand[(data.demand["month"] >= begin) & (data.demand["month"] <= as_of)]
    known = known[known["quantity"] > 0]
    return taken, known[[*PAIR, "month", "quantity"]].reset_index(drop=True)


def _wide(rows: pd.DataFrame, routes: pd.DataFrame, months: pd.DatetimeIndex) -> FloatArray:
    """Quantities of each route's part and site by month, shape (routes, months)."""
    keys = rows[PAIR].drop_duplicates()
    out = np.zeros((len(keys) + 1, len(months)))
    np.add.at(
        out,
        (positions(rows[PAIR], keys), months.get_indexer(pd.DatetimeIndex(rows["month"]))),
        rows["quantity"],
    )
    return out[positions(routes[PAIR], keys)]


def _gather(values: FloatArray, group: NDArray[np.int64], groups: int) -> FloatArray:
    out = np.zeros((groups, values.shape[1]))
    np.add.at(out, group, values)
    return out


def _in_repair(
    routes: pd.DataFrame,
    home: NDArray[np.int64],
    homes: int,
    months: pd.DatetimeIndex,
    taken: pd.DataFrame,
    monthly: pd.DataFrame,
    as_of: pd.Timestamp,
) -> FloatArray:
    """Pieces in repair today by home and month of their return; the last column comes later."""
    out = np.zeros((homes, len(months) + 1))
    each = taken.merge(routes.assign(home=home), on=PAIR)
    back = each["on"] + pd.to_timedelta(each["days"], unit="D")
    each, back = each[back > as_of], back[back > as_of]
    month = np.searchsorted(months.to_numpy(), back.to_numpy(), side="right") - 1
    month = np.where(back >= months[-1] + pd.offsets.MonthBegin(1), len(months), np.maximum(month, 0))
    np.add.at(out, (each["home"].to_numpy(), month), (each["quantity"] * each["share"]).to_numpy())
    if len(monthly):
        span = pd.date_range(monthly["month"].min(), months[-1], freq="MS")
        past = len(span) - len(months)
        quantity = _wide(monthly, routes, span)
        share, days = routes["share"].to_numpy(dtype=float), routes["days"].to_numpy(dtype=float)
        returned = expected_returns(quantity, share, days, days_in_month(span))
        never = quantity.sum(axis=1) * share - returned.sum(axis=1)
        out += _gather(np.column_stack([returned[:, past:], never]), home, homes)
    return out


def _home_days(homes: pd.DataFrame, facts: _Facts) -> FloatArray:
    """Repair time at each home: the site's own where it has one, else the part's."""
    own = facts.sites["days"].reindex(pd.MultiIndex.from_frame(homes)).to_numpy(dtype=float)
    return np.where(np.isnan(own), facts.parts["days"].reindex(homes["part_id"]).to_numpy(dtype=float), own)


def _as_counted(
    past: FloatArray, counts: pd.DataFrame, homes: pd.DataFrame, days: FloatArray, months: pd.DatetimeIndex
) -> tuple[FloatArray, list[str]]:
    """Bring pieces in repair to the counted number; keep when they come back where records tell."""
    known = homes["part_id"].isin(counts["part_id"]).to_numpy()
    number = counts.groupby(PAIR)["in_repair"].sum()
    counted = np.nan_to_num(number.reindex(pd.MultiIndex.from_frame(homes)).to_numpy(dtype=float))
    ends = np.concatenate([[0.0], np.cumsum(days_in_month(months)), [np.inf]])
    even = np.diff(np.clip(ends / np.maximum(days, 1e-9)[:, None], 0.0, 1.0), axis=1)
    total = past.sum(axis=1, keepdims=True)
    dated = total[:, 0] > 0
    when = np.where(dated[:, None], past / np.where(total > 0, total, 1.0), even)
    words = np.select(
        [known & dated, known, dated],
        [
            "counted, dated by what was taken",
            "counted, back evenly over a repair time",
            "from what was taken",
        ],
        "none known",
    )
    return np.where(known[:, None], counted[:, None] * when, past), words.tolist()
