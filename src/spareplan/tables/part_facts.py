"""Facts about parts that grading and ordering share: yearly demand, regularity of the history, tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.maths.intermittency import demand_intervals, size_variation
from spareplan.maths.units import DAYS_PER_YEAR, days_in_month
from spareplan.tables.supersession import newest_parts
from spareplan.tables.taken import demand_to_learn

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset


def annual_demand(forecast: pd.DataFrame, part_ids: pd.Series) -> pd.Series:
    """Expected pieces per year of each part, from the monthly means.

    Parameters
    ----------
    forecast : DataFrame
        part_id, site_id, month, mean [pieces].
    part_ids : Series of str
        Parts wanted.

    Returns
    -------
    Series, indexed by part_id
        Sum of the horizon, scaled from its real days to a year; 0 without forecast. [pieces per year]

    Raises
    ------
    DataError
        The forecast has parts that are not wanted.
    """
    unknown = sorted(set(forecast["part_id"].unique()) - set(part_ids))
    if unknown:
        raise DataError(
            [
                Problem(
                    "demand forecast",
                    None,
                    "part_id",
                    str(part),
                    "not in parts",
                    "add the part or forecast from the same data",
                )
                for part in unknown
            ]
        )
    if forecast.empty:
        return pd.Series(0.0, index=pd.Index(part_ids, name="part_id"))
    horizon = days_in_month(forecast["month"].drop_duplicates()).sum()
    ordered = forecast[["part_id", "site_id", "month", "mean"]].sort_values(["part_id", "site_id", "month"])
    total = ordered.groupby("part_id", sort=True)["mean"].sum()
    return total.reindex(pd.Index(part_ids, name="part_id")).fillna(0.0) * (DAYS_PER_YEAR / horizon)


def history_patterns(data: Dataset, last_day: pd.Timestamp) -> pd.DataFrame:
    """Regularity of each part's monthly history over all sites.

    Replacements and demand are added up per month, under the newest part number and without one-off projects;
    a month with more returns than demand counts as none. A
    part's record starts with its first row in demand, or with the records of replacements or the first
    machine that carries it, whichever is later, and ends with the last full month.

    Parameters
    ----------
    data : Dataset
        Uses demand, replacements, fitment, units.
    last_day : Timestamp
        Last day that is known.

    Returns
    -------
    DataFrame, indexed by part_id
        months (length of the record), demands (months with some), adi [months], cv2; for parts with a record.
    """
    done = (pd.Timestamp(last_day) + pd.Timedelta(days=1)).to_period("M")
    known = demand_to_learn(data, last_day)[["part_id", "month", "quantity"]].assign(dated="demand")
    fitted = data.replacements[["part_id", "replaced_on", "quantity"]]
    moved = newest_parts(data.parts)
    fitted = fitted.rename(columns={"replaced_on": "month"}).assign(
        part_id=fitted["part_id"].map(lambda part: moved.get(part, part))
    )
    history = pd.concat([known, fitted.assign(dated="replacements")], ignore_index=True)
    history["period"] = pd.PeriodIndex(pd.DatetimeIndex(history["month"]), freq="M").astype("int64")
    history = history[(history["period"] < done.ordinal) & history["quantity"].notna()]
    monthly = history.groupby(["part_id", "period"], sort=True)["quantity"].sum().reset_index()
    monthly = monthly[monthly["quantity"] > 0]
    monthly["square"] = monthly["quantity"] ** 2
    sums = monthly.groupby("part_id").agg(
        demands=("period", "size"), total=("quantity", "sum"), squares=("square", "sum")
    )
    start = history[history["dated"] == "demand"].groupby("part_id")["period"].min()
    start = pd.concat([start, _fitted_since(data, history)]).groupby(level=0).min()
    first_row = history.groupby("part_id")["period"].min().rename("first_row")
    out = pd.concat([start.rename("start"), first_row, sums], axis=1).sort_index()
    out.index.name = "part_id"
    out["start"] = out[["start", "first_row"]].min(axis=1)
    out[["demands", "total", "squares"]] = out[["demands", "total", "squares"]].fillna(0.0)
    out["months"] = np.maximum(done.ordinal - out["start"], 1.0)
    out["adi"] = demand_intervals(out["months"], out["demands"])
    out["cv2"] = size_variation(out["demands"], out["total"], out["squares"])
    return out[["months", "demands", "adi", "cv2"]]


def part_tiers(data: Dataset) -> pd.Series:
    """Best tier of the products a part fits; a successor also serves what its predecessors fitted.

    Parameters
    ----------
    data : Dataset
        Uses fitment, products, parts.superseded_by.

    Returns
    -------
    Series, indexed by part_id
        1 (best) to 3, for the parts that fit a product.
    """
    products = data.products[["product_id", "tier"]]
    fitted = data.fitment[["part_id", "product_id"]].merge(products, on="product_id")
    best = fitted.groupby("part_id")["tier"].min().astype(float)
    chain = data.parts.loc[data.parts["superseded_by"].notna(), ["part_id", "superseded_by"]]
    for _ in range(len(chain)):
        handed = chain.assign(tier=chain["part_id"].map(best)).dropna().groupby("superseded_by")["tier"].min()
        grown = pd.concat([best, handed]).groupby(level=0).min()
        if grown.equals(best.sort_index()):
            break
        best = grown
    best.index.name = "part_id"
    return best.sort_index()


def _fitted_since(data: Dataset, history: pd.DataFrame) -> pd.Series:
    """Month (ordinal) from which failures of fitted parts could have been seen."""
    recorded = history.loc[history["dated"] == "replacements", "period"]
    if recorded.empty or data.fitment.empty or data.units.empty:
        return pd.Series(dtype=float)
    born = data.units.groupby("product_id")["commissioned_on"].min()
    carried = data.fitment["product_id"].map(born)
    seen = carried.notna()
    months = pd.PeriodIndex(pd.DatetimeIndex(carried[seen]), freq="M").astype("int64")
    since = pd.Series(np.maximum(months, recorded.min()), index=data.fitment.loc[seen, "part_id"].to_numpy())
    return since.groupby(level=0).min().astype(float)
