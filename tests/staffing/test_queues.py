from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from spareplan import staffing
from spareplan.errors import DataError
from spareplan.staffing.queues import servers_needed_rows
from spareplan.staffing.waits import delayed_tail


def test_erlang_b_and_c_agree_with_other_packages(test_data):
    given_ = pd.read_csv(test_data / "staffing" / "erlang_c.csv")
    np.testing.assert_allclose(staffing.erlang_b(given_["a"], given_["n"]), given_["erlang_b"], rtol=1e-9)
    np.testing.assert_allclose(staffing.erlang_c(given_["a"], given_["n"]), given_["erlang_c"], rtol=1e-9)
    for time in (0.1, 0.5, 1.0, 2.0):
        tails = [staffing.wait_tail([row.a], 1.0, row.n, [time])[0, 0] for row in given_.itertuples()]
        np.testing.assert_allclose(1 - np.array(tails), given_[f"sl_t{time}"], atol=1e-9)


def test_least_servers_agree_with_a_scan_of_another_package(test_data):
    given_ = pd.read_csv(test_data / "staffing" / "min_servers.csv")
    found = [staffing.servers_needed([row.a], 1.0, [row.t_over_aht], [row.p]) for row in given_.itertuples()]
    assert found == given_["min_servers"].tolist()
    rows = servers_needed_rows(
        given_[["a"]].to_numpy(float),
        np.ones(len(given_)),
        given_[["t_over_aht"]].to_numpy(),
        given_[["p"]].to_numpy(),
    )
    assert rows.tolist() == found


def test_erlang_a_agrees_with_another_package(test_data):
    given_ = pd.read_csv(test_data / "staffing" / "erlang_a.csv")
    found = staffing.erlang_a(given_["lam"], given_["mu"], given_["theta"], given_["n"])
    np.testing.assert_allclose(found.waiting, given_["p_wait"], rtol=1e-6)
    np.testing.assert_allclose(found.abandoning, given_["p_abandon"], rtol=1e-6)
    np.testing.assert_allclose(found.queue, given_["lq"], rtol=1e-6)
    np.testing.assert_allclose(found.mean_wait, given_["w1"], rtol=1e-6)


@pytest.mark.parametrize(
    ("lam", "mu", "theta", "n"),
    [
        (300, 1, 0.2, 100),
        (50, 1, 0.001, 60),
        (20, 1, 5, 400),
        (2, 1, 40, 1),
    ],
)
def test_erlang_a_agrees_with_its_own_birth_and_death_chain(lam, mu, theta, n):
    states = np.arange(1, 6000)
    death = np.minimum(states, n) * mu + np.maximum(states - n, 0) * theta
    logs = np.concatenate([[0.0], np.cumsum(np.log(lam / death))])
    chance = np.exp(logs - logs.max())
    chance /= chance.sum()
    queue = (chance[n:] * np.arange(len(chance) - n)).sum()
    found = staffing.erlang_a(lam, mu, theta, n)
    np.testing.assert_allclose(found.waiting, chance[n:].sum(), rtol=1e-8)
    np.testing.assert_allclose(found.queue, queue, rtol=1e-7)


def test_published_call_centre_figures(test_data):
    published = json.loads((test_data / "staffing" / "published.json").read_text())["items"]
    items = {item["id"]: item for item in published}
    first = items["pyworkforce_readme"]
    limit = first["inputs"]["target_wait_min"] / first["inputs"]["aht_min"]
    answers = first["answers"]
    found = staffing.servers_needed([10.0], 1.0, [limit], [0.8], max_utilisation=0.85)
    assert found == answers["raw_positions"]
    tail = staffing.wait_tail([10.0], 1.0, 14, [0.0, limit])[0]
    said = [answers["waiting_probability"], 1 - answers["service_level"]]
    np.testing.assert_allclose(tail, said, atol=1e-9)
    row = items["r_erlangc_process_row1"]["answers"]
    tail = staffing.wait_tail([10.0], 1.0, 11, [0.0, 1 / 9])[0]
    np.testing.assert_allclose(tail, [row["wait_probability"], 1 - row["service_level"]], atol=1e-7)
    octave = items["octave_queueing_1"]["answers"]["Lq"]
    assert staffing.erlang_c(1.8, 2) * 1.8 / (2 - 1.8) == pytest.approx(octave, abs=1e-3)


