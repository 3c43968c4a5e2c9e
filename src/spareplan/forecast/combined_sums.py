"""One distribution from several: pooled model and compound laws of different memory, weighed by back-test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.forecast import pooling
from spareplan.forecast.bootstrap import DemandSums
from spareplan.forecast.compound_sums import forgetting_sums
from spareplan.forecast.history_features import FEWEST_TICKS, Exposure, History, Snapshot, tick_length
from spareplan.forecast.pooled_sums import (
    SumModel,
    Windows,
    draw_series,
    gather_windows,
    learn_sums,
    longest_lead,
    training_origins,
)
from spareplan.forecast.weighing import CLASSES, class_weights, history_class, past_losses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Weight of a period relative to the next in the compound laws, on histories of up to four years of months.
MEMORIES = (0.9, 0.96, 1.0)
# Levels at whose loss members are judged.
JUDGED = (0.5, 0.8, 0.9, 0.95, 0.99)
# How many effective windows of the pooled model the compound laws weigh as much as, before any back-test.
COMPOUND_WINDOWS = 60.0
# Share that the prior keeps from the pooled model whatever its evidence: no method wins everywhere.
ALONE_SHARE = 0.6
# How it is split over the compound laws and the own past.
ALONE = (0.25, 0.25, 0.25, 0.25)
# Past origins on which members are tested; trees of the model tested there, and fewest origins that teach it.
MOST_TESTS = 4
TEST_TREES = 4
FEWEST_TRAINED = 3
# Quantiles of the growth of exposure in the windows that teach; growth beyond them is made up for.
GROWTH_SEEN = (0.02, 0.98)
# Sums of other lengths are stretched from the longest of these below them.
LEADS = (1, 2, 3, 4, 6, 9, 13, 19, 28, 42, 63, 95, 142, 213, 320)
# So many different lengths are learned each by itself.
FEW_LEADS = 3


def direct_leads(ahead: IntArray, length: int) -> IntArray:
    """Length of the sum that is learned for each wanted one; longer ones are stretched from it.

    Parameters
    ----------
    ahead : ndarray of int, shape (n,)
    length : int
        Of the history. [periods]

    Returns
    -------
    ndarray of int, shape (n,)
    """
    short = np.minimum(ahead, longest_lead(length))
    if len(np.unique(short)) <= FEW_LEADS:
        return short
    return np.asarray(LEADS)[np.searchsorted(LEADS, short, side="right") - 1]


def combined_sums(
    demand: FloatArray,
    lead: int,
    rows: IntArray,
    ahead: IntArray,
    levels: FloatArray,
    exposure: Exposure | None,
    traits: FloatArray,
    fits: int = 1,
) -> DemandSums:
    """Forecast sums of some series, learning from all.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Oldest period first, NaN where unknown or not started. [pieces]
    lead : int
        Length of the sums that are learned. [periods]
    rows : ndarray of int, shape (m,)
        Series that are forecast.
    ahead : ndarray of int, shape (m,)
        Length of their sums, `lead` or longer. [periods]
    levels : ndarray, shape (k,)
        Rising, between 0 and 1; those of `JUDGED` among them.
    exposure : Exposure, optional
        What wears the parts, as far ahead as the longest sum.
    traits : ndarray, shape (n, d)
        What else is known of the series and does not change, such as unit cost.
    fits : int
        How many lengths of sums are learned of this panel: where many are, fewer windows teach each.

    Returns
    -------
    DemandSums

    Notes
    -----
    Quantiles of the members are averaged [1]_. Their weights follow from the latest past origins, whose
    months the tested models had not seen, by number of demands so far.

    References
    ----------
    .. [1] Lichtendahl, Grushka-Cockayne & Winkler (2013), Is it better to average probabilities or
       quantiles?, Management Science 59, 1594-1611.
    """
    n, c = demand.shape
    origins = training_origins(n, c, lead)
    teachers = draw_series(n, len(origins), fits)
    shown = None if exposure is None else exposure.of(teachers)
    past = History(demand[teachers], tick_length(lead, c), shown)
    whole = History(demand, tick_length(lead, c), exposure)
    here, longer = _ahead(whole, past, origins, lead, rows, ahead)
    laws = _laws(demand, c, exposure, here)
    alone = _alone(demand, laws, exposure, here, rows, lead, longer, levels)
    alone = [*map(_with_total, alone, _excess(demand, laws, exposure, here)), alone[-1]]
    shots = past.snapshots(origins, lead) if origins else []
    windows = gather_windows(past, shots, origins, lead, traits[teachers])
    model = None if windows is None else learn_sums(windows, lead, levels)
    weights = _prior(model)
    taught = None if model is None else windows
    test = _tested(past, shots, origins, taught, lead, levels, traits[teachers])
    if test is not None:
        said = [test.quantiles, *_alone_at(demand[teachers], shown, test, lead, levels)]
        used = weights > 0
        judged = np.isin(levels, JUDGED)
        said = [quantiles[:, judged] for quantiles, use in zip(said, used) if use]
        losses = past_losses(test.came, test.unit, said, levels[judged])
        learned = class_weights(losses, test.classes, (test.came > 0).astype(float), weights[used])
        weights = np.zeros((len(learned), len(used)))
        weights[:, used] = learned
    now = whole.snapshots([c], lead, here)[0]
    classes = np.zeros(n, dtype=np.int64)
    classes[now.rows] = history_class(*now.record())
    own = np.broadcast_to(weights, (CLASSES, len(ALONE) + 1))[classes[rows]]
    if model is None:
        return _averaged(alone, own[:, 1:], levels)
    pooled = _of_rows(model.predict(now, traits), now, n, rows)
    if (longer != lead).any():
        middle = pooling.CompoundRates(*(value[rows] for value in laws[len(laws) // 2]))
        pooled = stretch_sums(pooled, middle, lead, longer)
    # The pooled model knows nothing of series of which nothing is known.
    own[~np.isin(rows, now.rows)] = _prior(None)
    return _averaged([pooled, *alone], own, levels)


def _prior(model: SumModel | None) -> FloatArray:
    """Weights before any back-test: pooled model first, then the members that stand alone."""
    share = 0.0 if model is None else model.evidence / (model.evidence + COMPOUND_WINDOWS)
    pooled = (1 - ALONE_SHARE) * share
    return np.concatenate([[pooled], (1 - pooled) * np.asarray(ALONE) / sum(ALONE)])


def _ahead(
    whole: History, past: History, origins: list[int], lead: int, rows: IntArray, ahead: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Exposure ahead as far as past windows grew, shape (n,), and lengths that make up for the rest.

    Twice the machines for a month need what the same machines need in two.
    """
    n = len(whole.pieces)
    if whole.exposure is None:
        return np.ones(n), ahead.astype(float)
    coming = whole.exposure.ahead[:, :lead].mean(axis=1)
    running = np.cumsum(whole.exposure.ahead[rows], axis=1)
    coming[rows] = running[np.arange(len(rows)), ahead - 1] / ahead
    before = whole.last_year()
    seen = past.growth(origins, lead) if origins else np.ones(1)
    grown = np.clip(coming / before, *np.quantile(seen, GROWTH_SEEN))
    return before * grown, ahead * (coming / before / grown)[rows]


