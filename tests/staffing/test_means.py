from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from spareplan import staffing
from spareplan.errors import DataError
from spareplan.staffing.means import mean_wait_fixed_service, mean_waits, mean_waits_any_service
from spareplan.staffing.queues import positions_needed


def test_waits_of_any_service_agree_with_another_package(test_data):
    table = pd.read_csv(test_data / "staffing" / "mg1_priority.csv")
    for _, case in table.groupby("case"):
        found = mean_waits_any_service(case["lam"], case["mean"], case["cv2"])
        np.testing.assert_allclose(found, case["wait_mean"], rtol=0.005)


def test_waits_of_fixed_service_agree_with_another_package(test_data):
    table = pd.read_csv(test_data / "staffing" / "mdc_mean_wait.csv")
    for row in table.itertuples():
        found = mean_wait_fixed_service(row.rho * row.c / row.service, row.service, row.c)
        assert found == pytest.approx(row.wq, rel=1e-3)


def test_mean_waits_under_priorities_agree_with_a_simulation_by_ciw(test_data):
    table = pd.read_csv(test_data / "staffing" / "priority_mgc_ciw.csv")
    table = table[(table["service_dist"] == "exp") & table["schedule"].isna()]
    scores = []
    for _, case in table.groupby("case"):
        found = mean_waits(case["lam"], 1 / case["mean_service"].iloc[0], int(case["servers"].iloc[0]))
        scores += list((found - case["wait_mean"]) / (case["wait_mean_hw95"] / 2.093))
    assert len(scores) == 8
    assert np.abs(scores).max() < 4.5


def chain_of_fixed_service(load: float, servers: int, most: int = 300) -> float:
    """Mean queue by the chain seen every service time, brute force."""
    from scipy import stats

    states = np.arange(most)
    left = np.maximum(states - servers, 0)
    jump = stats.poisson.pmf(states[None, :] - left[:, None], load)
    jump[:, -1] += 1 - jump.sum(axis=1)
    for _ in range(13):
        jump = jump @ jump
        jump /= jump.sum(axis=1, keepdims=True)
    return float((jump[0] * left).sum())


@pytest.mark.parametrize(("load", "servers"), [(0.3, 1), (0.9, 1), (3.2, 4), (7.6, 8), (24.0, 30), (0.01, 2)])
def test_fixed_service_agrees_with_its_own_chain(load, servers):
    found = mean_wait_fixed_service(load / 2.0, 2.0, servers)
    assert found * load / 2.0 == pytest.approx(chain_of_fixed_service(load, servers), rel=1e-7, abs=1e-11)


@pytest.mark.parametrize(("load", "digits"), [(0.2, 1e-7), (0.9, 1e-7), (0.99, 1e-7), (0.9999, 2e-5)])
def test_one_server_has_one_formula(load, digits):
    fixed = mean_wait_fixed_service(load, 1.0, 1)
    assert fixed == pytest.approx(load / (2 * (1 - load)), rel=digits)
    assert mean_waits_any_service([load], 1.0, 0.0)[0] == pytest.approx(fixed, rel=digits)
    assert mean_waits_any_service([load], 1.0, 1.0)[0] == pytest.approx(mean_waits([load], 1.0, 1)[0])


@pytest.mark.parametrize(("rates", "servers"), [([0.5, 0.9, 1.1], 4), ([2.0, 0.0, 1.5], 5), ([1.0, 3.0], 3)])
def test_means_are_the_area_under_the_tail(rates, servers):
    times = np.concatenate([[0.0], np.geomspace(1e-4, 4e3, 6000)])
    tail = staffing.wait_tail(rates, 1.0, servers, times)
    stable = np.cumsum(rates) < servers
    areas = np.trapezoid(tail, times, axis=1)
    found = mean_waits(rates, 1.0, servers)
    np.testing.assert_allclose(found[stable], areas[stable], rtol=1e-4)
    assert np.isinf(found[~stable]).all()


def test_upper_classes_of_an_overloaded_server_keep_their_mean():
    # Class 1 (rate .5, fixed 1 h) above an endless line of class 2 (exponential, 2 h).
    generator = np.random.default_rng(4)
    came = np.cumsum(generator.exponential(2.0, 100_000))
    now, waits = 0.0, np.empty(len(came))
    for i, at in enumerate(came):
        while now < at:
            now += generator.exponential(2.0)
        waits[i] = now - at
        now += 1.0
    found = mean_waits_any_service([0.5, 9.0], [1.0, 2.0], [0.0, 1.0])
    batches = waits[2000:].reshape(-1, 500).mean(axis=1)
    error = batches.std(ddof=1) / np.sqrt(len(batches))
    assert abs(found[0] - batches.mean()) < 4 * error
    assert error < 0.05 * found[0]
    assert np.isinf(found[1])


