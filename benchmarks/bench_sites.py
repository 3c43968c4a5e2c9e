"""Demand histories by part and site with known truth: bottom-up, top-down and reconciled, side by side.

``python benchmarks/bench_sites.py``. The loss is the mean quantile loss at .5 .8 .9 .95 .99 over demand, of
the sum of three months, per site, region and part; `inside` is the share of what came in the 80 % band,
counts placed at random within their step. Every way knows the same rows; all panels are made up. Asserts
nothing.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from spareplan.forecast.fleet_scores import randomised_places
from spareplan.forecast.history_road import PAIR, history_demand
from spareplan.maths.distributions import quantile

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
END = pd.Timestamp("2025-12-31")
AHEAD, SITES, REGIONS = 3, 12, 4
# How much sites differ from their machines, whether parts move as one, whether machines are known.
KINDS = {
    "as the machines, steady": (200.0, 0.0, True),
    "as the machines, parts move": (200.0, 0.15, True),
    "sites of their own, parts move": (10.0, 0.15, True),
    "sites of their own, machines unknown": (10.0, 0.0, False),
}


def made_up_panel(
    kind: str, seed: int, parts: int = 60, months: int = 36
) -> tuple[SimpleNamespace, pd.DataFrame]:
    """Tables that the history road reads, and what is asked for in the months after them.

    Parameters
    ----------
    kind : str
        Of KINDS.
    seed, parts, months : int

    Returns
    -------
    tuple of SimpleNamespace and DataFrame
        demand, parts, units, fitment; part_id, site_id, quantity of the AHEAD months that follow. [pieces]
    """
    alike, moves, known = KINDS[kind]
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    machines = np.round(400 / np.arange(1, SITES + 1) ** 1.2).astype(int)
    names = np.array([f"S{number:02d}" for number in range(SITES)])
    share = rng.dirichlet(np.maximum(alike * machines / machines.sum(), 0.02), parts)
    rate = rng.lognormal(1.2, 1.1, parts)
    path = np.cumsum(rng.normal(0, moves, (parts, months + AHEAD)), axis=1)
    mean = rate[:, None, None] * np.exp(path - path[:, :1])[:, None, :] * share[:, :, None]
    orders = rng.poisson(mean / 1.5)
    pieces = orders + rng.poisson(0.5 * orders)
    part, site, month = (values.ravel() for values in np.indices(pieces.shape))
    start = pd.Period(END, "M") - months + 1
    frame = pd.DataFrame(
        {
            "part_id": np.char.add("P", np.char.zfill(part.astype(str), 3)),
            "site_id": names[site],
            "month": (pd.PeriodIndex([start] * len(month)) + month).to_timestamp(),
            "quantity": pieces.ravel().astype(float),
            "one_off": 0.0,
        }
    )
    past = frame[(month < months) & (frame["quantity"] > 0)]
    came = frame[month >= months].groupby(PAIR, as_index=False)["quantity"].sum()
    ids = sorted(frame["part_id"].unique())
    units = pd.DataFrame(
        {
            "product_id": "M",
            "site_id": np.repeat(names, machines if known else 0),
            "commissioned_on": pd.Timestamp("2020-01-01"),
            "retired_on": pd.NaT,
        }
    )
    fitment = pd.DataFrame({"product_id": "M", "part_id": ids, "quantity": 1.0})
    tables = SimpleNamespace(
        demand=past.reset_index(drop=True),
        parts=pd.DataFrame({"part_id": ids, "superseded_by": pd.Series([None] * len(ids), dtype="str")}),
        units=units,
        fitment=fitment,
    )
    return tables, came


def summed(windows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Mean and variance of groups of sites: doubt about the rate is shared within a part."""
    keys = [windows[name] for name in by]
    mean = windows["mean"]
    shared = (np.sqrt(windows["rate_cv2"]) * mean).groupby(keys).sum()
    return pd.DataFrame(
        {
            "mean": mean.groupby(keys).sum(),
            "variance": (windows["vmr"] * mean).groupby(keys).sum() + shared**2,
        }
    )


def scored(sums: pd.DataFrame, came: pd.Series) -> dict[str, float]:
    """Loss, bias and coverage of means and variances."""
    actual = came.reindex(sums.index).fillna(0.0).to_numpy(float)
    mean, variance = sums["mean"].to_numpy(float), sums["variance"].to_numpy(float)
    off = [actual - quantile(np.full(len(sums), level), mean, variance) for level in LEVELS]
    lost = [np.maximum(level * gap, (level - 1) * gap).sum() for level, gap in zip(LEVELS, off)]
    place = randomised_places(actual, mean, variance)
    return {
        "loss": 2 * float(np.mean(lost)) / actual.sum(),
        "bias": mean.sum() / actual.sum() - 1,
        "inside": float(((place > 0.1) & (place < 0.9)).mean()),
    }


def compare(kind: str, seed: int) -> pd.DataFrame:
    """Score every way on one panel: rows way and level."""
    tables, came = made_up_panel(kind, seed)
    region = {f"S{number:02d}": f"R{number % REGIONS}" for number in range(SITES)}
    horizon = pd.date_range(END + pd.Timedelta(days=1), periods=AHEAD, freq="MS")
    came["region"] = came["site_id"].map(region)
    rows = []
    for way, settings in {
        "bottom-up": {"weight": 1.0},
        "top-down, own shares": {"weight": 0.0, "strength": 1e-3},
        "top-down, borrowed shares": {"weight": 0.0},
        "reconciled": {},
    }.items():
        road = history_demand(tables, END, horizon, [91], **settings)
        windows = road.windows.assign(region=road.windows["site_id"].map(region))
        for level, by in {
            "site": PAIR,
            "region": ["part_id", "region"],
            "part": ["part_id"],
        }.items():
            asked = came.merge(windows[PAIR], on=PAIR).groupby(by)["quantity"].sum()
            rows.append({"way": way, "level": level, **scored(summed(windows, by), asked)})
    return pd.DataFrame(rows)


def main() -> None:
    for kind in KINDS:
        every = pd.concat([compare(kind, seed) for seed in (0, 1, 2)])
        table = every.pivot_table(["loss", "bias", "inside"], "way", "level", sort=False)
        print(f"\n{kind}\n{table.round(3).to_string()}")


if __name__ == "__main__":
    main()
