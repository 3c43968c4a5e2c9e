"""Who stands at the end of each chain of successors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.tables.dataset import Dataset
from spareplan.tables.supersession import newest_parts
from spareplan.tables.taken import demand_to_learn

MONTHS = pd.date_range("2025-01-01", periods=3, freq="MS")


def parts(**after: str | None) -> pd.DataFrame:
    return pd.DataFrame({"part_id": list(after), "superseded_by": list(after.values())})


@pytest.mark.parametrize(
    ("chain", "newest"),
    [
        (parts(A=None, B=None), {}),
        (parts(A="B", B=None), {"A": "B"}),
        (parts(A="B", B="C", C=None), {"A": "C", "B": "C"}),
        (parts(C=None, B="C", A="B"), {"A": "C", "B": "C"}),
        (parts(A="C", B="C", C="D", D=None), {"A": "D", "B": "D", "C": "D"}),
        (parts(A="unknown"), {"A": "unknown"}),
        (parts(), {}),
    ],
)
def test_every_old_number_leads_to_the_end_of_its_chain(chain: pd.DataFrame, newest: dict) -> None:
    assert newest_parts(chain) == newest


def test_chains_of_any_length_are_followed_in_any_row_order() -> None:
    names = [f"{number:04d}" for number in range(500)]
    chain = pd.DataFrame({"part_id": names, "superseded_by": [*names[1:], None]})
    newest = newest_parts(chain.sample(frac=1.0, random_state=0))
    assert set(newest.values()) == {"0499"} and len(newest) == 499


@pytest.mark.parametrize("ring", [parts(A="A"), parts(A="B", B="A"), parts(A="B", B="C", C="A", D="A")])
def test_circles_end_and_are_refused_by_the_dataset(ring: pd.DataFrame) -> None:
    assert set(newest_parts(ring).values()) <= set(ring["part_id"])
    frames = {
        "parts": ring.assign(name="x", unit_cost=1.0, lead_time_days=1.0),
        "sites": pd.DataFrame({"site_id": ["HQ"], "name": "hq", "parent_id": None, "lead_time_days": 0.0}),
        "demand": pd.DataFrame({"part_id": "A", "site_id": "HQ", "month": MONTHS, "quantity": 1.0}),
    }
    with pytest.raises(DataError) as caught:
        Dataset.from_frames(frames)
    problem = caught.value.problems.iloc[0]
    assert problem["table"] == "parts" and problem["column"] == "superseded_by"
    assert "circle" in problem["rule"] and "A" in problem["rule"] and problem["remedy"]


def dataset(demand: pd.DataFrame, **after: str | None) -> Dataset:
    names = list(after)
    return Dataset.from_frames(
        {
            "parts": parts(**after).assign(name=names, unit_cost=1.0, lead_time_days=1.0),
            "sites": pd.DataFrame(
                {"site_id": ["HQ"], "name": "hq", "parent_id": None, "lead_time_days": 0.0}
            ),
            "demand": demand,
        }
    )


def rows(*lines: tuple) -> pd.DataFrame:
    columns = ["part_id", "month", "quantity", "one_off"][: len(lines[0])]
    frame = pd.DataFrame(lines, columns=columns)
    return frame.assign(month=MONTHS[frame["month"]], site_id="HQ")


def test_old_and_new_numbers_add_up_month_by_month() -> None:
    data = dataset(rows(("A", 0, 3.0), ("A", 1, 2.0), ("B", 1, 1.0), ("C", 2, 4.0)), A="B", B="C", C=None)
    learned = demand_to_learn(data, MONTHS[-1] + pd.offsets.MonthEnd(0))
    assert learned["part_id"].eq("C").all()
    assert learned["quantity"].tolist() == [3.0, 3.0, 4.0]


def test_one_off_pieces_are_left_out_of_what_is_learned_but_not_of_the_record() -> None:
    data = dataset(rows(("A", 0, 3.0, np.nan), ("A", 1, 90.0, 88.0), ("A", 2, 1.0, 0.0)), A=None)
    learned = demand_to_learn(data, MONTHS[-1] + pd.offsets.MonthEnd(0))
    assert learned["quantity"].tolist() == [3.0, 2.0, 1.0] and learned["one_off"].tolist() == [0.0, 88.0, 0.0]
    assert data.demand["quantity"].tolist() == [3.0, 90.0, 1.0]


def test_a_month_that_is_not_over_is_not_learned_from() -> None:
    data = dataset(rows(("A", 0, 3.0), ("A", 1, 2.0)), A=None)
    assert demand_to_learn(data, pd.Timestamp("2025-02-20"))["quantity"].tolist() == [3.0]
    assert demand_to_learn(data, pd.Timestamp("2025-02-28"))["quantity"].tolist() == [3.0, 2.0]


@pytest.mark.parametrize(("quantity", "one_off"), [(3.0, 4.0), (-2.0, 1.0), (0.0, 1.0)])
def test_more_one_off_pieces_than_were_taken_are_refused(quantity: float, one_off: float) -> None:
    with pytest.raises(DataError) as caught:
        dataset(rows(("A", 0, 1.0, 0.0), ("A", 1, quantity, one_off)), A=None)
    problem = caught.value.problems.iloc[0]
    assert (problem["table"], problem["row"], problem["column"]) == ("demand", 3, "one_off")
    assert f"quantity of {quantity:g}" in problem["rule"] and "project" in problem["remedy"]


def test_negative_one_off_pieces_are_refused() -> None:
    with pytest.raises(DataError, match="one_off"):
        dataset(rows(("A", 0, 1.0, -1.0)), A=None)


@pytest.mark.parametrize("header", ["one_off", "一次性用量", "项目用量", "One-off pieces"])
def test_the_column_is_read_under_all_its_names(header: str) -> None:
    frame = rows(("A", 0, 9.0, 8.0), ("A", 1, 1.0, np.nan)).rename(columns={"one_off": header})
    assert dataset(frame, A=None).demand["one_off"].tolist() == [8.0, 0.0]
