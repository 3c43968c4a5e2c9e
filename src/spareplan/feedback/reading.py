"""Stored forecasts and what really came, side by side: one row per part, site and month that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.maths.distributions import quantile
from spareplan.tables.supersession import newest_parts
from spareplan.tables.taken import CELL, by_forecast_part, taken_from_shelves

if TYPE_CHECKING:
    from spareplan.results import Plan
    from spareplan.tables.dataset import Dataset

# Of two versions of one day that one counts which went further.
STANDING = {"draft": 0, "approved": 1, "superseded": 2, "issued": 2}
# Records due in the rest of a month, at the pace before, from which their lack says it is not over.
RECORDS_MISSED = 7.0


@dataclass(frozen=True)
class StoredForecast:
    """What of a stored plan is held against the records.

    Parameters
    ----------
    version : object
        Its number in the store or its name.
    as_of : Timestamp
        Last day that was known when it was made.
    table : DataFrame
        As `DemandForecast.table`.
    overrides, parts, sites : DataFrame
        As they stood then; empty where the plan kept none.
    """

    version: Any
    as_of: pd.Timestamp
    table: pd.DataFrame
    overrides: pd.DataFrame = field(default_factory=pd.DataFrame)
    parts: pd.DataFrame = field(default_factory=pd.DataFrame)
    sites: pd.DataFrame = field(default_factory=pd.DataFrame)


def stored_forecast(plan: Plan, version: Any = None) -> StoredForecast:
    """Forecast of a plan with the tables that tell about it.

    Parameters
    ----------
    plan : Plan
    version : object
        What to call it.

    Returns
    -------
    StoredForecast
    """
    kept = plan.inputs
    laid = kept.get("applied_overrides", kept.get("overrides", pd.DataFrame()))
    return StoredForecast(
        version,
        pd.Timestamp(plan.demand.as_of).as_unit("us"),
        plan.demand.table,
        laid,
        kept.get("parts", pd.DataFrame()),
        kept.get("sites", pd.DataFrame()),
    )


def stored_forecasts(previous: Any, latest_of_a_day: bool = True) -> list[StoredForecast]:
    """Forecasts of several plans, the oldest first.

    Parameters
    ----------
    previous : PlanStore, mapping of name to Plan, or iterable of Plan
        Of a store only the tables that are needed are read.
    latest_of_a_day : bool
        Keep one version per last known day: the issued before the approved before the draft, then the one
        given or saved last.

    Returns
    -------
    list of StoredForecast

    Raises
    ------
    DataError
        Something that holds no plans.
    """
    if hasattr(previous, "list") and hasattr(previous, "table"):
        return _from_store(previous, latest_of_a_day)
    if isinstance(previous, Mapping):
        named = list(previous.items())
    elif isinstance(previous, Iterable) and not isinstance(previous, str):
        named = list(enumerate(previous, start=1))
    else:
        named = [("", previous)]
    strange = [plan for _, plan in named if not (hasattr(plan, "demand") and hasattr(plan, "inputs"))]
    if strange:
        raise problem_in_argument(
            "stored forecasts",
            "previous",
            type(strange[0]).__name__,
            "holds no plan",
            "give a PlanStore, plans by name, or a list of plans",
        )
    runs = [stored_forecast(plan, name) for name, plan in named]
    runs.sort(key=lambda run: run.as_of)
    return list({run.as_of: run for run in runs}.values()) if latest_of_a_day else runs


def last_whole_day(data: Dataset, as_of: Any = None) -> pd.Timestamp:
    """Last day whose records are complete as far as the records themselves can tell.

    Parameters
    ----------
    data : Dataset
    as_of : date, optional
        Taken as it is.

    Returns
    -------
    Timestamp
        The end of the month of the latest record; the end of the month before, where replacements stop
        inside that month for longer than they ever paused in the year before, although many were due.
    """
    last = data.as_of(as_of)
    days = data.replacements["replaced_on"]
    if as_of is not None or days.empty:
        return last
    newest = days.max().normalize()
    silent = (last - newest).days
    year = days[days > newest - pd.Timedelta(days=365)].dt.normalize()
    spoken = np.sort(year.unique())
    if silent <= 0 or len(spoken) < 2 or newest.to_period("M") != last.to_period("M"):
        return last
    pauses = np.diff(spoken) / np.timedelta64(1, "D")
    span = (spoken[-1] - spoken[0]) / np.timedelta64(1, "D")
    if silent > pauses.max() and len(year) / span * silent > RECORDS_MISSED:
        return last.to_period("M").to_timestamp() - pd.Timedelta(days=1)
    return last


def months_over(months: Any, as_of: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Whole months that began after one day and ended by another.

    Parameters
    ----------
    months : array-like of datetime
        Month starts.
    as_of, last : Timestamp
        A month already begun on `as_of` was foreseen in part only, so it is no whole month.

    Returns
    -------
    DatetimeIndex
        Sorted.
    """
    known = pd.DatetimeIndex(np.sort(pd.Series(months).unique()))
    return known[(known > as_of) & (known + pd.offsets.MonthEnd(0) <= last)]


