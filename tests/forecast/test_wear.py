"""Wear parts are told apart from parts replaced at an age of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.wear import rows_at_visits, wear_parts

TODAY = pd.Timestamp("2025-12-31")
VISITS = (1, 3, 6, 12)


def fleet(machines, seed=0, since="2022-01-01", until="2025-12-31"):
    rng = np.random.default_rng(seed)
    span = (pd.Timestamp(until) - pd.Timestamp(since)).days
    return pd.DataFrame(
        {
            "unit_id": [f"U{i:04d}" for i in range(machines)],
            "product_id": "M",
            "site_id": "S",
            "commissioned_on": pd.Timestamp(since)
            + pd.to_timedelta(rng.integers(0, span, machines), unit="D"),
            "retired_on": pd.NaT,
        }
    )


def history(units, part, seed=0, share=0.0, own_age=None, shape=2.0, scale=700.0, visits=VISITS):
    """Replacements of one part, event by event: failures, visits, planned ages of the piece."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit, start in zip(units["unit_id"], units["commissioned_on"]):
        end = (TODAY - start).days
        stops = [(pd.DateOffset(months=v) + start - start).days + int(rng.integers(0, 15)) for v in visits]
        age_zero, fails = 0, scale * rng.weibull(shape)
        now = 0
        while True:
            nexts = [(age_zero + fails, False)]
            if own_age:
                nexts.append((age_zero + own_age + int(rng.integers(-5, 6)), True))
            nexts += [(stop, None) for stop in stops if stop > now][:1]
            now, planned = min(nexts, key=lambda row: row[0])
            if now > end:
                break
            if planned is None and rng.random() >= share:
                continue
            age_zero, fails = now, scale * rng.weibull(shape)
            rows.append((unit, part, start + pd.Timedelta(days=int(now)), 1, planned is not False))
    columns = ["unit_id", "part_id", "replaced_on", "quantity", "planned"]
    return pd.DataFrame(rows, columns=columns).astype({"planned": bool})


def fitment(*parts, quantity=1):
    return pd.DataFrame({"product_id": "M", "part_id": list(parts), "quantity": quantity})


def test_visit_parts_are_found_and_parts_with_an_age_of_their_own_are_not():
    units = fleet(150)
    records = pd.concat(
        [
            history(units, "filter", 1, share=0.45),
            history(units, "hose", 2, share=0.1),
            history(units, "seal", 3, own_age=365),
            history(units, "belt", 4, own_age=91),
            history(units, "oil", 5, own_age=183),
            history(units, "pump", 6),
        ]
    )
    out = wear_parts(records, units, fitment("filter", "hose", "seal", "belt", "oil", "pump"), TODAY)
    assert out["part_id"].tolist() == ["filter", "hose"]
    assert out["share_per_visit"].to_numpy() == pytest.approx([0.45, 0.1], abs=0.05)
    assert (out["pieces_seen"] <= out["visits_seen"]).all()
    assert out["reason"].str.contains("planned at").all()


def test_shares_are_unbiased_over_many_parts_and_never_0_or_1():
    units = fleet(30, seed=7)
    truth = np.linspace(0.1, 0.9, 17)
    records = pd.concat([history(units, f"P{i:02d}", i, share=p) for i, p in enumerate(truth)])
    out = wear_parts(records, units, fitment(*(f"P{i:02d}" for i in range(17))), TODAY)
    share = truth[out["part_id"].str[1:].astype(int)]
    assert len(out) >= 16
    assert out["share_per_visit"].mean() == pytest.approx(share.mean(), abs=0.03)
    noise = np.sqrt(share * (1 - share) / out["visits_seen"])
    assert np.sqrt(np.mean(((out["share_per_visit"] - share) / noise) ** 2)) < 1.4
    few = wear_parts(*_always_at_visits(3), fitment("P"), TODAY)
    assert ((few["share_per_visit"] > 0.6) & (few["share_per_visit"] < 1)).all() and len(few) == 1


def _always_at_visits(machines):
    units = fleet(machines, seed=1, until="2023-12-31")
    return history(units, "P", 1, share=0.9999, scale=1e6), units


def test_planned_days_at_random_are_no_wear_parts():
    found = 0
    for seed in range(20):
        units = fleet(60, seed)
        rng = np.random.default_rng(seed)
        some = units.sample(25, random_state=seed, replace=True)
        left = (TODAY - some["commissioned_on"]).dt.days.to_numpy()
        on = some["commissioned_on"] + pd.to_timedelta((rng.random(25) * left).astype(int), unit="D")
        records = pd.DataFrame(
            {"unit_id": some["unit_id"], "part_id": "P", "replaced_on": on, "planned": True}
        )
        found += len(wear_parts(records, units, fitment("P"), TODAY))
    assert found <= 1


def test_several_pieces_per_machine_count_by_piece():
    units = fleet(120, seed=3)
    one = history(units, "P", 1, share=0.5, scale=1e6)
    out = wear_parts(one, units, fitment("P", quantity=4), TODAY)
    assert out["share_per_visit"].item() == pytest.approx(0.125, abs=0.02)
    out = wear_parts(one.assign(quantity=4), units, fitment("P", quantity=4), TODAY)
    assert out["share_per_visit"].item() == pytest.approx(0.5, abs=0.05)


def test_row_order_and_machines_older_than_the_records_do_not_matter():
    units = fleet(80, seed=4)
    records = history(units, "P", 2, share=0.4)
    old = units.assign(
        unit_id="X" + units["unit_id"], commissioned_on=units["commissioned_on"] - pd.Timedelta(days=4000)
    )
    known = pd.Series({"S": pd.Timestamp("2022-01-01")})
    out = wear_parts(records, units, fitment("P"), TODAY, records_from=known)
    both = wear_parts(
        records.sample(frac=1, random_state=0),
        pd.concat([old, units]).sample(frac=1, random_state=0),
        fitment("P"),
        TODAY,
        records_from=known,
    )
    pd.testing.assert_frame_equal(out, both)


def test_no_records_and_wrong_arguments():
    units = fleet(5)
    records = history(units, "P", 1)
    assert wear_parts(records.iloc[:0], units, fitment("P"), TODAY).empty
    assert wear_parts(records, units, fitment("P"), TODAY).empty
    with pytest.raises(DataError, match="planned"):
        wear_parts(records.drop(columns="planned"), units, fitment("P"), TODAY)
    with pytest.raises(DataError, match="visit_ages"):
        wear_parts(records, units, fitment("P"), TODAY, visit_ages=())


def test_planned_rows_at_visits_are_told_from_others():
    units = fleet(40, seed=2)
    records = pd.concat([history(units, "filter", 1, share=0.5), history(units, "seal", 3, own_age=365)])
    wear = wear_parts(records, units, fitment("filter", "seal"), TODAY)
    mask = rows_at_visits(records, units, wear)
    assert (records.loc[mask, "part_id"] == "filter").all() and records.loc[mask, "planned"].all()
    filters = records["part_id"].eq("filter") & records["planned"]
    assert mask.sum() == filters.sum()
    assert not rows_at_visits(records, units, wear.iloc[:0]).any()
    moved = records.assign(replaced_on=records["replaced_on"] + pd.Timedelta(days=700))
    assert not rows_at_visits(moved, units, wear).any()
