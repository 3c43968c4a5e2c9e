"""Installed-base road of the forecast: machines, ages and lives in, demand per part and site out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.config import ForecastOptions
from spareplan.forecast.clock import CALENDAR, Clock, build_clock, region_of_sites
from spareplan.forecast.exposure import FleetHistory, fleet_history, successors
from spareplan.forecast.installed import Cells, PartLaw, part_demand
from spareplan.forecast.lives import PartLives, learn_lives

PAIR = ["part_id", "site_id"]
# Machines that are used differently stand in classes this far apart in ln use.
USE_CLASS = 0.25
MONTH_COLUMNS = [
    "mean",
    "from_installed_base",
    "from_new_units",
    "from_planned",
    "retired",
    "vmr",
    "rate_cv2",
]
WINDOW_COLUMNS = ["mean", "vmr", "rate_cv2"]


class BaseRoad(NamedTuple):
    """Demand from machines.

    Parameters
    ----------
    table : DataFrame
        part_id, site_id, month, mean, vmr, rate_cv2, from_installed_base, from_new_units, from_planned,
        method.
    windows : DataFrame
        part_id, site_id, days, mean, vmr, rate_cv2, method.
    retirements : DataFrame
        part_id, site_id, month, mean: what planned retirements take off.
    facts : Series
        By part_id and site_id: machines and lives in words.
    spells, lifetimes : DataFrame
    notes : list of dict
        Assumption rows.
    """

    table: pd.DataFrame
    windows: pd.DataFrame
    retirements: pd.DataFrame
    facts: pd.Series
    spells: pd.DataFrame
    lifetimes: pd.DataFrame
    notes: list[dict[str, Any]]


class Calendar(NamedTuple):
    """Edges in time: month starts and window ends together, as days after as_of and as dates."""

    days: np.ndarray
    dates: pd.DatetimeIndex
    month_at: np.ndarray
    window_at: np.ndarray


def installed_base_demand(
    data: Any, as_of: pd.Timestamp, horizon: pd.DatetimeIndex, days: list[int], options: ForecastOptions
) -> BaseRoad:
    """Forecast every part that is fitted to a machine in service or to be sold.

    Parameters
    ----------
    data : Dataset
    as_of : Timestamp
    horizon : DatetimeIndex
        Month starts to forecast.
    days : list of int
        Windows. [days]
    options : ForecastOptions

    Returns
    -------
    BaseRoad
    """
    edges = _edges(as_of, horizon, days)
    hours = options.clock != "calendar"
    clock = build_clock(data, data.network, as_of, float(edges.days[-1]), hours)
    begin, origin = records_begin(data, as_of)
    fleet = fleet_history(data, clock, begin, as_of)
    notes = [*origin, *clock.notes, *fleet.notes, *_clock_notes(fleet, options)]
    if fleet.spells.empty:
        return _nothing(notes)
    lives = learn_lives(fleet, data.parts)
    sales, sale_notes = _sales(data, as_of, edges)
    pieces = _pieces_in_service(lives.spells, data.units)
    parts = lives.lifetimes["part_id"].to_numpy()
    use = np.stack([clock.at(curve, edges.dates) for curve in range(len(clock.cumulative))])
    use -= use[:, :1]
    keep = _kept(pieces, data, as_of, edges)
    sold = _sold_slots(sales, data, fleet, clock, edges)
    rows = [
        _one_part(part, lives.law(number), own, to_come, use, edges)
        for number, (part, own, to_come) in enumerate(_by_part(parts, pieces, keep, sold))
        if own.size or to_come.size
    ]
    if not rows:
        return _nothing(notes)
    table = _long(rows, "months", MONTH_COLUMNS, "month", horizon)
    windows = _long(rows, "windows", WINDOW_COLUMNS, "days", np.asarray(days, float))
    method = np.where(lives.lifetimes["n_failed"] >= 6, "installed base", "installed base, pooled lives")
    words = pd.Series(method, index=parts)
    for frame in (table, windows):
        frame["method"] = frame["part_id"].map(words).to_numpy()
    retirements = table.loc[table["retired"] != 0, [*PAIR, "month", "retired"]].rename(
        columns={"retired": "mean"}
    )
    facts = _facts(pieces, lives, fleet, table)
    spells = lives.spells[["part_id", "entry", "exit", "failed", "count"]]
    return BaseRoad(
        table.drop(columns="retired"),
        windows,
        retirements,
        facts,
        spells,
        lives.lifetimes,
        [*notes, *lives.notes, *sale_notes],
    )


def records_begin(data: Any, as_of: pd.Timestamp) -> tuple[pd.Series, list[dict[str, Any]]]:
    """Day from which failures are known, per site.

    Parameters
    ----------
    data : Dataset
    as_of : Timestamp

    Returns
    -------
    tuple of Series (site_id to Timestamp) and list of dict
        The second says where the days come from.
    """
    region = region_of_sites(data.network)
    first = data.replacements["replaced_on"].min()
    fallback = as_of if pd.isna(first) else first.to_period("M").to_timestamp()
    given = dict(zip(data.regions["region_id"], data.regions["records_from"]))
    begin = pd.Series(
        [given.get(place, pd.NaT) for place in region], index=region.index, dtype="datetime64[ns]"
    )
    missing = begin.isna()
    begin = pd.to_datetime(begin.where(~missing, fallback))
    notes = []
    if (~missing).any():
        notes.append(
            {
                "stage": "forecast",
                "name": "records begin",
                "value": f"{begin[~missing].min():%Y-%m-%d}",
                "origin": "data: regions.records_from",
                "meaning": "failures are known from then on",
            }
        )
    if missing.any():
        notes.append(
            {
                "stage": "forecast",
                "name": "records begin where no region says so",
                "value": f"{fallback:%Y-%m-%d}",
                "origin": "estimated from the first replacement",
                "meaning": f"{int(missing.sum())} sites; set regions.records_from where it is known",
            }
        )
    return begin, notes


def _edges(as_of: pd.Timestamp, horizon: pd.DatetimeIndex, days: list[int]) -> Calendar:
    begin = as_of + pd.Timedelta(days=1)
    starts = horizon.append(pd.DatetimeIndex([horizon[-1] + pd.offsets.MonthBegin(1)]))
    month_days = np.maximum((starts.to_numpy() - begin.to_datetime64()) // np.timedelta64(1, "D"), 0)
    every = np.unique(np.concatenate([[0], month_days, np.asarray(days)]))
    dates = pd.DatetimeIndex(begin + pd.to_timedelta(every, unit="D"))
    month_at, window_at = (
        np.asarray(np.searchsorted(every, wanted)) for wanted in (month_days, np.asarray(days))
    )
    return Calendar(every, dates, month_at, window_at)


def _clock_notes(fleet: FleetHistory, options: ForecastOptions) -> list[dict[str, Any]]:
    counts = fleet.clock_of_part.value_counts()
    origin = "set by the user" if options.clock != "auto" else "data: usage, meter_readings"
    return [
        {
            "stage": "forecast",
            "name": f"parts on the clock of {unit}",
            "value": int(counts[unit]),
            "unit": "parts",
            "origin": origin,
            "meaning": "hours where the use of every machine that carries the part is known",
        }
        for unit in ("hours", "days")
        if unit in counts
    ]


def _nothing(notes: list[dict[str, Any]]) -> BaseRoad:
    empty = pd.DataFrame(columns=[*PAIR, "mean", "vmr", "rate_cv2", "method"])
    months = empty.assign(month=pd.Series(dtype="datetime64[ns]"))
    facts = pd.Series(dtype=object, index=pd.MultiIndex.from_arrays([[], []], names=PAIR))
    return BaseRoad(
        months,
        empty.assign(days=0.0),
        months[[*PAIR, "month", "mean"]],
        facts,
        pd.DataFrame(columns=["part_id", "entry", "exit", "failed", "count"]),
        pd.DataFrame(),
        notes,
    )


def _pieces_in_service(spells: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Ages of all pieces in service, by part, with the cell they stand in."""
    alive = spells[spells["in_service"].to_numpy(bool)]
    product = units.set_index("unit_id")["product_id"]
    use_class = np.exp(np.round(np.log(alive["factor"]) / USE_CLASS) * USE_CLASS)
    return pd.DataFrame(
        {
            "part_id": alive["part_id"],
            "site_id": alive["site_id"],
            "product_id": alive["unit_id"].map(product),
            "curve": alive["curve"],
            "use_class": use_class,
            "pieces": alive["pieces"],
            "age": alive["exit"],
            "count": alive["count"],
            "unit_id": alive["unit_id"],
        }
    )


