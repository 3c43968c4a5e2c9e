"""What the records say of a family: hours or days, renewed or repaired; and who is kin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.analogues import NAMED, find_analogues
from spareplan.forecast.clock_choice import choose_by_evidence, use_jacobian
from spareplan.forecast.exposure import FleetHistory
from spareplan.forecast.life_rows import with_planned
from spareplan.forecast.life_sums import Fitment, LifeSums, SharedSums, spell_sums, untouched_sums
from spareplan.forecast.machines import SHORTEST_LIFE_DAYS
from spareplan.forecast.notes import note
from spareplan.forecast.repair_kind import comparable_spells
from spareplan.forecast.sparse import pool_statistics
from spareplan.forecast.spells import touched_spells

FloatArray = NDArray[np.float64]


# A family is repaired rather than renewed only where its records say so, in nats.
LEAST_NATS = 3.0


def kin_of_parts(parts: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """Family label and expected life of each part."""
    known = parts.set_index("part_id").reindex(index)
    label = known["family"]
    for name in ("supplier", "source"):
        label = label.where(label.notna(), known[name])
    life = known["expected_life_hours"].where(known["expected_life_hours"] > 0)
    return pd.DataFrame({"label": label.fillna("all parts").astype(str), "expected_life": life})


def own_spells(
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


def untouched_by_kind(fitment: Fitment, side: SharedSums, repaired: NDArray[np.bool_]) -> LifeSums:
    """Sums over pieces without a record, each part by its own kind."""
    renewed = untouched_sums(fitment, side)
    if not repaired.any():
        return renewed
    whole = untouched_sums(fitment, side, repaired=True)
    return renewed._replace(powers=np.where(repaired[:, None], whole.powers, renewed.powers))


def choose_clock(
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
        sums = spell_sums(spells, len(possible), side.unit).plus(untouched_by_kind(fitment, side, none))
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
        note(
            "families on the clock of hours",
            int((chosen["chosen"] == "first").sum()),
            "families",
            "estimated from replacements",
            f"of {len(chosen)} with known use; hours explain their failures by {gain.min():.1f} to"
            f" {gain.max():.1f} nats better than days, and stand where neither is better by {LEAST_NATS:g}",
        )
    ]


def find_repaired(
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
    candidate[with_planned(fleet.events)] = False
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
        note(
            "parts whose failures do not renew them",
            int(repaired.sum()),
            "parts",
            "estimated from replacements",
            f"in {len(families)} families the age of the machine explains the failures better by more than "
            f"{LEAST_NATS:g} nats: power law of its age, no renewals",
        )
    ]


def analogues_of_new_parts(
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


def analogue_notes(analogues: pd.DataFrame) -> list[dict[str, Any]]:
    """Say how many new parts lean on a part like them."""
    used = analogues[analogues["discount"] > 0]
    return [
        note(
            f"new parts with an analogue {how}",
            int(count),
            "parts",
            "data: parts.like_part" if how == NAMED else "estimated from replacements",
            "failures of a part like them speak for parts that hardly failed, at a discount",
        )
        for how, count in used["how"].value_counts().sort_index().items()
    ]
