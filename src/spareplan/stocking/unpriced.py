"""Parts that cost nothing: searched at a tiny price so that their levels stay finite, published without."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.stocking._forest import Forest
from spareplan.stocking.finding import Found

if TYPE_CHECKING:
    from spareplan.stocking.asked import Asked


def unpriced_rows(parts: pd.DataFrame, forest: Forest) -> NDArray[np.bool_] | None:
    """Rows of a forest whose part costs nothing.

    Parameters
    ----------
    parts : DataFrame
        part_id, unit_cost, in the order of `forest.part_ids`. [money]
    forest : Forest

    Returns
    -------
    ndarray of bool, shape (rows,), or None where all parts have a price
    """
    free = ~(pd.to_numeric(parts["unit_cost"]).to_numpy(dtype=float) > 0)
    return free[forest.part] if free.any() else None


def at_true_prices(
    asked: Asked, table: pd.DataFrame, assumptions: pd.DataFrame, found: Found
) -> tuple[Found, pd.DataFrame]:
    """Take the price of parts that cost nothing out of what is published.

    The search's money of any plan is its true money plus these prices; so the bound less those of this plan
    holds for all plans with no more pieces of such parts, and by as little as these prices for the others.

    Parameters
    ----------
    asked : Asked
    table : DataFrame
        Level table in the order of the forest; its value is set right.
    assumptions : DataFrame
    found : Found

    Returns
    -------
    Found
        Cost and bound in true money.
    DataFrame
        Assumptions with a row for these parts, if there are any.
    """
    if asked.unpriced is None:
        return found, assumptions
    extra = float(table.loc[asked.unpriced, "value"].sum())
    table["value"] = table["value"].where(~asked.unpriced, 0.0)
    row = {
        "stage": "stocking",
        "name": "parts_without_price",
        "value": int(table.loc[asked.unpriced, "part_id"].nunique()),
        "unit": "parts",
        "origin": "data: parts.unit_cost",
        "meaning": "cost nothing: counted at a millionth of the mean part while levels are sought, so that "
        "these stay finite; lower_bound holds for plans with no more pieces of them",
    }
    said = pd.concat([assumptions, pd.DataFrame([row])], ignore_index=True)
    cost = max(found.cost - extra, 0.0)
    return replace(found, cost=cost, bound=min(max(found.bound - extra, 0.0), cost)), said
