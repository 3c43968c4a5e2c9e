"""What was taken of each part so far, month by month over all sites: a forecast that needs no ages."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from spareplan.forecast.clock import CALENDAR
from spareplan.forecast.exposure import FleetHistory
from spareplan.maths.units import DAYS_PER_MONTH

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Months of the record that are looked at, and fewest that teach anything.
MOST_MONTHS, LEAST_MONTHS = 60, 6
# Share of a month's replacements that must be in the records for it to count.
LEAST_REPORTED = 0.5
# The sum by which the pace of forgetting is judged, and the fewest months before it. [months]
AHEAD, LEAST_PAST = 3, 3
# Weight of a month relative to the next one: 1 never forgets.
MEMORY = (1.0, 0.98, 0.95, 0.9, 0.8)
# Failures that the level of its kin is worth to a part.
STRENGTH = (1.0, 4.0, 16.0)


class OwnRecord(NamedTuple):
    """Pieces taken per piece in service and unit of use, as the record of each part lets expect.

    Parameters
    ----------
    rate : ndarray, shape (parts,)
        Failures and planned replacements; NaN where nothing was in service. [1 / (hours or days)]
    cv2 : ndarray, shape (parts,)
        Squared coefficient of variation of the rate.
    months : int
        Length of the record that was used; 0 where it is too short.
    memory, kin_memory, strength : float
        What was learned from the record: see `follow_levels`.
    """

    rate: FloatArray
    cv2: FloatArray
    months: int = 0
    memory: float = 1.0
    kin_memory: float = 1.0
    strength: float = 1.0

    def known(self, part: int) -> bool:
        """Whether the record says anything about a part."""
        return bool(self.months and np.isfinite(self.rate[part]))


def no_record(parts: int) -> OwnRecord:
    """Say nothing about any part."""
    return OwnRecord(np.full(parts, np.nan), np.zeros(parts))


def forecast_own_record(
    fleet: FleetHistory, hours: NDArray[np.bool_], kin: NDArray[np.int64], as_of: pd.Timestamp
) -> OwnRecord:
    """Forecast each part from what was taken of it.

    Parameters
    ----------
    fleet : FleetHistory
        Events belong to the successor of a superseded part.
    hours : ndarray of bool, shape (parts,)
        Whether pieces of the part wear by the hour; else by the day.
    kin : ndarray of int, shape (parts,)
        Number of the family of each part.
    as_of : Timestamp
        Last day that was known.

    Returns
    -------
    OwnRecord

    Notes
    -----
    Months of equal length are counted back from `as_of`. The pieces watched in each of them, times their use,
    are the exposure. Where reports come late, a month's pieces are divided by the share that is reported by
    now, and months of which less than half is are left out.
    """
    parts = len(fleet.parts)
    tomorrow = as_of + pd.Timedelta(days=1)
    now = float(fleet.clock.at(CALENDAR, [tomorrow])[0])
    ages = fleet.machines.ages["days"]
    begin = ages.born + ages.start
    months = int(min((now - begin.min(initial=now)) / DAYS_PER_MONTH + 0.01, MOST_MONTHS))
    edges = now - DAYS_PER_MONTH * np.arange(months, -1, -1.0)
    reported = np.mean(
        [np.clip((now - delay - edges[:-1]) / DAYS_PER_MONTH, 0.0, 1.0) for delay in fleet.delays], axis=0
    )
    # A month of which little is known yet would only add noise.
    edges = edges[: 1 + int((reported >= LEAST_REPORTED).sum())]
    months = len(edges) - 1
    if months < LEAST_MONTHS:
        return no_record(parts)
    exposure = _exposure(fleet, hours, tomorrow, edges)
    taken = _taken(fleet, begin, edges) / reported[:months]
    # Families whose pieces wear by hours and by days have no rate in common.
    return follow_levels(taken, exposure, kin * 2 + hours, _batch(fleet))


def follow_levels(
    taken: FloatArray, exposure: FloatArray, kin: NDArray[np.int64], batch: FloatArray
) -> OwnRecord:
    """Follow rates that change with time, each part shrunk towards the present level of its kin.

    Parameters
    ----------
    taken : ndarray, shape (parts, months)
        Oldest month first. [pieces]
    exposure : ndarray, shape (parts, months)
        [pieces x (hours or days)]
    kin : ndarray of int, shape (parts,)
    batch : ndarray, shape (parts,)
        Variance over mean of the pieces that a known rate lets expect.

    Returns
    -------
    OwnRecord

    Notes
    -----
    The steady model of counts [1]_ [2]_: with a month's weight falling by the factor d per month, Y the
    discounted pieces over the batch and E the exposure likewise, the rate is gamma with shape s + Y and
    inverse scale s / k + E; its mean is the forecast whatever the horizon. k, the level of the kin, is found
    in the same way with its own d. Both d and the strength s are those under which sums of three months, each
    forecast from the months before it, were most likely over all parts, by the negative binomial law.

    References
    ----------
    .. [1] Smith (1979), A generalization of the Bayesian steady forecasting model, JRSS B 41, 375-387.
    .. [2] Harvey & Fernandes (1989), Time series models for count or qualitative observations, Journal of
       Business & Economic Statistics 7, 407-417.
    """
    number = np.unique(kin, return_inverse=True)[1]
    pieces, use = taken / batch[:, None], exposure / batch[:, None]
    months = taken.shape[1]
    origins = np.arange(months - AHEAD, LEAST_PAST - 1, -AHEAD)
    at = np.append(origins, months)
    sums = {memory: _discounted(pieces, use, memory, at) for memory in MEMORY}
    total = {memory: _by_kin(*sums[memory], number) for memory in MEMORY}
    came = np.stack([pieces[:, t : t + AHEAD].sum(axis=1) for t in origins], axis=1)
    ahead = np.stack([use[:, t : t + AHEAD].sum(axis=1) for t in origins], axis=1)
    best, chosen = -np.inf, (1.0, 1.0, STRENGTH[0])
    for kin_memory, memory, strength in product(MEMORY, MEMORY, STRENGTH):
        shape, inverse = _posterior(sums[memory], total[kin_memory], strength)
        known = (use[:, :1] >= 0) & (ahead > 0) & (inverse[:, :-1] > 0)
        told = _log_chance(came, ahead, shape[:, :-1], inverse[:, :-1])
        likelihood = float(np.where(known, told, 0.0).sum())
        if likelihood > best + 1e-9:
            best, chosen = likelihood, (kin_memory, memory, strength)
    kin_memory, memory, strength = chosen
    shape, inverse = (values[:, -1] for values in _posterior(sums[memory], total[kin_memory], strength))
    seen = exposure.sum(axis=1) > 0
    rate = np.where(seen, shape / np.where(seen, inverse, 1.0), np.nan)
    return OwnRecord(rate, 1.0 / shape, months, memory, kin_memory, strength)


def _discounted(
    pieces: FloatArray, use: FloatArray, memory: float, at: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Pieces and use before each month of `at`, older ones weighing less, shape (parts, len(at)) each."""
    lag = at[None, :] - 1 - np.arange(pieces.shape[1])[:, None]
    weight = np.where(lag >= 0, memory ** np.maximum(lag, 0), 0.0)
    return pieces @ weight, use @ weight


