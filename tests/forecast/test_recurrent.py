"""Recurrent failures: power law and mean cumulative function."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.recurrent import fit_recurrent

SETS = {
    "valveseat": ("engine", "days", "replacement"),
    "grids1": ("unit", "days", "Replacement"),
    "halfbeak": ("unit", "hours", "report"),
}


@pytest.mark.parametrize("name", list(SETS))
def test_field_data_give_the_stored_power_law_and_mean_cumulative_function(test_data, name):
    stored = json.loads((test_data / "bench" / "reliability_checks.json").read_text())["computed_recurrent"][
        name
    ]
    unit, age, happened = SETS[name]
    frame = pd.read_csv(test_data / "bench" / "reliability" / f"{name}.csv")
    windows = frame[frame["event"].str.lower() == "end"].rename(columns={age: "end"})[[unit, "end"]]
    fit = fit_recurrent(frame[frame["event"] == happened], windows, unit=unit, age=age)
    law = fit.power_law.iloc[0]
    assert [law["shape"], law["scale"], law["loglik"]] == pytest.approx(
        [stored["beta"], stored["eta"], stored["loglik"]], rel=1e-5
    )
    assert [law["n_events"], law["n_units"]] == [stored["n_events"], stored["n_units"]]
    assert law["total_time"] == pytest.approx(stored["total_time"], rel=1e-9)
    curve = fit.mean_cumulative
    assert [curve["age"].iloc[-1], curve["mean_cumulative"].iloc[-1]] == pytest.approx(
        stored["mcf_end"], rel=1e-9
    )
    for at, value in stored["mcf_at"].items():
        reached = curve.loc[curve["age"] <= float(at), "mean_cumulative"].iloc[-1]
        assert reached == pytest.approx(value, rel=1e-9)


def test_keys_are_fitted_apart_and_items_without_events_count():
    rng = np.random.default_rng(0)
    windows = pd.DataFrame({"model": np.repeat(["A", "B"], 200), "unit_id": np.arange(400), "end": 100.0})
    events = windows.loc[
        windows.index.repeat(rng.poisson(np.where(windows["model"] == "A", 0.5, 2.0)))
    ].copy()
    events["age"] = 100 * rng.uniform(size=len(events)) ** (1 / 1.6)
    fit = fit_recurrent(events[["model", "unit_id", "age"]], windows, by="model")
    assert fit.power_law["model"].tolist() == ["A", "B"]
    assert fit.power_law["shape"].to_numpy() == pytest.approx(1.6, abs=0.25)
    last = fit.mean_cumulative.groupby("model").last()
    assert last["mean_cumulative"].to_numpy() == pytest.approx(
        events.groupby("model").size().to_numpy() / 200
    )
    # Poisson events: the robust error is near sqrt(mean / items).
    assert last["standard_error"].to_numpy() == pytest.approx(
        np.sqrt(last["mean_cumulative"].to_numpy() / 200), rel=0.15
    )


def test_events_outside_their_window_and_unknown_items_are_named():
    windows = pd.DataFrame({"unit_id": ["a"], "end": [10.0]})
    events = pd.DataFrame({"unit_id": ["a", "b"], "age": [12.0, 3.0]})
    with pytest.raises(DataError) as caught:
        fit_recurrent(events, windows)
    assert caught.value.problems[["row", "column"]].to_numpy().tolist() == [[2, "age"], [3, "unit_id"]]
