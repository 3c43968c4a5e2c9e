"""One part at one site: base stock and order quantity.

Counts on order are Poisson, or negative binomial where the variance lies above the mean. A variance below
the mean counts as Poisson, which is on the safe side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.maths import distributions

FloatArray = NDArray[np.float64]


class BaseStockService(NamedTuple):
    """What a base stock does at one site (arrays of one shape).

    Parameters
    ----------
    ebo : ndarray
        Expected backorders. [pieces]
    fill_rate : ndarray
        Share of demand met from the shelf.
    ready_rate : ndarray
        Share of time without backorder.
    on_hand : ndarray
        Mean pieces on the shelf. [pieces]
    """

    ebo: FloatArray
    fill_rate: FloatArray
    ready_rate: FloatArray
    on_hand: FloatArray


class OrderPolicy(NamedTuple):
    """Reorder point, order quantity and what they cost per unit of time."""

    reorder_point: int
    order_quantity: int
    cost: float


def expected_backorders(stock: ArrayLike, mean: ArrayLike, variance: ArrayLike | None = None) -> Any:
    """Expected backorders of a base-stock policy.

    Parameters
    ----------
    stock : array-like of whole numbers, broadcast to shape (n,)
        Base stock level S. [pieces]
    mean : array-like, broadcast to shape (n,)
        Mean lead-time demand. [pieces]
    variance : array-like, broadcast to shape (n,), optional
        Variance of lead-time demand: above the mean negative binomial, at or below it Poisson (the safe
        side); None means Poisson. [pieces²]

    Returns
    -------
    ndarray, shape (n,), or float where every argument is one number
        E[(D - S)+]. [pieces]

    Raises
    ------
    DataError
        If stock, mean or variance is negative, not a number, or stock is not whole.

    References
    ----------
    .. [1] Sherbrooke (2004), Optimal Inventory Modeling of Systems, ch. 2.
    """
    s, m, v, scalar = _checked("expected_backorders", stock, mean, variance)
    ebo = distributions.loss(s, m, np.maximum(v, m)).reshape(s.shape)
    return float(ebo) if scalar else ebo


def base_stock_service(
    stock: ArrayLike, mean: ArrayLike, variance: ArrayLike | None = None
) -> BaseStockService:
    """Backorders, fill rate, ready rate and shelf stock of a base-stock policy.

    Parameters
    ----------
    stock, mean, variance : array-like, broadcast to shape (n,)
        As in `expected_backorders`. [pieces, pieces, pieces²]

    Returns
    -------
    BaseStockService
        Fill rate P(D <= S - 1), ready rate P(D <= S).

    Raises
    ------
    DataError
        As in `expected_backorders`.
    """
    s, m, v, _ = _checked("base_stock_service", stock, mean, variance)
    v = np.maximum(v, m)
    ebo = distributions.loss(s, m, v).reshape(s.shape)
    fill, ready = distributions.cdf(s - 1, m, v), distributions.cdf(s, m, v)
    return BaseStockService(ebo, fill, ready, s - m + ebo)


def order_quantity_cost(
    reorder_point: int,
    order_quantity: int,
    mean: float,
    demand_rate: float,
    holding_cost: float,
    stockout_cost: float,
    fixed_cost: float,
) -> float:
    """Cost per unit of time of ordering Q pieces whenever the position falls to R, Poisson demand.

    Parameters
    ----------
    reorder_point, order_quantity : int
        R >= -1 and Q >= 1. [pieces]
    mean : float
        Mean lead-time demand. [pieces]
    demand_rate : float
        [pieces per unit of time]
    holding_cost, stockout_cost : float
        [money per piece and unit of time]
    fixed_cost : float
        [money per order]

    Returns
    -------
    float
        Fixed cost of orders plus the mean over the positions R+1 .. R+Q of holding and stock-out cost.

    References
    ----------
    .. [1] Federgruen and Zheng (1992), An efficient algorithm for computing an optimal (r, Q) policy.
    """
    position = np.arange(reorder_point + 1, reorder_point + order_quantity + 1)
    rates = _position_cost(position, mean, holding_cost, stockout_cost)
    return float((fixed_cost * demand_rate + rates.sum()) / order_quantity)


def best_order_policy(
    demand_rate: float, lead_time: float, holding_cost: float, stockout_cost: float, fixed_cost: float
) -> OrderPolicy:
    """Cheapest reorder point and order quantity for Poisson demand and continuous review.

    Parameters
    ----------
    demand_rate : float
        [pieces per unit of time]
    lead_time : float
        [same unit of time]
    holding_cost, stockout_cost : float
        [money per piece and unit of time]
    fixed_cost : float
        [money per order]

    Returns
    -------
    OrderPolicy

    Raises
    ------
    DataError
        If a rate or cost is not positive (fixed cost and lead time may be 0).

    References
    ----------
    .. [1] Federgruen and Zheng (1992), An efficient algorithm for computing an optimal (r, Q) policy: the
       position next in cost joins the window R+1 .. R+Q as long as it is cheaper than the average so far.
    """
    for name, value, least in [
        ("demand_rate", demand_rate, 1e-300),
        ("lead_time", lead_time, 0.0),
        ("holding_cost", holding_cost, 1e-300),
        ("stockout_cost", stockout_cost, 1e-300),
        ("fixed_cost", fixed_cost, 0.0),
    ]:
        if not (value >= least and np.isfinite(value)):
            raise problem_in_argument(
                "best_order_policy",
                name,
                value,
                "is not a positive number",
                "give a finite number above 0 (fixed_cost and lead_time: 0 or above)",
            )
    mean = demand_rate * lead_time
    ratio = stockout_cost / (stockout_cost + holding_cost)
    low = high = int(distributions.quantile(ratio, mean))

    def cost(position: int) -> float:
        return float(_position_cost(np.array([position]), mean, holding_cost, stockout_cost)[0])

    total = fixed_cost * demand_rate + cost(low)
    below, above = cost(low - 1), cost(high + 1)
    while min(below, above) < total / (high - low + 1):
        total += min(below, above)
        if below <= above:
            low -= 1
            below = cost(low - 1)
        else:
            high += 1
            above = cost(high + 1)
    return OrderPolicy(low - 1, high - low + 1, total / (high - low + 1))


def _position_cost(position: NDArray[np.int64], mean: float, holding: float, stockout: float) -> FloatArray:
    short = distributions.loss(position, mean)
    return holding * (position - mean + short) + stockout * short


def _checked(
    function: str, stock: ArrayLike, mean: ArrayLike, variance: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray, bool]:
    given = {"stock": stock, "mean": mean, "variance": mean if variance is None else variance}
    arrays = {name: np.asarray(value, dtype=float) for name, value in given.items()}
    problems = []
    for name, array in arrays.items():
        bad = ~(array >= 0) | np.isinf(array)
        if name == "stock":
            bad |= array != np.floor(array)
        if bad.any() and not (name == "variance" and variance is None):
            rule = "is negative, not a number or infinite" + (
                ", or not a whole number" if name == "stock" else ""
            )
            first = array[bad].flat[0]
            problems.append(
                Problem(function, 0, name, f"{first:g}", rule, "give finite numbers of at least 0")
            )
    if problems:
        raise DataError(problems)
    s, m, v = np.broadcast_arrays(arrays["stock"], arrays["mean"], arrays["variance"])
    return s, m, v, all(array.ndim == 0 for array in arrays.values())
