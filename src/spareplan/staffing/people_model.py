"""The integer program of the people plan: what may be done in each region, skill and month, at what cost.

Arrays only. Work that needs a skill may be done by that skill or a higher one; people count by their
efficiency; people missing are priced, so that there is always a plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spareplan.config import StaffingOptions
from spareplan.maths.units import MONTHS_PER_YEAR
from spareplan.staffing._blocks import Blocks, IntArray

FloatArray = NDArray[np.float64]

# Lending that loses more than this part of the time is left out.
LARGEST_LOSS = 0.9


@dataclass(frozen=True)
class PeopleCase:
    """What the plan is made for; R regions, S skills (lowest first), M months.

    Parameters
    ----------
    need : ndarray, shape (R, S, M)
        Work that needs this skill or a higher one. [standard engineers]
    heads : ndarray, shape (R, S)
        People today. [people]
    annual_cost : ndarray, shape (R, S)
        [money/year]
    efficiency : ndarray, shape (R, S)
        Standard engineers that one person counts for.
    hours_need : ndarray, shape (R, M), or None
        Work over paid hours at the highest utilisation, of any skill. [standard engineers]
    movable : ndarray, shape (R, M), or None
        Inspections due. [inspections]
    inspection_load : ndarray, shape (R, M), or None
        Of one inspection. [standard engineers]
    weight : ndarray, shape (R, M)
        Of people missing, by market stage.
    distance_km : ndarray, shape (R, R), or None
        None: all regions are alike near.
    options : StaffingOptions
    """

    need: FloatArray
    heads: FloatArray
    annual_cost: FloatArray
    efficiency: FloatArray
    hours_need: FloatArray | None
    movable: FloatArray | None
    inspection_load: FloatArray | None
    weight: FloatArray
    distance_km: FloatArray | None
    options: StaffingOptions

    @property
    def wage(self) -> FloatArray:
        """Cost of a month, shape (R, S), in money."""
        return self.annual_cost / MONTHS_PER_YEAR

    @property
    def squad_wage(self) -> float:
        """Cost of a month of one person of the squad, in money."""
        return float(self.wage[:, -1].mean()) * (1.0 + self.options.squad_cost_share)

    @property
    def squad_worth(self) -> float:
        """Standard engineers that one person of the squad counts for."""
        return float(self.efficiency[:, -1].mean()) * (1.0 - self.options.squad_loss_share)

    @property
    def short_price(self) -> FloatArray:
        """Of a standard engineer missing for a month, shape (R, S, M); a higher skill is never cheaper."""
        price = self.options.shortage_cost_share * np.maximum.accumulate(self.wage, axis=1)
        return price[:, :, None] * self.weight[:, None, :]


@dataclass(frozen=True)
class Lanes:
    """From where to where people are lent, and what part of their time is lost on the way."""

    lender: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    borrower: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    loss: FloatArray = field(default_factory=lambda: np.empty(0))


def lanes(distance_km: FloatArray, options: StaffingOptions) -> Lanes:
    """Lanes from the nearest regions to each region.

    Parameters
    ----------
    distance_km : ndarray, shape (R, R)
        From the lender (row) to the borrower. [km]
    options : StaffingOptions

    Returns
    -------
    Lanes
    """
    count = len(distance_km)
    far = np.where(np.eye(count, dtype=bool), np.inf, distance_km)
    near = np.argsort(far, axis=0, kind="stable")[: min(options.lend_neighbours, count - 1)]
    borrower = np.broadcast_to(np.arange(count), near.shape).T.reshape(-1)
    lender = near.T.reshape(-1)
    loss = options.lend_loss_share + options.lend_loss_per_1000_km * distance_km[lender, borrower] / 1000.0
    keep = loss <= LARGEST_LOSS
    return Lanes(lender[keep], borrower[keep], loss[keep])


@dataclass(frozen=True)
class PeopleModel:
    """The program, and the numbers of its columns by what they stand for (-1: not possible)."""

    case: PeopleCase
    blocks: Blocks
    lanes: Lanes
    columns: dict[str, IntArray]

    def forbid(self, *names: str) -> IntArray:
        """Numbers of all columns of these names."""
        numbers = np.concatenate(
            [self.columns[name].reshape(-1) for name in names] or [np.empty(0, np.int64)]
        )
        return numbers[numbers >= 0]

    def regions(self) -> IntArray:
        """The region of each column of whole people; the number of regions for all others."""
        count = len(self.case.need)
        out = np.full(self.blocks.width, count, dtype=np.int64)
        for name in ("hire", "train", "release", "move_in", "move_out"):
            numbers = self.columns[name]
            there = numbers >= 0
            out[numbers[there]] = np.nonzero(there)[0]
        return out

    def read(self, values: FloatArray) -> dict[str, FloatArray]:
        """The columns' values by name, 0 where a column does not exist; near-whole figures made whole."""
        near = np.rint(values) + 0.0
        clean = np.append(np.where(np.abs(values - near) < 1e-6, near, values), 0.0)
        return {name: clean[numbers] for name, numbers in self.columns.items()}


