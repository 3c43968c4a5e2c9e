"""Tiny networks and all their levels, evaluated by whole laws that share no code with the package."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

TOP, REACH = 5, 40
NAMES = np.array(["HQ", "A", "B"])


class Case(NamedTuple):
    """A tiny network: parent, lead time per site; unit cost, supply per part; demand per part x site."""

    parent: list[int]
    lead: np.ndarray
    unit_cost: np.ndarray
    supply: np.ndarray
    demand: np.ndarray

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        names = NAMES[: len(self.parent)]
        above = [None if p < 0 else names[p] for p in self.parent]
        sites = pd.DataFrame({"site_id": names, "parent_id": above, "lead_time_days": self.lead})
        items = [f"p{i}" for i in range(len(self.supply))]
        parts = pd.DataFrame({"part_id": items, "unit_cost": self.unit_cost, "lead_time_days": self.supply})
        rows = [
            (part, site, rate)
            for part, own in zip(items, self.demand)
            for site, rate in zip(names, own)
            if rate > 0
        ]
        return sites, parts, pd.DataFrame(rows, columns=["part_id", "site_id", "demand_per_day"])


def tiny(parent: list[int], seed: int, parts: int = 2) -> Case:
    rng = np.random.default_rng(seed)
    size = len(parent)
    demand = np.exp(rng.uniform(np.log(0.002), np.log(0.03), (parts, size)))
    # Headquarters sells to some parts' customers only.
    demand[:, 0] *= (rng.random(parts) < 0.5) | (size == 1)
    lead = np.r_[0.0, rng.uniform(2, 10, size - 1)]
    return Case(parent, lead, rng.integers(10, 400, parts).astype(float), rng.uniform(15, 60, parts), demand)


def every_level(case: Case, part: int, window: float) -> dict[str, np.ndarray]:
    """Levels up to TOP with money and, per site, backorders, misses and late pieces."""
    counts = np.arange(REACH)
    size = len(case.parent)
    total = case.demand[part].copy()
    for n in range(size - 1, 0, -1):
        total[case.parent[n]] += total[n]
    lead = np.r_[case.supply[part], case.lead[1:]]
    share = [0.0 if p < 0 else total[n] / total[p] for n, p in enumerate(case.parent)]
    split = [stats.binom.pmf(counts[None, :], counts[:, None], s) for s in share]

    def after(law: np.ndarray, stock: int) -> np.ndarray:
        return np.bincount(np.maximum(counts - stock, 0), weights=law, minlength=REACH)

    def waiting(n: int, stock: tuple[int, ...]) -> np.ndarray:
        """Law of the parent's backorders that belong to n."""
        if case.parent[n] < 0:
            return np.eye(1, REACH).ravel()
        p = case.parent[n]
        return after(on_order(p, stock), stock[p]) @ split[n]

    def plus_poisson(law: np.ndarray, mean: float) -> np.ndarray:
        return np.convolve(law, stats.poisson.pmf(counts, mean))[:REACH]

    def on_order(n: int, stock: tuple[int, ...]) -> np.ndarray:
        return plus_poisson(waiting(n, stock), total[n] * lead[n])

    def not_yet(n: int, stock: tuple[int, ...], days: float) -> np.ndarray:
        """Law of the orders up to a tagged one, itself included, that are not received `days` later."""
        if days < lead[n]:
            others = plus_poisson(waiting(n, stock), total[n] * (lead[n] - days))
            return np.r_[0.0, others[:-1]]
        if case.parent[n] < 0:
            return np.eye(1, REACH).ravel()
        p = case.parent[n]
        late = after(not_yet(p, stock, days - lead[n]), stock[p])
        return np.r_[late[0], late[1:] @ split[n][:-1, :-1]]

    vectors = np.array(list(itertools.product(range(TOP + 1), repeat=size)))
    ebo, miss, late = (np.zeros(vectors.shape) for _ in range(3))
    for n in range(size):
        upper = _path(case.parent, n)
        # A site's law hangs on the stocks above it alone.
        for held in itertools.product(range(TOP + 1), repeat=len(upper)):
            rows = (vectors[:, upper] == held).all(axis=1)
            stock = tuple(vectors[rows][0].tolist())
            law, tagged, mine = on_order(n, stock), not_yet(n, stock, window), vectors[rows, n][:, None]
            ebo[rows, n] = np.maximum(counts - mine, 0) @ law
            miss[rows, n] = (law * (counts >= mine)).sum(axis=1)
            late[rows, n] = 1 - (tagged * (counts <= mine)).sum(axis=1)
    own = case.demand[part]
    with np.errstate(invalid="ignore", divide="ignore"):
        wait = np.where(total > 0, own / total, 0.0) * ebo
    return {
        "levels": vectors,
        "money": vectors.sum(axis=1) * case.unit_cost[part],
        "target_wait_days": wait,
        "target_fill_rate": own * miss,
        "target_in_window": own * np.maximum(late, 0.0),
    }


def _path(parent: list[int], n: int) -> list[int]:
    """Sites above a site."""
    return [] if parent[n] < 0 else [parent[n], *_path(parent, parent[n])]


def least_money(
    case: Case,
    targets: pd.DataFrame,
    measure: str,
    allowed: Callable[[int, np.ndarray], np.ndarray] | None = None,
    cap: tuple[list[int], float] | None = None,
) -> float:
    """Least money over all levels up to TOP that keep every target; infinite where none does.

    `allowed` says which levels of a part may be held, `cap` limits the money at some sites (positions).
    """
    window = float(targets["window_days"].iloc[0]) if "window_days" in targets else 1.0
    sites = [list(NAMES).index(site) for site in targets["site_id"]]
    own = case.demand.sum(axis=0)[sites]
    goal = targets[measure].to_numpy(dtype=float)
    limit = own * (goal if measure == "target_wait_days" else 1 - goal)
    if cap is not None:
        limit = np.r_[limit, cap[1]]
    money, use = np.zeros(1), np.zeros((1, len(limit)))
    for part in range(len(case.supply)):
        every = every_level(case, part, window)
        uses = every[measure][:, sites]
        if cap is not None:
            at_sites = every["levels"][:, cap[0]].sum(axis=1) * case.unit_cost[part]
            uses = np.c_[uses, at_sites]
        kept = (uses <= limit * (1 + 1e-9)).all(axis=1)
        kept &= True if allowed is None else allowed(part, every["levels"])
        own_money, own_use = undominated(every["money"][kept], uses[kept])
        money = (money[:, None] + own_money).ravel()
        use = (use[:, None, :] + own_use).reshape(len(money), len(limit))
        kept = (use <= limit * (1 + 1e-9)).all(axis=1)
        money, use = money[kept], use[kept]
        if part + 1 < len(case.supply):
            money, use = undominated(money, use)
    return float(money.min(initial=np.inf))


def undominated(money: np.ndarray, use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop what another choice beats in money and in every use."""
    order = np.lexsort((use.sum(axis=1), money))
    money, use = money[order], use[order]
    kept = np.zeros((len(money), use.shape[1]))
    rows: list[int] = []
    for row in range(len(money)):
        if not (kept[: len(rows)] <= use[row] + 1e-15).all(axis=1).any():
            kept[len(rows)] = use[row]
            rows.append(row)
    return money[rows], use[rows]
