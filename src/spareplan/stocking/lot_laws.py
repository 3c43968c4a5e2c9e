"""Orders in lots anywhere in the tree: the wait of every piece at the site above, piece by piece of its lot.

When site c orders a lot of Q pieces, R are left to it: the i-th piece of the lot serves the (R + i)-th piece
asked of c from then on. It arrives after the lead time L and a wait W_i at the parent that depends on what
was asked there before, not on what c is asked later. With X Poisson, asked of c in a time,

    P(piece is late by x) = P(X(L + W_i - x) >= R + i),   i = 1 .. Q, each as likely.

At the parent the same rule says P(W_i > x): before a piece of c stand the lots of the others, with uniform
phases, the full lots that c itself ordered in the window, and its i - 1 mates. The law of the lots is
convolved exactly. For two echelons with Poisson demand all this is exact [1]_; deeper down the moments at
which a depot orders are taken as independent of what is asked of it afterwards, which is nearly so.

References
----------
.. [1] Axsäter (1993), Exact and approximate evaluation of batch-ordering policies for two-level inventory
   systems.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from spareplan.stocking._forest import Forest
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
    longer : ndarray, shape (Q, STEPS + 1)
        P(W_i > days), at the last point the limit from below.
    """

    days: FloatArray
    longer: FloatArray


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
        waits = {self.start: Waits(np.zeros(STEPS + 1), never)}
        for row in range(self.start, self.stop):
            if f.demand[row] <= 0:
                out.ebo[row], out.pipeline[row], out.fill_rate[row], out.ready_rate[row] = 0, 0, 1, 1
                continue
            above = waits.pop(row)
            late = f.demand[row] * _integral(above.days, above.longer).mean()
            out.pipeline[row] = f.pipeline[row] + late
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
        missed, short = _at_least(stock, mean), _at_least(stock + 1, mean)
        # E f(W) = f(0) + integral of f'(w) P(W > w).
        missed_rise, short_rise = rate * _pmf(stock - 1, mean), rate * _pmf(stock, mean)
        late_pieces = mean[0] * _at_least(stock - 1, mean[:1]) - stock * missed[:, :1]
        backlog = late_pieces[:, 0] + _integral(above.days, rate * missed * above.longer)
        out.ebo[row] = backlog.mean()
        miss = missed[:, 0] + _integral(above.days, missed_rise * above.longer)
        out.fill_rate[row] = 1 - miss.mean()
        out.ready_rate[row] = 1 - (short[:, 0] + _integral(above.days, short_rise * above.longer)).mean()
        for column, time in enumerate(times):
            begin = max(time - lead, 0.0)
            if begin >= above.days[-1] and time >= lead:
                shares[row, column] = 1.0
                continue
            days = np.linspace(begin, above.days[-1], STEPS + 1)
            longer = _at(above.days, above.longer, days, self.smooth)
            weight = longer[:, 0] if time >= lead else 1.0
            left = rate * np.maximum(lead + days - time, 0.0)
            late = _at_least(stock, left[:1])[:, 0] * weight
            late = late + _integral(days, rate * _pmf(stock - 1, left) * longer)
            shares[row, column] = 1 - late.mean()

    def _supplier(
        self, row: int, above: Waits, waits: dict[int, Waits], out: Service, shares: FloatArray,
        times: FloatArray,
    ) -> None:  # fmt: skip
        """A site that others order from: what it is asked for in windows, and the waits of its pieces."""
        f = self.forest
        longest = float(f.lead[row] + above.days[-1])
        days = np.linspace(0.0, longest, STEPS + 1)
        least, most = int(f.least[row]), int(f.most[row])
        streams = self._streams(row)
        size = most + 1 + max((stream.quantity for stream in streams), default=1)
        whole, before = self._before(streams, days, size)
        stock = np.arange(least, most + 1)

        def longer(law: FloatArray, mate: int) -> FloatArray:
            """P(W > days) of a piece that finds `law` on order and `mate` pieces of its own lot before it."""
            below = np.cumsum(law, axis=1)
            room = stock - 1 - mate
            served = np.where(room >= 0, below[:, np.clip(room, 0, size - 1)], 0.0).T
            return self._over_window(above, float(f.lead[row]), days, 1 - np.minimum(served, 1.0))

        single = longer(whole, 0)[None]
        pieces = [
            single if law is None else np.stack([longer(law, mate) for mate in range(stream.quantity)])
            for stream, law in zip(streams, before)
        ]
        for child in self.children[row]:
            # A site that orders piece by piece passes on the lots of the sites below it as they come.
            mine = [k for k, stream in enumerate(streams) if stream.by == child]
            if self._quantity(child) > 1:
                waits[child] = Waits(days, pieces[mine[0]])
            else:
                waits[child] = Waits(
                    days, _mean_piece([streams[k] for k in mine], [pieces[k] for k in mine])[None]
                )
        mean = _mean_piece(streams, pieces)
        out.ebo[row] = f.demand[row] * _integral(days, mean[None])[0]
        out.fill_rate[row] = 1 - mean[0]
        out.ready_rate[row] = 1 - longer(whole, -1)[0]
        for column, time in enumerate(times):
            late = _at(days, mean[None], np.array([time]), self.smooth)[0, 0] if time < longest else 0.0
            shares[row, column] = 1 - late

    def _over_window(self, above: Waits, lead: float, days: FloatArray, late: FloatArray) -> FloatArray:
        """Mean over the positions and the wait above of P(late), given by the length of the window.

        Row i of `late` belongs to the i-th piece of the site's own lot, as row i of `above.longer`; the
        window of a wait x is lead + W - x.
        """
        if above.days[-1] <= 0:
            return late.mean(axis=0)[::-1]
        middle = (above.days[1:] + above.days[:-1]) / 2
        mass = np.concatenate([1 - above.longer[:, :1], -np.diff(above.longer, axis=1)], axis=1)
        mass = np.concatenate([mass, above.longer[:, -1:]], axis=1)
        points = np.r_[0.0, middle, above.days[-1]]
        window = lead + points[None, :] - days[:, None]
        out = np.zeros(len(days))
        for values, chance in zip(late, mass):
            served_in = np.interp(window, days, values)
            out += np.where(window > -1e-12, served_in, 0.0) @ chance
        return out / len(late)

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
            return _poisson_laws(stream.rate * days, size)
        return _all(self._lot_laws(self._streams(stream.row), days, size))

    def _seen(self, stream: Stream, days: FloatArray, size: int) -> FloatArray:
        """Laws of the pieces that a stream was asked for in windows before a piece, its mates included."""
        if stream.own or not self.children[stream.row]:
            return _poisson_laws(stream.rate * days, size)
        parts = self._streams(stream.row)
        whole, before = self._before(parts, days, size)
        out = np.zeros((len(days), size))
        for part, law in zip(parts, before):
            for mates in range(min(part.quantity, size)):
                of_part = whole if law is None else law
                out[:, mates:] += part.rate / part.quantity * of_part[:, : size - mates]
        return out / sum(part.rate for part in parts)

    def _lot_laws(self, streams: list[Stream], days: FloatArray, size: int) -> list[FloatArray]:
        """Laws of what streams bring in windows: all single pieces together, then lots stream by stream."""
        single = sum(stream.rate for stream in streams if stream.own)
        lots = [stream for stream in streams if not stream.own]
        return [_poisson_laws(single * days, size)] + [
            _lots(self._law(stream, days, size + stream.quantity), stream.quantity) for stream in lots
        ]

    def _before(
        self, streams: list[Stream], days: FloatArray, size: int
    ) -> tuple[FloatArray, list[FloatArray | None]]:
        """Laws of all that is asked in windows, and of what a lot of each stream finds (None: all of it)."""
        laws = self._lot_laws(streams, days, size)
        ahead, behind = [laws[0]], [np.ones((len(days), 1))]
        for law in laws[1:]:
            ahead.append(_both(ahead[-1], law, size))
        for law in laws[:1:-1]:
            behind.append(_both(behind[-1], law, size))
        out: list[FloatArray | None] = []
        place = 0
        for stream in streams:
            if stream.own:
                out.append(None)
                continue
            others = _both(ahead[place], behind[len(laws) - 2 - place], size)
            seen = self._seen(stream, days, size + stream.quantity)
            out.append(_both(others, _lots(seen, stream.quantity, fresh=True), size))
            place += 1
        return ahead[-1], out


