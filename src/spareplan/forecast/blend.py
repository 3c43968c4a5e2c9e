"""Ages, mean rate or own record: how far a forecast follows each is learned by back-test.

In a mature fleet the ages are nearly stationary and the mean rate is hard to beat; where fleets age, grow or
were renewed together, it is badly wrong; where the work of the machines changed, only late records know.
Earlier origins of the same data tell which holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.forecast.blend_words import WEIGHT_NOTE, back_test_notes, family_verdicts, site_notes
from spareplan.forecast.notes import note
from spareplan.forecast.past_quarters import batch_size, days_to_report, happened, mixed, site_test
from spareplan.forecast.site_factors import SITES_ALIKE, SiteFactors, learn_site_factors
from spareplan.maths.distributions import pmf
from spareplan.maths.units import DAYS_PER_MONTH, months_after

ROADS = ("by_ages", "by_rate", "by_history")
# Every way to share tenths among ages, mean rate and own record.
NODES = (
    np.array([(ages, 10 - ages - record, record) for record in range(11) for ages in range(11 - record)]) / 10
)
DOUBTS = np.array([0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16])
# What follows was tuned on made-up fleets only (benchmarks/simulated_fleets.py). Quarters close to today tell
# more than years further back: what a road gets wrong now, it gets wrong next quarter, too. Where records are
# short, shorter tests are far better than none.
TEST_MONTHS = 3
LEAST_RECORD_MONTHS = 2
# Of the prior, a beta(.7, .7): centred, ready to go to either end.
PRIOR_POWER = -0.3
# Weight of the evidence of all together in a family's prior, and of its own beside it. Damping them, because
# parts err together, did worse on made-up fleets, on those with shared shocks too.
TEMPER_ALL, TEMPER_FAMILY = 1.0, 1.0
# A surprise speaks against a road, but one part is not to drown all others. [probability]
LEAST_CHANCE = 1e-4
# Failures seen before the test that part the classes of evidence.
CLASSES = (0, 1, 3, 6, 20)
# A road is told alone above the one share, and beside others from the other.
LEADS, TOLD = 0.75, 0.15


class Blend(NamedTuple):
    """How much each part's forecast follows the ages of its pieces, and its own record.

    Parameters
    ----------
    weight : Mapping of str to float
        part_id to the weight of the ages; what ages and own record leave is the mean rate's.
    doubt : float
        Squared coefficient of variation that past forecasts missed beyond their own.
    tested : DataFrame
        origin, part_id, family, n_failed, by_ages, by_rate, by_history, actual: the back-test.
    notes : list of dict
        Assumption rows.
    default, default_record : float
        Weights of the ages and the own record for parts that were not tested.
    verdicts : Mapping of str to str
        part_id to what the back-test of its family said, in words.
    record : Mapping of str to float
        part_id to the weight of what was taken of it so far.
    sites : SiteFactors
        What sites take over what their machines let expect.
    """

    weight: Mapping[str, float]
    doubt: float
    tested: pd.DataFrame
    notes: list[dict[str, Any]]
    default: float = 1.0
    verdicts: Mapping[str, str] = {}
    record: Mapping[str, float] = {}
    default_record: float = 0.0
    sites: SiteFactors = SITES_ALIKE

    @property
    def reads_record(self) -> bool:
        """Whether the own record of any part weighs."""
        return max([self.default_record, *self.record.values()]) > 0

    def of(self, part: str) -> float:
        """Weight of the ages for one part."""
        return self.weight.get(part, self.default)

    def three(self, part: str) -> tuple[float, float, float]:
        """Weights of ages, mean rate and own record for one part."""
        ages, record = self.of(part), self.record.get(part, self.default_record)
        return ages, max(1.0 - ages - record, 0.0), record

    def two(self, part: str) -> tuple[float, float, float]:
        """Weights where one part has no record to go by."""
        ages, rate, _ = self.three(part)
        return (ages / (ages + rate), rate / (ages + rate), 0.0) if ages + rate > 0 else (0.0, 1.0, 0.0)

    def table(self, parts: Iterable[str]) -> pd.DataFrame:
        """Weights of many parts: part_id, ages, mean_rate, own_record."""
        names = list(parts)
        rows = np.array([self.three(part) for part in names], dtype=float).reshape(-1, 3)
        out = pd.DataFrame(rows, columns=["ages", "mean_rate", "own_record"])
        out.insert(0, "part_id", names)
        return out

    def winner(self, part: str) -> str:
        """Which road won the back-test of one part's family: "ages won"; empty where none was made."""
        return self.verdicts[part].split(":")[0] if part in self.verdicts else ""

    def words(self, part: str, ages: str = "ages") -> str:
        """Which roads one part follows, and which won: "ages and mean rate, mean rate won"."""
        names = (ages, "mean rate", "own record")
        shares = self.three(part)
        led = [name for name, share in zip(names, shares) if share > LEADS]
        some = [name for name, share in zip(("ages", *names[1:]), shares) if share >= TOLD]
        road = led[0] if led else " and ".join(some) if len(some) < 3 else "ages, mean rate and own record"
        won = self.winner(part)
        return f"{road} ({won})" if won else road

    def reason(self, part: str) -> str:
        """How one part's forecast is weighed, with what the back-test of its family said."""
        ages, rate, record = self.three(part)
        weighed = f"ages weigh {ages:.0%} against the mean rate"
        if record > 0:
            weighed = f"ages weigh {ages:.0%}, the mean rate {rate:.0%}, the own record {record:.0%}"
        return f"{weighed} ({self.verdicts[part]})" if part in self.verdicts else weighed


