"""Demand of machines until the last of them has left: cohorts of one age, each leaving by its law of life."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.retirement import RetirementLaw
from spareplan.maths.units import DAYS_PER_MONTH, DAYS_PER_YEAR
from spareplan.tables.network import build_network

FloatArray = NDArray[np.float64]
# Machines sold within one such stretch leave together. [days]
COHORT_DAYS = DAYS_PER_YEAR / 2
STEP_DAYS = DAYS_PER_YEAR / 4
# The forecast itself reaches this far; beyond it the rate of its last year goes on. [days]
REACH_DAYS = 120 * DAYS_PER_MONTH
FARTHEST_YEARS = 80
GONE_SHARE = 1e-3
# Kin that teach a family its law; more of them would teach the same.
MOST_KIN = 100


class Cohorts(NamedTuple):
    """Machines of one product, region and age under a site of their own.

    Parameters
    ----------
    table : DataFrame
        site_id, product_id, age (mean, today; negative: sold in so many days) [days], machines, known
        (their day of retirement is given).
    data : Dataset
        The same machines and records, every cohort a site and a region of its own.
    """

    table: pd.DataFrame
    data: Any


class Remaining(NamedTuple):
    """Demand of each part from now on, until the machines are gone.

    Parameters
    ----------
    part_ids : ndarray of str, shape (parts,)
    days : ndarray, shape (times,)
        Rising, from 0. [days]
    mean, variance : ndarray, shape (parts, times)
        Of the sum until each time. [pieces, pieces²]
    by_doubt : ndarray, shape (parts, 2)
        Variance of the whole that comes from doubt about the part's rate, and about machine life.
    machines : ndarray, shape (parts, times)
        Expected in service. [machines]
    """

    part_ids: NDArray[Any]
    days: FloatArray
    mean: FloatArray
    variance: FloatArray
    by_doubt: FloatArray
    machines: FloatArray


def leaving_demand(
    row_part: NDArray[np.int64],
    pieces: FloatArray,
    machines: FloatArray,
    vmr: FloatArray,
    cv2: FloatArray,
    weight: FloatArray,
    survival: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and variance of the demand of cohorts whose machines leave.

    Parameters
    ----------
    row_part : ndarray of int, shape (rows,)
        Number of the part of each row; a row is a part on a cohort.
    pieces : ndarray, shape (rows, times)
        Expected demand from now to each time (the first is now), if no machine left. [pieces]
    machines : ndarray, shape (rows,)
        Machines of the cohort.
    vmr, cv2 : ndarray, shape (parts, times)
        Variance-to-mean ratio given the rate, and squared variation of the rate, of the sum to each time.
    weight : ndarray, shape (nodes,)
        Of the laws of machine life.
    survival : ndarray, shape (nodes, rows, times)
        Share of the machines in service at each time.

    Returns
    -------
    mean, variance : ndarray, shape (parts, times)
        Of the sum to each time. [pieces, pieces²]
    by_doubt : ndarray, shape (parts, 2)
        Variance of the whole from doubt about the rate, and about machine life.

    Notes
    -----
    A machine that leaves at T has asked for m(T) pieces, with variance v(T) given T. Over T, with survival S:
    E m = int S dm, E v = int S dv, E m² = int 2 m S dm; Var = E v + (E m² - (E m)²) per machine. Rate and law
    of life are shared by all machines: their doubt adds (int S d(sqrt(cv2) m))² and the variance of the mean
    over the laws. Integrals by the trapezoidal rule.
    """
    parts, times = vmr.shape
    step = np.diff(pieces, axis=1)
    own = machines[:, None]
    middle = (pieces[:, 1:] + pieces[:, :-1]) / 2 / own

    def by_part(values: FloatArray) -> FloatArray:
        total = np.zeros((parts, times - 1))
        np.add.at(total, row_part, values)
        return total

    stays = np.einsum("n,nrt->rt", weight, (survival[..., 1:] + survival[..., :-1]) / 2)
    first = np.cumsum(stays * step / own, axis=1)
    second = np.cumsum(2 * stays * middle * step / own, axis=1)
    scatter = by_part(np.maximum(second - first**2, 0.0) * own)
    mean = np.cumsum(by_part(stays * step), axis=1)
    # vmr and cv2 are the part's: what stays of its whole is the share that each step of the sum keeps.
    whole = by_part(step)
    share = by_part(stays * step) / np.where(whole > 0, whole, 1.0)
    total = np.concatenate([np.zeros((parts, 1)), np.cumsum(whole, axis=1)], axis=1)
    given_rate = np.cumsum(share * np.diff(vmr * total, axis=1), axis=1)
    rate_doubt = np.cumsum(share * np.diff(np.sqrt(cv2) * total, axis=1), axis=1) ** 2
    life_doubt = np.zeros_like(mean)
    for node, chance in enumerate(weight):
        here = (survival[node, :, 1:] + survival[node, :, :-1]) / 2
        life_doubt += chance * (np.cumsum(by_part(here * step), axis=1) - mean) ** 2
    variance = np.maximum(given_rate, 0.0) + scatter + rate_doubt + life_doubt
    zero = np.zeros((parts, 1))
    return (
        np.concatenate([zero, mean], axis=1),
        np.concatenate([zero, variance], axis=1),
        np.stack([rate_doubt[:, -1], life_doubt[:, -1]], axis=1),
    )


