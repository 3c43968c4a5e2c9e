"""When new machines fail: life laws of all their parts, corrected by what was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_MONTH, days_in_month
from spareplan.tables.frames import require_columns

FloatArray = NDArray[np.float64]
# Seen failures bend a month of the laws as if that many had been expected and seen beforehand.
PRIOR_FAILURES = 8.0
# Of the power series of renewals.
TERMS = 14


def failures_of_new_machines(
    lifetimes: pd.DataFrame, fitment: pd.DataFrame, hours_per_month: pd.Series, months: int
) -> pd.DataFrame:
    """Expected failures of a new machine in each month after handover, at even use.

    Parameters
    ----------
    lifetimes : DataFrame
        part_id, shape, scale, clock ("hours" or "days"). [-, hours or days]
    fitment : DataFrame
        product_id, part_id, quantity; parts without a life are left out.
    hours_per_month : Series
        By product_id, for parts on the clock of hours. [hours/month]
    months : int

    Returns
    -------
    DataFrame, shape (products, months)
        Index product_id, columns 0, 1, ...; failed pieces are replaced and fail again. [failures]

    Raises
    ------
    DataError
        Missing columns.
    """
    require_columns(lifetimes, ["part_id", "shape", "scale", "clock"], "lifetimes")
    require_columns(fitment, ["product_id", "part_id", "quantity"], "fitment")
    rows = fitment.merge(lifetimes[["part_id", "shape", "scale", "clock"]], on="part_id")
    hours = hours_per_month.reindex(rows["product_id"]).to_numpy(dtype=float)
    per_month = np.where(rows["clock"] == "hours", hours, DAYS_PER_MONTH)
    scale = rows["scale"].to_numpy(dtype=float) / per_month
    fine = np.isfinite(scale) & (scale > 0) & np.isfinite(rows["shape"].to_numpy(dtype=float))
    rows, scale = rows[fine], scale[fine]
    products = pd.Index(np.sort(fitment["product_id"].unique()), name="product_id")
    out = np.zeros((len(products), months))
    if len(rows):
        each = _first_failures(rows["shape"].to_numpy(dtype=float), scale, months)
        weighted = each * rows["quantity"].to_numpy(dtype=float)[:, None]
        np.add.at(out, products.get_indexer(pd.Index(rows["product_id"])), weighted)
    return pd.DataFrame(out, index=products)


def _first_failures(shape: FloatArray, scale: FloatArray, months: int) -> FloatArray:
    """Expected failures of new pieces per month, shape (n, months); scale in months."""
    from spareplan.forecast.renewal import expected_renewals

    out = np.zeros((len(shape), months))
    long_lived = (months / scale) ** shape <= 1.0
    summed = early_renewals(shape[long_lived], np.arange(months + 1) / scale[long_lived, None])
    out[long_lived] = np.diff(summed, axis=1)
    # The laws that are left are often the same: each is solved once.
    laws = np.round(np.column_stack([shape, np.log(scale)])[~long_lived], 6)
    unique, which = np.unique(laws, axis=0, return_inverse=True)
    if len(unique):
        each = expected_renewals(unique[:, 0], np.exp(unique[:, 1]), 0.0, float(months), 1.0)
        out[~long_lived] = each[which.ravel()]
    return out


def early_renewals(shape: FloatArray, time: FloatArray) -> FloatArray:
    """Expected failures of a new piece by a time up to its scale, failed pieces replaced.

    Parameters
    ----------
    shape : ndarray, shape (n,)
        Weibull shape.
    time : ndarray, shape (n, k)
        In units of the scale, 0 to 1.

    Returns
    -------
    ndarray, shape (n, k)
        To 1e-5 relative for shapes above 0.4.

    Notes
    -----
    Power series in z = t^b: sum over n of (-1)^(n-1) A_n z^n / Gamma(nb + 1), with g_n = Gamma(nb + 1) / n!
    and A_n = g_n - sum over j < n of g_j A_(n-j) [1]_.

    References
    ----------
    .. [1] Smith & Leadbetter (1963), On the renewal function for the Weibull distribution, Technometrics
       5(3), 393-396.
    """
    from scipy.special import gammaln

    number = np.arange(1, TERMS + 1)
    log_gamma = gammaln(number * shape[:, None] + 1)
    g = np.exp(log_gamma - gammaln(number + 1))
    a = np.zeros_like(g)
    for n in range(TERMS):
        a[:, n] = g[:, n] - (g[:, :n] * a[:, :n][:, ::-1]).sum(axis=1)
    coefficient = a / np.exp(log_gamma) * np.where(number % 2 == 1, 1.0, -1.0)
    z = time ** shape[:, None]
    out = np.zeros_like(z)
    for n in reversed(range(TERMS)):
        out = (out + coefficient[:, n : n + 1]) * z
    return out


def seen_in_first_months(
    replacements: pd.DataFrame,
    units: pd.DataFrame,
    as_of: pd.Timestamp,
    months: int,
    records_from: pd.Series,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Failures seen and machine-months watched, by product and month after handover.

    Parameters
    ----------
    replacements : DataFrame
        unit_id, replaced_on, planned [, quantity].
    units : DataFrame
        unit_id, product_id, site_id, commissioned_on, retired_on.
    as_of : Timestamp
        Last day that was known.
    months : int
    records_from : Series
        site_id to the day from which replacements are known.

    Returns
    -------
    tuple of DataFrame, shape (products, months) each
        Failed pieces, machine-months; index product_id.
    """
    own = units[units["commissioned_on"] <= as_of]
    end = own["retired_on"].where(own["retired_on"] <= as_of, as_of + pd.Timedelta(days=1))
    begin = pd.to_datetime(own["site_id"].map(records_from)).fillna(as_of)
    first = (begin - own["commissioned_on"]).dt.days.clip(lower=0).to_numpy(dtype=float) / DAYS_PER_MONTH
    last = (end - own["commissioned_on"]).dt.days.to_numpy(dtype=float) / DAYS_PER_MONTH
    products = pd.Index(np.sort(units["product_id"].unique()), name="product_id")
    number = products.get_indexer(pd.Index(own["product_id"]))
    young = first < months
    edges = np.arange(months + 1.0)
    reached = np.clip(edges, first[young, None], np.maximum(last, first)[young, None])
    watched, failed = np.zeros((len(products), months)), np.zeros((len(products), months))
    np.add.at(watched, number[young], np.diff(reached, axis=1))
    facts = own[["unit_id"]].assign(number=number, start=own["commissioned_on"], first=first)
    rows = replacements[~replacements["planned"].to_numpy(bool) & (replacements["replaced_on"] <= as_of)]
    rows = rows.merge(facts, on="unit_id")
    age = (rows["replaced_on"] - rows["start"]).dt.days.to_numpy(dtype=float) / DAYS_PER_MONTH
    inside = (age >= rows["first"].to_numpy()) & (age < months)
    pieces = rows["quantity"].fillna(1.0).to_numpy(dtype=float) if "quantity" in rows else np.ones(len(rows))
    np.add.at(failed, (rows["number"].to_numpy()[inside], age[inside].astype(np.int64)), pieces[inside])
    return pd.DataFrame(failed, index=products), pd.DataFrame(watched, index=products)


