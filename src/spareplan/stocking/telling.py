"""What a colleague would say about stock levels: cost, proof, promises, and what more money buys."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.stocking.curve import Frontier
from spareplan.stocking.finding import Found
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.promises import Promises
from spareplan.stocking.shortage import Shortage
from spareplan.stocking.worth import next_money

FloatArray = NDArray[np.float64]
SHOWN = 3
# The next money is told for about this share of the plan's.
NEXT_SHARE = 0.01
# Beyond so many rows it is left to `StockLevels.next_money`.
TOLD_ROWS = 12_000
MEASURE_WORDS = {
    "fill_rate": "fill rate {:.1%} for {:.1%}",
    "in_window": "{:.1%} within the window for {:.1%}",
    "mean_wait_days": "mean wait {:.3g} for {:.3g} days",
    "money": "money {:,.0f} for a cap of {:,.0f}",
}
POINT_WORDS = {
    "fill_rate": "one more point of fill rate",
    "in_window": "one more point within the window",
    "mean_wait_days": "0.1 day of wait less",
}


def level_lines(
    table: pd.DataFrame,
    service: pd.DataFrame,
    shadow_prices: pd.DataFrame,
    pipelines: Pipelines,
    promises: Promises,
    found: Found,
    short: Shortage | None = None,
    least_budget: float | None = None,
) -> tuple[str, ...]:
    """Sentences for `StockLevels.lines`, most important first.

    Parameters
    ----------
    table, service, shadow_prices : DataFrame
        Of the result.
    pipelines, promises, found
        Behind it.
    short : Shortage, optional
        Where the budget does not pay for all promises.
    least_budget : float, optional
        What would. [money]

    Returns
    -------
    tuple of str
    """
    lines = [
        f"{found.cost:,.0f} in base stock for {table['part_id'].nunique():,} parts at "
        f"{table['site_id'].nunique():,} sites ({int(table['base_stock'].sum()):,} pieces)",
        _proof(found, short),
    ]
    asked = service[(service["demand_per_day"] > 0) | (service["measure"] == "money")]
    if len(asked):
        lines.append(_kept(asked, least_budget if short is not None else None))
    idle = service[(service["demand_per_day"] <= 0) & (service["measure"] != "money")]
    if len(idle):
        more = f" and {len(idle) - SHOWN} more" if len(idle) > SHOWN else ""
        lines.append(
            "promised where nothing is demanded, so nothing is stocked for it: "
            + ", ".join(idle["group"].head(SHOWN).astype(str))
            + more
        )
    dear = shadow_prices[(shadow_prices["one_point_costs"] > 0) & (shadow_prices["measure"] != "money")]
    dear = dear.nlargest(SHOWN, "one_point_costs")
    if len(dear):
        lines.append(
            "dearest promises, to first order: "
            + ", ".join(
                f"{POINT_WORDS[str(row.measure)]} for {row.group} costs {row.one_point_costs:,.0f}"
                for row in dear.itertuples()
            )
        )
    bought = next_money_line(pipelines, promises, found)
    if bought:
        lines.append(bought)
    parts = table.groupby("part_id", sort=True, observed=True)["value"].sum().nlargest(SHOWN)
    if len(parts) and parts.iloc[0] > 0:
        lines.append("most money in " + ", ".join(f"{part} ({value:,.0f})" for part, value in parts.items()))
    return tuple(lines)


def next_money_line(pipelines: Pipelines, promises: Promises, found: Found) -> str:
    """What about a hundredth more money buys; "" where looking would take long, or nothing is bought."""
    amount = nice_amount(found.cost * NEXT_SHARE)
    if amount <= 0 or len(pipelines.stop) > TOLD_ROWS or found.interrupted or not (found.prices > 0).any():
        return ""
    bought = next_money(Frontier(pipelines, promises, found), amount).iloc[0]
    if bought["pieces_more"] <= 0:
        return ""
    return (
        f"the next {amount:,.0f} would buy {bought['pieces_more']:,} pieces: "
        f"{bought['points_of_fill']:.2g} points of fill rate over all demand and "
        f"{bought['machine_hours_saved_per_year']:,.0f} machine-hours of waiting a year less"
    )


def nice_amount(amount: float) -> float:
    """Round to 1, 2 or 5 times a power of ten.

    Examples
    --------
    >>> nice_amount(13_700.0), nice_amount(38_000.0), nice_amount(0.07)
    (10000.0, 50000.0, 0.05)
    """
    if not amount > 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(amount))
    steps = np.array([1.0, 2.0, 5.0, 10.0])
    return float(round(steps[int(np.abs(np.log(steps * power / amount)).argmin())] * power, 12))


def _proof(found: Found, short: Shortage | None) -> str:
    if short is not None:
        return (
            f"the best service for the money: what is missed weighs {short.shortfall:,.0f} at the prices of "
            f"the promises, and no levels for this money miss less than {short.least_shortfall:,.0f}"
        )
    gap = f"gap {found.cost / found.bound - 1:.3%}" if found.bound > 0 else "nothing needs to be stocked"
    return f"no whole levels keep the same promises below {found.bound:,.0f}: {gap} ({found.road}" + (
        ", broken off early)" if found.interrupted else ")"
    )


def _kept(service: pd.DataFrame, least_budget: float | None) -> str:
    kept = int(service["kept"].sum())
    if least_budget is None:
        near = service.iloc[int(service["slack"].abs().to_numpy().argmin())]
        return f"{kept} of {len(service)} promises kept; tightest {near['group']}: {_reached(near)}"
    far = service[~service["kept"]].copy()
    scale = np.where(far["measure"] == "mean_wait_days", far["target"], 1 - far["target"])
    far["behind"] = -far["slack"] / np.maximum(scale, 1e-12)
    told = "; ".join(
        f"{row['group']}: {_reached(row)}" for _, row in far.nlargest(SHOWN, "behind").iterrows()
    )
    return (
        f"{kept} of {len(service)} promises kept; all of them need {least_budget:,.0f}. "
        f"Furthest behind: {told}"
    )


def _reached(row: pd.Series) -> str:
    return MEASURE_WORDS[str(row["measure"])].format(row["reached"], row["target"])
