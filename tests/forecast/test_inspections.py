"""Visits after handover."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.inspections import inspection_visits, place_visits

TODAY = pd.Timestamp("2025-12-31")


def units(*rows):
    frame = pd.DataFrame(rows, columns=["site_id", "commissioned_on", "retired_on"])
    return frame.assign(
        commissioned_on=pd.to_datetime(frame["commissioned_on"]),
        retired_on=pd.to_datetime(frame["retired_on"]),
    )


def test_every_machine_is_visited_once_per_step_of_the_schedule():
    frame = units(("A", "2025-12-05", None), ("A", "2025-08-30", None), ("B", "2020-01-01", None))
    out = inspection_visits(frame, None, 12, TODAY)
    seen = [(row.site_id, row.month.month, row.after_months) for row in out.itertuples()]
    assert seen == [("A", 1, 1), ("A", 2, 6), ("A", 3, 3), ("A", 6, 6), ("A", 8, 12), ("A", 12, 12)]
    assert out["visits"].eq(1).all()


def test_machines_to_be_sold_are_visited_and_retired_ones_are_not():
    plan = pd.DataFrame({"site_id": ["A"], "month": [pd.Timestamp("2026-02-01")], "units_sold": [3]})
    frame = units(("A", "2025-12-05", "2026-02-15"))
    out = inspection_visits(frame, plan, 6, TODAY, schedule=(1, 3))
    assert out[["month", "visits"]].to_numpy().tolist() == [
        [pd.Timestamp("2026-01-01"), 1.0],
        [pd.Timestamp("2026-03-01"), 3.0],
        [pd.Timestamp("2026-05-01"), 3.0],
    ]


def test_a_visit_stands_before_the_peak():
    season = np.array([0.2, 0.2, 0.4, 0.8, 1.2, 2.4, 2.4, 2.0, 1.2, 0.6, 0.4, 0.2])
    months = place_visits(np.ones(12), season, handover_month=1)
    assert months[0] == 1
    assert (np.diff(months) > 0).all()
    flat = place_visits(np.ones(12), np.ones(12), handover_month=1)
    assert flat.tolist() == [1, 3, 6, 9]
    # The peak is June to August: months 5 to 7 after a January handover.
    assert ((months >= 4) & (months <= 7)).sum() >= 2


def test_schedules_that_make_no_sense_are_refused():
    with pytest.raises(DataError, match="schedule"):
        inspection_visits(units(("A", "2025-12-05", None)), None, 12, TODAY, schedule=(-1,))
    with pytest.raises(DataError, match="place_visits"):
        place_visits([1.0, 1.0], np.ones(12), 1)
