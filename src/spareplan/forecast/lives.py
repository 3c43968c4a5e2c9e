"""Lives of all fitted parts: what the fleet lived through in; posterior laws, planned replacements out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.analogues import borrowed_statistics
from spareplan.forecast.exposure import FleetHistory
from spareplan.forecast.fine_shapes import Laws, point_laws, refined_laws
from spareplan.forecast.group_sums import GroupSums, group_sums
from spareplan.forecast.harshness import Harshness, find_harshness, no_harshness
from spareplan.forecast.installed import PartLaw
from spareplan.forecast.life_choices import (
    analogue_notes,
    analogues_of_new_parts,
    choose_clock,
    find_repaired,
    kin_of_parts,
    own_spells,
    untouched_by_kind,
)
from spareplan.forecast.life_rows import (
    ClockSide,
    PlannedRates,
    chosen_rows,
    class_spells,
    seen_rows,
    spells_ahead,
    weigh_open,
    with_planned,
)
from spareplan.forecast.life_sums import (
    Fitment,
    LifeSums,
    SharedSums,
    ahead_sums,
    fitment_numbers,
    shared_sums,
    spell_sums,
    untouched_sums,
)
from spareplan.forecast.notes import note
from spareplan.forecast.planned_rates import planned_rates
from spareplan.forecast.sparse import PooledLives, pool_statistics
from spareplan.forecast.spells import touched_spells
from spareplan.forecast.unknown_ages import class_rows, open_sums, weighed_rows

FloatArray = NDArray[np.float64]
# The spells that are published; beyond, pieces of unknown age are left out of them.
MOST_SPELLS = 1_000_000
# Fits under the hazard ratios found, and ratios under the fits.
HARSH_ROUNDS = 2


@dataclass(frozen=True)
class PartLives:
    """What is known of the lives of every fitted part.

    Parameters
    ----------
    lifetimes : DataFrame
        A row per part as in `fit_lifetimes`, with `family`, `clock` and `kind` (renewed, repaired).
    fitment : Fitment
    sides : mapping of str to ClockSide
        By clock.
    posterior : PooledLives
        Rows as in `lifetimes`.
    point : tuple of ndarray
        Shape and scale under which pieces of unknown age are weighed.
    planned : dict
        Number of a part to its planned replacements per age bin, and the bin's width.
    mean_rates : ndarray, shape (parts, 3)
        Failures and planned replacements per piece and use, and the squared variation of that rate.
    laws : Laws
        Posterior laws of each part.
    harshness : Harshness
        Which groups of machines wear their parts faster.
    notes : list of dict
        Assumption rows.
    """

    lifetimes: pd.DataFrame
    fitment: Fitment
    sides: Mapping[str, ClockSide]
    posterior: PooledLives
    point: tuple[FloatArray, FloatArray]
    planned: PlannedRates
    mean_rates: FloatArray
    laws: Laws
    harshness: Harshness
    notes: list[dict[str, Any]] = field(default_factory=list)

    def law(self, number: int) -> PartLaw:
        """Posterior of one part, by its row."""
        rates, width = self.planned.get(number, (np.zeros(1), 1.0))
        failures, planned, doubt = (float(rate) for rate in self.mean_rates[number])
        weight, shape, scale, events = (column[number] for column in self.laws)
        return PartLaw(
            weight,
            shape,
            scale,
            events,
            rates,
            width,
            failures,
            planned,
            doubt,
            bool(self.lifetimes["kind"].iloc[number] == "repaired"),
        )


def learn_lives(
    fleet: FleetHistory, parts: pd.DataFrame, clock: str, stage: pd.Series | None = None
) -> PartLives:
    """Fit the lives of all parts by empirical Bayes across families.

    Parameters
    ----------
    fleet : FleetHistory
    parts : DataFrame
        part_id, family, supplier, source, expected_life_hours.
    clock : {"auto", "hours", "calendar"}
        "auto": by likelihood per family where the use of every machine is known.
    stage : Series, optional
        Region to its market stage.

    Returns
    -------
    PartLives

    Notes
    -----
    First the spells whose beginning was seen are fitted (and all spells of parts that have no other); under
    that law the others are spread over the ages they may have had, and everything is fitted again.
    """
    fitment = fitment_numbers(fleet)
    stage = pd.Series(dtype=object) if stage is None else stage
    kin = kin_of_parts(parts, fitment.parts)
    shared = {name: shared_sums(fleet.machines, fitment, name) for name in fleet.machines.ages}
    hours = fleet.hours & (clock != "calendar") & ("hours" in shared)
    notes: list[dict[str, Any]] = []
    wanted = {"hours": hours, "days": ~hours | (clock == "auto")}
    listed = {name: touched_spells(fleet, name, wanted[name]) for name in shared}
    if clock == "auto" and hours.any():
        hours, notes = choose_clock(fitment, shared, listed, kin, hours)
    repaired, more = find_repaired(fleet, fitment, shared, listed, kin, hours)
    notes += more
    unit = np.where(hours, shared["hours"].unit if "hours" in shared else 1.0, shared["days"].unit)
    family = kin["label"].to_numpy(object) + np.where(hours, "", " (days)")
    code = pd.factorize(family, sort=True)[0]
    life = np.where(hours, kin["expected_life"].to_numpy(float), np.nan)

    # First what was seen from new, then everything.
    on = {"hours": hours, "days": ~hours}
    raw = {name: own_spells(fleet, name, on[name], repaired, listed[name]) for name in shared}
    sums = _joined({name: _closed(fitment, shared[name], raw[name], repaired) for name in shared}, on)
    first = pool_statistics(sums.failures, sums.log_age, sums.powers, unit, code, life)
    rough = first.point_law(np.zeros_like(sums.powers), sums.powers, sums.failures, sums.log_age)
    shape, scale = rough.first, rough.second
    known = planned_rates(seen_rows(fitment, shared, raw, on))
    sides, ahead = {}, {}
    every, grouped = {}, []
    for name, side in shared.items():
        spells = weigh_open(raw[name], shape, scale, known)
        rows = chosen_rows(class_rows(fitment, side.open), on[name] & ~repaired)
        sides[name] = ClockSide(on[name], side, spells, rows)
        powers, coming = open_sums(rows, side.open, side.unit, shape, scale, known)
        base = untouched_by_kind(fitment, side, repaired)
        every[name] = spell_sums(spells, len(fitment.parts), side.unit).plus(
            base._replace(powers=base.powers + powers)
        )
        seen = spells[~spells["open"].to_numpy(bool) & ~repaired[spells["part"].to_numpy()]]
        groups = group_sums(fitment, side, seen, fleet.machines.group, len(fleet.machines.groups))
        grouped.append(_of_parts(groups, on[name] & ~repaired))
        running = fleet.machines.table["in_service"].to_numpy(bool)
        ahead[name] = (
            ahead_sums(fitment, side, fleet.machines.ages[name], running)
            + coming
            + spells_ahead(spells, len(fitment.parts), side.unit)
        )
    sums = _joined(every, on)
    analogues = analogues_of_new_parts(fleet, fitment, parts, sums, rough.first, hours)
    borrowed = borrowed_statistics(
        analogues, fitment.parts, sums.failures, sums.log_age, sums.powers, np.asarray(unit)
    )
    posterior = pool_statistics(sums.failures, sums.log_age, sums.powers, unit, code, life, borrowed)
    by_group = GroupSums(*(np.concatenate(column) for column in zip(*grouped)))
    harshness = no_harshness(fleet.machines.groups, len(fitment.parts))
    scaled = sums
    for _ in range(HARSH_ROUNDS):
        found = find_harshness(
            by_group, posterior, kin["label"].to_numpy(object), fleet.machines.groups, stage, harshness
        )
        if found is harshness:
            break
        harshness = found
        scaled = sums._replace(powers=harshness.scaled(by_group, sums.powers))
        posterior = pool_statistics(sums.failures, sums.log_age, scaled.powers, unit, code, life, borrowed)
    coming = np.where(hours[:, None], ahead.get("hours", ahead["days"]), ahead["days"])
    laws = refined_laws(posterior, sums.failures, sums.log_age, scaled.powers)
    rough = posterior.point_law(coming, scaled.powers, sums.failures, sums.log_age)
    fit = point_laws(rough, posterior, laws, sums.failures, sums.log_age, scaled.powers)
    table = pd.DataFrame(
        {
            "part_id": fitment.parts.to_numpy(),
            "distribution": "weibull",
            "shape": fit.first,
            "scale": fit.second,
            "shape_se": fit.first_se,
            "scale_se": fit.second_se,
            "loglik": fit.loglik,
            # Shares of one failure add up to it but for rounding.
            "n_failed": sums.failures.round(9),
            "n_censored": sums.alive.round(9),
            "method": "pooled",
            "family": kin["label"].to_numpy(object),
            "clock": np.where(hours, "hours", "days"),
            "kind": np.where(repaired, "repaired", "renewed"),
        }
    )
    like = analogues[analogues["discount"] > 0].set_index("part_id")["like_part"]
    table["like_part"] = table["part_id"].map(like)
    rates = _mean_rates(sums, table["family"] + table["clock"])
    lives = PartLives(table, fitment, sides, posterior, (shape, scale), known, rates, laws, harshness, notes)
    work = np.unique(np.concatenate([with_planned(frame) for frame in raw.values()]))
    return PartLives(
        table,
        fitment,
        sides,
        posterior,
        (shape, scale),
        planned_rates(_listed(lives, work)) | known,
        rates,
        laws,
        harshness,
        [*notes, *analogue_notes(analogues), *harshness.notes, *_notes(table, posterior)],
    )


def listed_spells(lives: PartLives) -> pd.DataFrame:
    """All spells as weighted rows, for tables and pictures.

    Parameters
    ----------
    lives : PartLives

    Returns
    -------
    DataFrame
        part_id, entry, exit, failed, count. Where there would be more than a million rows, pieces of unknown
        age on machines older than the records are left out.
    """
    size = sum(len(side.open.part) for side in lives.sides.values())
    rows = _listed(lives, open_too=size * 4 <= MOST_SPELLS)
    order = np.lexsort([rows[name].to_numpy() for name in ("exit", "entry", "part")])
    out = rows[["part", "entry", "exit", "failed", "count"]].iloc[order].reset_index(drop=True)
    out.insert(0, "part_id", lives.fitment.parts.to_numpy()[out.pop("part").to_numpy()])
    return out


def _joined(by_clock: Mapping[str, LifeSums], on: Mapping[str, NDArray[np.bool_]]) -> LifeSums:
    """Take each part's sums from its own clock."""
    days = by_clock["days"]
    if "hours" not in by_clock:
        return days
    hours = on["hours"]
    return LifeSums(
        *(
            np.where(hours if one.ndim == 1 else hours[:, None], one, two)
            for one, two in zip(by_clock["hours"], days)
        )
    )


