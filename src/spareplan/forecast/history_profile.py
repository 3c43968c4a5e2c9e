"""What the history road knows beside the history: the season of the months ahead, traits of the parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.history_season import MONTHS, seasonal_index
from spareplan.forecast.panels import read_panel

FloatArray = NDArray[np.float64]
# Rates of the months ahead over the flat one, by key and month.
Profile = Callable[[pd.DataFrame, pd.DatetimeIndex], FloatArray]


def season_profile(totals: pd.DataFrame) -> Profile | None:
    """Season of the months ahead, the same for all parts.

    Parameters
    ----------
    totals : DataFrame
        part_id, period (month), quantity: demand of each part over all sites. [pieces]

    Returns
    -------
    callable, or None
        (keys, months) to rates over the flat one, shape (keys, months); None where the parts have no season
        beyond doubt (`seasonal_index`).
    """
    panel = read_panel(totals)
    index = seasonal_index(panel.demand, 0, MONTHS)
    if index is None:
        return None
    first = panel.periods[0]

    def profile(keys: pd.DataFrame, months: pd.DatetimeIndex) -> FloatArray:
        number = np.asarray(months.year * 12 + months.month - 1 - 1970 * 12 - first)
        return np.tile(index[number % MONTHS[0]], (len(keys), 1))

    return profile


def with_traits(keys: pd.DataFrame, traits: pd.DataFrame) -> pd.DataFrame:
    """Put what is known of a part beside every key that has it.

    Parameters
    ----------
    keys : DataFrame
        part_id and whatever else makes up the key, each once.
    traits : DataFrame
        part_id and columns of numbers, a row per part.

    Returns
    -------
    DataFrame
        NaN where the part has no row.
    """
    return keys.merge(traits, on="part_id", how="left", validate="many_to_one")
