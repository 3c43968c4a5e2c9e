"""Parts of the delivery-pump sample: what they cost, how long they live, what they fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import gamma

from spareplan.tables import samples_facts as facts
from spareplan.tables.samples_engine import stream

PLANNED_FILTER_HOURS = 6_000.0
LIFE_SPREAD = 0.85
COST_SPREAD = 0.8


def fitted_parts(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the parts of known machines with the truth about their lives, and what they fit.

    Parameters
    ----------
    seed : int

    Returns
    -------
    known : DataFrame
        Columns of the parts table, then the truth: shape, scale_hours, planned_age_hours (0: none), as_set,
        position_known.
    fits : DataFrame
        Input table fitment.
    """
    rng = stream(seed, "parts")
    key_columns = [
        "part_id",
        "name",
        "family",
        "supplier",
        "unit_cost",
        "lead_time_days",
        "lead_time_sd_days",
        "source",
        "repairable_share",
        "repair_days",
        "shape",
        "mean_life",
        "planned_age_hours",
        "as_set",
        "fits",
    ]
    key = pd.DataFrame(facts.KEY_PARTS, columns=key_columns)
    key["criticality"] = ["vital"] * 6 + ["essential", "essential", "desirable"]
    key["expected_life_hours"] = key["mean_life"].astype(float)
    rows = []
    number = 120
    products = [row[0] for row in facts.PRODUCTS]
    popular = np.array([row[4] for row in facts.PRODUCTS], dtype=float) ** 0.5
    for family, count, shape, life, cost, lead, origins, repairable, grades, suppliers in facts.FAMILIES:
        for _ in range(count):
            number += int(rng.integers(1, 7))
            mean_life = life * np.exp(rng.normal(0, LIFE_SPREAD))
            chosen = rng.choice(
                products, size=min(1 + rng.poisson(0.9), 5), replace=False, p=popular / popular.sum()
            )
            quantities = rng.choice([1, 2, 4], size=len(chosen), p=[0.72, 0.2, 0.08])
            source = str(rng.choice(["make", "buy", "import"], p=origins))
            days = float(
                np.clip(
                    round(lead * np.exp(rng.normal(0, 0.35)) * (1.6 if source == "import" else 1)), 7, 180
                )
            )
            prefix = "液压-" if family == "液压阀" and rng.random() < 0.3 else "00"
            rows.append(
                {
                    "part_id": f"{prefix}{number:03d}",
                    "name": f"{family} {number:03d}",
                    "family": family,
                    "supplier": str(rng.choice(suppliers)),
                    "lead_time_days": days,
                    "unit_cost": float(f"{cost * np.exp(rng.normal(0, COST_SPREAD)):.2g}"),
                    "lead_time_sd_days": round(0.2 * days),
                    "source": source,
                    "repairable_share": repairable,
                    "repair_days": 28.0 if repairable else np.nan,
                    "shape": round(float(np.clip(shape * np.exp(rng.normal(0, 0.15)), 0.7, 5)), 2),
                    "mean_life": mean_life,
                    "planned_age_hours": PLANNED_FILTER_HOURS
                    if family == "滤芯" and rng.random() < 0.4
                    else 0.0,
                    "as_set": False,
                    "fits": {name: int(q) for name, q in sorted(zip(chosen, quantities))},
                    "criticality": str(rng.choice(["vital", "essential", "desirable"], p=grades)),
                    "expected_life_hours": float(f"{1.2 * mean_life * np.exp(rng.normal(0, 0.4)):.2g}")
                    if rng.random() < 0.6
                    else np.nan,
                }
            )
    known = pd.concat([key, pd.DataFrame(rows)], ignore_index=True)
    known["scale_hours"] = (known["mean_life"] / gamma(1 + 1 / known["shape"])).round(1)
    known["position_known"] = rng.random(len(known)) < 0.6
    fits = pd.DataFrame(
        [
            (product, part, quantity)
            for part, row in zip(known["part_id"], known["fits"])
            for product, quantity in row.items()
        ],
        columns=["product_id", "part_id", "quantity"],
    ).sort_values(["product_id", "part_id"], ignore_index=True)
    return known.sort_values("part_id", ignore_index=True), fits


def parts_master(known: pd.DataFrame) -> pd.DataFrame:
    """Make the parts master: fitted parts, counter sales, and two successors that fit nothing yet.

    Parameters
    ----------
    known : DataFrame
        First answer of `fitted_parts`.

    Returns
    -------
    DataFrame
        Input table parts.
    """
    columns = [
        "part_id",
        "name",
        "family",
        "supplier",
        "unit_cost",
        "lead_time_days",
        "lead_time_sd_days",
        "source",
        "criticality",
        "repairable_share",
        "repair_days",
        "expected_life_hours",
    ]
    parts = known[columns].copy()
    parts["repair_days"] = parts["repair_days"].where(parts["repairable_share"] > 0)
    counter = pd.DataFrame([row[:3] for row in facts.COUNTER_PARTS], columns=["part_id", "name", "unit_cost"])
    counter = counter.assign(
        family="耗材",
        supplier="本地",
        lead_time_days=10.0,
        lead_time_sd_days=2,
        source="buy",
        criticality="desirable",
        repairable_share=0.0,
    )
    old = parts[parts["family"] == "电气件"].iloc[[2, 5]]
    new = old.assign(
        part_id=["00981", "00982"], name=old["name"] + " (新)", repairable_share=0.0, repair_days=np.nan
    )
    parts = pd.concat([parts, counter, new], ignore_index=True)
    small = parts["unit_cost"] < 200
    parts["min_order"] = np.where(small, 20, np.where(parts["unit_cost"] < 600, 5, 1))
    parts["pack_size"] = np.where(small, 10, 1)
    parts["unit"] = "件"
    parts["shelf_life_days"] = np.where(parts["family"] == "密封件", 1_460.0, np.nan)
    parts["superseded_by"] = parts["part_id"].map(dict(zip(old["part_id"], new["part_id"])))
    ending = parts.index[parts["family"] == "传感器"][4]
    parts["last_buy_on"] = pd.Series(pd.NaT, index=parts.index, dtype="datetime64[s]")
    parts.loc[ending, "last_buy_on"] = pd.Timestamp("2026-06-30")
    return parts.sort_values("part_id", ignore_index=True)


def site_repairs(parts: pd.DataFrame) -> pd.DataFrame:
    """Make the table site_repairs: two depots mend a fifth of the dear parts themselves.

    Parameters
    ----------
    parts : DataFrame
        Input table parts.

    Returns
    -------
    DataFrame
    """
    repairable = parts.loc[parts["repairable_share"] >= 0.3, ["part_id"]].head(8)
    frame = repairable.merge(pd.DataFrame({"site_id": ["010", "040"]}), how="cross")
    return frame.assign(repair_share_site=0.2, repair_days_site=12)
