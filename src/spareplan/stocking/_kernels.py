"""Compiled twin of the event loop, for long simulations; imported where it is used."""

from __future__ import annotations

from numba import njit

from spareplan.stocking import _pool_events

play = njit(cache=True, nogil=True)(_pool_events.play)
