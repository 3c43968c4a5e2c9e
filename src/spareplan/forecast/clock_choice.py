"""Which of two models a family of parts follows: hours or days, renewed or repaired, and how use counts.

Two clocks measure one life in two units, and a density per hour is no density per day. With H(t) the hours a
machine has run by day t, the density of a failure per day is that per hour times H'(t), the use rate at the
failure. The log-likelihood of the hours clock therefore gets the sum of ln(use rate at failure) over the
failures, the Jacobian, before it may stand beside that of days. Without it the clock whose numbers are
smaller wins whatever the truth.

Evidence is the likelihood averaged over the laws that a part may follow, not that of the best one, so that a
part with a single failure says little instead of anything. A family decides together: the gains of its parts
add up.

References
----------
.. [1] Meeker & Escobar (1998), Statistical Methods for Reliability Data, ch. 1.3 and 17.
.. [2] Hong & Meeker (2013), Technometrics 55(2), 135-149: field failures with dynamic use.
.. [3] Kass & Raftery (1995), J. American Statistical Association 90, 773-795: 3 nats are "strong".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast.lifetimes import sort_spells
from spareplan.forecast.likelihood import Spells
from spareplan.forecast.sparse import SHAPES, sufficient_sums
from spareplan.tables.frames import require_columns

FloatArray = NDArray[np.float64]

LEAST_NATS = 3.0
# Shapes before anything is seen: median and spread (log) of what spare parts show.
USUAL_SHAPE, SHAPE_SPREAD = 1.5, 0.6
# A failure can be dated to a month in which its machine hardly ran; such a month counts at least this much.
LEAST_USE_SHARE = 0.05
FINE_NODES = 49


def log_evidence(
    failures: ArrayLike, log_sum: ArrayLike, power_sums: ArrayLike, unit: float = 1.0
) -> FloatArray:
    """Log evidence of Weibull lives with an unknown scale and a shape as spare parts have it.

    Parameters
    ----------
    failures : array-like, shape (n,)
        Failures k.
    log_sum : array-like, shape (n,)
        Sum of ln(age / unit) over the failures.
    power_sums : array-like, shape (n, nodes)
        S = sum((exit / unit)^beta - (entry / unit)^beta) at every shape of `sparse.SHAPES`.
    unit : float
        Age that counts as 1 in the sums. [the unit in which the density is wanted]

    Returns
    -------
    ndarray, shape (n,)
        0 where nothing failed: such a part knows no difference between clocks.

    Notes
    -----
    ln eta is flat, so integrating eta out leaves beta^(k-1) e^((beta-1) L) Gamma(k) S^-k at each beta; the
    nodes are refined by a cubic spline of ln S over ln beta, since many failures make the peak narrow. The
    flat law has no total, which falls out of every comparison of two models with one scale each.
    """
    k = np.asarray(failures, dtype=float)
    total = np.asarray(log_sum, dtype=float)
    with np.errstate(divide="ignore"):
        log_s = np.log(np.asarray(power_sums, dtype=float)) @ _spline_weights().T
    log_shape = np.linspace(np.log(SHAPES[0]), np.log(SHAPES[-1]), FINE_NODES)
    log_weight = -0.5 * ((log_shape - np.log(USUAL_SHAPE)) / SHAPE_SPREAD) ** 2
    log_weight -= np.log(np.exp(log_weight).sum())
    some = k > 0
    safe = np.where(some, k, 1.0)
    log_m = (
        log_weight
        + (safe[:, None] - 1) * log_shape
        + (np.exp(log_shape) - 1) * total[:, None]
        - safe[:, None] * log_s
    )
    top = log_m.max(axis=1)
    value = top + np.log(np.exp(log_m - top[:, None]).sum(axis=1)) + gammaln(safe) - safe * np.log(unit)
    return np.where(some, value, 0.0)


def spell_evidence(spells: Spells) -> FloatArray:
    """Log evidence of the spells of every key (`log_evidence` of their sums), per unit of their ages.

    Parameters
    ----------
    spells : Spells

    Returns
    -------
    ndarray, shape (keys,)
    """
    if not len(spells.starts):
        return np.empty(0)
    unit = float(np.exp(np.mean(np.log(spells.exit))))
    return log_evidence(*sufficient_sums(spells, unit), unit)


def use_jacobian(
    failed: ArrayLike, use_rate: ArrayLike, typical: ArrayLike, least_share: float = LEAST_USE_SHARE
) -> FloatArray:
    """What a failure adds to the log-likelihood of the hours clock to make it a density per day.

    Parameters
    ----------
    failed : array-like of bool, shape (n,)
    use_rate : array-like, shape (n,)
        Use at the failure; read only where failed. [hours per day]
    typical : array-like, broadcast to (n,)
        Usual use, of the machine or of all. [hours per day]
    least_share : float
        A failure counts with at least this share of it: one that is dated to an idle month, when it was only
        found or reported, would else say against hours as much as ten others say for them.

    Returns
    -------
    ndarray, shape (n,)
        ln(use rate) where failed, 0 elsewhere.
    """
    happened = np.asarray(failed, dtype=bool)
    rate = np.maximum(np.asarray(use_rate, dtype=float), least_share * np.asarray(typical, dtype=float))
    return np.where(happened, np.log(np.where(happened, rate, 1.0)), 0.0)


def clock_evidence(
    spells: pd.DataFrame, by: str | Sequence[str] = "part_id", least_share: float = LEAST_USE_SHARE
) -> pd.DataFrame:
    """Log evidence of every part under the hours clock and under the days clock, both per day.

    Parameters
    ----------
    spells : DataFrame
        Columns `by`, entry_days, exit_days, entry_hours, exit_hours (the same two moments on both clocks),
        failed, hours_per_day (use rate at `exit`; read only where failed) [, count].
    by : str or sequence of str
        Key columns.
    least_share : float
        A failure counts with at least this share of its spell's mean use rate, so that one failure dated to
        an idle month cannot decide alone.

    Returns
    -------
    DataFrame
        A row per key, sorted: `by`, failures, hours (with the Jacobian), days, gain_nats = hours - days.

    Raises
    ------
    DataError
        Missing columns or keys, ages that do not rise on either clock, unreadable numbers, a failure without
        use rate: all at once.
    """
    keys = [by] if isinstance(by, str) else list(by)
    columns = ["entry_days", "exit_days", "entry_hours", "exit_hours", "failed", "hours_per_day"]
    require_columns(spells, [*keys, *columns], "spells")
    spells = spells.assign(count=spells.get("count", 1.0))
    number = {
        name: pd.to_numeric(spells[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        for name in [*columns, "count"]
    }
    failed, count = number["failed"] > 0, number["count"]
    problems: list[Problem] = []
    for name, wrong, rule in (
        *((key, spells[key].isna().to_numpy(), "is empty") for key in keys),
        ("failed", ~np.isin(number["failed"], (0, 1)), "is neither true nor false"),
        ("count", ~(np.isfinite(count) & (count >= 0)), "is no number of 0 or more"),
    ):
        problems += _row_problems(
            "spells", name, spells[name].to_numpy(), wrong, rule, "mend or drop the row"
        )
    for clock in ("days", "hours"):
        entry, exit_ = number[f"entry_{clock}"], number[f"exit_{clock}"]
        wrong = ~((entry >= 0) & (exit_ > entry) & np.isfinite(exit_))
        given = spells[f"exit_{clock}"].to_numpy()
        problems += _row_problems(
            "spells", f"exit_{clock}", given, wrong, "is not above an entry of 0 or more", "mend the ages"
        )
    rate = number["hours_per_day"]
    wrong = failed & ~(np.isfinite(rate) & (rate >= 0))
    problems += _row_problems(
        "spells", "hours_per_day", rate, wrong, "is no use rate of 0 or more", "give the use at the failure"
    )
    if problems:
        raise DataError(problems)
    mean = (number["exit_hours"] - number["entry_hours"]) / (number["exit_days"] - number["entry_days"])
    jacobian = use_jacobian(failed, rate, mean, least_share)
    base = spells[keys].assign(failed=failed, count=count)
    found = {}
    for clock in ("hours", "days"):
        ages = base.assign(entry=number[f"entry_{clock}"], exit=number[f"exit_{clock}"])
        index, arrays = sort_spells(ages, keys)
        found[clock] = spell_evidence(arrays)
    summed = base.assign(failures=failed * count, jacobian=jacobian * count)
    totals = summed.groupby(keys, sort=True)[["failures", "jacobian"]].sum()
    out = index.copy()
    out["failures"] = totals["failures"].to_numpy()
    out["hours"] = found["hours"] + totals["jacobian"].to_numpy()
    out["days"] = found["days"]
    out["gain_nats"] = out["hours"] - out["days"]
    return out


def choose_by_evidence(
    first: ArrayLike,
    second: ArrayLike,
    family: ArrayLike,
    prior: float = 0.5,
    least_nats: float = LEAST_NATS,
    names: tuple[str, str] = ("first", "second"),
) -> pd.DataFrame:
    """Choose one of two models per family by the summed evidence of its parts.

    Parameters
    ----------
    first, second : array-like, shape (parts,)
        Log evidence (or best log-likelihood, if both models have as many parameters) of each part's data
        under the two models, as densities in the same unit: hours need the Jacobian sum of ln(use rate at
        failure) beside days. `first` is what the caller would take without evidence.
    family : array-like, shape (parts,)
        Label of each part's family.
    prior : float
        Chance of the first model before the data.
    least_nats : float
        The second is chosen only with at least this gain; 3 nats are 20 to 1.
    names : tuple of str
        What the two are called in `reason`.

    Returns
    -------
    DataFrame
        A row per family, sorted: family, parts, first, second (sums), gain_nats (first less second),
        chance_first, chosen ("first" or "second"), sure (at least `least_nats` either way), reason.

    Raises
    ------
    DataError
        Arrays of different length, evidence that is no finite number, prior outside (0, 1).
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    label = np.asarray(family, dtype=object)
    if not len(a) == len(b) == len(label):
        raise problem_in_argument(
            "choose_by_evidence",
            "family",
            f"{len(a)}, {len(b)} and {len(label)} entries",
            "is not as long as the evidence",
            "give one entry per part in each",
        )
    if not 0 < prior < 1:
        raise problem_in_argument(
            "choose_by_evidence",
            "prior",
            prior,
            "is no chance between 0 and 1",
            "use 0.5 if nothing is known",
        )
    if not least_nats >= 0:
        raise problem_in_argument(
            "choose_by_evidence", "least_nats", least_nats, "is negative", "use 0 to follow every hint"
        )
    problems: list[Problem] = []
    for name, values in (("first", a), ("second", b)):
        problems += _row_problems(
            "evidence", name, values, ~np.isfinite(values), "is no finite number", "leave the part out"
        )
    empty = pd.isna(label)
    problems += _row_problems("evidence", "family", label, empty, "is empty", "name the family")
    if problems:
        raise DataError(problems)
    frame = pd.DataFrame({"family": label.astype(str), "first": a, "second": b})
    grouped = frame.groupby("family", sort=True)
    out = grouped[["first", "second"]].sum()
    out.insert(0, "parts", grouped.size())
    out = out.reset_index()
    gain = (out["first"] - out["second"]).to_numpy()
    odds = np.clip(gain + np.log(prior / (1 - prior)), -700, 700)
    out["gain_nats"] = gain
    out["chance_first"] = 1 / (1 + np.exp(-odds))
    out["chosen"] = np.where((gain < 0) & (gain <= -least_nats), "second", "first")
    out["sure"] = np.abs(gain) >= least_nats
    out["reason"] = _reasons(out, names, least_nats)
    return out


