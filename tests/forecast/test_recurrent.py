"""Recurrent failures: power law and mean cumulative function."""

from __future__ import annotations

import json
import time
from math import gamma

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.clock_choice import choose_by_evidence
from spareplan.forecast.recurrent import expected_repairs, fit_recurrent, recurrence_evidence

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


def made_up(keys, items, seed=0):
    """Whole ages, so that failures, starts and ends of different items coincide."""
    rng = np.random.default_rng(seed)
    rows = keys * items
    windows = pd.DataFrame(
        {"model": np.repeat(np.arange(keys), items), "unit_id": np.tile(np.arange(items), keys)}
    )
    windows["start"] = np.where(rng.random(rows) < 0.4, rng.integers(1, 30, rows), 0).astype(float)
    windows["end"] = windows["start"] + rng.integers(5, 90, rows)
    events = windows.loc[windows.index.repeat(rng.poisson(1.2, rows))]
    share = rng.uniform(0.001, 1, len(events))
    events = events.assign(age=np.ceil(events["start"] + (events["end"] - events["start"]) * share))
    return events[["model", "unit_id", "age"]], windows


def simulate_assemblies(keys, items, shape, per_item, renewed, seed, most=80):
    """Items of every key, new at age 0 and watched to age 1, with about per_item failures each."""
    rng = np.random.default_rng(seed)
    draws = rng.exponential(size=(keys * items, most))
    if renewed:
        scale = 1 / per_item / gamma(1 + 1 / shape) if per_item > 1 else per_item ** (-1 / shape)
        when = np.cumsum(scale * draws ** (1 / shape), axis=1)
    else:
        when = (np.cumsum(draws, axis=1) / per_item) ** (1 / shape)
    number = np.arange(keys * items)
    windows = pd.DataFrame({"part_id": number // items, "unit_id": number, "end": 1.0})
    row, column = np.nonzero(when < 1)
    return pd.DataFrame({"part_id": row // items, "unit_id": row, "age": when[row, column]}), windows


def share_right(renewed, **settings):
    found = recurrence_evidence(*simulate_assemblies(renewed=renewed, **settings))
    return np.mean(found["gain_nats"] > 0 if renewed else found["gain_nats"] < 0)


def test_the_fast_mean_cumulative_function_is_the_plain_one_with_its_robust_error():
    events, windows = made_up(6, 12)
    fit = fit_recurrent(
        events.sample(frac=1, random_state=1), windows.sample(frac=1, random_state=2), by="model"
    )
    for model, curve in fit.mean_cumulative.groupby("model"):
        items, own = windows[windows["model"] == model], events[events["model"] == model]
        residual = np.zeros(len(items))
        mean = 0.0
        for row in curve.itertuples():
            at_risk = ((items["start"] < row.age) & (items["end"] >= row.age)).to_numpy()
            failures = own[own["age"] == row.age].groupby("unit_id").size()
            counts = items["unit_id"].map(failures).fillna(0).to_numpy()
            mean += counts.sum() / at_risk.sum()
            residual += (counts - counts.sum() / at_risk.sum() * at_risk) / at_risk.sum()
            assert [row.at_risk, row.events] == [at_risk.sum(), counts.sum()]
            assert row.mean_cumulative == pytest.approx(mean)
            assert row.standard_error == pytest.approx(np.sqrt((residual**2).sum()), abs=1e-9)
        alone = fit_recurrent(own, items)
        pd.testing.assert_series_equal(
            alone.power_law.iloc[0],
            fit.power_law.set_index("model").loc[model],
            check_names=False,
        )


def test_cost_is_linear_in_the_keys():
    seconds = []
    for keys in (300, 3000):
        events, windows = made_up(keys, 10)
        began = time.process_time()
        assert len(fit_recurrent(events, windows, by="model").power_law) == keys
        seconds.append(time.process_time() - began)
    assert seconds[1] < 20 * seconds[0] + 0.2


@pytest.mark.parametrize("name", ["g1_kaminskiy_krivtsov", "mettas_and_zhao"])
def test_power_law_of_repairable_systems_is_that_of_a_plain_optimiser(test_data, name):
    from scipy.optimize import minimize

    frame = pd.read_csv(test_data / "bench" / "reliability" / f"surpyval_{name}.csv")
    if "i" not in frame:
        frame = pd.concat([frame.assign(i=1, c=0), pd.DataFrame({"x": [227], "i": 1, "c": 1})])
    events = frame[frame["c"] == 0].rename(columns={"x": "age", "i": "unit_id"})
    windows = frame[frame["c"] == 1].rename(columns={"x": "end", "i": "unit_id"})
    age, end = events["age"].to_numpy(float), windows["end"].to_numpy(float)

    def cost(at):
        shape, log_scale = np.exp(at[0]), at[1]
        intensity = np.log(shape) - log_scale + (shape - 1) * (np.log(age) - log_scale)
        return np.exp(shape * (np.log(end) - log_scale)).sum() - intensity.sum()

    best = minimize(
        cost, [0.0, np.log(end.mean())], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9}
    )
    law = fit_recurrent(events, windows).power_law.iloc[0]
    assert [law["shape"], law["scale"], law["loglik"]] == pytest.approx(
        [*np.exp(best.x), -best.fun], rel=1e-5
    )
    if name == "g1_kaminskiy_krivtsov":
        # Watched up to its last failure: n / sum ln(T / t) (Crow 1974).
        assert law["shape"] == pytest.approx(len(age) / np.log(227 / age).sum())


def test_halfbeak_is_repaired_and_not_renewed(test_data):
    frame = pd.read_csv(test_data / "bench" / "reliability" / "halfbeak.csv").assign(part_id="diesel")
    windows = frame[frame["event"] == "End"].rename(columns={"hours": "end"})
    found = recurrence_evidence(frame[frame["event"] == "report"], windows, unit="unit", age="hours")
    assert found["repeats"].iloc[0] == 70
    assert found["gain_nats"].iloc[0] < -8


def test_valve_seats_of_unknown_position_are_not_sure_to_be_either(test_data):
    frame = pd.read_csv(test_data / "bench" / "reliability" / "valveseat.csv").assign(part_id="seat")
    windows = frame[frame["event"] == "end"].rename(columns={"days": "end"})
    found = recurrence_evidence(frame[frame["event"] == "replacement"], windows, unit="engine", age="days")
    chosen = choose_by_evidence(found["renewed"], found["repaired"], ["seats"])
    assert chosen["chosen"].tolist() == ["first"] and not chosen["sure"].any()
    # Two seats changed on one day count once.
    assert found["failures"].iloc[0] == 46


@pytest.mark.parametrize(
    ("shape", "per_item", "items", "renewed", "repaired"),
    [
        (1.3, 5.0, 10, 0.84, 0.78),
        (2.0, 2.0, 10, 0.94, 0.90),
        (2.0, 5.0, 5, 0.97, 0.92),
        (3.0, 2.0, 10, 0.98, 0.96),
        (3.0, 0.5, 100, 0.97, 0.97),
    ],
)
def test_renewed_and_repaired_assemblies_are_told_apart(shape, per_item, items, renewed, repaired):
    settings = {"keys": 150, "items": items, "shape": shape, "per_item": per_item, "seed": 3}
    assert share_right(True, **settings) >= renewed
    assert share_right(False, **settings) >= repaired


def test_families_of_sparse_assemblies_decide_together():
    repaired = recurrence_evidence(*simulate_assemblies(40, 4, 2.5, 2.0, False, 1))
    renewed = recurrence_evidence(*simulate_assemblies(40, 4, 2.5, 2.0, True, 2))
    both = pd.concat([repaired, renewed])
    chosen = choose_by_evidence(
        both["renewed"], both["repaired"], np.repeat(["pump", "seal"], 40), names=("renewal", "repair")
    )
    assert chosen["chosen"].tolist() == ["second", "first"] and chosen["sure"].all()


def test_constant_hazard_and_first_failures_tell_nothing():
    events, windows = simulate_assemblies(300, 10, 1.0, 2.0, True, 4)
    gain = recurrence_evidence(events, windows)["gain_nats"]
    assert abs(gain.mean()) < 0.25 and (gain.abs() > 3).mean() < 0.05
    first = events[~events["unit_id"].duplicated()]
    stopped = windows.merge(first[["unit_id", "age"]], on="unit_id", how="left")
    stopped["end"] = stopped["age"].fillna(1.0)
    once = recurrence_evidence(first, stopped[["part_id", "unit_id", "end"]])
    assert (once["repeats"] == 0).all()
    assert once["gain_nats"].to_numpy() == pytest.approx(np.zeros(300), abs=1e-9)


def test_items_watched_from_a_later_age_still_tell_the_kinds_apart():
    for renewed in (True, False):
        events, windows = simulate_assemblies(60, 20, 2.5, 6.0, renewed, 5)
        windows["start"] = 0.4
        found = recurrence_evidence(events[events["age"] > 0.4], windows)
        right = found["gain_nats"] > 0 if renewed else found["gain_nats"] < 0
        assert right.mean() > 0.95


def test_keys_without_failures_are_kept_with_no_evidence():
    windows = pd.DataFrame({"part_id": ["a", "b"], "unit_id": [1, 1], "end": [5.0, 9.0]})
    events = pd.DataFrame({"part_id": ["b"], "unit_id": [1], "age": [4.0]})
    found = recurrence_evidence(events, windows)
    assert found["part_id"].tolist() == ["a", "b"] and found["failures"].tolist() == [0, 1]
    assert found["gain_nats"].iloc[0] == 0
    none = fit_recurrent(events.iloc[:0], windows, by="part_id")
    assert none.power_law["method"].tolist() == ["none", "none"] and none.mean_cumulative.empty


def test_expected_repairs_follow_the_power_law():
    out = expected_repairs(2.0, [10.0, 20.0], [0.0, 5.0], 5, 2)
    assert out.shape == (2, 3)
    assert out[0] == pytest.approx([0.04, 0.12, 0.09])
    assert out.sum(axis=1) == pytest.approx([0.25, (100 - 25) / 400])
    events, _ = simulate_assemblies(1, 4000, 1.7, 3.0, False, 0)
    counts = np.histogram(events["age"], np.linspace(0, 1, 5))[0] / 4000
    law = expected_repairs(1.7, 3.0 ** (-1 / 1.7), 0.0, 1.0, 0.25)[0]
    assert counts == pytest.approx(law, abs=4 * np.sqrt(law.max() / 4000))


def test_faulty_tables_are_refused_by_name():
    windows = pd.DataFrame({"part_id": ["a", "a", "b"], "unit_id": [1, 1, 2], "end": [5.0, 6.0, 7.0]})
    with pytest.raises(DataError, match="stands already in row 2"):
        recurrence_evidence(windows.assign(age=1.0), windows)
    fine = windows.iloc[1:]
    with pytest.raises(DataError, match="is not above start") as caught:
        fit_recurrent(fine.assign(age=1.0), fine.assign(end=[6.0, np.nan]), by="part_id")
    assert caught.value.problems["row"].tolist() == [3, 3]
    with pytest.raises(DataError, match="required column"):
        fit_recurrent(fine.assign(age=1.0), fine.drop(columns="end"))
    with pytest.raises(DataError, match="has no row"):
        fit_recurrent(fine.assign(age=1.0).iloc[:0], fine.iloc[:0])
    with pytest.raises(DataError) as caught:
        fit_recurrent(fine.assign(age=["soon", "1"]), fine, by="part_id")
    assert caught.value.problems[["row", "column", "value"]].to_numpy().tolist() == [[2, "age", "soon"]]
    with pytest.raises(DataError, match="scale"):
        expected_repairs(1.0, 0.0, 1.0, 5.0, 1.0)
