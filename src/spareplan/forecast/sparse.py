"""Lives of parts that hardly ever failed: empirical Bayes across kin, finite for every part.

Given the shape beta, the likelihood of lambda = eta^-beta is that of a gamma law, truncation and censoring
included. A grid over beta with conjugate gamma laws at each node is therefore the whole posterior, and all it
needs of a part are its failures k, L = sum of ln t over them, and S = sum(exit^beta - entry^beta) at the
nodes; what the parts of a family have in common is found by its evidence (`family_fit`).

References
----------
.. [1] Robbins (1956), An empirical Bayes approach to statistics. Proc. 3rd Berkeley Symposium 1, 157-163.
.. [2] Efron (2010), Large-Scale Inference, ch. 1.
.. [3] Soland (1969), IEEE Trans. Reliability 18(4): discrete shapes and conjugate gamma for the Weibull.
.. [4] Ibrahim & Chen (2000), Power prior distributions for regression models. Statistical Science 15, 46-60.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, polygamma

from spareplan.errors import DataError, Problem
from spareplan.forecast.family_fit import fit_families
from spareplan.forecast.family_law import (
    LOG_SHAPES,
    SHAPES,
    FamilyPrior,
    group_kin,
    log_node_weights,
    posterior_at_nodes,
)
from spareplan.forecast.likelihood import FloatArray, IntArray, LifeFit, Spells, spell_chunks

__all__ = ["SHAPES", "PooledLives", "pool_lifetimes", "pool_statistics", "sufficient_sums"]
# Sums below this are no exposure at all; they stay above 0 so that their logarithm lives.
LEAST_SUM = 1e-100


@dataclass(frozen=True)
class PooledLives:
    """Posterior of the lives of all keys.

    Parameters
    ----------
    weight : ndarray, shape (keys, nodes)
        Posterior weight of each shape in SHAPES.
    failures, exposure : ndarray, shape (keys, nodes)
        Mean A / R and variance A / R² of lambda given the node, as of a gamma law with shape `failures` (A)
        and rate `exposure` (R). [-, unit^beta]
    unit : float or ndarray, shape (keys,)
        Age that counts as 1 in `exposure`. [unit of the ages]
    families : FamilyPrior
        What the kin have in common; a row per family that has keys, by its number.
    bias, expert_spread : float
        Engineers' lives are exp(bias) times too long, with this spread; NaN without any.
    evidence : ndarray, shape (keys,)
        Log marginal likelihood of each key's own data under its family's law (and the engineer's life), on
        the original time scale: sums over a family compare clocks and kinds of model. [nats]
    """

    weight: FloatArray
    failures: FloatArray
    exposure: FloatArray
    unit: float | FloatArray
    families: FamilyPrior
    bias: float
    expert_spread: float
    evidence: FloatArray

    def scales(self) -> FloatArray:
        """Scale eta at each node, from the mean of lambda, in the unit of the ages."""
        return np.reshape(self.unit, (-1, 1)) * (self.exposure / self.failures) ** (1 / SHAPES)

    def point_law(
        self, ahead_sums: FloatArray, own_sums: FloatArray, k: FloatArray, log_sum: FloatArray
    ) -> LifeFit:
        """Give one law per key, for tables and pictures, from sums at the nodes alone.

        Parameters
        ----------
        ahead_sums : ndarray, shape (keys, nodes)
            S over the time ahead in which the law shall expect as many failures as the whole posterior does.
            Where all are 0, `own_sums` take their place. [unit^beta]
        own_sums : ndarray, shape (keys, nodes)
            S over the time watched. [unit^beta]
        k, log_sum : ndarray, shape (keys,)
            Failures, and the sum of ln(age / unit) over them.

        Returns
        -------
        LifeFit
            Shape: posterior mean of ln beta. Standard errors are posterior. The log-likelihood is that of
            the data at this law, on the original time scale.

        Notes
        -----
        Between the nodes ln S is a polynomial of degree five in ln beta through the six nearest: typically
        within 0.001, at worst 0.03 near the outermost nodes.
        """
        ahead = np.where((ahead_sums > LEAST_SUM).all(axis=1, keepdims=True), ahead_sums, own_sums)
        # A key without any time watched or ahead: one piece up to the age of one unit.
        ahead = np.where((ahead > LEAST_SUM).all(axis=1, keepdims=True), ahead, 1.0)
        own = np.maximum(own_sums, LEAST_SUM)
        log_shape = self.weight @ LOG_SHAPES
        ahead_at, own_at = (np.exp(between_nodes(np.log(sums), log_shape)) for sums in (ahead, own))
        return self._law(ahead, ahead_at, own_at, k, log_sum)

    def point_fit(self, spells: Spells) -> LifeFit:
        """Give one law per key as `point_law` does, exactly, from the spells themselves.

        The time ahead is the next quarter of the time watched so far, of the pieces still alive (of all
        pieces watched where none is).
        """
        shape = np.exp(self.weight @ LOG_SHAPES)
        spells = _in_units(spells, self.unit)
        weighted = spells.count * spells.failed
        k, log_sum = spells.sums(weighted), spells.sums(weighted * np.log(spells.exit))
        ahead = _ahead(spells)
        sums = sufficient_sums(ahead, 1.0)[2]
        return self._law(sums, _power_sums(ahead, shape), _power_sums(spells, shape), k, log_sum)

    def _law(
        self, ahead: FloatArray, ahead_at: FloatArray, own_at: FloatArray, k: FloatArray, log_sum: FloatArray
    ) -> LifeFit:
        """Point law from S ahead at the nodes, and S ahead and watched at the shape itself."""
        log_shape = self.weight @ LOG_SHAPES
        shape = np.exp(log_shape)
        shape_sd = np.sqrt((self.weight * (LOG_SHAPES - log_shape[:, None]) ** 2).sum(axis=1))
        log_scale = (np.log(self.exposure) - digamma(self.failures)) / SHAPES
        centre = (self.weight * log_scale).sum(axis=1)
        spread = (
            self.weight * ((log_scale - centre[:, None]) ** 2 + polygamma(1, self.failures) / SHAPES**2)
        ).sum(axis=1)
        expected = (self.weight * self.failures / self.exposure * ahead).sum(axis=1)
        log_rate = np.log(expected / ahead_at)
        loglik = k * np.log(shape) + (shape - 1) * log_sum + k * log_rate - np.exp(log_rate) * own_at
        loglik -= k * np.log(self.unit)
        scale = self.unit * np.exp(-log_rate / shape)
        return LifeFit(shape, scale, shape * shape_sd, scale * np.sqrt(spread), loglik)


def pool_lifetimes(spells: Spells, family: IntArray, expected_life: FloatArray) -> PooledLives:
    """Posterior lives of every key, borrowing strength within families and between them.

    Parameters
    ----------
    spells : Spells
    family : ndarray of int, shape (keys,)
        Number of the family of each key, from 0.
    expected_life : ndarray, shape (keys,)
        Engineer's expected mean life, NaN where there is none. [unit of the ages]

    Returns
    -------
    PooledLives
    """
    unit = 1.0
    if len(spells.exit):
        unit = float(np.exp(np.average(np.log(spells.exit), weights=np.maximum(spells.count, 1e-12))))
    return pool_statistics(*sufficient_sums(spells, unit), unit, family, expected_life)


def pool_statistics(
    k: FloatArray,
    log_sum: FloatArray,
    sums: FloatArray,
    unit: float | FloatArray,
    family: IntArray,
    expected_life: FloatArray,
    borrowed: tuple[FloatArray, FloatArray, FloatArray] | None = None,
) -> PooledLives:
    """Posterior lives of every key from its sufficient statistics.

    Parameters
    ----------
    k : ndarray, shape (keys,)
        Failures.
    log_sum : ndarray, shape (keys,)
        Sum over failures of ln(age / unit).
    sums : ndarray, shape (keys, nodes)
        S = sum(exit^beta - entry^beta) at every shape in SHAPES, ages in units of `unit`.
    unit : float or ndarray, shape (keys,)
        Age that counts as 1, best a typical age: one per clock, so that lives on different clocks compare.
        [unit of the ages]
    family : ndarray of int, shape (keys,)
        Number of the family of each key, from 0.
    expected_life : ndarray, shape (keys,)
        Engineer's expected mean life, NaN where there is none. [unit of the ages]
    borrowed : tuple of ndarray, optional
        k, log_sum and sums of a part like each key, already discounted (0 where there is none), in the same
        units: they join the key's own in its posterior, not in its family's evidence [4]_.

    Returns
    -------
    PooledLives

    Raises
    ------
    DataError
        Shapes that do not fit, negative failures or sums, values that are no finite numbers.
    """
    _check_statistics(k, log_sum, sums, unit, family, expected_life)
    # Numbers without any key would be families that nothing is known of.
    family = np.unique(family, return_inverse=True)[1]
    sums = np.maximum(sums, LEAST_SUM)
    kin = group_kin(k, log_sum, sums, family, expected_life / unit)
    prior, experts = fit_families(kin)
    nodes = posterior_at_nodes(kin, prior, experts)
    law = log_node_weights(prior)[family]
    own = np.logaddexp.reduce(law + nodes.log_m, axis=1)
    evidence = own - np.logaddexp.reduce(law + nodes.log_expert, axis=1) - k * np.log(unit)
    if borrowed is not None:
        _check_statistics(*borrowed, unit, family, expected_life)
        k, log_sum, sums = k + borrowed[0], log_sum + borrowed[1], sums + borrowed[2]
        nodes = posterior_at_nodes(group_kin(k, log_sum, sums, family, expected_life / unit), prior, experts)
    log_m = law + nodes.log_m
    weight = np.exp(log_m - log_m.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    return PooledLives(
        weight, nodes.failures, nodes.exposure, unit, prior, experts.bias, experts.spread, evidence
    )


def _check_statistics(
    k: FloatArray,
    log_sum: FloatArray,
    sums: FloatArray,
    unit: float | FloatArray,
    family: IntArray,
    expected_life: FloatArray,
) -> None:
    keys = len(k)
    wanted = {
        "log_sum": (log_sum, (keys,)),
        "sums": (sums, (keys, len(SHAPES))),
        "family": (family, (keys,)),
        "expected_life": (expected_life, (keys,)),
    }
    problems = [
        Problem("statistics", 0, name, str(np.shape(value)), f"is not of shape {shape}", "a row for each key")
        for name, (value, shape) in wanted.items()
        if np.shape(value) != shape
    ]
    if not problems:
        faults = {
            "k": ~(k >= 0) | ~np.isfinite(k),
            "log_sum": ~np.isfinite(log_sum),
            "sums": (~(sums >= 0) | ~np.isfinite(sums)).any(axis=1),
            "unit": np.broadcast_to(~(np.asarray(unit) > 0), (keys,)),
            "family": family < 0,
        }
        problems = [
            Problem("statistics", int(row) + 2, name, "", "is negative or no finite number", "mend the sums")
            for name, wrong in faults.items()
            for row in np.flatnonzero(wrong)
        ]
    if problems:
        raise DataError(problems)


def sufficient_sums(spells: Spells, unit: float | FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Failures, sum of ln age over failures, and S = sum(exit^beta - entry^beta) at every node.

    Parameters
    ----------
    spells : Spells
    unit : float
        Age that counts as 1.

    Returns
    -------
    tuple of ndarray, shapes (keys,), (keys,), (keys, nodes)
    """
    keys = len(spells.starts)
    unit = np.broadcast_to(np.asarray(unit, dtype=float), (keys,))
    k, log_sum, sums = np.empty(keys), np.empty(keys), np.empty((keys, len(SHAPES)))
    for part, piece in spell_chunks(spells):
        log_unit = np.repeat(np.log(unit[part]), piece.lengths())
        with np.errstate(divide="ignore"):
            log_exit, log_entry = np.log(piece.exit) - log_unit, np.log(piece.entry) - log_unit
        weighted = piece.count * piece.failed
        k[part], log_sum[part] = piece.sums(weighted), piece.sums(weighted * log_exit)
        difference = np.empty_like(log_exit)
        for parity in (0, 1):
            # From node to node but one the shape doubles: the power is squared.
            high, low = np.exp(SHAPES[parity] * log_exit), np.exp(SHAPES[parity] * log_entry)
            for node in range(parity, len(SHAPES), 2):
                if node > parity:
                    high *= high
                    low *= low
                np.subtract(high, low, out=difference)
                difference *= piece.count
                sums[part, node] = piece.sums(difference)
    return k, log_sum, np.maximum(sums, LEAST_SUM)


def between_nodes(values: FloatArray, log_shape: FloatArray) -> FloatArray:
    """Interpolate between the shapes by the polynomial through the six nearest nodes.

    Parameters
    ----------
    values : ndarray, shape (keys, nodes)
        A smooth function at LOG_SHAPES, e.g. ln S.
    log_shape : ndarray, shape (keys,)
        Where it is wanted.

    Returns
    -------
    ndarray, shape (keys,)
    """
    points = 6
    at = (log_shape - LOG_SHAPES[0]) / (LOG_SHAPES[1] - LOG_SHAPES[0])
    first = np.clip(np.floor(at).astype(int) - points // 2 + 1, 0, len(LOG_SHAPES) - points)
    off = at - first
    rows = np.arange(len(values))
    total = np.zeros(len(values))
    for own in range(points):
        term = values[rows, first + own]
        for other in range(points):
            if other != own:
                term = term * (off - other) / (own - other)
        total += term
    return total


def _in_units(spells: Spells, unit: float | FloatArray) -> Spells:
    per_row = np.repeat(np.broadcast_to(unit, (len(spells.starts),)), spells.lengths())
    return spells._replace(entry=spells.entry / per_row, exit=spells.exit / per_row)


def _power_sums(spells: Spells, shape: FloatArray) -> FloatArray:
    """S at one shape per key, ages in units."""
    sums = np.empty(len(shape))
    for part, piece in spell_chunks(spells):
        b = np.repeat(shape[part], piece.lengths())
        with np.errstate(divide="ignore"):
            power = np.exp(b * np.log(piece.exit)) - np.exp(b * np.log(piece.entry))
        sums[part] = piece.sums(power * piece.count)
    return sums


def _ahead(spells: Spells) -> Spells:
    """Take the next quarter of the watched time, for pieces alive; the past where none is."""
    # Keys of no weight at all look ahead as if each of their rows were a piece.
    spells = spells._replace(
        count=np.where(np.repeat(spells.sums(spells.count) > 0, spells.lengths()), spells.count, 1.0)
    )
    alive = spells.count * ~spells.failed
    watched = spells.sums(spells.count * (spells.exit - spells.entry)) / spells.sums(spells.count)
    lengths = spells.lengths()
    some = np.repeat(spells.sums(alive) > 0, lengths)
    rows = np.flatnonzero((alive > 0) | ~some)
    number = np.repeat(np.arange(len(lengths)), lengths)[rows]
    some, exit_ = some[rows], spells.exit[rows]
    return Spells(
        np.searchsorted(number, np.arange(len(lengths))),
        np.where(some, exit_, spells.entry[rows]),
        exit_ + np.where(some, 0.25 * watched[number], 0.0),
        np.zeros(len(rows), dtype=bool),
        np.where(some, alive[rows], spells.count[rows]),
    )
