"""Numba kernels: the best stock of a site above leaves, by a sweep down that carries their laws along."""

# mypy: allow-untyped-defs
from __future__ import annotations

import math

import numpy as np
from numba import njit

from spareplan.stocking._columns import (
    ALONE,
    AT_STOCK,
    BACK,
    CDF,
    CHANCE,
    COST,
    HIGH,
    KNOWN,
    LATE_ALONE,
    LATE_MEAN,
    LATE_SHORT,
    LATENESS,
    LATES,
    LENGTH,
    LOSS,
    LOW,
    MEAN,
    MISSED,
    NOT_LAID,
    PMF,
    SHARE,
    SHORT,
    SPREAD,
    STOCK,
    STOCKED,
    STOP,
    TOLD_ALWAYS,
    TOLD_EBO,
    TOLD_LATE,
    TOLD_MISS,
    TOO_FEW,
    UP,
    WHOLE_AT,
    WHOLE_END,
    WHOLE_LATE_END,
    WORTH,
)
from spareplan.stocking._counts import fill_counts, lay_thinned, reach
from spareplan.stocking._leaf import price_leaf
from spareplan.stocking._site_laws import release


@njit(nogil=True)
def sweep(
    row,
    lev,
    begin,
    size,
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
    whole,
    model,
    write,
):
    """Best stock of a site above leaves: from the highest that can be best, down to the lowest."""
    h = F[row, COST]
    low = max(N[row, LOW], batch - 1)
    top = max(low, min(N[row, HIGH], size + batch - 2))
    guess = min(max(N[row, STOCK], low), top)
    best, chosen = np.inf, guess
    for c in range(row + 1, N[row, STOP]):
        laws[c - begin, AT_STOCK] = NOT_LAID
    # With stock for everything, at the guess, then down: one call serves all three, to be compiled once.
    turn = 1 if free[row] >= 0.0 else 0
    s = guess if turn else max(size + batch, low)
    while s >= low:
        step = turn == 2
        total = _at_stock(
            row,
            lev,
            begin,
            s,
            size,
            batch,
            batch_top,
            F,
            N,
            out,
            nodes,
            state,
            wk,
            laws,
            whole,
            step,
            model,
            write,
        )
        if turn == 0:
            free[row], s, turn = total, guess, 1
            continue
        if h * s + total < best:
            best, chosen = h * s + total, s
            for r in range(row + 1, N[row, STOP]):
                kept[lev, r - begin] = N[r, STOCK]
                for k in range(TOLD_ALWAYS):
                    told[lev, r - begin, k] = out[r, k]
        if turn == 1:
            turn = 2
            s = highest_stock(best, free[row], h, top)
        else:
            s = min(s - 1, highest_stock(best, total, h, s - 1))
    return best, chosen


@njit(nogil=True)
def _at_stock(
    row,
    lev,
    begin,
    s,
    size,
    batch,
    batch_top,
    F,
    N,
    out,
    nodes,
    state,
    wk,
    laws,
    whole,
    step,
    model,
    write,
):
    """All that a site with leaves costs at stock s beside its own price.

    With `step`, the laws of the leaves' shares of the backlog are carried on from the stock they were laid
    for, which lies above s: B(s - 1) is B(s) and one order more with the chance that it is not 0, so its
    thinned law follows from the last by one pass over few entries; where few do not tell, over all of them.
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
        if step:
            h, price = F[c, COST], F[c, WORTH]
            p = F[c, SHARE]
            mean = F[c, MEAN] + p * e
            if N[c, LOW] == 0 and F[c, CHANCE] == 0.0 and N[c, UP] < 0 and price * mean <= h:
                N[c, STOCK] = 0
                out[c, TOLD_EBO], out[c, TOLD_MISS], out[c, TOLD_LATE] = mean, 1.0, 0.0
                total += price * mean
                continue
            if laws[i, AT_STOCK] == TOO_FEW:
                _carry_whole(c, i, s, size, batch, F, N, wk, lev, laws, whole)
                total += _settle_whole(c, i, mean, none, F, N, out, laws, whole)
                continue
            if laws[i, AT_STOCK] == NOT_LAID:
                if nodes[lev, LENGTH] == 0:
                    nodes[lev, LENGTH] = release(s, lev, batch, size, wk)
                lay_thinned(wk[lev, BACK], nodes[lev, LENGTH], p, laws[i])
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
            # From the highest stock down, which costs less than a whole law at every stock.
            laws[i, AT_STOCK] = TOO_FEW
            laws[i, WHOLE_AT] = size + batch - 1
            laws[i, WHOLE_END], laws[i, WHOLE_LATE_END] = -1.0, -1.0
            _carry_whole(c, i, s, size, batch, F, N, wk, lev, laws, whole)
            total += _settle_whole(c, i, mean, none, F, N, out, laws, whole)
            continue
        if nodes[lev, LENGTH] == 0:
            nodes[lev, LENGTH] = release(s, lev, batch, size, wk)
        total += price_leaf(c, lev + 1, model, F, N, out, write, nodes, state, batch_top, wk)
    return total


@njit(nogil=True)
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


@njit(nogil=True)
def _carry_whole(c, i, s, size, batch, F, N, wk, lev, laws, whole):
    """Carry the laws of a leaf's pieces on order, given that the site above is short, down to its stock s."""
    room = whole.shape[2]
    p = F[c, SHARE]
    windowed = N[c, UP] >= 0
    alone = reach(F[c, MEAN], F[c, MEAN], room)
    still = reach(F[c, LATE_MEAN], F[c, LATE_MEAN], room) if windowed else 0
    if laws[i, WHOLE_END] < 0.0:
        fill_counts(F[c, MEAN], F[c, MEAN], whole[i, ALONE], alone)
        for k in range(room):
            whole[i, SHORT, k] = 0.0
        laws[i, WHOLE_END] = 0.0
        if windowed:
            fill_counts(F[c, LATE_MEAN], F[c, LATE_MEAN], whole[i, LATE_ALONE], still)
            for k in range(room):
                whole[i, LATE_SHORT, k] = 0.0
            laws[i, WHOLE_LATE_END] = 0.0
    end, late_end = int(laws[i, WHOLE_END]), int(laws[i, WHOLE_LATE_END])
    for at in range(int(laws[i, WHOLE_AT]), s, -1):
        gone = _moved(at, size, batch, wk, lev)
        if end > 0 or gone > 1e-300:
            end = _one_more(whole[i, SHORT], whole[i, ALONE], alone, end, gone, p, room)
            if windowed:
                late_end = _one_more(
                    whole[i, LATE_SHORT], whole[i, LATE_ALONE], still, late_end, gone, p, room
                )
    laws[i, WHOLE_AT], laws[i, WHOLE_END], laws[i, WHOLE_LATE_END] = s, end, late_end


