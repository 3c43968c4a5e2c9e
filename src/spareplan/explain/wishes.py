"""What was asked of one level beside its promise: floors, ceilings, caps, steadiness, whose word it is."""

from __future__ import annotations

from typing import Any

import pandas as pd

from spareplan.results import Plan

Step = tuple[str, float, str, str]
DECISIONS = {
    "to_confirm": "The region plans this part: the level is a proposal for it to confirm.",
    "third_party": "A third party supplies this part: its stock is no money of headquarters.",
}


def explain_wishes(plan: Plan, level: Any, site: Any) -> tuple[list[Step], list[str]]:
    """Say what held one level, beside the promise it keeps.

    Parameters
    ----------
    plan : Plan
    level, site : row of the levels, row of the sites

    Returns
    -------
    steps : list of (step, value, unit, meaning)
    lines : list of str
    """
    steps: list[Step] = []
    lines: list[str] = []
    stock = float(level["base_stock"])
    for name, words in (("base_stock_at_least", "floor"), ("base_stock_at_most", "ceiling")):
        bound = level.get(name)
        if bound is None or pd.isna(bound):
            continue
        steps.append((words, float(bound), "pieces", f"{words} of the base stock"))
        if stock == bound:
            lines.append(f"It lies at its {words} of {bound:.0f}.")
    before = level.get("previous_base_stock")
    if before is not None and not pd.isna(before):
        steps.append(("base stock before", float(before), "pieces", "as the plan before published it"))
        held = "kept from the plan before" in str(level["reason"])
        lines.append(
            f"{before:.0f} stood in the plan before"
            + ("; another level would not save enough to change it." if held else
               "; it stays." if before == stock else "; a change pays.")
        )  # fmt: skip
    cap = cap_of(plan, site.get("region_id"))
    if cap is not None:
        used, allowed, price = cap
        steps.append(("cap of the region", allowed, "money", f"{used:,.0f} used"))
        told = f"The region may hold {allowed:,.0f} and holds {used:,.0f}"
        told += f"; a piece here counts {1 + price:.2f} times its price for that." if price > 0 else "."
        lines.append(told)
    group = level.get("part_group")
    tier = level.get("tier")
    if isinstance(group, str) and not pd.isna(tier) and group != f"tier {int(tier)}":
        lines.append(f"It is promised as {group}, apart from the other parts of the tier.")
    if (decision := level.get("decision")) in DECISIONS:
        lines.append(DECISIONS[str(decision)])
    return steps, lines


def cap_of(plan: Plan, region_id: Any) -> tuple[float, float, float] | None:
    """Money used and allowed at the sites of a region [money], and the price of its cap; None without one."""
    service, prices = plan.levels.service, plan.levels.shadow_prices
    if pd.isna(region_id) or "measure" not in service:
        return None
    row = service[(service["measure"] == "money") & (service["group"] == region_id)]
    if row.empty:
        return None
    price = prices[(prices["measure"] == "money") & (prices["group"] == region_id)]
    paid = float(price["price"].iloc[0]) if len(price) else 0.0
    return float(row["reached"].iloc[0]), float(row["target"].iloc[0]), paid
