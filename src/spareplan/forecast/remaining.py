"""Demand of machines until the last of them has left: cohorts of one age, each leaving by its law of life."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.cohorts import Cohorts
from spareplan.forecast.retirement import RetirementLaw
from spareplan.maths.units import DAYS_PER_YEAR

FloatArray = NDArray[np.float64]
# Ends of the windows it is asked for: quarters of the first three years, then half-years up to ten. [years]
WINDOW_YEARS = np.concatenate([np.arange(1, 12) / 4, np.arange(6, 21) / 2])
FARTHEST_YEARS = 80


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
        part_id, site_id (the cohort), days (those of `window_days`), mean, vmr, rate_cv2: as from the
        installed-base road.
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
    grid = np.array(window_days(), dtype=float)
    first = ~rows.duplicated(["part_id", "site_id"]).to_numpy()
    part = pd.Index(part_ids).get_indexer(pd.Index(rows.loc[first, "part_id"]))
    cohort = pd.Index(cohorts.table["site_id"]).get_indexer(pd.Index(rows.loc[first, "site_id"]))
    mean, vmr, cv2 = (
        rows[name].to_numpy(float).reshape(-1, len(grid)) for name in ("mean", "vmr", "rate_cv2")
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


def planned_share(data: Any, today: pd.Timestamp, region: pd.Series) -> pd.DataFrame:
    """Share of each product's machines in a region that the sales plan keeps, month by month.

    Parameters
    ----------
    data : Dataset
    today : Timestamp
        Last day that was known.
    region : Series
        site_id to region.

    Returns
    -------
    DataFrame
        product_id, region, days (end of a month, from now), kept; only products of which the plan retires
        any: for the others it is silent.
    """
    plan = data.sales_plan
    plan = plan[(plan["month"] > today) & plan["units_retired"].notna()]
    plan = plan[plan["product_id"].isin(plan.loc[plan["units_retired"] > 0, "product_id"])]
    if plan.empty:
        return pd.DataFrame(columns=["product_id", "region", "days", "kept"])
    units = data.units
    there = units[(units["commissioned_on"] <= today) & ~(units["retired_on"] <= today)]
    place = there["site_id"].map(region).fillna("").astype(str)
    size = there.groupby([there["product_id"], place.rename("region")]).size()
    plan = plan.assign(region=plan["site_id"].map(region).fillna("").astype(str))
    gone = plan.groupby(["product_id", "region", "month"], sort=True)["units_retired"].sum().reset_index()
    # A plan speaks for a product up to its last month, in every region.
    last = gone.groupby("product_id")["month"].max()
    own = size.rename("machines").reset_index()
    ends = own[own["product_id"].isin(last.index)].assign(units_retired=0.0)
    ends["month"] = ends["product_id"].map(last)
    every = pd.concat([gone, ends[gone.columns]], ignore_index=True)
    every = every.groupby(["product_id", "region", "month"], sort=True)["units_retired"].sum().reset_index()
    every = every.merge(own, on=["product_id", "region"])
    total = every.groupby(["product_id", "region"])["units_retired"].cumsum()
    end = every["month"] + pd.offsets.MonthBegin(1)
    days = (end - (pd.Timestamp(today) + pd.Timedelta(days=1))).dt.days.astype(float)
    every = every.assign(kept=(1 - total / every["machines"]).clip(lower=0.0), days=days)
    return every[["product_id", "region", "days", "kept"]]


def nothing_remains(part_ids: list[str]) -> Remaining:
    """No demand of any part, at the times at which demand is summed up.

    Parameters
    ----------
    part_ids : list of str

    Returns
    -------
    Remaining
    """
    days = _extended(np.array(window_days(), dtype=float), *(np.zeros((0, len(window_days()))),) * 3)[0]
    none = np.zeros((len(part_ids), len(days)))
    return Remaining(np.array(part_ids, dtype=object), days, none, none, none[:, :2], none)


def window_days() -> list[int]:
    """List the ends of the windows that the forecast is asked for, up to ten years ahead [days]."""
    return [round(end) for end in WINDOW_YEARS * DAYS_PER_YEAR]


def _extended(
    grid: FloatArray, mean: FloatArray, vmr: FloatArray, cv2: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Begin at day 0, and go on year by year at the rate of the last year of the grid."""
    rows = len(mean)
    year_ago = int(np.argmin(np.abs(grid - (grid[-1] - DAYS_PER_YEAR))))
    span, last = grid[-1] - grid[year_ago], mean[:, -1] - mean[:, year_ago]
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
