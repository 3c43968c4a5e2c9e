"""A Dataset holds what it was given, knows its last day, and stays as it is."""

from __future__ import annotations

import dataclasses
import pickle

import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.tables.dataset import Dataset
from tests.tables.small_tables import edited, text_frames


@pytest.fixture
def data() -> Dataset:
    return Dataset.from_frames(text_frames())


def test_every_table_is_an_attribute_also_when_it_was_not_given() -> None:
    data = Dataset.from_frames(text_frames(stock=None))
    assert data.stock.empty
    assert "on_hand" in data.stock.columns
    assert "stock" not in data.given
    assert "stock" in dir(data)
    with pytest.raises(AttributeError, match="prices"):
        _ = data.prices


def test_it_is_frozen_and_can_be_sent_to_other_processes(data: Dataset) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.source = "elsewhere"  # type: ignore[misc]
    again = pickle.loads(pickle.dumps(data))
    pd.testing.assert_frame_equal(again.parts, data.parts)
    assert again.network.site_ids == data.network.site_ids


def test_the_frames_it_was_made_from_stay_unchanged() -> None:
    frames = text_frames()
    before = {name: frame.copy() for name, frame in frames.items()}
    Dataset.from_frames(frames)
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_as_of_is_the_end_of_the_month_of_the_latest_record(data: Dataset) -> None:
    assert data.as_of() == pd.Timestamp("2024-05-31")
    assert data.as_of("2024-04-15") == pd.Timestamp("2024-04-15")
    assert Dataset.from_frames(text_frames(replacements=None, work_orders=None)).as_of() == pd.Timestamp(
        "2024-02-29"
    )
    with pytest.raises(DataError, match="is no date"):
        data.as_of("soon")


def test_without_records_as_of_must_be_given() -> None:
    frames = text_frames(demand=None, work_orders=None, meter_readings=None)
    frames["replacements"] = frames["replacements"].iloc[:0]
    data = Dataset.from_frames(frames)
    with pytest.raises(DataError, match="give as_of"):
        data.as_of()


def test_changed_tables_are_checked_again(data: Dataset) -> None:
    dearer = data.with_tables(parts=data.parts.assign(unit_cost=data.parts["unit_cost"] * 2))
    assert dearer.parts["unit_cost"].sum() == 2 * data.parts["unit_cost"].sum()
    assert data.parts["unit_cost"].iloc[0] == 100000
    with pytest.raises(DataError, match="not in parts"):
        data.with_tables(parts=data.parts.iloc[:1])


def test_an_unknown_table_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="is no table of a dataset"):
        Dataset.from_frames({**text_frames(), "prices": pd.DataFrame()})


def test_assumed_columns_are_kept_and_must_exist() -> None:
    data = Dataset.from_frames(text_frames(), assumed={"parts.unit_cost": "100 for all parts"})
    assert data.assumed == {"parts.unit_cost": "100 for all parts"}
    assert data.with_tables(stock=data.stock).assumed == data.assumed
    with pytest.raises(DataError, match="is no column of a dataset"):
        Dataset.from_frames(text_frames(), assumed={"parts.price": "100"})


def test_history_alone_and_machines_alone_are_enough() -> None:
    fleet = ("units", "fitment", "products", "replacements")
    rest = ("usage", "meter_readings", "sales_plan", "work_orders")
    history = Dataset.from_frames(text_frames(**dict.fromkeys((*fleet, *rest))))
    assert history.units.empty
    assert Dataset.from_frames(text_frames(demand=None)).demand.empty
    with pytest.raises(DataError, match="nothing tells the demand"):
        Dataset.from_frames(text_frames(demand=None, units=None))


def test_records_that_start_after_the_first_machine_are_named() -> None:
    data = Dataset.from_frames(edited("regions", 2, "records_from", ""))
    assert (
        data.notes["note"]
        .iloc[0]
        .startswith("records start on 2023-11-05, after the first machine started on 2022-05-10")
    )


def test_a_reference_into_a_table_that_was_not_given_is_named() -> None:
    data = Dataset.from_frames(text_frames(regions=None))
    said = data.notes[data.notes["note"].str.startswith("regions is not given")]
    assert "sites" in said["table"].tolist()


def test_a_summary_says_what_is_in_it(data: Dataset) -> None:
    assert "3 parts" in repr(data)
