"""How much may lie at a site at most: months of demand, shelf life, parts without a price, planners' word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StockingOptions
from spareplan.errors import InfeasibleError
from spareplan.maths.distributions import quantile
from spareplan.maths.units import DAYS_PER_MONTH
from spareplan.stocking._forest import Forest
from spareplan.stocking.pipelines import ANY_STOCK, Pipelines

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# A part without a price would be stocked without end; it misses so rarely that others never must make up.
FREE_PART_MISSES = 1e-4
NO_RULE, MONTHS, SHELF_LIFE, NO_PRICE, PLANNER = range(5)
RULE_WORDS = ("", "months of demand", "shelf life", "no price", "planner")


@dataclass(frozen=True)
class Ceilings:
    """What bounds the level of every row from above.

    Parameters
    ----------
    most : ndarray of int, shape (rows,)
        Ceiling; ANY_STOCK where there is none. [pieces]
    rule : ndarray of int, shape (rows,)
        Position in RULE_WORDS of the rule that set it.
    lifted : ndarray of bool, shape (rows,)
        The rule asked for less than a floor, a planner's level or the order quantity at HQ, which stand.
    """

    most: IntArray
    rule: NDArray[np.int8]
    lifted: NDArray[np.bool_]

    def words(self, levels: IntArray) -> NDArray[np.object_]:
        """Rule that holds each level where it lies at its ceiling; "" elsewhere."""
        told = np.array(RULE_WORDS, dtype=object)
        return told[np.where(levels >= self.most, self.rule, NO_RULE)]


def demand_ceiling(on_way: FloatArray, demand_per_day: FloatArray, days: FloatArray | float) -> FloatArray:
    """Pieces on the way and the demand of some days, in whole pieces, and one piece at least.

    Parameters
    ----------
    on_way : ndarray, shape (n,)
        Mean pieces between order and receipt. [pieces]
    demand_per_day : ndarray, shape (n,)
        [pieces per day]
    days : ndarray, shape (n,), or float
        Time within which what lies on the shelf shall be used; infinite: no ceiling. [days]

    Returns
    -------
    ndarray, shape (n,)
        [pieces]

    Examples
    --------
    >>> demand_ceiling(np.array([2.0, 0.01]), np.array([0.1, 0.0001]), 365.25)
    array([39.,  1.])
    """
    with np.errstate(invalid="ignore"):
        pieces = on_way + np.where(demand_per_day > 0, demand_per_day * days, 0.0)
    # 2.0000000000004 pieces are two.
    return np.maximum(np.ceil(pieces - 1e-9), 1.0)


def free_part_ceiling(mean: FloatArray, variance: FloatArray, misses: float) -> FloatArray:
    """Stock of a part without a price that misses no more than a given share, even with empty sites above.

    Parameters
    ----------
    mean, variance : ndarray, shape (n,)
        Demand between the supplier's order and the receipt at the site, all sites above empty.
        [pieces, pieces²]
    misses : float
        [share]

    Returns
    -------
    ndarray, shape (n,)
        [pieces]
    """
    return np.maximum(quantile(1 - misses, mean, np.maximum(variance, mean)) + 1, 1.0)


def lay_ceilings(
    forest: Forest,
    pipelines: Pipelines,
    catalogue: pd.DataFrame,
    targets: pd.DataFrame,
    options: StockingOptions,
) -> tuple[Pipelines, Ceilings | None]:
    """Bound the levels of all rows by the rules of the options; floors and planners' levels stay above them.

    Parameters
    ----------
    forest, pipelines : Forest, Pipelines
        Planners' floors and ceilings are in the pipelines already.
    catalogue : DataFrame
        The dataset's parts: part_id, unit_cost, shelf_life_days (may be missing).
    targets : DataFrame
        The sharpest of its target_fill_rate and target_in_window says how rarely a free part may miss.
    options : StockingOptions
        max_months_of_demand, keep_shelf_life.

    Returns
    -------
    Pipelines, Ceilings
        The same pipelines and None where no rule applies.
    """
    rows = pipelines.forest_rows
    known = catalogue.set_index("part_id").reindex(forest.part_ids)
    life = known["shelf_life_days"].to_numpy(dtype=float) if "shelf_life_days" in known else np.empty(0)
    perishes = options.keep_shelf_life and not np.isnan(life).all()
    free = ~(known["unit_cost"].to_numpy(dtype=float) > 0)
    if options.max_months_of_demand is None and not perishes and not free.any():
        return pipelines, None
    part = forest.part[rows]
    most = np.array(pipelines.most)
    rule = np.where(most < ANY_STOCK, PLANNER, NO_RULE).astype(np.int8)

    def bound(which: NDArray[np.bool_], code: int, pieces: Callable[[IntArray], FloatArray]) -> None:
        at = np.flatnonzero(which)
        if not len(at):
            return
        ceiling = pieces(at).astype(np.int64)
        lower = ceiling < most[at]
        most[at[lower]], rule[at[lower]] = ceiling[lower], code

    if options.max_months_of_demand is not None:
        days = options.max_months_of_demand * DAYS_PER_MONTH
        bound(
            np.ones(len(rows), bool),
            MONTHS,
            lambda at: demand_ceiling(pipelines.mean[at], pipelines.demand[at], days),
        )
    if perishes:
        bound(
            ~np.isnan(life)[part],
            SHELF_LIFE,
            lambda at: demand_ceiling(pipelines.mean[at], pipelines.demand[at], life[part[at]]),
        )
    if free.any():
        mean, variance = _with_empty_sites_above(forest)
        misses = min(FREE_PART_MISSES, 0.1 * _sharpest(targets))
        bound(free[part], NO_PRICE, lambda at: free_part_ceiling(mean[rows[at]], variance[rows[at]], misses))
    # A floor, a pack at HQ or a planner's level is a decision; the rules are not.
    lifted = most < pipelines.least
    most = np.maximum(most, pipelines.least)
    return replace(pipelines, most=most), Ceilings(most, rule, lifted)


def name_ceilings(
    error: InfeasibleError, forest: Forest, pipelines: Pipelines, ceilings: Ceilings
) -> InfeasibleError:
    """Say which ceilings an unreachable promise runs against.

    Parameters
    ----------
    error : InfeasibleError
        From `refuse_clashes`, with `clashes`.
    forest, pipelines, ceilings
        As they were laid.

    Returns
    -------
    InfeasibleError
        With the column `ceilings` in `clashes`: rule and rows at the site, most first.
    """
    clashes = error.clashes
    if clashes is None or "site_id" not in clashes:
        return error
    rows = pipelines.forest_rows
    bound = np.flatnonzero(ceilings.rule != NO_RULE)
    site = forest.site_ids.take(forest.site[rows[bound]])
    told = np.array(RULE_WORDS, dtype=object)[ceilings.rule[bound]]
    counts = pd.DataFrame({"site_id": site, "rule": told}).value_counts().reset_index(name="rows")
    counts = counts.sort_values(["rows", "rule"], ascending=[False, True], kind="stable")
    words = counts["rule"] + " (" + counts["rows"].astype(str) + " rows)"
    by_site = words.groupby(counts["site_id"]).agg(", ".join)
    named = clashes.assign(ceilings=clashes["site_id"].map(by_site).fillna(""))
    counted = counts.groupby("rule")["rows"].sum().sort_values(ascending=False, kind="stable")
    told_all = ", ".join(f"{rule} {count:,} rows" for rule, count in counted.items())
    way_out = f"\nCeilings that hold levels down: {told_all}. Raise them, or ask for what can be reached."
    return InfeasibleError(str(error) + (way_out if told_all else ""), clashes=named, ceilings=error.ceilings)


def _sharpest(targets: pd.DataFrame) -> float:
    """Smallest share that a promise allows to miss."""
    given = [targets[name] for name in ("target_fill_rate", "target_in_window") if name in targets]
    shares = pd.concat(given).dropna().to_numpy(dtype=float) if given else np.empty(0)
    return float(1 - shares.max()) if len(shares) and shares.max() < 1 else 1.0


def _with_empty_sites_above(forest: Forest) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of a site's pieces on the way when nothing lies at the sites above."""
    mean = forest.pipeline.copy()
    variance = np.array(forest.pipeline_variance)
    for depth in range(1, int(forest.depth.max(initial=0)) + 1):
        at = forest.rows_at(depth)
        up, share = forest.parent[at], forest.share[at]
        variance[at] += share * (1 - share) * mean[up] + share**2 * variance[up]
        mean[at] += share * mean[up]
    return mean, variance
