"""Laws of the pieces on order of one part for every stock upstream at once: what `tabulated` keeps.

All sites under one site are taken together, and so are all stocks above them: given that b pieces are
backordered there, the pieces on order at a site have the law of Poisson(mean) + Binomial(b, share), one row
per b; the law for every stock upstream is then one product of matrices. The rows follow from each other by
Bernoulli steps of positive terms, so nothing cancels or underflows, whatever the share.

References
----------
.. [1] Simon (1971), Stationary properties of a two-echelon inventory model for low demand items.
.. [2] Graves (1985), A multi-echelon inventory model for a repairable item with one-for-one replenishment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spareplan.stocking.pipelines import MODELS, Pipelines

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Chances below this are noise of the sums and count as 0.
NOISE = 1e-15
POISSON_TOLERANCE = 1e-9


class SiteTable(NamedTuple):
    """What one site does for every stock upstream and its own (arrays of shape (paths, span)).

    Parameters
    ----------
    ebo, miss, beyond : ndarray
        Expected backorders [pieces], P(N >= S), and P(N > S).
    late : ndarray or None
        P(W > t) in the row's window; None where the part has none.
    """

    ebo: FloatArray
    miss: FloatArray
    beyond: FloatArray
    late: FloatArray | None


@dataclass(frozen=True)
class Above:
    """A site with children, as they see it: a row per stock upstream x own stock.

    Parameters
    ----------
    row, span, batch : int
        Row of the pipelines, stocks tabulated, order quantity. [pieces]
    parent : Above or None
    backlog, spread, tie : ndarray, shape (paths x span,)
        Expected backorders, their variance, their covariance with the part's common rate.
        [pieces, pieces², pieces]
    law : ndarray, shape (paths x span, length), or None
        P(B = 0, 1, ...); None where two moments are all that is used.
    """

    row: int
    span: int
    batch: int
    parent: Above | None
    backlog: FloatArray
    spread: FloatArray
    tie: FloatArray
    law: FloatArray | None


def tabulate_part(pipelines: Pipelines, part: int, size: IntArray) -> list[SiteTable]:
    """Tables of all sites of one part, in the order of its rows.

    Parameters
    ----------
    pipelines : Pipelines
    part : int
    size : ndarray of int, shape (rows,)
        Counts beyond which the pieces on order of a row have no chance worth telling, whatever the stock
        upstream (`tabulated.reach`). [pieces]

    Returns
    -------
    list of SiteTable
    """
    begin, end = int(pipelines.starts[part]), int(pipelines.starts[part + 1])
    tables: dict[int, SiteTable] = {}
    open_: list[tuple[IntArray, Above | None]] = [(np.array([begin]), None)]
    while open_:
        rows, above = open_.pop()
        batch = int(pipelines.batch[part]) if above is None else 1
        model = int(pipelines.model[part])
        found, supplied = _sites(pipelines, rows, above, model, batch, int(size[rows].max()))
        for k, row in enumerate(rows.tolist()):
            tables[row] = found[k]
            below = _children(pipelines.stop, row)
            if len(below):
                open_.append((below, supplied(k)))
    return [tables[row] for row in range(begin, end)]


def _children(stop: IntArray, row: int) -> IntArray:
    out, child = [], row + 1
    while child < stop[row]:
        out.append(child)
        child = int(stop[child])
    return np.array(out, dtype=np.int64)


def _sites(p, rows, above, model, batch, size):  # type: ignore[no-untyped-def]
    """Tables of sites under one parent, and a function that tells what the children of the k-th see."""
    mean, share = p.mean[rows], p.share[rows]
    tied, ahead, lump = p.wild[rows].T
    if above is None:
        backlog = spread = tie = np.zeros(1)
    else:
        backlog, spread, tie = above.backlog, above.spread, above.tie
    means = mean[:, None] + np.outer(share, backlog)
    split = (lump * share * (1 - share))[:, None] * backlog + (share**2)[:, None] * spread
    variances = means
    seen = None
    if model == MODELS["two_moment"]:
        common = 2 * (mean * share)[:, None] * tie
        variances = (mean + p.excess[rows])[:, None] + split + common
        seen = means + ahead[:, None] + share[:, None] * tie
    if model == MODELS["exact"]:
        law = split_laws(above, share, mean, size)
    else:
        law = count_laws(means, variances, size)
    if batch > 1:
        law = np.concatenate([law, np.zeros((*law.shape[:-1], batch))], axis=-1)
    beyond, ebo, second = losses(law)
    miss = beyond + law
    if seen is not None and (np.abs(seen - means) > 0).any():
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(means > 0, variances / means, 1.0)
        found = count_laws(seen, seen * ratio, law.shape[-1])
        miss = np.where((seen == means)[..., None], miss, losses(found)[0] + found)
    cross = second + (np.arange(law.shape[-1]) - means[..., None]) * ebo
    late = late_shares(p, rows, above, model, batch, law.shape[-1])
    if batch > 1:
        ebo, miss, second, cross = (_averaged(values, batch) for values in (ebo, miss, second, cross))
    ends = [_last(*(values[k] for values in (miss, beyond) if values is not None)) for k in range(len(rows))]
    tables = [
        SiteTable(
            ebo[k, :, :n],
            np.where(miss[k, :, :n] < NOISE, 0.0, miss[k, :, :n]),
            beyond[k, :, :n],
            None if late is None else late[k, :, :n],
        )
        for k, n in enumerate(ends)
    ]

    def supplied(k: int) -> Above:
        n = ends[k]
        down = ebo[k, :, :n]
        slope = np.zeros(means.shape[1])
        if model == MODELS["two_moment"]:
            tied_all = tied[k] + share[k] * tie
            slope = np.where(tied_all > 0, tied_all / np.maximum(variances[k], 1e-300), 0.0)
        return Above(
            int(rows[k]),
            n,
            batch,
            above,
            down.ravel(),
            np.maximum(second[k, :, :n] - down**2, 0.0).ravel(),
            (slope[:, None] * cross[k, :, :n]).ravel(),
            backlog_laws(law[k], n, batch) if model == MODELS["exact"] else None,
        )

    return tables, supplied


def late_shares(p, rows, above, model, batch, size):  # type: ignore[no-untyped-def]
    """P(W > t) of sites under one parent, shape (sites, paths, size); None where the part has no windows.

    The law of the pieces still to come when the window closes starts at the site in whose lead time it ends,
    and comes down: those found short of a site's stock are served there, a share of the others is ours.
    """
    if p.windows is None or not (p.windows.up[rows] >= 0).any():
        return None
    paths = 1 if above is None else len(above.backlog)
    out = np.zeros((len(rows), paths, size))
    for up in np.unique(p.windows.up[rows]).tolist():
        if up < 0:
            continue
        some = np.flatnonzero(p.windows.up[rows] == up)
        chain = [above]
        for _ in range(up):
            chain.append(chain[-1].parent)
        make = _late_exact if model == MODELS["exact"] else _late_moments
        law, first, mass = make(p, rows[some], chain[::-1], model, size)
        late = mass[..., None] - np.cumsum(law, axis=-1)
        late = np.concatenate([first[..., None], late[..., :-1]], axis=-1)
        late = np.where(late < NOISE, 0.0, late)
        out[some] = late
    return _averaged(out, batch) if batch > 1 else out


def _late_exact(p, rows, chain, model, size):  # type: ignore[no-untyped-def]
    still = p.windows.mean[rows]
    starts = rows if len(chain) == 1 else np.full(len(rows), chain[1].row)
    reach = size
    if len(chain) > 1:
        reach = max(node.span + (0 if node.law is None else node.law.shape[1]) for node in chain[1:])
    law = split_laws(chain[0], p.share[starts], still, reach)
    for step in range(1, len(chain)):
        node = chain[step]
        below = rows if step + 1 == len(chain) else np.full(len(rows), chain[step + 1].row)
        left = np.stack([_short(one, node.span, node.batch) for one in law])
        thinned = split_matrix(p.share[below], np.zeros(len(rows)), left.shape[-1], size)
        law = np.matmul(left, thinned)
    mass = law.sum(axis=-1)
    return law, mass, mass


def _late_moments(p, rows, chain, model, size):  # type: ignore[no-untyped-def]
    two = model == MODELS["two_moment"]
    starts = rows if len(chain) == 1 else np.full(len(rows), chain[1].row)
    share, lump, still = p.share[starts], p.wild[starts, 2], p.windows.mean[rows]
    top = chain[0]
    backlog, spread, tie = (np.zeros(1),) * 3 if top is None else (top.backlog, top.spread, top.tie)
    mean = still[:, None] + np.outer(share, backlog)
    variance, seen = mean, mean
    if two:
        variance = (
            (still + p.windows.excess[rows])[:, None]
            + (lump * share * (1 - share))[:, None] * backlog
            + (share**2)[:, None] * spread
            + 2 * (still * share)[:, None] * tie
        )
        extra = p.windows.tied[rows] + p.wild[starts, 1] - p.wild[starts, 0]
        some = mean > 0
        variance = np.where(some, variance, mean)
        seen = np.where(some, mean + extra[:, None] + share[:, None] * tie, mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(mean > 0, seen * variance / mean, seen)
    pending = np.ones(mean.shape)
    for step in range(1, len(chain)):
        node = chain[step]
        below = rows if step + 1 == len(chain) else np.full(len(rows), chain[step + 1].row)
        wide = max(node.span + node.batch, _reach(seen, found))
        law = count_laws(seen, found, wide)
        owed, first, second = losses(law)
        owed = owed + law
        owed[..., 0] = pending
        if node.batch > 1:
            owed, first, second = (_averaged(values, node.batch) for values in (owed, first, second))
        first, second, pending = (
            values[..., : node.span].reshape(len(rows), -1) for values in (first, second, owed)
        )
        spread = np.maximum(second - first**2, 0.0)
        share, lump = p.share[below], p.wild[below, 2]
        seen = share[:, None] * first
        found = seen
        if two:
            found = (lump * share * (1 - share))[:, None] * first + (share**2)[:, None] * spread
    law = count_laws(seen, found, size)
    return law, pending, np.ones(pending.shape)


def split_laws(above: Above | None, share: FloatArray, mean: FloatArray, size: int) -> FloatArray:
    """P(Poisson(mean) + Binomial(B, share) = 0 .. size - 1), shape (sites, paths, size)."""
    if above is None or above.law is None:
        return poisson_laws(mean, size)[:, None, :]
    return np.matmul(above.law, split_matrix(share, mean, above.law.shape[1], size))


def split_matrix(share: FloatArray, mean: FloatArray, length: int, size: int) -> FloatArray:
    """P(Poisson(mean) + Binomial(b, share) = k) for b below `length`, shape (sites, length, size)."""
    out = np.empty((len(share), length, size))
    out[:, 0] = poisson_laws(mean, size)
    keep, move = (1 - share)[:, None], share[:, None]
    for b in range(length - 1):
        out[:, b + 1] = keep * out[:, b]
        out[:, b + 1, 1:] += move * out[:, b, :-1]
    return out


def poisson_laws(mean: FloatArray, size: int) -> FloatArray:
    """Poisson probabilities of 0 .. size - 1, shape (*mean.shape, size)."""
    return count_laws(mean, mean, size)


def count_laws(mean: FloatArray, variance: FloatArray, size: int) -> FloatArray:
    """Poisson or negative binomial probabilities of 0 .. size - 1, shape (*mean.shape, size).

    In logs, adding up the ratios of neighbours: that loses no digits where the law is nearly Poisson.
    """
    wild = variance > mean * (1 + POISSON_TOLERANCE)
    some = mean > 0
    safe = np.where(some, mean, 1.0)
    keep = np.where(wild & some, safe / np.where(wild, variance, 1.0), 1.0)
    lose = np.where(wild & some, 1 - keep, 0.0)
    shape = np.where(lose > 0, safe * keep / np.where(lose > 0, lose, 1.0), 0.0)
    count = np.arange(1, size)
    # Negative binomial: (r + k - 1)(1 - q) / k; with 1 - q to 0 and r (1 - q) to the mean, Poisson.
    rate = np.where(lose > 0, shape * lose, safe)
    with np.errstate(divide="ignore"):
        ratios = np.log(rate[..., None] + (count - 1) * lose[..., None]) - np.log(count)
        start = np.where(lose > 0, shape * np.log(keep), -safe)
    logs = np.concatenate([start[..., None], ratios], axis=-1)
    np.cumsum(logs, axis=-1, out=logs)
    law = np.exp(logs)
    return np.where(some[..., None], law, np.arange(size) == 0)


def losses(law: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """P(N > s), E(N - s)+ and E[(N - s)+²] for every s from laws on the last axis.

    Sums from the far end keep the digits of the tail that 1 - P(N <= s) would lose.
    """
    from_here = np.cumsum(law[..., ::-1], axis=-1)[..., ::-1]
    beyond = np.zeros_like(law)
    beyond[..., :-1] = from_here[..., 1:]
    first = np.cumsum(beyond[..., ::-1], axis=-1)[..., ::-1]
    # E(N-s)+² = E(N-s-1)+² + 2 E(N-s-1)+ + P(N > s), and E(N-s)+ = E(N-s-1)+ + P(N > s).
    second = np.cumsum((2 * first - beyond)[..., ::-1], axis=-1)[..., ::-1]
    return beyond, first, second


def backlog_laws(law: FloatArray, span: int, batch: int) -> FloatArray:
    """P((N - s)+ = 0, 1, ...) for every path and stock s below `span`, shape (paths x span, length)."""
    left = _short(law, span, batch)
    left[:, 0] += 1 - left.sum(axis=1)
    used = np.flatnonzero(left.max(axis=0) > 1e-17)
    return np.ascontiguousarray(left[:, : (used[-1] + 1 if len(used) else 1)])


def _short(law: FloatArray, span: int, batch: int) -> FloatArray:
    """P(N - position = 0, 1, ...) per path and stock, the position spread over the last `batch` stocks."""
    length = law.shape[-1]
    padded = np.concatenate([law, np.zeros((len(law), span))], axis=1)
    window = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)[:, :span]
    if batch > 1:
        window = _averaged(np.moveaxis(window, 1, 2), batch)
        window = np.moveaxis(window, 2, 1)
    return np.array(window).reshape(len(law) * span, length)


def _averaged(values: FloatArray, batch: int) -> FloatArray:
    """Mean over the last `batch` stocks (last axis); below the first whole batch of no meaning."""
    total = np.zeros_like(values)
    for back in range(batch):
        total[..., back:] += values[..., : values.shape[-1] - back]
    return total / batch


def _last(*values: FloatArray) -> int:
    """Stocks to keep: up to the first beyond which no path has a chance worth telling."""
    some = np.flatnonzero(np.max([v.max(axis=0) for v in values], axis=0) >= NOISE)
    return min(int(some[-1]) + 2 if len(some) else 1, values[0].shape[-1])


def _reach(mean: FloatArray, variance: FloatArray) -> int:
    """Counts that matter for the widest of these laws."""
    wide = np.maximum(1.0, variance / np.maximum(mean, 1e-12))
    return int((mean + 12 * np.sqrt(np.maximum(variance, mean)) + 40 * wide + 20).max(initial=1.0))