def _laws(
    demand: FloatArray, length: int, exposure: Exposure | None, ahead: FloatArray
) -> list[pooling.CompoundRates]:
    """Compound laws of every memory; `length` [periods] is that of the whole history."""
    wear = None if exposure is None else exposure.wear[:, : demand.shape[1]]
    return [pooling.pool_rates(demand, discount, wear, ahead) for discount in _discounts(length)]


def _discounts(length: int) -> list[float]:
    return [memory ** (1 / max(length / FEWEST_TICKS, 1.0)) for memory in MEMORIES]


def _excess(
    demand: FloatArray, laws: list[pooling.CompoundRates], exposure: Exposure | None, ahead: FloatArray
) -> list[float]:
    """What the series were demanded over what each law expects of them all together.

    Sizes that shrink towards the usual one leave the few large orders out of the mean.
    """
    out = []
    c = demand.shape[1]
    weights = [discount ** np.arange(c - 1, -1, -1.0) for discount in _discounts(c)]
    known = np.isfinite(demand)
    time = known if exposure is None else known * exposure.wear / ahead[:, None]
    for law, weight in zip(laws, weights):
        seen = time @ weight
        rate = np.where(known, demand, 0.0) @ weight / np.where(seen > 0, seen, 1.0)
        expected = pooling.sum_moments(law, 1)[0][seen > 0].sum()
        out.append(float(rate.sum() / expected) if expected > 0 else 1.0)
    return out


