"""Who overrode what, and whether it helped: forecast value added, with what luck could have done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from spareplan.maths.accuracy import clustered_error
from spareplan.tables.scopes import SCOPE, active_overrides, decision_keys, reached

GIVEN = ["part_id", "site_id", "region_id", "month", "value", "who", "when", "why"]
OVERRIDE_COLUMNS = [*GIVEN, "rows", "model", "planned", "actual", "value_added", "money", "helped", "reason"]
PLANNER_COLUMNS = ["who", "overrides", "helped", "rows", "months", "value_added", "money", "noise", "low",
                   "high", "verdict", "reason"]  # fmt: skip
# One or two months prove nobody's judgement.
LEAST_MONTHS = 3
CONFIDENCE = 0.95


def overridden_cells(
    cells: pd.DataFrame, overrides: pd.DataFrame | None, unit_cost: pd.Series | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of a plan that a planner changed, each with the override that made its number.

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
    touched, live : DataFrame
        Cells with decision (a text that names the override), who, money and squared (squared error saved)
        [money, pieces²]; the overrides that changed one, with decision. Where several reach a number it is
        the last one's: that one made it.
    """
    if overrides is None or overrides.empty or cells.empty:
        return cells.iloc[:0].assign(decision="", who="", money=0.0, squared=0.0), pd.DataFrame()
    given = overrides.copy()
    if "expires_on" not in given:
        given["expires_on"] = pd.NaT
    for name in ("month", "when", "expires_on"):
        given[name] = pd.to_datetime(given[name])
    live = active_overrides(given, cells["month"].min() - pd.Timedelta(days=1), "demand")
    live = live[live["column"] == "mean"]
    live = live.assign(decision=decision_keys(live) + "=" + live["value"].astype(str))
    touched = cells[(cells["planned"] - cells["kept"]).abs() > 1e-9].reset_index(drop=True)
    owner = np.full(len(touched), -1, dtype=np.int64)
    for at, rows in reached(touched[list(SCOPE)], live):
        owner[rows] = at
    touched, owner = touched[owner >= 0], owner[owner >= 0]
    cost = 1.0 if unit_cost is None else touched["part_id"].map(unit_cost).astype(float).fillna(0.0)
    touched = touched.assign(
        decision=live.loc[owner, "decision"].to_numpy(object),
        who=live.loc[owner, "who"].to_numpy(object),
        money=touched["value_added"] * cost,
        squared=(touched["kept"] - touched["actual"]) ** 2 - (touched["planned"] - touched["actual"]) ** 2,
    )
    return touched, live[live["decision"].isin(touched["decision"])].drop_duplicates("decision")


def score_overrides(touched: pd.DataFrame, live: pd.DataFrame) -> pd.DataFrame:
    """Hold each override of the demand against what the model would have said.

    Parameters
    ----------
    touched, live : DataFrame
        From `overridden_cells`.

    Returns
    -------
    DataFrame
        OVERRIDE_COLUMNS, a row per override: value_added (pieces of absolute error saved), money; most money
        saved first.
    """
    if touched.empty:
        return pd.DataFrame(columns=OVERRIDE_COLUMNS)
    own = touched.groupby("decision")
    sums = own[["kept", "planned", "actual", "value_added", "money"]].sum().rename(columns={"kept": "model"})
    table = live.set_index("decision")[GIVEN].join(sums.assign(rows=own.size()), how="inner")
    table["helped"] = table["value_added"] > 0
    table["reason"] = (
        table["planned"].map("{:,.1f} instead of ".format)
        + table["model"].map("{:,.1f} by the model, ".format)
        + table["actual"].map("{:,.0f} taken: ".format)
        + table["value_added"].abs().map("{:,.1f} pieces of error ".format)
        + np.where(table["helped"], "saved", "added")
    )
    table = table.assign(value=table["value"].astype(str)).sort_index()
    table = table.sort_values("money", ascending=False, kind="stable")
    return table[OVERRIDE_COLUMNS].reset_index(drop=True)


def score_planners(touched: pd.DataFrame) -> pd.DataFrame:
    """Hold each planner against the model, and against luck.

    Parameters
    ----------
    touched : DataFrame
        From `overridden_cells`; of several plans each month only once.

    Returns
    -------
    DataFrame
        PLANNER_COLUMNS, a row per planner, the most pieces saved first: value_added (pieces of absolute error
        saved), money, noise (standard error of value_added: months or parts as clusters, the wider), low,
        high, verdict (helps, hurts, within luck, too early), reason. Squared errors must agree with a
        verdict: of rare demand the absolute error is least for those who expect nothing.

    References
    ----------
    .. [1] Gilliland (2010), The Business Forecasting Deal: forecast value added.
    """
    rows: list[dict[str, Any]] = []
    for who, own in touched.groupby("who", sort=True):
        noise, freedom = _noise(own)
        months = own["month"].nunique()
        saved = float(own["value_added"].sum())
        reach = float(special.stdtrit(freedom, 0.5 + 0.5 * CONFIDENCE)) * noise if freedom > 0 else np.inf
        each = own.groupby("decision")["value_added"].sum()
        rows.append(
            {
                "who": who,
                "overrides": len(each),
                "helped": int((each > 0).sum()),
                "rows": len(own),
                "months": months,
                "value_added": saved,
                "money": own["money"].sum(),
                "noise": noise,
                "low": saved - reach,
                "high": saved + reach,
                "verdict": _verdict(saved, reach, months, float(own["squared"].sum())),
            }
        )
    if not rows:
        return pd.DataFrame(columns=PLANNER_COLUMNS)
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


def _verdict(saved: float, reach: float, months: int, squared: float) -> str:
    if months < LEAST_MONTHS:
        return "too early"
    if saved - reach > 0 and squared > 0:
        return "helps"
    return "hurts" if saved + reach < 0 and squared < 0 else "within luck"