def test_waits_under_priorities_agree_with_a_simulation_by_ciw(test_data):
    table = pd.read_csv(test_data / "staffing" / "priority_mgc_ciw.csv")
    table = table[(table["service_dist"] == "exp") & table["schedule"].isna()]
    scores = []
    for _, case in table.groupby("case"):
        mu = 1 / case["mean_service"].iloc[0]
        for _, row in case.iterrows():
            times = [0.0, row["t1"], row["t2"], row["t3"]]
            tail = staffing.wait_tail(case["lam"], mu, int(row["servers"]), times)[int(row["cls"])]
            for value, name in zip(tail, ["0", "t1", "t2", "t3"], strict=True):
                scores.append((value - row[f"p_gt_{name}"]) / (row[f"p_gt_{name}_hw95"] / 2.093))
    assert len(scores) == 32
    assert np.abs(scores).max() < 4.5


def by_transform(above: float, own: float, capacity: float, time: float) -> float:
    """The published transform, inverted by Abate and Whitt's Euler sum (1995, ORSA J. Computing 7)."""
    up, cap, terms, binomial = above * capacity, capacity, 60, 14

    def transform(s):
        beta = (
            2
            * cap
            / (
                s
                + up
                + cap
                + np.sqrt(s + up + cap - 2 * np.sqrt(up * cap))
                * np.sqrt(s + up + cap + 2 * np.sqrt(up * cap))
            )
        )
        return (1 - beta) / (s * (1 - own * beta))

    a = 20.0
    k = np.arange(terms + binomial + 1)
    values = transform((a + 2j * np.pi * k) / (2 * time)).real * (-1.0) ** k
    values[0] /= 2
    partial = np.cumsum(values)[terms:]
    weights = special.binom(binomial, np.arange(binomial + 1)) / 2**binomial
    return float(np.exp(a / 2) / time * (weights * partial).sum())


@pytest.mark.parametrize("time", [0.02, 0.3, 1.0, 5.0, 40.0])
@pytest.mark.parametrize(
    ("above", "own"),
    [
        (0.01, 0.3),
        (0.3, 0.31),
        (0.25, 0.5),
        (0.2499999, 0.5),
        (0.49, 0.7),
        (0.7, 0.7),
        (0.9, 0.95),
        (0.97, 0.9999),
        (0.001, 0.001),
        (0.6, 0.99),
    ],
)
def test_delayed_waits_agree_with_the_inverted_transform(above, own, time):
    assert delayed_tail(above, own, 3.0, time) == pytest.approx(by_transform(above, own, 3.0, time), abs=2e-8)


@pytest.mark.parametrize(
    ("above", "own"),
    [
        (0.999, 0.999),
        (0.999, 0.9990001),
        (0.99999, 0.99999),
        (1 - 1e-9, 1 - 1e-9),
        (1 - 1e-12, 1 - 1e-13),
        (1e-14, 0.5),
        (0.97, 0.97 * (1 + 1e-9)),
        (0.25, 0.5 * (1 + 1e-12)),
    ],
)
def test_tails_stay_tails_near_full_load_and_where_poles_meet(above, own):
    times = np.geomspace(1e-5, 1e4, 80)
    tail = delayed_tail(above, own, 1.0, times)
    assert (np.diff(tail) <= 2e-6).all()
    assert tail[0] == pytest.approx(1.0, abs=1.1e-5)
    assert ((tail >= 0) & (tail <= 1)).all()


def by_uniformisation(rates, mu, servers, times, most=900):
    """P(W_k > t) of an arriving order: Markov chain of the orders before it, no transform."""
    capacity = mu * servers
    load = sum(rates) / mu
    delay = float(staffing.erlang_c(load, servers))
    out = []
    for k in range(len(rates)):
        sigma, up = sum(rates[: k + 1]) / capacity, sum(rates[:k])
        if sigma >= 1:
            out.append(np.ones(len(times)))
            continue
        start = (1 - sigma) * sigma ** np.arange(most)
        chance = np.concatenate([[0.0], start])
        total = up + capacity
        row = np.zeros(len(times))
        steps = int(total * max(times) + 12 * np.sqrt(total * max(times)) + 60)
        for step in range(steps):
            row += stats.poisson.pmf(step, total * np.asarray(times)) * chance[1:].sum()
            moved = np.zeros_like(chance)
            moved[0] = chance[0] + chance[1] * capacity / total
            moved[1:-1] += chance[2:] * capacity / total
            moved[2:] += chance[1:-1] * up / total
            chance = moved
        out.append(delay * row)
    return np.array(out)


