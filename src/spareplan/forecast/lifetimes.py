"""Censored ages in, life distributions out: every part by likelihood, sparse parts by what their kin know."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.forecast.likelihood import (
    LifeFit,
    Spells,
    fit_exponential,
    fit_weibull,
)
from spareplan.forecast.lognormal import fit_lognormal

DISTRIBUTIONS = ("weibull", "lognormal", "exponential", "best")
SPELL_COLUMNS = ("entry", "exit", "failed")
KIN_COLUMNS = ("family", "expected_life")
_FITTERS = {"weibull": fit_weibull, "lognormal": fit_lognormal, "exponential": fit_exponential}
# Laws closer than this are equal, and the one with fewer parameters speaks.
SAME_LOGLIK = 1e-9


def fit_lifetimes(
    spells: pd.DataFrame,
    by: str | Sequence[str] = "part_id",
    distribution: str = "weibull",
    prior: str | None = None,
) -> pd.DataFrame:
    """Fit a life distribution to the spells of every key at once.

    Parameters
    ----------
    spells : DataFrame
        Columns `by`; entry and exit, the ages between which a piece was watched [one unit for all rows];
        failed, whether it failed at `exit` (else it is censored). Optional: count, the weight of a row (1);
        and for ``prior="pooled"`` family (keys of one family are kin; without it all keys are) and
        expected_life, the engineer's expected mean life of the key [the unit of the ages].
    by : str or sequence of str
        Column or columns of the key.
    distribution : {"weibull", "lognormal", "exponential", "best"}
        "best" takes the law with the highest likelihood per key; between equal ones the one with fewer
        parameters.
    prior : {None, "pooled"}
        None: maximum likelihood. "pooled": empirical Bayes over the keys of a family (Weibull only), finite
        even for a key that never failed.

    Returns
    -------
    DataFrame
        A row per key, sorted: `by`, distribution, shape, scale, shape_se, scale_se (observed information;
        pooled: posterior), loglik (original time scale, weighted, conditional on survival to entry),
        n_failed, n_censored (sums of count), method. For a lognormal row shape and scale hold mu and sigma
        of ln age, and the columns mu, sigma, mu_se, sigma_se repeat them. An exponential row has shape 1.
        method is "mle", "pooled", or "none" with NaN where the likelihood has no finite interior maximum.

    Raises
    ------
    DataError
        Missing, doubled or unknown columns, exit <= entry, negative ages, values that are no finite numbers,
        empty keys, expected lives of 0 or less: all at once. A key without failures is no error.

    References
    ----------
    .. [1] Meeker & Escobar (1998), Statistical Methods for Reliability Data, ch. 8 and 11.

    Examples
    --------
    >>> import pandas as pd
    >>> ages = pd.DataFrame({"part_id": "A", "entry": 0.0, "exit": [50.0, 100, 100, 100, 100],
    ...                      "failed": [True, False, False, False, False]})
    >>> fit_lifetimes(ages)["shape"].round(2).tolist()
    [1.56]
    """
    keys = [by] if isinstance(by, str) else list(by)
    if distribution not in DISTRIBUTIONS:
        raise problem_in_argument(
            "fit_lifetimes",
            "distribution",
            distribution,
            "is no known distribution",
            f"use one of {', '.join(DISTRIBUTIONS)}",
        )
    if prior not in (None, "pooled"):
        raise problem_in_argument(
            "fit_lifetimes", "prior", prior, "is no known prior", "use None or 'pooled'"
        )
    if prior == "pooled" and distribution != "weibull":
        raise problem_in_argument(
            "fit_lifetimes",
            "prior",
            prior,
            f"is not there for {distribution} lives",
            "use distribution='weibull', or prior=None",
        )
    check_spells(spells, keys)
    index, arrays = sort_spells(spells, keys)
    if prior == "pooled":
        from spareplan.forecast.fine_shapes import point_laws, refined_laws
        from spareplan.forecast.sparse import pool_lifetimes, sufficient_sums

        family, expected_life = kin_of_keys(spells, keys, index)
        posterior = pool_lifetimes(arrays, family, expected_life)
        sums = sufficient_sums(arrays, posterior.unit)
        laws = refined_laws(posterior, *sums)
        fit, method, law = (
            point_laws(posterior.point_fit(arrays), posterior, laws, *sums),
            "pooled",
            "weibull",
        )
        return _table(index, {law: fit}, np.full(len(index), law), arrays, method)
    names = list(_FITTERS) if distribution == "best" else [distribution]
    fits = {name: _FITTERS[name](arrays) for name in names}
    return _table(index, fits, _choose(fits, len(index)), arrays, "mle")


def check_spells(spells: pd.DataFrame, keys: list[str]) -> None:
    """Refuse spells that cannot be right, naming every fault.

    Parameters
    ----------
    spells : DataFrame
        As in `fit_lifetimes`.
    keys : list of str
        Key columns.

    Raises
    ------
    DataError
    """
    problems = column_problems(
        "spells", spells, [*keys, *SPELL_COLUMNS], [*keys, *SPELL_COLUMNS, "count", *KIN_COLUMNS]
    )
    if problems:
        raise DataError(problems)
    numbers = {
        name: checked_numbers("spells", spells, name, problems)
        for name in ("entry", "exit", "failed", "count")
        if name in spells
    }
    entry, exit_, failed = numbers["entry"], numbers["exit"], numbers["failed"]
    faults = [
        ("entry", entry < 0, "is a negative age", "give the age at which watching began, 0 for new"),
        (
            "exit",
            exit_ <= entry,
            "is not above entry",
            "drop spells of no length; a failure needs an age above 0",
        ),
        (
            "failed",
            ~np.isin(failed, (0, 1)) & np.isfinite(failed),
            "is neither true nor false",
            "write 1 or 0",
        ),
    ]
    if "count" in numbers:
        faults.append(("count", numbers["count"] < 0, "is negative", "give the number of pieces in the row"))
    if "expected_life" in spells:
        life = checked_numbers("spells", spells, "expected_life", problems, empty=True)
        faults.append(
            ("expected_life", life <= 0, "is no life above 0", "give a mean life, or leave it empty")
        )
    for name in keys:
        faults.append((name, spells[name].isna().to_numpy(), "is empty", "name the key or drop the row"))
    for name, wrong, rule, remedy in faults:
        if not wrong.any():
            continue
        values = spells[name].to_numpy()
        problems += [
            Problem("spells", int(row) + 2, name, str(values[row]), rule, remedy)
            for row in np.flatnonzero(wrong)
        ]
    if problems:
        raise DataError(problems)


def column_problems(
    table: str, frame: pd.DataFrame, needed: list[str], known: list[str], others: bool = False
) -> list[Problem]:
    """Name columns that are missing, that stand twice, or that nothing is known of.

    Parameters
    ----------
    table : str
        Name of the frame in messages.
    frame : DataFrame
    needed, known : list of str
    others : bool
        Whether unknown columns may stand beside, unless they look like a known one misspelt.

    Returns
    -------
    list of Problem
    """
    problems = [
        Problem(table, 0, name, "", "is missing", "add the column") for name in needed if name not in frame
    ]
    for name in frame.columns[frame.columns.duplicated()].unique():
        problems.append(Problem(table, 0, str(name), "", "stands twice", "keep one of the columns"))
    for name in frame.columns:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            if others and not near:
                continue
            remedy = f"did you mean {near[0]}?" if near else "drop the column or name it in `by`"
            problems.append(Problem(table, 0, str(name), "", f"is no known column of {table}", remedy))
    return problems


def checked_numbers(
    table: str, frame: pd.DataFrame, name: str, problems: list[Problem], empty: bool = False
) -> np.ndarray:
    """Read a column as numbers; what is no finite number joins the problems.

    Parameters
    ----------
    table : str
        Name of the frame in messages.
    frame : DataFrame
    name : str
    problems : list of Problem
        Grows.
    empty : bool
        Whether missing values are allowed.

    Returns
    -------
    ndarray, shape (rows,)
        NaN where there is no number.
    """
    given = frame[name]
    if given.dtype.kind in "mM":
        problems.append(
            Problem(table, 0, name, str(given.dtype), "holds dates or times", "give ages as numbers")
        )
        return np.full(len(frame), np.nan)
    values = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.isinf(values) | np.isnan(values) & (given.notna().to_numpy() | (not empty))
    if wrong.any():
        written = given.to_numpy()
        problems += [
            Problem(table, int(row) + 2, name, str(written[row]), "is no finite number", "give a number")
            for row in np.flatnonzero(wrong)
        ]
    return values


def sort_spells(spells: pd.DataFrame, keys: list[str]) -> tuple[pd.DataFrame, Spells]:
    """Turn checked spells into arrays sorted by key, with the sorted keys beside them.

    Parameters
    ----------
    spells : DataFrame
    keys : list of str

    Returns
    -------
    tuple of DataFrame and Spells
        A row per key; the spells, key after key. Rows of weight 0 are left out of the sums, not of the keys.
    """
    if len(keys) == 1:
        codes: np.ndarray
        codes, values = pd.factorize(spells[keys[0]], sort=True)
        index = pd.DataFrame({keys[0]: values})
    else:
        groups = spells.groupby(keys, sort=True)
        codes = groups.ngroup().to_numpy()
        index = groups.size().reset_index()[keys]
    columns = [spells[name].to_numpy(dtype=float) for name in ("entry", "exit", "failed")]
    count = spells["count"].to_numpy(dtype=float) if "count" in spells else np.ones(len(spells))
    if len(codes) and (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        codes, count, columns = codes[order], count[order], [column[order] for column in columns]
    starts = np.searchsorted(codes, np.arange(len(index)))
    return index, Spells(starts, columns[0], columns[1], columns[2] > 0, count)


def kin_of_keys(spells: pd.DataFrame, keys: list[str], index: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Family number and expected life of each key, from the optional columns of the spells."""
    family = np.zeros(len(index), dtype=np.int64)
    expected = np.full(len(index), np.nan)
    for name in KIN_COLUMNS:
        if name not in spells or not len(spells):
            continue
        grouped = spells.groupby(keys, sort=True)[name]
        if grouped.nunique(dropna=False).max() > 1:
            doubtful = grouped.nunique(dropna=False).loc[lambda n: n > 1].index[0]
            raise DataError(
                [
                    Problem(
                        "spells",
                        0,
                        name,
                        str(doubtful),
                        "differs between rows of one key",
                        "give each key one value",
                    )
                ]
            )
        value = grouped.first()
        if name == "family":
            family = pd.factorize(value.fillna("").astype(str), sort=True)[0]
        else:
            expected = pd.to_numeric(value).to_numpy(dtype=float, na_value=np.nan)
    return family, expected


