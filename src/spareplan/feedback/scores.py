"""Plan against actual by group: bias, tracking signals, surprise, coverage, and the stairs of value added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from spareplan.feedback.cells import STEPS
from spareplan.maths.accuracy import (
    clustered_error,
    smoothed_limit,
    smoothed_signal,
    tracking_limit,
    tracking_signal,
)
from spareplan.maths.distributions import cdf

GROUPS: dict[str, list[str]] = {
    "total": [],
    "month": ["month"],
    "region": ["region_id"],
    "region and month": ["region_id", "month"],
    "part": ["part_id"],
    "region and part": ["region_id", "part_id"],
}
SURPRISE_LIMIT = 2.0
CONFIDENCE = 0.95
MEASURES = ["months", "planned", "actual", "error", "bias", "tracking_signal", "tracking_limit",
            "smoothed_signal", "smoothed_limit", "surprise", "absolute_error", "naive_error",
            "value_added"]  # fmt: skip
ACTIONS = {
    "short": "look for the cause; if it lasts, override upwards",
    "over": "hold purchases; if it lasts, override downwards",
    "unplanned": "add the part to the plan: machines that carry it, or its demand",
    "steady": "look at the assumptions behind it",
    "fine": "nothing to do",
}


def score_groups(cells: pd.DataFrame, unit_cost: pd.Series | None) -> pd.DataFrame:
    """Score every group of GROUPS.

    Parameters
    ----------
    cells : DataFrame
        From `compared_cells`.
    unit_cost : Series, indexed by part_id, optional

    Returns
    -------
    DataFrame
        As `score_demand(...).table`.
    """
    # Text is coded once for all groups.
    coded = cells.assign(**{name: cells[name].astype("category") for name in ("part_id", "region_id")})
    rows = [_score(coded, name, by, unit_cost) for name, by in GROUPS.items()]
    return pd.concat([row for row in rows if len(row)], ignore_index=True)


def score_coverage(cells: pd.DataFrame) -> pd.DataFrame:
    """Whether as many counts stay within the quantiles as the plan promised, for all and for each region.

    Parameters
    ----------
    cells : DataFrame

    Returns
    -------
    DataFrame
        region_id (missing: all), level, cells, parts, promised (share of part x site x month expected at or
        below the quantile: of whole numbers more than the level), within (share that was), low, high (where
        chance leaves it: counts one by one or clustered by part, whichever is wider), verdict (as promised,
        too narrow, too wide), reason.

    References
    ----------
    .. [1] Kolassa (2016), Evaluating predictive count data distributions in retail sales forecasting, IJF 32.
    """
    levels = [str(name) for name in cells if str(name).startswith("q0.")]
    reach = float(special.ndtri(0.5 + 0.5 * CONFIDENCE))
    mean = cells["planned"].to_numpy(float)
    variance = cells["vmr"].to_numpy(float) * mean + cells["rate_cv2"].to_numpy(float) * mean**2
    kept = cells[["region_id", "part_id"]].copy()
    for name in levels:
        limit = cells[name].fillna(0.0).to_numpy(float)
        kept[f"promised {name}"] = cdf(limit, mean, variance)
        kept[name] = cells["actual"].to_numpy(float) <= limit
    rows: list[dict[str, Any]] = []
    for region, own in _all_and_each(kept):
        part = pd.factorize(own["part_id"])[0]
        for name in levels:
            promised, within = own[f"promised {name}"].to_numpy(float), own[name].to_numpy(float)
            alone = np.sqrt((promised * (1.0 - promised)).sum()) / len(own)
            error = float(np.fmax(clustered_error(within - promised, part), alone))
            rows.append(
                {
                    "region_id": region,
                    "level": float(name[1:]),
                    "cells": len(own),
                    "parts": int(part.max()) + 1,
                    "promised": promised.mean(),
                    "within": within.mean(),
                    "low": max(promised.mean() - reach * error, 0.0),
                    "high": min(promised.mean() + reach * error, 1.0),
                }
            )
    names = ["region_id", "level", "cells", "parts", "promised", "within", "low", "high"]
    out = pd.DataFrame(rows, columns=names)
    narrow, wide = out["within"] < out["low"] - 1e-12, out["within"] > out["high"] + 1e-12
    out["verdict"] = np.where(narrow, "too narrow", np.where(wide, "too wide", "as promised"))
    out["reason"] = (
        out["within"].map("{:.1%} of ".format)
        + out["cells"].map("{:,} counts at or below the ".format)
        + out["level"].map("{:.0%} quantile, ".format)
        + out["promised"].map("{:.1%} expected, ".format)
        + out["low"].map("chance allows {:.1%} to ".format)
        + out["high"].map("{:.1%}: ".format)
        + out["verdict"]
    )
    return out


def score_stairs(cells: pd.DataFrame) -> pd.DataFrame:
    """What each step from a naive forecast to the plan took off the error, for all and for each region.

    Parameters
    ----------
    cells : DataFrame

    Returns
    -------
    DataFrame
        region_id (missing: all), step, planned [pieces], bias (of actual), absolute_error (sum over part,
        site and month) [pieces], squared_error [pieces²], value_added (absolute error taken off by this
        step) [pieces], gain (share of the squared error taken off), noise (standard error of the gain,
        clustered by part), verdict (helps, hurts, within luck), reason. Steps that change nothing are left
        out.

    Notes
    -----
    The verdict is by squared errors: of rare demand the absolute error is least for those who expect nothing.

    References
    ----------
    .. [1] Gilliland (2010), The Business Forecasting Deal: forecast value added.
    .. [2] Kolassa (2020), Why the "best" point forecast depends on the error or accuracy measure, IJF 36.
    """
    steps = [name for name in STEPS if _moves(cells, name)]
    rows: list[dict[str, Any]] = []
    for region, own in _all_and_each(cells):
        part = pd.factorize(own["part_id"])[0]
        actual = own["actual"].to_numpy(float)
        total, before = actual.sum(), None
        for name in steps:
            foreseen = own[name].to_numpy(float)
            off = foreseen - actual
            row = {
                "region_id": region,
                "step": STEPS[name],
                "planned": foreseen.sum(),
                "bias": foreseen.sum() / total - 1.0 if total > 0 else np.nan,
                "absolute_error": np.abs(off).sum(),
                "squared_error": (off**2).sum(),
            }
            if before is not None and (before**2).sum() > 0:
                saved, size = before**2 - off**2, (before**2).sum()
                row["value_added"] = (np.abs(before) - np.abs(off)).sum()
                row["gain"] = saved.sum() / size
                row["noise"] = clustered_error(saved, part) * len(own) / size
            rows.append(row)
            before = off
    names = ["region_id", "step", "planned", "bias", "absolute_error", "squared_error", "value_added", "gain",
             "noise"]  # fmt: skip
    out = pd.DataFrame(rows).reindex(columns=names)
    clear = out["gain"].abs() > SURPRISE_LIMIT * out["noise"]
    out["verdict"] = np.where(clear, np.where(out["gain"] > 0, "helps", "hurts"), "within luck")
    words = out["gain"].map("{:+.1%} of the squared error taken off; ".format) + out["verdict"]
    out["reason"] = words.where(out["gain"].notna(), "where the stairs begin")
    out["verdict"] = out["verdict"].where(out["gain"].notna(), None)
    return out


def _all_and_each(cells: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """All rows, and those of each region."""
    return [(None, cells), *((name, own) for name, own in cells.groupby("region_id", sort=True))]


def _moves(cells: pd.DataFrame, name: str) -> bool:
    """Whether a step of the stairs differs from the one before it."""
    if name in ("naive_year", "naive", "own"):
        return bool(cells[name].notna().all())
    before = list(STEPS)[list(STEPS).index(name) - 1]
    return bool((cells[name] - cells[before]).abs().max() > 1e-9)


def _score(cells: pd.DataFrame, name: str, by: list[str], unit_cost: pd.Series | None) -> pd.DataFrame:
    """One row per group."""
    levels = [str(column) for column in cells if str(column).startswith("q0.")]
    keyed = cells.assign(total="", error=cells["planned"] - cells["actual"])
    keys = by or ["total"]
    # The months of a group that is a month are that one alone.
    axis = "month" if "month" not in by else "total"
    error = _by_month(keyed, "error", keys, axis)
    out = keyed.groupby(keys, observed=True)[["planned", "actual", "value_added"]].sum()
    error = error.reindex(out.index)
    signed = error.to_numpy(float)
    out["months"] = error.shape[1]
    out["error"] = out["planned"] - out["actual"]
    out["bias"] = (out["error"] / out["actual"]).where(out["actual"] > 0)
    out["tracking_signal"], out["tracking_limit"] = tracking_signal(signed), tracking_limit(signed)
    out["smoothed_signal"], out["smoothed_limit"] = smoothed_signal(signed), smoothed_limit(signed)
    out["absolute_error"] = np.abs(signed).sum(axis=1)
    naive = _by_month(keyed.assign(gap=keyed["naive"] - keyed["actual"]), "gap", keys, axis)
    has_naive = keyed["naive"].notna().all()
    out["naive_error"] = naive.reindex(out.index).abs().sum(axis=1) if has_naive else np.nan
    deviation = np.sqrt(_variance(keyed, keys).reindex(out.index))
    out["surprise"] = (-out["error"] / deviation).where(deviation > 0)
    within = [f"within_{level}" for level in levels]
    for level in levels:
        # Cells the plan did not know count as 0 planned.
        keyed[f"within_{level}"] = (keyed["actual"] <= keyed[level].fillna(0.0)).astype(float)
    if within:
        out[within] = keyed.groupby(keys, observed=True)[within].mean()
    cost = 1.0 if unit_cost is None else keyed["part_id"].map(unit_cost).astype(float).fillna(0.0)
    per_part = [*keys, "part_id"] if "part_id" not in keys else keys
    worth = keyed.assign(money=keyed["error"] * cost).groupby(per_part, observed=True)["money"].sum().abs()
    out["money"] = worth.groupby(level=keys, observed=True).sum()
    known = keyed.groupby(keys, observed=True)["in_plan"].any()
    out = out.reset_index().assign(group=name)
    for column, empty in (("region_id", None), ("part_id", None), ("month", pd.NaT)):
        if column not in out:
            out[column] = empty
    out["month"] = pd.to_datetime(out["month"])
    out[["region_id", "part_id"]] = out[["region_id", "part_id"]].astype(object)
    out["finding"] = _findings(out, known.to_numpy(bool))
    out["action"] = out["finding"].map(ACTIONS)
    out["reason"] = _reasons(out)
    out = out.sort_values(["money", *keys], ascending=[False] + [True] * len(keys), kind="stable")
    names = ["group", "region_id", "part_id", "month", *MEASURES, *within, "money", "finding", "action",
             "reason"]  # fmt: skip
    return out[names]


def _by_month(keyed: pd.DataFrame, value: str, keys: list[str], axis: str) -> pd.DataFrame:
    """Sums of a value, a row per group and a column per month."""
    wide = keyed.pivot_table(value, keys, axis, aggfunc="sum", fill_value=0.0, observed=True)
    return wide[sorted(wide.columns)]


def _variance(cells: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Variance of a group's sum: sites and months of a part share its rate, parts share nothing."""
    per_part = [*keys, "part_id"] if "part_id" not in keys else keys
    own = cells.assign(
        chance=cells["vmr"] * cells["planned"], rate=np.sqrt(cells["rate_cv2"]) * cells["planned"]
    )
    sums = own.groupby(per_part, observed=True)[["chance", "rate"]].sum()
    return (sums["chance"] + sums["rate"] ** 2).groupby(level=keys, observed=True).sum()


def _findings(out: pd.DataFrame, known: np.ndarray) -> np.ndarray:
    """Key of ACTIONS for each row."""
    off = out["surprise"].abs() > SURPRISE_LIMIT
    steady = (out["tracking_signal"].abs() > out["tracking_limit"]) | (
        out["smoothed_signal"].abs() > out["smoothed_limit"]
    )
    new = ~known & (out["actual"] > 0)
    side = np.where(out["error"] < 0, "short", "over")
    return np.where(new, "unplanned", np.where(off, side, np.where(steady, "steady", "fine")))


def _reasons(out: pd.DataFrame) -> pd.Series:
    pieces = out["planned"].map("{:,.1f} planned, ".format) + out["actual"].map("{:,.0f} taken".format)
    bias = out["bias"].map(lambda share: "" if pd.isna(share) else f" ({share:+.0%})")
    words = out["finding"].map(
        {
            "short": "more than chance explains: raise the rate",
            "over": "less than chance explains: lower it",
            "unplanned": "not in the plan",
            "steady": "month after month to one side",
            "fine": "within chance",
        }
    )
    return pieces + bias + "; " + words