def _with_total(sums: DemandSums, excess: float) -> DemandSums:
    return sums._replace(mean=sums.mean * excess)


def _alone(
    demand: FloatArray,
    laws: list[pooling.CompoundRates],
    exposure: Exposure | None,
    ahead: FloatArray,
    rows: IntArray,
    lead: int,
    longer: FloatArray,
    levels: FloatArray,
) -> list[DemandSums]:
    """Forecasts of the members that need no past origins: compound laws, and the own past as it was."""
    some = [pooling.CompoundRates(*(value[rows] for value in law)) for law in laws]
    past = DemandSums(*(value[rows] for value in forgetting_sums(demand, lead, levels)))
    if exposure is not None:
        known = np.isfinite(demand[rows])
        worn = np.where(known, exposure.wear[rows, : demand.shape[1]], 0.0).sum(axis=1)
        longer_past = longer * ahead[rows] / (worn / np.maximum(known.sum(axis=1), 1) + ~known.any(axis=1))
    else:
        longer_past = longer
    if (longer_past != lead).any():
        past = stretch_sums(past, some[-1], lead, longer_past)
    return [*(law_sums(law, longer, levels) for law in some), past]


def law_sums(rates: pooling.CompoundRates, ahead: FloatArray, levels: FloatArray) -> DemandSums:
    """Sums under compound rates.

    Parameters
    ----------
    rates : CompoundRates
    ahead : ndarray, shape (n,)
        [periods]
    levels : ndarray, shape (k,)

    Returns
    -------
    DemandSums
    """
    mean, variance = pooling.sum_moments(rates, ahead)
    quantiles = pooling.sum_quantiles(rates, ahead, levels)
    return DemandSums(mean, variance, quantiles, pooling.no_demand_chance(rates, ahead))


def stretch_sums(
    short: DemandSums, rates: pooling.CompoundRates, lead: int, longer: FloatArray
) -> DemandSums:
    """Carry the distribution of a sum over to longer sums.

    Parameters
    ----------
    short : DemandSums
        Distribution of the sum of `lead` periods.
    rates : CompoundRates
        Say how much of the variance all periods share.
    lead : int
        [periods]
    longer : ndarray, shape (n,)
        Wanted for each series. [periods]

    Returns
    -------
    DemandSums
        The mean grows with the periods, distances from it with the standard deviation, which the compound
        rates let grow between the root of the periods (independent) and the periods (shared).
    """
    growth = longer / lead
    _, before = pooling.sum_moments(rates, lead)
    _, after = pooling.sum_moments(rates, longer)
    spread = np.where(before > 0, after / np.where(before > 0, before, 1.0), growth)
    off = (short.quantiles - short.mean[:, None]) * np.sqrt(spread)[:, None]
    quantiles = np.maximum(growth[:, None] * short.mean[:, None] + off, 0.0)
    fewer = pooling.no_demand_chance(rates, longer) / np.maximum(pooling.no_demand_chance(rates, lead), 1e-12)
    return DemandSums(
        growth * short.mean, spread * short.variance, quantiles, short.none * np.minimum(fewer, 1.0)
    )


