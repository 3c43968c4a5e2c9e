"""Numba kernels: the laws of one site above others, for every stock; what its sites below see of them."""

# mypy: allow-untyped-defs
from __future__ import annotations

import math

from numba import njit

from spareplan.stocking._columns import (
    AHEAD,
    BACK,
    CDF,
    CROSS,
    EXACT,
    EXCESS,
    LATE_EXCESS,
    LATE_MEAN,
    LATE_TIED,
    LATES,
    LAW,
    LENGTH,
    LOSS,
    LUMP,
    MEAN,
    MISSED,
    OWN,
    PMF,
    ROW,
    SCRATCH,
    SHARE,
    SPARE,
    SPREAD,
    STOCKED,
    THINNED,
    TIED,
    TOLD_AT,
    TOLD_BELOW,
    TOLD_EBO,
    TOLD_LATE,
    TOLD_LATE_AT,
    TOLD_LATE_BELOW,
    TOLD_MISS,
    TOLD_OVER,
    TOLD_UNDER,
    TWO_MOMENT,
    UP,
)
from spareplan.stocking._counts import fill_counts, reach, thin_all


@njit(nogil=True)
def tabulate_site(row, lev, model, batch_top, F, N, nodes, state, wk):
    """Tabulate a site with children for every stock: pmf, expected backlog, its variance, misses, lates."""
    pmf, cdf, loss, spread, missed = (
        wk[lev, PMF],
        wk[lev, CDF],
        wk[lev, LOSS],
        wk[lev, SPREAD],
        wk[lev, MISSED],
    )
    thinned, own = wk[lev, THINNED], wk[lev, OWN]
    e, ev, tie, length = 0.0, 0.0, 0.0, 1
    batch = batch_top
    if lev > 0:
        e, ev, tie = state[lev - 1, 0], state[lev - 1, 1], state[lev - 1, 2]
        length, batch = nodes[lev - 1, LENGTH], 1
    room = pmf.shape[0]
    mean = F[row, MEAN] + F[row, SHARE] * e
    variance = mean + F[row, EXCESS]
    if model == EXACT and length > 1:
        variance += F[row, SHARE] * F[row, SHARE] * max(0.0, ev - e)
    elif model == TWO_MOMENT:
        variance = orders_variance(row, e, ev, tie, F)
    size = reach(mean, variance, room)
    if model == EXACT and length > 1:
        length = thin_all(wk[lev - 1, BACK], length, F[row, SHARE], thinned)
        alone = min(room, int(F[row, MEAN] + 12.0 * math.sqrt(F[row, MEAN]) + 40.0))
        size = min(room, length + alone)
        fill_counts(F[row, MEAN], F[row, MEAN], own, alone)
        for k in range(alone, size):
            own[k] = 0.0
        for k in range(size):
            pmf[k] = 0.0
        for j in range(length):
            for k in range(min(alone, size - j)):
                pmf[j + k] += thinned[j] * own[k]
    else:
        fill_counts(mean, variance, pmf, size)
    while size > 2 and pmf[size - 1] < 1e-18:
        size -= 1
    if batch > 1:
        # Positions below a stock beyond the law still lie within it.
        wider = min(room, size + batch)
        for k in range(size, wider):
            pmf[k] = 0.0
        size = wider
    running = 0.0
    for k in range(size):
        running += pmf[k]
        cdf[k] = min(1.0, running)
    # Backwards sums keep the far tail exact where 1 - cdf would be noise.
    tail, first, second = 0.0, 0.0, 0.0
    for k in range(size - 1, -1, -1):
        loss[k] = first
        spread[k] = second
        missed[k] = tail + pmf[k]
        # E(N-k+1)+^2 = E(N-k)+^2 + 2 E(N-k)+ + P(N >= k)
        tail += pmf[k]
        second = second + 2.0 * first + tail
        first = first + tail
    if model == TWO_MOMENT:
        seen = seen_mean(row, e, tie, F)
        if seen != mean:
            fill_counts(seen, seen * variance / mean if mean > 0.0 else seen, own, size)
            running = 0.0
            for k in range(size):
                missed[k] = max(0.0, 1.0 - running)
                running += own[k]
    lates = wk[lev, LATES]
    if N[row, UP] >= 0:
        count, late, running = late_law(row, lev, model, F, N, nodes, state, batch_top, wk)
        law = wk[lev, LAW]
        for k in range(size):
            lates[k] = late
            running -= law[k] if k < count else 0.0
            late = running if running > 1e-15 else 0.0
    cross = wk[lev, CROSS]
    for k in range(size):
        # E[B (N - E N)]: how much more is short when more is on order.
        cross[k] = spread[k] + (k - mean) * loss[k]
    if batch > 1:
        # (R, Q): the inventory position is spread evenly over the batch; every measure is the mean.
        for values in (loss, spread, missed, cross, lates):
            running = 0.0
            for k in range(size):
                own[k] = values[k]
            for k in range(size):
                running += own[k]
                if k >= batch:
                    running -= own[k - batch]
                values[k] = max(0.0, running) / batch
    for k in range(size):
        spread[k] = max(0.0, spread[k] - loss[k] * loss[k])
    return size