NO_BLEND = Blend({}, 0.0, pd.DataFrame(), [])
Road = Callable[[pd.Timestamp, pd.DatetimeIndex, list[int]], Any]


def learn_blend(data: Any, as_of: pd.Timestamp, begin: pd.Timestamp, origins: int, road: Road) -> Blend:
    """Back-test all roads at earlier origins and weigh them per family and by failures seen.

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
        (origin, months, windows) to an installed-base forecast whose windows hold by_ages, by_rate,
        by_history (NaN without a record), vmr, rate_cv2, cv2_rate and cv2_history per part and site. It may
        only see what was known at the origin (`known_at`).

    Returns
    -------
    Blend

    Notes
    -----
    For each part and origin the negative binomial probability of what happened is taken at every way to share
    tenths among ages, mean rate and own record: predictive distributions stacked by their log score [1]_. The
    likelihood of all parts makes the prior of each family and class, whose own is added.
    A part's weight is the mean under its family's and class's. The doubt that is added to the rate's
    variation is the most likely one of a short list. Tests end where reports are nearly complete. Records
    under three months cannot be tested: then ages weigh from one half, on machines older than the records, up
    to all, on machines seen from new.

    References
    ----------
    .. [1] Yao, Vehtari, Simpson & Gelman (2018), Using stacking to average Bayesian predictive distributions,
       Bayesian Analysis 13.
    """
    tests, by_site = [], []
    end = as_of - pd.Timedelta(days=days_to_report(data, as_of)) + pd.Timedelta(days=1)
    length, number_of_tests = lengths_of_tests((end - begin).days / DAYS_PER_MONTH, origins)
    for number in range(1, number_of_tests + 1):
        origin, until = (
            end - pd.DateOffset(months=length * back) - pd.Timedelta(days=1) for back in (number, number - 1)
        )
        # One month and the window: no more edges than the test needs.
        forecast = road(origin, months_after(origin, 1), [(until - origin).days])
        if not forecast.windows.empty:
            came = happened(data, origin, until, as_of)
            tests.append(_one_test(forecast, came.groupby("part_id").sum(), origin))
            by_site.append(site_test(forecast, came, origin))
    if not tests:
        return _untested(data, as_of, begin, origins)
    tested = pd.concat(tests, ignore_index=True)
    families, code = np.unique(tested["family"].to_numpy(str), return_inverse=True)
    seen = np.searchsorted(CLASSES, np.round(tested["n_failed"].to_numpy(float)), side="right") - 1
    nodes = NODES if tested["by_history"].notna().any() else NODES[NODES[:, 2] == 0]
    doubt = _most_likely_doubt(tested)
    likelihood = _log_likelihood(tested, nodes, np.array([doubt]))[0]
    by_family, by_class = _summed(likelihood, code, len(families)), _summed(likelihood, seen, len(CLASSES))
    weight = weigh_families(by_family, nodes, by_class) @ nodes
    shared = _normalised(TEMPER_ALL * likelihood.sum(axis=0) + prior_weight(nodes)) @ nodes
    verdict = family_verdicts(tested, families, code, by_family, nodes, ROADS)
    # The latest test stands first, so parts have the class they were in then.
    part = (~tested.duplicated("part_id")).to_numpy()
    names = tested.loc[part, "part_id"]
    own = weight[code[part], seen[part]]
    # Sites share as ages and mean rate let expect; that the own record knows no sites changes nothing.
    shares = pd.DataFrame(own[:, :2], index=names)
    factors = learn_site_factors(mixed(by_site, shares), batch_size(data, as_of))
    return Blend(
        dict(zip(names, own[:, 0].tolist())),
        doubt,
        tested,
        [*back_test_notes(tested, own, doubt, length), *site_notes(factors)],
        float(shared[0]),
        dict(zip(names, verdict[code[part]].tolist())),
        dict(zip(names, own[:, 2].tolist())),
        float(shared[2]),
        factors,
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


def prior_weight(nodes: np.ndarray) -> np.ndarray:
    """Log prior of each node, shape (nodes,): half for the ages, the rest shared by the roads without ages.

    Mean rate and own record tell nearly the same: as two of three equals they would outvote the ages.
    """
    ages, record = nodes[:, 0], nodes[:, 2]
    rest = 1 - ages
    split = np.divide(record, rest, out=np.full(len(nodes), 0.5), where=rest > 0)
    own = _towards_ends(split) if record.max(initial=0.0) > 0 else np.zeros(len(nodes))
    # Nodes of one weight of the ages share what the prior gives to it.
    level, at = np.unique(np.round(ages, 6), return_inverse=True)
    shared = np.log(np.bincount(at, np.exp(own), len(level)))[at]
    return np.asarray(_towards_ends(ages) + own - shared)


def _towards_ends(weight: np.ndarray) -> np.ndarray:
    """Log density of a beta(.7, .7) law, finite at its ends."""
    return np.asarray(PRIOR_POWER * (np.log(0.02 + 0.96 * weight) + np.log(0.98 - 0.96 * weight)))


def weigh_families(
    evidence: np.ndarray, nodes: np.ndarray = NODES[NODES[:, 2] == 0], by_class: np.ndarray | None = None
) -> np.ndarray:
    """Chances of each node in each family (and class).

    Parameters
    ----------
    evidence : ndarray, shape (families, nodes)
        Log likelihood of what happened.
    nodes : ndarray, shape (nodes, 3)
        Weights of ages, mean rate and own record.
    by_class : ndarray, shape (classes, nodes), optional
        The same log likelihood, parted by how many failures had been seen before.

    Returns
    -------
    ndarray, shape (families[, classes], nodes)
        Rows that add up to 1: the likelihood of all together is the prior, to which that of the family and of
        the class is added, so a thin family or class stays near all.
    """
    shared = TEMPER_ALL * evidence.sum(axis=0) + prior_weight(nodes)
    own = shared + TEMPER_FAMILY * evidence
    if by_class is not None:
        own = own[:, None, :] + by_class[None, :, :]
    return _normalised(own)


def _summed(likelihood: np.ndarray, code: np.ndarray, size: int) -> np.ndarray:
    return np.stack([np.bincount(code, column, size) for column in likelihood.T], axis=1)


def _untested(data: Any, as_of: pd.Timestamp, begin: pd.Timestamp, origins: int) -> Blend:
    """Weights where records are too short for a test, or none is wanted."""
    if origins == 0:
        return NO_BLEND._replace(
            notes=[note(WEIGHT_NOTE, 1.0, "", "set by the user", "no back-test is made: ages alone")]
        )
    born = data.units.loc[data.units["commissioned_on"] <= as_of, "commissioned_on"]
    young = float((born >= begin).mean()) if len(born) else 1.0
    weight = 0.5 + 0.5 * young
    meaning = f"records are too short for a back-test; {young:.0%} of the machines are seen from new"
    return NO_BLEND._replace(
        notes=[note(WEIGHT_NOTE, round(weight, 2), "", "default", meaning)], default=weight
    )


def _one_test(forecast: Any, happened: pd.Series, origin: pd.Timestamp) -> pd.DataFrame:
    """Totals of each part: both roads, their spread, what happened."""
    windows = forecast.windows
    by_part = windows.groupby("part_id", sort=True)
    sums = by_part[list(ROADS)].sum(min_count=1)
    spread = by_part[["vmr", "rate_cv2", "cv2_rate", "cv2_history"]].first()
    known = forecast.lifetimes.set_index("part_id")
    out = sums.join(spread).assign(origin=origin, family=known["family"], n_failed=known["n_failed"])
    out["n_failed"] = out["n_failed"].fillna(0.0)
    out["family"] = out["family"].fillna("all parts").astype(str)
    out["actual"] = happened.reindex(out.index).fillna(0.0)
    return out.reset_index()


def _log_likelihood(tested: pd.DataFrame, nodes: np.ndarray, doubts: np.ndarray) -> np.ndarray:
    """Log probability of what happened, shape (doubts, rows, nodes)."""
    roads = tested[list(ROADS)].to_numpy(float, copy=True)
    # A part without a record of its own is as likely by the mean rate.
    roads[:, 2] = np.where(np.isnan(roads[:, 2]), roads[:, 1], roads[:, 2])
    seen = tested["actual"].to_numpy(float)[:, None]
    names = ("vmr", "rate_cv2", "cv2_rate", "cv2_history")
    vmr, cv2 = blended_spread(nodes.T[:, None, :], *(tested[name].to_numpy(float)[:, None] for name in names))
    mean = np.maximum(roads @ nodes.T, 1e-6)
    # Counts of pieces replaced in sets are coarse; a floor keeps every one of them possible.
    variance = np.maximum(vmr, 0.3) * mean + (cv2 + doubts[:, None, None]) * mean**2
    return np.asarray(np.log(np.maximum(pmf(np.round(seen), mean, variance), LEAST_CHANCE)))


def _most_likely_doubt(tested: pd.DataFrame) -> float:
    """Doubt under which what happened is most likely, at the best of three mixtures of ages and mean rate."""
    nodes = np.array([(0.0, 1.0, 0.0), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0)])
    evidence = _log_likelihood(tested, nodes, DOUBTS).sum(axis=1)
    return float(DOUBTS[evidence.max(axis=1).argmax()])


def blended_spread(
    weights: Any, vmr: Any, cv2: Any, cv2_rate: Any, cv2_history: Any = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Spread of a blend; all roads rest on the same failures, so their errors move together.

    Parameters
    ----------
    weights : array-like, shape (3, ...)
        Weights of ages, mean rate and own record.
    vmr, cv2 : array-like
        Of the road by ages.
    cv2_rate, cv2_history : array-like
        Of the other roads, whose counts are Poisson.

    Returns
    -------
    tuple of ndarray
        vmr and rate_cv2, broadcast.
    """
    ages, rate, record = (np.asarray(weight, dtype=float) for weight in weights)
    spread = ages * np.sqrt(cv2) + rate * np.sqrt(cv2_rate) + record * np.sqrt(cv2_history)
    return np.asarray(ages * vmr + (rate + record) * np.maximum(vmr, 1.0)), np.asarray(spread**2)


def _normalised(log_weight: np.ndarray) -> np.ndarray:
    weight = np.exp(log_weight - log_weight.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))
