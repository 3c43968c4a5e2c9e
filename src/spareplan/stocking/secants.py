"""Steps of prices towards what promises allow: secants in logarithms, whole pieces making them noisy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.promises import Promises

FloatArray = NDArray[np.float64]
FIRST_SLOPE, STEEPEST, FLATTEST = -0.9, -2.0, -0.3
LONGEST_STEP = 2.5
# Below this share of the unit cost a cap is free.
NO_CAP_PRICE = 1e-6
# Moves of a price, in logarithms, below which the slope seen over them is mostly noise of whole pieces.
NOISE = 0.03


class Secants:
    """Steps of prices: each raised or lowered until its promise uses what it may, by what moves before did.

    Parameters
    ----------
    promises : Promises
    open_ : ndarray of bool, shape (promises,)
        Promises that need a price.
    slope : ndarray, shape (promises,), optional
        How the logarithm of use falls with that of the price, to start from.
    """

    def __init__(self, promises: Promises, open_: NDArray[np.bool_], slope: FloatArray | None) -> None:
        self.open_, self.cap = open_, promises.is_cap
        self.allowed = np.maximum(promises.allowed, 1e-300)
        self.slope = np.full(len(promises), FIRST_SLOPE) if slope is None else slope
        self.seen_at: tuple[FloatArray, FloatArray] | None = None

    def step(self, now: FloatArray, used: FloatArray) -> tuple[FloatArray, float]:
        """Next prices, and how much they are expected to lift the bound. [money per unit of use, money]."""
        with np.errstate(divide="ignore"):
            ratio = np.log(np.maximum(used, 1e-300) / self.allowed)
        if self.seen_at is not None:
            moved = np.log(np.maximum(now, 1e-300)) - self.seen_at[0]
            with np.errstate(divide="ignore", invalid="ignore"):
                seen = np.clip((ratio - self.seen_at[1]) / moved, STEEPEST, FLATTEST)
            # A slope seen over a small move is noise of whole pieces.
            trust = moved**2 / (moved**2 + NOISE**2)
            told = (trust > 0) & ~np.isnan(seen)
            self.slope = self.slope + np.where(told, trust * (seen - self.slope), 0.0)
        self.seen_at = (np.log(np.maximum(now, 1e-300)), ratio)
        step_log = np.clip(-ratio / self.slope, -LONGEST_STEP, LONGEST_STEP)
        # A cap costs nothing until it binds.
        begins = np.clip(np.exp(np.minimum(ratio, 1.0)) - 1, 1e-3, 1.0) * (ratio > 0)
        ahead = np.where(self.cap & (now <= NO_CAP_PRICE), begins, now * np.exp(step_log))
        # The slope of the bound falls from what is used too much to nothing on the way.
        gain = float(np.abs(np.where(self.open_, now * (used - self.allowed) * step_log, 0.0)).sum()) / 2
        return np.where(self.open_, ahead, 0.0), gain


def has_jumps(promises: Promises) -> bool:
    """Whether shares are promised: stock far up then pays by many pieces or not, and no walk sees so far."""
    return promises.miss_promise is not None or promises.late_promise is not None
