"""Waits at a depot that orders from a site above it, where lots come in and lots go up.

A depot orders with the piece that brings its position down to R, and the i-th piece of that lot serves the
(R + i)-th piece asked afterwards. Seen from a piece that is asked at time 0, its supply was therefore
ordered with the trigger: the piece asked g = R + i before it, i = 1 .. Q each as likely. With T the age of
the trigger and W the wait of the depot's order above,

    wait = (L + W - T)+ .

Both depend on which piece the trigger was. It was the k-th of a lot of stream r: the rest of that lot was
asked with it, so that less is to come until time 0, and the phase of r starts anew on both sides of it, so
that W has its own law as well. The density of (T, r, k) is the rate of the lots of r times the chance that
the other streams bring just what is missing to g; given (r, k), T and W are taken as independent. They are
where no other stream comes in lots; otherwise the phases of the others tie them loosely.

References
----------
.. [1] Axsäter (1993), Exact and approximate evaluation of batch-ordering policies for two-level inventory
   systems.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class LotStream(NamedTuple):
    """Lots that a depot is asked for.

    Parameters
    ----------
    quantity : int
        [pieces]
    rate : float
        [pieces per day]
    steady : ndarray, shape (windows, size)
        Law of the pieces of a window, whatever happens at its ends.
    fresh : list of ndarray, shape (windows, size)
        The same of a window that ends with a lot of the stream, by the kinds of its own trigger.
    weight : ndarray, shape (kinds,)
        Share of each kind.
    between : ndarray, shape (windows, size), or None
        Density of a lot, with the pieces of the lots between it and another lot at the end of the window;
        None: the rate of the lots times the mean of `fresh`. [per day]
    """

    quantity: int
    rate: float
    steady: FloatArray
    fresh: list[FloatArray]
    weight: FloatArray
    between: FloatArray | None


class Depot(NamedTuple):
    """A depot as its triggers see it.

    Parameters
    ----------
    least, most : int
        R + 1 and R + Q. [pieces]
    lead : float
        From the site above. [days]
    single_rate : float
        Single pieces. [pieces per day]
    single : ndarray, shape (windows, size)
        Law of the single pieces of a window.
    lots : list of LotStream
    """

    least: int
    most: int
    lead: float
    single_rate: float
    single: FloatArray
    lots: list[LotStream]


def depot_waits(
    depot: Depot, days: FloatArray, above_days: FloatArray, above: list[FloatArray]
) -> tuple[float, FloatArray, list[FloatArray]]:
    """P(wait > days) at a depot.

    Parameters
    ----------
    depot : Depot
    days : ndarray, shape (windows,)
        From 0 to the longest wait, evenly. [days]
    above_days : ndarray
        From 0 to the longest wait above, evenly. [days]
    above : list of ndarray, shape (quantity of the trigger's stream, Q, points)
        P(wait above > above_days) of the pieces of a lot of the depot, by its trigger: first single pieces
        (all alike), then the streams of `depot.lots`.

    Returns
    -------
    short : float
        P(some piece waits at a moment).
    single : ndarray, shape (windows + 1,)
        Of single pieces; last, the share that is served at once but not from the shelf.
    lots : list of ndarray, shape (kinds, quantity, windows + 1)
        Of the pieces of each stream's lots, alike.
    """
    windows, size = depot.single.shape
    step = days[1] - days[0]
    shape = fft.next_fast_len(2 * windows)
    arrivals = [_arrivals(above_days, table, depot.lead, days) for table in above]
    coming = [fft.rfft(table, shape) for table in arrivals]
    width = fft.next_fast_len((len(depot.lots) + 3) * size)
    waves = [fft.rfft(depot.single, width), *(fft.rfft(lot.steady, width) for lot in depot.lots)]
    gap = np.arange(depot.least, depot.most + 1)
    triggers = [1, *(lot.quantity for lot in depot.lots)]

    def tagged(own: int, found: FloatArray | None, order: IntArray) -> FloatArray:
        """Laws of the pieces `order` of a lot of stream `own`, before which `found` came from that stream."""
        late = np.zeros((len(order), shape // 2 + 1), dtype=complex)
        others = [wave for place, wave in enumerate(waves) if place != own or place == 0]
        for place, quantity in enumerate(triggers):
            if place == 0:
                if depot.single_rate <= 0:
                    continue
                wave = depot.single_rate * _product(others)
            else:
                lot = depot.lots[place - 1]
                fresh = np.tensordot(lot.weight, lot.fresh, 1) * lot.rate / quantity
                if place == own:
                    # One law tells of both lots and of what lies between them.
                    here = lot.between if lot.between is not None else fresh
                    wave = _product(others) * fft.rfft(here, width)
                else:
                    rest = [wave for k, wave in enumerate(waves) if k not in (own, place) or k == 0]
                    wave = _product(rest) * fft.rfft(fresh, width)
            if found is not None and place != own:
                wave = wave * fft.rfft(found, width)
            density = np.maximum(fft.irfft(wave, width)[:, :size], 0.0)
            age = fft.rfft(_accumulated(density, step), shape, axis=0)
            kinds = np.arange(1, quantity + 1)
            missing = gap[None, :, None] - order[:, None, None] - quantity + kinds[None, None, :]
            known = (missing >= 0) & (missing < size)
            chosen = age.T[np.where(known, missing, 0)] * known[..., None]
            late += np.einsum("kimf,mif->kf", np.conj(chosen), coming[place])
        out = np.zeros((len(order), windows + 1))
        out[:, :-1] = fft.irfft(late, shape)[:, :windows]
        for n, k in enumerate(order):
            for i in np.flatnonzero(gap < k):
                # The trigger was a mate of the same lot, or the piece itself.
                mate = arrivals[own][k - gap[i] - 1, i]
                out[n, :-1] += np.cumsum(mate[::-1])[::-1] - mate / 2
                out[n, 0] -= mate[0] / 2
                out[n, -2] += mate[-1] / 2
                out[n, -1] += mate[0]
        return np.clip(out / len(gap), 0.0, 1.0)

    short = float(tagged(-1, None, np.array([0]))[0, 0])
    single = tagged(0, None, np.array([1]))[0]
    lots = [
        np.stack([tagged(place, law, np.arange(1, lot.quantity + 1)) for law in lot.fresh])
        for place, lot in enumerate(depot.lots, start=1)
    ]
    return short, single, lots


def _arrivals(above_days: FloatArray, longer: FloatArray, lead: float, days: FloatArray) -> FloatArray:
    """Chance of lead + wait above at each of `days`, what lies between two of them shared by both."""
    middle = (above_days[1:] + above_days[:-1]) / 2
    at = lead + np.r_[0.0, middle, above_days[-1]]
    mass = np.concatenate(
        [1 - longer[..., :1], longer[..., :-1] - longer[..., 1:], longer[..., -1:]], axis=-1
    )
    share = np.zeros((len(at), len(days)))
    if days[-1] <= 0:
        share[:, 0] = 1.0
    else:
        place = np.minimum(at / days[1], len(days) - 1.0)
        low = np.minimum(place.astype(np.int64), len(days) - 2)
        share[np.arange(len(at)), low] = 1 - (place - low)
        share[np.arange(len(at)), low + 1] = place - low
    return np.asarray(mass @ share, dtype=float)


def _accumulated(density: FloatArray, step: float) -> FloatArray:
    """Integral from the first row to each, by Simpson's rule."""
    from scipy.integrate import cumulative_simpson

    if step <= 0:
        return np.zeros_like(density)
    return np.asarray(cumulative_simpson(density, dx=step, axis=0, initial=0.0), dtype=float)


def _product(waves: list[NDArray[np.complex128]]) -> NDArray[np.complex128]:
    out = waves[0]
    for wave in waves[1:]:
        out = out * wave
    return out
