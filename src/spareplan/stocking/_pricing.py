"""Numba kernels: the cheapest levels of one part at given multipliers, on any tree, exact or by two moments.

A part owns a run of rows, its sites in preorder: a site comes before its children, `stop` is the row after
its last descendant. The walk over the tree is a loop with its own stack: numba cannot cache recursion.
`pricing.py` wraps the kernels and explains the search; `echelons.py` evaluates the same levels in plain
numpy.
"""

# mypy: allow-untyped-defs
from __future__ import annotations

import math

import numpy as np
from numba import njit

from spareplan.stocking._counts import fill_counts, thin_all

EXACT, TWO_MOMENT, METRIC = 0, 1, 2
SPANS = 128
# Rows of the work space of one level of the tree.
THINNED, OWN, AT, SEEN, PMF, CDF, LOSS, SPREAD, MISSED, BACK, CROSS, LATES, LAW, SCRATCH, SPARE = range(15)
WORK_ROWS = 15
# Columns of a row: figures (F, see `pricing.Pipelines`) and whole numbers (N). One array each, because a call
# with a score of arrays costs more than the pricing of a small site.
(
    MEAN,
    EXCESS,
    SHARE,
    TIED,
    AHEAD,
    LUMP,
    COST,
    WORTH,
    CHANCE,
    LATENESS,
    LATE_MEAN,
    LATE_EXCESS,
    LATE_TIED,
) = range(13)
STOP, LOW, HIGH, STOCK, UP = range(5)
# What is asked: the certain minimum, the measures of given levels, a quick walk without certainty.
SEARCH, WRITE, QUICK = 0, 1, 2
FIRST, WALK, DOWN, FREE, SPAN, STEP = 0, 1, 2, 3, 4, 5
ROW, STOCKED, LENGTH = range(3)
# Columns of what is told of a row: the first three always, the others where levels are given (WRITE).
(
    TOLD_EBO,
    TOLD_MISS,
    TOLD_LATE,
    TOLD_OVER,
    TOLD_UNDER,
    TOLD_AT,
    TOLD_BELOW,
    TOLD_LATE_AT,
    TOLD_LATE_BELOW,
) = range(9)
TOLD_ALWAYS = 3
# Entries of the thinned laws that are carried from stock to stock.
KNOWN = 12
AT_STOCK, NOT_LAID, TOO_FEW = 3 * KNOWN, -1.0, -2.0


