"""Wear parts: which pieces inspection visits replace preventively, and how often, found in the records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_MONTH, month_start
from spareplan.tables.frames import positions, require_columns

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PAIR = ["part_id", "product_id"]
WEAR_COLUMNS = [*PAIR, "share_per_visit", "visits_seen", "pieces_seen", "by_chance", "reason"]
# Bounds of the visits that the mean share of all wear parts counts as, beside a part's own.
LEAST_STRENGTH, MOST_STRENGTH = 2.0, 50.0
CHUNK = 50_000


def wear_parts(
    replacements: pd.DataFrame,
    units: pd.DataFrame,
    fitment: pd.DataFrame,
    as_of: pd.Timestamp,
    visit_ages: Sequence[float] = (1, 3, 6, 12),
    tolerance_days: float = 20.0,
    records_from: pd.Series | pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Parts that visits replace preventively, and how often.

    Parameters
    ----------
    replacements : DataFrame
        unit_id, part_id, replaced_on, planned [, quantity].
    units : DataFrame
        unit_id, product_id, commissioned_on [, site_id, retired_on].
    fitment : DataFrame
        product_id, part_id, quantity.
    as_of : Timestamp
        Last day that was known.
    visit_ages : sequence of float
        Machine ages at the visits made so far. [months]
    tolerance_days : float
        How early or late a visit may be. [days]
    records_from : Series (site_id to Timestamp) or Timestamp, optional
        Since when replacements are known; None: the month of the first one.

    Returns
    -------
    DataFrame
        part_id, product_id, share_per_visit (chance that a visit replaces a piece), visits_seen, pieces_seen
        (planned, at those visits), by_chance (pieces expected there without visits), reason; only pairs whose
        planned replacements come at visits, sorted.

    Raises
    ------
    DataError
        Missing columns, no visit ages, or a tolerance that is not positive.

    Notes
    -----
    Only machines watched from their handover count, up to twice the last visit's age. Planned replacements
    per day are explained in five ways: evenly; at visits against all other days; by the piece's age; at one
    age of the piece; at visits and else by the piece's age. The Bayesian information criterion [1]_ chooses;
    a part belongs here where visits are in the choice. Shares are shrunk to the mean of all such parts, as a
    beta-binomial with moments from the parts.

    References
    ----------
    .. [1] Schwarz (1978), Estimating the dimension of a model, Annals of Statistics 6(2), 461-464.
    """
    require_columns(replacements, ["unit_id", "part_id", "replaced_on", "planned"], "replacements")
    require_columns(units, ["unit_id", "product_id", "commissioned_on"], "units")
    require_columns(fitment, [*PAIR, "quantity"], "fitment")
    ages = np.sort(np.asarray(list(visit_ages), dtype=float)) * DAYS_PER_MONTH
    if not len(ages) or not (ages > 0).all() or not tolerance_days > 0:
        raise problem_in_argument(
            "wear_parts", "visit_ages", list(visit_ages), "cannot be used", "give months and days above 0"
        )
    windows = _windows(ages, float(tolerance_days))
    machines = _watched(units, replacements, as_of, records_from, 2 * windows[-1, 1])
    events = _events(replacements, machines, fitment)
    empty = pd.DataFrame(
        {name: pd.Series(dtype=kind) for name, kind in zip(WEAR_COLUMNS, [str, str, *[float] * 4, str])}
    )
    if not len(events):
        return empty
    width = 2 * float(tolerance_days)
    bins = int(np.ceil(2 * windows[-1, 1] / width))
    pairs = events[PAIR].drop_duplicates().sort_values(PAIR, ignore_index=True)
    pair = pd.MultiIndex.from_frame(pairs).get_indexer(pd.MultiIndex.from_frame(events[PAIR]))
    held = _time_held(events, pair, pairs, machines, windows, width, bins)
    seen = _planned_seen(events, pair, len(pairs), windows, width, bins)
    by_visits = _visits_explain(held, seen)
    products, visited = _visits_made(machines, windows)
    trials = visited[products.get_indexer(pd.Index(pairs["product_id"]))].sum(axis=1)
    outside, days = seen[:, :, 0].sum(axis=1), held[:, :, 0].sum(axis=1)
    pieces, per_machine = _pieces_at_visits(events, pair, len(pairs), windows)
    long = (windows[:, 1] - windows[:, 0]).mean()
    chance = outside / np.where(days > 0, days, 1.0) * long * trials
    found = by_visits & (trials > 0) & (pieces > 0)
    rows = pairs[found].reset_index(drop=True)
    rows["share_per_visit"] = _shrunk_shares((pieces / per_machine)[found], chance[found], trials[found])
    rows["visits_seen"], rows["pieces_seen"] = trials[found], pieces[found]
    rows["by_chance"] = chance[found] * per_machine[found]
    rows["reason"] = [
        f"{used:g} pieces planned at {made:g} visits, {luck:.1f} expected there without visits"
        for used, made, luck in zip(rows["pieces_seen"], rows["visits_seen"], rows["by_chance"])
    ]
    return rows[WEAR_COLUMNS] if len(rows) else empty


