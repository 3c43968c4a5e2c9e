"""What a visit takes: hours, skill, travel, missing parts; from past orders, regions mixed with all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import HOURS_PER_DAY
from spareplan.staffing.parts_wait import PartsWait, level_rows, parts_per_order, parts_wait

PRIORITIES = ("P1", "P2", "P3", "P4")
KINDS = ("failure", "request", "project", "inspection")
SKILLS = ("junior", "senior", "expert")
# A machine that ten visits do not mend is another matter.
MOST_AGAIN = 0.9


def visit_shares(
    data: Any,
    demand: pd.DataFrame,
    levels: pd.DataFrame | None,
    past: pd.DataFrame,
    regions: pd.Index,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
    follow_ups: float = 0.0,
) -> pd.DataFrame:
    """Estimate what a visit meets per region: travel, missing parts, work that has to be repeated.

    Parameters
    ----------
    data : Dataset
    demand, levels : DataFrame
        `DemandForecast.table`, `StockLevels.table` (None: as in the past).
    past : DataFrame
        Past orders.
    regions : Index
    options : StaffingOptions
    notes : list of dict
        Gets rows of an assumptions table.
    follow_ups : float
        Share of the further visits that are orders of their own in the records.

    Returns
    -------
    DataFrame
        By region: travel_hours (there and back; NaN where no order tells), again (share of the visits made
        with the part that do not mend), missing (share of failure orders), parts_hours, parts_scv (wait for a
        missing part).
    """
    few = options.kin_orders
    drives = past.loc[past["travel_hours"].notna()].groupby("region_id")["travel_hours"].agg(["mean", "size"])
    out = pd.DataFrame(index=regions)
    out["travel_hours"] = drives["mean"].where(drives["size"] >= 10).reindex(regions)
    told = int(out["travel_hours"].notna().sum())
    notes.append(
        note(
            "travel_hours",
            f"{told} of {len(regions)} regions",
            "",
            "estimated from work_orders.travel_hours",
            "mean of the recorded hours there and back; other regions from where their machines are",
        )
    )
    ends = past[past["outcome"].notna()]
    failures = ends[ends["kind"] == "failure"]
    out["again"], out["missing"] = options.not_fixed_share, options.part_missing_share
    # A visit without the part mended nothing and failed at nothing.
    made = ends[ends["outcome"] != "part_missing"]
    if len(made):
        bad = (made["outcome"] == "not_fixed").groupby(made["region_id"]).agg(["sum", "size"])
        bad = bad.reindex(regions, fill_value=0)
        common = float((made["outcome"] == "not_fixed").mean())
        out["again"] = ((bad["sum"] + few * common) / (bad["size"] + few)).clip(upper=MOST_AGAIN)
        notes.append(
            note(
                "not_fixed_share",
                round(common, 3),
                "share",
                "estimated from work_orders.outcome",
                f"{len(made)} visits made with the part",
            )
        )
    else:
        notes.append(
            note("not_fixed_share", options.not_fixed_share, "share", "default", "no order tells its outcome")
        )
    linked = data.replacements["order_id"].dropna().unique()
    share = options.part_order_share
    origin = "default"
    if len(linked) and len(failures):
        share = float((pd.Index(linked).get_indexer(pd.Index(failures["order_id"])) >= 0).mean())
        origin = "estimated from replacements.order_id"
    notes.append(
        note("part_order_share", round(share, 3), "share", origin, "failure orders that need a part")
    )
    wait = None if levels is None or levels.empty else _from_levels(data, levels, demand, regions, options)
    out["parts_hours"], out["parts_scv"] = np.nan, np.nan
    if wait is not None and np.isfinite(wait.missing).any():
        out["missing"] = share * wait.missing
        out["parts_hours"], out["parts_scv"] = wait.hours, wait.scv
        known = np.isfinite(wait.scv)
        notes.append(
            note(
                "part_missing_share",
                round(float(out["missing"].mean()), 3),
                "share",
                "stock levels: fill_rate",
                "failure orders whose part will be missing, mean over regions; parts weigh by their failures",
            )
        )
        if known.any():
            notes.append(
                note(
                    "parts_wait",
                    f"{np.mean(wait.hours[known]):.0f}, squared variation {np.mean(wait.scv[known]):.2f}",
                    "hours",
                    "stock levels: fill_rate, mean_wait_days; data: sites.lead_time_days",
                    "wait for a missing part, mean over regions",
                )
            )
    elif len(failures):
        lost = (failures["outcome"] == "part_missing").groupby(failures["region_id"]).agg(["sum", "size"])
        lost = lost.reindex(regions, fill_value=0)
        common = float((failures["outcome"] == "part_missing").mean())
        rows = (lost["sum"] + few * common) / (lost["size"] + few)
        further = visits_per_order(follow_ups, rows.to_numpy(), out["again"].to_numpy()) - 1.0
        out["missing"] = rows * (1.0 + follow_ups * further)
        notes.append(
            note(
                "part_missing_share",
                round(common, 3),
                "share",
                "estimated from work_orders.outcome",
                "failure orders that missed their part",
            )
        )
    else:
        notes.append(
            note(
                "part_missing_share",
                options.part_missing_share,
                "share",
                "default",
                "neither stock levels nor outcomes tell",
            )
        )
    untold = out["parts_hours"].isna()
    rush = _rush(data, regions, options)
    out["parts_hours"] = np.minimum(out["parts_hours"].fillna(options.parts_wait_hours), rush)
    # A wait that an emergency delivery always ends is known to the hour.
    out.loc[untold, "parts_scv"] = np.where(options.parts_wait_hours > rush[untold], 0.0, 1.0)
    if untold.any():
        notes.append(
            note(
                "parts_wait_hours",
                options.parts_wait_hours,
                "hours",
                "default",
                f"no stock levels tell the wait for a missing part in {', '.join(out.index[untold])}",
            )
        )
    if np.isfinite(rush).any():
        notes.append(
            note(
                "emergency_hours",
                round(float(rush[np.isfinite(rush)].mean()), 1),
                "hours",
                "data: sites.emergency_days",
                "a missing part comes by emergency delivery where that is faster; mean over regions",
            )
        )
    out["missing"] = out["missing"].fillna(options.part_missing_share).clip(0.0, 1.0)
    return out


def visits_per_order(
    follow_ups: float, lost: float | NDArray[np.float64], again: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Visits of an order until its machine is mended.

    Parameters
    ----------
    follow_ups : float
        Share of the further visits that are rows of their own in the records.
    lost : float or ndarray, shape (n,)
        Recorded rows that missed their part.
    again : ndarray, shape (n,)
        Share of the visits made with the part that do not mend.

    Returns
    -------
    ndarray, shape (n,)
        v = missing + 1 / (1 - again), where an order has 1 + follow_ups (v - 1) rows and missing is `lost`
        times these.
    """
    return (1.0 / (1.0 - again) + lost * (1.0 - follow_ups)) / (1.0 - lost * follow_ups)


