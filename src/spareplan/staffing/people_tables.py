"""Tables of the people plan: what to do, what stays missing, what else could be done, what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.staffing.people_checks import Names
from spareplan.staffing.people_figures import LEAST, Figures, matched
from spareplan.staffing.people_model import PeopleCase
from spareplan.staffing.people_search import Found

FloatArray = NDArray[np.float64]
# Fewer inspections than this would be told as 0.0.
LEAST_SHOWN = 0.05


def month_names(months: Any) -> NDArray[Any]:
    """Months as words."""
    index = pd.Index(months)
    if isinstance(index, pd.DatetimeIndex):
        return index.strftime("%Y-%m").to_numpy(dtype=object)
    return np.array([f"month {m}" for m in index], dtype=object)


def moves_table(case: PeopleCase, names: Names, figures: Figures) -> pd.DataFrame:
    """What is to be done, by month, region and skill.

    Parameters
    ----------
    case : PeopleCase
    names : Names
    figures : Figures

    Returns
    -------
    DataFrame
        region_id, month, skill, action, people, cost [money], other_region_id, reason.
    """
    options, wage, annual = case.options, case.wage, case.annual_cost
    labels, skills = month_names(names.months), np.array(names.skills).astype(str)
    above = np.cumsum(case.need[:, ::-1], axis=1)[:, ::-1]
    peak = np.maximum.accumulate(above[:, :, ::-1], axis=2)[:, :, ::-1]
    top = np.array(skills, dtype=object)
    top[:-1] = [f"{skill} and above" for skill in skills[:-1]]
    parts: list[pd.DataFrame] = []

    def add(action: str, what: FloatArray, price: FloatArray, words: Any) -> None:
        region, skill, month = np.nonzero(what > LEAST)
        people = what[region, skill, month]
        if len(people):
            part = pd.DataFrame({"region": region, "skill": skill, "month": month, "people": people})
            parts.append(
                part.assign(
                    action=action,
                    cost=people * price[region, skill],
                    other=-1,
                    reason=[words(r, s, m) for r, s, m in zip(region, skill, month, strict=True)],
                )
            )

    def demand(r: int, s: int, m: int) -> str:
        return f"{peak[r, s, m]:.1f} standard engineers ({top[s]}) needed at most from here on"

    def there(r: int, s: int) -> str:
        return f"{case.heads[r, s]:g} {skills[s]} today"

    def asked(m: int, lead: int) -> str:
        return f"decided by {labels[m - lead]}, " if lead and m >= lead else ""

    add(
        "hire",
        figures.hire,
        options.hire_cost_share * annual,
        lambda r, s, m: f"{asked(m, options.hire_lead_months)}{demand(r, s, m)}, {there(r, s)}",
    )
    add(
        "train",
        figures.train,
        options.train_cost_share * annual,
        lambda r, s, m: (
            f"{skills[s - 1]} in training {options.train_months} months before; "
            f"{demand(r, s, m)}, {there(r, s)}"
        ),
    )
    add(
        "release",
        figures.release,
        options.release_cost_share * annual,
        lambda r, s, m: f"{demand(r, s, m)}, {there(r, s)}",
    )
    add(
        "overtime",
        figures.overtime,
        options.overtime_cost_share * wage / case.efficiency,
        lambda r, s, m: (
            f"{above[r, s, m]:.1f} standard engineers ({top[s]}) needed, "
            f"{figures.output[r, s:, m].sum():.1f} at work without overtime"
        ),
    )
    squad = np.zeros(case.need.shape)
    squad[:, -1] = figures.squad
    add(
        "squad",
        squad,
        np.full(wage.shape, case.squad_wage),
        lambda r, s, m: (
            f"{case.need[r, :, m].sum():.1f} standard engineers needed, "
            f"{figures.output[r, :, m].sum():.1f} at work"
        ),
    )
    moves = matched(figures.move_out, figures.move_in, case.distance_km)
    if len(moves):
        to, skill, start = (moves[c].to_numpy() for c in ("borrower", "skill", "month"))
        parts.append(
            moves.assign(
                region=to,
                other=moves["lender"],
                action="move",
                cost=moves["people"].to_numpy() * options.move_cost_share * annual[to, skill],
                reason=[
                    f"moves for good; {demand(r, s, m)}, {there(r, s)}"
                    for r, s, m in zip(to, skill, start, strict=True)
                ],
            )
        )
    flows = figures.flows
    if len(flows):
        lender, to, skill, month = (flows[c].to_numpy() for c in ("lender", "borrower", "skill", "month"))
        parts.append(
            flows.assign(
                region=to,
                other=lender,
                action="lend",
                cost=flows["people"].to_numpy() * options.lend_cost_share * wage[lender, skill],
                reason=[
                    f"{above[r, s, m]:.1f} standard engineers ({top[s]}) needed, "
                    f"{(case.efficiency[r, s:] * figures.people[r, s:, m]).sum():.1f} employed"
                    for r, s, m in zip(to, skill, month, strict=True)
                ],
            )
        )
    columns = ["region", "month", "skill", "action", "people", "cost", "other", "reason"]
    table = pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
    table = table.sort_values(["month", "region", "skill", "action", "other"], ignore_index=True)
    return _named(table, names)


def _named(table: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Names in place of numbers."""
    regions = pd.Index(names.regions)
    columns: dict[str, Any] = {
        "region_id": regions.take(table["region"].to_numpy(int)),
        "month": pd.Index(names.months).take(table["month"].to_numpy(int)),
        "skill": pd.Index(names.skills).take(table["skill"].to_numpy(int)),
    }
    for name in ("action", "people", "cost"):
        if name in table:
            columns[name] = table[name].to_numpy()
    if "other" in table:
        other = table["other"].to_numpy(int)
        columns["other_region_id"] = (
            pd.Series(regions.take(np.maximum(other, 0))).where(other >= 0).to_numpy()
        )
    columns["reason"] = table["reason"].to_numpy()
    return pd.DataFrame(columns)


