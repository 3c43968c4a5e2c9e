from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.maths.intermittency import demand_class, demand_intervals, size_variation


def test_interval_is_record_over_months_with_demand_and_infinite_without():
    assert demand_intervals([12, 12, 5], [12, 3, 0]).tolist() == [1.0, 4.0, np.inf]


def test_size_variation_equals_the_sample_variance_over_the_squared_mean():
    rng = np.random.default_rng(5)
    for _ in range(20):
        sizes = pd.Series(rng.integers(1, 40, size=rng.integers(2, 12)).astype(float))
        ours = size_variation([len(sizes)], [sizes.sum()], [(sizes**2).sum()])[0]
        assert np.isclose(ours, sizes.var() / sizes.mean() ** 2, rtol=1e-9)


def test_a_single_demand_or_none_has_no_variation():
    assert size_variation([1, 0], [7, 0], [49, 0]).tolist() == [0.0, 0.0]


def test_equal_sizes_have_no_variation_in_spite_of_rounding():
    assert size_variation([3], [0.3], [0.03])[0] < 1e-12


def test_classes_follow_the_limits_and_a_limit_itself_stays_regular():
    adi, cv2 = [1.32, 1.33, 1.32, 1.33, np.inf], [0.49, 0.49, 0.50, 0.50, 0.0]
    assert demand_class(adi, cv2).tolist() == ["smooth", "intermittent", "erratic", "lumpy", "none"]