def _rush(data: Any, regions: pd.Index, options: StaffingOptions) -> pd.Series:
    """Time of an emergency delivery per region; infinite without one [hours]."""
    if not options.emergency_parts:
        return pd.Series(np.inf, index=regions)
    days = data.sites.groupby("region_id")["emergency_days"].mean().reindex(regions)
    return (days * HOURS_PER_DAY).fillna(np.inf)


def _from_levels(
    data: Any, levels: pd.DataFrame, demand: pd.DataFrame, regions: pd.Index, options: StaffingOptions
) -> PartsWait:
    rows = level_rows(levels, demand, data.sites, regions)
    return parts_wait(
        rows["region"].to_numpy(),
        len(regions),
        rows["weight"].to_numpy(),
        rows["fill"].to_numpy(),
        rows["wait"].to_numpy(),
        rows["lead"].to_numpy(),
        _rush(data, regions, options).to_numpy(),
        parts_per_order(data.replacements),
    )


def skill_shares(
    past: pd.DataFrame,
    standard: pd.Series,
    regions: pd.Index,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Share hours and orders by least skill, regions mixed with all; an order without skill needs a junior.

    Parameters
    ----------
    past : DataFrame
        region_id, skill, travel_hours.
    standard : Series
        Standard hours at the machine of these orders (its index); NaN unknown. [hours]
    regions : Index
    options : StaffingOptions
    notes : list of dict
        Gets a row of an assumptions table.

    Returns
    -------
    hours, orders : DataFrame
        region x skill: shares.
    """
    hours = standard.fillna(options.default_work_hours) + past["travel_hours"].fillna(0.0)
    skill = past["skill"].where(past["skill"].isin(SKILLS), "junior")
    rows = pd.DataFrame({"region_id": past["region_id"], "skill": skill, "hours": hours, "orders": 1.0})
    shares = []
    for column in ("hours", "orders"):
        table = rows.pivot_table(column, "region_id", "skill", "sum")
        table = table.reindex(index=regions, columns=list(SKILLS)).fillna(0.0)
        common = table.sum() / table.to_numpy().sum()
        kin = options.kin_orders * float(rows[column].mean())
        shares.append((common, (table + kin * common).div(table.sum(axis=1) + kin, axis=0)))
    named = int(past["skill"].isin(SKILLS).sum())
    told = ", ".join(f"{name} {float(shares[0][0][name]):.0%}" for name in SKILLS)
    notes.append(
        note(
            "skill_shares",
            told,
            "share of hours",
            "estimated from work_orders.skill" if named else "default",
            f"least skill that is needed; {named} of {len(past)} orders name it, the others need a junior",
        )
    )
    return shares[0][1], shares[1][1]


def note(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
    """Make a row of the assumptions table."""
    return {
        "stage": "staffing",
        "name": name,
        "value": value,
        "unit": unit,
        "origin": origin,
        "meaning": meaning,
    }
