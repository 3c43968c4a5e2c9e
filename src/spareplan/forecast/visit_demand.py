"""Pieces that planned visits will use, and failures they will prevent, by part, site and month."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.visit_effect import renewal_curve, visited_renewals
from spareplan.maths.units import DAYS_PER_MONTH, days_in_month, months_after
from spareplan.tables.frames import positions, require_columns

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
KEYS = ["part_id", "site_id", "month"]
AMOUNTS = ["planned", "prevented", "planned_new", "prevented_new"]
DEMAND_COLUMNS = [*KEYS, *AMOUNTS, "reason"]
LEAST = 1e-9
TYPE = ["product_id", "region_id", "number"]


def visit_demand(
    wear: pd.DataFrame,
    lifetimes: pd.DataFrame,
    fitment: pd.DataFrame,
    cohorts: pd.DataFrame,
    schedule: pd.DataFrame,
    made: Sequence[int],
    hours: pd.DataFrame,
    season: pd.DataFrame,
    months: int,
    as_of: pd.Timestamp,
) -> pd.DataFrame:
    """Planned pieces and prevented failures of the visits that are still to come.

    Parameters
    ----------
    wear : DataFrame
        part_id, product_id, share_per_visit.
    lifetimes : DataFrame
        part_id, shape, scale, clock ("hours" or "days").
    fitment : DataFrame
        product_id, part_id, quantity.
    cohorts : DataFrame
        product_id, region_id, site_id, number (month of handover, 12 x year + month), machines; as from
        `machine_cohorts`.
    schedule : DataFrame
        product_id, region_id, handover_month, after_months: visits from now on.
    made : sequence of int
        Months after handover of the visits made before `as_of`. [months]
    hours : DataFrame
        product_id, region_id ("" for the product), hours_per_month.
    season : DataFrame
        As from `season_factors`.
    months : int
        Horizon. [months]
    as_of : Timestamp

    Returns
    -------
    DataFrame
        part_id, site_id, month, planned (pieces the visits use), prevented (failures that do not happen
        because of them, below 0 where new pieces fail more), planned_new, prevented_new (of these, on
        machines to be sold), reason; sorted. `add_visits` brings it into a forecast without visits ahead.

    Notes
    -----
    Machines are handed over in mid-month. Prevented are the failures with the visits made so far less those
    with the visits ahead as well, both as expected at handover, by `visited_renewals`: exact renewals, each
    cohort with the use of its own season.
    """
    from scipy.sparse import csr_array

    require_columns(wear, ["part_id", "product_id", "share_per_visit"], "wear")
    rows = wear[["part_id", "product_id", "share_per_visit"]].merge(fitment, on=["part_id", "product_id"])
    rows = rows.merge(lifetimes[["part_id", "shape", "scale", "clock"]], on="part_id")
    rows = rows.sort_values(["part_id", "product_id"], ignore_index=True)
    horizon = months_after(as_of, months)
    begin = horizon[0].year * 12 + horizon[0].month
    found: list[pd.DataFrame] = []
    for product, own in rows.groupby("product_id", sort=True):
        here = cohorts.loc[cohorts["product_id"] == product]
        types = here[TYPE].drop_duplicates().sort_values(TYPE).reset_index(drop=True)
        ages, done = _visit_ages(types, schedule, made, begin, months)
        some = np.flatnonzero(np.isfinite(np.where(done, np.nan, ages)).any(axis=1))
        types, ages, done = types.iloc[some].reset_index(drop=True), ages[some], done[some]
        here = here.loc[positions(here[TYPE], types) >= 0]
        if not len(here):
            continue
        sites = pd.Index(np.sort(here["site_id"].unique()))
        at = (sites.get_indexer(pd.Index(here["site_id"])), positions(here[TYPE], types))
        count = here["machines"].to_numpy(float)
        to_come = np.where(here["number"] >= begin, count, 0.0)
        machines, new = (csr_array((held, at), (len(sites), len(types))) for held in (count, to_come))
        number = types["number"].to_numpy()[:, None]
        edges = np.maximum(begin + np.arange(months + 1) - number - 0.5, 0.0)
        clocks = {"days": _even_use(edges, ages)}
        if (own["clock"] == "hours").any():
            clocks["hours"] = _seasonal_use(types, edges, ages, hours, season)
        for part, share, quantity, shape, scale, clock in own[
            ["part_id", "share_per_visit", "quantity", "shape", "scale", "clock"]
        ].itertuples(index=False):
            ends, at_use = clocks[clock]
            curve = renewal_curve(shape, scale, ends.max())
            effect = visited_renewals(curve, curve, ends, at_use, share, done.sum(axis=1))
            saved = effect.unvisited - effect.failures
            amounts = [held @ what * quantity for held in (machines, new) for what in (effect.planned, saved)]
            found.append(_long(part, sites, horizon, amounts))
    if not found:
        return pd.DataFrame(columns=DEMAND_COLUMNS).astype(dict.fromkeys(AMOUNTS, float))
    summed = pd.concat(found, ignore_index=True).groupby(KEYS, sort=True)[AMOUNTS].sum()
    out = summed.reset_index()
    out = out[(out["planned"] > 0) | (out["prevented"].abs() > LEAST)].reset_index(drop=True)
    out["reason"] = [
        f"visits use {used:.2f} pieces, {saved:.2f} failures less by the visits ahead"
        for used, saved in zip(out["planned"], out["prevented"])
    ]
    return out


def _visit_ages(
    types: pd.DataFrame, schedule: pd.DataFrame, made: Sequence[int], begin: int, months: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Machine ages at the visits made and ahead, rising, NaN where there are fewer; and which were made."""
    number = types["number"].to_numpy()
    past = np.broadcast_to(np.asarray(made, dtype=float), (len(types), len(made)))
    past = np.where(number[:, None] + past < begin, past, np.nan)
    wanted = types.assign(handover_month=(number - 1) % 12 + 1, row=np.arange(len(types)))
    keys = [name for name in ("product_id", "region_id", "handover_month") if name in schedule]
    plan = schedule[[*keys, "after_months"]].sort_values([*keys, "after_months"])
    due = wanted.merge(plan, on=keys) if keys else wanted.merge(plan, how="cross")
    due = due.sort_values(["row", "after_months"], ignore_index=True)
    rank = due.groupby("row").cumcount().to_numpy()
    ahead = np.full((len(types), int(rank.max(initial=-1)) + 1), np.nan)
    ahead[due["row"].to_numpy(), rank] = due["after_months"].to_numpy(dtype=float)
    when = number[:, None] + ahead
    ahead = np.where((when >= begin) & (when < begin + months), ahead, np.nan)
    ages = np.concatenate([past, ahead], axis=1)
    done = np.concatenate([np.isfinite(past), np.zeros(ahead.shape, bool)], axis=1)
    order = np.argsort(ages, axis=1, kind="stable")
    return np.take_along_axis(ages, order, axis=1), np.take_along_axis(done, order, axis=1)