def build_model(case: PeopleCase) -> PeopleModel:
    """Write the program, with all that could be done; `PeopleModel.forbid` names what may not.

    Parameters
    ----------
    case : PeopleCase

    Returns
    -------
    PeopleModel
        Columns by name: ``people``, ``spare`` (standard engineers that the work of their skill does not
        need), ``overtime`` (standard engineers), ``hire``, ``train``, ``release``, ``move_in``, ``move_out``,
        ``short`` of shape (R, S, M); ``lent`` (lanes, S, M), or ``lent_in``, ``lent_out`` (R, S, M; standard
        engineers without loss) where there are no distances; ``squad`` (R, M); ``squad_hire`` (1,);
        ``earlier``, ``later`` (R, M) inspections moved by so many months.

    Notes
    -----
    People: n[m] = stay n[m-1] + hire - release + train in - train out + moved in - moved out.
    Home: people - in training - lent >= overtime as a share. Cover, for each skill: output + overtime + short
    (+ the squad, at the highest) + what the next higher skill can spare >= need, and the rest is spare.
    Hours: what the lowest skill can spare >= hours of work beyond the need, with inspections where they are
    moved to, over paid hours at the highest utilisation.
    """
    options, (regions, skills, months) = case.options, case.need.shape
    blocks = Blocks("head_count")
    everywhere = np.ones(case.need.shape, dtype=bool)
    month, skill = np.arange(months), np.arange(skills)[:, None]
    wage, annual = case.wage[:, :, None], case.annual_cost[:, :, None]
    several = regions > 1
    after_hire = everywhere & (month >= options.hire_lead_months)
    columns = {
        "people": blocks.columns("people", everywhere, wage),
        "spare": blocks.columns("spare", everywhere & ((skill > 0) | (case.hours_need is not None))),
        "overtime": blocks.columns(
            "overtime",
            everywhere & (options.overtime_share > 0),
            options.overtime_cost_share * wage / case.efficiency[:, :, None],
        ),
        "short": blocks.columns("short", everywhere, case.short_price),
        "hire": blocks.columns("hire", after_hire, options.hire_cost_share * annual, whole=True),
        "train": blocks.columns(
            "train",
            everywhere & (skill > 0) & (month >= options.train_months),
            options.train_cost_share * annual,
            whole=True,
        ),
        "release": blocks.columns(
            "release", everywhere & options.release, options.release_cost_share * annual, whole=True
        ),
    }
    may_move = everywhere & several & (month >= options.move_lead_months)
    columns["move_in"] = blocks.columns("move_in", may_move, options.move_cost_share * annual, whole=True)
    columns["move_out"] = blocks.columns("move_out", may_move, whole=True)
    ways = _add_lending(case, blocks, columns, several)
    _add_squad(case, blocks, columns)
    _add_people(case, blocks, columns)
    _add_cover(case, blocks, columns, ways)
    _add_hours(case, blocks, columns)
    return PeopleModel(case, blocks, ways, columns)


