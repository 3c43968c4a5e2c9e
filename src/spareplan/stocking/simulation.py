"""DOOR simulate_levels: doubt the formulas by simulated years; `simulate` does it on plain tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.results import Attainment, StockLevels, assumptions_frame
from spareplan.stocking._faults import read_times, refuse_no_tables
from spareplan.stocking._forest import read_forest
from spareplan.stocking.attainment import (
    assumption_rows,
    attainment_lines,
    attainment_table,
    pools_of,
    windows,
)
from spareplan.stocking.leadtime import network_tables, pipeline_rates
from spareplan.stocking.sampling import measures_table, run_forest

if TYPE_CHECKING:
    from spareplan.results import DemandForecast
    from spareplan.tables.dataset import Dataset

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def simulate(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    levels: pd.DataFrame,
    years: float,
    seed: int,
    laterals: pd.DataFrame | None = None,
    times: Sequence[float] = (),
) -> pd.DataFrame:
    """Simulate stock levels piece by piece: events, not formulas.

    Parameters
    ----------
    sites, parts, rates, levels : DataFrame
        As in `evaluate_levels`. Of the share that is repaired every piece is tossed. Lead times are fixed;
        with `lead_time_sd_days` in `parts` (supplier) or `sites` (from the parent) they are gamma, drawn anew
        for all that is sent at one moment, and what is sent later may come first.
    years : float
        Time to measure, after the empty past has been left behind. [years]
    seed : int
        Every part draws its own random numbers from seed and part_id.
    laterals : DataFrame, optional
        site_id, lateral_pool, lateral_days[, emergency_days]: sites of a pool help out (see `lateral`).
    times : sequence of float
        Waits to give the share of. [days]

    Returns
    -------
    DataFrame
        part_id, site_id, measure, value, half_width: ebo, fill_rate, ready_rate, mean_wait_days, on_hand and
        wait_le_<t> per part x site, as in `evaluate_levels`; half_width of the 95 % interval from 20
        batches. NaN where nothing was asked for. A share that was never missed has the width of the rule
        of three; where nobody waited, so have backorders and waits: three that waited as long as can be.

    Raises
    ------
    DataError
        As in `evaluate_levels`; years not above 0; a negative seed.

    Notes
    -----
    vmr above 1 is simulated as order sizes (logarithmic), below 1 as a gamma renewal stream, rate_cv2 as a
    gamma rate drawn anew for each of 60 independent runs, high or low at all sites of the part together.
    """
    if not (np.isfinite(years) and years > 0):
        raise problem_in_argument("simulate", "years", years, "is no number above 0", "give years above 0")
    if seed < 0 or int(seed) != seed:
        raise problem_in_argument(
            "simulate", "seed", seed, "is no whole number of at least 0", "give such a seed"
        )
    tables = {"sites": sites, "parts": parts, "rates": rates, "levels": levels}
    refuse_no_tables("simulate", tables, laterals=laterals)
    waits = read_times("simulate", times)
    forest = read_forest(sites, parts, rates, levels)
    if laterals is not None:
        from spareplan.stocking.lateral import simulate_pools

        return simulate_pools(forest, laterals, float(years), int(seed), waits)
    batched = run_forest(forest, float(years), int(seed), waits)
    return measures_table(forest, batched, waits)


def simulate_levels(
    data: Dataset,
    demand: DemandForecast,
    levels: StockLevels,
    years: float = 50,
    seed: int = 0,
) -> Attainment:
    """Check a plan by simulation: every promise against what simulated years achieve.

    Parameters
    ----------
    data : Dataset
    demand : DemandForecast
        Its rates, order sizes and uncertainty drive the simulation.
    levels : StockLevels
        Levels, and in `.service` the promises per service group.
    years : float
        Time to measure per part. [years]
    seed : int

    Returns
    -------
    Attainment
        group, measure, promised, achieved, low, high, kept: a row per row of `levels.service`; kept unless
        the whole 95 % interval misses the promise. The demand that counts is that of the group's own site.
        Levels are found, and judged, without help from neighbours; `.with_pools` tells what the lateral pools
        of the data add to that.

    Raises
    ------
    DataError
        The levels do not fit the data; years not above 0.
    """
    if not (np.isfinite(years) and years > 0):
        raise problem_in_argument(
            "simulate_levels", "years", years, "is no number above 0", "give years above 0"
        )
    sites, parts = network_tables(data)
    rates = pipeline_rates(data, demand)
    columns = ["part_id", "site_id", "base_stock", "reorder_point", "order_quantity"]
    given = levels.table[[name for name in columns if name in levels.table]]
    forest = read_forest(sites, parts, rates, given)
    asked = windows(levels.service)
    times = np.unique(asked[~np.isnan(asked)])
    batched = run_forest(forest, float(years), int(seed), times)
    table = attainment_table(forest, batched, levels, times)
    neighbours = pools_of(data.sites)
    helped = pd.DataFrame()
    if len(neighbours):
        from spareplan.stocking.pooled import run_pools

        shared = run_pools(forest, neighbours, float(years), int(seed), times)
        helped = attainment_table(forest, shared, levels, times)
    return Attainment(
        table=table,
        assumptions=assumptions_frame(assumption_rows(years, seed, forest, neighbours)),
        lines=attainment_lines(table, batched, years, helped),
        with_pools=helped,
    )
