"""What a colleague would say about stock levels: cost, proof, promises, and what more money buys."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.stocking.curve import Frontier
from spareplan.stocking.finding import Found
from spareplan.stocking.marginal import Bought
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
# A point of a promise is told as dear from about this share of the plan's money.
TOLD_SHARE = 1e-5
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
    bought: Bought | None = None,
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
    bought : Bought, optional
        Where a budget was spent and nothing was promised.

    Returns
    -------
    tuple of str
    """
    lines = [
        f"{found.cost:,.0f} in base stock for {table['part_id'].nunique():,} parts at "
        f"{table['site_id'].nunique():,} sites ({int(table['base_stock'].sum()):,} pieces)",
        _for_budget(pipelines, bought) if bought is not None else _proof(promises, found, short),
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
    # What costs next to nothing, as the parts without a price do, is no dear promise.
    worth_telling = shadow_prices["one_point_costs"] > (TOLD_SHARE * found.cost if found.cost > 0 else np.inf)
    dear = shadow_prices[worth_telling & (shadow_prices["measure"] != "money")]
    dear = dear.nlargest(SHOWN, "one_point_costs")
    if len(dear):
        lines.append(
            "dearest promises, to first order: "
            + ", ".join(
                f"{POINT_WORDS[row['measure']]} for {row['group']} costs {_amount(row['one_point_costs'])}"
                for row in dear.to_dict("records")
            )
        )
    # Pieces of parts that cost nothing are bought by no money.
    unpriced = ((table["base_stock"] > 0) & (table["value"] <= 0)).any()
    more_buys = "" if unpriced else next_money_line(pipelines, promises, found)
    if more_buys:
        lines.append(more_buys)
    parts = table.groupby("part_id", sort=True, observed=True)["value"].sum().nlargest(SHOWN)
    parts = parts[parts > 0]
    if len(parts):
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
        f"the next {_amount(amount)} would buy {bought['pieces_more']:,} pieces: "
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


def _for_budget(pipelines: Pipelines, bought: Bought) -> str:
    """What a budget without promises buys, and what no levels for it could reach."""
    found, asked = bought.found, float(pipelines.own.sum())
    if not asked > 0:
        return "nothing is asked for, so nothing is bought for the money"
    fill = max(1 - float((pipelines.own * found.state.miss).sum()) / asked, 0.0)
    gap = bought.waiting / bought.least_waiting - 1 if bought.least_waiting > 0 else np.inf
    apart = f": gap {gap:.3%}" if np.isfinite(gap) else ""
    early = " (broken off early)" if found.interrupted else ""
    return (
        f"{_amount(bought.budget)} buys a fill rate of {fill:.1%} over all demand and a mean wait of "
        f"{bought.waiting / asked:.4g} days; no levels for this money wait less than "
        f"{bought.least_waiting / asked:.4g} days{apart}{early}"
    )


def _amount(money: float) -> str:
    """Money in whole units, small amounts in two figures."""
    return f"{money:,.0f}" if money >= 10 or money == round(money) else f"{money:.2g}"


def _proof(promises: Promises, found: Found, short: Shortage | None) -> str:
    if promises.is_cap.all():
        return "nothing is promised, so nothing is stocked beyond floors and order quantities"
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
