"""Which difference is real: intervals and standard errors against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from spareplan.forecast.resampling import FEWEST, loss_ratios, ratio_noise


def trials(clusters=60, each=4, seed=0):
    rng = np.random.default_rng(seed)
    n = clusters * each
    cluster = np.repeat(np.arange(clusters), each)
    own = rng.gamma(1.0, 1.0, clusters)[cluster]
    losses = np.stack([own * rng.gamma(2, 0.4, n), own * rng.gamma(2, 0.5, n)])
    half = (cluster < clusters // 2).astype(float)
    groups = sparse.csr_array(np.stack([np.ones(n), half]))
    parts = sparse.csr_array((np.ones(n), (np.arange(n), cluster)), shape=(n, clusters))
    return losses, groups, parts, cluster


def test_intervals_are_those_of_drawing_clusters_again():
    losses, groups, parts, cluster = trials()
    low, high = loss_ratios(losses, groups, parts, base=1, resamples=4_000, seed=3)
    sums = np.stack([np.bincount(cluster, row) for row in losses])
    rng = np.random.default_rng(5)
    drawn = sums[:, rng.integers(0, sums.shape[1], (8_000, sums.shape[1]))].sum(axis=2)
    edges = np.quantile(drawn[0] / drawn[1], [0.025, 0.975])
    assert [low[0, 0], high[0, 0]] == pytest.approx(edges, abs=0.015)
    assert low[0, 1] == high[0, 1] == 1


def test_intervals_hold_the_true_ratio_about_as_often_as_they_say():
    held = 0
    for seed in range(100):
        losses, groups, parts, _ = trials(seed=seed)
        low, high = loss_ratios(losses, groups, parts, base=1, resamples=300, seed=seed)
        held += low[0, 0] <= 0.8 <= high[0, 0]
    assert 88 <= held <= 99


def test_few_clusters_tell_nothing():
    losses, groups, parts, _ = trials(clusters=FEWEST - 1)
    assert np.isnan(loss_ratios(losses, groups, parts, base=1)[0]).all()
    assert np.isnan(ratio_noise(losses[0], losses[1], groups, parts)).all()


def test_the_noise_of_a_ratio_is_what_drawing_clusters_again_gives():
    losses, groups, parts, cluster = trials(clusters=200)
    sums = np.stack([np.bincount(cluster, row) for row in losses])
    rng = np.random.default_rng(6)
    drawn = sums[:, rng.integers(0, 200, (6_000, 200))].sum(axis=2)
    noise = ratio_noise(losses[0], losses[1], groups, parts)
    assert noise[0] == pytest.approx((drawn[0] / drawn[1]).std(), rel=0.06)
    assert noise[1] > noise[0]


def test_the_same_seed_gives_the_same_intervals():
    losses, groups, parts, _ = trials()
    one, two = (loss_ratios(losses, groups, parts, base=1, resamples=120, seed=9) for _ in range(2))
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])