def _even_use(edges: FloatArray, ages: FloatArray) -> tuple[FloatArray, FloatArray]:
    return edges * DAYS_PER_MONTH, ages * DAYS_PER_MONTH


def _seasonal_use(
    types: pd.DataFrame, edges: FloatArray, ages: FloatArray, hours: pd.DataFrame, season: pd.DataFrame
) -> tuple[FloatArray, FloatArray]:
    """Hours from handover to each edge and visit, shapes as given."""
    pair = ["product_id", "region_id"]
    level = hours["hours_per_month"].to_numpy(dtype=float)
    own = positions(types[pair], hours[pair])
    other = positions(types[pair].assign(region_id=""), hours[pair])
    at = np.where(own >= 0, own, other)
    per_month = np.where(at >= 0, level[at], level.mean() if len(level) else DAYS_PER_MONTH)
    factors = season[[f"factor_{month}" for month in range(1, 13)]].to_numpy(dtype=float)
    factors = factors[positions(types[pair], season[pair])]
    reach = int(np.ceil(max(edges.max(initial=0.0), np.nanmax(ages, initial=0.0)))) + 2
    first = (types["number"].to_numpy() - 1) % 12
    monthly = np.take_along_axis(factors, (first[:, None] + np.arange(reach)) % 12, axis=1)
    summed = np.concatenate([np.zeros((len(types), 1)), np.cumsum(monthly, axis=1)], axis=1)
    summed *= per_month[:, None]

    def used(age: FloatArray) -> FloatArray:
        place = np.nan_to_num(age) + 0.5
        low = place.astype(np.int64)
        before = np.take_along_axis(summed, low, axis=1)
        return before + (place - low) * (np.take_along_axis(summed, low + 1, axis=1) - before)

    start = used(np.zeros((len(types), 1)))
    return used(edges) - start, np.where(np.isnan(ages), np.nan, used(ages) - start)


