"""Demand panels on which the history forecast is measured: real ones, parts of them, and made-up ones.

    for panel in real_panels(load_scorer()):            # carparts, oil, man as scored outside
        for window in panel.windows():                  # or panel.windows(panel.tuning)
            quantiles = forecast(window.demand, window.lead)
            loss = score(window.came, quantiles)

The months that the benchmarks score are those after `origins`. Whoever chooses settings uses `tuning`
origins, whose sums end before the first scored month, and simulated panels with seeds below `REPORT_SEEDS`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
from history_simulated import KINDS
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
REAL = ("carparts", "oil", "man")
# Seeds of simulated panels from here on are shown in benchmarks and never used to choose anything.
REPORT_SEEDS = 9000
DAYS_PER_MONTH = 365.25 / 12


class Window(NamedTuple):
    """What is known at an origin of the parts in `rows`, and what came after it."""

    origin: int
    rows: NDArray[np.int64]
    demand: FloatArray
    lead: int | IntArray
    came: FloatArray
    exposure: FloatArray | None
    price: FloatArray | None = None


@dataclass(frozen=True)
class DemandPanel:
    """Histories of many parts on one clock, with the origins at which they are forecast.

    Parameters
    ----------
    name : str
    demand : ndarray, shape (n, c)
        Oldest period first; NaN before a part starts. [pieces]
    lead : int or ndarray of int, shape (n,)
        Periods summed after each origin, of every part its own where an array. [periods]
    origins : tuple of int
        Numbers of known periods at which the benchmarks forecast.
    tuning : tuple of int
        The same for choosing settings: their sums end before the first scored period.
    exposure : ndarray, shape (n, c), optional
        Machines that carry the part in each period, coming periods included; NaN rows where unknown.
    price : ndarray, shape (n,), optional
        NaN where unknown. [currency per piece]
    truth : callable, optional
        (origin, draws, rng) -> sums, shape (n, draws), by somebody who knows the law and its rates.
    """

    name: str
    demand: FloatArray
    lead: int | IntArray
    origins: tuple[int, ...]
    tuning: tuple[int, ...] = ()
    exposure: FloatArray | None = None
    price: FloatArray | None = None
    truth: Callable[[int, int, np.random.Generator], FloatArray] | None = None

    def windows(self, origins: Sequence[int] | None = None) -> Iterator[Window]:
        """What is known and what came at each origin: at the scored ones, unless others are given.

        Parts that have not started at the origin are left out, and those whose sum runs past the end: of the
        panel, or of the periods before the first scored one where `origins` are earlier.
        """
        first = min(self.origins)
        for origin in self.origins if origins is None else origins:
            end = first if origin < first else self.demand.shape[1]
            lead = np.broadcast_to(self.lead, len(self.demand))
            rows = np.flatnonzero(np.isfinite(self.demand[:, :origin]).any(axis=1) & (origin + lead <= end))
            if not len(rows):
                raise ValueError(f"{self.name}: no part has a history and a whole sum at {origin}")
            lead = lead[rows]
            ahead = np.nan_to_num(self.demand[rows, origin:])
            came = np.where(np.arange(ahead.shape[1]) < lead[:, None], ahead, 0.0).sum(axis=1)
            exposure = None if self.exposure is None else self.exposure[rows, : origin + lead.max()]
            yield Window(
                origin,
                rows,
                self.demand[rows, :origin],
                self.lead if isinstance(self.lead, int) else lead,
                came,
                exposure,
                None if self.price is None else self.price[rows],
            )

    def take(self, rows: NDArray[np.int64], name: str) -> DemandPanel:
        """The same panel with some of its parts only."""
        truth = self.truth
        return replace(
            self,
            name=name,
            demand=self.demand[rows],
            lead=self.lead if isinstance(self.lead, int) else self.lead[rows],
            exposure=None if self.exposure is None else self.exposure[rows],
            price=None if self.price is None else self.price[rows],
            truth=None if truth is None else lambda *at: truth(*at)[rows],
        )

    def span(self, first: int, last: int, origins: tuple[int, ...], name: str) -> DemandPanel:
        """Periods `first` up to before `last` only; tuning origins are those that fit in."""
        longest = int(np.max(self.lead))
        end = min(min(self.origins) - first, last - first)
        exposure = None if self.exposure is None else self.exposure[:, first:last]
        return replace(
            self,
            name=name,
            demand=self.demand[:, first:last],
            origins=origins,
            tuning=tuple(range(9, end - longest + 1, longest)),
            exposure=exposure,
            truth=None,
        )


def load_scorer() -> ModuleType | None:
    """The independent scorer beside the outside data, None where SPAREPLAN_TEST_DATA is not set."""
    folder = os.environ.get("SPAREPLAN_TEST_DATA")
    if not folder:
        return None
    path = Path(folder) / ".." / "checks" / "score_forecast.py"
    spec = importlib.util.spec_from_file_location("score_forecast", path)
    assert spec and spec.loader
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    return scorer


def real_panels(scorer: ModuleType, names: Sequence[str] = REAL) -> list[DemandPanel]:
    """Real panels at the scorer's origins; OIL with installed numbers and prices, MAN with prices."""
    panels = []
    for name in names:
        ids, demand = scorer.load_panel(name)
        lead, origins = int(scorer.PROTOCOL[name]["L"]), tuple(scorer.PROTOCOL[name]["cutoffs"])
        tuning = tuple(origins[0] - lead * back for back in (4, 3, 2, 1))
        exposure = price = None
        if name != "carparts":
            table = _attributes(scorer, name).reindex(ids)
            price = table["price" if name == "oil" else "cost_price_eur"].to_numpy(float)
        if name == "oil":
            installed = table["installed_total"].to_numpy(float)
            exposure = np.repeat(installed[:, None], demand.shape[1], axis=1)
        panels.append(DemandPanel(name, demand, lead, origins, tuning, exposure, price))
    return panels


