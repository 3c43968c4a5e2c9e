"""Search for covariates that change the hazard: forward selection in many strata, levels shrunk at the end.

References
----------
.. [1] Cox & Hinkley (1974), Theoretical Statistics, ch. 9: likelihood ratios with nuisance parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincc, gammainccinv

from spareplan.forecast.proportional import Counts, fit_ratios, information, rank_of, shrink_ratios

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Chance that data without any effect show one in all families together.
FALSE_ALARM_OF_ALL = 0.01
# Levels that expect fewer failures are judged together; each still gets a ratio of its own.
LEAST_EXPECTED = 1.0


class Found(NamedTuple):
    """What one covariate does in one stratum: a family, or all of them."""

    stratum: int
    covariate: str
    levels: IntArray
    failures: FloatArray
    expected: FloatArray
    ratio: FloatArray
    error: FloatArray
    score: Score
    too_few: bool


@dataclass(frozen=True)
class Search:
    """Search for effects: arrays per row, a row per group of a part that failed at all."""

    counts: Counts
    family: IntArray
    families: int
    codes: dict[str, IntArray]
    sizes: dict[str, int]
    least_failures: float
    false_alarm: float

    def run(self) -> tuple[list[Found], list[Found]]:
        """Effects of all families together, and of each family beside them.

        A family with effects of its own would bend those of all, so these are sought again without it.
        """
        together = np.zeros(len(self.family), dtype=np.int64)
        nothing = np.zeros(len(self.family))
        usual = np.ones(len(self.family), dtype=bool)
        for _ in range(2):
            common, ratio = self._strata(together, 1, nothing, usual, FALSE_ALARM_OF_ALL)
            own, _ = self._strata(self.family, self.families, ratio, np.ones_like(usual), self.false_alarm)
            odd = sorted({item.stratum for item in own if item.score.kept})
            again = ~np.isin(self.family, odd)
            if not any(item.score.kept for item in common) or (again == usual).all():
                break
            usual = again
        return common, own

    def _strata(
        self, stratum: IntArray, strata: int, base: FloatArray, judged: NDArray[np.bool_], false_alarm: float
    ) -> tuple[list[Found], FloatArray]:
        """Select and fit in every stratum beside known log ratios; what was found, and that of every row."""
        counts = self.counts._replace(expected=self.counts.expected * np.exp(base))
        expected = counts.rescaled(np.zeros(len(base)))
        total = np.bincount(stratum[judged], counts.failures[judged], minlength=strata)
        merged = {
            name: _merge_rare(code, stratum, expected, self.sizes[name]) for name, code in self.codes.items()
        }
        rows = np.flatnonzero(judged)
        some = _take(counts, rows)
        gains = {
            name: some.gain(fit_ratios(some, [_numbers(code[rows])], 1e-4), stratum[rows], strata)
            for name, code in merged.items()
        }
        out: list[Found] = []
        log_ratio = np.zeros(len(base))
        order = np.argsort(stratum, kind="stable")
        edges = np.searchsorted(stratum[order], np.arange(strata + 1))
        for number in range(strata):
            every = order[edges[number] : edges[number + 1]]
            picked = every[judged[every]]
            scores = {name: Score(float(gain[number]), np.nan, False) for name, gain in gains.items()}
            enough = total[number] >= self.least_failures
            if enough:
                codes = {name: _numbers(code[picked]) for name, code in merged.items()}
                scores = _forward(_take(counts, picked), codes, scores, false_alarm)
            chosen = [name for name, score in scores.items() if score.kept]
            fitted = _fit(
                _take(counts, picked), {name: self.codes[name][picked] for name in chosen}, self.sizes
            )
            for name, score in scores.items():
                code, size = self.codes[name][every], self.sizes[name]
                ratio, error = fitted.get(name, (np.zeros(size), np.full(size, np.nan)))
                log_ratio[every] += ratio[code]
                levels = np.unique(code)
                seen = np.bincount(code, counts.failures[every], minlength=size)
                awaited = np.bincount(code, expected[every], minlength=size)
                sums = seen[levels].astype(float), awaited[levels].astype(float)
                effect = ratio[levels], error[levels]
                out.append(Found(number, name, levels, *sums, *effect, score, not enough))
        return out, base + log_ratio


class Score(NamedTuple):
    """Gain of a covariate and the gain it needs in nats, and whether it has it."""

    gain: float
    needed: float
    kept: bool


def _forward(
    counts: Counts, codes: dict[str, IntArray], alone: dict[str, Score], false_alarm: float
) -> dict[str, Score]:
    """Let covariates enter one after the other, the least likely by chance first.

    Twice the gain is chi-squared with as many degrees as ratios are added, so the chance of such a gain is
    the regularised gamma function of half the degrees at the gain.
    """
    nothing = np.zeros(len(counts.part))
    failures = float(counts.failures.sum())
    degrees = {name: rank_of(information(counts, [code], nothing), failures) for name, code in codes.items()}
    scores = dict(alone)
    left = [name for name in codes if degrees[name] > 0]
    level = false_alarm / max(len(left), 1)
    chosen: list[str] = []
    known_gain, known_degrees = 0.0, 0
    while left:
        chances, degrees_added = {}, {}
        for name in left:
            gain, added = scores[name].gain, degrees[name]
            if chosen:
                both = [codes[other] for other in [*chosen, name]]
                added = rank_of(information(counts, both, nothing), failures) - known_degrees
                one = np.zeros(len(counts.part), dtype=np.int64)
                gain = float(counts.gain(fit_ratios(counts, both, 1e-4), one, 1)[0]) - known_gain
            if added <= 0:
                scores[name] = Score(gain, np.nan, False)
                continue
            degrees_added[name] = added
            chances[name] = float(gammaincc(added / 2, max(gain, 0.0)))
            scores[name] = Score(gain, float(gammainccinv(added / 2, level)), False)
        best = min(chances, key=lambda name: chances[name], default=None)
        if best is None or chances[best] >= level:
            break
        scores[best] = scores[best]._replace(kept=True)
        chosen.append(best)
        left = [name for name in chances if name != best]
        known_gain += scores[best].gain
        known_degrees += degrees_added[best]
    return scores


def _fit(
    counts: Counts, codes: dict[str, IntArray], sizes: dict[str, int]
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Shrunk log ratios and their errors by covariate; 0 and NaN for levels that are not there."""
    if not codes:
        return {}
    known = {name: np.unique(code, return_inverse=True) for name, code in codes.items()}
    fit = shrink_ratios(counts, [inverse for _, inverse in known.values()])
    out = {}
    for (name, (levels, _)), values, errors in zip(known.items(), fit.ratios, fit.errors):
        ratio, error = np.zeros(sizes[name]), np.full(sizes[name], np.nan)
        ratio[levels], error[levels] = values, errors
        out[name] = ratio, error
    return out


def _merge_rare(code: IntArray, stratum: IntArray, expected: FloatArray, size: int) -> IntArray:
    """Levels of each stratum, numbered apart; those that expect too little become one."""
    cell = stratum * (size + 1) + code
    rare = np.bincount(cell, expected) < LEAST_EXPECTED
    return np.where(rare[cell], stratum * (size + 1) + size, cell)


def _take(counts: Counts, rows: IntArray) -> Counts:
    return Counts(_numbers(counts.part[rows]), counts.failures[rows], counts.expected[rows])


def _numbers(code: IntArray) -> IntArray:
    """Codes numbered from 0 without gaps."""
    return pd.factorize(code)[0].astype(np.int64)