@pytest.mark.parametrize(
    ("rates", "mu", "servers"),
    [
        ([0.02, 0.06, 0.12, 0.2], 1 / 6, 4),
        ([1.0, 1.0, 1.0, 1.4], 0.5, 9),
        ([0.2, 0.0, 0.5], 1.0, 1),
        ([3.0, 3.0, 30.0], 1.0, 12),
    ],
)
def test_waits_agree_with_uniformisation(rates, mu, servers):
    times = [0.0, 0.1, 0.5, 2.0, 6.0]
    found = staffing.wait_tail(rates, mu, servers, times)
    stable = np.cumsum(rates) < mu * servers
    np.testing.assert_allclose(found, by_uniformisation(rates, mu, servers, times), atol=2e-7)
    assert stable.any()


def test_upper_classes_of_an_overloaded_queue_keep_their_law():
    # All servers are always busy with the lowest class: ends of service are Poisson and every order waits.
    generator = np.random.default_rng(5)
    rates, capacity = np.array([0.8, 1.0]), 3.0
    count = 400_000
    when = np.cumsum(generator.exponential(1 / rates.sum(), count))
    kind = generator.choice(2, count, p=rates / rates.sum())
    ends = np.cumsum(generator.exponential(1 / capacity, int(count * 1.9)))
    queues: list[list[float]] = [[], []]
    waits: list[list[float]] = [[], []]
    heads, arrived = [0, 0], 0
    for end in ends:
        while arrived < count and when[arrived] < end:
            queues[kind[arrived]].append(when[arrived])
            arrived += 1
        for k in (0, 1):
            if heads[k] < len(queues[k]):
                waits[k].append(end - queues[k][heads[k]])
                heads[k] += 1
                break
        if arrived == count:
            break
    times = [0.0, 0.3, 1.0, 3.0]
    found = staffing.wait_tail([0.8, 1.0, 4.0], 1.0, 3, times)
    for k in (0, 1):
        sample = (np.array(waits[k])[:, None] > np.array(times)).mean(axis=0)
        np.testing.assert_allclose(found[k], sample, atol=0.01)
    assert (found[2] == 1.0).all()
    assert (found[:, 0] == 1.0).all()


@settings(max_examples=60, deadline=None)
@given(
    rates=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=5),
    limits=st.lists(st.floats(0.0, 5.0), min_size=5, max_size=5),
    targets=st.lists(st.sampled_from([0.5, 0.8, 0.95, 0.99, float("nan")]), min_size=5, max_size=5),
    ceiling=st.sampled_from([0.7, 0.85, 1.0]),
)
def test_one_server_fewer_breaks_a_promise_or_the_ceiling(rates, limits, targets, ceiling):
    limits, targets = np.array(limits[: len(rates)]), np.array(targets[: len(rates)])
    n = staffing.servers_needed(rates, 0.7, limits, targets, ceiling)

    def kept(servers):
        load = sum(rates) / 0.7
        if servers < 1 or load >= servers or load / servers > ceiling + 1e-12:
            return False
        tails = staffing.wait_tail(rates, 0.7, servers, limits)
        shares = 1 - np.diagonal(tails)
        return bool(np.all((shares >= targets) | np.isnan(targets)))

    assert kept(n)
    assert not kept(n - 1)


@settings(max_examples=40, deadline=None)
@given(loads=st.lists(st.floats(0.01, 0.3), min_size=2, max_size=4), time=st.floats(0.0, 20.0))
def test_lower_classes_wait_longer_and_more_servers_help(loads, time):
    tail = staffing.wait_tail(loads, 1.0, 2, [0.0, time])
    assert (np.diff(tail, axis=0) >= -1e-12).all()
    assert (tail[:, 1] <= tail[:, 0] + 1e-12).all()
    assert (staffing.wait_tail(loads, 1.0, 3, [time]) <= tail[:, 1:] + 1e-12).all()


