"""Service orders and engineers of a made-up fleet: a row per order, hours and outcome of its first visit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from spareplan.maths.units import DAYS_PER_YEAR, HOURS_PER_DAY
from spareplan.tables.samples_engine import stream, to_day

WINDOW_DAYS = 365
INSPECTION_MONTHS = (1, 3, 6, 12)
# Calls per hour of the day: peaks at 10-12 and 14-16, a tail after 19.
CALLS_BY_HOUR = np.array(
    [1, 1, 1, 1, 1, 2, 4, 12, 30, 45, 60, 58, 30, 40, 62, 58, 42, 32, 22, 14, 9, 6, 4, 2.0]
)
PRIORITY_SHARES = {
    "failure": (0.05, 0.18, 0.37, 0.40),
    "request": (0, 0.03, 0.22, 0.75),
    "project": (0, 0, 0.5, 0.5),
    "inspection": (0, 0, 0, 1.0),
}
# Per priority P1 to P4: median time to the response and to the end, in hours.
RESPONSE_HOURS = np.array([0.13, 0.35, 2.4, 7.0])
RESOLVE_HOURS = np.array([4.2, 17.0, 50.0, 95.0])
SPREAD = 0.6
WORK_HOURS = {"failure": 3.0, "request": 1.5, "project": 12.0, "inspection": 2.0}
CALLS_PER_YEAR = {"failure": 0.45, "request": 0.30, "project": 0.03}
OUTCOMES = ("fixed", "part_missing", "not_fixed")
OUTCOME_SHARES = {"part": (0.83, 0.12, 0.05), "other": (0.95, 0.0, 0.05)}
FAULT_CODES = {
    "液压泵": "HYD",
    "液压阀": "HYD",
    "液压缸": "HYD",
    "易损件": "WEAR",
    "密封件": "LEAK",
    "轴承": "MECH",
    "传动件": "MECH",
    "减速机": "MECH",
    "结构件": "STR",
    "电气件": "ELE",
    "传感器": "ELE",
    "滤芯": "SRV",
    "发动机": "ENG",
    "发动机件": "ENG",
    "冷却件": "ENG",
}
EXPERT_COST = 20_000
PRODUCTIVE_HOURS = 1_750
USED_SHARE = 0.78
SKILLS = (("junior", 95_000, 0.85), ("senior", 145_000, 1.0), ("expert", 220_000, 1.2))


def service_orders(
    seed: int,
    events: pd.DataFrame,
    units: pd.DataFrame,
    parts: pd.DataFrame,
    last_day: pd.Timestamp,
    regions: Sequence[tuple],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All service orders opened in the year up to the last day.

    Parameters
    ----------
    seed : int
    events : DataFrame
        unit_id, part_id, replaced_on, planned, region_id; also of the weeks after the last day,
        because orders open on that day end later.
    units : DataFrame
        unit_id, region_id, commissioned_on, latent_end (day the machine leaves service).
    parts : DataFrame
        part_id, family, unit_cost.
    last_day : Timestamp
    regions : sequence of tuple
        region_id first, area third. [km²]

    Returns
    -------
    orders : DataFrame
        Table work_orders.
    events : DataFrame
        With order_id.
    """
    rng = stream(seed, "work_orders")
    last = int(to_day([last_day])[0])
    first = last - WINDOW_DAYS + 1
    visits = pd.concat(
        [
            _repairs(events, parts, first),
            _calls(rng, units, first, last),
            _inspections(rng, units, first, last),
        ],
        ignore_index=True,
    )
    visits = visits.merge(units[["unit_id", "region_id", "commissioned_on"]], on="unit_id", how="left")
    visits = _times(rng, visits)
    visits = visits[
        visits["opened"].between(first * HOURS_PER_DAY, (last + 1) * HOURS_PER_DAY, inclusive="left")
    ]
    visits = visits.sort_values(["opened", "unit_id", "kind"], kind="stable", ignore_index=True)
    width = max(5, len(str(len(visits))))
    visits["order_id"] = [f"W{number:0{width}d}" for number in range(1, len(visits) + 1)]
    count = len(visits)
    area = visits["region_id"].map({row[0]: row[2] for row in regions}).to_numpy(dtype=float)
    travel = (0.8 + 0.0035 * np.sqrt(area)) * np.exp(rng.normal(-0.125, 0.5, count))
    work = (
        visits["kind"].map(WORK_HOURS)
        * np.where(visits["dear"], 2.0, 1.0)
        * np.exp(rng.normal(-0.18, 0.6, count))
    )
    open_still = visits["resolved"] >= (last + 1) * HOURS_PER_DAY
    unanswered = visits["responded"] >= (last + 1) * HOURS_PER_DAY
    anonymous = visits["kind"].eq("request") & (rng.random(count) < 0.05)
    orders = pd.DataFrame(
        {
            "order_id": visits["order_id"],
            "unit_id": visits["unit_id"].mask(anonymous),
            "region_id": visits["region_id"],
            "opened_at": _moment(visits["opened"]),
            "priority": visits["priority"],
            "kind": visits["kind"],
            "fault_code": visits["fault_code"],
            "skill": visits["skill"],
            "travel_hours": travel.round(1).clip(0.2),
            "work_hours": work.round(1).clip(0.2),
            "responded_at": _moment(visits["responded"]).mask(unanswered),
            "resolved_at": _moment(visits["resolved"]).mask(open_still),
            "outcome": visits["outcome"].mask(open_still),
        }
    )
    orders.loc[open_still, ["travel_hours", "work_hours"]] = np.nan
    done = visits.loc[visits["with_part"] & ~open_still, ["unit_id", "day", "order_id"]]
    linked = events.assign(day=to_day(events["replaced_on"])).merge(done, on=["unit_id", "day"], how="left")
    linked["order_id"] = linked["order_id"].mask(linked["planned"])
    return orders, linked.drop(columns="day")


