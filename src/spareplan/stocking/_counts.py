"""Numba kernels: laws of counts of pieces, filled into arrays."""

# mypy: allow-untyped-defs
from __future__ import annotations

import math

from numba import njit

from spareplan.stocking._columns import (
    KNOWN,
)


@njit(nogil=True)
def fill_counts(mean, variance, out, size):
    """Pmf of 0..size-1, Poisson or negative binomial, started at 0, or at the mode if that underflows."""
    for k in range(size):
        out[k] = 0.0
    if mean <= 0.0:
        out[0] = 1.0
        return
    if variance > mean * (1.0 + 1e-9):
        keep = mean / variance
        shape = mean * keep / (1.0 - keep)
        none = shape * math.log(keep)
        if none > -600.0:
            # Near a Poisson the shape is huge, and differences of its log gamma would lose the digits.
            top = 0
            out[0] = math.exp(none)
        else:
            top = int(max(0.0, math.floor((shape - 1.0) * (1.0 - keep) / keep)))
            top = min(top, size - 1)
            out[top] = math.exp(
                math.lgamma(shape + top)
                - math.lgamma(shape)
                - math.lgamma(top + 1.0)
                + none
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


@njit(nogil=True)
def thin_all(source, length, chance, out):
    """Pmf of Binomial(B, chance), B ~ source[:length], by Horner's scheme: all terms positive, no underflow.

    Returns how many entries it has; those beyond have less than 1e-18 in all.
    """
    size = min(length, int(length * chance + 10.0 * math.sqrt(length * chance) + 32.0))
    for k in range(size):
        out[k] = 0.0
    for b in range(length - 1, -1, -1):
        for k in range(min(length - 1 - b, size - 1), 0, -1):
            out[k] = out[k] * (1.0 - chance) + out[k - 1] * chance
        out[0] = out[0] * (1.0 - chance) + source[b]
    return size


@njit(nogil=True)
def reach(mean, variance, room):
    """Entries of a law of counts beyond which nothing is left."""
    wide = mean + 12.0 * math.sqrt(max(variance, mean)) + 40.0 * max(1.0, variance / max(mean, 1e-12)) + 20.0
    return min(int(wide), room)


@njit(nogil=True)
def lay_thinned(back, length, p, law):
    """First entries of the law of Binomial(B, p), without what stems from B = 0."""
    for k in range(KNOWN):
        law[k] = 0.0
    for b in range(length - 1, -1, -1):
        for k in range(min(length - 1 - b, KNOWN - 1), 0, -1):
            law[k] = law[k] * (1.0 - p) + law[k - 1] * p
        law[0] = law[0] * (1.0 - p) + (back[b] if b > 0 else 0.0)
