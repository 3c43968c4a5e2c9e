"""Demand of one part from its machines: lives, age histograms, use in; means and spreads out."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.forecast.fleet import planned_curves
from spareplan.forecast.renewal_table import Curves, renewing_curves, repaired_curves

FloatArray = NDArray[np.float64]
# Rates are moved by this factor to see how much the expected demand follows them, at a few times.
NUDGE, NUDGE_TIMES = 1.2, 9
# Times at which curves are computed: steps per shortest scale, fewest, most.
STEPS_PER_SCALE, LEAST_STEPS, MOST_STEPS = 12, 40, 160


class PartLaw(NamedTuple):
    """Posterior of one part's lives, and its planned replacements.

    Parameters
    ----------
    weight, shape, scale, failures : ndarray, shape (laws,)
        Weight, Weibull law and gamma shape (A) of its rate. [-, -, hours or days, -]
    planned_rate : ndarray, shape (bins,)
        By age bins of `planned_width`. [1 / (hours or days)]
    planned_width : float
        [hours or days]
    mean_failures, mean_planned : float
        Events per piece and use whatever the age: the other road. [1 / (hours or days)]
    mean_cv2 : float
        Squared coefficient of variation of these rates.
    repaired : bool
        A failure leaves the assembly as old as it was.
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
    repaired: bool = False


class PartFleet(NamedTuple):
    """Where a part's pieces stand: cells of site, product and use; and machines still to be sold.

    Parameters
    ----------
    histogram : ndarray, shape (cells, ages)
        Pieces (or sets) in service.
    age : ndarray, shape (ages,)
        Nodes of the histogram, from 0. [hours or days]
    pieces : ndarray, shape (cells,)
        Pieces that leave the shelf at one renewal.
    use : ndarray, shape (cells, edges)
        Use from now to each edge. [hours or days]
    keep : ndarray, shape (cells, edges - 1)
        Share of today's machines still in service between the edges.
    harsh : ndarray, shape (cells,)
        Hazard in the cell over that of the mean machine.
    sold_use : ndarray, shape (sold, edges)
        Use of a machine to be sold from its sale to each edge; negative before. [hours or days]
    sold_lives, sold_pieces, sold_harsh : ndarray, shape (sold,)
        Lives that begin on those machines, pieces per renewal of one, and hazard over the mean machine's.
    """

    histogram: FloatArray
    age: FloatArray
    pieces: FloatArray
    use: FloatArray
    keep: FloatArray
    harsh: FloatArray
    sold_use: FloatArray
    sold_lives: FloatArray
    sold_pieces: FloatArray
    sold_harsh: FloatArray


class PartDemand(NamedTuple):
    """Demand of one part by cell between consecutive edges, and the spread of the whole part.

    Parameters
    ----------
    base, planned, once : ndarray, shape (cells, edges - 1)
        Expected failures of today's machines, planned replacements, and first failures alone, each before
        retirements. [pieces]
    new : ndarray, shape (sold, edges - 1)
        All events of machines still to be sold. [pieces]
    vmr, cv2 : ndarray, shape (months,)
        Of the whole part, per month.
    vmr_sum, cv2_sum : ndarray, shape (edges - 1,)
        The same for the sum from the first edge.
    """

    base: FloatArray
    planned: FloatArray
    once: FloatArray
    new: FloatArray
    vmr: FloatArray
    cv2: FloatArray
    vmr_sum: FloatArray
    cv2_sum: FloatArray


