"""Backorders through the tree of sites: exact, two-moment and METRIC evaluation of given levels.

Every site follows one-for-one replenishment, first come first served; HQ may order in quantities. A failed
piece is repaired where it failed: of a site's own demand d the share r comes back in T days, while an order
of a site below is for a good piece, brings none to repair and always goes on to the parent. With l all demand
arriving at a site, u = l - r d its orders, L the time from its parent, p the share of the parent's demand
that u is and B the parent's backorders, the pieces on order at the site are
N = Poisson(u L + r d T) + Binomial(B, p), and its own backorders are (N - S)+. The split of B is exact where
the parent repairs nothing of its own; below a site that does, it is nearly so (`evaluation` says it).

By Palm's theorem only the mean of a lead time matters for a Poisson stream, so repair shares enter as
mixtures, and the spread of the supplier's lead time changes neither backorders nor fill rates, at any site.
It does change the law of the wait (see `waiting`), and everything where HQ orders in quantities: there whole
lots cross. A spread of the ways below HQ changes a little where the parent may be short, and nothing where
it never is. `simulate` draws random times (`lead_time_sd_days`) and shows all this. Demand that varies more than Poisson is matched by two moments at every site; there
simulation is the judge.

References
----------
.. [1] Sherbrooke (1968), METRIC: a multi-echelon technique for recoverable item control.
.. [2] Simon (1971), Stationary properties of a two-echelon inventory model for low demand items.
.. [3] Graves (1985), A multi-echelon inventory model for a repairable item with one-for-one replenishment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths import distributions
from spareplan.stocking._forest import Forest, read_forest
from spareplan.stocking.laws import (
    TAIL,
    backorder_pmf,
    convolve_poisson,
    count_reach,
    poisson_pmf,
    positions,
    station_moments,
    thin,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Method = Literal["exact", "two_moment", "metric"]
METHODS = ("exact", "two_moment", "metric")
# Up to this many rows the plain road is used, so that small questions never wait for a compiler.
SMALL = 3_000


class Service(NamedTuple):
    """What every row of a forest gives (arrays, shape (n,)).

    Parameters
    ----------
    ebo, pipeline : ndarray
        Expected backorders, and mean pieces on order. [pieces]
    fill_rate, ready_rate : ndarray
        P(N < S) and P(N <= S).
    """

    ebo: FloatArray
    pipeline: FloatArray
    fill_rate: FloatArray
    ready_rate: FloatArray


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
        Rows that were evaluated exactly.
    """
    exact = ~forest.overdispersed & (method == "exact")
    if len(forest) > SMALL:
        return kernel_service(forest, method), exact
    if method == "metric":
        return metric_service(forest), exact
    if method == "two_moment":
        return two_moment_service(forest), exact
    parts_exact = exact_service(forest, exact)
    if exact.all():
        return parts_exact, exact
    by_moments = two_moment_service(forest)
    return Service(*(np.where(exact, a, b) for a, b in zip(parts_exact, by_moments))), exact


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
    from spareplan.stocking.pricing import lay_out, measure

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


def metric_service(forest: Forest) -> Service:
    """Backorders with every count on order taken as Poisson [1]_; kept for comparison only.

    Parameters
    ----------
    forest : Forest

    Returns
    -------
    Service
    """
    out = Service(*(np.zeros(len(forest)) for _ in Service._fields))
    local = forest.pipeline
    for depth in range(int(forest.depth.max(initial=-1)) + 1):
        rows = forest.rows_at(depth)
        parent = np.maximum(forest.parent[rows], 0)
        mean = local[rows] + np.where(depth > 0, forest.share[rows] * out.ebo[parent], 0.0)
        out.pipeline[rows] = mean
        for stock, part, weight in positions(forest.least[rows], forest.most[rows]):
            at = rows[part]
            out.ebo[at] += weight * distributions.loss(stock, mean[part])
            out.fill_rate[at] += weight * distributions.cdf(stock - 1, mean[part])
            out.ready_rate[at] += weight * distributions.cdf(stock, mean[part])
    return out


class Moments(NamedTuple):
    """Two moments per row of a forest (arrays, shape (n,)).

    Parameters
    ----------
    mean, variance : ndarray
        Pieces on order. [pieces, pieces²]
    backlog, backlog_variance : ndarray
        Backorders. [pieces, pieces²]
    backlog_tie : ndarray
        Covariance of the backorders and the part's common rate, relative to its mean. [pieces]
    seen : ndarray
        Mean pieces on order that an arriving piece finds. [pieces]
    """

    mean: FloatArray
    variance: FloatArray
    backlog: FloatArray
    backlog_variance: FloatArray
    backlog_tie: FloatArray
    seen: FloatArray


