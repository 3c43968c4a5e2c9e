"""Whole laws of the wait, one part at a time: what `waiting` explains, computed row by row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking._forest import Forest
from spareplan.stocking.laws import backorder_pmf, convolve_poisson, count_reach, poisson_pmf, thin

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# Times closer than this are the same moment: differences of lead times carry rounding.
INSTANT = 1e-9


class Ahead(NamedTuple):
    """Law of the pieces still to come of those ordered before a tagged demand, t days after it.

    Parameters
    ----------
    lowest : int
        Count of the first entry; below 0 where later orders came first. [pieces]
    pending, done : ndarray, shape (k,)
        Joint probability with the tagged order still to come, and with it received.
    """

    lowest: int
    pending: FloatArray
    done: FloatArray


class WaitLaws:
    """Laws of one part's rows, each computed once."""

    def __init__(self, forest: Forest, below_repair: BoolArray) -> None:
        self.forest, self.below_repair = forest, below_repair
        self.backlogs: dict[int, FloatArray] = {}
        self.known: dict[tuple[int, float], Ahead] = {}

    def share(self, row: int, time: float) -> float:
        ahead = self.ahead(row, time)
        least, most = int(self.forest.least[row]), int(self.forest.most[row])
        total = 0.0
        for stock in range(least, most + 1):
            total += ahead.pending[: max(stock - ahead.lowest, 0)].sum()
            total += ahead.done[: max(stock - ahead.lowest + 1, 0)].sum()
        return float(total / (most - least + 1))

    def backlog(self, row: int) -> FloatArray:
        """Backorders of a row at any time."""
        if row not in self.backlogs:
            f = self.forest
            parent, local = int(f.parent[row]), float(f.pipeline[row])
            if parent < 0:
                law = poisson_pmf(local, max(count_reach(local), int(f.most[row])))
            else:
                above = self.backlog(parent)
                reach = max(count_reach(local) + len(above), int(f.most[row]))
                law = convolve_poisson(thin(above, float(f.share[row]), reach), local, reach)
            backlog = backorder_pmf(law, int(f.least[row]), int(f.most[row]))
            held = np.flatnonzero(backlog > 1e-19)
            self.backlogs[row] = backlog[: held[-1] + 1] if len(held) else backlog[:1]
        return self.backlogs[row]

    def ahead(self, row: int, time: float) -> Ahead:
        key = (row, round(time, 9))
        if key not in self.known:
            self.known[key] = self._ahead(row, time)
        return self.known[key]

    def _ahead(self, row: int, time: float) -> Ahead:
        f = self.forest
        demand, repaired = float(f.demand[row]), float(f.repair_share[row])
        streams = [(repaired, float(f.repair_days[row]))]
        if f.parent[row] < 0:
            streams = self._supplies(row)
            late = sum(share for share, days in streams if time < days - INSTANT)
            return _supplied(Ahead(0, np.array([late]), np.array([1 - late])), demand, streams, time)
        ours, others = self._at_parent(row, time)
        if repaired <= 0:
            return ours
        # The tagged piece goes up, or is repaired on the spot while all orders at the parent are others'.
        under_repair = repaired if time < streams[0][1] - INSTANT else 0.0
        mixed = Ahead(
            min(ours.lowest, others.lowest),
            _sum((1 - repaired, ours.lowest, ours.pending), (under_repair, others.lowest, others.done)),
            _sum(
                (1 - repaired, ours.lowest, ours.done), (repaired - under_repair, others.lowest, others.done)
            ),
        )
        return _supplied(mixed, demand, streams, time)

    def _at_parent(self, row: int, time: float) -> tuple[Ahead, Ahead]:
        """Orders sent up before the tagged one and not yet in: if it goes up too, and if it does not."""
        f = self.forest
        parent, lead, share = int(f.parent[row]), float(f.lead[row]), float(f.share[row])
        if time < lead - INSTANT:
            rest = (1 - float(f.repair_share[row])) * float(f.demand[row]) * (lead - time)
            above = self.backlog(parent)
            reach = max(count_reach(rest) + len(above), int(f.most[row]))
            law = convolve_poisson(thin(above, share, reach), rest, reach)
            return Ahead(0, law, np.zeros(1)), Ahead(0, np.zeros(1), law)
        if float(f.repair_share[row]) > 0 and not self.below_repair[row]:
            return self._of_served(parent, share, max(time - lead, 0.0))
        before = self.ahead(parent, max(time - lead, 0.0))
        least, most = int(f.least[parent]), int(f.most[parent])
        both = _add(before.pending, before.done)
        tagged, untagged = np.zeros(1), np.zeros(1)
        for stock in range(least, most + 1):
            # Unserved at the parent are K = (Y + tau - S)+ orders, the tagged one last: K - 1 before it.
            first = stock - before.lowest
            tagged = _add(tagged, _add(_beyond(before.pending, first), _beyond(before.done, first + 1)))
            untagged = _add(untagged, _beyond(both, first))
        tagged, untagged = tagged / (most - least + 1), untagged / (most - least + 1)
        untagged[0] += 1 - untagged.sum()
        pending = thin(tagged, share, len(tagged) - 1)
        others = Ahead(0, np.zeros(1), thin(untagged, share, len(untagged) - 1))
        return Ahead(0, pending, np.array([1 - tagged.sum()])), others

    def _of_served(self, parent: int, share: float, time: float) -> tuple[Ahead, Ahead]:
        """As `_at_parent`, counting the orders after the tagged one that the parent has served, too."""
        return tuple(  # type: ignore[return-value]
            _split(*self._served(parent, time, tagged), share, tagged) for tagged in (True, False)
        )

    def _served(self, row: int, time: float, tagged: bool) -> tuple[int, FloatArray]:
        """Law of the orders a site has served `time` after the tagged one, counted from it.

        Below 0: orders up to the tagged one that are not served yet. It is A + min(C, B), A orders after the
        tagged one that are in, B those that are not, and C = S - Y - tau. At HQ and before the lead time is
        over the three are independent; later at a depot B depends a little on what HQ could serve.
        """
        f = self.forest
        least, most, parent = int(f.least[row]), int(f.most[row]), int(f.parent[row])
        demand, lead = float(f.demand[row]), float(f.lead[row])
        received = np.ones(1)
        if parent < 0:
            streams = self._supplies(row)
            owed = demand * sum(part * max(days - time, 0.0) for part, days in streams)
            early = demand * sum(part * max(time - days, 0.0) for part, days in streams)
            late = sum(part for part, days in streams if time < days - INSTANT)
            law = poisson_pmf(owed, count_reach(owed))
            ahead = np.convolve(law, [1 - late, late]) if tagged else law
            received = poisson_pmf(early, count_reach(early))
            return _at_most_asked(ahead, least, most, demand * time - early, received)
        if time < lead - INSTANT:
            owed, above = demand * (lead - time), self.backlog(parent)
            reach = count_reach(owed) + len(above)
            ahead = convolve_poisson(thin(above, float(f.share[row]), reach), owed, reach)
            return _at_most_asked(
                np.r_[0.0, ahead] if tagged else ahead, least, most, demand * time, received
            )
        before = self._served(parent, max(time - lead, 0.0), tagged)
        ours = _split(*before, float(f.share[row]), tagged)
        in_line = _sum((1.0, ours.lowest, ours.done), (1.0, ours.lowest + int(tagged), ours.pending))
        none = -ours.lowest
        received = in_line[: none + 1][::-1]
        rest = max(demand * time - float(received @ np.arange(len(received))), 0.0)
        return _either(
            _at_most_asked(np.ones(1), least, most, rest, received),
            _at_most_asked(np.r_[0.0, in_line[none + 1 :]], least, most, rest, np.ones(1)),
        )

    def _supplies(self, row: int) -> list[tuple[float, float]]:
        """Supplies of HQ as (share, days): repaired on the spot, bought, come back repaired."""
        f = self.forest
        repaired = float(f.repair_share[row])
        bought = (1 - repaired) * (1 - float(f.return_share[row]))
        return [
            (repaired, float(f.repair_days[row])),
            (bought, float(f.lead[row])),
            (1 - repaired - bought, float(f.return_days[row])),
        ]


