"""Search of the people plan: a bound from rounding cuts, whole people by holding few figures at a time.

Small programs are solved to the asked gap by branching. For large ones the relaxation, tightened by cuts,
gives the bound; then the column nearest to whole is held whole in every region, and the rest answers anew,
until all are whole.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spareplan.errors import InfeasibleError
from spareplan.maths.solver import Solution, WarmProgram
from spareplan.staffing._blocks import WRITTEN_OUT, IntArray
from spareplan.staffing.people_cuts import rounding_cuts
from spareplan.staffing.people_model import PeopleModel

FloatArray = NDArray[np.float64]

# A cut must be broken by so many standard engineers to be worth a row.
WORTH = 1e-3
NEAR = 1e-6
# Times that figures may be freed before another way is tried.
MOST_FREED = 3
# Ways of holding figures whole: whether people are taken away by the nearest whole figure or the one below,
# and what is done without. Where part of the people leave, nobody whole may be there to be sent or trained;
# givers and takers of moves must be equally many; hiring alone always fits.
WAYS: tuple[tuple[bool, tuple[str, ...]], ...] = (
    (False, ()),
    (True, ()),
    (True, ("move_in", "move_out")),
    (True, ("train", "release")),
)
TAKES_AWAY = ("train", "release", "move_out")


@dataclass(frozen=True)
class Found:
    """A plan in whole people: values of the columns, cost and bound [money], "optimal" or "limit"."""

    values: FloatArray
    objective: float
    bound: float
    status: str

    @property
    def gap(self) -> float:
        """Cost above the bound, as a share of the bound."""
        difference = self.objective - self.bound
        return (
            0.0 if difference <= 1e-9 * max(abs(self.objective), 1.0) else difference / max(self.bound, 1e-12)
        )


class PeopleSearch:
    """Solves one program again and again, with some columns forbidden, from the answer before.

    Parameters
    ----------
    model : PeopleModel
    gap : float
        Relative gap that is good enough.
    seconds : float
        Longest time of one solution. [s]
    """

    def __init__(self, model: PeopleModel, gap: float, seconds: float) -> None:
        self.model, self.gap, self.seconds = model, gap, seconds
        self._warm: WarmProgram | None = None

    def solve(self, forbidden: IntArray | None = None) -> Found:
        """Best plan found.

        Parameters
        ----------
        forbidden : ndarray of int, optional
            Columns held at 0.

        Returns
        -------
        Found
        """
        begin = time.monotonic()
        blocks = self.model.blocks
        if blocks.entries <= WRITTEN_OUT:
            return _branched(blocks.solve(self.gap, self.seconds, forbidden))
        found = self._dive(forbidden)
        if found is not None and found.gap <= self.gap:
            return found
        left = max(self.seconds - (time.monotonic() - begin), 1.0)
        start = None if found is None else found.values
        cuts = (self._cuts[self._added], self._lower[self._added])
        tried = _branched(blocks.solve(self.gap, left, forbidden, start, cuts))
        joined = tried
        if found is not None:
            best = tried if tried.objective < found.objective else found
            joined = Found(best.values, best.objective, max(found.bound, tried.bound), tried.status)
        return replace(joined, status="optimal") if joined.gap <= self.gap else joined

    def _dive(self, forbidden: IntArray | None) -> Found | None:
        """A plan in whole people near the tightened relaxation, which is its bound; None: no such plan."""
        blocks = self.model.blocks
        cost, most, whole, lower, upper = blocks.arrays()
        region, late = self.model.regions(), np.zeros(len(cost), dtype=bool)
        late[self.model.forbid("move_in")] = True
        takes, nothing = np.zeros(len(cost), dtype=bool), np.zeros(len(cost), dtype=bool)
        takes[self.model.forbid(*TAKES_AWAY)] = True
        top, none = most.copy(), np.zeros(len(cost))
        if forbidden is not None:
            top[forbidden] = 0.0
        first = self._warm is None
        if self._warm is None:
            self._cuts, self._lower = rounding_cuts(self.model)
            self._added = np.zeros(len(self._lower), dtype=bool)
            self._matrix = blocks.matrix()
            self._warm = WarmProgram(cost, self._matrix, lower, upper, top, "people plan")
        warm = self._warm
        warm.limit(np.arange(len(cost)), none, top)
        # The last basis is far from this program's: the interior point is quicker.
        relaxed = warm.solve("ipm")
        new = (self._lower - self._cuts @ relaxed.values > WORTH) & ~self._added
        if first and new.any():
            self._added |= new
            warm.add_rows(self._cuts[new], self._lower[new], np.full(int(new.sum()), np.inf))
            relaxed = warm.solve()
        solution, start = None, relaxed
        for down, barred in WAYS:
            if down:
                top[self.model.forbid(*barred)] = 0.0
                warm.limit(np.arange(len(cost)), none, top)
                start = warm.solve()
            try:
                solution = _hold_whole(
                    warm, start, self._matrix, whole, top, region, late, takes if down else nothing
                )
                break
            except InfeasibleError:
                continue
        if solution is None:
            return None
        constant = blocks.constant
        return Found(solution.values, solution.objective + constant, relaxed.objective + constant, "optimal")


def _hold_whole(
    warm: WarmProgram,
    relaxed: Solution,
    matrix: Any,
    whole: NDArray[np.bool_],
    top: FloatArray,
    region: IntArray,
    late: NDArray[np.bool_],
    down: NDArray[np.bool_],
) -> Solution:
    """Hold columns whole, the nearest of every region at a time, until all are.

    What is idle in the relaxation stays so. Regions bear on each other little, so that one figure in each
    can be held at once; two of one region answer each other. A figure that finds no room frees its region
    and the rows it stands in.
    """
    values, freed = relaxed.values, 0
    zero = np.flatnonzero(whole & (values < NEAR))
    warm.limit(zero, np.zeros(len(zero)), np.zeros(len(zero)))
    held = ~whole
    held[zero] = True
    solution = relaxed
    while True:
        off = np.abs(values - np.rint(values))
        broken = np.flatnonzero(~held & (off > NEAR))
        if not len(broken):
            return solution
        # Where those who go are whole, as many can come: they are held last.
        broken = broken[~late[broken]] if not late[broken].all() else broken
        broken = broken[np.argsort(off[broken], kind="stable")]
        near = broken[np.sort(np.unique(region[broken], return_index=True)[1])]
        figures = np.floor(values + np.where(down, NEAR, 0.5))
        answer = _held(warm, near, figures[near]) or _held(warm, near, np.floor(values[near] + NEAR))
        while answer is None:
            warm.limit(near, np.zeros(len(near)), top[near])
            if len(near) > 1:
                near = near[: len(near) // 2]
            elif freed == MOST_FREED:
                raise InfeasibleError("people plan: no whole figures near the relaxation")
            else:
                freed += 1
                kin = matrix.T.tocsr()[:, matrix[:, near].indices].nonzero()[0]
                kin = np.union1d(kin, np.flatnonzero(region == region[near[0]]))
                kin = kin[whole[kin]]
                warm.limit(kin, np.zeros(len(kin)), top[kin])
                held[kin] = False
            answer = _held(warm, near, figures[near]) or _held(warm, near, np.floor(values[near] + NEAR))
        held[near] = True
        solution = answer
        values = solution.values


def _held(warm: WarmProgram, columns: IntArray, figures: FloatArray) -> Solution | None:
    """The answer with some columns held; None if there is none."""
    warm.limit(columns, figures, figures)
    try:
        return warm.solve()
    except InfeasibleError:
        return None


def _branched(solution: Solution) -> Found:
    return Found(solution.values, solution.objective, solution.bound, solution.status)
