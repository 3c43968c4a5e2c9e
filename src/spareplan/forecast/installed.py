"""Demand of one part from the machines that carry it: lives, ages, use in; means and spreads out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.forecast.fleet import FleetCurves, age_histogram, at_use, fleet_curves, new_item

FloatArray = NDArray[np.float64]
LEAST_WEIGHT = 1e-3
# Rates are moved by this factor to see how much the expected demand follows them.
NUDGE = 1.2


class PartLaw(NamedTuple):
    """Posterior of one part's lives, and its planned replacements.

    Parameters
    ----------
    weight, shape, scale, failures : ndarray, shape (laws,)
        Weight, Weibull law and gamma shape (A) of the rate at each node. [-, -, hours or days, -]
    planned_rate : ndarray, shape (bins,)
        By age bins of `planned_width`. [1 / (hours or days)]
    planned_width : float
        [hours or days]
    mean_failures, mean_planned : float
        Events per piece and use whatever the age: the other road. [1 / (hours or days)]
    mean_cv2 : float
        Squared coefficient of variation of these rates.
    """

    weight: FloatArray
    shape: FloatArray
    scale: FloatArray
    failures: FloatArray
    planned_rate: FloatArray
    planned_width: float
    mean_failures: float
    mean_planned: float
    mean_cv2: float


class PartDemand(NamedTuple):
    """Demand of one part by cell between consecutive edges, and the spread of the whole part.

    Parameters
    ----------
    base, planned, new : ndarray, shape (cells, edges - 1) and for new (sold cells, edges - 1)
        Expected failures of today's machines, planned replacements (both before retirements), and all events
        of machines still to be sold. [pieces]
    vmr, cv2 : ndarray, shape (months,)
        Of the whole part, per month.
    vmr_sum, cv2_sum : ndarray, shape (edges - 1,)
        The same for the sum from the first edge.
    """

    base: FloatArray
    planned: FloatArray
    new: FloatArray
    vmr: FloatArray
    cv2: FloatArray
    vmr_sum: FloatArray
    cv2_sum: FloatArray


class Cells(NamedTuple):
    """Where a part's pieces stand: cells of site, product, clock curve and pieces per renewal.

    Parameters
    ----------
    cell : ndarray of int, shape (n,)
    age, weight : ndarray, shape (n,)
        Of every fitted piece (or set) in service. [hours or days, pieces]
    pieces : ndarray, shape (cells,)
        Pieces that leave the shelf at one renewal.
    use : ndarray, shape (cells, edges)
        Use from now to each edge. [hours or days]
    use_sold : ndarray, shape (sold, edges)
        Use of a machine to be sold from its sale to each edge; negative before. [hours or days]
    sold_slots, sold_pieces : ndarray, shape (sold,)
        Slots on those machines, and pieces per renewal of a slot.
    """

    cell: NDArray[np.int64]
    age: FloatArray
    weight: FloatArray
    pieces: FloatArray
    use: FloatArray
    use_sold: FloatArray
    sold_slots: FloatArray
    sold_pieces: FloatArray


def part_demand(
    law: PartLaw, cells: Cells, keep: FloatArray, month_at: NDArray[np.int64], nudged: bool = True
) -> PartDemand:
    """Compute the expected demand of one part and its spread.

    Parameters
    ----------
    law : PartLaw
    cells : Cells
    keep : ndarray, shape (cells, edges - 1)
        Share of today's machines still in service between the edges.
    month_at : ndarray of int, shape (months + 1,)
        Which edges begin the months (and end the last).
    nudged : bool
        Whether to find out how far demand follows its rate; False: in proportion, at half the cost.

    Returns
    -------
    PartDemand

    Notes
    -----
    At each node the mean m_j and the variance v_j given the law come from the backward recursion. Over the
    nodes vmr = sum p v / sum p m and 1 + cv2 = sum p m² (1 + eps² / A) / (sum p m)², with A the gamma shape
    of the rate and eps = d ln m / d ln rate (1 while renewals are few, towards 1/beta later).
    """
    nodes = law.weight > LEAST_WEIGHT
    weight = law.weight[nodes] / law.weight[nodes].sum()
    shape, scale = law.shape[nodes], law.scale[nodes]
    laws = len(shape)
    copies = 2 if nudged else 1
    scales = np.concatenate([scale, scale * NUDGE ** (-1 / shape)])[: copies * laws]
    shapes = np.tile(shape, copies)
    longest = max(float(cells.use.max(initial=0.0)), float(cells.use_sold.max(initial=0.0)), 1e-6)
    oldest = float(cells.age.max(initial=0.0))
    curves = fleet_curves(
        shapes,
        scales,
        law.planned_rate,
        law.planned_width,
        oldest,
        longest,
    )
    both = [values.transpose(2, 0, 1) for values in (curves.failures, curves.planned)]
    histogram = age_histogram(cells.cell, cells.age, cells.weight, len(cells.pieces), curves)
    pieces = cells.pieces[:, None, None]
    fail, plan = (
        np.diff(at_use(np.tensordot(histogram, values, axes=(1, 0)), cells.use, curves.width), axis=2)
        * pieces
        for values in both
    )
    new = _sold_demand(curves, cells, shapes, scales)
    total = (fail + plan).transpose(1, 0, 2) * keep
    whole = total.sum(axis=1) + new.sum(axis=0)
    vmr, vmr_sum = _spread_given_law(curves, histogram, cells, weight, laws, month_at)
    monthly = np.add.reduceat(whole, month_at[:-1], axis=1)
    if month_at[-1] < whole.shape[1]:
        monthly[:, -1] = whole[:, month_at[-2] : month_at[-1]].sum(axis=1)
    cv2, cv2_sum = (
        _rate_doubt(values, weight, law.failures[nodes]) for values in (monthly, np.cumsum(whole, axis=1))
    )
    return PartDemand(
        np.einsum("l,clt->ct", weight, fail[:, :laws]),
        np.einsum("l,clt->ct", weight, plan[:, :laws]),
        np.einsum("l,clt->ct", weight, new[:, :laws]),
        vmr,
        cv2,
        vmr_sum,
        cv2_sum,
    )


def _sold_demand(curves: FleetCurves, cells: Cells, shape: FloatArray, scale: FloatArray) -> FloatArray:
    """Count events of machines sold later, shape (sold, laws, edges - 1), in pieces."""
    first = -np.expm1(-((0.5 * curves.width / scale) ** shape))
    events = new_item(curves.failures[:, :, 0], cells.use_sold, curves.width, first)
    events = events + new_item(curves.planned[:, :, 0], cells.use_sold, curves.width, np.zeros(len(scale)))
    return np.diff(events, axis=2) * (cells.sold_slots * cells.sold_pieces)[:, None, None]


def _spread_given_law(
    curves: FleetCurves,
    histogram: FloatArray,
    cells: Cells,
    weight: FloatArray,
    laws: int,
    month_at: NDArray[np.int64],
) -> tuple[FloatArray, FloatArray]:
    """Variance-to-mean ratio of the whole part given the law, per month and from the first edge."""
    held = histogram.sum(axis=1)
    everyone = histogram.sum(axis=0)
    edges = cells.use.shape[1]
    if held.sum() <= 0:
        size = float(cells.sold_pieces.mean()) if len(cells.sold_pieces) else 1.0
        return np.full(len(month_at) - 1, size), np.full(edges - 1, size)
    use = (cells.use * held[:, None]).sum(axis=0) / held.sum()
    batch = float((held * cells.pieces**2).sum() / (held * cells.pieces).sum())
    events = (curves.failures + curves.planned)[:laws].transpose(2, 0, 1)
    reached = at_use(events, np.broadcast_to(use, (events.shape[0], edges)), curves.width)
    step = np.diff(reached[:, :, month_at], axis=2)
    # Two events of one piece in a period: the first, then the new piece's own by half a period later.
    half = np.diff(use[month_at]) / 2
    soon = at_use(events[:1], half[None], curves.width)[0]
    within = np.einsum("a,alt->lt", everyone, step * (1 + 2 * soon) - step**2)
    means = np.einsum("a,alt->lt", everyone, step)
    vmr = weight @ np.maximum(within, 0) / np.maximum(weight @ means, 1e-300)
    variance = np.tensordot(everyone, curves.variance[:laws].transpose(2, 0, 1), axes=(0, 0))
    summed = at_use(variance[None], use[None, 1:], curves.width)[0]
    total = np.einsum("a,alt->lt", everyone, reached[:, :, 1:])
    vmr_sum = weight @ summed / np.maximum(weight @ total, 1e-300)
    return np.where(weight @ means > 0, vmr, 1.0) * batch, np.where(weight @ total > 0, vmr_sum, 1.0) * batch


def _rate_doubt(means: FloatArray, weight: FloatArray, failures: FloatArray) -> FloatArray:
    """Squared coefficient of variation of the part's rate; `means` holds the laws, then the nudged laws."""
    laws = len(weight)
    at, moved = means[:laws], means[laws:] if len(means) > laws else means * NUDGE
    with np.errstate(divide="ignore", invalid="ignore"):
        follow = np.log(moved / at) / np.log(NUDGE)
    follow = np.where(np.isfinite(follow), np.clip(follow, 0.0, 1.0), 1.0)
    mean = weight @ at
    second = weight @ (at**2 * (1 + follow**2 / failures[:, None]))
    return np.where(mean > 0, np.maximum(second / np.maximum(mean, 1e-300) ** 2 - 1, 0.0), 0.0)