def shortages_table(case: PeopleCase, names: Names, figures: Figures) -> pd.DataFrame:
    """What stays missing, dearest first.

    Columns: region_id, month, skill, people (standard engineers), cost, reason.
    """
    labels, options = month_names(names.months), case.options
    short = figures.short
    region, skill, month = np.nonzero(short > LEAST)
    people = short[region, skill, month]
    cost = people * case.short_price[region, skill, month]
    whole = short.sum(axis=2)
    lead = options.hire_lead_months
    early = f"before {labels[lead]}" if lead < len(labels) else "within these months"
    reasons = [
        f"no hire can start {early}"
        if m < lead
        else f"{whole[r, s]:.1f} person-months missing in all; one {names.skills[s]} more would cost "
        f"{case.wage[r, s] * (len(labels) - lead):,.0f} in wages and "
        f"{options.hire_cost_share * case.annual_cost[r, s]:,.0f} to hire"
        for r, s, m in zip(region, skill, month, strict=True)
    ]
    table = pd.DataFrame(
        {
            "region": region,
            "month": month,
            "skill": skill,
            "people": people,
            "cost": cost,
            "reason": np.array(reasons, dtype=object),
        }
    ).sort_values(
        ["cost", "region", "month", "skill"], ascending=[False, True, True, True], ignore_index=True
    )
    return _named(table, names)


def inspections_table(case: PeopleCase, names: Names, figures: Figures) -> pd.DataFrame:
    """Months in which inspections are moved: region_id, month, due, planned, reason."""
    if case.movable is None:
        return pd.DataFrame(columns=["region_id", "month", "due", "planned", "reason"])
    came = np.zeros(case.movable.shape)
    came[:, :-1] += figures.earlier[:, 1:]
    came[:, 1:] += figures.later[:, :-1]
    gone = figures.earlier + figures.later
    region, month = np.nonzero((came > LEAST) | (gone > LEAST))
    due = case.movable[region, month]
    early, late, taken = (a[region, month] for a in (figures.earlier, figures.later, came))
    said = ("a month earlier", "a month later", "taken from neighbouring months")
    reasons = []
    for moved in zip(early, late, taken, strict=True):
        shown = min(max(moved), LEAST_SHOWN)
        reasons.append(
            ", ".join(f"{n:.1f} {what}" for n, what in zip(moved, said, strict=True) if n >= shown)
        )
    return pd.DataFrame(
        {
            "region_id": pd.Index(names.regions).take(region),
            "month": pd.Index(names.months).take(month),
            "due": due,
            "planned": due - early - late + taken,
            "reason": np.array(reasons, dtype=object),
        }
    )


def alternatives_table(
    plan: Found, others: dict[str, tuple[Found, Figures]], figures: Figures
) -> pd.DataFrame:
    """The plan beside others.

    Parameters
    ----------
    plan : Found
    others : dict of str to (Found, Figures)
    figures : Figures
        Of the plan.

    Returns
    -------
    DataFrame
        name, cost, bound, short_person_months (standard engineers), hired, trained, released, status,
        reason.
    """
    rows = []
    for name, (found, one) in {"plan": (plan, figures), **others}.items():
        more = found.objective - plan.objective
        if name == "plan":
            reason = f"hires {one.hire.sum():g}, trains {one.train.sum():g}"
        elif found.values is plan.values:
            idle = {"hire only": "trains nobody", "train only": "hires nobody"}.get(name, "lets nobody go")
            reason = f"the plan itself {idle}"
        else:
            reason = (
                f"costs {abs(more):,.0f} {'more' if more >= 0 else 'less'} than the plan, "
                f"{one.short.sum():.1f} person-months short against {figures.short.sum():.1f}"
            )
        rows.append(
            {
                "name": name,
                "cost": found.objective,
                "bound": min(found.bound, found.objective),
                "short_person_months": float(one.short.sum()),
                "hired": float(one.hire.sum() + one.squad_hire),
                "trained": float(one.train.sum()),
                "released": float(one.release.sum()),
                "status": found.status,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows)
