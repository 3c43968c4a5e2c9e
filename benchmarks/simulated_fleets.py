"""Made-up fleets of many kinds, on which the rules of the blend were tuned; no field data among them.

Kinds: mature fleets whose ages hardly move (Weibull lives, or a hazard that is nothing and then flat, with or
without planned replacement), young growing fleets, fleets put in service together, infant failures,
lognormal lives, rates that drift over the calendar for reasons no age explains, quarters hard on all parts,
failures at a constant rate, machines whose written ages are those of others, and a level that changed
for good within the last year and a half, for whole families, as when the work of the machines changes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from spareplan.tables.dataset import Dataset

TODAY = pd.Timestamp("2025-12-31")
KINDS = (
    "mature",
    "mature, flat after a pause",
    "mature, planned work",
    "young and growing",
    "put in service together",
    "infant failures",
    "lognormal lives",
    "drifting rates",
    "shared shocks",
    "young, shared shocks",
    "constant rate",
    "wrong ages",
    "changed level",
)


def simulated_fleet(
    kind: str, seed: int, months: int, parts: int, machines: int, families: int = 3, ahead: int = 365
) -> tuple[Dataset, pd.DataFrame]:
    """One fleet and everything that happens to it.

    Parameters
    ----------
    kind : str
        Of KINDS.
    seed : int
    months : int
        Length of the records before TODAY. [months]
    parts, machines, families : int
    ahead : int
        How long things go on after TODAY. [days]

    Returns
    -------
    tuple of Dataset and DataFrame
        The dataset known on TODAY; all replacements since the records began, later ones too.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind), months, parts])
    begin = TODAY - pd.DateOffset(months=months) + pd.Timedelta(days=1)
    window = (TODAY - begin).days + 1
    if kind.startswith("young"):
        # From three quarters of the records back until now, more and more.
        born = -window * 0.9 * rng.random(machines) ** 1.5
    elif kind == "put in service together":
        born = -window - rng.uniform(0, 500) + rng.uniform(0, 90, machines)
    else:
        born = -window - rng.uniform(0, 4000, machines)
    horizon = ahead + 1
    quarters = np.arange(-6000.0, horizon + 91.0, 91.0)
    pace = np.exp(rng.normal(0, 0.15, len(quarters) - 1)) if "shocks" in kind else np.ones(len(quarters) - 1)
    elapsed = np.concatenate([[0.0], np.cumsum(pace * 91.0)])
    change = -rng.uniform(90.0, 540.0) if kind == "changed level" else 0.0
    changes = dict[str, float]()
    rows = []
    names = [f"P{number:03d}" for number in range(parts)]
    family = np.array([f"F{number % families}" for number in range(parts)])
    level = dict(zip(np.unique(family), np.exp(rng.normal(0, 0.5, families))))
    for number, name in enumerate(names):
        scale = rng.choice([250.0, 600.0, 1200.0, 3000.0], p=[0.2, 0.3, 0.3, 0.2])
        scale *= level[family[number]] * np.exp(rng.normal(0, 0.3))
        shape = rng.uniform(1.0, 3.5)
        if kind.startswith("young") or kind == "put in service together":
            shape = rng.uniform(1.5, 4.0)
        if kind == "constant rate":
            shape = 1.0
        if kind == "changed level":
            factor = changes.setdefault(family[number], float(np.exp(rng.normal(0, 0.5))))
            elapsed = np.concatenate([[0.0], np.cumsum(np.where(quarters[:-1] > change, factor, 1.0) * 91.0)])
        # Quarters that wear all parts faster or slower: lives count in time that runs at their pace.
        events = _events(
            kind,
            rng,
            name,
            np.interp(born, quarters, elapsed),
            scale,
            shape,
            np.interp(horizon, quarters, elapsed),
        )
        rows.append(events.assign(day=np.interp(events["day"], elapsed, quarters)))
    every = pd.concat(rows, ignore_index=True)
    every["replaced_on"] = TODAY + pd.to_timedelta(np.ceil(every["day"]), unit="D")
    every["unit_id"] = "U" + every["machine"].astype(str).str.zfill(5)
    if kind == "wrong ages":
        born = rng.permutation(born)
    every = every[every["replaced_on"] >= begin][["unit_id", "part_id", "replaced_on", "planned"]]
    units = pd.DataFrame(
        {
            "unit_id": [f"U{number:05d}" for number in range(machines)],
            "product_id": "M",
            "site_id": "S",
            "commissioned_on": (TODAY + pd.to_timedelta(np.floor(born), unit="D")).normalize(),
        }
    )
    data = Dataset.from_frames(
        {
            "products": pd.DataFrame({"product_id": ["M"], "name": ["M"], "tier": [2]}),
            "parts": pd.DataFrame(
                {"part_id": names, "name": names, "family": family, "unit_cost": 1.0, "lead_time_days": 30.0}
            ),
            "fitment": pd.DataFrame({"product_id": "M", "part_id": names, "quantity": 1}),
            "regions": pd.DataFrame({"region_id": ["R"], "name": ["R"]}),
            "sites": pd.DataFrame(
                {
                    "site_id": ["HQ", "S"],
                    "name": ["HQ", "S"],
                    "region_id": [None, "R"],
                    "parent_id": [None, "HQ"],
                    "lead_time_days": [0.0, 1.0],
                }
            ),
            "units": units,
            "replacements": every[every["replaced_on"] <= TODAY],
        }
    )
    regions = data.regions.assign(records_from=begin)
    return dataclasses.replace(data, tables={**data.tables, "regions": regions}), every


def _events(
    kind: str,
    rng: np.random.Generator,
    name: str,
    born: np.ndarray,
    scale: float,
    shape: float,
    horizon: float,
) -> pd.DataFrame:
    """Replacements of one part on all machines, in days of the clock that `born` counts in."""
    machines = len(born)
    planned_age = scale * rng.uniform(0.4, 0.9) if kind == "mature, planned work" else np.inf
    pause = rng.uniform(0.15, 0.6) * scale
    wave = rng.normal(0, 0.35)
    at, alive, out = born.copy(), np.arange(machines), []
    for _ in range(200):
        size = len(alive)
        if kind == "mature, flat after a pause" or kind == "mature, planned work":
            life = pause + (scale - pause) * rng.exponential(size=size)
        elif kind == "lognormal lives":
            life = scale * np.exp(rng.normal(0, 1 / shape, size))
        elif kind == "infant failures":
            weak = rng.random(size) < 0.15
            life = np.where(weak, 0.15 * scale * rng.weibull(0.7, size), scale * rng.weibull(shape, size))
        else:
            life = scale * rng.weibull(shape, size)
        if kind == "drifting rates":
            # Lives shorten or lengthen with the calendar, by exp(wave) a year.
            life = life * np.exp(-wave * np.clip((at[alive] - 6000.0) / 365.0, -6, 2))
        planned = life > planned_age
        at[alive] += np.maximum(np.minimum(life, planned_age), 1.0)
        inside = at[alive] < horizon
        alive, planned = alive[inside], planned[inside]
        if not len(alive):
            break
        out.append(pd.DataFrame({"machine": alive, "day": at[alive], "planned": planned}))
    every = (
        pd.concat(out)
        if out
        else pd.DataFrame({"machine": alive[:0], "day": at[:0], "planned": alive[:0] > 0})
    )
    return every.assign(part_id=name)