def _by_kin(pieces: FloatArray, use: FloatArray, kin: NDArray[np.intp]) -> FloatArray:
    """Level of each part's kin, shape like `pieces`; one piece at the level of all parts is mixed in."""
    of_all = (pieces.sum(axis=0) + 0.5) / np.maximum(use.sum(axis=0), 1e-300)
    size = int(kin.max(initial=0)) + 1
    taken, used = np.zeros((size, pieces.shape[1])), np.zeros((size, pieces.shape[1]))
    np.add.at(taken, kin, pieces)
    np.add.at(used, kin, use)
    return np.asarray(((taken + 1.0) / (used + 1.0 / of_all))[kin])


def _posterior(
    sums: tuple[FloatArray, FloatArray], level: FloatArray, strength: float
) -> tuple[FloatArray, FloatArray]:
    pieces, use = sums
    return strength + pieces, strength / level + use


def _log_chance(came: FloatArray, ahead: FloatArray, shape: FloatArray, inverse: FloatArray) -> FloatArray:
    """Log probability of pieces under a gamma law of the rate: negative binomial, whole pieces or not."""
    share = ahead / (ahead + inverse)
    return np.asarray(
        special.gammaln(shape + came)
        - special.gammaln(shape)
        - special.gammaln(came + 1)
        + shape * np.log1p(-share)
        + came * np.log(np.maximum(share, 1e-300))
    )


