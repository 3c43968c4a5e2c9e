"""Whether second visits stand in the records as orders of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.staffing.follow_ups import recorded_follow_ups, rows_per_order
from spareplan.staffing.visits import visits_per_order

REGIONS = pd.Index(["r"])


def records(
    seed: int, rows_share: float, missing: float = 0.15, again: float = 0.1
) -> tuple[pd.DataFrame, int]:
    """Visits of orders; further visits are written down as rows of their own with a chance."""
    generator = np.random.default_rng(seed)
    orders = 3000
    rows = []
    for order in range(orders):
        unit, moment = f"u{generator.integers(1500)}", pd.Timestamp("2025-01-01")
        moment += pd.Timedelta(days=float(generator.uniform(0, 330)))
        lost = generator.random() < missing
        first = True
        while True:
            outcome = "part_missing" if lost else "not_fixed" if generator.random() < again else "fixed"
            if first or generator.random() < rows_share:
                rows.append((f"w{order}", unit, "r", moment, "failure", outcome))
            if outcome == "fixed":
                break
            first, lost = False, False
            moment += pd.Timedelta(days=float(generator.uniform(1, 8)))
    names = ["order_id", "unit_id", "region_id", "opened_at", "kind", "outcome"]
    return pd.DataFrame(rows, columns=names), orders


@pytest.mark.parametrize("rows_share", [0.0, 1.0])
def test_orders_are_counted_once_however_they_are_recorded(rows_share: float):
    past, orders = records(3, rows_share)
    notes: list = []
    share = recorded_follow_ups(past, notes)
    assert share == pytest.approx(rows_share, abs=0.05)
    assert notes[0]["origin"] == ("estimated from work_orders.outcome" if rows_share else "default")
    made = past[past["outcome"] != "part_missing"]
    again = np.array([(made["outcome"] == "not_fixed").mean()])
    rows = rows_per_order(share, past, REGIONS, again)
    assert len(past) / rows["failure"][0] == pytest.approx(orders, rel=0.03)
    assert rows["inspection"][0] == 1
    lost = float((past["outcome"] == "part_missing").mean())
    assert visits_per_order(share, lost, again)[0] == pytest.approx(0.15 + 1 / 0.9, rel=0.04)


def test_few_records_or_none_say_nothing():
    past, _ = records(1, 1.0)
    assert recorded_follow_ups(past.iloc[:30], []) == 0
    assert recorded_follow_ups(past.iloc[:0], []) == 0
    assert recorded_follow_ups(past.assign(outcome=None), []) == 0
    assert recorded_follow_ups(past.assign(unit_id=None), []) == 0


def test_row_order_does_not_matter():
    past, _ = records(2, 1.0)
    mixed = past.sample(frac=1.0, random_state=3)
    assert recorded_follow_ups(mixed, []) == recorded_follow_ups(past, [])
