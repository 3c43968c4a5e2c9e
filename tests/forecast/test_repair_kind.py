"""Renewed or repaired, told from mature fleets too."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.forecast.demand import forecast_demand
from spareplan.forecast.repair_kind import comparable_spells

from .fleets import START, TODAY, make_fleet

INSTANT = 1e-9


def told_twice(part, machine, start, end, ages, known):
    """Spells of one pair under both tellings; `known`: its piece was new when the machine was."""
    began = [0.0, *ages]
    renewed = pd.DataFrame(
        {
            "entry": [start if number == 0 else 0.0 for number in range(len(began))],
            "exit": [after - before for before, after in zip(began, [*ages, end])],
            "failed": [True] * len(ages) + [False],
            "open": [number == 0 and not known for number in range(len(began))],
        }
    )
    repaired = pd.DataFrame(
        {
            "entry": [start, *(age * (1 - INSTANT) for age in ages)],
            "exit": [end, *ages],
            "failed": [False] + [True] * len(ages),
            "open": False,
        }
    )
    return [frame.assign(part=part, machine=machine) for frame in (renewed, repaired)]


def test_a_machine_older_than_the_records_is_followed_from_its_first_failure():
    known = told_twice(0, 0, 0.0, 10.0, [4.0, 7.0], True)
    cut = told_twice(0, 1, 20.0, 40.0, [25.0, 31.0], False)
    silent = told_twice(0, 2, 20.0, 40.0, [], False)
    several = told_twice(1, 1, 20.0, 40.0, [22.0], False)
    tables = [pd.concat(frames, ignore_index=True) for frames in zip(known, cut, silent, several)]
    renewed, repaired = comparable_spells(*tables, np.array([True, False]))
    assert renewed.groupby("machine")["exit"].apply(list).to_dict() == {0: [4.0, 3.0, 3.0], 1: [6.0, 9.0]}
    assert set(renewed["part"]) == {0} and set(repaired["part"]) == {0}
    watch = repaired[~repaired["failed"]].set_index("machine")
    assert watch["entry"].to_dict() == {0: 0.0, 1: 25.0}
    assert repaired[repaired["failed"]].groupby("machine")["exit"].apply(list).to_dict() == {
        0: [4.0, 7.0],
        1: [31.0],
    }
    # Both tellings watch for as long and see as many failures.
    for column in ("failed",):
        assert renewed[column].sum() == repaired[column].sum()
    long = repaired[~repaired["failed"]]
    assert (renewed["exit"] - renewed["entry"]).sum() == pytest.approx((long["exit"] - long["entry"]).sum())


def repaired_fleet(seed, shape, machines=30, scale=700.0):
    """A fleet older than its records, whose assembly fails by the age of the machine."""
    data, _ = make_fleet(seed=seed, machines=machines)
    rng = np.random.default_rng(seed)
    rows = []
    for unit, born in zip(data.units["unit_id"], data.units["commissioned_on"]):
        ages = scale * np.cumsum(rng.exponential(size=40)) ** (1 / shape)
        days = (born + pd.to_timedelta(np.minimum(ages, 9000), unit="D")).normalize()
        rows += [(unit, "P1", day) for day in days if START <= day <= TODAY]
    replaced = pd.DataFrame(rows, columns=["unit_id", "part_id", "replaced_on"]).drop_duplicates()
    return data.with_tables(replacements=replaced)


def kinds_named(data):
    assumptions = forecast_demand(data, months=1).assumptions
    return assumptions["name"].str.contains("do not renew").sum()


def test_a_mature_fleet_of_repaired_assemblies_is_recognised_and_said():
    assert kinds_named(repaired_fleet(1, 2.5)) == 1


def test_a_mature_fleet_of_renewed_parts_is_not_taken_for_repaired():
    assert kinds_named(make_fleet(seed=2, machines=25)[0]) == 0
    assert kinds_named(make_fleet(seed=3, machines=20, quantity=3, named=False)[0]) == 0
