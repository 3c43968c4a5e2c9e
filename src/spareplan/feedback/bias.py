"""Bias that stays from run to run: by region, class and part, shrunk towards none, tried on earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from spareplan.feedback.reading import (
    StoredForecast,
    beside,
    model_mean,
    months_over,
    region_of_site,
    region_or_site,
    taken_until,
)
from spareplan.maths.accuracy import log_ratio, normal_spread, persistence
from spareplan.tables.taken import CELL

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

FloatArray = NDArray[np.float64]
PAIR = ["part_id", "region_id"]
SCOPES = {
    "region": ["region_id"],
    "class": ["part_class"],
    "region and class": ["region_id", "part_class"],
    "part": ["part_id"],
}
# What regions do alike is better told by class, and what classes do alike by region: both ways are tried.
ORDERS = (
    ("region", "class", "region and class", "part"),
    ("class", "region", "region and class", "part"),
)
# From so many runs on their scatter can be seen.
RUNS_TO_SCATTER = 2
NO_CLASS = "no class"


@dataclass(frozen=True)
class Evidence:
    """What each run foresaw for the months until the next one, and what came.

    Parameters
    ----------
    pairs : DataFrame
        part_id, region_id, part_class; a row per part and region.
    planned, actual, chance : ndarray, shape (pairs, runs)
        The model's mean, what was taken, vmr x mean. [pieces]
    runs : tuple of Timestamp
        Last known day of each run, the oldest first.
    months : tuple of int
        How many months of each run are compared.
    """

    pairs: pd.DataFrame
    planned: FloatArray
    actual: FloatArray
    chance: FloatArray
    runs: tuple[pd.Timestamp, ...] = ()
    months: tuple[int, ...] = ()

    def until(self, runs: int) -> Evidence:
        """The same evidence as it stood before a run."""
        cut = slice(0, runs)
        return Evidence(
            self.pairs,
            self.planned[:, cut],
            self.actual[:, cut],
            self.chance[:, cut],
            self.runs[cut],
            self.months[cut],
        )


@dataclass(frozen=True)
class Bias:
    """One scope's groups with what is known of their bias.

    Parameters
    ----------
    keys : DataFrame
        What tells the groups apart.
    planned, actual : ndarray
        All runs together, earlier scopes' corrections laid on. [pieces]
    ratio, noise : ndarray
        Log of actual over planned, and its standard error.
    centre, doubt, limit : ndarray
        Log of the factor, its standard error, and how many of these an interval reaches.
    share : ndarray
        `persistence` of earlier proposals.
    applies : ndarray of bool
    """

    keys: pd.DataFrame
    planned: FloatArray
    actual: FloatArray
    ratio: FloatArray
    noise: FloatArray
    centre: FloatArray
    doubt: FloatArray
    limit: FloatArray
    share: FloatArray
    applies: NDArray[np.bool_]


def gather(
    runs: Sequence[StoredForecast],
    data: Dataset,
    last: pd.Timestamp,
    classes: pd.Series,
    most_runs: int,
) -> Evidence:
    """Hold each month against the last forecast made before it.

    What an earlier forecast missed and a later one caught the model has learned by itself; so every month
    counts once.

    Parameters
    ----------
    runs : sequence of StoredForecast
        The oldest first, one per last known day.
    data : Dataset
    last : Timestamp
        Last day of complete records.
    classes : Series, indexed by part_id
    most_runs : int
        Only the newest are looked at.

    Returns
    -------
    Evidence
        Rows that the model did not foresee at all are left out, for no factor can mend them; so are one-off
        projects.
    """
    ends = [run.as_of for run in runs[1:]] + [last]
    pieces: list[pd.DataFrame] = []
    kept: list[pd.Timestamp] = []
    counts: list[int] = []
    taken = taken_until(data, last, one_offs=False)
    for run, end in reversed(list(zip(runs, ends))):
        months = months_over(run.table["month"], run.as_of, min(pd.Timestamp(end), last))
        if not len(months) or len(kept) == most_runs:
            continue
        planned, actual = beside(run, data, taken, months)
        rows = planned[[*CELL, "vmr"]].assign(planned=model_mean(planned))
        rows = rows.merge(actual, on=CELL, how="left")
        rows["region_id"] = region_or_site(rows["site_id"], region_of_site(data, run))
        rows["chance"] = rows["vmr"] * rows["planned"]
        rows["actual"] = rows["quantity"].fillna(0.0)
        sums = rows.groupby(PAIR, sort=True)[["planned", "actual", "chance"]].sum()
        pieces.append(sums.assign(run=len(kept)))
        kept.append(run.as_of)
        counts.append(len(months))
    if not pieces:
        nothing = np.zeros((0, 0))
        return Evidence(pd.DataFrame(columns=[*PAIR, "part_class"]), nothing, nothing, nothing)
    every = pd.concat(pieces)
    index = every.index.unique().sort_values()
    pairs = index.to_frame(index=False)
    pairs["part_class"] = pairs["part_id"].map(classes).astype(object).fillna(NO_CLASS)
    arrays = {name: np.zeros((len(index), len(kept))) for name in ("planned", "actual", "chance")}
    # The newest run was read first.
    place = (index.get_indexer(every.index), len(kept) - 1 - every["run"].to_numpy())
    for name, array in arrays.items():
        array[place] = every[name].to_numpy(float)
    return Evidence(pairs, **arrays, runs=tuple(reversed(kept)), months=tuple(reversed(counts)))


def persistent_bias(
    evidence: Evidence, least_runs: int, confidence: float, most: float
) -> tuple[dict[str, Bias], FloatArray]:
    """Corrections that follow from all runs, and those that earlier runs would have had.

    Parameters
    ----------
    evidence : Evidence
        At least two runs.
    least_runs : int
        Fewer never lead to a correction.
    confidence : float
        Of the intervals.
    most : float
        Largest factor, and one over the smallest.

    Returns
    -------
    biases : dict of str to Bias
        By scope, in the order in which they were estimated: each from what the ones before leave.
    factors : ndarray, shape (pairs, runs)
        Factor that was known before each run from the runs before it alone.
    """
    tried = [_one_order(evidence, order, least_runs, confidence, most) for order in ORDERS]
    gains = [likelihood_gain(evidence.planned, evidence.actual, factors).sum() for _, factors in tried]
    return tried[int(np.argmax(gains))]


def likelihood_gain(planned: FloatArray, actual: FloatArray, factor: FloatArray) -> FloatArray:
    """Poisson log-likelihood won by a factor; the same however finely the counts are divided.

    Parameters
    ----------
    planned, actual, factor : ndarray, broadcast
        [pieces, pieces, ratio]

    Returns
    -------
    ndarray
        [nats]
    """
    return np.asarray(actual * np.log(factor) - planned * (factor - 1.0))


def _one_order(
    evidence: Evidence, order: Sequence[str], least_runs: int, confidence: float, most: float
) -> tuple[dict[str, Bias], FloatArray]:
    pairs, runs = evidence.pairs, len(evidence.runs)
    coded = {scope: _codes(pairs, SCOPES[scope]) for scope in order}
    # A scope that tells nothing apart beyond another one would only count the same evidence again.
    sizes = {scope: len(keys) for scope, (_, keys) in coded.items()}
    order = [scope for scope in order if not _repeats(scope, sizes)]
    seen = {scope: _grouped(evidence.actual, *coded[scope]) for scope in order}
    chance = {scope: _grouped(evidence.chance, *coded[scope]) for scope in order}
    bare = {scope: _grouped(evidence.planned, *coded[scope]) for scope in order}
    proposed = {scope: np.zeros((sizes[scope], runs)) for scope in order}
    foreseen = {scope: np.zeros((sizes[scope], runs)) for scope in order}
    factors = np.ones(evidence.planned.shape)
    found: dict[str, Bias] = {}
    for known in range(RUNS_TO_SCATTER, runs + 1):
        log_factor, found = np.zeros(len(pairs)), {}
        for scope in order:
            code, keys = coded[scope]
            # Sums change only where an earlier scope corrects something.
            laid = evidence.planned * np.exp(log_factor)[:, None] if log_factor.any() else None
            planned = bare[scope] if laid is None else _grouped(laid, code, keys)
            vmr = chance[scope][:, :known].sum(axis=1) / np.maximum(bare[scope][:, :known].sum(axis=1), 1e-12)
            ratio, noise, freedom, centre, doubt = _shrunk(planned[:, :known], seen[scope][:, :known], vmr)
            centre = np.clip(centre, -np.log(most), np.log(most))
            tried = slice(RUNS_TO_SCATTER, known)
            share = persistence(proposed[scope][:, tried], foreseen[scope][:, tried], seen[scope][:, tried])
            if known < runs:
                proposed[scope][:, known], foreseen[scope][:, known] = centre, planned[:, known]
            limit = special.stdtrit(freedom, 0.5 + 0.5 * confidence)
            centre = share * centre
            applies = (np.abs(centre) > limit * doubt) & (known >= least_runs)
            found[scope] = Bias(
                keys, planned[:, :known].sum(axis=1), seen[scope][:, :known].sum(axis=1), ratio, noise,
                centre, doubt, limit, share, applies,
            )  # fmt: skip
            log_factor = log_factor + np.where(applies, centre, 0.0)[code]
        if known < runs:
            factors[:, known] = np.exp(np.clip(log_factor, -np.log(most), np.log(most)))
    return found, factors


def _shrunk(planned: FloatArray, actual: FloatArray, vmr: FloatArray) -> tuple[FloatArray, ...]:
    """Log ratios, their noise and its degrees of freedom, and both after shrinking towards no bias."""
    ratio, least, scatter = log_ratio(planned, actual, vmr)
    runs = planned.shape[1]
    counted = (planned.sum(axis=1) > 0) & (actual.sum(axis=1) >= runs)
    common = 1.0
    if counted.any():
        # Median of the variance of so few runs, were the counts alone uncertain.
        usual = 2.0 * special.gammaincinv(0.5 * (runs - 1), 0.5) / (runs - 1)
        common = max(1.0, float(np.median(scatter[counted] / least[counted])) / float(usual))
    variance = np.maximum(scatter, common * least)
    # A group steadier than all groups together is judged by the noise of all.
    freedom = np.where(scatter > common * least, runs - 1.0, (runs - 1.0) * max(1, counted.sum()))
    spread = normal_spread(ratio, variance)
    weight = spread / (spread + variance)
    return ratio, np.sqrt(variance), freedom, weight * ratio, np.sqrt(weight * variance)


def _codes(pairs: pd.DataFrame, by: list[str]) -> tuple[NDArray[np.int64], pd.DataFrame]:
    grouped = pairs.groupby(by, sort=True)
    return grouped.ngroup().to_numpy().astype(np.int64), grouped.size().index.to_frame(index=False)


def _grouped(values: FloatArray, code: NDArray[np.int64], keys: pd.DataFrame) -> FloatArray:
    sums = [np.bincount(code, column, minlength=len(keys)) for column in values.T]
    return np.stack(sums, axis=1) if sums else np.zeros((len(keys), 0))


def _repeats(scope: str, sizes: dict[str, int]) -> bool:
    """Whether a scope's groups are those of a simpler one."""
    if scope == "class":
        return sizes["class"] == 1
    return scope == "region and class" and sizes[scope] == max(sizes["region"], sizes["class"])


