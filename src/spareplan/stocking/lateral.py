"""Pools of sites that help each other out: exact chain for small pools, and events for any tree.

A site whose shelf is empty asks the others of its pool in its order of preference; the first with a piece
sends it and reorders for itself. If none has one, an emergency supply from outside serves the demand, where
the site has one (`emergency_days`); otherwise it waits for its own replenishment.

References
----------
.. [1] Kranenburg and van Houtum (2009), A new partial pooling structure for spare parts networks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from spareplan.errors import problem_in_argument
from spareplan.stocking._forest import Forest
from spareplan.stocking.pooled import run_pools
from spareplan.stocking.sampling import longest_waits, ratio_interval

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# States of a pool that are solved directly.
MOST_STATES = 50_000


class PoolService(NamedTuple):
    """Shares of the demand of each site of a pool.

    Parameters
    ----------
    own : ndarray, shape (sites,)
        Served from the own shelf.
    lateral : ndarray, shape (sites, sites)
        Of the row's demand, served by the column.
    emergency : ndarray, shape (sites,)
        Served from outside.
    """

    own: FloatArray
    lateral: FloatArray
    emergency: FloatArray


def pool_service(
    demand: FloatArray, stock: IntArray, days: FloatArray, asked: list[list[int]]
) -> PoolService:
    """Exact service of a pool with emergency supply and exponential replenishment times.

    Parameters
    ----------
    demand : ndarray, shape (sites,)
        [pieces per day]
    stock : ndarray of int, shape (sites,)
        Base stocks. [pieces]
    days : ndarray, shape (sites,)
        Mean replenishment time. [days]
    asked : list of list of int
        Per site, the others it asks, in that order.

    Returns
    -------
    PoolService

    Raises
    ------
    DataError
        The pool has more than 50,000 states prod(S + 1): simulate it.

    Notes
    -----
    The state is the number of pieces each site has on order. For fixed replenishment times the shares are
    close, not exact; where every site asks every other and mean times are equal, the emergency share is
    Erlang's loss of the whole pool whatever the law of the times.
    """
    sizes = np.asarray(stock, dtype=np.int64) + 1
    states = int(np.prod(sizes))
    if states > MOST_STATES:
        raise problem_in_argument(
            "pool_service",
            "stock",
            states,
            f"makes more than {MOST_STATES:,} states",
            "simulate the pool (laterals of simulate)",
        )
    count = len(sizes)
    orders = np.stack(np.unravel_index(np.arange(states), sizes), axis=1)
    step = np.array([int(np.prod(sizes[j + 1 :])) for j in range(count)])
    out = orders >= np.asarray(stock)
    serves = np.full((states, count), -1)
    for site in range(count):
        for helper in [*asked[site][::-1], site]:
            serves[~out[:, helper], site] = helper
    rows, columns, flows = [], [], []
    for site in range(count):
        for helper in range(count):
            here = np.flatnonzero(serves[:, site] == helper)
            rows.append(here)
            columns.append(here + step[helper])
            flows.append(np.full(len(here), float(demand[site])))
        busy = np.flatnonzero(orders[:, site] > 0)
        rows.append(busy)
        columns.append(busy - step[site])
        flows.append(orders[busy, site] / float(days[site]))
    row, column, flow = np.concatenate(rows), np.concatenate(columns), np.concatenate(flows)
    leave = np.bincount(row, flow, minlength=states)
    balance = sparse.csr_matrix((flow, (column, row)), shape=(states, states)) - sparse.diags(
        leave.astype(float)
    )
    balance = sparse.vstack([balance[1:], sparse.csr_matrix(np.ones((1, states)))]).tocsc()
    chance = linalg.spsolve(balance, np.r_[np.zeros(states - 1), 1.0]) if states > 1 else np.ones(1)
    lateral = np.zeros((count, count))
    for site in range(count):
        for helper in range(count):
            lateral[site, helper] = chance[serves[:, site] == helper].sum()
    own = np.diag(lateral).copy()
    np.fill_diagonal(lateral, 0.0)
    emergency = np.array([chance[serves[:, site] < 0].sum() for site in range(count)])
    return PoolService(own, lateral, emergency)


def simulate_pools(
    forest: Forest, laterals: pd.DataFrame, years: float, seed: int, times: FloatArray
) -> pd.DataFrame:
    """Simulate a tree whose sites help each other out, event by event.

    Parameters
    ----------
    forest : Forest
    laterals : DataFrame
        site_id, lateral_pool, lateral_days; optional emergency_days (empty: demand waits). Within a pool a
        site asks the others in the order of their ids, beginning after its own.
    years : float
        [years]
    seed : int
    times : ndarray, shape (T,)
        Waits to give the share of. [days]

    Returns
    -------
    DataFrame
        part_id, site_id, measure, value, half_width of each site's own demand: fill_rate, lateral_share,
        emergency_share, mean_wait_days, wait_le_<t>; and ebo, of the pieces that wait for the site's own
        supply.

    Raises
    ------
    DataError
        Faults of `laterals`.
    """
    batched = run_pools(forest, laterals, years, seed, times)
    longest = longest_waits(forest)
    found = {
        "fill_rate": ratio_interval(batched.own_filled, batched.own, share=True),
        "lateral_share": ratio_interval(batched.lateral, batched.own, share=True),
        "emergency_share": ratio_interval(batched.emergency, batched.own, share=True),
        "mean_wait_days": ratio_interval(batched.own_wait, batched.own, most=longest),
        # Waiting for the own supply is a backorder; Little's law turns its sum into a mean over time.
        "ebo": ratio_interval(batched.own_late, batched.days, most=longest),
    }
    for column, time in enumerate(times):
        within = batched.own_waits_le[:, :, column]
        found[f"wait_le_{time:g}"] = ratio_interval(within, batched.own, share=True)
    names = list(found)
    return pd.DataFrame(
        {
            "part_id": forest.part_ids.take(np.repeat(forest.part, len(names))),
            "site_id": forest.site_ids.take(np.repeat(forest.site, len(names))),
            "measure": np.tile(names, len(forest)),
            "value": np.stack([value for value, _ in found.values()], axis=1).ravel(),
            "half_width": np.stack([width for _, width in found.values()], axis=1).ravel(),
        }
    )
