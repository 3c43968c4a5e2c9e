"""The wait of a delayed order under priorities, as an exact law.

It is a geometric number of busy periods of the classes above [1]_. Its transform has one branch cut and at
most one pole, so the tail is one exponential plus an integral of positive exponentials; the trapezoidal rule
with the poles taken out [2]_ gives it to machine accuracy at every time.

References
----------
.. [1] Davis (1966), Waiting-time distribution of a multi-server, priority queueing system, Operations
   Research 14.
.. [2] Trefethen, Weideman (2014), The exponentially convergent trapezoidal rule, SIAM Review 56.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
# A tail below exp(-_NEGLIGIBLE) is reported as 0.
_NEGLIGIBLE = 60.0
# The two poles of the tail are told apart down to this relative distance.
_POLES_APART = 1e-5
# Loads of higher classes are told from full load down to this distance.
_ROOM = 1e-7


def delayed_tail(above: ArrayLike, own: ArrayLike, capacity: ArrayLike, times: ArrayLike) -> FloatArray:
    """P(wait > t) of an order that has to wait.

    Parameters
    ----------
    above, own : array-like, broadcast to shape (n,)
        Load per server of all classes above, and of those plus the own class: sigma_{k-1} <= sigma_k.
    capacity : array-like, broadcast to shape (n,)
        Ends of service per time while all servers are busy. [1 / time]
    times : array-like, broadcast to shape (n,)
        [time]

    Returns
    -------
    ndarray, shape (n,)
        1 where own >= 1 and at times of 0 or less.
    """
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (above, own, capacity, times)))
    shape = arrays[0].shape
    r, sigma, m, t = (a.reshape(-1) for a in arrays)
    out = np.ones(r.shape)
    live = (sigma < 1.0) & (t > 0)
    first = live & (r <= 0)
    out[first] = np.exp(-m[first] * (1.0 - sigma[first]) * t[first])
    rest = np.flatnonzero(live & (r > 0))
    scale = m[rest] * t[rest]
    root = np.sqrt(r[rest])
    decay = np.minimum((1.0 - root) ** 2, (1.0 - sigma[rest]) * (1.0 - r[rest] / sigma[rest]))
    decay = np.where(sigma[rest] > root, decay, (1.0 - root) ** 2)
    out[rest] = 0.0
    rest, scale = rest[decay * scale < _NEGLIGIBLE], scale[decay * scale < _NEGLIGIBLE]
    # Nodes until the Bessel coefficients of exp(x cos) vanish; classes of equal need go together.
    need = 24.0 + 8.0 * np.sqrt(2.0 * np.sqrt(r[rest]) * scale)
    power = np.ceil(np.log2(need / 32.0)).clip(0).astype(int)
    for doubling in np.unique(power):
        pick = rest[power == doubling]
        nodes = 32 << int(doubling)
        step = max(1, 4_000_000 // nodes)
        for start in range(0, len(pick), step):
            part = pick[start : start + step]
            found = _spectral_tail(r[part], sigma[part], m[part] * t[part], nodes)
            # At an end of service nobody is ahead with chance 1 - r at most: the floor near full load.
            out[part] = np.maximum(found, 1.0 - (1.0 - r[part]) * m[part] * t[part])
    return np.clip(out, 0.0, 1.0).reshape(shape)


def _spectral_tail(r: FloatArray, sigma: FloatArray, scale: FloatArray, nodes: int) -> FloatArray:
    """Tail by its spectrum, 0 < r < 1, r <= sigma < 1, scale = capacity x time; `nodes` even."""
    # Nobody ahead, or next to: squares of what is smaller still would leave the range of numbers.
    r = np.clip(r, 1e-30, 1.0 - _ROOM)
    gap = np.maximum(sigma - r, 0.0)
    room = np.minimum(r, 1.0 - r)
    near = gap < _POLES_APART * room
    out = np.empty(len(r))
    far = ~near
    out[far] = _poles_apart(r[far], gap[far], scale[far], nodes)
    if near.any():
        # The poles sigma and r coincide for an empty class; the tail is smooth there: averaged across.
        shift = 2.0 * _POLES_APART * room[near]
        sides = [_poles_apart(r[near], gap[near] + side, scale[near], nodes) for side in (shift, -shift)]
        out[near] = 0.5 * (sides[0] + sides[1])
    return out


def _poles_apart(r: FloatArray, gap: FloatArray, scale: FloatArray, nodes: int) -> FloatArray:
    """Sum the spectrum where sigma = r + gap is not r; sigma - r would lose the digits of gap."""
    sigma = r + gap
    root = np.sqrt(r)
    q = sigma / root
    # On the cut beta = exp(i theta) / root; s = -(1 + r) + 2 root cos(theta) in units of the capacity.
    theta = 2.0 * np.pi / nodes * np.arange(1, nodes // 2)
    cosine, sine2 = np.cos(theta), np.sin(theta) ** 2
    weight = np.multiply.outer(-2.0 * root, cosine) + (1.0 + r)[:, None]
    other = np.multiply.outer(-2.0 * q, cosine) + (1.0 + q * q)[:, None]
    cut = np.exp(-weight * scale[:, None]) / (weight * other) @ sine2
    out = 4.0 * (1.0 - sigma) / nodes * cut
    # What the trapezoidal rule misses at its two poles is known exactly; at q = 1 the first one is a limit.
    turns = -nodes * np.log(q)
    limit = np.abs(turns) < 1e-9
    wrap = -np.expm1(np.minimum(np.where(limit, 1.0, turns), 690.0))
    share = np.where(limit, 2.0 / nodes, (1.0 - 1.0 / q**2) / wrap)
    pole = (1.0 - sigma) * gap / sigma
    out += share * sigma / gap * np.exp(-np.minimum(pole * scale, 690.0))
    wrapped = np.exp(np.maximum(0.5 * nodes * np.log(r), -690.0))
    return out - (1.0 - r) / gap * wrapped / -np.expm1(0.5 * nodes * np.log(r))
