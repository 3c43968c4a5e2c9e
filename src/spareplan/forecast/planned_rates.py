"""Planned replacements by age: a life table of the pieces that were taken out before they failed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# Fewest and most age bins of planned replacements; the events that the rate of all ages counts as in each.
PLANNED_BINS = (40, 120)
PLANNED_PRIOR = 0.02
SUREST = 0.995


def planned_rates(spells: pd.DataFrame) -> dict[int, tuple[FloatArray, float]]:
    """Planned replacements per unit of use, by age, for parts that have any.

    Parameters
    ----------
    spells : DataFrame
        part, entry, exit, planned, failed, count, open.

    Returns
    -------
    dict
        Number of a part to its rates by age bin, shape (bins,) [1 / (hours or days)], and the bin's width
        [hours or days]; the last bin holds for older pieces.
    """
    out: dict[int, tuple[FloatArray, float]] = {}
    for part, own in spells.groupby("part", sort=True):
        if not own["planned"].any():
            continue
        seen_from_new = own[~own["open"].to_numpy(bool)]
        # Ages of pieces fitted before the records are guesses: they speak only where nothing else does.
        own = seen_from_new if seen_from_new["planned"].any() else own
        planned = own["planned"].to_numpy(bool)
        entry, exit_, count = (own[name].to_numpy(float) for name in ("entry", "exit", "count"))
        age, weight = exit_[planned], count[planned]
        bins = int(np.clip(4 * np.sqrt(weight.sum()), *PLANNED_BINS))
        width = float(age.max()) * 1.001 / (bins - 1)
        low = np.arange(bins) * width
        high = np.append(low[1:], np.inf)
        begin, end = entry[:, None], exit_[:, None]
        watched = count @ np.maximum(np.minimum(end, high) - np.maximum(begin, low), 0.0)
        place = np.minimum((age / width).astype(int), bins - 1)
        seen = np.bincount(place, weights=weight, minlength=bins)
        overall = seen.sum() / watched.sum()
        # Life table: planned work comes at sharp ages, where events over time watched would fall short.
        within = (end > low) & (begin < high)
        cut = within & ((begin > low) | ((end <= high) & ~planned[:, None]))
        risk = count @ (within - 0.5 * cut)
        chance = np.minimum((seen + PLANNED_PRIOR) / (risk + PLANNED_PRIOR / (overall * width)), SUREST)
        rate = -np.log1p(-chance) / width
        # Beyond the oldest planned replacement little is known: pieces that were passed over may stay.
        rate[-1] = (seen[-1] + 1.0) / (watched[-1] + 1.0 / overall)
        out[int(str(part))] = (rate, width)
    return out