def rows_at_visits(
    replacements: pd.DataFrame,
    units: pd.DataFrame,
    wear: pd.DataFrame,
    visit_ages: Sequence[float] = (1, 3, 6, 12),
    tolerance_days: float = 20.0,
) -> NDArray[np.bool_]:
    """Planned replacements that visits account for.

    They end a piece's life without failure like any planned one, but say nothing of an age of its own: leave
    them out where planned replacements are learned by age; `visit_demand` adds those of the visits ahead.

    Parameters
    ----------
    replacements : DataFrame
        unit_id, part_id, replaced_on, planned.
    units : DataFrame
        unit_id, product_id, commissioned_on.
    wear : DataFrame
        part_id, product_id, as from `wear_parts`.
    visit_ages, tolerance_days
        As in `wear_parts`.

    Returns
    -------
    ndarray of bool, a value per row of `replacements`

    Raises
    ------
    DataError
        Missing columns.
    """
    require_columns(replacements, ["unit_id", "part_id", "replaced_on", "planned"], "replacements")
    require_columns(units, ["unit_id", "product_id", "commissioned_on"], "units")
    require_columns(wear, PAIR, "wear")
    out = replacements["planned"].to_numpy(bool) & replacements["part_id"].isin(wear["part_id"]).to_numpy()
    at = np.flatnonzero(out)
    rows = replacements.iloc[at]
    machine = pd.Index(units["unit_id"]).get_indexer(pd.Index(rows["unit_id"]))
    owner = units.iloc[machine]
    age = rows["replaced_on"].to_numpy() - owner["commissioned_on"].to_numpy()
    days = pd.TimedeltaIndex(age).days.to_numpy(dtype=float)
    ages = np.sort(np.asarray(list(visit_ages), dtype=float)) * DAYS_PER_MONTH
    fits = pd.DataFrame({"part_id": rows["part_id"].to_numpy(), "product_id": owner["product_id"].to_numpy()})
    worn = positions(fits, wear[PAIR].drop_duplicates()) >= 0
    out[at] = (machine >= 0) & worn & (_window_of(days, _windows(ages, float(tolerance_days))) >= 0)
    return out


def _windows(ages: FloatArray, tolerance: float) -> FloatArray:
    """Days around each visit, shape (visits, 2), cut in the middle where two would overlap."""
    low, high = ages - tolerance, ages + tolerance
    middle = 0.5 * (ages[1:] + ages[:-1])
    low[1:], high[:-1] = np.maximum(low[1:], middle), np.minimum(high[:-1], middle)
    return np.column_stack([np.maximum(low, 0.0), high])


def _watched(
    units: pd.DataFrame,
    replacements: pd.DataFrame,
    as_of: pd.Timestamp,
    records_from: pd.Series | pd.Timestamp | None,
    longest: float,
) -> pd.DataFrame:
    """Machines known from their handover on: unit_id, product_id, commissioned_on, watched [days]."""
    if records_from is None:
        first = replacements["replaced_on"].min()
        records_from = as_of if pd.isna(first) else month_start([first])[0]
    if isinstance(records_from, pd.Series):
        require_columns(units, ["site_id"], "units")
        begin = pd.to_datetime(units["site_id"].map(records_from))
    else:
        begin = pd.Series(records_from, index=units.index)
    machines = units[(units["commissioned_on"] >= begin) & (units["commissioned_on"] <= as_of)]
    end = pd.Series(as_of + pd.Timedelta(days=1), index=machines.index)
    if "retired_on" in machines:
        end = machines["retired_on"].where(machines["retired_on"] <= as_of, end)
    watched = (end - machines["commissioned_on"]).dt.days.clip(0, int(longest)).astype(float)
    return machines[["unit_id", "product_id", "commissioned_on"]].assign(watched=watched)