# Sums may be taken in another order, the same for every call, so that they run on vectors.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _leaf(row, lev, model, F, N, out, write, nodes, state, batch, wk):
    """Best stock of a site without children: the cheapest, whatever the shape of what it is worth."""
    e, ev, tie, length = 0.0, 0.0, 0.0, 1
    back = wk[lev, BACK]
    if lev > 0:
        e, ev, tie = state[lev - 1, 0], state[lev - 1, 1], state[lev - 1, 2]
        back, length = wk[lev - 1, BACK], nodes[lev - 1, LENGTH]
    h = F[row, COST]
    mean = F[row, MEAN] + F[row, SHARE] * e
    price, weight, lateness = F[row, WORTH], F[row, CHANCE], F[row, LATENESS]
    low, high, up = N[row, LOW], N[row, HIGH], N[row, UP]
    if up < 0:
        lateness = 0.0
    if not write and low == 0 and weight == 0.0 and up < 0 and price * mean <= h:
        N[row, STOCK] = 0
        out[row, TOLD_EBO] = mean
        out[row, TOLD_MISS] = 1.0
        out[row, TOLD_LATE] = 0.0
        return price * mean
    exact = model == EXACT
    thinned, own, at = wk[lev, THINNED], wk[lev, OWN], wk[lev, AT]
    variance = mean
    size = 0
    odds = 0.0
    full = False
    keep, shape = 0.0, 0.0
    seen, own_seen = mean, own
    apart, full_seen = False, False
    shape_seen = 0.0
    if exact:
        odds = F[row, SHARE] / (1.0 - F[row, SHARE]) if F[row, SHARE] < 1.0 else 0.0
        if length == 1:
            full = True
            thinned[0] = 1.0
        elif F[row, SHARE] >= 1.0:
            full = True
            thinned[:length] = back[:length]
        elif -(length - 1) * math.log1p(-F[row, SHARE]) > 600.0:
            full = True
            length = thin_all(back, length, F[row, SHARE], thinned)
        else:
            share = 1.0
            for b in range(length):
                at[b] = back[b] * share
                share *= 1.0 - F[row, SHARE]
        if F[row, MEAN] > 600.0:
            size = own.shape[0]
            fill_counts(F[row, MEAN], F[row, MEAN], own, size)
        else:
            own[0] = math.exp(-F[row, MEAN])
    else:
        if model == TWO_MOMENT:
            variance = orders_variance(row, e, ev, tie, F)
            seen = seen_mean(row, e, tie, F)
            apart = seen != mean
        if variance > mean * (1.0 + 1e-9):
            keep = mean / variance
            shape = mean * keep / (1.0 - keep)
            start = shape * math.log(keep)
        else:
            start = -mean
        if start < -600.0:
            size = own.shape[0]
            fill_counts(mean, variance, own, size)
        else:
            own[0] = math.exp(start)
        if apart:
            # Counts that an arriving piece finds keep the ratio of variance to mean.
            own_seen = wk[lev, SEEN]
            shape_seen = seen * keep / (1.0 - keep) if shape > 0.0 else 0.0
            start = shape_seen * math.log(keep) if shape > 0.0 else -seen
            full_seen = start < -600.0
            if full_seen:
                fill_counts(seen, seen * variance / mean, own_seen, own_seen.shape[0])
            else:
                own_seen[0] = math.exp(start)
    # Pieces still to come when the window closes: a law that grows with the loop, or one laid out before it.
    late, late_all, late_size, grows = 0.0, 0.0, 0, False
    law, still = wk[lev, LAW], F[row, LATE_MEAN]
    if up >= 0:
        grows = exact and up == 0
        if grows:
            late, late_all = 1.0, 1.0
            if still > 600.0:
                late_size = law.shape[0]
                fill_counts(still, still, law, late_size)
            else:
                law[0] = math.exp(-still)
        else:
            late_size, late, late_all = late_law(row, lev, model, F, N, nodes, state, batch, wk)
    best, chosen = np.inf, low
    best_ebo, best_miss, best_over, best_under, best_at, best_below = mean, 1.0, 1.0, 1.0, 0.0, 0.0
    best_late, best_late_at, best_late_below = 0.0, 0.0, 0.0
    cdf, ebo, miss, below = 0.0, mean, 1.0, 0.0
    cdf_seen, cdf_late, late_below = 0.0, 0.0, 0.0
    k = 0
    limit = own.shape[0] - 2
    while True:
        # Probability of exactly k pieces outstanding.
        here, here_seen, here_late = 0.0, 0.0, 0.0
        if exact:
            if k > 0 and size == 0:
                own[k] = own[k - 1] * F[row, MEAN] / k
            if not full:
                total = 0.0
                if k < length:
                    factor = odds / (k + 1.0)
                    for b in range(k, length):
                        total += at[b]
                    for b in range(k, length):
                        at[b] *= (b - k) * factor
                thinned[k] = total
            last = min(k, length - 1)
            for j in range(last + 1):
                here += thinned[j] * own[k - j]
            here_seen = here
            if grows:
                if k > 0 and late_size == 0:
                    law[k] = law[k - 1] * still / k
                for j in range(last + 1):
                    here_late += thinned[j] * law[k - j]
            elif k < late_size:
                here_late = law[k]
        else:
            if k > 0 and size == 0:
                if shape > 0.0:
                    own[k] = own[k - 1] * (shape + k - 1.0) * (1.0 - keep) / k
                else:
                    own[k] = own[k - 1] * mean / k
            if k > 0 and apart and not full_seen:
                if shape > 0.0:
                    own_seen[k] = own_seen[k - 1] * (shape_seen + k - 1.0) * (1.0 - keep) / k
                else:
                    own_seen[k] = own_seen[k - 1] * seen / k
            here = own[k]
            here_seen = own_seen[k] if apart else here
            if k < late_size:
                here_late = law[k]
        next_late = max(0.0, late_all - cdf_late - here_late)
        if next_late < 1e-15:
            next_late = 0.0
        if k >= low:
            cost = h * k + price * ebo + weight * miss + lateness * late
            if cost < best:
                best, chosen = cost, k
                best_ebo, best_miss, best_at, best_below = ebo, miss, here_seen, below
                best_over, best_under = max(0.0, 1.0 - cdf - here), max(0.0, 1.0 - cdf)
                best_late, best_late_at, best_late_below = late, late - next_late, late_below
        cdf += here
        cdf_seen += here_seen
        cdf_late += here_late
        tail = max(0.0, 1.0 - cdf)
        if tail < 1e-15:
            tail = 0.0
        if k >= high or k >= limit:
            break
        if k >= low:
            if weight == 0.0 and lateness == 0.0:
                if price * tail <= h:
                    break
            elif price * tail <= 0.5 * h and weight * miss + lateness * late <= 0.5 * h:
                break
            if h * k >= best:
                break
        ebo = max(0.0, ebo - tail)
        miss = max(0.0, 1.0 - cdf_seen)
        if miss < 1e-15:
            miss = 0.0
        late_below = late - next_late
        late = next_late
        below = here_seen
        k += 1
    N[row, STOCK] = chosen
    out[row, TOLD_EBO] = best_ebo
    out[row, TOLD_MISS] = best_miss
    out[row, TOLD_LATE] = best_late
    if write:
        out[row, TOLD_OVER] = best_over
        out[row, TOLD_UNDER] = best_under
        out[row, TOLD_AT] = best_at
        out[row, TOLD_BELOW] = best_below
        out[row, TOLD_LATE_AT] = best_late_at
        out[row, TOLD_LATE_BELOW] = best_late_below
    return best


