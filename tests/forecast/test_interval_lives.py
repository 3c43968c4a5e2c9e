"""Lives known between inspections."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.interval_lives import fit_interval_lifetimes
from spareplan.forecast.lifetimes import fit_lifetimes


@pytest.fixture(scope="module")
def oracle(test_data):
    return json.loads((test_data / "bench" / "reliability_checks.json").read_text())


@pytest.fixture(scope="module")
def berkson(test_data):
    return pd.read_csv(test_data / "bench" / "reliability" / "berkson200.csv")


def test_berkson_exponential_agrees_with_print_and_software(berkson, oracle):
    row = fit_interval_lifetimes(berkson, distribution="exponential").iloc[0]
    stored = oracle["computed_exponential"]["berkson200_interval"]
    assert [row["scale"], row["scale_se"]] == pytest.approx([stored["theta"], stored["se"]], rel=1e-5)
    printed = oracle["published"][1]["exponential_interval"]
    assert round(row["scale"], 1) == printed["theta"]
    assert round(row["scale_se"], 2) == printed["se"]
    assert round(row["scale"], 2) == printed["weibullpp_theta"]
    assert round(row["scale_se"] ** 2, 2) == printed["weibullpp_var"]
    width = 1.959964 * row["scale_se"] / row["scale"]
    assert [round(row["scale"] * np.exp(sign * width)) for sign in (-1, 1)] == printed["ci95_lognormal"]


def test_berkson_lognormal_agrees_with_stored_output(berkson, oracle):
    want = next(row for row in oracle["third_party_stored"] if row["id"] == "berkson200_lognormal")[
        "lognormal_interval"
    ]
    row = fit_interval_lifetimes(berkson, distribution="lognormal").iloc[0]
    assert [row["mu"], row["sigma"]] == pytest.approx([want["mu"], want["sigma"]], rel=1e-5)
    assert [row["mu_se"] ** 2, row["sigma_se"] ** 2] == pytest.approx(
        [want["vcov"][0], want["vcov"][2]], rel=1e-5
    )


def test_narrow_intervals_give_the_exact_ages_fit():
    rng = np.random.default_rng(1)
    life = 40 * rng.weibull(2, 300)
    exact = fit_lifetimes(
        pd.DataFrame({"part_id": "A", "entry": 0.0, "exit": np.minimum(life, 50), "failed": life < 50})
    ).iloc[0]
    rows = pd.DataFrame(
        {
            "model": "A",
            "lower": np.where(life < 50, life - 1e-4, 50.0),
            "upper": np.where(life < 50, life + 1e-4, np.inf),
        }
    )
    wide = fit_interval_lifetimes(rows, by="model").iloc[0]
    for name in ("shape", "scale", "shape_se", "scale_se"):
        assert wide[name] == pytest.approx(exact[name], rel=1e-4)
    points = rows.assign(lower=np.where(life < 50, life, 50.0), upper=np.where(life < 50, life, np.nan))
    assert fit_interval_lifetimes(points).iloc[0]["loglik"] == pytest.approx(exact["loglik"], rel=1e-9)


def test_no_failure_gives_none_and_bad_rows_are_named():
    alive = fit_interval_lifetimes(pd.DataFrame({"lower": [5.0], "upper": [np.inf], "count": [3]})).iloc[0]
    assert alive["method"] == "none"
    assert alive["n_censored"] == 3
    with pytest.raises(DataError, match=r"counts\[row 3\]\.upper"):
        fit_interval_lifetimes(pd.DataFrame({"lower": [1.0, 5.0], "upper": [2.0, 4.0]}))
    with pytest.raises(DataError, match=r"counts\.upper: is missing"):
        fit_interval_lifetimes(pd.DataFrame({"lower": [1.0]}))


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"lower": -1.0}, "lower"),
        ({"lower": np.nan}, "lower"),
        ({"lower": "young"}, "lower"),
        ({"lower": 0.0, "upper": 0.0}, "upper"),
        ({"count": -1.0}, "count"),
        ({"count": np.nan}, "count"),
        ({"event": "lefft"}, "event"),
        ({"model": None}, "model"),
        ({"cuont": 3}, "cuont"),
    ],
)
def test_bad_counts_are_refused_by_column(change, column):
    counts = pd.DataFrame({"model": ["A"], "lower": [1.0], "upper": [2.0]}).assign(**change)
    with pytest.raises(DataError) as caught:
        fit_interval_lifetimes(counts, by="model")
    assert set(caught.value.problems["column"]) == {column}


def test_the_event_overrules_the_ages_whatever_its_capitals():
    counts = pd.DataFrame(
        {"lower": [3.0, 3.0, 6.0, 6.0], "upper": [3.0, 6.0, 9.0, 6.0], "count": [4, 6, 7, 9]}
    )
    plain = counts.assign(lower=[0.0, 3, 6, 6], upper=[3.0, 6, 9, np.inf])
    for events in (["left", "interval", None, "right"], ["Left", "Interval", "", "Censored"]):
        named = fit_interval_lifetimes(counts.assign(event=events))
        pd.testing.assert_frame_equal(named, fit_interval_lifetimes(plain))


def test_keys_without_weight_stay_and_no_rows_give_no_fits():
    counts = pd.DataFrame(
        {"model": ["A"] * 3 + ["B"], "lower": [0.0, 2, 5, 1], "upper": [2.0, 5, 9, 2], "count": [5, 3, 2, 0]}
    )
    fits = fit_interval_lifetimes(counts, by="model").set_index("model")
    assert fits["method"].to_dict() == {"A": "mle", "B": "none"}
    nothing = fit_interval_lifetimes(counts.iloc[:0], by="model")
    assert nothing.empty
    assert {"model", "shape", "scale", "method"} <= set(nothing)


def test_intervals_that_bound_no_life_from_below_have_no_maximum():
    wide = pd.DataFrame({"lower": [0.0, 0.0], "upper": [5.0, 9.0]})
    for law in ("weibull", "lognormal", "exponential"):
        assert fit_interval_lifetimes(wide, distribution=law).iloc[0]["method"] == "none"