def _events(replacements: pd.DataFrame, machines: pd.DataFrame, fitment: pd.DataFrame) -> pd.DataFrame:
    """One row per machine, part and day, of parts with planned replacements: at [days of machine age]."""
    ever = replacements.loc[replacements["planned"].to_numpy(bool), "part_id"].unique()
    own = replacements[replacements["part_id"].isin(ever)]
    quantity = own["quantity"].fillna(1.0) if "quantity" in own else 1.0
    rows = own[["unit_id", "part_id", "replaced_on"]].assign(
        pieces=np.where(own["planned"].to_numpy(bool), quantity, 0.0), planned=own["planned"].to_numpy(bool)
    )
    rows = rows.merge(machines, on="unit_id").merge(fitment[[*PAIR, "quantity"]], on=PAIR)
    rows["at"] = (rows["replaced_on"] - rows["commissioned_on"]).dt.days.astype(float)
    rows = rows[(rows["at"] >= 0) & (rows["at"] < rows["watched"])]
    keys = [*PAIR, "unit_id", "at", "watched", "quantity"]
    out = rows.groupby(keys, as_index=False, sort=True)[["pieces", "planned"]].agg(
        {"pieces": "sum", "planned": "max"}
    )
    # Parts without a planned row in these machines' watched time say nothing about visits.
    return out[out.groupby(PAIR)["planned"].transform("max").to_numpy(bool)].reset_index(drop=True)


def _time_held(
    events: pd.DataFrame,
    pair: IntArray,
    pairs: pd.DataFrame,
    machines: pd.DataFrame,
    windows: FloatArray,
    width: float,
    bins: int,
) -> FloatArray:
    """Days watched, shape (pairs, age bins of the piece, 2): outside the visits' windows, inside them."""
    product = pd.Index(np.sort(pairs["product_id"].unique()))
    of_machine = product.get_indexer(pd.Index(machines["product_id"]))
    kept = of_machine >= 0
    watched = machines["watched"].to_numpy()[kept]
    zero = np.zeros(len(watched))
    # A piece never replaced is as old as its machine.
    whole = _sum_days(of_machine[kept], zero, watched, zero, len(product), windows, width, bins)
    held = whole[product.get_indexer(pd.Index(pairs["product_id"]))]
    unit = pd.factorize(events["unit_id"])[0]
    order = np.lexsort((events["at"], unit, pair))
    number, unit = pair[order], unit[order]
    at, end = events["at"].to_numpy()[order], events["watched"].to_numpy()[order]
    same = (np.diff(number, append=-1) == 0) & (np.diff(unit, append=-1) == 0)
    until = np.where(same, np.append(at[1:], 0.0), end)
    held -= _sum_days(number, at, until, np.zeros(len(at)), len(pairs), windows, width, bins)
    held += _sum_days(number, at, until, at, len(pairs), windows, width, bins)
    return np.maximum(held, 0.0)


def _sum_days(
    group: IntArray,
    begin: FloatArray,
    end: FloatArray,
    born: FloatArray,
    groups: int,
    windows: FloatArray,
    width: float,
    bins: int,
) -> FloatArray:
    """Days between machine ages `begin` and `end` of pieces fitted at `born`, by age bin and window."""
    edges: FloatArray = np.arange(bins + 1, dtype=float) * width
    edges[-1] = np.inf
    out = np.zeros((groups, bins, 2))
    for first in range(0, len(group), CHUNK):
        some = slice(first, first + CHUNK)
        low, high, fitted = begin[some], np.maximum(end[some], begin[some]), born[some]
        whole = _by_age(low, high, fitted, edges)
        inside = np.zeros_like(whole)
        for opens, closes in windows:
            from_ = np.clip(opens, low, high)
            inside += _by_age(from_, np.clip(closes, from_, high), fitted, edges)
        np.add.at(out, group[some], np.stack([whole - inside, inside], axis=2))
    return out


def _by_age(low: FloatArray, high: FloatArray, born: FloatArray, edges: FloatArray) -> FloatArray:
    """Days between two machine ages by the age of a piece fitted at `born`."""
    reached = np.clip(edges[None, :], (low - born)[:, None], (high - born)[:, None])
    return np.diff(reached, axis=1)


def _window_of(at: FloatArray, windows: FloatArray) -> IntArray:
    """Number of the window each machine age lies in; -1 outside."""
    place = np.searchsorted(windows[:, 0], at, side="right") - 1
    return np.where((place >= 0) & (at < windows[np.maximum(place, 0), 1]), place, -1)


def _planned_seen(
    events: pd.DataFrame, pair: IntArray, pairs: int, windows: FloatArray, width: float, bins: int
) -> FloatArray:
    """Days with planned replacements, shape (pairs, age bins of the piece, 2), as `_time_held`."""
    unit = pd.factorize(events["unit_id"])[0]
    order = np.lexsort((events["at"], unit, pair))
    at = events["at"].to_numpy()[order]
    same = (np.diff(pair[order], prepend=-1) == 0) & (np.diff(unit[order], prepend=-1) == 0)
    age = at - np.where(same, np.roll(at, 1), 0.0)
    planned = events["planned"].to_numpy(bool)[order]
    place = np.minimum((age / width).astype(np.int64), bins - 1)
    inside = (_window_of(at, windows) >= 0).astype(np.int64)
    flat = (pair[order] * bins + place) * 2 + inside
    return np.bincount(flat[planned], minlength=pairs * bins * 2).astype(float).reshape(pairs, bins, 2)


