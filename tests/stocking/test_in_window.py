"""Shares served within a window, and the bound they give."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.stocking import evaluate_levels
from spareplan.stocking.in_window import shortened

SITES = pd.DataFrame(
    {
        "site_id": ["HQ", "D", "A", "B", "C"],
        "parent_id": [None, "HQ", "D", "D", "HQ"],
        "lead_time_days": [0.0, 5.0, 3.0, 1.0, 2.0],
    }
)
PARTS = pd.DataFrame({"part_id": ["p", "q"], "lead_time_days": [30.0, 12.0]})
RATES = pd.DataFrame(
    [(part, site, rate) for part in "pq" for site, rate in zip("DABC", (0.02, 0.1, 0.05, 0.07))],
    columns=["part_id", "site_id", "demand_per_day"],
)
WINDOW = 1.0


def shares(levels: pd.DataFrame) -> pd.DataFrame:
    """Share within the window on the true ways beside the fill rate on the shortened ones."""
    own = RATES.loc[RATES["part_id"] == "p", "site_id"]
    windows = pd.DataFrame({"site_id": own, "group": "g", "window_days": WINDOW, "target_in_window": 0.9})
    targets = pd.DataFrame(
        {"site_id": own, "group": "g", "target_fill_rate": 0.8, "target_wait_days": np.nan}
    )
    sites, asked = shortened(SITES, targets, windows)
    assert asked.set_index("site_id")["target_fill_rate"].to_dict() == {
        "D": 0.9,
        "A": 0.9,
        "B": 0.8,
        "C": 0.9,
    }
    true = evaluate_levels(SITES, PARTS, RATES, levels, times=(WINDOW,))
    eased = evaluate_levels(sites, PARTS, RATES, levels)
    return true.merge(eased, on=["part_id", "site_id"], suffixes=("", "_short")).query("site_id in @own")


def test_a_share_within_a_window_is_the_fill_rate_over_a_way_shorter_by_the_window() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        levels = pd.DataFrame([(p, s, rng.integers(0, 4)) for p in "pq" for s in SITES["site_id"]],
                              columns=["part_id", "site_id", "base_stock"])  # fmt: skip
        table = shares(levels)
        # C hangs on HQ, whose way is not shortened: the two are the same law.
        same = table[table["site_id"] == "C"]
        np.testing.assert_allclose(same["fill_rate_short"], same["wait_le_1"], atol=1e-9)
        # Below a depot with a shortened way the fill rate can only be higher: an easier promise.
        eased = table[table["site_id"].isin(["A", "D"])]
        assert (eased["fill_rate_short"] >= eased["wait_le_1"] - 1e-9).all()
