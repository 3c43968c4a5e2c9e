"""Tables against each other: what one row says must fit what the others say."""

from __future__ import annotations

import pandas as pd

from spareplan.tables.catalog import INPUT_TABLES, PLAN_TABLES
from spareplan.tables.cells import Fault, fold
from spareplan.tables.histories import (
    Tables,
    fitting,
    idle_parts,
    life_of_units,
    meter_course,
    one_off_pieces,
    order_times,
    record_notes,
    replacements_in_life,
)
from spareplan.tables.network import circles, echelons
from spareplan.tables.parse import parse_column
from spareplan.tables.raw import Finding
from spareplan.tables.schema import Column
from spareplan.tables.scopes import OPEN_COLUMNS


def find(tables: Tables, given: frozenset[str]) -> list[Finding]:
    """All faults between rows and tables.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Every input table, read; index is the position as given.
    given : frozenset of str
        Tables that were given: a reference into another one is not checked.

    Returns
    -------
    list of Finding
    """
    return [
        *references(tables, given),
        *site_tree(tables["sites"]),
        *life_of_units(tables["units"]),
        *replacements_in_life(tables),
        *meter_course(tables),
        *fitting(tables, given),
        *superseding(tables["parts"]),
        *likening(tables["parts"], "parts", "part_id", "like_part"),
        *likening(tables["products"], "products", "product_id", "like_product"),
        *order_times(tables["work_orders"]),
        *one_off_pieces(tables["demand"]),
        *override_targets(tables["overrides"]),
        *window_targets(tables["targets"]),
    ]


def references(tables: Tables, given: frozenset[str]) -> list[Finding]:
    """Ids that stand in no row of the table they belong to.

    Parameters
    ----------
    tables, given
        As in `find`.

    Returns
    -------
    list of Finding
    """
    findings = []
    for name in given:
        for column in INPUT_TABLES[name].columns:
            if column.references is None or column.references[0] not in given:
                continue
            home, label = column.references
            known = tables[home][label].dropna()
            values = tables[name][column.name]
            lost = values[values.notna() & ~values.isin(known)]
            if lost.empty:
                continue
            alike = {_loose(text): text for text in known}
            if "name" in tables[home]:  # people write the name where the id belongs
                alike = dict(zip(map(_loose, tables[home]["name"]), tables[home][label])) | alike
            hints = {text: alike.get(_loose(text)) for text in lost.unique()}
            for position, text in zip(lost.index.to_list(), lost):
                remedy = f"is it {hints[text]!r}?" if hints[text] else f"add it to {home} or drop the row"
                findings.append(Finding(name, int(position), column.name, f"not in {home}", remedy))
    return findings


def site_tree(sites: pd.DataFrame) -> list[Finding]:
    """No headquarters or two, circles, and lead times that do not fit the place in the tree.

    Parameters
    ----------
    sites : DataFrame

    Returns
    -------
    list of Finding
    """
    findings = []
    named = sites[sites["site_id"].notna()].drop_duplicates("site_id")
    if named.empty:
        return []
    roots = named[named["parent_id"].isna()]
    if roots.empty:
        findings.append(
            Finding(
                "sites",
                -1,
                "parent_id",
                "has no headquarters: every site has a parent",
                "leave parent_id empty in the row of headquarters",
                "",
                True,
            )
        )
    for position, site in zip(roots["site_id"].iloc[1:].index.to_list(), roots["site_id"].iloc[1:]):
        findings.append(
            Finding(
                "sites",
                int(position),
                "parent_id",
                f"is a second headquarters: neither {site} nor {roots['site_id'].iloc[0]} has a parent",
                f"name the site that supplies {site}",
                "",
                True,
            )
        )
    parents = dict(zip(named["site_id"], named["parent_id"]))
    place = dict(zip(named["site_id"], named.index))
    if len(echelons(parents)) < len(parents):
        findings += [
            Finding(
                "sites",
                int(place[site]),
                "parent_id",
                f"closes a circle: {' <- '.join(ring)}",
                "let one of them hang on headquarters",
            )
            for site, ring in circles(parents)
        ]
    far = sites[sites["parent_id"].notna() & sites["lead_time_days"].isna()]
    findings += [
        Finding("sites", int(at), "lead_time_days", "is empty", "give the days from the parent to this site")
        for at in far.index
    ]
    late = sites[sites["parent_id"].isna() & (sites["lead_time_days"] != 0)]
    return findings + [
        Finding(
            "sites",
            int(at),
            "lead_time_days",
            "is not 0 for headquarters, which has no parent",
            "write 0; the suppliers' lead times stand in parts",
        )
        for at in late.index
    ]


