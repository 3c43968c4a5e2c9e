"""DOOR: the demand of the next months, from the machines in the field and from history."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from spareplan.config import ForecastOptions, option_rows
from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast.analogues import require_fitment
from spareplan.forecast.base_road import BaseRoad, installed_base_demand
from spareplan.forecast.history_road import HistoryRoad, history_demand
from spareplan.forecast.retirement import learn_retirement, plan_retirements
from spareplan.forecast.returns import returns_ahead
from spareplan.maths.distributions import quantile
from spareplan.maths.units import months_after
from spareplan.results import DemandForecast, assumptions_frame

PAIR = ["part_id", "site_id"]
WINDOWS = (7, 15, 30, 60, 90, 120, 180, 270, 365)
SOURCES = {
    "from_installed_base": "machines in use",
    "from_new_units": "machines to be sold",
    "from_history": "past demand",
    "from_planned": "planned replacements",
}
# What makes up from_installed_base, and the other sources, in the order in which they are told.
DRIVERS = {
    "level": "machines in use today",
    "ageing": "ageing",
    "season": "season",
    "use": "use",
    "retired": "retirements",
    "inspections": "prevented by inspections",
    "from_new_units": "machines to be sold",
    "from_planned": "planned replacements",
    "from_history": "past demand",
}
# Drivers that a row's reason tells beside its failures.
MOVES = ("ageing", "season", "use", "retired", "inspections")


def forecast_demand(
    data: Any,
    months: int = 12,
    as_of: dt.date | str | pd.Timestamp | None = None,
    options: ForecastOptions | None = None,
) -> DemandForecast:
    """Forecast demand per part, site and month, as a distribution.

    Parameters
    ----------
    data : Dataset
        Checked tables. Machines (units, fitment, products, replacements), demand history, or both.
    months : int
        Horizon. [months]
    as_of : date, optional
        Last day that is known; later records are not looked at. None: the last day of the month of the
        latest record.
    options : ForecastOptions, optional

    Returns
    -------
    DemandForecast
        `.table` has a row per month for every part and site that can have demand: where a machine in service
        or to be sold carries the part, and where there is history. Other pairs have no rows.

    Raises
    ------
    DataError
        No machines with fitted parts and no demand history known by `as_of`; arguments out of range.

    Notes
    -----
    Parts on known machines: censored, left-truncated lives fitted by empirical Bayes across families, then
    expected renewals over the ages of each site's pieces, planned replacements competing, machines from the
    sales plan added at age 0 and planned retirements taken off. Parts with a demand history: one pooled
    compound model. Where a part has both, both are added: the demand table is for what the machines do not
    explain.
    """
    options = options or ForecastOptions()
    require_fitment(data.products, data.fitment, data.sales_plan)
    if not isinstance(months, (int, np.integer)) or isinstance(months, bool) or not 1 <= months <= 120:
        raise problem_in_argument(
            "forecast_demand", "months", months, "is no whole number from 1 to 120", "give one"
        )
    today = data.as_of(as_of)
    horizon = months_after(today, months)
    if options.retire_by_law:
        law = learn_retirement(data.units, data.products, today, options.machine_life_years)
        plan = plan_retirements(data, law, today, horizon)
        data = dataclasses.replace(data, tables={**data.tables, "sales_plan": plan})
    begin = today + pd.Timedelta(days=1)
    end = (horizon[-1] + pd.offsets.MonthBegin(1)).normalize()
    days = sorted({*WINDOWS, int((end - begin).days)})
    base = installed_base_demand(data, today, horizon, days, options)
    past = history_demand(data, today, horizon, days)
    if base.table.empty and past.table.empty:
        raise DataError(
            [
                Problem(
                    "demand",
                    0,
                    "",
                    "",
                    f"no machine in service or to be sold carries a part by {today:%Y-%m-%d}, "
                    "and no demand is known",
                    "give units that are not retired, with fitment, or demand, or a later as_of",
                )
            ]
        )
    merged = _merge(base.table, past.table, "month")
    table = _published(merged, options)
    windows = _merge(base.windows, past.windows, "days")[[*PAIR, "days", "mean", "vmr", "rate_cv2"]]
    table["reason"] = _reasons(merged, base.facts, past.facts)
    assumptions = assumptions_frame(
        [
            *option_rows("forecast", options),
            {
                "stage": "forecast",
                "name": "as_of",
                "value": f"{today:%Y-%m-%d}",
                "origin": "set by the user" if as_of is not None else "data: latest record",
                "meaning": "last day that was known",
            },
            {
                "stage": "forecast",
                "name": "months",
                "value": months,
                "unit": "months",
                "origin": "argument",
                "meaning": "forecast horizon",
            },
            *base.notes,
            *past.notes,
            *_drawn_days(data),
            *_missing_tables(data),
        ]
    )
    return DemandForecast(
        table,
        assumptions,
        _lines(table, base, past, today),
        as_of=today,
        windows=windows,
        contributions=_contributions(merged),
        spells=base.spells,
        lifetimes=base.lifetimes,
        visits=base.visits,
        returns=returns_ahead(data, table[[*PAIR, "month", "mean"]], today),
        tested=base.tested,
        series=past.series,
    )


def _merge(first: pd.DataFrame, second: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Add two independent demands: means add, and so do the two parts of the variance."""
    keys = [*PAIR, axis]
    both = first.merge(second, on=keys, how="outer", suffixes=("", "_more")).sort_values(
        keys, ignore_index=True
    )
    out = both[keys].copy()
    mean, more = (both[name].fillna(0.0).to_numpy(float) for name in ("mean", "mean_more"))
    total = mean + more
    safe = np.where(total > 0, total, 1.0)

    def given(name: str) -> np.ndarray:
        return both[name].fillna(0.0).to_numpy(float)

    vmr = (given("vmr") * mean + given("vmr_more") * more) / safe
    out["mean"] = total
    out["vmr"] = np.where(total > 0, vmr, np.maximum(given("vmr"), given("vmr_more")))
    out["rate_cv2"] = (given("rate_cv2") * mean**2 + given("rate_cv2_more") * more**2) / safe**2
    for name in {**SOURCES, **DRIVERS}:
        if name in both:
            out[name] = given(name)
    one, other = both["method"].fillna(""), both["method_more"].fillna("")
    out["method"] = np.where(one == "", other, np.where(other == "", one, one + " + " + other))
    return out


