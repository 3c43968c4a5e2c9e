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

EXACT, TWO_MOMENT, METRIC = 0, 1, 2
SPANS = 128
# Rows of the work space of one level of the tree.
THINNED, OWN, AT, LATE, PMF, CDF, LOSS, SPREAD, MISSED, BACK, CROSS = range(11)
WORK_ROWS = 11
# Columns of a row: figures (F, see `pricing.Pipelines`) and whole numbers (N). One array each, because a call
# with a score of arrays costs more than the pricing of a small site.
MEAN, EXCESS, SHARE, LATE_MEAN, TIED, AHEAD, LUMP, WORTH, CHANCE = range(9)
STOP, LOW, HIGH, STOCK = range(4)
# What is asked: the certain minimum, the measures of given levels, a quick walk without certainty.
SEARCH, WRITE, QUICK = 0, 1, 2
FIRST, WALK, DOWN, FREE, SPAN, STEP = 0, 1, 2, 3, 4, 5


@njit(cache=True, nogil=True)
def fill_counts(mean, variance, out, size):
    """Pmf of 0..size-1, Poisson or negative binomial, started at the mode so that nothing underflows."""
    out[:size] = 0.0
    if mean <= 0.0:
        out[0] = 1.0
        return
    if variance > mean * (1.0 + 1e-9):
        keep = mean / variance
        shape = mean * keep / (1.0 - keep)
        top = int(max(0.0, math.floor((shape - 1.0) * (1.0 - keep) / keep)))
        top = min(top, size - 1)
        out[top] = math.exp(
            math.lgamma(shape + top)
            - math.lgamma(shape)
            - math.lgamma(top + 1.0)
            + shape * math.log(keep)
            + top * math.log1p(-keep)
        )
        for k in range(top, size - 1):
            out[k + 1] = out[k] * (shape + k) * (1.0 - keep) / (k + 1.0)
        for k in range(top, 0, -1):
            out[k - 1] = out[k] * k / ((shape + k - 1.0) * (1.0 - keep))
    else:
        top = min(int(mean), size - 1)
        out[top] = math.exp(top * math.log(mean) - mean - math.lgamma(top + 1.0))
        for k in range(top, size - 1):
            out[k + 1] = out[k] * mean / (k + 1.0)
        for k in range(top, 0, -1):
            out[k - 1] = out[k] * k / mean


@njit(cache=True, nogil=True)
def thin_all(source, length, chance, out):
    """Pmf of Binomial(B, chance), B ~ source[:length], by Horner's scheme: all terms positive, no underflow.

    Returns how many entries it has; those beyond have less than 1e-18 in all.
    """
    size = min(length, int(length * chance + 10.0 * math.sqrt(length * chance) + 32.0))
    out[:size] = 0.0
    for b in range(length - 1, -1, -1):
        for k in range(min(length - 1 - b, size - 1), 0, -1):
            out[k] = out[k] * (1.0 - chance) + out[k - 1] * chance
        out[0] = out[0] * (1.0 - chance) + source[b]
    return size