def _add_lending(case: PeopleCase, blocks: Blocks, columns: dict[str, IntArray], several: bool) -> Lanes:
    """Columns of lending: along lanes, or through a pool where all regions are alike near."""
    options, (_, skills, months) = case.options, case.need.shape
    price = options.lend_cost_share * case.wage[:, :, None]
    if case.distance_km is not None:
        ways = lanes(case.distance_km, options) if several else Lanes()
        columns["lent"] = blocks.columns(
            "lent", np.ones((len(ways.lender), skills, months), bool), price[ways.lender]
        )
        return ways
    there = np.full(case.need.shape, several)
    columns["lent_out"] = blocks.columns("lent_out", there, price / case.efficiency[:, :, None])
    columns["lent_in"] = blocks.columns("lent_in", there)
    if several:
        rows = blocks.rows("lent", np.zeros((skills, months)), 0.0)
        blocks.put(rows, columns["lent_out"], 1.0)
        blocks.put(rows, columns["lent_in"], -1.0)
    return Lanes()


def _add_squad(case: PeopleCase, blocks: Blocks, columns: dict[str, IntArray]) -> None:
    """Columns and rows of the flying squad at headquarters' disposal."""
    options, (regions, _, months) = case.options, case.need.shape
    more = options.squad_most - options.squad_people
    lead = options.hire_lead_months
    can_hire = more > 0 and months > lead
    blocks.constant += options.squad_people * case.squad_wage * months
    columns["squad_hire"] = blocks.columns(
        "squad_hire",
        np.array([can_hire]),
        case.squad_wage * (months - lead) + options.hire_cost_share * case.squad_wage * MONTHS_PER_YEAR,
        most=max(more, 0),
        whole=True,
    )
    some = options.squad_people > 0 or can_hire
    there = some & (options.squad_people > 0 or np.arange(months) >= lead)
    columns["squad"] = blocks.columns("squad", np.broadcast_to(there, (regions, months)))
    if some:
        rows = blocks.rows("squad", np.full(months, -np.inf), float(options.squad_people))
        blocks.put(rows, columns["squad"])
        blocks.put(rows[lead:], columns["squad_hire"], -1.0)


def in_training(months: int, length: int) -> tuple[IntArray, IntArray]:
    """Pairs (month in training, month of the first day in the new skill)."""
    now, done = np.meshgrid(np.arange(months), np.arange(months), indexing="ij")
    pairs = (now < done) & (now >= done - length)
    return now[pairs], done[pairs]


def _add_people(case: PeopleCase, blocks: Blocks, columns: dict[str, IntArray]) -> None:
    """Rows that count people."""
    options, (_, skills, months) = case.options, case.need.shape
    stay = 1.0 - options.leave_share_per_year / MONTHS_PER_YEAR
    start = np.zeros(case.need.shape)
    start[:, :, 0] = stay * case.heads
    rows = blocks.rows("balance", start, start)
    blocks.put(rows, columns["people"])
    blocks.put(rows[:, :, 1:], columns["people"][:, :, :-1], -stay)
    for name, sign in (("hire", -1), ("train", -1), ("release", 1), ("move_in", -1), ("move_out", 1)):
        blocks.put(rows, columns[name], sign)
    blocks.put(rows[:, :-1], columns["train"][:, 1:], 1)
    if stay < 1.0:
        # Whole people who came, for the rounding cuts: those who leave are a share.
        columns["gained"] = blocks.columns("gained", np.ones(case.need.shape, dtype=bool))
        came = blocks.rows("gained", np.zeros(case.need.shape), 0.0)
        blocks.put(came, columns["gained"])
        blocks.put(came[:, :, 1:], columns["gained"][:, :, :-1], -1.0)
        for name in ("hire", "train", "move_in"):
            blocks.put(came, columns[name], -1.0)
    if columns["move_in"].max(initial=-1) >= 0:
        moved = blocks.rows("moved", np.zeros((skills, months)), 0.0)
        blocks.put(moved, columns["move_in"])
        blocks.put(moved, columns["move_out"], -1.0)


