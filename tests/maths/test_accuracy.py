from __future__ import annotations

import numpy as np

from spareplan.maths.accuracy import rate_correction, tracking_signal


def test_tracking_signal_counts_periods_of_one_sided_error():
    errors = [[1.0, 1.0, 1.0, 1.0], [2.0, -2.0, 2.0, -2.0], [0.0, 0.0, 0.0, 0.0], [-3.0, -3.0, -3.0, -3.0]]
    assert tracking_signal(errors).tolist() == [4.0, 0.0, 0.0, -4.0]


def test_a_forecast_sure_of_its_rate_is_not_corrected():
    assert rate_correction([5.0], [50.0], [1.0], [0.0]).tolist() == [1.0]


def test_correction_is_the_posterior_mean_of_a_gamma_poisson_rate():
    # Two roads: the formula, and simulation of rates whose counts came out as observed.
    rng = np.random.default_rng(11)
    spread, planned, seen = 0.4, 6.0, 9
    factors = rng.gamma(1 / spread, spread, size=2_000_000)
    kept = factors[rng.poisson(planned * factors) == seen]
    assert (
        abs(rate_correction([planned], [seen], [1.0], [spread])[0] - kept.mean())
        < 4 * kept.std() / len(kept) ** 0.5
    )


def test_returns_count_as_no_demand():
    assert rate_correction([2.0], [-3.0], [1.0], [1.0])[0] == rate_correction([2.0], [0.0], [1.0], [1.0])[0]


def test_regular_demand_is_corrected_no_more_than_poisson_and_uneven_demand_less():
    factors = [rate_correction([2.0], [8.0], [ratio], [0.3])[0] for ratio in (0.01, 1.0, 4.0)]
    assert factors[0] == factors[1] > factors[2] > 1
