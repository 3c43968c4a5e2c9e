"""Age histograms pushed through renewals: mean and variance of a fleet's failures and planned replacements.

The cost does not depend on the number of machines: ages are classes, time runs in steps of use, and every
class, shape and window comes out of one backward recursion.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.forecast.open_starts import planned_sum
from spareplan.forecast.renewal_table import Curves

FloatArray = NDArray[np.float64]
STEPS_PER_SCALE = 16
MOST_STEPS, MOST_CLASSES = 400, 1500
PIECES_PER_STEP = 6


class FleetCurves(NamedTuple):
    """Expected events of one item by age class and elapsed use.

    Parameters
    ----------
    width : float
        Width of an age class and of a step. [hours or days]
    failures, planned : ndarray, shape (laws, steps + 1, classes)
        Expected events after n steps of an item whose age is in the middle of the class.
    variance : ndarray, shape (laws, steps + 1, classes)
        Variance of all its events, given the law.
    """

    width: float
    failures: FloatArray
    planned: FloatArray
    variance: FloatArray


def fleet_curves(
    shape: FloatArray,
    scale: FloatArray,
    planned_rate: FloatArray,
    planned_width: float,
    oldest: float,
    use: float,
) -> FleetCurves:
    """Backward recursion over age classes, planned replacement as a competing renewal.

    Parameters
    ----------
    shape, scale : ndarray, shape (laws,)
        Weibull laws. [-, hours or days]
    planned_rate : ndarray, shape (bins,)
        Planned replacements per unit of use in age bins of `planned_width`; the last bin holds for older
        pieces. [1 / (hours or days)]
    planned_width : float
        [hours or days]
    oldest : float
        Highest age in the fleet. [hours or days]
    use : float
        How much use to look ahead. [hours or days]

    Returns
    -------
    FleetCurves

    Notes
    -----
    With V the expected count still to come and E its second moment, a step back is
    V <- pf (1 + g + V0) + pp (1 + V0) + (1 - pf - pp) shift(V) and
    E <- pf ((1+g)² + 2 (1+g) V0 + E0) + pp (1 + 2 V0 + E0) + (1 - pf - pp) shift(E),
    where pf and pp are the chances of failure and planned replacement in the step, V0 belongs to a piece just
    fitted, and g is the chance that it fails within the step.
    """
    # Planned replacements come at sharp ages: they need finer classes.
    finer = 3 if planned_rate.any() else 1
    width = float(
        np.clip(np.min(scale) / STEPS_PER_SCALE / finer, use / MOST_STEPS, max(use / 12 / finer, 1e-9))
    )
    # Beyond the last class hazards stand still: it must lie beyond all planned work, and most ages.
    reach = min(oldest, 1.2 * planned_width * len(planned_rate)) if finer > 1 else 0.0
    width = max(width, (reach + 2 * use) / (MOST_CLASSES - 3))
    steps = max(1, int(np.ceil(use / width - 1e-9)))
    classes = int(min(np.ceil(oldest / width) + steps + 2, MOST_CLASSES))
    fail, plan = _step_chances(shape[:, None], scale[:, None], planned_rate, planned_width, width, classes)
    stay = 1 - fail - plan
    b, eta = shape[:, None], scale[:, None]
    # A piece fitted evenly within the step fails before its end.
    again = (width / eta) ** b / (b + 1)
    again = np.minimum(again, 1.0)
    shape_out = (len(shape), steps + 1, classes)
    failures, planned, second = np.zeros(shape_out), np.zeros(shape_out), np.zeros(shape_out)
    for step in range(steps):
        f, p, e = failures[:, step], planned[:, step], second[:, step]
        f0, p0, e0 = f[:, :1], p[:, :1], e[:, :1]
        v0 = f0 + p0
        r = 1 + again
        failures[:, step + 1] = fail * (r + f0) + plan * f0 + stay * _older(f)
        planned[:, step + 1] = fail * p0 + plan * (1 + p0) + stay * _older(p)
        second[:, step + 1] = fail * (r**2 + 2 * r * v0 + e0) + plan * (1 + 2 * v0 + e0) + stay * _older(e)
    return FleetCurves(width, failures, planned, np.maximum(second - (failures + planned) ** 2, 0.0))


def _step_chances(
    shape: FloatArray,
    scale: FloatArray,
    planned_rate: FloatArray,
    planned_width: float,
    width: float,
    classes: int,
) -> tuple[FloatArray, FloatArray]:
    """Chances of failure and of planned replacement in a step, from the middle of each class to the next.

    Shape (laws, classes). Within the step the two compete in the order of their ages, so it is cut finer.
    """
    size = (len(shape), classes)
    fail, plan, alive = np.zeros(size), np.zeros(size), np.ones(size)
    pieces = PIECES_PER_STEP if planned_rate.any() else 1
    for piece in range(pieces):
        low: FloatArray = (np.arange(classes, dtype=float) + 0.5 + piece / pieces) * width
        high = low + width / pieces
        hazard = (high / scale) ** shape - (low / scale) ** shape
        quit_now = np.diff(planned_sum(planned_rate, planned_width, np.stack([low, high])), axis=0)[0]
        total = hazard + quit_now
        gone = -np.expm1(-total) * alive
        share = hazard / np.maximum(total, 1e-300)
        fail += gone * share
        plan += gone * (1 - share)
        alive -= gone
    return fail, plan


def _older(values: FloatArray) -> FloatArray:
    """Value of the next age class; the oldest class stays."""
    return np.concatenate([values[:, 1:], values[:, -1:]], axis=1)


def planned_curves(
    shape: FloatArray,
    scale: FloatArray,
    planned_rate: FloatArray,
    planned_width: float,
    age: FloatArray,
    times: FloatArray,
) -> Curves:
    """Events of pieces that are also replaced by plan, at given ages and uses.

    Parameters
    ----------
    shape, scale, planned_rate, planned_width
        As in `fleet_curves`.
    age : ndarray, shape (ages,)
        From 0. [hours or days]
    times : ndarray, shape (times,)
        Rising, from 0. [hours or days]

    Returns
    -------
    Curves
    """
    steps = fleet_curves(shape, scale, planned_rate, planned_width, float(age[-1]), float(times[-1]))
    width, classes = steps.width, steps.failures.shape[2]
    place = np.clip(age / width - 0.5, 0.0, classes - 1.0)
    low = np.minimum(place.astype(np.int64), classes - 2)
    part = (place - low)[:, None]
    when = np.clip(times / width, 0.0, steps.failures.shape[1] - 1.0)
    first = np.minimum(when.astype(np.int64), steps.failures.shape[1] - 2)
    late = (when - first)[:, None]

    def read(values: FloatArray) -> FloatArray:
        at = values[:, first] * (1 - late) + values[:, first + 1] * late
        at = at.transpose(0, 2, 1)
        return at[:, low] * (1 - part) + at[:, low + 1] * part

    b, eta = shape[:, None, None], scale[:, None, None]
    old = age[None, :, None]
    once = -np.expm1((old / eta) ** b - ((old + times) / eta) ** b)
    failures, planned, variance = (read(v) for v in (steps.failures, steps.planned, steps.variance))
    if age[0] == 0:
        # The youngest class has its middle half a step above age 0.
        early = -np.expm1(-((0.5 * width / scale) ** shape))
        failures[:, 0] = new_item(steps.failures[:, :, 0], times[None], width, early)[0]
        planned[:, 0] = new_item(steps.planned[:, :, 0], times[None], width, np.zeros(len(scale)))[0]
    return Curves(failures, planned, once, variance)


def at_use(values: FloatArray, use: FloatArray, width: float) -> FloatArray:
    """Read curves over steps at given elapsed use, by straight lines.

    Parameters
    ----------
    values : ndarray, shape (cells, laws, steps + 1)
    use : ndarray, shape (cells, times)
        [hours or days]
    width : float
        Width of a step. [hours or days]

    Returns
    -------
    ndarray, shape (cells, laws, times)
    """
    place = np.clip(use / width, 0.0, values.shape[2] - 1.0)
    low = np.minimum(place.astype(np.int64), values.shape[2] - 2)
    part = (place - low)[:, None, :]
    rows = np.arange(values.shape[0])[:, None, None]
    laws = np.arange(values.shape[1])[None, :, None]
    return values[rows, laws, low[:, None, :]] * (1 - part) + values[rows, laws, low[:, None, :] + 1] * part


def new_item(values: FloatArray, use: FloatArray, width: float, first_failure: FloatArray) -> FloatArray:
    """Count expected events of items that start at age 0, by elapsed use.

    Parameters
    ----------
    values : ndarray, shape (laws, steps + 1)
        Curve of age class 0, whose middle lies half a class above age 0.
    use : ndarray, shape (items, times)
        Elapsed use; negative gives 0. [hours or days]
    width : float
        [hours or days]
    first_failure : ndarray, shape (laws,)
        Chance of failure in that half class; 0 for planned replacements.

    Returns
    -------
    ndarray, shape (items, laws, times)
    """
    elapsed = np.maximum(use - 0.5 * width, 0.0)
    grown = at_use(np.broadcast_to(values, (len(use), *values.shape)), elapsed, width)
    return grown + first_failure[:, None] * np.clip(use / (0.5 * width), 0.0, 1.0)[:, None, :]
