"""Plan against actual: what was foreseen, what was taken from the shelves, what follows for the next run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.maths.accuracy import rate_correction, tracking_signal
from spareplan.results import Plan, Result, assumptions_frame
from spareplan.tables.frames import check_keys, require_columns
from spareplan.tables.taken import CELL, by_forecast_part, taken_from_shelves

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

SURPRISE_LIMIT = 2.0
TRACKING_LIMIT = 4.0
_MEASURES = ["months", "planned", "actual", "error", "bias", "tracking_signal", "surprise", "absolute_error",
             "value_added"]  # fmt: skip


@dataclass(frozen=True, repr=False)
class PlanScore(Result):
    """Plan against actual.

    Parameters
    ----------
    cells : DataFrame
        A row per part, site and month: planned, model, actual, and the quantiles of the plan.
    overrides : DataFrame
        Per override: who, why, months that have come, model, planned, actual, value_added (pieces of absolute
        error saved; negative: it hurt), helped.
    corrections : DataFrame
        part_id, planned, actual, factor, reason: what the next forecast would be multiplied by, were nothing
        else known.
    """

    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    overrides: pd.DataFrame = field(default_factory=pd.DataFrame)
    corrections: pd.DataFrame = field(default_factory=pd.DataFrame)


def score_plan(plan: Plan, data: Dataset) -> PlanScore:
    """Compare a stored plan with what really happened.

    Parameters
    ----------
    plan : Plan
    data : Dataset
        Later records: replacements and demand of whole months after the plan's last known day.

    Returns
    -------
    PlanScore
        `.table` as in `score_demand`; the months that are over by the data's last day.

    Raises
    ------
    DataError
        No month of the plan is over yet.
    """
    last = data.as_of()
    forecast = plan.demand.table
    months = pd.DatetimeIndex(sorted(forecast["month"].unique()))
    over = months[months + pd.offsets.MonthEnd(0) <= last]
    if not len(over):
        first = f"{months.min():%Y-%m}" if len(months) else "none"
        raise DataError(
            [
                Problem(
                    "data",
                    0,
                    "",
                    f"{last:%Y-%m-%d}",
                    f"no month of the plan (first: {first}) is over",
                    "give data that reaches beyond the plan's first month",
                )
            ]
        )
    planned = forecast[forecast["month"].isin(over)]
    actual = by_forecast_part(taken_from_shelves(data), data.parts, forecast)
    actual = actual[actual["month"].isin(over)]
    unit_cost = data.parts.set_index("part_id")["unit_cost"]
    region = data.network.region
    laid = plan.inputs.get("applied_overrides", plan.inputs.get("overrides", pd.DataFrame()))
    return score_demand(planned, actual, region, unit_cost, laid)


def score_demand(
    planned: pd.DataFrame,
    actual: pd.DataFrame,
    region: pd.Series | None = None,
    unit_cost: pd.Series | None = None,
    overrides: pd.DataFrame | None = None,
) -> PlanScore:
    """Score a demand forecast on plain tables.

    Parameters
    ----------
    planned : DataFrame
        part_id, site_id, month, mean, vmr, rate_cv2 [, model_mean, q<level>]. [pieces]
    actual : DataFrame
        part_id, site_id, month, quantity [pieces]; absent means none.
    region : Series, indexed by site_id, optional
        Region of each site; NaN: the site stands for itself.
    unit_cost : Series, indexed by part_id, optional
        Puts the parts whose error is worth most first. [money per piece]
    overrides : DataFrame, optional
        part_id, site_id, region_id, month, value, who, when, why: scored one by one.

    Returns
    -------
    PlanScore
        `.table`: a row for the total, each region, each part and each part in a region: group, region_id,
        part_id, months, planned, actual, error (planned - actual), bias (error / actual), tracking_signal
        (sum of monthly errors over their mean absolute size, from -months to months), surprise (error in
        standard deviations of the forecast), absolute_error (by month), value_added (pieces of absolute error
        the overrides saved), within_q<level> (share of part x site x month at or below the quantile), money,
        reason; worst money first within a group.

    Raises
    ------
    DataError
        Missing columns or doubled keys.

    References
    ----------
    .. [1] Brown (1962), Smoothing, Forecasting and Prediction of Discrete Time Series: the tracking signal.
    .. [2] Gilliland (2010), The Business Forecasting Deal: forecast value added.
    """
    require_columns(planned, [*CELL, "mean", "vmr", "rate_cv2"], "planned")
    require_columns(actual, [*CELL, "quantity"], "actual")
    check_keys(planned, CELL, "planned")
    check_keys(actual, CELL, "actual")
    cells = _cells(planned, actual, region)
    levels = [name for name in planned.columns if name.startswith("q0.")]
    groups = {
        "total": [],
        "region": ["region_id"],
        "part": ["part_id"],
        "region and part": ["region_id", "part_id"],
    }
    rows = [_score(cells, name, by, levels, unit_cost) for name, by in groups.items()]
    table = pd.concat([row for row in rows if len(row)], ignore_index=True)
    laid = _score_overrides(cells, overrides)
    corrections = _corrections(cells)
    months = sorted(cells["month"].unique())
    assumed = assumptions_frame(
        [
            {
                "stage": "accuracy",
                "name": "months",
                "value": ", ".join(f"{month:%Y-%m}" for month in months),
                "origin": "data: plan and records",
                "meaning": "months of the plan that are over",
            },
            {
                "stage": "accuracy",
                "name": "absent",
                "value": 0,
                "unit": "pieces",
                "origin": "default",
                "meaning": "a part, site and month without record had no demand",
            },
        ]
    )
    return PlanScore(table, assumed, _lines(table, laid, levels), cells, laid, corrections)


def _cells(planned: pd.DataFrame, actual: pd.DataFrame, region: pd.Series | None) -> pd.DataFrame:
    """Plan and actual side by side; what was not planned or did not happen is 0."""
    kept = [
        str(name)
        for name in planned
        if name in (*CELL, "mean", "model_mean", "vmr", "rate_cv2") or str(name).startswith("q0.")
    ]
    both = planned[kept].merge(actual[[*CELL, "quantity"]], on=CELL, how="outer", sort=True)
    both = both.rename(columns={"mean": "planned", "quantity": "actual", "model_mean": "model"})
    both["planned"] = both["planned"].fillna(0.0)
    both["actual"] = both["actual"].fillna(0.0)
    both["model"] = both["model"].fillna(both["planned"]) if "model" in both else both["planned"]
    both["vmr"], both["rate_cv2"] = both["vmr"].fillna(1.0), both["rate_cv2"].fillna(0.0)
    own = both["site_id"].astype(object)
    both["region_id"] = (
        own if region is None else own.map(region).astype(object).where(own.map(region).notna(), own)
    )
    both["value_added"] = (both["actual"] - both["model"]).abs() - (both["actual"] - both["planned"]).abs()
    return both.sort_values(CELL, kind="stable").reset_index(drop=True)


def _score(
    cells: pd.DataFrame, name: str, by: list[str], levels: list[str], unit_cost: pd.Series | None
) -> pd.DataFrame:
    """One row per group."""
    keyed = cells.assign(total="")
    keys = by or ["total"]
    keyed["error"] = keyed["planned"] - keyed["actual"]
    error = keyed.pivot_table("error", keys, "month", aggfunc="sum", fill_value=0.0, observed=True)
    out = keyed.groupby(keys)[["planned", "actual", "value_added"]].sum()
    out["months"] = error.shape[1]
    out["error"] = out["planned"] - out["actual"]
    out["bias"] = (out["error"] / out["actual"]).where(out["actual"] > 0)
    out["tracking_signal"] = tracking_signal(error.reindex(out.index).to_numpy())
    out["absolute_error"] = error.abs().sum(axis=1)
    deviation = np.sqrt(_variance(keyed, keys).reindex(out.index))
    out["surprise"] = (-out["error"] / deviation).where(deviation > 0)
    for level in levels:
        # Cells the plan did not know count as 0 planned.
        keyed[f"within_{level}"] = (keyed["actual"] <= keyed[level].fillna(0.0)).astype(float)
    within = [f"within_{level}" for level in levels]
    if within:
        out[within] = keyed.groupby(keys)[within].mean()
    cost = 1.0 if unit_cost is None else keyed["part_id"].map(unit_cost).fillna(0.0)
    by_part = keyed.assign(money=(keyed["planned"] - keyed["actual"]) * cost)
    pieces = by_part.groupby([*keys, "part_id"] if "part_id" not in keys else keys)["money"].sum().abs()
    out["money"] = pieces.groupby(level=keys).sum()
    out = out.reset_index().assign(group=name)
    for column in ("region_id", "part_id"):
        if column not in out:
            out[column] = None
    out["reason"] = _reasons(out)
    out = out.sort_values(["money", *keys], ascending=[False] + [True] * len(keys), kind="stable")
    return out[["group", "region_id", "part_id", *_MEASURES, *within, "money", "reason"]]


def _variance(cells: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Variance of a group's sum: sites and months of a part share its rate, parts share nothing."""
    per_part = [*keys, "part_id"] if "part_id" not in keys else keys
    own = cells.assign(
        chance=cells["vmr"] * cells["planned"], rate=np.sqrt(cells["rate_cv2"]) * cells["planned"]
    )
    sums = own.groupby(per_part)[["chance", "rate"]].sum()
    return (sums["chance"] + sums["rate"] ** 2).groupby(level=keys).sum()


