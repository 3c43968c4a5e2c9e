"""Maximum likelihood of life distributions for many parts at once: Weibull and exponential.

Spells of all parts lie in one array, part after part; `starts` holds the first row of each part. A spell is
seen from age `entry` to age `exit`; one that began before the records did counts only from its entry age on
(left truncation), and one that did not fail is censored.

References
----------
.. [1] Meeker & Escobar (1998), Statistical Methods for Reliability Data, ch. 7, 8 and 11.
.. [2] Hong, Meeker & McCalley (2009), Annals of Applied Statistics 3(2): left-truncated fleets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Rows handled at a time: small enough for the working arrays to stay in the processor's cache.
CHUNK_ROWS = 40_000
LOWEST_NODE, NODES = 0.04, 10
NEWTON_STEPS = 60


class Spells(NamedTuple):
    """Spells of all keys, sorted by key.

    Parameters
    ----------
    starts : ndarray of int, shape (keys,)
        First row of each key.
    entry, exit : ndarray, shape (rows,)
        Ages between which a spell was watched. [one unit]
    failed : ndarray of bool, shape (rows,)
        Whether it ended in a failure.
    count : ndarray, shape (rows,)
        Weight of the row.
    """

    starts: IntArray
    entry: FloatArray
    exit: FloatArray
    failed: NDArray[np.bool_]
    count: FloatArray  # type: ignore[assignment]

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum row values within each key."""
        return np.add.reduceat(values, self.starts) if len(self.starts) else np.empty(0)

    def lengths(self) -> IntArray:
        """Rows of each key."""
        return np.diff(np.append(self.starts, len(self.exit)))


class LifeFit(NamedTuple):
    """Fitted laws, an entry per key; NaN where the likelihood has no finite interior maximum.

    Parameters
    ----------
    first, second : ndarray, shape (keys,)
        Weibull, exponential: shape and scale; lognormal: mu and sigma.
    first_se, second_se : ndarray, shape (keys,)
        Standard errors from the observed information.
    loglik : ndarray, shape (keys,)
        On the original time scale, conditional on survival to entry.
    """

    first: FloatArray
    second: FloatArray
    first_se: FloatArray
    second_se: FloatArray
    loglik: FloatArray


def fit_exponential(spells: Spells) -> LifeFit:
    """Exponential lives: total time over failures (arguments and result as in `fit_weibull`)."""
    failures = spells.sums(spells.count * spells.failed)
    watched = spells.sums(spells.count * (spells.exit - spells.entry))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(failures > 0, watched / failures, np.nan)
        loglik = -failures * (np.log(scale) + 1)
        scale_se = scale / np.sqrt(failures)
    known = np.isfinite(scale)
    return LifeFit(np.where(known, 1.0, np.nan), scale, np.where(known, 0.0, np.nan), scale_se, loglik)


def fit_weibull(spells: Spells) -> LifeFit:
    """Weibull lives by their one-parameter profile, all keys at once.

    Parameters
    ----------
    spells : Spells

    Returns
    -------
    LifeFit
        Shape beta and scale eta per key. NaN where no maximum exists: no failure, all failures at the
        highest age, or a likelihood that rises as beta -> 0 (possible when every spell is truncated).

    Notes
    -----
    With x = ln t, k failures, L = sum of x over failures and S(b) = sum(exit^b - entry^b), the profile is
    k ln b + (b - 1) L - k ln(S(b) / k) - k, its score k/b + L - k S'(b)/S(b) [1]_. Nodes b, 2b, 4b ... cost
    one exponential in all, because each is the square of the one before; Newton steps in ln b follow.
    """
    out = [np.full(len(spells.starts), np.nan) for _ in range(5)]
    for keys, piece in spell_chunks(spells):
        for whole, part in zip(out, _weibull_chunk(piece)):
            whole[keys] = part
    return LifeFit(*out)


def spell_chunks(spells: Spells) -> Iterator[tuple[slice, Spells]]:
    """Cut spells between keys into pieces of about CHUNK_ROWS rows.

    Parameters
    ----------
    spells : Spells

    Yields
    ------
    tuple of slice and Spells
        Which keys, and their spells.
    """
    ends = np.append(spells.starts[1:], len(spells.exit))
    first = 0
    while first < len(spells.starts):
        low = spells.starts[first]
        last = max(int(np.searchsorted(ends, low + CHUNK_ROWS, side="right")), first + 1)
        rows = slice(low, ends[last - 1])
        piece = Spells(
            spells.starts[first:last] - low,
            spells.entry[rows],
            spells.exit[rows],
            spells.failed[rows],
            spells.count[rows],
        )
        yield slice(first, last), piece
        first = last