# Sums may be taken in another order, the same for every call, so that they run on vectors.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _leaf(row, lev, h, model, e, ev, tie, F, N, out, write, back, length, wk):
    """Best stock of a site without children: the cheapest, whatever the shape of the fill rate."""
    mean = F[row, MEAN] + F[row, SHARE] * e
    price, weight = F[row, WORTH], F[row, CHANCE]
    low, high = N[row, LOW], N[row, HIGH]
    if not write and low == 0 and weight == 0.0 and price * mean <= h:
        N[row, STOCK] = 0
        return price * mean
    exact = model == EXACT
    thinned, own, at = wk[lev, THINNED], wk[lev, OWN], wk[lev, AT]
    variance = mean
    size = 0
    odds = 0.0
    full = False
    keep, shape = 0.0, 0.0
    own_late = own
    apart = F[row, LATE_MEAN] != F[row, MEAN]
    full_late = False
    mean_late, shape_late = 0.0, 0.0
    if exact:
        odds = F[row, SHARE] / (1.0 - F[row, SHARE]) if F[row, SHARE] < 1.0 else 0.0
        if F[row, SHARE] >= 1.0:
            full = True
            thinned[:length] = back[:length]
        elif length > 1 and -(length - 1) * math.log1p(-F[row, SHARE]) > 600.0:
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
        if apart:
            own_late = wk[lev, LATE]
            own_late[0] = math.exp(-F[row, LATE_MEAN])
    else:
        if model == TWO_MOMENT:
            variance = orders_variance(row, e, ev, tie, F)
            mean_late = seen_mean(row, e, tie, F)
            apart = mean_late != mean
        else:
            mean_late = F[row, LATE_MEAN] + F[row, SHARE] * e
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
            own_late = wk[lev, LATE]
            shape_late = mean_late * keep / (1.0 - keep) if shape > 0.0 else 0.0
            start = shape_late * math.log(keep) if shape > 0.0 else -mean_late
            full_late = start < -600.0
            if full_late:
                fill_counts(mean_late, mean_late * variance / mean, own_late, own_late.shape[0])
            else:
                own_late[0] = math.exp(start)
    best, chosen = np.inf, low
    best_ebo, best_miss, best_over, best_under, best_at, best_below = mean, 1.0, 1.0, 1.0, 0.0, 0.0
    cdf, ebo, miss, below = 0.0, mean, 1.0, 0.0
    cdf_late = 0.0
    k = 0
    limit = own.shape[0] - 2
    while True:
        # Probability of exactly k pieces outstanding.
        here = 0.0
        here_late = 0.0
        if exact:
            if k > 0 and size == 0:
                own[k] = own[k - 1] * F[row, MEAN] / k
            if k > 0 and apart:
                own_late[k] = own_late[k - 1] * F[row, LATE_MEAN] / k
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
            if apart:
                for j in range(last + 1):
                    here_late += thinned[j] * own_late[k - j]
            else:
                here_late = here
        else:
            if k > 0 and size == 0:
                if shape > 0.0:
                    own[k] = own[k - 1] * (shape + k - 1.0) * (1.0 - keep) / k
                else:
                    own[k] = own[k - 1] * mean / k
            if k > 0 and apart and not full_late:
                if shape > 0.0:
                    own_late[k] = own_late[k - 1] * (shape_late + k - 1.0) * (1.0 - keep) / k
                else:
                    own_late[k] = own_late[k - 1] * mean_late / k
            here = own[k]
            here_late = own_late[k] if apart else here
        if k >= low:
            cost = h * k + price * ebo + weight * miss
            if cost < best:
                best, chosen = cost, k
                best_ebo, best_miss, best_at, best_below = ebo, miss, here_late, below
                best_over, best_under = max(0.0, 1.0 - cdf - here), max(0.0, 1.0 - cdf)
        cdf += here
        cdf_late += here_late
        tail = max(0.0, 1.0 - cdf)
        if tail < 1e-15:
            tail = 0.0
        if k >= high or k >= limit:
            break
        if k >= low:
            if weight == 0.0:
                if price * tail <= h:
                    break
            elif price * tail <= 0.5 * h and weight * miss <= 0.5 * h:
                break
            if h * k >= best:
                break
        ebo = max(0.0, ebo - tail)
        miss = max(0.0, 1.0 - cdf_late)
        if miss < 1e-15:
            miss = 0.0
        below = here_late
        k += 1
    N[row, STOCK] = chosen
    if write:
        out[row, 0] = best_ebo
        out[row, 1] = best_miss
        out[row, 2] = best_over
        out[row, 3] = best_under
        out[row, 4] = best_at
        out[row, 5] = best_below
    return best


@njit(cache=True, nogil=True)
def orders_variance(row, e, ev, tie, F):
    """Variance of the pieces on order: what is on the way, the split backlog, and the rate common to both."""
    split = F[row, LUMP] * F[row, SHARE] * (1.0 - F[row, SHARE]) * e + F[row, SHARE] * F[row, SHARE] * ev
    return F[row, MEAN] + F[row, EXCESS] + split + 2.0 * F[row, MEAN] * F[row, SHARE] * tie


@njit(cache=True, nogil=True)
def seen_mean(row, e, tie, F):
    """Pieces on order that an arriving piece finds: more than the mean where rates or order sizes vary."""
    return F[row, LATE_MEAN] + F[row, AHEAD] + F[row, SHARE] * (e + tie)


