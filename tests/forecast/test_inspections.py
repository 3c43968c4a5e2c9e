"""The calendar of visits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.inspections import plan_visits

TODAY = pd.Timestamp("2025-12-31")


def units(*rows):
    frame = pd.DataFrame(rows, columns=["site_id", "commissioned_on", "retired_on"])
    return frame.assign(
        product_id="M",
        commissioned_on=pd.to_datetime(frame["commissioned_on"]),
        retired_on=pd.to_datetime(frame["retired_on"]),
    )


def test_every_machine_is_visited_once_per_step_of_the_schedule():
    frame = units(("A", "2025-12-05", None), ("A", "2025-08-30", None), ("B", "2020-01-01", None))
    out = plan_visits(frame, None, 12, TODAY)
    seen = [(row.site_id, row.month.month, row.after_months) for row in out.itertuples()]
    assert seen == [("A", 1, 1), ("A", 2, 6), ("A", 3, 3), ("A", 6, 6), ("A", 8, 12), ("A", 12, 12)]
    assert out["visits"].eq(1).all()
    assert out["reason"].iloc[0] == "visit 1 months after handover"


def test_machines_to_be_sold_are_visited_and_retired_ones_are_not():
    plan = pd.DataFrame(
        {"product_id": ["M"], "site_id": ["A"], "month": [pd.Timestamp("2026-02-01")], "units_sold": [3]}
    )
    frame = units(("A", "2025-12-05", "2026-02-15"))
    out = plan_visits(frame, plan, 6, TODAY, schedule=(1, 3))
    assert out[["month", "visits"]].to_numpy().tolist() == [
        [pd.Timestamp("2026-01-01"), 1.0],
        [pd.Timestamp("2026-03-01"), 3.0],
        [pd.Timestamp("2026-05-01"), 3.0],
    ]


def test_schedules_may_differ_by_product_region_and_month_of_handover():
    frame = units(("A", "2025-12-05", None), ("A", "2025-11-05", None)).assign(region_id="N")
    schedule = pd.DataFrame(
        {
            "product_id": "M",
            "region_id": "N",
            "handover_month": [11, 11, 12, 12],
            "after_months": [1, 5, 1, 2],
            "prevented": [0.1, 0.2, 0.3, 0.4],
            "reason": ["a", "b", "c", "d"],
        }
    )
    out = plan_visits(frame, None, 12, TODAY, schedule)
    assert out[["month", "after_months", "reason", "prevented"]].to_numpy().tolist() == [
        [pd.Timestamp("2026-01-01"), 1, "c", 0.3],
        [pd.Timestamp("2026-02-01"), 2, "d", 0.4],
        [pd.Timestamp("2026-04-01"), 5, "b", 0.2],
    ]
    with pytest.raises(DataError, match="M, N, 12"):
        plan_visits(frame, None, 12, TODAY, schedule[schedule["handover_month"] == 11])


def test_visits_of_all_sites_add_up_to_machines_times_visits_ahead():
    rng = np.random.default_rng(0)
    days = TODAY - pd.to_timedelta(rng.integers(0, 900, 500), unit="D")
    frame = pd.DataFrame(
        {
            "product_id": "M",
            "site_id": rng.choice(["A", "B"], 500),
            "commissioned_on": days,
            "retired_on": pd.NaT,
        }
    )
    out = plan_visits(frame, None, 24, TODAY)
    passed = (2025 - days.year) * 12 + 12 - days.month
    due = sum((passed.to_numpy() < step).sum() for step in (1, 3, 6, 12))
    assert out["visits"].sum() == due
    shuffled = plan_visits(frame.sample(frac=1, random_state=1), None, 24, TODAY)
    pd.testing.assert_frame_equal(out, shuffled)


def test_nothing_due_gives_an_empty_calendar():
    out = plan_visits(units(("B", "2020-01-01", None)), None, 12, TODAY)
    assert out.empty and list(out) == ["product_id", "site_id", "month", "after_months", "visits", "reason"]


def test_schedules_that_make_no_sense_are_refused():
    for wrong in ((-1,), (1.5,)):
        with pytest.raises(DataError, match=r"schedule\[row 2\].after_months"):
            plan_visits(units(("A", "2025-12-05", None)), None, 12, TODAY, schedule=wrong)
    with pytest.raises(DataError, match="product_id"):
        plan_visits(units(("A", "2025-12-05", None)).drop(columns="product_id"), None, 12, TODAY)