class _Powers(NamedTuple):
    """Log ages with signed weights: exits count up, entries down, so S(b) is one segment sum."""

    starts: IntArray
    x: FloatArray
    weight: FloatArray
    segment: IntArray

    def moments(self, shape: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """S, S', S'' at one shape per key."""
        power = self.weight * np.exp(shape[self.segment] * self.x)
        first = np.add.reduceat(power, self.starts)
        power *= self.x
        second = np.add.reduceat(power, self.starts)
        power *= self.x
        return first, second, np.add.reduceat(power, self.starts)


def _signed_powers(spells: Spells, reference: FloatArray) -> _Powers:
    """Merge exits and positive entries into one array sorted by key."""
    keys = len(spells.starts)
    lengths = np.diff(np.append(spells.starts, len(spells.exit)))
    segment = np.repeat(np.arange(keys), lengths)
    late = np.flatnonzero(spells.entry > 0)
    x = np.log(spells.exit) - reference[segment]
    if not len(late):
        return _Powers(spells.starts, x, spells.count, segment)
    x = np.concatenate([x, np.log(spells.entry[late]) - reference[segment[late]]])
    weight = np.concatenate([spells.count, -spells.count[late]])
    segment = np.concatenate([segment, segment[late]])
    order = np.argsort(segment, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(segment, minlength=keys))[:-1]])
    return _Powers(starts, x[order], weight[order], segment[order])


def _weibull_chunk(spells: Spells) -> LifeFit:
    weighted = spells.count * spells.failed
    k = spells.sums(weighted)
    highest = np.maximum.reduceat(spells.exit, spells.starts)
    reference = np.log(highest)
    powers = _signed_powers(spells, reference)
    log_sum = spells.sums(weighted * np.log(spells.exit)) - k * reference
    # Failures before the highest age pull the shape down from infinity: L < 0 in units of that age.
    last_failed = spells.sums(weighted * (spells.exit < highest[powers_segment(spells)]))
    possible = (k > 0) & (last_failed > 0)
    floor, slope = _limit_at_zero(powers, k, log_sum, spells)
    shape = _best_node(powers, k, log_sum, possible)
    shape = _newton(powers, k, log_sum, shape, possible)
    out = [np.full(len(k), np.nan) for _ in range(5)]
    rows = possible & np.isfinite(shape)
    if rows.any():
        safe = np.where(rows, shape, 1.0)
        s0, s1, s2 = powers.moments(safe)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = k * np.log(safe) + (safe - 1) * log_sum - k * np.log(s0 / k) - k
            # A local maximum below the limit at beta -> 0 is not the maximum.
            rows &= (s0 > 0) & ((slope > 0) | (relative > floor))
            log_scale = np.log(s0 / k) / safe
            q1 = s1 * k / s0 - k * log_scale
            q2 = (s2 - 2 * log_scale * s1) * k / s0 + k * log_scale**2
            information = k / safe**2 + q2
            determinant = information * safe**2 * k - (safe * q1) ** 2
            scale = np.exp(log_scale + reference)
            se = np.sqrt(safe**2 * k / determinant), scale * np.sqrt(information / determinant)
            # A scale that no float holds belongs to a shape of nearly nothing: no usable maximum.
            rows &= np.isfinite(scale) & (scale > 1e-300) & (determinant > 0)
        values = (safe, scale, se[0], se[1], relative - k * reference)
        for whole, part in zip(out, values):
            whole[rows] = part[rows]
    return LifeFit(*out)


def powers_segment(spells: Spells) -> IntArray:
    """Key number of each row."""
    return np.repeat(np.arange(len(spells.starts)), spells.lengths())