class _Test(NamedTuple):
    """Series at past origins, what came, and what the pooled model had said."""

    origin: IntArray
    row: IntArray
    unit: FloatArray
    classes: IntArray
    came: FloatArray
    quantiles: FloatArray


def _tested(
    past: History,
    shots: list[Snapshot],
    origins: list[int],
    windows: Windows | None,
    lead: int,
    levels: FloatArray,
    traits: FloatArray,
) -> _Test | None:
    """What came after the latest origins, and what a pooled model that was taught before them had said."""
    if len(origins) <= FEWEST_TRAINED:
        return None
    recent = [i for i, t in enumerate(origins) if t >= origins[-1] - lead]
    at = [recent[i] for i in np.unique(np.linspace(0, len(recent) - 1, MOST_TESTS).astype(int))]
    model = None
    if windows is not None:
        if origins[at[0]] - lead < origins[FEWEST_TRAINED - 1]:
            at = at[-1:]
        if origins[at[0]] - lead >= origins[FEWEST_TRAINED - 1]:
            model = learn_sums(windows, lead, levels, before=origins[at[0]], trees=TEST_TREES)
        if model is None:
            return None
    rows = []
    for i in at:
        shot = shots[i]
        came = past.outcomes(origins[i], lead, shot.rows)
        known = np.isfinite(came)
        quantiles = np.zeros((len(shot.rows), len(levels)))
        if model is not None:
            quantiles = model.predict(shot, traits)[:, : len(levels)]
        classes = history_class(*shot.record())
        rows.append(
            _Test(
                np.full(known.sum(), origins[i]),
                shot.rows[known],
                shot.unit[known],
                classes[known],
                came[known],
                quantiles[known],
            )
        )
    return _Test(*(np.concatenate(values) for values in zip(*rows)))


def _alone_at(
    demand: FloatArray, exposure: Exposure | None, test: _Test, lead: int, levels: FloatArray
) -> list[FloatArray]:
    """Quantiles of the members that need no past origins, at the tested ones."""
    out = [np.zeros((len(test.row), len(levels))) for _ in ALONE]
    for t in np.unique(test.origin):
        here = test.origin == t
        rows = test.row[here]
        ahead = np.ones(len(demand)) if exposure is None else exposure.wear[:, t : t + lead].mean(axis=1)
        laws = _laws(demand[:, :t], demand.shape[1], exposure, ahead)
        sums = np.full(len(rows), float(lead))
        for quantiles, one in zip(
            out, _alone(demand[:, :t], laws, exposure, ahead, rows, lead, sums, levels)
        ):
            quantiles[here] = one.quantiles
    return out


def _of_rows(table: FloatArray, now: Snapshot, n: int, rows: IntArray) -> DemandSums:
    """Spread the table of the series alive over all wanted; the others expect nothing."""
    whole = np.zeros((n, table.shape[1]))
    whole[:, -3] = 1.0
    whole[now.rows] = table
    whole = whole[rows]
    return DemandSums(whole[:, -2], whole[:, -1], whole[:, :-3], whole[:, -3])


def _averaged(members: list[DemandSums], weights: FloatArray, levels: FloatArray) -> DemandSums:
    """Average quantiles and moments by the weights of each series, shape (n, members)."""
    parts = list(zip(members, weights.T))
    quantiles = sum(weight[:, None] * member.quantiles for member, weight in parts)
    none = sum(weight * member.none for member, weight in parts)
    mean = sum(weight * member.mean for member, weight in parts)
    # Averaging quantiles averages standard deviations where the members' laws are of one shape.
    variance = np.square(sum(weight * np.sqrt(member.variance) for member, weight in parts))
    quantiles = np.where(levels <= np.asarray(none)[:, None], 0.0, quantiles)
    return DemandSums(np.asarray(mean), np.asarray(variance), quantiles, np.asarray(none))