def _closed(
    fitment: Fitment, side: SharedSums, spells: pd.DataFrame, repaired: NDArray[np.bool_]
) -> LifeSums:
    """Sums over what was seen from new; over everything for parts of which nothing was."""
    closed = spells[~spells["open"].to_numpy(bool)]
    sums = spell_sums(closed, len(fitment.parts), side.unit).plus(untouched_by_kind(fitment, side, repaired))
    blind: NDArray[np.bool_] = ~np.asarray((sums.powers > 0).any(axis=1))
    if not blind.any():
        return sums
    whole = spell_sums(spells, len(fitment.parts), side.unit).plus(
        untouched_sums(fitment, side, repaired=True)
    )
    return LifeSums(*(np.where(blind if a.ndim == 1 else blind[:, None], a, b) for a, b in zip(whole, sums)))


def _listed(lives: PartLives, parts: NDArray[np.int64] | None = None, open_too: bool = True) -> pd.DataFrame:
    """All spells (of some parts) as rows: with a record, without one, of unknown age."""
    fitment = lives.fitment
    some = np.ones(len(fitment.parts), dtype=bool)
    if parts is not None:
        some[:] = False
        some[parts] = True
    columns = ["part", "entry", "exit", "failed", "planned", "count", "open"]
    out = []
    for side in lives.sides.values():
        own = side.spells if parts is None else side.spells[some[side.spells["part"].to_numpy()]]
        out += [own[columns], class_spells(fitment, side.shared, side.parts & some)]
        if not open_too:
            continue
        classes = side.shared.open
        rows = chosen_rows(side.open, some)
        for part, at, before, after, weight in weighed_rows(rows, classes, *lives.point, lives.planned):
            row, column = np.nonzero(weight)
            start = before[row, column]
            grown = np.minimum(classes.seen[at] / classes.ahead[at], 1.0)[row]
            out.append(
                pd.DataFrame(
                    {
                        "part": part[row],
                        "entry": start,
                        "exit": start + (after[row, column] - start) * grown,
                        "failed": False,
                        "planned": False,
                        "count": weight[row, column],
                        "open": True,
                    }
                )
            )
    return pd.concat([frame for frame in out if len(frame)] or out[:1], ignore_index=True)