def _long(part: str, sites: pd.Index, horizon: pd.DatetimeIndex, amounts: list[FloatArray]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "part_id": part,
            "site_id": np.repeat(sites.to_numpy(), len(horizon)),
            "month": pd.DatetimeIndex(np.tile(horizon.to_numpy(), len(sites))),
            **{name: values.ravel() for name, values in zip(AMOUNTS, amounts)},
        }
    )


def add_visits(
    months: pd.DataFrame, windows: pd.DataFrame, demand: pd.DataFrame, as_of: pd.Timestamp
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bring the visits ahead into a forecast that has none.

    Parameters
    ----------
    months : DataFrame
        part_id, site_id, month, mean, from_installed_base, from_new_units, from_planned.
    windows : DataFrame
        part_id, site_id, days, mean, and any of by_ages, by_rate, by_history, by_once.
    demand : DataFrame
        As from `visit_demand`, for as many months as the windows reach.
    as_of : Timestamp
        Windows begin on the day after.

    Returns
    -------
    tuple of DataFrame
        `months` with the pieces in from_planned and from_new_units, the prevented failures off
        from_installed_base and from_new_units (never below 0), the former again, below 0, in a column
        `inspections`; and `windows`, each day of a month alike. Other columns and the order of rows stay.
    """
    out, sums = months.copy(), windows.copy()
    zero = np.zeros(len(out))
    used, saved, used_new, saved_new = (
        zero if not len(demand) else _looked_up(demand, name, out[KEYS]) for name in AMOUNTS
    )
    base, new = (out[name].to_numpy(dtype=float) for name in ("from_installed_base", "from_new_units"))
    off = np.minimum(saved - saved_new, base)
    off_new = np.minimum(saved_new, new + used_new)
    out["from_installed_base"] = base - off
    out["from_new_units"] = new + used_new - off_new
    out["from_planned"] = out["from_planned"].to_numpy(dtype=float) + used - used_new
    out["inspections"] = -off
    out["mean"] = out["mean"].to_numpy(dtype=float) + used - off - off_new
    if len(demand):
        roads = [name for name in ("by_ages", "by_rate", "by_history", "by_once") if name in sums]
        every = _by_day(demand, demand["planned"] - demand["prevented"], sums, as_of)
        today = _by_day(
            demand,
            demand["planned"] - demand["planned_new"] - demand["prevented"] + demand["prevented_new"],
            sums,
            as_of,
        )
        sums["mean"] = np.maximum(sums["mean"].to_numpy(dtype=float) + every, 0.0)
        for name in roads:
            sums[name] = np.maximum(sums[name].to_numpy(dtype=float) + today, 0.0)
    return out, sums


def _looked_up(demand: pd.DataFrame, name: str, keys: pd.DataFrame) -> FloatArray:
    at = positions(keys, demand[KEYS])
    return np.where(at >= 0, demand[name].to_numpy(dtype=float)[at], 0.0)


def _by_day(
    demand: pd.DataFrame, amount: pd.Series, windows: pd.DataFrame, as_of: pd.Timestamp
) -> FloatArray:
    """Sum from the day after `as_of` over the days of each window, each day of a month alike."""
    pair = KEYS[:2]
    pairs = windows[pair].drop_duplicates()
    months = pd.date_range(months_after(as_of, 1)[0], demand["month"].max(), freq="MS")
    wide = np.zeros((len(pairs) + 1, len(months)))
    np.add.at(
        wide,
        (positions(demand[pair], pairs), months.get_indexer(pd.DatetimeIndex(demand["month"]))),
        amount.to_numpy(dtype=float),
    )
    summed = np.concatenate([np.zeros((len(wide), 1)), np.cumsum(wide, axis=1)], axis=1)
    first = (months[0] - as_of).days - 1
    edges = first + np.concatenate([[0.0], np.cumsum(days_in_month(months))])
    days = np.clip(windows["days"].to_numpy(dtype=float), edges[0], edges[-1])
    month = np.clip(np.searchsorted(edges, days, side="right") - 1, 0, len(months) - 1)
    part = (days - edges[month]) / np.diff(edges)[month]
    row = positions(windows[pair], pairs)
    return np.asarray(summed[row, month] + part * (summed[row, month + 1] - summed[row, month]))