def _published(table: pd.DataFrame, options: ForecastOptions) -> pd.DataFrame:
    mean = table["mean"].to_numpy()
    variance = table["vmr"].to_numpy() * mean + table["rate_cv2"].to_numpy() * mean**2
    out = table[[*PAIR, "month", "mean"]].assign(
        variance=variance, vmr=table["vmr"], rate_cv2=table["rate_cv2"]
    )
    for level in options.levels:
        out[f"q{level:g}"] = quantile(np.full(len(out), level), mean, variance)
    for name in SOURCES:
        out[name] = table.get(name, 0.0)
    out[list(SOURCES)] = out[list(SOURCES)].fillna(0.0)
    out["method"] = table["method"]
    return out


def _reasons(table: pd.DataFrame, machines: pd.Series, history: pd.Series) -> np.ndarray:
    """One sentence per row: what is known of the pair, and where the row's pieces come from."""
    pair = pd.MultiIndex.from_frame(table[PAIR])
    known = machines.reindex(pair).fillna("").to_numpy(object)
    past = history.reindex(pair).fillna("").to_numpy(object)
    here, there = known != "", past != ""
    moves = _joined([_said(table, name, DRIVERS[name], "+.2f", here) for name in MOVES])
    used = _said(table, "from_installed_base", "from failures", ".2f", here, always=True)
    used = used + np.where(moves != "", " (" + moves + ")", "").astype(object)
    sources = [
        used,
        _said(table, "from_planned", "planned", ".2f", np.ones(len(table), dtype=bool)),
        _said(table, "from_new_units", "from machines to be sold", ".2f", np.ones(len(table), dtype=bool)),
        _said(table, "from_history", "by history", ".2f", there, always=True),
    ]
    return _joined([known, past, _joined(sources)], "; ")