def _sales(data: Any, as_of: pd.Timestamp, edges: Calendar) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    plan = data.sales_plan
    plan = plan[(plan["month"] > as_of) & (plan["month"] < edges.dates[-1])]
    retired = float(plan["units_retired"].fillna(0).sum())
    note = {
        "stage": "forecast",
        "name": "machines to be sold and retired",
        "value": f"{plan['units_sold'].fillna(0).sum():g} sold, {retired:g} retired",
        "unit": "machines",
        "origin": "data: sales_plan",
        "meaning": "sold ones start at age 0 in mid-month; retired ones are any of their product and site",
    }
    return plan, [note] if len(plan) else []


def _sold_slots(
    plan: pd.DataFrame, data: Any, fleet: FleetHistory, clock: Clock, edges: Calendar
) -> pd.DataFrame:
    """List part, site, product and month of sale with curve, use until the sale, pieces."""
    moved = successors(data.parts)
    fitted = data.fitment.assign(part_id=data.fitment["part_id"].replace(moved))
    fitted = fitted.groupby(["product_id", "part_id"], as_index=False, sort=True)["quantity"].max()
    plan = plan[plan["units_sold"].fillna(0) > 0]
    rows = plan[["product_id", "site_id", "month", "units_sold"]].merge(fitted, on="product_id")
    rows = rows[rows["part_id"].isin(fleet.clock_of_part.index)]
    place = rows["site_id"].map(region_of_sites(data.network)).fillna("").astype(str)
    hours = (rows["part_id"].map(fleet.clock_of_part) == "hours").to_numpy()
    curve = [
        clock.lookup.get(key, CALENDAR) if timed else CALENDAR
        for key, timed in zip(zip(rows["product_id"], place), hours)
    ]
    rows = rows.assign(curve=np.asarray(curve, dtype=np.int64))
    middle = rows["month"] + pd.Timedelta(days=15)
    now = clock.at(rows["curve"].to_numpy(), pd.DatetimeIndex([edges.dates[0]] * len(rows)))
    rows["start"] = clock.at(rows["curve"].to_numpy(), middle) - now
    batch = fleet.spells.groupby("part_id")["pieces"].max()
    as_set = rows["part_id"].map(batch).fillna(1.0).to_numpy() > 1
    rows["pieces"] = np.where(as_set, rows["quantity"], 1.0)
    rows["slots"] = rows["units_sold"] * np.where(as_set, 1.0, rows["quantity"])
    return rows.sort_values(["part_id", "site_id", "product_id", "month"], kind="stable", ignore_index=True)


