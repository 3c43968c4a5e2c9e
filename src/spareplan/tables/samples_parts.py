"""Made-up parts by family: price, supply and the Weibull life behind them, all drawn at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import gamma

from spareplan.tables.samples_engine import Ints

LIFE_SPREAD = 0.8
COST_SPREAD = 0.9
LEAD_SPREAD = 0.35
SHAPE_SPREAD = 0.15
SHAPE_RANGE = (0.7, 5.0)
CHEAP, SMALL = 200, 600
EXPECTED_LIFE_KNOWN = 0.6
EXPECTED_LIFE_BIAS, EXPECTED_LIFE_SPREAD = 1.2, 0.4
SOURCES = ("make", "buy", "import")
GRADES = ("vital", "essential", "desirable")


def draw_parts(rng: np.random.Generator, families: pd.DataFrame, member: Ints) -> pd.DataFrame:
    """Draw the parts of some families.

    Parameters
    ----------
    rng : Generator
    families : DataFrame
        family, shape, mean_life [hours], unit_cost [money], lead_time_days, repairable_share, least_days,
        most_days (bounds of the lead time).
    member : ndarray of int, shape (n,)
        Row of `families` that each part belongs to.

    Returns
    -------
    DataFrame
        Columns of the parts table without ids and names, then the truth: shape, scale_hours.
    """
    count = len(member)
    own = families.iloc[member].reset_index(drop=True)
    shape = np.clip(own["shape"] * np.exp(rng.normal(0, SHAPE_SPREAD, count)), *SHAPE_RANGE).round(2)
    life = own["mean_life"] * np.exp(rng.normal(0, LIFE_SPREAD, count))
    cost = _two_digits(own["unit_cost"] * np.exp(rng.normal(0, COST_SPREAD, count)))
    days = (own["lead_time_days"] * np.exp(rng.normal(0, LEAD_SPREAD, count))).round()
    days = days.clip(own["least_days"], own["most_days"])
    told = life * EXPECTED_LIFE_BIAS * np.exp(rng.normal(0, EXPECTED_LIFE_SPREAD, count))
    return pd.DataFrame(
        {
            "unit_cost": cost,
            "lead_time_days": days,
            "lead_time_sd_days": (0.2 * days).round(),
            "family": own["family"],
            "supplier": own["family"] + "-" + pd.Series(rng.integers(1, 5, count)).astype(str),
            "source": rng.choice(SOURCES, count, p=(0.3, 0.5, 0.2)),
            "criticality": rng.choice(GRADES, count, p=(0.4, 0.4, 0.2)),
            "repairable_share": own["repairable_share"],
            "repair_days": pd.Series(30.0, index=own.index).where(own["repairable_share"] > 0),
            "expected_life_hours": _two_digits(told).where(rng.random(count) < EXPECTED_LIFE_KNOWN),
            "min_order": np.select([cost < CHEAP, cost < SMALL], [20, 5], 1),
            "pack_size": np.where(cost < CHEAP, 10, 1),
            "superseded_by": pd.Series(None, index=own.index, dtype=object),
            "shape": shape,
            "scale_hours": (life / gamma(1 + 1 / shape)).round(1),
        }
    )


def draw_fitment(
    rng: np.random.Generator, parts: Ints, products: int, more: float, quantities: tuple[int, ...]
) -> pd.DataFrame:
    """Draw which parts sit how often in which products.

    Parameters
    ----------
    rng : Generator
    parts : ndarray of int, shape (n,)
        Codes of the parts.
    products : int
        Products are 0 to products - 1.
    more : float
        Mean number of further products that a part fits.
    quantities : tuple of int
        Pieces in one machine, each as likely as the next.

    Returns
    -------
    DataFrame
        product, part, quantity; sorted, no pair twice.
    """
    times = 1 + rng.poisson(more, len(parts))
    frame = pd.DataFrame({"product": rng.integers(0, products, times.sum()), "part": np.repeat(parts, times)})
    frame = frame.drop_duplicates().sort_values(["product", "part"], ignore_index=True)
    return frame.assign(quantity=rng.choice(quantities, len(frame)))


def _two_digits(values: pd.Series) -> pd.Series:
    """Round to two significant digits, as people quote prices and lives."""
    unit = 10.0 ** (np.floor(np.log10(values)) - 1)
    return ((values / unit).round() * unit).round(2)
