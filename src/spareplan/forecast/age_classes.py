"""Where a life law is wrong at some ages, what was seen there corrects it, class of ages by class.

A Weibull law spreads failures smoothly over the ages. Fleets in the field may have no failure at all before
some age and a flat hazard afterwards; what was seen against what the law expected per class of ages shows it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from spareplan.errors import problem_in_argument

FloatArray = NDArray[np.float64]
# Failures that a law's own word counts for in a class: from "hardly any" to "it is right".
STRENGTHS = np.exp(np.linspace(np.log(0.5), np.log(500.0), 25))


def age_class_counts(
    edges: ArrayLike,
    entry: ArrayLike,
    exit_: ArrayLike,
    failed: ArrayLike,
    count: ArrayLike,
    shape: ArrayLike,
    scale: ArrayLike,
) -> tuple[FloatArray, FloatArray]:
    """Count failures per class of ages, and those a Weibull law expects there.

    Parameters
    ----------
    edges : array-like, shape (classes + 1,)
        Ages that part the classes, rising; the last class takes all older ages. [hours or days]
    entry, exit_ : array-like, shape (n,)
        Ages of the spells. [hours or days]
    failed, count : array-like, shape (n,)
        Whether each spell ended by failure; its weight. [-, pieces]
    shape, scale : array-like, shape (n,) or scalar
        Law of each spell. [-, hours or days]

    Returns
    -------
    tuple of ndarray, shape (classes,)
        Observed and expected failures. [pieces]

    Raises
    ------
    DataError
        Edges do not rise.
    """
    bounds = np.asarray(edges, float)
    if len(bounds) < 2 or (np.diff(bounds) <= 0).any():
        raise problem_in_argument(
            "age_class_counts", "edges", edges, "do not rise", "give ages in order, two at least"
        )
    low, high = bounds[:-1], np.append(bounds[1:-1], np.inf)
    start, end, weight = (np.asarray(values, float)[:, None] for values in (entry, exit_, count))
    b = np.broadcast_to(np.asarray(shape, float), len(start))[:, None]
    eta = np.broadcast_to(np.asarray(scale, float), len(start))[:, None]
    left, right = np.maximum(start, low), np.minimum(end, high)
    inside = right > left
    hazard = np.where(inside, (right / eta) ** b, 0.0) - np.where(inside, (left / eta) ** b, 0.0)
    place = np.clip(np.searchsorted(bounds, np.asarray(exit_, float), side="right") - 1, 0, len(low) - 1)
    seen = np.bincount(place, np.asarray(count, float) * np.asarray(failed, bool), minlength=len(low))
    return np.asarray(seen, float), np.asarray((weight * hazard).sum(axis=0))


def age_class_correction(
    observed: ArrayLike, expected: ArrayLike, prior: float | None = None
) -> tuple[FloatArray, float]:
    """Factors on a law's hazard by class of ages.

    Parameters
    ----------
    observed, expected : array-like, shape (parts, classes) or (classes,)
        Failures seen in each class, and those the law expects of the same spells. [pieces]
    prior : float, optional
        c0, the failures that the law's own word counts for in a class; None: averaged over its likelihood,
        all parts together. [pieces]

    Returns
    -------
    tuple of ndarray, shaped like `observed`, and float
        Factor of each class, and the strength c0 (geometric mean under its likelihood).

    Raises
    ------
    DataError
        Negative counts, shapes that differ, a prior that is not positive.

    Notes
    -----
    With theta ~ Gamma(c0, c0) on the hazard of a class and d ~ Poisson(theta e) failures there, the factor is
    (c0 + d) / (c0 + e) and d is negative binomial, which weighs c0 [1]_. Where the law is right, c0 is large
    and the factors are near 1.

    References
    ----------
    .. [1] Clayton & Kaldor (1987), Empirical Bayes estimates of age-standardized relative risks for use in
       disease mapping, Biometrics 43.
    """
    d, e = np.asarray(observed, float), np.asarray(expected, float)
    if d.shape != e.shape:
        raise problem_in_argument(
            "age_class_correction", "expected", e.shape, "is not shaped like observed", "give both per class"
        )
    for name, values in (("observed", d), ("expected", e)):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise problem_in_argument(
                "age_class_correction", name, values.min(initial=0), "is negative or unknown", "give counts"
            )
    if prior is not None:
        if not prior > 0:
            raise problem_in_argument(
                "age_class_correction", "prior", prior, "is not positive", "give some failures, such as 5"
            )
        return (prior + d) / (prior + e), float(prior)
    c = STRENGTHS.reshape(-1, *[1] * d.ndim)
    log_chance = gammaln(c + d) - gammaln(c) + c * np.log(c) - (c + d) * np.log(c + e)
    total = log_chance.reshape(len(STRENGTHS), -1).sum(axis=1)
    weight = np.exp(total - total.max())
    weight /= weight.sum()
    factor = np.tensordot(weight, (c + d) / (c + e), axes=(0, 0))
    return np.asarray(factor), float(np.exp(weight @ np.log(STRENGTHS)))
