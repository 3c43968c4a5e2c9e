"""Installed-base road of the forecast: machines, ages and lives in, demand per part and site out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import ForecastOptions
from spareplan.forecast.blend import NO_BLEND, Blend, blended_spread, learn_blend
from spareplan.forecast.blend_words import method_words, pair_facts
from spareplan.forecast.clock import Clock, build_clock, records_begin
from spareplan.forecast.exposure import FleetHistory, fleet_history
from spareplan.forecast.field_ages import FieldAges
from spareplan.forecast.inspection_plan import find_wear, plan_inspections
from spareplan.forecast.installed import PartDemand, PartFleet, PartLaw, part_demand
from spareplan.forecast.known import known_at
from spareplan.forecast.lives import PartLives, learn_lives, listed_spells
from spareplan.forecast.outlook import Calendar, find_edges, kept_share, sales_ahead, sold_slots
from spareplan.forecast.own_record import OwnRecord, forecast_own_record, no_record
from spareplan.forecast.reporting import learn_delay
from spareplan.forecast.seasons import MonthUse, month_use
from spareplan.forecast.visit_demand import add_visits

FloatArray = NDArray[np.float64]
PAIR = ["part_id", "site_id"]
# Equally likely delays of reports that stand for their law.
DELAYS = 5
DRIVERS = ["level", "ageing", "season", "use"]
MONTH_COLUMNS = [
    "mean",
    "from_installed_base",
    "from_new_units",
    "from_planned",
    "retired",
    *DRIVERS,
    "vmr",
    "rate_cv2",
]
WINDOW_COLUMNS = [
    *("mean", "vmr", "rate_cv2", "cv2_rate", "cv2_history"),
    *("by_ages", "by_rate", "by_history", "by_once"),
]


class BaseRoad(NamedTuple):
    """Demand from machines.

    Parameters
    ----------
    table : DataFrame
        part_id, site_id, month, mean, vmr, rate_cv2, from_installed_base, from_new_units, from_planned,
        level, ageing, season, use, retired, inspections, method. The drivers, `retired` (what retirements
        take off) and `inspections` (failures that visits prevent) make up from_installed_base.
    windows : DataFrame
        part_id, site_id, days, mean, vmr, rate_cv2, method; by_ages, by_rate, by_history, by_once: the sums
        by each road alone, today's machines only; cv2_rate, cv2_history: doubt about two of them.
    facts : Series
        By part_id and site_id: machines and lives in words.
    spells, lifetimes : DataFrame
    notes : list of dict
        Assumption rows.
    tested : DataFrame
        Back-test of ages, mean rate and own record.
    weights : DataFrame
        part_id and the weights of ages, mean_rate and own_record.
    visits : DataFrame
        Calendar of the inspection visits ahead, as in `VisitPlan.calendar`.
    """

    table: pd.DataFrame
    windows: pd.DataFrame
    facts: pd.Series
    spells: pd.DataFrame
    lifetimes: pd.DataFrame
    notes: list[dict[str, Any]]
    tested: pd.DataFrame
    visits: pd.DataFrame
    weights: pd.DataFrame


def installed_base_demand(
    data: Any,
    as_of: pd.Timestamp,
    horizon: pd.DatetimeIndex,
    days: list[int],
    options: ForecastOptions,
    blend: Blend | None = None,
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
    blend : Blend, optional
        Weights of the roads; None: learned by back-test.

    Returns
    -------
    BaseRoad
    """
    edges = find_edges(as_of, horizon, days)
    clock = build_clock(data, data.network, as_of, float(edges.days[-1]), options.clock != "calendar")
    begin, origin = records_begin(data, as_of)
    rows = data.replacements[data.replacements["replaced_on"] <= as_of]
    # Rows that were entered when the records began say nothing of how late rows come.
    began = pd.to_datetime(rows["unit_id"].map(data.units.set_index("unit_id")["site_id"]).map(begin))
    delay = learn_delay(rows["replaced_on"], rows["reported_on"], as_of, began)
    wear = find_wear(data, as_of, options)
    late = delay.quantiles(DELAYS) if delay.known else np.zeros(1)
    fleet = fleet_history(data, clock, begin, as_of, late, wear.at_visits)
    notes = [*origin, *clock.notes, *delay.notes, *fleet.notes]
    if fleet.fitted.empty or not len(fleet.machines):
        return _nothing(notes)
    stage = data.regions.set_index("region_id")["market_stage"]
    lives = learn_lives(fleet, data.parts, options.clock, stage)
    if blend is None:
        blend = learn_blend(
            data,
            as_of,
            begin[data.units["site_id"].unique()].min(),
            options.backtest_origins,
            lambda origin, months, windows: installed_base_demand(
                known_at(data, origin), origin, months, windows, options, NO_BLEND
            ),
        )
    sales, sale_notes = sales_ahead(data, as_of, edges)
    # A test needs every road; else the record is read only where it weighs.
    wanted = options.own_record and (blend is NO_BLEND or blend.reads_record)
    hours = (lives.lifetimes["clock"] == "hours").to_numpy(bool)
    kin = np.unique(lives.lifetimes["family"].to_numpy(str), return_inverse=True)[1]
    own = forecast_own_record(fleet, hours, kin, as_of) if wanted else no_record(len(hours))
    rows = _all_parts(data, as_of, fleet, lives, sales, edges, blend, own)
    if not rows:
        return _nothing(notes)
    table = _long(rows, "months", MONTH_COLUMNS, "month", horizon)
    windows = _long(rows, "windows", WINDOW_COLUMNS, "days", np.asarray(days, float))
    visits = pd.DataFrame()
    if blend is not NO_BLEND or len(wear.parts):
        reach = len(pd.period_range(horizon[0], edges.dates[-1], freq="M"))
        plan = plan_inspections(data, as_of, reach, lives.lifetimes, options, wear.parts)
        table, windows = add_visits(table, windows, plan.demand, as_of)
        soon = plan.calendar["month"] <= horizon[-1]
        visits, notes = plan.calendar[soon].reset_index(drop=True), [*notes, *plan.notes]
    words = method_words(lives.lifetimes["part_id"], lives.lifetimes["n_failed"], blend)
    for frame in (table, windows):
        frame["method"] = frame["part_id"].map(words).to_numpy()
    return BaseRoad(
        table,
        windows,
        pair_facts(fleet, lives.lifetimes, table, blend),
        listed_spells(lives) if blend is not NO_BLEND else _nothing([]).spells,
        lives.lifetimes,
        [*notes, *lives.notes, *blend.notes, *sale_notes],
        blend.tested,
        visits,
        blend.table(lives.lifetimes["part_id"]),
    )