@njit(cache=True, nogil=True)
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
            law[:size] = 0.0
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
    size = _reach(seen, found, room)
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
        size = _reach(mean, variance, room)
        fill_counts(mean, variance, law, size)
    return size, pending, 1.0


@njit(cache=True, nogil=True)
def _reach(mean, variance, room):
    """Entries of a law of counts beyond which nothing is left."""
    wide = mean + 12.0 * math.sqrt(max(variance, mean)) + 40.0 * max(1.0, variance / max(mean, 1e-12)) + 20.0
    return min(int(wide), room)


@njit(cache=True, nogil=True)
def orders_variance(row, e, ev, tie, F):
    """Variance of the pieces on order: what is on the way, the split backlog, and the rate common to both."""
    split = F[row, LUMP] * F[row, SHARE] * (1.0 - F[row, SHARE]) * e + F[row, SHARE] * F[row, SHARE] * ev
    return F[row, MEAN] + F[row, EXCESS] + split + 2.0 * F[row, MEAN] * F[row, SHARE] * tie


@njit(cache=True, nogil=True)
def seen_mean(row, e, tie, F):
    """Pieces on order that an arriving piece finds: more than the mean where rates or order sizes vary."""
    return F[row, MEAN] + F[row, AHEAD] + F[row, SHARE] * (e + tie)


@njit(cache=True, nogil=True)
def _enter(row, lev, model, batch_top, F, N, nodes, state, wk):
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
    size = _reach(mean, variance, room)
    if model == EXACT and length > 1:
        length = thin_all(wk[lev - 1, BACK], length, F[row, SHARE], thinned)
        alone = min(room, int(F[row, MEAN] + 12.0 * math.sqrt(F[row, MEAN]) + 40.0))
        size = min(room, length + alone)
        fill_counts(F[row, MEAN], F[row, MEAN], own, alone)
        own[alone:size] = 0.0
        pmf[:size] = 0.0
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
        pmf[size:wider] = 0.0
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


@njit(cache=True, nogil=True)
def _release(s, lev, batch, size, wk):
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


@njit(cache=True, nogil=True)
def _highest(best, right, h, top):
    """Largest stock up to `top` that may beat `best` if all beside its own price costs `right`."""
    room = (best * (1.0 - 1e-13) - right) / h
    if room <= 0.0:
        return -1
    if room > top + 1.0:
        return top
    return min(top, math.ceil(room) - 1)


@njit(cache=True, nogil=True)
def _only_near_leaves(row, N):
    """Whether all sites below are without children and no window of theirs looks past them."""
    near = True
    for c in range(row + 1, N[row, STOP]):
        near = near and N[c, STOP] == c + 1 and N[c, UP] <= 0
    return near


