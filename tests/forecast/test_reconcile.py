"""Sites add up to the part: shares borrowed from machines, totals and sites brought into one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from spareplan.forecast.history_road import PAIR, history_demand, machine_shares
from spareplan.forecast.reconcile import (
    likeliest_weight,
    pieces_per_demand,
    prior_shares,
    reconciled,
    share_strength,
    shared_spread,
    site_shares,
    weight_evidence,
)
from spareplan.maths.units import DAYS_PER_MONTH
from tests.forecast.fleets import TODAY, make_fleet

PART = np.array([0, 0, 0, 1, 1])
HORIZON = pd.date_range("2026-01-01", periods=3, freq="MS")
DAYS = [30, 91, 365]


def panel(seed=0, parts=12, months=30, share=(0.6, 0.25, 0.1, 0.05), moves=0.0):
    """Demand of parts at four sites, and machines in the same shares."""
    rng = np.random.default_rng(seed)
    path = np.exp(np.cumsum(rng.normal(0, moves, (parts, months)), axis=1))
    rate = rng.lognormal(1.5, 0.7, parts)
    pieces = rng.poisson(rate[:, None, None] * path[:, :, None] * np.array(share))
    part, month, site = np.nonzero(pieces)
    last = pd.Period("2025-12", "M") - months + 1
    demand = pd.DataFrame(
        {
            "part_id": [f"P{i:02d}" for i in part],
            "site_id": [f"S{i}" for i in site],
            "month": (pd.PeriodIndex([last] * len(month)) + month).to_timestamp(),
            "quantity": pieces[part, month, site].astype(float),
            "one_off": 0.0,
        }
    )
    ids = [f"P{i:02d}" for i in range(parts)]
    machines = np.round(100 * np.array(share)).astype(int)
    return SimpleNamespace(
        demand=demand,
        parts=pd.DataFrame({"part_id": ids, "superseded_by": pd.Series([None] * parts, dtype="str")}),
        fitment=pd.DataFrame({"product_id": "M", "part_id": ids, "quantity": 2.0}),
        units=pd.DataFrame(
            {
                "product_id": "M",
                "site_id": np.repeat([f"S{i}" for i in range(len(share))], machines),
                "commissioned_on": pd.Timestamp("2020-01-01"),
                "retired_on": pd.NaT,
            }
        ),
    )


def test_prior_shares_follow_the_machines_and_leave_something_to_every_site():
    share = prior_shares(np.array([6.0, 3.0, 0.0, 0.0, 0.0]), PART)
    np.testing.assert_allclose(np.bincount(PART, share), 1.0)
    assert share[0] > share[1] > share[2] > 0
    # Where no machine is known all sites are alike.
    np.testing.assert_allclose(share[3:], 0.5)


def test_shares_are_the_mean_of_the_dirichlet_law_by_integration():
    prior, taken, strength = np.array([0.3, 0.7]), np.array([2.0, 3.0]), 4.0
    beta = stats.beta(*(strength * prior))

    def moment(power):
        return integrate.quad(
            lambda share: beta.pdf(share) * share ** (taken[0] + power) * (1 - share) ** taken[1], 0, 1
        )[0]

    share = site_shares(taken, prior, np.zeros(2, dtype=int), strength)
    assert share[0] == pytest.approx(moment(1) / moment(0), rel=1e-6)
    assert share.sum() == pytest.approx(1.0)


def test_a_site_without_demand_borrows_and_a_busy_one_stands_on_its_own():
    prior = np.array([0.9, 0.1])
    few = site_shares(np.array([0.0, 1.0]), prior, np.zeros(2, int), 20.0)
    many = site_shares(np.array([500.0, 500.0]), prior, np.zeros(2, int), 20.0)
    assert few[1] < 0.2
    assert many[1] == pytest.approx(0.5, abs=0.02)


def test_strength_tells_sites_like_their_machines_from_sites_of_their_own():
    rng = np.random.default_rng(1)
    part = np.repeat(np.arange(200), 5)
    prior = np.tile([0.4, 0.3, 0.15, 0.1, 0.05], 200)

    def drawn(truth):
        shares = rng.dirichlet(truth * prior[:5], 200)
        return np.concatenate([rng.multinomial(40, share) for share in shares]).astype(float)

    assert share_strength(drawn(8.0), prior, part) == pytest.approx(8.0, rel=0.25)
    assert share_strength(drawn(1e5), prior, part) > 500


@pytest.mark.parametrize("batch", [1, 4])
def test_pieces_asked_for_together_count_as_one_demand_whatever_the_part_does(batch):
    rng = np.random.default_rng(6)
    part = np.repeat(np.arange(150), 4)
    path = np.exp(np.cumsum(rng.normal(0, 0.3, (150, 24)), axis=1))[part]
    pieces = batch * rng.poisson(path * rng.gamma(2.0, 1.0, 600)[:, None])
    found = pieces_per_demand(
        pieces[:, ::2].sum(axis=1).astype(float), pieces.sum(axis=1).astype(float), part
    )
    assert found == pytest.approx(batch, rel=0.15)


def test_reconciled_sites_add_up_between_both_totals_and_never_fall_below_zero():
    rng = np.random.default_rng(2)
    bottom, top = rng.gamma(1.0, 2.0, 5), np.array([3.0, 9.0])
    share = prior_shares(rng.random(5), PART)
    for weight in (0.0, 0.3, 1.0):
        mean = reconciled(bottom, top, share, PART, weight)
        total = weight * np.bincount(PART, bottom) + (1 - weight) * top
        np.testing.assert_allclose(np.bincount(PART, mean), total)
        assert (mean >= 0).all()


def test_the_weight_goes_to_what_was_right():
    rng = np.random.default_rng(3)
    part = np.repeat(np.arange(60), 4)
    truth = rng.gamma(2.0, 3.0, 240)
    actual = rng.poisson(truth).astype(float)
    total = np.bincount(part, truth)
    spread, whole = (np.ones(240), np.zeros(240)), (np.ones(60), np.zeros(60))
    even = np.full(240, 0.25)
    sites = likeliest_weight(weight_evidence(actual, truth, 1.6 * total, even, part, spread, whole))
    shared = (1.6 * truth, total, truth / total[part])
    parts = likeliest_weight(weight_evidence(actual, *shared, part, spread, whole))
    assert sites > 0.9 and parts < 0.1
    assert likeliest_weight(np.zeros(11)) == pytest.approx(0.5)


def test_spread_of_sites_and_part_come_out_where_both_can():
    mean, part = np.array([4.0, 2.0, 1.0, 3.0, 3.0]), PART
    variance = np.array([7.0, 3.0, 1.2, 4.0, 4.0])
    total, most = np.array([19.0, 8.0]), np.array([0.5, 0.5])
    vmr, cv2 = shared_spread(mean, variance, part, total, most)
    np.testing.assert_allclose(vmr * mean + cv2[part] * mean**2, variance)
    whole = np.bincount(part, vmr * mean) + cv2 * np.bincount(part, mean) ** 2
    np.testing.assert_allclose(whole, total)
    # The second part's sites do not move together at all: its variance is the sum of theirs.
    assert cv2[1] == 0.0


def test_no_more_is_shared_than_the_part_doubts_and_one_site_is_its_part():
    vmr, cv2 = shared_spread(
        np.array([2.0, 2.0]), np.array([4.0, 4.0]), np.zeros(2, int), np.array([30.0]), np.array([0.3])
    )
    assert cv2[0] == pytest.approx(0.3)
    np.testing.assert_allclose(vmr * 2 + 0.3 * 4, 4.0)
    vmr, cv2 = shared_spread(
        np.array([5.0]), np.array([10.0]), np.zeros(1, int), np.array([10.0]), np.array([0.04])
    )
    assert cv2[0] == pytest.approx(0.04) and vmr[0] == pytest.approx(1.8)


@pytest.fixture(scope="module")
def road():
    return history_demand(panel(), TODAY, HORIZON, DAYS)


def test_sites_add_up_to_regions_and_to_the_total_in_months_and_windows(road):
    windows = road.windows.assign(region=road.windows["site_id"].isin(["S0", "S1"]))
    by_region = (
        windows.groupby(["region", "part_id", "days"])["mean"].sum().groupby(["part_id", "days"]).sum()
    )
    total = windows.groupby(["part_id", "days"])["mean"].sum()
    np.testing.assert_allclose(by_region, total)
    months = road.table.groupby("part_id")["mean"].sum()
    np.testing.assert_allclose(months, total.xs(91, level="days") * (90 / 91), rtol=1e-9)
    assert road.table.groupby(["part_id", "month"])["rate_cv2"].nunique().max() == 1
    assert road.windows.groupby(["part_id", "days"])["rate_cv2"].nunique().max() == 1


def test_the_total_is_the_convex_mean_of_bottom_up_and_top_down():
    ends = [history_demand(panel(), TODAY, HORIZON, DAYS, weight=weight) for weight in (0.0, 0.25, 1.0)]
    low, middle, high = (one.windows.groupby(["part_id", "days"])["mean"].sum().to_numpy() for one in ends)
    np.testing.assert_allclose(middle, 0.75 * low + 0.25 * high)


def test_a_site_seen_once_gets_the_share_of_its_machines():
    data = panel(seed=4)
    rare = (data.demand["part_id"] == "P00") & (data.demand["site_id"] == "S3")
    kept = data.demand[~rare | ~rare[::-1].cumsum()[::-1].gt(1)]
    data.demand = kept.reset_index(drop=True)
    shared = history_demand(data, TODAY, HORIZON, DAYS, weight=0.0).windows.query("days == 91")
    part = shared[shared["part_id"] == "P00"].set_index("site_id")["mean"]
    assert part["S3"] / part.sum() == pytest.approx(0.05, abs=0.025)


def test_pieces_in_service_are_counted_by_part_and_site():
    data, _ = make_fleet(31, machines=20, quantity=2)
    shares = machine_shares(data, TODAY).set_index(["part_id", "site_id"])["pieces"]
    count = data.units.groupby("site_id").size()
    assert shares["P1", "S1"] == 2 * count["S1"]
    assert shares["", "S2"] == count["S2"]


def test_a_profile_moves_months_and_windows_alike():
    data = panel(parts=3)
    flat = history_demand(data, TODAY, HORIZON, [31, 90, 365])
    shaped = history_demand(
        data,
        TODAY,
        HORIZON,
        [31, 90, 365],
        profile=lambda keys, months: np.tile([2.0, 0.5, 0.5], (len(keys), 1)),
    )
    first = flat.table["month"] == HORIZON[0]
    np.testing.assert_allclose(shaped.table["mean"][first], 2 * flat.table["mean"][first])
    per_pair = shaped.windows.set_index([*PAIR, "days"])["mean"].unstack()  # noqa: PD010
    months = shaped.table.set_index([*PAIR, "month"])["mean"].unstack()  # noqa: PD010
    np.testing.assert_allclose(per_pair[31], months[HORIZON[0]])
    np.testing.assert_allclose(per_pair[90], months.sum(axis=1))
    # Beyond the horizon every month is alike.
    rate = flat.windows.query("days == 31")["mean"].to_numpy() / 31 * DAYS_PER_MONTH
    np.testing.assert_allclose(per_pair[365] - per_pair[90], rate * 275 / DAYS_PER_MONTH)


def test_order_of_rows_does_not_matter():
    data, other = panel(parts=6), panel(parts=6)
    other.demand = other.demand.sample(frac=1, random_state=0).reset_index(drop=True)
    one, two = (history_demand(each, TODAY, HORIZON, DAYS) for each in (data, other))
    pd.testing.assert_frame_equal(one.windows, two.windows)
    pd.testing.assert_frame_equal(one.table, two.table)


def test_parts_at_one_site_need_no_sharing():
    data = panel(parts=8, share=(1.0,))
    road = history_demand(data, TODAY, HORIZON, DAYS)
    names = {row["name"] for row in road.notes}
    assert "demands that a site's prior share is worth" not in names
    assert np.isfinite(road.windows[["mean", "vmr", "rate_cv2"]].to_numpy()).all()
