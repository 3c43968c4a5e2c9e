"""Lives, replacements and service orders: what happened must fit the times it happened in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.tables.frames import positions
from spareplan.tables.raw import Finding
from spareplan.tables.supersession import newest_parts

Tables = dict[str, pd.DataFrame]
SHOWN_PARTS = 5


def life_of_units(units: pd.DataFrame) -> list[Finding]:
    """Machines retired before they ran, or running before they were built.

    Parameters
    ----------
    units : DataFrame

    Returns
    -------
    list of Finding
    """
    began = units["commissioned_on"].fillna(units["built_on"])
    retired = began[units["retired_on"] < began]
    early = units[units["commissioned_on"] < units["built_on"]]
    return [
        Finding(
            "units",
            int(at),
            "retired_on",
            f"lies before commissioning on {start:%Y-%m-%d}",
            "correct one of the two dates",
        )
        for at, start in zip(retired.index.to_list(), retired)
    ] + [
        Finding(
            "units",
            int(at),
            "commissioned_on",
            f"lies before the machine was built on {built:%Y-%m-%d}",
            "correct one of the two dates",
        )
        for at, built in zip(early["built_on"].index.to_list(), early["built_on"])
    ]


def replacements_in_life(tables: Tables) -> list[Finding]:
    """Replacements outside the life of their machine, or reported before they were made.

    A replacement before the region's records begin is no fault: it tells how old the piece is by then.

    Parameters
    ----------
    tables : dict of str to DataFrame

    Returns
    -------
    list of Finding
    """
    rows = tables["replacements"][["unit_id", "replaced_on", "reported_on"]]
    units = tables["units"].drop_duplicates("unit_id")
    found = []
    for column, text, after in (
        ("commissioned_on", "lies before the machine's commissioning on {:%Y-%m-%d}", False),
        ("built_on", "lies before the machine was built on {:%Y-%m-%d}", False),
        ("retired_on", "lies after the machine's retirement on {:%Y-%m-%d}", True),
    ):
        # Where both dates are given the machine was built first, and one fault is enough.
        known = units[units["commissioned_on"].isna()] if column == "built_on" else units
        limit = lookup(known, "unit_id", column, rows["unit_id"])
        wrong = (rows["replaced_on"] > limit) if after else (rows["replaced_on"] < limit)
        found += [
            Finding("replacements", int(at), "replaced_on", text.format(date), "correct one of the two dates")
            for at, date in zip(limit[wrong].index.to_list(), limit[wrong])
        ]
    early = rows[rows["reported_on"] < rows["replaced_on"].dt.normalize()]
    return found + [
        Finding(
            "replacements",
            int(at),
            "reported_on",
            f"lies before the replacement on {done:%Y-%m-%d}",
            "correct one of the two dates",
        )
        for at, done in zip(early.index.to_list(), early["replaced_on"])
    ]


def meter_course(tables: Tables) -> list[Finding]:
    """Meter readings from before the machine was there, and meters that run backwards.

    Parameters
    ----------
    tables : dict of str to DataFrame

    Returns
    -------
    list of Finding
    """
    rows = tables["meter_readings"][["unit_id", "read_on", "hours"]].dropna()
    units = tables["units"].drop_duplicates("unit_id")
    there = units.assign(there=units["built_on"].fillna(units["commissioned_on"]))
    machine, names = pd.factorize(rows["unit_id"])
    known = lookup(there, "unit_id", "there", pd.Series(names))
    begin = pd.Series(known.to_numpy()[machine], index=rows.index)
    early = begin[rows["read_on"] < begin]
    found = [
        Finding(
            "meter_readings",
            int(at),
            "read_on",
            f"lies before the machine was there, on {date:%Y-%m-%d}",
            "correct one of the two dates",
        )
        for at, date in zip(early.index.to_list(), early)
    ]
    order = np.lexsort([rows["read_on"].to_numpy(), machine])
    machine, at = machine[order], rows.index.to_numpy()[order]
    hours, day = rows["hours"].to_numpy()[order], pd.DatetimeIndex(rows["read_on"])[order]
    back = np.flatnonzero((np.diff(machine) == 0) & (np.diff(hours) < 0))
    return found + [
        Finding(
            "meter_readings",
            int(where),
            "hours",
            f"lies below the reading of {before:g} hours on {date:%Y-%m-%d}",
            "correct one of the two; after a change of the meter, go on from the old one's hours",
        )
        for where, before, date in zip(at[back + 1], hours[back], day[back])
    ]


def fitting(tables: Tables, given: frozenset[str]) -> list[Finding]:
    """Replacements of parts that do not sit in the machine's product, nor does what supersedes them.

    Parameters
    ----------
    tables, given
        As in `find`.

    Returns
    -------
    list of Finding
    """
    if not {"replacements", "units", "fitment"} <= given:
        return []
    rows = tables["replacements"][["unit_id", "part_id"]].dropna()
    rows = rows[rows["part_id"].isin(tables["parts"]["part_id"])]
    product = lookup(tables["units"].drop_duplicates("unit_id"), "unit_id", "product_id", rows["unit_id"])
    rows = rows.assign(product_id=product)[product.notna().to_numpy()]
    fitment = tables["fitment"][["product_id", "part_id"]].dropna()
    newest = newest_parts(tables["parts"])
    pairs, fitted = (
        frame[["product_id", "part_id"]].assign(part_id=_moved(frame["part_id"], newest))
        for frame in (rows, fitment)
    )
    lost = rows[positions(pairs, fitted.drop_duplicates()) < 0]
    return [
        Finding(
            "replacements",
            int(at),
            "part_id",
            f"does not fit product {product} of machine {unit}",
            "add the pair to fitment or correct the row",
        )
        for at, product, unit in zip(lost.index, lost["product_id"], lost["unit_id"])
    ]


def order_times(orders: pd.DataFrame) -> list[Finding]:
    """Service orders answered before they were opened, or solved before they were answered.

    Parameters
    ----------
    orders : DataFrame

    Returns
    -------
    list of Finding
    """
    found = []
    for early, late, words in (
        ("opened_at", "responded_at", "lies before the order was opened at"),
        ("responded_at", "resolved_at", "lies before the response at"),
        ("opened_at", "resolved_at", "lies before the order was opened at"),
    ):
        wrong = orders[orders[late] < orders[early]]
        if early == "opened_at" and late == "resolved_at":
            wrong = wrong[~(wrong["resolved_at"] < wrong["responded_at"])]
        found += [
            Finding(
                "work_orders",
                int(at),
                late,
                f"{words} {moment:%Y-%m-%d %H:%M}",
                "correct one of the two times",
            )
            for at, moment in zip(wrong[early].index.to_list(), wrong[early])
        ]
    return found


def one_off_pieces(demand: pd.DataFrame) -> list[Finding]:
    """More pieces for one-off projects than were taken at all.

    Parameters
    ----------
    demand : DataFrame

    Returns
    -------
    list of Finding
    """
    wrong = demand[demand["one_off"] > demand["quantity"].clip(lower=0.0)]
    return [
        Finding(
            "demand",
            int(at),
            "one_off",
            f"is more than the quantity of {quantity:g}",
            "give the pieces of the quantity that went into the project",
        )
        for at, quantity in zip(wrong.index.to_list(), wrong["quantity"])
    ]


def record_notes(tables: Tables) -> list[tuple[str, str]]:
    """Records that start late, rows from before them, and rows that stand twice.

    Parameters
    ----------
    tables : dict of str to DataFrame

    Returns
    -------
    list of (table, note)
    """
    said = []
    replaced, units = tables["replacements"], tables["units"]
    region = lookup(tables["sites"], "site_id", "region_id", units["site_id"])
    begin = lookup(tables["regions"], "region_id", "records_from", region).to_numpy()
    unknown = units[pd.isna(begin)]
    theirs = replaced[replaced["unit_id"].isin(unknown["unit_id"])]
    if len(theirs) and theirs["replaced_on"].min() > unknown["commissioned_on"].min():
        first, start = theirs["replaced_on"].min(), unknown["commissioned_on"].min()
        said.append(
            (
                "replacements",
                f"records start on {first:%Y-%m-%d}, after the first machine started on {start:%Y-%m-%d}, "
                "where no regions.records_from is given: failures before are taken as unknown",
            )
        )
    start_of = lookup(units.assign(begin=begin), "unit_id", "begin", replaced["unit_id"])
    early = int((replaced["replaced_on"] < start_of).sum())
    if early:
        said.append(
            (
                "replacements",
                f"{early} rows lie before their region's records begin: they tell the age of a piece, "
                "and count as no failures seen",
            )
        )
    doubled = int(replaced.duplicated().sum())
    if doubled:
        said.append(("replacements", f"{doubled} rows repeat another one exactly; all are counted"))
    return said


def idle_parts(tables: Tables) -> list[tuple[str, str]]:
    """Parts that nothing carries and nobody has taken, so that nothing is forecast for them.

    Parameters
    ----------
    tables : dict of str to DataFrame

    Returns
    -------
    list of (table, note)
    """
    newest = newest_parts(tables["parts"])
    used = pd.concat([tables["fitment"]["part_id"], tables["demand"]["part_id"]]).drop_duplicates()
    part = tables["parts"]["part_id"]
    idle = part[~part.isin(_moved(used, newest)) & ~part.isin(list(newest))]
    if idle.empty:
        return []
    named = ", ".join(sorted(idle)[:SHOWN_PARTS]) + (", ..." if len(idle) > SHOWN_PARTS else "")
    words = f"{len(idle):,} fit no product and have no demand: nothing is forecast for them ({named})"
    return [("parts", words)]


def lookup(frame: pd.DataFrame, key: str, value: str, wanted: pd.Series) -> pd.Series:
    """Value for each wanted key; missing where the key is unknown.

    Parameters
    ----------
    frame : DataFrame
    key, value : str
        Columns of it; of a doubled key the first row counts.
    wanted : Series

    Returns
    -------
    Series
        Index of `wanted`.
    """
    known = frame[[key, value]].dropna(subset=[key]).drop_duplicates(key)
    found = pd.Index(known[key]).get_indexer(pd.Index(wanted))
    picked = known[value].reset_index(drop=True).reindex(np.where(found < 0, len(known), found))
    picked.index = wanted.index
    return picked


def _moved(parts: pd.Series, newest: dict[str, str]) -> pd.Series:
    """Parts as what supersedes them."""
    return parts.map(lambda part: newest.get(part, part)) if newest else parts
