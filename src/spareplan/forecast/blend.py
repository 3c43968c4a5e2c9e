"""Ages against the mean rate: how far each family's forecast follows its lives is learned by back-test.

In a mature fleet the ages are nearly stationary and the mean rate is hard to beat; where fleets age, grow or
were renewed together, it is badly wrong. Earlier origins of the same data tell which holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.maths.distributions import pmf
from spareplan.maths.units import DAYS_PER_MONTH, months_after
from spareplan.tables.supersession import newest_parts

WEIGHTS = np.linspace(0.0, 1.0, 11)
DOUBTS = np.array([0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16])
# What follows was tuned on made-up fleets only (benchmarks/simulated_fleets.py). Quarters close to today tell
# more than years further back: what a road gets wrong now, it gets wrong next quarter, too. Where records are
# short, shorter tests are far better than none.
TEST_MONTHS = 3
LEAST_RECORD_MONTHS = 2
# A beta(.7, .7) on the weight: centred at half and half, ready to go to either end.
PRIOR_WEIGHT = (0.02 + 0.96 * WEIGHTS) ** -0.3 * (0.98 - 0.96 * WEIGHTS) ** -0.3
# Weight of the evidence of all together in a family's prior, and of its own beside it. Damping them, because
# parts err together, did worse on made-up fleets, on those with shared shocks too.
TEMPER_ALL, TEMPER_FAMILY = 1.0, 1.0
# A surprise speaks against a road, but one part is not to drown all others. [probability]
LEAST_CHANCE = 1e-4
# Log likelihood that makes one road the winner. [nats]
CLEAR = 2.0
# Reports that must have come in before a quarter is tested.
REPORTED_SHARE = 0.95
WEIGHT_NOTE = "weight of ages against the mean rate"


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
    default : float
        Weight of the ages for parts that were not tested.
    verdicts : Mapping of str to str
        part_id to what the back-test of its family said, in words.
    """

    weight: Mapping[str, float]
    doubt: float
    tested: pd.DataFrame
    notes: list[dict[str, Any]]
    default: float = 1.0
    verdicts: Mapping[str, str] = {}

    def of(self, part: str) -> float:
        """Weight of the ages for one part."""
        return self.weight.get(part, self.default)

    def weights(self, parts: Iterable[str]) -> np.ndarray:
        """Weights of the ages for many parts, shape (parts,)."""
        return np.array([self.weight.get(part, self.default) for part in parts], dtype=float)

    def winner(self, part: str) -> str:
        """Which road won the back-test of one part's family: "ages won"; empty where none was made."""
        return self.verdicts[part].split(":")[0] if part in self.verdicts else ""

    def words(self, part: str) -> str:
        """Which road one part follows, and which won: "ages and mean rate, mean rate won"."""
        share = self.of(part)
        road = "ages" if share > 0.75 else "mean rate" if share < 0.25 else "ages and mean rate"
        return ", ".join(text for text in (road, self.winner(part)) if text)

    def reason(self, part: str) -> str:
        """How one part's forecast is weighed, with what the back-test of its family said."""
        weighed = f"ages weigh {self.of(part):.0%} against the mean rate"
        return f"{weighed} ({self.verdicts[part]})" if part in self.verdicts else weighed


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
        How many quarters before `as_of` are tested, one after the other; months where records are short.
    road : callable
        (origin, months, windows) to an installed-base forecast whose windows hold by_ages, by_rate, vmr,
        rate_cv2 and cv2_rate per part and site. It may only see what was known at the origin (`known_at`).

    Returns
    -------
    Blend

    Notes
    -----
    For each part and origin the negative binomial probability of what happened is taken at eleven weights
    between the mean rate (0) and the ages (1): a line of predictive distributions, stacked by their
    log score [1]_. The likelihood of all parts makes the prior of each family, whose own likelihood is added.
    A part's weight is the mean under its family's. The doubt that is added to the rate's
    variation is the most likely one of a short list. Tests end where reports are nearly complete. Records
    under three months cannot be tested: then ages weigh from one half, on machines older than the records, up
    to all, on machines seen from new.

    References
    ----------
    .. [1] Yao, Vehtari, Simpson & Gelman (2018), Using stacking to average Bayesian predictive distributions,
       Bayesian Analysis 13.
    """
    tests = []
    end = as_of - pd.Timedelta(days=_days_to_report(data, as_of)) + pd.Timedelta(days=1)
    length, number_of_tests = lengths_of_tests((end - begin).days / DAYS_PER_MONTH, origins)
    for number in range(1, number_of_tests + 1):
        origin, until = (
            end - pd.DateOffset(months=length * back) - pd.Timedelta(days=1) for back in (number, number - 1)
        )
        # One month and the window: no more edges than the test needs.
        forecast = road(origin, months_after(origin, 1), [(until - origin).days])
        if not forecast.windows.empty:
            tests.append(_one_test(forecast, _happened(data, origin, until, as_of), origin))
    if not tests:
        return _untested(data, as_of, begin, origins)
    tested = pd.concat(tests, ignore_index=True)
    families, code = np.unique(tested["family"].to_numpy(str), return_inverse=True)
    doubt = _most_likely_doubt(tested)
    likelihood = _log_likelihood(tested, WEIGHTS, np.array([doubt]))[0]
    evidence = np.stack([np.bincount(code, column, len(families)) for column in likelihood.T], axis=1)
    chance = weigh_families(evidence)
    weight = chance @ WEIGHTS
    shared = _normalised(TEMPER_ALL * evidence.sum(axis=0) + np.log(PRIOR_WEIGHT)) @ WEIGHTS
    verdict = _verdicts(tested, families, code, evidence)
    part = tested.drop_duplicates("part_id", keep="first")
    row = np.searchsorted(families, part["family"].to_numpy(str))
    return Blend(
        dict(zip(part["part_id"], weight[row].tolist())),
        doubt,
        tested,
        _notes(tested, weight, doubt, length),
        float(shared),
        dict(zip(part["part_id"], verdict[row].tolist())),
    )


def lengths_of_tests(known_months: float, origins: int) -> tuple[int, int]:
    """Length and number of the tests that records allow.

    Parameters
    ----------
    known_months : float
        Length of the records. [months]
    origins : int
        Most tests.

    Returns
    -------
    tuple of int
        Length of a test, TEST_MONTHS at most [months], and how many follow one another with
        LEAST_RECORD_MONTHS before the first; (0, 0) where not even a month can be tested.
    """
    # Months differ in length: a little less counts as whole.
    room = known_months + 0.1 - LEAST_RECORD_MONTHS
    if origins < 1 or room < 1:
        return 0, 0
    length = int(min(TEST_MONTHS, max(room // min(origins, 2), 1)))
    return length, int(min(origins, room // length))


def weigh_families(evidence: np.ndarray) -> np.ndarray:
    """Chances of each weight in each family.

    Parameters
    ----------
    evidence : ndarray, shape (families, weights)
        Log likelihood of what happened, at the weights of WEIGHTS.

    Returns
    -------
    ndarray, shape (families, weights)
        Rows that add up to 1: the likelihood of all families together is the prior of each.
    """
    shared = TEMPER_ALL * evidence.sum(axis=0) + np.log(PRIOR_WEIGHT)
    return np.stack([_normalised(shared + TEMPER_FAMILY * row) for row in evidence])


def _untested(data: Any, as_of: pd.Timestamp, begin: pd.Timestamp, origins: int) -> Blend:
    """Weights where records are too short for a test, or none is wanted."""
    if origins == 0:
        return NO_BLEND._replace(
            notes=[_note(WEIGHT_NOTE, 1.0, "set by the user", "no back-test is made: ages alone")]
        )
    born = data.units.loc[data.units["commissioned_on"] <= as_of, "commissioned_on"]
    young = float((born >= begin).mean()) if len(born) else 1.0
    weight = 0.5 + 0.5 * young
    meaning = f"records are too short for a back-test; {young:.0%} of the machines are seen from new"
    return NO_BLEND._replace(notes=[_note(WEIGHT_NOTE, round(weight, 2), "default", meaning)], default=weight)


def _days_to_report(data: Any, as_of: pd.Timestamp) -> int:
    """Days until most replacements are reported; 0 where reports carry no date of their own."""
    rows = data.replacements
    rows = rows[rows["reported_on"].notna() & (rows["reported_on"] <= as_of)]
    if not len(rows):
        return 0
    delay = (rows["reported_on"] - rows["replaced_on"]).dt.days.quantile(REPORTED_SHARE)
    return int(np.clip(np.ceil(delay), 0, 90))


def _happened(data: Any, origin: pd.Timestamp, until: pd.Timestamp, as_of: pd.Timestamp) -> pd.Series:
    """Pieces replaced after the origin on machines that were in service then, by part, as known today."""
    old = data.units.loc[data.units["commissioned_on"] <= origin, "unit_id"]
    rows = data.replacements
    rows = rows[(rows["replaced_on"] > origin) & (rows["replaced_on"] < until + pd.Timedelta(days=1))]
    rows = rows[rows["unit_id"].isin(old) & ~(rows["reported_on"] > as_of)]
    return rows.groupby(rows["part_id"].replace(newest_parts(data.parts)))["quantity"].sum()


def _one_test(forecast: Any, happened: pd.Series, origin: pd.Timestamp) -> pd.DataFrame:
    """Totals of each part: both roads, their spread, what happened."""
    windows = forecast.windows
    sums = windows.groupby("part_id", sort=True)[["by_ages", "by_rate"]].sum()
    spread = windows.groupby("part_id", sort=True)[["vmr", "rate_cv2", "cv2_rate"]].first()
    family = forecast.lifetimes.set_index("part_id")["family"]
    out = sums.join(spread).assign(origin=origin, family=family)
    out["family"] = out["family"].fillna("all parts").astype(str)
    out["actual"] = happened.reindex(out.index).fillna(0.0)
    return out.reset_index()


def _log_likelihood(tested: pd.DataFrame, weights: np.ndarray, doubts: np.ndarray) -> np.ndarray:
    """Log probability of what happened, shape (doubts, rows, weights)."""
    ages, rate, seen = (tested[name].to_numpy(float)[:, None] for name in ("by_ages", "by_rate", "actual"))
    vmr, cv2 = blended_spread(
        weights, *(tested[name].to_numpy(float)[:, None] for name in ("vmr", "rate_cv2", "cv2_rate"))
    )
    mean = np.maximum(weights * ages + (1 - weights) * rate, 1e-6)
    # Counts of pieces replaced in sets are coarse; a floor keeps every one of them possible.
    variance = np.maximum(vmr, 0.3) * mean + (cv2 + doubts[:, None, None]) * mean**2
    return np.asarray(np.log(np.maximum(pmf(np.round(seen), mean, variance), LEAST_CHANCE)))


def _most_likely_doubt(tested: pd.DataFrame) -> float:
    """Doubt under which what happened is most likely, at the best of three weights."""
    evidence = _log_likelihood(tested, WEIGHTS[[0, len(WEIGHTS) // 2, -1]], DOUBTS).sum(axis=1)
    return float(DOUBTS[evidence.max(axis=1).argmax()])


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


def _verdicts(
    tested: pd.DataFrame, families: np.ndarray, code: np.ndarray, evidence: np.ndarray
) -> np.ndarray:
    """What the back-test said of each family, shape (families,)."""
    gain = evidence[:, -1] - evidence[:, 0]
    won = np.where(gain > CLEAR, "ages won", np.where(gain < -CLEAR, "mean rate won", "a draw"))
    seen = np.bincount(code, tested["actual"].to_numpy(float), len(families))
    off = {
        name: np.bincount(code, (tested[name] - tested["actual"]).abs().to_numpy(float), len(families))
        / np.maximum(seen, 1.0)
        for name in ("by_ages", "by_rate")
    }
    return np.array(
        [
            f"{word}: in the last quarters {ages:.0%} off by ages, {rate:.0%} by the mean rate"
            for word, ages, rate in zip(won, off["by_ages"], off["by_rate"])
        ],
        dtype=object,
    )


def _notes(tested: pd.DataFrame, weights: np.ndarray, doubt: float, length: int) -> list[dict[str, Any]]:
    origins = sorted(tested["origin"].unique())
    said = ", ".join(f"{pd.Timestamp(origin):%Y-%m-%d}" for origin in origins)
    error = {
        name: (tested[name] - tested["actual"]).abs().sum() / max(tested["actual"].sum(), 1.0)
        for name in ("by_ages", "by_rate")
    }
    text = (
        f"{length} months after {said}: by ages {error['by_ages']:.0%} off per part, by the mean rate "
        f"{error['by_rate']:.0%}, {tested['by_ages'].sum():.0f} and {tested['by_rate'].sum():.0f} expected, "
        f"{tested['actual'].sum():.0f} happened"
    )
    return [
        _note(WEIGHT_NOTE, f"{weights.min():.2f} to {weights.max():.2f}", "estimated by back-test", text),
        _note(
            "doubt that past forecasts missed",
            doubt,
            "estimated by back-test",
            "squared coefficient of variation added to the rate of every part on known machines",
        ),
    ]
