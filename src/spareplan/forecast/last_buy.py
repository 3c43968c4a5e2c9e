"""DOOR: how many pieces of a part that ends keep its machines running until the last of them has left."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import ForecastOptions, option_rows
from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast.base_road import installed_base_demand
from spareplan.forecast.blend import Blend
from spareplan.forecast.cohorts import split_cohorts
from spareplan.forecast.last_buy_result import LastBuys, lines_of, reasons_of, warnings_of
from spareplan.forecast.notes import note
from spareplan.forecast.remaining import (
    Remaining,
    nothing_remains,
    planned_share,
    remaining_demand,
    window_days,
)
from spareplan.forecast.repair_loop import most_missing
from spareplan.forecast.retirement import RetirementLaw, learn_retirement
from spareplan.forecast.unknown_machines import added, history_until_gone
from spareplan.maths.distributions import quantile, sf
from spareplan.maths.units import DAYS_PER_YEAR, months_after
from spareplan.results import DemandForecast, assumptions_frame
from spareplan.tables.supersession import newest_parts

FloatArray = NDArray[np.float64]
COLUMNS = [
    "part_id",
    "last_buy_on",
    "covers_until",
    "machines_now",
    "demand_until_last_buy",
    "mean",
    "variance",
    "quantile",
    "on_hand",
    "on_order",
    "repaired",
    "quantity",
    "value",
    "risk",
    "warning",
    "reason",
]
# The cover ends where this share of the machines is expected to be left.
LAST_SHARE = 0.01


def last_buys(
    data: Any,
    demand: DemandForecast | None = None,
    risk: float = 0.05,
    as_of: dt.date | str | pd.Timestamp | None = None,
    options: ForecastOptions | None = None,
) -> LastBuys:
    """Quantity of every part that ends, so that it outlasts its machines at a given risk.

    Parameters
    ----------
    data : Dataset
        parts.last_buy_on names the parts; units, fitment, replacements and what else a forecast reads.
    demand : DemandForecast, optional
        The plan's forecast, planners' overrides included: demand is scaled to agree with it over its months.
    risk : float
        Chance of ever running short that is accepted, above 0 and below 1.
    as_of : date, optional
        Last day that is known; None: the end of the month of the latest record.
    options : ForecastOptions, optional

    Returns
    -------
    LastBuys
        `.table` has a row per part with last_buy_on, sorted: part_id, last_buy_on, covers_until (day on which
        one machine in a hundred is expected to be left), machines_now, demand_until_last_buy, mean and
        variance of the demand from now until the machines are gone, quantile (pieces needed at the risk,
        those that come back from repair taken off), on_hand (less what is reserved and owed), on_order (and
        in repair), repaired, quantity to buy in whole packs, value, risk (that the quantity leaves), warning,
        reason. `.risk_of`, `.curve` give the other direction.

    Raises
    ------
    DataError
        risk out of range; a last_buy_on before the first machine or record.

    Notes
    -----
    The installed-base forecast runs ten years ahead for cohorts of machines of one product, region and age,
    and at its last year's rate beyond. Machines leave by the law of machine life (`learn_retirement`), on
    their known day, or as the sales plan says as far as it speaks. The variance holds failures given the
    rate, the chance of each machine's life, and the doubts about the part's rate and about machine life,
    which all years share: they decide over so long a time [1]_ [2]_. Demand is taken as negative binomial.
    Demand of unknown machines (the demand table) fades as a fleet of all ages does.

    References
    ----------
    .. [1] Teunter & Fortuin (1999), End-of-life service. Int. J. Production Economics 59: 487-497.
    .. [2] Hong & Koo et al. (2008), Int. J. Production Economics 114: 164-174 (product life and discards).
    """
    options = options or ForecastOptions()
    if not (isinstance(risk, (int, float, np.floating)) and 0 < risk < 1):
        raise problem_in_argument(
            "last_buys", "risk", risk, "is no chance between 0 and 1", "give e.g. 0.05 for one part in twenty"
        )
    today = data.as_of(as_of)
    ending = data.parts[data.parts["last_buy_on"].notna()].sort_values("part_id", ignore_index=True)
    _refuse_early(data, ending)
    notes: list[dict[str, Any]] = []
    superseded = ending["superseded_by"].notna().to_numpy(bool)
    wanted = sorted(ending["part_id"][~superseded])
    left, by_machines = _remaining(data, demand, wanted, today, options, notes)
    table, need, path = _needs(data, ending, left, by_machines, today, risk)
    table["reason"] = reasons_of(table, ending["superseded_by"], today, risk)
    assumptions = assumptions_frame(
        [
            *option_rows("forecast", options),
            note("risk of running short", risk, "share", "argument", "ever"),
            *notes,
        ]
    )
    return LastBuys(
        table[COLUMNS], assumptions, lines_of(table, today, risk), need=need, path=path, as_of=today
    )


def _refuse_early(data: Any, ending: pd.DataFrame) -> None:
    """A last buy before the first machine was sold or the first record was made is a slip of the pen."""
    first = [
        data.units["commissioned_on"].min(),
        data.replacements["replaced_on"].min(),
        data.demand["month"].min(),
    ]
    known = [day for day in first if not pd.isna(day)]
    if not known:
        return
    row = {part: at + 2 for at, part in enumerate(data.parts["part_id"])}
    early = ending[ending["last_buy_on"] < min(known)]
    problems = [
        Problem(
            "parts",
            row[part],
            "last_buy_on",
            f"{day:%Y-%m-%d}",
            f"lies before the first machine or record on {min(known):%Y-%m-%d}",
            "correct the date, or drop the part if it is no longer used",
        )
        for part, day in zip(early["part_id"], early["last_buy_on"])
    ]
    if problems:
        raise DataError(problems)


def _carried(data: Any, today: pd.Timestamp) -> set[str]:
    """Parts that sit in machines in service or to be sold, successors in place of the superseded."""
    units = data.units
    there = units[(units["commissioned_on"] <= today) & ~(units["retired_on"] <= today)]["product_id"]
    plan = data.sales_plan
    sold = plan.loc[(plan["month"] > today) & (plan["units_sold"].fillna(0) > 0), "product_id"]
    fitted = data.fitment[data.fitment["product_id"].isin({*there, *sold})]
    moved = newest_parts(data.parts)
    return {moved.get(part, part) for part in fitted["part_id"].unique()}


def _remaining(
    data: Any,
    demand: DemandForecast | None,
    wanted: list[str],
    today: pd.Timestamp,
    options: ForecastOptions,
    notes: list[dict[str, Any]],
) -> tuple[Remaining, Remaining]:
    """Demand of the wanted parts until the machines are gone: all of it, and that of known machines."""
    known = nothing_remains(wanted)
    if not wanted:
        return known, known
    region = _region_of_sites(data.network)
    law = learn_retirement(data.units, data.products, today, options.machine_life_years)
    fitted = sorted(_carried(data, today) & set(wanted))
    if fitted:
        planned = planned_share(data, today, region)
        cohorts = split_cohorts(data, today, fitted, region)
        # Over ten years ages decide: no blend with the mean rate, which assumes that they stand still.
        alone = Blend({}, 0.0, pd.DataFrame(), [])
        road = installed_base_demand(
            cohorts.data, today, months_after(today, 1), window_days(), options, alone
        )
        windows = road.windows if demand is None else _scaled(road.windows, demand, fitted, today, notes)
        notes += [*_law_notes(law, planned), *road.notes]
        known = remaining_demand(cohorts, windows, wanted, law, planned)
    if not data.demand["part_id"].replace(newest_parts(data.parts)).isin(wanted).any():
        return known, known
    faded = history_until_gone(data, wanted, today, law, known.days)
    notes.append(
        note(
            "parts with demand of unknown machines",
            int((faded.mean[:, -1] > 0).sum()),
            "parts",
            "data: demand",
            f"it fades as a fleet of all ages, of machines that live {law.usual_years:.1f} years on average",
        )
    )
    return added(known, faded), known


def _region_of_sites(network: Any) -> pd.Series:
    """Region of each site, or of the nearest site above that has one; empty text where none has."""
    out: dict[str, str] = {}
    for site in network.site_ids:
        own = network.region[site]
        out[site] = own if isinstance(own, str) else out.get(network.parent[site], "")
    return pd.Series(out, dtype=object)


def _scaled(
    windows: pd.DataFrame,
    demand: DemandForecast,
    wanted: list[str],
    today: pd.Timestamp,
    notes: list[dict[str, Any]],
) -> pd.DataFrame:
    """Let the long forecast agree with the plan's over the months that both know."""
    told = demand.table[demand.table["part_id"].isin(wanted)]
    if told.empty:
        return windows
    end = told["month"].max() + pd.offsets.MonthBegin(1)
    days = float((end - (today + pd.Timedelta(days=1))).days)
    total = windows.pivot_table(index="part_id", columns="days", values="mean", aggfunc="sum")
    grid = np.concatenate([[0.0], total.columns.to_numpy(float)])
    own = pd.Series([np.interp(days, grid, [0.0, *row]) for row in total.to_numpy(float)], index=total.index)
    # What comes from history fades on its own.
    told = told.assign(machines=told["mean"] - told["from_history"]) if "from_history" in told else told
    column = "machines" if "machines" in told else "mean"
    plan = told.groupby("part_id")[column].sum().clip(lower=0.0).reindex(own.index)
    ratio = (plan / own.where(own > 0)).fillna(1.0)
    notes.append(
        note(
            "long forecast against the plan's",
            f"{ratio.min():.2f} to {ratio.max():.2f}",
            "times",
            "argument: demand",
            "by so much demand is scaled to agree with the plan over its months",
        )
    )
    return windows.assign(mean=windows["mean"] * windows["part_id"].map(ratio).fillna(1.0).to_numpy())