def _limit_at_zero(
    powers: _Powers, k: FloatArray, log_sum: FloatArray, spells: Spells
) -> tuple[FloatArray, FloatArray]:
    """Profile and its slope as beta -> 0; -inf and inf unless every spell entered late.

    There S(b) ~ b A1 + b² A2 / 2 with A1 = sum of ln(exit/entry), so the profile tends to a finite value.
    """
    late = spells.sums(spells.count * (spells.entry <= 0)) == 0
    first = np.add.reduceat(powers.weight * powers.x, powers.starts)
    second = np.add.reduceat(powers.weight * powers.x**2, powers.starts)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = -log_sum - k * np.log(first / k) - k
        slope = log_sum - k * second / (2 * first)
    return np.where(late, value, -np.inf), np.where(late, slope, np.inf)


def _best_node(
    powers: _Powers, k: FloatArray, log_sum: FloatArray, possible: NDArray[np.bool_]
) -> FloatArray:
    """Start of Newton: vertex of the parabola through the best node of a doubling grid of shapes."""
    nodes = LOWEST_NODE * 2.0 ** np.arange(NODES)
    power = np.exp(LOWEST_NODE * powers.x)
    sums = np.empty((NODES, len(k)))
    for row in range(NODES):
        sums[row] = np.add.reduceat(powers.weight * power, powers.starts)
        if row < NODES - 1:
            power *= power
    safe = np.where(k > 0, k, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        profile = safe * np.log(nodes)[:, None] + (nodes[:, None] - 1) * log_sum - safe * np.log(sums / safe)
    profile = np.where(np.isfinite(profile), profile, -np.inf)
    best = profile.argmax(axis=0)
    inner = np.clip(best, 1, NODES - 2)
    columns = np.arange(len(k))
    left, middle, right = (profile[inner + shift, columns] for shift in (-1, 0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        move = 0.5 * (left - right) / (left - 2 * middle + right)
    move = np.where((best == inner) & np.isfinite(move), np.clip(move, -1, 1), 0.0)
    return np.where(possible, nodes[best] * 2.0**move, np.nan)


def _newton(
    powers: _Powers, k: FloatArray, log_sum: FloatArray, start: FloatArray, possible: NDArray[np.bool_]
) -> FloatArray:
    """Root of the score in ln b near `start`; NaN where none is found."""
    shape = start.copy()
    low, high = np.zeros(len(k)), np.full(len(k), np.inf)
    active = possible & np.isfinite(shape)
    found = np.zeros(len(k), dtype=bool)
    everything = powers
    keys = np.arange(len(k))
    for step in range(NEWTON_STEPS):
        if not active.any():
            break
        if step in (4, 8):
            # The stragglers alone from here on.
            keys = np.flatnonzero(active)
            powers = _subset(everything, keys)
        b = np.where(active, shape, 1.0)[keys]
        s0, s1, s2 = powers.moments(b)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = s1 / s0
            score = k[keys] + b * (log_sum[keys] - k[keys] * ratio)
            bend = score - k[keys] - b**2 * k[keys] * (s2 / s0 - ratio**2)
            move = -score / bend
        rising = score > 0
        low[keys] = np.where(rising, np.maximum(low[keys], b), low[keys])
        high[keys] = np.where(rising, high[keys], np.minimum(high[keys], b))
        # Uphill always: away from a maximum the curvature may have the wrong sign.
        move = np.where(np.isfinite(move) & (bend < 0), move, np.where(rising, 0.7, -0.7))
        proposed = b * np.exp(np.clip(move, -0.7, 0.7))
        outside = (proposed <= low[keys]) | (proposed >= high[keys])
        middle = np.sqrt(np.maximum(low[keys], b / 4) * np.minimum(high[keys], b * 4))
        done = np.abs(move) < 1e-10
        proposed = np.where(outside & ~done, middle, proposed)
        now = active[keys]
        shape[keys] = np.where(now, proposed, shape[keys])
        found[keys] |= now & done
        active[keys] = now & ~done & (proposed > 1e-6) & (proposed < 1e9)
    close = active & (high / np.maximum(low, 1e-300) - 1 < 1e-7)
    return np.where(found | close, shape, np.nan)


def _subset(powers: _Powers, keys: IntArray) -> _Powers:
    ends = np.append(powers.starts[1:], len(powers.x))
    lengths = ends[keys] - powers.starts[keys]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    rows = np.repeat(powers.starts[keys] - starts, lengths) + np.arange(lengths.sum())
    return _Powers(starts, powers.x[rows], powers.weight[rows], np.repeat(np.arange(len(keys)), lengths))