def _nothing(notes: list[dict[str, Any]]) -> BaseRoad:
    empty = pd.DataFrame(columns=[*PAIR, "mean", "vmr", "rate_cv2", "method"])
    months = empty.assign(month=pd.Series(dtype="datetime64[ns]"))
    facts = pd.Series(dtype=object, index=pd.MultiIndex.from_arrays([[], []], names=PAIR))
    return BaseRoad(
        months,
        empty.assign(days=0.0),
        facts,
        pd.DataFrame(columns=["part_id", "entry", "exit", "failed", "count"]),
        pd.DataFrame(),
        notes,
        pd.DataFrame(),
        pd.DataFrame(),
        NO_BLEND.table([]),
    )


class _Side(NamedTuple):
    """One clock: ages of all machines, use ahead of every cell, share of its machines that stay."""

    ages: FieldAges
    use: FloatArray
    months: MonthUse
    keep: FloatArray
    site: NDArray[np.object_]
    group: NDArray[np.int64]


class _PartRows(NamedTuple):
    part: str
    sites: NDArray[np.str_]
    months: FloatArray
    windows: FloatArray


def _all_parts(
    data: Any,
    as_of: pd.Timestamp,
    fleet: FleetHistory,
    lives: PartLives,
    sales: pd.DataFrame,
    edges: Calendar,
    blend: Blend,
    own: OwnRecord,
) -> list[_PartRows]:
    """Demand of every part that stands anywhere or will."""
    keep = kept_share(data, as_of, edges)
    sides = {name: _side(fleet, lives, name, keep, edges, as_of) for name in lives.sides}
    clock = lives.lifetimes["clock"].to_numpy()
    sold = sold_slots(sales, data, fleet, lives.lifetimes, edges)
    sold_at = np.searchsorted(
        lives.fitment.parts.get_indexer(pd.Index(sold["part_id"])), np.arange(len(lives.fitment.parts) + 1)
    )
    to_site, start, lives_sold, pieces = (
        sold[name].to_numpy() for name in ("site_id", "start", "lives", "pieces")
    )
    to_group = lives.harshness.columns(sold["product_id"].to_numpy(object), sold["region"].to_numpy(object))
    sold_use = _use_ahead(fleet.clock, sold["curve"].to_numpy(), edges) - start[:, None]
    out = []
    for number, part in enumerate(lives.fitment.parts):
        side, some = sides[clock[number]], slice(sold_at[number], sold_at[number + 1])
        cells, held, batch = side.ages.of_part(number)
        here = held.any(axis=1)
        cells, held, batch = cells[here], held[here], batch[here]
        if not len(cells) and some.start == some.stop:
            continue
        pieces_here = PartFleet(
            held,
            side.ages.grid,
            batch,
            side.use[cells],
            side.keep[cells],
            lives.harshness.of(number, side.group[cells]),
            sold_use[some],
            lives_sold[some],
            pieces[some],
            lives.harshness.of(number, to_group[some]),
        )
        sites = (side.site[cells], to_site[some])
        months = MonthUse(*(values[cells] for values in side.months))
        record = (float(own.rate[number]), float(own.cv2[number])) if own.known(number) else None
        out.append(_one_part(part, lives.law(number), pieces_here, sites, months, edges, blend, record))
    return out