def split_cohorts(data: Any, as_of: pd.Timestamp, part_ids: list[str], region: pd.Series) -> Cohorts:
    """Give the machines of each product, region and age a site of their own.

    Parameters
    ----------
    data : Dataset
    as_of : Timestamp
        Last day that was known.
    part_ids : list of str
        Parts wanted; with them only kin are kept that teach their lives.
    region : Series
        site_id to its region, empty text where there is none.

    Returns
    -------
    Cohorts
    """
    units = data.units
    begin = pd.Timestamp(as_of) + pd.Timedelta(days=1)
    age = (begin - units["commissioned_on"]).dt.days.to_numpy(float)
    gone = (units["retired_on"] <= as_of).to_numpy(bool)
    known = units["retired_on"].notna().to_numpy(bool) & ~gone
    number = np.floor(age / COHORT_DAYS).astype(np.int64)
    kind = np.where(gone, "gone", np.where(known, "ends", number.astype(str)))
    place = units["site_id"].map(region).fillna("").astype(str).to_numpy()
    plan = data.sales_plan
    plan = plan[(plan["month"] > as_of) & (plan["units_sold"].fillna(0) > 0)]
    sold_place = plan["site_id"].map(region).fillna("").astype(str).to_numpy()
    middle = (plan["month"] + pd.Timedelta(days=15) - begin).dt.days.to_numpy(float)
    every = pd.DataFrame(
        {
            "product_id": np.concatenate([units["product_id"], plan["product_id"]]),
            "region": np.concatenate([place, sold_place]),
            "kind": np.concatenate([kind, plan["month"].dt.strftime("sold %Y-%m")]),
            "age": np.concatenate([age, -middle]),
            "machines": np.concatenate([np.ones(len(units)), plan["units_sold"]]),
            "known": np.concatenate([known | gone, np.zeros(len(plan), dtype=bool)]),
        }
    )
    keys = ["product_id", "region", "kind"]
    every["cohort"] = every.groupby(keys, sort=True).ngroup()
    every["sum"] = every["age"] * every["machines"]
    groups = every.groupby("cohort", sort=True)
    table = groups[[*keys, "known"]].first()
    table["machines"] = groups["machines"].sum()
    table["age"] = groups["sum"].sum() / table["machines"]
    table["site_id"] = [f"cohort {number}" for number in table.index]
    named = np.array(table["site_id"], dtype=object)[every["cohort"].to_numpy()]
    new = {
        "units": units.assign(site_id=named[: len(units)]),
        "sales_plan": plan.assign(site_id=named[len(units) :], units_retired=0.0),
        **_places(data, table, region),
        **_kept_parts(data, part_ids),
    }
    network = build_network(new["sites"])
    return Cohorts(
        table[table["kind"] != "gone"].reset_index(drop=True)[
            ["site_id", "product_id", "region", "age", "machines", "known"]
        ],
        dataclasses.replace(data, tables={**data.tables, **new}, network=network),
    )


