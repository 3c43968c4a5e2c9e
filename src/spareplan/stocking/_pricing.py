"""Numba kernels: the cheapest levels of one part at given multipliers, on any tree, exact or by two moments.

A part owns a run of rows, its sites in preorder: a site comes before its children, `stop` is the row after
its last descendant. The walk over the tree is a loop with its own stack: numba cannot cache recursion.
`pricing.py` wraps the kernels and explains the search; `echelons.py` evaluates the same levels in plain
numpy.

The kernels lie in several files, but numba looks only at the file of the kernel that is called when it
decides whether what it kept on disk is fresh. So only that one is kept, and it closes over a checksum of all
of them, which numba does look at.
"""

# mypy: allow-untyped-defs
from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numba import njit

from spareplan.stocking._columns import (
    CHANCE,
    COST,
    CROSS,
    DOWN,
    EXACT,
    FIRST,
    FREE,
    HIGH,
    LATENESS,
    LATES,
    LAWS_WIDTH,
    LENGTH,
    LOSS,
    LOW,
    MISSED,
    QUICK,
    ROW,
    SEARCH,
    SPAN,
    SPANS,
    SPREAD,
    STEP,
    STOCK,
    STOCKED,
    STOP,
    TOLD_ALWAYS,
    TWO_MOMENT,
    UP,
    WALK,
    WHOLE_ROWS,
    WORK_ROWS,
    WORTH,
    WRITE,
)
from spareplan.stocking._leaf import price_leaf
from spareplan.stocking._site_laws import rate_tie, record, release, tabulate_site
from spareplan.stocking._sweep import highest_stock, only_near_leaves, sweep


@njit(nogil=True)
def price_part(begin, end, model, batch_top, F, N, out, mode, wk, kept, told, free, laws, whole):
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
    # Typed, and not written as a plain 0: numba would compile every kernel once more for that very number.
    lev = np.int64(0)
    if N[begin, STOP] == begin + 1 and batch_top == 1:
        return price_leaf(begin, lev, model, F, N, out, write, nodes, state, batch_top, wk)
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
            sizes[lev] = tabulate_site(row, lev, model, batch_top, F, N, nodes, state, wk)
            best[lev] = np.inf
            phase[lev] = FIRST
            held[lev] = 0
            low = max(N[row, LOW], batch - 1)
            top = max(low, min(N[row, HIGH], sizes[lev] + batch))
            nodes[lev, STOCKED] = min(max(N[row, STOCK], low), top)
            evaluate = True
            if mode == SEARCH and model == EXACT and only_near_leaves(row, N):
                best[lev], chosen[lev] = sweep(
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
                    whole,
                    model,
                    write,
                )
                evaluate = False
        elif child[lev] < N[row, STOP]:
            c = child[lev]
            if N[c, STOP] == c + 1:
                below[lev] += price_leaf(c, lev + 1, model, F, N, out, write, nodes, state, batch_top, wk)
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
                    s = highest_stock(best[lev], last[lev], h, first[lev] - 1)
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
                    b = highest_stock(best[lev], rights[lev, n], h, spans[lev, n, 1])
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
            record(row, lev, chosen[lev], sizes[lev], N, out, write, wk)
            if lev == 0:
                return value
            lev -= 1
            below[lev] += value
            child[lev] = N[child[lev], STOP]
            continue
        s, size = nodes[lev, STOCKED], sizes[lev]
        nodes[lev, LENGTH] = release(s, lev, batch, size, wk)
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


def _sources() -> int:
    """Checksum of all files with kernels."""
    names = ("_columns", "_counts", "_site_laws", "_leaf", "_sweep", "_pricing")
    return zlib.crc32(b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in names))


def _door(sources: int):
    """The one kernel that is called, and kept on disk, for just these sources."""

    @njit(cache=True, nogil=True)
    def price_parts(first, last, starts, models, batches, F, N, out, mode, values, free, depth, room, width):
        """Price the parts first..last-1: fills stock, values and measures (in mode WRITE all nine)."""
        if sources < 0:
            return
        wk = np.zeros((depth, WORK_ROWS, room))
        kept = np.zeros((depth, width), np.int64)
        told = np.zeros((depth, width, TOLD_ALWAYS))
        laws = np.zeros((width, LAWS_WIDTH))
        # Not zeros: only what the laws of fast movers fill is ever laid into memory.
        whole = np.empty((width if depth > 1 else 1, WHOLE_ROWS, room))
        for i in range(first, last):
            values[i] = price_part(
                starts[i],
                starts[i + 1],
                models[i],
                batches[i],
                F,
                N,
                out,
                mode,
                wk,
                kept,
                told,
                free,
                laws,
                whole,
            )

    return price_parts


price_parts = _door(_sources())
