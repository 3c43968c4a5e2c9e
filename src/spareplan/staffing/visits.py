"""What a visit takes: hours, skill, travel, missing parts; from past orders, regions mixed with all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spareplan.config import StaffingOptions
from spareplan.maths.units import HOURS_PER_DAY

PRIORITIES = ("P1", "P2", "P3", "P4")
KINDS = ("failure", "request", "project", "inspection")
SKILLS = ("junior", "senior", "expert")


def work_hours(
    past: pd.DataFrame, regions: pd.Index, options: StaffingOptions, notes: list[dict[str, Any]]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Estimate the time at the machine per kind and priority, a region's factor on it, squared variations."""
    done = past[past["work_hours"] > 0]
    grid = pd.DataFrame(options.default_work_hours, index=list(KINDS), columns=list(PRIORITIES))
    factor = pd.DataFrame({"hours_factor": 1.0}, index=regions)
    scv = dict.fromkeys((*PRIORITIES, "visit"), options.default_work_scv)
    if done.empty:
        notes.append(
            note(
                "work_hours",
                options.default_work_hours,
                "hours",
                "default",
                "work_orders.work_hours is empty",
            )
        )
        return grid, factor, scv
    few = options.kin_orders
    of_kind = done.groupby("kind")["work_hours"].mean().reindex(list(KINDS)).fillna(done["work_hours"].mean())
    sums, sizes = (
        done.pivot_table("work_hours", "kind", "priority", how)
        .reindex(index=list(KINDS), columns=list(PRIORITIES))
        .fillna(0.0)
        for how in ("sum", "count")
    )
    grid = sums.add(few * of_kind, axis=0) / (sizes + few)
    usual = grid.to_numpy()[
        pd.Index(KINDS).get_indexer(pd.Index(done["kind"])),
        pd.Index(PRIORITIES).get_indexer(pd.Index(done["priority"])),
    ]
    mean = float(done["work_hours"].mean())
    own = (
        pd.DataFrame(
            {"region_id": done["region_id"].to_numpy(), "real": done["work_hours"].to_numpy(), "usual": usual}
        )
        .groupby("region_id")
        .sum()
        .reindex(regions, fill_value=0.0)
    )
    factor["hours_factor"] = (own["real"] + few * mean) / (own["usual"] + few * mean)
    whole = done["work_hours"]
    samples = {name: whole[done["priority"] == name] for name in PRIORITIES}
    samples = {name: own if len(own) >= few else whole for name, own in samples.items()}
    samples["visit"] = whole + done["travel_hours"].fillna(0.0)
    for name, hours in samples.items():
        if len(hours) > 1:
            scv[name] = float(np.clip(hours.var() / hours.mean() ** 2, 0.05, 4.0))
    notes.append(
        note(
            "work_hours",
            round(mean, 2),
            "hours",
            "estimated from work_orders.work_hours",
            f"mean time at the machine of {len(done)} orders; squared variation {scv['visit']:.2f}",
        )
    )
    return grid, factor, scv