@njit(cache=True, nogil=True)
def _at_stock(row, lev, begin, s, size, batch, batch_top, F, N, out, nodes, state, wk, laws, step):
    """All that a site with leaves costs at stock s beside its own price.

    With `step`, the laws of the leaves' shares of the backlog are carried on from the stock they were laid
    for, which lies above s: B(s - 1) is B(s) and one order more with the chance that it is not 0, so its
    thinned law follows from the last by one pass over few entries.
    """
    inside = s < size
    nodes[lev, STOCKED] = s
    e = wk[lev, LOSS, s] if inside else 0.0
    state[lev, 0] = e
    state[lev, 1] = wk[lev, SPREAD, s] if inside else 0.0
    total = F[row, WORTH] * e
    if inside:
        total += F[row, CHANCE] * wk[lev, MISSED, s]
        if N[row, UP] >= 0:
            total += F[row, LATENESS] * wk[lev, LATES, s]
    none = _none_short(s, size, batch, wk, lev)
    nodes[lev, LENGTH] = 0
    for c in range(row + 1, N[row, STOP]):
        i = c - begin
        if step and laws[i, AT_STOCK] != TOO_FEW:
            h, price = F[c, COST], F[c, WORTH]
            p = F[c, SHARE]
            mean = F[c, MEAN] + p * e
            if N[c, LOW] == 0 and F[c, CHANCE] == 0.0 and N[c, UP] < 0 and price * mean <= h:
                N[c, STOCK] = 0
                out[c, TOLD_EBO], out[c, TOLD_MISS], out[c, TOLD_LATE] = mean, 1.0, 0.0
                total += price * mean
                continue
            if laws[i, AT_STOCK] == NOT_LAID:
                if nodes[lev, LENGTH] == 0:
                    nodes[lev, LENGTH] = _release(s, lev, batch, size, wk)
                _lay_thinned(wk[lev, BACK], nodes[lev, LENGTH], p, laws[i])
                laws[i, KNOWN] = math.exp(-F[c, MEAN])
                for k in range(1, KNOWN):
                    laws[i, KNOWN + k] = laws[i, KNOWN + k - 1] * F[c, MEAN] / k
                if N[c, UP] >= 0:
                    laws[i, 2 * KNOWN] = math.exp(-F[c, LATE_MEAN])
                    for k in range(1, KNOWN):
                        laws[i, 2 * KNOWN + k] = laws[i, 2 * KNOWN + k - 1] * F[c, LATE_MEAN] / k
            else:
                for at in range(int(laws[i, AT_STOCK]), s, -1):
                    gone = _moved(at, size, batch, wk, lev)
                    for k in range(KNOWN - 1, 1, -1):
                        laws[i, k] = laws[i, k] * (1.0 - p) + laws[i, k - 1] * p
                    laws[i, 1] = laws[i, 1] * (1.0 - p) + (laws[i, 0] + gone) * p
                    laws[i, 0] = (laws[i, 0] + gone) * (1.0 - p)
            laws[i, AT_STOCK] = s
            value = _settle(c, i, mean, none, F, N, out, laws)
            if value >= 0.0:
                total += value
                continue
            laws[i, AT_STOCK] = TOO_FEW
        if nodes[lev, LENGTH] == 0:
            nodes[lev, LENGTH] = _release(s, lev, batch, size, wk)
        total += _leaf(c, lev + 1, EXACT, F, N, out, False, nodes, state, batch_top, wk)
    return total


