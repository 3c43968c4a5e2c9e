"""The solution of the people plan by what it stands for: who is where, doing what, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import MONTHS_PER_YEAR
from spareplan.staffing.people_model import PeopleCase, PeopleModel, in_training

FloatArray = NDArray[np.float64]

# Less of a person-month than this is not worth a line.
LEAST = 0.005


@dataclass(frozen=True)
class Figures:
    """A solution as arrays (R, S, M); see PeoplePlan. `flows`: lender, borrower, skill, month, people."""

    people: FloatArray
    hire: FloatArray
    train: FloatArray
    release: FloatArray
    move_in: FloatArray
    move_out: FloatArray
    lent_in: FloatArray
    lent_out: FloatArray
    short: FloatArray
    overtime: FloatArray
    output: FloatArray
    squad: FloatArray
    squad_hire: int
    earlier: FloatArray
    later: FloatArray
    flows: pd.DataFrame
    costs: pd.DataFrame


def read_figures(model: PeopleModel, values: FloatArray) -> Figures:
    """The solution by what it stands for.

    Parameters
    ----------
    model : PeopleModel
    values : ndarray
        Of its columns.

    Returns
    -------
    Figures
    """
    case, found = model.case, model.read(values)
    worth = case.efficiency[:, :, None]
    if "lent" in found:
        lent = found["lent"]
        lent_in, lent_out = np.zeros(case.need.shape), np.zeros(case.need.shape)
        np.add.at(lent_in, model.lanes.borrower, lent)
        np.add.at(lent_out, model.lanes.lender, lent)
        lane, skill, month = np.nonzero(lent > LEAST)
        flows = pd.DataFrame(
            {
                "lender": model.lanes.lender[lane],
                "borrower": model.lanes.borrower[lane],
                "skill": skill,
                "month": month,
                "people": lent[lane, skill, month],
            }
        )
    else:
        lent_out = found["lent_out"] / worth
        given = lent_out.sum(axis=0)
        each = np.where(given > 0, found["lent_out"].sum(axis=0) / np.where(given > 0, given, 1.0), 1.0)
        lent_in = found["lent_in"] / each
        flows = matched(lent_out, lent_in, None)
    costs = _costs(case, found, lent_out)
    return Figures(
        found["people"],
        found["hire"],
        found["train"],
        found["release"],
        found["move_in"],
        found["move_out"],
        lent_in,
        lent_out,
        found["short"],
        found["overtime"],
        _output(model, found, lent_out),
        found["squad"],
        int(found["squad_hire"].sum()),
        found["earlier"],
        found["later"],
        flows,
        costs,
    )


def _output(model: PeopleModel, found: dict[str, FloatArray], lent_out: FloatArray) -> FloatArray:
    """Standard engineers at work: those at home, in training in part, and lent in without the way."""
    case, options, ways = model.case, model.case.options, model.lanes
    worth = case.efficiency[:, :, None]
    out = worth * (found["people"] - lent_out)
    now, done = in_training(case.need.shape[2], options.train_months)
    for month, day in zip(now.tolist(), done.tolist(), strict=True):
        out[:, :-1, month] -= options.train_loss_share * worth[:, :-1, 0] * found["train"][:, 1:, day]
    if "lent" in found:
        arrives = (1.0 - ways.loss)[:, None, None] * worth[ways.lender]
        np.add.at(out, ways.borrower, arrives * found["lent"])
    else:
        out += (1.0 - options.lend_loss_share) * found["lent_in"]
    return out


def _costs(case: PeopleCase, found: dict[str, FloatArray], lent_out: FloatArray) -> pd.DataFrame:
    """Cost by kind, from the people and not from the program's prices."""
    options, wage, annual = case.options, case.wage[:, :, None], case.annual_cost[:, :, None]
    months = case.need.shape[2]
    more = float(found["squad_hire"].sum())
    squad = case.squad_wage * (options.squad_people * months + more * (months - options.hire_lead_months))
    start = options.hire_cost_share * case.squad_wage * MONTHS_PER_YEAR * more
    shift = 0.0
    if case.inspection_load is not None:
        moved = (found["earlier"] + found["later"]) * case.inspection_load
        shift = options.inspection_shift_cost_share * float((moved * case.wage.mean(axis=1)[:, None]).sum())
    kinds = {
        "wages": float((wage * found["people"]).sum()),
        "hire": options.hire_cost_share * float((annual * found["hire"]).sum()) + start,
        "train": options.train_cost_share * float((annual * found["train"]).sum()),
        "release": options.release_cost_share * float((annual * found["release"]).sum()),
        "move": options.move_cost_share * float((annual * found["move_in"]).sum()),
        "lend": options.lend_cost_share * float((wage * lent_out).sum()),
        "overtime": options.overtime_cost_share
        * float((wage * found["overtime"] / case.efficiency[:, :, None]).sum()),
        "squad": squad if months > options.hire_lead_months or not more else 0.0,
        "inspections moved": shift,
        "shortage": float((case.short_price * found["short"]).sum()),
    }
    return pd.DataFrame({"kind": list(kinds), "cost": list(kinds.values())})


def matched(given: FloatArray, taken: FloatArray, distance_km: FloatArray | None) -> pd.DataFrame:
    """Who gives to whom, the nearest first, where only sums per skill and month are decided.

    Parameters
    ----------
    given, taken : ndarray, shape (R, S, M)
        With equal sums over the regions.
    distance_km : ndarray, shape (R, R), or None

    Returns
    -------
    DataFrame
        lender, borrower, skill, month (numbers), people.
    """
    rows: list[tuple[int, int, int, int, float]] = []
    for skill, month in np.argwhere(given.sum(axis=0) > LEAST).tolist():
        give, take = given[:, skill, month].copy(), taken[:, skill, month].copy()
        # Nobody gives to himself: what a region both gives and takes goes to others.
        givers, takers = np.flatnonzero(give > LEAST), np.flatnonzero(take > LEAST)
        far = (
            np.zeros((len(givers), len(takers)))
            if distance_km is None
            else distance_km[np.ix_(givers, takers)]
        )
        for pair in np.argsort(far, axis=None, kind="stable").tolist():
            lender, borrower = givers[pair // len(takers)], takers[pair % len(takers)]
            people = min(give[lender], take[borrower])
            if people > LEAST and lender != borrower:
                rows.append((int(lender), int(borrower), skill, month, float(people)))
                give[lender] -= people
                take[borrower] -= people
    return pd.DataFrame(rows, columns=["lender", "borrower", "skill", "month", "people"])