def _reasons(out: pd.DataFrame) -> pd.Series:
    pieces = out["planned"].map("{:,.1f} planned, ".format) + out["actual"].map("{:,.0f} taken".format)
    bias = out["bias"].map(lambda share: "" if pd.isna(share) else f" ({share:+.0%})")
    off = out["surprise"].abs() > SURPRISE_LIMIT
    side = np.where(
        out["error"] < 0, "more than chance explains: raise the rate", "less than chance explains: lower it"
    )
    steady = out["tracking_signal"].abs() > TRACKING_LIMIT
    words = np.where(off, side, np.where(steady, "month after month to one side", "within chance"))
    return pieces + bias + "; " + words


def _score_overrides(cells: pd.DataFrame, overrides: pd.DataFrame | None) -> pd.DataFrame:
    """Whether each override of the demand was nearer to what happened than the model."""
    given = ["part_id", "site_id", "region_id", "month", "value", "who", "when", "why"]
    columns = [*given, "rows", "model", "planned", "actual", "value_added", "helped"]
    if overrides is None or overrides.empty:
        return pd.DataFrame(columns=columns)
    rows: list[dict[Any, Any]] = []
    touched = cells[cells["model"] != cells["planned"]]
    for one in overrides[(overrides["table"] == "demand") & (overrides["column"] == "mean")].to_dict(
        "records"
    ):
        hit = touched
        for name in ("part_id", "site_id", "region_id", "month"):
            if not pd.isna(one[name]):
                hit = hit[hit[name] == one[name]]
        hit = hit[np.isclose(hit["planned"], float(one["value"]))]
        if len(hit):
            sums = hit[["model", "planned", "actual", "value_added"]].sum().to_dict()
            rows.append(
                {name: one[name] for name in given}
                | {"rows": len(hit)}
                | sums
                | {"helped": sums["value_added"] > 0}
            )
    return pd.DataFrame(rows, columns=columns)


