"""Frames against the catalog and each other -> a table of problems, all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from spareplan.errors import Problem, problem_in_argument
from spareplan.tables import relations
from spareplan.tables.catalog import FLEET_TABLES, INPUT_TABLES
from spareplan.tables.commissioning import fill_commissioning
from spareplan.tables.draft import Draft, finish, read_table
from spareplan.tables.raw import Finding, RawTable

ALWAYS_REQUIRED = ("parts", "sites")
NOTE_COLUMNS = ["table", "note"]


@dataclass(frozen=True)
class Checked:
    """Tables and what was found in them.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Every input table, with every column and its dtype; empty where it was not given. Not to be used while
        there are problems.
    given : frozenset of str
        Names of the tables that were given.
    problems : list of Problem
        Why the tables are refused; empty if they are not.
    dropped : list of Problem
        Of the rows that were dropped.
    notes : DataFrame
        table, note: what was read in a way the user should know.
    """

    tables: dict[str, pd.DataFrame]
    given: frozenset[str]
    problems: list[Problem]
    dropped: list[Problem]
    notes: pd.DataFrame


def check_tables(
    raws: Mapping[str, RawTable], on_bad_rows: str = "raise", notes: Iterable[tuple[str, str]] = ()
) -> Checked:
    """Read the cells of all tables and check them.

    Parameters
    ----------
    raws : mapping of str to RawTable
        The tables that were given.
    on_bad_rows : {"raise", "drop"}
        Refuse everything, or drop bad rows and what hangs on them.
    notes : iterable of (table, note)
        Said already while reading.

    Returns
    -------
    Checked
        With all problems at once; with "drop" only those of whole tables count as problems.

    Raises
    ------
    DataError
        `on_bad_rows` is none of the choices.
    """
    if on_bad_rows not in ("raise", "drop"):
        raise problem_in_argument(
            "read_dataset", "on_bad_rows", on_bad_rows, "is none of the choices", "use raise or drop"
        )
    said = list(notes)
    refused = [problem for raw in raws.values() for problem in raw.problems if problem.row == 0]
    ragged = [problem for raw in raws.values() for problem in raw.problems if problem.row != 0]
    findings: list[Finding] = []
    drafts: dict[str, Draft] = {}
    for name in INPUT_TABLES:
        if name in raws and raws[name].headers:
            drafts[name], found, whole, told = read_table(raws[name])
            findings += found
            refused += whole
            said += [(name, note) for note in told]
    refused += missing_tables(drafts, frozenset(raws))
    tables = {
        name: drafts[name].frame if name in drafts else table.empty() for name, table in INPUT_TABLES.items()
    }
    given = frozenset(drafts)
    findings += relations.find(tables, given)
    dropped: list[Problem] = []
    if on_bad_rows == "raise":
        refused += ragged + _problems(findings, drafts)
    elif refused:
        refused += _problems([finding for finding in findings if finding.whole], drafts)
    else:
        refused, dropped = drop_rows(tables, given, findings, drafts)
        dropped += ragged
    if not refused:
        tables = {name: finish(frame, INPUT_TABLES[name]) for name, frame in tables.items()}
        said += fill_commissioning(tables)
        said += relations.notes(tables, given) + _dropped_notes(dropped)
    return Checked(tables, given, refused, dropped, pd.DataFrame(said, columns=NOTE_COLUMNS).astype(str))


def missing_tables(drafts: Mapping[str, Draft], there: frozenset[str]) -> list[Problem]:
    """Tables without which nothing can be planned.

    Parameters
    ----------
    drafts : mapping of str to Draft
        Tables that could be read.
    there : frozenset of str
        Tables that were given, readable or not.

    Returns
    -------
    list of Problem
    """
    problems = []
    for name in ALWAYS_REQUIRED:
        if name not in there:
            problems.append(Problem(name, 0, "", "", "is a required table", f"add the table {name}"))
        elif name in drafts and drafts[name].frame.empty:
            problems.append(Problem(name, 0, "", "", "is a required table and has no rows", "fill it in"))

    def useless(name: str) -> bool:
        # no replacement yet is news about the lives of parts; no machine is not
        return name not in there or (name in drafts and drafts[name].frame.empty and name != "replacements")

    fleet = [name for name in FLEET_TABLES if useless(name)]
    if fleet and useless("demand"):
        problems.append(
            Problem(
                "demand",
                0,
                "",
                "",
                "is missing or empty, and so is part of units, fitment, "
                "products and replacements: nothing tells the demand",
                f"fill in demand, or {' and '.join(fleet)}",
            )
        )
    return problems


def drop_rows(
    tables: dict[str, pd.DataFrame],
    given: frozenset[str],
    findings: list[Finding],
    drafts: Mapping[str, Draft],
) -> tuple[list[Problem], list[Problem]]:
    """Drop bad rows, then what hung on them, until nothing bad is left.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Changed in place.
    given : frozenset of str
    findings : list of Finding
        Of the first look.
    drafts : mapping of str to Draft

    Returns
    -------
    refused : list of Problem
        Why what is left is no dataset, with the problems that led there; empty if it is one.
    dropped : list of Problem
        Of every dropped row.
    """
    dropped: list[Problem] = []
    while findings:
        whole = [finding for finding in findings if finding.whole]
        if whole:
            return _problems(whole, drafts) + dropped, []
        dropped += _problems(findings, drafts)
        for name in {finding.table for finding in findings}:
            bad = {finding.position for finding in findings if finding.table == name}
            tables[name] = tables[name][~tables[name].index.isin(list(bad))]
            drafts[name].frame = tables[name]
        gone = missing_tables(drafts, given)
        if gone:
            return gone + dropped, []
        findings = relations.find(tables, given)
    return [], dropped


def _dropped_notes(dropped: list[Problem]) -> list[tuple[str, str]]:
    rows: dict[str, set[object]] = {}
    for problem in dropped:
        rows.setdefault(problem.table, set()).add(problem.value if problem.row is None else problem.row)
    return [(table, f"{len(places)} bad rows were dropped") for table, places in sorted(rows.items())]


def _problems(findings: Iterable[Finding], drafts: Mapping[str, Draft]) -> list[Problem]:
    listed = list(findings)
    untold: dict[tuple[str, str], list[int]] = {}
    for at, finding in enumerate(listed):
        if finding.value is None and finding.position >= 0:
            untold.setdefault((finding.table, finding.column), []).append(at)
    for (table, column), places in untold.items():
        cells = drafts[table].cells(column, [listed[at].position for at in places])
        for at, cell in zip(places, cells):
            listed[at] = listed[at]._replace(value=cell)
    return [
        drafts[finding.table].problem(finding)
        if finding.table in drafts
        else Problem(finding.table, 0, finding.column, finding.value or "", finding.rule, finding.remedy)
        for finding in listed
    ]
