"""Machines whose day of handover nobody wrote down: drawn from the day they were built."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.maths.delays import draw_at, reverse_hazard

LEAST_KNOWN, LEAST_AT_RISK = 20, 5
GOLDEN = (5**0.5 - 1) / 2


def impute_commissioning(
    units: pd.DataFrame, as_of: pd.Timestamp, seen_by: pd.Series | None = None
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Fill empty days of commissioning of machines that have a day on which they were built.

    Parameters
    ----------
    units : DataFrame
        unit_id, product_id, commissioned_on, built_on, retired_on.
    as_of : Timestamp
        Last day that was known: a machine built shortly before it shows only short delays.
    seen_by : Series, optional
        unit_id to the first day on which something is known of the machine at work.

    Returns
    -------
    DataFrame
        The same rows; no day lies after the machine was seen at work, or retired, unless it was not built yet
        then. Machines without a day on which they were built keep their empty one.
    list of (table, note)
        What was filled and from what.

    Notes
    -----
    The delays of the product's other machines (of all products where fewer than 20 are known) give the law,
    by the reverse hazard [1]_. Its quantiles are dealt out along the days of building by the golden ratio,
    so that every stretch of building days gets the whole law: nothing is random, and row order does not
    matter.

    References
    ----------
    .. [1] Kalbfleisch & Lawless (1989), JASA 84(406), 360-372.
    """
    lost = (units["commissioned_on"].isna() & units["built_on"].notna()).to_numpy()
    if not lost.any():
        return units, []
    known = units[units["built_on"].notna() & (units["commissioned_on"] <= as_of)]
    delay = _days(known["commissioned_on"] - known["built_on"])
    limit = _days(as_of - known["built_on"])
    rows = units[lost].sort_values(["product_id", "built_on", "unit_id"], kind="stable")
    latest = rows["retired_on"]
    if seen_by is not None:
        seen = rows["unit_id"].map(seen_by)
        latest = latest.where(~(seen < latest) & latest.notna(), seen)
    most = np.nan_to_num(_days(latest - rows["built_on"]), nan=np.inf)
    drawn = np.zeros(len(rows))
    pooled = reverse_hazard(delay, limit, LEAST_AT_RISK)
    product = known["product_id"].to_numpy(object)
    place = (rows.groupby("product_id").cumcount().to_numpy() + 0.5) * GOLDEN % 1.0
    for name, group in rows.groupby("product_id", sort=True).indices.items():
        own = product == name
        law = reverse_hazard(delay[own], limit[own], LEAST_AT_RISK) if own.sum() >= LEAST_KNOWN else pooled
        if not len(law[0]):
            law = pooled
        if len(law[0]):
            drawn[group] = draw_at(*law, place[group], most[group])
    when = rows["built_on"] + pd.to_timedelta(np.maximum(np.floor(drawn), 0.0), unit="D")
    out = units.copy()
    out["commissioned_on"] = units["commissioned_on"].fillna(when.reindex(units.index))
    words = (
        f"drawn from built_on by the delays of {len(known):,} machines that have both"
        if len(pooled[0])
        else "taken as the day they were built, as too few machines have both dates"
    )
    return out, [("units", f"commissioned_on is empty for {int(lost.sum()):,} machines: {words}")]


def fill_commissioning(tables: dict[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Fill the empty days of commissioning of a whole dataset.

    Parameters
    ----------
    tables : dict of str to DataFrame
        units is exchanged.

    Returns
    -------
    list of (table, note)
    """
    units = tables["units"]
    if not units["commissioned_on"].isna().any():
        return []
    seen = pd.concat(
        [
            tables[name][["unit_id", column]].set_axis(["unit_id", "day"], axis=1)
            for name, column in (
                ("replacements", "replaced_on"),
                ("meter_readings", "read_on"),
                ("work_orders", "opened_at"),
            )
        ]
    ).dropna()
    last = max(
        day
        for day in (seen["day"].max(), units["commissioned_on"].max(), units["built_on"].max())
        if not pd.isna(day)
    )
    first = seen.groupby("unit_id")["day"].min().dt.normalize()
    tables["units"], notes = impute_commissioning(units, last.normalize(), first)
    return notes


def _days(span: pd.Series) -> np.ndarray:
    return np.asarray(pd.TimedeltaIndex(span) / pd.Timedelta(days=1), dtype=float)