def _add_cover(case: PeopleCase, blocks: Blocks, columns: dict[str, IntArray], ways: Lanes) -> None:
    """Rows that keep people at home, lent or in training, and cover the work of each skill."""
    options, months = case.options, case.need.shape[2]
    worth = case.efficiency[:, :, None]
    home = blocks.rows("home", np.zeros(case.need.shape), np.inf)
    cover = blocks.rows("cover", case.need, np.inf)
    blocks.put(home, columns["people"])
    blocks.put(cover, columns["people"], worth)
    now, done = in_training(months, options.train_months)
    if len(now):
        trained = columns["train"][:, 1:, done]
        blocks.put(home[:, :-1, now], trained, -1.0)
        blocks.put(cover[:, :-1, now], trained, -options.train_loss_share * worth[:, :-1])
    if "lent" in columns:
        blocks.put(home[ways.lender], columns["lent"], -1.0)
        blocks.put(cover[ways.lender], columns["lent"], -worth[ways.lender])
        arrives = (1.0 - ways.loss)[:, None, None] * worth[ways.lender]
        blocks.put(cover[ways.borrower], columns["lent"], arrives)
    else:
        blocks.put(home, columns["lent_out"], -1.0 / worth)
        blocks.put(cover, columns["lent_out"], -1.0)
        blocks.put(cover, columns["lent_in"], 1.0 - options.lend_loss_share)
    if options.overtime_share > 0:
        # Overtime is never negative, so that the row also says that nobody is lent who is not there.
        blocks.put(home, columns["overtime"], -1.0 / (options.overtime_share * worth))
    for name in ("overtime", "short"):
        blocks.put(cover, columns[name])
    blocks.put(cover[:, -1], columns["squad"], case.squad_worth)
    blocks.put(cover, columns["spare"], -1.0)
    blocks.put(cover[:, :-1], columns["spare"][:, 1:])


def _add_hours(case: PeopleCase, blocks: Blocks, columns: dict[str, IntArray]) -> None:
    """Rows that cover the hours of all work, and columns that move inspections."""
    regions, _, months = case.need.shape
    none = np.full((regions, months), -1, dtype=np.int64)
    columns["earlier"], columns["later"] = none, none
    if case.hours_need is None:
        return
    hours = blocks.rows("hours", case.hours_need - case.need.sum(axis=1), np.inf)
    blocks.put(hours, columns["spare"][:, 0])
    if case.movable is None or case.inspection_load is None or not case.options.inspection_shift:
        return
    # A month holds inspections in hours of its own, so a visit weighs in both months.
    price = case.options.inspection_shift_cost_share * case.wage.mean(axis=1)[:, None] * case.inspection_load
    due = case.movable > 0
    first, last = np.arange(months) == 0, np.arange(months) == months - 1
    columns["earlier"] = blocks.columns("earlier", due & ~first, price)
    columns["later"] = blocks.columns("later", due & ~last, price)
    for name, step in (("earlier", -1), ("later", 1)):
        moved = columns[name]
        blocks.put(hours, moved, case.inspection_load)
        source = moved[:, 1:] if step < 0 else moved[:, :-1]
        target = hours[:, :-1] if step < 0 else hours[:, 1:]
        load = case.inspection_load[:, :-1] if step < 0 else case.inspection_load[:, 1:]
        blocks.put(target, source, -load)
    limit = blocks.rows("inspections", np.full((regions, months), -np.inf), case.movable)
    blocks.put(limit, columns["earlier"])
    blocks.put(limit, columns["later"])