def _reasons(out: pd.DataFrame, names: tuple[str, str], least_nats: float) -> list[str]:
    chosen = np.where(out["chosen"] == "first", names[0], names[1])
    other = np.where(out["gain_nats"] >= 0, names[1], names[0])
    size = out["gain_nats"].abs()
    sure = [f"{name} {nats:.1f} nats likelier than {rest}" for name, nats, rest in zip(chosen, size, other)]
    unsure = [
        f"{name} kept: {nats:.1f} nats of evidence, {least_nats:g} needed" for name, nats in zip(chosen, size)
    ]
    return [a if known else b for known, a, b in zip(out["sure"], sure, unsure)]


def _spline_weights() -> FloatArray:
    """Weights (fine nodes, nodes) of the cubic spline through values at the nodes of ln beta."""
    from scipy.interpolate import CubicSpline

    log_shape = np.log(SHAPES)
    fine = np.linspace(log_shape[0], log_shape[-1], FINE_NODES)
    return np.asarray(CubicSpline(log_shape, np.eye(len(log_shape)))(fine))


def _row_problems(
    table: str, column: str, values: Any, wrong: NDArray[np.bool_], rule: str, remedy: str
) -> list[Problem]:
    return [
        Problem(table, int(row) + 2, column, str(values[row]), rule, remedy) for row in np.flatnonzero(wrong)
    ]