def visit_shares(
    data: Any,
    levels: pd.DataFrame | None,
    past: pd.DataFrame,
    regions: pd.Index,
    region_of: pd.Series,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
) -> pd.DataFrame:
    """Estimate what a visit meets per region: travel, missing parts, work that has to be repeated."""
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
    out["again"], out["missing"], out["parts_hours"] = (
        options.not_fixed_share,
        options.part_missing_share,
        np.nan,
    )
    if len(ends):
        bad = (ends["outcome"] == "not_fixed").groupby(ends["region_id"]).agg(["sum", "size"])
        bad = bad.reindex(regions, fill_value=0)
        common = float((ends["outcome"] == "not_fixed").mean())
        out["again"] = (bad["sum"] + few * common) / (bad["size"] + few)
        notes.append(
            note(
                "not_fixed_share",
                round(common, 3),
                "share",
                "estimated from work_orders.outcome",
                f"{len(ends)} finished orders",
            )
        )
    linked = data.replacements["order_id"].dropna().unique()
    share = options.part_order_share
    origin = "default"
    if len(linked) and len(failures):
        share = float(failures["order_id"].isin(linked).mean())
        origin = "estimated from replacements.order_id"
    notes.append(
        note("part_order_share", round(share, 3), "share", origin, "failure orders that need a part")
    )
    fill = _regional_fill(levels, region_of, regions)
    if fill is not None:
        out["missing"] = share * (1.0 - fill["fill_rate"])
        out["parts_hours"] = fill["parts_hours"]
        notes.append(
            note(
                "part_missing_share",
                round(float(out["missing"].mean()), 3),
                "share",
                "stock levels: fill_rate",
                "failure orders whose part will be missing, mean over regions",
            )
        )
    elif len(failures):
        lost = (failures["outcome"] == "part_missing").groupby(failures["region_id"]).agg(["sum", "size"])
        lost = lost.reindex(regions, fill_value=0)
        common = float((failures["outcome"] == "part_missing").mean())
        out["missing"] = (lost["sum"] + few * common) / (lost["size"] + few)
        notes.append(
            note(
                "part_missing_share",
                round(common, 3),
                "share",
                "estimated from work_orders.outcome",
                "failure orders that missed their part",
            )
        )
    out["parts_hours"] = out["parts_hours"].fillna(options.parts_wait_hours)
    rush = data.sites.groupby("region_id")["emergency_days"].mean().reindex(regions) * HOURS_PER_DAY
    if options.emergency_parts and rush.notna().any():
        out["parts_hours"] = np.minimum(out["parts_hours"], rush.fillna(np.inf))
        notes.append(
            note(
                "emergency_hours",
                round(float(rush.mean()), 1),
                "hours",
                "data: sites.emergency_days",
                "a missing part comes by emergency delivery where that is faster; mean over regions",
            )
        )
    out["missing"] = out["missing"].fillna(options.part_missing_share).clip(0.0, 1.0)
    return out


def _regional_fill(
    levels: pd.DataFrame | None, region_of: pd.Series, regions: pd.Index
) -> pd.DataFrame | None:
    """Weigh fill rate and wait of a missing part by demand, per region."""
    if levels is None or levels.empty:
        return None
    rows = levels[(levels["demand_per_day"] > 0) & levels["fill_rate"].notna()]
    rows = rows.assign(region_id=rows["site_id"].map(region_of)).dropna(subset=["region_id"])
    if rows.empty:
        return None
    weight = rows["demand_per_day"]
    sums = (
        pd.DataFrame(
            {
                "region_id": rows["region_id"],
                "weight": weight,
                "filled": weight * rows["fill_rate"],
                "waited": weight * rows["mean_wait_days"].fillna(0.0) * HOURS_PER_DAY,
            }
        )
        .groupby("region_id")
        .sum()
    )
    missed = (sums["weight"] - sums["filled"]).clip(lower=1e-12)
    out = pd.DataFrame({"fill_rate": sums["filled"] / sums["weight"], "parts_hours": sums["waited"] / missed})
    return out.reindex(regions)


def skill_shares(past: pd.DataFrame, regions: pd.Index, options: StaffingOptions) -> pd.DataFrame:
    """Share hours by least skill, regions mixed with all; an order without skill needs a junior."""
    hours = past["work_hours"].fillna(options.default_work_hours) + past["travel_hours"].fillna(0.0)
    skill = past["skill"].where(past["skill"].isin(SKILLS), "junior")
    rows = pd.DataFrame({"region_id": past["region_id"], "skill": skill, "hours": hours})
    table = rows.pivot_table("hours", "region_id", "skill", "sum")
    table = table.reindex(index=regions, columns=list(SKILLS)).fillna(0.0)
    common = table.sum() / table.to_numpy().sum()
    kin = options.kin_orders * float(hours.mean())
    return (table + kin * common).div(table.sum(axis=1) + kin, axis=0)


def call_profile(past: pd.DataFrame, options: StaffingOptions, notes: list[dict[str, Any]]) -> np.ndarray:
    """Count calls per hour of the day against the mean; flat where the hours are not recorded."""
    hours = past["opened_at"].dt.hour.to_numpy()
    counts = np.bincount(hours, minlength=24).astype(float)
    if not options.hour_profile or counts.max() >= 0.9 * counts.sum():
        notes.append(note("hour_profile", "flat", "", "default", "calls come evenly over the day"))
        return np.ones(24)
    notes.append(
        note(
            "hour_profile",
            f"{int(counts.argmax())}:00",
            "",
            "estimated from work_orders.opened_at",
            f"busiest hour, {counts.max() / counts.mean():.1f} times the mean",
        )
    )
    return (counts + 1.0) / (counts + 1.0).mean()


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
