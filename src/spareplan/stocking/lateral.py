"""Pools of sites that help each other out: exact chain for small pools, and events for any tree.

A site whose shelf is empty asks the others of its pool in its order of preference; the first with a piece
sends it and reorders for itself. If none has one, an emergency supply from outside serves the demand, where
the site has one (`emergency_days`); otherwise it waits for its own replenishment.

References
----------
.. [1] Kranenburg and van Houtum (2009), A new partial pooling structure for spare parts networks.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.stocking import _draws, _runs
from spareplan.stocking._forest import Forest
from spareplan.stocking._reading import missing_columns, numbers, rows_problem

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
        Parts ordered one for one.
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
        Faults of `laterals`; order quantities above 1; repair shares, which this simulation does not know.
    """
    asked, days, emergency = _read_laterals(forest, laterals)
    if (
        (forest.most > forest.least).any()
        or (forest.repair_share > 0).any()
        or (forest.return_share > 0).any()
    ):
        raise problem_in_argument(
            "simulate",
            "laterals",
            "order quantities or repairs",
            "cannot be simulated together with laterals",
            "give base stocks without order quantities, and no repair shares",
        )
    first, last = forest.spans()
    names = ["fill_rate", "lateral_share", "emergency_share", "mean_wait_days", "ebo"]
    names += [f"wait_le_{time:g}" for time in times]
    from spareplan.stocking.simulation import ratio_interval

    tables = []
    for start, stop in zip(first, last):
        rows = np.arange(start, stop)
        runs = _runs.lay_runs(forest, rows, years)
        own = _draws.draw_demand(forest, runs, seed)
        tally = _run_part(forest, runs, own, asked, days, emergency, start, times)
        top = tally[:, :, 1:]
        bottom = tally[:, :, :1]
        measured = np.zeros((len(rows), _runs.BATCHES))
        np.add.at(measured, (runs.source - start, runs.first_batch), runs.length / runs.batches)
        long_run = runs.batches > 1
        measured[runs.source[long_run] - start] = (runs.length / runs.batches)[long_run, None]
        for column, name in enumerate(names):
            base = measured if name == "ebo" else bottom[:, :, 0]
            value, width = ratio_interval(
                top[:, :, column], base, share=name not in ("mean_wait_days", "ebo")
            )
            tables.append(pd.DataFrame({
                "part_id": forest.part_ids.take(forest.part[rows]),
                "site_id": forest.site_ids.take(forest.site[rows]),
                "row": rows, "rank": column, "measure": name, "value": value, "half_width": width,
            }))  # fmt: skip
    if not tables:
        return pd.DataFrame(columns=["part_id", "site_id", "measure", "value", "half_width"])
    table = pd.concat(tables).sort_values(["row", "rank"], ignore_index=True)
    return table.drop(columns=["row", "rank"])


