"""DOOR: what stored forecasts and the records since then say the next forecast should be multiplied by.

The next run learns from the same records, so only a bias that it did not learn in several runs may be
corrected, and only where the correction would have helped the runs before.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.feedback.bias import (
    NO_CLASS,
    SCOPES,
    Evidence,
    as_rows,
    gather,
    likelihood_gain,
    persistent_bias,
)
from spareplan.feedback.reading import last_whole_day, region_of_site, region_or_site, stored_forecasts
from spareplan.maths.distributions import quantile
from spareplan.results import DemandForecast, Result, assumptions_frame
from spareplan.tables.frames import require_columns
from spareplan.tables.schema import TEXT

if TYPE_CHECKING:
    from spareplan.tables.dataset import Dataset

CORRECTION_SOURCE = "correction by feedback"
COLUMNS = ["scope", "region_id", "part_class", "part_id", "runs", "planned", "actual", "bias", "factor",
           "low", "high", "doubt", "persistence", "applies", "reason"]  # fmt: skip
CHECKS = ["as_of", "months", "planned", "corrected", "actual", "error", "error_corrected", "gain", "reason"]
MOST_RUNS = 12
# Corrections of parts that are named one by one among the assumptions.
NAMED_PARTS = 20
PAIR = ["part_id", "site_id"]


@dataclass(frozen=True, repr=False)
class Corrections(Result):
    """Factors for the next forecast.

    Parameters
    ----------
    table : DataFrame
        A row per region, part class, both together and part that was looked at, in the order in which they
        multiply: scope, region_id, part_class, part_id, runs, planned, actual [pieces], bias (planned /
        actual - 1), factor (1 where nothing is corrected), low, high (interval of the factor that the runs
        point to), doubt (standard error of its log), persistence (share of it that earlier runs would have
        needed), applies, reason.
    checks : DataFrame
        Rolling check, a row per run: as_of, months, planned, corrected (by what was known before the run),
        actual, error and error_corrected (sum over regions of absolute errors) [pieces], gain [nats], reason.
    regions : DataFrame
        site_id, region_id; a site without a region stands for itself.
    classes : DataFrame
        part_id, part_class.
    most : float
        Largest factor of a row, and one over the smallest.
    runs, least_runs : int
        Stored runs that were held against records, and how many are needed.
    """

    checks: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CHECKS))
    regions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["site_id", "region_id"]))
    classes: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["part_id", "part_class"]))
    most: float = 2.0
    runs: int = 0
    least_runs: int = 3

    def factors(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Factor of parts at sites.

        Parameters
        ----------
        pairs : DataFrame
            part_id, site_id.

        Returns
        -------
        DataFrame
            factor, doubt (standard error of its log), reason ("" where the factor is 1); rows as given.
        """
        require_columns(pairs, PAIR, "pairs")
        keys = pd.DataFrame({"part_id": pairs["part_id"].to_numpy(object)})
        region = self.regions.set_index("site_id")["region_id"]
        keys["region_id"] = region_or_site(pairs["site_id"].reset_index(drop=True), region)
        keys["part_class"] = keys["part_id"].map(self.classes.set_index("part_id")["part_class"])
        keys["part_class"] = keys["part_class"].astype(object).fillna(NO_CLASS)
        log_factor, square = np.zeros(len(keys)), np.zeros(len(keys))
        said = np.full(len(keys), "", dtype=object)
        live = self.table[self.table["applies"].astype(bool)]
        for scope in live["scope"].unique():
            own, by = live[live["scope"] == scope], SCOPES[str(scope)]
            index = pd.MultiIndex.from_frame(own[by].astype(object))
            at = index.get_indexer(pd.MultiIndex.from_frame(keys[by]))
            hit = at >= 0
            log_factor[hit] += np.log(own["factor"].to_numpy(float))[at[hit]]
            square[hit] += own["doubt"].to_numpy(float)[at[hit]] ** 2
            words = own[by].astype(str).agg(" ".join, axis=1) + own["factor"].map(" x{:.2f}".format)
            said[hit] = said[hit] + np.where(said[hit] == "", "", ", ") + words.to_numpy(object)[at[hit]]
        log_factor = np.clip(log_factor, -np.log(self.most), np.log(self.most))
        return pd.DataFrame(
            {"factor": np.exp(log_factor), "doubt": np.sqrt(square), "reason": said}, index=pairs.index
        )


