"""A small quantile forest in plain numpy: every leaf keeps the distribution of what followed.

References
----------
.. [1] Meinshausen (2006), Quantile regression forests, Journal of Machine Learning Research 7, 983-999.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spareplan.forecast.history_quantiles import group_tables, largest_ratio

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BINS = 32
TREES = 10
DEPTH = 7
DRAWN = 8
SMALLEST_LEAF, LARGEST_LEAF, LEAVES = 20, 100, 50
SEED = 20
# Rows that are enough to place the edges of the bins.
EDGE_ROWS = 10_000


@dataclass(frozen=True)
class Tree:
    """A level-wise tree: at depth d node i goes to 2 i + (bin > cut).

    Parameters
    ----------
    features, cuts : list of ndarray, one per depth, shapes (2^d,)
        Feature and last left bin of every node; a node that is not split sends all to the left.
    tables : ndarray, shape (2^depth, k + 3)
        Quantiles, share of zeros, mean and variance of every leaf.
    """

    features: list[IntArray]
    cuts: list[IntArray]
    tables: FloatArray

    def leaves(self, bins: NDArray[np.uint8]) -> IntArray:
        """Leaf of every row.

        Parameters
        ----------
        bins : ndarray of uint8, shape (f, m)

        Returns
        -------
        ndarray of int, shape (m,)
        """
        node = np.zeros(bins.shape[1], dtype=np.int64)
        rows = np.arange(bins.shape[1])
        for feature, cut in zip(self.features, self.cuts):
            node = 2 * node + (bins[feature[node], rows] > cut[node])
        return node


@dataclass(frozen=True)
class Forest:
    """Trees over binned features.

    Parameters
    ----------
    edges : list of ndarray
        Upper edges of the bins of every feature.
    trees : list of Tree
    """

    edges: list[FloatArray]
    trees: list[Tree]

    def predict(self, features: FloatArray) -> FloatArray:
        """Average the distributions of the leaves that a row falls into.

        Parameters
        ----------
        features : ndarray, shape (m, f)

        Returns
        -------
        ndarray, shape (m, k + 3)
            Quantiles, share of zeros, mean, variance of the ratio.
        """
        bins = bin_features(features, self.edges)
        total = np.zeros((len(features), self.trees[0].tables.shape[1]))
        for tree in self.trees:
            total += tree.tables[tree.leaves(bins)]
        return total / len(self.trees)


def grow_forest(
    features: FloatArray, ratio: FloatArray, unit: FloatArray, levels: FloatArray, seed: int = SEED
) -> Forest:
    """Grow a forest that splits on the root of the ratio.

    Parameters
    ----------
    features : ndarray, shape (m, f)
    ratio, unit : ndarray, shape (m,)
        What followed in units of the part, and that unit; a window weighs the root of its unit.
    levels : ndarray, shape (k,)
    seed : int
        Draws the features that each level of each tree may use.

    Returns
    -------
    Forest
    """
    edges = bin_edges(features)
    return grow_on_bins(bin_features(features, edges), edges, ratio, unit, levels, seed)


def grow_on_bins(
    bins: NDArray[np.uint8],
    edges: list[FloatArray],
    ratio: FloatArray,
    unit: FloatArray,
    levels: FloatArray,
    seed: int = SEED,
    trees: int = TREES,
) -> Forest:
    """Grow a forest on features that are cut into bins (`grow_forest`).

    Parameters
    ----------
    bins : ndarray of uint8, shape (f, m)
    edges : list of ndarray
        Upper edges of the bins of every feature.
    ratio, unit, levels, seed
        As in `grow_forest`.
    trees : int

    Returns
    -------
    Forest
    """
    target, weight = np.sqrt(ratio), np.sqrt(unit)
    leaf = int(min(LARGEST_LEAF, max(SMALLEST_LEAF, len(ratio) / LEAVES)))
    largest = largest_ratio(ratio, weight)
    draws = np.random.default_rng(seed)
    grown = []
    for _ in range(trees):
        chosen = [np.sort(draws.permutation(len(edges))[:DRAWN]) for _ in range(DEPTH)]
        grown.append(_grow(bins, target, weight, ratio, unit, levels, largest, leaf, chosen))
    return Forest(edges, grown)


def bin_edges(features: FloatArray) -> list[FloatArray]:
    """Upper edges of at most 32 bins of every feature.

    Parameters
    ----------
    features : ndarray, shape (m, f)

    Returns
    -------
    list of ndarray
        Half of the edges by quantile of all values, half of those above the least.
    """
    step = -(-len(features) // EDGE_ROWS)
    return [_edges(column) for column in features[::step].T]


def bin_features(features: FloatArray, edges: list[FloatArray]) -> NDArray[np.uint8]:
    """Bin of every value.

    Parameters
    ----------
    features : ndarray, shape (m, f)
    edges : list of ndarray

    Returns
    -------
    ndarray of uint8, shape (f, m)
    """
    return np.stack(
        [np.searchsorted(edge, column).astype(np.uint8) for edge, column in zip(edges, features.T)]
    )


def _grow(
    bins: NDArray[np.uint8],
    target: FloatArray,
    weight: FloatArray,
    ratio: FloatArray,
    unit: FloatArray,
    levels: FloatArray,
    largest: float,
    leaf: int,
    chosen: list[IntArray],
) -> Tree:
    node = np.zeros(len(target), dtype=np.int64)
    rows = np.arange(len(target))
    weighted = weight * target
    features: list[IntArray] = []
    cuts: list[IntArray] = []
    for drawn in chosen:
        nodes = 2 ** len(features)
        best = np.full(nodes, 1e-9)
        feature, cut = np.full(nodes, drawn[0]), np.full(nodes, BINS)
        for f in drawn:
            gain = _gains(node * BINS + bins[f], nodes, weight, weighted, leaf)
            at = gain.argmax(axis=1)
            top = gain[np.arange(nodes), at]
            better = top > best
            best[better], feature[better], cut[better] = top[better], f, at[better]
        features.append(feature)
        cuts.append(cut)
        node = 2 * node + (bins[feature[node], rows] > cut[node])
    used, compact = np.unique(node, return_inverse=True)
    tables = np.zeros((2 ** len(chosen), len(levels) + 3))
    tables[used] = group_tables(compact, len(used), ratio, unit, levels, largest)
    # A leaf no training window reached can still be reached later: it takes the nearest used one.
    empty = np.setdiff1d(np.arange(len(tables)), used)
    tables[empty] = tables[used[np.minimum(np.searchsorted(used, empty), len(used) - 1)]]
    return Tree(features, cuts, tables)


def _gains(code: IntArray, nodes: int, weight: FloatArray, weighted: FloatArray, leaf: int) -> FloatArray:
    """Weighted variance reduction of cutting each node after each bin; -1 where a side gets too small."""
    size = nodes * BINS
    count = np.bincount(code, minlength=size).reshape(nodes, BINS).cumsum(axis=1)
    mass = np.bincount(code, weight, size).reshape(nodes, BINS).cumsum(axis=1)
    moment = np.bincount(code, weighted, size).reshape(nodes, BINS).cumsum(axis=1)
    right_mass, right_moment = mass[:, -1:] - mass, moment[:, -1:] - moment
    fine = (count >= leaf) & (count[:, -1:] - count >= leaf)
    left = moment**2 / np.where(mass > 0, mass, 1.0)
    right = right_moment**2 / np.where(right_mass > 0, right_mass, 1.0)
    whole = moment[:, -1:] ** 2 / np.where(mass[:, -1:] > 0, mass[:, -1:], 1.0)
    return np.where(fine, left + right - whole, -1.0)


def _edges(column: FloatArray) -> FloatArray:
    """At most 31 upper edges: half by quantile of all values, half of those above the least."""
    shares = np.linspace(0, 1, BINS // 2 + 1)[1:-1]
    above = column[column > column.min()]
    cuts = np.quantile(column, shares)
    if above.size:
        cuts = np.concatenate([cuts, np.quantile(above, shares), [column.min()]])
    return np.unique(cuts)[: BINS - 1]
