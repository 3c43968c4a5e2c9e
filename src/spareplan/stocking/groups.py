"""Which parts share a promise, and what is promised to them at every site."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

WISHES = ["target_fill_rate", "target_wait_days"]
IN_WINDOW = ["target_in_window", "window_days"]
THIRD_PARTY = "third_party"


def part_groups(graded: pd.DataFrame, own_promise: bool = True) -> tuple[NDArray[np.object_], dict[str, int]]:
    """Name the group whose promise each part shares.

    A part shares the promise of its tier. Parts that are promised something else (vital parts with a floor of
    their own, planners' targets) keep it among themselves, so that nobody else's stock stands in for theirs.
    What a third party supplies is promised by the third party, never by the stock of headquarters.

    Parameters
    ----------
    graded : DataFrame
        Indexed by part_id: tier, target_fill_rate, target_wait_days; optional target_in_window, window_days,
        criticality, planner.
    own_promise : bool
        False: targets of a tier are averaged, and all its parts share them.

    Returns
    -------
    group : ndarray of str, shape (parts,)
        "tier 1", "tier 1 vital", "tier 1 at 99 %", ...; NaN without tier or target.
    tier_of_group : dict of str to int
    """
    wishes = graded.reindex(columns=[*WISHES, *IN_WINDOW]).astype(float)
    promised = wishes.drop(columns="window_days").notna().any(axis=1).to_numpy()
    tier = graded["tier"].to_numpy(dtype=float)
    named = promised & ~np.isnan(tier)
    group = np.full(len(graded), np.nan, dtype=object)
    if not named.any():
        return group, {}
    outside = np.zeros(len(graded), bool)
    if "planner" in graded:
        outside = (graded["planner"] == THIRD_PARTY).fillna(False).to_numpy(dtype=bool)
    vital = np.zeros(len(graded), bool)
    if "criticality" in graded:
        vital = (graded["criticality"] == "vital").fillna(False).to_numpy(dtype=bool)
    rows = pd.DataFrame({"tier": tier, "outside": outside, "vital": vital}, index=np.arange(len(graded)))
    rows["wish"] = wishes.fillna(-1.0).round(12).groupby(list(wishes.columns)).ngroup().to_numpy()
    rows = rows[named]
    if not own_promise:
        rows["wish"] = 0
    kinds = rows.groupby(["tier", "outside", "wish"])["vital"].agg(["size", "sum"]).reset_index()
    kinds["plain"] = kinds["size"] - kinds["sum"]
    # The promise of the tier is that of most of its parts, those that are not vital first.
    kinds = kinds.sort_values(
        ["tier", "outside", "plain", "size", "wish"],
        ascending=[True, True, False, False, True],
        kind="stable",
        ignore_index=True,
    )
    first = ~kinds.duplicated(["tier", "outside"])
    all_vital = (kinds["plain"] == 0) & ~first
    lone = all_vital & (all_vital.groupby([kinds["tier"], kinds["outside"]]).transform("sum") == 1)
    example = rows.drop_duplicates("wish").set_index("wish").index
    said = {code: _wish_words(wishes.iloc[at]) for code, at in zip(example, _first_rows(rows))}
    kinds["name"] = "tier " + kinds["tier"].astype(int).astype(str)
    kinds.loc[lone, "name"] += " vital"
    other = ~first & ~lone
    kinds.loc[other, "name"] += " at " + kinds.loc[other, "wish"].map(said)
    kinds.loc[kinds["outside"], "name"] += " third party"
    found = rows.merge(kinds[["tier", "outside", "wish", "name"]], on=["tier", "outside", "wish"], how="left")
    group[named] = found["name"].to_numpy(dtype=object)
    tiers = dict(zip(kinds["name"], kinds["tier"].astype(int)))
    return group, {name: tiers[name] for name in sorted(tiers)}


def group_targets(parts: pd.DataFrame, rates: pd.DataFrame, graded: pd.DataFrame) -> pd.DataFrame:
    """Targets per site x group: those of the parts, weighted by the demand of the site.

    Parameters
    ----------
    parts : DataFrame
        part_id, group.
    rates : DataFrame
        part_id, site_id, demand_per_day.
    graded : DataFrame
        Indexed by part_id: target_fill_rate, target_wait_days; optional target_in_window, window_days.

    Returns
    -------
    DataFrame
        site_id, group, target_fill_rate, target_wait_days, target_in_window, window_days (the shortest of the
        group's); a row per site x group with demand and any promise.
    """
    rows = rates[["part_id", "site_id", "demand_per_day"]].merge(parts[["part_id", "group"]], on="part_id")
    rows = rows[rows["group"].notna() & (rows["demand_per_day"] > 0)]
    wishes = graded.reindex(columns=[*WISHES, *IN_WINDOW]).astype(float)
    # A share within a window is a promise only where the window is told.
    wishes.loc[wishes[IN_WINDOW].isna().any(axis=1), IN_WINDOW] = np.nan
    rows = rows.merge(wishes, left_on="part_id", right_index=True)
    out = [rows.groupby(["site_id", "group"])["window_days"].min()]
    for wish in [*WISHES, "target_in_window"]:
        given = rows[rows[wish].notna()]
        weighted = (given[wish] * given["demand_per_day"]).groupby([given["site_id"], given["group"]]).sum()
        out.append((weighted / given.groupby(["site_id", "group"])["demand_per_day"].sum()).rename(wish))
    # Parts of one group may differ in kind of promise; then each kind covers the demand of the whole group.
    return pd.concat(out, axis=1).dropna(how="all").reset_index()


def _first_rows(rows: pd.DataFrame) -> NDArray[np.int64]:
    return np.asarray(rows.index[~rows.duplicated("wish")], dtype=np.int64)


def _wish_words(wish: pd.Series) -> str:
    """A promise in a few characters: 99 %, 0.5 d, 95 % in 1 d."""
    told = []
    if not np.isnan(wish["target_fill_rate"]):
        told.append(f"{100 * wish['target_fill_rate']:.6g} %")
    if not np.isnan(wish["target_wait_days"]):
        told.append(f"{wish['target_wait_days']:.6g} d")
    if not np.isnan(wish["target_in_window"]):
        told.append(f"{100 * wish['target_in_window']:.6g} % in {wish['window_days']:.6g} d")
    return ", ".join(told)
