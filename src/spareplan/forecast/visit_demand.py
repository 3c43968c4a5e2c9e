"""Pieces that planned visits will use, and failures they will prevent, by part, site and month."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.visit_effect import renewal_curve, visited_renewals
from spareplan.maths.units import DAYS_PER_MONTH, months_after
from spareplan.tables.frames import positions, require_columns

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
DEMAND_COLUMNS = ["part_id", "site_id", "month", "planned", "prevented", "reason"]
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
        because of them, below 0 where new pieces fail more), reason; sorted. A forecast without visits ahead
        becomes mean + planned - prevented.

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
        machines = csr_array((here["machines"].to_numpy(float), at), (len(sites), len(types)))
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
            planned = machines @ effect.planned * quantity
            prevented = machines @ (effect.unvisited - effect.failures) * quantity
            found.append(_long(part, sites, horizon, planned, prevented))
    if not found:
        return pd.DataFrame(columns=DEMAND_COLUMNS).astype({"planned": float, "prevented": float})
    keys = DEMAND_COLUMNS[:3]
    summed = pd.concat(found, ignore_index=True).groupby(keys, sort=True)[["planned", "prevented"]].sum()
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


def _long(
    part: str, sites: pd.Index, horizon: pd.DatetimeIndex, planned: FloatArray, prevented: FloatArray
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "part_id": part,
            "site_id": np.repeat(sites.to_numpy(), len(horizon)),
            "month": pd.DatetimeIndex(np.tile(horizon.to_numpy(), len(sites))),
            "planned": planned.ravel(),
            "prevented": prevented.ravel(),
        }
    )
