"""How many failures tell hours from days, renewal from repair, one region from another. Asserts nothing.

Run ``python benchmarks/bench_clock.py``; with SPAREPLAN_TEST_DATA set also Product 2 (Hong & Meeker 2013).
"""

from __future__ import annotations

import os
import time
from math import gamma
from pathlib import Path

import numpy as np
import pandas as pd

from spareplan.forecast.clock_choice import clock_evidence
from spareplan.forecast.covariates import hazard_effects
from spareplan.forecast.recurrent import fit_recurrent, recurrence_evidence
from spareplan.forecast.use_effect import profile_use_effect

FLEETS, MACHINES = 400, 400
FAILURES = (5, 9, 18, 35, 70)


def simulate_fleets(
    failures: int, shape: float, variation: float, hours_true: bool, seed: int
) -> pd.DataFrame:
    """Spells of FLEETS parts on both clocks; every machine has a use rate of its own."""
    rng = np.random.default_rng(seed)
    spread = np.sqrt(np.log1p(variation**2))
    rate = np.exp(rng.normal(-(spread**2) / 2, spread, (FLEETS, MACHINES)))
    watched = rng.uniform(0.3, 1.0, (FLEETS, MACHINES))
    age = watched * rate if hours_true else watched
    scale = (np.mean(age**shape) * MACHINES / failures) ** (1 / shape)
    life = scale * rng.exponential(size=age.shape) ** (1 / shape)
    life = life / rate if hours_true else life
    days = 1000 * np.minimum(life, watched)
    return pd.DataFrame(
        {
            "part_id": np.repeat(np.arange(FLEETS), MACHINES),
            "entry_days": 0.0,
            "exit_days": days.ravel(),
            "entry_hours": 0.0,
            "exit_hours": (8 * days * rate).ravel(),
            "failed": (life <= watched).ravel(),
            "hours_per_day": (8 * rate).ravel(),
        }
    )


def clock_table() -> pd.DataFrame:
    """Share of fleets that choose right: truth hours / truth calendar."""
    rows = {}
    for shape in (1.0, 2.0, 3.5):
        for variation in (0.2, 0.5, 1.0) if shape < 3 else (0.2, 0.5):
            cells = []
            for failures in FAILURES:
                right = []
                for truth in (True, False):
                    found = clock_evidence(simulate_fleets(failures, shape, variation, truth, 1))
                    some = found["failures"] > 0
                    gain = found.loc[some, "gain_nats"]
                    right.append(((gain > 0) if truth else (gain < 0)).mean())
                cells.append("{:.2f}/{:.2f}".format(*right))
            rows[f"beta {shape:g}, cv of use {variation:g}"] = cells
    return pd.DataFrame(rows, index=[f"{n} failures" for n in FAILURES]).T


