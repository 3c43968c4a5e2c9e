"""Installed-base road of the forecast: machines, ages and lives in, demand per part and site out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.config import ForecastOptions
from spareplan.forecast.blend import NO_BLEND, Blend, blended_spread, learn_blend
from spareplan.forecast.clock import build_clock, records_begin
from spareplan.forecast.exposure import FleetHistory, fleet_history
from spareplan.forecast.installed import Cells, PartLaw, part_demand
from spareplan.forecast.lives import PartLives, learn_lives
from spareplan.forecast.outlook import Calendar, find_edges, kept_share, sales_ahead, sold_slots

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
WINDOW_COLUMNS = ["mean", "vmr", "rate_cv2", "cv2_rate", "by_ages", "by_rate"]


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
    tested : DataFrame
        Back-test of ages against the mean rate.
    """

    table: pd.DataFrame
    windows: pd.DataFrame
    retirements: pd.DataFrame
    facts: pd.Series
    spells: pd.DataFrame
    lifetimes: pd.DataFrame
    notes: list[dict[str, Any]]
    tested: pd.DataFrame


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
        Weights of ages against the mean rate; None: learned by back-test.

    Returns
    -------
    BaseRoad
    """
    edges = find_edges(as_of, horizon, days)
    hours = options.clock != "calendar"
    clock = build_clock(data, data.network, as_of, float(edges.days[-1]), hours)
    begin, origin = records_begin(data, as_of)
    fleet = fleet_history(data, clock, begin, as_of)
    notes = [*origin, *clock.notes, *fleet.notes, *_clock_notes(fleet, options)]
    if fleet.spells.empty:
        return _nothing(notes)
    lives = learn_lives(fleet, data.parts)
    if blend is None:
        blend = learn_blend(
            data,
            as_of,
            begin[data.units["site_id"].unique()].min(),
            options.backtest_origins,
            lambda origin, months, windows: installed_base_demand(
                data, origin, months, windows, options, NO_BLEND
            ),
        )
    sales, sale_notes = sales_ahead(data, as_of, edges)
    pieces = _pieces_in_service(lives.spells, data.units)
    parts = lives.lifetimes["part_id"].to_numpy()
    use = np.stack([clock.at(curve, edges.dates) for curve in range(len(clock.cumulative))])
    use -= use[:, :1]
    keep = kept_share(data, as_of, edges)
    sold = sold_slots(sales, data, fleet, clock, edges)
    rows = [
        _one_part(part, lives.law(number), own, to_come, use, edges, blend)
        for number, (part, own, to_come) in enumerate(_by_part(parts, pieces, keep, sold))
        if own.size or to_come.size
    ]
    if not rows:
        return _nothing(notes)
    table = _long(rows, "months", MONTH_COLUMNS, "month", horizon)
    windows = _long(rows, "windows", WINDOW_COLUMNS, "days", np.asarray(days, float))
    words = _methods(lives, blend)
    for frame in (table, windows):
        frame["method"] = frame["part_id"].map(words).to_numpy()
    retirements = table.loc[table["retired"] != 0, [*PAIR, "month", "retired"]].rename(
        columns={"retired": "mean"}
    )
    facts = _facts(pieces, lives, fleet, table, blend)
    spells = lives.spells[["part_id", "entry", "exit", "failed", "count"]]
    return BaseRoad(
        table.drop(columns="retired"),
        windows,
        retirements,
        facts,
        spells,
        lives.lifetimes,
        [*notes, *lives.notes, *blend.notes, *sale_notes],
        blend.tested,
    )


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
        pd.DataFrame(),
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
    part: str,
    law: PartLaw,
    own: _OwnPieces,
    sold: _SoldPieces,
    use: np.ndarray,
    edges: Calendar,
    blend: Blend,
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
    out = part_demand(law, cells, own.keep, edges.month_at, nudged=blend is not NO_BLEND)
    sites, where = np.unique(np.concatenate([own.site, sold.site]).astype(str), return_inverse=True)

    def gather(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        total = np.zeros((len(sites), len(edges.days)))
        np.add.at(total[:, 1:], rows, values)
        return np.cumsum(total, axis=1)

    here, there = where[: len(own.site)], where[len(own.site) :]
    w = blend.of(part)
    pieces_used = (
        np.diff(cells.use, axis=1) * (np.bincount(own.cell, own.weight, len(own.site)) * own.pieces)[:, None]
    )
    failing = w * out.base + (1 - w) * law.mean_failures * pieces_used
    leaving = w * out.planned + (1 - w) * law.mean_planned * pieces_used
    kept, lost = gather(failing * own.keep, here), gather(failing * (own.keep - 1), here)
    planned, new = gather(leaving * own.keep, here), gather(out.new, there)
    total = kept + planned + new
    by_ages = gather((out.base + out.planned) * own.keep, here)
    by_rate = gather((law.mean_failures + law.mean_planned) * pieces_used * own.keep, here)
    vmr, cv2 = blended_spread(w, out.vmr, out.cv2, law.mean_cv2)
    vmr_sum, cv2_sum = blended_spread(w, out.vmr_sum, out.cv2_sum, law.mean_cv2)
    months = [np.diff(values[:, edges.month_at], axis=1) for values in (total, kept, new, planned, lost)]
    spread = [np.broadcast_to(values, months[0].shape) for values in (vmr, cv2 + blend.doubt)]
    at = np.maximum(edges.window_at - 1, 0)
    sums, both = total[:, edges.window_at], [values[:, edges.window_at] for values in (by_ages, by_rate)]
    spread_sum = [np.broadcast_to(values[at], sums.shape) for values in (vmr_sum, cv2_sum + blend.doubt)]
    spread_sum.append(np.full(sums.shape, law.mean_cv2))
    return _PartRows(
        part, sites, np.stack([*months, *spread], axis=2), np.stack([sums, *spread_sum, *both], axis=2)
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


def _methods(lives: PartLives, blend: Blend) -> pd.Series:
    """Which road each part follows, in words."""
    parts = lives.lifetimes["part_id"]
    weight = np.array([blend.of(part) for part in parts])
    own = np.where(lives.lifetimes["n_failed"] >= 6, "ages", "ages, pooled lives")
    road = np.where(weight > 0.75, own, np.where(weight < 0.25, "mean rate", "ages and mean rate"))
    return pd.Series([f"installed base: {text}" for text in road], index=parts.to_numpy())


def _facts(
    pieces: pd.DataFrame, lives: PartLives, fleet: FleetHistory, table: pd.DataFrame, blend: Blend
) -> pd.Series:
    """Machines and lives of each pair, in words."""
    pairs = table[PAIR].drop_duplicates()
    index = pd.MultiIndex.from_frame(pairs)
    groups = pieces.groupby(PAIR)
    machines = groups["unit_id"].nunique().reindex(index).fillna(0).astype(int)
    law = lives.lifetimes.set_index("part_id")
    unit = {"hours": "h", "days": "days"}
    text = {
        part: f"life {scale:,.0f} {unit[fleet.clock_of_part[part]]}, shape {shape:.1f}, {failed:.0f} failures"
        + ("" if blend.of(part) > 0.99 else f"; ages weigh {blend.of(part):.0%} against the mean rate")
        for part, scale, shape, failed in zip(law.index, law["scale"], law["shape"], law["n_failed"])
    }
    return pd.Series(
        [f"{count} machines in service, {text[part]}" for count, part in zip(machines, pairs["part_id"])],
        index=index,
    )