def corrections_from(
    previous: Any,
    data: Dataset,
    as_of: Any = None,
    part_class: pd.Series | None = None,
    least_runs: int = 3,
    confidence: float = 0.95,
    most: float = 2.0,
) -> Corrections:
    """What the next forecast should be multiplied by, and where it should be left alone.

    Parameters
    ----------
    previous : PlanStore, mapping of name to Plan, or iterable of Plan
        Plans of earlier months, in any order; of several with the same last known day the issued one counts,
        else the approved, else the last.
    data : Dataset
        Of the next run; its records say what came.
    as_of : date, optional
        Last day that the next run knows; later plans and records are not looked at. None: as far as the
        records are complete.
    part_class : Series, indexed by part_id, optional
        None: the parts' families.
    least_runs : int
        Runs with months that are over before anything is corrected; at least 3.
    confidence : float
        A factor whose interval at this confidence includes 1 is not applied.
    most : float
        Largest factor of a row, and one over the smallest; above 1.

    Returns
    -------
    Corrections
        Without rows where no run can be held against records yet.

    Raises
    ------
    DataError
        Arguments out of range, or something that holds no plans.

    Notes
    -----
    Every month is held against the last forecast made before it. Log ratios of actual to planned, runs as
    clusters, are normal around 0 with a variance learned from all groups of a scope; each is shrunk to its
    posterior mean [1]_ and multiplied by the share that would have served the earlier runs best, each
    corrected by what was known before it. It applies where the interval (Student's t, a run a degree of
    freedom) leaves 1 out. Regions, classes, both and parts follow one another, each from what is left.

    References
    ----------
    .. [1] Efron & Morris (1975), Data analysis using Stein's estimator and its generalizations, JASA 70.
    """
    _check_options(least_runs, confidence, most)
    last = last_whole_day(data, as_of)
    runs = [run for run in stored_forecasts(previous) if run.as_of < last]
    classes = data.parts.set_index("part_id")["family"] if part_class is None else part_class
    evidence = gather(runs, data, last, classes, MOST_RUNS)
    rows: list[pd.DataFrame] = []
    checks = pd.DataFrame(columns=CHECKS)
    if len(evidence.runs) >= 2:
        found, factors = persistent_bias(evidence, least_runs, confidence, most)
        rows = [as_rows(scope, bias, evidence, least_runs) for scope, bias in found.items()]
        checks = _checks(evidence, factors, least_runs)
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=COLUMNS)
    table = table.reindex(columns=COLUMNS)
    table["applies"] = table["applies"].astype(bool)
    region = region_of_site(data, runs[-1] if runs else None)
    site = pd.Series(region.index, dtype=object)
    regions = pd.DataFrame({"site_id": site, "region_id": region_or_site(site, region)})
    known = pd.DataFrame({"part_id": classes.index.to_numpy(object), "part_class": classes.to_numpy(object)})
    known["part_class"] = known["part_class"].fillna(NO_CLASS)
    lines = _lines(table, checks, evidence, least_runs)
    assumed = _assumptions(table, evidence, least_runs, confidence, most, part_class is None)
    return Corrections(
        table, assumed, lines, checks, regions, known, most, len(evidence.runs), int(least_runs)
    )