@njit(cache=True, nogil=True)
def _enter(row, lev, model, batch, e, ev, tie, F, back, length, wk):
    """Tabulate a site with children for every stock: pmf, expected backlog, its variance, chance to miss."""
    pmf, cdf, loss, spread, missed = (
        wk[lev, PMF],
        wk[lev, CDF],
        wk[lev, LOSS],
        wk[lev, SPREAD],
        wk[lev, MISSED],
    )
    thinned, own = wk[lev, THINNED], wk[lev, OWN]
    room = pmf.shape[0]
    mean = F[row, MEAN] + F[row, SHARE] * e
    variance = mean + F[row, EXCESS]
    if model == EXACT and length > 1:
        variance += F[row, SHARE] * F[row, SHARE] * max(0.0, ev - e)
    elif model == TWO_MOMENT:
        variance = orders_variance(row, e, ev, tie, F)
    size = int(
        mean + 12.0 * math.sqrt(max(variance, mean)) + 40.0 * max(1.0, variance / max(mean, 1e-12)) + 20.0
    )
    size = min(size, room)
    if model == EXACT and length > 1:
        length = thin_all(back, length, F[row, SHARE], thinned)
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
    mean_late = F[row, LATE_MEAN] + F[row, SHARE] * e
    if model == TWO_MOMENT:
        mean_late = seen_mean(row, e, tie, F)
    if mean_late != mean:
        if model != EXACT:
            fill_counts(mean_late, mean_late * variance / mean if mean > 0.0 else mean_late, own, size)
            running = 0.0
            for k in range(size):
                missed[k] = max(0.0, 1.0 - running)
                running += own[k]
        else:
            fill_counts(F[row, LATE_MEAN], F[row, LATE_MEAN], own, size)
            running = 0.0
            for k in range(size):
                missed[k] = max(0.0, 1.0 - running)
                if length > 1:
                    for j in range(min(k, length - 1) + 1):
                        running += thinned[j] * own[k - j]
                else:
                    running += own[k]
    cross = wk[lev, CROSS]
    for k in range(size):
        # E[B (N - E N)]: how much more is short when more is on order.
        cross[k] = spread[k] + (k - mean) * loss[k]
    if batch > 1:
        # (R, Q): the inventory position is spread evenly over the batch; every measure is the mean.
        for values in (loss, spread, missed, cross):
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
def price_part(begin, end, h, model, batch_top, F, N, out, mode, wk, kept, free):
    """Least cost of one part at its worths; its stock goes in as a guess and comes out as the answer."""
    depth = wk.shape[0]
    write = mode == WRITE
    rows = np.zeros(depth, np.int64)
    stocks = np.zeros(depth, np.int64)
    first = np.zeros(depth, np.int64)
    highest = np.zeros(depth, np.int64)
    child = np.zeros(depth, np.int64)
    sizes = np.zeros(depth, np.int64)
    lengths = np.ones(depth, np.int64)
    phase = np.zeros(depth, np.int64)
    below = np.zeros(depth)
    loss = np.zeros(depth)
    spread = np.zeros(depth)
    tie = np.zeros(depth)
    best = np.zeros(depth)
    chosen = np.zeros(depth, np.int64)
    last = np.zeros(depth)
    held = np.zeros(depth, np.int64)
    spans = np.zeros((depth, SPANS, 2), np.int64)
    rights = np.zeros((depth, SPANS))
    nothing = np.ones(1)
    for row in range(begin, end):
        free[row] = -1.0
    if N[begin, STOP] == begin + 1 and batch_top == 1:
        return _leaf(begin, 0, h, model, 0.0, 0.0, 0.0, F, N, out, write, nothing, 1, wk)
    lev = 0
    rows[0] = begin
    entering = True
    value = 0.0
    while True:
        row = rows[lev]
        batch = batch_top if lev == 0 else 1
        evaluate = False
        if entering:
            entering = False
            if lev == 0:
                sizes[0] = _enter(row, 0, model, batch, 0.0, 0.0, 0.0, F, nothing, 1, wk)
            else:
                sizes[lev] = _enter(
                    row,
                    lev,
                    model,
                    1,
                    loss[lev - 1],
                    spread[lev - 1],
                    tie[lev - 1],
                    F,
                    wk[lev - 1, BACK],
                    lengths[lev - 1],
                    wk,
                )
            best[lev] = np.inf
            phase[lev] = FIRST
            held[lev] = 0
            low = max(N[row, LOW], batch - 1)
            stocks[lev] = min(max(N[row, STOCK], low), max(low, min(N[row, HIGH], sizes[lev] + batch)))
            evaluate = True
        elif child[lev] < N[row, STOP]:
            c = child[lev]
            if N[c, STOP] == c + 1:
                below[lev] += _leaf(
                    c,
                    lev + 1,
                    h,
                    model,
                    loss[lev],
                    spread[lev],
                    tie[lev],
                    F,
                    N,
                    out,
                    write,
                    wk[lev, BACK],
                    lengths[lev],
                    wk,
                )
                child[lev] = c + 1
            else:
                lev += 1
                rows[lev] = c
                entering = True
            continue
        else:
            # One stock has been priced: keep it if it is the best, then choose the next to look at.
            s, total = stocks[lev], below[lev]
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
            if phase[lev] == FIRST:
                first[lev], last[lev], highest[lev] = s, total, s
                phase[lev] = WALK
                if not write and s + 1 <= top and h * (s + 1) < best[lev]:
                    stocks[lev], evaluate = s + 1, True
            elif phase[lev] == WALK:
                highest[lev] = s
                if better and s + 1 <= top:
                    stocks[lev], evaluate = s + 1, True
            elif phase[lev] == STEP:
                if better and s - 1 >= low:
                    stocks[lev], evaluate = s - 1, True
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
                        stocks[lev], evaluate = first[lev] - 1, True
                elif phase[lev] == WALK:
                    phase[lev] = DOWN
                if phase[lev] == DOWN:
                    # Below the first guess nothing costs less beside its own price than at the guess.
                    s = _highest(best[lev], last[lev], h, first[lev] - 1)
                    if s >= low:
                        stocks[lev], evaluate = s, True
                    elif highest[lev] >= top:
                        phase[lev], held[lev] = SPAN, 0
                    elif free[row] >= 0.0:
                        phase[lev] = FREE
                    else:
                        phase[lev] = FREE
                        stocks[lev], evaluate = sizes[lev] + batch, True
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
                        stocks[lev], evaluate = (spans[lev, n, 0] + b) // 2, True
            if not evaluate:
                N[row, STOCK] = chosen[lev]
                for r in range(row + 1, N[row, STOP]):
                    N[r, STOCK] = kept[lev, r - begin]
                value = best[lev]
                if write:
                    _record(row, lev, chosen[lev], sizes[lev], batch, out, wk)
                if lev == 0:
                    return value
                lev -= 1
                below[lev] += value
                child[lev] = N[child[lev], STOP]
                continue
        if evaluate:
            s, size = stocks[lev], sizes[lev]
            lengths[lev] = _release(s, lev, batch, size, wk)
            loss[lev] = wk[lev, LOSS, s] if s < size else 0.0
            spread[lev] = wk[lev, SPREAD, s] if s < size else 0.0
            if model == TWO_MOMENT:
                tie[lev] = rate_tie(row, lev, wk[lev, CROSS, s] if s < size else 0.0, loss, spread, tie, F)
            below[lev] = F[row, WORTH] * loss[lev] + F[row, CHANCE] * (
                wk[lev, MISSED, s] if s < size else 0.0
            )
            child[lev] = row + 1


