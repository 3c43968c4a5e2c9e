"""Who shares a promise: tiers, vital parts, planners' targets, third parties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.stocking.groups import group_targets, part_groups


def graded(rows):
    """Parts a, b, ... from (tier, fill, wait, criticality, planner)."""
    columns = ["tier", "target_fill_rate", "target_wait_days", "criticality", "planner"]
    index = pd.Index([chr(97 + k) for k in range(len(rows))], name="part_id")
    return pd.DataFrame(rows, columns=columns, index=index)


def test_parts_of_a_tier_with_the_same_promise_share_it():
    group, tiers = part_groups(graded([(1, 0.9, np.nan, "vital", "hq"), (1, 0.9, np.nan, "essential", "hq")]))
    assert group.tolist() == ["tier 1", "tier 1"]
    assert tiers == {"tier 1": 1}


def test_vital_parts_with_a_higher_promise_keep_it_among_themselves():
    group, tiers = part_groups(
        graded(
            [(2, 0.9, np.nan, "essential", "hq")]
            + [(2, 0.98, np.nan, "vital", "hq")] * 3
            + [(3, 0.8, np.nan, "desirable", "hq")]
        )
    )
    assert group.tolist() == ["tier 2", *["tier 2 vital"] * 3, "tier 3"]
    assert tiers == {"tier 2": 2, "tier 2 vital": 2, "tier 3": 3}


def test_a_target_set_by_a_planner_stands_alone_and_is_named():
    rows = [(1, 0.9, np.nan, "essential", "hq")] * 3 + [(1, 0.995, np.nan, "essential", "hq")]
    group, _ = part_groups(graded([*rows, (1, np.nan, 0.5, "essential", "hq")]))
    assert group.tolist() == [*["tier 1"] * 3, "tier 1 at 99.5 %", "tier 1 at 0.5 d"]


def test_what_a_third_party_supplies_is_promised_apart_even_without_own_promises():
    rows = [(3, 0.9, np.nan, "essential", "hq"), (3, 0.9, np.nan, "essential", "third_party")]
    for own in (True, False):
        group, tiers = part_groups(graded(rows), own_promise=own)
        assert group.tolist() == ["tier 3", "tier 3 third party"]
        assert set(tiers.values()) == {3}


def test_without_own_promises_targets_of_a_tier_are_averaged_over_its_demand():
    table = graded([(1, 0.9, np.nan, "essential", "hq"), (1, 0.99, np.nan, "vital", "hq")])
    group, _ = part_groups(table, own_promise=False)
    assert group.tolist() == ["tier 1", "tier 1"]
    parts = pd.DataFrame({"part_id": ["a", "b"], "group": group})
    rates = pd.DataFrame({"part_id": ["a", "b"], "site_id": "x", "demand_per_day": [2.0, 1.0]})
    targets = group_targets(parts, rates, table)
    assert targets["target_fill_rate"].tolist() == pytest.approx([0.93])


def test_parts_without_tier_or_target_have_no_group():
    group, tiers = part_groups(
        graded([(np.nan, 0.9, np.nan, "vital", "hq"), (1, np.nan, np.nan, "vital", "hq")])
    )
    assert pd.isna(group).all()
    assert tiers == {}


def test_every_promised_part_has_the_group_of_its_own_promise_whatever_the_order():
    random = np.random.default_rng(5)
    rows = [
        (int(random.integers(1, 4)), float(random.choice([0.9, 0.95, 0.99])), np.nan,
         str(random.choice(["vital", "essential"])), str(random.choice(["hq", "third_party"])))
        for _ in range(60)
    ]  # fmt: skip
    table = graded(rows)
    group, tiers = part_groups(table)
    by_group = table.assign(group=group).groupby("group")
    assert (by_group["target_fill_rate"].min() == by_group["target_fill_rate"].max()).all()
    assert (by_group["tier"].first() == pd.Series(tiers)).all()
    shuffled = table.sample(frac=1.0, random_state=1)
    again, _ = part_groups(shuffled)
    assert dict(zip(shuffled.index, again)) == dict(zip(table.index, group))