def engineers_for(orders: pd.DataFrame, regions: Sequence[tuple]) -> pd.DataFrame:
    """Today's engineers: about enough for last year's hours, thinner where the market grows.

    Parameters
    ----------
    orders : DataFrame
        Table work_orders of one year.
    regions : sequence of tuple
        region_id first, market stage fourth.

    Returns
    -------
    DataFrame
        Table engineers.
    """
    hours = (
        (orders["travel_hours"].fillna(0) + orders["work_hours"].fillna(0))
        .groupby([orders["region_id"], orders["skill"]])
        .sum()
    )
    strain = {"mature": 1.0, "potential": 0.92, "developing": 0.85, "secondary": 0.9}
    rows = []
    for region, _, _, stage, *_ in regions:
        for skill, cost, efficiency in SKILLS:
            need = (
                hours.get((region, skill), 0.0) / (PRODUCTIVE_HOURS * USED_SHARE * efficiency) * strain[stage]
            )
            rows.append((region, skill, max(1, round(need)), cost, efficiency))
    return pd.DataFrame(rows, columns=["region_id", "skill", "headcount", "annual_cost", "efficiency"])


def _repairs(events: pd.DataFrame, parts: pd.DataFrame, first: int) -> pd.DataFrame:
    """One order per machine and day with failed parts; the dearest part names the fault."""
    failed = events[~events["planned"]].assign(day=lambda frame: to_day(frame["replaced_on"]))
    failed = failed[failed["day"] >= first].merge(parts[["part_id", "family", "unit_cost"]], on="part_id")
    failed = failed.sort_values(["unit_id", "day", "unit_cost", "part_id"]).drop_duplicates(
        ["unit_id", "day"], keep="last"
    )
    return pd.DataFrame(
        {
            "unit_id": failed["unit_id"],
            "day": failed["day"],
            "kind": "failure",
            "with_part": True,
            "fault_code": failed["family"].map(FAULT_CODES),
            "dear": failed["unit_cost"] >= EXPERT_COST,
        }
    )