@njit(cache=True, nogil=True)
def rate_tie(row, lev, crossed, loss, spread, tie, F):
    """Covariance of a site's backlog and the rate common to all sites: its slope on orders times theirs."""
    e, ev, above = 0.0, 0.0, 0.0
    if lev > 0:
        e, ev, above = loss[lev - 1], spread[lev - 1], tie[lev - 1]
    slope = F[row, TIED] + F[row, SHARE] * above
    if slope <= 0.0:
        return 0.0
    return slope / orders_variance(row, e, ev, above, F) * crossed


@njit(cache=True, nogil=True)
def _record(row, lev, s, size, batch, out, wk):
    """Measures of a site with children at its stock."""
    out[row, 0] = wk[lev, LOSS, s] if s < size else 0.0
    out[row, 1] = wk[lev, MISSED, s] if s < size else 0.0
    out[row, 2] = max(0.0, 1.0 - wk[lev, CDF, s]) if s < size else 0.0
    out[row, 3] = max(0.0, 1.0 - wk[lev, CDF, s - 1]) if 0 < s <= size else 1.0 if s == 0 else 0.0
    above = wk[lev, MISSED, s + 1] if s + 1 < size else 0.0
    out[row, 4] = max(0.0, out[row, 1] - above)
    out[row, 5] = max(0.0, wk[lev, MISSED, s - 1] - out[row, 1]) if 0 < s <= size else 0.0


@njit(cache=True, nogil=True)
def price_parts(
    first, last, starts, costs, models, batches, F, N, out, mode, values, free, depth, room, width
):
    """Price the parts first..last-1: fills stock, values and, in mode WRITE, measures."""
    wk = np.zeros((depth, WORK_ROWS, room))
    kept = np.zeros((depth, width), np.int64)
    for i in range(first, last):
        values[i] = price_part(
            starts[i], starts[i + 1], costs[i], models[i], batches[i], F, N, out, mode, wk, kept, free
        )