def simulate_assemblies(
    keys: int, items: int, shape: float, per_item: float, renewed: bool, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Assemblies of every key, new at age 0 and watched to age 1."""
    draws = np.random.default_rng(seed).exponential(size=(keys * items, 80))
    if renewed:
        scale = 1 / per_item / gamma(1 + 1 / shape) if per_item > 1 else per_item ** (-1 / shape)
        when = np.cumsum(scale * draws ** (1 / shape), axis=1)
    else:
        when = (np.cumsum(draws, axis=1) / per_item) ** (1 / shape)
    number = np.arange(keys * items)
    windows = pd.DataFrame({"part_id": number // items, "unit_id": number, "end": 1.0})
    row, column = np.nonzero(when < 1)
    return pd.DataFrame({"part_id": row // items, "unit_id": row, "age": when[row, column]}), windows


def kinds_table() -> pd.DataFrame:
    """Share of parts that choose right: truth renewed / truth repaired, and what 3 nats would decide."""
    rows = []
    for shape in (1.3, 2.0, 3.0):
        for per_item in (0.5, 2.0, 5.0):
            for items in (2, 5, 10, 30, 100):
                right, sure, repeats = [], [], []
                for renewed in (True, False):
                    found = recurrence_evidence(*simulate_assemblies(300, items, shape, per_item, renewed, 1))
                    gain = found["gain_nats"] * (1 if renewed else -1)
                    right.append((gain > 0).mean())
                    sure.append((gain >= 3).mean())
                    repeats.append(found["repeats"].mean())
                rows.append(
                    {
                        "beta": shape,
                        "failures per item": per_item,
                        "items": items,
                        "repeats": "{:.0f}/{:.0f}".format(*repeats),
                        "right": "{:.2f}/{:.2f}".format(*right),
                        "by 3 nats": "{:.2f}/{:.2f}".format(*sure),
                    }
                )
    return pd.DataFrame(rows)


def made_up_groups(
    parts: int, families: int, mean: float, ratio: float, seed: int, groups: int = 10
) -> pd.DataFrame:
    """Failures by part and group; product M1 fails `ratio` times as often in every other family."""
    rng = np.random.default_rng(seed)
    part, group = np.repeat(np.arange(parts), groups), np.tile(np.arange(groups), parts)
    expected = rng.gamma(1.0, size=len(part)) * mean / groups * np.exp(rng.normal(0, 1, parts) - 0.5)[part]
    family, product = part % families, (group + part) % 4
    hazard = np.where((product == 1) & (family % 2 == 1), ratio, 1.0)
    return pd.DataFrame(
        {
            "part_id": np.char.mod("P%d", part),
            "family": np.char.mod("F%d", family),
            "region": np.char.mod("R%d", group),
            "market_stage": np.char.mod("S%d", group % 3),
            "product_id": np.char.mod("M%d", product),
            "failures": rng.poisson(expected * hazard),
            "expected": expected,
        }
    )


def effects_table() -> pd.DataFrame:
    """How near the ratios come where every other family has an effect, and how often they are made up."""
    rows = []
    for per_family in (15, 30, 60, 120, 250, 500):
        row: dict[str, float] = {"failures in the family": per_family}
        for ratio in (1.0, 1.5, 2.0, 3.0):
            table = made_up_groups(4000, 200, per_family / 20, ratio, 1)
            effects = hazard_effects(table)
            own = effects.table[effects.table["family"] != "*"]
            if ratio == 1:
                row["families that keep one"] = own.groupby("family")["kept"].any().mean()
                continue
            odd = table["family"].str[1:].astype(int).to_numpy() % 2 == 1
            hot = (table["product_id"] == "M1").to_numpy()
            told = pd.Series(effects.log_ratios(table))
            for name, chosen, truth in (("has", odd, np.log(ratio)), ("none", ~odd, 0.0)):
                high = told[chosen & hot].groupby(table["family"][chosen & hot]).mean()
                low = told[chosen & ~hot].groupby(table["family"][chosen & ~hot]).mean()
                row[f"{ratio:g}: {name}"] = np.exp((high - low).mean())
                row[f"{ratio:g}: error {name}"] = np.sqrt(((high - low - truth) ** 2).mean())
        rows.append(row)
    return pd.DataFrame(rows)


def product_2(folder: Path) -> None:
    """Profile of the effect of use, and what parts of the failures would have chosen."""
    units = pd.read_csv(folder / "spreda_prod2_units.csv")
    usage = pd.read_parquet(folder / "spreda_prod2_usage.parquet")
    spells = units.rename(columns={"id": "unit_id", "failure.time": "exit", "delta": "failed"})
    usage = usage.rename(columns={"id": "unit_id", "x1": "x"}).drop_duplicates(
        ["unit_id", "time"], keep="last"
    )
    profile = profile_use_effect(spells, usage, effects=[0, 0.5, 1, 1.25, 1.5, 2])
    print(profile.table.round(3).to_string(index=False))
    best = profile_use_effect(spells, usage)
    print(f"best {best.best:.2f} ({best.low:.2f} to {best.high:.2f}), gain {best.gain_nats:.1f} nats")
    usage = usage.merge(spells[["unit_id", "exit"]], on="unit_id")
    following = usage.groupby("unit_id")["time"].shift(-1).fillna(usage["exit"])
    begin = usage["time"].where(usage["unit_id"].duplicated(), 0)
    speed = np.exp(1.25 * usage["x"])
    run = (speed * (following - begin)).groupby(usage["unit_id"]).sum()
    path = spells.assign(
        entry_days=0.0,
        exit_days=spells["exit"],
        entry_hours=0.0,
        exit_hours=spells["unit_id"].map(run),
        hours_per_day=spells["unit_id"].map(speed.groupby(usage["unit_id"]).last()),
    )
    rng = np.random.default_rng(1)
    for share in (0.08, 0.16, 0.31, 0.5):
        draws = [path[rng.random(len(path)) < share].assign(part_id=number) for number in range(400)]
        found = clock_evidence(pd.concat(draws))
        print(
            f"{found['failures'].mean():.0f} of 69 failures: {100 * (found['gain_nats'] > 0).mean():.0f} % "
            f"choose use, {100 * (found['gain_nats'] >= 3).mean():.0f} % by 3 nats"
        )


def speed() -> None:
    table = made_up_groups(10_000, 100, 1.0, 2.0, 0)
    for _ in range(2):
        began = time.process_time()
        effects = hazard_effects(table)
        seconds = time.process_time() - began
    print(
        f"hazard_effects, 10,000 parts x 10 groups, 100 families: {seconds:.2f} s of CPU, "
        f"{effects.table.loc[effects.table['kept'], 'family'].nunique()} families keep an effect"
    )
    for keys in (1_000, 10_000):
        events, windows = simulate_assemblies(keys, 30, 1.5, 1.2, True, 0)
        began = time.process_time()
        fit_recurrent(events, windows, by="part_id")
        middle = time.process_time()
        recurrence_evidence(events, windows)
        print(
            f"{keys:,} parts x 30 items, {len(events):,} failures: fit_recurrent {middle - began:.2f} s, "
            f"recurrence_evidence {time.process_time() - middle:.2f} s of CPU"
        )


def main() -> None:
    print("Right choice of the clock, truth hours / truth calendar")
    print(clock_table().to_string())
    print("\nRight choice between renewal and repair, truth renewed / truth repaired")
    print(kinds_table().to_string(index=False))
    print("\nEffects of products in half of the families (200 families of 20 parts, 10 groups)")
    print(effects_table().round(3).to_string(index=False))
    print()
    speed()
    folder = os.environ.get("SPAREPLAN_TEST_DATA")
    if folder:
        print("\nProduct 2: effect of use")
        product_2(Path(folder) / "bench" / "reliability")


if __name__ == "__main__":
    main()