def _of_parts(sums: GroupSums, parts: NDArray[np.bool_]) -> GroupSums:
    keep = parts[sums.part]
    return GroupSums(sums.part[keep], sums.group[keep], sums.failures[keep], sums.powers[keep])


def _mean_rates(sums: LifeSums, family: pd.Series) -> FloatArray:
    """Events per piece and use of each part; a failure's worth of the family's rate is mixed in."""
    watched = np.maximum(sums.time, 1e-9)
    code = pd.factorize(family, sort=True)[0]
    of_family = (np.bincount(code, sums.failures) + 0.5)[code] / np.bincount(code, watched)[code]
    rate = (sums.failures + 1.0) / (watched + 1.0 / of_family)
    planned = sums.planned / watched
    return np.column_stack([rate, planned, 1.0 / (sums.failures + sums.planned + 1.0)])


def _notes(table: pd.DataFrame, posterior: PooledLives) -> list[dict[str, Any]]:
    few = int((table["n_failed"] < 3).sum())
    families = table["family"].nunique()
    out = [
        note(
            "parts with lives pooled across kin",
            len(table),
            "parts",
            "estimated from replacements",
            f"{families} families (family, else supplier, else source); {few} parts with under 3 failures",
        )
    ]
    counts = table["clock"].value_counts()
    out += [
        note(
            f"parts on the clock of {unit}", int(counts[unit]), "parts", "data: usage, meter_readings", words
        )
        for unit, words in (
            ("hours", "the use of every machine that carries the part is known"),
            ("days", "calendar days"),
        )
        if unit in counts
    ]
    if np.isfinite(posterior.bias):
        out.append(
            note(
                "engineers' expected lives are too long by",
                float(np.exp(posterior.bias)),
                "times",
                "estimated from replacements",
                f"spread {posterior.expert_spread:g} in ln life; they inform parts with few failures",
            )
        )
    return out
