"""What a demand series is doing: new, steady, growing, dying, dead; and what stands out in it.

References
----------
.. [1] Fader, Hardie & Shang (2010), Customer-base analysis in a discrete-time noncontractual setting,
   Marketing Science 29, 1086-1108 (silence at the end of a record under beta-distributed rates).
.. [2] Kleinman (1973), Proportions with extraneous variance, J. Amer. Statist. Assoc. 68, 46-54.
.. [3] Pitman (1937), Significance tests which may be applied to samples from any populations, J. Royal
   Statist. Soc. Suppl. 4, 119-130 (permutation test behind the trend).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from spareplan.forecast.notes import note
from spareplan.forecast.one_offs import OneOffs, find_one_offs
from spareplan.forecast.panels import Panel, net_of_returns, read_panel, whole_periods
from spareplan.maths.intermittency import demand_class, demand_intervals, size_variation

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
STATE_WORDS = {"never": "never asked for", "single": "asked for once"}
STATES = ("new", "starting", "steady", "growing", "dying", "dead", "never", "single")
# Series younger than this are new; those whose first demand is younger than a year are starting. [periods]
NEW_PERIODS, STARTING_PERIODS = 6, 12
# Chance of a silence as long as the present one, were the series still alive.
DEAD_CHANCE, DYING_CHANCE = 0.01, 0.05
# Shorter silences are no sign, however regular the demand was. [periods]
DEAD_SILENCE, DYING_SILENCE = 6, 3
# The latest periods are held against the ones before them.
RECENT_PERIODS, LEAST_PERIODS, LEAST_DEMANDS = 12, 12, 4
# Standard deviations and ratio that make a trend.
TREND_DEVIATIONS, TREND_RATIO = 2.58, 1.5
# What is assumed of how series differ, until the panel says more: share of the binomial variance, series.
PRIOR_SPREAD, PRIOR_SERIES = 1 / 3, 3.0
SERIES_COLUMNS = [
    "periods",
    "unknown",
    "demands",
    "pieces",
    "issued",
    "returned",
    "adi",
    "cv2",
    "demand_class",
    "state",
    "since_last",
    "longest_gap",
    "gap_chance",
    "trend",
    "outliers",
    "outlier_pieces",
    "outlier_usual",
    "outlier_since",
    "outlier_periods",
    "reason",
]


class SeriesLife(NamedTuple):
    """What each series of a panel is doing.

    Parameters
    ----------
    periods, unknown : ndarray of int, shape (n,)
        Known and unknown periods since the start. [periods]
    demands : ndarray of int, shape (n,)
        Periods with a demand.
    pieces : ndarray, shape (n,)
        Demand with returns taken off. [pieces]
    adi, cv2 : ndarray, shape (n,)
        Mean interval between demands [periods]; squared variation of their sizes.
    state : ndarray of str, shape (n,)
        One of STATES.
    since_last : ndarray, shape (n,)
        Periods since the latest demand; NaN where there was none. [periods]
    longest_gap : ndarray of int, shape (n,)
        Longest silence before that demand. [periods]
    gap_chance : ndarray, shape (n,)
        Chance of a silence as long as the present one at the rate before it; NaN where there was no demand.
    trend : ndarray, shape (n,)
        Demand per period lately relative to before; NaN where too little is known.
    one_offs : OneOffs
        Demands that stand out.
    """

    periods: IntArray
    unknown: IntArray
    demands: IntArray
    pieces: FloatArray
    adi: FloatArray
    cv2: FloatArray
    state: NDArray[np.str_]
    since_last: FloatArray
    longest_gap: IntArray
    gap_chance: FloatArray
    trend: FloatArray
    one_offs: OneOffs


def describe_series(demand: FloatArray, start: IntArray | None = None) -> SeriesLife:
    """Say what each series of a panel is doing.

    Parameters
    ----------
    demand : ndarray, shape (n, c)
        Oldest period first; NaN before a series starts and where the quantity is unknown; negative for net
        returns, which are taken off the demand before them. [pieces]
    start : ndarray of int, shape (n,), optional
        Column in which each series starts. None: that of its first known quantity.

    Returns
    -------
    SeriesLife

    Notes
    -----
    Looked at backwards from the end, a series that lives waits for its latest demand as for any other, and
    what came before that demand tells how often it comes: of m periods before it x had demand. With rates
    spread over the panel as a beta law of mean mu and strength s, fitted by moments [2]_, a silence of g
    known periods has the chance B(a, b + g) / B(a, b), a = s mu + x, b = s (1 - mu) + m - x [1]_: normal gaps
    of slow movers are likely. A series is dead where that is below 1 %, dying below 5 %, and the silence is
    longer than any before. Elsewhere the sum of the latest year is held against its permutation law over all
    periods [3]_, demands that stand out counting as usual ones.
    """
    net = net_of_returns(np.asarray(demand, dtype=float))
    if not net.shape[1]:
        net = np.full((len(net), 1), np.nan)
    c = net.shape[1]
    known = np.isfinite(net)
    if start is None:
        start = np.where(known.any(axis=1), known.argmax(axis=1), c)
    begun = np.arange(c) >= start[:, None]
    periods, unknown = (known & begun).sum(axis=1), (~known & begun).sum(axis=1)
    pieces = np.where(known, net, 0.0)
    some = pieces > 0
    demands, total = some.sum(axis=1), pieces.sum(axis=1)
    last = c - 1 - np.argmax(some[:, ::-1], axis=1)
    since = np.where(demands > 0, c - 1 - last, np.nan)
    silent = (known & (np.arange(c) > last[:, None])).sum(axis=1)
    longest = _longest_gap(some, start)
    gap_chance = np.where(demands > 0, _silence_chance(known, some, start, last, silent), np.nan)
    one_offs = find_one_offs(net)
    usual = pieces.copy()
    usual[one_offs.row, one_offs.column] = one_offs.usual
    trend, deviations = _trend(usual, known, demands)
    return SeriesLife(
        periods,
        unknown,
        demands,
        total,
        demand_intervals(periods, demands),
        size_variation(demands, total, (pieces**2).sum(axis=1)),
        _state(c, start, np.argmax(some, axis=1), demands, silent, longest, gap_chance, trend, deviations),
        since,
        longest,
        gap_chance,
        trend,
        one_offs,
    )


def series_life(history: pd.DataFrame, key: str | Sequence[str] = "part_id") -> pd.DataFrame:
    """Say what each demand series is doing, and what stands out in it.

    Parameters
    ----------
    history : DataFrame
        As for `forecast_history`: key column(s), period, quantity [pieces].
    key : str or sequence of str
        Key column(s) of a series.

    Returns
    -------
    DataFrame
        A row per key, sorted: key, periods, unknown (periods with an unknown quantity), demands, pieces
        (returns taken off), issued, returned, adi, cv2, demand_class, state (STATES), since_last,
        longest_gap, gap_chance, trend, outliers (how many), outlier_pieces (in all of them), outlier_usual
        (what is usual instead of one), outlier_since (periods since the latest), outlier_periods (which),
        reason.

    Raises
    ------
    DataError
        What is wrong with the table: row, column, value, rule, remedy.

    Examples
    --------
    >>> history = pd.DataFrame({"part_id": "A", "period": range(24), "quantity": [0, 2] * 6 + [0] * 12})
    >>> series_life(history)[["state", "demands", "since_last"]].values.tolist()
    [['dying', 6, 12.0]]
    """
    names = [key] if isinstance(key, str) else list(key)
    panel = read_panel(history, key)
    if not len(panel.keys):
        return panel.keys.reindex(columns=[*names, *SERIES_COLUMNS])
    life = describe_series(panel.demand, panel.start)
    out = panel.keys.copy()
    for name in ("periods", "unknown", "demands", "pieces", "adi", "cv2", "state", "since_last"):
        out[name] = getattr(life, name)
    out["longest_gap"], out["gap_chance"], out["trend"] = life.longest_gap, life.gap_chance, life.trend
    out["demand_class"] = demand_class(life.adi, life.cv2)
    moved = pd.to_numeric(history["quantity"]).astype(float)
    ways = history[names].assign(issued=moved.clip(lower=0.0), returned=moved.clip(upper=0.0).abs())
    both = ways.groupby(names, sort=True)[["issued", "returned"]].sum()
    out["issued"], out["returned"] = both["issued"].to_numpy(float), both["returned"].to_numpy(float)
    _add_one_offs(out, life.one_offs, _labels(history, panel))
    out["reason"] = _reasons(out)
    return out[[*names, *SERIES_COLUMNS]]


def series_words(series: pd.DataFrame, left_out: FloatArray) -> list[str]:
    """What a reason adds about each series; nothing about steady ones without surprises.

    Parameters
    ----------
    series : DataFrame
        As from `series_life`.
    left_out : ndarray, shape (n,)
        Pieces of one-off projects that were not learned from. [pieces]

    Returns
    -------
    list of str
        Empty, or beginning with a blank and in brackets.
    """
    since, trend = series["since_last"].tolist(), series["trend"].tolist()
    out = []
    for at, state in enumerate(series["state"].tolist()):
        said = [] if state == "steady" else [STATE_WORDS.get(state, state)]
        if state in ("dead", "dying") and since[at] >= DYING_SILENCE:
            said = [f"{state}: silent for {since[at]:.0f}"]
        elif state in ("growing", "dying"):
            said = [f"{state}: lately {trend[at]:.2g} times the demand before"]
        out.append(said)
    for at in np.flatnonzero(series["outliers"].to_numpy() > 0).tolist():
        row = series.iloc[at]
        out[at].append(f"{row['outlier_pieces']:g} in {row['outlier_periods']} look like a one-off project")
    for at in np.flatnonzero(left_out > 0).tolist():
        out[at].append(f"{left_out[at]:g} one-off pieces left out")
    return [f" ({'; '.join(said)})" if said else "" for said in out]


def series_notes(history: pd.DataFrame, series: pd.DataFrame) -> list[dict[str, Any]]:
    """Assumption rows about states, one-off projects and returns.

    Parameters
    ----------
    history : DataFrame
        With one_off, the pieces that are left out of quantity. [pieces]
    series : DataFrame
        As from `series_life`.

    Returns
    -------
    list of dict
    """
    states = series["state"].value_counts()
    said = ", ".join(f"{states[name]:,} {name}" for name in STATES if name in states)
    rows = [
        note(
            "states of the series", said, "series", "estimated from demand", "nothing in the forecast follows"
        ),
    ]
    if (named := float(history["one_off"].sum())) > 0:
        rows.append(
            note(
                "one-off pieces left out",
                f"{named:g}",
                "pieces",
                "data: demand.one_off",
                "the planner named them as projects that do not come again; they stay in what happened",
            )
        )
    if (found := int(series["outliers"].sum())) > 0:
        rows.append(
            note(
                "demands that look like one-off projects",
                f"{found:,} of {series['outlier_pieces'].sum():g} pieces",
                "demands",
                "estimated from demand",
                "kept in the forecast; put their pieces into demand.one_off to leave them out",
            )
        )
    if (back := float(series["returned"].sum())) > 0:
        rows.append(
            note("pieces returned", f"{back:g}", "pieces", "data: demand", "taken off the demand before them")
        )
    return rows


def _silence_chance(
    known: NDArray[np.bool_], some: NDArray[np.bool_], start: IntArray, last: IntArray, silent: IntArray
) -> FloatArray:
    """Chance of no demand since the latest one, at the rate before it."""
    demands = some.sum(axis=1)
    before = known & (np.arange(known.shape[1]) < last[:, None])
    # Where the table begins a series with its first demand, that one says nothing about how often they come.
    begins = np.take_along_axis(some, np.minimum(start, known.shape[1] - 1)[:, None], axis=1)[:, 0]
    forced = (begins & (start < last)).astype(np.int64)
    tries = np.maximum(before.sum(axis=1) - forced, 0)
    hits = np.clip(demands - 1 - forced, 0, tries)
    mean, strength = _beta_moments(demands, known.sum(axis=1))
    a, b = strength * mean + hits, strength * (1 - mean) + tries - hits
    log = special.gammaln(b + silent) - special.gammaln(b) + special.gammaln(a + b)
    return np.asarray(np.exp(np.minimum(log - special.gammaln(a + b + silent), 0.0)))


def _beta_moments(demands: IntArray, periods: IntArray) -> tuple[float, float]:
    """Mean and strength of the beta law of the chance of demand in a period."""
    has = periods > 0
    hits, length = demands[has].astype(float), periods[has].astype(float)
    mean = (hits.sum() + 0.5) / (length.sum() + 1.0)
    binomial = mean * (1 - mean)
    information = float((1 - 1 / length).sum())
    between = float(((hits / length - mean) ** 2 - binomial / length).sum())
    between = (max(between, 0.0) + PRIOR_SERIES * PRIOR_SPREAD * binomial) / (information + PRIOR_SERIES)
    return float(mean), float(np.clip(binomial / max(between, 1e-12) - 1.0, 0.1, 1e4))


def _longest_gap(some: NDArray[np.bool_], start: IntArray) -> IntArray:
    """Longest run of periods without demand before the latest demand."""
    row, column = np.nonzero(some)
    begins = np.concatenate([[True], row[1:] != row[:-1]])[: len(row)]
    before = np.where(begins, start[row] - 1, np.concatenate([[0], column[:-1]])[: len(row)])
    longest = np.zeros(len(some), dtype=np.int64)
    np.maximum.at(longest, row, column - before - 1)
    return longest


def _trend(usual: FloatArray, known: NDArray[np.bool_], demands: IntArray) -> tuple[FloatArray, FloatArray]:
    """Demand per period lately over that before, and its distance from chance in standard deviations."""
    count = known.sum(axis=1)
    c = usual.shape[1]
    window = np.minimum(RECENT_PERIODS, count // 3)
    recent = known & (np.arange(c) >= c - window[:, None])
    late = recent.sum(axis=1)
    early = count - late
    enough = (count >= LEAST_PERIODS) & (demands >= LEAST_DEMANDS) & (late > 0) & (early > 0)
    total, recently = usual.sum(axis=1), np.where(recent, usual, 0.0).sum(axis=1)
    length = np.maximum(count, 2)
    mean = total / length
    spread = np.maximum((usual**2).sum(axis=1) - length * mean**2, 0.0) / (length - 1)
    deviation = np.sqrt(late * (1 - late / length) * spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (recently / late) / ((total - recently) / early)
        away = (recently - late * mean) / deviation
    return np.where(enough, ratio, np.nan), np.where(enough & (deviation > 0), away, 0.0)


def _state(
    c: int,
    start: IntArray,
    first: IntArray,
    demands: IntArray,
    silent: IntArray,
    longest: IntArray,
    gap_chance: FloatArray,
    trend: FloatArray,
    deviations: FloatArray,
) -> NDArray[np.str_]:
    unusual = silent > longest
    began_late = (start > 0) | (first - start >= STARTING_PERIODS)
    return np.select(
        [
            demands == 0,
            (start > 0) & (c - start < NEW_PERIODS),
            unusual & (silent >= DEAD_SILENCE) & (gap_chance < DEAD_CHANCE),
            unusual & (silent >= DYING_SILENCE) & (gap_chance < DYING_CHANCE) & (demands > 1),
            demands == 1,
            began_late & (c - first <= STARTING_PERIODS),
            (deviations > TREND_DEVIATIONS) & (trend > TREND_RATIO),
            (deviations < -TREND_DEVIATIONS) & (trend < 1 / TREND_RATIO),
        ],
        ["never", "new", "dead", "dying", "single", "starting", "growing", "dying"],
        default="steady",
    )


def _labels(history: pd.DataFrame, panel: Panel) -> dict[int, str]:
    """Column of the panel to the period as the history writes it."""
    column = whole_periods(history["period"]).astype(np.int64) - panel.periods[0]
    once = pd.Series(history["period"].to_numpy(), index=column)
    once = once[~once.index.duplicated()]
    if pd.api.types.is_datetime64_any_dtype(once):
        return dict(zip(once.index.tolist(), once.dt.strftime("%Y-%m")))
    return dict(zip(once.index.tolist(), once.astype(str)))


def _add_one_offs(out: pd.DataFrame, found: OneOffs, labels: dict[int, str]) -> None:
    n, length = len(out), max(labels) + 1
    count = np.bincount(found.row, minlength=n)
    out["outliers"] = count
    out["outlier_pieces"] = np.bincount(found.row, found.pieces, n).astype(float)
    out["outlier_usual"] = np.bincount(found.row, found.usual, n) / np.where(count > 0, count, np.nan)
    latest = np.full(n, -1)
    np.maximum.at(latest, found.row, found.column)
    out["outlier_since"] = np.where(count > 0, length - 1 - latest, np.nan)
    said = pd.Series([labels[column] for column in found.column.tolist()], dtype=object)
    named = said.groupby(found.row).agg(", ".join) if len(said) else pd.Series(dtype=object)
    out["outlier_periods"] = named.reindex(range(n)).fillna("").to_numpy()


def _reasons(table: pd.DataFrame) -> list[str]:
    """One sentence per series, from the numbers of its row."""

    def column(name: str) -> list[Any]:
        return table[name].tolist()

    words = [
        f"{demands} demands of {pieces:g} pieces in {periods} periods"
        + (f", the latest {since:.0f} periods ago" if demands else "")
        for demands, pieces, periods, since in zip(
            column("demands"), column("pieces"), column("periods"), column("since_last")
        )
    ]
    for at, (state, chance, trend, unknown, returned) in enumerate(
        zip(column("state"), column("gap_chance"), column("trend"), column("unknown"), column("returned"))
    ):
        if state in ("dead", "dying") and chance < DYING_CHANCE:
            words[at] += f": so long a silence had a chance of {chance:.2g} at the rate before"
        elif state in ("growing", "dying"):
            words[at] += f": lately {trend:.2g} times as much as before"
        if unknown:
            words[at] += f"; {unknown} periods unknown"
        if returned:
            words[at] += f"; {returned:g} pieces came back"
    large, usual, when = column("outlier_pieces"), column("outlier_usual"), column("outlier_periods")
    for at in np.flatnonzero(table["outliers"].to_numpy() > 0).tolist():
        words[at] += f"; {large[at]:g} pieces in {when[at]}, usual is {usual[at]:.3g}: a one-off project?"
    return words
