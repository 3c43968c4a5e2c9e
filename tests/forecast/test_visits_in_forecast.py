"""Demand of a fleet with inspection visits, against what the same fleet then used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spareplan.config import ForecastOptions
from spareplan.forecast.demand import forecast_demand
from tests.forecast.test_inspection_plan import TODAY, dataset, history

OPTIONS = ForecastOptions(inspections="fixed", backtest_origins=0)


@pytest.fixture(scope="module")
def used():
    """Two fleets of 400 machines: forecasts of the filter, and what was used."""
    forecasts, actual = [], np.zeros(2)
    for seed in (0, 1):
        units, records = history(seed)
        data = dataset(units, records, usage=None)
        forecasts.append((data, forecast_demand(data, 12, TODAY, OPTIONS)))
        after = records[(records["replaced_on"] > TODAY) & (records["part_id"] == "filter")]
        actual += [after["planned"].sum(), (~after["planned"]).sum()]
    return forecasts, actual


def test_visits_ahead_are_counted_and_those_behind_not_repeated(used):
    forecasts, (planned, failed) = used
    table = [result.table[result.table["part_id"] == "filter"] for _, result in forecasts]
    pieces, failures = (
        sum(rows[name].sum() for rows in table) for name in ("from_planned", "from_installed_base")
    )
    assert pieces == pytest.approx(planned, abs=3 * np.sqrt(planned))
    assert failures == pytest.approx(failed, rel=0.06)
    for rows in table:
        sources = rows[["from_installed_base", "from_new_units", "from_planned", "from_history"]].sum(axis=1)
        np.testing.assert_allclose(rows["mean"], sources)


def test_a_year_s_window_holds_the_twelve_months(used):
    for _, result in used[0]:
        months = result.table.groupby("part_id")["mean"].sum()
        year = result.windows[result.windows["days"] == 365].groupby("part_id")["mean"].sum()
        np.testing.assert_allclose(year[months.index], months, rtol=1e-6)


def test_the_calendar_is_an_output_and_the_sources_still_add_up(used):
    _, result = used[0][0]
    assert result.visits["visits"].sum() > 0
    assert set(result.visits["month"]) <= set(result.table["month"])
    keys = ["part_id", "site_id", "month"]
    told = result.contributions.groupby(keys)["mean"].sum()
    means = result.table.set_index(keys)["mean"]
    np.testing.assert_allclose(told.reindex(means.index).fillna(0.0), means, atol=1e-9)
    assert (result.contributions["source"] == "prevented by inspections").any()


def test_no_inspections_leave_no_planned_pieces_of_visits(used):
    data, with_visits = used[0][0]
    none = forecast_demand(data, 12, TODAY, replace(OPTIONS, inspections="none"))
    assert with_visits.table["from_planned"].sum() > 50
    assert none.table["from_planned"].sum() == 0
    assert (none.assumptions["name"] == "visits ahead").any()