def _supplied(ahead: Ahead, demand: float, streams: list[tuple[float, float]], time: float) -> Ahead:
    """Add supplies of fixed duration, (share, days) each: orders still out, less later ones in."""
    live = [(share, days) for share, days in streams if share > 0]
    owed = sum(demand * share * max(days - time, 0.0) for share, days in live)
    early = sum(demand * share * max(time - days, 0.0) for share, days in live)
    if len(live) == 1 and ahead.pending.size == 1:
        # With one supply nothing overtakes: later orders never come before the tagged one.
        early = 0.0
    law = poisson_pmf(owed, count_reach(owed))
    came = poisson_pmf(early, count_reach(early)) if early > 0 else np.ones(1)
    net = np.convolve(law, came[::-1])
    return Ahead(
        ahead.lowest - (len(came) - 1), np.convolve(ahead.pending, net), np.convolve(ahead.done, net)
    )


def _beyond(law: FloatArray, first: int) -> FloatArray:
    """Law from its entry `first` on; entries before the law are zero."""
    if first < 0:
        return np.r_[np.zeros(-first), law]
    return law[first:] if first < len(law) else np.zeros(1)


def _at_most_asked(
    ahead: FloatArray, least: int, most: int, rest: float, received: FloatArray
) -> tuple[int, FloatArray]:
    """Law of A + min(S - X, B): A `received`, X `ahead`, S uniform on least .. most, B Poisson(rest)."""
    lowest = least - len(ahead) + 1
    spare = np.zeros(len(ahead) + most - least)
    for step in range(most - least + 1):
        spare[step : step + len(ahead)] += ahead[::-1] / (most - least + 1)
    asked = poisson_pmf(rest, count_reach(rest))
    more = np.r_[1.0, np.clip(1 - np.cumsum(asked), 0.0, 1.0)]
    reached = np.cumsum(spare[::-1])[::-1]
    highest = lowest + len(spare) - 1
    count = np.arange(max(min(highest, len(more) - 1), -1) + 1)
    beyond = reached[np.maximum(count - lowest, 0)] * more[count]
    law = np.r_[spare[: max(min(-lowest, len(spare)), 0)], -np.diff(np.r_[beyond, 0.0])]
    return min(lowest, 0), np.convolve(law, received)