@njit(nogil=True)
def _one_more(law, alone, count, end, gone, p, room):
    """Add one piece that is ours with chance p, also to what begins to be short; returns the law's end."""
    end = max(end, count)
    for k in range(count):
        law[k] += gone * alone[k]
    end = min(end + 1, room)
    for k in range(end - 1, 0, -1):
        law[k] = law[k] * (1.0 - p) + law[k - 1] * p
    law[0] *= 1.0 - p
    while end > count and law[end - 1] < 1e-22:
        law[end - 1] = 0.0
        end -= 1
    return end


@njit(nogil=True)
def _settle_whole(c, i, mean, none, F, N, out, laws, whole):
    """Best stock of a leaf from the whole laws that were carried."""
    h, price, weight, lateness = F[c, COST], F[c, WORTH], F[c, CHANCE], F[c, LATENESS]
    low, high = N[c, LOW], N[c, HIGH]
    windowed = N[c, UP] >= 0
    if not windowed:
        lateness = 0.0
    room = whole.shape[2]
    alone = reach(F[c, MEAN], F[c, MEAN], room)
    still = reach(F[c, LATE_MEAN], F[c, LATE_MEAN], room) if windowed else 0
    best, chosen, best_ebo, best_miss, best_late = np.inf, low, mean, 1.0, 0.0
    ebo, tail, late = mean, 1.0, 1.0 if windowed else 0.0
    for k in range(room - 1):
        if k >= low:
            cost = h * k + price * ebo + weight * tail + lateness * late
            if cost < best:
                best, chosen, best_ebo, best_miss, best_late = cost, k, ebo, tail, late
        if k >= high:
            break
        here = whole[i, SHORT, k]
        if k < alone:
            here += none * whole[i, ALONE, k]
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
        ebo = ebo - tail if ebo > tail else 0.0
        if windowed:
            here = whole[i, LATE_SHORT, k]
            if k < still:
                here += none * whole[i, LATE_ALONE, k]
            late = late - here if late - here > 1e-15 else 0.0
    N[c, STOCK] = chosen
    out[c, TOLD_EBO], out[c, TOLD_MISS], out[c, TOLD_LATE] = best_ebo, best_miss, best_late
    return best


@njit(nogil=True)
def _none_short(s, size, batch, wk, lev):
    """Chance of no backlog at stock s."""
    total = 0.0
    for q in range(s - batch + 1, s + 1):
        total += wk[lev, CDF, q] if q < size else 1.0
    return total / batch


@njit(nogil=True)
def _moved(s, size, batch, wk, lev):
    """Chance that is short at stock s - 1 by one piece, and not at all at s."""
    total = 0.0
    for q in range(s - batch + 1, s + 1):
        if q < size:
            total += wk[lev, PMF, q]
    return total / batch


@njit(nogil=True)
def only_near_leaves(row, N):
    """Whether all sites below are without children and no window of theirs looks past them."""
    near = True
    for c in range(row + 1, N[row, STOP]):
        near = near and N[c, STOP] == c + 1 and N[c, UP] <= 0
    return near


@njit(nogil=True)
def highest_stock(best, right, h, top):
    """Largest stock up to `top` that may beat `best` if all beside its own price costs `right`."""
    room = (best * (1.0 - 1e-13) - right) / h
    if room <= 0.0:
        return -1
    if room > top + 1.0:
        return top
    return min(top, math.ceil(room) - 1)
