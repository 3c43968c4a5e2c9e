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

from spareplan.forecast.proportional import (
    SPREADS,
    Counts,
    centred_errors,
    difference_of_strata,
    fit_ratios,
    information,
    pooled_ratios,
    rank_of,
    rows_of,
    shrink_ratios,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Chance that data without any effect show one in all families together.
FALSE_ALARM_OF_ALL = 0.01
# Levels that expect fewer failures are judged together; each still gets a ratio of its own.
LEAST_EXPECTED = 1.0
# Families differ where the score of their spread is this high; below so many families there is no population.
LEAST_SCORE, LEAST_FAMILIES = 3.0, 5
# Rounds in which odd families are set aside: those that lie this near the oddest, as a share of its gain.
ROUNDS, ODDEST = 6, 0.3


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

        A family with effects of its own bends those of all, and against bent ones others seem to have some.
        So the oddest families are set aside first and the effects of all sought again without them; what less
        than half of the families share is no effect of all. Where the families left still differ beyond
        chance, each gets its own ratios, drawn towards those of all.
        """
        together = np.zeros(len(self.family), dtype=np.int64)
        nothing = np.zeros(len(self.family))
        everyone = np.ones(len(self.family), dtype=bool)
        failures = np.bincount(self.family, self.counts.failures, minlength=self.families)
        heard = failures >= self.least_failures
        aside = np.zeros(self.families, dtype=bool)
        for _ in range(ROUNDS):
            few = 2 * (heard & ~aside).sum() < heard.sum()
            usual = ~aside[self.family] & (not few)
            scores = self._select(together, 1, nothing, usual, FALSE_ALARM_OF_ALL)
            common, ratio = self._fit(together, 1, nothing, usual, scores)
            own_scores = self._select(self.family, self.families, ratio, everyone, self.false_alarm)
            surplus = np.array([_surplus(each) for each in own_scores])
            odd = surplus > 0
            if not any(item.score.kept for item in common) or not (odd & ~aside).any():
                break
            aside |= odd & (surplus >= ODDEST * surplus[~aside].max(initial=0.0))
        usual = ~odd[self.family]
        own, _ = self._fit(self.family, self.families, ratio, everyone, own_scores)
        return common, self._pool_families(own, ratio, usual)

    def _pool_families(self, own: list[Found], base: FloatArray, usual: NDArray[np.bool_]) -> list[Found]:
        """Ratios of families that differ beyond chance, though none is sure alone, from their population."""
        rows = np.flatnonzero(usual)
        there, family = np.unique(self.family[rows], return_inverse=True)
        if len(there) < LEAST_FAMILIES:
            return own
        level = {name: code[rows] for name, code in self.codes.items()}
        extra = base[rows]
        found: dict[str, list[tuple[FloatArray, FloatArray]]] = {}
        while len(found) < len(level):
            counts = _take(self.counts, rows)
            counts = counts._replace(expected=counts.expected * np.exp(extra))
            tests = {
                name: difference_of_strata(counts, level[name], family, len(there))
                for name in level
                if name not in found
            }
            name = max(tests, key=lambda each: tests[each][0])
            if tests[name][0] < LEAST_SCORE:
                break
            found[name], told = _population(
                counts, level[name], family, float(np.clip(tests[name][1], *SPREADS))
            )
            extra = extra + told
        number = {int(stratum): position for position, stratum in enumerate(there)}
        out = []
        for item in own:
            if item.covariate in found and item.stratum in number:
                ratio, error = found[item.covariate][number[item.stratum]]
                score = item.score._replace(kept=True, verdict="pooled")
                item = item._replace(ratio=ratio, error=error, score=score)
            out.append(item)
        return out

    def _select(
        self, stratum: IntArray, strata: int, base: FloatArray, judged: NDArray[np.bool_], false_alarm: float
    ) -> list[dict[str, Score]]:
        """Score every covariate in every stratum, beside log ratios of rows that are known."""
        rows = np.flatnonzero(judged)
        counts, own = _take(self._beside(base), rows), stratum[rows]
        expected = counts.rescaled(np.zeros(len(rows)))
        total = np.bincount(own, counts.failures, minlength=strata)
        merged = {
            name: _merge_rare(code[rows], own, expected, self.sizes[name])
            for name, code in self.codes.items()
        }
        gains = {
            name: counts.gain(fit_ratios(counts, [_numbers(code)], 1e-4), own, strata)
            for name, code in merged.items()
        }
        out = []
        for number, picked in enumerate(rows_of(own, strata)):
            scores = {name: Score(float(gain[number]), np.nan, False, "few") for name, gain in gains.items()}
            if total[number] >= self.least_failures:
                codes = {name: _numbers(code[picked]) for name, code in merged.items()}
                scores = _forward(_take(counts, picked), codes, scores, false_alarm)
            out.append(scores)
        return out

    def _fit(
        self,
        stratum: IntArray,
        strata: int,
        base: FloatArray,
        judged: NDArray[np.bool_],
        scores: list[dict[str, Score]],
    ) -> tuple[list[Found], FloatArray]:
        """Fit what was kept; what was found in each stratum, and the log ratio of every row."""
        counts = self._beside(base)
        expected = counts.rescaled(np.zeros(len(base)))
        out, log_ratio = [], base.copy()
        for number, every in enumerate(rows_of(stratum, strata)):
            picked = every[judged[every]]
            kept = {name: self.codes[name][picked] for name, score in scores[number].items() if score.kept}
            fitted = _shrunk(_take(counts, picked), kept, self.sizes)
            for name, score in scores[number].items():
                code, size = self.codes[name][every], self.sizes[name]
                ratio, error = fitted.get(name, (np.zeros(size), np.full(size, np.nan)))
                log_ratio[every] += ratio[code]
                levels = np.unique(code)
                seen = np.bincount(code, counts.failures[every], minlength=size)[levels].astype(float)
                awaited = np.bincount(code, expected[every], minlength=size)[levels].astype(float)
                out.append(Found(number, name, levels, seen, awaited, ratio[levels], error[levels], score))
        return out, log_ratio

    def _beside(self, base: FloatArray) -> Counts:
        """Counts with log ratios of rows that are known in what is expected."""
        return self.counts._replace(expected=self.counts.expected * np.exp(base))


def _population(
    counts: Counts, level: IntArray, family: IntArray, spread: float
) -> tuple[list[tuple[FloatArray, FloatArray]], FloatArray]:
    """Log ratios and errors of the levels that stand in each family, and the log ratio of each row."""
    cell = _numbers(family * (int(level.max()) + 1) + level)
    values = pooled_ratios(counts, cell, spread)[cell]
    out, told = [], np.zeros(len(level))
    for rows in rows_of(family, int(family.max()) + 1):
        code = np.unique(level[rows], return_inverse=True)[1]
        some = _take(counts, rows)
        ratios = np.zeros(int(code.max()) + 1)
        ratios[code] = values[rows]
        expected = some.rescaled(np.zeros(len(code)))
        centred = ratios - np.log((expected * np.exp(ratios[code])).sum() / expected.sum())
        out.append((centred, centred_errors(some, code, ratios, spread)))
        told[rows] = centred[code]
    return out, told


class Score(NamedTuple):
    """Gain of a covariate and the gain it needs in nats, whether it has it, and why (not)."""

    gain: float
    needed: float
    kept: bool
    verdict: str


def _surplus(scores: dict[str, Score]) -> float:
    """Gain of what a family keeps over what that needed; 0 where it keeps nothing."""
    return sum(score.gain - score.needed for score in scores.values() if score.kept)


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
    scores = {name: score._replace(verdict="single") for name, score in alone.items()}
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
                scores[name] = Score(gain, np.nan, False, "single")
                continue
            degrees_added[name] = added
            chances[name] = float(gammaincc(added / 2, max(gain, 0.0)))
            scores[name] = Score(gain, float(gammainccinv(added / 2, level)), False, "chance")
        best = min(chances, key=lambda name: chances[name], default=None)
        if best is None or chances[best] >= level:
            break
        scores[best] = scores[best]._replace(kept=True, verdict="kept")
        chosen.append(best)
        left = [name for name in chances if name != best]
        known_gain += scores[best].gain
        known_degrees += degrees_added[best]
    return scores


def _shrunk(
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