def _either(one: tuple[int, FloatArray], other: tuple[int, FloatArray]) -> tuple[int, FloatArray]:
    return min(one[0], other[0]), _sum((1.0, *one), (1.0, *other))


def _split(lowest: int, served: FloatArray, share: float, tagged: bool) -> Ahead:
    """One child's part of the orders served beyond the tagged one; below 0, of those that are not."""
    short, beyond = served[:-lowest][::-1] if lowest < 0 else np.zeros(0), served[-lowest:]
    later = thin(beyond, share, len(beyond) - 1)[::-1] if len(beyond) else np.zeros(1)
    down = 1 - len(later)
    if tagged:
        pending = thin(short, share, len(short) - 1) if len(short) else np.zeros(1)
        return Ahead(down, np.r_[np.zeros(-down), pending], later)
    waiting = thin(np.r_[0.0, short], share, len(short))
    return Ahead(down, np.zeros(1), _sum((1.0, down, later), (1.0, 0, waiting)))


def _sum(*terms: tuple[float, int, FloatArray]) -> FloatArray:
    """Weighted sum of laws (weight, count of the first entry, law), from the lowest count on."""
    lowest = min(first for _, first, _ in terms)
    out = np.zeros(max(first - lowest + len(law) for _, first, law in terms))
    for weight, first, law in terms:
        out[first - lowest : first - lowest + len(law)] += weight * law
    return out


def _add(a: FloatArray, b: FloatArray) -> FloatArray:
    if len(a) < len(b):
        a, b = b, a
    out = a.copy()
    out[: len(b)] += b
    return out