def _batch(fleet: FleetHistory) -> FloatArray:
    """Variance over mean of each part's pieces where events come at random: mean square over mean size."""
    part, size = fleet.events["part"].to_numpy(np.int64), _fitted_pieces(fleet)
    count = len(fleet.parts)
    pieces, squares = np.bincount(part, size, count), np.bincount(part, size**2, count)
    return np.where(pieces > 0, squares / np.maximum(pieces, 1e-300), 1.0)


def _fitted_pieces(fleet: FleetHistory) -> FloatArray:
    """Pieces of every replacement, no more than its machine carries."""
    carried = fleet.touched["quantity"].to_numpy(float)[fleet.events["pair"].to_numpy(np.int64)]
    return np.minimum(fleet.events["quantity"].to_numpy(float), carried)


def _exposure(
    fleet: FleetHistory, hours: NDArray[np.bool_], tomorrow: pd.Timestamp, edges: FloatArray
) -> FloatArray:
    """Pieces watched times their use, shape (parts, months)."""
    days = fleet.machines.ages["days"]
    begin, end = days.born + days.start, days.born + days.stop
    product, products = pd.factorize(fleet.machines.table["product_id"], sort=True)
    months = len(edges) - 1
    now = float(fleet.clock.at(CALENDAR, [tomorrow])[0])
    dates = tomorrow - pd.to_timedelta(now - edges, unit="D")
    by_product = {}
    for name, ages in fleet.machines.ages.items():
        curves, curve = np.unique(ages.curve, return_inverse=True)
        use = np.stack([np.diff(fleet.clock.at(np.full(len(dates), one), dates)) for one in curves])
        out = np.zeros((len(products), months))
        for month in range(months):
            watched = np.minimum(end, edges[month + 1]) - np.maximum(begin, edges[month])
            share = np.maximum(watched, 0.0) / DAYS_PER_MONTH * ages.factor * use[curve, month]
            out[:, month] = np.bincount(product, share, len(products))
        by_product[name] = out
    at = pd.Index(products).get_indexer(pd.Index(fleet.fitted["product_id"]))
    part, quantity = fleet.fitted["part"].to_numpy(np.int64), fleet.fitted["quantity"].to_numpy(float)
    on_hours = hours[part] & ("hours" in by_product)
    exposure = np.zeros((len(fleet.parts), months))
    for name, rows in (("hours", on_hours), ("days", ~on_hours)):
        rows = rows & (at >= 0)
        if rows.any():
            np.add.at(exposure, part[rows], quantity[rows, None] * by_product[name][at[rows]])
    return exposure


def _taken(fleet: FleetHistory, begin: FloatArray, edges: FloatArray) -> FloatArray:
    """Pieces taken while their machine was watched, shape (parts, months)."""
    events = fleet.events
    machine = fleet.touched["machine"].to_numpy(np.int64)[events["pair"].to_numpy(np.int64)]
    when = fleet.clock.at(np.full(len(events), CALENDAR), events["replaced_on"])
    month = np.searchsorted(edges, when + 0.5, side="right") - 1
    use = (when >= begin[machine] - 1e-6) & (month >= 0) & (month < len(edges) - 1)
    months = len(edges) - 1
    flat: IntArray = events["part"].to_numpy(np.int64)[use] * months + month[use]
    pieces = np.bincount(flat, _fitted_pieces(fleet)[use], len(fleet.parts) * months)
    return np.asarray(pieces.reshape(len(fleet.parts), months))
