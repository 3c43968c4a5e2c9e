"""Why a forecast moves: from month to month, from year to year, from last month's run to this one.

Everything here reads `DemandForecast.contributions`; the sources of a row add up to its mean, so the changes
of the sources add up to the change of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.results import DemandForecast
from spareplan.tables.contributions import sources_in_order
from spareplan.tables.frames import require_columns

FloatArray = NDArray[np.float64]
PAIR = ["part_id", "site_id"]
CELL = [*PAIR, "month"]
# The line between the two moves with the first month of a run, so between two runs it says nothing.
SAME_MACHINES = {"machines in use today": "machines in use", "ageing": "machines in use"}
NAMED_SOURCES = 3
# Smaller moves are rounding. [pieces]
LEAST_MOVE = 1e-9


def month_changes(demand: DemandForecast) -> pd.DataFrame:
    """How each source moves each row of the forecast against the month before.

    Parameters
    ----------
    demand : DemandForecast
        With `.contributions`.

    Returns
    -------
    DataFrame
        part_id, site_id, month, source, change [pieces]; sorted by part, site, month and source. The first
        month has none before it, and a source that does not move has no row; the changes of a part, site and
        month add up to the change of its mean.

    Raises
    ------
    DataError
        The forecast has no contributions.
    """
    rows = _contributions(demand, "month_changes")
    months = _months(demand)
    order = {name: place for place, name in enumerate(sources_in_order(rows))}
    keys = rows[[*PAIR, "source"]].assign(source=rows["source"].map(order).to_numpy())
    group = keys.groupby([*PAIR, "source"], sort=True, observed=True).ngroup().to_numpy()
    first = np.unique(group, return_index=True)[1]
    flat = group * len(months) + months.get_indexer(pd.DatetimeIndex(rows["month"]))
    level = np.bincount(flat, rows["mean"].to_numpy(float), minlength=len(first) * len(months))
    change = np.diff(level.reshape(len(first), len(months)), axis=1)
    which, when = np.nonzero(np.abs(change) > LEAST_MOVE)
    out = keys.iloc[first[which]].reset_index(drop=True)
    out.insert(2, "month", months[1:][when])
    out["change"] = change[which, when]
    out = out.sort_values([*CELL, "source"], kind="stable", ignore_index=True)
    out["source"] = np.array(list(order), dtype=object)[out["source"].to_numpy(int)]
    return out


def waterfall(
    demand: DemandForecast,
    part_id: str | None = None,
    site_id: str | None = None,
    from_month: Any = None,
    to_month: Any = None,
    months: int = 1,
) -> pd.DataFrame:
    """Lead from the demand of one month (or year) to that of another, source by source.

    Parameters
    ----------
    demand : DemandForecast
        With `.contributions`.
    part_id, site_id : str, optional
        None: all parts, all sites.
    from_month, to_month : date, optional
        First months of the two spans; None: the first of the forecast, and the last that holds a whole span.
    months : int
        Length of the spans: 1 compares months, 12 years (in a forecast of 24 months or more). [months]

    Returns
    -------
    DataFrame
        step (the span, or the source), source (missing for the spans), change, level (after the step)
        [pieces], reason: the first row is the earlier span, the last the later one.

    Raises
    ------
    DataError
        No contributions, a part or site the forecast lacks, months outside of it, or spans that overlap.
    """
    rows = _contributions(demand, "waterfall")
    rows = _of_pair(demand, rows, part_id, site_id, "waterfall")
    spans = _spans(_months(demand), from_month, to_month, months)
    names = sources_in_order(rows)
    before, after = (_sums(rows[rows["month"].isin(span)], names) for span in spans)
    labels = [_label(span) for span in spans]
    return _steps(labels, [f"in {label}" for label in labels], names, before, after)


def revision_waterfall(
    earlier: DemandForecast, later: DemandForecast, part_id: str | None = None, site_id: str | None = None
) -> pd.DataFrame:
    """Lead from what the earlier run said about the months that both foresee to what the later one says.

    Parameters
    ----------
    earlier, later : DemandForecast
        As in `forecast_revisions`.
    part_id, site_id : str, optional
        None: all parts, all sites.

    Returns
    -------
    DataFrame
        As `waterfall`; the ends are the last known days of the two runs.

    Raises
    ------
    DataError
        As `forecast_revisions`, or a part or site that the later run lacks.
    """
    runs, shared = _two_runs(earlier, later, "revision_waterfall")
    rows = pd.concat([run.assign(run=place) for place, run in enumerate(runs)], ignore_index=True)
    rows = _of_pair(later, rows, part_id, site_id, "revision_waterfall")
    names = sources_in_order(rows)
    before, after = (_sums(rows[rows["run"] == place], names) for place in (0, 1))
    labels = [f"{run.as_of:%Y-%m-%d}" for run in (earlier, later)]
    said = [f"for {_label(shared)} by what was known on {label}" for label in labels]
    return _steps(labels, said, names, before, after)


def _steps(
    labels: list[str], said: list[str], names: list[str], before: FloatArray, after: FloatArray
) -> pd.DataFrame:
    """Rows of a waterfall between two levels; what does not move is left out."""
    moved = np.abs(after - before) > LEAST_MOVE
    names = [name for name, counts in zip(names, moved) if counts]
    change = (after - before)[moved]
    level = np.concatenate([[before.sum()], before.sum() + np.cumsum(change), [after.sum()]])
    reason = [
        f"{level[0]:,.1f} pieces expected {said[0]}",
        *(f"{name} {by:+,.1f}: {was:,.1f} to {is_now:,.1f} pieces"
          for name, by, was, is_now in zip(names, change, level[:-2], level[1:-1])),
        f"{level[-1]:,.1f} pieces expected {said[1]}, {level[-1] - level[0]:+,.1f}",
    ]  # fmt: skip
    return pd.DataFrame(
        {
            "step": [labels[0], *names, labels[1]],
            "source": pd.Series([None, *names, None], dtype=object),
            "change": np.concatenate([[np.nan], change, [np.nan]]),
            "level": level,
            "reason": reason,
        }
    )


def forecast_revisions(
    earlier: DemandForecast,
    later: DemandForecast,
    by: Sequence[str] = ("part_id", "site_id", "month"),
    unit_cost: pd.Series | None = None,
) -> pd.DataFrame:
    """What the later run says differently about the months that both foresee, largest revision first.

    Parameters
    ----------
    earlier, later : DemandForecast
        With `.contributions`; of the same parts and sites, `earlier` made before `later`.
    by : sequence of str
        Some of part_id, site_id, month; the rest is summed.
    unit_cost : Series, indexed by part_id, optional
        Ranks by money instead of pieces. [money per piece]

    Returns
    -------
    DataFrame
        `by`, earlier, later, change [pieces], money (change x unit cost; without costs missing), a column per
        source [pieces] that adds up to the change, reason. What is the same in both has no row. Today's
        machines and their ageing are one source here: what was ageing to come a month ago has come by now.

    Raises
    ------
    DataError
        No contributions, no month in common, an `earlier` made later, or an unknown column in `by`.
    """
    keys = list(by)
    if not keys or not set(keys) <= set(CELL) or len(set(keys)) < len(keys):
        raise problem_in_argument(
            "forecast_revisions", "by", ", ".join(keys), "are no columns to sum by",
            f"use some of {', '.join(CELL)}",
        )  # fmt: skip
    runs, _ = _two_runs(earlier, later, "forecast_revisions")
    both = pd.concat([run.assign(run=place) for place, run in enumerate(runs)], ignore_index=True)
    names = sources_in_order(both)
    group = both.groupby(keys, sort=True, observed=True)
    at = group.ngroup().to_numpy()
    out = both.iloc[np.unique(at, return_index=True)[1]][keys].reset_index(drop=True)
    source = pd.Index(names).get_indexer(pd.Index(both["source"]))
    flat = (at * 2 + both["run"].to_numpy()) * len(names) + source
    counted = np.bincount(flat, both["mean"].to_numpy(float), minlength=len(out) * 2 * len(names))
    sums: FloatArray = np.asarray(counted, dtype=np.float64).reshape(len(out), 2, len(names))
    out["earlier"], out["later"] = sums.sum(axis=2).T
    change: FloatArray = sums[:, 1] - sums[:, 0]
    out["change"] = change.sum(axis=1)
    out["money"] = _money(both, at, len(out), unit_cost)
    out[names] = change
    out["reason"] = _revision_reasons(out["earlier"], out["later"], change, names)
    size = out["change"].abs() if unit_cost is None else out["money"].abs()
    out = out.assign(size=size.fillna(0.0)).sort_values(
        ["size", *keys], ascending=[False] + [True] * len(keys), kind="stable"
    )
    moved = np.flatnonzero((np.abs(change) > LEAST_MOVE).any(axis=1))
    return out[out.index.isin(moved)].drop(columns="size").reset_index(drop=True)


def _two_runs(
    earlier: DemandForecast, later: DemandForecast, function: str
) -> tuple[list[pd.DataFrame], pd.DatetimeIndex]:
    """Contributions of two runs to the months that both foresee, and these months."""
    runs = [_contributions(run, function) for run in (earlier, later)]
    if earlier.as_of > later.as_of:
        raise problem_in_argument(
            function, "earlier", f"{earlier.as_of:%Y-%m-%d}",
            f"was made after the later one ({later.as_of:%Y-%m-%d})", "exchange the two",
        )  # fmt: skip
    shared = _months(earlier).intersection(_months(later))
    if not len(shared):
        raise problem_in_argument(
            function, "later", f"{later.as_of:%Y-%m-%d}",
            f"foresees no month that the run of {earlier.as_of:%Y-%m-%d} does", "give two runs that overlap",
        )  # fmt: skip
    kept = [run[run["month"].isin(shared)] for run in runs]
    return [run.assign(source=run["source"].astype(object).replace(SAME_MACHINES)) for run in kept], shared


def _money(both: pd.DataFrame, at: NDArray[Any], count: int, unit_cost: pd.Series | None) -> FloatArray:
    if unit_cost is None:
        return np.full(count, np.nan)
    signed = both["mean"].to_numpy(float) * np.where(both["run"] == 1, 1.0, -1.0)
    cost = both["part_id"].map(unit_cost).fillna(0.0).to_numpy(float)
    return np.asarray(np.bincount(at, signed * cost, minlength=count), dtype=np.float64)


def _revision_reasons(
    earlier: pd.Series, later: pd.Series, change: FloatArray, names: list[str]
) -> pd.Series:
    """From what to what, and the sources that move most."""
    text = earlier.map("{:,.2f} to ".format) + later.map("{:,.2f} pieces".format)
    order = np.argsort(-np.abs(change), axis=1, kind="stable")[:, :NAMED_SOURCES]
    words = pd.Series(names, dtype=object)
    for place in range(order.shape[1]):
        size = np.take_along_axis(change, order[:, [place]], axis=1)[:, 0]
        moved = pd.Series(size).map(" {:+,.2f}".format)
        said = (": " if place == 0 else ", ") + words.iloc[order[:, place]].reset_index(drop=True) + moved
        text = text + said.where(np.abs(size) >= 0.005, "")
    return text


def _contributions(demand: DemandForecast, function: str) -> pd.DataFrame:
    """Contributions with the rows that count, or the reason why there are none."""
    rows = demand.contributions
    if rows.empty:
        raise problem_in_argument(
            function, "demand", "0 rows", "has no contributions", "give a forecast of forecast_demand"
        )
    require_columns(rows, [*CELL, "source", "mean"], "contributions")
    return rows


def _months(demand: DemandForecast) -> pd.DatetimeIndex:
    """All months of the forecast, those without any demand too."""
    known = (frame["month"].to_numpy("datetime64[ns]") for frame in (demand.table, demand.contributions))
    return pd.DatetimeIndex(np.unique(np.concatenate(list(known))))


def _sums(rows: pd.DataFrame, names: list[str]) -> FloatArray:
    return rows.groupby("source", observed=True)["mean"].sum().reindex(names, fill_value=0.0).to_numpy(float)


def _of_pair(
    demand: DemandForecast, rows: pd.DataFrame, part_id: str | None, site_id: str | None, function: str
) -> pd.DataFrame:
    """Rows of a part and a site; both must be in the forecast, and together."""
    table = demand.table
    problems = []
    for name, wanted in (("part_id", part_id), ("site_id", site_id)):
        if wanted is None:
            continue
        if not (table[name] == wanted).any():
            problems.append(
                Problem(function, 0, name, str(wanted), "is not in the forecast",
                        f"give one of demand.table.{name}")
            )  # fmt: skip
        table = table[table[name] == wanted]
        rows = rows[rows[name] == wanted]
    if problems:
        raise DataError(problems)
    return rows


def _spans(
    known: pd.DatetimeIndex, from_month: Any, to_month: Any, months: int
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """Months of the earlier and of the later span."""
    most = len(known) // 2
    if not most:
        raise problem_in_argument(
            "waterfall", "demand", f"{len(known)} month", "has no two months to compare", "forecast more"
        )
    whole = isinstance(months, (int, np.integer)) and not isinstance(months, bool)
    if not (whole and 1 <= months <= most):
        raise problem_in_argument(
            "waterfall", "months", months, f"is no whole number from 1 to {most}",
            "two spans must fit into the forecast",
        )  # fmt: skip
    places = []
    for name, wanted, usual in (("from_month", from_month, 0), ("to_month", to_month, len(known) - months)):
        if wanted is None:
            places.append(usual)
            continue
        try:
            stamp = pd.Timestamp(wanted).to_period("M").to_timestamp()
        except ValueError as error:
            rule = "is no month"
            raise problem_in_argument("waterfall", name, wanted, rule, "write it as 2024-01") from error
        place = int(known.get_indexer(pd.DatetimeIndex([stamp]))[0])
        if place < 0 or place + months > len(known):
            raise problem_in_argument(
                "waterfall", name, wanted, f"with {months} months is not within the forecast",
                f"use {known[0]:%Y-%m} to {known[len(known) - months]:%Y-%m}",
            )  # fmt: skip
        places.append(place)
    if places[1] < places[0] + months:
        raise problem_in_argument(
            "waterfall", "to_month", f"{known[places[1]]:%Y-%m}",
            f"is not after the {months} months from {known[places[0]]:%Y-%m}", "give a later month",
        )  # fmt: skip
    first, second = (known[place : place + months] for place in places)
    return first, second


def _label(span: pd.DatetimeIndex) -> str:
    return f"{span[0]:%Y-%m}" if len(span) == 1 else f"{span[0]:%Y-%m} – {span[-1]:%Y-%m}"