def bend_by_seen(expected: pd.DataFrame, failed: pd.DataFrame, watched: pd.DataFrame) -> pd.DataFrame:
    """Correct expected failures by month of age with the failures really seen.

    Parameters
    ----------
    expected, failed, watched : DataFrame, shape (products, months)
        As from `failures_of_new_machines` and `seen_in_first_months`.

    Returns
    -------
    DataFrame
        Like `expected`: each month times (c + seen) / (c + expected among those watched), a gamma-Poisson
        mean with c = 8 failures.
    """
    seen = failed.reindex(expected.index).fillna(0.0).to_numpy()
    among = expected.to_numpy() * watched.reindex(expected.index).fillna(0.0).to_numpy()
    return expected * (PRIOR_FAILURES + seen) / (PRIOR_FAILURES + among)


def hours_by_product(data: Any, as_of: pd.Timestamp) -> pd.DataFrame:
    """Mean hours of use per month of a machine, by product and region.

    Parameters
    ----------
    data : Dataset
        usage, meter_readings, units, products.
    as_of : Timestamp
        Usage and meter readings up to then are read.

    Returns
    -------
    DataFrame
        product_id, region_id ("" for the mean of the product), hours_per_month; products and regions without
        hours are left out.
    """
    usage = data.usage[data.usage["hours_per_unit"].notna() & (data.usage["month"] <= as_of)]
    daily = usage.assign(daily=usage["hours_per_unit"] / days_in_month(usage["month"]))
    own = daily.groupby(["product_id", "region_id"])["daily"].mean().reset_index()
    mean = daily.groupby("product_id")["daily"].mean().reset_index().assign(region_id="")
    readings = data.meter_readings[data.meter_readings["read_on"] <= as_of]
    last = readings.sort_values(["unit_id", "read_on"]).drop_duplicates("unit_id", keep="last")
    last = last.merge(data.units[["unit_id", "product_id", "commissioned_on"]], on="unit_id")
    days = (last["read_on"] - last["commissioned_on"]).dt.days
    rate = (last["hours"] / days)[(days > 0) & (last["hours"] > 0)]
    metered = rate.groupby(last["product_id"]).median().rename("daily").reset_index().assign(region_id="")
    metered = metered[~metered["product_id"].isin(mean["product_id"])]
    frames = [frame for frame in (own, mean, metered) if len(frame)]
    out = pd.concat(frames, ignore_index=True) if frames else own
    out = out[out["daily"] > 0]
    out["hours_per_month"] = out.pop("daily") * DAYS_PER_MONTH
    return out[["product_id", "region_id", "hours_per_month"]].sort_values(
        ["product_id", "region_id"], ignore_index=True
    )