@njit(nogil=True)
def release(s, lev, batch, size, wk):
    """Backlog of a site at stock s, as its children see it; returns how many entries it has."""
    pmf, cdf, back = wk[lev, PMF], wk[lev, CDF], wk[lev, BACK]
    if s - batch + 1 >= size - 1:
        back[0] = 1.0
        return 1
    lowest = max(0, s - batch + 1)
    length = size - lowest
    if batch > 1:
        back[0] = 0.0
        for j in range(lowest, s + 1):
            back[0] += cdf[j] if j < size else 1.0
        for b in range(1, length):
            above = cdf[min(s + b, size - 1)]
            under = s + b - batch
            back[b] = max(0.0, above - (cdf[under] if under >= 0 else 0.0))
        for b in range(length):
            back[b] /= batch
    else:
        back[0] = cdf[s]
        for b in range(1, length):
            back[b] = pmf[s + b]
    gone = 0.0
    while length > 1 and gone + back[length - 1] < 1e-16:
        gone += back[length - 1]
        length -= 1
    return length


@njit(nogil=True)
def record(row, lev, s, size, N, out, write, wk):
    """Measures of a site with children at its stock."""
    promised = N[row, UP] >= 0
    out[row, TOLD_EBO] = wk[lev, LOSS, s] if s < size else 0.0
    out[row, TOLD_MISS] = wk[lev, MISSED, s] if s < size else 0.0
    out[row, TOLD_LATE] = wk[lev, LATES, s] if promised and s < size else 0.0
    if not write:
        return
    out[row, TOLD_OVER] = max(0.0, 1.0 - wk[lev, CDF, s]) if s < size else 0.0
    out[row, TOLD_UNDER] = max(0.0, 1.0 - wk[lev, CDF, s - 1]) if 0 < s <= size else 1.0 if s == 0 else 0.0
    above = wk[lev, MISSED, s + 1] if s + 1 < size else 0.0
    out[row, TOLD_AT] = max(0.0, out[row, TOLD_MISS] - above)
    out[row, TOLD_BELOW] = max(0.0, wk[lev, MISSED, s - 1] - out[row, TOLD_MISS]) if 0 < s <= size else 0.0
    if promised:
        above = wk[lev, LATES, s + 1] if s + 1 < size else 0.0
        out[row, TOLD_LATE_AT] = max(0.0, out[row, TOLD_LATE] - above)
        less = max(0.0, wk[lev, LATES, s - 1] - out[row, TOLD_LATE]) if 0 < s <= size else 0.0
        out[row, TOLD_LATE_BELOW] = less


