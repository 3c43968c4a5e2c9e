"""Time at the machine: mean by kind and priority, by region and skill, and how much it varies."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.staffing.visits import KINDS, PRIORITIES, SKILLS, note

FloatArray = NDArray[np.float64]
# A single mistyped time must not pass for variation.
MOST_SCV = 10.0
_LEAST_SCV = 0.01


class RepairHours(NamedTuple):
    """Time at the machine of a standard engineer.

    Parameters
    ----------
    grid : DataFrame
        kind x priority: mean. [hours]
    factor : Series
        By region: mean against that of all regions with the same kinds and priorities.
    scv : DataFrame
        region x priority: squared variation of orders of one kind.
    by_skill : Series
        Mean by least skill that an order needs. [hours]
    of_orders : Series
        Standard hours of each past order, by its index; NaN unknown. [hours]
    """

    grid: pd.DataFrame
    factor: pd.Series
    scv: pd.DataFrame
    by_skill: pd.Series
    of_orders: pd.Series


def repair_hours(
    past: pd.DataFrame,
    regions: pd.Index,
    engineers: pd.DataFrame,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
) -> RepairHours:
    """Estimate times at the machine from past orders, regions mixed with all.

    Parameters
    ----------
    past : DataFrame
        region_id, kind, priority, skill, work_hours.
    regions : Index
        R region ids.
    engineers : DataFrame
        region_id, skill, headcount, efficiency.
    options : StaffingOptions
    notes : list of dict
        Gets rows of an assumptions table.

    Returns
    -------
    RepairHours

    Notes
    -----
    Recorded hours are those of the people who were there: `standard_hours` turns them into hours of a
    standard engineer, so that a crew of juniors is not counted slow twice. Second moments are mixed with
    those of all regions like means, weighing `kin_orders` orders.
    """
    few = options.kin_orders
    done = past[past["work_hours"] > 0]
    index, columns = pd.Index(KINDS), pd.Index(PRIORITIES)
    if done.empty:
        notes += [
            note(
                "work_hours",
                options.default_work_hours,
                "hours",
                "default",
                "work_orders.work_hours is empty",
            ),
            note("work_scv", options.default_work_scv, "ratio", "default", "work_orders.work_hours is empty"),
        ]
        return RepairHours(
            pd.DataFrame(options.default_work_hours, index=index, columns=columns),
            pd.Series(1.0, index=regions),
            pd.DataFrame(options.default_work_scv, index=regions, columns=columns),
            pd.Series(options.default_work_hours, index=list(SKILLS)),
            pd.Series(np.nan, index=past.index),
        )
    done = done.assign(hours=standard_hours(done, regions, engineers, options, notes))
    mean = float(done["hours"].mean())
    of_kind = done.groupby("kind")["hours"].mean().reindex(index).fillna(mean)
    sums, sizes = (
        done.pivot_table("hours", "kind", "priority", how).reindex(index=index, columns=columns).fillna(0.0)
        for how in ("sum", "count")
    )
    grid = sums.add(few * of_kind, axis=0) / (sizes + few)
    kind, priority = (
        names.get_indexer(pd.Index(done[c])) for names, c in ((index, "kind"), (columns, "priority"))
    )
    done["usual"] = grid.to_numpy()[kind, priority]
    own = done.groupby("region_id")[["hours", "usual"]].sum().reindex(regions, fill_value=0.0)
    factor = (own["hours"] + few * mean) / (own["usual"] + few * mean)
    scv = _variation(done, factor, regions, few)
    by_skill = _by_skill(done, mean, few)
    told = ", ".join(f"{skill} {float(by_skill[skill]):.1f}" for skill in SKILLS)
    notes += [
        note(
            "work_hours",
            round(mean, 2),
            "hours",
            "estimated from work_orders.work_hours",
            f"mean time at the machine of {len(done)} orders, by kind, priority and region; by skill: {told}",
        ),
        note(
            "work_scv",
            f"{scv.to_numpy().min():.2f} to {scv.to_numpy().max():.2f}",
            "ratio",
            "estimated from work_orders.work_hours",
            "squared variation by region and priority, mixed with that of all regions",
        ),
    ]
    return RepairHours(grid, factor, scv, by_skill, done["hours"].reindex(past.index))


def standard_hours(
    done: pd.DataFrame,
    regions: pd.Index,
    engineers: pd.DataFrame,
    options: StaffingOptions,
    notes: list[dict[str, Any]],
) -> FloatArray:
    """Hours that a standard engineer would have taken.

    Parameters
    ----------
    done : DataFrame
        region_id, skill, work_hours.
    regions : Index
    engineers : DataFrame
        region_id, skill, headcount, efficiency.
    options : StaffingOptions
        `recorded_hours`.
    notes : list of dict
        Gets a row of an assumptions table.

    Returns
    -------
    ndarray, shape (n,)
        Recorded hours times the efficiency of the skill the order names in its region; of the region's mean
        where it names none. [hours]
    """
    hours = done["work_hours"].to_numpy(dtype=float)
    if options.recorded_hours == "standard" or engineers.empty or (engineers["efficiency"] == 1.0).all():
        reason = (
            "recorded hours count as those of a standard engineer"
            if options.recorded_hours == "standard"
            else "no engineer's efficiency differs from a standard engineer's"
        )
        notes.append(note("standard_hours", 1.0, "ratio", "default", reason))
        return hours
    wide = engineers.pivot_table("efficiency", "region_id", "skill", "mean")
    wide = wide.reindex(index=regions, columns=list(SKILLS)).astype(float)
    wide = wide.fillna(wide.mean()).fillna(1.0)
    heads = engineers.pivot_table("headcount", "region_id", "skill", "sum")
    heads = heads.reindex(index=regions, columns=list(SKILLS)).fillna(0.0) + 1e-9
    table = np.column_stack([wide.to_numpy(), (wide * heads).sum(axis=1) / heads.sum(axis=1)])
    place = regions.get_indexer(pd.Index(done["region_id"]))
    skill = pd.Index(SKILLS).get_indexer(pd.Index(done["skill"]))
    told = int((skill >= 0).sum())
    factor = table[place, np.where(skill < 0, len(SKILLS), skill)]
    notes.append(
        note(
            "standard_hours",
            round(float((hours * factor).sum() / hours.sum()), 3),
            "ratio",
            "data: engineers.efficiency and work_orders.skill",
            f"standard to recorded hours; {told} of {len(done)} orders name the skill that did them",
        )
    )
    standard: FloatArray = hours * factor
    return standard


def _variation(done: pd.DataFrame, factor: pd.Series, regions: pd.Index, few: float) -> pd.DataFrame:
    """Squared variation around the mean of kind, priority and region; moments mixed with all regions."""
    ratio = done["hours"] / (done["usual"] * done["region_id"].map(factor))
    square = (ratio**2).groupby([done["region_id"], done["priority"]]).agg(["sum", "size"])
    both = pd.MultiIndex.from_product([regions, PRIORITIES])
    square = square.reindex(both, fill_value=0.0)
    overall = float((ratio**2).mean())
    common = (
        (ratio**2).groupby(done["priority"]).agg(["sum", "size"]).reindex(list(PRIORITIES), fill_value=0.0)
    )
    usual = (common["sum"] + few * overall) / (common["size"] + few)
    kin = usual.reindex(both.get_level_values(1)).to_numpy()
    mixed = (square["sum"].to_numpy() + few * kin) / (square["size"].to_numpy() + few)
    scv = np.clip(mixed.reshape(len(regions), -1) - 1.0, _LEAST_SCV, MOST_SCV)
    return pd.DataFrame(scv, index=regions, columns=list(PRIORITIES))


def _by_skill(done: pd.DataFrame, mean: float, few: float) -> pd.Series:
    skill = done["skill"].where(done["skill"].isin(SKILLS), "junior")
    sums = done["hours"].groupby(skill).agg(["sum", "size"]).reindex(list(SKILLS), fill_value=0.0)
    return (sums["sum"] + few * mean) / (sums["size"] + few)