def _visits_explain(held: FloatArray, seen: FloatArray) -> NDArray[np.bool_]:
    """Whether visits belong to the best explanation of each pair's planned replacements, shape (pairs,)."""
    total = seen.sum(axis=(1, 2))

    def fit(events: FloatArray, days: FloatArray) -> FloatArray:
        rate = events / np.where(days > 0, days, 1.0)
        return np.where(events > 0, events * np.log(np.where(events > 0, rate, 1.0)), 0.0)

    penalty = np.log(np.maximum(total, 2.0))
    by_window, by_age = (seen.sum(axis=1), held.sum(axis=1)), (seen.sum(axis=2), held.sum(axis=2))
    even = fit(total, held.sum(axis=(1, 2)))
    visits = fit(*by_window).sum(axis=1)
    ages = fit(*by_age).sum(axis=1)
    rest = fit(total[:, None] - by_age[0], held.sum(axis=(1, 2))[:, None] - by_age[1])
    one_age = (fit(*by_age) + rest).max(axis=1)
    both = fit(by_window[0][:, 1], by_window[1][:, 1]) + fit(seen[:, :, 0], held[:, :, 0]).sum(axis=1)
    used = (by_age[1] > 0).sum(axis=1)
    scores = np.stack(
        [
            2 * visits - 2 * penalty,
            2 * both - (1 + (held[:, :, 0] > 0).sum(axis=1)) * penalty,
            2 * even - penalty,
            2 * ages - used * penalty,
            2 * one_age - 3 * penalty,
        ]
    )
    more_at_visits = by_window[0][:, 1] * by_window[1][:, 0] > by_window[0][:, 0] * by_window[1][:, 1]
    return (scores.argmax(axis=0) < 2) & more_at_visits


def _visits_made(machines: pd.DataFrame, windows: FloatArray) -> tuple[pd.Index, FloatArray]:
    """Visits whose whole window was watched, by product (rows) and visit."""
    product = pd.Index(np.sort(machines["product_id"].unique()))
    past = machines["watched"].to_numpy()[:, None] >= windows[:, 1]
    out = np.zeros((len(product), len(windows)))
    np.add.at(out, product.get_indexer(pd.Index(machines["product_id"])), past)
    return product, out


def _pieces_at_visits(
    events: pd.DataFrame, pair: IntArray, pairs: int, windows: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Pieces planned in wholly watched windows, at most the fitted ones per visit; and pieces per machine."""
    place = _window_of(events["at"].to_numpy(), windows)
    end = np.where(place >= 0, windows[np.maximum(place, 0), 1], np.inf)
    counted = (place >= 0) & (events["watched"].to_numpy() >= end) & events["planned"].to_numpy(bool)
    rows = pd.DataFrame(
        {
            "pair": pair,
            "unit": events["unit_id"].to_numpy(),
            "visit": place,
            "pieces": events["pieces"].to_numpy(),
        }
    )[counted]
    fitted = np.zeros(pairs)
    np.maximum.at(fitted, pair, events["quantity"].to_numpy(dtype=float))
    per_visit = rows.groupby(["pair", "unit", "visit"], sort=True)["pieces"].sum().reset_index()
    own = per_visit["pair"].to_numpy(dtype=np.int64)
    used = np.minimum(per_visit["pieces"].to_numpy(dtype=float), fitted[own])
    return np.bincount(own, used, minlength=pairs).astype(float), fitted


def _shrunk_shares(successes: FloatArray, chance: FloatArray, trials: FloatArray) -> FloatArray:
    """Beta-binomial posterior means of the share per visit, chance taken off."""
    if not len(trials):
        return trials
    net = np.clip(successes - chance, 0.0, trials)
    mean = (net.sum() + 0.5) / (trials.sum() + 1.0)
    raw = net / trials
    # Moments: Var(raw) = m (1 - m) (1/n + (1 - 1/n) / (strength + 1)).
    spread = np.average((raw - mean) ** 2, weights=trials) if len(trials) > 1 else 0.0
    noise = mean * (1 - mean) * len(trials) / trials.sum()
    extra = (spread - noise) / (mean * (1 - mean))
    strength = (
        np.clip(1 / max(extra, 1e-9) - 1, LEAST_STRENGTH, MOST_STRENGTH)
        if len(trials) > 1
        else LEAST_STRENGTH
    )
    return (net + strength * mean) / (trials + strength)
