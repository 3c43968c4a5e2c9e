"""DOOR simulate_levels: doubt the formulas by simulated years; `simulate` does it on plain tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from spareplan.errors import problem_in_argument
from spareplan.maths.units import DAYS_PER_YEAR
from spareplan.results import Attainment, StockLevels, assumptions_frame
from spareplan.stocking import _draws, _paths, _runs, _tally
from spareplan.stocking._forest import Forest, read_forest
from spareplan.stocking.leadtime import network_tables, pipeline_rates

if TYPE_CHECKING:
    from spareplan.results import DemandForecast
    from spareplan.tables.dataset import Dataset

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CONFIDENCE = 0.95
# Events in memory at a time, and the length of a run after which progress is shown.
CHUNK_EVENTS = 2_000_000
SHOW_PROGRESS_EVENTS = 10_000_000


def simulate(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    levels: pd.DataFrame,
    years: float,
    seed: int,
    laterals: pd.DataFrame | None = None,
    times: Sequence[float] = (),
) -> pd.DataFrame:
    """Simulate stock levels piece by piece: events, not formulas.

    Parameters
    ----------
    sites, parts, rates, levels : DataFrame
        As in `evaluate_levels`. Of the share that is repaired every piece is tossed. Lead times are fixed;
        with `lead_time_sd_days` in `parts` (supplier) or `sites` (from the parent) they are gamma, drawn anew
        for all that is sent at one moment, and what is sent later may come first.
    years : float
        Time to measure, after the empty past has been left behind. [years]
    seed : int
        Every part draws its own random numbers from seed and part_id.
    laterals : DataFrame, optional
        site_id, lateral_pool, lateral_days[, emergency_days]: sites of a pool help out (see `lateral`).
    times : sequence of float
        Waits to give the share of. [days]

    Returns
    -------
    DataFrame
        part_id, site_id, measure, value, half_width: ebo, fill_rate, ready_rate, mean_wait_days, on_hand and
        wait_le_<t> per part x site, as in `evaluate_levels`; half_width of the 95 % interval from 20
        batches. NaN where nothing was asked for. A share that was never missed has the width of the rule
        of three.

    Raises
    ------
    DataError
        As in `evaluate_levels`; years not above 0; a negative seed.

    Notes
    -----
    vmr above 1 is simulated as order sizes (logarithmic), below 1 as a gamma renewal stream, rate_cv2 as a
    gamma rate drawn anew for each of 60 independent runs, high or low at all sites of the part together.
    """
    if not (np.isfinite(years) and years > 0):
        raise problem_in_argument("simulate", "years", years, "is no number above 0", "give years above 0")
    if seed < 0 or int(seed) != seed:
        raise problem_in_argument(
            "simulate", "seed", seed, "is no whole number of at least 0", "give such a seed"
        )
    forest = read_forest(sites, parts, rates, levels)
    waits = np.asarray(times, dtype=float)
    if laterals is not None:
        from spareplan.stocking.lateral import simulate_pools

        return simulate_pools(forest, laterals, float(years), int(seed), waits)
    batched = run_forest(forest, float(years), int(seed), waits)
    return measures_table(forest, batched, waits)


def run_forest(forest: Forest, years: float, seed: int, times: FloatArray) -> _tally.Batched:
    """Simulate every part of a forest.

    Parameters
    ----------
    forest : Forest
    years : float
        [years]
    seed : int
    times : ndarray, shape (T,)
        Waits to count. [days]

    Returns
    -------
    Batched
        Sums per row of the forest and batch.
    """
    chunks = list(_chunks(forest, years))
    pieces = []
    for rows in _shown(chunks, forest, years):
        runs = _runs.lay_runs(forest, rows, years)
        own = _draws.draw_demand(forest, runs, seed)
        echelons = _paths.climb(forest, runs, own, seed)
        paths = _paths.descend(forest, runs, echelons, seed)
        pieces.append(_tally.measure(forest, runs, echelons, paths, rows, times))
    if not pieces:
        empty = np.zeros((0, _runs.BATCHES))
        shares = np.zeros((0, _runs.BATCHES, len(times)))
        counted = {"waits_le": shares, "own_waits_le": shares}
        return _tally.Batched(**{name: counted.get(name, empty) for name in _tally.Batched._fields})
    return _tally.Batched(*(np.concatenate(columns) for columns in zip(*pieces)))


def measures_table(forest: Forest, batched: _tally.Batched, times: FloatArray) -> pd.DataFrame:
    """Measures with their intervals, a row per part x site x measure.

    Parameters
    ----------
    forest : Forest
    batched : Batched
    times : ndarray, shape (T,)
        [days]

    Returns
    -------
    DataFrame
        part_id, site_id, measure, value, half_width.
    """
    found = {
        "ebo": ratio_interval(batched.late, batched.days),
        "fill_rate": ratio_interval(batched.filled, batched.demands, share=True),
        "ready_rate": _ready(batched),
        "mean_wait_days": ratio_interval(batched.wait, batched.demands),
        "on_hand": ratio_interval(batched.shelf, batched.days),
    }
    for column, time in enumerate(times):
        found[f"wait_le_{time:g}"] = ratio_interval(
            batched.waits_le[:, :, column], batched.demands, share=True
        )
    count, names = len(forest), list(found)
    values = np.stack([value for value, _ in found.values()], axis=1) if count else np.empty((0, len(names)))
    widths = np.stack([width for _, width in found.values()], axis=1) if count else np.empty((0, len(names)))
    return pd.DataFrame(
        {
            "part_id": forest.part_ids.take(np.repeat(forest.part, len(names))),
            "site_id": forest.site_ids.take(np.repeat(forest.site, len(names))),
            "measure": np.tile(names, count),
            "value": values.ravel(),
            "half_width": widths.ravel(),
        }
    )


def ratio_interval(top: FloatArray, bottom: FloatArray, share: bool = False) -> tuple[FloatArray, FloatArray]:
    """Ratio of sums over batches, and half the width of its 95 % interval.

    Parameters
    ----------
    top, bottom : ndarray, shape (n, batches)
    share : bool
        The ratio counts hits among tries: where all or none hit, the rule of three gives the width.

    Returns
    -------
    value, half_width : ndarray, shape (n,)
        NaN where the bottom sums to 0.
    """
    batches = top.shape[1]
    total = bottom.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(total > 0, top.sum(axis=1) / total, np.nan)
        residual = top - value[:, None] * bottom
        error = np.sqrt((residual**2).sum(axis=1) * batches / (batches - 1)) / total
        width = special.stdtrit(batches - 1, (1 + CONFIDENCE) / 2) * error
        if share:
            certain = (value <= 0) | (value >= 1)
            width = np.where(certain, np.minimum(3 / total, 1.0), width)
    return value, width


def simulate_levels(
    data: Dataset,
    demand: DemandForecast,
    levels: StockLevels,
    years: float = 50,
    seed: int = 0,
) -> Attainment:
    """Check a plan by simulation: every promise against what simulated years achieve.

    Parameters
    ----------
    data : Dataset
    demand : DemandForecast
        Its rates, order sizes and uncertainty drive the simulation.
    levels : StockLevels
        Levels, and in `.service` the promises per service group.
    years : float
        Time to measure per part. [years]
    seed : int

    Returns
    -------
    Attainment
        group, measure, promised, achieved, low, high, kept: a row per row of `levels.service`; kept unless
        the whole 95 % interval misses the promise. The demand that counts is that of the group's own site.

    Raises
    ------
    DataError
        The levels do not fit the data; years not above 0.
    """
    if not (np.isfinite(years) and years > 0):
        raise problem_in_argument(
            "simulate_levels", "years", years, "is no number above 0", "give years above 0"
        )
    sites, parts = network_tables(data)
    rates = pipeline_rates(data, demand)
    columns = ["part_id", "site_id", "base_stock", "reorder_point", "order_quantity"]
    given = levels.table[[name for name in columns if name in levels.table]]
    forest = read_forest(sites, parts, rates, given)
    asked = windows(levels.service)
    times = np.unique(asked[~np.isnan(asked)])
    batched = run_forest(forest, float(years), int(seed), times)
    table = attainment_table(forest, batched, levels, times)
    return Attainment(
        table=table,
        assumptions=assumptions_frame(_assumptions(years, seed, forest, data)),
        lines=_lines(table, batched, years),
    )


def attainment_table(
    forest: Forest, batched: _tally.Batched, levels: StockLevels, times: FloatArray
) -> pd.DataFrame:
    """Promised against achieved per service group.

    Parameters
    ----------
    forest : Forest
    batched : Batched
    levels : StockLevels
        `.service` holds group, measure, target, site_id and, where parts are promised by tier or group, tier
        or part_group; then `.table` carries it too. A share within a window names it in `window_days`.
    times : ndarray, shape (T,)
        Waits that were counted. [days]

    Returns
    -------
    DataFrame
        group, measure, promised, achieved, low, high, kept.
    """
    site = forest.site_ids.take(forest.site)
    named, label = _promised_as(forest, levels)
    own = batched.own
    out = []
    # A cap on money is no promise that demand could keep or break.
    service = levels.service[levels.service["measure"] != "money"]
    for promise, window in zip(service.to_dict("records"), windows(service)):
        mine = np.asarray(site == promise["site_id"])
        if label is not None and not pd.isna(promise[named]):
            mine &= (label == promise[named]).to_numpy()
        waiting = promise["measure"] == "mean_wait_days"
        if waiting:
            top = batched.own_wait
        elif np.isnan(window):
            top = batched.own_filled
        else:
            top = batched.own_waits_le[:, :, int(np.searchsorted(times, window))]
        values, widths = ratio_interval(
            top[mine].sum(axis=0, keepdims=True), own[mine].sum(axis=0, keepdims=True), share=not waiting
        )
        low, high = max(float(values[0] - widths[0]), 0.0), float(values[0] + widths[0])
        # A promise counts as broken only where the whole interval lies on the wrong side of it.
        broken = low > promise["target"] if waiting else min(high, 1.0) < promise["target"]
        out.append(
            (
                promise["group"],
                promise["measure"],
                promise["target"],
                float(values[0]),
                low,
                high if waiting else min(high, 1.0),
                not broken,
            )
        )
    return pd.DataFrame(out, columns=["group", "measure", "promised", "achieved", "low", "high", "kept"])


def windows(service: pd.DataFrame) -> FloatArray:
    """Days within which each promise wants its share served; NaN for waits and fill rates.

    Parameters
    ----------
    service : DataFrame
        measure, and window_days where a measure is "in_window"; "wait_le_<days>" names its own.

    Returns
    -------
    ndarray, shape (rows,)
        [days]
    """
    if not len(service):
        return np.empty(0)
    named = pd.to_numeric(service["measure"].astype(str).str.removeprefix("wait_le_"), errors="coerce")
    given = pd.to_numeric(service["window_days"], errors="coerce") if "window_days" in service else np.nan
    return np.where(service["measure"] == "in_window", given, named).astype(float)


def _promised_as(forest: Forest, levels: StockLevels) -> tuple[str, pd.Series | None]:
    """Column by which rows share a promise, and its value for every row of the forest."""
    for name in ("part_group", "tier"):
        if name in levels.service and name in levels.table:
            known = levels.table.drop_duplicates("part_id").set_index("part_id")[name]
            return name, known.reindex(forest.part_ids.take(forest.part)).reset_index(drop=True)
    return "", None


def _ready(batched: _tally.Batched) -> tuple[FloatArray, FloatArray]:
    short, width = ratio_interval(batched.short, batched.days)
    return 1 - short, width


def _chunks(forest: Forest, years: float) -> Iterator[IntArray]:
    """Whole parts, about CHUNK_EVENTS at a time."""
    if not len(forest):
        return
    events = np.cumsum(_events(forest, years))
    first, last = forest.spans()
    group = (events[last - 1] // CHUNK_EVENTS).astype(np.int64)
    for value in np.unique(group):
        mine = np.flatnonzero(group == value)
        yield np.arange(first[mine[0]], last[mine[-1]])


def _events(forest: Forest, years: float) -> FloatArray:
    worlds = np.where(_runs.in_worlds(forest), _runs.WORLDS, 1)
    return forest.demand * (years * DAYS_PER_YEAR + 2 * worlds * forest.lead) + 20.0


def _shown(chunks: list[IntArray], forest: Forest, years: float) -> Any:
    if float(_events(forest, years).sum()) < SHOW_PROGRESS_EVENTS:
        return chunks
    from tqdm.auto import tqdm

    return tqdm(chunks, desc="simulation", unit="chunk")


def _assumptions(years: float, seed: int, forest: Forest, data: Dataset) -> Iterator[dict[str, Any]]:
    uncertain = len(np.unique(forest.part[forest.spread > 0]))
    facts = [
        ("years", years, "years", "default" if years == 50 else "set by the user", "time measured per part"),
        ("seed", seed, "", "default" if seed == 0 else "set by the user", "seed of the simulation"),
        ("batches", _runs.BATCHES, "", "default", "batches from which the intervals are computed"),
        ("lead_times", "fixed", "", "data: parts.lead_time_days, sites.lead_time_days",
         "every supply takes its mean lead time"),
        ("uncertain_rates", uncertain, "parts", "estimated by the forecast",
         "parts whose rate is drawn anew in each of the independent runs"),
    ]  # fmt: skip
    if "lateral_pool" in data.sites and data.sites["lateral_pool"].notna().any():
        without = "promises are judged without help from neighbours, which is on the safe side"
        facts.append(("lateral_help", "left out", "", "default", without))
    for name, value, unit, origin, meaning in facts:
        yield {
            "stage": "simulation",
            "name": name,
            "value": value,
            "unit": unit,
            "origin": origin,
            "meaning": meaning,
        }


def _lines(table: pd.DataFrame, batched: _tally.Batched, years: float) -> tuple[str, ...]:
    pieces = float(batched.own.sum())
    kept = int(table["kept"].sum())
    lines = [
        f"{years:g} simulated years, {pieces:,.0f} pieces asked for: {kept} of {len(table)} promises kept."
    ]
    broken = table[~table["kept"].astype(bool)]
    for row in broken.head(3).itertuples():
        lines.append(
            f"{row.group}: {row.measure} {row.promised:.3f} promised, {row.achieved:.3f} achieved "
            f"({row.low:.3f} to {row.high:.3f})."
        )
    if pieces:
        lines.append(f"{float(batched.own_filled.sum()) / pieces:.1%} of the demand was met from the shelf.")
    return tuple(lines)
