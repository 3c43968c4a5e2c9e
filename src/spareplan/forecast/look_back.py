"""What happened, held against the forecast that was made before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.maths.distributions import cdf, quantile, sf
from spareplan.results import DemandForecast, short_number
from spareplan.tables.frames import check_keys, require_columns
from spareplan.tables.taken import CELL, by_forecast_part, taken_from_shelves

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

FloatArray = NDArray[np.float64]
GROUPS = {
    "site": ["part_id", "site_id"],
    "region": ["part_id", "region_id"],
    "part": ["part_id"],
}
# Chances below this are said as "less than once in a million".
LEAST_CHANCE = 1e-6
# From here on nobody would be surprised.
PLAIN_CHANCE = 0.1
LEAST_SAID = 0.001


def surprises(
    demand: DemandForecast,
    actual: Dataset | pd.DataFrame,
    by: str = "site",
    until: Any = None,
    region: pd.Series | None = None,
    unit_cost: pd.Series | None = None,
) -> pd.DataFrame:
    """What was taken against what was foreseen, the least likely first.

    Parameters
    ----------
    demand : DemandForecast
        Made before the months in question.
    actual : Dataset, or DataFrame
        Later records, old numbers counted as their successor's; or part_id, site_id, month, quantity
        [pieces], absent meaning none, negative a return.
    by : {"site", "region", "part"}
        Rows of the answer: part and site, part and region (a site without one stands for itself), or part.
    until : date, optional
        Last month counted; None: the last that is over by the data's last day, or the last with a quantity.
    region : Series, indexed by site_id, optional
        Needed for regions where `actual` is a frame.
    unit_cost : Series, indexed by part_id, optional
        None: the dataset's. [money per piece]

    Returns
    -------
    DataFrame
        part_id [, site_id or region_id], from_month and to_month (the months together), expected, q0.95,
        actual [pieces], probability (of so many or more, or of so few or fewer), by_chance (rows that
        chance alone would put at least this far out, at most), money ((actual - expected) x unit cost;
        missing without a cost), reason. Least probable first, then most money. Nothing foreseen and
        nothing taken: no row.

    Raises
    ------
    DataError
        No month of the forecast is over; missing columns, doubled keys or quantities that are no numbers.

    Notes
    -----
    Of a part's sites and months the chances are independent and the rate is shared: Var = sum vmr m +
    (sum sqrt(cv2) m)^2, with vmr and cv2 those of the window that the months make up.
    """
    if by not in GROUPS:
        raise problem_in_argument("surprises", "by", by, "is no grouping", f"use one of: {', '.join(GROUPS)}")
    if isinstance(actual, pd.DataFrame):
        taken, last = _checked(actual), actual["month"].max()
    else:
        taken = by_forecast_part(taken_from_shelves(actual), actual.parts, demand.table)
        last = ((actual.as_of() + pd.Timedelta(days=1)).to_period("M") - 1).to_timestamp()
        region = actual.network.region if region is None else region
        unit_cost = actual.parts.set_index("part_id")["unit_cost"] if unit_cost is None else unit_cost
    over = _months_over(demand, last, until)
    cells = _foreseen(demand, over)
    pair = ["part_id", "site_id"]
    counted = taken[taken["month"].isin(over)].groupby(pair)[["quantity"]].sum().reset_index()
    both = cells.merge(counted, on=pair, how="outer", sort=True).rename(
        columns={"quantity": "actual", "mean": "expected"}
    )
    both[["expected", "actual", "rate_cv2"]] = both[["expected", "actual", "rate_cv2"]].fillna(0.0)
    both["vmr"] = both["vmr"].fillna(1.0)
    keys = GROUPS[by]
    if by == "region":
        both["region_id"] = _regions(both["site_id"], region)
    out = _summed(both, keys)
    out = out[(out["expected"] > 0) | (out["actual"] != 0)].reset_index(drop=True)
    out["from_month"], out["to_month"] = over[0], over[-1]
    return _ranked(out, keys, unit_cost, over)


def _checked(actual: pd.DataFrame) -> pd.DataFrame:
    """A frame of quantities, refused where it cannot be counted."""
    require_columns(actual, [*CELL, "quantity"], "actual")
    check_keys(actual, CELL, "actual")
    quantity = actual["quantity"].to_numpy(dtype=float)
    wrong = np.flatnonzero(~np.isfinite(quantity))
    if len(wrong):
        raise DataError(
            Problem("actual", int(at) + 2, "quantity", str(quantity[at]), "is no number",
                    "correct the row or drop it")
            for at in wrong
        )  # fmt: skip
    if actual.empty:
        raise problem_in_argument("surprises", "actual", "0 rows", "holds no record", "give what was taken")
    return actual


def _months_over(demand: DemandForecast, last: pd.Timestamp, until: Any) -> pd.DatetimeIndex:
    """Months of the forecast that are over, from its first one."""
    months = pd.DatetimeIndex(np.sort(demand.table["month"].unique()))
    if until is not None:
        try:
            asked = pd.Timestamp(until).to_period("M").to_timestamp()
        except ValueError as error:
            rule = "is no month"
            raise problem_in_argument("surprises", "until", until, rule, "write it as 2024-01") from error
        if asked > last or asked not in months:
            raise problem_in_argument(
                "surprises", "until", f"{asked:%Y-%m}", "is not a month of the forecast that is over",
                f"the forecast begins in {months[0]:%Y-%m}, the records end in {last:%Y-%m}" if len(months)
                else "give a forecast with rows",
            )  # fmt: skip
        last = asked
    over = months[months <= last]
    if not len(over):
        first = f"{months[0]:%Y-%m}" if len(months) else "none"
        raise problem_in_argument(
            "surprises", "actual", f"{last:%Y-%m}", f"no month of the forecast (first: {first}) is over",
            "give later records, or a forecast with an earlier as_of",
        )  # fmt: skip
    return over


def _foreseen(demand: DemandForecast, over: pd.DatetimeIndex) -> pd.DataFrame:
    """Mean of the months together, with the pair of parameters of the window they make up."""
    pair = ["part_id", "site_id"]
    table = demand.table[demand.table["month"].isin(over)]
    if len(over) == 1 or demand.windows.empty:
        mean = table["mean"]
        root = np.sqrt(table["rate_cv2"]) * mean
        weighed = table[pair].assign(mean=mean, vmr=table["vmr"] * mean, root=root)
        sums = weighed.groupby(pair, as_index=False).sum()
        safe = sums["mean"].where(sums["mean"] > 0, 1.0)
        sums["vmr"], sums["rate_cv2"] = sums["vmr"] / safe, (sums["root"] / safe) ** 2
        return sums.drop(columns="root")
    means = table.groupby(pair, as_index=False)["mean"].sum()
    days = (over[-1] + pd.offsets.MonthEnd(0) - demand.as_of.normalize()).days
    window = demand.lead_time_demand(float(days))[[*pair, "vmr", "rate_cv2"]]
    return means.merge(window, on=pair, how="left", validate="1:1")


def _regions(site_id: pd.Series, region: pd.Series | None) -> pd.Series:
    if region is None:
        raise problem_in_argument(
            "surprises", "region", "None", "is needed to sum by region", "give a Series site_id -> region_id"
        )
    named = site_id.map(region).astype(object)
    return named.where(named.notna(), site_id.astype(object))


def _summed(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sums over sites: chances are independent, the rate of a part is shared."""
    own = cells.assign(
        chance=cells["vmr"] * cells["expected"], rate=np.sqrt(cells["rate_cv2"]) * cells["expected"]
    )
    sums = own.groupby(keys, sort=True)[["expected", "actual", "chance", "rate"]].sum().reset_index()
    sums["variance"] = sums.pop("chance") + sums.pop("rate") ** 2
    return sums