def _needs(
    data: Any,
    ending: pd.DataFrame,
    left: Remaining,
    by_machines: Remaining,
    today: pd.Timestamp,
    risk: float,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Set demand against stock: what must be bought."""
    at = pd.Index(left.part_ids).get_indexer(pd.Index(ending["part_id"]))
    has = at >= 0
    times = len(left.days)

    def of(values: FloatArray) -> FloatArray:
        out = np.zeros((len(ending), times))
        out[has] = values[at[has]]
        return out

    mean, variance, machines = of(left.mean), of(left.variance), of(left.machines)
    share, loop_days = (
        ending[name].fillna(0.0).to_numpy(float) for name in ("repairable_share", "repair_days")
    )
    need, spread = most_missing(mean, variance, left.days, share, loop_days)
    needed = quantile(1 - risk, need, spread)
    stock = _stock(data, ending["part_id"])
    missing = np.maximum(needed - stock["on_hand"] - stock["on_order"], 0.0)
    pack = ending["pack_size"].to_numpy(float)
    # Six figures, so that 3 packs of 0.1 are not 4.
    packs = np.ceil(np.round(missing / pack, 6))
    bought = np.where(
        missing > 0, np.maximum(packs, np.ceil(ending["min_order"].to_numpy(float) / pack)), 0.0
    )
    quantity = np.round(bought * pack, 6)
    begin = pd.Timestamp(today) + pd.Timedelta(days=1)
    ahead = np.maximum((ending["last_buy_on"] - begin).dt.days.to_numpy(float) + 1, 0.0)
    until = np.array([np.interp(days, left.days, row) for days, row in zip(ahead, mean)])
    now = of(by_machines.machines)[:, 0]
    most = machines.max(axis=1, initial=0.0)
    few = machines < LAST_SHARE * most[:, None]
    # The day after the last on which more are left.
    last = np.where(few.any(axis=1), times - np.argmin(few[:, ::-1], axis=1), times - 1).clip(max=times - 1)
    # Dates end in 2262 with older pandas; nobody covers more than a century.
    days = np.minimum(np.ceil(left.days[last]), 100 * DAYS_PER_YEAR)
    covers = pd.Series(begin + pd.to_timedelta(days, unit="D"))
    there = stock["on_hand"] + stock["on_order"] + quantity
    left_risk = sf(np.floor(there), need, spread)
    table = pd.DataFrame(
        {
            "part_id": ending["part_id"],
            "last_buy_on": ending["last_buy_on"],
            "covers_until": covers.where(pd.Series(most > 0)),
            "machines_now": np.round(now, 6),
            "demand_until_last_buy": until,
            "mean": mean[:, -1],
            "variance": variance[:, -1],
            "quantile": needed,
            "on_hand": stock["on_hand"],
            "on_order": stock["on_order"],
            "repaired": share * mean[:, -1],
            "quantity": quantity,
            "value": quantity * ending["unit_cost"].to_numpy(float),
            "risk": np.where(most > 0, left_risk, 0.0),
        }
    )
    table["warning"] = warnings_of(table, ending["shelf_life_days"].to_numpy(float), mean, left.days, ahead)
    path = pd.DataFrame(
        {
            "part_id": np.repeat(ending["part_id"].to_numpy(), times),
            "days": np.tile(left.days, len(ending)),
            "mean": mean.ravel(),
            "variance": variance.ravel(),
            "machines": machines.ravel(),
        }
    )
    moments = pd.DataFrame({"mean": need, "variance": spread}, index=pd.Index(ending["part_id"]))
    return table, moments, path


def _stock(data: Any, part_ids: pd.Series) -> dict[str, FloatArray]:
    """Good pieces at all sites, and pieces on the way or in repair."""
    keys = ["part_id", "site_id"]
    stock = data.stock[data.stock["part_id"].isin(part_ids)].fillna(
        {"reserved": 0.0, "backorders": 0.0, "on_order": 0.0, "in_repair": 0.0}
    )
    coming = data.open_orders.rename(columns={"to_site_id": "site_id"})
    coming = coming[coming["part_id"].isin(part_ids)].groupby(keys)["quantity"].sum()
    both = stock.set_index(keys)["on_order"].astype(float)
    index = both.index.union(coming.index)
    # open_orders list what stock.on_order sums up; where both are given the larger one is the truth.
    order = np.maximum(both.reindex(index).fillna(0.0), coming.reindex(index).fillna(0.0).astype(float))
    good = (stock["on_hand"] - stock["reserved"] - stock["backorders"]).groupby(stock["part_id"]).sum()
    way = order.groupby(level=0).sum().add(stock.groupby("part_id")["in_repair"].sum(), fill_value=0.0)
    return {
        name: values.reindex(part_ids.to_numpy()).fillna(0.0).to_numpy(float)
        for name, values in (("on_hand", good), ("on_order", way))
    }


def _law_notes(law: RetirementLaw, planned: pd.DataFrame) -> list[dict[str, Any]]:
    rows = list(law.notes)
    if len(planned):
        years = planned["days"].max() / DAYS_PER_YEAR
        rows.append(
            note(
                "retirements by the sales plan",
                f"{planned['product_id'].nunique()} products, {years:.1f} years",
                "",
                "data: sales_plan.units_retired",
                "as far as the plan speaks it decides; the law of machine life goes on from there",
            )
        )
    return rows