def as_rows(scope: str, bias: Bias, evidence: Evidence, least_runs: int) -> pd.DataFrame:
    """Groups of a scope in the columns of `Corrections.table`.

    Parameters
    ----------
    scope : str
    bias : Bias
    evidence : Evidence
    least_runs : int

    Returns
    -------
    DataFrame
        Parts, and classes within regions, that are neither corrected nor off by more than twice their noise
        are left out: there may be a hundred thousand.
    """
    half = bias.limit * bias.doubt
    out = bias.keys.assign(
        scope=scope,
        runs=len(evidence.runs),
        planned=bias.planned,
        actual=bias.actual,
        bias=np.divide(
            bias.planned - bias.actual,
            bias.actual,
            out=np.full(len(bias.actual), np.nan),
            where=bias.actual > 0,
        ),
        factor=np.where(bias.applies, np.exp(bias.centre), 1.0),
        low=np.exp(bias.centre - half),
        high=np.exp(bias.centre + half),
        doubt=bias.doubt,
        persistence=bias.share,
        applies=bias.applies,
    )
    off = np.abs(bias.ratio) > 2.0 * bias.noise
    out["reason"] = _reasons(out, off, least_runs)
    return out[bias.applies | off] if scope in ("part", "region and class") else out


def _reasons(out: pd.DataFrame, off: NDArray[np.bool_], least_runs: int) -> pd.Series:
    pieces = out["actual"].map("{:,.0f} taken where ".format) + out["planned"].map(
        "{:,.1f} were expected".format
    )
    over = out["runs"].map(" over {} runs".format)
    said = (
        out["factor"].map("; stays and would have helped earlier runs: x{:.2f}".format)
        + out["low"].map(" ({:.2f} to ".format)
        + out["high"].map("{:.2f})".format)
    )
    few = np.full(len(out), f"; fewer than {least_runs} runs are too few to tell", dtype=object)
    learned = "; corrections would not have helped earlier runs: learned by itself, or a single month"
    fleeting = off & (out["persistence"] <= 0.5)
    plain = np.where(fleeting, learned, np.where(off, "; too unsteady yet", "; within chance"))
    plain = np.where(out["runs"] < least_runs, few, plain)
    return pieces + over + np.where(out["applies"], said, plain)
