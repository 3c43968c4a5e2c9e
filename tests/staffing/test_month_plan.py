"""People of every month: inspections that move, prices by market stage."""

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from tests.staffing.test_headcount import frames, size

QUICK = {"plan_alternatives": False, "search_by_simulation": "none", "simulate_orders": 0}


def with_sales(monthly: float) -> dict[str, pd.DataFrame]:
    """Machines handed over in two months bring inspections, in lumps."""
    rows = [("DP", site, "2026-02-01", monthly) for site in ("010", "020")]
    return {"sales_plan": pd.DataFrame(rows, columns=["product_id", "site_id", "month", "units_sold"])}


def test_inspections_move_by_a_month_and_none_is_lost():
    plain = size(with_sales(400.0), **QUICK, inspection_shift=False)
    moved = size(with_sales(400.0), **QUICK)
    assert plain.inspections.empty
    table = moved.inspections
    assert len(table)
    sums = table.groupby("region_id")[["due", "planned"]].sum()
    np.testing.assert_allclose(sums["due"], sums["planned"], rtol=1e-6)
    assert (table["planned"] > -1e-9).all()
    # What is required counts inspections when they are due; what is missing then costs less.
    pd.testing.assert_series_equal(plain.table["required"], moved.table["required"])
    assert moved.shortages["cost"].sum() < 0.6 * plain.shortages["cost"].sum()
    peak = [crew.table.groupby("month")["utilisation"].max().max() for crew in (plain, moved)]
    assert peak[1] <= peak[0]


def test_missing_people_cost_more_where_the_market_stage_weighs_more():
    regions = frames()["regions"].assign(market_stage=["mature", "developing"])
    changes = {"regions": regions, "engineers": frames()["engineers"].assign(headcount=0)}
    alike = size(changes, **QUICK, hire_lead_months=6)
    priced = size(changes, **QUICK, hire_lead_months=6, stage_weights=(1.0, 1.0, 2.5, 1.0))

    def price(crew):
        short = crew.shortages[crew.shortages["month"] == crew.shortages["month"].min()]
        each = short.assign(price=short["cost"] / short["people"])
        return each.set_index(["region_id", "skill"])["price"]

    ratio = (price(priced) / price(alike)).groupby("region_id").mean()
    assert ratio["华东"] == pytest.approx(1.0)
    assert ratio["新疆"] == pytest.approx(2.5)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 1.0, 0.0, 1.0)])
def test_weights_of_market_stages_that_are_none_are_refused(weights):
    with pytest.raises(DataError, match="stage_weights"):
        size(**QUICK, stage_weights=weights)
