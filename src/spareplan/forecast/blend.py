"""Ages against the mean rate: how far each family's forecast follows its lives is learned by back-test.

In a mature fleet the ages are nearly stationary and the mean rate is hard to beat; where fleets age, grow or
were renewed together, it is badly wrong. Earlier origins of the same data tell which holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.forecast.exposure import successors
from spareplan.maths.distributions import pmf
from spareplan.maths.units import DAYS_PER_MONTH, months_after

WEIGHTS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
DOUBTS = np.array([0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08])
# Least months of records, and the months that are then tested: a year shows most of what ages do.
TEST_MONTHS = ((30, 12), (15, 6), (7, 3))
LEAST_RECORD_MONTHS = 3
# Parts of a family err together, so their likelihoods count for less than their sum.
TEMPER = 0.3
# Both roads get the benefit of the doubt where nothing was seen; ages have the better reasons.
PRIOR_WEIGHT = np.array([0.04, 0.06, 0.1, 0.2, 0.6])


class Blend(NamedTuple):
    """How much each part's forecast follows the ages of its pieces.

    Parameters
    ----------
    weight : Mapping of str to float
        part_id to the weight of the ages; the rest is the mean rate.
    doubt : float
        Squared coefficient of variation that past forecasts missed beyond their own.
    tested : DataFrame
        origin, part_id, family, by_ages, by_rate, actual: the back-test.
    notes : list of dict
        Assumption rows.
    """

    weight: Mapping[str, float]
    doubt: float
    tested: pd.DataFrame
    notes: list[dict[str, Any]]

    def of(self, part: str) -> float:
        """Weight of the ages for one part."""
        return self.weight.get(part, 1.0)


NO_BLEND = Blend({}, 0.0, pd.DataFrame(), [])
Road = Callable[[pd.Timestamp, pd.DatetimeIndex, list[int]], Any]


def learn_blend(data: Any, as_of: pd.Timestamp, begin: pd.Timestamp, origins: int, road: Road) -> Blend:
    """Back-test both roads at earlier origins and weigh them per family.

    Parameters
    ----------
    data : Dataset
    as_of : Timestamp
        Last day that was known.
    begin : Timestamp
        Day from which failures are known.
    origins : int
        How many stretches before `as_of` are tested: of twelve months, of six or three where records are
        short.
    road : callable
        (origin, months, windows) to an installed-base forecast whose windows hold by_ages, by_rate, vmr,
        rate_cv2 and cv2_rate per part and site.

    Returns
    -------
    Blend

    Notes
    -----
    For each part and origin the negative binomial probability of what happened is taken at five weights; a
    family's weight is the mean under its likelihood, with all families together (as one family of average
    size) as prior. The doubt that is added to the rate's variation is the most likely one of a short list.
    """
    tests = []
    tomorrow = as_of + pd.Timedelta(days=1)
    known = (tomorrow - begin).days / DAYS_PER_MONTH
    length = next((test for least, test in TEST_MONTHS if known >= least), 0)
    for number in range(1, origins + 1 if length else 1):
        if known - length * number < LEAST_RECORD_MONTHS:
            break
        origin = tomorrow - pd.DateOffset(months=length * number) - pd.Timedelta(days=1)
        horizon = months_after(origin, length)
        until = min(as_of, horizon[-1] + pd.offsets.MonthEnd(0))
        days = int((until - origin).days)
        # One month and the window: no more edges than the test needs.
        forecast = road(origin, horizon[:1], [days])
        if not forecast.windows.empty:
            tests.append(_one_test(forecast, _happened(data, origin, until), origin))
    if not tests:
        note = _note(
            "weight of ages against the mean rate", 1.0, "default", "records are too short for a back-test"
        )
        return NO_BLEND._replace(notes=[note])
    tested = pd.concat(tests, ignore_index=True)
    likelihood = _log_likelihood(tested)
    families, code = np.unique(tested["family"].to_numpy(str), return_inverse=True)
    by_family = np.zeros((len(DOUBTS), len(families), len(WEIGHTS)))
    for doubt in range(len(DOUBTS)):
        for weight in range(len(WEIGHTS)):
            by_family[doubt, :, weight] = np.bincount(code, likelihood[doubt, :, weight], len(families))
    best = int(by_family.max(axis=2).sum(axis=1).argmax())
    evidence = by_family[best]
    shared = _normalised(TEMPER * evidence.sum(axis=0) / len(families) + np.log(PRIOR_WEIGHT))
    chance = np.stack([_normalised(TEMPER * row + np.log(shared + 1e-12)) for row in evidence])
    weight = chance @ WEIGHTS
    part = tested.drop_duplicates("part_id")
    named = dict(zip(families, weight))
    by_part = {p: float(named[f]) for p, f in zip(part["part_id"], part["family"])}
    return Blend(by_part, float(DOUBTS[best]), tested, _notes(tested, named, float(DOUBTS[best]), length))


def _happened(data: Any, origin: pd.Timestamp, until: pd.Timestamp) -> pd.Series:
    """Pieces replaced after the origin on machines that were in service then, by part."""
    old = data.units.loc[data.units["commissioned_on"] <= origin, "unit_id"]
    rows = data.replacements
    rows = rows[(rows["replaced_on"] > origin) & (rows["replaced_on"] <= until) & rows["unit_id"].isin(old)]
    return rows.groupby(rows["part_id"].replace(successors(data.parts)))["quantity"].sum()


def _one_test(forecast: Any, happened: pd.Series, origin: pd.Timestamp) -> pd.DataFrame:
    """Totals of each part: both roads, their spread, what happened."""
    windows = forecast.windows
    sums = windows.groupby("part_id", sort=True)[["by_ages", "by_rate"]].sum()
    spread = windows.groupby("part_id", sort=True)[["vmr", "rate_cv2", "cv2_rate"]].first()
    family = forecast.lifetimes.set_index("part_id")["family"]
    out = sums.join(spread).assign(origin=origin, family=family)
    out["actual"] = happened.reindex(out.index).fillna(0.0)
    return out.reset_index()


def _log_likelihood(tested: pd.DataFrame) -> np.ndarray:
    """Log probability of what happened, shape (doubts, rows, weights)."""
    ages, rate, seen = (tested[name].to_numpy(float)[:, None] for name in ("by_ages", "by_rate", "actual"))
    vmr, cv2 = blended_spread(
        WEIGHTS, *(tested[name].to_numpy(float)[:, None] for name in ("vmr", "rate_cv2", "cv2_rate"))
    )
    mean = np.maximum(WEIGHTS * ages + (1 - WEIGHTS) * rate, 1e-6)
    # Counts of pieces replaced in sets are coarse; a floor keeps every one of them possible.
    variance = np.maximum(vmr, 0.3) * mean + (cv2 + DOUBTS[:, None, None]) * mean**2
    return np.asarray(np.log(np.maximum(pmf(np.round(seen), mean, variance), 1e-12)))


def blended_spread(weight: Any, vmr: Any, cv2: Any, cv2_rate: Any) -> tuple[np.ndarray, np.ndarray]:
    """Spread of a blend; both roads rest on the same failures, so their errors move together.

    Parameters
    ----------
    weight : array-like
        Weight of the ages.
    vmr, cv2 : array-like
        Of the road by ages.
    cv2_rate : array-like
        Of the mean rate, whose counts are Poisson.

    Returns
    -------
    tuple of ndarray
        vmr and rate_cv2, broadcast.
    """
    weight = np.asarray(weight, dtype=float)
    spread = weight * np.sqrt(cv2) + (1 - weight) * np.sqrt(cv2_rate)
    return np.asarray(weight * vmr + (1 - weight) * np.maximum(vmr, 1.0)), np.asarray(spread**2)


def _normalised(log_weight: np.ndarray) -> np.ndarray:
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def _note(name: str, value: Any, origin: str, meaning: str) -> dict[str, Any]:
    return {"stage": "forecast", "name": name, "value": value, "origin": origin, "meaning": meaning}


def _notes(
    tested: pd.DataFrame, named: Mapping[str, float], doubt: float, length: int
) -> list[dict[str, Any]]:
    origins = sorted(tested["origin"].unique())
    said = ", ".join(f"{pd.Timestamp(origin):%Y-%m-%d}" for origin in origins)
    error = {
        name: (tested[name] - tested["actual"]).abs().sum() / max(tested["actual"].sum(), 1.0)
        for name in ("by_ages", "by_rate")
    }
    weights = np.array(list(named.values()))
    text = (
        f"{length} months after {said}: by ages {error['by_ages']:.0%} off per part, by the mean rate "
        f"{error['by_rate']:.0%}, {tested['by_ages'].sum():.0f} and {tested['by_rate'].sum():.0f} expected, "
        f"{tested['actual'].sum():.0f} happened"
    )
    return [
        _note(
            "weight of ages against the mean rate",
            f"{weights.min():.2f} to {weights.max():.2f}",
            "estimated by back-test",
            text,
        ),
        _note(
            "doubt that past forecasts missed",
            doubt,
            "estimated by back-test",
            "squared coefficient of variation added to the rate of every part on known machines",
        ),
    ]
