"""Chance of the simulation: demand, tosses, lead times and phases, each part from its own random numbers."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy import special

from spareplan.stocking._forest import Forest
from spareplan.stocking._runs import WORLDS, Events, Runs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
# A renewal stream steadier than this is a clock.
STEADIEST = 1e-3


def part_stream(seed: int, part_id: object) -> np.random.Generator:
    """Random numbers of one part: the same whatever other parts there are, and in whatever order."""
    digest = hashlib.blake2b(str(part_id).encode(), digest_size=8).digest()
    return np.random.default_rng(np.random.SeedSequence([seed, int.from_bytes(digest, "big")]))


def draw_demand(forest: Forest, runs: Runs, seed: int) -> Events:
    """Own demand of every row: Poisson; in order sizes (vmr > 1); steadier (vmr < 1); with an unknown rate.

    Parameters
    ----------
    forest : Forest
    runs : Runs
    seed : int

    Returns
    -------
    Events
        Of all echelons, unsorted. Order sizes are logarithmic, which makes the demand of any window negative
        binomial of that vmr; a steadier stream is a gamma renewal process whose long windows have that vmr;
        an unknown rate is gamma, high or low at all sites of the part together, and holds for a run.
    """
    rows, times = [], []
    starts = np.flatnonzero(np.r_[True, np.diff(forest.part[runs.source]) != 0])
    stops = np.r_[starts[1:], len(runs.source)]
    own, own_vmr, cv2 = (values[runs.source] for values in (forest.own, forest.vmr, forest.rate_cv2))
    horizon = 2 * runs.warm + runs.length
    for start, stop in zip(starts, stops):
        chance = part_stream(seed, forest.part_ids[forest.part[runs.source[start]]])
        span = slice(start, stop)
        rate = own[span].copy()
        if (cv2[span] > 0).any():
            # One draw per world, stratified so that few worlds show the whole law of the rate.
            level = (chance.permutation(WORLDS) + chance.random(WORLDS)) / WORLDS
            vague = cv2[span] > 0
            shape = 1 / cv2[span][vague]
            rate[vague] *= special.gammaincinv(shape, level[runs.run[span][vague]]) / shape
        lumpy, steady = own_vmr[span] > 1 + 1e-9, own_vmr[span] < 1 - 1e-9
        share = np.where(lumpy, 1 - 1 / np.maximum(own_vmr[span], 1), 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.where(lumpy, -share / ((1 - share) * np.log1p(-share)), 1.0)
        count = chance.poisson(np.where(steady, 0.0, rate / size * horizon[span]))
        at = np.repeat(np.arange(start, stop), count)
        when = chance.random(len(at)) * horizon[at]
        if lumpy.any():
            pieces = np.ones(len(at), dtype=np.int64)
            big = lumpy[at - start]
            pieces[big] = chance.logseries(share[at[big] - start])
            at, when = np.repeat(at, pieces), np.repeat(when, pieces)
        rows.append(at)
        times.append(when)
        clocks = np.flatnonzero(steady & (rate > 0))
        if len(clocks):
            at, when = _renewals(rate[clocks], own_vmr[span][clocks], horizon[span][clocks], chance)
            rows.append(start + clocks[at])
            times.append(when)
    row = np.concatenate(rows) if rows else np.empty(0, np.int64)
    time = np.concatenate(times) if times else np.empty(0)
    return Events(row, time, np.full(len(row), -1), np.zeros(len(row), dtype=bool))


def _renewals(
    rate: FloatArray, vmr: FloatArray, horizon: FloatArray, chance: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Gamma renewal streams in equilibrium: position of the stream and time of each event. [days]."""
    shape = 1 / np.maximum(vmr, STEADIEST)
    mean = rate * horizon
    many = (mean + 8 * np.sqrt(mean) + 12).astype(np.int64)
    at = np.repeat(np.arange(len(rate)), many)
    first = np.cumsum(many) - many
    gap = chance.gamma(shape[at]) / (shape * rate)[at]
    # Time zero falls into a gap, into long ones rather: what is left of it is a uniform share of a long gap.
    gap[first] = chance.random(len(rate)) * chance.gamma(shape + 1) / (shape * rate)
    total = np.cumsum(gap)
    when = total - np.repeat(total[first] - gap[first], many)
    live = when < horizon[at]
    return at[live], when[live]


def toss(forest: Forest, runs: Runs, row: IntArray, share: FloatArray, seed: int, salt: int) -> BoolArray:
    """Toss for every event, from the random numbers of its part.

    Parameters
    ----------
    forest : Forest
    runs : Runs
    row : ndarray of int, shape (k,)
        Row of the runs of each event; the events of a part stand together.
    share : ndarray, shape (n,)
        Chance of heads, per row of the forest.
    seed, salt : int
        The salt keeps tosses of different meaning apart.

    Returns
    -------
    ndarray of bool, shape (k,)
    """
    out = np.zeros(len(row), dtype=bool)
    chances = share[runs.source[row]]
    if not (chances > 0).any():
        return out
    part = forest.part[runs.source[row]]
    starts = np.flatnonzero(np.r_[True, np.diff(part) != 0])
    for start, stop in zip(starts, np.r_[starts[1:], len(row)]):
        if (chances[start:stop] > 0).any():
            draw = part_stream(seed + 7_919 * (salt + 2), forest.part_ids[part[start]])
            out[start:stop] = draw.random(stop - start) < chances[start:stop]
    return out


def lead_times(
    forest: Forest, runs: Runs, row: IntArray, sent: FloatArray, seed: int, salt: int
) -> FloatArray:
    """Days from sending to receipt of every piece; what is sent together travels together.

    Parameters
    ----------
    forest : Forest
        `lead`, and `lead_sd` where it is not fixed.
    runs : Runs
    row : ndarray of int, shape (k,)
        Row of the runs that receives; the events of a row stand together.
    sent : ndarray, shape (k,)
        [days]
    seed, salt : int
        As in `toss`.

    Returns
    -------
    ndarray, shape (k,)
        Gamma of mean `lead` and standard deviation `lead_sd`; nobody waits for the piece sent before.
    """
    source = runs.source[row]
    mean, sd = forest.lead[source], forest.lead_sd[source]
    vague = (sd > 0) & (mean > 0)
    if not vague.any():
        return mean
    first = np.r_[True, (np.diff(row) != 0) | (np.diff(sent) != 0)] if len(row) else np.empty(0, bool)
    load = np.cumsum(first) - 1
    out, at = mean[first], np.flatnonzero(first)
    part = forest.part[source[at]]
    starts = np.flatnonzero(np.r_[True, np.diff(part) != 0])
    for start, stop in zip(starts, np.r_[starts[1:], len(at)]):
        mine = np.flatnonzero(vague[at[start:stop]]) + start
        if len(mine):
            draw = part_stream(seed + 15_485_863 * (salt + 2), forest.part_ids[part[start]])
            shape = (mean[at[mine]] / sd[at[mine]]) ** 2
            out[mine] = draw.gamma(shape) * mean[at[mine]] / shape
    return out[load]


def phase(forest: Forest, runs: Runs, row: int, quantity: int, seed: int) -> int:
    """Pieces of an order quantity that were under way when a run began. [pieces]."""
    source = int(runs.source[row])
    name = str(forest.part_ids[forest.part[source]])
    if forest.parent[source] >= 0:
        name += f"\0{forest.site_ids[forest.site[source]]}"
    draw = part_stream(seed + 1_000_003 * (int(runs.run[row]) + 1), name)
    return int(draw.integers(quantity))