def _side(
    fleet: FleetHistory, lives: PartLives, name: str, keep: pd.DataFrame, edges: Calendar, as_of: pd.Timestamp
) -> _Side:
    machines = fleet.machines.ages[name]
    month = float(np.median(machines.shortest) * 2 * 30) if len(fleet.machines) else 1.0
    ages = FieldAges(fleet, lives, name, max(month, 1e-3))
    cells = ages.cells
    curve, use_class = cells["curve"].to_numpy(), cells["use_class"].to_numpy(float)[:, None]
    pair = pd.MultiIndex.from_frame(cells[["site_id", "product_id"]])
    share = np.nan_to_num(keep.reindex(pair).to_numpy(float), nan=1.0)
    return _Side(
        ages,
        _use_ahead(fleet.clock, curve, edges) * use_class,
        MonthUse(*(values * use_class for values in month_use(fleet.clock, curve, edges, as_of))),
        share,
        cells["site_id"].to_numpy(object),
        lives.harshness.columns(cells["product_id"].to_numpy(object), cells["region"].to_numpy(object)),
    )


def _use_ahead(clock: Clock, curve: NDArray[np.int64], edges: Calendar) -> FloatArray:
    """Use from now to each edge, shape (rows, edges)."""
    curves, row = np.unique(curve, return_inverse=True)
    use = np.array([clock.at(np.full(len(edges.dates), one), edges.dates) for one in curves])
    use = use.reshape(len(curves), len(edges.dates))
    return np.asarray((use - use[:, :1])[row])


