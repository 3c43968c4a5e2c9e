"""Tables against each other: what one row says must fit what the others say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from spareplan.tables.catalog import INPUT_TABLES, PLAN_TABLES
from spareplan.tables.frames import positions
from spareplan.tables.network import circles, echelons
from spareplan.tables.parse import Fault, fold, parse_column
from spareplan.tables.schema import Column

OVERRIDABLE = ("demand", "grades", "levels", "orders", "crew")
NEVER_OVERRIDDEN = ("reason", "region_id", "evaluation", "method")
Tables = dict[str, pd.DataFrame]


class Finding(NamedTuple):
    """One fault: the row by its position as given (-1: the whole table); value None: the cell as given."""

    table: str
    position: int
    column: str
    rule: str
    remedy: str
    value: str | None = None
    structural: bool = False

    @property
    def whole(self) -> bool:
        """Whether dropping a row cannot mend it."""
        return self.position < 0 or self.structural


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
    return [*references(tables, given), *site_tree(tables["sites"]), *life_of_units(tables["units"]),
            *replacements_in_life(tables), *fitting(tables, given), *superseding(tables["parts"]),
            *order_times(tables["work_orders"]), *override_targets(tables["overrides"]),
            *window_targets(tables["targets"])]


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
            hints = {text: alike.get(_loose(text)) for text in lost.unique()}
            for position, text in lost.items():
                remedy = f"is it {hints[text]!r}?" if hints[text] else f"add it to {home} or drop the row"
                findings.append(Finding(name, int(position), column.name, f"not in {home}", remedy))  # type: ignore[call-overload]
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
        findings.append(Finding("sites", -1, "parent_id", "has no headquarters: every site has a parent",
                                "leave parent_id empty in the row of headquarters", "", True))
    for position, site in roots["site_id"].iloc[1:].items():
        findings.append(Finding("sites", int(position), "parent_id",  # type: ignore[call-overload]
                                f"is a second headquarters: neither {site} nor {roots['site_id'].iloc[0]} has a parent",
                                f"name the site that supplies {site}", "", True))
    parents = dict(zip(named["site_id"], named["parent_id"]))
    place = dict(zip(named["site_id"], named.index))
    if len(echelons(parents)) < len(parents):
        findings += [Finding("sites", int(place[site]), "parent_id", f"closes a circle: {' <- '.join(ring)}",
                             "let one of them hang on headquarters") for site, ring in circles(parents)]
    far = sites[sites["parent_id"].notna() & sites["lead_time_days"].isna()]
    findings += [Finding("sites", int(at), "lead_time_days", "is empty",
                         "give the days from the parent to this site") for at in far.index]
    late = sites[sites["parent_id"].isna() & (sites["lead_time_days"] != 0)]
    return findings + [Finding("sites", int(at), "lead_time_days", "is not 0 for headquarters, which has no parent",
                               "write 0; the suppliers' lead times stand in parts") for at in late.index]


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
    return [Finding("units", int(at), "retired_on", f"lies before commissioning on {start:%Y-%m-%d}",
                    "correct one of the two dates") for at, start in retired["commissioned_on"].items()] + [  # type: ignore[call-overload]
            Finding("units", int(at), "commissioned_on", f"lies before the machine was built on {built:%Y-%m-%d}",
                    "correct one of the two dates") for at, built in early["built_on"].items()]  # type: ignore[call-overload]


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
    region = _lookup(tables["sites"], "site_id", "region_id", units["site_id"])
    units = units.assign(records_from=_lookup(tables["regions"], "region_id", "records_from", region).array)
    found = []
    for column, text, remedy, after in (
        ("commissioned_on", "lies before the machine's commissioning on {:%Y-%m-%d}", "correct one of the two dates", False),
        ("retired_on", "lies after the machine's retirement on {:%Y-%m-%d}", "correct one of the two dates", True),
        ("records_from", "lies before the region's records start on {:%Y-%m-%d}", "correct regions.records_from or drop the row", False),
    ):
        limit = _lookup(units, "unit_id", column, rows["unit_id"])
        wrong = (rows["replaced_on"] > limit) if after else (rows["replaced_on"] < limit)
        found += [Finding("replacements", int(at), "replaced_on", text.format(date), remedy)  # type: ignore[call-overload]
                  for at, date in limit[wrong].items()]
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
    product = _lookup(tables["units"].drop_duplicates("unit_id"), "unit_id", "product_id", rows["unit_id"])
    rows = rows.assign(product_id=product)[product.notna().to_numpy()]
    fitment = tables["fitment"][["product_id", "part_id"]].dropna().drop_duplicates()
    lost = rows[positions(rows[["product_id", "part_id"]], fitment) < 0]
    return [Finding("replacements", int(at), "part_id", f"does not fit product {product} of machine {unit}",
                    "add the pair to fitment or correct the row")
            for at, product, unit in zip(lost.index, lost["product_id"], lost["unit_id"])]


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
    return [Finding("parts", int(place[part]), "superseded_by", f"closes a circle: {' -> '.join(ring)}",
                    "empty superseded_by of the part that is still bought")
            for part, ring in circles(dict(zip(chain["part_id"], chain["superseded_by"])))]


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
    for early, late, words in (("opened_at", "responded_at", "lies before the order was opened at"),
                               ("responded_at", "resolved_at", "lies before the response at"),
                               ("opened_at", "resolved_at", "lies before the order was opened at")):
        wrong = orders[orders[late] < orders[early]]
        if early == "opened_at" and late == "resolved_at":
            wrong = wrong[~(wrong["resolved_at"] < wrong["responded_at"])]
        found += [Finding("work_orders", int(at), late, f"{words} {moment:%Y-%m-%d %H:%M}",  # type: ignore[call-overload]
                          "correct one of the two times") for at, moment in wrong[early].items()]
    return found


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
    for at, name, wanted, value in zip(overrides.index, *(overrides[word] for word in ("table", "column", "value"))):
        if pd.isna(name) or pd.isna(wanted):
            continue
        if name not in OVERRIDABLE:
            found.append(Finding("overrides", int(at), "table", "is no result that can be overridden",
                                 f"use one of: {', '.join(OVERRIDABLE)}"))
            continue
        known = {column.name: column for column in PLAN_TABLES[name].columns
                 if not column.key and column.name not in NEVER_OVERRIDDEN}
        if wanted not in known:
            found.append(Finding("overrides", int(at), "column", f"is no column of {name} that can be overridden",
                                 f"use one of: {', '.join(known)}"))
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
    return [Finding("targets", int(at), empty, f"is empty while {other} is given", "give both or neither")
            for empty, other in (pair, pair[::-1])
            for at in targets.index[targets[empty].isna() & targets[other].notna()]]


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
        said += [(name, f"{home} is not given, so its ids are not checked") for home in sorted(homes - given)
                 if tables[name][[column.name for column in INPUT_TABLES[name].columns
                                  if column.references and column.references[0] == home]].notna().any(axis=None)]
        if tables[name].empty:
            said.append((name, "is given without rows"))
    replaced, units = tables["replacements"], tables["units"]
    if len(replaced) and len(units) and tables["regions"]["records_from"].isna().all():
        first, start = replaced["replaced_on"].min(), units["commissioned_on"].min()
        if first > start:
            said.append(("replacements", f"records start on {first:%Y-%m-%d}, after the first machine started on "
                         f"{start:%Y-%m-%d}: failures before are taken as unknown; regions.records_from says since "
                         "when they are known"))
    doubled = int(replaced.duplicated().sum())
    if doubled:
        said.append(("replacements", f"{doubled} rows repeat another one exactly; all are counted"))
    return said


def _lookup(frame: pd.DataFrame, key: str, value: str, wanted: pd.Series) -> pd.Series:
    """Value for each wanted key; missing where the key is unknown."""
    known = frame[[key, value]].dropna(subset=[key]).drop_duplicates(key)
    found = pd.Index(known[key]).get_indexer(pd.Index(wanted))
    picked = known[value].reset_index(drop=True).reindex(np.where(found < 0, len(known), found))
    picked.index = wanted.index
    return picked


def _loose(text: object) -> str:
    """Id without the differences people overlook: case, width, spacing, leading zeros."""
    return fold(str(text)).lstrip("0")
