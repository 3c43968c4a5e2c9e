"""Cuts that tighten the relaxation of the people plan: part of a person cannot be hired.

Where work for 2.3 people is to be covered by whole people and by dear stopgaps (overtime, lending, the squad,
people missing), the stopgaps and a fraction of the third person must make up for it together.

References
----------
.. [1] Wolsey (1998), Integer Programming, section 8.7: mixed integer rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spareplan.maths.units import MONTHS_PER_YEAR
from spareplan.staffing._blocks import Blocks, IntArray
from spareplan.staffing.people_model import PeopleModel, in_training

FloatArray = NDArray[np.float64]

# Fractions below this give cuts with huge factors and little to gain.
LEAST_FRACTION = 0.02


def rounding_cuts(model: PeopleModel) -> tuple[Any, FloatArray]:
    """Cuts for every cover and hours row, with overtime as a stopgap or as part of a person, per skill.

    Parameters
    ----------
    model : PeopleModel

    Returns
    -------
    matrix : sparse matrix, shape (cuts, columns)
    lower : ndarray, shape (cuts,)

    Notes
    -----
    Sum of a n + stopgaps >= D with whole n >= 0, divided by the output d of one person of a skill, f the
    fraction of D/d: sum of (floor(a/d) + min(1, frac(a/d)/f)) n + stopgaps/(d f) >= ceil(D/d).
    """
    case = model.case
    skills = case.need.shape[1]
    cuts = Blocks("cuts")
    cuts.width = model.blocks.width
    people, there = _whole_people(model)
    above = np.cumsum(case.need[:, ::-1], axis=1)[:, ::-1]
    jobs = [(level, above[:, level], False) for level in range(skills)]
    if case.hours_need is not None:
        jobs.append((0, case.hours_need, True))
    for level, due, hours in jobs:
        for overtime in (0.0, case.options.overtime_share)[: 2 if case.options.overtime_share else 1]:
            output = case.efficiency[:, level:] * (1.0 + overtime)
            left = due - (output[:, :, None] * there[:, level:]).sum(axis=1)
            for base in range(skills - level):
                _round(model, cuts, people, output, output[:, base, None], left, level, overtime > 0, hours)
    lower = np.concatenate([low for _, _, low, _ in cuts.row_blocks]) if cuts.height else np.empty(0)
    return cuts.matrix().tocsr(), lower


def _whole_people(model: PeopleModel) -> tuple[IntArray, FloatArray]:
    """Columns of whole people, and the part of the people beside them [people]."""
    case = model.case
    heads = case.heads[:, :, None]
    if "gained" not in model.columns:
        part = heads - np.floor(heads)
        return model.columns["people"], np.broadcast_to(part, case.need.shape)
    stay = 1.0 - case.options.leave_share_per_year / MONTHS_PER_YEAR
    return model.columns["gained"], heads * stay ** np.arange(1, case.need.shape[2] + 1)


def _help(model: PeopleModel, cuts: Blocks, number: IntArray, share: FloatArray, skill: int) -> None:
    """Count the output of those lent in and, once more, of those in training."""
    case, columns, ways = model.case, model.columns, model.lanes
    options, worth = case.options, case.efficiency[:, skill, None]
    if "lent" in columns:
        arrives = (1.0 - ways.loss)[:, None] * worth[ways.lender]
        cuts.put(number[ways.borrower], columns["lent"][:, skill], share[ways.borrower] * arrives)
    else:
        cuts.put(number, columns["lent_in"][:, skill], share * (1.0 - options.lend_loss_share))
    now, done = in_training(case.need.shape[2], options.train_months)
    if len(now) and skill + 1 < case.need.shape[1]:
        part = (1.0 - options.train_loss_share) * share * worth
        cuts.put(number[:, now], columns["train"][:, skill + 1, done], part[:, now])


def _round(
    model: PeopleModel,
    cuts: Blocks,
    people: IntArray,
    output: FloatArray,
    unit: FloatArray,
    left: FloatArray,
    level: int,
    overtime: bool,
    hours: bool,
) -> None:
    """Add the cuts of one level, in units of one person's output."""
    case, columns = model.case, model.columns
    times = left / unit
    part = times - np.floor(times)
    useful = (left > 0) & (part > LEAST_FRACTION) & (part < 1.0 - 1e-6)
    rows = cuts.rows("cut", np.ceil(times[useful]), np.inf)
    number = np.full(left.shape, -1, dtype=np.int64)
    number[useful] = rows
    part = np.where(useful, part, 1.0)
    share = 1.0 / (part * unit)
    for place in range(output.shape[1]):
        skill, ratio = level + place, output[:, place, None] / unit
        lowest = np.floor(ratio + 1e-9)
        beyond = np.maximum(ratio - lowest, 0.0)
        cuts.put(number, people[:, skill], lowest + np.minimum(1.0, beyond / part))
        _help(model, cuts, number, share, skill)
        cuts.put(number, columns["short"][:, skill], share)
        if not overtime:
            cuts.put(number, columns["overtime"][:, skill], share)
    cuts.put(number, columns["squad"], share * case.squad_worth)
    if hours and case.inspection_load is not None:
        for name in ("earlier", "later"):
            cuts.put(number, columns[name], share * case.inspection_load)