def beside(
    run: StoredForecast, data: Dataset, taken: pd.DataFrame, months: pd.DatetimeIndex
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Planned rows and what was taken, under the same part numbers.

    Parameters
    ----------
    run : StoredForecast
    data : Dataset
        Later records; uses parts.
    taken : DataFrame
        part_id, site_id, month, quantity. [pieces]
    months : DatetimeIndex
        Months to be compared.

    Returns
    -------
    planned, actual : DataFrame
        A part superseded since the plan stands under its successor's number on both sides; an old number
        that the plan already counted as its successor's is counted so again.
    """
    planned = run.table[run.table["month"].isin(months)]
    actual = taken[taken["month"].isin(months)]
    since = _successors_since(run, data.parts)
    if since:
        planned = _merged_parts(planned, since)
        actual = _renamed(actual, since)
    return planned, by_forecast_part(actual, data.parts, planned)


def region_of_site(data: Dataset, run: StoredForecast | None = None) -> pd.Series:
    """Region of each site, also of sites that were closed since the plan.

    Parameters
    ----------
    data : Dataset
    run : StoredForecast, optional

    Returns
    -------
    Series
        Indexed by site_id; NaN where a site serves no region.
    """
    today = data.network.region
    if run is None or run.sites.empty or "region_id" not in run.sites:
        return today
    then = run.sites.set_index("site_id")["region_id"]
    closed = then[~then.index.isin(today.index)]
    return pd.concat([today.astype(object), closed.astype(object)]) if len(closed) else today


def region_or_site(site: pd.Series, region: pd.Series | None) -> pd.Series:
    """Region of each row; a site without one stands for itself."""
    own = site.astype(object)
    if region is None:
        return own
    found = own.map(region).astype(object)
    return found.where(found.notna(), own)


def model_mean(table: pd.DataFrame) -> pd.Series:
    """What the model said before any correction by feedback and any planner."""
    mean = table["model_mean"].fillna(table["mean"]) if "model_mean" in table else table["mean"]
    return mean - table["from_correction"].fillna(0.0) if "from_correction" in table else mean


def taken_until(data: Dataset, last: pd.Timestamp, one_offs: bool = True) -> pd.DataFrame:
    """What was taken from the shelves in months that are over by a day.

    Parameters
    ----------
    data : Dataset
    last : Timestamp
    one_offs : bool
        Count what planners have named one-off projects; no model is to foresee them.

    Returns
    -------
    DataFrame
        part_id, site_id, month, quantity [pieces]; sorted.
    """
    taken = taken_from_shelves(data)
    known = data.demand
    if not one_offs and known["one_off"].fillna(0.0).any():
        named = known[CELL].assign(quantity=-known["one_off"].fillna(0.0))
        taken = pd.concat([taken, named]).groupby(CELL, sort=True)[["quantity"]].sum().reset_index()
    return taken[taken["month"] + pd.offsets.MonthEnd(0) <= last]


def _from_store(store: Any, latest_of_a_day: bool) -> list[StoredForecast]:
    listed = store.list()
    listed = listed.assign(
        as_of=pd.to_datetime(listed["as_of"]), standing=listed["status"].map(STANDING).fillna(0)
    )
    if latest_of_a_day:
        listed = listed.sort_values(["standing", "version"]).drop_duplicates("as_of", keep="last")
    listed = listed.sort_values(["as_of", "version"])
    runs = []
    for version, as_of in zip(listed["version"].tolist(), listed["as_of"]):
        names = store.tables(version)
        laid = "inputs.applied_overrides" if "inputs.applied_overrides" in names else "inputs.overrides"
        kept = [
            store.table(version, name) if name in names else pd.DataFrame()
            for name in ("demand.table", laid, "inputs.parts", "inputs.sites")
        ]
        runs.append(StoredForecast(version, pd.Timestamp(as_of).as_unit("us"), *kept))
    return runs


def _successors_since(run: StoredForecast, parts: pd.DataFrame) -> dict[str, str]:
    """Last successor of parts superseded after the plan was made, or unknown to its forecast."""
    newest = newest_parts(parts)
    if not newest:
        return {}
    planned = set(run.table["part_id"].unique())
    told = "superseded_by" in run.parts
    known = newest_parts(run.parts) if told else {}
    return {
        old: new
        for old, new in newest.items()
        if (new not in planned and old in planned) or (told and known.get(old) != new)
    }


def _renamed(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    if not rows["part_id"].isin(names).any():
        return rows
    moved = rows.assign(part_id=rows["part_id"].map(lambda part: names.get(part, part)))
    return moved.groupby(CELL, sort=True)[["quantity"]].sum().reset_index()


def _merged_parts(planned: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Rows of a forecast under new numbers; where two fall together their distributions are added."""
    if not planned["part_id"].isin(names).any():
        return planned
    out = planned.assign(part_id=planned["part_id"].map(lambda part: names.get(part, part)).astype(object))
    if not out.duplicated(CELL).any():
        return out
    mean = out["mean"]
    sums = [name for name in ("mean", "model_mean", "from_correction") if name in out]
    out = out.assign(chance=out["vmr"] * mean, doubt=out["rate_cv2"] * mean**2)
    out = out.groupby(CELL, sort=True)[[*sums, "chance", "doubt"]].sum().reset_index()
    safe = out["mean"].where(out["mean"] > 0, 1.0)
    out["vmr"] = (out["chance"] / safe).where(out["mean"] > 0, 1.0)
    out["rate_cv2"] = out["doubt"] / safe**2
    for name in [str(name) for name in planned if str(name).startswith("q0.")]:
        level = np.full(len(out), float(name[1:]))
        out[name] = quantile(level, out["mean"], out["chance"] + out["doubt"])
    return out.drop(columns=["chance", "doubt"])
