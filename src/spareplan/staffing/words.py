"""Figures in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST_DIGITS = 6


def share_against(share: float, target: float, digits: int = 0) -> str:
    """Write a share in percent with as many digits as tell it from the target.

    Parameters
    ----------
    share, target : float
    digits : int
        Least digits after the point.

    Returns
    -------
    str

    Examples
    --------
    >>> share_against(0.82, 0.95), share_against(0.9495, 0.95, 1), share_against(0.95, 0.95)
    ('82%', '94.95%', '95%')
    """
    alike = bool(np.isclose(share, target, rtol=0.0, atol=10.0 ** -(_MOST_DIGITS + 2)))
    for more in range(digits, _MOST_DIGITS):
        told = f"{share:.{more}%}"
        if alike or told != f"{target:.{more}%}":
            return told
    return f"{share:.{_MOST_DIGITS}%}"


def promised(target: float) -> str:
    """Write a promised share as it was given: 95%, 99.5%."""
    return f"{100.0 * target:.6g}%"


def hours_instead(needed: float, now: float) -> str:
    """Write hours needed beside those of today, with as many digits as tell them apart."""
    for digits in range(2, _MOST_DIGITS):
        if f"{needed:.{digits}g}" != f"{now:.{digits}g}":
            break
    return f"{needed:.{digits}g} h instead of {now:.{digits}g} h"


def stock_reason(
    head: dict[str, Any],
    pieces: int,
    money: float,
    then: float,
    target: float,
    listed: bool,
    repair: tuple[float, float],
) -> str:
    """Say what pieces of stock do for a promise that missing parts break.

    Parameters
    ----------
    head : dict
        missing_now, missing_needed, resolve_now: a row of `spareplan.staffing.cures.stock_cures`.
    pieces, money : int, float
        All pieces of the promise and their price.
    then, target : float
        Share solved in time with them, and promised.
    listed : bool
        Whether stock of the region is known.
    repair : tuple of float
        Mean repair now, and at most with all parts at hand; NaN: none would do. [hours]

    Returns
    -------
    str
    """
    share = f"{head['missing_now']:.1%} of orders miss their part"
    if np.isnan(head["missing_needed"]):
        solved = f"{share_against(then, target, 1)} are solved in time, {promised(target)} promised"
        besides = "no shorter repair would do besides"
        if not np.isnan(repair[1]):
            besides = f"a mean repair of {hours_instead(repair[1], repair[0])} would do besides"
        return f"{share}; even with all parts at hand {solved}: {besides}"
    share += f", {head['missing_needed']:.1%} would do"
    if not pieces:
        return f"{share}; " + (
            "the stock listed meets its demand" if listed else "no stock of the region is known"
        )
    before = share_against(head["resolve_now"], target, 1)
    return (
        f"{share}: {pieces} pieces for {money:,.0f} in all lift solutions in time from {before} "
        f"to {then:.1%} ({promised(target)} promised)"
    )


def repair_reason(row: dict[Any, Any]) -> str:
    """Say what shorter repairs do for a promise that repairs break.

    Parameters
    ----------
    row : dict
        A row of `spareplan.staffing.cures.repair_cures`.

    Returns
    -------
    str
    """
    now, needed, stocked = (row[f"repair_hours_{name}"] for name in ("now", "needed", "with_parts"))
    ends = f"{share_against(row['in_time_now'], row['target'], 1)} of orders"
    target = promised(row["target"])
    told = f"repairs alone end within {row['limit_hours']:.3g} h for {ends}, {target} promised; "
    if np.isnan(needed):
        told += "no shorter mean would do"
        with_parts = "nor with all parts at hand"
        if not np.isnan(stocked):
            with_parts = f"with all parts at hand {hours_instead(stocked, now)} would"
        return f"{told}, {with_parts}"
    return f"{told}a mean of {hours_instead(needed, now)} would do, {stocked:.2g} h with all parts at hand"