def part_demand(
    law: PartLaw, fleet: PartFleet, month_at: NDArray[np.int64], nudged: bool = True
) -> PartDemand:
    """Compute the expected demand of one part and its spread.

    Parameters
    ----------
    law : PartLaw
    fleet : PartFleet
    month_at : ndarray of int, shape (months + 1,)
        Which edges begin the months (and end the last).
    nudged : bool
        Whether to find out how far demand follows its rate; False: in proportion.

    Returns
    -------
    PartDemand

    Notes
    -----
    Under each law the mean m_j and the variance v_j come from the renewal table, or
    with planned replacements from the backward recursion. Over the laws vmr = sum p v / sum p m and
    1 + cv2 = sum p m² (1 + eps² / A) / (sum p m)², with A the gamma shape of the rate and
    eps = d ln m / d ln rate (1 while renewals are few, towards 1/beta later).
    """
    weight, scale = law.weight, law.scale
    longest = max(float(fleet.use.max(initial=0.0)), float(fleet.sold_use.max(initial=0.0)), 1e-6)
    step = float(np.clip(scale.min() / STEPS_PER_SCALE, longest / MOST_STEPS, longest / LEAST_STEPS))
    times = np.linspace(0.0, longest, int(np.ceil(longest / step)) + 1)
    edges = fleet.use.shape[1] - 1
    base, planned, once = (np.zeros((len(fleet.histogram), edges)) for _ in range(3))
    new = np.zeros((len(fleet.sold_use), edges))
    curves = None
    for harsh in np.unique(np.concatenate([fleet.harsh, fleet.sold_harsh])):
        # A hazard so many times as high is the same law on a shorter scale.
        here, there = fleet.harsh == harsh, fleet.sold_harsh == harsh
        local = _curves(law, scale * harsh ** (-1 / law.shape), fleet.age, times)
        curves = local if harsh == 1 else curves
        held, use, pieces = fleet.histogram[here], fleet.use[here], fleet.pieces[here][:, None]
        for out, values in ((base, local.failures), (planned, local.planned), (once, local.once)):
            if values is not local.planned or law.planned_rate.any():
                reached = read_rows(held @ np.tensordot(weight, values, axes=1), use, times)
                out[here] = np.diff(reached, axis=1) * pieces
        young = np.tensordot(weight, (local.failures + local.planned)[:, 0], axes=1)
        reached = read_line(young, np.maximum(fleet.sold_use[there], 0.0), times)
        new[there] = np.diff(reached, axis=1) * (fleet.sold_lives * fleet.sold_pieces)[there][:, None]
    curves = curves or _curves(law, scale, fleet.age, times)
    return PartDemand(base, planned, once, new, *_spread(law, fleet, curves, times, month_at, nudged))


def _curves(law: PartLaw, scale: FloatArray, age: FloatArray, times: FloatArray) -> Curves:
    if law.repaired:
        return repaired_curves(law.shape, scale, age, times)
    if law.planned_rate.any():
        return planned_curves(law.shape, scale, law.planned_rate, law.planned_width, age, times)
    return renewing_curves(law.shape, scale, age, times)


def read_rows(values: FloatArray, use: FloatArray, times: FloatArray) -> FloatArray:
    """Read each row of values over even times at its own uses, by straight lines.

    Parameters
    ----------
    values : ndarray, shape (rows, times)
    use : ndarray, shape (rows, edges)
        [hours or days]
    times : ndarray, shape (times,)
        Even, from 0. [hours or days]

    Returns
    -------
    ndarray, shape (rows, edges)
    """
    low, part = _place(use, times)
    row = np.arange(len(values))[:, None]
    return np.asarray(values[row, low] * (1 - part) + values[row, low + 1] * part)


def read_line(values: FloatArray, use: FloatArray, times: FloatArray) -> FloatArray:
    """Read curves over even times, shape (..., times), at uses of any shape, by straight lines."""
    low, part = _place(use, times)
    return np.asarray(values[..., low] * (1 - part) + values[..., low + 1] * part)