@njit(nogil=True)
def late_law(row, lev, model, F, N, nodes, state, batch, wk):
    """Law of the pieces still to come ahead of a tagged one when its window closes, in wk[lev, LAW].

    It starts at the site on the way up in whose lead time the window ends, and comes down: at every site as
    many as it stocks are served, a share of the others is ours. Returns the entries of the law, the chance
    that the tagged piece is late at a site without stock, and the mass from which entries are taken off.
    """
    a = lev - N[row, UP]
    law, other, spare = wk[lev, LAW], wk[lev, SCRATCH], wk[lev, SPARE]
    room = law.shape[0]
    start = row if a == lev else nodes[a, ROW]
    still = F[row, LATE_MEAN]
    if model == EXACT:
        size = min(room, int(still + 12.0 * math.sqrt(still) + 40.0))
        if a > 0 and nodes[a - 1, LENGTH] > 1:
            alone = size
            fill_counts(still, still, other, alone)
            count = thin_all(wk[a - 1, BACK], nodes[a - 1, LENGTH], F[start, SHARE], spare)
            size = min(room, alone + count)
            for k in range(size):
                law[k] = 0.0
            for j in range(count):
                for k in range(min(alone, size - j)):
                    law[j + k] += spare[j] * other[k]
        else:
            fill_counts(still, still, law, size)
        for above in range(a, lev):
            s = nodes[above, STOCKED]
            spread = batch if above == 0 else 1
            lowest = s - spread + 1
            left = size - lowest
            if left <= 0:
                return 0, 0.0, 0.0
            for k in range(left):
                total = 0.0
                for q in range(lowest, min(s, size - 1 - k) + 1):
                    total += law[k + q]
                other[k] = total / spread
            child = row if above + 1 == lev else nodes[above + 1, ROW]
            size = thin_all(other, left, F[child, SHARE], law)
        mass = 0.0
        for k in range(size):
            mass += law[k]
        return size, mass, mass
    e, ev, tie = 0.0, 0.0, 0.0
    if a > 0:
        e, ev, tie = state[a - 1, 0], state[a - 1, 1], state[a - 1, 2]
    share = F[start, SHARE]
    mean = still + share * e
    seen, variance = mean, mean
    if model == TWO_MOMENT and mean > 0.0:
        split = F[start, LUMP] * share * (1.0 - share) * e + share * share * ev
        variance = still + F[row, LATE_EXCESS] + split + 2.0 * still * share * tie
        seen = mean + F[row, LATE_TIED] + F[start, AHEAD] - F[start, TIED] + share * tie
    found = seen * variance / mean if mean > 0.0 else seen
    size = reach(seen, found, room)
    fill_counts(seen, found, law, size)
    pending = 1.0
    for above in range(a, lev):
        s = nodes[above, STOCKED]
        spread = batch if above == 0 else 1
        first, second, owed = 0.0, 0.0, 0.0
        for q in range(s - spread + 1, s + 1):
            one = 0.0
            for k in range(q, size):
                first += law[k] * (k - q)
                second += law[k] * (k - q) ** 2
                one += law[k]
            owed += pending if q == 0 else one
        e, ev = first / spread, max(0.0, second / spread - (first / spread) ** 2)
        pending = owed / spread
        child = row if above + 1 == lev else nodes[above + 1, ROW]
        share = F[child, SHARE]
        mean = share * e
        variance = mean
        if model == TWO_MOMENT:
            variance = F[child, LUMP] * share * (1.0 - share) * e + share * share * ev
        size = reach(mean, variance, room)
        fill_counts(mean, variance, law, size)
    return size, pending, 1.0


@njit(nogil=True)
def orders_variance(row, e, ev, tie, F):
    """Variance of the pieces on order: what is on the way, the split backlog, and the rate common to both."""
    split = F[row, LUMP] * F[row, SHARE] * (1.0 - F[row, SHARE]) * e + F[row, SHARE] * F[row, SHARE] * ev
    return F[row, MEAN] + F[row, EXCESS] + split + 2.0 * F[row, MEAN] * F[row, SHARE] * tie


@njit(nogil=True)
def seen_mean(row, e, tie, F):
    """Pieces on order that an arriving piece finds: more than the mean where rates or order sizes vary."""
    return F[row, MEAN] + F[row, AHEAD] + F[row, SHARE] * (e + tie)


@njit(nogil=True)
def rate_tie(row, lev, crossed, F, state):
    """Covariance of a site's backlog and the rate common to all sites: its slope on orders times theirs."""
    e, ev, above = 0.0, 0.0, 0.0
    if lev > 0:
        e, ev, above = state[lev - 1, 0], state[lev - 1, 1], state[lev - 1, 2]
    slope = F[row, TIED] + F[row, SHARE] * above
    if slope <= 0.0:
        return 0.0
    return slope / orders_variance(row, e, ev, above, F) * crossed