def lead_time_panels(scorer: ModuleType) -> list[DemandPanel]:
    """Sums over each part's own lead time: MAN in weeks (7 or 16), OIL in months (1 to 16)."""
    oil = real_panels(scorer, ["oil"])[0]
    days = _attributes(scorer, "oil").reindex(scorer.load_panel("oil")[0])["lead_time_days"].to_numpy(float)
    months = np.maximum(np.round(days / DAYS_PER_MONTH), 1).astype(np.int64)
    oil = replace(
        oil, name="oil, own lead times", lead=months, origins=(28, 32, 36, 40), tuning=(13, 16, 19, 22)
    )
    return [weekly_man(scorer, own_leads=True), oil]


def weekly_man(scorer: ModuleType, own_leads: bool = False) -> DemandPanel:
    """MAN in its raw weeks, sums of 7 weeks, or of each part's own lead time of 7 or 16 weeks."""
    table = pd.read_csv(Path(scorer.BENCH) / "man_weekly.csv.gz")
    weeks = [column for column in table.columns if "-W" in column][2:]
    demand = np.nan_to_num(table[weeks].to_numpy(float))
    price = table["cost_price_eur"].to_numpy(float)
    if own_leads:
        leads = table["lead_time_weeks"].to_numpy(np.int64)
        name = "man in weeks, own lead times"
        return DemandPanel(name, demand, leads, (100, 110, 120, 132), (52, 68, 84), price=price)
    return DemandPanel("man in weeks", demand, 7, (100, 112, 124, 136), (65, 72, 79, 86, 93), price=price)


def halves(panel: DemandPanel) -> list[DemandPanel]:
    """First and last 24 periods alone, forecast after 18 and 21."""
    ends = panel.demand.shape[1]
    return [
        panel.span(0, 24, (18, 21), f"{panel.name}, first 24"),
        panel.span(ends - 24, ends, (18, 21), f"{panel.name}, last 24"),
    ]


def new_parts(
    panel: DemandPanel, known: int, share: float = 0.2, seed: int = 0
) -> Iterator[tuple[DemandPanel, IntArray]]:
    """At every origin make some random parts new: of them only the last `known` periods are left.

    Yields a panel of the one origin, and the rows of the new parts.
    """
    for origin in panel.origins:
        rng = np.random.default_rng([seed, known, origin])
        rows = np.sort(rng.choice(len(panel.demand), int(share * len(panel.demand)), replace=False))
        demand = panel.demand.copy()
        demand[rows, : origin - known] = np.nan
        yield replace(panel, demand=demand, origins=(origin,), tuning=(), truth=None), rows


def simulated_panels(
    seeds: Sequence[int] = (0,), kinds: Sequence[str] = tuple(KINDS), parts: int = 600
) -> Iterator[DemandPanel]:
    """Made-up panels of every kind and seed (see `history_simulated`); any origin may be used for tuning."""
    for kind in kinds:
        for seed in seeds:
            rng = np.random.default_rng([seed, *kind.encode()])
            simulated = KINDS[kind](parts, rng)
            yield DemandPanel(
                kind,
                simulated.demand(rng),
                simulated.lead,
                simulated.origins,
                simulated.origins,
                simulated.exposure,
                truth=simulated.sums,
            )


def subsets(panel: DemandPanel, size: int, draws: int, seed: int = 0) -> Iterator[DemandPanel]:
    """Random parts of a panel, without replacement; the same for the same seed."""
    for draw in range(draws):
        rng = np.random.default_rng([seed, size, draw])
        rows = np.sort(rng.choice(len(panel.demand), min(size, len(panel.demand)), replace=False))
        yield panel.take(rows, f"{panel.name}, {size} parts")


def _attributes(scorer: ModuleType, name: str) -> pd.DataFrame:
    file, key = {"oil": ("oil_b_monthly", "item"), "man": ("man_weekly", "sku")}[name]
    table = pd.read_csv(Path(scorer.BENCH) / f"{file}.csv.gz", dtype={key: str})
    return table.set_index(key)