def _corrections(cells: pd.DataFrame) -> pd.DataFrame:
    """Factor per part from the model's own forecast, overrides left aside."""
    weighted = cells.assign(
        chance=cells["vmr"] * cells["model"], rate=np.sqrt(cells["rate_cv2"]) * cells["model"]
    )
    sums = weighted.groupby("part_id")[["model", "actual", "chance", "rate"]].sum()
    known = sums["model"] > 0
    vmr = (sums["chance"] / sums["model"]).where(known, 1.0)
    spread = ((sums["rate"] / sums["model"]) ** 2).where(known, 0.0)
    factor = rate_correction(sums["model"], sums["actual"], vmr, spread)
    out = pd.DataFrame(
        {
            "part_id": sums.index,
            "planned": sums["model"].to_numpy(),
            "actual": sums["actual"].to_numpy(),
            "factor": factor,
        }
    )
    out["reason"] = (
        out["actual"].map("{:,.0f} taken where ".format)
        + out["planned"].map("{:,.2f} were expected".format)
        + spread.map(" by a rate known to +-{:.0%}".format).to_numpy()
        if len(out)
        else ""
    )
    return out


def _lines(table: pd.DataFrame, laid: pd.DataFrame, levels: list[str]) -> tuple[str, ...]:
    total = table.iloc[0]
    bias = "" if pd.isna(total["bias"]) else f" ({total['bias']:+.1%})"
    lines = [
        f"{total['planned']:,.0f} pieces planned in {total['months']} months, "
        f"{total['actual']:,.0f} taken{bias}"
    ]
    if levels:
        kept = ", ".join(
            f"{total[f'within_{level}']:.1%} at or below the {float(level[1:]):.0%} quantile"
            for level in levels
            if float(level[1:]) >= 0.8
        )
        lines.append(f"Of all parts, sites and months {kept}")
    parts = table[table["group"] == "part"]
    off = parts[parts["surprise"].abs() > SURPRISE_LIMIT]
    lines.append(
        f"{len(off)} of {len(parts)} parts are off by more than chance explains"
        + (f", most money in {off.iloc[0]['part_id']}: {off.iloc[0]['reason']}" if len(off) else "")
    )
    if len(laid):
        lines.append(
            f"{int(laid['helped'].sum())} of {len(laid)} overrides were nearer than the model; together they "
            f"saved {laid['value_added'].sum():,.1f} pieces of error"
        )
    return tuple(lines)
