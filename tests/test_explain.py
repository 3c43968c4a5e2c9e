"""Every number of the forecast says what it is made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.explain import explain_level
from spareplan.forecast.demand import forecast_demand
from spareplan.language import word
from spareplan.maths.distributions import quantile
from spareplan.overrides import apply_to_demand
from spareplan.results import DemandForecast
from spareplan.tables.contributions import SOURCES
from tests.forecast.fleets import make_fleet
from tests.plans import small_plan
from tests.small_data import frame


@pytest.fixture(scope="module")
def demand() -> DemandForecast:
    return forecast_demand(make_fleet(machines=40)[0], months=6)


def test_the_sources_of_a_month_add_up_to_its_mean(demand: DemandForecast) -> None:
    for row in demand.table.to_dict("records"):
        steps = demand.explain(row["part_id"], row["site_id"], row["month"]).table.set_index("step")["value"]
        assert steps[steps.index.str.startswith("+")].sum() == pytest.approx(row["mean"])
        assert steps["= expected demand"] == pytest.approx(row["mean"])
        assert steps["standard deviation"] == pytest.approx(np.sqrt(row["variance"]))
        assert steps["95% quantile"] == row["q0.95"]


def test_the_change_against_the_month_before_is_told(demand: DemandForecast) -> None:
    rows = demand.table.query("part_id == 'P1' and site_id == 'S1'")
    change = rows["mean"].diff().iloc[2]
    why = demand.explain("P1", "S1", rows["month"].iloc[2])
    assert f"Against the month before {change:+,.2f}" in why.lines[2]
    assert not any("month before" in line for line in demand.explain("P1", "S1", rows["month"].iloc[0]).lines)
    assert rows["reason"].iloc[2] in repr(why)


def test_a_whole_horizon_takes_the_spread_of_its_window(demand: DemandForecast) -> None:
    why = demand.explain("P1", "S1").table.set_index("step")["value"]
    total = demand.table.query("part_id == 'P1' and site_id == 'S1'")["mean"].sum()
    last = demand.table["month"].max() + pd.offsets.MonthEnd(0)
    window = demand.lead_time_demand(float((last - demand.as_of).days)).query("site_id == 'S1'").iloc[0]
    assert why["= expected demand"] == pytest.approx(total)
    assert why["standard deviation"] == pytest.approx(np.sqrt(window["variance"]), rel=0.02)
    assert why["80% quantile"] == quantile(0.8, total, why["standard deviation"] ** 2)


def test_an_override_stands_beside_the_models_number(demand: DemandForecast) -> None:
    month = demand.table["month"].iloc[1]
    data = make_fleet(machines=40)[0].with_tables(
        overrides=frame("overrides", [{"table": "demand", "column": "mean", "part_id": "P1", "site_id": "S1",
                                       "month": month, "value": "9", "who": "李敏", "when": demand.as_of,
                                       "why": "site opens"}])
    )  # fmt: skip
    why = apply_to_demand(demand, data, demand.as_of).explain("P1", "S1", month)
    steps = why.table.set_index("step")["value"]
    assert steps["= expected demand"] == 9.0 and steps["the model's own number"] < 9.0
    assert steps[steps.index.str.startswith("+")].sum() == pytest.approx(9.0)
    assert "set to 9 by 李敏" in why.lines[-1] and "The model itself expects" in why.lines[-2]


def test_a_level_tells_the_sources_of_its_forecast() -> None:
    plan = small_plan()
    told = pd.DataFrame({"part_id": "00123", "site_id": "上海", "month": pd.Timestamp("2026-01-01"),
                         "source": ["ageing", "machines in use today"], "mean": [0.5, 1.0]})  # fmt: skip
    fine = dataclasses.replace(plan, demand=dataclasses.replace(plan.demand, contributions=told))
    for given, steps in (
        (plan, {"forecast: machines in use": 1.5}),
        (fine, {"forecast: machines in use today": 1.0, "forecast: ageing": 0.5}),
    ):
        table = explain_level(given, "00123", "上海").table.set_index("step")["value"]
        found = table[table.index.str.startswith("forecast")]
        assert found.to_dict() == steps


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (("P9", "S1"), "P9.*is not in the forecast"),
        (("P1", "S9"), "has a forecast at S1, S2, not at S9"),
        (("P1", "S1", "2031-01"), "2031-01.*give one from 2026-01 to 2026-06"),
        (("P1", "S1", "some day"), "some day.*is no month"),
    ],
)
def test_what_is_not_in_the_forecast_is_named(
    demand: DemandForecast, scope: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        demand.explain(*scope)


def test_every_source_has_a_meaning_and_words_in_both_languages(demand: DemandForecast) -> None:
    assert set(demand.contributions["source"]) <= set(SOURCES)
    for source, meaning in SOURCES.items():
        assert meaning and word(source, "en")[0].isupper()
        assert any("\u4e00" <= sign <= "\u9fff" for sign in word(source, "zh")), source


def test_a_forecast_without_sources_cannot_be_explained(demand: DemandForecast) -> None:
    with pytest.raises(DataError, match="has no contributions"):
        dataclasses.replace(demand, contributions=pd.DataFrame()).explain("P1", "S1")


def test_a_level_tells_every_override_that_reached_it_and_what_became_of_it() -> None:
    plan = small_plan()
    told = pd.DataFrame(
        {
            "table": ["levels", "demand", "demand", "demand", "crew"],
            "column": ["base_stock", "mean", "mean", "mean", "required"],
            "part_id": ["00123", "00123", None, "主油缸", None],
            "site_id": ["上海", None, None, "上海", None],
            "region_id": [None, "华东", "西南", None, "华东"],
            "month": pd.to_datetime([None, "2026-01-01", None, None, None]),
            "value": ["3", "1.5", "9", "2", "4"],
            "who": ["李敏", "王磊", "HQ", "HQ", "HQ"],
            "when": pd.to_datetime(["2025-12-20", "2025-12-10", "2025-12-11", "2025-12-12", "2025-12-13"]),
            "why": ["隧道开工", "winter", "x", "y", "z"],
            "expires_on": pd.to_datetime(["2026-03-31", "2025-12-30", None, None, None]),
            "status": ["applied", "expired", "applied", "applied", "applied"],
            "model": ["1", "", "", "", ""],
            "note": ["", "counted until 2025-12-30", "", "", ""],
        }
    )
    levels = plan.levels.table.assign(model_base_stock=[2, 1, 0, 1])
    plan = dataclasses.replace(
        plan,
        levels=dataclasses.replace(plan.levels, table=levels),
        inputs=dict(plan.inputs) | {"applied_overrides": told},
    )
    why = explain_level(plan, "00123", "上海")
    said = [line for line in why.lines if line.startswith("Override")]
    assert said == [
        "Override: demand.mean = 1.5 for 2026-01 by 王磊 on 2025-12-10, because: winter; until 2025-12-30; "
        "expired (counted until 2025-12-30).",
        "Override: levels.base_stock = 3 by 李敏 on 2025-12-20, because: 隧道开工; the model says 1; "
        "until 2026-03-31.",
    ]
    assert "The model itself would hold 1." in why.lines
    assert why.table.set_index("step")["value"]["the model's own level"] == 1