def test_rows_and_single_sizing_agree():
    generator = np.random.default_rng(3)
    rates = generator.gamma(2.0, 0.4, size=(40, 4))
    limits, targets = np.array([0.3, 1.0, 8.0, np.nan]), np.array([0.95, 0.95, 0.9, np.nan])
    mu = generator.uniform(0.2, 0.5, 40)
    rows = servers_needed_rows(rates, mu, limits, targets, 0.85)
    single = [staffing.servers_needed(rates[i], mu[i], limits, targets, 0.85) for i in range(40)]
    assert rows.tolist() == single


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: staffing.erlang_c(-1.0, 3), "load"),
        (lambda: staffing.erlang_b(1.0, 2.5), "servers"),
        (lambda: staffing.wait_tail([1.0], 1.0, 0, [1.0]), "servers"),
        (lambda: staffing.wait_tail([1.0, np.nan], 1.0, 2, [1.0]), "arrival_rates"),
        (lambda: staffing.wait_tail([1.0], 0.0, 2, [1.0]), "service_rate"),
        (lambda: staffing.servers_needed([1.0], 1.0, [1.0], [1.0]), "targets[0]"),
        (lambda: staffing.servers_needed([1.0], 1.0, [1.0, 2.0], [0.9]), "limits"),
        (lambda: staffing.servers_needed([1.0], 1.0, [-1.0], [0.9]), "limits"),
        (lambda: staffing.servers_needed([1.0], 1.0, [1.0], [0.9], max_utilisation=1.2), "max_utilisation"),
    ],
)
def test_impossible_queues_are_refused_by_name(call, named):
    with pytest.raises(DataError) as caught:
        call()
    assert named in caught.value.problems["column"].tolist()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: staffing.servers_needed([], 1.0, [], []), "arrival_rates"),
        (lambda: staffing.servers_needed(["many"], 1.0, [1.0], [0.9]), "arrival_rates"),
        (lambda: staffing.servers_needed([1e12], 1.0, [1.0], [0.9]), "arrival_rates"),
        (lambda: staffing.servers_needed([1.0], 1e-12, [1.0], [0.9]), "arrival_rates"),
        (lambda: staffing.servers_needed([1.0], [1.0, 2.0], [1.0], [0.9]), "service_rate"),
        (lambda: staffing.servers_needed([1.0], 1.0, ["soon"], [0.9]), "limits"),
        (lambda: staffing.servers_needed([1.0], 1.0, [1.0], ["most"]), "targets"),
        (lambda: staffing.servers_needed([1.0], 1.0, [1.0], [-0.1]), "targets[0]"),
        (lambda: staffing.servers_needed([[1.0, 2.0]], 1.0, [1.0], [0.9]), "arrival_rates"),
        (
            lambda: staffing.servers_needed([1.0], 1.0, [1.0], [0.9], max_utilisation=np.nan),
            "max_utilisation",
        ),
        (lambda: staffing.servers_needed([1.0], 1.0, [1.0], [0.9], max_utilisation="all"), "max_utilisation"),
        (lambda: staffing.wait_tail([1.0], 1.0, 1e9, [1.0]), "servers"),
        (lambda: staffing.wait_tail([1.0], 1.0, [2, 3], [1.0]), "servers"),
        (lambda: staffing.wait_tail([1.0], 1.0, 2, [np.inf]), "times"),
        (lambda: staffing.wait_tail([1.0], 1.0, 2, []), "times"),
        (lambda: staffing.erlang_b(1.0, 1e9), "servers"),
        (lambda: staffing.erlang_b(1.0, np.nan), "servers"),
        (lambda: staffing.erlang_c([1.0, 2.0], [1, 2, 3]), "servers"),
        (lambda: staffing.erlang_c("much", 3), "load"),
        (lambda: staffing.erlang_a(1.0, 1.0, 0.0, 2), "abandon_rate"),
        (lambda: staffing.erlang_a([1.0, 2.0], 1.0, 1.0, [2, 3, 4]), "servers"),
    ],
)
def test_slips_are_refused_by_name_at_once(call, named):
    with pytest.raises(DataError) as caught:
        call()
    assert named in caught.value.problems["column"].tolist()


def test_every_slip_of_a_call_is_told():
    with pytest.raises(DataError) as caught:
        staffing.servers_needed([-1.0, np.inf], 0.0, [1.0], [2.0], max_utilisation=3.0)
    told = caught.value.problems["column"].tolist()
    assert {"arrival_rates", "service_rate", "targets[0]", "max_utilisation", "limits"} <= set(told)
