"""Forecast and data as plain tables, with a forecast whose windows are known by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spareplan import read_dataset
from spareplan.stocking import evaluate_levels
from spareplan.stocking.leadtime import network_tables, pipeline_rates, protection_days


class Forecast:
    """A forecast of constant daily demand; remembers which windows it was asked for."""

    def __init__(self, per_day):
        self.windows = pd.DataFrame(per_day.keys(), columns=["part_id", "site_id"])
        self.table = self.windows
        self.per_day = per_day

    def lead_time_demand(self, days):
        self.asked = days
        rate = np.array([self.per_day[key] for key in zip(days["part_id"], days["site_id"])])
        return days.assign(mean=rate * days["days"], vmr=1.5, rate_cv2=0.2)


@pytest.fixture
def data():
    ways = {"HQ": ["HQ"], "D": ["D", "HQ"], "S": ["S", "D", "HQ"]}
    return SimpleNamespace(
        sites=pd.DataFrame(
            {"site_id": ["S", "D", "HQ"], "parent_id": ["D", "HQ", np.nan], "lead_time_days": [2.0, 5, 0]}
        ),
        parts=pd.DataFrame(
            {
                "part_id": ["B", "A"],
                "lead_time_days": [10.0, 60],
                "unit_cost": [3.0, 4],
                "repairable_share": [0.0, 0.5],
                "repair_days": [np.nan, 20],
            }
        ),
        site_repairs=pd.DataFrame(
            {
                "part_id": ["A", "A"],
                "site_id": ["S", "D"],
                "repair_share_site": [0.1, 0.2],
                "repair_days_site": [3.0, 4.0],
            }
        ),
        network=SimpleNamespace(path_to_hq=lambda site: ways[site]),
    )


def test_the_window_is_supplier_way_and_review(data):
    pairs = pd.DataFrame({"part_id": ["A", "A", "B"], "site_id": ["S", "HQ", "D"]})
    assert list(protection_days(data, pairs, review_days=7)["days"]) == [60 + 7 + 7, 60 + 7, 10 + 5 + 7]


def test_rates_are_the_window_demand_per_day(data):
    demand = Forecast({("A", "S"): 0.2, ("B", "S"): 0.0})
    rates = pipeline_rates(data, demand, review_days=7).set_index(["part_id", "site_id"])
    assert rates.loc[("A", "S"), "demand_per_day"] == pytest.approx(0.2)
    assert rates.loc[("A", "S"), "vmr"] == 1.5
    assert rates.loc[("B", "S"), "rate_cv2"] == 0
    assert rates.loc[("A", "D"), "demand_per_day"] == 0
    assert rates.loc[("A", "D"), "repair_share_site"] == 0.2


def test_the_tables_go_straight_into_the_evaluation(data):
    sites, parts = network_tables(data)
    rates = pipeline_rates(data, Forecast({("A", "S"): 0.2, ("B", "S"): 0.1}))
    levels = pd.DataFrame({"part_id": ["A"], "site_id": ["HQ"], "base_stock": [4]})
    table = evaluate_levels(sites, parts, rates, levels).set_index(["part_id", "site_id"])
    # The depot repairs what fails there, and nothing fails there; the station's orders pass on whole.
    demand_at_depot = 0.2 * 0.9
    assert table.loc[("A", "HQ"), "pipeline"] == pytest.approx(demand_at_depot * (0.5 * 60 + 0.5 * 20))
    assert list(parts["part_id"]) == ["A", "B"]
    assert parts["repair_days"].tolist() == [20, 10]


def test_a_sample_dataset_goes_straight_into_the_evaluation(samples):
    sample = read_dataset(samples / "overseas_rail")
    sites, parts = network_tables(sample)
    assert sites["parent_id"].isna().sum() == 1
    leaf = sample.network.site_ids[-1]
    rates = pd.DataFrame({"part_id": parts["part_id"], "site_id": leaf, "demand_per_day": 0.01})
    levels = pd.DataFrame({"part_id": parts["part_id"], "site_id": leaf, "base_stock": 1})
    table = evaluate_levels(sites, parts, rates, levels)
    assert len(table) == len(parts) * len(sample.network.path_to_hq(leaf))
    assert table["fill_rate"].between(0, 1).all()