def test_published_means_and_positions(test_data):
    published = json.loads((test_data / "staffing" / "published.json").read_text())["items"]
    items = {item["id"]: item for item in published}
    first = items["pyworkforce_readme"]
    raw = staffing.servers_needed([10.0], 1.0, [1 / 9], [0.8], max_utilisation=0.85)
    assert positions_needed(raw, first["inputs"]["shrinkage"]) == first["answers"]["positions"]
    assert 10.0 / raw == pytest.approx(first["answers"]["occupancy"], abs=1e-12)
    call = items["r_erlangc_readme"]
    mu = 1 / call["inputs"]["aht_s"]
    rate = call["inputs"]["calls"] / (60 * call["inputs"]["interval_min"])
    agents, answers = call["inputs"]["agents"], call["answers"]
    assert rate / mu == pytest.approx(answers["traffic_intensity"])
    assert mean_waits([rate], mu, agents)[0] == pytest.approx(answers["asa_s"], rel=1e-12)
    tail = staffing.wait_tail([rate], mu, agents, [0.0, call["inputs"]["target_s"]])[0]
    said = [1 - answers["immediate"], 1 - answers["service_level"]]
    np.testing.assert_allclose(tail, said, atol=1e-6)
    octave = items["octave_queueing_1"]
    asked = octave["inputs"]
    wait = mean_waits([asked["lambda"]], asked["mu"], asked["m"])[0]
    assert wait + 1 / asked["mu"] == pytest.approx(octave["answers"]["W"], abs=octave["tol"])
    tetra = items["tetra_table"]
    load, servers = tetra["answers"]["a"], tetra["inputs"]["c"]
    tail = staffing.wait_tail([load], 1.0, servers, [0.0, 1.0])[0]
    assert tail[0] == pytest.approx(tetra["inputs"]["p_wait"], abs=tetra["tol"])
    later = tetra["answers"]["p_delayed_waits_more_than_T"]
    assert tail[1] / tail[0] == pytest.approx(later, abs=tetra["tol"])
    # Single simulated runs: the order of magnitude only.
    for name, answer in (
        ("ciw_tutorial_mm3", "mean_wait_single_run"),
        ("ciw_tutorial_mm4", "mean_wait_10_runs"),
    ):
        asked = items[name]["inputs"]
        wait = mean_waits([asked["lambda"]], asked["mu"], asked["c"])[0]
        assert 0.5 < wait / items[name]["answers"][answer] < 2.0
    assert mean_waits([0.2], 0.1, 3)[0] == pytest.approx(40 / 9)
    assert mean_waits([0.2], 0.1, 4)[0] == pytest.approx(20 / 23)


def test_service_levels_of_another_package_stand_around_the_least_number(test_data):
    table = pd.read_csv(test_data / "staffing" / "min_servers.csv")
    for row in table.itertuples():
        time = row.t_over_aht
        kept = 1 - staffing.wait_tail([row.a], 1.0, row.min_servers, [time])[0, 0]
        assert kept == pytest.approx(row.service_level, abs=1e-9)
        assert kept >= row.p
        if not np.isnan(row.service_level_minus1):
            below = 1 - staffing.wait_tail([row.a], 1.0, row.min_servers - 1, [time])[0, 0]
            assert below == pytest.approx(row.service_level_minus1, abs=1e-9)
            assert below < row.p
    # The other package's own search starts too high in one row and names a server too many.
    missed = table[table["pyworkforce_required"] != table["min_servers"]]
    assert missed[["a", "t_over_aht", "p"]].to_numpy().tolist() == [[14.5, 4.0, 0.8]]
    assert (missed["pyworkforce_required"] - missed["min_servers"]).tolist() == [1]


def test_erlang_c_agrees_with_a_second_package(test_data):
    table = pd.read_csv(test_data / "staffing" / "erlang_c.csv")
    np.testing.assert_allclose(staffing.erlang_c(table["a"], table["n"]), table["erlang_c_mq"], rtol=1e-9)


def test_positions_cover_absence():
    assert positions_needed([0, 1, 14, 10], [0.3, 0.5, 0.3, 0.0]).tolist() == [0, 2, 20, 10]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: mean_waits([-1.0], 1.0, 2), "arrival_rates"),
        (lambda: mean_waits([1.0], 0.0, 2), "service_rate"),
        (lambda: mean_waits([1.0], 1.0, 0), "servers"),
        (lambda: mean_waits_any_service([1.0], [0.0], [1.0]), "service_times"),
        (lambda: mean_waits_any_service([1.0], [1.0], [-1.0]), "service_scv"),
        (lambda: mean_waits_any_service([1.0, 2.0], [1.0, 1.0, 1.0], 1.0), "service_scv"),
        (lambda: mean_wait_fixed_service(-1.0, 1.0, 1), "arrival_rate"),
        (lambda: mean_wait_fixed_service(1.0, np.nan, 1), "service_time"),
        (lambda: mean_wait_fixed_service(1.0, 1.0, 1.5), "servers"),
        (lambda: positions_needed(3, 1.0), "absence_share"),
        (lambda: positions_needed(-3, 0.1), "servers"),
    ],
)
def test_impossible_means_are_refused_by_name(call, named):
    with pytest.raises(DataError) as caught:
        call()
    assert named in caught.value.problems["column"].tolist()


def test_no_calls_wait_no_time_and_a_full_team_for_ever():
    assert mean_wait_fixed_service(0.0, 1.0, 2) == 0.0
    assert mean_wait_fixed_service(2.0, 1.0, 2) == np.inf
    assert (mean_waits([0.0, 0.0], 1.0, 1) == 0).all()
