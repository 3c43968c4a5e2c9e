"""Lives of all fitted parts: what the fleet lived through in; posterior laws, planned replacements out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.analogues import NAMED, borrowed_statistics, find_analogues
from spareplan.forecast.clock_choice import choose_by_evidence, use_jacobian
from spareplan.forecast.exposure import FleetHistory, touched_spells
from spareplan.forecast.fine_shapes import Laws, point_laws, refined_laws
from spareplan.forecast.harshness import Harshness, find_harshness, no_harshness
from spareplan.forecast.installed import PartLaw
from spareplan.forecast.life_sums import (
    AHEAD,
    ClassRows,
    Fitment,
    GroupSums,
    LifeSums,
    SharedSums,
    ahead_sums,
    class_rows,
    fitment_numbers,
    group_sums,
    open_sums,
    shared_sums,
    spell_sums,
    untouched_sums,
    weighed_rows,
)
from spareplan.forecast.machines import SHORTEST_LIFE_DAYS
from spareplan.forecast.open_starts import weigh_open_starts
from spareplan.forecast.planned_rates import planned_rates
from spareplan.forecast.repair_kind import comparable_spells
from spareplan.forecast.sparse import SHAPES, PooledLives, pool_statistics

FloatArray = NDArray[np.float64]
PlannedRates = dict[int, tuple[FloatArray, float]]
# The spells that are published; beyond, pieces of unknown age are left out of them.
MOST_SPELLS = 1_000_000
# A family is repaired rather than renewed only where its records say so, in nats.
LEAST_NATS = 3.0
# Fits under the hazard ratios found, and ratios under the fits.
HARSH_ROUNDS = 2


@dataclass(frozen=True)
class ClockSide:
    """Everything on one clock.

    Parameters
    ----------
    parts : ndarray of bool, shape (parts,)
        Which parts count their ages on this clock.
    shared : SharedSums
    spells : DataFrame
        Of pairs with a record; those that began before the records are spread over possible ages.
    open : ClassRows
        Pieces without a record on machines older than the records.
    """

    parts: NDArray[np.bool_]
    shared: SharedSums
    spells: pd.DataFrame
    open: ClassRows


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
    kin = _kin(parts, fitment.parts)
    shared = {name: shared_sums(fleet.machines, fitment, name) for name in fleet.machines.ages}
    hours = fleet.hours & (clock != "calendar") & ("hours" in shared)
    notes: list[dict[str, Any]] = []
    wanted = {"hours": hours, "days": ~hours | (clock == "auto")}
    listed = {name: touched_spells(fleet, name, wanted[name]) for name in shared}
    if clock == "auto" and hours.any():
        hours, notes = _choose_clock(fitment, shared, listed, kin, hours)
    repaired, more = _find_repaired(fleet, fitment, shared, listed, kin, hours)
    notes += more
    unit = np.where(hours, shared["hours"].unit if "hours" in shared else 1.0, shared["days"].unit)
    family = kin["label"].to_numpy(object) + np.where(hours, "", " (days)")
    code = pd.factorize(family, sort=True)[0]
    life = np.where(hours, kin["expected_life"].to_numpy(float), np.nan)

    # First what was seen from new, then everything.
    on = {"hours": hours, "days": ~hours}
    raw = {name: _own_spells(fleet, name, on[name], repaired, listed[name]) for name in shared}
    sums = _joined({name: _closed(fitment, shared[name], raw[name], repaired) for name in shared}, on)
    first = pool_statistics(sums.failures, sums.log_age, sums.powers, unit, code, life)
    rough = first.point_law(np.zeros_like(sums.powers), sums.powers, sums.failures, sums.log_age)
    shape, scale = rough.first, rough.second
    known = planned_rates(_seen_rows(fitment, shared, raw, on))
    sides, ahead = {}, {}
    every, grouped = {}, []
    for name, side in shared.items():
        spells = _weigh_open(raw[name], shape, scale, known)
        rows = _chosen(class_rows(fitment, side.open), on[name] & ~repaired)
        sides[name] = ClockSide(on[name], side, spells, rows)
        powers, coming = open_sums(rows, side.open, side.unit, shape, scale, known)
        base = _untouched(fitment, side, repaired)
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
            + _spells_ahead(spells, len(fitment.parts), side.unit)
        )
    sums = _joined(every, on)
    analogues = _find_analogues(fleet, fitment, parts, sums, rough.first, hours)
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
    work = np.unique(np.concatenate([_with_planned(frame) for frame in raw.values()]))
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
        [*notes, *_analogue_notes(analogues), *harshness.notes, *_notes(table, posterior)],
    )


def _find_analogues(
    fleet: FleetHistory,
    fitment: Fitment,
    parts: pd.DataFrame,
    sums: LifeSums,
    shape: FloatArray,
    hours: NDArray[np.bool_],
) -> pd.DataFrame:
    """Part like each new one: named by the user, else found among its kin."""
    machines, size = fleet.machines, len(fitment.parts)
    use = machines.ages.get("hours", machines.ages["days"]).shortest / SHORTEST_LIFE_DAYS
    product = fitment.products.get_indexer(pd.Index(machines.table["product_id"]))
    total, count = (
        np.bincount(
            fitment.part,
            fitment.lives * np.bincount(product, values, len(fitment.products))[fitment.product],
            size,
        )
        for values in (use, np.ones(len(use)))
    )
    counts = pd.DataFrame(
        {
            "part_id": fitment.parts.to_numpy(),
            "n_failed": sums.failures,
            "clock": np.where(hours, "hours", "days"),
            "watched": sums.time,
            "hours_per_day": np.where(hours & (count > 0), total / np.maximum(count, 1.0), np.nan),
            "shape": shape,
        }
    )
    known = parts[parts["superseded_by"].isna() | parts["part_id"].isin(fitment.parts)]
    return find_analogues(known, fleet.fitted, counts)


def _analogue_notes(analogues: pd.DataFrame) -> list[dict[str, Any]]:
    used = analogues[analogues["discount"] > 0]
    return [
        _note(
            f"new parts with an analogue {how}",
            int(count),
            "parts",
            "data: parts.like_part" if how == NAMED else "estimated from replacements",
            "failures of a part like them speak for parts that hardly failed, at a discount",
        )
        for how, count in used["how"].value_counts().sort_index().items()
    ]


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


def _kin(parts: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """Family label and expected life of each part."""
    known = parts.set_index("part_id").reindex(index)
    label = known["family"]
    for name in ("supplier", "source"):
        label = label.where(label.notna(), known[name])
    life = known["expected_life_hours"].where(known["expected_life_hours"] > 0)
    return pd.DataFrame({"label": label.fillna("all parts").astype(str), "expected_life": life})


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


def _own_spells(
    fleet: FleetHistory,
    clock: str,
    chosen: NDArray[np.bool_],
    repaired: NDArray[np.bool_],
    listed: pd.DataFrame,
) -> pd.DataFrame:
    """Spells of the parts on this clock, those that are repaired followed by the age of their machine."""
    own = listed[(chosen & ~repaired)[listed["part"].to_numpy()]]
    if not (chosen & repaired).any():
        return own.reset_index(drop=True)
    kept = touched_spells(fleet, clock, chosen & repaired, repaired=True)
    return pd.concat([own, kept], ignore_index=True)


def _untouched(fitment: Fitment, side: SharedSums, repaired: NDArray[np.bool_]) -> LifeSums:
    renewed = untouched_sums(fitment, side)
    if not repaired.any():
        return renewed
    whole = untouched_sums(fitment, side, repaired=True)
    return renewed._replace(powers=np.where(repaired[:, None], whole.powers, renewed.powers))


def _closed(
    fitment: Fitment, side: SharedSums, spells: pd.DataFrame, repaired: NDArray[np.bool_]
) -> LifeSums:
    """Sums over what was seen from new; over everything for parts of which nothing was."""
    closed = spells[~spells["open"].to_numpy(bool)]
    sums = spell_sums(closed, len(fitment.parts), side.unit).plus(_untouched(fitment, side, repaired))
    blind: NDArray[np.bool_] = ~np.asarray((sums.powers > 0).any(axis=1))
    if not blind.any():
        return sums
    whole = spell_sums(spells, len(fitment.parts), side.unit).plus(
        untouched_sums(fitment, side, repaired=True)
    )
    return LifeSums(*(np.where(blind if a.ndim == 1 else blind[:, None], a, b) for a, b in zip(whole, sums)))


def _choose_clock(
    fitment: Fitment,
    shared: Mapping[str, SharedSums],
    listed: Mapping[str, pd.DataFrame],
    kin: pd.DataFrame,
    possible: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], list[dict[str, Any]]]:
    """Hours where they explain the failures of a family better than days, or as well."""
    none = np.zeros(len(possible), dtype=bool)
    code = pd.factorize(kin["label"], sort=True)[0]
    evidence = {}
    for name, side in shared.items():
        spells = listed[name][~listed[name]["open"].to_numpy(bool)]
        sums = spell_sums(spells, len(possible), side.unit).plus(_untouched(fitment, side, none))
        life = np.full(len(possible), np.nan)
        evidence[name] = pool_statistics(
            sums.failures, sums.log_age, sums.powers, side.unit, code, life
        ).evidence
        if name == "hours":
            # Densities are per hour there: the use per day at each failure makes them comparable.
            failed, per_day = spells["failed"].to_numpy(bool), spells["per_day"].to_numpy(float)
            usual = float(per_day[failed].mean()) if failed.any() else 1.0
            use = spells["count"].to_numpy(float) * use_jacobian(failed, per_day, usual)
            evidence[name] += np.bincount(spells["part"].to_numpy(), use, len(possible))
    chosen = choose_by_evidence(
        evidence["hours"][possible],
        evidence["days"][possible],
        kin["label"].to_numpy(object)[possible],
        least_nats=LEAST_NATS,
    ).set_index("family")
    hours = possible & (kin["label"].map(chosen["chosen"]).to_numpy(object) == "first")
    gain = chosen["gain_nats"]
    return hours, [
        _note(
            "families on the clock of hours",
            int((chosen["chosen"] == "first").sum()),
            "families",
            "estimated from replacements",
            f"of {len(chosen)} with known use; hours explain their failures by {gain.min():.1f} to"
            f" {gain.max():.1f} nats better than days, and stand where neither is better by {LEAST_NATS:g}",
        )
    ]


def _find_repaired(
    fleet: FleetHistory,
    fitment: Fitment,
    shared: Mapping[str, SharedSums],
    listed: Mapping[str, pd.DataFrame],
    kin: pd.DataFrame,
    hours: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], list[dict[str, Any]]]:
    """Families whose failures follow the age of the machine, not of the piece: they are repaired in place."""
    repaired = np.zeros(len(hours), dtype=bool)
    candidate = np.zeros(len(hours), dtype=bool)
    candidate[fleet.events.loc[fleet.events["pair"].duplicated().to_numpy(), "part"]] = True
    candidate[_with_planned(fleet.events)] = False
    if not candidate.any():
        return repaired, []
    label = kin["label"].to_numpy(object)
    code = pd.factorize(label, sort=True)[0]
    single = ~(fleet.fitted["lives"] > 1).groupby(fleet.fitted["part"]).any().to_numpy(bool)
    gains = []
    for name, side in shared.items():
        chosen = candidate & (hours if name == "hours" else ~hours)
        if not chosen.any():
            continue
        evidence = []
        renewed = listed[name][chosen[listed[name]["part"].to_numpy()]]
        whole = touched_spells(fleet, name, chosen, repaired=True)
        for spells in comparable_spells(renewed, whole, single):
            sums = spell_sums(spells, len(hours), side.unit)
            sums = sums.plus(untouched_sums(fitment, side))
            life = np.full(len(hours), np.nan)
            evidence.append(
                pool_statistics(sums.failures, sums.log_age, sums.powers, side.unit, code, life).evidence
            )
        gains.append(
            choose_by_evidence(evidence[0][chosen], evidence[1][chosen], label[chosen], least_nats=LEAST_NATS)
        )
    found = pd.concat(gains)
    families = set(found.loc[found["chosen"] == "second", "family"])
    repaired = candidate & np.isin(label, list(families))
    if not repaired.any():
        return repaired, []
    return repaired, [
        _note(
            "parts whose failures do not renew them",
            int(repaired.sum()),
            "parts",
            "estimated from replacements",
            f"in {len(families)} families the age of the machine explains the failures better by more than "
            f"{LEAST_NATS:g} nats: power law of its age, no renewals",
        )
    ]


def _seen_rows(
    fitment: Fitment,
    shared: Mapping[str, SharedSums],
    raw: Mapping[str, pd.DataFrame],
    on: Mapping[str, NDArray[np.bool_]],
) -> pd.DataFrame:
    """Spells seen from new, as rows, of parts that have planned replacements."""
    rows = []
    for name, side in shared.items():
        spells = raw[name][~raw[name]["open"].to_numpy(bool)]
        work = np.zeros(len(fitment.parts), dtype=bool)
        work[_with_planned(raw[name])] = True
        rows += [
            spells[work[spells["part"].to_numpy()]],
            _class_spells(fitment, side, work & on[name]),
        ]
    return pd.concat(rows, ignore_index=True)


def _class_spells(fitment: Fitment, side: SharedSums, chosen: NDArray[np.bool_]) -> pd.DataFrame:
    """Pieces without a record that are watched from new, as weighted spells."""
    rows = _chosen(class_rows(fitment, side.closed), chosen)
    return pd.DataFrame(
        {
            "part": rows.part,
            "entry": 0.0,
            "exit": side.closed.seen[rows.row],
            "failed": False,
            "planned": False,
            "count": rows.pieces,
            "open": False,
        }
    )


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
        out += [own[columns], _class_spells(fitment, side.shared, side.parts & some)]
        if not open_too:
            continue
        classes = side.shared.open
        rows = _chosen(side.open, some)
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


def _with_planned(rows: pd.DataFrame) -> NDArray[np.int64]:
    """Numbers of the parts that have planned replacements."""
    return np.unique(rows["part"].to_numpy(np.int64)[rows["planned"].to_numpy(bool)])


def _of_parts(sums: GroupSums, parts: NDArray[np.bool_]) -> GroupSums:
    keep = parts[sums.part]
    return GroupSums(sums.part[keep], sums.group[keep], sums.failures[keep], sums.powers[keep])


def _chosen(rows: ClassRows, parts: NDArray[np.bool_]) -> ClassRows:
    keep = parts[rows.part]
    return ClassRows(rows.part[keep], rows.row[keep], rows.pieces[keep])


def _weigh_open(
    spells: pd.DataFrame, shape: FloatArray, scale: FloatArray, planned: PlannedRates
) -> pd.DataFrame:
    """Weigh the ages of pieces from before the records, part by part where planned work bounds them."""
    opened = spells["open"].to_numpy(bool)
    rows = spells[opened].reset_index(drop=True)
    number = rows["part"].to_numpy(np.int64)
    plain = ~np.isin(number, list(planned))
    out = [spells[~opened], weigh_open_starts(rows[plain], shape[number[plain]], scale[number[plain]])]
    for part in np.unique(number[~plain]):
        mine = number == part
        law = (np.full(mine.sum(), shape[part]), np.full(mine.sum(), scale[part]))
        out.append(weigh_open_starts(rows[mine], *law, *planned[int(part)]))
    return pd.concat([frame for frame in out if len(frame)] or out[:1], ignore_index=True)


def _spells_ahead(spells: pd.DataFrame, parts: int, unit: float) -> FloatArray:
    alive = spells[spells["in_service"].to_numpy(bool)]
    row = alive["part"].to_numpy(np.int64)
    now, count = alive["exit"].to_numpy(float) / unit, alive["count"].to_numpy(float)
    return np.column_stack([np.bincount(row, count * ((now + AHEAD) ** b - now**b), parts) for b in SHAPES])


def _mean_rates(sums: LifeSums, family: pd.Series) -> FloatArray:
    """Events per piece and use of each part; a failure's worth of the family's rate is mixed in."""
    watched = np.maximum(sums.time, 1e-9)
    code = pd.factorize(family, sort=True)[0]
    of_family = (np.bincount(code, sums.failures) + 0.5)[code] / np.bincount(code, watched)[code]
    rate = (sums.failures + 1.0) / (watched + 1.0 / of_family)
    planned = sums.planned / watched
    return np.column_stack([rate, planned, 1.0 / (sums.failures + sums.planned + 1.0)])


def _note(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
    return {
        "stage": "forecast",
        "name": name,
        "value": value,
        "unit": unit,
        "origin": origin,
        "meaning": meaning,
    }


def _notes(table: pd.DataFrame, posterior: PooledLives) -> list[dict[str, Any]]:
    few = int((table["n_failed"] < 3).sum())
    families = table["family"].nunique()
    out = [
        _note(
            "parts with lives pooled across kin",
            len(table),
            "parts",
            "estimated from replacements",
            f"{families} families (family, else supplier, else source); {few} parts with under 3 failures",
        )
    ]
    counts = table["clock"].value_counts()
    out += [
        _note(
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
            _note(
                "engineers' expected lives are too long by",
                float(np.exp(posterior.bias)),
                "times",
                "estimated from replacements",
                f"spread {posterior.expert_spread:g} in ln life; they inform parts with few failures",
            )
        )
    return out