def _choose(fits: dict[str, LifeFit], keys: int) -> np.ndarray:
    """Name of the law with the highest likelihood per key; the simplest first among equals."""
    order = [name for name in ("exponential", "lognormal", "weibull") if name in fits]
    if len(order) == 1:
        return np.full(keys, order[0])
    value = np.array([np.where(np.isfinite(fits[name].loglik), fits[name].loglik, -np.inf) for name in order])
    near_best = value >= value.max(axis=0) - SAME_LOGLIK
    return np.array(order)[near_best.argmax(axis=0)]


def _table(
    index: pd.DataFrame, fits: dict[str, LifeFit], chosen: np.ndarray, spells: Spells, method: str
) -> pd.DataFrame:
    out = index.copy()
    out["distribution"] = chosen
    parts = {column: np.full(len(index), np.nan) for column in LifeFit._fields}
    for name, fit in fits.items():
        rows = chosen == name
        for column, values in zip(LifeFit._fields, fit):
            parts[column][rows] = values[rows]
    out["shape"], out["scale"] = parts["first"], parts["second"]
    out["shape_se"], out["scale_se"] = parts["first_se"], parts["second_se"]
    out["loglik"] = parts["loglik"]
    out["n_failed"] = spells.sums(spells.count * spells.failed)
    out["n_censored"] = spells.sums(spells.count * ~spells.failed)
    out["method"] = np.where(np.isfinite(parts["first"]), method, "none")
    if "lognormal" in fits:
        log_rows = chosen == "lognormal"
        for column, source in (
            ("mu", "first"),
            ("sigma", "second"),
            ("mu_se", "first_se"),
            ("sigma_se", "second_se"),
        ):
            out[column] = np.where(log_rows, parts[source], np.nan)
    return out