@njit(cache=True, nogil=True)
def _settle(c, i, mean, none, F, N, out, laws):
    """Best stock of a leaf from the first entries of its laws; -1 where they are too few to tell."""
    h, price, weight, lateness = F[c, COST], F[c, WORTH], F[c, CHANCE], F[c, LATENESS]
    low, high = N[c, LOW], N[c, HIGH]
    windowed = N[c, UP] >= 0
    if not windowed:
        lateness = 0.0
    best, chosen, best_ebo, best_miss, best_late = np.inf, low, mean, 1.0, 0.0
    ebo, tail, late = mean, 1.0, 1.0 if windowed else 0.0
    for k in range(KNOWN):
        # Here `tail` is P(N >= k), the chance to miss at stock k.
        if k >= low:
            cost = h * k + price * ebo + weight * tail + lateness * late
            if cost < best:
                best, chosen, best_ebo, best_miss, best_late = cost, k, ebo, tail, late
        if k >= high:
            break
        here = (laws[i, 0] + none) * laws[i, KNOWN + k]
        for j in range(1, k + 1):
            here += laws[i, j] * laws[i, KNOWN + k - j]
        missed = tail
        tail = tail - here if tail - here > 1e-15 else 0.0
        if k >= low:
            if weight == 0.0 and lateness == 0.0:
                if price * tail <= h:
                    break
            elif price * tail <= 0.5 * h and weight * missed + lateness * late <= 0.5 * h:
                break
            if h * k >= best:
                break
        if k == KNOWN - 1:
            return -1.0
        ebo = ebo - tail if ebo > tail else 0.0
        if windowed:
            here = (laws[i, 0] + none) * laws[i, 2 * KNOWN + k]
            for j in range(1, k + 1):
                here += laws[i, j] * laws[i, 2 * KNOWN + k - j]
            late = late - here if late - here > 1e-15 else 0.0
    N[c, STOCK] = chosen
    out[c, TOLD_EBO], out[c, TOLD_MISS], out[c, TOLD_LATE] = best_ebo, best_miss, best_late
    return best


@njit(cache=True, nogil=True)
def _none_short(s, size, batch, wk, lev):
    """Chance of no backlog at stock s."""
    total = 0.0
    for q in range(s - batch + 1, s + 1):
        total += wk[lev, CDF, q] if q < size else 1.0
    return total / batch


@njit(cache=True, nogil=True)
def _moved(s, size, batch, wk, lev):
    """Chance that is short at stock s - 1 by one piece, and not at all at s."""
    total = 0.0
    for q in range(s - batch + 1, s + 1):
        if q < size:
            total += wk[lev, PMF, q]
    return total / batch


@njit(cache=True, nogil=True)
def _lay_thinned(back, length, p, law):
    """First entries of the law of Binomial(B, p), without what stems from B = 0."""
    law[:KNOWN] = 0.0
    for b in range(length - 1, -1, -1):
        for k in range(min(length - 1 - b, KNOWN - 1), 0, -1):
            law[k] = law[k] * (1.0 - p) + law[k - 1] * p
        law[0] = law[0] * (1.0 - p) + (back[b] if b > 0 else 0.0)


@njit(cache=True, nogil=True)
def _sweep(row, lev, begin, size, batch, batch_top, F, N, out, nodes, state, wk, kept, told, free, laws):
    """Best stock of a site above leaves: from the highest that can be best, down to the lowest."""
    h = F[row, COST]
    low = max(N[row, LOW], batch - 1)
    top = max(low, min(N[row, HIGH], size + batch - 2))
    guess = min(max(N[row, STOCK], low), top)
    best, chosen = np.inf, guess
    if free[row] < 0.0:
        free[row] = _at_stock(
            row, lev, begin, size + batch, size, batch, batch_top, F, N, out, nodes, state, wk, laws, False
        )
    for c in range(row + 1, N[row, STOP]):
        laws[c - begin, AT_STOCK] = NOT_LAID
    s = guess
    first = True
    while s >= low:
        total = _at_stock(
            row, lev, begin, s, size, batch, batch_top, F, N, out, nodes, state, wk, laws, not first
        )
        if h * s + total < best:
            best, chosen = h * s + total, s
            for r in range(row + 1, N[row, STOP]):
                kept[lev, r - begin] = N[r, STOCK]
                for k in range(TOLD_ALWAYS):
                    told[lev, r - begin, k] = out[r, k]
        if first:
            first = False
            s = _highest(best, free[row], h, top)
        else:
            s = min(s - 1, _highest(best, total, h, s - 1))
    return best, chosen