def remaining_demand(
    cohorts: Cohorts,
    windows: pd.DataFrame,
    part_ids: list[str],
    law: RetirementLaw,
    planned: pd.DataFrame,
) -> Remaining:
    """Let the machines of each cohort leave, and sum their demand by part.

    Parameters
    ----------
    cohorts : Cohorts
    windows : DataFrame
        part_id, site_id (the cohort), days, mean, vmr, rate_cv2: as from the installed-base road.
    part_ids : list of str
        Parts wanted, sorted; those without a row have no demand.
    law : RetirementLaw
    planned : DataFrame
        product_id, region, days, kept: share that the sales plan keeps in service, and how far it speaks.

    Returns
    -------
    Remaining
    """
    # Machines that left before today stand in a cohort of their own, which asks for nothing.
    rows = windows[windows["part_id"].isin(part_ids) & windows["site_id"].isin(cohorts.table["site_id"])]
    rows = rows.sort_values(["part_id", "site_id", "days"])
    grid = np.unique(rows["days"].to_numpy(float))
    first = ~rows.duplicated(["part_id", "site_id"]).to_numpy()
    part = pd.Index(part_ids).get_indexer(pd.Index(rows.loc[first, "part_id"]))
    cohort = pd.Index(cohorts.table["site_id"]).get_indexer(pd.Index(rows.loc[first, "site_id"]))
    mean, vmr, cv2 = (
        rows[name].to_numpy(float).reshape(-1, max(len(grid), 1)) for name in ("mean", "vmr", "rate_cv2")
    )
    grid, mean, vmr, cv2 = _extended(grid, mean, vmr, cv2)
    spread = np.ones((2, len(part_ids), len(grid)))
    spread[0, part], spread[1, part] = vmr, cv2
    weight, survival = _survival(cohorts.table, law, planned, grid)
    machines = cohorts.table["machines"].to_numpy(float)
    told = leaving_demand(part, mean, machines[cohort], spread[0], spread[1], weight, survival[:, cohort])
    handed_over = grid >= -cohorts.table["age"].to_numpy(float)[:, None]
    there = np.einsum("n,nct->ct", weight, survival) * machines[:, None] * handed_over
    in_service = np.zeros((len(part_ids), len(grid)))
    np.add.at(in_service, part, there[cohort])
    return Remaining(np.array(part_ids, dtype=object), grid, *told, in_service)


def window_days() -> list[int]:
    """List the ends of the windows that the forecast is asked for: every quarter of ten years [days]."""
    return [round(end) for end in np.arange(1, round(REACH_DAYS / STEP_DAYS) + 1) * STEP_DAYS]


def _places(data: Any, table: pd.DataFrame, region: pd.Series) -> dict[str, pd.DataFrame]:
    """Sites, regions and usage with a row for every cohort."""
    hq = data.network.hq
    sites = data.sites[data.sites["site_id"] == hq]
    own = pd.DataFrame({"site_id": table["site_id"], "name": table["site_id"], "region_id": table["site_id"]})
    own = own.assign(parent_id=hq, lead_time_days=0.0).reindex(columns=sites.columns)
    records = dict(zip(data.regions["region_id"], data.regions["records_from"]))
    stage = dict(zip(data.regions["region_id"], data.regions["market_stage"]))
    regions = pd.DataFrame({"region_id": table["site_id"], "name": table["site_id"]})
    regions["records_from"] = pd.to_datetime(table["region"].map(records))
    regions["market_stage"] = table["region"].map(stage)
    usage = data.usage.merge(
        table[["product_id", "region", "site_id"]],
        left_on=["product_id", "region_id"],
        right_on=["product_id", "region"],
    )
    usage = usage.assign(region_id=usage["site_id"])[data.usage.columns]
    return {
        "sites": _alike(pd.concat([sites, own.astype(object)], ignore_index=True), data.sites),
        "regions": _alike(regions.reindex(columns=data.regions.columns).astype(object), data.regions),
        "usage": usage,
    }