def _ranked(
    out: pd.DataFrame, keys: list[str], unit_cost: pd.Series | None, over: pd.DatetimeIndex
) -> pd.DataFrame:
    mean, variance, actual = (out[name].to_numpy(float) for name in ("expected", "variance", "actual"))
    more = actual > mean
    # A count of so many or more has the chance of more than one fewer.
    # Where more came back than was taken, nothing was needed.
    needed = np.maximum(actual, 0.0)
    chance = np.where(more, sf(np.ceil(needed) - 1, mean, variance), cdf(np.floor(needed), mean, variance))
    out["q0.95"] = quantile(np.full(len(out), 0.95), mean, variance)
    out["probability"] = np.clip(chance, 0.0, 1.0)
    out["by_chance"] = _by_chance(out["probability"].to_numpy(), mean, variance)
    cost = np.full(len(out), np.nan) if unit_cost is None else out["part_id"].map(unit_cost).to_numpy(float)
    out["money"] = (actual - mean) * cost
    out["reason"] = _reasons(out, more, over)
    size = out["money"].abs().fillna(0.0)
    by, rising = ["probability", "size", "gap", *keys], [True, False, False] + [True] * len(keys)
    gap = (out["actual"] - out["expected"]).abs()
    order = out.assign(size=size, gap=gap).sort_values(by, ascending=rising, kind="stable")
    shown = [
        *keys,
        "from_month",
        "to_month",
        "expected",
        "q0.95",
        "actual",
        "probability",
        "by_chance",
        "money",
        "reason",
    ]
    return order[shown].reset_index(drop=True)


def _by_chance(probability: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Bound of the rows at least so improbable: each may be so high, but only some so low."""
    none = np.sort(cdf(np.zeros(len(mean)), mean, variance))
    low = np.searchsorted(none, probability, side="right")
    return np.minimum(probability * (len(mean) + low), float(len(mean)))


def _reasons(out: pd.DataFrame, more: NDArray[np.bool_], over: pd.DatetimeIndex) -> pd.Series:
    """How far off, and how often chance alone would do the same."""
    one = len(over) == 1
    span = f"{over[0]:%Y-%m}" if one else f"{over[0]:%Y-%m} to {over[-1]:%Y-%m}"
    taken = out["actual"].map("{:,.0f} taken in ".format) + span
    such = "such months" if one else f"such spans of {len(over)} months"
    chance = out["probability"]
    often = (1 / chance.where(chance > 0, 1.0)).map(f"once in {{:,.0f}} {such}".format)
    often = often.where(chance > LEAST_CHANCE, f"less than once in a million {such}")
    side = pd.Series(more, index=out.index).map({True: "; so many or more ", False: "; so few or fewer "})
    said = (side + often).where(chance < PLAIN_CHANCE, "; within chance")
    foreseen = out["expected"].map(_expected).astype(str)
    text = taken + foreseen + said
    return text.where(out["expected"] > 0, taken + ", none was foreseen")


def _expected(mean: float) -> str:
    return f", {short_number(mean) if mean >= LEAST_SAID else f'under {LEAST_SAID}'} expected"