def _mean_piece(streams: list[Stream], pieces: list[FloatArray]) -> FloatArray:
    rates = np.array([stream.rate for stream in streams])
    return np.asarray(sum(w * piece.mean(axis=0) for w, piece in zip(rates / rates.sum(), pieces)))


def _lots(law: FloatArray, quantity: int, fresh: bool = False) -> FloatArray:
    """Laws of Q floor((U + X) / Q), U uniform; fresh: U = 0, counted back from an order."""
    size = law.shape[1] - quantity
    if quantity == 1:
        return law[:, :size]
    lots = -(-law.shape[1] // quantity)
    table = np.zeros((len(law), lots, quantity))
    table.reshape(len(law), -1)[:, : law.shape[1]] = law
    out = np.zeros((len(law), lots * quantity))
    rest = np.zeros(quantity) if fresh else np.arange(quantity) / quantity
    out[:, ::quantity] = table @ (1 - rest)
    out[:, quantity::quantity] += (table @ rest)[:, :-1]
    return out[:, :size]


def _both(one: FloatArray, other: FloatArray, size: int) -> FloatArray:
    """Laws of sums, cut at `size`, which the laws before it alone decide."""
    if one.shape[1] == 1:
        return other[:, :size]
    width = 2 * size
    waves = np.fft.rfft(one, width) * np.fft.rfft(other, width)
    return np.maximum(np.fft.irfft(waves, width)[:, :size], 0.0)


def _all(laws: list[FloatArray]) -> FloatArray:
    out = laws[0]
    for law in laws[1:]:
        out = _both(out, law, laws[0].shape[1])
    return out


def _poisson_laws(means: FloatArray, size: int) -> FloatArray:
    return np.asarray(_pmf(np.arange(size)[None, :], means[:, None]), dtype=float)


def _pmf(count: IntArray, mean: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        law = np.exp(special.xlogy(count, mean) - mean - special.gammaln(np.maximum(count, 0) + 1.0))
    return np.where(count >= 0, law, 0.0)


def _at_least(count: IntArray, mean: FloatArray) -> FloatArray:
    """P(Poisson >= count)."""
    return np.where(count > 0, special.gammainc(np.maximum(count, 1), mean), 1.0)


def _integral(days: FloatArray, values: FloatArray) -> FloatArray:
    """Simpson's rule over the last axis."""
    weight = np.full(len(days), 2.0)
    weight[1::2] = 4.0
    weight[[0, -1]] = 1.0
    return np.asarray(values @ weight * (days[-1] - days[0]) / (3 * (len(days) - 1)), dtype=float)


def _at(days: FloatArray, values: FloatArray, wanted: FloatArray, smooth: bool) -> FloatArray:
    """Tabulated values at other times, one table per row."""
    if smooth and days[-1] > 0:
        from scipy.interpolate import CubicSpline

        return np.asarray(CubicSpline(days, values, axis=1)(wanted), dtype=float)
    return np.stack([np.interp(wanted, days, row) for row in values])