def _calls(rng: np.random.Generator, units: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """Failures mended without a part, customer requests and projects, at random times of service."""
    start = np.maximum(to_day(units["commissioned_on"]) + 1, first)
    span = np.maximum(np.minimum(units["latent_end"].to_numpy(), last + 1) - start, 0)
    frames = []
    for kind, rate in CALLS_PER_YEAR.items():
        count = rng.poisson(rate * span / DAYS_PER_YEAR)
        row = np.repeat(np.arange(len(units)), count)
        day = start[row] + (rng.random(len(row)) * span[row]).astype(np.int64)
        frames.append(
            pd.DataFrame(
                {
                    "unit_id": units["unit_id"].to_numpy()[row],
                    "day": day,
                    "kind": kind,
                    "with_part": False,
                    "fault_code": "ADJ" if kind == "failure" else None,
                    "dear": False,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _inspections(rng: np.random.Generator, units: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """Visits 1, 3, 6 and 12 months after handover, nine in ten of them made, a few days late."""
    frames = []
    for months in INSPECTION_MONTHS:
        due = to_day(pd.DatetimeIndex(units["commissioned_on"]) + pd.DateOffset(months=months))
        day = due + rng.integers(0, 15, len(units))
        made = (
            (rng.random(len(units)) < 0.92)
            & (day >= first)
            & (day <= last)
            & (day < units["latent_end"].to_numpy())
        )
        frames.append(
            pd.DataFrame(
                {
                    "unit_id": units["unit_id"].to_numpy()[made],
                    "day": day[made],
                    "kind": "inspection",
                    "with_part": False,
                    "fault_code": None,
                    "dear": False,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _times(rng: np.random.Generator, visits: pd.DataFrame) -> pd.DataFrame:
    """Draw priority, outcome, skill and the three moments [hours since 1970]; a repair ends on its day."""
    count = len(visits)
    kind = pd.Index(PRIORITY_SHARES).get_indexer(pd.Index(visits["kind"]))
    shares = np.array(list(PRIORITY_SHARES.values()))[kind]
    grade = (rng.random(count)[:, None] > shares.cumsum(axis=1)).sum(axis=1).clip(max=3)
    ends = np.where(visits["with_part"].to_numpy()[:, None], OUTCOME_SHARES["part"], OUTCOME_SHARES["other"])
    outcome = (rng.random(count)[:, None] > ends.cumsum(axis=1)).sum(axis=1).clip(max=2)
    length = RESOLVE_HOURS[grade] * np.exp(rng.normal(0, SPREAD, count))
    length += np.where(outcome == 1, HOURS_PER_DAY * (1 + rng.gamma(2.0, 2.0, count)), 0)
    length += np.where(outcome == 2, HOURS_PER_DAY * (1 + rng.gamma(2.0, 0.8, count)), 0)
    hour = rng.choice(HOURS_PER_DAY, size=count, p=CALLS_BY_HOUR / CALLS_BY_HOUR.sum()) + rng.random(count)
    day = visits["day"].to_numpy()
    whole_days = (length / HOURS_PER_DAY).astype(np.int64)
    # The day is the end of a repair and the beginning of every other order.
    in_service = np.maximum(day - to_day(visits["commissioned_on"]) - 1, 0)
    open_day = day - np.where(visits["with_part"], np.minimum(whole_days, in_service), 0)
    end_day = np.where(visits["with_part"], day, day + whole_days)
    opened = open_day * HOURS_PER_DAY + hour
    later = end_day * HOURS_PER_DAY + rng.normal(15, 2.3, count).clip(8.5, 20)
    same = np.minimum(opened + np.maximum(length, 0.3), (end_day + 1) * HOURS_PER_DAY - 0.02)
    resolved = np.where(end_day > open_day, later, np.maximum(same, opened))
    response = RESPONSE_HOURS[grade] * np.exp(rng.normal(0, SPREAD, count))
    need = rng.random(count)
    skill = np.where(
        visits["dear"],
        np.where(need < 0.6, "expert", "senior"),
        np.where(need < 0.55, "junior", np.where(need < 0.92, "senior", "expert")),
    )
    return visits.assign(
        priority=np.array(["P1", "P2", "P3", "P4"])[grade],
        outcome=np.array(OUTCOMES)[outcome],
        skill=skill,
        opened=opened,
        responded=opened + np.minimum(response, 0.8 * (resolved - opened)),
        resolved=resolved,
    )


def _moment(hours: pd.Series) -> pd.Series:
    """Hours since 1970 as moments, cut to the minute."""
    minutes = np.floor(hours.to_numpy() * 60).astype(np.int64)
    return pd.Series((minutes * 60).astype("datetime64[s]"), index=hours.index)
