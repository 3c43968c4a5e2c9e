"""Time to the solution: wait, drive, parts and repair, put together on a grid.

Wait and drive are not independent (who waits is served from far away), so they enter as one law; a missing
part or a repair that fails means one more visit with its own wait and drive, until the machine is mended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spareplan.staffing.congestion import Congestion, IntArray, RegionRows, load_shares, queue_tail

FloatArray = NDArray[np.float64]
CELLS = 256
# What wraps around the transform is damped by exp(-_DAMPING).
_DAMPING = 18.4
_WAIT_POINTS = 26


@dataclass(frozen=True)
class Repairs:
    """What happens at the machine, a row per region (or region-month) and class.

    Parameters
    ----------
    work : ndarray, shape (R, K)
        Mean repair. [hours]
    scv : ndarray, shape (K,) or (R, K)
        Squared coefficient of variation of the repair (gamma law).
    diagnose : float
        Mean time at the machine before a part is found missing (exponential). [hours]
    missing, known, again : ndarray, shape (R, K)
        Share of orders whose part is found missing on site; is known missing at the call (the visit waits for
        it). Share of the visits made with the part that do not mend the machine, each anew, so that one more
        follows.
    parts : ndarray, shape (R,)
        Mean wait for a missing part. [hours]
    parts_scv : ndarray, shape (R,), optional
        Its squared coefficient of variation (gamma law); None: exponential.
    """

    work: FloatArray
    scv: FloatArray
    diagnose: float
    missing: FloatArray
    known: FloatArray
    again: FloatArray
    parts: FloatArray
    parts_scv: FloatArray | None = None

    def pick(self, rows: IntArray) -> Repairs:
        """Take some of the rows."""
        return Repairs(
            self.work[rows],
            self.scv if self.scv.ndim == 1 else self.scv[rows],
            self.diagnose,
            self.missing[rows],
            self.known[rows],
            self.again[rows],
            self.parts[rows],
            None if self.parts_scv is None else self.parts_scv[rows],
        )

    @property
    def visits(self) -> FloatArray:
        """Visits per order, shape (R, K): one for a part found missing, and those until it is mended."""
        return self.missing + 1.0 / (1.0 - self.again)

    @property
    def follow(self) -> FloatArray:
        """Share of the visits that follow a failed one at once, shape (R, K)."""
        return self.again / (1.0 - self.again) / self.visits

    @property
    def visit_work(self) -> FloatArray:
        """Mean time at the machine per visit [hours], shape (R, K)."""
        return (self.work / (1.0 - self.again) + self.missing * self.diagnose) / self.visits


def visit_law(
    rows: RegionRows,
    state: Congestion,
    servers: IntArray,
    limits: FloatArray,
    ahead: FloatArray | None = None,
    grids: list[FloatArray] | None = None,
) -> FloatArray:
    """Wait and drive together, of first visits and of visits that follow at once, on a grid of 0..limit.

    Parameters
    ----------
    rows : RegionRows
    state : Congestion
    servers : ndarray of int, shape (R,)
    limits : ndarray, shape (K,)
        End of the grid of each class. [hours]
    ahead : ndarray, shape (K,), optional
        As in `queue_tail`.
    grids : list of ndarray, optional
        `drive_grids`, where they are known.

    Returns
    -------
    ndarray, shape (2, R, K, CELLS + 1)
        Probabilities; mass beyond the limit is left out. First for orders as they come, second for those
        whose visit has just failed.

    Notes
    -----
    Who has just failed is sent again only if nobody else is free and nobody as urgent waits; he is there
    already. So a visit that follows meets one free engineer fewer, and where none is left it begins at once
    with chance 1 - sigma_k, else after the wait of any order that waits: of the geometric number of orders
    before it, none, or one and as many again.
    """
    count, classes = rows.rates.shape
    out = np.zeros((2, count, classes, CELLS + 1))
    points = np.concatenate([[0.0], np.geomspace(0.25 / CELLS, 1.0 + 1.0 / CELLS, _WAIT_POINTS)])
    edges = (np.arange(CELLS + 1) + 0.5) / CELLS
    blend = np.stack([np.interp(edges, points, row) for row in np.eye(len(points))])
    times = limits[None, :, None] * points[None, None, :]
    tail = queue_tail(rows, state, servers, np.broadcast_to(times, (count, classes, len(points))), ahead)
    survival = np.exp(np.log(np.maximum(tail, 1e-300)) @ blend)
    waits = -np.diff(np.concatenate([np.ones((count, classes, 1)), survival], axis=2), axis=2)
    grids = drive_grids(rows.reaching(state.free.shape[1]), limits) if grids is None else grids
    most = min(state.free.shape[1], grids[0].shape[1])
    # Nearer than the grids know counts as their nearest.
    free = np.column_stack([state.free[:, : most - 1], state.free[:, most - 1 :].sum(axis=1)])
    held = free[:, 0] + state.waiting
    before = np.clip(load_shares(rows, servers, ahead)[0], 0.0, 1.0)
    for k, drives in enumerate(grids):
        for place in np.unique(rows.place):
            here = rows.place == place
            out[0, here, k] = free[here] @ drives[place, :most]
            out[1, here, k] = free[here, 1:] @ drives[place, : most - 1]
        queued = _product(waits[:, k], drives[rows.place, 0])
        out[0, :, k] += state.waiting[:, None] * queued
        out[1, :, k] += (held * before[:, k])[:, None] * queued
        out[1, :, k, 0] += held * (1.0 - before[:, k])
    return out


def drive_grids(rows: RegionRows, limits: FloatArray) -> list[FloatArray]:
    """Drives to the nearest of 1..F free engineers on the grid of each class.

    Parameters
    ----------
    rows : RegionRows
    limits : ndarray, shape (K,)
        End of the grid. [hours]

    Returns
    -------
    list of ndarray, shape (places, F, CELLS + 1)
    """
    return [_drive_grid(rows.spread, float(limit) / CELLS) for limit in limits]


def free_drive_law(rows: RegionRows, free: IntArray, limits: FloatArray) -> FloatArray:
    """Give `visit_law` of first visits if nobody ever waited and always `free` engineers were free."""
    have = rows.spread.shape[1]
    near = rows.all_free(free)
    closer = np.sqrt(have / np.maximum(near, have))
    spread = rows.spread[rows.place, np.clip(np.rint(near).astype(int), 1, have) - 1] * closer[:, None]
    return np.stack([_drive_grid(spread[:, None], float(limit) / CELLS)[:, 0] for limit in limits], axis=1)


def resolution_kept(
    visits: FloatArray, repairs: Repairs, limits: FloatArray, returns: FloatArray | None = None
) -> FloatArray:
    """Share of orders solved within their limit.

    Parameters
    ----------
    visits, returns : ndarray, shape (R, K, CELLS + 1)
        Law of wait and drive, and of visits that follow a failed one at once (`visit_law`); without it, the
        same.
    repairs : Repairs
    limits : ndarray, shape (K,)
        NaN: no promise. [hours]

    Returns
    -------
    ndarray, shape (R, K)
        NaN without a promise.
    """
    from scipy import special

    edges = (np.arange(CELLS + 1) + 0.5) / CELLS * np.nan_to_num(limits, nan=1.0)[:, None]
    shape = 1.0 / np.maximum(np.broadcast_to(repairs.scv, repairs.work.shape), 1e-3)
    scale = np.maximum(repairs.work, 1e-9) / shape
    repair = _masses(special.gammainc(shape[..., None], edges / scale[..., None]))
    parts = _masses(_parts_law(repairs, edges))
    diagnose = _masses(-np.expm1(-edges / max(repairs.diagnose, 1e-9)))[None]
    damp = np.exp(-_DAMPING / _length() * np.arange(CELLS + 1))
    v, r, p, d = (np.fft.rfft(law * damp, _length(), axis=-1) for law in (visits, repair, parts, diagnose))
    known, missing, again = (share[..., None] for share in (repairs.known, repairs.missing, repairs.again))
    then = v if returns is None else np.fft.rfft(returns * damp, _length(), axis=-1)
    # Visits follow until one mends the machine: a geometric series, summed in the transform.
    mended = (1.0 - again) * v * r / (1.0 - again * then * r)
    total = (1.0 - known - missing + known * p + missing * v * d * p) * mended
    law = np.fft.irfft(total, _length(), axis=-1)[..., : CELLS + 1] / damp
    kept = law[..., :-1].sum(axis=-1) + 0.5 * law[..., -1]
    return np.where(np.isnan(limits), np.nan, np.clip(kept, 0.0, 1.0))


def _drive_grid(spread: FloatArray, cell: float) -> FloatArray:
    """Put drives on the grid as masses, shape (places, F, CELLS + 1)."""
    places, most, size = spread.shape
    index = np.minimum(np.rint(spread / max(cell, 1e-12)), CELLS + 1).astype(np.int64)
    flat = index + (CELLS + 2) * np.arange(places * most).reshape(places, most, 1)
    counts = np.bincount(flat.ravel(), minlength=places * most * (CELLS + 2))
    return counts.reshape(places, most, CELLS + 2)[..., : CELLS + 1] / size


def _parts_law(repairs: Repairs, edges: FloatArray) -> FloatArray:
    """Chance that a missing part is there, shape (R, K, CELLS + 1)."""
    from scipy import special

    mean = np.maximum(repairs.parts, 1e-9)[:, None, None]
    if repairs.parts_scv is None:
        return -np.expm1(-edges / mean)
    shape = 1.0 / np.maximum(repairs.parts_scv, 1e-3)[:, None, None]
    found: FloatArray = special.gammainc(shape, edges * shape / mean)
    return found


def _masses(cdf: FloatArray) -> FloatArray:
    first = cdf[..., :1]
    return np.concatenate([first, np.diff(cdf, axis=-1)], axis=-1)


def _product(left: FloatArray, right: FloatArray) -> FloatArray:
    both = np.fft.rfft(left, _length(), axis=-1) * np.fft.rfft(right, _length(), axis=-1)
    return np.fft.irfft(both, _length(), axis=-1)[..., : CELLS + 1]


def _length() -> int:
    return 1 << int(np.ceil(np.log2(2 * (CELLS + 1))))