@njit(cache=True, nogil=True)
def price_part(begin, end, model, batch_top, F, N, out, mode, wk, kept, told, free, laws):
    """Least cost of one part at its worths; its stock goes in as a guess and comes out as the answer."""
    depth = wk.shape[0]
    write = mode == WRITE
    # Of every level: its row, the stock looked at, and the entries of its backlog; expected backlog, variance
    # and covariance with the common rate.
    nodes = np.zeros((depth, 3), np.int64)
    state = np.zeros((depth, 3))
    first = np.zeros(depth, np.int64)
    highest = np.zeros(depth, np.int64)
    child = np.zeros(depth, np.int64)
    sizes = np.zeros(depth, np.int64)
    phase = np.zeros(depth, np.int64)
    below = np.zeros(depth)
    best = np.zeros(depth)
    chosen = np.zeros(depth, np.int64)
    last = np.zeros(depth)
    held = np.zeros(depth, np.int64)
    spans = np.zeros((depth, SPANS, 2), np.int64)
    rights = np.zeros((depth, SPANS))
    for row in range(begin, end):
        free[row] = -1.0
    if N[begin, STOP] == begin + 1 and batch_top == 1:
        return _leaf(begin, 0, model, F, N, out, write, nodes, state, 1, wk)
    lev = 0
    nodes[0, ROW] = begin
    entering = True
    value = 0.0
    while True:
        row = nodes[lev, ROW]
        h = F[row, COST]
        batch = batch_top if lev == 0 else 1
        evaluate = False
        if entering:
            entering = False
            sizes[lev] = _enter(row, lev, model, batch_top, F, N, nodes, state, wk)
            best[lev] = np.inf
            phase[lev] = FIRST
            held[lev] = 0
            low = max(N[row, LOW], batch - 1)
            top = max(low, min(N[row, HIGH], sizes[lev] + batch))
            nodes[lev, STOCKED] = min(max(N[row, STOCK], low), top)
            evaluate = True
            if mode == SEARCH and model == EXACT and _only_near_leaves(row, N):
                best[lev], chosen[lev] = _sweep(
                    row,
                    lev,
                    begin,
                    sizes[lev],
                    batch,
                    batch_top,
                    F,
                    N,
                    out,
                    nodes,
                    state,
                    wk,
                    kept,
                    told,
                    free,
                    laws,
                )
                evaluate = False
        elif child[lev] < N[row, STOP]:
            c = child[lev]
            if N[c, STOP] == c + 1:
                below[lev] += _leaf(c, lev + 1, model, F, N, out, write, nodes, state, batch_top, wk)
                child[lev] = c + 1
            else:
                lev += 1
                nodes[lev, ROW] = c
                entering = True
            continue
        else:
            # One stock has been priced: keep it if it is the best, then choose the next to look at.
            s, total = nodes[lev, STOCKED], below[lev]
            low = max(N[row, LOW], batch - 1)
            top = max(low, min(N[row, HIGH], sizes[lev] + batch - 2))
            better = False
            if phase[lev] == FREE:
                free[row] = total
            elif h * s + total < best[lev]:
                better = True
                best[lev], chosen[lev] = h * s + total, s
                for r in range(row + 1, N[row, STOP]):
                    kept[lev, r - begin] = N[r, STOCK]
                    for k in range(TOLD_ALWAYS):
                        told[lev, r - begin, k] = out[r, k]
            if phase[lev] == FIRST:
                first[lev], last[lev], highest[lev] = s, total, s
                phase[lev] = WALK
                if not write and s + 1 <= top and h * (s + 1) < best[lev]:
                    nodes[lev, STOCKED], evaluate = s + 1, True
            elif phase[lev] == WALK:
                highest[lev] = s
                if better and s + 1 <= top:
                    nodes[lev, STOCKED], evaluate = s + 1, True
            elif phase[lev] == STEP:
                if better and s - 1 >= low:
                    nodes[lev, STOCKED], evaluate = s - 1, True
            elif phase[lev] == DOWN:
                first[lev], last[lev] = s, total
            elif phase[lev] == SPAN:
                n = held[lev]
                a, b, right = spans[lev, n, 0], spans[lev, n, 1], rights[lev, n]
                if s + 1 <= b:
                    spans[lev, n, 0], spans[lev, n, 1], rights[lev, n] = s + 1, b, right
                    n += 1
                if a <= s - 1:
                    spans[lev, n, 0], spans[lev, n, 1], rights[lev, n] = a, s - 1, total
                    n += 1
                held[lev] = n
            if not write and not evaluate:
                if phase[lev] == WALK and mode == QUICK:
                    phase[lev] = STEP
                    if chosen[lev] == first[lev] and first[lev] - 1 >= low:
                        nodes[lev, STOCKED], evaluate = first[lev] - 1, True
                elif phase[lev] == WALK:
                    phase[lev] = DOWN
                if phase[lev] == DOWN:
                    # Below the first guess nothing costs less beside its own price than at the guess.
                    s = _highest(best[lev], last[lev], h, first[lev] - 1)
                    if s >= low:
                        nodes[lev, STOCKED], evaluate = s, True
                    elif highest[lev] >= top:
                        phase[lev], held[lev] = SPAN, 0
                    elif free[row] >= 0.0:
                        phase[lev] = FREE
                    else:
                        phase[lev] = FREE
                        nodes[lev, STOCKED], evaluate = sizes[lev] + batch, True
                if phase[lev] == FREE and not evaluate:
                    phase[lev] = SPAN
                    spans[lev, 0, 0], spans[lev, 0, 1], rights[lev, 0] = highest[lev] + 1, top, free[row]
                    held[lev] = 1
                while phase[lev] == SPAN and not evaluate and held[lev] > 0:
                    n = held[lev] - 1
                    held[lev] = n
                    b = _highest(best[lev], rights[lev, n], h, spans[lev, n, 1])
                    if b >= spans[lev, n, 0]:
                        spans[lev, n, 1] = b
                        nodes[lev, STOCKED], evaluate = (spans[lev, n, 0] + b) // 2, True
        if not evaluate:
            N[row, STOCK] = chosen[lev]
            for r in range(row + 1, N[row, STOP]):
                N[r, STOCK] = kept[lev, r - begin]
                for k in range(TOLD_ALWAYS):
                    out[r, k] = told[lev, r - begin, k]
            value = best[lev]
            _record(row, lev, chosen[lev], sizes[lev], N, out, write, wk)
            if lev == 0:
                return value
            lev -= 1
            below[lev] += value
            child[lev] = N[child[lev], STOP]
            continue
        s, size = nodes[lev, STOCKED], sizes[lev]
        nodes[lev, LENGTH] = _release(s, lev, batch, size, wk)
        inside = s < size
        state[lev, 0] = wk[lev, LOSS, s] if inside else 0.0
        state[lev, 1] = wk[lev, SPREAD, s] if inside else 0.0
        if model == TWO_MOMENT:
            state[lev, 2] = rate_tie(row, lev, wk[lev, CROSS, s] if inside else 0.0, F, state)
        below[lev] = F[row, WORTH] * state[lev, 0]
        if inside:
            below[lev] += F[row, CHANCE] * wk[lev, MISSED, s]
            if N[row, UP] >= 0:
                below[lev] += F[row, LATENESS] * wk[lev, LATES, s]
        child[lev] = row + 1


