"""How regular demand is: mean interval between demands, variation of their sizes, and the four classes.

References
----------
.. [1] Syntetos, Boylan & Croston (2005), On the categorization of demand patterns, J. Oper. Res. Soc. 56(5).
.. [2] Croston (1972), Forecasting and stock control for intermittent demands, Oper. Res. Q. 23(3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ADI_LIMIT = 1.32
CV2_LIMIT = 0.49


def demand_intervals(periods: ArrayLike, demands: ArrayLike) -> NDArray[np.float64]:
    """Mean number of periods between demands (ADI).

    Parameters
    ----------
    periods : array-like, shape (n,)
        Length of the record. [periods]
    demands : array-like, shape (n,)
        Periods with a demand above zero. [periods]

    Returns
    -------
    ndarray, shape (n,)
        periods / demands; infinite where there was no demand. [periods]
    """
    length, hits = np.asarray(periods, dtype=float), np.asarray(demands, dtype=float)
    return np.divide(length, hits, out=np.full(np.broadcast(length, hits).shape, np.inf), where=hits > 0)


def size_variation(demands: ArrayLike, total: ArrayLike, squares: ArrayLike) -> NDArray[np.float64]:
    """Squared coefficient of variation of the non-zero demand sizes (CV²).

    Parameters
    ----------
    demands : array-like, shape (n,)
        Number of periods with a demand above zero.
    total, squares : array-like, shape (n,)
        Sum and sum of squares of the demands in them. [pieces, pieces²]

    Returns
    -------
    ndarray, shape (n,)
        Sample variance (divisor demands - 1) over the squared mean; 0 with fewer than two demands.
    """
    hits = np.asarray(demands, dtype=float)
    mean = np.divide(total, hits, out=np.zeros(hits.shape), where=hits > 0)
    spread = np.maximum(np.asarray(squares, dtype=float) - hits * mean**2, 0.0)
    known = hits > 1
    return np.divide(spread, (hits - 1) * mean**2, out=np.zeros(hits.shape), where=known & (mean > 0))


def demand_class(
    adi: ArrayLike, cv2: ArrayLike, adi_limit: float = ADI_LIMIT, cv2_limit: float = CV2_LIMIT
) -> NDArray[np.str_]:
    """Class of a demand pattern by interval and size variation [1]_.

    Parameters
    ----------
    adi : array-like, shape (n,)
        Mean interval between demands, infinite where there was none. [periods]
    cv2 : array-like, shape (n,)
        Squared coefficient of variation of the sizes.
    adi_limit, cv2_limit : float
        Above these demand counts as intermittent and as erratic.

    Returns
    -------
    ndarray of str, shape (n,)
        smooth, erratic, intermittent (rare, even sizes), lumpy (rare, uneven sizes) or none.

    Examples
    --------
    >>> demand_class([1.0, 1.1, 4.0, 4.0, float("inf")], [0.1, 0.9, 0.1, 0.9, 0.0]).tolist()
    ['smooth', 'erratic', 'intermittent', 'lumpy', 'none']
    """
    interval, variation = np.asarray(adi, dtype=float), np.asarray(cv2, dtype=float)
    rare, uneven = interval > adi_limit, variation > cv2_limit
    return np.select(
        [np.isinf(interval), rare & uneven, rare, uneven],
        ["none", "lumpy", "intermittent", "erratic"],
        default="smooth",
    )
