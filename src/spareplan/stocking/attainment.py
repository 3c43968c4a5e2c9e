"""Promised against achieved: what a simulation says of the promises of a plan, with and without pools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.results import StockLevels
from spareplan.stocking import _runs, _tally
from spareplan.stocking._forest import Forest
from spareplan.stocking.pooled import PoolBatched
from spareplan.stocking.sampling import longest_waits, ratio_interval

FloatArray = NDArray[np.float64]


def attainment_table(
    forest: Forest, batched: _tally.Batched | PoolBatched, levels: StockLevels, times: FloatArray
) -> pd.DataFrame:
    """Promised against achieved per service group.

    Parameters
    ----------
    forest : Forest
    batched : Batched or PoolBatched
    levels : StockLevels
        `.service` holds group, measure, target, site_id and, where parts are promised by tier or group, tier
        or part_group; then `.table` carries it too. A share within a window names it in `window_days`.
    times : ndarray, shape (T,)
        Waits that were counted. [days]

    Returns
    -------
    DataFrame
        group, measure, promised, achieved, low, high, kept; of pools also lateral_share.
    """
    site = forest.site_ids.take(forest.site)
    named, label = _promised_as(forest, levels)
    own = batched.own
    longest = longest_waits(forest)
    out, helped = [], []
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
            top[mine].sum(axis=0, keepdims=True),
            own[mine].sum(axis=0, keepdims=True),
            share=not waiting,
            most=longest[mine].max(initial=0.0) if waiting else np.nan,
        )
        if isinstance(batched, PoolBatched):
            with np.errstate(invalid="ignore"):
                helped.append(float(np.divide(batched.lateral[mine].sum(), own[mine].sum())))
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
    table = pd.DataFrame(out, columns=["group", "measure", "promised", "achieved", "low", "high", "kept"])
    if isinstance(batched, PoolBatched):
        table["lateral_share"] = helped
    return table


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


def pools_of(sites: pd.DataFrame) -> pd.DataFrame:
    """Sites of a lateral pool that have somebody in it to help, and the days of a transfer.

    Parameters
    ----------
    sites : DataFrame
        The table of the dataset. A site without lateral_days is helped as fast
        as its parent would deliver.

    Returns
    -------
    DataFrame
        site_id, lateral_pool, lateral_days.
    """
    columns = ["site_id", "lateral_pool", "lateral_days"]
    if not set(columns) <= set(sites.columns):
        return pd.DataFrame(columns=columns)
    able = sites.assign(lateral_days=sites["lateral_days"].fillna(sites["lead_time_days"]).fillna(0.0))
    able = able.loc[able["lateral_pool"].notna(), columns]
    return able[able["lateral_pool"].duplicated(keep=False)].sort_values("site_id", ignore_index=True)


def assumption_rows(
    years: float, seed: int, forest: Forest, neighbours: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """Rows of the assumptions of a simulation."""
    uncertain = len(np.unique(forest.part[forest.spread > 0]))
    vague = len(np.unique(forest.part[forest.lead_sd > 0]))
    facts = [
        ("years", years, "years", "default" if years == 50 else "set by the user", "time measured per part"),
        ("seed", seed, "", "default" if seed == 0 else "set by the user", "seed of the simulation"),
        ("batches", _runs.BATCHES, "", "default", "batches from which the intervals are computed"),
        ("random_lead_times", vague, "parts", "data: parts.lead_time_sd_days",
         "parts whose supplier's time is drawn from a gamma law; all other times are fixed"),
        ("uncertain_rates", uncertain, "parts", "estimated by the forecast",
         "parts whose rate is drawn anew in each of the independent runs"),
    ]  # fmt: skip
    if len(neighbours):
        told = "promises are judged without neighbours, on the safe side; with_pools shows their help"
        facts.append(("sites_in_pools", len(neighbours), "sites", "data: sites.lateral_pool", told))
    for name, value, unit, origin, meaning in facts:
        yield {
            "stage": "simulation",
            "name": name,
            "value": value,
            "unit": unit,
            "origin": origin,
            "meaning": meaning,
        }


def attainment_lines(
    table: pd.DataFrame, batched: _tally.Batched, years: float, helped: pd.DataFrame
) -> tuple[str, ...]:
    """What a colleague would say about the simulated promises."""
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
    if len(helped):
        lines.append(
            f"With the help of neighbours in lateral pools {int(helped['kept'].sum())} of {len(helped)} "
            "promises would be kept."
        )
    return tuple(lines)


def _promised_as(forest: Forest, levels: StockLevels) -> tuple[str, pd.Series | None]:
    """Column by which rows share a promise, and its value for every row of the forest."""
    for name in ("part_group", "tier"):
        if name in levels.service and name in levels.table:
            known = levels.table.drop_duplicates("part_id").set_index("part_id")[name]
            return name, known.reindex(forest.part_ids.take(forest.part)).reset_index(drop=True)
    return "", None