@njit(cache=True, nogil=True)
def rate_tie(row, lev, crossed, F, state):
    """Covariance of a site's backlog and the rate common to all sites: its slope on orders times theirs."""
    e, ev, above = 0.0, 0.0, 0.0
    if lev > 0:
        e, ev, above = state[lev - 1, 0], state[lev - 1, 1], state[lev - 1, 2]
    slope = F[row, TIED] + F[row, SHARE] * above
    if slope <= 0.0:
        return 0.0
    return slope / orders_variance(row, e, ev, above, F) * crossed


@njit(cache=True, nogil=True)
def _record(row, lev, s, size, N, out, write, wk):
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


@njit(cache=True, nogil=True)
def price_parts(first, last, starts, models, batches, F, N, out, mode, values, free, depth, room, width):
    """Price the parts first..last-1: fills stock, values and measures (in mode WRITE all nine)."""
    wk = np.zeros((depth, WORK_ROWS, room))
    kept = np.zeros((depth, width), np.int64)
    told = np.zeros((depth, width, TOLD_ALWAYS))
    laws = np.zeros((width, 3 * KNOWN + 1))
    for i in range(first, last):
        values[i] = price_part(
            starts[i], starts[i + 1], models[i], batches[i], F, N, out, mode, wk, kept, told, free, laws
        )