def _run_part(
    forest: Forest, runs: _runs.Runs, own: _runs.Events, asked: dict[int, list[int]], days: FloatArray,
    emergency: FloatArray, start: int, times: FloatArray,
) -> FloatArray:  # fmt: skip
    """Events of one part: per row and batch demands, own, lateral, emergency, wait, late, waits <= t."""
    tally = np.zeros((int(runs.source.max()) - start + 1, _runs.BATCHES, 6 + len(times)))
    place = {(int(f), int(r)): k for k, (f, r) in enumerate(zip(forest.site[runs.source], runs.run))}
    shelf = forest.least[runs.source].astype(np.int64)
    lead = forest.lead[runs.source]
    queues: list[deque[tuple[int, float]]] = [deque() for _ in shelf]
    order = np.lexsort((own.row, own.time))
    calendar = [(float(own.time[k]), n, 0, int(own.row[k]), -1) for n, k in enumerate(order)]
    serial = len(calendar)
    helpers = {
        row: [place[(site, int(runs.run[row]))] for site in asked.get(int(forest.site[runs.source[row]]), [])
              if (site, int(runs.run[row])) in place]
        for row in range(len(shelf))
    }  # fmt: skip

    def note(row: int, when: float, wait: float, kind: int) -> None:
        since = when - runs.warm[row]
        if not 0 <= since < runs.length[row]:
            return
        batch = int(runs.first_batch[row] + since // (runs.length[row] / runs.batches[row]))
        cell = tally[int(runs.source[row]) - start, min(batch, _runs.BATCHES - 1)]
        cell[0] += 1
        if kind >= 0:
            cell[1 + kind] += 1
        cell[4] += wait
        # Waiting for the own supply is a backorder; Little's law turns its sum into a mean over time.
        cell[5] += wait if kind < 0 else 0.0
        cell[6:] += wait <= times + _runs.INSTANT

    def push(time: float, kind: int, row: int, child: int) -> None:
        nonlocal serial
        heapq.heappush(calendar, (time, serial, kind, row, child))
        serial += 1

    def reorder(row: int, time: float) -> None:
        above = int(runs.parent[row])
        if above < 0:
            push(time + float(lead[row]), 1, row, -1)
        else:
            ask(above, row, time)

    def ask(row: int, child: int, time: float) -> None:
        """An order of a child: served from the shelf, or it waits; the site orders one itself."""
        if shelf[row] > 0:
            shelf[row] -= 1
            push(time + float(lead[child]), 1, child, -1)
        else:
            queues[row].append((child, time))
        reorder(row, time)

    heapq.heapify(calendar)
    while calendar:
        time, _, kind, row, _ = heapq.heappop(calendar)
        if kind == 1:
            if queues[row]:
                child, since = queues[row].popleft()
                if child >= 0:
                    push(time + float(lead[child]), 1, child, -1)
                else:
                    note(row, since, time - since, -1)
            else:
                shelf[row] += 1
            continue
        site = int(forest.site[runs.source[row]])
        if shelf[row] > 0:
            shelf[row] -= 1
            note(row, time, 0.0, 0)
            reorder(row, time)
            continue
        helper = next((other for other in helpers[row] if shelf[other] > 0), -1)
        if helper >= 0:
            shelf[helper] -= 1
            note(row, time, float(days[site]), 1)
            reorder(helper, time)
        elif not np.isnan(emergency[site]):
            note(row, time, float(emergency[site]), 2)
        else:
            queues[row].append((-1, time))
            reorder(row, time)
    return tally


def _read_laterals(
    forest: Forest, laterals: pd.DataFrame
) -> tuple[dict[int, list[int]], FloatArray, FloatArray]:
    """Whom each site asks, the time of a transfer and of an emergency; by position of the site."""
    problems: list[Problem] = missing_columns(
        "laterals", laterals, ["site_id", "lateral_pool", "lateral_days"]
    )
    if problems:
        raise DataError(problems)
    site = forest.site_ids.get_indexer(pd.Index(laterals["site_id"]))
    pooled = laterals["lateral_pool"].notna().to_numpy()
    problems += rows_problem(
        "laterals", laterals, "site_id", site < 0, "is not in sites", "add the site or drop the row"
    )
    problems += rows_problem(
        "laterals",
        laterals,
        "site_id",
        laterals["site_id"].duplicated().to_numpy(),
        "stands twice",
        "give each site once",
    )
    lateral = numbers(laterals, "lateral_days", "laterals", problems, default_rows=~pooled)
    emergency = numbers(laterals, "emergency_days", "laterals", problems, default=np.nan)
    if problems:
        raise DataError(problems)
    days, urgent = np.zeros(len(forest.site_ids)), np.full(len(forest.site_ids), np.nan)
    days[site], urgent[site] = np.nan_to_num(lateral), emergency
    asked: dict[int, list[int]] = {}
    for _, members in laterals[pooled].groupby("lateral_pool", sort=True):
        names = sorted(members["site_id"], key=str)
        ring = forest.site_ids.get_indexer(pd.Index(names)).tolist()
        for k, place in enumerate(ring):
            asked[place] = ring[k + 1 :] + ring[:k]
    return asked, days, urgent
