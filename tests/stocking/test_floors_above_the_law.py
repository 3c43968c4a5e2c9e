"""Floors and fixed levels far above all that can be on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spareplan.stocking.pricing import price
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets
from tests.stocking.test_interrupt import network


@pytest.mark.parametrize("depots", [0, 2])
@pytest.mark.parametrize("extra", [0, 30, 100, 400])
def test_search_and_walk_agree_where_all_stock_above_the_stations_is_given(depots, extra):
    case = network(500, 6, depots)
    forest, pipelines = read_pipelines(*case[:3], "exact")
    promises = read_targets(case[3], case[1], forest, pipelines)
    worth = promises.worth(np.full(len(promises), 500.0))
    given = np.where(pipelines.is_leaf, 0, np.ceil(pipelines.mean).astype(np.int64) + extra)
    held = replace(pipelines, least=given, most=np.where(pipelines.is_leaf, pipelines.most, given))
    certain, walked = price(held, worth), price(held, worth, quick=True)
    assert np.isfinite(certain.value).all()
    assert certain.value == pytest.approx(walked.value, rel=1e-12)
    assert (certain.levels == walked.levels).all()
