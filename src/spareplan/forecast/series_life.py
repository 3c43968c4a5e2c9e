"""Tables of what demand series are doing, and what stands out in them, told in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.notes import note
from spareplan.forecast.one_offs import OneOffs
from spareplan.forecast.panels import Panel, read_panel, whole_periods
from spareplan.forecast.series_states import DYING_CHANCE, DYING_SILENCE, STATES, describe_series
from spareplan.maths.intermittency import demand_class

FloatArray = NDArray[np.float64]
STATE_WORDS = {"never": "never asked for", "single": "asked for once"}
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