def superseding(parts: pd.DataFrame) -> list[Finding]:
    """Parts that supersede each other in a circle.

    Parameters
    ----------
    parts : DataFrame

    Returns
    -------
    list of Finding
    """
    chain = parts[parts["superseded_by"].notna() & parts["part_id"].notna()].drop_duplicates("part_id")
    place = dict(zip(chain["part_id"], chain.index))
    return [
        Finding(
            "parts",
            int(place[part]),
            "superseded_by",
            f"closes a circle: {' -> '.join(ring)}",
            "empty superseded_by of the part that is still bought",
        )
        for part, ring in circles(dict(zip(chain["part_id"], chain["superseded_by"])))
    ]


def likening(rows: pd.DataFrame, table: str, key: str, like: str) -> list[Finding]:
    """Parts or products that are said to be like each other in a circle, or like themselves.

    Parameters
    ----------
    rows : DataFrame
    table, key, like : str
        Name of the table, of its key, and of the column that names the analogue.

    Returns
    -------
    list of Finding
    """
    chain = rows[rows[like].notna() & rows[key].notna()].drop_duplicates(key)
    place = dict(zip(chain[key], chain.index))
    return [
        Finding(
            table,
            int(place[name]),
            like,
            f"closes a circle: {' -> '.join(ring)}",
            "name one with failures and machines of its own, or leave the cell empty",
        )
        for name, ring in circles(dict(zip(chain[key], chain[like])))
    ]


def override_targets(overrides: pd.DataFrame) -> list[Finding]:
    """Find overrides of tables or columns that do not exist, and values those columns cannot hold.

    Parameters
    ----------
    overrides : DataFrame

    Returns
    -------
    list of Finding
    """
    found = []
    for at, name, wanted, value in zip(
        overrides.index, *(overrides[word] for word in ("table", "column", "value"))
    ):
        if pd.isna(name) or pd.isna(wanted):
            continue
        if name not in OPEN_COLUMNS:
            found.append(
                Finding(
                    "overrides",
                    int(at),
                    "table",
                    "is no result that can be overridden",
                    f"use one of: {', '.join(OPEN_COLUMNS)}",
                )
            )
            continue
        home = PLAN_TABLES.get(name) or INPUT_TABLES[name]
        known = {column: home[column] for column in OPEN_COLUMNS[name]}
        if wanted not in known:
            found.append(
                Finding(
                    "overrides",
                    int(at),
                    "column",
                    f"is no column of {name} that can be overridden",
                    f"use one of: {', '.join(known)}",
                )
            )
        elif not pd.isna(value):
            fault = misfit(str(value), known[wanted])
            if fault:
                found.append(Finding("overrides", int(at), "value", fault.rule, fault.remedy))
    return found


def misfit(text: str, column: Column) -> Fault | None:
    """Say why a column cannot hold a value.

    Parameters
    ----------
    text : str
    column : Column

    Returns
    -------
    Fault or None
    """
    values = parse_column(pd.Series([text]), column)
    if values.faults:
        return values.faults[0]
    number = values.values.iloc[0]
    if column.dtype in ("number", "integer") and not column.allows(number):
        return Fault(f"is not {column.bounds}", f"give a value {column.bounds}")
    return None


def window_targets(targets: pd.DataFrame) -> list[Finding]:
    """Windows without a share, and shares without a window.

    Parameters
    ----------
    targets : DataFrame

    Returns
    -------
    list of Finding
    """
    pair = ("window_days", "target_in_window")
    return [
        Finding("targets", int(at), empty, f"is empty while {other} is given", "give both or neither")
        for empty, other in (pair, pair[::-1])
        for at in targets.index[targets[empty].isna() & targets[other].notna()]
    ]


def notes(tables: Tables, given: frozenset[str]) -> list[tuple[str, str]]:
    """What is no fault, but what a user should know.

    Parameters
    ----------
    tables, given
        As in `find`.

    Returns
    -------
    list of (table, note)
    """
    said = []
    for name in sorted(given):
        homes = {column.references[0] for column in INPUT_TABLES[name].columns if column.references}
        said += [
            (name, f"{home} is not given, so its ids are not checked")
            for home in sorted(homes - given)
            if tables[name][
                [
                    column.name
                    for column in INPUT_TABLES[name].columns
                    if column.references and column.references[0] == home
                ]
            ]
            .notna()
            .any(axis=None)
        ]
        if tables[name].empty:
            said.append((name, "is given without rows"))
    return said + record_notes(tables) + idle_parts(tables)


def _loose(text: object) -> str:
    """Id without the differences people overlook: case, width, spacing, leading zeros, a decimal point."""
    return fold(str(text)).removesuffix(".0").lstrip("0")
