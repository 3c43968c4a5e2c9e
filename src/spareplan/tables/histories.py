"""Lives, replacements and service orders: what happened must fit the times it happened in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.tables.frames import positions
from spareplan.tables.raw import Finding

Tables = dict[str, pd.DataFrame]


def life_of_units(units: pd.DataFrame) -> list[Finding]:
    """Machines retired before they ran, or running before they were built.

    Parameters
    ----------
    units : DataFrame

    Returns
    -------
    list of Finding
    """
    retired = units[units["retired_on"] < units["commissioned_on"]]
    early = units[units["commissioned_on"] < units["built_on"]]
    return [
        Finding(
            "units",
            int(at),
            "retired_on",
            f"lies before commissioning on {start:%Y-%m-%d}",
            "correct one of the two dates",
        )
        for at, start in zip(retired["commissioned_on"].index.to_list(), retired["commissioned_on"])
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
    """Replacements outside the life of their machine, or before the records of its region start.

    Parameters
    ----------
    tables : dict of str to DataFrame

    Returns
    -------
    list of Finding
    """
    rows = tables["replacements"][["unit_id", "replaced_on"]]
    units = tables["units"].drop_duplicates("unit_id")
    region = lookup(tables["sites"], "site_id", "region_id", units["site_id"])
    units = units.assign(records_from=lookup(tables["regions"], "region_id", "records_from", region).array)
    found = []
    for column, text, remedy, after in (
        (
            "commissioned_on",
            "lies before the machine's commissioning on {:%Y-%m-%d}",
            "correct one of the two dates",
            False,
        ),
        (
            "retired_on",
            "lies after the machine's retirement on {:%Y-%m-%d}",
            "correct one of the two dates",
            True,
        ),
        (
            "records_from",
            "lies before the region's records start on {:%Y-%m-%d}",
            "correct regions.records_from or drop the row",
            False,
        ),
    ):
        limit = lookup(units, "unit_id", column, rows["unit_id"])
        wrong = (rows["replaced_on"] > limit) if after else (rows["replaced_on"] < limit)
        found += [
            Finding("replacements", int(at), "replaced_on", text.format(date), remedy)
            for at, date in zip(limit[wrong].index.to_list(), limit[wrong])
        ]
    return found


def fitting(tables: Tables, given: frozenset[str]) -> list[Finding]:
    """Replacements of parts that do not sit in the machine's product.

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
    fitment = tables["fitment"][["product_id", "part_id"]].dropna().drop_duplicates()
    lost = rows[positions(rows[["product_id", "part_id"]], fitment) < 0]
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


def record_notes(tables: Tables) -> list[tuple[str, str]]:
    """Records that start late, and rows that stand twice.

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
    unknown = units[lookup(tables["regions"], "region_id", "records_from", region).isna().to_numpy()]
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
    doubled = int(replaced.duplicated().sum())
    if doubled:
        said.append(("replacements", f"{doubled} rows repeat another one exactly; all are counted"))
    return said


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
