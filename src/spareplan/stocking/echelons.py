"""Backorders through the tree of sites: exact, two-moment and METRIC evaluation of given levels.

Every site follows one-for-one replenishment, first come first served; HQ may order in quantities, which is
exact as the mean over the positions R+1 .. R+Q (lots below HQ: see `lot_laws`). A failed
piece is repaired where it failed: of a site's own demand d the share r comes back in T days, while an order
of a site below is for a good piece, brings none to repair and always goes on to the parent. With l all demand
arriving at a site, u = l - r d its orders, L the time from its parent, p the share of the parent's demand
that u is and B the parent's backorders, the pieces on order at the site are
N = Poisson(u L + r d T) + Binomial(B, p), and its own backorders are (N - S)+. The split of B is exact where
the parent repairs nothing of its own; below a site that does, it is nearly so (`evaluation` says it).

By Palm's theorem only the mean of a lead time matters for a Poisson stream, so repair shares enter as
mixtures, and the spread of the supplier's lead time (`lead_time_sd_days`) changes neither backorders nor fill
rates nor mean waits, at any site; nor where orders are for several pieces that travel together, or where the
rate is unknown. It does change

- the law of the wait, as later pieces may come first (`wait_le_<t>` is told for fixed times; a spread of half
  the mean is hardly seen, one of twice the mean moves shares by points);
- everything where lots are ordered at HQ or below, as whole lots cross: with a spread of a fifth of the mean
  stations of a simulated network waited 7-17 % longer, with half of it 20-45 % (`evaluation`: fixed_times);
- demand steadier than Poisson, which random times make more like Poisson: the figures here are the safe side.

A spread of the ways below HQ changes a little where the parent may be short, and nothing where it never is
(`evaluation`: near_exact). `simulate` draws random times and shows all this. Demand that varies more than
Poisson is matched by two moments at every site (`moments`); there simulation is the judge.

References
----------
.. [1] Sherbrooke (1968), METRIC: a multi-echelon technique for recoverable item control.
.. [2] Simon (1971), Stationary properties of a two-echelon inventory model for low demand items.
.. [3] Graves (1985), A multi-echelon inventory model for a repairable item with one-for-one replenishment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths import distributions
from spareplan.stocking._faults import read_times, refuse_no_tables
from spareplan.stocking._forest import Forest, read_forest
from spareplan.stocking.laws import (
    TAIL,
    Service,
    backorder_pmf,
    convolve_poisson,
    count_reach,
    poisson_pmf,
    positions,
    thin,
)
from spareplan.stocking.lot_laws import lot_service
from spareplan.stocking.moments import metric_service, two_moment_service

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Method = Literal["exact", "two_moment", "metric"]
METHODS = ("exact", "two_moment", "metric")
EVALUATIONS = ("exact", "near_exact", "fixed_times", "two_moment", "metric")
NEAR_EXACT, FIXED_TIMES, TWO_MOMENT = 1, 2, 3
# Up to this many rows the plain road is used, so that small questions never wait for a compiler.
SMALL = 3_000
# Rows in work at a time, and the number of rows after which progress is shown.
STRETCH = 400_000
PROGRESS_ROWS = 2_000_000


def evaluate_forest(forest: Forest, method: Method = "exact") -> tuple[Service, NDArray[np.bool_]]:
    """Evaluate every row of a forest.

    Parameters
    ----------
    forest : Forest
    method : {"exact", "two_moment", "metric"}
        "exact" takes overdispersed parts by two moments.

    Returns
    -------
    Service
    ndarray of bool, shape (n,)
        Rows that were evaluated by whole laws, not by moments.
    """
    by_law = np.empty(len(forest), dtype=bool)
    out = Service(*(np.empty(len(forest)) for _ in Service._fields))
    compiled = len(forest) > SMALL
    for rows in shown(forest.stretches(STRETCH), len(forest), "evaluation"):
        part = forest.cut(rows)
        by_law[rows] = evaluation_codes(part, method) < TWO_MOMENT
        for whole, values in zip(out, _evaluate(part, by_law[rows], method, compiled)):
            whole[rows] = values
    return out, by_law


def shown(stretches: list[slice], rows: int, name: str) -> Iterable[slice]:
    """Stretches of rows, with a progress bar where they take long."""
    if rows < PROGRESS_ROWS:
        return stretches
    from tqdm.auto import tqdm

    return tqdm(stretches, desc=name, unit="stretch")


def evaluation_codes(forest: Forest, method: str) -> NDArray[np.int8]:
    """How each row is evaluated, as a place in EVALUATIONS.

    Parameters
    ----------
    forest : Forest
    method : {"exact", "two_moment", "metric"}

    Returns
    -------
    ndarray of int8, shape (n,)
        Exact: Poisson demand, lots at HQ alone or at the sites of two echelons. Near exact: below a site
        that repairs failures of its own, below a way of random length, and lots in deeper trees. Fixed times:
        lots, with a lead time somewhere that is random. Two-moment: overdispersed demand, and lots together
        with repair.
    """
    if method != "exact":
        return np.full(len(forest), EVALUATIONS.index(method), dtype=np.int8)
    near = forest.below_repair
    random = (forest.lead_sd > 0) & (forest.lead > 0)
    if random.any():
        for depth in range(1, int(forest.depth.max(initial=0)) + 1):
            rows = forest.rows_at(depth)
            near[rows] |= random[rows] | near[forest.parent[rows]]
    out = np.where(near, NEAR_EXACT, 0).astype(np.int8)
    lots = forest.in_lots
    if lots.any():
        mended, deep = np.zeros((2, len(forest.part_ids)), dtype=bool)
        mended[forest.part[(forest.repair_share > 0) | (forest.return_share > 0)]] = True
        deep[forest.part[forest.depth > 1]] = True
        of_lots = np.where(mended, TWO_MOMENT, np.where(deep, NEAR_EXACT, 0)).astype(np.int8)[forest.part]
        out[lots] = np.maximum(out, of_lots)[lots]
    if random.any():
        crossing, whole = np.zeros((2, len(forest.part_ids)), dtype=bool)
        crossing[forest.part[random]] = True
        whole[forest.part[forest.most > forest.least]] = True
        out = np.where((crossing & whole)[forest.part], np.maximum(out, FIXED_TIMES), out).astype(np.int8)
    out[forest.overdispersed] = TWO_MOMENT
    return out


def _evaluate(forest: Forest, by_law: NDArray[np.bool_], method: Method, compiled: bool) -> Service:
    """Rows by the road of each: lots below HQ, which the kernels do not know, then all others."""
    lots = forest.in_lots
    if lots.any() and not lots.all():
        out = Service(*(np.empty(len(forest)) for _ in Service._fields))
        for rows in (np.flatnonzero(lots), np.flatnonzero(~lots)):
            for whole, values in zip(out, _evaluate(forest.cut(rows), by_law[rows], method, compiled)):
                whole[rows] = values
        return out
    if compiled and not lots.any():
        return kernel_service(forest, method)
    laws = lot_service(forest, by_law, np.empty(0))[0] if lots.any() else exact_service(forest, by_law)
    if by_law.all():
        return laws
    return Service(*(np.where(by_law, a, b) for a, b in zip(laws, _by_moments(forest, method))))


def _by_moments(forest: Forest, method: Method) -> Service:
    return metric_service(forest) if method == "metric" else two_moment_service(forest)


def kernel_service(forest: Forest, method: Method = "exact") -> Service:
    """Evaluate every row by the compiled kernels: the same numbers as the plain road, for large networks.

    Parameters
    ----------
    forest : Forest
    method : {"exact", "two_moment", "metric"}
        As in `evaluate_forest`.

    Returns
    -------
    Service
    """
    from spareplan.stocking.pipelines import lay_out
    from spareplan.stocking.pricing import measure

    quantity = np.ones(len(forest.part_ids), dtype=np.int64)
    top = forest.rows_at(0)
    quantity[forest.part[top]] = (forest.most - forest.least + 1)[top]
    pipelines = lay_out(forest, np.ones(len(forest.part_ids)), method, quantity)
    rows = pipelines.forest_rows
    measured = measure(pipelines, forest.most[rows])
    ebo, fill, ready = np.empty(len(forest)), np.empty(len(forest)), np.empty(len(forest))
    ebo[rows], fill[rows], ready[rows] = measured.ebo, 1 - measured.miss, 1 - measured.over
    # The kernels do not keep the ready rate of a position that is spread over an order quantity.
    lots = top[quantity[forest.part[top]] > 1]
    mean = forest.pipeline[lots]
    variance = mean if method == "metric" else forest.pipeline_variance[lots]
    ready[lots] = 0.0
    for stock, part, weight in positions(forest.least[lots], forest.most[lots]):
        ready[lots[part]] += weight * distributions.cdf(stock, mean[part], variance[part])
    waited = np.where(forest.parent >= 0, forest.share * ebo[forest.parent], 0.0)
    return Service(ebo, forest.pipeline + waited, np.clip(fill, 0.0, 1.0), np.clip(ready, 0.0, 1.0))


def exact_service(forest: Forest, wanted: NDArray[np.bool_]) -> Service:
    """Backorders by the binomial split of the parent's backlog [2]_, [3]_ (row by row, plain numpy).

    Parameters
    ----------
    forest : Forest
    wanted : ndarray of bool, shape (n,)
        Rows to evaluate, whole parts; the others stay NaN.

    Returns
    -------
    Service
    """
    out = Service(*(np.full(len(forest), np.nan) for _ in Service._fields))
    local, supplies = forest.pipeline, forest.has_children
    backlogs: dict[int, FloatArray] = {}
    current = -1
    for row in np.flatnonzero(wanted):
        if forest.part[row] != current:
            backlogs, current = {}, forest.part[row]
        parent, least, most = int(forest.parent[row]), int(forest.least[row]), int(forest.most[row])
        waited = out.ebo[parent] * forest.share[row] if parent >= 0 else 0.0
        mean = float(local[row] + waited)
        above = backlogs.get(parent) if parent >= 0 else None
        # A site that supplies others needs its whole law; the others only what decides their own service.
        reach = most
        if supplies[row]:
            reach = max(most, count_reach(local[row]) + (len(above) if above is not None else 0))
        if above is None:
            law = poisson_pmf(float(local[row]), reach)
        else:
            law = convolve_poisson(thin(above, float(forest.share[row]), reach), float(local[row]), reach)
        below = np.cumsum(law)
        served = _average_service(below, mean, least, most)
        out.pipeline[row] = mean
        out.ebo[row], out.fill_rate[row], out.ready_rate[row] = served
        if supplies[row]:
            held = np.flatnonzero(law > TAIL * 1e-4)
            backlog = backorder_pmf(law[: held[-1] + 1] if len(held) else law[:1], least, most)
            backlogs[int(row)] = backlog
            # Summing the law keeps the digits of a tiny backlog that the difference would lose.
            out.ebo[row] = np.arange(len(backlog)) @ backlog
    return out


def evaluate_levels(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    levels: pd.DataFrame,
    method: Method = "exact",
    times: Sequence[float] = (),
) -> pd.DataFrame:
    """Service of given stock levels in a tree of sites.

    Parameters
    ----------
    sites : DataFrame
        site_id, parent_id (empty at the one HQ), lead_time_days (parent to site; HQ 0). Any depth.
    parts : DataFrame
        part_id, lead_time_days (supplier to HQ) and, if pieces come back, repairable_share and repair_days:
        that share of HQ's orders is covered by a repaired piece instead of a bought one.
    rates : DataFrame
        part_id, site_id, demand_per_day; optional vmr, rate_cv2 (demand that varies more than Poisson),
        repair_share_site, repair_days_site (share of the site's own failures that is repaired there and
        never seen by the parent; orders of the sites below are for good pieces, and none is repaired).
    levels : DataFrame
        part_id, site_id, base_stock; optionally reorder_point and order_quantity, which stand together and
        replace base_stock at HQ, and at any site that orders more than one piece at a time. Missing rows are
        0; rows where nothing is demanded below are left aside.
    method : {"exact", "two_moment", "metric"}
        "exact" is exact for Poisson demand; parts with vmr above 1 or rate_cv2 above 0 are taken by two
        moments. A vmr below 1 alone counts as Poisson, the safe side.
    times : sequence of float
        Waits to give the probability of. [days]

    Returns
    -------
    DataFrame
        A row per part x every site from each demanding site up to HQ, sorted by part as in `parts` and by
        echelon: part_id, site_id, base_stock, ebo, fill_rate, ready_rate, mean_wait_days, on_hand E(S - N)+,
        pipeline E N (all ordered, not yet received), evaluation, and wait_le_<t> per time. Fill and waits are
        of all demand arriving at the site; NaN where there is none. evaluation is the method that was used,
        or "near_exact": below a site that repairs failures of its own, where a way from the parent has a
        random length, and where sites below HQ order in lots in more than two echelons; or "fixed_times":
        lots are ordered and a lead time is random, which the figures leave out.

    Raises
    ------
    DataError
        Unknown or doubled ids, missing columns, negative or missing numbers, a tree with no or two
        headquarters or with a circle: all at once.

    References
    ----------
    .. [1] Sherbrooke (1968), METRIC: a multi-echelon technique for recoverable item control.
    .. [2] Simon (1971), Stationary properties of a two-echelon inventory model for low demand items.
    .. [3] Graves (1985), A multi-echelon inventory model for a repairable item with one-for-one
       replenishment.
    """
    if method not in METHODS:
        raise problem_in_argument(
            "evaluate_levels", "method", method, "is no evaluation", f"use one of {', '.join(METHODS)}"
        )
    refuse_no_tables("evaluate_levels", {"sites": sites, "parts": parts, "rates": rates, "levels": levels})
    days = read_times("evaluate_levels", times)
    forest = read_forest(sites, parts, rates, levels)
    service, _ = evaluate_forest(forest, method)
    shares = np.empty((len(forest), 0))
    if len(days):
        from spareplan.stocking.waiting import wait_shares

        shares = wait_shares(forest, days, method)
    waits = {f"wait_le_{time:g}": shares[:, column] for column, time in enumerate(days.tolist())}
    return service_table(forest, service, evaluation_codes(forest, method), waits)


def service_table(
    forest: Forest, service: Service, codes: NDArray[np.int8], waits: dict[str, FloatArray]
) -> pd.DataFrame:
    """Rows of `evaluate_levels`.

    Parameters
    ----------
    forest : Forest
    service : Service
        Its arrays go into the table.
    codes : ndarray of int, shape (n,)
        Evaluation of each row, as a place in `EVALUATIONS`.
    waits : mapping of str to ndarray, shape (n,)
        Further columns.

    Returns
    -------
    DataFrame
    """
    # In place where it can be: these tables may have millions of rows.
    idle = forest.demand <= 0
    wait = np.full(len(forest), np.nan)
    np.divide(service.ebo, forest.demand, out=wait, where=~idle)
    service.fill_rate[idle] = np.nan
    on_hand = (forest.least + forest.most) / 2
    on_hand -= service.pipeline
    on_hand += service.ebo
    np.maximum(on_hand, 0.0, out=on_hand)
    return pd.DataFrame(
        {
            "part_id": forest.part_ids.take(forest.part),
            "site_id": forest.site_ids.take(forest.site),
            "base_stock": forest.stock.copy(),
            "ebo": service.ebo,
            "fill_rate": service.fill_rate,
            "ready_rate": service.ready_rate,
            "mean_wait_days": wait,
            "on_hand": on_hand,
            "pipeline": service.pipeline,
            "evaluation": pd.Index(EVALUATIONS).take(codes),
            **waits,
        },
        copy=False,
    )


def _average_service(below: FloatArray, mean: float, least: int, most: int) -> tuple[float, float, float]:
    """Backorders, fill and ready rate from P(N <= 0 .. most), averaged over the positions least .. most."""
    stocks = np.arange(least, most + 1)
    summed = np.r_[0.0, np.cumsum(below)]
    ebo = float(np.maximum(mean - stocks + summed[stocks], 0.0).mean())
    fill = float(np.r_[0.0, below][stocks].mean())
    ready = float(below[stocks].mean())
    return ebo, min(fill, 1.0), min(ready, 1.0)