def apply_corrections(demand: DemandForecast, corrections: Corrections) -> DemandForecast:
    """Multiply a forecast by what earlier ones missed.

    Parameters
    ----------
    demand : DemandForecast
        Of the model, before planners' overrides.
    corrections : Corrections

    Returns
    -------
    DemandForecast
        With the column from_correction (mean - the model's own). Means, windows and expected returns are
        multiplied, the factor's doubt is added to rate_cv2, variance and quantiles follow, contributions get
        a row "correction by feedback", and reason and assumptions say so.
    """
    table = demand.table.reset_index(drop=True).copy()
    table["from_correction"] = 0.0
    noted = pd.concat([demand.assumptions, corrections.assumptions], ignore_index=True)
    lines = (*demand.lines, *corrections.lines[:1])
    pairs = table[PAIR].drop_duplicates().reset_index(drop=True)
    known = corrections.factors(pairs)
    hit = (known["factor"] != 1.0).to_numpy()
    if not hit.any():
        return dataclasses.replace(demand, table=_reason_last(table), assumptions=noted, lines=lines)
    index = pd.MultiIndex.from_frame(pairs[hit])
    known = known[hit].reset_index(drop=True)

    def laid_on(frame: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
        at = index.get_indexer(pd.MultiIndex.from_frame(frame[PAIR]))
        return at >= 0, known.iloc[at[at >= 0]].reset_index(drop=True)

    rows, own = laid_on(table)
    before = table.loc[rows, "mean"].to_numpy(float)
    mean = before * own["factor"].to_numpy()
    cv2 = _with_doubt(table.loc[rows, "rate_cv2"].to_numpy(float), own["doubt"].to_numpy())
    variance = table.loc[rows, "vmr"].to_numpy(float) * mean + cv2 * mean**2
    table.loc[rows, ["mean", "variance", "rate_cv2"]] = np.stack([mean, variance, cv2], axis=1)
    table.loc[rows, "from_correction"] = mean - before
    for level in demand.levels:
        table.loc[rows, f"q{level:g}"] = quantile(np.full(len(mean), level), mean, variance)
    if "reason" in table:
        said = pd.Series("", index=table.index, dtype=object)
        said[rows] = ("; corrected by feedback: " + own["reason"]).to_numpy(object)
        table["reason"] = (table["reason"].astype(object) + said).astype(TEXT)
    windows, returns = demand.windows, demand.returns
    if len(windows):
        windows = windows.reset_index(drop=True).copy()
        rows, own = laid_on(windows)
        windows.loc[rows, "mean"] *= own["factor"].to_numpy()
        windows.loc[rows, "rate_cv2"] = _with_doubt(
            windows.loc[rows, "rate_cv2"].to_numpy(float), own["doubt"].to_numpy()
        )
    if len(returns):
        returns = returns.reset_index(drop=True).copy()
        rows, own = laid_on(returns)
        ahead = (returns.loc[rows, "returned"] - returns.loc[rows, "from_past"]).to_numpy(float)
        returns.loc[rows, "returned"] = returns.loc[rows, "from_past"] + ahead * own["factor"].to_numpy()
    moved = table[table["from_correction"] != 0]
    extra = moved[[*PAIR, "month"]].assign(source=CORRECTION_SOURCE, mean=moved["from_correction"])
    return dataclasses.replace(
        demand,
        table=_reason_last(table),
        assumptions=noted,
        lines=lines,
        windows=windows,
        returns=returns,
        contributions=pd.concat([demand.contributions, extra], ignore_index=True),
    )


def _with_doubt(rate_cv2: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """Squared variation of a rate times an independent factor."""
    return (1.0 + rate_cv2) * (1.0 + doubt**2) - 1.0


def _reason_last(table: pd.DataFrame) -> pd.DataFrame:
    return table[[name for name in table if name != "reason"] + ["reason"]] if "reason" in table else table


def _check_options(least_runs: int, confidence: float, most: float) -> None:
    faults = (
        ("least_runs", least_runs, isinstance(least_runs, (int, np.integer)) and least_runs >= 3,
         "is no whole number from 3 up"),
        ("confidence", confidence, 0.5 <= confidence < 1.0, "is not between 0.5 and 1"),
        ("most", most, 1.0 < most <= 10.0, "is not above 1 and at most 10"),
    )  # fmt: skip
    for name, value, fine, rule in faults:
        if not fine:
            raise problem_in_argument("corrections_from", name, value, rule, "give one that is")


def _checks(evidence: Evidence, factors: np.ndarray, least_runs: int) -> pd.DataFrame:
    """What each run would have said, corrected by what was known before it."""
    corrected = evidence.planned * factors
    code, names = pd.factorize(evidence.pairs["region_id"])

    def off(foreseen: np.ndarray) -> list[float]:
        gap = foreseen - evidence.actual
        return [float(np.abs(np.bincount(code, each, minlength=len(names))).sum()) for each in gap.T]

    out = pd.DataFrame(
        {
            "as_of": list(evidence.runs),
            "months": list(evidence.months),
            "planned": evidence.planned.sum(axis=0),
            "corrected": corrected.sum(axis=0),
            "actual": evidence.actual.sum(axis=0),
            "error": off(evidence.planned),
            "error_corrected": off(corrected),
            "gain": likelihood_gain(evidence.planned, evidence.actual, factors).sum(axis=0),
        }
    )
    touched = (factors != 1.0).any(axis=0)
    early = np.arange(len(out)) < least_runs
    words = out["corrected"].map("{:,.1f} instead of ".format)
    words = words + out["planned"].map("{:,.1f} planned, ".format)
    words = words + out["actual"].map("{:,.0f} taken".format)
    plain = np.where(early, f"fewer than {least_runs} runs before it", "nothing to correct")
    out["reason"] = np.where(touched, words, plain)
    return out[CHECKS]


def _lines(table: pd.DataFrame, checks: pd.DataFrame, evidence: Evidence, least_runs: int) -> tuple[str, ...]:
    runs = len(evidence.runs)
    if runs < least_runs:
        return (
            f"Feedback corrects nothing: {runs} stored runs can be held against records, "
            f"{least_runs} are needed.",
        )
    live = table[table["applies"]]
    tried = checks[checks["corrected"] != checks["planned"]]
    if live.empty:
        lines = [f"Feedback corrects nothing: no bias stayed over {runs} runs that the model does not learn."]
    else:
        counts = ", ".join(
            f"{count:,} by {scope}" for scope, count in live["scope"].value_counts(sort=False).items()
        )
        lines = [f"Feedback over {runs} runs corrects {counts}."]
        largest = live.assign(size=np.abs(np.log(live["factor"].astype(float)))).nlargest(1, "size").iloc[0]
        name = " ".join(str(largest[key]) for key in SCOPES[largest["scope"]])
        lines.append(f"The largest: {name}, {largest['reason']}.")
    if len(tried):
        lines.append(
            f"Corrected so, the regions' errors of {len(tried)} earlier run{'s' * (len(tried) > 1)} "
            "would have been "
            f"{tried['error_corrected'].sum():,.0f} instead of {tried['error'].sum():,.0f} pieces."
        )
    return tuple(lines)


def _assumptions(
    table: pd.DataFrame, evidence: Evidence, least_runs: int, confidence: float, most: float, families: bool
) -> pd.DataFrame:
    live = table[table["applies"]]
    parts = live[live["scope"] == "part"]
    named = pd.concat([live[live["scope"] != "part"], parts.head(NAMED_PARTS)])
    rows: list[dict[str, Any]] = [
        {"name": "runs", "value": len(evidence.runs), "origin": "plan store",
         "meaning": f"stored forecasts held against records; fewer than {least_runs} correct nothing"},
        {"name": "confidence", "value": confidence, "origin": "argument",
         "meaning": "a factor whose interval includes 1 is not applied"},
        {"name": "most", "value": most, "origin": "argument",
         "meaning": "largest factor of a row, and one over the smallest"},
        {"name": "part_class", "value": "family" if families else "given",
         "origin": "data: parts.family" if families else "argument", "meaning": "classes that are looked at"},
        *(
            {"name": f"{one['scope']} {' '.join(str(one[key]) for key in SCOPES[one['scope']])}",
             "value": one["factor"], "origin": f"estimated from {one['runs']} stored runs",
             "meaning": one["reason"]}
            for one in named.to_dict("records")
        ),
    ]  # fmt: skip
    if len(parts) > NAMED_PARTS:
        rows.append(
            {"name": "further parts", "value": len(parts) - NAMED_PARTS,
             "origin": "estimated from stored runs",
             "meaning": "corrected one by one; each forecast row's reason names its factor"}
        )  # fmt: skip
    return assumptions_frame([{"stage": "feedback", **row} for row in rows])
