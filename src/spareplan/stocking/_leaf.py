"""Numba kernel: the best stock of a site without children, from the whole laws."""

# mypy: allow-untyped-defs
from __future__ import annotations

import math

import numpy as np
from numba import njit

from spareplan.stocking._columns import (
    AT,
    BACK,
    CHANCE,
    COST,
    EXACT,
    HIGH,
    LATE_MEAN,
    LATENESS,
    LAW,
    LENGTH,
    LOW,
    MEAN,
    OWN,
    SEEN,
    SHARE,
    STOCK,
    THINNED,
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
    WORTH,
)
from spareplan.stocking._counts import fill_counts, thin_all
from spareplan.stocking._site_laws import late_law, orders_variance, seen_mean


@njit(nogil=True)
def price_leaf(row, lev, model, F, N, out, write, nodes, state, batch, wk):
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
            for b in range(length):
                thinned[b] = back[b]
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
                    # Four sums at a time, so that they run on a vector in an order that never changes.
                    one, two, three, b = 0.0, 0.0, 0.0, k
                    while b + 3 < length:
                        total += at[b]
                        one += at[b + 1]
                        two += at[b + 2]
                        three += at[b + 3]
                        b += 4
                    total = (total + one) + (two + three)
                    for rest in range(b, length):
                        total += at[rest]
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