def _said(
    table: pd.DataFrame, name: str, words: str, form: str, where: np.ndarray, always: bool = False
) -> np.ndarray:
    """Hundredths of a column in words, empty where nothing is to be said; each number is written once."""
    if name not in table:
        return np.full(len(table), "", dtype=object)
    hundredths, number = np.unique(
        np.rint(table[name].to_numpy(float) * 100).astype(np.int64), return_inverse=True
    )
    text = np.array(
        [f"{value / 100:{form}} {words}" if value or always else "" for value in hundredths], dtype=object
    )
    return np.where(where, text[number], "").astype(object)


def _joined(phrases: list[np.ndarray], link: str = ", ") -> np.ndarray:
    out = phrases[0]
    for phrase in phrases[1:]:
        both = (out != "") & (phrase != "")
        out = out + np.where(both, link, "").astype(object) + phrase
    return out


def _contributions(table: pd.DataFrame) -> pd.DataFrame:
    """Long table of what makes up each mean; retirements stand as what they take away."""
    keys = [*PAIR, "month"]
    names = [name for name in DRIVERS if name in table]
    values = table[names].to_numpy(float)
    row, column = np.nonzero(values)
    # Sorted by pair and month already; sources in the order in which they are told.
    out = table[keys].iloc[row].reset_index(drop=True)
    out["source"] = np.array([DRIVERS[name] for name in names], dtype=object)[column]
    out["mean"] = values[row, column]
    return out


def _drawn_days(data: Any) -> list[dict[str, Any]]:
    """Say so where days of commissioning were drawn while the dataset was read."""
    if data.notes.empty:
        return []
    said = data.notes.loc[data.notes["table"] == "units", "note"]
    return [
        {
            "stage": "forecast",
            "name": "machines without a day of commissioning",
            "value": "filled in",
            "origin": "data: units.built_on",
            "meaning": note,
        }
        for note in said[said.str.startswith("commissioned_on is empty")]
    ]


def _missing_tables(data: Any) -> list[dict[str, Any]]:
    implied = {
        "usage": "no operating hours: ages count in calendar days where no meter is read",
        "meter_readings": "machines of one product and region are used alike",
        "sales_plan": "no machine is sold and none retires within the horizon, beyond units.retired_on",
        "demand": "parts without known machines have no demand",
        "replacements": "no failure was ever seen: lives rest on the prior and the engineers' expected lives",
        "units": "no machine is known: demand comes from history alone",
    }
    return [
        {
            "stage": "forecast",
            "name": f"table {name}",
            "value": "missing",
            "origin": "data",
            "meaning": meaning,
        }
        for name, meaning in implied.items()
        if data.tables[name].empty
    ]


def _lines(table: pd.DataFrame, base: BaseRoad, past: HistoryRoad, today: pd.Timestamp) -> tuple[str, ...]:
    total = table["mean"].sum()
    months = table["month"].nunique()
    parts, sites = table["part_id"].nunique(), table["site_id"].nunique()
    lines = [
        f"{total:,.0f} pieces expected in the {months} months after {today:%Y-%m-%d}: "
        f"{parts:,} parts at {sites:,} sites."
    ]
    if total > 0:
        shares = ", ".join(f"{table[name].sum() / total:.0%} {words}" for name, words in SOURCES.items())
        lines.append(f"Sources: {shares}.")
    if len(base.lifetimes):
        few = int((base.lifetimes["n_failed"] < 3).sum())
        lines.append(
            f"Lives of {len(base.lifetimes):,} parts from {base.lifetimes['n_failed'].sum():,.0f} failures; "
            f"{few:,} parts with fewer than three lean on their kin."
        )
    if len(past.table):
        lines.append(
            f"{past.table[PAIR].drop_duplicates().shape[0]:,} part-site series are forecast from history."
        )
    return tuple(lines)
