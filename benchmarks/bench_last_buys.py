"""Last buys on simulated fleets followed to the last machine: how often do they run short, and how fast?

Every fleet draws the lives of its parts and machines; six years of records are known. Shares of shortage
should be the risk asked; machine life is drawn once per fleet, so that fleets count, not parts.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gamma

from spareplan.forecast.last_buy import last_buys
from spareplan.maths.distributions import cdf, quantile
from spareplan.tables.dataset import Dataset

Array = NDArray[np.float64]
TODAY, RECORDS = pd.Timestamp("2025-12-31"), pd.Timestamp("2020-01-01")
YEAR = 365.25
FLEETS, PARTS = 30, 8
RISKS = (0.05, 0.1, 0.2)
# Machines, ln of the mean scale of parts [ln days], ln of their mean shape.
CASES = {
    "80 machines, parts that live 2 years": (80, 6.8, 0.6),
    "200 machines, parts that hardly age": (200, 7.3, 0.2),
    "30 machines, parts that live 10 years": (30, 8.3, 0.6),
}


def make_fleet(seed: int, machines: int, level: float, log_shape: float) -> tuple[Dataset, Array]:
    """A fleet whose parts all end, and what each is asked for until the last machine is gone."""
    rng = np.random.default_rng(seed)
    born = -np.round(rng.uniform(1, 12 * YEAR, machines))
    end = born + np.ceil(10 * YEAR / gamma(1 + 1 / 3) * rng.weibull(3.0, machines))
    unit_ids = np.array([f"U{number:03d}" for number in range(machines)])
    names = [f"P{part}" for part in range(PARTS)]
    ahead, records = np.zeros(PARTS), []
    for part, name in enumerate(names):
        scale, shape = np.exp(rng.normal(level, 0.5)), np.exp(rng.normal(log_shape, 0.2))
        when, unit = born.copy(), np.arange(machines)
        while len(when):
            when = np.ceil(when + scale * rng.weibull(shape, len(when)))
            when, unit = when[when <= end[unit]], unit[when <= end[unit]]
            past = (when <= 0) & (when > (RECORDS - TODAY).days)
            day = TODAY + pd.to_timedelta(when[past], unit="D")
            records.append(
                pd.DataFrame({"unit_id": unit_ids[unit[past]], "part_id": name, "replaced_on": day})
            )
            ahead[part] += (when > 0).sum()
    last_day = pd.Series(TODAY + pd.to_timedelta(end, unit="D"))
    frames = {
        "products": pd.DataFrame({"product_id": ["M"], "name": ["Machine"], "tier": [2]}),
        "parts": pd.DataFrame(
            {"part_id": names, "name": names, "unit_cost": 10.0, "lead_time_days": 30.0}
        ).assign(family="F", last_buy_on=pd.Timestamp("2026-06-30")),
        "fitment": pd.DataFrame({"product_id": "M", "part_id": names, "quantity": 1.0}),
        "regions": pd.DataFrame({"region_id": ["R"], "name": ["Region"], "records_from": [RECORDS]}),
        "sites": pd.DataFrame(
            {"site_id": ["HQ", "S"], "name": ["hq", "s"], "region_id": [None, "R"], "parent_id": [None, "HQ"]}
        ).assign(lead_time_days=[0.0, 5.0]),
        "units": pd.DataFrame({"unit_id": unit_ids, "product_id": "M", "site_id": "S"}).assign(
            commissioned_on=TODAY + pd.to_timedelta(born, unit="D"), retired_on=last_day.where(end <= 0)
        ),
        "replacements": pd.concat(records, ignore_index=True),
    }
    return Dataset.from_frames(frames), ahead


def main() -> None:
    """Print a row per case."""
    columns = [f"short at {risk:.0%}" for risk in RISKS]
    print(f"{'':40}", *(f"{name:>13}" for name in [*columns, "c80", "c95", "told/came", "CPU s"]))
    for case, (machines, level, log_shape) in CASES.items():
        short, places, told, came, cpu = [], [], 0.0, 0.0, 0.0
        for seed in range(FLEETS):
            data, ahead = make_fleet(seed + 1000, machines, level, log_shape)
            start = time.process_time()
            table = last_buys(data, as_of=TODAY).table
            cpu += time.process_time() - start
            mean, variance = table["mean"].to_numpy(), table["variance"].to_numpy()
            short.append([(ahead > quantile(1 - risk, mean, variance)).mean() for risk in RISKS])
            low, high = cdf(ahead - 1, mean, variance), cdf(ahead, mean, variance)
            places.append(low + np.random.default_rng(seed).random(PARTS) * (high - low))
            told, came = told + mean.sum(), came + ahead.sum()
        off = np.abs(np.concatenate(places) - 0.5)
        figures = [
            *np.mean(short, axis=0),
            (off < 0.4).mean(),
            (off < 0.475).mean(),
            told / came,
            cpu / FLEETS,
        ]
        print(f"{case:40}", *(f"{value:13.3f}" for value in figures), flush=True)


if __name__ == "__main__":
    main()