def _place(use: FloatArray, times: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    place = np.clip(use / times[1], 0.0, len(times) - 1.0)
    low = np.minimum(place.astype(np.int64), len(times) - 2)
    return low, place - low


def _spread(
    law: PartLaw,
    fleet: PartFleet,
    curves: Curves,
    times: FloatArray,
    month_at: NDArray[np.int64],
    nudged: bool,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Give vmr and cv2 of the whole part, per month and from the first edge, all cells used alike."""
    weight = law.weight
    held = fleet.histogram.sum(axis=1)
    everyone = fleet.histogram.sum(axis=0)
    edges = fleet.use.shape[1]
    alone = held.sum() <= 0
    use = fleet.use.T @ held / held.sum() if not alone else np.maximum(fleet.sold_use, 0.0).max(axis=0)
    keep = fleet.keep.T @ held / held.sum() if not alone else np.ones(edges - 1)
    pieces = (fleet.pieces if not alone else fleet.sold_pieces, held if not alone else fleet.sold_lives)
    batch = float((pieces[1] * pieces[0] ** 2).sum() / max((pieces[1] * pieces[0]).sum(), 1e-300))
    # Machines to be sold, by the use they will have had.
    sold, which = np.unique(fleet.sold_use, axis=0, return_inverse=True)
    lives = np.bincount(which.ravel(), fleet.sold_lives * fleet.sold_pieces, len(sold))
    size = float((held * fleet.pieces).sum() / held.sum()) if not alone else 1.0

    def whole(failures: FloatArray, planned: FloatArray, at: FloatArray) -> FloatArray:
        events = failures + planned
        own = np.diff(read_line(np.einsum("a,lat->lt", everyone, events), use, at), axis=1) * keep * size
        if len(sold):
            young = read_line(events[:, 0], np.maximum(sold, 0.0), at)
            own = own + np.einsum("s,lse->le", lives, np.diff(young, axis=2))
        return np.asarray(own)

    means = whole(curves.failures, curves.planned, times)
    follow = np.ones_like(means)
    if nudged and not law.planned_rate.any() and not law.repaired:
        rough = np.linspace(0.0, times[-1], NUDGE_TIMES)
        moved = law.scale * NUDGE ** (-1 / law.shape)
        faster = _curves(law, moved, fleet.age, rough)
        pair = [
            (read_line(curves.failures, rough, times), read_line(curves.planned, rough, times)),
            (faster.failures, faster.planned),
        ]
        before, after = (np.cumsum(whole(*values, rough), axis=1) for values in pair)
        with np.errstate(divide="ignore", invalid="ignore"):
            follow = np.log(after / before) / np.log(NUDGE)
        follow = np.where(np.isfinite(follow), np.clip(follow, 0.0, 1.0), 1.0)
    monthly = np.stack([means[:, a:b].sum(axis=1) for a, b in pairwise(month_at)], axis=1)
    at_month = follow[:, np.maximum(month_at[1:] - 1, 0)]
    failures = law.failures
    cv2 = _rate_doubt(monthly, at_month, weight, failures)
    cv2_sum = _rate_doubt(np.cumsum(means, axis=1), follow, weight, failures)
    if alone:
        return np.full(len(month_at) - 1, batch), cv2, np.full(edges - 1, batch), cv2_sum
    events = curves.failures + curves.planned
    step = np.diff(read_line(events, use[month_at], times), axis=2)
    # Two events of one piece in a period: the first, then the new piece's own by half a period later.
    soon = read_line(events[:, 0], np.diff(use[month_at]) / 2, times)[:, None]
    within = np.einsum("a,lat->lt", everyone, step * (1 + 2 * soon) - step**2)
    vmr = _ratio(weight, np.maximum(within, 0.0), np.einsum("a,lat->lt", everyone, step))
    variance = read_line(np.einsum("a,lat->lt", everyone, curves.variance), use[1:], times)
    reached = read_line(np.einsum("a,lat->lt", everyone, events), use[1:], times)
    return vmr * batch, cv2, _ratio(weight, variance, reached) * batch, cv2_sum


def _ratio(weight: FloatArray, variance: FloatArray, mean: FloatArray) -> FloatArray:
    below = weight @ mean
    return np.where(below > 0, (weight @ variance) / np.maximum(below, 1e-300), 1.0)


def _rate_doubt(
    means: FloatArray, follow: FloatArray, weight: FloatArray, failures: FloatArray
) -> FloatArray:
    """Squared coefficient of variation of the part's rate, from the means under each law."""
    mean = weight @ means
    second = weight @ (means**2 * (1 + follow**2 / failures[:, None]))
    return np.where(mean > 0, np.maximum(second / np.where(mean > 0, mean, 1.0) ** 2 - 1, 0.0), 0.0)