def _kept(pieces: pd.DataFrame, data: Any, as_of: pd.Timestamp, edges: Calendar) -> pd.DataFrame:
    """Share of today's machines still there between the edges, by site and product."""
    middle = edges.dates[:-1] + (edges.dates[1:] - edges.dates[:-1]) / 2
    units = data.units
    now = units[(units["commissioned_on"] <= as_of) & ~(units["retired_on"] <= as_of)]
    present = now.groupby(["site_id", "product_id"]).size()
    gone = pd.DataFrame(0.0, index=present.index, columns=range(len(middle)))
    plan = data.sales_plan
    plan = plan[(plan["month"] > as_of) & (plan["units_retired"].fillna(0) > 0)]
    for row in plan.itertuples(index=False):
        key = (row.site_id, row.product_id)
        if key in gone.index:
            length = row.month.days_in_month
            elapsed = ((middle - row.month).days.to_numpy() + 0.5) / length
            gone.loc[key] += row.units_retired * np.clip(elapsed, 0.0, 1.0)
    for row in now[now["retired_on"].notna()].itertuples(index=False):
        gone.loc[(row.site_id, row.product_id)] += (middle > row.retired_on).astype(float)
    share = 1 - gone.div(present, axis=0)
    return share.clip(lower=0.0)


class _OwnPieces(NamedTuple):
    """Pieces of one part in service: cells and what stands in them."""

    site: np.ndarray
    curve: np.ndarray
    use_class: np.ndarray
    pieces: np.ndarray
    keep: np.ndarray
    cell: np.ndarray
    age: np.ndarray
    weight: np.ndarray

    @property
    def size(self) -> int:
        return len(self.age)


class _SoldPieces(NamedTuple):
    """Pieces of one part on machines to be sold."""

    site: np.ndarray
    curve: np.ndarray
    start: np.ndarray
    slots: np.ndarray
    pieces: np.ndarray

    @property
    def size(self) -> int:
        return len(self.start)


class _PartRows(NamedTuple):
    part: str
    sites: np.ndarray
    months: np.ndarray
    windows: np.ndarray


