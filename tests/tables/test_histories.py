"""What happened, against the time it happened in: refused where impossible, kept where it is only early."""

from __future__ import annotations

import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.tables.dataset import Dataset
from spareplan.tables.supersession import newest_parts
from tests.tables.small_tables import edited, text_frames, with_row


def problems(frames):
    with pytest.raises(DataError) as caught:
        Dataset.from_frames(frames)
    return caught.value.problems


def test_a_replacement_before_the_records_is_kept_and_said() -> None:
    data = Dataset.from_frames(edited("replacements", 2, "replaced_on", "2022-06-01"))
    assert data.replacements["replaced_on"].min() == pd.Timestamp("2022-06-01")
    assert "1 rows lie before their region's records begin" in data.summary()
    assert "records begin" not in Dataset.from_frames(text_frames()).summary()


def test_all_impossible_replacements_are_named_at_once() -> None:
    frames = text_frames(
        replacements="""
unit_id,part_id,replaced_on,reported_on
U1,00123,2022-05-09,2022-05-20
U2,P-2,2024-04-01,2024-04-02
U3,00123,2024-01-01,2024-01-01
U3,P-3,2024-05-20,2024-05-19
U1,00123,2022-05-10,2022-05-10
"""
    )
    found = problems(frames)
    assert found[["row", "column", "value"]].to_numpy().tolist() == [
        [2, "replaced_on", "2022-05-09"],
        [3, "replaced_on", "2024-04-01"],
        [4, "part_id", "00123"],
        [5, "reported_on", "2024-05-19"],
    ]
    assert (found["table"] == "replacements").all()
    assert found["remedy"].str.len().gt(10).all()


def test_one_early_replacement_is_one_problem_though_the_machine_has_two_dates() -> None:
    found = problems(edited("replacements", 2, "replaced_on", "2022-02-01"))
    assert len(found) == 1
    frames = edited("replacements", 2, "replaced_on", "2022-02-01")
    frames["units"].loc[0, "commissioned_on"] = ""
    assert problems(frames)["rule"].tolist() == ["lies before the machine was built on 2022-03-01"]


def test_an_old_part_may_be_replaced_where_its_successor_is_fitted() -> None:
    frames = text_frames(fitment="product_id,part_id,quantity\nPUMP,00123,2\nPUMP,P-3,1\nROLLER,P-3,1\n")
    data = Dataset.from_frames(frames)
    assert "P-2" in set(data.replacements["part_id"])
    frames["parts"]["superseded_by"] = ""
    assert problems(frames)["rule"].tolist() == ["does not fit product PUMP of machine U2"]


def test_chains_end_at_their_last_part_and_circles_end_at_all() -> None:
    chain = pd.DataFrame({"part_id": list("ABCDEXY"), "superseded_by": [*"BCDE", None, "Y", "X"]})
    newest = newest_parts(chain)
    assert [newest[part] for part in "ABCD"] == ["E"] * 4
    assert "E" not in newest
    assert newest["X"] in "XY"
    assert newest_parts(chain.iloc[:0]) == {}


def test_readings_may_be_equal_or_from_before_the_handover() -> None:
    frames = with_row("meter_readings", "U1", "2024-03-31", "2600")
    frames["meter_readings"].loc[2] = ["U1", "2022-04-01", "10"]
    assert len(Dataset.from_frames(frames).meter_readings) == 3


def test_a_machine_without_a_handover_needs_the_day_it_was_built() -> None:
    assert problems(edited("units", 2, "built_on", "x"))["column"].tolist() == ["built_on"]
    assert problems(edited("units", 3, "commissioned_on", "x"))["column"].tolist() == ["commissioned_on"]
    assert len(problems(edited("units", 3, "commissioned_on", ""))) == 1
    bare = text_frames()
    bare["units"] = bare["units"].drop(columns="commissioned_on")
    assert "commissioned_on" in set(problems(bare)["column"])
    early = edited("units", 3, "commissioned_on", "")
    early["units"].loc[1, "built_on"] = "2024-05-01"
    assert "retired_on" in set(problems(early)["column"])
