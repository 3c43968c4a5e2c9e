"""One row per part, site and month: planned, foreseen by model and naively, and taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.feedback.reading import (
    StoredForecast,
    beside,
    model_mean,
    region_of_site,
    region_or_site,
)
from spareplan.tables.taken import CELL

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

PAIR = ["part_id", "site_id"]
YEAR = 12
# Columns of the stairs from a naive forecast to the plan, each with what it adds.
STEPS = {
    "naive_year": "the same month last year",
    "naive": "mean of the last twelve months",
    "own": "the model",
    "model": "corrected by feedback",
    "kept": "kept as issued",
    "planned": "planners' overrides",
}


def compared_cells(
    planned: pd.DataFrame,
    actual: pd.DataFrame,
    region: pd.Series | None = None,
    history: pd.DataFrame | None = None,
    begins: pd.Series | None = None,
) -> pd.DataFrame:
    """Plan and actual side by side; what was not planned or did not happen is 0.

    Parameters
    ----------
    planned : DataFrame
        part_id, site_id, month, mean, vmr, rate_cv2 [, model_mean, from_correction, from_override, q<level>].
    actual : DataFrame
        part_id, site_id, month, quantity. [pieces]
    region : Series, indexed by site_id, optional
    history : DataFrame, optional
        part_id, site_id, month, quantity of the months before the plan, for the naive forecasts.
    begins : Series, indexed by site_id, optional
        First month with records.

    Returns
    -------
    DataFrame
        CELL, region_id, in_plan, planned, kept (before overrides), model (before frozen months), own (before
        corrections), naive, naive_year [NaN without history], actual, value_added (of the overrides), vmr,
        rate_cv2, q<level>; sorted.
    """
    levels = [str(name) for name in planned if str(name).startswith("q0.")]
    rows = planned[[*CELL, "vmr", "rate_cv2", *levels]].assign(
        planned=planned["mean"],
        model=planned["model_mean"].fillna(planned["mean"]) if "model_mean" in planned else planned["mean"],
        own=model_mean(planned),
        in_plan=True,
    )
    rows["kept"] = rows["model"]
    if "from_override" in planned:
        rows["kept"] = rows["planned"] - planned["from_override"].fillna(0.0)
    both = rows.merge(actual[[*CELL, "quantity"]], on=CELL, how="outer", sort=True)
    both = both.rename(columns={"quantity": "actual"})
    numbers = ["planned", "kept", "model", "own", "actual", "rate_cv2"]
    both[numbers] = both[numbers].fillna(0.0)
    both["vmr"] = both["vmr"].fillna(1.0)
    both["in_plan"] = both["in_plan"].eq(True)
    both["region_id"] = region_or_site(both["site_id"], region)
    both["value_added"] = (both["actual"] - both["kept"]).abs() - (both["actual"] - both["planned"]).abs()
    both["naive"], both["naive_year"] = _naive(both, history, begins)
    return both.sort_values(CELL, kind="stable").reset_index(drop=True)


def plan_cells(
    run: StoredForecast, data: Dataset, taken: pd.DataFrame, months: pd.DatetimeIndex
) -> pd.DataFrame:
    """Some months of a stored forecast beside what came, and beside what was naively to be expected.

    Parameters
    ----------
    run : StoredForecast
    data : Dataset
    taken : DataFrame
        part_id, site_id, month, quantity: all months of complete records. [pieces]
    months : DatetimeIndex
        Months to be compared.

    Returns
    -------
    DataFrame
        As `compared_cells`.
    """
    planned, actual = beside(run, data, taken, months)
    before = taken[(taken["month"] + pd.offsets.MonthEnd(0)) <= run.as_of]
    _, history = beside(run, data, before, pd.DatetimeIndex(before["month"].unique()))
    region = region_of_site(data, run)
    starts = data.regions.set_index("region_id")["records_from"].dropna()
    month = starts.dt.to_period("M").dt.to_timestamp()
    # Series.map cannot look dates up for sites that all lack a region.
    begins = pd.Series(pd.to_datetime([month.get(name, pd.NaT) for name in region]), index=region.index)
    return compared_cells(planned, actual, region, history, begins)


def _naive(
    cells: pd.DataFrame, history: pd.DataFrame | None, begins: pd.Series | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of the last twelve months known, and the same month of the year before (else that mean)."""
    nothing = np.full(len(cells), np.nan)
    if history is None or history.empty or cells.empty:
        return nothing, nothing
    number = _number(history["month"])
    end = int(number.max()) + 1
    first = np.full(len(cells), int(number.min()), dtype=np.int64)
    if begins is not None:
        own = pd.to_datetime(cells["site_id"].map(begins))
        first = np.where(own.isna(), first, np.maximum(_number(own.fillna(history["month"].min())), first))
    year = history[number >= end - YEAR]
    sums = year.groupby(PAIR)["quantity"].sum()
    index = pd.MultiIndex.from_frame(cells[PAIR])
    months = np.clip(end - np.maximum(first, end - YEAR), 1, YEAR)
    mean = sums.reindex(index).fillna(0.0).to_numpy(float) / months
    known = year.set_index(CELL)["quantity"]
    before = cells[CELL].assign(month=cells["month"] - pd.DateOffset(years=1))
    same = known.reindex(pd.MultiIndex.from_frame(before)).fillna(0.0).to_numpy(float)
    last_year = _number(before["month"])
    there = (last_year >= first) & (last_year < end)
    return np.maximum(mean, 0.0), np.maximum(np.where(there, same, mean), 0.0)


def _number(months: pd.Series) -> NDArray[np.int64]:
    """Months counted from year 0."""
    date = pd.DatetimeIndex(months)
    return np.asarray(date.year * 12 + date.month - 1, dtype=np.int64)