def _one_part(
    part: str,
    law: PartLaw,
    fleet: PartFleet,
    sites: tuple[NDArray[np.object_], NDArray[np.object_]],
    month: MonthUse,
    edges: Calendar,
    blend: Blend,
    record: tuple[float, float] | None,
) -> _PartRows:
    """Demand of one part at its sites: months and windows as arrays (sites, times, columns).

    `record` is the rate of the part's own record and its doubt. It tells the total of all cells; they share
    in it as in the total of the other two roads.
    """
    out: PartDemand = part_demand(law, fleet, edges.month_at, nudged=blend is not NO_BLEND)
    names, where = np.unique(np.concatenate(sites).astype(str), return_inverse=True)
    here, there = where[: len(sites[0])], where[len(sites[0]) :]

    def gather(values: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
        total = np.zeros((len(names), len(edges.days)))
        np.add.at(total[:, 1:], rows, values)
        return np.cumsum(total, axis=1)

    ages, rate, history = blend.three(part) if record else blend.two(part)
    pieces_used = np.diff(fleet.use, axis=1) * (fleet.histogram.sum(axis=1) * fleet.pieces)[:, None]
    by_mean = law.mean_failures * pieces_used * fleet.harsh[:, None]
    first = ages / (ages + rate) if ages + rate > 0 else 0.0
    failing = first * out.base + (1 - first) * by_mean
    leaving = first * out.planned + (1 - first) * law.mean_planned * pieces_used
    told = _told(failing + leaving, pieces_used, record[0]) if record else failing + leaving
    whole = failing + leaving
    factor = (1 - history) + history * np.divide(told, whole, out=np.ones_like(whole), where=whole > 0)
    own = blend.sites.of(part, names)[here][:, None]
    # Sites change places, the part's total stays.
    moved = (whole * own).sum(axis=0)
    factor = factor * own * np.divide(whole.sum(axis=0), moved, out=np.ones_like(moved), where=moved > 0)
    failing, leaving = failing * factor, leaving * factor
    kept, lost = gather(failing * fleet.keep, here), gather(failing * (fleet.keep - 1), here)
    planned, new = gather(leaving * fleet.keep, here), gather(out.new, there)
    total = kept + planned + new
    by_ages = gather((out.base + out.planned) * fleet.keep, here)
    by_rate = gather((by_mean + law.mean_planned * pieces_used) * fleet.keep, here)
    by_history = gather(told * fleet.keep, here) if record else np.full_like(total, np.nan)
    by_once = gather(out.once * fleet.keep, here)
    shares, doubts = np.array([ages, rate, history]), (law.mean_cv2, record[1] if record else law.mean_cv2)
    vmr, cv2 = blended_spread(shares, out.vmr, out.cv2, *doubts)
    vmr_sum, cv2_sum = blended_spread(shares, out.vmr_sum, out.cv2_sum, *doubts)
    months = [np.diff(values[:, edges.month_at], axis=1) for values in (total, kept, new, planned, lost)]
    by_month = np.diff(np.cumsum(np.pad(failing, ((0, 0), (1, 0))), axis=1)[:, edges.month_at], axis=1)
    for values in _drivers(by_month, month):
        of_site = np.zeros_like(months[0])
        np.add.at(of_site, here, values)
        months.append(of_site)
    spread = [np.broadcast_to(values, months[0].shape) for values in (vmr, cv2 + blend.doubt)]
    at = np.maximum(edges.window_at - 1, 0)
    sums = total[:, edges.window_at]
    roads = [values[:, edges.window_at] for values in (by_ages, by_rate, by_history, by_once)]
    spread_sum = [np.broadcast_to(values[at], sums.shape) for values in (vmr_sum, cv2_sum + blend.doubt)]
    spread_sum += [np.full(sums.shape, doubt) for doubt in doubts]
    return _PartRows(
        part, names, np.stack([*months, *spread], axis=2), np.stack([sums, *spread_sum, *roads], axis=2)
    )


def _told(whole: FloatArray, used: FloatArray, rate: float) -> FloatArray:
    """Share the total that a rate lets expect among the cells, as `whole` is shared, shape (cells, times)."""
    expected = rate * used.sum(axis=0)
    total = whole.sum(axis=0)
    share = np.divide(whole, total, out=np.zeros_like(whole), where=total > 0)
    return np.asarray(np.where(total > 0, share * expected, 0.0))


def _drivers(failing: FloatArray, month: MonthUse) -> tuple[FloatArray, ...]:
    """Split failures before retirements into level, ageing, season and use, shape (cells, months) each.

    The rate of the first month, per use, at an average month's use is the level; the rates of later months
    differ from it by ageing; use differs from the average month by season and by its growth since last year.
    """
    rate = failing / np.maximum(month.coming, 1e-12)
    level = rate[:, :1] * month.average
    return (
        np.broadcast_to(level, rate.shape),
        (rate - rate[:, :1]) * month.average,
        rate * (month.year_before - month.average),
        rate * (month.coming - month.year_before),
    )


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
