"""Orders in lots anywhere in the tree: the wait of every piece at the site above, piece by piece of its lot.

When site c orders a lot of Q pieces, R are left to it: the i-th piece of the lot serves the (R + i)-th piece
asked of c from then on. It arrives after the lead time L and a wait W_i at the parent that depends on what
was asked there before, not on what c is asked later. With X Poisson, asked of c in a time,

    P(piece is late by x) = P(X(L + W_i - x) >= R + i),   i = 1 .. Q, each as likely.

At the parent the same rule says P(W_i > x): before a piece of c stand the lots of the others, with uniform
phases, the full lots that c itself ordered in the window, and its i - 1 mates. The law of the lots is
convolved exactly. For two echelons with Poisson demand all this is exact [1]_, in deeper trees, too, where
only HQ and depots order in lots (tabulated to a thousandth). Otherwise the phases of the lots below a depot
tie what it asks for to what is asked of it; `_depot_waits` knows the tie by the lot that made the depot
order, and leaves out that by the others: against simulation depots are 2-4 % of their mean wait off and
stations 7 %, mostly on the safe side.

References
----------
.. [1] Axsäter (1993), Exact and approximate evaluation of batch-ordering policies for two-level inventory
   systems.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking._depot_waits import Depot, LotStream, depot_waits
from spareplan.stocking._forest import Forest
from spareplan.stocking._lot_counts import (
    all_of,
    at_least,
    at_times,
    both,
    integral,
    lots_of,
    pmf,
    poisson_laws,
)
from spareplan.stocking.laws import Service

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
# Points of time on which waits are tabulated; even, for Simpson's rule.
STEPS = 128


class Waits(NamedTuple):
    """Waits at the parent of the pieces of a site's lot.

    Parameters
    ----------
    days : ndarray, shape (STEPS + 1,)
        From 0 to the longest wait, evenly. [days]
    longer : list of ndarray, shape (q, Q, STEPS + 1)
        P(W_i > days), at the last point the limit from below, by the piece that made the site order: a table
        per stream of its orders, a row per piece of the stream's lots.
    """

    days: FloatArray
    longer: list[FloatArray]

    @property
    def single(self) -> FloatArray:
        """The same where the site is asked for single pieces only, shape (Q, STEPS + 1)."""
        return self.longer[0][0]


class Stream(NamedTuple):
    """Orders that reach a site: `row` orders `quantity` at a time when so many were asked of it.

    Parameters
    ----------
    row, by : int
        Where the lots are made, and the child of the site through which they come (-1: the site itself).
    quantity : int
        [pieces]
    rate : float
        [pieces per day]
    own : bool
        Single pieces of a site's own demand.
    """

    row: int
    quantity: int
    rate: float
    by: int
    own: bool


def lot_service(forest: Forest, wanted: BoolArray, times: FloatArray) -> tuple[Service, FloatArray]:
    """Evaluate parts with Poisson demand, no repair, and lots at any site.

    Parameters
    ----------
    forest : Forest
    wanted : ndarray of bool, shape (n,)
        Rows to evaluate, whole parts; the others stay NaN.
    times : ndarray, shape (T,)
        Waits to give the share of. [days]

    Returns
    -------
    Service
    waits_le : ndarray, shape (n, T)
        Share of all pieces asked of a row that wait at most each time.
    """
    out = Service(*(np.full(len(forest), np.nan) for _ in Service._fields))
    shares = np.full((len(forest), len(times)), np.nan)
    first, last = forest.spans()
    for start, stop in zip(first, last):
        if wanted[start]:
            _Tree(forest, int(start), int(stop)).evaluate(out, shares, times)
    return out, shares


class _Tree:
    """One part: its sites from HQ down."""

    def __init__(self, forest: Forest, start: int, stop: int) -> None:
        self.forest, self.start, self.stop = forest, start, stop
        self.children: dict[int, list[int]] = {row: [] for row in range(start, stop)}
        for row in range(start + 1, stop):
            if forest.demand[row] > 0:
                self.children[int(forest.parent[row])].append(row)
        # With two echelons all laws are smooth in time; below a depot they jump at its lead time.
        self.smooth = int(forest.depth[start:stop].max()) <= 1

    def evaluate(self, out: Service, shares: FloatArray, times: FloatArray) -> None:
        f = self.forest
        never = np.zeros((int(f.most[self.start] - f.least[self.start]) + 1, STEPS + 1))
        none = [never[None]] * max(len(self._streams(self.start)), 1)
        waits = {self.start: Waits(np.zeros(STEPS + 1), none)}
        for row in range(self.start, self.stop):
            if f.demand[row] <= 0:
                out.ebo[row], out.pipeline[row], out.fill_rate[row], out.ready_rate[row] = 0, 0, 1, 1
                continue
            above = waits.pop(row)
            streams = self._streams(row)
            even = [np.full(len(table), 1 / len(table)) for table in above.longer]
            behind = _mean_piece(streams, above.longer, even)
            out.pipeline[row] = f.pipeline[row] + f.demand[row] * integral(above.days, behind[None])[0]
            if self.children[row]:
                self._supplier(row, above, waits, out, shares, times)
            else:
                self._leaf(row, above, out, shares, times)

    def _leaf(self, row: int, above: Waits, out: Service, shares: FloatArray, times: FloatArray) -> None:
        """A site that is asked for single pieces: Poisson counts over the lead time and the wait above."""
        f = self.forest
        rate, lead = float(f.demand[row]), float(f.lead[row])
        stock = np.arange(f.least[row], f.most[row] + 1)[:, None]
        mean = rate * (lead + above.days)
        missed, short = at_least(stock, mean), at_least(stock + 1, mean)
        # E f(W) = f(0) + integral of f'(w) P(W > w).
        missed_rise, short_rise = rate * pmf(stock - 1, mean), rate * pmf(stock, mean)
        late_pieces = mean[0] * at_least(stock - 1, mean[:1]) - stock * missed[:, :1]
        backlog = late_pieces[:, 0] + integral(above.days, rate * missed * above.single)
        out.ebo[row] = backlog.mean()
        miss = missed[:, 0] + integral(above.days, missed_rise * above.single)
        out.fill_rate[row] = 1 - miss.mean()
        out.ready_rate[row] = 1 - (short[:, 0] + integral(above.days, short_rise * above.single)).mean()
        for column, time in enumerate(times):
            begin = max(time - lead, 0.0)
            if begin >= above.days[-1] and time >= lead:
                shares[row, column] = 1.0
                continue
            days = np.linspace(begin, above.days[-1], STEPS + 1)
            longer = at_times(above.days, above.single, days, self.smooth)
            weight = longer[:, 0] if time >= lead else 1.0
            left = rate * np.maximum(lead + days - time, 0.0)
            late = at_least(stock, left[:1])[:, 0] * weight
            late = late + integral(days, rate * pmf(stock - 1, left) * longer)
            shares[row, column] = 1 - late.mean()

    def _supplier(
        self, row: int, above: Waits, waits: dict[int, Waits], out: Service, shares: FloatArray,
        times: FloatArray,
    ) -> None:  # fmt: skip
        """A site that others order from: what it is asked for in windows, and the waits of its pieces."""
        f = self.forest
        longest = float(f.lead[row] + above.days[-1])
        days = np.linspace(0.0, longest, STEPS + 1)
        streams = self._streams(row)
        weights = [self._kinds(stream) for stream in streams]
        if row == self.start:
            pieces, out.ready_rate[row] = self._top(row, streams, days)
            missed = _mean_piece(streams, pieces, weights)[0]
        else:
            pieces, at_once, out.ready_rate[row] = self._depot(row, streams, days, above)
            missed = _mean_piece(streams, pieces, weights)[0] + _mean_piece(streams, at_once, weights)[0]
        for child in self.children[row]:
            # A site that orders piece by piece passes on the lots of the sites below it as they come.
            mine = [k for k, stream in enumerate(streams) if stream.by == child]
            if self._quantity(child) > 1:
                cuts = np.cumsum([stream.quantity for stream in self._streams(child)])[:-1]
                waits[child] = Waits(days, np.split(pieces[mine[0]], cuts))
            else:
                passed = [np.tensordot(weights[k], pieces[k], 1)[:, None] for k in mine]
                waits[child] = Waits(days, passed)
        mean = _mean_piece(streams, pieces, weights)
        out.ebo[row] = f.demand[row] * integral(days, mean[None])[0]
        out.fill_rate[row] = 1 - missed
        for column, time in enumerate(times):
            late = at_times(days, mean[None], np.array([time]), self.smooth)[0, 0] if time < longest else 0.0
            shares[row, column] = 1 - late

    def _top(self, row: int, streams: list[Stream], days: FloatArray) -> tuple[list[FloatArray], float]:
        """P(wait > days) at headquarters of the pieces of each stream, and the ready rate.

        A stream has a table per kind of trigger, with a row per piece of its lot.
        """
        stock = np.arange(self.forest.least[row], self.forest.most[row] + 1)
        size = int(stock[-1]) + 1 + max((stream.quantity for stream in streams), default=1)
        whole, before = self._before(streams, days, size)

        def longer(law: FloatArray, mate: int) -> FloatArray:
            """P(W > days) of a piece that finds `law` on order and `mate` pieces of its own lot before it."""
            below = np.cumsum(law, axis=1)
            room = stock - 1 - mate
            served = np.where(room >= 0, below[:, np.clip(room, 0, size - 1)], 0.0)
            return np.asarray(1 - np.minimum(served, 1.0).mean(axis=1)[::-1], dtype=float)

        pieces = [
            np.stack([[longer(law, mate) for mate in range(stream.quantity)] for law in laws])
            for stream, laws in zip(streams, before)
        ]
        return pieces, float(1 - longer(whole, -1)[0])

    def _depot(
        self, row: int, streams: list[Stream], days: FloatArray, above: Waits
    ) -> tuple[list[FloatArray], list[FloatArray], float]:
        """The same at a site below, and the share of each piece that is served at once but not from stock."""
        f = self.forest
        size = int(f.most[row]) + 2
        single = sum(stream.rate for stream in streams if stream.own)
        lots = [
            LotStream(
                stream.quantity,
                stream.rate,
                lots_of(self._law(stream, days, size + stream.quantity), stream.quantity),
                self._fresh(stream, days, size),
                self._kinds(stream),
                None if self.children[stream.row] else _lots_between(stream, days, size),
            )
            for stream in streams
            if not stream.own
        ]
        depot = Depot(
            int(f.least[row]), int(f.most[row]), float(f.lead[row]), single,
            poisson_laws(single * days, size), lots,
        )  # fmt: skip
        ordered = [table for table, stream in zip(above.longer, streams) if stream.own][:1]
        ordered = ordered or [np.zeros((1, *above.longer[0].shape[1:]))]
        ordered += [table for table, stream in zip(above.longer, streams) if not stream.own]
        short, of_single, of_lots = depot_waits(depot, days, above.days, ordered)
        tables = iter(of_lots)
        found = [of_single[None, None] if stream.own else next(tables) for stream in streams]
        return [table[..., :-1] for table in found], [table[..., -1:] for table in found], 1 - short

    def _quantity(self, row: int) -> int:
        return int(self.forest.most[row] - self.forest.least[row]) + 1

    def _streams(self, row: int, by: int = -1) -> list[Stream]:
        """Streams of orders that reach a site: its own demand, and the lots of the sites below."""
        f = self.forest
        out = [Stream(row, 1, float(f.own[row]), by, True)] if f.own[row] > 0 else []
        for child in self.children[row]:
            ordered_by = by if by >= 0 else child
            if self._quantity(child) == 1:
                out += self._streams(child, ordered_by)
            else:
                rate = float(f.share[child] * f.demand[row])
                out.append(Stream(child, self._quantity(child), rate, ordered_by, False))
        return out

    def _law(self, stream: Stream, days: FloatArray, size: int) -> FloatArray:
        """Laws of the pieces that a stream was asked for in windows, shape (windows, size)."""
        if stream.own or not self.children[stream.row]:
            return poisson_laws(stream.rate * days, size)
        return all_of(self._lot_laws(self._streams(stream.row), days, size))

    def _kinds(self, stream: Stream) -> FloatArray:
        """Share of each kind of trigger of a stream's lots: each piece of each stream asked of its site."""
        if stream.own or not self.children[stream.row]:
            return np.ones(1)
        parts = self._streams(stream.row)
        rate = np.repeat([part.rate / part.quantity for part in parts], [part.quantity for part in parts])
        return np.asarray(rate / rate.sum(), dtype=float)

    def _fresh(self, stream: Stream, days: FloatArray, size: int) -> list[FloatArray]:
        """Laws of the pieces that a stream brought in windows before a lot of its own, by kind of trigger."""
        if stream.own or not self.children[stream.row]:
            asked = [poisson_laws(stream.rate * days, size + stream.quantity)]
        else:
            asked = []
            parts = self._streams(stream.row)
            for part, laws in zip(parts, self._before(parts, days, size + stream.quantity)[1]):
                law = np.tensordot(self._kinds(part), laws, 1)
                for mates in range(part.quantity):
                    shifted = np.zeros_like(law)
                    shifted[:, mates:] = law[:, : law.shape[1] - mates]
                    asked.append(shifted)
        return [lots_of(law, stream.quantity, fresh=True) for law in asked]

    def _lot_laws(self, streams: list[Stream], days: FloatArray, size: int) -> list[FloatArray]:
        """Laws of what streams bring in windows: all single pieces together, then lots stream by stream."""
        single = sum(stream.rate for stream in streams if stream.own)
        lots = [stream for stream in streams if not stream.own]
        return [poisson_laws(single * days, size)] + [
            lots_of(self._law(stream, days, size + stream.quantity), stream.quantity) for stream in lots
        ]

    def _before(
        self, streams: list[Stream], days: FloatArray, size: int
    ) -> tuple[FloatArray, list[list[FloatArray]]]:
        """Laws of all that is asked in windows, and of what a lot of each stream finds, by its trigger."""
        laws = self._lot_laws(streams, days, size)
        ahead, behind = [laws[0]], [np.ones((len(days), 1))]
        for law in laws[1:]:
            ahead.append(both(ahead[-1], law, size))
        for law in laws[:1:-1]:
            behind.append(both(behind[-1], law, size))
        out: list[list[FloatArray]] = []
        place = 0
        for stream in streams:
            if stream.own:
                out.append([ahead[-1]])
                continue
            others = both(ahead[place], behind[len(laws) - 2 - place], size)
            out.append([both(others, own, size) for own in self._fresh(stream, days, size)])
            place += 1
        return ahead[-1], out


def _mean_piece(streams: list[Stream], pieces: list[FloatArray], weights: list[FloatArray]) -> FloatArray:
    """Mean over streams, kinds of trigger and pieces of a lot of tables (kinds, pieces, windows)."""
    rates = np.array([stream.rate for stream in streams])
    rows = [np.tensordot(weight, piece, 1).mean(axis=0) for piece, weight in zip(pieces, weights)]
    return np.asarray(rates / rates.sum() @ np.stack(rows), dtype=float)


def _lots_between(stream: Stream, days: FloatArray, size: int) -> FloatArray:
    """Density of a lot a while before another one of the same site, by the pieces of the lots between."""
    out = np.zeros((len(days), size))
    mean = (stream.rate * days)[:, None]
    lots = np.arange(-(-size // stream.quantity))
    out[:, :: stream.quantity] = stream.rate * pmf((lots + 1) * stream.quantity - 1, mean)
    return out