def _alike(frame: pd.DataFrame, model: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(dict(zip(model.columns, model.dtypes)))


def _kept_parts(data: Any, part_ids: list[str]) -> dict[str, pd.DataFrame]:
    """Keep the parts wanted, what they replace or are like, and kin enough to teach their lives."""
    parts = data.parts.sort_values("part_id", kind="stable")
    family = parts["family"]
    for name in ("supplier", "source"):
        family = family.where(family.notna(), parts[name])
    family = family.fillna("").astype(str)
    wanted = parts["part_id"].isin(part_ids)
    fitted = parts["part_id"].isin(data.fitment["part_id"])
    kin = family.isin(family[wanted]) & fitted
    size = kin.groupby(family).transform("sum")
    # Evenly over the sorted names, so that neither order nor chance decides who teaches.
    place = kin.groupby(family).cumsum() * MOST_KIN // size.clip(lower=1)
    chosen = kin & ((size <= MOST_KIN) | (place != place.groupby(family).shift(fill_value=-1)))
    keep = set(parts["part_id"][wanted | chosen])
    # Predecessors bring their machines and failures, analogues their failures; chains are short.
    while True:
        linked = parts["superseded_by"].isin(keep) & ~parts["part_id"].isin(keep)
        like = set(parts.loc[parts["part_id"].isin(keep), "like_part"].dropna()) - keep
        if not linked.any() and not like:
            break
        keep |= {*parts.loc[linked, "part_id"], *like}
    return {
        name: data.tables[name][data.tables[name]["part_id"].isin(keep)]
        for name in ("parts", "fitment", "replacements")
    }


def _extended(
    grid: FloatArray, mean: FloatArray, vmr: FloatArray, cv2: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Begin at day 0, and go on year by year at the rate of the last year of the grid."""
    if not len(grid):
        return np.array([0.0, 1.0]), np.zeros((0, 2)), np.ones((0, 2)), np.zeros((0, 2))
    rows = len(mean)
    year_ago = int(np.argmin(np.abs(grid - (grid[-1] - DAYS_PER_YEAR)))) if len(grid) > 1 else 0
    span = grid[-1] - grid[year_ago] if year_ago < len(grid) - 1 else grid[-1]
    last = mean[:, -1] - (mean[:, year_ago] if year_ago < len(grid) - 1 else 0.0)
    ahead = np.arange(1, FARTHEST_YEARS) * DAYS_PER_YEAR
    beyond = mean[:, -1:] + last[:, None] / span * ahead
    repeat = np.ones((1, len(ahead)))
    return (
        np.concatenate([[0.0], grid, grid[-1] + ahead]),
        np.concatenate([np.zeros((rows, 1)), mean, beyond], axis=1),
        np.concatenate([vmr[:, :1], vmr, vmr[:, -1:] * repeat], axis=1),
        np.concatenate([cv2[:, :1], cv2, cv2[:, -1:] * repeat], axis=1),
    )


def _survival(
    table: pd.DataFrame, law: RetirementLaw, planned: pd.DataFrame, days: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Share of every cohort in service at each day, under each law: shape (nodes, cohorts, days)."""
    age = table["age"].to_numpy(float)[:, None]
    ahead = np.maximum(days + np.minimum(age, 0.0), 0.0)
    product = table["product_id"].to_numpy(object)[:, None]
    weight, share = law.scenarios(product, np.maximum(age, 0.0), ahead)
    speaks = planned.set_index(["product_id", "region"])
    for key in speaks.index.unique():
        rows = (
            (table["product_id"] == key[0]) & (table["region"] == key[1]) & (table["age"] >= 0)
        ).to_numpy()
        if not rows.any():
            continue
        told = speaks.loc[[key]].sort_values("days")
        until = float(told["days"].iloc[-1])
        kept = np.interp(days, [0.0, *told["days"]], [1.0, *told["kept"]])
        # As far as the plan speaks it decides; then the law goes on from there.
        at_end = law.scenarios(product[rows], np.maximum(age[rows], 0.0), until)[1]
        share[:, rows] = np.where(days <= until, kept, kept * share[:, rows] / np.maximum(at_end, 1e-12))
    share[:, table["known"].to_numpy(bool)] = 1.0
    return weight, share