def _by_part(
    parts: np.ndarray, pieces: pd.DataFrame, keep: pd.DataFrame, sold: pd.DataFrame
) -> Iterator[tuple[str, _OwnPieces, _SoldPieces]]:
    """Cut the pieces and the sold machines into parts, once sorted."""
    keys = ["part_id", "site_id", "product_id", "curve", "use_class", "pieces"]
    ordered = pieces.sort_values(keys, kind="stable", ignore_index=True)
    first = ~ordered.duplicated(keys).to_numpy()
    cells = ordered.loc[first, keys].reset_index(drop=True)
    cell = np.cumsum(first) - 1
    share = keep.reindex(pd.MultiIndex.from_frame(cells[["site_id", "product_id"]])).to_numpy()
    share = np.nan_to_num(share, nan=1.0)
    number = pd.Index(parts)
    at = np.arange(len(parts) + 1)
    row_at = np.searchsorted(number.get_indexer(pd.Index(ordered["part_id"])), at)
    cell_at = np.searchsorted(number.get_indexer(pd.Index(cells["part_id"])), at)
    sold_at = np.searchsorted(number.get_indexer(pd.Index(sold["part_id"])), at)
    site, to_site = cells["site_id"].to_numpy(object), sold["site_id"].to_numpy(object)
    curve, use_class, size = (cells[name].to_numpy() for name in ("curve", "use_class", "pieces"))
    age, count = (ordered[name].to_numpy(dtype=float) for name in ("age", "count"))
    sold_facts = [sold[name].to_numpy() for name in ("curve", "start", "slots", "pieces")]
    for i, part in enumerate(parts):
        c, r, s = (slice(bounds[i], bounds[i + 1]) for bounds in (cell_at, row_at, sold_at))
        own = _OwnPieces(
            site[c],
            curve[c],
            use_class[c],
            size[c],
            share[c],
            cell[r] - cell_at[i],
            age[r],
            count[r],
        )
        yield part, own, _SoldPieces(to_site[s], *(values[s] for values in sold_facts))


def _one_part(
    part: str, law: PartLaw, own: _OwnPieces, sold: _SoldPieces, use: np.ndarray, edges: Calendar
) -> _PartRows:
    """Demand of one part at its sites: months and windows as arrays (sites, times, columns)."""
    cells = Cells(
        own.cell,
        own.age,
        own.weight,
        own.pieces,
        use[own.curve] * own.use_class[:, None],
        use[sold.curve] - sold.start[:, None],
        sold.slots,
        sold.pieces,
    )
    out = part_demand(law, cells, own.keep, edges.month_at)
    sites, where = np.unique(np.concatenate([own.site, sold.site]).astype(str), return_inverse=True)

    def gather(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        total = np.zeros((len(sites), len(edges.days)))
        np.add.at(total[:, 1:], rows, values)
        return np.cumsum(total, axis=1)

    here, there = where[: len(own.site)], where[len(own.site) :]
    kept, lost = gather(out.base * own.keep, here), gather(out.base * (own.keep - 1), here)
    planned, new = gather(out.planned * own.keep, here), gather(out.new, there)
    total = kept + planned + new
    months = [np.diff(values[:, edges.month_at], axis=1) for values in (total, kept, new, planned, lost)]
    spread = [np.broadcast_to(values, months[0].shape) for values in (out.vmr, out.cv2)]
    at = np.maximum(edges.window_at - 1, 0)
    sums = total[:, edges.window_at]
    spread_sum = [np.broadcast_to(values[at], sums.shape) for values in (out.vmr_sum, out.cv2_sum)]
    return _PartRows(part, sites, np.stack([*months, *spread], axis=2), np.stack([sums, *spread_sum], axis=2))


def _long(rows: list[_PartRows], what: str, columns: list[str], axis: str, times: Any) -> pd.DataFrame:
    """Stack the arrays of all parts into one table."""
    size = len(times)
    values = np.concatenate([getattr(row, what).reshape(-1, len(columns)) for row in rows])
    out = pd.DataFrame(values, columns=columns)
    site = np.repeat(np.concatenate([row.sites for row in rows]), size)
    part = np.repeat([row.part for row in rows], [len(row.sites) * size for row in rows])
    out.insert(0, axis, np.tile(np.asarray(times), len(out) // size))
    out.insert(0, "site_id", site)
    out.insert(0, "part_id", part)
    return out


def _facts(pieces: pd.DataFrame, lives: PartLives, fleet: FleetHistory, table: pd.DataFrame) -> pd.Series:
    """Machines and lives of each pair, in words."""
    pairs = table[PAIR].drop_duplicates()
    index = pd.MultiIndex.from_frame(pairs)
    groups = pieces.groupby(PAIR)
    machines = groups["unit_id"].nunique().reindex(index).fillna(0).astype(int)
    law = lives.lifetimes.set_index("part_id")
    unit = {"hours": "h", "days": "days"}
    text = {
        part: f"life {scale:,.0f} {unit[fleet.clock_of_part[part]]}, shape {shape:.1f}, {failed:.0f} failures"
        for part, scale, shape, failed in zip(law.index, law["scale"], law["shape"], law["n_failed"])
    }
    return pd.Series(
        [f"{count} machines in service, {text[part]}" for count, part in zip(machines, pairs["part_id"])],
        index=index,
    )
