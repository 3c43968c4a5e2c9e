"""Kaplan-Meier: hand computation, published numbers, another program, and a known law."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.errors import DataError
from spareplan.forecast.survival import kaplan_meier, survival_curve


def spells(entry: object, exit_: list[float], failed: list[int], part: str = "A") -> pd.DataFrame:
    return pd.DataFrame({"part_id": part, "entry": entry, "exit": exit_, "failed": failed}).astype(
        {"entry": float}
    )


def test_late_entries_count_as_at_risk_only_from_their_entry_on() -> None:
    # By hand: at age 2 three pieces are watched, at 3 three again (one entered at 2.5), at 5 one.
    curve = survival_curve(spells([0, 1, 2.5, 0], [2.0, 3, 4, 5], [1, 1, 0, 1]))
    assert curve["age"].tolist() == [2.0, 3.0, 5.0]
    assert curve["at_risk"].tolist() == [3.0, 3.0, 1.0]
    assert curve["survival"].to_numpy() == pytest.approx([2 / 3, 4 / 9, 0])


def test_published_remission_times_are_met() -> None:
    # 6-MP group of Freireich et al. (1963), as printed in Klein & Moeschberger (2003), table 4.1A.
    weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    relapsed = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    arrays = (np.zeros(21), np.array(weeks, float), np.array(relapsed, bool), np.ones(21))
    curve = kaplan_meier(*arrays)
    assert curve.age.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.survival == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=6e-4)
    assert curve.standard_error == pytest.approx(
        [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346], abs=6e-5
    )


def test_statsmodels_draws_the_same_curve_of_a_truncated_fleet() -> None:
    survfunc = pytest.importorskip("statsmodels.duration.survfunc")
    entry, end, failed = truncated_fleet(400)
    theirs = survfunc.SurvfuncRight(end, failed.astype(int), entry=entry)
    ours = kaplan_meier(entry, end, failed, np.ones(len(end)))
    died = theirs.n_events > 0
    assert ours.survival == pytest.approx(theirs.surv_prob[died])


def test_the_curve_of_many_pieces_finds_the_law_they_were_drawn_from() -> None:
    entry, end, failed = truncated_fleet(40_000)
    curve = kaplan_meier(entry, end, failed, np.ones(len(end)))
    # Where thousands are at risk; the truncated start itself is not known from these pieces.
    start = np.searchsorted(curve.age, 0.2)
    truth = np.exp(-(curve.age**1.8) + curve.age[start] ** 1.8)
    assert np.abs(curve.survival / curve.survival[start] - truth)[start:].max() < 0.012


def truncated_fleet(pieces: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    life, entry = rng.weibull(1.8, pieces), rng.uniform(0, 0.6, pieces) * (rng.random(pieces) < 0.7)
    seen = life > entry
    life, entry = life[seen], entry[seen]
    leave = entry + rng.uniform(0.1, 2.0, len(life))
    return entry, np.minimum(life, leave), life <= leave


def test_weights_count_as_that_many_pieces() -> None:
    once = survival_curve(spells(0, [2.0, 2, 3, 4, 4], [1, 1, 0, 1, 1]))
    weighed = survival_curve(spells(0, [2.0, 3, 4], [1, 0, 1]).assign(count=[2, 1, 2]))
    pd.testing.assert_frame_equal(once, weighed)


def test_every_key_has_its_own_curve_whatever_the_order_of_rows() -> None:
    both = pd.concat(
        [spells(0, [2.0, 3, 4], [1, 1, 0], "B"), spells(0, [1.0, 5], [1, 0]), spells(0, [7.0], [0], "C")]
    )
    curves = survival_curve(both)
    assert curves["part_id"].tolist() == ["A", "B", "B"]
    assert curves["survival"].to_numpy() == pytest.approx([0.5, 2 / 3, 1 / 3])
    assert (curves["low"] < curves["survival"]).all() and (curves["survival"] < curves["high"]).all()
    pd.testing.assert_frame_equal(curves, survival_curve(both.iloc[::-1]))


def test_spells_that_cannot_be_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="is not above entry"):
        survival_curve(spells(3, [2.0], [1]))
    assert survival_curve(spells(0, [2.0], [0])).empty
