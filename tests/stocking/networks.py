"""Small networks for the stocking tests, and a brute-force evaluation that shares no package code."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from scipy import stats


def tables(parent, lead, demand, stock, part="P1"):
    """Sites, parts, rates and levels of one part from arrays; lead[0] is the supplier's."""
    names = [f"S{n:02d}" for n in range(len(parent))]
    sites = pd.DataFrame(
        {
            "site_id": names,
            "parent_id": [None if p < 0 else names[p] for p in parent],
            "lead_time_days": [0.0, *lead[1:]],
        }
    )
    parts = pd.DataFrame({"part_id": [part], "lead_time_days": [float(lead[0])], "unit_cost": [10.0]})
    rates = pd.DataFrame({"part_id": part, "site_id": names, "demand_per_day": np.asarray(demand, float)})
    levels = pd.DataFrame({"part_id": part, "site_id": names, "base_stock": np.asarray(stock, int)})
    return sites, parts, rates[rates["demand_per_day"] > 0], levels


def two_echelon_cases(folder):
    """Cases of two_echelon_exact.json as (tables, answers by site position)."""
    for case in json.loads((folder / "stocking" / "two_echelon_exact.json").read_text())["instances"]:
        bases = len(case["lam"])
        given = tables(
            [-1] + [0] * bases, [case["L0"], *case["Lj"]], [0.0, *case["lam"]], [case["S0"], *case["S"]]
        )
        yield given, case


def three_echelon_cases(folder):
    """Cases of three_echelon_exact.json as (tables, answers)."""
    for case in json.loads((folder / "stocking" / "three_echelon_exact.json").read_text())["instances"]:
        yield tables(case["parent"], case["L"], case["lam_ext"], case["S"]), case


def brute_force(parent, lead, demand, stock, reach=60, repaired=None, repair_days=None):
    """Law of the pieces on order at every site, by whole laws and scipy's binomial.

    `repaired`: share of each site's own failures that comes back to its shelf after `repair_days`.
    """
    size = len(parent)
    total = np.array(demand, dtype=float)
    stays = total * (np.zeros(size) if repaired is None else repaired)
    days = np.zeros(size) if repair_days is None else repair_days
    for n in range(size - 1, 0, -1):
        total[parent[n]] += total[n] - stays[n]
    up = total - stays
    counts = np.arange(reach)
    laws = []
    for n in range(size):
        local = stats.poisson.pmf(counts, up[n] * lead[n] + stays[n] * days[n])
        if parent[n] < 0:
            laws.append(local)
            continue
        above = laws[parent[n]]
        short = stock[parent[n]]
        backlog = np.zeros(reach)
        for k, chance in enumerate(above):
            backlog[max(k - short, 0)] += chance
        waiting = np.zeros(reach)
        for b, chance in enumerate(backlog):
            waiting += chance * stats.binom.pmf(counts, b, up[n] / total[parent[n]])
        laws.append(np.convolve(waiting, local)[:reach])
    ebo = [float((np.maximum(counts - s, 0) * law).sum()) for s, law in zip(stock, laws)]
    fill = [float(law[:s].sum()) for s, law in zip(stock, laws)]
    return np.array(ebo), np.array(fill), total
