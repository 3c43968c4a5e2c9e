"""Who overrode what, and whether it helped: forecast value added, with what luck could have done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from spareplan.maths.accuracy import clustered_error
from spareplan.tables.scopes import SCOPE, active_overrides, reached

GIVEN = ["part_id", "site_id", "region_id", "month", "value", "who", "when", "why"]
OVERRIDE_COLUMNS = [*GIVEN, "rows", "model", "planned", "actual", "value_added", "money", "helped", "reason"]
PLANNER_COLUMNS = ["who", "overrides", "helped", "rows", "months", "value_added", "money", "noise", "low",
                   "high", "verdict", "reason"]  # fmt: skip
# One or two months prove nobody's judgement.
LEAST_MONTHS = 3
CONFIDENCE = 0.95


def score_overrides(
    cells: pd.DataFrame, overrides: pd.DataFrame | None, unit_cost: pd.Series | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hold each override of the demand, and each planner, against what the model would have said.

    Parameters
    ----------
    cells : DataFrame
        From `compared_cells`.
    overrides : DataFrame, optional
        As the input table.
    unit_cost : Series, indexed by part_id, optional
        [money per piece]

    Returns
    -------
    overrides, planners : DataFrame
        OVERRIDE_COLUMNS, a row per override that changed a number of the months compared; PLANNER_COLUMNS,
        a row per planner, the most pieces saved first: value_added (pieces of absolute error saved), money,
        noise (standard error of value_added: months or parts as clusters, the wider), low, high, verdict
        (helps, hurts, within luck, too early), reason.

    Notes
    -----
    Where several overrides reach a number, it is the last one's: that one made it.
    """
    nothing = pd.DataFrame(columns=OVERRIDE_COLUMNS), pd.DataFrame(columns=PLANNER_COLUMNS)
    if overrides is None or overrides.empty or cells.empty:
        return nothing
    given = overrides.copy()
    if "expires_on" not in given:
        given["expires_on"] = pd.NaT
    live = active_overrides(given, cells["month"].min() - pd.Timedelta(days=1), "demand")
    live = live[live["column"] == "mean"]
    touched = cells[(cells["planned"] - cells["kept"]).abs() > 1e-9].reset_index(drop=True)
    owner = np.full(len(touched), -1, dtype=np.int64)
    for at, rows in reached(touched[list(SCOPE)], live):
        owner[rows] = at
    touched = touched.assign(override=owner)[owner >= 0]
    if touched.empty:
        return nothing
    cost = 1.0 if unit_cost is None else touched["part_id"].map(unit_cost).fillna(0.0)
    touched = touched.assign(money=touched["value_added"] * cost, rows=1)
    touched["who"] = touched["override"].map(live["who"])
    sums = touched.groupby("override")[["rows", "kept", "planned", "actual", "value_added", "money"]].sum()
    table = live.loc[sums.index, GIVEN].join(sums.rename(columns={"kept": "model"}))
    table["helped"] = table["value_added"] > 0
    table["reason"] = (
        table["planned"].map("{:,.1f} instead of ".format)
        + table["model"].map("{:,.1f} by the model, ".format)
        + table["actual"].map("{:,.0f} taken: ".format)
        + table["value_added"].abs().map("{:,.1f} pieces of error ".format)
        + np.where(table["helped"], "saved", "added")
    )
    order = ["money", "who", "when", "value"]
    table = table.assign(value=table["value"].astype(str)).sort_values(
        order, ascending=[False, True, True, True]
    )
    table = table[OVERRIDE_COLUMNS].reset_index(drop=True)
    return table, _by_planner(touched, table)


def _by_planner(touched: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for who, own in touched.groupby("who", sort=True):
        noise, freedom = _noise(own)
        months = own["month"].nunique()
        saved = float(own["value_added"].sum())
        reach = float(special.stdtrit(freedom, 0.5 + 0.5 * CONFIDENCE)) * noise if freedom > 0 else np.inf
        mine = table[table["who"] == who]
        rows.append(
            {
                "who": who,
                "overrides": len(mine),
                "helped": int(mine["helped"].sum()),
                "rows": len(own),
                "months": months,
                "value_added": saved,
                "money": own["money"].sum(),
                "noise": noise,
                "low": saved - reach,
                "high": saved + reach,
                "verdict": _verdict(saved, reach, months),
            }
        )
    out = pd.DataFrame(rows)
    out["reason"] = (
        out["helped"].map("{:,} of ".format)
        + out["overrides"].map("{:,} overrides nearer than the model, ".format)
        + out["value_added"].map("{:+,.1f} pieces of error saved".format)
        + out["months"].map(" in {} months: ".format)
        + out["verdict"]
    )
    return out.sort_values(["value_added", "who"], ascending=[False, True], ignore_index=True)[
        PLANNER_COLUMNS
    ]


def _noise(own: pd.DataFrame) -> tuple[float, int]:
    """Standard error of the pieces saved and its degrees of freedom, by months or by parts."""
    found = []
    for by in ("month", "part_id"):
        code, names = pd.factorize(own[by])
        if len(names) > 1:
            found.append((clustered_error(own["value_added"], code) * len(own), len(names) - 1))
    return max(found) if found else (float("nan"), 0)


def _verdict(saved: float, reach: float, months: int) -> str:
    if months < LEAST_MONTHS:
        return "too early"
    return "helps" if saved - reach > 0 else "hurts" if saved + reach < 0 else "within luck"
