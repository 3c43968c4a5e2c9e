"""What the blend of roads says of itself: verdicts, assumption rows, methods and facts of each part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.forecast.exposure import FleetHistory
from spareplan.forecast.notes import note

if TYPE_CHECKING:
    from spareplan.forecast.blend import Blend
    from spareplan.forecast.site_factors import SiteFactors

PAIR = ["part_id", "site_id"]
SITES_NOTE = "demand of sites over what their machines let expect"
WEIGHT_NOTE, RECORD_NOTE = "weight of ages against the mean rate", "weight of the own record"
# Log likelihood that makes one road the winner. [nats]
CLEAR = 2.0
# From this on a site's factor is told.
TELLING = 0.1
# Failures from which a part's life is its own.
ENOUGH = 6


def family_verdicts(
    tested: pd.DataFrame,
    families: np.ndarray,
    code: np.ndarray,
    evidence: np.ndarray,
    nodes: np.ndarray,
    roads: tuple[str, ...],
) -> np.ndarray:
    """What the back-test said of each family.

    Parameters
    ----------
    tested : DataFrame
        As `Blend.tested`.
    families, code : ndarray
        Names, and the family of each row.
    evidence : ndarray, shape (families, nodes)
        Log likelihood.
    nodes : ndarray, shape (nodes, 3)
    roads : tuple of str
        Columns of `tested` by road.

    Returns
    -------
    ndarray of str, shape (families,)
        "ages won: in the last quarters 7% off by ages, 8% by the mean rate".
    """
    alone = [int(np.flatnonzero(nodes[:, road] == 1)[0]) for road in range(3) if nodes[:, road].max() == 1]
    names = np.array(["ages won", "mean rate won", "own record won", "a draw"], dtype=object)
    ends = evidence[:, alone]
    order = np.argsort(-ends, axis=1, kind="stable")
    best, next_best = (np.take_along_axis(ends, order[:, [k]], axis=1)[:, 0] for k in (0, 1))
    won = names[np.where(best - next_best > CLEAR, order[:, 0], 3)]
    seen = np.bincount(code, tested["actual"].to_numpy(float), len(families))
    off = [
        np.bincount(code, (tested[name] - tested["actual"]).abs().fillna(0).to_numpy(float), len(families))
        / np.maximum(seen, 1.0)
        for name in roads[: len(alone)]
    ]
    words = ("by ages", "by the mean rate", "by the own record")
    said = [
        ", ".join(
            f"{error:.0%} {how}" if number else f"{error:.0%} off {how}"
            for number, (error, how) in enumerate(zip(errors, words))
        )
        for errors in zip(*off)
    ]
    return np.array([f"{word}: in the last quarters {text}" for word, text in zip(won, said)], dtype=object)


def back_test_notes(
    tested: pd.DataFrame, weights: np.ndarray, doubt: float, length: int
) -> list[dict[str, Any]]:
    """Tell how the roads did and what they weigh; `weights` of shape (parts, 3)."""
    origins = sorted(tested["origin"].unique())
    said = ", ".join(f"{pd.Timestamp(origin):%Y-%m-%d}" for origin in origins)
    seen = max(tested["actual"].sum(), 1.0)
    words = {"by_ages": "by ages", "by_rate": "by the mean rate", "by_history": "by the own record"}
    known = {name: how for name, how in words.items() if tested[name].notna().any()}
    roads = ", ".join(
        f"{how} {(tested[name] - tested['actual']).abs().sum() / seen:.0%} off per part and "
        f"{tested[name].sum():.0f} expected"
        for name, how in known.items()
    )
    text = f"{length} months after {said}: {roads}; {tested['actual'].sum():.0f} happened"
    ages, record = weights[:, 0], weights[:, 2]
    rows = [note(WEIGHT_NOTE, f"{ages.min():.2f} to {ages.max():.2f}", "", "estimated by back-test", text)]
    if "by_history" in known:
        meaning = "what was taken of the part so far, per piece in service, pooled over all parts"
        value = f"{record.min():.2f} to {record.max():.2f}"
        rows.append(note(RECORD_NOTE, value, "", "estimated by back-test", meaning))
    return [
        *rows,
        note(
            "doubt that past forecasts missed",
            doubt,
            "",
            "estimated by back-test",
            "squared coefficient of variation added to the rate of every part on known machines",
        ),
    ]


def site_notes(factors: SiteFactors) -> list[dict[str, Any]]:
    """Tell which sites take more or less than their machines let expect."""
    if not factors.sites:
        return []
    low, high = (pick(factors.sites, key=lambda site: factors.sites[site]) for pick in (min, max))
    text = (
        f"within the total of each part; {low} {factors.sites[low]:.2f}, {high} {factors.sites[high]:.2f}; a "
        f"factor of 1 is worth {factors.strength:.0f} pieces to a site, the site's own "
        f"{factors.own_strength:.0f} to a part there"
    )
    return [note(SITES_NOTE, len(factors.sites), "sites", "estimated by back-test", text)]


def method_words(parts: pd.Series, failed: pd.Series, blend: Blend) -> pd.Series:
    """Which road each part follows, in words, by part."""
    own = np.where(failed >= ENOUGH, "ages", "ages, pooled lives")
    text = [f"installed base: {blend.words(part, by_ages)}" for part, by_ages in zip(parts, own)]
    return pd.Series(text, index=parts.to_numpy())


def pair_facts(fleet: FleetHistory, law: pd.DataFrame, table: pd.DataFrame, blend: Blend) -> pd.Series:
    """Machines and lives of each part and site of a table, in words; `law` as `PartLives.lifetimes`."""
    index = pd.MultiIndex.from_frame(table[PAIR].drop_duplicates())
    now = fleet.machines.table[fleet.machines.table["in_service"].to_numpy(bool)]
    present = now.groupby(["product_id", "site_id"]).size().rename("machines").reset_index()
    there = fleet.fitted[["part_id", "product_id"]].merge(present, on="product_id")
    machines = there.groupby(PAIR)["machines"].sum().reindex(index).fillna(0).astype(int)
    unit = {"hours": "h", "days": "days"}
    text = {
        part: f"life {scale:,.0f} {unit[clock]}, shape {shape:.1f}, {failed:.0f} failures"
        + (", repaired in place" if kind == "repaired" else "")
        + ("" if pd.isna(like) else f", like {like}")
        + ("" if blend.of(part) > 0.99 and not blend.winner(part) else f"; {blend.reason(part)}")
        for part, scale, shape, failed, clock, kind, like in zip(
            *(law[name] for name in ("part_id", "scale", "shape", "n_failed", "clock", "kind", "like_part"))
        )
    }
    parts, sites = (index.get_level_values(level).to_numpy(object) for level in (0, 1))
    factor = blend.sites.of_pairs(parts, sites)
    here = [
        f", takes {value:.2f} times what its machines let expect" if abs(value - 1) > TELLING else ""
        for value in factor
    ]
    return pd.Series(
        [
            f"{count} machines in service{more}, {text[part]}"
            for count, more, part in zip(machines, here, parts)
        ],
        index=index,
    )