def forest_moments(forest: Forest) -> Moments:
    """Two moments of orders and backorders down the forest, overdispersion included.

    Parameters
    ----------
    forest : Forest

    Returns
    -------
    Moments

    Notes
    -----
    A rate that is unknown but common to all sites ties a site's own pipeline to its parent's backlog: with G
    the relative rate, Cov(G, B) = Cov(G, N)/Var(N) E[B (N - E N)], exact at HQ for Poisson demand given a
    gamma rate. Arriving pieces find more on order than the mean, because high rates bring more of them and
    because they come together with others: the counts they find keep the ratio of variance to mean.
    """
    out = Moments(*(np.zeros(len(forest)) for _ in Moments._fields))
    local, direct = forest.pipeline, forest.pipeline_variance
    own_tie, ahead, lump = forest.rate_tie, forest.seen_ahead, forest.parent_lump
    for depth in range(int(forest.depth.max(initial=-1)) + 1):
        rows = forest.rows_at(depth)
        parent = np.maximum(forest.parent[rows], 0)
        share = np.where(depth > 0, forest.share[rows], 0.0)
        mean, variance = station_moments(
            local[rows], direct[rows], share, out.backlog[parent], out.backlog_variance[parent], lump[rows],
            local[rows] * share * out.backlog_tie[parent],
        )  # fmt: skip
        out.mean[rows], out.variance[rows] = mean, variance
        tied = own_tie[rows] + share * out.backlog_tie[parent]
        out.seen[rows] = mean + ahead[rows] + share * out.backlog_tie[parent]
        second, crossed = np.zeros(len(rows)), np.zeros(len(rows))
        for stock, part, weight in positions(forest.least[rows], forest.most[rows]):
            e, v = distributions.backlog(stock, mean[part], variance[part])
            out.backlog[rows[part]] += weight * e
            second[part] += weight * (v + e**2)
            crossed[part] += weight * (v + e**2 + (stock - mean[part]) * e)
        out.backlog_variance[rows] = np.maximum(second - out.backlog[rows] ** 2, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = np.where(tied > 0, tied / variance, 0.0)
        out.backlog_tie[rows] = slope * crossed
    return out


def two_moment_service(forest: Forest) -> Service:
    """Backorders with pieces on order as a negative binomial of their mean and variance [3]_.

    Parameters
    ----------
    forest : Forest

    Returns
    -------
    Service
    """
    moments = forest_moments(forest)
    fill, ready = np.zeros(len(forest)), np.zeros(len(forest))
    for stock, part, weight in positions(forest.least, forest.most):
        seen = moments.seen[part]
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(moments.mean[part] > 0, moments.variance[part] / moments.mean[part], 1.0)
        fill[part] += weight * distributions.cdf(stock - 1, seen, seen * ratio)
        ready[part] += weight * distributions.cdf(stock, moments.mean[part], moments.variance[part])
    return Service(moments.backlog, moments.mean, fill, ready)


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
        part_id, site_id, base_stock; at HQ optionally reorder_point and order_quantity (together they replace
        base_stock: results are averaged over the positions R+1 .. R+Q, which is exact). Missing rows are 0;
        rows where nothing is demanded below are left aside.
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
        or "near_exact" below a site that repairs failures of its own.

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
    bad_times = [t for t in times if not (t >= 0 and np.isfinite(t))]
    if bad_times:
        raise problem_in_argument(
            "evaluate_levels",
            "times",
            bad_times,
            "holds no finite days of at least 0",
            "give days of at least 0",
        )
    forest = read_forest(sites, parts, rates, levels)
    service, exact = evaluate_forest(forest, method)
    table = service_table(forest, service)
    other = "metric" if method == "metric" else "two_moment"
    table["evaluation"] = np.where(exact, np.where(forest.below_repair, "near_exact", "exact"), other)
    if len(times):
        from spareplan.stocking.waiting import wait_shares

        shares = wait_shares(forest, np.asarray(times, dtype=float), method)
        names = [f"wait_le_{time:g}" for time in times]
        table = pd.concat([table, pd.DataFrame(shares, columns=names)], axis=1)
    return table


def service_table(forest: Forest, service: Service) -> pd.DataFrame:
    """Rows of `evaluate_levels` without evaluation and waits.

    Parameters
    ----------
    forest : Forest
    service : Service

    Returns
    -------
    DataFrame
    """
    demanded = forest.demand > 0
    mean_stock = (forest.least + forest.most) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        wait = np.where(demanded, service.ebo / forest.demand, np.nan)
    return pd.DataFrame(
        {
            "part_id": forest.part_ids.take(forest.part),
            "site_id": forest.site_ids.take(forest.site),
            "base_stock": forest.stock,
            "ebo": service.ebo,
            "fill_rate": np.where(demanded, service.fill_rate, np.nan),
            "ready_rate": service.ready_rate,
            "mean_wait_days": wait,
            "on_hand": np.maximum(mean_stock - service.pipeline + service.ebo, 0.0),
            "pipeline": service.pipeline,
        }
    )


def _average_service(below: FloatArray, mean: float, least: int, most: int) -> tuple[float, float, float]:
    """Backorders, fill and ready rate from P(N <= 0 .. most), averaged over the positions least .. most."""
    stocks = np.arange(least, most + 1)
    summed = np.r_[0.0, np.cumsum(below)]
    ebo = float(np.maximum(mean - stocks + summed[stocks], 0.0).mean())
    fill = float(np.r_[0.0, below][stocks].mean())
    ready = float(below[stocks].mean())
    return ebo, min(fill, 1.0), min(ready, 1.0)
