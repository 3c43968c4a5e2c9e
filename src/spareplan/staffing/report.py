"""Tables and words of the head count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.staffing.desk import DeskPlan
from spareplan.staffing.duty import Duty
from spareplan.staffing.night import duty_words
from spareplan.staffing.sharing import PeoplePlan
from spareplan.staffing.sizing import NONE, Kept, Sized
from spareplan.staffing.teams import Teams
from spareplan.staffing.visits import PRIORITIES, SKILLS
from spareplan.staffing.workload import Workload

FloatArray = NDArray[np.float64]


def headcount_table(
    teams: Teams,
    months: pd.DatetimeIndex,
    load: Workload,
    plan: PeoplePlan,
    required: FloatArray,
    used: FloatArray,
    respond: FloatArray,
    resolve: FloatArray,
    bound: NDArray[np.str_],
    sized: Sized,
    hours: dict[str, FloatArray],
    duty: Duty = Duty(),  # noqa: B008 - frozen
    decided: list[str] | None = None,
) -> pd.DataFrame:
    """Lay out the head count, a row per region, month and skill (columns of the result table Headcount).

    `decided` says for each region and month which promise decides the waits; empty or None: not known.
    """
    count, periods, skills = len(teams.regions), len(months), len(SKILLS)
    heads = np.broadcast_to(teams.heads[:, :, None], required.shape)

    def column(values: FloatArray) -> FloatArray:
        return values.transpose(0, 2, 1).reshape(-1)

    row = np.repeat(np.arange(count * periods), skills)
    table = pd.DataFrame(
        {
            "region_id": np.repeat(teams.regions.to_numpy(), periods * skills),
            "month": np.tile(np.repeat(months.to_numpy(), skills), count),
            "skill": np.tile(np.array(SKILLS, dtype=object), count * periods),
            "required": column(required),
            "headcount": column(heads),
            "gap": column(required - heads),
            "utilisation": used[row].round(4),
            "hire": column(plan.hire),
            "train": column(plan.train),
            "transfer_in": column(plan.lent_in),
            "transfer_out": column(plan.lent_out),
        }
    )
    for k, priority in enumerate(PRIORITIES):
        table[f"respond_{priority.lower()}"] = respond[row, k].round(4)
        table[f"resolve_{priority.lower()}"] = resolve[row, k].round(4)
        table[f"bound_{priority.lower()}"] = bound[row, k]
    ordered = [f"{what}_p{k}" for what in ("respond", "resolve", "bound") for k in range(1, 5)]
    table = table[[c for c in table.columns if c not in ordered] + ordered]
    table["reason"] = _reasons(
        load, sized, bound, hours, duty_words(duty), decided or [""] * (count * periods)
    )[row]
    return table


def _reasons(
    load: Workload,
    sized: Sized,
    bound: NDArray[np.str_],
    hours: dict[str, FloatArray],
    when: str,
    decided: list[str],
) -> NDArray[Any]:
    count = len(decided)
    out = np.empty(count, dtype=object)
    orders = load.months.sort_values(["region_id", "month"])["orders"].to_numpy()
    waits = hours["by_waits"] >= hours["by_hours"]
    for i in range(count):
        if sized.servers[i] == 0:
            out[i] = "no orders expected"
            continue
        text = (
            f"{orders[i]:.0f} orders, {hours['visits'][i]:.0f} visits, {hours['hours'][i]:.0f} h "
            f"({hours['drive'][i] + hours['back'][i]:.1f} h on the road per visit); "
        )
        text += (
            f"waits decide{f' ({decided[i]})' if decided[i] else ''}: {sized.servers[i]} on duty {when}"
            if waits[i]
            else f"hours decide: {hours['by_hours'][i]:.1f} engineers, waits need {sized.servers[i]} {when}"
        )
        tied = [f"{p} {b}-bound" for p, b in zip(PRIORITIES, bound[i], strict=True) if b != NONE]
        out[i] = text + (f"; {', '.join(tied)}" if tied else "")
    return out


def workload_table(load: Workload, sized: Sized, hours: dict[str, FloatArray], kept: Kept) -> pd.DataFrame:
    """Lay out orders, visits and hours per region and month, and what decides the people."""
    out = load.months.sort_values(["region_id", "month"], ignore_index=True)
    return out.assign(
        visits=hours["visits"],
        missing_share=hours["missing"],
        repeat_share=hours["again"],
        drive_hours=sized.kept.drive,
        return_hours=hours["back"],
        on_site_hours=hours["on_site"],
        hours=hours["hours"],
        on_duty=sized.servers,
        people_for_waits=hours["by_waits"],
        people_for_hours=hours["by_hours"],
        waiting_share=kept.waiting,
    )


def region_table(table: pd.DataFrame, workload: pd.DataFrame) -> pd.DataFrame:
    """One row per region, in the month that needs most people there: what headquarters looks at first.

    Parameters
    ----------
    table : DataFrame
        Of `headcount_table`.
    workload : DataFrame
        Of `workload_table`.

    Returns
    -------
    DataFrame
        region_id, month, machines, orders, visits, drive_hours, hours, machines_per_engineer (present),
        required, present, gap [people], decides (waits, hours, nothing), cause (what breaks which promise),
        hire, train, lent_in, lent_out over the whole plan [people; person-months], reason; most short first.
    """
    keys = ["region_id", "month"]
    sums = table.groupby(keys, as_index=False)[["required", "headcount", "gap"]].sum()
    sums = sums.sort_values([*keys[:1], "required", "month"], ascending=[True, False, True], kind="stable")
    fullest = sums.drop_duplicates("region_id").rename(columns={"headcount": "present"})
    out = fullest.merge(workload.rename(columns={"units": "machines"}), on=keys, how="left")
    first = table.drop_duplicates(keys)[[*keys, "reason", *(f"bound_p{k}" for k in range(1, 5))]]
    out = out.merge(first, on=keys, how="left")
    bound = out[[f"bound_p{k}" for k in range(1, 5)]].to_numpy()
    out["cause"] = [
        ", ".join(f"{p} {b}" for p, b in zip(PRIORITIES, row, strict=True) if b != NONE) or NONE
        for row in bound
    ]
    waits = out["people_for_waits"] >= out["people_for_hours"]
    out["decides"] = np.where(out["required"] == 0, "nothing", np.where(waits, "waits", "hours"))
    present = out["present"].where(out["present"] > 0)
    out["machines_per_engineer"] = out["machines"] / present
    steps = table.groupby("region_id")[["hire", "train", "transfer_in", "transfer_out"]].sum()
    steps = steps.rename(columns={"transfer_in": "lent_in", "transfer_out": "lent_out"})
    out = out.merge(steps, on="region_id", how="left")
    names = [
        *keys,
        "machines",
        "orders",
        "visits",
        "drive_hours",
        "hours",
        "machines_per_engineer",
        "required",
        "present",
        "gap",
        "decides",
        "cause",
        "hire",
        "train",
        "lent_in",
        "lent_out",
        "reason",
    ]
    return out[names].sort_values(["gap", "region_id"], ascending=[False, True], ignore_index=True)


def summary_lines(
    table: pd.DataFrame,
    plan: PeoplePlan,
    bound: NDArray[np.str_],
    desk: DeskPlan,
    teams: Teams,
    months: pd.DatetimeIndex,
) -> tuple[str, ...]:
    """Say in a few lines what a colleague would say."""
    by_month = table.groupby("month")["required"].sum()
    peak = by_month.idxmax()
    now = teams.heads.sum()
    lines = [
        f"Engineers: {now:.0f} today, {by_month.max():.0f} required in {peak:%Y-%m}; "
        f"hire {plan.hire.sum():.0f}, "
        f"train {plan.train.sum():.0f}, lend {plan.lent_in.sum():.0f} person-months"
    ]
    short = table.groupby("region_id")["gap"].sum()
    worst = short[short > 0].sort_values(ascending=False).index[:3]
    if len(worst):
        lines.append(f"Most short: {', '.join(worst)}")
    for cause in ("parts", "repair", "reach", "staff"):
        hit = [p for k, p in enumerate(PRIORITIES) if (bound[:, k] == cause).any()]
        if hit:
            share = [f"{p} in {(bound[:, PRIORITIES.index(p)] == cause).mean():.0%}" for p in hit]
            lines.append(f"{cause.capitalize()}-bound: {', '.join(share)} of region-months")
    if desk.people:
        lines.append(
            f"Desk: {desk.people} people work its shifts ({desk.heads} to employ), at most "
            f"{desk.desk['people'].max()} at a time, and answer its promises in time"
        )
    lines.extend(f"{note['meaning']}: {note['value']}" for note in teams.notes)
    return tuple(lines)


def night_lines(nights: pd.DataFrame, duty: Duty) -> list[str]:
    """Say when engineers are on duty, and which promises no number of them keeps for the hours between.

    Parameters
    ----------
    nights : DataFrame
        As of `spareplan.staffing.night.night_table`; empty round the clock.
    duty : Duty

    Returns
    -------
    list of str
    """
    if nights.empty:
        return []
    lines = [f"On duty {duty_words(duty)}"]
    for one in nights[nights["best_share"] < nights["target"]].to_dict("records"):
        lines.append(f"{one['priority']}: {one['reason']}")
    return lines
